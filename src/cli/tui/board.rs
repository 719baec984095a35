//! What a screen may show of one moment: a copy of bounded size, so that another thread can draw it.
//!
//! A [`Snapshot`] borrows the whole judgement; it cannot leave its thread, and there may be a million pairs in it. The
//! gravest lines that the person's filter takes are copied, with how many there are in all. This page must never know
//! how a line is drawn.

use std::collections::BTreeMap;

use crate::classify::verdict::Outcome;
use crate::report::counts::Counts;
use crate::report::findings::KINDS;
use crate::report::format::text::ports;
use crate::report::handshakes::HandshakeUs;
use crate::report::hosts::HostRow;
use crate::report::ledger::Item;
use crate::report::ledger::State;
use crate::report::moment::Moment;
use crate::report::names::Party;
use crate::report::pairs::Pair;
use crate::report::pairs::PairService;
use crate::report::pairs::Worst;
use crate::report::sanitise::Shown;
use crate::report::status::Snapshot;
use crate::report::status::Status;

/// Lines of one list that are copied; the filter finds the others.
pub(super) const LINES_MAX: usize = 2_000;

/// Services copied of a pair whose page is not open.
const BRIEF_MAX: usize = 12;

/// Services copied of the pair whose page is open.
const SERVICES_MAX: usize = 1_000;

/// What the person wants to see.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Wanted {
    /// Which lines.
    pub(super) filter: Filter,
    /// The pair whose page is open.
    pub(super) pair: Option<(Party, Party)>,
}

/// Words that must all be in a line, in any case and order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Filter(Vec<String>);

impl Filter {
    /// The words of a text.
    pub(super) fn of(text: &str) -> Self {
        Self(text.to_lowercase().split_whitespace().map(str::to_owned).collect())
    }

    /// Whether it takes a line with these words, which are in lower case.
    pub(super) fn takes(&self, words: &str) -> bool {
        self.0.iter().all(|word| words.contains(word))
    }

    /// Whether it takes everything.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Lines, and how many there are in all.
#[derive(Debug)]
pub(super) struct List<T> {
    pub(super) lines: Vec<T>,
    pub(super) total: usize,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self { lines: Vec::new(), total: 0 }
    }
}

/// A finding with its life.
#[derive(Debug)]
pub(super) struct FindingLine {
    pub(super) item: Item,
    /// What the filter looks through, in lower case.
    pub(super) words: String,
}

/// Flows of one service, between two hosts or between all.
#[derive(Clone, Debug)]
pub(super) struct ServiceLine {
    pub(super) service: Shown,
    pub(super) title: Shown,
    pub(super) transport: &'static str,
    pub(super) ports: String,
    pub(super) pairs: u64,
    pub(super) flows: u64,
    pub(super) outcomes: Counts,
    pub(super) standings: Counts,
    pub(super) bytes: u64,
    pub(super) last: Option<Moment>,
    pub(super) handshake: Option<HandshakeUs>,
    pub(super) worst: Worst,
    /// What the filter looks through, in lower case; empty for a service of one pair.
    pub(super) words: String,
}

impl ServiceLine {
    fn of(service: &PairService<'_>) -> Self {
        Self {
            service: service.service.clone(),
            title: service.title.clone(),
            transport: service.transport,
            ports: ports(service),
            pairs: 1,
            flows: service.flows,
            outcomes: service.outcomes,
            standings: service.standings,
            bytes: service.bytes_to_server.saturating_add(service.bytes_to_client),
            last: service.last,
            handshake: service.handshake_us,
            worst: service.worst,
            words: String::new(),
        }
    }

    fn join(&mut self, service: &PairService<'_>) {
        let other = ports(service);
        if self.ports != other && !self.ports.ends_with('…') {
            self.ports.push_str(", …");
        }
        self.pairs += 1;
        self.flows += service.flows;
        self.outcomes.join(&service.outcomes);
        self.standings.join(&service.standings);
        self.bytes = self.bytes.saturating_add(service.bytes_to_server).saturating_add(service.bytes_to_client);
        self.last = self.last.max(service.last);
        self.handshake = None;
        self.worst = self.worst.min(service.worst);
    }

    /// Flows that worked.
    pub(super) fn worked(&self) -> u64 {
        self.outcomes.get(Outcome::Open.name()) + self.outcomes.get(Outcome::OneWay.name())
    }

    /// Flows that failed.
    pub(super) fn failed(&self) -> u64 {
        let failures = self.outcomes.iter().filter(|(outcome, _)| Outcome::is_failure_name(outcome));
        failures.map(|(_, count)| count).sum()
    }
}

/// Two hosts.
#[derive(Debug)]
pub(super) struct PairLine {
    pub(super) client: Party,
    pub(super) server: Party,
    pub(super) client_is: String,
    pub(super) server_is: String,
    pub(super) worst: Worst,
    pub(super) flows: u64,
    pub(super) failed: u64,
    pub(super) bytes: u64,
    pub(super) last: Option<Moment>,
    /// The first services; of the open page's pair all that are copied.
    pub(super) services: Vec<ServiceLine>,
    pub(super) services_total: usize,
    /// What the filter looks through, in lower case.
    pub(super) words: String,
}

/// Everything that is shown of one moment.
#[derive(Debug)]
pub(super) struct Board {
    pub(super) status: Status,
    /// What weakens the judgement.
    pub(super) notes: Vec<Shown>,
    pub(super) findings: List<FindingLine>,
    pub(super) pairs: List<PairLine>,
    pub(super) services: List<ServiceLine>,
}

