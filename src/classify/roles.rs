//! Which hosts hold which roles: what the site file says, and what hosts are seen to do (data: `rules/roles.toml`).

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::catalogue::Catalogue;
use crate::catalogue::role::RoleBasis;
use crate::catalogue::role::RoleId;
use crate::catalogue::role::RoleSet;
use crate::catalogue::service::ServiceId;
use crate::classify::context::Context;
use crate::classify::context::Seen;
use crate::classify::context::both_ways;
use crate::classify::judged::Host;
use crate::classify::judged::HostRole;
use crate::classify::thresholds::CLIENTS_OF_A_SERVER;
use crate::flow::record::Mark;
use crate::learn::knowledge::Listener;
use crate::model::addr::Addr;
use crate::model::ids::FrameId;
use crate::model::transport::Transport;

/// The roles of one host.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Held {
    /// With all implied roles.
    pub(crate) set: RoleSet,
    /// Some of them are inferred.
    pub(crate) inferred: bool,
    /// They tell what kind of host it is, so that what no row allows it can be called unexpected. An inferred DNS or
    /// mail server may be much else besides; what the site file says, and domain controllers and their clients, count.
    pub(crate) decided: bool,
}

/// A host whose roles were inferred, and from what.
#[derive(Debug, Default)]
struct Inferred {
    held: Held,
    rows: Vec<HostRole>,
}

/// All hosts with roles.
#[derive(Debug, Default)]
pub(crate) struct Roles {
    hosts: BTreeMap<Addr, Inferred>,
    /// Roles that some row names as a target, those of hosts that only ask apart.
    serving: RoleSet,
    /// Roles that clients are known by asking.
    asked: RoleSet,
    /// Roles of hosts that ask.
    asking: RoleSet,
    /// Hosts that answered something which tells one of the asked, and not enough to be sure.
    halfway: BTreeSet<Addr>,
}

