//! Who used which services of whom, and how it went: flows added up per host pair and service.
//!
//! What is to be added up is sorted first, by as little as tells its row, and then added row by row: rows come to lie in
//! the order of the report, and whatever goes over them goes straight on through memory.

use std::collections::BTreeMap;
use std::collections::HashMap;

use foldhash::quality::RandomState;
use serde::Serialize;
use serde::Serializer;

use crate::classify::hosts::HostId;
use crate::classify::hosts::Hosts;
use crate::classify::judged::Placed;
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
use crate::report::Beside;
use crate::report::Flows;
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
    ends: Ends,
    /// The place of the first of its rows.
    from: u32,
    rows: &'a [Row],
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
        unjudged(&self.standings)
    }
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

/// Stands for many hosts, after every host.
const MANY: u32 = u32::MAX;

/// A client and a server by their places among [`Pairs::hosts`]: the order of pairs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
struct Ends {
    client: u32,
    server: u32,
}

/// Sums of one row. A scan may make millions of them: what most rows have but one of stands in them, the rest elsewhere.
#[derive(Debug)]
pub(crate) struct Row {
    ends: Ends,
    /// The place of its service.
    service: u32,
    /// The only handshake, or 0.
    handshake_us: u32,
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
    more: Option<Box<More>>,
}

