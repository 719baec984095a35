//! Packets that lie about themselves, in capture files that are right.

use std::net::IpAddr;

use etherparse::IpNumber;
use etherparse::Ipv4Header;

use crate::craft::encap;
use crate::craft::encap::internet_checksum;
use crate::craft::host::CLIENT;
use crate::craft::host::CLIENT_V6;
use crate::craft::host::DC1;
use crate::craft::host::DC1_V6;
use crate::craft::host::GATEWAY;
use crate::craft::host::Host;
use crate::craft::payload;
use crate::craft::pcap::Pcap;
use crate::craft::play;
use crate::craft::play::ldap;
use crate::craft::rpc;
use crate::craft::scene::Frame;
use crate::craft::scene::START_NS;
use crate::craft::scene::Scene;
use crate::craft::scene::Shot;
use crate::craft::tcp::Tcp;
use crate::craft::tcp::connect;
use crate::craft::tcp::dropped;

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const FRAGMENT: u8 = 44;

/// A pcap of packets given from the IP header on, all from the client to the controller, one millisecond apart; a good LDAP
/// connection follows so that a reader can show that it went on.
fn pcap(packets: Vec<Vec<u8>>) -> Vec<u8> {
    let mut scene = Scene::new();
    for ip in packets {
        scene.send_ip(&CLIENT, &DC1, ip);
        scene.wait_ms(1);
    }
    ldap(&mut scene, &CLIENT, &DC1);
    Pcap::ETHERNET.file(&scene.ethernet())
}

/// The same for whole frames of any link type; the good connection follows wrapped for that link type.
fn frames(link: u32, bad: Vec<Vec<u8>>, wrap: fn(&Shot) -> Vec<u8>) -> Vec<u8> {
    let mut all: Vec<Frame> = Vec::new();
    for (nth, bytes) in (0..).zip(bad) {
        all.push(Frame::whole(START_NS + nth * 1_000_000, bytes));
    }
    let mut scene = Scene::new();
    scene.wait_ms(2000);
    ldap(&mut scene, &CLIENT, &DC1);
    all.extend(scene.frames(|shot| vec![wrap(shot)]));
    Pcap::link(link).file(&all)
}

fn octets(host: &Host) -> [u8; 4] {
    let IpAddr::V4(addr) = host.addr else { unreachable!("this file speaks IPv4 where it asks") };
    addr.octets()
}

/// An IPv4 packet with a correct header of 20 bytes.
fn ipv4(protocol: u8, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len()).unwrap();
    let header = Ipv4Header::new(len, 128, IpNumber(protocol), octets(&CLIENT), octets(&DC1)).unwrap();
    let mut ip = Vec::new();
    header.write(&mut ip).unwrap();
    ip.extend(body);
    ip
}

/// Makes the checksum of the first 20 bytes right again after a change.
fn resummed(mut ip: Vec<u8>) -> Vec<u8> {
    ip.splice(10..12, [0, 0]);
    let sum = internet_checksum(ip.get(..20).unwrap());
    ip.splice(10..12, sum.to_be_bytes());
    ip
}

/// A good SYN from the IP header on.
fn syn() -> Vec<u8> {
    shot_of(|scene| Tcp::new(scene, &CLIENT, &DC1, 445).syn(scene)).ip
}

/// A good LDAP request as it passes by.
fn request() -> Shot {
    let mut scene = Scene::new();
    ldap(&mut scene, &CLIENT, &DC1);
    scene.shots.swap_remove(3)
}

fn shot_of(act: impl FnOnce(&mut Scene)) -> Shot {
    let mut scene = Scene::new();
    act(&mut scene);
    scene.shots.swap_remove(0)
}

/// A SYN inside so many more IPv4 headers, each with the same addresses.
pub(crate) fn tunnels(depth: usize) -> Vec<u8> {
    let nested = (0..depth).fold(syn(), |ip, _| ipv4(4, &ip));
    pcap(vec![nested])
}

/// A frame in so many VXLAN tunnels.
pub(crate) fn vxlans(depth: usize) -> Vec<u8> {
    let nested = (0..depth).fold(request(), |shot, _| {
        let frame = encap::vxlan(&shot);
        Shot { ip: frame.get(14..).unwrap().to_vec(), ..shot }
    });
    pcap(vec![nested.ip])
}

