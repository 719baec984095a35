//! Scans and floods: thousands of failed attempts that are one thing (SEMANTICS section 1, guards).

use std::collections::HashMap;
use std::hash::BuildHasher;

use foldhash::quality::RandomState;
use prefetch_index::prefetch_index;

use crate::classify::hosts::Hosts;
use crate::classify::judged::Collapse;
use crate::classify::ruling::Ruling;
use crate::classify::seen::AHEAD;
use crate::classify::seen::Seen;
use crate::classify::thresholds as limit;
use crate::classify::verdict::Confidence;
use crate::classify::verdict::FindingKind;
use crate::classify::verdict::Frames;
use crate::classify::verdict::Outcome;
use crate::flow::fold::Fold;
use crate::flow::fold::FoldKey;
use crate::model::addr::Addr;
use crate::model::time::Timestamp;
use crate::model::transport::Transport;

type Map<K, V> = HashMap<K, V, RandomState>;

/// Every flow with its ruling, in the order of time. A flow's number is its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempts<'a> {
    pub(crate) flows: &'a [Seen<'a>],
    pub(crate) rulings: &'a [Ruling],
    pub(crate) hosts: &'a Hosts,
}

impl<'a> Attempts<'a> {
    fn all(self) -> impl Iterator<Item = (u32, &'a Seen<'a>, &'a Ruling)> {
        (0..).zip(self.flows).zip(self.rulings).map(|((number, seen), ruling)| (number, seen, ruling))
    }

    fn at(self, number: u32) -> Option<(&'a Seen<'a>, &'a Ruling)> {
        Some((self.flows.get(number as usize)?, self.rulings.get(number as usize)?))
    }

    /// Some of them. They lie far apart, so that those to come are asked for in time.
    fn of(self, numbers: &[u32]) -> impl Iterator<Item = (&'a Seen<'a>, &'a Ruling)> {
        numbers.iter().enumerate().filter_map(move |(at, number)| {
            if let Some(later) = numbers.get(at + 2 * AHEAD) {
                prefetch_index(self.flows, *later as usize);
                prefetch_index(self.rulings, *later as usize);
            }
            self.at(*number)
        })
    }
}

/// Counts things too many to be remembered, never too low: what does not reach a number here does not reach it at all.
struct Sieve {
    counts: Vec<u16>,
    hash: RandomState,
    /// Places that memory was asked for and that are counted later, and which of them is the oldest.
    waiting: [usize; AHEAD],
    oldest: usize,
}

impl Sieve {
    /// For this many things.
    fn new(things: usize) -> Self {
        let size = (things / 4).clamp(1 << 10, 1 << 22).next_power_of_two();
        Self { counts: vec![0; size], hash: RandomState::default(), waiting: [usize::MAX; AHEAD], oldest: 0 }
    }

    #[expect(clippy::cast_possible_truncation, reason = "masked to the size")]
    fn place(&self, thing: u64) -> usize {
        self.hash.hash_one(thing) as usize & (self.counts.len() - 1)
    }

    /// Counts a thing, some things later.
    fn count(&mut self, thing: u64) {
        let place = self.place(thing);
        prefetch_index(&self.counts, place);
        self.count_oldest(place);
    }

    fn count_oldest(&mut self, next: usize) {
        let Some(oldest) = self.waiting.get_mut(self.oldest) else { return };
        let place = std::mem::replace(oldest, next);
        self.oldest = (self.oldest + 1) % AHEAD;
        if let Some(count) = self.counts.get_mut(place) {
            *count = count.saturating_add(1);
        }
    }

    /// The same with everything counted.
    fn whole(mut self) -> Self {
        (0..AHEAD).for_each(|_| self.count_oldest(usize::MAX));
        self
    }

    fn may_reach(&self, thing: u64, number: usize) -> bool {
        self.counts.get(self.place(thing)).is_some_and(|count| usize::from(*count) >= number)
    }

    fn any_reaches(&self, number: usize) -> bool {
        self.counts.iter().any(|count| usize::from(*count) >= number)
    }
}

