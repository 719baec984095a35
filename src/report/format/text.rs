//! Text for an administrator's terminal: at most 100 columns, the capture's own weakness first.

use std::collections::BTreeMap;
use std::io;
use std::io::Write;
use std::time::Duration;

use crate::classify::verdict::FindingKind;
use crate::report::Report;
use crate::report::findings::Finding;
use crate::report::findings::KINDS;
use crate::report::format::Style;
use crate::report::format::answers;
use crate::report::format::summary;
use crate::report::format::summary::ROWS_MAX;
use crate::report::moment::span;
use crate::report::names::FrameName;
use crate::report::names::Party;
use crate::report::pairs::PairService;
use crate::report::readiness::ReadinessRow;
use crate::report::sentence;
use crate::report::vantage::Vantage;
use crate::report::vantage::VantageRow;
use crate::report::words::count;
use crate::report::words::shares;
use crate::report::words::some;
use crate::report::words::thousands;

/// Widest line, in characters.
pub const COLUMNS_MAX: usize = 100;

/// Widths of the columns of the table of pairs; the last column takes what is left.
const TITLE_COLUMNS: usize = 24;
const STATE_COLUMNS: usize = 13;
const PORT_COLUMNS: usize = 18;
const FLOWS_COLUMNS: usize = 7;
const TIME_COLUMNS: usize = 9;

/// ANSI Select Graphic Rendition codes (ECMA-48 section 8.3.117).
const BOLD: &str = "1";
const RED: &str = "1;31";
const YELLOW: &str = "1;33";

/// Writes the page.
///
/// # Errors
/// Those of the writer.
pub fn write(report: &Report<'_>, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let mut page = Page { out, style };
    page.paragraph("", "", &format!("{} {}: {}", report.tool.name, report.tool.version, summary::tally(report)))?;
    page.capture(report)?;
    page.vantage(report)?;
    for kind in KINDS {
        page.findings(report, kind)?;
    }
    if summary::is_clean(report) {
        page.heading(&summary::silence_heading(report).to_uppercase(), BOLD)?;
        page.paragraph("  ", "  ", &summary::silence(report))?;
    }
    page.unjudged(report)?;
    page.readiness(report)?;
    page.pairs(report)?;
    page.rpc_ports(report)?;
    page.ranges(report)
}

struct Page<'a> {
    out: &'a mut dyn Write,
    style: Style,
}

