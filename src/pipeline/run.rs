//! From a source to tables: the reader's loop, the workers, and an orderly end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use crossbeam_channel::Receiver;
use crossbeam_channel::Sender;
use crossbeam_channel::bounded;
use crossbeam_channel::unbounded;

use crate::capture::batch::Frame;
use crate::capture::batch::FrameBatch;
use crate::capture::error::CaptureError;
use crate::capture::facts::Progress;
use crate::capture::source::Source;
use crate::decode::counts::DecodeCounts;
use crate::decode::counts::TunnelKind;
use crate::decode::decoder::Decoder;
use crate::decode::packet::Decoded;
use crate::decode::packet::Packet;
use crate::decode::packet::SkipReason;
use crate::flow::fold::Folds;
use crate::flow::limits::Counters;
use crate::flow::limits::Limits;
use crate::flow::table::Table;
use crate::learn::knowledge::Knowledge;
use crate::model::ids::FrameId;
use crate::model::time::Timestamp;
use crate::pipeline::ears::EarCounts;
use crate::pipeline::observe::Observer;
use crate::pipeline::shard::SHARDS;
use crate::pipeline::worker::Handle;
use crate::pipeline::worker::PacketBatch;
use crate::pipeline::worker::Shard;
use crate::pipeline::worker::Worker;

/// Batches that may wait for one worker. The reader waits when they are full: a file loses nothing.
const QUEUE: usize = 8;

/// How to run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Worker threads; 1 runs everything in the calling thread. More than 16 are not used.
    pub threads: usize,
    /// Flows kept with all their detail, in all.
    pub flows_max: usize,
}

impl Settings {
    /// How many flows fit into `bytes`, so that reading, judging and reporting them stays below. `copies`: how many tables
    /// hold a flow at one time, 2 where a copy of them is judged while they go on.
    ///
    /// Measured on the dearest flows there are: each between hosts of its own, so that each is a pair in the report.
    /// Other flows need half of it or less.
    pub fn flows_within(bytes: u64, copies: u64) -> usize {
        /// What does not grow with flows: the program, batches, and the totals of flows that were given up.
        const FIXED: u64 = 96 << 20;
        /// Slots of the table, twice as many as flows at least, the old ones while it grows included, and what leads to its
        /// talk.
        const INDEX: u64 = 40;
        /// What judge and report hold of a flow, its row among the pairs included.
        const JUDGING: u64 = 480;
        let each = copies * Table::FLOW_BYTES_MAX as u64 + INDEX + JUDGING;
        usize::try_from(bytes.saturating_sub(FIXED) / each).unwrap_or(usize::MAX).max(SHARDS)
    }
}

/// Everything that was seen.
#[derive(Debug)]
pub struct Captured {
    /// The flow tables, always the same number in the same order.
    pub tables: Vec<Table>,
    /// What became of the frames.
    pub decode: DecodeCounts,
    /// The first frame handed on.
    pub first_frame: FrameId,
    /// Long times without any frame, in order: from the last frame before to the first after.
    pub gaps: Vec<(Timestamp, Timestamp)>,
    /// Until when an input was watched before its time stepped back, by input.
    pub steps: Vec<(u16, Timestamp)>,
    /// What listening to payload cost.
    pub ears: EarCounts,
    /// Whether it was stopped before the end.
    pub interrupted: bool,
}

impl Captured {
    /// What all tables counted.
    pub fn counters(&self) -> Counters {
        let mut sum = Counters::default();
        for table in &self.tables {
            sum.add(&table.counters);
        }
        sum
    }

    /// Adds what was left, until some time before, of flows that were given up.
    pub fn add_folds(&mut self, past: &Folds) {
        self.tables.first_mut().into_iter().for_each(|table| table.add_folds(past));
    }

    /// Frames that became no packet, by the name of the reason.
    pub fn skipped(&self) -> BTreeMap<&'static str, u64> {
        let all = SkipReason::ALL.into_iter().map(|reason| (reason.name(), self.decode.skipped(reason)));
        all.filter(|(_, count)| *count > 0).collect()
    }

    /// Tunnels that were opened.
    pub fn tunnels(&self) -> u64 {
        TunnelKind::ALL.into_iter().map(|kind| self.decode.tunnels(kind)).sum()
    }
}

