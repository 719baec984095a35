//! Listening to payload: the first bytes of each direction of a flow, in order, until they are known or will not be.
//!
//! A flow whose first segments decide costs one look and no memory. Only what is undecided, or may still tell
//! something about others, is kept, and that has a bound: the flow that waits longest is given up first.

use std::collections::VecDeque;

use prefetch_index::prefetch_index;

use crate::decode::packet::Layer;
use crate::decode::packet::Packet;
use crate::flow::hole::ANSWER_EARLY;
use crate::flow::record::ACK;
use crate::flow::record::SYN;
use crate::flow::speech::Speech;
use crate::flow::stream::Stream;
use crate::flow::table::Event;
use crate::flow::table::FlowIndex;
use crate::flow::table::Stored;
use crate::flow::table::Table;
use crate::learn::knowledge::Knowledge;
use crate::learn::listen::Attention;
use crate::learn::listen::Heard;
use crate::learn::listen::listen;
use crate::learn::listen::tells;
use crate::learn::rpc_flow::FlowId;
use crate::learn::session::Session;
use crate::model::addr::Side;
use crate::model::app::AppProto;
use crate::model::app::ProtoSet;
use crate::model::app::Said;
use crate::model::app::Speaker;
use crate::model::ids::FrameId;
use crate::proto::OPENING_MAX;
use crate::proto::recognise;
use crate::proto::recognise_on;

/// Flows of one table that are listened to at the same time.
const TALKS_MAX: usize = 4096;

/// Bytes that those flows may hold.
const HELD_MAX: usize = 4 << 20;

/// Pieces of one direction that are looked at: what tiny pieces tell is not worth looking at all of them again and
/// again.
const PIECES_MAX: u8 = 3;

/// So many bytes from the beginning of a stream are looked at in however many pieces they come.
const PIECES_LEN: usize = 24;

/// So many pieces in a row, each shorter than [`CRUMB_LEN`], and DCE/RPC or SMB is followed no longer: nobody writes it so.
const CRUMBS_MAX: u8 = 4;

/// The header of a PDU ([C706] section 12.6.3.1).
const CRUMB_LEN: usize = 16;

/// The length of a message by which an end of SMB keeps its connection alive, which is no crumb.
const KEEP_ALIVE_LEN: usize = 4;

/// Datagrams of a flow that are listened to.
const DATAGRAMS_MAX: u64 = 32;

/// The same where none of them is anything for certain.
const DATAGRAMS_UNKNOWN_MAX: u64 = 8;

/// Answers that wait for their questions, of one flow.
const EARLY_MAX: usize = 4;

/// So many bytes may come after the answer to them.
const EARLY_LEN_MAX: i32 = 1 << 16;

/// Room for the first bytes of a direction that are kept, so that a few small pieces more need no other.
const OPENING_FIRST: usize = 64;

/// What listening cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct EarCounts {
    /// Flows given up before all they could tell was heard, for lack of room or in crumbs.
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
    /// The number of each flow's talk, 0 for none, as far as any was needed.
    numbers: Vec<u32>,
    /// Talks by their number; the first, and those that are over, are nobody's.
    talks: Vec<Talk>,
    over: Vec<u32>,
    /// Who began to be listened to first; flows that are known meanwhile are skipped.
    order: VecDeque<(FlowIndex, FrameId)>,
    /// Those with answers that wait for their questions; some wait no more.
    early: Vec<(FlowIndex, FrameId)>,
    held: usize,
    pub(crate) counts: EarCounts,
}

/// A flow that is listened to; the default is nobody's.
#[derive(Debug, Default)]
struct Talk {
    /// The flow's first frame, which tells it from another in its place.
    first_frame: FrameId,
    ears: [Ear; 2],
    /// Once either end spoke what is followed: it is listened to as long as that may teach.
    session: Option<Session>,
    /// Answers whose questions were not captured yet, in order: whoever follows a conversation needs the question first.
    early: Vec<Early>,
    /// Bytes that all of this holds, as last told.
    held: usize,
}

/// A segment that acknowledges bytes which may come yet: two taps, or two queues of one, show it so.
#[derive(Debug)]
struct Early {
    packet: Packet,
    payload: Box<[u8]>,
}

