//! What is left of flows that had to make room: their totals, per host pair and service port.
//!
//! Nothing that was counted is ever lost: a full fold gives up first the client, then the server and the port.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::flow::record::Flow;
use crate::flow::record::Mark;
use crate::flow::record::rst;
use crate::model::addr::Addr;
use crate::model::time::Timestamp;
use crate::model::transport::Transport;

/// Whose flows were added up. `None` = many.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FoldKey {
    /// The originator as far as packets tell.
    pub client: Option<Addr>,
    /// The responder, and its port.
    pub server: Option<(Addr, u16)>,
    /// The transport.
    pub transport: Transport,
}

/// The totals of flows that were given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Fold {
    /// How many flows.
    pub flows: u64,
    /// Of these, with an established connection or packets both ways.
    pub answered: u64,
    /// Of these, TCP attempts that met no answer until then.
    pub unanswered: u64,
    /// Of these, TCP attempts answered by RST.
    pub refused: u64,
    /// Packets to the server and back.
    pub packets: [u64; 2],
    /// Payload bytes to the server and back.
    pub payload: [u64; 2],
    /// When the first was seen.
    pub first: Option<Timestamp>,
    /// When the last was seen.
    pub last: Option<Timestamp>,
}

impl Fold {
    /// Adds other totals.
    pub fn add(&mut self, other: &Self) {
        self.flows += other.flows;
        self.answered += other.answered;
        self.unanswered += other.unanswered;
        self.refused += other.refused;
        for way in 0..2 {
            self.packets[way] += other.packets[way];
            self.payload[way] += other.payload[way];
        }
        self.first = self.first.into_iter().chain(other.first).min();
        self.last = self.last.max(other.last);
    }
}

/// Bounded totals.
#[derive(Debug, Default)]
pub struct Folds {
    rows: HashMap<FoldKey, Fold, RandomState>,
}

impl Folds {
    /// Adds up a flow that leaves the table. True if its pair had no row left.
    pub fn take(&mut self, flow: &Flow, rows_max: usize) -> bool {
        let (orig, resp) = (flow.began.index(), flow.began.other().index());
        let heard = flow.packets[resp] > 0;
        let refused = flow.marks.has(Mark::Refused);
        let fold = Fold {
            flows: 1,
            answered: u64::from(heard && !refused),
            unanswered: u64::from(!heard && flow.key.transport == Transport::Tcp && !rst(flow.flags[orig])),
            refused: u64::from(refused),
            packets: [flow.packets[orig], flow.packets[resp]],
            payload: [flow.payload[orig], flow.payload[resp]],
            first: Some(flow.first),
            last: Some(flow.last_seen()),
        };
        self.add(key_of(flow), &fold, rows_max)
    }

    /// Adds the totals of another table.
    pub fn merge(&mut self, other: &Self, rows_max: usize) {
        for (key, fold) in other.iter() {
            self.add(*key, fold, rows_max);
        }
    }

    fn add(&mut self, key: FoldKey, fold: &Fold, rows_max: usize) -> bool {
        let coarser = [key, FoldKey { client: None, ..key }, FoldKey { client: None, server: None, ..key }];
        // Half of the rows are kept for pairs, so that a flood of clients still leaves room for each server.
        let room = [rows_max / 2, rows_max, usize::MAX];
        for (level, (key, room)) in coarser.into_iter().zip(room).enumerate() {
            let full = self.rows.len() >= room;
            if let Some(row) = self.rows.get_mut(&key) {
                row.add(fold);
                return level > 0;
            }
            if !full {
                self.rows.insert(key, *fold);
                return level > 0;
            }
        }
        true
    }

    /// The totals, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&FoldKey, &Fold)> {
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_unstable_by_key(|(key, _)| **key);
        rows.into_iter()
    }
}

fn key_of(flow: &Flow) -> FoldKey {
    let ends = flow.five_tuple(flow.began);
    let port = if flow.key.transport.has_ports() { ends.resp.port } else { 0 };
    FoldKey { client: Some(ends.orig.addr), server: Some((ends.resp.addr, port)), transport: flow.key.transport }
}
