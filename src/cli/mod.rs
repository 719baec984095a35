//! THE PERSON: words in, a command, an exit code out.

pub mod analyze;
pub mod args;
pub mod exit;
pub mod output;
mod progress;
pub mod rules;

use std::ffi::OsString;

use clap::Parser;

use crate::cli::args::Cli;
use crate::cli::args::Command;
use crate::cli::exit::Stop;

/// Runs the program with these words and gives its exit code.
#[expect(clippy::print_stderr, reason = "the program speaks to the person here")]
pub fn run(words: impl IntoIterator<Item = OsString>) -> u8 {
    let cli = match Cli::try_parse_from(words) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; a closed pipe is none either.
            error.print().ok();
            return if error.use_stderr() { exit::USAGE } else { exit::CLEAN };
        }
    };
    let done = match &cli.command {
        Command::Analyze(args) => analyze::analyze(args),
        Command::Rules(args) => analyze::rules(args),
    };
    match done {
        Ok(code) => code,
        Err(Stop { code, message }) => {
            if !message.is_empty() {
                eprintln!("portolan: {message}");
            }
            code
        }
    }
}
