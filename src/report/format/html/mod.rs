//! HTML: one file that needs nothing else, for people who were not there.
//!
//! All text goes through the template's escaping; the content security policy allows one style and one script, by their
//! hashes, and nothing from anywhere. It reads without the script, which only filters, sorts and copies.

mod evidence;
mod lists;
mod mark;
mod matrix;
mod who;

use std::io;
use std::io::Write;

use askama::Template;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::Digest;
use sha2::Sha256;

use crate::report::Report;
use crate::report::format::html::evidence::Kind;
use crate::report::format::html::lists::Host;
use crate::report::format::html::lists::Listed;
use crate::report::format::html::lists::Map;
use crate::report::format::html::lists::Range;
use crate::report::format::html::lists::Readiness;
use crate::report::format::html::lists::Tasks;
use crate::report::format::html::mark::Mark;
use crate::report::format::html::matrix::Matrix;
use crate::report::format::summary;
use crate::report::moment::span;
use crate::report::words::thousands;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Captures listed; the others are counted.
const INPUTS_MAX: usize = 50;

/// Notes on the health listed; the others are counted.
const NOTES_MAX: usize = 100;

#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    report: &'a Report<'a>,
    policy: String,
    style: &'static str,
    script: &'static str,
    marks: [Mark; 7],
    tally: String,
    clean: Option<(&'static str, String)>,
    watched: String,
    ends: [String; 2],
    notes: Vec<&'a str>,
    notes_cut: usize,
    inputs: Vec<Input>,
    inputs_cut: usize,
    facts: Vec<(&'static str, String)>,
    matrix: Matrix,
    kinds: Vec<Kind>,
    tasks: Tasks,
    unjudged: Vec<String>,
    unjudged_cut: usize,
    readiness: Readiness,
    maps: Listed<Map>,
    ranges: Listed<Range>,
    hosts: Listed<Host>,
}

/// One capture.
struct Input {
    path: String,
    format: String,
    links: String,
    frames: String,
    bytes: String,
    snaplen: String,
    ends: [String; 2],
    error: String,
}

/// Writes the page.
///
/// # Errors
/// Those of the writer.
pub fn write(report: &Report<'_>, mut out: &mut dyn Write) -> io::Result<()> {
    let places = evidence::places(report);
    let kinds = evidence::kinds(report);
    let (unjudged, unjudged_total) = summary::failed_unjudged(report);
    let clock = report.run.span();
    let page = Page {
        report,
        policy: policy(),
        style: STYLE,
        script: SCRIPT,
        marks: Mark::ALL,
        tally: summary::tally(report),
        clean: summary::is_clean(report).then(|| (summary::silence_heading(report), summary::silence(report))),
        watched: clock.map(|(first, last)| span(last.0.since(first.0))).unwrap_or_default(),
        ends: clock.map(|(first, last)| [first.to_string(), last.to_string()]).unwrap_or_default(),
        notes: report.health.notes.iter().take(NOTES_MAX).map(AsRef::as_ref).collect(),
        notes_cut: report.health.notes.len().saturating_sub(NOTES_MAX),
        inputs: report.run.inputs.iter().take(INPUTS_MAX).map(Input::of).collect(),
        inputs_cut: report.run.inputs.len().saturating_sub(INPUTS_MAX),
        facts: facts(report),
        matrix: matrix::matrix(report, &places),
        tasks: lists::tasks(report, &kinds),
        kinds,
        unjudged_cut: unjudged_total - unjudged.len(),
        unjudged,
        readiness: lists::readiness(report),
        maps: lists::maps(report),
        ranges: lists::ranges(report),
        hosts: lists::hosts(report),
    };
    page.write_into(&mut out)
}

/// Nothing may be loaded, sent or framed; the style and the script are those with these hashes (CSP Level 3).
fn policy() -> String {
    let hash = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
}

impl Input {
    fn of(input: &crate::report::facts::InputRow) -> Self {
        let compression = input.compression.map(|name| format!(", {name}")).unwrap_or_default();
        Self {
            path: input.path.to_string(),
            format: format!("{}{compression}", input.format.unwrap_or("unknown")),
            links: input.link_types.join(", "),
            frames: thousands(input.frames),
            bytes: thousands(input.bytes),
            snaplen: if input.snaplen > 0 { thousands(input.snaplen.into()) } else { String::new() },
            ends: [input.first, input.last].map(|end| end.map(|end| end.to_string()).unwrap_or_default()),
            error: input.error.as_ref().map_or_else(String::new, |error| {
                format!("damaged at frame {}, byte offset {}: {}", error.frame, error.offset, error.message)
            }),
        }
    }
}

/// What was read and judged, a name and a value each; counts that are zero tell nothing and stay out.
fn facts(report: &Report<'_>) -> Vec<(&'static str, String)> {
    let (run, health) = (&report.run, &report.health);
    let skipped: u64 = health.skipped.values().sum();
    let reasons: Vec<String> = health.skipped.iter().map(|(reason, n)| format!("{reason} {}", thousands(*n))).collect();
    let mut all = vec![
        ("frames read", thousands(health.frames)),
        ("frames decoded", thousands(health.decoded)),
        ("flows", thousands(health.flows)),
        ("host pairs", thousands(report.pairs.len() as u64)),
    ];
    if skipped > 0 {
        all.push(("frames skipped", format!("{} ({})", thousands(skipped), reasons.join(", "))));
    }
    let counts = [
        ("left out by the filter", health.filtered),
        ("copies", health.duplicates),
        ("fragments", health.fragments),
        ("packets in tunnels", health.tunnels),
        ("ICMP errors", health.icmp_errors),
        ("ICMP errors about no flow seen", health.icmp_unmatched),
        ("lost by the capturing system", health.dropped_by_kernel),
        ("flows given up for lack of room", health.flows_evicted),
    ];
    all.extend(counts.into_iter().filter(|(_, n)| *n > 0).map(|(name, n)| (name, thousands(n))));
    all.extend(run.filter.as_ref().map(|filter| ("filter", filter.to_string())));
    all.push(("judged by", run.profiles.join(", ")));
    all.push(("site file", run.site.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string)));
    all
}

