//! CSV (RFC 4180): one row for each service of each host pair, with the gravest finding of it. Where readiness was asked
//! for, the table is that of readiness.
//!
//! Spreadsheets run what looks like a formula, so such cells are made text first.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::io;
use std::io::Write;

use crate::classify::verdict::Outcome;
use crate::report::Report;
use crate::report::findings::Finding;
use crate::report::format::answers;
use crate::report::names::Party;
use crate::report::pairs::Pair;
use crate::report::pairs::PairService;
use crate::report::sanitise::Shown;

/// Outcomes with a column of their own, in the order of the columns.
const OUTCOMES: [Outcome; 11] = [
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

/// Standings with a column of their own.
const STANDINGS: [&str; 6] = ["expected", "expected_rpc", "expected_range", "unexpected", "uncatalogued", "not_judged"];

const FRONT: [&str; 9] =
    ["client", "client_name", "server", "server_name", "worst", "service", "title", "transport", "ports"];

const MIDDLE: [&str; 10] = [
    "packets_to_server",
    "packets_to_client",
    "bytes_to_server",
    "bytes_to_client",
    "first",
    "last",
    "handshakes",
    "handshake_p50_us",
    "handshake_p99_us",
    "handshake_max_us",
];

const FINDING: [&str; 10] =
    ["finding", "outcome", "reason", "by", "confidence", "attempts", "rows", "frames", "wireshark", "text"];

/// Writes the table.
///
/// # Errors
/// Those of the writer.
pub fn write(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    if !report.run.readiness.is_empty() {
        return answers::readiness_csv(report, out);
    }
    let mut header: Vec<&str> = FRONT.to_vec();
    header.push("flows");
    header.extend(OUTCOMES.map(Outcome::name));
    header.extend(STANDINGS);
    header.extend(MIDDLE);
    header.extend(FINDING);
    line(out, header.into_iter().map(ToOwned::to_owned))?;
    let names: BTreeMap<Party, &str> =
        report.hosts.iter().filter_map(|host| Some((host.address, host.names.first()?.as_str()))).collect();
    // Findings are sorted, so that the first of a row is its gravest.
    let mut gravest: HashMap<(Party, Party, Shown, &str), usize> = HashMap::new();
    for (place, row) in report.findings.rows().enumerate() {
        gravest.entry(row).or_insert(place);
    }
    for (pair, service) in report.pairs.rows() {
        let place = gravest.get(&(pair.client, pair.server, service.service.clone(), service.transport));
        let finding = place.and_then(|place| report.findings.get(*place));
        line(out, row(pair, &service, finding.as_ref(), &names))?;
    }
    Ok(())
}

fn row(
    pair: Pair<'_>,
    service: &PairService<'_>,
    finding: Option<&Finding>,
    names: &BTreeMap<Party, &str>,
) -> impl Iterator<Item = String> {
    let name = |party| names.get(&party).copied().unwrap_or_default().to_owned();
    let mut cells = vec![
        pair.client.to_string(),
        name(pair.client),
        pair.server.to_string(),
        name(pair.server),
        service.worst.name().to_owned(),
        service.service.to_string(),
        service.title.to_string(),
        service.transport.to_owned(),
        joined(service.ports),
        service.flows.to_string(),
    ];
    cells.extend(OUTCOMES.map(|outcome| service.outcomes.get(outcome.name()).to_string()));
    cells.extend(STANDINGS.map(|standing| service.standings.get(standing).to_string()));
    cells.extend(
        [service.packets_to_server, service.packets_to_client, service.bytes_to_server, service.bytes_to_client]
            .map(|number| number.to_string()),
    );
    cells.extend([service.first, service.last].map(|at| at.map(|at| at.to_string()).unwrap_or_default()));
    let handshake = service.handshake_us.map(|us| [us.count, us.p50, us.p99, us.max].map(|us| us.to_string()));
    cells.extend(handshake.unwrap_or_default());
    cells.extend(finding.map(finding_cells).unwrap_or_default());
    cells.into_iter()
}

fn finding_cells(finding: &Finding) -> [String; FINDING.len()] {
    [
        finding.kind.name().to_owned(),
        finding.outcome.to_owned(),
        finding.reason.clone(),
        finding.by.clone().unwrap_or_default(),
        finding.confidence.to_owned(),
        finding.attempts.to_string(),
        joined(&finding.rows),
        joined(&finding.frames),
        finding.wireshark.clone(),
        finding.text.clone(),
    ]
}

fn joined<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(" ")
}

fn line(out: &mut dyn Write, cells: impl Iterator<Item = String>) -> io::Result<()> {
    let cells: Vec<String> = cells.map(|text| cell(&text)).collect();
    write!(out, "{}\r\n", cells.join(","))
}

/// A cell, quoted where it must be, and with an apostrophe before what a spreadsheet would run.
pub(crate) fn cell(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{guard}{}\"", text.replace('"', "\"\""))
    } else {
        format!("{guard}{text}")
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop here")]

    use super::*;
    use crate::report::sample;

    #[test]
    fn cells_are_quoted_and_formulas_become_text() {
        let rows = [
            ("plain", "plain"),
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("a,b", "\"a,b\""),
            ("say \"so\"", "\"say \"\"so\"\"\""),
            ("=HYPERLINK(\"x\",\"y\")", "\"'=HYPERLINK(\"\"x\"\",\"\"y\"\")\""),
            ("a-b=c", "a-b=c"),
        ];
        for (text, expected) in rows {
            assert_eq!(cell(text), expected);
        }
    }

    #[test]
    fn every_row_has_the_cells_of_the_header() {
        let mut out = Vec::new();
        write(&sample::report(), &mut out).unwrap();
        let page = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = page.split_terminator("\r\n").collect();
        assert_eq!(lines.len(), 9);
        // The last row is not quoted anywhere: commas count cells.
        assert_eq!(lines[8].split(',').count(), lines[0].split(',').count());
        assert!(
            lines[0]
                .starts_with("client,client_name,server,server_name,worst,service,title,transport,ports,flows,open,")
        );
        assert!(lines[2].starts_with("10.0.1.20,,10.0.0.10,dc1.corp.example,blocked,ldap,LDAP,tcp,389,3,2,0,0,1,"));
        assert!(lines[2].contains(",2,310,420,420,blocked,refused,rst_host,host,confirmed,1,site/ldap,40,ip.addr == "));
        assert!(lines[6].starts_with("10.0.3.7,'=cmd|'x'!A0 <script>,10.0.0.10,"), "{}", lines[6]);
    }
}
