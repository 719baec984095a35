//! `portolan analyze`: captures in, report out.

use std::ffi::OsStr;
use std::fs::File;
use std::io::IsTerminal;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use crate::capture::batch::LinkType;
use crate::capture::facts::Compression;
use crate::capture::facts::Format as Container;
use crate::capture::facts::InputFacts;
use crate::capture::facts::Progress;
use crate::capture::filter::Filter;
use crate::capture::source::Options as SourceOptions;
use crate::capture::source::Source;
use crate::capture::source::inputs;
use crate::catalogue::Catalogue;
use crate::catalogue::fault::did_you_mean;
use crate::catalogue::load;
use crate::classify::judge::Judge;
use crate::classify::judged::CaptureFacts;
use crate::classify::judged::Options as JudgeOptions;
use crate::classify::thresholds::GIVEN_UP_SHARE;
use crate::classify::thresholds::LOSS_PROBABLE_SHARE;
use crate::classify::thresholds::UNREAD_SHARE;
use crate::cli::args::AnalyzeArgs;
use crate::cli::args::ColorWhen;
use crate::cli::args::FilterArgs;
use crate::cli::args::JudgeArgs;
use crate::cli::evidence;
use crate::cli::evidence::Again;
use crate::cli::exit;
use crate::cli::exit::Stop;
use crate::cli::output::Target;
use crate::cli::output::check_apart;
use crate::cli::output::check_place;
use crate::cli::output::each_of;
use crate::cli::output::outcome_to_stdout;
use crate::cli::output::to_stderr;
use crate::cli::output::unknown_extension;
use crate::cli::progress::Bar;
use crate::cli::vantage;
use crate::cli::vantage::Beyond;
use crate::learn::knowledge::Knowledge;
use crate::model::time::Timestamp;
use crate::pipeline::run::Captured;
use crate::pipeline::run::RunError;
use crate::pipeline::run::Settings;
use crate::pipeline::run::run;
use crate::report::Report;
use crate::report::facts::Health;
use crate::report::facts::InputError;
use crate::report::facts::InputRow;
use crate::report::facts::RunFacts;
use crate::report::format::FORMATS;
use crate::report::format::Format;
use crate::report::format::Pages;
use crate::report::format::Style;
use crate::report::format::by_file_name;
use crate::report::format::by_name;
use crate::report::moment::Moment;
use crate::report::sanitise::Shown;

