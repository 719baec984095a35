//! What the walkers of both containers share: byte order, limits, and the answer to "go on".

/// At most this many frames in one batch, so that whoever reads it next finds it in the cache.
pub(super) const BATCH_FRAMES: usize = 1024;

/// A record up to this size needs no second thought: the largest snap length libpcap takes.
pub(super) const RECORD_BYTES_USUAL: u32 = 262_144;

/// No record is larger than this: 16 MiB, a hundred times the largest segment that offloading builds.
pub(super) const RECORD_BYTES_MAX: u32 = 16 << 20;

/// Where a walk over the bytes at hand came to.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// Nothing more can be said before this many bytes from the current place are at hand.
    More(usize),
    /// The batch has all the frames it may have.
    Full,
    /// The input ended where a record ends.
    End,
    /// The input ended inside the record at the current place: how much of it is there.
    Cut(String),
    /// The record at the current place cannot be read: what is wrong with it.
    Bad(String),
}

/// Two bytes in the order of the file.
#[inline]
pub(super) fn u16_of<const BIG: bool>(bytes: [u8; 2]) -> u16 {
    if BIG { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
}

/// Four bytes in the order of the file.
#[inline]
pub(super) fn u32_of<const BIG: bool>(bytes: [u8; 4]) -> u32 {
    if BIG { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
}

/// The number at `at`; 0 behind the end, which no caller asks for.
#[inline]
pub(super) fn u32_at<const BIG: bool>(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk::<4>).map_or(0, |four| u32_of::<BIG>(*four))
}

/// The number at `at`; 0 behind the end, which no caller asks for.
#[inline]
pub(super) fn u16_at<const BIG: bool>(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(<[u8]>::first_chunk::<2>).map_or(0, |two| u16_of::<BIG>(*two))
}

/// Sixteen bytes as four numbers.
#[inline]
pub(super) fn words<const BIG: bool>(bytes: [u8; 16]) -> [u32; 4] {
    let [a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3] = bytes;
    let word = u32_of::<BIG>;
    [word([a0, a1, a2, a3]), word([b0, b1, b2, b3]), word([c0, c1, c2, c3]), word([d0, d1, d2, d3])]
}
