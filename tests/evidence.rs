//! `analyze -w`: the packets of findings, and the comments on them, as tshark reads them.

#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "a test may stop, and says why it skips")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

use common::Segment;
use common::capture_of;
use common::command;
use common::finish;
use common::list;
use common::number;
use common::report;
use common::root;
use common::tcp;
use common::word;

/// Writes the evidence of these captures.
fn evidence(captures: &[PathBuf], name: &str, option: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let ran = finish(command().arg("analyze").args(captures).arg("-q").arg(option).arg(&path));
    assert!(matches!(ran.code, Some(0 | 3)), "exit {:?}: {}", ran.code, ran.stderr);
    (folder, path)
}

/// What tshark reads, a line for each frame; `None` where it is not installed.
fn tshark(file: &Path, fields: &[&str]) -> Option<Vec<Vec<String>>> {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(file).args(["-n", "-T", "fields", "-E", "separator=/t"]);
    for field in fields {
        command.args(["-e", field]);
    }
    let Ok(ran) = command.stderr(Stdio::piped()).output() else {
        eprintln!("skipped: tshark is not installed");
        return None;
    };
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let text = String::from_utf8(ran.stdout).unwrap();
    Some(text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect())
}

#[test]
fn tshark_reads_what_is_said_of_each_packet() {
    for scenario in ["dynrpc", "drop", "reject", "dup-any-sll2"] {
        let capture = root().join("pcaps/lab").join(format!("{scenario}.pcap"));
        let (_folder, file) = evidence(std::slice::from_ref(&capture), "found.pcapng", "-w");
        let Some(lines) = tshark(&file, &["frame.time_epoch", "frame.len", "frame.comment"]) else { return };
        let report = report(&capture, &[]);
        let findings = list(&report, "findings");
        let original = tshark(&capture, &["frame.time_epoch", "frame.len"]).unwrap();
        let mut told = BTreeSet::new();
        let mut frames = BTreeSet::new();
        for line in &lines {
            let [time, length, comment] = line.as_slice() else { panic!("{line:?}") };
            let rest = comment.strip_prefix("portolan: frame ").unwrap();
            let (frame, rest) = rest.split_once(", finding ").unwrap();
            let frame: usize = frame.parse().unwrap();
            let place: usize = rest.split(' ').next().unwrap().parse().unwrap();
            let finding = &findings[place - 1];
            assert!(rest.contains(&format!("{} -> {}", word(finding, "client"), word(finding, "server"))), "{comment}");
            assert_eq!((time, length), (&original[frame - 1][0], &original[frame - 1][1]), "{comment}");
            if told.insert(place) {
                assert!(comment.ends_with(&word(finding, "text")), "{comment}");
            }
            assert!(frames.insert(frame), "frame {frame} comes twice");
        }
        for (place, finding) in (1..).zip(findings) {
            assert!(told.contains(&place), "{scenario}: no packet of {finding}");
            for frame in list(finding, "frames") {
                let frame = usize::try_from(frame.as_u64().unwrap()).unwrap();
                assert!(frames.contains(&frame), "{scenario}: frame {frame} of {finding}");
            }
        }
        assert!(lines.len() < original.len() && !lines.is_empty(), "{scenario}");
    }
}

/// Link types of several captures are kept beside each other, and `-o x.pcapng` is `-w x.pcapng`.
#[test]
fn every_link_type_is_kept() {
    let captures = ["drop.pcap", "dup-any-sll2.pcap"].map(|name| root().join("pcaps/lab").join(name));
    let (_folder, file) = evidence(&captures, "both.pcapng", "-o");
    let Some(lines) = tshark(&file, &["frame.interface_id", "frame.interface_name", "frame.encap_type"]) else {
        return;
    };
    let kinds: BTreeSet<_> = lines.into_iter().collect();
    assert!(kinds.len() >= 2, "{kinds:?}");
    let encaps: BTreeSet<_> = kinds.iter().map(|kind| kind[2].clone()).collect();
    assert_eq!(encaps.len(), 2, "{kinds:?}");
}

