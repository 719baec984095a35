//! Who used which services of whom, and how it went: flows added up per host pair and service.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::HashSet;

use foldhash::quality::RandomState;
use serde::Serialize;
use serde::Serializer;

use crate::classify::hosts::HostId;
use crate::classify::hosts::Hosts;
use crate::classify::judged::Collapse;
use crate::classify::judged::Ruled;
use crate::classify::judged::Sums;
use crate::classify::verdict::FindingKind;
use crate::classify::verdict::Outcome;
use crate::classify::verdict::Standing;
use crate::flow::fold::Fold;
use crate::flow::fold::FoldKey;
use crate::model::addr::Addr;
use crate::model::time::Timestamp;
use crate::model::transport::Transport;
use crate::report::archive::PastKey;
use crate::report::counts::Counts;
use crate::report::handshakes::HandshakeUs;
use crate::report::handshakes::Handshakes;
use crate::report::handshakes::PastHandshakes;
use crate::report::moment::Moment;
use crate::report::names::Names;
use crate::report::names::Party;
use crate::report::names::ServiceKey;
use crate::report::sanitise::Shown;

/// The gravest thing that flows of a pair showed. In the order of the report.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Worst {
    /// Something expected failed.
    Blocked,
    /// Something works that no row allows.
    Unexpected,
    /// Something was tried that no row allows, or a scan or flood.
    Attempt,
    /// Something works that nothing but a wide range allows.
    RangeOnly,
    /// Something expected works, and nothing above was seen.
    Ok,
    /// No flow could be judged, or none shows whether it worked.
    NotJudged,
}

impl Worst {
    /// The name used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Unexpected => "unexpected",
            Self::Attempt => "attempt",
            Self::RangeOnly => "range_only",
            Self::Ok => "ok",
            Self::NotJudged => "not_judged",
        }
    }

    fn of(flow: &Ruled<'_>) -> Self {
        if flow.collapse.is_some() {
            return Self::Attempt;
        }
        match (flow.finding, flow.standing, flow.outcome) {
            (Some(FindingKind::Blocked | FindingKind::RpcBlocked | FindingKind::EpmBlocked), ..) => Self::Blocked,
            (Some(FindingKind::Unexpected), ..) => Self::Unexpected,
            (Some(FindingKind::Attempt | FindingKind::Scan | FindingKind::Flood), ..) => Self::Attempt,
            (Some(FindingKind::RangeOnly), ..) => Self::RangeOnly,
            (
                None,
                Standing::Expected(_) | Standing::ExpectedRpc(_) | Standing::ExpectedRange(_),
                Outcome::Open | Outcome::OneWay,
            ) => Self::Ok,
            (Some(FindingKind::RpcNotRegistered) | None, ..) => Self::NotJudged,
        }
    }
}

/// Outcomes in the order of their names.
const OUTCOMES: &[&str] = &[
    "dropped",
    "one_way",
    "open",
    "pending",
    "refused",
    "rejected",
    "reply_lost",
    "reset",
    "stalled",
    "unanswered",
    "unknown",
];

/// The place of an outcome among them.
fn outcome_place(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Dropped => 0,
        Outcome::OneWay => 1,
        Outcome::Open => 2,
        Outcome::Pending => 3,
        Outcome::Refused => 4,
        Outcome::Rejected => 5,
        Outcome::ReplyLost => 6,
        Outcome::Reset => 7,
        Outcome::Stalled => 8,
        Outcome::Unanswered => 9,
        Outcome::Unknown => 10,
    }
}

/// Standings in the order of their names.
const STANDINGS: &[&str] = &["expected", "expected_range", "expected_rpc", "not_judged", "uncatalogued", "unexpected"];

const NOT_JUDGED: u8 = 3;
const UNCATALOGUED: u8 = 4;

/// The place of a standing among them.
fn standing_place(standing: &Standing) -> u8 {
    match standing {
        Standing::Expected(_) => 0,
        Standing::ExpectedRange(_) => 1,
        Standing::ExpectedRpc(_) => 2,
        Standing::NotJudged(_) => NOT_JUDGED,
        Standing::Uncatalogued => UNCATALOGUED,
        Standing::Unexpected(_) => 5,
    }
}

