//! From evidence to outcome: the rows T1 to T26 of SEMANTICS table 1a, U1 to U10 and I1 of table 1b.

use crate::catalogue::service::UdpHabit;
use crate::classify::context::Context;
use crate::classify::judged::LeftOut;
use crate::classify::pending::Clock;
use crate::classify::pending::is_pending;
use crate::classify::pending::told_no;
use crate::classify::seen::About;
use crate::classify::seen::Seen;
use crate::classify::seen::both_ways;
use crate::classify::seen::expired_on_purpose;
use crate::classify::seen::is_hasty;
use crate::classify::seen::listener_of;
use crate::classify::seen::may_be_probe;
use crate::classify::seen::proves_reply;
use crate::classify::thresholds as limit;
use crate::classify::verdict::By;
use crate::classify::verdict::Confidence;
use crate::classify::verdict::Frames;
use crate::classify::verdict::Outcome;
use crate::classify::verdict::Reason;
use crate::classify::verdict::Verdict;
use crate::flow::icmp::IcmpMeaning;
use crate::flow::icmp::IcmpSeen;
use crate::flow::record::FIN;
use crate::flow::record::Flow;
use crate::flow::record::Mark;
use crate::flow::record::RST;
use crate::model::addr::Side;
use crate::model::app::AppProto;
use crate::model::app::ProtoSet;
use crate::model::ids::FrameId;
use crate::model::transport::Transport;
use std::time::Duration;

/// Judges what the wire shows of `flow`, which is `seen` unfolded.
pub(crate) fn outcome(seen: &Seen<'_>, flow: &Flow, context: &Context, about: &About<'_>) -> Verdict {
    let (orig, resp) = (seen.orig, seen.orig.other());
    let case = Case { flow, seen, icmp: seen.icmp(), orig, resp, context, about };
    let mut verdict = match flow.key.transport {
        Transport::Tcp => case.tcp(),
        Transport::Udp => case.udp(),
        Transport::Icmp => case.echo(),
        _ => case.portless(),
    };
    case.doubt_loss(&mut verdict);
    case.wait(&mut verdict);
    verdict
}

/// What becomes of one SYN that met no answer, and why, as [`outcome`] says of it: most of a scan's millions are such, and
/// need no whole flow for that. `None` of anything else.
pub(crate) fn of_single_syn(seen: &Seen<'_>, context: &Context) -> Option<(Outcome, Reason)> {
    let Seen { stored, client, server, orig, .. } = *seen;
    if !stored.is_lone_attempt_of(orig) || stored.syns(orig) != 1 || context.watched.facts.running {
        return None;
    }
    if context.is_probe(client, stored.ttl(orig)) {
        return Some((Outcome::Unknown, Reason::Traceroute));
    }
    let (at, frame, _) = stored.order();
    let wait = limit::SYN_WAIT_MIN;
    if !context.watched.facts.goes_on_after(at, wait) || context.watched.after(at, frame) < wait {
        return Some((Outcome::Unknown, Reason::EdgeEnd));
    }
    Some(if context.goes_on_in_ipsec(client, server, at, at) {
        (Outcome::Unknown, Reason::InsideIpsec)
    } else if context.way_doubted(client, server, at) {
        (Outcome::Unknown, Reason::ReverseInvisible)
    } else {
        (Outcome::Dropped, Reason::SynSingle)
    })
}

/// One flow, seen from its client.
struct Case<'a> {
    flow: &'a Flow,
    seen: &'a Seen<'a>,
    icmp: Option<&'a IcmpSeen>,
    orig: Side,
    resp: Side,
    context: &'a Context,
    about: &'a About<'a>,
}

/// A verdict on something that did not fail.
fn fine(outcome: Outcome, confidence: Confidence, reason: Reason, frames: &[FrameId]) -> Verdict {
    Verdict { outcome, confidence, reason, by: None, frames: Frames::of(frames) }
}

