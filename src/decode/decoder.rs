//! The decoder: from a frame's first byte to the ports of its innermost packet.
//!
//! Keeps first fragments and counters between frames, nothing else; knows no file, no flow, no meaning of a port.

use crate::capture::batch::Frame;
use crate::decode::counts::DecodeCounts;
use crate::decode::counts::TunnelKind;
use crate::decode::fragment::Datagram;
use crate::decode::fragment::FirstFragments;
use crate::decode::icmp;
use crate::decode::ip::Ip;
use crate::decode::ip::Piece;
use crate::decode::ip::protocol;
use crate::decode::link;
use crate::decode::link::Inside;
use crate::decode::link::Place;
use crate::decode::link::ethernet;
use crate::decode::packet::Decoded;
use crate::decode::packet::Layer;
use crate::decode::packet::Packet;
use crate::decode::packet::SkipReason;
use crate::decode::plain::Outline;
use crate::decode::plain::Plain;
use crate::decode::transport;
use crate::decode::tunnel;
use crate::decode::tunnel::Opening;
use crate::decode::walk::Walk;
use crate::model::transport::Transport;

/// Tunnels inside tunnels that are opened.
const TUNNELS_MAX: u8 = 8;
/// Tags, label stacks and the like between the first header and IP, over all tunnels of a frame.
const LINK_HEADERS_MAX: u8 = 24;

/// Decodes frames one after the other.
///
/// All memory is allocated at the start, about 430 KiB for the fragments of 4096 datagrams.
///
/// ```
/// use portolan::capture::batch::Frame;
/// use portolan::capture::batch::LinkType;
/// use portolan::decode::decoder::Decoder;
/// use portolan::decode::packet::Decoded;
/// use portolan::decode::packet::SkipReason;
/// use portolan::model::ids::FrameId;
/// use portolan::model::time::Timestamp;
///
/// let arp = [&[0xff; 6], &[2, 0, 0, 0, 0, 1], &[8, 6][..], &[0; 28]].concat();
/// let frame = Frame { id: FrameId::new(0, 1), ts: Timestamp(0), at: 0, captured: 42, wire_len: 42, link: LinkType(1) };
/// let mut decoder = Decoder::new();
/// assert!(matches!(decoder.decode(&frame, &arp), Decoded::Skip(SkipReason::Arp)));
/// assert_eq!(decoder.counts().skipped(SkipReason::Arp), 1);
/// ```
pub struct Decoder {
    first_fragments: FirstFragments,
    counts: DecodeCounts,
    /// IP headers read: whether a tunnel that failed to open had got as far as one.
    ip_headers: u64,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A decoder that has seen nothing.
    pub fn new() -> Self {
        Self { first_fragments: FirstFragments::new(), counts: DecodeCounts::default(), ip_headers: 0 }
    }

    /// What was counted since the start.
    pub fn counts(&self) -> &DecodeCounts {
        &self.counts
    }

    /// Decodes one frame, of which `bytes` were captured.
    ///
    /// Frames must come in capture order: later fragments follow a first that came before. The packet is that of the
    /// innermost IP header; `payload_at` counts from the start of `bytes`.
    pub fn decode(&mut self, frame: &Frame, bytes: &[u8]) -> Decoded {
        match self.outline(frame, bytes) {
            Some(outline) => Decoded::Packet(Plain { outline: &outline, frame }.packet()),
            None => self.decode_other(frame, bytes),
        }
    }

    /// What finds the flow of a frame without surprises, which nearly all are. It is counted as decoded, and
    /// [`Plain::packet`] is its packet. `None` says nothing of the frame: [`Decoder::decode_other`] does.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "what it says is hashed while it is still in registers")]
    pub fn outline(&mut self, frame: &Frame, bytes: &[u8]) -> Option<Outline> {
        let outline = Outline::of(frame, bytes)?;
        self.counts.note(outline.is_cut());
        Some(outline)
    }

    /// Decodes a frame that has no [`Outline`].
    #[inline(never)]
    pub fn decode_other(&mut self, frame: &Frame, bytes: &[u8]) -> Decoded {
        let Some(packet) = usual(frame, bytes) else {
            return self.decode_any(frame, bytes);
        };
        self.counts.note_packet(&packet);
        Decoded::Packet(packet)
    }

