//! The flow table: one writer, no lock, bounded, entries that never move.
//!
//! Small slots (tag, index) lead to dense entries, so that growing moves eight bytes a flow and a scan of millions
//! of flows costs little. Entries stay where they are until the end of the capture: the entry is the record.

use prefetch_index::prefetch_index;

use crate::decode::packet::IcmpError;
use crate::decode::packet::Layer;
use crate::decode::packet::Packet;
use crate::flow::duplicate::Recent;
use crate::flow::fold::Folds;
use crate::flow::icmp::IcmpMeaning;
use crate::flow::icmp::IcmpSeen;
use crate::flow::limits::Counters;
use crate::flow::limits::Limits;
use crate::flow::record::Flow;
use crate::flow::record::Mark;
use crate::flow::record::rst;
use crate::flow::speech::Speech;
use crate::flow::tcp;
use crate::model::transport::Transport;

/// A UDP or other connectionless flow that was silent this long has ended; the next packet begins another.
const IDLE_NS: u64 = 300 * 1_000_000_000;

/// A datagram that follows another sooner belongs to the same try: two questions at once, or a copy.
const TRY_GAP_NS: u64 = 400_000_000;

/// How many entries the search for one to give up looks at.
const EVICTION_SAMPLE: usize = 16;

const CHUNK_BITS: usize = 10;
const CHUNK: usize = 1 << CHUNK_BITS;

/// One table. Owned by one thread.
#[derive(Debug)]
pub struct Table {
    slots: Vec<Slot>,
    used: usize,
    chunks: Vec<Vec<Flow>>,
    len: usize,
    icmps: Vec<IcmpSeen>,
    icmps_free: Vec<u32>,
    speeches: Vec<Speech>,
    speeches_free: Vec<u32>,
    recent: Recent,
    folds: Folds,
    limits: Limits,
    hand: usize,
    /// What was counted.
    pub counters: Counters,
}

/// `index` is the entry's number from 1; 0 = empty. `tag` is the low half of the key's hash: the home of the slot.
#[derive(Clone, Copy, Default, Debug)]
struct Slot {
    tag: u32,
    index: u32,
}

/// What an update may tell others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// The flow that the packet was counted into.
    pub flow: FlowIndex,
    /// The responder of this flow answered for the first time.
    pub answered: bool,
    /// The packet has captured payload of a flow that is still listened to.
    pub speaks: bool,
}

impl Event {
    /// Nothing of interest.
    const QUIET: Self = Self { flow: FlowIndex(0), answered: false, speaks: false };
}

/// A flow's place in its table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FlowIndex(u32);

impl Table {
    /// An empty table with these bounds.
    pub fn new(limits: Limits) -> Self {
        Self {
            slots: vec![Slot::default(); 1 << 10],
            used: 0,
            chunks: Vec::new(),
            len: 0,
            icmps: Vec::new(),
            icmps_free: Vec::new(),
            speeches: Vec::new(),
            speeches_free: Vec::new(),
            recent: Recent::default(),
            folds: Folds::default(),
            limits,
            hand: 0,
            counters: Counters::default(),
        }
    }

    /// Asks for the cache lines that lead to the flow of a packet: its slot, and what is remembered of packets like it.
    #[inline]
    pub fn prefetch_slot(&self, signature: u64, hash: u64) {
        self.recent.prefetch(signature);
        prefetch_index(&self.slots, self.home(hash));
    }

    /// Asks for the three cache lines that every packet changes, of the entry that the slot of a hash leads to.
    #[inline]
    pub fn prefetch_flow(&self, hash: u64) {
        let slot = self.slots.get(self.home(hash));
        if let Some(flow) = slot.and_then(|slot| self.entry(slot.index)) {
            prefetch_index(flow.next_seq.as_slice(), 0);
            prefetch_index(flow.last.as_slice(), 0);
            prefetch_index(flow.last_frame.as_slice(), 0);
        }
    }

