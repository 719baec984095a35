//! From interfaces to tables, without an end: readers that count what they read, and copies of the tables to judge by.
//!
//! Each reader has a thread, a ring on every interface, and runs to completion: it reads, decodes, and counts into the
//! tables itself, so that nothing queues and nothing is dropped on the way. The tables are those of [`run`](super::run),
//! behind as many locks as there are readers, since an ICMP error, or the way back on another interface, may come to
//! another reader than the flow that it is about. A lock is taken once for some hundred packets.
//!
//! The time of day is asked for here, to know how far the rings were read and when an interface was away.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use crate::capture::batch::Frame;
use crate::capture::batch::FrameBatch;
use crate::capture::batch::LinkType;
use crate::capture::device;
use crate::capture::device::BLOCK_WAIT;
use crate::capture::device::LinkState;
use crate::capture::device::Ring;
use crate::capture::device::RingCounts;
use crate::capture::device::Waited;
use crate::capture::write::Kept;
use crate::decode::counts::DecodeCounts;
use crate::decode::decoder::Decoder;
use crate::decode::packet::Decoded;
use crate::decode::packet::Layer;
use crate::decode::packet::Packet;
use crate::flow::fold::Folds;
use crate::flow::limits::Limits;
use crate::flow::record::Flow;
use crate::flow::table::Table;
use crate::learn::knowledge::Knowledge;
use crate::learn::rpc_flow::FlowId;
use crate::model::addr::FlowKey;
use crate::model::ids::FrameId;
use crate::model::time::Timestamp;
use crate::pipeline::ears::EarCounts;
use crate::pipeline::run::Captured;
use crate::pipeline::run::RunError;
use crate::pipeline::run::SILENCE;
use crate::pipeline::shard::SHARDS;
use crate::pipeline::worker::Handle;
use crate::pipeline::worker::PacketBatch;
use crate::pipeline::worker::Worker;

/// Packets that are counted under one lock: as many as a batch of them holds.
const CHUNK: usize = 256;

/// How often a reader says what it counted, and looks after its interfaces.
const TELL: Duration = Duration::from_millis(100);

/// After the word to stop, what waits is read for so long; what comes later is not waited for.
const LAST_CALL: Duration = Duration::from_secs(2);

/// A reader that was silent so long is not well.
const WELL: Duration = Duration::from_secs(5);

/// How often an interface that is gone is looked for.
const LOOK_FOR: Duration = Duration::from_secs(1);

/// An interface that is there again and cannot be opened so often will not be.
const TRIES_MAX: u32 = 5;

/// How long an interface stays gone at most so that what waits of it is read first.
const LAST_READ: Duration = Duration::from_secs(1);

/// Why a ring has no frames although its interface is up.
const ELSEWHERE: &str = "it was replaced; the first reader reads all its frames now";

/// Where several rings are read, frames wait so long for older ones of another ring.
const HOLD: Duration = BLOCK_WAIT.saturating_add(Duration::from_millis(30));
const _: () = assert!(HOLD.as_millis() >= BLOCK_WAIT.as_millis() + 2 * device::REST_MAX.as_millis());

/// So many frames do not wait any longer.
const HELD_MAX: usize = 1 << 15;

/// Frames that are at hand at once: a packet names the place of its frame in 16 bits. Rings whose frames have no room are
/// read in the next turn.
const AT_HAND_MAX: usize = u16::MAX as usize - CHUNK;

/// ICMP errors that wait; more are counted in the order they came.
const LATE_MAX: usize = 4096;

/// Silences that are remembered; the oldest are forgotten, and flows of that time judged as if somebody had watched.
const GAPS_MAX: usize = 1 << 12;

/// How to watch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Flows kept with all their detail, in all.
    pub flows_max: usize,
    /// Stop after so many frames.
    pub frames_max: Option<u64>,
    /// Bytes of the newest frames that are kept to be written, in all; 0 keeps none.
    pub kept_bytes: usize,
}

/// What one ring has to say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RingReport {
    /// The interface.
    pub interface: String,
    /// The interface, and which of its rings where it has several.
    pub name: String,
    /// Bytes of each frame that are captured.
    pub snaplen: u32,
    /// The number that its frames name as their input.
    pub input: u16,
    /// The link type of its frames.
    pub link: LinkType,
    /// What came and what was lost.
    pub counts: RingCounts,
    /// What became of the interface.
    pub state: LinkState,
    /// Since when.
    pub since: Timestamp,
    /// What the interface itself counted since it was opened, if the kernel drops what does not match a filter.
    pub carried: Option<u64>,
    /// The earliest and the latest frame.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Why it cannot be read.
    pub fault: Option<String>,
    /// How often it could not be opened although it is there again.
    pub tries: u32,
}

