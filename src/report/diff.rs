//! Two reports compared: what a change between two captures did, service by service of each two hosts.
//!
//! Hands on a [`Diff`], which `diff_pages` writes. A service that nobody tried is never said to work.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde::Serialize;
use serde::Serializer;

use crate::classify::verdict::Outcome;
use crate::model::transport::Transport;
use crate::report::Tool;
use crate::report::findings::FailOn;
use crate::report::names::Party;
use crate::report::pairs::Worst;
use crate::report::sanitise::Shown;
use crate::report::saved::SavedFinding;
use crate::report::saved::SavedFrame;
use crate::report::saved::SavedReport;
use crate::report::saved::SavedService;

/// What a service between two hosts was like in one report.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stand {
    /// Something expected failed.
    Blocked,
    /// It works, and no row allows it.
    Unexpected,
    /// It was tried, and no row allows it.
    Attempt,
    /// It works.
    Works,
    /// It failed, and could not be held against any row.
    Failed,
    /// Flows were seen; whether it works cannot be told.
    Untold,
    /// No flow was seen.
    NotSeen,
}

impl Stand {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Unexpected => "unexpected",
            Self::Attempt => "tried in vain",
            Self::Works => "works",
            Self::Failed => "failed, not judged",
            Self::Untold => "not to be told",
            Self::NotSeen => "not seen",
        }
    }

    fn of(service: &SavedService) -> Self {
        let worst = service.worst.as_str();
        let worked = [Outcome::Open, Outcome::OneWay]
            .iter()
            .any(|outcome| service.outcomes.iter().any(|(name, flows)| name.as_str() == outcome.name() && *flows > 0));
        if worst == Worst::Blocked.name() {
            Self::Blocked
        } else if worst == Worst::Unexpected.name() {
            Self::Unexpected
        } else if worst == Worst::Attempt.name() {
            Self::Attempt
        } else if worked {
            Self::Works
        } else if service.outcomes.iter().any(|(name, flows)| Outcome::is_failure_name(name.as_str()) && *flows > 0) {
            Self::Failed
        } else {
            Self::Untold
        }
    }
}

/// Of which kind a change is. In the order of the pages.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// Blocked after, and not blocked before.
    NewlyBlocked,
    /// Unexpected after, and not unexpected before.
    NewlyUnexpected,
    /// Tried in vain and not allowed after, and not so before.
    NewlyTried,
    /// Worked before; after, it fails, though no row says whether it should work.
    NewlyFailing,
    /// Blocked before, or it failed, and works after.
    NowWorking,
    /// Blocked in both.
    StillBlocked,
    /// Blocked or unexpected before; after, nobody tried it or what became of it is not shown.
    NotShownAgain,
    /// Unexpected before; after it fails or is allowed.
    NoLongerUnexpected,
    /// Seen after only, between hosts that met before.
    NewService,
    /// Seen before only, between hosts that still meet.
    GoneService,
    /// Seen after only, between hosts that did not meet before.
    NewPair,
    /// Seen before only, between hosts that meet no more.
    GonePair,
}

impl ChangeKind {
    /// All, in the order of the pages.
    pub const ALL: [Self; 12] = [
        Self::NewlyBlocked,
        Self::NewlyUnexpected,
        Self::NewlyTried,
        Self::NewlyFailing,
        Self::NowWorking,
        Self::StillBlocked,
        Self::NotShownAgain,
        Self::NoLongerUnexpected,
        Self::NewService,
        Self::GoneService,
        Self::NewPair,
        Self::GonePair,
    ];

    /// The name used in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::NewlyBlocked => "newly_blocked",
            Self::NewlyUnexpected => "newly_unexpected",
            Self::NewlyTried => "newly_tried",
            Self::NewlyFailing => "newly_failing",
            Self::NowWorking => "now_working",
            Self::StillBlocked => "still_blocked",
            Self::NotShownAgain => "not_shown_again",
            Self::NoLongerUnexpected => "no_longer_unexpected",
            Self::NewService => "new_service",
            Self::GoneService => "gone_service",
            Self::NewPair => "new_pair",
            Self::GonePair => "gone_pair",
        }
    }

    /// Whether its name is that of a thing, of which there may be several.
    pub fn is_of_things(self) -> bool {
        matches!(self, Self::NewService | Self::GoneService | Self::NewPair | Self::GonePair)
    }

    /// A heading for people.
    pub fn title(self) -> String {
        let words = self.name().replace('_', " ");
        let mut letters = words.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
    }
}

