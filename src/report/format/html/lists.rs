//! The lists beside the findings: what to open, what to close, what documents ask for, what is at which port.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::classify::verdict::By;
use crate::classify::verdict::FindingKind;
use crate::report::Report;
use crate::report::findings::Finding;
use crate::report::format::html::evidence::Kind;
use crate::report::format::html::mark::Mark;
use crate::report::format::html::who::Who;
use crate::report::names::Party;
use crate::report::ranges::ServerRange;
use crate::report::ranges::dashed;
use crate::report::readiness::ReadinessPair;
use crate::report::readiness::State;
use crate::report::rpc::EndpointRow;
use crate::report::sanitise::Shown;
use crate::report::words::some;
use crate::report::words::thousands;

/// Findings that the lists of what to do are made of.
const LOOKED_MAX: usize = 10_000;

/// Lines of one list; the others are counted.
const LINES_MAX: usize = 200;

/// Hosts, ports or rows named in one line.
const NAMED_MAX: usize = 8;

/// Rows of documents named for one task; its finding lists them.
const ROWS_NAMED_MAX: usize = 3;

/// Rows of documents between hosts that are listed; the others are counted.
const CHECKED_MAX: usize = 1500;

/// Ports of one server and interfaces of one port that are listed.
const PORTS_MAX: usize = 100;

/// Hosts listed.
const HOSTS_MAX: usize = 1000;

/// A list, and how many lines it leaves out.
pub(super) struct Listed<T> {
    pub(super) lines: Vec<T>,
    pub(super) cut: usize,
}

impl<T> Listed<T> {
    fn of(all: impl ExactSizeIterator<Item = T>, lines_max: usize) -> Self {
        let cut = all.len().saturating_sub(lines_max);
        Self { lines: all.take(lines_max).collect(), cut }
    }
}

/// Something to open, to mend or to close.
pub(super) struct Task {
    pub(super) clients: String,
    pub(super) server: Who,
    pub(super) ports: String,
    pub(super) service: String,
    pub(super) seen: String,
    pub(super) why: String,
    pub(super) hint: &'static str,
    /// The first of its findings that the page shows.
    pub(super) finding: Option<usize>,
}

/// What is to be done, by who can do it.
pub(super) struct Tasks {
    pub(super) open: Listed<Task>,
    pub(super) mend: Listed<Task>,
    pub(super) close: Listed<Task>,
    /// Findings that were not looked at.
    pub(super) unread: usize,
}

/// To which list a finding belongs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Open,
    Mend,
    Close,
}

#[derive(Default)]
struct Sum {
    clients: BTreeSet<Party>,
    ports: BTreeSet<u16>,
    title: Shown,
    seen: BTreeSet<String>,
    rows: BTreeSet<Shown>,
    why: BTreeSet<&'static str>,
    first: Option<usize>,
    asked: BTreeSet<Shown>,
}

fn place(finding: &Finding) -> Option<Place> {
    let by_host = finding.by.as_deref() == Some(By::Host.to_string().as_str());
    match finding.kind {
        FindingKind::Blocked | FindingKind::RpcBlocked | FindingKind::EpmBlocked if by_host => Some(Place::Mend),
        FindingKind::Blocked | FindingKind::RpcBlocked | FindingKind::EpmBlocked => Some(Place::Open),
        FindingKind::RpcNotRegistered => Some(Place::Mend),
        FindingKind::Unexpected => Some(Place::Close),
        FindingKind::Attempt | FindingKind::Scan | FindingKind::Flood | FindingKind::RangeOnly => None,
    }
}