/// What a reader said last.
#[derive(Debug, Default)]
struct Told {
    rings: Vec<RingReport>,
    decode: DecodeCounts,
    /// Every frame before this time has been counted.
    seen_until: Timestamp,
    at: Timestamp,
}

/// The newest frames of a reader.
#[derive(Debug, Default)]
struct Recent {
    frames: VecDeque<(FlowKey, u64, Kept)>,
    bytes: usize,
}

impl Recent {
    fn keep(&mut self, key: FlowKey, number: u64, kept: Kept, bytes_max: usize) {
        self.bytes += cost(&kept);
        self.frames.push_back((key, number, kept));
        while self.bytes > bytes_max
            && let Some((.., oldest)) = self.frames.pop_front()
        {
            self.bytes -= cost(&oldest);
        }
    }
}

/// What a kept frame takes, bytes.
fn cost(kept: &Kept) -> usize {
    kept.bytes.len() + size_of::<(FlowKey, u64, Kept)>()
}

/// Flows that are kept no more.
#[derive(Default)]
pub struct Expired {
    /// The flows.
    pub tables: Vec<Table>,
    /// What is left of flows that were given up, which is in the tables, too.
    pub folds: Vec<Folds>,
    /// What each is called by what was learned of it, and when it was seen last.
    pub ids: Vec<(FlowId, Timestamp)>,
}

/// A watch under way.
pub struct Live<'a> {
    workers: Vec<Mutex<Worker<'a>>>,
    told: Vec<Mutex<Told>>,
    recent: Vec<Mutex<Recent>>,
    /// What each reader may keep.
    kept_bytes: usize,
    stop: AtomicBool,
    reading: AtomicUsize,
    /// Frames that may still be read, those apart for which a reader looks now.
    budget: AtomicU64,
    /// Frames that were read, and when they are enough.
    read: AtomicU64,
    frames_max: u64,
    newest: AtomicU64,
    first: OnceLock<FrameId>,
    gaps: Mutex<Vec<(Timestamp, Timestamp)>>,
}

/// Watches: starts a reader for each item of `readers`, runs `body`, and waits for the readers to end.
///
/// # Errors
/// [`RunError::Worker`] if a reader died.
pub fn watch<T>(
    readers: Vec<Vec<Ring>>,
    settings: Settings,
    knowledge: &Knowledge,
    body: impl FnOnce(&Live<'_>) -> T,
) -> Result<T, RunError> {
    let count = readers.len().clamp(1, SHARDS);
    let limits = Limits { flows_max: settings.flows_max.div_ceil(SHARDS).max(1), ..Limits::default() };
    let live = Live {
        workers: (0..count).map(|_| Mutex::new(Worker::new(limits, knowledge))).collect(),
        told: readers.iter().map(|_| Mutex::default()).collect(),
        recent: readers.iter().map(|_| Mutex::default()).collect(),
        kept_bytes: settings.kept_bytes / count,
        stop: AtomicBool::new(false),
        reading: AtomicUsize::new(readers.len()),
        budget: AtomicU64::new(settings.frames_max.unwrap_or(u64::MAX)),
        read: AtomicU64::new(0),
        frames_max: settings.frames_max.unwrap_or(u64::MAX),
        newest: AtomicU64::new(0),
        first: OnceLock::new(),
        gaps: Mutex::default(),
    };
    let live = &live;
    thread::scope(|scope| {
        let start = |(number, rings)| {
            scope.spawn(move || {
                // However it ends, nobody waits for it any more.
                let _over = Over(&live.reading);
                Reader::new(live, number, rings).run();
            })
        };
        let handles: Vec<_> = readers.into_iter().enumerate().map(start).collect();
        // Whatever ends the body, a panic too, ends the readers.
        let ended = Ended(&live.stop);
        let done = body(live);
        drop(ended);
        let died = handles.into_iter().map(thread::ScopedJoinHandle::join).filter(Result::is_err).count();
        if died > 0 { Err(RunError::Worker) } else { Ok(done) }
    })
}

/// Asks the readers to end when it goes.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Counts a reader out when it ends.
struct Over<'a>(&'a AtomicUsize);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

