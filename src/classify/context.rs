//! What other flows say about one: who was heard at all, which way back is invisible, whose RST looks how.
//!
//! Flows are looked at twice. The first time they ask, the second time those questions alone are answered, so that a
//! flood of addresses costs little. Hosts go by their numbers.

use std::collections::HashMap;
use std::collections::HashSet;
use std::time::Duration;

use foldhash::quality::RandomState;

use crate::catalogue::Catalogue;
use crate::catalogue::service::ServiceId;
use crate::catalogue::service::UdpHabit;
use crate::classify::hosts::HostId;
use crate::classify::hosts::Hosts;
use crate::classify::judge::ahead;
use crate::classify::judged::CaptureFacts;
use crate::classify::judged::LeftOut;
use crate::classify::ports::Meaning;
use crate::classify::ports::PortClass;
use crate::classify::ports::PortClasses;
use crate::classify::thresholds::ANSWERED_JUST_BEFORE;
use crate::classify::thresholds::ANSWERS_ALONE;
use crate::classify::thresholds::ASYMMETRIC_SHARE;
use crate::classify::thresholds::BASELINE_FLOWS;
use crate::classify::thresholds::BASELINE_PACKETS;
use crate::classify::thresholds::CLIENTS_OF_A_SERVER;
use crate::classify::thresholds::CROWDED_FOR;
use crate::classify::thresholds::CROWDED_PER_SECOND;
use crate::classify::thresholds::FALLBACK_WAIT;
use crate::classify::thresholds::ICMP_INHERIT;
use crate::classify::thresholds::IPSEC_FOLLOWS;
use crate::classify::thresholds::ONE_WAY_LASTS;
use crate::classify::thresholds::PROBE_TTL_MAX;
use crate::classify::thresholds::REQUESTS_ALONE;
use crate::classify::thresholds::SCAN_DISTINCT;
use crate::classify::thresholds::SCAN_WINDOW;
use crate::classify::thresholds::SYN_HASTY_MS;
use crate::classify::thresholds::SYNS_ALONE;
use crate::classify::thresholds::SYNS_ALONE_OF;
use crate::classify::verdict::DirBasis;
use crate::flow::icmp::IcmpMeaning;
use crate::flow::icmp::IcmpSeen;
use crate::flow::record::Began;
use crate::flow::record::Flow;
use crate::flow::record::Mark;
use crate::flow::record::rst;
use crate::flow::table::Stored;
use crate::learn::knowledge::Answered;
use crate::learn::knowledge::Listener;
use crate::model::addr::Side;
use crate::model::ids::FrameId;
use crate::model::time::Timestamp;
use crate::model::transport::Transport;

type Map<K, V> = HashMap<K, V, RandomState>;

/// A flow with its direction, and where to find what is known of its ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) stored: Stored<'a>,
    pub(crate) client: HostId,
    pub(crate) server: HostId,
    /// That of the server's port.
    pub(crate) class: PortClass,
    /// The server's port.
    pub(crate) port: u16,
    pub(crate) orig: Side,
    pub(crate) dir_basis: DirBasis,
}

// A scan makes millions of them.
const _: () = assert!(size_of::<Seen<'_>>() <= 32);

impl<'a> Seen<'a> {
    /// Whether packets of one end were counted.
    #[inline]
    fn sent(&self, side: Side) -> bool {
        let (_, _, newest) = self.stored.order();
        newest[side.index()].is_some()
    }

    /// The host at one end.
    pub(crate) fn host(&self, side: Side) -> HostId {
        if side == self.orig { self.client } else { self.server }
    }

    /// SYNs or requests of the client, as [`tries`](crate::classify::judged::tries) counts them.
    pub(crate) fn tries(&self) -> u64 {
        match self.class.transport() {
            Transport::Tcp => u64::from(self.stored.syns(self.orig).max(1)),
            _ => self.stored.totals().packets[self.orig.index()].max(1),
        }
    }

    /// The ICMP error that says the client's packets did not arrive.
    #[inline]
    pub(crate) fn icmp(&self) -> Option<&'a IcmpSeen> {
        self.stored.icmp().filter(|icmp| icmp.about == self.orig)
    }
}

