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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::samples;
    use crate::decode::samples::V4;
    use crate::decode::samples::V6;
    use crate::decode::samples::eth;
    use crate::decode::samples::ip4;
    use crate::decode::samples::ip6;
    use crate::decode::samples::tcp4;
    use crate::decode::samples::tcp6;
    use crate::decode::samples::udp4;
    use crate::model::addr::Addr;
    use crate::model::addr::Endpoint;

    const ROUTER: [u8; 4] = [10, 0, 0, 254];

    fn message4(kind: u8, code: u8, body: &[u8]) -> Vec<u8> {
        let icmp = [&[kind, code, 0, 0, 0, 77, 0, 1], body].concat();
        eth(0x0800, &ip4([ROUTER, V4[0]], 1, &icmp))
    }

    fn message6(kind: u8, code: u8, body: &[u8]) -> Vec<u8> {
        eth(0x86dd, &ip6(58, &[&[kind, code, 0, 0, 0, 77, 0, 1], body].concat()))
    }

    fn assert_error(bytes: &[u8], error: IcmpError, transport: Transport, [src, dst]: [Endpoint; 2]) {
        let packet = samples::packet(1, bytes);
        assert_eq!(packet.layer, Layer::IcmpError(error));
        assert_eq!(packet.key.transport, transport);
        assert_eq!([packet.key.end(packet.from), packet.key.end(packet.from.other())], [src, dst]);
        assert_eq!((packet.payload_len, packet.payload_captured), (0, 0));
    }

    fn ends4(src: u16, dst: u16) -> [Endpoint; 2] {
        [Endpoint { addr: Addr::v4(V4[0]), port: src }, Endpoint { addr: Addr::v4(V4[1]), port: dst }]
    }

    fn error4(kind: u8, code: u8, quoted_seq: Option<u32>) -> IcmpError {
        IcmpError { sender: Addr::v4(ROUTER), v6: false, kind, code, quoted_seq }
    }

    #[test]
    fn echo_has_its_identifier_for_ports() {
        for (bytes, layer) in [
            (message4(8, 0, b"abc"), Layer::EchoRequest),
            (message4(0, 0, b"abc"), Layer::EchoReply),
            (message6(128, 0, b"abc"), Layer::EchoRequest),
            (message6(129, 0, b"abc"), Layer::EchoReply),
        ] {
            let packet = samples::packet(1, &bytes);
            assert_eq!((packet.layer, packet.payload_len), (layer, 3));
            assert_eq!((packet.key.low_port, packet.key.high_port), (77, 77));
            assert_eq!(packet.key.transport, Transport::Icmp);
        }
    }

    #[test]
    fn errors_are_filed_under_what_they_quote() {
        let quote = &tcp4()[..28];
        assert_error(&message4(3, 13, quote), error4(3, 13, Some(1000)), Transport::Tcp, ends4(50000, 389));
        assert_error(&message4(11, 0, quote), error4(11, 0, Some(1000)), Transport::Tcp, ends4(50000, 389));
        let quote = &udp4(V4, [50000, 88], b"hello")[..28];
        assert_error(&message4(3, 3, quote), error4(3, 3, None), Transport::Udp, ends4(50000, 88));
        let echo = ip4(V4, 1, &[8, 0, 0, 0, 0, 5, 0, 1]);
        assert_error(&message4(3, 1, &echo), error4(3, 1, None), Transport::Icmp, ends4(5, 5));
        let esp = ip4(V4, 50, &[0; 8]);
        assert_error(&message4(3, 2, &esp), error4(3, 2, None), Transport::Esp, ends4(0, 0));
    }

    #[test]
    fn quoted_options_and_first_fragments_are_passed() {
        let [src, dst] = V4;
        let tcp = &tcp4()[20..28];
        let options = [&[0x46, 0, 0, 99, 0, 7, 0x20, 0, 64, 6, 0, 0], &src[..], &dst, &[1; 4], tcp].concat();
        assert_error(&message4(12, 0, &options), error4(12, 0, Some(1000)), Transport::Tcp, ends4(50000, 389));
        let fragment = ip6(44, &[&[6, 0, 0, 1, 0, 0, 0, 9], tcp].concat());
        let [src, dst] = V6.map(Addr::v6);
        let error = IcmpError { sender: src, v6: true, kind: 2, code: 0, quoted_seq: Some(1000) };
        let ends = [Endpoint { addr: src, port: 50000 }, Endpoint { addr: dst, port: 389 }];
        assert_error(&message6(2, 0, &fragment), error, Transport::Tcp, ends);
        let error = IcmpError { kind: 1, code: 4, ..error };
        assert_error(&message6(1, 4, &tcp6()), error, Transport::Tcp, ends);
    }

    #[test]
    fn what_names_no_flow_is_skipped() {
        let mut later = tcp4();
        later[7] = 1;
        let mut not_ip = tcp4();
        not_ip[0] = 0x25;
        for bytes in [
            message4(5, 1, &tcp4()),
            message4(4, 0, &tcp4()),
            message4(13, 0, &[0; 12]),
            message6(135, 0, &[0; 24]),
            message4(3, 1, &later),
            message4(3, 1, &not_ip),
            message4(3, 1, &tcp4()[..27]),
            message4(3, 1, &[]),
            message4(3, 1, &ip4(V4, 2, &[0; 8])),
            message4(3, 1, &ip4(V4, 1, &[3, 1, 0, 0, 0, 0, 0, 0])),
        ] {
            assert_eq!(samples::skip(1, &bytes), SkipReason::Icmp, "{bytes:02x?}");
        }
        assert_eq!(samples::skip(1, &eth(0x0800, &ip4(V4, 58, &[128; 8]))), SkipReason::IpProtocol);
        assert_eq!(samples::skip(1, &eth(0x86dd, &ip6(1, &[8; 8]))), SkipReason::IpProtocol);
    }
}
