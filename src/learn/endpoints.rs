//! Where RPC interfaces listen, as servers said or showed: the part of the knowledge that sessions write to.
//!
//! Entries are merged with minimum, maximum and union only, and what does not fit is decided by order of keys, not of
//! arrival: the result is the same whichever worker came first. What it means for a flow is said in `grade`. This file must
//! never know policy.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use dashmap::DashMap;
use foldhash::quality::RandomState;

use crate::learn::pipe_flow::PipeFlow;
use crate::learn::rpc_flow::FlowId;
use crate::learn::rpc_flow::Moment;
use crate::learn::rpc_flow::RpcFlow;
use crate::model::addr::Addr;
use crate::model::time::Timestamp;
use crate::model::uuid::InterfaceId;

/// Servers with learned ports; what comes after is counted.
pub const SERVERS_MAX: usize = 1 << 16;
/// Ports of one server. The smallest are kept.
pub const PORTS_MAX: usize = 4096;
/// Statements about one port. Kept are binds first, then what clients were told, then lists.
pub const STATEMENTS_MAX: usize = 256;
/// Times that clients were told the same, of all clients of one statement. Kept are those of the smallest addresses.
pub const TOLD_MAX: usize = 1 << 16;
/// Pipes that one interface was bound on. The first by name are kept.
pub const PIPES_MAX: usize = 16;
/// Times that one client was told the same. The earliest are kept.
pub const MOMENTS_MAX: usize = 256;
/// Statements about all ports of all servers; what comes after is counted. Each takes some 2 KiB.
pub const STATEMENTS_IN_ALL_MAX: usize = 1 << 17;
/// Times that clients were told something, of all statements; what comes after is counted.
pub const TOLD_IN_ALL_MAX: usize = 1 << 21;
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
    /// Named pipes, in SMB on TCP.
    Pipe,
}

impl Over {
    /// The lower-case name used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Http => "http",
            Self::Udp => "udp",
            Self::Pipe => "pipe",
        }
    }
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
pub struct Statement<'a> {
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
    /// The name of the pipe, if it is in one and the name is known.
    pub pipe: Option<&'a str>,
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
    pub told: BTreeSet<(Addr, Moment)>,
    /// It was said at least once of the server's own address. Else another address was named each time: a cluster, address
    /// translation, or a further card of the same host.
    pub own: bool,
    /// In which pipes.
    pub pipes: BTreeSet<String>,
    /// From when on the server said that the interface is elsewhere.
    pub superseded: Option<Moment>,
    /// Until then the interface was elsewhere.
    pub elsewhere_until: Option<Moment>,
}

impl Learned {
    fn new(statement: &Statement<'_>) -> Self {
        Self {
            interface: statement.interface,
            source: statement.source,
            first: statement.at,
            last: statement.at,
            told: BTreeSet::new(),
            own: false,
            pipes: BTreeSet::new(),
            superseded: None,
            elsewhere_until: None,
        }
    }

    /// Who was told, in order.
    pub fn clients(&self) -> impl Iterator<Item = Addr> {
        let mut last = None;
        self.told.iter().map(|(client, _)| *client).filter(move |client| last.replace(*client) != Some(*client))
    }

    /// When a client was told, in order.
    pub fn told_to(&self, client: Addr) -> impl Iterator<Item = Moment> {
        let from = self.told.range((client, Moment::default())..);
        from.take_while(move |(told, _)| *told == client).map(|(_, at)| *at)
    }

    /// Forgets when clients were told something before a time, but for the first and the last time of each, and those that
    /// these flows rest on, each a client and when it began. How many times were forgotten.
    fn forget_told(&mut self, before: Timestamp, flows: &BTreeSet<(Addr, Timestamp)>) -> usize {
        let all = self.told.len();
        let mut told = std::mem::take(&mut self.told).into_iter().peekable();
        let mut earlier = None;
        while let Some((client, at)) = told.next() {
            let first = earlier.replace(client) != Some(client);
            let until = told.peek().filter(|(next, then)| *next == client && then.ts < before).map(|(_, then)| then.ts);
            // A flow rests on what was last told before it began.
            let rests = |until| flows.range((client, at.ts)..(client, until)).next().is_some();
            if first || until.is_none_or(rests) {
                self.told.insert((client, at));
            }
        }
        all - self.told.len()
    }

