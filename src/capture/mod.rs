//! WHERE BYTES COME FROM: files and streams become batches of frames, with time and link type, nothing more.
//!
//! A [`source::Source`] is opened on paths (files, folders, `-`) and fills a [`batch::FrameBatch`] again and again. Below it
//! `expand` lists files, `stream` undoes compression (`ahead` in a thread of its own), `pcap` and `pcapng` walk records, `input` joins those for one input,
//! and `facts` is what is known about each input afterwards.
//! [`synthetic`] makes up traffic to measure with. `device` reads a network interface, with exact counts of what it lost.
//!
//! Nothing here trusts a length: what cannot be read ends that input with a [`facts::Damage`], and every frame before counts.
//!
//! This room must never know what the bytes mean, nor that flows and rules exist.

pub mod batch;
#[cfg(all(target_os = "linux", feature = "live"))]
pub mod device;
pub mod error;
pub mod facts;
pub mod filter;
pub mod source;
pub mod synthetic;
pub mod write;

mod ahead;
#[cfg(test)]
mod craft;
pub(crate) mod expand;
mod input;
mod link_types;
mod pcap;
mod pcapng;
mod sniff;
#[cfg(all(target_os = "linux", feature = "live"))]
mod socket;
mod stream;
mod walk;
