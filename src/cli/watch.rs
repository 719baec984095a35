//! `portolan watch`: interfaces in, findings out while they happen, a report at the end.
//!
//! One thread per reader fills the tables; this thread asks for copies, judges them with the very code of `analyze`, and
//! tells what changed. How it is told is the [`Face`]'s affair.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use nix::time::ClockId;
use nix::time::clock_gettime;

use crate::capture::device;
use crate::capture::device::LinkState;
use crate::capture::device::Ring;
use crate::capture::device::RingCounts;
use crate::capture::error::CaptureError;
use crate::capture::facts::Format as Container;
use crate::capture::facts::InputFacts;
use crate::capture::write;
use crate::catalogue::Catalogue;
use crate::classify::judge::Judge;
use crate::classify::judged::CaptureFacts;
use crate::classify::judged::Options as JudgeOptions;
use crate::classify::judged::Ruled;
use crate::classify::verdict::Outcome;
use crate::cli::analyze::capture_facts;
use crate::cli::analyze::catalogue;
use crate::cli::analyze::coloured;
use crate::cli::analyze::filter_text;
use crate::cli::analyze::format_by_name;
use crate::cli::analyze::format_of_file;
use crate::cli::analyze::health_of;
use crate::cli::analyze::input_row;
use crate::cli::analyze::is_blind;
use crate::cli::analyze::is_of_packets;
use crate::cli::analyze::judge_options;
use crate::cli::args::JudgeArgs;
use crate::cli::args::WatchArgs;
use crate::cli::exit;
use crate::cli::exit::Stop;
use crate::cli::face::Face;
use crate::cli::face::Wish;
use crate::cli::face::wants_screen;
use crate::cli::metrics::Bound;
use crate::cli::metrics::Metrics;
use crate::cli::notify::Manager;
use crate::cli::output::check_apart;
use crate::cli::output::check_place;
use crate::cli::output::outcome_to_stdout;
use crate::cli::output::to_file;
use crate::cli::output::to_stdout;
use crate::cli::privilege::Given;
use crate::cli::privilege::Needs;
use crate::cli::privilege::give_up;
use crate::cli::privilege::may_open;
use crate::cli::record::Recorder;
use crate::learn::knowledge::Knowledge;
use crate::model::time::Timestamp;
use crate::pipeline::live;
use crate::pipeline::live::Live;
use crate::pipeline::live::RingReport;
use crate::pipeline::run::Captured;
use crate::pipeline::run::Settings as RunSettings;
use crate::report::Report;
use crate::report::archive::Archive;
use crate::report::facts::Health;
use crate::report::facts::RunFacts;
use crate::report::format::Format;
use crate::report::format::Pages;
use crate::report::format::Style;
use crate::report::ledger::Change;
use crate::report::ledger::Item;
use crate::report::ledger::Ledger;
use crate::report::ledger::State;
use crate::report::moment::Moment;
use crate::report::names::Names;
use crate::report::sanitise::Shown;
use crate::report::status::FrameCounts;
use crate::report::status::Interface;
use crate::report::status::Snapshot;
use crate::report::status::Status;

/// Time between two judgements, if the last one did not take long.
const JUDGE_EVERY: Duration = Duration::from_secs(1);

/// At most this part of a processor's time is spent judging. Time that others took from it is not counted, or one long
/// halt of the machine would be followed by a longer silence.
const JUDGE_SHARE: u32 = 10;

/// How soon a signal is obeyed.
const ATTEND: Duration = Duration::from_millis(50);

/// A mirror that was silent so long may have ended: beyond, nobody watched. The same as inside a capture.
const SILENCE: Duration = Duration::from_secs(30);

/// The newest frames that are kept for `-w`, bytes.
const KEPT_BYTES: usize = 64 << 20;

/// How often flows are looked for that were silent too long: what they take in between is memory for nothing, and goes up
/// and down.
const EXPIRE_EVERY: Duration = Duration::from_secs(10);

/// Flows that were silent so long do not reach into the next window of `--rotate`.
const ROTATE_KEEP: Duration = Duration::from_secs(60);

/// The clock runs faster or slower by much less than this between two looks; beyond, somebody set it, or the machine slept.
const CLOCK_SET: Duration = Duration::from_secs(1);

/// Samples of what was lost, one for each judgement that is this far from the one before.
const LOSS_SAMPLE: Duration = Duration::from_secs(10);

/// Everything decided before the first frame.
struct Plan<'a> {
    args: &'a WatchArgs,
    interfaces: Vec<String>,
    catalogue: Arc<Catalogue>,
    filter: Option<String>,
    stdout: Option<&'static Format>,
    files: Vec<(PathBuf, &'static Format)>,
    /// Where the packets of findings go.
    record: Option<PathBuf>,
}

