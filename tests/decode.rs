//! Decoding against tshark, frame by frame, over the captures of the sibling folder `../shared`.

#![expect(clippy::unwrap_used, clippy::print_stderr, clippy::panic, reason = "a test may stop here, and says where")]

use std::collections::HashMap;
use std::fs;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

use flate2::read::GzDecoder;
use portolan::capture::batch::Frame;
use portolan::capture::batch::LinkType;
use portolan::decode::decoder::Decoder;
use portolan::decode::packet::Decoded;
use portolan::decode::packet::Layer;
use portolan::decode::packet::Packet;
use portolan::decode::packet::SkipReason;
use portolan::model::ids::FrameId;
use portolan::model::time::Timestamp;
use portolan::model::transport::Transport;
use serde_json::Value;

/// One line of a truth table: what tshark says of a frame's innermost packet.
struct Row<'a> {
    src: &'a str,
    dst: &'a str,
    l4: &'a str,
    ports: Option<(u16, u16)>,
    flags: Option<u16>,
    tcp_len: Option<u32>,
    protocols: &'a str,
    malformed: bool,
}

impl<'a> Row<'a> {
    fn of(line: &'a str) -> Self {
        let cells: Vec<&str> = line.split('\t').collect();
        let cell = |place: usize| cells.get(place).copied().unwrap_or_default();
        Self {
            src: cell(7),
            dst: cell(8),
            l4: cell(9),
            ports: cell(10).parse().ok().zip(cell(11).parse().ok()),
            flags: u16::from_str_radix(cell(12).trim_start_matches("0x"), 16).ok(),
            tcp_len: cell(13).parse().ok(),
            protocols: cell(16),
            malformed: !cell(17).is_empty(),
        }
    }
}

fn told(decoded: &Decoded) -> String {
    match decoded {
        Decoded::Skip(reason) => format!("skip {}", reason.name()),
        Decoded::Packet(packet) => {
            let (src, dst) = (packet.key.end(packet.from), packet.key.end(packet.from.other()));
            format!(
                "{} {}:{} {}:{} {:?} payload {}",
                packet.key.transport, src.addr, src.port, dst.addr, dst.port, packet.layer, packet.payload_len
            )
        }
    }
}

/// Whether what we say of a frame is what tshark says.
fn agrees(row: &Row<'_>, quoted: Option<&Value>, decoded: &Decoded) -> bool {
    let packet = match decoded {
        Decoded::Packet(packet) => packet,
        Decoded::Skip(reason) => return skip_agrees(row, quoted, *reason),
    };
    let (src, dst) = (packet.key.end(packet.from), packet.key.end(packet.from.other()));
    if let Layer::IcmpError(error) = packet.layer {
        return error.sender.to_string() == row.src && quoted.is_some_and(|quoted| quote_agrees(quoted, packet));
    }
    if src.addr.to_string() != row.src || dst.addr.to_string() != row.dst {
        return false;
    }
    match (row.l4, packet.layer) {
        ("tcp", Layer::Tcp(tcp)) => {
            row.ports == Some((src.port, dst.port))
                && row.flags.is_some_and(|flags| flags & 0xff == u16::from(tcp.flags))
                && row.tcp_len.is_none_or(|len| len == packet.payload_len)
        }
        ("udp", Layer::Udp { .. }) => row.ports == Some((src.port, dst.port)),
        // tshark joins fragments: the last piece is the datagram, the others are bare IP.
        ("tcp" | "udp", Layer::Fragment) => row.ports == Some((src.port, dst.port)),
        ("", Layer::Fragment | Layer::Udp { .. } | Layer::EchoRequest | Layer::EchoReply) => {
            row.protocols.ends_with(":data") && packet.ip_len >= 100
        }
        ("icmp" | "icmpv6", Layer::EchoRequest | Layer::EchoReply | Layer::Fragment) => {
            packet.key.transport == Transport::Icmp
        }
        ("sctp" | "esp" | "ah", Layer::Other) => packet.key.transport.name() == row.l4,
        _ => false,
    }
}

