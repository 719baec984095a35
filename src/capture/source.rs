//! All inputs of a run as one stream of batches, in the order of time.
//!
//! Inputs are opened when the time of their first frame is reached. While one is alone its frames go out where they were read;
//! where several overlap, their frames are merged by time into the batch. It must never know what the frames hold.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::capture::batch::Frame;
use crate::capture::batch::FrameBatch;
use crate::capture::batch::LinkType;
use crate::capture::error::CaptureError;
use crate::capture::expand;
use crate::capture::expand::printable;
use crate::capture::facts::Damage;
use crate::capture::facts::Format;
use crate::capture::facts::InputFacts;
use crate::capture::facts::Progress;
use crate::capture::filter::Filter;
use crate::capture::input::ARENA_BYTES;
use crate::capture::input::Input;
use crate::capture::stream;
use crate::capture::stream::Held;
use crate::capture::stream::Stream;
use crate::capture::walk::BATCH_FRAMES;
use crate::model::time::Timestamp;

/// Above this many inputs at a time, a further one is open only while it is read, and reads smaller pieces.
const OPEN_MAX: usize = 64;

/// The pieces of those.
const CROWD_PIECE_BYTES: usize = 32 << 10;

/// Inputs that are decompressed at the same time in threads of their own, each with some 4 MiB ahead.
const AHEAD_MAX: usize = 8;

/// Link types listed for one input.
const LINK_TYPES_MAX: usize = 64;

/// What to leave out.
#[derive(Default)]
pub struct Options {
    /// Frames that do not match are dropped before they reach a batch.
    pub filter: Option<Filter>,
    /// The run ends after this many frames have passed the filter.
    pub count: Option<u64>,
}

/// Captures, read once from the first frame to the last.
pub struct Source {
    filter: Option<Filter>,
    /// Frames that may still go out.
    left: Option<u64>,
    paths: Vec<PathBuf>,
    /// Not begun yet; the earliest is last.
    waiting: Vec<Waiting>,
    /// Under way. Whenever there are two, each has a frame at hand.
    active: BinaryHeap<Active>,
    tally: Tally,
    /// Bytes of the inputs that are done with.
    bytes_finished: u64,
    bytes_total: Option<u64>,
    filtered: u64,
}

/// The place of a frame in the order of all: its time, then the order of the command line.
type Key = (Timestamp, u16);

struct Waiting {
    key: Key,
    /// What cannot be opened twice (standard input, a pipe) is open already, with its first frames at hand.
    active: Option<Active>,
}

struct Active {
    input: Input,
    /// Frames read and not given out yet.
    staged: FrameBatch,
    /// The first of them.
    next: usize,
}

impl Active {
    fn new(input: Input) -> Self {
        Self { input, staged: FrameBatch::default(), next: 0 }
    }

    fn head(&self) -> Option<&Frame> {
        self.staged.frames.get(self.next)
    }

    fn key(&self) -> Key {
        (self.head().map_or(Timestamp(0), |frame| frame.ts), self.input.index)
    }

    fn stage(&mut self) -> bool {
        self.next = 0;
        self.input.fill(&mut self.staged)
    }
}

impl Ord for Active {
    /// The earliest is the greatest, for the heap.
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

impl PartialOrd for Active {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Active {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Active {}

/// The captures that these names mean, as [`Source::open`] takes them: those of folders by themselves.
///
/// # Errors
/// As [`Source::open`], of what can be told without opening them.
pub fn inputs(given: &[PathBuf]) -> Result<Vec<PathBuf>, CaptureError> {
    expand::expand(given)
}

impl Source {
    /// Opens files, folders and `-` (standard input). Of several inputs each is looked into for the time of its first frame;
    /// their numbers in [`crate::model::ids::FrameId`] are their places in the list as given, folders spread out by name.
    ///
    /// # Errors
    /// What cannot be opened or listed. An input that opens but is no capture is not an error: it is damage in its facts.
    pub fn open(inputs: &[PathBuf], options: Options) -> Result<Self, CaptureError> {
        let mut source = Self::new(expand::expand(inputs)?, options);
        for index in 0..source.paths.len() {
            let waiting = source.look(index)?;
            source.waiting.push(waiting);
        }
        source.waiting.sort_by_key(|waiting| std::cmp::Reverse(waiting.key));
        Ok(source)
    }