    /// The general way, which [`Outline`] and [`usual`] are short cuts of.
    #[inline(never)]
    pub(super) fn decode_any(&mut self, frame: &Frame, bytes: &[u8]) -> Decoded {
        let decoded = match link::strip(frame.link, bytes) {
            Ok(place) => self.below_ip(Walk::new(frame, bytes), place),
            Err(reason) => Decoded::Skip(reason),
        };
        match &decoded {
            Decoded::Packet(packet) => self.counts.note_packet(packet),
            Decoded::Skip(reason) => self.counts.note_skip(*reason),
        }
        decoded
    }

    /// What is at `place`: IP or a header before it.
    fn below_ip(&mut self, walk: Walk<'_>, place: Place) -> Decoded {
        let ip = match place.inside {
            Inside::EtherType(ethernet::IPV4) => Ip::v4(walk.bytes, place.at, walk.end),
            Inside::EtherType(ethernet::IPV6) => Ip::v6(walk.bytes, place.at, walk.end),
            _ => return self.link_header(walk, place),
        };
        match ip {
            Ok(ip) => self.ip(walk.within(&ip, place.group), ip),
            Err(reason) => Decoded::Skip(reason),
        }
    }

    /// One tag, label stack or the like further.
    #[inline(never)]
    fn link_header(&mut self, mut walk: Walk<'_>, place: Place) -> Decoded {
        if walk.link_headers >= LINK_HEADERS_MAX {
            return Decoded::Skip(SkipReason::TooDeep);
        }
        walk.link_headers += 1;
        match link::step(walk.bytes, place) {
            Ok(place) => self.below_ip(walk, place),
            Err(reason) => Decoded::Skip(reason),
        }
    }

    /// An IP packet, whose extension headers are passed first.
    fn ip(&mut self, walk: Walk<'_>, mut ip: Ip) -> Decoded {
        self.ip_headers += 1;
        if let Err(reason) = ip.pass_extensions(walk.bytes) {
            return Decoded::Skip(reason);
        }
        match ip.fragment {
            None => self.above_ip(walk, ip),
            Some(piece) => self.fragment(walk, ip, piece),
        }
    }

    fn above_ip(&mut self, walk: Walk<'_>, ip: Ip) -> Decoded {
        // Three tunnels have no header worth the name, so no flow of their own to fall back on.
        let mut open = |kind, inside, at| self.open(walk, &Opening { kind, inside, at }, ip.at);
        match ip.protocol {
            protocol::TCP => transport::tcp_or_cut(&walk, &ip).into(),
            protocol::UDP => self.udp(walk, ip),
            protocol::ICMP if !ip.v6 => icmp::icmp(&walk, &ip).into(),
            protocol::ICMPV6 if ip.v6 => icmp::icmp(&walk, &ip).into(),
            protocol::SCTP => transport::sctp(&walk, &ip).into(),
            protocol::ESP => Decoded::Packet(transport::other(&walk, &ip, Transport::Esp, ip.at)),
            protocol::AH => Decoded::Packet(transport::other(&walk, &ip, Transport::Ah, ip.at)),
            protocol::GRE => self.gre(walk, ip),
            protocol::IPV4 => open(TunnelKind::IpInIp, Inside::EtherType(ethernet::IPV4), 0),
            protocol::IPV6 => open(TunnelKind::IpInIp, Inside::EtherType(ethernet::IPV6), 0),
            protocol::ETHER_IP => open(TunnelKind::EtherIp, Inside::Ethernet, 2),
            protocol::MPLS => open(TunnelKind::MplsInIp, Inside::EtherType(ethernet::MPLS), 0),
            _ => match ip.ah_at {
                Some(at) => Decoded::Packet(transport::other(&walk, &ip, Transport::Ah, at)),
                None => Decoded::Skip(SkipReason::IpProtocol),
            },
        }
    }

