//! One input: bytes from its stream, walked by the walker of its format, become batches of frames.
//!
//! Bytes are read straight into the arena of the batch and frames point to where they fell; only the piece of a record that is
//! left at the end is moved. Reading aims at as many bytes as a batch of frames will need, from the size of the last ones.

use crate::capture::batch::Frame;
use crate::capture::batch::FrameBatch;
use crate::capture::facts::Damage;
use crate::capture::facts::Format;
use crate::capture::facts::InputFacts;
use crate::capture::pcap::Pcap;
use crate::capture::pcapng::Pcapng;
use crate::capture::pcapng::SECTION_HEADER;
use crate::capture::sniff;
use crate::capture::stream::Stream;
use crate::capture::walk::BATCH_FRAMES;
use crate::capture::walk::Step;

/// The largest piece that is read at once.
pub(super) const ARENA_BYTES: usize = 256 << 10;

/// The smallest, and the first.
const PIECE_BYTES: usize = 32 << 10;

/// Read beyond the expected size of a batch, for frames a little larger than the last ones.
const SPARE_BYTES: usize = 2 << 10;

/// What is being walked.
enum Walker {
    /// The first bytes are not at hand yet.
    Unknown,
    Pcap(Pcap),
    Pcapng(Pcapng),
}

/// One input under way.
pub(super) struct Input {
    /// Its place among all inputs.
    pub(super) index: u16,
    stream: Stream,
    walker: Walker,
    /// What of the last batch's arena was not walked.
    carry: Vec<u8>,
    /// Where in the stream the carried bytes begin.
    offset: u64,
    /// How many bytes to have at hand for the next batch.
    piece: usize,
    /// The largest that may become.
    piece_max: usize,
    eof: bool,
    /// Why reading the stream stopped before its end.
    fault: Option<String>,
    done: bool,
    path: String,
    damage: Option<Damage>,
}

impl Input {
    /// An input that has read nothing yet; `piece_max` (bytes) bounds its memory where many are under way.
    pub(super) fn new(index: u16, path: String, stream: Stream, piece_max: usize) -> Self {
        Self {
            index,
            stream,
            walker: Walker::Unknown,
            carry: Vec::new(),
            offset: 0,
            piece: PIECE_BYTES,
            piece_max,
            eof: false,
            fault: None,
            done: false,
            path,
            damage: None,
        }
    }

    /// The size of the file on disk, if it has one.
    pub(super) fn size(&self) -> Option<u64> {
        self.stream.size
    }

    /// Bytes taken from the system so far.
    pub(super) fn taken(&self) -> u64 {
        self.stream.taken()
    }

    /// Replaces the frames of `batch` by the next ones; `false` when there are none left.
    ///
    /// The arena is as long as it ever was and not cleared: the frames tell which of its bytes mean something.
    pub(super) fn fill(&mut self, batch: &mut FrameBatch) -> bool {
        batch.frames.clear();
        if self.done {
            return false;
        }
        batch.frames.reserve(BATCH_FRAMES);
        let FrameBatch { arena, frames } = batch;
        let mut want = self.piece.max(self.carry.len());
        make_room(arena, want);
        let mut filled = self.carry.len();
        if let Some(space) = arena.get_mut(..filled) {
            space.copy_from_slice(&self.carry);
        }
        self.carry.clear();
        let mut at = 0;
        loop {
            self.read(arena, &mut filled, want);
            let bytes = arena.get(..filled).unwrap_or_default();
            match self.walk(bytes, &mut at, frames) {
                Step::More(need) if frames.is_empty() => {
                    // Only bytes that were read make room for more, whatever a length field asks for.
                    arena.copy_within(at..filled, 0);
                    self.offset += at as u64;
                    filled -= at;
                    at = 0;
                    want = need.min((filled * 2).max(PIECE_BYTES)).max(self.piece);
                    make_room(arena, want);
                }
                Step::More(_) | Step::Full => break,
                last => {
                    self.end(at, last);
                    break;
                }
            }
        }
        if let Some(bytes_per_frame) = at.checked_div(frames.len()) {
            self.piece = (bytes_per_frame * BATCH_FRAMES + SPARE_BYTES).clamp(PIECE_BYTES, self.piece_max);
        }
        self.offset += at as u64;
        if !self.done {
            self.carry.extend_from_slice(arena.get(at..filled).unwrap_or_default());
        }
        !frames.is_empty()
    }

