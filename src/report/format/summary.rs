//! What pages for people say of a capture as a whole, in sentences without layout.

use crate::classify::judged::LeftOut;
use crate::classify::verdict::FindingKind;
use crate::classify::verdict::Outcome;
use crate::report::Report;
use crate::report::facts::Health;
use crate::report::facts::InputRow;
use crate::report::facts::RunFacts;
use crate::report::findings::FailOn;
use crate::report::findings::KINDS;
use crate::report::format::text::ports;
use crate::report::moment::span;
use crate::report::rpc::EndpointRow;
use crate::report::words::count;
use crate::report::words::shares;
use crate::report::words::some;
use crate::report::words::thousands;

/// Rows that a page for people shows of one list; the machine formats have all of them.
pub(crate) const ROWS_MAX: usize = 200;

/// Interfaces of a port that a page for people names.
const INTERFACES_MAX: usize = 6;

/// Captures that a page for people lists.
const INPUTS_MAX: usize = 20;

/// What weakens a report, the worst first: the notes of its health.
pub(crate) fn warnings(run: &RunFacts, health: &Health) -> Vec<String> {
    let mut all = Vec::new();
    let percent = health.one_way_share * 100.0;
    if health.asymmetric {
        all.push(format!(
            "One direction only: {percent:.0} % of the flows with data were captured one way. Silence proves nothing \
             here. Check the span port or tap, then capture again."
        ));
    } else if health.one_way_share > 0.0 {
        all.push(format!("{percent:.1} % of the flows with data were captured in one direction only."));
    }
    all.extend(health.left_out.map(|left_out| lacks(left_out).to_owned()));
    for input in &run.inputs {
        if let Some(error) = &input.error {
            all.push(format!(
                "{} is damaged at frame {}, byte offset {}: {}. Everything before that was analysed.",
                input.path, error.frame, error.offset, error.message
            ));
        }
    }
    let counted = [
        (health.dropped_by_kernel, "packet", "lost by the capturing system: a missing answer may be among them."),
        (health.dropped_by_queue, "packet", "lost between capture and analysis: a missing answer may be among them."),
        (health.acked_unseen, "acknowledgement", "of data that was not captured: the capture has gaps."),
        (health.cut_frames, "frame", "cut short by the snaplen."),
        (
            health.skipped.get("cut_short").copied().unwrap_or_default(),
            "frame",
            "cut before its headers ended, and not read: an answer may be among them. Capture with a longer snaplen.",
        ),
        (health.out_of_order, "frame", "earlier than the one before."),
        (health.flows_evicted, "flow", "given up for lack of room: their totals are kept, not their verdicts."),
        (
            health.payloads_given_up,
            "flow",
            "whose payload was not followed to its end, for lack of room or because it came in crumbs.",
        ),
        (
            health.rpc_sealed,
            "flow",
            "with encrypted questions to the endpoint mapper: what they were told is not known.",
        ),
        (
            health.smb_sealed,
            "flow",
            "of encrypted or compressed SMB: what was asked and bound in its named pipes is not known, or not all of it.",
        ),
        (
            health.smb_left,
            "flow",
            "of SMB that carried so much else that named pipes opened later on it were not looked at.",
        ),
        (health.rpc_not_kept, "RPC fact", "for which there was no room."),
        (health.bad_replies, "reply", "with numbers that fit no request: ignored."),
    ];
    for (number, noun, rest) in counted.into_iter().filter(|(number, ..)| *number > 0) {
        let counted =
            if noun == "reply" && number != 1 { format!("{} replies", thousands(number)) } else { count(number, noun) };
        all.push(format!("{counted} {rest}"));
    }
    if run.filter.is_some() {
        all.push(
            "A filter was used. What it leaves out cannot explain silence: ICMP errors come from routers, with \
             addresses of their own."
                .to_owned(),
        );
    }
    all
}

