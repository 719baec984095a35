//! ECS, EVE and Zeek's `conn.log`, against those projects' own schemas and readers.
//!
//! What others wrote is not shipped here: Suricata's `etc/schema.json` is looked for at `PORTOLAN_EVE_SCHEMA`, the list of
//! ECS fields (`generated/csv/fields.csv` of its repository) at `PORTOLAN_ECS_FIELDS`, both else in `../shared/schemas`.
//! `tests/readers.sh` installs a reader of Zeek's logs. What is absent is skipped with a notice.

#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "a test may stop, and says why it skips")]

mod common;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use common::command;
use common::finish;
use common::number;
use common::root;
use common::word;
use serde_json::Value;

const CAPTURES: [&str; 6] = [
    "lab/dynrpc.pcap",
    "lab/drop.pcap",
    "lab/reject.pcap",
    "lab/ipv6.pcap",
    "scan/sweep_445.pcap",
    "hostile/tcp_flags.pcap",
];

fn lines(capture: &str, format: &str) -> Vec<String> {
    let path = root().join("pcaps").join(capture);
    let ran = finish(command().arg("analyze").arg(path).args(["--format", format]));
    assert!(matches!(ran.code, Some(0 | 3)), "{}", ran.stderr);
    ran.text().lines().map(ToOwned::to_owned).collect()
}

fn values(capture: &str, format: &str) -> Vec<Value> {
    lines(capture, format).iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A file of another project.
fn theirs(variable: &str, name: &str) -> Option<PathBuf> {
    let named = std::env::var_os(variable).map(PathBuf::from);
    let path = named.unwrap_or_else(|| root().join("../shared/schemas").join(name));
    if !path.exists() {
        eprintln!("skipped: {} is not there ({variable} names it)", path.display());
        return None;
    }
    Some(path)
}

#[test]
fn eve_keeps_to_suricatas_schema() {
    let Some(path) = theirs("PORTOLAN_EVE_SCHEMA", "eve.schema.json") else { return };
    let schema: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for capture in CAPTURES {
        for event in values(capture, "eve") {
            let faults: Vec<String> = validator.iter_errors(&event).map(|fault| fault.to_string()).collect();
            assert!(faults.is_empty(), "{capture}: {faults:?}: {event}");
        }
    }
    // The schema is closed: it notices.
    let mut event = values(CAPTURES[0], "eve").remove(0);
    event["outcome"] = "open".into();
    assert!(!validator.is_valid(&event));
}

/// Every field is one of ECS, of the type that ECS says.
#[test]
fn ecs_uses_only_fields_of_ecs() {
    let Some(path) = theirs("PORTOLAN_ECS_FIELDS", "ecs.fields.csv") else { return };
    let text = fs::read_to_string(path).unwrap();
    let mut types = BTreeMap::new();
    for line in text.lines().skip(1) {
        let mut cells = line.split(',').skip(3);
        types.insert(cells.next().unwrap_or_default().to_owned(), cells.next().unwrap_or_default().to_owned());
    }
    assert!(types.len() > 1000);
    let mut used = BTreeSet::new();
    for capture in CAPTURES {
        for event in values(capture, "ecs") {
            for (name, value) in flat(&event) {
                // Keys of ours below `labels` are what that field is for; their values are text.
                if name.starts_with("labels.") {
                    assert!(value.is_string(), "{name}: {value}");
                    continue;
                }
                let kind = types.get(&name).unwrap_or_else(|| panic!("{name} is no field of ECS"));
                let each = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
                for value in each {
                    let fits = match kind.as_str() {
                        "long" => value.is_u64(),
                        "ip" => value.as_str().is_some_and(|text| text.parse::<std::net::IpAddr>().is_ok()),
                        "date" => value.as_str().is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok()),
                        _ => value.is_string(),
                    };
                    assert!(fits, "{name} is {kind}, not {value}");
                }
                used.insert(name);
            }
        }
    }
    assert!(
        used.contains("source.ip") && used.contains("rule.id") && used.contains("network.community_id"),
        "{used:?}"
    );
}

fn flat(value: &Value) -> Vec<(String, Value)> {
    let Some(object) = value.as_object() else { return Vec::new() };
    let mut all = Vec::new();
    for (name, value) in object {
        if value.is_object() {
            all.extend(flat(value).into_iter().map(|(rest, value)| (format!("{name}.{rest}"), value)));
        } else {
            all.push((name.clone(), value.clone()));
        }
    }
    all
}

