//! What pages for people say of readiness and of dynamic ports: which of it, and in which words, without layout.

use std::io;
use std::io::Write;

use crate::report::Report;
use crate::report::format::csv::cell;
use crate::report::ranges::RangePort;
use crate::report::ranges::ServerRange;
use crate::report::readiness::ReadinessPair;
use crate::report::readiness::ReadinessRow;
use crate::report::readiness::State;
use crate::report::readiness::TransportRow;
use crate::report::words::count;
use crate::report::words::some;
use crate::report::words::thousands;

/// Interfaces of a port that a page for people names.
const INTERFACES_MAX: usize = 6;

/// One profile between two hosts.
pub(crate) struct Sheet<'a> {
    pub(crate) sum: &'a ReadinessPair,
    pub(crate) rows: Vec<&'a ReadinessRow>,
}

impl Sheet<'_> {
    /// `2 blocked, 5 ok, 2 not exercised`
    pub(crate) fn tally(&self) -> String {
        let counts = State::ALL.map(|state| (state, self.sum.count(state)));
        let words = counts.into_iter().filter(|(_, rows)| *rows > 0);
        words.map(|(state, rows)| format!("{} {}", thousands(rows), state_words(state))).collect::<Vec<_>>().join(", ")
    }
}

/// The sheets that a page for people shows: those of profiles that were asked for, and of profiles that are nothing but
/// a list of what certain hosts need. Of the latter the rows that do not work; the sums tell the others.
pub(crate) fn sheets<'a>(report: &'a Report<'_>) -> Vec<Sheet<'a>> {
    let of_pair = |row: &ReadinessRow| (row.profile.clone(), row.client, row.server);
    let mut rows = report.readiness.as_slice();
    let mut sheets = Vec::new();
    for sum in &report.readiness_pairs {
        let key = (sum.profile.clone(), sum.client, sum.server);
        let (own, rest) = rows.split_at(rows.iter().take_while(|row| of_pair(row) == key).count());
        rows = rest;
        if !(sum.complete || sum.checklist) {
            continue;
        }
        let told = |row: &&ReadinessRow| sum.complete || !matches!(row.state, State::Ok | State::NotExercised);
        sheets.push(Sheet { sum, rows: own.iter().filter(told).collect() });
    }
    sheets
}

/// A state for people.
pub(crate) fn state_words(state: State) -> &'static str {
    match state {
        State::Blocked => "blocked",
        State::SeenFailed => "seen failed",
        State::Ok => "ok",
        State::NotJudgeable => "not judgeable",
        State::NotExercised => "not exercised",
    }
}

/// The row's id without its profile.
pub(crate) fn short_id(row: &ReadinessRow) -> &str {
    row.row.as_str().split_once('/').map_or(row.row.as_str(), |(_, id)| id)
}

/// `; frames 17, 26`, or nothing.
pub(crate) fn frames(row: &ReadinessRow) -> String {
    let frames: Vec<String> = row.frames.iter().map(ToString::to_string).collect();
    if frames.is_empty() { String::new() } else { format!("; frames {}", frames.join(", ")) }
}

/// What stays unsaid in the sheets.
pub(crate) fn readiness_cut(report: &Report<'_>) -> Option<String> {
    let cut = report.readiness_cut;
    (cut > 0).then(|| format!("{} more that there was no room for", count(cut, "pair")))
}

/// The servers of whose dynamic ports some were used, and a sentence for the others.
pub(crate) fn used_ranges<'a>(report: &'a Report<'_>) -> (Vec<&'a ServerRange>, Option<String>) {
    let (used, idle): (Vec<_>, Vec<_>) = report.ranges.iter().partition(|range| range.used > 0);
    let is_used = |range: &&&ServerRange| used.iter().any(|known| known.server == range.server);
    let mut named: Vec<String> =
        idle.iter().filter(|range| !is_used(range)).map(|range| range.server.to_string()).collect();
    named.dedup();
    let idle = (!named.is_empty()).then(|| format!("None used here: {}", some(&named, INTERFACES_MAX)));
    (used, idle)
}

/// `tcp/49153: drsuapi; 2 hosts (auditor 1, client 1), 4 flows`
pub(crate) fn range_port(range: &ServerRange, port: &RangePort) -> String {
    let interfaces = if port.interfaces.is_empty() {
        "no interface known".to_owned()
    } else {
        some(&port.interfaces, INTERFACES_MAX)
    };
    let roles: Vec<String> = port.roles.iter().map(|(role, hosts)| format!("{role} {hosts}")).collect();
    let failed = if port.failed > 0 { format!(", {} failed", thousands(port.failed)) } else { String::new() };
    format!(
        "{}/{}: {interfaces}; {} ({}), {}{failed}",
        range.transport,
        port.port,
        count(port.clients, "host"),
        roles.join(", "),
        count(port.worked + port.failed, "flow"),
    )
}

/// The readiness that was asked for as CSV (RFC 4180), one line for each row between two hosts.
///
/// # Errors
/// Those of the writer.
pub(crate) fn readiness_csv(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "profile,row,client,server,state,service,ports,worked,failed,frames,purpose\r\n")?;
    let wanted = |row: &&ReadinessRow| report.run.readiness.iter().any(|profile| profile == row.profile.as_str());
    for row in report.readiness.iter().filter(wanted) {
        let sum = |pick: fn(&TransportRow) -> u64| row.transports.iter().map(pick).sum::<u64>().to_string();
        let frames: Vec<String> = row.frames.iter().map(ToString::to_string).collect();
        let cells = [
            row.profile.to_string(),
            row.row.to_string(),
            row.client.to_string(),
            row.server.to_string(),
            row.state.name().to_owned(),
            row.service.to_string(),
            row.named.clone(),
            sum(|part| part.worked),
            sum(|part| part.failed),
            frames.join(" "),
            row.purpose.to_string(),
        ];
        write!(out, "{}\r\n", cells.map(|text| cell(&text)).join(","))?;
    }
    Ok(())
}
