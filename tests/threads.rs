//! The report is the same bytes for any number of workers, on every capture there is.
//!
//! All of `pcaps/` runs, whole and with room for few flows; of the public captures a fixed sample, or all of them with
//! `PORTOLAN_THREADS=full`.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test may stop, and says what it ran")]

mod common;

use common::files_below;
use common::root;
use common::run;
use common::shared;
use std::path::Path;
use std::path::PathBuf;

/// Numbers of workers: none beside the reader, as many as tables share evenly, and not.
const THREADS: [&str; 4] = ["1", "2", "3", "8"];

/// What differs between the runs of these captures, each with these options.
fn differences(captures: &[PathBuf], options: &[&str]) -> Vec<String> {
    let whole = |path: &Path, threads: &str| {
        let path = path.to_str().unwrap();
        let formats = ["json", "ndjson"];
        formats.map(|format| {
            let args = [&["analyze", path, "-q", "--format", format, "--threads", threads], options].concat();
            let ran = run(&args);
            (ran.code, ran.stdout)
        })
    };
    let differ = |path: &&PathBuf| {
        let [first, others @ ..] = THREADS;
        let once = whole(path, first);
        others.iter().any(|threads| whole(path, threads) != once)
    };
    captures.iter().filter(differ).map(|path| path.display().to_string()).collect()
}

#[test]
fn the_projects_own_captures() {
    let captures: Vec<PathBuf> =
        files_below(&root().join("pcaps")).into_iter().filter(|path| path.extension().is_none_or(is_capture)).collect();
    assert!(captures.len() > 100, "{}", captures.len());
    assert_eq!(differences(&captures, &[]), [""; 0]);
    // Sixteen tables of one flow each: nearly everything is given up.
    assert_eq!(differences(&captures, &["--max-flows", "16"]), [""; 0]);
}

#[test]
fn public_captures() {
    let Some(folder) = shared("captures/public") else { return };
    let full = std::env::var("PORTOLAN_THREADS").is_ok_and(|value| value == "full");
    let all = files_below(&folder);
    let chosen: Vec<PathBuf> =
        all.iter().enumerate().filter(|(place, _)| full || place % 40 == 7).map(|(_, path)| path.clone()).collect();
    println!("{} of {} public captures", chosen.len(), all.len());
    assert_eq!(differences(&chosen, &[]), [""; 0]);
}

fn is_capture(extension: &std::ffi::OsStr) -> bool {
    !["md", "json", "toml", "txt"].iter().any(|other| extension == *other)
}
