//! How long TCP handshakes took, of one service between two hosts.
//!
//! Few values are kept as they are. Many go into a histogram of bounded size, and since each of them came with a flow
//! that is larger than its share of the histogram, reports cost no more memory than the flows they are made of. Of flows
//! that are kept no more, the values that occurred stay, so coarse that they are few.

use hdrhistogram::Histogram;
use serde::Serialize;

/// So many values are kept exactly; from then on a histogram of three digits holds them.
const EXACT_MAX: usize = 256;

/// Longest handshake told apart from longer ones, microseconds: ten minutes.
const LONGEST_US: u64 = 600_000_000;

/// The values of one row.
#[derive(Debug, Default)]
pub(crate) struct Handshakes {
    exact: Vec<u32>,
    many: Option<Box<Histogram<u32>>>,
    max: u32,
}

/// What is told of them, microseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct HandshakeUs {
    /// How many connections were established with their handshake captured whole.
    pub count: u64,
    /// Half took no longer.
    pub p50: u64,
    /// Ninety-nine of a hundred took no longer.
    pub p99: u64,
    /// The longest.
    pub max: u64,
}

impl Handshakes {
    /// Adds a handshake, microseconds.
    pub(crate) fn add(&mut self, us: u32) {
        self.max = self.max.max(us);
        if let Some(many) = &mut self.many {
            many.saturating_record(u64::from(us));
            return;
        }
        self.exact.push(us);
        if self.exact.len() > EXACT_MAX
            && let Ok(mut many) = Histogram::new_with_bounds(1, LONGEST_US, 3)
        {
            for &us in &self.exact {
                many.saturating_record(u64::from(us));
            }
            self.many = Some(Box::new(many));
            self.exact = Vec::new();
        }
    }

    /// Adds so many handshakes of about the same time.
    fn add_many(&mut self, us: u32, count: u32) {
        if let Some(many) = &mut self.many {
            many.saturating_record_n(u64::from(us), count);
            self.max = self.max.max(us);
            return;
        }
        for left in (0..count).rev() {
            self.add(us);
            if self.many.is_some() {
                return self.add_many(us, left);
            }
        }
    }

    /// Adds those of flows that are kept no more.
    pub(crate) fn add_past(&mut self, past: &PastHandshakes) {
        for (us, count) in past.values() {
            self.add_many(us, count);
        }
        self.max = self.max.max(past.max);
    }

    /// Of one connection.
    pub(crate) fn of_one(us: u32) -> HandshakeUs {
        let us = u64::from(us);
        HandshakeUs { count: 1, p50: us, p99: us, max: us }
    }

    /// The summary; `None` if there were none.
    pub(crate) fn summary(&mut self) -> Option<HandshakeUs> {
        let max = u64::from(self.max);
        if let Some(many) = &self.many {
            let at = |quantile| many.value_at_quantile(quantile).min(max);
            return Some(HandshakeUs { count: many.len(), p50: at(0.5), p99: at(0.99), max });
        }
        self.exact.sort_unstable();
        let count = self.exact.len();
        // The nearest rank, as the histogram does it.
        let at = |percent: usize| {
            let rank = (count * percent).div_ceil(100).saturating_sub(1);
            self.exact.get(rank).map(|&us| u64::from(us))
        };
        Some(HandshakeUs { count: count as u64, p50: at(50)?, p99: at(99)?, max })
    }
}

/// Different values that are kept of a row. With more, each loses a binary digit.
const PAST_MAX: usize = 512;

/// The values of a row whose flows are kept no more, and how often each occurred: 4 KiB at most.
#[derive(Clone, Debug)]
pub(crate) struct PastHandshakes {
    /// In order, each the lowest of those that it stands for.
    counts: Vec<(u32, u32)>,
    /// Leading binary digits that are told apart. Within the same two powers of ten these are seven as a rule, and a
    /// value is right to one of a hundred.
    digits: u32,
    max: u32,
}

impl Default for PastHandshakes {
    fn default() -> Self {
        Self { counts: Vec::new(), digits: u32::BITS, max: 0 }
    }
}

impl PastHandshakes {
    /// Adds a handshake, microseconds; 0 is none.
    pub(crate) fn add(&mut self, us: u32) {
        if us > 0 {
            self.count(us, 1);
            self.max = self.max.max(us);
        }
    }

    /// Whether there were none.
    pub(crate) fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Adds those of another row.
    pub(crate) fn join(&mut self, other: &Self) {
        self.coarsen(other.digits);
        for &(us, count) in &other.counts {
            self.count(us, count);
        }
        self.max = self.max.max(other.max);
    }

    fn count(&mut self, us: u32, count: u32) {
        let lowest = us & !self.rest(us);
        match self.counts.binary_search_by_key(&lowest, |(value, _)| *value) {
            Ok(at) => {
                if let Some((_, counted)) = self.counts.get_mut(at) {
                    *counted = counted.saturating_add(count);
                }
            }
            Err(at) => self.counts.insert(at, (lowest, count)),
        }
        while self.counts.len() > PAST_MAX {
            self.coarsen(self.digits - 1);
        }
    }

