//! Community ID version 1, seed 0 (corelight/community-id-spec): the name of a flow that Zeek, Suricata, Arkime and
//! Elastic give it too.

use std::net::IpAddr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha1::Digest;
use sha1::Sha1;

use crate::model::addr::Addr;
use crate::model::addr::FiveTuple;
use crate::model::transport::Transport;

/// IP protocol number of `ICMPv6` (RFC 4443).
const ICMP_V6: u8 = 58;

/// The Community ID of a flow. An ICMP flow is an echo: its request's type and its reply's stand in for the ports.
pub fn community_id(ends: &FiveTuple) -> String {
    let (orig, resp) = (octets(ends.orig.addr), octets(ends.resp.addr));
    let echo_v6 = ends.transport == Transport::Icmp && !ends.orig.addr.is_v4();
    let ports = match ends.transport {
        Transport::Icmp if echo_v6 => Some((128, 129)),
        Transport::Icmp => Some((8, 0)),
        transport if transport.has_ports() => Some((ends.orig.port, ends.resp.port)),
        _ => None,
    };
    let (orig_port, resp_port) = ports.unwrap_or_default();
    let (low, high) = if (&orig, orig_port) <= (&resp, resp_port) {
        ((orig, orig_port), (resp, resp_port))
    } else {
        ((resp, resp_port), (orig, orig_port))
    };
    let mut hash = Sha1::new();
    hash.update([0, 0]);
    hash.update(&low.0);
    hash.update(&high.0);
    hash.update([if echo_v6 { ICMP_V6 } else { ends.transport as u8 }, 0]);
    if ports.is_some() {
        hash.update(low.1.to_be_bytes());
        hash.update(high.1.to_be_bytes());
    }
    format!("1:{}", BASE64_STANDARD.encode(hash.finalize()))
}

/// The address as it stands in an IP header.
pub(crate) fn octets(addr: Addr) -> Vec<u8> {
    match addr.ip() {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop here")]

    use super::*;
    use crate::model::addr::Endpoint;

    fn id(transport: Transport, orig: (&str, u16), resp: (&str, u16)) -> String {
        let end = |(addr, port): (&str, u16)| Endpoint { addr: Addr::from(addr.parse::<IpAddr>().unwrap()), port };
        community_id(&FiveTuple { orig: end(orig), resp: end(resp), transport })
    }

    #[test]
    fn agrees_with_the_published_values() {
        // From the reference implementation's baseline, both directions; the echo ports are ours and must not matter.
        let rows = [
            (Transport::Tcp, ("128.232.110.120", 34855), ("66.35.250.204", 80), "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
            (
                Transport::Tcp,
                ("2001:470:e5bf:dead:4957:2174:e82c:4887", 63943),
                ("2607:f8b0:400c:c03::1a", 25),
                "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4=",
            ),
            (Transport::Udp, ("192.168.1.52", 54585), ("8.8.8.8", 53), "1:d/FP5EW3wiY1vCndhwleRRKHowQ="),
            (Transport::Sctp, ("192.168.170.8", 7), ("192.168.170.56", 7), "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="),
        ];
        for (transport, orig, resp, expected) in rows {
            assert_eq!(id(transport, orig, resp), expected);
            assert_eq!(id(transport, resp, orig), expected);
        }
        let echo = id(Transport::Icmp, ("192.168.0.89", 5), ("192.168.0.1", 5));
        assert_eq!(echo, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=");
        let echo_v6 = id(Transport::Icmp, ("3ffe:507:0:1:200:86ff:fe05:80da", 5), ("3ffe:501:0:1001::2", 5));
        assert_eq!(echo_v6, "1:+TW+HtLHvV1xnGhV1lv7XoJrqQg=");
    }
}
