//! `portolan watch`: interfaces in, findings out while they happen, a report at the end.
//!
//! One thread per reader fills the tables; this thread asks for copies, judges them with the very code of `analyze`, and
//! tells what changed. How it is told is the [`Face`]'s affair.

mod account;
mod clock;
mod plan;
mod signals;

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use crate::capture::device::LinkState;
use crate::capture::facts::InputFacts;
use crate::catalogue::Catalogue;
use crate::classify::judge::Judge;
use crate::classify::judged::CaptureFacts;
use crate::classify::judged::Options as JudgeOptions;
use crate::classify::judged::Ruled;
use crate::classify::verdict::Outcome;
use crate::cli::analyze::capture_facts;
use crate::cli::analyze::catalogue;
use crate::cli::analyze::coloured;
use crate::cli::analyze::health_of;
use crate::cli::analyze::input_row;
use crate::cli::analyze::is_blind;
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
use crate::cli::output::Target;
use crate::cli::output::outcome_to_stdout;
use crate::cli::output::to_stderr;
use crate::cli::privilege::Given;
use crate::cli::privilege::give_up;
use crate::cli::record::Recorder;
use crate::cli::watch::account::Before;
use crate::cli::watch::account::Losses;
use crate::cli::watch::account::frame_counts;
use crate::cli::watch::account::heard_and_watched;
use crate::cli::watch::account::input_facts;
use crate::cli::watch::clock::Clock;
use crate::cli::watch::clock::Jump;
use crate::cli::watch::clock::processor_time;
use crate::cli::watch::plan::Plan;
use crate::cli::watch::signals::Signals;
use crate::learn::knowledge::Knowledge;
use crate::model::time::Timestamp;
use crate::pipeline::live;
use crate::pipeline::live::Live;
use crate::pipeline::live::RingReport;
use crate::pipeline::live::now;
use crate::pipeline::run::Captured;
use crate::pipeline::run::Settings as RunSettings;
use crate::report::Report;
use crate::report::archive::Archive;
use crate::report::facts::Health;
use crate::report::facts::RunFacts;
use crate::report::format::Pages;
use crate::report::format::Style;
use crate::report::ledger::Change;
use crate::report::ledger::Item;
use crate::report::ledger::Ledger;
use crate::report::ledger::State;
use crate::report::moment::Moment;
use crate::report::sanitise::Shown;
use crate::report::status::Interface;
use crate::report::status::Snapshot;
use crate::report::status::Status;
use crate::report::words::count;

/// Time between two judgements, if the last one did not take long.
const JUDGE_EVERY: Duration = Duration::from_secs(1);

/// At most this part of a processor's time is spent judging. Time that others took from it is not counted, or one long
/// halt of the machine would be followed by a longer silence.
const JUDGE_SHARE: u32 = 10;

/// How soon a signal is obeyed.
const ATTEND: Duration = Duration::from_millis(50);

/// The newest frames that are kept for `-w`, bytes.
const KEPT_BYTES: usize = 64 << 20;

/// How often flows are looked for that were silent too long: what they take in between is memory for nothing, and goes up
/// and down.
const EXPIRE_EVERY: Duration = Duration::from_secs(10);

/// How long a window of `--rotate` goes on whose report could not be written, until that is tried again.
const ROTATE_AGAIN: Duration = Duration::from_secs(10);

/// Room for fewer flows than this, which nobody asked for, is worth a word.
const FLOWS_FEW: usize = 10_000;

/// Flows that were silent so long do not reach into the next window of `--rotate`.
const ROTATE_KEEP: Duration = Duration::from_secs(60);

/// Runs the command and says how the program ends.
///
/// # Errors
/// [`Stop`] when it could not start, read or write.
pub fn watch(args: &WatchArgs) -> Result<u8, Stop> {
    if args.list_interfaces {
        return plan::list();
    }
    let plan = plan::decide(args)?;
    let readers = plan::open(&plan)?;
    let interfaces = plan::interfaces(&readers);
    let signals = Signals::listen(wants_screen(plan.stdout))?;
    let metrics = args.metrics.as_deref().map(Bound::take).transpose()?;
    let manager = Manager::find();
    let given = give_up(args.user.as_deref(), &plan::needs(&plan))?;
    if args.run.verbose {
        say_given(&given);
    }
    if !args.run.quiet {
        warn_of_reload(&args.judge, &given);
    }
    // Threads from here on.
    let metrics = metrics.map(Metrics::serve).transpose()?;
    let knowledge = Knowledge::new();
    let flows_max = if let Some(flows) = args.run.max_flows {
        usize::try_from(flows).unwrap_or(usize::MAX)
    } else {
        let rings = readers.iter().flatten().count() as u64 * u64::from(args.buffer_size);
        RunSettings::flows_within(args.run.max_memory.saturating_sub(rings), 2)
    };
    if flows_max < FLOWS_FEW && args.run.max_flows.is_none() && !args.run.quiet {
        to_stderr(format_args!(
            "portolan: the buffers leave room for {} only, of more some are given up: raise --max-memory, or lower -B or \
             --threads",
            count(flows_max as u64, "flow")
        ));
    }
    let kept_bytes = if plan.record.is_some() { KEPT_BYTES } else { 0 };
    let settings = live::Settings { flows_max, frames_max: args.count, kept_bytes };
    let record = |path: &PathBuf| Recorder::begin(path, &interfaces, args.file_size, args.file_count);
    let recorder = plan.record.as_ref().map(record).transpose()?;
    let done = live::watch(readers, settings, &knowledge, |live| {
        Watch::new(plan, live, &knowledge, &signals, Aside { metrics, manager, recorder })?.run()
    });
    done.map_err(Stop::io)?
}

