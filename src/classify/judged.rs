//! What judging takes and gives: the facts of a capture, a flow with everything that is to be said of it, a scan or
//! flood, a host with its roles.

use std::rc::Rc;
use std::time::Duration;

use crate::catalogue::role::RoleId;
use crate::catalogue::service::ServiceId;
use crate::classify::hosts::HostId;
use crate::classify::verdict::Confidence;
use crate::classify::verdict::DirBasis;
use crate::classify::verdict::FindingKind;
use crate::classify::verdict::Frames;
use crate::classify::verdict::Outcome;
use crate::classify::verdict::Standing;
use crate::classify::verdict::Verdict;
use crate::flow::fold::Fold;
use crate::flow::fold::FoldKey;
use crate::flow::icmp::IcmpSeen;
use crate::flow::record::Flow;
use crate::flow::record::Totals;
use crate::learn::grade::Guess;
use crate::learn::names::AppError;
use crate::learn::pipe_flow::PipeFlow;
use crate::model::addr::Addr;
use crate::model::addr::FiveTuple;
use crate::model::addr::Side;
use crate::model::app::AppProto;
use crate::model::ids::FrameId;
use crate::model::time::Timestamp;
use crate::model::transport::Transport;

/// What a filter, as it seems, left out of a capture, so that silence in it proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LeftOut {
    /// All TCP but SYNs.
    AllButSyns,
    /// Every answer to a datagram, and TCP.
    Answers,
}

/// What the capture as a whole says of itself.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct CaptureFacts {
    /// Time of the first frame.
    pub first: Timestamp,
    /// Time of the last frame, or until when somebody watched after it.
    pub last: Timestamp,
    /// Time of the last frame, where `last` is later.
    pub heard: Option<Timestamp>,
    /// The first frame of the run: a flow that begins with it may have begun before the capture did (T5).
    pub first_frame: FrameId,
    /// Share of packets that the capture is known to have lost, 0.0 to 1.0.
    pub lost_share: f64,
    /// Long times without any frame, in order: whether anybody watched is not known. From the last frame before to the
    /// first frame after.
    pub gaps: Vec<(Timestamp, Timestamp)>,
    /// Where the time of an input steps back, by input: until when it was watched before, in order.
    pub steps: Vec<(u16, Timestamp)>,
    /// Time of the last frame of each input, by its number.
    pub ends: Vec<Timestamp>,
    /// The capture goes on: what is not final yet is pending.
    pub running: bool,
}

impl CaptureFacts {
    /// Whether frames, of whomever, came at least so long after a time.
    pub(crate) fn goes_on_after(&self, at: Timestamp, so_long: Duration) -> bool {
        self.heard.is_none_or(|heard| heard.since(at) >= so_long)
    }
}

/// How to judge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Roles may be inferred from what hosts do.
    pub infer: bool,
    /// What no row names is unexpected even where no end has a role.
    pub strict: bool,
}

/// One flow with everything that is to be said of it.
#[derive(Clone, Debug)]
pub struct Judged<'a> {
    /// The flow.
    pub flow: Flow,
    /// The ICMP error it met.
    pub icmp: Option<&'a IcmpSeen>,
    /// Which end is the client.
    pub orig: Side,
    /// How that is known.
    pub dir_basis: DirBasis,
    /// What the wire showed.
    pub verdict: Verdict,
    /// What the documents say.
    pub standing: Standing,
    /// The service its port means.
    pub service: Option<ServiceId>,
    /// What a person should look at, if anything.
    pub finding: Option<FindingKind>,
    /// The scan or flood it is part of: an index into [`Judge::collapses`](crate::classify::judge::Judge::collapses). Such a flow has no finding of its own.
    pub collapse: Option<usize>,
    /// Things worth knowing that change no verdict: stable words such as `mid_stream` or `udp_fallback`.
    pub notes: Vec<&'static str>,
    /// What applications told of errors on it, in order of protocol and code. The network did its part.
    pub errors: Vec<AppError>,
    /// The standing rests on roles that were inferred, not given.
    pub roles_inferred: bool,
    /// The protocol that its payload is, certain or likely.
    pub app: Option<AppProto>,
    /// For which RPC interface it is.
    pub rpc: Option<Guess>,
    /// What it showed in named pipes. It changes no verdict: rows speak of ports.
    pub pipes: Option<&'a PipeFlow>,
}

impl Judged<'_> {
    /// Client and server.
    pub fn ends(&self) -> FiveTuple {
        self.flow.five_tuple(self.orig)
    }
}

