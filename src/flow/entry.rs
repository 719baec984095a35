//! How a flow lies in the table: what every packet changes in two cache lines, the rest beside it and only if there is
//! something to say.
//!
//! [`Entry::unfold`] makes the whole [`Flow`] of it and [`Entry::fold`] takes it back, so that nobody else knows this
//! form. Most packets of a conversation need neither: [`Entry::take`] counts them in place.

#![expect(clippy::inline_always, reason = "they look at a packet that is in registers only")]

use bytemuck::Pod;
use bytemuck::Zeroable;
use prefetch_index::prefetch_index;

use crate::decode::packet::CountsAs;
use crate::decode::packet::Headers;
use crate::decode::packet::Layer;
use crate::decode::packet::Packet;
use crate::decode::packet::Tcp;
use crate::flow::arena::Arena;
use crate::flow::history::History;
use crate::flow::hole::Hole;
use crate::flow::hosts::Hosts;
use crate::flow::limits::IDLE_NS;
use crate::flow::limits::TRY_GAP_NS;
use crate::flow::record::ACK;
use crate::flow::record::Began;
use crate::flow::record::FIN;
use crate::flow::record::Flow;
use crate::flow::record::Mark;
use crate::flow::record::Marks;
use crate::flow::record::RST;
use crate::flow::record::Reset;
use crate::flow::record::SYN;
use crate::flow::record::Totals;
use crate::flow::speech::Speech;
use crate::flow::tcp::acknowledges;
use crate::flow::tcp::after;
use crate::flow::tcp::handshake_us;
use crate::flow::tcp::is_heard;
use crate::flow::vast::Vast;
use crate::model::addr::FlowKey;
use crate::model::addr::Side;
use crate::model::ids::FrameId;
use crate::model::time::Timestamp;
use crate::model::transport::Transport;

/// What is kept of every flow; arrays have one place for each [`Side`]. See [`Flow`] for what the fields mean.
///
/// What tells whether a segment is of the usual kind lies in the first cache line, and so does what leads to the detail; of
/// the second nothing but the TTL is read then.
///
/// An attempt that met no answer, or a RST, needs no [`Detail`]: while it has SYNs itself, `more` holds IP-ID and window
/// of the newest of them, `max_ack` the two gaps between SYNs, `next_seq` and `unheard` of the other end its RST. Of what
/// has no TCP header, `max_ack` holds the tries, `next_seq` and `unheard` its [`Speech`].
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C, align(128))]
pub(crate) struct Entry {
    /// The addresses, 32 bits each, as [`FlowKey::v4_words`] has them; numbers of [`Hosts`] over IPv6.
    addrs: u64,
    /// The ports, 16 bits each.
    ports: u32,
    /// [`Marks`] in the low 24 bits, above them what only this file knows.
    marks: u32,
    pub(crate) next_seq: [u32; 2],
    max_ack: [u32; 2],
    packets: [u32; 2],
    payload: [u32; 2],
    ip_bytes: [u32; 2],
    flags: [u8; 2],
    unheard: [u8; 2],
    /// The number of its [`Detail`], if it has one.
    more: u32,
    pub(crate) last: [Timestamp; 2],
    last_frame: [FrameId; 2],
    first: Timestamp,
    first_frame: FrameId,
    /// The low half of the key's hash: where its slot is.
    pub(crate) tag: u32,
    pub(crate) ttl: [u8; 2],
    lead: [u8; 2],
    history: History,
    /// The number of its [`Transport`]; 0 if its flow was taken out.
    protocol: u8,
    /// Its SYNs, as long as it has no [`Detail`]; then what one end sent again and the detail has not counted yet, with
    /// [`REPEATED_HIGH`] if that is the high end.
    repeated: u8,
}

const _: () = assert!(size_of::<Entry>() == 128 && std::mem::offset_of!(Entry, last) == 64);

/// The addresses are numbers of [`Hosts`].
const V6: u32 = 1 << 24;
const BEGAN_HIGH: u32 = 1 << 25;
const BY_SYN: u32 = 1 << 26;
const BY_SYN_ACK: u32 = 1 << 27;
/// It has a [`Detail`].
const DETAILED: u32 = 1 << 28;
/// No acknowledgement can complete a handshake any more.
const SETTLED: u32 = 1 << 29;
/// Whoever listens to its payload holds something of it.
const HELD: u32 = 1 << 30;
/// Its transport is TCP.
const TCP: u32 = 1 << 31;
const MARKS: u32 = V6 - 1;

/// Set in [`Entry::repeated`] if it counts what the high end sent again; the bits below count.
const REPEATED_HIGH: u8 = 1 << 7;
const REPEATED_MAX: u8 = REPEATED_HIGH - 1;

/// What [`Entry::repeated`] is while the detail has a [`Hole`]: data that seems to be sent again may belong there.
const HOLE: u8 = REPEATED_HIGH;