/// One direction of a stream.
#[derive(Debug, Default)]
struct Ear {
    stream: Stream,
    /// The beginning was captured: what the bytes are not, can be said.
    from_start: bool,
    /// What came so far, if one piece did not decide.
    opening: Vec<u8>,
    pieces: u8,
    /// The latest pieces that were shorter than a header.
    crumbs: u8,
    /// What its latest data acknowledged.
    acked: Option<u32>,
    state: State,
}

/// What is still to be heard of a direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum State {
    /// What it is.
    #[default]
    Unknown,
    /// What it tells of hosts and errors.
    Telling(Said),
    /// Nothing.
    Done,
}

/// What the beginning of a payload is by itself.
#[derive(Clone, Copy)]
struct Glimpse {
    said: Said,
    /// More bytes could change that.
    more: bool,
    /// What these bytes tell about others is noted, and more of them could tell more.
    told: bool,
}

/// A packet with its captured payload, and whom to tell.
struct Utterance<'a> {
    packet: &'a Packet,
    payload: &'a [u8],
    /// What a first look at it came to, if there was one.
    glimpse: Option<Glimpse>,
    speech: Speech,
    counts: &'a mut EarCounts,
    knowledge: &'a Knowledge,
}

impl Utterance<'_> {
    /// Notes what `bytes` of its sender tell about others; whether more of them could tell more.
    fn tell(&self, said: Said, bytes: &[u8]) -> bool {
        let Some(proto) = said.proto.filter(|_| tells_of(said)) else { return false };
        let Packet { key, from, ts, frame, .. } = *self.packet;
        let (sender, receiver) = (key.end(from), key.end(from.other()));
        let (transport, speaker) = (key.transport, said.speaker);
        let heard = Heard { proto, transport, speaker, sender, receiver, bytes, ts, frame };
        listen(&heard, self.knowledge) == Attention::More
    }
}

impl Ears {
    /// Listens to the captured payload of a packet that was just counted into the flow at `index`.
    pub(crate) fn hear(
        &mut self,
        table: &mut Table,
        event: Event,
        packet: &Packet,
        payload: &[u8],
        knowledge: &Knowledge,
    ) {
        let index = event.flow;
        let Layer::Tcp(_) = packet.layer else {
            let packets = table.packets(index).unwrap_or(u64::MAX);
            if packets > DATAGRAMS_MAX {
                return self.end(table, index);
            }
            let sent = table.packets_of(index, packet.from).unwrap_or(u32::MAX);
            let Some(speech) = table.speech(index) else { return };
            let counts = &mut self.counts;
            let mut said = Utterance { packet, payload, glimpse: None, speech, counts, knowledge };
            let followed = datagram(&mut said, sent);
            let speech = said.speech;
            table.set_speech(index, speech);
            if let Some(proto) = followed {
                let Some(talk) = self.talk(table, index) else { return };
                let id = FlowId { key: packet.key, first_frame: talk.first_frame };
                let session = talk.session.get_or_insert_with(|| Session::new(proto, id));
                session.datagram(packet.from, payload, packet.ts, packet.frame, knowledge);
            } else if is_exhausted(&speech, packets) {
                self.end(table, index);
            } else if is_spent(speech.of(packet.from)) {
                table.end_listening(index, packet.from);
            }
            return;
        };
        let mut glimpse = None;
        if !event.held {
            let (said, more) = recognise(packet.key.transport, payload.get(..OPENING_MAX).unwrap_or(payload));
            let glimpse = glimpse.insert(Glimpse { said, more, told: false });
            if let Some(over) = self.glance(table, index, packet, payload, glimpse, knowledge) {
                if over {
                    table.end_listening(index, packet.from);
                }
                return;
            }
        }
        let Some(talk) = self.talk(table, index) else { return };
        // Of an end that is known by now, nothing more is noted.
        let known = talk.ear(packet.from).state == State::Done && talk.early.is_empty();
        let Some(speech) = (if known { Some(Speech::default()) } else { table.speech(index) }) else { return };
        let mut counts = EarCounts::default();
        let mut said = Utterance { packet, payload, glimpse, speech, counts: &mut counts, knowledge };
        let waited = !talk.early.is_empty();
        let over = talk.hear(&mut said);
        if !known {
            table.set_speech(index, said.speech);
        }
        if !waited && !talk.early.is_empty() {
            let first_frame = talk.first_frame;
            self.early.push((index, first_frame));
        }
        self.heard(table, index, packet.from, over, counts);
    }

