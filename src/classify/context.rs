//! What other flows say about one: who was heard at all, which way back is invisible, whose RST looks how.
//!
//! Flows are looked at twice. The first time they ask, the second time those questions alone are answered, so that a
//! flood of addresses costs little. Hosts go by their numbers.

use std::collections::HashMap;
use std::collections::HashSet;

use foldhash::quality::RandomState;

use crate::catalogue::Catalogue;
use crate::catalogue::service::UdpHabit;
use crate::classify::baseline::Baselines;
use crate::classify::companions::Companions;
use crate::classify::hosts::HostId;
use crate::classify::hosts::Marked;
use crate::classify::judged::CaptureFacts;
use crate::classify::judged::LeftOut;
use crate::classify::left_out::Shares;
use crate::classify::ports::Meaning;
use crate::classify::ports::PortClasses;
use crate::classify::seen::Seen;
use crate::classify::seen::ahead;
use crate::classify::seen::both_ways;
use crate::classify::seen::expired_on_purpose;
use crate::classify::seen::listener_of;
use crate::classify::seen::may_be_probe;
use crate::classify::seen::proves_reply;
use crate::classify::seen::replied;
use crate::classify::seen::untold;
use crate::classify::thresholds::ANSWERED_JUST_BEFORE;
use crate::classify::thresholds::ASYMMETRIC_SHARE;
use crate::classify::thresholds::CLIENTS_OF_A_SERVER;
use crate::classify::thresholds::FALLBACK_WAIT;
use crate::classify::thresholds::ICMP_INHERIT;
use crate::classify::thresholds::IPSEC_FOLLOWS;
use crate::classify::watched::Watched;
use crate::classify::ways::Ways;
use crate::flow::icmp::IcmpSeen;
use crate::flow::record::Flow;
use crate::flow::record::Mark;
use crate::learn::knowledge::Answered;
use crate::learn::knowledge::Listener;
use crate::model::addr::Side;
use crate::model::time::Timestamp;
use crate::model::transport::Transport;

type Map<K, V> = HashMap<K, V, RandomState>;

/// An ICMP error and the endpoint that it made unreachable.
#[derive(Clone, Copy, Debug)]
struct Unreachable {
    client: HostId,
    target: Listener,
    at: Timestamp,
    icmp: IcmpSeen,
    /// The time to live of the packet that it is about.
    ttl: u8,
}

/// A client, a server and its port.
type Request = (HostId, HostId, u16);

/// What all flows together say.
#[derive(Debug, Default)]
pub(crate) struct Context {
    pub(crate) watched: Watched,
    pub(crate) ways: Ways,
    pub(crate) baselines: Baselines,
    pub(crate) companions: Companions,
    pub(crate) shares: Shares,
    /// What a filter left out.
    pub(crate) left_out: Option<LeftOut>,
    pub(crate) one_way_share: f64,
    /// Hosts that have connections with so small a time to live as a traceroute's probes have.
    begins_low: Marked,
    unreachable: Vec<Unreachable>,
    answers: Vec<(Listener, Answered)>,
    /// Unanswered requests: when TCP connections of the same began that worked.
    twins: Map<Request, Vec<Timestamp>>,
    /// Unanswered requests: when the last answer of the same server to this client came.
    answers_me: Map<Request, Timestamp>,
    /// Requests whose reply may come from elsewhere (client, server, client port): whether something came.
    elsewhere: Map<Request, bool>,
    /// Servers and their ports of which datagrams were captured that answer nothing captured.
    strays: HashSet<(HostId, u16), RandomState>,
    /// Servers and their ports of which answers were captured with their questions.
    met: HashSet<(HostId, u16), RandomState>,
    /// Strays by whom they go to: client, its port, the server's port.
    strays_to: HashSet<(HostId, u16, u16), RandomState>,
    /// Pairs with unanswered echo requests: whether other traffic works.
    echo_pairs: Map<(HostId, HostId), bool>,
    /// Two hosts, lower number first, that speak in `IPsec` both ways: when they began to, each time.
    ipsec: Map<(HostId, HostId), Vec<Timestamp>>,
    /// Who reached a server on ports that have a name: as many as make it one.
    clients: Map<HostId, Vec<HostId>>,
}