    /// A capture that is in memory already, compressed or not; `name` stands for its path. The bytes are shared, so that
    /// the same capture can be read again and again.
    ///
    /// # Errors
    /// A decompressor that cannot begin. Bytes that are no capture are damage in its facts, as in a file.
    pub fn from_bytes(name: &str, bytes: Arc<Vec<u8>>, options: Options) -> Result<Self, CaptureError> {
        let mut source = Self::new(vec![PathBuf::from(name)], options);
        let size = bytes.len() as u64;
        let failed = |source| CaptureError::Open { path: name.to_owned(), source };
        let mut stream = Stream::new(Held::new(bytes), Some(size)).map_err(failed)?;
        stream.read_ahead();
        source.bytes_total = Some(size);
        let active = Active::new(Input::new(0, name.to_owned(), stream, ARENA_BYTES));
        source.waiting.push(Waiting { key: (Timestamp(0), 0), active: Some(active) });
        Ok(source)
    }

    /// Of inputs that nobody has looked at yet.
    fn new(paths: Vec<PathBuf>, options: Options) -> Self {
        Self {
            filter: options.filter,
            left: options.count,
            waiting: Vec::with_capacity(paths.len()),
            active: BinaryHeap::new(),
            tally: Tally::new(&paths),
            bytes_finished: 0,
            bytes_total: Some(0),
            filtered: 0,
            paths,
        }
    }

    /// Opens an input, for its size and, if it is not alone, for the time of its first frame.
    fn look(&mut self, index: usize) -> Result<Waiting, CaptureError> {
        let path = self.paths.get(index).map_or(Path::new(""), PathBuf::as_path);
        let number = u16::try_from(index).unwrap_or(u16::MAX);
        let failed = |source| CaptureError::Open { path: printable(path), source };
        let alone = self.paths.len() == 1;
        let once = stream::is_stdin(path) || !path.metadata().map_err(failed)?.is_file();
        let mut stream = Stream::open(path, false).map_err(failed)?;
        if alone {
            stream.read_ahead();
        }
        self.bytes_total = self.bytes_total.zip(stream.size).map(|(total, size)| total + size);
        let mut active = Active::new(Input::new(number, printable(path), stream, ARENA_BYTES));
        if alone {
            return Ok(Waiting { key: (Timestamp(0), number), active: Some(active) });
        }
        active.stage();
        Ok(Waiting { key: (active.key().0, number), active: once.then_some(active) })
    }

