//! A real Active Directory lab, recorded, against what its hosts' kernels and its firewall counted.
//!
//! The truth was measured by packet accounting inside every host, not read from the capture, so it also knows what a
//! one-sided capture cannot show. The worst error of this program is a "blocked" that was none: it is tested on every
//! capture, with inferred roles and with a site file.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test may stop, and says what it left out")]

mod common;

use common::End;
use common::Flow;
use common::address;
use common::decimal_nanoseconds;
use common::flows;
use common::key;
use common::list;
use common::number;
use common::port;
use common::report;
use common::root;
use common::shared;
use common::word;
use serde_json::Value;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::fmt::Write;
use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;

/// Findings that say a needed flow is blocked.
const BLOCKED: &[&str] = &["blocked", "rpc_blocked", "epm_blocked"];

/// Which packets the capture could see.
#[derive(Clone, Copy, PartialEq)]
enum View {
    Both,
    ToServer,
    ToClient,
}

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
    check("dup", "dup", View::Both);
}

#[test]
fn every_packet_twice_on_the_any_device() {
    check("dup-any-sll2", "dup", View::Both);
}

#[test]
fn established_flows_blocked_in_their_middle() {
    check("midblock", "midblock", View::Both);
}

#[test]
fn a_controller_goes_down() {
    check("dcdown", "dcdown", View::Both);
}

