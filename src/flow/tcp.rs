//! TCP: how a segment changes its flow (RFC 9293; what each mark means is in SEMANTICS table 1a).

use std::time::Duration;

use crate::decode::packet::Packet;
use crate::decode::packet::Tcp;
use crate::flow::hole::ANSWER_EARLY;
use crate::flow::limits::Counters;
use crate::flow::record::ACK;
use crate::flow::record::Began;
use crate::flow::record::FIN;
use crate::flow::record::Flow;
use crate::flow::record::Mark;
use crate::flow::record::RST;
use crate::flow::record::Reset;
use crate::flow::record::SYN;
use crate::model::addr::Side;
use crate::model::time::Timestamp;

/// A new SYN on the ports of a refused attempt, so soon after, is the same attempt: Windows repeats refused
/// connects (SEMANTICS T25).
const RETRY_AFTER_REFUSAL: Duration = Duration::from_secs(3);

/// A SYN or SYN-ACK that comes again sooner is a copy, whatever its IP-ID: the fastest systems repeat after 200 ms.
const TRY_GAP_MIN: Duration = Duration::from_millis(100);

/// What may be sent without an acknowledgement at first: ten segments.
const FIRST_WINDOW: u32 = 14_600;

/// Whether `a` comes after `b` in sequence space (RFC 9293 section 3.4).
#[inline]
#[expect(clippy::cast_possible_wrap, reason = "sequence numbers are compared modulo 2^32")]
pub(crate) fn after(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) > 0
}

/// Whether an acknowledgement is one of the SYN-ACK with this sequence number, and of what came soon after it.
#[inline]
pub(crate) fn acknowledges(ack: u32, isn: u32) -> bool {
    ack.wrapping_sub(isn).wrapping_sub(1) < (1 << 30)
}

/// Whether an end that sends new data up to this number hears acknowledgements, though the last one that was seen is this:
/// without, it sends a first window at most once its timer ran out (RFC 6928, RFC 5681 section 3.1).
#[inline]
pub(crate) fn is_heard(end: u32, acknowledged: u32) -> bool {
    end.wrapping_sub(acknowledged) > FIRST_WINDOW
}

/// How long the handshake took that was completed at a time, from the SYN that was answered; never 0.
#[inline]
pub(crate) fn handshake_us(completed: Timestamp, syn_last: Timestamp, synack_at: Timestamp) -> u32 {
    u32::try_from(completed.since(syn_last.min(synack_at)).as_micros()).unwrap_or(u32::MAX).max(1)
}

/// Whether this segment begins a new flow although its key has one (SEMANTICS T26).
#[inline]
pub(crate) fn begins_anew(flow: &Flow, packet: &Packet, tcp: &Tcp) -> bool {
    tcp.flags & (SYN | RST) == SYN && syn_begins_anew(flow, packet, tcp)
}

fn syn_begins_anew(flow: &Flow, packet: &Packet, tcp: &Tcp) -> bool {
    let me = packet.from.index();
    let other = packet.from.other().index();
    if tcp.flags & ACK != 0 {
        // A SYN-ACK for another SYN than the one seen: the handshake of a connection whose SYN was not captured.
        let known = flow.synacks[me] > 0 && flow.isn[me] == tcp.seq;
        let fits = flow.syns[other] > 0 && tcp.ack == flow.isn[other].wrapping_add(1);
        return !known && !fits && flow.synacks[me] > 0 && flow.reset.frame.is_some();
    }
    if flow.syns[me] > 0 {
        if flow.isn[me] == tcp.seq {
            return false;
        }
        let retry = flow.marks.has(Mark::Refused)
            && !flow.marks.has(Mark::Established)
            && packet.ts.since(flow.reset.ts) <= RETRY_AFTER_REFUSAL;
        return !retry;
    }
    if flow.synacks[other] > 0 {
        // Reordered: its SYN-ACK came first (Arkime issue 4019), perhaps data that was acknowledged since.
        let acknowledged = u64::from(flow.max_ack[other].wrapping_sub(tcp.seq.wrapping_add(1)));
        return acknowledged > flow.payload[me] + 1;
    }
    if was_refused_early(flow, packet, tcp) {
        return false;
    }
    // Both ends send SYN: a simultaneous open while the first attempt hangs, else the ports are used again.
    let simultaneous = flow.syns[other] > 0 && flow.packets[me] == 0 && flow.synacks[me] == 0;
    !simultaneous
}

/// Whether nothing is known of the flow but the RST that answers this SYN.
fn was_refused_early(flow: &Flow, syn: &Packet, tcp: &Tcp) -> bool {
    let (me, other) = (syn.from.index(), syn.from.other().index());
    let alone = flow.syns == [0; 2] && flow.synacks == [0; 2] && flow.packets[other] == 1 && flow.reset.frame.is_some();
    let answers = flow.max_ack[other] == tcp.seq.wrapping_add(syn.payload_len).wrapping_add(1);
    alone
        && flow.first_frame == flow.reset.frame
        && answers
        && flow.packets[me] <= 1
        && syn.ts.since(flow.reset.ts) <= ANSWER_EARLY
}

