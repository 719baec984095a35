//! The findings of a run that goes on, each with its life: announced once, told again when it changed, closed when the
//! two can talk again.
//!
//! Every judgement gives all findings anew; the ledger compares them with those it knows. Time is packet time. It must
//! never know how a finding came about, nor to whom it is told.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::time::Duration;

use foldhash::quality::RandomState;
use serde::Serialize;

use crate::classify::judge::Judge;
use crate::classify::judged::Ruled;
use crate::classify::verdict::FindingKind;
use crate::classify::verdict::Outcome;
use crate::model::time::Timestamp;
use crate::model::transport::Transport;
use crate::report::findings::Finding;
use crate::report::findings::Service;
use crate::report::moment::Moment;
use crate::report::names::Party;

/// Findings that are remembered. Beyond, those that are over go first, then new ones are not announced, and counted.
pub const ITEMS_MAX: usize = 1 << 16;

/// A finding that only goes on is told again after this time at the earliest.
pub const TELL_AGAIN: Duration = Duration::from_secs(300);

/// What a finding is about, however it shows from time to time.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Key {
    client: Party,
    server: Party,
    transport: &'static str,
    port: Option<u16>,
    kind: &'static str,
    interface: Option<String>,
}

/// Whether a finding still holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It was so when last tried.
    Open,
    /// The same client reached the same port of the server after the last failure.
    Works,
    /// Nobody tried for so long that its flows are kept no more.
    Quiet,
    /// What was seen later shows that it was none.
    Withdrawn,
}

impl State {
    /// The name used in events.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Works => "works",
            Self::Quiet => "quiet",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// What happened to a finding.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It was never told before.
    New,
    /// It shows otherwise, is surer, or went on for some time.
    Updated,
    /// It was over, and is there again.
    Again,
    /// It is over.
    Closed,
}

/// A finding with its life.
#[derive(Clone, Debug, Serialize)]
pub struct Item {
    /// Its number in this run, from 1.
    pub id: u64,
    /// Whether it still holds.
    pub state: State,
    /// When the first packet of it was seen; of a finding that came again, since it did.
    pub since: Moment,
    /// Since when it is over: when what works began, or when it was last seen.
    pub until: Option<Moment>,
    /// How often it was over and came again.
    pub returns: u64,
    /// As it was last judged.
    #[serde(flatten)]
    pub finding: Finding,
    #[serde(skip)]
    told_at: Timestamp,
    #[serde(skip)]
    told: Shape,
}

/// What makes a finding worth telling again.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Shape {
    outcome: &'static str,
    confidence: &'static str,
    reason: String,
    by: Option<String>,
    standing: &'static str,
    flows: u64,
}

impl Shape {
    fn of(finding: &Finding) -> Self {
        Self {
            outcome: finding.outcome,
            confidence: finding.confidence,
            reason: finding.reason.clone(),
            by: finding.by.clone(),
            standing: finding.standing,
            flows: finding.flows,
        }
    }

    /// Whether they differ in more than how often.
    fn differs(&self, other: &Self) -> bool {
        Self { flows: 0, ..self.clone() } != Self { flows: 0, ..other.clone() }
    }
}

impl Item {
    /// One line for people: "blocked since 10:02:11, works since 10:40:03".
    pub fn life(&self, dated: bool) -> String {
        let since = format!("{} since {}", self.finding.kind.name().replace('_', " "), self.since.clock(dated));
        match (self.state, self.until) {
            (State::Works, Some(until)) => format!("{since}, works since {}", until.clock(dated)),
            (State::Quiet, Some(until)) => format!("{since}, last seen {}", until.clock(dated)),
            (State::Withdrawn, _) => format!("{since}: taken back, later packets show otherwise"),
            _ => since,
        }
    }
}

/// How it stands with services that were found blocked.
#[derive(Debug, Default)]
pub struct Latest(HashMap<Service, Sight, RandomState>);

/// What was seen of such a service last.
#[derive(Clone, Copy, Debug, Default)]
struct Sight {
    /// The newest beginning of a flow that worked; zero if none did.
    worked: Timestamp,
    /// It is being tried: how that ends is not known yet.
    pending: bool,
    /// When the first flow since then began that failed; zero if none did.
    failing: Timestamp,
}

/// Whether a finding holds, and since when it is over.
type Now = (State, Option<Moment>);

