//! Where a conversation was lost: the place, how sure it is, and why nothing is said where nothing can be.

use crate::classify::judged::CaptureFacts;
use crate::classify::thresholds::LOSS_PROBABLE_SHARE;
use crate::classify::vantage::Comparison;
use crate::classify::vantage::align::By;
use crate::classify::vantage::clock::Crossed;
use crate::classify::verdict::Confidence;
use crate::flow::tcp::after;
use crate::flow::trace::Trace;
use crate::flow::trace::Way;
use crate::model::addr::Addr;
use crate::model::addr::Side;
use crate::model::ids::FrameId;
use crate::model::time::Timestamp;

/// A packet may take this long to the other point, beside what clocks differ.
const EDGE_NS: u64 = 200_000_000;

/// How long an answer may take before its absence means something.
const ANSWER_NS: u64 = 1_000_000_000;

/// Attempts that outweigh a capture that is known to lose packets.
const ATTEMPTS_SURE: u64 = 3;

/// Where a conversation was lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum Place {
    /// It left the client, and never reached the server's side.
    RequestLost,
    /// The answer left the server's side, and never arrived at the client's.
    AnswerLost,
    /// Answered at first; then what the client sent reached the server's side no more.
    RequestLostLater,
    /// Answered at first; then what the server sent arrived at the client's side no more.
    AnswerLostLater,
    /// Something between the two points said no: the request never reached the server's side.
    RejectedBetween,
    /// The refusal came from the server's side: it was seen there too.
    RefusedBeyond,
    /// It reached the server's side, and no answer was seen to leave there.
    NoAnswer,
    /// It was answered, and what was lost was sent again.
    Arrived,
    /// Nothing can be said.
    Unknown,
}

impl Place {
    /// The name used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::RequestLost => "request_lost",
            Self::AnswerLost => "answer_lost",
            Self::RequestLostLater => "request_lost_later",
            Self::AnswerLostLater => "answer_lost_later",
            Self::RejectedBetween => "rejected_between",
            Self::RefusedBeyond => "refused_beyond",
            Self::NoAnswer => "no_answer",
            Self::Arrived => "arrived",
            Self::Unknown => "unknown",
        }
    }
}

/// What became of one conversation between the points.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Story {
    /// Where it was lost.
    pub place: Place,
    /// How sure that is.
    pub confidence: Confidence,
    /// Why nothing is said, or why it is less sure: a stable word.
    pub why: Option<&'static str>,
    /// Packets to the server.
    pub to_server: Crossing,
    /// Packets to the client.
    pub to_client: Crossing,
    /// The first frame of the client's request and the first answer, at the client's side.
    pub frames: [FrameId; 2],
    /// The same at the server's side.
    pub server_frames: [FrameId; 2],
    /// How it was recognised at the server's side.
    pub by: Option<By>,
    /// Both ends at the server's side, the client's first.
    pub outside: Option<[(Addr, u16); 2]>,
    /// Who sent the ICMP error that the client's side shows.
    pub said_no: Option<Addr>,
}

/// Packets of one way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Crossing {
    /// Seen where they leave.
    pub left: u64,
    /// Seen where they arrive.
    pub arrived: u64,
    /// Lost, compared packet by packet while both captures watched; `None` where that cannot be told.
    pub lost: Option<u64>,
    /// Repeated by the sender, as seen where they leave.
    pub repeated: u64,
}

