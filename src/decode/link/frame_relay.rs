//! Frame relay with the encapsulations of RFC 2427 and of Cisco.

use crate::decode::link::Inside;
use crate::decode::link::Place;
use crate::decode::link::ethernet::IPV4;
use crate::decode::link::ethernet::IPV6;
use crate::decode::packet::SkipReason;
use crate::decode::wire::array;
use crate::decode::wire::be16;
use crate::decode::wire::u8_at;

const UNNUMBERED: u8 = 3;
/// Bit that ends a Q.922 address.
const LAST: u8 = 1;

/// The address (two to four bytes), then control and network layer identifier, or Cisco's bare Ethernet type.
pub(super) fn strip(bytes: &[u8]) -> Result<Place, SkipReason> {
    let address = bytes.iter().take(4).position(|byte| byte & LAST != 0);
    let at = match address {
        Some(last @ 1..) => last + 1,
        Some(0) => return Err(SkipReason::Malformed),
        _ if bytes.len() < 4 => return Err(SkipReason::CutShort),
        _ => return Err(SkipReason::Malformed),
    };
    if u8_at(bytes, at).ok_or(SkipReason::CutShort)? != UNNUMBERED {
        let number = be16(bytes, at).ok_or(SkipReason::CutShort)?;
        return Ok(Place::new(Inside::EtherType(number), at + 2));
    }
    // One byte of padding may stand before the identifier.
    let at = if u8_at(bytes, at + 1) == Some(0) { at + 2 } else { at + 1 };
    match u8_at(bytes, at).ok_or(SkipReason::CutShort)? {
        0xcc => Ok(Place::new(Inside::EtherType(IPV4), at + 1)),
        0x8e => Ok(Place::new(Inside::EtherType(IPV6), at + 1)),
        0x80 => match array(bytes, at + 1).ok_or(SkipReason::CutShort)? {
            [0, 0, 0] => {
                let number = be16(bytes, at + 4).ok_or(SkipReason::CutShort)?;
                Ok(Place::new(Inside::EtherType(number), at + 6))
            }
            // Bridged 802.3, with (1) and without (7) its checksum.
            [0, 0x80, 0xc2] if matches!(be16(bytes, at + 4), Some(1 | 7)) => Ok(Place::new(Inside::Ethernet, at + 6)),
            _ => Err(SkipReason::NotIp),
        },
        _ => Err(SkipReason::NotIp),
    }
}