/// Why a run could not go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The input failed.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// A worker ended early: a fault in this program.
    #[error("a worker thread ended early; this is a fault in portolan, please report it with the capture if you can")]
    Worker,
}

/// Reads `source` to its end, or until `stop` is set, and counts every frame into tables.
///
/// `progress` is told after each batch.
///
/// # Errors
/// When the input cannot be read at all, or a worker died.
pub fn run(
    source: &mut Source,
    settings: Settings,
    knowledge: &Knowledge,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(Progress),
) -> Result<Captured, RunError> {
    let (captured, _) = run_observed::<()>(source, settings, knowledge, stop, progress)?;
    Ok(captured)
}

/// Reads and decodes `source` to its end and makes what finds the flow of each packet, but counts nothing into tables:
/// how many packets there were. What that takes is the share of the one reading thread in a run.
///
/// # Errors
/// When the input cannot be read at all.
pub fn decode_only(source: &mut Source) -> Result<u64, RunError> {
    let mut silent = |_: Progress| {};
    let mut reader = Reader::new(source, &NEVER, &mut silent);
    let mut arena = FrameBatch::default();
    let mut packets = 0;
    while reader.next(&mut arena)? {
        for (number, frame) in (0..).zip(&arena.frames) {
            let found = std::hint::black_box(reader.plain(&arena, number, frame)).is_some()
                || reader.other(&arena, number, frame).is_some();
            packets += u64::from(found);
        }
    }
    Ok(packets)
}

/// Nobody stops it.
static NEVER: AtomicBool = AtomicBool::new(false);

/// [`run`], with an observer in each worker; they are handed back in no order.
///
/// # Errors
/// As [`run`].
pub fn run_observed<O: Observer>(
    source: &mut Source,
    settings: Settings,
    knowledge: &Knowledge,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Captured, Vec<O>), RunError> {
    let workers = settings.threads.clamp(1, SHARDS);
    let limits = Limits { flows_max: (settings.flows_max / SHARDS).max(1), ..Limits::default() };
    let mut reader = Reader::new(source, stop, progress);
    if workers == 1 {
        let mut observer = O::default();
        let mut asked = O::now();
        let mut worker = Worker::new(limits, knowledge);
        let mut arena = FrameBatch::default();
        let mut batch = PacketBatch::new();
        while reader.next(&mut arena)? {
            let mut at = 0;
            while at < arena.frames.len() {
                at = reader.fill(&mut batch, &arena, at);
                worker.take(&batch, &arena);
                batch.clear();
                observer.counted(asked);
            }
            asked = O::now();
        }
        return Ok((reader.captured(worker.into_shards()), vec![observer]));
    }
    thread::scope(|scope| {
        // No worker waits to give back: what can be under way is bounded by the ways to them.
        let (back, returned) = unbounded();
        let mut lanes = Vec::with_capacity(workers);
        let mut handles = Vec::with_capacity(workers);
        for _ in 0..workers {
            let (sender, work) = bounded(QUEUE);
            let worker = Worker::new(limits, knowledge);
            let back = back.clone();
            lanes.push(Lane { filling: PacketBatch::new(), work: sender });
            handles.push(scope.spawn(move || work_off::<O>(worker, &work, &back)));
        }
        drop(back);
        let dispatch = Dispatch::<O> { lanes, returned, batches: Vec::new(), arenas: Vec::new(), asked: O::now() };
        let read = dispatch.run(&mut reader);
        let mut owned = Vec::with_capacity(workers);
        let mut observers = Vec::with_capacity(workers);
        for handle in handles {
            let (shards, observer) = handle.join().map_err(|_| RunError::Worker)?;
            owned.push(shards.into_iter());
            observers.push(observer);
        }
        // Of each shard every worker has one; only that of the worker whose turn it is was ever used.
        let turns = (0..workers).cycle().take(SHARDS);
        let shards = turns.filter_map(|turn| {
            let mut all: Vec<_> = owned.iter_mut().filter_map(Iterator::next).collect();
            (turn < all.len()).then(|| all.swap_remove(turn))
        });
        let shards: Vec<Shard> = shards.collect();
        read?;
        Ok((reader.captured(shards), observers))
    })
}