    /// Whether something was left out: a time, a client or a pipe. Without room no more of them are kept.
    fn merge(&mut self, statement: &Statement<'_>, room: bool) -> bool {
        self.first = self.first.min(statement.at);
        self.last = self.last.max(statement.at);
        self.own |= statement.own;
        let mut cut = !room && !self.told.contains(&(statement.client, statement.at));
        if room && self.told.insert((statement.client, statement.at)) {
            let beyond = self.told_to(statement.client).nth(MOMENTS_MAX);
            if let Some(beyond) = beyond {
                self.told.remove(&(statement.client, beyond));
                cut = true;
            }
            if self.told.len() > TOLD_MAX {
                self.told.pop_last();
                cut = true;
            }
        }
        if let Some(pipe) = statement.pipe.filter(|pipe| !pipe.is_empty() && !self.pipes.contains(*pipe)) {
            self.pipes.insert(pipe.to_owned());
            if self.pipes.len() > PIPES_MAX {
                self.pipes.pop_last();
                cut = true;
            }
        }
        cut
    }
}

/// What is known of one port.
#[derive(Clone, Debug, Default)]
pub(super) struct Port {
    /// In order of source and interface. Most ports have one.
    pub(super) statements: Vec<Learned>,
    /// Statements, clients or times were left out.
    pub(super) cut: bool,
}

impl Port {
    fn told(&self) -> usize {
        self.statements.iter().map(|known| known.told.len()).sum()
    }
}

/// What is known of one server.
#[derive(Clone, Debug, Default)]
pub(super) struct Server {
    pub(super) ports: BTreeMap<(Over, u16), Port>,
    /// Ports were left out.
    pub(super) cut: bool,
}

/// How many statements there are, and how often clients were told one, or how much room for more.
#[derive(Clone, Copy, Debug, Default)]
struct Amount {
    statements: usize,
    told: usize,
}

impl Server {
    /// Takes a statement, as far as there is room. What was added to all that is kept, and what had to go for it; `None`
    /// if there is no room.
    fn merge(&mut self, statement: &Statement<'_>, room: Amount) -> Option<(Amount, Amount)> {
        let place = (statement.over, statement.port);
        let sought = |known: &Learned| (known.source, known.interface).cmp(&(statement.source, statement.interface));
        let found = self.ports.get(&place).map(|port| port.statements.binary_search_by(sought));
        if !matches!(found, Some(Ok(_))) && room.statements == 0 {
            return None;
        }
        let (mut added, mut gone) = (Amount::default(), Amount::default());
        let port = self.ports.entry(place).or_default();
        let (Ok(nth) | Err(nth)) = found.unwrap_or(Err(0));
        if !matches!(found, Some(Ok(_))) {
            port.statements.reserve_exact(1);
            port.statements.insert(nth, Learned::new(statement));
            added.statements = 1;
        }
        if let Some(known) = port.statements.get_mut(nth) {
            let before = known.told.len();
            port.cut |= known.merge(statement, room.told > 0);
            added.told = known.told.len() - before;
        }
        if port.statements.len() > STATEMENTS_MAX
            && let Some(last) = port.statements.pop()
        {
            port.cut = true;
            gone = Amount { statements: 1, told: last.told.len() };
        }
        if self.ports.len() > PORTS_MAX
            && let Some((_, last)) = self.ports.pop_last()
        {
            self.cut = true;
            gone = Amount { statements: gone.statements + last.statements.len(), told: gone.told + last.told() };
        }
        Some((added, gone))
    }
}

