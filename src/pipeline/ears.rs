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
use crate::model::addr::Side;
use crate::model::app::ProtoSet;
use crate::model::app::Said;
use crate::model::ids::FrameId;
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
    /// Tells it from an earlier flow in the same place of the table.
    first_frame: FrameId,
    ears: [Ear; 2],
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
            Some(talk) if talk.first_frame == first_frame => talk,
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
        let over = talk.hear(packet, payload, speech, &mut self.counts);
        self.held = (self.held + talk.held()).saturating_sub(before);
        if over {
            self.forget(index);
            table.end_listening(index);
        }
        let _ = knowledge;
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
            if self.talks.get(&index).is_some_and(|talk| talk.first_frame == first_frame) {
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
        Self { first_frame: flow.first_frame, ears: [ear(Side::Low), ear(Side::High)] }
    }

    fn held(&self) -> usize {
        self.ears.iter().map(|ear| ear.opening.capacity() + ear.stream.held()).sum()
    }

    /// Listens to one packet; true if nothing more is to be heard.
    fn hear(&mut self, packet: &Packet, payload: &[u8], speech: &mut Speech, counts: &mut EarCounts) -> bool {
        let side = packet.from;
        let ear = &mut self.ears[side.index()];
        match packet.layer {
            Layer::Tcp(tcp) => {
                let seq = tcp.seq.wrapping_add(u32::from(tcp.flags & SYN != 0));
                let fresh = ear.stream.take(seq, payload);
                if !fresh.is_empty() {
                    ear.piece(packet, fresh, side, speech);
                    ear.stream.lose(packet.payload_len.saturating_sub(packet.payload_captured));
                }
                if ear.stream.is_stuck() {
                    ear.stream.skip();
                    ear.from_start = false;
                    counts.holes += 1;
                }
                while let Some(bytes) = ear.stream.follow() {
                    ear.piece(packet, &bytes, side, speech);
                }
                if packet.payload_captured < packet.payload_len {
                    // What follows the cut is no beginning any more.
                    ear.done |= ear.from_start;
                }
            }
            _ => ear.datagram(packet, payload, side, speech),
        }
        self.ears.iter().all(|ear| ear.done)
    }
}

impl Ear {
    /// The next bytes of a stream.
    fn piece(&mut self, packet: &Packet, bytes: &[u8], side: Side, speech: &mut Speech) {
        if self.done {
            return;
        }
        if !self.from_start {
            return self.midway(packet, bytes, side, speech);
        }
        let fits = OPENING_MAX.saturating_sub(self.opening.len());
        let bytes = bytes.get(..fits).unwrap_or(bytes);
        let opening = if self.opening.is_empty() {
            bytes
        } else {
            self.opening.extend_from_slice(bytes);
            &self.opening
        };
        let (said, more) = recognise(packet.key.transport, opening);
        speech.set(side, said);
        if said.certain || !more || opening.len() >= OPENING_MAX {
            self.done = true;
            self.opening = Vec::new();
        } else if self.opening.is_empty() {
            self.opening = bytes.to_vec();
        }
    }

    /// Bytes from the middle of a stream: a message may begin with any segment. What they are not, means nothing.
    fn midway(&mut self, packet: &Packet, bytes: &[u8], side: Side, speech: &mut Speech) {
        let (said, _) = recognise(packet.key.transport, bytes);
        self.pieces += 1;
        if said.proto.is_some() {
            speech.set(side, Said { certain: false, ruled_out: ProtoSet::default(), ..said });
        }
        self.done = said.certain || self.pieces >= PIECES_MAX;
    }

    /// A datagram stands for itself.
    fn datagram(&mut self, packet: &Packet, bytes: &[u8], side: Side, speech: &mut Speech) {
        if self.done {
            return;
        }
        let (said, more) = recognise(packet.key.transport, bytes);
        self.pieces += 1;
        if self.pieces == 1 || said.proto.is_some() {
            speech.set(side, said);
        }
        self.done = said.certain || (!more && self.pieces >= 2) || self.pieces >= PIECES_MAX;
    }
}
