//! RPC in the report: which interfaces were learned at which ports, and for which one a finding is.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::classify::judged::Judged;
use crate::classify::verdict::Confidence;
use crate::classify::verdict::Outcome;
use crate::learn::endpoints::Learned;
use crate::learn::endpoints::Over;
use crate::learn::endpoints::Source;
use crate::learn::grade::Endpoints;
use crate::learn::grade::Grade;
use crate::learn::grade::Guess;
use crate::model::addr::Addr;
use crate::model::ids::FrameId;
use crate::model::time::Timestamp;
use crate::model::transport::Transport;
use crate::model::uuid::InterfaceId;
use crate::report::names::FrameName;
use crate::report::names::Names;
use crate::report::names::Party;
use crate::report::sanitise::Shown;

/// A port at which RPC interfaces were learned to be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct EndpointRow {
    /// The server, by the address that its clients contacted.
    pub server: Party,
    /// `tcp`, `udp`, `http` for RPC over HTTP version 1, or `pipe` for named pipes in SMB.
    pub transport: &'static str,
    /// The port.
    pub port: u16,
    /// In which frame the port first refused a client after all of this had been said.
    pub stale: Option<FrameName>,
    /// What is there.
    pub interfaces: Vec<InterfaceRow>,
}

/// An interface at a port, as one source tells it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct InterfaceRow {
    /// Its UUID; `None` where DCOM named the port and not the interfaces.
    pub uuid: Option<String>,
    /// Its version, as `4.0`.
    pub version: Option<String>,
    /// Its name in the specifications, where the rules know one.
    pub name: Option<Shown>,
    /// `ept_map`, `ept_lookup`, `bind` or `oxid`.
    pub source: &'static str,
    /// The frame that told it first.
    pub frame: FrameName,
    /// Who was told, or who bound.
    pub clients: Vec<Party>,
    /// Another address than the one contacted was named with the port.
    pub foreign: bool,
    /// The pipes that it was bound on, as far as their names are known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pipes: Vec<Shown>,
    /// In which frame the server said that the interface is elsewhere by now.
    pub superseded: Option<FrameName>,
}

/// For which interface a finding or flow is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct InterfaceName {
    /// Its UUID; `None` where only DCOM named the port.
    pub uuid: Option<String>,
    /// Its name in the specifications, where the rules know one.
    pub name: Option<Shown>,
    /// How sure it is, `A` to `F`; `None` where no flow is meant.
    pub grade: Option<char>,
    /// The frame that tells so.
    pub learned_frame: FrameName,
    /// Learned only after the flow began.
    pub retro: bool,
    /// What else it may be, or is as well.
    pub others: Vec<Shown>,
}

/// Learned ports that refused a client after they had last been named: when such a flow first began, and its refusal.
#[derive(Debug, Default)]
pub(crate) struct Stale(BTreeMap<(Addr, u16), (Timestamp, FrameId)>);

impl Stale {
    /// Looks at a flow that has a finding.
    pub(crate) fn look(&mut self, judged: &Judged<'_>, endpoints: &Endpoints) {
        if judged.verdict.outcome != Outcome::Refused || judged.flow.key.transport != Transport::Tcp {
            return;
        }
        let (server, began) = (judged.ends().resp, judged.flow.first);
        let said = [Over::Tcp, Over::Http].into_iter().flat_map(|over| endpoints.at(server.addr, over, server.port));
        let refused = judged.verdict.frames.iter().last();
        if let (Some(last), Some(frame)) = (said.map(|known| known.last.ts).max(), refused)
            && last < began
        {
            let first = self.0.entry((server.addr, server.port)).or_insert((began, frame));
            *first = (*first).min((began, frame));
        }
    }
}

fn source(source: Source) -> &'static str {
    match source {
        Source::Bind => "bind",
        Source::EptMap => "ept_map",
        Source::Oxid => "oxid",
        Source::EptLookup => "ept_lookup",
    }
}

/// Every port that was learned, in order of server and port.
pub(crate) fn endpoints(endpoints: &Endpoints, stale: &Stale, names: &Names<'_>) -> Vec<EndpointRow> {
    let rows = endpoints.ports().map(|(server, carried, port, learned)| EndpointRow {
        server: Party::One(server),
        transport: carried.name(),
        port,
        stale: stale
            .0
            .get(&(server, port))
            .filter(|_| matches!(carried, Over::Tcp | Over::Http))
            .map(|(_, frame)| names.frame(*frame)),
        interfaces: learned.iter().map(|known| interface(known, names)).collect(),
    });
    rows.collect()
}

fn interface(known: &Learned, names: &Names<'_>) -> InterfaceRow {
    InterfaceRow {
        uuid: known.interface.map(|id| id.uuid.to_string()),
        version: known.interface.map(|id| format!("{}.{}", id.major, id.minor)),
        name: known.interface.and_then(|id| names.interface(id)),
        source: source(known.source),
        frame: names.frame(known.first.frame),
        clients: known.clients().map(Party::One).collect(),
        foreign: !known.own,
        pipes: known.pipes.iter().map(|pipe| Shown::name(pipe)).collect(),
        superseded: known.superseded.map(|moment| names.frame(moment.frame)),
    }
}

/// The interface that a flow is for.
pub(crate) fn of_guess(guess: &Guess, names: &Names<'_>) -> InterfaceName {
    let first = guess.interfaces.first();
    InterfaceName {
        uuid: first.map(|id| id.uuid.to_string()),
        name: first.and_then(|id| names.interface(*id)),
        grade: Some(guess.grade.letter()),
        learned_frame: names.frame(guess.learned),
        retro: guess.retro,
        others: guess.interfaces.iter().skip(1).map(|id| called(*id, names)).collect(),
    }
}

/// An interface that was asked for.
pub(crate) fn of_question(id: InterfaceId, frame: FrameId, names: &Names<'_>) -> InterfaceName {
    InterfaceName {
        uuid: Some(id.uuid.to_string()),
        name: names.interface(id),
        grade: None,
        learned_frame: names.frame(frame),
        retro: false,
        others: Vec::new(),
    }
}

/// What to call an interface in a sentence: its name, or else its UUID.
pub(crate) fn called(id: InterfaceId, names: &Names<'_>) -> Shown {
    names.interface(id).unwrap_or_else(|| Shown::name(&id.uuid.to_string()))
}

/// How sure a statement can be that rests on knowing the interface.
pub(crate) fn most(judged: &Judged<'_>) -> Confidence {
    match judged.rpc.as_ref() {
        Some(guess) if guess.retro => Confidence::Probable,
        Some(Guess { grade: Grade::A | Grade::B, .. }) | None => Confidence::Confirmed,
        Some(Guess { grade: Grade::C | Grade::D, .. }) => Confidence::Probable,
        Some(_) => Confidence::Possible,
    }
}
