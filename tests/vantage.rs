//! Two captures of one path: on recordings of both sides of the lab's firewall, against what the hosts' kernels and the
//! firewall counted; on parts of them, where nothing may be invented; on crafted ones, for what the lab does not show.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may stop here")]

mod common;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use common::Segment;
use common::address;
use common::capture_of;
use common::command;
use common::finish;
use common::list;
use common::number;
use common::port;
use common::root;
use common::run;
use common::tcp::ACK;
use common::tcp::PSH;
use common::tcp::SYN;
use common::word;
use portolan::capture::source::Options;
use portolan::capture::source::Source;
use portolan::classify::judged::CaptureFacts;
use portolan::classify::vantage::Comparison;
use portolan::classify::vantage::Point;
use portolan::model::addr::Side;
use portolan::pipeline::trace::trace;
use serde_json::Value;

const SCENARIOS: [&str; 2] = ["sides", "nat"];

/// A conversation of the truth.
struct Told {
    client: (IpAddr, u16),
    server: (IpAddr, u16),
    proto: String,
    /// The client as the server's side knows it.
    outside: (IpAddr, u16),
    sent: u64,
    reached: u64,
    answered: u64,
    came_back: u64,
    outcome: String,
}

fn truth(scenario: &str) -> Vec<Told> {
    let path = root().join("pcaps/lab/truth").join(format!("{scenario}.json"));
    let truth: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let crossing = list(&truth, "flows").iter().filter(|flow| flow.get("path").is_some());
    let told = |flow: &Value| {
        let client = (address(flow, "src_ip"), port(flow, "sport"));
        let path = &flow["path"];
        Told {
            client,
            server: (address(flow, "dst_ip"), port(flow, "dport")),
            proto: word(flow, "proto"),
            outside: flow.get("translated").map_or(client, |end| (address(end, "src_ip"), port(end, "sport"))),
            sent: number(path, "client_sent"),
            reached: number(path, "server_got"),
            answered: number(path, "server_sent"),
            came_back: number(path, "client_got"),
            outcome: word(flow, "outcome"),
        }
    };
    let all: Vec<Told> = crossing.map(told).collect();
    assert!(all.len() > 10);
    all
}

fn side(scenario: &str, side: &str) -> PathBuf {
    root().join("pcaps/lab").join(format!("{scenario}.{side}-side.pcap"))
}

fn compared(client: &Path, server: &Path) -> Value {
    let mut command = command();
    command.args(["analyze", "--format", "json", "--client-side"]).arg(client).arg("--server-side").arg(server);
    let ran = finish(&mut command);
    assert!(matches!(ran.code, Some(0 | 3)), "exit {:?}: {}", ran.code, ran.stderr);
    ran.json()["vantage"].take()
}

/// The rows by client, server, transport and port. Several flows may share them.
fn rows(vantage: &Value) -> BTreeMap<(IpAddr, IpAddr, String, u16), Vec<Value>> {
    let mut rows: BTreeMap<_, Vec<Value>> = BTreeMap::new();
    for row in list(vantage, "rows") {
        let key = (address(row, "client"), address(row, "server"), word(row, "transport"), port(row, "port"));
        rows.entry(key).or_default().push(row.clone());
    }
    rows
}

#[test]
fn the_place_of_loss_is_the_firewall() {
    for scenario in SCENARIOS {
        let vantage = compared(&side(scenario, "client"), &side(scenario, "server"));
        let rows = rows(&vantage);
        let mut wanted = BTreeSet::new();
        for told in truth(scenario) {
            let place = match told.outcome.as_str() {
                "no-answer" if told.reached == 0 => "request_lost",
                "no-answer" => "answer_lost",
                "refused-rst" => "refused_beyond",
                outcome if outcome.starts_with("rejected") => "rejected_between",
                _ => continue,
            };
            let key = (told.client.0, told.server.0, told.proto.clone(), told.server.1);
            let of_key = rows.get(&key).map_or(&[][..], Vec::as_slice);
            let row = of_key.iter().find(|row| word(row, "place") == place);
            let row = row.unwrap_or_else(|| panic!("{scenario}: {key:?}: wanted {place}, got {of_key:?}"));
            assert_eq!(word(row, "confidence"), "confirmed", "{row}");
            if place != "refused_beyond" {
                let text = word(row, "text");
                assert!(text.contains("between the two capture points, at the one router or firewall there"), "{text}");
            }
            assert_eq!(number(&row["to_server"], "left"), told.sent, "{row}");
            assert_eq!(number(&row["to_server"], "arrived"), told.reached, "{row}");
            assert_eq!(number(&row["to_client"], "arrived"), told.came_back, "{row}");
            wanted.insert(key);
        }
        let told: BTreeSet<_> = rows.keys().cloned().collect();
        assert_eq!(told, wanted, "{scenario}: what arrived without loss has no row");
        assert_eq!(vantage["hops"], 1);
    }
}

