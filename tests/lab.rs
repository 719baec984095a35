//! A real Active Directory lab, recorded, against what its hosts' kernels and its firewall counted.
//!
//! The truth was measured by packet accounting inside every host, not read from the capture, so it also knows what a
//! one-sided capture cannot show. The worst error of this program is a "blocked" that was none: it is tested on every
//! capture, with inferred roles and with a site file.

#![expect(clippy::unwrap_used, reason = "a test may stop")]

mod common;
#[path = "common/truth.rs"]
mod truth;

use common::address;
use common::list;
use common::number;
use common::report;
use common::root;
use common::shared;
use common::word;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use truth::Truth;
use truth::TruthFlow;
use truth::View;
use truth::blocked;
use truth::finding_key;
use truth::invented_blocks;

#[test]
fn clean() {
    check("clean", "clean", View::Both);
}

#[test]
fn a_second_controller_joins() {
    check("dc2-join", "dc2-join", View::Both);
}

#[test]
fn silent_drops() {
    check("drop", "drop", View::Both);
}

#[test]
fn rejects() {
    check("reject", "reject", View::Both);
}

#[test]
fn dynamic_rpc_ports_dropped() {
    check("dynrpc", "dynrpc", View::Both);
}

#[test]
fn unexpected_services() {
    check("unexpected", "unexpected", View::Both);
}

#[test]
fn winrm() {
    check("winrm", "winrm", View::Both);
}

#[test]
fn ipv6() {
    check("ipv6", "ipv6", View::Both);
}

#[test]
fn only_packets_to_the_server() {
    check("c2s", "c2s", View::ToServer);
}

#[test]
fn only_packets_to_the_client() {
    check("s2c", "s2c", View::ToClient);
}

#[test]
fn every_packet_twice() {
    check("dup", "dup", View::Twice);
}

#[test]
fn every_packet_twice_on_the_any_device() {
    check("dup-any-sll2", "dup", View::Twice);
}

#[test]
fn established_flows_blocked_in_their_middle() {
    check("midblock", "midblock", View::Both);
}

#[test]
fn a_controller_goes_down() {
    check("dcdown", "dcdown", View::Both);
}

#[test]
fn rules_reloaded_in_mid_work() {
    check("reload", "reload", View::Both);
}

#[test]
fn the_span_port_comes_and_goes() {
    check("flap", "flap", View::Gaps);
}

#[test]
fn both_sides_of_the_firewall() {
    check("sides.client-side", "sides", View::ClientSide);
    check("sides.server-side", "sides", View::ServerSide);
}

#[test]
fn both_sides_of_a_firewall_that_translates() {
    check("nat.client-side", "nat", View::ClientSide);
    check("nat.server-side", "nat", View::ServerSide);
}

/// Scenarios whose captures hold both directions once.
const WHOLE: &[&str] =
    &["clean", "drop", "reject", "dynrpc", "unexpected", "winrm", "ipv6", "midblock", "dcdown", "reload"];

