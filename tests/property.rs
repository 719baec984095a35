//! What the fuzz targets of `tests/fuzz` look for, in a few seconds: a fixed generator damages samples and captures, and
//! promises that hold for every input are checked.

#![expect(clippy::unwrap_used, reason = "a test may stop here")]

mod samples;

use portolan::capture::batch::FrameBatch;
use portolan::capture::source::Options;
use portolan::capture::source::Source;
use portolan::catalogue::LoadOptions;
use portolan::catalogue::load;
use portolan::decode::decoder::Decoder;
use portolan::decode::packet::Decoded;
use portolan::learn::knowledge::Knowledge;
use portolan::learn::rpc::JOINED_MAX;
use portolan::learn::rpc::RpcSession;
use portolan::model::addr::Addr;
use portolan::model::addr::FlowKey;
use portolan::model::app::AppProto;
use portolan::model::app::Speaker;
use portolan::model::ids::FrameId;
use portolan::model::time::Timestamp;
use portolan::model::transport::Transport;
use portolan::proto::RECOGNISERS;
use portolan::proto::Recognition;
use portolan::proto::dhcp;
use portolan::proto::http;
use portolan::proto::nmf;
use portolan::proto::recognise;
use portolan::proto::tls;
use samples::samples;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// Damaged copies of each sample.
const COPIES: usize = 1500;

/// Numbers that look random and are the same in every run (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % u64::try_from(end.max(1)).unwrap()).unwrap()
    }

    /// Changes a few places: a bit, a byte of those that often matter, a piece of another input, a cut, a repetition.
    fn damage(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            match self.below(6) {
                0 => bytes.truncate(at),
                1 => {
                    let from = self.below(other.len());
                    bytes.truncate(at);
                    bytes.extend(other.iter().skip(from));
                }
                2 => {
                    let piece: Vec<_> = bytes.iter().skip(at).take(self.below(16)).copied().collect();
                    bytes.splice(at..at, piece);
                }
                3 | 4 => {
                    const OFTEN: [u8; 8] = [0, 1, 2, 0x7f, 0x80, 0xff, b' ', b'\n'];
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte = OFTEN[self.below(OFTEN.len())];
                    }
                }
                _ => {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 1 << self.below(8);
                    }
                }
            }
        }
    }
}

#[test]
fn of_any_bytes_at_most_one_recogniser_is_certain() {
    let mut dice = Dice(1);
    let all = samples();
    for sample in &all {
        for _ in 0..COPIES {
            let mut bytes = sample.bytes.clone();
            let other = dice.below(all.len());
            dice.damage(&mut bytes, &all[other].bytes);
            for transport in [Transport::Tcp, Transport::Udp] {
                let rows = RECOGNISERS.iter().filter(|row| row.over.contains(&transport));
                let answers = rows.map(|row| (row.proto, (row.recognise)(transport, &bytes)));
                let sure: Vec<_> = answers
                    .filter(|(_, answer)| matches!(answer, Recognition::Certain(_)))
                    .map(|(proto, _)| proto)
                    .collect();
                assert!(sure.len() <= 1, "{sure:?} of {bytes:02x?}");
                let (said, _) = recognise(transport, &bytes);
                assert_eq!(
                    (said.certain, said.certain.then_some(said.proto)),
                    (sure.len() == 1, sure.first().map(|p| Some(*p)))
                );
            }
        }
    }
}

#[test]
fn more_bytes_of_a_stream_never_bring_back_what_was_denied_nor_make_a_second_certain() {
    let mut dice = Dice(2);
    let all = samples();
    for sample in all.iter().filter(|sample| sample.transport == Transport::Tcp) {
        for _ in 0..COPIES / 6 {
            let mut bytes = sample.bytes.clone();
            let other = dice.below(all.len());
            dice.damage(&mut bytes, &all[other].bytes);
            let mut ever_certain = Vec::new();
            for row in RECOGNISERS.iter().filter(|row| row.over.contains(&Transport::Tcp)) {
                let answers = (0..=bytes.len()).map(|length| (row.recognise)(Transport::Tcp, &bytes[..length]));
                let answers: Vec<_> = answers.collect();
                let mut denied = answers.iter().skip_while(|answer| **answer != Recognition::NotForUs);
                assert!(denied.all(|answer| *answer == Recognition::NotForUs), "{} of {bytes:02x?}", row.proto);
                if answers.iter().any(|answer| matches!(answer, Recognition::Certain(_))) {
                    ever_certain.push(row.proto);
                }
            }
            assert!(ever_certain.len() <= 1, "{ever_certain:?} of {bytes:02x?}");
        }
    }
}