/// What few flows need.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Pod, Zeroable)]
#[repr(C, align(128))]
pub(crate) struct Detail {
    syns: [u16; 2],
    synacks: [u16; 2],
    retransmits: [u16; 2],
    tries: [u16; 2],
    isn: [u32; 2],
    icmp: u32,
    speech: Speech,
    /// The number of its [`Carry`], if it has one.
    carry: u32,
    syn_gap_ms: u32,
    syn_first_gap_ms: u32,
    superseded_after_ms: u32,
    handshake_us: u32,
    syn_ip_id: u16,
    syn_window: u16,
    reset_ip_id: u16,
    reset_window: u16,
    reset_ttl: u8,
    /// 1 if the high end sent it.
    reset_by_high: u8,
    hole_len: u16,
    hole_from: u32,
    hole_at_ms: u16,
    hole_acks: u8,
    /// 1 if the high end sent what it lacks.
    hole_of_high: u8,
    syn_last: Timestamp,
    syn_frame: FrameId,
    synack_at: Timestamp,
    synack_frame: FrameId,
    reset_at: Timestamp,
    reset_frame: FrameId,
}

const _: () = assert!(size_of::<Detail>() == 128);

/// The upper halves of counters that grew beyond 32 bits.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Carry {
    packets: [u32; 2],
    payload: [u32; 2],
    ip_bytes: [u32; 2],
}

/// What lies beside the entries of one table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Beside {
    pub(crate) hosts: Hosts,
    details: Vast<Detail>,
    carries: Arena<Carry>,
}

impl Beside {
    /// What lies beside entries that are looked at once.
    pub(crate) fn passing() -> Self {
        Self { details: Vast::passing(), ..Self::default() }
    }
}

#[cfg(test)]
impl Beside {
    /// How many details there are.
    pub(crate) fn details(&self) -> usize {
        self.details.len()
    }
}

impl Entry {
    /// The most bytes that one flow takes, its address among the [`Hosts`] included.
    pub(crate) const BYTES_MAX: usize = size_of::<Self>() + size_of::<Detail>() + 2 * Hosts::BYTES;

    /// The entry of a new flow, which its first packet has been counted into.
    pub(crate) fn of(flow: &Flow, tag: u32, beside: &mut Beside) -> Self {
        let v4 = flow.key.v4_words();
        let addrs = match v4 {
            Some([addrs, _]) => addrs,
            None => pair(beside.hosts.hold(flow.key.low), beside.hosts.hold(flow.key.high)),
        };
        let mut entry = Self {
            addrs,
            ports: u32::from(flow.key.low_port) << 16 | u32::from(flow.key.high_port),
            marks: if v4.is_some() { 0 } else { V6 } | if flow.key.transport == Transport::Tcp { TCP } else { 0 },
            protocol: flow.key.transport as u8,
            tag,
            first: flow.first,
            first_frame: flow.first_frame,
            ..Self::zeroed()
        };
        entry.fold(flow, beside);
        entry
    }

    /// Notes that its flow was taken out, so that the place is free.
    pub(crate) fn vacate(&mut self) {
        self.protocol = 0;
    }

    /// Whether its flow was taken out.
    #[inline]
    pub(crate) fn is_vacant(&self) -> bool {
        self.protocol == 0
    }

    /// The entry of a new flow whose first packet is a SYN without data or a datagram over IPv4, as nearly all are: what
    /// the general way makes of it, written down at once. `None` if the packet is another.
    pub(crate) fn of_usual(packet: &Packet, tag: u32) -> Option<Self> {
        let me = packet.from.index();
        let [addrs, rest] = packet.key.v4_words().filter(|_| !packet.link_group)?;
        let mut entry = Self {
            addrs,
            ports: lower(rest),
            marks: if packet.from == Side::High { BEGAN_HIGH } else { 0 },
            protocol: packet.key.transport as u8,
            tag,
            first: packet.ts,
            first_frame: packet.frame,
            ..Self::zeroed()
        };
        match packet.layer {
            Layer::Tcp(tcp) if tcp.flags & (SYN | ACK | RST | FIN) == SYN && packet.payload_len == 0 => {
                entry.marks |= TCP | BY_SYN;
                entry.repeated = 1;
                entry.more = u32::from(packet.ip_id) << 16 | u32::from(tcp.window);
                entry.flags[me] = tcp.flags;
                entry.next_seq[me] = tcp.seq.wrapping_add(1);
                entry.history.add(b's', packet.from);
            }
            Layer::Tcp(_) | Layer::Fragment | Layer::IcmpError(_) => return None,
            _ => {
                entry.marks |= SETTLED | SAID_DATA[me];
                entry.max_ack[me] = 1;
                entry.history.add(b'd', packet.from);
            }
        }
        entry.count_first(packet);
        Some(entry)
    }

    /// What the sums of host pairs need of a flow.
    pub(crate) fn totals(&self, beside: &Beside) -> Totals {
        let mut totals = Totals {
            packets: self.packets.map(u64::from),
            payload: self.payload.map(u64::from),
            first: self.first,
            last: self.last_seen(),
            handshake_us: 0,
        };
        if let Some(detail) = self.kept(beside) {
            totals.handshake_us = detail.handshake_us;
            if let Some(carry) = beside.carries.get(detail.carry) {
                for side in [0, 1] {
                    totals.packets[side] += u64::from(carry.packets[side]) << 32;
                    totals.payload[side] += u64::from(carry.payload[side]) << 32;
                }
            }
        }
        totals
    }

