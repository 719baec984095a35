//! The files of many sensors, added up by others' engines with the queries of FLEET.md, against one report of everything.
//!
//! `tests/readers.sh` installs `DuckDB` and the embedded `ClickHouse`; where they are absent the tests skip with a notice.

#![cfg(feature = "parquet")]
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test may stop, and says why it skips")]

mod common;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use common::command;
use common::finish;
use common::list;
use common::number;
use common::root;
use common::word;
use serde_json::Value;

const CAPTURES: [&str; 3] = ["clean", "drop", "reject"];

const SITE: &str = r#"
[hosts]
domain-controller = ["10.10.1.10", "10.10.1.11", "fd10:1::10", "fd10:1::11"]
file-server = ["10.10.1.20", "fd10:1::20"]
client = ["10.10.2.50", "10.10.2.51", "fd10:2::50", "fd10:2::51"]
auditor = ["10.10.2.60", "fd10:2::60"]
"#;

/// An engine: its name in FLEET.md, its package, and a script that prints what a query gives as one JSON list.
const ENGINES: [(&str, &str, &str); 2] = [
    (
        "duckdb",
        "duckdb",
        "import duckdb, json, sys
cursor = duckdb.connect().execute(sys.argv[1])
names = [column[0] for column in cursor.description]
print(json.dumps([dict(zip(names, row)) for row in cursor.fetchall()], default=str))",
    ),
    (
        "clickhouse",
        "chdb",
        "import chdb, json, sys
answer = chdb.query(sys.argv[1].rstrip().rstrip(';'), 'JSON')
rows = json.loads(str(answer))['data']
print(json.dumps([{k: int(v) if isinstance(v, str) and v.isdigit() else v for k, v in row.items()} for row in rows]))",
    ),
];

/// What an engine answers; `None` where it is not installed.
fn ask(engine: &str, query: &str, folder: &Path) -> Option<Vec<Value>> {
    let (_, package, script) = ENGINES.into_iter().find(|(name, ..)| *name == engine).unwrap();
    let python = root().join("target/readers/bin/python3");
    let has = Command::new(&python).args(["-c", &format!("import {package}")]).output();
    if !has.is_ok_and(|ran| ran.status.success()) {
        eprintln!("skipped: {package} is not installed (tests/readers.sh)");
        return None;
    }
    let ran = Command::new(&python).args(["-c", script, query]).current_dir(folder).output().unwrap();
    assert!(ran.status.success(), "{engine}: {query}\n{}", String::from_utf8_lossy(&ran.stderr));
    let rows: Value = serde_json::from_slice(&ran.stdout).unwrap();
    Some(rows.as_array().unwrap().clone())
}

/// The queries of FLEET.md for an engine, in their order.
fn queries(engine: &str) -> Vec<String> {
    let page = fs::read_to_string(root().join("FLEET.md")).unwrap();
    let blocks = page.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
    let own: Vec<String> = blocks.filter(|block| block.starts_with(&format!("-- {engine}\n"))).collect();
    assert_eq!(own.len(), 2);
    own
}

/// The host of the clients' network that a frame of the lab is from or to; none for what servers say among themselves.
fn client(frame: &[u8]) -> Option<u8> {
    let ends = match frame.get(12..14)? {
        [8, 0] => [frame.get(26..30)?, frame.get(30..34)?],
        [0x86, 0xdd] => [frame.get(22..38)?, frame.get(38..54)?],
        _ => return None,
    };
    let of_clients = |end: &&[u8]| end.starts_with(&[10, 10, 2]) || end.starts_with(&[0xfd, 0x10, 0, 2]);
    ends.into_iter().filter(of_clients).filter_map(|end| end.last().copied()).find(|last| *last != 1)
}

