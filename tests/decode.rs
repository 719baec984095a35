//! Decoding against tshark, frame by frame, over the captures of the sibling folder `../shared`.

#![expect(clippy::unwrap_used, clippy::print_stderr, clippy::panic, reason = "a test may stop here, and says where")]

use std::collections::HashMap;
use std::fs;
use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::path::Path;
use std::path::PathBuf;

use etherparse::LaxNetSlice;
use etherparse::LaxSlicedPacket;
use etherparse::TransportSlice;
use flate2::read::GzDecoder;
use portolan::capture::batch::Frame;
use portolan::capture::batch::FrameBatch;
use portolan::capture::batch::LinkType;
use portolan::capture::source::Options;
use portolan::capture::source::Source;
use portolan::decode::decoder::Decoder;
use portolan::decode::packet::Decoded;
use portolan::decode::packet::Layer;
use portolan::decode::packet::Packet;
use portolan::decode::packet::SkipReason;
use portolan::decode::packet::Tcp;
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
fn agrees(row: &Row<'_>, quoted: Option<&Value>, fragment: bool, decoded: &Decoded) -> bool {
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
        // tshark joins fragments: the last piece is the datagram, the others are bare IP.
        ("udp", Layer::Udp { .. } | Layer::Fragment) | ("tcp", Layer::Fragment) => {
            row.ports == Some((src.port, dst.port))
        }
        ("", _) => fragment && row.protocols.ends_with(":data"),
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
        SkipReason::NotIp | SkipReason::LinkControl | SkipReason::LinkType | SkipReason::CutShort => row.src.is_empty(),
        SkipReason::Malformed => row.src.is_empty() || row.malformed,
        SkipReason::TooDeep => false,
    }
}

const FOLLOWED: [&str; 7] = ["tcp", "udp", "icmp", "icmpv6", "sctp", "esp", "ah"];

fn shared() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/captures");
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: no sibling folder with captures");
    None
}

/// Where we differ from tshark and stay with our answer: capture, frame, why.
const KNOWN: &[(&str, u64, &str)] = &[
    ("PcapFlowLab__pcap_flow_lab_showcase.pcap", 1282, "the table names AH; the TCP behind it can be read"),
    ("PcapFlowLab__pcap_flow_lab_showcase.pcap", 1327, "a pseudowire without control word; tshark sees one"),
    (
        "arkime__arkime_synthetic.pcap",
        528,
        "ERSPAN with half its header: the inside is not IP, the outside only mirrors",
    ),
];

/// Not a format that captures are read from.
const SNOOP: &str = "PcapPlusPlus__solaris.snoop";

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
        let file = shared.join(truth["source"]["file"].as_str().unwrap());
        let mut text = String::new();
        GzDecoder::new(File::open(table).unwrap()).read_to_string(&mut text).unwrap();
        let mut source = Source::open(&[file], Options::default()).unwrap();
        let mut batch = FrameBatch::default();
        let mut decoder = Decoder::new();
        let mut lines = text.lines().skip(1);
        while source.next_batch(&mut batch).unwrap() {
            for frame in &batch.frames {
                let line = lines.next().unwrap();
                let number = frame.id.number();
                let fragments = decoder.counts().fragments;
                let decoded = decoder.decode(frame, batch.bytes(frame));
                let fragment = decoder.counts().fragments > fragments;
                if !agrees(&Row::of(line), quotes.get(&number).copied(), fragment, &decoded) {
                    eprintln!("{name}:{number}: {} | {line}", told(&decoded));
                    differing.push((name.clone(), number));
                }
            }
        }
        compared += decoder.counts().frames();
        assert!(lines.next().is_none() || name == SNOOP, "{name}: frames are missing");
    }
    differing.sort();
    let known: Vec<(String, u64)> = KNOWN.iter().map(|(name, number, _)| ((*name).to_string(), *number)).collect();
    eprintln!("{compared} frames of {} captures compared", tables.len());
    assert!(compared > 30_000, "the collection has shrunk");
    assert_eq!(differing, known);
}

/// A small deterministic source of choices (splitmix64).
struct Choices(u64);

