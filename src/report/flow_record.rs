//! One flow as one record, schema `portolan/flow/1`: Zeek's `conn.log` names where the meaning is Zeek's, then ours.

use serde::Serialize;
use sha1::Digest;
use sha1::Sha1;

use crate::classify::judged::Collapse;
use crate::classify::judged::Judged;
use crate::classify::verdict::FindingKind;
use crate::classify::verdict::Standing;
use crate::flow::state::ConnState;
use crate::learn::grade::Grade;
use crate::learn::grade::Guess;
use crate::learn::names::AppError;
use crate::learn::pipe_flow::PipeFlow;
use crate::learn::rpc_flow::Bound;
use crate::learn::rpc_flow::RpcFlow;
use crate::model::addr::FiveTuple;
use crate::model::app::AppProto;
use crate::model::ids::FrameId;
use crate::report::community_id::community_id;
use crate::report::community_id::octets;
use crate::report::moment::Moment;
use crate::report::names::FrameName;
use crate::report::names::Names;
use crate::report::names::Party;
use crate::report::names::ServiceKey;
use crate::report::sanitise::Shown;

/// A flow record. Fields stand in the order of the schema.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct FlowRecord {
    /// The schema's name.
    pub schema: &'static str,
    /// When it began.
    pub ts: Moment,
    /// Its name: the same for the same flow of the same captures.
    pub uid: String,
    /// The originator.
    #[serde(rename = "id.orig_h")]
    pub orig_h: Party,
    /// Its port; 0 where there is none.
    #[serde(rename = "id.orig_p")]
    pub orig_p: u16,
    /// The responder.
    #[serde(rename = "id.resp_h")]
    pub resp_h: Party,
    /// Its port; 0 where there is none.
    #[serde(rename = "id.resp_p")]
    pub resp_p: u16,
    /// The transport.
    pub proto: &'static str,
    /// The service that its port means.
    pub service: Option<Shown>,
    /// Seconds from the first packet to the last, to the microsecond.
    pub duration: f64,
    /// Payload bytes of the originator.
    pub orig_bytes: u64,
    /// Payload bytes of the responder.
    pub resp_bytes: u64,
    /// Zeek's state.
    pub conn_state: &'static str,
    /// Zeek's history.
    pub history: String,
    /// Packets of the originator.
    pub orig_pkts: u64,
    /// Packets of the responder.
    pub resp_pkts: u64,
    /// Bytes of the originator's IP packets.
    pub orig_ip_bytes: u64,
    /// Bytes of the responder's IP packets.
    pub resp_ip_bytes: u64,
    /// Community ID version 1.
    pub community_id: String,
    /// What the wire showed.
    pub outcome: &'static str,
    /// What the documents say.
    pub standing: &'static str,
    /// How sure the outcome is.
    pub confidence: &'static str,
    /// By which rule.
    pub reason: String,
    /// Who made it fail.
    pub by: Option<String>,
    /// The first row that allows it.
    pub rule_id: Option<Shown>,
    /// Roles of the originator, joined by commas.
    pub src_role: String,
    /// Roles of the responder, joined by commas.
    pub dst_role: String,
    /// The kind of the finding it belongs to.
    pub finding: Option<&'static str>,
    /// For which RPC interface it is; of those in named pipes, the first that was accepted.
    pub rpc: Option<RpcRecord>,
    /// The RPC interfaces that were accepted in its named pipes, in order of pipe and time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pipes: Vec<PipeRecord>,
    /// The protocol that its payload is, certain or likely.
    pub app: Option<&'static str>,
    /// The ICMP error it met.
    pub icmp: Option<IcmpRecord>,
    /// How long the TCP handshake took, microseconds.
    pub handshake_us: Option<u32>,
    /// How it is known who began.
    pub dir_basis: &'static str,
    /// Other things worth knowing.
    pub flags: Vec<&'static str>,
    /// Frames that show the outcome.
    pub frames: Vec<FrameName>,
    /// Why it is unexpected or not judged.
    pub standing_why: Option<&'static str>,
    /// What applications told of errors on it.
    pub app_errors: Vec<ErrorRecord>,
}

/// An error that one end told the other in the words of its protocol.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ErrorRecord {
    /// The protocol.
    pub app: &'static str,
    /// The error's number in it.
    pub code: u16,
    /// The frame that told it first.
    pub frame: FrameName,
}

/// An RPC interface, as one flow knows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct RpcRecord {
    /// Its UUID.
    pub uuid: Option<String>,
    /// Its name.
    pub interface: Option<Shown>,
    /// How sure, `A` to `F`.
    pub grade: char,
}

/// An RPC interface that was accepted in a named pipe.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct PipeRecord {
    /// The pipe's name, in small letters; `None` if it was opened before the capture began.
    pub pipe: Option<Shown>,
    /// The interface's UUID.
    pub uuid: String,
    /// Its name.
    pub interface: Option<Shown>,
    /// The frame that accepted it.
    pub frame: FrameName,
}

impl PipeRecord {
    fn all(pipes: &PipeFlow, names: &Names<'_>) -> Vec<Self> {
        let record = |pipe: &str, bound: &Bound| Self {
            pipe: (!pipe.is_empty()).then(|| Shown::name(pipe)),
            uuid: bound.interface.uuid.to_string(),
            interface: names.interface(bound.interface),
            frame: names.frame(bound.at.frame),
        };
        let of_pipe = |(pipe, flow): (&String, &RpcFlow)| -> Vec<Self> {
            flow.bound.iter().map(|bound| record(pipe, bound)).collect()
        };
        pipes.pipes.iter().flat_map(of_pipe).collect()
    }
}

