//! Addresses and the two kinds of key: undirected for tables, directed for people.

use std::cmp::Ordering;
use std::fmt;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

use crate::model::transport::Transport;

/// An IPv4 or IPv6 address in 16 bytes, cheap to compare and to hash.
///
/// IPv4 is kept under a prefix inside `ff00::/8` that no host can own (all scope and flag bits set), so that an
/// IPv4-mapped IPv6 address seen on the wire stays what it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Addr([u64; 2]);

const V4_HIGH: u64 = u64::MAX;
const V4_LOW: u64 = 0xffff_ffff_0000_0000;

impl Addr {
    /// 0.0.0.0, the address of nobody.
    pub const UNSPECIFIED: Self = Self([V4_HIGH, V4_LOW]);

    /// The address of four bytes in network order.
    #[inline]
    pub fn v4(bytes: [u8; 4]) -> Self {
        Self::v4_bits(u32::from_be_bytes(bytes))
    }

    /// The address of these 32 bits, the first byte on top.
    #[inline]
    pub fn v4_bits(bits: u32) -> Self {
        Self([V4_HIGH, V4_LOW | u64::from(bits)])
    }

    /// The address of sixteen bytes in network order.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the halves are taken apart")]
    pub fn v6(bytes: [u8; 16]) -> Self {
        let whole = u128::from_be_bytes(bytes);
        Self([(whole >> 64) as u64, whole as u64])
    }

    /// Whether this is an IPv4 address.
    #[inline]
    pub fn is_v4(self) -> bool {
        self.0[0] == V4_HIGH && self.0[1] & V4_LOW == V4_LOW
    }

    /// The 32 bits of an IPv4 address, the first byte on top.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the low 32 bits are the IPv4 address")]
    pub fn as_v4_bits(self) -> Option<u32> {
        self.is_v4().then_some(self.0[1] as u32)
    }

    /// The two 64-bit halves, for hashing.
    #[inline]
    pub fn halves(self) -> [u64; 2] {
        self.0
    }

    /// The same address as the standard library's type.
    pub fn ip(self) -> IpAddr {
        match self.as_v4_bits() {
            Some(bits) => IpAddr::V4(Ipv4Addr::from(bits)),
            None => IpAddr::V6(Ipv6Addr::from((u128::from(self.0[0]) << 64) | u128::from(self.0[1]))),
        }
    }

    /// Whether the address belongs to some organisation's own network: RFC 1918, RFC 4193, link-local.
    pub fn is_internal(self) -> bool {
        match self.ip() {
            IpAddr::V4(v4) => v4.is_private() || v4.is_link_local(),
            IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local(),
        }
    }

    /// Whether it is the last address of a network of 256 of IPv4: the broadcast address if the network is not larger.
    pub fn is_last_of_24(self) -> bool {
        matches!(self.ip(), IpAddr::V4(v4) if v4.octets()[3] == 255)
    }

    /// Whether a packet to this address goes to many hosts: IPv4 224.0.0.0/4 and 255.255.255.255, IPv6 `ff00::/8`.
    pub fn is_multicast_or_broadcast(self) -> bool {
        match self.ip() {
            IpAddr::V4(v4) => v4.is_multicast() || v4.is_broadcast(),
            IpAddr::V6(v6) => v6.is_multicast(),
        }
    }
}

impl From<IpAddr> for Addr {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(v4) => Self::v4(v4.octets()),
            IpAddr::V6(v6) => Self::v6(v6.octets()),
        }
    }
}

/// IPv4 before IPv6, each in numeric order: the order of every report.
impl Ord for Addr {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        // IPv4 is kept above every other address, within 32 bits of the highest: these bits more, and it comes first.
        let rank = |addr: &Self| (u128::from(addr.0[0]) << 64 | u128::from(addr.0[1])).wrapping_add(1 << 32);
        rank(self).cmp(&rank(other))
    }
}

impl PartialOrd for Addr {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ip().fmt(f)
    }
}

impl fmt::Debug for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ip().fmt(f)
    }
}

/// One of the two ends of a [`FlowKey`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Side {
    /// The end that sorts first.
    Low = 0,
    /// The end that sorts last.
    High = 1,
}

impl Side {
    /// The opposite end.
    #[inline]
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Low => Self::High,
            Self::High => Self::Low,
        }
    }

    /// 0 or 1, for arrays with one place for each end.
    #[inline]
    pub fn index(self) -> usize {
        self as usize
    }
}