    /// Reads until `want` bytes are at hand, or some if they trickle in.
    fn read(&mut self, arena: &mut [u8], filled: &mut usize, want: usize) {
        while let Some(space) = arena.get_mut(*filled..want).filter(|space| !space.is_empty() && !self.eof) {
            match self.stream.read(space) {
                Ok(0) => self.eof = true,
                Ok(count) => *filled += count,
                Err(message) => {
                    self.eof = true;
                    self.fault = Some(message);
                }
            }
            if self.stream.trickles {
                break;
            }
        }
    }

    fn walk(&mut self, bytes: &[u8], at: &mut usize, frames: &mut Vec<Frame>) -> Step {
        if let Walker::Unknown = self.walker {
            match self.begin(bytes, at) {
                Ok(walker) => self.walker = walker,
                Err(step) => return step,
            }
        }
        match &mut self.walker {
            Walker::Pcap(pcap) => pcap.walk(bytes, at, self.eof, frames),
            Walker::Pcapng(pcapng) => pcapng.walk(bytes, at, self.eof, frames),
            Walker::Unknown => Step::End,
        }
    }

    #[cold]
    fn begin(&self, bytes: &[u8], at: &mut usize) -> Result<Walker, Step> {
        if bytes.starts_with(&SECTION_HEADER) {
            return Ok(Walker::Pcapng(Pcapng::new(self.index)));
        }
        if bytes.len() < 4 && !self.eof {
            return Err(Step::More(4));
        }
        match Pcap::begin(self.index, bytes, at) {
            Some(Ok(pcap)) => Ok(Walker::Pcap(pcap)),
            Some(Err(Step::More(need))) if self.eof => Err(Step::Cut(format!(
                "the capture ends inside the file header: {} of {need} bytes are there",
                bytes.len()
            ))),
            Some(Err(step)) => Err(step),
            None if bytes.is_empty() && self.fault.is_some() => Err(Step::End),
            None => Err(Step::Cut(sniff::describe(&self.path, bytes))),
        }
    }

    fn number(&self) -> u64 {
        match &self.walker {
            Walker::Unknown => 0,
            Walker::Pcap(pcap) => pcap.number(),
            Walker::Pcapng(pcapng) => pcapng.number(),
        }
    }

    /// Ends this input, with damage unless the record at `at` is where it may end.
    #[cold]
    fn end(&mut self, at: usize, last: Step) {
        self.done = true;
        let offset = self.offset + at as u64;
        let message = match (self.fault.take(), last) {
            (None, Step::Cut(message)) => message,
            (Some(fault), Step::Cut(_)) => format!("{fault} inside this frame; it and what followed are lost"),
            (_, Step::Bad(message)) => match (self.stream.size, self.stream.compression) {
                (Some(size), None) => {
                    format!("{message}; {} bytes of the file were not used", size.saturating_sub(offset))
                }
                _ => format!("{message}; the rest was not used"),
            },
            (Some(fault), _) => format!("{fault}; what followed is lost"),
            (None, _) => return,
        };
        self.damage = Some(Damage { frame: self.number() + 1, offset, message });
    }

    /// Writes what this input says about itself, beside its frames.
    pub(super) fn tell(&self, facts: &mut InputFacts) {
        facts.compression = self.stream.compression;
        match &self.walker {
            Walker::Unknown => {}
            Walker::Pcap(pcap) => {
                facts.format = Some(Format::Pcap);
                facts.snaplen = Some(pcap.snaplen()).filter(|snaplen| *snaplen != 0);
                if facts.link_types.is_empty() {
                    facts.link_types.push(pcap.link());
                }
            }
            Walker::Pcapng(pcapng) => {
                facts.format = Some(Format::Pcapng);
                facts.snaplen = pcapng.snaplen();
                facts.dropped = pcapng.lost();
            }
        }
        facts.damage.clone_from(&self.damage);
    }
}

