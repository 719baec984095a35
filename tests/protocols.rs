//! Which protocol each conversation speaks: this program against tshark, over captures of others.
//!
//! tshark is a second opinion, not the law: each disagreement is either a fault, or of a kind that
//! stands in `KNOWN` with its reason. Where tshark goes by the port alone, it is asked again, told to read what this
//! program says; what it then finds in the bytes of every such conversation is its second opinion, and must agree.
//! Captures with truth are compared in every run. All others are with `-- --ignored`, which starts tshark for each of
//! two thousand captures.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test may stop, says why it skips, and prints its table"
)]

mod common;

use common::End;
use common::Flow;
use common::decimal_nanoseconds;
use common::files_below;
use common::finish;
use common::key;
use common::shared;
use flate2::read::GzDecoder;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::fs;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

/// Names of tshark's dissectors, and of the protocol that this program calls so.
const DISSECTORS: &[(&str, &str)] = &[
    ("ldap", "ldap"),
    ("cldap", "ldap"),
    ("kerberos", "kerberos"),
    ("kpasswd", "kpasswd"),
    ("smb", "smb"),
    ("smb2", "smb"),
    ("nbss", "smb"),
    ("nbss", "netbios-session"),
    ("nbns", "netbios-name"),
    ("nbdgm", "netbios-datagram"),
    ("dcerpc", "dcerpc"),
    ("tls", "tls"),
    ("http", "http"),
    ("http2", "http"),
    ("dns", "dns"),
    ("mdns", "dns"),
    ("llmnr", "dns"),
    ("ntp", "ntp"),
    ("rdp", "rdp"),
    ("tds", "tds"),
    ("smtp", "smtp"),
    ("imap", "imap"),
    ("pop", "pop3"),
    ("ftp", "ftp"),
    ("ssh", "ssh"),
    ("telnet", "telnet"),
    ("snmp", "snmp"),
    ("radius", "radius"),
    ("dhcp", "dhcp"),
    ("dhcpv6", "dhcp"),
    ("isakmp", "ike"),
];

/// What tshark shows above TCP and UDP that is no protocol of its own: marks of its own work, layers below or within a
/// protocol, and content.
const NO_PROTOCOL: &[&str] =
    &["data", "_ws.malformed", "_ws.short", "_ws.unreassembled", "_ws.lua.text", "tcp.segments"];

/// A disagreement that was looked at.
struct Known {
    /// Part of the capture's path.
    capture: &'static str,
    /// What this program says.
    ours: &'static str,
    /// A dissector that tshark shows.
    theirs: &'static str,
    /// tshark takes its word from the port alone. To be proved by [`confirm`]: told to read the bytes as this program does,
    /// it finds messages of that protocol in them.
    by_port: bool,
    why: &'static str,
}

const fn by_port(capture: &'static str, ours: &'static str, theirs: &'static str, why: &'static str) -> Known {
    Known { capture, ours, theirs, by_port: true, why }
}

const fn by_bytes(capture: &'static str, ours: &'static str, theirs: &'static str, why: &'static str) -> Known {
    Known { capture, ours, theirs, by_port: false, why }
}

const HTTP_EVERYWHERE: &str = "made traffic: HTTP requests and answers on the ports of other protocols";
const SHARED_WORDS: &str = "USER, PASS and SIZE, met in the middle: both may have them, and only the port tells";

const USER_TOO: &str = "IRC has USER too: likely, not certainly";
const OK_TOO: &str = "Redis answers +OK too: likely, not certainly";

