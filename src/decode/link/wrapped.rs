//! Headers of capture programs that name the link type of the frame behind them.

use crate::capture::batch::LinkType;
use crate::decode::link;
use crate::decode::link::Place;
use crate::decode::packet::SkipReason;
use crate::decode::wire::le16;
use crate::decode::wire::le32;
use crate::decode::wire::u8_at;

const PPI: u32 = 192;
const PKTAP: u32 = 258;

/// CACE's per-packet information: version, flags, length, link type.
pub(super) fn strip_ppi(bytes: &[u8]) -> Result<Place, SkipReason> {
    let (Some(version), Some(length), Some(dlt)) = (u8_at(bytes, 0), le16(bytes, 2), le32(bytes, 4)) else {
        return Err(SkipReason::CutShort);
    };
    if version != 0 || length < 8 {
        return Err(SkipReason::Malformed);
    }
    behind(bytes, usize::from(length), dlt)
}

/// Apple's header: length, kind of record, link type; the machines that write it are little-endian.
pub(super) fn strip_pktap(bytes: &[u8]) -> Result<Place, SkipReason> {
    const PACKET: u32 = 1;
    let (Some(length), Some(kind), Some(dlt)) = (le32(bytes, 0), le32(bytes, 4), le32(bytes, 8)) else {
        return Err(SkipReason::CutShort);
    };
    if length < 12 {
        return Err(SkipReason::Malformed);
    }
    if kind != PACKET {
        return Err(SkipReason::LinkControl);
    }
    behind(bytes, usize::try_from(length).map_err(|_| SkipReason::Malformed)?, dlt)
}

fn behind(bytes: &[u8], at: usize, dlt: u32) -> Result<Place, SkipReason> {
    // One in the other would only serve to exhaust the stack.
    if dlt == PPI || dlt == PKTAP {
        return Err(SkipReason::TooDeep);
    }
    let link = LinkType(u16::try_from(dlt).map_err(|_| SkipReason::LinkType)?);
    link::strip(link, bytes.get(at..).unwrap_or_default()).map(|place| place.moved(at))
}
