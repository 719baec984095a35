//! Two captures of one path: which conversation of the one is which of the other, and where packets were lost.
//!
//! A pure function of two [`Traces`]. "Not seen" is a loss only where the other capture is shown to have watched that way
//! at that time; else nothing is said. It must never know what a flow was expected to do.

pub mod align;
pub mod clock;
pub mod place;

mod strangers;

use std::collections::BTreeSet;

use crate::classify::judged::CaptureFacts;
use crate::classify::vantage::align::Alignment;
use crate::classify::vantage::clock::Clock;
use crate::classify::vantage::strangers::Strangers;
use crate::flow::trace::Trace;
use crate::flow::trace::Traces;
use crate::model::addr::Addr;
use crate::model::addr::Side;

/// What one of the two captures shows.
#[derive(Debug)]
pub struct Point {
    /// Its conversations.
    pub traces: Traces,
    /// When it watched, and what it lost.
    pub facts: CaptureFacts,
}

/// Both captures, laid beside each other. Addresses are those of the client's side, unless said otherwise.
#[derive(Debug)]
pub struct Comparison<'a> {
    client: &'a Point,
    server: &'a Point,
    /// Which conversation is which.
    pub alignment: Alignment,
    /// How the clocks differ.
    pub clock: Clock,
    /// Routers between the two points, by the time to live of what passed them; `None` if nothing tells.
    pub hops: Option<u8>,
    /// From where to where packets were seen to leave one point and arrive at the other.
    passed: BTreeSet<(Addr, Addr)>,
    /// The same, by the end that received them, and by the end that sent them.
    passed_to: BTreeSet<Addr>,
    passed_from: BTreeSet<Addr>,
    /// Hosts to which any packet was seen at the server's side, by the addresses there.
    shown_to: BTreeSet<Addr>,
    /// Who was seen to send at the server's side, and to whom, by the addresses there.
    spoke: BTreeSet<(Addr, Addr)>,
    spoke_at_all: BTreeSet<Addr>,
    /// Who was seen to send at the client's side.
    heard: BTreeSet<Addr>,
    /// Pairs with an answered conversation that did not pass the server's side while it watched.
    elsewhere: BTreeSet<(Addr, Addr)>,
    strangers: Strangers,
}

impl<'a> Comparison<'a> {
    /// Lays the captures beside each other.
    pub fn new(client: &'a Point, server: &'a Point) -> Self {
        let (alignment, clock) = align::align(&client.traces, &server.traces);
        let mut comparison = Self {
            client,
            server,
            alignment,
            clock,
            hops: None,
            passed: BTreeSet::new(),
            passed_to: BTreeSet::new(),
            passed_from: BTreeSet::new(),
            shown_to: BTreeSet::new(),
            spoke: BTreeSet::new(),
            spoke_at_all: BTreeSet::new(),
            heard: BTreeSet::new(),
            elsewhere: BTreeSet::new(),
            strangers: Strangers::default(),
        };
        comparison.look_at_server();
        comparison.look_at_client();
        comparison.strangers = Strangers::of(&client.traces, &server.traces, &comparison.alignment);
        comparison
    }

    /// The conversations of the client's side.
    pub fn traces(&self) -> &'a Traces {
        &self.client.traces
    }

    /// The conversations of the server's side.
    pub fn server_traces(&self) -> &'a Traces {
        &self.server.traces
    }

    fn look_at_server(&mut self) {
        for trace in self.server.traces.all() {
            for (from, to) in ways_used(trace) {
                self.shown_to.insert(to);
                self.spoke.insert((from, to));
                self.spoke_at_all.insert(from);
            }
        }
    }

    fn look_at_client(&mut self) {
        let mut hops = [0u32; 256];
        for (place, trace) in self.client.traces.all().iter().enumerate() {
            self.heard.extend(ways_used(trace).map(|(from, _)| from));
            let Some((other, flipped)) = self.partner(place) else {
                self.note_bypass(trace);
                continue;
            };
            for side in [Side::Low, Side::High] {
                let there = if flipped { side.other() } else { side };
                let (Some(here), Some(there)) = (trace.way(side), other.way(there)) else { continue };
                if here.packets == 0 || there.packets == 0 {
                    continue;
                }
                let (from, to) = (trace.key.end(side).addr, trace.key.end(side.other()).addr);
                self.passed.insert((from, to));
                self.passed_to.insert(to);
                self.passed_from.insert(from);
                if side == trace.began
                    && let Some(count) = here.ttl.checked_sub(there.ttl).and_then(|hop| hops.get_mut(usize::from(hop)))
                {
                    *count += 1;
                }
            }
        }
        let most = (0..=u8::MAX).zip(hops).max_by_key(|(hop, count)| (*count, u8::MAX - hop));
        self.hops = most.filter(|(_, count)| *count > 0).map(|(hop, _)| hop);
    }

    /// Remembers a pair that has a way past the server's side.
    fn note_bypass(&mut self, trace: &Trace) {
        let answered = trace.way(trace.began.other()).is_some_and(|way| way.packets > way.resets);
        let watched = |at| self.clock.to_server(at).is_some_and(|at| self.covers(&self.server.facts, at, at));
        if answered && trace.way(trace.began).is_some_and(|way| way.prints.iter().any(|print| watched(print.ts))) {
            let client = trace.key.end(trace.began).addr;
            self.elsewhere.insert((client, trace.key.end(trace.began.other()).addr));
        }
    }

    /// The same conversation at the server's side, and whether its ends sort the other way round there.
    fn partner(&self, place: usize) -> Option<(&'a Trace, bool)> {
        let pair = self.alignment.pair(place)?;
        Some((self.server.traces.all().get(pair.server)?, pair.flipped))
    }
}

/// From where to where packets went.
fn ways_used(trace: &Trace) -> impl Iterator<Item = (Addr, Addr)> + '_ {
    let used = [Side::Low, Side::High].into_iter();
    let used = used.filter(|side| trace.way(*side).is_some_and(|way| way.packets > 0));
    used.map(|side| (trace.key.end(side).addr, trace.key.end(side.other()).addr))
}