impl Live<'_> {
    /// Whether a reader still reads.
    pub fn is_reading(&self) -> bool {
        self.reading.load(Ordering::Acquire) > 0
    }

    /// Whether every reader said something in the last seconds.
    pub fn is_well(&self, at: Timestamp) -> bool {
        self.told.iter().all(|told| at.since(lock(told).at) < WELL)
    }

    /// Ends reading, after what waits in the rings was read.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        while self.is_reading() {
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// What every ring said last, by the number of its input.
    pub fn rings(&self) -> Vec<RingReport> {
        let mut all: Vec<_> = self.told.iter().flat_map(|told| lock(told).rings.clone()).collect();
        all.sort_unstable_by_key(|ring| ring.input);
        all
    }

    /// Every frame before this time has been counted.
    pub fn seen_until(&self) -> Timestamp {
        self.told.iter().map(|told| lock(told).seen_until).min().unwrap_or_default()
    }

    /// A copy of everything that was seen.
    pub fn snapshot(&self) -> Captured {
        let mut ears = EarCounts::default();
        let mut tables = Vec::with_capacity(SHARDS);
        for number in 0..SHARDS {
            let Some(worker) = self.workers.get(number % self.workers.len()) else { continue };
            let mut worker = lock(worker);
            worker.tell();
            if let Some(shard) = worker.shards().get(number) {
                ears.add(shard.ear_counts());
                tables.push(shard.table.copy());
            }
        }
        let mut decode = DecodeCounts::default();
        for told in &self.told {
            decode.add(&lock(told).decode);
        }
        let first_frame = self.first.get().copied().unwrap_or(FrameId::NONE);
        let mut gaps = lock(&self.gaps).clone();
        gaps.sort_unstable();
        Captured { tables, decode, first_frame, gaps, steps: Vec::new(), ears, interrupted: false }
    }

    /// Takes out the kept frames of wanted flows, with their numbers, in the order of each reader.
    pub fn take_kept(&self, wanted: impl Fn(&FlowKey) -> bool) -> Vec<(FlowKey, u64, Kept)> {
        let mut taken = Vec::new();
        for recent in &self.recent {
            let mut recent = lock(recent);
            for (key, number, kept) in std::mem::take(&mut recent.frames) {
                if wanted(&key) {
                    recent.bytes -= cost(&kept);
                    taken.push((key, number, kept));
                } else {
                    recent.frames.push_back((key, number, kept));
                }
            }
        }
        taken
    }

    /// Takes the flows out that were last seen before a time, to judge them for the last time, and what is left of flows
    /// that were given up.
    pub fn expire(&self, before: Timestamp) -> Expired {
        let mut past = Vec::with_capacity(SHARDS);
        for number in 0..SHARDS {
            let Some(worker) = self.workers.get(number % self.workers.len()) else { continue };
            let mut worker = lock(worker);
            worker.tell();
            past.extend(worker.shards_mut().get_mut(number).map(|shard| shard.expire(before)));
        }
        lock(&self.gaps).retain(|(_, to)| *to >= before);
        let id = |flow: Flow| (FlowId { key: flow.key, first_frame: flow.first_frame }, flow.last_seen());
        let ids = past.iter().flat_map(Table::flows).map(|stored| id(stored.flow())).collect();
        let folds = past.iter().map(|table| table.folds().clone()).collect();
        Expired { tables: past, folds, ids }
    }

    /// Notes that nobody watched for a while.
    pub fn gap(&self, from: Timestamp, to: Timestamp) {
        let mut gaps = lock(&self.gaps);
        if gaps.len() >= GAPS_MAX {
            gaps.remove(0);
        }
        gaps.push((from, to));
    }

    /// How many frames may be read now, of at most so many.
    fn take(&self, most: u64) -> u64 {
        let left = self.budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            Some(if left == u64::MAX { left } else { left.saturating_sub(most) })
        });
        left.unwrap_or_default().min(most)
    }

    fn give_back(&self, frames: u64) {
        let give = |left: u64| Some(left.saturating_add(frames)).filter(|_| left != u64::MAX);
        self.budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, give).ok();
    }
}

/// A lock that a reader died with is as good as any other: its death ends the watch.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The time of day.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::default().plus(since)
}

/// One thread and what it owns.
struct Reader<'l, 'a> {
    live: &'l Live<'a>,
    number: usize,
    rings: Vec<Watched>,
    decoder: Decoder,
    batch: FrameBatch,
    /// Where several rings are read: what waits for older frames.
    rest: FrameBatch,
    /// Packets for each worker.
    lanes: Vec<PacketBatch>,
    /// Where there are several readers: ICMP errors, until the packets that they are about were surely counted.
    late: VecDeque<(Packet, Handle)>,
    seen_until: Timestamp,
}

