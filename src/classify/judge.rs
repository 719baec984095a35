//! Judging all flows of a capture, each in the light of the others.
//!
//! First every flow gets its direction and the numbers of its hosts, and asks what it needs to know of others; then that
//! is answered from all, then each is judged once. What is kept of that is small: who wants a flow with everything that
//! can be said of it asks again.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use prefetch_index::prefetch_index;

use crate::catalogue::Catalogue;
use crate::catalogue::role::RoleSet;
use crate::classify::collapse::Attempts;
use crate::classify::collapse::Collapsed;
use crate::classify::context::Context;
use crate::classify::direction::Directions;
use crate::classify::hosts::HostId;
use crate::classify::hosts::Hosts;
use crate::classify::judged::CaptureFacts;
use crate::classify::judged::Collapse;
use crate::classify::judged::Host;
use crate::classify::judged::Judged;
use crate::classify::judged::LeftOut;
use crate::classify::judged::Options;
use crate::classify::judged::Placed;
use crate::classify::judged::Ruled;
use crate::classify::judged::Sums;
use crate::classify::outcome::of_single_syn;
use crate::classify::outcome::outcome;
use crate::classify::payload::Rpc;
use crate::classify::payload::recognised;
use crate::classify::ports::PortClasses;
use crate::classify::roles::Roles;
use crate::classify::ruling::Ruling;
use crate::classify::seen::AHEAD;
use crate::classify::seen::About;
use crate::classify::seen::Seen;
use crate::classify::seen::ahead;
use crate::classify::standing::Answer;
use crate::classify::standing::Answers;
use crate::classify::standing::Known;
use crate::classify::verdict::FindingKind;
use crate::classify::verdict::Frames;
use crate::classify::verdict::Outcome;
use crate::classify::verdict::Reason;
use crate::classify::verdict::Standing;
use crate::classify::verdict::Verdict;
use crate::flow::fold::Folds;
use crate::flow::icmp::IcmpSeen;
use crate::flow::limits::Limits;
use crate::flow::record::Flow;
use crate::flow::record::Mark;
use crate::flow::table::Stored;
use crate::flow::table::Table;
use crate::learn::grade::Endpoints;
use crate::learn::knowledge::Knowledge;
use crate::learn::names::AppError;
use crate::learn::names::AppErrors;
use crate::learn::names::Name;
use crate::model::addr::Addr;
use crate::model::ids::FrameId;
use crate::model::time::Timestamp;
use crate::model::transport::Transport;

/// All that is needed to judge any flow of a capture.
#[derive(Debug)]
pub struct Judge<'a> {
    catalogue: &'a Catalogue,
    classes: PortClasses,
    hosts: Hosts,
    /// So many of the hosts are ends of flows; the others are known from totals only.
    hosts_of_flows: usize,
    flows: Vec<Seen<'a>>,
    rulings: Vec<Ruling>,
    answers: Answers,
    context: Context,
    roles: Roles,
    rpc: Rpc,
    names: Vec<(Addr, Vec<Name>)>,
    errors: AppErrors,
    collapsed: Collapsed,
    folds: Folds,
}

