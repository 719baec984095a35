//! TCP, UDP and the transports that are only followed: ports, flags, lengths.
//!
//! Knows no tunnel and no meaning of a port.

use etherparse::TcpHeaderSlice;
use etherparse::UdpHeaderSlice;

use crate::decode::ip::Ip;
use crate::decode::packet::Layer;
use crate::decode::packet::Packet;
use crate::decode::packet::SkipReason;
use crate::decode::packet::Tcp;
use crate::decode::walk::Walk;
use crate::decode::wire::be16;
use crate::decode::wire::be32;
use crate::decode::wire::u8_at;
use crate::model::addr::FlowKey;
use crate::model::transport::Transport;

const TCP_HEADER_LEN: usize = 20;
/// Up to here a TCP header must be captured: ports, sequence numbers, offset, flags.
const TCP_LEAST: usize = 14;
const UDP_HEADER_LEN: usize = 8;
/// Two port numbers.
const PORTS_LEN: usize = 4;
const SCTP_HEADER_LEN: usize = 12;
const ACK: u8 = 0x10;

/// The TCP segment that `ip` carries.
#[inline]
pub(super) fn tcp(walk: &Walk<'_>, ip: &Ip) -> Result<Packet, SkipReason> {
    let segment = walk.from(ip.at);
    let Ok(header) = TcpHeaderSlice::from_slice(segment) else {
        return cut_tcp(walk, ip, segment);
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
    Ok(walk.packet(ip, key, (at, ip.rest(at)), Layer::Tcp(tcp)))
}

/// A segment whose header is not wholly there: cut by the capture, or wrong.
#[cold]
fn cut_tcp(walk: &Walk<'_>, ip: &Ip, segment: &[u8]) -> Result<Packet, SkipReason> {
    let (Some(src), Some(dst), Some(seq), Some(ack), Some(offset), Some(flags)) = (
        be16(segment, 0),
        be16(segment, 2),
        be32(segment, 4),
        be32(segment, 8),
        u8_at(segment, 12),
        u8_at(segment, TCP_LEAST - 1),
    ) else {
        return Err(ip.missing(ip.at, TCP_HEADER_LEN));
    };
    let header_len = usize::from(offset >> 4) * 4;
    if header_len < TCP_HEADER_LEN || ip.missing(ip.at, header_len) == SkipReason::Malformed {
        return Err(SkipReason::Malformed);
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
    Ok(walk.packet(ip, key, (at, ip.rest(at)), Layer::Tcp(tcp)))
}

/// The UDP datagram that `ip` carries, and its ports: source, destination.
#[inline]
pub(super) fn udp(walk: &Walk<'_>, ip: &Ip) -> Result<(Packet, [u16; 2]), SkipReason> {
    let datagram = walk.from(ip.at);
    let (ports, length, checksum) = match UdpHeaderSlice::from_slice(datagram) {
        Ok(header) => ([header.source_port(), header.destination_port()], header.length(), header.checksum()),
        Err(_) => cut_udp(ip, datagram)?,
    };
    let room = ip.rest(ip.at + UDP_HEADER_LEN);
    let payload_len = match usize::from(length) {
        // RFC 2675: the length is that of the jumbogram.
        0 => room,
        // A first fragment claims the length of the whole datagram.
        length => length.checked_sub(UDP_HEADER_LEN).ok_or(SkipReason::Malformed)?.min(room),
    };
    let [src, dst] = ports;
    let key = FlowKey::of(ip.src, src, ip.dst, dst, Transport::Udp);
    Ok((walk.packet(ip, key, (ip.at + UDP_HEADER_LEN, payload_len), Layer::Udp { checksum }), ports))
}

#[cold]
fn cut_udp(ip: &Ip, datagram: &[u8]) -> Result<([u16; 2], u16, u16), SkipReason> {
    let missing = ip.missing(ip.at, UDP_HEADER_LEN);
    match (be16(datagram, 0), be16(datagram, 2)) {
        (Some(src), Some(dst)) if missing == SkipReason::CutShort => {
            Ok(([src, dst], be16(datagram, 4).unwrap_or_default(), 0))
        }
        _ => Err(missing),
    }
}

/// The SCTP packet that `ip` carries (RFC 9260): its ports, the chunks as payload.
pub(super) fn sctp(walk: &Walk<'_>, ip: &Ip) -> Result<Packet, SkipReason> {
    let (Some(src), Some(dst)) = (be16(walk.bytes, ip.at), be16(walk.bytes, ip.at + 2)) else {
        return Err(ip.missing(ip.at, SCTP_HEADER_LEN));
    };
    let at = ip.at + SCTP_HEADER_LEN;
    let key = FlowKey::of(ip.src, src, ip.dst, dst, Transport::Sctp);
    Ok(walk.packet(ip, key, (at, ip.rest(at)), Layer::Other))
}

/// A packet of a transport without ports, its header left to the payload.
pub(super) fn other(walk: &Walk<'_>, ip: &Ip, transport: Transport, at: usize) -> Packet {
    let key = FlowKey::of(ip.src, 0, ip.dst, 0, transport);
    walk.packet(ip, key, (at, ip.rest(at)), Layer::Other)
}

/// The ports at `at`, for a packet of which little more is there (an ICMP quote).
pub(super) fn ports(bytes: &[u8], at: usize) -> Option<[u16; 2]> {
    Some([be16(bytes, at)?, be16(bytes, at.checked_add(PORTS_LEN / 2)?)?])
}
