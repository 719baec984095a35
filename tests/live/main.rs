//! Watching real interfaces: links in network namespaces that the tests make and remove. Needs root and iproute2, and
//! skips with a notice elsewhere.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test may stop, and says why it skips")]

#[path = "../common/mod.rs"]
mod common;
mod net;
mod screen;
mod soak;
mod watching;

use std::collections::BTreeSet;
use std::fs;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use common::PROGRAM;
use common::Segment;
use common::frame_of;
use common::tcp;
use net::Net;
use net::SENDER;
use net::WATCHED;
use serde_json::Value;
use tempfile::TempDir;
use watching::Watching;

const CLIENT: [u8; 4] = [10, 0, 1, 20];
const CONTROLLER: [u8; 4] = [10, 0, 0, 10];
const LDAP: u16 = 389;
const KERBEROS: u16 = 88;

const SITE: &str = "[hosts]\ndomain-controller = [\"10.0.0.10\"]\nclient = [\"10.0.1.20\"]\n";

/// The process that sends the frames of the other tests; alone it does nothing.
#[test]
#[ignore = "started by the other tests"]
fn sender() {
    if std::env::var_os("PORTOLAN_TEST_FRAMES").is_some() {
        net::send_from_environment();
    }
}

/// A folder that anybody may write to: the program gives up the rights of root.
fn open_folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    folder
}

/// A segment from the client (`true`) or to it.
fn segment(at_ms: u64, from_client: bool, ports: (u16, u16), flags: u8, numbers: (u32, u32)) -> Segment<'static> {
    let (client, server) = ((CLIENT, ports.0), (CONTROLLER, ports.1));
    let (from, to) = if from_client { (client, server) } else { (server, client) };
    Segment { at_ms, from, to, flags, seq: numbers.0, ack: numbers.1, payload: &[] }
}

/// A whole connection.
fn connection(at_ms: u64, ports: (u16, u16)) -> Vec<Segment<'static>> {
    vec![
        segment(at_ms, true, ports, tcp::SYN, (100, 0)),
        segment(at_ms + 2, false, ports, tcp::SYN | tcp::ACK, (900, 101)),
        segment(at_ms + 4, true, ports, tcp::ACK, (101, 901)),
    ]
}

/// A try of Kerberos that nobody answers.
fn dropped_kerberos() -> Vec<Segment<'static>> {
    [0, 1000, 3000].map(|later| segment(later, true, (50001, KERBEROS), tcp::SYN, (500, 0))).into()
}

/// SYNs of a thousand flows, each to be sent at once.
fn flood() -> Vec<(u64, Vec<u8>)> {
    let syn = |port: u16| (0, frame_of(&segment(0, true, (port, LDAP), tcp::SYN, (u32::from(port), 0)), port));
    (20_000..21_000).map(syn).collect()
}

fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap()
}

/// Whether what arrived is what became of it, and nothing is both.
fn adds_up(frames: &Value) {
    let parts = ["parsed", "filtered", "waiting", "dropped_by_queue", "dropped_by_kernel", "dropped_by_interface"];
    let sum: u64 = parts.iter().map(|part| number(frames, part)).sum();
    assert_eq!(sum, number(frames, "arrived"), "{frames}");
}

#[test]
fn without_any_traffic_it_speaks_and_ends() {
    let Some(net) = Net::new() else { return };
    let watching = Watching::begin(&net, &[]);
    let known = watching.count();
    watching.wait_after(known, "a second status", |event| event["event"] == "status");
    let ended = watching.interrupt();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.events[0]["event"], "start");
    assert_eq!(ended.last()["event"], "end");
    assert_eq!(number(&ended.last()["frames"], "arrived"), 0);
}

#[test]
fn every_frame_is_accounted_for_with_a_buffer_that_is_too_small() {
    const TIMES: u32 = 200;
    let Some(net) = Net::new() else { return };
    let watching = Watching::begin(&net, &["-B", "64K"]);
    net.send(&flood(), TIMES);
    let ended = watching.interrupt();
    assert_eq!(net.arrived(), 200_000);
    ended.frames().for_each(adds_up);
    let last = &ended.last()["frames"];
    assert_eq!((number(last, "arrived"), number(last, "waiting")), (200_000, 0), "{last}");
    assert_eq!(number(last, "dropped_by_queue"), 0);
    let told: Vec<u64> = ended.frames().map(|frames| number(frames, "arrived")).collect();
    assert!(told.is_sorted(), "{told:?}");
    eprintln!("with 64 KiB: {last}");
}

#[test]
fn nothing_is_lost_with_the_default_buffer() {
    let Some(net) = Net::new() else { return };
    let folder = open_folder();
    let report = folder.path().join("report.json");
    let watching = Watching::begin(&net, &["-o", report.to_str().unwrap()]);
    net.send(&flood(), 200);
    let ended = watching.interrupt();
    let last = &ended.last()["frames"];
    assert_eq!((number(last, "parsed"), number(last, "arrived")), (200_000, 200_000), "{last}");
    let report: Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
    assert_eq!(report["run"]["inputs"][0]["format"], "live");
    assert_eq!(number(&report["health"], "frames"), 200_000);
    assert_eq!(number(&report["health"], "flows"), 1000);
}