/// What the flows of a scan have in common beside their source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Common {
    Target,
    Port,
    Nothing,
}

impl Common {
    /// A number that flows with this in common share, and no others.
    fn number(self, seen: &Seen<'_>) -> u64 {
        let rest = match self {
            Self::Target => seen.server.number(),
            Self::Port => port_number(seen),
            Self::Nothing => 0,
        };
        u64::from(seen.client.number()) << 32 | u64::from(rest)
    }

    /// By what scans are told in order.
    fn order(self, seen: &Seen<'_>, hosts: &Hosts) -> (Addr, Option<Addr>, Option<(Transport, u16)>) {
        let target = (self == Self::Target).then(|| hosts.addr(seen.server));
        let port = (self == Self::Port).then(|| (seen.class.transport(), seen.port));
        (hosts.addr(seen.client), target, port)
    }
}

/// A port and its transport in one number.
fn port_number(seen: &Seen<'_>) -> u32 {
    u32::from(seen.class.transport() as u8) << 16 | u32::from(seen.port)
}

/// The same with the server.
fn service_number(seen: &Seen<'_>) -> u64 {
    u64::from(seen.server.number()) << 32 | u64::from(port_number(seen))
}

/// The collapses, and for each flow which one it is part of.
#[derive(Debug, Default)]
pub(crate) struct Collapsed {
    pub(crate) all: Vec<Collapse>,
    /// By the number of the flow, from 1; 0 = none. Empty if there are no collapses.
    part_of: Vec<u32>,
    summing: Summing,
}