/// An address with a port (0 where the transport has none).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Endpoint {
    /// The host.
    pub addr: Addr,
    /// The port, host order.
    pub port: u16,
}

/// Both ends of a conversation without direction: packets of both ways have one and the same key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FlowKey {
    /// Address of the low end.
    pub low: Addr,
    /// Address of the high end.
    pub high: Addr,
    /// Port of the low end.
    pub low_port: u16,
    /// Port of the high end.
    pub high_port: u16,
    /// The transport.
    pub transport: Transport,
}

const _: () = assert!(size_of::<FlowKey>() == 40);

impl FlowKey {
    /// The key of a packet from `src` to `dst`, and the end which sent it.
    #[inline]
    pub fn of(src: Addr, src_port: u16, dst: Addr, dst_port: u16, transport: Transport) -> (Self, Side) {
        // Any total order does here; this one compiles to few instructions.
        let swap = (dst.0, dst_port) < (src.0, src_port);
        if swap {
            (Self { low: dst, high: src, low_port: dst_port, high_port: src_port, transport }, Side::High)
        } else {
            (Self { low: src, high: dst, low_port: src_port, high_port: dst_port, transport }, Side::Low)
        }
    }

    /// All of a key between IPv4 addresses in two numbers: both addresses, 32 bits each; the transport above both ports,
    /// 16 bits each. The low end comes first.
    #[inline]
    pub fn v4_words(&self) -> Option<[u64; 2]> {
        let bits = |addr: Addr| addr.0[1] & !V4_LOW;
        let ports = u64::from(self.low_port) << 16 | u64::from(self.high_port);
        let words = [bits(self.low) << 32 | bits(self.high), (self.transport as u64) << 32 | ports];
        (self.low.is_v4() && self.high.is_v4()).then_some(words)
    }

    /// The key of these words.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "fields are taken out of words")]
    pub fn of_v4_words([addrs, rest]: [u64; 2]) -> Self {
        Self {
            low: Addr::v4_bits((addrs >> 32) as u32),
            high: Addr::v4_bits(addrs as u32),
            low_port: (rest >> 16) as u16,
            high_port: rest as u16,
            transport: Transport::of_number((rest >> 32) as u8),
        }
    }

    /// The endpoint at one end.
    #[inline]
    pub fn end(&self, side: Side) -> Endpoint {
        match side {
            Side::Low => Endpoint { addr: self.low, port: self.low_port },
            Side::High => Endpoint { addr: self.high, port: self.high_port },
        }
    }
}

/// A conversation with direction: who began it, and to whom.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FiveTuple {
    /// The originator (client).
    pub orig: Endpoint,
    /// The responder (server).
    pub resp: Endpoint,
    /// The transport.
    pub transport: Transport,
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop here")]

    use super::*;

    #[test]
    fn both_ways_have_one_key() {
        let a = Addr::v4([10, 0, 0, 1]);
        let b = Addr::v4([10, 0, 0, 2]);
        let (there, from_there) = FlowKey::of(a, 50000, b, 389, Transport::Tcp);
        let (back, from_back) = FlowKey::of(b, 389, a, 50000, Transport::Tcp);
        assert_eq!(there, back);
        assert_eq!(from_there, from_back.other());
        assert_eq!(there.end(from_there), Endpoint { addr: a, port: 50000 });
    }

    #[test]
    fn v4_comes_before_v6() {
        let v6 = |first: u8, last: u8| {
            let mut bytes = [first; 16];
            bytes[15] = last;
            Addr::v6(bytes)
        };
        let order = [
            Addr::v4([0; 4]),
            Addr::v4([10, 0, 0, 9]),
            Addr::v4([10, 0, 0, 10]),
            Addr::v4([255; 4]),
            v6(0, 0),
            v6(0, 1),
            v6(0x20, 1),
            v6(0xfe, 0xff),
            Addr::v6("ffff:ffff:ffff:ffff:ffff:fffe:ffff:ffff".parse::<Ipv6Addr>().unwrap().octets()),
        ];
        assert!(order.is_sorted_by(|one, next| one < next));
    }

    #[test]
    fn v4_mapped_v6_is_not_v4() {
        let mapped = Addr::v6("::ffff:10.0.0.1".parse::<Ipv6Addr>().unwrap().octets());
        assert_ne!(mapped, Addr::v4([10, 0, 0, 1]));
        assert_eq!(mapped.to_string(), "::ffff:10.0.0.1");
        assert_eq!(Addr::v4([10, 0, 0, 1]).to_string(), "10.0.0.1");
    }
}
