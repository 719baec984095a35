//! What a person should look at: flows with the same story told as one finding.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::rc::Rc;

use foldhash::quality::RandomState;
use serde::Serialize;
use serde::Serializer;

use crate::catalogue::Catalogue;
use crate::catalogue::policy::RowId;
use crate::classify::judged::Collapse;
use crate::classify::judged::Judged;
use crate::classify::judged::tries;
use crate::classify::verdict::By;
use crate::classify::verdict::Confidence;
use crate::classify::verdict::FindingKind;
use crate::classify::verdict::Outcome;
use crate::classify::verdict::Reason;
use crate::classify::verdict::Standing;
use crate::classify::verdict::Why;
use crate::flow::icmp::IcmpMeaning;
use crate::flow::icmp::IcmpSeen;
use crate::learn::endpoints::Asked;
use crate::learn::endpoints::Unregistered;
use crate::learn::grade::Endpoints;
use crate::learn::grade::Guess;
use crate::model::addr::Addr;
use crate::model::app::AppProto;
use crate::model::ids::FrameId;
use crate::model::time::Timestamp;
use crate::model::transport::Transport;
use crate::model::uuid::InterfaceId;
use crate::report::filter::wireshark;
use crate::report::moment::Moment;
use crate::report::names::FrameName;
use crate::report::names::Names;
use crate::report::names::Party;
use crate::report::names::ServiceKey;
use crate::report::pairs::Pairs;
use crate::report::pairs::Row;
use crate::report::pairs::RowPlace;
use crate::report::rpc;
use crate::report::rpc::InterfaceName;
use crate::report::sanitise::Shown;
use crate::report::sentence::Sentence;

/// Frames named for one finding; the display filter finds the others.
const FRAMES_MAX: usize = 10;

/// Flows of one finding whose times are kept.
pub(crate) const SPANS_MAX: usize = 32;

/// A client, a server, the transport and the server's port.
pub type Service = (Addr, Addr, &'static str, u16);

/// One finding.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Finding {
    /// Of which kind.
    #[serde(rename = "finding", serialize_with = "kind_name")]
    pub kind: FindingKind,
    /// Who began it.
    pub client: Party,
    /// Who was to answer.
    pub server: Party,
    /// The transport.
    pub transport: &'static str,
    /// The port; `None` for many ports or a transport without.
    pub port: Option<u16>,
    /// The service's id.
    pub service: Shown,
    /// What the wire showed.
    pub outcome: &'static str,
    /// What the documents say.
    pub standing: &'static str,
    /// How sure: that of the surest flow.
    pub confidence: &'static str,
    /// The stable code of the rule that led to the outcome.
    pub reason: String,
    /// Who made it fail; `None` if it did not fail.
    pub by: Option<String>,
    /// How many flows.
    pub flows: u64,
    /// SYNs or requests in them.
    pub attempts: u64,
    /// When the first packet was seen.
    pub first: Moment,
    /// When the last packet was seen.
    pub last: Moment,
    /// Some frames that show it.
    pub frames: Vec<FrameName>,
    /// The rows that expect it.
    pub rows: Vec<Shown>,
    /// The RPC interface.
    pub interface: Option<InterfaceName>,
    /// A Wireshark display filter for its flows.
    pub wireshark: String,
    /// What to know and to do, in words.
    pub text: String,
    /// Why it is unexpected: `no_row`, `role_pair`, `direction`, `protocol_mismatch`, `rpc_interface` or
    /// `non_rpc_in_range`.
    pub standing_why: Option<&'static str>,
    /// The protocol that the payload is, certain or likely.
    pub app: Option<&'static str>,
    /// How far a scan or flood reaches.
    pub spread: Option<Spread>,
    /// The service's title, for people.
    #[serde(skip)]
    pub title: Shown,
    /// The first and the last packet of each flow, of at most [`SPANS_MAX`] flows, for a time line.
    #[serde(skip)]
    pub spans: Vec<[Moment; 2]>,
}

