//! The answers beside the rows: readiness, dynamic ports, firewall rules and comparison, against the lab's truth.
//!
//! The truth files were counted by the hosts' kernels; the rows come from `rules list`. What this program made of both
//! must be what a person would: each row of a check list, each flow of a set of rules, each service of a comparison.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test may stop, and says why it skips")]

mod common;

use common::command;
use common::finish;
use common::flows;
use common::list;
use common::number;
use common::root;
use common::run;
use common::word;
use serde_json::Value;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;
use tempfile::TempDir;

/// The lab's hosts by role, as its truth files give them. The agent stands for both products.
const SITE: &str = r#"
[hosts]
domain-controller = ["10.10.1.10", "10.10.1.11", "fd10:1::10", "fd10:1::11"]
file-server = ["10.10.1.20", "fd10:1::20"]
client = ["10.10.2.50", "10.10.2.51", "fd10:2::50", "fd10:2::51"]
auditor = ["10.10.2.60", "fd10:2::60"]
cloud-agent = ["10.10.2.60", "fd10:2::60"]
"#;

/// Where the lab's servers listen for RPC.
const DYNAMIC: std::ops::RangeInclusive<u64> = 49152..=65535;

/// What is used again and again: a folder with the site file.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::write(place.path("site.toml"), SITE).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Analyzes a recording of the lab with the site file and leaves the report as a file.
    fn report(&self, scenario: &str, more: &[&str]) -> (PathBuf, Value) {
        let path = self.path(&format!("{scenario}.json"));
        let capture = root().join("pcaps/lab").join(format!("{scenario}.pcap"));
        let mut analyze = command();
        analyze.arg("analyze").arg(capture).arg("--site").arg(self.path("site.toml")).args(["-q", "-o"]).arg(&path);
        let ran = finish(analyze.args(more));
        assert_eq!(ran.code, Some(0), "{scenario}: {}", ran.stderr);
        let value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        (path, value)
    }

    /// The rules for a target, from a report.
    fn export(&self, target: &str, report: &Path) -> String {
        let mut export = command();
        export.args(["rules", "export", "--to", target, "--from"]).arg(report);
        let ran = finish(export.arg("--site").arg(self.path("site.toml")));
        assert_eq!(ran.code, Some(0), "{target}: {}", ran.stderr);
        ran.text()
    }
}

