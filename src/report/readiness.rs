//! Readiness: whether two hosts were seen to use what a document's rows allow between them, row by row.
//!
//! Hands on lists of rows and their sums. SEMANTICS section 5 says how a state comes about; nothing here judges a flow.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::rc::Rc;

use foldhash::quality::RandomState;
use serde::Deserialize;
use serde::Serialize;

use crate::catalogue::Catalogue;
use crate::catalogue::policy::Row;
use crate::catalogue::policy::RowId;
use crate::catalogue::role::RoleId;
use crate::catalogue::role::RoleSet;
use crate::catalogue::service::Ports;
use crate::classify::judged::Collapse;
use crate::classify::verdict::Frames;
use crate::flow::fold::Folds;
use crate::model::addr::Addr;
use crate::model::transport::Transport;
use crate::report::exercised::Basis;
use crate::report::exercised::Exercised;
use crate::report::exercised::Signs;
use crate::report::exercised::Tally;
use crate::report::names::FrameName;
use crate::report::names::Names;
use crate::report::names::Party;
use crate::report::pairs::Pair;
use crate::report::pairs::Pairs;
use crate::report::sanitise::Shown;

/// Rows listed in one report where a profile was asked for. No pair is begun after that.
const LISTED_MAX: usize = 65_536;

/// The same where nobody asked.
const OFFERED_MAX: usize = 4_096;

/// Frames named for one row.
const FRAMES_MAX: usize = 6;

/// Whether a row's service was reached between two hosts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It was tried, is a finding, and never worked.
    Blocked,
    /// It worked and it failed; or it was let in and cut at its first data.
    SeenFailed,
    /// It worked.
    Ok,
    /// It was tried, and the capture does not show what became of it.
    NotJudgeable,
    /// Nobody tried.
    NotExercised,
}

impl State {
    /// All, the gravest first.
    pub const ALL: [Self; 5] = [Self::Blocked, Self::SeenFailed, Self::Ok, Self::NotJudgeable, Self::NotExercised];

    /// The name used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::SeenFailed => "seen_failed",
            Self::Ok => "ok",
            Self::NotJudgeable => "not_judgeable",
            Self::NotExercised => "not_exercised",
        }
    }

    fn of(signs: Signs) -> Self {
        match signs {
            Signs { failed: 1.., worked: 0, cut: 0, .. } => Self::Blocked,
            Signs { failed: 1.., .. } | Signs { cut: 1.., .. } => Self::SeenFailed,
            Signs { worked: 1.., .. } => Self::Ok,
            Signs { unclear: 1.., .. } => Self::NotJudgeable,
            Signs { .. } => Self::NotExercised,
        }
    }
}

/// A row of a document between two hosts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ReadinessRow {
    /// The document's profile.
    pub profile: Shown,
    /// The row, as `profile/row`.
    pub row: Shown,
    /// Who needs it.
    pub client: Party,
    /// Of whom.
    pub server: Party,
    /// Whether it was reached, over all transports of the row together.
    pub state: State,
    /// Frames that show it.
    pub frames: Vec<FrameName>,
    /// The service's id; `any` where the row allows everything between the two.
    pub service: Shown,
    /// Each transport over which it was tried.
    pub transports: Vec<TransportRow>,
    /// What the row is for, in words.
    #[serde(skip)]
    pub purpose: Shown,
    /// The ports that the row names, as `tcp/88 udp/88`.
    #[serde(skip)]
    pub named: Shown,
}

/// A row's service over one transport.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct TransportRow {
    /// The transport.
    pub transport: &'static str,
    /// The ports that were tried, ascending.
    pub ports: Vec<u16>,
    /// Whether it was reached.
    pub state: State,
    /// Flows that worked.
    pub worked: u64,
    /// Flows that failed, or were cut.
    pub failed: u64,
    /// Flows to further ports.
    pub ports_cut: u64,
}

