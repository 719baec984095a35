//! Listens to one RPC conversation: binds, calls to the endpoint mapper and DCOM replies become knowledge.
//!
//! Bytes come in order, in pieces of any size. Client and server are told apart by the PDUs they send. Who begins in the
//! middle learns contexts when they are altered, and guesses none. This file must never know ports, nor what is allowed.

use std::collections::BTreeSet;
use std::collections::VecDeque;

use crate::learn::calls::OpenCall;
use crate::learn::calls::Reading;
use crate::learn::endpoints::Count;
use crate::learn::endpoints::Over;
use crate::learn::endpoints::RpcBook;
use crate::learn::endpoints::Source;
use crate::learn::endpoints::Statement;
use crate::learn::framing::Framer;
use crate::learn::framing::Pdu;
use crate::learn::knowledge::Knowledge;
use crate::learn::rpc_flow::Bound;
use crate::learn::rpc_flow::FAULTS_MAX;
use crate::learn::rpc_flow::Fault;
use crate::learn::rpc_flow::FlowId;
use crate::learn::rpc_flow::INTERFACES_MAX;
use crate::learn::rpc_flow::Moment;
use crate::learn::rpc_flow::OPNUMS_MAX;
use crate::learn::rpc_flow::Protection;
use crate::learn::rpc_flow::Rejected;
use crate::learn::rpc_flow::RpcFlow;
use crate::model::addr::Endpoint;
use crate::model::addr::FlowKey;
use crate::model::addr::Side;
use crate::model::app::Speaker;
use crate::model::ids::FrameId;
use crate::model::time::Timestamp;
use crate::model::transport::Transport;
use crate::model::uuid::InterfaceId;
use crate::proto::dcerpc;
use crate::proto::dcerpc::Auth;
use crate::proto::dcerpc::Body;
use crate::proto::dcerpc::Call;
use crate::proto::dcerpc::Datagram;
use crate::proto::dcerpc::Header;
use crate::proto::dcerpc::Kind;
use crate::proto::dcerpc::Offer;
use crate::proto::dcerpc::Reply;
use crate::proto::dcerpc::Transfer;
use crate::proto::epm;

/// Contexts of one conversation. Windows needs three for each interface.
pub const CONTEXTS_MAX: usize = 64;
/// Binds that wait for their answer.
pub const BINDS_MAX: usize = 4;
/// Calls that are read at a time; of more, the oldest is given up.
pub const CALLS_MAX: usize = 8;
/// Bytes of joined fragments of all open calls together.
pub const JOINED_MAX: usize = 64 << 10;

/// One RPC conversation. To be fed from its first byte on, or from where the capture begins.
#[derive(Debug)]
pub struct RpcSession {
    id: FlowId,
    framers: [Framer; 2],
    contexts: Vec<Context>,
    binds: VecDeque<Bind>,
    calls: VecDeque<OpenCall>,
    flow: RpcFlow,
    /// The flow shows something that the knowledge does not have yet.
    news: bool,
}

/// A presentation context.
#[derive(Debug)]
struct Context {
    number: u16,
    interface: InterfaceId,
    transfer: Transfer,
    accepted: bool,
    opnums: BTreeSet<u16>,
}

/// A bind or `alter_context` without its answer.
#[derive(Debug)]
struct Bind {
    call_id: u32,
    offers: Vec<Offer>,
}

/// What a PDU is judged with.
struct Scene<'a> {
    at: Moment,
    book: &'a RpcBook,
}

impl RpcSession {
    /// A conversation of which nothing was seen yet.
    pub fn new(key: FlowKey, first_frame: FrameId) -> Self {
        Self {
            id: FlowId { key, first_frame },
            framers: [Framer::default(), Framer::default()],
            contexts: Vec::new(),
            binds: VecDeque::new(),
            calls: VecDeque::new(),
            flow: RpcFlow::default(),
            news: false,
        }
    }

    /// Which flow this is.
    pub fn id(&self) -> FlowId {
        self.id
    }

    /// How many bytes it holds.
    pub fn held(&self) -> usize {
        let kept: usize = self.framers.iter().map(Framer::held).sum();
        kept + self.calls.iter().map(OpenCall::held).sum::<usize>()
    }

