//! 802.11 data frames, alone and behind radiotap.

use crate::decode::link::Inside;
use crate::decode::link::Place;
use crate::decode::packet::SkipReason;
use crate::decode::wire::array;
use crate::decode::wire::le16;
use crate::decode::wire::le32;
use crate::decode::wire::u8_at;

const TO_DS: u8 = 0x01;
const FROM_DS: u8 = 0x02;
const PROTECTED: u8 = 0x40;
const ORDER: u8 = 0x80;
const QOS: u8 = 0x08;
const NO_DATA: u8 = 0x04;
/// Where each header field is (IEEE 802.11 clause 9.2.3).
const ADDRESS_1: usize = 4;
const ADDRESS_3: usize = 16;
const SEQUENCE: usize = 22;
const BASE_LEN: usize = 24;

/// An 802.11 frame as it was in the air.
pub(super) fn strip(bytes: &[u8]) -> Result<Place, SkipReason> {
    strip_padded(bytes, false)
}

fn strip_padded(bytes: &[u8], padded: bool) -> Result<Place, SkipReason> {
    const A_MSDU: u8 = 0x80;
    /// Two addresses and a length before the LLC header of each part.
    const A_MSDU_HEADER_LEN: usize = 14;
    let [control, flags] = array(bytes, 0).ok_or(SkipReason::CutShort)?;
    let (kind, subtype) = (control >> 2 & 3, control >> 4);
    let sequence = le16(bytes, SEQUENCE);
    let later_fragment = sequence.is_some_and(|number| number & 0xf != 0);
    if control & 3 != 0 || kind != 2 || subtype & NO_DATA != 0 || flags & PROTECTED != 0 || later_fragment {
        return Err(SkipReason::LinkControl);
    }
    let destination = if flags & TO_DS == 0 { ADDRESS_1 } else { ADDRESS_3 };
    let group = u8_at(bytes, destination).ok_or(SkipReason::CutShort)? & 1 != 0;
    let mut at = BASE_LEN + if flags & (TO_DS | FROM_DS) == TO_DS | FROM_DS { 6 } else { 0 };
    let mut aggregate = false;
    if subtype & QOS != 0 {
        aggregate = u8_at(bytes, at).ok_or(SkipReason::CutShort)? & A_MSDU != 0;
        // With QoS the order bit announces the high throughput control field.
        at += if flags & ORDER == 0 { 2 } else { 6 };
    }
    if padded {
        at = at.next_multiple_of(4);
    }
    // Of an aggregate the first part speaks for the frame.
    at += if aggregate { A_MSDU_HEADER_LEN } else { 0 };
    Ok(Place { inside: Inside::Llc, at, group })
}

/// A radiotap header (radiotap.org) and the frame behind it.
pub(super) fn strip_radiotap(bytes: &[u8]) -> Result<Place, SkipReason> {
    const FLAGS_PADDED: u8 = 0x20;
    let (Some(0), Some(length)) = (u8_at(bytes, 0), le16(bytes, 2)) else {
        return Err(if bytes.len() < 4 { SkipReason::CutShort } else { SkipReason::Malformed });
    };
    let at = usize::from(length);
    let padded = radiotap_flags(bytes).is_some_and(|flags| flags & FLAGS_PADDED != 0);
    strip_padded(bytes.get(at..).unwrap_or_default(), padded).map(|place| place.moved(at))
}

/// The flags field, second of those that the presence words announce, after the 64-bit time.
fn radiotap_flags(bytes: &[u8]) -> Option<u8> {
    const TIME: u32 = 1;
    const FLAGS: u32 = 2;
    const MORE: u32 = 1 << 31;
    const WORDS_MAX: usize = 8;
    let first = le32(bytes, 4)?;
    let words = 1 + (0..WORDS_MAX).take_while(|word| le32(bytes, 4 + word * 4).is_some_and(|w| w & MORE != 0)).count();
    let at = 4 + words * 4;
    let at = if first & TIME == 0 { at } else { at.next_multiple_of(8) + 8 };
    if first & FLAGS == 0 { None } else { u8_at(bytes, at) }
}