const _: () = assert!(size_of::<Row>() <= 96);

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
    fn new(ends: Ends, service: u32) -> Self {
        Self {
            ends,
            service,
            handshake_us: 0,
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
            more: None,
        }
    }

    /// Adds a flow.
    fn add(&mut self, ruled: &Ruled<'_>, has_port: bool) {
        if has_port {
            self.used(ruled.sums.port);
        }
        self.count(outcome_place(ruled.outcome), standing_place(ruled.standing), 1);
        for way in [0, 1] {
            self.packets[way] += ruled.sums.packets[way];
            self.bytes[way] += ruled.sums.payload[way];
        }
        self.spread(Some(ruled.sums.first), Some(ruled.sums.last));
        self.shook_hands(ruled.sums.handshake_us);
        self.worst = self.worst.min(Worst::of(ruled));
        if ruled.outcome == Outcome::Open {
            self.worked = self.worked.max(ruled.sums.first);
            self.works = true;
        }
    }

    /// Adds the totals of flows that were given up. They are never judged.
    fn add_fold(&mut self, key: &FoldKey, fold: &Fold, has_port: bool) {
        if let Some((_, port)) = key.server.filter(|_| has_port) {
            self.used(port);
        }
        let rest = fold.flows.saturating_sub(fold.answered).saturating_sub(fold.refused);
        for (outcome, flows) in
            [(Outcome::Open, fold.answered), (Outcome::Refused, fold.refused), (Outcome::Unknown, rest)]
        {
            self.count(outcome_place(outcome), NOT_JUDGED, flows);
        }
        for way in [0, 1] {
            self.packets[way] += fold.packets[way];
            self.bytes[way] += fold.payload[way];
        }
        self.spread(fold.first, fold.last);
    }

    /// Adds what flows came to that are kept no more.
    fn add_past(&mut self, key: &PastKey, past: &Past, has_port: bool) {
        if has_port {
            self.used(key.port);
        }
        for (&(outcome, standing), &flows) in &past.counts {
            self.count(outcome, standing, flows);
        }
        for way in [0, 1] {
            self.packets[way] += past.packets[way];
            self.bytes[way] += past.bytes[way];
        }
        self.spread(Some(past.first), Some(past.last));
        self.worst = self.worst.min(past.worst);
        if let Some(worked) = past.worked {
            self.worked = self.worked.max(worked);
            self.works = true;
        }
        if !past.handshakes.is_empty() {
            self.more().handshakes.add_past(&past.handshakes);
        }
    }

    /// Everything was added.
    fn finish(&mut self) {
        if let Some(more) = &mut self.more {
            more.ports.shrink_to_fit();
            more.told = more.handshakes.summary();
            more.handshakes = Handshakes::default();
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

    /// How many of its flows the documents had no word on.
    fn unjudged(&self) -> u64 {
        match &self.more {
            Some(more) => unjudged(&more.standings),
            None if matches!(self.standing, NOT_JUDGED | UNCATALOGUED) => self.flows,
            None => 0,
        }
    }

    /// Whether one of its flows failed.
    fn fails(&self) -> bool {
        let fails = |place: usize| Outcome::ALL.get(place).is_some_and(|outcome| outcome.is_failure());
        match &self.more {
            Some(more) => (0..OUTCOMES.len()).any(|place| more.outcomes.at(place) > 0 && fails(place)),
            None => fails(self.outcome.into()),
        }
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

/// How many of these standings are none.
fn unjudged(standings: &Counts) -> u64 {
    standings.at(NOT_JUDGED.into()) + standings.at(UNCATALOGUED.into())
}

/// What a service over a transport is called.
#[derive(Debug)]
struct ServiceWords {
    key: ServiceKey,
    transport: Transport,
    id: Shown,
    title: Shown,
}

impl ServiceWords {
    fn has_port(&self) -> bool {
        self.transport.has_ports() && self.key != ServiceKey::Many
    }
}

/// Two hosts, and where their rows stand.
#[derive(Debug)]
struct Span {
    ends: Ends,
    worst: Worst,
    from: u32,
    to: u32,
}

/// All pairs and their rows.
#[derive(Debug, Default)]
pub struct Pairs {
    /// Every host that occurs, in order of address.
    hosts: Vec<Addr>,
    /// By client, server, service id and transport.
    rows: Vec<Row>,
    /// Gravest first, then by client and server.
    spans: Vec<Span>,
    /// By id and transport.
    services: Vec<ServiceWords>,
}

impl Pairs {
    /// Adds everything up. `each` hears where every flow was counted that is part of no scan or flood: flows of the same
    /// two hosts one after the other, of the same row in the order they began.
    pub(crate) fn of(
        flows: &impl Flows,
        beside: &Beside<'_>,
        names: &Names<'_>,
        mut each: impl FnMut(RowPlace, &Ruled<'_>),
    ) -> Self {
        let mut gathered = Gathered::new(flows, beside, names);
        let (hosts, services) = gathered.sort(beside.numbered, names);
        let same_row = |one: &Item, next: &Item| (one.ends, one.service) == (next.ends, next.service);
        let mut parts = std::mem::take(&mut gathered.parts);
        let mut rows = Vec::with_capacity(gathered.items.chunk_by(same_row).count());
        let mut spans: Vec<Span> = Vec::new();
        let mut at = 0;
        for own in gathered.items.chunk_by(same_row) {
            let Some(&Item { ends, service, .. }) = own.first() else { continue };
            let place = u32::try_from(rows.len()).unwrap_or(u32::MAX);
            let has_port = services.get(service as usize).is_some_and(ServiceWords::has_port);
            let mut row = Row::new(ends, service);
            // The sums of a scan or flood come last, and everything else is added to them.
            if let Some(Source::Part(part)) = own.last().map(|last| gathered.source(last))
                && let Some(part) = parts.get_mut(part).and_then(Option::take)
            {
                row = Row { ends, service, ..part };
            }
            for item in own {
                gathered.ask_ahead(at, flows);
                at += 1;
                match gathered.source(item) {
                    Source::Flow(number) => {
                        let Some(ruled) = flows.ruled(number) else { continue };
                        row.add(&ruled, has_port);
                        each(RowPlace(place), &ruled);
                    }
                    Source::Fold(fold) => {
                        let Some((key, fold)) = gathered.folds.get(fold) else { continue };
                        row.add_fold(key, fold, has_port);
                    }
                    Source::Past(past) => {
                        let Some((key, past)) = gathered.pasts.get(past) else { continue };
                        row.add_past(key, past, has_port);
                    }
                    Source::Part(_) => {}
                }
            }
            row.finish();
            match spans.last_mut().filter(|span| span.ends == ends) {
                Some(span) => (span.worst, span.to) = (span.worst.min(row.worst), place + 1),
                None => spans.push(Span { ends, worst: row.worst, from: place, to: place + 1 }),
            }
            rows.push(row);
        }
        spans.sort_by_key(|span| span.worst);
        Self { hosts, rows, spans, services }
    }

    /// The hosts of all pairs, in order of address.
    pub(crate) fn hosts(&self) -> &[Addr] {
        &self.hosts
    }

    /// The row of a service between two hosts.
    pub(crate) fn find(&self, ends: [Party; 2], transport: Transport, service: ServiceKey) -> Option<RowPlace> {
        let [client, server] = ends.map(|party| match party {
            Party::One(addr) => self.hosts.binary_search(&addr).ok().and_then(|place| u32::try_from(place).ok()),
            Party::Many => Some(MANY),
        });
        let ends = Ends { client: client?, server: server? };
        let from = self.rows.partition_point(|row| row.ends < ends);
        let own = self.rows.get(from..)?.iter().take_while(|row| row.ends == ends);
        let at = own.map(|row| self.kind(row)).position(|kind| kind == Some((transport, service)))?;
        u32::try_from(from + at).ok().map(RowPlace)
    }

    /// The row of that place.
    pub(crate) fn row(&self, id: RowPlace) -> Option<&Row> {
        self.rows.get(id.index())
    }

    /// What a row is of.
    pub(crate) fn kind(&self, row: &Row) -> Option<(Transport, ServiceKey)> {
        self.services.get(row.service as usize).map(|words| (words.transport, words.key))
    }

    /// The transport of the row of that place.
    pub(crate) fn transport(&self, id: RowPlace) -> Option<Transport> {
        self.kind(self.row(id)?).map(|(transport, _)| transport)
    }

    /// How many flows there are, and on how many of them the documents had a word.
    pub(crate) fn judged(&self) -> (u64, u64) {
        let add = |(flows, judged), row: &Row| (flows + row.flows, judged + row.flows - row.unjudged());
        self.rows.iter().fold((0, 0), add)
    }

    /// Rows between two hosts of whose flows the documents had no word on any, and some failed.
    pub(crate) fn failed_unjudged(&self) -> impl Iterator<Item = (Pair<'_>, PairService<'_>)> {
        self.iter().filter(|pair| pair.ends().is_some()).flat_map(|pair| {
            let own = pair.rows.iter().filter(|row| row.unjudged() == row.flows && row.fails());
            own.filter_map(move |row| Some((pair, pair.pairs.told(row)?)))
        })
    }

    fn told<'a>(&'a self, row: &'a Row) -> Option<PairService<'a>> {
        Some(row.told(self.services.get(row.service as usize)?))
    }

    fn party(&self, host: u32) -> Party {
        self.hosts.get(host as usize).map_or(Party::Many, |addr| Party::One(*addr))
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
        self.rows.len()
    }

    /// The pairs, gravest first, then by client and server.
    pub fn iter(&self) -> impl Iterator<Item = Pair<'_>> {
        self.spans.iter().map(|span| self.pair(span))
    }

    /// The pair at a place of the order.
    pub(crate) fn get(&self, place: usize) -> Option<Pair<'_>> {
        self.spans.get(place).map(|span| self.pair(span))
    }

    fn pair(&self, span: &Span) -> Pair<'_> {
        Pair {
            client: self.party(span.ends.client),
            server: self.party(span.ends.server),
            worst: span.worst,
            ends: span.ends,
            from: span.from,
            rows: self.rows.get(span.from as usize..span.to as usize).unwrap_or_default(),
            pairs: self,
        }
    }

    /// The services of all pairs.
    pub fn rows(&self) -> impl Iterator<Item = (Pair<'_>, PairService<'_>)> {
        self.iter().flat_map(|pair| pair.services().map(move |service| (pair, service)))
    }
}

impl<'a> Pair<'a> {
    /// Where client and server stand among [`Pairs::hosts`], unless one of them is many hosts.
    pub(crate) fn ends(&self) -> Option<[usize; 2]> {
        let Ends { client, server } = self.ends;
        (client != MANY && server != MANY).then_some([client as usize, server as usize])
    }

    /// Where the rows of its services stand.
    pub(crate) fn places(&self) -> impl Iterator<Item = RowPlace> + use<'a> {
        (self.from..).map(RowPlace).take(self.rows.len())
    }

    /// The services, by id and transport.
    pub fn services(&self) -> impl Iterator<Item = PairService<'a>> + use<'a> {
        let pairs = self.pairs;
        self.rows.iter().filter_map(|row| pairs.told(row))
    }
}