/// Everything decided before the first byte is read.
struct Plan {
    inputs: Vec<PathBuf>,
    filter: Option<String>,
    catalogue: Catalogue,
    judge: JudgeOptions,
    settings: Settings,
    stdout: &'static Format,
    files: Vec<(Target, &'static Format)>,
    /// Where the packets of findings go.
    records: Vec<PathBuf>,
    coloured: bool,
}

/// Runs the command and says how the program ends.
///
/// # Errors
/// [`Stop`] when it could not start, read or write.
pub fn analyze(args: &AnalyzeArgs) -> Result<u8, Stop> {
    let plan = decide(args)?;
    let filter =
        plan.filter.as_deref().map(Filter::compile).transpose().map_err(|error| match &args.filter.filter_file {
            Some(path) => Stop::usage(format!("{}: {error}", Shown::path(path))),
            None => Stop::usage(error),
        })?;
    let mut source = Source::open(&plan.inputs, SourceOptions { filter, count: args.count }).map_err(Stop::io)?;
    let written = plan.files.iter().map(|(file, _)| file.path()).chain(&plan.records);
    let beyond = if args.server_side.is_empty() { Vec::new() } else { inputs(&args.server_side).map_err(Stop::io)? };
    let aside = beyond.iter().chain(&args.judge.by.site).chain(&args.filter.filter_file);
    check_apart(written, source.paths().iter().chain(aside))?;
    let knowledge = Knowledge::new();
    let stop = interrupt_flag()?;
    let bar = Bar::new(!args.run.quiet && std::io::stderr().is_terminal());
    let began = Instant::now();
    let mut newest = Progress::default();
    let captured = run(&mut source, plan.settings, &knowledge, &stop, &mut |progress| {
        bar.show(&progress);
        newest = progress;
    });
    bar.clear();
    let captured = captured.map_err(|error| match error {
        RunError::Capture(error) => Stop::io(error),
        RunError::Worker => Stop::io(error),
    })?;
    let read_in = began.elapsed();
    let facts = source.facts();
    let whole = capture_facts(&captured, facts);
    let lost_share = whole.lost_share;
    let judge = Judge::new(&captured.tables, whole, &knowledge, &plan.catalogue, plan.judge);
    let health = health(&captured, &source, &knowledge);
    let mut report = Report::build(run_facts(args, &plan, facts), health, &judge, &plan.catalogue);
    report.health.blind = captured.interrupted || is_blind(&judge, lost_share, &captured);
    let beyond = vantage::beyond(args, plan.filter.as_deref(), plan.settings, &stop)?;
    if let Some(beyond) = &beyond {
        let here = capture_facts(&captured, facts);
        let here = vantage::point(&plan.inputs, plan.filter.as_deref(), here, args.run.max_memory, &stop)?;
        if stop.load(Ordering::Relaxed) {
            report.health.notes.push(Shown::text("stopped by an interrupt: the two captures were not compared"));
        } else {
            report.vantage = Some(beyond.compare(&here, &judge, report.findings.names()));
        }
    }
    let pages = |color| Pages { report: &report, judge: &judge, catalogue: &plan.catalogue, style: Style { color } };
    let files = plan.files.iter().map(|(file, format)| file.write(|out| (format.write)(&pages(false), out)));
    let again = Again { inputs: &plan.inputs, filter: plan.filter.as_deref(), count: args.count, facts };
    // What ended the capture does not end what is said of it.
    let interrupted = stop.load(Ordering::Relaxed);
    let stop = if interrupted { Arc::default() } else { stop };
    let records = plan.records.iter().map(|path| evidence::write(path, again, &report, &judge, &stop));
    let printed = std::iter::once_with(|| outcome_to_stdout(|out| (plan.stdout.write)(&pages(plan.coloured), out)));
    let written = each_of(files.chain(records).chain(printed));
    complain(args, facts);
    if args.run.verbose {
        say_speed(&newest, read_in, began.elapsed());
    }
    written?;
    let blind = report.health.blind || (beyond.is_some() && report.vantage.is_none());
    let damaged = beyond.as_ref().is_some_and(Beyond::is_damaged);
    let code = match exit_code(args, &report, facts, blind) {
        exit::CLEAN if damaged => exit::DAMAGED,
        code => code,
    };
    // The program ends here. To give millions of small pieces back one by one would take longer than to judge them.
    std::mem::forget(report);
    std::mem::forget(judge);
    std::mem::forget(captured);
    Ok(code)
}

fn decide(args: &AnalyzeArgs) -> Result<Plan, Stop> {
    let inputs: Vec<PathBuf> = args.read.iter().chain(&args.files).chain(&args.client_side).cloned().collect();
    if !args.server_side.is_empty() && args.client_side.is_empty() {
        return Err(Stop::usage(
            "--server-side compares with the captures that --client-side names, and it names none",
        ));
    }
    evidence::check_lasting(args.client_side.iter().chain(&args.server_side), "--server-side")?;
    if inputs.is_empty() {
        return Err(Stop::usage("no capture given: name a file, a folder, or - for standard input"));
    }
    let catalogue = catalogue(&args.judge)?;
    check_profiles(&args.readiness, &catalogue)?;
    let judge = judge_options(&args.judge, &catalogue);
    let threads = args.threads.map_or_else(default_threads, usize::from);
    let flows_max = match args.run.max_flows {
        Some(flows) => usize::try_from(flows).unwrap_or(usize::MAX),
        None if args.server_side.is_empty() => Settings::flows_within(args.run.max_memory, 1),
        // The packets of both captures have the other half.
        None => Settings::flows_within(args.run.max_memory, 1) / 2,
    };
    let place = |path: &PathBuf| {
        check_place(path)?;
        Ok((Target::at(path), format_of_file(path)?))
    };
    // The extension says that packets are meant, as -w does.
    let (packets, reports): (Vec<_>, Vec<_>) = args.output.iter().partition(|path| is_of_packets(path));
    let records: Vec<PathBuf> = args.record.iter().chain(packets).cloned().collect();
    if !records.is_empty() {
        evidence::check_lasting(&inputs, "-w")?;
        records.iter().try_for_each(|path| check_place(path))?;
    }
    let files: Result<Vec<_>, Stop> = reports.into_iter().map(place).collect();
    Ok(Plan {
        inputs,
        filter: filter_text(&args.filter)?,
        catalogue,
        judge,
        settings: Settings { threads, flows_max },
        stdout: format_by_name(&args.format)?,
        files: files?,
        records,
        coloured: coloured(args.run.color),
    })
}

/// Whether a file of `-o` is for packets, and not for a report.
pub(super) fn is_of_packets(path: &Path) -> bool {
    path.extension().is_some_and(|end| end.eq_ignore_ascii_case("pcapng"))
}

/// How to judge: as the options say, else as the site file says.
pub(super) fn judge_options(args: &JudgeArgs, catalogue: &Catalogue) -> JudgeOptions {
    let chosen = catalogue.settings();
    JudgeOptions {
        infer: !args.no_infer && chosen.infer.unwrap_or(true),
        strict: args.strict || chosen.strict.unwrap_or(false),
    }
}

/// The rules as the options say, or every fault at once.
pub(super) fn catalogue(args: &JudgeArgs) -> Result<Catalogue, Stop> {
    load(&args.by.load_options()).map_err(|faults| {
        let code = if faults.is_unreadable() { exit::IO } else { exit::USAGE };
        Stop { code, message: faults.to_string() }
    })
}

/// Readiness can be told of profiles that judge.
fn check_profiles(wanted: &[String], catalogue: &Catalogue) -> Result<(), Stop> {
    let known = || catalogue.profiles().map(|profile| profile.id.as_str());
    for name in wanted {
        if !known().any(|id| id == name) {
            let hint = did_you_mean(name, known()).map(|hint| format!("; {hint}")).unwrap_or_default();
            let all: Vec<&str> = known().collect();
            return Err(Stop::usage(format!("--readiness: {name:?} is none of {}{hint}", all.join(", "))));
        }
    }
    Ok(())
}

/// Bytes of a filter file.
const FILTER_MAX: u64 = 1 << 20;

/// The filter, from wherever it was given.
pub(super) fn filter_text(args: &FilterArgs) -> Result<Option<String>, Stop> {
    if let Some(path) = &args.filter_file {
        let mut text = String::new();
        File::open(path)
            .and_then(|file| file.take(FILTER_MAX + 1).read_to_string(&mut text))
            .map_err(|error| Stop::io(format!("cannot read the filter file {}: {error}", Shown::path(path))))?;
        if text.len() as u64 > FILTER_MAX {
            return Err(Stop::usage(format!("{} is too long for a filter", Shown::path(path))));
        }
        // As tcpdump reads it.
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
        return Ok(expression(&lines.collect::<Vec<_>>().join(" ")));
    }
    let typed = if args.expression.is_empty() { args.filter.clone() } else { Some(args.expression.join(" ")) };
    Ok(typed.as_deref().and_then(expression))
}

/// An expression, if there is anything in it: nothing lets every frame through.
fn expression(text: &str) -> Option<String> {
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// All cores but the one that reads.
pub(super) fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1))
}

