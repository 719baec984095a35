//! NTP and its simple form (RFC 5905), and the control messages of its servers (RFC 9327).
//!
//! It hands on the part of the sender, told by the mode alone. It must never know ports: both ends may use the same.

use crate::model::app::Speaker;
use crate::model::transport::Transport;
use crate::proto::Recognition;
use crate::proto::dns;
use crate::proto::part::Part;
use crate::proto::part::Read;
use crate::proto::part::Stop;
use crate::proto::part::check;

/// Clocks that are set show a time from mid-1993, in seconds since 1900, ...
const FROM: u32 = 0xb000_0000;
/// ... or, once the seconds have begun anew in 2036, one before 2051.
const UNTIL: u32 = 0x1c00_0000;
/// How far two clocks of one packet may lie apart, 10 days: what a host remembers of its own recent past.
const NEAR_SECONDS: u32 = 10 * 86_400;

/// Whether this is NTP. Certain if a packet of modes 1 to 5 is plausible in every field, and no message of DNS from its
/// first byte to its last: that has more structure than clocks have.
pub fn recognise(transport: Transport, bytes: &[u8]) -> Recognition {
    match opening(bytes).unwrap_or_else(Recognition::from) {
        Recognition::Certain(speaker) if matches!(dns::recognise(transport, bytes), Recognition::Certain(_)) => {
            Recognition::Likely(speaker)
        }
        other => other,
    }
}

fn opening(bytes: &[u8]) -> Read<Recognition> {
    let mut from = Part::open(bytes);
    let first = from.u8()?;
    let (version, mode) = (first >> 3 & 7, first & 7);
    check((1..=4).contains(&version))?;
    match mode {
        1 | 2 => time(&mut from, Speaker::Either),
        3 => time(&mut from, Speaker::Client),
        4 | 5 => time(&mut from, Speaker::Server),
        // Version 2 brought them (RFC 1119).
        6 if version > 1 => control(&mut from),
        7 if version > 1 => private(first, &mut from),
        // Version 1 had no modes.
        0 if version == 1 => time(&mut from, Speaker::Either).map(|found| match found {
            Recognition::Certain(speaker) => Recognition::Likely(speaker),
            other => other,
        }),
        _ => Err(Stop::Wrong),
    }
}

/// The packet that tells the time. Nothing in it is constant, so it is certain only where two clocks in it agree, or
/// where a client leaves out everything but its own time, as simple and cautious clients do.
fn time(from: &mut Part<'_>, speaker: Speaker) -> Read<Recognition> {
    // 17 and more are reserved, and no server is so far from the clock.
    check(from.u8()? <= 16)?;
    let [poll, precision] = from.array()?;
    let (delay, dispersion, _reference) = (from.be32()?, from.be32()?, from.be32()?);
    let (updated, original, received, sent) = (clock(from)?, clock(from)?, clock(from)?, clock(from)?);
    // Poll and precision are powers of two in seconds, 32 being a cautious client's; delay and dispersion are below 16
    // and 32 seconds.
    let plausible = poll <= 17
        && (precision <= 0x20 || precision >= 0xe0)
        && delay.cast_signed().unsigned_abs() < 1 << 20
        && dispersion < 1 << 21
        && is_tail(from.at_hand().len());
    let empty = [updated, original, received] == [0; 3];
    let agree = near(received, sent) || received == 0 && near(updated, sent);
    Ok(match (plausible, speaker) {
        (true, _) if agree || empty && is_set(sent) => Recognition::Certain(speaker),
        (true, Speaker::Client) if empty && sent != 0 => Recognition::Certain(speaker),
        (true, _) if empty || is_set(updated) || is_set(sent) => Recognition::Likely(speaker),
        // Odd, but no contradiction: some clocks are.
        _ => Recognition::NeedMore,
    })
}

/// Seconds of the next clock, 0 if it is not set at all.
fn clock(from: &mut Part<'_>) -> Read<u32> {
    let [seconds, fraction] = [from.be32()?, from.be32()?];
    Ok(if seconds == 0 { u32::from(fraction != 0) } else { seconds })
}

fn is_set(seconds: u32) -> bool {
    seconds >= FROM || (2..UNTIL).contains(&seconds)
}

fn near(one: u32, other: u32) -> bool {
    is_set(one) && is_set(other) && one.wrapping_sub(other).cast_signed().unsigned_abs() <= NEAR_SECONDS
}

/// What may follow the 48 bytes: nothing, the number of a key alone, with a checksum of 16 or 20 bytes, the longer form
/// of Windows (MS-SNTP section 2.2.3), or extensions of at least 16 bytes.
fn is_tail(length: usize) -> bool {
    matches!(length, 0 | 4) || length >= 16 && length.is_multiple_of(4) && length <= 1024
}

