//! The words of the command line, as typed. What they mean is decided by each command.

use std::path::PathBuf;
#[cfg(all(target_os = "linux", feature = "live"))]
use std::time::Duration;

use clap::Args;
use clap::Parser;
use clap::Subcommand;
use clap::ValueEnum;
use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser;

use crate::capture::synthetic::Workload;
use crate::catalogue::LoadOptions;
use crate::report::findings::FailOn;

#[cfg(all(target_os = "linux", feature = "live"))]
const WATCH_HELP: &str = "\
Signals:
  INT, TERM  end: read what waits, print the report; a second one quits at once
  USR1       write the -o files and a status line now
  HUP        read rules and site file again; if they have a fault, the old ones stay

Exit codes:
  0  ran; no finding of a kind that --fail-on names
  1  findings of a kind that --fail-on names
  2  could not start: a bad argument, filter, rule or site file
  3  report made, but it cannot be judged (one direction or no answers, much lost,
     cut or given up; with --fail-on)
  4  cannot read or write: no such interface, no permission, disk full; or an interface came back as another
     kind of link (one that is gone is waited for)";

const BENCH_EXIT_CODES: &str = "\
Exit codes:
  0  measured; no finding of a kind that --fail-on names
  1  measured; findings of a kind that --fail-on names
  2  could not start: a bad argument, filter, rule or site file, or more than --max-memory allows
  3  measured, but the input was damaged, or cannot be judged (with --fail-on)
  4  cannot read or write: no such file, no permission, disk full";

const DIFF_EXIT_CODES: &str = "\
Exit codes:
  0  compared; nothing became worse in a way that --fail-on names
  1  something became worse in a way that --fail-on names
  2  could not start: a bad argument, or a file that is no report
  3  compared, but AFTER saw one direction only and cannot be judged (with --fail-on)
  4  cannot read or write: no such file, no permission, disk full";

const ABOUT: &str = "\
Tells from a capture which Active Directory, Exchange and Windows flows are blocked or unexpected, per host pair.

Every flow gets three words. Outcome is what the wire shows, such as open, dropped, refused. Standing is what the vendors' \
port documents say, such as expected or unexpected. Confidence is how sure the outcome is. What a person should look at is a \
finding, with the frames that prove it by Wireshark's numbers. No answer is never called a block: the report says that no \
answer was seen at this capture point.";

/// What to type first.
pub const EXAMPLES: &str = "\
Examples:
  portolan analyze capture.pcapng                          a report per host pair
  portolan analyze --site site.toml capture.pcapng         with what you know of the hosts
  portolan analyze capture.pcapng -o report.html           a page for those who were not there
  portolan diff before.json after.json                     whether a change helped
  portolan rules explain client domain-controller 445/tcp  what the documents say of a flow
  portolan analyze --help                                  everything that a command can do";

const LONG: &str = "\
Examples:
  portolan analyze capture.pcapng                          a report per host pair
  portolan analyze --site site.toml capture.pcapng         with what you know of the hosts
  portolan analyze capture.pcapng -o report.html           a page for those who were not there
  portolan diff before.json after.json                     whether a change helped
  portolan rules explain client domain-controller 445/tcp  what the documents say of a flow
  portolan rules export --to nft --from report.json        what a firewall has to let through
  portolan completions bash > /etc/bash_completion.d/portolan

Exit codes:
  0  ran; no finding of a kind that --fail-on names
  1  findings of a kind that --fail-on names
  2  could not start: a bad argument, filter, rule or site file
  3  report made, but the input was damaged, or cannot be judged (with --fail-on)
  4  cannot read or write: no such file, no permission, disk full";