/// What signals ask for.
struct Signals {
    stop: Arc<AtomicBool>,
    /// Whether one more signal may end the program at once.
    quit: Arc<AtomicBool>,
    report: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
}

impl Signals {
    /// `screen`: a terminal must be given back first, and whoever does that sets `quit`.
    fn listen(screen: bool) -> Result<Self, Stop> {
        use signal_hook::consts::SIGHUP;
        use signal_hook::consts::SIGINT;
        use signal_hook::consts::SIGTERM;
        use signal_hook::consts::SIGUSR1;
        let signals =
            Self { stop: Arc::default(), quit: Arc::default(), report: Arc::default(), reload: Arc::default() };
        let listen = || {
            for (signal, code) in [(SIGINT, 130), (SIGTERM, 143)] {
                // The first one ends the watch and prints the report; a second one quits at once.
                signal_hook::flag::register_conditional_shutdown(signal, code, Arc::clone(&signals.quit))?;
                signal_hook::flag::register(signal, Arc::clone(&signals.stop))?;
                if !screen {
                    signal_hook::flag::register(signal, Arc::clone(&signals.quit))?;
                }
            }
            signal_hook::flag::register(SIGUSR1, Arc::clone(&signals.report))?;
            signal_hook::flag::register(SIGHUP, Arc::clone(&signals.reload))
        };
        listen().map_err(|error| Stop::io(format!("cannot listen for signals: {error}")))?;
        Ok(signals)
    }
}

/// Runs the command and says how the program ends.
///
/// # Errors
/// [`Stop`] when it could not start, read or write.
pub fn watch(args: &WatchArgs) -> Result<u8, Stop> {
    if args.list_interfaces {
        return list();
    }
    let plan = decide(args)?;
    let readers = open(&plan)?;
    let interfaces = interfaces(&readers);
    let signals = Signals::listen(wants_screen(plan.stdout))?;
    let metrics = args.metrics.as_deref().map(Bound::take).transpose()?;
    let manager = Manager::find();
    let given = give_up(args.user.as_deref(), &needs(&plan))?;
    if args.run.verbose {
        say_given(&given);
    }
    // Threads from here on.
    let metrics = metrics.map(Metrics::serve).transpose()?;
    let knowledge = Knowledge::new();
    let flows_max = match args.run.max_flows {
        Some(flows) => usize::try_from(flows).unwrap_or(usize::MAX),
        None => RunSettings::flows_within(args.run.max_memory),
    };
    let kept_bytes = if plan.record.is_some() { KEPT_BYTES } else { 0 };
    let settings = live::Settings { flows_max, frames_max: args.count, kept_bytes };
    let record = |path: &PathBuf| Recorder::begin(path, &interfaces, args.file_size, args.file_count);
    let recorder = plan.record.as_ref().map(record).transpose()?;
    let done = live::watch(readers, settings, &knowledge, |live| {
        Watch::new(plan, live, &knowledge, &signals, Aside { metrics, manager, recorder })?.run()
    });
    done.map_err(Stop::io)?
}

/// The interfaces as a file of packets names them, in the order of their numbers.
fn interfaces(readers: &[Vec<Ring>]) -> Vec<write::Interface> {
    let mut rings: Vec<&Ring> = readers.iter().flatten().collect();
    rings.sort_by_key(|ring| ring.input());
    let interface = |ring: &&Ring| write::Interface { name: ring.name(), link: ring.link(), snaplen: ring.snaplen() };
    rings.iter().map(interface).collect()
}

/// What must stay possible without rights.
fn needs(plan: &Plan<'_>) -> Needs {
    let folder = |path: &Path| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        folder.unwrap_or(Path::new(".")).to_path_buf()
    };
    let judge = &plan.args.judge;
    // An editor replaces the site file by another one in its folder.
    let read = judge.rules.iter().cloned().chain(judge.site.as_deref().map(folder)).collect();
    let written = plan.files.iter().map(|(path, _)| path).chain(&plan.record).cloned().collect();
    Needs { written, read }
}

#[expect(clippy::print_stderr, reason = "the command speaks to the person")]
fn say_given(given: &Given) {
    let user = given.user.as_deref().map_or(String::new(), |user| format!(" as {user}"));
    eprintln!("portolan: watching{user} without capabilities; files are kept away by the kernel: {}", given.files);
}