#[test]
fn a_clean_capture_gives_an_empty_file_that_opens() {
    let capture = root().join("pcaps/ad/logon.pcap");
    assert!(list(&report(&capture, &[]), "findings").is_empty());
    let (_folder, file) = evidence(&[capture], "none.pcapng", "-w");
    assert_eq!(number(&report(&file, &[])["health"], "frames"), 0);
    if let Some(lines) = tshark(&file, &["frame.number"]) {
        assert!(lines.is_empty());
    }
}

/// What passes once cannot be read twice, and the file that was there stays.
#[test]
fn standard_input_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("found.pcapng");
    fs::write(&path, b"old").unwrap();
    let ran = finish(command().args(["analyze", "-", "-w"]).arg(&path));
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("second time"), "{}", ran.stderr);
    assert_eq!(fs::read(&path).unwrap(), b"old");
}

/// Ctrl-C while the capture is read: what was found until then is told, and its packets are written. So many frames take
/// longer to read than to be told so, but for a machine that stands still.
#[cfg(target_os = "linux")]
#[test]
fn an_interrupt_ends_the_capture_and_not_the_evidence() {
    const CLIENT: ([u8; 4], u16) = ([10, 0, 1, 20], 50_000);
    const SERVER: [u8; 4] = [10, 0, 0, 10];
    let segment = |at_ms: u64, back: bool, port: u16, flags: u8, (seq, ack): (u32, u32)| {
        let (from, to) = if back { ((SERVER, port), CLIENT) } else { (CLIENT, (SERVER, port)) };
        Segment { at_ms, from, to, flags, seq, ack, payload: &[] }
    };
    let mut all: Vec<_> = [0, 1000, 3000].map(|at| segment(at, false, 88, tcp::SYN, (500, 0))).into();
    all.push(segment(4000, false, 389, tcp::SYN, (100, 0)));
    all.push(segment(4001, true, 389, tcp::SYN | tcp::ACK, (900, 101)));
    all.extend((0..400_000).map(|nth| {
        segment(4100 + nth * 100, nth % 2 == 1, 389, tcp::ACK, if nth % 2 == 1 { (901, 101) } else { (101, 901) })
    }));
    let folder = tempfile::tempdir().unwrap();
    let (capture, site) = (folder.path().join("long.pcap"), folder.path().join("site.toml"));
    fs::write(&capture, capture_of(&all)).unwrap();
    fs::write(&site, "[hosts]\ndomain-controller = [\"10.0.0.10\"]\nclient = [\"10.0.1.20\"]\n").unwrap();
    let found = folder.path().join("found.pcapng");
    let interrupted = (0..10).find_map(|_| {
        let mut command = command();
        command.arg("analyze").arg(&capture).arg("-s").arg(&site).arg("-w").arg(&found);
        command.args(["--fail-on", "unexpected"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let id = child.id();
        let reads = |descriptor: fs::DirEntry| fs::read_link(descriptor.path()).is_ok_and(|path| path == capture);
        while !fs::read_dir(format!("/proc/{id}/fd")).unwrap().flatten().any(reads) {
            std::thread::yield_now();
        }
        assert!(Command::new("kill").arg("-INT").arg(id.to_string()).status().unwrap().success());
        let ran = child.wait_with_output().unwrap();
        let text = String::from_utf8(ran.stdout).unwrap();
        text.contains("stopped by an interrupt").then_some((text, ran.status.code()))
    });
    let Some((text, code)) = interrupted else { panic!("it was never interrupted") };
    assert!(text.contains("BLOCKED") && text.contains("88"), "{text}");
    assert_eq!(code, Some(3), "that nothing was found proves nothing");
    assert_eq!(number(&report(&found, &[])["health"], "frames"), 3);
}

/// The evidence of a capture shows the same failures when it is analysed itself.
#[test]
fn what_was_found_is_found_again_in_the_evidence() {
    let capture = root().join("pcaps/lab/drop.pcap");
    let (_folder, file) = evidence(std::slice::from_ref(&capture), "found.pcapng", "-w");
    let failed = |capture: &Path| -> BTreeSet<_> {
        let flows = common::flows(capture, &[]).into_iter();
        flows.filter(|flow| flow.outcome == "dropped").map(|flow| flow.key()).collect()
    };
    let (before, after) = (failed(&capture), failed(&file));
    assert!(!after.is_empty() && after.is_subset(&before), "{after:?}");
}