/// So many tags of four bytes each before the packet: VLAN tags, or MPLS labels of which none is the last.
pub(crate) fn tags(kind: u16, count: usize) -> Vec<u8> {
    let shot = request();
    let mut bad = [shot.dst_mac, shot.src_mac].concat();
    let tag: [u8; 4] = if kind == 0x8847 { [0, 1, 0, 63] } else { [0, 10, 0x81, 0x00] };
    bad.extend(kind.to_be_bytes());
    bad.extend(tag.repeat(count));
    bad.extend(&shot.ip);
    frames(1, vec![bad], encap::ethernet)
}

/// An IPv6 SYN behind so many extension headers of a kind, each with that length field.
pub(crate) fn extensions(kind: u8, count: usize, len_field: u8) -> Vec<u8> {
    let ip = shot_of(|scene| Tcp::new(scene, &CLIENT_V6, &DC1_V6, 445).syn(scene)).ip;
    let (head, tcp) = ip.split_at(40);
    let mut body = Vec::new();
    for nth in 0..count {
        // PadN of four bytes fills an options header; a fragment header says offset 0 and no more to come.
        let content = if kind == FRAGMENT { [0; 6] } else { [1, 4, 0, 0, 0, 0] };
        body.extend([if nth + 1 == count { TCP } else { kind }, len_field]);
        body.extend(content);
    }
    body.extend(tcp);
    let mut out = head.to_vec();
    out.splice(4..7, [u16::try_from(body.len()).unwrap().to_be_bytes().as_slice(), &[kind]].concat());
    out.extend(body);
    pcap(vec![out])
}

/// Fragments of one IPv4 datagram: offset in bytes, more to come, how many bytes.
fn fragments(id: u16, pieces: &[(u16, bool, usize)]) -> Vec<Vec<u8>> {
    let request = request();
    let transport = request.ip.get(20..).unwrap();
    let mut out = Vec::new();
    for (offset, more, len) in pieces {
        let from = usize::from(*offset).min(transport.len());
        let mut body = transport.get(from..).unwrap().to_vec();
        body.resize(*len, 0x41);
        let mut ip = ipv4(TCP, &body);
        ip.splice(4..6, id.to_be_bytes());
        ip.splice(6..8, ((offset / 8) | (u16::from(*more) << 13)).to_be_bytes());
        out.push(resummed(ip));
    }
    out
}

/// Fragments that overlap in every way, with other bytes than the first time.
pub(crate) fn fragments_overlapping() -> Vec<u8> {
    pcap(fragments(77, &[(0, true, 40), (16, true, 40), (8, true, 16), (0, true, 80), (40, false, 41), (0, false, 8)]))
}

/// Fragments whose end lies beyond the 65535 bytes that a datagram can have.
pub(crate) fn fragments_giant() -> Vec<u8> {
    pcap(fragments(78, &[(0, true, 40), (65_528, false, 1400), (65_528, true, 1400)]))
}

/// A first fragment of eight bytes, which ends before TCP's flags, and the rest.
pub(crate) fn fragments_tiny() -> Vec<u8> {
    pcap(fragments(79, &[(0, true, 8), (8, true, 8), (16, false, 65)]))
}

/// Fragments without a byte in them.
pub(crate) fn fragments_empty() -> Vec<u8> {
    pcap(fragments(80, &[(0, true, 0), (8, true, 0), (16, false, 0)]))
}

/// First fragments of 200 datagrams whose rest never comes, then 200 last ones whose first never came.
pub(crate) fn fragments_orphaned() -> Vec<u8> {
    let mut all = Vec::new();
    for id in 0..200 {
        all.extend(fragments(id, &[(0, true, 40)]));
        all.extend(fragments(id + 10_000, &[(40, false, 41)]));
    }
    pcap(all)
}

/// IPv4 total lengths from none to more than was sent.
pub(crate) fn ip_lengths() -> Vec<u8> {
    let lying = [0_u16, 1, 19, 20, 21, 27, 39, 40, 53, 1500, 65_535];
    pcap(lying.iter().map(|len| with(syn(), 2, &len.to_be_bytes())).collect())
}

/// IPv4 header lengths of 0 to 4 words, and of 15 in a packet of 52 bytes.
pub(crate) fn ip_header_lengths() -> Vec<u8> {
    pcap([0, 1, 2, 3, 4, 15].iter().map(|words| with(syn(), 0, &[0x40 | words])).collect())
}

/// IP versions that nobody speaks, in frames that say IPv4.
pub(crate) fn ip_versions() -> Vec<u8> {
    pcap([0x05, 0x15, 0x55, 0x75, 0xf5].iter().map(|first| with(syn(), 0, &[*first])).collect())
}

fn with(mut ip: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    ip.splice(at..at + bytes.len(), bytes.iter().copied());
    resummed(ip)
}