/// A question for an interface that the server has not: its service does not run.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Unregistered {
    /// Whose endpoint mapper said so.
    pub server: Addr,
    /// At which port it was asked: its own, or that of SMB.
    pub mapper: u16,
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
    /// Calls that failed.
    Faults,
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
    /// Statements about ports that did not fit.
    StatementsOver,
    /// Flows that did not fit.
    FlowsOver,
    /// Questions for absent interfaces that did not fit.
    UnregisteredOver,
    /// Flows of SMB that are encrypted or compressed.
    SmbSealed,
    /// Pipes, shares or questions about them that were given up because too many were open.
    PipesOver,
    /// Flows of SMB that were given up, because for long nothing in them was for a pipe.
    PipesLeft,
}

/// How many kinds of counts there are.
pub(super) const COUNTS: usize = Count::PipesLeft as usize + 1;

/// What sessions learned, shared by all workers.
#[derive(Debug, Default)]
pub struct RpcBook {
    pub(super) servers: DashMap<Addr, Server, RandomState>,
    pub(super) flows: DashMap<FlowId, RpcFlow, RandomState>,
    pub(super) pipes: DashMap<FlowId, PipeFlow, RandomState>,
    pub(super) unregistered: DashMap<Unregistered, Asked, RandomState>,
    pub(super) counts: [AtomicU64; COUNTS],
    /// How many statements are kept, of all servers.
    statements: AtomicUsize,
    /// How often clients were told one of them.
    told: AtomicUsize,
}

