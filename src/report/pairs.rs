//! Who used which services of whom, and how it went: flows added up per host pair and service.

use std::collections::HashMap;

use foldhash::quality::RandomState;
use serde::Serialize;

use crate::classify::judged::Collapse;
use crate::classify::judged::Judged;
use crate::classify::verdict::FindingKind;
use crate::classify::verdict::Outcome;
use crate::classify::verdict::Standing;
use crate::flow::fold::Fold;
use crate::flow::fold::FoldKey;
use crate::model::time::Timestamp;
use crate::model::transport::Transport;
use crate::report::counts::Counts;
use crate::report::handshakes::HandshakeUs;
use crate::report::handshakes::Handshakes;
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

    fn of(flow: &Judged<'_>) -> Self {
        if flow.collapse.is_some() {
            return Self::Attempt;
        }
        match (flow.finding, &flow.standing, flow.verdict.outcome) {
            (Some(FindingKind::Blocked), ..) => Self::Blocked,
            (Some(FindingKind::Unexpected), ..) => Self::Unexpected,
            (Some(FindingKind::Attempt | FindingKind::Scan | FindingKind::Flood), ..) => Self::Attempt,
            (Some(FindingKind::RangeOnly), ..) => Self::RangeOnly,
            (None, Standing::Expected(_) | Standing::ExpectedRange(_), Outcome::Open | Outcome::OneWay) => Self::Ok,
            (None, ..) => Self::NotJudged,
        }
    }
}

/// A client, a server, and what passed between them.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Pair {
    /// Who began the flows.
    pub client: Party,
    /// Who was to answer them.
    pub server: Party,
    /// The gravest of its services.
    pub worst: Worst,
    /// The services, by id and transport.
    pub services: Vec<PairService>,
}

/// The flows of one service over one transport between two hosts.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct PairService {
    /// The service's id; `tcp/8080` for a port without service, `tcp/*` for many ports.
    pub service: Shown,
    /// The service's title.
    pub title: Shown,
    /// The transport.
    pub transport: &'static str,
    /// The ports used, ascending; none where there are many or the transport has none.
    pub ports: Vec<u16>,
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

/// What is added up separately.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct RowKey {
    pub(crate) client: Party,
    pub(crate) server: Party,
    pub(crate) transport: Transport,
    pub(crate) service: ServiceKey,
}

/// Sums of one row.
#[derive(Debug, Default)]
pub(crate) struct Row {
    ports: Vec<u16>,
    pub(crate) flows: u64,
    outcomes: Counts,
    standings: Counts,
    packets: [u64; 2],
    bytes: [u64; 2],
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    handshakes: Handshakes,
    worst: Option<Worst>,
    /// When a flow that worked began, the latest.
    pub(crate) worked: Option<Timestamp>,
}

impl Row {
    /// How many of its flows worked.
    pub(crate) fn open(&self) -> u64 {
        self.outcomes.get(Outcome::Open.name())
    }

    fn spread(&mut self, first: Option<Timestamp>, last: Option<Timestamp>) {
        self.first = self.first.into_iter().chain(first).min();
        self.last = self.last.max(last);
    }

    fn used(&mut self, port: u16) {
        if let Err(at) = self.ports.binary_search(&port) {
            self.ports.insert(at, port);
        }
    }

    fn finish(mut self, key: &RowKey, names: &Names<'_>) -> PairService {
        self.ports.shrink_to_fit();
        let [packets_to_server, packets_to_client] = self.packets;
        let [bytes_to_server, bytes_to_client] = self.bytes;
        let service = names.service_id(key.service, key.transport);
        PairService {
            title: if let ServiceKey::Known(_) = key.service {
                names.service_title(key.service, key.transport)
            } else {
                service.clone()
            },
            service,
            transport: key.transport.name(),
            ports: self.ports,
            flows: self.flows,
            outcomes: self.outcomes,
            standings: self.standings,
            packets_to_server,
            packets_to_client,
            bytes_to_server,
            bytes_to_client,
            first: self.first.map(Moment),
            last: self.last.map(Moment),
            handshake_us: self.handshakes.summary(),
            worst: self.worst.unwrap_or(Worst::NotJudged),
        }
    }
}

