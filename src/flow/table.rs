//! The flow table: one writer, no lock, bounded, entries that never move.
//!
//! Small slots lead to dense entries. Entries stay where they are until the end of the capture: the entry is the record.

use crate::decode::packet::CountsAs;
use crate::decode::packet::Headers;
use crate::decode::packet::IcmpError;
use crate::decode::packet::Layer;
use crate::decode::packet::Packet;
use crate::flow::arena::Arena;
use crate::flow::duplicate::Likeness;
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
use crate::flow::record::Began;
use crate::flow::record::Flow;
use crate::flow::record::Mark;
use crate::flow::record::Totals;
use crate::flow::record::rst;
use crate::flow::slots::Slots;
use crate::flow::speech::Speech;
use crate::flow::tcp;
use crate::flow::vast::Vast;
use crate::model::addr::FlowKey;
use crate::model::addr::Side;
use crate::model::ids::FrameId;
use crate::model::time::Timestamp;
use crate::model::transport::Transport;

/// How many entries the search for one to give up looks at.
const EVICTION_SAMPLE: usize = 8;

/// One table. Owned by one thread.
#[derive(Debug)]
pub struct Table {
    slots: Slots,
    entries: Vast<Entry>,
    beside: Beside,
    icmps: Arena<IcmpSeen>,
    recent: Recent,
    folds: Folds,
    limits: Limits,
    hand: usize,
    /// What was counted.
    pub counters: Counters,
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
    /// Whoever listens to the flow holds something of it ([`Table::hold`]).
    pub held: bool,
}

impl Event {
    /// Nothing of interest.
    const QUIET: Self = Self { flow: FlowIndex(0), answered: false, speaks: false, held: false };

    /// Whether it is of any interest.
    #[inline]
    pub fn tells(self) -> bool {
        self.answered || self.speaks
    }
}

/// What became of a packet of the usual kind; see [`Event`] for what the words mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Advance {
    /// It was counted, and that is all.
    Silent,
    /// It was counted, and has payload that is listened to.
    Speaks {
        /// Something of the flow is held.
        held: bool,
    },
    /// It was not counted into any flow yet.
    Unusual {
        /// It is a copy.
        copy: bool,
    },
}

/// A flow's place in its table; the default is nobody's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct FlowIndex(u32);

impl FlowIndex {
    /// The same for a list with an item for each place.
    #[inline]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl Table {
    /// The most bytes that one flow takes, what was recognised in it included, its slot and an ICMP error left out.
    pub const FLOW_BYTES_MAX: usize = Entry::BYTES_MAX;

