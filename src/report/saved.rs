//! A report that was written as JSON and is read again: as much of it as comparing and exporting need.
//!
//! Whoever wrote the file, its text comes from outside: it is cleaned like all such text, and addresses and transports
//! are read as what they are, or the file is refused.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::IpAddr;

use serde::Deserialize;
use serde::Deserializer;
use serde::de;
use thiserror::Error;

use crate::model::addr::Addr;
use crate::model::transport::Transport;
use crate::report::names::Party;
use crate::report::readiness::State;
use crate::report::sanitise::Shown;

/// The schema that is understood.
pub const SCHEMA: &str = "portolan/report/1";

/// Longest report read, bytes.
pub const BYTES_MAX: u64 = 1 << 30;

/// Why a file is no report.
#[derive(Debug, Error)]
pub enum SavedError {
    /// No JSON, or a field that is missing or of another kind.
    #[error("no report of this program: {0}")]
    Json(#[from] serde_json::Error),
    /// Another schema.
    #[error("its schema is {0:?}, and {SCHEMA:?} is understood; write it with analyze --format json")]
    Schema(Shown),
    /// Longer than any report should be.
    #[error("longer than {BYTES_MAX} bytes")]
    TooLong,
}

/// What is read again.
#[derive(Clone, Debug, Deserialize)]
pub struct SavedReport {
    schema: Shown,
    /// What was read, and with which choices.
    pub run: SavedRun,
    /// How far it can be trusted.
    pub health: SavedHealth,
    /// Hosts with a name or a role.
    pub hosts: Vec<SavedHost>,
    /// Host pairs.
    pub pairs: Vec<SavedPair>,
    /// Findings, gravest first.
    pub findings: Vec<SavedFinding>,
    /// Rows between two hosts.
    pub readiness: Vec<SavedRow>,
    /// Pairs whose rows are not listed.
    #[serde(default)]
    pub readiness_cut: u64,
    /// Dynamic ports of servers.
    #[serde(default)]
    pub ranges: Vec<SavedRange>,
}

/// What was read, and with which choices.
#[derive(Clone, Debug, Deserialize)]
pub struct SavedRun {
    /// The captures.
    pub inputs: Vec<SavedInput>,
    /// The BPF expression.
    pub filter: Option<Shown>,
    /// The site file.
    pub site: Option<Shown>,
    /// The profiles judged by.
    pub profiles: Vec<Shown>,
}

/// One capture.
#[derive(Clone, Debug, Deserialize)]
pub struct SavedInput {
    /// Its path as given.
    pub path: Shown,
    /// Time of the earliest frame.
    pub first: Option<Shown>,
    /// Time of the latest frame.
    pub last: Option<Shown>,
    /// What was wrong with it.
    pub error: Option<de::IgnoredAny>,
}

/// How far a report can be trusted.
#[derive(Clone, Debug, Deserialize)]
pub struct SavedHealth {
    /// One direction only.
    pub asymmetric: bool,
    /// It does not show every failure. Reports of earlier versions do not say.
    #[serde(default)]
    pub blind: bool,
    /// Sentences that weaken it.
    pub notes: Vec<Shown>,
}

/// A host of which something is known.
#[derive(Clone, Debug, Deserialize)]
pub struct SavedHost {
    /// Its address.
    #[serde(deserialize_with = "party")]
    pub address: Party,
    /// Its names.
    pub names: Vec<Shown>,
}

/// A client, a server, and what passed between them.
#[derive(Clone, Debug, Deserialize)]
pub struct SavedPair {
    /// Who began the flows.
    #[serde(deserialize_with = "party")]
    pub client: Party,
    /// Who was to answer them.
    #[serde(deserialize_with = "party")]
    pub server: Party,
    /// Its services.
    pub services: Vec<SavedService>,
}

/// The flows of one service over one transport.
#[derive(Clone, Debug, Deserialize)]
pub struct SavedService {
    /// The service's id.
    pub service: Shown,
    /// Its title.
    pub title: Shown,
    /// The transport.
    #[serde(deserialize_with = "transport")]
    pub transport: Transport,
    /// The ports used.
    pub ports: Vec<u16>,
    /// How many flows.
    pub flows: u64,
    /// What became of them.
    pub outcomes: BTreeMap<Shown, u64>,
    /// The gravest of them, in the report's word.
    pub worst: Shown,
}

/// A finding.
#[derive(Clone, Debug, Deserialize)]
pub struct SavedFinding {
    /// Of which kind.
    pub finding: Shown,
    /// Who began it.
    #[serde(deserialize_with = "party")]
    pub client: Party,
    /// Who was to answer.
    #[serde(deserialize_with = "party")]
    pub server: Party,
    /// The transport.
    #[serde(deserialize_with = "transport")]
    pub transport: Transport,
    /// The service's id.
    pub service: Shown,
    /// The reason's code.
    pub reason: Shown,
    /// How sure.
    pub confidence: Shown,
    /// Some frames that show it: numbers, or files and numbers.
    pub frames: Vec<SavedFrame>,
    /// The RPC interface.
    pub interface: Option<SavedInterface>,
    /// What to know and to do.
    pub text: Shown,
}

/// A frame's name.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(untagged)]
pub enum SavedFrame {
    /// `41`
    Number(u64),
    /// `a.pcap:41`
    InFile(Shown),
}

/// An RPC interface.
#[derive(Clone, Debug, Deserialize)]
pub struct SavedInterface {
    /// Its UUID.
    pub uuid: Option<Shown>,
    /// Its name.
    pub name: Option<Shown>,
}

/// A row of a document between two hosts.
#[derive(Clone, Debug, Deserialize)]
pub struct SavedRow {
    /// The row.
    pub row: Shown,
    /// Who needs it.
    #[serde(deserialize_with = "party")]
    pub client: Party,
    /// Of whom.
    #[serde(deserialize_with = "party")]
    pub server: Party,
    /// Whether it was reached.
    pub state: State,
    /// Each transport over which it was tried.
    pub transports: Vec<SavedTransport>,
}

/// A row's service over one transport.
#[derive(Clone, Debug, Deserialize)]
pub struct SavedTransport {
    /// The transport.
    #[serde(deserialize_with = "transport")]
    pub transport: Transport,
    /// The ports that were tried.
    pub ports: Vec<u16>,
    /// Flows to further ports.
    #[serde(default)]
    pub ports_cut: u64,
}

/// What a server's dynamic ports were used for.
#[derive(Clone, Debug, Deserialize)]
pub struct SavedRange {
    /// The server.
    #[serde(deserialize_with = "party")]
    pub server: Party,
    /// The RPC interfaces.
    pub interfaces: Vec<SavedRangeInterface>,
}

/// An RPC interface at dynamic ports.
#[derive(Clone, Debug, Deserialize)]
pub struct SavedRangeInterface {
    /// Its UUID.
    pub uuid: Option<Shown>,
    /// At which ports.
    pub ports: Vec<u16>,
    /// Who asked for it or bound it.
    #[serde(default, deserialize_with = "parties")]
    pub callers: Vec<Party>,
}

/// Reads a report.
///
/// # Errors
/// It is none, or of another schema.
pub fn read(from: impl Read) -> Result<SavedReport, SavedError> {
    let mut bounded = from.take(BYTES_MAX);
    let read: Result<SavedReport, _> = serde_json::from_reader(&mut bounded);
    if read.is_err() && bounded.limit() == 0 {
        return Err(SavedError::TooLong);
    }
    let report = read?;
    if report.schema.as_str() == SCHEMA { Ok(report) } else { Err(SavedError::Schema(report.schema)) }
}

fn party<'de, D: Deserializer<'de>>(from: D) -> Result<Party, D::Error> {
    let text = String::deserialize(from)?;
    if text == Party::Many.to_string() {
        return Ok(Party::Many);
    }
    let ip: IpAddr = text.parse().map_err(|_| de::Error::custom(format!("{:?} is no address", Shown::name(&text))))?;
    Ok(Party::One(Addr::from(ip)))
}

fn parties<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Party>, D::Error> {
    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Each(#[serde(deserialize_with = "party")] Party);
    Ok(Vec::<Each>::deserialize(from)?.into_iter().map(|each| each.0).collect())
}

fn transport<'de, D: Deserializer<'de>>(from: D) -> Result<Transport, D::Error> {
    let text = String::deserialize(from)?;
    let unknown = || de::Error::custom(format!("{:?} is no transport", Shown::name(&text)));
    Transport::by_name(&text).ok_or_else(unknown)
}
