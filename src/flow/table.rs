//! The flow table: one writer, no lock, bounded, entries that never move.
//!
//! Small slots (tag, index) lead to dense entries, so that growing moves eight bytes a flow and a scan of millions
//! of flows costs little. Entries stay where they are until the end of the capture: the entry is the record.

use prefetch_index::prefetch_index;

use crate::decode::packet::IcmpError;
use crate::decode::packet::Layer;
use crate::decode::packet::Packet;
use crate::flow::arena::Arena;
use crate::flow::duplicate::Recent;
use crate::flow::entry::Beside;
use crate::flow::entry::Entry;
use crate::flow::fold::Folds;
use crate::flow::icmp::IcmpMeaning;
use crate::flow::icmp::IcmpSeen;
use crate::flow::limits::Counters;
use crate::flow::limits::IDLE_NS;
use crate::flow::limits::Limits;
use crate::flow::limits::TRY_GAP_NS;
use crate::flow::record::Flow;
use crate::flow::record::Mark;
use crate::flow::record::rst;
use crate::flow::tcp;
use crate::model::ids::FrameId;
use crate::model::time::Timestamp;
use crate::model::transport::Transport;

/// How many entries the search for one to give up looks at.
const EVICTION_SAMPLE: usize = 16;

/// One table. Owned by one thread.
#[derive(Debug)]
pub struct Table {
    slots: Vec<Slot>,
    used: usize,
    entries: Arena<Entry>,
    beside: Beside,
    icmps: Arena<IcmpSeen>,
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
pub enum Event {
    /// Nothing of interest.
    Quiet,
    /// The responder of this flow answered for the first time.
    Answered(FlowIndex),
}

/// A flow's place in its table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FlowIndex(u32);

impl Table {
    /// The most bytes that one flow takes, apart from its slot and an ICMP error.
    pub const FLOW_BYTES_MAX: usize = Entry::BYTES_MAX;

