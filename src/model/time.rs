//! Packet time. Nothing below `cli` asks the machine what time it is.

use std::time::Duration;

use bytemuck::Pod;
use bytemuck::Zeroable;

/// Nanoseconds since 1970-01-01T00:00:00Z, as the capture says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord, Default, Pod, Zeroable)]
#[repr(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// How long after `earlier`; zero if it was not (captures do run backwards).
    #[inline]
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This much later.
    #[inline]
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// This much earlier, the beginning of time at the earliest.
    #[inline]
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}