/// What the pipeline may want to tell others about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// Nothing.
    None,
    /// The responder answered for the first time: something listens there.
    Answered,
}

/// Applies one segment that is no copy; its packet and byte counts are already added.
pub(crate) fn update(flow: &mut Flow, packet: &Packet, tcp: &Tcp, counters: &mut Counters) -> Step {
    let me = packet.from.index();
    let other = packet.from.other().index();
    let first_of_side = flow.packets[me] == 1;

    if tcp.flags & RST != 0 {
        on_reset(flow, packet, tcp, counters);
        return Step::None;
    }
    flow.flags[me] |= tcp.flags;
    flow.note_ttl(packet.from, packet.ttl);
    let mut step = Step::None;
    if tcp.flags & SYN != 0 {
        if tcp.flags & ACK == 0 {
            on_syn(flow, packet, tcp);
        } else if !fits(flow, packet, tcp) {
            counters.bad_replies += 1;
            flow.marks.set(Mark::MisfitSynAck);
            return Step::None;
        } else if on_syn_ack(flow, packet, tcp) {
            step = Step::Answered;
        }
    }
    if tcp.flags & ACK != 0 {
        on_ack(flow, packet, tcp, counters);
    }

    let bits = u32::from(tcp.flags & SYN != 0) + u32::from(tcp.flags & FIN != 0);
    let sequence_len = packet.payload_len.wrapping_add(bits);
    let end = tcp.seq.wrapping_add(sequence_len);
    if first_of_side || after(end, flow.next_seq[me]) {
        if packet.payload_len > 0 && !after(flow.next_seq[me], tcp.seq) && is_heard(end, flow.max_ack[other]) {
            flow.unheard[me] = 0;
        }
        flow.next_seq[me] = end;
    } else if let Some(acks) = late(flow, packet, tcp) {
        counters.acked_unseen = counters.acked_unseen.saturating_sub(acks.into());
    } else if packet.payload_len > 1 || (packet.payload_len == 1 && tcp.seq != flow.next_seq[me].wrapping_sub(1)) {
        // Nothing new in it; a keep-alive repeats one byte and does not count.
        flow.retransmits[me] = flow.retransmits[me].saturating_add(1);
        flow.unheard[me] = flow.unheard[me].saturating_add(1);
    }
    // Who asks again for what was answered has not heard the answer.
    if flow.synacks[me] < 2 || tcp.flags & SYN == 0 {
        flow.unheard[other] = 0;
    }

    if packet.payload_len > 0 {
        flow.say_data(packet.from);
    }
    if tcp.flags & FIN != 0 {
        flow.history.add(b'f', packet.from);
    }
    step
}

/// Whether a segment has data that was acknowledged before it was captured, as [`Hole::fill`].
fn late(flow: &mut Flow, packet: &Packet, tcp: &Tcp) -> Option<u8> {
    let may = flow.hole.is_open() && packet.payload_len > 0;
    may.then(|| flow.hole.fill(packet.from, tcp.seq, packet.payload_len, packet.ts)).flatten()
}

fn on_syn(flow: &mut Flow, packet: &Packet, tcp: &Tcp) {
    let me = packet.from.index();
    let other = packet.from.other().index();
    flow.history.add(b's', packet.from);
    if flow.syns[me] > 0 && flow.isn[me] == tcp.seq && packet.ts.since(flow.syn_last) < TRY_GAP_MIN {
        return;
    }
    if flow.syns[me] == 0 {
        if was_refused_early(flow, packet, tcp) {
            flow.marks.set(Mark::Refused);
        }
        if flow.syns[other] == 0 {
            flow.began = packet.from;
            flow.began_by = Began::Syn;
        }
    } else {
        flow.syn_gap_ms = u32::try_from(packet.ts.since(flow.syn_last).as_millis()).unwrap_or(u32::MAX);
        if flow.syns[me] == 1 {
            flow.syn_first_gap_ms = flow.syn_gap_ms;
        }
        if flow.isn[me] != tcp.seq {
            flow.marks.set(Mark::Retried);
            flow.next_seq[me] = tcp.seq;
        } else if flow.marks.has(Mark::Refused) {
            flow.marks.set(Mark::Retried);
        }
        if flow.synacks[other] > 0 && flow.isn[me] == tcp.seq {
            flow.marks.set(Mark::SynAfterSynAck);
        }
    }
    flow.isn[me] = tcp.seq;
    flow.syns[me] = flow.syns[me].saturating_add(1);
    flow.syn_last = packet.ts;
    flow.syn_frame = packet.frame;
    flow.syn_ip_id = packet.ip_id;
    flow.syn_window = tcp.window;
}