    /// Accounts for what the flow at `index` was listened to just now; `over`: nothing more is to be heard.
    fn heard(&mut self, table: &mut Table, index: FlowIndex, from: Side, over: bool, counts: EarCounts) {
        let number = self.number(index);
        let Some(talk) = self.talks.get_mut(number) else { return };
        let (before, after) = talk.weigh();
        let done = talk.is_over() && talk.ear(from).state == State::Done;
        self.held = (self.held + after).saturating_sub(before);
        self.counts.add(counts);
        if over {
            self.end(table, index);
        } else if done {
            table.end_listening(index, from);
        }
    }

    /// Listens to the answers that still wait for their questions: these will not come, or nobody waits any longer.
    pub(crate) fn settle(&mut self, table: &mut Table, knowledge: &Knowledge) {
        for (index, first_frame) in std::mem::take(&mut self.early) {
            let number = self.number(index);
            let known = self.talks.get_mut(number).filter(|talk| talk.first_frame == first_frame);
            let Some((talk, mut speech)) = known.zip(table.speech(index)) else { continue };
            let Some(from) = talk.early.last().map(|early| early.packet.from) else { continue };
            let mut counts = EarCounts::default();
            let over = talk.hear_early(&mut speech, &mut counts, knowledge, |_, _| false);
            table.set_speech(index, speech);
            self.heard(table, index, from, over, counts);
        }
    }

    /// Looks at a segment of a flow of which nothing is held, by what it is by itself. If that is enough, nothing
    /// needs to be held: whether the end that sent it has no more to say. `None` if there is more to it.
    fn glance(
        &mut self,
        table: &mut Table,
        index: FlowIndex,
        packet: &Packet,
        payload: &[u8],
        glimpse: &mut Glimpse,
        knowledge: &Knowledge,
    ) -> Option<bool> {
        let Layer::Tcp(tcp) = packet.layer else { return None };
        let Glimpse { said: mut heard, more, .. } = *glimpse;
        if followed(heard).is_some() {
            return None;
        }
        let first_byte = table.flow(index)?.first_byte(packet.from);
        let Some(first_byte) = first_byte else {
            let over = heard.certain || table.packets_of(index, packet.from)? >= PIECES_MAX.into();
            heard = Said { certain: false, ruled_out: ProtoSet::default(), ..heard };
            if heard.proto.is_some() {
                let mut speech = table.speech(index)?;
                speech.set(packet.from, heard);
                table.set_speech(index, speech);
            }
            return Some(over);
        };
        let first = tcp.seq.wrapping_add(u32::from(tcp.flags & SYN != 0)) == first_byte;
        let cut = packet.payload_captured < packet.payload_len;
        let undecided = !heard.certain && more && payload.len() < OPENING_MAX;
        if !first || (undecided && !cut) {
            return None;
        }
        if undecided {
            heard.ruled_out = ProtoSet::default();
        }
        let mut speech = table.speech(index)?;
        speech.set(packet.from, heard);
        table.set_speech(index, speech);
        let said = Utterance { packet, payload, glimpse: None, speech, counts: &mut self.counts, knowledge };
        if !undecided && said.tell(heard, payload) && !cut {
            glimpse.told = true;
            return None;
        }
        self.counts.holes += u64::from(cut);
        Some(true)
    }

    /// Ends listening to a flow.
    fn end(&mut self, table: &mut Table, index: FlowIndex) {
        self.forget(index);
        table.hold(index, false);
        for side in [Side::Low, Side::High] {
            table.end_listening(index, side);
        }
    }

    /// Asks for what leads to the talk of a flow.
    pub(crate) fn prefetch_number(&self, index: FlowIndex) {
        prefetch_index(&self.numbers, index.index());
    }

