//! Which end is the client: SYN, then SYN-ACK, then what the payload says, then the catalogue, then a port seen
//! answering, then who spoke first.

use crate::catalogue::Catalogue;
use crate::classify::ports::PortClasses;
use crate::classify::verdict::DirBasis;
use crate::flow::record::Began;
use crate::flow::record::Flow;
use crate::flow::speech::Speech;
use crate::flow::table::Stored;
use crate::learn::knowledge::Answered;
use crate::learn::knowledge::Listener;
use crate::model::addr::Side;
use crate::model::app::AppProto;
use crate::model::app::Speaker;
use crate::model::transport::Transport;

/// What decides the direction of flows that were caught in the middle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Directions<'a> {
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) classes: &'a PortClasses,
    /// What was seen answering a SYN or a request, in order.
    pub(crate) listeners: &'a [(Listener, Answered)],
}

impl Directions<'_> {
    /// The client's end of a flow, and how that is known.
    pub(crate) fn of(&self, stored: Stored<'_>) -> (Side, DirBasis) {
        match stored.began() {
            (began, Began::Syn) => (began, DirBasis::Syn),
            (began, Began::SynAck) => (began, DirBasis::SynAck),
            (_, Began::FirstPacket) => self.undirected(&stored.flow(), stored.speech()),
        }
    }

    fn undirected(&self, flow: &Flow, speech: Option<&Speech>) -> (Side, DirBasis) {
        if !flow.key.transport.has_ports() {
            return (flow.began, DirBasis::FirstPacket);
        }
        if let Some(client) = self.ntp_client(flow) {
            return (client, DirBasis::NtpMode);
        }
        if let Some(client) = speech.and_then(asking) {
            return (client, DirBasis::Payload);
        }
        let known = |side: Side| {
            let class = self.classes.of(flow.key.transport, flow.key.end(side).port);
            self.classes.meaning(class).is_some_and(|meaning| meaning.named.is_some())
        };
        match (known(Side::Low), known(Side::High)) {
            (true, false) => return (Side::High, DirBasis::CataloguePort),
            (false, true) => return (Side::Low, DirBasis::CataloguePort),
            _ => {}
        }
        if flow.key.transport != Transport::Tcp {
            return (flow.began, DirBasis::FirstPacket);
        }
        match (self.listens(flow, Side::Low), self.listens(flow, Side::High)) {
            (true, false) => (Side::High, DirBasis::LearnedPort),
            (false, true) => (Side::Low, DirBasis::LearnedPort),
            _ => lower_port(flow),
        }
    }

    /// Whether this end of the flow answered other flows.
    fn listens(&self, flow: &Flow, side: Side) -> bool {
        let end = flow.key.end(side);
        let listener = Listener { addr: end.addr, transport: flow.key.transport, port: end.port };
        self.listeners.binary_search_by_key(&listener, |(known, _)| *known).is_ok()
    }

    /// NTP speaks from port 123 to port 123, so only the mode tells (RFC 5905 section 7.3): 3 = client, 4 = server.
    fn ntp_client(&self, flow: &Flow) -> Option<Side> {
        let same = flow.key.transport == Transport::Udp && flow.key.low_port == flow.key.high_port;
        if !same {
            return None;
        }
        let service = self.classes.meaning(self.classes.of(Transport::Udp, flow.key.low_port))?.service?;
        if !self.catalogue.service(service).speaks.contains(AppProto::Ntp) {
            return None;
        }
        [Side::Low, Side::High].into_iter().find_map(|side| match flow.lead[side.index()] & 7 {
            3 => Some(side),
            4 => Some(side.other()),
            _ => None,
        })
    }
}

/// The end that says what a client says. Where both ends do, or neither, nothing tells.
fn asking(speech: &Speech) -> Option<Side> {
    let part = |side: Side| speech.of(side).proto.map(|_| speech.of(side).speaker);
    match (part(Side::Low), part(Side::High)) {
        (Some(Speaker::Client), Some(Speaker::Client)) | (Some(Speaker::Server), Some(Speaker::Server)) => None,
        (Some(Speaker::Client), _) | (_, Some(Speaker::Server)) => Some(Side::Low),
        (_, Some(Speaker::Client)) | (Some(Speaker::Server), _) => Some(Side::High),
        _ => None,
    }
}

/// A TCP flow caught in the middle: servers sit on the lower port.
fn lower_port(flow: &Flow) -> (Side, DirBasis) {
    match flow.key.low_port.cmp(&flow.key.high_port) {
        std::cmp::Ordering::Less => (Side::High, DirBasis::LowerPort),
        std::cmp::Ordering::Greater => (Side::Low, DirBasis::LowerPort),
        std::cmp::Ordering::Equal => (flow.began, DirBasis::FirstPacket),
    }
}
