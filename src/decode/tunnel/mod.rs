//! Tunnels: what stands where inside a packet that carries another.
//!
//! Knows the wire formats and the ports that carry them; whether the inside holds is found out by decoding it.

pub(super) mod geneve;
pub(super) mod gre;
pub(super) mod gtp;
pub(super) mod teredo;
pub(super) mod vxlan;

use crate::decode::counts::TunnelKind;
use crate::decode::link::Inside;
use crate::decode::link::ethernet::ARP;
use crate::decode::link::ethernet::BRIDGED;
use crate::decode::link::ethernet::IPV4;
use crate::decode::link::ethernet::IPV6;
use crate::decode::link::ethernet::MPLS;
use crate::decode::link::ethernet::MPLS_UPSTREAM;

/// The UDP ports of the tunnels (IANA; 8472 is what Linux took before there was a number).
mod port {
    pub(super) const GTP_USER: u16 = 2152;
    pub(super) const TEREDO: u16 = 3544;
    pub(super) const VXLAN: u16 = 4789;
    pub(super) const VXLAN_GENERIC: u16 = 4790;
    pub(super) const GENEVE: u16 = 6081;
    pub(super) const VXLAN_LINUX: u16 = 8472;
}

/// A packet inside another.
pub(super) struct Opening {
    pub(super) kind: TunnelKind,
    pub(super) inside: Inside,
    /// Where it begins, in bytes from the start of the tunnel's header.
    pub(super) at: usize,
}

/// A bit for each tunnel's port, by its bits 3 to 8: few other ports that are in much use share them.
const MAY_HAVE: u64 = {
    use port::{GENEVE, GTP_USER, TEREDO, VXLAN, VXLAN_GENERIC, VXLAN_LINUX};
    let mut bits = 0;
    let mut all: &[u16] = &[GTP_USER, TEREDO, VXLAN, VXLAN_GENERIC, GENEVE, VXLAN_LINUX];
    while let [port, rest @ ..] = all {
        bits |= 1 << (*port >> 3 & 63);
        all = rest;
    }
    bits
};

/// Whether one of two ports, 16 bits each, may be a tunnel's: quickly told, and wrong for one of ten.
#[inline]
pub(super) fn may_have(ports: u32) -> bool {
    let bit = |port: u32| MAY_HAVE >> (port >> 3 & 63) & 1;
    bit(ports) | bit(ports >> 16) != 0
}

/// Which tunnel a UDP datagram between these ports (source, destination) may be.
#[inline]
pub(super) fn of_ports([src, dst]: [u16; 2]) -> Option<TunnelKind> {
    // One end is the tunnel's; answers of some implementations come from it.
    match kind(dst) {
        None => kind(src),
        found => found,
    }
}

#[inline]
fn kind(port: u16) -> Option<TunnelKind> {
    match port {
        port::VXLAN | port::VXLAN_LINUX | port::VXLAN_GENERIC => Some(TunnelKind::Vxlan),
        port::GENEVE => Some(TunnelKind::Geneve),
        port::GTP_USER => Some(TunnelKind::Gtp),
        port::TEREDO => Some(TunnelKind::Teredo),
        _ => None,
    }
}

/// The inside of a UDP datagram's payload, captured as `payload`, of `len` bytes by the headers.
pub(super) fn open_udp(kind: TunnelKind, payload: &[u8], len: usize) -> Option<Opening> {
    let (inside, at) = match kind {
        TunnelKind::Vxlan => vxlan::open(payload)?,
        TunnelKind::Geneve => geneve::open(payload)?,
        TunnelKind::Gtp => gtp::open(payload, len)?,
        TunnelKind::Teredo => teredo::open(payload, len)?,
        _ => return None,
    };
    Some(Opening { kind, inside, at })
}

/// What an Ethernet type inside a tunnel announces, if it is one of those that tunnels carry.
fn carried(ether_type: u16) -> Option<Inside> {
    match ether_type {
        BRIDGED => Some(Inside::Ethernet),
        ARP | IPV4 | IPV6 | MPLS | MPLS_UPSTREAM => Some(Inside::EtherType(ether_type)),
        _ => None,
    }
}
