//! The words of the judgement. Two axes, never one: what the wire showed, and what the documents say of it.

use std::fmt;
use std::rc::Rc;

use crate::catalogue::policy::RowId;
use crate::model::addr::Addr;
use crate::model::app::AppProto;
use crate::model::ids::FrameId;

/// What the wire shows of a flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It worked.
    Open,
    /// Only one direction was captured, and it shows that the other lives.
    OneWay,
    /// No answer was seen at this capture point. Not yet "a filter": see the causes in the report.
    Dropped,
    /// The host itself said no.
    Refused,
    /// Somebody on the way said no.
    Rejected,
    /// The server answered, the answer never arrived.
    ReplyLost,
    /// The connection was cut at its first data.
    Reset,
    /// It was established, then the server was not heard again.
    Stalled,
    /// A request without reply, where the protocol demands one.
    Unanswered,
    /// Too early to say (live captures).
    Pending,
    /// Cannot be said from this capture.
    Unknown,
}

impl Outcome {
    /// All of them, in the order of their names.
    pub const ALL: [Self; 11] = [
        Self::Dropped,
        Self::OneWay,
        Self::Open,
        Self::Pending,
        Self::Refused,
        Self::Rejected,
        Self::ReplyLost,
        Self::Reset,
        Self::Stalled,
        Self::Unanswered,
        Self::Unknown,
    ];

    /// The name used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::OneWay => "one_way",
            Self::Dropped => "dropped",
            Self::Refused => "refused",
            Self::Rejected => "rejected",
            Self::ReplyLost => "reply_lost",
            Self::Reset => "reset",
            Self::Stalled => "stalled",
            Self::Unanswered => "unanswered",
            Self::Pending => "pending",
            Self::Unknown => "unknown",
        }
    }

    /// Whether this is the name of an outcome that [`Outcome::is_failure`].
    pub fn is_failure_name(name: &str) -> bool {
        Self::ALL.into_iter().any(|outcome| outcome.is_failure() && outcome.name() == name)
    }

    /// Whether an expected flow that ends so is blocked.
    pub fn is_failure(self) -> bool {
        matches!(
            self,
            Self::Dropped | Self::Refused | Self::Rejected | Self::ReplyLost | Self::Stalled | Self::Unanswered
        )
    }
}

/// How sure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Hash)]
pub enum Confidence {
    /// One explanation among several.
    Possible,
    /// The best explanation.
    Probable,
    /// The frames leave no other.
    Confirmed,
}

impl Confidence {
    /// The name used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Possible => "possible",
            Self::Probable => "probable",
            Self::Confirmed => "confirmed",
        }
    }

    /// One step less sure.
    #[must_use]
    pub fn lower(self) -> Self {
        match self {
            Self::Confirmed => Self::Probable,
            Self::Probable | Self::Possible => Self::Possible,
        }
    }
}

/// Who made an attempt fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Hash)]
pub enum By {
    /// The server's own stack.
    Host,
    /// Something between the capture point and the server.
    Middlebox,
    /// Nobody can tell from here.
    Unknown,
    /// The sender of the ICMP error.
    Address(Addr),
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::Middlebox => f.write_str("middlebox"),
            Self::Unknown => f.write_str("unknown"),
            Self::Address(addr) => addr.fmt(f),
        }
    }
}

