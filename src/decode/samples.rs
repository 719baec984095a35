//! Frames for tests: one conversation, wrapped in every link layer and tunnel that is read.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may stop here")]

use etherparse::PacketBuilder;

use crate::capture::batch::Frame;
use crate::capture::batch::LinkType;
use crate::decode::decoder::Decoder;
use crate::decode::packet::Decoded;
use crate::decode::packet::Packet;
use crate::decode::packet::SkipReason;
use crate::model::ids::FrameId;
use crate::model::time::Timestamp;

/// What every sample carries after its last header.
pub(super) const PAYLOAD: &[u8] = b"hello";
pub(super) const SRC_PORT: u16 = 50000;
pub(super) const DST_PORT: u16 = 389;
pub(super) const V4: [[u8; 4]; 2] = [[10, 0, 0, 1], [10, 0, 0, 2]];
pub(super) const V6: [[u8; 16]; 2] =
    [[0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]];
/// Ends of the tunnels.
const OUTER: [[u8; 4]; 2] = [[192, 0, 2, 1], [192, 0, 2, 2]];

/// A frame that holds the conversation's segment.
pub(super) struct Sample {
    pub(super) name: &'static str,
    pub(super) link: u16,
    pub(super) bytes: Vec<u8>,
    pub(super) v6: bool,
    pub(super) tunnels: u8,
}

/// A frame of these bytes, of which `wire_len` were on the wire, at this second.
pub(super) fn frame(link: u16, bytes: &[u8], wire_len: usize, second: u64) -> Frame {
    Frame {
        id: FrameId::new(0, 1),
        ts: Timestamp(second * 1_000_000_000),
        at: 0,
        captured: u32::try_from(bytes.len()).unwrap(),
        wire_len: u32::try_from(wire_len).unwrap(),
        link: LinkType(link),
    }
}

/// What a new decoder says of a whole frame.
pub(super) fn decode(link: u16, bytes: &[u8]) -> Decoded {
    Decoder::new().decode(&frame(link, bytes, bytes.len(), 0), bytes)
}

/// The packet in a whole frame.
pub(super) fn packet(link: u16, bytes: &[u8]) -> Packet {
    match decode(link, bytes) {
        Decoded::Packet(packet) => packet,
        Decoded::Skip(reason) => panic!("{reason:?}: {bytes:02x?}"),
    }
}

/// Why a whole frame is skipped.
pub(super) fn skip(link: u16, bytes: &[u8]) -> SkipReason {
    match decode(link, bytes) {
        Decoded::Skip(reason) => reason,
        Decoded::Packet(packet) => panic!("{packet:?}"),
    }
}

/// IPv4 with the segment.
pub(super) fn tcp4() -> Vec<u8> {
    let mut packet = Vec::new();
    let builder = PacketBuilder::ipv4(V4[0], V4[1], 64).tcp(SRC_PORT, DST_PORT, 1000, 8192).ack(2000).psh();
    builder.write(&mut packet, PAYLOAD).unwrap();
    packet
}

/// IPv6 with the segment.
pub(super) fn tcp6() -> Vec<u8> {
    let mut packet = Vec::new();
    let builder = PacketBuilder::ipv6(V6[0], V6[1], 64).tcp(SRC_PORT, DST_PORT, 1000, 8192).ack(2000).psh();
    builder.write(&mut packet, PAYLOAD).unwrap();
    packet
}

/// IPv4 with UDP between these ports.
pub(super) fn udp4([src, dst]: [[u8; 4]; 2], ports: [u16; 2], payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    PacketBuilder::ipv4(src, dst, 64).udp(ports[0], ports[1]).write(&mut packet, payload).unwrap();
    packet
}

/// IPv4 with any protocol.
pub(super) fn ip4([src, dst]: [[u8; 4]; 2], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(20 + payload.len()).unwrap().to_be_bytes();
    let head = [0x45, 0, high, low, 0, 7, 0, 0, 64, protocol, 0, 0];
    [&head[..], &src, &dst, payload].concat()
}

