//! From a source to traces: one thread that reads, decodes and keeps what tells packets apart.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use crate::capture::batch::FrameBatch;
use crate::capture::error::CaptureError;
use crate::capture::source::Source;
use crate::decode::decoder::Decoder;
use crate::decode::packet::Decoded;
use crate::flow::trace::Traces;

/// Reads `source` to its end, or until `stop` is set. What is kept may take `room` bytes of memory.
///
/// # Errors
/// When the input cannot be read at all.
pub fn trace(source: &mut Source, room: u64, stop: &AtomicBool) -> Result<Traces, CaptureError> {
    let mut decoder = Decoder::new();
    let mut arena = FrameBatch::default();
    let mut traces = Traces::within(room);
    while !stop.load(Ordering::Relaxed) && source.next_batch(&mut arena)? {
        for frame in &arena.frames {
            let bytes = arena.bytes(frame);
            let Decoded::Packet(packet) = decoder.decode(frame, bytes) else { continue };
            let from = packet.payload_at as usize;
            let to = from.saturating_add(packet.payload_captured as usize);
            traces.add(&packet, bytes.get(from..to).unwrap_or_default());
        }
    }
    Ok(traces)
}
