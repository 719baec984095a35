//! What other flows say about one: who was heard at all, which way back is invisible, whose RST looks how.
//!
//! Two passes over the flows. The first notes the questions, the second answers only those, so that a flood of
//! addresses costs little.

use std::collections::HashMap;
use std::collections::HashSet;
use std::time::Duration;

use foldhash::quality::RandomState;

use crate::catalogue::Catalogue;
use crate::catalogue::service::ServiceId;
use crate::classify::judged::CaptureFacts;
use crate::classify::thresholds::ASYMMETRIC_SHARE;
use crate::classify::thresholds::BASELINE_FLOWS;
use crate::classify::thresholds::BASELINE_PACKETS;
use crate::classify::thresholds::FALLBACK_WAIT;
use crate::classify::thresholds::ICMP_INHERIT;
use crate::classify::verdict::DirBasis;
use crate::flow::icmp::IcmpSeen;
use crate::flow::record::Began;
use crate::flow::record::Flow;
use crate::flow::record::Mark;
use crate::flow::table::Stored;
use crate::learn::knowledge::Answered;
use crate::learn::knowledge::Listener;
use crate::model::addr::Addr;
use crate::model::addr::Side;
use crate::model::ids::FrameId;
use crate::model::time::Timestamp;
use crate::model::transport::Transport;

type Map<K, V> = HashMap<K, V, RandomState>;
type Set<K> = HashSet<K, RandomState>;

/// A flow, where it is kept, and its direction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) stored: Stored<'a>,
    pub(crate) orig: Side,
    pub(crate) dir_basis: DirBasis,
}

impl<'a> Seen<'a> {
    /// The whole flow, made anew at each call.
    #[inline]
    pub(crate) fn flow(self) -> Flow {
        self.stored.flow()
    }

