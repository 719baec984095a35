//! Markdown (`CommonMark` with GitHub's tables): the page for tickets and wikis.

use std::io;
use std::io::Write;
use std::time::Duration;

use crate::report::Report;
use crate::report::findings::Finding;
use crate::report::findings::KINDS;
use crate::report::format::answers;
use crate::report::format::summary;
use crate::report::format::summary::ROWS_MAX;
use crate::report::format::text::frames_of_both;
use crate::report::format::text::ports;
use crate::report::moment::span;
use crate::report::pairs::Pair;
use crate::report::pairs::PairService;
use crate::report::words::shares;
use crate::report::words::thousands;

/// Writes the page.
///
/// # Errors
/// Those of the writer.
pub fn write(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "# {} {}: {}", report.tool.name, report.tool.version, escape(&summary::tally(report)))?;
    let notes: Vec<String> = report.health.notes.iter().map(ToString::to_string).collect();
    list(out, "Beware", &notes)?;
    list(out, "Capture", &summary::facts(report))?;
    vantage(report, out)?;
    for kind in KINDS {
        let total = summary::of_kind(report, kind);
        if total == 0 {
            continue;
        }
        writeln!(out, "\n## {} ({})\n", title(kind.name()), thousands(total as u64))?;
        table(out, &["Client", "Server", "Service", "Port", "Outcome", "Flows", "What to know", "Frames"])?;
        for finding in report.findings.of_kind(kind).take(ROWS_MAX) {
            row(out, &finding_cells(&finding))?;
        }
        remainder(out, total)?;
    }
    if summary::is_clean(report) {
        let heading = summary::silence_heading(report);
        writeln!(out, "\n## {heading}\n\n{}", escape(&summary::silence(report)))?;
    }
    let (unjudged, total) = summary::failed_unjudged(report);
    list(out, "Failed, not judged", &unjudged)?;
    remainder(out, total)?;
    readiness(report, out)?;
    list(out, "RPC ports learned", &summary::rpc_ports(report))?;
    ranges(report, out)?;
    if report.pairs.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n## Pairs ({})\n", thousands(report.pairs.len() as u64))?;
    table(out, &["Client", "Server", "Service", "Port", "Flows", "Outcomes", "Standings", "Handshake p50", "Worst"])?;
    for (pair, service) in report.pairs.rows().take(ROWS_MAX) {
        row(out, &pair_cells(pair, &service))?;
    }
    remainder(out, report.pairs.rows_len())
}

fn vantage(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    let Some(vantage) = &report.vantage else { return Ok(()) };
    let mut facts: Vec<String> = vantage.notes.iter().map(ToString::to_string).collect();
    facts.extend(vantage.server_side.iter().map(|input| format!("server's side: {}", summary::input(input))));
    facts.extend(vantage.facts());
    list(out, "Two capture points", &facts)?;
    if vantage.rows.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    table(out, &["Client", "Server", "Service", "Port", "Place", "Confidence", "Flows", "What to know"])?;
    for told in vantage.rows.iter().take(ROWS_MAX) {
        let cells = [
            told.client.to_string(),
            told.server.to_string(),
            told.service.to_string(),
            format!("{}/{}", told.transport, told.port),
            told.place.replace('_', " "),
            told.confidence.to_owned(),
            thousands(told.flows),
            format!("{}{}", told.text, frames_of_both(told)),
        ];
        row(out, &cells)?;
    }
    remainder(out, vantage.rows.len())
}

fn readiness(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    let sheets = answers::sheets(report);
    if sheets.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n## Readiness ({})\n", thousands(sheets.len() as u64))?;
    for sheet in sheets.iter().take(ROWS_MAX) {
        let (sum, tally) = (sheet.sum, sheet.tally());
        let line = format!("{}, {} -> {}: {tally}", sum.profile, sum.client, sum.server);
        writeln!(out, "- {}", escape(&line))?;
    }
    remainder(out, sheets.len())?;
    let total = sheets.iter().map(|sheet| sheet.rows.len()).sum();
    if total > 0 {
        writeln!(out)?;
        table(out, &["Client", "Server", "Row", "State", "Ports", "Purpose", "Frames"])?;
    }
    for told in sheets.iter().flat_map(|sheet| &sheet.rows).take(ROWS_MAX) {
        let frames: Vec<String> = told.frames.iter().map(ToString::to_string).collect();
        let state = answers::state_words(told.state).to_owned();
        let (named, purpose) = (told.named.to_string(), told.purpose.to_string());
        let (client, server) = (told.client.to_string(), told.server.to_string());
        row(out, &[client, server, told.row.to_string(), state, named, purpose, frames.join(", ")])?;
    }
    remainder(out, total)?;
    match answers::readiness_cut(report) {
        Some(cut) => writeln!(out, "\n… and {cut}"),
        None => Ok(()),
    }
}

