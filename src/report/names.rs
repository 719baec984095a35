//! What hosts, ports, rows and frames are called.
//!
//! Nothing here says whether something is good or bad.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::fmt;

use serde::Serialize;
use serde::Serializer;

use foldhash::quality::RandomState;

use crate::catalogue::Catalogue;
use crate::catalogue::policy::RowId;
use crate::catalogue::role::RoleSet;
use crate::catalogue::service::ServiceId;
use crate::classify::judged::Host;
use crate::classify::judged::HostRole;
use crate::learn::names::Kind;
use crate::learn::names::Name;
use crate::model::addr::Addr;
use crate::model::ids::FrameId;
use crate::model::transport::Transport;
use crate::model::uuid::InterfaceId;
use crate::report::facts::RunFacts;
use crate::report::sanitise::Shown;

/// Names listed for one host.
const NAMES_MAX: usize = 8;

/// One end of what is told: a host, or `*` for many. Hosts in order of address, many last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Party {
    /// This host.
    One(Addr),
    /// Several hosts.
    Many,
}

impl From<Option<Addr>> for Party {
    fn from(addr: Option<Addr>) -> Self {
        addr.map_or(Self::Many, Self::One)
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(addr) => addr.ip().fmt(f),
            Self::Many => f.pad("*"),
        }
    }
}

impl Serialize for Party {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What flows are told together as one service.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ServiceKey {
    /// A service of the catalogue.
    Known(ServiceId),
    /// A port that no service claims.
    Port(u16),
    /// A transport without ports.
    Bare,
    /// Many ports.
    Many,
}

impl ServiceKey {
    /// What a flow to `port` is told as.
    pub fn of(service: Option<ServiceId>, transport: Transport, port: u16) -> Self {
        match service {
            Some(service) => Self::Known(service),
            None if transport.has_ports() => Self::Port(port),
            None => Self::Bare,
        }
    }

    /// What flows to many ports are told as.
    pub fn of_many(transport: Transport) -> Self {
        if transport.has_ports() { Self::Many } else { Self::Bare }
    }
}

/// A frame by its number, or by file and number where there are several files.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(untagged)]
pub enum FrameName {
    /// `41`
    Number(u64),
    /// `a.pcap:41`
    InFile(String),
}

impl fmt::Display for FrameName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::InFile(name) => name.fmt(f),
        }
    }
}

/// What a service of the catalogue is called.
#[derive(Debug)]
struct ServiceNames {
    id: Shown,
    title: Shown,
}

/// Everything that has a name.
#[derive(Debug)]
pub struct Names<'a> {
    catalogue: &'a Catalogue,
    rows: Vec<Shown>,
    services: Vec<ServiceNames>,
    roles: BTreeMap<Addr, Vec<HostRole>>,
    /// The roles with all that they imply.
    sets: HashMap<Addr, RoleSet, RandomState>,
    heard: Vec<(Addr, Vec<Shown>)>,
    files: Vec<String>,
}

impl<'a> Names<'a> {
    /// The names of the catalogue, of these hosts and of the run's inputs.
    pub fn new(catalogue: &'a Catalogue, hosts: Vec<Host>, heard: &[(Addr, Vec<Name>)], run: &RunFacts) -> Self {
        let paths: Vec<&str> = run.inputs.iter().map(|input| input.path.as_str()).collect();
        let roles: BTreeMap<Addr, Vec<HostRole>> = hosts.into_iter().map(|host| (host.addr, host.roles)).collect();
        let closed = |roles: &Vec<HostRole>| catalogue.closure(roles.iter().map(|role| role.role).collect());
        let sets = roles.iter().map(|(host, roles)| (*host, closed(roles))).collect();
        Self {
            catalogue,
            rows: catalogue.rows().iter().map(|row| Shown::name(&row.id)).collect(),
            services: catalogue
                .services()
                .iter()
                .map(|service| ServiceNames { id: Shown::name(&service.id), title: Shown::name(&service.title) })
                .collect(),
            roles,
            sets,
            heard: heard.iter().map(|(addr, names)| (*addr, shown(names))).collect(),
            files: short_names(&paths),
        }
    }

    /// The name of a frame.
    pub fn frame(&self, frame: FrameId) -> FrameName {
        if self.files.len() < 2 {
            return FrameName::Number(frame.number());
        }
        let file = self.files.get(usize::from(frame.input())).map_or("?", String::as_str);
        FrameName::InFile(format!("{file}:{}", frame.number()))
    }

    /// The id of a row: `profile/row`.
    pub fn row(&self, row: RowId) -> Shown {
        usize::try_from(row.0).ok().and_then(|at| self.rows.get(at)).cloned().unwrap_or_default()
    }

    /// The id of a service: that of the catalogue, else `tcp/8080`, `gre` or `tcp/*`.
    pub fn service_id(&self, service: ServiceKey, transport: Transport) -> Shown {
        match service {
            ServiceKey::Known(id) => self.service(id).map(|names| names.id.clone()).unwrap_or_default(),
            ServiceKey::Port(port) => Shown::name(&format!("{transport}/{port}")),
            ServiceKey::Bare => Shown::name(transport.name()),
            ServiceKey::Many => Shown::name(&format!("{transport}/*")),
        }
    }

    /// The title of a service, or its id if it has none.
    pub fn service_title(&self, service: ServiceKey, transport: Transport) -> Shown {
        match service {
            ServiceKey::Known(id) => self.service(id).map(|names| names.title.clone()).unwrap_or_default(),
            other => self.service_id(other, transport),
        }
    }

