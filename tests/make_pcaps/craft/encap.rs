//! Link layers and tunnels around an IP packet.
//!
//! Each function wraps one packet into the frame or frames that a capture would hold. Numbers come from the registries named.

use etherparse::IpNumber;
use etherparse::Ipv4Header;
use etherparse::PacketBuilder;

use crate::craft::host::GATEWAY;
use crate::craft::pcap::Order;
use crate::craft::scene::Shot;

const BSSID: [u8; 6] = [0x00, 0x00, 0x5e, 0x00, 0x53, 0xaa];
/// The ends of every tunnel: near the client, near the server (RFC 5737).
const TUNNEL: [[u8; 4]; 2] = [[198, 51, 100, 1], [198, 51, 100, 2]];
/// GRE's and Geneve's number for a bridged Ethernet frame.
const BRIDGED: u16 = 0x6558;

/// Ethernet II, padded to the smallest frame of 60 bytes without checksum.
pub(crate) fn ethernet(shot: &Shot) -> Vec<u8> {
    framed(shot, &ether_type(shot).to_be_bytes(), &shot.ip)
}

/// IEEE 802.1Q, VLAN 10.
pub(crate) fn vlan(shot: &Shot) -> Vec<u8> {
    tagged(shot, &[0x8100, 10])
}

/// IEEE 802.1ad outside 802.1Q, VLANs 100 and 10.
pub(crate) fn qinq(shot: &Shot) -> Vec<u8> {
    tagged(shot, &[0x88a8, 100, 0x8100, 10])
}

/// Two stacked tags with the old number 0x9100 outside.
pub(crate) fn qinq_old(shot: &Shot) -> Vec<u8> {
    tagged(shot, &[0x9100, 100, 0x8100, 10])
}

fn tagged(shot: &Shot, words: &[u16]) -> Vec<u8> {
    let mut head: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    head.extend(ether_type(shot).to_be_bytes());
    framed(shot, &head, &shot.ip)
}

/// MPLS with two labels (RFC 3032).
pub(crate) fn mpls(shot: &Shot) -> Vec<u8> {
    framed(shot, &[0x88, 0x47, 0, 1, 0x00, 63, 0, 2, 0x01, 63], &shot.ip)
}

/// `PPPoE` session 0x11 (RFC 2516).
pub(crate) fn pppoe(shot: &Shot) -> Vec<u8> {
    let len = u16::try_from(shot.ip.len() + 2).unwrap().to_be_bytes();
    let head = [&[0x88, 0x64, 0x11, 0, 0, 0x11][..], &len, &ppp_protocol(shot)].concat();
    framed(shot, &head, &shot.ip)
}

/// Linux cooked capture, `LINKTYPE_LINUX_SLL`.
pub(crate) fn sll(shot: &Shot) -> Vec<u8> {
    [&[0, sll_kind(shot), 0, 1, 0, 6][..], &shot.src_mac, &[0, 0], &ether_type(shot).to_be_bytes(), &shot.ip].concat()
}

/// `LINKTYPE_LINUX_SLL2`.
pub(crate) fn sll2(shot: &Shot) -> Vec<u8> {
    let head = [0, 0, 0, 0, 0, 2, 0, 1, sll_kind(shot), 6];
    [&ether_type(shot).to_be_bytes()[..], &head, &shot.src_mac, &[0, 0], &shot.ip].concat()
}

/// Seen by the client: 4 is sent by us, 0 is sent to us.
fn sll_kind(shot: &Shot) -> u8 {
    if from_client(shot) { 4 } else { 0 }
}

/// `LINKTYPE_NULL` with the address family in the byte order of the capturing host; the family of IPv6 is 30 as on macOS.
pub(crate) fn null(shot: &Shot, order: Order) -> Vec<u8> {
    let family = if is_v6(shot) { 30 } else { 2 };
    [&order.u32(family)[..], &shot.ip].concat()
}