#[test]
fn readers_that_share_an_interface_lose_nothing_and_count_nothing_twice() {
    let Some(net) = Net::new() else { return };
    let watching = Watching::begin(&net, &["--threads", "3"]);
    net.send(&flood(), 50);
    let ended = watching.interrupt();
    let last = ended.last();
    assert_eq!(number(&last["frames"], "parsed"), 50_000, "{last}");
    assert_eq!(number(last, "flows"), 1000);
    let received: Vec<u64> =
        last["interfaces"].as_array().unwrap().iter().map(|ring| number(ring, "received")).collect();
    assert!(received.len() == 3 && received.iter().all(|count| *count > 0), "{received:?}");
}

#[test]
fn two_watches_with_the_same_process_id_share_nothing() {
    let Some(net) = Net::new() else { return };
    // As in two containers that have the network in common, each is process 1 of its own.
    let begin = || {
        let mut command = net.command("unshare");
        command.args(["--pid", "--fork", "--kill-child", PROGRAM]);
        Watching::begin_as(command, &["--threads", "2", "-c", "3000"], Stdio::inherit())
    };
    let both = [begin(), begin()];
    net.send(&flood(), 3);
    for watching in both {
        let ended = watching.end();
        assert_eq!((ended.code, number(&ended.last()["frames"], "parsed")), (Some(0), 3000), "{:#?}", ended.events);
    }
}

#[test]
fn the_kernel_filters_and_what_it_filters_is_counted() {
    let Some(net) = Net::new() else { return };
    let watching = Watching::begin(&net, &["--", "tcp", "src", "port", "20007"]);
    net.send(&flood(), 10);
    let ended = watching.interrupt();
    let last = &ended.last()["frames"];
    assert_eq!((number(last, "parsed"), number(last, "filtered")), (10, 9_990), "{last}");
}

#[test]
fn it_stops_after_so_many_frames() {
    let Some(net) = Net::new() else { return };
    let watching = Watching::begin(&net, &["-c", "1234"]);
    net.send(&flood(), 10);
    let ended = watching.end();
    assert_eq!((ended.code, number(&ended.last()["frames"], "parsed")), (Some(0), 1234), "{}", ended.stderr);
}

#[test]
fn a_finding_is_told_once_and_closed_when_it_works() {
    let Some(net) = Net::new() else { return };
    let folder = open_folder();
    let site = folder.path().join("site.toml");
    fs::write(&site, SITE).unwrap();
    let site = site.to_str().unwrap();
    let recorded = folder.path().join("same.pcap");
    let mut recorder = net
        .command("tcpdump")
        .args(["-i", WATCHED, "--time-stamp-precision=nano", "-U", "-Z", "root", "-w", recorded.to_str().unwrap()])
        .stderr(Stdio::null())
        .spawn()
        .inspect_err(|_| eprintln!("skipped in part: there is no tcpdump to compare with"))
        .ok();
    thread::sleep(Duration::from_secs(1));
    let watching = Watching::begin(&net, &["--site", site, "-o", folder.path().join("live.json").to_str().unwrap()]);
    // The server speaks, so that its silence means something.
    net.play(&connection(0, (50000, LDAP)));
    net.play(&dropped_kerberos());
    let told = watching.wait_for("the finding", |event| event["event"] == "finding");
    assert_eq!((&told["change"], &told["state"]), (&"new".into(), &"open".into()), "{told}");
    assert_eq!((&told["finding"], &told["outcome"]), (&"blocked".into(), &"dropped".into()), "{told}");
    assert_eq!((&told["confidence"], &told["port"]), (&"confirmed".into(), &KERBEROS.into()), "{told}");
    // The client's next try says nothing new, neither while it may be answered nor after.
    net.play(&[segment(0, true, (50001, KERBEROS), tcp::SYN, (500, 0))]);
    watching.wait_for("a try under way", |event| event["flows_pending"] == 1);
    let known = watching.count();
    watching.wait_after(known, "its end", |event| event["flows_pending"] == 0);
    net.play(&connection(0, (50002, KERBEROS)));
    let closed = watching.wait_for("its end", |event| event["event"] == "finding" && event["change"] == "closed");
    assert_eq!((&closed["state"], &closed["id"]), (&"works".into(), &told["id"]), "{closed}");
    assert!(closed["until"].as_str() > closed["last"].as_str(), "{closed}");
    let ended = watching.interrupt();
    assert_eq!(ended.findings().count(), 2, "{:#?}", ended.events);
    let Some(recorder) = &mut recorder else { return };
    thread::sleep(Duration::from_secs(1));
    std::process::Command::new("kill").args(["-INT", &recorder.id().to_string()]).status().unwrap();
    recorder.wait().unwrap();
    let analyzed = common::run(&["analyze", "--site", site, "--format", "json", recorded.to_str().unwrap()]).json();
    let live: Value = serde_json::from_slice(&fs::read(folder.path().join("live.json")).unwrap()).unwrap();
    assert_eq!(live["findings"], analyzed["findings"]);
    assert_eq!(live["pairs"], analyzed["pairs"]);
    assert_eq!(live["hosts"], analyzed["hosts"]);
}

