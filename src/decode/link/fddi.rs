//! FDDI: frame control, two addresses, 802.2.

use crate::decode::link::Inside;
use crate::decode::link::Place;
use crate::decode::packet::SkipReason;
use crate::decode::wire::u8_at;

const HEADER_LEN: usize = 13;

/// The header of a frame that carries data. Captures keep addresses in either order of bits, so a group is not told.
pub(super) fn strip(bytes: &[u8]) -> Result<Place, SkipReason> {
    const KIND: u8 = 0x30;
    const LLC: u8 = 0x10;
    match u8_at(bytes, 0) {
        None => Err(SkipReason::CutShort),
        Some(control) if control & KIND == LLC => Ok(Place::new(Inside::Llc, HEADER_LEN)),
        Some(_) => Err(SkipReason::LinkControl),
    }
}
