//! What the black-box tests share: running the program, finding captures, reading what it printed, making small captures.
//!
//! Nothing here names the library: the tests know the program as a user does, by its command line and its output.

#![allow(dead_code, reason = "each test binary uses its own part of this file")]
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test may stop, and says why it skips")]

use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_portolan");

/// The folder of the manifest; every run starts there, so that printed paths are the same on every machine.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A part of the sibling folder with the large test data, or a printed notice that the test skips.
pub(crate) fn shared(part: &str) -> Option<PathBuf> {
    let path = root().join("../shared").join(part);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: ../shared/{part} is not beside this checkout");
    None
}

/// What one run left behind.
pub(crate) struct Run {
    /// The exit code; none where a signal ended the run.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Run {
    /// Standard output as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.stdout.clone()).unwrap()
    }

    /// Standard output as one JSON value.
    pub(crate) fn json(&self) -> Value {
        match serde_json::from_slice(&self.stdout) {
            Ok(value) => value,
            Err(error) => panic_with(&format!("standard output is no JSON ({error}); stderr: {}", self.stderr)),
        }
    }
}

#[expect(clippy::panic, reason = "the way a test fails")]
fn panic_with(message: &str) -> ! {
    panic!("{message}")
}

/// The program with the environment a test can rely on.
pub(crate) fn command() -> Command {
    let mut command = Command::new(PROGRAM);
    command.current_dir(root()).env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE").stdin(Stdio::null());
    command
}

/// Runs the program with these arguments to its end.
pub(crate) fn run<S: AsRef<OsStr>>(args: &[S]) -> Run {
    finish(command().args(args))
}

/// Runs a prepared command to its end.
pub(crate) fn finish(command: &mut Command) -> Run {
    let output = command.output().unwrap();
    Run {
        code: output.status.code(),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Every file below a folder, in the order of their paths.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// An address and a port, as the tests compare them.
pub(crate) type End = (IpAddr, u16);

/// The fields of one flow record that the tests judge.
pub(crate) struct Flow {
    pub(crate) orig: End,
    pub(crate) resp: End,
    pub(crate) proto: String,
    /// Nanoseconds since the epoch; exact to a microsecond where the record holds a number.
    pub(crate) first_ns: i128,
    pub(crate) outcome: String,
    pub(crate) by: String,
    pub(crate) reason: String,
    pub(crate) confidence: String,
    pub(crate) standing: String,
    pub(crate) conn_state: String,
    pub(crate) dir_basis: String,
    pub(crate) flags: Vec<String>,
    pub(crate) icmp_from: Option<IpAddr>,
    pub(crate) packets: u64,
    /// What its payload is; empty where nobody knows.
    pub(crate) app: String,
}

impl Flow {
    /// Both ends without a direction, so that two opinions on who began still meet.
    pub(crate) fn key(&self) -> (String, End, End) {
        key(&self.proto, self.orig, self.resp)
    }

    /// One line for a fault's text.
    pub(crate) fn line(&self) -> String {
        format!(
            "{} {}:{} > {}:{} {} {} by {} ({}, {}, {:?})",
            self.proto,
            self.orig.0,
            self.orig.1,
            self.resp.0,
            self.resp.1,
            self.outcome,
            self.reason,
            self.by,
            self.conn_state,
            self.confidence,
            self.flags,
        )
    }
}

/// The undirected key of a conversation.
pub(crate) fn key(proto: &str, one: End, other: End) -> (String, End, End) {
    (proto.to_owned(), one.min(other), one.max(other))
}

/// Runs `analyze --format ndjson` and reads its flow records. Damage (exit code 3) is allowed, nothing else but success is.
pub(crate) fn flows(capture: &Path, options: &[&str]) -> Vec<Flow> {
    let ran = finish(command().arg("analyze").arg(capture).args(["--format", "ndjson"]).args(options));
    assert!(matches!(ran.code, Some(0 | 3)), "{}: exit {:?}: {}", capture.display(), ran.code, ran.stderr);
    ran.text().lines().map(|line| flow(&serde_json::from_str(line).unwrap())).collect()
}

/// Runs `analyze --format json` and reads the report.
pub(crate) fn report(capture: &Path, options: &[&str]) -> Value {
    let ran = finish(command().arg("analyze").arg(capture).args(["--format", "json"]).args(options));
    assert!(matches!(ran.code, Some(0 | 3)), "{}: exit {:?}: {}", capture.display(), ran.code, ran.stderr);
    ran.json()
}

/// A field that must be there and be text; a field that is null reads as empty.
pub(crate) fn word(value: &Value, name: &str) -> String {
    match value.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) => String::new(),
        other => panic_with(&format!("field {name} is {other:?} in {value}")),
    }
}

/// A field that must be a whole number.
pub(crate) fn number(value: &Value, name: &str) -> u64 {
    match value.get(name).and_then(Value::as_u64) {
        Some(number) => number,
        None => panic_with(&format!("field {name} is no number in {value}")),
    }
}