/// What changed for one service between two hosts.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Change {
    /// Of which kind.
    pub change: ChangeKind,
    /// Who begins it.
    pub client: Party,
    /// Who is to answer.
    pub server: Party,
    /// The service's id.
    pub service: Shown,
    /// Its title.
    pub title: Shown,
    /// The transport.
    #[serde(serialize_with = "transport_name")]
    pub transport: Transport,
    /// The ports used, before or after.
    pub ports: Vec<u16>,
    /// What it was like.
    pub before: Stand,
    /// What it is like.
    pub after: Stand,
    /// Flows before and after.
    pub flows: [u64; 2],
    /// The finding that shows it, of the report after where there is one, else of that before.
    pub evidence: Option<Evidence>,
}

/// What a finding of one of the reports says.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Evidence {
    /// `before` or `after`.
    pub of: &'static str,
    /// The finding's kind.
    pub finding: Shown,
    /// The reason's code.
    pub reason: Shown,
    /// How sure.
    pub confidence: Shown,
    /// The RPC interfaces that such findings name.
    pub interfaces: Vec<Shown>,
    /// Frames in the captures of that report.
    pub frames: Vec<Shown>,
    /// The finding in words.
    pub text: Shown,
}

/// One of the two reports.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Side {
    /// Its captures.
    pub inputs: Vec<Shown>,
    /// Time of the earliest frame.
    pub first: Option<Shown>,
    /// Time of the latest frame.
    pub last: Option<Shown>,
    /// Services with a flow.
    pub services: u64,
}

/// Two reports compared. Serialises as schema `portolan/diff/1`.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Diff {
    /// The schema's name.
    pub schema: &'static str,
    /// Who made it.
    pub tool: Tool,
    /// The report before.
    pub before: Side,
    /// The report after.
    pub after: Side,
    /// What weakens the comparison, a sentence each.
    pub notes: Vec<String>,
    /// How many of each kind; kinds that do not occur are not there.
    pub counts: BTreeMap<&'static str, u64>,
    /// By kind, then by client, server and service.
    pub changes: Vec<Change>,
    /// Whether the report after cannot show every failure.
    #[serde(skip)]
    pub blind: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn transport_name<S: Serializer>(transport: &Transport, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(transport.name())
}

/// What is compared: client, server, service, transport.
type Key = (Party, Party, Shown, Transport);

/// The services of a report. What was told of many hosts at once, such as a scan, is not compared.
fn services(report: &SavedReport) -> BTreeMap<Key, &SavedService> {
    let pairs = report.pairs.iter().filter(|pair| pair.client != Party::Many && pair.server != Party::Many);
    let keyed = pairs.flat_map(|pair| {
        pair.services
            .iter()
            .map(|service| ((pair.client, pair.server, service.service.clone(), service.transport), service))
    });
    keyed.collect()
}

impl Diff {
    /// Compares two reports.
    pub fn of(before: &SavedReport, after: &SavedReport, tool: Tool) -> Self {
        let (old, new) = (services(before), services(after));
        let met = |services: &BTreeMap<Key, &SavedService>| -> BTreeSet<(Party, Party)> {
            services.keys().map(|(client, server, ..)| (*client, *server)).collect()
        };
        let pairs = [met(&old), met(&new)];
        let keys: BTreeSet<&Key> = old.keys().chain(new.keys()).collect();
        let [told_before, told_after] = [before, after].map(told);
        let mut changes: Vec<Change> = Vec::new();
        for key in keys {
            let sides = [old.get(key).copied(), new.get(key).copied()];
            let [was, is] = sides.map(|side| side.map_or(Stand::NotSeen, Stand::of));
            let ends = (key.0, key.1);
            let Some(change) = kind(was, is, pairs[0].contains(&ends), pairs[1].contains(&ends)) else { continue };
            let title = sides.into_iter().flatten().next_back().map(|side| side.title.clone());
            let ports: BTreeSet<u16> =
                sides.into_iter().flatten().flat_map(|side| side.ports.iter().copied()).collect();
            changes.push(Change {
                change,
                client: key.0,
                server: key.1,
                service: key.2.clone(),
                title: title.unwrap_or_default(),
                transport: key.3,
                ports: ports.into_iter().collect(),
                before: was,
                after: is,
                flows: sides.map(|side| side.map_or(0, |side| side.flows)),
                evidence: evidence("after", &told_after, key).or_else(|| evidence("before", &told_before, key)),
            });
        }
        changes.sort_by_key(|change| change.change);
        let mut counts = BTreeMap::new();
        for change in &changes {
            *counts.entry(change.change.name()).or_default() += 1;
        }
        Self {
            schema: "portolan/diff/1",
            tool,
            before: side(before, old.len()),
            after: side(after, new.len()),
            notes: notes(before, after),
            counts,
            changes,
            blind: is_blind(after),
        }
    }