    /// Fills `batch` with the next frames; `false` at the end of all inputs or when enough frames have passed.
    ///
    /// A batch ends after some 1024 frames or 256 KiB, or when a pipe has no more bytes for now. Frames of different inputs may
    /// stand in one batch. The arena is not cleared, only its frames are.
    ///
    /// # Errors
    /// None for files: whatever ends an input in the middle, an error of the system among it, is damage in its facts, for the
    /// frames before it count. The type leaves room for a capturing device that goes away.
    pub fn next_batch(&mut self, batch: &mut FrameBatch) -> Result<bool, CaptureError> {
        batch.frames.clear();
        while self.left != Some(0) && self.gather(batch) {
            self.settle(batch);
            if !batch.frames.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Where the inputs are, those of folders by themselves.
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// What is known about each input so far, in the order of their numbers.
    pub fn facts(&self) -> &[InputFacts] {
        &self.tally.facts
    }

    /// How far reading is.
    pub fn progress(&self) -> Progress {
        let under_way: u64 = self.active.iter().map(|active| active.input.taken()).sum();
        Progress {
            bytes_read: self.bytes_finished + under_way,
            bytes_total: self.bytes_total,
            frames: self.tally.frames,
        }
    }

    /// How many frames the filter dropped.
    pub fn filtered(&self) -> u64 {
        self.filtered
    }

    /// Sentences on what the filter could not judge.
    pub fn filter_notes(&self) -> Vec<String> {
        self.filter.as_ref().map(Filter::notes).unwrap_or_default()
    }

    /// Puts the next frames into the batch, whatever the filter says to them.
    fn gather(&mut self, batch: &mut FrameBatch) -> bool {
        loop {
            self.admit();
            let Some(first) = self.active.peek() else { return false };
            let alone = self.active.len() == 1 && first.head().is_none();
            if alone {
                self.alone(batch);
            } else {
                self.merge(batch);
            }
            if !batch.frames.is_empty() {
                return true;
            }
        }
    }

    /// Begins every input whose first frame is due.
    fn admit(&mut self) {
        while let Some(waiting) = self.waiting.last() {
            let due = match self.active.peek() {
                None => true,
                Some(first) => first.head().is_some() && waiting.key < first.key(),
            };
            let Some(Waiting { key: (_, index), active }) = self.waiting.pop_if(|_| due) else { return };
            let begun = active.or_else(|| self.begin(index));
            let Some(mut active) = begun else { continue };
            // Beside another, its first frames must be at hand.
            if self.active.is_empty() || active.head().is_some() || active.stage() {
                self.tell(&active.input);
                self.active.push(active);
            } else {
                self.finish(&active);
            }
        }
    }

    /// Opens an input (again). That it was there at the start and is not now is damage.
    fn begin(&mut self, index: u16) -> Option<Active> {
        let path = self.paths.get(usize::from(index))?;
        let crowd = self.active.len() >= OPEN_MAX;
        match Stream::open(path, crowd) {
            Ok(mut stream) => {
                if self.active.len() < AHEAD_MAX {
                    stream.read_ahead();
                }
                let piece_max = if crowd { CROWD_PIECE_BYTES } else { ARENA_BYTES };
                Some(Active::new(Input::new(index, printable(path), stream, piece_max)))
            }
            Err(error) => {
                if let Some(facts) = self.tally.facts.get_mut(usize::from(index)) {
                    facts.damage = Some(Damage {
                        frame: 1,
                        offset: 0,
                        message: format!("it was there at the start and now cannot be opened: {error}"),
                    });
                }
                None
            }
        }
    }

    /// The only input under way reads straight into the batch. Frames later than the first of the next input are put aside.
    fn alone(&mut self, batch: &mut FrameBatch) {
        let Some(mut active) = self.active.pop() else { return };
        let more = active.input.fill(batch);
        self.tell(&active.input);
        if !more {
            self.finish(&active);
            return;
        }
        if let Some(limit) = self.waiting.last().map(|waiting| waiting.key)
            && let Some(due) = batch.frames.iter().position(|frame| (frame.ts, active.input.index) > limit)
        {
            put_aside(batch, due, &mut active);
        }
        self.active.push(active);
    }

    /// Takes frames from the inputs under way, always from the one whose next is the earliest.
    fn merge(&mut self, batch: &mut FrameBatch) {
        let mut used = 0;
        if batch.arena.len() < ARENA_BYTES {
            batch.arena.resize(ARENA_BYTES, 0);
        }
        while let Some(mut active) = self.active.pop() {
            let other = self.active.peek().map(Active::key);
            let waiting = self.waiting.last().map(|waiting| waiting.key);
            let limit = [other, waiting].into_iter().flatten().min();
            let mut room = true;
            while let Some(frame) =
                active.head().filter(|frame| limit.is_none_or(|limit| (frame.ts, active.input.index) <= limit))
            {
                room = batch.frames.len() < BATCH_FRAMES && copy(frame, &active.staged, batch, &mut used);
                if !room {
                    break;
                }
                active.next += 1;
            }
            if active.head().is_some() {
                let due = waiting.is_some_and(|key| key < active.key());
                self.active.push(active);
                if due || !room {
                    return;
                }
            } else if self.active.is_empty() {
                self.active.push(active);
                return;
            } else if active.stage() {
                self.tell(&active.input);
                self.active.push(active);
            } else {
                self.finish(&active);
            }
        }
    }

    fn tell(&mut self, input: &Input) {
        if let Some(facts) = self.tally.facts.get_mut(usize::from(input.index)) {
            input.tell(facts);
        }
    }

    #[cold]
    fn finish(&mut self, active: &Active) {
        self.tell(&active.input);
        self.bytes_finished += active.input.size().unwrap_or_else(|| active.input.taken());
    }

    /// Counts the frames of the batch and leaves those that pass.
    fn settle(&mut self, batch: &mut FrameBatch) {
        if self.filter.is_none() && self.left.is_none() {
            if self.paths.len() == 1 {
                self.tally.count(&batch.frames);
                return;
            }
            for run in batch.frames.chunk_by(|one, other| one.id.input() == other.id.input()) {
                self.tally.count(run);
            }
            return;
        }
        let FrameBatch { arena, frames } = batch;
        frames.retain(|frame| {
            if self.left == Some(0) {
                self.tally.forget_damage(frame.id.input());
                return false;
            }
            self.tally.count(std::slice::from_ref(frame));
            let at = frame.at as usize;
            let bytes = arena.get(at..at + frame.captured as usize).unwrap_or_default();
            let passes = self.filter.as_mut().is_none_or(|filter| filter.matches(frame.link, bytes, frame.wire_len));
            if !passes {
                self.filtered += 1;
            } else if let Some(left) = &mut self.left {
                *left -= 1;
                if *left == 0 {
                    self.tally.forget_damage(frame.id.input());
                }
            }
            passes
        });
        if self.left == Some(0) {
            for active in self.active.iter().filter(|active| active.head().is_some()) {
                self.tally.forget_damage(active.input.index);
            }
        }
    }
}

/// Moves the frames from `due` on, and their bytes, into the stage of their input.
#[expect(clippy::cast_possible_truncation, reason = "an arena is some 17 MiB at most")]
fn put_aside(batch: &mut FrameBatch, due: usize, active: &mut Active) {
    let staged = &mut active.staged;
    staged.frames.clear();
    staged.arena.clear();
    active.next = 0;
    for frame in batch.frames.get(due..).unwrap_or_default() {
        let at = staged.arena.len() as u32;
        staged.arena.extend_from_slice(batch.bytes(frame));
        staged.frames.push(Frame { at, ..*frame });
    }
    batch.frames.truncate(due);
}

/// Copies one frame behind the `used` bytes of the batch's arena; `false` if it does not fit and the batch is not empty.
#[expect(clippy::cast_possible_truncation, reason = "an arena is some 17 MiB at most")]
fn copy(frame: &Frame, from: &FrameBatch, to: &mut FrameBatch, used: &mut usize) -> bool {
    let bytes = from.bytes(frame);
    if to.arena.len() - *used < bytes.len() {
        if *used > 0 {
            return false;
        }
        to.arena.resize(bytes.len(), 0);
    }
    if let Some(space) = to.arena.get_mut(*used..*used + bytes.len()) {
        space.copy_from_slice(bytes);
    }
    to.frames.push(Frame { at: *used as u32, ..*frame });
    *used += bytes.len();
    true
}

/// The facts of all inputs, and what is needed to keep counting.
struct Tally {
    facts: Vec<InputFacts>,
    newest: Vec<Newest>,
    frames: u64,
}

/// The frame counted last.
#[derive(Clone, Default)]
struct Newest {
    ts: Timestamp,
    link: Option<LinkType>,
}

impl Tally {
    fn new(paths: &[PathBuf]) -> Self {
        Self {
            facts: paths.iter().map(|path| InputFacts { path: printable(path), ..InputFacts::default() }).collect(),
            newest: vec![Newest::default(); paths.len()],
            frames: 0,
        }
    }

    /// Takes back damage behind the last frame that the run wants: what is not read is not damaged.
    fn forget_damage(&mut self, index: u16) {
        if let Some(facts) = self.facts.get_mut(usize::from(index)) {
            facts.damage = None;
        }
    }

    /// Counts frames of one input.
    fn count(&mut self, run: &[Frame]) {
        let Some(head) = run.first() else { return };
        let index = usize::from(head.id.input());
        let (Some(facts), Some(newest)) = (self.facts.get_mut(index), self.newest.get_mut(index)) else { return };
        let mut first = facts.first.unwrap_or(Timestamp(u64::MAX)).min(head.ts);
        let mut last = facts.last.unwrap_or_default();
        let (mut bytes, mut out_of_order, mut cut) = (0, 0, 0);
        let mut before = newest.ts;
        let mut link = newest.link.unwrap_or_else(|| {
            list(&mut facts.link_types, head.link);
            head.link
        });
        for frame in run {
            bytes += u64::from(frame.wire_len);
            cut += u64::from(frame.captured < frame.wire_len);
            if frame.ts < before {
                out_of_order += 1;
                first = first.min(frame.ts);
                last = last.max(before);
            }
            before = frame.ts;
            if link != frame.link {
                link = frame.link;
                list(&mut facts.link_types, link);
            }
        }
        last = last.max(before);
        *newest = Newest { ts: before, link: Some(link) };
        // A pcapng frame at zero is a Simple Packet Block before any time was told.
        if first == Timestamp(0) && facts.format == Some(Format::Pcapng) {
            let timed = run.iter().map(|frame| frame.ts).filter(|ts| *ts != Timestamp(0)).min();
            first = [facts.first, timed].into_iter().flatten().min().unwrap_or(Timestamp(u64::MAX));
        }
        facts.first = Some(first).filter(|first| *first != Timestamp(u64::MAX));
        facts.last = facts.first.map(|_| last);
        facts.frames += run.len() as u64;
        facts.bytes += bytes;
        facts.out_of_order += out_of_order;
        facts.cut_frames += cut;
        self.frames += run.len() as u64;
    }
}

#[cold]
fn list(link_types: &mut Vec<LinkType>, link: LinkType) {
    if !link_types.contains(&link) && link_types.len() < LINK_TYPES_MAX {
        link_types.push(link);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop here")]

    use std::fs;
    use std::path::PathBuf;
    use std::sync::Arc;

    use tempfile::TempDir;

    use super::Options;
    use super::Source;
    use crate::capture::batch::FrameBatch;
    use crate::capture::craft::NgFile;
    use crate::capture::craft::PcapFile;
    use crate::capture::facts::Format;
    use crate::capture::facts::InputFacts;
    use crate::capture::filter::Filter;
    use crate::capture::walk::BATCH_FRAMES;
    use crate::model::time::Timestamp;

    /// A pcap file whose frames carry these times (seconds), each twice: as time and as bytes.
    fn pcap(times: impl IntoIterator<Item = u32>) -> Vec<u8> {
        let mut file = PcapFile::new(0xa1b2_c3d4, false);
        for seconds in times {
            file.record(seconds, 0, &seconds.to_be_bytes());
        }
        file.bytes
    }

    fn write(folder: &TempDir, files: &[(&str, Vec<u8>)]) -> Vec<PathBuf> {
        let paths = files.iter().map(|(name, bytes)| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, bytes).unwrap();
            path
        });
        paths.collect()
    }

    /// Reads to the end: input, number and seconds of each frame.
    fn drain(source: &mut Source) -> Vec<(u16, u64, u32)> {
        let mut batch = FrameBatch::default();
        let mut seen = Vec::new();
        while source.next_batch(&mut batch).unwrap() {
            assert!((1..=BATCH_FRAMES).contains(&batch.frames.len()));
            for frame in &batch.frames {
                let seconds = u32::from_be_bytes(*batch.bytes(frame).first_chunk().unwrap());
                assert_eq!(frame.ts.0, u64::from(seconds) * 1_000_000_000);
                seen.push((frame.id.input(), frame.id.number(), seconds));
            }
        }
        assert!(!source.next_batch(&mut batch).unwrap() && batch.frames.is_empty());
        seen
    }

    fn read(paths: &[PathBuf], options: Options) -> (Vec<(u16, u64, u32)>, Source) {
        let mut source = Source::open(paths, options).unwrap();
        let seen = drain(&mut source);
        (seen, source)
    }

    /// What a merge must give: always the earliest next frame of any input, the first input on a tie.
    fn merged(files: &[Vec<u32>]) -> Vec<(u16, u64, u32)> {
        let mut at = vec![0; files.len()];
        let mut all = Vec::new();
        while let Some((seconds, input)) =
            files.iter().enumerate().filter_map(|(input, file)| Some((*file.get(at[input])?, input))).min()
        {
            at[input] += 1;
            all.push((u16::try_from(input).unwrap(), at[input] as u64, seconds));
        }
        all
    }

    fn check_merge(files: &[Vec<u32>]) {
        let folder = tempfile::tempdir().unwrap();
        let named: Vec<_> = files
            .iter()
            .enumerate()
            .map(|(number, times)| (format!("{number:04}"), pcap(times.iter().copied())))
            .collect();
        let named: Vec<_> = named.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
        let paths = write(&folder, &named);
        let (seen, source) = read(&paths, Options::default());
        assert!(seen == merged(files), "{} frames", seen.len());
        let progress = source.progress();
        assert_eq!((Some(progress.bytes_read), progress.frames), (progress.bytes_total, seen.len() as u64));
    }

    #[test]
    fn files_in_any_order_come_out_in_the_order_of_time() {
        check_merge(&[(5_000..9_000).collect(), (0..3_000).collect(), (3_000..5_000).collect()]);
    }

    #[test]
    fn overlapping_files_are_merged() {
        check_merge(&[(0..4_000).collect(), (3_900..8_000).collect()]);
        check_merge(&[(0..9_000).step_by(2).collect(), (1..9_000).step_by(2).collect(), (4_000..4_100).collect()]);
        check_merge(&[vec![5, 5, 5], vec![5, 5], vec![5]]);
        check_merge(&[vec![1, 9, 2, 8], vec![], vec![3, 3, 7], vec![0, 100]]);
        check_merge(&[(0..10).collect(), vec![1_000], vec![500, 20, 30], (11..40).collect()]);
    }

    #[test]
    fn a_crowd_of_overlapping_files_is_merged() {
        let files: Vec<Vec<u32>> = (0..150).map(|first| (first..6_000 + first).step_by(97).collect()).collect();
        check_merge(&files);
    }

    #[test]
    fn facts_tell_what_was_read() {
        let folder = tempfile::tempdir().unwrap();
        let mut ng = NgFile::new(true);
        ng.interface(1, 0, &[]).interface(101, 96, &[]).simple(3, b"abc");
        ng.packet_with(1, 5_000_000, b"abcd", 90, &[]).packet(1, 3_000_000, b"").packet(0, 4_000_000, b"abc");
        let paths =
            write(&folder, &[("a.pcap", pcap([7, 9])), ("b.pcapng", ng.bytes), ("c.txt", b"hello there".to_vec())]);
        let mut source = Source::open(&paths, Options::default()).unwrap();
        let mut batch = FrameBatch::default();
        while source.next_batch(&mut batch).unwrap() {}
        let [a, b, c]: &[InputFacts; 3] = source.facts().first_chunk().unwrap();
        assert_eq!((a.format, a.frames, a.bytes, a.snaplen), (Some(Format::Pcap), 2, 8, Some(65_535)));
        assert_eq!((a.first, a.last), (Some(Timestamp(7_000_000_000)), Some(Timestamp(9_000_000_000))));
        assert_eq!((b.format, b.frames, b.bytes, b.snaplen), (Some(Format::Pcapng), 4, 96, Some(96)));
        assert_eq!(b.link_types.iter().map(|link| link.0).collect::<Vec<_>>(), [1, 101]);
        assert_eq!((b.first, b.last), (Some(Timestamp(3_000_000_000)), Some(Timestamp(5_000_000_000))));
        assert_eq!((b.out_of_order, b.cut_frames), (1, 1));
        assert_eq!(
            (c.format, c.frames, c.first, c.damage.as_ref().map(|damage| damage.frame)),
            (None, 0, None, Some(1))
        );
    }

    #[test]
    fn bytes_in_memory_are_read_like_a_file_as_often_as_wanted() {
        let folder = tempfile::tempdir().unwrap();
        for bytes in [pcap(0..3_000), zstd::encode_all(&pcap(0..3_000)[..], 1).unwrap(), b"nothing".to_vec()] {
            let paths = write(&folder, &[("a", bytes.clone())]);
            let (seen, source) = read(&paths, Options::default());
            let shared = Arc::new(bytes);
            for _ in 0..2 {
                let name = paths[0].to_str().unwrap();
                let mut again = Source::from_bytes(name, Arc::clone(&shared), Options::default()).unwrap();
                assert!(drain(&mut again) == seen);
                assert_eq!((again.facts(), again.progress()), (source.facts(), source.progress()));
            }
        }
    }

    #[test]
    fn a_source_may_go_to_a_thread() {
        fn goes<T: Send>(_: &T) {}
        let folder = tempfile::tempdir().unwrap();
        let paths = write(&folder, &[("a", pcap([1]))]);
        let filter = Filter::compile("ip").unwrap();
        goes(&Source::open(&paths, Options { filter: Some(filter), count: None }).unwrap());
    }

    #[test]
    fn a_pipe_is_read_once_and_merged() {
        let folder = tempfile::tempdir().unwrap();
        let paths = write(&folder, &[("a", pcap((0..4_000).step_by(2)))]);
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let bytes = pcap((1..4_000).step_by(2));
        let writer = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::write(pipe, bytes)
        });
        let (seen, source) = read(&[paths[0].clone(), pipe], Options::default());
        writer.join().unwrap().unwrap();
        assert!(seen.iter().map(|(_, _, seconds)| *seconds).eq(0..4_000));
        assert_eq!(source.progress().bytes_total, None);
        assert_eq!(source.facts()[1].format, Some(Format::Pcap));
    }

