//! Which hosts hold which roles: what the site file says, and what hosts are seen to do (data: `rules/roles.toml`).

use std::collections::HashMap;
use std::collections::HashSet;
use std::rc::Rc;

use foldhash::quality::RandomState;

use crate::catalogue::Catalogue;
use crate::catalogue::role::RoleBasis;
use crate::catalogue::role::RoleId;
use crate::catalogue::role::RoleSet;
use crate::catalogue::service::ServiceId;
use crate::classify::context::Context;
use crate::classify::hosts::HostId;
use crate::classify::hosts::Marked;
use crate::classify::judged::Host;
use crate::classify::judged::HostRole;
use crate::classify::seen::About;
use crate::classify::seen::Seen;
use crate::classify::seen::ahead;
use crate::classify::seen::replied;
use crate::flow::record::Mark;
use crate::learn::knowledge::Answered;
use crate::learn::knowledge::Listener;
use crate::learn::names::Controller;
use crate::model::addr::Addr;
use crate::model::ids::FrameId;
use crate::model::transport::Transport;

type Map<K, V> = HashMap<K, V, RandomState>;

/// The roles of one host.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Held {
    /// With all implied roles.
    pub(crate) set: RoleSet,
    /// Some of them are inferred.
    pub(crate) inferred: bool,
    /// Those that tell what kind of host it is, so that what no row allows it can be called unexpected. An inferred DNS or
    /// mail server may be much else besides; what the site file says, and domain controllers and their clients, count.
    pub(crate) firm: RoleSet,
}

/// A host whose roles were inferred, and from what.
#[derive(Debug, Default)]
struct Inferred {
    held: Held,
    rows: Vec<HostRole>,
}

/// Everything that answered, in order, but for what certainly said something else than its port is for, whenever it said
/// anything for certain.
fn listening(flows: &[Seen<'_>], context: &Context, about: &About<'_>) -> Vec<(Listener, Answered)> {
    let catalogue = about.catalogue;
    let told = catalogue.inference().iter().flat_map(|inference| match &inference.basis {
        RoleBasis::Answers { all, any, .. } => [all.as_slice(), any.as_slice()].concat(),
        RoleBasis::Asks { any, .. } => any.clone(),
        RoleBasis::Proved { .. } => Vec::new(),
    });
    let telling: Vec<ServiceId> = told.collect();
    // Whether a flow is certainly what its port is for, or something else.
    let fits = |seen: &Seen<'_>| {
        let service = about.meaning(seen)?.named.filter(|service| telling.contains(service))?;
        let speaks = catalogue.service(service).speaks;
        // What a client says is not the server's doing.
        let said = seen.stored.speech().of(seen.orig.other());
        let proto = said.proto.filter(|_| said.certain)?;
        Some(speaks.is_empty() || speaks.contains(proto))
    };
    let listener = |seen: &Seen<'_>| {
        let (addr, transport) = (about.hosts.addr(seen.server), seen.class.transport());
        Listener { addr, transport, port: seen.port }
    };
    let alike = |fit: bool| ahead(flows).filter(move |seen| fits(seen) == Some(fit)).map(listener);
    let mut alien: HashSet<Listener, RandomState> = alike(false).collect();
    if !alien.is_empty() {
        for listener in alike(true) {
            alien.remove(&listener);
        }
    }
    context.answers().iter().copied().filter(|(listener, _)| !alien.contains(listener)).collect()
}

impl Held {
    /// Whether it is known what kind of host it is.
    pub(crate) fn decided(&self) -> bool {
        !self.firm.is_empty()
    }

    /// Whether the site file says so: then it is the whole truth, and nothing inferred is added.
    fn by_site(&self) -> bool {
        self.decided() && !self.inferred
    }
}

/// Hosts that hold the same roles for the same reasons are of one kind.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct KindId(u32);

