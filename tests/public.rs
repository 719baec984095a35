//! 108 public captures against what tshark made of them, conversation by conversation.
//!
//! tshark is a second opinion, not the law: each disagreement is either a fault, or stands in `ALLOWED` with its reason.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test may stop, and prints its table")]

mod common;

use common::End;
use common::Flow;
use common::decimal_nanoseconds;
use common::files_below;
use common::flows;
use common::key;
use common::list;
use common::number;
use common::report;
use common::shared;
use common::word;
use serde_json::Value;
use std::collections::BTreeMap;
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// Disagreements that were looked at: capture, transport, tshark's stream, and why portolan's view stands.
const ALLOWED: &[(&str, &str, u64, &str)] = &[
    (
        "PCAP-ATTACK__LM_WMI_ProcessCallCreate.pcapng",
        "udp",
        3,
        "an LLMNR answer to a multicast question: the port tells its direction, and the ICMP error met the answer",
    ),
    ("nDPI__fuzz-2006-09-29-28586.pcap", "tcp", 23, "a frame of 0xaa bytes whose TCP header ends behind the frame"),
];

/// Captures in a container that this program does not read.
const UNREAD: &[(&str, &str)] = &[("PcapPlusPlus__solaris.snoop", "snoop, RFC 1761")];

/// One conversation as tshark saw it.
struct Conversation {
    transport: &'static str,
    stream: u64,
    client: End,
    server: End,
    state: String,
    first_ns: i128,
    /// The first packet's sender was taken for the client, for want of a handshake.
    guessed: bool,
    /// Packets and payload bytes from the client, and from the server.
    packets: [u64; 2],
    payload: [u64; 2],
    icmp: bool,
    to_group: bool,
}

/// What came of comparing.
#[derive(Default)]
struct Tally {
    total: usize,
    /// Conversations without a handshake that portolan sees the other way round.
    turned: u64,
    /// Conversations with as many packets as tshark counted.
    counted: u64,
    /// Kind of conversation and our outcome.
    table: BTreeMap<(String, String), u64>,
    allowed: Vec<String>,
    faults: Vec<String>,
}

#[test]
fn conversations_agree_with_tshark() {
    let Some(folder) = shared("captures/truth") else { return };
    let mut tally = Tally::default();
    for (name, truth, capture) in captures(&folder) {
        let records = by_key(flows(&capture, &[]));
        for conversation in conversations(&truth) {
            compare(&mut tally, &name, &conversation, of_conversation(&records, &conversation));
        }
    }
    for ((state, outcome), count) in &tally.table {
        println!("{count:6}  {state:24} {outcome}");
    }
    println!(
        "{} conversations: {} allowed, {} faults, {} without handshake turned round, {} with equal packet counts",
        tally.total,
        tally.allowed.len(),
        tally.faults.len(),
        tally.turned,
        tally.counted
    );
    assert_eq!(tally.allowed.len(), ALLOWED.len(), "an allowed disagreement is gone, take it out: {:?}", tally.allowed);
    assert!(tally.faults.is_empty(), "\n{}", tally.faults.join("\n"));
}

/// Enters one conversation into the tally.
fn compare(tally: &mut Tally, name: &str, conversation: &Conversation, record: Option<&Flow>) {
    let seen = record.map_or("missing", |flow| flow.outcome.as_str());
    tally.total += 1;
    let kind = format!("{} {}", conversation.transport, conversation.state);
    *tally.table.entry((kind, seen.to_owned())).or_default() += 1;
    tally.counted += u64::from(record.is_some_and(|flow| flow.packets == conversation.packets.iter().sum::<u64>()));
    let same_direction = record.is_none_or(|flow| flow.orig == conversation.client);
    tally.turned += u64::from(!same_direction && conversation.guessed);
    let wanted = match judge(conversation, record) {
        Err(wanted) => wanted,
        Ok(()) if !same_direction && !conversation.guessed => "the direction of the handshake".to_owned(),
        Ok(()) => return,
    };
    let (transport, stream) = (conversation.transport, conversation.stream);
    if ALLOWED.iter().any(|allowed| (allowed.0, allowed.1, allowed.2) == (name, transport, stream)) {
        tally.allowed.push(format!("{name} {transport} {stream}"));
        return;
    }
    tally.faults.push(format!(
        "{name} {transport} {stream}: {} {:?} > {:?}, {:?} packets: wanted {wanted}, got {}",
        conversation.state,
        conversation.client,
        conversation.server,
        conversation.packets,
        record.map_or("nothing".to_owned(), Flow::line),
    ));
}

/// Each truth file: its name, what it holds, and the capture it speaks of.
fn captures(folder: &Path) -> Vec<(String, Value, PathBuf)> {
    let mut found = Vec::new();
    for path in files_below(folder).iter().filter(|path| path.extension().is_some_and(|extension| extension == "json"))
    {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let truth: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        if UNREAD.iter().any(|(unread, _)| *unread == name) {
            continue;
        }
        if let Some(capture) = shared(&format!("captures/{}", word(&truth["source"], "file"))) {
            found.push((name, truth, capture));
        }
    }
    assert!(found.len() > 100, "the truth was not found");
    found
}