impl Context {
    /// Of a capture of which no flow was looked at.
    pub(crate) fn new(facts: CaptureFacts) -> Self {
        Self { watched: Watched::new(facts), ..Self::default() }
    }

    /// Looks at a flow. Each is to be looked at once.
    pub(crate) fn look(&mut self, seen: &Seen<'_>, catalogue: &Catalogue, classes: &PortClasses) {
        if seen.stored.is_lone_attempt_of(seen.orig) {
            // Many of a scan's millions: their client spoke, and they ask for nothing.
            self.ways.spoke(seen.client);
            self.ways.reached(seen.server);
            self.shares.count_lone_attempt();
            return;
        }
        let flow = &seen.stored.flow();
        self.ask(seen, flow, catalogue, classes.meaning(seen.class));
        self.shares.count(flow);
        if untold(flow, seen.orig) {
            let answered = Answered { first: flow.first, frame: flow.first_frame, flows: 1 };
            self.answers.push((listener_of(flow, seen.orig), answered));
        }
    }

    /// Answers what flows asked, now that all were looked at. `answers` is what the shared knowledge holds.
    pub(crate) fn answer(&mut self, flows: &[Seen<'_>], answers: Vec<(Listener, Answered)>) {
        self.one_way_share = self.shares.one_way();
        self.ways.asymmetric = self.one_way_share > ASYMMETRIC_SHARE;
        self.left_out = self.shares.left_out(flows, &answers);
        if self.has_questions() {
            ahead(flows).for_each(|seen| self.reply(seen));
        }
        self.answers.extend(answers);
        self.merge_answers();
        // What a traceroute meets says nothing of others.
        let mut unreachable = std::mem::take(&mut self.unreachable);
        unreachable.retain(|entry| !self.is_probe(entry.client, entry.ttl));
        self.unreachable = unreachable;
        self.unreachable.sort_by_key(|entry| (entry.client, entry.target, entry.at, entry.icmp.frame));
        for times in self.twins.values_mut() {
            times.sort_unstable();
        }
    }

    /// Notes who speaks, and what this flow needs to know of others.
    fn ask(&mut self, seen: &Seen<'_>, flow: &Flow, catalogue: &Catalogue, meaning: Option<&Meaning>) {
        let orig = seen.orig;
        let (client, server) = (seen.client, seen.server);
        if flow.packets[orig.index()] > 0 {
            self.ways.spoke(client);
            self.ways.reached(server);
        } else if flow.key.transport == Transport::Udp {
            self.strays.insert((server, seen.port));
            self.strays_to.insert((client, flow.key.end(orig).port, seen.port));
        }
        if flow.key.transport == Transport::Udp && both_ways(flow) {
            self.met.insert((server, seen.port));
        }
        let ttl = flow.ttl[orig.index()];
        // The last packet of a traceroute is answered too, but no connection is made of it.
        if may_be_probe(ttl) && flow.marks.has(Mark::Established) && flow.payload.iter().all(|payload| *payload > 0) {
            self.begins_low.add(client);
        }
        let told = !both_ways(flow) && !flow.acked(orig) && !expired_on_purpose(flow, orig, seen.icmp());
        if let Some(icmp) = seen.icmp().filter(|_| told) {
            let entry = Unreachable { client, target: listener_of(flow, orig), at: icmp.ts, icmp: *icmp, ttl };
            self.unreachable.push(entry);
        }
        if flow.packets[orig.other().index()] == 0 {
            self.ask_unanswered(seen, flow, catalogue, meaning);
        } else {
            self.ways.spoke(server);
            self.ways.reached(client);
        }
        if flow.marks.has(Mark::Refused) || flow.reset.frame.is_some() {
            self.baselines.ask(server, client);
        }
        if matches!(flow.key.transport, Transport::Esp | Transport::Ah) && both_ways(flow) {
            self.ipsec.entry((client.min(server), client.max(server))).or_default().push(flow.first);
        }
        let Some(meaning) = meaning else { return };
        if replied(flow, orig) && !flow.marks.has(Mark::Refused) {
            for parent in &meaning.parents {
                self.companions.add(client, server, *parent);
            }
        }
        if flow.marks.has(Mark::Established) && meaning.named.is_some() {
            let known = self.clients.entry(server).or_default();
            if known.len() < CLIENTS_OF_A_SERVER && !known.contains(&client) {
                known.push(client);
            }
        }
    }

    /// What a flow without any packet of the server needs to know.
    fn ask_unanswered(&mut self, seen: &Seen<'_>, flow: &Flow, catalogue: &Catalogue, meaning: Option<&Meaning>) {
        let Seen { client, server, orig, port, .. } = *seen;
        match flow.key.transport {
            Transport::Tcp if proves_reply(flow, orig) => self.ways.hears_unseen(client, server, flow),
            Transport::Udp => {
                let Some(service) = meaning.and_then(|meaning| meaning.service) else { return };
                let service = catalogue.service(service);
                self.answers_me.insert((client, server, port), Timestamp::default());
                if matches!(service.udp, Some(UdpHabit::RequestReply { .. })) {
                    self.shares.count_request(client, flow);
                }
                if service.tcp_twin {
                    self.twins.entry((client, server, port)).or_default();
                }
                if service.replies_elsewhere {
                    self.elsewhere.insert((client, server, flow.key.end(orig).port), false);
                }
            }
            Transport::Icmp => {
                self.echo_pairs.insert((client, server), false);
            }
            _ => {}
        }
    }

    fn has_questions(&self) -> bool {
        self.ways.is_asked() || !self.baselines.is_empty() || !self.answers_me.is_empty() || !self.echo_pairs.is_empty()
    }

    /// Answers what others asked. Few need the whole flow for that.
    fn reply(&mut self, seen: &Seen<'_>) {
        let Seen { stored, client, server, orig, port, .. } = *seen;
        let mut whole = None;
        for side in [Side::Low, Side::High] {
            if !seen.sent(side) {
                continue;
            }
            let ends = [seen.host(side), seen.host(side.other())];
            self.baselines.note(ends, side, || whole.get_or_insert_with(|| stored.flow()));
            self.ways.note(ends, side, seen);
        }
        let both = stored.both_ways();
        match seen.class.transport() {
            Transport::Tcp if !self.twins.is_empty() && both => {
                if let Some(times) = self.twins.get_mut(&(client, server, port)) {
                    let flow = whole.get_or_insert_with(|| stored.flow());
                    // Its handshake may not have been captured as a whole.
                    if flow.marks.has(Mark::Established) || flow.payload[orig.other().index()] > 0 {
                        times.push(flow.first);
                    }
                }
            }
            Transport::Udp if !self.answers_me.is_empty() => {
                if both && let Some(newest) = self.answers_me.get_mut(&(client, server, port)) {
                    let flow = whole.get_or_insert_with(|| stored.flow());
                    *newest = (*newest).max(flow.last[orig.other().index()]);
                }
                self.come_from_elsewhere(seen);
            }
            _ => {}
        }
        if both
            && !self.echo_pairs.is_empty()
            && let Some(works) = self.echo_pairs.get_mut(&(client, server))
        {
            *works = true;
        }
    }

    fn come_from_elsewhere(&mut self, seen: &Seen<'_>) {
        if self.elsewhere.is_empty() {
            return;
        }
        let key = seen.stored.key();
        for side in [Side::Low, Side::High] {
            let to = side.other();
            let request = (seen.host(to), seen.host(side), key.end(to).port);
            if seen.sent(side)
                && let Some(came) = self.elsewhere.get_mut(&request)
            {
                *came = true;
            }
        }
    }

    fn merge_answers(&mut self) {
        self.answers.sort_by_key(|(listener, answered)| (*listener, answered.first, answered.frame));
        self.answers.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1.flows += next.1.flows;
            }
            same
        });
    }

    /// Whether the way back may be invisible to an attempt of that time, or of nobody anything but SYNs was captured.
    pub(crate) fn way_doubted(&self, client: HostId, server: HostId, at: Timestamp) -> bool {
        self.left_out == Some(LeftOut::AllButSyns) || self.ways.doubted(client, server, at)
    }

    /// Whether two hosts began to speak to each other in `IPsec` between these times, or soon after: who is to protect what it
    /// says, and does not yet, gets no answer until it does ([MS-IKEE] section 4.1).
    pub(crate) fn goes_on_in_ipsec(&self, one: HostId, other: HostId, first: Timestamp, last: Timestamp) -> bool {
        let begun = if self.ipsec.is_empty() { None } else { self.ipsec.get(&(one.min(other), one.max(other))) };
        let soon = first..=last.plus(IPSEC_FOLLOWS);
        begun.is_some_and(|begun| begun.iter().any(|at| soon.contains(at)))
    }

    /// Whether a flow of this client that began with this time to live was to expire on its way, as a traceroute's is.
    pub(crate) fn is_probe(&self, client: HostId, ttl: u8) -> bool {
        may_be_probe(ttl) && !self.begins_low.has(client)
    }

    /// How many flows a listener answered.
    pub(crate) fn answered(&self, listener: Listener) -> u64 {
        self.answers
            .binary_search_by_key(&listener, |(known, _)| *known)
            .ok()
            .and_then(|at| self.answers.get(at))
            .map_or(0, |(_, answered)| answered.flows)
    }

    /// Hosts that answer several others on ports of the catalogue: servers of a kind that nothing tells.
    pub(crate) fn serving_many(&self) -> impl Iterator<Item = HostId> {
        self.clients.iter().filter(|(_, known)| known.len() >= CLIENTS_OF_A_SERVER).map(|(host, _)| *host)
    }

    /// Everything that answered, in order.
    pub(crate) fn answers(&self) -> &[(Listener, Answered)] {
        &self.answers
    }

    /// An ICMP error to the same client about the same target, not long before a time.
    pub(crate) fn icmp_before(&self, client: HostId, target: Listener, at: Timestamp) -> Option<&IcmpSeen> {
        let key = |entry: &Unreachable| (entry.client, entry.target);
        let end = self.unreachable.partition_point(|entry| (key(entry), entry.at) <= ((client, target), at));
        let entry = self.unreachable.get(end.checked_sub(1)?)?;
        (key(entry) == (client, target) && at.since(entry.at) <= ICMP_INHERIT).then_some(&entry.icmp)
    }

    /// Whether TCP to the same server and port was begun after an unanswered request, or soon after its last try, and worked.
    pub(crate) fn twin_worked(&self, request: Request, first: Timestamp, last: Timestamp) -> bool {
        let Some(times) = self.twins.get(&request) else { return false };
        let next = times.partition_point(|at| *at < first);
        times.get(next).is_some_and(|at| *at <= last.plus(FALLBACK_WAIT))
    }

    /// Whether the server answered another request of this client to the same port, shortly before that time or later.
    pub(crate) fn answers_client(&self, request: Request, at: Timestamp) -> bool {
        self.answers_me.get(&request).is_some_and(|newest| newest.plus(ANSWERED_JUST_BEFORE) >= at)
    }

    /// Whether something came back from another port of the server.
    pub(crate) fn came_elsewhere(&self, client: HostId, client_port: u16, server: HostId) -> bool {
        self.elsewhere.get(&(client, server, client_port)).copied().unwrap_or(false)
    }

    /// Whether answers of that server's port were captured, but none with its question: of others, then, the answers may
    /// not be. Or answers of another host to just this client's port: the server has several addresses.
    pub(crate) fn strays(&self, client: HostId, client_port: u16, server: HostId, port: u16) -> bool {
        let apart = self.strays.contains(&(server, port)) && !self.met.contains(&(server, port));
        apart || self.strays_to.contains(&(client, client_port, port))
    }

    /// Whether other traffic of a pair with unanswered echo requests works.
    pub(crate) fn pair_works(&self, client: HostId, server: HostId) -> bool {
        self.echo_pairs.get(&(client, server)).copied().unwrap_or(false)
    }
}