/// The roles of all hosts.
#[derive(Debug, Default)]
pub(crate) struct Roles {
    /// The kind of each host.
    hosts: Vec<KindId>,
    /// Every kind that occurs; the first is that of hosts of which nothing is known.
    kinds: Vec<Held>,
    kind_ids: Map<Held, KindId>,
    inferred: Map<HostId, Inferred>,
    /// Roles that some row names as a target, those of hosts that only ask apart.
    serving: RoleSet,
    /// Roles that clients are known by asking.
    asked: RoleSet,
    /// Roles of hosts that ask.
    asking: RoleSet,
    /// Hosts that answered something which tells one of the asked, and not enough to be sure.
    halfway: Marked,
}

impl Roles {
    /// Reads the site's roles and, if allowed, infers more.
    pub(crate) fn new(
        flows: &[Seen<'_>],
        context: &Context,
        about: &About<'_>,
        controllers: &[Controller],
        infer: bool,
    ) -> Self {
        let catalogue = about.catalogue;
        let mut roles = Self { hosts: Vec::with_capacity(about.hosts.len()), ..Self::default() };
        // The first kind is that of hosts of which nothing is known.
        roles.kinds.push(Held::default());
        roles.kind_ids.insert(Held::default(), KindId::default());
        for (_, addr) in about.hosts.iter() {
            let by_site = catalogue.site_roles(addr.ip());
            let kind = if by_site.is_empty() {
                KindId::default()
            } else {
                let set = catalogue.closure(by_site);
                roles.kind(Held { set, firm: set, inferred: false })
            };
            roles.hosts.push(kind);
        }
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
            let listening = listening(flows, context, about);
            roles.infer_servers(&listening, about);
            roles.infer_proved(controllers, about);
            roles.infer_clients(flows, &listening, context, about);
        }
        roles
    }

    /// The kind of a host.
    #[inline]
    pub(crate) fn kind_of(&self, host: HostId) -> KindId {
        self.hosts.get(host.index()).copied().unwrap_or_default()
    }

    /// The roles of hosts of a kind.
    #[inline]
    pub(crate) fn held(&self, kind: KindId) -> Held {
        self.kinds.get(kind.0 as usize).copied().unwrap_or_default()
    }