    /// Both ends.
    #[inline]
    pub(crate) fn key(&self, hosts: &Hosts) -> FlowKey {
        let key = FlowKey::of_v4_words([self.addrs, self.rest()]);
        if self.marks & V6 == 0 {
            return key;
        }
        let [low, high] = self.numbers().map(|number| hosts.addr(number));
        FlowKey { low, high, ..key }
    }

    /// Whether this is the flow of a packet.
    #[inline(always)]
    pub(crate) fn is_of(&self, packet: &impl Headers, hosts: &Hosts) -> bool {
        match packet.v4_words() {
            Some([addrs, rest]) => {
                let tcp = upper(rest) == Transport::Tcp as u32;
                let marks = self.marks & (V6 | TCP) == if tcp { TCP } else { 0 };
                marks && self.addrs == addrs && self.ports == lower(rest) && (tcp || self.rest() == rest)
            }
            None => self.marks & V6 != 0 && self.key(hosts) == packet.key(),
        }
    }

    /// The second of [`FlowKey::v4_words`].
    #[inline(always)]
    fn rest(&self) -> u64 {
        u64::from(self.protocol) << 32 | u64::from(self.ports)
    }

    /// The numbers of its ends among the [`Hosts`], if it is over IPv6.
    fn numbers(&self) -> [u32; 2] {
        [upper(self.addrs), lower(self.addrs)]
    }

    /// Asks for its two cache lines.
    #[inline]
    pub(crate) fn prefetch(&self) {
        prefetch_index(self.next_seq.as_slice(), 0);
        prefetch_index(self.last.as_slice(), 0);
    }

    /// Asks for its detail, if it has one.
    #[inline]
    pub(crate) fn prefetch_detail(&self, beside: &Beside) {
        if self.marks & DETAILED != 0 {
            beside.details.prefetch(self.more);
        }
    }

    /// Who began it as far as packets alone tell, and how that is known.
    #[inline]
    pub(crate) fn began(&self) -> (Side, Began) {
        let side = if self.marks & BEGAN_HIGH == 0 { Side::Low } else { Side::High };
        let by = match self.marks & (BY_SYN | BY_SYN_ACK) {
            0 => Began::FirstPacket,
            BY_SYN => Began::Syn,
            _ => Began::SynAck,
        };
        (side, by)
    }

    /// Adds a mark.
    #[inline]
    pub(crate) fn set(&mut self, mark: Mark) {
        self.marks |= mark as u32;
    }

    /// Whether it has a mark.
    #[inline]
    pub(crate) fn has(&self, mark: Mark) -> bool {
        self.marks & mark as u32 != 0
    }

    /// When the first packet was seen, and its frame, and the newest frames: the order of flows.
    #[inline]
    pub(crate) fn order(&self) -> (Timestamp, FrameId, [FrameId; 2]) {
        (self.first, self.first_frame, self.last_frame)
    }

    /// When anything of it was last seen.
    #[inline]
    pub(crate) fn last_seen(&self) -> Timestamp {
        self.last[0].max(self.last[1])
    }

    /// The transport of its key.
    #[inline]
    pub(crate) fn transport(&self) -> Transport {
        Transport::of_number(self.protocol)
    }

    #[inline]
    fn is_tcp(&self) -> bool {
        self.marks & TCP != 0
    }

    /// Whether packets of both ends were counted.
    #[inline]
    pub(crate) fn both_ways(&self) -> bool {
        self.last_frame[0].is_some() && self.last_frame[1].is_some()
    }

    /// Packets of both ends, carries apart.
    #[inline]
    pub(crate) fn packets(&self) -> u64 {
        self.packets.into_iter().map(u64::from).sum()
    }

    /// See [`Flow::icmp`].
    #[inline]
    pub(crate) fn icmp(&self, beside: &Beside) -> u32 {
        self.kept(beside).map_or(0, |detail| detail.icmp)
    }

    /// See [`Flow::speech`].
    #[inline]
    pub(crate) fn speech(&self, beside: &Beside) -> Speech {
        match self.kept(beside) {
            Some(detail) => detail.speech,
            None if self.is_tcp() => Speech::default(),
            None => Speech::of_parts(self.next_seq, self.unheard),
        }
    }

    /// Notes what is recognised in its payload; false if there is no room for it in this form.
    pub(crate) fn set_speech(&mut self, speech: Speech, beside: &mut Beside) -> bool {
        if self.marks & DETAILED != 0 {
            if let Some(detail) = beside.details.get_mut(self.more) {
                detail.speech = speech;
            }
        } else if !self.is_tcp() {
            (self.next_seq, self.unheard) = (speech.ruled_out, speech.heads);
        } else {
            return false;
        }
        true
    }

