//! PPP (RFC 1661) with and without HDLC framing (RFC 1662), and `PPPoE` sessions (RFC 2516).

use crate::decode::link::Inside;
use crate::decode::link::Place;
use crate::decode::link::cisco;
use crate::decode::link::ethernet::IPV4;
use crate::decode::link::ethernet::IPV6;
use crate::decode::link::ethernet::MPLS;
use crate::decode::packet::SkipReason;
use crate::decode::wire::array;
use crate::decode::wire::be16;
use crate::decode::wire::u8_at;

const ADDRESS: u8 = 0xff;
const CONTROL: u8 = 0x03;
const SESSION_HEADER_LEN: usize = 6;

/// A PPP frame; address and control, and the upper half of the protocol, may be left out by agreement of the ends.
pub(super) fn strip(bytes: &[u8]) -> Result<Place, SkipReason> {
    let at = if array(bytes, 0) == Some([ADDRESS, CONTROL]) { 2 } else { 0 };
    let first = u8_at(bytes, at).ok_or(SkipReason::CutShort)?;
    let (protocol, at) = if first & 1 != 0 {
        (u16::from(first), at + 1)
    } else {
        (be16(bytes, at).ok_or(SkipReason::CutShort)?, at + 2)
    };
    match protocol {
        0x0021 => Ok(Place::new(Inside::EtherType(IPV4), at)),
        0x0057 => Ok(Place::new(Inside::EtherType(IPV6), at)),
        0x0281 | 0x0283 => Ok(Place::new(Inside::EtherType(MPLS), at)),
        _ => Err(SkipReason::NotIp),
    }
}

/// PPP or Cisco HDLC on a serial line; the first byte tells which.
pub(super) fn strip_serial(bytes: &[u8]) -> Result<Place, SkipReason> {
    if cisco::begins(bytes) { cisco::strip(bytes) } else { strip(bytes) }
}

/// PPP with one byte before it, or instead of the address byte, that tells the direction.
pub(super) fn strip_directed(bytes: &[u8]) -> Result<Place, SkipReason> {
    // pppd writes the direction over the address: only "control" is left of the pair.
    let at = if u8_at(bytes, 1) == Some(CONTROL) { 2 } else { 1 };
    strip(bytes.get(at..).unwrap_or_default()).map(|place| place.moved(at))
}

/// A `PPPoE` header and the PPP behind it.
pub(super) fn strip_session(bytes: &[u8]) -> Result<Place, SkipReason> {
    let [version_type, code] = array(bytes, 0).ok_or(SkipReason::CutShort)?;
    match (version_type, code) {
        (0x11, 0) => Ok(Place::new(Inside::Ppp, SESSION_HEADER_LEN)),
        // Discovery, where the link type gives no other sign of it.
        (0x11, _) => Err(SkipReason::NotIp),
        _ => Err(SkipReason::Malformed),
    }
}
