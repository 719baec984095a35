//! Suricata's EVE: one flow a line as an event of type `flow`, for what reads `eve.json`.
//!
//! EVE allows no field of ours; our words stand among the flow variables of `metadata`, under names that begin with
//! `portolan.`.

use std::io;
use std::io::Write;

use serde_json::Value;
use serde_json::json;

use crate::classify::judged::Judged;
use crate::flow::record::ACK;
use crate::flow::record::FIN;
use crate::flow::record::RST;
use crate::flow::record::SYN;
use crate::model::addr::Side;
use crate::model::transport::Transport;
use crate::report::flow_record::FlowRecord;
use crate::report::format::Pages;
use crate::report::moment::Moment;
use crate::report::sanitise::Shown;

/// Numbers of flows have as many bits as Suricata's, so that they stay whole in every reader of JSON.
const ID_BITS: u32 = 51;

/// TCP PSH bit.
const PSH: u8 = 0x08;

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

/// Suricata writes the offset from UTC as digits.
fn time(moment: Moment) -> String {
    moment.to_string().replace('Z', "+0000")
}

fn event(judged: &Judged<'_>, record: &FlowRecord) -> Value {
    let first = record.ts;
    let last = Moment(judged.flow.last_seen());
    let v4 = judged.flow.key.low.is_v4();
    let mut event = json!({
        "timestamp": time(last),
        "flow_id": id(&record.uid),
        "event_type": "flow",
        "src_ip": record.orig_h,
        "dest_ip": record.resp_h,
        "ip_v": if v4 { 4 } else { 6 },
        "proto": proto(judged.flow.key.transport, v4),
        "app_proto": app_proto(record.app),
        "flow": {
            "pkts_toserver": record.orig_pkts,
            "pkts_toclient": record.resp_pkts,
            "bytes_toserver": record.orig_ip_bytes,
            "bytes_toclient": record.resp_ip_bytes,
            "start": time(first),
            "end": time(last),
            "age": last.0.since(first.0).as_secs(),
            "state": state(judged, record),
            "reason": "shutdown",
            "alerted": record.finding.is_some(),
        },
        "community_id": record.community_id,
        "metadata": { "flowvars": variables(record) },
    });
    if let Some(event) = event.as_object_mut() {
        if judged.flow.key.transport.has_ports() {
            event.insert("src_port".to_owned(), record.orig_p.into());
            event.insert("dest_port".to_owned(), record.resp_p.into());
        }
        if judged.flow.key.transport == Transport::Tcp {
            event.insert("tcp".to_owned(), tcp(judged));
        }
    }
    event
}

/// The bits of the flow's name.
fn id(uid: &str) -> u64 {
    let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    uid.bytes().fold(0xcbf2_9ce4_8422_2325, fold) & ((1 << ID_BITS) - 1)
}

fn proto(transport: Transport, v4: bool) -> &'static str {
    match transport {
        Transport::Tcp => "TCP",
        Transport::Udp => "UDP",
        Transport::Icmp if v4 => "ICMP",
        Transport::Icmp => "IPv6-ICMP",
        Transport::Gre => "GRE",
        Transport::Esp => "ESP",
        Transport::Ah => "AH",
        Transport::Sctp => "SCTP",
    }
}

/// Suricata's word for a protocol (`app-layer-protos.c`); it says `failed` where it does not know.
fn app_proto(app: Option<&str>) -> &str {
    match app {
        None => "failed",
        Some("kerberos" | "kpasswd") => "krb5",
        Some(own) => own,
    }
}

fn state(judged: &Judged<'_>, record: &FlowRecord) -> &'static str {
    let answered = record.orig_pkts > 0 && record.resp_pkts > 0;
    match record.conn_state {
        "SF" | "REJ" | "RSTO" | "RSTR" if judged.flow.key.transport == Transport::Tcp => "closed",
        _ if answered => "established",
        _ => "new",
    }
}

fn tcp(judged: &Judged<'_>) -> Value {
    let side = |side: Side| judged.flow.flags.get(side.index()).copied().unwrap_or(0);
    let (to_server, to_client) = (side(judged.orig), side(judged.orig.other()));
    let all = to_server | to_client;
    let mut tcp = json!({
        "tcp_flags": format!("{all:02x}"),
        "tcp_flags_ts": format!("{to_server:02x}"),
        "tcp_flags_tc": format!("{to_client:02x}"),
    });
    for (flag, name) in [(SYN, "syn"), (FIN, "fin"), (RST, "rst"), (PSH, "psh"), (ACK, "ack")] {
        if let (true, Some(tcp)) = (all & flag != 0, tcp.as_object_mut()) {
            tcp.insert(name.to_owned(), true.into());
        }
    }
    tcp
}

fn variables(record: &FlowRecord) -> Vec<Value> {
    let words = [
        ("outcome", Some(record.outcome)),
        ("standing", Some(record.standing)),
        ("confidence", Some(record.confidence)),
        ("reason", Some(record.reason.as_str())),
        ("by", record.by.as_deref()),
        ("finding", record.finding),
        ("rule", record.rule_id.as_ref().map(Shown::as_str)),
        ("service", record.service.as_ref().map(Shown::as_str)),
        ("rpc_interface", record.rpc.as_ref().and_then(|rpc| rpc.interface.as_ref()).map(Shown::as_str)),
    ];
    let told = words.into_iter().filter_map(|(name, word)| Some((name, word?)));
    told.map(|(name, word)| json!({ "key": format!("portolan.{name}"), "value": word })).collect()
}
