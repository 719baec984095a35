//! The time of day, which somebody may set, and processor time.

use std::time::Duration;
use std::time::Instant;

use nix::time::ClockId;
use nix::time::clock_gettime;

use crate::model::time::Timestamp;
use crate::pipeline::live::now;

/// The clock runs faster or slower by much less than this between two looks; beyond, somebody set it, or the machine slept.
const CLOCK_SET: Duration = Duration::from_secs(1);

/// What this thread has used of a processor.
pub(super) fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// The clock, as it was when last looked at.
pub(super) struct Clock {
    looked: Instant,
    at: Timestamp,
}

/// That the clock was set: what it should have said, and what it says.
#[derive(Clone, Copy)]
pub(super) struct Jump {
    pub(super) expected: Timestamp,
    pub(super) at: Timestamp,
}

impl Jump {
    /// Whether it was set forward, and by how much it was set.
    pub(super) fn way(&self) -> (bool, Duration) {
        let (ahead, behind) = (self.at.since(self.expected), self.expected.since(self.at));
        (ahead > behind, ahead.max(behind))
    }
}

impl Clock {
    /// A clock that says `at` now.
    pub(super) fn new(at: Timestamp) -> Self {
        Self { looked: Instant::now(), at }
    }

    /// Whether it was set since it was last looked at.
    pub(super) fn look(&mut self) -> Option<Jump> {
        let (expected, at) = (self.at.plus(self.looked.elapsed()), now());
        *self = Self::new(at);
        let jump = Jump { expected, at };
        (jump.way().1 >= CLOCK_SET).then_some(jump)
    }
}