    /// Asks for the talk of a flow, after [`Ears::prefetch_number`].
    pub(crate) fn prefetch_talk(&self, index: FlowIndex) {
        if let Some(talk) = self.talks.get(self.number(index)) {
            prefetch_index(std::slice::from_ref(&talk.first_frame), 0);
            prefetch_index(talk.ears.as_slice(), 0);
            prefetch_index(talk.ears.as_slice(), 1);
            prefetch_index(std::slice::from_ref(&talk.session), 0);
        }
    }

    /// Asks for what was said by one end of a flow, after [`Ears::prefetch_talk`].
    pub(crate) fn prefetch_told(&self, index: FlowIndex, side: Side) {
        if let Some(talk) = self.talks.get(self.number(index)) {
            prefetch_index(&talk.ears[side.index()].opening, 0);
            if let Some(session) = &talk.session {
                session.prefetch();
            }
        }
    }

    fn number(&self, index: FlowIndex) -> usize {
        self.numbers.get(index.index()).map_or(0, |number| *number as usize)
    }

    /// What is held of the flow at `index`, made anew if that is nothing or of an earlier flow.
    fn talk(&mut self, table: &mut Table, index: FlowIndex) -> Option<&mut Talk> {
        let first_frame = table.first_frame(index)?;
        let mut number = self.number(index);
        if self.talks.get(number).is_none_or(|talk| talk.first_frame != first_frame) {
            self.forget(index);
            self.make_room(table);
            self.order.push_back((index, first_frame));
            table.hold(index, true);
            number = self.place(index);
            self.talks.get_mut(number)?.begin(table.flow(index)?);
        }
        self.talks.get_mut(number)
    }

    /// A place for the talk of the flow at `index`; its number.
    fn place(&mut self, index: FlowIndex) -> usize {
        let number = self.over.pop().unwrap_or_else(|| {
            // The first is nobody's.
            self.talks.resize_with(self.talks.len().max(1) + 1, Talk::default);
            u32::try_from(self.talks.len() - 1).unwrap_or_default()
        });
        if self.numbers.len() <= index.index() {
            self.numbers.resize(index.index() + 1, 0);
        }
        if let Some(place) = self.numbers.get_mut(index.index()) {
            *place = number;
        }
        number as usize
    }

    fn forget(&mut self, index: FlowIndex) {
        let Some(number) = self.numbers.get_mut(index.index()).map(std::mem::take).filter(|number| *number > 0) else {
            return;
        };
        if let Some(talk) = self.talks.get_mut(number as usize) {
            self.held = self.held.saturating_sub(talk.held);
            talk.end();
        }
        self.over.push(number);
    }

    /// Forgets the flows that the table has no more.
    pub(crate) fn forget_gone(&mut self, table: &Table) {
        for (index, first_frame) in std::mem::take(&mut self.order) {
            if table.first_frame(index) == Some(first_frame) {
                self.order.push_back((index, first_frame));
            } else if self.talks.get(self.number(index)).is_some_and(|talk| talk.first_frame == first_frame) {
                self.forget(index);
            }
        }
    }

    /// How many flows are listened to.
    pub(crate) fn count(&self) -> usize {
        self.talks.len().saturating_sub(self.over.len() + 1)
    }

    /// Gives up who waits longest while there are too many.
    fn make_room(&mut self, table: &mut Table) {
        while self.count() >= TALKS_MAX || self.held > HELD_MAX || self.order.len() > 2 * TALKS_MAX {
            let Some((index, first_frame)) = self.order.pop_front() else { return };
            if self.talks.get(self.number(index)).is_some_and(|talk| talk.first_frame == first_frame) {
                self.counts.given_up += 1;
                if table.first_frame(index) == Some(first_frame) {
                    self.end(table, index);
                } else {
                    self.forget(index);
                }
            }
        }
    }
}