/// Why the outcome is what it is: the stable codes of SEMANTICS section 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// T1, T2: SYNs without answer.
    SynUnanswered,
    /// T2: and nothing at all from that host in the whole capture.
    HostSilent,
    /// T3: one SYN without answer.
    SynSingle,
    /// The client took its SYN back before an answer was due.
    ClientGaveUp,
    /// T4: the capture ends too early.
    EdgeEnd,
    /// T5: the capture may begin inside a series.
    EdgeStart,
    /// T6: RST with the server's own time to live.
    RstHost,
    /// T7: RST that is not the server's.
    RstMiddlebox,
    /// T8: RST without anything to compare it with.
    RstUnknownOrigin,
    /// T9, U6, U7: ICMP error of this type and code.
    Icmp {
        /// ICMP type.
        kind: u8,
        /// ICMP code.
        code: u8,
    },
    /// U6: the target's own port unreachable.
    IcmpClosed,
    /// T11: an ICMP error for the same port shortly before; routers send few.
    IcmpInherited,
    /// T12.
    Handshake,
    /// T13: the client repeats its SYN although the server answered.
    SynAckUnheard,
    /// T14: the server repeats its answer, the client is silent.
    SynAckUnacked,
    /// The server answered once and nothing more was seen.
    HalfOpen,
    /// T15: the client hung up on the answer.
    HalfOpenProbe,
    /// T16: client acknowledges what was not captured.
    OneWayC2s,
    /// T17, U9: only the server was captured.
    OneWayS2c,
    /// T18.
    MidStream,
    /// T19.
    MidOneWay,
    /// T20: a lone RST or FIN.
    Stray,
    /// T21: nothing more from the server although the client repeats its data.
    NoAckAfterSetup,
    /// T21b: the server repeats its data, and the client acknowledges none of it.
    AnswerUnacked,
    /// T22: RST at the first data.
    RstAfterData,
    /// T23: opened and closed without payload.
    ConnectOnly,
    /// T24: RST at the end of a working connection.
    LateRst,
    /// T25: refused first, then accepted.
    Retried,
    /// One-way gate: the way back is not captured.
    ReverseInvisible,
    /// One-way gate: but the client's own repeats prove that it heard nothing.
    SynRepeatedOneWay,
    /// The two hosts protect what they say by `IPsec`: what stayed without answer in clear may go on there.
    InsideIpsec,
    /// A reply whose numbers do not fit.
    BadReply,
    /// Sent to find the routers on the way: it is to expire, or to reach a port where nobody is.
    Traceroute,
    /// U1.
    UdpReply,
    /// U2.
    Related,
    /// U3.
    UdpUnanswered,
    /// U3 with one try only.
    UdpSingle,
    /// U3, but the same server answers this client's other requests.
    AnsweredOtherwise,
    /// U4: works over TCP.
    UdpFallback,
    /// U5, multicast, broadcast: no answer is due.
    OneWayProtocol,
    /// No reply, and nothing says that one is due.
    NoReplyKnown,
    /// I1: echo requests without reply.
    EchoUnanswered,
    /// Echo or other traffic both ways.
    BothWays,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = match self {
            Self::Icmp { kind, code } => return write!(f, "icmp_{kind}_{code}"),
            Self::SynUnanswered => "syn_unanswered",
            Self::HostSilent => "host_silent",
            Self::SynSingle => "syn_single",
            Self::ClientGaveUp => "client_gave_up",
            Self::EdgeEnd => "edge_end",
            Self::EdgeStart => "edge_start",
            Self::RstHost => "rst_host",
            Self::RstMiddlebox => "rst_middlebox",
            Self::RstUnknownOrigin => "rst_unknown_origin",
            Self::IcmpClosed => "icmp_closed",
            Self::IcmpInherited => "icmp_inherited",
            Self::Handshake => "handshake",
            Self::SynAckUnheard => "synack_unheard",
            Self::SynAckUnacked => "synack_unacked",
            Self::HalfOpen => "half_open",
            Self::HalfOpenProbe => "half_open_probe",
            Self::OneWayC2s => "oneway_c2s",
            Self::OneWayS2c => "oneway_s2c",
            Self::MidStream => "mid_stream",
            Self::MidOneWay => "mid_oneway",
            Self::Stray => "stray",
            Self::NoAckAfterSetup => "no_ack_after_setup",
            Self::AnswerUnacked => "answer_unacked",
            Self::RstAfterData => "rst_after_data",
            Self::ConnectOnly => "connect_only",
            Self::LateRst => "late_rst",
            Self::Retried => "retried",
            Self::ReverseInvisible => "reverse_invisible",
            Self::SynRepeatedOneWay => "syn_repeated_oneway",
            Self::InsideIpsec => "inside_ipsec",
            Self::BadReply => "bad_reply",
            Self::UdpReply => "udp_reply",
            Self::Related => "related",
            Self::UdpUnanswered => "udp_unanswered",
            Self::UdpSingle => "udp_single",
            Self::AnsweredOtherwise => "answered_otherwise",
            Self::UdpFallback => "udp_fallback",
            Self::OneWayProtocol => "one_way_protocol",
            Self::Traceroute => "traceroute",
            Self::NoReplyKnown => "no_reply_known",
            Self::EchoUnanswered => "echo_unanswered",
            Self::BothWays => "both_ways",
        };
        f.write_str(code)
    }
}

/// Frames that show it, up to six, in the order of the story.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Frames {
    /// As told; places without a frame and repetitions are passed over where they are read.
    told: [FrameId; 6],
    len: u8,
}

impl Frames {
    /// The first six of these frames, without gaps and repetitions.
    #[inline]
    pub fn of(frames: &[FrameId]) -> Self {
        let mut kept = Self::default();
        for (place, frame) in kept.told.iter_mut().zip(frames) {
            *place = *frame;
            kept.len += 1;
        }
        kept
    }

    /// Adds a frame if there is room.
    pub fn add(&mut self, frame: FrameId) {
        if let Some(place) = self.told.get_mut(usize::from(self.len)) {
            *place = frame;
            self.len += 1;
        }
    }

    /// The frames.
    pub fn iter(&self) -> impl Iterator<Item = FrameId> + '_ {
        let told = self.told.get(..usize::from(self.len)).unwrap_or_default();
        let new =
            |(at, frame): &(usize, &FrameId)| frame.is_some() && !told.iter().take(*at).any(|before| before == *frame);
        told.iter().enumerate().filter(new).map(|(_, frame)| *frame)
    }
}

/// What the wire showed of one flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// What became of it.
    pub outcome: Outcome,
    /// How sure.
    pub confidence: Confidence,
    /// By which rule.
    pub reason: Reason,
    /// Who made it fail; `None` where nothing failed.
    pub by: Option<By>,
    /// The frames that show it.
    pub frames: Frames,
}

