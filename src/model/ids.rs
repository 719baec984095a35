//! Numbers that name things.

use bytemuck::Pod;
use bytemuck::Zeroable;

/// A frame's place: which input (0-based, in the order read) and its 1-based number there, as Wireshark counts.
///
/// Ordered by input, then number. 2^16 inputs, 2^48 frames each.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord, Default, Pod, Zeroable)]
#[repr(transparent)]
pub struct FrameId(u64);

const NUMBER_BITS: u32 = 48;

impl FrameId {
    /// No frame: the value of an unused place. Frame numbers begin at 1, so it names nothing.
    pub const NONE: Self = Self(0);

    /// Frame `number` (from 1) of input `input` (from 0).
    #[inline]
    pub fn new(input: u16, number: u64) -> Self {
        Self((u64::from(input) << NUMBER_BITS) | (number & ((1 << NUMBER_BITS) - 1)))
    }

    /// Which input, from 0.
    #[inline]
    pub fn input(self) -> u16 {
        (self.0 >> NUMBER_BITS) as u16
    }

    /// The 1-based number inside its input.
    #[inline]
    pub fn number(self) -> u64 {
        self.0 & ((1 << NUMBER_BITS) - 1)
    }

    /// Whether it names a frame.
    #[inline]
    pub fn is_some(self) -> bool {
        self.0 != 0
    }
}