/// A ring and how its interface is.
struct Watched {
    ring: Ring,
    state: LinkState,
    since: Timestamp,
    first: Option<Timestamp>,
    last: Timestamp,
    tries: u32,
    looked: Option<Instant>,
    fault: Option<String>,
}

impl<'l, 'a> Reader<'l, 'a> {
    fn new(live: &'l Live<'a>, number: usize, rings: Vec<Ring>) -> Self {
        let at = now();
        let watched = |ring: Ring| Watched {
            state: ring.link_state(),
            ring,
            since: at,
            first: None,
            last: Timestamp::default(),
            tries: 0,
            looked: None,
            fault: None,
        };
        Self {
            live,
            number,
            rings: rings.into_iter().map(watched).collect(),
            decoder: Decoder::new(),
            batch: FrameBatch::default(),
            rest: FrameBatch::default(),
            lanes: live.workers.iter().map(|_| PacketBatch::new()).collect(),
            late: VecDeque::new(),
            seen_until: at,
        }
    }

    fn run(&mut self) {
        let mut told = Instant::now();
        let mut last_call: Option<Instant> = None;
        self.tell();
        loop {
            let asked = now();
            let read = self.read();
            if read == 0 {
                // The kernel hands over a block at the latest after this time; frames wait for those of other rings.
                self.seen_until = asked.minus(if self.rings.len() > 1 { HOLD } else { BLOCK_WAIT });
            }
            self.count(asked, false);
            let stopping = self.live.stop.load(Ordering::Relaxed);
            if stopping {
                let since = *last_call.get_or_insert_with(Instant::now);
                let mut waiting = || self.rings.iter_mut().any(|watched| watched.ring.count().waiting() > 0);
                let done = read == 0 && since.elapsed() > 2 * BLOCK_WAIT && !waiting();
                if done || since.elapsed() > LAST_CALL {
                    break;
                }
            }
            if self.live.read.load(Ordering::Relaxed) >= self.live.frames_max {
                break;
            }
            let erred = read == 0 && !self.wait();
            if erred || told.elapsed() >= TELL {
                self.look_after(erred);
                self.tell();
                told = Instant::now();
            }
        }
        self.count(now(), true);
        self.tell();
    }

    /// Reads what is there of every ring.
    fn read(&mut self) -> usize {
        let mut read = 0;
        for watched in &mut self.rings {
            if self.batch.frames.len() > AT_HAND_MAX - device::READ_MAX {
                break;
            }
            let most = self.live.take(device::READ_MAX as u64);
            let before = self.batch.frames.len();
            let frames = watched.ring.read(&mut self.batch, usize::try_from(most).unwrap_or(0));
            let fresh = self.batch.frames.get(before..).unwrap_or_default();
            self.live.give_back(most.saturating_sub(fresh.len() as u64));
            self.live.read.fetch_add(fresh.len() as u64, Ordering::Relaxed);
            read += fresh.len();
            if let (Some(first), Some(last)) = (fresh.first(), fresh.last()) {
                watched.first.get_or_insert(first.ts);
                watched.last = watched.last.max(last.ts);
            }
            if let Err(error) = frames {
                watched.fault = Some(error.to_string());
                watched.change(if watched.ring.is_gone() { LinkState::Gone } else { LinkState::Down });
            }
        }
        read
    }

    /// Counts what was read, where one ring is read at once, else what no older frame can come for any more.
    fn count(&mut self, asked: Timestamp, all: bool) {
        let mut batch = std::mem::take(&mut self.batch);
        if self.rings.len() > 1 && !batch.frames.is_empty() {
            batch.frames.sort_by_key(|frame| (frame.ts, frame.id));
            let until = if all || batch.frames.len() > HELD_MAX { Timestamp(u64::MAX) } else { asked.minus(HOLD) };
            let ready = batch.frames.partition_point(|frame| frame.ts < until);
            let FrameBatch { arena, frames } = &mut self.rest;
            for frame in batch.frames.drain(ready..) {
                let bytes = batch.arena.get(frame.at as usize..).and_then(|rest| rest.get(..frame.captured as usize));
                frames.push(Frame { at: u32::try_from(arena.len()).unwrap_or(u32::MAX), ..frame });
                arena.extend_from_slice(bytes.unwrap_or_default());
            }
        }
        if let Some(first) = batch.frames.first() {
            self.live.first.get_or_init(|| first.id);
        }
        for (at, chunk) in (0..).step_by(CHUNK).zip(batch.frames.chunks(CHUNK)) {
            self.chunk(at, chunk, &batch);
        }
        self.count_late(if all { Timestamp(u64::MAX) } else { asked.minus(2 * HOLD) });
        if let Some(newest) = batch.frames.last() {
            self.seen_until = self.seen_until.max(newest.ts);
        }
        batch.frames.clear();
        batch.arena.clear();
        self.batch = std::mem::replace(&mut self.rest, batch);
    }