/// A datagram stands for itself. What it is, if that is followed. Its end has `sent` so many.
fn datagram(said: &mut Utterance<'_>, sent: u32) -> Option<AppProto> {
    let (side, payload) = (said.packet.from, said.payload);
    let mut heard = said.speech.of(side);
    if !heard.certain && u64::from(sent) <= DATAGRAMS_UNKNOWN_MAX {
        let (mut now, _) = recognise(said.packet.key.transport, payload);
        if said.packet.payload_captured < said.packet.payload_len {
            // Many datagrams are told by their length: what a cut one is not, cannot be said.
            now.ruled_out = ProtoSet::default();
        }
        if now.proto.is_some() || heard.proto.is_none() {
            heard = now;
            said.speech.set(side, heard);
        }
    }
    said.tell(heard, payload);
    followed(heard)
}

/// Whether further datagrams of a flow will tell nothing: none of the first was anything for certain, or all is known of
/// both ends.
fn is_exhausted(speech: &Speech, packets: u64) -> bool {
    let ends = [Side::Low, Side::High].map(|side| speech.of(side));
    if ends.iter().all(|said| !said.certain) {
        return packets >= DATAGRAMS_UNKNOWN_MAX;
    }
    ends.into_iter().all(is_spent)
}

/// Whether further datagrams of an end that said this tell nothing.
fn is_spent(said: Said) -> bool {
    said.certain && followed(said).is_none() && !tells_of(said)
}

/// Whether what an end says may name anybody: who asks for names gives none.
fn tells_of(said: Said) -> bool {
    said.proto.is_some_and(|proto| tells(proto) && (proto != AppProto::Dns || said.speaker != Speaker::Client))
}

/// What somebody speaks, if it is followed.
fn followed(said: Said) -> Option<AppProto> {
    said.proto.filter(|proto| Session::follows(*proto))
}

impl Talk {
    /// Begins to listen to a flow, where nobody else is listened to.
    fn begin(&mut self, flow: Stored<'_>) {
        self.first_frame = flow.order().1;
        for side in [Side::Low, Side::High] {
            if let Some(first) = flow.first_byte(side) {
                let ear = self.ear(side);
                ear.stream = Stream::from_syn(first.wrapping_sub(1));
                ear.from_start = true;
            }
        }
    }

    /// Is nobody's again. What it had for first bytes is there for the next ones.
    fn end(&mut self) {
        for ear in &mut self.ears {
            ear.forget_opening();
            let opening = std::mem::take(&mut ear.opening);
            *ear = Ear { opening, ..Ear::default() };
        }
        self.early.clear();
        (self.first_frame, self.session, self.held) = (FrameId::NONE, None, 0);
    }

    /// How many bytes were held when this was last asked, and how many are now.
    fn weigh(&mut self) -> (usize, usize) {
        let ears: usize = self.ears.iter().map(|ear| ear.opening.capacity() + ear.stream.held()).sum();
        let early: usize = self.early.iter().map(|early| size_of::<Early>() + early.payload.len()).sum();
        let now = ears + early + self.session.as_ref().map_or(0, Session::held);
        (std::mem::replace(&mut self.held, now), now)
    }

    /// Listens to one segment, or lets it wait for what it answers; true if nothing more is to be heard.
    fn hear(&mut self, said: &mut Utterance<'_>) -> bool {
        let packet = said.packet;
        let waits = self.early.len() < EARLY_MAX && self.is_early(packet);
        let Some(first) = self.early.first().map(|early| early.packet) else {
            return if waits { self.wait(said) } else { self.hear_now(said) };
        };
        let late = packet.ts.since(first.ts) > ANSWER_EARLY;
        if first.from == packet.from && waits && !late {
            return self.wait(said);
        }
        // What comes may be the question; else it was lost, or is too late.
        if first.from != packet.from && !late && self.is_next(packet) {
            let over = self.hear_now(said);
            return self.hear_early(&mut said.speech, said.counts, said.knowledge, Self::is_early) || over;
        }
        let over = self.hear_early(&mut said.speech, said.counts, said.knowledge, |_, _| false);
        self.hear_now(said) || over
    }

