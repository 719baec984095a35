//! Listening to payload: the first bytes of each direction of a flow, in order, until they are known or will not be.
//!
//! A flow whose first segments decide costs one look and no memory. Only what is undecided, or may still tell
//! something about others, is kept, and that has a bound: the flow that waits longest is given up first.

use std::collections::HashMap;
use std::collections::VecDeque;

use foldhash::fast::RandomState;

use crate::decode::packet::Layer;
use crate::decode::packet::Packet;
use crate::flow::record::Flow;
use crate::flow::record::SYN;
use crate::flow::speech::Speech;
use crate::flow::stream::Stream;
use crate::flow::table::FlowIndex;
use crate::flow::table::Table;
use crate::learn::knowledge::Knowledge;
use crate::learn::rpc::RpcSession;
use crate::learn::rpc_flow::FlowId;
use crate::model::addr::Side;
use crate::model::app::AppProto;
use crate::model::app::ProtoSet;
use crate::model::app::Said;
use crate::model::ids::FrameId;
use crate::model::transport::Transport;
use crate::proto::OPENING_MAX;
use crate::proto::recognise;

/// Flows of one table that are listened to at the same time.
const TALKS_MAX: usize = 4096;

/// Bytes that those flows may hold.
const HELD_MAX: usize = 4 << 20;

/// Pieces of one direction that are looked at where its beginning was not captured, and datagrams of one direction
/// that may still tell what they are.
const PIECES_MAX: u8 = 8;

/// What listening cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct EarCounts {
    /// Flows given up before their payload was known, for lack of room.
    pub given_up: u64,
    /// Places where bytes of a listened stream were not captured.
    pub holes: u64,
}

impl EarCounts {
    /// Adds another table's counts.
    pub(crate) fn add(&mut self, other: Self) {
        self.given_up += other.given_up;
        self.holes += other.holes;
    }
}

/// The ears of one table.
#[derive(Debug, Default)]
pub(crate) struct Ears {
    talks: HashMap<FlowIndex, Talk, RandomState>,
    /// Who began to be listened to first; flows that are known meanwhile are skipped.
    order: VecDeque<(FlowIndex, FrameId)>,
    held: usize,
    pub(crate) counts: EarCounts,
}

/// A flow that is listened to.
#[derive(Debug)]
struct Talk {
    id: FlowId,
    ears: [Ear; 2],
    /// Once either end spoke DCE/RPC: it is listened to as long as it lasts.
    rpc: Option<Box<RpcSession>>,
}

/// One direction of it.
#[derive(Debug, Default)]
struct Ear {
    stream: Stream,
    /// The beginning was captured: what the bytes are not, can be said.
    from_start: bool,
    /// What came so far, if one piece did not decide.
    opening: Vec<u8>,
    pieces: u8,
    done: bool,
}

/// A packet with its captured payload, and whom to tell.
struct Utterance<'a> {
    packet: &'a Packet,
    payload: &'a [u8],
    speech: &'a mut Speech,
    counts: &'a mut EarCounts,
    knowledge: &'a Knowledge,
}

impl Ears {
    /// Listens to the captured payload of a packet that was just counted into the flow at `index`.
    pub(crate) fn hear(
        &mut self,
        table: &mut Table,
        index: FlowIndex,
        packet: &Packet,
        payload: &[u8],
        knowledge: &Knowledge,
    ) {
        let Some(flow) = table.flow(index) else { return };
        let first_frame = flow.first_frame;
        let talk = match self.talks.get_mut(&index) {
            Some(talk) if talk.id.first_frame == first_frame => talk,
            _ => {
                self.forget(index);
                self.make_room(table);
                self.order.push_back((index, first_frame));
                let Some(flow) = table.flow(index) else { return };
                self.talks.entry(index).or_insert_with(|| Talk::new(flow))
            }
        };
        let before = talk.held();
        let Some(speech) = table.speech_mut(index) else { return };
        let over = talk.hear(Utterance { packet, payload, speech, counts: &mut self.counts, knowledge });
        self.held = (self.held + talk.held()).saturating_sub(before);
        if over {
            self.forget(index);
            table.end_listening(index);
        }
    }

    fn forget(&mut self, index: FlowIndex) {
        if let Some(talk) = self.talks.remove(&index) {
            self.held = self.held.saturating_sub(talk.held());
        }
    }

    /// Gives up who waits longest while there are too many.
    fn make_room(&mut self, table: &mut Table) {
        while self.talks.len() >= TALKS_MAX || self.held > HELD_MAX || self.order.len() > 2 * TALKS_MAX {
            let Some((index, first_frame)) = self.order.pop_front() else { return };
            if self.talks.get(&index).is_some_and(|talk| talk.id.first_frame == first_frame) {
                self.forget(index);
                self.counts.given_up += 1;
                if table.flow(index).is_some_and(|flow| flow.first_frame == first_frame) {
                    table.end_listening(index);
                }
            }
        }
    }
}

impl Talk {
    fn new(flow: &Flow) -> Self {
        let ear = |side: Side| {
            let at = side.index();
            if flow.syns[at] > 0 || flow.synacks[at] > 0 {
                Ear { stream: Stream::from_syn(flow.isn[at]), from_start: true, ..Ear::default() }
            } else {
                Ear::default()
            }
        };
        let id = FlowId { key: flow.key, first_frame: flow.first_frame };
        Self { id, ears: [ear(Side::Low), ear(Side::High)], rpc: None }
    }