/// A client, a server, and what passed between them.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    /// Who began the flows.
    pub client: Party,
    /// Who was to answer them.
    pub server: Party,
    /// The gravest of its services.
    pub worst: Worst,
    rows: &'a [(u32, u32)],
    pairs: &'a Pairs,
}

/// The flows of one service over one transport between two hosts.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct PairService<'a> {
    /// The service's id; `tcp/8080` for a port without service, `tcp/*` for many ports.
    pub service: &'a Shown,
    /// The service's title.
    pub title: &'a Shown,
    /// The transport.
    pub transport: &'static str,
    /// The ports used, ascending; none where there are many or the transport has none.
    pub ports: &'a [u16],
    /// How many flows.
    pub flows: u64,
    /// What became of them.
    pub outcomes: Counts,
    /// What the documents say of them.
    pub standings: Counts,
    /// Packets to the server.
    pub packets_to_server: u64,
    /// Packets to the client.
    pub packets_to_client: u64,
    /// Payload bytes to the server.
    pub bytes_to_server: u64,
    /// Payload bytes to the client.
    pub bytes_to_client: u64,
    /// When the first packet was seen.
    pub first: Option<Moment>,
    /// When the last packet was seen.
    pub last: Option<Moment>,
    /// How long TCP handshakes took.
    pub handshake_us: Option<HandshakeUs>,
    /// The gravest of its flows.
    pub worst: Worst,
}

impl PairService<'_> {
    /// How many of the flows the documents had no word on.
    pub fn unjudged(&self) -> u64 {
        self.standings.at(NOT_JUDGED.into()) + self.standings.at(UNCATALOGUED.into())
    }
}

/// What is added up separately. `None` stands for many hosts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct RowKey {
    client: Option<HostId>,
    server: Option<HostId>,
    pub(crate) transport: Transport,
    pub(crate) service: ServiceKey,
}

/// A row's place in [`Pairs`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RowPlace(u32);

impl RowPlace {
    /// No row.
    pub(crate) const NONE: Self = Self(u32::MAX);

    /// The place in a list with an item for each row.
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Sums of flows that are kept no more, of one row and port.
#[derive(Clone, Debug)]
pub(crate) struct Past {
    /// By outcome and standing.
    counts: BTreeMap<(u8, u8), u64>,
    packets: [u64; 2],
    bytes: [u64; 2],
    first: Timestamp,
    last: Timestamp,
    worked: Option<Timestamp>,
    worst: Worst,
    handshakes: PastHandshakes,
}

impl Default for Past {
    fn default() -> Self {
        Self {
            counts: BTreeMap::new(),
            packets: [0; 2],
            bytes: [0; 2],
            first: Timestamp(u64::MAX),
            last: Timestamp(0),
            worked: None,
            worst: Worst::NotJudged,
            handshakes: PastHandshakes::default(),
        }
    }
}

impl Past {
    /// Adds a flow.
    pub(crate) fn add(&mut self, ruled: &Ruled<'_>) {
        let Sums { packets, payload, first, last, handshake_us, .. } = ruled.sums;
        *self.counts.entry((outcome_place(ruled.outcome), standing_place(ruled.standing))).or_default() += 1;
        for way in [0, 1] {
            self.packets[way] += packets[way];
            self.bytes[way] += payload[way];
        }
        self.first = self.first.min(first);
        self.last = self.last.max(last);
        self.worked = self.worked.max((ruled.outcome == Outcome::Open).then_some(first));
        self.worst = self.worst.min(Worst::of(ruled));
        self.handshakes.add(handshake_us);
    }

    /// Adds other sums.
    pub(crate) fn join(&mut self, other: Self) {
        for (words, flows) in other.counts {
            *self.counts.entry(words).or_default() += flows;
        }
        for way in [0, 1] {
            self.packets[way] += other.packets[way];
            self.bytes[way] += other.bytes[way];
        }
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.worked = self.worked.max(other.worked);
        self.worst = self.worst.min(other.worst);
        self.handshakes.join(&other.handshakes);
    }
}

/// Sums of one row. A scan may make millions of them: what most rows have but one of stands in them, the rest elsewhere.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) key: RowKey,
    pub(crate) flows: u64,
    packets: [u64; 2],
    bytes: [u64; 2],
    first: Timestamp,
    last: Timestamp,
    /// When a flow that worked began, the latest.
    worked: Timestamp,
    works: bool,
    worst: Worst,
    /// The places of those of the first flow, as long as all others are like it.
    outcome: u8,
    standing: u8,
    /// The only port, or 0.
    port: u16,
    /// The only handshake, or 0.
    handshake_us: u32,
    more: Option<Box<More>>,
}