/// What the documents say of a flow. Flows of which they say the same share the rows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Rows name it; in order.
    Expected(Rc<[RowId]>),
    /// Rows allow the RPC interface that was learned for it.
    ExpectedRpc(Rc<[RowId]>),
    /// Nothing but a wide range covers it.
    ExpectedRange(Rc<[RowId]>),
    /// No row allows it.
    Unexpected(Why),
    /// The catalogue does not know it.
    Uncatalogued,
    /// Not judged.
    NotJudged(WhyNot),
}

impl Standing {
    /// The name used in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Expected(_) => "expected",
            Self::ExpectedRpc(_) => "expected_rpc",
            Self::ExpectedRange(_) => "expected_range",
            Self::Unexpected(_) => "unexpected",
            Self::Uncatalogued => "uncatalogued",
            Self::NotJudged(_) => "not_judged",
        }
    }

    /// The same rows, shared.
    pub fn shared_rows(&self) -> Rc<[RowId]> {
        match self {
            Self::Expected(rows) | Self::ExpectedRange(rows) => Rc::clone(rows),
            _ => [].into(),
        }
    }

    /// The rows that allow it, in order.
    pub fn rows(&self) -> &[RowId] {
        match self {
            Self::Expected(rows) | Self::ExpectedRpc(rows) | Self::ExpectedRange(rows) => rows,
            _ => &[],
        }
    }
}

/// Why a flow is unexpected.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Hash)]
pub enum Why {
    /// No row names the port.
    NoRow,
    /// Rows name the port, for other roles.
    RolePair,
    /// A row allows the other direction.
    Direction,
    /// The payload is not what the port says: this protocol, or certainly none of those it may be.
    ProtocolMismatch(Option<AppProto>),
    /// The RPC interface is meant for hosts of other roles.
    RpcInterface,
    /// In the range of RPC, and certainly another protocol.
    NonRpcInRange(AppProto),
}

impl Why {
    /// The name used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoRow => "no_row",
            Self::RolePair => "role_pair",
            Self::Direction => "direction",
            Self::ProtocolMismatch(_) => "protocol_mismatch",
            Self::RpcInterface => "rpc_interface",
            Self::NonRpcInRange(_) => "non_rpc_in_range",
        }
    }
}

/// Why a flow is not judged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Hash)]
pub enum WhyNot {
    /// One end has no known role.
    RoleUnknown,
    /// Multicast, broadcast, or a protocol without answers.
    OneWayProtocol,
    /// Who began it is not certain enough.
    DirectionUnknown,
    /// The site file accepts it.
    SiteException,
}

impl WhyNot {
    /// The name used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::RoleUnknown => "role_unknown",
            Self::OneWayProtocol => "one_way_protocol",
            Self::DirectionUnknown => "direction_unknown",
            Self::SiteException => "site_exception",
        }
    }
}

/// What a person should look at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Hash)]
pub enum FindingKind {
    /// Expected, and it failed.
    Blocked,
    /// The endpoint mapper or DCOM handed out the port, and the connection to it failed.
    RpcBlocked,
    /// The endpoint mapper itself cannot be reached.
    EpmBlocked,
    /// The endpoint mapper answered that it knows no such interface: a matter of the service, not of the network.
    RpcNotRegistered,
    /// No row allows it, and it works.
    Unexpected,
    /// No row allows it, and it failed.
    Attempt,
    /// It works, and only a wide range allows it.
    RangeOnly,
    /// One source tried many ports or many hosts.
    Scan,
    /// Half-open connections by the hundred.
    Flood,
}

impl FindingKind {
    /// The name used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::RpcBlocked => "rpc_blocked",
            Self::EpmBlocked => "epm_blocked",
            Self::RpcNotRegistered => "rpc_not_registered",
            Self::Unexpected => "unexpected",
            Self::Attempt => "attempt",
            Self::RangeOnly => "range_only",
            Self::Scan => "scan",
            Self::Flood => "flood",
        }
    }
}

/// How it is known which end is the client.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Hash)]
pub enum DirBasis {
    /// It sent the SYN.
    Syn,
    /// The other end sent a SYN-ACK.
    SynAck,
    /// What it said is what a client says, or what the other end said is what a server says.
    Payload,
    /// NTP mode of the payload (RFC 5905 section 7.3).
    NtpMode,
    /// One port, and only one, is in the catalogue.
    CataloguePort,
    /// The other end's port was seen answering other flows.
    LearnedPort,
    /// It spoke first.
    FirstPacket,
    /// The other end has the lower port.
    LowerPort,
}

impl DirBasis {
    /// The name used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Syn => "syn",
            Self::SynAck => "synack",
            Self::Payload => "payload",
            Self::NtpMode => "ntp_mode",
            Self::CataloguePort => "catalogue_port",
            Self::LearnedPort => "learned_port",
            Self::FirstPacket => "first_packet",
            Self::LowerPort => "lower_port",
        }
    }
}