    /// Counts a packet into its flow. `hash` is the seeded hash of `packet.key`; `signature` tells its copies
    /// ([`signature`](crate::flow::duplicate::signature)).
    pub fn update(&mut self, packet: &Packet, signature: u64, hash: u64) -> Event {
        self.counters.packets += 1;
        let copy = self.recent.is_copy(packet, signature, hash);
        if let Layer::IcmpError(error) = packet.layer {
            if copy {
                self.counters.duplicates += 1;
            } else {
                self.counters.icmp_errors += 1;
                self.icmp(packet, &error, hash);
            }
            return Event::QUIET;
        }
        let found = self.find(packet, hash);
        if copy {
            self.counters.duplicates += 1;
            if let Some(flow) = found.and_then(|index| self.entry_mut(index)) {
                flow.marks.set(Mark::Copied);
                if matches!(packet.layer, Layer::Tcp(tcp) if rst(tcp.flags)) {
                    flow.marks.set(Mark::ResetCopied);
                }
            }
            return Event::QUIET;
        }
        let index = if let Some(index) = found {
            if let Some(event) = self.continues(index, packet) {
                return event;
            }
            self.supersede(index, packet, hash)
        } else {
            let fresh = self.insert_entry(packet, hash);
            self.link(fresh, hash);
            fresh
        };
        match entry_mut(&mut self.chunks, index) {
            Some(flow) => count(flow, FlowIndex(index), packet, &mut self.counters),
            None => Event::QUIET,
        }
    }

    /// All flows, in the order they began (an evicted flow's place goes to a later one).
    pub fn flows(&self) -> impl Iterator<Item = &Flow> {
        self.chunks.iter().flatten()
    }

    /// The flow at an index that this table gave.
    pub fn flow(&self, index: FlowIndex) -> Option<&Flow> {
        self.entry(index.0)
    }

    /// The ICMP error that a flow of this table met.
    pub fn icmp_of(&self, flow: &Flow) -> Option<&IcmpSeen> {
        self.icmps.get((flow.icmp as usize).checked_sub(1)?)
    }

    /// What was recognised in the payload of a flow of this table.
    pub fn speech_of(&self, flow: &Flow) -> Option<&Speech> {
        self.speeches.get((flow.speech as usize).checked_sub(1)?)
    }

    /// The place for what is recognised in the payload of a flow.
    pub fn speech_mut(&mut self, index: FlowIndex) -> Option<&mut Speech> {
        let flow = entry_mut(&mut self.chunks, index.0)?;
        if flow.speech == 0 {
            if let Some(free) = self.speeches_free.pop() {
                flow.speech = free;
                *self.speeches.get_mut(free as usize - 1)? = Speech::default();
            } else {
                self.speeches.push(Speech::default());
                flow.speech = u32::try_from(self.speeches.len()).ok()?;
            }
        }
        self.speeches.get_mut(flow.speech as usize - 1)
    }

    /// Ends listening to a flow: no further [`Event`] tells of its payload.
    pub fn end_listening(&mut self, index: FlowIndex) {
        if let Some(flow) = self.entry_mut(index.0) {
            flow.marks.set(Mark::Heard);
        }
    }