    /// A piece of a datagram: the first gives the flow, the others follow it.
    fn fragment(&mut self, walk: Walk<'_>, ip: Ip, piece: Piece) -> Decoded {
        self.counts.fragments += 1;
        let datagram = Datagram { src: ip.src, dst: ip.dst, id: piece.id, protocol: piece.protocol };
        if piece.first {
            let decoded = self.above_ip(walk, ip);
            // An error is filed under a flow that this datagram is no part of.
            if let Decoded::Packet(packet) = &decoded
                && !matches!(packet.layer, Layer::IcmpError(_))
            {
                let evicted = self.first_fragments.insert(datagram, (packet.key, packet.from), packet.ts);
                self.counts.fragments_evicted += u64::from(evicted);
            }
            return decoded;
        }
        let Some(flow) = self.first_fragments.flow_of(&datagram, walk.ts()) else {
            self.counts.fragments_unmatched += 1;
            return Decoded::Skip(SkipReason::Fragment);
        };
        Decoded::Packet(walk.packet(&ip, flow, (ip.at, ip.rest(ip.at)), Layer::Fragment))
    }

    /// The packet inside a tunnel whose header begins at `at`.
    fn open(&mut self, mut walk: Walk<'_>, opening: &Opening, at: usize) -> Decoded {
        if walk.tunnels >= TUNNELS_MAX {
            return Decoded::Skip(SkipReason::TooDeep);
        }
        walk.tunnels += 1;
        let decoded = self.below_ip(walk, Place { inside: opening.inside, at: at + opening.at, group: walk.group });
        if matches!(decoded, Decoded::Packet(_)) {
            self.counts.note_tunnel(opening.kind);
        }
        decoded
    }

    fn gre(&mut self, walk: Walk<'_>, ip: Ip) -> Decoded {
        let outer = Decoded::Packet(transport::other(&walk, &ip, Transport::Gre, ip.at));
        let Some(opening) = tunnel::gre::open(walk.from(ip.at)) else {
            return outer;
        };
        let ip_headers = self.ip_headers;
        match self.open(walk, &opening, ip.at) {
            // What cannot be read as what it claims to be is the tunnel's own traffic. A mirrored ARP frame is not.
            Decoded::Skip(SkipReason::Malformed | SkipReason::CutShort) if self.ip_headers == ip_headers => outer,
            decoded => decoded,
        }
    }

    /// A UDP datagram, or what it carries.
    fn udp(&mut self, walk: Walk<'_>, ip: Ip) -> Decoded {
        let (packet, ports) = match transport::udp_or_cut(&walk, &ip) {
            Ok(found) => found,
            Err(reason) => return Decoded::Skip(reason),
        };
        let outer = Decoded::Packet(packet);
        let Some(kind) = tunnel::of_ports(ports) else {
            return outer;
        };
        let (at, len) = (packet.payload_at as usize, packet.payload_len as usize);
        let mut inner = walk;
        inner.narrow(at + len);
        // What the tunnel's header says of lengths is of the whole datagram; a first fragment has less.
        let room = if ip.fragment.is_some() { usize::MAX } else { len };
        let Some(opening) = tunnel::open_udp(kind, inner.from(at), room) else {
            return outer;
        };
        let ip_headers = self.ip_headers;
        match self.open(inner, &opening, at) {
            // A port proves nothing: unless an IP header was found inside, the datagram is what it says outside.
            Decoded::Skip(reason) if reason != SkipReason::TooDeep && self.ip_headers == ip_headers => outer,
            decoded => decoded,
        }
    }
}