/// Packets for one worker, and the memory that their payload lies in.
struct Work<M> {
    packets: PacketBatch,
    arena: Arc<FrameBatch>,
    /// When the bytes were asked for, if anybody wants to know.
    asked: M,
}

fn work_off<O: Observer>(
    mut worker: Worker<'_>,
    work: &Receiver<Work<O::Moment>>,
    back: &Sender<Work<O::Moment>>,
) -> ([Shard; SHARDS], O) {
    let mut observer = O::default();
    for mut work in work {
        worker.take(&work.packets, &work.arena);
        observer.counted(work.asked);
        work.packets.clear();
        // The reader may be gone already; then nobody needs the memory.
        back.send(work).ok();
    }
    (worker.into_shards(), observer)
}

/// The reader's side of the channels: full batches go to their workers, empty ones and arenas come back and are used
/// again.
struct Dispatch<O: Observer> {
    lanes: Vec<Lane<O::Moment>>,
    returned: Receiver<Work<O::Moment>>,
    batches: Vec<PacketBatch>,
    arenas: Vec<FrameBatch>,
    asked: O::Moment,
}

/// The way to one worker.
struct Lane<M> {
    filling: PacketBatch,
    work: Sender<Work<M>>,
}

impl<O: Observer> Dispatch<O> {
    /// Reads to the end. Closes the channels when it returns.
    fn run(mut self, reader: &mut Reader<'_>) -> Result<(), RunError> {
        let mut arena = FrameBatch::default();
        while reader.next(&mut arena)? {
            let shared = Arc::new(arena);
            for (number, frame) in (0..).zip(&shared.frames) {
                if let Some(handle) = reader.plain(&shared, number, frame) {
                    self.give(handle.shard, &shared, |batch| batch.push(handle))?;
                } else if let Some((handle, packet)) = reader.other(&shared, number, frame) {
                    self.give(handle.shard, &shared, |batch| batch.push_beside(handle, packet))?;
                }
            }
            for number in 0..self.lanes.len() {
                self.flush(number, &shared)?;
            }
            self.arenas.extend(Arc::into_inner(shared));
            while let Ok(work) = self.returned.try_recv() {
                self.batches.push(work.packets);
                self.arenas.extend(Arc::into_inner(work.arena));
            }
            arena = self.arenas.pop().unwrap_or_default();
            self.asked = O::now();
        }
        Ok(())
    }

    /// Lets `push` put a packet of this shard into the batch of its worker.
    #[inline]
    fn give(
        &mut self,
        shard: u8,
        arena: &Arc<FrameBatch>,
        push: impl FnOnce(&mut PacketBatch),
    ) -> Result<(), RunError> {
        let number = usize::from(shard) % self.lanes.len();
        let Some(lane) = self.lanes.get_mut(number) else { return Ok(()) };
        push(&mut lane.filling);
        if lane.filling.is_full() { self.flush(number, arena) } else { Ok(()) }
    }

    fn flush(&mut self, number: usize, arena: &Arc<FrameBatch>) -> Result<(), RunError> {
        let Some(lane) = self.lanes.get_mut(number).filter(|lane| !lane.filling.is_empty()) else { return Ok(()) };
        let empty = self.batches.pop().unwrap_or_else(PacketBatch::new);
        let packets = std::mem::replace(&mut lane.filling, empty);
        let (arena, asked) = (Arc::clone(arena), self.asked);
        lane.work.send(Work { packets, arena, asked }).map_err(|_| RunError::Worker)
    }
}

struct Reader<'a> {
    source: &'a mut Source,
    stop: &'a AtomicBool,
    progress: &'a mut dyn FnMut(Progress),
    decoder: Decoder,
    first: Option<FrameId>,
    gaps: Gaps,
    interrupted: bool,
}

/// Long silences of the capture, and where the time of an input steps back.
#[derive(Default)]
struct Gaps {
    /// The newest time, of a single input since it last stepped back.
    before: Option<Timestamp>,
    found: Vec<(Timestamp, Timestamp)>,
    inputs: Vec<InputTime>,
    steps: Vec<(u16, Timestamp)>,
}