/// Whether to colour what goes to standard output.
pub(super) fn coloured(when: ColorWhen) -> bool {
    match when {
        ColorWhen::Always => true,
        ColorWhen::Never => false,
        ColorWhen::Auto => {
            let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            !refused && std::io::stdout().is_terminal()
        }
    }
}

/// The format of that name.
pub(super) fn format_by_name(name: &str) -> Result<&'static Format, Stop> {
    by_name(name).ok_or_else(|| Stop::usage(format!("no format \"{name}\"")))
}

/// The format that a file's extension means.
pub(super) fn format_of_file(path: &Path) -> Result<&'static Format, Stop> {
    let name = path.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
    let known = FORMATS.iter().map(|format| format.extension).chain(["pcapng"]);
    by_file_name(&name).ok_or_else(|| unknown_extension(path, known))
}

/// Ctrl-C, or TERM, ends the capture and prints the report; a second one quits at once.
pub(super) fn interrupt_flag() -> Result<Arc<AtomicBool>, Stop> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)))
            .map_err(|error| Stop::io(format!("cannot listen for Ctrl-C: {error}")))?;
    }
    Ok(stop)
}

/// What the capture as a whole tells the judge.
#[expect(clippy::cast_precision_loss, reason = "a share needs no more than 52 bits")]
pub(super) fn capture_facts(captured: &Captured, facts: &[InputFacts]) -> CaptureFacts {
    let lost = facts.iter().map(|input| input.dropped).sum::<u64>() + captured.counters().acked_unseen;
    let seen = facts.iter().map(|input| input.frames).sum::<u64>();
    CaptureFacts {
        first: facts.iter().filter_map(|input| input.first).min().unwrap_or_default(),
        last: facts.iter().filter_map(|input| input.last).max().unwrap_or_default(),
        heard: None,
        first_frame: captured.first_frame,
        lost_share: if lost == 0 { 0.0 } else { lost as f64 / (seen + lost) as f64 },
        gaps: captured.gaps.clone(),
        steps: captured.steps.clone(),
        ends: facts.iter().map(|input| input.last.unwrap_or_default()).collect(),
        running: false,
    }
}

/// How far the report can be trusted.
pub(super) fn health(captured: &Captured, source: &Source, knowledge: &Knowledge) -> Health {
    let mut health = health_of(captured, source.facts(), knowledge);
    health.filtered = source.filtered();
    health.notes.splice(0..0, source.filter_notes().iter().map(|note| Shown::text(note)));
    health
}