    /// An empty table with these bounds.
    pub fn new(limits: Limits) -> Self {
        Self {
            slots: Slots::default(),
            entries: Vast::default(),
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
    pub fn prefetch_slot(&self, likeness: Likeness, tag: u32) {
        self.recent.prefetch(likeness);
        self.slots.prefetch(tag);
    }

    /// The flow that a tag seems to lead to, if any; asks for its entry.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "once for each packet")]
    pub fn prefetch_flow(&self, tag: u32) -> FlowIndex {
        let likely = self.slots.find(tag, |_| true).unwrap_or_default();
        self.entries.prefetch_line(likely, 0);
        FlowIndex(likely)
    }

    /// Asks for the rest of the entry of the `likely` flow. What was asked for before brings it near: one more at that time
    /// would only wait in line.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "once for each packet")]
    pub fn prefetch_rest(&self, likely: FlowIndex) {
        self.entries.prefetch_line(likely.0, 1);
    }

    /// Asks for what is looked at if an end of the `likely` flow, which [`Table::prefetch_flow`] gave some time ago, is still
    /// listened to. Whether something of it is held.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "once for each packet with payload")]
    pub fn prefetch_speech(&self, likely: FlowIndex, side: Side) -> bool {
        let Some(entry) = self.entries.get(likely.0).filter(|entry| !entry.has(heard(side))) else { return false };
        entry.prefetch_detail(&self.beside);
        entry.is_held()
    }

    /// Asks for what is looked at if a segment without payload takes a turn or may complete the handshake of the `likely` flow.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "once for each packet without payload")]
    pub fn prefetch_turn(&self, likely: FlowIndex, turn: bool) {
        if let Some(entry) = self.entries.get(likely.0).filter(|entry| turn || !entry.is_settled()) {
            entry.prefetch_detail(&self.beside);
        }
    }

    /// Counts a packet into its flow. `tag` is the half of a seeded hash of `packet.key`.
    pub fn update(&mut self, packet: &Packet, likeness: Likeness, tag: u32) -> Event {
        let likely = FlowIndex(self.slots.find(tag, |_| true).unwrap_or_default());
        match self.advance(packet, likeness, likely) {
            Advance::Silent => Event { flow: likely, ..Event::QUIET },
            Advance::Speaks { held } => Event { flow: likely, answered: false, speaks: true, held },
            Advance::Unusual { copy } => self.update_unusual(packet, tag, copy),
        }
    }

    /// Counts a packet if it means no more than that its flow goes on, and its flow is the `likely` one: nearly all are
    /// such. Another is counted by [`Table::update_unusual`], which must follow.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "most fields of the packet are looked at nowhere else")]
    pub fn advance(&mut self, packet: &impl Headers, likeness: Likeness, likely: FlowIndex) -> Advance {
        self.counters.packets += 1;
        let copy = self.recent.is_copy(likeness, packet.ts().0);
        let Some(entry) = self.entries.get_mut(likely.0) else { return Advance::Unusual { copy } };
        // Since somebody looked, the flow may have been followed by another of the same key.
        let is_it = entry.is_of(packet, &self.beside.hosts) && !entry.has(Mark::Superseded);
        if copy && is_it && tells_no_more_than_that(packet) {
            self.counters.duplicates += 1;
            entry.set(Mark::Copied);
            return Advance::Silent;
        }
        if copy || !is_it || !entry.take(packet, &mut self.beside) {
            return Advance::Unusual { copy };
        }
        if packet.has_payload() && !entry.has(heard(packet.from())) {
            return Advance::Speaks { held: entry.is_held() };
        }
        Advance::Silent
    }

    /// Counts a packet that begins a flow, is a copy, or may mean more than that a flow goes on.
    #[inline(never)]
    pub fn update_unusual(&mut self, packet: &Packet, tag: u32, copy: bool) -> Event {
        if let Layer::IcmpError(error) = packet.layer {
            if copy {
                self.counters.duplicates += 1;
            } else {
                self.counters.icmp_errors += 1;
                self.icmp(packet, &error, tag);
            }
            return Event::QUIET;
        }
        let Some(index) = self.find(packet, tag) else {
            if copy {
                self.counters.duplicates += 1;
                return Event::QUIET;
            }
            return self.begin(packet, tag);
        };
        let Some(entry) = self.entries.get_mut(index) else { return Event::QUIET };
        if copy {
            self.counters.duplicates += 1;
            entry.set(Mark::Copied);
            if matches!(packet.layer, Layer::Tcp(tcp) if rst(tcp.flags)) {
                entry.set(Mark::ResetCopied);
            }
            return Event::QUIET;
        }
        entry.settle(packet, &mut self.beside);
        let answered = entry.answer(packet, &mut self.beside);
        if answered || entry.take(packet, &mut self.beside) {
            let speaks = speaks(packet, entry.has(heard(packet.from)));
            return Event { flow: FlowIndex(index), answered, speaks, held: entry.is_held() };
        }
        self.count_unfolded(index, packet, tag)
    }

    /// How many flows it keeps.
    pub fn held(&self) -> usize {
        self.entries.held()
    }

    /// All flows, in the order they began (an evicted flow's place goes to a later one).
    pub fn flows(&self) -> impl Iterator<Item = Stored<'_>> {
        self.entries.iter().filter(|entry| !entry.is_vacant()).map(|entry| Stored { table: self, entry })
    }

    /// The flow at an index that this table gave.
    #[inline]
    pub fn flow(&self, index: FlowIndex) -> Option<Stored<'_>> {
        let entry = self.entries.get(index.0).filter(|entry| !entry.is_vacant())?;
        Some(Stored { table: self, entry })
    }

