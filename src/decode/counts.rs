//! What decoding counted, for the health lines of a report.
//!
//! Knows no flow and no address.

use crate::decode::packet::Packet;
use crate::decode::packet::SkipReason;

/// A way of carrying one packet inside another that decoding opens.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum TunnelKind {
    /// GRE version 0 (RFC 2784, RFC 2890) with IP, MPLS or bridged Ethernet inside.
    Gre,
    /// ERSPAN types I, II and III: a remote span session over GRE.
    Erspan,
    /// VXLAN (RFC 7348), with or without the group policy extension.
    Vxlan,
    /// GENEVE (RFC 8926).
    Geneve,
    /// IPv4 or IPv6 directly inside IP (protocols 4 and 41: RFC 2003, RFC 4213, RFC 2473).
    IpInIp,
    /// GTP-U version 1, user data (3GPP TS 29.281).
    Gtp,
    /// Teredo (RFC 4380).
    Teredo,
    /// Ethernet inside IP (RFC 3378), protocol 97.
    EtherIp,
    /// MPLS directly inside IP (RFC 4023), protocol 137.
    MplsInIp,
}

impl TunnelKind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::Gre,
        Self::Erspan,
        Self::Vxlan,
        Self::Geneve,
        Self::IpInIp,
        Self::Gtp,
        Self::Teredo,
        Self::EtherIp,
        Self::MplsInIp,
    ];

    /// The name used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gre => "gre",
            Self::Erspan => "erspan",
            Self::Vxlan => "vxlan",
            Self::Geneve => "geneve",
            Self::IpInIp => "ip_in_ip",
            Self::Gtp => "gtp",
            Self::Teredo => "teredo",
            Self::EtherIp => "ether_ip",
            Self::MplsInIp => "mpls_in_ip",
        }
    }
}

/// Counters of one decoder since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DecodeCounts {
    /// Frames that became packets.
    pub decoded: u64,
    /// IP fragments seen, first ones included.
    pub fragments: u64,
    /// Later fragments whose first was not known; each is also a skipped frame.
    pub fragments_unmatched: u64,
    /// First fragments forgotten before their time because newer ones needed the place.
    pub fragments_evicted: u64,
    /// Packets whose payload the capture cut (snaplen).
    pub cut: u64,
    skipped: [u64; SkipReason::ALL.len()],
    tunnels: [u64; TunnelKind::ALL.len()],
}

impl DecodeCounts {
    /// Frames skipped for this reason.
    pub fn skipped(&self, reason: SkipReason) -> u64 {
        self.skipped.get(reason as usize).copied().unwrap_or_default()
    }

    /// Packets found inside a tunnel of this kind; a packet inside two tunnels counts for both.
    pub fn tunnels(&self, kind: TunnelKind) -> u64 {
        self.tunnels.get(kind as usize).copied().unwrap_or_default()
    }

    /// All frames that came in: decoded and skipped.
    pub fn frames(&self) -> u64 {
        self.decoded + self.skipped.iter().sum::<u64>()
    }

    /// The part of all frames that might have been packets and could not be read: cut before their headers ended, or
    /// malformed. 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 52 bits")]
    pub fn unread_share(&self) -> f64 {
        let unread = self.skipped(SkipReason::CutShort) + self.skipped(SkipReason::Malformed);
        if unread == 0 { 0.0 } else { unread as f64 / self.frames() as f64 }
    }

    /// Adds what another decoder counted.
    pub fn add(&mut self, other: &Self) {
        self.decoded += other.decoded;
        self.cut += other.cut;
        self.fragments += other.fragments;
        self.fragments_unmatched += other.fragments_unmatched;
        self.fragments_evicted += other.fragments_evicted;
        for (mine, theirs) in self.skipped.iter_mut().zip(other.skipped) {
            *mine += theirs;
        }
        for (mine, theirs) in self.tunnels.iter_mut().zip(other.tunnels) {
            *mine += theirs;
        }
    }

    #[inline]
    pub(super) fn note_packet(&mut self, packet: &Packet) {
        self.note(packet.payload_captured < packet.payload_len);
    }

    /// Notes a frame that became a packet, and whether the capture cut its payload.
    #[inline]
    pub(super) fn note(&mut self, cut: bool) {
        self.decoded += 1;
        self.cut += u64::from(cut);
    }

    pub(super) fn note_skip(&mut self, reason: SkipReason) {
        if let Some(count) = self.skipped.get_mut(reason as usize) {
            *count += 1;
        }
    }

    pub(super) fn note_tunnel(&mut self, kind: TunnelKind) {
        if let Some(count) = self.tunnels.get_mut(kind as usize) {
            *count += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_places_in_all() {
        assert!(SkipReason::ALL.iter().enumerate().all(|(place, reason)| *reason as usize == place));
        assert!(TunnelKind::ALL.iter().enumerate().all(|(place, kind)| *kind as usize == place));
    }

    #[test]
    fn sums_are_of_all_counters() {
        let mut one = DecodeCounts { decoded: 1, cut: 2, fragments: 3, ..DecodeCounts::default() };
        one.note_skip(SkipReason::Arp);
        one.note_tunnel(TunnelKind::Gtp);
        let mut sum = one.clone();
        sum.add(&one);
        assert_eq!((sum.decoded, sum.cut, sum.fragments), (2, 4, 6));
        assert_eq!((sum.skipped(SkipReason::Arp), sum.tunnels(TunnelKind::Gtp), sum.frames()), (2, 2, 4));
    }
}
