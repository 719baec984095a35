//! Which end is the client: SYN, then SYN-ACK, then payload, then the catalogue, then who spoke first.

use crate::catalogue::Catalogue;
use crate::classify::verdict::DirBasis;
use crate::flow::record::Began;
use crate::flow::record::Flow;
use crate::model::addr::Side;
use crate::model::transport::Transport;

/// The client's end of a flow, and how that is known.
pub(crate) fn direction(flow: &Flow, catalogue: &Catalogue) -> (Side, DirBasis) {
    match flow.began_by {
        Began::Syn => (flow.began, DirBasis::Syn),
        Began::SynAck => (flow.began, DirBasis::SynAck),
        Began::FirstPacket => undirected(flow, catalogue),
    }
}

fn undirected(flow: &Flow, catalogue: &Catalogue) -> (Side, DirBasis) {
    if !flow.key.transport.has_ports() {
        return (flow.began, DirBasis::FirstPacket);
    }
    if let Some(client) = ntp_client(flow, catalogue) {
        return (client, DirBasis::NtpMode);
    }
    let known = |side: Side| {
        catalogue
            .service_at(flow.key.transport, flow.key.end(side).port)
            .is_some_and(|service| !catalogue.service(service).dynamic)
    };
    match (known(Side::Low), known(Side::High)) {
        (true, false) => (Side::High, DirBasis::CataloguePort),
        (false, true) => (Side::Low, DirBasis::CataloguePort),
        _ if flow.key.transport == Transport::Tcp => lower_port(flow),
        _ => (flow.began, DirBasis::FirstPacket),
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

/// NTP speaks from port 123 to port 123, so only the mode tells (RFC 5905 section 7.3): 3 = client, 4 = server.
fn ntp_client(flow: &Flow, catalogue: &Catalogue) -> Option<Side> {
    let same = flow.key.transport == Transport::Udp && flow.key.low_port == flow.key.high_port;
    if !same {
        return None;
    }
    let service = catalogue.service_at(Transport::Udp, flow.key.low_port)?;
    if catalogue.service(service).speaks.as_deref() != Some("ntp") {
        return None;
    }
    [Side::Low, Side::High].into_iter().find_map(|side| match flow.lead[side.index()] & 7 {
        3 => Some(side),
        4 => Some(side.other()),
        _ => None,
    })
}