/// What a row has several of.
#[derive(Debug)]
struct More {
    ports: Vec<u16>,
    outcomes: Counts,
    standings: Counts,
    handshakes: Handshakes,
    told: Option<HandshakeUs>,
}

impl Row {
    fn new(key: RowKey) -> Self {
        Self {
            key,
            flows: 0,
            packets: [0; 2],
            bytes: [0; 2],
            first: Timestamp(u64::MAX),
            last: Timestamp(0),
            worked: Timestamp(0),
            works: false,
            worst: Worst::NotJudged,
            outcome: 0,
            standing: 0,
            port: 0,
            handshake_us: 0,
            more: None,
        }
    }

    /// How many of its flows worked.
    pub(crate) fn open(&self) -> u64 {
        self.outcomes().at(outcome_place(Outcome::Open).into())
    }

    /// When a flow that worked began, the latest.
    pub(crate) fn worked(&self) -> Option<Timestamp> {
        self.works.then_some(self.worked)
    }

    fn outcomes(&self) -> Counts {
        let one = || {
            let mut counts = Counts::of(OUTCOMES);
            counts.add(self.outcome.into(), self.flows);
            counts
        };
        self.more.as_ref().map_or_else(one, |more| more.outcomes)
    }

    fn standings(&self) -> Counts {
        let one = || {
            let mut counts = Counts::of(STANDINGS);
            counts.add(self.standing.into(), self.flows);
            counts
        };
        self.more.as_ref().map_or_else(one, |more| more.standings)
    }

    /// Room for what there are several of.
    fn more(&mut self) -> &mut More {
        let (outcomes, standings) = (self.outcomes(), self.standings());
        self.more.get_or_insert_with(|| {
            let mut handshakes = Handshakes::default();
            if self.handshake_us > 0 {
                handshakes.add(self.handshake_us);
            }
            let ports = if self.port > 0 { vec![self.port] } else { Vec::new() };
            Box::new(More { ports, outcomes, standings, handshakes, told: None })
        })
    }

    fn count(&mut self, outcome: u8, standing: u8, flows: u64) {
        if flows == 0 {
            return;
        }
        if self.more.is_none() && self.flows == 0 {
            (self.outcome, self.standing) = (outcome, standing);
        } else if self.more.is_some() || (self.outcome, self.standing) != (outcome, standing) {
            let more = self.more();
            more.outcomes.add(outcome.into(), flows);
            more.standings.add(standing.into(), flows);
        }
        self.flows += flows;
    }

    fn used(&mut self, port: u16) {
        if self.more.is_none() && (self.flows == 0 || self.port == port) && port > 0 {
            self.port = port;
            return;
        }
        let ports = &mut self.more().ports;
        if let Err(at) = ports.binary_search(&port) {
            ports.insert(at, port);
        }
    }

    fn shook_hands(&mut self, us: u32) {
        if us == 0 {
            return;
        }
        if self.more.is_none() && self.handshake_us == 0 {
            self.handshake_us = us;
        } else {
            self.more().handshakes.add(us);
        }
    }

    fn shook_hands_before(&mut self, past: &PastHandshakes) {
        if !past.is_empty() {
            self.more().handshakes.add_past(past);
        }
    }

    fn spread(&mut self, first: Option<Timestamp>, last: Option<Timestamp>) {
        self.first = first.map_or(self.first, |first| self.first.min(first));
        self.last = last.map_or(self.last, |last| self.last.max(last));
    }

    fn told<'a>(&'a self, words: &'a ServiceWords) -> PairService<'a> {
        let seen = self.first <= self.last;
        let [packets_to_server, packets_to_client] = self.packets;
        let [bytes_to_server, bytes_to_client] = self.bytes;
        let one_port = if self.port > 0 { std::slice::from_ref(&self.port) } else { &[] };
        PairService {
            service: &words.id,
            title: &words.title,
            transport: words.transport.name(),
            ports: self.more.as_ref().map_or(one_port, |more| &more.ports),
            flows: self.flows,
            outcomes: self.outcomes(),
            standings: self.standings(),
            packets_to_server,
            packets_to_client,
            bytes_to_server,
            bytes_to_client,
            first: seen.then_some(Moment(self.first)),
            last: seen.then_some(Moment(self.last)),
            handshake_us: match &self.more {
                Some(more) => more.told,
                None => Some(self.handshake_us).filter(|&us| us > 0).map(Handshakes::of_one),
            },
            worst: self.worst,
        }
    }
}

