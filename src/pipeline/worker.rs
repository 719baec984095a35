//! A worker: its share of the tables, fed with batches.

use crate::capture::batch::FrameBatch;
use crate::decode::packet::Packet;
use crate::decode::packet::Words;
use crate::decode::plain::Outline;
use crate::decode::plain::Plain;
use crate::flow::duplicate::Likeness;
use crate::flow::limits::Limits;
use crate::flow::table::Advance;
use crate::flow::table::Event;
use crate::flow::table::FlowIndex;
use crate::flow::table::Stored;
use crate::flow::table::Table;
use crate::learn::knowledge::Answered;
use crate::learn::knowledge::Answers;
use crate::learn::knowledge::Knowledge;
use crate::learn::knowledge::Listener;
use crate::model::addr::Side;
use crate::model::time::Timestamp;
use crate::pipeline::ears::EarCounts;
use crate::pipeline::ears::Ears;
use crate::pipeline::shard::KeyHash;
use crate::pipeline::shard::SHARDS;
use crate::pipeline::shard::mix_of;
use crate::pipeline::shard::mix_of_v4;
use crate::pipeline::shard::shard_of;

/// A packet on its way to a worker.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Handle {
    /// What its headers say, if they are plain.
    outline: Outline,
    /// The place of its frame in the batch of frames.
    frame: u16,
    /// If they are not, its place among the packets that lie beside the handles.
    beside: u8,
    /// The shard of its key.
    pub(crate) shard: u8,
}

impl Handle {
    /// Of a plain packet in the frame of this number.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it is written where it stays")]
    pub(crate) fn of_plain(outline: Outline, frame: u16) -> Self {
        Self { outline, frame, beside: 0, shard: shard_of(mix_of_v4(outline.key())) }
    }

    /// Of another.
    pub(crate) fn of(packet: &Packet, frame: u16) -> Self {
        Self { frame, shard: shard_of(mix_of(&packet.key)), ..Self::default() }
    }
}

const _: () = assert!(size_of::<Handle>() == 56);

/// What leads to the flow of a packet, and to its copies.
#[derive(Clone, Copy, Debug, Default)]
struct Trail {
    likeness: Likeness,
    /// Half of the seeded hash of its key.
    tag: u32,
}

impl Trail {
    /// `mix` and `hash` are those of the packet's key.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "in a loop that does nothing else")]
    #[expect(clippy::cast_possible_truncation, reason = "the low half")]
    fn of(words: Words, mix: u64, hash: u64) -> Self {
        Self { likeness: Likeness::of(words, mix, hash), tag: hash as u32 }
    }
}

/// Packets on their way to a worker, each in a cache line but for a few that have no outline.
#[derive(Debug)]
pub(crate) struct PacketBatch {
    /// Room for all; how many there are.
    handles: Box<[Handle; BATCH]>,
    len: usize,
    beside: Vec<Packet>,
}

/// Packets that one batch holds at most, so that all are still in the nearest cache when they are counted.
const BATCH: usize = 256;

impl PacketBatch {
    /// Room for a batch.
    pub(crate) fn new() -> Self {
        Self { handles: Box::new([Handle::default(); BATCH]), len: 0, beside: Vec::new() }
    }

    /// Whether no more packets should come in.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.len >= BATCH
    }

    /// Whether it holds none.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes in a plain packet, if it is not full.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it is written where it stays")]
    pub(crate) fn push(&mut self, handle: Handle) {
        if let Some(place) = self.handles.get_mut(self.len) {
            *place = handle;
            self.len += 1;
        }
    }

    /// The packets in order.
    fn handles(&self) -> &[Handle] {
        self.handles.get(..self.len).unwrap_or_default()
    }

    /// Takes in a packet that is not.
    #[inline(never)]
    #[expect(clippy::cast_possible_truncation, reason = "a place of a batch")]
    pub(crate) fn push_beside(&mut self, handle: Handle, packet: Packet) {
        self.push(Handle { beside: self.beside.len() as u8, ..handle });
        self.beside.push(packet);
    }

    /// Takes all packets out.
    pub(crate) fn clear(&mut self) {
        self.len = 0;
        self.beside.clear();
    }
}