    /// Whether a segment answers what may come yet.
    fn is_early(&self, packet: &Packet) -> bool {
        let Layer::Tcp(tcp) = packet.layer else { return false };
        let other = &self.ears[packet.from.other().index()];
        let followed = self.session.as_ref().map_or(other.state != State::Done, |session| !session.is_lost());
        // One that is missing may be a FIN.
        followed && tcp.flags & ACK != 0 && (2..EARLY_LEN_MAX).contains(&other.stream.missing(tcp.ack))
    }

    /// Whether a segment has the bytes that come next.
    fn is_next(&self, packet: &Packet) -> bool {
        let Layer::Tcp(tcp) = packet.layer else { return false };
        self.ears[packet.from.index()].stream.missing(tcp.seq) <= 0
    }

    fn wait(&mut self, said: &Utterance<'_>) -> bool {
        self.early.push(Early { packet: *said.packet, payload: said.payload.into() });
        false
    }

    /// Listens to segments that waited, up to one that `waits` on; as [`Talk::hear`].
    fn hear_early(
        &mut self,
        speech: &mut Speech,
        counts: &mut EarCounts,
        knowledge: &Knowledge,
        waits: impl Fn(&Self, &Packet) -> bool,
    ) -> bool {
        let mut over = false;
        while self.early.first().is_some_and(|early| !waits(self, &early.packet)) {
            let Early { packet, payload } = self.early.remove(0);
            let mut said =
                Utterance { packet: &packet, payload: &payload, glimpse: None, speech: *speech, counts, knowledge };
            over |= self.hear_now(&mut said);
            *speech = said.speech;
        }
        over
    }

    /// Listens to one segment whose turn it is; as [`Talk::hear`].
    fn hear_now(&mut self, said: &mut Utterance<'_>) -> bool {
        let (packet, side) = (said.packet, said.packet.from);
        let Layer::Tcp(tcp) = packet.layer else { return false };
        let seq = tcp.seq.wrapping_add(u32::from(tcp.flags & SYN != 0));
        let fresh = self.ear(side).stream.take(seq, said.payload);
        let cut = packet.payload_len.saturating_sub(packet.payload_captured);
        said.glimpse = said.glimpse.filter(|_| fresh.len() == said.payload.len());
        if !fresh.is_empty() {
            self.piece(fresh, cut > 0, said);
            if cut > 0 {
                self.ear(side).stream.lose(cut);
                self.hole(side, said);
            }
        }
        if tcp.flags & ACK != 0 {
            self.ear(side).acked = Some(tcp.ack);
        }
        if self.ear(side).stream.is_stuck() || self.lacks(side) {
            return self.go_on(said);
        }
        self.follow(said)
    }

    /// Whether what waits of one end waits for bytes in vain: the other end answered them. That it acknowledged them may
    /// have been captured before they are.
    fn lacks(&self, side: Side) -> bool {
        let acked = self.ears[side.other().index()].acked;
        acked.is_some_and(|acked| self.ears[side.index()].stream.lacks(acked))
    }

    /// Goes on behind what was not captured of a stream; as [`Talk::hear`].
    fn go_on(&mut self, said: &mut Utterance<'_>) -> bool {
        let side = said.packet.from;
        self.ear(side).stream.skip();
        self.hole(side, said);
        self.follow(said)
    }

    /// Listens to what waited for its turn; as [`Talk::hear`].
    fn follow(&mut self, said: &mut Utterance<'_>) -> bool {
        let side = said.packet.from;
        while let Some(bytes) = self.ear(side).stream.follow() {
            self.piece(&bytes, false, said);
        }
        let in_crumbs = self.ear(side).crumbs >= CRUMBS_MAX;
        if self.session.is_some() && in_crumbs {
            said.counts.given_up += 1;
            return true;
        }
        self.is_over() && self.ears.iter().all(|ear| ear.state == State::Done)
    }

    /// Whether there is nothing to follow.
    fn is_over(&self) -> bool {
        self.session.as_ref().is_none_or(Session::is_lost)
    }

    fn ear(&mut self, side: Side) -> &mut Ear {
        &mut self.ears[side.index()]
    }

