//! `analyze -w`: the packets of findings as pcapng, with a comment on each.
//!
//! The captures are read a second time, once it is known which flows have a finding; standard input cannot be.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::HashSet;
use std::io;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use foldhash::quality::RandomState;

use crate::capture::batch::LinkType;
use crate::capture::facts::InputFacts;
use crate::capture::filter::Filter;
use crate::capture::source::Options;
use crate::capture::source::Source;
use crate::capture::write;
use crate::capture::write::Interface;
use crate::capture::write::Kept;
use crate::classify::judge::Judge;
use crate::cli::exit::Stop;
use crate::cli::output::to_file;
use crate::model::addr::FlowKey;
use crate::model::ids::FrameId;
use crate::model::time::Timestamp;
use crate::pipeline::evidence::Passing;
use crate::pipeline::evidence::each_packet;
use crate::report::Report;
use crate::report::evidence::PACKETS_MAX;
use crate::report::evidence::comment;
use crate::report::evidence::first_comment;
use crate::report::findings::Story;
use crate::report::sanitise::Shown;

/// Flows whose packets are looked for; those of further ones are not written.
const FLOWS_MAX: usize = 1 << 20;

/// What was read, to be read again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Again<'a> {
    pub(super) inputs: &'a [PathBuf],
    pub(super) filter: Option<&'a str>,
    pub(super) count: Option<u64>,
    pub(super) facts: &'a [InputFacts],
}

/// Whether captures can be read a second time, as `who` does.
///
/// # Errors
/// [`Stop`] if one is a pipe or standard input.
pub(super) fn check_lasting<'p>(paths: impl IntoIterator<Item = &'p PathBuf>, who: &str) -> Result<(), Stop> {
    for path in paths {
        let passing =
            path == Path::new("-") || std::fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir());
        if passing {
            return Err(Stop::usage(format!(
                "{who} reads its captures a second time, which {} does not allow; write it to a file first",
                Shown::path(path)
            )));
        }
    }
    Ok(())
}

/// Writes the packets of the report's findings to `path`.
///
/// # Errors
/// [`Stop`] if a capture cannot be read, or the file not written.
pub(super) fn write(
    path: &Path,
    again: Again<'_>,
    report: &Report<'_>,
    judge: &Judge<'_>,
    stop: &AtomicBool,
) -> Result<(), Stop> {
    let filter = again.filter.map(Filter::compile).transpose().map_err(Stop::usage)?;
    let options = Options { filter, count: again.count };
    let mut source = Source::open(again.inputs, options).map_err(Stop::io)?;
    let mut wanted = Wanted::of(report, judge);
    to_file(path, |out| {
        out.write_all(&write::section(&[]))?;
        let mut writer = Writer { out, interfaces: BTreeMap::new(), facts: again.facts, written: HashMap::default() };
        each_packet(&mut source, stop, &mut |passing| {
            let Some(place) = wanted.place(&passing) else { return Ok(()) };
            writer.packet(place, passing, report)
        })
        .map_err(io::Error::other)?;
        if stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("stopped by an interrupt"));
        }
        Ok(())
    })
}

/// Which packets belong to which finding.
#[derive(Default)]
struct Wanted {
    flows: HashMap<FlowKey, Vec<Span>, RandomState>,
    /// Frames that told a client its port.
    told: HashMap<FrameId, usize, RandomState>,
    seen: HashSet<FrameId, RandomState>,
}

/// A flow of a finding: from its first packet to its last.
struct Span {
    first: Timestamp,
    last: Timestamp,
    finding: usize,
}

impl Wanted {
    fn of(report: &Report<'_>, judge: &Judge<'_>) -> Self {
        let places: HashMap<Story, usize> = report.findings.stories().copied().zip(0..).collect();
        let wholes: Vec<Option<usize>> =
            judge.collapses().iter().map(|whole| places.get(&Story::of_whole(whole)).copied()).collect();
        let mut wanted = Self::default();
        for judged in judge.flows() {
            let own = Story::of(&judged).and_then(|story| places.get(&story).copied());
            let whole = judged.collapse.and_then(|index| wholes.get(index).copied().flatten());
            let Some(finding) = own.or(whole) else { continue };
            if wanted.flows.len() >= FLOWS_MAX {
                break;
            }
            let span = Span { first: judged.flow.first, last: judged.flow.last_seen(), finding };
            wanted.flows.entry(judged.flow.key).or_default().push(span);
            if let Some(guess) = judged.rpc.filter(|guess| guess.learned.is_some()) {
                wanted.told.entry(guess.learned).or_insert(finding);
            }
        }
        wanted
    }

    /// The finding that a packet belongs to.
    fn place(&mut self, passing: &Passing<'_>) -> Option<usize> {
        let (at, id) = (passing.frame.ts, passing.frame.id);
        let spans = self.flows.get(&passing.key).into_iter().flatten();
        // An error about a flow may come after its last packet.
        let mut holding = spans.filter(|span| span.first <= at && (at <= span.last || passing.is_error));
        let own = holding.next_back().map(|span| span.finding).or_else(|| self.told.get(&id).copied());
        own.filter(|_| self.seen.insert(id))
    }
}

struct Writer<'a> {
    out: &'a mut dyn Write,
    /// The place of the interface for each input and link type.
    interfaces: BTreeMap<(u16, LinkType), u32>,
    facts: &'a [InputFacts],
    written: HashMap<usize, u32, RandomState>,
}

impl Writer<'_> {
    fn packet(&mut self, place: usize, passing: Passing<'_>, report: &Report<'_>) -> io::Result<()> {
        let count = self.written.entry(place).or_default();
        *count += 1;
        let number = *count;
        if number > PACKETS_MAX {
            return Ok(());
        }
        let Some(finding) = report.findings.get(place) else { return Ok(()) };
        let frame = passing.frame;
        let name = report.findings.names().frame(frame.id).to_string();
        let tell = if number == 1 { first_comment } else { comment };
        let kept = Kept {
            interface: self.interface(frame.id.input(), frame.link)?,
            ts: frame.ts,
            wire_len: frame.wire_len,
            bytes: passing.bytes.into(),
        };
        let mut block = Vec::new();
        write::packet(&mut block, &kept, &tell(&finding, place as u64 + 1, &name));
        self.out.write_all(&block)
    }

    /// The place of an interface in the file; it is described when its first packet comes.
    fn interface(&mut self, input: u16, link: LinkType) -> io::Result<u32> {
        if let Some(place) = self.interfaces.get(&(input, link)) {
            return Ok(*place);
        }
        let facts = self.facts.get(usize::from(input));
        let name = facts.map(|facts| facts.path.clone()).unwrap_or_default();
        let snaplen = facts.and_then(|facts| facts.snaplen).unwrap_or(0);
        let mut block = Vec::new();
        write::interface(&mut block, &Interface { name, link, snaplen });
        self.out.write_all(&block)?;
        let place = u32::try_from(self.interfaces.len()).unwrap_or(u32::MAX);
        self.interfaces.insert((input, link), place);
        Ok(place)
    }
}
