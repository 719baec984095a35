//! Findings with all that proves them: times, frames, rows of documents, filters to copy.

use std::collections::BTreeMap;
use std::collections::HashMap;

use crate::catalogue::policy::Row;
use crate::classify::verdict::FindingKind;
use crate::report::Report;
use crate::report::findings::Finding;
use crate::report::findings::KINDS;
use crate::report::findings::SPANS_MAX;
use crate::report::format::html::mark::Mark;
use crate::report::format::html::matrix::Places;
use crate::report::format::html::who::Who;
use crate::report::format::summary;
use crate::report::moment::Moment;
use crate::report::moment::span;
use crate::report::names::FrameName;
use crate::report::names::Party;
use crate::report::sanitise::Shown;
use crate::report::words::count;
use crate::report::words::thousands;

/// Findings of one kind that are shown; the others are counted.
const FINDINGS_MAX: usize = 150;

/// Rows of documents listed for one finding; the others are counted.
const ROWS_MAX: usize = 12;

/// Steps of a time line from end to end.
const STEPS: u64 = 10_000;

/// What a flow is wide at least, so that one of a few milliseconds can be seen.
const STEPS_MIN: u64 = 40;

/// All findings of one kind.
pub(super) struct Kind {
    pub(super) mark: Mark,
    pub(super) id: &'static str,
    pub(super) title: String,
    pub(super) total: String,
    pub(super) findings: Vec<Evidence>,
    pub(super) cut: usize,
}