/// The times to live that a host's packets came with.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Baseline {
    ttl: u8,
    mixed: bool,
    packets: u64,
    flows: u64,
    copied_flows: u64,
    /// The fastest answer to a SYN, nanoseconds.
    pub(crate) fastest_ns: Option<u64>,
}

impl Baseline {
    /// The one value that all packets had, if there were enough of them.
    pub(crate) fn stable(&self) -> Option<u8> {
        (!self.mixed && self.packets >= BASELINE_PACKETS && self.flows >= BASELINE_FLOWS).then_some(self.ttl)
    }

    /// Whether most of its flows came with copies: the capture sees everything twice.
    pub(crate) fn copied(&self) -> bool {
        self.copied_flows * 2 > self.flows
    }

    /// The one value that all packets had, however few, if there were any.
    pub(crate) fn only(&self) -> Option<u8> {
        (!self.mixed && self.flows > 0).then_some(self.ttl)
    }

    fn note(&mut self, flow: &Flow, side: Side) {
        let ttl = flow.ttl[side.index()];
        if ttl == 0 {
            return;
        }
        self.mixed |= flow.ttl_varies(side) || (self.flows > 0 && self.ttl != ttl);
        self.ttl = ttl;
        self.flows += 1;
        self.copied_flows += u64::from(flow.marks.has(Mark::Copied));
        self.packets += flow.packets[side.index()];
        if flow.synacks[side.index()] > 0 && flow.syns[side.other().index()] == 1 {
            let took = flow.synack_at.0.saturating_sub(flow.syn_last.0);
            self.fastest_ns = Some(self.fastest_ns.map_or(took, |fastest| fastest.min(took)));
        }
    }
}

/// What numbers stand for.
pub(crate) struct About<'a> {
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) hosts: &'a Hosts,
    pub(crate) classes: &'a PortClasses,
}

