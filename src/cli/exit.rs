//! How the program ends: the exit codes of the contract, and the error that carries one.

use std::fmt;
use std::io;

/// Ran, nothing at or above `--fail-on`.
pub const CLEAN: u8 = 0;
/// Findings at or above `--fail-on`.
pub const FINDINGS: u8 = 1;
/// Could not start.
pub const USAGE: u8 = 2;
/// Report made, input damaged or not to be judged.
pub const DAMAGED: u8 = 3;
/// Cannot read or write.
pub const IO: u8 = 4;

/// What stopped the program, with its exit code.
#[derive(Debug)]
pub struct Stop {
    /// The exit code.
    pub code: u8,
    /// What to say on standard error; empty for a quiet end.
    pub message: String,
}

impl Stop {
    /// Could not start.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self { code: USAGE, message: message.to_string() }
    }

    /// Cannot read or write.
    pub fn io(message: impl fmt::Display) -> Self {
        Self { code: IO, message: message.to_string() }
    }

    /// Writing to standard output failed. A reader that went away is no error: `portolan … | head` ends quietly.
    pub fn stdout(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self { code: CLEAN, message: String::new() };
        }
        Self::io(format!("cannot write standard output: {error}"))
    }

    /// Whether nothing went wrong but that the reader went away.
    pub fn is_quiet(&self) -> bool {
        self.code == CLEAN
    }
}