/// A verdict on something that failed.
fn failed(outcome: Outcome, confidence: Confidence, reason: Reason, by: By, frames: &[FrameId]) -> Verdict {
    Verdict { outcome, confidence, reason, by: Some(by), frames: Frames::of(frames) }
}

impl Case<'_> {
    fn tcp(&self) -> Verdict {
        let syn = self.flow.syns[self.orig.index()] > 0;
        let synack = self.flow.synacks[self.resp.index()] > 0;
        match (syn, synack) {
            (true, false) => self.attempt(),
            (true, true) => self.answered_attempt(),
            (false, true) => self.only_answer(),
            (false, false) => self.midstream(),
        }
    }

    /// SYN without SYN-ACK: T1 to T11, T16.
    fn attempt(&self) -> Verdict {
        let flow = self.flow;
        if flow.acked(self.orig) {
            // The client goes on, so the SYN-ACK arrived, whatever else was sent before.
            return if flow.acked(self.resp) {
                fine(Outcome::Open, Confidence::Probable, Reason::MidStream, &self.story())
            } else {
                fine(Outcome::OneWay, Confidence::Confirmed, Reason::OneWayC2s, &self.story())
            };
        }
        if let Some(icmp) = self.icmp.filter(|_| !flow.marks.has(Mark::Refused)) {
            return self.icmp_verdict(icmp);
        }
        if self.is_probe() {
            return fine(Outcome::Unknown, Confidence::Possible, Reason::Traceroute, &self.story());
        }
        if flow.marks.has(Mark::Refused) {
            return self.refused();
        }
        if flow.acked(self.resp) || flow.marks.has(Mark::MisfitSynAck) {
            // It speaks, but answers another connection than this (RFC 5961 challenge, a restart).
            return fine(Outcome::Unknown, Confidence::Possible, Reason::BadReply, &self.story());
        }
        if flow.packets[self.resp.index()] > 0 && flow.syns[self.orig.index()] == 1 {
            // A RST whose numbers do not fit may end a connection of which nothing else was captured.
            return fine(Outcome::Unknown, Confidence::Possible, Reason::BadReply, &self.story());
        }
        self.silence()
    }

    /// SYNs, and nothing came back: T1 to T5, T11, and the one-way gate.
    fn silence(&self) -> Verdict {
        let flow = self.flow;
        let tries = flow.syns[self.orig.index()];
        let frames = [flow.first_frame, flow.syn_frame];
        let Seen { client, server, .. } = *self.seen;
        let wait = limit::SYN_WAIT_MIN.max(Duration::from_millis(u64::from(flow.syn_gap_ms) * 3 / 2));
        if flow.reset_by() == Some(self.orig) && flow.reset.ts.since(flow.syn_last) < wait {
            let frames = [flow.first_frame, flow.reset.frame];
            return fine(Outcome::Unknown, Confidence::Possible, Reason::ClientGaveUp, &frames);
        }
        // One SYN that is not even repeated may be all that a mirror showed before it ended.
        let ended = tries <= 1 && !self.context.watched.facts.goes_on_after(flow.syn_last, wait);
        let early = ended || self.context.watched.after_flow(flow, flow.syn_last) < wait;
        // The client's repeats prove that the first tries, at least as long ago, were not answered.
        if early && (tries < limit::SYN_TRIES_SURE || self.context.watched.after_flow(flow, flow.first) < wait) {
            return fine(Outcome::Unknown, Confidence::Possible, Reason::EdgeEnd, &frames);
        }
        if tries > 1
            && let Some(icmp) = self.context.icmp_before(client, listener_of(flow, self.orig), flow.syn_last)
        {
            let frames = [flow.first_frame, flow.syn_frame, icmp.frame];
            let by = By::Address(icmp.sender);
            return failed(Outcome::Rejected, Confidence::Probable, Reason::IcmpInherited, by, &frames);
        }
        if self.context.goes_on_in_ipsec(client, server, flow.first, flow.syn_last) {
            return fine(Outcome::Unknown, Confidence::Possible, Reason::InsideIpsec, &frames);
        }
        if self.context.way_doubted(client, server, flow.syn_last) {
            return if tries >= limit::SYN_TRIES_SURE && !is_hasty(flow, self.orig) {
                let reason = Reason::SynRepeatedOneWay;
                failed(Outcome::Dropped, Confidence::Probable, reason, By::Unknown, &frames)
            } else {
                fine(Outcome::Unknown, Confidence::Possible, Reason::ReverseInvisible, &frames)
            };
        }
        let heard = self.context.ways.heard(server);
        let (mut confidence, mut reason) = match (tries, heard) {
            (0 | 1, _) => (Confidence::Possible, Reason::SynSingle),
            (_, false) => (Confidence::Probable, Reason::HostSilent),
            (limit::SYN_TRIES_SURE.., true) => (Confidence::Confirmed, Reason::SynUnanswered),
            (_, true) => (Confidence::Probable, Reason::SynUnanswered),
        };
        if self.context.watched.at_start(flow) && flow.syn_first_gap_ms > limit::SYN_SERIES_GAP_MS {
            confidence = confidence.lower();
            reason = Reason::EdgeStart;
        }
        if early {
            confidence = confidence.lower();
        }
        // Anybody can send a RST whose numbers do not fit. The client does not heed it; whose it is, nobody knows.
        if is_hasty(flow, self.orig) || flow.packets[self.resp.index()] > 0 {
            confidence = Confidence::Possible;
        }
        failed(Outcome::Dropped, confidence, reason, By::Unknown, &frames)
    }

    /// A fitting RST answered the SYN: T6 to T8.
    fn refused(&self) -> Verdict {
        let frames = [self.flow.first_frame, self.flow.syn_frame, self.flow.reset.frame];
        match self.reset_origin() {
            Some(By::Host) => failed(Outcome::Refused, Confidence::Confirmed, Reason::RstHost, By::Host, &frames),
            Some(by) => failed(Outcome::Rejected, Confidence::Probable, Reason::RstMiddlebox, by, &frames),
            None => failed(Outcome::Refused, Confidence::Possible, Reason::RstUnknownOrigin, By::Unknown, &frames),
        }
    }

    /// Who sent the RST, by comparison with the server's other packets.
    ///
    /// Packets to other clients may take another way, with another time to live: that the RST looks like them speaks
    /// for the server, that it does not speaks against it only if it differs from those to this very client.
    fn reset_origin(&self) -> Option<By> {
        let flow = self.flow;
        let near = self.context.baselines.of(self.seen.server, Some(self.seen.client));
        let far = self.context.baselines.of(self.seen.server, None);
        // A few packets to this client that look like the many to others are as good.
        let near_ttl = near.stable().or(near.only().filter(|ttl| far.stable() == Some(*ttl)));
        let same_ttl = match near_ttl {
            // Of two copies, one came over more routers: which of them is the first, is chance.
            Some(ttl) if far.copied() && (1..=limit::COPY_HOPS).contains(&ttl.abs_diff(flow.reset.ttl)) => None,
            // So few are set by who sends to neighbours only.
            Some(ttl) if may_be_probe(ttl) => None,
            Some(ttl) => Some(ttl == flow.reset.ttl),
            None => far.stable().filter(|ttl| *ttl == flow.reset.ttl).map(|_| true),
        };
        if same_ttl == Some(false) {
            return Some(By::Middlebox);
        }
        if far.copied() && !flow.marks.has(Mark::ResetCopied) {
            // Everything of this server is captured twice, and this RST once: it did not come the same way.
            return None;
        }
        let took = flow.reset.ts.0.saturating_sub(flow.syn_last.0);
        let signs = [
            flow.reset.ip_id != 0 && flow.reset.ip_id == flow.syn_ip_id,
            flow.reset.window != 0 && flow.reset.window == flow.syn_window,
            far.fastest_ns.is_some_and(|fastest| took < fastest / 2) && same_ttl.is_none(),
        ];
        if signs.into_iter().filter(|sign| *sign).count() >= 2 {
            return Some(By::Middlebox);
        }
        same_ttl.map(|_| By::Host)
    }

    /// An ICMP error ended it: T9, U6, U7.
    fn icmp_verdict(&self, icmp: &IcmpSeen) -> Verdict {
        let target = self.flow.addr(self.resp);
        let meaning = icmp.meaning();
        let closed = matches!(meaning, IcmpMeaning::PortUnreachable | IcmpMeaning::ProtocolUnreachable);
        let mut reason = Reason::Icmp { kind: icmp.kind, code: icmp.code };
        if self.is_probe() || expired_on_purpose(self.flow, self.orig, Some(icmp)) {
            // A traceroute asks for exactly this answer.
            let frames = [self.flow.first_frame, icmp.frame];
            return fine(Outcome::Unknown, Confidence::Probable, reason, &frames);
        }
        let frames = [self.flow.first_frame, icmp.frame, self.flow.syn_frame];
        if closed && icmp.sender == target {
            if self.flow.key.transport == Transport::Udp {
                reason = Reason::IcmpClosed;
            }
            return failed(Outcome::Refused, Confidence::Confirmed, reason, By::Host, &frames);
        }
        failed(Outcome::Rejected, Confidence::Confirmed, reason, By::Address(icmp.sender), &frames)
    }

    /// SYN and SYN-ACK: T10, T12 to T15, T21 to T25.
    fn answered_attempt(&self) -> Verdict {
        let flow = self.flow;
        let frames = [flow.syn_frame, flow.synack_frame, flow.last_frame[self.orig.index()]];
        if flow.marks.has(Mark::Established) {
            return self.established();
        }
        let spoke_on = flow.payload[self.orig.index()] > 0 || flow.acked(self.orig);
        // A client that goes on asking heard no answer: whoever ended it in its name is another.
        let goes_on = flow.marks.has(Mark::SynAfterSynAck) && flow.syn_last > flow.reset.ts;
        if flow.marks.has(Mark::HalfOpenReset) && !goes_on {
            return fine(Outcome::Open, Confidence::Confirmed, Reason::HalfOpenProbe, &self.story());
        }
        if spoke_on {
            return fine(Outcome::Open, Confidence::Probable, Reason::Handshake, &frames);
        }
        if self.context.watched.after_flow(flow, flow.last_seen()) < limit::SYN_WAIT_MIN {
            return fine(Outcome::Unknown, Confidence::Possible, Reason::EdgeEnd, &frames);
        }
        let repeated = flow.marks.has(Mark::SynAfterSynAck) || flow.marks.has(Mark::SynAckRepeated);
        let (syns, synacks) = (flow.syns[self.orig.index()], flow.synacks[self.resp.index()]);
        // An answer that took longer than the client's timer looks the same where nothing else is captured. Each SYN has one.
        let slow = syns < limit::SYN_TRIES_SURE && synacks <= syns;
        if repeated && slow && self.context.shares.answers_alone() {
            return fine(Outcome::Unknown, Confidence::Possible, Reason::ReverseInvisible, &frames);
        }
        if flow.marks.has(Mark::SynAfterSynAck) {
            let alone = slow && !self.context.shares.beyond();
            let confidence = if alone { Confidence::Possible } else { Confidence::Confirmed };
            let by = By::Unknown;
            return failed(Outcome::ReplyLost, confidence, Reason::SynAckUnheard, by, &frames);
        }
        // Its repeats show that it heard nothing, whatever the capture sees of the client.
        if flow.marks.has(Mark::SynAckRepeated) {
            let (confidence, by) = (Confidence::Possible, By::Unknown);
            return failed(Outcome::ReplyLost, confidence, Reason::SynAckUnacked, by, &frames);
        }
        fine(Outcome::Open, Confidence::Probable, Reason::HalfOpen, &frames)
    }

    fn established(&self) -> Verdict {
        let flow = self.flow;
        let (me, other) = (self.orig.index(), self.resp.index());
        let handshake = [flow.syn_frame, flow.synack_frame];
        let reset = flow.reset.frame;
        let last = flow.last_frame[me];
        let server_left = flow.flags[other] & (FIN | RST) != 0;
        let silent = self.context.watched.after_flow(flow, flow.last[other]) >= limit::STALL_SILENCE;
        // Data that was lost on the way is repeated at once, and one acknowledgement may be missing here.
        let long = flow.last[me].since(flow.last[other]) >= limit::STALL_SPAN;
        let unheard = flow.unheard[me] >= limit::STALL_REPEATS && flow.payload[me] > 0 && silent && long;
        let still_asked = self.is_still_asked();
        if (unheard || still_asked) && !server_left {
            if let Some(icmp) = self.icmp.filter(|icmp| icmp.ts >= flow.last[other] && !flow.marks.has(Mark::Mtu)) {
                return self.icmp_verdict(icmp);
            }
            let sure = if flow.marks.has(Mark::Mtu) { Confidence::Confirmed } else { Confidence::Probable };
            let frames = [flow.syn_frame, flow.synack_frame, flow.last_frame[other], last];
            let reason = if still_asked { Reason::SynAckUnacked } else { Reason::NoAckAfterSetup };
            return failed(Outcome::Stalled, sure, reason, By::Unknown, &frames);
        }
        if self.is_answered_in_vain() {
            let frames = [flow.syn_frame, flow.synack_frame, last, flow.last_frame[other]];
            let (sure, by) = (Confidence::Probable, By::Unknown);
            return failed(Outcome::Stalled, sure, Reason::AnswerUnacked, by, &frames);
        }
        let payload = (flow.payload[me] > 0, flow.payload[other] > 0);
        let closed = (flow.flags[me] | flow.flags[other]) & (FIN | RST) != 0;
        let by_server = flow.reset_by() == Some(self.resp);
        let no_fin = (flow.flags[me] | flow.flags[other]) & FIN == 0;
        if by_server && payload == (true, false) && no_fin {
            let by = self.reset_origin().unwrap_or(By::Unknown);
            let frames = [flow.syn_frame, flow.synack_frame, last, reset];
            let sure = if by == By::Host { Confidence::Confirmed } else { Confidence::Probable };
            return failed(Outcome::Reset, sure, Reason::RstAfterData, by, &frames);
        }
        let reason = if payload == (false, false) && closed {
            Reason::ConnectOnly
        } else if flow.marks.has(Mark::Retried) {
            Reason::Retried
        } else if reset.is_some() {
            Reason::LateRst
        } else {
            Reason::Handshake
        };
        fine(Outcome::Open, Confidence::Confirmed, reason, &[handshake[0], handshake[1], last])
    }

    /// Whether the server did nothing but repeat its SYN-ACK, though the client acknowledged it and sent data: none of that
    /// arrived.
    fn is_still_asked(&self) -> bool {
        let flow = self.flow;
        let (me, other) = (self.orig.index(), self.resp.index());
        let only_asks = u64::from(flow.synacks[other]) == flow.packets[other] && !flow.ack_advanced(self.resp);
        only_asks
            && flow.synacks[other] >= limit::SYN_TRIES_SURE
            && flow.payload[me] > 0
            && self.context.watched.after_flow(flow, flow.synack_at) >= limit::STALL_SILENCE
    }

    /// Whether the server sent its data again and again, and the client, of which more was captured, acknowledged none of it.
    fn is_answered_in_vain(&self) -> bool {
        let flow = self.flow;
        let (me, other) = (self.orig.index(), self.resp.index());
        let client_left = flow.flags[me] & RST != 0 && flow.reset.ts < flow.last[other];
        flow.retransmits[other] >= u16::from(limit::STALL_REPEATS)
            && flow.payload[other] > 0
            && flow.payload[me] > 0
            && !flow.ack_advanced(self.orig)
            && !client_left
            && flow.last[other].since(flow.synack_at) >= limit::STALL_SILENCE
    }

    /// A SYN-ACK whose SYN was not captured: T17, or a flow caught at its second packet.
    fn only_answer(&self) -> Verdict {
        let flow = self.flow;
        if flow.packets[self.orig.index()] > 0 {
            return if flow.acked(self.orig) {
                fine(Outcome::Open, Confidence::Confirmed, Reason::MidStream, &self.story())
            } else {
                // A RST to an answer that nobody was seen asking for: backscatter of somebody else's forgery.
                fine(Outcome::Unknown, Confidence::Possible, Reason::HalfOpenProbe, &self.story())
            };
        }
        if proves_reply(flow, self.resp) {
            return fine(Outcome::OneWay, Confidence::Probable, Reason::OneWayS2c, &self.story());
        }
        fine(Outcome::Unknown, Confidence::Possible, Reason::OneWayS2c, &self.story())
    }

    /// No handshake at all: T18 to T20.
    fn midstream(&self) -> Verdict {
        let flow = self.flow;
        let payload = flow.payload[0] + flow.payload[1];
        let ending = (flow.flags[0] | flow.flags[1]) & (FIN | RST) != 0;
        let packets = flow.packets[0] + flow.packets[1];
        if payload == 0 && ending && packets <= 4 {
            return fine(Outcome::Unknown, Confidence::Possible, Reason::Stray, &self.story());
        }
        if both_ways(flow) {
            let sure = if payload > 0 { Confidence::Confirmed } else { Confidence::Probable };
            return fine(Outcome::Open, sure, Reason::MidStream, &self.story());
        }
        if flow.ack_advanced(Side::Low) || flow.ack_advanced(Side::High) {
            return fine(Outcome::OneWay, Confidence::Probable, Reason::MidOneWay, &self.story());
        }
        fine(Outcome::Unknown, Confidence::Possible, Reason::MidOneWay, &self.story())
    }

    /// U1 to U10.
    fn udp(&self) -> Verdict {
        let flow = self.flow;
        let frames = self.story();
        if both_ways(flow) {
            return fine(Outcome::Open, Confidence::Confirmed, Reason::UdpReply, &frames);
        }
        if flow.packets[self.orig.index()] == 0 {
            return fine(Outcome::OneWay, Confidence::Probable, Reason::OneWayS2c, &frames);
        }
        if self.is_group() {
            // Of many that are asked, one may well say that it has no such service.
            return fine(Outcome::Unknown, Confidence::Confirmed, Reason::OneWayProtocol, &frames);
        }
        let guessed = self.may_be_broadcast();
        let by_another =
            |icmp: &IcmpSeen| icmp.meaning() == IcmpMeaning::PortUnreachable && icmp.sender != flow.addr(self.resp);
        if let Some(icmp) = self.icmp.filter(|icmp| !(guessed && by_another(icmp))) {
            return self.icmp_verdict(icmp);
        }
        if guessed {
            return fine(Outcome::Unknown, Confidence::Possible, Reason::OneWayProtocol, &frames);
        }
        let service = self.about.meaning(self.seen).and_then(|meaning| meaning.service);
        let service = service.map(|id| self.about.catalogue.service(id));
        let habit = service.and_then(|service| service.udp);
        if habit == Some(UdpHabit::OneWay) {
            return fine(Outcome::Unknown, Confidence::Confirmed, Reason::OneWayProtocol, &frames);
        }
        let Seen { client, server, port, .. } = *self.seen;
        if service.is_some_and(|service| service.replies_elsewhere)
            && self.context.came_elsewhere(client, flow.key.end(self.orig).port, server)
        {
            return fine(Outcome::Open, Confidence::Probable, Reason::Related, &frames);
        }
        let asks = service.is_some_and(|service| self.asks(service.speaks));
        let Some(UdpHabit::RequestReply { timeout }) = habit.filter(|_| asks) else {
            return fine(Outcome::Unknown, Confidence::Possible, Reason::NoReplyKnown, &frames);
        };
        if service.is_some_and(|service| service.tcp_twin)
            && self.context.twin_worked((client, server, port), flow.first, flow.last_seen())
        {
            return fine(Outcome::Open, Confidence::Probable, Reason::UdpFallback, &frames);
        }
        self.unanswered(timeout)
    }

    /// U3, with its guards.
    fn unanswered(&self, timeout: Duration) -> Verdict {
        let flow = self.flow;
        let Seen { client, server, port, .. } = *self.seen;
        let frames = self.story();
        if self.is_probe() {
            return fine(Outcome::Unknown, Confidence::Possible, Reason::Traceroute, &frames);
        }
        if flow.key.low == flow.key.high {
            // Nothing lies between a host and itself.
            return fine(Outcome::Unknown, Confidence::Possible, Reason::NoReplyKnown, &frames);
        }
        if flow.marks.has(Mark::Mtu) {
            // A router named the reason: it was too big, and nobody filters.
            return fine(Outcome::Unknown, Confidence::Possible, Reason::NoReplyKnown, &frames);
        }
        // Datagrams that are sent again need not mean that none came back, as SYNs do.
        if self.context.ways.datagrams_invisible(client, server, flow.last_seen())
            || self.context.strays(client, flow.key.end(self.orig).port, server, port)
        {
            return fine(Outcome::Unknown, Confidence::Possible, Reason::ReverseInvisible, &frames);
        }
        // Who gets no answer asks the same again, sooner than one is waited for, and not for long.
        let asked_for = flow.last_seen().since(flow.first);
        let pace = asked_for / u32::try_from(self.requests().max(2) - 1).unwrap_or(u32::MAX);
        let alike = flow.payload[self.orig.index()].is_multiple_of(flow.packets[self.orig.index()].max(1));
        let asks_again = pace < timeout && asked_for <= limit::ASKS_AGAIN && alike;
        let unheard = self.context.left_out == Some(LeftOut::Answers)
            || self.context.shares.no_reply()
            || self.context.ways.asymmetric
            || self.context.ways.deaf(client);
        if unheard && !asks_again {
            return fine(Outcome::Unknown, Confidence::Possible, Reason::ReverseInvisible, &frames);
        }
        if self.context.goes_on_in_ipsec(client, server, flow.first, flow.last_seen()) {
            return fine(Outcome::Unknown, Confidence::Possible, Reason::InsideIpsec, &frames);
        }
        if self.context.watched.after_flow(flow, flow.last_seen()) < timeout {
            return fine(Outcome::Unknown, Confidence::Possible, Reason::EdgeEnd, &frames);
        }
        if self.requests() < limit::REQUEST_TRIES {
            return fine(Outcome::Unknown, Confidence::Possible, Reason::UdpSingle, &frames);
        }
        if self.requests() > limit::REQUEST_TRIES_MAX {
            return fine(Outcome::Unknown, Confidence::Possible, Reason::NoReplyKnown, &frames);
        }
        if self.context.answers_client((client, server, port), flow.first) {
            // No filter tells one request from another: the server itself leaves this one unanswered.
            return fine(Outcome::Unknown, Confidence::Possible, Reason::AnsweredOtherwise, &frames);
        }
        let answers_others = self.context.answered(listener_of(flow, self.orig)) > 0;
        let sure = if answers_others { Confidence::Confirmed } else { Confidence::Probable };
        failed(Outcome::Unanswered, sure, Reason::UdpUnanswered, By::Unknown, &frames)
    }

    /// Tries of the client: datagrams with some time between them.
    fn requests(&self) -> u64 {
        u64::from(self.flow.tries[self.orig.index()])
    }

    /// Whether what the client sent wants an answer, as far as its first byte tells.
    fn asks(&self, speaks: ProtoSet) -> bool {
        let me = self.orig.index();
        // Keep-alives of one byte (RFC 3948 section 4) are no requests; whoever looks for databases asks so (MC-SQLR
        // section 2.2.2).
        let keep_alive = self.flow.payload[me] <= self.flow.packets[me] && !speaks.contains(AppProto::Tds);
        // NTP's control and private modes 6 and 7 may be left unanswered (RFC 9327).
        let control = speaks.contains(AppProto::Ntp) && self.flow.lead[me] & 7 >= 6;
        !keep_alive && !control
    }

    /// I1, and ICMP errors about echo requests.
    fn echo(&self) -> Verdict {
        let flow = self.flow;
        let frames = self.story();
        if both_ways(flow) {
            return fine(Outcome::Open, Confidence::Confirmed, Reason::BothWays, &frames);
        }
        if let Some(icmp) = self.icmp {
            return self.icmp_verdict(icmp);
        }
        let Seen { client, server, .. } = *self.seen;
        let waited = self.context.watched.after_flow(flow, flow.last_seen()) >= limit::ECHO_WAIT;
        let repeated = self.requests() >= limit::ECHO_TRIES;
        let told_why = flow.marks.has(Mark::Mtu) || self.is_probe() || flow.ttl_varies(self.orig);
        if repeated
            && waited
            && !told_why
            && !self.is_group()
            && !self.may_be_broadcast()
            && self.context.pair_works(client, server)
            && !self.context.way_doubted(client, server, flow.last_seen())
            && !self.context.goes_on_in_ipsec(client, server, flow.first, flow.last_seen())
        {
            let (sure, by) = (Confidence::Possible, By::Unknown);
            return failed(Outcome::Unanswered, sure, Reason::EchoUnanswered, by, &frames);
        }
        fine(Outcome::Unknown, Confidence::Possible, Reason::NoReplyKnown, &frames)
    }

    /// GRE, ESP, AH, SCTP: both ways is open, more cannot be said.
    fn portless(&self) -> Verdict {
        if both_ways(self.flow) {
            return fine(Outcome::Open, Confidence::Probable, Reason::BothWays, &self.story());
        }
        match self.icmp {
            Some(icmp) => self.icmp_verdict(icmp),
            None => fine(Outcome::Unknown, Confidence::Possible, Reason::NoReplyKnown, &self.story()),
        }
    }

    /// Loss of the capture takes certainty from every failure.
    fn doubt_loss(&self, verdict: &mut Verdict) {
        let lost = self.context.watched.facts.lost_share;
        if lost > 0.0 && verdict.outcome.is_failure() {
            let most = if lost > limit::LOSS_PROBABLE_SHARE { Confidence::Possible } else { Confidence::Probable };
            verdict.confidence = verdict.confidence.min(most);
        }
    }

    /// While the capture goes on, what may still change is pending.
    fn wait(&self, verdict: &mut Verdict) {
        if !self.context.watched.facts.running {
            return;
        }
        let flow = self.flow;
        let watched = |at| self.context.watched.after_flow(flow, at);
        let service = self.about.meaning(self.seen).and_then(|meaning| meaning.service);
        let clock = Clock {
            after_syn: watched(flow.syn_last),
            after_last: watched(flow.last_seen()),
            after_no: watched(told_no(flow, self.icmp)),
            goes_on: self.context.watched.goes_on(flow),
            may_fall_back: service.is_some_and(|service| self.about.catalogue.service(service).tcp_twin),
        };
        if is_pending(flow, verdict, &clock) {
            *verdict = fine(Outcome::Pending, Confidence::Possible, Reason::EdgeEnd, &self.story());
        }
    }

    fn is_probe(&self) -> bool {
        self.context.is_probe(self.seen.client, self.flow.ttl[self.orig.index()])
    }

    fn is_group(&self) -> bool {
        self.flow.marks.has(Mark::Group) || self.flow.addr(self.resp).is_multicast_or_broadcast()
    }

    /// Whether it goes to the last address of most networks, which no host of the capture has, nor of the site file: the link
    /// layer does not always tell.
    fn may_be_broadcast(&self) -> bool {
        let addr = self.flow.addr(self.resp);
        addr.is_last_of_24()
            && !self.context.ways.heard(self.seen.server)
            && !self.about.catalogue.site_knows(addr.ip())
    }

    /// First and last frames of both ends.
    fn story(&self) -> [FrameId; 3] {
        let flow = self.flow;
        [flow.first_frame, flow.last_frame[self.orig.index()], flow.last_frame[self.resp.index()]]
    }
}