/// A table with its ears.
pub(crate) struct Shard {
    pub(crate) table: Table,
    ears: Ears,
}

impl Shard {
    /// What listening cost.
    pub(crate) fn ear_counts(&self) -> EarCounts {
        self.ears.counts
    }

    /// Takes out the flows that were last seen before a time.
    pub(crate) fn expire(&mut self, before: Timestamp) -> Table {
        let past = self.table.expire(before);
        self.ears.forget_gone(&self.table);
        past
    }
}

/// Counts packets into tables.
pub(crate) struct Worker<'a> {
    /// One for each shard; those of other workers stay empty.
    shards: [Shard; SHARDS],
    knowledge: &'a Knowledge,
    answers: Answers,
    hash: KeyHash,
    /// Room for those of a batch.
    trails: Vec<Trail>,
}

/// For so many packets the flows are looked for before those ahead of them are counted: enough for memory to answer
/// meanwhile, and few enough that what it gave is still in the nearest cache then.
const BLOCK: usize = u64::BITS as usize;

impl<'a> Worker<'a> {
    /// A worker that has counted nothing.
    pub(crate) fn new(limits: Limits, knowledge: &'a Knowledge) -> Self {
        let shards = std::array::from_fn(|_| Shard { table: Table::new(limits), ears: Ears::default() });
        Self {
            shards,
            knowledge,
            answers: Answers::default(),
            hash: KeyHash::default(),
            trails: Vec::with_capacity(BATCH),
        }
    }

    /// Counts a batch of packets into the tables, in order; `frames` holds what they lie in.
    pub(crate) fn take(&mut self, batch: &PacketBatch, frames: &FrameBatch) {
        let (handles, beside) = (batch.handles(), batch.beside.as_slice());
        let mut trails = std::mem::take(&mut self.trails);
        trails.clear();
        trails.extend(handles.iter().map(|handle| self.trail(handle, beside)));
        let mut near = handles.chunks(BLOCK).zip(trails.chunks(BLOCK));
        let mut block = near.next().unwrap_or_default();
        let (mut flows, mut next_flows) = ([FlowIndex::default(); BLOCK], [FlowIndex::default(); BLOCK]);
        self.prefetch_flows(block, &mut flows);
        while !block.0.is_empty() {
            let held = self.prefetch_details(block.0, &flows);
            let next = near.next().unwrap_or_default();
            // What is held of a flow lies behind two more looks, with time for memory to answer between them.
            let half = next.0.len() / 2;
            let ((handles, more), (trails, rest)) = (next.0.split_at(half), next.1.split_at(half));
            self.prefetch_flows((handles, trails), &mut next_flows);
            self.for_held(held, block.0, &flows, |ears, flow, _| ears.prefetch_talk(flow));
            self.prefetch_flows((more, rest), next_flows.get_mut(half..).unwrap_or_default());
            self.for_held(held, block.0, &flows, Ears::prefetch_told);
            for ((handle, trail), flow) in block.0.iter().zip(block.1).zip(flows) {
                self.count(handle, trail, flow, beside, frames);
            }
            (block, flows) = (next, next_flows);
        }
        self.trails = trails;
    }

    /// What leads to the flow of a packet; asks for it.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "in a loop that does nothing else")]
    fn trail(&self, handle: &Handle, beside: &[Packet]) -> Trail {
        let trail = if handle.outline.is_some() {
            let key = handle.outline.key();
            Trail::of(handle.outline.words(), mix_of_v4(key), self.hash.of_v4(key))
        } else {
            beside.get(usize::from(handle.beside)).map(|packet| self.trail_of(packet)).unwrap_or_default()
        };
        self.shards[usize::from(handle.shard) % SHARDS].table.prefetch_slot(trail.likeness, trail.tag);
        trail
    }

    #[inline(never)]
    fn trail_of(&self, packet: &Packet) -> Trail {
        Trail::of(packet.words(), mix_of(&packet.key), self.hash.of(&packet.key))
    }