/// How many items lie between asking for a flow and adding it.
const AHEAD: usize = 8;

/// What is added up separately. `None` stands for many hosts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct RowKey {
    client: Option<HostId>,
    server: Option<HostId>,
    transport: Transport,
    service: ServiceKey,
}

impl RowKey {
    fn has_port(&self) -> bool {
        self.transport.has_ports() && self.service != ServiceKey::Many
    }
}

/// Something that is added to a row. Until the place of its row is known it goes by numbers of hosts and services.
#[derive(Clone, Copy, Debug)]
struct Item {
    ends: Ends,
    service: u32,
    /// What it is: see [`Gathered::source`].
    what: u32,
}

/// What an [`Item`] stands for: a place in the list of its kind.
enum Source {
    Flow(u32),
    Fold(usize),
    Past(usize),
    Part(usize),
}

/// Everything that is to be added up.
struct Gathered<'b> {
    items: Vec<Item>,
    flows: usize,
    folds: Vec<(&'b FoldKey, &'b Fold)>,
    pasts: Vec<(&'b PastKey, &'b Past)>,
    /// Sums of scans and floods, whose many flows need not be sorted.
    parts: Vec<Option<Row>>,
    part_of: HashMap<RowKey, usize, RandomState>,
    services: HashMap<(Transport, ServiceKey), u32, RandomState>,
    /// By its number, whether a host occurs.
    occurs: Vec<bool>,
}

