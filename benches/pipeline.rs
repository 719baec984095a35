//! What each stage costs, in groups: decode, flow, classify, recognise, pipeline. Every answer is asserted before it
//! is timed.
//!
//! `cargo bench`, or `cargo bench -- decode` for one group. The times are those of this machine, now; compare only
//! within one run. `portolan bench` measures the same stages of the program as released, on any traffic.

#![expect(clippy::unwrap_used, reason = "a benchmark may stop")]

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use criterion::BenchmarkGroup;
use criterion::Criterion;
use criterion::Throughput;
use criterion::criterion_group;
use criterion::criterion_main;
use criterion::measurement::WallTime;
use portolan::capture::batch::FrameBatch;
use portolan::capture::source::Options as SourceOptions;
use portolan::capture::source::Source;
use portolan::capture::synthetic::Recipe;
use portolan::capture::synthetic::Workload;
use portolan::capture::synthetic::image;
use portolan::catalogue::LoadOptions;
use portolan::catalogue::load;
use portolan::classify::judge::Judge;
use portolan::classify::judged::CaptureFacts;
use portolan::classify::judged::Options;
use portolan::decode::decoder::Decoder;
use portolan::decode::packet::Decoded;
use portolan::learn::knowledge::Knowledge;
use portolan::model::transport::Transport;
use portolan::pipeline::run::Captured;
use portolan::pipeline::run::Settings;
use portolan::pipeline::run::decode_only;
use portolan::pipeline::run::run;
use portolan::proto::recognise;

const FRAMES: u64 = 100_000;
const FLOWS: u32 = 10_000;

/// Frames of that kind in memory.
fn traffic(workload: Workload) -> Arc<Vec<u8>> {
    Arc::new(image(&Recipe { workload, frames: FRAMES, flows: FLOWS, seed: 1 }, u64::MAX).unwrap())
}

fn open(bytes: &Arc<Vec<u8>>) -> Source {
    Source::from_bytes("made", Arc::clone(bytes), SourceOptions::default()).unwrap()
}

fn read(bytes: &Arc<Vec<u8>>) -> u64 {
    let (mut source, mut batch) = (open(bytes), FrameBatch::default());
    while source.next_batch(&mut batch).unwrap() {
        black_box(&batch);
    }
    source.progress().frames
}

fn count(bytes: &Arc<Vec<u8>>, threads: usize) -> (Captured, Knowledge) {
    let knowledge = Knowledge::new();
    let settings = Settings { threads, flows_max: 1 << 20 };
    let captured = run(&mut open(bytes), settings, &knowledge, &AtomicBool::new(false), &mut |_| {}).unwrap();
    (captured, knowledge)
}

/// Short: the whole takes a minute, and noise of other users is longer than any patience.
fn group<'a>(criterion: &'a mut Criterion, name: &str, elements: u64) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    group.throughput(Throughput::Elements(elements));
    group
}

fn decode(criterion: &mut Criterion) {
    let mut group = group(criterion, "decode", FRAMES);
    for workload in Workload::ALL {
        let bytes = traffic(workload);
        assert_eq!((read(&bytes), decode_only(&mut open(&bytes)).unwrap()), (FRAMES, FRAMES));
        group.bench_function(format!("{}/read", workload.name()), |bencher| bencher.iter(|| read(&bytes)));
        group.bench_function(format!("{}/read and decode", workload.name()), |bencher| {
            bencher.iter(|| decode_only(&mut open(&bytes)).unwrap());
        });
    }
    group.finish();
}

fn flow(criterion: &mut Criterion) {
    let mut group = group(criterion, "flow", FRAMES);
    for workload in Workload::ALL {
        let bytes = traffic(workload);
        let flows = count(&bytes, 2).0.counters().flows;
        let expected = if workload == Workload::Scan { FRAMES } else { flows };
        let counters = count(&bytes, 1).0.counters();
        assert_eq!((counters.packets, counters.flows), (FRAMES, expected));
        group.bench_function(workload.name(), |bencher| bencher.iter_with_large_drop(|| count(&bytes, 1)));
    }
    group.finish();
}

fn classify(criterion: &mut Criterion) {
    let catalogue = load(&LoadOptions::default()).unwrap();
    for workload in [Workload::Imix, Workload::Scan, Workload::Ad] {
        let bytes = traffic(workload);
        let (captured, knowledge) = count(&bytes, 1);
        let flows = captured.counters().flows;
        let mut source = open(&bytes);
        let mut batch = FrameBatch::default();
        while source.next_batch(&mut batch).unwrap() {}
        let last = source.facts().iter().filter_map(|input| input.last).max().unwrap();
        let judge = || {
            let facts = CaptureFacts { last, first_frame: captured.first_frame, ..CaptureFacts::default() };
            let options = Options { infer: true, strict: false };
            Judge::new(&captured.tables, facts, &knowledge, &catalogue, options)
        };
        assert_eq!(judge().flows().count() as u64, flows);
        let mut group = group(criterion, "classify", flows);
        group.bench_function(workload.name(), |bencher| bencher.iter_with_large_drop(judge));
        group.finish();
    }
}

/// Payloads as recognisers meet them: the first of each direction of each conversation, and what follows.
fn payloads(workload: Workload) -> Vec<(Transport, Vec<u8>)> {
    let bytes = traffic(workload);
    let (mut source, mut batch, mut decoder) = (open(&bytes), FrameBatch::default(), Decoder::new());
    let mut payloads = Vec::new();
    while source.next_batch(&mut batch).unwrap() && payloads.len() < 5_000 {
        for frame in &batch.frames {
            let bytes = batch.bytes(frame);
            if let Decoded::Packet(packet) = decoder.decode(frame, bytes)
                && packet.payload_captured > 0
            {
                let at = packet.payload_at as usize;
                let payload = bytes[at..at + packet.payload_captured as usize].to_vec();
                payloads.push((packet.key.transport, payload));
            }
        }
    }
    payloads
}

fn recognisers(criterion: &mut Criterion) {
    for workload in [Workload::Imix, Workload::Ad] {
        let payloads = payloads(workload);
        let known = payloads.iter().filter(|(over, bytes)| recognise(*over, bytes).0.proto.is_some()).count();
        assert!(known * 5 > payloads.len(), "{known} of {} are known", payloads.len());
        let mut group = group(criterion, "recognise", payloads.len() as u64);
        group.bench_function(workload.name(), |bencher| {
            bencher.iter(|| {
                for (over, bytes) in &payloads {
                    black_box(recognise(*over, bytes));
                }
            });
        });
        group.finish();
    }
}

fn pipeline(criterion: &mut Criterion) {
    let mut group = group(criterion, "pipeline", FRAMES);
    for workload in Workload::ALL {
        let bytes = traffic(workload);
        let flows = count(&bytes, 1).0.counters().flows;
        for threads in [1, 2] {
            assert_eq!(count(&bytes, threads).0.counters().flows, flows);
            group.bench_function(format!("{}/{threads}", workload.name()), |bencher| {
                bencher.iter_with_large_drop(|| count(&bytes, threads));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, decode, flow, classify, recognisers, pipeline);
criterion_main!(benches);