/// All findings of a run.
#[derive(Debug, Default)]
pub struct Ledger {
    items: BTreeMap<Key, Item>,
    last_id: u64,
    not_kept: u64,
}

impl Ledger {
    /// Every finding that is remembered, in order of client, server and port.
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        self.items.values()
    }

    /// How many are open, by kind.
    pub fn open(&self) -> BTreeMap<&'static str, u64> {
        let mut open = BTreeMap::new();
        for item in self.items.values().filter(|item| item.state == State::Open) {
            *open.entry(item.finding.kind.name()).or_default() += 1;
        }
        open
    }

    /// Findings of the newest judgement for which there is no room.
    pub fn not_kept(&self) -> u64 {
        self.not_kept
    }

    /// Looks how it stands with what is found blocked. Goes over all flows if there is such a finding.
    pub fn latest<'f>(&self, judge: &Judge<'_>, findings: impl Iterator<Item = &'f Finding>) -> Latest {
        let mut latest = Latest::default();
        let mut ask = |finding: &Finding| {
            if can_work(finding.kind) {
                latest.0.extend(finding.service().map(|service| (service, Sight::default())));
            }
        };
        findings.for_each(&mut ask);
        self.items.values().filter(|item| item.state == State::Open).for_each(|item| ask(&item.finding));
        if latest.0.is_empty() {
            return latest;
        }
        let hosts = judge.numbered();
        let tells =
            |ruled: &Ruled<'_>| matches!(ruled.outcome, Outcome::Open | Outcome::Pending) || ruled.outcome.is_failure();
        for ruled in judge.rulings().filter(tells) {
            let Some(transport) = named(ruled.sums.transport) else { continue };
            let key = (hosts.addr(ruled.client), hosts.addr(ruled.server), transport, ruled.sums.port);
            if let Some(sight) = latest.0.get_mut(&key) {
                match ruled.outcome {
                    // They come in the order they began.
                    Outcome::Open => (sight.worked, sight.failing) = (sight.worked.max(ruled.sums.first), Timestamp(0)),
                    Outcome::Pending => sight.pending = true,
                    _ if sight.failing == Timestamp(0) => sight.failing = ruled.sums.first,
                    _ => {}
                }
            }
        }
        latest
    }

    /// Takes the findings of a judgement; what happened to which, by id. `kept_since`: flows that were silent since
    /// before are kept no more.
    pub fn update(
        &mut self,
        findings: impl IntoIterator<Item = Finding>,
        latest: &Latest,
        at: Timestamp,
        kept_since: Timestamp,
    ) -> Vec<(Change, Item)> {
        let mut newest: BTreeMap<Key, Finding> = BTreeMap::new();
        for finding in findings {
            // Of several stories about one port, the one that happened last tells how it is now.
            let place = newest.entry(key(&finding));
            place
                .and_modify(|known| {
                    if (finding.last, finding.first) > (known.last, known.first) {
                        *known = finding.clone();
                    }
                })
                .or_insert(finding);
        }
        let mut last_of: HashMap<Service, Moment, RandomState> = HashMap::default();
        for finding in newest.values() {
            if let Some(service) = finding.service() {
                let last = last_of.entry(service).or_insert(finding.last);
                *last = (*last).max(finding.last);
            }
        }
        let mut changes = Vec::new();
        let gone: Vec<Key> = self
            .items
            .iter()
            .filter(|(key, item)| item.state == State::Open && !newest.contains_key(*key))
            // What is tried once more is as it was until that is over, unless it worked or failed otherwise since.
            .filter(|(_, item)| {
                let otherwise = item.finding.service().and_then(|service| last_of.get(&service));
                let told_otherwise = otherwise.is_some_and(|last| *last > item.finding.last);
                let works = latest.worked_after(&item.finding).is_some();
                works || told_otherwise || !latest.is_pending(&item.finding)
            })
            .map(|(key, _)| key.clone())
            .collect();
        for key in gone {
            if let Some(item) = self.items.get_mut(&key) {
                let quiet = item.finding.last.0 < kept_since;
                let works = latest.worked_after(&item.finding);
                item.state = match works {
                    Some(_) => State::Works,
                    None if quiet => State::Quiet,
                    None => State::Withdrawn,
                };
                item.until = Some(works.map_or(item.finding.last, Moment));
                changes.push((Change::Closed, item.clone()));
            }
        }
        let mut fresh = Vec::new();
        for (key, finding) in newest {
            let works = latest.worked_after(&finding);
            let state = match works {
                Some(_) => State::Works,
                None if finding.last.0 < kept_since => State::Quiet,
                None => State::Open,
            };
            let until = works.map(Moment).or((state == State::Quiet).then_some(finding.last));
            if self.items.contains_key(&key) {
                let failing = latest.failing(&finding);
                changes.extend(self.take(&key, finding, (state, until), failing, at));
            } else {
                fresh.push((key, finding, (state, until)));
            }
        }
        changes.extend(self.add(fresh, at));
        changes.sort_by_key(|(_, item)| item.id);
        changes
    }

    /// Takes what is known already as it is now.
    /// `failing`: when the first flow began that failed since it worked last.
    fn take(
        &mut self,
        key: &Key,
        finding: Finding,
        (state, until): Now,
        failing: Option<Timestamp>,
        at: Timestamp,
    ) -> Option<(Change, Item)> {
        let shape = Shape::of(&finding);
        let item = self.items.get_mut(key)?;
        let before = item.state;
        let returns = before != State::Open && state == State::Open && finding.last > item.finding.last;
        let stays_over = state != State::Open || (!returns && before != State::Withdrawn);
        if before != State::Open && stays_over {
            return None;
        }
        if returns {
            item.returns += 1;
            // Where the first packet since it was over is not known, the last one surely is later.
            let since = failing.map(Moment).filter(|since| item.until.is_none_or(|until| *since > until));
            item.since = since.unwrap_or(finding.last);
        }
        item.finding = finding;
        item.state = state;
        item.until = until;
        let goes_on = shape.flows > item.told.flows && at.since(item.told_at) >= TELL_AGAIN;
        let change = match (before, state) {
            (State::Open, State::Open) if shape.differs(&item.told) || goes_on => Change::Updated,
            (State::Open, State::Works | State::Quiet) => Change::Closed,
            (State::Works | State::Quiet | State::Withdrawn, State::Open) => Change::Again,
            _ => return None,
        };
        (item.told, item.told_at) = (shape, at);
        Some((change, item.clone()))
    }

    /// Takes what is not known yet, as much as there is room for.
    fn add(&mut self, fresh: Vec<(Key, Finding, Now)>, at: Timestamp) -> Vec<(Change, Item)> {
        let open = fresh.iter().filter(|(.., (state, _))| *state == State::Open).count();
        self.make_room(open);
        let room = ITEMS_MAX.saturating_sub(self.items.len());
        // What is over has what is left: it makes nothing go, or the two would change places at every judgement.
        let (mut for_open, mut for_over) = (open.min(room), room.saturating_sub(open));
        self.not_kept = 0;
        let mut changes = Vec::new();
        for (key, finding, (state, until)) in fresh {
            let left = if state == State::Open { &mut for_open } else { &mut for_over };
            if *left == 0 {
                self.not_kept += 1;
                continue;
            }
            *left -= 1;
            self.last_id += 1;
            let item = Item {
                id: self.last_id,
                state,
                since: finding.first,
                until,
                returns: 0,
                told_at: at,
                told: Shape::of(&finding),
                finding,
            };
            self.items.insert(key, item.clone());
            changes.push((Change::New, item));
        }
        changes
    }

    /// Forgets what was over first, until so many more have room.
    fn make_room(&mut self, wanted: usize) {
        let surplus = (self.items.len() + wanted).saturating_sub(ITEMS_MAX);
        if surplus == 0 {
            return;
        }
        let over = self.items.iter().filter(|(_, item)| item.state != State::Open);
        let mut over: Vec<_> = over.map(|(key, item)| (item.until, item.id, key)).collect();
        over.sort_unstable();
        let oldest: Vec<Key> = over.into_iter().take(surplus).map(|(.., key)| key.clone()).collect();
        for key in oldest {
            self.items.remove(&key);
        }
    }
}

