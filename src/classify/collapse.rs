//! Scans and floods: thousands of failed attempts that are one thing (SEMANTICS section 1, guards).

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::HashSet;

use foldhash::quality::RandomState;

use crate::classify::judged::Collapse;
use crate::classify::thresholds as limit;
use crate::classify::verdict::Confidence;
use crate::classify::verdict::FindingKind;
use crate::classify::verdict::Frames;
use crate::classify::verdict::Outcome;
use crate::flow::fold::Fold;
use crate::flow::fold::FoldKey;
use crate::model::addr::Addr;
use crate::model::ids::FrameId;
use crate::model::time::Timestamp;
use crate::model::transport::Transport;

type Map<K, V> = HashMap<K, V, RandomState>;

/// One attempt, as far as scans and floods need it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    pub(crate) client: Addr,
    pub(crate) server: Addr,
    pub(crate) transport: Transport,
    pub(crate) port: u16,
    pub(crate) at: Timestamp,
    pub(crate) frame: FrameId,
    pub(crate) tries: u64,
    /// It failed, or met no answer.
    pub(crate) failed: bool,
    /// TCP, SYN without the handshake's end.
    pub(crate) half_open: bool,
    pub(crate) outcome: Outcome,
}

/// The collapses, and for each attempt which one it is part of.
#[derive(Debug, Default)]
pub(crate) struct Collapsed {
    pub(crate) all: Vec<Collapse>,
    /// By the number of the attempt, from 1; 0 = none. Empty if there are no collapses.
    part_of: Vec<u32>,
}

impl Collapsed {
    /// Finds floods first, since a flood of addresses is no scan, then scans.
    pub(crate) fn find(attempts: &[Attempt], may_scan: &dyn Fn(Addr) -> bool) -> Self {
        let mut collapsed = Self::default();
        collapsed.floods(attempts);
        collapsed.scans(attempts, may_scan, |attempt| (attempt.client, Some(attempt.server), None));
        collapsed.scans(attempts, may_scan, |attempt| (attempt.client, None, Some((attempt.transport, attempt.port))));
        collapsed
    }

    /// Adds what is left of evicted attempts: each to the first collapse that it fits.
    pub(crate) fn take_folds<'f>(&mut self, folds: impl Iterator<Item = (&'f FoldKey, &'f Fold)>) {
        for (key, fold) in folds {
            if let Some(whole) = self.all.iter_mut().find(|whole| whole.takes(key, fold)) {
                whole.flows += fold.flows;
                whole.folded += fold.flows;
                whole.attempts += fold.packets[0];
                whole.first = fold.first.map_or(whole.first, |first| whole.first.min(first));
                whole.last = fold.last.map_or(whole.last, |last| whole.last.max(last));
            }
        }
    }

    /// Which collapse an attempt is part of.
    pub(crate) fn of(&self, attempt: usize) -> Option<usize> {
        (*self.part_of.get(attempt)? as usize).checked_sub(1)
    }

    fn add(&mut self, collapse: Collapse, members: &[usize], attempts: usize) {
        self.all.push(collapse);
        self.part_of.resize(attempts, 0);
        let number = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        for member in members {
            if let Some(place) = self.part_of.get_mut(*member) {
                *place = number;
            }
        }
    }

    fn floods(&mut self, attempts: &[Attempt]) {
        let mut services: Map<(Addr, u16), usize> = Map::default();
        for attempt in attempts.iter().filter(|attempt| attempt.half_open) {
            *services.entry((attempt.server, attempt.port)).or_default() += 1;
        }
        services.retain(|_, count| *count >= limit::FLOOD_PER_SECOND);
        let mut suspects: BTreeMap<(Addr, u16), Vec<usize>> = BTreeMap::new();
        for (number, attempt) in attempts.iter().enumerate() {
            let service = (attempt.server, attempt.port);
            if attempt.transport == Transport::Tcp && services.contains_key(&service) {
                suspects.entry(service).or_default().push(number);
            }
        }
        for all in suspects.into_values() {
            let Some((first, last)) = crowded(attempts, &all) else { continue };
            let during = |number: &&usize| {
                attempts.get(**number).is_some_and(|attempt| first <= attempt.at && attempt.at <= last)
            };
            let half_open = |number: &&usize| attempts.get(**number).is_some_and(|attempt| attempt.half_open);
            let total = all.iter().filter(during).count();
            let members: Vec<usize> = all.iter().filter(during).filter(half_open).copied().collect();
            if (total - members.len()) as u64 * 100 < total as u64 * limit::FLOOD_COMPLETED_PERCENT {
                self.add(summary(FindingKind::Flood, attempts, &members), &members, attempts.len());
            }
        }
    }

    /// One source, many ports of one target, or many targets on one port: `group` says which.
    fn scans(
        &mut self,
        attempts: &[Attempt],
        may_scan: &dyn Fn(Addr) -> bool,
        group: impl Fn(&Attempt) -> (Addr, Option<Addr>, Option<(Transport, u16)>),
    ) {
        type Group = (Addr, Option<Addr>, Option<(Transport, u16)>);
        let mut failing: Map<Group, u64> = Map::default();
        for (number, attempt) in attempts.iter().enumerate() {
            if attempt.failed && self.of(number).is_none() {
                *failing.entry(group(attempt)).or_default() += 1;
            }
        }
        failing.retain(|_, count| *count >= limit::SCAN_DISTINCT as u64);
        let mut members: Map<Group, Vec<usize>> = Map::default();
        let mut totals: Map<Group, u64> = Map::default();
        for (number, attempt) in attempts.iter().enumerate() {
            let key = group(attempt);
            if failing.contains_key(&key) && self.of(number).is_none() {
                *totals.entry(key).or_default() += 1;
                if attempt.failed {
                    members.entry(key).or_default().push(number);
                }
            }
        }
        let mut groups: Vec<(Group, Vec<usize>)> = members.into_iter().collect();
        groups.sort_unstable_by_key(|(key, _)| *key);
        for (key, members) in groups {
            let total = totals.get(&key).copied().unwrap_or(0);
            let mostly_failing = members.len() as u64 * 100 >= total * limit::SCAN_FAILING_PERCENT;
            if !mostly_failing || may_scan(key.0) || !dense(attempts, &members, key.1.is_some()) {
                continue;
            }
            self.add(summary(FindingKind::Scan, attempts, &members), &members, attempts.len());
        }
    }
}

