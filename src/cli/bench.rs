//! `portolan bench`: how fast the very same pipeline is, on traffic made in memory or on any capture held there.
//!
//! Stages are measured by passes over the same bytes in one thread: reading alone, then with decoding, then with
//! flows; what a pass takes beyond the one before it is its stage. Judging and reporting are measured for themselves.
//! A last pass does all of it with the threads asked for, and a watcher in each worker. Every pass must give the
//! answer of the first, and of several rounds the quickest counts: what disturbs a measurement only makes it longer.

use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use std::time::Instant;

use hdrhistogram::Histogram;
use serde::Serialize;
use serde_json::Value;

use crate::capture::batch::FrameBatch;
use crate::capture::facts::InputFacts;
use crate::capture::filter::Filter;
use crate::capture::source::Options as SourceOptions;
use crate::capture::source::Source;
use crate::capture::synthetic::Recipe;
use crate::capture::synthetic::image;
use crate::catalogue::Catalogue;
use crate::classify::judge::Judge;
use crate::classify::judged::Options as JudgeOptions;
use crate::cli::analyze::capture_facts;
use crate::cli::analyze::catalogue;
use crate::cli::analyze::default_threads;
use crate::cli::analyze::filter_text;
use crate::cli::analyze::health;
use crate::cli::analyze::is_blind;
use crate::cli::analyze::judge_options;
use crate::cli::args::BenchArgs;
use crate::cli::exit;
use crate::cli::exit::Stop;
use crate::cli::output::check_apart;
use crate::cli::output::check_place;
use crate::cli::output::each_of;
use crate::cli::output::outcome_to_stdout;
use crate::cli::output::to_file;
use crate::cli::output::to_stderr;
use crate::cli::output::unknown_extension;
use crate::learn::knowledge::Knowledge;
use crate::pipeline::observe::Observer;
use crate::pipeline::run::Captured;
use crate::pipeline::run::Settings;
use crate::pipeline::run::decode_only;
use crate::pipeline::run::run_observed;
use crate::report::Report;
use crate::report::facts::RunFacts;
use crate::report::findings::FailOn;
use crate::report::format::Format;
use crate::report::format::Pages;
use crate::report::format::Style;
use crate::report::format::by_name;
use crate::report::format::csv::cell;
use crate::report::format::markdown;
use crate::report::sanitise::Shown;

/// Runs the command and says how the program ends.
///
/// # Errors
/// [`Stop`] when it could not start, read or write.
pub fn bench(args: &BenchArgs) -> Result<u8, Stop> {
    let place = |path: &PathBuf| {
        check_place(path)?;
        Ok((path.clone(), Form::of_file(path)?))
    };
    let files: Result<Vec<_>, Stop> = args.output.iter().map(place).collect();
    let files = files?;
    check_apart(&args.output, args.file.iter().chain(&args.judge.by.site).chain(&args.filter.filter_file))?;
    let bench = prepare(args)?;
    let result = bench.measure(args)?;
    let written = files.into_iter().map(|(path, form)| to_file(&path, |out| result.write(form, out)));
    let form = Form::by_name(&args.format).unwrap_or(Form::Text);
    let printed = std::iter::once_with(|| outcome_to_stdout(|out| result.write(form, out)));
    each_of(written.chain(printed))?;
    let Verdict { found, blind } = result.verdict;
    let damaged = result.damaged || (blind && !args.run.fail_on.is_empty());
    Ok(if found {
        exit::FINDINGS
    } else if damaged {
        exit::DAMAGED
    } else {
        exit::CLEAN
    })
}

/// How a measurement is written.
#[derive(Clone, Copy)]
enum Form {
    /// For people.
    Text,
    /// One line.
    Json,
    /// A line of names and one of values.
    Csv,
    /// A table of names and values.
    Markdown,
}

