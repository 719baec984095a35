//! What the kernels of a lab counted, against what the program says: shared by the recorded and the live lab.
//!
//! A truth file was made by packet accounting inside every host and at the firewall. Nothing in it comes from a capture,
//! so it also knows what a one-sided capture cannot show.

#![allow(dead_code, reason = "each test binary uses its own part of this file")]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test may stop, and says what it left out")]

use crate::common::End;
use crate::common::Flow;
use crate::common::address;
use crate::common::decimal_nanoseconds;
use crate::common::flows;
use crate::common::key;
use crate::common::list;
use crate::common::number;
use crate::common::port;
use crate::common::report;
use crate::common::word;
use serde_json::Value;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::fmt::Write;
use std::fs;
use std::net::IpAddr;
use std::path::Path as FilePath;

/// Findings that say a needed flow is blocked.
const BLOCKED: &[&str] = &["blocked", "rpc_blocked", "epm_blocked"];

/// Which packets the capture could see.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum View {
    /// Every packet.
    Both,
    /// Every packet twice.
    Twice,
    ToServer,
    ToClient,
    /// Every packet, but not all the time.
    Gaps,
    /// What passes the firewall, on the clients' side of it.
    ClientSide,
    /// What passes the firewall, on the servers' side of it.
    ServerSide,
}

/// Client, server, transport and server port.
pub(crate) type Service = (IpAddr, IpAddr, String, u16);

/// One flow as a host's kernel counted it.
pub(crate) struct TruthFlow {
    pub(crate) client: End,
    pub(crate) server: End,
    pub(crate) proto: String,
    pub(crate) outcome: String,
    pub(crate) sent: u64,
    /// The server could not be reached any more after the connection was established.
    pub(crate) cut_off: bool,
    /// Its packets from place to place, where it crosses the firewall and that was counted.
    pub(crate) path: Option<Path>,
}

/// How many packets of a flow the kernels counted at some of the places they pass.
pub(crate) struct Path {
    pub(crate) client_sent: u64,
    /// What the firewall let through to the server.
    pub(crate) passed: u64,
    /// What came back to the firewall.
    pub(crate) answered: u64,
    /// What the firewall let through to the client, or said itself.
    pub(crate) passed_back: u64,
    /// The client's end behind the firewall, which may translate it.
    pub(crate) outside: End,
}

impl TruthFlow {
    pub(crate) fn key(&self) -> Service {
        (self.client.0, self.server.0, self.proto.clone(), self.server.1)
    }

    pub(crate) fn failed(&self) -> bool {
        self.cut_off || !["established", "answered"].contains(&self.outcome.as_str())
    }

    /// The client's end as a capture of this view shows it.
    fn client_in(&self, view: View) -> End {
        match &self.path {
            Some(path) if view == View::ServerSide => path.outside,
            _ => self.client,
        }
    }

    /// Whether a capture of this view can show the flow at all.
    fn seen_in(&self, view: View) -> bool {
        match (view, &self.path) {
            (View::ClientSide, path) => path.is_some(),
            (View::ServerSide, path) => path.as_ref().is_some_and(|path| path.passed + path.answered > 0),
            _ => true,
        }
    }

    /// How many packets of the flow a capture of this view holds.
    fn packets_in(&self, view: View) -> Option<u64> {
        let path = self.path.as_ref()?;
        match view {
            View::Both | View::ClientSide => Some(path.client_sent + path.passed_back),
            View::ServerSide => Some(path.passed + path.answered),
            View::ToServer => Some(path.client_sent),
            View::ToClient => Some(path.passed_back),
            // Copies are counted apart, and what was missed nowhere.
            View::Twice | View::Gaps => None,
        }
    }

    fn to_group(&self) -> bool {
        match self.server.0 {
            IpAddr::V4(v4) => v4.is_multicast() || v4.octets()[3] == 255,
            IpAddr::V6(v6) => v6.is_multicast(),
        }
    }

