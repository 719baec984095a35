//! The short cut that most frames take: Ethernet with at most one tag, IPv4 without options or fragments, a whole TCP or
//! UDP header, no tunnel.
//!
//! What it answers is what the general way answers, in a fraction of the instructions: the headers are looked at once
//! as an array, and nothing depends on which end sent them. `None` says nothing of the frame.

#![expect(clippy::inline_always, reason = "small, and used once")]

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
const UDP_LEN: usize = 8;
/// IPv4 and TCP without options; of UDP it is twelve bytes more than needed, which short frames carry as padding.
const HEADERS_LEN: usize = IP_LEN + 20;
const ACK: u8 = 0x10;
/// "More fragments", the reserved bit apart, and the offset.
const FRAGMENT: u32 = 0x3fff;

type Head = [u8; HEADERS_LEN];

/// Puts the packet of a plain frame into its place, which is left alone if there is none.
#[inline(always)]
pub(super) fn v4(frame: &Frame, bytes: &[u8], place: &mut Packet) -> Option<()> {
    let first = bytes.first_chunk::<18>().filter(|_| frame.link == link::ETHERNET)?;
    let at = match [be16::<12, 18>(first), be16::<16, 18>(first)] {
        [ethernet::IPV4, _] => 14,
        [ethernet::VIRTUAL_LAN, ethernet::IPV4] => 18,
        _ => return None,
    };
    let head: &Head = bytes.get(at..)?.first_chunk()?;
    let [length, numbering, life] = [be32::<0>(head), be32::<4>(head), be32::<8>(head)];
    let total = (length & 0xffff) as usize;
    // Version and length; a length that segmentation left empty is the general way's.
    if length >> 24 != 0x45 || numbering & FRAGMENT != 0 || total < IP_LEN {
        return None;
    }
    let limit = bytes.len().max(frame.wire_len as usize).min(at + total);
    let captured = bytes.len().min(limit);
    let (transport, payload_at, payload_len, layer) = match head[9] {
        protocol::TCP => {
            let offset = head[32] >> 4;
            let payload_at = at + IP_LEN + usize::from(offset) * 4;
            if offset < 5 || payload_at > captured {
                return None;
            }
            let flags = head[33];
            let tcp = Tcp {
                seq: be32::<24>(head),
                ack: if flags & ACK == 0 { 0 } else { be32::<28>(head) },
                flags,
                window: be16::<34, HEADERS_LEN>(head),
                checksum: be16::<36, HEADERS_LEN>(head),
            };
            (Transport::Tcp, payload_at, limit - payload_at, Layer::Tcp(tcp))
        }
        protocol::UDP => {
            let length = usize::from(be16::<24, HEADERS_LEN>(head));
            let payload_at = at + IP_LEN + UDP_LEN;
            let ports = [be16::<20, HEADERS_LEN>(head), be16::<22, HEADERS_LEN>(head)];
            if length < UDP_LEN || payload_at > captured || tunnel::of_ports(ports).is_some() {
                return None;
            }
            let payload_len = (length - UDP_LEN).min(limit - payload_at);
            (Transport::Udp, payload_at, payload_len, Layer::Udp { checksum: be16::<26, HEADERS_LEN>(head) })
        }
        _ => return None,
    };
    // Address and port in one number sort as `FlowKey::of` sorts them.
    let ports = be32::<20>(head);
    let source = u64::from(be32::<12>(head)) << 16 | u64::from(ports >> 16);
    let target = u64::from(be32::<16>(head)) << 16 | u64::from(ports & 0xffff);
    let (low, high) = (source.min(target), source.max(target));
    let payload_captured = (captured - payload_at).min(payload_len);
    *place = Packet {
        frame: frame.id,
        ts: frame.ts,
        key: FlowKey { low: addr(low), high: addr(high), low_port: port(low), high_port: port(high), transport },
        from: if target < source { Side::High } else { Side::Low },
        ttl: (life >> 24) as u8,
        ip_id: (numbering >> 16) as u16,
        ip_len: len32(total),
        payload_len: len32(payload_len),
        payload_at: len32(payload_at),
        payload_captured: len32(payload_captured),
        lead: if payload_captured > 0 { bytes.get(payload_at).copied().unwrap_or_default() } else { 0 },
        layer,
        link_group: first[0] & 1 != 0,
        tunnels: 0,
    };
    Some(())
}

#[inline(always)]
fn be16<const AT: usize, const LEN: usize>(bytes: &[u8; LEN]) -> u16 {
    u16::from_be_bytes([bytes[AT], bytes[AT + 1]])
}

#[inline(always)]
fn be32<const AT: usize>(head: &Head) -> u32 {
    u32::from_be_bytes([head[AT], head[AT + 1], head[AT + 2], head[AT + 3]])
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the address is the 32 bits above")]
fn addr(end: u64) -> Addr {
    Addr::v4_bits((end >> 16) as u32)
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
                            let mut packet = Packet::NONE;
                            let Some(()) = v4(&frame, bytes, &mut packet) else { continue };
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
