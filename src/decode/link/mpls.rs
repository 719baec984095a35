//! MPLS label stacks (RFC 3032), and the Ethernet pseudowires inside (RFC 4448).

use crate::decode::link::Inside;
use crate::decode::link::Place;
use crate::decode::link::ethernet;
use crate::decode::link::ethernet::IPV4;
use crate::decode::link::ethernet::IPV6;
use crate::decode::packet::SkipReason;
use crate::decode::wire::be32;
use crate::decode::wire::u8_at;

/// Labels of one stack that are followed.
const LABELS_MAX: usize = 16;
const LABEL_LEN: usize = 4;
const BOTTOM: u32 = 0x100;
const CONTROL_WORD_LEN: usize = 4;

/// A label stack. What it carries is not written anywhere: the first four bits tell.
pub(super) fn strip(bytes: &[u8]) -> Result<Place, SkipReason> {
    for label in 0..LABELS_MAX {
        let entry = be32(bytes, label * LABEL_LEN).ok_or(SkipReason::CutShort)?;
        if entry & BOTTOM != 0 {
            let at = (label + 1) * LABEL_LEN;
            return after_labels(bytes.get(at..).unwrap_or_default()).map(|place| place.moved(at));
        }
    }
    Err(SkipReason::TooDeep)
}

fn after_labels(rest: &[u8]) -> Result<Place, SkipReason> {
    let inside = match u8_at(rest, 0).ok_or(SkipReason::CutShort)? >> 4 {
        4 => Inside::EtherType(IPV4),
        6 => Inside::EtherType(IPV6),
        // An associated channel (RFC 5085), where a control word would be.
        1 => return Err(SkipReason::NotIp),
        // Many vendors' addresses begin with 0 too, so the control word is believed where no plain frame begins.
        0 if !ethernet::plausible(rest) => return Ok(Place::new(Inside::Ethernet, CONTROL_WORD_LEN)),
        _ => Inside::Ethernet,
    };
    Ok(Place::new(inside, 0))
}
