//! Conversations of the server's side that nothing at the client's side was recognised in.
//!
//! A firewall may give a connection numbers of its own, and other addresses too. An attempt that nobody answers has nothing
//! else to be known by: if such a one arrived at the same time, it may be the one that is missed.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::classify::vantage::align::Alignment;
use crate::classify::vantage::align::By;
use crate::classify::vantage::align::TRANSIT_MAX_NS;
use crate::flow::trace::Trace;
use crate::flow::trace::Traces;
use crate::model::addr::Addr;
use crate::model::addr::Side;
use crate::model::time::Timestamp;
use crate::model::transport::Transport;

/// How many of the same time are looked at; if there are more, one of them may be it.
const LOOK_MAX: usize = 64;

/// What arrived and is nobody's, and which hosts keep their addresses on the way.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    /// By transport, server and port: when they began and for whom, in order of time.
    arrived: BTreeMap<(Transport, Addr, u16), Vec<(Timestamp, Addr)>>,
    /// What servers are at the server's side, where that differs.
    outside: BTreeMap<Addr, Addr>,
    /// Clients and servers between which the client was recognised under its own address: a translator may stand before
    /// some servers only.
    own: BTreeSet<(Addr, Addr)>,
    /// Every host at the client's side that began anything.
    insiders: BTreeSet<Addr>,
}

impl Strangers {
    pub(super) fn of(client: &Traces, server: &Traces, alignment: &Alignment) -> Self {
        let mut strangers = Self::default();
        let unknown = (0..).zip(server.all()).filter(|(place, _)| !alignment.is_taken(*place));
        for (_, trace) in unknown {
            let Some(first) = trace.way(trace.began).and_then(|way| way.prints.first()) else { continue };
            let (asks, answers) = ends(trace, trace.began);
            let list = strangers.arrived.entry((trace.key.transport, answers.0, answers.1)).or_default();
            list.push((first.ts, asks.0));
        }
        strangers.arrived.values_mut().for_each(|list| list.sort_unstable());
        for (place, trace) in client.all().iter().enumerate() {
            strangers.insiders.insert(ends(trace, trace.began).0.0);
            let Some(pair) = alignment.pair(place) else { continue };
            let (asks, answers) = ends(trace, trace.began);
            let there = server.all().get(pair.server);
            let began = if pair.flipped { trace.began.other() } else { trace.began };
            let Some((asks_there, answers_there)) = there.map(|there| ends(there, began)) else { continue };
            if answers_there.0 != answers.0 {
                strangers.outside.insert(answers.0, answers_there.0);
            }
            if matches!(pair.by, By::Tuple | By::TuplePayload) || asks_there.0 == asks.0 {
                strangers.own.insert((asks.0, answers.0));
            }
        }
        strangers
    }

    /// Whether a packet of a conversation that its client's side shows, and nobody recognised, may have arrived at a moment
    /// of the server's clock.
    pub(super) fn may_be(&self, trace: &Trace, orig: Side, at: Timestamp) -> bool {
        let ((client, _), (server, port)) = ends(trace, orig);
        let keeps_address = self.own.contains(&(client, server));
        let server = self.outside.get(&server).copied().unwrap_or(server);
        let Some(list) = self.arrived.get(&(trace.key.transport, server, port)) else { return false };
        let from = Timestamp(at.0.saturating_sub(TRANSIT_MAX_NS));
        let until = Timestamp(at.0.saturating_add(TRANSIT_MAX_NS));
        let near = list.get(list.partition_point(|(begun, _)| *begun < from)..).unwrap_or_default();
        let mut near = near.iter().take_while(|(begun, _)| *begun <= until).take(LOOK_MAX + 1).enumerate();
        near.any(|(number, (_, asks))| {
            number == LOOK_MAX || *asks == client || (!keeps_address && !self.insiders.contains(asks))
        })
    }
}

/// One end, and the other.
fn ends(trace: &Trace, side: Side) -> ((Addr, u16), (Addr, u16)) {
    let end = |side| (trace.key.end(side).addr, trace.key.end(side).port);
    (end(side), end(side.other()))
}