const ANALYZE_LONG: &str = "\
Examples:
  portolan analyze capture.pcapng
  portolan analyze *.pcapng                                    several files, merged by time
  zcat old.pcap.gz | portolan analyze -                        a pipe
  portolan analyze big.pcap.zst -- net 10.1.0.0/16 or icmp     tcpdump's filter language, after --
  portolan analyze --site site.toml --readiness netwrix-group-policy capture.pcapng
  portolan analyze --client-side a.pcap --server-side b.pcap   where between the two it is lost
  portolan analyze capture.pcap -w findings.pcapng             the packets of findings, for Wireshark
  portolan analyze --fail-on blocked -q capture.pcap           in a pipeline

Formats of -o, by the end of the name:
  .txt .html .md .csv      for people
  .json                    the report
  .ndjson                  one flow a line, Zeek's names
  .ecs.ndjson .eve.ndjson  Elastic Common Schema, Suricata's EVE
  .log .zeek.ndjson        Zeek's conn.log, tab-separated or JSON
  .parquet                 flows as columns; those of host pairs if the name ends in pairs.parquet
  .pcapng                  the packets of findings, as with -w

Exit codes:
  0  ran; no finding of a kind that --fail-on names
  1  findings of a kind that --fail-on names
  2  could not start: a bad argument, filter, rule or site file
  3  report made, but the input was damaged, or cannot be judged (with --fail-on)
  4  cannot read or write: no such file, no permission, disk full";

/// Tells from a capture which Active Directory, Exchange and Windows flows are blocked or unexpected, per host pair
#[derive(Debug, Parser)]
#[command(name = "portolan", version, max_term_width = 100, after_help = EXAMPLES, after_long_help = LONG)]
#[command(long_about = ABOUT, subcommand_required = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read captures and report per host pair what was blocked, what was unexpected, and why
    #[command(after_help = "Try --help for examples and exit codes.", after_long_help = ANALYZE_LONG)]
    Analyze(AnalyzeArgs),
    /// Watch interfaces, such as a span port, and tell at once what is blocked or unexpected
    #[cfg(all(target_os = "linux", feature = "live"))]
    #[command(after_help = WATCH_HELP)]
    Watch(WatchArgs),
    /// Measure how fast this machine reads, decodes, tracks and judges, stage by stage
    #[command(after_help = BENCH_EXIT_CODES)]
    Bench(BenchArgs),
    /// List, check and explain the rules that flows are judged by
    Rules(RulesArgs),
    /// Compare two reports: what is newly blocked, what works now, what is new, what is gone
    #[command(after_help = DIFF_EXIT_CODES)]
    Diff(DiffArgs),
    /// Print what a shell needs to complete the words of this program
    Completions {
        /// bash, zsh, fish, powershell or elvish
        #[arg(value_name = "SHELL")]
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write the pages of all commands into a folder
    Man {
        /// The folder, which must be there
        #[arg(value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Print the JSON Schema of what this program writes
    Schema {
        /// report (.json), flow (a line of .ndjson) or rules (rules list --format json)
        #[arg(value_name = "NAME", value_parser = crate::cli::help::schema_names())]
        name: String,
    },
}

/// `portolan analyze`.
#[derive(Debug, Args)]
pub struct AnalyzeArgs {
    /// Captures: files, folders, or - for standard input (pcap, pcapng; plain, gzip, zstd, lz4 or xz)
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// A capture, as with tcpdump and tshark; the same as a plain argument
    #[arg(short = 'r', long = "read", value_name = "FILE")]
    pub read: Vec<PathBuf>,
    /// A capture from near the client; with --server-side, tells where between the two a flow was lost (repeatable)
    #[arg(long, value_name = "FILE", requires = "server_side", conflicts_with_all = ["files", "read", "count"])]
    pub client_side: Vec<PathBuf>,
    /// A capture of the same time from near the server, behind the firewall in question (repeatable)
    #[arg(long, value_name = "FILE", requires = "client_side")]
    pub server_side: Vec<PathBuf>,
    /// What to judge at all
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Stop after this many frames
    #[arg(short = 'c', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// What to judge by
    #[command(flatten)]
    pub judge: JudgeArgs,
    /// Write the report to a file too; its extension says how, see --help: .html .json .csv .md … (repeatable)
    #[arg(short, long, value_name = "FILE")]
    pub output: Vec<PathBuf>,
    /// Write the packets of findings to a pcapng file, with a comment on each; captures are read a second time for it
    #[arg(short = 'w', long = "write", value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// What goes to standard output
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = format_names())]
    pub format: String,
    /// Worker threads (default: cores - 1, at least 1); the report is the same for every number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// List every row of this profile for each two hosts of its roles, with whether it was reached
    #[arg(long, value_name = "PROFILE", value_delimiter = ',')]
    pub readiness: Vec<String>,
    /// How far to go, and what to say
    #[command(flatten)]
    pub run: RunArgs,
}