impl<'b> Gathered<'b> {
    fn new(flows: &impl Flows, beside: &Beside<'b>, names: &Names<'_>) -> Self {
        let (folds, pasts): (Vec<_>, Vec<_>) = (beside.folds.iter().collect(), beside.archive.rows().collect());
        let mut gathered = Self {
            items: Vec::with_capacity(flows.len()),
            flows: flows.len(),
            folds: Vec::new(),
            pasts: Vec::new(),
            parts: Vec::new(),
            part_of: HashMap::default(),
            services: HashMap::default(),
            occurs: vec![false; beside.numbered.len()],
        };
        let host = |addr: Option<Addr>| addr.and_then(|addr| beside.numbered.find(addr));
        let wholes: Vec<_> = beside.collapses.iter().map(|whole| [host(whole.client), host(whole.server)]).collect();
        // A scan or flood of many ports is told as such.
        let of_whole = |at: usize, transport: Transport, service: ServiceKey| {
            let (whole, [client, server]) = (beside.collapses.get(at)?, *wholes.get(at)?);
            let service = if whole.port.is_some() { service } else { ServiceKey::Many };
            Some(RowKey { client, server, transport, service })
        };
        // To which of its rows each scan or flood was added last: as a rule it has one.
        let mut newest: Vec<Option<(RowKey, usize)>> = vec![None; beside.collapses.len()];
        for (number, placed) in (0..).zip(flows.placed()) {
            let Placed { client, server, transport, port, service, collapse } = placed;
            let service = ServiceKey::of(service, transport, port);
            let whole = collapse.and_then(|at| newest.get_mut(at).zip(of_whole(at, transport, service)));
            if let Some((newest, key)) = whole {
                let known = newest.filter(|(known, _)| *known == key).map(|(_, place)| place);
                let place = known.unwrap_or_else(|| gathered.part(key));
                *newest = Some((key, place));
                gathered.add_part(place, flows.ruled(number), key.has_port());
            } else {
                let (client, server) = (Some(client), Some(server));
                gathered.push(RowKey { client, server, transport, service }, number as usize);
            }
        }
        for ((key, fold), what) in folds.iter().zip(flows.len()..) {
            let service = match key.server {
                Some((_, port)) => ServiceKey::of(names.service_at(key.transport, port), key.transport, port),
                None => ServiceKey::of_many(key.transport),
            };
            let whole = beside.collapses.iter().position(|whole| whole.takes(key, fold));
            let (client, server) = (host(key.client), host(key.server.map(|(addr, _)| addr)));
            let own = RowKey { client, server, transport: key.transport, service };
            gathered.push(whole.and_then(|at| of_whole(at, key.transport, service)).unwrap_or(own), what);
        }
        for ((key, _), what) in pasts.iter().zip(flows.len() + folds.len()..) {
            let PastKey { client, server, transport, service, .. } = **key;
            gathered.push(RowKey { client: host(client), server: host(server), transport, service }, what);
        }
        for (key, place) in std::mem::take(&mut gathered.part_of) {
            gathered.push(key, flows.len() + folds.len() + pasts.len() + place);
        }
        Self { folds, pasts, ..gathered }
    }