/// TCP data offsets of 0 to 4 words, and of 15 in a segment of 32 bytes.
pub(crate) fn tcp_offsets() -> Vec<u8> {
    pcap([0, 1, 2, 3, 4, 15].iter().map(|words| with(syn(), 32, &[words << 4])).collect())
}

/// TCP options of length 0, 1 and 255; the same as IPv4 options.
pub(crate) fn options() -> Vec<u8> {
    let mut packets: Vec<Vec<u8>> =
        [[8_u8, 0], [8, 1], [2, 255], [5, 0]].iter().map(|option| with(syn(), 40, option)).collect();
    for option in [[7_u8, 0, 0, 0], [7, 1, 0, 0], [7, 255, 4, 0], [68, 2, 0, 0]] {
        let good = syn();
        let (head, rest) = good.split_at(20);
        let mut ip = [head, &option, rest].concat();
        let len = u16::try_from(ip.len()).unwrap().to_be_bytes();
        ip.splice(2..4, len);
        ip.splice(0..1, [0x46]);
        ip.splice(10..12, [0, 0]);
        let sum = internet_checksum(ip.get(..24).unwrap());
        ip.splice(10..12, sum.to_be_bytes());
        packets.push(ip);
    }
    pcap(packets)
}

/// UDP lengths from none to more than was sent.
pub(crate) fn udp_lengths() -> Vec<u8> {
    let good = shot_of(|scene| scene.udp_exchange(&CLIENT, &DC1, 123, &payload::ntp_client(), &[])).ip;
    pcap([0_u16, 1, 7, 8, 55, 57, 65_535].iter().map(|len| with(good.clone(), 24, &len.to_be_bytes())).collect())
}

/// All flag combinations that TCP has, 256 segments of one connection.
pub(crate) fn tcp_flags() -> Vec<u8> {
    pcap((0..=255).map(|flags| with(syn(), 33, &[flags])).collect())
}

/// Transports cut to every length from no byte to a whole header.
pub(crate) fn transports_cut() -> Vec<u8> {
    let mut packets = Vec::new();
    for protocol in [ICMP, TCP, UDP, 47, 41, 4, 132, 51] {
        for len in 0..20 {
            packets.push(ipv4(protocol, &[0x45; 20][..len]));
        }
    }
    pcap(packets)
}

/// An ICMP error that quotes an ICMP error that quotes … itself, and one that quotes its own bytes.
pub(crate) fn icmp_nested() -> Vec<u8> {
    let nested = (0..40).fold(syn(), |ip, _| icmp(&ip));
    let own = icmp(&icmp(&[]));
    pcap(vec![nested, own])
}

/// ICMP errors whose quote is cut at every length.
pub(crate) fn icmp_short_quotes() -> Vec<u8> {
    let good = syn();
    pcap((0..=good.len()).map(|len| icmp(good.get(..len).unwrap())).collect())
}

/// An ICMP 3/13 from the gateway.
fn icmp(quote: &[u8]) -> Vec<u8> {
    let mut body = vec![3, 13, 0, 0, 0, 0, 0, 0];
    body.extend(quote);
    let sum = internet_checksum(&body).to_be_bytes();
    body.splice(2..4, sum);
    let header =
        Ipv4Header::new(u16::try_from(body.len()).unwrap(), 255, IpNumber(ICMP), octets(&GATEWAY), octets(&CLIENT));
    let mut ip = Vec::new();
    header.unwrap().write(&mut ip).unwrap();
    ip.extend(body);
    ip
}

/// One frame of VLAN, IP, UDP, VXLAN, Ethernet, IP, TCP and LDAP, captured at every length.
pub(crate) fn cut_at_every_length() -> Vec<u8> {
    let shot = request();
    let vxlan = encap::vxlan(&shot);
    let whole = encap::vlan(&Shot { ip: vxlan.get(14..).unwrap().to_vec(), ..shot });
    let mut all = Vec::new();
    for (nth, len) in (0..).zip(0..=whole.len()) {
        all.push(Frame::whole(START_NS + nth * 1_000_000, whole.clone()).cut(len));
    }
    Pcap::ETHERNET.file(&all)
}

