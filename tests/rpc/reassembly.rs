//! The simplest way from a capture to RPC sessions: every flow has one, and gets its bytes in order of sequence numbers.
//!
//! Not what the program does, on purpose: tests that feed sessions this way do not depend on how the pipeline joins streams.

use portolan::capture::batch::FrameBatch;
use portolan::capture::source::Options;
use portolan::capture::source::Source;
use portolan::decode::decoder::Decoder;
use portolan::decode::packet::Decoded;
use portolan::decode::packet::Layer;
use portolan::decode::packet::Packet;
use portolan::learn::knowledge::Knowledge;
use portolan::learn::rpc::RpcSession;
use portolan::model::addr::FlowKey;
use portolan::model::addr::Side;
use std::collections::BTreeMap;
use std::collections::HashMap;
use std::path::Path;

/// Segments that wait for one that is missing; then it is taken for lost.
const WAITING_MAX: usize = 64;

const SYN: u8 = 0x02;

/// One direction of a flow.
#[derive(Default)]
struct Stream {
    next: Option<u32>,
    /// By distance from a first number, which survives the number's wrap.
    waiting: BTreeMap<u32, (Vec<u8>, Packet)>,
}

/// A flow with its session.
struct Conversation {
    session: RpcSession,
    streams: [Stream; 2],
}

/// Learns from every frame of a capture, in pieces of at most `piece` bytes.
pub(crate) fn learn(capture: &Path, piece: usize) -> Knowledge {
    let knowledge = Knowledge::new();
    let mut source = Source::open(&[capture.to_path_buf()], Options::default()).unwrap();
    let mut batch = FrameBatch::default();
    let mut decoder = Decoder::new();
    let mut conversations: HashMap<FlowKey, Conversation> = HashMap::new();
    while source.next_batch(&mut batch).unwrap() {
        for frame in &batch.frames {
            let bytes = batch.bytes(frame);
            let Decoded::Packet(packet) = decoder.decode(frame, bytes) else { continue };
            let at = packet.payload_at as usize;
            let payload = bytes.get(at..at + packet.payload_captured as usize).unwrap_or_default();
            let fresh = || Conversation {
                session: RpcSession::new(packet.key, packet.frame),
                streams: [Stream::default(), Stream::default()],
            };
            let conversation = conversations.entry(packet.key).or_insert_with(fresh);
            match packet.layer {
                Layer::Tcp(tcp) => {
                    if tcp.flags & 0x12 == SYN && conversation.streams.iter().any(|stream| stream.next.is_some()) {
                        let known = conversation.streams[packet.from.index()].next;
                        if known != Some(tcp.seq.wrapping_add(1)) {
                            flush(conversation, piece, &knowledge);
                            *conversation = fresh();
                        }
                    }
                    segment(conversation, &packet, tcp.seq, tcp.flags, payload, piece, &knowledge);
                }
                Layer::Udp { .. } => {
                    conversation.session.datagram(packet.from, payload, packet.ts, packet.frame, &knowledge);
                }
                _ => {}
            }
        }
    }
    for conversation in conversations.values_mut() {
        flush(conversation, piece, &knowledge);
    }
    knowledge
}

fn segment(
    conversation: &mut Conversation,
    packet: &Packet,
    seq: u32,
    flags: u8,
    payload: &[u8],
    piece: usize,
    knowledge: &Knowledge,
) {
    let stream = &mut conversation.streams[packet.from.index()];
    if flags & SYN != 0 {
        stream.next.get_or_insert(seq.wrapping_add(1));
    }
    if payload.is_empty() {
        return;
    }
    let next = *stream.next.get_or_insert(seq);
    let seq = if flags & SYN != 0 { seq.wrapping_add(1) } else { seq };
    let ahead = seq.wrapping_sub(next).cast_signed();
    if ahead > 0 {
        stream.waiting.insert(seq, (payload.to_vec(), *packet));
        if stream.waiting.len() > WAITING_MAX {
            jump(conversation, packet.from, piece, knowledge);
        }
        return;
    }
    deliver(conversation, packet, seq, payload, piece, knowledge);
    drain(conversation, packet.from, piece, knowledge);
}

/// Hands on what of a segment is new.
fn deliver(
    conversation: &mut Conversation,
    packet: &Packet,
    seq: u32,
    payload: &[u8],
    piece: usize,
    knowledge: &Knowledge,
) {
    let stream = &mut conversation.streams[packet.from.index()];
    let next = stream.next.unwrap();
    let known = next.wrapping_sub(seq) as usize;
    if known >= packet.payload_len as usize {
        return;
    }
    stream.next = Some(seq.wrapping_add(packet.payload_len));
    for bytes in payload.get(known..).unwrap_or_default().chunks(piece) {
        conversation.session.stream(packet.from, bytes, packet.ts, packet.frame, knowledge);
    }
    if packet.payload_captured < packet.payload_len {
        conversation.session.gap(packet.from);
    }
}

/// Hands on what waited for the byte that has come.
fn drain(conversation: &mut Conversation, from: Side, piece: usize, knowledge: &Knowledge) {
    loop {
        let stream = &mut conversation.streams[from.index()];
        let next = stream.next.unwrap();
        let ready = stream.waiting.keys().copied().find(|seq| seq.wrapping_sub(next).cast_signed() <= 0);
        let Some(seq) = ready else { return };
        let (payload, packet) = stream.waiting.remove(&seq).unwrap();
        deliver(conversation, &packet, seq, &payload, piece, knowledge);
    }
}

/// Gives up the missing bytes.
fn jump(conversation: &mut Conversation, from: Side, piece: usize, knowledge: &Knowledge) {
    let stream = &mut conversation.streams[from.index()];
    let Some(next) = stream.next else { return };
    let Some(seq) = stream.waiting.keys().copied().min_by_key(|seq| seq.wrapping_sub(next)) else { return };
    stream.next = Some(seq);
    conversation.session.gap(from);
    drain(conversation, from, piece, knowledge);
}

fn flush(conversation: &mut Conversation, piece: usize, knowledge: &Knowledge) {
    for from in [Side::Low, Side::High] {
        while !conversation.streams[from.index()].waiting.is_empty() {
            jump(conversation, from, piece, knowledge);
        }
    }
}