/// A place with how sure it is, or why nothing is said.
type Said = Result<(Place, Confidence, Option<&'static str>), &'static str>;

impl Comparison<'_> {
    /// What became of the conversation at `place` of the client's side, whose client is at `orig`.
    pub fn story(&self, place: usize, orig: Side) -> Option<Story> {
        let here = self.traces().all().get(place)?;
        let (requests, answers) = (here.way(orig)?, here.way(orig.other())?);
        let partner = self.partner(place);
        let said = match partner {
            None => self.unseen(place, here, orig),
            Some((there, flipped)) => self.seen(here, there, orig, flipped),
        };
        let (place_found, confidence, why) = match said {
            Ok((place, confidence, why)) => (place, confidence, why),
            Err(why) => (Place::Unknown, Confidence::Possible, Some(why)),
        };
        let mut story = Story {
            place: place_found,
            confidence,
            why,
            to_server: Crossing { left: requests.packets, repeated: requests.repeated, ..Crossing::default() },
            to_client: Crossing { arrived: answers.packets, ..Crossing::default() },
            frames: [requests.frame, answers.frame],
            server_frames: [FrameId::NONE; 2],
            by: self.alignment.pair(place).map(|pair| pair.by),
            outside: None,
            said_no: here.error.map(|(error, _)| error.sender),
        };
        if let Some((there, flipped)) = partner {
            let orig_there = if flipped { orig.other() } else { orig };
            let (asked, said) = (there.way(orig_there)?, there.way(orig_there.other())?);
            story.to_server.arrived = asked.packets;
            story.to_client.left = said.packets;
            story.to_client.repeated = said.repeated;
            story.to_server.lost = self.lost(here, there, orig, flipped, true);
            story.to_client.lost = self.lost(here, there, orig, flipped, false);
            story.server_frames = [asked.frame, said.frame];
            let end = |side| (there.key.end(side).addr, there.key.end(side).port);
            story.outside = Some([end(orig_there), end(orig_there.other())]);
        } else if place_found != Place::Unknown {
            story.to_server.lost = Some(self.watched(requests, &self.server.facts, true));
        }
        Some(story)
    }

    /// Packets of one way that left while both watched, and did not arrive.
    fn lost(&self, here: &Trace, there: &Trace, orig: Side, flipped: bool, to_server: bool) -> Option<u64> {
        let side = if to_server { orig } else { orig.other() };
        let side_there = if flipped { side.other() } else { side };
        if !here.is_whole(side) || !there.is_whole(side_there) {
            return None;
        }
        let crossed = Crossed::of(here, there, side, flipped, to_server);
        if crossed.appeared > 0 {
            return None;
        }
        let watched = crossed.lost.iter().filter(|print| self.is_watched(print.ts, to_server));
        Some(watched.count() as u64)
    }

    /// Whether the other side watched when a packet of this side left.
    fn is_watched(&self, at: Timestamp, to_server: bool) -> bool {
        let (facts, at) = if to_server {
            (&self.server.facts, self.clock.to_server(at))
        } else {
            (&self.client.facts, self.clock.to_client(at))
        };
        at.is_some_and(|at| self.covers(facts, at, at))
    }

    /// How many of the packets kept left while the other side watched.
    fn watched(&self, way: &Way, facts: &CaptureFacts, to_server: bool) -> u64 {
        let there = |at| if to_server { self.clock.to_server(at) } else { self.clock.to_client(at) };
        let times = way.prints.iter().filter_map(|print| there(print.ts));
        times.filter(|at| self.covers(facts, *at, *at)).count() as u64
    }

    /// Whether a capture watched from one moment to another, by its own clock.
    pub(super) fn covers(&self, facts: &CaptureFacts, from: Timestamp, to: Timestamp) -> bool {
        let margin = self.clock.spread_ns.saturating_add(EDGE_NS);
        let begun = facts.first.0.saturating_add(self.clock.spread_ns) <= from.0 || facts.first == from;
        let goes_on = to.0.saturating_add(margin) <= facts.last.0;
        // From the last frame before a long silence to the first after it, nobody may have watched.
        let silent = facts.gaps.iter().any(|(start, end)| start.0 < to.0.saturating_add(margin) && from.0 < end.0);
        begun && goes_on && !silent
    }

    /// Nothing of it was seen at the server's side.
    fn unseen(&self, place: usize, here: &Trace, orig: Side) -> Said {
        let (client, server) = (here.key.end(orig).addr, here.key.end(orig.other()).addr);
        let (Some(requests), Some(answers)) = (here.way(orig), here.way(orig.other())) else {
            return Err("no_request");
        };
        if requests.packets == 0 {
            return Err("no_request");
        }
        // What began before the capture cannot be told from others behind a translator.
        if here.is_tcp() && here.isn(orig).is_none() {
            return Err("begun_before");
        }
        if server.is_multicast_or_broadcast() {
            return Err("to_many");
        }
        if !self.clock.is_set() {
            return Err("nothing_in_both");
        }
        if self.server.traces.left_out() > 0 {
            return Err("not_kept");
        }
        let watched = self.watched(requests, &self.server.facts, true);
        if watched == 0 {
            return Err("not_watched");
        }
        if answers.packets > answers.resets || self.elsewhere.contains(&(client, server)) {
            return Err("passes_elsewhere");
        }
        let arrived = |at| self.strangers.may_be(here, orig, at);
        let may_have_arrived = requests.prints.iter().filter_map(|print| self.clock.to_server(print.ts)).any(arrived);
        let no_digest = !here.is_tcp() && requests.prints.iter().all(|print| print.digest == 0);
        if self.alignment.is_unclear(place) || no_digest || may_have_arrived {
            return Err("unclear");
        }
        let (confidence, why) = if self.passed.contains(&(client, server)) {
            (Confidence::Confirmed, None)
        } else if self.passed_to.contains(&server) {
            (Confidence::Probable, Some("pair_not_seen"))
        } else if self.shown_to.contains(&server) {
            (Confidence::Possible, Some("way_not_seen"))
        } else {
            return Err("server_not_seen");
        };
        let (confidence, why) = weigh(&self.server.facts, watched, confidence, why);
        let said_no = answers.resets > 0 || here.error.is_some();
        Ok((if said_no { Place::RejectedBetween } else { Place::RequestLost }, confidence, why))
    }

    /// It was seen at the server's side.
    fn seen(&self, here: &Trace, there: &Trace, orig: Side, flipped: bool) -> Said {
        let orig_there = if flipped { orig.other() } else { orig };
        let ways = (here.way(orig.other()), there.way(orig_there), there.way(orig_there.other()));
        let (Some(answers), Some(asked), Some(said)) = ways else { return Err("no_request") };
        if answers.packets > answers.resets {
            return Ok(self.later(here, there, orig, flipped));
        }
        if asked.packets == 0 {
            return Err("no_request");
        }
        if answers.resets > 0 {
            return if said.resets > 0 {
                Ok((Place::RefusedBeyond, Confidence::Confirmed, None))
            } else {
                self.silent(there, orig_there, asked).map(|said| (Place::RejectedBetween, said.1, said.2))
            };
        }
        if here.error.is_some() {
            let place = if there.error.is_some() { Place::RefusedBeyond } else { Place::RejectedBetween };
            return Ok((
                place,
                if place == Place::RefusedBeyond { Confidence::Confirmed } else { Confidence::Probable },
                None,
            ));
        }
        if said.packets > 0 {
            return self.answer_lost(here, orig, said);
        }
        self.silent(there, orig_there, asked)
    }

    /// The answer left, and was not seen at the client's side.
    fn answer_lost(&self, here: &Trace, orig: Side, said: &Way) -> Said {
        let (client, server) = (here.key.end(orig).addr, here.key.end(orig.other()).addr);
        if self.client.traces.left_out() > 0 {
            return Err("not_kept");
        }
        let watched = self.watched(said, &self.client.facts, false);
        if watched == 0 {
            return Err("not_watched");
        }
        let (confidence, why) = if self.passed.contains(&(server, client)) {
            (Confidence::Confirmed, None)
        } else if self.passed_from.contains(&server) {
            (Confidence::Probable, Some("pair_not_seen"))
        } else if self.heard.contains(&server) {
            (Confidence::Possible, Some("way_not_seen"))
        } else {
            return Err("way_back_not_seen");
        };
        let (confidence, why) = weigh(&self.client.facts, watched, confidence, why);
        Ok((Place::AnswerLost, confidence, why))
    }

    /// No answer was seen to leave at the server's side.
    fn silent(&self, there: &Trace, orig: Side, asked: &Way) -> Said {
        let (client, server) = (there.key.end(orig).addr, there.key.end(orig.other()).addr);
        let until = Timestamp(asked.last.0.saturating_add(ANSWER_NS));
        if !self.covers(&self.server.facts, asked.last, until) {
            return Err("not_watched");
        }
        let (confidence, why) = if self.spoke.contains(&(server, client)) {
            (Confidence::Confirmed, None)
        } else if self.spoke_at_all.contains(&server) {
            (Confidence::Probable, Some("pair_not_seen"))
        } else {
            return Err("way_back_not_seen");
        };
        let (confidence, why) = weigh(&self.server.facts, asked.packets, confidence, why);
        Ok((Place::NoAnswer, confidence, why))
    }

    /// Whether bytes left for good after it was answered.
    fn later(
        &self,
        here: &Trace,
        there: &Trace,
        orig: Side,
        flipped: bool,
    ) -> (Place, Confidence, Option<&'static str>) {
        let places = [(orig, true, Place::RequestLostLater), (orig.other(), false, Place::AnswerLostLater)];
        for (side, to_server, place) in places {
            let side_there = if flipped { side.other() } else { side };
            let (near, near_side, far, far_side) =
                if to_server { (here, side, there, side_there) } else { (there, side_there, here, side) };
            let facts = if to_server { &self.server.facts } else { &self.client.facts };
            if let Some(missing) = missing(near, near_side, far, far_side)
                && self.is_watched(missing, to_server)
            {
                let (confidence, why) = weigh(facts, 1, Confidence::Confirmed, None);
                return (place, confidence, why);
            }
        }
        (Place::Arrived, Confidence::Confirmed, None)
    }
}