    /// The sequence number of the first byte of one end, if its SYN was seen.
    pub(crate) fn first_byte(&self, side: Side, beside: &Beside) -> Option<u32> {
        let at = side.index();
        if let Some(detail) = self.kept(beside) {
            return (detail.syns[at] > 0 || detail.synacks[at] > 0).then(|| detail.isn[at].wrapping_add(1));
        }
        (self.own_syns() > 0 && self.began().0 == side).then_some(self.next_seq[at])
    }

    /// SYNs of one end.
    #[inline]
    pub(crate) fn syns(&self, side: Side, beside: &Beside) -> u16 {
        match self.kept(beside) {
            Some(detail) => detail.syns[side.index()],
            None if self.began().0 == side => self.own_syns().into(),
            None => 0,
        }
    }

    /// Whether it is nothing but SYNs without data of the end that began, to which nobody said anything.
    #[inline]
    pub(crate) fn is_lone_attempt(&self) -> bool {
        let began = self.began().0;
        self.own_syns() > 0
            && self.marks & (DETAILED | ACKED[began.index()]) == 0
            && self.payload[began.index()] == 0
            && !self.last_frame[began.other().index()].is_some()
    }

    /// Packets of one end, carries apart.
    #[inline]
    pub(crate) fn packets_of(&self, side: Side) -> u32 {
        self.packets[side.index()]
    }

    /// Whether no acknowledgement can complete a handshake any more.
    #[inline]
    pub(crate) fn is_settled(&self) -> bool {
        self.marks & SETTLED != 0
    }

    /// Whether whoever listens holds something of it.
    #[inline]
    pub(crate) fn is_held(&self) -> bool {
        self.marks & HELD != 0
    }

    /// Notes that whoever listens holds something of it, or does no more.
    pub(crate) fn hold(&mut self, held: bool) {
        self.marks = if held { self.marks | HELD } else { self.marks & !HELD };
    }