/// A folder as FLEET.md has it, with a sensor before each client, and the report of one machine that saw everything.
fn fleet(capture: &str) -> (tempfile::TempDir, Value) {
    let folder = tempfile::tempdir().unwrap();
    let site = folder.path().join("site.toml");
    fs::write(&site, SITE).unwrap();
    let whole = root().join("pcaps/lab").join(format!("{capture}.pcap"));
    let file = fs::read(&whole).unwrap();
    let (head, mut rest) = file.split_at(24);
    let mut parts: BTreeMap<Option<u8>, Vec<u8>> = BTreeMap::new();
    while rest.len() >= 16 {
        let length = u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
        let (record, next) = rest.split_at(16 + length);
        parts.entry(client(&record[16..])).or_insert_with(|| head.to_vec()).extend(record);
        rest = next;
    }
    assert!(parts.len() > 2);
    for (sensor, part) in parts.values().enumerate() {
        let own = folder.path().join("sensors").join(sensor.to_string());
        fs::create_dir_all(&own).unwrap();
        let seen = own.join("seen.pcap");
        fs::write(&seen, part).unwrap();
        let mut command = command();
        command.args(["analyze", "-q", "--no-infer", "--site"]).arg(&site).arg(seen);
        for name in ["pairs.parquet", "flows.parquet"] {
            command.arg("-o").arg(own.join(name));
        }
        assert_eq!(finish(&mut command).code, Some(0));
    }
    let mut command = command();
    command.args(["analyze", "--no-infer", "--format", "json", "--site"]).arg(&site).arg(whole);
    (folder, finish(&mut command).json())
}

type Sums = BTreeMap<(String, String, String, String), [u64; 5]>;

fn sums_of_report(report: &Value) -> Sums {
    let mut sums = Sums::new();
    for pair in list(report, "pairs") {
        for service in list(pair, "services") {
            let count =
                |of: &str, words: &[&str]| words.iter().filter_map(|word| service[of][word].as_u64()).sum::<u64>();
            let key =
                (word(pair, "client"), word(pair, "server"), word(service, "service"), word(service, "transport"));
            let failures = ["dropped", "refused", "rejected", "reply_lost", "stalled", "unanswered"];
            sums.insert(
                key,
                [
                    number(service, "flows"),
                    count("outcomes", &["open"]),
                    count("outcomes", &failures),
                    count("standings", &["expected", "expected_rpc", "expected_range"]),
                    count("standings", &["unexpected"]),
                ],
            );
        }
    }
    assert!(sums.len() > 15);
    sums
}

#[test]
fn a_fleet_adds_up_to_one_machines_report() {
    for capture in CAPTURES {
        let (folder, report) = fleet(capture);
        let whole = sums_of_report(&report);
        for (engine, ..) in ENGINES {
            let Some(rows) = ask(engine, &queries(engine)[0], folder.path()) else { continue };
            let mut told = Sums::new();
            for row in &rows {
                let key = (word(row, "client"), word(row, "server"), word(row, "service"), word(row, "transport"));
                let names = ["all_flows", "worked", "failed", "by_the_book", "not_by_the_book"];
                told.insert(key, names.map(|name| number(row, name)));
            }
            assert_eq!(told.len(), rows.len(), "{engine}: one row for each service of a pair");
            assert_eq!(told, whole, "{engine}, {capture}");
        }
    }
}

