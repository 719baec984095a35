//! `portolan bench` as a user and a script meet it, and the traffic that it makes as `analyze` sees it.

#![expect(clippy::unwrap_used, reason = "a test may stop here")]

mod common;

use common::command;
use common::finish;
use common::list;
use common::number;
use common::report;
use common::run;
use common::word;
use portolan::capture::synthetic::Recipe;
use portolan::capture::synthetic::Workload;
use portolan::capture::synthetic::image;
use serde_json::Value;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use tempfile::TempDir;

const SMALL: [&str; 7] = ["--frames", "20000", "--flows", "300", "--rounds", "1", "--format=json"];

fn bench(options: &[&str]) -> Value {
    let ran = finish(command().arg("bench").args(SMALL).args(options));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let text = ran.text();
    assert_eq!(text.lines().count(), 1, "one run is one line: {text}");
    serde_json::from_str(&text).unwrap()
}

fn made(folder: &TempDir, recipe: &Recipe) -> PathBuf {
    let path = folder.path().join("made.pcap");
    fs::write(&path, image(recipe, u64::MAX).unwrap()).unwrap();
    path
}

#[test]
fn a_run_is_one_line_with_the_promised_names() {
    let line = bench(&[]);
    for name in ["frames", "flows", "wire_bytes", "threads"] {
        assert!(number(&line, name) > 0, "{name}");
    }
    for name in ["seconds", "mpps", "ns_per_frame"] {
        assert!(line[name].as_f64().unwrap() > 0.0, "{name}");
        assert!(line["tables"][name].as_f64().unwrap() > 0.0, "{name}");
    }
    for stage in ["read", "decode", "flow", "judge"] {
        assert!(line["stages"][stage]["ns_per_frame"].is_f64(), "{stage}");
    }
    let percentile = |name: &str| line["batch_latency_us"][name].as_f64().unwrap();
    let rising = ["p50", "p99", "p999", "max"].map(percentile);
    assert!(rising[0] > 0.0 && rising.is_sorted(), "{rising:?}");
    assert_eq!(line["rss_mib"].as_u64().is_some(), cfg!(target_os = "linux"));
    assert_eq!(number(&line, "frames"), 20_000);
    assert_eq!(number(&line, "wire_bytes"), 64 * 20_000);
}

#[test]
fn the_same_seed_gives_the_same_counts_whatever_the_threads() {
    for workload in Workload::ALL {
        let counts = |more: &[&str]| {
            let line = bench(&[&["--workload", workload.name()], more].concat());
            assert_eq!(word(&line, "workload"), workload.name());
            ["frames", "flows", "wire_bytes"].map(|name| number(&line, name))
        };
        let one = counts(&["--threads", "1", "--seed", "5"]);
        assert_eq!(one, counts(&["--threads", "3", "--seed", "5"]), "{workload:?}");
        // Of the others nothing depends on chance that could be counted.
        if matches!(workload, Workload::Imix | Workload::Ad) {
            assert_ne!(one, counts(&["--threads", "1", "--seed", "6"]), "{workload:?}");
        }
    }
}

#[test]
fn a_scan_is_a_flow_a_frame() {
    let line = bench(&["--workload=scan"]);
    assert_eq!(number(&line, "flows"), 20_000);
}

#[test]
fn a_capture_counts_as_with_analyze() {
    let folder = tempfile::tempdir().unwrap();
    let path = made(&folder, &Recipe { workload: Workload::Ad, frames: 3_000, flows: 90, seed: 1 });
    let health = report(&path, &[])["health"].clone();
    let ran = finish(command().args(["bench", "--rounds=2", "--format=json"]).arg(&path));
    let line = ran.json();
    assert_eq!(
        ["frames", "flows"].map(|name| number(&line, name)),
        ["frames", "flows"].map(|name| number(&health, name))
    );
    assert_eq!(line["seed"], Value::Null);
    let ran = finish(command().args(["bench", "--rounds=1", "--format=json", "-f", "port 53"]).arg(&path));
    assert!(number(&ran.json(), "flows") < number(&line, "flows"));
}

#[test]
fn text_names_stages_and_latency() {
    let ran = run(&["bench", "--frames=2000", "--flows=50", "--rounds=1", "--threads=1"]);
    assert_eq!(ran.code, Some(0));
    for word in ["min64: 2000 frames", "read", "decode", "flow", "judge", "p99.9", "1 worker"] {
        assert!(ran.text().contains(word), "{word}: {}", ran.text());
    }
}

#[test]
fn what_cannot_begin_says_why() {
    let fails = |options: &[&str], code: i32| {
        let ran = finish(command().arg("bench").args(options));
        assert_eq!(ran.code, Some(code), "{options:?}: {}", ran.stderr);
        ran.stderr
    };
    assert!(fails(&["--workload", "min65"], 2).contains("min64, imix, scan, ad"));
    assert!(fails(&["--workload", "scan", "some.pcap"], 2).contains("cannot be used with"));
    assert!(fails(&["-f", "no such filter"], 2).contains("filter"));
    assert!(fails(&["missing.pcap"], 4).contains("missing.pcap"));
    let large = fails(&["--max-memory=128M", "--frames=3000000"], 2);
    assert!(large.contains("does not fit into --max-memory (128 MiB)"), "{large}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.pcap");
    fs::File::create(&path).unwrap().set_len(129 << 20).unwrap();
    let path = path.to_str().unwrap();
    let large = fails(&["--max-memory=128M", path], 2);
    assert!(large.contains("large.pcap (129 MiB) does not fit"), "{large}");
    assert!(fails(&["-o", "run.xml"], 2).contains(".json .ndjson .csv .md .txt"));
    assert!(fails(&["-o", "-"], 2).contains("name a file instead of -"));
    assert!(fails(&["-o", "no/such/folder/run.json"], 4).contains("no/such/folder"));
    let json = folder.path().join("capture.json");
    fs::write(&json, "").unwrap();
    let json = json.to_str().unwrap();
    assert!(fails(&[json, "-o", json], 2).contains("written over"));
    assert!(fails(&[json, "-f", "udp", "--", "tcp"], 2).contains("cannot be used with"));
}

