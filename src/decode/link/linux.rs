//! Linux: the cooked captures of the "any" device, and frames logged by the packet filter.

use crate::decode::link::Inside;
use crate::decode::link::Place;
use crate::decode::packet::SkipReason;
use crate::decode::wire::array;
use crate::decode::wire::be16;
use crate::decode::wire::le16;
use crate::decode::wire::u8_at;

const SLL_LEN: usize = 16;
const SLL2_LEN: usize = 20;
/// `sll_pkttype`: to all, to many.
const GROUP: std::ops::RangeInclusive<u16> = 1..=2;

/// Version 1: packet type, hardware type, address, protocol.
pub(super) fn strip_sll(bytes: &[u8]) -> Result<Place, SkipReason> {
    let (Some(kind), Some(hardware), Some(protocol)) = (be16(bytes, 0), be16(bytes, 2), be16(bytes, 14)) else {
        return Err(SkipReason::CutShort);
    };
    cooked(kind, hardware, protocol, SLL_LEN)
}

/// Version 2: protocol first, packet type in one byte.
pub(super) fn strip_sll2(bytes: &[u8]) -> Result<Place, SkipReason> {
    let (Some(protocol), Some(hardware), Some(kind)) = (be16(bytes, 0), be16(bytes, 8), u8_at(bytes, 10)) else {
        return Err(SkipReason::CutShort);
    };
    cooked(u16::from(kind), hardware, protocol, SLL2_LEN)
}

fn cooked(kind: u16, hardware: u16, protocol: u16, at: usize) -> Result<Place, SkipReason> {
    const NETLINK: u16 = 824;
    const LLC: u16 = 4;
    let inside = match protocol {
        // Of netlink the protocol field holds a family.
        _ if hardware == NETLINK => return Err(SkipReason::NotIp),
        LLC => Inside::Llc,
        // Below the Ethernet types stand Linux's own numbers (CAN, raw 802.3 …), not lengths.
        0..0x0600 => return Err(SkipReason::NotIp),
        protocol => Inside::EtherType(protocol),
    };
    Ok(Place { inside, at, group: GROUP.contains(&kind) })
}

/// NFLOG: attributes of length and type in the byte order of the machine, the packet in one of them.
pub(super) fn strip_nflog(bytes: &[u8]) -> Result<Place, SkipReason> {
    const HEADER_LEN: usize = 4;
    const PAYLOAD: u16 = 9;
    const ATTRIBUTES_MAX: usize = 64;
    // Types fit in a byte, so of the two orders only one gives types below 256.
    let [_, _, first, second] = array(bytes, HEADER_LEN).ok_or(SkipReason::CutShort)?;
    let number = if second == 0 || first != 0 { le16 } else { be16 };
    let mut at = HEADER_LEN;
    for _ in 0..ATTRIBUTES_MAX {
        let (Some(length), Some(kind)) = (number(bytes, at), number(bytes, at + 2)) else {
            return Err(SkipReason::CutShort);
        };
        if length < 4 {
            return Err(SkipReason::Malformed);
        }
        if kind == PAYLOAD {
            return Ok(Place::new(Inside::Ip, at + 4));
        }
        at += usize::from(length).next_multiple_of(4);
    }
    Err(SkipReason::Malformed)
}
