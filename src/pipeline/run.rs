//! From a source to tables: the reader's loop, the workers, and an orderly end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;

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
use crate::decode::packet::Packet;
use crate::decode::packet::SkipReason;
use crate::flow::duplicate::signature;
use crate::flow::fold::Folds;
use crate::flow::limits::Counters;
use crate::flow::limits::Limits;
use crate::flow::table::Table;
use crate::learn::knowledge::Knowledge;
use crate::model::ids::FrameId;
use crate::model::time::Timestamp;
use crate::pipeline::ears::EarCounts;
use crate::pipeline::observe::Observer;
use crate::pipeline::shard::KeyHash;
use crate::pipeline::shard::SHARDS;
use crate::pipeline::shard::mix_of;
use crate::pipeline::shard::shard_of;
use crate::pipeline::worker::Handle;
use crate::pipeline::worker::PacketBatch;
use crate::pipeline::worker::Shard;
use crate::pipeline::worker::Worker;

/// Batches that may wait for one worker. The reader waits when they are full: a file loses nothing.
const QUEUE: usize = 8;

/// Packets that one batch to a worker holds at most: some 35 KiB, so that batches under way stay in the cache.
const BATCH: usize = 256;

/// How to run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Worker threads; 1 runs everything in the calling thread. More than 16 are not used.
    pub threads: usize,
    /// Flows kept with all their detail, in all.
    pub flows_max: usize,
}