impl Page<'_> {
    fn heading(&mut self, words: &str, color: &str) -> io::Result<()> {
        if self.style.color {
            writeln!(self.out, "\n\x1b[{color}m{words}\x1b[0m")
        } else {
            writeln!(self.out, "\n{words}")
        }
    }

    /// Writes words, broken into lines that fit.
    fn paragraph(&mut self, first: &str, rest: &str, words: &str) -> io::Result<()> {
        wrap(first, rest, words).iter().try_for_each(|line| writeln!(self.out, "{line}"))
    }

    fn remainder(&mut self, total: usize) -> io::Result<()> {
        self.more(total.saturating_sub(ROWS_MAX))
    }

    fn more(&mut self, more: usize) -> io::Result<()> {
        if more == 0 {
            return Ok(());
        }
        self.paragraph("  ", "  ", &format!("… and {} more: see --format json", thousands(more as u64)))
    }

    fn capture(&mut self, report: &Report<'_>) -> io::Result<()> {
        let warnings = &report.health.notes;
        if !warnings.is_empty() {
            self.heading("BEWARE", YELLOW)?;
            for warning in warnings {
                self.paragraph("  - ", "    ", warning.as_str())?;
            }
        }
        self.heading("CAPTURE", BOLD)?;
        summary::facts(report).iter().try_for_each(|fact| self.paragraph("  ", "    ", fact))
    }

    /// The second capture, and what was lost that no finding tells.
    fn vantage(&mut self, report: &Report<'_>) -> io::Result<()> {
        let Some(vantage) = &report.vantage else { return Ok(()) };
        self.heading("TWO CAPTURE POINTS", BOLD)?;
        for note in &vantage.notes {
            self.paragraph("  - ", "    ", note.as_str())?;
        }
        for input in &vantage.server_side {
            self.paragraph("  ", "    ", &format!("server's side: {}", summary::input(input)))?;
        }
        vantage.facts().iter().try_for_each(|fact| self.paragraph("  ", "    ", fact))?;
        for row in vantage.rows.iter().take(ROWS_MAX) {
            let outside = row.outside.as_ref().map(|ends| format!(" ({ends} there)")).unwrap_or_default();
            let line = format!(
                "{} -> {}{outside} {}, {}/{}: {}, {}, {}",
                row.client,
                row.server,
                row.service,
                row.transport,
                row.port,
                row.place.replace('_', " "),
                row.confidence,
                count(row.flows, "flow")
            );
            self.paragraph("  ", "      ", &line)?;
            self.paragraph("      ", "      ", &format!("{}{}", row.text, frames_of_both(row)))?;
        }
        self.remainder(vantage.rows.len())
    }

    fn rpc_ports(&mut self, report: &Report<'_>) -> io::Result<()> {
        let rows = summary::rpc_ports(report);
        if rows.is_empty() {
            return Ok(());
        }
        self.heading(&format!("RPC PORTS LEARNED: {}", thousands(rows.len() as u64)), BOLD)?;
        for row in rows.iter().take(ROWS_MAX) {
            self.paragraph("  ", "      ", row)?;
        }
        self.remainder(rows.len())
    }

    fn findings(&mut self, report: &Report<'_>, kind: FindingKind) -> io::Result<()> {
        let total = summary::of_kind(report, kind);
        if total == 0 {
            return Ok(());
        }
        let (color, brief) = match kind {
            FindingKind::Blocked | FindingKind::RpcBlocked | FindingKind::EpmBlocked => (RED, false),
            FindingKind::Unexpected => (YELLOW, false),
            FindingKind::Scan | FindingKind::Flood | FindingKind::RpcNotRegistered => (BOLD, false),
            FindingKind::Attempt | FindingKind::RangeOnly => (BOLD, true),
        };
        let title = kind.name().to_uppercase().replace('_', " ");
        self.heading(&format!("{title}: {}", count(total as u64, "finding")), color)?;
        if kind == FindingKind::RangeOnly {
            return self.range_only(report);
        }
        let of_kind = report.findings.of_kind(kind);
        for (number, finding) in (1..).zip(of_kind.take(ROWS_MAX)) {
            if brief {
                self.brief(&finding)?;
            } else {
                self.whole(number, &finding, report.vantage.as_ref())?;
            }
        }
        self.remainder(total)
    }

    /// Ports that only a range allows, a line for each pair: which of a range is used changes with every restart.
    fn range_only(&mut self, report: &Report<'_>) -> io::Result<()> {
        let mut pairs = report.findings.pairs_of_kind(FindingKind::RangeOnly);
        for pair in pairs.by_ref().take(ROWS_MAX) {
            let Some(first) = pair.first() else { continue };
            let ports: Vec<String> = pair.ports().map(|port| port.to_string()).collect();
            let line = format!(
                "{} -> {} {}/{}: {} ({})",
                first.client,
                first.server,
                first.transport,
                ports.join(","),
                count(pair.flows(), "flow"),
                some(&first.rows, sentence::ROWS_MAX)
            );
            self.paragraph("  ", "      ", &line)?;
        }
        self.more(pairs.count())
    }

    fn brief(&mut self, finding: &Finding) -> io::Result<()> {
        let flows = count(finding.flows, "flow");
        let line = match finding.standing_why {
            Some(why) => format!("{}, {flows}, {} ({why})", headline(finding), count(finding.attempts, "attempt")),
            None => format!("{}, {flows} ({})", headline(finding), some(&finding.rows, sentence::ROWS_MAX)),
        };
        self.paragraph("  ", "      ", &line)
    }

    fn whole(&mut self, number: usize, finding: &Finding, vantage: Option<&Vantage>) -> io::Result<()> {
        let line = format!("{}, {} ({})", headline(finding), finding.confidence, finding.reason);
        if number > 1 {
            writeln!(self.out)?;
        }
        self.paragraph(&format!("{number:>3}. "), "     ", &line)?;
        self.paragraph("     ", "     ", &finding.text)?;
        for row in vantage.into_iter().flat_map(|vantage| vantage.of_finding(finding)) {
            self.paragraph("     ", "     ", &format!("With the server's side: {}", row.text))?;
        }
        let frames: Vec<String> = finding.frames.iter().map(ToString::to_string).collect();
        if !frames.is_empty() {
            self.paragraph("     ", "       ", &format!("Frames: {}", frames.join(", ")))?;
        }
        self.paragraph("     ", "       ", &format!("Wireshark: {}", finding.wireshark))
    }

    fn unjudged(&mut self, report: &Report<'_>) -> io::Result<()> {
        let (lines, total) = summary::failed_unjudged(report);
        if lines.is_empty() {
            return Ok(());
        }
        self.heading(&format!("FAILED, NOT JUDGED: {}", thousands(total as u64)), BOLD)?;
        self.paragraph("  ", "  ", summary::UNJUDGED_HINT)?;
        lines.iter().try_for_each(|line| self.paragraph("  - ", "    ", line))?;
        self.remainder(total)
    }

    /// Rows are counted over all sheets, so that the page stays as long as any other list.
    fn readiness(&mut self, report: &Report<'_>) -> io::Result<()> {
        let sheets = answers::sheets(report);
        if sheets.is_empty() {
            return Ok(());
        }
        self.heading(&format!("READINESS: {}", count(sheets.len() as u64, "pair")), BOLD)?;
        let mut lines = 0;
        for sheet in &sheets {
            if lines < ROWS_MAX {
                let (sum, tally) = (sheet.sum, sheet.tally());
                let line = format!("{}, {} -> {}: {tally}", sum.profile, sum.client, sum.server);
                self.paragraph("  ", "      ", &line)?;
            }
            lines += 1;
            for row in &sheet.rows {
                if lines < ROWS_MAX {
                    self.readiness_row(row)?;
                }
                lines += 1;
            }
        }
        if let Some(cut) = answers::readiness_cut(report) {
            self.paragraph("  ", "  ", &format!("… and {cut}"))?;
        }
        self.remainder(lines)
    }

    fn readiness_row(&mut self, row: &ReadinessRow) -> io::Result<()> {
        let first = format!(
            "    {:STATE_COLUMNS$} {:TITLE_COLUMNS$} ",
            answers::state_words(row.state),
            cut(answers::short_id(row), TITLE_COLUMNS)
        );
        let indent = " ".repeat(first.chars().count());
        self.paragraph(&first, &indent, &format!("{}{}", row.named, answers::frames(row)))
    }

    fn ranges(&mut self, report: &Report<'_>) -> io::Result<()> {
        let (used, idle) = answers::used_ranges(report);
        if used.is_empty() && idle.is_none() {
            return Ok(());
        }
        self.heading(&format!("DYNAMIC PORTS: {}", count(used.len() as u64, "server")), BOLD)?;
        let mut lines = 0;
        for range in used {
            if lines < ROWS_MAX {
                self.paragraph("  ", "      ", &format!("{}: {}", range.server, range.text))?;
            }
            lines += 1;
            for port in &range.ports {
                if lines < ROWS_MAX {
                    self.paragraph("    ", "      ", &answers::range_port(range, port))?;
                }
                lines += 1;
            }
        }
        if let Some(idle) = idle {
            self.paragraph("  ", "      ", &idle)?;
        }
        self.remainder(lines)
    }

    fn pairs(&mut self, report: &Report<'_>) -> io::Result<()> {
        if report.pairs.is_empty() {
            return Ok(());
        }
        self.heading(&format!("PAIRS: {}", thousands(report.pairs.len() as u64)), BOLD)?;
        let header = columns("service", "port", "flows", "handshake", "outcomes; standings");
        header.iter().try_for_each(|line| writeln!(self.out, "{line}"))?;
        let names: BTreeMap<Party, &str> =
            report.hosts.iter().filter_map(|host| Some((host.address, host.names.first()?.as_str()))).collect();
        let mut shown = None;
        for (pair, service) in report.pairs.rows().take(ROWS_MAX) {
            if shown != Some((pair.client, pair.server)) {
                let host = |party| names.get(&party).map_or(format!("{party}"), |name| format!("{party} ({name})"));
                let line = format!("{} -> {}: {}", host(pair.client), host(pair.server), pair.worst.name());
                self.paragraph("  ", "      ", &line)?;
                shown = Some((pair.client, pair.server));
            }
            row(&service).iter().try_for_each(|line| writeln!(self.out, "{line}"))?;
        }
        self.remainder(report.pairs.rows_len())
    }
}