fn truth(scenario: &str) -> Value {
    let path = root().join("pcaps/lab/truth").join(format!("{scenario}.json"));
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Client, server, transport and port.
type Way = (IpAddr, IpAddr, String, u64);

/// What the kernels counted: for each way how many flows worked and failed.
fn counted(truth: &Value) -> BTreeMap<Way, (u64, u64)> {
    let mut all = BTreeMap::new();
    for pair in list(truth, "host_pairs") {
        let way = (
            word(pair, "src_ip").parse().unwrap(),
            word(pair, "dst_ip").parse().unwrap(),
            word(pair, "proto"),
            number(pair, "dport"),
        );
        let (mut worked, mut failed) = (0, 0);
        for (outcome, flows) in pair["outcomes"].as_object().unwrap() {
            let flows = flows.as_u64().unwrap();
            if matches!(outcome.as_str(), "established" | "answered") { worked += flows } else { failed += flows }
        }
        all.insert(way, (worked, failed));
    }
    assert!(!all.is_empty());
    all
}

fn host(truth: &Value, name: &str) -> IpAddr {
    truth["hosts"][name]["ip4"].as_str().unwrap().parse().unwrap()
}

/// The rows of a profile that judge, by id: whether they are a range, and transports with ports.
type Rows = BTreeMap<String, (bool, Vec<(String, Vec<[u64; 2]>)>, String)>;

fn rows(profile: &str) -> Rows {
    let listed = run(&["rules", "list", "--format", "json", "-p", profile]).json();
    let mut rows = Rows::new();
    for row in listed.as_array().unwrap().iter().filter(|row| row["judges"] == true) {
        let ports = list(row, "ports").iter().map(|ends| {
            let end = |at: usize| ends[at].as_u64().unwrap();
            [end(0), end(1)]
        });
        let of_row = rows.entry(word(row, "id")).or_default();
        of_row.0 = row["dynamic"] == true;
        of_row.1.push((word(row, "transport"), ports.collect()));
        of_row.2 = word(row, "to");
    }
    rows
}

#[test]
fn readiness_is_the_truth_row_by_row() {
    let place = Place::new();
    for scenario in ["clean", "drop", "reject", "dynrpc"] {
        let truth = truth(scenario);
        let counted = counted(&truth);
        let agent = host(&truth, "agent");
        for profile in ["netwrix-group-policy", "netwrix-cloud-agent"] {
            let (_, report) = place.report(scenario, &["--readiness", profile]);
            let mut told: BTreeMap<(String, IpAddr), String> = BTreeMap::new();
            for row in list(&report, "readiness").iter().filter(|row| word(row, "profile") == profile) {
                if word(row, "client").parse::<IpAddr>().unwrap() == agent {
                    told.insert((word(row, "row"), word(row, "server").parse().unwrap()), word(row, "state"));
                }
            }
            let mut expected = BTreeMap::new();
            for server in ["dc1", "dc2"].map(|name| host(&truth, name)) {
                // A host that is not in the capture at all is in no report either.
                let seen = counted.keys().any(|(client, to, ..)| *client == server || *to == server);
                for (row, (dynamic, transports, to)) in rows(profile) {
                    if !seen || to == "exchange-server" {
                        continue;
                    }
                    let (mut worked, mut failed) = (0, 0);
                    for ((client, to, transport, port), (good, bad)) in &counted {
                        let meant = |(over, ports): &(String, Vec<[u64; 2]>)| {
                            over == transport && ports.iter().any(|[low, high]| (*low..=*high).contains(port))
                        };
                        let in_range = !dynamic || DYNAMIC.contains(port);
                        if *client == agent && *to == server && in_range && transports.iter().any(meant) {
                            worked += good;
                            failed += bad;
                        }
                    }
                    let state = match (worked, failed) {
                        (0, 0) => "not_exercised",
                        (_, 0) => "ok",
                        (0, _) => "blocked",
                        _ => "seen_failed",
                    };
                    expected.insert((row, server), state.to_owned());
                }
            }
            assert_eq!(told, expected, "{scenario}, {profile}");
        }
    }
}

#[test]
fn readiness_works_for_every_profile() {
    let place = Place::new();
    let profiles = fs::read_dir(root().join("rules/profiles")).unwrap();
    let mut asked = 0;
    for profile in profiles {
        let path = profile.unwrap().path();
        let profile = path.file_stem().unwrap().to_str().unwrap();
        let (_, report) = place.report("clean", &["--readiness", profile]);
        let listed = list(&report, "readiness").iter().filter(|row| word(row, "profile") == profile).count();
        let sums = list(&report, "readiness_pairs").iter().filter(|sum| word(sum, "profile") == profile);
        let mut total = 0;
        for sum in sums {
            assert_eq!(sum["complete"], true);
            let states = ["ok", "blocked", "seen_failed", "not_exercised", "not_judgeable"];
            total += states.iter().map(|state| number(sum, state)).sum::<u64>();
        }
        // The sums are those of the rows, and every row is there.
        assert_eq!(listed as u64, total, "{profile}");
        assert!(listed > 0, "{profile}: nothing listed");
        asked += 1;
    }
    assert_eq!(asked, 6);
}

#[test]
fn a_profile_that_is_none_is_refused() {
    let ran = run(&["analyze", "pcaps/lab/drop.pcap", "--readiness", "netwrix-group-polcy"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("netwrix-group-policy"), "{}", ran.stderr);
}

#[test]
fn dynamic_ports_are_those_that_the_kernels_counted() {
    let place = Place::new();
    for scenario in ["clean", "dynrpc"] {
        let truth = truth(scenario);
        let (_, report) = place.report(scenario, &[]);
        let mut expected: BTreeMap<(IpAddr, u64), BTreeSet<IpAddr>> = BTreeMap::new();
        for (client, server, transport, port) in counted(&truth).into_keys() {
            if transport == "tcp" && DYNAMIC.contains(&port) {
                expected.entry((server, port)).or_default().insert(client);
            }
        }
        let mut told: BTreeMap<(IpAddr, u64), u64> = BTreeMap::new();
        for range in list(&report, "ranges").iter().filter(|range| word(range, "transport") == "tcp") {
            for used in list(range, "ports") {
                told.insert((word(range, "server").parse().unwrap(), number(used, "port")), number(used, "clients"));
            }
        }
        for (place, clients) in &expected {
            assert_eq!(told.get(place), Some(&(clients.len() as u64)), "{scenario}: {place:?}");
        }
        let more: Vec<_> = told.keys().filter(|place| !expected.contains_key(*place)).collect();
        for (server, port) in more {
            assert!(began_earlier(scenario, *server, *port), "{scenario}: {server} {port} was not used");
        }
    }
}

/// Whether every flow to this port began before the capture: the kernels counted connections that were made in it.
fn began_earlier(scenario: &str, server: IpAddr, port: u64) -> bool {
    let capture = root().join("pcaps/lab").join(format!("{scenario}.pcap"));
    let all = flows(&capture, &[]);
    let mut own = all.iter().filter(|flow| flow.resp.0 == server && u64::from(flow.resp.1) == port).peekable();
    own.peek().is_some() && own.all(|flow| flow.flags.iter().any(|flag| flag == "mid_stream"))
}

/// One rule of an nftables file: a rule for what it lets through, or nothing for any other line.
fn nft_allows(line: &str, way: &Way) -> bool {
    let (client, server, transport, port) = way;
    let words: Vec<&str> = line.split_whitespace().collect();
    let Some(accept) = words.iter().position(|word| *word == "accept") else { return false };
    let mut at = 0;
    let mut states = false;
    while at < accept {
        // A match is a name of two words and one value or a set in braces.
        let name = [words[at], words[at + 1]];
        let mut values = Vec::new();
        at += 2;
        if words[at] == "{" {
            at += 1;
            while words[at] != "}" {
                values.push(words[at].trim_end_matches(','));
                at += 1;
            }
        } else {
            values.push(words[at]);
        }
        at += 1;
        let is_host = |ip: &IpAddr| values.iter().any(|value| value.parse::<IpAddr>().ok() == Some(*ip));
        let fits = match name {
            ["ip" | "ip6", "saddr"] => is_host(client),
            ["ip" | "ip6", "daddr"] => is_host(server),
            [over, "dport"] => {
                over == transport
                    && values.iter().any(|value| {
                        let (low, high) = value.split_once('-').unwrap_or((value, value));
                        (low.parse().unwrap()..=high.parse::<u64>().unwrap()).contains(port)
                    })
            }
            ["ct", "state"] => {
                states = true;
                false
            }
            other => panic_with(&format!("{other:?} in {line}")),
        };
        if !fits {
            return false;
        }
    }
    !states
}

#[expect(clippy::panic, reason = "the way a test fails")]
fn panic_with(message: &str) -> ! {
    panic!("{message}")
}

#[test]
fn rules_from_a_clean_capture_let_through_what_it_needs_and_nothing_else() {
    let place = Place::new();
    let (report, _) = place.report("clean", &[]);
    let rules = place.export("nft", &report);
    let allows = |way: &Way| rules.lines().any(|line| nft_allows(line, way));
    let needed: BTreeSet<Way> = counted(&truth("clean")).into_keys().collect();
    for way in &needed {
        assert!(allows(way), "{way:?} is needed\n{rules}");
    }
    // Nothing else: all hosts, all ports that occur anywhere in the lab, and their neighbours.
    let hosts: BTreeSet<IpAddr> = needed.iter().flat_map(|(client, server, ..)| [*client, *server]).collect();
    let named = needed.iter().map(|(_, _, _, port)| *port);
    let ports: BTreeSet<u64> =
        named.flat_map(|port| [port - 1, port, port + 1]).chain([23, 1433, 3389, 49200]).collect();
    for client in &hosts {
        for server in &hosts {
            for transport in ["tcp", "udp"] {
                for port in &ports {
                    let way = (*client, *server, transport.to_owned(), *port);
                    if !needed.contains(&way) && allows(&way) {
                        assert!(began_earlier("clean", *server, *port), "{way:?} is not needed\n{rules}");
                    }
                }
            }
        }
    }
    let unexpected = truth("unexpected");
    let mut refused = 0;
    for flow in list(&unexpected, "expectations").iter().filter(|flow| flow["unexpected"] == true) {
        let (client, server) = (host(&unexpected, &word(flow, "src")), host(&unexpected, &word(flow, "dst")));
        // "dyn" is the service that this scenario plants at 49200.
        let port = flow["port"].as_u64().unwrap_or(49200);
        let way = (client, server, word(flow, "proto"), port);
        assert!(!allows(&way), "{way:?} must not pass\n{rules}");
        refused += 1;
    }
    assert!(refused >= 10);
}

#[test]
fn each_rule_has_its_citation() {
    let place = Place::new();
    let (report, _) = place.report("clean", &[]);
    let rules = place.export("nft", &report);
    let known: BTreeSet<String> = run(&["rules", "list", "--format", "json"])
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|row| word(row, "id"))
        .collect();
    let mut cited = 0;
    for line in rules.lines().filter(|line| line.contains(" accept comment ")) {
        let comment = line.split('"').nth(1).unwrap();
        let first = comment.split([',', ' ']).next().unwrap();
        assert!(known.contains(first), "{first} is no row: {line}");
        cited += 1;
    }
    assert!(cited > 5, "{rules}");
}

/// Runs a tool in a network namespace of its own, or says why not.
fn in_namespace(tool: &[&str], input: &str) -> Option<(bool, String)> {
    let mut probe = Command::new("unshare");
    let probe = probe.args(["--user", "--map-root-user", "--net", tool[0], "--version"]);
    let probe = probe.stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !probe.is_ok_and(|status| status.success()) {
        eprintln!("skipped: {} cannot be run in a network namespace here", tool[0]);
        return None;
    }
    let mut child = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net"])
        .args(tool)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Some((output.status.success(), said))
}

const NFT: &[&str] = &["nft", "-c", "-f", "-"];
const IPTABLES: &[&str] = &["iptables-restore", "--test"];
const IP6TABLES: &[&str] = &["ip6tables-restore", "--test"];

#[test]
fn the_real_tools_load_the_rules() {
    let place = Place::new();
    for scenario in ["clean", "drop", "ipv6"] {
        let (report, _) = place.report(scenario, &[]);
        for (target, tool) in [("nft", NFT), ("iptables", IPTABLES), ("ip6tables", IP6TABLES)] {
            let rules = place.export(target, &report);
            if let Some((loaded, said)) = in_namespace(tool, &rules) {
                assert!(loaded, "{scenario}, {target}: {said}\n{rules}");
            }
        }
    }
    for profile in fs::read_dir(root().join("rules/profiles")).unwrap() {
        let path = profile.unwrap().path();
        let profile = path.file_stem().unwrap().to_str().unwrap();
        for (target, tool) in [("nft", NFT), ("iptables", IPTABLES), ("ip6tables", IP6TABLES)] {
            let mut export = command();
            export.args(["rules", "export", "--to", target, "-p", profile, "--site"]);
            let ran = finish(export.arg(place.path("site.toml")));
            let tool = in_namespace(tool, &ran.text());
            assert_eq!(ran.code, Some(0), "{profile}, {target}: {}", ran.stderr);
            if let Some((loaded, said)) = tool {
                assert!(loaded, "{profile}, {target}: {said}\n{}", ran.text());
            }
        }
    }
    // The checks above must be able to fail.
    if let Some((loaded, _)) = in_namespace(NFT, "table inet portolan { chain forward { ip saddr nonsense accept } }") {
        assert!(!loaded);
    }
    if let Some((loaded, _)) = in_namespace(IPTABLES, "*filter\n-A FORWARD -p nonsense -j ACCEPT\nCOMMIT\n") {
        assert!(!loaded);
    }
}

#[test]
fn other_targets_say_the_same() {
    let place = Place::new();
    let (report, _) = place.report("drop", &[]);
    let windows = place.export("windows", &report);
    assert!(windows.contains("-LocalPort RPCEPMap"), "{windows}");
    assert!(windows.contains("-Protocol TCP -LocalPort RPC -LocalAddress '10.10.1.10' -RemoteAddress '10.10.2.60'"));
    let filter = place.export("rpc-filter", &report);
    let permits = filter.matches("actiontype=permit").count();
    let blocks = filter.matches("actiontype=block").count();
    assert_eq!((permits, blocks), (3, 3), "{filter}");
    assert_eq!(filter.matches("\nadd filter\n").count(), permits + blocks, "{filter}");
    let asa = place.export("asa", &report);
    assert!(asa.lines().any(|line| line == " network-object host 10.10.2.60"), "{asa}");
    assert!(asa.lines().any(|line| line == " port-object range 49152 49154"), "{asa}");
    assert!(asa.trim_end().ends_with("extended deny ip any any"), "{asa}");
    let table = place.export("csv", &report);
    assert!(table.starts_with("from,to,transport,ports,kind,rows,documents\r\n"), "{table}");
    assert!(table.contains("\r\n10.10.2.60,10.10.1.10,tcp,49152-49154,rpc_dynamic,"), "{table}");
}

#[test]
fn rows_without_addresses_are_no_rules() {
    let ran = run(&["rules", "export", "--to", "nft"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("--site") && ran.stderr.contains("--from"), "{}", ran.stderr);
    let place = Place::new();
    fs::write(place.path("site.toml"), "[hosts]\nclient = [\"10.0.0.1\"]\n").unwrap();
    let mut export = command();
    export.args(["rules", "export", "--to", "nft", "-p", "netwrix-group-policy", "--site"]);
    let ran = finish(export.arg(place.path("site.toml")));
    assert_eq!(ran.code, Some(2), "{}", ran.text());
    assert!(ran.stderr.contains("the site file names no"), "{}", ran.stderr);
}

/// Text that would begin a rule, end a comment or run a command, in every place of a report that is text.
#[test]
fn nothing_in_a_report_can_become_a_rule() {
    let place = Place::new();
    let (_, mut report) = place.report("drop", &[]);
    let evil =
        "\n-A FORWARD -j ACCEPT\" ; accept\n}'; Remove-Item C:\\ #`$(x)\r\npermit ip any any\u{202e}\u{2028}accept";
    let mut changed = 0;
    poison(&mut report, evil, &mut changed);
    assert!(changed > 100);
    let path = place.path("evil.json");
    fs::write(&path, report.to_string()).unwrap();
    for target in ["nft", "iptables", "ip6tables", "windows", "rpc-filter", "asa", "csv"] {
        let clean = place.export(target, &place.path("drop.json"));
        let mut export = command();
        export.args(["rules", "export", "--to", target, "--from"]).arg(&path);
        let ran = finish(export.arg("--site").arg(place.path("site.toml")));
        assert_eq!(ran.code, Some(0), "{target}: {}", ran.stderr);
        let rules = ran.text();
        assert!(!rules.chars().any(|char| char.is_control() && !"\r\n\t".contains(char)), "{target}");
        assert!(rules.is_ascii(), "{target}: {rules}");
        // The rows' names are gone, so that services may be grouped in another way; addresses and ports stay.
        for bad in ["FORWARD -j ACCEPT\"", "Remove-Item C:\\", "$(x)", "' ;", "}'"] {
            let meant = clean.matches(bad).count();
            assert_eq!(rules.matches(bad).count(), meant, "{target}: {bad}\n{rules}");
        }
        let lines =
            |page: &str, begins: &str| page.lines().filter(|line| line.trim_start().starts_with(begins)).count();
        for begins in ["-A FORWARD", "-A INPUT", "policy", "permit", "}"] {
            assert_eq!(lines(&rules, begins), lines(&clean, begins), "{target}: {begins}\n{rules}");
        }
        let tool = match target {
            "nft" => NFT,
            "iptables" => IPTABLES,
            "ip6tables" => IP6TABLES,
            _ => continue,
        };
        if let Some((loaded, said)) = in_namespace(tool, &rules) {
            assert!(loaded, "{target}: {said}\n{rules}");
        }
    }
}

/// Replaces every text that is no address, transport, state or schema.
fn poison(value: &mut Value, evil: &str, changed: &mut u64) {
    const KEPT: &[&str] = &["schema", "client", "server", "address", "transport", "state", "uuid", "callers"];
    match value {
        Value::String(text) => {
            evil.clone_into(text);
            *changed += 1;
        }
        Value::Array(items) => items.iter_mut().for_each(|item| poison(item, evil, changed)),
        Value::Object(fields) => {
            let outside = fields.iter_mut().filter(|(name, _)| !KEPT.contains(&name.as_str()));
            outside.for_each(|(_, field)| poison(field, evil, changed));
        }
        _ => {}
    }
}

#[test]
fn what_is_no_address_is_refused() {
    let place = Place::new();
    let (_, mut report) = place.report("drop", &[]);
    report["readiness"][0]["client"] = "10.0.0.1 } accept".into();
    let path = place.path("bad.json");
    fs::write(&path, report.to_string()).unwrap();
    let mut export = command();
    let ran = finish(export.args(["rules", "export", "--to", "nft", "--from"]).arg(&path));
    assert_eq!((ran.code, ran.stdout.len()), (Some(2), 0), "{}", ran.stderr);
}

/// What was blocked: client, server, service, transport.
type Service = (String, String, String, String);

fn changes(diff: &Value, kind: &str) -> BTreeSet<Service> {
    let of_kind = list(diff, "changes").iter().filter(|change| word(change, "change") == kind);
    of_kind
        .map(|change| {
            (word(change, "client"), word(change, "server"), word(change, "service"), word(change, "transport"))
        })
        .collect()
}

#[test]
fn a_comparison_names_exactly_the_dropped_services() {
    let place = Place::new();
    let (clean, _) = place.report("clean", &[]);
    let (drop, _) = place.report("drop", &[]);
    let dropped: BTreeSet<Service> = [("kerberos", "tcp"), ("kerberos", "udp"), ("global-catalog", "tcp")]
        .map(|(service, transport)| {
            ("10.10.2.60".to_owned(), "10.10.1.10".to_owned(), service.to_owned(), transport.to_owned())
        })
        .into();
    let mut worse = command();
    let worse = finish(worse.args(["diff", "--format", "json", "--fail-on", "blocked"]).arg(&clean).arg(&drop));
    assert_eq!(worse.code, Some(1), "{}", worse.stderr);
    assert_eq!(changes(&worse.json(), "newly_blocked"), dropped);
    assert_eq!(changes(&worse.json(), "now_working"), BTreeSet::new());
    let mut better = command();
    let better = finish(better.args(["diff", "--format", "json", "--fail-on", "any"]).arg(&drop).arg(&clean));
    assert_eq!(better.code, Some(0), "{}", better.text());
    assert_eq!(changes(&better.json(), "now_working"), dropped);
    assert_eq!(changes(&better.json(), "newly_blocked"), BTreeSet::new());
    let mut same = command();
    let same = finish(same.args(["diff", "--format", "json", "--fail-on", "any"]).arg(&drop).arg(&drop));
    assert_eq!(same.code, Some(0));
    assert_eq!(same.json()["counts"], serde_json::json!({"still_blocked": 3}));
    for format in ["text", "md"] {
        let mut page = command();
        let page = finish(page.args(["diff", "--format", format]).arg(&clean).arg(&drop)).text();
        for name in ["Kerberos", "Global catalog", "10.10.2.60"] {
            assert!(page.contains(name), "{format}: no {name} in\n{page}");
        }
    }
}

#[test]
fn what_is_no_report_is_refused() {
    let place = Place::new();
    let (good, mut value) = place.report("drop", &[]);
    let bad = place.path("bad.json");
    let refused = |text: &str, code: i32| {
        fs::write(&bad, text).unwrap();
        let mut diff = command();
        let ran = finish(diff.arg("diff").arg(&good).arg(&bad));
        assert_eq!((ran.code, ran.stdout.len()), (Some(code), 0), "{text:.60}: {}", ran.stderr);
        assert!(ran.stderr.starts_with("portolan: ") && ran.stderr.lines().count() == 1, "{}", ran.stderr);
    };
    refused("", 2);
    refused("{}", 2);
    refused("[1, 2", 2);
    value["schema"] = "portolan/report/2".into();
    refused(&value.to_string(), 2);
    let mut diff = command();
    let ran = finish(diff.arg("diff").arg(&good).arg(place.path("absent.json")));
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
}

#[test]
fn ports_of_a_way_are_ports() {
    // The evaluator above, on what it must tell apart.
    let way = |port: u64| ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap(), "tcp".to_owned(), port);
    let line = "ip saddr { 10.0.0.1, 10.0.0.9 } ip daddr 10.0.0.2 tcp dport { 88, 100-102 } accept comment \"x\"";
    assert!([88, 100, 101, 102].iter().all(|port| nft_allows(line, &way(*port))));
    assert!(![87, 99, 103].iter().any(|port| nft_allows(line, &way(*port))));
    assert!(!nft_allows(&line.replace("tcp", "udp"), &way(88)));
    assert!(!nft_allows(&line.replace("10.0.0.1,", "10.0.0.3,"), &way(88)));
    assert!(!nft_allows("ct state established,related accept", &way(88)));
}
