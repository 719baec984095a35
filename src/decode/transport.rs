//! TCP, UDP and the transports that are only followed: ports, flags, lengths.
//!
//! Knows no tunnel and no meaning of a port.

use etherparse::TcpHeaderSlice;
use etherparse::UdpHeaderSlice;

use crate::decode::ip::Ip;
use crate::decode::packet::Decoded;
use crate::decode::packet::Layer;
use crate::decode::packet::Packet;
use crate::decode::packet::SkipReason;
use crate::decode::packet::Tcp;
use crate::decode::walk::Walk;
use crate::decode::wire::array;
use crate::decode::wire::be16;
use crate::decode::wire::be32;
use crate::decode::wire::u8_at;
use crate::model::addr::FlowKey;
use crate::model::transport::Transport;

const TCP_HEADER_LEN: usize = 20;
const UDP_HEADER_LEN: usize = 8;
const SCTP_HEADER_LEN: usize = 12;
const ACK: u8 = 0x10;

/// The TCP segment that `ip` carries.
#[inline(always)]
pub(super) fn tcp(walk: Walk<'_>, ip: Ip) -> Decoded {
    let Ok(header) = TcpHeaderSlice::from_slice(walk.from(ip.at)) else {
        return cut_tcp(walk, ip);
    };
    let flags = header.slice().get(13).copied().unwrap_or_default();
    let tcp = Tcp {
        seq: header.sequence_number(),
        ack: if flags & ACK == 0 { 0 } else { header.acknowledgment_number() },
        flags,
        window: header.window_size(),
        checksum: header.checksum(),
    };
    let at = ip.at + header.slice().len();
    let key = FlowKey::of(ip.src, header.source_port(), ip.dst, header.destination_port(), Transport::Tcp);
    Decoded::Packet(walk.packet(&ip, key, (at, ip.rest(at)), Layer::Tcp(tcp)))
}

/// A segment whose header is not wholly there: cut by the capture, or wrong.
#[inline(never)]
fn cut_tcp(walk: Walk<'_>, ip: Ip) -> Decoded {
    let segment = walk.from(ip.at);
    let (Some([src, dst]), Some(seq), Some(ack), Some(offset), Some(flags)) =
        (ports(segment, 0), be32(segment, 4), be32(segment, 8), u8_at(segment, 12), u8_at(segment, 13))
    else {
        return Decoded::Skip(ip.missing(ip.at, TCP_HEADER_LEN));
    };
    let header_len = usize::from(offset >> 4) * 4;
    if header_len < TCP_HEADER_LEN || ip.missing(ip.at, header_len) == SkipReason::Malformed {
        return Decoded::Skip(SkipReason::Malformed);
    }
    let tcp = Tcp {
        seq,
        ack: if flags & ACK == 0 { 0 } else { ack },
        flags,
        window: be16(segment, 14).unwrap_or_default(),
        checksum: be16(segment, 16).unwrap_or_default(),
    };
    let at = ip.at + header_len;
    let key = FlowKey::of(ip.src, src, ip.dst, dst, Transport::Tcp);
    Decoded::Packet(walk.packet(&ip, key, (at, ip.rest(at)), Layer::Tcp(tcp)))
}

/// The UDP datagram that `ip` carries.
#[inline(always)]
pub(super) fn udp(walk: Walk<'_>, ip: Ip) -> Decoded {
    let Ok(header) = UdpHeaderSlice::from_slice(walk.from(ip.at)) else {
        return cut_udp(walk, ip);
    };
    let ports = [header.source_port(), header.destination_port()];
    udp_packet(walk, ip, ports, header.length(), header.checksum())
}

#[inline(always)]
fn udp_packet(walk: Walk<'_>, ip: Ip, [src, dst]: [u16; 2], length: u16, checksum: u16) -> Decoded {
    let at = ip.at + UDP_HEADER_LEN;
    let payload_len = match usize::from(length) {
        // RFC 2675: the length is that of the jumbogram.
        0 => ip.rest(at),
        length if length < UDP_HEADER_LEN => return Decoded::Skip(SkipReason::Malformed),
        // A first fragment claims the length of the whole datagram.
        length => (length - UDP_HEADER_LEN).min(ip.rest(at)),
    };
    let key = FlowKey::of(ip.src, src, ip.dst, dst, Transport::Udp);
    Decoded::Packet(walk.packet(&ip, key, (at, payload_len), Layer::Udp { checksum }))
}

/// A datagram whose header is not wholly there: cut by the capture, or wrong.
#[inline(never)]
fn cut_udp(walk: Walk<'_>, ip: Ip) -> Decoded {
    let missing = ip.missing(ip.at, UDP_HEADER_LEN);
    match ports(walk.bytes, ip.at) {
        Some(ports) if missing == SkipReason::CutShort => {
            udp_packet(walk, ip, ports, be16(walk.bytes, ip.at + 4).unwrap_or_default(), 0)
        }
        _ => Decoded::Skip(missing),
    }
}

/// The SCTP packet that `ip` carries (RFC 9260): its ports, the chunks as payload.
pub(super) fn sctp(walk: &Walk<'_>, ip: &Ip) -> Result<Packet, SkipReason> {
    let [src, dst] = ports(walk.bytes, ip.at).ok_or_else(|| ip.missing(ip.at, SCTP_HEADER_LEN))?;
    let at = ip.at + SCTP_HEADER_LEN;
    let key = FlowKey::of(ip.src, src, ip.dst, dst, Transport::Sctp);
    Ok(walk.packet(ip, key, (at, ip.rest(at)), Layer::Other))
}

/// A packet of a transport without ports, its header left to the payload.
pub(super) fn other(walk: &Walk<'_>, ip: &Ip, transport: Transport, at: usize) -> Packet {
    let key = FlowKey::of(ip.src, 0, ip.dst, 0, transport);
    walk.packet(ip, key, (at, ip.rest(at)), Layer::Other)
}

/// The source and destination ports at `at`.
#[inline(always)]
pub(super) fn ports(bytes: &[u8], at: usize) -> Option<[u16; 2]> {
    let [a, b, c, d] = array(bytes, at)?;
    Some([u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])])
}