/// Scenarios whose captures hold both directions once.
const WHOLE: &[&str] = &["clean", "drop", "reject", "dynrpc", "unexpected", "winrm", "ipv6", "midblock", "dcdown"];

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
    for scenario in ["drop", "reject", "ipv6", "dynrpc", "midblock", "dup"] {
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

/// Client, server, transport and server port.
type Service = (IpAddr, IpAddr, String, u16);

/// One flow as a host's kernel counted it.
struct TruthFlow {
    client: End,
    server: End,
    proto: String,
    outcome: String,
    sent: u64,
    /// The server could not be reached any more after the connection was established.
    cut_off: bool,
}

impl TruthFlow {
    fn key(&self) -> Service {
        (self.client.0, self.server.0, self.proto.clone(), self.server.1)
    }

    fn failed(&self) -> bool {
        self.cut_off || !["established", "answered"].contains(&self.outcome.as_str())
    }

    fn to_group(&self) -> bool {
        match self.server.0 {
            IpAddr::V4(v4) => v4.is_multicast() || v4.octets()[3] == 255,
            IpAddr::V6(v6) => v6.is_multicast(),
        }
    }

    fn line(&self) -> String {
        let (client, server) = (self.client, self.server);
        format!("{} {}:{} > {}:{} {}", self.proto, client.0, client.1, server.0, server.1, self.outcome)
    }
}

/// The truth of one scenario.
struct Truth {
    flows: Vec<TruthFlow>,
    expectations: Vec<Value>,
    /// Address to host name, of the hosts whose kernels counted.
    hosts: HashMap<IpAddr, String>,
    roles: BTreeMap<String, Vec<IpAddr>>,
    /// Who asked whom for which interface, was told which port, and could not connect to it.
    unreached: Vec<(String, IpAddr, u64, String)>,
    /// When the counting began and ended, in nanoseconds.
    window: (i128, i128),
}

impl Truth {
    fn read(text: &str) -> Self {
        let file: Value = serde_json::from_str(text).unwrap();
        let expectations = list(&file, "expectations").to_vec();
        let mut hosts = HashMap::new();
        let mut roles: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
        for (name, host) in file["hosts"].as_object().unwrap() {
            for version in ["ip4", "ip6"] {
                hosts.insert(address(host, version), name.clone());
                roles.entry(word(host, "role")).or_default().push(address(host, version));
            }
        }
        let mut truth = Self {
            flows: Vec::new(),
            expectations,
            hosts,
            roles,
            unreached: unreached(list(&file, "actions")),
            window: (
                decimal_nanoseconds(&file["window_start"].to_string()),
                decimal_nanoseconds(&file["window_end"].to_string()),
            ),
        };
        for flow in list(&file, "flows") {
            let mut flow = TruthFlow {
                client: (address(flow, "src_ip"), port(flow, "sport")),
                server: (address(flow, "dst_ip"), port(flow, "dport")),
                proto: word(flow, "proto"),
                outcome: word(flow, "outcome"),
                sent: flow.get("syn").or(flow.get("sent")).and_then(Value::as_u64).unwrap(),
                cut_off: false,
            };
            flow.cut_off = flow.outcome == "established" && truth.declared(&flow) == Some("firewall-drop-midflow");
            truth.flows.push(flow);
        }
        assert!(!truth.flows.is_empty());
        truth
    }

    /// Who was declared to be the cause of what a flow met.
    fn declared(&self, flow: &TruthFlow) -> Option<&str> {
        let server = self.hosts.get(&flow.server.0)?;
        let matching = self.expectations.iter().find(|expectation| {
            let port = expectation["port"].as_u64();
            word(expectation, "src") == self.hosts[&flow.client.0]
                && word(expectation, "dst") == *server
                && word(expectation, "proto") == flow.proto
                && port.map_or(flow.server.1 >= 49152, |port| port == u64::from(flow.server.1))
        });
        matching?["by"].as_str().filter(|by| !by.is_empty())
    }

    /// A site file that says which host holds which role.
    fn site(&self) -> tempfile::NamedTempFile {
        let mut text = "[hosts]\n".to_owned();
        for (role, addresses) in &self.roles {
            let role = match role.as_str() {
                "dc" => "domain-controller",
                "member-server" => "file-server",
                "workstation" => "client",
                "netwrix-agent" => "auditor",
                other => other,
            };
            let addresses: Vec<_> = addresses.iter().map(IpAddr::to_string).collect();
            writeln!(text, "{role} = {addresses:?}").unwrap();
        }
        let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        fs::write(file.path(), text).unwrap();
        file
    }
}

/// What the probes of the hosts say of interfaces that they could not reach at the port they were told.
fn unreached(actions: &[Value]) -> Vec<(String, IpAddr, u64, String)> {
    let mut found = Vec::new();
    for action in actions {
        let Ok(said) = serde_json::from_str::<Value>(&word(action, "out")) else { continue };
        if said["stage"] != "dyn" {
            continue;
        }
        let port = word(&said, "binding").split_once('[').and_then(|(_, rest)| rest.strip_suffix(']')?.parse().ok());
        let interface = match word(&said, "act").as_str() {
            "nrpc" => "netlogon".to_owned(),
            "drs" => "drsuapi".to_owned(),
            other => other.to_owned(),
        };
        found.push((word(action, "host"), address(&said, "dst"), port.unwrap(), interface));
    }
    found
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
    let seen = flows(&path, &[]);
    let mut faults = flow_faults(&truth, &seen, view);
    faults.extend(leftover_faults(capture, &truth, &seen));
    let inferred = report(&path, &[]);
    faults.extend(pair_faults(&inferred, &seen));
    faults.extend(invented_blocks(&truth, &inferred).into_iter().map(|fault| format!("inferred roles: {fault}")));
    let site = truth.site();
    let named = report(&path, &["--site", site.path().to_str().unwrap()]);
    faults.extend(invented_blocks(&truth, &named).into_iter().map(|fault| format!("site file: {fault}")));
    assert!(faults.is_empty(), "{} faults in {}:\n{}", faults.len(), path.display(), faults.join("\n"));
}

/// Every truth flow against the records of its 5-tuple.
fn flow_faults(truth: &Truth, seen: &[Flow], view: View) -> Vec<String> {
    let mut records: HashMap<_, Vec<&Flow>> = HashMap::new();
    for flow in seen {
        records.entry(flow.key()).or_default().push(flow);
    }
    let mut faults = Vec::new();
    for flow in &truth.flows {
        let of_tuple = records.get(&key(&flow.proto, flow.client, flow.server)).map_or(&[][..], Vec::as_slice);
        if of_tuple.is_empty() && !(view == View::ToClient && flow.failed()) {
            faults.push(format!("missing: {}", flow.line()));
        }
        for record in of_tuple {
            if let Err(wanted) = judge(truth, flow, record, view) {
                faults.push(format!("{}: wanted {wanted}, got {}", flow.line(), record.line()));
            }
        }
    }
    faults
}

/// Whether a record says what the truth says; else what was wanted.
fn judge(truth: &Truth, flow: &TruthFlow, record: &Flow, view: View) -> Result<(), String> {
    let one_of = |wanted: &[&str]| {
        if wanted.contains(&record.outcome.as_str()) { Ok(()) } else { Err(wanted.join(" or ")) }
    };
    if record.orig != flow.client {
        return Err("the other direction".to_owned());
    }
    match view {
        View::ToClient => return one_of(&["one_way", "unknown"]),
        View::ToServer => {
            // The client's own repeats prove that neither SYN-ACK nor RST came; anything else the capture cannot show.
            let repeated = flow.outcome == "no-answer" && flow.proto == "tcp" && flow.sent > 2;
            if repeated && record.outcome == "dropped" && record.confidence != "confirmed" {
                return Ok(());
            }
            return one_of(&["one_way", "unknown", "pending"]);
        }
        View::Both => {}
    }
    let by_firewall = truth.declared(flow).is_some_and(|by| by.starts_with("firewall"));
    match flow.outcome.as_str() {
        _ if flow.to_group() => {
            if record.outcome == "open" || record.standing != "not_judged" {
                return Err("not judged: one way by nature".to_owned());
            }
            Ok(())
        }
        "established" if flow.cut_off => one_of(&["stalled"]),
        "established" | "answered" => one_of(&["open"]),
        "no-answer" if flow.proto == "tcp" => one_of(&["dropped"]),
        "no-answer" if flow.sent == 1 => one_of(&["unanswered", "pending", "unknown"]),
        "no-answer" => one_of(&["unanswered"]),
        "refused-rst" if by_firewall => {
            // Only what the same client gets from this server passes the same routers, and shows the server's TTL.
            let known = truth.flows.iter().filter(|other| {
                (other.client.0, other.server.0) == (flow.client.0, flow.server.0) && other.outcome == "established"
            });
            let known = known.count();
            match (record.outcome.as_str(), record.by.as_str()) {
                ("rejected", "middlebox") => Ok(()),
                ("refused", "unknown") if known < 2 => Ok(()),
                _ => Err(format!("rejected by middlebox ({known} other flows of that pair show the server's TTL)")),
            }
        }
        "refused-rst" => match (record.outcome.as_str(), record.by.as_str()) {
            ("refused", "host" | "unknown") => Ok(()),
            _ => Err("refused by host or unknown".to_owned()),
        },
        rejected if rejected.starts_with("rejected-icmp:") => {
            let from = record.icmp_from.ok_or("an ICMP source")?;
            let closed = rejected.ends_with(":port-unreach") && !by_firewall;
            if closed {
                one_of(&["refused"])?;
                return if from == flow.server.0 { Ok(()) } else { Err(format!("ICMP from the target, not {from}")) };
            }
            one_of(&["rejected"])?;
            if truth.hosts.contains_key(&from) { Err(format!("ICMP from the gateway, not {from}")) } else { Ok(()) }
        }
        other => Err(format!("the test to know {other}")),
    }
}

/// Records without a truth flow: each must lie outside what the truth accounts for.
fn leftover_faults(capture: &str, truth: &Truth, seen: &[Flow]) -> Vec<String> {
    let known: BTreeSet<_> = truth.flows.iter().map(|flow| key(&flow.proto, flow.client, flow.server)).collect();
    let mut left_out: BTreeMap<&str, u32> = BTreeMap::new();
    let mut faults = Vec::new();
    for flow in seen.iter().filter(|flow| !known.contains(&flow.key())) {
        let rule = if !["tcp", "udp"].contains(&flow.proto.as_str()) {
            "neither TCP nor UDP"
        } else if flow.proto == "tcp" && flow.flags.iter().any(|flag| flag == "mid_stream") {
            "connected before the capture, so no host counted its SYN"
        } else if flow.first_ns < truth.window.0 {
            "before the counting began"
        } else if flow.first_ns > truth.window.1 {
            "after the counting ended"
        } else if !truth.hosts.contains_key(&flow.orig.0) {
            "from a host that did not count"
        } else {
            faults.push(format!("only in the output: {}", flow.line()));
            continue;
        };
        *left_out.entry(rule).or_default() += 1;
    }
    println!("{capture}: {} truth flows, {} records, left out: {left_out:?}", truth.flows.len(), seen.len());
    faults
}

/// The report's sums per host pair against the flow records.
fn pair_faults(report: &Value, seen: &[Flow]) -> Vec<String> {
    let mut of_report: BTreeMap<(IpAddr, IpAddr, String, String), u64> = BTreeMap::new();
    for pair in list(report, "pairs") {
        for service in list(pair, "services") {
            for (outcome, count) in service["outcomes"].as_object().unwrap() {
                let place =
                    (address(pair, "client"), address(pair, "server"), word(service, "transport"), outcome.clone());
                *of_report.entry(place).or_default() += count.as_u64().unwrap();
            }
            let sum: u64 = service["outcomes"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
            assert_eq!(sum, number(service, "flows"), "{service}");
        }
    }
    let mut of_records: BTreeMap<_, u64> = BTreeMap::new();
    for flow in seen {
        *of_records.entry((flow.orig.0, flow.resp.0, flow.proto.clone(), flow.outcome.clone())).or_default() += 1;
    }
    let places: BTreeSet<_> = of_report.keys().chain(of_records.keys()).collect();
    places
        .into_iter()
        .filter(|place| of_report.get(place) != of_records.get(place))
        .map(|place| format!("{place:?}: report {:?}, flow records {:?}", of_report.get(place), of_records.get(place)))
        .collect()
}

/// Blocked findings for a service that no flow of the truth failed to reach.
fn invented_blocks(truth: &Truth, report: &Value) -> Vec<String> {
    let failed: BTreeSet<_> = truth.flows.iter().filter(|flow| flow.failed()).map(TruthFlow::key).collect();
    list(report, "findings")
        .iter()
        .filter(|finding| BLOCKED.contains(&word(finding, "finding").as_str()))
        .filter(|finding| !failed.contains(&finding_key(finding)))
        .map(|finding| format!("invented: {finding}"))
        .collect()
}

/// What the report says is blocked.
fn blocked(report: &Value) -> BTreeSet<Service> {
    let kinds = list(report, "findings").iter().filter(|finding| BLOCKED.contains(&word(finding, "finding").as_str()));
    kinds.map(finding_key).collect()
}

fn finding_key(finding: &Value) -> Service {
    let port = finding["port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or(0);
    (address(finding, "client"), address(finding, "server"), word(finding, "transport"), port)
}
