//! What became of the frames: counted, lost, not there.

use std::collections::VecDeque;
use std::time::Duration;

use crate::capture::device::RingCounts;
use crate::capture::facts::Format as Container;
use crate::capture::facts::InputFacts;
use crate::model::time::Timestamp;
use crate::pipeline::live::RingReport;
use crate::pipeline::run::SILENCE;
use crate::report::facts::Health;
use crate::report::facts::RunFacts;
use crate::report::moment::Moment;
use crate::report::status::FrameCounts;

/// Samples of what was lost, one for each judgement that is this far from the one before.
const LOSS_SAMPLE: Duration = Duration::from_secs(10);

/// What was lost until a time.
#[derive(Clone, Copy, Debug, Default)]
struct Lost {
    at: Timestamp,
    seen: u64,
    missed: u64,
}

/// What was lost lately. A loss of last week says nothing of today: shares are of the time for which flows are kept.
pub(super) struct Losses {
    started: Timestamp,
    keep: Duration,
    samples: VecDeque<Lost>,
}

impl Losses {
    /// None so far.
    pub(super) fn new(started: Timestamp, keep: Duration) -> Self {
        Self { started, keep, samples: VecDeque::new() }
    }

    /// Remembers what was seen and missed in all until a time.
    pub(super) fn add(&mut self, at: Timestamp, rings: &[RingReport], acked_unseen: u64) {
        let dropped = rings.iter().map(|ring| ring.counts.dropped_by_kernel + ring.counts.dropped_by_interface);
        let missed = dropped.sum::<u64>() + acked_unseen;
        let sample = Lost { at, seen: rings.iter().map(|ring| ring.counts.read).sum(), missed };
        if self.samples.len() > 1
            && self.samples.iter().rev().nth(1).is_some_and(|before| at.since(before.at) < LOSS_SAMPLE)
        {
            self.samples.pop_back();
        }
        self.samples.push_back(sample);
        let kept = at.minus(self.keep);
        while self.samples.get(1).is_some_and(|next| next.at < kept) {
            self.samples.pop_front();
        }
    }

    /// The part of all that there was which was lost, 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 52 bits")]
    pub(super) fn share(&self) -> f64 {
        let Some(newest) = self.samples.back() else { return 0.0 };
        // Until the first sample is too old, all of it counts.
        let young = newest.at.since(self.started) <= self.keep;
        let oldest = self.samples.front().copied().filter(|_| !young).unwrap_or_default();
        let (seen, lost) =
            (newest.seen - oldest.seen.min(newest.seen), newest.missed - oldest.missed.min(newest.missed));
        if lost == 0 { 0.0 } else { lost as f64 / (seen + lost) as f64 }
    }
}

/// What became of all frames of these interfaces, `parsed` of which were decoded.
pub(super) fn frame_counts(interfaces: &[String], rings: &[RingReport], parsed: u64) -> FrameCounts {
    let mut sum = RingCounts::default();
    for ring in rings {
        sum.add(&ring.counts);
    }
    let mut filtered = 0;
    for name in interfaces {
        let own = || rings.iter().filter(|ring| ring.interface == *name);
        let received = own().map(|ring| ring.counts.received).sum::<u64>();
        filtered += own().find_map(|ring| ring.carried).map_or(0, |carried| carried.saturating_sub(received));
    }
    let waiting = sum.received.saturating_sub(sum.dropped_by_kernel).saturating_sub(parsed);
    FrameCounts {
        arrived: parsed + filtered + waiting + sum.dropped_by_kernel + sum.dropped_by_interface,
        parsed,
        filtered,
        waiting,
        dropped_by_queue: 0,
        dropped_by_kernel: sum.dropped_by_kernel,
        dropped_by_interface: sum.dropped_by_interface,
    }
}

/// What had been counted when the report began anew.
#[derive(Default)]
pub(super) struct Before {
    at: Timestamp,
    health: Health,
    /// Frames and bytes of each input.
    inputs: Vec<(u64, u64)>,
}

impl Before {
    /// All that was counted until a time, but flows that are in the next report, too.
    pub(super) fn of(at: Timestamp, run: &RunFacts, health: &Health, flows_kept: u64) -> Self {
        let health = Health { flows: health.flows.saturating_sub(flows_kept), ..health.clone() };
        Self { at, health, inputs: run.inputs.iter().map(|input| (input.frames, input.bytes)).collect() }
    }

    /// Leaves what was counted since.
    pub(super) fn leave_since(&self, run: &mut RunFacts, health: &mut Health) {
        health.leave_since(&self.health);
        for (input, (frames, bytes)) in run.inputs.iter_mut().zip(&self.inputs) {
            input.frames = input.frames.saturating_sub(*frames);
            input.bytes = input.bytes.saturating_sub(*bytes);
            input.first = input.first.map(|first| first.max(Moment(self.at)));
            // What came last came before.
            if input.frames == 0 {
                (input.first, input.last) = (None, None);
            }
        }
    }
}

/// When the last frame came, and until when somebody watched.
///
/// Frames of before the clock was set back are of the future. They say nothing of how long anybody waited since, so that
/// neither time is later than `now`.
pub(super) fn heard_and_watched(newest: Timestamp, seen_until: Timestamp, now: Timestamp) -> (Timestamp, Timestamp) {
    // A link on which nothing comes is watched all the same, up to a silence that may be the end of the mirror.
    let end = seen_until.min(newest.plus(SILENCE));
    (newest.min(now), newest.max(end).min(now))
}

/// A ring as an input of the run.
pub(super) fn input_facts(ring: &RingReport) -> InputFacts {
    InputFacts {
        path: ring.name.clone(),
        format: Some(Container::Live),
        link_types: vec![ring.link],
        frames: ring.counts.read,
        bytes: ring.counts.bytes,
        first: ring.span.map(|(first, _)| first),
        last: ring.span.map(|(_, last)| last),
        snaplen: Some(ring.snaplen),
        dropped: ring.counts.dropped_by_kernel + ring.counts.dropped_by_interface,
        out_of_order: ring.counts.out_of_order,
        cut_frames: ring.counts.cut,
        ..InputFacts::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_watched_through_a_short_silence_and_never_into_the_future() {
        let at = |seconds: u64| Timestamp(seconds * 1_000_000_000);
        // Frames that came just now, a silence, a long one.
        assert_eq!(heard_and_watched(at(100), at(99), at(101)), (at(100), at(100)));
        assert_eq!(heard_and_watched(at(100), at(120), at(121)), (at(100), at(120)));
        assert_eq!(heard_and_watched(at(100), at(500), at(501)), (at(100), at(130)));
        // The clock was set back by an hour: a SYN of this second has waited for none.
        assert_eq!(heard_and_watched(at(3700), at(3700), at(101)), (at(101), at(101)));
        assert_eq!(heard_and_watched(at(3700), at(101), at(101)), (at(101), at(101)));
    }
}
