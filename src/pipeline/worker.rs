//! A worker: its share of the tables, fed with batches.

use crate::decode::packet::Packet;
use crate::flow::limits::Limits;
use crate::flow::record::Flow;
use crate::flow::table::Table;
use crate::learn::knowledge::Knowledge;
use crate::learn::knowledge::Listener;
use crate::pipeline::ears::EarCounts;
use crate::pipeline::ears::Ears;
use crate::pipeline::shard::SHARDS;

/// What finds the flow of a packet, made once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handle {
    /// The seeded hash of its key.
    pub(crate) hash: u64,
    /// What it has in common with its copies.
    pub(crate) signature: u64,
    /// The shard of its key.
    pub(crate) shard: usize,
    /// Where its captured payload begins in the arena of its frame.
    pub(crate) payload_at: u32,
}

/// Packets and their handles, side by side: what is looked at ahead of time lies close together.
#[derive(Debug)]
pub(crate) struct PacketBatch {
    /// Always as long as there is room; those without a handle are of earlier times.
    packets: Vec<Packet>,
    handles: Vec<Handle>,
}

impl PacketBatch {
    /// Room for so many packets.
    pub(crate) fn new(packets: usize) -> Self {
        Self { packets: vec![Packet::NONE; packets], handles: Vec::with_capacity(packets) }
    }

    /// Whether no more packets fit.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.handles.len() == self.packets.len()
    }

    /// Whether it holds none.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.handles.is_empty()
    }

    /// Lets the next place be filled, which counts if a handle comes back. Does nothing if it is full.
    #[inline]
    pub(crate) fn fill(&mut self, fill: impl FnOnce(&mut Packet) -> Option<Handle>) {
        if let Some(place) = self.packets.get_mut(self.handles.len())
            && let Some(handle) = fill(place)
        {
            self.handles.push(handle);
        }
    }

    /// Takes all packets out.
    pub(crate) fn clear(&mut self) {
        self.handles.clear();
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
}

/// Owns every table whose shard it is given.
pub(crate) struct Worker<'a> {
    /// A place for each shard; those of other workers stay empty.
    shards: [Option<Shard>; SHARDS],
    knowledge: &'a Knowledge,
}

/// How many packets lie between asking for a slot, asking for the flow it leads to, and counting the packet: enough
/// for memory to answer, few enough that the answer is still in the nearest cache.
const AHEAD: usize = 16;

impl<'a> Worker<'a> {
    /// Worker `number` of `workers`, which has the shards that leave this remainder.
    pub(crate) fn new(number: usize, workers: usize, limits: Limits, knowledge: &'a Knowledge) -> Self {
        let new = || Shard { table: Table::new(limits), ears: Ears::default() };
        let shards = std::array::from_fn(|shard| (shard % workers == number).then(new));
        Self { shards, knowledge }
    }

    /// Counts a batch into the tables, in order. `arena` holds the bytes of its frames.
    pub(crate) fn take(&mut self, batch: &PacketBatch, arena: &[u8]) {
        let PacketBatch { packets, handles } = batch;
        let (first, rest) = handles.split_at(handles.len().min(2 * AHEAD));
        for handle in first {
            self.prefetch_slot(handle);
        }
        for handle in first.iter().take(AHEAD) {
            self.prefetch_flow(handle);
        }
        let mut slots = rest.iter();
        let mut flows = handles.iter().skip(AHEAD);
        for (packet, handle) in packets.iter().zip(handles) {
            if let Some(later) = slots.next() {
                self.prefetch_slot(later);
            }
            if let Some(later) = flows.next() {
                self.prefetch_flow(later);
            }
            self.update(packet, handle, arena);
        }
    }

    /// One of its tables.
    pub(crate) fn shard(&self, number: usize) -> Option<&Shard> {
        self.shards.get(number)?.as_ref()
    }

    /// One of its tables, to take flows out of.
    pub(crate) fn shard_mut(&mut self, number: usize) -> Option<&mut Shard> {
        self.shards.get_mut(number)?.as_mut()
    }

    /// Its tables, each in the place of its shard.
    pub(crate) fn into_shards(self) -> [Option<Shard>; SHARDS] {
        self.shards
    }

    #[inline]
    fn prefetch_slot(&self, handle: &Handle) {
        if let Some(Some(Shard { table, .. })) = self.shards.get(handle.shard) {
            table.prefetch_slot(handle.signature, handle.hash);
        }
    }

    #[inline]
    fn prefetch_flow(&self, handle: &Handle) {
        if let Some(Some(Shard { table, .. })) = self.shards.get(handle.shard) {
            table.prefetch_flow(handle.hash);
        }
    }

    #[inline]
    fn update(&mut self, packet: &Packet, handle: &Handle, arena: &[u8]) {
        let Some(Some(Shard { table, ears })) = self.shards.get_mut(handle.shard) else { return };
        let event = table.update(packet, handle.signature, handle.hash);
        if event.answered
            && let Some(flow) = table.flow(event.flow)
        {
            tell(self.knowledge, &flow, packet);
        }
        if event.speaks {
            let at = handle.payload_at as usize;
            let payload = arena.get(at..at + packet.payload_captured as usize).unwrap_or_default();
            ears.hear(table, event, packet, payload, self.knowledge);
        }
    }
}

/// Tells the other workers that the responder of a flow answered with this packet.
#[cold]
fn tell(knowledge: &Knowledge, flow: &Flow, packet: &Packet) {
    let answerer = flow.key.end(flow.began.other());
    let port = if flow.key.transport.has_ports() { answerer.port } else { 0 };
    let listener = Listener { addr: answerer.addr, transport: flow.key.transport, port };
    knowledge.answered(listener, packet.ts, packet.frame);
}
