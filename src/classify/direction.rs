//! Which end is the client: SYN, then SYN-ACK, then what the payload says, then the catalogue, then a port seen
//! answering, then who spoke first.

use crate::catalogue::Catalogue;
use crate::classify::ports::PortClasses;
use crate::classify::verdict::DirBasis;
use crate::flow::record::Began;
use crate::flow::speech::Speech;
use crate::flow::table::Stored;
use crate::learn::knowledge::Answered;
use crate::learn::knowledge::Listener;
use crate::model::addr::FlowKey;
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
            (began, Began::FirstPacket) => self.undirected(stored, began),
        }
    }

    fn undirected(&self, stored: Stored<'_>, began: Side) -> (Side, DirBasis) {
        let key = stored.key();
        if !key.transport.has_ports() {
            return (began, DirBasis::FirstPacket);
        }
        if let Some(client) = self.ntp_client(stored, &key) {
            return (client, DirBasis::NtpMode);
        }
        if let Some(client) = asking(&stored.speech()) {
            return (client, DirBasis::Payload);
        }
        let known = |side: Side| {
            let class = self.classes.of(key.transport, key.end(side).port);
            self.classes.meaning(class).is_some_and(|meaning| meaning.named.is_some())
        };
        match (known(Side::Low), known(Side::High)) {
            (true, false) => return (Side::High, DirBasis::CataloguePort),
            (false, true) => return (Side::Low, DirBasis::CataloguePort),
            _ => {}
        }
        if key.transport != Transport::Tcp {
            return (began, DirBasis::FirstPacket);
        }
        match (self.listens(&key, Side::Low), self.listens(&key, Side::High)) {
            (true, false) => (Side::High, DirBasis::LearnedPort),
            (false, true) => (Side::Low, DirBasis::LearnedPort),
            _ => lower_port(&key, began),
        }
    }

    /// Whether this end of a flow answered other flows.
    fn listens(&self, key: &FlowKey, side: Side) -> bool {
        let end = key.end(side);
        let listener = Listener { addr: end.addr, transport: key.transport, port: end.port };
        self.listeners.binary_search_by_key(&listener, |(known, _)| *known).is_ok()
    }

    /// NTP speaks from port 123 to port 123, so only the mode tells (RFC 5905 section 7.3): 3 = client, 4 = server.
    fn ntp_client(&self, stored: Stored<'_>, key: &FlowKey) -> Option<Side> {
        let same = key.transport == Transport::Udp && key.low_port == key.high_port;
        if !same {
            return None;
        }
        let service = self.classes.meaning(self.classes.of(Transport::Udp, key.low_port))?.service?;
        if !self.catalogue.service(service).speaks.contains(AppProto::Ntp) {
            return None;
        }
        let flow = stored.flow();
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
fn lower_port(key: &FlowKey, began: Side) -> (Side, DirBasis) {
    match key.low_port.cmp(&key.high_port) {
        std::cmp::Ordering::Less => (Side::High, DirBasis::LowerPort),
        std::cmp::Ordering::Greater => (Side::Low, DirBasis::LowerPort),
        std::cmp::Ordering::Equal => (began, DirBasis::FirstPacket),
    }
}