/// How far a scan or flood reaches.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Spread {
    /// Distinct sources.
    pub sources: u64,
    /// Distinct targets.
    pub targets: u64,
    /// Distinct ports.
    pub ports: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn kind_name<S: Serializer>(kind: &FindingKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.name())
}

/// The kinds in the order of the report: what hurts, what is open, what is many, what was tried, what is doubtful.
pub const KINDS: [FindingKind; 9] = [
    FindingKind::RpcBlocked,
    FindingKind::EpmBlocked,
    FindingKind::Blocked,
    FindingKind::Unexpected,
    FindingKind::Flood,
    FindingKind::Scan,
    FindingKind::Attempt,
    FindingKind::RpcNotRegistered,
    FindingKind::RangeOnly,
];

fn rank(kind: FindingKind) -> usize {
    KINDS.iter().position(|&known| known == kind).unwrap_or(KINDS.len())
}

/// What flows of one finding have in common. Sorts as the report does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Story {
    rank: usize,
    pub(crate) client: Party,
    pub(crate) server: Party,
    pub(crate) transport: Transport,
    pub(crate) port: Option<u16>,
    pub(crate) outcome: Outcome,
    pub(crate) reason: Option<Reason>,
    pub(crate) by: Option<By>,
    pub(crate) kind: FindingKind,
    /// The RPC interface, where the story is about it.
    pub(crate) interface: Option<InterfaceId>,
}

impl Story {
    /// That of a flow, if there is something to say of it alone.
    pub(crate) fn of(judged: &Judged<'_>) -> Option<Self> {
        let kind = judged.finding.filter(|_| judged.collapse.is_none())?;
        let (ends, verdict) = (judged.ends(), &judged.verdict);
        Some(Self {
            rank: rank(kind),
            client: Party::One(ends.orig.addr),
            server: Party::One(ends.resp.addr),
            transport: ends.transport,
            port: ends.transport.has_ports().then_some(ends.resp.port),
            outcome: verdict.outcome,
            // Why something works tells no story of its own.
            reason: verdict.outcome.is_failure().then_some(verdict.reason),
            by: verdict.by,
            kind,
            interface: interface(kind, judged),
        })
    }

    /// That of a scan or flood.
    pub(crate) fn of_whole(whole: &Collapse) -> Self {
        Self {
            rank: rank(whole.kind),
            client: whole.client.into(),
            server: whole.server.into(),
            transport: whole.transport,
            port: whole.port,
            outcome: whole.outcome,
            reason: None,
            by: None,
            kind: whole.kind,
            interface: None,
        }
    }
}

/// Sums of one finding.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    row: RowPlace,
    pub(crate) service: ServiceKey,
    pub(crate) worked: Option<Worked>,
    pub(crate) standing: Standing,
    pub(crate) reason: Reason,
    pub(crate) confidence: Confidence,
    pub(crate) flows: u64,
    pub(crate) attempts: u64,
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    pub(crate) icmp: Option<IcmpMeaning>,
    pub(crate) rows: Rc<[RowId]>,
    /// Whether what the documents say rests on roles that were inferred.
    pub(crate) roles_inferred: bool,
    pub(crate) rpc: Option<Guess>,
    app: Option<AppProto>,
    frames: Vec<FrameId>,
    spans: Vec<[Timestamp; 2]>,
}

/// What else passed between the two on the same service, and worked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Worked {
    /// So many flows.
    pub(crate) open: u64,
    /// Of so many.
    pub(crate) flows: u64,
    /// When the last of them began.
    pub(crate) last: Timestamp,
}

impl Worked {
    fn of(row: &Row) -> Option<Self> {
        Some(Self { open: row.open(), flows: row.flows, last: row.worked()? })
    }
}

/// Stories of flows that are kept no more which are remembered; beyond, only the ledger has them.
const PAST_MAX: usize = 1 << 16;

/// Findings of flows that are kept no more.
#[derive(Debug, Default)]
pub(crate) struct Past(Gathered);

impl Past {
    /// Adds a flow.
    pub(crate) fn add(&mut self, service: ServiceKey, judged: &Judged<'_>) {
        let known = self.0.groups.len();
        self.0.add_within(PAST_MAX, RowPlace::NONE, judged);
        if let Some((_, group)) = self.0.groups.get_mut(known) {
            group.service = service;
        }
    }

