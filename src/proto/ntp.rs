//! NTP and its simple form (RFC 5905), and the control messages of its servers (RFC 9327).
//!
//! It hands on the part of the sender, told by the mode alone. It must never know ports: both ends may use the same.

use crate::model::app::Speaker;
use crate::model::transport::Transport;
use crate::proto::Recognition;
use crate::proto::cursor::Cursor;
use crate::proto::cursor::Read;
use crate::proto::cursor::Stop;
use crate::proto::cursor::check;

/// 1970 in seconds since 1900. A clock that is set at all shows more, or has begun the next era in 2036.
const YEAR_1970: u32 = 2_208_988_800;
/// The same for 2104, the end of what 1970 plus 31 bits of seconds can mean in the second era.
const YEAR_2104: u32 = 0x8000_0000;

/// Whether this is NTP. Certain if a packet of modes 1 to 5 is plausible in every field.
pub fn recognise(_transport: Transport, bytes: &[u8]) -> Recognition {
    opening(bytes).unwrap_or_else(Recognition::from)
}

fn opening(bytes: &[u8]) -> Read<Recognition> {
    let mut from = Cursor::open(bytes);
    let first = from.u8()?;
    let (version, mode) = (first >> 3 & 7, first & 7);
    check((1..=4).contains(&version))?;
    match mode {
        1 | 2 => time(&mut from, Speaker::Either),
        3 => time(&mut from, Speaker::Client),
        4 | 5 => time(&mut from, Speaker::Server),
        6 => control(&mut from),
        7 => private(first, &mut from),
        // Version 1 had no modes.
        _ if version == 1 => time(&mut from, Speaker::Either).map(|_| Recognition::Likely(Speaker::Either)),
        _ => Err(Stop::Wrong),
    }
}

/// The packet that tells the time.
fn time(from: &mut Cursor<'_>, speaker: Speaker) -> Read<Recognition> {
    // 17 and more are reserved, and no server is so far from the clock.
    check(from.u8()? <= 16)?;
    let [poll, precision] = from.array()?;
    let delay = from.be32()?;
    let dispersion = from.be32()?;
    let _reference = from.be32()?;
    let mut clocks_set = true;
    for _ in 0..3 {
        let clock = from.be32()?;
        clocks_set &= clock == 0 || clock >= YEAR_1970 || clock < YEAR_2104;
        from.be32()?;
    }
    let sent = from.array::<8>()?;
    // What follows, keys and extensions, comes in words.
    let plausible = poll <= 17
        && (precision == 0 || precision >= 0xe0)
        && delay.cast_signed().unsigned_abs() < 1 << 20
        && dispersion < 1 << 21
        && clocks_set
        && sent != [0; 8]
        && from.at_hand().len().is_multiple_of(4);
    Ok(if plausible { Recognition::Certain(speaker) } else { Recognition::Likely(speaker) })
}

/// Mode 6 (RFC 9327 section 2): the first bit of the second byte marks an answer.
fn control(from: &mut Cursor<'_>) -> Read<Recognition> {
    let second = from.u8()?;
    check(matches!(second & 0x1f, 0..=12 | 31))?;
    // Sequence, status, association, offset.
    from.take(8)?;
    let count = usize::from(from.be16()?);
    check(count <= 468)?;
    // Padding to words, then perhaps a key and a checksum.
    check(from.at_hand().len() <= count.next_multiple_of(4) + 24)?;
    Ok(Recognition::Likely(if second & 0x80 == 0 { Speaker::Client } else { Speaker::Server }))
}

/// Mode 7, the private one of one implementation: the first bit marks an answer.
fn private(first: u8, from: &mut Cursor<'_>) -> Read<Recognition> {
    let _sequence = from.u8()?;
    check(matches!(from.u8()?, 0 | 2 | 3))?;
    check(from.u8()? <= 45)?;
    let items = from.be16()? & 0xfff;
    let size = from.be16()? & 0xfff;
    check(usize::from(items) * usize::from(size) <= 500)?;
    Ok(Recognition::Likely(if first & 0x80 == 0 { Speaker::Client } else { Speaker::Server }))
}