/// How far an input was seen.
#[derive(Clone, Copy, Default)]
struct InputTime {
    /// The newest time since it last stepped back.
    newest: Timestamp,
    /// The time of its last frame.
    last: Timestamp,
    stepped: bool,
}

/// Frames of several queues, or of sensors whose clocks differ, come in no strict order; farther back, the clock was set, or
/// another capture was appended.
const STEP_BACK_NS: u64 = 10_000_000_000;

/// An input whose last frame is so much older than its newest ended there.
const END_BACK_NS: u64 = 1_000_000_000;

/// A silence longer than this may be a pause of the capture itself, or its end.
pub const SILENCE: Duration = Duration::from_secs(30);

/// Silences that are remembered; a capture with more is judged as if it were watched in the later ones.
const GAPS_MAX: usize = 1 << 16;

impl Gaps {
    /// Looks at the frames of a batch, which are the next ones.
    fn look(&mut self, frames: &[Frame]) {
        let (Some(first), Some(last)) = (frames.first(), frames.last()) else { return };
        let before = self.before.unwrap_or(first.ts);
        let short = last.ts.since(before) <= SILENCE;
        let alone = self.inputs.len() == 1 && frames.iter().all(|frame| frame.id.input() == 0);
        if alone && short && before <= first.ts && frames.is_sorted_by_key(|frame| frame.ts) {
            self.see(0, last.ts);
        } else {
            for frame in frames {
                self.see(frame.id.input(), frame.ts);
            }
        }
    }

    fn see(&mut self, input: u16, at: Timestamp) {
        let place = usize::from(input);
        if self.inputs.len() <= place {
            self.inputs.resize(place + 1, InputTime::default());
        }
        let alone = self.inputs.len() == 1;
        if let Some(time) = self.inputs.get_mut(place) {
            time.last = at;
            if time.newest.0.saturating_sub(at.0) > STEP_BACK_NS {
                // Nobody watched what was last seen any longer, whatever times are seen elsewhere.
                if self.steps.len() < GAPS_MAX {
                    self.steps.push((input, time.newest));
                }
                *time = InputTime { newest: at, last: at, stepped: true };
                if alone {
                    self.before = Some(at);
                }
            } else {
                time.newest = time.newest.max(at);
            }
        }
        let before = self.before.unwrap_or(at);
        if at.since(before) > SILENCE && self.found.len() < GAPS_MAX {
            self.found.push((before, at));
        }
        self.before = Some(before.max(at));
    }

    /// All silences, in order.
    fn silences(&self) -> Vec<(Timestamp, Timestamp)> {
        let mut all = self.found.clone();
        all.sort_unstable();
        all
    }

    /// Until when each input was watched before its time stepped back, and to its end if that is not where it is newest.
    fn steps(&self) -> Vec<(u16, Timestamp)> {
        let ends = (0..).zip(&self.inputs).filter_map(|(input, time)| {
            let back = time.newest.0 - time.last.0 > END_BACK_NS;
            (back || time.stepped).then_some((input, if back { time.last } else { time.newest }))
        });
        let mut all: Vec<_> = self.steps.iter().copied().chain(ends).collect();
        all.sort_unstable();
        all
    }
}

impl<'a> Reader<'a> {
    fn new(source: &'a mut Source, stop: &'a AtomicBool, progress: &'a mut dyn FnMut(Progress)) -> Self {
        let (decoder, gaps) = (Decoder::new(), Gaps::default());
        Self { source, stop, progress, decoder, first: None, gaps, interrupted: false }
    }

    /// Reads the next frames; false at the end, or when told to stop.
    fn next(&mut self, batch: &mut FrameBatch) -> Result<bool, RunError> {
        if self.first.is_some() {
            (self.progress)(self.source.progress());
            if self.stop.load(Ordering::Relaxed) {
                self.interrupted = true;
                return Ok(false);
            }
        }
        let more = self.source.next_batch(batch)?;
        self.gaps.look(&batch.frames);
        if self.first.is_none() {
            self.first = batch.frames.first().map(|frame| frame.id);
        }
        Ok(more)
    }