    /// The next bytes of one direction, each byte once and in order, as they came in `frame` at `ts`.
    pub fn stream(&mut self, from: Side, bytes: &[u8], ts: Timestamp, frame: FrameId, knowledge: &Knowledge) {
        let scene = Scene { at: Moment { ts, frame }, book: knowledge.rpc() };
        let mut framer = self.framers.get_mut(from.index()).map(std::mem::take).unwrap_or_default();
        let mut rest = bytes;
        let losses = framer.losses();
        framer.piece();
        while let Some(pdu) = framer.next(&mut rest, |header, head| self.wants(header, head)) {
            if !self.pdu(from, &pdu, &scene) {
                framer.lose();
                break;
            }
        }
        if framer.greeted() && !self.flow.http {
            self.flow.http = true;
            self.news = self.flow.first != Moment::default();
        }
        scene.book.count(Count::LostPlace, framer.losses() - losses);
        if let Some(place) = self.framers.get_mut(from.index()) {
            *place = framer;
        }
        self.publish(scene.book);
    }

    /// Bytes of one direction were lost. The next piece that begins with a PDU goes on.
    pub fn gap(&mut self, from: Side) {
        if let Some(framer) = self.framers.get_mut(from.index()) {
            framer.lose();
        }
        let by_client = self.flow.client == Some(from);
        self.calls.retain(|call| !call.lacks_piece_of(by_client));
    }

    /// A datagram of one end. A connectionless call names its interface itself, so there is nothing to join.
    pub fn datagram(&mut self, from: Side, bytes: &[u8], ts: Timestamp, frame: FrameId, knowledge: &Knowledge) {
        let scene = Scene { at: Moment { ts, frame }, book: knowledge.rpc() };
        let Some(datagram) = Datagram::read(bytes) else { return };
        scene.book.count(Count::Datagrams, 1);
        self.seen(&scene);
        match datagram.speaker {
            Speaker::Client => self.flow.client = self.flow.client.or(Some(from)),
            Speaker::Server => self.flow.client = self.flow.client.or(Some(from.other())),
            Speaker::Either => {}
        }
        if datagram.answers {
            self.accept(datagram.interface, BTreeSet::from([datagram.opnum]), &scene);
        }
        self.publish(scene.book);
    }

    /// Whether a call's fragment is to be gathered.
    fn wants(&self, header: &Header, head: &[u8]) -> bool {
        match header.kind {
            Kind::Request => dcerpc::call_head(header, head)
                .and_then(|(context, opnum)| Reading::of(self.context(context)?.interface, opnum))
                .is_some(),
            _ => self.calls.iter().any(|call| call.id == header.call_id),
        }
    }

    /// Takes a PDU. `false` if it cannot be one of this conversation.
    fn pdu(&mut self, from: Side, pdu: &Pdu, scene: &Scene) -> bool {
        let client = match pdu.header.kind.speaker() {
            Speaker::Server => from.other(),
            Speaker::Client | Speaker::Either => from,
        };
        if self.flow.client.is_some_and(|known| known != client) {
            return false;
        }
        self.flow.client = Some(client);
        self.seen(scene);
        let header = &pdu.header;
        if !pdu.whole {
            if let Some((context, opnum)) = dcerpc::call_head(header, pdu.bytes) {
                self.call_begins(header, context, opnum, scene);
            }
            return true;
        }
        let (body, auth) = dcerpc::body(header, pdu.bytes);
        match body {
            Body::Offers(offers) => self.bind(header, offers, auth, scene),
            Body::Replies { sec_addr, replies } => self.bind_answered(header, sec_addr, &replies, scene),
            Body::Refused(reason) => {
                self.binds.retain(|bind| bind.call_id != header.call_id);
                self.flow.refused.get_or_insert((reason, scene.at));
                self.news = true;
            }
            Body::Request(call) => self.request(header, &call, auth, scene),
            Body::Response(call) => self.response(header, &call, auth, scene),
            Body::Fault { context, status } => self.fault(header, context, status, scene),
            Body::Other => {}
        }
        true
    }

    fn seen(&mut self, scene: &Scene) {
        if self.flow.first == Moment::default() {
            self.flow.first = scene.at;
            self.news = true;
        }
    }

    fn publish(&mut self, book: &RpcBook) {
        if self.news {
            self.news = false;
            book.showed(self.id, &self.flow);
        }
    }

    fn context(&self, number: u16) -> Option<&Context> {
        self.contexts.iter().find(|context| context.number == number)
    }

