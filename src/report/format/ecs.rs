//! Elastic Common Schema: one flow a line as an event of category `network`, for Elasticsearch and what reads its words.
//!
//! What ECS has no field for stands in `labels`, which is for that.

use std::io;
use std::io::Write;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::classify::judged::Judged;
use crate::classify::verdict::Outcome;
use crate::report::flow_record::FlowRecord;
use crate::report::format::Pages;
use crate::report::moment::Moment;

/// The version whose fields are used.
const VERSION: &str = "8.11.0";

/// Writes every flow of the judge.
///
/// # Errors
/// Those of the writer.
pub fn write(pages: &Pages<'_>, out: &mut dyn Write) -> io::Result<()> {
    for judged in pages.judge.flows() {
        let record = FlowRecord::of(&judged, pages.judge.collapses(), pages.report.findings.names());
        serde_json::to_writer(&mut *out, &event(&judged, &record))?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

fn event(judged: &Judged<'_>, record: &FlowRecord) -> Value {
    let last = Moment(judged.flow.last_seen());
    let outcome = judged.verdict.outcome;
    let result = match outcome {
        Outcome::Open => "success",
        outcome if outcome.is_failure() => "failure",
        _ => "unknown",
    };
    let mut kinds = vec!["connection"];
    if outcome == Outcome::Rejected {
        kinds.push("denied");
    }
    let transport = if record.proto == "icmp" && !judged.flow.key.low.is_v4() { "ipv6-icmp" } else { record.proto };
    let end = |address: String, port: u16, bytes: u64, packets: u64| {
        let mut end = json!({ "address": address, "ip": address, "bytes": bytes, "packets": packets });
        if let (true, Some(end)) = (port > 0, end.as_object_mut()) {
            end.insert("port".to_owned(), port.into());
        }
        end
    };
    let mut event = json!({
        "@timestamp": record.ts,
        "ecs": { "version": VERSION },
        "event": {
            "kind": if record.finding.is_some() { "alert" } else { "event" },
            "category": ["network"],
            "type": kinds,
            "outcome": result,
            "reason": record.reason,
            "id": record.uid,
            "module": "portolan",
            "dataset": "portolan.flow",
            "start": record.ts,
            "end": last,
            "duration": u64::try_from(last.0.since(record.ts.0).as_nanos()).unwrap_or(u64::MAX),
        },
        "source": end(record.orig_h.to_string(), record.orig_p, record.orig_ip_bytes, record.orig_pkts),
        "destination": end(record.resp_h.to_string(), record.resp_p, record.resp_ip_bytes, record.resp_pkts),
        "network": {
            "transport": transport,
            "type": if judged.flow.key.low.is_v4() { "ipv4" } else { "ipv6" },
            "community_id": record.community_id,
            "bytes": record.orig_ip_bytes + record.resp_ip_bytes,
            "packets": record.orig_pkts + record.resp_pkts,
        },
        "related": { "ip": [record.orig_h, record.resp_h] },
        "observer": { "product": "portolan", "type": "sensor", "version": env!("CARGO_PKG_VERSION") },
        "labels": labels(record),
    });
    if let (Some(app), Some(network)) = (record.app, object(&mut event, "network")) {
        network.insert("protocol".to_owned(), app.into());
    }
    if let (Some(service), Some(network)) = (&record.service, object(&mut event, "network")) {
        network.insert("application".to_owned(), service.as_str().into());
    }
    if let (Some(rule), Some(event)) = (&record.rule_id, event.as_object_mut()) {
        let ruleset = rule.as_str().split('/').next().unwrap_or_default();
        event.insert("rule".to_owned(), json!({ "id": rule, "ruleset": ruleset }));
    }
    event
}

fn object<'v>(value: &'v mut Value, name: &str) -> Option<&'v mut Map<String, Value>> {
    value.get_mut(name).and_then(Value::as_object_mut)
}

/// Our words, as text, which is all that a label may be.
fn labels(record: &FlowRecord) -> Map<String, Value> {
    let interface = record.rpc.as_ref().and_then(|rpc| rpc.interface.as_ref());
    let words = [
        ("outcome", Some(record.outcome.to_owned())),
        ("standing", Some(record.standing.to_owned())),
        ("confidence", Some(record.confidence.to_owned())),
        ("finding", record.finding.map(ToOwned::to_owned)),
        ("conn_state", Some(record.conn_state.to_owned())),
        ("by", record.by.clone()),
        ("source_role", Some(record.src_role.clone()).filter(|role| !role.is_empty())),
        ("destination_role", Some(record.dst_role.clone()).filter(|role| !role.is_empty())),
        ("rpc_interface", interface.map(ToString::to_string)),
    ];
    words.into_iter().filter_map(|(name, word)| Some((format!("portolan_{name}"), word?.into()))).collect()
}