/// `portolan watch`.
#[cfg(all(target_os = "linux", feature = "live"))]
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// An interface to watch, by its name or its number in -D (repeatable: all are one capture); any means all of them
    #[arg(short, long, value_name = "IFACE", required_unless_present = "list_interfaces")]
    pub interface: Vec<String>,
    /// List the interfaces
    #[arg(short = 'D', long)]
    pub list_interfaces: bool,
    /// What to judge at all
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Stop after this many frames
    #[arg(short = 'c', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Stop after this time, such as 90s, 30m or 8h
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub duration: Option<Duration>,
    /// Write the -o files every so often under a dated name, and begin anew
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "output")]
    pub rotate: Option<Duration>,
    /// How long a flow that is silent is kept with all its detail; then it is added to the totals. At least 1m
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = keep)]
    pub keep: Duration,
    /// Time between two status lines
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub status_every: Duration,
    /// Memory for frames that wait to be read, for each interface and thread
    #[arg(short = 'B', long, value_name = "SIZE", default_value = "64M", value_parser = buffer)]
    pub buffer_size: u32,
    /// Bytes of each frame that are looked at: 2048 hold a whole Ethernet frame inside a tunnel
    #[arg(long, value_name = "BYTES", default_value_t = 2048, value_parser = clap::value_parser!(u32).range(64..=262_144))]
    pub snaplen: u32,
    /// Only frames that the interface takes for its own
    #[arg(long)]
    pub no_promiscuous: bool,
    /// Hand over each frame at once, not many together every 50 ms; costs more
    #[arg(long)]
    pub immediate: bool,
    /// What to judge by
    #[command(flatten)]
    pub judge: JudgeArgs,
    /// Write the report to a file at the end; its extension says how: .html .json .csv .md … (repeatable); .pcapng is
    /// as -w
    #[arg(short, long, value_name = "FILE")]
    pub output: Vec<PathBuf>,
    /// Write the packets of findings to a pcapng file, with a comment on each; when it is full, a ring of files
    #[arg(short = 'w', long = "write", value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// The size of one file of -w
    #[arg(short = 'C', long, value_name = "SIZE", default_value = "64M", value_parser = size, requires = "record")]
    pub file_size: u64,
    /// How many files of -w are kept
    #[arg(short = 'W', long, value_name = "N", default_value_t = 4, requires = "record")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub file_count: u32,
    /// What goes to standard output: events as they come (ndjson), lines and the report (text), or the report alone
    /// [default: a screen on a terminal, else ndjson]
    #[arg(long, value_name = "FORMAT", value_parser = format_names())]
    pub format: Option<String>,
    /// Serve numbers for Prometheus at this address, or at this port of 127.0.0.1
    #[arg(long, value_name = "ADDR")]
    pub metrics: Option<String>,
    /// Go on as this user once the interfaces are open (default for root: portolan or nobody)
    #[arg(short = 'Z', long, value_name = "USER")]
    pub user: Option<String>,
    /// Threads that read, each its share of an interface's frames
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    pub threads: u16,
    /// How far to go, and what to say
    #[command(flatten)]
    pub run: RunArgs,
}