fn ranges(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    let (used, idle) = answers::used_ranges(report);
    let mut lines: Vec<String> = Vec::new();
    for range in used {
        lines.push(format!("{}: {}", range.server, range.text));
        lines.extend(range.ports.iter().map(|port| format!("{}, {}", range.server, answers::range_port(range, port))));
    }
    lines.extend(idle);
    let total = lines.len();
    lines.truncate(ROWS_MAX);
    list(out, "Dynamic ports", &lines)?;
    remainder(out, total)
}

fn finding_cells(finding: &Finding) -> Vec<String> {
    let port = finding.port.map_or(finding.transport.to_owned(), |port| format!("{}/{port}", finding.transport));
    let frames: Vec<String> = finding.frames.iter().map(ToString::to_string).collect();
    vec![
        finding.client.to_string(),
        finding.server.to_string(),
        finding.title.to_string(),
        port,
        format!("{}, {}", finding.outcome, finding.confidence),
        thousands(finding.flows),
        finding.text.clone(),
        frames.join(", "),
    ]
}

fn pair_cells(pair: Pair<'_>, service: &PairService<'_>) -> Vec<String> {
    let p50 = service.handshake_us.map_or(String::new(), |us| span(Duration::from_micros(us.p50)));
    vec![
        pair.client.to_string(),
        pair.server.to_string(),
        service.title.to_string(),
        ports(service),
        thousands(service.flows),
        shares(service.outcomes.iter()),
        shares(service.standings.iter()),
        p50,
        service.worst.name().to_owned(),
    ]
}

pub(crate) fn list(out: &mut dyn Write, heading: &str, items: &[String]) -> io::Result<()> {
    if items.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n## {heading}\n")?;
    items.iter().try_for_each(|item| writeln!(out, "- {}", escape(item)))
}

pub(crate) fn table(out: &mut dyn Write, header: &[&str]) -> io::Result<()> {
    writeln!(out, "| {} |", header.join(" | "))?;
    writeln!(out, "|{}", "---|".repeat(header.len()))
}

pub(crate) fn row(out: &mut dyn Write, cells: &[String]) -> io::Result<()> {
    let cells: Vec<String> = cells.iter().map(|cell| escape(cell)).collect();
    writeln!(out, "| {} |", cells.join(" | "))
}

pub(crate) fn remainder(out: &mut dyn Write, total: usize) -> io::Result<()> {
    match total.checked_sub(ROWS_MAX).filter(|&more| more > 0) {
        Some(more) => writeln!(out, "\n… and {} more: see `--format json`", thousands(more as u64)),
        None => Ok(()),
    }
}

/// `range_only` as `Range only`.
fn title(name: &str) -> String {
    let mut chars = name.chars();
    let first = chars.next().map(|char| char.to_ascii_uppercase());
    first.into_iter().chain(chars.map(|char| if char == '_' { ' ' } else { char })).collect()
}

/// Text that stays text: no markup, no HTML, no end of a cell, no address that becomes a link by itself.
pub(crate) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            ':' if chars.as_str().starts_with("//") => safe.push_str("&#58;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' => {
                safe.push('\\');
                safe.push(char);
            }
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop here")]

    use super::*;
    use crate::report::sample;

    #[test]
    fn text_stays_text() {
        let rows = [
            ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
            ("a|b", "a\\|b"),
            ("[x](javascript:y)", "\\[x\\](javascript:y)"),
            ("*b* _i_ `c`", "\\*b\\* \\_i\\_ \\`c\\`"),
            ("C:\\x", "C:\\\\x"),
            ("http://evil.example 10:02", "http&#58;//evil.example 10:02"),
        ];
        for (text, expected) in rows {
            assert_eq!(escape(text), expected);
        }
        assert_eq!(title("range_only"), "Range only");
    }

    #[test]
    fn tables_have_as_many_cells_in_every_row() {
        let mut out = Vec::new();
        write(&sample::report(), &mut out).unwrap();
        let page = String::from_utf8(out).unwrap();
        let cells = |line: &str| line.replace("\\|", "").matches('|').count();
        let mut rows = 0;
        let mut header = 0;
        for line in page.lines() {
            if !line.starts_with('|') {
                header = 0;
                continue;
            }
            if header == 0 {
                header = cells(line);
            }
            assert_eq!(cells(line), header, "{line}");
            rows += 1;
        }
        assert_eq!(rows, 7 * 2 + 7 + 3 + 8);
        assert!(page.starts_with("# portolan 0.1.0: 3 blocked, 1 unexpected, 1 scan, 1 attempt, 1 by range only\n"));
        assert!(page.contains(
            "\n| 10.0.1.20 | 10.0.0.10 | LDAP | tcp/389 | 3 | open 2, refused 1 | expected 3 | 310 us | blocked |\n"
        ));
        assert!(page.contains("\n| 10.0.9.9 | \\* | SMB | tcp/445 | 2 | "));
    }
}
