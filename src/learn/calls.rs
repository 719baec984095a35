//! Calls whose parameters are read: to the endpoint mapper, and of DCOM. Joins their fragments and turns answers into
//! statements about ports.
//!
//! This file must never know how fragments were found in the stream.

use crate::learn::endpoints::Count;
use crate::learn::endpoints::Over;
use crate::learn::endpoints::RpcBook;
use crate::learn::endpoints::Source;
use crate::learn::endpoints::Statement;
use crate::learn::endpoints::Unregistered;
use crate::learn::rpc_flow::Moment;
use crate::model::addr::Addr;
use crate::model::addr::Endpoint;
use crate::model::uuid::InterfaceId;
use crate::proto::dcerpc::Header;
use crate::proto::dcom;
use crate::proto::epm;
use crate::proto::epm::Place;
use crate::proto::ndr::Layout;

/// What a call is read as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reading {
    Mapper(epm::Operation),
    Dcom(dcom::Operation),
}

impl Reading {
    /// `None` if nobody reads this operation.
    pub(super) fn of(interface: InterfaceId, opnum: u16) -> Option<Self> {
        if interface.uuid == epm::INTERFACE {
            return epm::Operation::by_number(opnum).map(Self::Mapper);
        }
        dcom::Operation::by_number(interface.uuid, opnum).map(Self::Dcom)
    }
}

/// A call without all of its answer.
#[derive(Debug)]
pub(super) struct OpenCall {
    pub(super) id: u32,
    pub(super) reading: Reading,
    /// Under which transfer syntax, and in whose byte order the last fragment was sent.
    layout: Layout,
    question: Option<epm::Question>,
    request: Joined,
    answer: Joined,
}

/// Fragments of one direction.
#[derive(Debug, Default)]
struct Joined {
    stub: Vec<u8>,
    /// The first was seen, the last was not.
    open: bool,
    /// There was no room for all.
    cut: bool,
}

impl Joined {
    /// Adds a fragment; `true` if it was the last.
    fn add(&mut self, header: &Header, stub: &[u8], room: usize, book: &RpcBook) -> bool {
        if header.is_first() {
            *self = Self { open: true, ..Self::default() };
        }
        if !self.open {
            return false;
        }
        let taken = stub.get(..room).unwrap_or(stub);
        self.stub.extend_from_slice(taken);
        if taken.len() < stub.len() && !self.cut {
            self.cut = true;
            book.count(Count::CallsCut, 1);
        }
        self.open = !header.is_last();
        !self.open
    }
}

impl OpenCall {
    /// How many bytes of fragments it holds.
    pub(super) fn held(&self) -> usize {
        self.request.stub.capacity() + self.answer.stub.capacity()
    }

    pub(super) fn new(header: &Header, reading: Reading, wide: bool) -> Self {
        Self {
            id: header.call_id,
            reading,
            layout: Layout { little: header.little, wide },
            question: None,
            request: Joined::default(),
            answer: Joined::default(),
        }
    }

    /// How many bytes it keeps.
    pub(super) fn kept(&self) -> usize {
        self.request.stub.len() + self.answer.stub.len()
    }

    /// Whether a gap in what this part sent makes it unreadable.
    pub(super) fn lacks_piece_of(&self, client: bool) -> bool {
        if client { self.request.open } else { self.answer.open }
    }

    /// A fragment of the request. Of DCOM only answers are read.
    pub(super) fn request(&mut self, header: &Header, stub: &[u8], room: usize, book: &RpcBook) {
        let Reading::Mapper(epm::Operation::Map { plain }) = self.reading else { return };
        if self.request.add(header, stub, room, book) {
            let whole = std::mem::take(&mut self.request);
            self.question = epm::question(plain, &whole.stub, self.layout);
        }
    }

    /// A fragment of the response; `true` if it was the last.
    pub(super) fn response(&mut self, header: &Header, stub: &[u8], room: usize, book: &RpcBook) -> bool {
        self.layout.little = header.little;
        self.answer.add(header, stub, room, book)
    }

    /// Turns the whole answer, given by `server` to `client`, into statements.
    pub(super) fn learn(&self, server: Endpoint, client: Endpoint, at: Moment, book: &RpcBook) {
        match self.reading {
            Reading::Mapper(operation) => self.learn_towers(operation, server, client, at, book),
            Reading::Dcom(operation) => self.learn_bindings(operation, server, client, at, book),
        }
    }

    fn learn_towers(&self, operation: epm::Operation, server: Endpoint, client: Endpoint, at: Moment, book: &RpcBook) {
        let answer = epm::answer(operation, &self.answer.stub, self.layout);
        book.count(Count::MapperAnswers, 1);
        book.count(Count::MapperBroken, u64::from(answer.status.is_none()));
        for tower in answer.towers.iter().filter(|tower| tower.interface.uuid != epm::INTERFACE) {
            let Some((over, port)) = over(tower.place) else { continue };
            book.learn(&Statement {
                server: server.addr,
                over,
                port,
                interface: Some(tower.interface),
                source: match operation {
                    epm::Operation::Lookup => Source::EptLookup,
                    epm::Operation::Map { .. } => Source::EptMap,
                },
                client: client.addr,
                at,
                own: tower.addr.is_none_or(|named| is_own(named, server.addr)),
                pipe: None,
            });
        }
        if answer.promised == 0
            && answer.status == Some(epm::NOT_REGISTERED)
            && let Some(question) = self.question.filter(|question| !question.continued)
            && let Some(over) = carrier(question.tower.place)
        {
            let interface = question.tower.interface;
            book.unregistered(
                Unregistered { server: server.addr, mapper: server.port, client: client.addr, interface, over },
                at,
            );
        }
    }

    /// A server names each of its names and addresses with the same port. The port counts as its own if one of the names
    /// is no address, or is the one that the client contacted.
    fn learn_bindings(
        &self,
        operation: dcom::Operation,
        server: Endpoint,
        client: Endpoint,
        at: Moment,
        book: &RpcBook,
    ) {
        let bindings = dcom::bindings(operation, &self.answer.stub, self.layout);
        book.count(Count::DcomReplies, 1);
        for binding in bindings.iter().filter(|binding| binding.tower == dcom::TOWER_TCP) {
            // The port that was asked is the resolver's, not the object's.
            let Some(port) = binding.port.filter(|&port| port != 0 && port != server.port) else { continue };
            book.learn(&Statement {
                server: server.addr,
                over: Over::Tcp,
                port,
                interface: None,
                source: Source::Oxid,
                client: client.addr,
                at,
                own: match binding.host.parse() {
                    Ok(ip) => server.addr == Addr::from(std::net::IpAddr::V4(ip)) || !server.addr.is_v4(),
                    Err(_) => true,
                },
                pipe: None,
            });
        }
    }
}

/// Whether an address in a tower is the server's: 0.0.0.0 stands for it, and towers cannot hold IPv6.
fn is_own(named: [u8; 4], server: Addr) -> bool {
    named == [0; 4] || !server.is_v4() || Addr::v4(named) == server
}

/// A port that a client can connect to.
fn over(place: Place) -> Option<(Over, u16)> {
    let port = match place {
        Place::Tcp(port) | Place::Udp(port) | Place::Http(port) => port,
        Place::Pipe | Place::Other => 0,
    };
    carrier(place).filter(|_| port != 0).map(|over| (over, port))
}

fn carrier(place: Place) -> Option<Over> {
    match place {
        Place::Tcp(_) => Some(Over::Tcp),
        Place::Udp(_) => Some(Over::Udp),
        Place::Http(_) => Some(Over::Http),
        Place::Pipe | Place::Other => None,
    }
}
