//! What a watch decides before the first frame: interfaces, rules, filter, files.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::capture::device;
use crate::capture::device::Ring;
use crate::capture::error::CaptureError;
use crate::capture::write;
use crate::catalogue::Catalogue;
use crate::cli::analyze::catalogue;
use crate::cli::analyze::filter_text;
use crate::cli::analyze::format_by_name;
use crate::cli::analyze::format_of_file;
use crate::cli::analyze::is_of_packets;
use crate::cli::args::WatchArgs;
use crate::cli::exit;
use crate::cli::exit::Stop;
use crate::cli::output::Target;
use crate::cli::output::check_apart;
use crate::cli::output::check_place;
use crate::cli::output::to_stdout;
use crate::cli::privilege::Needs;
use crate::cli::privilege::may_open;
use crate::report::format::Format;
use crate::report::sanitise::Shown;

/// Everything decided before the first frame.
pub(super) struct Plan<'a> {
    pub(super) args: &'a WatchArgs,
    pub(super) interfaces: Vec<String>,
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) filter: Option<String>,
    pub(super) stdout: Option<&'static Format>,
    pub(super) files: Vec<(Target, &'static Format)>,
    /// Where the packets of findings go.
    pub(super) record: Option<PathBuf>,
}

/// The interfaces as a file of packets names them, in the order of their numbers.
pub(super) fn interfaces(readers: &[Vec<Ring>]) -> Vec<write::Interface> {
    let mut rings: Vec<&Ring> = readers.iter().flatten().collect();
    rings.sort_by_key(|ring| ring.input());
    let interface = |ring: &&Ring| write::Interface { name: ring.name(), link: ring.link(), snaplen: ring.snaplen() };
    rings.iter().map(interface).collect()
}

/// What must stay possible without rights.
pub(super) fn needs(plan: &Plan<'_>) -> Needs {
    let folder = |path: &Path| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        folder.unwrap_or(Path::new(".")).to_path_buf()
    };
    let named = plan.args.judge.by.rules.iter().chain(&plan.args.judge.by.site);
    // A link is followed to its end. An editor replaces a file by another one in its folder.
    let ends = named.flat_map(|path| [Some(path.clone()), fs::canonicalize(path).ok()]).flatten();
    let read = ends.map(|path| if path.is_dir() { path } else { folder(&path) }).collect();
    let written = plan.files.iter().map(|(file, _)| file.path()).chain(&plan.record).cloned().collect();
    Needs { written, read }
}

/// Prints the interfaces that there are.
pub(super) fn list() -> Result<u8, Stop> {
    let all = device::list().map_err(Stop::io)?;
    to_stdout(|out| {
        for (number, listed) in (1..).zip(&all) {
            let state = match (listed.up, listed.running) {
                (true, true) => "up",
                (true, false) => "up, no carrier",
                (false, _) => "down",
            };
            let about = listed.description.iter().chain(&listed.addresses).cloned().collect::<Vec<_>>().join(", ");
            writeln!(
                out,
                "{number}. {} ({state}) {}",
                Shown::text(&listed.name).as_str(),
                Shown::text(&about).as_str()
            )?;
        }
        Ok(())
    })?;
    Ok(exit::CLEAN)
}

/// Decides it.
pub(super) fn decide(args: &WatchArgs) -> Result<Plan<'_>, Stop> {
    let place = |path: &PathBuf| {
        check_place(path)?;
        Ok((Target::at(path), format_of_file(path)?))
    };
    // The extension says that packets are meant, as -w does.
    let (packets, reports): (Vec<_>, Vec<_>) = args.output.iter().partition(|path| is_of_packets(path));
    let mut records = args.record.iter().chain(packets);
    let record = records.next().cloned();
    if let Some(second) = records.next() {
        let second = Shown::path(second);
        return Err(Stop::usage(format!("packets of findings go to one file only: {second} is a second (-w, -o)")));
    }
    let files = reports.into_iter().map(place).collect::<Result<Vec<_>, Stop>>()?;
    if args.rotate.is_some() && files.is_empty() {
        return Err(Stop::usage("--rotate writes reports: name a file for one, such as -o report.json"));
    }
    record.iter().try_for_each(|path| check_place(path))?;
    let written = files.iter().map(|(file, _)| file.path()).chain(&record);
    check_apart(written, args.judge.by.site.iter().chain(&args.filter.filter_file))?;
    Ok(Plan {
        args,
        interfaces: chosen(&args.interface)?,
        catalogue: Arc::new(catalogue(&args.judge)?),
        filter: filter_text(&args.filter)?,
        stdout: args.format.as_deref().map(format_by_name).transpose()?,
        files,
        record,
    })
}

/// The interfaces that are meant. Frames that came twice would count twice.
fn chosen(wanted: &[String]) -> Result<Vec<String>, Stop> {
    let mut interfaces: Vec<String> = Vec::new();
    for name in wanted {
        let none = |error| Stop::io(format!("{error}; portolan watch -D lists those that there are"));
        let interface = device::find(name).map_err(none)?;
        if interfaces.contains(&interface) {
            return Err(Stop::usage(format!("{interface} is named twice (-i)")));
        }
        interfaces.push(interface);
    }
    if interfaces.len() > 1 && interfaces.iter().any(|name| name == device::ALL) {
        return Err(Stop::usage(format!("\"{}\" is every interface: name no other beside it (-i)", device::ALL)));
    }
    Ok(interfaces)
}

/// Opens every interface as often as there are readers.
pub(super) fn open(plan: &Plan<'_>) -> Result<Vec<Vec<Ring>>, Stop> {
    let args = plan.args;
    let options = device::Options {
        snaplen: args.snaplen,
        buffer: args.buffer_size,
        promiscuous: !args.no_promiscuous,
        immediate: args.immediate,
        filter: plan.filter.clone(),
    };
    let mut readers: Vec<Vec<Ring>> = (0..args.threads).map(|_| Vec::new()).collect();
    for (place, name) in (0..).zip(&plan.interfaces) {
        let mut group = None;
        for (member, reader) in (0..).zip(&mut readers) {
            let input = place * args.threads + member;
            let share = group.map_or(device::Share::First, device::Share::Joins);
            let ring = Ring::open(name, input, (args.threads > 1).then_some(share), &options);
            let ring = ring.map_err(|error| match error {
                CaptureError::Filter { .. } => Stop::usage(error),
                error if may_open() => Stop::io(error),
                error => Stop::io(format!("{error}; run it as root, or give it the right: setcap cap_net_raw+ep")),
            })?;
            group = ring.group();
            reader.push(ring);
        }
    }
    Ok(readers)
}