impl Form {
    /// By a format's name or its file's extension.
    fn by_name(name: &str) -> Option<Self> {
        match name {
            "text" | "txt" => Some(Self::Text),
            "json" | "ndjson" => Some(Self::Json),
            "csv" => Some(Self::Csv),
            "md" => Some(Self::Markdown),
            _ => None,
        }
    }

    fn of_file(path: &Path) -> Result<Self, Stop> {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let form = Self::by_name(&extension.to_ascii_lowercase());
        form.ok_or_else(|| unknown_extension(path, ["json", "ndjson", "csv", "md", "txt"]))
    }
}

/// What `--fail-on` asks of the flows that are measured with.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
struct Verdict {
    /// There is a finding that it names.
    found: bool,
    /// That there is none would prove nothing.
    blind: bool,
}

/// What every pass needs.
struct Bench {
    name: String,
    image: Arc<Vec<u8>>,
    filter: Option<String>,
    count: Option<u64>,
    catalogue: Catalogue,
    judge: JudgeOptions,
    fail_on: Vec<FailOn>,
    settings: Settings,
    /// The report is written so, and thrown away.
    json: &'static Format,
}

fn prepare(args: &BenchArgs) -> Result<Bench, Stop> {
    let catalogue = catalogue(&args.judge)?;
    let judge = judge_options(&args.judge, &catalogue);
    let filter = filter_text(&args.filter)?;
    if let Some(filter) = &filter {
        Filter::compile(filter).map_err(Stop::usage)?;
    }
    let (name, image) = capture(args)?;
    let left = args.run.max_memory.saturating_sub(image.len() as u64);
    let flows_max = match args.run.max_flows {
        Some(flows) => usize::try_from(flows).unwrap_or(usize::MAX),
        None => Settings::flows_within(left, 1),
    };
    let threads = args.threads.map_or_else(default_threads, usize::from);
    Ok(Bench {
        name,
        image: Arc::new(image),
        filter,
        count: args.count,
        catalogue,
        judge,
        fail_on: args.run.fail_on.clone(),
        settings: Settings { threads, flows_max },
        json: by_name("json").ok_or_else(|| Stop::usage("no format \"json\""))?,
    })
}

/// The bytes to measure with, and what they are called.
fn capture(args: &BenchArgs) -> Result<(String, Vec<u8>), Stop> {
    let too_large = |what: &str| {
        Stop::usage(format!(
            "{what} does not fit into --max-memory ({} MiB), and bench holds the capture in memory: allow more, or \
             measure with analyze -v, which does not",
            args.run.max_memory >> 20
        ))
    };
    let Some(path) = &args.file else {
        let Some(workload) = args.workload() else { return Err(Stop::usage("no such workload")) };
        let recipe = Recipe { workload, frames: args.frames, flows: args.flows, seed: args.seed };
        let made = image(&recipe, args.run.max_memory);
        return made.map(|image| (workload.name().to_owned(), image)).ok_or_else(|| too_large("the traffic asked for"));
    };
    let name = Shown::path(path).as_str().to_owned();
    let failed = |error| Stop::io(format!("cannot read {name}: {error}"));
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > args.run.max_memory {
        return Err(too_large(&format!("{name} ({} MiB)", size >> 20)));
    }
    let image = std::fs::read(path).map_err(failed)?;
    Ok((name, image))
}

/// What a pass took.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Spent {
    /// Of the processor, where the system says so: others who share the machine do not count. Nanoseconds.
    cpu: Option<u64>,
    wall: Duration,
}

/// Times `pass`, which runs in this thread alone.
fn timed<T>(pass: impl FnOnce() -> Result<T, Stop>) -> Result<(T, Spent), Stop> {
    let (cpu, began) = (thread_cpu(), Instant::now());
    let answer = pass()?;
    let wall = began.elapsed();
    Ok((answer, Spent { cpu: thread_cpu().zip(cpu).map(|(now, then)| now.saturating_sub(then)), wall }))
}

/// Processor time of this thread so far in nanoseconds, on Linux.
fn thread_cpu() -> Option<u64> {
    std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split(' ').next()?.parse().ok()
}