/// When the last bytes left that the far side never showed, neither by themselves nor by an acknowledgement.
fn missing(near: &Trace, near_side: Side, far: &Trace, far_side: Side) -> Option<Timestamp> {
    let (base, far_base) = match (near.isn(near_side), far.isn(far_side)) {
        (Some(base), Some(far_base)) => (base, far_base),
        _ => (0, 0),
    };
    let (end, at) = near.way(near_side)?.end?;
    let end = end.wrapping_sub(base);
    let shown = far.way(far_side)?.end.map(|(end, _)| end.wrapping_sub(far_base));
    let acked_near = near.way(near_side.other())?.ack.map(|ack| ack.wrapping_sub(base));
    let acked_far = far.way(far_side.other())?.ack.map(|ack| ack.wrapping_sub(far_base));
    let arrived = [shown, acked_near, acked_far].into_iter().flatten().any(|reached| !after(end, reached));
    (!arrived).then_some(at)
}

/// What a capture is known to have lost takes from how sure it is that a packet never came.
fn weigh(
    facts: &CaptureFacts,
    attempts: u64,
    confidence: Confidence,
    why: Option<&'static str>,
) -> (Confidence, Option<&'static str>) {
    if facts.lost_share > LOSS_PROBABLE_SHARE {
        (Confidence::Possible, Some("capture_lost_packets"))
    } else if facts.lost_share > 0.0 && attempts < ATTEMPTS_SURE {
        (confidence.lower(), Some("capture_lost_packets"))
    } else {
        (confidence, why)
    }
}