    /// What tells a flow from an earlier one at the same index, without the rest of it: its first frame.
    #[inline]
    pub fn first_frame(&self, index: FlowIndex) -> Option<FrameId> {
        Some(self.flow(index)?.order().1)
    }

    /// How many packets of both ends were counted into a flow; no more than 32 bits of each are looked at.
    #[inline]
    pub fn packets(&self, index: FlowIndex) -> Option<u64> {
        Some(self.entries.get(index.0)?.packets())
    }

    /// How many packets of one end were counted into a flow, up to 32 bits of them.
    #[inline]
    pub fn packets_of(&self, index: FlowIndex, side: Side) -> Option<u32> {
        Some(self.entries.get(index.0)?.packets_of(side))
    }

    /// Notes that whoever listens to a flow holds something of it, or does no more: the events of its packets say so.
    pub fn hold(&mut self, index: FlowIndex, held: bool) {
        if let Some(entry) = self.entries.get_mut(index.0) {
            entry.hold(held);
        }
    }

    /// What was recognised in the payload of a flow.
    pub fn speech(&self, index: FlowIndex) -> Option<Speech> {
        Some(self.flow(index)?.speech())
    }

    /// Notes what is recognised in the payload of a flow.
    pub fn set_speech(&mut self, index: FlowIndex, speech: Speech) {
        let Some(entry) = self.entries.get_mut(index.0) else { return };
        if speech != entry.speech(&self.beside) && !entry.set_speech(speech, &mut self.beside) {
            let flow = Flow { speech, ..entry.unfold(&self.beside) };
            entry.fold(&flow, &mut self.beside);
        }
    }

    /// Ends listening to one end of a flow: no further [`Event`] tells of its payload.
    pub fn end_listening(&mut self, index: FlowIndex, side: Side) {
        if let Some(entry) = self.entries.get_mut(index.0) {
            entry.set(heard(side));
        }
    }

