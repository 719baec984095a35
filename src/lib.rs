//! What a network capture says about Active Directory, Exchange and Windows services, per host pair: which flows are
//! blocked, which are unexpected, and which frames show it.
//!
//! The program is `portolan`; this library is its rooms. Frames become packets, packets become flows, and only when
//! all flows are known are they judged, since one flow explains another:
//!
//! ```text
//!  capture ──► decode ──► flow ─────────► classify ──► report
//!  frames      packets    flows      ▲        ▲        pages
//!                 │                  │        │
//!                 └─ pipeline runs ──┘    catalogue
//!                    these three, and     what the documents
//!                    fills learn          and the site file say
//! ```
//!
//! A room may name rooms of lower floors only; `tests/floorplan.rs` holds the table and reads every `use` line.
//!
//! ```text
//!  roof     cli                                  words in, exit code out
//!  4th      report                               findings become pages
//!  3rd      pipeline │ classify                  the machine │ the judgement: they do not know each other
//!  2nd      flow │ learn                         conversations │ what one says about others
//!  1st      capture │ decode │ proto │ catalogue files │ headers │ payloads │ documents
//!  ground   model                                addresses, times, transports
//! ```
//!
//! `ARCHITECTURE.md` has the invariants and every limit.
//!
//! # One whole example
//!
//! Reads a capture with the built-in rules and says why Kerberos did not work.
//!
//! ```
//! use std::sync::atomic::AtomicBool;
//!
//! use portolan::capture::source::Options as SourceOptions;
//! use portolan::capture::source::Source;
//! use portolan::catalogue::LoadOptions;
//! use portolan::catalogue::load;
//! use portolan::classify::judge::Judge;
//! use portolan::classify::judged::CaptureFacts;
//! use portolan::classify::judged::Options as JudgeOptions;
//! use portolan::classify::verdict::FindingKind;
//! use portolan::learn::knowledge::Knowledge;
//! use portolan::pipeline::run::Settings;
//! use portolan::pipeline::run::run;
//!
//! // The machine: frames in, flows out.
//! let mut source = Source::open(&["pcaps/blocked/kerberos_dropped.pcap".into()], SourceOptions::default())?;
//! let knowledge = Knowledge::new();
//! let settings = Settings { threads: 1, flows_max: 100_000 };
//! let never = AtomicBool::new(false);
//! let captured = run(&mut source, settings, &knowledge, &never, &mut |_| {})?;
//!
//! // What the capture says of itself: silence at its very end proves nothing.
//! let facts = CaptureFacts {
//!     first: source.facts().iter().filter_map(|input| input.first).min().unwrap_or_default(),
//!     last: source.facts().iter().filter_map(|input| input.last).max().unwrap_or_default(),
//!     first_frame: captured.first_frame,
//!     ..CaptureFacts::default()
//! };
//!
//! // The judgement: flows and documents in, findings out.
//! let catalogue = load(&LoadOptions::default())?;
//! let options = JudgeOptions { infer: true, strict: false };
//! let judge = Judge::new(&captured.tables, facts, &knowledge, &catalogue, options);
//! let blocked: Vec<_> = judge.flows().filter(|flow| flow.finding == Some(FindingKind::Blocked)).collect();
//!
//! let [flow] = blocked.as_slice() else { return Err("one blocked flow was expected".into()) };
//! let ends = flow.ends();
//! assert_eq!(ends.resp.addr.to_string(), "10.0.0.10");
//! assert_eq!(ends.resp.port, 88);
//! assert_eq!(flow.verdict.outcome.name(), "dropped");
//! assert_eq!(flow.verdict.confidence.name(), "confirmed");
//! assert_eq!(flow.verdict.reason.to_string(), "syn_unanswered");
//! assert_eq!(flow.standing.name(), "expected");
//! // The first and the newest SYN, by Wireshark's numbers.
//! let frames: Vec<u64> = flow.verdict.frames.iter().map(|frame| frame.number()).collect();
//! assert_eq!(frames, [37, 39]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(not(feature = "live"), expect(dead_code, reason = "what only watching needs"))]

pub mod capture;
pub mod catalogue;
pub mod classify;
pub mod cli;
pub mod decode;
pub mod flow;
pub mod learn;
pub mod model;
pub mod pipeline;
pub mod proto;
pub mod report;
