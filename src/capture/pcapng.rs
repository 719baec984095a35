//! Walks the blocks of a pcapng file (`draft-ietf-opsawg-pcapng`) that lie in memory, and makes frames of them.
//!
//! It hands on frames that point into the same memory, and says where and why it cannot go on. Each section has its own byte
//! order and interfaces; each interface its own link type, snap length and clock. It must never know where the bytes come from.

use crate::capture::batch::Frame;
use crate::capture::batch::LinkType;
use crate::capture::walk::BATCH_FRAMES;
use crate::capture::walk::RECORD_BYTES_MAX;
use crate::capture::walk::Step;
use crate::capture::walk::u16_at;
use crate::capture::walk::u32_at;
use crate::capture::walk::u32_of;
use crate::capture::walk::words;
use crate::model::ids::FrameId;
use crate::model::time::Timestamp;

/// The type of a Section Header Block: the same in both byte orders.
pub(super) const SECTION_HEADER: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

const INTERFACE_DESCRIPTION: u32 = 1;
const PACKET_OBSOLETE: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;

/// Blocks that Wireshark shows as numbered records though they hold no frame: systemd journal entries, Sysdig events, custom
/// blocks. Counting them keeps our numbers the same as Wireshark's.
const NUMBERED: &[u32] = &[0x0000_0009, 0x0000_0204, 0x0000_0208, 0x0000_0216, 0x0000_0221, 0x0000_0bad, 0x4000_0bad];

/// A block holds one frame and its options; nothing honest is larger.
const BLOCK_BYTES_MAX: u32 = RECORD_BYTES_MAX + (1 << 20);

/// Interfaces of one section that are remembered. The format numbers more, no machine has them.
const INTERFACES_MAX: usize = 65_536;

/// How the ticks of an interface become nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Clock {
    /// A tick is this many nanoseconds.
    Coarse(u64),
    /// A nanosecond is this many ticks.
    Fine(u64),
    /// A second is two to this power of ticks.
    Binary(u32),
}

impl Clock {
    /// From the one byte of `if_tsresol`: the top bit chooses the base, the rest is the negative exponent.
    fn of(resolution: u8) -> Self {
        let exponent = u32::from(resolution & 0x7f);
        if resolution & 0x80 != 0 {
            return Self::Binary(exponent);
        }
        match exponent.checked_sub(9) {
            None | Some(0) => Self::Coarse(10_u64.pow(9 - exponent.min(9))),
            Some(finer) => Self::Fine(10_u64.checked_pow(finer).unwrap_or(u64::MAX)),
        }
    }

    #[inline]
    fn ns(self, ticks: u64) -> u64 {
        match self {
            Self::Coarse(ns) => ticks.saturating_mul(ns),
            Self::Fine(ticks_per_ns) => ticks / ticks_per_ns,
            Self::Binary(power) => u64::try_from((u128::from(ticks) * 1_000_000_000) >> power).unwrap_or(u64::MAX),
        }
    }
}

#[derive(Debug)]
struct Interface {
    link: LinkType,
    snaplen: u32,
    clock: Clock,
    /// `if_tsoffset`, in nanoseconds.
    offset_ns: i64,
    /// `isb_ifdrop` and `isb_osdrop` of the newest statistics block.
    lost_by_statistics: [u64; 2],
    /// The sum of the drop counts that stand on packet blocks.
    lost_by_packets: u64,
}

impl Interface {
    #[inline]
    fn time(&self, high: u32, low: u32) -> u64 {
        let ns = self.clock.ns(u64::from(high) << 32 | u64::from(low));
        if self.offset_ns == 0 { ns } else { ns.saturating_add_signed(self.offset_ns) }
    }

    /// Both counts tell of the same losses, so the larger one stands.
    fn lost(&self) -> u64 {
        let [by_interface, by_system] = self.lost_by_statistics;
        by_interface.saturating_add(by_system).max(self.lost_by_packets)
    }
}

