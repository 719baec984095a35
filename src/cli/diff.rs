//! `portolan diff`: two reports in, what changed between them out.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::path::PathBuf;

use crate::cli::args::DiffArgs;
use crate::cli::exit;
use crate::cli::exit::Stop;
use crate::cli::output::check_apart;
use crate::cli::output::check_place;
use crate::cli::output::each_of;
use crate::cli::output::outcome_to_stdout;
use crate::cli::output::to_file;
use crate::cli::output::unknown_extension;
use crate::report::Tool;
use crate::report::diff::Diff;
use crate::report::diff_pages::DiffFormat;
use crate::report::diff_pages::FORMATS;
use crate::report::sanitise::Shown;
use crate::report::saved;
use crate::report::saved::SavedError;
use crate::report::saved::SavedReport;

/// Runs the command and says how the program ends.
///
/// # Errors
/// [`Stop`] when it could not start, read or write.
pub fn diff(args: &DiffArgs) -> Result<u8, Stop> {
    let format = FORMATS.iter().find(|format| format.name == args.format);
    let format = format.ok_or_else(|| Stop::usage(format!("no format {:?}", args.format)))?;
    let place = |path: &PathBuf| {
        check_place(path)?;
        Ok((path.clone(), format_of_file(path)?))
    };
    let files: Result<Vec<_>, Stop> = args.output.iter().map(place).collect();
    let files = files?;
    check_apart(files.iter().map(|(path, _)| path), [&args.before, &args.after])?;
    let (before, after) = (read(&args.before)?, read(&args.after)?);
    let diff = Diff::of(&before, &after, Tool::this());
    let written = files.into_iter().map(|(path, format)| to_file(&path, |out| (format.write)(&diff, out)));
    let printed = std::iter::once_with(|| outcome_to_stdout(|out| (format.write)(&diff, out)));
    each_of(written.chain(printed))?;
    if args.fail_on.iter().any(|kind| diff.has(*kind)) {
        return Ok(exit::FINDINGS);
    }
    Ok(if diff.blind && !args.fail_on.is_empty() { exit::DAMAGED } else { exit::CLEAN })
}

/// Reads a report.
///
/// # Errors
/// [`Stop`]: the file cannot be read, or is no report.
pub(super) fn read(path: &Path) -> Result<SavedReport, Stop> {
    let file = File::open(path).map_err(|error| Stop::io(format!("cannot read {}: {error}", Shown::path(path))))?;
    saved::read(BufReader::new(file)).map_err(|error| match &error {
        SavedError::Json(json) if json.is_io() => Stop::io(format!("cannot read {}: {json}", Shown::path(path))),
        _ => Stop::usage(format!("{}: {error}", Shown::path(path))),
    })
}

fn format_of_file(path: &Path) -> Result<&'static DiffFormat, Stop> {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let format = FORMATS.iter().find(|format| format.extension == extension.to_ascii_lowercase());
    format.ok_or_else(|| unknown_extension(path, FORMATS.iter().map(|format| format.extension)))
}
