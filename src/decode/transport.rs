//! TCP, UDP and the transports that are only followed: ports, flags, lengths.
//!
//! Knows no tunnel and no meaning of a port.

#![expect(clippy::inline_always, reason = "a packet that is not built in place is copied: twice the time")]

use etherparse::TcpHeaderSlice;
use etherparse::UdpHeaderSlice;

use crate::decode::ip::Ip;
use crate::decode::packet::Layer;
use crate::decode::packet::Packet;
use crate::decode::packet::SkipReason;
use crate::decode::packet::Tcp;
use crate::decode::walk::Walk;
use crate::decode::wire::array;
use crate::decode::wire::be16;
use crate::decode::wire::be32;
use crate::model::addr::FlowKey;
use crate::model::transport::Transport;

const TCP_HEADER_LEN: usize = 20;
const UDP_HEADER_LEN: usize = 8;
const SCTP_HEADER_LEN: usize = 12;
const ACK: u8 = 0x10;

/// The TCP segment that `ip` carries, if its header is whole.
#[inline(always)]
pub(super) fn tcp(walk: &Walk<'_>, ip: &Ip) -> Option<Packet> {
    let header = TcpHeaderSlice::from_slice(walk.from(ip.at)).ok()?;
    let flags = header.slice().get(13).copied().unwrap_or_default();
    let tcp = Tcp {
        seq: header.sequence_number(),
        ack: if flags & ACK == 0 { 0 } else { header.acknowledgment_number() },
        flags,
        window: header.window_size(),
        checksum: header.checksum(),
    };
    Some(segment(walk, ip, [header.source_port(), header.destination_port()], header.slice().len(), tcp))
}

/// The TCP segment that `ip` carries, if ports, sequence numbers and flags are there.
pub(super) fn tcp_or_cut(walk: &Walk<'_>, ip: &Ip) -> Result<Packet, SkipReason> {
    if let Some(packet) = tcp(walk, ip) {
        return Ok(packet);
    }
    let bytes = walk.from(ip.at);
    let (Some(ports), Some(seq), Some(ack), Some([offset, flags])) =
        (ports(bytes, 0), be32(bytes, 4), be32(bytes, 8), array(bytes, 12))
    else {
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
        window: be16(bytes, 14).unwrap_or_default(),
        checksum: be16(bytes, 16).unwrap_or_default(),
    };
    Ok(segment(walk, ip, ports, header_len, tcp))
}

#[inline(always)]
fn segment(walk: &Walk<'_>, ip: &Ip, [src, dst]: [u16; 2], header_len: usize, tcp: Tcp) -> Packet {
    let at = ip.at + header_len;
    walk.packet(ip, FlowKey::of(ip.src, src, ip.dst, dst, Transport::Tcp), (at, ip.rest(at)), Layer::Tcp(tcp))
}

/// The UDP datagram that `ip` carries, if its header is whole, and its ports.
#[inline(always)]
pub(super) fn udp(walk: &Walk<'_>, ip: &Ip) -> Option<(Packet, [u16; 2])> {
    let header = UdpHeaderSlice::from_slice(walk.from(ip.at)).ok()?;
    let ports = [header.source_port(), header.destination_port()];
    Some((datagram(walk, ip, ports, header.length(), header.checksum())?, ports))
}

/// The UDP datagram that `ip` carries, if its ports are there, and they.
pub(super) fn udp_or_cut(walk: &Walk<'_>, ip: &Ip) -> Result<(Packet, [u16; 2]), SkipReason> {
    if let Some(found) = udp(walk, ip) {
        return Ok(found);
    }
    let missing = ip.missing(ip.at, UDP_HEADER_LEN);
    let ports = ports(walk.bytes, ip.at).ok_or(missing)?;
    let length = be16(walk.bytes, ip.at + 4).unwrap_or_default();
    match datagram(walk, ip, ports, length, 0) {
        Some(packet) if missing == SkipReason::CutShort => Ok((packet, ports)),
        _ => Err(SkipReason::Malformed),
    }
}

/// `None` if the length contradicts the header.
#[inline(always)]
fn datagram(walk: &Walk<'_>, ip: &Ip, [src, dst]: [u16; 2], length: u16, checksum: u16) -> Option<Packet> {
    let at = ip.at + UDP_HEADER_LEN;
    let payload_len = match usize::from(length) {
        // RFC 2675: the length is that of the jumbogram.
        0 => ip.rest(at),
        // A first fragment claims the length of the whole datagram.
        length => length.checked_sub(UDP_HEADER_LEN)?.min(ip.rest(at)),
    };
    let key = FlowKey::of(ip.src, src, ip.dst, dst, Transport::Udp);
    Some(walk.packet(ip, key, (at, payload_len), Layer::Udp { checksum }))
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
#[inline]
pub(super) fn ports(bytes: &[u8], at: usize) -> Option<[u16; 2]> {
    let [a, b, c, d] = array(bytes, at)?;
    Some([u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])])
}