/// Mode 6 (RFC 9327 section 2): the first bit of the second byte marks an answer.
fn control(from: &mut Part<'_>) -> Read<Recognition> {
    let second = from.u8()?;
    check(matches!(second & 0x1f, 0..=12 | 31))?;
    // Sequence, status, association, offset.
    from.take(8)?;
    let count = usize::from(from.be16()?);
    check(count <= 468)?;
    // Padding to words, then perhaps a key and a checksum.
    let behind = from.at_hand().len().checked_sub(count).ok_or(Stop::Short)?;
    check(behind <= 3 + 24)?;
    Ok(Recognition::Likely(if second & 0x80 == 0 { Speaker::Client } else { Speaker::Server }))
}

/// Mode 7, the private one of one implementation: the first bit marks an answer.
fn private(first: u8, from: &mut Part<'_>) -> Read<Recognition> {
    let _sequence = from.u8()?;
    check(matches!(from.u8()?, 0 | 2 | 3))?;
    check(from.u8()? <= 45)?;
    let items = usize::from(from.be16()? & 0xfff);
    let size = usize::from(from.be16()? & 0xfff);
    let left = from.at_hand().len().checked_sub(items * size).ok_or(Stop::Short)?;
    // A request is filled up to the room its answer takes, then perhaps a time, a key and a checksum.
    check(items * size <= 500 && left <= 184)?;
    Ok(Recognition::Likely(if first & 0x80 == 0 { Speaker::Client } else { Speaker::Server }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::samples;

    fn told(mode: u8, change: impl Fn(&mut Vec<u8>)) -> Recognition {
        let mut bytes = samples::NTP_TOLD.bytes();
        bytes[0] = bytes[0] & !7 | mode;
        change(&mut bytes);
        recognise(Transport::Udp, &bytes)
    }

    #[test]
    fn the_mode_tells_the_speaker() {
        assert_eq!(told(1, |_| {}), Recognition::Certain(Speaker::Either));
        assert_eq!(told(3, |_| {}), Recognition::Certain(Speaker::Client));
        assert_eq!(told(4, |_| {}), Recognition::Certain(Speaker::Server));
        assert_eq!(told(0, |_| {}), Recognition::NotForUs);
    }

    #[test]
    fn version_1_has_no_control_messages() {
        for (mode, rest) in [(6, [2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]), (7, [0, 3, 0x2a, 0, 0, 0, 0, 0, 0, 0, 0])] {
            let say = |version: u8| recognise(Transport::Udp, &[&[version << 3 | mode][..], &rest].concat());
            assert_eq!(say(2), Recognition::Likely(Speaker::Client));
            assert_eq!(say(1), Recognition::NotForUs);
        }
    }

    #[test]
    fn what_is_odd_is_not_certain() {
        assert_eq!(told(4, |bytes| bytes[40] ^= 0x10), Recognition::Likely(Speaker::Server), "a clock years ahead");
        assert_eq!(told(4, |bytes| bytes[3] = 0x80), Recognition::NeedMore, "a precision of nobody");
        assert_eq!(told(4, |bytes| bytes.extend([0; 20])), Recognition::Certain(Speaker::Server), "signed");
        assert_eq!(told(4, |bytes| bytes.push(0)), Recognition::NeedMore, "a byte too many");
        assert_eq!(told(4, |bytes| bytes[1] = 17), Recognition::NotForUs);
        assert_eq!(recognise(Transport::Udp, &[0; 48]), Recognition::NotForUs);
    }

    #[test]
    fn a_question_of_dns_is_not_ntp() {
        // Its number makes it look like mode 2, as one of ours once did.
        let mut bytes = vec![0x9a, 0x06, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in ["_kerberos-master", "_tcp", "LAB", "TEST", ""] {
            bytes.push(u8::try_from(label.len()).unwrap_or(0));
            bytes.extend(label.bytes());
        }
        bytes.extend([0, 33, 0, 1]);
        assert!(!matches!(recognise(Transport::Udp, &bytes), Recognition::Certain(_)));
    }

    #[test]
    fn control_messages_are_likely() {
        let ask = [0x16, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(recognise(Transport::Udp, &ask), Recognition::Likely(Speaker::Client));
        assert_eq!(recognise(Transport::Udp, &[0x17, 0, 3, 0x2a, 0, 0, 0, 0]), Recognition::Likely(Speaker::Client));
        assert_eq!(recognise(Transport::Udp, &[0x97, 0, 3, 0x2a, 0, 0, 0, 0]), Recognition::Likely(Speaker::Server));
    }
}