impl<'a> Judge<'a> {
    /// Judges every flow in the light of the others.
    pub fn new(
        tables: &'a [Table],
        facts: CaptureFacts,
        knowledge: &Knowledge,
        catalogue: &'a Catalogue,
        options: Options,
    ) -> Self {
        let listeners = knowledge.answers();
        let classes = PortClasses::new(catalogue);
        let mut hosts = Hosts::default();
        let mut context = Context::new(facts);
        let directions = Directions { catalogue, classes: &classes, listeners: &listeners };
        let flows = see(tables, &directions, &mut hosts, &mut context);
        context.answer(&flows, listeners);
        let hosts_of_flows = hosts.len();
        let about = About { catalogue, hosts: &hosts, classes: &classes };
        let roles = Roles::new(&flows, &context, &about, &knowledge.names().controllers(), options.infer);
        let known = Known { about: &about, context: &context, roles: &roles, strict: options.strict };
        let mut answers = Answers::default();
        let mut rpc = Rpc::new(knowledge.endpoints());
        let rule = |seen: &Seen<'a>| {
            let mut answer = |reason| answers.of(seen, reason, &known, &mut rpc);
            if let Some((outcome, reason)) = of_single_syn(seen, &context) {
                return Ruling::of_single_syn(outcome, answer(reason));
            }
            let flow = &seen.stored.flow();
            let verdict = outcome(seen, flow, &context, &about);
            Ruling::new(flow, seen.orig, &verdict, answer(verdict.reason))
        };
        let rulings: Vec<Ruling> = ahead(&flows).map(rule).collect();
        let may_scan = |addr: Addr| catalogue.is_scanner(addr.ip());
        let mut collapsed = Collapsed::find(Attempts { flows: &flows, rulings: &rulings, hosts: &hosts }, &may_scan);
        let folds = Folds::of(tables.iter().map(Table::folds), Limits::default().folds_max);
        collapsed.take_folds(folds.iter());
        for (key, _) in folds.iter() {
            for addr in key.client.into_iter().chain(key.server.map(|(addr, _)| addr)) {
                hosts.number(addr);
            }
        }
        Self {
            catalogue,
            classes,
            hosts,
            hosts_of_flows,
            flows,
            rulings,
            answers,
            context,
            roles,
            rpc,
            names: knowledge.names().all(),
            errors: knowledge.names().errors(),
            collapsed,
            folds,
        }
    }

    /// Every flow with what came of it, in the order they began.
    pub fn rulings(&self) -> impl Iterator<Item = Ruled<'_>> + '_ {
        ahead(&self.flows).enumerate().filter_map(|(number, seen)| self.ruled(number, seen))
    }

    /// How many flows.
    pub fn len(&self) -> usize {
        self.flows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// Whose sums every flow belongs to, in the order they began.
    pub fn placed(&self) -> impl Iterator<Item = Placed> + '_ {
        let all = self.flows.iter().zip(&self.rulings).enumerate();
        all.map(|(number, (seen, ruling))| {
            let collapse = self.collapsed.of(number);
            // The sums of a scan or flood are added up at once.
            if collapse.is_some() {
                self.ask_for_entry(number + 2 * AHEAD);
                self.ask_for_detail(number + AHEAD);
            }
            Placed {
                client: seen.client,
                server: seen.server,
                transport: seen.class.transport(),
                port: seen.port,
                service: self.answers.get(ruling.answer).and_then(|answer| answer.service),
                collapse,
            }
        })
    }

    /// The flow of that number and what came of it.
    #[inline]
    pub fn ruling(&self, number: usize) -> Option<Ruled<'_>> {
        self.ruled(number, self.flows.get(number)?)
    }

    /// Asks memory for what [`Judge::ruling`] looks at first.
    #[inline]
    pub(crate) fn ask_for(&self, number: usize) {
        prefetch_index(&self.flows, number);
        prefetch_index(&self.rulings, number);
    }

    /// Asks for what it looks at then.
    #[inline]
    pub(crate) fn ask_for_entry(&self, number: usize) {
        if let Some(seen) = self.flows.get(number) {
            seen.stored.prefetch();
        }
    }

    /// Asks for what it looks at last.
    #[inline]
    pub(crate) fn ask_for_detail(&self, number: usize) {
        if let Some(seen) = self.flows.get(number) {
            seen.stored.prefetch_more();
        }
    }

    /// Every flow with everything that is to be said of it, in the order they began.
    pub fn flows(&self) -> impl Iterator<Item = Judged<'_>> {
        self.rulings().filter_map(|ruled| self.judged(&ruled))
    }

    /// The totals of flows that were given up.
    pub fn folds(&self) -> &Folds {
        &self.folds
    }

    /// The scans and floods.
    pub fn collapses(&self) -> &[Collapse] {
        &self.collapsed.all
    }

    /// Every host that is an end of a flow and has a role, in order of address.
    pub fn hosts(&self) -> Vec<Host> {
        let ends = self.hosts.iter().take(self.hosts_of_flows);
        let mut hosts: Vec<Host> =
            ends.filter_map(|(host, addr)| self.roles.host(host, addr, self.catalogue)).collect();
        hosts.sort_unstable_by_key(|host| host.addr);
        hosts
    }

    /// Every host that has a number: the ends of flows, and of those that were given up.
    pub fn numbered(&self) -> &Hosts {
        &self.hosts
    }

    /// Numbers further hosts, of which no flow is judged any more.
    pub fn know(&mut self, hosts: impl IntoIterator<Item = Addr>) {
        for addr in hosts {
            self.hosts.number(addr);
        }
    }

    /// The roles of a host, implied ones included.
    pub fn roles_of(&self, addr: Addr) -> RoleSet {
        let kind = self.hosts.find(addr).map(|host| self.roles.kind_of(host));
        kind.map(|kind| self.roles.held(kind).set).unwrap_or_default()
    }

    /// Share of flows with payload of which one direction only was captured.
    pub fn one_way_share(&self) -> f64 {
        self.context.one_way_share
    }

    /// Whether that share is so high that the capture as a whole sees one direction only.
    pub fn asymmetric(&self) -> bool {
        self.context.ways.asymmetric
    }

    /// What seems to have been left out of the capture.
    pub fn left_out(&self) -> Option<LeftOut> {
        self.context.left_out
    }

    /// Everything that is to be said of a flow of this judge.
    pub fn judged(&self, ruled: &Ruled<'_>) -> Option<Judged<'_>> {
        let seen = self.flows.get(ruled.number)?;
        let Seen { stored, orig, dir_basis, .. } = *seen;
        let (flow, icmp) = (stored.flow(), seen.icmp());
        let about = About { catalogue: self.catalogue, hosts: &self.hosts, classes: &self.classes };
        let verdict = outcome(seen, &flow, &self.context, &about);
        let errors = self.errors_on(&flow);
        Some(Judged {
            icmp,
            orig,
            dir_basis,
            notes: notes(&flow, icmp, &verdict, &errors),
            errors,
            verdict,
            service: ruled.service,
            standing: ruled.standing.clone(),
            finding: ruled.finding,
            collapse: ruled.collapse,
            roles_inferred: self.answers.get(self.rulings.get(ruled.number)?.answer)?.roles_inferred,
            app: recognised(&stored.speech()),
            rpc: self.rpc.guess(seen, &self.hosts),
            pipes: self.rpc.pipes(&flow),
            flow,
        })
    }

    /// The frames that show what became of the flow of that number.
    pub fn frames(&self, number: usize) -> Option<Frames> {
        let seen = self.flows.get(number)?;
        let about = About { catalogue: self.catalogue, hosts: &self.hosts, classes: &self.classes };
        Some(outcome(seen, &seen.stored.flow(), &self.context, &about).frames)
    }

    /// What applications told of errors while this flow lasted: its ports may have had others.
    fn errors_on(&self, flow: &Flow) -> Vec<AppError> {
        let during = |error: &&AppError| (flow.first..=flow.last_seen()).contains(&error.seen.at);
        self.errors.of(&flow.key).iter().filter(during).copied().collect()
    }

    /// What RPC sessions learned.
    pub fn endpoints(&self) -> &Endpoints {
        self.rpc.endpoints()
    }

    /// The names that hosts were heard to have, in order of address.
    pub fn names(&self) -> &[(Addr, Vec<Name>)] {
        &self.names
    }

    fn ruled(&self, number: usize, seen: &Seen<'_>) -> Option<Ruled<'_>> {
        let ruling = self.rulings.get(number)?;
        let answer = self.answers.get(ruling.answer)?;
        let collapse = self.collapsed.of(number);
        let finding = if collapse.is_some() { None } else { self.finding(answer, ruling.outcome, seen.client) };
        Some(Ruled {
            number,
            sums: Sums::of(&seen.stored.totals(), seen.orig, seen.class.transport(), seen.port),
            client: seen.client,
            server: seen.server,
            outcome: ruling.outcome,
            standing: &answer.standing,
            service: answer.service,
            finding,
            collapse,
        })
    }

    fn finding(&self, answer: &Answer, outcome: Outcome, client: HostId) -> Option<FindingKind> {
        if outcome.is_failure() {
            let scanner = || self.catalogue.is_scanner(self.hosts.addr(client).ip());
            return answer.blocked.filter(|kind| *kind != FindingKind::Attempt || !scanner());
        }
        match answer.standing {
            Standing::ExpectedRange(_) if outcome == Outcome::Open => Some(FindingKind::RangeOnly),
            Standing::Unexpected(_) if outcome == Outcome::Open => Some(FindingKind::Unexpected),
            _ => None,
        }
    }
}

/// The flows of all tables in the order they began, with the numbers of their hosts. The context looks at each while it
/// is at hand.
fn see<'a>(
    tables: &'a [Table],
    directions: &Directions<'_>,
    hosts: &mut Hosts,
    context: &mut Context,
) -> Vec<Seen<'a>> {
    let count = tables.iter().map(Table::held).sum();
    let mut flows = Vec::with_capacity(count);
    let mut order = InOrder::of(tables);
    let mut some = Vec::with_capacity(AT_ONCE);
    loop {
        some.extend(order.by_ref().take(AT_ONCE).map(|stored| {
            let key = stored.key();
            hosts.prefetch(key.low);
            hosts.prefetch(key.high);
            stored.prefetch_more();
            (stored, key)
        }));
        if some.is_empty() {
            return flows;
        }
        for (stored, key) in some.drain(..) {
            let (orig, dir_basis) = directions.of(stored);
            let (client, server) = (key.end(orig), key.end(orig.other()));
            let seen = Seen {
                stored,
                client: hosts.number(client.addr),
                server: hosts.number(server.addr),
                class: directions.classes.of(key.transport, server.port),
                port: server.port,
                orig,
                dir_basis,
            };
            context.look(&seen, directions.catalogue, directions.classes);
            flows.push(seen);
        }
    }
}