/// The reader of one pcapng file, between two pieces of it.
#[derive(Debug)]
pub(super) struct Pcapng {
    input: u16,
    number: u64,
    big: bool,
    interfaces: Vec<Interface>,
    /// The time of the newest frame, which a Simple Packet Block carries on.
    newest: Timestamp,
    lost: u64,
    snaplen: Option<u32>,
}

/// What one block was; its frame is in the list already.
enum Block {
    Done,
    /// The byte order changed.
    Section,
    Bad(String),
}

impl Pcapng {
    /// A reader that expects a Section Header Block first.
    pub(super) fn new(input: u16) -> Self {
        Self { input, number: 0, big: false, interfaces: Vec::new(), newest: Timestamp(0), lost: 0, snaplen: None }
    }

    /// How many records were counted, as Wireshark counts.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Frames that the file says were lost, over all interfaces of all sections so far.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// The smallest snap length declared so far, in bytes.
    pub(super) fn snaplen(&self) -> Option<u32> {
        self.snaplen
    }

    /// Makes frames of the blocks from `at` on; `eof` says that no bytes follow those at hand.
    pub(super) fn walk(&mut self, bytes: &[u8], at: &mut usize, eof: bool, frames: &mut Vec<Frame>) -> Step {
        loop {
            let step = if self.big {
                self.blocks::<true>(bytes, at, eof, frames)
            } else {
                self.blocks::<false>(bytes, at, eof, frames)
            };
            if let Some(step) = step {
                return step;
            }
        }
    }

    /// Walks until something is to be said, or (`None`) until the byte order may have changed.
    fn blocks<const BIG: bool>(
        &mut self,
        bytes: &[u8],
        at: &mut usize,
        eof: bool,
        frames: &mut Vec<Frame>,
    ) -> Option<Step> {
        while frames.len() < BATCH_FRAMES {
            let rest = bytes.get(*at..).unwrap_or_default();
            let Some(&[k0, k1, k2, k3, l0, l1, l2, l3, m0, m1, m2, m3]) = rest.first_chunk::<12>() else {
                return Some(short(rest.len(), eof));
            };
            let kind = [k0, k1, k2, k3];
            if kind == SECTION_HEADER && is_big([m0, m1, m2, m3]) != Some(BIG) {
                match is_big([m0, m1, m2, m3]) {
                    Some(big) => self.big = big,
                    None => return Some(Step::Bad("the section header has no byte-order magic".to_owned())),
                }
                return None;
            }
            let kind = u32_of::<BIG>(kind);
            let length = u32_of::<BIG>([l0, l1, l2, l3]);
            if !(12..=BLOCK_BYTES_MAX).contains(&length) {
                return Some(Step::Bad(format!(
                    "a block of type {kind:#x} says it is {length} bytes long, which cannot be"
                )));
            }
            // The length counts the padding; programs that forgot it pad all the same.
            let whole = (length as usize).next_multiple_of(4);
            let Some(block) = rest.get(..whole) else {
                return Some(if eof { cut(kind, rest.len(), whole) } else { Step::More(whole) });
            };
            let trailer = u32_at::<BIG>(block, whole - 4);
            if trailer != length {
                return Some(Step::Bad(format!(
                    "a block of type {kind:#x} says {length} bytes at its beginning and {trailer} at its end"
                )));
            }
            let done = match kind {
                ENHANCED_PACKET => self.enhanced::<BIG>(block, *at, frames),
                _ => self.other::<BIG>(kind, block, *at, frames),
            };
            match done {
                Block::Done => {}
                Block::Section => {
                    *at += whole;
                    return None;
                }
                Block::Bad(message) => return Some(Step::Bad(message)),
            }
            *at += whole;
        }
        Some(Step::Full)
    }