/// All rows of one profile between two hosts, added up.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ReadinessPair {
    /// The profile.
    pub profile: Shown,
    /// Who needs it.
    pub client: Party,
    /// Of whom.
    pub server: Party,
    /// Rows that worked.
    pub ok: u64,
    /// Rows that were tried and never worked.
    pub blocked: u64,
    /// Rows that worked and failed.
    pub seen_failed: u64,
    /// Rows that nobody tried. Not all of them are listed: see [`Readiness::rows`].
    pub not_exercised: u64,
    /// Rows of which the capture does not show what became.
    pub not_judgeable: u64,
    /// Whether all its rows are listed, because the profile was asked for.
    pub complete: bool,
    /// Whether every row of the profile names the roles of both hosts: then it is a list of what such hosts need.
    pub checklist: bool,
}

impl ReadinessPair {
    /// How many rows have this state.
    pub fn count(&self, state: State) -> u64 {
        match state {
            State::Ok => self.ok,
            State::Blocked => self.blocked,
            State::SeenFailed => self.seen_failed,
            State::NotExercised => self.not_exercised,
            State::NotJudgeable => self.not_judgeable,
        }
    }

    fn add(&mut self, state: State) {
        *match state {
            State::Ok => &mut self.ok,
            State::Blocked => &mut self.blocked,
            State::SeenFailed => &mut self.seen_failed,
            State::NotExercised => &mut self.not_exercised,
            State::NotJudgeable => &mut self.not_judgeable,
        } += 1;
    }
}

/// What is known of all documents' rows.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    /// Profile by profile, in it the gravest pair first, in that the document's order. Of a profile that was asked for
    /// every row that fits the two hosts; of others the rows that were tried, and with them those that nobody tried and
    /// that name both roles.
    pub(crate) rows: Vec<ReadinessRow>,
    /// In the same order.
    pub(crate) pairs: Vec<ReadinessPair>,
    /// Pairs for which there was no room.
    pub(crate) cut: u64,
}

/// Which rows speak of hosts of some roles to hosts of others. Found once for each two sets.
pub(crate) struct Fits<'a> {
    catalogue: &'a Catalogue,
    found: HashMap<(RoleSet, RoleSet), Rc<[RowId]>, RandomState>,
}

impl<'a> Fits<'a> {
    pub(crate) fn new(catalogue: &'a Catalogue) -> Self {
        Self { catalogue, found: HashMap::default() }
    }

    /// The rows that judge flows between hosts of these closed sets, in order.
    pub(crate) fn of(&mut self, from: RoleSet, to: RoleSet) -> Rc<[RowId]> {
        let find = || {
            let any = RoleSet::of(RoleId::ANY);
            let (from, to) = (from.union(any), to.union(any));
            let holds = |set: RoleSet, wanted: &[RoleId]| wanted.iter().any(|role| set.contains(*role));
            let fits = |row: &Row| {
                let straight = holds(from, &row.from) && holds(to, &row.to);
                let both_ways = row.bidirectional || row.between;
                row.judges() && (straight || (both_ways && holds(to, &row.from) && holds(from, &row.to)))
            };
            let numbered = (0..).zip(self.catalogue.rows());
            numbered.filter(|(_, row)| fits(row)).map(|(number, _)| RowId(number)).collect()
        };
        Rc::clone(self.found.entry((from, to)).or_insert_with(find))
    }
}

/// Whether a row is about hosts of certain roles: what is allowed to everybody is nobody's need.
fn is_named(row: &Row) -> bool {
    !row.from.contains(&RoleId::ANY) && !row.to.contains(&RoleId::ANY)
}

/// Whether a row is fit for a check list: it names both roles, or asks for nothing.
fn is_checked(row: &Row) -> bool {
    row.listed_only || is_named(row)
}

/// Flows of which no more than a total is known, or that are part of a scan or flood.
#[derive(Debug, Default)]
pub(crate) struct Untold {
    /// Of some not even the server is known.
    anywhere: bool,
    totals: BTreeSet<(Addr, Option<Addr>, Transport, u16)>,
    collapses: Vec<Collapse>,
}