#[test]
fn damaged_conversations_of_rpc_hold_little_and_teach_ports() {
    let mut dice = Dice(6);
    let all: Vec<_> = samples()
        .into_iter()
        .filter(|sample| (sample.proto, sample.transport) == (AppProto::DceRpc, Transport::Tcp))
        .collect();
    let (server, client) = (Addr::v4([10, 0, 0, 10]), Addr::v4([10, 0, 0, 50]));
    let (key, asks) = FlowKey::of(client, 50_000, server, 135, Transport::Tcp);
    for _ in 0..COPIES {
        let knowledge = Knowledge::new();
        let mut session = RpcSession::new(key, FrameId::new(0, 1));
        for number in 1..=12 {
            let sample = &all[dice.below(all.len())];
            let mut bytes = sample.bytes.clone();
            let other = dice.below(all.len());
            dice.damage(&mut bytes, &all[other].bytes);
            let side = if sample.speaker == Some(Speaker::Server) { asks.other() } else { asks };
            if dice.below(6) == 0 {
                session.gap(side);
            } else {
                session.stream(side, &bytes, Timestamp(number), FrameId::new(0, number), &knowledge);
            }
            assert!(session.held() <= 2 * (2 * (64 << 10) + JOINED_MAX), "{} bytes are held", session.held());
        }
        let endpoints = knowledge.endpoints();
        assert!(endpoints.ports().all(|(_, _, port, known)| port != 0 && !known.is_empty()));
    }
}

#[test]
fn names_from_payloads_are_printable() {
    let mut dice = Dice(3);
    let all = samples();
    let mut found = 0;
    for sample in &all {
        for _ in 0..COPIES {
            let mut bytes = sample.bytes.clone();
            let names = |bytes: &[u8]| -> Vec<String> {
                let host = http::request(bytes).and_then(|head| head.host);
                let names = [tls::server_name(bytes), nmf::via(bytes), dhcp::host_name(bytes), host];
                names.into_iter().flatten().map(str::to_owned).collect()
            };
            dice.damage(&mut bytes, &sample.bytes);
            for name in names(&bytes) {
                found += 1;
                assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()), "{name:?}");
            }
        }
    }
    assert!(found > COPIES, "the readers found almost nothing");
}

#[test]
fn damaged_captures_are_read_and_decoded_to_their_end() {
    let mut dice = Dice(4);
    let folder = tempfile::tempdir().unwrap();
    let captures: Vec<_> = ["link", "format", "ad"].iter().flat_map(|name| small_files("pcaps", name)).collect();
    assert!(captures.len() > 20, "pcaps/ was not found");
    for (place, capture) in captures.iter().enumerate() {
        for _ in 0..4 {
            let mut bytes = capture.clone();
            dice.damage(&mut bytes, &captures[(place + 1) % captures.len()]);
            let path = folder.path().join("input");
            fs::write(&path, &bytes).unwrap();
            let mut source = Source::open(&[path], Options::default()).unwrap();
            let (mut batch, mut decoder) = (FrameBatch::default(), Decoder::new());
            while source.next_batch(&mut batch).unwrap() {
                for frame in &batch.frames {
                    let captured = batch.bytes(frame);
                    assert_eq!(captured.len(), frame.captured as usize);
                    if let Decoded::Packet(packet) = decoder.decode(frame, captured) {
                        assert!((packet.payload_at + packet.payload_captured) as usize <= captured.len());
                    }
                }
            }
        }
    }
}

#[test]
fn damaged_rules_load_or_say_why_not() {
    let mut dice = Dice(5);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("input.toml");
    let rules = [small_files("rules", "services"), small_files("rules", "profiles")].concat();
    assert!(rules.len() > 5, "rules/ was not found");
    let mut refused = 0;
    for (place, text) in rules.iter().enumerate() {
        let mut bytes = text.clone();
        dice.damage(&mut bytes, &rules[(place + 1) % rules.len()]);
        fs::write(&path, &bytes).unwrap();
        let overlays = [path.clone()];
        let faults = match load(&LoadOptions { overlays: &overlays, ..LoadOptions::default() }) {
            Ok(catalogue) => catalogue.warnings().render(false),
            Err(faults) => {
                refused += 1;
                faults.render(false)
            }
        };
        assert!(faults.chars().all(|c| c == '\n' || !c.is_control()), "{faults:?}");
    }
    assert!(refused > 0, "no damage was noticed");
}

/// The content of the files of a folder that have at most 64 KiB.
fn small_files(folder: &str, name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(name);
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).filter(|bytes| bytes.len() <= 64 << 10).collect()
}