    /// The changes of a kind.
    pub fn of_kind(&self, kind: ChangeKind) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(move |change| change.change == kind)
    }

    /// Whether something became worse in the way that `fail_on` means.
    pub fn has(&self, fail_on: FailOn) -> bool {
        let kinds: &[ChangeKind] = match fail_on {
            FailOn::Blocked => &[ChangeKind::NewlyBlocked],
            FailOn::Unexpected => &[ChangeKind::NewlyUnexpected],
            FailOn::Attempt => &[ChangeKind::NewlyTried],
            FailOn::Any => &[
                ChangeKind::NewlyBlocked,
                ChangeKind::NewlyUnexpected,
                ChangeKind::NewlyTried,
                ChangeKind::NewlyFailing,
            ],
        };
        self.changes.iter().any(|change| kinds.contains(&change.change))
    }
}

/// What became of a service; nothing where there is no change to tell.
fn kind(was: Stand, is: Stand, met_before: bool, met_after: bool) -> Option<ChangeKind> {
    match (was, is) {
        (Stand::Blocked, Stand::Blocked) => Some(ChangeKind::StillBlocked),
        (_, Stand::Blocked) => Some(ChangeKind::NewlyBlocked),
        (Stand::Unexpected, Stand::Unexpected) | (Stand::Attempt, Stand::Attempt) => None,
        (_, Stand::Unexpected) => Some(ChangeKind::NewlyUnexpected),
        (Stand::Blocked | Stand::Unexpected, Stand::NotSeen | Stand::Untold) => Some(ChangeKind::NotShownAgain),
        (Stand::Unexpected, Stand::Works | Stand::Attempt | Stand::Failed) => Some(ChangeKind::NoLongerUnexpected),
        (_, Stand::Attempt) => Some(ChangeKind::NewlyTried),
        (Stand::Works, Stand::Failed) => Some(ChangeKind::NewlyFailing),
        (Stand::Blocked | Stand::Attempt | Stand::Failed, Stand::Works) => Some(ChangeKind::NowWorking),
        (Stand::NotSeen, _) if met_before => Some(ChangeKind::NewService),
        (Stand::NotSeen, _) => Some(ChangeKind::NewPair),
        (_, Stand::NotSeen) if met_after => Some(ChangeKind::GoneService),
        (_, Stand::NotSeen) => Some(ChangeKind::GonePair),
        (_, Stand::Works | Stand::Untold | Stand::Failed) => None,
    }
}

/// Whether a report cannot show every failure.
fn is_blind(report: &SavedReport) -> bool {
    report.health.blind || report.health.asymmetric || report.run.inputs.iter().any(|input| input.error.is_some())
}

fn side(report: &SavedReport, services: usize) -> Side {
    let inputs = &report.run.inputs;
    Side {
        inputs: inputs.iter().map(|input| input.path.clone()).collect(),
        first: inputs.iter().filter_map(|input| input.first.clone()).min(),
        last: inputs.iter().filter_map(|input| input.last.clone()).max(),
        services: services as u64,
    }
}

/// The findings of a report by what they are about, each list with the gravest first.
type Told<'a> = BTreeMap<Key, Vec<&'a SavedFinding>>;

fn told(report: &SavedReport) -> Told<'_> {
    let mut all = Told::new();
    for finding in &report.findings {
        let key = (finding.client, finding.server, finding.service.clone(), finding.transport);
        all.entry(key).or_default().push(finding);
    }
    all
}

/// The gravest finding of a service.
fn evidence(of: &'static str, told: &Told<'_>, key: &Key) -> Option<Evidence> {
    let all = told.get(key)?;
    let first = all.first()?;
    let same = all.iter().filter(|finding| finding.finding == first.finding);
    let named = same.filter_map(|finding| {
        let interface = finding.interface.as_ref()?;
        interface.name.clone().or_else(|| interface.uuid.clone())
    });
    let interfaces: BTreeSet<Shown> = named.collect();
    let frame = |frame: &SavedFrame| match frame {
        SavedFrame::Number(number) => Shown::name(&number.to_string()),
        SavedFrame::InFile(name) => name.clone(),
    };
    Some(Evidence {
        of,
        finding: first.finding.clone(),
        reason: first.reason.clone(),
        confidence: first.confidence.clone(),
        interfaces: interfaces.into_iter().collect(),
        frames: first.frames.iter().map(frame).collect(),
        text: first.text.clone(),
    })
}