/// ` Frames: 4, 9; server's side 7`, or nothing.
pub(crate) fn frames_of_both(row: &VantageRow) -> String {
    let list = |frames: &[FrameName]| frames.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match (row.frames.as_slice(), row.server_frames.as_slice()) {
        ([], []) => String::new(),
        (here, []) => format!(" Frames: {}", list(here)),
        (here, there) => format!(" Frames: {}; server's side {}", list(here), list(there)),
    }
}

/// `10.0.1.20 -> 10.0.0.10 Kerberos, tcp/88: dropped`
fn headline(finding: &Finding) -> String {
    let port = finding.port.map(|port| format!("{}/{port}", finding.transport));
    let interface = finding.interface.as_ref().and_then(|interface| interface.name.as_ref());
    let place = match (port, interface) {
        (Some(port), Some(name)) => format!("{name}, {port}"),
        (Some(port), None) if port == finding.title.as_str() => port,
        (Some(port), None) => format!("{}, {port}", finding.title),
        (None, _) => finding.title.to_string(),
    };
    format!("{} -> {} {place}: {}", finding.client, finding.server, finding.outcome)
}

fn row(service: &PairService<'_>) -> Vec<String> {
    let p50 = service.handshake_us.map_or("-".to_owned(), |us| span(Duration::from_micros(us.p50)));
    let outcomes = format!("{}; {}", shares(service.outcomes.iter()), shares(service.standings.iter()));
    columns(service.title.as_str(), &ports(service), &thousands(service.flows), &p50, &outcomes)
}

