//! Range shrink: which of the ports that a wide range allows were really used, for which RPC interfaces, by whom.
//!
//! Hands on one row for each server and transport. It must never know whether a flow was allowed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;

use foldhash::quality::RandomState;
use serde::Serialize;

use crate::catalogue::policy::RowId;
use crate::catalogue::role::RoleSet;
use crate::catalogue::service::Ports;
use crate::classify::judged::HostRole;
use crate::learn::endpoints::Learned;
use crate::learn::endpoints::Over;
use crate::learn::endpoints::Source;
use crate::learn::grade::Endpoints;
use crate::model::addr::Addr;
use crate::model::transport::Transport;
use crate::model::uuid::InterfaceId;
use crate::report::exercised::Basis;
use crate::report::exercised::Exercised;
use crate::report::exercised::PortUse;
use crate::report::exercised::Tally;
use crate::report::names::Names;
use crate::report::names::Party;
use crate::report::pairs::Pairs;
use crate::report::readiness::Fits;
use crate::report::sanitise::Shown;
use crate::report::words::count;
use crate::report::words::some;
use crate::report::words::thousands;

/// Servers told of; what comes after by address is left out.
const SERVERS_MAX: usize = 4096;

/// Ports of a server; further ones are counted.
const PORTS_MAX: usize = 4096;

/// Interfaces named in the sentence.
const INTERFACES_SHOWN: usize = 6;

/// What a server's dynamic ports were used for.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ServerRange {
    /// The server.
    pub server: Party,
    /// The transport.
    pub transport: &'static str,
    /// Ports that the rows' ranges allow to those who spoke with it, first and last.
    pub allowed: Vec<[u16; 2]>,
    /// The rows with these ranges.
    pub rows: Vec<Shown>,
    /// How many of these ports were used or tried.
    pub used: u64,
    /// How many were not, as long as the capture lasted.
    pub unused: u64,
    /// The lowest and the highest port used or tried: the smallest range that holds all.
    pub smallest: Option<[u16; 2]>,
    /// Each of them, ascending.
    pub ports: Vec<RangePort>,
    /// Flows to ports that are not listed, for lack of room.
    pub ports_cut: u64,
    /// The RPC interfaces that were asked for or bound at these ports: what a filter that reads RPC has to allow.
    pub interfaces: Vec<RangeInterface>,
    /// Who spoke with the server, by role, and how many of them used such a port.
    pub roles: Vec<RoleUse>,
    /// From the first to the last frame, seconds.
    pub watched_s: f64,
    /// All this in a sentence.
    pub text: String,
}

/// A dynamic port.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct RangePort {
    /// The port.
    pub port: u16,
    /// Flows that worked.
    pub worked: u64,
    /// Flows that failed.
    pub failed: u64,
    /// Distinct clients.
    pub clients: u64,
    /// The clients by role.
    pub roles: BTreeMap<String, u64>,
    /// Names or UUIDs of the interfaces asked for or bound there.
    pub interfaces: Vec<Shown>,
}

/// An RPC interface at dynamic ports of a server.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct RangeInterface {
    /// Its UUID; `None` where only DCOM named the port.
    pub uuid: Option<String>,
    /// Its version, as `4.0`.
    pub version: Option<String>,
    /// Its name in the specifications, where the rules know one.
    pub name: Option<Shown>,
    /// At which ports.
    pub ports: Vec<u16>,
    /// Distinct clients that asked for it or bound it.
    pub clients: u64,
    /// These clients; the session book keeps a bounded number of each statement.
    pub callers: Vec<Party>,
    /// These by role.
    pub roles: BTreeMap<String, u64>,
}

/// Hosts of one role that spoke with a server.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct RoleUse {
    /// The roles, joined by commas; `unknown` for none.
    pub role: String,
    /// Hosts of which some flow to the server worked or failed.
    pub hosts: u64,
    /// Of these, hosts that used or tried a dynamic port.
    pub using: u64,
}

/// Everything gathered of one server.
#[derive(Default)]
struct Server {
    /// Which lists of rows were added.
    allowed: Vec<usize>,
    transports: Vec<(Transport, Gathered)>,
}

/// The same over one transport.
#[derive(Default)]
struct Gathered {
    rows: BTreeSet<RowId>,
    ports: BTreeMap<u16, PortSum>,
    ports_cut: u64,
    /// By roles: hosts, and of these those that used a dynamic port.
    roles: Vec<(RolesId, [u64; 2])>,
}

/// Sums of one port.
#[derive(Default)]
struct PortSum {
    worked: u64,
    failed: u64,
    clients: u64,
    roles: Vec<(RolesId, u64)>,
}

/// The place of some roles in [`HostRoles`].
#[derive(Clone, Copy, PartialEq, Eq)]
struct RolesId(usize);

