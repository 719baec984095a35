//! What is written for machines keeps to the JSON Schemas that are shipped, and these are strict enough to notice.

#![expect(clippy::unwrap_used, reason = "a test may stop here")]

mod common;

use std::fs;

use common::command;
use common::files_below;
use common::finish;
use common::report;
use common::root;
use common::run;
use jsonschema::Validator;
use serde_json::Value;

fn validator(name: &str) -> Validator {
    let printed = run(&["schema", name]);
    assert_eq!(printed.code, Some(0));
    let shipped = fs::read(root().join("schemas").join(format!("{name}.schema.json"))).unwrap();
    assert_eq!(printed.stdout, shipped);
    jsonschema::validator_for(&printed.json()).unwrap()
}

fn faults(validator: &Validator, value: &Value, what: &str) -> Vec<String> {
    let faults = validator.iter_errors(value).take(3);
    faults.map(|fault| format!("{what}: {} at {}", fault, fault.instance_path())).collect()
}

#[test]
fn every_golden_report_keeps_to_the_schema() {
    let validator = validator("report");
    let mut seen = 0;
    for path in files_below(&root().join("tests/cases")) {
        if path.file_name().is_some_and(|name| name == "expected.json") {
            let value: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            let faults = faults(&validator, &value, &path.display().to_string());
            assert!(faults.is_empty(), "{faults:#?}");
            seen += 1;
        }
    }
    assert!(seen > 15);
}

/// Reports and flow records of every recording of the lab, and of what is crafted to be odd.
#[test]
fn what_is_written_keeps_to_the_schemas() {
    let (reports, flows) = (validator("report"), validator("flow"));
    let mut all = Vec::new();
    for folder in ["lab", "rpc", "scan", "hostile", "unexpected"] {
        for path in files_below(&root().join("pcaps").join(folder)) {
            if path.extension().is_some_and(|end| end == "json" || end == "md") {
                continue;
            }
            let name = path.display().to_string();
            let options = ["--readiness", "netwrix-group-policy"];
            all.extend(faults(&reports, &report(&path, &options), &name));
            let ran = finish(command().arg("analyze").arg(&path).args(["--format", "ndjson"]));
            for line in ran.text().lines() {
                all.extend(faults(&flows, &serde_json::from_str(line).unwrap(), &name));
            }
        }
    }
    let sides = ["client", "server"].map(|side| root().join(format!("pcaps/lab/nat.{side}-side.pcap")));
    let mut command = command();
    command.args(["analyze", "--format", "json", "--client-side"]).arg(&sides[0]).arg("--server-side").arg(&sides[1]);
    let both = finish(&mut command).json();
    assert!(both["vantage"].is_object());
    all.extend(faults(&reports, &both, "two captures"));
    assert!(all.is_empty(), "{} faults\n{}", all.len(), all.join("\n"));
}

#[test]
fn the_list_of_rules_keeps_to_the_schema() {
    let rules = run(&["rules", "list", "--format", "json"]).json();
    let faults = faults(&validator("rules"), &rules, "rules");
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(rules.as_array().unwrap().len() > 100);
}

/// A schema that lets everything pass would pass every test above.
#[test]
fn the_schemas_notice() {
    let validator = validator("report");
    let good = report(&root().join("pcaps/lab/drop.pcap"), &[]);
    assert!(faults(&validator, &good, "").is_empty());
    let broken: [fn(&mut Value); 6] = [
        |report| report["findings"][0]["outcome"] = "blocked by policy".into(),
        |report| report["findings"][0]["more"] = 1.into(),
        |report| report["health"]["frames"] = "9".into(),
        |report| report["pairs"][0]["services"][0]["ports"][0] = 65_536.into(),
        |report| drop(report.as_object_mut().unwrap().remove("hosts")),
        |report| report["run"]["inputs"][0]["first"] = "yesterday".into(),
    ];
    for (number, breaking) in broken.into_iter().enumerate() {
        let mut report = good.clone();
        breaking(&mut report);
        assert!(!faults(&validator, &report, "").is_empty(), "fault {number} goes unnoticed");
    }
}
