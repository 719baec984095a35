//! What decoding gives: flat values that can cross a channel, no borrowed bytes.

use crate::model::addr::Addr;
use crate::model::addr::FlowKey;
use crate::model::addr::Side;
use crate::model::ids::FrameId;
use crate::model::time::Timestamp;
use crate::model::transport::Transport;

/// What became of a frame. Never an error, never an allocation.
#[derive(Clone, Copy, Debug)]
pub enum Decoded {
    /// It belongs to a flow.
    Packet(Packet),
    /// It does not; the counter of the reason goes up.
    Skip(SkipReason),
}

impl From<Result<Packet, SkipReason>> for Decoded {
    #[inline]
    fn from(result: Result<Packet, SkipReason>) -> Self {
        match result {
            Ok(packet) => Self::Packet(packet),
            Err(reason) => Self::Skip(reason),
        }
    }
}

/// A packet of a flow: the innermost IP layer's, where tunnels were opened.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    /// Its frame.
    pub frame: FrameId,
    /// Its time.
    pub ts: Timestamp,
    /// The flow. For an ICMP error, the flow that it *quotes*.
    pub key: FlowKey,
    /// The end that sent it. For an ICMP error, the end that sent the quoted packet.
    pub from: Side,
    /// Time to live or hop limit of the innermost IP header.
    pub ttl: u8,
    /// IPv4 identification; 0 for IPv6.
    pub ip_id: u16,
    /// Length of the IP packet by its own header, header included, bytes.
    pub ip_len: u32,
    /// Length of the transport payload by the headers (not as captured), bytes.
    pub payload_len: u32,
    /// Where the captured payload begins, in bytes from the start of the frame's captured bytes.
    pub payload_at: u32,
    /// How many bytes of the payload were captured; less than `payload_len` if the snaplen cut it.
    pub payload_captured: u32,
    /// The first captured payload byte; 0 if there is none.
    pub lead: u8,
    /// What it is above IP.
    pub layer: Layer,
    /// The link layer says it went to all or to many (Ethernet group bit, SLL packet type).
    pub link_group: bool,
    /// How many tunnels were opened to reach it.
    pub tunnels: u8,
}

impl Packet {
    /// What a copy of it has too.
    #[inline]
    pub fn words(&self) -> Words {
        let (numbers, rest) = match self.layer {
            Layer::Tcp(Tcp { seq, ack, flags, window, checksum }) => (
                u64::from(seq) << 32 | u64::from(ack),
                u64::from(flags) << 48 | u64::from(window) << 32 | u64::from(checksum) << 16,
            ),
            Layer::Udp { checksum } => (u64::from(checksum) << 32, 0),
            Layer::IcmpError(error) => {
                (2 << 40, u64::from(error.kind) << 8 | u64::from(error.code) | error.sender.halves()[1] << 16)
            }
            Layer::EchoRequest => (3 << 40, u64::from(self.ip_id)),
            Layer::EchoReply => (4 << 40, u64::from(self.ip_id)),
            Layer::Fragment => (5 << 40, self.payload_at.into()),
            Layer::Other => (6 << 40, u64::from(self.ip_id)),
        };
        // Where nothing else tells packets apart, an IP-ID does not for long: some systems give all answers the same.
        let alone = matches!(self.layer, Layer::EchoRequest | Layer::EchoReply | Layer::Other);
        let ip_id = if alone { 0 } else { self.ip_id };
        let lengths = u64::from(self.ip_len) << 17 | u64::from(ip_id) << 1 | self.from.index() as u64;
        Words { numbers, rest, lengths }
    }

    /// A place for a packet that is not there yet.
    pub const NONE: Self = {
        let nobody = Addr::UNSPECIFIED;
        Self {
            frame: FrameId::NONE,
            ts: Timestamp(0),
            key: FlowKey { low: nobody, high: nobody, low_port: 0, high_port: 0, transport: Transport::Tcp },
            from: Side::Low,
            ttl: 0,
            ip_id: 0,
            ip_len: 0,
            payload_len: 0,
            payload_at: 0,
            payload_captured: 0,
            lead: 0,
            layer: Layer::Other,
            link_group: false,
            tunnels: 0,
        }
    };
}

/// What the headers of a packet say, asked for one by one: whoever needs few of them does not have all made ready.
pub trait Headers {
    /// See [`Packet::frame`].
    fn frame(&self) -> FrameId;
    /// See [`Packet::ts`].
    fn ts(&self) -> Timestamp;
    /// See [`Packet::key`].
    fn key(&self) -> FlowKey;
    /// See [`FlowKey::v4_words`].
    fn v4_words(&self) -> Option<[u64; 2]>;
    /// See [`Packet::from`].
    fn from(&self) -> Side;
    /// See [`Packet::ttl`].
    fn ttl(&self) -> u8;
    /// See [`Packet::ip_len`].
    fn ip_len(&self) -> u32;
    /// See [`Packet::payload_len`].
    fn payload_len(&self) -> u32;
    /// Whether any payload was captured.
    fn has_payload(&self) -> bool;
    /// See [`Packet::lead`].
    fn lead(&self) -> u8;
    /// See [`Packet::link_group`].
    fn link_group(&self) -> bool;
    /// How it is counted.
    fn counts_as(&self) -> CountsAs;
    /// See [`Tcp::seq`]; 0 if it is no TCP.
    fn seq(&self) -> u32;
    /// See [`Tcp::ack`]; 0 if it is no TCP.
    fn ack(&self) -> u32;
    /// See [`Tcp::flags`]; 0 if it is no TCP.
    fn flags(&self) -> u8;
}

