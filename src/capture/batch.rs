//! Frames as captured, many at a time, in one reused piece of memory.

use crate::model::ids::FrameId;
use crate::model::time::Timestamp;

/// A data link type by its number in the tcpdump.org registry (1 = Ethernet).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct LinkType(pub u16);

/// One captured frame; its bytes lie in the arena of the batch.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Which frame of which input.
    pub id: FrameId,
    /// When it was captured.
    pub ts: Timestamp,
    /// Where its bytes begin in the arena.
    pub at: u32,
    /// How many bytes were captured.
    pub captured: u32,
    /// How many bytes it had on the wire.
    pub wire_len: u32,
    /// What its first header is.
    pub link: LinkType,
}

/// Many frames and the memory that holds their bytes. Reused for ever; grows only for a frame larger than ever before.
#[derive(Default, Debug)]
pub struct FrameBatch {
    /// The memory that the frames point into.
    pub arena: Vec<u8>,
    /// The frames, in capture order.
    pub frames: Vec<Frame>,
}

impl FrameBatch {
    /// The captured bytes of a frame of this batch; empty if the frame is not of this batch.
    #[inline]
    pub fn bytes(&self, frame: &Frame) -> &[u8] {
        let at = frame.at as usize;
        self.arena.get(at..at + frame.captured as usize).unwrap_or_default()
    }
}
