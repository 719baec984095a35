//! GTP-U version 1 (3GPP TS 29.281 section 5).

use crate::decode::link::Inside;
use crate::decode::wire::array;
use crate::decode::wire::u8_at;

const USER_DATA: u8 = 255;
const EXTENSIONS_MAX: usize = 8;

/// The IP packet inside user data, in a datagram whose payload is `len` bytes.
pub(super) fn open(payload: &[u8], len: usize) -> Option<(Inside, usize)> {
    // Version 1, protocol type GTP, the spare bit zero.
    const FIXED: u8 = 0xf8;
    const FIXED_VALUE: u8 = 0x30;
    const OPTIONAL: u8 = 0x07;
    const EXTENDED: u8 = 0x04;
    let [flags, kind, high, low] = array(payload, 0)?;
    let claimed = usize::from(u16::from_be_bytes([high, low])) + 8;
    if flags & FIXED != FIXED_VALUE || kind != USER_DATA || claimed > len {
        return None;
    }
    if flags & OPTIONAL == 0 {
        return Some((Inside::Ip, 8));
    }
    let mut at = 12;
    let mut next = if flags & EXTENDED == 0 { 0 } else { u8_at(payload, 11)? };
    for _ in 0..EXTENSIONS_MAX {
        if next == 0 {
            break;
        }
        let words = usize::from(u8_at(payload, at)?);
        if words == 0 {
            return None;
        }
        at += words * 4;
        next = u8_at(payload, at - 1)?;
    }
    (next == 0).then_some((Inside::Ip, at))
}