/// What a service over a transport is called.
#[derive(Debug)]
struct ServiceWords {
    id: Shown,
    title: Shown,
    transport: Transport,
}

/// Two hosts, and where their rows stand.
#[derive(Debug)]
struct Span {
    client: Party,
    server: Party,
    worst: Worst,
    from: u32,
    to: u32,
}

/// All pairs. First rows are added in any order, then [`Pairs::finish`] sorts them.
#[derive(Debug, Default)]
pub struct Pairs {
    places: HashMap<RowKey, u32, RandomState>,
    rows: Vec<Row>,
    /// The rows of the collapses, by their number.
    wholes: Vec<Whole>,
    /// Gravest first, then by client and server.
    spans: Vec<Span>,
    /// Places of rows and of their services, pair by pair, the services of a pair by id and transport.
    order: Vec<(u32, u32)>,
    services: Vec<ServiceWords>,
}

/// The ends of a scan or flood.
#[derive(Clone, Copy, Debug)]
struct Whole {
    client: Option<HostId>,
    server: Option<HostId>,
    one_port: bool,
}

impl Whole {
    fn row(self, transport: Transport, service: ServiceKey) -> RowKey {
        let service = if self.one_port { service } else { ServiceKey::Many };
        RowKey { client: self.client, server: self.server, transport, service }
    }
}

impl Pairs {
    /// No pairs yet. The ends of the collapses are among the hosts.
    pub(crate) fn new(collapses: &[Collapse], hosts: &Hosts) -> Self {
        let host = |addr: Option<Addr>| addr.and_then(|addr| hosts.find(addr));
        let whole = |whole: &Collapse| Whole {
            client: host(whole.client),
            server: host(whole.server),
            one_port: whole.port.is_some(),
        };
        Self { wholes: collapses.iter().map(whole).collect(), ..Self::default() }
    }

    /// Adds a flow to the row that it belongs to, which for part of a scan or flood is that of the whole.
    pub(crate) fn add(&mut self, ruled: &Ruled<'_>) -> RowPlace {
        let Sums { transport, port, .. } = ruled.sums;
        let service = ServiceKey::of(ruled.service, transport, port);
        let key = match ruled.collapse.and_then(|index| self.wholes.get(index)) {
            Some(whole) => whole.row(transport, service),
            None => RowKey { client: Some(ruled.client), server: Some(ruled.server), transport, service },
        };
        self.change(key, |row| {
            if transport.has_ports() && key.service != ServiceKey::Many {
                row.used(port);
            }
            row.count(outcome_place(ruled.outcome), standing_place(ruled.standing), 1);
            for way in [0, 1] {
                row.packets[way] += ruled.sums.packets[way];
                row.bytes[way] += ruled.sums.payload[way];
            }
            row.spread(Some(ruled.sums.first), Some(ruled.sums.last));
            row.shook_hands(ruled.sums.handshake_us);
            row.worst = row.worst.min(Worst::of(ruled));
            if ruled.outcome == Outcome::Open {
                row.worked = row.worked.max(ruled.sums.first);
                row.works = true;
            }
        })
    }