/// A field that must be an array.
pub(crate) fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    match value.get(name).and_then(Value::as_array) {
        Some(items) => items,
        None => panic_with(&format!("field {name} is no array in {value}")),
    }
}

/// An address that must be there.
pub(crate) fn address(value: &Value, name: &str) -> IpAddr {
    word(value, name).parse().unwrap()
}

/// A port that must be there.
pub(crate) fn port(value: &Value, name: &str) -> u16 {
    u16::try_from(number(value, name)).unwrap()
}

pub(crate) fn flow(record: &Value) -> Flow {
    let end = |address_name: &str, port_name: &str| {
        let port = record.get(port_name).and_then(Value::as_u64).unwrap_or(0);
        (address(record, address_name), u16::try_from(port).unwrap())
    };
    let texts = |name: &str| -> Vec<String> {
        list(record, name).iter().map(|item| item.as_str().unwrap_or_default().to_owned()).collect()
    };
    Flow {
        orig: end("id.orig_h", "id.orig_p"),
        resp: end("id.resp_h", "id.resp_p"),
        proto: word(record, "proto"),
        first_ns: nanoseconds(record.get("ts").unwrap()),
        outcome: word(record, "outcome"),
        by: word(record, "by"),
        reason: word(record, "reason"),
        confidence: word(record, "confidence"),
        standing: word(record, "standing"),
        conn_state: word(record, "conn_state"),
        dir_basis: word(record, "dir_basis"),
        flags: texts("flags"),
        icmp_from: record["icmp"]["from"].as_str().map(|text| text.parse().unwrap()),
        packets: number(record, "orig_pkts") + number(record, "resp_pkts"),
        app: word(record, "app"),
    }
}

/// A time as Zeek's number of seconds or as RFC 3339 text, in nanoseconds since the epoch.
fn nanoseconds(time: &Value) -> i128 {
    match time {
        Value::Number(seconds) => decimal_nanoseconds(&seconds.to_string()),
        Value::String(text) => text.parse::<jiff::Timestamp>().unwrap().as_nanosecond(),
        other => panic_with(&format!("a time is {other}")),
    }
}

/// Seconds written as a decimal fraction, in nanoseconds.
pub(crate) fn decimal_nanoseconds(text: &str) -> i128 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    whole.parse::<i128>().unwrap() * 1_000_000_000 + fraction.parse::<i128>().unwrap()
}

/// TCP flag bits as they lie in the header.
pub(crate) mod tcp {
    pub(crate) const SYN: u8 = 0x02;
    pub(crate) const RST: u8 = 0x04;
    pub(crate) const PSH: u8 = 0x08;
    pub(crate) const ACK: u8 = 0x10;
}

/// One TCP segment to be written into a capture.
pub(crate) struct Segment<'a> {
    pub(crate) at_ms: u64,
    pub(crate) from: ([u8; 4], u16),
    pub(crate) to: ([u8; 4], u16),
    pub(crate) flags: u8,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) payload: &'a [u8],
}

/// A classic little-endian Ethernet capture with microsecond times that holds these segments.
pub(crate) fn capture_of(segments: &[Segment]) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend(0xa1b2_c3d4_u32.to_le_bytes());
    file.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0]);
    for (index, segment) in segments.iter().enumerate() {
        let frame = frame_of(segment, u16::try_from(index & 0xffff).unwrap());
        let length = u32::try_from(frame.len()).unwrap();
        let seconds = 1_800_000_000 + u32::try_from(segment.at_ms / 1000).unwrap();
        let micros = u32::try_from(segment.at_ms % 1000 * 1000).unwrap();
        for word in [seconds, micros, length, length] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    }
    file
}

/// The Ethernet frame of a segment.
pub(crate) fn frame_of(segment: &Segment, ip_id: u16) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, segment.to.0[3], 2, 0, 0, 0, 0, segment.from.0[3], 8, 0];
    let total = u16::try_from(40 + segment.payload.len()).unwrap();
    let mut ip = vec![0x45, 0];
    ip.extend(total.to_be_bytes());
    ip.extend(ip_id.to_be_bytes());
    ip.extend([0x40, 0, 64, 6, 0, 0]);
    ip.extend(segment.from.0);
    ip.extend(segment.to.0);
    let sum = checksum(&ip);
    ip.splice(10..12, sum.to_be_bytes());
    frame.extend(&ip);
    let mut header = Vec::new();
    header.extend(segment.from.1.to_be_bytes());
    header.extend(segment.to.1.to_be_bytes());
    header.extend(segment.seq.to_be_bytes());
    header.extend(segment.ack.to_be_bytes());
    header.extend([0x50, segment.flags, 0x20, 0, 0, 0, 0, 0]);
    header.extend(segment.payload);
    let mut pseudo = Vec::new();
    pseudo.extend(segment.from.0);
    pseudo.extend(segment.to.0);
    pseudo.extend([0, 6]);
    pseudo.extend((total - 20).to_be_bytes());
    pseudo.extend(&header);
    let sum = checksum(&pseudo);
    header.splice(16..18, sum.to_be_bytes());
    frame.extend(header);
    frame
}

/// The internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 =
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap()
}