impl Untold {
    pub(crate) fn of(folds: &Folds, collapses: &[Collapse]) -> Self {
        let mut untold = Self { collapses: collapses.to_vec(), ..Self::default() };
        for (key, _) in folds.iter() {
            match key.server {
                Some((server, port)) => {
                    untold.totals.insert((server, key.client, key.transport, port));
                }
                None => untold.anywhere = true,
            }
        }
        untold
    }

    /// Whether some of them may have been to these ports.
    fn may_hold(&self, client: Addr, server: Addr, ports: &[Ports]) -> bool {
        // Most captures have none.
        if self.totals.is_empty() && self.collapses.is_empty() {
            return self.anywhere;
        }
        let in_total = |ports: &Ports| {
            let (low, high) = if ports.transport.has_ports() { (ports.low, ports.high) } else { (0, u16::MAX) };
            [None, Some(client)].into_iter().any(|client| {
                let (first, last) = ((server, client, ports.transport, low), (server, client, ports.transport, high));
                self.totals.range(first..=last).next().is_some()
            })
        };
        let in_collapse = |ports: &Ports| {
            self.collapses.iter().any(|whole| {
                whole.client.is_none_or(|own| own == client)
                    && whole.server.is_none_or(|own| own == server)
                    && whole.transport == ports.transport
                    && whole.port.is_none_or(|port| ports.cover(whole.transport, port))
            })
        };
        self.anywhere || ports.iter().any(|ports| in_total(ports) || in_collapse(ports))
    }
}

/// What one row showed between two hosts.
#[derive(Debug, Default)]
struct Shows {
    /// For each transport: signs, ports tried, flows to further ports.
    parts: BTreeMap<&'static str, (Signs, BTreeSet<u16>, u64)>,
    /// Numbers of flows that worked, that failed, that are unclear: the first of each.
    shown: [Option<u32>; 3],
}

impl Shows {
    fn add(&mut self, transport: Transport, tally: &Tally) {
        let (signs, ports, cut) = self.parts.entry(transport.name()).or_default();
        signs.add(tally.signs);
        *cut += u64::from(tally.ports_cut);
        if transport.has_ports() {
            ports.extend(tally.ports().map(|used| used.port));
        }
        for (first, other) in self.shown.iter_mut().zip(tally.shown()) {
            *first = (*first).into_iter().chain(other).min();
        }
    }

    fn signs(&self) -> Signs {
        let mut all = Signs::default();
        self.parts.values().for_each(|(signs, ..)| all.add(*signs));
        all
    }

    /// The flows that show the state.
    fn witnesses(&self, state: State) -> impl Iterator<Item = u32> {
        let [worked, failed, unclear] = self.shown;
        let chosen = match state {
            State::Ok => [worked, None],
            State::Blocked => [failed, None],
            State::SeenFailed => [worked, failed],
            State::NotJudgeable => [unclear, None],
            State::NotExercised => [None, None],
        };
        chosen.into_iter().flatten()
    }
}

/// What readiness is read from.
pub(crate) struct Seen<'b, 'a> {
    pub(crate) pairs: &'b Pairs,
    pub(crate) exercised: &'b Exercised,
    pub(crate) names: &'b Names<'a>,
    pub(crate) untold: &'b Untold,
    /// The frames that show what became of the flow of a number.
    pub(crate) frames: &'b dyn Fn(u32) -> Option<Frames>,
    /// The profiles asked for.
    pub(crate) wanted: &'b [String],
}

