//! What a person should look at: flows with the same story told as one finding.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::Serializer;

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
use crate::flow::icmp::IcmpMeaning;
use crate::model::ids::FrameId;
use crate::model::time::Timestamp;
use crate::model::transport::Transport;
use crate::report::filter::wireshark;
use crate::report::moment::Moment;
use crate::report::names::FrameName;
use crate::report::names::Names;
use crate::report::names::Party;
use crate::report::names::ServiceKey;
use crate::report::pairs::Pairs;
use crate::report::pairs::RowKey;
use crate::report::sanitise::Shown;
use crate::report::sentence::Sentence;

/// Frames named for one finding; the display filter finds the others.
const FRAMES_MAX: usize = 10;

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
    /// The RPC interface; not told yet.
    pub interface: Option<()>,
    /// A Wireshark display filter for its flows.
    pub wireshark: String,
    /// What to know and to do, in words.
    pub text: String,
    /// Why it is unexpected: `no_row`, `role_pair` or `direction`.
    pub standing_why: Option<&'static str>,
    /// How far a scan or flood reaches.
    pub spread: Option<Spread>,
    /// The service's title, for people.
    #[serde(skip)]
    pub title: Shown,
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
pub const KINDS: [FindingKind; 6] = [
    FindingKind::Blocked,
    FindingKind::Unexpected,
    FindingKind::Flood,
    FindingKind::Scan,
    FindingKind::Attempt,
    FindingKind::RangeOnly,
];

fn rank(kind: FindingKind) -> usize {
    KINDS.iter().position(|&known| known == kind).unwrap_or(KINDS.len())
}

/// What flows of one finding have in common. Sorts as the report does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
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
}

/// Sums of one finding.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) row: RowKey,
    pub(crate) standing: Standing,
    pub(crate) reason: Reason,
    pub(crate) confidence: Confidence,
    pub(crate) flows: u64,
    pub(crate) attempts: u64,
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    pub(crate) icmp: Option<IcmpMeaning>,
    pub(crate) rows: Vec<RowId>,
    /// Whether what the documents say rests on roles that were inferred.
    pub(crate) roles_inferred: bool,
    frames: Vec<FrameId>,
}

/// Sums of all findings.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    groups: BTreeMap<Story, Group>,
}

impl Findings {
    /// Adds a flow, if there is something to say of it; `row` is where its pair counts it.
    pub(crate) fn add(&mut self, row: RowKey, judged: &Judged<'_>) {
        let Some(kind) = judged.finding.filter(|_| judged.collapse.is_none()) else { return };
        let ends = judged.ends();
        let verdict = &judged.verdict;
        let story = Story {
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
        };
        let flow = &judged.flow;
        let group = self.groups.entry(story).or_insert_with(|| Group {
            row,
            standing: judged.standing.clone(),
            reason: verdict.reason,
            confidence: Confidence::Possible,
            flows: 0,
            attempts: 0,
            first: flow.first,
            last: flow.last_seen(),
            icmp: judged.icmp.map(|icmp| IcmpMeaning::of(icmp.v6, icmp.kind, icmp.code)),
            rows: Vec::new(),
            roles_inferred: false,
            frames: Vec::new(),
        });
        group.flows += 1;
        group.attempts += tries(flow, judged.orig);
        // What rests on inferred roles is never confirmed; that something expected failed is a fact of the wire.
        let only_range = matches!(judged.standing, Standing::ExpectedRange(_));
        let most = match (kind, verdict.outcome) {
            // That nobody listens on some port of a range says little.
            (FindingKind::Blocked, Outcome::Refused) if only_range => Confidence::Possible,
            (FindingKind::Blocked, _) => Confidence::Confirmed,
            _ if judged.roles_inferred => Confidence::Probable,
            _ => Confidence::Confirmed,
        };
        group.confidence = group.confidence.max(verdict.confidence.min(most));
        group.first = group.first.min(flow.first);
        group.last = group.last.max(flow.last_seen());
        group.roles_inferred |= judged.roles_inferred;
        add_all(&mut group.rows, judged.standing.rows().iter().copied(), usize::MAX);
        add_all(&mut group.frames, verdict.frames.iter(), FRAMES_MAX);
    }

    /// The findings, in order.
    pub(crate) fn finish(
        self,
        collapses: &[Collapse],
        pairs: &Pairs,
        names: &Names<'_>,
        sentence: &Sentence<'_>,
    ) -> Vec<Finding> {
        let told = self.groups.into_iter().map(|(story, group)| {
            let finding = group.tell(&story, pairs, names, sentence);
            (story, finding)
        });
        let collapsed = collapses.iter().map(|collapse| {
            let story = Story {
                rank: rank(collapse.kind),
                client: collapse.client.into(),
                server: collapse.server.into(),
                transport: collapse.transport,
                port: collapse.port,
                outcome: collapse.outcome,
                reason: None,
                by: None,
                kind: collapse.kind,
            };
            (story, tell_collapse(collapse, &story, names, sentence))
        });
        let mut all: Vec<(Story, Finding)> = told.chain(collapsed).collect();
        all.sort_by_key(|(story, finding)| (*story, finding.first));
        all.into_iter().map(|(_, finding)| finding).collect()
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
    fn tell(self, story: &Story, pairs: &Pairs, names: &Names<'_>, sentence: &Sentence<'_>) -> Finding {
        let text = sentence.flows(story, &self, pairs.row(&self.row));
        Finding {
            kind: story.kind,
            client: story.client,
            server: story.server,
            transport: story.transport.name(),
            port: story.port,
            service: names.service_id(self.row.service, story.transport),
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
            interface: None,
            wireshark: wireshark(story.client, story.server, story.transport, story.port),
            text,
            standing_why: match self.standing {
                Standing::Unexpected(why) => Some(why.name()),
                _ => None,
            },
            spread: None,
            title: names.service_title(self.row.service, story.transport),
        }
    }
}

fn tell_collapse(collapse: &Collapse, story: &Story, names: &Names<'_>, sentence: &Sentence<'_>) -> Finding {
    let service = match collapse.port {
        Some(port) => ServiceKey::of(names.service_at(collapse.transport, port), collapse.transport, port),
        None if collapse.transport.has_ports() => ServiceKey::Many,
        None => ServiceKey::Bare,
    };
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
        spread: Some(Spread { sources: collapse.sources, targets: collapse.targets, ports: collapse.ports }),
        title: names.service_title(service, collapse.transport),
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
            Self::Blocked => kind == FindingKind::Blocked,
            Self::Unexpected => kind == FindingKind::Unexpected,
            Self::Attempt => kind == FindingKind::Attempt,
            Self::Any => true,
        }
    }
}