/// Processor time of all threads so far, on Linux, in steps of 10 ms: user and system time in ticks of 1/100 s, which
/// stand behind the name in brackets.
fn process_cpu() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, behind) = stat.rsplit_once(')')?;
    let ticks: u64 = behind.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse().unwrap_or(0)).sum();
    Some(Duration::from_millis(ticks * 10))
}

/// The most memory that this process ever had, in KiB, on Linux.
fn resident_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// What each pass must come to.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
struct Answer {
    frames: u64,
    flows: u64,
    verdict: Verdict,
}

/// One pass of each kind.
struct Round {
    read: Spent,
    decode: Spent,
    flow: Spent,
    judge: Spent,
    /// Until the tables are full, and until the report is written.
    tables: Took,
    whole: Took,
}

impl Round {
    fn say(&self, number: u16) {
        let Self { read, decode, flow, judge, tables, whole } = self;
        let [read, decode, flow, judge] = [read, decode, flow, judge].map(|spent| spent.wall.as_secs_f64());
        let [tables, whole] = [tables, whole].map(|took| took.wall.as_secs_f64());
        to_stderr(format_args!(
            "portolan: round {number}: one thread reads in {read:.3} s, decodes too in {decode:.3} s, fills tables in \
             {flow:.3} s, judges in {judge:.3} s; all fill tables in {tables:.3} s, to the report {whole:.3} s"
        ));
    }
}

/// What a pass with all its threads took.
#[derive(Clone, Copy, Default)]
struct Took {
    wall: Duration,
    cpu: Option<Duration>,
}

impl Took {
    fn since(began: Instant, cpu: Option<Duration>) -> Self {
        let cpu = process_cpu().zip(cpu).map(|(now, then)| now.saturating_sub(then));
        Self { wall: began.elapsed(), cpu }
    }
}

impl Bench {
    fn measure(&self, args: &BenchArgs) -> Result<Measured, Stop> {
        let mut rounds = Vec::new();
        let mut expected = None;
        let mut latencies = Latencies::default();
        let mut facts = InputFacts::default();
        for number in 1..=args.rounds {
            let (round, answer) = self.round(&mut latencies, &mut facts)?;
            if *expected.get_or_insert(answer) != answer {
                return Err(differs());
            }
            if args.run.verbose {
                round.say(number);
            }
            rounds.push(round);
        }
        complain(args, &facts);
        let best = |of: fn(&Round) -> Spent| rounds.iter().map(of).min_by_key(|spent| (spent.cpu, spent.wall));
        let [read, decode, flow, judge] =
            [best(|round| round.read), best(|round| round.decode), best(|round| round.flow), best(|round| round.judge)];
        let Answer { frames, flows, verdict } = expected.unwrap_or_default();
        let shortest = |of: fn(&Round) -> Took| rounds.iter().map(of).min_by_key(|took| took.wall).unwrap_or_default();
        let (tables, whole) = (shortest(|round| round.tables), shortest(|round| round.whole));
        Ok(Measured {
            workload: self.name.clone(),
            seed: args.file.is_none().then_some(args.seed),
            frames,
            flows,
            wire_bytes: facts.bytes,
            whole: Whole::of(whole, frames),
            threads: self.settings.threads,
            rounds: args.rounds,
            tables: Whole::of(tables, frames),
            stages: Stages {
                read: Stage::of(read, None, frames),
                decode: Stage::of(decode, read, frames),
                flow: Stage::of(flow, decode, frames),
                judge: Stage::of(judge, None, frames),
            },
            batch_latency_us: latencies.summary(),
            rss_mib: resident_kib().map(|kib| kib / 1024),
            image_mib: self.image.len() as u64 >> 20,
            damaged: facts.damage.is_some(),
            verdict,
        })
    }