/// The time from the first to the last second that is crowded with half-open connections, a second more on each side.
/// Members are in order of time.
fn crowded(attempts: &[Attempt], members: &[usize]) -> Option<(Timestamp, Timestamp)> {
    const SECOND: u64 = 1_000_000_000;
    let chosen = members.iter().filter_map(|member| attempts.get(*member));
    let times: Vec<u64> = chosen.filter(|attempt| attempt.half_open).map(|attempt| attempt.at.0).collect();
    let dense = times.windows(limit::FLOOD_PER_SECOND).filter_map(|window| {
        let (first, last) = (*window.first()?, *window.last()?);
        (last.saturating_sub(first) < SECOND).then_some((first, last))
    });
    let (first, last) = dense.fold((u64::MAX, 0), |whole, (first, last)| (whole.0.min(first), whole.1.max(last)));
    (first <= last).then(|| (Timestamp(first.saturating_sub(SECOND)), Timestamp(last.saturating_add(SECOND))))
}

/// Whether enough distinct ports (or targets) fall within one window. Members are in order of time.
fn dense(attempts: &[Attempt], members: &[usize], by_port: bool) -> bool {
    let window = u64::try_from(limit::SCAN_WINDOW.as_nanos()).unwrap_or(u64::MAX);
    let mut inside: Map<(Addr, Transport, u16), usize> = Map::default();
    let mut oldest = 0;
    let what = |attempt: &Attempt| {
        let port = if by_port { attempt.port } else { 0 };
        (attempt.server, attempt.transport, port)
    };
    for member in members {
        let Some(attempt) = attempts.get(*member) else { continue };
        *inside.entry(what(attempt)).or_default() += 1;
        while let Some(old) = members.get(oldest).and_then(|old| attempts.get(*old)) {
            if attempt.at.0.saturating_sub(old.at.0) <= window {
                break;
            }
            if let Some(count) = inside.get_mut(&what(old)) {
                *count -= 1;
                if *count == 0 {
                    inside.remove(&what(old));
                }
            }
            oldest += 1;
        }
        if inside.len() >= limit::SCAN_DISTINCT {
            return true;
        }
    }
    false
}

fn summary(kind: FindingKind, attempts: &[Attempt], members: &[usize]) -> Collapse {
    let chosen = || members.iter().filter_map(|member| attempts.get(*member));
    let clients: HashSet<Addr, RandomState> = chosen().map(|attempt| attempt.client).collect();
    let servers: HashSet<Addr, RandomState> = chosen().map(|attempt| attempt.server).collect();
    let ports: HashSet<(Transport, u16), RandomState> =
        chosen().map(|attempt| (attempt.transport, attempt.port)).collect();
    let mut outcomes: Vec<(Outcome, u64)> = Vec::new();
    for attempt in chosen() {
        match outcomes.iter_mut().find(|(outcome, _)| *outcome == attempt.outcome) {
            Some((_, count)) => *count += 1,
            None => outcomes.push((attempt.outcome, 1)),
        }
    }
    let outcome = outcomes.iter().max_by_key(|(outcome, count)| (*count, std::cmp::Reverse(*outcome)));
    let only = |set: &HashSet<Addr, RandomState>| if set.len() == 1 { set.iter().next().copied() } else { None };
    let frames: Vec<FrameId> = chosen().map(|attempt| attempt.frame).take(5).collect();
    let mut frames = Frames::of(&frames);
    if let Some(last) = members.last().and_then(|member| attempts.get(*member)) {
        frames.add(last.frame);
    }
    Collapse {
        kind,
        client: only(&clients),
        server: only(&servers),
        transport: chosen().next().map_or(Transport::Tcp, |attempt| attempt.transport),
        port: if ports.len() == 1 { ports.iter().next().map(|(_, port)| *port) } else { None },
        outcome: outcome.map_or(Outcome::Unknown, |(outcome, _)| *outcome),
        confidence: Confidence::Probable,
        flows: members.len() as u64,
        folded: 0,
        attempts: chosen().map(|attempt| attempt.tries).sum(),
        sources: clients.len() as u64,
        targets: servers.len() as u64,
        ports: ports.len() as u64,
        first: chosen().map(|attempt| attempt.at).min().unwrap_or_default(),
        last: chosen().map(|attempt| attempt.at).max().unwrap_or_default(),
        frames,
    }
}
