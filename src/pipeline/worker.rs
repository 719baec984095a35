//! A worker: its share of the tables, fed with batches.

use crate::decode::packet::Packet;
use crate::flow::limits::Limits;
use crate::flow::table::Event;
use crate::flow::table::Table;
use crate::learn::knowledge::Knowledge;
use crate::learn::knowledge::Listener;
use crate::pipeline::shard::SHARDS;
use crate::pipeline::shard::shard_of;

/// A packet with the hash of its key, made once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hashed {
    pub(crate) packet: Packet,
    pub(crate) hash: u64,
}

/// Owns every table whose shard it is given.
pub(crate) struct Worker<'a> {
    tables: Vec<Table>,
    workers: usize,
    knowledge: &'a Knowledge,
    /// Entries to be touched before they are updated.
    touched: Vec<u32>,
}

/// How many packets are touched before the first of them is updated: their cache misses then overlap.
const AHEAD: usize = 64;

impl<'a> Worker<'a> {
    /// Worker `number` of `workers`, which has the shards that leave this remainder.
    pub(crate) fn new(number: usize, workers: usize, limits: Limits, knowledge: &'a Knowledge) -> Self {
        let tables = (0..SHARDS).filter(|shard| shard % workers == number).map(|_| Table::new(limits)).collect();
        Self { tables, workers, knowledge, touched: Vec::with_capacity(AHEAD) }
    }

    /// Counts a batch into the tables, in order.
    pub(crate) fn take(&mut self, batch: &[Hashed]) {
        for ahead in batch.chunks(AHEAD) {
            self.touched.clear();
            for hashed in ahead {
                let index = self.table(hashed).map_or(0, |table| table.touch_slot(hashed.hash));
                self.touched.push(index);
            }
            for (hashed, index) in ahead.iter().zip(&self.touched) {
                if let Some(table) = self.table(hashed) {
                    table.touch_flow(*index);
                }
            }
            for hashed in ahead {
                self.update(hashed);
            }
        }
    }

    /// Its tables, in the order of their shards.
    pub(crate) fn into_tables(self) -> Vec<Table> {
        self.tables
    }

    #[inline]
    fn table(&self, hashed: &Hashed) -> Option<&Table> {
        self.tables.get(shard_of(&hashed.packet.key) / self.workers)
    }

    #[inline]
    fn update(&mut self, hashed: &Hashed) {
        let Some(table) = self.tables.get_mut(shard_of(&hashed.packet.key) / self.workers) else { return };
        let Event::Answered(index) = table.update(&hashed.packet, hashed.hash) else { return };
        let Some(flow) = table.flow(index) else { return };
        let answerer = flow.key.end(flow.began.other());
        let port = if flow.key.transport.has_ports() { answerer.port } else { 0 };
        let listener = Listener { addr: answerer.addr, transport: flow.key.transport, port };
        self.knowledge.answered(listener, hashed.packet.ts, hashed.packet.frame);
    }
}