    fn held(&self) -> usize {
        let ears: usize = self.ears.iter().map(|ear| ear.opening.capacity() + ear.stream.held()).sum();
        ears + self.rpc.as_ref().map_or(0, |rpc| rpc.held())
    }

    /// Listens to one packet; true if nothing more is to be heard.
    fn hear(&mut self, mut said: Utterance<'_>) -> bool {
        let (packet, payload) = (said.packet, said.payload);
        if let Layer::Tcp(tcp) = packet.layer {
            let side = packet.from;
            let seq = tcp.seq.wrapping_add(u32::from(tcp.flags & SYN != 0));
            let fresh = self.ear(side).stream.take(seq, payload);
            let cut = packet.payload_len.saturating_sub(packet.payload_captured);
            if !fresh.is_empty() {
                self.piece(fresh, &mut said);
                if cut > 0 {
                    self.ear(side).stream.lose(cut);
                    self.hole(side, &mut said);
                }
            }
            if self.ear(side).stream.is_stuck() {
                self.ear(side).stream.skip();
                self.hole(side, &mut said);
            }
            while let Some(bytes) = self.ear(side).stream.follow() {
                self.piece(&bytes, &mut said);
            }
        } else {
            self.datagram(payload, &mut said);
        }
        self.rpc.is_none() && self.ears.iter().all(|ear| ear.done)
    }

    fn ear(&mut self, side: Side) -> &mut Ear {
        &mut self.ears[side.index()]
    }

    /// Bytes of a stream are missing: what follows is no beginning any more.
    fn hole(&mut self, side: Side, said: &mut Utterance<'_>) {
        said.counts.holes += 1;
        let ear = self.ear(side);
        ear.done |= ear.from_start;
        if let Some(rpc) = &mut self.rpc {
            rpc.gap(side);
        }
    }

    /// The next bytes of a stream.
    fn piece(&mut self, bytes: &[u8], said: &mut Utterance<'_>) {
        let (side, ts, frame) = (said.packet.from, said.packet.ts, said.packet.frame);
        if let Some(rpc) = &mut self.rpc {
            rpc.stream(side, bytes, ts, frame, said.knowledge);
        }
        let ear = self.ear(side);
        let Some(heard) = ear.listen(bytes, said.packet.key.transport) else { return };
        said.speech.set(side, heard);
        if self.rpc.is_none() && is_rpc(heard) {
            let mut rpc = Box::new(RpcSession::new(self.id.key, self.id.first_frame));
            let other = side.other();
            for (side, now) in [(other, [].as_slice()), (side, bytes)] {
                let opening = std::mem::take(&mut self.ear(side).opening);
                let bytes = if opening.is_empty() { now } else { &opening };
                if !bytes.is_empty() {
                    rpc.stream(side, bytes, ts, frame, said.knowledge);
                }
                self.ear(side).opening = opening;
            }
            self.rpc = Some(rpc);
        }
        self.ear(side).settle();
    }

    /// A datagram stands for itself.
    fn datagram(&mut self, bytes: &[u8], said: &mut Utterance<'_>) {
        let packet = said.packet;
        let ear = self.ear(packet.from);
        if !ear.done {
            let (heard, more) = recognise(packet.key.transport, bytes);
            ear.pieces += 1;
            if ear.pieces == 1 || heard.proto.is_some() {
                said.speech.set(packet.from, heard);
            }
            ear.done = heard.certain || (!more && ear.pieces >= 2) || ear.pieces >= PIECES_MAX;
            if self.rpc.is_none() && is_rpc(heard) {
                self.rpc = Some(Box::new(RpcSession::new(self.id.key, self.id.first_frame)));
            }
        }
        if let Some(rpc) = &mut self.rpc {
            rpc.datagram(packet.from, bytes, packet.ts, packet.frame, said.knowledge);
        }
    }
}

fn is_rpc(said: Said) -> bool {
    matches!(said.proto, Some(AppProto::DceRpc | AppProto::NcacnHttp))
}

impl Ear {
    /// Listens to the next bytes of a stream, and says what the direction is by now.
    fn listen(&mut self, bytes: &[u8], transport: Transport) -> Option<Said> {
        if self.done {
            return None;
        }
        if !self.from_start {
            // A message may begin with any segment. What the bytes are not, means nothing.
            let (said, _) = recognise(transport, bytes);
            self.pieces += 1;
            self.done = said.certain || self.pieces >= PIECES_MAX;
            let said = Said { certain: false, ruled_out: ProtoSet::default(), ..said };
            return said.proto.is_some().then_some(said);
        }
        let fits = OPENING_MAX.saturating_sub(self.opening.len());
        let bytes = bytes.get(..fits).unwrap_or(bytes);
        let (said, more) = if self.opening.is_empty() {
            recognise(transport, bytes)
        } else {
            self.opening.extend_from_slice(bytes);
            recognise(transport, &self.opening)
        };
        self.done = said.certain || !more || self.opening.len().max(bytes.len()) >= OPENING_MAX;
        if !self.done && self.opening.is_empty() {
            self.opening = bytes.to_vec();
        }
        Some(said)
    }

    /// Gives back what is no longer needed.
    fn settle(&mut self) {
        if self.done {
            self.opening = Vec::new();
        }
    }
}