    #[test]
    fn a_folder_is_every_capture_in_it_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let compressed = zstd::encode_all(&pcap([3])[..], 1).unwrap();
        let tar = zstd::encode_all(&[b'a'; 600][..], 1).unwrap();
        let files = [
            ("b/2.pcap", pcap([2])),
            ("b/1.cap", pcap([1])),
            ("a.zst", compressed),
            ("c.pcapng", NgFile::new(false).bytes),
            ("notes.txt", b"nothing".to_vec()),
            ("d.tar.zst", tar),
            ("empty", vec![]),
        ];
        write(&folder, &files);
        let (seen, source) = read(&[folder.path().to_owned()], Options::default());
        let paths: Vec<_> = source.facts().iter().map(|facts| facts.path.clone()).collect();
        let expected =
            ["a.zst", "b/1.cap", "b/2.pcap", "c.pcapng"].map(|name| folder.path().join(name).display().to_string());
        assert_eq!(paths, expected);
        assert_eq!(seen, [(1, 1, 1), (2, 1, 2), (0, 1, 3)]);
    }

    #[test]
    fn what_cannot_begin_says_why() {
        let folder = tempfile::tempdir().unwrap();
        write(&folder, &[("notes.txt", b"nothing".to_vec())]);
        let fails = |paths: &[PathBuf]| Source::open(paths, Options::default()).err().unwrap().to_string();
        assert!(fails(&[]).contains("no capture given"));
        assert!(fails(&[folder.path().to_owned()]).contains("none of its 1 files"));
        assert!(fails(&["-".into(), "-".into()]).contains("twice"));
        let missing = fails(&[folder.path().join("missing.pcap")]);
        assert!(missing.contains("cannot open") && missing.contains("missing.pcap"), "{missing}");
        assert!(fails(&[folder.path().join("notes.txt"), folder.path().join("gone")]).contains("gone"));
    }