impl RpcBook {
    /// Remembers a statement.
    pub fn learn(&self, statement: &Statement<'_>) {
        let room = Amount {
            statements: STATEMENTS_IN_ALL_MAX.saturating_sub(self.statements.load(Ordering::Relaxed)),
            told: TOLD_IN_ALL_MAX.saturating_sub(self.told.load(Ordering::Relaxed)),
        };
        let merged = if let Some(mut server) = self.servers.get_mut(&statement.server) {
            server.merge(statement, room)
        } else if room.statements == 0 {
            None
        } else if self.servers.len() < SERVERS_MAX {
            self.servers.entry(statement.server).or_default().merge(statement, room)
        } else {
            return self.count(Count::ServersOver, 1);
        };
        let Some((added, gone)) = merged else { return self.count(Count::StatementsOver, 1) };
        for (kept, added, gone) in
            [(&self.statements, added.statements, gone.statements), (&self.told, added.told, gone.told)]
        {
            kept.fetch_add(added, Ordering::Relaxed);
            kept.fetch_sub(gone, Ordering::Relaxed);
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

    /// The same of a flow of SMB.
    pub(super) fn showed_pipes(&self, id: FlowId, flow: &PipeFlow) {
        if let Some(mut known) = self.pipes.get_mut(&id) {
            known.clone_from(flow);
        } else if self.pipes.len() < FLOWS_MAX {
            self.pipes.insert(id, flow.clone());
        } else {
            self.count(Count::FlowsOver, 1);
        }
    }

    /// Forgets what a flow showed. What it said of servers stays.
    pub fn forget(&self, id: &FlowId) {
        self.flows.remove(id);
        self.pipes.remove(id);
    }

    /// Forgets what no flow rests on that is still kept: when clients were told something before a time, but for the first
    /// and the last time of each. `flows` are those that began before and are still kept, by client.
    pub fn forget_told(&self, before: Timestamp, flows: &BTreeSet<(Addr, Timestamp)>) {
        for mut server in self.servers.iter_mut() {
            let statements = server.ports.values_mut().flat_map(|port| &mut port.statements);
            let gone: usize = statements.map(|known| known.forget_told(before, flows)).sum();
            self.told.fetch_sub(gone, Ordering::Relaxed);
        }
    }

    /// How many flows asked the endpoint mapper or DCOM under encryption.
    pub fn sealed(&self) -> u64 {
        self.counted(&[Count::MapperSealed, Count::DcomSealed])
    }

    /// How many flows of SMB are encrypted or compressed.
    pub fn smb_sealed(&self) -> u64 {
        self.counted(&[Count::SmbSealed])
    }

    /// How many flows of SMB were given up before their end.
    pub fn smb_left(&self) -> u64 {
        self.counted(&[Count::PipesLeft])
    }

    /// How much did not fit. A server counts once, whatever ports of it are missing, and so does a port.
    pub fn not_kept(&self) -> u64 {
        let of_server = |server: &Server| {
            let ports = server.ports.values().filter(|port| port.cut).count();
            u64::from(server.cut) + u64::try_from(ports).unwrap_or(u64::MAX)
        };
        let cut: u64 = self.servers.iter().map(|server| of_server(server.value())).sum();
        cut + self.counted(&[
            Count::CallsOver,
            Count::CallsCut,
            Count::FlowFull,
            Count::ServersOver,
            Count::StatementsOver,
            Count::FlowsOver,
            Count::UnregisteredOver,
            Count::PipesOver,
        ])
    }

    fn counted(&self, counts: &[Count]) -> u64 {
        let place = |count: &Count| self.counts.get(*count as usize);
        counts.iter().filter_map(place).map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// Adds to a count.
    pub fn count(&self, count: Count, by: u64) {
        if let Some(place) = self.counts.get(count as usize) {
            place.fetch_add(by, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::grade::Endpoints;
    use crate::model::ids::FrameId;
    use crate::model::time::Timestamp;
    use crate::model::uuid::Uuid;

    fn interface(number: u16) -> InterfaceId {
        let [high, low] = number.to_be_bytes();
        InterfaceId { uuid: Uuid([high, low, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), major: 1, minor: 0 }
    }

    fn client(number: u16) -> Addr {
        let [high, low] = number.to_be_bytes();
        Addr::v4([10, 1, high, low])
    }

    fn statement(port: u16, interface_number: u16, client_number: u16, second: u64) -> Statement<'static> {
        Statement {
            server: Addr::v4([10, 0, 0, 10]),
            over: Over::Tcp,
            port,
            interface: Some(interface(interface_number)),
            source: if interface_number.is_multiple_of(2) { Source::EptMap } else { Source::EptLookup },
            client: client(client_number),
            at: Moment { ts: Timestamp(second * 1_000_000_000), frame: FrameId::new(0, second + 1) },
            own: second.is_multiple_of(3),
            pipe: None,
        }
    }

    /// More of everything than fits.
    fn crowd() -> Vec<Statement<'static>> {
        let ports = (1..=6000).map(|port| statement(port, 2, 1, u64::from(port)));
        let interfaces = (0..600).map(|number| statement(7, number, 1, u64::from(number) + 5));
        let clients = (0..200).map(|number| statement(7, 4, number, u64::from(number) * 2));
        let moments = (0..400).map(|second| statement(7, 4, 3, second * 7));
        ports.chain(interfaces).chain(clients).chain(moments).collect()
    }

    fn kept<'a>(statements: impl Iterator<Item = Statement<'a>>) -> Endpoints {
        let book = RpcBook::default();
        for statement in statements {
            book.learn(&statement);
        }
        Endpoints::of(&book)
    }

    #[test]
    fn the_order_of_arrival_does_not_matter_even_where_not_all_fits() {
        let all = crowd();
        let one = kept(all.iter().copied());
        let other = kept(all.iter().rev().copied());
        // Every seventh first: neither order of the two above.
        let mixed = kept((0..7).flat_map(|start| all.iter().skip(start).step_by(7).copied()));
        let ports = |endpoints: &Endpoints| {
            endpoints.ports().map(|(.., port, learned)| (port, learned.to_vec())).collect::<Vec<_>>()
        };
        assert_eq!(ports(&one), ports(&other));
        assert_eq!(ports(&one), ports(&mixed));
        assert_eq!((one.cut(), one.cut()), (other.cut(), mixed.cut()));
    }

    #[test]
    fn every_limit_holds_and_shows() {
        let all = kept(crowd().into_iter());
        assert_eq!(all.ports().count(), PORTS_MAX);
        let busy = all.at(Addr::v4([10, 0, 0, 10]), Over::Tcp, 7);
        assert_eq!(busy.len(), STATEMENTS_MAX);
        assert!(busy.iter().all(|known| known.source == Source::EptMap), "what was asked for comes before lists");
        let known = busy.iter().find(|known| known.interface == Some(interface(4)));
        let told = known.map(|known| (known.clients().count(), known.told_to(client(3)).count()));
        assert_eq!(told, Some((200, MOMENTS_MAX)), "every client is kept");
        assert_eq!((all.cut().servers, all.cut().ports), (1, 1));
    }

    #[test]
    fn what_is_left_out_is_counted_once_for_each_server_and_port() {
        let book = RpcBook::default();
        for statement in crowd() {
            book.learn(&statement);
        }
        assert_eq!(book.not_kept(), 2);
    }

    #[test]
    fn of_too_many_clients_those_with_the_smallest_addresses_are_kept() {
        let book = RpcBook::default();
        let told = |number: usize| {
            let [.., third, high, low] = number.to_be_bytes();
            Statement { client: Addr::v4([10, third, high, low]), ..statement(7, 2, 1, 1) }
        };
        for number in (0..TOLD_MAX + 3).rev() {
            book.learn(&told(number));
        }
        let all = Endpoints::of(&book);
        let [known] = all.at(Addr::v4([10, 0, 0, 10]), Over::Tcp, 7) else { unreachable!() };
        assert_eq!(known.clients().count(), TOLD_MAX);
        assert_eq!(known.clients().next(), Some(Addr::v4([10, 0, 0, 0])));
        assert_eq!(book.not_kept(), 1);
    }

    #[test]
    fn of_what_was_told_long_ago_there_stays_what_flows_rest_on() {
        let book = RpcBook::default();
        for (number, at) in [(1, 10), (1, 20), (1, 30), (1, 40), (1, 50), (2, 20), (2, 30)] {
            book.learn(&statement(7, 2, number, at));
        }
        let moment = |second| statement(7, 2, 1, second).at;
        let times = |number: u16| {
            let all = Endpoints::of(&book);
            let [known] = all.at(Addr::v4([10, 0, 0, 10]), Over::Tcp, 7) else { unreachable!() };
            assert_eq!(known.first, moment(10));
            known.told_to(client(number)).collect::<Vec<_>>()
        };
        // One flow of the first client began before and goes on.
        let flows = BTreeSet::from([(client(1), moment(25).ts)]);
        book.forget_told(moment(45).ts, &flows);
        assert_eq!(times(1), [moment(10), moment(20), moment(40), moment(50)]);
        assert_eq!(times(2), [moment(20), moment(30)]);
        book.forget_told(moment(45).ts, &BTreeSet::new());
        assert_eq!(times(1), [moment(10), moment(40), moment(50)]);
        assert_eq!(book.told.load(Ordering::Relaxed), 5);
    }

    #[test]
    fn all_servers_together_are_bounded_too() {
        let book = RpcBook::default();
        let of_server = |number: usize| {
            let [.., high, low] = number.to_be_bytes();
            let port = u16::try_from(number >> 16).unwrap_or_default() + 1;
            Statement { server: Addr::v4([10, 2, high, low]), ..statement(port, 2, 1, 1) }
        };
        for number in 0..STATEMENTS_IN_ALL_MAX + 10 {
            book.learn(&of_server(number));
        }
        // What is known goes on to be told.
        book.learn(&Statement { client: client(9), ..of_server(0) });
        let all = Endpoints::of(&book);
        assert_eq!(all.ports().count(), STATEMENTS_IN_ALL_MAX);
        assert_eq!((all.count(Count::StatementsOver), book.not_kept()), (10, 10));
        let [known] = all.at(Addr::v4([10, 2, 0, 0]), Over::Tcp, 1) else { unreachable!() };
        assert_eq!(known.clients().count(), 2);
    }

    #[test]
    fn questions_in_vain_are_joined() {
        let book = RpcBook::default();
        let question = Unregistered {
            server: client(1),
            mapper: 135,
            client: client(2),
            interface: interface(1),
            over: Over::Tcp,
        };
        let at = |second: u64| Moment { ts: Timestamp(second), frame: FrameId::new(0, second) };
        for second in [5, 3, 9] {
            book.unregistered(question, at(second));
        }
        let wanted = Asked { first: at(3), last: at(9), answers: 3 };
        assert_eq!(Endpoints::of(&book).unregistered(), [(question, wanted)]);
    }
}
