//! Zeek's `conn.log`, as its ASCII writer writes it: tab-separated with a header, or JSON.
//!
//! The columns are Zeek's, then Community ID where its package puts it, then ours. `service` is what the payload is, as
//! with Zeek; what the port means is in `service_by_port`. Numbers of ICMP are in the ports, as with Zeek.

use std::io;
use std::io::Write;

use serde_json::Map;
use serde_json::Value;

use crate::classify::judged::Judged;
use crate::model::time::Timestamp;
use crate::report::flow_record::FlowRecord;
use crate::report::format::Pages;
use crate::report::moment::Moment;

/// A value as Zeek has it.
enum Cell {
    /// `time` and `interval`: seconds with six digits.
    Seconds(u64),
    Count(u64),
    Bool(bool),
    /// `string`, `enum` and `addr`.
    Text(String),
    /// `set[string]` or `vector[string]`.
    Set(Vec<String>),
    Unset,
}

/// The columns: name, Zeek's type.
const COLUMNS: [(&str, &str); 32] = [
    ("ts", "time"),
    ("uid", "string"),
    ("id.orig_h", "addr"),
    ("id.orig_p", "port"),
    ("id.resp_h", "addr"),
    ("id.resp_p", "port"),
    ("proto", "enum"),
    ("service", "string"),
    ("duration", "interval"),
    ("orig_bytes", "count"),
    ("resp_bytes", "count"),
    ("conn_state", "string"),
    ("local_orig", "bool"),
    ("local_resp", "bool"),
    ("missed_bytes", "count"),
    ("history", "string"),
    ("orig_pkts", "count"),
    ("orig_ip_bytes", "count"),
    ("resp_pkts", "count"),
    ("resp_ip_bytes", "count"),
    ("tunnel_parents", "set[string]"),
    ("community_id", "string"),
    ("service_by_port", "string"),
    ("outcome", "string"),
    ("standing", "string"),
    ("confidence", "string"),
    ("reason", "string"),
    ("by", "string"),
    ("rule_id", "string"),
    ("finding", "string"),
    ("rpc_interface", "string"),
    ("flags", "set[string]"),
];

/// Writes `conn.log`, tab-separated.
///
/// # Errors
/// Those of the writer.
pub fn write(pages: &Pages<'_>, out: &mut dyn Write) -> io::Result<()> {
    let span = pages.report.run.span();
    let clock = |moment: Option<Moment>| {
        let text = moment.unwrap_or(Moment(Timestamp(0))).to_string();
        text.get(..19).unwrap_or_default().replace(['T', ':'], "-")
    };
    let [names, types] = [0, 1].map(|at| {
        let words: Vec<&str> = COLUMNS.iter().map(|column| if at == 0 { column.0 } else { column.1 }).collect();
        words.join("\t")
    });
    write!(out, "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n")?;
    write!(out, "#open\t{}\n#fields\t{names}\n#types\t{types}\n", clock(span.map(|span| span.0)))?;
    for judged in pages.judge.flows() {
        let record = FlowRecord::of(&judged, pages.judge.collapses(), pages.report.findings.names());
        let line: Vec<String> = cells(&judged, &record).iter().map(ascii).collect();
        writeln!(out, "{}", line.join("\t"))?;
    }
    writeln!(out, "#close\t{}", clock(span.map(|span| span.1)))
}