#[test]
fn packets_of_findings_are_written_with_what_they_show() {
    let Some(net) = Net::new() else { return };
    let folder = open_folder();
    let site = folder.path().join("site.toml");
    fs::write(&site, SITE).unwrap();
    let found = folder.path().join("found.pcapng");
    let (site, found) = (site.to_str().unwrap(), found.to_str().unwrap());
    let watching = Watching::begin(&net, &["--site", site, "-w", found]);
    net.play(&connection(0, (50000, LDAP)));
    net.play(&dropped_kerberos());
    watching.wait_for("the finding", |event| event["event"] == "finding");
    assert_eq!(watching.interrupt().code, Some(0));
    let analyzed = common::run(&["analyze", "--site", site, "--format", "json", found]).json();
    assert_eq!(number(&analyzed["health"], "frames"), 3, "the three tries and nothing else");
    assert_eq!(analyzed["pairs"][0]["services"][0]["service"], "kerberos");
    let bytes = fs::read(found).unwrap();
    let comment = b"frame 4, finding 1 blocked: 10.0.1.20 -> 10.0.0.10 kerberos dropped";
    assert!(bytes.windows(comment.len()).any(|window| window == comment));
}

#[test]
fn what_takes_the_place_of_a_report_holds_nothing_up() {
    let Some(net) = Net::new() else { return };
    let folder = open_folder();
    let report = folder.path().join("report.json");
    let watching = Watching::begin(&net, &["-o", report.to_str().unwrap()]);
    // Nobody will ever read from it.
    assert!(std::process::Command::new("mkfifo").arg(&report).status().unwrap().success());
    watching.signal("USR1");
    let told = watching.wait_for("the report", |event| event["event"] == "report");
    assert!(told["ok"] == false && told["message"].as_str().unwrap().contains("no file"), "{told}");
    let ended = watching.interrupt();
    assert!(ended.code == Some(4) && ended.last()["event"] == "end", "{}", ended.stderr);
}

#[test]
fn packets_that_were_found_survive_a_restart() {
    let Some(net) = Net::new() else { return };
    let folder = open_folder();
    let (site, found) = (folder.path().join("site.toml"), folder.path().join("found.pcapng"));
    fs::write(&site, SITE).unwrap();
    let options = ["--site", site.to_str().unwrap(), "-w", found.to_str().unwrap()];
    let watching = Watching::begin(&net, &options);
    net.play(&connection(0, (50000, LDAP)));
    net.play(&dropped_kerberos());
    watching.wait_for("the finding", |event| event["event"] == "finding");
    assert_eq!(watching.interrupt().code, Some(0));
    let evidence = fs::read(&found).unwrap();
    // The user that a watch becomes owns it, and root began it.
    assert_eq!(Watching::begin(&net, &options).interrupt().code, Some(0));
    assert_eq!(fs::read(folder.path().join("found.1.pcapng")).unwrap(), evidence);
    assert!(fs::read(&found).unwrap().len() < evidence.len());
}

#[test]
fn a_window_is_written_under_its_date() {
    let Some(net) = Net::new() else { return };
    let folder = open_folder();
    let report = folder.path().join("report.json");
    let options = ["-o", report.to_str().unwrap(), "--rotate", "3s", "--max-flows", "400"];
    let watching = Watching::begin(&net, &options);
    for _ in 0..2 {
        net.send(&flood(), 1);
        let known = watching.count();
        watching.wait_after(known, "the end of a window", |event| event["event"] == "rotate" && event["ok"] == true);
    }
    let ended = watching.interrupt();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let dated = |name: &str| name.starts_with("report-2") && name.ends_with("Z.json");
    let names: Vec<String> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(
        names.iter().filter(|name| dated(name)).count() > 1 && names.contains(&"report.json".to_owned()),
        "{names:?}"
    );
    // What was counted, and what was given up, is in one of them only; flows that are kept are in two.
    let (mut frames, mut bytes, mut given_up, mut listed) = (0, 0, 0, 0);
    for name in names {
        let text = fs::read(folder.path().join(name)).unwrap();
        let report = serde_json::from_slice::<Value>(&text).unwrap();
        assert_eq!(report["schema"], "portolan/report/1");
        frames += number(&report["health"], "frames");
        bytes += number(&report["run"]["inputs"][0], "bytes");
        given_up += number(&report["health"], "flows_evicted");
        let services = report["pairs"].as_array().unwrap().iter().flat_map(|pair| pair["services"].as_array().unwrap());
        listed = listed.max(services.map(|service| number(service, "flows")).sum());
    }
    assert_eq!(frames, number(&ended.last()["frames"], "parsed"));
    assert_eq!(bytes, 54 * frames);
    assert!(given_up > 600, "{given_up}");
    assert_eq!(given_up, number(ended.last(), "flows_evicted"));
    assert!(listed < 2000, "{listed} flows in one window, of 1,000 and a few hundred kept");
}

#[test]
fn a_window_whose_report_cannot_be_written_goes_on() {
    let Some(net) = Net::new() else { return };
    let folder = open_folder();
    let site = folder.path().join("site.toml");
    fs::write(&site, SITE).unwrap();
    let out = open_folder();
    let report = out.path().join("report.json");
    let (site, report) = (site.to_str().unwrap(), report.to_str().unwrap());
    let options = ["--site", site, "-o", report, "--rotate", "1s", "--keep", "1m"];
    let watching = Watching::begin(&net, &options);
    let told = |ok: bool| move |event: &Value| event["event"] == "rotate" && event["ok"] == ok;
    watching.wait_for("a window", told(true));
    let known = watching.count();
    fs::set_permissions(out.path(), Permissions::from_mode(0o555)).unwrap();
    watching.wait_after(known, "a window that cannot be written", told(false));
    net.play(&connection(0, (50000, LDAP)));
    net.play(&dropped_kerberos());
    watching.wait_for("the finding", |event| event["event"] == "finding");
    // Its flows leave the tables while nothing can be written.
    let gone = |event: &Value| event["flows_expired"].as_u64().is_some_and(|flows| flows > 0);
    watching.wait_after(known, "the flows' leave", gone);
    let known = watching.count();
    fs::set_permissions(out.path(), Permissions::from_mode(0o777)).unwrap();
    watching.wait_after(known, "the window", told(true));
    let ended = watching.interrupt();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("the report does not begin anew"), "{}", ended.stderr);
    let reports = fs::read_dir(out.path()).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap());
    let reports: Vec<Value> = reports.map(|text| serde_json::from_slice(&text).unwrap()).collect();
    let found = reports.iter().filter(|report| report["findings"].as_array().unwrap().len() == 1).count();
    assert!(found > 0, "{reports:#?}");
}

