//! Walks the records of a pcap file (`draft-ietf-opsawg-pcap`) that lie in memory, and makes frames of them.
//!
//! It hands on frames that point into the same memory, and says where and why it cannot go on. It must never know where the
//! bytes come from.

use crate::capture::batch::Frame;
use crate::capture::batch::LinkType;
use crate::capture::walk::BATCH_FRAMES;
use crate::capture::walk::RECORD_BYTES_MAX;
use crate::capture::walk::RECORD_BYTES_USUAL;
use crate::capture::walk::Step;
use crate::capture::walk::u16_at;
use crate::capture::walk::u32_at;
use crate::capture::walk::words;
use crate::model::ids::FrameId;
use crate::model::time::Timestamp;

/// Magic number, nanoseconds?, length of the file header, length of a record header.
///
/// The third is Alexey Kuznetsov's patch of 1999 (interface, protocol and packet type follow the lengths); the last two are
/// Ixia's, with the file's length behind the usual header.
const VARIANTS: &[(u32, bool, usize, usize)] = &[
    (0xa1b2_c3d4, false, 24, 16),
    (0xa1b2_3c4d, true, 24, 16),
    (0xa1b2_cd34, false, 24, 24),
    (0x1c00_01ab, false, 28, 16),
    (0x1c00_01ac, true, 28, 16),
];

/// In which order a record header gives the captured length and the length on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Lengths {
    /// Captured first: version 2.4.
    CapturedFirst,
    /// Wire first: versions before 2.3, and DG/UX's 543.
    WireFirst,
    /// Version 2.3 was written both ways; the smaller one is the captured length.
    Either,
}

/// The reader of one pcap file, between two pieces of it.
#[derive(Debug)]
pub(super) struct Pcap {
    input: u16,
    number: u64,
    big: bool,
    ns_per_tick: u64,
    record_header: usize,
    lengths: Lengths,
    link: LinkType,
    snaplen: u32,
}

/// Whether these four bytes begin a pcap file.
pub(super) fn is_magic(four: [u8; 4]) -> bool {
    variant(four).is_some()
}

fn variant(four: [u8; 4]) -> Option<(bool, &'static (u32, bool, usize, usize))> {
    let (little, big) = (u32::from_le_bytes(four), u32::from_be_bytes(four));
    VARIANTS
        .iter()
        .find(|row| row.0 == little)
        .map(|row| (false, row))
        .or_else(|| VARIANTS.iter().find(|row| row.0 == big).map(|row| (true, row)))
}

impl Pcap {
    /// Reads the file header and moves `at` behind it. `None` if these are not the first bytes of a pcap file.
    pub(super) fn begin(input: u16, bytes: &[u8], at: &mut usize) -> Option<Result<Self, Step>> {
        let (big, &(_, nanos, file_header, record_header)) = variant(*bytes.first_chunk::<4>()?)?;
        if bytes.len() < file_header {
            return Some(Err(Step::More(file_header)));
        }
        let (major, minor, snaplen, network) = if big {
            (u16_at::<true>(bytes, 4), u16_at::<true>(bytes, 6), u32_at::<true>(bytes, 16), u32_at::<true>(bytes, 20))
        } else {
            (
                u16_at::<false>(bytes, 4),
                u16_at::<false>(bytes, 6),
                u32_at::<false>(bytes, 16),
                u32_at::<false>(bytes, 20),
            )
        };
        if major < 2 {
            return Some(Err(Step::Bad(format!(
                "the file header says pcap version {major}.{minor}, which was never in use"
            ))));
        }
        // Sixteen bits of link type, four of FCS length, a flag for those; the rest must be zero and never was anything else.
        if network & 0x03ff_0000 != 0 {
            return Some(Err(Step::Bad(format!(
                "the file header's link type field is {network:#010x}, with reserved bits set"
            ))));
        }
        *at = file_header;
        Some(Ok(Self {
            input,
            number: 0,
            big,
            ns_per_tick: if nanos { 1 } else { 1_000 },
            record_header,
            lengths: match (major, minor) {
                (2, 0..=2) | (543, _) => Lengths::WireFirst,
                (2, 3) => Lengths::Either,
                _ => Lengths::CapturedFirst,
            },
            link: LinkType((network & 0xffff) as u16),
            snaplen,
        }))
    }

