//! The command line as a user and a script meet it: exit codes, streams, files, faults.

#![expect(clippy::unwrap_used, reason = "a test may stop here")]

mod common;

use common::PROGRAM;
use common::Segment;
use common::capture_of;
use common::command;
use common::finish;
use common::list;
use common::number;
use common::run;
use common::tcp;
use common::word;
use std::ffi::OsStr;
use std::fs;
use std::fs::File;
use std::io::Read;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;
use tempfile::TempDir;

const CLIENT: [u8; 4] = [10, 0, 1, 20];
const CONTROLLER: [u8; 4] = [10, 0, 0, 10];
const LDAP: u16 = 389;
const KERBEROS: u16 = 88;

const SITE: &str = "[hosts]\ndomain-controller = [\"10.0.0.10\"]\nclient = [\"10.0.1.20\"]\n";

/// A segment from the client (`true`) or to it.
fn segment(at_ms: u64, from_client: bool, ports: (u16, u16), flags: u8, numbers: (u32, u32)) -> Segment<'static> {
    let (client, server) = ((CLIENT, ports.0), (CONTROLLER, ports.1));
    let (from, to) = if from_client { (client, server) } else { (server, client) };
    Segment { at_ms, from, to, flags, seq: numbers.0, ack: numbers.1, payload: &[] }
}

/// A whole connection to LDAP, beginning at a time.
fn open_ldap(at_ms: u64, client_port: u16) -> Vec<Segment<'static>> {
    let ports = (client_port, LDAP);
    vec![
        segment(at_ms, true, ports, tcp::SYN, (100, 0)),
        segment(at_ms + 1, false, ports, tcp::SYN | tcp::ACK, (900, 101)),
        segment(at_ms + 2, true, ports, tcp::ACK, (101, 901)),
        Segment {
            payload: b"0\x05\x02\x01\x01B\x00",
            ..segment(at_ms + 3, true, ports, tcp::PSH | tcp::ACK, (101, 901))
        },
        segment(at_ms + 4, false, ports, tcp::ACK, (901, 108)),
    ]
}

/// Repeated requests for a connection to Kerberos that nobody answers.
fn dropped_kerberos(at_ms: u64) -> Vec<Segment<'static>> {
    [0, 1000, 3000, 7000].map(|later| segment(at_ms + later, true, (50001, KERBEROS), tcp::SYN, (500, 0))).into()
}

/// LDAP works, Kerberos is dropped, and LDAP works again long after.
fn mixed() -> Vec<u8> {
    let mut segments = open_ldap(0, 50000);
    segments.extend(dropped_kerberos(100));
    segments.extend(open_ldap(60_000, 50002));
    capture_of(&segments)
}