/// The same capture at two sensors: every flow is at both, with the same outcome.
#[test]
fn flows_that_passed_several_sensors_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let sides = ["client", "server"].map(|side| root().join(format!("pcaps/lab/sides.{side}-side.pcap")));
    let mut ids = Vec::new();
    for (place, side) in sides.iter().enumerate() {
        let own = folder.path().join(format!("sensors/{place}"));
        fs::create_dir_all(&own).unwrap();
        let file = own.join("flows.parquet");
        assert_eq!(finish(command().args(["analyze", "-q"]).arg(side).arg("-o").arg(&file)).code, Some(0));
        let ran = finish(command().arg("analyze").arg(side).args(["--format", "ndjson"]));
        let flows = ran.text();
        let own = flows.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        ids.push(own.map(|flow| (word(&flow, "community_id"), word(&flow, "outcome"))).collect::<BTreeMap<_, _>>());
    }
    let wanted: BTreeMap<String, BTreeSet<String>> = ids[0]
        .iter()
        .filter_map(|(id, outcome)| Some((id.clone(), [outcome.clone(), ids[1].get(id)?.clone()].into())))
        .collect();
    assert!(wanted.values().any(|outcomes| outcomes.len() > 1) && wanted.len() > 10);
    for (engine, ..) in ENGINES {
        let Some(rows) = ask(engine, &queries(engine)[1], folder.path()) else { continue };
        let told: BTreeMap<String, BTreeSet<String>> = rows
            .iter()
            .map(|row| (word(row, "community_id"), word(row, "outcomes").split(',').map(ToOwned::to_owned).collect()))
            .collect();
        assert_eq!(told, wanted, "{engine}");
    }
}

/// Every value of every flow record is in the file, under the same name and of the type that FLEET.md says.
#[test]
fn the_columns_of_flows_are_the_flow_records() {
    let folder = tempfile::tempdir().unwrap();
    let (file, pair_file) = ("flows.parquet", "pairs.parquet");
    let mut command = command();
    command.args(["analyze", "--format", "ndjson"]).arg(root().join("pcaps/lab/reject.pcap"));
    for name in [file, pair_file] {
        command.arg("-o").arg(folder.path().join(name));
    }
    let ran = finish(&mut command);
    let records: Vec<Value> = ran.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let Some(rows) = ask("duckdb", &format!("SELECT * FROM '{file}'"), folder.path()) else { return };
    assert_eq!(rows.len(), records.len());
    for (row, record) in rows.iter().zip(&records) {
        for (name, value) in row.as_object().unwrap() {
            let mut own = record;
            for part in if name.starts_with("id.") { vec![name.as_str()] } else { name.split('.').collect() } {
                own = own.get(part).unwrap_or(&Value::Null);
            }
            match name.as_str() {
                "ts" => assert_eq!(word(row, "ts").get(11..19), word(record, "ts").get(11..19), "{row}"),
                "frames" => assert_eq!(value.as_array().unwrap().len(), own.as_array().unwrap().len()),
                _ => assert_eq!(value, own, "{name} of {record}"),
            }
        }
    }
    // The page names the columns that there are.
    let page = fs::read_to_string(root().join("FLEET.md")).unwrap();
    let (_, flows) = page.split_once("## Columns of flows").unwrap();
    let (pairs, _) = page.split_once("## Columns of flows").unwrap();
    let (_, pairs) = pairs.split_once("## Columns of pairs").unwrap();
    for (section, file) in [(flows, file), (pairs, pair_file)] {
        let described = ask("duckdb", &format!("DESCRIBE SELECT * FROM '{file}'"), folder.path()).unwrap();
        let columns: BTreeSet<String> = described.iter().map(|row| word(row, "column_name")).collect();
        let cells = section.lines().filter(|line| line.starts_with("| `")).map(|line| line.split('|').nth(1).unwrap());
        let told: BTreeSet<String> =
            cells.flat_map(|cell| cell.split(',').map(|name| name.trim().trim_matches('`').to_owned())).collect();
        assert_eq!(told, columns);
    }
}

/// The same rows give the same bytes.
#[test]
fn every_number_of_workers_gives_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let write = |threads: &str, name: &str| {
        let path = folder.path().join(name);
        let capture = root().join("pcaps/lab/drop.pcap");
        let ran = finish(command().args(["analyze", "-q", "--threads", threads]).arg(capture).arg("-o").arg(&path));
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        fs::read(path).unwrap()
    };
    for name in ["flows.parquet", "pairs.parquet"] {
        let once = write("1", name);
        assert!(once.starts_with(b"PAR1") && once.ends_with(b"PAR1"));
        assert_eq!(once, write("3", name));
    }
}