/// Writes the same as JSON, one object a line; what is unset is left out, as Zeek does.
///
/// # Errors
/// Those of the writer.
pub fn write_json(pages: &Pages<'_>, out: &mut dyn Write) -> io::Result<()> {
    for judged in pages.judge.flows() {
        let record = FlowRecord::of(&judged, pages.judge.collapses(), pages.report.findings.names());
        let told = COLUMNS.iter().zip(cells(&judged, &record));
        let line: Map<String, Value> =
            told.filter_map(|((name, _), cell)| Some(((*name).to_owned(), json(cell)?))).collect();
        serde_json::to_writer(&mut *out, &line)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

fn cells(judged: &Judged<'_>, record: &FlowRecord) -> [Cell; 32] {
    let text = |text: &str| Cell::Text(text.to_owned());
    let or = |text: Option<&str>| text.map_or(Cell::Unset, |text| Cell::Text(text.to_owned()));
    let last = judged.flow.last_seen();
    let both = record.orig_pkts + record.resp_pkts > 1;
    let ends = judged.ends();
    [
        Cell::Seconds(record.ts.0.0 / 1000),
        text(&record.uid),
        text(&record.orig_h.to_string()),
        Cell::Count(u64::from(record.orig_p)),
        text(&record.resp_h.to_string()),
        Cell::Count(u64::from(record.resp_p)),
        text(proto(record.proto)),
        or(record.app.map(service)),
        if both { Cell::Seconds(u64::try_from(last.since(record.ts.0).as_micros()).unwrap_or(0)) } else { Cell::Unset },
        if both { Cell::Count(record.orig_bytes) } else { Cell::Unset },
        if both { Cell::Count(record.resp_bytes) } else { Cell::Unset },
        text(record.conn_state),
        Cell::Bool(ends.orig.addr.is_internal()),
        Cell::Bool(ends.resp.addr.is_internal()),
        Cell::Count(0),
        if record.history.is_empty() { Cell::Unset } else { text(&record.history) },
        Cell::Count(record.orig_pkts),
        Cell::Count(record.orig_ip_bytes),
        Cell::Count(record.resp_pkts),
        Cell::Count(record.resp_ip_bytes),
        Cell::Unset,
        text(&record.community_id),
        or(record.service.as_ref().map(AsRef::as_ref)),
        text(record.outcome),
        text(record.standing),
        text(record.confidence),
        text(&record.reason),
        or(record.by.as_deref()),
        or(record.rule_id.as_ref().map(AsRef::as_ref)),
        or(record.finding),
        or(record.rpc.as_ref().and_then(|rpc| rpc.interface.as_ref()).map(AsRef::as_ref)),
        Cell::Set(record.flags.iter().map(|flag| (*flag).to_owned()).collect()),
    ]
}

/// Zeek's `transport_proto`.
fn proto(own: &str) -> &str {
    if matches!(own, "tcp" | "udp" | "icmp") { own } else { "unknown_transport" }
}

/// Zeek's name of the analyzer for a protocol.
fn service(app: &str) -> &str {
    match app {
        "kerberos" => "krb",
        "dcerpc" => "dce_rpc",
        "tls" => "ssl",
        own => own,
    }
}

/// As the ASCII writer does (`formatters/Ascii.cc`): what is not printable, and what would be taken for something else,
/// is written as `\xHH`.
fn ascii(cell: &Cell) -> String {
    match cell {
        Cell::Seconds(us) => format!("{}.{:06}", us / 1_000_000, us % 1_000_000),
        Cell::Count(number) => number.to_string(),
        Cell::Bool(true) => "T".to_owned(),
        Cell::Bool(false) => "F".to_owned(),
        Cell::Unset => "-".to_owned(),
        Cell::Set(words) if words.is_empty() => "(empty)".to_owned(),
        Cell::Set(words) => words.iter().map(|word| escape(word).replace(',', "\\x2c")).collect::<Vec<_>>().join(","),
        Cell::Text(text) if text.is_empty() => "(empty)".to_owned(),
        Cell::Text(text) if text == "-" || text == "(empty)" || text.starts_with('#') => {
            let mut out = String::new();
            text.bytes().for_each(|byte| spell(&mut out, byte));
            out
        }
        Cell::Text(text) => escape(text),
    }
}

/// Adds a byte as `\xHH`.
fn spell(out: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push_str("\\x");
    for half in [byte >> 4, byte & 15] {
        out.extend(DIGITS.get(usize::from(half)).copied().map(char::from));
    }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'\\' => out.push_str("\\\\"),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => spell(&mut out, byte),
        }
    }
    out
}

fn json(cell: Cell) -> Option<Value> {
    Some(match cell {
        Cell::Seconds(us) => seconds(us).into(),
        Cell::Count(number) => number.into(),
        Cell::Bool(truth) => truth.into(),
        Cell::Text(text) => text.into(),
        Cell::Set(words) => words.into(),
        Cell::Unset => return None,
    })
}

#[expect(clippy::cast_precision_loss, reason = "exact to the microsecond until the year 2255")]
fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_a_line_or_passes_for_nothing() {
        let text = |text: &str| ascii(&Cell::Text(text.to_owned()));
        assert_eq!(text("a\tb\nc\\d\u{e9}"), "a\\x09b\\x0ac\\\\d\\xc3\\xa9");
        assert_eq!(text("-"), "\\x2d");
        assert_eq!(text("#close"), "\\x23\\x63\\x6c\\x6f\\x73\\x65");
        assert_eq!(text(""), "(empty)");
        assert_eq!(ascii(&Cell::Set(vec!["a,b".into(), "c".into()])), "a\\x2cb,c");
        assert_eq!(ascii(&Cell::Seconds(1_772_359_331_000_250)), "1772359331.000250");
    }
}