    #[test]
    fn damage_in_one_input_does_not_end_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let mut cut = pcap([1, 2, 3]);
        cut.pop();
        let paths = write(&folder, &[("cut", cut), ("empty", vec![]), ("whole", pcap([2, 4]))]);
        let (seen, source) = read(&paths, Options::default());
        assert_eq!(seen, [(0, 1, 1), (0, 2, 2), (2, 1, 2), (2, 2, 4)]);
        let damage: Vec<_> =
            source.facts().iter().map(|facts| facts.damage.as_ref().map(|damage| damage.frame)).collect();
        assert_eq!(damage, [Some(3), Some(1), None]);
    }

    #[test]
    fn a_file_that_vanishes_after_the_first_look_is_damage() {
        let folder = tempfile::tempdir().unwrap();
        let paths = write(&folder, &[("a", pcap([1])), ("b", pcap([2]))]);
        let mut source = Source::open(&paths, Options::default()).unwrap();
        fs::remove_file(&paths[1]).unwrap();
        assert_eq!(drain(&mut source), [(0, 1, 1)]);
        assert!(
            source.facts()[1].damage.as_ref().is_some_and(|damage| damage.message.contains("was there at the start"))
        );
    }

    #[test]
    fn a_filter_drops_frames_and_counts_them() {
        let folder = tempfile::tempdir().unwrap();
        let paths = write(&folder, &[("a", pcap(0..3_000)), ("b", pcap(2_000..2_500))]);
        // The second-lowest byte of the time is the third byte of each frame.
        let filter = || Some(Filter::compile("ether[2] == 8 and ether[3] < 10").unwrap());
        let (seen, source) = read(&paths, Options { filter: filter(), count: None });
        let expected: Vec<_> = merged(&[(0..3_000).collect(), (2_000..2_500).collect()]);
        let expected: Vec<_> =
            expected.into_iter().filter(|(_, _, seconds)| (2_048..2_058).contains(seconds)).collect();
        assert_eq!(seen, expected);
        assert_eq!((source.filtered(), source.facts()[0].frames), (3_500 - 20, 3_000));
        let (seen, source) = read(&paths, Options { filter: filter(), count: Some(3) });
        assert_eq!(seen, expected[..3]);
        let read: u64 = source.facts().iter().map(|facts| facts.frames).sum();
        assert_eq!(source.filtered() + 3, read);
        assert_eq!(read, 2_048 + 48 + 3);
    }

    #[test]
    fn a_count_ends_the_run_before_damage_behind_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut cut = pcap(0..10);
        cut.pop();
        let paths = write(&folder, &[("cut", cut)]);
        for count in 0..=10 {
            let (seen, source) = read(&paths, Options { filter: None, count: Some(count) });
            assert_eq!((seen.len() as u64, source.facts()[0].frames), (count.min(9), count.min(9)));
            assert_eq!(source.facts()[0].damage.is_some(), count > 9, "{count}");
        }
    }

    #[test]
    fn reading_on_allocates_nothing_more() {
        let folder = tempfile::tempdir().unwrap();
        let paths = write(&folder, &[("a", pcap(0..50_000))]);
        let mut source = Source::open(&paths, Options::default()).unwrap();
        let mut batch = FrameBatch::default();
        let mut sizes = Vec::new();
        while source.next_batch(&mut batch).unwrap() {
            sizes.push((batch.arena.capacity(), batch.frames.capacity()));
        }
        assert!(sizes.len() > 40 && sizes[5..].windows(2).all(|pair| pair[0] == pair[1]), "{sizes:?}");
    }
}