    fn service(&self, id: ServiceId) -> Option<&ServiceNames> {
        self.services.get(usize::from(id.0))
    }

    /// The name that the site file gives a host.
    pub fn site_name(&self, addr: Addr) -> Option<Shown> {
        self.catalogue.site_name(addr.ip()).map(Shown::name)
    }

    /// Whether the site file names a host.
    pub(crate) fn has_site_name(&self, addr: Addr) -> bool {
        self.catalogue.site_name(addr.ip()).is_some()
    }

    /// The names that a host was heard to have.
    pub fn heard(&self, addr: Addr) -> &[Shown] {
        let at = self.heard.binary_search_by_key(&addr, |(known, _)| *known);
        at.ok().and_then(|at| self.heard.get(at)).map_or(&[], |(_, names)| names)
    }

    /// What to call a host: as the site file does, or else as it was heard to be called.
    pub fn host_name(&self, addr: Addr) -> Option<Shown> {
        self.site_name(addr).or_else(|| self.heard(addr).first().cloned())
    }

    /// The name of an RPC interface.
    pub fn interface(&self, id: InterfaceId) -> Option<Shown> {
        self.catalogue.interface(id.uuid).map(|interface| Shown::name(&interface.name))
    }

    /// The endpoint mapper and its port over TCP.
    pub(crate) fn mapper(&self) -> Option<ServiceId> {
        let mut services = (0..).zip(self.catalogue.services());
        services.find(|(_, service)| service.mapper).map(|(id, _)| ServiceId(id))
    }

    /// The roles of a host and why it has them.
    pub fn roles(&self, addr: Addr) -> &[HostRole] {
        self.roles.get(&addr).map_or(&[], Vec::as_slice)
    }

    /// Every host with roles, in order, and why it has them.
    pub(crate) fn hosts_with_roles(&self) -> impl Iterator<Item = (Addr, &[HostRole])> {
        self.roles.iter().map(|(host, roles)| (*host, roles.as_slice()))
    }

    /// The roles of a host with all that they imply.
    pub(crate) fn role_set(&self, addr: Addr) -> RoleSet {
        self.sets.get(&addr).copied().unwrap_or_default()
    }

    /// The rules.
    pub(crate) fn catalogue(&self) -> &'a Catalogue {
        self.catalogue
    }

    /// The names of a host's roles, joined by commas.
    pub fn role_names(&self, addr: Addr) -> String {
        let names: Vec<&str> = self.roles(addr).iter().map(|role| self.role_name(role)).collect();
        names.join(",")
    }

    /// The name of a role.
    pub fn role_name(&self, role: &HostRole) -> &'a str {
        self.catalogue.role_name(role.role)
    }

    /// The service that a port means.
    pub fn service_at(&self, transport: Transport, port: u16) -> Option<ServiceId> {
        self.catalogue.service_at(transport, port)
    }

    /// Every host with a role, in order.
    pub fn hosts(&self) -> impl Iterator<Item = Addr> + '_ {
        self.roles.keys().copied()
    }

    /// Whether a host was heard to have a name.
    pub(crate) fn has_heard_name(&self, addr: Addr) -> bool {
        self.heard.binary_search_by_key(&addr, |(known, _)| *known).is_ok()
    }
}

/// Full names before short ones, each once, those most to be trusted first.
fn shown(names: &[Name]) -> Vec<Shown> {
    let of_host = |kind: Kind| names.iter().filter(move |name| name.kind == kind);
    let mut all: Vec<Shown> = Vec::new();
    for name in of_host(Kind::Host).chain(of_host(Kind::NetbiosHost)) {
        let shown = Shown::name(&name.text);
        if all.len() < NAMES_MAX && !all.contains(&shown) {
            all.push(shown);
        }
    }
    all
}

/// The paths without their folders, or whole where that would give two of them one name.
fn short_names(paths: &[&str]) -> Vec<String> {
    // Elsewhere a backslash is part of a name, or spells out what is not UTF-8 in it.
    let ends_folder = |letter: char| letter == '/' || (cfg!(windows) && letter == '\\');
    let base = |path: &str| path.rsplit(ends_folder).next().unwrap_or_default().to_owned();
    let mut uses: BTreeMap<String, usize> = BTreeMap::new();
    for path in paths {
        *uses.entry(base(path)).or_default() += 1;
    }
    let short = |path: &&str| {
        let name = base(path);
        if uses.get(&name) == Some(&1) { name } else { (*path).to_owned() }
    };
    paths.iter().map(short).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_go_by_their_last_part_unless_two_share_it() {
        assert_eq!(short_names(&["in/a.pcap", "in/b.pcap", "b.pcap"]), ["a.pcap", "in/b.pcap", "b.pcap"]);
        assert_eq!(short_names(&["-"]), ["-"]);
    }

    #[test]
    fn many_come_after_every_host() {
        let low = Party::One(Addr::v4([10, 0, 0, 9]));
        let high = Party::One(Addr::v4([10, 0, 0, 10]));
        let v6 = Party::One(Addr::v6([0; 16]));
        let mut parties = [Party::Many, v6, high, low];
        parties.sort_unstable();
        assert_eq!(parties, [low, high, v6, Party::Many]);
        assert_eq!(format!("{:>3}|{low}", Party::Many), "  *|10.0.0.9");
    }
}