impl Latest {
    /// What was seen of the service of a finding that is over when it works.
    fn of(&self, finding: &Finding) -> Option<Sight> {
        self.0.get(&finding.service()?).copied().filter(|_| can_work(finding.kind))
    }

    /// When it worked after a finding's last packet, if it did.
    fn worked_after(&self, finding: &Finding) -> Option<Timestamp> {
        self.of(finding).map(|sight| sight.worked).filter(|at| *at > finding.last.0)
    }

    /// When the first flow began that failed since it worked last.
    fn failing(&self, finding: &Finding) -> Option<Timestamp> {
        self.of(finding).map(|sight| sight.failing).filter(|at| *at > Timestamp(0))
    }

    fn is_pending(&self, finding: &Finding) -> bool {
        self.of(finding).is_some_and(|sight| sight.pending)
    }
}

/// Whether a finding of that kind is over when it works.
fn can_work(kind: FindingKind) -> bool {
    matches!(kind, FindingKind::Blocked | FindingKind::RpcBlocked | FindingKind::EpmBlocked)
}

fn named(transport: Transport) -> Option<&'static str> {
    transport.has_ports().then(|| transport.name())
}

fn key(finding: &Finding) -> Key {
    Key {
        client: finding.client,
        server: finding.server,
        transport: finding.transport,
        port: finding.port,
        kind: finding.kind.name(),
        // A blocked port stays the same story when it is learned later whose port it is.
        interface: match finding.kind {
            FindingKind::RpcNotRegistered => finding.interface.as_ref().and_then(|interface| interface.uuid.clone()),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop here")]

    use super::*;
    use crate::report::sample;

    const SECOND: u64 = 1_000_000_000;

    fn at(second: u64) -> Timestamp {
        Timestamp(1_772_359_331 * SECOND + second * SECOND)
    }

    /// A blocked port that was last tried at a second.
    fn blocked(last: u64) -> Finding {
        let report = sample::report();
        let found = report.findings.iter().find(|finding| finding.kind == FindingKind::Blocked).unwrap();
        Finding { first: Moment(at(0)), last: Moment(at(last)), ..found }
    }

    fn sight(sight: Sight) -> Latest {
        Latest([(blocked(0).service().unwrap(), sight)].into_iter().collect())
    }

    fn works(second: u64) -> Latest {
        sight(Sight { worked: at(second), ..Sight::default() })
    }

    /// What happened, as words, at a second; flows are kept for a hundred.
    fn told(ledger: &mut Ledger, findings: Vec<Finding>, latest: &Latest, second: u64) -> Vec<(Change, State)> {
        let kept_since = at(second.saturating_sub(100));
        let changes = ledger.update(findings, latest, at(second), kept_since);
        changes.iter().map(|(change, item)| (*change, item.state)).collect()
    }

    #[test]
    fn a_finding_is_told_once_and_closed_when_it_works() {
        let (mut ledger, never) = (Ledger::default(), Latest::default());
        assert_eq!(told(&mut ledger, vec![blocked(5)], &never, 10), [(Change::New, State::Open)]);
        assert_eq!(told(&mut ledger, vec![blocked(6)], &never, 11), []);
        let surer = Finding { confidence: "possible", ..blocked(6) };
        assert_eq!(told(&mut ledger, vec![surer.clone()], &never, 12), [(Change::Updated, State::Open)]);
        // What worked before it failed last, closes nothing.
        assert_eq!(told(&mut ledger, vec![surer.clone()], &works(6), 13), []);
        assert_eq!(told(&mut ledger, vec![surer.clone()], &works(7), 14), [(Change::Closed, State::Works)]);
        let item = ledger.items().next().unwrap();
        assert_eq!((item.id, item.until), (1, Some(Moment(at(7)))));
        assert!(item.life(false).ends_with(", works since 10:02:18"), "{}", item.life(false));
        assert_eq!(told(&mut ledger, vec![surer], &works(7), 15), []);
        assert_eq!(told(&mut ledger, vec![blocked(16)], &works(7), 20), [(Change::Again, State::Open)]);
        let again = |ledger: &Ledger| ledger.items().next().map(|item| (item.since, item.returns)).unwrap();
        assert_eq!(again(&ledger), (Moment(at(16)), 1), "the first try of this time is not known");
        told(&mut ledger, vec![blocked(16)], &works(21), 22);
        let failing = sight(Sight { worked: at(21), failing: at(30), ..Sight::default() });
        assert_eq!(told(&mut ledger, vec![blocked(35)], &failing, 40), [(Change::Again, State::Open)]);
        assert_eq!(again(&ledger), (Moment(at(30)), 2));
    }

    #[test]
    fn what_is_tried_once_more_is_not_taken_back() {
        let (mut ledger, never) = (Ledger::default(), Latest::default());
        let pending = sight(Sight { pending: true, ..Sight::default() });
        told(&mut ledger, vec![blocked(3)], &never, 7);
        assert_eq!(told(&mut ledger, vec![], &pending, 8), []);
        assert_eq!(told(&mut ledger, vec![blocked(7)], &never, 13), []);
        assert_eq!(told(&mut ledger, vec![], &pending, 16), []);
        assert_eq!(told(&mut ledger, vec![], &never, 17), [(Change::Closed, State::Withdrawn)]);
        let item = ledger.items().next().unwrap();
        assert_eq!((item.since, item.returns), (Moment(at(0)), 0));
        // What works is over, however many tries are under way at any time.
        let mut busy = Ledger::default();
        told(&mut busy, vec![blocked(3)], &never, 7);
        let works = sight(Sight { worked: at(9), pending: true, ..Sight::default() });
        assert_eq!(told(&mut busy, vec![], &works, 10), [(Change::Closed, State::Works)]);
    }

    #[test]
    fn what_nobody_tries_any_more_is_quiet_and_what_was_none_is_taken_back() {
        let never = Latest::default();
        let mut ledger = Ledger::default();
        told(&mut ledger, vec![blocked(5)], &never, 10);
        assert_eq!(told(&mut ledger, vec![], &never, 11), [(Change::Closed, State::Withdrawn)]);
        assert_eq!(told(&mut ledger, vec![blocked(5)], &never, 12), [(Change::Again, State::Open)]);
        assert_eq!(told(&mut ledger, vec![], &never, 200), [(Change::Closed, State::Quiet)]);
        let mut archived = Ledger::default();
        told(&mut archived, vec![blocked(5)], &never, 10);
        // Its flows are in the archive: it is found for ever, and over all the same.
        assert_eq!(told(&mut archived, vec![blocked(5)], &never, 200), [(Change::Closed, State::Quiet)]);
        assert_eq!(told(&mut archived, vec![blocked(5)], &never, 201), []);
        assert_eq!(archived.open(), BTreeMap::new());
    }

    #[test]
    fn what_has_no_room_is_counted_as_it_is_now_and_comes_in_when_there_is_some() {
        let (mut ledger, never) = (Ledger::default(), Latest::default());
        let found = blocked(5);
        let numbered = |number: usize| {
            let port = u16::try_from(number % ITEMS_MAX).unwrap();
            Finding { transport: if number < ITEMS_MAX { "tcp" } else { "udp" }, port: Some(port), ..found.clone() }
        };
        let all: Vec<Finding> = (0..ITEMS_MAX + 100).map(numbered).collect();
        assert_eq!(told(&mut ledger, all.clone(), &never, 10).len(), ITEMS_MAX);
        assert_eq!(ledger.not_kept(), 100);
        assert_eq!(told(&mut ledger, all.clone(), &never, 11), []);
        assert_eq!(ledger.not_kept(), 100, "it is what there is now, and no sum of all judgements");
        // Thirty are over: they go, and others come.
        let changes = told(&mut ledger, all[30..].to_vec(), &never, 12);
        let count = |change: Change| changes.iter().filter(|(known, _)| *known == change).count();
        assert_eq!([count(Change::Closed), count(Change::New), changes.len()], [30, 30, 60]);
        assert_eq!((ledger.not_kept(), ledger.items().count()), (70, ITEMS_MAX));
        assert!(ledger.items().all(|item| item.state == State::Open));
        // What was over when it came has no room that something else would have to make.
        assert_eq!(told(&mut ledger, all, &never, 200).len(), ITEMS_MAX);
        assert_eq!((ledger.not_kept(), ledger.open()), (100, BTreeMap::new()));
        assert_eq!(
            told(&mut ledger, vec![Finding { transport: "sctp", ..blocked(190) }], &never, 201),
            [(Change::New, State::Open)]
        );
        assert_eq!((ledger.not_kept(), ledger.items().count()), (0, ITEMS_MAX));
    }

    #[test]
    fn what_only_goes_on_is_told_again_after_a_while() {
        let (mut ledger, never) = (Ledger::default(), Latest::default());
        let more = |last, flows| Finding { flows, ..blocked(last) };
        told(&mut ledger, vec![more(5, 1)], &never, 10);
        assert_eq!(told(&mut ledger, vec![more(250, 7)], &never, 300), []);
        assert_eq!(told(&mut ledger, vec![more(300, 8)], &never, 311), [(Change::Updated, State::Open)]);
        assert_eq!(told(&mut ledger, vec![more(311, 9)], &never, 320), []);
    }
}