/// Sums of all rows. A scan may make millions of them: they are hashed, and sorted once at the end.
#[derive(Debug, Default)]
pub(crate) struct Pairs {
    rows: HashMap<RowKey, Box<Row>, RandomState>,
}

impl Pairs {
    /// The row that a flow belongs to, which for part of a scan or flood is that of the whole.
    pub(crate) fn key_of(flow: &Judged<'_>, collapses: &[Collapse]) -> RowKey {
        let ends = flow.ends();
        let service = ServiceKey::of(flow.service, ends.transport, ends.resp.port);
        match flow.collapse.and_then(|index| collapses.get(index)) {
            Some(whole) => RowKey {
                client: whole.client.into(),
                server: whole.server.into(),
                transport: ends.transport,
                service: if whole.port.is_some() { service } else { ServiceKey::Many },
            },
            None => RowKey {
                client: Party::One(ends.orig.addr),
                server: Party::One(ends.resp.addr),
                transport: ends.transport,
                service,
            },
        }
    }

    /// Adds a flow to a row.
    pub(crate) fn add(&mut self, key: RowKey, judged: &Judged<'_>) {
        let flow = &judged.flow;
        let (orig, resp) = (judged.orig.index(), judged.orig.other().index());
        let row = self.rows.entry(key).or_default();
        let port = judged.ends().resp.port;
        if key.transport.has_ports() && key.service != ServiceKey::Many {
            row.used(port);
        }
        row.flows += 1;
        row.outcomes.add(judged.verdict.outcome.name(), 1);
        row.standings.add(judged.standing.name(), 1);
        for (way, side) in [orig, resp].into_iter().enumerate() {
            row.packets[way] += flow.packets[side];
            row.bytes[way] += flow.payload[side];
        }
        row.spread(Some(flow.first), Some(flow.last_seen()));
        if flow.handshake_us > 0 {
            row.handshakes.add(flow.handshake_us);
        }
        let worst = Worst::of(judged);
        row.worst = Some(row.worst.map_or(worst, |known| known.min(worst)));
        if judged.verdict.outcome == Outcome::Open {
            row.worked = row.worked.max(Some(flow.first));
        }
    }

    /// Adds the totals of flows that were given up. They are never judged.
    ///
    /// They stand in the row of the scan or flood that they are part of.
    pub(crate) fn add_fold(&mut self, key: &FoldKey, fold: &Fold, service: ServiceKey, collapses: &[Collapse]) {
        let row_key = match collapses.iter().find(|whole| whole.takes(key, fold)) {
            Some(whole) => RowKey {
                client: whole.client.into(),
                server: whole.server.into(),
                transport: key.transport,
                service: if whole.port.is_some() { service } else { ServiceKey::Many },
            },
            None => RowKey {
                client: key.client.into(),
                server: key.server.map(|(addr, _)| addr).into(),
                transport: key.transport,
                service,
            },
        };
        let row = self.rows.entry(row_key).or_default();
        if let Some((_, port)) = key.server
            && key.transport.has_ports()
            && row_key.service != ServiceKey::Many
        {
            row.used(port);
        }
        row.flows += fold.flows;
        let rest = fold.flows.saturating_sub(fold.answered).saturating_sub(fold.refused);
        for (outcome, flows) in
            [(Outcome::Open, fold.answered), (Outcome::Refused, fold.refused), (Outcome::Unknown, rest)]
        {
            row.outcomes.add(outcome.name(), flows);
        }
        row.standings.add("not_judged", fold.flows);
        for way in 0..2 {
            row.packets[way] += fold.packets[way];
            row.bytes[way] += fold.payload[way];
        }
        row.spread(fold.first, fold.last);
    }