    /// Speaks of other rules from now on. What is of a service, or of rows, that are there no more goes.
    pub(crate) fn rename(&mut self, before: &Catalogue, now: &Catalogue) {
        let numbers: HashMap<&str, RowId> =
            (0..).zip(now.rows()).map(|(number, row)| (row.id.as_str(), RowId(number))).collect();
        let again = |rows: &[RowId]| -> Rc<[RowId]> {
            let known = rows.iter().filter_map(|row| numbers.get(before.row(*row).id.as_str()));
            let mut rows: Vec<RowId> = known.copied().collect();
            rows.sort_unstable();
            rows.into()
        };
        for (story, group) in std::mem::take(&mut self.0).groups {
            let stays = match group.service {
                ServiceKey::Known(service) => now.service_by_id(&before.service(service).id).is_some(),
                _ => true,
            };
            let rows = again(&group.rows);
            if !stays || (rows.is_empty() && !group.rows.is_empty()) {
                continue;
            }
            // As its row among the pairs is named.
            let port = story.port.unwrap_or_default();
            let service = ServiceKey::of(now.service_at(story.transport, port), story.transport, port);
            let standing = match &group.standing {
                Standing::Expected(rows) => Standing::Expected(again(rows)),
                Standing::ExpectedRpc(rows) => Standing::ExpectedRpc(again(rows)),
                Standing::ExpectedRange(rows) => Standing::ExpectedRange(again(rows)),
                without => without.clone(),
            };
            self.0.places.insert(story, self.0.groups.len());
            self.0.groups.push((story, Group { service, standing, rows, ..group }));
        }
    }
}

/// Findings while flows are added.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// Where stories stand that flows kept no more told.
    before: HashMap<Story, usize, RandomState>,
    /// Where others stand.
    places: HashMap<Story, usize, RandomState>,
    groups: Vec<(Story, Group)>,
    /// So many of them are of pairs that ended.
    ended: usize,
}

impl Gathered {
    /// Begins with what was found of flows that are kept no more.
    pub(crate) fn after(past: &Past) -> Self {
        let Self { places, groups, .. } = &past.0;
        Self { before: places.clone(), places: HashMap::default(), groups: groups.clone(), ended: groups.len() }
    }

    /// No more flows of the same two hosts will be added: nobody else tells their stories.
    pub(crate) fn end_pair(&mut self) {
        if self.groups.len() > self.ended {
            self.places.clear();
            let own = self.groups.get_mut(self.ended..).unwrap_or_default();
            own.sort_unstable_by_key(|(story, _)| *story);
            self.ended = self.groups.len();
        }
    }

    /// Adds a flow, if there is something to say of it; `row` is where its pair counts it.
    pub(crate) fn add(&mut self, row: RowPlace, judged: &Judged<'_>) {
        self.add_within(usize::MAX, row, judged);
    }

    /// The same, unless it tells a new story and there are so many already.
    fn add_within(&mut self, stories_max: usize, row: RowPlace, judged: &Judged<'_>) {
        let Some(story) = Story::of(judged) else { return };
        let (flow, verdict, kind) = (&judged.flow, &judged.verdict, story.kind);
        let before = if self.before.is_empty() { None } else { self.before.get(&story).copied() };
        let place = match (before, self.places.entry(story)) {
            (Some(place), _) => place,
            (None, Entry::Occupied(known)) => *known.get(),
            (None, Entry::Vacant(new)) if self.groups.len() < stories_max => *new.insert(self.groups.len()),
            (None, Entry::Vacant(_)) => return,
        };
        if place == self.groups.len() {
            let group = Group {
                row,
                service: ServiceKey::Bare,
                worked: None,
                standing: judged.standing.clone(),
                reason: verdict.reason,
                confidence: Confidence::Possible,
                flows: 0,
                attempts: 0,
                first: flow.first,
                last: flow.last_seen(),
                icmp: judged.icmp.map(IcmpSeen::meaning),
                rows: judged.standing.shared_rows(),
                roles_inferred: false,
                rpc: None,
                app: judged.app,
                frames: Vec::new(),
                spans: Vec::new(),
            };
            self.groups.push((story, group));
        }
        if let Some((_, group)) = self.groups.get_mut(place) {
            group.add(kind, judged);
        }
    }