#[test]
fn nothing_is_called_blocked_while_it_may_still_be_answered() {
    let Some(net) = Net::new() else { return };
    let folder = open_folder();
    let site = folder.path().join("site.toml");
    fs::write(&site, SITE).unwrap();
    let watching = Watching::begin(&net, &["--site", site.to_str().unwrap()]);
    net.play(&connection(0, (50000, LDAP)));
    // Three SYNs are enough where a capture ends; here the answer comes after them.
    let mut late = dropped_kerberos();
    late.push(segment(4000, false, (50001, KERBEROS), tcp::SYN | tcp::ACK, (900, 501)));
    late.push(segment(4002, true, (50001, KERBEROS), tcp::ACK, (501, 901)));
    net.play(&late);
    let known = watching.count();
    watching.wait_after(known, "a status", |event| event["event"] == "status");
    let ended = watching.interrupt();
    assert_eq!(ended.findings().count(), 0, "{:#?}", ended.events);
    let pending = ended.events.iter().filter(|event| event["flows_pending"] == 1).count();
    assert!(pending > 0, "the try was never pending: {:#?}", ended.events);
}

#[test]
fn signals_write_the_report_and_a_kill_leaves_it_whole() {
    let Some(net) = Net::new() else { return };
    let folder = open_folder();
    let report = folder.path().join("report.json");
    let watching = Watching::begin(&net, &["-o", report.to_str().unwrap()]);
    net.send(&flood(), 1);
    watching.signal("USR1");
    let told = watching.wait_for("the report", |event| event["event"] == "report");
    assert_eq!(told["ok"], true, "{told}");
    net.send(&flood(), 20);
    watching.signal("KILL");
    let ended = watching.end();
    assert_eq!(ended.code, None);
    let report: Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
    assert_eq!(report["schema"], "portolan/report/1");
}

#[test]
fn a_kill_loses_nothing_that_was_told_before() {
    let Some(net) = Net::new() else { return };
    let folder = open_folder();
    let site = folder.path().join("site.toml");
    fs::write(&site, SITE).unwrap();
    let found = folder.path().join("found.pcapng");
    let (site, found) = (site.to_str().unwrap(), found.to_str().unwrap());
    let watching = Watching::begin(&net, &["--site", site, "-w", found]);
    net.play(&connection(0, (50000, LDAP)));
    net.play(&dropped_kerberos());
    watching.wait_for("the finding", |event| event["event"] == "finding");
    let known = watching.count();
    // Packets are written with the judgement that tells their finding; a status is of a later one.
    watching.wait_after(known, "the status after it", |event| event["event"] == "status");
    watching.signal("KILL");
    let ended = watching.end();
    // Every line of events was whole, or it could not have been read.
    assert_eq!((ended.code, ended.findings().count()), (None, 1), "{:#?}", ended.events);
    let analyzed = common::run(&["analyze", "--site", site, "--format", "json", found]);
    assert_eq!(analyzed.code, Some(0), "{}", analyzed.stderr);
    assert_eq!(number(&analyzed.json()["health"], "frames"), 3, "the three tries, and nothing is cut");
}

#[test]
fn neither_memory_nor_descriptors_grow() {
    let Some(net) = Net::new() else { return };
    let folder = open_folder();
    let report = folder.path().join("report.json");
    let watching = Watching::begin(&net, &["-o", report.to_str().unwrap(), "--metrics", "127.0.0.1:9479"]);
    let rounds = |rounds: u32| {
        for _ in 0..rounds {
            net.send(&flood(), 10);
            let known = watching.count();
            watching.signal("USR1");
            watching.wait_after(known, "the report", |event| event["event"] == "report");
        }
        watching.resident()
    };
    let before = rounds(5);
    let after = rounds(15);
    eprintln!("KiB and descriptors: {before:?}, then {after:?}");
    assert_eq!(after.1, before.1);
    assert!(after.0 <= before.0 + before.0 / 50, "{before:?} {after:?}");
    watching.interrupt();
}

#[test]
fn the_service_is_as_hardened_as_promised() {
    let unit = common::root().join("packaging/portolan-watch@.service");
    // A watch that ended by itself is begun again, unless it never can be.
    let text = fs::read_to_string(&unit).unwrap();
    assert!(["Restart=always", "RestartPreventExitStatus=2"].iter().all(|line| text.lines().any(|own| own == *line)));
    let words = ["security", "--offline=true", "--threshold=20", "--no-pager", unit.to_str().unwrap()];
    let Ok(said) = std::process::Command::new("systemd-analyze").args(words).output() else {
        eprintln!("skipped: there is no systemd-analyze");
        return;
    };
    let text = String::from_utf8_lossy(&said.stdout);
    // It compares in tenths: 20 is an exposure of 2.0.
    assert!(said.status.success() && text.contains("Overall exposure level"), "{text}");
    eprintln!("{}", text.lines().last().unwrap_or_default());
}

