//! The short cut that most frames take: Ethernet with at most one tag, IPv4 without options or fragments, a whole TCP or
//! UDP header, no tunnel.
//!
//! What it answers is what the general way answers, in a fraction of the instructions: the headers are looked at once
//! as an array, and nothing depends on which end sent them. `None` says nothing of the frame.

#![expect(clippy::inline_always, reason = "its answer is built where the caller wants it, not copied there")]

use crate::capture::batch::Frame;
use crate::decode::ip::protocol;
use crate::decode::link;
use crate::decode::link::ethernet;
use crate::decode::packet::Layer;
use crate::decode::packet::Packet;
use crate::decode::packet::Tcp;
use crate::decode::tunnel;
use crate::decode::wire::len32;
use crate::model::addr::Addr;
use crate::model::addr::FlowKey;
use crate::model::addr::Side;
use crate::model::transport::Transport;

const IP_LEN: usize = 20;
/// IPv4 and TCP without options; of UDP it is twelve bytes more than needed, which short frames carry as padding.
const HEADERS_LEN: usize = IP_LEN + 20;
const UDP_LEN: usize = 8;
const ACK: u8 = 0x10;

/// The packet of a plain frame.
#[inline(always)]
pub(super) fn v4(frame: &Frame, bytes: &[u8]) -> Option<Packet> {
    let first = bytes.first_chunk::<18>().filter(|_| frame.link == link::ETHERNET)?;
    let at = match u16::from_be_bytes([first[12], first[13]]) {
        ethernet::IPV4 => 14,
        ethernet::VIRTUAL_LAN if u16::from_be_bytes([first[16], first[17]]) == ethernet::IPV4 => 18,
        _ => return None,
    };
    let head = bytes.get(at..)?.first_chunk::<HEADERS_LEN>()?;
    let be16 = |low: usize, high: usize| Some(u16::from_be_bytes([*head.get(low)?, *head.get(high)?]));
    let total = usize::from(be16(2, 3)?);
    // Version and length; "more fragments" and offset; a length that segmentation left empty is the general way's.
    if head[0] != 0x45 || (head[6] & 0x3f) | head[7] != 0 || total < IP_LEN {
        return None;
    }
    let limit = bytes.len().max(frame.wire_len as usize).min(at + total);
    let captured = bytes.len().min(limit);
    let above = at + IP_LEN;
    let (transport, payload_at, payload_len, layer) = match head[9] {
        protocol::TCP => {
            let payload_at = above + usize::from(head[32] >> 4) * 4;
            if head[32] < 0x50 || payload_at > captured {
                return None;
            }
            let flags = head[33];
            let ack = u32::from_be_bytes([head[28], head[29], head[30], head[31]]);
            let tcp = Tcp {
                seq: u32::from_be_bytes([head[24], head[25], head[26], head[27]]),
                ack: if flags & ACK == 0 { 0 } else { ack },
                flags,
                window: be16(34, 35)?,
                checksum: be16(36, 37)?,
            };
            (Transport::Tcp, payload_at, limit - payload_at, Layer::Tcp(tcp))
        }
        protocol::UDP => {
            let length = usize::from(be16(24, 25)?);
            let payload_at = above + UDP_LEN;
            if length < UDP_LEN || payload_at > captured || tunnel::of_ports([be16(20, 21)?, be16(22, 23)?]).is_some() {
                return None;
            }
            let payload_len = (length - UDP_LEN).min(limit - payload_at);
            (Transport::Udp, payload_at, payload_len, Layer::Udp { checksum: be16(26, 27)? })
        }
        _ => return None,
    };
    let source = end([head[12], head[13], head[14], head[15]], [head[20], head[21]]);
    let target = end([head[16], head[17], head[18], head[19]], [head[22], head[23]]);
    let (low, high) = (source.min(target), source.max(target));
    let payload_captured = (captured - payload_at).min(payload_len);
    Some(Packet {
        frame: frame.id,
        ts: frame.ts,
        key: FlowKey { low: addr(low), high: addr(high), low_port: port(low), high_port: port(high), transport },
        from: if target < source { Side::High } else { Side::Low },
        ttl: head[8],
        ip_id: be16(4, 5)?,
        ip_len: len32(total),
        wire_len: frame.wire_len,
        payload_len: len32(payload_len),
        payload_at: len32(payload_at),
        payload_captured: len32(payload_captured),
        lead: if payload_captured > 0 { bytes.get(payload_at).copied().unwrap_or_default() } else { 0 },
        layer,
        link_group: first[0] & 1 != 0,
        tunnels: 0,
    })
}

/// Address and port in one number, which sorts as [`FlowKey::of`] sorts them.
#[inline(always)]
fn end(addr: [u8; 4], port: [u8; 2]) -> u64 {
    u64::from(u32::from_be_bytes(addr)) << 16 | u64::from(u16::from_be_bytes(port))
}

#[inline(always)]
fn addr(end: u64) -> Addr {
    let [_, _, a, b, c, d, ..] = end.to_be_bytes();
    Addr::v4([a, b, c, d])
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the port is the low 16 bits")]
fn port(end: u64) -> u16 {
    end as u16
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop here")]

    use super::*;
    use crate::decode::decoder::Decoder;
    use crate::decode::samples;
    use crate::decode::samples::eth;
    use crate::decode::samples::tcp4;
    use crate::decode::samples::udp4;

    /// Every plain frame, whole, cut, with every byte changed, longer on the wire: the answer is that of the general way.
    #[test]
    fn it_agrees_with_the_general_way() {
        let tagged = |ip: Vec<u8>| eth(0x8100, &[&[0, 7, 8, 0], ip.as_slice()].concat());
        let padded = |ip: Vec<u8>| [eth(0x0800, &ip), vec![0; 14]].concat();
        let mut answers = 0;
        let udp = || udp4(samples::V4, [50_000, 53], samples::PAYLOAD);
        let frames = [
            eth(0x0800, &tcp4()),
            tagged(tcp4()),
            padded(tcp4()),
            padded(udp()),
            tagged([udp(), vec![0; 20]].concat()),
        ];
        for frame in frames {
            for at in 0..frame.len() {
                for flip in [0, 0x01, 0x10, 0x40, 0x80, 0xff] {
                    let mut bytes = frame.clone();
                    *bytes.get_mut(at).unwrap() ^= flip;
                    for cut in [bytes.len(), at, bytes.len() - 3] {
                        let bytes = bytes.get(..cut).unwrap();
                        for wire_len in [bytes.len(), bytes.len() + 9, 20] {
                            let frame = samples::frame(1, bytes, wire_len, 0);
                            let Some(packet) = v4(&frame, bytes) else { continue };
                            let general = Decoder::new().decode_any(&frame, bytes);
                            assert_eq!(format!("Packet({packet:?})"), format!("{general:?}"), "{at} {flip:#x} {cut}");
                            answers += 1;
                        }
                    }
                }
            }
        }
        assert!(answers > 1_000, "{answers}");
    }
}
