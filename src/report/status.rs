//! How a run that goes on is doing: what came, what was lost and where, what is known by now.
//!
//! Filled in by whoever runs it. Serialises as part of schema `portolan/event/1`.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use crate::report::Report;
use crate::report::ledger::Ledger;
use crate::report::moment::Moment;
use crate::report::sanitise::Shown;

/// Frames since the start. `arrived` is the sum of all others.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct FrameCounts {
    /// Frames that came to the interface, as far as anybody counted.
    pub arrived: u64,
    /// Frames that were decoded, or skipped for a reason that is counted.
    pub parsed: u64,
    /// Frames that do not match the filter; the difference of two counts that are not taken at the same instant.
    pub filtered: u64,
    /// Frames that wait in the kernel or for older ones.
    pub waiting: u64,
    /// Frames lost between capture and analysis; there is no queue, so none.
    pub dropped_by_queue: u64,
    /// Frames for which the kernel's buffer had no room.
    pub dropped_by_kernel: u64,
    /// Frames for which the interface had no room.
    pub dropped_by_interface: u64,
}

impl FrameCounts {
    /// All that was lost.
    pub fn dropped(&self) -> u64 {
        self.dropped_by_queue + self.dropped_by_kernel + self.dropped_by_interface
    }
}

/// One interface.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Interface {
    /// Its name, as given by the person.
    pub name: Shown,
    /// `up`, `down` or `gone`.
    pub state: &'static str,
    /// Since when.
    pub since: Moment,
    /// Why it cannot be read, if it should be.
    pub fault: Option<Shown>,
    /// Frames that the kernel took from it, those lost included.
    pub received: u64,
    /// Frames for which the kernel's buffer had no room.
    pub dropped_by_kernel: u64,
    /// Frames for which the interface had no room.
    pub dropped_by_interface: u64,
}

/// How the run is doing.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Status {
    /// The time of day; the line that tells it says so already.
    #[serde(skip)]
    pub at: Moment,
    /// When it began to watch.
    pub started: Moment,
    /// Every frame before this time has been judged.
    pub judged_until: Moment,
    /// Frames since the start.
    pub frames: FrameCounts,
    /// Frames a second, of the time since the last status.
    pub frames_per_second: u64,
    /// Bits a second on the wire, of the same time.
    pub bits_per_second: u64,
    /// The interfaces.
    pub interfaces: Vec<Interface>,
    /// Share of frames lost in the time that flows are kept, 0.0 to 1.0: above 0 no failure is more than probable, above
    /// 0.01 no more than possible.
    pub lost_share: f64,
    /// Acknowledgements of data that was not captured: what neither kernel nor interface could count.
    pub acked_unseen: u64,
    /// Whether the mirror as a whole shows one direction only.
    pub asymmetric: bool,
    /// Flows kept with all their detail.
    pub flows_active: u64,
    /// Of these, what is too early to judge.
    pub flows_pending: u64,
    /// Flows seen since the start.
    pub flows: u64,
    /// Flows given up for lack of room.
    pub flows_evicted: u64,
    /// Flows that were silent so long that they were added to the totals.
    pub flows_expired: u64,
    /// Host pairs.
    pub pairs: u64,
    /// Findings that are open now, by kind.
    pub findings: BTreeMap<&'static str, u64>,
    /// Findings of the newest judgement for which there is no room.
    pub findings_not_kept: u64,
    /// Milliseconds that the newest judgement took.
    pub judged_in_ms: u64,
}

impl Status {
    /// The state of health as one line for people.
    pub fn line(&self) -> String {
        let frames = &self.frames;
        let mut line = format!(
            "{} frames ({}/s, {}), {} flows, {} pairs",
            frames.parsed,
            self.frames_per_second,
            rate(self.bits_per_second),
            self.flows_active,
            self.pairs
        );
        let losses = [
            (frames.filtered, "filtered"),
            (frames.waiting, "waiting"),
            (frames.dropped_by_kernel, "dropped by kernel"),
            (frames.dropped_by_interface, "dropped by interface"),
            (frames.dropped_by_queue, "dropped by queue"),
            (self.acked_unseen, "acknowledged and not seen"),
            (self.findings_not_kept, "FINDINGS NOT TOLD for lack of room"),
        ];
        // Writing to a string cannot fail.
        for (count, what) in losses.into_iter().filter(|(count, _)| *count > 0) {
            write!(line, ", {count} {what}").ok();
        }
        if self.asymmetric {
            line.push_str(", ONE DIRECTION ONLY");
        }
        for interface in self.interfaces.iter().filter(|interface| interface.state != "up") {
            write!(line, ", {} is {}", interface.name.as_str(), interface.state).ok();
        }
        for (kind, count) in &self.findings {
            write!(line, ", {count} {}", kind.replace('_', " ")).ok();
        }
        line
    }
}

/// Bits a second with a unit.
pub(crate) fn rate(bits: u64) -> String {
    match bits {
        0..1_000 => format!("{bits} bit/s"),
        1_000..1_000_000 => format!("{} kbit/s", bits / 1_000),
        1_000_000..10_000_000_000 => format!("{} Mbit/s", bits / 1_000_000),
        _ => format!("{} Gbit/s", bits / 1_000_000_000),
    }
}

/// Everything there is to show at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot<'a> {
    /// The report as if the run ended now; what may still change is `pending` in it.
    pub report: &'a Report<'a>,
    /// How the run is doing.
    pub status: &'a Status,
    /// The findings with their lives, those that are over included.
    pub ledger: &'a Ledger,
}