const KNOWN: &[Known] = &[
    by_port("NotYuSheng+TracePcap", "http", "tls", HTTP_EVERYWHERE),
    by_port("NotYuSheng+TracePcap", "http", "nbss", HTTP_EVERYWHERE),
    by_port("NotYuSheng+TracePcap", "http", "smtp", HTTP_EVERYWHERE),
    by_port("NotYuSheng+TracePcap", "http", "ftp", HTTP_EVERYWHERE),
    by_port("NotYuSheng+TracePcap", "http", "telnet", HTTP_EVERYWHERE),
    by_port("dcerpc_synthetic.pcap", "dcerpc", "nbss", "made traffic: DCE/RPC right above TCP"),
    by_port("wrongdissector.pcapng", "ftp", "tls", "FTP on port 443, recorded to show what tshark makes of it"),
    by_port("gnutella.pcap", "http", "gnutella", "files are fetched by HTTP"),
    by_port("http-single-conn-22.pcap", "http", "ssh", "made traffic: HTTP on port 22"),
    by_port("telnet-auth-missing-name.pcap", "telnet", "ftp", "made traffic: Telnet on port 21"),
    by_port("FuzzTarget-5758569646653440", "tls", "bgp", "damaged on purpose; port 179"),
    by_bytes("fuzz-2006-06-26-2594.pcap", "dns", "nbns", "a damaged letter: it is no such name any more"),
    by_bytes("fuzz-2006-06-26-2594.pcap", "pop3", "ftp", SHARED_WORDS),
    by_bytes("linux-cooked-unsw-nb15.pcap", "pop3", "ftp", SHARED_WORDS),
    by_bytes("PacketExamples/Ftp.pcap", "pop3", "ftp", SHARED_WORDS),
    by_bytes("contentline-irc-5k-line.pcap", "pop3", "irc", USER_TOO),
    by_bytes("irc-basic.pcap", "pop3", "irc", USER_TOO),
    by_bytes("irc-whitespace.pcap", "pop3", "irc", USER_TOO),
    by_bytes("redis-50-pings.pcap", "pop3", "resp", OK_TOO),
    by_bytes("bulk-loading.pcap", "pop3", "resp", OK_TOO),
    by_bytes("start-with-server.pcapng", "pop3", "resp", OK_TOO),
    by_bytes(
        "wireshark-dtls0.pcap",
        "ntp",
        "dtls",
        "DTLS 1.0 of 2006 is like a control message of NTP: likely, not certainly",
    ),
    by_bytes("kismet.pcap", "imap", "kismet", "tagged commands with a word of IMAP: likely, not certainly"),
    by_bytes("ossfuzz_seed_fake_traces_2.pcapng", "smtp", "nntp", "HELP is a word of both: likely, not certainly"),
];

/// One frame as tshark sees it.
struct Row {
    time_ns: i128,
    transport: &'static str,
    stream: u64,
    src: End,
    dst: End,
    /// The dissectors above the transport.
    above: BTreeSet<String>,
    has_payload: bool,
}

/// One conversation as tshark sees it.
struct Conversation {
    first_ns: i128,
    ends: (End, End),
    above: BTreeSet<String>,
    has_payload: bool,
}

