//! Data that was acknowledged before it was captured: whether it comes yet, or the capture lost it.

use std::time::Duration;

use crate::model::addr::Side;
use crate::model::time::Timestamp;

/// Two taps, or two queues of one, may show an answer so long before its question.
pub(crate) const ANSWER_EARLY: Duration = Duration::from_millis(50);

/// Data of one end that the other acknowledged before it was captured. Two taps, or two queues of one, show it soon after;
/// else the capture lost it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Hole {
    /// The sequence number of the first byte.
    pub(crate) from: u32,
    /// How many bytes; 0 if there is no hole.
    pub(crate) len: u16,
    /// When they were acknowledged, milliseconds, the low 16 bits.
    pub(crate) at_ms: u16,
    /// By how many acknowledgements.
    pub(crate) acks: u8,
    /// Whether the high end sent them.
    pub(crate) of_high: bool,
}

impl Hole {
    /// Whether there is one.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.len > 0
    }

    /// Notes that `side` sent the bytes up to `to`, from `from` on, as was acknowledged just now.
    pub(crate) fn acknowledged(&mut self, side: Side, from: u32, to: u32, ts: Timestamp) {
        let of_high = side == Side::High;
        let goes_on = self.is_open() && self.of_high == of_high && self.is_young(ts);
        let before = if goes_on && self.from.wrapping_add(self.len.into()) == from { *self } else { Self::default() };
        let from = if before.is_open() { before.from } else { from };
        // One of a great many is not remembered: it stays counted as lost.
        let len = u16::try_from(to.wrapping_sub(from)).unwrap_or(0);
        *self = Self { from, len, at_ms: low_ms(ts), acks: before.acks.saturating_add(1), of_high };
    }

    /// Takes data that comes after its acknowledgement: whether it does, and how many acknowledgements all the data of
    /// which was captured by now.
    pub(crate) fn fill(&mut self, side: Side, seq: u32, len: u32, ts: Timestamp) -> Option<u8> {
        if !self.is_young(ts) {
            *self = Self::default();
        }
        if !self.is_open() || self.of_high != (side == Side::High) || seq != self.from {
            return None;
        }
        let left = u16::try_from(u32::from(self.len).saturating_sub(len)).unwrap_or_default();
        if left > 1 {
            *self = Self { from: seq.wrapping_add(len), len: left, ..*self };
            return Some(0);
        }
        // The one that is left may be of a FIN.
        Some(std::mem::take(self).acks)
    }

    fn is_young(&self, ts: Timestamp) -> bool {
        u128::from(low_ms(ts).wrapping_sub(self.at_ms)) <= ANSWER_EARLY.as_millis()
    }
}

/// The low 16 bits of a time in milliseconds.
#[expect(clippy::cast_possible_truncation, reason = "they are what is wanted")]
fn low_ms(ts: Timestamp) -> u16 {
    (ts.0 / 1_000_000) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Timestamp {
        Timestamp(ms * 1_000_000)
    }

    #[test]
    fn data_that_comes_soon_after_its_acknowledgement_was_not_lost() {
        let mut hole = Hole::default();
        assert_eq!(hole.fill(Side::Low, 0, 10, ms(0)), None);
        hole.acknowledged(Side::Low, u32::MAX - 9, 90, ms(65_530));
        hole.acknowledged(Side::Low, 90, 190, ms(65_550));
        assert_eq!(hole.fill(Side::High, u32::MAX - 9, 100, ms(65_551)), None, "the other end");
        assert_eq!(hole.fill(Side::Low, 0, 100, ms(65_551)), None, "not where it begins");
        assert_eq!(hole.fill(Side::Low, u32::MAX - 9, 100, ms(65_551)), Some(0), "not all of it");
        assert_eq!(hole.fill(Side::Low, 90, 99, ms(65_600)), Some(2), "all but a FIN");
        assert!(!hole.is_open());
    }

    #[test]
    fn data_that_comes_late_was_sent_again() {
        let mut hole = Hole::default();
        hole.acknowledged(Side::High, 1, 11, ms(0));
        assert_eq!(hole.fill(Side::High, 1, 10, ms(51)), None);
        assert!(!hole.is_open());
    }

    #[test]
    fn another_hole_takes_the_place_of_one() {
        let mut hole = Hole::default();
        hole.acknowledged(Side::High, 1, 11, ms(0));
        hole.acknowledged(Side::High, 21, 31, ms(1));
        assert_eq!(hole.fill(Side::High, 1, 10, ms(2)), None);
        assert_eq!(hole.fill(Side::High, 21, 10, ms(2)), Some(1));
        hole.acknowledged(Side::High, 31, 31 + (1 << 16), ms(3));
        assert!(!hole.is_open(), "too much to wait for");
    }
}
