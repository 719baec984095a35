//! The words of the command line, as typed. What they mean is decided by each command.

use std::path::PathBuf;

use clap::Args;
use clap::Parser;
use clap::Subcommand;
use clap::ValueEnum;
use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser;

use crate::capture::synthetic::Workload;
use crate::catalogue::LoadOptions;
use crate::report::findings::FailOn;

const EXIT_CODES: &str = "\
Exit codes:
  0  ran; no finding of a kind that --fail-on names
  1  findings of a kind that --fail-on names
  2  could not start: a bad argument, filter, rule or site file
  3  report made, but the input was damaged, or cannot be judged (with --fail-on)
  4  cannot read or write: no such file, no permission, disk full";

const DIFF_EXIT_CODES: &str = "\
Exit codes:
  0  compared; nothing became worse in a way that --fail-on names
  1  something became worse in a way that --fail-on names
  2  could not start: a bad argument, or a file that is no report
  3  compared, but AFTER saw one direction only and cannot be judged (with --fail-on)
  4  cannot read or write: no such file, no permission, disk full";

/// Tells from a capture which Active Directory, Exchange and Windows flows are blocked or unexpected, per host pair
#[derive(Debug, Parser)]
#[command(name = "portolan", version, max_term_width = 100, after_help = EXIT_CODES, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read captures and report per host pair what was blocked, what was unexpected, and why
    #[command(after_help = EXIT_CODES)]
    Analyze(AnalyzeArgs),
    /// Measure how fast this machine reads, decodes, tracks and judges, stage by stage
    #[command(after_help = EXIT_CODES)]
    Bench(BenchArgs),
    /// List, check and explain the rules that flows are judged by
    Rules(RulesArgs),
    /// Compare two reports: what is newly blocked, what works now, what is new, what is gone
    #[command(after_help = DIFF_EXIT_CODES)]
    Diff(DiffArgs),
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
    /// Judge only frames that match this tcpdump expression
    #[arg(short, long, value_name = "EXPR")]
    pub filter: Option<String>,
    /// Read the tcpdump expression from a file
    #[arg(short = 'F', long, value_name = "FILE", conflicts_with = "filter")]
    pub filter_file: Option<PathBuf>,
    /// Stop after this many frames
    #[arg(short = 'c', long, value_name = "N")]
    pub count: Option<u64>,
    /// What to judge by
    #[command(flatten)]
    pub judge: JudgeArgs,
    /// Write the report to a file too; its extension says how: .html .json .ndjson .csv .md .txt (repeatable)
    #[arg(short, long, value_name = "FILE")]
    pub output: Vec<PathBuf>,
    /// What goes to standard output
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = format_names())]
    pub format: String,
    /// Worker threads (default: cores - 1, at least 1); the report is the same for every number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// List every row of this profile for each two hosts of its roles, with whether it was reached
    #[arg(long, value_name = "PROFILE", value_delimiter = ',')]
    pub readiness: Vec<String>,
    /// Exit with 1 if such a finding exists: blocked, unexpected, attempt, any
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = fail_kinds())]
    pub fail_on: Vec<FailOn>,
    /// Flows kept with all their detail (default: as many as fit into --max-memory)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_flows: Option<u64>,
    /// Memory for flows and their judgement, such as 512M or 4G
    #[arg(long, value_name = "SIZE", default_value = "2G", value_parser = size)]
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
    /// The same as --filter, after --
    #[arg(last = true, value_name = "EXPR", conflicts_with_all = ["filter", "filter_file"])]
    pub expression: Vec<String>,
}

/// What flows are judged by.
#[derive(Debug, Args)]
pub struct JudgeArgs {
    /// Site file: which hosts hold which roles, extra rows, exceptions, which profiles apply
    #[arg(short, long, value_name = "FILE")]
    pub site: Option<PathBuf>,
    /// Judge by these profiles only, repeated or with commas (default: all, and the site's own)
    #[arg(short, long, value_name = "ID", value_delimiter = ',')]
    pub profile: Vec<String>,
    /// A folder of more rule files, laid over the built-in ones; same ids replace (repeatable)
    #[arg(long, value_name = "DIR")]
    pub rules: Vec<PathBuf>,
    /// A flow that no row names is unexpected even where no end has a role
    #[arg(long)]
    pub strict: bool,
    /// Roles from the site file only
    #[arg(long)]
    pub no_infer: bool,
}

impl JudgeArgs {
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
    pub frames: u64,
    /// Conversations under way at the same time (scan: every frame is one)
    #[arg(long, value_name = "N", default_value_t = 50_000, conflicts_with = "file")]
    pub flows: u32,
    /// Other traffic of the same kind for each number
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "file")]
    pub seed: u64,
    /// Passes of each kind; the quickest counts
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    pub rounds: u16,
    /// Decode only frames that match this tcpdump expression
    #[arg(short = 'f', long, value_name = "EXPR")]
    pub filter: Option<String>,
    /// What to judge by
    #[command(flatten)]
    pub judge: JudgeArgs,
    /// What goes to standard output; json is one line
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = ["text", "json"])]
    pub format: String,
    /// Worker threads of the whole run (default: cores - 1, at least 1); stages are measured in one thread
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// Flows kept with all their detail (default: as many as fit into --max-memory beside the capture)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_flows: Option<u64>,
    /// Memory for the capture, flows and their judgement, such as 512M or 4G
    #[arg(long, value_name = "SIZE", default_value = "2G", value_parser = size)]
    pub max_memory: u64,
    /// Say less: no warnings
    #[arg(short, long)]
    pub quiet: bool,
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
        judge: JudgeArgs,
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
        judge: JudgeArgs,
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
    #[arg(long, value_name = "REPORT.json")]
    pub from: Option<PathBuf>,
    /// Which rules
    #[command(flatten)]
    pub judge: JudgeArgs,
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

/// Bytes, with K, M, G or T for powers of 1024.
fn size(text: &str) -> Result<u64, String> {
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
    let bytes = number.checked_mul(factor).ok_or_else(|| format!("\"{text}\" is too much"))?;
    if bytes < MEMORY_MIN {
        return Err(format!("\"{text}\" is too little; the least is 16M"));
    }
    Ok(bytes)
}

const MEMORY_MIN: u64 = 16 << 20;

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
    }
}
