//! Text from the wire that is made for terminals, browsers, spreadsheets and rule files is inert in every format.

#![expect(clippy::unwrap_used, reason = "a test may stop")]

mod common;

use std::fs;
use std::path::PathBuf;

use common::command;
use common::finish;
use serde_json::Value;

const CAPTURES: [&str; 2] = ["pcaps/hostile/names_to_escape.pcap", "pcaps/hostile/text_everywhere.pcap"];

const FORMATS: [&str; 10] = ["text", "json", "ndjson", "csv", "html", "md", "ecs", "eve", "zeek", "zeek-json"];

/// The roles that make what fails in these captures a finding.
const SITE: &str = "[hosts]\ndomain-controller = [\"10.0.0.10\"]\nclient = [\"10.0.1.0/24\"]\n";

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("site.toml"), SITE).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn printed(&self, capture: &str, format: &str) -> String {
        let ran =
            finish(command().args(["analyze", capture, "--format", format, "--site"]).arg(self.path("site.toml")));
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        ran.text()
    }
}

/// What a terminal obeys, or what turns the direction of writing; tabs and line ends are the format's own.
fn harmful(text: &str) -> Option<char> {
    text.chars().find(|char| {
        (char.is_control() && !"\r\n\t".contains(*char))
            || matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    })
}

#[test]
fn nothing_drives_a_terminal_in_any_format() {
    let place = Place::new();
    for capture in CAPTURES {
        for format in FORMATS {
            let page = place.printed(capture, format);
            assert_eq!(harmful(&page), None, "{capture} as {format}");
        }
        // The names are read, and told in another spelling: else this would prove nothing.
        assert!(place.printed(capture, "text").contains("\\u{1b}"), "{capture}");
    }
}

#[test]
fn nothing_is_run_by_a_browser() {
    let place = Place::new();
    for capture in CAPTURES {
        for format in ["html", "md"] {
            let page = place.printed(capture, format);
            assert!(!page.contains("<script>alert"), "{capture} as {format}");
        }
        // The page for people without findings names no hosts; that for browsers does, else this would prove nothing.
        assert!(place.printed(capture, "html").contains("alert(1)"), "{capture}: the name is told");
    }
}

/// Each line of a format that has one record a line is a whole record, and no cell of a table is a formula.
#[test]
fn no_line_and_no_cell_is_made_up() {
    let place = Place::new();
    for capture in CAPTURES {
        let flows = place.printed(capture, "ndjson").lines().count();
        for format in ["ndjson", "ecs", "eve", "zeek-json"] {
            let page = place.printed(capture, format);
            assert_eq!(page.lines().count(), flows, "{capture} as {format}");
            assert!(page.lines().all(|line| serde_json::from_str::<Value>(line).unwrap().is_object()));
        }
        let zeek = place.printed(capture, "zeek");
        let columns = zeek.lines().find(|line| line.starts_with("#types")).unwrap().split('\t').count() - 1;
        let told: Vec<&str> = zeek.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(told.len() == flows && told.iter().all(|line| line.split('\t').count() == columns), "{capture}");
        let table = place.printed(capture, "csv");
        let rows = cells(&table);
        assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{capture}");
        for cell in rows.iter().skip(1).flatten() {
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{capture}: {cell}");
        }
    }
}

/// CSV as RFC 4180 has it.
fn cells(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut rest = text.chars().peekable();
    while let Some(char) = rest.next() {
        match char {
            '"' if quoted && rest.peek() == Some(&'"') => cell.extend(rest.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            '\r' if !quoted => {}
            other => cell.push(other),
        }
    }
    rows
}

/// Firewall rules, comparisons and the comments of packets as well.
#[test]
fn what_is_made_of_a_report_is_inert_too() {
    const TARGETS: [&str; 7] = ["nft", "iptables", "ip6tables", "windows", "rpc-filter", "asa", "csv"];
    let place = Place::new();
    for capture in CAPTURES {
        let report = place.path("report.json");
        fs::write(&report, place.printed(capture, "json")).unwrap();
        for target in TARGETS {
            let mut command = command();
            command.args(["rules", "export", "--to", target, "--from"]).arg(&report);
            let rules = finish(command.arg("--site").arg(place.path("site.toml"))).text();
            assert_eq!(harmful(&rules), None, "{capture} for {target}");
            for line in ["flush ruleset\n", "add rule inet f c accept"] {
                let made = rules.lines().any(|rule| rule.trim_start().starts_with(line.trim_end()));
                assert!(!made, "{capture} for {target}: {rules}");
            }
        }
        for format in ["text", "json", "md"] {
            let diff = finish(command().arg("diff").arg(&report).arg(&report).args(["--format", format])).text();
            assert_eq!(harmful(&diff), None, "{capture}: diff as {format}");
        }
        let file = place.path("found.pcapng");
        let mut command = command();
        command.args(["analyze", "-q", capture, "-w"]).arg(&file).arg("--site").arg(place.path("site.toml"));
        assert_eq!(finish(&mut command).code, Some(0));
        // Packets keep their bytes; what is said of them is ours.
        let bytes = fs::read(&file).unwrap();
        let comments = String::from_utf8_lossy(&bytes);
        for comment in comments.split("portolan: frame ").skip(1) {
            let end = comment.find('\0').unwrap_or(comment.len());
            assert_eq!(harmful(&comment[..end.min(200)]), None, "{capture}: {comment:?}");
        }
    }
}