#[test]
fn a_full_disk_is_an_error() {
    let Some(net) = Net::new() else { return };
    let ended = net
        .command(PROGRAM)
        .args(["watch", "-i", WATCHED, "--duration", "2s", "--status-every", "1s"])
        .stdout(fs::OpenOptions::new().write(true).open("/dev/full").unwrap())
        .output()
        .unwrap();
    assert_eq!(ended.status.code(), Some(4));
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(said.contains("cannot write standard output") && said.contains("No space left"), "{said}");
    let small = folder_of_one_page();
    let Some(small) = small else { return };
    let report = small.path().join("flows.ndjson");
    let watching = Watching::begin(&net, &["-o", report.to_str().unwrap()]);
    net.send(&flood(), 1);
    let ended = watching.interrupt();
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    assert!(ended.stderr.contains("cannot write") && !report.exists(), "{}", ended.stderr);
}

/// A folder on a file system that is nearly full, or a notice that there can be none.
fn folder_of_one_page() -> Option<Mounted> {
    let folder = open_folder();
    let options = "size=4k,mode=0777";
    let words = ["-t", "tmpfs", "-o", options, "none", folder.path().to_str().unwrap()];
    let mounted = std::process::Command::new("mount").args(words).status();
    if mounted.is_ok_and(|status| status.success()) {
        return Some(Mounted(folder));
    }
    eprintln!("skipped in part: no tmpfs can be mounted");
    None
}

struct Mounted(TempDir);

impl Mounted {
    fn path(&self) -> &std::path::Path {
        self.0.path()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        std::process::Command::new("umount").arg(self.0.path()).status().ok();
    }
}

#[test]
fn it_keeps_no_rights() {
    let Some(net) = Net::new() else { return };
    let watching = Watching::begin(&net, &["--threads", "2", "--metrics", "127.0.0.1:9477"]);
    let nobody = std::process::Command::new("id").args(["-u", "nobody"]).output().unwrap().stdout;
    let nobody = String::from_utf8(nobody).unwrap();
    let tasks = fs::read_dir(format!("/proc/{}/task", watching.pid())).unwrap();
    let mut threads = 0;
    for task in tasks {
        let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(&format!("{name}:"))).unwrap();
            line.split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(field("Uid"), vec![nobody.trim(); 4]);
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(field(set), ["0000000000000000"], "{set}");
        }
        assert_eq!(field("NoNewPrivs"), ["1"]);
        threads += 1;
    }
    assert!(threads >= 4, "judge, two readers and the metrics were expected: {threads}");
    watching.interrupt();
}

#[test]
fn a_file_that_was_not_named_cannot_be_opened_not_even_by_root() {
    let Some(net) = Net::new() else { return };
    let folder = open_folder();
    let secret = open_folder();
    fs::write(secret.path().join("site.toml"), SITE).unwrap();
    let site = folder.path().join("site.toml");
    fs::write(&site, SITE).unwrap();
    let watching = Watching::begin(&net, &["-Z", "root", "--site", site.to_str().unwrap()]);
    watching.signal("HUP");
    let known = watching.count();
    let told = watching.wait_for("the reload", |event| event["event"] == "reload");
    assert_eq!(told["ok"], true, "{told}");
    fs::remove_file(&site).unwrap();
    std::os::unix::fs::symlink(secret.path().join("site.toml"), &site).unwrap();
    watching.signal("HUP");
    let told =
        watching.wait_after(known, "the second reload", |event| event["event"] == "reload" && event["ok"] == false);
    assert!(told["message"].as_str().unwrap().contains("Permission denied"), "{told}");
    assert_eq!(watching.interrupt().code, Some(0));
}

#[test]
fn what_cannot_be_read_again_is_said_at_the_start() {
    let Some(net) = Net::new() else { return };
    let folder = open_folder();
    let site = folder.path().join("site.toml");
    fs::write(&site, SITE).unwrap();
    fs::set_permissions(&site, Permissions::from_mode(0o600)).unwrap();
    let site = site.to_str().unwrap();
    let ended = Watching::begin(&net, &["--site", site]).interrupt();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("HUP") && ended.stderr.contains("-Z"), "{}", ended.stderr);
    assert!(ended.stderr.contains("site.toml") && ended.stderr.contains("Permission denied"), "{}", ended.stderr);
    // Its owner can, and so can whoever follows a link that was named.
    let ended = Watching::begin(&net, &["--site", site, "-Z", "root"]).interrupt();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    fs::set_permissions(site, Permissions::from_mode(0o644)).unwrap();
    let links = open_folder();
    let link = links.path().join("site.toml");
    std::os::unix::fs::symlink(site, &link).unwrap();
    let watching = Watching::begin(&net, &["--site", link.to_str().unwrap()]);
    watching.signal("HUP");
    let told = watching.wait_for("the reload", |event| event["event"] == "reload");
    assert_eq!(told["ok"], true, "{told}");
    assert_eq!(watching.interrupt().stderr, "");
}

