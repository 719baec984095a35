//! WHERE BYTES COME FROM: files and streams become batches of frames, with time and link type, nothing more.
//!
//! This room must never know what the bytes mean, nor that flows and rules exist.

pub mod batch;