    #[inline]
    fn enhanced<const BIG: bool>(&mut self, block: &[u8], at: usize, frames: &mut Vec<Frame>) -> Block {
        let Some((header, body)) = block.split_first_chunk::<28>() else {
            return too_small("an Enhanced Packet Block", block.len());
        };
        let Some((&first, _)) = header.get(8..).and_then(|rest| rest.split_first_chunk::<16>()) else {
            return Block::Done;
        };
        let [interface, high, low, captured] = words::<BIG>(first);
        let wire = u32_at::<BIG>(header, 24);
        // The trailing length is no place for frame bytes.
        let room = body.len().saturating_sub(4);
        if captured as usize > room || captured > RECORD_BYTES_MAX {
            return overfull(captured, room);
        }
        let Some(known) = self.interfaces.get(interface as usize) else {
            return no_interface(interface, self.interfaces.len());
        };
        let (ts, link) = (Timestamp(known.time(high, low)), known.link);
        self.push(frames, ts, at + 28, captured, wire, link);
        let options = (captured as usize).next_multiple_of(4);
        if room > options {
            self.packet_options::<BIG>(interface, body.get(options..room).unwrap_or_default());
        }
        Block::Done
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "an arena is some 17 MiB at most")]
    fn push(&mut self, frames: &mut Vec<Frame>, ts: Timestamp, at: usize, captured: u32, wire: u32, link: LinkType) {
        self.number += 1;
        self.newest = ts;
        frames.push(Frame {
            id: FrameId::new(self.input, self.number),
            ts,
            at: at as u32,
            captured,
            wire_len: wire.max(captured),
            link,
        });
    }

    /// `epb_dropcount`: frames lost between this one and the one before it on the same interface.
    fn packet_options<const BIG: bool>(&mut self, interface: u32, options: &[u8]) {
        const DROP_COUNT: u16 = 4;
        let lost = Options::<BIG>(options).filter_map(|option| match option {
            Ok((DROP_COUNT, value)) => u64_of::<BIG>(value),
            _ => None,
        });
        let lost = lost.fold(0, u64::saturating_add);
        if lost > 0 {
            self.lose(interface, |known| known.lost_by_packets = known.lost_by_packets.saturating_add(lost));
        }
    }

    fn lose(&mut self, interface: u32, note: impl FnOnce(&mut Interface)) {
        if let Some(known) = self.interfaces.get_mut(interface as usize) {
            let before = known.lost();
            note(known);
            self.lost = self.lost.saturating_sub(before).saturating_add(known.lost());
        }
    }

    #[cold]
    fn other<const BIG: bool>(&mut self, kind: u32, block: &[u8], at: usize, frames: &mut Vec<Frame>) -> Block {
        match kind {
            _ if block.starts_with(&SECTION_HEADER) => self.section::<BIG>(block),
            INTERFACE_DESCRIPTION => self.interface::<BIG>(block),
            SIMPLE_PACKET => self.simple::<BIG>(block, at, frames),
            PACKET_OBSOLETE => self.obsolete::<BIG>(block, at, frames),
            INTERFACE_STATISTICS => {
                self.statistics::<BIG>(block);
                Block::Done
            }
            _ => {
                self.number += u64::from(NUMBERED.contains(&kind));
                Block::Done
            }
        }
    }

    fn section<const BIG: bool>(&mut self, block: &[u8]) -> Block {
        if block.len() < 28 {
            return too_small("a Section Header Block", block.len());
        }
        let (major, minor) = (u16_at::<BIG>(block, 12), u16_at::<BIG>(block, 14));
        // Version 1.2 was written by mistake and is 1.0; nobody knows what any other would mean.
        if major != 1 || !matches!(minor, 0 | 2) {
            return Block::Bad(format!("the section header says pcapng version {major}.{minor}; only 1.0 is known"));
        }
        self.interfaces.clear();
        Block::Section
    }

    fn interface<const BIG: bool>(&mut self, block: &[u8]) -> Block {
        const TIME_RESOLUTION: u16 = 9;
        const TIME_OFFSET: u16 = 14;
        if block.len() < 20 {
            return too_small("an Interface Description Block", block.len());
        }
        if self.interfaces.len() >= INTERFACES_MAX {
            return Block::Bad(format!("a section describes more than {INTERFACES_MAX} interfaces"));
        }
        let snaplen = u32_at::<BIG>(block, 12);
        let mut clock = Clock::of(6);
        let mut offset_ns = 0;
        for option in Options::<BIG>(block.get(16..block.len() - 4).unwrap_or_default()) {
            match option {
                Ok((TIME_RESOLUTION, &[resolution, ..])) => clock = Clock::of(resolution),
                Ok((TIME_OFFSET, value)) => {
                    let seconds = u64_of::<BIG>(value).unwrap_or_default().cast_signed();
                    offset_ns = seconds.saturating_mul(1_000_000_000);
                }
                Ok(_) => {}
                Err(message) => return Block::Bad(format!("an Interface Description Block cannot be read: {message}")),
            }
        }
        if snaplen != 0 {
            self.snaplen = Some(self.snaplen.map_or(snaplen, |smallest| smallest.min(snaplen)));
        }
        self.interfaces.push(Interface {
            link: LinkType(u16_at::<BIG>(block, 8)),
            snaplen,
            clock,
            offset_ns,
            lost_by_statistics: [0; 2],
            lost_by_packets: 0,
        });
        Block::Done
    }

    /// A Simple Packet Block belongs to interface 0, whose snap length says how much of the frame is there.
    fn simple<const BIG: bool>(&mut self, block: &[u8], at: usize, frames: &mut Vec<Frame>) -> Block {
        let Some(room) = block.len().checked_sub(16) else { return too_small("a Simple Packet Block", block.len()) };
        let Some(known) = self.interfaces.first() else { return no_interface(0, 0) };
        let wire = u32_at::<BIG>(block, 8);
        let captured = if known.snaplen == 0 { wire } else { wire.min(known.snaplen) };
        if captured as usize > room || captured > RECORD_BYTES_MAX {
            return overfull(captured, room);
        }
        let link = known.link;
        self.push(frames, self.newest, at + 12, captured, wire, link);
        Block::Done
    }

    fn obsolete<const BIG: bool>(&mut self, block: &[u8], at: usize, frames: &mut Vec<Frame>) -> Block {
        const DROPS_UNKNOWN: u16 = 0xffff;
        let Some(room) = block.len().checked_sub(32) else { return too_small("a Packet Block", block.len()) };
        let interface = u32::from(u16_at::<BIG>(block, 8));
        let drops = u16_at::<BIG>(block, 10);
        let [high, low, captured, wire] = [12, 16, 20, 24].map(|at| u32_at::<BIG>(block, at));
        if captured as usize > room || captured > RECORD_BYTES_MAX {
            return overfull(captured, room);
        }
        let Some(known) = self.interfaces.get(interface as usize) else {
            return no_interface(interface, self.interfaces.len());
        };
        let (ts, link) = (Timestamp(known.time(high, low)), known.link);
        self.push(frames, ts, at + 28, captured, wire, link);
        if drops != 0 && drops != DROPS_UNKNOWN {
            self.lose(interface, |known| {
                known.lost_by_packets = known.lost_by_packets.saturating_add(u64::from(drops));
            });
        }
        Block::Done
    }

    /// Counters run from the start of the capture, so the newest block of an interface stands for all before it.
    fn statistics<const BIG: bool>(&mut self, block: &[u8]) {
        const INTERFACE_DROPS: u16 = 5;
        const SYSTEM_DROPS: u16 = 7;
        let options = block.get(20..block.len() - 4).unwrap_or_default();
        self.lose(u32_at::<BIG>(block, 8), |known| {
            let [by_interface, by_system] = &mut known.lost_by_statistics;
            for (code, value) in Options::<BIG>(options).flatten() {
                match code {
                    INTERFACE_DROPS => *by_interface = u64_of::<BIG>(value).unwrap_or(*by_interface),
                    SYSTEM_DROPS => *by_system = u64_of::<BIG>(value).unwrap_or(*by_system),
                    _ => {}
                }
            }
        });
    }
}