#[test]
fn a_site_file_with_a_fault_changes_nothing() {
    let Some(net) = Net::new() else { return };
    let folder = open_folder();
    let site = folder.path().join("site.toml");
    fs::write(&site, SITE).unwrap();
    let watching = Watching::begin(&net, &["--site", site.to_str().unwrap()]);
    fs::write(&site, "[hosts]\ndomain-controler = [\"10.0.0.10\"]\n").unwrap();
    watching.signal("HUP");
    let told = watching.wait_for("the reload", |event| event["event"] == "reload");
    assert_eq!(told["ok"], false);
    assert!(told["message"].as_str().unwrap().contains("domain-controler"), "{told}");
    // Nobody will ever write to it.
    let known = watching.count();
    fs::remove_file(&site).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&site).status().unwrap().success());
    watching.signal("HUP");
    let told = watching.wait_after(known, "the second reload", |event| event["event"] == "reload");
    assert!(told["ok"] == false && told["message"].as_str().unwrap().contains("is no file"), "{told}");
    net.play(&connection(0, (50000, LDAP)));
    net.play(&dropped_kerberos());
    let told = watching.wait_for("the finding", |event| event["event"] == "finding");
    assert_eq!(told["finding"], "blocked", "{told}");
    let ended = watching.interrupt();
    assert!(ended.stderr.contains("the old rules stay"), "{}", ended.stderr);
}

#[test]
fn a_watch_that_nobody_listens_to_on_standard_error_goes_on() {
    let Some(net) = Net::new() else { return };
    let folder = open_folder();
    let site = folder.path().join("site.toml");
    fs::write(&site, SITE).unwrap();
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let options = ["--site", site.to_str().unwrap()];
    let watching = Watching::begin_as(net.command(PROGRAM), &options, full.into());
    fs::write(&site, "[hosts]\ndomain-controler = [\"10.0.0.10\"]\n").unwrap();
    watching.signal("HUP");
    watching.wait_for("the reload", |event| event["event"] == "reload" && event["ok"] == false);
    net.send(&flood(), 1);
    let ended = watching.interrupt();
    assert_eq!((ended.code, number(&ended.last()["frames"], "parsed")), (Some(0), 1000));
}

#[test]
fn what_was_found_before_the_rules_were_replaced_counts() {
    let Some(net) = Net::new() else { return };
    let folder = open_folder();
    let site = folder.path().join("site.toml");
    fs::write(&site, SITE).unwrap();
    let report = folder.path().join("report.json");
    let options = ["--site", site.to_str().unwrap(), "-o", report.to_str().unwrap(), "--fail-on", "blocked"];
    let watching = Watching::begin(&net, &options);
    net.play(&connection(0, (50000, LDAP)));
    net.play(&dropped_kerberos());
    watching.wait_for("the finding", |event| event["event"] == "finding");
    // By these nobody has a role, so that nothing is expected.
    fs::write(&site, "[judge]\ninfer = false\n").unwrap();
    watching.signal("HUP");
    watching.wait_for("the reload", |event| event["event"] == "reload" && event["ok"] == true);
    watching.wait_for("its end", |event| event["change"] == "closed");
    let ended = watching.interrupt();
    let report: Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
    assert!(report["findings"].as_array().unwrap().iter().all(|finding| finding["finding"] != "blocked"), "{report}");
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
}

#[test]
fn an_interface_may_go_down_and_come_up() {
    let Some(net) = Net::new() else { return };
    let watching = Watching::begin(&net, &[]);
    net.send(&flood(), 1);
    net.exec(&["ip", "link", "set", WATCHED, "down"]);
    watching.wait_for("the word that it is down", |event| event["event"] == "link" && event["state"] == "down");
    net.exec(&["ip", "link", "set", WATCHED, "up"]);
    watching.wait_for("the word that it is up", |event| event["event"] == "link" && event["state"] == "up");
    net.send(&flood(), 1);
    let ended = watching.interrupt();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(number(&ended.last()["frames"], "parsed"), 2000);
}

/// Replaces the interface again and again while somebody sends; what the watch said at its end.
fn replaced_three_times(options: &[&str]) -> Option<Value> {
    let net = Net::new()?;
    let watching = Watching::begin(&net, options);
    for round in 1..=3 {
        let known = watching.count();
        // Where it is shared, it is there again when the first reader has it.
        let first = |name: &Value| name == WATCHED || name == &format!("{WATCHED}#0");
        let links = |state: &'static str| {
            move |event: &Value| event["event"] == "link" && event["state"] == state && first(&event["interface"])
        };
        net.send(&flood(), 1);
        // What waits in the ring when its interface goes is read all the same.
        net.exec(&["ip", "link", "del", WATCHED]);
        watching.wait_after(known, "the word that it is gone", links("gone"));
        net.plug();
        watching.wait_after(known, "the word that it is up", links("up"));
        if round == 2 {
            net.exec(&["ip", "link", "set", WATCHED, "down"]);
            watching.wait_after(known, "the word that it is down", links("down"));
            let known = watching.count();
            net.exec(&["ip", "link", "set", WATCHED, "up"]);
            watching.wait_after(known, "the word that it is up again", links("up"));
        }
    }
    net.send(&flood(), 1);
    let ended = watching.interrupt();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended.frames().for_each(adds_up);
    let last = ended.last().clone();
    assert_eq!((number(&last["frames"], "parsed"), number(&last["frames"], "arrived")), (4000, 4000), "{last}");
    assert_eq!(number(&last, "flows"), 1000, "{last}");
    Some(last)
}

#[test]
fn an_interface_that_was_replaced_is_waited_for_and_taken_again_without_rights() {
    let Some(last) = replaced_three_times(&[]) else { return };
    let ring = &last["interfaces"][0];
    assert_eq!((&ring["state"], &ring["fault"]), (&"up".into(), &Value::Null), "{last}");
}