/// `tcp/389,3268`, the first ports and how many more.
pub(crate) fn ports(service: &PairService<'_>) -> String {
    const SHOWN_MAX: usize = 2;
    let shown: Vec<String> = service.ports.iter().take(SHOWN_MAX).map(ToString::to_string).collect();
    let more = service.ports.len().saturating_sub(SHOWN_MAX);
    match (shown.as_slice(), more) {
        ([], _) if service.service.as_str().ends_with("/*") => service.service.to_string(),
        ([], _) => service.transport.to_owned(),
        (shown, 0) => format!("{}/{}", service.transport, shown.join(",")),
        (shown, more) => format!("{}/{} +{more}", service.transport, shown.join(",")),
    }
}

fn columns(title: &str, port: &str, flows: &str, time: &str, rest: &str) -> Vec<String> {
    let first = format!(
        "    {:TITLE_COLUMNS$} {:PORT_COLUMNS$} {flows:>FLOWS_COLUMNS$} {time:>TIME_COLUMNS$}  ",
        cut(title, TITLE_COLUMNS),
        cut(port, PORT_COLUMNS)
    );
    let indent = " ".repeat(first.chars().count());
    wrap(&first, &indent, rest)
}

/// The text, or its beginning if it is too wide.
fn cut(text: &str, columns_max: usize) -> String {
    if text.chars().count() <= columns_max {
        return text.to_owned();
    }
    text.chars().take(columns_max - 1).chain(['…']).collect()
}

/// Breaks words into lines of at most [`COLUMNS_MAX`]; a word that fits no line is broken itself.
pub(crate) fn wrap(first: &str, rest: &str, words: &str) -> Vec<String> {
    wrap_within(COLUMNS_MAX, first, rest, words)
}