impl<'a> About<'a> {
    /// What the server's port means.
    #[inline]
    pub(crate) fn meaning(&self, seen: &Seen<'_>) -> Option<&'a Meaning> {
        self.classes.meaning(seen.class)
    }
}

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

/// What is known of one host.
#[derive(Clone, Copy, Debug, Default)]
struct HostSeen {
    /// A packet of it was captured.
    spoke: bool,
    /// A client proves that it hears this host, and the flow shows no packet of it.
    must_have_spoken: bool,
    /// It has connections with so small a time to live as a traceroute's probes have.
    begins_low: bool,
    /// It was to send RST: somebody may ask what its packets look like. Its place among the baselines, from 1.
    baseline: u32,
}

/// What tells whether the way back of a pair is captured.
#[derive(Clone, Copy, Debug, Default)]
struct OneWay {
    /// The first packet of the flows that show that it is not.
    from: Timestamp,
    /// The last one.
    until: Timestamp,
    /// The last packet that came back all the same, if any did.
    seen: Timestamp,
}

/// A client, a server and its port.
type Request = (HostId, HostId, u16);

/// What all flows together say.
#[derive(Debug, Default)]
pub(crate) struct Context {
    pub(crate) facts: CaptureFacts,
    /// When the silences of the capture ended, in order: of two that overlap, the first may end last.
    resumed: Vec<Timestamp>,
    pub(crate) one_way_share: f64,
    pub(crate) asymmetric: bool,
    shares: Shares,
    /// Of each up to the last of whom anything is known.
    hosts: Vec<HostSeen>,
    /// What the packets of hosts that sent RST look like, to all.
    baselines: Vec<Baseline>,
    /// The same to one client.
    pair_baselines: Map<(HostId, HostId), Baseline>,
    /// Client to server pairs with flows in which the client hears the server, and nothing of it was captured.
    one_way_pairs: Map<(HostId, HostId), OneWay>,
    /// The last packet of all such flows.
    one_way_until: Timestamp,
    /// In an asymmetric capture, the (server, client) ways that were captured, and until when.
    visible_ways: Map<(HostId, HostId), Timestamp>,
    /// Ways that may not be captured, and that datagrams of the server were seen to take.
    datagram_ways: HashSet<(HostId, HostId), RandomState>,
    unreachable: Vec<Unreachable>,
    answers: Vec<(Listener, Answered)>,
    /// Unanswered requests: when TCP connections of the same began that worked.
    twins: Map<Request, Vec<Timestamp>>,
    /// Unanswered requests: when the last answer of the same server to this client came.
    answers_me: Map<Request, Timestamp>,
    /// Requests whose reply may come from elsewhere (client, server, client port): whether something came.
    elsewhere: Map<Request, bool>,
    /// Pairs with unanswered echo requests: whether other traffic works.
    echo_pairs: Map<(HostId, HostId), bool>,
    /// Two hosts, lower number first, that speak in `IPsec` both ways: when they began to, each time.
    ipsec: Map<(HostId, HostId), Vec<Timestamp>>,
    /// What a filter left out.
    pub(crate) left_out: Option<LeftOut>,
    /// Clients that asked over UDP and got no answer, as many as matter.
    asked: Vec<HostId>,
    /// Who reached a server on ports that have a name: as many as make it one.
    clients: Map<HostId, Vec<HostId>>,
    companions: Companions,
}

/// Services that rows name as companions of others, and between which hosts they were seen.
#[derive(Debug, Default)]
struct Companions {
    /// Two hosts, lower number first: which set of services they were seen speaking.
    pairs: Map<(HostId, HostId), CompanionsId>,
    ids: Map<Vec<ServiceId>, CompanionsId>,
    /// The sets, the empty one left out.
    sets: Vec<Vec<ServiceId>>,
}

/// A set of services that two hosts speak; 0 is the empty one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct CompanionsId(u32);

impl Companions {
    fn add(&mut self, one: HostId, other: HostId, service: ServiceId) {
        let before = self.between(one, other);
        let mut set = self.set(before).to_vec();
        let Err(at) = set.binary_search(&service) else { return };
        set.insert(at, service);
        let id = if let Some(id) = self.ids.get(&set) {
            *id
        } else {
            self.sets.push(set.clone());
            let id = CompanionsId(u32::try_from(self.sets.len()).unwrap_or(0));
            self.ids.insert(set, id);
            id
        };
        self.pairs.insert((one.min(other), one.max(other)), id);
    }

    fn between(&self, one: HostId, other: HostId) -> CompanionsId {
        if self.pairs.is_empty() {
            return CompanionsId::default();
        }
        self.pairs.get(&(one.min(other), one.max(other))).copied().unwrap_or_default()
    }

    fn set(&self, id: CompanionsId) -> &[ServiceId] {
        (id.0 as usize).checked_sub(1).and_then(|at| self.sets.get(at)).map_or(&[], Vec::as_slice)
    }
}

impl Context {
    /// Of a capture of which no flow was looked at.
    pub(crate) fn new(facts: CaptureFacts) -> Self {
        let mut resumed: Vec<Timestamp> = facts.gaps.iter().map(|(_, to)| *to).collect();
        resumed.sort_unstable();
        Self { facts, resumed, ..Self::default() }
    }

    /// Looks at a flow. Each is to be looked at once.
    pub(crate) fn look(&mut self, seen: &Seen<'_>, catalogue: &Catalogue, classes: &PortClasses) {
        if seen.stored.is_lone_attempt_of(seen.orig) {
            // Many of a scan's millions: their client spoke, and they ask for nothing.
            self.spoke(seen.client);
            self.shares.tcp += 1;
            return;
        }
        let flow = &seen.stored.flow();
        self.ask(seen, flow, catalogue, classes.meaning(seen.class));
        self.shares.count(flow, seen.orig);
        if untold(flow, seen.orig) {
            let answered = Answered { first: flow.first, frame: flow.first_frame, flows: 1 };
            self.answers.push((listener_of(flow, seen.orig), answered));
        }
    }