    /// The totals of evicted flows.
    pub fn folds(&self) -> &Folds {
        &self.folds
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "masked to the table's size")]
    fn home(&self, hash: u64) -> usize {
        hash as usize & (self.slots.len() - 1)
    }

    #[inline]
    fn entry(&self, index: u32) -> Option<&Flow> {
        let place = (index as usize).checked_sub(1)?;
        self.chunks.get(place >> CHUNK_BITS)?.get(place & (CHUNK - 1))
    }

    #[inline]
    fn entry_mut(&mut self, index: u32) -> Option<&mut Flow> {
        entry_mut(&mut self.chunks, index)
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the tag is the low half of the hash")]
    fn find(&self, packet: &Packet, hash: u64) -> Option<u32> {
        let mask = self.slots.len() - 1;
        let mut at = self.home(hash);
        loop {
            let slot = self.slots.get(at)?;
            if slot.index == 0 {
                return None;
            }
            if slot.tag == hash as u32 && self.entry(slot.index).is_some_and(|flow| flow.key == packet.key) {
                return Some(slot.index);
            }
            at = (at + 1) & mask;
        }
    }

    /// Counts a packet into the flow that its key leads to; `None` if that flow has ended and another one begins.
    #[inline]
    fn continues(&mut self, index: u32, packet: &Packet) -> Option<Event> {
        let flow = entry_mut(&mut self.chunks, index)?;
        let over = match packet.layer {
            Layer::Tcp(tcp) => tcp::begins_anew(flow, packet, &tcp),
            _ => packet.ts.0.saturating_sub(flow.last_seen().0) > IDLE_NS,
        };
        if over { None } else { Some(count(flow, FlowIndex(index), packet, &mut self.counters)) }
    }

    /// Begins a new flow in the place of one that has ended.
    #[cold]
    fn supersede(&mut self, old: u32, packet: &Packet, hash: u64) -> u32 {
        if let Some(flow) = self.entry_mut(old) {
            flow.marks.set(Mark::Superseded);
            let waited = packet.ts.since(flow.last_seen()).as_millis();
            flow.superseded_after_ms = u32::try_from(waited).unwrap_or(u32::MAX - 1);
        }
        let fresh = self.insert_entry(packet, hash);
        self.relink(old, fresh, hash);
        fresh
    }

    /// A place for a new flow: a fresh one, or that of a flow which is given up.
    #[expect(clippy::cast_possible_truncation, reason = "the tag is the low half of the hash")]
    fn insert_entry(&mut self, packet: &Packet, hash: u64) -> u32 {
        self.counters.flows += 1;
        let flow = Flow::begin(packet, hash as u32);
        if self.len < self.limits.flows_max.max(1) {
            if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
                self.chunks.push(Vec::with_capacity(CHUNK));
            }
            if let Some(chunk) = self.chunks.last_mut() {
                chunk.push(flow);
            }
            self.len += 1;
            return u32::try_from(self.len).unwrap_or(u32::MAX);
        }
        let index = self.evict();
        if let Some(place) = self.entry_mut(index) {
            *place = flow;
        }
        index
    }

    /// Gives up the flow that tells least, of a few: superseded before closed before half-open before live, then the
    /// longest silent. The hand goes round, so each is looked at once a turn, and the choice depends on packets only.
    fn evict(&mut self) -> u32 {
        let mut best = (u8::MAX, u64::MAX, 1);
        for step in 0..EVICTION_SAMPLE.min(self.len) {
            let index = u32::try_from((self.hand + step) % self.len + 1).unwrap_or(1);
            let Some(flow) = self.entry(index) else { continue };
            let candidate = (worth(flow), flow.last_seen().0, index);
            best = best.min(candidate);
        }
        self.hand = (self.hand + EVICTION_SAMPLE) % self.len;
        let index = best.2;
        self.unlink(index);
        let place = (index as usize).wrapping_sub(1);
        if let Some(flow) = self.chunks.get(place >> CHUNK_BITS).and_then(|chunk| chunk.get(place & (CHUNK - 1))) {
            self.counters.flows_evicted += 1;
            if flow.icmp != 0 {
                self.icmps_free.push(flow.icmp);
            }
            if flow.speech != 0 {
                self.speeches_free.push(flow.speech);
            }
            if self.folds.take(flow, self.limits.folds_max) {
                self.counters.folds_collapsed += 1;
            }
        }
        index
    }

    #[expect(clippy::cast_possible_truncation, reason = "the tag is the low half of the hash")]
    fn link(&mut self, index: u32, hash: u64) {
        if (self.used + 1) * 2 > self.slots.len() {
            self.grow();
        }
        self.place(Slot { tag: hash as u32, index });
        self.used += 1;
    }

    fn place(&mut self, slot: Slot) {
        let mask = self.slots.len() - 1;
        let mut at = slot.tag as usize & mask;
        loop {
            match self.slots.get_mut(at) {
                Some(place) if place.index == 0 => {
                    *place = slot;
                    return;
                }
                Some(_) => at = (at + 1) & mask,
                None => return,
            }
        }
    }

    fn grow(&mut self) {
        let bigger = vec![Slot::default(); self.slots.len() * 2];
        let old = std::mem::replace(&mut self.slots, bigger);
        for slot in old.into_iter().filter(|slot| slot.index != 0) {
            self.place(slot);
        }
    }

    /// Lets the slot that led to `old` lead to `fresh`. If `old` was evicted to make room, `fresh` is linked anew.
    #[expect(clippy::cast_possible_truncation, reason = "the tag is the low half of the hash")]
    fn relink(&mut self, old: u32, fresh: u32, hash: u64) {
        let mask = self.slots.len() - 1;
        let mut at = self.home(hash);
        while let Some(slot) = self.slots.get_mut(at) {
            if slot.index == 0 {
                break;
            }
            if slot.index == old && slot.tag == hash as u32 {
                slot.index = fresh;
                return;
            }
            at = (at + 1) & mask;
        }
        self.link(fresh, hash);
    }

    /// Takes the slot of an entry out, if it has one, and closes the gap (Knuth 6.4, algorithm R).
    fn unlink(&mut self, index: u32) {
        let mask = self.slots.len() - 1;
        let Some(mut gap) = self.slot_of(index) else { return };
        let mut at = gap;
        loop {
            at = (at + 1) & mask;
            let Some(slot) = self.slots.get(at).copied() else { return };
            if slot.index == 0 {
                break;
            }
            let home = slot.tag as usize & mask;
            let stays = if gap <= at { gap < home && home <= at } else { gap < home || home <= at };
            if !stays {
                if let Some(place) = self.slots.get_mut(gap) {
                    *place = slot;
                }
                gap = at;
            }
        }
        if let Some(place) = self.slots.get_mut(gap) {
            *place = Slot::default();
        }
        self.used -= 1;
    }

    fn slot_of(&self, index: u32) -> Option<usize> {
        let flow = self.entry(index)?;
        if flow.marks.has(Mark::Superseded) {
            return None;
        }
        let mask = self.slots.len() - 1;
        let mut at = flow.tag as usize & mask;
        loop {
            let slot = self.slots.get(at)?;
            if slot.index == index {
                return Some(at);
            }
            if slot.index == 0 {
                return None;
            }
            at = (at + 1) & mask;
        }
    }

    fn icmp(&mut self, packet: &Packet, error: &IcmpError, hash: u64) {
        let Some(index) = self.find(packet, hash).filter(|index| {
            let flow = self.entry(*index);
            flow.is_some_and(|flow| quote_fits(flow, packet, error))
        }) else {
            self.counters.icmp_unmatched += 1;
            return;
        };
        let fresh = self.icmps_free.last().copied().or(u32::try_from(self.icmps.len() + 1).ok()).unwrap_or(0);
        let Some(flow) = self.entry_mut(index) else { return };
        let meaning = IcmpMeaning::of(error.v6, error.kind, error.code);
        if meaning == IcmpMeaning::Mtu {
            flow.marks.set(Mark::Mtu);
        }
        if !meaning.is_hard() {
            return;
        }
        let (known, began) = (flow.icmp, flow.began);
        let seen = IcmpSeen {
            sender: error.sender,
            about: packet.from,
            v6: error.v6,
            kind: error.kind,
            code: error.code,
            ts: packet.ts,
            frame: packet.frame,
            count: 1,
        };
        if known == 0 {
            flow.icmp = fresh;
            if self.icmps_free.pop().is_none() {
                self.icmps.push(seen);
            } else if let Some(place) = self.icmps.get_mut(fresh as usize - 1) {
                *place = seen;
            }
        } else if let Some(place) = self.icmps.get_mut(known as usize - 1) {
            // The first error about the originator's packets is the one that tells.
            let count = place.count.saturating_add(1);
            if place.about != began && packet.from == began {
                *place = seen;
            }
            place.count = count;
        }
    }
}