/// What came of comparing.
#[derive(Default)]
struct Tally {
    captures: usize,
    agreed: u64,
    /// This program names a protocol, tshark none.
    ours_only: BTreeMap<String, u64>,
    /// tshark names one that this program knows, and this program none.
    theirs_only: BTreeMap<String, u64>,
    /// tshark names one that this program has no word for, and this program none.
    beyond: u64,
    neither: u64,
    /// Conversations in which tshark finds the same as this program, once it is told not to go by the port.
    confirmed: u64,
    /// Known disagreements, by their place in [`KNOWN`].
    known: BTreeMap<usize, u64>,
    /// Conversations in which tshark goes by the port, by capture and what this program says: to be asked again.
    doubted: BTreeMap<(PathBuf, &'static str), Vec<Doubt>>,
    faults: Vec<String>,
}

/// A conversation to be asked again.
struct Doubt {
    transport: &'static str,
    stream: u64,
    /// The responder's port, or the other one.
    port: u16,
}

/// What tshark calls a protocol, and what it shows only where it found a message of it.
const SECOND: &[(&str, &str, &str)] = &[
    ("http", "http", "http.request || http.response"),
    ("dcerpc", "dcerpc", "dcerpc.cn_bind_to_uuid || dcerpc.cn_ack_result"),
    ("ftp", "ftp", "ftp.request || ftp.response"),
    ("telnet", "telnet", "telnet.cmd || telnet.data"),
    ("tls", "tls", "tls.record.content_type"),
];

#[test]
fn protocols_agree_with_tshark() {
    let Some(folder) = shared("captures/truth") else { return };
    let mut tally = Tally::default();
    for path in files_below(&folder).iter().filter(|path| path.to_string_lossy().ends_with(".packets.tsv.gz")) {
        let told = path.to_string_lossy().replace(".packets.tsv.gz", ".json");
        let truth: serde_json::Value = serde_json::from_str(&fs::read_to_string(told).unwrap()).unwrap();
        let Some(capture) = shared(&format!("captures/{}", common::word(&truth["source"], "file"))) else { continue };
        let mut text = String::new();
        GzDecoder::new(File::open(path).unwrap()).read_to_string(&mut text).unwrap();
        compare(&mut tally, &capture, text.lines().skip(1).filter_map(recorded));
    }
    if asked_again() {
        confirm(&mut tally);
    }
    settle(&tally);
    assert!(tally.agreed > 1000, "the conversations were not found");
}

#[test]
#[ignore = "starts tshark for each of two thousand captures, which takes a quarter of an hour"]
fn protocols_agree_with_tshark_in_every_public_capture() {
    let Some(folder) = shared("captures/public") else { return };
    if !asked_again() {
        return;
    }
    let mut tally = Tally::default();
    for capture in files_below(&folder) {
        let text = asked(&capture);
        compare(&mut tally, &capture, text.lines().filter_map(row));
    }
    confirm(&mut tally);
    let apart = settle(&tally);
    assert!(tally.agreed > 5_000, "the conversations were not found");
    assert!(apart * 200 < tally.agreed + tally.confirmed, "one in two hundred disagrees");
    assert_eq!(tally.known.len(), KNOWN.len(), "a known disagreement is gone, take it out");
}

/// Whether tshark is there to be asked.
fn asked_again() -> bool {
    let there = Command::new("tshark").arg("-v").output().is_ok();
    if !there {
        eprintln!("skipped: tshark is not installed");
    }
    there
}

/// Asks tshark again of every conversation in which it went by the port, and enters a fault where it does not find what
/// this program says.
fn confirm(tally: &mut Tally) {
    for ((capture, ours), doubts) in std::mem::take(&mut tally.doubted) {
        let (_, theirs, shows) = SECOND.iter().find(|(name, ..)| *name == ours).unwrap();
        for transport in ["tcp", "udp"] {
            let doubts: Vec<&Doubt> = doubts.iter().filter(|doubt| doubt.transport == transport).collect();
            if doubts.is_empty() {
                continue;
            }
            let ports: BTreeSet<u16> = doubts.iter().map(|doubt| doubt.port).collect();
            let mut command = Command::new("tshark");
            command.args(["-n", "-T", "fields", "-e", &format!("{transport}.stream"), "-Y", shows, "-r"]).arg(&capture);
            for port in ports {
                command.args(["-d", &format!("{transport}.port=={port},{theirs}")]);
            }
            let found = streams(&mut command);
            // Made traffic repeats its numbers, or ends before what it announces: then tshark waits, unless it must not.
            command.args(["-o", "tcp.desegment_tcp_streams:FALSE"]);
            let found: BTreeSet<u64> = found.into_iter().chain(streams(&mut command)).collect();
            for doubt in doubts {
                if found.contains(&doubt.stream) {
                    tally.confirmed += 1;
                } else {
                    let Doubt { stream, port, .. } = doubt;
                    let shown = capture.display();
                    tally.faults.push(format!("{shown} {transport} {stream}: tshark finds no {theirs} at port {port}"));
                }
            }
        }
    }
}

/// The streams of which tshark shows a frame.
fn streams(command: &mut Command) -> Vec<u64> {
    let said = command.output().unwrap().stdout;
    String::from_utf8_lossy(&said).lines().filter_map(|line| line.parse().ok()).collect()
}

/// Prints the table, and fails if a disagreement was not looked at. How many rest on more than ports.
fn settle(tally: &Tally) -> u64 {
    let theirs: u64 = tally.theirs_only.values().sum();
    let of = |by_port: bool| -> u64 {
        let known = KNOWN.iter().enumerate().filter(|(_, known)| known.by_port == by_port);
        known.filter_map(|(place, _)| tally.known.get(&place)).sum()
    };
    let apart = of(false) + u64::try_from(tally.faults.len()).unwrap();
    println!("{:7} captures", tally.captures);
    println!("{:7} conversations: both agree", tally.agreed);
    println!("{apart:7} disagree");
    println!(
        "{:7} where tshark goes by the port; told to read the bytes as this program does, it finds that in {}",
        of(true),
        tally.confirmed
    );
    println!("{theirs:7} known to tshark only: {:?}", tally.theirs_only);
    println!("{:7} known to this program only: {:?}", tally.ours_only.values().sum::<u64>(), tally.ours_only);
    println!("{:7} known to tshark, by words that this program does not have", tally.beyond);
    println!("{:7} known to nobody", tally.neither);
    for (place, count) in &tally.known {
        let Known { capture, ours, theirs, why, .. } = &KNOWN[*place];
        println!("{count:7} {capture}: {ours} here, {theirs} there: {why}");
    }
    assert!(tally.faults.is_empty(), "\n{}", tally.faults.join("\n"));
    apart
}

/// Enters the conversations of one capture into the tally.
fn compare(tally: &mut Tally, capture: &Path, rows: impl Iterator<Item = Row>) {
    let Some(records) = records(capture) else { return };
    tally.captures += 1;
    let mut conversations: BTreeMap<(&'static str, u64), Conversation> = BTreeMap::new();
    for row in rows {
        let fresh = || Conversation {
            first_ns: row.time_ns,
            ends: (row.src, row.dst),
            above: BTreeSet::new(),
            has_payload: false,
        };
        let conversation = conversations.entry((row.transport, row.stream)).or_insert_with(fresh);
        conversation.has_payload |= row.has_payload;
        conversation.above.extend(row.above);
    }
    for ((transport, stream), conversation) in conversations {
        let (one, other) = conversation.ends;
        let Some(of_tuple) = records.get(&key(transport, one, other)).filter(|_| conversation.has_payload) else {
            continue;
        };
        let nearest = |flow: &&Flow| (flow.first_ns - conversation.first_ns).abs();
        let record = of_tuple.iter().min_by_key(nearest).unwrap();
        let known = DISSECTORS.iter().filter(|(theirs, _)| conversation.above.contains(*theirs));
        let theirs: BTreeSet<&str> = known.map(|(_, ours)| *ours).collect();
        let app = record.app.as_str();
        match (app, theirs.first()) {
            ("", None) if conversation.above.is_empty() => tally.neither += 1,
            ("", None) => tally.beyond += 1,
            ("", Some(their)) => *tally.theirs_only.entry((*their).to_owned()).or_default() += 1,
            _ if conversation.above.is_empty() => *tally.ours_only.entry(app.to_owned()).or_default() += 1,
            _ if theirs.contains(app) => tally.agreed += 1,
            _ => {
                let shown = capture.to_string_lossy();
                let is = |known: &Known| {
                    shown.contains(known.capture) && known.ours == app && conversation.above.contains(known.theirs)
                };
                if let Some(place) = KNOWN.iter().position(is) {
                    *tally.known.entry(place).or_default() += 1;
                    if KNOWN[place].by_port {
                        // No dissector can be told to read port 0.
                        let port = if record.resp.1 == 0 { record.orig.1 } else { record.resp.1 };
                        let doubt = Doubt { transport, stream, port };
                        let of_capture = (capture.to_path_buf(), KNOWN[place].ours);
                        tally.doubted.entry(of_capture).or_default().push(doubt);
                    }
                } else {
                    let above = &conversation.above;
                    tally
                        .faults
                        .push(format!("{shown} {transport} {stream}: {app}, tshark {above:?}: {}", record.line()));
                }
            }
        }
    }
}

/// The flows of a capture by their ends. None of a file that is no capture for this program.
fn records(capture: &Path) -> Option<HashMap<(String, End, End), Vec<Flow>>> {
    let ran = finish(common::command().arg("analyze").arg(capture).args(["--format", "ndjson"]));
    if ran.code == Some(4) {
        return None;
    }
    assert!(matches!(ran.code, Some(0 | 3)), "{}: exit {:?}: {}", capture.display(), ran.code, ran.stderr);
    let mut records: HashMap<_, Vec<Flow>> = HashMap::new();
    for line in ran.text().lines() {
        let flow = common::flow(&serde_json::from_str(line).unwrap());
        records.entry(flow.key()).or_default().push(flow);
    }
    Some(records)
}

/// A row of a truth table.
fn recorded(line: &str) -> Option<Row> {
    let cells: Vec<&str> = line.split('\t').collect();
    let cell = |place: usize| cells.get(place).copied().unwrap_or_default();
    let end = |address: usize, port: usize| Some((cell(address).parse().ok()?, cell(port).parse().ok()?));
    let (transport, above) = above(cell(16))?;
    Some(Row {
        time_ns: time_ns(cell(1))?,
        transport,
        stream: cell(14).parse().ok()?,
        src: end(7, 10)?,
        dst: end(8, 11)?,
        has_payload: transport == "udp" || cell(13) != "0",
        above,
    })
}

/// The fields that tshark is asked for, in the order in which [`row`] takes them.
const FIELDS: [&str; 13] = [
    "frame.time_epoch",
    "frame.protocols",
    "ip.src",
    "ip.dst",
    "ipv6.src",
    "ipv6.dst",
    "tcp.srcport",
    "tcp.dstport",
    "tcp.stream",
    "tcp.len",
    "udp.srcport",
    "udp.dstport",
    "udp.stream",
];

/// What tshark says of the innermost packet of every frame. A damaged capture is told as far as it can be read.
fn asked(capture: &Path) -> String {
    let mut command = Command::new("tshark");
    command.args(["-n", "-T", "fields", "-E", "occurrence=l", "-r"]).arg(capture);
    for field in FIELDS {
        command.args(["-e", field]);
    }
    String::from_utf8_lossy(&command.output().unwrap().stdout).into_owned()
}

/// A line of what tshark was asked for.
fn row(line: &str) -> Option<Row> {
    let cells: Vec<&str> = line.split('\t').collect();
    let &[
        time,
        protocols,
        ip_src,
        ip_dst,
        ipv6_src,
        ipv6_dst,
        tcp_src,
        tcp_dst,
        tcp_stream,
        tcp_len,
        udp_src,
        udp_dst,
        udp_stream,
    ] = cells.as_slice()
    else {
        return None;
    };
    let (transport, above) = above(protocols)?;
    let is_ipv6 = protocols.split(':').rfind(|layer| ["ip", "ipv6"].contains(layer)) == Some("ipv6");
    let (src, dst) = if is_ipv6 { (ipv6_src, ipv6_dst) } else { (ip_src, ip_dst) };
    let (src_port, dst_port, stream) =
        if transport == "tcp" { (tcp_src, tcp_dst, tcp_stream) } else { (udp_src, udp_dst, udp_stream) };
    Some(Row {
        time_ns: time_ns(time)?,
        transport,
        stream: stream.parse().ok()?,
        src: (src.parse().ok()?, src_port.parse().ok()?),
        dst: (dst.parse().ok()?, dst_port.parse().ok()?),
        has_payload: transport == "udp" || tcp_len != "0",
        above,
    })
}

/// The time of a frame; a block of pcapng may have none.
fn time_ns(text: &str) -> Option<i128> {
    text.starts_with(|first: char| first.is_ascii_digit()).then(|| decimal_nanoseconds(text))
}

/// The transport of the innermost packet, and the dissectors above it. None of what is neither TCP nor UDP, and of ICMP.
fn above(protocols: &str) -> Option<(&'static str, BTreeSet<String>)> {
    let layers: Vec<&str> = protocols.split(':').collect();
    if layers.iter().any(|layer| ["icmp", "icmpv6"].contains(layer)) {
        return None;
    }
    let network = layers.iter().rposition(|layer| ["ip", "ipv6"].contains(layer))?;
    let over = network + layers.get(network..)?.iter().position(|layer| ["tcp", "udp"].contains(layer))?;
    let transport = if layers.get(over) == Some(&"tcp") { "tcp" } else { "udp" };
    let named = layers.get(over + 1..)?.iter().filter(|layer| !NO_PROTOCOL.contains(layer));
    Some((transport, named.map(|layer| (*layer).to_owned()).collect()))
}
