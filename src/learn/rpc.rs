//! Listens to one RPC conversation: binds, calls to the endpoint mapper and DCOM replies become knowledge.
//!
//! Bytes come in order, in pieces of any size. Client and server are told apart by the PDUs they send. Who begins in the
//! middle learns contexts when they are altered, and guesses none. In a named pipe it is the same; who follows the pipe
//! asks for what is new. This file must never know ports, nor what is allowed.

use std::collections::BTreeSet;
use std::collections::VecDeque;

use prefetch_index::prefetch_index;

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
use crate::learn::names::Names;
use crate::learn::names::Proof;
use crate::learn::names::Seen;
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
use crate::model::uuid::Uuid;
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

/// The interface of the directory's replication, which domain controllers offer (MS-DRSR section 1.9), and AD LDS.
const DRSUAPI: Uuid =
    Uuid([0xe3, 0x51, 0x42, 0x35, 0x4b, 0x06, 0x11, 0xd1, 0xab, 0x04, 0x00, 0xc0, 0x4f, 0xc2, 0xdc, 0xd2]);

/// Contexts of one conversation. Windows needs three for each interface.
pub const CONTEXTS_MAX: usize = 64;
/// Binds that wait for their answer.
pub const BINDS_MAX: usize = 4;
/// Calls that are read at a time; of more, the oldest is given up.
pub const CALLS_MAX: usize = 8;
/// So often may something that is no PDU stand where one has to begin, before a conversation is given up.
pub const LOSSES_MAX: u64 = 2;
/// So many gaps in a row, with no whole PDU between them, and a conversation is given up: what was captured of it is not
/// enough to follow it.
pub const GAPS_MAX: u32 = 8;
/// So many pieces in a row that begin no PDU, where the place was lost, and a conversation is given up.
pub const GUESSES_MAX: u32 = 32;
/// Bytes of joined fragments of all open calls together.
pub const JOINED_MAX: usize = 64 << 10;

/// One RPC conversation. To be fed from its first byte on, or from where the capture begins.
#[derive(Debug)]
pub struct RpcSession {
    id: FlowId,
    /// The name of the pipe that it is in, which may be empty.
    pipe: Option<String>,
    framers: [Framer; 2],
    contexts: Vec<Context>,
    binds: VecDeque<Bind>,
    calls: VecDeque<OpenCall>,
    flow: RpcFlow,
    /// PDUs that could not be read.
    unread: u64,
    /// Gaps since the last whole PDU.
    gaps: u32,
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
    opnums: Vec<u16>,
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
    names: &'a Names,
}

impl RpcSession {
    /// A conversation of which nothing was seen yet.
    pub fn new(key: FlowKey, first_frame: FrameId) -> Self {
        Self {
            id: FlowId { key, first_frame },
            pipe: None,
            framers: [Framer::default(), Framer::default()],
            contexts: Vec::new(),
            binds: VecDeque::new(),
            calls: VecDeque::new(),
            flow: RpcFlow::default(),
            unread: 0,
            gaps: 0,
            news: false,
        }
    }

    /// The same in a pipe of this name, which may be empty if it is not known.
    pub(super) fn in_pipe(id: FlowId, name: String) -> Self {
        Self { pipe: Some(name), ..Self::new(id.key, id.first_frame) }
    }

    /// All that a conversation in a pipe showed so far, if some of it is new since this was last asked.
    pub(super) fn news(&mut self) -> Option<&RpcFlow> {
        std::mem::take(&mut self.news).then_some(&self.flow)
    }

    /// Which flow this is.
    pub fn id(&self) -> FlowId {
        self.id
    }

    /// Asks for what any further bytes are looked at with.
    pub fn prefetch(&self) {
        prefetch_index(&self.framers, 0);
        prefetch_index(&self.framers, 1);
        prefetch_index(std::slice::from_ref(&self.news), 0);
    }