fn say_given(given: &Given) {
    let user = given.user.as_deref().map_or(String::new(), |user| format!(" as {user}"));
    let files = given.files;
    to_stderr(format_args!(
        "portolan: watching{user} without capabilities; files are kept away by the kernel: {files}"
    ));
}

/// Says what HUP could not read as the user that is left, which is better known now than when somebody needs it.
fn warn_of_reload(judge: &JudgeArgs, given: &Given) {
    if let (None, Err(stop)) = (endless(judge), catalogue(judge)) {
        let who = given.user.as_deref().map_or(String::new(), |user| format!(" as the user {user} (-Z names another)"));
        let why = Shown::lines(&stop.message);
        to_stderr(format_args!("portolan: HUP will not be able to read rules and site file again{who}: {why}"));
    }
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
    /// What was counted until then.
    before: Before,
    /// When the report of this window could not be written.
    kept: Option<Instant>,
    /// Whether any judgement found what `--fail-on` names: rules may be replaced since, and reports begun anew.
    found: bool,
    started: Timestamp,
    losses: Losses,
    /// What the status before counted: when, frames, bytes.
    rated: (Instant, u64, u64),
    clock: Clock,
    /// How each interface was when last told.
    links: Vec<(String, LinkState, Timestamp)>,
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
            before: Before::default(),
            kept: None,
            found: false,
            started,
            losses: Losses::new(started, args.keep),
            rated: (Instant::now(), 0, 0),
            clock: Clock::new(started),
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
            let rotate = self.must_rotate();
            if write || rotate || judged.elapsed() >= JUDGE_EVERY.max(self.judging_took * JUDGE_SHARE) {
                self.judge(write, rotate)?;
                judged = Instant::now();
            }
            // What was told once is no news, however long the next judgement takes.
            if (write || told.elapsed() >= self.plan.args.status_every)
                && let Some(status) = self.status.take()
            {
                self.face.status(&status)?;
                told = Instant::now();
            }
        }
    }

    /// Whether the report is to begin anew.
    fn must_rotate(&self) -> bool {
        let over = self.plan.args.rotate.is_some_and(|every| now().since(self.rotated) >= every);
        over && self.kept.is_none_or(|kept| kept.elapsed() >= ROTATE_AGAIN)
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
        captured.add_folds(self.archive.folds());
        self.losses.add(now(), &rings, captured.counters().acked_unseen);
        let catalogue = Arc::clone(&self.catalogue);
        let (facts, mut run, mut health) = self.facts(&captured, &rings, Some(until));
        let lost_share = facts.lost_share;
        let (counted_run, counted) = (run.clone(), health.clone());
        self.before.leave_since(&mut run, &mut health);
        let mut judge = Judge::new(&captured.tables, facts, self.knowledge, &catalogue, self.options);
        judge.know(self.archive.hosts());
        let mut report = Report::build_after(run, health, &judge, &catalogue, &self.archive);
        report.health.blind = is_blind(&judge, lost_share, &captured);
        let changes = self.compare(&judge, &report);
        let at = Moment(now());
        if write {
            let pages = Pages { report: &report, judge: &judge, catalogue: &catalogue, style: Style::default() };
            let written = self.write(&pages, None).and_then(|()| self.saved());
            let message = written.as_ref().unwrap_or_else(|stop| &stop.message);
            self.face.note(at, "report", written.is_ok(), message)?;
        }
        let anew = rotate && {
            let pages = Pages { report: &report, judge: &judge, catalogue: &catalogue, style: Style::default() };
            self.rotate(at, &pages)?
        };
        self.face.tell(at, &changes)?;
        self.record(&changes)?;
        let status = self.status_of(&captured, &rings, &judge, &report);
        if let Some(metrics) = &mut self.aside.metrics {
            metrics.update(&judge, &catalogue, &status, &counted);
        }
        self.face.show(&Snapshot { report: &report, status: &status, ledger: &self.ledger });
        self.status = Some(status);
        if let Some(before) = leaving {
            self.let_go(&judge, before);
            past.folds.iter().for_each(|folds| self.archive.take_folds(folds));
            // The judge had its own copy of what was learned.
            past.ids.iter().for_each(|(id, last)| self.knowledge.forget(id, *last));
        }
        if anew {
            let kept = judge.rulings().filter(|flow| leaving.is_none_or(|before| flow.sums.last >= before));
            self.before = Before::of(at.0, &counted_run, &counted, kept.count() as u64);
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
            return Some(at.minus(ROTATE_KEEP));
        }
        if at.since(self.expired) < EXPIRE_EVERY {
            return None;
        }
        self.expired = at;
        Some(at.minus(self.plan.args.keep))
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
        let mut captured = self.live.snapshot();
        captured.add_folds(self.archive.folds());
        self.losses.add(now(), &rings, captured.counters().acked_unseen);
        let catalogue = Arc::clone(&self.catalogue);
        let (facts, mut run, mut health) = self.facts(&captured, &rings, None);
        self.before.leave_since(&mut run, &mut health);
        let lost_share = facts.lost_share;
        let mut judge = Judge::new(&captured.tables, facts, self.knowledge, &catalogue, self.options);
        judge.know(self.archive.hosts());
        let mut report = Report::build_after(run, health, &judge, &catalogue, &self.archive);
        report.health.blind = is_blind(&judge, lost_share, &captured);
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
        if self.found {
            return Ok(exit::FINDINGS);
        }
        Ok(if report.health.blind && !self.plan.args.run.fail_on.is_empty() { exit::DAMAGED } else { exit::CLEAN })
    }

    /// Writes the report files, under the names of a window that began then, if it is one of several.
    fn write(&self, pages: &Pages<'_>, window: Option<Moment>) -> Result<(), Stop> {
        let mut done = Ok(());
        for (file, format) in &self.plan.files {
            let write = |out: &mut dyn io::Write| (format.write)(pages, out);
            done = done.and(match window {
                None => file.write(write),
                Some(began) => Target::plain(dated(file.path(), format.extension, began)).write(write),
            });
        }
        done
    }

    /// Writes the report of a window that ends. Whether it could: else the window goes on, and nothing of it is lost.
    fn rotate(&mut self, at: Moment, pages: &Pages<'_>) -> Result<bool, Stop> {
        let written = self.write(pages, Some(Moment(self.rotated)));
        self.kept = written.is_err().then(Instant::now);
        let message = written.as_ref().err().map(|stop| format!("the report does not begin anew: {}", stop.message));
        if let Some(message) = &message {
            self.complain(message);
        }
        self.face.note(at, "rotate", written.is_ok(), message.as_deref().unwrap_or("the report begins anew"))?;
        Ok(written.is_ok())
    }

    /// Where the report was saved to, in words.
    fn saved(&self) -> Result<String, Stop> {
        let paths: Vec<Shown> = self.plan.files.iter().map(|(file, _)| Shown::path(file.path())).collect();
        if paths.is_empty() {
            return Err(Stop::io("no file was named for the report (-o)"));
        }
        Ok(format!("report saved to {}", paths.iter().map(Shown::as_str).collect::<Vec<_>>().join(", ")))
    }

    /// What happened to the findings.
    fn compare(&mut self, judge: &Judge<'_>, report: &Report<'_>) -> Vec<(Change, Item)> {
        self.found |= self.plan.args.run.fail_on.iter().any(|kind| report.has(*kind));
        let findings: Vec<_> = report.findings.iter().collect();
        let latest = self.ledger.latest(judge, findings.iter());
        let at = now();
        let kept_since = at.minus(self.plan.args.keep).max(self.rotated.minus(ROTATE_KEEP));
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
        facts.lost_share = self.losses.share();
        let run = RunFacts {
            inputs: inputs.iter().map(input_row).collect(),
            filter: self.plan.filter.as_deref().map(Shown::text),
            site: self.plan.args.judge.by.site.as_deref().map(Shown::path),
            profiles: self.catalogue.profiles().map(|profile| profile.id.clone()).collect(),
            readiness: Vec::new(),
        };
        let mut health = health_of(captured, &inputs, self.knowledge);
        let frames = frame_counts(&self.plan.interfaces, rings, captured.decode.frames());
        (health.filtered, health.dropped_by_kernel) = (frames.filtered, frames.dropped_by_kernel);
        health.dropped_by_interface = frames.dropped_by_interface;
        (facts, run, health)
    }

    fn status_of(
        &mut self,
        captured: &Captured,
        rings: &[RingReport],
        judge: &Judge<'_>,
        report: &Report<'_>,
    ) -> Status {
        let at = now();
        let frames = frame_counts(&self.plan.interfaces, rings, captured.decode.frames());
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
            lost_share: (self.losses.share() * 1e6).round() / 1e6,
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
            let known = self.links.iter_mut().find(|(name, ..)| *name == ring.name);
            // One that was replaced between two looks is up since then.
            let before = if let Some((_, state, since)) = known {
                (std::mem::replace(state, ring.state), std::mem::replace(since, ring.since))
            } else {
                self.links.push((ring.name.clone(), ring.state, ring.since));
                (LinkState::Up, ring.since)
            };
            if before != (ring.state, ring.since) {
                self.face.link(Moment(ring.since), &ring.name, ring.state.name(), ring.fault.as_deref())?;
            }
        }
        Ok(())
    }

    /// Looks whether the clock was set. Where it was set forward, nobody watched in between; where it was set back, what
    /// is done every so often must not wait until it gets there again.
    fn look_at_clock(&mut self) -> Result<(), Stop> {
        let Some(jump) = self.clock.look() else { return Ok(()) };
        let (Jump { expected, at }, (forward, by)) = (jump, jump.way());
        if forward {
            self.live.gap(expected, at);
        }
        self.expired = self.expired.min(at);
        self.rotated = self.rotated.min(at);
        let way = if forward { "forward" } else { "back" };
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
                self.archive.rename(&self.catalogue, &fresh);
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

    fn complain(&self, message: &str) {
        if !self.plan.args.run.quiet && !self.face.is_screen() {
            to_stderr(format_args!("portolan: {}", Shown::lines(message)));
        }
    }
}