#[test]
fn an_interface_that_is_shared_and_was_replaced_is_taken_again_too() {
    let Some(last) = replaced_three_times(&["--threads", "3"]) else { return };
    let rings = last["interfaces"].as_array().unwrap();
    let received: Vec<u64> = rings.iter().map(|ring| number(ring, "received")).collect();
    // The first thousand was shared; the first reader has everything after it.
    assert!(received[0] > 3000 && received[1] > 0 && received[2] > 0, "{received:?}");
    assert_eq!(received.iter().sum::<u64>(), 4000);
    assert!(rings.iter().all(|ring| ring["state"] == "up"), "{last}");
    assert_eq!(rings[0]["fault"], Value::Null);
    assert!(rings[1]["fault"].as_str().unwrap().contains("first reader"), "{last}");
}

/// Renames the watched interface, and lets another take its name; what the watch said at its end.
fn renamed(options: &[&str]) -> Option<Value> {
    let net = Net::new()?;
    let watching = Watching::begin(&net, options);
    net.send(&flood(), 1);
    // Both in one go, so that nobody sees the name missing.
    let (old, peer) = ("old0", "old1");
    for (from, to) in [(WATCHED, old), (SENDER, peer)] {
        net.exec(&["ip", "link", "set", from, "down"]);
        net.exec(&["ip", "link", "set", from, "name", to]);
    }
    let known = watching.count();
    net.plug();
    for end in [old, peer] {
        net.exec(&["ip", "link", "set", end, "up"]);
    }
    let first = |name: &Value| name == WATCHED || name == &format!("{WATCHED}#0");
    let up = |event: &Value| event["event"] == "link" && event["state"] == "up" && first(&event["interface"]);
    watching.wait_after(known, "the word that it is up", up);
    net.send(&flood(), 2);
    // Those of the one that has another name now are not wanted.
    net.send_into(peer, &flood(), 5);
    let ended = watching.interrupt();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended.frames().for_each(adds_up);
    let last = ended.last().clone();
    assert_eq!(number(&last["frames"], "parsed"), 3000, "{last}");
    Some(last)
}

#[test]
fn an_interface_whose_name_another_one_took_is_watched_no_more() {
    renamed(&[]);
    renamed(&["--threads", "2"]);
}

#[test]
fn an_interface_that_came_back_as_another_kind_ends_the_watch_with_a_report() {
    let Some(net) = Net::new() else { return };
    let folder = open_folder();
    let report = folder.path().join("report.json");
    let watching = Watching::begin(&net, &["-o", report.to_str().unwrap()]);
    net.send(&flood(), 1);
    net.exec(&["ip", "link", "del", WATCHED]);
    watching.wait_for("the word that it is gone", |event| event["event"] == "link" && event["state"] == "gone");
    // Its frames begin with IP: the socket that is open cannot read them, and none may be opened any more.
    if !net.plug_another_kind() {
        return;
    }
    let ended = watching.end();
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    assert!(ended.stderr.contains("is there again and cannot be opened"), "{}", ended.stderr);
    let report: Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
    assert_eq!(number(&report["health"], "frames"), 1000);
}

#[test]
fn metrics_are_named_as_promised_and_hold_nothing_from_the_wire() {
    let Some(net) = Net::new() else { return };
    let watching = Watching::begin(&net, &["--metrics", "9478"]);
    net.play(&connection(0, (50000, LDAP)));
    let known = watching.count();
    watching.wait_after(known, "a status with the flow", |event| event["event"] == "status" && event["flows"] == 1);
    let page = ask(&net, "/metrics");
    let names: BTreeSet<&str> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_whitespace().next()).collect();
    for name in [
        "portolan_build_info",
        "portolan_capture_loss_ratio",
        "portolan_flows_active",
        "portolan_flows_evicted_total",
        "portolan_flows_total",
        "portolan_judged_until_seconds",
        "portolan_packets_dropped_total",
        "portolan_packets_received_total",
        "portolan_rtt_seconds",
    ] {
        assert!(names.contains(name), "{name} in {page}");
    }
    assert!(page.contains("portolan_packets_received_total{interface=\"rx0\"} 3\n"), "{page}");
    assert!(page.contains("portolan_rtt_seconds_count{service=\"ldap\"} 1\n"), "{page}");
    let until = page.lines().find_map(|line| line.strip_prefix("portolan_judged_until_seconds ")).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap().as_secs();
    // The test may be slow, but not for an hour.
    assert!((now - 3600..=now).contains(&until.parse().unwrap()), "{until} at {now}");
    assert!(!page.contains("10.0."), "{page}");
    assert!(ask(&net, "/else").contains("/metrics"));
    watching.interrupt();
}

#[test]
fn whoever_asks_for_metrics_byte_by_byte_keeps_nobody_waiting() {
    let Some(net) = Net::new() else { return };
    let watching = Watching::begin(&net, &["--metrics", "9478"]);
    let script = "exec 3<>/dev/tcp/127.0.0.1/9478; while printf G >&3; do sleep 0.5; done";
    let mut slow = net.command("bash").args(["-c", script]).stderr(Stdio::null()).spawn().unwrap();
    thread::sleep(Duration::from_secs(1));
    // Of the bytes that a question may have, the other sends so few that it would hold the page for half an hour.
    assert!(ask(&net, "/metrics").contains("portolan_build_info"));
    slow.kill().unwrap();
    slow.wait().unwrap();
    watching.interrupt();
}

