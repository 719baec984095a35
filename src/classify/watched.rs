//! For how long the capture watched.

use std::time::Duration;

use crate::classify::judged::CaptureFacts;
use crate::flow::record::Flow;
use crate::model::ids::FrameId;
use crate::model::time::Timestamp;

/// When somebody watched, and when not.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    pub(crate) facts: CaptureFacts,
    /// When the silences of the capture ended, in order: of two that overlap, the first may end last.
    resumed: Vec<Timestamp>,
}

impl Watched {
    /// During a capture of which this is known.
    pub(crate) fn new(facts: CaptureFacts) -> Self {
        let mut resumed: Vec<Timestamp> = facts.gaps.iter().map(|(_, to)| *to).collect();
        resumed.sort_unstable();
        Self { facts, resumed }
    }

    /// How long after `at`, a time of this flow, the capture went on without a gap and the ports were not used again.
    pub(crate) fn after_flow(&self, flow: &Flow, at: Timestamp) -> Duration {
        let watched = self.after(at, flow.last_frame[0].max(flow.last_frame[1]));
        if flow.superseded_after_ms == u32::MAX {
            return watched;
        }
        let own = flow.last_seen().since(at) + Duration::from_millis(u64::from(flow.superseded_after_ms));
        watched.min(own)
    }

    /// Whether watching this flow goes on: neither a gap nor another flow on its ports came after its last packet.
    pub(crate) fn goes_on(&self, flow: &Flow) -> bool {
        let after = flow.last_seen();
        let next = self.facts.gaps.partition_point(|(from, _)| *from < after);
        flow.superseded_after_ms == u32::MAX && next == self.facts.gaps.len()
    }

    /// How long after `at` the input of that frame went on without a gap. What another input saw may have been seen at
    /// another place.
    pub(crate) fn after(&self, at: Timestamp, frame: FrameId) -> Duration {
        let end = self.facts.ends.get(usize::from(frame.input())).copied().unwrap_or(self.facts.last);
        let next = self.facts.gaps.partition_point(|(from, _)| *from < at);
        let end = self.facts.gaps.get(next).map_or(end, |(from, _)| end.min(*from));
        let step = self.facts.steps.partition_point(|step| *step < (frame.input(), at));
        let own = self.facts.steps.get(step).filter(|(input, _)| *input == frame.input());
        own.map_or(end, |(_, from)| end.min(*from)).since(at)
    }

    /// Whether a flow's first frame is the first of its capture: what came before was not seen.
    pub(crate) fn at_start(&self, flow: &Flow) -> bool {
        flow.first_frame == self.facts.first_frame || self.resumed.binary_search(&flow.first).is_ok()
    }
}
