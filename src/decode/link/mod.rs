//! Link layers: which header a frame begins with, and the way from there to IP.
//!
//! Gives the place of the IP header and whether the frame went to a group. Knows nothing from IP on.

pub(super) mod ethernet;

mod cisco;
mod fddi;
mod frame_relay;
mod linux;
mod loopback;
mod mpls;
mod ppp;
mod raw;
mod wlan;
mod wrapped;

use crate::capture::batch::LinkType;
use crate::decode::packet::SkipReason;

/// What stands at a place below IP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Inside {
    /// What this Ethernet type announces, or an 802.3 length.
    EtherType(u16),
    /// A whole Ethernet frame, from its destination address on.
    Ethernet,
    /// An 802.2 header.
    Llc,
    /// A PPP frame, with or without address and control bytes.
    Ppp,
    /// IPv4 or IPv6, as its first four bits say.
    Ip,
}

/// A place in a frame below IP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// What begins here.
    pub inside: Inside,
    /// Where it begins, in bytes from the frame's start.
    pub at: usize,
    /// The link layer says that the frame went to all or to many.
    pub group: bool,
}

impl Place {
    #[inline]
    const fn new(inside: Inside, at: usize) -> Self {
        Self { inside, at, group: false }
    }

    #[must_use]
    const fn moved(self, by: usize) -> Self {
        Self { at: self.at.saturating_add(by), ..self }
    }
}

/// Takes the first header off the captured bytes of a frame.
pub type Strip = fn(&[u8]) -> Result<Place, SkipReason>;

/// Ethernet, of which nearly all captures are.
pub(super) const ETHERNET: LinkType = LinkType(1);

/// Every link type that can be read: its number and name in the tcpdump.org registry, and what takes its header off.
pub const LINK_TYPES: &[(u16, &str, Strip)] = &[
    (0, "NULL", loopback::strip),
    (1, "EN10MB", ethernet::strip),
    (9, "PPP", ppp::strip),
    (10, "FDDI", fddi::strip),
    (12, "RAW", raw::strip),
    (14, "RAW", raw::strip),
    (50, "PPP_SERIAL", ppp::strip_serial),
    (51, "PPP_ETHER", ppp::strip_session),
    (101, "RAW", raw::strip),
    (104, "C_HDLC", cisco::strip),
    (105, "IEEE802_11", wlan::strip),
    (107, "FRELAY", frame_relay::strip),
    (108, "LOOP", loopback::strip),
    (113, "LINUX_SLL", linux::strip_sll),
    (127, "IEEE802_11_RADIO", wlan::strip_radiotap),
    // Apple's programs wrote PKTAP under this private number before it had its own.
    (149, "USER2", wrapped::strip_pktap),
    (166, "PPP_PPPD", ppp::strip_directed),
    (192, "PPI", wrapped::strip_ppi),
    (204, "PPP_WITH_DIR", ppp::strip_directed),
    (219, "MPLS", mpls::strip),
    (228, "IPV4", raw::strip),
    (229, "IPV6", raw::strip),
    (239, "NFLOG", linux::strip_nflog),
    (258, "PKTAP", wrapped::strip_pktap),
    (276, "LINUX_SLL2", linux::strip_sll2),
];

fn row(link: LinkType) -> Option<&'static (u16, &'static str, Strip)> {
    LINK_TYPES.iter().find(|(number, _, _)| *number == link.0)
}

/// Takes off the first header of a frame of this link type.
pub(super) fn strip(link: LinkType, bytes: &[u8]) -> Result<Place, SkipReason> {
    let (_, _, strip) = row(link).ok_or(SkipReason::LinkType)?;
    strip(bytes)
}

/// Takes off one header between the first and IP: a tag, a label stack, PPP, LLC, a carried Ethernet header.
pub(super) fn step(bytes: &[u8], place: Place) -> Result<Place, SkipReason> {
    let Place { inside, at, group } = place;
    let rest = bytes.get(at..).unwrap_or_default();
    let next = match inside {
        Inside::EtherType(number) => ethernet::after_type(number, rest)?,
        Inside::Llc => ethernet::after_llc(rest)?,
        Inside::Ppp => ppp::strip(rest)?,
        Inside::Ip => raw::strip(rest)?,
        // The innermost Ethernet header is the one that the packet's own sender wrote.
        Inside::Ethernet => return Ok(ethernet::strip(rest)?.moved(at)),
    };
    // A pseudowire's or a provider's Ethernet frame says of itself whom it is for, in the next step.
    Ok(Place { group, ..next.moved(at) })
}