/// The entry of an index. Borrows the entries only, so that the counters stay free.
#[inline]
fn entry_mut(chunks: &mut [Vec<Flow>], index: u32) -> Option<&mut Flow> {
    let place = (index as usize).checked_sub(1)?;
    chunks.get_mut(place >> CHUNK_BITS)?.get_mut(place & (CHUNK - 1))
}

/// Counts a packet into its flow.
#[inline]
fn count(flow: &mut Flow, index: FlowIndex, packet: &Packet, counters: &mut Counters) -> Event {
    let me = packet.from.index();
    let pause = packet.ts.0.saturating_sub(flow.last[me].0);
    flow.packets[me] += 1;
    flow.payload[me] += u64::from(packet.payload_len);
    flow.ip_bytes[me] += u64::from(packet.ip_len);
    flow.last[me] = packet.ts;
    flow.last_frame[me] = packet.frame;
    if packet.link_group {
        flow.marks.set(Mark::Group);
    }
    if flow.lead[me] == 0 {
        flow.lead[me] = packet.lead;
    }
    let step = match packet.layer {
        Layer::Tcp(tcp) => tcp::update(flow, packet, &tcp, counters),
        _ => datagram(flow, packet, pause),
    };
    let speaks = packet.payload_captured > 0 && !flow.marks.has(Mark::Heard) && packet.layer != Layer::Fragment;
    Event { flow: index, answered: step == tcp::Step::Answered, speaks }
}