    /// Its detail, if that is kept beside it.
    #[inline]
    fn kept<'b>(&self, beside: &'b Beside) -> Option<&'b Detail> {
        if self.marks & DETAILED == 0 { None } else { beside.details.get(self.more) }
    }

    /// How much a flow tells: what is given up last has the highest worth.
    pub(crate) fn worth(&self) -> u8 {
        let both = self.both_ways();
        if self.has(Mark::Superseded) {
            0
        } else if !both && self.first_frame == self.last_frame[0].max(self.last_frame[1]) {
            1
        } else if !both {
            2
        } else if self.flags[0] & self.flags[1] & FIN != 0 || (self.flags[0] | self.flags[1]) & RST != 0 {
            3
        } else {
            4
        }
    }

    /// The SYNs that it tells of itself: those of an attempt that has no detail.
    #[inline]
    fn own_syns(&self) -> u8 {
        if self.marks & DETAILED == 0 { self.repeated } else { 0 }
    }

    /// The whole flow.
    pub(crate) fn unfold(&self, beside: &Beside) -> Flow {
        let detail = self.detail(beside);
        let carry = beside.carries.get(detail.carry).copied().unwrap_or_default();
        let join = |high: [u32; 2], low: [u32; 2]| [0, 1].map(|side: usize| pair(high[side], low[side]));
        let opening = self.own_syns() > 0;
        let (began, began_by) = self.began();
        let tcp = self.is_tcp();
        let mut next_seq = if tcp { self.next_seq } else { [0; 2] };
        let mut unheard = if tcp { self.unheard } else { [0; 2] };
        if opening {
            next_seq[began.other().index()] = 0;
            unheard[began.other().index()] = 0;
        }
        Flow {
            key: self.key(&beside.hosts),
            next_seq,
            max_ack: if opening || !tcp { [0; 2] } else { self.max_ack },
            marks: Marks::of(self.marks & MARKS),
            flags: self.flags,
            unheard,
            last: self.last,
            packets: join(carry.packets, self.packets),
            payload: join(carry.payload, self.payload),
            ip_bytes: join(carry.ip_bytes, self.ip_bytes),
            last_frame: self.last_frame,
            ttl: self.ttl,
            lead: self.lead,
            began,
            began_by,
            syns: detail.syns,
            synacks: detail.synacks,
            retransmits: detail.retransmits,
            tries: detail.tries,
            isn: detail.isn,
            history: self.history,
            icmp: detail.icmp,
            speech: detail.speech,
            first: self.first,
            first_frame: self.first_frame,
            syn_last: detail.syn_last,
            syn_frame: detail.syn_frame,
            syn_gap_ms: detail.syn_gap_ms,
            syn_first_gap_ms: detail.syn_first_gap_ms,
            superseded_after_ms: detail.superseded_after_ms,
            handshake_us: detail.handshake_us,
            syn_ip_id: detail.syn_ip_id,
            syn_window: detail.syn_window,
            synack_frame: detail.synack_frame,
            synack_at: detail.synack_at,
            reset: Reset {
                ts: detail.reset_at,
                frame: detail.reset_frame,
                ttl: detail.reset_ttl,
                ip_id: detail.reset_ip_id,
                window: detail.reset_window,
                by_high: detail.reset_by_high != 0,
            },
            hole: Hole {
                from: detail.hole_from,
                len: detail.hole_len,
                at_ms: detail.hole_at_ms,
                acks: detail.hole_acks,
                of_high: detail.hole_of_high != 0,
            },
        }
    }

    /// Takes back a flow that was unfolded and changed.
    pub(crate) fn fold(&mut self, flow: &Flow, beside: &mut Beside) {
        let mut detail = Detail::of(flow);
        detail.carry = self.kept(beside).map_or(0, |known| known.carry);
        let carry = Carry::of(flow);
        if carry.is_some() || detail.carry != 0 {
            match beside.carries.get_mut(detail.carry) {
                Some(place) => *place = carry,
                None => detail.carry = beside.carries.put(carry),
            }
        }
        let handshake_possible = flow.synacks != [0; 2] && flow.syns != [0; 2];
        let settled = flow.marks.has(Mark::Established) || !handshake_possible;
        let by = match flow.began_by {
            Began::Syn => BY_SYN,
            Began::SynAck => BY_SYN_ACK,
            Began::FirstPacket => 0,
        };
        self.marks = flow.marks.bits()
            | self.marks & (V6 | TCP | DETAILED | HELD)
            | if flow.began == Side::High { BEGAN_HIGH } else { 0 }
            | by
            | if settled { SETTLED } else { 0 };
        self.repeated = 0;
        self.flags = flow.flags;
        self.unheard = flow.unheard;
        self.ttl = flow.ttl;
        self.lead = flow.lead;
        self.history = flow.history;
        self.next_seq = flow.next_seq;
        self.max_ack = flow.max_ack;
        self.packets = flow.packets.map(lower);
        self.payload = flow.payload.map(lower);
        self.ip_bytes = flow.ip_bytes.map(lower);
        self.last = flow.last;
        self.last_frame = flow.last_frame;
        if self.marks & DETAILED != 0 {
            if let Some(place) = beside.details.get_mut(self.more) {
                *place = detail;
            }
            self.mind_hole(flow);
            return;
        }
        let plain = *self;
        self.overlay(flow, &detail);
        if self.detail(beside) != detail {
            *self = plain;
            self.marks |= DETAILED;
            self.more = beside.details.put(detail);
            self.mind_hole(flow);
        }
    }

    /// Remembers a hole where what is sent again is counted.
    fn mind_hole(&mut self, flow: &Flow) {
        self.repeated = if flow.hole.is_open() { HOLE } else { 0 };
    }

    /// Lets go of what belongs to a flow that is given up.
    pub(crate) fn release(&self, beside: &mut Beside) {
        if self.marks & V6 != 0 {
            self.numbers().into_iter().for_each(|number| beside.hosts.release(number));
        }
        if self.marks & DETAILED != 0 {
            let carry = self.kept(beside).map_or(0, |detail| detail.carry);
            beside.carries.release(carry);
            beside.details.release(self.more);
        }
    }

    /// Tries to say the detail with fields that an unanswered attempt, or a datagram, does not need otherwise.
    fn overlay(&mut self, flow: &Flow, detail: &Detail) {
        self.more = 0;
        if !self.is_tcp() {
            self.max_ack = detail.tries.map(u32::from);
            (self.next_seq, self.unheard) = (detail.speech.ruled_out, detail.speech.heads);
            return;
        }
        let (me, other) = (flow.began.index(), flow.began.other().index());
        let Ok(syns) = u8::try_from(detail.syns[me]) else { return };
        let free = flow.max_ack == [0; 2] && flow.next_seq[other] == 0 && flow.unheard[other] == 0;
        if syns == 0 || !free {
            return;
        }
        self.repeated = syns;
        self.marks &= !SETTLED;
        self.more = u32::from(detail.syn_ip_id) << 16 | u32::from(detail.syn_window);
        self.max_ack = [detail.syn_gap_ms, detail.syn_first_gap_ms];
        self.next_seq[other] = u32::from(detail.reset_ip_id) << 16 | u32::from(detail.reset_window);
        self.unheard[other] = detail.reset_ttl;
    }

    /// The detail, kept or overlaid.
    #[expect(clippy::cast_possible_truncation, reason = "halves are taken apart, and tries were 16 bits before")]
    fn detail(&self, beside: &Beside) -> Detail {
        if self.marks & DETAILED != 0 {
            let mut detail = beside.details.get(self.more).copied().unwrap_or(Detail::NONE);
            detail.count_repeated(self.repeated);
            return detail;
        }
        let mut detail = Detail::NONE;
        if !self.is_tcp() {
            detail.tries = self.max_ack.map(|tries| tries as u16);
            detail.speech = Speech::of_parts(self.next_seq, self.unheard);
            return detail;
        }
        if self.repeated == 0 {
            return detail;
        }
        let (me, other) = if self.marks & BEGAN_HIGH == 0 { (0, 1) } else { (1, 0) };
        detail.syns[me] = u16::from(self.repeated);
        detail.isn[me] = self.next_seq[me].wrapping_sub(1);
        detail.syn_last = self.last[me];
        detail.syn_frame = self.last_frame[me];
        [detail.syn_gap_ms, detail.syn_first_gap_ms] = self.max_ack;
        [detail.syn_ip_id, detail.syn_window] = [(self.more >> 16) as u16, self.more as u16];
        if self.last_frame[other].is_some() {
            let numbers = self.next_seq[other];
            detail.reset_at = self.last[other];
            detail.reset_frame = self.last_frame[other];
            detail.reset_ttl = self.unheard[other];
            [detail.reset_ip_id, detail.reset_window] = [(numbers >> 16) as u16, numbers as u16];
            detail.reset_by_high = u8::from(other == 1);
        }
        detail
    }

    /// Counts a packet that goes on where its end stood; false if it may mean more, and then it was not counted.
    ///
    /// It does what counting does with such a packet of the unfolded flow.
    #[inline(always)]
    pub(crate) fn take(&mut self, packet: &impl Headers, beside: &mut Beside) -> bool {
        let me = packet.from().index();
        // Its first packet of each end may begin or answer.
        if self.packets[me] == 0
            || (packet.link_group() && !self.has(Mark::Group))
            || self.packets[me] == u32::MAX
            || self.payload[me] > u32::MAX - packet.payload_len()
            || self.ip_bytes[me] > u32::MAX - packet.ip_len()
        {
            return false;
        }
        let goes_on = match packet.counts_as() {
            CountsAs::Segment => self.in_sequence(packet, beside),
            CountsAs::Datagram => self.one_more(packet),
            CountsAs::Other => false,
        };
        if !goes_on {
            return false;
        }
        self.packets[me] += 1;
        self.payload[me] += packet.payload_len();
        self.ip_bytes[me] += packet.ip_len();
        self.last[me] = packet.ts();
        self.last_frame[me] = packet.frame();
        let leads = u8::from(self.lead[me] == 0).wrapping_neg();
        self.lead[me] |= packet.lead() & leads;
        if self.ttl[me] != packet.ttl() {
            self.note_ttl(me, packet.ttl());
        }
        true
    }

    /// Counts the first packet of the end that did not begin, if it is an answer and means no more; else changes nothing.
    ///
    /// It does what counting does with such a packet of the unfolded flow.
    pub(crate) fn answer(&mut self, packet: &Packet, beside: &mut Beside) -> bool {
        let me = packet.from.index();
        let answers = !self.last_frame[me].is_some()
            && !packet.link_group
            && match packet.layer {
                Layer::Tcp(tcp) => self.accept(packet, &tcp, beside),
                Layer::Fragment | Layer::IcmpError(_) => false,
                _ => self.reply(packet),
            };
        if answers {
            self.count_first(packet);
        }
        answers
    }

    /// Counts the first packet of an end.
    #[inline]
    fn count_first(&mut self, packet: &Packet) {
        let me = packet.from.index();
        self.ttl[me] = packet.ttl;
        self.lead[me] = packet.lead;
        self.packets[me] = 1;
        self.payload[me] = packet.payload_len;
        self.ip_bytes[me] = packet.ip_len;
        self.last[me] = packet.ts;
        self.last_frame[me] = packet.frame;
    }

    /// Moves the numbers of an attempt forward, if this segment accepts it.
    fn accept(&mut self, packet: &Packet, tcp: &Tcp, beside: &mut Beside) -> bool {
        let (me, other) = (packet.from.index(), packet.from.other().index());
        let plain = tcp.flags & (SYN | RST | FIN | ACK) == SYN | ACK && packet.payload_len == 0;
        if !plain || self.own_syns() == 0 || tcp.ack != self.next_seq[other] {
            return false;
        }
        let mut detail = self.detail(beside);
        detail.synacks[me] = 1;
        detail.isn[me] = tcp.seq;
        detail.synack_at = packet.ts;
        detail.synack_frame = packet.frame;
        self.more = beside.details.put(detail);
        self.marks = self.marks & !SETTLED | DETAILED | ACKED[me];
        self.repeated = 0;
        self.unheard = [0; 2];
        self.flags[me] = tcp.flags;
        self.next_seq[me] = tcp.seq.wrapping_add(1);
        self.max_ack = [0; 2];
        self.max_ack[me] = tcp.ack;
        self.history.add(b'h', packet.from);
        true
    }

    /// Notes the first try of an end, if it is soon enough to be one of this flow.
    fn reply(&mut self, packet: &Packet) -> bool {
        let me = packet.from.index();
        let pause = packet.ts.0.saturating_sub(self.last_seen().0);
        if self.marks & DETAILED != 0 || self.is_tcp() || pause > IDLE_NS {
            return false;
        }
        self.max_ack[me] = 1;
        self.marks |= SAID_DATA[me];
        self.history.add(b'd', packet.from);
        true
    }

    /// Notes that a segment completes the handshake, if it does: what else it means, is the same of any other.
    pub(crate) fn settle(&mut self, packet: &Packet, beside: &mut Beside) {
        let (me, other) = (packet.from.index(), packet.from.other().index());
        let Layer::Tcp(tcp) = packet.layer else { return };
        if tcp.flags & (SYN | RST | ACK) != ACK || self.marks & (DETAILED | SETTLED) != DETAILED {
            return;
        }
        let Some(detail) = beside.details.get_mut(self.more) else { return };
        if detail.synacks[other] > 0 && detail.syns[me] > 0 && acknowledges(tcp.ack, detail.isn[other]) {
            detail.handshake_us = handshake_us(packet.ts, detail.syn_last, detail.synack_at);
            self.marks |= Mark::Established as u32 | SETTLED;
        }
    }

    /// Notes a try of a datagram that its end has sent the like of before; false if it may mean more.
    #[inline(always)]
    fn one_more(&mut self, packet: &impl Headers) -> bool {
        let (me, ts) = (packet.from().index(), packet.ts().0);
        let pause = ts.saturating_sub(self.last_seen().0);
        if self.marks & (SAID_DATA[me] | DETAILED) != SAID_DATA[me] || pause > IDLE_NS || self.is_tcp() {
            return false;
        }
        if self.max_ack[me] == 0 || ts.saturating_sub(self.last[me].0) >= TRY_GAP_NS {
            self.max_ack[me] = (self.max_ack[me] + 1).min(u32::from(u16::MAX));
        }
        true
    }

    #[cold]
    fn note_ttl(&mut self, me: usize, ttl: u8) {
        if self.ttl[me] == 0 {
            self.ttl[me] = ttl;
        } else {
            self.marks |= TTL_VARIES[me];
        }
    }

    /// Moves the numbers of a segment forward, if it is an acknowledgement that tells of no hole and completes no
    /// handshake; else changes nothing.
    #[inline(always)]
    fn in_sequence(&mut self, packet: &impl Headers, beside: &mut Beside) -> bool {
        let (me, other) = (packet.from().index(), packet.from().other().index());
        if packet.flags() & (SYN | RST | ACK) != ACK || self.marks & SETTLED == 0 {
            return false;
        }
        if after(packet.ack(), self.next_seq[other].wrapping_add(1)) && self.tells_of_hole(other) {
            return false;
        }
        let fin = packet.flags() & FIN;
        let end = packet.seq().wrapping_add(packet.payload_len()).wrapping_add(u32::from(fin));
        let forward = end.wrapping_sub(self.next_seq[me]).cast_signed().max(0).cast_unsigned();
        let keeps_alive = packet.payload_len() == 1 && packet.seq() == self.next_seq[me].wrapping_sub(1);
        let repeats = forward == 0 && packet.payload_len() > 0 && !keeps_alive;
        if repeats && !self.count_repeat(me, beside) {
            return false;
        }
        // Which end speaks, and whether it tells anything new, is as good as random: nothing here may be a jump.
        let acked = u32::from(self.marks & ACKED[me] != 0).wrapping_neg();
        let advance = packet.ack().wrapping_sub(self.max_ack[me]).cast_signed().max(0).cast_unsigned() & acked;
        let advances = u32::from(advance != 0).wrapping_neg();
        let fresh = forward != 0
            && packet.payload_len() > 0
            && !after(self.next_seq[me], packet.seq())
            && is_heard(end, self.max_ack[other]);
        self.next_seq[me] = self.next_seq[me].wrapping_add(forward);
        self.max_ack[me] = self.max_ack[me].wrapping_add(advance);
        let unheard = self.unheard[me] & !(u8::from(advance != 0) | u8::from(fresh)).wrapping_neg();
        self.unheard[me] = unheard.saturating_add(u8::from(repeats));
        self.marks |= ACK_ADVANCED[me] & advances;
        self.flags[me] |= packet.flags();
        self.unheard[other] = 0;
        if self.marks & USUAL[me] != USUAL[me] || fin != 0 {
            self.say(packet.from(), packet.ack(), packet.payload_len() > 0, fin != 0);
        }
        true
    }

    /// Counts data that an end sends again; false if there is no place for that yet. The detail, which no cache has, is
    /// asked for once in a while only.
    #[inline(never)]
    fn count_repeat(&mut self, me: usize, beside: &mut Beside) -> bool {
        if self.marks & DETAILED == 0 || self.repeated == HOLE {
            return false;
        }
        let high = [0, REPEATED_HIGH][me];
        let others = self.repeated & REPEATED_HIGH != high && self.repeated != 0;
        if others || self.repeated & REPEATED_MAX == REPEATED_MAX {
            let Some(detail) = beside.details.get_mut(self.more) else { return false };
            detail.count_repeated(std::mem::take(&mut self.repeated));
        }
        self.repeated = (self.repeated | high) + 1;
        true
    }

    /// Whether an acknowledgement of what this end never sent says that something of it is missing here.
    #[cold]
    fn tells_of_hole(&self, end: usize) -> bool {
        self.last_frame[end].is_some() && self.flags[end] & RST == 0
    }

    /// Notes what an end does for the first time: acknowledge, send data, close.
    ///
    /// It is told no more than it needs: a packet that is handed to somebody has to be written down first.
    #[inline(never)]
    fn say(&mut self, from: Side, ack: u32, data: bool, fin: bool) {
        let me = from.index();
        if self.marks & ACKED[me] == 0 {
            self.max_ack[me] = ack;
        }
        self.history.add(b'a', from);
        self.marks |= ACKED[me] | SAID_ACK[me];
        if data {
            self.history.add(b'd', from);
            self.marks |= SAID_DATA[me];
        }
        if fin {
            self.history.add(b'f', from);
        }
    }
}