    fn round(&self, latencies: &mut Latencies, facts: &mut InputFacts) -> Result<(Round, Answer), Stop> {
        let (frames, read) = timed(|| self.read())?;
        let (_, decode) = timed(|| decode_only(&mut self.source()?).map_err(Stop::io))?;
        let mut source = self.source()?;
        let knowledge = Knowledge::new();
        let one = Settings { threads: 1, ..self.settings };
        let (captured, flow) = timed(|| run_one::<()>(&mut source, one, &knowledge).map(|(captured, _)| captured))?;
        let (verdict, judge) = timed(|| self.judge(&captured, &source, &knowledge))?;
        let answer = Answer { frames, flows: captured.counters().flows, verdict };
        drop((captured, knowledge));

        let mut source = self.source()?;
        let knowledge = Knowledge::new();
        let (cpu, began) = (process_cpu(), Instant::now());
        let (captured, watchers) = run_one::<Latencies>(&mut source, self.settings, &knowledge)?;
        let tables = Took::since(began, cpu);
        let verdict = self.judge(&captured, &source, &knowledge)?;
        let whole = Took::since(began, cpu);
        for watcher in &watchers {
            latencies.add(watcher);
        }
        if let Some(read) = source.facts().first() {
            facts.clone_from(read);
        }
        if (Answer { frames: facts.frames, flows: captured.counters().flows, verdict }) != answer {
            return Err(differs());
        }
        Ok((Round { read, decode, flow, judge, tables, whole }, answer))
    }

    fn source(&self) -> Result<Source, Stop> {
        let filter = self.filter.as_deref().map(Filter::compile).transpose().map_err(Stop::usage)?;
        let options = SourceOptions { filter, count: self.count };
        Source::from_bytes(&self.name, Arc::clone(&self.image), options).map_err(Stop::io)
    }

    /// Frames of the capture.
    fn read(&self) -> Result<u64, Stop> {
        let mut source = self.source()?;
        let mut batch = FrameBatch::default();
        while source.next_batch(&mut batch).map_err(Stop::io)? {
            std::hint::black_box(&batch);
        }
        Ok(source.progress().frames)
    }

    /// Judges and reports, and lets nobody see more of it than `--fail-on` asks for.
    fn judge(&self, captured: &Captured, source: &Source, knowledge: &Knowledge) -> Result<Verdict, Stop> {
        let whole = capture_facts(captured, source.facts());
        let lost_share = whole.lost_share;
        let judge = Judge::new(&captured.tables, whole, knowledge, &self.catalogue, self.judge);
        let health = health(captured, source, knowledge);
        let report = Report::build(RunFacts::default(), health, &judge, &self.catalogue);
        let pages = Pages { report: &report, judge: &judge, catalogue: &self.catalogue, style: Style { color: false } };
        let mut out = std::io::BufWriter::with_capacity(1 << 16, std::io::sink());
        (self.json.write)(&pages, &mut out).map_err(Stop::io)?;
        let found = self.fail_on.iter().any(|kind| report.has(*kind));
        Ok(Verdict { found, blind: is_blind(&judge, lost_share, captured) })
    }
}

fn run_one<O: Observer>(
    source: &mut Source,
    settings: Settings,
    knowledge: &Knowledge,
) -> Result<(Captured, Vec<O>), Stop> {
    run_observed(source, settings, knowledge, &AtomicBool::new(false), &mut |_| {}).map_err(Stop::io)
}

fn differs() -> Stop {
    Stop::io("two passes over the same bytes gave different answers; this is a fault in portolan, please report it")
}

fn complain(args: &BenchArgs, facts: &InputFacts) {
    if let Some(damage) = facts.damage.as_ref().filter(|_| !args.run.quiet) {
        let (path, message) = (Shown::text(&facts.path), Shown::text(&damage.message));
        to_stderr(format_args!(
            "portolan: {}: damaged at frame {}, byte {}: {}",
            path.as_str(),
            damage.frame,
            damage.offset,
            message.as_str()
        ));
    }
}

/// Times of batches, in nanoseconds, with three digits.
struct Latencies(Option<Histogram<u64>>);

