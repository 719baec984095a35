//! Golden runs: each folder of `tests/cases` is one capture with the report that was reviewed for it.
//!
//! `case.toml` says what is run and why; `expected.txt` and `expected.json` are what it printed when somebody looked.
//! `UPDATE=1 cargo test --test cases` writes them anew; the difference is then reviewed like any other change.
//! Each case also runs twice and with one, two and three workers, and must print the same bytes.
//!
//! `tests/cases/shipped` is of another kind: for each folder of `pcaps` a page with a few lines for each capture in it.
//! A new capture appears there by itself; what it should show is said in `pcaps/README.md`.

#![expect(clippy::unwrap_used, reason = "a test may stop here")]

mod common;

use common::command;
use common::files_below;
use common::finish;
use common::list;
use common::root;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// What a case runs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// One line: what this case shows.
    purpose: String,
    /// The capture or captures, from the folder of the manifest.
    pcap: Vec<PathBuf>,
    /// More arguments for `analyze`; a path is from the folder of the manifest.
    #[serde(default)]
    args: Vec<String>,
    /// The exit code.
    #[serde(default)]
    exit: i32,
}

/// The two formats with a golden file.
const FORMATS: [(&str, &str); 2] = [("text", "expected.txt"), ("json", "expected.json")];

#[test]
fn every_case_prints_what_was_reviewed() {
    let update = std::env::var_os("UPDATE").is_some();
    let mut faults = Vec::new();
    for (folder, case) in cases() {
        for (format, file) in FORMATS {
            let (code, printed) = run(&case, format, &[]);
            if code != Some(case.exit) {
                faults.push(format!("{}: exit {code:?}, expected {}", folder.display(), case.exit));
            }
            let golden = folder.join(file);
            if update {
                fs::write(&golden, &printed).unwrap();
            } else if let Some(fault) = difference(&fs::read_to_string(&golden).unwrap_or_default(), &printed) {
                faults.push(format!("{}: {fault}", golden.display()));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}\nreview it, then UPDATE=1 cargo test --test cases", faults.join("\n"));
}

#[test]
fn every_case_prints_the_same_bytes_at_any_number_of_workers() {
    for (folder, case) in cases() {
        for (format, _) in FORMATS {
            let once = run(&case, format, &[]);
            for threads in ["1", "2", "3"] {
                let again = run(&case, format, &["--threads", threads]);
                assert_eq!(once.0, again.0, "{}: exit code with {threads} workers", folder.display());
                let fault = difference(&once.1, &again.1);
                assert!(fault.is_none(), "{}: {format} with {threads} workers: {}", folder.display(), fault.unwrap());
            }
            assert_eq!(once, run(&case, format, &[]), "{}: {format}, a second time", folder.display());
        }
    }
}

#[test]
fn every_case_has_a_purpose_of_its_own() {
    let mut purposes = BTreeSet::new();
    for (folder, case) in cases() {
        assert!(case.purpose.len() > 20 && !case.purpose.contains('\n'), "{}: say what it shows", folder.display());
        assert!(purposes.insert(case.purpose), "{}: another case has this purpose", folder.display());
    }
}

#[test]
fn every_shipped_capture_shows_what_was_reviewed() {
    let update = std::env::var_os("UPDATE").is_some();
    let mut faults = Vec::new();
    for folder in folders(&root().join("pcaps")) {
        let page = page(&folder);
        let name = folder.file_name().unwrap().to_str().unwrap();
        let golden = root().join("tests/cases/shipped").join(format!("{name}.txt"));
        if update {
            fs::write(&golden, page).unwrap();
        } else if let Some(fault) = difference(&fs::read_to_string(&golden).unwrap_or_default(), &page) {
            faults.push(format!("{}: {fault}", golden.display()));
        }
    }
    assert!(faults.is_empty(), "\n{}\nreview it, then UPDATE=1 cargo test --test cases", faults.join("\n"));
}

/// Flows of one capture that are shown before the rest is only counted.
const LINES_MAX: usize = 16;

/// A few lines for each capture of a folder.
fn page(folder: &Path) -> String {
    let mut page = String::new();
    for path in files_below(folder) {
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap();
        if path.extension().is_some_and(|extension| extension == "json") {
            continue;
        }
        let report = finish(command().arg("analyze").arg(name).args(["--format", "json"]));
        let value = report.json();
        let health = &value["health"];
        let skipped = health["skipped"].as_object().unwrap().iter().filter(|(_, count)| **count != 0);
        let skipped: Vec<_> = skipped.map(|(reason, count)| format!(", {reason} {count}")).collect();
        let exit = report.code.unwrap();
        let (frames, copies) = (&health["frames"], &health["duplicates"]);
        let lopsided = if health["asymmetric"] == true { ", asymmetric" } else { "" };
        writeln!(page, "{name}: exit {exit}, {frames} frames, {copies} copies{}{lopsided}", skipped.concat()).unwrap();
        let records = finish(command().arg("analyze").arg(name).args(["--format", "ndjson"])).text();
        let mut lines: BTreeMap<String, u64> = BTreeMap::new();
        for record in records.lines() {
            *lines.entry(line(&serde_json::from_str(record).unwrap())).or_default() += 1;
        }
        for (line, count) in lines.iter().take(LINES_MAX) {
            writeln!(page, "  {count} {line}").unwrap();
        }
        if lines.len() > LINES_MAX {
            writeln!(page, "  and {} more", lines.len() - LINES_MAX).unwrap();
        }
        for finding in list(&value, "findings") {
            let part = |name: &str| finding[name].to_string().replace('"', "");
            let ends = format!("{} > {} {}/{}", part("client"), part("server"), part("transport"), part("port"));
            let kind = part("finding").to_uppercase();
            writeln!(page, "  {kind} {ends} {} of {}, frames {}", part("attempts"), part("flows"), part("frames"))
                .unwrap();
        }
    }
    page
}

/// What a flow record says, without its client's port and its times.
fn line(record: &Value) -> String {
    let part = |name: &str| record[name].to_string().replace('"', "");
    let mut line = format!("{} {} > {}", part("proto"), part("id.orig_h"), part("id.resp_h"));
    write!(line, ":{} {} {} {}", part("id.resp_p"), part("outcome"), part("confidence"), part("reason")).unwrap();
    if !record["by"].is_null() {
        write!(line, " by {}", part("by")).unwrap();
    }
    write!(line, ", {}", part("standing")).unwrap();
    if !record["standing_why"].is_null() {
        write!(line, " {}", part("standing_why")).unwrap();
    }
    for flag in list(record, "flags") {
        write!(line, ", {}", flag.as_str().unwrap()).unwrap();
    }
    line
}

#[test]
fn a_difference_is_shown_by_its_first_line() {
    assert_eq!(difference("a\nb\n", "a\nb\n"), None);
    assert_eq!(difference("a\nb\n", "a\nc\n").unwrap(), "line 2\n  expected: b\n  printed:  c");
    assert_eq!(difference("a\n", "a\nc\n").unwrap(), "line 2\n  expected: nothing\n  printed:  c");
    assert!(difference("a\n", "a").is_some());
}

/// Every case, in the order of the folders' names.
fn cases() -> Vec<(PathBuf, Case)> {
    let folders = folders(&root().join("tests/cases"));
    folders
        .into_iter()
        .filter(|folder| !folder.ends_with("shipped"))
        .map(|folder| (folder.clone(), read(&folder)))
        .collect()
}

/// The folders in a folder, in the order of their names.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    assert!(!folders.is_empty());
    folders
}

fn read(folder: &Path) -> Case {
    let text = fs::read_to_string(folder.join("case.toml")).unwrap();
    match toml::from_str(&text) {
        Ok(case) => case,
        Err(error) => unreadable(folder, &error),
    }
}

#[expect(clippy::panic, reason = "the way a test fails")]
fn unreadable(folder: &Path, error: &toml::de::Error) -> ! {
    panic!("{}/case.toml: {error}", folder.display())
}

fn run(case: &Case, format: &str, more: &[&str]) -> (Option<i32>, String) {
    let ran = finish(command().arg("analyze").args(&case.pcap).args(&case.args).args(["--format", format]).args(more));
    (ran.code, ran.text())
}

/// The first line in which two texts differ.
fn difference(expected: &str, printed: &str) -> Option<String> {
    if expected == printed {
        return None;
    }
    let (mut left, mut right) = (expected.lines(), printed.lines());
    let mut line = 0;
    loop {
        line += 1;
        let (one, other) = (left.next(), right.next());
        if one != other || one.is_none() {
            let (one, other) = (one.unwrap_or("nothing"), other.unwrap_or("nothing"));
            return Some(format!("line {line}\n  expected: {one}\n  printed:  {other}"));
        }
    }
}