/// What makes the two hard to compare.
fn notes(before: &SavedReport, after: &SavedReport) -> Vec<String> {
    let mut notes = Vec::new();
    for (name, report) in [("before", before), ("after", after)] {
        if report.health.asymmetric {
            notes.push(format!("The report {name} saw one direction only: silence proves nothing in it."));
        } else if report.health.blind {
            let why = report.health.notes.first().map(|note| format!(" It says: {note}")).unwrap_or_default();
            notes.push(format!("The report {name} does not show every failure: too much is missing in it.{why}"));
        }
        if report.run.inputs.iter().any(|input| input.error.is_some()) {
            notes.push(format!("A capture of the report {name} is damaged."));
        }
    }
    let profiles = |report: &SavedReport| report.run.profiles.iter().cloned().collect::<BTreeSet<Shown>>();
    if profiles(before) != profiles(after) {
        notes.push("The two were judged by different profiles.".to_owned());
    }
    if before.run.site.is_some() != after.run.site.is_some() {
        notes.push("One of the two was judged with a site file, the other without.".to_owned());
    }
    if before.run.filter != after.run.filter {
        notes.push("The two were made with different capture filters.".to_owned());
    }
    notes
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop here")]

    use super::*;
    use crate::flow::fold::Folds;
    use crate::report::format::json;
    use crate::report::sample;
    use crate::report::sample::Made;
    use crate::report::saved;

    fn saved_report(made: &[Made]) -> SavedReport {
        let folds = Folds::default();
        let report = sample::report_of(sample::catalogue(), sample::run(), sample::health(), made, &folds);
        let mut page = Vec::new();
        json::write(&report, &mut page).unwrap();
        saved::read(page.as_slice()).unwrap()
    }

    fn diff(before: &[Made], after: &[Made]) -> Diff {
        let tool = Tool { name: "portolan", version: "0" };
        Diff::of(&saved_report(before), &saved_report(after), tool)
    }

    fn told(diff: &Diff) -> Vec<(ChangeKind, String, &str)> {
        diff.changes.iter().map(|change| (change.change, change.server.to_string(), change.service.as_str())).collect()
    }

    #[test]
    fn a_report_does_not_differ_from_itself() {
        let all = sample::flows(sample::catalogue());
        let same = diff(&all, &all);
        assert!(same.changes.iter().all(|change| change.change == ChangeKind::StillBlocked), "{:?}", same.changes);
        assert!(!FailOn::ALL.into_iter().any(|(_, fail_on)| same.has(fail_on)));
        assert!(same.notes.is_empty());
    }

    #[test]
    fn what_was_blocked_and_works_is_told_and_so_is_the_reverse() {
        let all = sample::flows(sample::catalogue());
        let works = &all[2..4];
        let fails = &all[4..5];
        let dc = "10.0.0.10".to_owned();
        let better = diff(fails, works);
        assert_eq!(told(&better), [(ChangeKind::NowWorking, dc.clone(), "ldap")]);
        assert_eq!(better.changes[0].evidence.as_ref().unwrap().of, "before");
        assert!(!better.has(FailOn::Any));
        let worse = diff(works, fails);
        assert_eq!(told(&worse), [(ChangeKind::NewlyBlocked, dc, "ldap")]);
        assert_eq!(worse.changes[0].flows, [2, 1]);
        assert!(worse.has(FailOn::Blocked) && worse.has(FailOn::Any) && !worse.has(FailOn::Unexpected));
    }

    #[test]
    fn what_fails_now_and_no_row_judges_is_a_change() {
        let all = sample::flows(sample::catalogue());
        let mut sides = [saved_report(&all[2..4]), saved_report(&all[2..4])];
        for (side, outcome) in sides.iter_mut().zip(["open", "dropped"]) {
            let service = &mut side.pairs[0].services[0];
            service.worst = Shown::text("not_judged");
            service.outcomes = [(Shown::text(outcome), 2)].into();
        }
        let [before, after] = &sides;
        let tool = || Tool { name: "portolan", version: "0" };
        let worse = Diff::of(before, after, tool());
        assert_eq!(told(&worse)[0].0, ChangeKind::NewlyFailing);
        assert!(worse.has(FailOn::Any) && !worse.has(FailOn::Blocked));
        assert_eq!(told(&Diff::of(after, before, tool()))[0].0, ChangeKind::NowWorking);
        assert_eq!(told(&Diff::of(after, after, tool())), []);
        let mut blind = after.clone();
        blind.health.blind = true;
        assert!(Diff::of(before, &blind, tool()).blind && !worse.blind);
    }

    #[test]
    fn what_nobody_tried_again_is_not_said_to_work() {
        let all = sample::flows(sample::catalogue());
        let silent = diff(&all[4..5], &all[0..0]);
        assert_eq!(told(&silent)[0].0, ChangeKind::NotShownAgain);
        let gone = diff(&all[2..4], &all[0..0]);
        assert_eq!(told(&gone)[0].0, ChangeKind::GonePair);
        let new = diff(&all[2..4], &all[2..6]);
        assert_eq!(
            told(&new).iter().map(|(kind, ..)| *kind).collect::<Vec<_>>(),
            [ChangeKind::NewlyBlocked, ChangeKind::NewlyUnexpected]
        );
    }
}