impl RpcRecord {
    /// Of named pipes: what was accepted first.
    fn of_pipes(pipes: &PipeFlow, names: &Names<'_>) -> Option<Self> {
        let bound = pipes.pipes.values().flat_map(|flow| &flow.bound).min_by_key(|bound| bound.at)?;
        let (uuid, interface) = (bound.interface.uuid.to_string(), names.interface(bound.interface));
        Some(Self { uuid: Some(uuid), interface, grade: Grade::A.letter() })
    }

    fn of(guess: &Guess, names: &Names<'_>) -> Self {
        let first = guess.interfaces.first();
        Self {
            uuid: first.map(|id| id.uuid.to_string()),
            interface: first.and_then(|id| names.interface(*id)),
            grade: guess.grade.letter(),
        }
    }
}

/// An ICMP error.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct IcmpRecord {
    /// ICMP type.
    #[serde(rename = "type")]
    pub kind: u8,
    /// ICMP code.
    pub code: u8,
    /// Who sent it.
    pub from: Party,
}

impl ErrorRecord {
    fn of(error: AppError, names: &Names<'_>) -> Self {
        Self { app: error.proto.name(), code: error.code, frame: names.frame(error.seen.frame) }
    }
}

impl FlowRecord {
    /// The record of a flow.
    pub fn of(judged: &Judged<'_>, collapses: &[Collapse], names: &Names<'_>) -> Self {
        let flow = &judged.flow;
        let ends = judged.ends();
        let (orig, resp) = (judged.orig.index(), judged.orig.other().index());
        let ports = ends.transport.has_ports();
        let whole = judged.collapse.and_then(|index| collapses.get(index));
        let verdict = &judged.verdict;
        Self {
            schema: "portolan/flow/1",
            ts: Moment(flow.first),
            uid: uid(flow.first_frame, &ends),
            orig_h: Party::One(ends.orig.addr),
            orig_p: if ports { ends.orig.port } else { 0 },
            resp_h: Party::One(ends.resp.addr),
            resp_p: if ports { ends.resp.port } else { 0 },
            proto: ends.transport.name(),
            service: judged.service.map(|service| names.service_id(ServiceKey::Known(service), ends.transport)),
            duration: seconds(flow.last_seen().since(flow.first).as_micros()),
            orig_bytes: flow.payload[orig],
            resp_bytes: flow.payload[resp],
            conn_state: ConnState::of(flow, judged.orig).name(),
            history: flow.history.text(judged.orig),
            orig_pkts: flow.packets[orig],
            resp_pkts: flow.packets[resp],
            orig_ip_bytes: flow.ip_bytes[orig],
            resp_ip_bytes: flow.ip_bytes[resp],
            community_id: community_id(&ends),
            outcome: verdict.outcome.name(),
            standing: judged.standing.name(),
            confidence: verdict.confidence.name(),
            reason: verdict.reason.to_string(),
            by: verdict.by.map(|by| by.to_string()),
            rule_id: judged.standing.rows().first().map(|&row| names.row(row)),
            src_role: names.role_names(ends.orig.addr),
            dst_role: names.role_names(ends.resp.addr),
            finding: judged.finding.or(whole.map(|whole| whole.kind)).map(FindingKind::name),
            rpc: match &judged.rpc {
                Some(guess) => Some(RpcRecord::of(guess, names)),
                None => judged.pipes.and_then(|pipes| RpcRecord::of_pipes(pipes, names)),
            },
            pipes: judged.pipes.map(|pipes| PipeRecord::all(pipes, names)).unwrap_or_default(),
            app: judged.app.map(AppProto::name),
            icmp: judged.icmp.map(|icmp| IcmpRecord {
                kind: icmp.kind,
                code: icmp.code,
                from: Party::One(icmp.sender),
            }),
            handshake_us: Some(flow.handshake_us).filter(|&us| us > 0),
            dir_basis: judged.dir_basis.name(),
            flags: judged.notes.clone(),
            frames: verdict.frames.iter().map(|frame| names.frame(frame)).collect(),
            standing_why: match &judged.standing {
                Standing::Unexpected(why) => Some(why.name()),
                Standing::NotJudged(why) => Some(why.name()),
                _ => None,
            },
            app_errors: judged.errors.iter().map(|error| ErrorRecord::of(*error, names)).collect(),
        }
    }
}

/// Microseconds as seconds.
#[expect(clippy::cast_precision_loss, reason = "exact up to 285 years")]
fn seconds(us: u128) -> f64 {
    us as f64 / 1e6
}

/// `C` and sixteen letters and digits, as Zeek's look. Made of the first frame and the ends, not of chance.
fn uid(first_frame: FrameId, ends: &FiveTuple) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut hash = Sha1::new();
    hash.update(first_frame.input().to_be_bytes());
    hash.update(first_frame.number().to_be_bytes());
    for end in [ends.orig, ends.resp] {
        hash.update(octets(end.addr));
        hash.update(end.port.to_be_bytes());
    }
    hash.update([ends.transport as u8]);
    let mut text = String::from("C");
    let mut rest = hash.finalize().iter().take(12).fold(0u128, |number, &byte| (number << 8) | u128::from(byte));
    for _ in 0..16 {
        let digit = usize::try_from(rest % 62).ok().and_then(|digit| DIGITS.get(digit)).copied();
        text.push(digit.map_or('0', char::from));
        rest /= 62;
    }
    text
}