/// What of rules and site file is a pipe or the like, which can be read once only.
fn endless(args: &JudgeArgs) -> Option<&PathBuf> {
    let endless = |path: &&PathBuf| std::fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir());
    args.by.site.iter().chain(&args.by.rules).find(endless)
}

/// The rules as the options say by now. What is no file any more, a pipe that somebody would have to write to, must not hold
/// up what watches.
fn catalogue_again(args: &JudgeArgs) -> Result<Catalogue, Stop> {
    match endless(args) {
        Some(path) => Err(Stop::io(format!("{} is no file, so that it can be read once only", Shown::path(path)))),
        None => catalogue(args),
    }
}

/// `report.json` as `report-20261128T100000Z.json`: the date before all that tells the format, as `.ecs.ndjson` and
/// `-pairs.parquet` do.
fn dated(path: &Path, extension: &str, began: Moment) -> PathBuf {
    let text = began.to_string();
    let second = text.get(..19).unwrap_or_default().replace(['-', ':'], "");
    let name = path.file_name().map(OsStrExt::as_bytes).unwrap_or_default();
    let (stem, end) = name.split_at(name.len().saturating_sub(extension.len()));
    // A name may be an extension of two words alone.
    let (stem, between) = stem.split_at(stem.len().saturating_sub(1));
    let (dash, between) = if between.is_empty() { ("", b"-".as_slice()) } else { ("-", between) };
    let name = [stem, dash.as_bytes(), second.as_bytes(), b"Z", between, end].concat();
    path.with_file_name(OsString::from_vec(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::format::by_file_name;

    #[test]
    fn a_dated_name_tells_the_same_format() {
        let began = Moment(Timestamp(1_772_359_331_000_000_000));
        let name = |name: &str| {
            let format = by_file_name(name)?;
            let dated = dated(&Path::new("/srv").join(name), format.extension, began);
            let dated = dated.strip_prefix("/srv").ok()?.to_str()?.to_owned();
            (by_file_name(&dated)?.name == format.name).then_some(dated)
        };
        assert_eq!(name("report.json").as_deref(), Some("report-20260301T100211Z.json"));
        assert_eq!(name("a.b.CSV").as_deref(), Some("a.b-20260301T100211Z.CSV"));
        assert_eq!(name("x.ecs.ndjson").as_deref(), Some("x-20260301T100211Z.ecs.ndjson"));
        assert_eq!(name("x.zeek.ndjson").as_deref(), Some("x-20260301T100211Z.zeek.ndjson"));
        assert_eq!(name("ecs.ndjson").as_deref(), Some("20260301T100211Z-ecs.ndjson"));
        #[cfg(feature = "parquet")]
        {
            assert_eq!(name("x.parquet").as_deref(), Some("x-20260301T100211Z.parquet"));
            assert_eq!(name("dc1-pairs.parquet").as_deref(), Some("dc1-20260301T100211Z-pairs.parquet"));
            assert_eq!(name("pairs.parquet").as_deref(), Some("20260301T100211Z-pairs.parquet"));
        }
    }
}