    fn push(&mut self, key: RowKey, what: usize) {
        let [client, server] = [key.client, key.server].map(|host| {
            let place = host.map(HostId::index);
            if let Some(occurs) = place.and_then(|place| self.occurs.get_mut(place)) {
                *occurs = true;
            }
            place.and_then(|place| u32::try_from(place).ok()).unwrap_or(MANY)
        });
        let next = u32::try_from(self.services.len()).unwrap_or(u32::MAX);
        let service = *self.services.entry((key.transport, key.service)).or_insert(next);
        let what = u32::try_from(what).unwrap_or(u32::MAX);
        self.items.push(Item { ends: Ends { client, server }, service, what });
    }

    /// The place of the sums of a scan or flood.
    fn part(&mut self, key: RowKey) -> usize {
        let next = self.parts.len();
        let place = *self.part_of.entry(key).or_insert(next);
        if place == next {
            self.parts.push(Some(Row::new(Ends { client: MANY, server: MANY }, 0)));
        }
        place
    }

    /// Adds one of its flows.
    fn add_part(&mut self, place: usize, ruled: Option<Ruled<'_>>, has_port: bool) {
        if let (Some(Some(row)), Some(ruled)) = (self.parts.get_mut(place), ruled) {
            row.add(&ruled, has_port);
        }
    }

    fn source(&self, item: &Item) -> Source {
        let what = item.what as usize;
        let Some(fold) = what.checked_sub(self.flows) else { return Source::Flow(item.what) };
        let Some(past) = fold.checked_sub(self.folds.len()) else { return Source::Fold(fold) };
        past.checked_sub(self.pasts.len()).map_or(Source::Past(past), Source::Part)
    }

    /// Asks for what flows are looked at for which come after a place.
    #[inline]
    fn ask_ahead(&self, at: usize, flows: &impl Flows) {
        let flow = |ahead: usize| {
            let what = self.items.get(at + ahead)?.what;
            ((what as usize) < self.flows).then_some(what)
        };
        if let Some(number) = flow(3 * AHEAD) {
            flows.ask_for(number);
        }
        if let Some(number) = flow(2 * AHEAD) {
            flows.ask_for_sums(number);
        }
        if let Some(number) = flow(AHEAD) {
            flows.ask_for_more(number);
        }
    }

    /// Brings the items in the order of the report. The hosts that occur, and the services.
    fn sort(&mut self, hosts: &Hosts, names: &Names<'_>) -> (Vec<Addr>, Vec<ServiceWords>) {
        let occurs = hosts.iter().zip(&self.occurs).filter(|(_, occurs)| **occurs);
        let mut occurring: Vec<(Addr, HostId)> = occurs.map(|((host, addr), _)| (addr, host)).collect();
        occurring.sort_unstable();
        let mut ranks = vec![MANY; hosts.len()];
        for (rank, (_, host)) in (0..).zip(&occurring) {
            if let Some(place) = ranks.get_mut(host.index()) {
                *place = rank;
            }
        }
        let (services, places) = self.name_services(names);
        let rank = |host: u32| ranks.get(host as usize).copied().unwrap_or(MANY);
        for item in &mut self.items {
            item.ends = Ends { client: rank(item.ends.client), server: rank(item.ends.server) };
            item.service = places.get(item.service as usize).copied().unwrap_or_default();
        }
        // Those of one row stay as they were gathered: flows in the order they began, a scan or flood last.
        let many = u32::try_from(occurring.len()).unwrap_or(MANY);
        let mut spare = Vec::new();
        put_in_order(&mut self.items, &mut spare, services.len(), |item| item.service);
        put_in_order(&mut self.items, &mut spare, occurring.len() + 1, |item| item.ends.server.min(many));
        put_in_order(&mut self.items, &mut spare, occurring.len() + 1, |item| item.ends.client.min(many));
        (occurring.into_iter().map(|(addr, _)| addr).collect(), services)
    }