/// Ethernet frames of 0 to 14 bytes on the wire, then types that promise headers which do not come.
pub(crate) fn ethernet_short() -> Vec<u8> {
    let good = encap::ethernet(&request());
    let mut bad: Vec<Vec<u8>> = (0..=14).map(|len| good.get(..len).unwrap().to_vec()).collect();
    for kind in [0x8100_u16, 0x88a8, 0x8847, 0x8864, 0x86dd, 0x0806, 0x88cc, 0x0000, 0x05dc, 0x88e5] {
        bad.push([good.get(..12).unwrap(), &kind.to_be_bytes()].concat());
        bad.push([good.get(..12).unwrap(), &kind.to_be_bytes(), &[0xff; 5]].concat());
    }
    frames(1, bad, encap::ethernet)
}

/// Tunnel headers with every flag, and lengths that are wrong.
pub(crate) fn tunnel_headers() -> Vec<u8> {
    let inner = request().ip;
    let mut packets = Vec::new();
    // GRE: all flags, routing present, version 1 and 7, and each ERSPAN header cut short.
    for head in [[0xff_u8, 0xff, 8, 0], [0x40, 0, 8, 0], [0x20, 1, 0x88, 0x0b], [0, 7, 8, 0]] {
        packets.push(ipv4(47, &[&head[..], &inner].concat()));
    }
    packets.push(ipv4(47, &[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 0]));
    packets.push(ipv4(47, &[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]));
    let bodies: [(u16, &[u8]); 6] = [
        // Geneve with 252 bytes of options that are not there.
        (6081, &[0x3f, 0, 0x65, 0x58, 0, 0, 0, 0]),
        // VXLAN without the valid bit, VXLAN with nothing inside.
        (4789, &[0, 0, 0, 0, 0, 0, 0, 0]),
        (4789, &[8, 0, 0, 0, 0, 0, 0, 0]),
        // GTP-U with an extension header of length 0, and with a length beyond the packet.
        (2152, &[0x34, 0xff, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0x85, 0, 0, 0, 0x85]),
        (2152, &[0x30, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0x45]),
        // Teredo with an authentication header that is longer than the packet.
        (3544, &[0, 1, 255, 255, 0, 0, 0, 0]),
    ];
    for (port, body) in bodies {
        packets.push(shot_of(|scene| scene.send_udp((&CLIENT, 55_555), (&DC1, port), body)).ip);
    }
    pcap(packets)
}

/// Radiotap lengths that are wrong, and 802.11 frames that end early or are protected.
pub(crate) fn radiotap() -> Vec<u8> {
    let good = encap::radiotap(&request());
    let mut bad: Vec<Vec<u8>> = Vec::new();
    for len in [0_u16, 4, 7, 9, 65_535] {
        let mut frame = good.clone();
        frame.splice(2..4, len.to_le_bytes());
        bad.push(frame);
    }
    // Present words that go on for ever.
    let mut endless = good.clone();
    endless.splice(4..8, [0, 0, 0, 0x80]);
    bad.push(endless);
    let mut protected = good.clone();
    protected.splice(9..10, [0x41]);
    bad.push(protected);
    bad.extend((0..50).map(|len| good.get(..len).unwrap().to_vec()));
    frames(127, bad, encap::radiotap)
}

/// Netfilter log attributes of length 0 to 4, and one longer than the frame.
pub(crate) fn nflog() -> Vec<u8> {
    let mut bad: Vec<Vec<u8>> = Vec::new();
    for len in [0_u16, 1, 3, 4, 65_535] {
        bad.push([&[2, 0, 0, 5][..], &len.to_le_bytes(), &[9, 0], &request().ip].concat());
    }
    frames(239, bad, encap::nflog)
}

/// DNS whose name points at itself, at each other, and beyond; an answer count of 65535; a label of 63 without end.
pub(crate) fn dns_loops() -> Vec<u8> {
    let head = [0, 9, 0x85, 0x80, 0, 1, 0xff, 0xff, 0, 0, 0, 0];
    let names: [&[u8]; 4] = [&[0xc0, 12], &[0xc0, 14, 0xc0, 12], &[0xff, 0xff], &[63, b'a', b'b']];
    let mut scene = Scene::new();
    for name in names {
        let reply = [&head[..], name, &[0, 1, 0, 1]].concat();
        scene.udp_exchange(&CLIENT, &DC1, 53, &payload::dns_query(9, "dc1.corp.example", 1), &reply);
    }
    Pcap::ETHERNET.file(&scene.ethernet())
}

