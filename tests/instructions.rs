//! A gate against slowness that a busy machine cannot fool: instructions a frame of the program as released, counted
//! by valgrind's cachegrind.
//!
//! `cargo test --release --test instructions`. Two captures of the same kind and different length are analysed; the
//! difference is what the frames cost, with their share of the report, whatever the start does. Counts of one build
//! differ by less than 0.1 %, by the seed of the hash; bounds leave a third for compilers and honest growth. Raise one only with a reason in the
//! commit. Without valgrind, or in a debug build, nothing is measured and that is said.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test may stop here, and a gate tells its numbers")]

use std::path::Path;
use std::process::Command;

use portolan::capture::synthetic::Recipe;
use portolan::capture::synthetic::Workload;
use portolan::capture::synthetic::image;

/// Workload, conversations, and the most instructions that a frame may cost until its report is written.
const BOUNDS: [(Workload, u32, u64); 4] =
    [(Workload::Min64, 500, 900), (Workload::Imix, 500, 1_950), (Workload::Scan, 1, 4_150), (Workload::Ad, 900, 3_450)];

/// Long enough that each of the scanners of [`Workload::Scan`] is told as one: else every attempt has a row of its own.
const SHORT: u64 = 100_000;
const LONG: u64 = 200_000;

/// A capture of which every frame is cut behind its headers: a tenth of its instructions at most may go to listening.
const LISTENING_SHARE: u64 = 10;

/// The door to all that listens to payload of plain frames, which is not inlined.
const LISTENS: &str = "portolan::pipeline::worker::Worker::heed_plain";

/// Ethernet, IPv4 and TCP without options.
const HEADERS_LEN: usize = 54;

/// Instructions of an analysis, by the line `I refs: 1,234` that cachegrind ends with.
fn instructions(capture: &Path) -> u64 {
    let ran = Command::new("valgrind")
        .args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"])
        .arg(env!("CARGO_BIN_EXE_portolan"))
        .args(["analyze", "--threads=1", "--format=json", "-q"])
        .arg(capture)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.success(), "{said}");
    let count = said.lines().find_map(|line| line.split_once("refs:")).unwrap().1;
    count.trim().replace(',', "").parse().unwrap()
}

/// The same within one function and whatever it calls.
fn instructions_within(function: &str, capture: &Path) -> u64 {
    let ran = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(format!("--toggle-collect={function}"))
        .arg(env!("CARGO_BIN_EXE_portolan"))
        .args(["analyze", "--threads=1", "--format=json", "-q"])
        .arg(capture)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.success(), "{said}");
    let count = said.lines().find_map(|line| line.split_once("Collected :")).unwrap().1;
    count.trim().parse().unwrap()
}

/// A pcap file of little-endian headers with every frame cut to its headers.
fn cut_behind_headers(whole: &[u8]) -> Vec<u8> {
    let (header, mut records) = whole.split_at(24);
    let mut cut = header.to_vec();
    while let Some((record, rest)) = records.split_first_chunk::<16>() {
        let captured = u32::from_le_bytes([record[8], record[9], record[10], record[11]]) as usize;
        let (frame, following) = rest.split_at(captured);
        records = following;
        let kept = frame.get(..HEADERS_LEN).unwrap_or(frame);
        cut.extend_from_slice(&record[..8]);
        cut.extend_from_slice(&u32::try_from(kept.len()).unwrap().to_le_bytes());
        cut.extend_from_slice(&record[12..]);
        cut.extend_from_slice(kept);
    }
    cut
}

/// Where no payload was captured, looking for it must cost next to nothing.
#[test]
fn headers_alone_pay_little_for_listening() {
    if cfg!(debug_assertions) {
        return println!("skipped: only a release build tells what the program costs");
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        return println!("skipped: there is no valgrind");
    }
    let folder = tempfile::tempdir().unwrap();
    let whole = image(&Recipe { workload: Workload::Ad, frames: SHORT, flows: 900, seed: 1 }, u64::MAX).unwrap();
    for (name, capture, is_whole) in
        [("with payload", whole.clone(), true), ("headers", cut_behind_headers(&whole), false)]
    {
        let path = folder.path().join("capture.pcap");
        std::fs::write(&path, capture).unwrap();
        let (all, listening) = (instructions(&path), instructions_within(LISTENS, &path));
        println!("{name}: {listening} of {all} instructions are listening");
        // There is a function of that name, and it was called.
        assert!(!is_whole || listening > 0, "{name}: {listening} of {all}");
        assert!(is_whole || listening * LISTENING_SHARE < all, "{name}: {listening} of {all}");
    }
}

#[test]
fn a_frame_costs_no_more_instructions_than_promised() {
    if cfg!(debug_assertions) {
        return println!("skipped: only a release build tells what the program costs");
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        return println!("skipped: there is no valgrind");
    }
    let folder = tempfile::tempdir().unwrap();
    let mut faults = Vec::new();
    for (workload, flows, bound) in BOUNDS {
        let count = |frames: u64| {
            let recipe = Recipe { workload, frames, flows, seed: 1 };
            let path = folder.path().join(format!("{}-{frames}.pcap", workload.name()));
            std::fs::write(&path, image(&recipe, u64::MAX).unwrap()).unwrap();
            instructions(&path)
        };
        let each = (count(LONG) - count(SHORT)) / (LONG - SHORT);
        println!("{}: {each} instructions a frame, at most {bound}", workload.name());
        if each > bound {
            faults.push(format!("{}: {each} instead of {bound}", workload.name()));
        }
        // A number far below its bound guards nothing any more.
        if each * 2 < bound {
            println!("{}: lower its bound", workload.name());
        }
    }
    assert!(faults.is_empty(), "{}", faults.join(", "));
}
