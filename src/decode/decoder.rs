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
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A decoder that has seen nothing.
    pub fn new() -> Self {
        Self { first_fragments: FirstFragments::new(), counts: DecodeCounts::default() }
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
        let result =
            link::strip(frame.link, bytes).and_then(|place| self.packet_at(&mut Walk::new(frame, bytes), place));
        let decoded = match result {
            Ok(packet) => Decoded::Packet(packet),
            Err(reason) => Decoded::Skip(reason),
        };
        self.counts.note(&decoded);
        decoded
    }

    /// The packet whose link header, or what is left of it, is at `place`.
    #[inline]
    fn packet_at(&mut self, walk: &mut Walk<'_>, mut place: Place) -> Result<Packet, SkipReason> {
        let ip = loop {
            match place.inside {
                Inside::EtherType(ethernet::IPV4) => break Ip::v4(walk.bytes, place.at, walk.end)?,
                Inside::EtherType(ethernet::IPV6) => break Ip::v6(walk.bytes, place.at, walk.end)?,
                _ => place = next_place(walk, place)?,
            }
        };
        walk.group = place.group;
        walk.ip_layers += 1;
        walk.narrow(ip.end);
        match ip.fragment {
            None => self.above(walk, &ip),
            Some(piece) => self.fragment(walk, &ip, piece),
        }
    }

    /// The packet above a whole IP header.
    #[inline]
    fn above(&mut self, walk: &Walk<'_>, ip: &Ip) -> Result<Packet, SkipReason> {
        match ip.protocol {
            protocol::TCP => transport::tcp(walk, ip),
            protocol::UDP => {
                let (packet, ports) = transport::udp(walk, ip)?;
                match tunnel::of_ports(ports) {
                    None => Ok(packet),
                    Some(kind) => self.udp_tunnel(walk, packet, kind),
                }
            }
            _ => self.above_rarely(walk, ip),
        }
    }

    #[inline(never)]
    fn above_rarely(&mut self, walk: &Walk<'_>, ip: &Ip) -> Result<Packet, SkipReason> {
        // These tunnels have no header worth the name, so no flow of their own to fall back on.
        let mut open = |kind, inside, at| self.open(&mut { *walk }, &Opening { kind, inside, at }, ip.at);
        match ip.protocol {
            protocol::ICMP if !ip.v6 => icmp::icmp(walk, ip),
            protocol::ICMPV6 if ip.v6 => icmp::icmp(walk, ip),
            protocol::SCTP => transport::sctp(walk, ip),
            protocol::ESP => Ok(transport::other(walk, ip, Transport::Esp, ip.at)),
            protocol::AH => Ok(transport::other(walk, ip, Transport::Ah, ip.at)),
            protocol::GRE => self.gre(walk, ip),
            protocol::IPV4 => open(TunnelKind::IpInIp, Inside::EtherType(ethernet::IPV4), 0),
            protocol::IPV6 => open(TunnelKind::IpInIp, Inside::EtherType(ethernet::IPV6), 0),
            protocol::ETHER_IP => open(TunnelKind::EtherIp, Inside::Ethernet, 2),
            protocol::MPLS => open(TunnelKind::MplsInIp, Inside::EtherType(ethernet::MPLS), 0),
            _ => match ip.ah_at {
                Some(at) => Ok(transport::other(walk, ip, Transport::Ah, at)),
                None => Err(SkipReason::IpProtocol),
            },
        }
    }

    /// A piece of a datagram: the first gives the flow, the others follow it.
    #[cold]
    fn fragment(&mut self, walk: &Walk<'_>, ip: &Ip, piece: Piece) -> Result<Packet, SkipReason> {
        self.counts.fragments += 1;
        let datagram = Datagram { src: ip.src, dst: ip.dst, id: piece.id, protocol: piece.protocol };
        if piece.first {
            let packet = self.above(walk, ip)?;
            // An error is filed under a flow that this datagram is no part of.
            if !matches!(packet.layer, Layer::IcmpError(_)) {
                let evicted = self.first_fragments.insert(datagram, (packet.key, packet.from), walk.ts());
                self.counts.fragments_evicted += u64::from(evicted);
            }
            return Ok(packet);
        }
        let Some(flow) = self.first_fragments.flow_of(&datagram, walk.ts()) else {
            self.counts.fragments_unmatched += 1;
            return Err(SkipReason::Fragment);
        };
        Ok(walk.packet(ip, flow, (ip.at, ip.rest(ip.at)), Layer::Fragment))
    }

    /// The packet inside a tunnel whose header begins at `at`. `inner` is the walk so far, and shows how far it went.
    fn open(&mut self, inner: &mut Walk<'_>, opening: &Opening, at: usize) -> Result<Packet, SkipReason> {
        if inner.tunnels >= TUNNELS_MAX {
            return Err(SkipReason::TooDeep);
        }
        inner.tunnels += 1;
        let place = Place { inside: opening.inside, at: at + opening.at, group: inner.group };
        let packet = self.packet_at(inner, place)?;
        self.counts.note_tunnel(opening.kind);
        Ok(packet)
    }

    fn gre(&mut self, walk: &Walk<'_>, ip: &Ip) -> Result<Packet, SkipReason> {
        let outer = transport::other(walk, ip, Transport::Gre, ip.at);
        let Some(opening) = tunnel::gre::open(walk.from(ip.at)) else {
            return Ok(outer);
        };
        let mut inner = *walk;
        match self.open(&mut inner, &opening, ip.at) {
            // What cannot be read as what it claims to be is the tunnel's own traffic. A mirrored ARP frame is not.
            Err(SkipReason::Malformed | SkipReason::CutShort) if inner.ip_layers == walk.ip_layers => Ok(outer),
            result => result,
        }
    }

    #[cold]
    fn udp_tunnel(&mut self, walk: &Walk<'_>, outer: Packet, kind: TunnelKind) -> Result<Packet, SkipReason> {
        let at = outer.payload_at as usize;
        let len = outer.payload_len as usize;
        let mut inner = *walk;
        inner.narrow(at + len);
        let Some(opening) = tunnel::open_udp(kind, inner.from(at), len) else {
            return Ok(outer);
        };
        match self.open(&mut inner, &opening, at) {
            Err(SkipReason::TooDeep) => Err(SkipReason::TooDeep),
            // A port proves nothing: unless an IP header was found inside, the datagram is what it says outside.
            Err(_) if inner.ip_layers == walk.ip_layers => Ok(outer),
            result => result,
        }
    }
}

/// One link header further.
#[cold]
fn next_place(walk: &mut Walk<'_>, place: Place) -> Result<Place, SkipReason> {
    if walk.link_headers >= LINK_HEADERS_MAX {
        return Err(SkipReason::TooDeep);
    }
    walk.link_headers += 1;
    link::step(walk.bytes, place)
}
