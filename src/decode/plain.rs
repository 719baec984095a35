//! The short cut that most frames take: Ethernet with at most one tag, IPv4 without options or fragments, a whole TCP or
//! UDP header, no tunnel.
//!
//! What it answers is what the general way answers, in a fraction of the instructions: the headers are looked at as a few
//! words, and nothing depends on which end sent them. One look gives an [`Outline`], by which nearly every packet is
//! found and counted; the whole packet is made only of those that mean more.

#![expect(clippy::inline_always, reason = "small, and used where what it says stays in registers")]

use crate::capture::batch::Frame;
use crate::decode::ip::protocol;
use crate::decode::link;
use crate::decode::link::ethernet;
use crate::decode::packet::CountsAs;
use crate::decode::packet::Headers;
use crate::decode::packet::Layer;
use crate::decode::packet::Packet;
use crate::decode::packet::Tcp;
use crate::decode::packet::Words;
use crate::decode::tunnel;
use crate::model::addr::FlowKey;
use crate::model::addr::Side;
use crate::model::ids::FrameId;
use crate::model::time::Timestamp;
use crate::model::transport::Transport;

/// Version, header length, "more fragments" and the offset (the reserved bit apart), as they lie in the first eight bytes.
const UNUSUAL: u64 = 0xff00_0000_0000_3fff;
/// Version 4, twenty bytes, no fragment.
const USUAL: u64 = 0x4500_0000_0000_0000;
const IP_LEN: usize = 20;
const UDP_LEN: usize = 8;
const TCP_LEN: usize = 20;
/// IPv4 and TCP without options; of UDP it is twelve bytes more than needed, which short frames carry as padding.
const HEADERS_LEN: usize = IP_LEN + TCP_LEN;

/// The place of ACK in the last word of the headers.
const ACK_AT: u32 = 52;
/// Which bits of that word are what [`Words`] have of it, if it is TCP's.
const MEANT_REST: u64 = 0x00ff_ffff_ffff_0000;
/// Where the last word has SYN and RST (RFC 9293 section 3.1).
const TURNS: u64 = 6 << 48;
/// Where the word before it has the checksum, if it is UDP's.
const UDP_CHECKSUM: u64 = 0xffff << 32;

/// A plain packet in few words, most of them as they lie in its headers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outline {
    key: [u64; 2],
    words: Words,
    payload_len: u16,
    payload_captured: u16,
    payload_at: u8,
    ttl: u8,
    lead: u8,
    /// [`FROM_HIGH`] and [`GROUP`].
    bits: u8,
}

/// The high end sent it.
const FROM_HIGH: u8 = 1;
/// The link layer says that it went to many.
const GROUP: u8 = 2;