fn list() -> Result<u8, Stop> {
    let all = device::list().map_err(Stop::io)?;
    to_stdout(|out| {
        for (number, listed) in (1..).zip(&all) {
            let state = match (listed.up, listed.running) {
                (true, true) => "up",
                (true, false) => "up, no carrier",
                (false, _) => "down",
            };
            let about = listed.description.iter().chain(&listed.addresses).cloned().collect::<Vec<_>>().join(", ");
            writeln!(
                out,
                "{number}. {} ({state}) {}",
                Shown::text(&listed.name).as_str(),
                Shown::text(&about).as_str()
            )?;
        }
        Ok(())
    })?;
    Ok(exit::CLEAN)
}

fn decide(args: &WatchArgs) -> Result<Plan<'_>, Stop> {
    let place = |path: &PathBuf| {
        check_place(path)?;
        Ok((path.clone(), format_of_file(path)?))
    };
    // The extension says that packets are meant, as -w does.
    let (packets, reports): (Vec<_>, Vec<_>) = args.output.iter().partition(|path| is_of_packets(path));
    let mut records = args.record.iter().chain(packets);
    let record = records.next().cloned();
    if let Some(second) = records.next() {
        let second = Shown::path(second);
        return Err(Stop::usage(format!("packets of findings go to one file only: {second} is a second (-w, -o)")));
    }
    let files = reports.into_iter().map(place).collect::<Result<Vec<_>, Stop>>()?;
    record.iter().try_for_each(|path| check_place(path))?;
    let written = files.iter().map(|(path, _)| path).chain(&record);
    check_apart(written, args.judge.site.iter().chain(&args.filter.filter_file))?;
    Ok(Plan {
        args,
        interfaces: chosen(&args.interface)?,
        catalogue: Arc::new(catalogue(&args.judge)?),
        filter: filter_text(&args.filter)?,
        stdout: args.format.as_deref().map(format_by_name).transpose()?,
        files,
        record,
    })
}

/// The interfaces that are meant. Frames that came twice would count twice.
fn chosen(wanted: &[String]) -> Result<Vec<String>, Stop> {
    let mut interfaces: Vec<String> = Vec::new();
    for name in wanted {
        let none = |error| Stop::io(format!("{error}; portolan watch -D lists those that there are"));
        let interface = device::find(name).map_err(none)?;
        if interfaces.contains(&interface) {
            return Err(Stop::usage(format!("{interface} is named twice (-i)")));
        }
        interfaces.push(interface);
    }
    if interfaces.len() > 1 && interfaces.iter().any(|name| name == device::ALL) {
        return Err(Stop::usage(format!("\"{}\" is every interface: name no other beside it (-i)", device::ALL)));
    }
    Ok(interfaces)
}

/// Opens every interface as often as there are readers.
fn open(plan: &Plan<'_>) -> Result<Vec<Vec<Ring>>, Stop> {
    let args = plan.args;
    let options = device::Options {
        snaplen: args.snaplen,
        buffer: args.buffer_size,
        promiscuous: !args.no_promiscuous,
        immediate: args.immediate,
        filter: plan.filter.clone(),
    };
    let mut readers: Vec<Vec<Ring>> = (0..args.threads).map(|_| Vec::new()).collect();
    for (place, name) in (0..).zip(&plan.interfaces) {
        // Groups are numbered in the whole network namespace.
        let own = std::process::id().to_le_bytes();
        let group = u16::from_le_bytes([own[0], own[1]]).wrapping_add(place);
        for (member, reader) in (0..).zip(&mut readers) {
            let input = place * args.threads + member;
            let share = device::Share { group, heir: member == 0 };
            let ring = Ring::open(name, input, (args.threads > 1).then_some(share), &options);
            reader.push(ring.map_err(|error| match error {
                CaptureError::Filter { .. } => Stop::usage(error),
                error if may_open() => Stop::io(error),
                error => Stop::io(format!("{error}; run it as root, or give it the right: setcap cap_net_raw+ep")),
            })?);
        }
    }
    Ok(readers)
}

/// What was lost until a time.
#[derive(Clone, Copy, Debug, Default)]
struct Lost {
    at: Timestamp,
    seen: u64,
    missed: u64,
}

