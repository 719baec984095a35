//! What a screen may show of one moment: a copy of bounded size, so that another thread can draw it.
//!
//! A [`Snapshot`] borrows the whole judgement; it cannot leave its thread, and there may be a million pairs in it. The
//! first lines that the person's filter takes are copied, in the person's order, with how many there are in all. This
//! page must never know how a line is drawn.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::classify::verdict::Outcome;
use crate::cli::tui::order::Order;
use crate::cli::tui::order::View;
use crate::report::Report;
use crate::report::counts::Counts;
use crate::report::format::text::ports;
use crate::report::handshakes::HandshakeUs;
use crate::report::hosts::HostRow;
use crate::report::ledger::Item;
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
    /// Which of them come first, by [`View::place`].
    pub(super) orders: [Order; View::ALL.len()],
    /// The pair whose page is open.
    pub(super) pair: Option<(Party, Party)>,
}

impl Wanted {
    /// The order of a list.
    fn order(&self, view: View) -> Order {
        self.orders.get(view.place()).copied().unwrap_or_default()
    }
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

impl<T> List<T> {
    /// Takes a line whose place in the order is known, which no line needs to be made for if it is not one of the first.
    /// Up to twice as many lines as are wanted lie here until [`List::end`].
    fn take(&mut self, is_before: impl Fn(&T) -> bool, line: impl FnOnce() -> T, order: impl Fn(&T, &T) -> Ordering) {
        self.total += 1;
        let cut = self.total > 2 * LINES_MAX;
        if cut && self.lines.get(LINES_MAX - 1).is_some_and(|last| !is_before(last)) {
            return;
        }
        self.lines.push(line());
        if self.lines.len() == 2 * LINES_MAX {
            self.end(order);
        }
    }

    /// Leaves the first lines.
    fn end(&mut self, order: impl Fn(&T, &T) -> Ordering) {
        self.lines.sort_by(order);
        self.lines.truncate(LINES_MAX);
    }
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

/// Two hosts, by what pairs are ordered by.
#[derive(Clone, Copy, Debug)]
pub(super) struct PairSums {
    pub(super) client: Party,
    pub(super) server: Party,
    pub(super) worst: Worst,
    pub(super) flows: u64,
    pub(super) bytes: u64,
    pub(super) last: Option<Moment>,
}

/// Two hosts.
#[derive(Debug)]
pub(super) struct PairLine {
    pub(super) sums: PairSums,
    pub(super) client_is: String,
    pub(super) server_is: String,
    pub(super) failed: u64,
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
    /// The pair whose page is open, with more of its services.
    pub(super) open: Option<PairLine>,
}

impl Board {
    /// Copies what is wanted.
    pub(super) fn of(snapshot: &Snapshot<'_>, wanted: &Wanted) -> Self {
        let Snapshot { report, status, ledger } = *snapshot;
        let hosts = Hosts(&report.hosts);
        let mut board = Self {
            status: status.clone(),
            notes: report.health.notes.clone(),
            findings: List::default(),
            pairs: List::default(),
            services: List::default(),
            open: None,
        };
        let order = wanted.order(View::Findings);
        let mut findings: Vec<(&Item, String)> = ledger
            .items()
            .map(|item| (item, words_of(item, &hosts)))
            .filter(|(_, words)| wanted.filter.takes(words))
            .collect();
        findings.sort_by(|(a, _), (b, _)| order.of_findings(a, b));
        board.findings.total = findings.len();
        let first = findings.into_iter().take(LINES_MAX);
        board.findings.lines = first.map(|(item, words)| FindingLine { item: item.clone(), words }).collect();
        board.take_pairs(report, wanted, &hosts);
        board
    }

    /// Goes once over all pairs and what they talk by.
    fn take_pairs(&mut self, report: &Report<'_>, wanted: &Wanted, hosts: &Hosts<'_>) {
        let mut services: BTreeMap<(&str, &'static str), ServiceLine> = BTreeMap::new();
        let order = wanted.order(View::Pairs);
        let by_sums = |a: &PairLine, b: &PairLine| order.of_pairs(&a.sums, &b.sums);
        for pair in report.pairs.iter() {
            for service in pair.services() {
                services
                    .entry((service.service.as_str(), service.transport))
                    .and_modify(|known| known.join(&service))
                    .or_insert_with(|| ServiceLine::of(&service));
            }
            let sums = PairSums::of(&pair);
            let is_before = |last: &PairLine| order.of_pairs(&sums, &last.sums).is_lt();
            let line = || pair_line(&pair, sums, BRIEF_MAX, hosts);
            if wanted.filter.is_empty() {
                self.pairs.take(is_before, line, by_sums);
            } else {
                let line = line();
                if wanted.filter.takes(&line.words) {
                    self.pairs.take(is_before, || line, by_sums);
                }
            }
            if wanted.pair == Some((pair.client, pair.server)) {
                self.open = Some(pair_line(&pair, sums, SERVICES_MAX, hosts));
            }
        }
        self.pairs.end(by_sums);
        let order = wanted.order(View::Services);
        let mut lines: Vec<ServiceLine> = services.into_values().collect();
        for line in &mut lines {
            line.words = format!("{} {} {} {}", line.service, line.title, line.ports, line.worst.name()).to_lowercase();
        }
        lines.retain(|line| wanted.filter.takes(&line.words));
        self.services = List { total: lines.len(), lines };
        self.services.end(|a, b| order.of_services(a, b));
    }
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

impl PairSums {
    fn of(pair: &Pair<'_>) -> Self {
        let (client, server, worst) = (pair.client, pair.server, pair.worst);
        let mut sums = Self { client, server, worst, flows: 0, bytes: 0, last: None };
        for service in pair.services() {
            sums.flows += service.flows;
            sums.bytes = sums.bytes.saturating_add(service.bytes_to_server).saturating_add(service.bytes_to_client);
            sums.last = sums.last.max(service.last);
        }
        sums
    }
}

/// A pair with so many services.
fn pair_line(pair: &Pair<'_>, sums: PairSums, services_max: usize, hosts: &Hosts<'_>) -> PairLine {
    let mut line = PairLine {
        sums,
        client_is: hosts.is(pair.client),
        server_is: hosts.is(pair.server),
        failed: 0,
        services: Vec::new(),
        services_total: 0,
        words: String::new(),
    };
    let worst = pair.worst.name().replace('_', " ");
    let mut words = format!("{worst} {} {} {} {}", pair.client, line.client_is, pair.server, line.server_is);
    for service in pair.services() {
        let told = ServiceLine::of(&service);
        line.failed += told.failed();
        line.services_total += 1;
        words.extend([" ", told.service.as_str(), " ", told.title.as_str(), " ", &told.ports]);
        if line.services.len() < services_max {
            line.services.push(told);
        }
    }
    line.words = words.to_lowercase();
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_lines_of_the_order_are_listed_wherever_they_come() {
        for many in [0, 1, LINES_MAX, LINES_MAX + 1, 2 * LINES_MAX, 7 * LINES_MAX + 3] {
            let mut list = List::default();
            let numbers: Vec<u64> = (0..many as u64).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
            for &number in &numbers {
                list.take(|last| number < *last, || number, Ord::cmp);
                assert!(list.lines.len() < 2 * LINES_MAX);
            }
            list.end(Ord::cmp);
            let mut expected = numbers;
            expected.sort_unstable();
            expected.truncate(LINES_MAX);
            assert_eq!((list.total, list.lines), (many, expected));
        }
    }
}
