//! The decoder: from a frame's first byte to the ports of its innermost packet.
//!
//! Keeps first fragments and counters between frames, nothing else; knows no file, no flow, no meaning of a port.

use crate::capture::batch::Frame;
use crate::capture::batch::LinkType;
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
use crate::decode::packet::SkipReason;
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
/// All memory is allocated at the start, about 450 KiB for the fragments of 4096 datagrams.
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
    /// An IP header was read since the last tunnel was opened.
    reached_ip: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A decoder that has seen nothing.
    pub fn new() -> Self {
        Self { first_fragments: FirstFragments::new(), counts: DecodeCounts::default(), reached_ip: false }
    }

    /// What was counted since the start.
    pub fn counts(&self) -> &DecodeCounts {
        &self.counts
    }

    /// Decodes one frame, of which `bytes` were captured.
    ///
    /// Frames must come in capture order: later fragments follow a first that came before. The packet is that of the
    /// innermost IP header; `payload_at` counts from the start of `bytes`.
    #[inline]
    pub fn decode(&mut self, frame: &Frame, bytes: &[u8]) -> Decoded {
        let walk = Walk::new(frame, bytes);
        let decoded = if frame.link == link::ETHERNET {
            match ethernet::strip(bytes) {
                Ok(place) => self.below_ip(walk, place),
                Err(reason) => Decoded::Skip(reason),
            }
        } else {
            self.other_link(walk, frame.link)
        };
        self.counts.note(&decoded);
        decoded
    }

    #[inline(never)]
    fn other_link(&mut self, walk: Walk<'_>, link: LinkType) -> Decoded {
        match link::strip(link, walk.bytes) {
            Ok(place) => self.below_ip(walk, place),
            Err(reason) => Decoded::Skip(reason),
        }
    }

    // The hot path is written so that no large value is returned through a `Result`, chosen between two branches, or
    // lent to a function that is not inlined: each of these made the compiler copy it field by field and read it back
    // in wider pieces, at five times the cost of decoding. Hence values for `Walk` and `Ip`, and `Decoded` everywhere.

    /// What is at `place`, which is IP in most frames.
    #[inline]
    fn below_ip(&mut self, walk: Walk<'_>, place: Place) -> Decoded {
        match place.inside {
            Inside::EtherType(ethernet::IPV4) => match Ip::v4(walk.bytes, place.at, walk.end) {
                Ok(ip) => self.ip(walk, ip, place.group),
                Err(reason) => Decoded::Skip(reason),
            },
            Inside::EtherType(ethernet::IPV6) => match Ip::v6(walk.bytes, place.at, walk.end) {
                Ok(ip) => self.ip(walk, ip, place.group),
                Err(reason) => Decoded::Skip(reason),
            },
            _ => self.link_header(walk, place),
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

    #[inline(always)]
    fn ip(&mut self, mut walk: Walk<'_>, ip: Ip, group: bool) -> Decoded {
        self.reached_ip = true;
        walk.group = group;
        walk.narrow(ip.limit);
        match (ip.fragment, ip.protocol) {
            (None, protocol::TCP) => transport::tcp(walk, ip),
            (None, protocol::UDP) => self.udp(walk, ip),
            _ => self.ip_rarely(walk, ip),
        }
    }

    #[inline(always)]
    fn udp(&mut self, walk: Walk<'_>, ip: Ip) -> Decoded {
        match transport::ports(walk.bytes, ip.at).and_then(tunnel::of_ports) {
            None => transport::udp(walk, ip),
            Some(kind) => self.udp_tunnel(walk, ip, kind),
        }
    }

    /// A packet with extension headers, a fragment, or neither TCP nor UDP.
    #[inline(never)]
    fn ip_rarely(&mut self, walk: Walk<'_>, mut ip: Ip) -> Decoded {
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
            protocol::TCP => transport::tcp(walk, ip),
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
        self.reached_ip = false;
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
        match self.open(walk, &opening, ip.at) {
            // What cannot be read as what it claims to be is the tunnel's own traffic. A mirrored ARP frame is not.
            Decoded::Skip(SkipReason::Malformed | SkipReason::CutShort) if !self.reached_ip => outer,
            decoded => decoded,
        }
    }

    #[inline(never)]
    fn udp_tunnel(&mut self, walk: Walk<'_>, ip: Ip, kind: TunnelKind) -> Decoded {
        let decoded = transport::udp(walk, ip);
        let Decoded::Packet(outer) = &decoded else {
            return decoded;
        };
        let (at, len) = (outer.payload_at as usize, outer.payload_len as usize);
        let mut inner = walk;
        inner.narrow(at + len);
        let Some(opening) = tunnel::open_udp(kind, inner.from(at), len) else {
            return decoded;
        };
        match self.open(inner, &opening, at) {
            // A port proves nothing: unless an IP header was found inside, the datagram is what it says outside.
            Decoded::Skip(reason) if reason != SkipReason::TooDeep && !self.reached_ip => decoded,
            inside => inside,
        }
    }
}