pub(super) struct Evidence {
    /// Its place in the report, from 1.
    pub(super) number: usize,
    pub(super) mark: Mark,
    pub(super) client: Who,
    pub(super) server: Who,
    pub(super) what: String,
    pub(super) outcome: &'static str,
    pub(super) confidence: &'static str,
    pub(super) text: String,
    /// What the program calls it, a name and a value each.
    pub(super) facts: Vec<(&'static str, String)>,
    pub(super) lanes: Vec<Lane>,
    pub(super) ends: [String; 2],
    pub(super) frames: Vec<String>,
    pub(super) rows: Vec<Cited>,
    pub(super) rows_cut: usize,
    /// Display filters, what each shows and the filter.
    pub(super) filters: Vec<(&'static str, String)>,
}

/// A row of a document.
pub(super) struct Cited {
    pub(super) id: String,
    pub(super) purpose: String,
    pub(super) place: String,
}

/// One line of a time line, from the first to the last frame of the capture.
pub(super) struct Lane {
    pub(super) name: String,
    pub(super) class: &'static str,
    pub(super) bars: Vec<Bar>,
    /// The same for those who do not see it.
    pub(super) words: String,
}

/// From where, and how wide, in [`STEPS`].
pub(super) struct Bar {
    pub(super) x: u64,
    pub(super) width: u64,
}

/// When flows of a pair were seen, by service and altogether.
#[derive(Default)]
struct Seen {
    services: BTreeMap<Shown, [Moment; 2]>,
    all: Option<[Moment; 2]>,
}

/// Every kind that occurs, gravest first.
pub(super) fn kinds(report: &Report<'_>) -> Vec<Kind> {
    let chosen = chosen(report);
    let mut pairs: HashMap<(Party, Party), Seen> = HashMap::new();
    for (_, finding) in chosen.iter().flat_map(|chosen| &chosen.findings) {
        pairs.entry((finding.client, finding.server)).or_default();
    }
    for pair in report.pairs.iter() {
        let Some(seen) = pairs.get_mut(&(pair.client, pair.server)) else { continue };
        for service in pair.services() {
            if let (Some(first), Some(last)) = (service.first, service.last) {
                seen.services
                    .entry(service.service.clone())
                    .and_modify(|ends| join(ends, first, last))
                    .or_insert([first, last]);
                seen.all.get_or_insert([first, last]);
                seen.all.iter_mut().for_each(|ends| join(ends, first, last));
            }
        }
    }
    let cites = report.findings.names().catalogue().rows();
    let cites: HashMap<&str, &Row> = cites.iter().map(|row| (row.id.as_str(), row)).collect();
    let evidence = |(number, finding): (usize, Finding)| {
        let seen = pairs.get(&(finding.client, finding.server));
        tell(number, finding, report, seen, &cites)
    };
    let kinds = chosen.into_iter().map(|Chosen { kind, total, findings }| Kind {
        mark: Mark::of_kind(kind),
        id: kind.name(),
        title: title(kind),
        total: thousands(total as u64),
        cut: total - findings.len(),
        findings: findings.into_iter().map(evidence).collect(),
    });
    kinds.collect()
}

/// The findings of one kind that are shown, with their places in the report, and how many there are.
struct Chosen {
    kind: FindingKind,
    total: usize,
    findings: Vec<(usize, Finding)>,
}

fn chosen(report: &Report<'_>) -> Vec<Chosen> {
    let mut all = Vec::new();
    let mut number = 1;
    for kind in KINDS {
        let total = summary::of_kind(report, kind);
        if total > 0 {
            let findings = (number..).zip(report.findings.of_kind(kind).take(FINDINGS_MAX)).collect();
            all.push(Chosen { kind, total, findings });
        }
        number += total;
    }
    all
}

/// Where the gravest finding of each pair and service stands.
pub(super) fn places(report: &Report<'_>) -> Places {
    let mut places = Places::new();
    let mut number = 1;
    let mut rows = report.findings.rows();
    for kind in KINDS {
        let total = summary::of_kind(report, kind);
        for (at, (client, server, service, _)) in rows.by_ref().take(total).enumerate() {
            if at < FINDINGS_MAX {
                places.entry((client, server, service)).or_insert(number + at);
            }
        }
        number += total;
    }
    places
}

fn join(ends: &mut [Moment; 2], first: Moment, last: Moment) {
    ends[0] = ends[0].min(first);
    ends[1] = ends[1].max(last);
}

fn title(kind: FindingKind) -> String {
    let words = match kind {
        FindingKind::RpcBlocked => "Blocked after the RPC endpoint mapper's answer",
        FindingKind::EpmBlocked => "RPC endpoint mapper blocked",
        FindingKind::Blocked => "Blocked: expected, and it failed",
        FindingKind::Unexpected => "Unexpected: no row allows it, and it works",
        FindingKind::Flood => "Floods",
        FindingKind::Scan => "Scans",
        FindingKind::Attempt => "Attempts: no row allows it, and it failed",
        FindingKind::RpcNotRegistered => "RPC interface not registered",
        FindingKind::RangeOnly => "Range only: it works, and only a wide range allows it",
    };
    words.to_owned()
}

fn tell(
    number: usize,
    finding: Finding,
    report: &Report<'_>,
    seen: Option<&Seen>,
    cites: &HashMap<&str, &Row>,
) -> Evidence {
    let what = match finding.port {
        Some(port) => format!("{} ({}/{port})", finding.title, finding.transport),
        None => finding.title.to_string(),
    };
    let what = match finding.interface.as_ref().and_then(|interface| interface.name.as_ref()) {
        Some(name) => format!("{name}, {what}"),
        None => what,
    };
    let dated = !report.run.is_one_day();
    let capture = report.run.span().map_or([finding.first, finding.last], |(first, last)| [first, last]);
    let rows = finding.rows.iter().take(ROWS_MAX).map(|id| {
        let row = cites.get(id.as_str());
        Cited {
            id: id.to_string(),
            purpose: row.map(|row| Shown::text(&row.purpose).to_string()).unwrap_or_default(),
            place: row.map(|row| Shown::text(&row.document).to_string()).unwrap_or_default(),
        }
    });
    Evidence {
        number,
        mark: Mark::of_kind(finding.kind),
        client: Who::of(finding.client, report),
        server: Who::of(finding.server, report),
        what,
        outcome: finding.outcome,
        confidence: finding.confidence,
        facts: facts(&finding),
        lanes: lanes(&finding, seen, capture, dated),
        ends: capture.map(|end| end.clock(dated)),
        frames: finding.frames.iter().map(ToString::to_string).collect(),
        rows: rows.collect(),
        rows_cut: finding.rows.len().saturating_sub(ROWS_MAX),
        filters: filters(&finding),
        text: finding.text,
    }
}

fn facts(finding: &Finding) -> Vec<(&'static str, String)> {
    let mut all = vec![
        ("outcome", format!("{}, {} ({})", finding.outcome, finding.confidence, finding.reason)),
        (
            "standing",
            match finding.standing_why {
                Some(why) => format!("{} ({why})", finding.standing),
                None => finding.standing.to_owned(),
            },
        ),
    ];
    all.extend(finding.by.clone().map(|by| ("who made it fail", by)));
    all.push(("flows", format!("{}, {}", count(finding.flows, "flow"), count(finding.attempts, "attempt"))));
    all.push(("first packet", finding.first.to_string()));
    all.push(("last packet", finding.last.to_string()));
    all.extend(finding.app.map(|app| ("payload", app.to_owned())));
    if let Some(interface) = &finding.interface {
        let name = interface.name.as_ref().map(|name| format!("{name} ")).unwrap_or_default();
        let uuid = interface.uuid.as_deref().unwrap_or("a DCOM object");
        let grade = interface.grade.map(|grade| format!(", grade {grade}")).unwrap_or_default();
        all.push(("RPC interface", format!("{name}{uuid}{grade}, learned in frame {}", interface.learned_frame)));
    }
    if let Some(spread) = finding.spread {
        let [sources, targets, ports] =
            [(spread.sources, "source"), (spread.targets, "target"), (spread.ports, "port")]
                .map(|(n, noun)| count(n, noun));
        all.push(("spread", format!("{sources}, {targets}, {ports}")));
    }
    all
}

/// The packets by their hosts and ports, and the frames named if they are of one capture.
fn filters(finding: &Finding) -> Vec<(&'static str, String)> {
    let mut all = vec![("all its packets", finding.wireshark.clone())];
    let numbers: Vec<String> = finding
        .frames
        .iter()
        .filter_map(|frame| match frame {
            FrameName::Number(number) => Some(number.to_string()),
            FrameName::InFile(_) => None,
        })
        .collect();
    if !numbers.is_empty() {
        all.push(("the frames named", format!("frame.number in {{{}}}", numbers.join(", "))));
    }
    all
}

fn lanes(finding: &Finding, seen: Option<&Seen>, capture: [Moment; 2], dated: bool) -> Vec<Lane> {
    let lane = |name: String, class: &'static str, spans: &[[Moment; 2]]| {
        let told: Vec<String> = spans
            .iter()
            .map(|[first, last]| {
                let lasted = last.0.since(first.0);
                if lasted.is_zero() {
                    first.clock(dated)
                } else {
                    format!("{} to {} ({})", first.clock(dated), last.clock(dated), span(lasted))
                }
            })
            .collect();
        let bars = spans.iter().map(|ends| bar(*ends, capture)).collect();
        Lane { words: format!("{name}: {}", told.join("; ")), name, class, bars }
    };
    let kept = finding.spans.len() as u64;
    let own = match finding.kind {
        FindingKind::Scan | FindingKind::Flood => "first to last packet".to_owned(),
        FindingKind::RpcNotRegistered => "first and last answer".to_owned(),
        _ if kept == SPANS_MAX as u64 && finding.flows > kept => {
            format!("{kept} of its {}", count(finding.flows, "flow"))
        }
        _ => format!("its {}", count(finding.flows, "flow")),
    };
    let mut all = vec![lane(own, "own", &finding.spans)];
    if let Some(ends) = seen.and_then(|seen| seen.services.get(&finding.service)) {
        all.push(lane("this service, these two".to_owned(), "same", &[*ends]));
    }
    if let Some(ends) = seen.and_then(|seen| seen.all) {
        all.push(lane("all between these two".to_owned(), "all", &[ends]));
    }
    all
}

fn bar([first, last]: [Moment; 2], [begin, end]: [Moment; 2]) -> Bar {
    let whole = end.0.since(begin.0).as_nanos().max(1);
    let step = |at: Moment| {
        let steps = at.0.since(begin.0).as_nanos() * u128::from(STEPS) / whole;
        u64::try_from(steps).unwrap_or(STEPS).min(STEPS)
    };
    let width = (step(last) - step(first).min(step(last))).max(STEPS_MIN);
    Bar { x: step(first).min(STEPS - STEPS_MIN), width }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn bars_lie_where_their_flows_do() {
        let at = |ms| Moment(sample::at(ms));
        let place = |first, last| {
            let Bar { x, width } = bar([at(first), at(last)], [at(0), at(10_000)]);
            (x, width)
        };
        assert_eq!(place(0, 10_000), (0, 10_000));
        assert_eq!(place(2_500, 5_000), (2_500, 2_500));
        assert_eq!(place(5_000, 5_000), (5_000, STEPS_MIN));
        assert_eq!(place(10_000, 10_000), (STEPS - STEPS_MIN, STEPS_MIN));
    }

    #[test]
    fn places_are_those_of_the_numbers() {
        let report = sample::report();
        let places = places(&report);
        let all: Vec<Evidence> = kinds(&report).into_iter().flat_map(|kind| kind.findings).collect();
        assert_eq!(all.len(), report.findings.len());
        for (at, finding) in report.findings.iter().enumerate() {
            assert_eq!(all[at].number, at + 1);
            let place = places[&(finding.client, finding.server, finding.service.clone())];
            assert!(place <= at + 1);
        }
    }
}
