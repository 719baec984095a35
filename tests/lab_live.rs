//! A real Active Directory lab, played now, against what its hosts' kernels and its firewall count meanwhile.
//!
//! `tests/lab/run` builds the lab in network namespaces and plays every scenario once; each test here judges one of
//! them. It takes minutes, root and Samba, so it runs only where `PORTOLAN_LAB=1` asks for it, or names scenarios.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test may stop, and says why it skips")]

mod common;
#[path = "common/truth.rs"]
mod truth;

use common::PROGRAM;
use common::files_below;
use common::list;
use common::report;
use common::root;
use common::run;
use serde_json::Value;
use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;
use truth::Truth;
use truth::View;

/// The variable that asks for the lab.
const ASKED: &str = "PORTOLAN_LAB";

/// A ruleset that somebody could have written for this domain: what the clients need, and nothing else.
const RULES: &str = "
flush ruleset
table inet wanted {
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    ip saddr 10.10.2.0/24 ip daddr 10.10.1.10 udp dport { 53, 88, 123, 137, 389 } accept
    ip saddr 10.10.2.0/24 ip daddr 10.10.1.10 tcp dport { 53, 88, 135, 139, 389, 445, 464, 636, 3268, 3269 } accept
    ip saddr 10.10.2.0/24 ip daddr 10.10.1.10 tcp dport { 5985, 9389, 49152-49154 } accept
    ip saddr 10.10.2.60 ip daddr 10.10.1.20 tcp dport { 445, 5985 } accept
  }
}
";

/// What the lab left behind.
struct Played {
    folder: PathBuf,
    /// The scenarios that were asked for; all if none is named.
    asked: Vec<String>,
    /// Whether every scenario went as its script expects, and what the lab said.
    well: bool,
    said: String,
}

impl Played {
    /// Whether a scenario was asked for, or a notice that it was not.
    fn has(&self, scenario: &str) -> bool {
        let has = self.asked.is_empty() || self.asked.iter().any(|asked| asked == scenario);
        if !has {
            eprintln!("skipped: {ASKED} does not name {scenario}");
        }
        has
    }

    /// Whether everything was asked for, or a notice that it was not.
    fn is_all(&self) -> bool {
        if !self.asked.is_empty() {
            eprintln!("skipped: {ASKED} asks for some scenarios only");
        }
        self.asked.is_empty()
    }
}

/// Plays what was asked for, once for all tests of this file; nothing where nobody asked.
fn played() -> Option<&'static Played> {
    static PLAYED: OnceLock<Option<Played>> = OnceLock::new();
    let played = PLAYED.get_or_init(|| {
        let asked = env::var(ASKED).unwrap_or_default();
        if asked.is_empty() || asked == "0" {
            eprintln!("skipped: the live lab runs where {ASKED}=1 asks for it; see tests/lab/README.md");
            return None;
        }
        let asked: Vec<String> = asked.split_whitespace().filter(|name| *name != "1").map(str::to_owned).collect();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lab-live");
        if folder.exists() {
            fs::remove_dir_all(&folder).unwrap();
        }
        fs::create_dir_all(&folder).unwrap();
        let rules = folder.join("wanted.nft");
        fs::write(&rules, RULES).unwrap();
        let lab = root().join("tests/lab/run");
        let mut scenarios = asked.clone();
        if asked.is_empty() {
            let names = Command::new(&lab).arg("list").output().unwrap();
            let names = String::from_utf8(names.stdout).unwrap();
            scenarios.extend(names.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned));
            scenarios.extend(["clean", "unexpected"].map(|name| format!("{name}@{}", rules.display())));
        }
        let ran = Command::new(&lab)
            .args(scenarios)
            .arg("--out")
            .arg(&folder)
            .args(watch_command().iter().flat_map(|command| ["--beside", command]))
            .output()
            .unwrap();
        let said = [ran.stdout, ran.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        eprintln!("{said}");
        Some(Played { folder, asked, well: ran.status.success(), said })
    });
    played.as_ref()
}

/// How the lab starts this build's `watch` on the span port; nothing where the build has none.
fn watch_command() -> Option<String> {
    if run(&["watch", "--help"]).code != Some(0) {
        eprintln!("skipped: this build has no `watch` to listen beside tcpdump");
        return None;
    }
    Some(format!(
        "{PROGRAM} watch --interface {{interface}} --immediate --user root --site {{out}}/site.toml \
         --output {{out}}/{{scenario}}.watch.json"
    ))
}

/// The truth of a scenario, as JSON.
fn truth_of(played: &Played, scenario: &str) -> String {
    let file = played.folder.join(format!("{scenario}.json"));
    assert!(file.is_file(), "{scenario} was not played to its end: {}", played.said);
    fs::read_to_string(file).unwrap()
}

/// Judges the capture of one listener.
fn judge(scenario: &str, capture: &str, view: View) {
    let Some(played) = played() else { return };
    if !played.has(scenario) {
        return;
    }
    let truth = Truth::read(&truth_of(played, scenario));
    let faults = truth.faults(&played.folder.join(capture), view);
    assert!(faults.is_empty(), "{} faults in {capture}:\n{}", faults.len(), faults.join("\n"));
}

/// Judges the capture of the span port.
fn check(scenario: &str, view: View) {
    judge(scenario, &format!("{scenario}.pcap"), view);
}

#[test]
fn every_scenario_goes_as_its_script_expects() {
    let Some(played) = played() else { return };
    assert!(played.well, "{}", played.said);
}

#[test]
fn clean() {
    check("clean", View::Both);
}

#[test]
fn silent_drops() {
    check("drop", View::Both);
}

#[test]
fn rejects() {
    check("reject", View::Both);
}