/// A folder with `mixed.pcap` and `site.toml`.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        desk.put("mixed.pcap", mixed());
        desk.put("site.toml", SITE);
        desk
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs the program inside this folder.
    fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> common::Run {
        finish(command().current_dir(self.0.path()).args(args))
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// Server ports and outcomes of the flow records on standard output.
fn records(ran: &common::Run) -> Vec<(u64, String)> {
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let lines = ran.text();
    let values = lines.lines().map(|line| serde_json::from_str(line).unwrap());
    values.map(|value| (number(&value, "id.resp_p"), word(&value, "outcome"))).collect()
}

/// One clear line: no panic, no backtrace, something a person can act on.
fn one_line(text: &str) -> bool {
    text.trim_end().lines().count() == 1 && !text.contains("panicked") && text.len() > 10
}

#[test]
fn success_is_0_and_says_nothing_on_standard_error() {
    let ran = Desk::new().run(&["analyze", "mixed.pcap"]);
    assert_eq!(ran.code, Some(0));
    assert_eq!(ran.stderr, "");
    assert!(ran.text().contains("10.0.0.10") && ran.text().contains("10.0.1.20"), "{}", ran.text());
}

#[test]
fn a_finding_asked_for_is_1_and_the_report_is_whole() {
    let desk = Desk::new();
    for kind in ["blocked", "any", "unexpected,blocked"] {
        let ran = desk.run(&["analyze", "mixed.pcap", "--site", "site.toml", "--format", "json", "--fail-on", kind]);
        assert_eq!(ran.code, Some(1), "--fail-on {kind}: {}", ran.stderr);
        let report = ran.json();
        assert_eq!(word(&report, "schema"), "portolan/report/1");
        let blocked: Vec<_> = list(&report, "findings").iter().filter(|f| f["finding"] == "blocked").collect();
        assert_eq!(blocked.len(), 1, "{report}");
        assert_eq!((blocked[0]["port"].as_u64(), &*word(blocked[0], "outcome")), (Some(88), "dropped"));
        assert_eq!(blocked[0]["frames"][0], 6, "the first SYN is frame 6");
    }
}

#[test]
fn a_finding_not_asked_for_is_0() {
    let desk = Desk::new();
    let ran = desk.run(&["analyze", "mixed.pcap", "--site", "site.toml", "--fail-on", "unexpected"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(desk.run(&["analyze", "mixed.pcap", "--site", "site.toml"]).code, Some(0));
}

#[test]
fn a_bad_argument_is_2() {
    let desk = Desk::new();
    for args in [
        &["analyze"][..],
        &["analyze", "--no-such-option", "mixed.pcap"],
        &["analyze", "mixed.pcap", "--format", "docx"],
        &["analyze", "mixed.pcap", "--fail-on", "sometimes"],
        &["analyze", "mixed.pcap", "--threads", "none"],
        &["analyze", "mixed.pcap", "--profile", "no-such-profile"],
        &["analyze", "mixed.pcap", "-o", "report.docx"],
        &["bench", "--frames", "0"],
        &["bench", "--flows", "0"],
        &["conquer"],
    ] {
        let ran = desk.run(args);
        assert_eq!(ran.code, Some(2), "{args:?}: {}", ran.stderr);
        assert!(ran.stdout.is_empty() && !ran.stderr.is_empty(), "{args:?}");
        assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    }
    assert_eq!(desk.names(), ["mixed.pcap", "site.toml"]);
}

#[test]
#[cfg(all(target_os = "linux", feature = "live"))]
fn who_takes_the_wrong_word_for_an_interface_is_told_the_right_one() {
    for (args, hint) in [
        (&["analyze", "-i", "eth0"][..], "portolan watch -i"),
        (&["analyze", "--interface=eth0"], "portolan watch -i"),
        (&["watch", "lo"], "after -i"),
        (&["watch", "-i", "lo", "udp", "port", "53"], "-- udp port 53"),
    ] {
        let ran = run(args);
        assert!(ran.code == Some(2) && ran.stderr.contains(hint), "{args:?}: {}", ran.stderr);
    }
    let ran = run(&["watch", "--no-such-option"]);
    assert!(ran.code == Some(2) && !ran.stderr.contains("after -i"), "{}", ran.stderr);
}

#[test]
fn a_bad_filter_is_2_and_named() {
    let ran = Desk::new().run(&["analyze", "mixed.pcap", "-f", "tcp prot 88"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("tcp prot 88"), "{}", ran.stderr);
    assert!(ran.stdout.is_empty());
}

#[test]
fn every_fault_of_a_site_file_is_shown_with_its_place() {
    let desk = Desk::new();
    desk.put("bad.toml", "[hosts]\ndomain-controler = [\"10.0.0.10\"]\nclient = [\"10.0.1.999\"]\n");
    let ran = desk.run(&["analyze", "mixed.pcap", "--site", "bad.toml"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("bad.toml:2:"), "{}", ran.stderr);
    assert!(ran.stderr.contains("bad.toml:3:"), "{}", ran.stderr);
    assert!(ran.stderr.contains('^'), "{}", ran.stderr);
    assert!(ran.stderr.contains("domain-controller"), "says what to write instead: {}", ran.stderr);
    assert!(ran.stdout.is_empty());
}

#[test]
fn a_site_file_that_is_no_toml_is_2_with_its_place() {
    let desk = Desk::new();
    desk.put("bad.toml", "[hosts]\nclient = [\n");
    let ran = desk.run(&["analyze", "mixed.pcap", "--site", "bad.toml"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("bad.toml:"), "{}", ran.stderr);
}

#[test]
fn a_damaged_capture_is_3_with_the_report_up_to_the_damage() {
    let desk = Desk::new();
    let whole = mixed();
    desk.put("cut.pcap", &whole[..whole.len() - 7]);
    let ran = desk.run(&["analyze", "cut.pcap", "--format", "json"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    let report = ran.json();
    let input = &list(&report["run"], "inputs")[0];
    assert_eq!(number(input, "frames"), 13, "every whole frame counts");
    assert_eq!(number(&input["error"], "frame"), 14);
    assert!(number(&input["error"], "offset") > 24 && !word(&input["error"], "message").is_empty());
    assert!(ran.stderr.contains("cut.pcap"), "{}", ran.stderr);
}

#[test]
fn what_cannot_be_opened_is_4() {
    let ran = Desk::new().run(&["analyze", "absent.pcap"]);
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
    assert!(ran.stderr.contains("absent.pcap") && one_line(&ran.stderr), "{}", ran.stderr);
    assert!(ran.stdout.is_empty());
}

#[test]
fn what_is_no_capture_is_damaged_from_its_first_byte() {
    let desk = Desk::new();
    desk.put("noise.pcap", b"this is no capture at all, only some words");
    let ran = desk.run(&["analyze", "noise.pcap", "--format", "json"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains("noise.pcap") && one_line(&ran.stderr), "{}", ran.stderr);
    let report = ran.json();
    assert_eq!(number(&list(&report["run"], "inputs")[0]["error"], "offset"), 0);
    assert_eq!(number(&report["health"], "frames"), 0);
}

#[test]
fn a_missing_file_among_good_ones_is_not_forgotten() {
    let ran = Desk::new().run(&["analyze", "mixed.pcap", "absent.pcap"]);
    assert_eq!(ran.code, Some(4));
    assert!(ran.stderr.contains("absent.pcap"), "{}", ran.stderr);
}

#[test]
fn a_full_disk_is_4_with_one_clear_line() {
    let desk = Desk::new();
    for format in ["text", "json", "ndjson", "csv", "md"] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let ran = finish(
            command().current_dir(desk.0.path()).args(["analyze", "mixed.pcap", "--format", format]).stdout(full),
        );
        assert_eq!(ran.code, Some(4), "{format}: {}", ran.stderr);
        assert!(one_line(&ran.stderr), "{format}: {}", ran.stderr);
    }
}

#[test]
fn nobody_need_listen_on_standard_error() {
    let desk = Desk::new();
    let commands: [(&[&str], i32); 8] = [
        (&[], 2),
        (&["analyze", "mixed.pcap", "-v"], 0),
        (&["analyze", "--no-such-option"], 2),
        (&["analyze", "absent.pcap"], 4),
        (&["analyze", "--filter", "tcp prot", "mixed.pcap"], 2),
        (&["analyze", "damaged.pcap"], 3),
        (&["bench", "absent.pcap"], 4),
        (&["rules", "check", "--site", "absent.toml"], 4),
    ];
    let whole = mixed();
    desk.put("damaged.pcap", &whole[..whole.len() - 5]);
    for (words, code) in commands {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let gone = std::io::pipe().unwrap().1;
        for stderr in [Stdio::from(full), Stdio::from(gone)] {
            let ran = finish(command().current_dir(desk.0.path()).args(words).stderr(stderr));
            assert_eq!(ran.code, Some(code), "{words:?}");
        }
    }
}

#[test]
fn a_broken_pipe_ends_quietly() {
    let desk = Desk::new();
    let many: Vec<_> = (0..3000).flat_map(|index| open_ldap(u64::from(index) * 10, 10_000 + index)).collect();
    desk.put("many.pcap", capture_of(&many));
    let mut child = command()
        .current_dir(desk.0.path())
        .args(["analyze", "many.pcap", "--format", "ndjson"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 64];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0), "{:?}", output.status);
}

#[test]
fn files_are_written_whole_or_not_at_all() {
    let desk = Desk::new();
    let ran = desk.run(&["analyze", "mixed.pcap", "-o", "a.json", "-o", "b.csv", "-o", "c.md", "-o", "d.ndjson", "-q"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(desk.names(), ["a.json", "b.csv", "c.md", "d.ndjson", "mixed.pcap", "site.toml"]);
    let printed = desk.run(&["analyze", "mixed.pcap", "--format", "json"]).stdout;
    assert_eq!(fs::read(desk.path("a.json")).unwrap(), printed, "a file holds what the same format prints");
    // A limit on the size of files stands for a disk that fills up in the middle.
    fs::write(desk.path("a.json"), "old").unwrap();
    let limited = "trap '' XFSZ; ulimit -f 1; exec \"$0\" \"$@\"";
    let many: Vec<_> = (0..300).flat_map(|index| open_ldap(u64::from(index) * 10, 10_000 + index)).collect();
    desk.put("many.pcap", capture_of(&many));
    let mut shell = Command::new("sh");
    shell.current_dir(desk.0.path()).args([
        "-c",
        limited,
        PROGRAM,
        "analyze",
        "many.pcap",
        "-o",
        "a.ndjson",
        "-o",
        "a.json",
    ]);
    let ran = finish(&mut shell);
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
    assert_eq!(fs::read(desk.path("a.json")).unwrap(), b"old");
    assert_eq!(desk.names(), ["a.json", "b.csv", "c.md", "d.ndjson", "many.pcap", "mixed.pcap", "site.toml"]);
}

#[test]
fn a_file_that_cannot_be_written_is_4_and_leaves_nothing() {
    let desk = Desk::new();
    let ran = desk.run(&["analyze", "mixed.pcap", "-o", "no/such/folder/a.json"]);
    assert_eq!(ran.code, Some(4));
    assert!(ran.stderr.contains("no/such/folder/a.json") || ran.stderr.contains("no/such/folder"), "{}", ran.stderr);
    assert_eq!(desk.names(), ["mixed.pcap", "site.toml"]);
}

/// A device that is always full, and one more file that works.
#[cfg(target_os = "linux")]
#[test]
fn an_output_that_fails_keeps_nobody_from_the_others() {
    let desk = Desk::new();
    std::os::unix::fs::symlink("/dev/full", desk.path("full.json")).unwrap();
    let alone = desk.run(&["analyze", "mixed.pcap"]);
    let ran = desk.run(&["analyze", "mixed.pcap", "-o", "a.csv", "-o", "full.json", "-o", "b.csv"]);
    assert_eq!((ran.code, ran.stdout), (Some(4), alone.stdout));
    assert!(ran.stderr.contains("full.json"), "{}", ran.stderr);
    assert_eq!(fs::read(desk.path("a.csv")).unwrap(), fs::read(desk.path("b.csv")).unwrap());
}

/// Who may read a report is for its owner to say, and a link to the latest one stays a link.
#[cfg(unix)]
#[test]
fn a_file_that_is_replaced_keeps_its_permissions_and_the_links_to_it() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    desk.put("mine.json", "old");
    fs::set_permissions(desk.path("mine.json"), fs::Permissions::from_mode(0o600)).unwrap();
    std::os::unix::fs::symlink("mine.json", desk.path("latest.json")).unwrap();
    let ran = desk.run(&["analyze", "mixed.pcap", "-q", "-o", "latest.json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(desk.path("latest.json").is_symlink() && fs::read(desk.path("mine.json")).unwrap().len() > 1000);
    assert_eq!(fs::metadata(desk.path("mine.json")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn what_is_read_is_never_written_over() {
    let desk = Desk::new();
    let report = desk.run(&["analyze", "mixed.pcap", "-o", "before.json", "-o", "after.json"]);
    assert_eq!(report.code, Some(0), "{}", report.stderr);
    desk.put("capture.json", mixed());
    fs::create_dir(desk.path("folder")).unwrap();
    desk.put("folder/a.pcapng", mixed());
    let all = || -> Vec<Vec<u8>> {
        let names = ["mixed.pcap", "site.toml", "before.json", "after.json", "capture.json", "folder/a.pcapng"];
        names.map(|name| fs::read(desk.path(name)).unwrap()).into()
    };
    let before = all();
    for args in [
        &["analyze", "mixed.pcap", "-w", "mixed.pcap"][..],
        &["analyze", "mixed.pcap", "-w", "folder/../mixed.pcap"],
        &["analyze", "capture.json", "-o", "capture.json"],
        &["analyze", "folder", "-o", "folder/a.pcapng"],
        &["analyze", "mixed.pcap", "-s", "before.json", "-o", "before.json"],
        &["analyze", "mixed.pcap", "-o", "twice.json", "-o", "./twice.json"],
        &["analyze", "mixed.pcap", "-o", "-"],
        &["analyze", "mixed.pcap", "-w", "-"],
        &["diff", "before.json", "after.json", "-o", "before.json"],
    ] {
        let ran = desk.run(args);
        assert_eq!(ran.code, Some(2), "{args:?}: {}", ran.stderr);
    }
    assert!(!desk.path("twice.json").exists() && !desk.path("-").exists());
    let beyond = ["analyze", "--client-side", "mixed.pcap", "--server-side", "folder", "-o", "folder/a.pcapng"];
    assert_eq!((desk.run(&beyond).code, all()), (Some(2), before));
}

#[cfg(target_os = "linux")]
#[test]
fn names_of_any_bytes_are_read_written_and_spelt_out() {
    use std::os::unix::ffi::OsStrExt;
    let desk = Desk::new();
    let name = |name: &'static [u8]| OsStr::from_bytes(name);
    fs::copy(desk.path("mixed.pcap"), desk.0.path().join(name(b"caf\xe9\x1b[31m.pcap"))).unwrap();
    let args = [name(b"analyze"), name(b"caf\xe9\x1b[31m.pcap"), name(b"-o"), name(b"r\xe9.json")];
    let ran = desk.run(&args);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let report = fs::read_to_string(desk.0.path().join(name(b"r\xe9.json"))).unwrap();
    assert!(report.contains("caf\\\\xe9") && !report.contains('\u{fffd}'), "{report}");
    for args in [
        vec![name(b"analyze"), name(b"no\x1b[31m\xff.pcap")],
        vec![name(b"analyze"), name(b"mixed.pcap"), name(b"-o"), name(b"no\x1b[31m/x.json")],
        vec![name(b"analyze"), name(b"mixed.pcap"), name(b"-o"), name(b"x.no\x1b[31m")],
        vec![name(b"analyze"), name(b"mixed.pcap"), name(b"-f"), name(b"no\x1b[31m filter")],
        vec![name(b"diff"), name(b"no\x1b[31m.json"), name(b"mixed.pcap")],
    ] {
        let ran = desk.run(&args);
        assert!(ran.code > Some(1) && ran.stderr.contains("no\\u{1b}[31m"), "{args:?}: {:?}", ran.stderr);
        assert!(!ran.stderr.contains('\u{1b}'), "{:?}", ran.stderr);
    }
}

#[test]
fn a_filter_file_may_have_comments_and_an_empty_filter_is_none() {
    let desk = Desk::new();
    desk.put("f", "# Kerberos\ntcp port 88 # and nothing else\n");
    let filtered = records(&desk.run(&["analyze", "mixed.pcap", "-F", "f", "--format", "ndjson"]));
    assert!(!filtered.is_empty() && filtered.iter().all(|(port, _)| *port == u64::from(KERBEROS)), "{filtered:?}");
    for filter in ["", " "] {
        let ran = desk.run(&["analyze", "mixed.pcap", "-f", filter, "--format", "json"]);
        assert!(ran.json()["run"]["filter"].is_null());
    }
}

#[test]
fn a_capture_that_lacks_the_answers_proves_nothing() {
    let desk = Desk::new();
    let ran = |count: u16| {
        let syns: Vec<Segment<'static>> =
            (0..count).map(|n| segment(n.into(), true, (50_000, 1_000 + n), tcp::SYN, (1, 0))).collect();
        desk.put("syns.pcap", capture_of(&syns));
        let ran = desk.run(&["analyze", "syns.pcap", "--fail-on", "blocked"]);
        (ran.code, String::from_utf8(ran.stdout).unwrap())
    };
    let (many, few) = (ran(7), ran(5));
    assert_eq!((many.0, few.0), (Some(3), Some(0)));
    assert!(many.1.contains("Nothing but SYNs was captured") && many.1.contains("NOTHING COULD BE JUDGED"));
    assert!(!few.1.contains("Nothing but SYNs"), "{}", few.1);
}

#[test]
fn a_run_that_gave_flows_up_and_found_nothing_proves_nothing() {
    let desk = Desk::new();
    let few: Vec<Segment<'static>> =
        (0..40_u16).map(|n| segment(n.into(), true, (50_000, 1_000 + n), tcp::SYN, (1, 0))).collect();
    desk.put("many.pcap", capture_of(&few));
    let bounded =
        |flows: &str| desk.run(&["analyze", "many.pcap", "--max-flows", flows, "--fail-on", "unexpected", "-q"]).code;
    assert_eq!((bounded("1000"), bounded("1")), (Some(0), Some(3)));
    let small = desk.run(&["analyze", "mixed.pcap", "--max-memory", "64M"]);
    assert!(small.code == Some(2) && small.stderr.contains("128M"), "{}", small.stderr);
}

#[test]
fn standard_input_is_a_capture() {
    let desk = Desk::new();
    let mut child = command()
        .args(["analyze", "-", "--format", "ndjson"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&mixed()).unwrap();
    let output = child.wait_with_output().unwrap();
    let piped = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(piped, desk.run(&["analyze", "mixed.pcap", "--format", "ndjson"]).text());
}

#[test]
fn a_folder_is_all_its_captures() {
    let desk = Desk::new();
    fs::create_dir_all(desk.path("in/deeper")).unwrap();
    desk.put("in/one.pcap", capture_of(&open_ldap(0, 50000)));
    desk.put("in/deeper/two.pcap", capture_of(&dropped_kerberos(100)));
    desk.put("in/notes.txt", "no capture");
    // What this program was not allowed to finish is no capture of the network.
    desk.put("in/.portolan-x1y2z3", capture_of(&open_ldap(0, 50001)));
    let ran = desk.run(&["analyze", "in", "--format", "ndjson"]);
    let mut seen = records(&ran);
    seen.sort();
    assert_eq!((ran.code, seen), (Some(0), vec![(88, "dropped".to_owned()), (389, "open".to_owned())]));
    // What is called a capture and is none is not passed over in silence.
    desk.put("in/empty.pcapng.gz", "");
    let ran = desk.run(&["analyze", "in", "--format", "ndjson"]);
    assert!(ran.code == Some(3) && ran.stderr.contains("empty.pcapng.gz"), "{:?} {}", ran.code, ran.stderr);
}

#[test]
fn files_are_read_in_the_order_of_their_packets() {
    let desk = Desk::new();
    let all = open_ldap(0, 50000);
    desk.put("early.pcap", capture_of(&all[..1]));
    desk.put("late.pcap", capture_of(&all[1..]));
    for order in [["early.pcap", "late.pcap"], ["late.pcap", "early.pcap"]] {
        let ran = desk.run(&["analyze", order[0], order[1], "--format", "ndjson"]);
        assert_eq!(records(&ran), [(389, "open".to_owned())], "{order:?}");
        assert!(ran.text().contains("early.pcap:1"), "frames name their file: {}", ran.text());
    }
}

#[test]
fn tcpdumps_letters_keep_their_meaning() {
    let desk = Desk::new();
    let plain = desk.run(&["analyze", "mixed.pcap", "--format", "ndjson"]).text();
    assert_eq!(desk.run(&["analyze", "-r", "mixed.pcap", "--format", "ndjson"]).text(), plain);
    desk.put("filter", "tcp port 88\n");
    for args in [
        &["analyze", "mixed.pcap", "--format", "ndjson", "-f", "tcp port 88"][..],
        &["analyze", "mixed.pcap", "--format", "ndjson", "-F", "filter"],
        &["analyze", "mixed.pcap", "--format", "ndjson", "--", "tcp port 88"],
        &["analyze", "mixed.pcap", "--format", "ndjson", "--", "tcp", "port", "88"],
    ] {
        assert_eq!(records(&desk.run(args)), [(88, "dropped".to_owned())], "{args:?}");
    }
    let counted = desk.run(&["analyze", "mixed.pcap", "--format", "json", "-c", "5"]).json();
    assert_eq!(number(&counted["health"], "frames"), 5);
}

#[test]
fn frame_numbers_are_those_of_the_unfiltered_file() {
    let ran = Desk::new().run(&["analyze", "mixed.pcap", "--format", "ndjson", "-f", "tcp port 88"]);
    let record: serde_json::Value = serde_json::from_str(ran.text().lines().next().unwrap()).unwrap();
    assert_eq!(record["frames"][0], 6, "{record}");
}

#[test]
fn colour_is_for_terminals_and_those_who_ask() {
    let desk = Desk::new();
    let escape = |ran: &common::Run| ran.stdout.contains(&0x1b);
    let base = ["analyze", "mixed.pcap", "--site", "site.toml"];
    assert!(!escape(&desk.run(&base)), "a pipe is no terminal");
    let asked = finish(command().current_dir(desk.0.path()).args(base).args(["--color", "always"]));
    assert!(escape(&asked), "--color always");
    let never = finish(command().current_dir(desk.0.path()).args(base).args(["--color", "never"]));
    assert!(!escape(&never));
    let declined =
        finish(command().current_dir(desk.0.path()).args(base).args(["--color", "auto"]).env("NO_COLOR", "1"));
    assert!(!escape(&declined));
    assert_eq!(never.stdout, declined.stdout);
}

#[test]
fn help_lists_the_exit_codes_and_version_the_version() {
    for args in [&["--help"][..], &["analyze", "--help"]] {
        let ran = run(args);
        assert_eq!(ran.code, Some(0));
        let text = ran.text();
        for code in 0..=4 {
            let listed = text.lines().any(|line| line.trim_start().starts_with(&format!("{code} ")));
            assert!(listed, "{args:?}: exit code {code} is not listed:\n{text}");
        }
    }
    assert!(run(&["--version"]).text().contains(env!("CARGO_PKG_VERSION")));
    assert_eq!(run::<&str>(&[]).code, Some(2));
}

#[test]
fn the_report_keeps_its_schema() {
    let report = Desk::new().run(&["analyze", "mixed.pcap", "--format", "json"]).json();
    for name in ["schema", "tool", "run", "health", "hosts", "pairs", "findings", "rpc_endpoints", "readiness"] {
        assert!(report.get(name).is_some(), "no {name}");
    }
    let input = &list(&report["run"], "inputs")[0];
    assert_eq!(word(input, "path"), "mixed.pcap");
    assert_eq!((word(input, "format"), number(input, "frames")), ("pcap".to_owned(), 14));
    assert_eq!(input["link_types"][0], "EN10MB");
    assert!(input["error"].is_null() && input["compression"].is_null());
    let health = &report["health"];
    for name in [
        "frames",
        "decoded",
        "duplicates",
        "fragments",
        "dropped_by_kernel",
        "dropped_by_queue",
        "flows",
        "flows_evicted",
    ] {
        number(health, name);
    }
    assert_eq!((number(health, "frames"), number(health, "flows")), (14, 3));
    let services = list(&list(&report, "pairs")[0], "services");
    let ldap = services.iter().find(|service| service["ports"][0] == 389).unwrap();
    assert_eq!((number(ldap, "flows"), &ldap["outcomes"]["open"]), (2, &serde_json::json!(2)));
    assert_eq!((number(ldap, "packets_to_server"), number(ldap, "packets_to_client")), (6, 4));
    assert_eq!(ldap["handshake_us"]["count"], 2);
}

#[test]
fn nothing_is_written_beside_the_input() {
    let desk = Desk::new();
    desk.run(&["analyze", "mixed.pcap"]);
    assert_eq!(desk.names(), ["mixed.pcap", "site.toml"]);
    assert!(!Path::new("portolan.log").exists());
}

#[test]
fn the_readme_shows_what_the_program_prints() {
    let readme = fs::read_to_string(common::root().join("README.md")).unwrap();
    let console = readme.split("```console\n$ portolan ").nth(1).unwrap().split("```").next().unwrap();
    let (words, shown) = console.split_once('\n').unwrap();
    let printed = run(&words.split(' ').collect::<Vec<_>>()).text();
    for line in shown.lines().filter(|line| !line.trim_start().starts_with("[...")) {
        assert!(printed.lines().any(|real| real == line), "README.md shows a line that is not printed:\n{line}");
    }
}