    /// Counts the ICMP errors that came before a time: another reader had the flows that they are about.
    fn count_late(&mut self, before: Timestamp) {
        while let Some((packet, handle)) = self.late.pop_front() {
            if packet.ts >= before {
                self.late.push_front((packet, handle));
                return;
            }
            if let Some(worker) = self.live.workers.get(usize::from(handle.shard) % self.live.workers.len()) {
                // Nobody listens to what an error quotes.
                lock(worker).count_one(&handle, &packet, &[]);
            }
        }
    }

    /// Counts frames of a batch, from this place on.
    fn chunk(&mut self, at: u16, frames: &[Frame], batch: &FrameBatch) {
        self.look_for_gaps(frames);
        let workers = self.live.workers.len();
        // One worker is the usual case, and a division for each frame is not nothing.
        let lane_of = |handle: &Handle| if workers == 1 { 0 } else { usize::from(handle.shard) % workers };
        let recent = self.live.recent.get(self.number).filter(|_| self.live.kept_bytes > 0);
        let mut recent = recent.map(lock);
        for (number, frame) in (at..).zip(frames) {
            let bytes = batch.bytes(frame);
            // Whose frames are kept is asked of whole packets.
            if recent.is_none()
                && let Some(outline) = self.decoder.outline(frame, bytes)
            {
                let handle = Handle::of_plain(outline, number);
                if let Some(lane) = self.lanes.get_mut(lane_of(&handle)) {
                    lane.push(handle);
                }
                continue;
            }
            let Decoded::Packet(packet) = self.decoder.decode_other(frame, bytes) else { continue };
            let handle = Handle::of(&packet, number);
            if let Some(recent) = &mut recent {
                let interface = u32::from(frame.id.input());
                let kept = Kept { interface, ts: frame.ts, wire_len: frame.wire_len, bytes: bytes.into() };
                recent.keep(packet.key, frame.id.number(), kept, self.live.kept_bytes);
            }
            if workers > 1 && matches!(packet.layer, Layer::IcmpError(_)) && self.late.len() < LATE_MAX {
                self.late.push_back((packet, handle));
            } else if let Some(lane) = self.lanes.get_mut(lane_of(&handle)) {
                lane.push_beside(handle, packet);
            }
        }
        drop(recent);
        // Each reader begins with a table of its own, so that they meet seldom.
        for place in (0..workers).map(|step| (self.number + step) % workers) {
            if let (Some(lane), Some(worker)) = (self.lanes.get_mut(place), self.live.workers.get(place))
                && !lane.is_empty()
            {
                lock(worker).take(lane, batch);
                lane.clear();
            }
        }
    }

    /// Notes the silences before these frames.
    fn look_for_gaps(&self, frames: &[Frame]) {
        let mut before = Timestamp(self.live.newest.load(Ordering::Relaxed));
        for frame in frames {
            if before != Timestamp::default() && frame.ts.since(before) > SILENCE {
                self.live.gap(before, frame.ts);
            }
            // Of readers, one may be behind another; much earlier is a frame only after the clock was set back.
            before = if before.since(frame.ts) > SILENCE { frame.ts } else { before.max(frame.ts) };
        }
        self.live.newest.store(before.0, Ordering::Relaxed);
    }

    /// Waits for frames, and then for more of them; `false` if an interface reported an error.
    fn wait(&self) -> bool {
        let hold = if self.batch.frames.is_empty() { TELL } else { HOLD };
        let waited = device::wait(self.rings.iter().map(|watched| &watched.ring), hold);
        let rest = self.rings.iter().map(|watched| watched.ring.rest()).min().unwrap_or_default();
        if waited == Waited::Ready && !rest.is_zero() {
            thread::sleep(rest);
        }
        waited != Waited::Erred
    }

