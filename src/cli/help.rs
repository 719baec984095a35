//! Help where people look: what to type, manual pages, completions, schemas. All but the schemas come from the words of
//! the command line itself.

use std::ffi::OsString;
use std::io;
use std::io::Write;
use std::path::Path;

use clap::Command;
use clap::CommandFactory;
use clap::builder::PossibleValuesParser;
use clap::error::ContextKind;
use clap::error::ContextValue;
use clap::error::ErrorKind;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli::args::Cli;
use crate::cli::args::EXAMPLES;
use crate::cli::exit;
use crate::cli::exit::Stop;
use crate::cli::output::to_file;
use crate::cli::output::to_stderr;
use crate::cli::output::to_stdout;
use crate::report::sanitise::Shown;
use crate::report::schema::SCHEMAS;

/// Says what to type to somebody who typed nothing but the name.
pub(super) fn say_what_to_type() {
    to_stderr(format_args!(
        "portolan reads network captures and tells which Active Directory, Exchange and Windows flows\n\
         are blocked or unexpected, per host pair, with evidence.\n\n{EXAMPLES}\n\nMore: portolan --help"
    ));
}

/// What those meant whom tcpdump taught to name interfaces and filters otherwise.
pub(super) fn hint(words: &[OsString], error: &clap::Error) -> Option<&'static str> {
    if let Some(ContextValue::String(unknown)) = error.get(ContextKind::InvalidSubcommand)
        && unknown == "fleet"
    {
        return Some(
            "The flows of many sensors make one matrix where their Parquet files lie together: portolan analyze -o \
             flows.parquet, and the queries of FLEET.md",
        );
    }
    let Some(ContextValue::String(unknown)) = error.get(ContextKind::InvalidArg) else { return None };
    let command = words.get(1)?.to_str()?;
    match (error.kind(), command, unknown.as_str()) {
        (ErrorKind::UnknownArgument, "analyze", "-i" | "--interface") => {
            Some("analyze reads files; what passes an interface is for: portolan watch -i IFACE")
        }
        (ErrorKind::UnknownArgument, "watch", word) if !word.starts_with('-') => {
            Some("An interface is named after -i, and a filter stands after --: portolan watch -i eth0 -- udp port 53")
        }
        _ => None,
    }
}

/// Prints the completions for a shell.
///
/// # Errors
/// [`Stop`] if standard output cannot be written.
pub(super) fn completions(shell: Shell) -> Result<u8, Stop> {
    let mut made = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "portolan", &mut made);
    to_stdout(|out| out.write_all(&made))?;
    Ok(exit::CLEAN)
}

/// Prints the manual page, or writes those of all commands into `dir`.
///
/// # Errors
/// [`Stop`] if they cannot be written.
pub(super) fn man(dir: Option<&Path>) -> Result<u8, Stop> {
    // A page says what there is a page of.
    let mut whole = Cli::command().disable_help_subcommand(true);
    whole = whole.mut_subcommand("rules", |rules| rules.disable_help_subcommand(true));
    whole.build();
    let Some(dir) = dir else {
        to_stdout(|out| page(&whole, out))?;
        return Ok(exit::CLEAN);
    };
    if !dir.is_dir() {
        return Err(Stop::io(format!("there is no folder {}", Shown::path(dir))));
    }
    pages(&whole, dir)?;
    Ok(exit::CLEAN)
}

fn page(command: &Command, out: &mut dyn Write) -> io::Result<()> {
    // Without a date, so that the same program gives the same page.
    let mut buffer = Vec::new();
    Man::new(command.clone()).date("").manual("portolan").render(&mut buffer)?;
    out.write_all(&buffer)
}

fn pages(command: &Command, dir: &Path) -> Result<(), Stop> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    to_file(&dir.join(format!("{name}.1")), |out| page(command, out))?;
    let mut own = command.get_subcommands().filter(|command| !command.is_hide_set());
    own.try_for_each(|command| pages(command, dir))
}

/// Prints a schema.
///
/// # Errors
/// [`Stop`] if standard output cannot be written.
pub(super) fn schema(name: &str) -> Result<u8, Stop> {
    let text = SCHEMAS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text).unwrap_or_default();
    to_stdout(|out| out.write_all(text.as_bytes()))?;
    Ok(exit::CLEAN)
}

/// The names of the schemas.
pub(crate) fn schema_names() -> PossibleValuesParser {
    PossibleValuesParser::new(SCHEMAS.iter().map(|(name, _)| *name))
}