impl Roles {
    /// Reads the site's roles and, if allowed, infers more.
    pub(crate) fn new(flows: &[Seen<'_>], context: &Context, catalogue: &Catalogue, infer: bool) -> Self {
        let mut roles = Self::default();
        let targets = catalogue.rows().iter().filter(|row| row.judges()).flat_map(|row| row.to.iter().copied());
        for inference in catalogue.inference() {
            if let RoleBasis::Asks { of, .. } = inference.basis {
                roles.asking.insert(inference.role);
                roles.asked.insert(of);
            }
        }
        let serves = |role: &RoleId| *role != RoleId::ANY && !roles.asking.contains(*role);
        roles.serving = targets.filter(serves).collect();
        if infer {
            roles.infer_servers(context, catalogue);
            roles.infer_clients(flows, context, catalogue);
        }
        roles
    }

    /// The roles of a host; the site's word comes first.
    pub(crate) fn of(&self, addr: Addr, catalogue: &Catalogue) -> Held {
        let by_site = catalogue.site_roles(addr.ip());
        if !by_site.is_empty() {
            // What the site says of a host is the whole truth of it: nothing inferred is added.
            return Held { set: catalogue.closure(by_site), decided: true, inferred: false };
        }
        self.hosts.get(&addr).map(|host| host.held).unwrap_or_default()
    }

    /// Whether a set holds a role that serves others.
    pub(crate) fn serves(&self, set: RoleSet) -> bool {
        set.meets(self.serving)
    }

    /// Whether a set holds the role that clients are known by asking: that of domain controllers.
    pub(crate) fn is_asked(&self, set: RoleSet) -> bool {
        set.meets(self.asked)
    }

    /// Whether a host may well be one of the asked, though it is not known to be.
    pub(crate) fn half_known(&self, addr: Addr) -> bool {
        self.halfway.contains(&addr)
    }

    /// The role rows of a host, for the report.
    pub(crate) fn host(&self, addr: Addr, catalogue: &Catalogue) -> Option<Host> {
        let by_site = catalogue.site_roles(addr.ip());
        let rows = if by_site.is_empty() {
            self.hosts.get(&addr)?.rows.clone()
        } else {
            let row = |role| HostRole { role, by_site: true, because: "site file".into(), frames: Vec::new() };
            by_site.iter().map(row).collect()
        };
        Some(Host { addr, roles: rows })
    }

    fn give(&mut self, addr: Addr, row: HostRole, catalogue: &Catalogue) {
        let Inferred { held, rows } = self.hosts.entry(addr).or_default();
        let mut set = held.set;
        set.insert(row.role);
        held.set = catalogue.closure(set);
        held.inferred = true;
        held.decided |= set.meets(self.asked.union(self.asking));
        if !rows.iter().any(|known| known.role == row.role) {
            rows.push(row);
        }
    }

    fn infer_servers(&mut self, context: &Context, catalogue: &Catalogue) {
        for (addr, answered) in by_host(context) {
            for inference in catalogue.inference() {
                let RoleBasis::Answers { all, any } = &inference.basis else { continue };
                let find = |service: ServiceId| {
                    answered.iter().find(|(listener, _)| covers(catalogue, service, *listener)).map(|(_, frame)| *frame)
                };
                let found: Option<Vec<FrameId>> = all.iter().map(|service| find(*service)).collect();
                let Some(mut frames) = found else { continue };
                let mut named: Vec<ServiceId> = all.clone();
                if !any.is_empty() {
                    let hit = any.iter().find_map(|service| find(*service).map(|frame| (*service, frame)));
                    let Some((service, frame)) = hit else { continue };
                    named.push(service);
                    frames.push(frame);
                }
                let because = format!("answered {}", list(&named, catalogue));
                frames.sort_unstable();
                self.give(addr, HostRole { role: inference.role, by_site: false, because, frames }, catalogue);
            }
        }
    }

    fn infer_clients(&mut self, flows: &[Seen<'_>], context: &Context, catalogue: &Catalogue) {
        let servers: BTreeSet<Addr> = self.hosts.keys().copied().collect();
        for inference in catalogue.inference() {
            let RoleBasis::Asks { of, any } = &inference.basis else { continue };
            let mut halfway = answering_like(*of, context, catalogue);
            self.halfway.extend(&halfway);
            halfway.extend(serving_many(flows, catalogue));
            for seen in flows {
                let flow = seen.flow();
                if !both_ways(&flow) {
                    continue;
                }
                if flow.key.transport == Transport::Tcp && flow.marks.has(Mark::Refused) {
                    continue;
                }
                let ends = flow.five_tuple(seen.orig);
                let known = servers.contains(&ends.orig.addr) || self.hosts.contains_key(&ends.orig.addr);
                if known || halfway.contains(&ends.orig.addr) {
                    continue;
                }
                if !self.of(ends.resp.addr, catalogue).set.contains(*of) {
                    continue;
                }
                let listener = Listener { addr: ends.resp.addr, transport: flow.key.transport, port: ends.resp.port };
                let Some(service) = any.iter().find(|service| covers(catalogue, **service, listener)) else {
                    continue;
                };
                let because = format!(
                    "asked {} of {} {}",
                    catalogue.service(*service).title,
                    catalogue.role_name(*of),
                    ends.resp.addr
                );
                let frames = vec![flow.first_frame];
                let row = HostRole { role: inference.role, by_site: false, because, frames };
                self.give(ends.orig.addr, row, catalogue);
            }
        }
    }
}

/// Hosts that answer several others on ports of the catalogue: servers of a kind that nothing tells.
fn serving_many(flows: &[Seen<'_>], catalogue: &Catalogue) -> BTreeSet<Addr> {
    let mut clients: BTreeMap<Addr, BTreeSet<Addr>> = BTreeMap::new();
    for seen in flows {
        let flow = seen.flow();
        if !flow.marks.has(Mark::Established) {
            continue;
        }
        let ends = flow.five_tuple(seen.orig);
        let service = catalogue.service_at(flow.key.transport, ends.resp.port);
        if service.is_some_and(|service| !catalogue.service(service).dynamic) {
            let known = clients.entry(ends.resp.addr).or_default();
            if known.len() < CLIENTS_OF_A_SERVER {
                known.insert(ends.orig.addr);
            }
        }
    }
    clients.into_iter().filter(|(_, known)| known.len() >= CLIENTS_OF_A_SERVER).map(|(addr, _)| addr).collect()
}

/// Hosts that answered something which tells a host of this role, and not enough to be sure: no clients either.
fn answering_like(role: RoleId, context: &Context, catalogue: &Catalogue) -> BTreeSet<Addr> {
    let telling: Vec<ServiceId> = catalogue
        .inference()
        .iter()
        .filter(|inference| inference.role == role)
        .flat_map(|inference| match &inference.basis {
            RoleBasis::Answers { all, .. } => all.clone(),
            RoleBasis::Asks { .. } => Vec::new(),
        })
        .collect();
    let tells = |listener: &Listener| telling.iter().any(|service| covers(catalogue, *service, *listener));
    context.answers().iter().filter(|(listener, _)| tells(listener)).map(|(listener, _)| listener.addr).collect()
}

/// What each host answered.
fn by_host(context: &Context) -> BTreeMap<Addr, Vec<(Listener, FrameId)>> {
    let mut hosts: BTreeMap<Addr, Vec<(Listener, FrameId)>> = BTreeMap::new();
    for (listener, answered) in context.answers() {
        hosts.entry(listener.addr).or_default().push((*listener, answered.frame));
    }
    hosts
}

fn covers(catalogue: &Catalogue, service: ServiceId, listener: Listener) -> bool {
    catalogue.service(service).ports.iter().any(|ports| ports.cover(listener.transport, listener.port))
}

fn list(services: &[ServiceId], catalogue: &Catalogue) -> String {
    let names: Vec<&str> = services.iter().map(|service| catalogue.service(*service).title.as_str()).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => names.concat(),
    }
}