    /// Answers what flows asked, now that all were looked at. `answers` is what the shared knowledge holds.
    pub(crate) fn answer(&mut self, flows: &[Seen<'_>], answers: Vec<(Listener, Answered)>) {
        self.one_way_share = self.shares.one_way();
        self.asymmetric = self.one_way_share > ASYMMETRIC_SHARE;
        // What a watch does not keep any more was answered too.
        let tcp_answered = answers.iter().any(|(listener, _)| listener.transport == Transport::Tcp);
        self.left_out = if self.shares.only_syns() && !tcp_answered && act_as_answered(flows) {
            Some(LeftOut::AllButSyns)
        } else if self.shares.only_requests() && answers.is_empty() && self.asked.len() >= REQUESTS_ALONE {
            Some(LeftOut::Answers)
        } else {
            None
        };
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

    /// What is known of a host, so that more can be noted.
    fn host(&mut self, host: HostId) -> Option<&mut HostSeen> {
        if self.hosts.len() <= host.index() {
            self.hosts.resize(host.index() + 1, HostSeen::default());
        }
        self.hosts.get_mut(host.index())
    }

    /// Notes that a packet of a host was captured.
    fn spoke(&mut self, host: HostId) {
        if let Some(host) = self.host(host) {
            host.spoke = true;
        }
    }

    /// Notes who speaks, and what this flow needs to know of others.
    fn ask(&mut self, seen: &Seen<'_>, flow: &Flow, catalogue: &Catalogue, meaning: Option<&Meaning>) {
        let orig = seen.orig;
        let (client, server) = (seen.client, seen.server);
        if flow.packets[orig.index()] > 0 {
            self.spoke(client);
        }
        let ttl = flow.ttl[orig.index()];
        // The last packet of a traceroute is answered too, but no connection is made of it.
        if may_be_probe(ttl)
            && flow.marks.has(Mark::Established)
            && flow.payload.iter().all(|payload| *payload > 0)
            && let Some(host) = self.host(client)
        {
            host.begins_low = true;
        }
        let told = !both_ways(flow) && !flow.acked(orig) && !expired_on_purpose(flow, orig, seen.icmp());
        if let Some(icmp) = seen.icmp().filter(|_| told) {
            let entry = Unreachable { client, target: listener_of(flow, orig), at: icmp.ts, icmp: *icmp, ttl };
            self.unreachable.push(entry);
        }
        if flow.packets[orig.other().index()] == 0 {
            self.ask_unanswered(seen, flow, catalogue, meaning);
        } else {
            self.spoke(server);
        }
        if flow.marks.has(Mark::Refused) || flow.reset.frame.is_some() {
            let next = u32::try_from(self.baselines.len() + 1).unwrap_or(0);
            if let Some(host) = self.host(server).filter(|host| host.baseline == 0) {
                host.baseline = next;
                self.baselines.push(Baseline::default());
            }
            self.pair_baselines.entry((server, client)).or_default();
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
            Transport::Tcp if proves_reply(flow, orig) => {
                let new = OneWay { from: flow.first, ..OneWay::default() };
                let pair = self.one_way_pairs.entry((client, server)).or_insert(new);
                pair.from = pair.from.min(flow.first);
                pair.until = pair.until.max(flow.last_seen());
                self.one_way_until = self.one_way_until.max(pair.until);
                if let Some(host) = self.host(server) {
                    host.must_have_spoken = true;
                }
            }
            Transport::Udp => {
                let Some(service) = meaning.and_then(|meaning| meaning.service) else { return };
                let service = catalogue.service(service);
                self.answers_me.insert((client, server, port), Timestamp::default());
                if matches!(service.udp, Some(UdpHabit::RequestReply { .. })) {
                    self.shares.requests.add(flow.first, flow.last_seen());
                    if self.asked.len() < REQUESTS_ALONE && !self.asked.contains(&client) {
                        self.asked.push(client);
                    }
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
        self.asymmetric
            || !self.baselines.is_empty()
            || !self.one_way_pairs.is_empty()
            || !self.answers_me.is_empty()
            || !self.echo_pairs.is_empty()
    }

    /// Answers what others asked. Few need the whole flow for that.
    fn reply(&mut self, seen: &Seen<'_>) {
        let Seen { stored, client, server, orig, port, .. } = *seen;
        let mut whole = None;
        for side in [Side::Low, Side::High] {
            if !seen.sent(side) {
                continue;
            }
            let (sender, receiver) = (seen.host(side), seen.host(side.other()));
            let place = self.hosts.get(sender.index()).map_or(0, |host| host.baseline);
            if let Some(baseline) = (place as usize).checked_sub(1).and_then(|place| self.baselines.get_mut(place)) {
                let flow = whole.get_or_insert_with(|| stored.flow());
                baseline.note(flow, side);
                if let Some(baseline) = self.pair_baselines.get_mut(&(sender, receiver)) {
                    baseline.note(flow, side);
                }
            }
            if !self.one_way_pairs.is_empty()
                && let Some(pair) = self.one_way_pairs.get_mut(&(receiver, sender))
            {
                pair.seen = pair.seen.max(stored.last(side));
            }
            if self.asymmetric {
                let until = self.visible_ways.entry((sender, receiver)).or_default();
                *until = (*until).max(stored.last(side));
            }
            let doubted = self.asymmetric || self.one_way_pairs.contains_key(&(receiver, sender));
            if doubted && seen.class.transport() == Transport::Udp {
                self.datagram_ways.insert((sender, receiver));
            }
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

    /// Whether the way from server back to client is invisible in this capture, or was at that time (the one-way gate).
    pub(crate) fn reverse_invisible(&self, client: HostId, server: HostId, at: Timestamp) -> bool {
        let host = self.hosts.get(server.index()).copied().unwrap_or_default();
        // What was captured of it before, says nothing of a time since which flows show that it is not any more.
        let of_pair = |pair: &OneWay| pair.seen < at && pair.seen < pair.until;
        let of_all = || {
            let seen = self.visible_ways.get(&(server, client));
            seen.is_none_or(|seen| *seen < at && *seen < self.one_way_until)
        };
        (host.must_have_spoken && !host.spoke)
            || self.one_way_pairs.get(&(client, server)).is_some_and(of_pair)
            || (self.asymmetric && of_all())
    }

    /// Whether that way may be invisible to an attempt of that time: it is, or flows showed just before, or later, that the
    /// pair has such a way among several, or of nobody anything but SYNs was captured.
    pub(crate) fn way_doubted(&self, client: HostId, server: HostId, at: Timestamp) -> bool {
        self.left_out == Some(LeftOut::AllButSyns)
            || self.has_other_way(client, server, at)
            || self.reverse_invisible(client, server, at)
    }

    fn has_other_way(&self, client: HostId, server: HostId, at: Timestamp) -> bool {
        let near = |pair: &OneWay| at.plus(ONE_WAY_LASTS) >= pair.from && at <= pair.until.plus(ONE_WAY_LASTS);
        self.one_way_pairs.get(&(client, server)).is_some_and(near)
    }

    /// Whether of connections that were answered nothing was captured beyond the answer.
    pub(crate) fn answers_alone(&self) -> bool {
        !self.shares.beyond && self.shares.answered >= ANSWERS_ALONE
    }

    /// Whether two hosts began to speak to each other in `IPsec` between these times, or soon after: who is to protect what it
    /// says, and does not yet, gets no answer until it does ([MS-IKEE] section 4.1).
    pub(crate) fn goes_on_in_ipsec(&self, one: HostId, other: HostId, first: Timestamp, last: Timestamp) -> bool {
        let begun = if self.ipsec.is_empty() { None } else { self.ipsec.get(&(one.min(other), one.max(other))) };
        let soon = first..=last.plus(IPSEC_FOLLOWS);
        begun.is_some_and(|begun| begun.iter().any(|at| soon.contains(at)))
    }

    /// Whether datagrams may have come back unseen at that time: the capture is one-sided, or some flow of the pair showed
    /// that a way back is not captured, and no datagram of the server was; or it showed so a moment before, or later.
    pub(crate) fn datagrams_invisible(&self, client: HostId, server: HostId, at: Timestamp) -> bool {
        let of_pair = self.one_way_pairs.get(&(client, server));
        let unseen = !self.datagram_ways.contains(&(server, client));
        (unseen && (self.asymmetric || of_pair.is_some()))
            || self.has_other_way(client, server, at)
            || self.reverse_invisible(client, server, at)
    }

    /// Whether a flow of this client that began with this time to live was to expire on its way, as a traceroute's is.
    pub(crate) fn is_probe(&self, client: HostId, ttl: u8) -> bool {
        may_be_probe(ttl) && !self.hosts.get(client.index()).is_some_and(|host| host.begins_low)
    }

    /// Whether anything of a host was captured.
    pub(crate) fn heard(&self, server: HostId) -> bool {
        self.hosts.get(server.index()).is_some_and(|host| host.spoke)
    }

    /// What the packets of a host that sent RST look like: those to one client, or all.
    pub(crate) fn baseline(&self, host: HostId, client: Option<HostId>) -> Baseline {
        let found = match client {
            Some(client) => self.pair_baselines.get(&(host, client)),
            None => self
                .hosts
                .get(host.index())
                .and_then(|host| self.baselines.get((host.baseline as usize).checked_sub(1)?)),
        };
        found.copied().unwrap_or_default()
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

    /// Whether other traffic of a pair with unanswered echo requests works.
    pub(crate) fn pair_works(&self, client: HostId, server: HostId) -> bool {
        self.echo_pairs.get(&(client, server)).copied().unwrap_or(false)
    }

    /// Which services that rows name as companions of others two hosts were seen speaking.
    pub(crate) fn companions(&self, one: HostId, other: HostId) -> CompanionsId {
        self.companions.between(one, other)
    }

    /// The services of such a set.
    pub(crate) fn companion_set(&self, id: CompanionsId) -> &[ServiceId] {
        self.companions.set(id)
    }

    /// How long after `at`, a time of this flow, the capture went on without a gap and the ports were not used again.
    pub(crate) fn watched_flow(&self, flow: &Flow, at: Timestamp) -> Duration {
        let watched = self.watched_after(at, flow.last_frame[0].max(flow.last_frame[1]));
        if flow.superseded_after_ms == u32::MAX {
            return watched;
        }
        let own = flow.last_seen().since(at) + Duration::from_millis(u64::from(flow.superseded_after_ms));
        watched.min(own)
    }

    /// Whether watching this flow goes on: neither a gap nor another flow on its ports came after its last packet.
    pub(crate) fn goes_on(&self, flow: &Flow) -> bool {
        let after = flow.last_seen();
        let next = self.facts.gaps.partition_point(|(from, _)| *from < after);
        flow.superseded_after_ms == u32::MAX && next == self.facts.gaps.len()
    }

    /// How long after `at` the input of that frame went on without a gap. What another input saw may have been seen at
    /// another place.
    pub(crate) fn watched_after(&self, at: Timestamp, frame: FrameId) -> Duration {
        let end = self.facts.ends.get(usize::from(frame.input())).copied().unwrap_or(self.facts.last);
        let next = self.facts.gaps.partition_point(|(from, _)| *from < at);
        let end = self.facts.gaps.get(next).map_or(end, |(from, _)| end.min(*from));
        let step = self.facts.steps.partition_point(|step| *step < (frame.input(), at));
        let own = self.facts.steps.get(step).filter(|(input, _)| *input == frame.input());
        own.map_or(end, |(_, from)| end.min(*from)).since(at)
    }

    /// Whether a flow's first frame is the first of its capture: what came before was not seen.
    pub(crate) fn at_start(&self, flow: &Flow) -> bool {
        flow.first_frame == self.facts.first_frame || self.resumed.binary_search(&flow.first).is_ok()
    }
}

/// Whether a flow that began with this time to live may have been to expire on its way.
fn may_be_probe(ttl: u8) -> bool {
    (1..=PROBE_TTL_MAX).contains(&ttl)
}

/// Whether an error tells of a packet that a traceroute lets expire, though its flow began otherwise: Windows gives all its
/// echo requests one identifier.
pub(crate) fn expired_on_purpose(flow: &Flow, orig: Side, icmp: Option<&IcmpSeen>) -> bool {
    let expired = icmp.is_some_and(|icmp| icmp.meaning() == IcmpMeaning::Loop);
    expired && flow.key.transport == Transport::Icmp && flow.ttl_varies(orig)
}

/// How many flows with data show one direction only, and what a filter may have left out of all.
#[derive(Debug, Default)]
struct Shares {
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
    fn count(&mut self, flow: &Flow, orig: Side) {
        if flow.key.transport != Transport::Tcp {
            self.replied |= flow.packets[orig.other().index()] > 0;
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

    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 52 bits")]
    fn one_way(&self) -> f64 {
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
    let mut repeated: Map<Request, bool> = Map::default();
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

/// Whether the client repeats its SYN as if it were refused each time: soon, and no later the next time.
pub(crate) fn is_hasty(flow: &Flow, orig: Side) -> bool {
    let [first, last] = [flow.syn_first_gap_ms, flow.syn_gap_ms];
    flow.syns[orig.index()] > 1 && first.max(last) < SYN_HASTY_MS && last < first * 3 / 2
}

/// Whether what one end sent proves that it hears the other: it acknowledges after its SYN, its SYN-ACK was followed
/// by more, or its acknowledgements advance.
pub(crate) fn proves_reply(flow: &Flow, side: Side) -> bool {
    let me = side.index();
    let beyond_syn = flow.syns[me] > 0 && flow.acked(side);
    let beyond_synack = flow.synacks[me] > 0 && flow.packets[me] > u64::from(flow.synacks[me]);
    beyond_syn || beyond_synack || flow.ack_advanced(side)
}

/// Whether a flow answered, and nobody was told while it was counted: caught in the middle, or turned round since.
fn untold(flow: &Flow, orig: Side) -> bool {
    let midway = flow.key.transport == Transport::Tcp || flow.began != orig;
    let one_way = flow.began_by == Began::SynAck && proves_reply(flow, orig.other());
    flow.began_by != Began::Syn && midway && (replied(flow, orig) || one_way)
}

/// Whether the server said something: of a connection caught in the middle, a RST alone means that it knows none.
pub(crate) fn replied(flow: &Flow, orig: Side) -> bool {
    let server = orig.other().index();
    let only_rst = flow.began_by != Began::Syn && rst(flow.flags[server]) && flow.payload[server] == 0;
    both_ways(flow) && !only_rst
}

/// Whether packets of both ends were captured.
pub(crate) fn both_ways(flow: &Flow) -> bool {
    flow.packets[0] > 0 && flow.packets[1] > 0
}

/// The server's place in a flow whose client is at `orig`.
pub(crate) fn listener_of(flow: &Flow, orig: Side) -> Listener {
    let resp = flow.key.end(orig.other());
    let port = if flow.key.transport.has_ports() { resp.port } else { 0 };
    Listener { addr: resp.addr, transport: flow.key.transport, port }
}