    fn bind(&mut self, header: &Header, offers: Vec<Offer>, auth: Option<Auth>, scene: &Scene) {
        if let Some(Auth { kind: mechanism, level }) = auth {
            self.flow.protection = self.flow.protection.max(Some(Protection { level, mechanism }));
        }
        let mut room = CONTEXTS_MAX.saturating_sub(self.contexts.len());
        for offer in offers.iter().filter(|offer| offer.transfer != Transfer::Features) {
            let Offer { context: number, interface, transfer } = *offer;
            let fresh = || Context { number, interface, transfer, accepted: false, opnums: BTreeSet::new() };
            match self.contexts.iter_mut().find(|context| context.number == number) {
                Some(known) if known.interface == interface => {}
                Some(known) => *known = fresh(),
                None if room == 0 => scene.book.count(Count::FlowFull, 1),
                None => {
                    room -= 1;
                    self.contexts.push(fresh());
                }
            }
        }
        if self.binds.len() >= BINDS_MAX {
            self.binds.pop_front();
            scene.book.count(Count::FlowFull, 1);
        }
        self.binds.push_back(Bind { call_id: header.call_id, offers });
    }

    fn bind_answered(&mut self, header: &Header, sec_addr: &[u8], replies: &[Reply], scene: &Scene) {
        self.compare_port(sec_addr, scene);
        let Some(nth) = self.binds.iter().position(|bind| bind.call_id == header.call_id) else { return };
        let Some(bind) = self.binds.remove(nth) else { return };
        let pairs = || bind.offers.iter().zip(replies);
        for (offer, reply) in pairs() {
            if let Reply::Accepted(transfer) = reply {
                if let Some(context) = self.contexts.iter_mut().find(|context| context.number == offer.context) {
                    context.transfer = *transfer;
                }
                self.accept_context(offer.context, scene);
            }
        }
        for (offer, reply) in pairs() {
            let Reply::Rejected(result, reason) = *reply else { continue };
            self.contexts.retain(|context| context.number != offer.context || context.accepted);
            let known = self.flow.rejected.iter().any(|rejected| rejected.interface == offer.interface);
            if known || offer.transfer == Transfer::Features || self.flow.bound_to(offer.interface).is_some() {
                continue;
            }
            if self.flow.rejected.len() >= INTERFACES_MAX {
                scene.book.count(Count::FlowFull, 1);
                continue;
            }
            self.flow.rejected.push(Rejected { interface: offer.interface, at: scene.at, result, reason });
            self.news = true;
        }
    }

    /// The server names its own port. Another than the one connected to means that something between translates.
    fn compare_port(&mut self, sec_addr: &[u8], scene: &Scene) {
        let named = std::str::from_utf8(sec_addr).ok().and_then(|text| text.parse::<u16>().ok());
        let Some((server, _)) = self.ends() else { return };
        if let Some(port) = named.filter(|&port| port != server.port && port != 0)
            && self.flow.port_translated.is_none()
        {
            self.flow.port_translated = Some(port);
            scene.book.count(Count::PortTranslated, 1);
            self.news = true;
        }
    }

    /// The server took a context: it said so, or it answers a call under it.
    fn accept_context(&mut self, number: u16, scene: &Scene) {
        let Some(context) = self.contexts.iter_mut().find(|context| context.number == number) else { return };
        if std::mem::replace(&mut context.accepted, true) {
            return;
        }
        let (interface, opnums) = (context.interface, std::mem::take(&mut context.opnums));
        self.accept(interface, opnums, scene);
    }

    fn accept(&mut self, interface: InterfaceId, opnums: BTreeSet<u16>, scene: &Scene) {
        if let Some(bound) = self.flow.bound.iter_mut().find(|bound| bound.interface == interface) {
            for opnum in opnums {
                self.news |= bound.opnums.len() < OPNUMS_MAX && bound.opnums.insert(opnum);
            }
            return;
        }
        if self.flow.bound.len() >= INTERFACES_MAX {
            scene.book.count(Count::FlowFull, 1);
            return;
        }
        self.flow.bound.push(Bound { interface, at: scene.at, opnums });
        self.news = true;
        let over = self.over();
        if let Some((server, client)) = self.ends()
            && interface.uuid != epm::INTERFACE
        {
            scene.book.learn(&Statement {
                server: server.addr,
                over,
                port: server.port,
                interface: Some(interface),
                source: Source::Bind,
                client: client.addr,
                at: scene.at,
                own: true,
            });
        }
    }

