//! No link header at all.

use crate::decode::link::Inside;
use crate::decode::link::Place;
use crate::decode::link::ethernet::IPV4;
use crate::decode::link::ethernet::IPV6;
use crate::decode::packet::SkipReason;
use crate::decode::wire::u8_at;

/// IPv4 or IPv6, as the version says.
pub(super) fn strip(bytes: &[u8]) -> Result<Place, SkipReason> {
    match u8_at(bytes, 0).ok_or(SkipReason::CutShort)? >> 4 {
        4 => Ok(Place::new(Inside::EtherType(IPV4), 0)),
        6 => Ok(Place::new(Inside::EtherType(IPV6), 0)),
        _ => Err(SkipReason::NotIp),
    }
}