/// `LINKTYPE_LOOP`: the family in network order; the family of IPv6 is 24 as on OpenBSD.
pub(crate) fn looped(shot: &Shot) -> Vec<u8> {
    [&[0, 0, 0, if is_v6(shot) { 24 } else { 2 }][..], &shot.ip].concat()
}

/// No link layer.
pub(crate) fn raw(shot: &Shot) -> Vec<u8> {
    shot.ip.clone()
}

/// PPP with address and control bytes (RFC 1662).
pub(crate) fn ppp(shot: &Shot) -> Vec<u8> {
    [&[0xff, 0x03][..], &ppp_protocol(shot), &shot.ip].concat()
}

/// IEEE 802.11: `QoS` data to the access point, plain data from it, each with LLC and SNAP.
pub(crate) fn wifi(shot: &Shot) -> Vec<u8> {
    let mut out = Vec::new();
    if from_client(shot) {
        out.extend([0x88, 0x01, 0, 0]);
        out.extend([BSSID, shot.src_mac, shot.dst_mac].concat());
        out.extend([0x10, 0, 0, 0]);
    } else {
        out.extend([0x08, 0x02, 0, 0]);
        out.extend([shot.dst_mac, BSSID, shot.src_mac].concat());
        out.extend([0x10, 0]);
    }
    out.extend([0xaa, 0xaa, 3, 0, 0, 0]);
    out.extend(ether_type(shot).to_be_bytes());
    out.extend(&shot.ip);
    out
}

/// The smallest radiotap header (no fields) before 802.11.
pub(crate) fn radiotap(shot: &Shot) -> Vec<u8> {
    [&[0, 0, 8, 0, 0, 0, 0, 0][..], &wifi(shot)].concat()
}

/// `LINKTYPE_NFLOG`: a packet header attribute, then the payload attribute; lengths in the capturing host's order (here little).
pub(crate) fn nflog(shot: &Shot) -> Vec<u8> {
    let [hi, lo] = ether_type(shot).to_be_bytes();
    let mut out = vec![if is_v6(shot) { 10 } else { 2 }, 0, 0, 5, 8, 0, 1, 0, hi, lo, 2, 0];
    out.extend(u16::try_from(shot.ip.len() + 4).unwrap().to_le_bytes());
    out.extend([9, 0]);
    out.extend(&shot.ip);
    while !out.len().is_multiple_of(4) {
        out.push(0);
    }
    out
}

/// GRE (RFC 2784).
pub(crate) fn gre(shot: &Shot) -> Vec<u8> {
    let head = [&[0, 0][..], &ether_type(shot).to_be_bytes()].concat();
    tunnelled(shot, 47, &[&head, &shot.ip])
}

/// GRE with checksum, key and sequence number (RFC 2784, RFC 2890).
pub(crate) fn gre_keyed(shot: &Shot) -> Vec<u8> {
    let mut body = vec![0xb0, 0];
    body.extend(ether_type(shot).to_be_bytes());
    body.extend([0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1]);
    body.extend(&shot.ip);
    let sum = internet_checksum(&body).to_be_bytes();
    body.splice(4..6, sum);
    tunnelled(shot, 47, &[&body])
}

/// A bridged Ethernet frame in GRE with a key: NVGRE (RFC 7637).
pub(crate) fn nvgre(shot: &Shot) -> Vec<u8> {
    let head = [&[0x20, 0][..], &BRIDGED.to_be_bytes(), &[0, 0x13, 0x88, 0]].concat();
    tunnelled(shot, 47, &[&head, &ethernet(shot)])
}

/// ERSPAN type I: GRE without sequence number, no header of its own.
pub(crate) fn erspan1(shot: &Shot) -> Vec<u8> {
    mirrored(shot, 47, &[&[0, 0, 0x88, 0xbe], &ethernet(shot)])
}

/// ERSPAN type II: VLAN 10, session 5.
pub(crate) fn erspan2(shot: &Shot) -> Vec<u8> {
    mirrored(shot, 47, &[&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 0x0a, 0, 5, 0, 0, 0, 0], &ethernet(shot)])
}