    /// Every service that occurs by id and transport, and the place of each by its number.
    fn name_services(&self, names: &Names<'_>) -> (Vec<ServiceWords>, Vec<u32>) {
        let words = |(&(transport, key), &number): (&(Transport, ServiceKey), &u32)| {
            let id = names.service_id(key, transport);
            let title = match key {
                ServiceKey::Known(_) => names.service_title(key, transport),
                _ => id.clone(),
            };
            (ServiceWords { key, transport, id, title }, number)
        };
        let mut all: Vec<(ServiceWords, u32)> = self.services.iter().map(words).collect();
        all.sort_unstable_by(|(one, _), (other, _)| {
            let ids = (&one.id, one.transport.name()).cmp(&(&other.id, other.transport.name()));
            ids.then_with(|| (one.transport, one.key).cmp(&(other.transport, other.key)))
        });
        let mut places = vec![0; all.len()];
        for (place, (_, number)) in (0..).zip(&all) {
            if let Some(known) = places.get_mut(*number as usize) {
                *known = place;
            }
        }
        (all.into_iter().map(|(words, _)| words).collect(), places)
    }
}

/// Puts items in the order of a number that is below `numbers`; those of the same one stay in the order they have. There
/// may be millions, which are counted sooner than compared. `spare` is room for as many.
fn put_in_order(items: &mut Vec<Item>, spare: &mut Vec<Item>, numbers: usize, number: impl Fn(&Item) -> u32) {
    let mut places = vec![0_u32; numbers + 1];
    for item in &*items {
        if let Some(count) = places.get_mut(number(item) as usize + 1) {
            *count += 1;
        }
    }
    let mut before = 0;
    for place in &mut places {
        before += *place;
        *place = before;
    }
    spare.clone_from(items);
    for item in &*items {
        let Some(place) = places.get_mut(number(item) as usize) else { continue };
        if let Some(free) = spare.get_mut(*place as usize) {
            *free = *item;
        }
        *place += 1;
    }
    std::mem::swap(items, spare);
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
        sample::pairs_of(sample::catalogue(), made).iter().next().unwrap().worst
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
        assert_eq!(Outcome::ALL.map(Outcome::name), OUTCOMES);
        for outcome in Outcome::ALL {
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
        let made = [49_700, 49_668, 49_700].map(|port| {
            let made = sample::open("10.0.1.20", "10.0.0.10", Transport::Tcp, port, 1);
            made.told(Some("rpc-dynamic"), Standing::Uncatalogued, None)
        });
        let pairs = sample::pairs_of(sample::catalogue(), &made);
        let told: Vec<(u64, &[u16])> = pairs.rows().map(|(_, service)| (service.flows, service.ports)).collect();
        assert_eq!(told, [(3, &[49_668, 49_700][..])]);
    }

    #[test]
    fn services_without_a_name_go_by_their_port() {
        let made = [(Transport::Tcp, 8080), (Transport::Udp, 8080), (Transport::Gre, 0)]
            .map(|(transport, port)| sample::open("10.0.1.20", "10.0.0.10", transport, port, 1));
        let pairs = sample::pairs_of(sample::catalogue(), &made);
        let told: Vec<(&str, usize)> =
            pairs.rows().map(|(_, service)| (service.service.as_str(), service.ports.len())).collect();
        assert_eq!(told, [("gre", 0), ("tcp/8080", 1), ("udp/8080", 1)]);
    }
}