fn quote_agrees(quoted: &Value, packet: &Packet) -> bool {
    let (src, dst) = (packet.key.end(packet.from), packet.key.end(packet.from.other()));
    let port = |name: &str| quoted[name].as_u64();
    quoted["src"] == src.addr.to_string()
        && quoted["dst"] == dst.addr.to_string()
        && port("sport").is_none_or(|port| port == u64::from(src.port))
        && port("dport").is_none_or(|port| port == u64::from(dst.port))
        && quoted["proto"].as_str().is_some_and(|proto| proto.starts_with(packet.key.transport.name()))
}

fn skip_agrees(row: &Row<'_>, quoted: Option<&Value>, reason: SkipReason) -> bool {
    match reason {
        SkipReason::Icmp => matches!(row.l4, "icmp" | "icmpv6") && quoted.is_none(),
        SkipReason::IpProtocol => !row.src.is_empty() && !FOLLOWED.contains(&row.l4),
        SkipReason::Fragment => row.l4.is_empty() && row.protocols.ends_with(":data"),
        SkipReason::Arp => row.protocols.contains("arp"),
        SkipReason::NotIp | SkipReason::LinkControl | SkipReason::LinkType => row.src.is_empty(),
        SkipReason::CutShort | SkipReason::Malformed => row.ports.is_none() && row.malformed,
        SkipReason::TooDeep => false,
    }
}

const FOLLOWED: [&str; 7] = ["tcp", "udp", "icmp", "icmpv6", "sctp", "esp", "ah"];

struct Captured {
    frame: Frame,
    bytes: Vec<u8>,
}

fn le(order: bool, bytes: &[u8], at: usize) -> u32 {
    let four = bytes[at..at + 4].try_into().unwrap();
    if order { u32::from_le_bytes(four) } else { u32::from_be_bytes(four) }
}

fn captured(number: u64, ts: u64, wire_len: u32, link: u32, bytes: &[u8]) -> Captured {
    let frame = Frame {
        id: FrameId::new(0, number),
        ts: Timestamp(ts),
        at: 0,
        captured: u32::try_from(bytes.len()).unwrap(),
        wire_len,
        link: LinkType(u16::try_from(link & 0xffff).unwrap()),
    };
    Captured { frame, bytes: bytes.to_vec() }
}