/// Which frames count.
#[derive(Debug, Args)]
pub struct FilterArgs {
    /// Only frames that match this tcpdump expression; where interfaces are watched, the kernel drops the others
    #[arg(short, long, value_name = "EXPR")]
    pub filter: Option<String>,
    /// Read the tcpdump expression from a file
    #[arg(short = 'F', long, value_name = "FILE", conflicts_with = "filter")]
    pub filter_file: Option<PathBuf>,
    /// The same as --filter, after --
    #[arg(last = true, value_name = "EXPR", conflicts_with_all = ["filter", "filter_file"])]
    pub expression: Vec<String>,
}

/// How far a run may go, how it ends, and what it says.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Exit with 1 if such a finding exists: blocked, unexpected, attempt, any
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = fail_kinds())]
    pub fail_on: Vec<FailOn>,
    /// Flows kept with all their detail (default: as many as fit into --max-memory)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_flows: Option<u64>,
    /// Memory of the whole run, such as 512M or 4G; 128M at least
    #[arg(long, value_name = "SIZE", default_value = "2G", value_parser = memory)]
    pub max_memory: u64,
    /// Say less: no warnings, no progress
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more on standard error: what was read, how fast
    #[arg(short, long)]
    pub verbose: bool,
    /// Colour the text
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: ColorWhen,
}

/// What flows are judged by.
#[derive(Debug, Args)]
pub struct ByArgs {
    /// Site file: which hosts hold which roles, extra rows, exceptions, which profiles apply
    #[arg(short, long, value_name = "FILE")]
    pub site: Option<PathBuf>,
    /// Judge by these profiles only, repeated or with commas (default: all, and the site's own)
    #[arg(short, long, value_name = "ID", value_delimiter = ',')]
    pub profile: Vec<String>,
    /// A folder of more rule files, laid over the built-in ones; same ids replace (repeatable)
    #[arg(long, value_name = "DIR")]
    pub rules: Vec<PathBuf>,
}

/// How to judge by it.
#[derive(Debug, Args)]
pub struct JudgeArgs {
    /// What to judge by
    #[command(flatten)]
    pub by: ByArgs,
    /// A flow that no row names is unexpected even where no end has a role
    #[arg(long)]
    pub strict: bool,
    /// Roles from the site file only
    #[arg(long)]
    pub no_infer: bool,
}

impl ByArgs {
    /// What the catalogue is to be made of.
    pub fn load_options(&self) -> LoadOptions<'_> {
        LoadOptions { overlays: &self.rules, site: self.site.as_deref(), profiles: &self.profile }
    }
}

/// `portolan bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// A capture to measure with, held in memory as it is (default: traffic made in memory)
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// What traffic to make
    #[arg(long, value_name = "NAME", default_value = "min64", value_parser = workload_names())]
    #[arg(conflicts_with = "file")]
    workload: String,
    /// Frames to make
    #[arg(long, value_name = "N", default_value_t = 1_000_000, conflicts_with = "file")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub frames: u64,
    /// Conversations under way at the same time (scan: every frame is one)
    #[arg(long, value_name = "N", default_value_t = 50_000, conflicts_with = "file")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub flows: u32,
    /// Other traffic of the same kind for each number
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "file")]
    pub seed: u64,
    /// Passes of each kind; the quickest counts
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    pub rounds: u16,
    /// What to decode at all
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Stop after this many frames
    #[arg(short = 'c', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// What to judge by
    #[command(flatten)]
    pub judge: JudgeArgs,
    /// Write the measurement to a file too; its extension says how: .json .ndjson .csv .md .txt (repeatable)
    #[arg(short, long, value_name = "FILE")]
    pub output: Vec<PathBuf>,
    /// What goes to standard output; json and ndjson are one line
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    #[arg(value_parser = ["text", "json", "ndjson", "csv", "md"])]
    pub format: String,
    /// Worker threads of the whole run (default: cores - 1, at least 1); stages are measured in one thread
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// How far to go, and what to say
    #[command(flatten)]
    pub run: RunArgs,
}

