//! `pcaps/link`: one small LDAP connection in every link layer and tunnel.

use crate::craft::encap;
use crate::craft::host::CLIENT;
use crate::craft::host::CLIENT_V6;
use crate::craft::host::DC1;
use crate::craft::host::DC1_V6;
use crate::craft::host::Host;
use crate::craft::pcap::Order;
use crate::craft::pcap::Pcap;
use crate::craft::play::ldap;
use crate::craft::scene::Scene;
use crate::craft::scene::Shot;
use crate::shelf::Capture;
use crate::shelf::Folder;

const V4: &str = "10.0.1.20 to 10.0.0.10 tcp/389 open; 9 packets";
const V6: &str = "2001:db8:1::20 to 2001:db8::10 tcp/389 open; 9 packets";
const PIECES: &str = "tcp/389 open; 9 packets, 4 later fragments";

pub(crate) const FOLDER: Folder = Folder {
    name: "link",
    about: "The same LDAP connection (handshake, request, answer, end; 9 packets) in each link layer and tunnel. All must give the \
            same pairs, services and findings; files named `ipv6` or whose tunnel carries IPv6 alone hold it over IPv6.",
    captures: &[
        Capture::bytes("ethernet.pcap", "Ethernet II, link type 1", V4, || four(1, encap::ethernet)),
        Capture::bytes("ethernet_ipv6.pcap", "the same over IPv6", V6, || six(1, encap::ethernet)),
        Capture::bytes("vlan.pcap", "one 802.1Q tag", V4, || four(1, encap::vlan)),
        Capture::bytes("qinq.pcap", "802.1ad outside 802.1Q", V4, || four(1, encap::qinq)),
        Capture::bytes("qinq_9100.pcap", "two tags, the outer with the old number 0x9100", V4, || {
            four(1, encap::qinq_old)
        }),
        Capture::bytes("mpls.pcap", "two MPLS labels", V4, || four(1, encap::mpls)),
        Capture::bytes("mpls_ipv6.pcap", "two MPLS labels before IPv6", V6, || six(1, encap::mpls)),
        Capture::bytes("pppoe.pcap", "a PPPoE session", V4, || four(1, encap::pppoe)),
        Capture::bytes("sll.pcap", "Linux cooked capture, link type 113", V4, || four(113, encap::sll)),
        Capture::bytes("sll2.pcap", "Linux cooked capture version 2, link type 276", V4, || four(276, encap::sll2)),
        Capture::bytes("null_le.pcap", "BSD loopback, link type 0, little endian", V4, || null(Order::Little)),
        Capture::bytes("null_be.pcap", "BSD loopback, link type 0, big endian", V4, || null(Order::Big)),
        Capture::bytes("null_ipv6.pcap", "BSD loopback with the IPv6 family of macOS (30)", V6, || {
            six(0, |shot| encap::null(shot, Order::Little))
        }),
        Capture::bytes("loop.pcap", "OpenBSD loopback, link type 108", V4, || four(108, encap::looped)),
        Capture::bytes("loop_ipv6.pcap", "OpenBSD loopback with its IPv6 family (24)", V6, || six(108, encap::looped)),
        Capture::bytes("raw.pcap", "no link layer, link type 101", V4, || four(101, encap::raw)),
        Capture::bytes("raw_12.pcap", "no link layer, with libpcap's own number 12", V4, || four(12, encap::raw)),
        Capture::bytes("raw_ipv6.pcap", "no link layer, link type 101, IPv6", V6, || six(101, encap::raw)),
        Capture::bytes("ipv4.pcap", "link type 228: bare IPv4", V4, || four(228, encap::raw)),
        Capture::bytes("ipv6.pcap", "link type 229: bare IPv6", V6, || six(229, encap::raw)),
        Capture::bytes("ppp.pcap", "PPP in HDLC framing, link type 9", V4, || four(9, encap::ppp)),
        Capture::bytes("wifi_radiotap.pcap", "802.11 data frames with radiotap, link type 127", V4, || {
            four(127, encap::radiotap)
        }),
        Capture::bytes("wifi.pcap", "802.11 data frames, link type 105", V4, || four(105, encap::wifi)),
        Capture::bytes("nflog.pcap", "Linux netfilter log, link type 239", V4, || four(239, encap::nflog)),
        Capture::bytes("gre.pcap", "GRE over IPv4", V4, || four(1, encap::gre)),
        Capture::bytes("gre_keyed.pcap", "GRE with checksum, key and sequence number", V4, || {
            four(1, encap::gre_keyed)
        }),
        Capture::bytes("nvgre.pcap", "Ethernet in GRE with a key", V4, || four(1, encap::nvgre)),
        Capture::bytes("erspan1.pcap", "ERSPAN type I", V4, || four(1, encap::erspan1)),
        Capture::bytes("erspan2.pcap", "ERSPAN type II", V4, || four(1, encap::erspan2)),
        Capture::bytes("erspan3.pcap", "ERSPAN type III", V4, || four(1, encap::erspan3)),
        Capture::bytes("vxlan.pcap", "VXLAN on UDP 4789", V4, || four(1, encap::vxlan)),
        Capture::bytes("geneve.pcap", "Geneve with one option on UDP 6081", V4, || four(1, encap::geneve)),
        Capture::bytes("ipip.pcap", "IPv4 in IPv4", V4, || four(1, encap::in_ipv4)),
        Capture::bytes("6in4.pcap", "IPv6 in IPv4", V6, || six(1, encap::in_ipv4)),
        Capture::bytes("4in6.pcap", "IPv4 in IPv6", V4, || four(1, encap::in_ipv6)),
        Capture::bytes("gtp_u.pcap", "GTP-U on UDP 2152", V4, || four(1, encap::gtp_u)),
        Capture::bytes("teredo.pcap", "Teredo on UDP 3544", V6, || six(1, encap::teredo)),
        Capture::bytes("fragments_ipv4.pcap", "request and answer in three IPv4 fragments each", PIECES, || {
            pieces(&V4_HOSTS, encap::fragments4)
        }),
        Capture::bytes("fragments_ipv4_reversed.pcap", "the same, last fragment first", PIECES, || {
            pieces(&V4_HOSTS, encap::fragments4_reversed)
        }),
        Capture::bytes("fragments_ipv6.pcap", "request and answer in three IPv6 fragments each", PIECES, || {
            pieces(&V6_HOSTS, encap::fragments6)
        }),
        Capture::bytes("fragments_ipv6_reversed.pcap", "the same, last fragment first", PIECES, || {
            pieces(&V6_HOSTS, encap::fragments6_reversed)
        }),
        Capture::bytes(
            "user0.pcap",
            "link type 147, which is anybody's",
            "no flow; 9 frames skipped, `link_type`",
            || four(147, encap::raw),
        ),
    ],
};

const V4_HOSTS: [Host; 2] = [CLIENT, DC1];
const V6_HOSTS: [Host; 2] = [CLIENT_V6, DC1_V6];

/// The scene of all files of this folder.
pub(crate) fn scene([client, server]: &[Host; 2]) -> Scene {
    let mut scene = Scene::new();
    ldap(&mut scene, client, server);
    scene
}

fn four(link: u32, wrap: fn(&Shot) -> Vec<u8>) -> Vec<u8> {
    Pcap::link(link).file(&scene(&V4_HOSTS).frames(|shot| vec![wrap(shot)]))
}

fn six(link: u32, wrap: fn(&Shot) -> Vec<u8>) -> Vec<u8> {
    Pcap::link(link).file(&scene(&V6_HOSTS).frames(|shot| vec![wrap(shot)]))
}

fn null(order: Order) -> Vec<u8> {
    let pcap = Pcap { order, ..Pcap::link(0) };
    pcap.file(&scene(&V4_HOSTS).frames(|shot| vec![encap::null(shot, order)]))
}

fn pieces(hosts: &[Host; 2], wrap: fn(&Shot) -> Vec<Vec<u8>>) -> Vec<u8> {
    Pcap::ETHERNET.file(&scene(hosts).frames(wrap))
}