/// A watch under way, as its judging thread sees it.
struct Watch<'w, 'l> {
    plan: Plan<'w>,
    /// Replaced when the rules are read again.
    catalogue: Arc<Catalogue>,
    options: JudgeOptions,
    live: &'w Live<'l>,
    knowledge: &'w Knowledge,
    signals: &'w Signals,
    face: Face,
    ledger: Ledger,
    archive: Archive,
    /// When silent flows were last let go, and when the report last began anew.
    expired: Timestamp,
    rotated: Timestamp,
    started: Timestamp,
    losses: VecDeque<Lost>,
    /// What the status before counted: when, frames, bytes.
    rated: (Instant, u64, u64),
    /// The time of day when it was last looked at.
    clock: (Instant, Timestamp),
    /// How each interface was when last told.
    links: Vec<(String, LinkState)>,
    judged_in: Duration,
    /// The same in processor time.
    judging_took: Duration,
    status: Option<Status>,
    aside: Aside,
}

/// Who is told besides the face.
struct Aside {
    metrics: Option<Metrics>,
    manager: Manager,
    recorder: Option<Recorder>,
}

/// The time of day.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::default().plus(since)
}

/// What this thread has used of a processor.
fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

fn earlier(at: Timestamp, by: Duration) -> Timestamp {
    Timestamp(at.0.saturating_sub(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
}

impl<'w, 'l> Watch<'w, 'l> {
    fn new(
        plan: Plan<'w>,
        live: &'w Live<'l>,
        knowledge: &'w Knowledge,
        signals: &'w Signals,
        aside: Aside,
    ) -> Result<Self, Stop> {
        let args = plan.args;
        let started = now();
        let catalogue = Arc::clone(&plan.catalogue);
        Ok(Self {
            options: judge_options(&args.judge, &catalogue),
            catalogue,
            face: Face::choose(plan.stdout, coloured(args.run.color), !plan.files.is_empty(), &signals.quit)?,
            plan,
            live,
            knowledge,
            signals,
            ledger: Ledger::default(),
            archive: Archive::default(),
            expired: started,
            rotated: started,
            started,
            losses: VecDeque::new(),
            rated: (Instant::now(), 0, 0),
            clock: (Instant::now(), started),
            links: Vec::new(),
            judged_in: Duration::ZERO,
            judging_took: Duration::ZERO,
            status: None,
            aside,
        })
    }

    fn run(mut self) -> Result<u8, Stop> {
        let watched = self.go_on();
        self.face.leave();
        self.aside.manager.stopping();
        self.live.stop();
        // Whatever ended it, what was seen is reported; the first error is the one that tells.
        let code = self.end();
        watched.and(code)
    }

    /// Watches until somebody or something ends it.
    fn go_on(&mut self) -> Result<(), Stop> {
        let began = Instant::now();
        let (mut judged, mut told) = (began, began);
        self.face.start(Moment(self.started), &self.plan.interfaces)?;
        self.aside.manager.ready();
        loop {
            if self.live.is_well(now()) {
                self.aside.manager.alive();
            }
            let wish = self.face.attend(ATTEND);
            let over = self.plan.args.duration.is_some_and(|duration| began.elapsed() >= duration);
            if wish == Wish::End || over || self.signals.stop.load(Ordering::Relaxed) || !self.live.is_reading() {
                return Ok(());
            }
            if self.signals.reload.swap(false, Ordering::Relaxed) {
                self.reload()?;
            }
            self.look_at_clock()?;
            self.tell_links()?;
            if self.live.rings().iter().any(RingReport::is_lost) {
                return Ok(());
            }
            let write = wish == Wish::Report || self.signals.report.swap(false, Ordering::Relaxed);
            let rotate = self.plan.args.rotate.is_some_and(|every| now().since(self.rotated) >= every);
            if write || rotate || judged.elapsed() >= JUDGE_EVERY.max(self.judging_took * JUDGE_SHARE) {
                self.judge(write, rotate)?;
                judged = Instant::now();
            }
            if write || told.elapsed() >= self.plan.args.status_every {
                if let Some(status) = &self.status {
                    self.face.status(status)?;
                }
                told = Instant::now();
            }
        }
    }

    /// Judges what is known by now and tells what changed; writes the report files if wanted, under dated names if the
    /// report begins anew.
    fn judge(&mut self, write: bool, rotate: bool) -> Result<(), Stop> {
        let (began, began_cpu) = (Instant::now(), processor_time());
        let leaving = self.leaving(rotate);
        let past = leaving.map_or(live::Expired::default(), |before| self.live.expire(before));
        // What was counted, and until when, is asked for first: nothing that it speaks of is missing in the tables.
        let (until, rings) = (self.live.seen_until(), self.live.rings());
        let mut captured = self.live.snapshot();
        captured.tables.extend(past.tables);
        self.sample_losses(&captured, &rings);
        let catalogue = Arc::clone(&self.catalogue);
        let (facts, run, health) = self.facts(&captured, &rings, Some(until));
        let mut judge = Judge::new(&captured.tables, facts, self.knowledge, &catalogue, self.options);
        judge.know(self.archive.hosts());
        let report = Report::build_after(run, health, &judge, &catalogue, &captured.folds(), &self.archive);
        let changes = self.compare(&judge, &report);
        let at = Moment(now());
        if write {
            let pages = Pages { report: &report, judge: &judge, catalogue: &catalogue, style: Style::default() };
            let written = self.write(&pages, None).and_then(|()| self.saved());
            let message = written.as_ref().unwrap_or_else(|stop| &stop.message);
            self.face.note(at, "report", written.is_ok(), message)?;
        }
        if rotate {
            let pages = Pages { report: &report, judge: &judge, catalogue: &catalogue, style: Style::default() };
            let written = self.write(&pages, Some(Moment(self.rotated)));
            let message = written.as_ref().err().map_or("the report begins anew", |stop| stop.message.as_str());
            self.face.note(at, "rotate", written.is_ok(), message)?;
        }
        self.face.tell(at, &changes)?;
        self.record(&changes)?;
        let status = self.status_of(&captured, &rings, &judge, &report);
        if let Some(metrics) = &mut self.aside.metrics {
            metrics.update(&judge, &catalogue, &status, &report.health);
        }
        self.face.show(&Snapshot { report: &report, status: &status, ledger: &self.ledger });
        self.status = Some(status);
        if let Some(before) = leaving {
            self.let_go(&judge, before);
            // The judge had its own copy of what was learned.
            past.ids.iter().for_each(|(id, last)| self.knowledge.forget(id, *last));
        }
        if rotate {
            self.archive = Archive::default();
            self.rotated = at.0;
        }
        self.judged_in = began.elapsed();
        self.judging_took = processor_time().saturating_sub(began_cpu);
        Ok(())
    }

    /// Writes the packets of findings that are open, or were until now.
    fn record(&mut self, changes: &[(Change, Item)]) -> Result<(), Stop> {
        let Some(recorder) = &mut self.aside.recorder else { return Ok(()) };
        let open = self.ledger.items().filter(|item| item.state == State::Open);
        recorder.take(self.live, open.chain(changes.iter().map(|(_, item)| item)))
    }

    /// Flows that were last seen before this time leave the tables now, if it is time for that.
    fn leaving(&mut self, rotate: bool) -> Option<Timestamp> {
        let at = now();
        if rotate {
            self.expired = at;
            return Some(earlier(at, ROTATE_KEEP));
        }
        if at.since(self.expired) < EXPIRE_EVERY {
            return None;
        }
        self.expired = at;
        Some(earlier(at, self.plan.args.keep))
    }

    /// Remembers what became of the flows that left.
    fn let_go(&mut self, judge: &Judge<'_>, before: Timestamp) {
        self.archive.take(judge, before);
        if let Some(metrics) = &mut self.aside.metrics {
            for flow in judge.rulings().filter(|flow| flow.sums.last < before) {
                metrics.pass(&flow, &self.catalogue);
            }
        }
        let stays = |flow: &Ruled<'_>| flow.sums.first < before && flow.sums.last >= before;
        let hosts = judge.numbered();
        let flows = judge.rulings().filter(stays).map(|flow| (hosts.addr(flow.client), flow.sums.first));
        self.knowledge.forget_told(before, &flows.collect());
    }

    /// Judges for the last time and writes the report.
    fn end(&mut self) -> Result<u8, Stop> {
        let links = self.tell_links();
        let rings = self.live.rings();
        let captured = self.live.snapshot();
        self.sample_losses(&captured, &rings);
        let catalogue = Arc::clone(&self.catalogue);
        let (facts, run, health) = self.facts(&captured, &rings, None);
        let lost_share = facts.lost_share;
        let mut judge = Judge::new(&captured.tables, facts, self.knowledge, &catalogue, self.options);
        judge.know(self.archive.hosts());
        let report = Report::build_after(run, health, &judge, &catalogue, &captured.folds(), &self.archive);
        let changes = self.compare(&judge, &report);
        let status = self.status_of(&captured, &rings, &judge, &report);
        let color = coloured(self.plan.args.run.color);
        let pages = Pages { report: &report, judge: &judge, catalogue: &catalogue, style: Style::default() };
        // A file that cannot be written keeps nobody from the others.
        let written = self.write(&pages, None);
        let recorded = self.record(&changes);
        let told = links
            .and(recorded)
            .and_then(|()| self.face.tell(status.at, &changes))
            .and_then(|()| self.face.end(&status));
        if let Some(format) = self.face.report_format() {
            let pages = Pages { style: Style { color }, ..pages };
            outcome_to_stdout(|out| (format.write)(&pages, out))?;
        }
        written.and(told)?;
        if let Some(ring) = rings.iter().find(|ring| ring.is_lost()) {
            let why = Shown::text(ring.fault.as_deref().unwrap_or_default());
            return Err(Stop::io(format!("{} is there again and cannot be opened: {}", ring.name, why.as_str())));
        }
        let fail_on = &self.plan.args.run.fail_on;
        if fail_on.iter().any(|kind| report.has(*kind)) {
            return Ok(exit::FINDINGS);
        }
        let blind = is_blind(&judge, lost_share, &captured);
        Ok(if blind && !fail_on.is_empty() { exit::DAMAGED } else { exit::CLEAN })
    }

    /// Writes the report files, under the names of a window that began then, if it is one of several.
    fn write(&self, pages: &Pages<'_>, window: Option<Moment>) -> Result<(), Stop> {
        let mut done = Ok(());
        for (path, format) in &self.plan.files {
            let path = window.map_or_else(|| path.clone(), |began| dated(path, began));
            done = done.and(to_file(&path, |out| (format.write)(pages, out)));
        }
        done
    }

    /// Where the report was saved to, in words.
    fn saved(&self) -> Result<String, Stop> {
        let paths: Vec<Shown> = self.plan.files.iter().map(|(path, _)| Shown::path(path)).collect();
        if paths.is_empty() {
            return Err(Stop::io("no file was named for the report (-o)"));
        }
        Ok(format!("report saved to {}", paths.iter().map(Shown::as_str).collect::<Vec<_>>().join(", ")))
    }

    /// What happened to the findings.
    fn compare(&mut self, judge: &Judge<'_>, report: &Report<'_>) -> Vec<(Change, Item)> {
        let findings: Vec<_> = report.findings.iter().collect();
        let latest = self.ledger.latest(judge, findings.iter());
        let at = now();
        let kept_since = earlier(at, self.plan.args.keep).max(earlier(self.rotated, ROTATE_KEEP));
        self.ledger.update(findings, &latest, at, kept_since)
    }

    /// What the capture says of itself, to the judge and to people. `running`: it goes on, and was seen until then.
    fn facts(
        &self,
        captured: &Captured,
        rings: &[RingReport],
        running: Option<Timestamp>,
    ) -> (CaptureFacts, RunFacts, Health) {
        let inputs: Vec<InputFacts> = rings.iter().map(input_facts).collect();
        let mut facts = capture_facts(captured, &inputs);
        if facts.last != Timestamp::default() {
            let until = running.unwrap_or_else(|| self.live.seen_until());
            let (heard, last) = heard_and_watched(facts.last, until, now());
            (facts.heard, facts.last) = (Some(heard), last);
        }
        facts.ends = vec![facts.last; inputs.len()];
        facts.running = running.is_some();
        facts.lost_share = self.lost_share();
        let run = RunFacts {
            inputs: inputs.iter().map(input_row).collect(),
            filter: self.plan.filter.as_deref().map(Shown::text),
            site: self.plan.args.judge.site.as_deref().map(Shown::path),
            profiles: self.catalogue.profiles().map(|profile| profile.id.clone()).collect(),
            readiness: Vec::new(),
        };
        let mut health = health_of(captured, &inputs, self.knowledge);
        let frames = self.frame_counts(captured, rings);
        (health.filtered, health.dropped_by_kernel) = (frames.filtered, frames.dropped_by_kernel);
        health.dropped_by_interface = frames.dropped_by_interface;
        (facts, run, health)
    }

    /// Remembers what was lost until now. A loss of last week says nothing of today: shares are of the time for which
    /// flows are kept.
    fn sample_losses(&mut self, captured: &Captured, rings: &[RingReport]) {
        let at = now();
        let dropped = rings.iter().map(|ring| ring.counts.dropped_by_kernel + ring.counts.dropped_by_interface);
        let missed = dropped.sum::<u64>() + captured.counters().acked_unseen;
        let sample = Lost { at, seen: rings.iter().map(|ring| ring.counts.read).sum(), missed };
        if self.losses.len() > 1
            && self.losses.iter().rev().nth(1).is_some_and(|before| at.since(before.at) < LOSS_SAMPLE)
        {
            self.losses.pop_back();
        }
        self.losses.push_back(sample);
        let kept = earlier(at, self.plan.args.keep);
        while self.losses.get(1).is_some_and(|next| next.at < kept) {
            self.losses.pop_front();
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 52 bits")]
    fn lost_share(&self) -> f64 {
        let Some(newest) = self.losses.back() else { return 0.0 };
        // Until the first sample is too old, all of it counts.
        let young = newest.at.since(self.started) <= self.plan.args.keep;
        let oldest = self.losses.front().copied().filter(|_| !young).unwrap_or_default();
        let (seen, lost) =
            (newest.seen - oldest.seen.min(newest.seen), newest.missed - oldest.missed.min(newest.missed));
        if lost == 0 { 0.0 } else { lost as f64 / (seen + lost) as f64 }
    }

    /// What became of all frames.
    fn frame_counts(&self, captured: &Captured, rings: &[RingReport]) -> FrameCounts {
        let mut sum = RingCounts::default();
        for ring in rings {
            sum.add(&ring.counts);
        }
        let parsed = captured.decode.frames();
        let mut filtered = 0;
        for name in &self.plan.interfaces {
            let own = || rings.iter().filter(|ring| ring.interface == *name);
            let received = own().map(|ring| ring.counts.received).sum::<u64>();
            filtered += own().find_map(|ring| ring.carried).map_or(0, |carried| carried.saturating_sub(received));
        }
        let waiting = sum.received.saturating_sub(sum.dropped_by_kernel).saturating_sub(parsed);
        FrameCounts {
            arrived: parsed + filtered + waiting + sum.dropped_by_kernel + sum.dropped_by_interface,
            parsed,
            filtered,
            waiting,
            dropped_by_queue: 0,
            dropped_by_kernel: sum.dropped_by_kernel,
            dropped_by_interface: sum.dropped_by_interface,
        }
    }

    fn status_of(
        &mut self,
        captured: &Captured,
        rings: &[RingReport],
        judge: &Judge<'_>,
        report: &Report<'_>,
    ) -> Status {
        let at = now();
        let frames = self.frame_counts(captured, rings);
        let bytes = rings.iter().map(|ring| ring.counts.bytes).sum::<u64>();
        let (before, frames_before, bytes_before) = self.rated;
        self.rated = (Instant::now(), frames.parsed, bytes);
        let passed = before.elapsed();
        let per_second = |count: u64| {
            let ms = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX).max(1);
            count.saturating_mul(1000) / ms
        };
        let counters = captured.counters();
        let pending = judge.rulings().filter(|ruled| ruled.outcome == Outcome::Pending).count();
        let interface = |ring: &RingReport| Interface {
            name: Shown::text(&ring.name),
            state: ring.state.name(),
            since: Moment(ring.since),
            fault: ring.fault.as_deref().map(Shown::text),
            received: ring.counts.received,
            dropped_by_kernel: ring.counts.dropped_by_kernel,
            dropped_by_interface: ring.counts.dropped_by_interface,
        };
        Status {
            at: Moment(at),
            started: Moment(self.started),
            judged_until: Moment(self.live.seen_until()),
            frames,
            frames_per_second: per_second(frames.parsed.saturating_sub(frames_before)),
            bits_per_second: per_second(bytes.saturating_sub(bytes_before).saturating_mul(8)),
            interfaces: rings.iter().map(interface).collect(),
            lost_share: (self.lost_share() * 1e6).round() / 1e6,
            acked_unseen: counters.acked_unseen,
            asymmetric: judge.asymmetric(),
            flows_active: captured.tables.iter().map(|table| table.flows().count() as u64).sum(),
            flows_pending: pending as u64,
            flows: counters.flows,
            flows_evicted: counters.flows_evicted,
            flows_expired: self.archive.flows(),
            pairs: report.pairs.len() as u64,
            findings: self.ledger.open(),
            findings_not_kept: self.ledger.not_kept(),
            judged_in_ms: u64::try_from(self.judged_in.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// Tells which interfaces went away and came back.
    fn tell_links(&mut self) -> Result<(), Stop> {
        for ring in self.live.rings() {
            let known = self.links.iter_mut().find(|(name, _)| *name == ring.name);
            let before = if let Some((_, state)) = known {
                std::mem::replace(state, ring.state)
            } else {
                self.links.push((ring.name.clone(), ring.state));
                LinkState::Up
            };
            if before != ring.state {
                self.face.link(Moment(ring.since), &ring.name, ring.state.name(), ring.fault.as_deref())?;
            }
        }
        Ok(())
    }

    /// Looks whether the clock was set. Where it was set forward, nobody watched in between; where it was set back, what
    /// is done every so often must not wait until it gets there again.
    fn look_at_clock(&mut self) -> Result<(), Stop> {
        let (looked, before) = self.clock;
        let (expected, at) = (before.plus(looked.elapsed()), now());
        self.clock = (Instant::now(), at);
        let (ahead, behind) = (at.since(expected), expected.since(at));
        if ahead.max(behind) < CLOCK_SET {
            return Ok(());
        }
        if ahead > behind {
            self.live.gap(expected, at);
        }
        self.expired = self.expired.min(at);
        self.rotated = self.rotated.min(at);
        let (way, by) = if behind > ahead { ("back", behind) } else { ("forward", ahead) };
        let message = format!("the clock was set {way} by {} s: failures around it are not judged", by.as_secs());
        self.complain(&message);
        self.face.note(Moment(at), "clock", true, &message)
    }

    /// Reads rules and site file again. With a fault in them the old ones stay.
    fn reload(&mut self) -> Result<(), Stop> {
        let read = catalogue_again(&self.plan.args.judge);
        let at = Moment(now());
        match read {
            Ok(fresh) => {
                self.options = judge_options(&self.plan.args.judge, &fresh);
                self.archive.rename(&Names::new(&fresh, Vec::new(), &[], &RunFacts::default()));
                self.catalogue = Arc::new(fresh);
                self.face.note(at, "reload", true, "rules and site file read again")
            }
            Err(stop) => {
                self.complain(&format!("the old rules stay: {}", stop.message));
                // A fault is shown with its place in the file, over several lines.
                self.face.note(at, "reload", false, &Shown::lines(&stop.message))
            }
        }
    }

    #[expect(clippy::print_stderr, reason = "the command speaks to the person")]
    fn complain(&self, message: &str) {
        if !self.plan.args.run.quiet && !self.face.is_screen() {
            eprintln!("portolan: {}", Shown::lines(message));
        }
    }
}

/// The rules as the options say by now. What is no file any more, a pipe that somebody would have to write to, must not hold
/// up what watches.
fn catalogue_again(args: &JudgeArgs) -> Result<Catalogue, Stop> {
    let endless = |path: &&PathBuf| std::fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir());
    match args.site.iter().chain(&args.rules).find(endless) {
        Some(path) => Err(Stop::io(format!("{} is no file, so that it can be read once only", Shown::path(path)))),
        None => catalogue(args),
    }
}

/// When the last frame came, and until when somebody watched.
///
/// Frames of before the clock was set back are of the future. They say nothing of how long anybody waited since, so that
/// neither time is later than `now`.
fn heard_and_watched(newest: Timestamp, seen_until: Timestamp, now: Timestamp) -> (Timestamp, Timestamp) {
    // A link on which nothing comes is watched all the same, up to a silence that may be the end of the mirror.
    let end = seen_until.min(newest.plus(SILENCE));
    (newest.min(now), newest.max(end).min(now))
}

/// `report.json` as `report-20261128T100000Z.json`.
fn dated(path: &Path, began: Moment) -> PathBuf {
    let text = began.to_string();
    let second = text.get(..19).unwrap_or_default().replace(['-', ':'], "");
    let stem = path.file_stem().map(OsStr::to_string_lossy).unwrap_or_default();
    let extension = path.extension().map(OsStr::to_string_lossy).unwrap_or_default();
    path.with_file_name(format!("{stem}-{second}Z.{extension}"))
}

/// A ring as an input of the run.
fn input_facts(ring: &RingReport) -> InputFacts {
    InputFacts {
        path: ring.name.clone(),
        format: Some(Container::Live),
        link_types: vec![ring.link],
        frames: ring.counts.read,
        bytes: ring.counts.bytes,
        first: ring.span.map(|(first, _)| first),
        last: ring.span.map(|(_, last)| last),
        snaplen: Some(ring.snaplen),
        dropped: ring.counts.dropped_by_kernel + ring.counts.dropped_by_interface,
        out_of_order: ring.counts.out_of_order,
        cut_frames: ring.counts.cut,
        ..InputFacts::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_watched_through_a_short_silence_and_never_into_the_future() {
        let at = |seconds: u64| Timestamp(seconds * 1_000_000_000);
        // Frames that came just now, a silence, a long one.
        assert_eq!(heard_and_watched(at(100), at(99), at(101)), (at(100), at(100)));
        assert_eq!(heard_and_watched(at(100), at(120), at(121)), (at(100), at(120)));
        assert_eq!(heard_and_watched(at(100), at(500), at(501)), (at(100), at(130)));
        // The clock was set back by an hour: a SYN of this second has waited for none.
        assert_eq!(heard_and_watched(at(3700), at(3700), at(101)), (at(101), at(101)));
        assert_eq!(heard_and_watched(at(3700), at(101), at(101)), (at(101), at(101)));
    }
}