    fn kind(&mut self, held: Held) -> KindId {
        if held == Held::default() {
            return KindId::default();
        }
        let next = KindId(u32::try_from(self.kinds.len()).unwrap_or(u32::MAX));
        let kind = *self.kind_ids.entry(held).or_insert(next);
        if kind == next {
            self.kinds.push(held);
        }
        kind
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
    pub(crate) fn half_known(&self, host: HostId) -> bool {
        self.halfway.has(host)
    }

    /// The role rows of a host, for the report.
    pub(crate) fn host(&self, host: HostId, addr: Addr, catalogue: &Catalogue) -> Option<Host> {
        let held = self.held(self.kind_of(host));
        if held == Held::default() {
            return None;
        }
        if !held.by_site() {
            return Some(Host { addr, roles: self.inferred.get(&host)?.rows.clone() });
        }
        let row = |role| HostRole { role, by_site: true, because: "site file".into(), frames: Vec::new() };
        Some(Host { addr, roles: catalogue.site_roles(addr.ip()).iter().map(row).collect() })
    }

    fn give(&mut self, host: HostId, row: HostRole, catalogue: &Catalogue) {
        let Inferred { held, rows } = self.inferred.entry(host).or_default();
        let role = catalogue.closure(RoleSet::of(row.role));
        held.set = held.set.union(role);
        held.inferred = true;
        if self.asked.union(self.asking).contains(row.role) {
            held.firm = held.firm.union(role);
        }
        if !rows.iter().any(|known| known.role == row.role) {
            rows.push(row);
        }
        let held = *held;
        if !self.held(self.kind_of(host)).by_site() {
            let kind = self.kind(held);
            if let Some(place) = self.hosts.get_mut(host.index()) {
                *place = kind;
            }
        }
    }

    fn infer_servers(&mut self, listening: &[(Listener, Answered)], about: &About<'_>) {
        let catalogue = about.catalogue;
        for answered in listening.chunk_by(|(one, _), (next, _)| one.addr == next.addr) {
            let Some(host) = answered.first().and_then(|(listener, _)| about.hosts.find(listener.addr)) else {
                continue;
            };
            for inference in catalogue.inference() {
                let RoleBasis::Answers { all, any } = &inference.basis else { continue };
                let find = |service: ServiceId| {
                    let hit = answered.iter().find(|(listener, _)| covers(catalogue, service, *listener));
                    hit.map(|(_, answered)| answered.frame)
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
                let because = format!("answered {}", list(&named, catalogue)).into();
                frames.sort_unstable();
                let row = HostRole { role: inference.role, by_site: false, because, frames };
                self.give(host, row, catalogue);
            }
        }
    }

    /// Hosts of which payload says what they are.
    fn infer_proved(&mut self, controllers: &[Controller], about: &About<'_>) {
        for inference in about.catalogue.inference() {
            let RoleBasis::Proved { by } = &inference.basis else { continue };
            for controller in controllers.iter().filter(|known| by.iter().any(|name| name == known.proof.name())) {
                let Some(host) = about.hosts.find(controller.addr) else { continue };
                let because = controller.proof.words().into();
                let frames = controller.seen.iter().map(|seen| seen.frame).collect();
                let row = HostRole { role: inference.role, by_site: false, because, frames };
                self.give(host, row, about.catalogue);
            }
        }
    }

    fn infer_clients(
        &mut self,
        flows: &[Seen<'_>],
        listening: &[(Listener, Answered)],
        context: &Context,
        about: &About<'_>,
    ) {
        let catalogue = about.catalogue;
        for inference in catalogue.inference() {
            let RoleBasis::Asks { of, any } = &inference.basis else { continue };
            let mut settled = Marked::default();
            self.inferred.keys().copied().chain(context.serving_many()).for_each(|host| settled.add(host));
            for host in answering_like(*of, listening, about) {
                self.halfway.add(host);
                settled.add(host);
            }
            // Many clients ask the same of one server.
            let mut reasons: Map<(ServiceId, HostId), Rc<str>> = Map::default();
            for seen in flows {
                if settled.has(seen.client) || !self.held(self.kind_of(seen.server)).set.contains(*of) {
                    continue;
                }
                let transport = seen.class.transport();
                if transport == Transport::Tcp && seen.stored.has(Mark::Refused) || !seen.stored.both_ways() {
                    continue;
                }
                let server = about.hosts.addr(seen.server);
                let listener = Listener { addr: server, transport, port: seen.port };
                let Some(service) = any.iter().find(|service| covers(catalogue, **service, listener)) else {
                    continue;
                };
                if transport == Transport::Tcp && !replied(&seen.stored.flow(), seen.orig) {
                    continue;
                }
                let because = reasons.entry((*service, seen.server)).or_insert_with(|| {
                    let title = &catalogue.service(*service).title;
                    format!("asked {title} of {} {server}", catalogue.role_name(*of)).into()
                });
                let (because, frames) = (Rc::clone(because), vec![seen.stored.order().1]);
                let row = HostRole { role: inference.role, by_site: false, because, frames };
                self.give(seen.client, row, catalogue);
                settled.add(seen.client);
            }
        }
    }
}

/// Hosts that answered something which tells a host of this role, and not enough to be sure: no clients either.
fn answering_like(role: RoleId, listening: &[(Listener, Answered)], about: &About<'_>) -> Vec<HostId> {
    let catalogue = about.catalogue;
    let telling: Vec<ServiceId> = catalogue
        .inference()
        .iter()
        .filter(|inference| inference.role == role)
        .flat_map(|inference| match &inference.basis {
            RoleBasis::Answers { all, .. } => all.clone(),
            RoleBasis::Asks { .. } | RoleBasis::Proved { .. } => Vec::new(),
        })
        .collect();
    let tells = |listener: &Listener| telling.iter().any(|service| covers(catalogue, *service, *listener));
    let listeners = listening.iter().map(|(listener, _)| listener);
    listeners.filter(|listener| tells(listener)).filter_map(|listener| about.hosts.find(listener.addr)).collect()
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