    /// An empty table with these bounds.
    pub fn new(limits: Limits) -> Self {
        Self {
            slots: vec![Slot::default(); 1 << 10],
            used: 0,
            entries: Arena::default(),
            beside: Beside::default(),
            icmps: Arena::default(),
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

    /// Asks for the two cache lines of the entry that the slot of a hash leads to.
    #[inline]
    pub fn prefetch_flow(&self, hash: u64) {
        if let Some(entry) = self.likely(hash).and_then(|index| self.entries.get(index)) {
            prefetch_index(entry.next_seq.as_slice(), 0);
            prefetch_index(entry.last.as_slice(), 0);
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
            return Event::Quiet;
        }
        let Some(index) = self.find(packet, hash) else {
            if copy {
                self.counters.duplicates += 1;
                return Event::Quiet;
            }
            return self.begin(packet, hash);
        };
        let Some(entry) = self.entries.get_mut(index) else { return Event::Quiet };
        if copy {
            self.counters.duplicates += 1;
            entry.set(Mark::Copied);
            if matches!(packet.layer, Layer::Tcp(tcp) if rst(tcp.flags)) {
                entry.set(Mark::ResetCopied);
            }
            return Event::Quiet;
        }
        if entry.take(packet) { Event::Quiet } else { self.count_unfolded(index, packet, hash) }
    }

    /// All flows, in the order they began (an evicted flow's place goes to a later one).
    pub fn flows(&self) -> impl Iterator<Item = Stored<'_>> {
        self.entries.iter().map(|entry| Stored { table: self, entry })
    }

    /// The flow at an index that this table gave.
    pub fn flow(&self, index: FlowIndex) -> Option<Flow> {
        Some(self.entries.get(index.0)?.unfold(&self.beside))
    }

    /// The ICMP error that a flow of this table met.
    pub fn icmp_of(&self, flow: &Flow) -> Option<&IcmpSeen> {
        self.icmps.get(flow.icmp)
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

    /// The first entry whose key may have this hash, from the slots alone.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the tag is the low half of the hash")]
    fn likely(&self, hash: u64) -> Option<u32> {
        let mask = self.slots.len() - 1;
        let mut at = self.home(hash);
        loop {
            let slot = self.slots.get(at)?;
            if slot.index == 0 {
                return None;
            }
            if slot.tag == hash as u32 {
                return Some(slot.index);
            }
            at = (at + 1) & mask;
        }
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
            if slot.tag == hash as u32
                && self.entries.get(slot.index).is_some_and(|entry| entry.key(&self.beside.hosts) == packet.key)
            {
                return Some(slot.index);
            }
            at = (at + 1) & mask;
        }
    }

    /// Counts a packet that may change anything, or begin another flow on the same key.
    #[inline(never)]
    fn count_unfolded(&mut self, index: u32, packet: &Packet, hash: u64) -> Event {
        let Some(entry) = self.entries.get_mut(index) else { return Event::Quiet };
        let mut flow = entry.unfold(&self.beside);
        let over = match packet.layer {
            Layer::Tcp(tcp) => tcp::begins_anew(&flow, packet, &tcp),
            _ => packet.ts.0.saturating_sub(flow.last_seen().0) > IDLE_NS,
        };
        if !over {
            let answered = count(&mut flow, packet, &mut self.counters);
            entry.fold(&flow, &mut self.beside);
            return if answered { Event::Answered(FlowIndex(index)) } else { Event::Quiet };
        }
        flow.marks.set(Mark::Superseded);
        let waited = packet.ts.since(flow.last_seen()).as_millis();
        flow.superseded_after_ms = u32::try_from(waited).unwrap_or(u32::MAX - 1);
        entry.fold(&flow, &mut self.beside);
        let (fresh, event) = self.insert(packet, hash);
        self.relink(index, fresh, hash);
        event
    }

    /// Begins a flow on a key that has none.
    #[inline(never)]
    fn begin(&mut self, packet: &Packet, hash: u64) -> Event {
        let (fresh, event) = self.insert(packet, hash);
        self.link(fresh, hash);
        event
    }

    /// A new flow with its first packet, in a fresh place or in that of a flow which is given up.
    #[expect(clippy::cast_possible_truncation, reason = "the tag is the low half of the hash")]
    fn insert(&mut self, packet: &Packet, hash: u64) -> (u32, Event) {
        self.counters.flows += 1;
        if self.entries.len() >= self.limits.flows_max.max(1) {
            let given_up = self.evict();
            self.entries.release(given_up);
        }
        let mut flow = Flow::begin(packet);
        let answered = count(&mut flow, packet, &mut self.counters);
        let index = self.entries.put(Entry::of(&flow, hash as u32, &mut self.beside));
        (index, if answered { Event::Answered(FlowIndex(index)) } else { Event::Quiet })
    }

    /// Gives up the flow that tells least, of a few: superseded before closed before half-open before live, then the
    /// longest silent. The hand goes round, so each is looked at once a turn, and the choice depends on packets only.
    fn evict(&mut self) -> u32 {
        let len = self.entries.len();
        let mut best = (u8::MAX, u64::MAX, 1);
        for step in 0..EVICTION_SAMPLE.min(len) {
            let index = u32::try_from((self.hand + step) % len + 1).unwrap_or(1);
            let Some(entry) = self.entries.get(index) else { continue };
            let candidate = (entry.worth(), entry.last_seen().0, index);
            best = best.min(candidate);
        }
        self.hand = (self.hand + EVICTION_SAMPLE) % len;
        let index = best.2;
        self.unlink(index);
        if let Some(entry) = self.entries.get(index) {
            let flow = entry.unfold(&self.beside);
            entry.release(&mut self.beside);
            self.icmps.release(flow.icmp);
            self.counters.flows_evicted += 1;
            if self.folds.take(&flow, self.limits.folds_max) {
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
        let entry = self.entries.get(index)?;
        if entry.has(Mark::Superseded) {
            return None;
        }
        let mask = self.slots.len() - 1;
        let mut at = entry.tag as usize & mask;
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

    #[inline(never)]
    fn icmp(&mut self, packet: &Packet, error: &IcmpError, hash: u64) {
        let Some(entry) = self.find(packet, hash).and_then(|index| self.entries.get_mut(index)) else {
            self.counters.icmp_unmatched += 1;
            return;
        };
        let mut flow = entry.unfold(&self.beside);
        if !quote_fits(&flow, packet, error) {
            self.counters.icmp_unmatched += 1;
            return;
        }
        let meaning = IcmpMeaning::of(error.v6, error.kind, error.code);
        if meaning == IcmpMeaning::Mtu {
            entry.set(Mark::Mtu);
        }
        if !meaning.is_hard() {
            return;
        }
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
        if let Some(place) = self.icmps.get_mut(flow.icmp) {
            // The first error about the originator's packets is the one that tells.
            let count = place.count.saturating_add(1);
            if place.about != flow.began && packet.from == flow.began {
                *place = seen;
            }
            place.count = count;
        } else {
            flow.icmp = self.icmps.put(seen);
            entry.fold(&flow, &mut self.beside);
        }
    }
}

/// A flow where the table keeps it.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    table: &'a Table,
    entry: &'a Entry,
}

impl<'a> Stored<'a> {
    /// The whole flow, made anew at each call.
    #[inline]
    pub fn flow(self) -> Flow {
        self.entry.unfold(&self.table.beside)
    }

    /// The ICMP error that it met.
    pub fn icmp(self) -> Option<&'a IcmpSeen> {
        self.table.icmp_of(&self.flow())
    }

    /// When its first packet was seen, that packet's frame, and the newest frame of each end: what flows are sorted by.
    #[inline]
    pub fn order(self) -> (Timestamp, FrameId, [FrameId; 2]) {
        self.entry.order()
    }
}

/// Counts a packet into its flow; true if the responder answered with it for the first time.
///
/// [`Entry::take`] does the same where nothing can happen but counting.
fn count(flow: &mut Flow, packet: &Packet, counters: &mut Counters) -> bool {
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
    step == tcp::Step::Answered
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