impl BenchArgs {
    /// The traffic to make.
    pub fn workload(&self) -> Option<Workload> {
        Workload::ALL.into_iter().find(|workload| workload.name() == self.workload)
    }
}

/// `portolan diff`.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The report before the change, as analyze writes it with -o before.json
    #[arg(value_name = "BEFORE.json")]
    pub before: PathBuf,
    /// The report after it
    #[arg(value_name = "AFTER.json")]
    pub after: PathBuf,
    /// Write the comparison to a file too; its extension says how: .json .md .txt (repeatable)
    #[arg(short, long, value_name = "FILE")]
    pub output: Vec<PathBuf>,
    /// What goes to standard output
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = diff_format_names())]
    pub format: String,
    /// Exit with 1 if something is newly so: blocked, unexpected, attempt, any
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = fail_kinds())]
    pub fail_on: Vec<FailOn>,
}

/// `portolan rules`.
#[derive(Debug, Args)]
pub struct RulesArgs {
    /// What to do with them.
    #[command(subcommand)]
    pub command: RulesCommand,
}

/// The commands of `portolan rules`.
#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// List the rows, one for each transport
    List {
        /// How
        #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = ["text", "json", "csv"])]
        format: String,
        /// Which rules
        #[command(flatten)]
        by: ByArgs,
    },
    /// Check a rule file, or a folder of them, and show every fault at once
    Check {
        /// A rule file, or a folder of them, checked as laid over the built-in ones
        #[arg(value_name = "DIR")]
        dir: Option<PathBuf>,
        /// A site file to check with them
        #[arg(short, long, value_name = "FILE")]
        site: Option<PathBuf>,
    },
    /// Say which rows speak of a flow, which do not, and why
    Explain {
        /// Who begins it: an address or a role
        #[arg(value_name = "SRC")]
        from: String,
        /// Who answers: an address or a role
        #[arg(value_name = "DST")]
        to: String,
        /// Such as 389/tcp
        #[arg(value_name = "PORT/PROTO")]
        port: String,
        /// Which rules
        #[command(flatten)]
        by: ByArgs,
    },
    /// Write firewall rules that let through what the rows ask for, or what a report saw used
    Export(ExportArgs),
}

/// `portolan rules export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// For which filter: nft, iptables, ip6tables, windows (PowerShell), rpc-filter (netsh), asa; or csv
    #[arg(long, value_name = "TARGET", value_parser = target_names())]
    pub to: String,
    /// What this report shows to be used and expected, instead of all that the rows allow
    #[arg(long, value_name = "REPORT.json", conflicts_with = "profile")]
    pub from: Option<PathBuf>,
    /// Which rules
    #[command(flatten)]
    pub by: ByArgs,
}

/// When to colour.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum ColorWhen {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

fn fail_kinds() -> impl TypedValueParser<Value = FailOn> {
    PossibleValuesParser::new(FailOn::ALL.iter().map(|(name, _)| *name))
        .map(|name| FailOn::by_name(&name).unwrap_or(FailOn::Any))
}

fn workload_names() -> PossibleValuesParser {
    PossibleValuesParser::new(Workload::ALL.map(Workload::name))
}

fn target_names() -> PossibleValuesParser {
    PossibleValuesParser::new(crate::report::firewall::TARGETS.iter().map(|target| target.name))
}

fn diff_format_names() -> PossibleValuesParser {
    PossibleValuesParser::new(crate::report::diff_pages::FORMATS.iter().map(|format| format.name))
}

fn format_names() -> PossibleValuesParser {
    PossibleValuesParser::new(crate::report::format::FORMATS.iter().map(|format| format.name))
}