    /// The findings, in order.
    pub(crate) fn finish<'a>(
        self,
        collapses: &[Collapse],
        endpoints: &Endpoints,
        pairs: &Pairs,
        names: Names<'a>,
        dated: bool,
    ) -> Findings<'a> {
        let told = self.groups.into_iter().map(|(story, mut group)| {
            let known = || pairs.find([story.client, story.server], story.transport, group.service);
            let place = if group.row == RowPlace::NONE { known() } else { Some(group.row) };
            if let Some(row) = place.and_then(|place| pairs.row(place)) {
                group.service = pairs.kind(row).map_or(group.service, |(_, service)| service);
                group.worked = Worked::of(row);
            }
            (story, Body::Flows(group))
        });
        let collapsed = collapses.iter().map(|whole| (Story::of_whole(whole), Body::Whole(whole.clone())));
        let mut all: Vec<(Story, Body)> = told.collect();
        all.extend(collapsed);
        all.extend(absent(endpoints));
        // Pair by pair they are in order but for their kinds: once these are apart, the second sort only looks.
        let mut by_kind: Vec<(usize, u32)> = all.iter().map(|(story, _)| story.rank).zip(0..).collect();
        by_kind.sort_unstable();
        let mut order: Vec<u32> = by_kind.into_iter().map(|(_, place)| place).collect();
        order.sort_by_key(|place| all.get(*place as usize).map(|(story, body)| (story, body.first())));
        Findings { names, dated, all, order }
    }
}

/// What a finding is made of.
#[derive(Debug)]
enum Body {
    Flows(Group),
    Whole(Collapse),
    /// The endpoint mapper knows no such interface.
    Absent(Unregistered, Asked),
}

impl Body {
    fn flows(&self) -> u64 {
        match self {
            Self::Flows(group) => group.flows,
            Self::Whole(collapse) => collapse.flows,
            Self::Absent(..) => 1,
        }
    }

    fn first(&self) -> Timestamp {
        match self {
            Self::Flows(group) => group.first,
            Self::Whole(collapse) => collapse.first,
            Self::Absent(_, asked) => asked.first.ts,
        }
    }
}

/// All findings, gravest first. Their words are found when they are told: there may be many.
#[derive(Debug)]
pub struct Findings<'a> {
    names: Names<'a>,
    dated: bool,
    all: Vec<(Story, Body)>,
    /// Their places, gravest first.
    order: Vec<u32>,
}

impl Finding {
    /// Who was to reach whom where, if it is of one client and one server.
    pub fn service(&self) -> Option<Service> {
        match (self.client, self.server, self.port) {
            (Party::One(client), Party::One(server), Some(port)) => Some((client, server, self.transport, port)),
            _ => None,
        }
    }
}

impl<'a> Findings<'a> {
    /// What each is about, in order.
    pub(crate) fn stories(&self) -> impl Iterator<Item = &Story> {
        self.order.iter().filter_map(|place| self.all.get(*place as usize)).map(|(story, _)| story)
    }

    fn ordered(&self) -> impl Iterator<Item = &(Story, Body)> {
        self.of_places(&self.order)
    }

    fn of_places(&self, places: &[u32]) -> impl Iterator<Item = &(Story, Body)> {
        places.iter().filter_map(|place| self.all.get(*place as usize))
    }

    /// Every finding.
    pub fn iter(&self) -> impl Iterator<Item = Finding> {
        self.ordered().map(|(story, body)| self.tell(story, body))
    }

    /// Those of a kind.
    pub fn of_kind(&self, kind: FindingKind) -> impl Iterator<Item = Finding> {
        let own = self.ordered().filter(move |(story, _)| story.kind == kind);
        own.map(|(story, body)| self.tell(story, body))
    }