/// The options of a block: code and value, until the end-of-options code, the end, or one that cannot be read.
struct Options<'a, const BIG: bool>(&'a [u8]);

impl<'a, const BIG: bool> Iterator for Options<'a, BIG> {
    type Item = Result<(u16, &'a [u8]), String>;

    fn next(&mut self) -> Option<Self::Item> {
        let (header, rest) = match self.0.split_first_chunk::<4>() {
            Some(parts) => parts,
            None if self.0.is_empty() => return None,
            None => {
                let left = std::mem::take(&mut self.0).len();
                return Some(Err(format!("{left} bytes are left for an option, too few")));
            }
        };
        let (code, length) = (u16_at::<BIG>(header, 0), usize::from(u16_at::<BIG>(header, 2)));
        if code == 0 {
            self.0 = &[];
            return None;
        }
        let Some(value) = rest.get(..length) else {
            self.0 = &[];
            return Some(Err(format!("option {code} says it is {length} bytes long, {} are left", rest.len())));
        };
        self.0 = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Ok((code, value)))
    }
}

fn u64_of<const BIG: bool>(value: &[u8]) -> Option<u64> {
    let bytes = *value.first_chunk::<8>()?;
    Some(if BIG { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
}

/// The byte-order magic of a section header: whether the section is big-endian.
fn is_big(magic: [u8; 4]) -> Option<bool> {
    match u32::from_be_bytes(magic) {
        0x1a2b_3c4d => Some(true),
        0x4d3c_2b1a => Some(false),
        _ => None,
    }
}

#[cold]
fn short(have: usize, eof: bool) -> Step {
    match (eof, have) {
        (false, _) => Step::More(12),
        (true, 0) => Step::End,
        (true, _) => Step::Cut(format!("the capture ends inside the header of a block: {have} of 12 bytes are there")),
    }
}

#[cold]
fn cut(kind: u32, have: usize, whole: usize) -> Step {
    let what = match kind {
        ENHANCED_PACKET | SIMPLE_PACKET | PACKET_OBSOLETE => "the block of this frame",
        _ => "a block that is no frame",
    };
    Step::Cut(format!("the capture ends inside {what} (type {kind:#x}): {have} of its {whole} bytes are there"))
}

#[cold]
fn too_small(what: &str, length: usize) -> Block {
    Block::Bad(format!("{what} is only {length} bytes long, too few for its fixed fields"))
}

#[cold]
fn overfull(captured: u32, room: usize) -> Block {
    Block::Bad(format!("the block says {captured} bytes were captured and has room for {room}"))
}

#[cold]
fn no_interface(interface: u32, known: usize) -> Block {
    Block::Bad(format!("the frame belongs to interface {interface}, and its section describes {known}"))
}

#[cfg(test)]
mod tests {
    use super::Clock;
    use crate::capture::craft::NgFile;
    use crate::capture::craft::read;
    use crate::capture::craft::small_pcapng;

    #[test]
    fn sections_and_interfaces_keep_their_own_ways() {
        let outcome = read(&small_pcapng());
        let expected = [
            (1, 1_000_000_000, 1, 61, vec![1; 61]),
            (2, 1_000_000_000, 1, 5, vec![2; 5]),
            // The custom block took number 3.
            (4, 2_000_000_000, 101, 40, vec![3; 40]),
        ];
        assert_eq!(outcome.frames, expected, "{}", outcome.message());
        assert_eq!((outcome.facts.dropped, outcome.facts.snaplen), (7, Some(128)));
        assert_eq!(outcome.facts.damage, None);
    }

    /// Appends something wrong.
    type Break<'a> = &'a dyn Fn(&mut NgFile);

    #[test]
    fn the_clock_of_an_interface_is_its_own() {
        let resolutions: [(u8, u64, u64); 9] = [
            (6, 1_000_001, 1_000_001_000),
            (9, 1_000_001, 1_000_001),
            (0, 3, 3_000_000_000),
            (3, 1_500, 1_500_000_000),
            (12, 1_500_000_000_999, 1_500_000_000),
            (0x80, 3, 3_000_000_000),
            (0x8a, 1536, 1_500_000_000),
            (0xbf, 1 << 63, 1_000_000_000),
            (127, u64::MAX, 1),
        ];
        for big in [false, true] {
            for (resolution, ticks, ns) in resolutions {
                let mut file = NgFile::new(big);
                let option = file.option(9, &[resolution]);
                file.interface(1, 0, &option).packet(0, ticks, b"abc");
                assert_eq!(read(&file.bytes).times(), [ns], "{big} {resolution:#x}");
            }
        }
        assert_eq!(Clock::of(0).ns(u64::MAX), u64::MAX);
        assert_eq!(Clock::of(0xff).ns(u64::MAX), 0);
        assert_eq!(Clock::of(0x80).ns(u64::MAX), u64::MAX);
    }

    #[test]
    fn the_time_offset_is_signed_and_in_the_order_of_the_section() {
        for big in [false, true] {
            for (seconds, ns) in
                [(5_i64, 6_000_000_000), (-1, 0), (-2, 0), (i64::MAX, i64::MAX.unsigned_abs() + 1_000_000_000)]
            {
                let mut file = NgFile::new(big);
                let option = file.option(14, &file.u64(seconds.cast_unsigned()));
                file.interface(1, 0, &option).packet(0, 1_000_000, b"abc");
                assert_eq!(read(&file.bytes).times(), [ns], "{big} {seconds}");
            }
        }
    }

    #[test]
    fn a_simple_packet_is_cut_at_the_snap_length_of_interface_zero() {
        let mut file = NgFile::new(true);
        file.interface(1, 4, &[]).interface(101, 0, &[]).simple(9, &[5; 4]).packet(1, 7, b"").simple(2, &[6; 2]);
        let expected = [(1, 0, 1, 9, vec![5; 4]), (2, 7_000, 101, 0, vec![]), (3, 7_000, 1, 2, vec![6; 2])];
        assert_eq!(read(&file.bytes).frames, expected);
    }

    #[test]
    fn the_obsolete_packet_block_is_read_with_its_drops() {
        for big in [false, true] {
            let mut file = NgFile::new(big);
            file.interface(1, 0, &[]);
            for drops in [3, 0xffff, 0, 2] {
                let mut body = [file.u16(0), file.u16(drops)].concat();
                body.extend([0, 1_000, 3, 90].iter().flat_map(|value| file.u32(*value)));
                body.extend(b"abc");
                file.block(2, &body);
            }
            let outcome = read(&file.bytes);
            assert_eq!(outcome.frames.first(), Some(&(1, 1_000_000, 1, 90, b"abc".to_vec())));
            assert_eq!((outcome.frames.len(), outcome.facts.dropped), (4, 5));
        }
    }

    #[test]
    fn the_newest_statistics_of_each_interface_count_and_packet_drops_only_if_more() {
        let mut file = NgFile::new(false);
        file.interface(1, 0, &[]).interface(1, 0, &[]);
        let statistics = |file: &mut NgFile, interface: u32, by_interface: u64, by_system: u64| {
            let options = [file.option(5, &file.u64(by_interface)), file.option(7, &file.u64(by_system))].concat();
            let body = [&file.u32(interface)[..], &[0; 8], &options].concat();
            file.block(5, &body);
        };
        statistics(&mut file, 0, 10, 1);
        statistics(&mut file, 1, 5, 0);
        statistics(&mut file, 0, 20, 2);
        statistics(&mut file, 9, 1_000, 0);
        assert_eq!(read(&file.bytes).facts.dropped, 27);
        let drop_count = file.option(4, &file.u64(30));
        file.packet_with(1, 1, b"abc", 3, &drop_count);
        assert_eq!(read(&file.bytes).facts.dropped, 22 + 30);
        file.section(true).interface(1, 0, &[]);
        statistics(&mut file, 0, 1, 1);
        assert_eq!(read(&file.bytes).facts.dropped, 52 + 2);
    }

    #[test]
    fn a_block_that_cannot_be_read_ends_the_file_with_its_reason() {
        let start = |file: &mut NgFile| {
            file.interface(1, 0, &[]).packet(0, 1, b"abc");
            file.bytes.len() as u64
        };
        let broken: [(&str, Break); 11] = [
            ("interface 7, and its section describes 1", &|file| {
                file.packet(7, 1, b"abc").packet(0, 1, b"abc");
            }),
            ("has room for 4", &|file| {
                let body: Vec<u8> = [0, 0, 0, 65_536, 65_536, 1].iter().flat_map(|value| file.u32(*value)).collect();
                file.block(6, &body);
            }),
            ("too few for its fixed fields", &|file| {
                file.block(6, &[0; 8]);
            }),
            ("Simple Packet Block is only 12 bytes", &|file| {
                file.block(3, &[]);
            }),
            ("Packet Block is only", &|file| {
                file.block(2, &[0; 12]);
            }),
            ("Interface Description Block is only", &|file| {
                file.block(1, &[0; 4]);
            }),
            ("option 9 says it is 200 bytes long", &|file| {
                let mut option = file.option(9, &[9]);
                option[2] = 200;
                file.interface(1, 0, &option);
            }),
            ("is 8 bytes long, which cannot be", &|file| file.bytes.extend([9, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0, 0])),
            ("is 4294967295 bytes long", &|file| file.bytes.extend([[9, 0, 0, 0], [0xff; 4], [0xff; 4]].concat())),
            ("at its beginning and 99 at its end", &|file| {
                file.block(77, &[0; 8]);
                let end = file.bytes.len() - 4;
                file.bytes[end] = 99;
            }),
            ("no byte-order magic", &|file| {
                file.block(0x0a0d_0d0a, &[9; 16]);
            }),
        ];
        for (words, breaks) in broken {
            let mut file = NgFile::new(false);
            let offset = start(&mut file);
            breaks(&mut file);
            let outcome = read(&file.bytes);
            assert_eq!((outcome.frames.len(), outcome.damage_at()), (1, (2, offset)), "{words}");
            assert!(outcome.message().contains(words), "{words}: {}", outcome.message());
        }
    }

    #[test]
    fn a_section_without_interfaces_has_no_frames() {
        let mut file = NgFile::new(false);
        file.interface(1, 0, &[]).packet(0, 1, b"abc").section(false).simple(3, b"abc");
        assert!(read(&file.bytes).message().contains("interface 0, and its section describes 0"));
    }

    #[test]
    fn only_version_one_is_known() {
        for (major, minor, known) in [(1, 0, true), (1, 2, true), (1, 1, false), (0, 1, false), (2, 0, false)] {
            let mut file = NgFile::new(false);
            file.bytes[12] = major;
            file.bytes[14] = minor;
            assert_eq!(read(&file.bytes).facts.damage.is_none(), known, "{major}.{minor}");
        }
    }

    #[test]
    fn a_length_that_forgot_its_padding_is_forgiven() {
        let mut file = NgFile::new(false);
        file.interface(1, 0, &[]);
        let at = file.bytes.len();
        file.packet(0, 1, b"abcde").packet(0, 2, b"f");
        for place in [at + 4, at + 36] {
            assert_eq!(file.bytes[place], 40);
            file.bytes[place] = 37;
        }
        assert_eq!(read(&file.bytes).times(), [1_000, 2_000]);
    }

    #[test]
    fn a_file_cut_anywhere_gives_every_whole_frame() {
        let file = small_pcapng();
        let whole = read(&file).frames;
        let mut given = 0;
        let mut clean = 0;
        for length in 0..=file.len() {
            let outcome = read(file.get(..length).unwrap_or_default());
            assert!(outcome.frames.len() >= given, "{length}: a longer file gives no fewer frames");
            given = outcome.frames.len();
            assert_eq!(Some(&outcome.frames[..]), whole.get(..given), "{length}");
            clean += usize::from(outcome.facts.damage.is_none());
            let (_, offset) = outcome.damage_at();
            assert!(offset <= length as u64);
        }
        // Ten blocks end in ten places.
        assert_eq!((given, clean), (3, 10));
    }
}