/// ERSPAN type III: VLAN 10, session 5, hardware time stamp, no platform header.
pub(crate) fn erspan3(shot: &Shot) -> Vec<u8> {
    let head = [0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 0x0a, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0];
    mirrored(shot, 47, &[&head, &ethernet(shot)])
}

/// VXLAN network 5000 (RFC 7348).
pub(crate) fn vxlan(shot: &Shot) -> Vec<u8> {
    in_udp(shot, 4789, &[&[8, 0, 0, 0, 0, 0x13, 0x88, 0], &ethernet(shot)])
}

/// Geneve network 5000 with one option of four bytes (RFC 8926).
pub(crate) fn geneve(shot: &Shot) -> Vec<u8> {
    let head = [2, 0, 0x65, 0x58, 0, 0x13, 0x88, 0, 0x01, 0x03, 0x01, 0x01, 0, 0, 0, 9];
    in_udp(shot, 6081, &[&head, &ethernet(shot)])
}

/// GTP-U G-PDU, tunnel 1 (3GPP TS 29.281).
pub(crate) fn gtp_u(shot: &Shot) -> Vec<u8> {
    let len = u16::try_from(shot.ip.len()).unwrap().to_be_bytes();
    in_udp(shot, 2152, &[&[0x30, 0xff], &len, &[0, 0, 0, 1], &shot.ip])
}

/// Teredo (RFC 4380); only for IPv6 packets.
pub(crate) fn teredo(shot: &Shot) -> Vec<u8> {
    in_udp(shot, 3544, &[&shot.ip])
}

/// The packet itself as payload of IPv4: IPv4 (RFC 2003) or IPv6 (RFC 4213).
pub(crate) fn in_ipv4(shot: &Shot) -> Vec<u8> {
    tunnelled(shot, if is_v6(shot) { 41 } else { 4 }, &[&shot.ip])
}

/// The packet as payload of IPv6 (RFC 2473).
pub(crate) fn in_ipv6(shot: &Shot) -> Vec<u8> {
    let mut head = vec![0x60, 0, 0, 0];
    head.extend(u16::try_from(shot.ip.len()).unwrap().to_be_bytes());
    head.extend([if is_v6(shot) { 41 } else { 4 }, 64]);
    let ends: [u8; 2] = if from_client(shot) { [1, 2] } else { [2, 1] };
    for end in ends {
        head.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, end]);
    }
    framed(shot, &[0x86, 0xdd], &[head, shot.ip.clone()].concat())
}

/// IPv4 fragments of 40 bytes of payload each (RFC 791); smaller packets stay whole.
pub(crate) fn fragments4(shot: &Shot) -> Vec<Vec<u8>> {
    let (head, body) = shot.ip.split_at(20);
    let pieces = pieces(body);
    let mut out = Vec::new();
    for (nth, (piece, more)) in pieces.iter().enumerate() {
        let mut header = Ipv4Header::from_slice(head).unwrap().0;
        header.dont_fragment = false;
        header.more_fragments = *more;
        header.fragment_offset = u16::try_from(nth * 5).unwrap().try_into().unwrap();
        header.set_payload_len(piece.len()).unwrap();
        let mut ip = Vec::new();
        header.write(&mut ip).unwrap();
        ip.extend(*piece);
        out.push(ethernet(&Shot { ip, ..shot.clone() }));
    }
    out
}

/// The same with the last fragment first.
pub(crate) fn fragments4_reversed(shot: &Shot) -> Vec<Vec<u8>> {
    fragments4(shot).into_iter().rev().collect()
}