    /// Looks how the interfaces are, and for those that were gone.
    fn look_after(&mut self, erred: bool) {
        for watched in &mut self.rings {
            let due = erred || watched.looked.is_none_or(|looked| looked.elapsed() >= LOOK_FOR);
            if !due {
                continue;
            }
            watched.looked = Some(Instant::now());
            if let Some((from, to)) = watched.look() {
                self.live.gap(from, to);
            }
        }
    }

    /// Says what was counted.
    fn tell(&mut self) {
        let report = |watched: &mut Watched| RingReport {
            interface: watched.ring.interface().to_owned(),
            name: watched.ring.name(),
            snaplen: watched.ring.snaplen(),
            input: watched.ring.input(),
            link: watched.ring.link(),
            counts: watched.ring.count(),
            state: watched.state,
            since: watched.since,
            carried: watched.ring.carried(),
            span: watched.first.map(|first| (first, watched.last)),
            fault: watched.fault.clone().or_else(|| watched.ring.is_bequeathed().then(|| ELSEWHERE.to_owned())),
            tries: watched.tries,
        };
        let rings = self.rings.iter_mut().map(report).collect();
        let (decode, seen_until) = (self.decoder.counts().clone(), self.seen_until);
        if let Some(told) = self.live.told.get(self.number) {
            *lock(told) = Told { rings, decode, seen_until, at: now() };
        }
    }
}

impl Watched {
    fn change(&mut self, state: LinkState) {
        if self.state != state {
            self.state = state;
            self.since = now();
        }
    }

    /// Looks how the interface is. If it is up again, from when to when it was not. One that was renamed sends frames as
    /// before, and is not the one that is watched.
    fn look(&mut self) -> Option<(Timestamp, Timestamp)> {
        let (before, since) = (self.state, self.since);
        let mut state = self.ring.link_state();
        let replaced = self.ring.is_gone();
        if (replaced || !self.ring.is_open()) && state != LinkState::Gone {
            if now().since(since) < LAST_READ && self.ring.still_holds() {
                self.looked = None;
                return None;
            }
            match self.ring.reopen() {
                Ok(()) => (self.fault, self.tries) = (None, 0),
                Err(error) => {
                    self.fault = Some(error.to_string());
                    self.tries += 1;
                    state = LinkState::Gone;
                }
            }
        }
        self.change(state);
        if replaced && before == LinkState::Up && state == LinkState::Up {
            // Between two looks.
            self.since = now();
            return Some((self.since.minus(LOOK_FOR), self.since));
        }
        (before != LinkState::Up && state == LinkState::Up).then_some((since, self.since))
    }
}

impl RingReport {
    /// Whether the interface is there again and cannot be opened.
    pub fn is_lost(&self) -> bool {
        self.tries >= TRIES_MAX
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::panic, reason = "what is tested")]

    use std::sync::mpsc;

    use super::*;

    /// Of two interfaces with two readers each, a reader has one ring of each, and the first interface the first inputs.
    #[test]
    fn rings_are_listed_by_their_inputs() {
        let ring = |input: u16| RingReport {
            interface: String::new(),
            name: input.to_string(),
            snaplen: 0,
            input,
            link: LinkType(1),
            counts: RingCounts::default(),
            state: LinkState::Up,
            since: Timestamp::default(),
            carried: None,
            span: None,
            fault: None,
            tries: 0,
        };
        let settings = Settings { flows_max: 1, frames_max: None, kept_bytes: 0 };
        let knowledge = Knowledge::new();
        let names = watch(vec![Vec::new(), Vec::new()], settings, &knowledge, |live| {
            live.stop();
            for (told, inputs) in live.told.iter().zip([[0, 2], [1, 3]]) {
                lock(told).rings = inputs.map(ring).into();
            }
            live.rings().into_iter().map(|ring| ring.name).collect::<Vec<_>>()
        });
        assert_eq!(names.ok(), Some(["0", "1", "2", "3"].map(str::to_owned).into()));
    }

    #[test]
    fn a_body_that_dies_ends_the_readers() {
        let (say, heard) = mpsc::channel();
        thread::spawn(move || {
            let settings = Settings { flows_max: 1, frames_max: None, kept_bytes: 0 };
            let knowledge = Knowledge::new();
            let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                watch(vec![Vec::new()], settings, &knowledge, |_| -> u8 { panic!("of a test") })
            }));
            say.send(died.is_err())
        });
        assert_eq!(heard.recv_timeout(Duration::from_secs(60)), Ok(true));
    }
}