/// How much a flow tells: what is given up last has the highest worth.
fn worth(flow: &Flow) -> u8 {
    let both = flow.packets[0] > 0 && flow.packets[1] > 0;
    if flow.marks.has(Mark::Superseded) {
        0
    } else if !both && flow.packets[0] + flow.packets[1] == 1 {
        1
    } else if !both {
        2
    } else if flow.flags[0] & flow.flags[1] & crate::flow::record::FIN != 0 || flow.reset.frame.is_some() {
        3
    } else {
        4
    }
}

/// A datagram, echo, fragment or packet without ports: a reply is a packet of the end that did not begin.
///
/// `pause_ns` is the time since the packet before it of the same end.
fn datagram(flow: &mut Flow, packet: &Packet, pause_ns: u64) -> tcp::Step {
    let me = packet.from.index();
    if packet.layer != Layer::Fragment && (flow.tries[me] == 0 || pause_ns >= TRY_GAP_NS) {
        flow.tries[me] = flow.tries[me].saturating_add(1);
    }
    flow.note_ttl(packet.from, packet.ttl);
    flow.say_data(packet.from);
    if flow.packets[packet.from.index()] == 1 && flow.began != packet.from {
        tcp::Step::Answered
    } else {
        tcp::Step::None
    }
}

/// Whether an ICMP error quotes a live attempt of this flow: for TCP the quoted sequence number must be one that this
/// end sent.
fn quote_fits(flow: &Flow, packet: &Packet, error: &IcmpError) -> bool {
    if flow.key.transport != Transport::Tcp {
        return flow.packets[packet.from.index()] > 0;
    }
    let me = packet.from.index();
    if flow.packets[me] == 0 {
        return false;
    }
    let Some(seq) = error.quoted_seq else { return true };
    let sent = flow.next_seq[me];
    if flow.syns[me] == 0 && flow.synacks[me] == 0 {
        // Caught in the middle: any number of the last half of sequence space may have been sent.
        return sent.wrapping_sub(seq) < 1 << 31;
    }
    let only_syns = u64::from(flow.syns[me]) + u64::from(flow.synacks[me]) == flow.packets[me];
    let place = seq.wrapping_sub(flow.isn[me]);
    if only_syns { place == 0 } else { place <= sent.wrapping_sub(flow.isn[me]) }
}
