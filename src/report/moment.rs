//! Packet time as people and tools read it.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde::Serializer;

use crate::model::time::Timestamp;

/// A packet time that shows as RFC 3339 in UTC with microseconds: `2026-03-01T10:02:11.000250Z`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Moment(pub Timestamp);

impl Moment {
    /// `10:02:11`, or `2026-03-01 10:02:11` if `dated`.
    pub fn clock(self, dated: bool) -> String {
        let text = self.to_string();
        let (day, rest) = text.split_once('T').unwrap_or_default();
        let time = rest.get(..8).unwrap_or_default();
        if dated { format!("{day} {time}") } else { time.to_owned() }
    }

    /// Whether both are of one day, UTC.
    pub fn same_day(self, other: Self) -> bool {
        const DAY_NS: u64 = 86_400 * 1_000_000_000;
        self.0.0 / DAY_NS == other.0.0 / DAY_NS
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every 64-bit count of nanoseconds is a year before 2555: well inside what jiff can say.
        let whole_us = self.0.0 - self.0.0 % 1000;
        let at = jiff::Timestamp::from_nanosecond(i128::from(whole_us)).unwrap_or_default();
        write!(f, "{at:.6}")
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A span of time with one digit that matters: `250 us`, `3.2 ms`, `4.0 s`, `12 min`, `3.5 h`.
pub fn span(duration: Duration) -> String {
    let us = duration.as_micros();
    let tenths = |unit_us: u128, unit: &str| format!("{}.{} {unit}", us / unit_us, us % unit_us * 10 / unit_us);
    match us {
        0..1_000 => format!("{us} us"),
        1_000..1_000_000 => tenths(1_000, "ms"),
        1_000_000..120_000_000 => tenths(1_000_000, "s"),
        120_000_000..7_200_000_000 => format!("{} min", us / 60_000_000),
        _ => tenths(3_600_000_000, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_read_as_rfc_3339() {
        let at = Moment(Timestamp(1_772_359_331_000_250_999));
        assert_eq!(at.to_string(), "2026-03-01T10:02:11.000250Z");
        assert_eq!(Moment(Timestamp(0)).to_string(), "1970-01-01T00:00:00.000000Z");
        assert_eq!(at.clock(false), "10:02:11");
        assert_eq!(at.clock(true), "2026-03-01 10:02:11");
        assert_eq!(Moment(Timestamp(u64::MAX)).to_string(), "2554-07-21T23:34:33.709551Z");
    }

    #[test]
    fn spans_keep_one_digit() {
        let rows = [(250, "250 us"), (3_240, "3.2 ms"), (4_000_000, "4.0 s"), (720_000_000, "12 min")];
        for (us, text) in rows {
            assert_eq!(span(Duration::from_micros(us)), text);
        }
        assert_eq!(span(Duration::from_secs(12_600)), "3.5 h");
    }
}
