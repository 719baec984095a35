//! Cisco HDLC: address, control, Ethernet type.

use crate::decode::link::Inside;
use crate::decode::link::Place;
use crate::decode::packet::SkipReason;
use crate::decode::wire::be16;
use crate::decode::wire::u8_at;

const UNICAST: u8 = 0x0f;
const MULTICAST: u8 = 0x8f;

/// Whether the first byte is one of Cisco's two addresses, which PPP never uses.
pub(super) fn begins(bytes: &[u8]) -> bool {
    matches!(u8_at(bytes, 0), Some(UNICAST | MULTICAST))
}

/// The four bytes of the header. Its multicast address says only that the frame is the routers' own.
pub(super) fn strip(bytes: &[u8]) -> Result<Place, SkipReason> {
    let number = be16(bytes, 2).ok_or(SkipReason::CutShort)?;
    Ok(Place::new(Inside::EtherType(number), 4))
}