/// A capture that begins late, ends early or lost packets shows less, never more.
#[test]
fn nothing_is_invented_in_a_part_of_a_capture() {
    let mut faults = Vec::new();
    for scenario in WHOLE {
        let Some((capture, truth)) = lab(scenario, scenario) else { return };
        let site = truth.site();
        let bytes = fs::read(&capture).unwrap();
        let frames = records(&bytes);
        let mut parts: Vec<(String, Vec<&[u8]>)> = Vec::new();
        for tenth in 1..10 {
            let place = frames.len() * tenth / 10;
            parts.push((format!("the first {place} frames"), frames[..place].to_vec()));
            parts.push((format!("without the first {place} frames"), frames[place..].to_vec()));
        }
        for (each, of) in [(0, 7), (3, 7), (5, 20), (11, 20), (17, 20)] {
            let left = frames.iter().enumerate().filter(|(place, _)| place % of != each).map(|(_, frame)| *frame);
            parts.push((format!("without every frame {each} of {of}"), left.collect()));
        }
        for (what, part) in parts {
            let file = tempfile::Builder::new().suffix(".pcap").tempfile().unwrap();
            fs::write(file.path(), [&bytes[..24], &part.concat()].concat()).unwrap();
            let report = report(file.path(), &["--site", site.path().to_str().unwrap()]);
            faults.extend(
                invented_blocks(&truth, &report).into_iter().map(|fault| format!("{scenario}, {what}: {fault}")),
            );
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// Where the packets of one host are not captured, nobody is blocked who is not.
#[test]
fn nothing_is_invented_where_a_host_is_not_heard() {
    let mut faults = Vec::new();
    for scenario in WHOLE {
        let Some((capture, truth)) = lab(scenario, scenario) else { return };
        let site = truth.site();
        for host in truth.hosts.keys() {
            for side in ["src", "dst"] {
                let filter = format!("not {side} host {host}");
                let report = report(&capture, &["--site", site.path().to_str().unwrap(), "--filter", &filter]);
                faults.extend(
                    invented_blocks(&truth, &report).into_iter().map(|fault| format!("{scenario}, {filter}: {fault}")),
                );
            }
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// The records of a little-endian classic capture, headers included.
fn records(capture: &[u8]) -> Vec<&[u8]> {
    assert_eq!(&capture[..4], [0xd4, 0xc3, 0xb2, 0xa1]);
    let mut found = Vec::new();
    let mut rest = &capture[24..];
    while !rest.is_empty() {
        let length = u32::from_le_bytes(rest[8..12].try_into().unwrap());
        let (record, behind) = rest.split_at(16 + usize::try_from(length).unwrap());
        found.push(record);
        rest = behind;
    }
    found
}

/// Each blocked connection to a dynamic port is found, although nothing but a range names the port.
#[test]
fn blocked_dynamic_ports_are_found() {
    let Some((capture, truth)) = lab("dynrpc", "dynrpc") else { return };
    let site = truth.site();
    let blocked = blocked(&report(&capture, &["--site", site.path().to_str().unwrap()]));
    let failed: Vec<_> =
        truth.flows.iter().filter(|flow| flow.outcome == "no-answer" && flow.server.1 >= 49152).collect();
    assert_eq!(failed.len(), 7, "the truth changed");
    let missing: Vec<_> = failed.iter().filter(|flow| !blocked.contains(&flow.key())).map(|flow| flow.line()).collect();
    assert!(missing.is_empty(), "no blocked finding for\n{}", missing.join("\n"));
}

/// What the firewall was declared to block is found, once the site file says who is who.
#[test]
fn declared_blocks_are_found() {
    let mut faults = Vec::new();
    for scenario in ["drop", "reject", "ipv6", "dynrpc", "midblock", "dup", "reload"] {
        let Some((capture, truth)) = lab(scenario, scenario) else { return };
        let site = truth.site();
        let report = report(&capture, &["--site", site.path().to_str().unwrap()]);
        let found = blocked(&report);
        for flow in truth.flows.iter().filter(|flow| flow.failed()) {
            let by_firewall = truth.declared(flow).is_some_and(|by| by.starts_with("firewall"));
            if by_firewall
                && !found.contains(&flow.key())
                && !NOT_NEEDED.iter().any(|(at, port, _)| *at == scenario && *port == flow.server.1)
            {
                faults.push(format!("{scenario}: no blocked finding for {}", flow.line()));
            }
        }
    }
    faults.dedup();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Blocks that no document calls a loss: scenario, port, why.
const NOT_NEEDED: &[(&str, u16, &str)] = &[];

/// What the lab planted as unexpected is found, once the site file says who is who.
#[test]
fn planted_unexpected_flows_are_found() {
    let Some((capture, truth)) = lab("unexpected", "unexpected") else { return };
    let site = truth.site();
    let report = report(&capture, &["--site", site.path().to_str().unwrap()]);
    let found: BTreeSet<_> = list(&report, "findings")
        .iter()
        .filter(|finding| ["unexpected", "attempt"].contains(&word(finding, "finding").as_str()))
        .map(finding_key)
        .collect();
    let mut missing = Vec::new();
    for planted in truth.expectations.iter().filter(|expectation| expectation["unexpected"] == true) {
        let (src, dst, proto) = (word(planted, "src"), word(planted, "dst"), word(planted, "proto"));
        let wanted = planted["port"].as_u64();
        let seen: BTreeSet<_> = truth
            .flows
            .iter()
            .filter(|flow| {
                truth.hosts[&flow.client.0] == src && truth.hosts[&flow.server.0] == dst && flow.proto == proto
            })
            .filter(|flow| wanted.map_or(flow.server.1 >= 49152, |port| port == u64::from(flow.server.1)))
            .map(TruthFlow::key)
            .collect();
        assert!(!seen.is_empty(), "the truth has no flow for {planted}");
        if !seen.is_subset(&found) {
            missing.push(format!("{src} > {dst} {proto}/{}: {}", planted["port"], word(planted, "note")));
        }
    }
    assert!(missing.is_empty(), "no finding for\n{}\nfound: {found:#?}", missing.join("\n"));
}

/// Services that are not what their port says: client, server, port, what the report calls it, and what speaks there.
const DISGUISED: &[(&str, &str, u64, &str, &str)] = &[
    ("agent", "srv1", 389, "protocol_mismatch", "http"),
    ("client2", "client1", 445, "protocol_mismatch", "ssh"),
    ("agent", "client1", 445, "protocol_mismatch", "ssh"),
    ("client1", "srv1", 49_200, "non_rpc_in_range", "http"),
];

/// What their payload betrays is found whether or not anybody says who is who, and nothing else is called so.
#[test]
fn disguised_services_are_found() {
    let Some((capture, truth)) = lab("unexpected", "unexpected") else { return };
    let site = truth.site();
    let wanted: BTreeSet<_> = DISGUISED.iter().map(|row| format!("{row:?}")).collect();
    for options in [&[][..], &["--site", site.path().to_str().unwrap()]] {
        let report = report(&capture, options);
        let disguises = list(&report, "findings").iter().filter(|finding| {
            finding["finding"] == "unexpected"
                && ["protocol_mismatch", "non_rpc_in_range"].contains(&word(finding, "standing_why").as_str())
        });
        let host = |finding: &Value, end: &str| truth.hosts[&address(finding, end)].clone();
        let found: BTreeSet<_> = disguises
            .map(|finding| {
                let (client, server) = (host(finding, "client"), host(finding, "server"));
                let (why, app) = (word(finding, "standing_why"), word(finding, "app"));
                format!("{:?}", (client, server, number(finding, "port"), why, app))
            })
            .collect();
        assert_eq!(found, wanted, "{options:?}");
    }
}

/// Captures of hosts that do nothing which no document knows.
const ORDERLY: &[(&str, &str)] = &[
    ("clean", "clean"),
    ("dc2-join", "dc2-join"),
    ("winrm", "winrm"),
    ("ipv6", "ipv6"),
    ("drop", "drop"),
    ("reject", "reject"),
    ("dynrpc", "dynrpc"),
    ("midblock", "midblock"),
    ("dcdown", "dcdown"),
    ("c2s", "c2s"),
    ("s2c", "s2c"),
    ("dup", "dup"),
    ("dup-any-sll2", "dup"),
    ("reload", "reload"),
    ("flap", "flap"),
    ("sides.client-side", "sides"),
    ("sides.server-side", "sides"),
    ("nat.client-side", "nat"),
];

/// Without a site file, nothing that was not planted is unexpected.
#[test]
fn nothing_orderly_is_unexpected() {
    let mut faults = Vec::new();
    for (capture, truth) in ORDERLY {
        let Some((path, _)) = lab(capture, truth) else { continue };
        let report = report(&path, &[]);
        let found = list(&report, "findings").iter().filter(|finding| finding["finding"] == "unexpected");
        faults.extend(found.map(|finding| format!("{capture}: {}", word(finding, "text"))));
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// What the hosts asked the endpoint mapper for and could not reach then, they wrote down themselves. Each is found with
/// its name, and nothing else is.
#[test]
fn blocked_dynamic_ports_have_the_name_of_their_interface() {
    for (capture, scenario) in [("dynrpc", "dynrpc")].iter().chain(ORDERLY) {
        let Some((path, truth)) = lab(capture, scenario) else { continue };
        let wanted: BTreeSet<_> = truth.unreached.iter().map(|row| format!("{row:?}")).collect();
        assert_eq!(wanted.len(), if *scenario == "dynrpc" { 5 } else { 0 }, "{scenario}: the truth changed");
        let site = truth.site();
        for options in [&[][..], &["--site", site.path().to_str().unwrap()]] {
            let report = report(&path, options);
            let blocked = list(&report, "findings").iter().filter(|finding| finding["finding"] == "rpc_blocked");
            let (mut found, mut flows) = (BTreeSet::new(), 0);
            for finding in blocked {
                let interface = &finding["interface"];
                assert_eq!(interface["grade"], "B", "{finding}");
                assert!(!list(finding, "frames").is_empty() && number(interface, "learned_frame") > 0);
                let client = truth.hosts[&address(finding, "client")].clone();
                let row = (client, address(finding, "server"), number(finding, "port"), word(interface, "name"));
                found.insert(format!("{row:?}"));
                flows += number(finding, "flows");
            }
            assert_eq!(found, wanted, "{capture} {options:?}");
            assert_eq!(
                flows,
                if *scenario == "dynrpc" { 7 } else { 0 },
                "{capture} {options:?}: every flow has a name"
            );
        }
    }
}

/// A capture and its truth: the project's own, or those beside the checkout.
fn lab(capture: &str, truth: &str) -> Option<(PathBuf, Truth)> {
    let part = |own: String, other: String| {
        let own = root().join(own);
        if own.is_file() { Some(own) } else { shared(&other) }
    };
    let path = part(format!("pcaps/lab/{capture}.pcap"), format!("captures/lab/{capture}.pcap"))?;
    let truth = part(format!("pcaps/lab/truth/{truth}.json"), format!("captures/lab-truth/{truth}.json"))?;
    Some((path, Truth::read(&fs::read_to_string(truth).unwrap())))
}

/// Judges every flow of one capture, then its report, without and with a site file.
fn check(capture: &str, truth: &str, view: View) {
    let Some((path, truth)) = lab(capture, truth) else { return };
    let faults = truth.faults(&path, view);
    assert!(faults.is_empty(), "{} faults in {}:\n{}", faults.len(), path.display(), faults.join("\n"));
}
