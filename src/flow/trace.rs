//! What one capture saw of each TCP and UDP conversation, packet by packet, so that two captures can be laid beside each
//! other.
//!
//! Keeps the first packets of each way as prints, and how far each way came; hands on [`Traces`] in the order in which
//! the conversations began. It must never know of another capture, nor what a loss means.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::decode::packet::IcmpError;
use crate::decode::packet::Layer;
use crate::decode::packet::Packet;
use crate::decode::packet::Tcp;
use crate::flow::duplicate::Likeness;
use crate::flow::duplicate::Recent;
use crate::flow::record::ACK;
use crate::flow::record::FIN;
use crate::flow::record::RST;
use crate::flow::record::SYN;
use crate::flow::tcp::after;
use crate::model::addr::FlowKey;
use crate::model::addr::Side;
use crate::model::ids::FrameId;
use crate::model::time::Timestamp;
use crate::model::transport::Transport;

/// Packets of one way that are kept one by one; further ones are counted.
pub const PRINTS_MAX: usize = 64;

/// What a conversation takes in memory, bytes, until it was laid beside that of the other capture.
const TRACE_BYTES: u64 = 1024;

/// What a packet takes that is kept, room for the next ones included.
const PRINT_BYTES: u64 = 2 * size_of::<Print>() as u64;

/// Payload bytes that tell one packet from another.
const DIGEST_BYTES: usize = 64;

/// The conversations of a capture.
#[derive(Debug)]
pub struct Traces {
    all: Vec<Trace>,
    newest: HashMap<FlowKey, usize, RandomState>,
    recent: Recent,
    /// Bytes of memory that are left.
    room: u64,
    left_out: u64,
    others: u64,
}

/// One conversation. Arrays have one place for each [`Side`] of the key.
#[derive(Clone, Debug)]
pub struct Trace {
    /// Both ends.
    pub key: FlowKey,
    /// Who began it, as far as packets tell.
    pub began: Side,
    /// The initial sequence number of each end, from its SYN.
    pub isn: [Option<u32>; 2],
    /// What each end sent.
    pub ways: [Way; 2],
    /// When the first packet was seen.
    pub first: Timestamp,
    /// When the last packet was seen.
    pub last: Timestamp,
    /// The first ICMP error about it, "too big" apart, and its frame.
    pub error: Option<(IcmpError, FrameId)>,
}

/// What one end sent.
#[derive(Clone, Debug, Default)]
pub struct Way {
    /// Packets, copies apart.
    pub packets: u64,
    /// Of these, RSTs.
    pub resets: u64,
    /// Segments that carry nothing but what was sent before: repeated, or out of order.
    pub repeated: u64,
    /// The first [`PRINTS_MAX`] of them.
    pub prints: Vec<Print>,
    /// The sequence number after the last payload byte, and when it was first reached.
    pub end: Option<(u32, Timestamp)>,
    /// The highest acknowledgement.
    pub ack: Option<u32>,
    /// The sequence number after everything sent, SYN and FIN counted.
    reached: Option<u32>,
    /// When the last packet was seen.
    pub last: Timestamp,
    /// Time to live of the first packet.
    pub ttl: u8,
    /// The frame of the first packet.
    pub frame: FrameId,
}

/// What tells a packet from others, wherever it is seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Print {
    /// When it was seen.
    pub ts: Timestamp,
    /// Its frame.
    pub frame: FrameId,
    /// Sequence number; 0 for UDP.
    pub seq: u32,
    /// Acknowledgement number; 0 for UDP.
    pub ack: u32,
    /// Length of the payload by the headers, bytes.
    pub len: u32,
    /// IPv4 identification; 0 tells nothing.
    pub ip_id: u16,
    /// TCP flags that matter: SYN, FIN, RST, ACK.
    pub flags: u8,
    /// A digest of the first payload bytes; 0 if there are none, or too few were captured.
    pub digest: u64,
}

impl Traces {
    /// None yet; those to come may take so many bytes of memory.
    pub fn within(room: u64) -> Self {
        Self { all: Vec::new(), newest: HashMap::default(), recent: Recent::default(), room, left_out: 0, others: 0 }
    }

    /// The conversations, in the order they began.
    pub fn all(&self) -> &[Trace] {
        &self.all
    }

    /// Packets of conversations for which there was no room.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Packets that are neither TCP nor UDP, and later fragments.
    pub fn others(&self) -> u64 {
        self.others
    }

