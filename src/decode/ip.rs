//! IPv4 and IPv6 headers with their extensions, down to the protocol above.
//!
//! Knows nothing of ports, and nothing of other frames: a fragment is described here, followed elsewhere.

#![expect(clippy::inline_always, reason = "a header that is not kept in registers is copied: twice the time")]

use etherparse::Ipv4HeaderSlice;
use etherparse::Ipv6HeaderSlice;
use etherparse::err::ipv4::HeaderSliceError as V4Error;
use etherparse::err::ipv6::HeaderSliceError as V6Error;

use crate::decode::packet::SkipReason;
use crate::decode::wire::be16;
use crate::decode::wire::be32;
use crate::decode::wire::u8_at;
use crate::model::addr::Addr;

/// IP protocol numbers (IANA) that decoding knows.
pub(super) mod protocol {
    pub(in crate::decode) const HOP_BY_HOP: u8 = 0;
    pub(in crate::decode) const ICMP: u8 = 1;
    pub(in crate::decode) const IPV4: u8 = 4;
    pub(in crate::decode) const TCP: u8 = 6;
    pub(in crate::decode) const UDP: u8 = 17;
    pub(in crate::decode) const IPV6: u8 = 41;
    pub(in crate::decode) const ROUTING: u8 = 43;
    pub(in crate::decode) const FRAGMENT: u8 = 44;
    pub(in crate::decode) const GRE: u8 = 47;
    pub(in crate::decode) const ESP: u8 = 50;
    pub(in crate::decode) const AH: u8 = 51;
    pub(in crate::decode) const ICMPV6: u8 = 58;
    pub(in crate::decode) const DESTINATION: u8 = 60;
    pub(in crate::decode) const ETHER_IP: u8 = 97;
    pub(in crate::decode) const SCTP: u8 = 132;
    pub(in crate::decode) const MPLS: u8 = 137;
}

/// Extension headers of one packet that are followed; real ones have two or three.
const EXTENSIONS_MAX: usize = 8;
const V6_HEADER_LEN: usize = 40;

/// What the IP layer says of a packet.
#[derive(Clone, Copy)]
pub(super) struct Ip {
    pub(super) src: Addr,
    pub(super) dst: Addr,
    /// What follows the last extension header; AH itself where that could not be passed.
    pub(super) protocol: u8,
    pub(super) ttl: u8,
    /// IPv4 identification; 0 for IPv6.
    pub(super) id: u16,
    pub(super) v6: bool,
    /// Length of header and payload by the header itself, bytes.
    pub(super) len: usize,
    /// Where the protocol above begins, from the frame's start.
    pub(super) at: usize,
    /// Where the packet ends by its own header, from the frame's start.
    pub(super) end: usize,
    /// Where it ends at the latest: a header may claim more than the frame or tunnel around it had room for.
    pub(super) limit: usize,
    /// Whether it is a piece of a larger datagram.
    pub(super) fragment: Option<Piece>,
    /// Where an authentication header began that was passed.
    pub(super) ah_at: Option<usize>,
}

/// What a fragment says of the datagram it is a piece of.
#[derive(Clone, Copy)]
pub(super) struct Piece {
    pub(super) id: u32,
    /// IPv4's protocol. IPv6 identifies by addresses and number alone (RFC 8200 section 4.5): 0.
    pub(super) protocol: u8,
    /// It is the first, so the ports are in it.
    pub(super) first: bool,
}

impl Ip {
    /// The header of the IPv4 packet at `at` of a frame or tunnel that ends at `end` on the wire.
    #[inline(always)]
    pub(super) fn v4(bytes: &[u8], at: usize, end: usize) -> Result<Self, SkipReason> {
        let header = Ipv4HeaderSlice::from_slice(bytes.get(at..).unwrap_or_default()).map_err(|error| match error {
            V4Error::Len(_) => SkipReason::CutShort,
            V4Error::Content(_) => SkipReason::Malformed,
        })?;
        let header_len = header.slice().len();
        let len = match usize::from(header.total_len()) {
            // The sender's card segments (TSO): the capture was taken before the length was filled in.
            0 => end.saturating_sub(at),
            len => len,
        };
        if len < header_len {
            return Err(SkipReason::Malformed);
        }
        let mut ip = Self {
            src: Addr::v4(header.source()),
            dst: Addr::v4(header.destination()),
            protocol: header.protocol().0,
            ttl: header.ttl(),
            id: header.identification(),
            v6: false,
            len,
            at: at + header_len,
            end: at + len,
            limit: end.min(at + len),
            fragment: None,
            ah_at: None,
        };
        if header.is_fragmenting_payload() {
            ip.fragment = Some(Piece {
                id: u32::from(ip.id),
                protocol: ip.protocol,
                first: header.fragments_offset().value() == 0,
            });
        }
        Ok(ip)
    }

