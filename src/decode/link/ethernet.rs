//! Ethernet II and 802.3, the tags in front of its payload, 802.2 LLC with SNAP.

use etherparse::Ethernet2HeaderSlice;

use crate::decode::link::Inside;
use crate::decode::link::Place;
use crate::decode::link::mpls;
use crate::decode::link::ppp;
use crate::decode::packet::SkipReason;
use crate::decode::wire::array;
use crate::decode::wire::be16;
use crate::decode::wire::u8_at;

pub(in crate::decode) const IPV4: u16 = 0x0800;
pub(in crate::decode) const IPV6: u16 = 0x86dd;
pub(in crate::decode) const MPLS: u16 = 0x8847;
pub(in crate::decode) const MPLS_UPSTREAM: u16 = 0x8848;
/// A whole Ethernet frame (RFC 1701's number, that GRE and GENEVE use).
pub(in crate::decode) const BRIDGED: u16 = 0x6558;
pub(in crate::decode) const ARP: u16 = 0x0806;
/// 802.1Q.
pub(in crate::decode) const VIRTUAL_LAN: u16 = 0x8100;
const RARP: u16 = 0x8035;
const PPP: u16 = 0x880b;
const PPPOE_SESSION: u16 = 0x8864;
/// Service instance tag of 802.1ah, before the customer's whole frame.
const PROVIDER_BACKBONE: u16 = 0x88e7;
const MACSEC: u16 = 0x88e5;
/// Network service header (RFC 8300).
pub(in crate::decode) const NSH: u16 = 0x894f;
/// From here on the field is a type; below it is an 802.3 length (IEEE 802.3 clause 3.2.6).
const TYPE_MIN: u16 = 0x0600;

/// Tags of fixed length that end in the next Ethernet type: their own type, and how far that next one is.
const TAGS: [(u16, usize); 7] = [
    (VIRTUAL_LAN, 2),
    (0x88a8, 2), // 802.1ad
    (0x9100, 2), // double tags before 802.1ad
    (0x9200, 2), // the same, other vendors
    (0x8926, 4), // Cisco VN-tag
    (0x893f, 6), // 802.1BR E-tag
    (0x8909, 6), // Cisco metadata, the security group tag of TrustSec
];

/// An Ethernet header.
#[inline]
pub(in crate::decode) fn strip(bytes: &[u8]) -> Result<Place, SkipReason> {
    let header = Ethernet2HeaderSlice::from_slice(bytes).map_err(|_| SkipReason::CutShort)?;
    let [first, ..] = header.destination();
    let inside = Inside::EtherType(header.ether_type().0);
    Ok(Place { inside, at: header.slice().len(), group: first & 1 != 0 })
}

/// An Ethernet header and the tag of a virtual network behind it, if there is one; the most frequent frames.
#[inline]
pub(in crate::decode) fn strip_tagged(bytes: &[u8]) -> Option<Place> {
    let place = strip(bytes).ok()?;
    if place.inside != Inside::EtherType(VIRTUAL_LAN) {
        return Some(place);
    }
    let inside = Inside::EtherType(be16(bytes, place.at + 2)?);
    Some(Place { inside, at: place.at + 4, ..place })
}

/// What stands behind an Ethernet type that is not IP.
pub(super) fn after_type(number: u16, rest: &[u8]) -> Result<Place, SkipReason> {
    if number < TYPE_MIN {
        return Ok(Place::new(Inside::Llc, 0));
    }
    if let Some((_, next)) = TAGS.iter().find(|(tag, _)| *tag == number) {
        return typed(rest, *next);
    }
    match number {
        MPLS | MPLS_UPSTREAM => mpls::strip(rest),
        BRIDGED => Ok(Place::new(Inside::Ethernet, 0)),
        PROVIDER_BACKBONE => Ok(Place::new(Inside::Ethernet, 4)),
        PPP => Ok(Place::new(Inside::Ppp, 0)),
        PPPOE_SESSION => ppp::strip_session(rest),
        NSH => after_nsh(rest),
        MACSEC => after_macsec(rest),
        ARP | RARP => Err(SkipReason::Arp),
        _ => Err(SkipReason::NotIp),
    }
}

/// The Ethernet type at `at`, and what follows it.
fn typed(rest: &[u8], at: usize) -> Result<Place, SkipReason> {
    let number = be16(rest, at).ok_or(SkipReason::CutShort)?;
    Ok(Place::new(Inside::EtherType(number), at + 2))
}

fn after_nsh(rest: &[u8]) -> Result<Place, SkipReason> {
    let [_, length, _, next] = array(rest, 0).ok_or(SkipReason::CutShort)?;
    let at = usize::from(length & 0x3f) * 4;
    if at < 8 {
        return Err(SkipReason::Malformed);
    }
    match next {
        1 => Ok(Place::new(Inside::EtherType(IPV4), at)),
        2 => Ok(Place::new(Inside::EtherType(IPV6), at)),
        3 => Ok(Place::new(Inside::Ethernet, at)),
        5 => Ok(Place::new(Inside::EtherType(MPLS), at)),
        _ => Err(SkipReason::NotIp),
    }
}

/// 802.1AE: readable only where the frame is merely authenticated.
fn after_macsec(rest: &[u8]) -> Result<Place, SkipReason> {
    const CHANNEL_PRESENT: u8 = 0x20;
    const ENCRYPTED_OR_CHANGED: u8 = 0x0c;
    let control = u8_at(rest, 0).ok_or(SkipReason::CutShort)?;
    if control & ENCRYPTED_OR_CHANGED != 0 {
        return Err(SkipReason::LinkControl);
    }
    typed(rest, if control & CHANNEL_PRESENT == 0 { 6 } else { 14 })
}

/// An 802.2 header: SNAP with an Ethernet type, or IP by its own service access point.
pub(super) fn after_llc(rest: &[u8]) -> Result<Place, SkipReason> {
    const SNAP: [u8; 3] = [0xaa, 0xaa, 3];
    const IP: [u8; 3] = [6, 6, 3];
    match array(rest, 0).ok_or(SkipReason::CutShort)? {
        SNAP => match array(rest, 3).ok_or(SkipReason::CutShort)? {
            // RFC 1042, and the tunnel encapsulation of 802.1H.
            [0, 0, 0 | 0xf8] => typed(rest, 6),
            _ => Err(SkipReason::NotIp),
        },
        IP => Ok(Place::new(Inside::EtherType(IPV4), 3)),
        _ => Err(SkipReason::NotIp),
    }
}

/// Whether an Ethernet header that leads to something known may begin here.
pub(super) fn plausible(bytes: &[u8]) -> bool {
    const KNOWN: [u16; 9] = [IPV4, IPV6, MPLS, MPLS_UPSTREAM, ARP, PPPOE_SESSION, PROVIDER_BACKBONE, MACSEC, NSH];
    be16(bytes, 12).is_some_and(|number| KNOWN.contains(&number) || TAGS.iter().any(|(tag, _)| *tag == number))
}