/// IPv6 fragments of 40 bytes of payload each (RFC 8200 section 4.5); smaller packets stay whole.
pub(crate) fn fragments6(shot: &Shot) -> Vec<Vec<u8>> {
    let (head, body) = shot.ip.split_at(40);
    let pieces = pieces(body);
    if pieces.len() == 1 {
        return vec![ethernet(shot)];
    }
    let id = internet_checksum(body);
    let mut out = Vec::new();
    for (nth, (piece, more)) in pieces.iter().enumerate() {
        let mut ip = head.to_vec();
        ip.splice(4..6, u16::try_from(8 + piece.len()).unwrap().to_be_bytes());
        let next = ip.splice(6..7, [44]).collect::<Vec<u8>>();
        ip.extend(next);
        ip.push(0);
        ip.extend((u16::try_from(nth * 40).unwrap() | u16::from(*more)).to_be_bytes());
        ip.extend([0, 0]);
        ip.extend(id.to_be_bytes());
        ip.extend(*piece);
        out.push(ethernet(&Shot { ip, ..shot.clone() }));
    }
    out
}

/// The same with the last fragment first.
pub(crate) fn fragments6_reversed(shot: &Shot) -> Vec<Vec<u8>> {
    fragments6(shot).into_iter().rev().collect()
}

fn pieces(body: &[u8]) -> Vec<(&[u8], bool)> {
    if body.len() <= 48 {
        return vec![(body, false)];
    }
    let count = body.len().div_ceil(40);
    body.chunks(40).enumerate().map(|(nth, piece)| (piece, nth + 1 < count)).collect()
}

/// Ethernet header, anything between MACs and payload, padding.
fn framed(shot: &Shot, head: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut out = [&shot.dst_mac[..], &shot.src_mac, head, payload].concat();
    if out.len() < 60 {
        out.resize(60, 0);
    }
    out
}

/// An outer IPv4 header whose ends follow the direction of the packet.
fn tunnelled(shot: &Shot, protocol: u8, parts: &[&[u8]]) -> Vec<u8> {
    outer(shot, protocol, ends(shot), parts)
}

/// An outer IPv4 header from a switch to a collector, whatever the direction of the packet.
fn mirrored(shot: &Shot, protocol: u8, parts: &[&[u8]]) -> Vec<u8> {
    outer(shot, protocol, TUNNEL, parts)
}

fn outer(shot: &Shot, protocol: u8, [from, to]: [[u8; 4]; 2], parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let header = Ipv4Header::new(u16::try_from(body.len()).unwrap(), 64, IpNumber(protocol), from, to).unwrap();
    let mut ip = Vec::new();
    header.write(&mut ip).unwrap();
    ip.extend(body);
    framed(shot, &[0x08, 0x00], &ip)
}

fn in_udp(shot: &Shot, port: u16, parts: &[&[u8]]) -> Vec<u8> {
    let [from, to] = ends(shot);
    let mut ip = Vec::new();
    PacketBuilder::ipv4(from, to, 64).udp(55_555, port).write(&mut ip, &parts.concat()).unwrap();
    framed(shot, &[0x08, 0x00], &ip)
}

fn ends(shot: &Shot) -> [[u8; 4]; 2] {
    let [near, far] = TUNNEL;
    if from_client(shot) { [near, far] } else { [far, near] }
}

/// Everything from behind the gateway carries its MAC.
fn from_client(shot: &Shot) -> bool {
    shot.src_mac != GATEWAY.mac
}

fn is_v6(shot: &Shot) -> bool {
    shot.ip.first().is_some_and(|byte| byte >> 4 == 6)
}

fn ether_type(shot: &Shot) -> u16 {
    if is_v6(shot) { 0x86dd } else { 0x0800 }
}

fn ppp_protocol(shot: &Shot) -> [u8; 2] {
    if is_v6(shot) { [0x00, 0x57] } else { [0x00, 0x21] }
}

/// The ones' complement sum of RFC 1071.
pub(crate) fn internet_checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = 0;
    for pair in bytes.chunks(2) {
        let word = [pair.first().copied().unwrap_or(0), pair.get(1).copied().unwrap_or(0)];
        sum += u32::from(u16::from_be_bytes(word));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap()
}
