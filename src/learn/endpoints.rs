//! Where RPC interfaces listen, as servers said or showed: the part of the knowledge that sessions write to.
//!
//! Entries are merged with minimum, maximum and union only, and what does not fit is decided by order of keys, not of
//! arrival: the result is the same whichever worker came first. What it means for a flow is said in `grade`. This file must
//! never know policy.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use dashmap::DashMap;
use foldhash::quality::RandomState;

use crate::learn::rpc_flow::FlowId;
use crate::learn::rpc_flow::Moment;
use crate::learn::rpc_flow::RpcFlow;
use crate::model::addr::Addr;
use crate::model::uuid::InterfaceId;

/// Servers with learned ports; what comes after is counted.
pub const SERVERS_MAX: usize = 1 << 16;
/// Ports of one server. The smallest are kept.
pub const PORTS_MAX: usize = 4096;
/// Statements about one port. Kept are binds first, then what clients were told, then lists.
pub const STATEMENTS_MAX: usize = 256;
/// Clients of one statement. The smallest addresses are kept.
pub const CLIENTS_MAX: usize = 64;
/// Times that one client was told the same. The earliest are kept.
pub const MOMENTS_MAX: usize = 32;
/// Flows with facts; what comes after is counted.
pub const FLOWS_MAX: usize = 1 << 20;
/// Questions for interfaces that are not there; what comes after is counted.
pub const UNREGISTERED_MAX: usize = 1 << 16;

/// What carries RPC to a port.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Over {
    /// TCP.
    Tcp,
    /// RPC over HTTP version 1, on TCP.
    Http,
    /// UDP.
    Udp,
}

/// How it became known that an interface listens on a port.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Source {
    /// The server accepted a bind there.
    Bind,
    /// The endpoint mapper told a client who asked for the interface.
    EptMap,
    /// A DCOM reply named the port of an object's process, whatever its interfaces are.
    Oxid,
    /// The endpoint mapper listed what is registered.
    EptLookup,
}

/// One thing that a server said or showed.
#[derive(Clone, Copy, Debug)]
pub struct Statement {
    /// The address that the client had contacted.
    pub server: Addr,
    /// What carries RPC to the port.
    pub over: Over,
    /// The port.
    pub port: u16,
    /// The interface; none in a DCOM binding.
    pub interface: Option<InterfaceId>,
    /// How it became known.
    pub source: Source,
    /// Who was told, or who bound.
    pub client: Addr,
    /// When.
    pub at: Moment,
    /// The address named with the port is the server's, or none was named.
    pub own: bool,
}

/// All statements about one port that agree in interface and source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Learned {
    /// The interface; none in a DCOM binding.
    pub interface: Option<InterfaceId>,
    /// How it became known.
    pub source: Source,
    /// When first.
    pub first: Moment,
    /// When last.
    pub last: Moment,
    /// Who was told, and when.
    pub clients: BTreeMap<Addr, BTreeSet<Moment>>,
    /// It was said at least once of the server's own address. Else another address was named each time: a cluster, address
    /// translation, or a further card of the same host.
    pub own: bool,
    /// From when on the server said that the interface is elsewhere.
    pub superseded: Option<Moment>,
    /// Until then the interface was elsewhere.
    pub elsewhere_until: Option<Moment>,
}

impl Learned {
    fn new(statement: &Statement) -> Self {
        Self {
            interface: statement.interface,
            source: statement.source,
            first: statement.at,
            last: statement.at,
            clients: BTreeMap::new(),
            own: false,
            superseded: None,
            elsewhere_until: None,
        }
    }

    /// Whether clients or times were left out.
    fn merge(&mut self, statement: &Statement) -> bool {
        self.first = self.first.min(statement.at);
        self.last = self.last.max(statement.at);
        self.own |= statement.own;
        let moments = self.clients.entry(statement.client).or_default();
        moments.insert(statement.at);
        let mut cut = moments.len() > MOMENTS_MAX;
        if cut {
            moments.pop_last();
        }
        if self.clients.len() > CLIENTS_MAX {
            self.clients.pop_last();
            cut = true;
        }
        cut
    }
}

/// What is known of one port.
#[derive(Clone, Debug, Default)]
pub(super) struct Port {
    pub(super) statements: BTreeMap<(Source, Option<InterfaceId>), Learned>,
    /// Statements, clients or times were left out.
    pub(super) cut: bool,
}