    /// Bytes of a stream are missing: what follows is no beginning any more.
    fn hole(&mut self, side: Side, said: &mut Utterance<'_>) {
        said.counts.holes += 1;
        let ear = self.ear(side);
        if ear.from_start {
            if ear.state == State::Unknown {
                // With more of it, something may have been left that it can be: what it is not, means nothing.
                let heard = said.speech.of(side);
                said.speech.set(side, Said { ruled_out: ProtoSet::default(), ..heard });
            }
            ear.state = State::Done;
            ear.forget_opening();
        }
        if let Some(session) = &mut self.session {
            session.gap(side);
        }
    }

    /// The next bytes of a stream; whether those behind them are missing, so that no more will be put to these.
    fn piece(&mut self, bytes: &[u8], last: bool, said: &mut Utterance<'_>) {
        let (side, ts, frame) = (said.packet.from, said.packet.ts, said.packet.frame);
        if let Some(session) = &mut self.session {
            session.stream(side, bytes, ts, frame, said.knowledge);
        }
        let ear = self.ear(side);
        ear.crumbs = match bytes.len() {
            KEEP_ALIVE_LEN => ear.crumbs,
            ..CRUMB_LEN => ear.crumbs.saturating_add(1),
            _ => 0,
        };
        if ear.state == State::Done {
            return;
        }
        let mut opening = std::mem::take(&mut ear.opening);
        if !opening.is_empty() {
            opening.extend_from_slice(bytes.get(..OPENING_MAX.saturating_sub(opening.len())).unwrap_or(bytes));
        }
        let view = if opening.is_empty() { bytes } else { &opening };
        ear.listen(view, said);
        if self.session.is_none()
            && let Some(proto) = followed(said.speech.of(side))
        {
            let id = FlowId { key: said.packet.key, first_frame: self.first_frame };
            let mut session = Session::new(proto, id);
            let earlier = &self.ear(side.other()).opening;
            if !earlier.is_empty() {
                session.stream(side.other(), earlier, ts, frame, said.knowledge);
            }
            session.stream(side, view, ts, frame, said.knowledge);
            self.session = Some(session);
        }
        let ear = self.ear(side);
        ear.opening = opening;
        if ear.state == State::Done || !ear.from_start || last {
            ear.forget_opening();
        } else if ear.opening.is_empty() {
            ear.opening.reserve(OPENING_FIRST.max(bytes.len()));
            ear.opening.extend_from_slice(bytes);
        }
    }
}

impl Ear {
    /// Keeps no first bytes any more, and room for few.
    fn forget_opening(&mut self) {
        if self.opening.capacity() > OPENING_FIRST {
            self.opening = Vec::new();
        }
        self.opening.clear();
    }

    /// Looks at all that is known of a direction.
    fn listen(&mut self, view: &[u8], said: &mut Utterance<'_>) {
        let (side, transport) = (said.packet.from, said.packet.key.transport);
        let glimpse = said.glimpse.take();
        self.pieces = self.pieces.saturating_add(1);
        if !self.from_start {
            // A message may begin with any segment. What the bytes are not, means nothing.
            let glimpse = glimpse.filter(|_| view.len() <= OPENING_MAX);
            let heard = glimpse.map_or_else(|| recognise(transport, view).0, |glimpse| glimpse.said);
            if heard.proto.is_some() {
                said.speech.set(side, Said { certain: false, ruled_out: ProtoSet::default(), ..heard });
            }
            if heard.certain || self.pieces >= PIECES_MAX {
                self.state = State::Done;
            }
            return;
        }
        let full = view.len() >= OPENING_MAX || (self.pieces >= PIECES_MAX && view.len() >= PIECES_LEN);
        if self.state == State::Unknown {
            let denied = said.speech.of(side).ruled_out;
            let ask = || recognise_on(transport, view.get(..OPENING_MAX).unwrap_or(view), denied);
            let (heard, more) = glimpse.map_or_else(ask, |glimpse| (glimpse.said, glimpse.more));
            said.speech.set(side, heard);
            if heard.certain || !more || full {
                self.state = State::Telling(heard);
            }
        }
        if let State::Telling(heard) = self.state {
            let more = glimpse.is_some_and(|glimpse| glimpse.told) || said.tell(heard, view);
            if full || !more {
                self.state = State::Done;
            }
        }
    }
}
