//! ICMP and `ICMPv6`: echo, and errors with the packet they quote.
//!
//! Knows no flow: whether a quoted packet was ever seen is another room's matter.

use crate::decode::ip::Ip;
use crate::decode::ip::protocol;
use crate::decode::packet::IcmpError;
use crate::decode::packet::Layer;
use crate::decode::packet::Packet;
use crate::decode::packet::SkipReason;
use crate::decode::transport::ports;
use crate::decode::walk::Walk;
use crate::decode::wire::array;
use crate::decode::wire::be16;
use crate::decode::wire::be32;
use crate::decode::wire::u8_at;
use crate::model::addr::FlowKey;
use crate::model::addr::Side;
use crate::model::transport::Transport;

const HEADER_LEN: usize = 8;
/// What RFC 792 demands of a quote above IP, and RFC 4443 exceeds.
const QUOTE_LEAST: usize = 8;
const IDENTIFIER_AT: usize = 4;

/// What an ICMP type means to flows.
#[derive(PartialEq, Eq)]
enum Kind {
    Request,
    Reply,
    /// Unreachable, packet too big, time exceeded, parameter problem.
    Error,
    /// Redirects, quench, router and neighbour discovery, timestamps …
    Other,
}

impl Kind {
    fn of(v6: bool, number: u8) -> Self {
        match (v6, number) {
            (false, 8) | (true, 128) => Self::Request,
            (false, 0) | (true, 129) => Self::Reply,
            (false, 3 | 11 | 12) | (true, 1..=4) => Self::Error,
            _ => Self::Other,
        }
    }
}

/// The ICMP message that `ip` carries.
pub(super) fn icmp(walk: &Walk<'_>, ip: &Ip) -> Result<Packet, SkipReason> {
    let Some([number, code]) = array(walk.bytes, ip.at) else {
        return Err(ip.missing(ip.at, HEADER_LEN));
    };
    let at = ip.at + HEADER_LEN;
    let layer = match Kind::of(ip.v6, number) {
        Kind::Other => return Err(SkipReason::Icmp),
        Kind::Error => return error(walk, ip, number, code).ok_or(SkipReason::Icmp),
        Kind::Request => Layer::EchoRequest,
        Kind::Reply => Layer::EchoReply,
    };
    let Some(identifier) = be16(walk.bytes, ip.at + IDENTIFIER_AT) else {
        return Err(ip.missing(ip.at, HEADER_LEN));
    };
    let key = FlowKey::of(ip.src, identifier, ip.dst, identifier, Transport::Icmp);
    Ok(walk.packet(ip, key, (at, ip.rest(at)), layer))
}

/// An error, filed under the flow that it quotes; `None` if the quote cannot name one.
fn error(walk: &Walk<'_>, ip: &Ip, kind: u8, code: u8) -> Option<Packet> {
    let at = ip.at + HEADER_LEN;
    let mut quoted = match u8_at(walk.bytes, at)? >> 4 {
        4 => Ip::v4(walk.bytes, at, walk.end),
        6 => Ip::v6(walk.bytes, at, walk.end),
        _ => return None,
    }
    .ok()?;
    quoted.pass_extensions(walk.bytes).ok()?;
    // The quote of a later fragment has no ports, and its first was the sender's, not this one's, to remember.
    if quoted.fragment.is_some_and(|piece| !piece.first) || quoted.rest(quoted.at) < QUOTE_LEAST {
        return None;
    }
    let key = quoted_key(walk.bytes, &quoted)?;
    let quoted_seq = if key.0.transport == Transport::Tcp { be32(walk.bytes, quoted.at + 4) } else { None };
    let error = IcmpError { sender: ip.src, v6: ip.v6, kind, code, quoted_seq };
    Some(walk.packet(ip, key, (at, 0), Layer::IcmpError(error)))
}

fn quoted_key(bytes: &[u8], quoted: &Ip) -> Option<(FlowKey, Side)> {
    let (transport, [src, dst]) = match quoted.protocol {
        protocol::TCP => (Transport::Tcp, ports(bytes, quoted.at)?),
        protocol::UDP => (Transport::Udp, ports(bytes, quoted.at)?),
        protocol::SCTP => (Transport::Sctp, ports(bytes, quoted.at)?),
        protocol::ESP => (Transport::Esp, [0; 2]),
        protocol::GRE => (Transport::Gre, [0; 2]),
        protocol::AH => (Transport::Ah, [0; 2]),
        protocol::ICMP if !quoted.v6 => (Transport::Icmp, quoted_echo(bytes, quoted)?),
        protocol::ICMPV6 if quoted.v6 => (Transport::Icmp, quoted_echo(bytes, quoted)?),
        _ => return None,
    };
    Some(FlowKey::of(quoted.src, src, quoted.dst, dst, transport))
}

fn quoted_echo(bytes: &[u8], quoted: &Ip) -> Option<[u16; 2]> {
    let number = u8_at(bytes, quoted.at)?;
    let echo = matches!(Kind::of(quoted.v6, number), Kind::Request | Kind::Reply);
    let identifier = be16(bytes, quoted.at + IDENTIFIER_AT)?;
    echo.then_some([identifier; 2])
}
