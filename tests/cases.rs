//! Golden runs: each folder of `tests/cases` is one capture with the report that was reviewed for it.
//!
//! `case.toml` says what is run and why; `expected.txt` and `expected.json` are what it printed when somebody looked.
//! `UPDATE=1 cargo test --test cases` writes them anew; the difference is then reviewed like any other change.
//! Each case also runs twice and with one, two and three workers, and must print the same bytes.

#![expect(clippy::unwrap_used, reason = "a test may stop here")]

mod common;

use common::command;
use common::finish;
use common::root;
use serde::Deserialize;
use std::collections::BTreeSet;
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
fn a_difference_is_shown_by_its_first_line() {
    assert_eq!(difference("a\nb\n", "a\nb\n"), None);
    assert_eq!(difference("a\nb\n", "a\nc\n").unwrap(), "line 2\n  expected: b\n  printed:  c");
    assert_eq!(difference("a\n", "a\nc\n").unwrap(), "line 2\n  expected: nothing\n  printed:  c");
    assert!(difference("a\n", "a").is_some());
}

/// Every case, in the order of the folders' names.
fn cases() -> Vec<(PathBuf, Case)> {
    let folder = root().join("tests/cases");
    let mut folders: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    assert!(!folders.is_empty());
    folders.into_iter().map(|folder| (read(&folder), folder)).map(|(case, folder)| (folder, case)).collect()
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
