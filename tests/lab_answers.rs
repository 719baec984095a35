//! Answers that are tried out on the lab, played now: firewall rules made from a clean capture are loaded by its
//! firewall, and recordings of both sides of it name it as the place of loss.
//!
//! It takes minutes, root and Samba, so it runs only where `PORTOLAN_LAB=1` asks for it.

#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "a test may stop, and says why it skips")]

mod common;
#[path = "common/truth.rs"]
mod truth;

use std::env;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use common::command;
use common::finish;
use common::list;
use common::port;
use common::root;
use common::word;
use serde_json::Value;
use truth::Truth;

const ASKED: &str = "PORTOLAN_LAB";

/// A folder for what the lab leaves; nothing where nobody asked for it.
fn folder(name: &str) -> Option<PathBuf> {
    if env::var_os(ASKED).is_none_or(|value| value != "1") {
        eprintln!("skipped: the live lab runs where {ASKED}=1 asks for it; see tests/lab/README.md");
        return None;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    fs::create_dir_all(&folder).unwrap();
    Some(folder)
}

/// Plays these scenarios and gives what the lab said.
fn play(folder: &Path, scenarios: &[String]) -> String {
    let ran = Command::new(root().join("tests/lab/run")).args(scenarios).arg("--out").arg(folder).output().unwrap();
    let said = [ran.stdout, ran.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    eprintln!("{said}");
    assert!(ran.status.success(), "{scenarios:?} did not go as their scripts expect");
    said
}

/// The two numbers of `wanted and worked: 23 of 23`.
fn share(said: &str, words: &str) -> Vec<(u64, u64)> {
    let lines = said.lines().filter_map(|line| line.trim().strip_prefix(words)?.strip_prefix(": "));
    let number = |text: &str| text.trim().parse::<u64>().unwrap();
    lines.map(|rest| rest.split_once(" of ").map(|(one, all)| (number(one), number(all))).unwrap()).collect()
}

#[test]
fn rules_from_a_clean_capture_let_the_wanted_through_and_stop_the_unexpected() {
    let Some(folder) = folder("lab-rules") else { return };
    play(&folder, &["clean".to_owned()]);
    let truth = Truth::read(&fs::read_to_string(folder.join("clean.json")).unwrap());
    let site = truth.site();
    let report = folder.join("report.json");
    let mut command_line = command();
    command_line.args(["analyze", "-q", "--format", "json", "--site"]).arg(site.path()).arg(folder.join("clean.pcap"));
    fs::write(&report, finish(&mut command_line).stdout).unwrap();
    let mut command_line = command();
    command_line.args(["rules", "export", "--to", "nft", "--from"]).arg(&report).arg("--site").arg(site.path());
    let rules = folder.join("exported.nft");
    fs::write(&rules, finish(&mut command_line).stdout).unwrap();
    let names = ["clean", "unexpected"].map(|name| format!("{name}@{}", rules.display()));
    let said = play(&folder, &names);
    let (wanted, stopped) = (share(&said, "wanted and worked"), share(&said, "unexpected and stopped"));
    assert!(wanted.len() == 2 && stopped.len() == 2, "{said}");
    assert!(wanted.iter().chain(&stopped).all(|(good, all)| good == all), "{wanted:?} {stopped:?}");
    assert!(wanted[0].1 >= 20 && stopped[1].1 >= 6, "{wanted:?} {stopped:?}");
}

#[test]
fn both_sides_of_the_firewall_name_it() {
    let Some(folder) = folder("lab-sides") else { return };
    play(&folder, &["sides".to_owned(), "nat".to_owned()]);
    for scenario in ["sides", "nat"] {
        let sides = ["client", "server"].map(|side| folder.join(format!("{scenario}.{side}-side.pcap")));
        let mut command = command();
        command
            .args(["analyze", "--format", "json", "--client-side"])
            .arg(&sides[0])
            .arg("--server-side")
            .arg(&sides[1]);
        let report = finish(&mut command).json();
        let vantage = &report["vantage"];
        assert_eq!(vantage["hops"], 1, "{vantage}");
        let truth: Value = serde_json::from_slice(&fs::read(folder.join(format!("{scenario}.json"))).unwrap()).unwrap();
        let mut lost = 0;
        for flow in list(&truth, "flows").iter().filter(|flow| flow.get("path").is_some()) {
            let path = &flow["path"];
            let wanted = match (path["server_got"].as_u64(), path["server_sent"].as_u64(), path["client_got"].as_u64())
            {
                (Some(0), ..) => ["request_lost", "rejected_between"].as_slice(),
                (_, Some(1..), Some(0)) => &["answer_lost"],
                _ => continue,
            };
            lost += 1;
            let same = |row: &&Value| {
                (word(row, "client"), word(row, "server")) == (word(flow, "src_ip"), word(flow, "dst_ip"))
                    && (word(row, "transport"), port(row, "port")) == (word(flow, "proto"), port(flow, "dport"))
            };
            let row =
                list(vantage, "rows").iter().find(same).unwrap_or_else(|| panic!("{scenario}: no row for {flow}"));
            assert!(wanted.contains(&word(row, "place").as_str()), "{scenario}: {row}");
            assert!(word(row, "text").contains("the one router or firewall there"), "{row}");
        }
        assert!(lost > 0, "{scenario}");
    }
}