/// What a filter seems to have left out, and what that means.
fn lacks(left_out: LeftOut) -> &'static str {
    match left_out {
        LeftOut::AllButSyns => {
            "Nothing but SYNs was captured of TCP, and hardly any is repeated, as if they were answered. A filter seems \
             to have left the answers out: a single SYN proves nothing here."
        }
        LeftOut::Answers => {
            "Nothing but questions was captured: no answer of anybody, and no TCP. A filter or a mirror of one way seems \
             to have left the answers out: silence proves nothing here."
        }
    }
}

/// Attempts that failed and that no row could judge, by pair and service: no findings, and not nothing either. The
/// first [`ROWS_MAX`] in words, and how many there are.
pub(crate) fn failed_unjudged(report: &Report<'_>) -> (Vec<String>, usize) {
    let mut lines = Vec::new();
    let mut total = 0;
    for (pair, service) in report.pairs.failed_unjudged() {
        let failures = || service.outcomes.iter().filter(|(outcome, _)| Outcome::is_failure_name(outcome));
        total += 1;
        if lines.len() < ROWS_MAX {
            lines.push(format!(
                "{} -> {} {}, {}: {} of {}",
                pair.client,
                pair.server,
                service.title,
                ports(&service),
                shares(failures()),
                count(service.flows, "flow")
            ));
        }
    }
    (lines, total)
}

/// Which RPC interfaces were learned at which ports, a line for each port. An interface counts once, however often it
/// was told.
pub(crate) fn rpc_ports(report: &Report<'_>) -> Vec<String> {
    let line = |row: &EndpointRow| {
        let mut told: Vec<String> = Vec::new();
        for interface in &row.interfaces {
            let name = match (&interface.name, &interface.uuid) {
                (Some(name), _) => name.to_string(),
                (None, Some(uuid)) => uuid.clone(),
                (None, None) => "a DCOM object".to_owned(),
            };
            if !told.contains(&name) {
                told.push(name);
            }
        }
        let frame = row.interfaces.iter().map(|interface| &interface.frame).min();
        let frame = frame.map(|frame| format!(" (frame {frame})")).unwrap_or_default();
        let stale = row.stale.as_ref().map(|frame| format!("; refused since (frame {frame})")).unwrap_or_default();
        format!("{} {}/{}: {}{frame}{stale}", row.server, row.transport, row.port, some(&told, INTERFACES_MAX))
    };
    report.rpc_endpoints.iter().map(line).collect()
}

/// What was read, and how it was judged.
pub(crate) fn facts(report: &Report<'_>) -> Vec<String> {
    let (run, health) = (&report.run, &report.health);
    let mut all: Vec<String> = run.inputs.iter().take(INPUTS_MAX).map(input).collect();
    if let Some(more) = run.inputs.len().checked_sub(INPUTS_MAX).filter(|&more| more > 0) {
        all.push(format!("… and {} more", count(more as u64, "capture")));
    }
    if let Some((first, last)) = run.span() {
        all.push(format!("from {first} to {last} ({}); times below are UTC", span(last.0.since(first.0))));
    }
    let mut frames = format!("{}, {} decoded", count(health.frames, "frame"), thousands(health.decoded));
    let skipped: u64 = health.skipped.values().sum();
    let parts = [
        (
            skipped,
            format!(
                "{} skipped ({})",
                thousands(skipped),
                shares(health.skipped.iter().map(|(reason, number)| (*reason, *number)))
            ),
        ),
        (health.filtered, format!("{} left out by the filter", thousands(health.filtered))),
        (health.duplicates, format!("{} copies", thousands(health.duplicates))),
        (health.fragments, format!("{} fragments", thousands(health.fragments))),
        (health.tunnels, format!("{} in tunnels", thousands(health.tunnels))),
        (health.icmp_unmatched, format!("{} ICMP errors about no flow seen", thousands(health.icmp_unmatched))),
    ];
    for (number, words) in parts {
        if number > 0 {
            frames.push_str(", ");
            frames.push_str(&words);
        }
    }
    all.push(frames);
    all.push(format!("{}, {}", count(health.flows, "flow"), count(report.pairs.len() as u64, "host pair")));
    if let Some(filter) = &run.filter {
        all.push(format!("filter: {filter}"));
    }
    let site = run.site.as_ref().map_or("no site file".to_owned(), |site| format!("site: {site}"));
    all.push(format!("judged by {}; {site}", run.profiles.join(", ")));
    all
}