/// How many flows wait for their hosts to be found.
const AT_ONCE: usize = 32;

/// What flows sort by: see [`Stored::order`].
type Order = (Timestamp, FrameId, [FrameId; 2]);

/// The flows of several tables in one order of time.
struct InOrder<'a> {
    /// What is left of each table.
    runs: Vec<Box<dyn Iterator<Item = Stored<'a>> + 'a>>,
    /// The next flow of each.
    heads: Vec<Stored<'a>>,
    /// The same, as they sort: the earliest on top.
    next: BinaryHeap<Reverse<(Order, usize)>>,
}

impl<'a> InOrder<'a> {
    fn of(tables: &'a [Table]) -> Self {
        let mut order = Self { runs: Vec::new(), heads: Vec::new(), next: BinaryHeap::new() };
        for table in tables {
            // As a rule flows lie as they began. Where the clock went back, or a place was given again, they do not.
            let mut run: Box<dyn Iterator<Item = Stored<'a>> + 'a> = if table.flows().map(Stored::order).is_sorted() {
                Box::new(table.flows())
            } else {
                let mut flows: Vec<Stored<'a>> = table.flows().collect();
                flows.sort_by_key(|stored| stored.order());
                Box::new(flows.into_iter())
            };
            if let Some(head) = run.next() {
                order.next.push(Reverse((head.order(), order.runs.len())));
                order.heads.push(head);
                order.runs.push(run);
            }
        }
        order
    }
}

