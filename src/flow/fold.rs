//! What is left of flows that had to make room: their totals, per host pair and service port.
//!
//! Nothing that was counted is ever lost: a full fold gives up first the client, then the server and the port.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::flow::record::Flow;
use crate::flow::record::Mark;
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
#[derive(Clone, Debug, Default)]
pub struct Folds {
    rows: HashMap<FoldKey, Fold, RandomState>,
    collapsed: u64,
}

impl Folds {
    /// Those of all these together, in so many rows for pairs and servers at most.
    pub fn of<'f>(all: impl Iterator<Item = &'f Self>, rows_max: usize) -> Self {
        let mut sum = Self::default();
        all.for_each(|folds| sum.join(folds, rows_max));
        sum
    }

    /// Adds others, in so many rows for pairs and servers at most.
    pub fn join(&mut self, other: &Self, rows_max: usize) {
        self.collapsed += other.collapsed;
        for (key, fold) in other.iter() {
            self.add(*key, fold, rows_max);
        }
    }

    /// Flows whose pair had no row of its own.
    pub fn collapsed(&self) -> u64 {
        self.collapsed
    }

    /// Adds up a flow that leaves the table.
    pub fn take(&mut self, flow: &Flow, rows_max: usize) {
        let (orig, resp) = (flow.began.index(), flow.began.other().index());
        let heard = flow.packets[resp] > 0;
        let refused = flow.marks.has(Mark::Refused);
        let fold = Fold {
            flows: 1,
            answered: u64::from(heard && !refused),
            refused: u64::from(refused),
            packets: [flow.packets[orig], flow.packets[resp]],
            payload: [flow.payload[orig], flow.payload[resp]],
            first: Some(flow.first),
            last: Some(flow.last_seen()),
        };
        self.add(key_of(flow), &fold, rows_max);
    }

    fn add(&mut self, key: FoldKey, fold: &Fold, rows_max: usize) {
        let coarser = [key, FoldKey { client: None, ..key }, FoldKey { client: None, server: None, ..key }];
        let place = place_for(coarser, self.rows.len(), rows_max, |key| self.rows.contains_key(key));
        if place.client != key.client {
            self.collapsed += fold.flows;
        }
        self.rows.entry(place).or_default().add(fold);
    }

    /// The totals, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&FoldKey, &Fold)> {
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_unstable_by_key(|(key, _)| **key);
        rows.into_iter()
    }
}

/// Under which of three keys, each of more than the one before, something is added up: the first that is `known` or has
/// room among the `rows` that there are, of which `rows_max` may be of the first two kinds. Half of these are kept for the
/// first, so that a flood of clients still leaves room for each server.
pub(crate) fn place_for<K>(keys: [K; 3], rows: usize, rows_max: usize, known: impl Fn(&K) -> bool) -> K {
    let [pair, server, many] = keys;
    if rows < rows_max / 2 || known(&pair) {
        pair
    } else if rows < rows_max || known(&server) {
        server
    } else {
        many
    }
}

fn key_of(flow: &Flow) -> FoldKey {
    let ends = flow.five_tuple(flow.began);
    let port = if flow.key.transport.has_ports() { ends.resp.port } else { 0 };
    FoldKey { client: Some(ends.orig.addr), server: Some((ends.resp.addr, port)), transport: flow.key.transport }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(client: u8, server: u8) -> FoldKey {
        let addr = |last| Addr::v4([10, 0, 0, last]);
        FoldKey { client: Some(addr(client)), server: Some((addr(server), 88)), transport: Transport::Tcp }
    }

    #[test]
    fn a_full_sum_gives_up_the_client_first_and_counts_whose_it_was() {
        let one = Fold { flows: 1, ..Fold::default() };
        let [mut left, mut right] = [Folds::default(), Folds::default()];
        for client in 1..=4 {
            left.add(key(client, 100), &one, 8);
            right.add(key(client + 4, 100), &one, 8);
        }
        assert_eq!((left.rows.len(), left.collapsed(), right.collapsed()), (4, 0, 0));
        // Together they are too many: four pairs stay, and the server of the others.
        let mut sum = Folds::of([&left, &right].into_iter(), 8);
        let of = |sum: &Folds, key: FoldKey| sum.rows.get(&key).map(|fold| fold.flows);
        assert_eq!((sum.rows.len(), sum.collapsed()), (5, 4));
        assert_eq!(of(&sum, FoldKey { client: None, ..key(0, 100) }), Some(4));
        for server in 101..=110 {
            sum.add(key(1, server), &one, 8);
        }
        assert_eq!((sum.rows.len(), sum.collapsed()), (9, 14), "three servers more, and one row for all others");
        assert_eq!(of(&sum, FoldKey { client: None, server: None, transport: Transport::Tcp }), Some(7));
        sum.add(key(1, 100), &one, 8);
        assert_eq!((of(&sum, key(1, 100)), sum.collapsed()), (Some(2), 14), "what is known stays known");
    }
}