pub(crate) fn input(input: &InputRow) -> String {
    let mut words = vec![input.format.unwrap_or("unknown format").to_owned()];
    words.extend(input.compression.map(ToOwned::to_owned));
    words.extend(input.link_types.iter().cloned());
    words.push(count(input.frames, "frame"));
    words.push(count(input.bytes, "byte"));
    if input.snaplen > 0 {
        words.push(format!("snaplen {}", input.snaplen));
    }
    format!("{}: {}", input.path, words.join(", "))
}

/// `1 blocked, 2 unexpected`, or that there are none.
pub(crate) fn tally(report: &Report<'_>) -> String {
    let words: Vec<String> = KINDS
        .into_iter()
        .map(|kind| (kind, of_kind(report, kind) as u64))
        .filter(|(_, number)| *number > 0)
        .map(|(kind, number)| match kind {
            FindingKind::Blocked | FindingKind::Unexpected => format!("{} {}", thousands(number), kind.name()),
            FindingKind::RpcBlocked => format!("{} blocked after the RPC mapper's answer", thousands(number)),
            FindingKind::EpmBlocked => format!("{} blocked at the RPC mapper", thousands(number)),
            FindingKind::RpcNotRegistered => format!("{} not registered", thousands(number)),
            FindingKind::RangeOnly => format!("{} by range only", thousands(number)),
            FindingKind::Scan | FindingKind::Flood | FindingKind::Attempt => count(number, kind.name()),
        })
        .collect();
    if words.is_empty() { "no findings".to_owned() } else { words.join(", ") }
}

/// How many findings are of that kind.
pub(crate) fn of_kind(report: &Report, kind: FindingKind) -> usize {
    report.findings.kinds().filter(|known| *known == kind).count()
}

/// Whether nothing is blocked and nothing unexpected works.
pub(crate) fn is_clean(report: &Report<'_>) -> bool {
    !report.has(FailOn::Blocked) && !report.has(FailOn::Unexpected)
}

/// What to do about failures that no row could judge.
pub(crate) const UNJUDGED_HINT: &str = "No row could judge these, because the role of a host is not known or the port \
     is in no document. They are no findings; name the hosts in a site file and run again.";

/// The heading over [`silence`].
pub(crate) fn silence_heading(report: &Report<'_>) -> &'static str {
    if report.pairs.judged().1 == 0 || report.health.left_out.is_some() {
        "Nothing could be judged"
    } else if report.health.flows_evicted > 0 {
        "Nothing found, and not everything was judged"
    } else {
        "Nothing blocked, nothing unexpected"
    }
}

/// `1 was`, `2 were`.
fn of_them(count: u64) -> String {
    format!("{} {}", thousands(count), if count == 1 { "was" } else { "were" })
}

/// What it means that nothing was found.
pub(crate) fn silence(report: &Report<'_>) -> String {
    let (flows, judged) = report.pairs.judged();
    if report.health.left_out.is_some() {
        return "Nothing blocked and nothing unexpected was found, and answers seem not to have been captured: this says \
                nothing of what is blocked. Capture without a filter on flags or directions."
            .to_owned();
    }
    if judged == 0 {
        return format!(
            "0 of {} could be judged by the documents, so this says nothing of what is blocked. Name the hosts in a \
             site file, or capture where domain controllers are seen at work.",
            count(flows, "flow")
        );
    }
    let mut text = format!(
        "Nothing blocked and nothing unexpected was found. {} of {} could be judged by the documents",
        thousands(judged),
        count(flows, "flow")
    );
    let given_up = report.health.flows_evicted;
    if given_up > 0 {
        text.push_str("; ");
        text.push_str(&of_them(given_up));
        text.push_str(" given up for lack of room, and what they would show is not known (--max-flows, --max-memory)");
    }
    if judged.saturating_add(given_up) < flows {
        text.push_str("; the others belong to hosts of unknown role or to ports outside the catalogue");
    }
    text.push_str(
        ". What nobody tried while this was captured was not tested, and what does not pass this capture point was \
         not seen.",
    );
    text
}
