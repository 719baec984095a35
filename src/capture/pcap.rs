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

/// What a magic number says of the rest.
struct Variant {
    magic: u32,
    ns_per_tick: u64,
    file_header_bytes: usize,
    record_header_bytes: usize,
}

/// The third is Alexey Kuznetsov's patch of 1999 (interface, protocol and packet type follow the lengths); the last two are
/// Ixia's, with the file's length behind the usual header.
const VARIANTS: &[Variant] = &[
    Variant { magic: 0xa1b2_c3d4, ns_per_tick: 1_000, file_header_bytes: 24, record_header_bytes: 16 },
    Variant { magic: 0xa1b2_3c4d, ns_per_tick: 1, file_header_bytes: 24, record_header_bytes: 16 },
    Variant { magic: 0xa1b2_cd34, ns_per_tick: 1_000, file_header_bytes: 24, record_header_bytes: 24 },
    Variant { magic: 0x1c00_01ab, ns_per_tick: 1_000, file_header_bytes: 28, record_header_bytes: 16 },
    Variant { magic: 0x1c00_01ac, ns_per_tick: 1, file_header_bytes: 28, record_header_bytes: 16 },
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

/// The variant, and whether the file is big-endian.
fn variant(four: [u8; 4]) -> Option<(&'static Variant, bool)> {
    let with = |magic| VARIANTS.iter().find(|variant| variant.magic == magic);
    let little = with(u32::from_le_bytes(four)).map(|variant| (variant, false));
    little.or_else(|| with(u32::from_be_bytes(four)).map(|variant| (variant, true)))
}

impl Pcap {
    /// Reads the file header and moves `at` behind it. `None` if these are not the first bytes of a pcap file.
    pub(super) fn begin(input: u16, bytes: &[u8], at: &mut usize) -> Option<Result<Self, Step>> {
        let (variant, big) = variant(*bytes.first_chunk::<4>()?)?;
        if bytes.len() < variant.file_header_bytes {
            return Some(Err(Step::More(variant.file_header_bytes)));
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
        *at = variant.file_header_bytes;
        Some(Ok(Self {
            input,
            number: 0,
            big,
            ns_per_tick: variant.ns_per_tick,
            record_header: variant.record_header_bytes,
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
        // What every record needs lies in registers, not behind a reference.
        let Self { input, ns_per_tick, record_header: header_len, lengths, link, .. } = *self;
        let (mut place, mut number) = (*at, self.number);
        let step = loop {
            if frames.len() >= BATCH_FRAMES {
                break Step::Full;
            }
            let rest = bytes.get(place..).unwrap_or_default();
            let Some(header) = rest.first_chunk::<16>().filter(|_| rest.len() >= header_len) else {
                break short(rest.len(), header_len, eof);
            };
            let [seconds, ticks, mut captured, mut wire] = words::<BIG>(*header);
            if captured == 0 && number > 0 && rest.first_chunk() == Some(&[0; ZEROS]) {
                break zeros();
            }
            if lengths != Lengths::CapturedFirst && (lengths == Lengths::WireFirst || captured > wire) {
                (captured, wire) = (wire, captured);
            }
            if captured > RECORD_BYTES_USUAL
                && let Some(step) = self.oversized::<BIG>(rest, captured, wire, eof)
            {
                break step;
            }
            let whole = header_len + captured as usize;
            if rest.len() < whole {
                break if eof { cut(rest.len() - header_len, captured) } else { Step::More(whole) };
            }
            number += 1;
            frames.push(Frame {
                id: FrameId::new(input, number),
                ts: Timestamp(u64::from(seconds) * 1_000_000_000 + u64::from(ticks) * ns_per_tick),
                at: (place + header_len) as u32,
                captured,
                wire_len: wire.max(captured),
                link,
            });
            place += whole;
        };
        (*at, self.number) = (place, number);
        step
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

/// So many zero bytes would be four empty frames of the year 1970, one after the other.
const ZEROS: usize = 64;

/// No such frames are ever captured: the capturing system set the space aside and did not come to use it.
#[cold]
fn zeros() -> Step {
    Step::Bad("nothing but zeros from here on: the file was made larger in advance and not filled".to_owned())
}

#[cold]
fn cut(have: usize, captured: u32) -> Step {
    Step::Cut(format!("the capture ends inside this frame: {have} of its {captured} captured bytes are there"))
}

#[cfg(test)]
mod tests {
    use crate::capture::craft::PcapFile;
    use crate::capture::craft::read;
    use crate::capture::craft::small_pcap;
    use crate::capture::walk::RECORD_BYTES_MAX;

    #[test]
    fn a_tail_of_zeros_is_no_frames() {
        let mut file = small_pcap();
        let whole = read(&file).frames.len();
        file.extend([0; 4096]);
        let outcome = read(&file);
        assert_eq!(outcome.frames.len(), whole);
        assert!(outcome.facts.damage.is_some_and(|damage| damage.message.contains("zeros")));
    }

    #[test]
    fn every_variant_is_read_in_both_byte_orders() {
        for (magic, ns_per_tick) in [(0xa1b2_c3d4, 1_000), (0xa1b2_3c4d, 1), (0xa1b2_cd34, 1_000)] {
            for big in [false, true] {
                let mut file = PcapFile::new(magic, big);
                file.record(1_700_000_000, 999_999, b"abc").claim(4_294_967_295, 1, 2, 1500, b"de");
                let outcome = read(&file.bytes);
                let first = (1, 1_700_000_000_000_000_000 + 999_999 * ns_per_tick, 1, 3, b"abc".to_vec());
                let second = (2, 4_294_967_295_000_000_000 + ns_per_tick, 1, 1500, b"de".to_vec());
                assert_eq!(outcome.frames, [first, second], "{magic:x} {big}");
                assert_eq!((outcome.facts.snaplen, outcome.damage_at()), (Some(65_535), (0, 0)));
            }
        }
    }

    #[test]
    fn ixia_files_have_four_more_bytes_in_their_header() {
        let mut file = PcapFile::new(0x1c00_01ac, false);
        file.bytes.extend([0xee; 4]);
        file.record(1, 2, b"abc");
        assert_eq!(read(&file.bytes).times(), [1_000_000_002]);
    }

    #[test]
    fn old_versions_have_the_lengths_the_other_way_round() {
        for (version, captured, wire) in
            [((2, 2), 9, 3), ((2, 3), 9, 3), ((2, 3), 3, 9), ((543, 0), 9, 3), ((2, 4), 3, 9), ((2, 77), 3, 9)]
        {
            let mut file = PcapFile::with(0xa1b2_c3d4, false, version, 0, 1);
            file.claim(0, 0, captured, wire, b"abc");
            let outcome = read(&file.bytes);
            assert_eq!(outcome.frames, [(1, 0, 1, 9, b"abc".to_vec())], "{version:?}");
            assert_eq!(outcome.facts.snaplen, None);
        }
    }

    #[test]
    fn the_upper_bits_of_the_link_type_tell_of_the_fcs_or_are_wrong() {
        let with = |network| {
            let mut file = PcapFile::with(0xa1b2_c3d4, false, (2, 4), 0, network);
            file.record(0, 0, b"abc");
            read(&file.bytes)
        };
        assert_eq!(with(0x2400_0001).frames.first().map(|frame| frame.2), Some(1));
        let wrong = with(0x0020_2020);
        assert!(wrong.frames.is_empty() && wrong.message().contains("0x00202020"), "{}", wrong.message());
        let mut old = PcapFile::with(0xa1b2_c3d4, false, (1, 2), 0, 1);
        assert!(read(&old.record(0, 0, b"abc").bytes).message().contains("version 1.2"));
    }

    #[test]
    fn a_file_cut_anywhere_gives_every_whole_frame_and_says_where_it_ends() {
        let file = small_pcap();
        let starts = [24, 100, 116, 133, 210, 526];
        assert_eq!(file.len(), 526);
        for length in 0..=file.len() {
            let outcome = read(file.get(..length).unwrap_or_default());
            let whole = starts.iter().filter(|start| **start <= length).count().saturating_sub(1);
            assert_eq!(outcome.frames.len(), whole, "{length}");
            let expected = match starts.iter().rfind(|start| **start <= length) {
                None => (1, 0),
                Some(start) if *start == length => (0, 0),
                Some(start) => (whole as u64 + 1, *start as u64),
            };
            assert_eq!(outcome.damage_at(), expected, "{length} {}", outcome.message());
        }
        assert!(
            read(&file[..300]).message().contains("74 of its 300 captured bytes"),
            "{}",
            read(&file[..300]).message()
        );
        assert!(read(&file[..105]).message().contains("5 of 16 bytes"));
        assert!(read(&file[..10]).message().contains("10 of 24 bytes"));
        assert!(read(&[]).message().contains("empty"));
    }

    #[test]
    fn nonsense_lengths_end_the_file_and_allocate_nothing() {
        for captured in [u32::MAX, 0x8000_0000, RECORD_BYTES_MAX + 1, RECORD_BYTES_MAX, 262_145, 1_000] {
            let mut file = PcapFile::with(0xa1b2_c3d4, false, (2, 4), 0, 1);
            file.record(1, 1, b"abc").claim(2, 2, captured, u32::MAX, &[7; 500]).record(3, 3, b"def");
            let outcome = read(&file.bytes);
            assert_eq!((outcome.frames.len(), outcome.damage_at()), (1, (2, 43)), "{captured}");
            assert!(outcome.arena <= 64 << 10, "{captured}: {}", outcome.arena);
        }
    }

    #[test]
    fn a_frame_above_the_usual_limit_is_taken_if_its_bytes_are_there() {
        let large: Vec<u8> = (0..2_000_000_u32).map(|number| number.to_le_bytes()[1]).collect();
        for (snaplen, behind, taken) in
            [(0, &b""[..], 3), (4_000_000, b"", 3), (65_535, b"", 3), (65_535, &[0xff; 40], 2)]
        {
            let mut file = PcapFile::with(0xa1b2_c3d4, false, (2, 4), snaplen, 1);
            file.record(1, 1, b"abc").record(2, 2, b"def");
            file.record(3, 3, &large).bytes.extend(behind);
            let outcome = read(&file.bytes);
            assert_eq!(outcome.frames.len(), taken, "{snaplen} {}", outcome.message());
            if taken == 3 {
                assert!(outcome.frames.last().is_some_and(|frame| frame.4 == large));
            } else {
                assert!(outcome.message().contains("no record follows"), "{}", outcome.message());
            }
        }
        // More captured than was on the wire, and that much, is a wrong header.
        let mut file = PcapFile::with(0xa1b2_c3d4, false, (2, 4), 0, 1);
        file.claim(1, 1, 2_000_000, 60, &large);
        assert!(read(&file.bytes).message().contains("of a frame of 60 bytes"));
    }

    #[test]
    fn more_captured_than_on_the_wire_counts_as_what_was_captured() {
        let mut file = PcapFile::new(0xa1b2_c3d4, false);
        file.claim(1, 1, 3, 2, b"abc");
        assert_eq!(read(&file.bytes).frames, [(1, 1_000_001_000, 1, 3, b"abc".to_vec())]);
    }
}