impl Collapsed {
    /// Finds floods first, since a flood of addresses is no scan, then scans: of one target, for one port, of anything.
    pub(crate) fn find(attempts: Attempts<'_>, may_scan: &dyn Fn(Addr) -> bool) -> Self {
        let mut collapsed = Self::default();
        collapsed.floods(attempts);
        let sieve = || Sieve::new(attempts.flows.len());
        let mut scans = [
            (Common::Target, limit::SCAN_DISTINCT, sieve()),
            (Common::Port, limit::SCAN_DISTINCT, sieve()),
            (Common::Nothing, limit::SCAN_DISTINCT_ANYWHERE, sieve()),
        ];
        for (number, seen, ruling) in attempts.all() {
            if ruling.failed && collapsed.is_free(number) {
                for (common, _, sieve) in &mut scans {
                    sieve.count(common.number(seen));
                }
            }
        }
        for (common, distinct, sieve) in scans {
            collapsed.scans(attempts, may_scan, distinct, common, &sieve.whole());
        }
        collapsed.summing = Summing::default();
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

    /// Which collapse a flow is part of.
    pub(crate) fn of(&self, number: usize) -> Option<usize> {
        (*self.part_of.get(number)? as usize).checked_sub(1)
    }

    fn is_free(&self, number: u32) -> bool {
        self.of(number as usize).is_none()
    }

    fn add(&mut self, kind: FindingKind, attempts: Attempts<'_>, members: &[u32]) {
        self.all.push(self.summing.of(kind, attempts, members));
        self.part_of.resize(attempts.flows.len(), 0);
        let number = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        for member in members {
            if let Some(place) = self.part_of.get_mut(*member as usize) {
                *place = number;
            }
        }
    }

    fn floods(&mut self, attempts: Attempts<'_>) {
        let mut sieve = Sieve::new(attempts.flows.len());
        for (_, seen, _) in attempts.all().filter(|(_, _, ruling)| ruling.half_open) {
            sieve.count(service_number(seen));
        }
        let sieve = sieve.whole();
        if !sieve.any_reaches(limit::FLOOD_PER_SECOND) {
            return;
        }
        let mut suspects: Map<u64, Vec<u32>> = Map::default();
        for (number, seen, _) in attempts.all() {
            let floods = matches!(seen.class.transport(), Transport::Tcp | Transport::Udp);
            if floods && sieve.may_reach(service_number(seen), limit::FLOOD_PER_SECOND) {
                suspects.entry(service_number(seen)).or_default().push(number);
            }
        }
        let service = |(_, all): (u64, Vec<u32>)| {
            let (seen, _) = attempts.at(*all.first()?)?;
            Some(((attempts.hosts.addr(seen.server), seen.class.transport(), seen.port), all))
        };
        let mut suspects: Vec<_> = suspects.into_iter().filter_map(service).collect();
        suspects.sort_unstable_by_key(|(service, _)| *service);
        for ((_, transport, _), all) in suspects {
            let Some((first, last)) = crowded(attempts, &all) else { continue };
            let during = |seen: &Seen<'_>| (first..=last).contains(&seen.stored.first());
            let total = attempts.of(&all).filter(|(seen, _)| during(seen)).count();
            let is_member =
                |number: &u32| attempts.at(*number).is_some_and(|(seen, ruling)| ruling.half_open && during(seen));
            let members: Vec<u32> = all.into_iter().filter(is_member).collect();
            // Clients of a server that is down ask again and again, from one port after the other.
            let sources = || distinct(attempts.of(&members).map(|(seen, _)| seen.client)).len();
            if transport == Transport::Udp && sources() < members.len() / 2 {
                continue;
            }
            if (total - members.len()) as u64 * 100 < total as u64 * limit::FLOOD_COMPLETED_PERCENT {
                self.add(FindingKind::Flood, attempts, &members);
            }
        }
    }

    /// One source and so many distinct ports of targets; `common` says what else they have in common, by which the sieve
    /// counted what failed.
    fn scans(
        &mut self,
        attempts: Attempts<'_>,
        may_scan: &dyn Fn(Addr) -> bool,
        distinct: usize,
        common: Common,
        sieve: &Sieve,
    ) {
        if !sieve.any_reaches(distinct) {
            return;
        }
        // How many flows in all, and those that failed.
        let mut groups: Map<u64, (u64, Vec<u32>)> = Map::default();
        for (number, seen, ruling) in attempts.all() {
            let key = common.number(seen);
            if sieve.may_reach(key, distinct) && self.is_free(number) {
                let (total, failing) = groups.entry(key).or_default();
                *total += 1;
                if ruling.failed {
                    failing.push(number);
                }
            }
        }
        let suspect = |(total, failing): (u64, Vec<u32>)| {
            let (seen, _) = attempts.at(*failing.first()?)?;
            let enough = failing.len() >= distinct && failing.len() as u64 * 100 >= total * limit::SCAN_FAILING_PERCENT;
            enough.then(|| (common.order(seen, attempts.hosts), failing))
        };
        let mut suspects: Vec<_> = groups.into_values().filter_map(suspect).collect();
        suspects.sort_unstable_by_key(|(order, _)| *order);
        for ((client, ..), failing) in suspects {
            if !may_scan(client) && dense(attempts, &failing, distinct) {
                self.add(FindingKind::Scan, attempts, &failing);
            }
        }
    }
}

/// The time from the first to the last second that is crowded with half-open connections, a second more on each side.
/// Members are in order of time.
fn crowded(attempts: Attempts<'_>, members: &[u32]) -> Option<(Timestamp, Timestamp)> {
    const SECOND: u64 = 1_000_000_000;
    let half_open = attempts.of(members).filter(|(_, ruling)| ruling.half_open);
    let times: Vec<u64> = half_open.map(|(seen, _)| seen.stored.first().0).collect();
    let dense = times.windows(limit::FLOOD_PER_SECOND).filter_map(|window| {
        let (first, last) = (*window.first()?, *window.last()?);
        (last.saturating_sub(first) < SECOND).then_some((first, last))
    });
    let (first, last) = dense.fold((u64::MAX, 0), |whole, (first, last)| (whole.0.min(first), whole.1.max(last)));
    (first <= last).then(|| (Timestamp(first.saturating_sub(SECOND)), Timestamp(last.saturating_add(SECOND))))
}

/// Whether so many distinct ports of targets fall within one window. Members are in order of time.
fn dense(attempts: Attempts<'_>, members: &[u32], distinct: usize) -> bool {
    let window = u64::try_from(limit::SCAN_WINDOW.as_nanos()).unwrap_or(u64::MAX);
    let mut inside: Map<u64, usize> = Map::default();
    let mut oldest = attempts.of(members).peekable();
    for (seen, _) in attempts.of(members) {
        *inside.entry(service_number(seen)).or_default() += 1;
        let left =
            |(old, _): &(&Seen<'_>, &Ruling)| seen.stored.first().0.saturating_sub(old.stored.first().0) > window;
        while let Some((old, _)) = oldest.next_if(left) {
            if let Some(count) = inside.get_mut(&service_number(old)) {
                *count -= 1;
                if *count == 0 {
                    inside.remove(&service_number(old));
                }
            }
        }
        if inside.len() >= distinct {
            return true;
        }
    }
    false
}

/// Tells what was met before in the same round, by its place in some list.
#[derive(Debug, Default)]
struct Met {
    round: u32,
    /// The last round in which each was met.
    rounds: Vec<u32>,
    /// How many were met in this one.
    count: u64,
}

impl Met {
    fn begin(&mut self) {
        self.round += 1;
        self.count = 0;
    }

    fn add(&mut self, place: usize) {
        if self.rounds.len() <= place {
            self.rounds.resize(place + 1, 0);
        }
        if let Some(round) = self.rounds.get_mut(place)
            && *round != self.round
        {
            *round = self.round;
            self.count += 1;
        }
    }
}

/// What members have in common, and their sums.
#[derive(Debug, Default)]
struct Summing {
    clients: Met,
    servers: Met,
    ports: Met,
}

impl Summing {
    /// Members are in order of time.
    fn of(&mut self, kind: FindingKind, attempts: Attempts<'_>, members: &[u32]) -> Collapse {
        let Self { clients, servers, ports } = self;
        for met in [&mut *clients, servers, ports] {
            met.begin();
        }
        let mut outcomes: Vec<(Outcome, u64)> = Vec::new();
        let mut tries = 0;
        for (seen, ruling) in attempts.of(members) {
            clients.add(seen.client.index());
            servers.add(seen.server.index());
            ports.add(seen.class.port_place(seen.port));
            match outcomes.iter_mut().find(|(outcome, _)| *outcome == ruling.outcome) {
                Some((_, count)) => *count += 1,
                None => outcomes.push((ruling.outcome, 1)),
            }
            tries += if ruling.tries == u8::MAX { seen.tries() } else { ruling.tries.into() };
        }
        let outcome = outcomes.iter().max_by_key(|(outcome, count)| (*count, std::cmp::Reverse(*outcome)));
        let chosen = || members.iter().filter_map(|number| attempts.at(*number)).map(|(seen, _)| seen);
        let (first, last) = (chosen().next(), chosen().next_back());
        let mut frames = Frames::default();
        for seen in chosen().take(5).chain(last) {
            frames.add(seen.stored.order().1);
        }
        let only = |met: &Met| first.filter(|_| met.count == 1);
        Collapse {
            kind,
            client: only(clients).map(|seen| attempts.hosts.addr(seen.client)),
            server: only(servers).map(|seen| attempts.hosts.addr(seen.server)),
            transport: first.map_or(Transport::Tcp, |seen| seen.class.transport()),
            port: only(ports).map(|seen| seen.port),
            outcome: outcome.map_or(Outcome::Unknown, |(outcome, _)| *outcome),
            confidence: Confidence::Probable,
            flows: members.len() as u64,
            folded: 0,
            attempts: tries,
            sources: clients.count,
            targets: servers.count,
            ports: ports.count,
            first: first.map(|seen| seen.stored.first()).unwrap_or_default(),
            last: last.map(|seen| seen.stored.first()).unwrap_or_default(),
            frames,
        }
    }
}

/// Each of these once, in order.
fn distinct<T: Ord>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut all: Vec<T> = all.collect();
    all.sort_unstable();
    all.dedup();
    all
}
