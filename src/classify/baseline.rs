//! What the packets of hosts that sent RST look like otherwise, so that another's RST in their name is told.

use std::collections::HashMap;

use foldhash::quality::RandomState;

use crate::classify::hosts::HostId;
use crate::classify::thresholds::BASELINE_FLOWS;
use crate::classify::thresholds::BASELINE_PACKETS;
use crate::flow::record::Flow;
use crate::flow::record::Mark;
use crate::model::addr::Side;

/// The times to live that a host's packets came with.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Baseline {
    ttl: u8,
    mixed: bool,
    packets: u64,
    flows: u64,
    copied_flows: u64,
    /// The fastest answer to a SYN, nanoseconds.
    pub(crate) fastest_ns: Option<u64>,
}

impl Baseline {
    /// The one value that all packets had, if there were enough of them.
    pub(crate) fn stable(&self) -> Option<u8> {
        (!self.mixed && self.packets >= BASELINE_PACKETS && self.flows >= BASELINE_FLOWS).then_some(self.ttl)
    }

    /// Whether most of its flows came with copies: the capture sees everything twice.
    pub(crate) fn copied(&self) -> bool {
        self.copied_flows * 2 > self.flows
    }

    /// The one value that all packets had, however few, if there were any.
    pub(crate) fn only(&self) -> Option<u8> {
        (!self.mixed && self.flows > 0).then_some(self.ttl)
    }

    fn note(&mut self, flow: &Flow, side: Side) {
        let ttl = flow.ttl[side.index()];
        if ttl == 0 {
            return;
        }
        self.mixed |= flow.ttl_varies(side) || (self.flows > 0 && self.ttl != ttl);
        self.ttl = ttl;
        self.flows += 1;
        self.copied_flows += u64::from(flow.marks.has(Mark::Copied));
        self.packets += flow.packets[side.index()];
        if flow.synacks[side.index()] > 0 && flow.syns[side.other().index()] == 1 {
            let took = flow.synack_at.0.saturating_sub(flow.syn_last.0);
            self.fastest_ns = Some(self.fastest_ns.map_or(took, |fastest| fastest.min(took)));
        }
    }
}

/// Those of all hosts that somebody asks for.
#[derive(Debug, Default)]
pub(crate) struct Baselines {
    /// By the number of a host, its place in the next list from 1.
    places: Vec<u32>,
    /// To all.
    hosts: Vec<Baseline>,
    /// To one client.
    pairs: HashMap<(HostId, HostId), Baseline, RandomState>,
}

impl Baselines {
    /// Whether nobody asks.
    pub(crate) fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// Asks what a server's packets look like, to all and to one client.
    pub(crate) fn ask(&mut self, server: HostId, client: HostId) {
        if self.places.len() <= server.index() {
            self.places.resize(server.index() + 1, 0);
        }
        if let Some(place) = self.places.get_mut(server.index()).filter(|place| **place == 0) {
            self.hosts.push(Baseline::default());
            *place = u32::try_from(self.hosts.len()).unwrap_or(0);
        }
        self.pairs.entry((server, client)).or_default();
    }

    /// Notes what one end of a flow sent, if somebody asks; `flow` is called for then.
    pub(crate) fn note<'f>(&mut self, [sender, receiver]: [HostId; 2], side: Side, flow: impl FnOnce() -> &'f Flow) {
        let Some(place) = self.place(sender) else { return };
        let flow = flow();
        if let Some(baseline) = self.hosts.get_mut(place) {
            baseline.note(flow, side);
        }
        if let Some(baseline) = self.pairs.get_mut(&(sender, receiver)) {
            baseline.note(flow, side);
        }
    }

    /// What the packets of a host look like: those to one client, or all.
    pub(crate) fn of(&self, host: HostId, client: Option<HostId>) -> Baseline {
        let found = match client {
            Some(client) => self.pairs.get(&(host, client)),
            None => self.place(host).and_then(|place| self.hosts.get(place)),
        };
        found.copied().unwrap_or_default()
    }

    #[inline]
    fn place(&self, host: HostId) -> Option<usize> {
        (self.places.get(host.index()).copied().unwrap_or(0) as usize).checked_sub(1)
    }
}