    /// Where the flows of these packets seem to be; asks for them.
    #[inline(never)]
    fn prefetch_flows(&mut self, (handles, trails): (&[Handle], &[Trail]), flows: &mut [FlowIndex]) {
        for ((handle, trail), flow) in handles.iter().zip(trails).zip(flows) {
            *flow = self.shard(handle).table.prefetch_flow(trail.tag);
        }
    }

    /// Asks for the rest of flows that were asked for before, and for more of those whose payload is still listened to, or
    /// which take a turn. A bit for each of these packets: whether something of its flow is held.
    #[inline(never)]
    fn prefetch_details(&self, handles: &[Handle], flows: &[FlowIndex; BLOCK]) -> u64 {
        let mut held = 0;
        for (place, (handle, flow)) in handles.iter().zip(flows).enumerate() {
            let shard = &self.shards[usize::from(handle.shard) % SHARDS];
            shard.table.prefetch_rest(*flow);
            match handle.outline.speaker() {
                Some(side) if shard.table.prefetch_speech(*flow, side) => {
                    shard.ears.prefetch_number(*flow);
                    held |= 1 << place;
                }
                Some(_) => {}
                None => shard.table.prefetch_turn(*flow, handle.outline.is_turn()),
            }
        }
        held
    }

    /// For each of these packets of whose flow something is held: its ears, the flow and who speaks.
    #[inline]
    fn for_held(
        &self,
        mut held: u64,
        handles: &[Handle],
        flows: &[FlowIndex; BLOCK],
        ask: impl Fn(&Ears, FlowIndex, Side),
    ) {
        while held != 0 {
            let place = held.trailing_zeros() as usize;
            if let (Some(handle), Some(flow)) = (handles.get(place), flows.get(place))
                && let Some(side) = handle.outline.speaker()
            {
                ask(&self.shards[usize::from(handle.shard) % SHARDS].ears, *flow, side);
            }
            held &= held - 1;
        }
    }

    /// The tables, by the numbers of their shards.
    pub(crate) fn shards(&self) -> &[Shard; SHARDS] {
        &self.shards
    }

    /// The same, to take flows out of.
    pub(crate) fn shards_mut(&mut self) -> &mut [Shard; SHARDS] {
        &mut self.shards
    }

    /// Its tables, each in the place of its shard.
    pub(crate) fn into_shards(mut self) -> [Shard; SHARDS] {
        self.tell();
        self.shards
    }

    /// Tells the others what was heard, and who answered, since this was last done.
    pub(crate) fn tell(&mut self) {
        self.shards.iter_mut().for_each(|shard| shard.ears.settle(&mut shard.table, self.knowledge));
        self.knowledge.take(&mut self.answers);
    }