    /// Those of a kind, pair by pair and transport by transport.
    pub fn pairs_of_kind(&self, kind: FindingKind) -> impl Iterator<Item = OfPair<'_>> {
        let pair = |place: &u32| {
            let (story, _) = self.all.get(*place as usize)?;
            Some((story.kind, story.client, story.server, story.transport))
        };
        let pairs = self.order.chunk_by(move |one, next| pair(one) == pair(next));
        let own =
            pairs.filter(move |places| self.of_places(places).next().is_some_and(|(story, _)| story.kind == kind));
        own.map(|places| OfPair { findings: self, places })
    }

    /// The kind of each.
    pub fn kinds(&self) -> impl Iterator<Item = FindingKind> {
        self.ordered().map(|(story, _)| story.kind)
    }

    /// The finding at a place of the order.
    pub fn get(&self, place: usize) -> Option<Finding> {
        self.of_places(self.order.get(place..=place)?).next().map(|(story, body)| self.tell(story, body))
    }

    /// Client, server, service and transport of each.
    pub fn rows(&self) -> impl Iterator<Item = (Party, Party, Shown, &'static str)> {
        self.ordered().map(|(story, body)| {
            let service = self.names.service_id(self.service(body), story.transport);
            (story.client, story.server, service, story.transport.name())
        })
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// What hosts, services and rows are called.
    pub fn names(&self) -> &Names<'a> {
        &self.names
    }

    fn service(&self, body: &Body) -> ServiceKey {
        match body {
            Body::Flows(group) => group.service,
            Body::Whole(collapse) => match collapse.port {
                Some(port) => {
                    let service = self.names.service_at(collapse.transport, port);
                    ServiceKey::of(service, collapse.transport, port)
                }
                None if collapse.transport.has_ports() => ServiceKey::Many,
                None => ServiceKey::Bare,
            },
            Body::Absent(..) => self.names.mapper().map_or(ServiceKey::Bare, ServiceKey::Known),
        }
    }

    fn tell(&self, story: &Story, body: &Body) -> Finding {
        let sentence = Sentence::new(&self.names, self.dated);
        match body {
            Body::Flows(group) => group.tell(story, &self.names, &sentence),
            Body::Whole(collapse) => tell_collapse(collapse, story, self.service(body), &self.names, &sentence),
            Body::Absent(question, asked) => {
                tell_absent(question, asked, story, self.service(body), &self.names, &sentence)
            }
        }
    }
}

/// Findings of one kind between two hosts over one transport.
#[derive(Clone, Copy, Debug)]
pub struct OfPair<'f> {
    findings: &'f Findings<'f>,
    places: &'f [u32],
}

impl OfPair<'_> {
    fn all(&self) -> impl Iterator<Item = &(Story, Body)> {
        self.findings.of_places(self.places)
    }

    /// The first of them.
    pub fn first(&self) -> Option<Finding> {
        self.all().next().map(|(story, body)| self.findings.tell(story, body))
    }

    /// Their ports.
    pub fn ports(&self) -> impl Iterator<Item = u16> {
        self.all().filter_map(|(story, _)| story.port)
    }

    /// How many flows they are made of.
    pub fn flows(&self) -> u64 {
        self.all().map(|(_, body)| body.flows()).sum()
    }
}

impl Serialize for Findings<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

/// Adds what is not there yet, in order, as long as there is room.
fn add_all<T: Copy + Ord>(known: &mut Vec<T>, more: impl Iterator<Item = T>, items_max: usize) {
    for item in more {
        if known.len() < items_max
            && let Err(at) = known.binary_search(&item)
        {
            known.insert(at, item);
        }
    }
}

