//! `portolan rules export`: firewall rules from the documents' rows, or from what a report saw used.

use crate::catalogue::load;
use crate::cli::args::ExportArgs;
use crate::cli::diff;
use crate::cli::exit;
use crate::cli::exit::Stop;
use crate::cli::output::to_stderr;
use crate::cli::output::to_stdout;
use crate::report::Tool;
use crate::report::firewall::Rules;
use crate::report::firewall::by_name;
use crate::report::permits::Permits;
use crate::report::sanitise::Shown;

/// Runs the command and says how the program ends.
///
/// # Errors
/// [`Stop`] when it could not start, read or write, or there is nothing to write.
pub fn export(args: &ExportArgs) -> Result<u8, Stop> {
    let target = by_name(&args.to).ok_or_else(|| Stop::usage(format!("no target {:?}", args.to)))?;
    let catalogue = load(&args.by.load_options()).map_err(|faults| {
        let code = if faults.is_unreadable() { exit::IO } else { exit::USAGE };
        Stop { code, message: faults.to_string() }
    })?;
    let permits = match &args.from {
        Some(path) => Permits::of_report(&diff::read(path)?, &catalogue),
        None if args.by.site.is_none() => {
            return Err(Stop::usage(
                "rows speak of roles, and a firewall of addresses: name a site file with --site, or a report with --from",
            ));
        }
        None => Permits::of_rows(&catalogue),
    };
    if permits.is_empty() {
        let why: Vec<String> = permits.left_out.iter().map(|what| format!("\n  {what}")).collect();
        return Err(Stop::usage(format!("there is nothing to let through{}", why.concat())));
    }
    for what in &permits.left_out {
        to_stderr(format_args!("portolan: left out: {}", Shown::text(what)));
    }
    let Tool { name, version } = Tool::this();
    let rules = Rules { permits: &permits, catalogue: &catalogue, maker: format!("{name} {version}") };
    to_stdout(|out| (target.write)(&rules, out))?;
    Ok(exit::CLEAN)
}