    /// How many bytes it holds.
    pub fn held(&self) -> usize {
        let kept: usize = self.framers.iter().map(Framer::held).sum();
        kept + self.calls.iter().map(OpenCall::held).sum::<usize>()
    }

    /// Whether its place was lost so often that following it is in vain.
    pub fn is_lost(&self) -> bool {
        self.unread + self.framers.iter().map(Framer::losses).sum::<u64>() >= LOSSES_MAX
            || self.gaps >= GAPS_MAX
            || self.framers.iter().any(|framer| framer.guesses() >= GUESSES_MAX)
    }

    /// The next bytes of one direction, each byte once and in order, as they came in `frame` at `ts`.
    pub fn stream(&mut self, from: Side, bytes: &[u8], ts: Timestamp, frame: FrameId, knowledge: &Knowledge) {
        let scene = Scene { at: Moment { ts, frame }, book: knowledge.rpc(), names: knowledge.names() };
        let mut framer = self.framers.get_mut(from.index()).map(std::mem::take).unwrap_or_default();
        let mut rest = bytes;
        let losses = framer.losses();
        framer.piece();
        while let Some(pdu) = framer.next(&mut rest, |header, head| self.wants(header, head)) {
            if !self.pdu(from, &pdu, &scene) {
                framer.lose();
                self.unread += 1;
                break;
            }
        }
        if framer.greeted() && !self.flow.http {
            self.flow.http = true;
            self.news = self.flow.first != Moment::default();
        }
        if framer.losses() > losses {
            scene.book.count(Count::LostPlace, framer.losses() - losses);
        }
        if let Some(place) = self.framers.get_mut(from.index()) {
            *place = framer;
        }
        self.publish(scene.book);
    }

    /// Bytes of one direction were lost. The next piece that begins with a PDU goes on.
    pub fn gap(&mut self, from: Side) {
        self.gaps += 1;
        if let Some(framer) = self.framers.get_mut(from.index()) {
            framer.lose();
        }
        let by_client = self.flow.client == Some(from);
        self.calls.retain(|call| !call.lacks_piece_of(by_client));
    }

