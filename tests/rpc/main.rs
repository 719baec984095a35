//! What the program learns of RPC from public captures against what tshark reads in them: ports told by the endpoint mapper,
//! ports in DCOM replies, interfaces bound.
//!
//! Ports are read from the report, as its readers do; what was offered without success stands nowhere in it, so interfaces
//! are read from what the pipeline learned. tshark is a second opinion, not the law: each disagreement is either a fault, or stands in `ALLOWED` with its reason.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may stop, and prints its table"
)]

#[path = "../common/mod.rs"]
mod common;
mod reassembly;

use common::address;
use common::files_below;
use common::list;
use common::port;
use common::shared;
use common::word;
use portolan::capture::source::Options;
use portolan::capture::source::Source;
use portolan::learn::endpoints::Over;
use portolan::learn::endpoints::Source as Told;
use portolan::learn::grade::Endpoints;
use portolan::learn::knowledge::Knowledge;
use portolan::learn::rpc_flow::RpcFlow;
use portolan::model::uuid::InterfaceId;
use portolan::pipeline;
use portolan::pipeline::run::Settings;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::AtomicBool;

/// Statements that only one of both makes, looked at: capture, statement, and who is right.
const ALLOWED: &[(&str, &str, &str)] = &[
    (
        "arkime__arkime_synthetic.pcap",
        "bind 10.20.19.1 135 12345678-1234-1234-1234-123456789abc",
        "offered, never answered",
    ),
    (
        "arkime__dcerpc_synthetic.pcap",
        "bind 10.0.2.1 49156 12345678-1234-abcd-ef00-01234567cffb",
        "the acknowledgement has no results: their count is written in four bytes",
    ),
    (
        "arkime__dcerpc_synthetic.pcap",
        "bind 10.0.1.1 445 12345778-1234-abcd-ef00-0123456789ac",
        "DCE/RPC right above TCP, which tshark does not look for on this port",
    ),
    (
        "arkime__dcerpc_synthetic.pcap",
        "bind 10.0.10.1 445 6bffd098-a112-3610-9833-46c3f87e345a",
        "DCE/RPC right above TCP, which tshark does not look for on this port",
    ),
    (
        "arkime__dcerpc_synthetic.pcap",
        "bind 10.0.13.1 445 86d35949-83c9-4044-b424-db363231fd0c",
        "DCE/RPC right above TCP, which tshark does not look for on this port",
    ),
    (
        "arkime__dcerpc_synthetic.pcap",
        "bind 10.0.16.1 445 000001a0-0000-0000-c000-000000000046",
        "DCE/RPC right above TCP, which tshark does not look for on this port",
    ),
    (
        "arkime__dcerpc_synthetic.pcap",
        "bind 10.0.4.1 445 4b324fc8-1670-01d3-1278-5a47bf6ee188",
        "DCE/RPC right above TCP, which tshark does not look for on this port",
    ),
    (
        "arkime__dcerpc_synthetic.pcap",
        "bind 10.0.7.1 445 c681d488-d850-11d0-8c52-00c04fd90f7e",
        "DCE/RPC right above TCP, which tshark does not look for on this port",
    ),
    (
        "arkime__ntlm_synthetic.pcap",
        "bind 10.10.9.1 135 12345778-1234-abcd-ef00-0123456789ab",
        "the acknowledgement lacks the padding before its results, so they cannot be read",
    ),
    (
        "arkime__ntlm_synthetic.pcap",
        "bind 2001:db8:90::1 135 12345778-1234-abcd-ef00-0123456789ab",
        "offered, never answered",
    ),
];

/// Containers that this program does not read.
const UNREAD: &[&str] = &["PcapPlusPlus__solaris.snoop"];

/// Numbers of worker threads that must not matter. The first is the one that is compared with tshark.
const THREADS: [usize; 4] = [1, 2, 3, 8];

