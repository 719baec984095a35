//! How long TCP handshakes took, of one service between two hosts.
//!
//! Few values are kept as they are. Many go into a histogram of bounded size, and since each of them came with a flow
//! that is larger than its share of the histogram, reports cost no more memory than the flows they are made of.

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
}