/// IPv6 with any next header.
pub(super) fn ip6(next: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [&[0x60, 0, 0, 0, high, low, next, 64], &V6[0][..], &V6[1], payload].concat()
}

/// Ethernet II.
pub(super) fn eth(ether_type: u16, payload: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1], &ether_type.to_be_bytes()[..], payload].concat()
}

fn join(head: &[u8], tail: &[u8]) -> Vec<u8> {
    [head, tail].concat()
}

fn link(name: &'static str, link: u16, bytes: Vec<u8>) -> Sample {
    Sample { name, link, bytes, v6: false, tunnels: 0 }
}

fn link6(name: &'static str, link: u16, bytes: Vec<u8>) -> Sample {
    Sample { name, link, bytes, v6: true, tunnels: 0 }
}

fn tunnel(name: &'static str, packet: &[u8]) -> Sample {
    Sample { name, link: 1, bytes: eth(0x0800, packet), v6: false, tunnels: 1 }
}

fn udp_tunnel(name: &'static str, port: u16, head: &[u8], inside: &[u8]) -> Sample {
    tunnel(name, &udp4(OUTER, [40000, port], &join(head, inside)))
}

fn gre(name: &'static str, head: &[u8], inside: &[u8]) -> Sample {
    tunnel(name, &ip4(OUTER, 47, &join(head, inside)))
}

/// All samples.
pub(super) fn all() -> Vec<Sample> {
    let mut samples = ethernet();
    samples.extend(others());
    samples.extend(wireless());
    samples.extend(extended());
    samples.extend(tunnels());
    samples.extend(gre_tunnels());
    samples
}

fn ethernet() -> Vec<Sample> {
    let (v4, v6) = (tcp4(), tcp6());
    let snap = |oui: [u8; 3]| [&[0xaa, 0xaa, 3], &oui[..], &[8, 0], &v4].concat();
    vec![
        link("ethernet", 1, eth(0x0800, &v4)),
        link6("ethernet, IPv6", 1, eth(0x86dd, &v6)),
        link("802.1Q", 1, eth(0x8100, &join(&[0, 100, 8, 0], &v4))),
        link("802.1ad", 1, eth(0x88a8, &join(&[0, 100, 0x81, 0, 0, 5, 8, 0], &v4))),
        link("double tags", 1, eth(0x9100, &join(&[0, 100, 0x91, 0, 0, 5, 8, 0], &v4))),
        link("VN-tag", 1, eth(0x8926, &join(&[0, 1, 0, 2, 8, 0], &v4))),
        link("E-tag", 1, eth(0x893f, &join(&[0, 1, 0, 2, 0, 3, 8, 0], &v4))),
        link("metadata", 1, eth(0x8909, &join(&[1, 1, 0, 1, 0, 9, 8, 0], &v4))),
        link("SNAP", 1, eth(60, &snap([0, 0, 0]))),
        link("SNAP, bridge tunnel", 1, eth(60, &snap([0, 0, 0xf8]))),
        link("LLC, IP", 1, eth(60, &join(&[6, 6, 3], &v4))),
        link("SNAP behind a tag", 1, eth(0x8100, &join(&[0, 1, 0, 60], &snap([0; 3])))),
        link("two labels", 1, eth(0x8847, &join(&[0, 1, 0, 64, 0, 2, 1, 64], &v4))),
        link6("label, IPv6", 1, eth(0x8848, &join(&[0, 1, 1, 64], &v6))),
        link("pseudowire, control word", 1, eth(0x8847, &[&[0, 1, 1, 64, 0, 0, 0, 9], &eth(0x0800, &v4)[..]].concat())),
        link("pseudowire", 1, eth(0x8847, &join(&[0, 1, 1, 64], &eth(0x0800, &v4)))),
        link("PPPoE", 1, eth(0x8864, &join(&[0x11, 0, 0, 1, 0, 9, 0, 0x21], &v4))),
        link6("PPPoE, short protocol", 1, eth(0x8864, &join(&[0x11, 0, 0, 1, 0, 9, 0x57], &v6))),
        link("802.1ah", 1, eth(0x88e7, &join(&[0, 0, 0, 1], &eth(0x0800, &v4)))),
        link("NSH", 1, eth(0x894f, &join(&[0, 2, 1, 1, 0, 0, 1, 255], &v4))),
        link("NSH, Ethernet", 1, eth(0x894f, &join(&[0, 2, 1, 3, 0, 0, 1, 255], &eth(0x0800, &v4)))),
        link("MACsec, authenticated only", 1, eth(0x88e5, &join(&[0, 0, 0, 0, 0, 1, 8, 0], &v4))),
        link("MACsec, channel", 1, eth(0x88e5, &[&[0x20; 14], &[8, 0][..], &v4].concat())),
    ]
}