    /// The header of the IPv6 packet at `at` of a frame or tunnel that ends at `end` on the wire.
    #[inline(always)]
    pub(super) fn v6(bytes: &[u8], at: usize, end: usize) -> Result<Self, SkipReason> {
        let header = Ipv6HeaderSlice::from_slice(bytes.get(at..).unwrap_or_default()).map_err(|error| match error {
            V6Error::Len(_) => SkipReason::CutShort,
            V6Error::Content(_) => SkipReason::Malformed,
        })?;
        let len = match usize::from(header.payload_length()) {
            // Either a jumbogram (RFC 2675) or segmentation by the card; the frame's own length says the same of both.
            0 => end.saturating_sub(at).max(V6_HEADER_LEN),
            payload => V6_HEADER_LEN + payload,
        };
        Ok(Self {
            src: Addr::v6(header.source()),
            dst: Addr::v6(header.destination()),
            protocol: header.next_header().0,
            ttl: header.hop_limit(),
            id: 0,
            v6: true,
            len,
            at: at + V6_HEADER_LEN,
            end: at + len,
            limit: end.min(at + len),
            fragment: None,
            ah_at: None,
        })
    }

    /// Why `need` bytes at `at` are not there: the packet itself is too short, or the capture is.
    pub(super) fn missing(&self, at: usize, need: usize) -> SkipReason {
        // The first fragment may end anywhere; what lacks is in the next one.
        if self.end < at + need && self.fragment.is_none() { SkipReason::Malformed } else { SkipReason::CutShort }
    }

    /// Bytes of the packet from `at` to its end, by the headers.
    #[inline]
    pub(super) fn rest(&self, at: usize) -> usize {
        self.limit.saturating_sub(at)
    }

    /// Moves past authentication and IPv6 extension headers, and finds out whether an IPv6 packet is a fragment.
    pub(super) fn pass_extensions(&mut self, bytes: &[u8]) -> Result<(), SkipReason> {
        for _ in 0..EXTENSIONS_MAX {
            if !self.pass_extension(bytes)? {
                return Ok(());
            }
        }
        if self.at_extension() { Err(SkipReason::TooDeep) } else { Ok(()) }
    }

    fn at_extension(&self) -> bool {
        match self.protocol {
            protocol::AH => true,
            protocol::HOP_BY_HOP | protocol::ROUTING | protocol::DESTINATION | protocol::FRAGMENT => self.v6,
            _ => false,
        }
    }

    /// Moves past one extension header; false where there is none to pass.
    fn pass_extension(&mut self, bytes: &[u8]) -> Result<bool, SkipReason> {
        // What follows the header of a later fragment is the middle of a datagram.
        if !self.at_extension() || self.fragment.is_some_and(|piece| !piece.first) {
            return Ok(false);
        }
        let at = self.at;
        let (Some(next), Some(units)) = (u8_at(bytes, at), u8_at(bytes, at.saturating_add(1))) else {
            return if self.protocol == protocol::AH { Ok(false) } else { Err(self.missing(at, 2)) };
        };
        let len = match self.protocol {
            protocol::AH => {
                let len = (usize::from(units) + 2) * 4;
                // A header shorter than its fixed part, longer than the packet, or cut hides what follows it.
                if len < 12 || self.end < at + len || bytes.len() < at + len {
                    return Ok(false);
                }
                self.ah_at = Some(at);
                len
            }
            protocol::FRAGMENT => {
                let (Some(offset), Some(id)) = (be16(bytes, at + 2), be32(bytes, at + 4)) else {
                    return Err(self.missing(at, 8));
                };
                // Offset 0 without "more" is a whole datagram that merely carries the header (RFC 6946).
                if offset & 0xfff9 != 0 {
                    self.fragment = Some(Piece { id, protocol: 0, first: offset & 0xfff8 == 0 });
                }
                8
            }
            _ => (usize::from(units) + 1) * 8,
        };
        if self.end < at + len {
            return Err(SkipReason::Malformed);
        }
        self.at = at + len;
        self.protocol = next;
        Ok(true)
    }
}