/// The roles of the hosts of all pairs. Many hosts have the same.
struct HostRoles {
    /// By the host's place.
    hosts: Vec<RolesId>,
    /// With all that they imply, and as one word.
    all: Vec<(RoleSet, String)>,
}

impl HostRoles {
    /// Of hosts in order.
    fn of(hosts: &[Addr], names: &Names<'_>) -> Self {
        let mut known: Vec<&[HostRole]> = Vec::new();
        let mut all = Vec::new();
        let mut with_roles = names.hosts_with_roles().peekable();
        let roles_of = |host: &Addr| {
            while with_roles.next_if(|(known, _)| known < host).is_some() {}
            let roles = with_roles.next_if(|(known, _)| known == host).map_or(&[][..], |(_, roles)| roles);
            let same = |known: &&[HostRole]| known.iter().map(|role| role.role).eq(roles.iter().map(|role| role.role));
            let id = known.iter().position(same).unwrap_or(known.len());
            if id == known.len() {
                known.push(roles);
                all.push((names.role_set(*host), role_names(names, *host).into_owned()));
            }
            RolesId(id)
        };
        Self { hosts: hosts.iter().map(roles_of).collect(), all }
    }

    fn at(&self, host: usize) -> RolesId {
        self.hosts.get(host).copied().unwrap_or(RolesId(0))
    }

    fn set(&self, id: RolesId) -> RoleSet {
        self.all.get(id.0).map_or(RoleSet::EMPTY, |(set, _)| *set)
    }

    fn word(&self, id: RolesId) -> &str {
        self.all.get(id.0).map_or("", |(_, word)| word)
    }
}

/// The rows with a range, and its transports, by the roles of two hosts.
#[derive(Default)]
struct Allowing {
    places: HashMap<(RoleSet, RoleSet), usize, RandomState>,
    lists: Vec<Vec<(RowId, Transport)>>,
}

impl Allowing {
    fn place(&mut self, sets: (RoleSet, RoleSet), names: &Names<'_>, fits: &mut Fits<'_>) -> usize {
        *self.places.entry(sets).or_insert_with(|| {
            self.lists.push(range_rows(names, fits, sets));
            self.lists.len() - 1
        })
    }
}

/// Goes over all pairs.
pub(crate) fn ranges(
    pairs: &Pairs,
    exercised: &Exercised,
    endpoints: &Endpoints,
    names: &Names<'_>,
    fits: &mut Fits<'_>,
    watched_s: f64,
) -> Vec<ServerRange> {
    let roles = HostRoles::of(pairs.hosts(), names);
    let mut allowing = Allowing::default();
    // By the host's place.
    let mut servers: BTreeMap<usize, Server> = BTreeMap::new();
    let mut used: Vec<(Transport, PortUse)> = Vec::new();
    for pair in pairs.iter() {
        let Some([client, server]) = pair.ends() else { continue };
        let told = |tally: &Tally| tally.signs.worked + tally.signs.failed + tally.signs.cut > 0;
        if !pair.places().any(|place| exercised.at(place).iter().any(told)) {
            continue;
        }
        let (from, to) = (roles.at(client), roles.at(server));
        let Server { allowed, transports } = servers.entry(server).or_default();
        let list = allowing.place((roles.set(from), roles.set(to)), names, fits);
        if !allowed.contains(&list) {
            allowed.push(list);
            // Whoever speaks with the server counts, whether or not one that a row allows the range came before.
            for transport in [Transport::Tcp, Transport::Udp] {
                of_transport(transports, transport);
            }
            for (row, transport) in allowing.lists.get(list).into_iter().flatten() {
                of_transport(transports, *transport).rows.insert(*row);
            }
        }
        used.clear();
        for place in pair.places() {
            let Some(transport) = pairs.transport(place) else { continue };
            for tally in exercised.at(place) {
                if !matches!(tally.basis, Basis::Interface | Basis::Range) {
                    continue;
                }
                if let Some((_, own)) = transports.iter_mut().find(|(known, _)| *known == transport) {
                    own.ports_cut += u64::from(tally.ports_cut);
                }
                let ports = tally.ports().filter(|port| port.worked + port.failed > 0);
                used.extend(ports.map(|port| (transport, port)));
            }
        }
        used.sort_unstable_by_key(|(transport, port)| (*transport, port.port));
        used.dedup_by(|(transport, port), (known_transport, known)| {
            let same = (*transport, port.port) == (*known_transport, known.port);
            if same {
                known.worked += port.worked;
                known.failed += port.failed;
            }
            same
        });
        for (transport, own) in transports.iter_mut() {
            if matches!(transport, Transport::Tcp | Transport::Udp) {
                own.add(from, used.iter().filter(|(over, _)| over == transport).map(|(_, port)| port));
            }
        }
    }
    let told = servers.into_iter().filter_map(|(place, server)| Some((*pairs.hosts().get(place)?, server)));
    let told = told.flat_map(|(server, Server { mut transports, .. })| {
        transports.retain(|(_, gathered)| !gathered.rows.is_empty());
        transports.sort_unstable_by_key(|(transport, _)| *transport);
        transports.into_iter().map(move |(transport, gathered)| (server, transport, gathered))
    });
    let tell = |(server, transport, gathered): (Addr, Transport, Gathered)| {
        gathered.tell(server, transport, endpoints, names, &roles, watched_s)
    };
    told.take(SERVERS_MAX).map(tell).collect()
}