    /// A datagram of one end. A connectionless call names its interface itself, so there is nothing to join.
    pub fn datagram(&mut self, from: Side, bytes: &[u8], ts: Timestamp, frame: FrameId, knowledge: &Knowledge) {
        let scene = Scene { at: Moment { ts, frame }, book: knowledge.rpc(), names: knowledge.names() };
        let Some(datagram) = Datagram::read(bytes) else { return };
        scene.book.count(Count::Datagrams, 1);
        self.seen(&scene);
        match datagram.speaker {
            Speaker::Client => self.flow.client = self.flow.client.or(Some(from)),
            Speaker::Server => self.flow.client = self.flow.client.or(Some(from.other())),
            Speaker::Either => {}
        }
        if datagram.answers {
            self.accept(datagram.interface, vec![datagram.opnum], &scene);
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
        self.gaps = 0;
        let (body, auth) = dcerpc::body(header, pdu.bytes);
        match body {
            Body::Offers(offers) => self.bind(header, offers, auth, scene),
            Body::Replies { sec_addr, replies } => self.bind_answered(header, sec_addr, &replies, scene),
            Body::Refused(reason) => {
                self.binds.retain(|bind| bind.call_id != header.call_id);
                self.answered();
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
        if self.news && self.pipe.is_none() {
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
        let features = |offer: &&Offer| offer.transfer != Transfer::Features;
        let unknown = |interface: &InterfaceId| self.flow.bound_to(*interface).is_none();
        let offered: BTreeSet<_> =
            offers.iter().filter(features).map(|offer| offer.interface).filter(unknown).collect();
        if !offered.is_empty() {
            self.flow.offered = Some((scene.at, offered));
            self.news = true;
        }
        let mut room = CONTEXTS_MAX.saturating_sub(self.contexts.len());
        for offer in offers.iter().filter(features) {
            let Offer { context: number, interface, transfer } = *offer;
            let fresh = || Context { number, interface, transfer, accepted: false, opnums: Vec::new() };
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
        self.answered();
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

    /// Nothing that was offered waits for an answer any more.
    fn answered(&mut self) {
        if self.binds.is_empty() {
            self.flow.offered = None;
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
        if let Some((_, offered)) = &mut self.flow.offered {
            offered.remove(&interface);
        }
        self.flow.offered.take_if(|(_, offered)| offered.is_empty());
        self.accept(interface, opnums, scene);
    }

    fn accept(&mut self, interface: InterfaceId, opnums: Vec<u16>, scene: &Scene) {
        if let Some(bound) = self.flow.bound.iter_mut().find(|bound| bound.interface == interface) {
            for opnum in opnums {
                self.news |= add(&mut bound.opnums, opnum, scene.book);
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
            if interface.uuid == DRSUAPI {
                let seen = Seen { at: scene.at.ts, frame: scene.at.frame };
                scene.names.controller(server.addr, Proof::Replication, seen);
            }
            scene.book.learn(&Statement {
                server: server.addr,
                over,
                port: server.port,
                interface: Some(interface),
                source: Source::Bind,
                client: client.addr,
                at: scene.at,
                own: true,
                pipe: self.pipe.as_deref(),
            });
        }
    }

    /// Server and client, once it is known who is who.
    fn ends(&self) -> Option<(Endpoint, Endpoint)> {
        let client = self.flow.client?;
        Some((self.id.key.end(client.other()), self.id.key.end(client)))
    }

    fn over(&self) -> Over {
        if self.pipe.is_some() {
            return Over::Pipe;
        }
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
        self.news |= add(opnums, opnum, scene.book) && context.accepted;
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
        scene.book.count(Count::Faults, 1);
        if faults.iter().any(|fault| (fault.status, fault.interface) == (status, interface)) {
            return;
        }
        if faults.len() >= FAULTS_MAX {
            scene.book.count(Count::FlowFull, 1);
            return;
        }
        faults.push(Fault { status, interface, at: scene.at });
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

/// Adds an operation to those of one interface, in order. Whether it is new and had room.
fn add(opnums: &mut Vec<u16>, opnum: u16, book: &RpcBook) -> bool {
    let Err(place) = opnums.binary_search(&opnum) else { return false };
    if opnums.len() >= OPNUMS_MAX {
        book.count(Count::FlowFull, 1);
        return false;
    }
    opnums.insert(place, opnum);
    true
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop here")]

    use super::*;
    use crate::learn::endpoints::Learned;
    use crate::learn::grade::Endpoints;
    use crate::model::addr::Addr;
    use crate::proto::craft;
    use crate::proto::craft::DRSUAPI;
    use crate::proto::craft::SVCCTL;
    use crate::proto::ndr::Layout;

    const SERVER: [u8; 4] = [10, 0, 0, 10];
    const CLIENT: [u8; 4] = [10, 0, 0, 50];
    const TCP: u8 = 0x07;
    const WIDE: Layout = Layout { little: true, wide: true };
    const PLAIN: Layout = Layout { little: true, wide: false };
    const BIG: Layout = Layout { little: false, wide: false };

    /// A conversation under test, and what was learned from it.
    struct Talk {
        session: RpcSession,
        knowledge: Knowledge,
        client: Side,
        frame: u64,
    }

    impl Talk {
        fn to(port: u16) -> Self {
            let (key, client) = FlowKey::of(Addr::v4(CLIENT), 50_000, Addr::v4(SERVER), port, Transport::Tcp);
            let session = RpcSession::new(key, FrameId::new(0, 1));
            Self { session, knowledge: Knowledge::new(), client, frame: 1 }
        }

        /// Says something in pieces of this many bytes, one frame each.
        fn say(&mut self, from: Side, bytes: &[u8], piece: usize) {
            for bytes in bytes.chunks(piece) {
                self.frame += 1;
                let at = Timestamp(self.frame * 1_000_000);
                self.session.stream(from, bytes, at, FrameId::new(0, self.frame), &self.knowledge);
            }
        }

        fn ask(&mut self, bytes: &[u8]) {
            self.say(self.client, bytes, usize::MAX);
        }

        fn answer(&mut self, bytes: &[u8]) {
            self.say(self.client.other(), bytes, usize::MAX);
        }

        fn bind(&mut self, interface: InterfaceId, layout: Layout) {
            let little = layout.little;
            let offers = [(0, interface, craft::NDR), (1, interface, craft::NDR64), (2, interface, craft::FEATURES)];
            let (plain, wide) = if layout.wide { ((2, 2), (0, 0)) } else { ((0, 0), (2, 2)) };
            let results = [(plain.0, plain.1, craft::NDR), (wide.0, wide.1, craft::NDR64), (3, 3, craft::FEATURES)];
            self.ask(&craft::bind(little, craft::BIND, 1, &offers));
            self.answer(&craft::bind_ack(little, craft::BIND_ACK, 1, "135", &results));
        }

        fn learned(&self) -> Endpoints {
            self.knowledge.endpoints()
        }
    }

    fn context(layout: Layout) -> u16 {
        u16::from(layout.wide)
    }

    fn map_request(layout: Layout, call_id: u32) -> Vec<u8> {
        let stub = craft::map_request(layout, &craft::tower(DRSUAPI, TCP, 0, [0; 4]), false);
        let body = craft::call(layout.little, context(layout), 3, &stub);
        craft::pdu(layout.little, craft::REQUEST, craft::WHOLE, call_id, &body, None)
    }

    fn towers() -> Vec<Vec<u8>> {
        vec![
            craft::tower(DRSUAPI, TCP, 49_668, SERVER),
            craft::tower(DRSUAPI, TCP, 49_670, [0; 4]),
            craft::tower(craft::EPM, TCP, 135, SERVER),
            craft::tower(DRSUAPI, TCP, 0, SERVER),
            craft::tower(SVCCTL, TCP, 49_680, [192, 168, 0, 1]),
        ]
    }

    fn map_reply(layout: Layout, call_id: u32, level: Option<u8>) -> Vec<u8> {
        let body = craft::call(layout.little, context(layout), 0, &craft::map_reply(layout, &towers(), 0));
        craft::pdu(layout.little, craft::RESPONSE, craft::WHOLE, call_id, &body, level)
    }

    fn ports(learned: &Endpoints) -> Vec<(u16, Source, bool)> {
        learned.ports().flat_map(|(_, _, port, all)| all.iter().map(move |l| (port, l.source, l.own))).collect()
    }

    const MAPPED: [(u16, Source, bool); 3] =
        [(49_668, Source::EptMap, true), (49_670, Source::EptMap, true), (49_680, Source::EptMap, false)];

    #[test]
    fn a_mapped_port_is_learned_with_who_was_told_and_when() {
        for layout in [PLAIN, WIDE, BIG] {
            let mut talk = Talk::to(135);
            talk.bind(craft::EPM, layout);
            talk.ask(&map_request(layout, 2));
            talk.answer(&map_reply(layout, 2, None));
            let learned = talk.learned();
            assert_eq!(ports(&learned), MAPPED, "{layout:?}");
            let [of_port]: &[Learned] = learned.at(Addr::v4(SERVER), Over::Tcp, 49_668) else { unreachable!() };
            let at = Moment { ts: Timestamp(5_000_000), frame: FrameId::new(0, 5) };
            assert_eq!((of_port.interface, of_port.first, of_port.last), (Some(DRSUAPI), at, at));
            assert!(of_port.clients().eq([Addr::v4(CLIENT)]));
            let flow = learned.flow(talk.session.id()).unwrap();
            assert_eq!(flow.bound.len(), 1);
            assert_eq!((flow.bound[0].interface, &flow.bound[0].opnums), (craft::EPM, &vec![3]));
            assert_eq!((flow.client, flow.rejected.len(), flow.port_translated), (Some(talk.client), 0, None));
        }
    }

    #[test]
    fn segmentation_does_not_matter() {
        for layout in [PLAIN, WIDE, BIG] {
            for piece in [1, 2, 3, 15, 16, 17, 23, 24, 25, 100, 10_000] {
                let mut talk = Talk::to(135);
                talk.bind(craft::EPM, layout);
                let unread = craft::pdu(
                    layout.little,
                    craft::REQUEST,
                    craft::WHOLE,
                    9,
                    &craft::call(layout.little, context(layout), 4, &[5; 3000]),
                    None,
                );
                let (client, server) = (talk.client, talk.client.other());
                talk.say(client, &[unread, map_request(layout, 2), map_request(layout, 3)].concat(), piece);
                talk.say(server, &[map_reply(layout, 2, Some(5)), map_reply(layout, 3, None)].concat(), piece);
                let learned = talk.learned();
                assert_eq!(ports(&learned), MAPPED, "{layout:?} {piece}");
                assert_eq!(learned.count(Count::MapperAnswers), 2);
                assert_eq!(learned.count(Count::LostPlace), 0);
            }
        }
    }

    #[test]
    fn fragments_are_joined_and_a_lost_one_voids_the_call() {
        let stub = craft::map_reply(PLAIN, &towers(), 0);
        let fragments: Vec<Vec<u8>> = stub
            .chunks(100)
            .enumerate()
            .map(|(nth, piece)| {
                let flags = u8::from(nth == 0) | if nth == stub.chunks(100).count() - 1 { 2 } else { 0 };
                craft::pdu(true, craft::RESPONSE, flags, 2, &craft::call(true, 0, 0, piece), Some(5))
            })
            .collect();
        assert!(fragments.len() > 3);
        for lost in [None, Some(0), Some(1), Some(fragments.len() - 1)] {
            let mut talk = Talk::to(135);
            talk.bind(craft::EPM, PLAIN);
            talk.ask(&map_request(PLAIN, 2));
            for (nth, fragment) in fragments.iter().enumerate() {
                if Some(nth) == lost {
                    talk.session.gap(talk.client.other());
                } else {
                    talk.answer(fragment);
                }
            }
            let learned = talk.learned();
            assert_eq!(ports(&learned).len(), if lost.is_none() { MAPPED.len() } else { 0 }, "{lost:?}");
        }
    }

    #[test]
    fn after_a_gap_the_next_pdu_goes_on() {
        let mut talk = Talk::to(135);
        talk.bind(craft::EPM, PLAIN);
        talk.ask(&map_request(PLAIN, 2)[..50]);
        talk.session.gap(talk.client);
        talk.ask(b"the rest of something");
        talk.ask(&map_request(PLAIN, 3));
        talk.answer(&map_reply(PLAIN, 3, None));
        let learned = talk.learned();
        assert_eq!(ports(&learned), MAPPED);
        assert_eq!(learned.count(Count::LostPlace), 0, "a gap is no loss of place");
    }

    #[test]
    fn an_absent_interface_is_told_from_the_end_of_a_search() {
        for (continued, wanted) in [(false, 1), (true, 0)] {
            let mut talk = Talk::to(135);
            talk.bind(craft::EPM, PLAIN);
            let stub = craft::map_request(PLAIN, &craft::tower(DRSUAPI, TCP, 0, [0; 4]), continued);
            talk.ask(&craft::pdu(true, craft::REQUEST, craft::WHOLE, 2, &craft::call(true, 0, 3, &stub), None));
            let stub = craft::map_reply(PLAIN, &[], epm::NOT_REGISTERED);
            talk.answer(&craft::pdu(true, craft::RESPONSE, craft::WHOLE, 2, &craft::call(true, 0, 0, &stub), None));
            let learned = talk.learned();
            assert_eq!(learned.unregistered().len(), wanted);
            for (question, asked) in learned.unregistered() {
                assert_eq!((question.interface, question.over, asked.answers), (DRSUAPI, Over::Tcp, 1));
                assert_eq!((question.server, question.client), (Addr::v4(SERVER), Addr::v4(CLIENT)));
            }
        }
    }

    #[test]
    fn encrypted_questions_are_counted_once_and_not_guessed_at() {
        let mut talk = Talk::to(135);
        talk.bind(craft::EPM, PLAIN);
        let body = craft::call(true, 0, 3, &[0x77; 120]);
        for call_id in [2, 3] {
            talk.ask(&craft::pdu(true, craft::REQUEST, craft::WHOLE, call_id, &body, Some(dcerpc::PRIVACY)));
            talk.answer(&map_reply(PLAIN, call_id, Some(dcerpc::PRIVACY)));
        }
        let learned = talk.learned();
        assert_eq!((ports(&learned), learned.count(Count::MapperSealed)), (vec![], 1));
        assert!(learned.flow(talk.session.id()).unwrap().mapper_sealed.is_some());
    }

    #[test]
    fn dcom_replies_give_ports_without_interface() {
        for (interface, opnum, stub) in [
            (craft::RESOLVER, 4, craft::resolve_reply(PLAIN, &["DC1[49700]", "10.0.0.10[49700]", "x[135]"])),
            (craft::ACTIVATOR, 4, craft::create_reply(PLAIN, &["10.0.0.9[49700]", "10.0.0.10[49700]"], false)),
        ] {
            let mut talk = Talk::to(135);
            talk.bind(interface, PLAIN);
            talk.ask(&craft::pdu(true, craft::REQUEST, craft::WHOLE, 2, &craft::call(true, 0, opnum, &[1; 40]), None));
            talk.answer(&craft::pdu(true, craft::RESPONSE, craft::WHOLE, 2, &craft::call(true, 0, 0, &stub), None));
            let wanted = [(135, Source::Bind, true), (49_700, Source::Oxid, true)];
            assert_eq!(ports(&talk.learned()), wanted);
        }
    }

    #[test]
    fn who_comes_in_the_middle_learns_by_altered_contexts_only() {
        let mut talk = Talk::to(135);
        talk.ask(&map_request(PLAIN, 2));
        talk.answer(&map_reply(PLAIN, 2, None));
        assert_eq!(ports(&talk.learned()), []);
        assert!(talk.learned().flow(talk.session.id()).unwrap().bound.is_empty());
        talk.ask(&craft::bind(true, craft::ALTER, 3, &[(0, craft::EPM, craft::NDR)]));
        talk.answer(&craft::bind_ack(true, craft::ALTER_RESP, 3, "", &[(0, 0, craft::NDR)]));
        talk.ask(&map_request(PLAIN, 4));
        talk.answer(&map_reply(PLAIN, 4, None));
        assert_eq!(ports(&talk.learned()), MAPPED);
    }

    #[test]
    fn an_answered_call_proves_its_context_where_the_acknowledgement_is_missing() {
        let mut talk = Talk::to(49_668);
        talk.ask(&craft::bind(true, craft::BIND, 1, &[(0, DRSUAPI, craft::NDR)]));
        talk.ask(&craft::pdu(true, craft::REQUEST, craft::WHOLE, 2, &craft::call(true, 0, 12, &[1; 40]), None));
        let learned = talk.learned();
        assert_eq!(ports(&learned), []);
        let offered = learned.flow(talk.session.id()).unwrap().offered.clone();
        assert_eq!(offered.map(|(_, interfaces)| interfaces), Some(BTreeSet::from([DRSUAPI])));
        talk.answer(&craft::pdu(true, craft::RESPONSE, craft::WHOLE, 2, &craft::call(true, 0, 0, &[1; 40]), None));
        assert_eq!(ports(&talk.learned()), [(49_668, Source::Bind, true)]);
        let learned = talk.learned();
        assert_eq!(learned.flow(talk.session.id()).unwrap().offered, None);
        assert_eq!(learned.flow(talk.session.id()).unwrap().bound[0].opnums, [12]);
    }

    #[test]
    fn refusals_of_every_kind_are_kept() {
        let mut talk = Talk::to(49_668);
        talk.ask(&craft::bind(true, craft::BIND, 1, &[(0, DRSUAPI, craft::NDR), (1, SVCCTL, craft::NDR)]));
        let results = [(2, 1, craft::NDR), (0, 0, craft::NDR)];
        talk.answer(&craft::bind_ack(true, craft::BIND_ACK, 1, "49999", &results));
        for call_id in [2, 3] {
            talk.ask(&craft::pdu(
                true,
                craft::REQUEST,
                craft::WHOLE,
                call_id,
                &craft::call(true, 1, 15, &[0; 8]),
                None,
            ));
            talk.answer(&craft::fault(true, call_id, 1, 5));
        }
        let learned = talk.learned();
        let flow = learned.flow(talk.session.id()).unwrap();
        let [rejected] = flow.rejected.as_slice() else { unreachable!() };
        assert_eq!((rejected.interface, rejected.result, rejected.reason), (DRSUAPI, 2, 1));
        let [fault] = flow.faults.as_slice() else { unreachable!() };
        assert_eq!((fault.status, fault.interface, learned.count(Count::Faults)), (5, Some(SVCCTL), 2));
        assert_eq!(flow.port_translated, Some(49_999));
        assert_eq!(ports(&learned), [(49_668, Source::Bind, true)]);

        let mut talk = Talk::to(49_668);
        talk.ask(&craft::bind(true, craft::BIND, 1, &[(0, DRSUAPI, craft::NDR)]));
        talk.answer(&craft::pdu(true, craft::BIND_NAK, 3, 1, &[4, 0, 1, 5, 0], None));
        let learned = talk.learned();
        assert_eq!(learned.flow(talk.session.id()).unwrap().refused.map(|(reason, _)| reason), Some(4));
        assert_eq!(learned.flow(talk.session.id()).unwrap().offered, None);
        assert_eq!(ports(&learned), []);
    }

    #[test]
    fn the_greeting_of_rpc_over_http_is_passed_over() {
        for piece in [1, 5, 14, 200] {
            let mut talk = Talk::to(49_668);
            let server = talk.client.other();
            talk.say(server, b"ncacn_http/1.0", piece);
            talk.ask(&craft::bind(true, craft::BIND, 1, &[(0, DRSUAPI, craft::NDR)]));
            talk.say(server, &craft::bind_ack(true, craft::BIND_ACK, 1, "49668", &[(0, 0, craft::NDR)]), piece);
            let learned = talk.learned();
            assert_eq!(learned.at(Addr::v4(SERVER), Over::Http, 49_668).len(), 1, "{piece}");
            assert!(learned.flow(talk.session.id()).unwrap().http);
        }
    }

    #[test]
    fn datagrams_tell_their_interface_when_answered() {
        let (key, client) = FlowKey::of(Addr::v4(CLIENT), 50_000, Addr::v4(SERVER), 2000, Transport::Udp);
        let mut session = RpcSession::new(key, FrameId::new(0, 1));
        let knowledge = Knowledge::new();
        let mut answer = [[4, 2, 0, 0, 0x10, 0, 0, 0].as_slice(), &[1; 72]].concat();
        answer.splice(74..76, [0, 0]);
        session.datagram(client, &answer[..79], Timestamp(1), FrameId::new(0, 1), &knowledge);
        assert_eq!(knowledge.endpoints().flows().count(), 0);
        session.datagram(client.other(), &answer, Timestamp(2), FrameId::new(0, 2), &knowledge);
        assert_eq!(knowledge.endpoints().at(Addr::v4(SERVER), Over::Udp, 2000).len(), 1);
    }

    #[test]
    fn memory_stays_bounded_and_what_is_given_up_is_counted() {
        let mut talk = Talk::to(135);
        talk.bind(craft::EPM, PLAIN);
        for call_id in 0..20 {
            let body = craft::call(true, 0, 3, &[0; 5000]);
            talk.ask(&craft::pdu(true, craft::REQUEST, 1, call_id, &body, None));
            for _ in 0..20 {
                talk.ask(&craft::pdu(true, craft::REQUEST, 0, call_id, &body, None));
            }
            let kept: usize = talk.session.calls.iter().map(OpenCall::kept).sum();
            assert!(talk.session.calls.len() <= CALLS_MAX && kept <= JOINED_MAX);
        }
        for call_id in 0..10 {
            let offers: Vec<_> = (0..64).map(|nth| (call_id * 64 + nth, SVCCTL, craft::NDR)).collect();
            talk.ask(&craft::bind(true, craft::ALTER, call_id.into(), &offers));
            assert!(talk.session.contexts.len() <= CONTEXTS_MAX && talk.session.binds.len() <= BINDS_MAX);
        }
        let learned = talk.learned();
        assert_eq!(learned.count(Count::CallsOver), 12);
        assert!(learned.count(Count::CallsCut) > 0 && learned.count(Count::FlowFull) > 0);
    }

    #[test]
    fn flipped_bits_neither_panic_nor_lose_more_than_the_connection() {
        let pdus = |talk: &Talk| {
            let client = talk.client;
            let bind = craft::bind(true, craft::BIND, 1, &[(0, craft::EPM, craft::NDR)]);
            let ack = craft::bind_ack(true, craft::BIND_ACK, 1, "135", &[(0, 0, craft::NDR)]);
            let (request, reply) = (map_request(PLAIN, 2), map_reply(PLAIN, 2, None));
            [(client, bind), (client.other(), ack), (client, request), (client.other(), reply)]
        };
        for wrong in 0..4 {
            let bits = pdus(&Talk::to(135))[wrong].1.len() * 8;
            for bit in 0..bits {
                let mut talk = Talk::to(135);
                for (nth, (from, mut bytes)) in pdus(&talk).into_iter().enumerate() {
                    if nth == wrong {
                        bytes[bit / 8] ^= 1 << (bit % 8);
                    }
                    talk.say(from, &bytes, 64);
                }
                assert!(ports(&talk.learned()).len() <= MAPPED.len() + 1);
            }
        }
    }

    #[test]
    fn who_takes_calls_for_replication_is_a_domain_controller() {
        for (interface, controllers) in [(DRSUAPI, 1), (SVCCTL, 0)] {
            let mut talk = Talk::to(49_668);
            talk.ask(&craft::bind(true, craft::BIND, 1, &[(0, interface, craft::NDR)]));
            assert_eq!(talk.knowledge.names().controllers().len(), 0, "to ask for it is no proof");
            talk.answer(&craft::bind_ack(true, craft::BIND_ACK, 1, "49668", &[(0, 0, craft::NDR)]));
            let known = talk.knowledge.names().controllers();
            assert_eq!(known.len(), controllers);
            assert!(known.iter().all(|known| (known.addr, known.proof) == (Addr::v4(SERVER), Proof::Replication)));
        }
    }

    #[test]
    fn what_both_ends_cannot_send_is_no_pdu() {
        let mut talk = Talk::to(49_668);
        talk.ask(&craft::bind(true, craft::BIND, 1, &[(0, DRSUAPI, craft::NDR)]));
        talk.ask(&craft::bind_ack(true, craft::BIND_ACK, 1, "49668", &[(0, 0, craft::NDR)]));
        assert_eq!(ports(&talk.learned()), []);
    }
}