    /// A copy to judge by while this table goes on. It has no slots: no packet can be counted into it.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self {
            slots: Slots::default(),
            recent: Recent::default(),
            entries: self.entries.clone(),
            beside: self.beside.clone(),
            icmps: self.icmps.clone(),
            folds: self.folds.clone(),
            ..*self
        }
    }

    /// The totals of evicted flows.
    pub fn folds(&self) -> &Folds {
        &self.folds
    }

    /// Adds totals that were taken out of it before.
    pub fn add_folds(&mut self, past: &Folds) {
        self.folds.join(past, self.limits.folds_max);
    }

    #[inline]
    fn find(&self, packet: &Packet, tag: u32) -> Option<u32> {
        self.slots
            .find(tag, |index| self.entries.get(index).is_some_and(|entry| entry.is_of(packet, &self.beside.hosts)))
    }

    /// Counts a packet that may change anything, or begin another flow on the same key.
    #[inline(never)]
    fn count_unfolded(&mut self, index: u32, packet: &Packet, tag: u32) -> Event {
        let Some(entry) = self.entries.get_mut(index) else { return Event::QUIET };
        let mut flow = entry.unfold(&self.beside);
        let over = match packet.layer {
            Layer::Tcp(tcp) => tcp::begins_anew(&flow, packet, &tcp),
            _ => packet.ts.0.saturating_sub(flow.last_seen().0) > IDLE_NS,
        };
        if !over {
            let answered = count(&mut flow, packet, &mut self.counters);
            entry.fold(&flow, &mut self.beside);
            return Event {
                flow: FlowIndex(index),
                answered,
                speaks: speaks(packet, flow.marks.has(heard(packet.from))),
                held: entry.is_held(),
            };
        }
        flow.marks.set(Mark::Superseded);
        let waited = packet.ts.since(flow.last_seen()).as_millis();
        flow.superseded_after_ms = u32::try_from(waited).unwrap_or(u32::MAX - 1);
        entry.fold(&flow, &mut self.beside);
        let event = self.insert(packet, tag);
        // If the old flow was given up to make room, there is no slot of it left.
        if !self.slots.replace(tag, index, event.flow.0) {
            self.link(event.flow.0, tag);
        }
        event
    }

    /// Begins a flow on a key that has none.
    #[inline(never)]
    fn begin(&mut self, packet: &Packet, tag: u32) -> Event {
        let event = self.insert(packet, tag);
        self.link(event.flow.0, tag);
        event
    }

    /// A new flow with its first packet, in a fresh place or in that of a flow which is given up.
    ///
    /// What it gives stays in registers: read back from memory, it would wait for the entry, which no cache has yet.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "half of the time of a new flow")]
    fn insert(&mut self, packet: &Packet, tag: u32) -> Event {
        self.counters.flows += 1;
        if self.entries.held() >= self.limits.flows_max.clamp(1, Slots::NUMBER_MAX) {
            let given_up = self.evict();
            self.entries.release(given_up);
        }
        if let Some(entry) = Entry::of_usual(packet, tag) {
            let index = self.entries.put(entry);
            return Event { flow: FlowIndex(index), answered: false, speaks: speaks(packet, false), held: false };
        }
        let mut flow = Flow::begin(packet);
        let answered = count(&mut flow, packet, &mut self.counters);
        let index = self.entries.put(Entry::of(&flow, tag, &mut self.beside));
        Event { flow: FlowIndex(index), answered, speaks: speaks(packet, false), held: false }
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
        // The next are asked for now: they lie where no cache has them.
        for step in 1..=EVICTION_SAMPLE {
            self.entries.prefetch(u32::try_from(self.hand + step).unwrap_or_default());
        }
        let index = best.2;
        if let Some(flow) = self.let_go(index) {
            self.counters.flows_evicted += 1;
            self.folds.take(&flow, self.limits.folds_max);
        }
        index
    }

    /// Takes everything but the entry itself of a flow away.
    fn let_go(&mut self, index: u32) -> Option<Flow> {
        let entry = self.entries.get(index)?;
        if !entry.has(Mark::Superseded) {
            self.slots.remove(entry.tag, index, |other| self.entries.get(other).map_or(0, |entry| entry.tag));
        }
        let flow = entry.unfold(&self.beside);
        entry.release(&mut self.beside);
        self.icmps.release(flow.icmp);
        Some(flow)
    }

    /// Takes out the flows that were last seen before a time, into a table to judge them by for the last time, and what
    /// is left of those that were given up.
    #[must_use]
    pub fn expire(&mut self, before: Timestamp) -> Self {
        let (entries, beside) = (Vast::passing(), Beside::passing());
        let folds = std::mem::take(&mut self.folds);
        let mut past = Self { entries, beside, folds, ..Self::new(self.limits) };
        for index in 1..=u32::try_from(self.entries.len()).unwrap_or(u32::MAX) {
            let expires = |entry: &&Entry| !entry.is_vacant() && entry.last_seen() < before;
            let Some(entry) = self.entries.get(index).filter(expires) else { continue };
            let (tag, flow) = (entry.tag, entry.unfold(&self.beside));
            let kept = Flow { icmp: self.icmps.get(flow.icmp).map_or(0, |icmp| past.icmps.put(*icmp)), ..flow };
            past.entries.put(Entry::of(&kept, tag, &mut past.beside));
            self.let_go(index);
            if let Some(entry) = self.entries.get_mut(index) {
                entry.vacate();
            }
            self.entries.release(index);
        }
        past
    }

    fn link(&mut self, fresh: u32, tag: u32) {
        if self.slots.is_full() {
            let linked = |(entry, index): (&Entry, u32)| {
                (index != fresh && !entry.has(Mark::Superseded) && !entry.is_vacant()).then_some((entry.tag, index))
            };
            self.slots.rebuild(self.entries.iter().zip(1..).filter_map(linked));
        }
        self.slots.insert(tag, fresh);
    }

    #[inline(never)]
    fn icmp(&mut self, packet: &Packet, error: &IcmpError, tag: u32) {
        let Some(entry) = self.find(packet, tag).and_then(|index| self.entries.get_mut(index)) else {
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
            // The first error about the originator's packets is the one that tells, unless it is what a traceroute asks for.
            let count = place.count.saturating_add(1);
            let of_began = packet.from == flow.began;
            let expired = |icmp: &IcmpSeen| icmp.meaning() == IcmpMeaning::Loop;
            if of_began && (place.about != flow.began || (expired(place) && !expired(&seen))) {
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
    /// Asks for the cache lines that [`Stored::flow`] reads first.
    #[inline]
    pub fn prefetch(self) {
        self.entry.prefetch();
    }

    /// Asks for those that it reads then, of a flow that lies there already.
    #[inline]
    pub fn prefetch_more(self) {
        self.entry.prefetch_detail(&self.table.beside);
    }

    /// Both ends.
    #[inline]
    pub fn key(self) -> FlowKey {
        self.entry.key(&self.table.beside.hosts)
    }

    /// Who began it as far as packets alone tell, and how that is known.
    #[inline]
    pub fn began(self) -> (Side, Began) {
        self.entry.began()
    }

    /// The whole flow, made anew at each call.
    #[inline]
    pub fn flow(self) -> Flow {
        self.entry.unfold(&self.table.beside)
    }

    /// What the sums of host pairs need of it.
    #[inline]
    pub fn totals(self) -> Totals {
        self.entry.totals(&self.table.beside)
    }

    /// The sequence number of the first byte of one end, if its SYN was seen.
    #[inline]
    pub fn first_byte(self, side: Side) -> Option<u32> {
        self.entry.first_byte(side, &self.table.beside)
    }

    /// See [`Flow::syns`].
    #[inline]
    pub fn syns(self, side: Side) -> u16 {
        self.entry.syns(side, &self.table.beside)
    }

    /// The ICMP error that it met.
    #[inline]
    pub fn icmp(self) -> Option<&'a IcmpSeen> {
        self.table.icmps.get(self.entry.icmp(&self.table.beside))
    }

    /// What was recognised in its payload.
    #[inline]
    pub fn speech(self) -> Speech {
        self.entry.speech(&self.table.beside)
    }

    /// Whether it is nothing but SYNs without data of `side`, to which nobody said anything: neither the other end nor
    /// a router.
    #[inline]
    pub fn is_lone_attempt_of(self, side: Side) -> bool {
        self.entry.is_lone_attempt() && self.entry.began().0 == side
    }

    /// See [`Flow::marks`].
    #[inline]
    pub fn has(self, mark: Mark) -> bool {
        self.entry.has(mark)
    }

    /// See [`FlowKey::transport`](crate::model::addr::FlowKey::transport).
    #[inline]
    pub fn transport(self) -> Transport {
        self.entry.transport()
    }

    /// Whether packets of both ends were captured.
    #[inline]
    pub fn both_ways(self) -> bool {
        self.entry.both_ways()
    }

    /// See [`Flow::first`].
    #[inline]
    pub fn first(self) -> Timestamp {
        self.entry.order().0
    }

    /// See [`Flow::ttl`].
    #[inline]
    pub fn ttl(self, side: Side) -> u8 {
        self.entry.ttl[side.index()]
    }

    /// When the last packet of one end was seen.
    #[inline]
    pub fn last(self, side: Side) -> Timestamp {
        self.entry.last[side.index()]
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

/// Whether a copy of this packet tells of its flow that there are copies, and nothing else.
#[inline(always)]
#[expect(clippy::inline_always, reason = "as Table::advance")]
fn tells_no_more_than_that(copy: &impl Headers) -> bool {
    match copy.counts_as() {
        CountsAs::Segment => !rst(copy.flags()),
        CountsAs::Datagram => true,
        CountsAs::Other => false,
    }
}

/// The mark that says that an end is listened to no more.
#[inline]
fn heard(side: Side) -> Mark {
    if side == Side::Low { Mark::HeardLow } else { Mark::HeardHigh }
}

/// Whether a packet has captured payload of an end that is still listened to.
#[inline]
fn speaks(packet: &Packet, heard: bool) -> bool {
    packet.payload_captured > 0 && !heard && packet.layer != Layer::Fragment
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

#[cfg(test)]
mod tests {
    #![expect(
        clippy::unwrap_used,
        clippy::cast_possible_truncation,
        reason = "a test may stop here, and draws numbers"
    )]

    use super::*;
    use crate::decode::packet::Tcp;
    use crate::model::addr::Addr;

    /// Numbers that are the same in every run.
    struct Draw(u64);

    impl Draw {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % bound
        }

        fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
            *all.get(self.below(all.len() as u64) as usize).unwrap()
        }
    }

    /// Packet `number` of a conversation of one kind that goes as it may: handshakes, data, repeats, holes, resets.
    fn packet(draw: &mut Draw, v6: bool, transport: Transport, number: u64) -> Packet {
        let [client, server] =
            if v6 { [Addr::v6([1; 16]), Addr::v6([2; 16])] } else { [Addr::v4([1; 4]), Addr::v4([2; 4])] };
        let back = draw.below(2) == 1;
        let (from, to) = if back { ((server, 443), (client, 50_000)) } else { ((client, 50_000), (server, 443)) };
        let (key, from) = FlowKey::of(from.0, from.1, to.0, to.1, transport);
        let payload_len: u32 = draw.one_of(&[0, 0, 1, 100, 100, 1_000, if number > 60 { 3_000_000_000 } else { 7 }]);
        let step = number as u32 / 4 * 50;
        let tcp = Tcp {
            seq: 1_000 + step + draw.below(60) as u32,
            ack: 1_000 + step + draw.below(70) as u32,
            flags: draw.one_of(if number < 6 {
                &[0x02, 0x02, 0x12, 0x10, 0x14]
            } else {
                &[0x10, 0x18, 0x18, 0x11, 0x02, 0x14]
            }),
            window: draw.below(9) as u16,
            checksum: 0,
        };
        let plain = if transport == Transport::Udp { Layer::Udp { checksum: 0 } } else { Layer::Tcp(tcp) };
        Packet {
            frame: FrameId::new(0, number + 1),
            ts: Timestamp(1_000_000_000 + number * draw.one_of(&[1_000, 100_000_000])),
            key,
            from,
            ttl: draw.one_of(&[64, 64, 64, 63]),
            ip_id: draw.below(3) as u16,
            ip_len: payload_len.saturating_add(40),
            payload_len,
            payload_at: 54,
            payload_captured: 0,
            lead: draw.below(3) as u8,
            layer: if draw.below(40) == 0 { Layer::Fragment } else { plain },
            link_group: draw.below(50) == 0,
            tunnels: 0,
        }
    }

    /// Counted in place or folded and unfolded after every packet, a flow is what it is when it lies open all the time.
    #[test]
    fn a_folded_flow_is_the_open_flow() {
        let (mut answers, mut in_place, mut sizes) = (0, 0, [0; 2]);
        for seed in 0..4_000 {
            let mut draw = Draw(seed);
            let (v6, transport) = (seed % 5 == 0, draw.one_of(&[Transport::Tcp, Transport::Tcp, Transport::Udp]));
            let (mut counters, mut open_counters, mut beside) =
                (Counters::default(), Counters::default(), Beside::default());
            let first = packet(&mut draw, v6, transport, 0);
            let mut open = Flow::begin(&first);
            count(&mut open, &first, &mut open_counters);
            let mut flow = Flow::begin(&first);
            count(&mut flow, &first, &mut counters);
            let mut entry = Entry::of(&flow, 0, &mut beside);
            for number in 1..=draw.below(90) {
                let packet = packet(&mut draw, v6, transport, number);
                let said = count(&mut open, &packet, &mut open_counters);
                entry.settle(&packet, &mut beside);
                if entry.answer(&packet, &mut beside) {
                    answers += 1;
                    assert!(said);
                } else if entry.take(&packet, &mut beside) {
                    in_place += 1;
                    assert!(!said);
                } else {
                    let mut flow = entry.unfold(&beside);
                    assert_eq!(count(&mut flow, &packet, &mut counters), said);
                    entry.fold(&flow, &mut beside);
                }
                if draw.below(60) == 0 {
                    open.speech = Speech::of_parts([number as u32, 7], [3, number as u8]);
                    if draw.below(2) == 0 || !entry.set_speech(open.speech, &mut beside) {
                        let mut flow = entry.unfold(&beside);
                        flow.speech = open.speech;
                        entry.fold(&flow, &mut beside);
                    }
                }
                assert_eq!((entry.unfold(&beside), counters), (open.clone(), open_counters), "{seed} {number}");
                assert_eq!((entry.speech(&beside), entry.totals(&beside)), (open.speech, open.totals()));
                assert_eq!([Side::Low, Side::High].map(|side| entry.syns(side, &beside)), open.syns);
            }
            sizes[usize::from(beside.details() > 0)] += 1;
            entry.release(&mut beside);
        }
        assert!(answers > 200 && in_place > 10_000, "{answers} {in_place}");
        assert!(sizes.into_iter().all(|flows| flows > 200), "{sizes:?}");
    }

    /// As often as it may be, and whoever does it: an entry counts some of it beside its detail.
    #[test]
    fn what_is_sent_again_is_counted_by_end() {
        let (client, server) = ((Addr::v4([1; 4]), 50_000), (Addr::v4([2; 4]), 443));
        let segment = |back: bool, flags, seq, ack, payload_len| {
            let (from, to) = if back { (server, client) } else { (client, server) };
            let (key, from) = FlowKey::of(from.0, from.1, to.0, to.1, Transport::Tcp);
            let layer = Layer::Tcp(Tcp { seq, ack, flags, window: 1, checksum: 0 });
            Packet { key, from, payload_len, ip_len: 40 + payload_len, ttl: 64, layer, ..Packet::NONE }
        };
        let opening = [
            segment(false, 0x02, 10, 0, 0),
            segment(true, 0x12, 20, 11, 0),
            segment(false, 0x10, 11, 21, 0),
            segment(false, 0x18, 11, 21, 5),
            segment(true, 0x18, 21, 16, 5),
        ];
        let (by_client, by_server) = (segment(false, 0x18, 11, 21, 5), segment(true, 0x18, 21, 16, 5));
        let runs =
            [(by_client, 1), (by_server, 127), (by_client, 700), (by_server, 3), (by_server, 128), (by_client, 9)];
        let again = runs.into_iter().flat_map(|(packet, times)| std::iter::repeat_n(packet, times));
        let mut table = Table::new(Limits::default());
        let mut open = None;
        let mut counters = Counters::default();
        for (packet, number) in opening.into_iter().chain(again).zip(1..) {
            let packet = Packet { ts: Timestamp(number * 10_000_000), frame: FrameId::new(0, number), ..packet };
            let event = table.update(&packet, Likeness::default(), 7);
            let open = open.get_or_insert_with(|| Flow::begin(&packet));
            count(open, &packet, &mut counters);
            assert_eq!(table.flow(event.flow).unwrap().flow(), *open, "{number}");
        }
        assert_eq!(open.unwrap().retransmits, [710, 258]);
    }

    /// What the general way makes of the first packet of a flow.
    #[test]
    fn what_is_usual_is_written_down_as_the_general_way_does() {
        let mut usual = 0;
        for seed in 0..4_000 {
            let mut draw = Draw(seed);
            let (v6, transport) = (seed % 7 == 0, draw.one_of(&[Transport::Tcp, Transport::Tcp, Transport::Udp]));
            let first = packet(&mut draw, v6, transport, 0);
            let (mut counters, mut beside) = (Counters::default(), Beside::default());
            let mut flow = Flow::begin(&first);
            count(&mut flow, &first, &mut counters);
            let general = Entry::of(&flow, 9, &mut beside);
            if let Some(entry) = Entry::of_usual(&first, 9) {
                usual += 1;
                assert_eq!(bytemuck::bytes_of(&entry), bytemuck::bytes_of(&general), "{seed}");
            }
            assert_eq!(general.totals(&beside), flow.totals());
        }
        assert!(usual > 1_000, "{usual}");
    }

    /// Flows are looked for before the packets ahead are counted: one of these may begin another flow of the same key.
    #[test]
    fn a_packet_is_not_counted_into_a_flow_that_was_followed_meanwhile() {
        let mut table = Table::new(Limits::default());
        let mut datagram = packet(&mut Draw(1), false, Transport::Udp, 0);
        (datagram.payload_captured, datagram.link_group) = (0, false);
        table.update(&datagram, Likeness::of(datagram.words(), 3, 9), 5);
        let likely = table.prefetch_flow(5);
        let mut next = |table: &mut Table, flow: FlowIndex| {
            datagram.ts.0 += 1;
            datagram.ip_id += 1;
            let likeness = Likeness::of(datagram.words(), 3, 9);
            (table.advance(&datagram, likeness, flow), table.advance(&datagram, likeness, flow))
        };
        // A copy of it is marked where it is met.
        assert_eq!(next(&mut table, likely), (Advance::Silent, Advance::Silent));
        assert_eq!((table.counters.duplicates, table.entries.get(likely.0).unwrap().has(Mark::Copied)), (1, true));
        let unknown = next(&mut table, FlowIndex::default());
        assert_eq!(unknown, (Advance::Unusual { copy: false }, Advance::Unusual { copy: true }));
        table.entries.get_mut(likely.0).unwrap().set(Mark::Superseded);
        assert_eq!(next(&mut table, likely).0, Advance::Unusual { copy: false });
        assert_eq!(table.packets(likely), Some(2));
    }

    /// What must fit into an entry alone: a SYN sent again and again, and its RST; datagrams of both ends.
    #[test]
    fn attempts_and_datagrams_need_no_detail() {
        let mut draw = Draw(1);
        for (transport, flags) in [(Transport::Tcp, vec![0x02, 0x02, 0x02, 0x14]), (Transport::Udp, vec![0; 6])] {
            let mut table = Table::new(Limits::default());
            for (number, flags) in (0..).zip(flags) {
                let mut packet = packet(&mut draw, false, transport, number);
                let client = number % 2 == 0 || flags == 0x02;
                let ends = [(Addr::v4([1; 4]), 50_000), (Addr::v4([2; 4]), 443)];
                let [from, to] = if client { ends } else { [ends[1], ends[0]] };
                packet.from = FlowKey::of(from.0, from.1, to.0, to.1, transport).1;
                packet.ts = Timestamp(1_000_000_000 * (number + 1));
                (packet.payload_len, packet.link_group) = (0, false);
                let tcp = Tcp { seq: 7, ack: if client { 0 } else { 8 }, flags, window: 3, checksum: 0 };
                packet.layer = if transport == Transport::Tcp { Layer::Tcp(tcp) } else { Layer::Udp { checksum: 0 } };
                table.update(&packet, Likeness::of(packet.words(), number << 32, 5), 5);
            }
            let flow = table.flows().next().unwrap().flow();
            assert_eq!((table.flows().count(), table.beside.details()), (1, 0));
            assert_eq!(flow.packets.iter().sum::<u64>(), if transport == Transport::Tcp { 4 } else { 6 });
            assert_eq!(
                (flow.syns.iter().sum::<u16>(), flow.reset.window),
                if transport == Transport::Tcp { (3, 3) } else { (0, 0) }
            );
        }
    }
}