impl Choices {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.next().to_le_bytes()[0])
    }

    fn many(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

/// An Ethernet frame with tags, IP with options or extensions, TCP or UDP, padding, perhaps cut.
fn random_frame(choices: &mut Choices) -> Vec<u8> {
    let payload_len = choices.below(60);
    let payload = choices.many(payload_len);
    // Ports from 20000 are no tunnel's.
    let ports: [[u8; 2]; 2] =
        std::array::from_fn(|_| (20000 + u16::try_from(choices.below(40000)).unwrap()).to_be_bytes());
    let (protocol, above) = if choices.below(3) > 0 {
        let words = choices.below(11);
        let [flags] = choices.bytes();
        let offset = u8::try_from((5 + words) << 4).unwrap();
        let options = choices.many(words * 4);
        (
            6,
            [&ports.concat()[..], &choices.bytes::<8>(), &[offset, flags], &choices.bytes::<6>(), &options, &payload]
                .concat(),
        )
    } else {
        let len = u16::try_from(8 + payload.len()).unwrap().to_be_bytes();
        (17, [&ports.concat()[..], &len, &choices.bytes::<2>(), &payload].concat())
    };
    let (mut ether_type, ip) = if choices.below(2) == 0 {
        let words = choices.below(11);
        let len = u16::try_from(20 + words * 4 + above.len()).unwrap().to_be_bytes();
        let first = 0x45 + u8::try_from(words).unwrap();
        let head =
            [&[first, 0][..], &len, &choices.bytes::<2>(), &[0x40, 0, 64, protocol], &choices.bytes::<10>()].concat();
        ([8, 0], [head, choices.many(words * 4), above].concat())
    } else {
        let mut next = protocol;
        let mut inside = above;
        for kind in [60, 43, 0] {
            if choices.below(4) == 0 {
                let units = choices.below(3);
                let fill = choices.many(units * 8 + 6);
                inside = [&[next, u8::try_from(units).unwrap()][..], &fill, &inside].concat();
                next = kind;
            }
        }
        let len = u16::try_from(inside.len()).unwrap().to_be_bytes();
        ([0x86, 0xdd], [&[0x60, 0, 0, 0][..], &len, &[next, 64], &choices.bytes::<32>(), &inside].concat())
    };
    let mut frame = ip;
    for _ in 0..choices.below(3) {
        frame = [&choices.bytes::<2>()[..], &ether_type, &frame].concat();
        ether_type = [0x81, 0];
    }
    frame = [&choices.bytes::<12>()[..], &ether_type, &frame].concat();
    let padding = choices.below(20);
    frame.extend(choices.many(padding));
    if choices.below(3) == 0 {
        frame.truncate(choices.below(frame.len() + 1));
    }
    frame
}

/// Addresses, ports, TCP fields and captured payload bytes of a frame.
type Said = (IpAddr, IpAddr, [u16; 2], Option<Tcp>, usize);

/// What etherparse's tolerant parser says of a frame.
fn by_etherparse(bytes: &[u8]) -> Option<Said> {
    let sliced = LaxSlicedPacket::from_ethernet(bytes).ok()?;
    let (src, dst) = match sliced.net? {
        LaxNetSlice::Ipv4(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        LaxNetSlice::Ipv6(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        LaxNetSlice::Arp(_) => return None,
    };
    match sliced.transport? {
        TransportSlice::Tcp(tcp) => {
            let flags = tcp.header_slice()[13];
            let ack = if tcp.ack() { tcp.acknowledgment_number() } else { 0 };
            let (seq, window, checksum) = (tcp.sequence_number(), tcp.window_size(), tcp.checksum());
            let ports = [tcp.source_port(), tcp.destination_port()];
            Some((src, dst, ports, Some(Tcp { seq, ack, flags, window, checksum }), tcp.payload().len()))
        }
        TransportSlice::Udp(udp) => {
            Some((src, dst, [udp.source_port(), udp.destination_port()], None, udp.payload().len()))
        }
        _ => None,
    }
}

#[test]
fn agrees_with_etherparse_on_random_frames() {
    let mut choices = Choices(7);
    let mut decoder = Decoder::new();
    let (mut same, mut cut) = (0, 0);
    for number in 1..=200_000 {
        let bytes = random_frame(&mut choices);
        let captured = u32::try_from(bytes.len()).unwrap();
        let frame =
            Frame { id: FrameId::new(0, number), ts: Timestamp(0), at: 0, captured, wire_len: 2000, link: LinkType(1) };
        let ours = decoder.decode(&frame, &bytes);
        let theirs = by_etherparse(&bytes);
        match (&ours, theirs) {
            (Decoded::Packet(packet), Some((src, dst, [src_port, dst_port], tcp, payload))) => {
                let (from, to) = (packet.key.end(packet.from), packet.key.end(packet.from.other()));
                assert_eq!((from.addr.ip(), from.port, to.addr.ip(), to.port), (src, src_port, dst, dst_port));
                let ours = if let Layer::Tcp(tcp) = packet.layer { Some(tcp) } else { None };
                assert_eq!((ours, packet.payload_captured as usize), (tcp, payload), "frame {number}");
                same += 1;
            }
            // Only a header that was cut behind its flags or ports is read by us alone.
            (Decoded::Packet(packet), None) => {
                assert_eq!(packet.payload_captured, 0, "frame {number}: {bytes:02x?}");
                cut += 1;
            }
            (Decoded::Skip(reason), None) => assert_eq!(*reason, SkipReason::CutShort, "frame {number}: {bytes:02x?}"),
            (Decoded::Skip(reason), Some(_)) => panic!("frame {number}: {} {bytes:02x?}", reason.name()),
        }
    }
    assert!(same > 150_000 && cut > 1_000, "{same} {cut}");
}