    /// The ICMP error that says the client's packets did not arrive.
    pub(crate) fn icmp(self) -> Option<&'a IcmpSeen> {
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

/// An ICMP error and the endpoint that it made unreachable.
#[derive(Clone, Copy, Debug)]
struct Unreachable {
    client: Addr,
    target: Listener,
    at: Timestamp,
    icmp: IcmpSeen,
}

/// What all flows together say.
#[derive(Debug, Default)]
pub(crate) struct Context {
    pub(crate) facts: CaptureFacts,
    pub(crate) one_way_share: f64,
    pub(crate) asymmetric: bool,
    /// Targets of failed attempts: whether they were ever heard.
    heard: Map<Addr, bool>,
    /// Hosts that sent RST: what their packets look like, to one client and to all.
    baselines: Map<(Addr, Option<Addr>), Baseline>,
    /// Client to server pairs of which the way back was never captured although the client hears the server.
    invisible_pairs: Set<(Addr, Addr)>,
    invisible_servers: Set<Addr>,
    /// In an asymmetric capture, the (server, client) ways that were captured.
    visible_ways: Set<(Addr, Addr)>,
    unreachable: Vec<Unreachable>,
    answers: Vec<(Listener, Answered)>,
    /// Unanswered requests (client, server, port): when TCP connections of the same were made.
    twins: Map<(Addr, Addr, u16), Vec<Timestamp>>,
    /// Unanswered requests (client, server, port): when the last answer of the same server to this client came.
    answers_me: Map<(Addr, Addr, u16), Timestamp>,
    /// Requests whose reply may come from elsewhere (client, client port, server): whether something came.
    elsewhere: Map<(Addr, u16, Addr), bool>,
    /// Pairs with unanswered echo requests: whether other traffic works.
    echo_pairs: Map<(Addr, Addr), bool>,
    /// Services that rows name as companions of others.
    parents: Vec<ServiceId>,
    /// Which hosts speak such a service, lower address first.
    companions: Set<(Addr, Addr, ServiceId)>,
}

impl Context {
    /// Looks over all flows. `answers` is what the shared knowledge holds.
    pub(crate) fn new(
        flows: &[Seen<'_>],
        facts: CaptureFacts,
        answers: Vec<(Listener, Answered)>,
        catalogue: &Catalogue,
    ) -> Self {
        let mut parents: Vec<ServiceId> = catalogue.rows().iter().flat_map(|row| row.related.iter().copied()).collect();
        parents.sort_unstable();
        parents.dedup();
        let mut context = Self { facts, answers, parents, ..Self::default() };
        let mut shares = Shares::default();
        for seen in flows {
            context.ask(*seen, catalogue);
            let flow = &seen.flow();
            shares.count(flow);
            if untold(flow, seen.orig) {
                let answered = Answered { first: flow.first, frame: flow.first_frame, flows: 1 };
                context.answers.push((listener_of(flow, seen.orig), answered));
            }
        }
        context.one_way_share = shares.one_way();
        context.asymmetric = context.one_way_share > ASYMMETRIC_SHARE;
        for seen in flows {
            context.reply(*seen, catalogue);
        }
        context.merge_answers();
        context.unreachable.sort_by_key(|entry| (entry.client, entry.target, entry.at, entry.icmp.frame));
        for times in context.twins.values_mut() {
            times.sort_unstable();
        }
        context
    }

    /// Notes what this flow needs to know of others.
    fn ask(&mut self, seen: Seen<'_>, catalogue: &Catalogue) {
        let (flow, orig) = (&seen.flow(), seen.orig);
        let ends = flow.five_tuple(orig);
        let other = orig.other().index();
        if let Some(icmp) = seen.icmp().filter(|_| !both_ways(flow) && !flow.acked(orig)) {
            let (client, target) = (ends.orig.addr, listener_of(flow, orig));
            self.unreachable.push(Unreachable { client, target, at: icmp.ts, icmp: *icmp });
        }
        if flow.packets[other] == 0 {
            self.heard.insert(ends.resp.addr, false);
            if flow.key.transport == Transport::Tcp && proves_reply(flow, orig) {
                self.invisible_pairs.insert((ends.orig.addr, ends.resp.addr));
                self.invisible_servers.insert(ends.resp.addr);
            }
            if flow.key.transport == Transport::Udp
                && let Some(service) = catalogue.service_at(Transport::Udp, ends.resp.port)
            {
                let service = catalogue.service(service);
                self.answers_me.insert((ends.orig.addr, ends.resp.addr, ends.resp.port), Timestamp::default());
                if service.tcp_twin {
                    self.twins.entry((ends.orig.addr, ends.resp.addr, ends.resp.port)).or_default();
                }
                if service.replies_elsewhere {
                    self.elsewhere.insert((ends.orig.addr, ends.orig.port, ends.resp.addr), false);
                }
            }
            if flow.key.transport == Transport::Icmp {
                self.echo_pairs.insert((ends.orig.addr, ends.resp.addr), false);
            }
        }
        if flow.marks.has(Mark::Refused) || flow.reset.frame.is_some() {
            self.baselines.entry((ends.resp.addr, Some(ends.orig.addr))).or_default();
            self.baselines.entry((ends.resp.addr, None)).or_default();
        }
    }

    /// Answers what others asked.
    fn reply(&mut self, seen: Seen<'_>, catalogue: &Catalogue) {
        let (flow, orig) = (&seen.flow(), seen.orig);
        for side in [Side::Low, Side::High] {
            if flow.packets[side.index()] == 0 {
                continue;
            }
            let sender = flow.addr(side);
            let receiver = flow.addr(side.other());
            if let Some(heard) = self.heard.get_mut(&sender) {
                *heard = true;
            }
            for to in [Some(receiver), None] {
                if let Some(baseline) = self.baselines.get_mut(&(sender, to)) {
                    baseline.note(flow, side);
                }
            }
            self.invisible_pairs.remove(&(receiver, sender));
            self.invisible_servers.remove(&sender);
            if self.asymmetric {
                self.visible_ways.insert((sender, receiver));
            }
        }
        let ends = flow.five_tuple(orig);
        if flow.marks.has(Mark::Established)
            && let Some(times) = self.twins.get_mut(&(ends.orig.addr, ends.resp.addr, ends.resp.port))
        {
            times.push(flow.first);
        }
        if both_ways(flow) && !self.parents.is_empty() {
            for parent in &self.parents {
                let ports = &catalogue.service(*parent).ports;
                if ports.iter().any(|ports| ports.cover(flow.key.transport, ends.resp.port)) {
                    let (low, high) = (ends.orig.addr.min(ends.resp.addr), ends.orig.addr.max(ends.resp.addr));
                    self.companions.insert((low, high, *parent));
                }
            }
        }
        if both_ways(flow)
            && let Some(works) = self.echo_pairs.get_mut(&(ends.orig.addr, ends.resp.addr))
        {
            *works = true;
        }
        if flow.key.transport == Transport::Udp
            && both_ways(flow)
            && let Some(newest) = self.answers_me.get_mut(&(ends.orig.addr, ends.resp.addr, ends.resp.port))
        {
            *newest = (*newest).max(flow.last[orig.other().index()]);
        }
        if flow.key.transport == Transport::Udp {
            for side in [Side::Low, Side::High] {
                let (from, to) = (flow.key.end(side), flow.key.end(side.other()));
                if flow.packets[side.index()] > 0
                    && let Some(came) = self.elsewhere.get_mut(&(to.addr, to.port, from.addr))
                {
                    *came = true;
                }
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

    /// Whether the way from server back to client is invisible in this capture (the one-way gate).
    pub(crate) fn reverse_invisible(&self, client: Addr, server: Addr) -> bool {
        self.invisible_pairs.contains(&(client, server))
            || self.invisible_servers.contains(&server)
            || (self.asymmetric && !self.visible_ways.contains(&(server, client)))
    }

    /// Whether a target of a failed attempt was heard anywhere in the capture.
    pub(crate) fn heard(&self, server: Addr) -> bool {
        self.heard.get(&server).copied().unwrap_or(true)
    }

    /// What the packets of a host that sent RST look like: those to one client, or all.
    pub(crate) fn baseline(&self, host: Addr, client: Option<Addr>) -> Baseline {
        self.baselines.get(&(host, client)).copied().unwrap_or_default()
    }

    /// How many flows a listener answered.
    pub(crate) fn answered(&self, listener: Listener) -> u64 {
        self.answers
            .binary_search_by_key(&listener, |(known, _)| *known)
            .ok()
            .and_then(|at| self.answers.get(at))
            .map_or(0, |(_, answered)| answered.flows)
    }

    /// Everything that answered, in order.
    pub(crate) fn answers(&self) -> &[(Listener, Answered)] {
        &self.answers
    }

    /// An ICMP error to the same client about the same target, not long before a time.
    pub(crate) fn icmp_before(&self, client: Addr, target: Listener, at: Timestamp) -> Option<&IcmpSeen> {
        let key = |entry: &Unreachable| (entry.client, entry.target);
        let end = self.unreachable.partition_point(|entry| (key(entry), entry.at) <= ((client, target), at));
        let entry = self.unreachable.get(end.checked_sub(1)?)?;
        (key(entry) == (client, target) && at.since(entry.at) <= ICMP_INHERIT).then_some(&entry.icmp)
    }

    /// Whether TCP to the same server and port worked soon after an unanswered request.
    pub(crate) fn twin_worked(&self, client: Addr, server: Addr, port: u16, first: Timestamp, last: Timestamp) -> bool {
        let Some(times) = self.twins.get(&(client, server, port)) else { return false };
        let next = times.partition_point(|at| *at < first);
        times.get(next).is_some_and(|at| *at <= last.plus(FALLBACK_WAIT))
    }

    /// Whether the server answered another request of this client to the same port, at that time or later.
    pub(crate) fn answers_client_after(&self, client: Addr, server: Addr, port: u16, at: Timestamp) -> bool {
        self.answers_me.get(&(client, server, port)).is_some_and(|newest| *newest >= at)
    }

    /// Whether something came back from another port of the server.
    pub(crate) fn came_elsewhere(&self, client: Addr, client_port: u16, server: Addr) -> bool {
        self.elsewhere.get(&(client, client_port, server)).copied().unwrap_or(false)
    }

    /// Whether other traffic of a pair with unanswered echo requests works.
    pub(crate) fn pair_works(&self, client: Addr, server: Addr) -> bool {
        self.echo_pairs.get(&(client, server)).copied().unwrap_or(false)
    }

    /// Whether two hosts were seen speaking a service.
    pub(crate) fn companion(&self, one: Addr, other: Addr, service: ServiceId) -> bool {
        self.companions.contains(&(one.min(other), one.max(other), service))
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

    /// How long after `at` the input of that frame went on without a gap. What another input saw may have been seen at
    /// another place.
    fn watched_after(&self, at: Timestamp, frame: FrameId) -> Duration {
        let end = self.facts.ends.get(usize::from(frame.input())).copied().unwrap_or(self.facts.last);
        let next = self.facts.gaps.partition_point(|(from, _)| *from < at);
        self.facts.gaps.get(next).map_or(end, |(from, _)| end.min(*from)).since(at)
    }

    /// Whether a flow's first frame is the first of its capture: what came before was not seen.
    pub(crate) fn at_start(&self, flow: &Flow) -> bool {
        let after_gap = self.facts.gaps.binary_search_by_key(&flow.first, |(_, to)| *to).is_ok();
        flow.first_frame == self.facts.first_frame || after_gap
    }
}

/// How many flows with data show one direction only.
#[derive(Default)]
struct Shares {
    with_data: u64,
    one_way: u64,
}

impl Shares {
    fn count(&mut self, flow: &Flow) {
        if flow.key.transport != Transport::Tcp {
            return;
        }
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

    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 52 bits")]
    fn one_way(&self) -> f64 {
        if self.with_data == 0 { 0.0 } else { self.one_way as f64 / self.with_data as f64 }
    }
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
    flow.began_by != Began::Syn && midway && (both_ways(flow) || one_way)
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