/// What is known of one server.
#[derive(Clone, Debug, Default)]
pub(super) struct Server {
    pub(super) ports: BTreeMap<(Over, u16), Port>,
    /// Ports were left out.
    pub(super) cut: bool,
}

impl Server {
    fn merge(&mut self, statement: &Statement) {
        let port = self.ports.entry((statement.over, statement.port)).or_default();
        let learned =
            port.statements.entry((statement.source, statement.interface)).or_insert_with(|| Learned::new(statement));
        port.cut |= learned.merge(statement);
        if port.statements.len() > STATEMENTS_MAX {
            port.statements.pop_last();
            port.cut = true;
        }
        if self.ports.len() > PORTS_MAX {
            self.ports.pop_last();
            self.cut = true;
        }
    }
}

/// A question for an interface that the server has not: its service does not run.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Unregistered {
    /// Whose endpoint mapper said so.
    pub server: Addr,
    /// Who had asked.
    pub client: Addr,
    /// The interface asked for.
    pub interface: InterfaceId,
    /// Over what it was to be reached.
    pub over: Over,
}

/// When a question was answered so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asked {
    /// The first answer.
    pub first: Moment,
    /// The last answer.
    pub last: Moment,
    /// How many answers.
    pub answers: u64,
}

/// Things that are counted rather than kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
#[repr(usize)]
pub enum Count {
    /// Answers of the endpoint mapper that were read.
    MapperAnswers,
    /// Answers of the endpoint mapper that broke off before their status.
    MapperBroken,
    /// DCOM replies that were read.
    DcomReplies,
    /// Flows whose questions to the endpoint mapper are encrypted.
    MapperSealed,
    /// Flows whose DCOM replies are encrypted.
    DcomSealed,
    /// Flows whose server names a port that is not the one connected to.
    PortTranslated,
    /// Connectionless PDUs.
    Datagrams,
    /// Something that is no PDU stood where one had to begin.
    LostPlace,
    /// Calls that were given up because too many were open.
    CallsOver,
    /// Calls whose fragments together were too long: read as far as kept.
    CallsCut,
    /// Contexts, binds, operations or faults of a flow that did not fit.
    FlowFull,
    /// Servers that did not fit.
    ServersOver,
    /// Flows that did not fit.
    FlowsOver,
    /// Questions for absent interfaces that did not fit.
    UnregisteredOver,
}

/// How many kinds of counts there are.
pub(super) const COUNTS: usize = Count::UnregisteredOver as usize + 1;

/// What sessions learned, shared by all workers.
#[derive(Debug, Default)]
pub struct RpcBook {
    pub(super) servers: DashMap<Addr, Server, RandomState>,
    pub(super) flows: DashMap<FlowId, RpcFlow, RandomState>,
    pub(super) unregistered: DashMap<Unregistered, Asked, RandomState>,
    pub(super) counts: [AtomicU64; COUNTS],
}

impl RpcBook {
    /// Remembers a statement.
    pub fn learn(&self, statement: &Statement) {
        if let Some(mut server) = self.servers.get_mut(&statement.server) {
            server.merge(statement);
        } else if self.servers.len() < SERVERS_MAX {
            self.servers.entry(statement.server).or_default().merge(statement);
        } else {
            self.count(Count::ServersOver, 1);
        }
    }

    /// Remembers that an interface was asked for in vain.
    pub fn unregistered(&self, question: Unregistered, at: Moment) {
        if self.unregistered.len() >= UNREGISTERED_MAX && !self.unregistered.contains_key(&question) {
            self.count(Count::UnregisteredOver, 1);
            return;
        }
        self.unregistered
            .entry(question)
            .and_modify(|asked| {
                asked.first = asked.first.min(at);
                asked.last = asked.last.max(at);
                asked.answers += 1;
            })
            .or_insert(Asked { first: at, last: at, answers: 1 });
    }

    /// Puts what a flow showed in place of what it had shown before. A flow has one session, which alone calls this.
    pub fn showed(&self, id: FlowId, flow: &RpcFlow) {
        if let Some(mut known) = self.flows.get_mut(&id) {
            known.clone_from(flow);
        } else if self.flows.len() < FLOWS_MAX {
            self.flows.insert(id, flow.clone());
        } else {
            self.count(Count::FlowsOver, 1);
        }
    }

    /// Adds to a count.
    pub fn count(&self, count: Count, by: u64) {
        if let Some(place) = self.counts.get(count as usize) {
            place.fetch_add(by, Ordering::Relaxed);
        }
    }
}