impl Group {
    fn add(&mut self, kind: FindingKind, judged: &Judged<'_>) {
        let (flow, verdict) = (&judged.flow, &judged.verdict);
        self.flows += 1;
        self.attempts += tries(flow, judged.orig);
        // What rests on inferred roles is never confirmed; that something expected failed is a fact of the wire.
        let only_range = matches!(judged.standing, Standing::ExpectedRange(_));
        let most = match (kind, verdict.outcome) {
            // That nobody listens on some port of a range says little.
            (FindingKind::Blocked, Outcome::Refused) if only_range => Confidence::Possible,
            (FindingKind::Blocked | FindingKind::EpmBlocked, _) => Confidence::Confirmed,
            (FindingKind::RpcBlocked, _) => rpc::most(judged),
            _ if matches!(judged.standing, Standing::Unexpected(Why::RpcInterface)) => {
                let by_roles = if judged.roles_inferred { Confidence::Probable } else { Confidence::Confirmed };
                by_roles.min(rpc::most(judged))
            }
            _ if judged.roles_inferred => Confidence::Probable,
            _ => Confidence::Confirmed,
        };
        self.confidence = self.confidence.max(verdict.confidence.min(most));
        self.first = self.first.min(flow.first);
        self.last = self.last.max(flow.last_seen());
        self.roles_inferred |= judged.roles_inferred;
        if let Some(guess) = &judged.rpc
            && self.rpc.as_ref().is_none_or(|known| (guess.grade, guess.learned) < (known.grade, known.learned))
        {
            self.rpc = Some(guess.clone());
        }
        if *self.rows != *judged.standing.rows() {
            let mut rows = self.rows.to_vec();
            add_all(&mut rows, judged.standing.rows().iter().copied(), usize::MAX);
            self.rows = rows.into();
        }
        add_all(&mut self.frames, verdict.frames.iter(), FRAMES_MAX);
        add_all(&mut self.spans, std::iter::once([flow.first, flow.last_seen()]), SPANS_MAX);
    }

    fn tell(&self, story: &Story, names: &Names<'_>, sentence: &Sentence<'_>) -> Finding {
        let service = self.service;
        let text = sentence.flows(story, self);
        Finding {
            kind: story.kind,
            client: story.client,
            server: story.server,
            transport: story.transport.name(),
            port: story.port,
            service: names.service_id(service, story.transport),
            outcome: story.outcome.name(),
            standing: self.standing.name(),
            confidence: self.confidence.name(),
            reason: self.reason.to_string(),
            by: story.by.map(|by| by.to_string()),
            flows: self.flows,
            attempts: self.attempts,
            first: Moment(self.first),
            last: Moment(self.last),
            frames: self.frames.iter().map(|&frame| names.frame(frame)).collect(),
            rows: self.rows.iter().map(|&row| names.row(row)).collect(),
            interface: self
                .rpc
                .as_ref()
                .filter(|_| about_rpc(story.kind, &self.standing))
                .map(|guess| rpc::of_guess(guess, names)),
            wireshark: wireshark(story.client, story.server, story.transport, story.port),
            text,
            standing_why: match self.standing {
                Standing::Unexpected(why) => Some(why.name()),
                _ => None,
            },
            app: self.app.map(AppProto::name),
            spread: None,
            title: names.service_title(service, story.transport),
            spans: self.spans.iter().map(|span| span.map(Moment)).collect(),
        }
    }
}

/// Whether a finding is about an RPC interface.
fn about_rpc(kind: FindingKind, standing: &Standing) -> bool {
    let by_interface = matches!(standing, Standing::ExpectedRpc(_) | Standing::Unexpected(Why::RpcInterface));
    kind == FindingKind::RpcBlocked || by_interface
}

/// The interface that a flow's finding is about.
fn interface(kind: FindingKind, judged: &Judged<'_>) -> Option<InterfaceId> {
    let guess = judged.rpc.as_ref().filter(|_| about_rpc(kind, &judged.standing))?;
    guess.interfaces.first().copied()
}

/// What was asked of endpoint mappers in vain.
fn absent(endpoints: &Endpoints) -> Vec<(Story, Body)> {
    let kind = FindingKind::RpcNotRegistered;
    let tell = |&(question, asked): &(Unregistered, Asked)| {
        let story = Story {
            rank: rank(kind),
            client: Party::One(question.client),
            server: Party::One(question.server),
            transport: Transport::Tcp,
            port: Some(question.mapper),
            outcome: Outcome::Open,
            reason: None,
            by: None,
            kind,
            interface: Some(question.interface),
        };
        (story, Body::Absent(question, asked))
    };
    // What the server has over another transport runs.
    let runs = |question: &Unregistered| {
        let mut ports =
            endpoints.ports().filter(|(server, over, ..)| *server == question.server && *over != question.over);
        ports.any(|(.., learned)| learned.iter().any(|known| known.own && known.interface == Some(question.interface)))
    };
    endpoints.unregistered().iter().filter(|(question, _)| !runs(question)).map(tell).collect()
}