/// Lists the rows.
pub(crate) fn readiness(seen: &Seen<'_, '_>, fits: &mut Fits<'_>) -> Readiness {
    let catalogue = seen.names.catalogue();
    let profiles = catalogue.profiles().map(|profile| {
        let mut own = catalogue.rows().iter().filter(|row| row.profile == profile.id);
        (profile.id.as_str(), own.all(is_checked))
    });
    let profiles: Rc<[(&str, bool)]> = profiles.collect();
    let words = catalogue.rows().iter().map(|row| RowWords::of(row, catalogue, &profiles)).collect();
    let is_asked = !seen.wanted.is_empty();
    let room = if is_asked { LISTED_MAX } else { OFFERED_MAX };
    let mut sheets = Sheets { seen, fits, profiles, words, room, listed: 0, all: Vec::new(), cut: 0 };
    let named: Vec<bool> = catalogue.rows().iter().map(is_named).collect();
    let is_named = |row: &RowId| named.get(row.0 as usize).copied().unwrap_or_default();
    let is_need = |tally: &Tally| tally.rows.iter().any(is_named);
    let mut met: BTreeSet<(Addr, Addr)> = BTreeSet::new();
    // What two hosts need of each other goes before what is allowed to everybody.
    let mut others = Vec::new();
    for (order, pair) in seen.pairs.iter().enumerate() {
        let (Party::One(client), Party::One(server)) = (pair.client, pair.server) else { continue };
        let mut tallies = pair.places().flat_map(|place| seen.exercised.at(place)).peekable();
        if tallies.peek().is_none() && !is_asked {
            continue;
        }
        if is_asked {
            met.insert((client, server));
        }
        if tallies.any(is_need) {
            sheets.add_pair(order, pair, client, server);
        } else {
            others.push(order);
        }
    }
    for order in others {
        if let Some(pair) = seen.pairs.get(order)
            && let (Party::One(client), Party::One(server)) = (pair.client, pair.server)
        {
            sheets.add_pair(order, pair, client, server);
        }
    }
    if !seen.wanted.is_empty() {
        sheets.add_strangers(&met);
    }
    sheets.finish()
}

/// What the rows showed between the two hosts of a pair.
fn shows(seen: &Seen<'_, '_>, pair: Pair<'_>, client: Addr, server: Addr) -> BTreeMap<RowId, Shows> {
    let mut all: BTreeMap<RowId, Shows> = BTreeMap::new();
    for place in pair.places() {
        let Some(transport) = seen.pairs.transport(place) else { continue };
        for tally in seen.exercised.at(place) {
            let mut add = |row: RowId| all.entry(row).or_default().add(transport, tally);
            if tally.basis == Basis::NoAnswerDue {
                let [from, to] = [client, server].map(|host| seen.names.role_set(host));
                let Some(used) = tally.ports().next() else { continue };
                seen.names.catalogue().judge(from, to, transport, used.port).exact.into_iter().for_each(&mut add);
            } else {
                tally.rows.iter().copied().for_each(&mut add);
            }
        }
    }
    all
}

/// What is told of a row wherever it is listed.
struct RowWords {
    /// The place of its profile among those that judge.
    rank: Option<usize>,
    profile: Shown,
    service: Shown,
    purpose: Shown,
    named: Shown,
}

impl RowWords {
    fn of(row: &Row, catalogue: &Catalogue, profiles: &[(&str, bool)]) -> Self {
        let named: Vec<String> = row.ports.iter().map(ToString::to_string).collect();
        Self {
            rank: profiles.iter().position(|(profile, _)| *profile == row.profile),
            profile: Shown::name(&row.profile),
            service: Shown::name(row.service.map_or("any", |service| &catalogue.service(service).id)),
            purpose: Shown::text(&row.purpose),
            named: Shown::text(&named.join(" ")),
        }
    }
}

/// The rows of one profile between two hosts.
struct Sheet {
    /// The profile's place among those that judge.
    rank: usize,
    /// The pair's place among all.
    order: usize,
    sum: ReadinessPair,
    rows: Vec<ReadinessRow>,
}

