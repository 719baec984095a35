//! Words for writing captures: hosts, a scene with a clock, conversations, payloads, encapsulations, capture files.
//!
//! Hands on frames and whole files that are the same bytes on every machine. Must never know which captures are shipped.
//! A test program that needs traffic mounts it at its root: `#[path = "make_pcaps/craft/mod.rs"] mod craft;`.
#![allow(dead_code, reason = "every test program uses its own part of the vocabulary")]
#![expect(clippy::unwrap_used, reason = "a generator that cannot go on must stop")]

pub(crate) mod ber;
pub(crate) mod encap;
pub(crate) mod flood;
pub(crate) mod host;
pub(crate) mod payload;
pub(crate) mod pcap;
pub(crate) mod pcapng;
pub(crate) mod play;
pub(crate) mod rpc;
pub(crate) mod scene;
pub(crate) mod smb;
pub(crate) mod tcp;