/// The marks of both ends, each in the place of its [`Side`]: to look one up is one step, to choose it are several.
const ACKED: [u32; 2] = [Mark::AckedLow as u32, Mark::AckedHigh as u32];
const ACK_ADVANCED: [u32; 2] = [Mark::AckAdvancedLow as u32, Mark::AckAdvancedHigh as u32];
const SAID_ACK: [u32; 2] = [Mark::SaidAckLow as u32, Mark::SaidAckHigh as u32];
const SAID_DATA: [u32; 2] = [Mark::SaidDataLow as u32, Mark::SaidDataHigh as u32];
const TTL_VARIES: [u32; 2] = [Mark::TtlVariesLow as u32, Mark::TtlVariesHigh as u32];
/// What an end has done before most of its segments.
const USUAL: [u32; 2] = [ACKED[0] | SAID_ACK[0] | SAID_DATA[0], ACKED[1] | SAID_ACK[1] | SAID_DATA[1]];

impl Detail {
    /// Of a flow that has nothing to say here.
    const NONE: Self = Self {
        syns: [0; 2],
        synacks: [0; 2],
        retransmits: [0; 2],
        tries: [0; 2],
        isn: [0; 2],
        icmp: 0,
        speech: Speech::of_parts([0; 2], [0; 2]),
        carry: 0,
        syn_gap_ms: 0,
        syn_first_gap_ms: 0,
        superseded_after_ms: u32::MAX,
        handshake_us: 0,
        syn_ip_id: 0,
        syn_window: 0,
        reset_ip_id: 0,
        reset_window: 0,
        reset_ttl: 0,
        reset_by_high: 0,
        hole_len: 0,
        hole_from: 0,
        hole_at_ms: 0,
        hole_acks: 0,
        hole_of_high: 0,
        syn_last: Timestamp(0),
        syn_frame: FrameId::NONE,
        synack_at: Timestamp(0),
        synack_frame: FrameId::NONE,
        reset_at: Timestamp(0),
        reset_frame: FrameId::NONE,
    };