/// Asks the page inside the namespace, by a shell's own hands: there may be no other tool.
fn ask(net: &Net, path: &str) -> String {
    let script = format!("exec 3<>/dev/tcp/127.0.0.1/9478; printf 'GET {path} HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3");
    net.exec(&["timeout", "60", "bash", "-c", &script])
}

#[test]
fn what_cannot_be_watched_is_said_before_anything_begins() {
    let Some(net) = Net::new() else { return };
    let run = |words: &[&str]| {
        let output = net.command(PROGRAM).arg("watch").args(words).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = run(&["-i", "nowhere0"]);
    assert!(code == Some(4) && said.contains("nowhere0") && said.contains("watch -D"), "{said}");
    // A device of libpcap that has no frames, and takes packets from others.
    let (code, said) = run(&["-i", "nfqueue"]);
    assert!(code == Some(4) && said.contains("no such interface"), "{said}");
    let (code, said) = run(&["-i", WATCHED, "-i", WATCHED]);
    assert!(code == Some(2) && said.contains("named twice"), "{said}");
    let (code, said) = run(&["-i", WATCHED, "-i", "any"]);
    assert!(code == Some(2) && said.contains("every interface"), "{said}");
    let (code, said) = run(&["-i", WATCHED, "-w", "found.pcapng", "-o", "second.pcapng"]);
    assert!(code == Some(2) && said.contains("second.pcapng"), "{said}");
    let (code, said) = run(&["-i", WATCHED, "-o", "found.pcapng", "--rotate", "24h"]);
    assert!(code == Some(2) && said.contains("--rotate writes reports"), "{said}");
    let (code, said) = run(&["-i", WATCHED, "--", "tcp", "prot", "1"]);
    assert!(code == Some(2) && said.contains("syntax error"), "{said}");
    let (code, said) = run(&["-i", WATCHED, "-Z", "no-such-user"]);
    assert!(code == Some(2) && said.contains("no-such-user"), "{said}");
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.json");
    let (code, said) = run(&["-i", WATCHED, "-o", report.to_str().unwrap()]);
    assert!(code == Some(4) && said.contains("as the user nobody"), "{said}");
    // Anybody may write to it, and nobody replace what is another's.
    fs::set_permissions(folder.path(), Permissions::from_mode(0o1777)).unwrap();
    fs::write(&report, "of root").unwrap();
    let own = ["-i", WATCHED, "--duration", "1s", "-o", report.to_str().unwrap()];
    let (code, said) = run(&own);
    assert!(code == Some(4) && said.contains("only its owner") && said.contains("-Z"), "{said}");
    assert_eq!(fs::read(&report).unwrap(), b"of root");
    let (code, said) = run(&[own.as_slice(), &["-Z", "root"]].concat());
    assert!(code == Some(0) && fs::read(&report).unwrap() != b"of root", "{said}");
    let (code, said) = run(&[]);
    assert!(code == Some(2) && said.contains("--interface"), "{said}");
}

#[test]
fn without_the_right_to_open_an_interface_it_says_what_to_do() {
    let Some(net) = Net::new() else { return };
    let words = ["--bounding-set=-all", "--inh-caps=-all", PROGRAM, "watch", "-i", WATCHED];
    let Ok(output) = net.command("setpriv").args(words).output() else { return };
    let said = String::from_utf8(output.stderr).unwrap();
    if said.contains("setpriv") {
        eprintln!("skipped: {said}");
        return;
    }
    assert!(output.status.code() == Some(4) && said.contains("Operation not permitted"), "{said}");
    assert!(said.contains("setcap cap_net_raw+ep"), "{said}");
}

#[test]
fn an_interface_is_known_by_its_number_in_the_list() {
    let Some(net) = Net::new() else { return };
    let list = net.exec(&[PROGRAM, "watch", "-D"]);
    assert!(!list.contains("nfqueue"), "{list}");
    let number = list.lines().find_map(|line| line.split_once(&format!(". {WATCHED} "))).unwrap().0;
    let watched = net.exec(&[PROGRAM, "watch", "-i", number, "--duration", "1s", "--format", "ndjson"]);
    let start: Value = serde_json::from_str(watched.lines().next().unwrap()).unwrap();
    assert_eq!(start["interfaces"], serde_json::json!([WATCHED]));
}

#[test]
fn a_disk_that_fills_leaves_whole_packets() {
    let Some(net) = Net::new() else { return };
    let Some(small) = folder_of_one_page() else { return };
    let folder = open_folder();
    let site = folder.path().join("site.toml");
    fs::write(&site, SITE).unwrap();
    // The extension says that packets are meant.
    let found = small.path().join("found.pcapng");
    let (site, found) = (site.to_str().unwrap(), found.to_str().unwrap());
    let watching = Watching::begin(&net, &["--site", site, "-o", found]);
    net.play(&connection(0, (50000, LDAP)));
    let tries = (0..40).map(|number| segment(number * 100, true, (50001, KERBEROS), tcp::SYN, (500, 0)));
    net.play(&tries.collect::<Vec<_>>());
    let ended = watching.end();
    assert!(ended.code == Some(4) && ended.stderr.contains("No space left"), "{}", ended.stderr);
    let analyzed = common::run(&["analyze", "--site", site, "--format", "json", found]);
    assert_eq!(analyzed.code, Some(0), "{}", analyzed.stderr);
}