/// Makes an arena at least this long. It never gets shorter, so in the long run nothing is written here.
fn make_room(arena: &mut Vec<u8>, want: usize) {
    if arena.len() < want {
        arena.resize(want, 0);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use crate::capture::craft::NgFile;
    use crate::capture::craft::PcapFile;
    use crate::capture::craft::Seen;
    use crate::capture::craft::read;
    use crate::capture::craft::read_from;
    use crate::capture::craft::small_pcap;
    use crate::capture::craft::small_pcapng;

    /// Gives one byte a time.
    struct Drip(std::io::Cursor<Vec<u8>>);

    impl Read for Drip {
        fn read(&mut self, space: &mut [u8]) -> std::io::Result<usize> {
            let one = space.len().min(1);
            self.0.read(space.get_mut(..one).unwrap_or_default())
        }
    }

    /// Thousands of frames, most small, some larger than a piece.
    fn varied() -> Vec<Vec<u8>> {
        let length = |number: usize| match number % 97 {
            0 => 70_000,
            1..=9 => 1_500,
            _ => number % 60,
        };
        (0..4_000_usize).map(|number| vec![number.to_le_bytes()[0]; length(number)]).collect()
    }

    fn same(frames: &[Seen], expected: &[Vec<u8>]) {
        assert_eq!(frames.len(), expected.len());
        for (number, (frame, bytes)) in (1..).zip(frames.iter().zip(expected)) {
            assert_eq!((frame.0, &frame.4), (number, bytes));
        }
    }

    #[test]
    fn frames_that_straddle_pieces_come_out_whole() {
        let expected = varied();
        let mut pcap = PcapFile::new(0xa1b2_c3d4, true);
        let mut pcapng = NgFile::new(true);
        pcapng.interface(1, 0, &[]);
        for (number, bytes) in (0_u32..).zip(&expected) {
            pcap.record(number, 0, bytes);
            pcapng.packet(0, u64::from(number), bytes);
        }
        for file in [pcap.bytes, pcapng.bytes] {
            let outcome = read(&file);
            same(&outcome.frames, &expected);
            assert!(outcome.arena <= super::ARENA_BYTES);
            same(&read_from(std::io::Cursor::new(file), true).frames, &expected);
        }
    }

    #[test]
    fn a_stream_that_drips_gives_the_same_frames() {
        for file in [small_pcap(), small_pcapng()] {
            let whole = read(&file);
            for trickles in [false, true] {
                let outcome = read_from(Drip(std::io::Cursor::new(file.clone())), trickles);
                assert_eq!(outcome.frames, whole.frames);
                assert_eq!(outcome.facts, whole.facts);
            }
        }
    }

    #[test]
    fn flipped_bytes_never_panic_and_allocate_little() {
        for file in [small_pcap(), small_pcapng()] {
            for at in 0..file.len() {
                for flip in [0x01, 0x80, 0xff] {
                    let mut file = file.clone();
                    file[at] ^= flip;
                    let outcome = read(&file);
                    assert!(outcome.frames.len() <= 40 && outcome.arena <= 64 << 10, "{at} {flip:#x}");
                    assert!(outcome.damage_at().1 <= file.len() as u64);
                }
            }
        }
    }

    #[test]
    fn garbage_is_named_and_not_read_as_frames() {
        let mut seed = 7_u32;
        for _ in 0..200 {
            let bytes: Vec<u8> = (0..500)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    seed.to_be_bytes()[0]
                })
                .collect();
            let outcome = read(&bytes);
            assert!(outcome.frames.is_empty() && outcome.damage_at() == (1, 0));
        }
    }
}
