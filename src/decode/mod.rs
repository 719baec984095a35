//! WHAT THE HEADERS SAY: a frame becomes a [`packet::Packet`] or a counted [`packet::SkipReason`].
//!
//! This room must never know where the bytes came from, what a port means, or the time of day.

pub mod counts;
pub mod decoder;
pub mod link;
pub mod packet;
pub mod plain;

mod fragment;
mod icmp;
mod ip;
mod transport;
mod tunnel;
mod walk;
mod wire;

#[cfg(test)]
mod samples;