    /// Server and client, once it is known who is who.
    fn ends(&self) -> Option<(Endpoint, Endpoint)> {
        let client = self.flow.client?;
        Some((self.id.key.end(client.other()), self.id.key.end(client)))
    }

    fn over(&self) -> Over {
        match (self.flow.http || self.framers.iter().any(Framer::greeted), self.id.key.transport) {
            (_, Transport::Udp) => Over::Udp,
            (true, _) => Over::Http,
            (false, _) => Over::Tcp,
        }
    }

    /// A request or response whose stub nobody reads, or whose stub is read elsewhere.
    fn call_begins(&mut self, header: &Header, number: u16, opnum: u16, scene: &Scene) {
        if header.kind == Kind::Response {
            self.accept_context(number, scene);
            return;
        }
        let Some(context) = self.contexts.iter_mut().find(|context| context.number == number) else { return };
        let opnums = match self.flow.bound.iter_mut().find(|bound| bound.interface == context.interface) {
            Some(bound) if context.accepted => &mut bound.opnums,
            _ => &mut context.opnums,
        };
        if opnums.contains(&opnum) {
            return;
        }
        if opnums.len() < OPNUMS_MAX {
            opnums.insert(opnum);
            self.news |= context.accepted;
        } else {
            scene.book.count(Count::FlowFull, 1);
        }
    }

    fn request(&mut self, header: &Header, call: &Call, auth: Option<Auth>, scene: &Scene) {
        self.call_begins(header, call.context, call.opnum, scene);
        let Some(context) = self.context(call.context) else { return };
        let Some(reading) = Reading::of(context.interface, call.opnum) else { return };
        if auth.is_some_and(|auth| auth.level == dcerpc::PRIVACY) {
            self.sealed(reading, scene);
            return;
        }
        if header.is_first() {
            let wide = context.transfer == Transfer::Ndr64;
            self.calls.retain(|call| call.id != header.call_id);
            if self.calls.len() >= CALLS_MAX {
                self.calls.pop_front();
                scene.book.count(Count::CallsOver, 1);
            }
            self.calls.push_back(OpenCall::new(header, reading, wide));
        }
        let room = self.room();
        if let Some(open) = self.calls.iter_mut().find(|call| call.id == header.call_id) {
            open.request(header, call.stub, room, scene.book);
        }
    }

    fn response(&mut self, header: &Header, call: &Call, auth: Option<Auth>, scene: &Scene) {
        self.call_begins(header, call.context, call.opnum, scene);
        let Some(nth) = self.calls.iter().position(|open| open.id == header.call_id) else { return };
        if auth.is_some_and(|auth| auth.level == dcerpc::PRIVACY) {
            if let Some(open) = self.calls.remove(nth) {
                self.sealed(open.reading, scene);
            }
            return;
        }
        let room = self.room();
        if let Some(open) = self.calls.get_mut(nth)
            && open.response(header, call.stub, room, scene.book)
            && let Some(open) = self.calls.remove(nth)
            && let Some((server, client)) = self.ends()
        {
            open.learn(server, client, scene.at, scene.book);
        }
    }

    fn fault(&mut self, header: &Header, context: u16, status: u32, scene: &Scene) {
        self.calls.retain(|call| call.id != header.call_id);
        let interface = self.context(context).map(|context| context.interface);
        let faults = &mut self.flow.faults;
        if let Some(known) = faults.iter_mut().find(|fault| (fault.status, fault.interface) == (status, interface)) {
            known.calls = known.calls.saturating_add(1);
        } else if faults.len() < FAULTS_MAX {
            faults.push(Fault { status, interface, at: scene.at, calls: 1 });
        } else {
            scene.book.count(Count::FlowFull, 1);
            return;
        }
        self.news = true;
    }

    fn sealed(&mut self, reading: Reading, scene: &Scene) {
        let (place, count) = match reading {
            Reading::Mapper(_) => (&mut self.flow.mapper_sealed, Count::MapperSealed),
            Reading::Dcom(_) => (&mut self.flow.dcom_sealed, Count::DcomSealed),
        };
        if place.is_none() {
            *place = Some(scene.at);
            scene.book.count(count, 1);
            self.news = true;
        }
    }

    /// How many bytes of fragments may still be kept.
    fn room(&self) -> usize {
        JOINED_MAX.saturating_sub(self.calls.iter().map(OpenCall::kept).sum())
    }
}
