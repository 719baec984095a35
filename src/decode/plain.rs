//! The short cut that most frames take: Ethernet with at most one tag, IPv4 without options or fragments, a whole TCP or
//! UDP header, no tunnel.
//!
//! What it answers is what the general way answers, in a fraction of the instructions: the headers are looked at as an
//! array, and nothing depends on which end sent them. A first look gives an [`Outline`], which finds the flow; the
//! packet is made of it where the flow lies at hand, and need not be kept anywhere in between.

#![expect(clippy::inline_always, reason = "small, and used where what it says stays in registers")]

use crate::capture::batch::Frame;
use crate::decode::ip::protocol;
use crate::decode::link;
use crate::decode::link::ethernet;
use crate::decode::packet::Layer;
use crate::decode::packet::Packet;
use crate::decode::packet::Tcp;
use crate::decode::tunnel;
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
const FRAGMENT: u16 = 0x3fff;

type Head = [u8; HEADERS_LEN];

/// What finds the flow of a plain frame, and where the rest of the frame lies: 24 bytes instead of a whole packet.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outline {
    ends: [u64; 2],
    payload_len: u16,
    payload_captured: u16,
    payload_at: u8,
    ip_at: u8,
    /// 1 if the high end sent it. A [`Side`] would let `Option` hide in it, and to find out costs more than to say it.
    from_high: u8,
}

impl Outline {
    /// Looks at the headers of a frame; `None` if they are not plain.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "IPv4 lengths have 16 bits, headers end within 98 bytes")]
    pub(super) fn of(frame: &Frame, bytes: &[u8]) -> Option<Self> {
        let first = bytes.first_chunk::<18>().filter(|_| frame.link == link::ETHERNET)?;
        let ip_at = match [be16::<12, 18>(first), be16::<16, 18>(first)] {
            [ethernet::IPV4, _] => 14,
            [ethernet::VIRTUAL_LAN, ethernet::IPV4] => 18,
            _ => return None,
        };
        let head = head(bytes, ip_at)?;
        let total = usize::from(be16::<2, HEADERS_LEN>(head));
        // Version and length; a length that segmentation left empty is the general way's.
        if head[0] != 0x45 || be16::<6, HEADERS_LEN>(head) & FRAGMENT != 0 || total < IP_LEN {
            return None;
        }
        let limit = bytes.len().max(frame.wire_len as usize).min(ip_at + total);
        let captured = bytes.len().min(limit);
        let ports = be32::<20>(head);
        let (header_len, payload_max) = match head[9] {
            protocol::TCP if head[32] >= 0x50 => (usize::from(head[32] >> 4) * 4, usize::MAX),
            protocol::UDP if tunnel::of_ports([(ports >> 16) as u16, ports as u16]).is_none() => {
                (UDP_LEN, usize::from(be16::<24, HEADERS_LEN>(head)).checked_sub(UDP_LEN)?)
            }
            _ => return None,
        };
        let payload_at = ip_at + IP_LEN + header_len;
        if payload_at > captured {
            return None;
        }
        let payload_len = (limit - payload_at).min(payload_max);
        // Address and port in one number sort as `FlowKey::of` sorts them.
        let source = u64::from(be32::<12>(head)) << 16 | u64::from(ports >> 16);
        let target = u64::from(be32::<16>(head)) << 16 | u64::from(ports & 0xffff);
        Some(Self {
            ends: [u64::from(head[9]) << 48 | source.min(target), source.max(target)],
            payload_len: payload_len as u16,
            payload_captured: (captured - payload_at).min(payload_len) as u16,
            payload_at: payload_at as u8,
            ip_at: ip_at as u8,
            from_high: u8::from(target < source),
        })
    }

    /// The key of its flow, as [`FlowKey::v4_ends`] says it.
    #[inline(always)]
    pub fn ends(&self) -> [u64; 2] {
        self.ends
    }

    /// The same as [`Packet::numbers`], from the same bytes.
    #[inline(always)]
    pub fn numbers(&self, bytes: &[u8]) -> u64 {
        let Some(head) = head(bytes, self.ip_at.into()) else { return 0 };
        let last = if head[9] == protocol::TCP {
            let ack = if head[33] & ACK == 0 { 0 } else { be32::<28>(head) };
            be32::<24>(head) ^ ack.rotate_left(16)
        } else {
            be16::<26, HEADERS_LEN>(head).into()
        };
        (u64::from(be32::<2>(head)) << 32) ^ u64::from(last)
    }

    /// Whether there is captured payload, and which end sent it.
    #[inline(always)]
    pub fn speaker(&self) -> Option<Side> {
        (self.payload_captured > 0).then(|| self.from())
    }

    #[inline(always)]
    fn from(&self) -> Side {
        if self.from_high == 0 { Side::Low } else { Side::High }
    }

    /// Whether the capture cut the payload.
    #[inline(always)]
    pub(super) fn is_cut(&self) -> bool {
        self.payload_captured < self.payload_len
    }

    /// The whole packet, from the same frame and bytes.
    ///
    /// Whoever looks at few of its fields, and hands it to nobody, pays for these only.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "fields are taken out of words")]
    pub fn packet(&self, frame: &Frame, bytes: &[u8]) -> Option<Packet> {
        let head = head(bytes, self.ip_at.into())?;
        // Whole words, of which signatures take more than one field at a time.
        let [first, _, _, numbers, rest] = words(head);
        let (transport, layer) = if head[9] == protocol::TCP {
            let flags = (rest >> 48) as u8;
            let numbers = if flags & ACK == 0 { numbers >> 32 << 32 } else { numbers };
            let (seq, ack) = ((numbers >> 32) as u32, numbers as u32);
            let (window, checksum) = ((rest >> 32) as u16, (rest >> 16) as u16);
            (Transport::Tcp, Layer::Tcp(Tcp { seq, ack, flags, window, checksum }))
        } else {
            (Transport::Udp, Layer::Udp { checksum: be16::<26, HEADERS_LEN>(head) })
        };
        let [low, high] = self.ends;
        let lead = bytes.get(usize::from(self.payload_at)).filter(|_| self.payload_captured > 0);
        Some(Packet {
            frame: frame.id,
            ts: frame.ts,
            key: FlowKey { low: addr(low), high: addr(high), low_port: port(low), high_port: port(high), transport },
            from: self.from(),
            ttl: head[8],
            ip_id: (first >> 16) as u16,
            ip_len: (first >> 32) as u32 & 0xffff,
            payload_len: self.payload_len.into(),
            payload_at: self.payload_at.into(),
            payload_captured: self.payload_captured.into(),
            lead: lead.copied().unwrap_or_default(),
            layer,
            link_group: bytes.first().is_some_and(|first| first & 1 != 0),
            tunnels: 0,
        })
    }
}

#[inline(always)]
fn head(bytes: &[u8], ip_at: usize) -> Option<&Head> {
    bytes.get(ip_at..)?.first_chunk()
}

/// Its eight bytes at a time; the last two of UDP mean nothing.
#[inline(always)]
fn words(head: &Head) -> [u64; 5] {
    let (words, _) = head.as_chunks::<8>();
    std::array::from_fn(|at| words.get(at).map_or(0, |word| u64::from_be_bytes(*word)))
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
                            let Some(outline) = Outline::of(&frame, bytes) else { continue };
                            let packet = outline.packet(&frame, bytes).unwrap();
                            assert_eq!(packet.key.v4_ends(), Some(outline.ends()));
                            assert_eq!(packet.numbers(), outline.numbers(bytes));
                            assert_eq!(outline.is_cut(), packet.payload_captured < packet.payload_len);
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
