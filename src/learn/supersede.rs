//! When an interface left a port: a newer answer of the endpoint mapper names another, or the server was started anew.
//!
//! Statements are never taken back, only closed. This file must never know flows.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::learn::endpoints::Learned;
use crate::learn::endpoints::Over;
use crate::learn::endpoints::Source;
use crate::learn::rpc_flow::Moment;
use crate::model::addr::Addr;
use crate::model::uuid::InterfaceId;

/// So many interfaces that moved at one time are a restart of the server, after which nothing is where it was.
const RESTART_MOVES: usize = 3;

/// What is said of two ports within this time is said by one search, which may take several answers: a service does not
/// start anew so soon.
const SEARCH: Duration = Duration::from_secs(1);

/// A port with what is known of it.
type Port = ((Addr, Over, u16), Vec<Learned>);

/// Between these two moments an interface moved to another port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Move {
    interface: InterfaceId,
    /// Last seen at the old port.
    left: Moment,
    /// First said of the new one.
    came: Moment,
}

/// A time between these two moments at which everything moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Restart {
    left: Moment,
    came: Moment,
}

/// Closes what is out of date among the ports of one server.
pub(super) fn close_intervals(ports: &mut [Port]) {
    let spans = spans(ports);
    let mut moves = Vec::new();
    for ((_, over, port), learned) in ports.iter_mut() {
        for known in learned.iter_mut() {
            let Some(interface) = known.interface else { continue };
            let Some(spans) = spans.get(&(*over, interface)) else { continue };
            let Some(here) = spans.by_port.get(port) else { continue };
            // A port's own mapping is never after it was last seen, so what is found is another's.
            let later = spans.mapped.partition_point(|mapped| mapped.ts < here.last.ts.plus(SEARCH));
            known.superseded = spans.mapped.get(later).copied();
            known.elsewhere_until = here.mapped.and_then(|mapped| {
                let before = spans.last.partition_point(|last| last.ts.plus(SEARCH) <= mapped.ts);
                spans.last.get(before.checked_sub(1)?).copied()
            });
            moves.extend(known.superseded.map(|came| Move { interface, left: here.last, came }));
        }
    }
    let restarts = restarts(&moves);
    let all = ports.iter_mut().flat_map(|(key, learned)| learned.iter_mut().map(|known| (*key, known)));
    for ((_, over, port), known) in all {
        let here = known.interface.and_then(|interface| spans.get(&(over, interface))?.by_port.get(&port));
        let last = here.map_or(known.last, |here| here.last.max(known.last));
        let closed = restarts.get(restarts.partition_point(|restart| restart.came <= last));
        known.superseded = known.superseded.into_iter().chain(closed.map(|restart| restart.came)).min();
        let before = restarts.partition_point(|restart| restart.came <= known.first);
        let opened = before.checked_sub(1).and_then(|nth| restarts.get(nth)).map(|restart| restart.left);
        known.elsewhere_until = known.elsewhere_until.max(opened);
    }
}

/// From when to when an interface was seen at a port, whatever the source.
#[derive(Clone, Copy)]
struct Span {
    /// When the endpoint mapper first named it.
    mapped: Option<Moment>,
    /// When it did last.
    renamed: Option<Moment>,
    last: Moment,
}

/// Where one interface was seen.
#[derive(Default)]
struct Spans {
    by_port: BTreeMap<u16, Span>,
    /// When the ports were named first and last, in order.
    mapped: Vec<Moment>,
    /// When the ports were last seen, in order.
    last: Vec<Moment>,
}

/// Where each interface was seen. What was said of other addresses does not count.
fn spans(ports: &[Port]) -> BTreeMap<(Over, InterfaceId), Spans> {
    let mut all: BTreeMap<(Over, InterfaceId), Spans> = BTreeMap::new();
    for ((_, over, port), learned) in ports {
        for known in learned.iter().filter(|known| known.own) {
            let Some(interface) = known.interface else { continue };
            // A list names every port, and an interface may be at several.
            let mapped = (known.source == Source::EptMap).then_some(known.first);
            let spans = all.entry((*over, interface)).or_default();
            let span = spans.by_port.entry(*port).or_insert(Span { mapped, renamed: None, last: known.last });
            span.mapped = span.mapped.into_iter().chain(mapped).min();
            span.renamed = span.renamed.max(mapped.map(|_| known.last));
            span.last = span.last.max(known.last);
        }
    }
    for spans in all.values_mut() {
        spans.mapped = spans.by_port.values().flat_map(|span| [span.mapped, span.renamed]).flatten().collect();
        spans.mapped.sort_unstable();
        spans.last = spans.by_port.values().map(|span| span.last).collect();
        spans.last.sort_unstable();
    }
    all
}

/// The times that lie within the moves of enough interfaces, in order.
fn restarts(moves: &[Move]) -> Vec<Restart> {
    let mut by_end: Vec<Move> = moves.to_vec();
    by_end.sort_unstable_by_key(|moved| (moved.came, moved.left, moved.interface));
    by_end.dedup();
    let mut by_start = by_end.clone();
    by_start.sort_unstable_by_key(|moved| moved.left);
    let mut under_way: BTreeMap<InterfaceId, usize> = BTreeMap::new();
    let mut starts = by_start.iter().peekable();
    let mut found: Vec<Restart> = Vec::new();
    let mut latest_left = Moment::default();
    for ended in &by_end {
        while let Some(begun) = starts.next_if(|begun| begun.left < ended.came) {
            *under_way.entry(begun.interface).or_default() += 1;
            latest_left = latest_left.max(begun.left);
        }
        // Moves that are still under way share this one's end with the restart that was already found.
        let new = found.last().is_none_or(|restart| latest_left > restart.left);
        if under_way.len() >= RESTART_MOVES && new {
            found.push(Restart { left: latest_left, came: ended.came });
        }
        if let Some(count) = under_way.get_mut(&ended.interface) {
            *count -= 1;
            if *count == 0 {
                under_way.remove(&ended.interface);
            }
        }
    }
    found
}
