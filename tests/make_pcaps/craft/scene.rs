//! A scene: a clock, the IP packets sent so far, and the counters that hosts keep.
//!
//! Hands on frames of any link type. Must never know capture file formats.

use std::collections::BTreeMap;
use std::net::IpAddr;

use etherparse::Icmpv4Type;
use etherparse::Icmpv6Type;
use etherparse::IpHeaders;
use etherparse::IpNumber;
use etherparse::Ipv4Extensions;
use etherparse::Ipv4Header;
use etherparse::Ipv6Extensions;
use etherparse::Ipv6FlowLabel;
use etherparse::Ipv6Header;
use etherparse::PacketBuilder;
use etherparse::PacketBuilderStep;
use etherparse::TcpHeader;

use crate::craft::encap::ethernet;
use crate::craft::host::Host;

/// 2026-01-05T09:00:00Z, nanoseconds since the epoch: when every scene begins.
pub(crate) const START_NS: u64 = 1_767_603_600_000_000_000;
/// The time from one packet to the next unless a scene says otherwise.
const STEP_NS: u64 = 250_000;

/// One IP packet on its way past the capture point.
#[derive(Clone, Debug)]
pub(crate) struct Shot {
    /// When, nanoseconds since the epoch.
    pub(crate) at_ns: u64,
    /// Source MAC at the capture point.
    pub(crate) src_mac: [u8; 6],
    /// Destination MAC at the capture point.
    pub(crate) dst_mac: [u8; 6],
    /// The packet from its IP header on.
    pub(crate) ip: Vec<u8>,
}

/// One captured frame.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// When, nanoseconds since the epoch.
    pub(crate) at_ns: u64,
    /// Its length on the wire, bytes.
    pub(crate) wire_len: u32,
    /// What was captured of it.
    pub(crate) bytes: Vec<u8>,
}

impl Frame {
    /// A frame captured whole.
    pub(crate) fn whole(at_ns: u64, bytes: Vec<u8>) -> Self {
        Self { at_ns, wire_len: u32::try_from(bytes.len()).unwrap(), bytes }
    }

    /// The same frame captured with a snaplen.
    pub(crate) fn cut(mut self, snaplen: usize) -> Self {
        self.bytes.truncate(snaplen);
        self
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    /// The time of the next packet, nanoseconds since the epoch.
    pub(crate) now_ns: u64,
    /// What was sent.
    pub(crate) shots: Vec<Shot>,
    ids: BTreeMap<IpAddr, u16>,
    next_port: u16,
    next_isn: u32,
}

impl Scene {
    /// Nothing yet, nine o'clock.
    pub(crate) fn new() -> Self {
        Self { now_ns: START_NS, shots: Vec::new(), ids: BTreeMap::new(), next_port: 50_100, next_isn: 0x1b2c_3d4e }
    }

    /// Sets the clock to so many milliseconds after the start; may go back, frames are sorted at the end.
    pub(crate) fn at_ms(&mut self, ms: u64) {
        self.now_ns = START_NS + ms * 1_000_000;
    }

    /// Lets time pass.
    pub(crate) fn wait_ms(&mut self, ms: u64) {
        self.now_ns += ms * 1_000_000;
    }

    /// Takes back a part of the step after the last packet, for an answer that comes faster than usual.
    pub(crate) fn sooner_us(&mut self, us: u64) {
        self.now_ns -= us * 1000;
    }

    /// A fresh ephemeral port of the dynamic range (RFC 6335); the range is gone through again when it is used up.
    pub(crate) fn port(&mut self) -> u16 {
        self.next_port = self.next_port.checked_add(1).unwrap_or(49_152);
        self.next_port
    }

    /// A fresh initial sequence number.
    pub(crate) fn isn(&mut self) -> u32 {
        self.next_isn = self.next_isn.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.next_isn
    }

    /// Sends a finished IP packet.
    pub(crate) fn send_ip(&mut self, from: &Host, to: &Host, ip: Vec<u8>) {
        self.shots.push(Shot { at_ns: self.now_ns, src_mac: from.mac, dst_mac: to.mac, ip });
        self.now_ns += STEP_NS;
    }

    /// Sends one TCP segment; the checksum is made here.
    pub(crate) fn send_tcp(&mut self, from: &Host, to: &Host, header: TcpHeader, payload: &[u8]) {
        let mut ip = Vec::new();
        self.builder(from, to).tcp_header(header).write(&mut ip, payload).unwrap();
        self.send_ip(from, to, ip);
    }

    /// Sends one UDP datagram.
    pub(crate) fn send_udp(&mut self, (from, sport): (&Host, u16), (to, dport): (&Host, u16), payload: &[u8]) {
        let mut ip = Vec::new();
        self.builder(from, to).udp(sport, dport).write(&mut ip, payload).unwrap();
        self.send_ip(from, to, ip);
    }

    /// Sends one `ICMPv4` message.
    pub(crate) fn send_icmp4(&mut self, from: &Host, to: &Host, kind: Icmpv4Type, body: &[u8]) {
        let mut ip = Vec::new();
        self.builder(from, to).icmpv4(kind).write(&mut ip, body).unwrap();
        self.send_ip(from, to, ip);
    }