    /// Counts what an entry has of [`Entry::repeated`].
    fn count_repeated(&mut self, repeated: u8) {
        let sum = &mut self.retransmits[usize::from(repeated & REPEATED_HIGH != 0)];
        *sum = sum.saturating_add(u16::from(repeated & REPEATED_MAX));
    }

    fn of(flow: &Flow) -> Self {
        Self {
            syns: flow.syns,
            synacks: flow.synacks,
            retransmits: flow.retransmits,
            tries: flow.tries,
            isn: flow.isn,
            icmp: flow.icmp,
            speech: flow.speech,
            carry: 0,
            syn_gap_ms: flow.syn_gap_ms,
            syn_first_gap_ms: flow.syn_first_gap_ms,
            superseded_after_ms: flow.superseded_after_ms,
            handshake_us: flow.handshake_us,
            syn_ip_id: flow.syn_ip_id,
            syn_window: flow.syn_window,
            reset_ip_id: flow.reset.ip_id,
            reset_window: flow.reset.window,
            reset_ttl: flow.reset.ttl,
            reset_by_high: u8::from(flow.reset.by_high),
            hole_len: flow.hole.len,
            hole_from: flow.hole.from,
            hole_at_ms: flow.hole.at_ms,
            hole_acks: flow.hole.acks,
            hole_of_high: u8::from(flow.hole.of_high),
            syn_last: flow.syn_last,
            syn_frame: flow.syn_frame,
            synack_at: flow.synack_at,
            synack_frame: flow.synack_frame,
            reset_at: flow.reset.ts,
            reset_frame: flow.reset.frame,
        }
    }
}

impl Carry {
    fn of(flow: &Flow) -> Self {
        let [packets, payload, ip_bytes] = [flow.packets, flow.payload, flow.ip_bytes].map(|sums| sums.map(upper));
        Self { packets, payload, ip_bytes }
    }

    fn is_some(&self) -> bool {
        [self.packets, self.payload, self.ip_bytes] != [[0; 2]; 3]
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the upper half is kept elsewhere")]
fn lower(sum: u64) -> u32 {
    sum as u32
}

fn upper(sum: u64) -> u32 {
    (sum >> 32) as u32
}

fn pair(upper: u32, lower: u32) -> u64 {
    u64::from(upper) << 32 | u64::from(lower)
}