/// At most so many characters, with a mark where some are missing.
fn brief(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    text.chars().take(chars_max - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop here")]

    use super::*;
    use crate::flow::fold::Folds;
    use crate::model::transport::Transport;
    use crate::report::facts::InputRow;
    use crate::report::sample;
    use crate::report::sanitise::Shown;

    fn text_of(report: &Report<'_>) -> String {
        let mut out = Vec::new();
        write(report, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_sample_has_all_its_parts() {
        let page = text_of(&sample::report());
        let ids = ["capture", "matrix", "findings", "todo", "open", "mend", "close", "pairs", "hosts", "limits"];
        for id in ids {
            assert_eq!(page.matches(&format!(" id=\"{id}\"")).count(), 1, "{id}");
        }
        for number in 1..=7 {
            assert_eq!(page.matches(&format!(" id=\"f{number}\"")).count(), 1, "{number}");
        }
        assert!(page.contains("<h1>3 blocked, 1 unexpected, 1 scan, 1 attempt, 1 by range only</h1>"));
        assert!(page.contains("ip.addr == 10.0.1.20 &#38;&#38; ip.addr == 10.0.0.10 &#38;&#38; tcp.port == 88"));
        assert!(page.contains("<code>frame.number in {12, 19}</code>"));
        // Every link within the page leads somewhere.
        for link in page.split("href=\"#").skip(1) {
            let id = link.split('"').next().unwrap();
            assert!(page.contains(&format!(" id=\"{id}\"")), "{id}");
        }
    }

    #[test]
    fn only_the_style_and_the_script_go_unescaped() {
        let template = include_str!("page.html");
        assert_eq!(template.matches("safe").count(), 2);
        assert!(
            template.contains("<style>{{ style|safe }}</style>")
                && template.contains("<script>{{ script|safe }}</script>")
        );
        assert!(!STYLE.contains("</") && !SCRIPT.contains("</") && !STYLE.contains("url("));
        let handler = |rest: &str| rest.trim_start_matches(|char: char| char.is_ascii_lowercase()).starts_with('=');
        let handled = template.split(" on").skip(1).any(handler);
        assert!(!template.contains(" style=") && !handled, "the policy would stop it");
    }

    #[test]
    fn the_policy_names_the_style_and_the_script_of_this_page() {
        let page = text_of(&sample::report());
        for (tag, text) in [("style", STYLE), ("script", SCRIPT)] {
            let inner = page.split(&format!("<{tag}>")).nth(1).unwrap().split(&format!("</{tag}>")).next().unwrap();
            assert_eq!(inner, text);
            let hash = BASE64_STANDARD.encode(Sha256::digest(inner.as_bytes())).replace('+', "&#43;");
            assert!(page.contains(&format!("{tag}-src &#39;sha256-{}&#39;", hash.replace("&#43;", "+"))), "{tag}");
        }
    }

    #[test]
    fn text_from_outside_is_text() {
        let mut run = sample::run();
        let wicked = "<script>alert(1)</script>\"'><img src=x onerror=y>\u{202e}\n=1+1";
        run.inputs = vec![InputRow { path: Shown::text(wicked), ..InputRow::default() }];
        run.filter = Some(Shown::text(wicked));
        run.site = Some(Shown::text(wicked));
        let mut health = sample::health();
        health.notes = vec![Shown::text(wicked)];
        let catalogue = sample::catalogue();
        let report = sample::report_of(catalogue, run, health, &sample::flows(catalogue), &Folds::default());
        let page = text_of(&report);
        assert!(!page.contains("<script>alert") && !page.contains("<img") && !page.contains('\u{202e}'));
        assert_eq!(page.matches("&#60;script&#62;alert(1)").count(), 4);
    }

    #[test]
    fn a_large_report_is_cut_and_counted() {
        let catalogue = sample::catalogue();
        let blocked = |number: u64| {
            let client = format!("10.1.{}.{}", number / 256, number % 256);
            let wide = sample::open(&client, "10.0.0.10", Transport::Tcp, 88, 1 + number % 80);
            let [kerberos, ..] = <[sample::Made; 11]>::try_from(sample::flows(catalogue)).ok().unwrap();
            sample::Made { flow: wide.flow, orig: wide.orig, ..kerberos }
        };
        let made: Vec<sample::Made> = (0..3_000).map(blocked).collect();
        let report = sample::report_with(catalogue, sample::run(), sample::health(), &made, &[], &Folds::default());
        let page = text_of(&report);
        assert!(page.contains("… and 2850 more findings of this kind"), "findings");
        assert_eq!(page.matches("… and 2600 more host pairs").count(), 2);
        assert!(page.len() < 2 << 20, "{}", page.len());
    }
}