    /// Adds the totals of flows that were given up. They are never judged.
    ///
    /// They stand in the row of the scan or flood that they are part of.
    pub(crate) fn add_fold(
        &mut self,
        key: &FoldKey,
        fold: &Fold,
        service: ServiceKey,
        collapses: &[Collapse],
        hosts: &Hosts,
    ) {
        let host = |addr: Option<Addr>| addr.and_then(|addr| hosts.find(addr));
        let whole = collapses.iter().position(|whole| whole.takes(key, fold)).and_then(|index| self.wholes.get(index));
        let row_key = match whole {
            Some(whole) => whole.row(key.transport, service),
            None => RowKey {
                client: host(key.client),
                server: host(key.server.map(|(addr, _)| addr)),
                transport: key.transport,
                service,
            },
        };
        self.change(row_key, |row| {
            if let Some((_, port)) = key.server
                && key.transport.has_ports()
                && row_key.service != ServiceKey::Many
            {
                row.used(port);
            }
            let rest = fold.flows.saturating_sub(fold.answered).saturating_sub(fold.refused);
            for (outcome, flows) in
                [(Outcome::Open, fold.answered), (Outcome::Refused, fold.refused), (Outcome::Unknown, rest)]
            {
                row.count(outcome_place(outcome), NOT_JUDGED, flows);
            }
            for way in 0..2 {
                row.packets[way] += fold.packets[way];
                row.bytes[way] += fold.payload[way];
            }
            row.spread(fold.first, fold.last);
        });
    }

    /// Adds what flows came to that are kept no more. Their hosts are among the hosts.
    pub(crate) fn add_past(&mut self, key: &PastKey, past: &Past, hosts: &Hosts) {
        let row_key = RowKey {
            client: key.client.and_then(|addr| hosts.find(addr)),
            server: hosts.find(key.server),
            transport: key.transport,
            service: key.service,
        };
        self.change(row_key, |row| {
            if key.transport.has_ports() {
                row.used(key.port);
            }
            for (&(outcome, standing), &flows) in &past.counts {
                row.count(outcome, standing, flows);
            }
            for way in [0, 1] {
                row.packets[way] += past.packets[way];
                row.bytes[way] += past.bytes[way];
            }
            row.spread(Some(past.first), Some(past.last));
            row.worst = row.worst.min(past.worst);
            if let Some(worked) = past.worked {
                row.worked = row.worked.max(worked);
                row.works = true;
            }
            row.shook_hands_before(&past.handshakes);
        });
    }

    /// The row of a service between two hosts, before they are sorted.
    pub(crate) fn find(
        &self,
        ends: [Party; 2],
        transport: Transport,
        service: ServiceKey,
        hosts: &Hosts,
    ) -> Option<RowPlace> {
        let [client, server] = ends.map(|party| match party {
            Party::One(addr) => hosts.find(addr),
            Party::Many => None,
        });
        self.places.get(&RowKey { client, server, transport, service }).copied().map(RowPlace)
    }

    /// The row of that place.
    pub(crate) fn row(&self, id: RowPlace) -> Option<&Row> {
        self.rows.get(id.0 as usize)
    }

    fn change(&mut self, key: RowKey, change: impl FnOnce(&mut Row)) -> RowPlace {
        let next = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
        let place = *self.places.entry(key).or_insert(next);
        if place == next {
            self.rows.push(Row::new(key));
        }
        if let Some(row) = self.rows.get_mut(place as usize) {
            change(row);
        }
        RowPlace(place)
    }

    /// Sorts what was added: pairs gravest first, then by client and server.
    pub(crate) fn finish(&mut self, hosts: &Hosts, names: &Names<'_>) {
        self.places = HashMap::default();
        for row in &mut self.rows {
            if let Some(more) = &mut row.more {
                more.ports.shrink_to_fit();
                more.told = more.handshakes.summary();
                more.handshakes = Handshakes::default();
            }
        }
        let service_of = self.name_services(names);
        let rank_of = self.rank_hosts(hosts);
        // Many hosts come after every host.
        let rank =
            |host: Option<HostId>| host.and_then(|host| rank_of.get(host.index())).map_or(u32::MAX, |&rank| rank);
        let key = |(place, row): (u32, &Row)| {
            let ends = (u64::from(rank(row.key.client)) << 32) | u64::from(rank(row.key.server));
            let service = service_of.get(&(row.key.transport, row.key.service)).copied().unwrap_or_default();
            (ends, service, place)
        };
        let mut sorted: Vec<(u64, u32, u32)> = (0..).zip(&self.rows).map(key).collect();
        sorted.sort_unstable();
        self.order = sorted.iter().map(|(_, service, place)| (*place, *service)).collect();
        let mut from = 0;
        for pair in sorted.chunk_by(|(one, ..), (next, ..)| one == next) {
            let to = from + u32::try_from(pair.len()).unwrap_or(u32::MAX);
            let rows = || pair.iter().filter_map(|(.., place)| self.rows.get(*place as usize));
            let party = |host: Option<HostId>| Party::from(host.map(|host| hosts.addr(host)));
            if let Some(first) = rows().next() {
                let worst = rows().map(|row| row.worst).min().unwrap_or(Worst::NotJudged);
                let (client, server) = (party(first.key.client), party(first.key.server));
                self.spans.push(Span { client, server, worst, from, to });
            }
            from = to;
        }
        self.spans.sort_by_key(|span| span.worst);
    }