impl Settings {
    /// How many flows fit into `bytes`, so that reading, judging and reporting them stays below.
    ///
    /// Measured on the dearest flows there are: each between hosts of its own, so that each is a pair in the report.
    /// Other flows need half of it or less.
    pub fn flows_within(bytes: u64) -> usize {
        /// What does not grow with flows: the program, batches, and the totals of flows that were given up.
        const FIXED: u64 = 96 << 20;
        /// Slots of the table, twice as many as flows at least, the old ones while it grows included.
        const INDEX: u64 = 32;
        /// What judge and report hold of a flow, its row among the pairs included.
        const JUDGING: u64 = 480;
        let each = Table::FLOW_BYTES_MAX as u64 + INDEX + JUDGING;
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

    /// The totals of all evicted flows.
    pub fn folds(&self) -> Folds {
        let mut folds = Folds::default();
        for table in &self.tables {
            folds.merge(table.folds(), Limits::default().folds_max);
        }
        folds
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
    let mut place = Packet::NONE;
    while reader.next(&mut arena)? {
        for frame in &arena.frames {
            if let Some(handle) = reader.packet(&arena, frame, &mut place) {
                std::hint::black_box((&place, handle));
                packets += 1;
            }
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
        let mut worker = Worker::new(0, 1, limits, knowledge);
        let mut arena = FrameBatch::default();
        let mut batch = PacketBatch::new(BATCH);
        while reader.next(&mut arena)? {
            for frame in &arena.frames {
                batch.fill(|place| reader.packet(&arena, frame, place));
                if batch.is_full() {
                    worker.take(&batch, &arena.arena);
                    batch.clear();
                    observer.counted(asked);
                }
            }
            worker.take(&batch, &arena.arena);
            batch.clear();
            observer.counted(asked);
            asked = O::now();
        }
        return Ok((reader.captured(worker.into_shards()), vec![observer]));
    }
    thread::scope(|scope| {
        // No worker waits to give back: what can be under way is bounded by the ways to them.
        let (back, returned) = unbounded();
        let mut lanes = Vec::with_capacity(workers);
        let mut handles = Vec::with_capacity(workers);
        for number in 0..workers {
            let (sender, work) = bounded(QUEUE);
            let worker = Worker::new(number, workers, limits, knowledge);
            let back = back.clone();
            lanes.push(Lane { filling: PacketBatch::new(BATCH), work: sender });
            handles.push(scope.spawn(move || work_off::<O>(worker, &work, &back)));
        }
        drop(back);
        let dispatch = Dispatch::<O> { lanes, returned, batches: Vec::new(), arenas: Vec::new(), asked: O::now() };
        let read = dispatch.run(&mut reader);
        let mut shards: [Option<Shard>; SHARDS] = std::array::from_fn(|_| None);
        let mut observers = Vec::with_capacity(workers);
        for handle in handles {
            let (own, observer) = handle.join().map_err(|_| RunError::Worker)?;
            observers.push(observer);
            for (place, shard) in shards.iter_mut().zip(own) {
                *place = place.take().or(shard);
            }
        }
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
) -> ([Option<Shard>; SHARDS], O) {
    let mut observer = O::default();
    for mut work in work {
        worker.take(&work.packets, &work.arena.arena);
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
        let mut place = Packet::NONE;
        while reader.next(&mut arena)? {
            let shared = Arc::new(arena);
            for frame in &shared.frames {
                if let Some(handle) = reader.packet(&shared, frame, &mut place) {
                    self.give(&place, handle, &shared)?;
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

    #[inline]
    fn give(&mut self, packet: &Packet, handle: Handle, arena: &Arc<FrameBatch>) -> Result<(), RunError> {
        let number = handle.shard % self.lanes.len();
        let Some(lane) = self.lanes.get_mut(number) else { return Ok(()) };
        lane.filling.fill(|place| {
            *place = *packet;
            Some(handle)
        });
        if lane.filling.is_full() { self.flush(number, arena) } else { Ok(()) }
    }

    fn flush(&mut self, number: usize, arena: &Arc<FrameBatch>) -> Result<(), RunError> {
        let Some(lane) = self.lanes.get_mut(number).filter(|lane| !lane.filling.is_empty()) else { return Ok(()) };
        let empty = self.batches.pop().unwrap_or_else(|| PacketBatch::new(BATCH));
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
    hash: KeyHash,
    first: Option<FrameId>,
    gaps: Gaps,
    interrupted: bool,
}

/// Long silences of the capture.
#[derive(Default)]
struct Gaps {
    before: Option<Timestamp>,
    found: Vec<(Timestamp, Timestamp)>,
}

/// A silence longer than this may be a pause of the capture itself.
const GAP_NS: u64 = 30_000_000_000;

/// Silences that are remembered; a capture with more is judged as if it were watched in the later ones.
const GAPS_MAX: usize = 1 << 16;

impl Gaps {
    /// Looks at the frames of a batch, which are the next ones.
    fn look(&mut self, frames: &[Frame]) {
        let (Some(first), Some(last)) = (frames.first(), frames.last()) else { return };
        let before = self.before.unwrap_or(first.ts);
        let short = last.ts.0.saturating_sub(before.0) <= GAP_NS;
        if short && before <= first.ts && frames.is_sorted_by_key(|frame| frame.ts) {
            self.before = Some(last.ts);
        } else {
            for frame in frames {
                self.see(frame.ts);
            }
        }
    }

    fn see(&mut self, at: Timestamp) {
        if let Some(before) = self.before.replace(at)
            && at.0.saturating_sub(before.0) > GAP_NS
            && self.found.len() < GAPS_MAX
        {
            self.found.push((before, at));
        }
    }
}

impl<'a> Reader<'a> {
    fn new(source: &'a mut Source, stop: &'a AtomicBool, progress: &'a mut dyn FnMut(Progress)) -> Self {
        let (decoder, hash, gaps) = (Decoder::new(), KeyHash::default(), Gaps::default());
        Self { source, stop, progress, decoder, hash, first: None, gaps, interrupted: false }
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

    /// Puts the packet of a frame into its place, and says what finds its flow; `None` if it has none.
    #[inline]
    fn packet(&mut self, batch: &FrameBatch, frame: &Frame, place: &mut Packet) -> Option<Handle> {
        let bytes = batch.bytes(frame);
        if self.decoder.decode_plain(frame, bytes, place) {
            // What was just written is still at hand: no need to read it again, as behind the general way.
            return Some(self.handle(frame, place));
        }
        self.other_packet(frame, bytes, place)
    }

    #[inline(never)]
    fn other_packet(&mut self, frame: &Frame, bytes: &[u8], place: &mut Packet) -> Option<Handle> {
        self.decoder.decode_into(frame, bytes, place).ok()?;
        Some(self.handle(frame, place))
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "what was just decoded is still at hand")]
    fn handle(&self, frame: &Frame, packet: &Packet) -> Handle {
        let mix = mix_of(&packet.key);
        let (hash, signature) = (self.hash.of(&packet.key), signature(packet, mix));
        Handle { hash, signature, shard: shard_of(mix), payload_at: frame.at + packet.payload_at }
    }

    fn captured(&self, shards: [Option<Shard>; SHARDS]) -> Captured {
        let first_frame = self.first.unwrap_or(FrameId::NONE);
        let mut gaps = self.gaps.found.clone();
        gaps.sort_unstable();
        let (decode, interrupted) = (self.decoder.counts().clone(), self.interrupted);
        let mut ears = EarCounts::default();
        let mut tables = Vec::with_capacity(SHARDS);
        for shard in shards.into_iter().flatten() {
            ears.add(shard.ear_counts());
            tables.push(shard.table);
        }
        Captured { tables, decode, first_frame, gaps, ears, interrupted }
    }
}