/// What was gathered of a transport.
fn of_transport(all: &mut Vec<(Transport, Gathered)>, transport: Transport) -> &mut Gathered {
    let at = all.iter().position(|(known, _)| *known == transport).unwrap_or(all.len());
    if at == all.len() {
        all.push((transport, Gathered::default()));
    }
    &mut all[at].1
}

/// The rows that allow a wide range between hosts of two sets of roles, with its transports.
fn range_rows(names: &Names<'_>, fits: &mut Fits<'_>, (from, to): (RoleSet, RoleSet)) -> Vec<(RowId, Transport)> {
    let catalogue = names.catalogue();
    let fitting = fits.of(from, to);
    let mut found = Vec::new();
    for id in fitting.iter().copied() {
        let row = catalogue.row(id);
        let alone = row.interfaces.is_empty() && row.related.is_empty();
        let ranges = row.ports.iter().filter(|ports| alone && row.is_range(**ports));
        found.extend(ranges.map(|ports| (id, ports.transport)));
    }
    found
}

/// The roles of a host as one word.
fn role_names(names: &Names<'_>, host: Addr) -> Cow<'static, str> {
    if names.roles(host).is_empty() { Cow::Borrowed("unknown") } else { Cow::Owned(names.role_names(host)) }
}

impl Gathered {
    /// Adds a client and the ports that it used.
    fn add<'p>(&mut self, role: RolesId, ports: impl Iterator<Item = &'p PortUse>) {
        let mut using = 0;
        for PortUse { port, worked, failed } in ports.copied() {
            using = 1;
            if self.ports.len() >= PORTS_MAX && !self.ports.contains_key(&port) {
                self.ports_cut += u64::from(worked + failed);
                continue;
            }
            let known = self.ports.entry(port).or_default();
            known.worked += u64::from(worked);
            known.failed += u64::from(failed);
            known.clients += 1;
            match known.roles.iter_mut().find(|(known, _)| *known == role) {
                Some((_, clients)) => *clients += 1,
                None => known.roles.push((role, 1)),
            }
        }
        match self.roles.iter_mut().find(|(known, _)| *known == role) {
            Some((_, [hosts, users])) => (*hosts, *users) = (*hosts + 1, *users + using),
            None => self.roles.push((role, [1, using])),
        }
    }

    fn tell(
        self,
        server: Addr,
        transport: Transport,
        endpoints: &Endpoints,
        names: &Names<'_>,
        words: &HostRoles,
        watched_s: f64,
    ) -> ServerRange {
        let port = |(port, sum): (u16, PortSum)| RangePort {
            port,
            worked: sum.worked,
            failed: sum.failed,
            clients: sum.clients,
            roles: sum.roles.into_iter().map(|(id, clients)| (words.word(id).to_owned(), clients)).collect(),
            interfaces: Vec::new(),
        };
        let mut ports: Vec<RangePort> = self.ports.into_iter().map(port).collect();
        let roles: BTreeMap<String, [u64; 2]> =
            self.roles.iter().map(|(id, sums)| (words.word(*id).to_owned(), *sums)).collect();
        let ranges = self.rows.iter().flat_map(|id| {
            let row = names.catalogue().row(*id);
            row.ports.iter().copied().filter(move |ports| ports.transport == transport && row.is_range(*ports))
        });
        let allowed = merged(ranges.collect());
        let interfaces = interfaces(&mut ports, server, transport, endpoints, names);
        let total: u64 = allowed.iter().map(|[low, high]| u64::from(high - low) + 1).sum();
        let ends = ports.first().zip(ports.last());
        let used = ports.len() as u64;
        let roles = roles.into_iter().map(|(role, [hosts, using])| RoleUse { role, hosts, using });
        let mut range = ServerRange {
            server: Party::One(server),
            transport: transport.name(),
            used,
            unused: total.saturating_sub(used),
            smallest: ends.map(|(low, high)| [low.port, high.port]),
            allowed,
            rows: self.rows.iter().map(|row| names.row(*row)).collect(),
            ports,
            ports_cut: self.ports_cut,
            interfaces,
            roles: roles.collect(),
            watched_s,
            text: String::new(),
        };
        range.text = sentence(&range, total);
        range
    }
}