/// What it shares with the other commands means the same.
#[test]
fn the_options_of_analyze_are_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let files = ["run.json", "run.ndjson", "run.txt", "run.csv", "run.md"].map(|name| folder.path().join(name));
    let capture = "pcaps/blocked/kerberos_dropped.pcap";
    let measure = |options: &[&str], behind: &[&str]| {
        finish(command().args(["bench", "--rounds=1", "--format=json", capture]).args(options).args(behind))
    };
    let ran = finish(
        command()
            .args(["bench", "--rounds=2", "--format=json", "-v", "--color=always", capture])
            .args(files.iter().flat_map(|file| ["-o".as_ref(), file.as_os_str()])),
    );
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let line = ran.text();
    let [json, ndjson, text, csv, md] = files.map(|file| fs::read_to_string(file).unwrap());
    let read = number(&ran.json(), "frames").to_string();
    let [names, values] = [0, 1].map(|line| csv.lines().nth(line).unwrap().split(',').collect::<Vec<_>>());
    let place = names.iter().position(|name| *name == "frames").unwrap();
    assert!((names.len(), values[place]) == (values.len(), &read) && names.contains(&"stages.read.seconds"), "{csv}");
    assert!(
        md.contains(&format!("| frames | {read} |")) && md.contains(".pcap |") && md.lines().count() == names.len() + 2,
        "{md}"
    );
    assert_eq!((&*json, &*ndjson), (&*line, &*line));
    assert!(text.contains("one thread") && !text.contains('\x1b'), "{text}");
    assert!(ran.stderr.contains("round 1") && ran.stderr.contains("round 2"), "{}", ran.stderr);
    let frames = |ran: &common::Run| number(&ran.json(), "frames");
    let all = frames(&measure(&[], &[]));
    assert_eq!(frames(&measure(&["-c", "3"], &[])), 3);
    let filtered = measure(&[], &["--", "udp", "port", "53"]);
    assert_eq!(filtered.json()["flows"], measure(&["-f", "udp port 53"], &[]).json()["flows"]);
    assert!(number(&filtered.json(), "flows") < number(&measure(&[], &[]).json(), "flows") && all > 3);
    // A reader that went away changes nothing of what was found.
    let mut deaf = command();
    deaf.args(["bench", "--rounds=1", "--fail-on=blocked", capture]).stdout(Stdio::piped());
    let mut deaf = deaf.spawn().unwrap();
    drop(deaf.stdout.take());
    assert_eq!(deaf.wait().unwrap().code(), Some(1));
    let fails_on = |kind: &str| measure(&["--fail-on", kind], &[]).code;
    assert_eq!([fails_on("blocked"), fails_on("unexpected")], [Some(1), Some(0)]);
}

#[test]
fn damage_is_told_and_what_was_before_it_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let path = made(&folder, &Recipe { workload: Workload::Min64, frames: 100, flows: 5, seed: 1 });
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let ran = finish(command().args(["bench", "--format=json"]).arg(&path));
    assert_eq!((ran.code, number(&ran.json(), "frames")), (Some(3), 99));
    assert!(ran.stderr.contains("damaged at frame 100"), "{}", ran.stderr);
}

/// Services whose conversations were recognised by what they said, with how many there were.
fn spoken(workload: Workload) -> BTreeMap<String, u64> {
    let folder = tempfile::tempdir().unwrap();
    let path = made(&folder, &Recipe { workload, frames: 30_000, flows: 900, seed: 1 });
    let ran = finish(command().args(["analyze", "--format=ndjson"]).arg(&path));
    let mut spoken = BTreeMap::new();
    for line in ran.text().lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        if let Some(service) = record["service"].as_str() {
            *spoken.entry(service.to_owned()).or_default() += 1;
        }
    }
    spoken
}

#[test]
fn messages_of_the_traffic_are_recognised() {
    for workload in [Workload::Imix, Workload::Ad] {
        let spoken = spoken(workload);
        assert!(spoken.len() > 6, "{workload:?}: {spoken:?}");
    }
}

#[test]
fn logons_are_judged_like_logons() {
    let folder = tempfile::tempdir().unwrap();
    let path = made(&folder, &Recipe { workload: Workload::Ad, frames: 30_000, flows: 900, seed: 1 });
    let report = report(&path, &[]);
    let endpoints = list(&report, "rpc_endpoints");
    assert!(endpoints.len() > 8, "the mapper's answers are read: {endpoints:?}");
    let kinds: BTreeSet<String> = list(&report, "findings").iter().map(|finding| word(finding, "finding")).collect();
    assert!(kinds.contains("blocked"), "conversations that a firewall swallows: {kinds:?}");
    let health = &report["health"];
    assert_eq!((number(health, "duplicates"), &health["skipped"]), (0, &serde_json::json!({})));
}