/// Whether a SYN-ACK answers the SYN seen, if one was.
fn fits(flow: &Flow, packet: &Packet, tcp: &Tcp) -> bool {
    let me = packet.from.index();
    let other = packet.from.other().index();
    if flow.syns[other] == 0 {
        return flow.syns[me] == 0;
    }
    acknowledges_syn(flow, other, tcp.ack)
}

/// Whether an acknowledgement is one of this end's SYN, or of data that came with it (RFC 7413).
fn acknowledges_syn(flow: &Flow, end: usize, ack: u32) -> bool {
    (1..=flow.next_seq[end].wrapping_sub(flow.isn[end])).contains(&ack.wrapping_sub(flow.isn[end]))
}

/// Whether it is the first SYN-ACK of a SYN that was seen.
fn on_syn_ack(flow: &mut Flow, packet: &Packet, tcp: &Tcp) -> bool {
    let me = packet.from.index();
    let other = packet.from.other().index();
    flow.history.add(b'h', packet.from);
    flow.synacks[me] = flow.synacks[me].saturating_add(1);
    if flow.synacks[me] > 1 {
        if packet.ts.since(flow.synack_at) >= TRY_GAP_MIN {
            flow.marks.set(Mark::SynAckRepeated);
        }
        return false;
    }
    if flow.syns[other] == 0 {
        flow.began = packet.from.other();
        flow.began_by = Began::SynAck;
    }
    flow.isn[me] = tcp.seq;
    flow.synack_at = packet.ts;
    flow.synack_frame = packet.frame;
    // An answer that nobody was seen asking for is no proof of a listener.
    flow.syns[other] > 0
}

fn on_ack(flow: &mut Flow, packet: &Packet, tcp: &Tcp, counters: &mut Counters) {
    let me = packet.from.index();
    let other = packet.from.other().index();
    if !flow.acked(packet.from) {
        flow.max_ack[me] = tcp.ack;
        flow.marks.set(match packet.from {
            Side::Low => Mark::AckedLow,
            Side::High => Mark::AckedHigh,
        });
    } else if after(tcp.ack, flow.max_ack[me]) {
        flow.max_ack[me] = tcp.ack;
        flow.unheard[me] = 0;
        flow.marks.set(match packet.from {
            Side::Low => Mark::AckAdvancedLow,
            Side::High => Mark::AckAdvancedHigh,
        });
    }
    if tcp.flags & SYN != 0 {
        return;
    }
    flow.say_ack(packet.from);
    // Who only sent SYNs, and is answered by no SYN-ACK, meets an older connection (RFC 5961 section 4.2).
    let older = flow.syns[other] > 0 && flow.synacks[me] == 0 && !flow.acked(packet.from.other());
    let spoke = flow.packets[other] > 0 && flow.flags[other] & RST == 0 && !older;
    if spoke && after(tcp.ack, flow.next_seq[other].wrapping_add(1)) {
        // It acknowledges what this capture never saw. Count the hole once.
        counters.acked_unseen += 1;
        flow.hole.acknowledged(packet.from.other(), flow.next_seq[other], tcp.ack, packet.ts);
        flow.next_seq[other] = tcp.ack;
    }
    let completes = !flow.marks.has(Mark::Established)
        && flow.synacks[other] > 0
        && flow.syns[me] > 0
        && acknowledges(tcp.ack, flow.isn[other]);
    if completes {
        flow.marks.set(Mark::Established);
        flow.handshake_us = handshake_us(packet.ts, flow.syn_last, flow.synack_at);
    }
}

fn on_reset(flow: &mut Flow, packet: &Packet, tcp: &Tcp, counters: &mut Counters) {
    let me = packet.from.index();
    let other = packet.from.other().index();
    // A server that spoke, or a client that acknowledged, shows that the SYN was accepted before.
    let accepted = flow.synacks[me] > 0 || flow.acked(packet.from) || flow.acked(packet.from.other());
    let answers_syn = flow.syns[other] > 0 && !accepted;
    if answers_syn {
        // RFC 9293 section 3.10.7.1: a RST that answers a SYN acknowledges it (data in the SYN may count too).
        if tcp.flags & ACK == 0 || !acknowledges_syn(flow, other, tcp.ack) {
            counters.bad_replies += 1;
            return;
        }
        flow.marks.set(Mark::Refused);
    }
    flow.flags[me] |= tcp.flags;
    flow.history.add(b'r', packet.from);
    if flow.synacks[other] > 0 && !flow.marks.has(Mark::Established) {
        flow.marks.set(Mark::HalfOpenReset);
    }
    if flow.first_frame == packet.frame && tcp.flags & ACK != 0 {
        // A SYN that comes yet may be what it answers.
        flow.max_ack[me] = tcp.ack;
    }
    if !flow.reset.frame.is_some() || answers_syn {
        flow.reset = Reset {
            ts: packet.ts,
            frame: packet.frame,
            ttl: packet.ttl,
            ip_id: packet.ip_id,
            window: tcp.window,
            by_high: packet.from == Side::High,
        };
    }
    flow.unheard[other] = 0;
}