fn others() -> Vec<Sample> {
    let (v4, v6) = (tcp4(), tcp6());
    let directed = |first: u8| join(&[first, 3, 0, 0x21], &v4);
    let nflog = [&[2, 0, 0, 0][..], &[5, 0, 10, 0, b'p', 0, 0, 0], &[49, 0, 9, 0][..], &v4].concat();
    let nflog_big = [&[2, 0, 0, 0][..], &[0, 5, 0, 10, b'p', 0, 0, 0], &[0, 49, 0, 9][..], &v4].concat();
    let pktap = [&[24, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0], &[0; 12], &eth(0x0800, &v4)[..]].concat();
    vec![
        link("NULL, little-endian", 0, join(&[2, 0, 0, 0], &v4)),
        link("NULL, big-endian", 0, join(&[0, 0, 0, 2], &v4)),
        link6("NULL, Linux", 0, join(&[10, 0, 0, 0], &v6)),
        link6("NULL, NetBSD", 0, join(&[24, 0, 0, 0], &v6)),
        link6("NULL, FreeBSD", 0, join(&[28, 0, 0, 0], &v6)),
        link6("NULL, macOS", 0, join(&[30, 0, 0, 0], &v6)),
        link6("LOOP", 108, join(&[0, 0, 0, 24], &v6)),
        link("PPP", 9, join(&[0xff, 3, 0, 0x21], &v4)),
        link6("PPP, bare", 9, join(&[0, 0x57], &v6)),
        link("PPP, label", 9, join(&[0x02, 0x81, 0, 1, 1, 64], &v4)),
        link("PPP_SERIAL", 50, join(&[0xff, 3, 0, 0x21], &v4)),
        link("PPP_SERIAL, Cisco", 50, join(&[0x0f, 0, 8, 0], &v4)),
        link("PPP_ETHER", 51, join(&[0x11, 0, 0, 1, 0, 9, 0, 0x21], &v4)),
        link("PPP_PPPD", 166, directed(1)),
        link("PPP_WITH_DIR", 204, join(&[0], &directed(0xff))),
        link("RAW 12", 12, v4.clone()),
        link6("RAW 14", 14, v6.clone()),
        link("RAW 101", 101, v4.clone()),
        link6("RAW 101, IPv6", 101, v6.clone()),
        link("IPV4", 228, v4.clone()),
        link6("IPV6", 229, v6.clone()),
        link("C_HDLC", 104, join(&[0x0f, 0, 8, 0], &v4)),
        link("FRELAY", 107, join(&[0x18, 0x41, 3, 0xcc], &v4)),
        link6("FRELAY, padded", 107, join(&[0x18, 0x41, 3, 0, 0x8e], &v6)),
        link("FRELAY, SNAP", 107, join(&[0x18, 0x41, 3, 0, 0x80, 0, 0, 0, 8, 0], &v4)),
        link("FRELAY, bridged", 107, join(&[0x18, 0x41, 3, 0, 0x80, 0, 0x80, 0xc2, 0, 7], &eth(0x0800, &v4))),
        link("FRELAY, Cisco", 107, join(&[0x18, 0x41, 8, 0], &v4)),
        link("LINUX_SLL", 113, join(&[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0], &v4)),
        link6("LINUX_SLL2", 276, join(&[0x86, 0xdd, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0], &v6)),
        link("MPLS", 219, join(&[0, 1, 1, 64], &v4)),
        link("NFLOG", 239, nflog),
        link("NFLOG, big-endian", 239, nflog_big),
        link("PKTAP", 258, pktap.clone()),
        link("PKTAP, private number", 149, pktap),
        link("FDDI", 10, [&[0x50][..], &[2; 12], &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &v4].concat()),
    ]
}