/// How a packet is counted into a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountsAs {
    /// As a segment of TCP.
    Segment,
    /// As one of many without numbers.
    Datagram,
    /// As a part of one, or as an error about one.
    Other,
}

impl Headers for Packet {
    fn frame(&self) -> FrameId {
        self.frame
    }

    fn ts(&self) -> Timestamp {
        self.ts
    }

    fn key(&self) -> FlowKey {
        self.key
    }

    fn v4_words(&self) -> Option<[u64; 2]> {
        self.key.v4_words()
    }

    fn from(&self) -> Side {
        self.from
    }

    fn ttl(&self) -> u8 {
        self.ttl
    }

    fn ip_len(&self) -> u32 {
        self.ip_len
    }

    fn payload_len(&self) -> u32 {
        self.payload_len
    }

    fn has_payload(&self) -> bool {
        self.payload_captured > 0
    }

    fn lead(&self) -> u8 {
        self.lead
    }

    fn link_group(&self) -> bool {
        self.link_group
    }

    fn counts_as(&self) -> CountsAs {
        match self.layer {
            Layer::Tcp(_) => CountsAs::Segment,
            Layer::Fragment | Layer::IcmpError(_) => CountsAs::Other,
            Layer::Udp { .. } | Layer::EchoRequest | Layer::EchoReply | Layer::Other => CountsAs::Datagram,
        }
    }

    fn seq(&self) -> u32 {
        if let Layer::Tcp(tcp) = self.layer { tcp.seq } else { 0 }
    }

    fn ack(&self) -> u32 {
        if let Layer::Tcp(tcp) = self.layer { tcp.ack } else { 0 }
    }

    fn flags(&self) -> u8 {
        if let Layer::Tcp(tcp) = self.layer { tcp.flags } else { 0 }
    }
}

/// What a packet shares with its copies, its key apart: not the MAC addresses, VLAN or TTL.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Words {
    /// Of TCP the sequence number above that of the acknowledgement, 0 without ACK; of UDP the checksum in the place of
    /// the lower half of the former.
    pub numbers: u64,
    /// Of TCP flags, window and checksum, from bit 48, 32 and 16 on.
    pub rest: u64,
    /// IP length above the IP-ID, above 1 if the high end sent it.
    pub lengths: u64,
}

/// The part of a packet above IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// A TCP segment.
    Tcp(Tcp),
    /// A UDP datagram, with its checksum field.
    Udp {
        /// The checksum as sent, not verified.
        checksum: u16,
    },
    /// ICMP or `ICMPv6` echo request. Both ports of the key are the identifier.
    EchoRequest,
    /// ICMP or `ICMPv6` echo reply.
    EchoReply,
    /// An ICMP error about the flow in the key.
    IcmpError(IcmpError),
    /// A later fragment of a datagram whose first fragment gave the ports.
    Fragment,
    /// A packet of a transport without ports that is followed (GRE, ESP, AH, SCTP with ports).
    Other,
}

/// The TCP header fields that flows need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcp {
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number; 0 unless ACK is set.
    pub ack: u32,
    /// Flag bits as on the wire: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128.
    pub flags: u8,
    /// Window as sent, unscaled.
    pub window: u16,
    /// Checksum as sent, not verified.
    pub checksum: u16,
}

/// An ICMP error message and what it quotes (RFC 792, RFC 4443).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError {
    /// Who sent the error.
    pub sender: Addr,
    /// Whether it is `ICMPv6`.
    pub v6: bool,
    /// ICMP type.
    pub kind: u8,
    /// ICMP code.
    pub code: u8,
    /// Sequence number of the quoted TCP segment.
    pub quoted_seq: Option<u32>,
}

/// Why a frame gave no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum SkipReason {
    /// No IP inside (spanning tree, LLDP, IPX …).
    NotIp,
    /// ARP or RARP.
    Arp,
    /// A link type that this program cannot read.
    LinkType,
    /// The captured bytes end before the ports.
    CutShort,
    /// A header contradicts itself.
    Malformed,
    /// An IP protocol that makes no flow.
    IpProtocol,
    /// ICMP that is neither echo nor an error with a usable quote.
    Icmp,
    /// A later fragment whose first was not seen.
    Fragment,
    /// More tunnels or extension headers than the cap.
    TooDeep,
    /// A link layer frame without payload or with an encrypted one (802.11 management, control, protected).
    LinkControl,
}

impl SkipReason {
    /// All reasons, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::NotIp,
        Self::Arp,
        Self::LinkType,
        Self::CutShort,
        Self::Malformed,
        Self::IpProtocol,
        Self::Icmp,
        Self::Fragment,
        Self::TooDeep,
        Self::LinkControl,
    ];

    /// The name used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotIp => "not_ip",
            Self::Arp => "arp",
            Self::LinkType => "link_type",
            Self::CutShort => "cut_short",
            Self::Malformed => "malformed",
            Self::IpProtocol => "ip_protocol",
            Self::Icmp => "icmp",
            Self::Fragment => "fragment",
            Self::TooDeep => "too_deep",
            Self::LinkControl => "link_control",
        }
    }
}