    /// Sends one `ICMPv6` message.
    pub(crate) fn send_icmp6(&mut self, from: &Host, to: &Host, kind: Icmpv6Type, body: &[u8]) {
        let mut ip = Vec::new();
        self.builder(from, to).icmpv6(kind).write(&mut ip, body).unwrap();
        self.send_ip(from, to, ip);
    }

    /// An ICMP error of the family of the last packet that the victim sent, which it quotes: 28 bytes of it over IPv4
    /// (RFC 792), all of it over IPv6 (RFC 4443).
    pub(crate) fn icmp_reject(&mut self, from: &Host, to: &Host, kind: u8, code: u8) {
        let victim = self.shots.iter().rev().find(|shot| source_of(&shot.ip) == Some(to.addr)).unwrap();
        let quote = victim.ip.clone();
        self.icmp_about(from, to, (kind, code), &quote);
    }

    /// An ICMP error with the quote given.
    pub(crate) fn icmp_about(&mut self, from: &Host, to: &Host, (kind, code): (u8, u8), quote: &[u8]) {
        let mut ip = Vec::new();
        let builder = self.builder(from, to);
        if to.addr.is_ipv4() {
            let quote = quote.get(..28).unwrap_or(quote);
            // "Too big" tells the next hop's MTU (RFC 1191, RFC 4443): 1300 here.
            let rest = if (kind, code) == (3, 4) { [0, 0, 0x05, 0x14] } else { [0; 4] };
            builder.icmpv4_raw(kind, code, rest).write(&mut ip, quote).unwrap();
        } else {
            let rest = if (kind, code) == (2, 0) { [0, 0, 0x05, 0x14] } else { [0; 4] };
            builder.icmpv6_raw(kind, code, rest).write(&mut ip, quote).unwrap();
        }
        self.send_ip(from, to, ip);
    }

    /// A request and its reply, one datagram each.
    pub(crate) fn udp_exchange(&mut self, client: &Host, server: &Host, port: u16, request: &[u8], reply: &[u8]) {
        let own = self.port();
        self.udp_from(client, own, server, port, request, reply);
    }

    /// A request and its reply where the client's port matters.
    pub(crate) fn udp_from(&mut self, client: &Host, own: u16, server: &Host, port: u16, request: &[u8], reply: &[u8]) {
        self.send_udp((client, own), (server, port), request);
        self.send_udp((server, port), (client, own), reply);
    }

    /// One request sent at each of the times (milliseconds from now), never answered; the clock stays at the last.
    pub(crate) fn udp_silent(&mut self, client: &Host, server: &Host, port: u16, request: &[u8], at_ms: &[u64]) {
        let own = self.port();
        let begin = self.now_ns;
        for ms in at_ms {
            self.now_ns = begin + ms * 1_000_000;
            self.send_udp((client, own), (server, port), request);
        }
    }

    fn builder(&mut self, from: &Host, to: &Host) -> PacketBuilderStep<IpHeaders> {
        let headers = match (from.addr, to.addr) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let mut header =
                    Ipv4Header::new(0, from.ttl, IpNumber(0), source.octets(), destination.octets()).unwrap();
                header.identification = self.next_id(from);
                header.dont_fragment = true;
                IpHeaders::Ipv4(header, Ipv4Extensions::default())
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let header = Ipv6Header {
                    traffic_class: 0,
                    flow_label: Ipv6FlowLabel::ZERO,
                    payload_length: 0,
                    next_header: IpNumber(0),
                    hop_limit: from.ttl,
                    source: source.octets(),
                    destination: destination.octets(),
                };
                IpHeaders::Ipv6(header, Ipv6Extensions::default())
            }
            mixed => unreachable!("one packet has one family: {mixed:?}"),
        };
        PacketBuilder::ip(headers)
    }

    fn next_id(&mut self, from: &Host) -> u16 {
        if !from.counts_ids {
            return 0;
        }
        let IpAddr::V4(addr) = from.addr else { return 0 };
        let [_, _, c, d] = addr.octets();
        let id = self.ids.entry(from.addr).or_insert(u16::from_be_bytes([c.wrapping_mul(41).wrapping_add(16), d]));
        *id = id.wrapping_add(1);
        *id
    }

    /// All packets in time order, wrapped for a link type; a wrap may make several frames of one packet.
    pub(crate) fn frames(&self, mut wrap: impl FnMut(&Shot) -> Vec<Vec<u8>>) -> Vec<Frame> {
        let mut shots: Vec<&Shot> = self.shots.iter().collect();
        shots.sort_by_key(|shot| shot.at_ns);
        let mut frames = Vec::new();
        for shot in shots {
            for (nth, bytes) in (0..).zip(wrap(shot)) {
                frames.push(Frame::whole(shot.at_ns + nth * 1000, bytes));
            }
        }
        frames
    }

    /// All packets as Ethernet frames.
    pub(crate) fn ethernet(&self) -> Vec<Frame> {
        self.frames(|shot| vec![ethernet(shot)])
    }
}

fn source_of(ip: &[u8]) -> Option<IpAddr> {
    if ip.first()? >> 4 == 4 {
        Some(IpAddr::from(<[u8; 4]>::try_from(ip.get(12..16)?).ok()?))
    } else {
        Some(IpAddr::from(<[u8; 16]>::try_from(ip.get(8..24)?).ok()?))
    }
}