/// Every conversation that reached the server's side is found there, under the name that the firewall gave it, and no
/// other; with the packets that the kernels counted.
#[test]
fn no_flow_is_taken_for_another() {
    for scenario in SCENARIOS {
        let [client, server] = ["client", "server"].map(|name| point(&side(scenario, name)));
        let comparison = Comparison::new(&client, &server);
        let mut found = BTreeMap::new();
        for (place, pair) in comparison.alignment.pairs() {
            let (here, there) = (&client.traces.all()[place], &server.traces.all()[pair.server]);
            let orig = here.began;
            let orig_there = if pair.flipped { orig.other() } else { orig };
            let end = |key: &portolan::model::addr::FlowKey, side: Side| {
                let end = key.end(side);
                (end.addr.ip(), end.port)
            };
            let key = (end(&here.key, orig), end(&here.key, orig.other()), here.key.transport.name().to_owned());
            let outside = (end(&there.key, orig_there), end(&there.key, orig_there.other()));
            let story = comparison.story(place, orig).unwrap();
            found.insert(key, (outside, story));
        }
        let mut reached = 0;
        for told in truth(scenario) {
            let key = (told.client, told.server, told.proto.clone());
            let Some((outside, story)) = found.remove(&key) else {
                assert_eq!(told.reached, 0, "{scenario}: {key:?} reached the server's side and was not found there");
                continue;
            };
            reached += 1;
            assert_eq!(outside, (told.outside, told.server), "{scenario}: {key:?}");
            assert_eq!(
                (story.to_server.left, story.to_server.arrived),
                (told.sent, told.reached),
                "{scenario}: {key:?}"
            );
            assert_eq!(story.to_client.arrived, told.came_back, "{scenario}: {key:?}");
            // A server repeats its SYN-ACK by its own clock: what nothing distinguishes counts once.
            let copies = told.answered - story.to_client.left;
            assert!(copies == 0 || (copies == 1 && told.came_back == 0), "{scenario}: {key:?}: {story:?}");
        }
        assert!(found.is_empty(), "{scenario}: found on both sides, and no host counted it: {:?}", found.keys());
        assert!(reached >= 12, "{scenario}: {reached}");
    }
}

fn point(path: &Path) -> Point {
    let mut source = Source::open(&[path.to_path_buf()], Options::default()).unwrap();
    let traces = trace(&mut source, 64 << 20, &AtomicBool::new(false)).unwrap();
    let input = &source.facts()[0];
    let (first, last) = (input.first.unwrap(), input.last.unwrap());
    Point { traces, facts: CaptureFacts { first, last, ..CaptureFacts::default() } }
}

/// A frame of a classic capture: its time in microseconds, its record without the time, its bytes.
struct Record {
    us: u64,
    lengths: [u8; 8],
    bytes: Vec<u8>,
}

/// The frames of a little-endian classic capture with microseconds, which the lab's are.
fn records(path: &Path) -> (Vec<u8>, Vec<Record>) {
    let file = fs::read(path).unwrap();
    let (head, mut rest) = file.split_at(24);
    assert_eq!(head[..4], 0xa1b2_c3d4_u32.to_le_bytes());
    let mut all = Vec::new();
    while rest.len() >= 16 {
        let word = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
        let (us, length) = (u64::from(word(0)) * 1_000_000 + u64::from(word(4)), word(8) as usize);
        all.push(Record { us, lengths: rest[8..16].try_into().unwrap(), bytes: rest[16..16 + length].to_vec() });
        rest = &rest[16 + length..];
    }
    (head.to_vec(), all)
}

fn write(name: &str, folder: &Path, head: &[u8], records: &[Record]) -> PathBuf {
    let mut file = head.to_vec();
    for record in records {
        file.extend(u32::try_from(record.us / 1_000_000).unwrap().to_le_bytes());
        file.extend(u32::try_from(record.us % 1_000_000).unwrap().to_le_bytes());
        file.extend(record.lengths);
        file.extend(&record.bytes);
    }
    let path = folder.join(name);
    fs::write(&path, file).unwrap();
    path
}