    /// The row of that key.
    pub(crate) fn row(&self, key: &RowKey) -> Option<&Row> {
        self.rows.get(key).map(Box::as_ref)
    }

    /// The pairs: gravest first, then by client and server.
    pub(crate) fn finish(self, names: &Names<'_>) -> Vec<Pair> {
        let mut pairs: Vec<Pair> = Vec::new();
        let mut rows: Vec<(RowKey, Box<Row>)> = self.rows.into_iter().collect();
        rows.sort_unstable_by_key(|(key, _)| *key);
        for (key, row) in rows {
            let service = row.finish(&key, names);
            match pairs.last_mut() {
                Some(pair) if (pair.client, pair.server) == (key.client, key.server) => {
                    pair.worst = pair.worst.min(service.worst);
                    pair.services.push(service);
                }
                complete => {
                    if let Some(pair) = complete {
                        pair.services.shrink_to_fit();
                    }
                    let (client, server, worst) = (key.client, key.server, service.worst);
                    pairs.push(Pair { client, server, worst, services: vec![service] });
                }
            }
        }
        for pair in &mut pairs {
            pair.services.sort_by(|a, b| (&a.service, a.transport).cmp(&(&b.service, b.transport)));
        }
        pairs.sort_by_key(|pair| (pair.worst, pair.client, pair.server));
        pairs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::verdict::By;
    use crate::classify::verdict::Reason;
    use crate::classify::verdict::WhyNot;
    use crate::report::sample;
    use crate::report::sample::Made;

    fn worst(made: &[Made]) -> Worst {
        let catalogue = sample::catalogue();
        let names = sample::names(&catalogue, &sample::run());
        let mut pairs = Pairs::default();
        for made in made {
            let judged = made.judged(&catalogue);
            pairs.add(Pairs::key_of(&judged, &[]), &judged);
        }
        pairs.finish(&names)[0].worst
    }

    #[test]
    fn a_pair_is_well_only_if_something_expected_worked() {
        let open = || sample::open("10.0.1.20", "10.0.0.10", Transport::Tcp, 88, 1);
        let expected = || Standing::Expected(Vec::new());
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
    fn ports_are_listed_once_in_order() {
        let catalogue = sample::catalogue();
        let names = sample::names(&catalogue, &sample::run());
        let mut pairs = Pairs::default();
        for port in [49_700, 49_668, 49_700] {
            let made = sample::open("10.0.1.20", "10.0.0.10", Transport::Tcp, port, 1);
            let made = made.told(Some("rpc-dynamic"), Standing::Uncatalogued, None);
            let judged = made.judged(&catalogue);
            pairs.add(Pairs::key_of(&judged, &[]), &judged);
        }
        let pair = &pairs.finish(&names)[0];
        assert_eq!(pair.services.len(), 1);
        assert_eq!((pair.services[0].flows, &pair.services[0].ports), (3, &vec![49_668, 49_700]));
    }

    #[test]
    fn services_without_a_name_go_by_their_port() {
        let catalogue = sample::catalogue();
        let names = sample::names(&catalogue, &sample::run());
        let mut pairs = Pairs::default();
        for (transport, port) in [(Transport::Tcp, 8080), (Transport::Udp, 8080), (Transport::Gre, 0)] {
            let made = sample::open("10.0.1.20", "10.0.0.10", transport, port, 1);
            let judged = made.judged(&catalogue);
            pairs.add(Pairs::key_of(&judged, &[]), &judged);
        }
        let pair = &pairs.finish(&names)[0];
        let told: Vec<(&str, usize)> =
            pair.services.iter().map(|service| (service.service.as_str(), service.ports.len())).collect();
        assert_eq!(told, [("gre", 0), ("tcp/8080", 1), ("udp/8080", 1)]);
    }
}