struct Sheets<'s, 'b, 'a, 'f> {
    seen: &'s Seen<'b, 'a>,
    fits: &'s mut Fits<'f>,
    /// The profiles that judge, and whether each is a check list.
    profiles: Rc<[(&'a str, bool)]>,
    /// By the number of the row: there may be as many rows of readiness as pairs.
    words: Vec<RowWords>,
    /// The most rows that are listed.
    room: usize,
    listed: usize,
    all: Vec<Sheet>,
    cut: u64,
}

impl Sheets<'_, '_, '_, '_> {
    /// Adds a pair, if there is room.
    fn add_pair(&mut self, order: usize, pair: Pair<'_>, client: Addr, server: Addr) {
        if self.listed >= self.room {
            self.cut += 1;
        } else {
            self.add(order, (client, server), &shows(self.seen, pair, client, server));
        }
    }

    /// Adds what is to be said of two hosts, by every profile that was asked for or that they used.
    fn add(&mut self, order: usize, (client, server): (Addr, Addr), shows: &BTreeMap<RowId, Shows>) {
        let names = self.seen.names;
        let catalogue = names.catalogue();
        let fitting = self.fits.of(names.role_set(client), names.role_set(server));
        let rank = |id: &RowId| Some((self.words.get(id.0 as usize)?.rank?, *id));
        // Nearly all of them fit, and those are in order as a rule.
        let others = shows.keys().filter(|id| fitting.binary_search(id).is_err());
        let mut all: Vec<(usize, RowId)> = fitting.iter().chain(others).filter_map(rank).collect();
        all.sort_unstable();
        let profiles = Rc::clone(&self.profiles);
        for own in all.chunk_by(|(one, _), (next, _)| one == next) {
            let Some(&(rank, _)) = own.first() else { continue };
            let Some((profile, checklist)) = profiles.get(rank) else { continue };
            let wanted = self.seen.wanted.iter().any(|id| id == profile);
            let own: Vec<(RowId, &Row, Option<&Shows>)> =
                own.iter().map(|(_, id)| (*id, catalogue.row(*id), shows.get(id))).collect();
            let needs = own.iter().any(|(_, row, shows)| shows.is_some() && is_named(row));
            let used = own.iter().any(|(.., shows)| shows.is_some());
            let fits = || own.iter().any(|(_, row, _)| is_named(row));
            if !(used || (wanted && fits())) {
                continue;
            }
            let party = Party::One;
            let mut sum = ReadinessPair {
                profile: Shown::name(profile),
                client: party(client),
                server: party(server),
                ok: 0,
                blocked: 0,
                seen_failed: 0,
                not_exercised: 0,
                not_judgeable: 0,
                complete: wanted,
                checklist: *checklist,
            };
            let mut rows = Vec::new();
            for (id, row, shows) in own {
                let state = self.state(row, client, server, shows);
                sum.add(state);
                if wanted || state != State::NotExercised || (needs && is_named(row)) {
                    rows.push(self.tell(id, state, client, server, shows));
                }
            }
            self.listed += rows.len();
            self.all.push(Sheet { rank, order, sum, rows });
        }
    }

    fn state(&self, row: &Row, client: Addr, server: Addr, shows: Option<&Shows>) -> State {
        let state = shows.map_or(State::NotExercised, |shows| State::of(shows.signs()));
        if state == State::NotExercised && self.seen.untold.may_hold(client, server, &row.ports) {
            return State::NotJudgeable;
        }
        state
    }

    fn tell(&self, id: RowId, state: State, client: Addr, server: Addr, shows: Option<&Shows>) -> ReadinessRow {
        let names = self.seen.names;
        let frames = shows.into_iter().flat_map(|shows| shows.witnesses(state));
        let frames = frames.filter_map(self.seen.frames);
        let mut shown: Vec<_> = frames.flat_map(|frames| frames.iter().collect::<Vec<_>>()).collect();
        shown.sort_unstable();
        shown.dedup();
        shown.truncate(FRAMES_MAX);
        let parts = shows.into_iter().flat_map(|shows| &shows.parts);
        let word = |of: fn(&RowWords) -> &Shown| self.words.get(id.0 as usize).map(of).cloned().unwrap_or_default();
        ReadinessRow {
            profile: word(|words| &words.profile),
            row: names.row(id),
            client: Party::One(client),
            server: Party::One(server),
            state,
            frames: shown.into_iter().map(|frame| names.frame(frame)).collect(),
            service: word(|words| &words.service),
            transports: parts
                .map(|(transport, (signs, ports, cut))| TransportRow {
                    transport,
                    ports: ports.iter().copied().collect(),
                    state: State::of(*signs),
                    worked: signs.worked.into(),
                    failed: (signs.failed + signs.cut).into(),
                    ports_cut: *cut,
                })
                .collect(),
            purpose: word(|words| &words.purpose),
            named: word(|words| &words.named),
        }
    }

    /// Hosts that hold the roles of a profile that was asked for, and never spoke to each other.
    fn add_strangers(&mut self, met: &BTreeSet<(Addr, Addr)>) {
        let names = self.seen.names;
        let mut kinds: BTreeMap<(bool, u128), Vec<Addr>> = BTreeMap::new();
        for host in names.hosts() {
            kinds.entry((host.is_v4(), names.role_set(host).0)).or_default().push(host);
        }
        let none = BTreeMap::new();
        for ((from_v4, from), clients) in &kinds {
            for ((to_v4, to), servers) in &kinds {
                if from_v4 != to_v4 || !self.is_wanted(RoleSet(*from), RoleSet(*to)) {
                    continue;
                }
                for client in clients {
                    for (at, server) in servers.iter().enumerate() {
                        if self.listed >= self.room {
                            self.cut += (servers.len() - at) as u64;
                            break;
                        }
                        if client != server && !met.contains(&(*client, *server)) {
                            self.add(usize::MAX, (*client, *server), &none);
                        }
                    }
                }
            }
        }
    }

    /// Whether a row of a profile that was asked for names both roles.
    fn is_wanted(&mut self, from: RoleSet, to: RoleSet) -> bool {
        let catalogue = self.seen.names.catalogue();
        let fitting = self.fits.of(from, to);
        let mut rows = fitting.iter().map(|id| catalogue.row(*id));
        rows.any(|row| is_named(row) && self.seen.wanted.contains(&row.profile))
    }

    fn finish(mut self) -> Readiness {
        // Strangers were added by address, and come last.
        self.all.sort_by_key(|sheet| (sheet.rank, sheet.order));
        let mut readiness = Readiness { cut: self.cut, ..Readiness::default() };
        for sheet in self.all {
            readiness.pairs.push(sheet.sum);
            readiness.rows.extend(sheet.rows);
        }
        readiness
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::verdict::By;
    use crate::classify::verdict::FindingKind;
    use crate::classify::verdict::Outcome;
    use crate::classify::verdict::Reason;
    use crate::classify::verdict::Standing;
    use crate::model::transport::Transport;
    use crate::report::Report;
    use crate::report::facts::RunFacts;
    use crate::report::sample;
    use crate::report::sample::Made;

    fn report(made: &[Made], folds: &Folds, wanted: bool) -> Report<'static> {
        let readiness = if wanted { vec!["site".to_owned()] } else { Vec::new() };
        let run = RunFacts { readiness, ..sample::run() };
        sample::report_with(sample::catalogue(), run, sample::health(), made, &[], folds)
    }

    fn states<'a>(report: &'a Report<'_>) -> Vec<(&'a str, State)> {
        report.readiness.iter().map(|row| (row.row.as_str(), row.state)).collect()
    }

    #[test]
    fn a_state_is_the_sum_of_its_signs() {
        let signs = |worked, failed, cut, unclear| State::of(Signs { worked, failed, cut, unclear });
        assert_eq!(signs(0, 0, 0, 0), State::NotExercised);
        assert_eq!(signs(3, 0, 0, 1), State::Ok);
        assert_eq!(signs(0, 2, 0, 1), State::Blocked);
        assert_eq!(signs(1, 2, 0, 0), State::SeenFailed);
        assert_eq!(signs(0, 0, 1, 0), State::SeenFailed);
        assert_eq!(signs(0, 1, 1, 0), State::SeenFailed);
        assert_eq!(signs(0, 0, 0, 1), State::NotJudgeable);
    }

    #[test]
    fn rows_are_listed_in_the_order_of_the_document() {
        let made = sample::flows(sample::catalogue());
        let report = report(&made, &Folds::default(), false);
        let told = states(&report);
        assert_eq!(
            told[..3],
            [("site/kerberos", State::Blocked), ("site/ldap", State::SeenFailed), ("site/wide", State::Ok)]
        );
        let kerberos = &report.readiness[0];
        let frames: Vec<String> = kerberos.frames.iter().map(ToString::to_string).collect();
        assert_eq!(frames, ["12"]);
        assert_eq!((kerberos.transports[0].transport, kerberos.transports[0].ports.as_slice()), ("tcp", &[88][..]));
        let ldap: Vec<String> = report.readiness[1].frames.iter().map(ToString::to_string).collect();
        assert_eq!(ldap, ["30", "40"]);
        let sum = &report.readiness_pairs[0];
        assert_eq!((sum.blocked, sum.seen_failed, sum.ok, sum.not_exercised), (1, 1, 1, 0));
        assert!(sum.checklist && !sum.complete);
    }

    #[test]
    fn what_nobody_tried_is_listed_where_the_roles_are_named() {
        let made = sample::flows(sample::catalogue());
        let report = report(&made[2..4], &Folds::default(), false);
        assert_eq!(
            states(&report),
            [("site/kerberos", State::NotExercised), ("site/ldap", State::Ok), ("site/wide", State::NotExercised)]
        );
    }

    #[test]
    fn hosts_that_never_met_are_listed_when_the_profile_is_asked_for() {
        // The client spoke with somebody else, so that both hosts are known.
        let made = [
            sample::open("10.0.1.20", "10.0.9.9", Transport::Tcp, 8080, 1),
            sample::open("10.0.9.9", "10.0.0.10", Transport::Tcp, 8080, 2),
        ];
        assert!(report(&made, &Folds::default(), false).readiness.is_empty());
        let asked = report(&made, &Folds::default(), true);
        assert!(asked.readiness.iter().all(|row| row.state == State::NotExercised));
        assert_eq!(asked.readiness.len(), 3);
    }

    #[test]
    fn what_was_given_up_is_not_called_untried() {
        let made = sample::flows(sample::catalogue());
        let mut folds = Folds::default();
        folds.take(&sample::open("10.0.1.20", "10.0.0.10", Transport::Udp, 88, 5).flow, 100);
        let report = report(&made[2..4], &folds, false);
        assert_eq!(states(&report)[0], ("site/kerberos", State::NotJudgeable));
        assert_eq!(states(&report)[2], ("site/wide", State::NotExercised));
    }

    #[test]
    fn a_refused_port_of_a_range_says_nothing_of_the_others() {
        let catalogue = sample::catalogue();
        let wide = sample::flows(catalogue).swap_remove(7);
        let Standing::ExpectedRange(rows) = wide.standing.clone() else { return };
        let refused = sample::open("10.0.1.20", "10.0.0.10", Transport::Tcp, 50_000, 90)
            .failed(Outcome::Refused, Reason::RstHost, By::Host, 1)
            .told(Some("rpc-dynamic"), Standing::ExpectedRange(rows), Some(FindingKind::Blocked));
        let only = report(std::slice::from_ref(&refused), &Folds::default(), false);
        assert_eq!(states(&only)[2], ("site/wide", State::NotJudgeable));
        let both = report(&[wide, refused], &Folds::default(), false);
        assert_eq!(states(&both)[2], ("site/wide", State::Ok));
    }
}