    /// Tells no more digits apart than so many.
    fn coarsen(&mut self, digits: u32) {
        if digits >= self.digits {
            return;
        }
        self.digits = digits;
        let counts = std::mem::take(&mut self.counts);
        for (us, count) in counts {
            let lowest = us & !self.rest(us);
            match self.counts.last_mut().filter(|(value, _)| *value == lowest) {
                Some((_, counted)) => *counted = counted.saturating_add(count),
                None => self.counts.push((lowest, count)),
            }
        }
    }

    /// The digits of a value that are not told apart, all set.
    fn rest(&self, us: u32) -> u32 {
        let behind = (u32::BITS - us.leading_zeros()).saturating_sub(self.digits);
        1_u32.checked_shl(behind).unwrap_or_default().wrapping_sub(1)
    }

    /// Each in the middle of what it stands for, and how often it occurred.
    fn values(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.counts.iter().map(|&(us, count)| ((us + self.rest(us) / 2).min(self.max), count))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop here")]

    use super::*;

    fn summary(values: impl Iterator<Item = u32>) -> Option<HandshakeUs> {
        let mut handshakes = Handshakes::default();
        for us in values {
            handshakes.add(us);
        }
        handshakes.summary()
    }

    #[test]
    fn few_are_exact_and_none_is_none() {
        assert_eq!(summary([].into_iter()), None);
        assert_eq!(summary([420, 310].into_iter()), Some(HandshakeUs { count: 2, p50: 310, p99: 420, max: 420 }));
        assert_eq!(summary((1..=100).rev()), Some(HandshakeUs { count: 100, p50: 50, p99: 99, max: 100 }));
    }

    #[test]
    fn many_are_right_to_three_digits() {
        let told = summary((1..=100_000).rev()).unwrap();
        assert_eq!((told.count, told.max), (100_000, 100_000));
        assert!(told.p50.abs_diff(50_000) <= 50 && told.p99.abs_diff(99_000) <= 99, "{told:?}");
    }

    #[test]
    fn one_more_than_exact_changes_nothing_of_note() {
        for count in [256, 257] {
            let told = summary(1..=count).unwrap();
            assert_eq!(
                told,
                HandshakeUs {
                    count: u64::from(count),
                    p50: u64::from(count.div_ceil(2)),
                    p99: 254.max(u64::from((count * 99).div_ceil(100))),
                    max: u64::from(count)
                }
            );
        }
    }

    fn past(values: impl Iterator<Item = u32>) -> PastHandshakes {
        let mut past = PastHandshakes::default();
        values.for_each(|us| past.add(us));
        past
    }

    fn after(past: &PastHandshakes, now: &[u32]) -> Option<HandshakeUs> {
        let mut handshakes = Handshakes::default();
        handshakes.add_past(past);
        for us in now {
            handshakes.add(*us);
        }
        handshakes.summary()
    }

    #[test]
    fn few_of_the_past_are_exact() {
        let told = after(&past([0, 310, 420, 310].into_iter()), &[500]);
        assert_eq!(told, Some(HandshakeUs { count: 4, p50: 310, p99: 500, max: 500 }));
        assert_eq!(after(&past(std::iter::empty()), &[]), None);
    }

    #[test]
    fn many_of_the_past_are_few_and_right_to_one_of_a_hundred() {
        // Of a local network, up to the longest that there can be.
        for (low, high) in [(200, 20_000), (50_000, 60_000), (1, 255)] {
            let mut kept = past((low..high).chain((low..high).rev()));
            assert!(kept.counts.len() <= PAST_MAX, "{}", kept.counts.len());
            let (told, truth) = (after(&kept, &[]).unwrap(), summary((low..high).chain(low..high)).unwrap());
            assert_eq!((told.count, told.max), (truth.count, truth.max));
            for (told, truth) in [(told.p50, truth.p50), (told.p99, truth.p99)] {
                assert!(told.abs_diff(truth) * 100 <= truth, "{told} for {truth}");
            }
            kept.join(&past(std::iter::once(u32::MAX)));
            assert_eq!(after(&kept, &[]).unwrap().max, u64::from(u32::MAX));
        }
    }

    #[test]
    fn any_values_are_few() {
        let mut value = 1_u32;
        let spread = past((0..100_000).map(|_| {
            value = value.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            value >> (value % 31)
        }));
        assert!(spread.counts.len() <= PAST_MAX && spread.counts.is_sorted(), "{}", spread.digits);
        assert!(spread.digits >= 3, "{}", spread.digits);
    }

    #[test]
    fn it_does_not_matter_where_the_past_began() {
        let values = || (300..4_000).step_by(7);
        let whole = past(values());
        let mut parts = past(values().take(100));
        parts.join(&past(values().skip(100)));
        assert_eq!(after(&parts, &[]), after(&whole, &[]));
    }
}