/// The last byte of the IPv4 source address and of the target, and the subnets' number.
fn ends(record: &Record) -> Option<([u8; 4], [u8; 4])> {
    let ip = record.bytes.get(12..14).filter(|kind| *kind == [8, 0]).and(record.bytes.get(14..34))?;
    Some((ip[12..16].try_into().unwrap(), ip[16..20].try_into().unwrap()))
}

/// What must never be said of parts of a capture: that what reached the server's side was lost before it, or that what
/// came back was lost.
fn invented(scenario: &str, vantage: &Value) -> Vec<String> {
    let rows = rows(vantage);
    let mut faults = Vec::new();
    let told = truth(scenario);
    for (key, of_key) in &rows {
        let flows: Vec<&Told> = told
            .iter()
            .filter(|told| (told.client.0, told.server.0, &told.proto, told.server.1) == (key.0, key.1, &key.2, key.3))
            .collect();
        for row in of_key {
            let place = word(row, "place");
            let lost = match place.as_str() {
                "request_lost" | "rejected_between" => flows.iter().any(|told| told.reached == 0),
                "answer_lost" => flows.iter().any(|told| told.answered > 0 && told.came_back == 0),
                "no_answer" => flows.iter().any(|told| told.reached > 0 && told.answered == 0),
                "request_lost_later" | "answer_lost_later" => false,
                _ => true,
            };
            if !lost {
                faults.push(format!("{scenario}: {row}"));
            }
        }
    }
    faults
}

