//! How long each stage takes for a frame: read, decode, flow, judge. Every answer is asserted before its time is printed.
//!
//! `cargo bench --bench pipeline`. The times are those of this machine, now; compare only within one run.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints, and may stop")]

use std::hint::black_box;
use std::io::BufWriter;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use std::time::Instant;

use portolan::capture::batch::FrameBatch;
use portolan::capture::source::Options as SourceOptions;
use portolan::capture::source::Source;
use portolan::catalogue::LoadOptions;
use portolan::catalogue::load;
use portolan::classify::judge::Judge;
use portolan::classify::judged::CaptureFacts;
use portolan::classify::judged::Options;
use portolan::decode::decoder::Decoder;
use portolan::learn::knowledge::Knowledge;
use portolan::pipeline::run::Settings;
use portolan::pipeline::run::run;

const FLOWS: u32 = 50_000;
const ROUNDS: u32 = 20;
const FRAMES: u64 = FLOWS as u64 * ROUNDS as u64;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("min64.pcap");
    write_capture(&path).unwrap();
    let read = best(|| read(&path));
    let decode = best(|| decode(&path));
    let flow = best(|| flow(&path));
    let judge = best(|| judge(&path));
    println!("{FRAMES} frames of 60 bytes, {FLOWS} flows, one thread, best of five; each line includes the ones above");
    for (stage, time) in [("read", read), ("decode", decode), ("flow", flow), ("judge", judge)] {
        println!("{stage:8} {:7.1} ns a frame", time.as_secs_f64() * 1e9 / f64::from(FLOWS * ROUNDS));
    }
}

/// The quickest of five.
fn best(mut stage: impl FnMut()) -> Duration {
    let time = |stage: &mut dyn FnMut()| {
        let began = Instant::now();
        stage();
        began.elapsed()
    };
    (0..5).map(|_| time(&mut stage)).min().unwrap_or_default()
}

fn open(path: &Path) -> Source {
    Source::open(&[PathBuf::from(path)], SourceOptions::default()).unwrap()
}

fn read(path: &Path) {
    let (mut source, mut batch, mut frames) = (open(path), FrameBatch::default(), 0);
    while source.next_batch(&mut batch).unwrap() {
        frames += batch.frames.len() as u64;
        black_box(&batch);
    }
    assert_eq!(frames, FRAMES);
}

fn decode(path: &Path) {
    let (mut source, mut batch, mut decoder) = (open(path), FrameBatch::default(), Decoder::new());
    while source.next_batch(&mut batch).unwrap() {
        for frame in &batch.frames {
            black_box(decoder.decode(frame, batch.bytes(frame)));
        }
    }
    assert_eq!(decoder.counts().decoded, FRAMES);
}

fn flow(path: &Path) {
    let settings = Settings { threads: 1, flows_max: 1 << 20 };
    let captured = run(&mut open(path), settings, &Knowledge::new(), &AtomicBool::new(false), &mut |_| {}).unwrap();
    assert_eq!((captured.counters().flows, captured.counters().packets), (u64::from(FLOWS), FRAMES));
}

fn judge(path: &Path) {
    let settings = Settings { threads: 1, flows_max: 1 << 20 };
    let knowledge = Knowledge::new();
    let mut source = open(path);
    let captured = run(&mut source, settings, &knowledge, &AtomicBool::new(false), &mut |_| {}).unwrap();
    let last = source.facts().iter().filter_map(|input| input.last).max().unwrap();
    let facts = CaptureFacts { last, first_frame: captured.first_frame, ..CaptureFacts::default() };
    let catalogue = load(&LoadOptions::default()).unwrap();
    let options = Options { infer: true, strict: false };
    let judge = Judge::new(&captured.tables, facts, &knowledge, &catalogue, options);
    assert_eq!(judge.flows().count(), FLOWS as usize);
}

/// Segments of many connections to one LDAP server, in turn: the table sees another flow with every frame.
fn write_capture(path: &Path) -> std::io::Result<()> {
    let mut out = BufWriter::new(std::fs::File::create(path)?);
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        out.write_all(&word.to_le_bytes())?;
    }
    for round in 0..ROUNDS {
        for flow in 0..FLOWS {
            let micros = round * FLOWS + flow;
            for word in [1_700_000_000 + micros / 1_000_000, micros % 1_000_000, 60, 60] {
                out.write_all(&word.to_le_bytes())?;
            }
            out.write_all(&frame(flow, round))?;
        }
    }
    out.flush()
}

fn frame(flow: u32, round: u32) -> [u8; 60] {
    let mut frame = [0; 60];
    frame[12..14].copy_from_slice(&[8, 0]);
    frame[14..18].copy_from_slice(&[0x45, 0, 0, 46]);
    frame[18..20].copy_from_slice(&u16::try_from(round + 1).unwrap().to_be_bytes());
    frame[22..24].copy_from_slice(&[64, 6]);
    frame[26..30].copy_from_slice(&(0x0a01_0000 + flow / 20_000).to_be_bytes());
    frame[30..34].copy_from_slice(&[10, 0, 0, 10]);
    frame[34..36].copy_from_slice(&u16::try_from(40_000 + flow % 20_000).unwrap().to_be_bytes());
    frame[36..38].copy_from_slice(&389_u16.to_be_bytes());
    frame[38..42].copy_from_slice(&(round * 6).to_be_bytes());
    frame[46..48].copy_from_slice(&[0x50, 0x18]);
    frame
}