#[test]
fn every_frame_is_counted_as_tshark_counts() {
    let Some(folder) = shared("captures/truth") else { return };
    let mut faults = Vec::new();
    for (name, truth, capture) in captures(&folder) {
        let health = &report(&capture, &[])["health"];
        let skipped: u64 = health["skipped"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
        let frames = number(health, "frames");
        if frames != number(&truth["totals"], "frames") || frames != number(health, "decoded") + skipped {
            faults.push(format!("{name}: tshark {}, health {health}", truth["totals"]["frames"]));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Domain controllers of the recorded domains, by the descriptions that the data sets publish with the captures.
const CONTROLLERS: &[(&str, &str)] = &[("Security-Datasets__", "172.18.38.5"), ("Security-Datasets__", "10.0.0.4")];

/// What every member asks of a domain controller.
const ASKED: &[u64] = &[53, 88, 123, 135, 389, 445, 464, 636, 3268, 3269];

/// A capture that shows little of a domain controller must not make its daily work unexpected.
#[test]
fn what_a_domain_controller_is_for_is_never_unexpected() {
    let Some(folder) = shared("captures/truth") else { return };
    let mut faults = Vec::new();
    let mut asked = 0;
    for (name, _, capture) in captures(&folder) {
        for (_, controller) in CONTROLLERS.iter().filter(|(data_set, _)| name.starts_with(data_set)) {
            let report = report(&capture, &[]);
            asked += list(&report, "pairs").iter().filter(|pair| word(pair, "server") == *controller).count();
            for finding in list(&report, "findings").iter().filter(|finding| word(finding, "server") == *controller) {
                let daily = finding["port"].as_u64().is_some_and(|port| ASKED.contains(&port));
                if daily && ["unexpected", "attempt"].contains(&word(finding, "finding").as_str()) {
                    faults.push(format!("{name}: {} {}", word(finding, "transport"), finding["port"]));
                }
            }
        }
    }
    assert!(asked > 10, "no capture asks a domain controller");
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Attempts that a firewall of the recorded network swallowed, and all that a report may call blocked there.
struct Swallowed {
    capture: &'static str,
    finding: &'static str,
    client: &'static str,
    server: &'static str,
    port: u64,
    interface: Option<&'static str>,
    /// The first and the last SYN.
    frames: [u64; 2],
}

const SWALLOWED: &[Swallowed] = &[
    Swallowed {
        capture: "covenant_sc_query_dcerpc_smb_svcctl.zip.d/covenant_sc_query_dcerpc_smb_svcctl_2020-08-05034820.cap",
        finding: "rpc_blocked",
        client: "172.18.39.5",
        server: "172.18.38.5",
        port: 49_683,
        interface: Some("svcctl"),
        frames: [59, 73],
    },
    Swallowed {
        capture: "covenant_sharpsc_create_dcerpc_smb_svcctl.zip.d/covenant_sharpsc_create_dcerpc_smb_svcctl_2020-08-06022635.cap",
        finding: "rpc_blocked",
        client: "172.18.39.5",
        server: "172.18.39.6",
        port: 50_115,
        interface: Some("svcctl"),
        frames: [76, 158],
    },
    Swallowed {
        capture: "covenant_dcom_executeexcel4macro_blocked.zip.d/covenant_dcom_executeexcel4macro_blocked_2020-09-17173147.cap",
        finding: "epm_blocked",
        client: "172.18.39.5",
        server: "172.18.39.6",
        port: 135,
        interface: None,
        frames: [102, 118],
    },
];

/// Services behind the endpoint mapper, and the mapper itself, really blocked and recorded.
#[test]
fn real_blocked_rpc_is_found_by_name() {
    let folder = "captures/public/OTRF+Security-Datasets/datasets/atomic/windows/lateral_movement/network";
    for swallowed in SWALLOWED {
        let Some(path) = shared(&format!("{folder}/{}", swallowed.capture)) else { return };
        for threads in ["1", "3"] {
            let report = report(&path, &["--threads", threads]);
            let kinds = ["blocked", "rpc_blocked", "epm_blocked", "rpc_not_registered"];
            let blocked = list(&report, "findings").iter().filter(|f| kinds.contains(&word(f, "finding").as_str()));
            let [finding] = blocked.collect::<Vec<_>>()[..] else {
                unreachable!("one finding in {}", swallowed.capture)
            };
            assert_eq!(word(finding, "finding"), swallowed.finding, "{finding}");
            assert_eq!(word(finding, "outcome"), "dropped", "{finding}");
            assert_eq!(word(finding, "client"), swallowed.client, "{finding}");
            assert_eq!(word(finding, "server"), swallowed.server, "{finding}");
            assert_eq!(number(finding, "port"), swallowed.port, "{finding}");
            let shown = list(finding, "frames");
            let ends = [shown.first(), shown.last()].map(|frame| frame.unwrap().as_u64().unwrap());
            assert_eq!(ends, swallowed.frames, "{finding}");
            let interface = &finding["interface"];
            assert_eq!(interface["name"].as_str(), swallowed.interface, "{finding}");
            if swallowed.interface.is_some() {
                assert_eq!(word(interface, "grade"), "B", "{finding}");
                assert!(number(interface, "learned_frame") < ends[0], "the answer came before the attempt: {finding}");
            }
        }
    }
}

fn by_key(flows: Vec<Flow>) -> HashMap<(String, End, End), Vec<Flow>> {
    let mut records: HashMap<_, Vec<Flow>> = HashMap::new();
    for flow in flows {
        records.entry(flow.key()).or_default().push(flow);
    }
    records
}

/// The record of the 5-tuple that began nearest to the conversation.
fn of_conversation<'a>(
    records: &'a HashMap<(String, End, End), Vec<Flow>>,
    conversation: &Conversation,
) -> Option<&'a Flow> {
    let of_tuple = records.get(&key(conversation.transport, conversation.client, conversation.server))?;
    of_tuple.iter().min_by_key(|flow| (flow.first_ns - conversation.first_ns).abs())
}

/// Whether a record may say what it says of such a conversation; else what was wanted.
fn judge(conversation: &Conversation, record: Option<&Flow>) -> Result<(), String> {
    let Some(record) = record else {
        // A lone reset or FIN is no flow; a datagram to a group or a broken header need not be one.
        let stray =
            conversation.state == "midstream" && conversation.payload == [0, 0] && conversation.packets.contains(&0);
        return if stray { Ok(()) } else { Err("a record".to_owned()) };
    };
    let one_of = |wanted: &[&str]| {
        if wanted.contains(&record.outcome.as_str()) { Ok(()) } else { Err(wanted.join(" or ")) }
    };
    let marked = record.flags.iter().any(|flag| flag == "mid_stream");
    match conversation.state.as_str() {
        "completed" => one_of(&["open", "reset", "stalled"]),
        "half-open, reset" => one_of(&["open", "unknown"]),
        "half-open" => one_of(&["reply_lost", "unknown", "pending"]),
        "refused" => one_of(&["refused", "rejected"]),
        "icmp-unreach" => one_of(&["rejected", "refused"]),
        "syn-unanswered" => one_of(&["dropped", "unknown", "pending", "one_way"]),
        // tshark says so whenever the SYN is missing; where the client speaks on, the connection works.
        "synack-only" if !conversation.packets.contains(&0) => one_of(&["open"]),
        "synack-only" => one_of(&["one_way", "unknown"]),
        "syn-then-odd" => one_of(&["dropped", "unknown", "pending", "one_way", "open"]),
        "midstream" => {
            one_of(&["open", "one_way", "unknown", "stalled"])?;
            if record.outcome == "open" && conversation.packets.contains(&0) {
                return Err("no open: one side never spoke".to_owned());
            }
            if marked || record.outcome == "unknown" { Ok(()) } else { Err("the flag mid_stream".to_owned()) }
        }
        "answered" => one_of(&["open"]),
        "unanswered" if conversation.icmp => one_of(&["rejected", "refused"]),
        "unanswered" if conversation.to_group && record.standing == "not_judged" && record.outcome != "open" => Ok(()),
        "unanswered" => one_of(&["unanswered", "pending", "unknown", "one_way"]),
        other => Err(format!("the test to know {other}")),
    }
}

fn conversations(truth: &Value) -> Vec<Conversation> {
    let both = [("tcp", list(truth, "tcp")), ("udp", list(truth, "udp"))];
    both.into_iter().flat_map(|(transport, streams)| conversations_of(transport, streams)).collect()
}

fn conversations_of(transport: &'static str, streams: &[Value]) -> Vec<Conversation> {
    let mut found = Vec::new();
    for stream in streams {
        let end = |side: &str| -> End {
            let pair = stream[side].as_array().unwrap();
            (pair[0].as_str().unwrap().parse().unwrap(), u16::try_from(pair[1].as_u64().unwrap()).unwrap())
        };
        let state = match stream.get("answered").and_then(Value::as_bool) {
            Some(true) => "answered".to_owned(),
            Some(false) => "unanswered".to_owned(),
            None if stream["half_open_rst"] == true => "half-open, reset".to_owned(),
            None => word(stream, "state"),
        };
        found.push(Conversation {
            transport,
            stream: number(stream, "stream"),
            client: end("client"),
            server: end("server"),
            state,
            first_ns: decimal_nanoseconds(&word(stream, "first")),
            guessed: transport == "udp" || stream["client_basis"] == "first-packet",
            packets: [number(stream, "pkts_c2s"), number(stream, "pkts_s2c")],
            payload: [number(stream, "payload_c2s"), number(stream, "payload_s2c")],
            icmp: stream.get("icmp").is_some(),
            to_group: stream.get("dst_kind").is_some_and(|kind| kind != "unicast"),
        });
    }
    found
}
