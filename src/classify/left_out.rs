//! What a filter left out of the whole capture, as all flows together show it.

use std::collections::HashMap;
use std::time::Duration;

use foldhash::quality::RandomState;

use crate::classify::hosts::HostId;
use crate::classify::judged::LeftOut;
use crate::classify::seen::Seen;
use crate::classify::seen::both_ways;
use crate::classify::seen::is_hasty;
use crate::classify::seen::proves_reply;
use crate::classify::thresholds::ANSWERS_ALONE;
use crate::classify::thresholds::CROWDED_FOR;
use crate::classify::thresholds::CROWDED_PER_SECOND;
use crate::classify::thresholds::REQUESTS_ALONE;
use crate::classify::thresholds::SCAN_DISTINCT;
use crate::classify::thresholds::SCAN_WINDOW;
use crate::classify::thresholds::SYNS_ALONE;
use crate::classify::thresholds::SYNS_ALONE_OF;
use crate::flow::record::Flow;
use crate::flow::record::Mark;
use crate::learn::knowledge::Answered;
use crate::learn::knowledge::Listener;
use crate::model::addr::Side;
use crate::model::time::Timestamp;
use crate::model::transport::Transport;

type Map<K, V> = HashMap<K, V, RandomState>;

/// How many flows with data show one direction only, and what a filter may have left out of all.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    with_data: u64,
    one_way: u64,
    /// TCP flows.
    tcp: u64,
    /// TCP flows with a SYN-ACK.
    answered: u64,
    /// There is TCP beyond SYN, SYN-ACK and RST.
    beyond: bool,
    /// A router or host answered a SYN by ICMP.
    told: bool,
    /// There is an answer of something else than TCP.
    replied: bool,
    /// Flows over UDP without the answer that is due.
    requests: Pace,
    /// Their clients, as many as matter.
    asked: Vec<HostId>,
}

/// How many of something there were, and from when to when.
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    count: u64,
    first: Timestamp,
    last: Timestamp,
}

impl Pace {
    fn add(&mut self, from: Timestamp, until: Timestamp) {
        self.first = if self.count == 0 { from } else { self.first.min(from) };
        self.last = self.last.max(until);
        self.count += 1;
    }

    /// Whether there were so many a second, for so long, that it is a scan or a flood.
    fn is_crowded(self) -> bool {
        self.count > self.span().max(CROWDED_FOR).as_secs() * CROWDED_PER_SECOND
    }

    /// Whether that many attempts of one client may be a scan.
    fn may_scan(self) -> bool {
        self.is_crowded() || (self.count >= SCAN_DISTINCT as u64 && self.span() <= SCAN_WINDOW)
    }

    fn span(self) -> Duration {
        self.last.since(self.first)
    }
}

impl Shares {
    /// Counts an attempt that shows nothing but its SYN.
    pub(crate) fn count_lone_attempt(&mut self) {
        self.tcp += 1;
    }

    /// Counts a flow.
    pub(crate) fn count(&mut self, flow: &Flow) {
        if flow.key.transport != Transport::Tcp {
            self.replied |= both_ways(flow);
            return;
        }
        self.tcp += 1;
        self.told |= flow.icmp > 0;
        self.answered += u64::from(flow.synacks != [0; 2]);
        self.beyond |= [Mark::SaidAckLow, Mark::SaidAckHigh].into_iter().any(|mark| flow.marks.has(mark));
        let both = both_ways(flow);
        let speaks = flow.payload[0] + flow.payload[1] > 0 || flow.marks.has(Mark::Established);
        let hears = [Side::Low, Side::High].into_iter().any(|side| proves_reply(flow, side));
        if both && speaks {
            self.with_data += 1;
        } else if !both && hears {
            self.with_data += 1;
            self.one_way += 1;
        }
    }

    /// Whether all TCP there is are SYNs without answer.
    fn only_syns(&self) -> bool {
        self.tcp > 0 && !self.beyond && !self.told && self.answered == 0
    }

    /// Whether there is no TCP, no answer of anything else, and no flood.
    fn only_requests(&self) -> bool {
        self.tcp == 0 && !self.replied && !self.requests.is_crowded()
    }

    /// Counts a flow over UDP without the answer that is due.
    pub(crate) fn count_request(&mut self, client: HostId, flow: &Flow) {
        self.requests.add(flow.first, flow.last_seen());
        if self.asked.len() < REQUESTS_ALONE && !self.asked.contains(&client) {
            self.asked.push(client);
        }
    }

    /// What the capture seems to lack, now that all flows are counted. `answers` is what the shared knowledge holds: what a
    /// watch does not keep any more was answered too.
    pub(crate) fn left_out(&self, flows: &[Seen<'_>], answers: &[(Listener, Answered)]) -> Option<LeftOut> {
        let tcp_answered = answers.iter().any(|(listener, _)| listener.transport == Transport::Tcp);
        if self.only_syns() && !tcp_answered && act_as_answered(flows) {
            Some(LeftOut::AllButSyns)
        } else if self.only_requests() && answers.is_empty() && self.asked.len() >= REQUESTS_ALONE {
            Some(LeftOut::Answers)
        } else {
            None
        }
    }

    /// Whether nothing but TCP was answered.
    pub(crate) fn no_reply(&self) -> bool {
        !self.replied
    }

    /// Whether there is TCP beyond SYN, SYN-ACK and RST.
    pub(crate) fn beyond(&self) -> bool {
        self.beyond
    }

    /// Whether of connections that were answered nothing was captured beyond the answer.
    pub(crate) fn answers_alone(&self) -> bool {
        !self.beyond && self.answered >= ANSWERS_ALONE
    }

    /// The share of flows with data that show one direction only, from 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 52 bits")]
    pub(crate) fn one_way(&self) -> f64 {
        if self.with_data == 0 { 0.0 } else { self.one_way as f64 / self.with_data as f64 }
    }
}

/// Whether clients act as if their SYNs were answered: at hardly any port one is repeated. What scans and floods send counts
/// for nothing.
fn act_as_answered(flows: &[Seen<'_>]) -> bool {
    let (mut clients, mut services) = (Map::<HostId, Pace>::default(), Map::<(HostId, u16), Pace>::default());
    let tcp = || flows.iter().filter(|seen| seen.class.transport() == Transport::Tcp).take(SYNS_ALONE_OF);
    for seen in tcp() {
        let at = seen.stored.first();
        clients.entry(seen.client).or_default().add(at, at);
        services.entry((seen.server, seen.port)).or_default().add(at, at);
    }
    let mut repeated: Map<(HostId, HostId, u16), bool> = Map::default();
    for seen in tcp() {
        let scans = clients.get(&seen.client).is_some_and(|pace| pace.may_scan());
        if !scans && !services.get(&(seen.server, seen.port)).is_some_and(|pace| pace.is_crowded()) {
            let flow = seen.stored.flow();
            let again = flow.syns[seen.orig.index()] > 1 && !is_hasty(&flow, seen.orig);
            *repeated.entry((seen.client, seen.server, seen.port)).or_default() |= again;
        }
    }
    let alone = repeated.values().filter(|repeated| !**repeated).count();
    alone >= SYNS_ALONE && alone * 10 >= repeated.len() * 9
}