    /// The one link type of the file.
    pub(super) fn link(&self) -> LinkType {
        self.link
    }

    /// The snap length, in bytes; 0 says there is no limit.
    pub(super) fn snaplen(&self) -> u32 {
        self.snaplen
    }

    /// How many records were read.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Makes frames of the records from `at` on; `eof` says that no bytes follow those at hand.
    pub(super) fn walk(&mut self, bytes: &[u8], at: &mut usize, eof: bool, frames: &mut Vec<Frame>) -> Step {
        if self.big {
            self.records::<true>(bytes, at, eof, frames)
        } else {
            self.records::<false>(bytes, at, eof, frames)
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "an arena is some 16 MiB at most")]
    fn records<const BIG: bool>(&mut self, bytes: &[u8], at: &mut usize, eof: bool, frames: &mut Vec<Frame>) -> Step {
        let header_len = self.record_header;
        while frames.len() < BATCH_FRAMES {
            let rest = bytes.get(*at..).unwrap_or_default();
            let Some(header) = rest.first_chunk::<16>().filter(|_| rest.len() >= header_len) else {
                return short(rest.len(), header_len, eof);
            };
            let [seconds, ticks, mut captured, mut wire] = words::<BIG>(*header);
            if self.lengths != Lengths::CapturedFirst && (self.lengths == Lengths::WireFirst || captured > wire) {
                (captured, wire) = (wire, captured);
            }
            if captured > RECORD_BYTES_USUAL
                && let Some(step) = self.oversized::<BIG>(rest, captured, wire, eof)
            {
                return step;
            }
            let whole = header_len + captured as usize;
            if rest.len() < whole {
                return if eof { cut(rest.len() - header_len, captured) } else { Step::More(whole) };
            }
            self.number += 1;
            frames.push(Frame {
                id: FrameId::new(self.input, self.number),
                ts: Timestamp(u64::from(seconds) * 1_000_000_000 + u64::from(ticks) * self.ns_per_tick),
                at: (*at + header_len) as u32,
                captured,
                wire_len: wire.max(captured),
                link: self.link,
            });
            *at += whole;
        }
        Step::Full
    }

    /// Judges a record larger than programs write: `None` if it may be taken once its bytes are there.
    ///
    /// A wrong length swallows the frames behind it, so beyond the declared snap length what follows must look like a record
    /// (or be the end).
    #[cold]
    fn oversized<const BIG: bool>(&self, rest: &[u8], captured: u32, wire: u32, eof: bool) -> Option<Step> {
        if captured > RECORD_BYTES_MAX {
            return Some(Step::Bad(format!(
                "the record says {captured} bytes were captured, more than any frame has (limit {RECORD_BYTES_MAX})"
            )));
        }
        if captured > wire {
            return Some(Step::Bad(format!(
                "the record says {captured} bytes were captured of a frame of {wire} bytes"
            )));
        }
        if self.snaplen == 0 || captured <= self.snaplen {
            return None;
        }
        let whole = self.record_header + captured as usize;
        let next = whole + self.record_header;
        if rest.len() < next && !eof {
            return Some(Step::More(next));
        }
        if rest.len() <= whole {
            return None;
        }
        let sane = rest.len() >= next && {
            let (one, other) = (u32_at::<BIG>(rest, whole + 8), u32_at::<BIG>(rest, whole + 12));
            one.min(other) <= RECORD_BYTES_USUAL
                && u64::from(u32_at::<BIG>(rest, whole + 4)) * self.ns_per_tick < 1_000_000_000
        };
        (!sane).then(|| {
            Step::Bad(format!(
                "the record says {captured} bytes were captured, above the snap length of {}, and no record follows them",
                self.snaplen
            ))
        })
    }
}

#[cold]
fn short(have: usize, need: usize, eof: bool) -> Step {
    match (eof, have) {
        (false, _) => Step::More(need),
        (true, 0) => Step::End,
        (true, _) => Step::Cut(format!(
            "the capture ends inside the record header of this frame: {have} of {need} bytes are there"
        )),
    }
}

#[cold]
fn cut(have: usize, captured: u32) -> Step {
    Step::Cut(format!("the capture ends inside this frame: {have} of its {captured} captured bytes are there"))
}