impl Board {
    /// Copies what is wanted.
    pub(super) fn of(snapshot: &Snapshot<'_>, wanted: &Wanted) -> Self {
        let Snapshot { report, status, ledger } = *snapshot;
        let hosts = Hosts(&report.hosts);
        let mut all: Vec<(&Item, String)> = ledger
            .items()
            .map(|item| (item, words_of(item, &hosts)))
            .filter(|(_, words)| wanted.filter.takes(words))
            .collect();
        all.sort_by_key(|(item, _)| gravity(item));
        let total = all.len();
        let shown = all.into_iter().take(LINES_MAX);
        let findings = shown.map(|(item, words)| FindingLine { item: item.clone(), words }).collect();
        let (pairs, services) = pairs(snapshot, wanted, &hosts);
        Self {
            status: status.clone(),
            notes: report.health.notes.clone(),
            findings: List { lines: findings, total },
            pairs,
            services,
        }
    }
}

/// What is open comes first, then the gravest, then the newest.
pub(super) fn gravity(item: &Item) -> (bool, usize, std::cmp::Reverse<Moment>, u64) {
    let rank = KINDS.iter().position(|kind| *kind == item.finding.kind).unwrap_or(KINDS.len());
    (item.state != State::Open, rank, std::cmp::Reverse(item.finding.last), item.id)
}

/// What a finding can be found by.
fn words_of(item: &Item, hosts: &Hosts<'_>) -> String {
    let finding = &item.finding;
    let port = finding.port.map(|port| format!("{}/{port}", finding.transport)).unwrap_or_default();
    let (client, server) = (hosts.is(finding.client), hosts.is(finding.server));
    let interface = finding.interface.as_ref().and_then(|interface| interface.name.as_ref());
    let interface = interface.map(Shown::as_str).unwrap_or_default();
    format!(
        "#{} {} {} {client} {} {server} {} {} {port} {} {interface} {} {} {} {}",
        item.id,
        item.state.name(),
        finding.client,
        finding.server,
        finding.kind.name().replace('_', " "),
        finding.service,
        finding.title,
        finding.outcome,
        finding.standing,
        finding.confidence,
        finding.reason,
    )
    .to_lowercase()
}

/// The hosts of which something is known, by address.
struct Hosts<'a>(&'a [HostRow]);

impl Hosts<'_> {
    /// `dc1.corp.example; domain-controller`, or nothing.
    fn is(&self, party: Party) -> String {
        let Some(row) = self.0.binary_search_by_key(&party, |row| row.address).ok().and_then(|at| self.0.get(at))
        else {
            return String::new();
        };
        let roles: Vec<&str> = row.roles.iter().map(|role| role.role.as_str()).collect();
        let parts = [row.names.first().map(Shown::as_str).unwrap_or_default(), &roles.join(", ")];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
    }
}

/// Goes once over all pairs.
fn pairs(snapshot: &Snapshot<'_>, wanted: &Wanted, hosts: &Hosts<'_>) -> (List<PairLine>, List<ServiceLine>) {
    let mut pairs: List<PairLine> = List::default();
    let mut services: BTreeMap<(&str, &'static str), ServiceLine> = BTreeMap::new();
    for pair in snapshot.report.pairs.iter() {
        for service in pair.services() {
            services
                .entry((service.service.as_str(), service.transport))
                .and_modify(|known| known.join(&service))
                .or_insert_with(|| ServiceLine::of(&service));
        }
        let open = wanted.pair == Some((pair.client, pair.server));
        if wanted.filter.is_empty() && pairs.lines.len() >= LINES_MAX && !open {
            pairs.total += 1;
            continue;
        }
        let line = pair_line(&pair, open, hosts);
        let taken = wanted.filter.takes(&line.words);
        pairs.total += usize::from(taken);
        if open || (taken && pairs.lines.len() < LINES_MAX) {
            pairs.lines.push(line);
        }
    }
    let mut lines: Vec<ServiceLine> = services.into_values().collect();
    for line in &mut lines {
        line.words = format!("{} {} {} {}", line.service, line.title, line.ports, line.worst.name()).to_lowercase();
    }
    lines.retain(|line| wanted.filter.takes(&line.words));
    lines.sort_by(|a, b| (a.worst, &a.service, a.transport).cmp(&(b.worst, &b.service, b.transport)));
    let total = lines.len();
    lines.truncate(LINES_MAX);
    (pairs, List { lines, total })
}

fn pair_line(pair: &Pair<'_>, open: bool, hosts: &Hosts<'_>) -> PairLine {
    let services_max = if open { SERVICES_MAX } else { BRIEF_MAX };
    let mut line = PairLine {
        client: pair.client,
        server: pair.server,
        client_is: hosts.is(pair.client),
        server_is: hosts.is(pair.server),
        worst: pair.worst,
        flows: 0,
        failed: 0,
        bytes: 0,
        last: None,
        services: Vec::new(),
        services_total: 0,
        words: String::new(),
    };
    let worst = pair.worst.name().replace('_', " ");
    let mut words = format!("{worst} {} {} {} {}", line.client, line.client_is, line.server, line.server_is);
    for service in pair.services() {
        let told = ServiceLine::of(&service);
        line.flows += told.flows;
        line.failed += told.failed();
        line.bytes = line.bytes.saturating_add(told.bytes);
        line.last = line.last.max(told.last);
        line.services_total += 1;
        words.extend([" ", told.service.as_str(), " ", told.title.as_str(), " ", &told.ports]);
        if line.services.len() < services_max {
            line.services.push(told);
        }
    }
    line.words = words.to_lowercase();
    line
}
