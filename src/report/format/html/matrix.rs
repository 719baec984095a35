//! Who used which service of whom, at a glance: a row for each host pair, a column for each service.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::HashMap;

use crate::report::Report;
use crate::report::format::html::brief;
use crate::report::format::html::mark::Mark;
use crate::report::format::html::who::Who;
use crate::report::format::text::ports;
use crate::report::moment::span;
use crate::report::names::Party;
use crate::report::pairs::PairService;
use crate::report::sanitise::Shown;
use crate::report::words::shares;
use crate::report::words::thousands;

/// Pairs shown; the others are counted.
pub(super) const PAIRS_MAX: usize = 400;

/// Services with a column of their own; the others share one.
const COLUMNS_MAX: usize = 28;

/// Services told of one pair in the list of pairs; the others are counted.
const SERVICES_MAX: usize = 64;

/// Rows of the list of pairs; the others are counted.
const ROWS_MAX: usize = 3000;

/// Characters of a column's head.
const HEAD_CHARS: usize = 26;

/// Services told in one cell.
const TOLD_MAX: usize = 3;

pub(super) struct Matrix {
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Row>,
    /// Pairs that are not shown.
    pub(super) cut: usize,
    /// Services without a column of their own.
    pub(super) joined: usize,
}

pub(super) struct Column {
    pub(super) head: String,
    pub(super) title: String,
}

/// A pair, in the matrix and in the list of pairs.
pub(super) struct Row {
    pub(super) number: usize,
    pub(super) client: Who,
    pub(super) server: Who,
    pub(super) mark: Mark,
    pub(super) cells: Vec<Option<Cell>>,
    pub(super) services: Vec<Service>,
    pub(super) services_cut: usize,
}

pub(super) struct Cell {
    pub(super) mark: Mark,
    /// The place of the finding to open.
    pub(super) finding: Option<usize>,
    pub(super) told: String,
    services: usize,
}

/// One service of a pair in the list of pairs.
pub(super) struct Service {
    pub(super) mark: Mark,
    pub(super) title: String,
    pub(super) port: String,
    pub(super) flows: String,
    pub(super) outcomes: String,
    pub(super) standings: String,
    pub(super) packets: [String; 2],
    pub(super) bytes: [String; 2],
    pub(super) handshake: String,
}

/// What one service id counts over the pairs shown.
struct Count {
    worst: Mark,
    pairs: usize,
    title: Shown,
}

/// Where the gravest finding of a pair and service stands in the page.
pub(super) type Places = HashMap<(Party, Party, Shown), usize>;

pub(super) fn matrix(report: &Report<'_>, places: &Places) -> Matrix {
    let mut counts: BTreeMap<&str, Count> = BTreeMap::new();
    for service in report.pairs.iter().take(PAIRS_MAX).flat_map(|pair| pair.services()) {
        let mark = Mark::of_service(&service);
        let count = counts.entry(service.service.as_str()).or_insert_with(|| Count {
            worst: mark,
            pairs: 0,
            title: service.title.clone(),
        });
        count.worst = count.worst.min(mark);
        count.pairs += 1;
    }
    let mut order: Vec<(&str, &Count)> = counts.iter().map(|(id, count)| (*id, count)).collect();
    order.sort_by_key(|(id, count)| (count.worst, Reverse(count.pairs), *id));
    // The last column is shared only where that saves one.
    let own = if order.len() > COLUMNS_MAX { COLUMNS_MAX - 1 } else { order.len() };
    let columns_of: HashMap<&str, usize> = order.iter().enumerate().map(|(at, (id, _))| (*id, at.min(own))).collect();
    let mut columns: Vec<Column> = order.iter().take(own).map(|(id, count)| Column::of(id, count)).collect();
    let joined = order.len() - own;
    if joined > 0 {
        columns.push(Column {
            head: format!("{} others", thousands(joined as u64)),
            title: "services without a column of their own".to_owned(),
        });
    }
    let mut listed = 0;
    let rows = report.pairs.iter().take(PAIRS_MAX).enumerate().map(|(place, pair)| {
        let mut row = Row {
            number: place + 1,
            client: Who::of(pair.client, report),
            server: Who::of(pair.server, report),
            mark: Mark::Unclear,
            cells: columns.iter().map(|_| None).collect(),
            services: Vec::new(),
            services_cut: 0,
        };
        for service in pair.services() {
            let mark = Mark::of_service(&service);
            row.mark = row.mark.min(mark);
            let finding = places.get(&(pair.client, pair.server, service.service.clone())).copied();
            let at = columns_of.get(service.service.as_str()).copied().unwrap_or_default();
            if let Some(cell) = row.cells.get_mut(at) {
                let alone = at < own;
                cell.get_or_insert_with(|| Cell::empty(mark)).add(mark, finding, &service, alone);
            }
            if row.services.len() < SERVICES_MAX && listed < ROWS_MAX {
                listed += 1;
                row.services.push(Service::of(mark, &service));
            } else {
                row.services_cut += 1;
            }
        }
        row.services.sort_by_key(|service| service.mark);
        row
    });
    let rows: Vec<Row> = rows.collect();
    Matrix { cut: report.pairs.len() - rows.len(), columns, rows, joined }
}

impl Column {
    fn of(id: &str, count: &Count) -> Self {
        let title = count.title.as_str();
        let named = if title == id { title.to_owned() } else { format!("{title} ({id})") };
        Self { head: brief(title, HEAD_CHARS), title: named }
    }
}

impl Cell {
    fn empty(mark: Mark) -> Self {
        Self { mark, finding: None, told: String::new(), services: 0 }
    }

    fn add(&mut self, mark: Mark, finding: Option<usize>, service: &PairService<'_>, alone: bool) {
        if mark <= self.mark {
            self.mark = mark;
            self.finding = finding.or(self.finding);
        }
        self.services += 1;
        if self.services > TOLD_MAX {
            if self.services == TOLD_MAX + 1 {
                self.told.push_str("; …");
            }
            return;
        }
        if self.services > 1 {
            self.told.push_str("; ");
        }
        if !alone && !service.title.as_str().contains('/') {
            self.told.push_str(&brief(service.title.as_str(), HEAD_CHARS));
            self.told.push(' ');
        }
        self.told.push_str(&ports(service));
        self.told.push_str(": ");
        self.told.push_str(&shares(service.outcomes.iter()));
    }
}

impl Service {
    fn of(mark: Mark, service: &PairService<'_>) -> Self {
        let handshake = service.handshake_us.map(|us| span(std::time::Duration::from_micros(us.p50)));
        Self {
            mark,
            title: service.title.to_string(),
            port: ports(service),
            flows: thousands(service.flows),
            outcomes: shares(service.outcomes.iter()),
            standings: shares(service.standings.iter()),
            packets: [service.packets_to_server, service.packets_to_client].map(thousands),
            bytes: [service.bytes_to_server, service.bytes_to_client].map(thousands),
            handshake: handshake.unwrap_or_default(),
        }
    }
}
