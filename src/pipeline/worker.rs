//! A worker: its share of the tables, fed with batches.

use std::hint::black_box;

use crate::decode::packet::Packet;
use crate::flow::limits::Limits;
use crate::flow::record::Flow;
use crate::flow::table::Event;
use crate::flow::table::Table;
use crate::learn::knowledge::Knowledge;
use crate::learn::knowledge::Listener;
use crate::pipeline::shard::SHARDS;

/// A packet with what finds its flow, made once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hashed {
    pub(crate) packet: Packet,
    /// The seeded hash of its key.
    pub(crate) hash: u64,
    /// What it has in common with its copies.
    pub(crate) signature: u64,
    /// The shard of its key.
    pub(crate) shard: usize,
}

/// Owns every table whose shard it is given.
pub(crate) struct Worker<'a> {
    /// A place for each shard; those of other workers stay empty.
    tables: [Option<Table>; SHARDS],
    knowledge: &'a Knowledge,
    /// Entries to be touched before they are updated.
    touched: Vec<u32>,
}

/// How many packets are touched before the first of them is updated: their cache misses then overlap, and what was
/// loaded for the first is still in the nearest cache.
pub(crate) const AHEAD: usize = 32;

impl<'a> Worker<'a> {
    /// Worker `number` of `workers`, which has the shards that leave this remainder.
    pub(crate) fn new(number: usize, workers: usize, limits: Limits, knowledge: &'a Knowledge) -> Self {
        let tables = std::array::from_fn(|shard| (shard % workers == number).then(|| Table::new(limits)));
        Self { tables, knowledge, touched: Vec::with_capacity(AHEAD) }
    }

    /// Counts a batch into the tables, in order.
    pub(crate) fn take(&mut self, batch: &[Hashed]) {
        for ahead in batch.chunks(AHEAD) {
            self.touched.clear();
            let mut loaded = 0;
            for hashed in ahead {
                let Some(table) = self.table(hashed) else { continue };
                loaded ^= table.touch_recent(hashed.signature);
                let index = table.touch_slot(hashed.hash);
                self.touched.push(index);
            }
            for (hashed, index) in ahead.iter().zip(&self.touched) {
                loaded ^= self.table(hashed).map_or(0, |table| table.touch_flow(*index));
            }
            black_box(loaded);
            for hashed in ahead {
                self.update(hashed);
            }
        }
    }

    /// Its tables, each in the place of its shard.
    pub(crate) fn into_tables(self) -> [Option<Table>; SHARDS] {
        self.tables
    }

    #[inline]
    fn table(&self, hashed: &Hashed) -> Option<&Table> {
        self.tables.get(hashed.shard)?.as_ref()
    }

    #[inline]
    fn update(&mut self, hashed: &Hashed) {
        let Some(Some(table)) = self.tables.get_mut(hashed.shard) else { return };
        if let Event::Answered(index) = table.update(&hashed.packet, hashed.signature, hashed.hash)
            && let Some(flow) = table.flow(index)
        {
            tell(self.knowledge, flow, &hashed.packet);
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
