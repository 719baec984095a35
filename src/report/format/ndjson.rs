//! NDJSON: one flow a line, in the order they began. Nothing is held back: lines leave as flows are judged.

use std::io;
use std::io::Write;

use crate::classify::judged::Collapse;
use crate::classify::judged::Judged;
use crate::report::flow_record::FlowRecord;
use crate::report::format::Pages;
use crate::report::names::Names;

/// Writes every flow of the judge.
///
/// # Errors
/// Those of the writer.
pub fn write(pages: &Pages<'_>, out: &mut dyn Write) -> io::Result<()> {
    write_flows(pages.judge.flows(), pages.judge.collapses(), pages.report.findings.names(), out)
}

fn write_flows<'f>(
    flows: impl Iterator<Item = Judged<'f>>,
    collapses: &[Collapse],
    names: &Names<'_>,
    out: &mut dyn Write,
) -> io::Result<()> {
    for flow in flows {
        serde_json::to_writer(&mut *out, &FlowRecord::of(&flow, collapses, names))?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::panic, reason = "a test may stop here")]

    use super::*;
    use crate::report::sample;

    /// The schema as it was promised; `rpc` and `icmp` are objects or null.
    const PROMISED: &str = "ts uid id.orig_h id.orig_p id.resp_h id.resp_p proto service duration orig_bytes \
        resp_bytes conn_state history orig_pkts resp_pkts orig_ip_bytes resp_ip_bytes community_id outcome standing \
        confidence reason by rule_id src_role dst_role finding rpc icmp handshake_us dir_basis flags frames";

    fn lines() -> Vec<String> {
        let catalogue = sample::catalogue();
        let made = sample::flows(catalogue);
        let names = sample::names(catalogue, &sample::run());
        let mut out = Vec::new();
        let flows = made.iter().map(|made| made.judged(catalogue));
        write_flows(flows, &sample::collapses(), &names, &mut out).unwrap();
        String::from_utf8(out).unwrap().lines().map(ToOwned::to_owned).collect()
    }

    #[test]
    fn a_flow_is_a_line_with_its_keys_in_order() {
        let lines = lines();
        assert_eq!(lines.len(), 11);
        for line in &lines {
            let mut from = 0;
            for key in ["schema"].into_iter().chain(PROMISED.split_whitespace()) {
                let quoted = format!("\"{key}\":");
                from += line[from..].find(&quoted).unwrap_or_else(|| panic!("no {key} in order in {line}"));
            }
        }
        let expected = concat!(
            r#"{"schema":"portolan/flow/1","ts":"2026-03-01T10:02:14.000000Z","uid":"UID","id.orig_h":"10.0.1.20","#,
            r#""id.orig_p":50000,"id.resp_h":"10.0.0.10","id.resp_p":389,"proto":"tcp","service":"ldap","#,
            r#""duration":0.05,"orig_bytes":100,"resp_bytes":200,"conn_state":"S1","history":"Sh","orig_pkts":3,"#,
            r#""resp_pkts":3,"orig_ip_bytes":220,"resp_ip_bytes":320,"community_id":"CID","#,
            r#""outcome":"open","standing":"expected","confidence":"confirmed","reason":"handshake","by":null,"#,
            r#""rule_id":"site/ldap","src_role":"client","dst_role":"domain-controller","finding":null,"rpc":null,"app":null,"#,
            r#""icmp":null,"handshake_us":310,"dir_basis":"syn","flags":["mid_stream"],"frames":[30],"#,
            r#""standing_why":null,"app_errors":[]}"#,
        );
        let record: serde_json::Value = serde_json::from_str(&lines[2]).unwrap();
        let named = lines[2]
            .replace(record["uid"].as_str().unwrap(), "UID")
            .replace(record["community_id"].as_str().unwrap(), "CID");
        assert_eq!(named, expected);
    }

    #[test]
    fn errors_and_scans_are_told() {
        let lines = lines();
        assert!(lines[10].contains(r#""icmp":{"type":1,"code":1,"from":"fd00::1"}"#), "{}", lines[10]);
        assert!(lines[10].contains(r#""by":"fd00::1""#) && lines[10].contains(r#""reason":"icmp_1_1""#));
        assert!(lines[8].contains(r#""finding":"scan""#) && lines[8].contains(r#""standing_why":"role_unknown""#));
    }

    #[test]
    fn every_flow_has_a_name_of_its_own_that_stays() {
        let uids = |lines: &[String]| -> Vec<String> {
            let uid = |line: &String| serde_json::from_str::<serde_json::Value>(line).unwrap()["uid"].to_string();
            lines.iter().map(uid).collect()
        };
        let first = uids(&lines());
        assert_eq!(first, uids(&lines()));
        let distinct: std::collections::BTreeSet<&String> = first.iter().collect();
        assert_eq!(distinct.len(), first.len());
        assert!(first.iter().all(|uid| uid.len() == 19 && uid.starts_with("\"C")));
    }
}
