//! A second pass over a source: each packet with its frame, for who wants to keep some.

use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use crate::capture::batch::Frame;
use crate::capture::batch::FrameBatch;
use crate::capture::error::CaptureError;
use crate::capture::source::Source;
use crate::decode::decoder::Decoder;
use crate::decode::packet::Decoded;
use crate::decode::packet::Layer;
use crate::model::addr::FlowKey;

/// Why the pass could not go on.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// The input failed.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// Whoever took the packets failed.
    #[error(transparent)]
    Take(#[from] io::Error),
}

/// A packet and the frame that it came in.
#[derive(Clone, Copy, Debug)]
pub struct Passing<'a> {
    /// The frame.
    pub frame: &'a Frame,
    /// What was captured of it.
    pub bytes: &'a [u8],
    /// Its flow; that of an ICMP error is the one it quotes.
    pub key: FlowKey,
    /// Whether it is an ICMP error.
    pub is_error: bool,
}

/// Reads `source` to its end, or until `stop` is set, and shows every packet to `take`.
///
/// # Errors
/// When the input cannot be read, or `take` fails.
pub fn each_packet(
    source: &mut Source,
    stop: &AtomicBool,
    take: &mut dyn FnMut(Passing<'_>) -> io::Result<()>,
) -> Result<(), PassError> {
    let mut decoder = Decoder::new();
    let mut arena = FrameBatch::default();
    while !stop.load(Ordering::Relaxed) && source.next_batch(&mut arena)? {
        for frame in &arena.frames {
            let bytes = arena.bytes(frame);
            let Decoded::Packet(packet) = decoder.decode(frame, bytes) else { continue };
            let is_error = matches!(packet.layer, Layer::IcmpError(_));
            take(Passing { frame, bytes, key: packet.key, is_error })?;
        }
    }
    Ok(())
}