/// The packet of a frame without surprises: Ethernet, at most one tag, IP without extension or fragment, a whole TCP or
/// UDP header, no tunnel. `None` says nothing of the frame.
///
/// Of those that have no [`Outline`], most are such, and nothing of them is kept in memory on the way but the packet itself. By the general way,
/// whose steps hand each other large values, they take twice as long.
#[expect(clippy::inline_always, reason = "its answer is built where the caller wants it, not copied there")]
#[inline(always)]
fn usual(frame: &Frame, bytes: &[u8]) -> Option<Packet> {
    if frame.link != link::ETHERNET {
        return None;
    }
    let place = ethernet::strip_tagged(bytes)?;
    let walk = Walk::new(frame, bytes);
    let ip = match place.inside {
        Inside::EtherType(ethernet::IPV4) => Ip::v4(bytes, place.at, walk.end),
        Inside::EtherType(ethernet::IPV6) => Ip::v6(bytes, place.at, walk.end),
        _ => return None,
    }
    .ok()?;
    let walk = walk.within(&ip, place.group);
    match (ip.fragment, ip.protocol) {
        (None, protocol::TCP) => transport::tcp(&walk, &ip),
        (None, protocol::UDP) => {
            let (packet, ports) = transport::udp(&walk, &ip)?;
            if tunnel::of_ports(ports).is_some() { None } else { Some(packet) }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::panic, reason = "a test may stop here")]

    use super::*;
    use crate::capture::batch::LinkType;
    use crate::decode::packet::Tcp;
    use crate::decode::samples;
    use crate::decode::samples::DST_PORT;
    use crate::decode::samples::PAYLOAD;
    use crate::decode::samples::SRC_PORT;
    use crate::decode::samples::V4;
    use crate::decode::samples::V6;
    use crate::decode::samples::eth;
    use crate::decode::samples::ip4;
    use crate::decode::samples::ip6;
    use crate::decode::samples::skip;
    use crate::decode::samples::tcp4;
    use crate::decode::samples::udp4;
    use crate::model::addr::Addr;
    use crate::model::addr::Endpoint;

    const OUTER: [[u8; 4]; 2] = [[192, 0, 2, 1], [192, 0, 2, 2]];

    fn assert_conversation(name: &str, v6: bool, packet: &Packet) {
        let [src, dst] = if v6 { V6.map(Addr::v6) } else { V4.map(Addr::v4) };
        assert_eq!(packet.key.transport, Transport::Tcp, "{name}");
        assert_eq!(packet.key.end(packet.from), Endpoint { addr: src, port: SRC_PORT }, "{name}");
        assert_eq!(packet.key.end(packet.from.other()), Endpoint { addr: dst, port: DST_PORT }, "{name}");
        assert!(matches!(packet.layer, Layer::Tcp(Tcp { seq: 1000, ack: 2000, flags: 0x18, .. })), "{name}");
    }

    #[test]
    fn every_wrapping_holds_the_conversation() {
        for sample in samples::all() {
            let Decoded::Packet(packet) = samples::decode(sample.link, &sample.bytes) else {
                panic!("{}", sample.name)
            };
            assert_conversation(sample.name, sample.v6, &packet);
            let at = packet.payload_at as usize;
            let payload = &sample.bytes[at..at + packet.payload_captured as usize];
            assert_eq!((payload, packet.payload_len), (PAYLOAD, 5), "{}", sample.name);
            assert_eq!((packet.tunnels, packet.ttl), (sample.tunnels, 64), "{}", sample.name);
            assert!(!packet.link_group, "{}", sample.name);
        }
    }

    #[test]
    fn every_link_type_has_a_sample() {
        let samples = samples::all();
        for (number, name, _) in link::LINK_TYPES {
            assert!(samples.iter().any(|sample| sample.link == *number), "{name}");
            assert!(LinkType(*number).name().is_none_or(|registered| registered == *name), "{name}");
        }
    }

    #[test]
    fn tunnels_are_counted_by_kind() {
        let mut decoder = Decoder::new();
        for sample in samples::all() {
            decoder.decode(&samples::frame(sample.link, &sample.bytes, sample.bytes.len(), 0), &sample.bytes);
        }
        let counts = TunnelKind::ALL.map(|kind| decoder.counts().tunnels(kind));
        assert_eq!(counts, [8, 4, 4, 2, 3, 3, 2, 1, 1]);
    }

    /// Decodes and checks what must hold of any answer.
    fn survive(decoder: &mut Decoder, link: u16, bytes: &[u8], wire_len: usize) -> Decoded {
        let decoded = decoder.decode(&samples::frame(link, bytes, wire_len, 0), bytes);
        if let Decoded::Packet(packet) = &decoded {
            assert!(packet.payload_at as usize + packet.payload_captured as usize <= bytes.len());
            assert!(packet.payload_captured <= packet.payload_len);
            assert!(packet.payload_len as usize <= wire_len);
        }
        decoded
    }

    #[test]
    fn cut_anywhere_it_is_the_conversation_or_nothing() {
        let mut decoder = Decoder::new();
        let mut cuts = 0;
        for sample in samples::all() {
            let whole = sample.bytes.len();
            for captured in 0..whole {
                let cut = &sample.bytes[..captured];
                let decoded = survive(&mut decoder, sample.link, cut, whole);
                cuts += 1;
                // The last six bytes of the TCP header and the payload may lack.
                if captured >= whole - PAYLOAD.len() - 6 {
                    let Decoded::Packet(packet) = decoded else { panic!("{} cut at {captured}", sample.name) };
                    assert_conversation(sample.name, sample.v6, &packet);
                    assert_eq!(packet.payload_len, 5);
                    assert_eq!(packet.payload_captured as usize, captured.saturating_sub(whole - 5));
                } else if sample.tunnels == 0 && !sample.name.contains("AH") {
                    assert!(matches!(decoded, Decoded::Skip(_)), "{} cut at {captured}: {decoded:?}", sample.name);
                }
            }
        }
        assert_eq!(decoder.counts().frames(), cuts);
    }

    #[test]
    fn no_flipped_byte_does_harm() {
        let mut decoder = Decoder::new();
        for sample in samples::all() {
            let mut bytes = sample.bytes;
            for at in 0..bytes.len() {
                for flip in [0x01, 0x80, 0xff] {
                    bytes[at] ^= flip;
                    survive(&mut decoder, sample.link, &bytes, bytes.len());
                    for captured in [at, at + 1, at + 4] {
                        let cut = bytes.get(..captured).unwrap_or(&bytes);
                        survive(&mut decoder, sample.link, cut, bytes.len());
                    }
                    bytes[at] ^= flip;
                }
            }
        }
    }

    #[test]
    fn what_is_no_flow_says_why() {
        let tcp = tcp4().split_off(20);
        let beacon = [&[0x80, 0, 0, 0][..], &[2; 40]].concat();
        let protected = [&[0x08, 0x41, 0, 0][..], &[2; 40]].concat();
        let null_function = [&[0x48, 0x01, 0, 0][..], &[2; 40]].concat();
        let bad_offset = [&tcp[..12], &[0x40], &tcp[13..]].concat();
        let long_offset = [&tcp[..12], &[0xf0], &tcp[13..]].concat();
        let mut long = tcp4();
        long[3] = 19;
        let extensions = ip6(0, &[[0, 0, 1, 4, 0, 0, 0, 0]; 9].concat());
        let cases: [(&str, u16, Vec<u8>, SkipReason); 22] = [
            ("ARP", 1, eth(0x0806, &[0; 28]), SkipReason::Arp),
            ("RARP", 1, eth(0x8035, &[0; 28]), SkipReason::Arp),
            ("ARP behind a tag", 1, eth(0x8100, &[0, 1, 8, 6]), SkipReason::Arp),
            ("spanning tree", 1, eth(38, &[0x42, 0x42, 3, 0]), SkipReason::NotIp),
            ("LLDP", 1, eth(0x88cc, &[0; 40]), SkipReason::NotIp),
            ("PPPoE discovery", 1, eth(0x8863, &[0x11, 9, 0, 0, 0, 0]), SkipReason::NotIp),
            ("encrypted MACsec", 1, eth(0x88e5, &[0x0c; 40]), SkipReason::LinkControl),
            ("unknown link type", 147, tcp4(), SkipReason::LinkType),
            ("link type named by PPI", 192, vec![0, 0, 8, 0, 147, 0, 0, 0], SkipReason::LinkType),
            ("PPI in PPI", 192, vec![0, 0, 8, 0, 192, 0, 0, 0], SkipReason::TooDeep),
            ("beacon", 105, beacon, SkipReason::LinkControl),
            ("protected frame", 105, protected, SkipReason::LinkControl),
            ("null function", 105, null_function, SkipReason::LinkControl),
            ("half an Ethernet header", 1, vec![0; 13], SkipReason::CutShort),
            ("IGMP", 1, eth(0x0800, &ip4(V4, 2, &[0; 8])), SkipReason::IpProtocol),
            ("no next header", 1, eth(0x86dd, &ip6(59, &[])), SkipReason::IpProtocol),
            ("IPv6 under IPv4's type", 1, eth(0x0800, &ip6(59, &[])), SkipReason::Malformed),
            ("TCP offset below its least", 1, eth(0x0800, &ip4(V4, 6, &bad_offset)), SkipReason::Malformed),
            ("TCP offset past the end", 1, eth(0x0800, &ip4(V4, 6, &long_offset)), SkipReason::Malformed),
            (
                "UDP length below its least",
                1,
                eth(0x0800, &ip4(V4, 17, &[0, 1, 0, 2, 0, 7, 0, 0])),
                SkipReason::Malformed,
            ),
            ("IPv4 length below its header", 1, eth(0x0800, &long), SkipReason::Malformed),
            ("nine extension headers", 1, eth(0x86dd, &extensions), SkipReason::TooDeep),
        ];
        for (name, link, bytes, reason) in cases {
            assert_eq!(skip(link, &bytes), reason, "{name}");
        }
    }

    #[test]
    fn eight_tunnels_and_no_more() {
        let nest = |count: usize| eth(0x0800, &(0..count).fold(tcp4(), |inside, _| ip4(OUTER, 4, &inside)));
        assert_eq!(samples::packet(1, &nest(8)).tunnels, 8);
        assert_eq!(skip(1, &nest(9)), SkipReason::TooDeep);
    }

    #[test]
    fn many_tags_are_too_deep() {
        let tags = |count: usize| eth(0x8100, &[&[0, 1, 0x81, 0].repeat(count), &[0, 1, 8, 0][..], &tcp4()].concat());
        assert_eq!(samples::packet(1, &tags(4)).key.transport, Transport::Tcp);
        assert_eq!(skip(1, &tags(1000)), SkipReason::TooDeep);
        assert_eq!(skip(1, &eth(0x8847, &[0; 400])), SkipReason::TooDeep);
    }

    #[test]
    fn padding_is_no_payload() {
        let mut bytes = eth(0x0800, &tcp4());
        bytes.extend([0xee; 20]);
        let packet = samples::packet(1, &bytes);
        assert_eq!((packet.payload_len, packet.payload_captured, packet.ip_len), (5, 5, 45));
    }

    #[test]
    fn a_length_beyond_the_frame_is_not_believed_for_the_payload() {
        let mut ip = tcp4();
        ip[2] = 0x40;
        let packet = samples::packet(1, &eth(0x0800, &ip));
        assert_eq!((packet.payload_len, packet.payload_captured, packet.ip_len), (5, 5, 0x4000 + 45));
    }

    #[test]
    fn groups_are_those_of_the_innermost_link_header() {
        let group = |mut bytes: Vec<u8>, at: usize| {
            bytes[at] |= 1;
            bytes
        };
        let plain = eth(0x0800, &tcp4());
        assert!(samples::packet(1, &group(plain.clone(), 0)).link_group);
        let sll = |kind: u8| [&[0, kind][..], &[0; 12], &[8, 0], &tcp4()].concat();
        assert_eq!(
            [0, 1, 2, 3, 4].map(|kind| samples::packet(113, &sll(kind)).link_group),
            [false, true, true, false, false]
        );
        let mirrored = |inner: Vec<u8>| eth(0x0800, &ip4(OUTER, 47, &[&[0, 0, 0x65, 0x58][..], &inner].concat()));
        assert!(samples::packet(1, &mirrored(group(plain.clone(), 0))).link_group);
        assert!(!samples::packet(1, &group(mirrored(plain), 0)).link_group);
        let tagged = eth(0x8100, &[&[0, 1, 8, 0][..], &tcp4()].concat());
        assert!(samples::packet(1, &group(tagged, 0)).link_group);
    }

    #[test]
    fn a_tunnel_port_without_a_tunnel_stays_udp() {
        let arp = eth(0x0806, &[0; 28]);
        let cases = [
            (4789, [&[8, 0, 0, 0, 0, 0, 9, 0][..], &arp].concat()),
            (4789, [&[0, 0, 0, 0, 0, 0, 9, 0][..], &eth(0x0800, &tcp4())].concat()),
            (4789, vec![8, 0, 0]),
            (6081, [&[0x40, 0, 8, 0, 0, 0, 9, 0][..], &tcp4()].concat()),
            (2152, [&[0x30, 1, 0, 45, 0, 0, 0, 1][..], &tcp4()].concat()),
            (2152, [&[0x30, 255, 9, 45, 0, 0, 0, 1][..], &tcp4()].concat()),
            (3544, tcp4()),
            (3544, samples::tcp6().split_at(60).0.to_vec()),
        ];
        for (port, payload) in cases {
            let packet = samples::packet(1, &eth(0x0800, &udp4(OUTER, [40000, port], &payload)));
            assert_eq!((packet.key.transport, packet.tunnels), (Transport::Udp, 0), "{port} {payload:02x?}");
            assert_eq!(packet.payload_len as usize, payload.len());
        }
    }

    #[test]
    fn inside_a_tunnel_a_found_ip_header_decides() {
        let igmp = eth(0x0800, &ip4(V4, 2, &[0; 8]));
        let vxlan = [&[8, 0, 0, 0, 0, 0, 9, 0][..], &igmp].concat();
        assert_eq!(skip(1, &eth(0x0800, &udp4(OUTER, [40000, 4789], &vxlan))), SkipReason::IpProtocol);
        let bridged_arp = [&[0, 0, 0x65, 0x58][..], &eth(0x0806, &[0; 28])].concat();
        let vxlan = [&[8, 0, 0, 0, 0, 0, 9, 0][..], &eth(0x0800, &ip4(V4, 47, &bridged_arp))].concat();
        assert_eq!(skip(1, &eth(0x0800, &udp4(OUTER, [40000, 4789], &vxlan))), SkipReason::Arp);
    }

    #[test]
    fn transports_that_are_only_followed() {
        let pptp = [0x30, 0x01, 0x88, 0x0b, 0, 1, 0, 7, 0, 0, 0, 1];
        let keepalive = [0, 0, 0, 0];
        let cut_erspan = [0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10];
        let ah_unknown = [[253, 4, 0, 0], [0; 4], [0; 4], [0; 4], [0; 4], [0; 4]].concat();
        let cases: [(u8, &[u8], Transport, [u16; 2]); 7] = [
            (47, &pptp, Transport::Gre, [0, 0]),
            (47, &keepalive, Transport::Gre, [0, 0]),
            (47, &cut_erspan, Transport::Gre, [0, 0]),
            (50, &[0; 24], Transport::Esp, [0, 0]),
            (51, &[6, 4, 0, 0], Transport::Ah, [0, 0]),
            (51, &ah_unknown, Transport::Ah, [0, 0]),
            (132, &[0x0b, 0x59, 0x0b, 0x5a, 0, 0, 0, 0, 0, 0, 0, 0], Transport::Sctp, [2905, 2906]),
        ];
        for (protocol, payload, transport, [src, dst]) in cases {
            let packet = samples::packet(1, &eth(0x0800, &ip4(V4, protocol, payload)));
            assert_eq!((packet.layer, packet.key.transport), (Layer::Other, transport));
            assert_eq!(packet.key.end(packet.from), Endpoint { addr: Addr::v4(V4[0]), port: src });
            assert_eq!(packet.key.end(packet.from.other()), Endpoint { addr: Addr::v4(V4[1]), port: dst });
        }
    }

    #[test]
    fn a_mirrored_arp_frame_is_arp() {
        let erspan = [&[0, 0, 0x88, 0xbe][..], &eth(0x0806, &[0; 28])].concat();
        assert_eq!(skip(1, &eth(0x0800, &ip4(OUTER, 47, &erspan))), SkipReason::Arp);
    }

    #[test]
    fn udp_needs_its_ports_only() {
        let bytes = eth(0x0800, &udp4(V4, [50000, 88], PAYLOAD));
        let mut decoder = Decoder::new();
        for captured in 34..bytes.len() {
            match survive(&mut decoder, 1, &bytes[..captured], bytes.len()) {
                Decoded::Packet(packet) => {
                    assert!(captured >= 38);
                    assert_eq!((packet.key.transport, packet.payload_len), (Transport::Udp, 5));
                }
                Decoded::Skip(reason) => assert!(captured < 38 && reason == SkipReason::CutShort),
            }
        }
    }

    /// The datagram in pieces of `size` bytes.
    fn pieces(datagram: &[u8], size: usize) -> Vec<Vec<u8>> {
        let count = datagram[20..].len().div_ceil(size);
        let piece = |(place, part): (usize, &[u8])| {
            let mut packet =
                ip4([datagram[12..16].try_into().unwrap(), datagram[16..20].try_into().unwrap()], datagram[9], part);
            let more = if place + 1 < count { 0x2000 } else { 0 };
            let field = u16::try_from(place * size / 8).unwrap() | more;
            packet[6..8].copy_from_slice(&field.to_be_bytes());
            packet
        };
        datagram[20..].chunks(size).enumerate().map(piece).collect()
    }

    #[test]
    fn later_fragments_follow_the_first() {
        let datagram = udp4(V4, [50000, 88], &[7; 100]);
        let [first, second, last] = pieces(&datagram, 48).try_into().unwrap();
        let mut decoder = Decoder::new();
        let mut at = |packet: &[u8], second: u64| {
            let bytes = eth(0x0800, packet);
            decoder.decode(&samples::frame(1, &bytes, bytes.len(), second), &bytes)
        };
        assert!(matches!(at(&second, 1), Decoded::Skip(SkipReason::Fragment)));
        let Decoded::Packet(head) = at(&first, 2) else { panic!() };
        assert_eq!((head.payload_len, head.layer), (40, Layer::Udp { checksum: head_checksum(&datagram) }));
        for (packet, len) in [(&last, 12), (&second, 48)] {
            let Decoded::Packet(piece) = at(packet, 32) else { panic!() };
            assert_eq!((piece.key, piece.from, piece.layer), (head.key, head.from, Layer::Fragment));
            assert_eq!((piece.payload_len, piece.payload_at), (len, 34));
        }
        assert!(matches!(at(&last, 33), Decoded::Skip(SkipReason::Fragment)));
        let counts = decoder.counts();
        assert_eq!((counts.fragments, counts.fragments_unmatched, counts.fragments_evicted), (5, 2, 0));
    }

    fn head_checksum(datagram: &[u8]) -> u16 {
        u16::from_be_bytes([datagram[26], datagram[27]])
    }

    #[test]
    fn later_fragments_of_a_tunnel_follow_what_it_carries() {
        let vxlan = [&[8, 0, 0, 0, 0, 0, 9, 0][..], &eth(0x0800, &tcp4())].concat();
        let gtp = [&[0x30, 255, 0, 45, 0, 0, 0, 1][..], &tcp4()].concat();
        let teredo = samples::tcp6();
        for (port, payload, size, v6) in [(4789, vxlan, 72, false), (2152, gtp, 56, false), (3544, teredo, 72, true)] {
            let [first, last] = pieces(&udp4(OUTER, [40000, port], &payload), size).try_into().unwrap();
            let mut decoder = Decoder::new();
            let mut at = |packet: &[u8]| {
                let bytes = eth(0x0800, packet);
                decoder.decode(&samples::frame(1, &bytes, bytes.len(), 0), &bytes)
            };
            let Decoded::Packet(head) = at(&first) else { panic!() };
            assert_conversation("first", v6, &head);
            let Decoded::Packet(piece) = at(&last) else { panic!() };
            assert_eq!((piece.key, piece.from, piece.layer), (head.key, head.from, Layer::Fragment));
        }
    }

    #[test]
    fn ipv6_fragments_follow_too() {
        let head = |offset: u16, next: u8| {
            let [high, low] = offset.to_be_bytes();
            [next, 0, high, low, 0, 0, 0, 9]
        };
        let udp = udp4(V4, [50000, 88], &[7; 100]).split_off(20);
        let first = eth(0x86dd, &ip6(44, &[&head(1, 17), &udp[..48]].concat()));
        // A destination option before the fragment header, and another next header in it, as RFC 8200 allows.
        let last = eth(0x86dd, &ip6(60, &[&[44, 0, 1, 4, 0, 0, 0, 0], &head(48, 60)[..], &udp[48..]].concat()));
        let mut decoder = Decoder::new();
        let Decoded::Packet(one) = survive(&mut decoder, 1, &first, first.len()) else { panic!() };
        let Decoded::Packet(two) = survive(&mut decoder, 1, &last, last.len()) else { panic!() };
        assert_eq!((one.key.transport, one.payload_len), (Transport::Udp, 40));
        assert_eq!((two.key, two.from, two.layer, two.payload_len), (one.key, one.from, Layer::Fragment, 60));
    }
}