fn tell_absent(
    question: &Unregistered,
    asked: &Asked,
    story: &Story,
    service: ServiceKey,
    names: &Names<'_>,
    sentence: &Sentence<'_>,
) -> Finding {
    let mut frames = vec![asked.first.frame, asked.last.frame];
    frames.dedup();
    Finding {
        kind: story.kind,
        client: story.client,
        server: story.server,
        transport: story.transport.name(),
        port: story.port,
        service: names.service_id(service, story.transport),
        outcome: story.outcome.name(),
        standing: "not_judged",
        confidence: Confidence::Confirmed.name(),
        reason: "ept_s_not_registered".to_owned(),
        by: None,
        flows: 1,
        attempts: asked.answers,
        first: Moment(asked.first.ts),
        last: Moment(asked.last.ts),
        frames: frames.into_iter().map(|frame| names.frame(frame)).collect(),
        rows: Vec::new(),
        interface: Some(rpc::of_question(question.interface, asked.first.frame, names)),
        wireshark: wireshark(story.client, story.server, story.transport, story.port),
        text: sentence.unregistered(question, asked),
        standing_why: None,
        app: None,
        spread: None,
        title: names.service_title(service, story.transport),
        spans: vec![[Moment(asked.first.ts); 2], [Moment(asked.last.ts); 2]],
    }
}

fn tell_collapse(
    collapse: &Collapse,
    story: &Story,
    service: ServiceKey,
    names: &Names<'_>,
    sentence: &Sentence<'_>,
) -> Finding {
    Finding {
        kind: collapse.kind,
        client: story.client,
        server: story.server,
        transport: story.transport.name(),
        port: collapse.port,
        service: names.service_id(service, collapse.transport),
        outcome: collapse.outcome.name(),
        standing: "not_judged",
        confidence: collapse.confidence.name(),
        reason: collapse.kind.name().to_owned(),
        by: Some(By::Unknown.to_string()),
        flows: collapse.flows,
        attempts: collapse.attempts,
        first: Moment(collapse.first),
        last: Moment(collapse.last),
        frames: collapse.frames.iter().map(|frame| names.frame(frame)).collect(),
        rows: Vec::new(),
        interface: None,
        wireshark: wireshark(story.client, story.server, story.transport, story.port),
        text: sentence.collapse(collapse, service),
        standing_why: None,
        app: None,
        spread: Some(Spread { sources: collapse.sources, targets: collapse.targets, ports: collapse.ports }),
        title: names.service_title(service, collapse.transport),
        spans: vec![[Moment(collapse.first), Moment(collapse.last)]],
    }
}

/// What makes a run fail (`--fail-on`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FailOn {
    /// Something expected failed.
    Blocked,
    /// Something works that no row allows.
    Unexpected,
    /// Something was tried that no row allows.
    Attempt,
    /// Any finding at all.
    Any,
}

impl FailOn {
    /// All, with the names used on the command line.
    pub const ALL: [(&'static str, Self); 4] =
        [("blocked", Self::Blocked), ("unexpected", Self::Unexpected), ("attempt", Self::Attempt), ("any", Self::Any)];

    /// The kind of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, kind)| kind)
    }

    /// Whether a finding of this kind is meant.
    pub fn means(self, kind: FindingKind) -> bool {
        match self {
            Self::Blocked => {
                matches!(kind, FindingKind::Blocked | FindingKind::RpcBlocked | FindingKind::EpmBlocked)
            }
            Self::Unexpected => kind == FindingKind::Unexpected,
            Self::Attempt => kind == FindingKind::Attempt,
            Self::Any => true,
        }
    }
}