/// What a run may take: below, the program itself leaves too little for flows to be judged at all.
fn memory(text: &str) -> Result<u64, String> {
    let bytes = bytes(text)?;
    if bytes < RUN_MEMORY_MIN { Err(format!("\"{text}\" is too little; the least is 128M")) } else { Ok(bytes) }
}

const RUN_MEMORY_MIN: u64 = 128 << 20;

/// Bytes of memory, with K, M, G or T for powers of 1024.
fn size(text: &str) -> Result<u64, String> {
    let bytes = bytes(text)?;
    if bytes < MEMORY_MIN {
        return Err(format!("\"{text}\" is too little; the least is 16M"));
    }
    Ok(bytes)
}

fn bytes(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let factor = match text.get(digits.len()..).unwrap_or_default().to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "K" | "KB" | "KIB" => 1 << 10,
        "M" | "MB" | "MIB" => 1 << 20,
        "G" | "GB" | "GIB" => 1 << 30,
        "T" | "TB" | "TIB" => 1u64 << 40,
        unit => return Err(format!("\"{unit}\" is no unit; write K, M, G or T, as in 512M")),
    };
    let number: u64 = digits.parse().map_err(|_| format!("\"{text}\" is no size; write it as 512M or 4G"))?;
    number.checked_mul(factor).ok_or_else(|| format!("\"{text}\" is too much"))
}

const MEMORY_MIN: u64 = 16 << 20;

/// A size of a kernel buffer: 64 KiB to 2 GiB. A number alone means KiB, as with tcpdump.
#[cfg(all(target_os = "linux", feature = "live"))]
fn buffer(text: &str) -> Result<u32, String> {
    let alone = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let bytes = if alone { bytes(&format!("{text}K"))? } else { bytes(text)? };
    let fits = u32::try_from(bytes).ok().filter(|bytes| (BUFFER_MIN..1 << 31).contains(bytes));
    fits.ok_or_else(|| format!("\"{text}\" is no size of a buffer; it may be 64K to 2047M"))
}

#[cfg(all(target_os = "linux", feature = "live"))]
const BUFFER_MIN: u32 = 64 << 10;

/// No flow may be let go before it is judged: Windows tries for 21 s.
#[cfg(all(target_os = "linux", feature = "live"))]
fn keep(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    if time < KEEP_MIN { Err(format!("\"{text}\" is too short; the least is 1m")) } else { Ok(time) }
}

#[cfg(all(target_os = "linux", feature = "live"))]
const KEEP_MIN: Duration = Duration::from_secs(60);

/// A time, with s, m, h or d; seconds without.
#[cfg(all(target_os = "linux", feature = "live"))]
fn duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..).unwrap_or_default() {
        "" | "s" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        "d" => 86_400,
        unit => return Err(format!("\"{unit}\" is no unit; write s, m, h or d, as in 90s")),
    };
    let number: u64 = digits.parse().map_err(|_| format!("\"{text}\" is no time; write it as 90s, 30m or 8h"))?;
    let seconds = number.checked_mul(unit).filter(|seconds| *seconds > 0 && *seconds <= 366 * 86_400);
    seconds.map(Duration::from_secs).ok_or_else(|| format!("\"{text}\" is not between a second and a year"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        assert_eq!(size("512M"), Ok(512 << 20));
        assert_eq!(size("4g"), Ok(4 << 30));
        assert_eq!(size("33554432"), Ok(32 << 20));
        assert!(size("5X").is_err());
        assert!(size("1K").is_err());
        assert!(size("99999999999T").is_err());
        #[cfg(all(target_os = "linux", feature = "live"))]
        {
            assert_eq!(buffer("64M"), Ok(64 << 20));
            assert_eq!(buffer("65536"), Ok(64 << 20), "as with tcpdump");
            assert!(buffer("1K").is_err() && buffer("2G").is_err());
            assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
            assert_eq!(duration("8h"), Ok(Duration::from_secs(28_800)));
            assert!(duration("0").is_err() && duration("5y").is_err() && duration("x").is_err());
        }
    }
}
