//! THE PERSON: words in, a command, an exit code out.

pub mod analyze;
pub mod args;
pub mod bench;
pub mod diff;
mod evidence;
pub mod exit;
pub mod export;
#[cfg(all(target_os = "linux", feature = "live"))]
pub mod face;
pub mod help;
#[cfg(all(target_os = "linux", feature = "live"))]
pub mod metrics;
#[cfg(all(target_os = "linux", feature = "live"))]
pub mod notify;
pub mod output;
#[cfg(all(target_os = "linux", feature = "live"))]
pub mod privilege;
mod progress;
#[cfg(all(target_os = "linux", feature = "live"))]
pub mod record;
pub mod rules;
#[cfg(all(target_os = "linux", feature = "live"))]
mod tui;
pub mod vantage;
#[cfg(all(target_os = "linux", feature = "live"))]
pub mod watch;

use std::ffi::OsString;
use std::io;

use clap::Parser;

use crate::cli::args::Cli;
use crate::cli::args::Command;
use crate::cli::args::RulesArgs;
use crate::cli::args::RulesCommand;
use crate::cli::exit::Stop;
use crate::cli::output::to_stderr;
use crate::cli::output::to_stdout;
use crate::cli::rules::ListFormat;
use crate::cli::rules::RulesError;
use crate::report::sanitise::Shown;

/// `portolan rules`: list, check, explain, export.
fn rules(args: &RulesArgs) -> Result<u8, Stop> {
    let stop = |error: RulesError| match &error {
        RulesError::Write(write) => Stop::stdout(write),
        _ => Stop { code: error.exit_code(), message: error.to_string() },
    };
    if let RulesCommand::Export(args) = &args.command {
        return export::export(args);
    }
    let mut done = Ok(());
    let written = to_stdout(|out| {
        done = match &args.command {
            RulesCommand::List { format, by } => {
                rules::list(&by.load_options(), ListFormat::by_name(format).unwrap_or_default(), out)
            }
            RulesCommand::Check { dir, site } => rules::check(dir.as_deref(), site.as_deref(), out),
            RulesCommand::Explain { from, to, port, by } => rules::explain(&by.load_options(), from, to, port, out),
            RulesCommand::Export(_) => Ok(()),
        };
        Ok(())
    });
    done.map_err(stop)?;
    written.map(|()| exit::CLEAN)
}

/// Runs the program with these words and gives its exit code.
pub fn run(words: impl IntoIterator<Item = OsString>) -> u8 {
    let words: Vec<OsString> = words.into_iter().collect();
    if words.len() < 2 {
        help::say_what_to_type();
        return exit::USAGE;
    }
    let cli = match Cli::try_parse_from(&words) {
        Ok(cli) => cli,
        Err(error) => {
            let printed = error.print();
            if let Some(hint) = help::hint(&words, &error) {
                to_stderr(format_args!("\n{hint}"));
            }
            // Help and version are no errors; a closed pipe is none either.
            return match printed {
                _ if error.use_stderr() => exit::USAGE,
                Err(fault) if fault.kind() != io::ErrorKind::BrokenPipe => exit::IO,
                _ => exit::CLEAN,
            };
        }
    };
    let done = match &cli.command {
        Command::Analyze(args) => analyze::analyze(args),
        #[cfg(all(target_os = "linux", feature = "live"))]
        Command::Watch(args) => watch::watch(args),
        Command::Bench(args) => bench::bench(args),
        Command::Rules(args) => rules(args),
        Command::Diff(args) => diff::diff(args),
        Command::Completions { shell } => help::completions(*shell),
        Command::Man { dir } => help::man(dir.as_deref()),
        Command::Schema { name } => help::schema(name),
    };
    match done {
        Ok(code) => code,
        Err(Stop { code, message }) => {
            if !message.is_empty() {
                to_stderr(format_args!("portolan: {}", Shown::lines(&message)));
            }
            code
        }
    }
}
