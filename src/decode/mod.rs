//! WHAT THE HEADERS SAY: a frame becomes a [`packet::Packet`] or a counted [`packet::SkipReason`].
//!
//! This room must never know where the bytes came from, what a port means, or the time of day.

pub mod packet;