#[test]
fn towers_bindings_and_binds_agree_with_tshark() {
    let Some(folder) = shared("captures/truth") else { return };
    let mut faults = Vec::new();
    let mut agreed = [0; 4];
    let mut allowed = BTreeSet::new();
    for (name, truth, capture) in captures(&folder) {
        let report = reported(&capture, 1);
        let learned = run(&capture, 1);
        let told = [towers(&truth), bindings(&truth), binds(&truth, "tcp"), binds(&truth, "smb")];
        let ours = [
            listed(&report, &["ept_map", "ept_lookup"]),
            listed(&report, &["oxid"]),
            bound(&learned),
            in_pipes(&learned),
        ];
        for (nth, (told, ours)) in told.iter().zip(&ours).enumerate() {
            agreed[nth] += told.intersection(ours).count();
            for (who, statement) in
                told.difference(ours).map(|s| ("tshark", s)).chain(ours.difference(told).map(|s| ("portolan", s)))
            {
                if ALLOWED.iter().any(|known| (known.0, known.1) == (name.as_str(), statement.as_str())) {
                    allowed.insert((name.clone(), statement.clone()));
                } else {
                    faults.push(format!("{name}: only {who}: {statement}"));
                }
            }
        }
    }
    let [towers, bindings, binds, in_pipes] = agreed;
    println!("agreed: {towers} towers, {bindings} bindings, {binds} binds, {in_pipes} in pipes");
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    assert_eq!(allowed.len(), ALLOWED.len(), "an allowed disagreement is gone, take it out");
    assert_eq!(agreed, [39, 10, 91, 14], "the captures with RPC are those that were looked at");
}

/// Each conversation by itself: which interfaces its client offered in pipes.
#[test]
#[ignore = "starts tshark for each of a hundred captures with SMB, which takes minutes"]
fn interfaces_in_pipes_are_those_of_tshark_in_every_public_capture() {
    let Some(folder) = shared("captures/public") else { return };
    if !tshark() {
        return;
    }
    let (mut captures, mut agreed, mut faults) = (0, 0, Vec::new());
    for capture in files_below(&folder) {
        if !holds_smb(&fs::read(&capture).unwrap()) {
            continue;
        }
        captures += 1;
        let (told, ours) = (asked_of_pipes(&capture), offered_in_pipes(&run(&capture, 1)));
        agreed += told.intersection(&ours).count();
        let name = capture.display();
        faults.extend(told.difference(&ours).map(|offer| format!("{name}: only tshark: {offer:?}")));
        faults.extend(ours.difference(&told).map(|offer| format!("{name}: only portolan: {offer:?}")));
    }
    println!("{captures} captures with SMB: {agreed} interfaces of conversations agree");
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    assert!(agreed > 30, "the captures with pipes were not found");
}

/// A capture of ours: the endpoint mapper in its pipe.
#[test]
fn towers_told_in_a_pipe_are_those_of_tshark() {
    if !tshark() {
        return;
    }
    let capture = Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps/blocked/rpc_told_in_pipe_dropped.pcap");
    let filter = "epm && smb2 && dcerpc.pkt_type == 2";
    let told = fields(&capture, filter, &["ip.src", "epm.proto.tcp_port", "epm.uuid"]);
    let told: BTreeSet<String> = told
        .iter()
        .map(|cells| {
            let interface = cells[2].split(',').next().unwrap();
            statement(cells[0].parse().unwrap(), "tcp", cells[1].parse().unwrap(), interface)
        })
        .collect();
    assert_eq!(told, listed(&reported(&capture, 1), &["ept_map", "ept_lookup"]));
    assert_eq!(told.len(), 1);
    assert_eq!(asked_of_pipes(&capture), offered_in_pipes(&run(&capture, 1)));
}

/// The client's end, the server's, and an interface.
type Offer = (IpAddr, u16, IpAddr, u16, String);

/// What tshark finds of interfaces offered in pipes.
fn asked_of_pipes(capture: &Path) -> BTreeSet<Offer> {
    let filter = "(smb || smb2) && (dcerpc.pkt_type == 11 || dcerpc.pkt_type == 14)";
    let names = ["ip.src", "ipv6.src", "tcp.srcport", "ip.dst", "ipv6.dst", "tcp.dstport", "dcerpc.cn_bind_to_uuid"];
    let mut told = BTreeSet::new();
    for cells in fields(capture, filter, &names) {
        let end =
            |at: usize| -> IpAddr { [&cells[at], &cells[at + 1]].iter().find_map(|text| text.parse().ok()).unwrap() };
        for uuid in cells[6].split(',') {
            told.insert((end(0), cells[2].parse().unwrap(), end(3), cells[5].parse().unwrap(), uuid.to_owned()));
        }
    }
    told
}

fn offered_in_pipes(learned: &Endpoints) -> BTreeSet<Offer> {
    let mut ours = BTreeSet::new();
    for (id, flow) in learned.pipe_flows() {
        let Some(client) = flow.client else { continue };
        let (asks, answers) = (id.key.end(client), id.key.end(client.other()));
        for interface in flow.pipes.values().flat_map(offered) {
            ours.insert((asks.addr.ip(), asks.port, answers.addr.ip(), answers.port, interface.uuid.to_string()));
        }
    }
    ours
}