    /// Names every service that occurs, by id and transport, and says which place each has.
    fn name_services(&mut self, names: &Names<'_>) -> HashMap<(Transport, ServiceKey), u32, RandomState> {
        let occurs: HashSet<(Transport, ServiceKey), RandomState> =
            self.rows.iter().map(|row| (row.key.transport, row.key.service)).collect();
        let words = |(transport, service): (Transport, ServiceKey)| {
            let id = names.service_id(service, transport);
            let title = match service {
                ServiceKey::Known(_) => names.service_title(service, transport),
                _ => id.clone(),
            };
            ((transport, service), ServiceWords { id, title, transport })
        };
        let mut all: Vec<_> = occurs.into_iter().map(words).collect();
        all.sort_unstable_by(|(key, words), (other_key, other)| {
            let ids = (&words.id, words.transport.name()).cmp(&(&other.id, other.transport.name()));
            ids.then_with(|| key.cmp(other_key))
        });
        let places = (0..).zip(&all).map(|(place, (key, _))| (*key, place)).collect();
        self.services = all.into_iter().map(|(_, words)| words).collect();
        places
    }

    /// The place of each host that occurs among them by address.
    fn rank_hosts(&self, hosts: &Hosts) -> Vec<u32> {
        const NONE: u32 = u32::MAX;
        let mut ranks = vec![NONE; hosts.len()];
        let mut occur = Vec::new();
        for host in self.rows.iter().flat_map(|row| [row.key.client, row.key.server]).flatten() {
            if let Some(rank) = ranks.get_mut(host.index()).filter(|rank| **rank == NONE) {
                *rank = 0;
                occur.push((hosts.addr(host), host));
            }
        }
        occur.sort_unstable();
        for (place, (_, host)) in (0..).zip(occur) {
            if let Some(rank) = ranks.get_mut(host.index()) {
                *rank = place;
            }
        }
        ranks
    }

    /// How many pairs.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// How many rows: services of pairs.
    pub fn rows_len(&self) -> usize {
        self.order.len()
    }

    /// The pairs, gravest first, then by client and server.
    pub fn iter(&self) -> impl Iterator<Item = Pair<'_>> {
        self.spans.iter().map(|span| Pair {
            client: span.client,
            server: span.server,
            worst: span.worst,
            rows: self.order.get(span.from as usize..span.to as usize).unwrap_or_default(),
            pairs: self,
        })
    }

    /// The services of all pairs.
    pub fn rows(&self) -> impl Iterator<Item = (Pair<'_>, PairService<'_>)> {
        self.iter().flat_map(|pair| pair.services().map(move |service| (pair, service)))
    }
}

impl<'a> Pair<'a> {
    /// Where the rows of its services stand.
    pub(crate) fn places(&self) -> impl Iterator<Item = RowPlace> + use<'a> {
        self.rows.iter().map(|(row, _)| RowPlace(*row))
    }

    /// The services, by id and transport.
    pub fn services(&self) -> impl Iterator<Item = PairService<'a>> + use<'a> {
        let pairs = self.pairs;
        self.rows.iter().filter_map(|(row, service)| {
            Some(pairs.rows.get(*row as usize)?.told(pairs.services.get(*service as usize)?))
        })
    }
}

