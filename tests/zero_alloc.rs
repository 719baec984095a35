//! In the long run a frame costs no allocation: reading, decoding and flow tables work in memory that is used again.
//!
//! The same conversations go on three times as long, and no more allocations are made; but for RPC, which is put
//! together from its pieces as long as it is spoken.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test may stop here, and a gate tells its numbers")]

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use allocation_counter::measure;
use portolan::capture::filter::Filter;
use portolan::capture::source::Options;
use portolan::capture::source::Source;
use portolan::capture::synthetic::Recipe;
use portolan::capture::synthetic::Workload;
use portolan::capture::synthetic::image;
use portolan::learn::knowledge::Knowledge;
use portolan::model::transport::Transport;
use portolan::pipeline::run::Settings;
use portolan::pipeline::run::run;
use portolan::proto::recognise;

/// So few that each has told all of its first payload long before the shorter run ends.
const FLOWS: u32 = 100;

const SHORT: u64 = 100_000;
const LONG: u64 = 300_000;

/// What RPC conversations are not.
const NO_RPC: &str = "not tcp port 135 and not tcp portrange 49152-49551";

/// Allocations of a run in this thread over so many frames, and how many of them passed the filter.
fn allocations(frames: u64, filter: &str) -> (u64, u64) {
    let recipe = Recipe { workload: Workload::Min64, frames, flows: FLOWS, seed: 3 };
    let bytes = Arc::new(image(&recipe, u64::MAX).unwrap());
    let filter = Some(Filter::compile(filter).unwrap());
    let mut source = Source::from_bytes("made", bytes, Options { filter, count: None }).unwrap();
    let knowledge = Knowledge::new();
    let settings = Settings { threads: 1, flows_max: 1 << 20 };
    let never = AtomicBool::new(false);
    // What is made once in the life of the program is no cost of frames.
    for transport in [Transport::Tcp, Transport::Udp] {
        recognise(transport, &[0]);
    }
    let mut counters = None;
    let counted = measure(|| {
        let captured = run(&mut source, settings, &knowledge, &never, &mut |_| {}).unwrap();
        counters = Some(captured.counters());
    });
    let counters = counters.unwrap();
    assert_eq!(counters.packets, frames - source.filtered());
    (counted.count_total, counters.packets)
}

/// Maps with a seed grow at different times: two runs over the same frames differ by up to three allocations.
const SEED_NOISE: u64 = 20;

#[test]
fn a_frame_costs_no_allocation_in_the_long_run() {
    let ((short, _), (long, packets)) = (allocations(SHORT, NO_RPC), allocations(LONG, NO_RPC));
    println!("{short} allocations became {long}");
    assert!(short > 0 && packets > LONG / 2, "the counter counts, and the filter leaves most");
    assert!(long.abs_diff(short) < SEED_NOISE, "200,000 frames more: {short} allocations became {long}");
}

/// What is not followed any more is said, not passed over: here RPC and SMB in pieces of ten bytes.
#[test]
fn conversations_in_crumbs_are_counted_as_given_up() {
    let given_up = |workload: Workload| {
        let bytes = Arc::new(image(&Recipe { workload, frames: 50_000, flows: FLOWS, seed: 3 }, u64::MAX).unwrap());
        let mut source = Source::from_bytes("made", bytes, Options::default()).unwrap();
        let settings = Settings { threads: 1, flows_max: 1 << 20 };
        let never = AtomicBool::new(false);
        run(&mut source, settings, &Knowledge::new(), &never, &mut |_| {}).unwrap().ears.given_up
    };
    assert!(given_up(Workload::Min64) > 0);
    assert_eq!(given_up(Workload::Ad), 0, "whole messages are followed");
}

/// RPC is listened to as long as it lasts, and a PDU that comes in pieces has to be put together: here in pieces of ten
/// bytes, of which hardly any makes sense.
#[test]
fn rpc_costs_less_than_an_allocation_a_frame() {
    let rest = format!("tcp and {NO_RPC}");
    let beyond_rest = |frames: u64| {
        let ((all, packets), (_, others)) = (allocations(frames, "tcp"), allocations(frames, &rest));
        (all, packets - others)
    };
    let ((short, few), (long, many)) = (beyond_rest(SHORT), beyond_rest(LONG));
    let more = long.saturating_sub(short);
    println!("{more} allocations for {} frames of RPC", many - few);
    assert!(many > few && more < many - few);
}