    /// Adds a packet. `payload` is what was captured of its payload.
    pub fn add(&mut self, packet: &Packet, payload: &[u8]) {
        let mix = mix(&packet.key);
        if self.recent.is_copy(Likeness::of(packet.words(), mix, mix.rotate_left(17)), packet.ts.0) {
            return;
        }
        match packet.layer {
            Layer::Tcp(tcp) => self.add_tcp(packet, tcp, payload),
            Layer::Udp { .. } => {
                if let Some(place) = self.place(packet, None) {
                    self.count(place, packet, print(packet, None, payload));
                }
            }
            Layer::IcmpError(error) => self.add_error(packet, error),
            _ => self.others += 1,
        }
    }

    fn add_tcp(&mut self, packet: &Packet, tcp: Tcp, payload: &[u8]) {
        let Some(place) = self.place(packet, Some(tcp)) else { return };
        let side = packet.from.index();
        if let Some(trace) = self.all.get_mut(place) {
            if tcp.flags & SYN != 0 {
                let isn = trace.isn.get_mut(side);
                isn.map(|isn| isn.get_or_insert(tcp.seq));
                trace.began = if tcp.flags & ACK == 0 { packet.from } else { packet.from.other() };
            }
            if let Some(way) = trace.ways.get_mut(side) {
                way.note_numbers(tcp, packet);
            }
        }
        self.count(place, packet, print(packet, Some(tcp), payload));
    }

    fn add_error(&mut self, packet: &Packet, error: IcmpError) {
        const TOO_BIG_V4: (u8, u8) = (3, 4);
        const TOO_BIG_V6: u8 = 2;
        let too_big = if error.v6 { error.kind == TOO_BIG_V6 } else { (error.kind, error.code) == TOO_BIG_V4 };
        let trace = self.newest.get(&packet.key).and_then(|place| self.all.get_mut(*place));
        if let Some(trace) = trace.filter(|trace| trace.error.is_none() && !too_big) {
            trace.error = Some((error, packet.frame));
        }
    }

    /// The conversation of a packet: a SYN with another number than the one before begins a new one.
    fn place(&mut self, packet: &Packet, tcp: Option<Tcp>) -> Option<usize> {
        let side = packet.from.index();
        let begins = tcp.filter(|tcp| tcp.flags & (SYN | ACK) == SYN).map(|tcp| tcp.seq);
        if let Some((place, trace)) = self.newest.get(&packet.key).and_then(|at| Some((*at, self.all.get(*at)?))) {
            let same = begins.is_none_or(|isn| trace.isn.get(side) == Some(&Some(isn)));
            if same {
                return Some(place);
            }
        }
        if !self.takes(TRACE_BYTES) {
            return None;
        }
        let place = self.all.len();
        self.newest.insert(packet.key, place);
        self.all.push(Trace {
            key: packet.key,
            began: packet.from,
            isn: [None; 2],
            ways: [Way::default(), Way::default()],
            first: packet.ts,
            last: packet.ts,
            error: None,
        });
        Some(place)
    }

    fn count(&mut self, place: usize, packet: &Packet, print: Print) {
        let Some(trace) = self.all.get_mut(place) else { return };
        trace.last = trace.last.max(packet.ts);
        let Some(way) = trace.ways.get_mut(packet.from.index()) else { return };
        if way.packets == 0 {
            (way.ttl, way.frame) = (packet.ttl, packet.frame);
        }
        way.packets += 1;
        way.resets += u64::from(print.flags & RST != 0);
        way.last = way.last.max(packet.ts);
        if way.prints.len() >= PRINTS_MAX || !self.takes(PRINT_BYTES) {
            return;
        }
        if let Some(way) = self.all.get_mut(place).and_then(|trace| trace.ways.get_mut(packet.from.index())) {
            way.prints.push(print);
        }
    }

    /// Whether there is room for so many bytes more; a packet for which there is none is counted.
    fn takes(&mut self, bytes: u64) -> bool {
        let left = self.room.checked_sub(bytes);
        self.left_out += u64::from(left.is_none());
        self.room = left.unwrap_or(self.room);
        left.is_some()
    }
}

impl Trace {
    /// Whether every packet of the way was kept.
    pub fn is_whole(&self, side: Side) -> bool {
        self.way(side).is_some_and(|way| way.packets == way.prints.len() as u64)
    }

    /// What this end sent.
    pub fn way(&self, side: Side) -> Option<&Way> {
        self.ways.get(side.index())
    }

    /// The initial sequence number of this end.
    pub fn isn(&self, side: Side) -> Option<u32> {
        self.isn.get(side.index()).copied().flatten()
    }

    /// Whether it is TCP.
    pub fn is_tcp(&self) -> bool {
        self.key.transport == Transport::Tcp
    }
}