#[test]
fn dynamic_rpc_ports_dropped() {
    check("dynrpc", View::Both);
}

#[test]
fn unexpected_services() {
    check("unexpected", View::Both);
}

#[test]
fn winrm() {
    check("winrm", View::Both);
}

#[test]
fn ipv6() {
    check("ipv6", View::Both);
}

#[test]
fn only_packets_to_the_server() {
    check("c2s", View::ToServer);
}

#[test]
fn only_packets_to_the_client() {
    check("s2c", View::ToClient);
}

#[test]
fn every_packet_twice() {
    check("dup", View::Twice);
}

#[test]
fn segments_and_checksums_left_to_hardware() {
    check("offload", View::Both);
}

#[test]
fn established_flows_blocked_in_their_middle() {
    check("midblock", View::Both);
}

#[test]
fn a_controller_dies_in_mid_work() {
    check("dcdown", View::Both);
}

#[test]
fn rules_reloaded_in_mid_work() {
    check("reload", View::Both);
}

#[test]
fn the_span_port_comes_and_goes() {
    check("flap", View::Gaps);
}

#[test]
fn both_sides_of_the_firewall() {
    check("sides", View::Both);
    judge("sides", "sides.client-side.pcap", View::ClientSide);
    judge("sides", "sides.server-side.pcap", View::ServerSide);
}

#[test]
fn both_sides_of_a_firewall_that_translates() {
    check("nat", View::Both);
    judge("nat", "nat.client-side.pcap", View::ClientSide);
    judge("nat", "nat.server-side.pcap", View::ServerSide);
}

/// What `watch` reported of a live span port is what `analyze` reports of the capture that was made beside it.
#[test]
fn watch_finds_what_analyze_finds() {
    let Some(played) = played() else { return };
    if watch_command().is_none() {
        return;
    }
    let (mut faults, mut compared) = (Vec::new(), 0);
    for path in files_below(&played.folder) {
        let Some(scenario) = path.to_str().and_then(|path| path.strip_suffix(".watch.json")) else { continue };
        let watched: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let site = played.folder.join("site.toml");
        let analysed = report(&PathBuf::from(format!("{scenario}.pcap")), &["--site", site.to_str().unwrap()]);
        compared += 1;
        let (watched, analysed) = (findings(&watched), findings(&analysed));
        faults.extend(watched.difference(&analysed).map(|row| format!("{scenario}: only watch: {row}")));
        faults.extend(analysed.difference(&watched).map(|row| format!("{scenario}: only analyze: {row}")));
    }
    assert!(compared > 0, "watch wrote no report; {}", played.said);
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Findings without what depends on when somebody began to listen: frames, times, and the sentence that has them.
fn findings(report: &Value) -> BTreeSet<String> {
    let fields = ["finding", "client", "server", "transport", "port", "flows", "outcome", "reason", "confidence", "by"];
    let fields = fields.into_iter().chain(["standing", "standing_why"]);
    let row = |finding: &Value| fields.clone().map(|name| format!("{name} {}", finding[name])).collect::<Vec<_>>();
    list(report, "findings").iter().map(|finding| row(finding).join(", ")).collect()
}

/// Whatever ends the lab, nothing of it is left: no process, and so no namespace, wire or mount.
#[test]
fn an_interrupted_lab_leaves_nothing() {
    // The tests of this file take turns, so that two labs do not slow each other down.
    if !played().is_some_and(Played::is_all) {
        return;
    }
    for signal in ["INT", "TERM", "KILL"] {
        let out = tempfile::tempdir().unwrap();
        let run = root().join("tests/lab/run");
        let mut lab =
            Command::new(run).arg("winrm").arg("--out").arg(out.path()).stdout(Stdio::null()).spawn().unwrap();
        let mark = format!("PORTOLAN_LAB_INSIDE={}", lab.id());
        // A lab has nine hosts, and two processes around them.
        let begun = wait_until(|| marked(&mark) > 11);
        let sent = Command::new("kill").args(["-s", signal, &lab.id().to_string()]).status().unwrap();
        assert!(begun && sent.success(), "{signal}: no lab to interrupt");
        let mut ended = None;
        let took_notice = wait_until(|| {
            ended = lab.try_wait().unwrap();
            ended.is_some()
        });
        assert!(took_notice && !ended.unwrap().success(), "{signal}: the lab took no notice");
        assert!(wait_until(|| marked(&mark) == 0), "{signal}: {} processes are left", marked(&mark));
    }
}

/// Looks again and again for up to a minute.
fn wait_until(mut there: impl FnMut() -> bool) -> bool {
    (0..600).any(|_| {
        thread::sleep(Duration::from_millis(100));
        there()
    })
}

/// How many processes of the machine have this in their environment.
fn marked(mark: &str) -> usize {
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let environments = processes.filter_map(|process| fs::read(process.path().join("environ")).ok());
    environments.filter(|environment| environment.split(|byte| *byte == 0).any(|row| row == mark.as_bytes())).count()
}

#[test]
fn rules_from_outside_let_the_wanted_through_and_nothing_else() {
    let Some(played) = played().filter(|played| played.is_all()) else { return };
    for scenario in ["clean@wanted", "unexpected@wanted"] {
        let truth: Value = serde_json::from_str(&truth_of(played, scenario)).unwrap();
        let rows = list(&truth, "outside_rules");
        assert!(rows.iter().any(|row| row["wanted"] == (scenario == "clean@wanted")), "{scenario}: nothing to see");
        let bad: Vec<_> = rows.iter().filter(|row| row["good"] != true).collect();
        assert!(bad.is_empty(), "{scenario}: {bad:#?}");
        check(scenario, View::Both);
    }
}