/// Whether a file holds the first letters of a command of SMB.
fn holds_smb(bytes: &[u8]) -> bool {
    bytes.windows(4).any(|letters| matches!(letters, [0xfd..=0xff, b'S', b'M', b'B']))
}

/// Whether tshark is there to be asked.
fn tshark() -> bool {
    let there = Command::new("tshark").arg("-v").output().is_ok();
    if !there {
        println!("skipped: tshark is not installed");
    }
    there
}

/// What tshark says of the frames that a filter leaves.
fn fields(capture: &Path, filter: &str, names: &[&str]) -> Vec<Vec<String>> {
    let mut command = Command::new("tshark");
    command.args(["-n", "-T", "fields", "-Y", filter, "-r"]).arg(capture);
    for name in names {
        command.args(["-e", name]);
    }
    let said = String::from_utf8_lossy(&command.output().unwrap().stdout).into_owned();
    said.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

#[test]
fn the_number_of_threads_does_not_matter() {
    let Some(folder) = shared("captures/truth") else { return };
    let mut told = 0;
    for (name, truth, capture) in captures(&folder) {
        if towers(&truth).is_empty() && bindings(&truth).is_empty() && binds(&truth, "tcp").is_empty() {
            continue;
        }
        let [first, others @ ..] = THREADS;
        let (alone, learned) = (reported(&capture, first), run(&capture, first));
        told += list(&alone, "rpc_endpoints").len();
        for threads in others {
            let report = reported(&capture, threads);
            for part in ["rpc_endpoints", "findings", "pairs", "hosts"] {
                assert_eq!(report[part], alone[part], "{name}: {part} with {threads} threads");
            }
            let again = run(&capture, threads);
            assert!(again.flows().eq(learned.flows()), "{name}: flows with {threads} threads");
            assert!(again.pipe_flows().eq(learned.pipe_flows()), "{name}: pipes with {threads} threads");
        }
    }
    assert!(told > 20, "{told} endpoints: the captures with RPC were not found");
}

/// The pipeline joins segments its own way: the simplest way of all must come to the same.
#[test]
fn sessions_are_fed_as_the_simplest_way_feeds_them() {
    let Some(folder) = shared("captures/truth") else { return };
    for (name, _, capture) in captures(&folder) {
        let (simple, whole) = (reassembly::learn(&capture, usize::MAX).endpoints(), run(&capture, 1));
        assert_eq!(mapped(&simple), mapped(&whole), "{name}");
        assert_eq!(activated(&simple), activated(&whole), "{name}");
        assert_eq!(bound(&simple), bound(&whole), "{name}");
    }
}

#[test]
fn segments_of_any_size_tell_the_same() {
    let Some(folder) = shared("captures/truth") else { return };
    let mut compared = 0;
    for (name, truth, capture) in captures(&folder) {
        if towers(&truth).is_empty() && bindings(&truth).is_empty() {
            continue;
        }
        let whole = reassembly::learn(&capture, usize::MAX).endpoints();
        for piece in [1, 7, 100] {
            let pieces = reassembly::learn(&capture, piece).endpoints();
            assert_eq!(mapped(&pieces), mapped(&whole), "{name} in pieces of {piece}");
            assert_eq!(activated(&pieces), activated(&whole), "{name} in pieces of {piece}");
            compared += 1;
        }
    }
    assert!(compared > 30, "the captures with RPC were not found");
}

/// Each truth file: its name, what it holds, and the capture it speaks of.
fn captures(folder: &Path) -> Vec<(String, Value, PathBuf)> {
    let mut found = Vec::new();
    for path in files_below(folder).iter().filter(|path| path.extension().is_some_and(|extension| extension == "json"))
    {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let truth: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        if UNREAD.contains(&name.as_str()) {
            continue;
        }
        if let Some(capture) = shared(&format!("captures/{}", word(&truth["source"], "file"))) {
            found.push((name, truth, capture));
        }
    }
    found
}

fn statement(server: IpAddr, over: &str, port: u16, what: &str) -> String {
    format!("{over} {server} {port} {what}")
}

/// The towers with a port in replies that tshark read, but for those of the mapper itself.
fn towers(truth: &Value) -> BTreeSet<String> {
    let mut told = BTreeSet::new();
    for tower in list(truth, "epm").iter().filter(|tower| word(tower, "uuid") != MAPPER) {
        for over in ["tcp", "udp", "http"].into_iter().filter(|over| tower.get(*over).is_some()) {
            if port(tower, over) != 0 {
                told.insert(statement(address(tower, "server"), over, port(tower, over), &word(tower, "uuid")));
            }
        }
    }
    told
}

/// The report of the program.
fn reported(capture: &Path, threads: usize) -> Value {
    common::report(capture, &["--threads", &threads.to_string()])
}

/// What the pipeline learns.
fn run(capture: &Path, threads: usize) -> Endpoints {
    let mut source = Source::open(&[capture.to_path_buf()], Options::default()).unwrap();
    let settings = Settings { threads, flows_max: 1 << 20 };
    let knowledge = Knowledge::new();
    pipeline::run::run(&mut source, settings, &knowledge, &AtomicBool::new(false), &mut |_| ()).unwrap();
    knowledge.endpoints()
}

/// What the report says of ports, by these sources.
fn listed(report: &Value, sources: &[&str]) -> BTreeSet<String> {
    let mut ours = BTreeSet::new();
    for endpoint in list(report, "rpc_endpoints") {
        let known = list(endpoint, "interfaces").iter();
        for interface in known.filter(|interface| sources.contains(&word(interface, "source").as_str())) {
            let what = interface["uuid"].as_str().unwrap_or("oxid");
            let over = word(endpoint, "transport");
            ours.insert(statement(address(endpoint, "server"), &over, port(endpoint, "port"), what));
        }
    }
    ours
}

const MAPPER: &str = "e1af8308-5d1f-11c9-91a4-08002b14a0fa";

fn mapped(learned: &Endpoints) -> BTreeSet<String> {
    let mut ours = BTreeSet::new();
    for (server, over, port, all) in learned.ports() {
        for known in all.iter().filter(|known| matches!(known.source, Told::EptMap | Told::EptLookup)) {
            let over = match over {
                Over::Tcp => "tcp",
                Over::Udp => "udp",
                Over::Http => "http",
                Over::Pipe => "pipe",
            };
            ours.insert(statement(server.ip(), over, port, &known.interface.unwrap().uuid.to_string()));
        }
    }
    ours
}

/// Ports in the bindings of DCOM replies.
fn bindings(truth: &Value) -> BTreeSet<String> {
    let mut told = BTreeSet::new();
    for reply in list(truth, "dcom_bindings") {
        for value in list(reply, "values") {
            let endpoint = value.as_str().unwrap().split_once('[').and_then(|(_, rest)| rest.strip_suffix(']'));
            if let Some(port) = endpoint.and_then(|text| text.parse().ok()) {
                told.insert(statement(address(reply, "from"), "tcp", port, "oxid"));
            }
        }
    }
    told
}

fn activated(learned: &Endpoints) -> BTreeSet<String> {
    let of_ports = learned.ports().filter(|(.., all)| all.iter().any(|known| known.source == Told::Oxid));
    of_ports.map(|(server, _, port, _)| statement(server.ip(), "tcp", port, "oxid")).collect()
}

/// Interfaces that clients offered over TCP, or in pipes over SMB.
fn binds(truth: &Value, over: &str) -> BTreeSet<String> {
    let mut told = BTreeSet::new();
    for bind in list(truth, "binds").iter().filter(|bind| word(bind, "over") == over) {
        let [server, port] = list(bind, "server") else { continue };
        let (server, port) = (server.as_str().unwrap().parse().unwrap(), port.as_str().unwrap().parse().unwrap());
        for uuid in list(bind, "uuids") {
            told.insert(statement(server, "bind", port, uuid.as_str().unwrap()));
        }
    }
    told
}

fn bound(learned: &Endpoints) -> BTreeSet<String> {
    let mut ours = BTreeSet::new();
    for (id, flow) in learned.flows() {
        let Some(client) = flow.client else { continue };
        let server = id.key.end(client.other());
        let accepted = flow.bound.iter().map(|bound| bound.interface);
        for interface in accepted.chain(flow.rejected.iter().map(|rejected| rejected.interface)) {
            ours.insert(statement(server.addr.ip(), "bind", server.port, &interface.uuid.to_string()));
        }
    }
    ours
}

/// The same of pipes in flows of SMB.
fn in_pipes(learned: &Endpoints) -> BTreeSet<String> {
    let mut ours = BTreeSet::new();
    for (id, flow) in learned.pipe_flows() {
        let Some(client) = flow.client else { continue };
        let server = id.key.end(client.other());
        for interface in flow.pipes.values().flat_map(offered) {
            ours.insert(statement(server.addr.ip(), "bind", server.port, &interface.uuid.to_string()));
        }
    }
    ours
}

/// All interfaces that a client offered, whatever became of it.
fn offered(flow: &RpcFlow) -> Vec<InterfaceId> {
    let accepted = flow.bound.iter().map(|bound| bound.interface);
    let unanswered = flow.offered.iter().flat_map(|(_, interfaces)| interfaces).copied();
    accepted.chain(flow.rejected.iter().map(|rejected| rejected.interface)).chain(unanswered).collect()
}

/// A frame of a little-endian pcap: its header and its bytes.
type Record = (Vec<u8>, Vec<u8>);

/// The data of an Ethernet frame with TCP over IPv4: both ends, in the order that it went, and how many bytes.
fn data(frame: &[u8]) -> Option<([&[u8]; 2], usize)> {
    let ip = frame.get(14..).filter(|ip| frame[12..14] == [8, 0] && ip[9] == 6)?;
    let header = usize::from(ip[0] & 15) * 4;
    let length = usize::from(u16::from_be_bytes([ip[2], ip[3]])) - header - usize::from(ip[header + 12] >> 4) * 4;
    // Addresses and ports lie side by side in a header without options.
    (header == 20).then_some(([&ip[12..16], &ip[16..20]], length))
}

/// The capture with each answer that follows its question at once put before it, as two taps may show them; how many.
fn answers_first(capture: &[u8]) -> (Vec<u8>, usize) {
    let (head, mut rest) = capture.split_at(24);
    let mut records: Vec<Record> = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
        records.push((rest[..16].to_vec(), rest[16..16 + length].to_vec()));
        rest = &rest[16 + length..];
    }
    let (mut at, mut swapped) = (0, 0);
    while at + 1 < records.len() {
        let (asked, answered) = (data(&records[at].1), data(&records[at + 1].1));
        let turns = asked
            .zip(answered)
            .is_some_and(|((from, some), (to, more))| from[0] == to[1] && from[1] == to[0] && some > 0 && more > 0);
        if turns {
            let (question, answer) = (records[at].1.clone(), records[at + 1].1.clone());
            // Times go on as they did.
            let lengths = [records[at].0[8..].to_vec(), records[at + 1].0[8..].to_vec()];
            records[at].0.splice(8.., lengths[1].clone());
            records[at + 1].0.splice(8.., lengths[0].clone());
            (records[at].1, records[at + 1].1) = (answer, question);
            swapped += 1;
            at += 1;
        }
        at += 1;
    }
    let bytes = records.into_iter().flat_map(|(header, frame)| [header, frame].concat());
    (head.iter().copied().chain(bytes).collect(), swapped)
}