/// Whatever takes longer counts as this.
const LATENCY_NS_MAX: u64 = 60_000_000_000;

impl Default for Latencies {
    fn default() -> Self {
        Self(Histogram::new_with_max(LATENCY_NS_MAX, 3).ok())
    }
}

impl Observer for Latencies {
    type Moment = Instant;

    fn now() -> Instant {
        Instant::now()
    }

    fn counted(&mut self, asked: Instant) {
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(u64::try_from(asked.elapsed().as_nanos()).unwrap_or(LATENCY_NS_MAX));
        }
    }
}

impl Latencies {
    fn add(&mut self, other: &Self) {
        if let (Some(all), Some(more)) = (&mut self.0, &other.0) {
            // Both have the same bounds, so nothing can be out of them.
            all.add(more).ok();
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a minute in nanoseconds is well below 2^52")]
    fn summary(&self) -> Percentiles {
        let us = |quantile: f64| {
            let ns = self.0.as_ref().map_or(0, |histogram| histogram.value_at_quantile(quantile));
            digits(ns as f64 / 1e3, 1)
        };
        Percentiles { p50: us(0.5), p99: us(0.99), p999: us(0.999), max: us(1.0) }
    }
}

/// What is told of a run: one line of JSON, or a page.
#[derive(Serialize)]
struct Measured {
    workload: String,
    seed: Option<u64>,
    frames: u64,
    flows: u64,
    wire_bytes: u64,
    /// From the first byte to the written report.
    #[serde(flatten)]
    whole: Whole,
    threads: usize,
    rounds: u16,
    /// From the first byte to the last flow update: what a live link asks for.
    tables: Whole,
    stages: Stages,
    batch_latency_us: Percentiles,
    rss_mib: Option<u64>,
    image_mib: u64,
    #[serde(skip)]
    damaged: bool,
    #[serde(skip)]
    verdict: Verdict,
}

#[derive(Serialize)]
struct Whole {
    seconds: f64,
    mpps: f64,
    ns_per_frame: f64,
    cpu_ns_per_frame: Option<f64>,
}

impl Whole {
    fn of(took: Took, frames: u64) -> Self {
        Self {
            seconds: digits(took.wall.as_secs_f64(), 6),
            mpps: rate(frames, took.wall),
            ns_per_frame: each(frames, took.wall),
            cpu_ns_per_frame: took.cpu.map(|cpu| each(frames, cpu)),
        }
    }
}

#[derive(Serialize)]
struct Stages {
    read: Stage,
    decode: Stage,
    flow: Stage,
    judge: Stage,
}

#[derive(Serialize)]
struct Stage {
    seconds: f64,
    ns_per_frame: f64,
    cpu_ns_per_frame: Option<f64>,
}

#[derive(Serialize)]
struct Percentiles {
    p50: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

impl Stage {
    /// What `with` took beyond `without`.
    fn of(with: Option<Spent>, without: Option<Spent>, frames: u64) -> Self {
        let wall = |spent: Option<Spent>| spent.map(|spent| spent.wall).unwrap_or_default();
        let cpu = |spent: Option<Spent>| spent.and_then(|spent| spent.cpu);
        let took = wall(with).saturating_sub(wall(without));
        let on_cpu = cpu(with).map(|ns| Duration::from_nanos(ns.saturating_sub(cpu(without).unwrap_or_default())));
        Self {
            seconds: digits(took.as_secs_f64(), 6),
            ns_per_frame: each(frames, took),
            cpu_ns_per_frame: on_cpu.map(|took| each(frames, took)),
        }
    }
}

/// Nanoseconds for one of so many; 0 if there are none.
#[expect(clippy::cast_precision_loss, reason = "a measurement has few digits")]
fn each(frames: u64, took: Duration) -> f64 {
    if frames == 0 { 0.0 } else { digits(took.as_secs_f64() * 1e9 / frames as f64, 1) }
}

/// Millions a second.
#[expect(clippy::cast_precision_loss, reason = "a measurement has few digits")]
fn rate(frames: u64, took: Duration) -> f64 {
    digits(frames as f64 / took.as_secs_f64().max(1e-9) / 1e6, 3)
}

fn digits(value: f64, behind_point: i32) -> f64 {
    let scale = 10_f64.powi(behind_point);
    (value * scale).round() / scale
}

impl Measured {
    fn write(&self, form: Form, out: &mut dyn Write) -> std::io::Result<()> {
        match form {
            Form::Text => self.text(out),
            Form::Json => {
                serde_json::to_writer(&mut *out, self)?;
                writeln!(out)
            }
            Form::Csv => {
                let fields = self.fields()?.into_iter().map(|(name, value)| (name, cell(&value)));
                let (names, values): (Vec<_>, Vec<_>) = fields.unzip();
                write!(out, "{}\r\n{}\r\n", names.join(","), values.join(","))
            }
            Form::Markdown => {
                markdown::table(out, &["field", "value"])?;
                let mut fields = self.fields()?.into_iter();
                fields.try_for_each(|(name, value)| markdown::row(out, &[name, value]))
            }
        }
    }

    /// All that its JSON says, by names such as `stages.read.seconds`, in the order of the alphabet.
    fn fields(&self) -> std::io::Result<Vec<(String, String)>> {
        fn flatten(name: &str, value: Value, fields: &mut Vec<(String, String)>) {
            match value {
                Value::Object(parts) => {
                    let full = |part: &str| if name.is_empty() { part.to_owned() } else { format!("{name}.{part}") };
                    parts.into_iter().for_each(|(part, value)| flatten(&full(&part), value, fields));
                }
                Value::Null => fields.push((name.to_owned(), String::new())),
                Value::String(text) => fields.push((name.to_owned(), text)),
                value => fields.push((name.to_owned(), value.to_string())),
            }
        }
        let mut fields = Vec::new();
        flatten("", serde_json::to_value(self)?, &mut fields);
        fields.sort_unstable();
        Ok(fields)
    }

    fn text(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let Self { frames, flows, threads, stages, batch_latency_us: batch, .. } = self;
        let name = Shown::text(&self.workload);
        let cpu = |ns: Option<f64>| ns.map_or_else(|| "-".to_owned(), |ns| format!("{ns:.1}"));
        writeln!(out, "{}: {frames} frames, {flows} flows, {} bytes on the wire", name.as_str(), self.wire_bytes)?;
        writeln!(out, "best of {} rounds over the same bytes in memory\n", self.rounds)?;
        let workers = format!("{threads} worker{}", if *threads == 1 { "" } else { "s" });
        writeln!(out, "{workers:14}   seconds  ns/frame    CPU ns     Mpps")?;
        for (name, whole) in [("to flow tables", &self.tables), ("to the report", &self.whole)] {
            let Whole { seconds, mpps, ns_per_frame: ns, cpu_ns_per_frame } = whole;
            writeln!(out, "{name:14} {seconds:>9.3} {ns:>9.1} {:>9} {mpps:>8.3}", cpu(*cpu_ns_per_frame))?;
        }
        writeln!(out, "\none thread       seconds  ns/frame    CPU ns")?;
        let Stages { read, decode, flow, judge } = stages;
        for (name, stage) in [("read", read), ("decode", decode), ("flow", flow), ("judge, report", judge)] {
            let Stage { seconds, ns_per_frame: ns, cpu_ns_per_frame } = stage;
            writeln!(out, "{name:14} {seconds:>9.3} {ns:>9.1} {:>9}", cpu(*cpu_ns_per_frame))?;
        }
        let Percentiles { p50, p99, p999, max } = batch;
        writeln!(out, "\nbatch, read to flow update: p50 {p50} us, p99 {p99} us, p99.9 {p999} us, max {max} us")?;
        if let Some(rss) = self.rss_mib {
            writeln!(out, "resident at most {rss} MiB, {} MiB of it the capture", self.image_mib)?;
        }
        Ok(())
    }
}