impl Way {
    fn note_numbers(&mut self, tcp: Tcp, packet: &Packet) {
        let end = tcp.seq.wrapping_add(packet.payload_len);
        let all = end.wrapping_add(u32::from(tcp.flags & SYN != 0) + u32::from(tcp.flags & FIN != 0));
        if all != tcp.seq {
            if self.reached.is_none_or(|reached| after(all, reached)) {
                self.reached = Some(all);
            } else {
                self.repeated += 1;
            }
        }
        if packet.payload_len > 0 && self.end.is_none_or(|(known, _)| after(end, known)) {
            self.end = Some((end, packet.ts));
        }
        if tcp.flags & ACK != 0 && tcp.flags & RST == 0 && self.ack.is_none_or(|known| after(tcp.ack, known)) {
            self.ack = Some(tcp.ack);
        }
    }
}

fn print(packet: &Packet, tcp: Option<Tcp>, payload: &[u8]) -> Print {
    let (seq, ack, flags) = tcp.map_or((0, 0, 0), |tcp| (tcp.seq, tcp.ack, tcp.flags & (SYN | FIN | RST | ACK)));
    let wanted = usize::try_from(packet.payload_len).unwrap_or(usize::MAX).min(DIGEST_BYTES);
    let digest = payload.get(..wanted).map_or(0, digest);
    let (ts, frame, len, ip_id) = (packet.ts, packet.frame, packet.payload_len, packet.ip_id);
    Print { ts, frame, seq, ack, len, ip_id, flags, digest }
}

/// FNV-1a: it only has to be the same in both captures.
fn digest(bytes: &[u8]) -> u64 {
    if bytes.is_empty() {
        return 0;
    }
    let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, fold) | 1
}

/// All of a key in 64 bits, without a seed: every run forgets the same packets.
fn mix(key: &FlowKey) -> u64 {
    let [a, b] = key.low.halves();
    let [c, d] = key.high.halves();
    let ports = (u64::from(key.low_port) << 32) | (u64::from(key.high_port) << 8) | key.transport as u64;
    let fold = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    [b, c, d, ports].into_iter().fold(a, fold)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::addr::Addr;

    fn packet(number: u64, from_client: bool, flags: u8, seq: u32, len: u32) -> Packet {
        let (client, server) = (Addr::v4([10, 0, 0, 1]), Addr::v4([10, 0, 0, 2]));
        let (key, side) = FlowKey::of(client, 50_000, server, 80, Transport::Tcp);
        let tcp = Tcp { seq, ack: 0, flags, window: 1, checksum: 0 };
        Packet {
            frame: FrameId::new(0, number),
            ts: Timestamp(number * 1_000_000_000),
            key,
            from: if from_client { side } else { side.other() },
            ip_id: u16::try_from(number).unwrap_or(0),
            payload_len: len,
            layer: Layer::Tcp(tcp),
            ..Packet::NONE
        }
    }

    #[test]
    fn a_syn_with_another_number_begins_another_conversation() {
        let mut traces = Traces::within(1 << 20);
        for packet in [packet(1, true, SYN, 7, 0), packet(2, true, SYN, 7, 0), packet(3, true, SYN, 9, 0)] {
            traces.add(&packet, &[]);
        }
        let packets: Vec<u64> = traces.all().iter().map(|trace| trace.ways[trace.began.index()].packets).collect();
        assert_eq!(packets, [2, 1]);
        assert_eq!(traces.all()[0].ways[traces.all()[0].began.index()].repeated, 1);
    }

    #[test]
    fn a_packet_captured_twice_counts_once() {
        let mut traces = Traces::within(1 << 20);
        let first = packet(1, true, SYN, 7, 0);
        traces.add(&first, &[]);
        traces.add(&Packet { ts: Timestamp(first.ts.0 + 1000), ttl: 9, ..first }, &[]);
        assert_eq!(traces.all()[0].ways[traces.all()[0].began.index()].packets, 1);
    }

    #[test]
    fn what_is_beyond_the_bound_is_counted_and_not_kept() {
        let mut traces = Traces::within(1 << 20);
        for number in 0..100 {
            traces.add(&packet(number, true, ACK, 100 * u32::try_from(number).unwrap_or(0), 100), &[1; 100]);
        }
        let way = &traces.all()[0].ways[traces.all()[0].began.index()];
        assert_eq!((way.packets, way.prints.len(), way.repeated), (100, PRINTS_MAX, 0));
        assert_eq!(way.end.map(|end| end.0), Some(10_000));
        assert!(!traces.all()[0].is_whole(traces.all()[0].began));
    }

    #[test]
    fn numbers_go_round() {
        assert!(after(3, u32::MAX - 3) && !after(u32::MAX - 3, 3) && !after(5, 5));
    }
}