/// The same for lines of so many columns.
pub(crate) fn wrap_within(columns_max: usize, first: &str, rest: &str, words: &str) -> Vec<String> {
    let begin = |indent: &str| {
        let mut line = String::with_capacity(columns_max);
        line.push_str(indent);
        line
    };
    let mut line = begin(first);
    let mut width = first.chars().count();
    if width + words.len() <= columns_max {
        line.push_str(words);
        return vec![line];
    }
    let mut lines = Vec::new();
    let indent_width = rest.chars().count();
    let mut fresh = true;
    for word in words.split(' ') {
        let mut word = word;
        let mut word_width = word.chars().count();
        if !fresh && width + 1 + word_width > columns_max {
            lines.push(std::mem::replace(&mut line, begin(rest)));
            width = indent_width;
            fresh = true;
        }
        if !fresh {
            line.push(' ');
            width += 1;
        }
        while width + word_width > columns_max {
            let room = columns_max.saturating_sub(width).max(1);
            let (head, tail) = word.split_at(word.char_indices().nth(room).map_or(word.len(), |(at, _)| at));
            line.push_str(head);
            lines.push(std::mem::replace(&mut line, begin(rest)));
            width = indent_width;
            word = tail;
            word_width -= room;
        }
        line.push_str(word);
        width += word_width;
        fresh = false;
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::panic, reason = "a test may stop here")]

    use super::*;
    use crate::flow::fold::Folds;
    use crate::model::transport::Transport;
    use crate::report::sample;

    #[test]
    fn words_break_between_lines_and_long_ones_inside() {
        let lines = wrap("- ", "  ", &format!("{} {} {}", "a".repeat(97), "b".repeat(250), "c c"));
        assert_eq!(lines[0], format!("- {}", "a".repeat(97)));
        assert_eq!(lines[1], format!("  {}", "b".repeat(98)));
        assert_eq!(lines[3], format!("  {} c c", "b".repeat(54)));
        assert!(lines.iter().all(|line| line.chars().count() <= COLUMNS_MAX));
        assert_eq!(wrap("  ", "  ", "one two"), ["  one two"]);
    }

    fn page(report: &Report<'_>, color: bool) -> String {
        let mut out = Vec::new();
        write(report, Style { color }, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    const SAMPLE: &str = include_str!("text_sample.txt");

    #[test]
    fn the_sample_reads_so() {
        let page = page(&sample::report(), false);
        for (got, expected) in page.lines().zip(SAMPLE.lines()) {
            assert_eq!(got, expected);
        }
        assert_eq!(page.len(), SAMPLE.len());
    }

    #[test]
    fn no_line_is_wider_than_a_hundred_columns() {
        for report in [sample::report(), sample::hurt_report()] {
            for line in page(&report, false).lines() {
                assert!(line.chars().count() <= COLUMNS_MAX, "{line}");
            }
        }
    }

    #[test]
    fn weakness_comes_first() {
        let page = page(&sample::hurt_report(), false);
        let place = |words: &str| page.find(words).unwrap_or_else(|| panic!("no {words}"));
        assert!(place("One direction only: 40 %") < place("damaged at frame 91, byte offset 7788"));
        assert!(place("damaged at frame") < place("CAPTURE"));
        assert!(place("CAPTURE") < place("BLOCKED") && place("BLOCKED") < place("UNEXPECTED"));
        assert!(place("UNEXPECTED") < place("SCAN") && place("ATTEMPT") < place("PAIRS"));
    }

    #[test]
    fn colors_come_only_when_asked_for() {
        let report = sample::report();
        let colored = page(&report, true);
        assert!(colored.contains("\x1b[1;31mBLOCKED: 3 findings\x1b[0m"));
        let plain = colored.replace("\x1b[1;31m", "").replace("\x1b[1;33m", "").replace("\x1b[1m", "");
        assert_eq!(plain.replace("\x1b[0m", ""), page(&report, false));
    }

    #[test]
    fn a_long_list_is_cut_and_counted() {
        let catalogue = sample::catalogue();
        let host = |number: usize| format!("10.1.{}.{}", number / 256, number % 256);
        let made: Vec<sample::Made> =
            (0..1_434).map(|number| sample::open(&host(number), "10.0.0.10", Transport::Tcp, 443, 1)).collect();
        let report = sample::report_of(catalogue, sample::run(), sample::health(), &made, &Folds::default());
        let page = page(&report, false);
        assert!(page.ends_with("  … and 1,234 more: see --format json\n"), "{page}");
        assert!(page.contains("NOTHING COULD BE JUDGED\n") && page.contains(" 0 of 1,434 flows could"));
        assert_eq!(page.matches(" -> 10.0.0.10").count(), ROWS_MAX);
    }
}
