//! What is not final yet while a capture goes on: a failure that its next packets could still take back.
//!
//! A file is judged as it ends. Here the very same verdict is held back until the time is over in which an answer, a
//! retry or a fall-back would change it; SEMANTICS names these times. It must never turn one verdict into another.

use std::time::Duration;

use crate::classify::thresholds as limit;
use crate::classify::verdict::Outcome;
use crate::classify::verdict::Reason;
use crate::classify::verdict::Verdict;
use crate::flow::icmp::IcmpSeen;
use crate::flow::record::Flow;
use crate::model::time::Timestamp;

/// What is known of a flow's time.
pub(crate) struct Clock {
    /// How long the capture went on after the flow's newest SYN, without a gap.
    pub(crate) after_syn: Duration,
    /// The same after its last packet.
    pub(crate) after_last: Duration,
    /// The same after the RST or ICMP error that ended it.
    pub(crate) after_no: Duration,
    /// Whether watching goes on where it was last watched: no gap and no other flow on its ports came between.
    pub(crate) goes_on: bool,
    /// The service also speaks TCP, which a client may turn to.
    pub(crate) may_fall_back: bool,
}

/// Whether the verdict may still change by what comes next.
pub(crate) fn is_pending(flow: &Flow, verdict: &Verdict, clock: &Clock) -> bool {
    if !clock.goes_on {
        return false;
    }
    match verdict.outcome {
        Outcome::Unknown => verdict.reason == Reason::EdgeEnd,
        // T1 to T5: in a file three SYNs suffice if it ends; here the last of them may still be answered.
        Outcome::Dropped => {
            let gap = Duration::from_millis(u64::from(flow.syn_gap_ms) * 3 / 2);
            clock.after_syn < limit::SYN_WAIT_MIN.max(gap).min(limit::SYN_WAIT_RUNNING)
        }
        // T10 and T25: the host may answer all the same, or the client may try again.
        Outcome::Refused | Outcome::Rejected => clock.after_no < limit::SYN_WAIT_MIN,
        // U4: TCP may work instead.
        Outcome::Unanswered => clock.may_fall_back && clock.after_last < limit::FALLBACK_WAIT,
        _ => false,
    }
}

/// When the flow was last told no: its RST, its ICMP error, or its last packet.
pub(crate) fn told_no(flow: &Flow, icmp: Option<&IcmpSeen>) -> Timestamp {
    if flow.reset.frame.is_some() {
        return flow.reset.ts;
    }
    icmp.map_or(flow.last_seen(), |icmp| icmp.ts)
}