impl<'a> Iterator for InOrder<'a> {
    type Item = Stored<'a>;

    fn next(&mut self) -> Option<Stored<'a>> {
        let mut top = self.next.peek_mut()?;
        let Reverse((order, run)) = &mut *top;
        let head = self.heads.get_mut(*run)?;
        let first = *head;
        if let Some(later) = self.runs.get_mut(*run).and_then(Iterator::next) {
            (*order, *head) = (later.order(), later);
        } else {
            PeekMut::pop(top);
        }
        Some(first)
    }
}

fn notes(flow: &Flow, icmp: Option<&IcmpSeen>, verdict: &Verdict, errors: &[AppError]) -> Vec<&'static str> {
    let midway = flow.key.transport == Transport::Tcp && flow.syns == [0, 0];
    let open = verdict.outcome == Outcome::Open;
    let facts = [
        (midway && flow.synacks == [0, 0], "mid_stream"),
        (open && icmp.is_some(), "soft_error"),
        (!errors.is_empty(), "app_error"),
        (verdict.reason == Reason::HalfOpenProbe, "probe"),
        (verdict.reason == Reason::ConnectOnly, "no_payload"),
        (verdict.reason == Reason::UdpFallback, "udp_fallback"),
        (verdict.reason == Reason::Related, "related"),
        (flow.marks.has(Mark::Retried), "retried"),
        (flow.marks.has(Mark::Copied), "duplicated"),
        (flow.marks.has(Mark::Mtu), "mtu"),
        (flow.marks.has(Mark::Group), "group"),
        (flow.marks.has(Mark::Superseded), "ports_reused"),
    ];
    facts.into_iter().filter(|(holds, _)| *holds).map(|(_, word)| word).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop here")]

    use super::*;
    use crate::catalogue::LoadOptions;
    use crate::catalogue::load;
    use crate::decode::packet::Layer;
    use crate::decode::packet::Packet;
    use crate::decode::packet::Tcp;
    use crate::flow::duplicate::Likeness;
    use crate::flow::limits::Limits;
    use crate::flow::record::ACK;
    use crate::flow::record::SYN;
    use crate::model::addr::FlowKey;

    /// A table with a flow that began at each of these times, in this order.
    fn table(times: &[u64]) -> Table {
        let mut table = Table::new(Limits::default());
        for (port, at) in (1000..).zip(times) {
            let (key, from) = FlowKey::of(Addr::v4([1; 4]), port, Addr::v4([2; 4]), 53, Transport::Udp);
            let (frame, layer) = (FrameId::new(0, *at), Layer::Udp { checksum: 0 });
            let packet = Packet { frame, ts: Timestamp(*at), key, from, layer, ..Packet::NONE };
            table.update(&packet, Likeness::of(packet.words(), at * 7, at * 9), u32::from(port) << 20);
        }
        table
    }

    /// Ports of SYNs and when they were sent, in milliseconds.
    fn syns(table: &mut Table, sent: &[(u16, u64)]) {
        for (at, (port, ms)) in (100..).zip(sent) {
            segment(table, FrameId::new(0, at), *port, *ms, SYN);
        }
    }

    fn segment(table: &mut Table, frame: FrameId, port: u16, ms: u64, flags: u8) {
        let (key, from) = FlowKey::of(Addr::v4([10, 0, 0, 1]), 50_000, Addr::v4([10, 0, 0, 2]), port, Transport::Tcp);
        let tcp = Tcp { seq: u32::from(flags), ack: 0, flags, window: 0, checksum: 0 };
        let packet = Packet { frame, ts: Timestamp(ms * 1_000_000), key, from, layer: Layer::Tcp(tcp), ..Packet::NONE };
        table.update(&packet, Likeness::of(packet.words(), frame.number(), ms), u32::from(port) << 16);
    }

    /// What was ruled of each flow, if that is what is told of it.
    fn outcomes(table: Table) -> Vec<Outcome> {
        let catalogue = load(&LoadOptions::default()).unwrap();
        let last = Timestamp(60_000_000_000);
        let facts = CaptureFacts { last, ends: vec![last], ..CaptureFacts::default() };
        let options = Options { infer: true, strict: false };
        let tables = [table];
        let judge = Judge::new(&tables, facts, &Knowledge::new(), &catalogue, options);
        let told = |ruled: Ruled<'_>| {
            let verdict = judge.judged(&ruled)?.verdict;
            (verdict.outcome == ruled.outcome).then_some(verdict.outcome)
        };
        judge.rulings().map(|ruled| told(ruled).unwrap()).collect()
    }

    #[test]
    fn a_single_syn_is_ruled_as_it_is_told() {
        let sent = [(80, 1_000), (81, 59_999), (82, 2_000), (82, 3_000)];
        let mut table = Table::new(Limits::default());
        syns(&mut table, &sent);
        assert_eq!(outcomes(table), [Outcome::Dropped, Outcome::Dropped, Outcome::Unknown]);
        let mut one_way = Table::new(Limits::default());
        syns(&mut one_way, &sent);
        // The client hears somebody of whom nothing was captured.
        segment(&mut one_way, FrameId::new(0, 1), 443, 10, SYN);
        segment(&mut one_way, FrameId::new(0, 2), 443, 20, ACK);
        assert_eq!(outcomes(one_way), [Outcome::OneWay, Outcome::Unknown, Outcome::Unknown, Outcome::Unknown]);
    }

    #[test]
    fn flows_of_several_tables_come_in_one_order() {
        let tables = [table(&[2, 3, 9]), table(&[]), table(&[8, 1, 5]), table(&[4])];
        let times: Vec<u64> = InOrder::of(&tables).map(|stored| stored.first().0).collect();
        assert_eq!(times, [1, 2, 3, 4, 5, 8, 9], "the third is out of order");
    }
}