#[test]
fn a_part_of_a_capture_invents_no_loss() {
    let folder = tempfile::tempdir().unwrap();
    let mut faults = Vec::new();
    for scenario in SCENARIOS {
        let whole = [side(scenario, "client"), side(scenario, "server")];
        for cut in 0..2 {
            type Part = (String, Box<dyn Fn(usize, &Record) -> bool>);
            let (head, all) = records(&whole[cut]);
            let count = all.len();
            let from_servers = |record: &Record| ends(record).is_none_or(|(from, _)| from[2] == 1 && from[3] != 1);
            let mut parts: Vec<Part> = vec![
                ("to-server".into(), Box::new(move |_, record| !from_servers(record))),
                ("to-client".into(), Box::new(move |_, record| from_servers(record))),
                ("empty".into(), Box::new(|_, _| false)),
            ];
            for tenth in 1..10 {
                let at = count * tenth / 10;
                parts.push((format!("first-{tenth}"), Box::new(move |number, _| number < at)));
                parts.push((format!("last-{tenth}"), Box::new(move |number, _| number >= at)));
            }
            for (name, keep) in parts {
                let kept: Vec<Record> = records(&whole[cut])
                    .1
                    .into_iter()
                    .enumerate()
                    .filter(|(n, r)| keep(*n, r))
                    .map(|(_, r)| r)
                    .collect();
                let mut both = whole.clone();
                both[cut] = write(&format!("{scenario}-{cut}-{name}.pcap"), folder.path(), &head, &kept);
                for fault in invented(scenario, &compared(&both[0], &both[1])) {
                    faults.push(format!("{name} of side {cut}: {fault}"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}

/// A capture of another place and time says nothing of this one.
#[test]
fn strangers_have_nothing_to_say() {
    let vantage = compared(&side("sides", "client"), &root().join("pcaps/lab/clean.pcap"));
    assert_eq!(number(&vantage["flows"], "aligned"), 0);
    assert!(list(&vantage, "notes")[0].as_str().unwrap().starts_with("No packet of the one capture"));
    for row in list(&vantage, "rows") {
        assert_eq!((word(row, "place"), word(row, "why")), ("unknown".into(), "nothing_in_both".into()), "{row}");
    }
}

/// Clocks that differ by an hour and run apart by 50 millionths change the offset, and nothing else.
#[test]
fn clocks_may_differ() {
    let folder = tempfile::tempdir().unwrap();
    for scenario in SCENARIOS {
        let (client, server) = (side(scenario, "client"), side(scenario, "server"));
        let (head, mut all) = records(&server);
        let begin = all[0].us;
        for record in &mut all {
            record.us = record.us + 3_600_000_000 + (record.us - begin) / 20_000;
        }
        let shifted = write(&format!("{scenario}.pcap"), folder.path(), &head, &all);
        let (one, other) = (compared(&client, &server), compared(&client, &shifted));
        let told = |vantage: &Value| -> Vec<_> {
            let rows = list(vantage, "rows").iter();
            rows.map(|row| ["client", "server", "place", "confidence", "text"].map(|name| word(row, name))).collect()
        };
        assert_eq!(told(&one), told(&other));
        let offset = other["clock"]["offset_us"].as_i64().unwrap() - one["clock"]["offset_us"].as_i64().unwrap();
        assert!((3_600_000_000..3_600_000_200).contains(&offset), "{offset}");
    }
}

/// The client talks to the server; after the third packet what it sends arrives no more.
fn stalled(arrives: bool, renumbered: u32) -> [Vec<u8>; 2] {
    const CLIENT: ([u8; 4], u16) = ([10, 1, 0, 5], 50_000);
    const SERVER: ([u8; 4], u16) = ([10, 2, 0, 9], 445);
    const OTHER: ([u8; 4], u16) = ([10, 1, 0, 5], 50_001);
    let to = |at_ms, flags, seq, ack, payload: &'static [u8]| Segment {
        at_ms,
        from: CLIENT,
        to: SERVER,
        flags,
        seq,
        ack,
        payload,
    };
    let back = |at_ms, flags, seq, ack, payload: &'static [u8]| Segment {
        at_ms,
        from: SERVER,
        to: CLIENT,
        flags,
        seq,
        ack,
        payload,
    };
    let late = |at_ms, seq| Segment { at_ms, from: OTHER, to: SERVER, flags: SYN, seq, ack: 0, payload: b"" };
    let begin = || {
        vec![
            to(0, SYN, 100, 0, b""),
            back(1, SYN | ACK, 900, 101, b""),
            to(2, ACK, 101, 901, b""),
            to(3, PSH | ACK, 101, 901, b"the first question"),
            back(4, PSH | ACK, 901, 119, b"the first answer.."),
        ]
    };
    let rest = || [1000, 1400, 2200].map(|at| to(at, PSH | ACK, 119, 919, b"the second question"));
    let mut here = begin();
    here.extend(rest());
    here.push(late(20_000, 5));
    let mut there = begin();
    if arrives {
        there.extend(rest());
    }
    there.push(late(20_000, 5));
    for segment in &mut there {
        let (own, other) =
            if segment.from.0 == CLIENT.0 && segment.from.1 == CLIENT.1 { (renumbered, 0) } else { (0, renumbered) };
        segment.seq += own;
        segment.ack += if segment.flags & ACK == 0 { 0 } else { other };
    }
    [capture_of(&here), capture_of(&there)]
}

fn crafted(captures: [Vec<u8>; 2]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let paths = ["here.pcap", "there.pcap"].map(|name| folder.path().join(name));
    for (path, bytes) in paths.iter().zip(captures) {
        fs::write(path, bytes).unwrap();
    }
    compared(&paths[0], &paths[1])
}

#[test]
fn what_stops_arriving_in_mid_conversation_is_told() {
    let vantage = crafted(stalled(false, 0));
    let row = &list(&vantage, "rows")[0];
    assert_eq!(word(row, "place"), "request_lost_later");
    assert_eq!((number(&row["to_server"], "lost"), number(&row["to_server"], "repeated")), (3, 2), "{row}");
    // Its twin: all arrives, and nobody answers.
    let vantage = crafted(stalled(true, 0));
    assert_eq!(list(&vantage, "rows").iter().filter(|row| word(row, "place").contains("lost")).count(), 0, "{vantage}");
}

#[test]
fn a_device_that_renumbers_is_seen_through() {
    let vantage = crafted(stalled(false, 77_000));
    assert_eq!(word(&list(&vantage, "rows")[0], "place"), "request_lost_later", "{vantage}");
}

/// A client that never lets go of its port: so many attempts, each with a number of its own, which a device may add to. One
/// of each ten is lost.
fn knocking(attempts: u32, renumbered: u32) -> [Vec<u8>; 2] {
    let all = |added: u32, loses: bool| {
        let arrives = |attempt: &u32| !loses || attempt % 10 != 5;
        let syn = |attempt: u32| Segment {
            at_ms: u64::from(attempt) * 50,
            from: ([10, 1, 0, 5], 50_000),
            to: ([10, 2, 0, 9], 445),
            flags: SYN,
            seq: 100_000 * attempt + added,
            ack: 0,
            payload: b"",
        };
        // Another, as it is on both sides: by it the clocks are set, and the way is known.
        let plain = |at_ms| Segment { at_ms, from: ([10, 1, 0, 5], 50_001), seq: 7, ..syn(0) };
        let all = (1..=attempts).filter(arrives).map(syn);
        [plain(0)].into_iter().chain(all).chain([plain(u64::from(attempts) * 50 + 20_000)]).collect::<Vec<_>>()
    };
    [capture_of(&all(0, false)), capture_of(&all(renumbered, true))]
}

#[test]
fn a_port_used_again_and_again_is_matched_by_its_numbers() {
    let vantage = crafted(knocking(2_000, 0));
    let flows = &vantage["flows"];
    assert_eq!((number(flows, "aligned"), number(flows, "client_side_only")), (1_801, 200), "{flows}");
}

#[test]
fn where_hundreds_could_be_the_one_nothing_is_said() {
    let vantage = crafted(knocking(300, 77));
    assert_eq!(number(&vantage["flows"], "aligned"), 1);
    let lost = list(&vantage, "rows").iter().filter(|row| word(row, "place").contains("lost")).count();
    assert_eq!(lost, 0, "{vantage}");
}

/// A firewall that gives each connection numbers of its own: an attempt that nobody answers has nothing else to be known by.
#[test]
fn an_attempt_that_was_renumbered_is_not_called_lost() {
    let vantage = crafted(knocking(3, 77));
    let lost = list(&vantage, "rows").iter().filter(|row| word(row, "place").contains("lost")).count();
    assert_eq!(lost, 0, "{vantage}");
}

/// The same where it also has another address there, for this server alone. What keeps its address is lost if it does not arrive.
#[test]
fn an_attempt_behind_a_translator_that_renumbers_is_not_called_lost() {
    let lost = |outside: [u8; 4]| {
        let syn = |at_ms, host, port, seq| Segment {
            at_ms,
            from: (host, port),
            to: ([10, 2, 0, 9], 445),
            flags: SYN,
            seq,
            ack: 0,
            payload: b"",
        };
        let (client, neighbour) = ([10, 1, 0, 5], [10, 1, 0, 6]);
        let known = || {
            let elsewhere = Segment { to: ([10, 2, 0, 8], 445), ..syn(500, client, 50_002, 8) };
            [
                syn(0, neighbour, 50_001, 7),
                elsewhere,
                syn(5_000, neighbour, 50_001, 7),
                syn(12_000, neighbour, 50_001, 7),
            ]
        };
        let tries = |host, port, seq| [1_000, 2_000, 4_000].map(|at| syn(at, host, port, seq));
        let mut here: Vec<Segment<'_>> = known().into_iter().chain(tries(client, 50_000, 100)).collect();
        let mut there: Vec<Segment<'_>> = known().into_iter().chain(tries(outside, 6_000, 900)).collect();
        for side in [&mut here, &mut there] {
            side.sort_by_key(|segment| segment.at_ms);
        }
        let vantage = crafted([capture_of(&here), capture_of(&there)]);
        list(&vantage, "rows").iter().filter(|row| word(row, "place").contains("lost")).count()
    };
    assert_eq!(lost([192, 0, 2, 1]), 0);
    // A neighbour that was on the client's side too is somebody else.
    assert_eq!(lost([10, 1, 0, 6]), 1);
}

#[test]
fn two_captures_are_asked_for_together_and_as_files() {
    for args in [
        &["analyze", "--client-side", "a.pcap"][..],
        &["analyze", "--server-side", "a.pcap"],
        &["analyze", "c.pcap", "--server-side", "b.pcap"],
        &["analyze", "--client-side", "-", "--server-side", "b.pcap"],
        &["analyze", "--client-side", "a.pcap", "--server-side", "b.pcap", "c.pcap"],
    ] {
        assert_eq!(run(args).code, Some(2), "{args:?}");
    }
}

#[test]
fn every_number_of_workers_gives_the_same_bytes() {
    let (client, server) = (side("nat", "client"), side("nat", "server"));
    let print = |threads: &str, format: &str| {
        let mut command = command();
        command.args(["analyze", "--threads", threads, "--format", format, "--client-side"]);
        finish(command.arg(&client).arg("--server-side").arg(&server)).text()
    };
    for format in ["text", "json", "md"] {
        let once = print("1", format);
        assert!(once.contains("10.10.1.1"), "{format}");
        assert_eq!(once, print("3", format));
    }
}
