//! Packet time as people and tools read it.

use std::fmt;
use std::ops::Range;
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

impl Moment {
    /// The text in ASCII. A report has two for each row, so it is made by hand.
    pub(crate) fn digits(self) -> [u8; 27] {
        let us = self.0.0 / 1000;
        let (seconds, us) = (us / 1_000_000, us % 1_000_000);
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        let (year, month, day) = date(days);
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        put(&mut text, 0..4, year);
        put(&mut text, 5..7, month);
        put(&mut text, 8..10, day);
        put(&mut text, 11..13, second / 3600);
        put(&mut text, 14..16, second / 60 % 60);
        put(&mut text, 17..19, second % 60);
        put(&mut text, 20..26, us);
        text
    }
}

/// Writes a number into its place, from the right.
fn put(text: &mut [u8], place: Range<usize>, number: u64) {
    let mut rest = number;
    for byte in text.get_mut(place).unwrap_or_default().iter_mut().rev() {
        *byte = u8::try_from(rest % 10).map_or(b'?', |digit| b'0' + digit);
        rest /= 10;
    }
}

/// Year, month and day of a day since 1970-01-01 in the Gregorian calendar. Years are counted from March, so that the
/// leap day is a year's last; every 64-bit count of nanoseconds is a year before 2555.
fn date(days: u64) -> (u64, u64, u64) {
    const ERA: u64 = 146_097;
    // 0000-03-01 is 719,468 days before 1970-01-01.
    let since = days + 719_468;
    let (era, day) = (since / ERA, since % ERA);
    let year = (day - day / 1460 + day / 36_524 - day / (ERA - 1)) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    (era * 400 + year + u64::from(month <= 2), month, day)
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.digits()).unwrap_or_default())
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
    #![expect(clippy::unwrap_used, reason = "a test may stop here")]

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
    fn every_day_is_the_one_of_the_calendar() {
        // Some 580 years, in steps of nearly a day.
        for step in 0..214_000 {
            let ns = step * 85_800_123_456_789;
            let at = jiff::Timestamp::from_nanosecond(i128::from(ns - ns % 1000)).unwrap();
            assert_eq!(Moment(Timestamp(ns)).to_string(), format!("{at:.6}"));
        }
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