/// The same flows in all of them, whoever reads.
#[test]
fn every_format_tells_the_same_flows() {
    for capture in CAPTURES {
        let own = values(capture, "ndjson");
        let (ecs, eve, zeek) = (values(capture, "ecs"), values(capture, "eve"), values(capture, "zeek-json"));
        assert_eq!([ecs.len(), eve.len(), zeek.len()], [own.len(); 3], "{capture}");
        for (place, flow) in own.iter().enumerate() {
            let (ecs, eve, zeek) = (&ecs[place], &eve[place], &zeek[place]);
            let id = word(flow, "community_id");
            for other in [&ecs["network"], eve, zeek] {
                assert_eq!(word(other, "community_id"), id, "{capture}");
            }
            assert_eq!(word(&ecs["labels"], "portolan_outcome"), word(flow, "outcome"));
            assert_eq!(word(zeek, "outcome"), word(flow, "outcome"));
            let variables = eve["metadata"]["flowvars"].as_array().unwrap();
            assert!(variables.iter().any(|pair| pair["key"] == "portolan.outcome" && pair["value"] == flow["outcome"]));
            let packets = number(flow, "orig_pkts");
            assert_eq!(number(&ecs["source"], "packets"), packets);
            assert_eq!(number(&eve["flow"], "pkts_toserver"), packets);
            assert_eq!(number(zeek, "orig_pkts"), packets);
        }
    }
}

/// The Python of `tests/readers.sh`, if it has this package.
fn python(package: &str) -> Option<PathBuf> {
    let python = root().join("target/readers/bin/python3");
    let has = Command::new(&python).args(["-c", &format!("import {package}")]).output();
    if has.is_ok_and(|ran| ran.status.success()) {
        return Some(python);
    }
    eprintln!("skipped: {package} is not installed (tests/readers.sh)");
    None
}

/// A reader of Zeek's logs that is not ours gives back what stands in the flow records, from both of its forms.
#[test]
fn a_reader_of_zeeks_logs_reads_both() {
    const SCRIPT: &str = "\
import json, sys
from parsezeeklogs import read_zeek
for record in read_zeek(sys.argv[1]):
    print(json.dumps({name: str(value) if not isinstance(value, (int, float, bool, type(None), list)) else value
                      for name, value in dict(record).items()}))
";
    let Some(python) = python("parsezeeklogs") else { return };
    let folder = tempfile::tempdir().unwrap();
    for capture in CAPTURES {
        let own = values(capture, "ndjson");
        for (format, name) in [("zeek", "conn.log"), ("zeek-json", "conn.json.log")] {
            let path = folder.path().join(name);
            fs::write(&path, lines(capture, format).join("\n") + "\n").unwrap();
            let read = read(&python, SCRIPT, &path);
            assert_eq!(read.len(), own.len(), "{capture}, {format}");
            for (record, flow) in read.iter().zip(&own) {
                for name in ["uid", "id.orig_h", "id.resp_h", "conn_state", "community_id", "outcome", "reason"] {
                    assert_eq!(word(record, name), word(flow, name), "{capture}, {format}: {record}");
                }
                for name in ["id.orig_p", "id.resp_p", "orig_pkts", "resp_pkts", "orig_ip_bytes", "resp_ip_bytes"] {
                    assert_eq!(number(record, name), number(flow, name), "{capture}, {format}: {record}");
                }
            }
        }
    }
}

fn read(python: &Path, script: &str, path: &Path) -> Vec<Value> {
    let ran = Command::new(python).args(["-c", script]).arg(path).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The header is the one that Zeek's own tools (`zeek-cut`) go by: as many fields as types as cells.
#[test]
fn the_header_of_conn_log_is_zeeks() {
    for capture in CAPTURES {
        let lines = lines(capture, "zeek");
        let heads =
            ["#separator \\x09", "#set_separator\t,", "#empty_field\t(empty)", "#unset_field\t-", "#path\tconn"];
        assert_eq!(lines[..5], heads);
        assert!(lines[5].starts_with("#open\t") && lines.last().unwrap().starts_with("#close\t"));
        let cells = |line: &str| line.split('\t').count();
        assert_eq!(cells(&lines[6]), cells(&lines[7]));
        for line in &lines[8..lines.len() - 1] {
            assert_eq!(cells(line) + 1, cells(&lines[6]), "{line}");
        }
    }
}
