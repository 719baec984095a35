//! Judging all flows of a capture, one after the other, each in the light of the others.

use std::collections::BTreeSet;

use crate::catalogue::Catalogue;
use crate::catalogue::role::RoleSet;
use crate::catalogue::service::ServiceId;
use crate::classify::collapse::Attempt;
use crate::classify::collapse::Collapsed;
use crate::classify::context::Context;
use crate::classify::context::Seen;
use crate::classify::direction::Directions;
use crate::classify::judged::CaptureFacts;
use crate::classify::judged::Collapse;
use crate::classify::judged::Host;
use crate::classify::judged::Judged;
use crate::classify::judged::Options;
use crate::classify::judged::tries;
use crate::classify::outcome::outcome;
use crate::classify::roles::Roles;
use crate::classify::standing::Question;
use crate::classify::standing::standing;
use crate::classify::verdict::FindingKind;
use crate::classify::verdict::Outcome;
use crate::classify::verdict::Reason;
use crate::classify::verdict::Standing;
use crate::classify::verdict::Verdict;
use crate::flow::icmp::IcmpSeen;
use crate::flow::record::Flow;
use crate::flow::record::Mark;
use crate::flow::table::Stored;
use crate::flow::table::Table;
use crate::learn::knowledge::Knowledge;
use crate::model::addr::Addr;
use crate::model::addr::Side;
use crate::model::transport::Transport;

/// All that is needed to judge any flow of a capture.
#[derive(Debug)]
pub struct Judge<'a> {
    catalogue: &'a Catalogue,
    options: Options,
    flows: Vec<Seen<'a>>,
    context: Context,
    roles: Roles,
    collapsed: Collapsed,
}