/// One flow and what came of it: as much as sums need.
#[derive(Clone, Copy, Debug)]
pub struct Ruled<'a> {
    /// Its place in the order they began.
    pub number: usize,
    /// What is added up of it.
    pub sums: Sums,
    /// The client.
    pub client: HostId,
    /// The server.
    pub server: HostId,
    /// What became of it.
    pub outcome: Outcome,
    /// What the documents say.
    pub standing: &'a Standing,
    /// See [`Judged::service`].
    pub service: Option<ServiceId>,
    /// See [`Judged::finding`].
    pub finding: Option<FindingKind>,
    /// See [`Judged::collapse`].
    pub collapse: Option<usize>,
}

/// Whose sums a flow belongs to: what can be told without a look at the flow.
#[derive(Clone, Copy, Debug)]
pub struct Placed {
    /// The client.
    pub client: HostId,
    /// The server.
    pub server: HostId,
    /// The transport.
    pub transport: Transport,
    /// The server's port.
    pub port: u16,
    /// See [`Judged::service`].
    pub service: Option<ServiceId>,
    /// See [`Judged::collapse`].
    pub collapse: Option<usize>,
}

/// What the sums of host pairs need of a flow. Arrays have the client's place, then the server's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sums {
    /// The transport.
    pub transport: Transport,
    /// The server's port.
    pub port: u16,
    /// See [`Flow::handshake_us`].
    pub handshake_us: u32,
    /// Packets sent.
    pub packets: [u64; 2],
    /// Payload sent, bytes.
    pub payload: [u64; 2],
    /// When the first packet was seen.
    pub first: Timestamp,
    /// When the last packet was seen.
    pub last: Timestamp,
}

impl Sums {
    /// Of a flow whose client is at `orig`, with the server's port.
    #[inline]
    pub fn of(totals: &Totals, orig: Side, transport: Transport, port: u16) -> Self {
        let ways = [orig.index(), orig.other().index()];
        Self {
            transport,
            port,
            handshake_us: totals.handshake_us,
            packets: ways.map(|side| totals.packets[side]),
            payload: ways.map(|side| totals.payload[side]),
            first: totals.first,
            last: totals.last,
        }
    }
}

/// Many failed attempts that are one thing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Collapse {
    /// [`FindingKind::Scan`] or [`FindingKind::Flood`].
    pub kind: FindingKind,
    /// The only source, or `None` for many.
    pub client: Option<Addr>,
    /// The only target, or `None` for many.
    pub server: Option<Addr>,
    /// The transport.
    pub transport: Transport,
    /// The only port, or `None` for many.
    pub port: Option<u16>,
    /// How most attempts ended.
    pub outcome: Outcome,
    /// How sure.
    pub confidence: Confidence,
    /// Flows in it.
    pub flows: u64,
    /// Of these, flows given up for lack of memory: sources, targets and ports are those of the others.
    pub folded: u64,
    /// SYNs or requests in it.
    pub attempts: u64,
    /// Distinct sources.
    pub sources: u64,
    /// Distinct targets.
    pub targets: u64,
    /// Distinct ports.
    pub ports: u64,
    /// The first attempt.
    pub first: Timestamp,
    /// The last attempt.
    pub last: Timestamp,
    /// Some frames of it.
    pub frames: Frames,
}

impl Collapse {
    /// Whether the totals of evicted flows are part of this: nothing of them was answered, and they went the same way.
    pub fn takes(&self, key: &FoldKey, fold: &Fold) -> bool {
        let same_client = self.client.is_none() || self.client == key.client;
        let same_server = key.server.is_some_and(|(addr, port)| {
            self.server.is_none_or(|server| server == addr) && self.port.is_none_or(|own| own == port)
        });
        fold.answered == 0 && self.transport == key.transport && same_client && same_server
    }
}

/// A role that a host has, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostRole {
    /// The role.
    pub role: RoleId,
    /// Whether the site file says so; else it is inferred.
    pub by_site: bool,
    /// In words: "answered kerberos, ldap and smb".
    pub because: Rc<str>,
    /// The frames that show it.
    pub frames: Vec<FrameId>,
}

/// A host of which something is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Host {
    /// Its address.
    pub addr: Addr,
    /// Its roles, in the order of the catalogue.
    pub roles: Vec<HostRole>,
}

/// SYNs or requests of the client.
pub fn tries(flow: &Flow, orig: Side) -> u64 {
    match flow.key.transport {
        Transport::Tcp => u64::from(flow.syns[orig.index()].max(1)),
        _ => flow.packets[orig.index()].max(1),
    }
}
