//! The door: everything is behind it.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(portolan::cli::run(std::env::args_os()))
}