impl Outline {
    /// Looks at the headers of a frame; `None` if they are not plain.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "fields are taken out of words, headers end within 98 bytes")]
    #[expect(clippy::needless_bitwise_bool, reason = "what is as good as random must be no jump")]
    pub(super) fn of(frame: &Frame, bytes: &[u8]) -> Option<Self> {
        let first = bytes.first_chunk::<18>().filter(|_| frame.link == link::ETHERNET)?;
        let ip_at = match [be16::<12>(first), be16::<16>(first)] {
            [ethernet::IPV4, _] => 14,
            [ethernet::VIRTUAL_LAN, ethernet::IPV4] => 18,
            _ => return None,
        };
        let head: &[u8; HEADERS_LEN] = bytes.get(ip_at..)?.first_chunk()?;
        let begin = be64::<0>(head);
        if begin & UNUSUAL != USUAL {
            return None;
        }
        let [ttl, number] = [head[8], head[9]];
        let (addrs, ports) = (be64::<12>(head), be32::<20>(head));
        let (numbers, rest) = (be64::<24>(head), be64::<32>(head));
        // Which of the two a packet is, is as good as random: what differs is chosen by bits, not by jumps.
        let (tcp, udp) = (number == protocol::TCP, number == protocol::UDP);
        let (offset, udp_len) = ((rest >> 60) as usize * 4, (numbers >> 48) as usize);
        let whole = (tcp & (offset >= TCP_LEN)) | (udp & (udp_len >= UDP_LEN));
        if !whole
            || (tunnel::may_have(ports) && udp && tunnel::of_ports([(ports >> 16) as u16, ports as u16]).is_some())
        {
            return None;
        }
        let udp = u64::from(udp).wrapping_neg();
        let header_len = offset & !udp as usize | UDP_LEN & udp as usize;
        let payload_max = udp_len.wrapping_sub(UDP_LEN) | !udp as usize;
        let acked = (rest >> ACK_AT & 1).wrapping_neg() >> 32;
        let meant = (u64::MAX << 32 | acked) & !udp | UDP_CHECKSUM & udp;
        let words = [numbers & meant, rest & MEANT_REST & !udp];
        let payload_at = ip_at + IP_LEN + header_len;
        // A length that segmentation left empty, or a lie, is the general way's.
        let end = ip_at + usize::from((begin >> 32) as u16);
        if payload_at > end.min(bytes.len()) {
            return None;
        }
        let payload_len = (end.min(bytes.len().max(frame.wire_len as usize)) - payload_at).min(payload_max);
        let payload_captured = (bytes.len() - payload_at).min(payload_len);
        let lead = if payload_captured > 0 { bytes.get(payload_at).copied().unwrap_or_default() } else { 0 };
        // The ends in the order of `FlowKey::of`: by address, then by port.
        let turned = (addrs.rotate_left(32), ports.rotate_left(16));
        let swap = (turned.0 < addrs) | ((turned.0 == addrs) & (turned.1 < ports));
        let from_high = if swap { FROM_HIGH } else { 0 };
        let lengths = (begin >> 16 & 0xffff_ffff) << 1 | u64::from(from_high);
        let ports = if swap { turned.1 } else { ports };
        Some(Self {
            key: [turned.0.min(addrs), u64::from(number) << 32 | u64::from(ports)],
            words: Words { numbers: words[0], rest: words[1], lengths },
            payload_len: payload_len as u16,
            payload_captured: payload_captured as u16,
            payload_at: payload_at as u8,
            ttl,
            lead,
            bits: from_high | (first[0] & 1) << 1,
        })
    }

    /// Whether it is of a packet: the default is of none.
    #[inline(always)]
    pub fn is_some(&self) -> bool {
        self.payload_at > 0
    }

    /// The key of its flow, as [`FlowKey::v4_words`] says it.
    #[inline(always)]
    pub fn key(&self) -> [u64; 2] {
        self.key
    }

    /// The same as [`Packet::words`].
    #[inline(always)]
    pub fn words(&self) -> Words {
        self.words
    }

    /// Whether there is captured payload, and which end sent it.
    #[inline(always)]
    pub fn speaker(&self) -> Option<Side> {
        (self.payload_captured > 0).then(|| self.from())
    }

    /// Whether it is a segment with SYN or RST.
    #[inline(always)]
    pub fn is_turn(&self) -> bool {
        self.words.rest & TURNS != 0
    }

    #[inline(always)]
    fn from(&self) -> Side {
        if self.bits & FROM_HIGH == 0 { Side::Low } else { Side::High }
    }

    /// Whether the capture cut the payload.
    #[inline(always)]
    pub(super) fn is_cut(&self) -> bool {
        self.payload_captured < self.payload_len
    }

    #[inline(always)]
    fn is_tcp(&self) -> bool {
        self.key[1] >> 32 == Transport::Tcp as u64
    }
}

/// A plain packet: its outline, and the frame that has its number and time.
#[derive(Clone, Copy, Debug)]
pub struct Plain<'a> {
    /// What its headers say.
    pub outline: &'a Outline,
    /// What it lies in.
    pub frame: &'a Frame,
}