/// Names made for terminals, web pages, spreadsheets and rule files, in DNS and in the netlogon ping's answer.
pub(crate) fn escape_names() -> Vec<u8> {
    let mut scene = Scene::new();
    for name in
        ["\x1b]0;owned\x07\x1b[31m", "<script>alert(1)<", "=cmd|' /C calc'!A0", "a\nnft flush ruleset\n", "\u{202e}exe"]
    {
        scene.udp_exchange(&CLIENT, &DC1, 53, &payload::dns_query(9, name, 1), &payload::dns_a(9, name, &DC1));
    }
    play::ldap(&mut scene, &CLIENT, &DC1);
    Pcap::ETHERNET.file(&scene.ethernet())
}

/// The same text in every place where a protocol of this domain has text: names in DNS and Netlogon, a server's name in
/// TLS, lines of HTTP, names and explanations in LDAP. A connection that is dropped gives a finding with the names.
pub(crate) fn escape_everywhere() -> Vec<u8> {
    const EVIL: [&str; 5] = [
        "\x1b]0;owned\x07\x1b[2J",
        "<script>alert(1)</script>",
        "=cmd|' /C calc'!A0",
        "x\r\nadd rule inet f c accept\n# \"; }",
        "\u{202e}gpj.exe\u{2066}",
    ];
    let mut scene = Scene::new();
    play::ldap(&mut scene, &CLIENT, &DC1);
    for (id, evil) in (1..).zip(EVIL) {
        let label = evil.replace('.', "-");
        let pong = payload::cldap_pong_named(
            id.into(),
            &label,
            &format!("{label}.corp.example"),
            &label[..8.min(label.len())],
        );
        scene.udp_exchange(&CLIENT, &DC1, 389, &payload::cldap_ping(id.into()), &pong);
        let name = format!("{label}.corp.example");
        scene.udp_exchange(&CLIENT, &DC1, 53, &payload::dns_query(id, &name, 1), &payload::dns_a(id, &name, &DC1));
        let (search, refused) = payload::ldap_refused(id.into(), evil, evil);
        connect(&mut scene, &CLIENT, &DC1, 389, &[(&search, &refused)]);
        connect(&mut scene, &CLIENT, &DC1, 443, &[(&payload::tls_hello(evil), &[21, 3, 3, 0, 2, 2, 112])]);
        let get = format!("GET /{evil} HTTP/1.1\r\nHost: {evil}\r\nUser-Agent: {evil}\r\n\r\n");
        let answer = format!("HTTP/1.1 404 {evil}\r\nServer: {evil}\r\nContent-Length: 0\r\n\r\n");
        connect(&mut scene, &CLIENT, &DC1, 80, &[(get.as_bytes(), answer.as_bytes())]);
    }
    dropped(&mut scene, &CLIENT, &DC1, 88, &[0, 1000, 3000]);
    scene.wait_ms(8000);
    play::ldap(&mut scene, &CLIENT, &DC1);
    Pcap::ETHERNET.file(&scene.ethernet())
}

/// Conversations whose payload lies about its length: BER, Kerberos and SMB frames, RPC fragments, the mapper's towers.
pub(crate) fn payload_lengths() -> Vec<u8> {
    let mut scene = Scene::new();
    let mut rpc_zero = rpc::bind(rpc::EPM);
    rpc_zero.splice(8..10, [0, 0]);
    let mut rpc_giant = rpc::bind(rpc::EPM);
    rpc_giant.splice(8..10, [0xff, 0xff]);
    let mut contexts = rpc::bind(rpc::EPM);
    contexts.splice(24..25, [255]);
    let bind = rpc::bind(rpc::EPM);
    let ack = rpc::bind_ack(135);
    let mut towers = rpc::ept_map_found(rpc::DRSUAPI, &DC1, 49_668);
    // The counts of towers, behind the header and the handle.
    towers.splice(44..60, [0xff; 16]);
    let map = rpc::ept_map(rpc::DRSUAPI);
    connect(&mut scene, &CLIENT, &DC1, 389, &[(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 2, 1, 1], &[0x30, 0x80, 0, 0])]);
    connect(&mut scene, &CLIENT, &DC1, 88, &[(&[0xff, 0xff, 0xff, 0xff, 0x6a], &[0x7f, 0xff, 0xff, 0xff])]);
    connect(&mut scene, &CLIENT, &DC1, 445, &[(&[0, 0xff, 0xff, 0xff, 0xfe, b'S', b'M', b'B'], &[0, 0, 0, 0])]);
    for request in [&rpc_zero, &rpc_giant, &contexts] {
        connect(&mut scene, &CLIENT, &DC1, 135, &[(request, &ack)]);
    }
    connect(&mut scene, &CLIENT, &DC1, 135, &[(&bind, &ack), (&map, &towers)]);
    Pcap::ETHERNET.file(&scene.ethernet())
}
