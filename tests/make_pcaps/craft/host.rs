//! The hosts that captures show, each as it looks at the capture point: a span port of the clients' switch.
//!
//! Hosts of the servers' network are one router away, so their frames carry the gateway's MAC and a TTL one lower.
//! Addresses are of the private and documentation ranges (RFC 1918, RFC 5737, RFC 3849), MACs of RFC 7042.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

/// A host, or what somebody pretends to be one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Host {
    /// Its address.
    pub(crate) addr: IpAddr,
    /// The MAC that its frames carry at the capture point.
    pub(crate) mac: [u8; 6],
    /// The TTL or hop limit that its packets carry at the capture point.
    pub(crate) ttl: u8,
    /// Whether its IP identification counts up; otherwise it is always 0.
    pub(crate) counts_ids: bool,
}

const GATEWAY_MAC: [u8; 6] = mac(1);

/// The router and firewall of the clients' network.
pub(crate) const GATEWAY: Host = Host { addr: v4(10, 0, 1, 1), mac: GATEWAY_MAC, ttl: 255, counts_ids: true };
/// A Windows workstation on the network of the capture point.
pub(crate) const CLIENT: Host = Host { addr: v4(10, 0, 1, 20), mac: mac(0x20), ttl: 128, counts_ids: true };
/// Another Windows workstation beside it.
pub(crate) const CLIENT2: Host = Host { addr: v4(10, 0, 1, 21), mac: mac(0x21), ttl: 128, counts_ids: true };
/// A host that collects data from Active Directory, on the clients' network.
pub(crate) const AUDITOR: Host = Host { addr: v4(10, 0, 1, 60), mac: mac(0x60), ttl: 128, counts_ids: true };
/// A domain controller behind the gateway.
pub(crate) const DC1: Host = Host { addr: v4(10, 0, 0, 10), mac: GATEWAY_MAC, ttl: 127, counts_ids: true };
/// A second domain controller behind the gateway.
pub(crate) const DC2: Host = Host { addr: v4(10, 0, 0, 11), mac: GATEWAY_MAC, ttl: 127, counts_ids: true };
/// A Windows member server behind the gateway.
pub(crate) const SERVER: Host = Host { addr: v4(10, 0, 0, 20), mac: GATEWAY_MAC, ttl: 127, counts_ids: true };
/// A Linux server behind the gateway.
pub(crate) const LINUX: Host = Host { addr: v4(10, 0, 0, 30), mac: GATEWAY_MAC, ttl: 63, counts_ids: false };
/// The client with its IPv6 address.
pub(crate) const CLIENT_V6: Host = Host { addr: v6(1, 0x20), ..CLIENT };
/// Another client with its IPv6 address.
pub(crate) const CLIENT2_V6: Host = Host { addr: v6(1, 0x21), ..CLIENT2 };
/// The domain controller with its IPv6 address.
pub(crate) const DC1_V6: Host = Host { addr: v6(0, 0x10), ..DC1 };
/// The gateway with its IPv6 address.
pub(crate) const GATEWAY_V6: Host = Host { addr: v6(1, 1), ..GATEWAY };

impl Host {
    /// The same address, but in frames that a firewall on the way made up: TTL 64, identification 0.
    pub(crate) const fn forged(self) -> Self {
        Self { ttl: 64, counts_ids: false, ..self }
    }

    /// A neighbour with another last octet of address and MAC.
    pub(crate) fn neighbour(self, last: u8) -> Self {
        let IpAddr::V4(addr) = self.addr else { return self };
        let [a, b, c, _] = addr.octets();
        let [m0, m1, m2, m3, m4, _] = self.mac;
        let mac = if self.mac == GATEWAY_MAC { GATEWAY_MAC } else { [m0, m1, m2, m3, m4, last] };
        Self { addr: v4(a, b, c, last), mac, ..self }
    }
}

const fn mac(last: u8) -> [u8; 6] {
    [0x00, 0x00, 0x5e, 0x00, 0x53, last]
}

/// An IPv4 address by its octets.
pub(crate) const fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

/// `2001:db8:<net>::<host>`.
pub(crate) const fn v6(net: u16, host: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, net, 0, 0, 0, 0, host))
}