/// The same without what the filter did.
pub(super) fn health_of(captured: &Captured, facts: &[InputFacts], knowledge: &Knowledge) -> Health {
    let counters = captured.counters();
    let sum = |count: fn(&InputFacts) -> u64| facts.iter().map(count).sum::<u64>();
    let mut notes: Vec<Shown> = Vec::new();
    if captured.interrupted {
        notes.push(Shown::text("stopped by an interrupt: what came later was not read"));
    }
    if knowledge.forgotten() > 0 {
        notes.push(Shown::text(&format!(
            "{} answers came when no place was left to remember who answers",
            knowledge.forgotten()
        )));
    }
    if knowledge.names().is_full() {
        notes.push(Shown::text("more names of hosts were heard than there is room for"));
    }
    Health {
        frames: sum(|input| input.frames),
        decoded: captured.decode.decoded,
        skipped: captured.skipped(),
        duplicates: counters.duplicates,
        fragments: captured.decode.fragments,
        dropped_by_kernel: sum(|input| input.dropped),
        flows: counters.flows,
        flows_evicted: counters.flows_evicted,
        notes,
        cut_frames: sum(|input| input.cut_frames),
        out_of_order: sum(|input| input.out_of_order),
        tunnels: captured.tunnels(),
        icmp_errors: counters.icmp_errors,
        icmp_unmatched: counters.icmp_unmatched,
        bad_replies: counters.bad_replies,
        acked_unseen: counters.acked_unseen,
        payloads_given_up: captured.ears.given_up,
        payload_holes: captured.ears.holes,
        rpc_sealed: knowledge.rpc().sealed(),
        smb_sealed: knowledge.rpc().smb_sealed(),
        smb_left: knowledge.rpc().smb_left(),
        rpc_not_kept: knowledge.rpc().not_kept(),
        ..Health::default()
    }
}

fn run_facts(args: &AnalyzeArgs, plan: &Plan, facts: &[InputFacts]) -> RunFacts {
    RunFacts {
        inputs: facts.iter().map(input_row).collect(),
        filter: plan.filter.as_deref().map(Shown::text),
        site: args.judge.by.site.as_deref().map(Shown::path),
        profiles: plan.catalogue.profiles().map(|profile| profile.id.clone()).collect(),
        readiness: args.readiness.clone(),
    }
}

/// What the report says of an input.
pub(super) fn input_row(facts: &InputFacts) -> InputRow {
    let link_type = |link: &LinkType| link.name().map_or_else(|| link.0.to_string(), str::to_owned);
    let moment = |at: Option<Timestamp>| at.map(Moment);
    InputRow {
        path: Shown::text(&facts.path),
        format: facts.format.map(Container::name),
        compression: facts.compression.map(Compression::name),
        link_types: facts.link_types.iter().map(link_type).collect(),
        frames: facts.frames,
        bytes: facts.bytes,
        first: moment(facts.first),
        last: moment(facts.last),
        snaplen: facts.snaplen.unwrap_or(0),
        error: facts.damage.as_ref().map(|damage| InputError {
            frame: damage.frame,
            offset: damage.offset,
            message: Shown::text(&damage.message),
        }),
    }
}

/// Damage is in the report; who reads only the exit code's neighbour, standard error, is told too.
fn complain(args: &AnalyzeArgs, facts: &[InputFacts]) {
    if args.run.quiet {
        return;
    }
    for input in facts {
        if let Some(damage) = &input.damage {
            to_stderr(format_args!(
                "portolan: {}: damaged at frame {}, byte {}: {}",
                Shown::text(&input.path).as_str(),
                damage.frame,
                damage.offset,
                Shown::text(&damage.message).as_str()
            ));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn say_speed(progress: &Progress, read_in: Duration, all_in: Duration) {
    let rate = progress.frames as f64 / read_in.as_secs_f64().max(1e-9) / 1e6;
    to_stderr(format_args!(
        "portolan: read {} frames in {:.3} s ({rate:.2} million a second), judged and written in {:.3} s",
        progress.frames,
        read_in.as_secs_f64(),
        all_in.saturating_sub(read_in).as_secs_f64()
    ));
}

/// Whether the run cannot have seen every failure, so that finding none proves nothing.
pub(super) fn is_blind(judge: &Judge<'_>, lost_share: f64, captured: &Captured) -> bool {
    let given_up = captured.counters().given_up_share() > GIVEN_UP_SHARE;
    let unread = captured.decode.unread_share() > UNREAD_SHARE;
    let one_sided = judge.asymmetric() || judge.left_out().is_some();
    one_sided || lost_share > LOSS_PROBABLE_SHARE || given_up || unread
}

/// `blind`: as [`is_blind`] says.
fn exit_code(args: &AnalyzeArgs, report: &Report<'_>, facts: &[InputFacts], blind: bool) -> u8 {
    if args.run.fail_on.iter().any(|kind| report.has(*kind)) {
        return exit::FINDINGS;
    }
    let damaged = facts.iter().any(|input| input.damage.is_some());
    if damaged || (blind && !args.run.fail_on.is_empty()) { exit::DAMAGED } else { exit::CLEAN }
}