#[test]
fn answers_that_two_taps_show_before_their_questions_are_understood() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["dynrpc", "clean"] {
        let capture = PathBuf::from(format!("pcaps/lab/{name}.pcap"));
        let (bytes, swapped) = answers_first(&fs::read(&capture).unwrap());
        assert!(swapped > 50, "{swapped}");
        let early = folder.path().join(format!("{name}.pcap"));
        fs::write(&early, bytes).unwrap();
        let (whole, early) = (common::report(&capture, &[]), common::report(&early, &[]));
        let told = |report: &Value| -> BTreeSet<String> {
            let of = |endpoint: &Value, interface: &Value| {
                let parts = [&endpoint["server"], &endpoint["transport"], &endpoint["port"]].map(Value::to_string);
                let more = ["uuid", "source", "clients"].map(|name| interface[name].to_string());
                [parts, more].concat().join(" ")
            };
            let all = list(report, "rpc_endpoints").iter();
            all.flat_map(|row| list(row, "interfaces").iter().map(move |interface| of(row, interface))).collect()
        };
        assert!(told(&whole).len() > 5, "{whole}");
        assert_eq!(told(&early), told(&whole));
        assert_eq!((&early["health"]["acked_unseen"], &early["health"]["payload_holes"]), (&0.into(), &0.into()));
        let standings = |report: &Value| -> Vec<Value> {
            let services = list(report, "pairs").iter().flat_map(|pair| list(pair, "services"));
            services.map(|service| service["standings"].clone()).collect()
        };
        assert_eq!(standings(&early), standings(&whole));
        assert_eq!(list(&early, "findings").len(), list(&whole, "findings").len());
    }
}