impl Plain<'_> {
    /// All of it.
    #[expect(clippy::cast_possible_truncation, reason = "fields are taken out of words")]
    pub fn packet(self) -> Packet {
        let Words { numbers, rest, lengths } = self.outline.words;
        let layer = if self.outline.is_tcp() {
            let (window, checksum) = ((rest >> 32) as u16, (rest >> 16) as u16);
            Layer::Tcp(Tcp { seq: self.seq(), ack: self.ack(), flags: self.flags(), window, checksum })
        } else {
            Layer::Udp { checksum: (numbers >> 32) as u16 }
        };
        Packet {
            frame: self.frame(),
            ts: self.ts(),
            key: self.key(),
            from: self.from(),
            ttl: self.ttl(),
            ip_id: (lengths >> 1) as u16,
            ip_len: self.ip_len(),
            payload_len: self.payload_len(),
            payload_at: self.outline.payload_at.into(),
            payload_captured: self.outline.payload_captured.into(),
            lead: self.lead(),
            layer,
            link_group: self.link_group(),
            tunnels: 0,
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "fields are taken out of words")]
impl Headers for Plain<'_> {
    #[inline(always)]
    fn frame(&self) -> FrameId {
        self.frame.id
    }

    #[inline(always)]
    fn ts(&self) -> Timestamp {
        self.frame.ts
    }

    #[inline(always)]
    fn key(&self) -> FlowKey {
        FlowKey::of_v4_words(self.outline.key)
    }

    #[inline(always)]
    fn v4_words(&self) -> Option<[u64; 2]> {
        Some(self.outline.key)
    }

    #[inline(always)]
    fn from(&self) -> Side {
        self.outline.from()
    }

    #[inline(always)]
    fn ttl(&self) -> u8 {
        self.outline.ttl
    }

    #[inline(always)]
    fn ip_len(&self) -> u32 {
        (self.outline.words.lengths >> 17) as u32
    }

    #[inline(always)]
    fn payload_len(&self) -> u32 {
        self.outline.payload_len.into()
    }

    #[inline(always)]
    fn has_payload(&self) -> bool {
        self.outline.payload_captured > 0
    }

    #[inline(always)]
    fn lead(&self) -> u8 {
        self.outline.lead
    }

    #[inline(always)]
    fn link_group(&self) -> bool {
        self.outline.bits & GROUP != 0
    }

    #[inline(always)]
    fn counts_as(&self) -> CountsAs {
        if self.outline.is_tcp() { CountsAs::Segment } else { CountsAs::Datagram }
    }

    #[inline(always)]
    fn seq(&self) -> u32 {
        (self.outline.words.numbers >> 32) as u32
    }

    #[inline(always)]
    fn ack(&self) -> u32 {
        self.outline.words.numbers as u32
    }

    #[inline(always)]
    fn flags(&self) -> u8 {
        (self.outline.words.rest >> 48) as u8
    }
}

/// Eight bytes of the headers.
#[inline(always)]
fn be64<const AT: usize>(head: &[u8; HEADERS_LEN]) -> u64 {
    let byte = |place: usize| head[AT + place];
    u64::from_be_bytes([byte(0), byte(1), byte(2), byte(3), byte(4), byte(5), byte(6), byte(7)])
}

#[inline(always)]
fn be32<const AT: usize>(head: &[u8; HEADERS_LEN]) -> u32 {
    u32::from_be_bytes([head[AT], head[AT + 1], head[AT + 2], head[AT + 3]])
}

#[inline(always)]
fn be16<const AT: usize>(bytes: &[u8; 18]) -> u16 {
    u16::from_be_bytes([bytes[AT], bytes[AT + 1]])
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
                            let packet = Plain { outline: &outline, frame: &frame }.packet();
                            assert_eq!(packet.words(), outline.words());
                            assert_eq!(packet.key.v4_words(), Some(outline.key()));
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