pub(super) fn tasks(report: &Report<'_>, kinds: &[Kind]) -> Tasks {
    let shown: BTreeSet<usize> = kinds.iter().flat_map(|kind| &kind.findings).map(|finding| finding.number).collect();
    let mut sums: BTreeMap<(Place, Party, &'static str, Shown, bool), Sum> = BTreeMap::new();
    for (number, finding) in (1..).zip(report.findings.iter().take(LOOKED_MAX)) {
        let Some(place) = place(&finding) else { continue };
        let handed_out = finding.kind == FindingKind::RpcBlocked;
        let key = (place, finding.server, finding.transport, finding.service.clone(), handed_out);
        let sum = sums.entry(key).or_default();
        sum.clients.insert(finding.client);
        sum.ports.extend(finding.port);
        sum.title = finding.title;
        sum.seen.insert(format!("{}, {}", finding.outcome, finding.confidence));
        sum.rows.extend(finding.rows);
        sum.why.extend(finding.standing_why);
        sum.asked.extend(finding.interface.and_then(|interface| interface.name));
        sum.first = sum.first.or(Some(number).filter(|number| shown.contains(number)));
    }
    let mut lists: [Vec<Task>; 3] = Default::default();
    for ((place, server, transport, _, handed_out), sum) in sums {
        let task = sum.task(place, server, transport, handed_out, report);
        let [open, mend, close] = &mut lists;
        match place {
            Place::Open => open,
            Place::Mend => mend,
            Place::Close => close,
        }
        .push(task);
    }
    let [open, mend, close] = lists.map(|list| Listed::of(list.into_iter(), LINES_MAX));
    Tasks { open, mend, close, unread: report.findings.len().saturating_sub(LOOKED_MAX) }
}

impl Sum {
    fn task(self, place: Place, server: Party, transport: &str, handed_out: bool, report: &Report<'_>) -> Task {
        let clients: Vec<String> = self.clients.iter().map(|client| Who::of(*client, report).words()).collect();
        let ports: Vec<String> = self.ports.iter().map(ToString::to_string).collect();
        let ports =
            if ports.is_empty() { transport.to_owned() } else { format!("{transport}/{}", some(&ports, NAMED_MAX)) };
        let asked: Vec<Shown> = self.asked.into_iter().collect();
        let service = if asked.is_empty() {
            self.title.to_string()
        } else {
            format!("{}: {}", self.title, some(&asked, NAMED_MAX))
        };
        let rows: Vec<Shown> = self.rows.into_iter().collect();
        let why: Vec<&str> = self.why.into_iter().map(why_words).collect();
        Task {
            clients: some(&clients, NAMED_MAX),
            server: Who::of(server, report),
            ports,
            service,
            seen: self.seen.into_iter().collect::<Vec<_>>().join("; "),
            why: if rows.is_empty() { why.join("; ") } else { some(&rows, ROWS_NAMED_MAX) },
            hint: match (place, handed_out) {
                (Place::Open, true) => {
                    "The endpoint mapper hands out other ports after a restart: open the server's \
                                        dynamic range, or let the filter follow the mapper."
                }
                _ => "",
            },
            finding: self.first,
        }
    }
}

fn why_words(code: &str) -> &str {
    match code {
        "no_row" => "no row names the port",
        "role_pair" => "rows name it for other roles",
        "direction" => "rows allow it the other way only",
        "protocol_mismatch" => "the payload is not what the port is for",
        "rpc_interface" => "this RPC interface is for other roles",
        "non_rpc_in_range" => "no RPC, on a port for RPC alone",
        other => other,
    }
}

/// One profile between two hosts.
pub(super) struct Sheet {
    pub(super) profile: String,
    pub(super) client: Who,
    pub(super) server: Who,
    pub(super) mark: Mark,
    /// In the order of [`State::ALL`].
    pub(super) counts: [String; 5],
    pub(super) rows: Vec<Checked>,
}

/// A row of it.
pub(super) struct Checked {
    pub(super) mark: Mark,
    pub(super) state: String,
    pub(super) id: String,
    pub(super) named: String,
    pub(super) purpose: String,
    pub(super) frames: String,
}

/// Readiness, with the rows of profiles that were asked for and of those that are a list of what certain hosts need.
pub(super) struct Readiness {
    pub(super) sheets: Listed<Sheet>,
    pub(super) rows_cut: usize,
}

pub(super) fn readiness(report: &Report<'_>) -> Readiness {
    let mut rest = report.readiness.as_slice();
    let mut left = CHECKED_MAX;
    let mut rows_cut = 0;
    let mut sheets = Vec::new();
    for sum in &report.readiness_pairs {
        let own = |row: &crate::report::readiness::ReadinessRow| {
            (&row.profile, row.client, row.server) == (&sum.profile, sum.client, sum.server)
        };
        let (rows, others) = rest.split_at(rest.iter().take_while(|row| own(row)).count());
        rest = others;
        let mut sheet = Sheet {
            profile: sum.profile.to_string(),
            client: Who::of(sum.client, report),
            server: Who::of(sum.server, report),
            mark: mark_of(sum),
            counts: State::ALL.map(|state| thousands(sum.count(state))),
            rows: Vec::new(),
        };
        if sum.complete || sum.checklist {
            let taken = rows.len().min(left);
            left -= taken;
            rows_cut += rows.len() - taken;
            sheet.rows = rows.iter().take(taken).map(Checked::of).collect();
        }
        sheets.push(sheet);
    }
    let mut sheets = Listed::of(sheets.into_iter(), LINES_MAX);
    sheets.cut += usize::try_from(report.readiness_cut).unwrap_or(usize::MAX);
    Readiness { sheets, rows_cut }
}

fn mark_of(sum: &ReadinessPair) -> Mark {
    State::ALL.into_iter().find(|state| sum.count(*state) > 0).map_or(Mark::Unclear, Mark::of_state)
}

impl Checked {
    fn of(row: &crate::report::readiness::ReadinessRow) -> Self {
        let frames: Vec<String> = row.frames.iter().map(ToString::to_string).collect();
        Self {
            mark: Mark::of_state(row.state),
            state: row.state.name().replace('_', " "),
            id: row.row.to_string(),
            named: row.named.to_string(),
            purpose: row.purpose.to_string(),
            frames: frames.join(", "),
        }
    }
}

/// The RPC ports of one server.
pub(super) struct Map {
    pub(super) server: Who,
    pub(super) ports: Listed<MapPort>,
}

pub(super) struct MapPort {
    pub(super) port: String,
    pub(super) interfaces: Listed<MapInterface>,
}

pub(super) struct MapInterface {
    pub(super) name: String,
    pub(super) uuid: String,
    pub(super) source: &'static str,
    pub(super) frame: String,
    pub(super) clients: String,
    pub(super) remark: String,
}

pub(super) fn maps(report: &Report<'_>) -> Listed<Map> {
    let servers: Vec<&[EndpointRow]> = report.rpc_endpoints.chunk_by(|one, next| one.server == next.server).collect();
    let map = |rows: &[EndpointRow]| Map {
        server: Who::of(rows.first().map_or(Party::Many, |row| row.server), report),
        ports: Listed::of(rows.iter().map(|row| port_of(row, report)), PORTS_MAX),
    };
    Listed::of(servers.into_iter().map(map), LINES_MAX)
}

fn port_of(row: &EndpointRow, report: &Report<'_>) -> MapPort {
    let tell = |interface: &crate::report::rpc::InterfaceRow| {
        let version = interface.version.as_ref().map(|version| format!(" v{version}")).unwrap_or_default();
        let clients: Vec<String> = interface.clients.iter().map(|client| Who::of(*client, report).words()).collect();
        let mut remarks = Vec::new();
        if interface.foreign {
            remarks.push("names another address".to_owned());
        }
        if let Some(frame) = &interface.superseded {
            remarks.push(format!("elsewhere since frame {frame}"));
        }
        MapInterface {
            name: interface.name.as_ref().map(ToString::to_string).unwrap_or_default(),
            uuid: interface.uuid.as_ref().map_or_else(|| "a DCOM object".to_owned(), |uuid| format!("{uuid}{version}")),
            source: interface.source,
            frame: interface.frame.to_string(),
            clients: some(&clients, NAMED_MAX),
            remark: remarks.join("; "),
        }
    };
    MapPort {
        port: format!("{}/{}", row.transport, row.port),
        interfaces: Listed::of(row.interfaces.iter().map(tell), PORTS_MAX),
    }
}

/// The dynamic ports of one server.
pub(super) struct Range {
    pub(super) server: Who,
    pub(super) transport: &'static str,
    pub(super) allowed: String,
    pub(super) used: String,
    pub(super) smallest: String,
    pub(super) unused: String,
    pub(super) text: String,
    pub(super) ports: Listed<RangePort>,
    pub(super) roles: String,
}

pub(super) struct RangePort {
    pub(super) port: u16,
    pub(super) worked: String,
    pub(super) failed: String,
    pub(super) clients: String,
    pub(super) interfaces: String,
}

pub(super) fn ranges(report: &Report<'_>) -> Listed<Range> {
    let mut all: Vec<&ServerRange> = report.ranges.iter().collect();
    // What was used tells more; the order of servers stays.
    all.sort_by_key(|range| range.used == 0);
    Listed::of(all.into_iter().map(|range| range_of(range, report)), LINES_MAX)
}

fn range_of(range: &ServerRange, report: &Report<'_>) -> Range {
    let allowed: Vec<String> = range.allowed.iter().map(|ends| dashed(*ends)).collect();
    let roles: Vec<String> = range
        .roles
        .iter()
        .map(|role| format!("{}: {} of {}", role.role, thousands(role.using), thousands(role.hosts)))
        .collect();
    Range {
        server: Who::of(range.server, report),
        transport: range.transport,
        allowed: some(&allowed, NAMED_MAX),
        used: thousands(range.used),
        smallest: range.smallest.map_or_else(|| "none".to_owned(), dashed),
        unused: thousands(range.unused),
        text: range.text.clone(),
        ports: Listed::of(
            range.ports.iter().map(|port| RangePort {
                port: port.port,
                worked: thousands(port.worked),
                failed: thousands(port.failed),
                clients: {
                    let roles: Vec<String> = port.roles.iter().map(|(role, hosts)| format!("{role} {hosts}")).collect();
                    some(&roles, NAMED_MAX)
                },
                interfaces: some(&port.interfaces, NAMED_MAX),
            }),
            PORTS_MAX,
        ),
        roles: some(&roles, NAMED_MAX),
    }
}

/// A host and what is known of it.
pub(super) struct Host {
    pub(super) address: String,
    pub(super) names: String,
    pub(super) roles: Vec<Role>,
}

pub(super) struct Role {
    pub(super) name: String,
    pub(super) basis: &'static str,
    pub(super) because: String,
    pub(super) frames: String,
}

pub(super) fn hosts(report: &Report<'_>) -> Listed<Host> {
    let tell = |host: &crate::report::hosts::HostRow| Host {
        address: host.address.to_string(),
        names: some(&host.names, NAMED_MAX),
        roles: host
            .roles
            .iter()
            .map(|role| Role {
                name: role.role.clone(),
                basis: role.basis,
                because: role.because.to_string(),
                frames: {
                    let frames: Vec<String> = role.frames.iter().map(ToString::to_string).collect();
                    some(&frames, NAMED_MAX)
                },
            })
            .collect(),
    };
    Listed::of(report.hosts.iter().map(tell), HOSTS_MAX)
}