impl Serialize for Pairs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl Serialize for Pair<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename = "Pair")]
        struct Whole<'a> {
            client: Party,
            server: Party,
            worst: Worst,
            services: Vec<PairService<'a>>,
        }
        let Self { client, server, worst, .. } = *self;
        Whole { client, server, worst, services: self.services().collect() }.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop here")]

    use super::*;
    use crate::classify::verdict::By;
    use crate::classify::verdict::Reason;
    use crate::classify::verdict::WhyNot;
    use crate::report::sample;
    use crate::report::sample::Made;

    fn worst(made: &[Made]) -> Worst {
        let catalogue = sample::catalogue();
        let names = sample::names(catalogue, &sample::run());
        let (mut hosts, mut pairs) = (Hosts::default(), Pairs::default());
        for made in made {
            pairs.add(&made.ruled(catalogue, &mut hosts));
        }
        pairs.finish(&hosts, &names);
        pairs.iter().next().unwrap().worst
    }

    #[test]
    fn a_pair_is_well_only_if_something_expected_worked() {
        let open = || sample::open("10.0.1.20", "10.0.0.10", Transport::Tcp, 88, 1);
        let expected = || Standing::Expected([].into());
        let not_judged = Standing::NotJudged(WhyNot::RoleUnknown);
        let well = || open().told(None, expected(), None);
        let unknown = || open().failed(Outcome::Unknown, Reason::EdgeEnd, By::Unknown, 1).told(None, expected(), None);
        assert_eq!(worst(&[well()]), Worst::Ok);
        assert_eq!(worst(&[unknown()]), Worst::NotJudged);
        assert_eq!(worst(&[unknown(), well()]), Worst::Ok);
        assert_eq!(worst(&[open().told(None, not_judged, None)]), Worst::NotJudged);
        assert_eq!(worst(&[well(), open().told(None, expected(), Some(FindingKind::Blocked))]), Worst::Blocked);
        assert_eq!(worst(&[well(), open().told(None, expected(), Some(FindingKind::RangeOnly))]), Worst::RangeOnly);
    }

    #[test]
    fn places_are_those_of_the_names() {
        let outcomes = [
            Outcome::Open,
            Outcome::OneWay,
            Outcome::Dropped,
            Outcome::Refused,
            Outcome::Rejected,
            Outcome::ReplyLost,
            Outcome::Reset,
            Outcome::Stalled,
            Outcome::Unanswered,
            Outcome::Pending,
            Outcome::Unknown,
        ];
        assert_eq!(outcomes.len(), OUTCOMES.len());
        for outcome in outcomes {
            assert_eq!(OUTCOMES[usize::from(outcome_place(outcome))], outcome.name());
        }
        let rows = || std::rc::Rc::from([]);
        let standings = [
            Standing::Expected(rows()),
            Standing::ExpectedRange(rows()),
            Standing::ExpectedRpc(rows()),
            Standing::NotJudged(WhyNot::RoleUnknown),
            Standing::Uncatalogued,
            Standing::Unexpected(crate::classify::verdict::Why::NoRow),
        ];
        assert_eq!(standings.len(), STANDINGS.len());
        for standing in standings {
            assert_eq!(STANDINGS[usize::from(standing_place(&standing))], standing.name());
        }
    }

    #[test]
    fn ports_are_listed_once_in_order() {
        let catalogue = sample::catalogue();
        let names = sample::names(catalogue, &sample::run());
        let (mut hosts, mut pairs) = (Hosts::default(), Pairs::default());
        for port in [49_700, 49_668, 49_700] {
            let made = sample::open("10.0.1.20", "10.0.0.10", Transport::Tcp, port, 1);
            let made = made.told(Some("rpc-dynamic"), Standing::Uncatalogued, None);
            pairs.add(&made.ruled(catalogue, &mut hosts));
        }
        pairs.finish(&hosts, &names);
        let told: Vec<(u64, &[u16])> = pairs.rows().map(|(_, service)| (service.flows, service.ports)).collect();
        assert_eq!(told, [(3, &[49_668, 49_700][..])]);
    }

    #[test]
    fn services_without_a_name_go_by_their_port() {
        let catalogue = sample::catalogue();
        let names = sample::names(catalogue, &sample::run());
        let (mut hosts, mut pairs) = (Hosts::default(), Pairs::default());
        for (transport, port) in [(Transport::Tcp, 8080), (Transport::Udp, 8080), (Transport::Gre, 0)] {
            let made = sample::open("10.0.1.20", "10.0.0.10", transport, port, 1);
            pairs.add(&made.ruled(catalogue, &mut hosts));
        }
        pairs.finish(&hosts, &names);
        let told: Vec<(&str, usize)> =
            pairs.rows().map(|(_, service)| (service.service.as_str(), service.ports.len())).collect();
        assert_eq!(told, [("gre", 0), ("tcp/8080", 1), ("udp/8080", 1)]);
    }
}