/// The frames of a pcap or pcapng file, as far as they are whole.
fn frames_of(file: &[u8]) -> Vec<Captured> {
    let mut frames = Vec::new();
    if file.starts_with(&[0x1f, 0x8b]) {
        let mut whole = Vec::new();
        GzDecoder::new(file).read_to_end(&mut whole).unwrap();
        return frames_of(&whole);
    }
    let magic = &file[..4];
    if magic == [10, 13, 13, 10] {
        let (mut at, mut order, mut links) = (0, true, Vec::new());
        while at + 12 <= file.len() {
            if file[at..at + 4] == [10, 13, 13, 10] {
                order = file[at + 8] == 0x4d;
                links.clear();
            }
            let (kind, len) = (le(order, file, at), le(order, file, at + 4) as usize);
            if len < 12 || at + len > file.len() {
                break;
            }
            let body = &file[at + 8..at + len - 4];
            match kind {
                1 => links.push(if order {
                    u32::from(body[0]) | u32::from(body[1]) << 8
                } else {
                    u32::from(body[1]) | u32::from(body[0]) << 8
                }),
                6 => {
                    let cap = le(order, body, 12) as usize;
                    let link = links[le(order, body, 0) as usize];
                    let ts = u64::from(le(order, body, 4)) << 32 | u64::from(le(order, body, 8));
                    frames.push(captured(
                        frames.len() as u64 + 1,
                        ts.wrapping_mul(1000),
                        le(order, body, 16),
                        link,
                        &body[20..20 + cap],
                    ));
                }
                3 => {
                    let wire = le(order, body, 0);
                    let cap = (wire as usize).min(body.len() - 4);
                    frames.push(captured(frames.len() as u64 + 1, 0, wire, links[0], &body[4..4 + cap]));
                }
                _ => {}
            }
            at += len;
        }
    } else if &file[..5] == b"snoop" {
        let mut at = 16;
        while at + 24 <= file.len() {
            let (wire, cap, record) =
                (le(false, file, at), le(false, file, at + 4) as usize, le(false, file, at + 8) as usize);
            let ts = u64::from(le(false, file, at + 16)) * 1_000_000_000;
            frames.push(captured(frames.len() as u64 + 1, ts, wire, 1, &file[at + 24..at + 24 + cap]));
            at += record;
        }
    } else {
        let order = matches!(magic, [0xd4, 0xc3, 0xb2, 0xa1] | [0x4d, 0x3c, 0xb2, 0xa1]);
        assert!(order || matches!(magic, [0xa1, 0xb2, ..]), "{magic:x?}");
        let link = le(order, file, 20);
        let mut at = 24;
        while at + 16 <= file.len() {
            let cap = le(order, file, at + 8) as usize;
            if at + 16 + cap > file.len() {
                break;
            }
            let ts = u64::from(le(order, file, at)) * 1_000_000_000;
            frames.push(captured(
                frames.len() as u64 + 1,
                ts,
                le(order, file, at + 12),
                link,
                &file[at + 16..at + 16 + cap],
            ));
            at += 16 + cap;
        }
    }
    frames
}

fn shared() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/captures");
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: no sibling folder with captures");
    None
}

/// Where we differ from tshark and stay with our answer: capture, frame, why.
const KNOWN: &[(&str, u64, &str)] = &[];

#[test]
fn agrees_with_tshark() {
    let Some(shared) = shared() else { return };
    let mut tables: Vec<PathBuf> =
        fs::read_dir(shared.join("truth")).unwrap().map(|entry| entry.unwrap().path()).collect();
    tables.retain(|path| path.to_string_lossy().ends_with(".packets.tsv.gz"));
    let (mut compared, mut differing) = (0, Vec::new());
    for table in &tables {
        let name = table.file_name().unwrap().to_string_lossy().replace(".packets.tsv.gz", "");
        let truth = fs::read(table.with_file_name(format!("{name}.json"))).unwrap();
        let truth: Value = serde_json::from_slice(&truth).unwrap();
        let quotes: HashMap<u64, &Value> = truth["icmp_errors"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|error| !error["quoted"]["proto"].is_null())
            .map(|error| (error["frame"].as_u64().unwrap(), &error["quoted"]))
            .collect();
        let file = fs::read(shared.join(truth["source"]["file"].as_str().unwrap())).unwrap();
        let mut text = String::new();
        GzDecoder::new(File::open(table).unwrap()).read_to_string(&mut text).unwrap();
        let frames = frames_of(&file);
        assert_eq!(frames.len(), text.lines().count() - 1, "{name}");
        let mut decoder = Decoder::new();
        for (captured, line) in frames.iter().zip(text.lines().skip(1)) {
            let decoded = decoder.decode(&captured.frame, &captured.bytes);
            let number = captured.frame.id.number();
            compared += 1;
            if !agrees(&Row::of(line), quotes.get(&number).copied(), &decoded) {
                eprintln!("{name}:{number}: {} | {line}", told(&decoded));
                differing.push((name.clone(), number));
            }
        }
    }
    differing.sort();
    let known: Vec<(String, u64)> = KNOWN.iter().map(|(name, number, _)| ((*name).to_string(), *number)).collect();
    eprintln!("{compared} frames of {} captures compared", tables.len());
    assert_eq!(differing, known);
}
