//! BSD loopback: a four-byte address family.

use crate::decode::link::Inside;
use crate::decode::link::Place;
use crate::decode::link::ethernet::IPV4;
use crate::decode::link::ethernet::IPV6;
use crate::decode::packet::SkipReason;
use crate::decode::wire::be32;

/// The family in either byte order: NULL has the order of the capturing machine, LOOP that of the network.
pub(super) fn strip(bytes: &[u8]) -> Result<Place, SkipReason> {
    let family = be32(bytes, 0).ok_or(SkipReason::CutShort)?;
    // The families in use are small, so the order shows.
    match if family > 0xffff { family.swap_bytes() } else { family } {
        2 => Ok(Place::new(Inside::EtherType(IPV4), 4)),
        // IPv6 on Linux, NetBSD and OpenBSD, FreeBSD, macOS.
        10 | 24 | 28 | 30 => Ok(Place::new(Inside::EtherType(IPV6), 4)),
        _ => Err(SkipReason::NotIp),
    }
}