impl<'a> Judge<'a> {
    /// Looks over all flows once, so that each can be judged in the light of the others.
    pub fn new(
        tables: &'a [Table],
        facts: CaptureFacts,
        knowledge: &Knowledge,
        catalogue: &'a Catalogue,
        options: Options,
    ) -> Self {
        let answers = knowledge.answers();
        let directions = Directions { catalogue, listeners: &answers };
        let see = |stored: Stored<'a>| {
            let (orig, dir_basis) = directions.of(&stored.flow());
            Seen { stored, orig, dir_basis }
        };
        let mut flows: Vec<Seen<'a>> = tables.iter().flat_map(Table::flows).map(see).collect();
        flows.sort_unstable_by_key(|seen| seen.stored.order());
        let context = Context::new(&flows, facts, answers, catalogue);
        let roles = Roles::new(&flows, &context, catalogue, options.infer);
        let mut judge = Self { catalogue, options, flows, context, roles, collapsed: Collapsed::default() };
        let attempts: Vec<Attempt> = judge.flows.iter().map(|seen| judge.attempt(*seen)).collect();
        let may_scan = |addr: Addr| catalogue.is_scanner(addr.ip());
        judge.collapsed = Collapsed::find(&attempts, &may_scan);
        judge.collapsed.take_folds(tables.iter().flat_map(|table| table.folds().iter()));
        judge
    }

    /// Every flow, judged, in the order they began.
    pub fn flows(&self) -> impl Iterator<Item = Judged<'a>> + '_ {
        (0..self.flows.len()).filter_map(|number| self.judge(number))
    }

    /// The scans and floods.
    pub fn collapses(&self) -> &[Collapse] {
        &self.collapsed.all
    }

    /// Every host that is an end of a flow and has a role, in order of address.
    pub fn hosts(&self) -> Vec<Host> {
        let ends = self.flows.iter().flat_map(|seen| [Side::Low, Side::High].map(|side| seen.flow().addr(side)));
        let addrs: BTreeSet<Addr> = ends.collect();
        addrs.into_iter().filter_map(|addr| self.roles.host(addr, self.catalogue)).collect()
    }

    /// The roles of a host, implied ones included.
    pub fn roles_of(&self, addr: Addr) -> RoleSet {
        self.roles.of(addr, self.catalogue).set
    }

    /// Share of flows with payload of which one direction only was captured.
    pub fn one_way_share(&self) -> f64 {
        self.context.one_way_share
    }

    /// Whether that share is so high that the capture as a whole sees one direction only.
    pub fn asymmetric(&self) -> bool {
        self.context.asymmetric
    }

    fn attempt(&self, seen: Seen<'a>) -> Attempt {
        let (flow, orig) = (&seen.flow(), seen.orig);
        let verdict = outcome(seen, &self.context, self.catalogue);
        let ends = flow.five_tuple(orig);
        let tcp = flow.key.transport == Transport::Tcp;
        let half_open = tcp && flow.syns[orig.index()] > 0 && !flow.marks.has(Mark::Established);
        // A flood or a scan is told by what the source does; that the capture ends early changes nothing.
        let silent = half_open && !flow.acked(orig);
        Attempt {
            client: ends.orig.addr,
            server: ends.resp.addr,
            transport: flow.key.transport,
            port: ends.resp.port,
            at: flow.first,
            frame: flow.first_frame,
            tries: tries(flow, orig),
            failed: verdict.outcome.is_failure() || silent,
            half_open: silent && !flow.marks.has(Mark::Refused) && flow.icmp == 0,
            outcome: verdict.outcome,
        }
    }

    fn judge(&self, number: usize) -> Option<Judged<'a>> {
        let seen = *self.flows.get(number)?;
        let Seen { orig, dir_basis, .. } = seen;
        let flow = seen.flow();
        let verdict = outcome(seen, &self.context, self.catalogue);
        let ends = flow.five_tuple(orig);
        let from = self.roles.of(ends.orig.addr, self.catalogue);
        let to = self.roles.of(ends.resp.addr, self.catalogue);
        let strict = self.options.strict;
        let question = Question { flow: &flow, orig, dir_basis, verdict: &verdict, from: &from, to: &to, strict };
        let standing = standing(&question, &self.roles, &self.context, self.catalogue);
        let collapse = self.collapsed.of(number);
        let finding = if collapse.is_some() { None } else { self.finding(&standing, &verdict, ends.orig.addr) };
        let port = if flow.key.transport.has_ports() { ends.resp.port } else { 0 };
        Some(Judged {
            icmp: seen.icmp(),
            orig,
            dir_basis,
            notes: notes(&flow, seen.icmp(), &verdict),
            verdict,
            service: self.service(&standing, flow.key.transport, port),
            standing,
            finding,
            collapse,
            roles_inferred: from.inferred || to.inferred,
            flow,
        })
    }

    /// What the port means. That it lies in a wide range means something only where a row says so.
    fn service(&self, standing: &Standing, transport: Transport, port: u16) -> Option<ServiceId> {
        let named = |service: &ServiceId| {
            !self.catalogue.service(*service).dynamic || matches!(standing, Standing::ExpectedRange(_))
        };
        self.catalogue.service_at(transport, port).filter(named)
    }

    fn finding(&self, standing: &Standing, verdict: &Verdict, client: Addr) -> Option<FindingKind> {
        let (open, failed) = (verdict.outcome == Outcome::Open, verdict.outcome.is_failure());
        match standing {
            Standing::Expected(_) | Standing::ExpectedRange(_) if failed => Some(FindingKind::Blocked),
            Standing::ExpectedRange(_) if open => Some(FindingKind::RangeOnly),
            Standing::Unexpected(_) if open => Some(FindingKind::Unexpected),
            Standing::Unexpected(_) if failed && !self.catalogue.is_scanner(client.ip()) => Some(FindingKind::Attempt),
            _ => None,
        }
    }
}

fn notes(flow: &Flow, icmp: Option<&IcmpSeen>, verdict: &Verdict) -> Vec<&'static str> {
    let midway = flow.key.transport == Transport::Tcp && flow.syns == [0, 0];
    let open = verdict.outcome == Outcome::Open;
    let facts = [
        (midway && flow.synacks == [0, 0], "mid_stream"),
        (open && icmp.is_some(), "soft_error"),
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