/// Ranges that touch become one.
fn merged(mut ranges: Vec<Ports>) -> Vec<[u16; 2]> {
    ranges.sort_unstable();
    let mut all: Vec<[u16; 2]> = Vec::new();
    for ports in ranges {
        match all.last_mut() {
            Some([_, high]) if u32::from(ports.low) <= u32::from(*high) + 1 => *high = ports.high.max(*high),
            _ => all.push([ports.low, ports.high]),
        }
    }
    all
}

/// The interfaces that clients asked for or bound at these ports; each port is told its own.
fn interfaces(
    ports: &mut [RangePort],
    server: Addr,
    transport: Transport,
    endpoints: &Endpoints,
    names: &Names<'_>,
) -> Vec<RangeInterface> {
    let over: &[Over] = if transport == Transport::Udp { &[Over::Udp] } else { &[Over::Tcp, Over::Http] };
    let mut all: BTreeMap<Option<InterfaceId>, (BTreeSet<u16>, BTreeSet<Addr>)> = BTreeMap::new();
    for row in ports {
        let port = row.port;
        let learned = || over.iter().flat_map(|over| endpoints.at(server, *over, port));
        // What the mapper lists is there; who uses it is told by questions and binds alone.
        let asked = |known: &&Learned| matches!(known.source, Source::Bind | Source::EptMap | Source::Oxid);
        let plain = learned().any(|known| asked(&known) && known.interface.is_some());
        for known in learned().filter(asked).filter(|known| known.interface.is_some() || !plain) {
            let (at, clients) = all.entry(known.interface).or_default();
            at.insert(port);
            clients.extend(known.clients());
            let name = known.interface.map_or_else(|| Shown::name("DCOM"), |id| called(id, names));
            if !row.interfaces.contains(&name) {
                row.interfaces.push(name);
            }
        }
        row.interfaces.sort_unstable();
    }
    let tell = |(id, (ports, clients)): (Option<InterfaceId>, (BTreeSet<u16>, BTreeSet<Addr>))| {
        let mut roles: BTreeMap<String, u64> = BTreeMap::new();
        for client in &clients {
            *roles.entry(role_names(names, *client).into_owned()).or_default() += 1;
        }
        RangeInterface {
            uuid: id.map(|id| id.uuid.to_string()),
            version: id.map(|id| format!("{}.{}", id.major, id.minor)),
            name: id.and_then(|id| names.interface(id)),
            ports: ports.into_iter().collect(),
            clients: clients.len() as u64,
            callers: clients.into_iter().map(Party::One).collect(),
            roles,
        }
    };
    all.into_iter().map(tell).collect()
}

fn called(id: InterfaceId, names: &Names<'_>) -> Shown {
    names.interface(id).unwrap_or_else(|| Shown::name(&id.uuid.to_string()))
}

/// `49152-49154`
pub(crate) fn dashed([low, high]: [u16; 2]) -> String {
    if low == high { low.to_string() } else { format!("{low}-{high}") }
}

fn sentence(range: &ServerRange, total: u64) -> String {
    let allowed: Vec<String> = range.allowed.iter().map(|ends| dashed(*ends)).collect();
    let all = format!("{} ports of {}/{}", thousands(total), range.transport, allowed.join(","));
    let watched = format!("{:.1} s", range.watched_s);
    let Some(smallest) = range.smallest else {
        return format!("None of the {all} was used in the {watched} of this capture.");
    };
    let mut sentences = vec![format!(
        "Used or tried: {} of the {all}, all in {}; no other in the {watched} of this capture.",
        thousands(range.used),
        dashed(smallest)
    )];
    let interfaces: Vec<String> = range.interfaces.iter().map(interface_words).collect();
    if !interfaces.is_empty() {
        sentences.push(format!("A filter that reads RPC has to allow {}.", some(&interfaces, INTERFACES_SHOWN)));
    }
    let idle: Vec<String> = range
        .roles
        .iter()
        .filter(|role| role.using == 0)
        .map(|role| format!("{} ({})", role.role, count(role.hosts, "host")))
        .collect();
    if !idle.is_empty() {
        sentences.push(format!("Never used here by {}.", idle.join("; ")));
    }
    sentences.join(" ")
}

fn interface_words(interface: &RangeInterface) -> String {
    match (&interface.name, &interface.uuid) {
        (Some(name), _) => name.to_string(),
        (None, Some(uuid)) => uuid.clone(),
        (None, None) => "DCOM objects".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_touch_are_one() {
        let ports = |low, high| Ports { transport: Transport::Tcp, low, high };
        let many = vec![ports(49_152, 65_535), ports(1025, 5000), ports(5001, 5002), ports(50_000, 50_001)];
        assert_eq!(merged(many), [[1025, 5002], [49_152, 65_535]]);
    }
}