    #[inline]
    fn shard(&mut self, handle: &Handle) -> &mut Shard {
        &mut self.shards[usize::from(handle.shard) % SHARDS]
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "once for each packet")]
    fn count(&mut self, handle: &Handle, trail: &Trail, flow: FlowIndex, beside: &[Packet], frames: &FrameBatch) {
        let Some(frame) = frames.frames.get(usize::from(handle.frame)) else { return };
        if !handle.outline.is_some() {
            return self.count_beside(handle, trail, beside.get(usize::from(handle.beside)), frames.bytes(frame));
        }
        let plain = Plain { outline: &handle.outline, frame };
        match self.shard(handle).table.advance(&plain, trail.likeness, flow) {
            Advance::Silent => {}
            Advance::Speaks { held } => {
                self.heed_plain(handle, plain, frames, Event { flow, answered: false, speaks: true, held });
            }
            Advance::Unusual { copy } => self.count_unusual(handle, trail, plain, frames, copy),
        }
    }

    #[inline(never)]
    fn count_beside(&mut self, handle: &Handle, trail: &Trail, packet: Option<&Packet>, bytes: &[u8]) {
        let Some(packet) = packet else { return };
        let event = self.shard(handle).table.update(packet, trail.likeness, trail.tag);
        self.heed(handle, packet, bytes, event);
    }

    /// Counts a packet by itself; `bytes` are those of its frame.
    pub(crate) fn count_one(&mut self, handle: &Handle, packet: &Packet, bytes: &[u8]) {
        self.count_beside(handle, &self.trail_of(packet), Some(packet), bytes);
    }

    #[inline(never)]
    fn count_unusual(&mut self, handle: &Handle, trail: &Trail, plain: Plain<'_>, frames: &FrameBatch, copy: bool) {
        let packet = plain.packet();
        let event = self.shard(handle).table.update_unusual(&packet, trail.tag, copy);
        if event.tells() {
            self.heed(handle, &packet, frames.bytes(plain.frame), event);
        }
    }

    #[inline(never)]
    fn heed_plain(&mut self, handle: &Handle, plain: Plain<'_>, frames: &FrameBatch, event: Event) {
        self.heed(handle, &plain.packet(), frames.bytes(plain.frame), event);
    }

    /// Does what a packet that was just counted gives cause for.
    fn heed(&mut self, handle: &Handle, packet: &Packet, bytes: &[u8], event: Event) {
        let knowledge = self.knowledge;
        let Shard { table, ears } = &mut self.shards[usize::from(handle.shard) % SHARDS];
        if event.answered
            && let Some(flow) = table.flow(event.flow)
            && self.answers.note(answerer(flow, packet), Answered::once(packet.ts, packet.frame))
        {
            knowledge.take(&mut self.answers);
        }
        if event.speaks {
            let at = packet.payload_at as usize;
            let payload = bytes.get(at..at + packet.payload_captured as usize).unwrap_or_default();
            ears.hear(table, event, packet, payload, knowledge);
        }
    }
}

/// The responder of a flow, which answered with this packet.
fn answerer(flow: Stored<'_>, packet: &Packet) -> Listener {
    let ((began, _), transport) = (flow.began(), packet.key.transport);
    let answerer = packet.key.end(began.other());
    let port = if transport.has_ports() { answerer.port } else { 0 };
    Listener { addr: answerer.addr, transport, port }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop here")]

    use super::*;
    use crate::decode::packet::Layer;
    use crate::decode::packet::Tcp;
    use crate::flow::record::SYN;
    use crate::model::addr::Addr;
    use crate::model::addr::FlowKey;
    use crate::model::ids::FrameId;
    use crate::model::transport::Transport;

    #[test]
    fn flows_that_leave_take_what_was_heard_of_them_along() {
        let knowledge = Knowledge::new();
        let mut worker = Worker::new(Limits::default(), &knowledge);
        let (client, server) = (Addr::v4([10, 0, 0, 2]), Addr::v4([10, 0, 0, 1]));
        let (key, from) = FlowKey::of(client, 50_000, server, 80, Transport::Tcp);
        // A handshake that begins, and bytes that may still be anything of several.
        for (frame, flags, seq, bytes) in [(1, SYN, 100, &b""[..]), (2, 0x18, 101, b"P")] {
            let length = u32::try_from(bytes.len()).unwrap();
            let packet = Packet {
                frame: FrameId::new(0, frame),
                ts: Timestamp(frame),
                key,
                from,
                ttl: 64,
                ip_id: 1,
                ip_len: 40,
                payload_len: length,
                payload_at: 0,
                payload_captured: length,
                lead: 0,
                layer: Layer::Tcp(Tcp { seq, ack: 0, flags, window: 1, checksum: 0 }),
                link_group: false,
                tunnels: 0,
            };
            worker.count_one(&Handle::of(&packet, 0), &packet, bytes);
        }
        let listened = |worker: &Worker<'_>| worker.shards.iter().map(|shard| shard.ears.count()).sum::<usize>();
        let expire = |worker: &mut Worker<'_>, before| {
            let past = worker.shards.iter_mut().map(|shard| shard.expire(Timestamp(before)).flows().count());
            past.sum::<usize>()
        };
        assert_eq!((expire(&mut worker, 2), listened(&worker)), (0, 1));
        assert_eq!((expire(&mut worker, 3), listened(&worker)), (1, 0));
        assert_eq!(worker.shards.iter().map(|shard| shard.ear_counts().given_up).sum::<u64>(), 0);
    }
}