    pub(crate) fn line(&self) -> String {
        let (client, server) = (self.client, self.server);
        format!("{} {}:{} > {}:{} {}", self.proto, client.0, client.1, server.0, server.1, self.outcome)
    }
}

/// The truth of one scenario.
pub(crate) struct Truth {
    pub(crate) flows: Vec<TruthFlow>,
    pub(crate) expectations: Vec<Value>,
    /// Address to host name, of the hosts whose kernels counted.
    pub(crate) hosts: HashMap<IpAddr, String>,
    pub(crate) roles: BTreeMap<String, Vec<IpAddr>>,
    /// Who asked whom for which interface, was told which port, and could not connect to it.
    pub(crate) unreached: Vec<(String, IpAddr, u64, String)>,
    /// When the counting began and ended, in nanoseconds.
    pub(crate) window: (i128, i128),
}

impl Truth {
    pub(crate) fn read(text: &str) -> Self {
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
                path: flow.get("path").map(|path| Path {
                    client_sent: number(path, "client_sent"),
                    passed: number(path, "firewall_sent"),
                    answered: number(path, "firewall_got_back"),
                    passed_back: number(path, "firewall_sent_back"),
                    outside: flow.get("translated").map_or_else(
                        || (address(flow, "src_ip"), port(flow, "sport")),
                        |outside| (address(outside, "src_ip"), port(outside, "sport")),
                    ),
                }),
            };
            flow.cut_off = flow.outcome == "established" && truth.declared(&flow) == Some("firewall-drop-midflow");
            truth.flows.push(flow);
        }
        assert!(!truth.flows.is_empty());
        truth
    }

    /// Who was declared to be the cause of what a flow met.
    pub(crate) fn declared(&self, flow: &TruthFlow) -> Option<&str> {
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

    /// What a capture shows otherwise than the kernels counted: every flow, then the report without and with a site file.
    pub(crate) fn faults(&self, capture: &FilePath, view: View) -> Vec<String> {
        let seen = flows(capture, &[]);
        let mut faults = flow_faults(self, &seen, view);
        faults.extend(leftover_faults(&capture.display().to_string(), self, &seen, view));
        let inferred = report(capture, &[]);
        faults.extend(packet_faults(self, &seen, view, number(&inferred["health"], "duplicates")));
        faults.extend(pair_faults(&inferred, &seen));
        let invented = invented_blocks_in(self, &inferred, view);
        faults.extend(invented.into_iter().map(|fault| format!("inferred roles: {fault}")));
        let site = self.site();
        let named = report(capture, &["--site", site.path().to_str().unwrap()]);
        faults.extend(invented_blocks_in(self, &named, view).into_iter().map(|fault| format!("site file: {fault}")));
        faults
    }

    /// A site file that says which host holds which role.
    pub(crate) fn site(&self) -> tempfile::NamedTempFile {
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

/// Every truth flow against the records of its 5-tuple.
fn flow_faults(truth: &Truth, seen: &[Flow], view: View) -> Vec<String> {
    let mut records: HashMap<_, Vec<&Flow>> = HashMap::new();
    for flow in seen {
        records.entry(flow.key()).or_default().push(flow);
    }
    let mut faults = Vec::new();
    for flow in &truth.flows {
        let of_tuple = records.get(&key(&flow.proto, flow.client_in(view), flow.server)).map_or(&[][..], Vec::as_slice);
        if !flow.seen_in(view) {
            faults.extend(of_tuple.iter().map(|record| format!("never came here: {}", record.line())));
            continue;
        }
        let may_miss = view == View::Gaps || (view == View::ToClient && flow.failed());
        if of_tuple.is_empty() && !may_miss {
            faults.push(format!("missing: {}", flow.line()));
            continue;
        }
        for record in of_tuple {
            if let Err(wanted) = judge(truth, flow, record, view) {
                faults.push(format!("{}: wanted {wanted}, got {}", flow.line(), record.line()));
            }
        }
    }
    faults
}

/// The packets of every flow as the kernels counted them, against its records and the copies that the report counts.
///
/// A server that repeats its SYN-ACK just when the client repeats its SYN sends two packets that nothing distinguishes, so
/// one of them counts as a copy.
fn packet_faults(truth: &Truth, seen: &[Flow], view: View, mut copies: u64) -> Vec<String> {
    let mut found: HashMap<_, u64> = HashMap::new();
    for flow in seen {
        *found.entry(flow.key()).or_default() += flow.packets;
    }
    let begun_before: BTreeSet<_> = seen.iter().filter(|flow| flow.first_ns < truth.window.0).map(Flow::key).collect();
    let mut faults = Vec::new();
    for flow in &truth.flows {
        let key = key(&flow.proto, flow.client_in(view), flow.server);
        let Some(counted) = flow.packets_in(view).filter(|_| !begun_before.contains(&key)) else { continue };
        let found = found.get(&key).copied().unwrap_or(0);
        match counted.checked_sub(found) {
            Some(0) => {}
            Some(missing) if missing <= copies => copies -= missing,
            _ => faults.push(format!("{}: the kernels counted {counted} packets, the records {found}", flow.line())),
        }
    }
    faults
}

/// Whether a record says what the truth says; else what was wanted.
fn judge(truth: &Truth, flow: &TruthFlow, record: &Flow, view: View) -> Result<(), String> {
    let one_of = |wanted: &[&str]| {
        if wanted.contains(&record.outcome.as_str()) { Ok(()) } else { Err(wanted.join(" or ")) }
    };
    if record.orig != flow.client_in(view) {
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
        View::Gaps if !flow.failed() => {
            let failures = ["dropped", "unanswered", "refused", "rejected", "reply_lost", "stalled"];
            let blamed = failures.contains(&record.outcome.as_str());
            return if blamed { Err("no failure".to_owned()) } else { Ok(()) };
        }
        // The server spoke, and nobody behind the firewall heard it.
        View::ServerSide if flow.path.as_ref().is_some_and(|path| path.answered > 0 && path.passed_back == 0) => {
            return one_of(if flow.proto == "tcp" { &["reply_lost"] } else { &["open"] });
        }
        View::Both | View::Twice | View::Gaps | View::ClientSide | View::ServerSide => {}
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
fn leftover_faults(capture: &str, truth: &Truth, seen: &[Flow], view: View) -> Vec<String> {
    let known: BTreeSet<_> =
        truth.flows.iter().map(|flow| key(&flow.proto, flow.client_in(view), flow.server)).collect();
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
pub(crate) fn invented_blocks(truth: &Truth, report: &Value) -> Vec<String> {
    invented_blocks_in(truth, report, View::Both)
}

/// The same, by the names that a view shows.
fn invented_blocks_in(truth: &Truth, report: &Value, view: View) -> Vec<String> {
    let failed = truth.flows.iter().filter(|flow| flow.failed());
    let failed: BTreeSet<_> =
        failed.map(|flow| (flow.client_in(view).0, flow.server.0, flow.proto.clone(), flow.server.1)).collect();
    list(report, "findings")
        .iter()
        .filter(|finding| BLOCKED.contains(&word(finding, "finding").as_str()))
        .filter(|finding| !failed.contains(&finding_key(finding)))
        .map(|finding| format!("invented: {finding}"))
        .collect()
}

/// What the report says is blocked.
pub(crate) fn blocked(report: &Value) -> BTreeSet<Service> {
    let kinds = list(report, "findings").iter().filter(|finding| BLOCKED.contains(&word(finding, "finding").as_str()));
    kinds.map(finding_key).collect()
}

pub(crate) fn finding_key(finding: &Value) -> Service {
    let port = finding["port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or(0);
    (address(finding, "client"), address(finding, "server"), word(finding, "transport"), port)
}
