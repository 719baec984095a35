//! `analyze --client-side --server-side`: the second capture, and both laid beside each other.
//!
//! Each is read twice, once for its flows and once for its packets; standard input cannot be.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use crate::capture::filter::Filter;
use crate::capture::source::Options;
use crate::capture::source::Source;
use crate::classify::judge::Judge;
use crate::classify::judged::CaptureFacts;
use crate::classify::vantage::Comparison;
use crate::classify::vantage::Point;
use crate::cli::analyze::capture_facts;
use crate::cli::analyze::input_row;
use crate::cli::args::AnalyzeArgs;
use crate::cli::exit::Stop;
use crate::learn::knowledge::Knowledge;
use crate::pipeline::run::Settings;
use crate::pipeline::run::run;
use crate::pipeline::trace::trace;
use crate::report::facts::InputRow;
use crate::report::names::Names;
use crate::report::vantage::Vantage;

/// The capture of the server's side.
#[derive(Debug)]
pub(super) struct Beyond {
    point: Point,
    inputs: Vec<InputRow>,
    notes: Vec<String>,
}

/// Reads the capture of the server's side, if one is named.
///
/// # Errors
/// [`Stop`] if it cannot be read.
pub(super) fn beyond(
    args: &AnalyzeArgs,
    filter: Option<&str>,
    settings: Settings,
    stop: &AtomicBool,
) -> Result<Option<Beyond>, Stop> {
    if args.server_side.is_empty() {
        return Ok(None);
    }
    let mut source = open(&args.server_side, filter)?;
    let facts = {
        let captured = run(&mut source, settings, &Knowledge::new(), stop, &mut |_| {}).map_err(Stop::io)?;
        capture_facts(&captured, source.facts())
    };
    let inputs: Vec<InputRow> = source.facts().iter().map(input_row).collect();
    let mut notes = Vec::new();
    for input in &inputs {
        if let Some(error) = &input.error {
            notes.push(format!(
                "{} is damaged at frame {}, byte offset {}: {}. Everything before that was compared.",
                input.path, error.frame, error.offset, error.message
            ));
        }
    }
    if facts.lost_share > 0.0 {
        notes.push("The server's side's capture is known to have lost packets.".to_owned());
    }
    let point = point(&args.server_side, filter, facts, args.run.max_memory, stop)?;
    Ok(Some(Beyond { point, inputs, notes }))
}

/// What the rows of the report take.
const ROWS_BYTES: u64 = 64 << 20;

/// What a capture shows, packet by packet. Each of the two has a quarter of the memory allowed, bytes, and the flows the rest.
///
/// # Errors
/// [`Stop`] if it cannot be read.
pub(super) fn point(
    inputs: &[PathBuf],
    filter: Option<&str>,
    facts: CaptureFacts,
    memory: u64,
    stop: &AtomicBool,
) -> Result<Point, Stop> {
    let room = memory.saturating_sub(ROWS_BYTES) / 4;
    let traces = trace(&mut open(inputs, filter)?, room, stop).map_err(Stop::io)?;
    Ok(Point { traces, facts })
}

fn open(inputs: &[PathBuf], filter: Option<&str>) -> Result<Source, Stop> {
    let filter = filter.map(Filter::compile).transpose().map_err(Stop::usage)?;
    Source::open(inputs, Options { filter, count: None }).map_err(Stop::io)
}

impl Beyond {
    /// Whether it was damaged.
    pub(super) fn is_damaged(&self) -> bool {
        self.inputs.iter().any(|input| input.error.is_some())
    }

    /// Lays both captures beside each other.
    pub(super) fn compare(&self, here: &Point, judge: &Judge<'_>, names: &Names<'_>) -> Vantage {
        let comparison = Comparison::new(here, &self.point);
        Vantage::build(&comparison, judge, names, self.inputs.clone(), self.notes.clone())
    }
}