fn wireless() -> Vec<Sample> {
    let v4 = tcp4();
    let llc = join(&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &v4);
    let plain = [&[0x08, 0x01, 0, 0][..], &[2; 18], &[0, 0][..], &llc].concat();
    let bridge = [&[0x08, 0x03, 0, 0][..], &[2; 18], &[0; 8][..], &llc].concat();
    let qos = [&[0x88, 0x02, 0, 0][..], &[2; 18], &[0; 4][..], &llc].concat();
    let throughput = [&[0x88, 0x82, 0, 0][..], &[2; 18], &[0; 8][..], &llc].concat();
    let aggregate = [&[0x88, 0x02, 0, 0][..], &[2; 18], &[0, 0, 0x80, 0], &[2; 14][..], &llc].concat();
    let padded = [&[0x88, 0x02, 0, 0][..], &[2; 18], &[0; 6][..], &llc].concat();
    let radiotap = join(&[0, 0, 24, 0, 3, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &plain);
    // Two presence words, time, flags with the padding bit.
    let words = [3, 0, 0, 0x80, 0, 0, 0, 0];
    let radiotap_padded = [&[0, 0, 25, 0], &words[..], &[0; 4], &[9; 8], &[0x20], &padded].concat();
    vec![
        link("IEEE802_11", 105, plain.clone()),
        link("IEEE802_11, four addresses", 105, bridge),
        link("IEEE802_11, QoS", 105, qos),
        link("IEEE802_11, high throughput", 105, throughput),
        link("IEEE802_11, aggregate", 105, aggregate),
        link("IEEE802_11_RADIO", 127, radiotap),
        link("IEEE802_11_RADIO, padded", 127, radiotap_padded),
        link("PPI", 192, join(&[0, 0, 12, 0, 105, 0, 0, 0, 2, 0, 0, 0], &plain)),
    ]
}

/// IP headers with more in them than the least.
fn extended() -> Vec<Sample> {
    let tcp = tcp4().split_off(20);
    let [src, dst] = V4;
    let len = u8::try_from(28 + tcp.len()).unwrap();
    let options = [&[0x47, 0, 0, len, 0, 7, 0, 0, 64, 6, 0, 0], &src[..], &dst, &[1; 8], &tcp].concat();
    let ah = |next: u8| [[next, 4, 0, 0], [0, 0, 0, 1], [0, 0, 0, 1], [1; 4], [1; 4], [1; 4]].concat();
    let segmented = {
        let mut packet = tcp4();
        packet[2..4].fill(0);
        packet
    };
    let jumbo = {
        let mut packet = tcp6();
        packet[4..6].fill(0);
        packet
    };
    let chain = [&[43, 0, 0, 0, 0, 0, 0, 0], &[60, 0, 0, 0, 0, 0, 0, 0], &[44, 0, 0, 0, 0, 0, 0, 0], &[6, 0][..]];
    let chain = [&chain.concat()[..], &[0, 0, 0, 0, 0, 9], &tcp].concat();
    vec![
        link("IPv4 options", 1, eth(0x0800, &options)),
        link("IPv4 AH", 1, eth(0x0800, &ip4(V4, 51, &join(&ah(6), &tcp)))),
        link6("IPv6 AH", 1, eth(0x86dd, &ip6(51, &join(&ah(6), &tcp)))),
        link6("IPv6 extensions", 1, eth(0x86dd, &ip6(0, &chain))),
        link("length left to the card", 1, eth(0x0800, &segmented)),
        link6("jumbogram or card", 1, eth(0x86dd, &jumbo)),
    ]
}

fn tunnels() -> Vec<Sample> {
    let (v4, v6) = (tcp4(), tcp6());
    let frame = eth(0x0800, &v4);
    let vni = [0, 0, 9, 0];
    let gtp = |flags: u8, optional: &[u8], inside: &[u8]| {
        let len = u16::try_from(optional.len() + inside.len()).unwrap().to_be_bytes();
        [&[flags, 255], &len[..], &[0, 0, 0, 1], optional, inside].concat()
    };
    let teredo = [&[0, 1, 1, 2, 9, 8, 8][..], &[5; 9], &[0, 0], &[3; 6], &v6].concat();
    let sixes = |mut sample: Sample| {
        sample.v6 = true;
        sample
    };
    let mut over_v6 = tunnel("IPv4 in IPv6", &[]);
    over_v6.bytes = eth(0x86dd, &ip6(4, &v4));
    vec![
        udp_tunnel("VXLAN", 4789, &join(&[8, 0, 0, 0], &vni), &frame),
        udp_tunnel("VXLAN, Linux port", 8472, &join(&[8, 0, 0, 0], &vni), &frame),
        udp_tunnel("VXLAN, group policy", 4789, &join(&[0x88, 0x08, 0, 77], &vni), &frame),
        udp_tunnel("VXLAN, generic", 4790, &join(&[0x0c, 0, 0, 1], &vni), &v4),
        udp_tunnel("GENEVE", 6081, &join(&[0, 0, 0x65, 0x58], &vni), &frame),
        udp_tunnel("GENEVE, option", 6081, &[&[2, 0, 8, 0], &vni[..], &[1; 8]].concat(), &v4),
        udp_tunnel("GTP-U", 2152, &[], &gtp(0x30, &[], &v4)),
        udp_tunnel("GTP-U, sequence", 2152, &[], &gtp(0x32, &[0, 1, 0, 0], &v4)),
        udp_tunnel("GTP-U, extensions", 2152, &[], &gtp(0x34, &[0, 0, 0, 0x85, 1, 0, 9, 0xc0, 1, 0, 0, 0], &v4)),
        sixes(udp_tunnel("Teredo", 3544, &[], &v6)),
        sixes(udp_tunnel("Teredo, indications", 3544, &[], &teredo)),
        tunnel("IPv4 in IPv4", &ip4(OUTER, 4, &v4)),
        sixes(tunnel("IPv6 in IPv4", &ip4(OUTER, 41, &v6))),
        over_v6,
        tunnel("Ethernet in IP", &ip4(OUTER, 97, &join(&[0x30, 0], &frame))),
        tunnel("MPLS in IP", &ip4(OUTER, 137, &join(&[0, 1, 1, 64], &v4))),
    ]
}

fn gre_tunnels() -> Vec<Sample> {
    let (v4, v6) = (tcp4(), tcp6());
    let frame = eth(0x0800, &v4);
    let mut six = gre("GRE, IPv6", &[0, 0, 0x86, 0xdd], &v6);
    six.v6 = true;
    let erspan_3 =
        |last: u8| [&[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1], &[0x20, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, last][..]].concat();
    let mut twice = gre("GRE in GRE", &[0, 0, 8, 0], &ip4(OUTER, 47, &join(&[0, 0, 8, 0], &v4)));
    twice.tunnels = 2;
    vec![
        gre("GRE", &[0, 0, 8, 0], &v4),
        six,
        gre("GRE, checksum, key, sequence", &[0xb0, 0, 8, 0, 1, 1, 0, 0, 0, 0, 0, 5, 0, 0, 0, 6], &v4),
        gre("GRE, bridged", &[0x20, 0, 0x65, 0x58, 0, 0, 0, 5], &frame),
        gre("GRE, label", &[0, 0, 0x88, 0x47, 0, 1, 1, 64], &v4),
        gre("EoIP", &[0x20, 1, 0x64, 0, 0, 54, 0, 5], &frame),
        gre("ERSPAN I", &[0, 0, 0x88, 0xbe], &frame),
        gre("ERSPAN II", &[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 1, 0, 1, 0, 0, 0, 0], &frame),
        gre("ERSPAN III", &erspan_3(0), &frame),
        gre("ERSPAN III, subheader", &join(&erspan_3(1), &[0; 8]), &frame),
        twice,
    ]
}