    /// Puts the packets of frames from this place on into a batch until it is full; the place behind the last of them.
    #[inline(never)]
    #[expect(clippy::cast_possible_truncation, reason = "a batch has a thousand frames")]
    fn fill(&mut self, batch: &mut PacketBatch, frames: &FrameBatch, from: usize) -> usize {
        let left = frames.frames.get(from..).unwrap_or_default();
        for (number, frame) in (from..).zip(left) {
            let place = number as u16;
            if let Some(handle) = self.plain(frames, place, frame) {
                batch.push(handle);
            } else if let Some((handle, packet)) = self.other(frames, place, frame) {
                batch.push_beside(handle, packet);
            }
            if batch.is_full() {
                return number + 1;
            }
        }
        from + left.len()
    }

    /// What finds the packet in a plain frame, the one of this number in its batch, and its flow; `None` says nothing of
    /// the frame.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "what it says goes where it is wanted, from registers")]
    fn plain(&mut self, batch: &FrameBatch, number: u16, frame: &Frame) -> Option<Handle> {
        let bytes = batch.bytes(frame);
        let outline = self.decoder.outline(frame, bytes)?;
        Some(Handle::of_plain(outline, number))
    }

    /// The packet of a frame that is not plain, if it has one, and what finds its flow.
    #[inline(never)]
    fn other(&mut self, batch: &FrameBatch, number: u16, frame: &Frame) -> Option<(Handle, Packet)> {
        let Decoded::Packet(packet) = self.decoder.decode_other(frame, batch.bytes(frame)) else { return None };
        Some((Handle::of(&packet, number), packet))
    }

    fn captured(&self, shards: impl IntoIterator<Item = Shard>) -> Captured {
        let first_frame = self.first.unwrap_or(FrameId::NONE);
        let (gaps, steps) = (self.gaps.silences(), self.gaps.steps());
        let (decode, interrupted) = (self.decoder.counts().clone(), self.interrupted);
        let mut ears = EarCounts::default();
        let mut tables = Vec::with_capacity(SHARDS);
        for shard in shards {
            ears.add(shard.ear_counts());
            tables.push(shard.table);
        }
        Captured { tables, decode, first_frame, gaps, steps, ears, interrupted }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// Silences, from and to, and steps, by input; in seconds.
    type Found = (Vec<(u64, u64)>, Vec<(u16, u64)>);

    /// What is found of frames that inputs saw at these seconds.
    fn seen(frames: &[(u16, u64)]) -> Found {
        let mut gaps = Gaps::default();
        for (input, second) in frames {
            gaps.see(*input, Timestamp(second * SECOND));
        }
        let silences = gaps.silences().into_iter().map(|(from, to)| (from.0 / SECOND, to.0 / SECOND));
        (silences.collect(), gaps.steps().into_iter().map(|(input, at)| (input, at.0 / SECOND)).collect())
    }

    fn alone(seconds: &[u64]) -> Found {
        seen(&seconds.iter().map(|second| (0, *second)).collect::<Vec<_>>())
    }

    #[test]
    fn where_time_steps_back_watching_ends() {
        assert_eq!(alone(&[100, 101, 103]), (vec![], vec![]));
        assert_eq!(alone(&[100, 101, 200, 201]), (vec![(101, 200)], vec![]));
        // The clock set back, an earlier capture appended, one frame of another century.
        assert_eq!(alone(&[100, 120, 100, 125]), (vec![], vec![(0, 120), (0, 125)]));
        assert_eq!(alone(&[100, 120, 10, 20]), (vec![], vec![(0, 20), (0, 120)]));
        let century = (vec![(120, 9_000)], vec![(0, 130), (0, 9_000)]);
        assert_eq!(alone(&[100, 120, 9_000, 121, 130]), century);
    }

    #[test]
    fn sensors_whose_clocks_differ_step_back_a_little() {
        assert_eq!(alone(&[5, 8, 6, 9, 7, 10, 8, 11]), (vec![], vec![]));
        assert_eq!(alone(&[5, 8, 6, 9, 7]), (vec![], vec![(0, 7)]));
    }

    #[test]
    fn a_step_is_its_inputs_own() {
        assert_eq!(seen(&[(0, 100), (1, 101), (1, 80), (0, 102), (1, 90)]), (vec![], vec![(1, 90), (1, 101)]));
    }
}
