//! What a filter would have to let through: permits from the rows of documents and a site file, or from a report.
//!
//! Hands on as few permits as say exactly that. It must never know the language of a filter.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::catalogue::Catalogue;
use crate::catalogue::policy::Row;
use crate::catalogue::role::RoleId;
use crate::catalogue::service::Ports;
use crate::model::transport::Transport;
use crate::model::uuid::Uuid;
use crate::report::names::Party;
use crate::report::sanitise::Shown;
use crate::report::saved::SavedReport;

/// A transport, `None` for every one, and a port or range of it, `None` where there is none.
type Over = (Option<Transport>, Option<[u16; 2]>);

/// One end of a permit.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum End {
    /// Every host.
    Any,
    /// These, in order.
    These(BTreeSet<IpNet>),
}

impl End {
    fn host(ip: IpAddr) -> Self {
        Self::These([IpNet::from(ip)].into())
    }

    fn join(&mut self, other: Self) {
        match (&mut *self, other) {
            (Self::These(own), Self::These(more)) => own.extend(more),
            _ => *self = Self::Any,
        }
    }

    /// The addresses and prefixes of one IP version, none inside another; `None` for every host.
    pub fn of_version(&self, v4: bool) -> Option<Vec<IpNet>> {
        match self {
            Self::Any => None,
            Self::These(nets) => {
                let own: Vec<IpNet> = nets.iter().copied().filter(|net| net.addr().is_ipv4() == v4).collect();
                let plain = own.iter().all(|net| net.prefix_len() == net.max_prefix_len());
                Some(if plain { own } else { IpNet::aggregate(&own) })
            }
        }
    }
}

/// What kind of ports a permit has, for filters that know RPC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PortKind {
    /// Fixed ones.
    Fixed,
    /// Those of the RPC endpoint mapper.
    Mapper,
    /// Ports that the endpoint mapper hands out.
    Dynamic,
}

/// Something to be let through.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Permit {
    /// Who may begin it.
    pub from: End,
    /// Who answers.
    pub to: End,
    /// Over what; `None` for everything.
    pub transport: Option<Transport>,
    /// To which ports, ascending and apart; empty where there are none.
    pub ports: Vec<[u16; 2]>,
    /// Of which kind they are: of several, where kinds were put together, the last.
    pub kind: PortKind,
    /// The rows that ask for it, by the ports for which they do.
    pub cites: Vec<(Option<[u16; 2]>, BTreeSet<Shown>)>,
}

/// An RPC interface to be let through.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InterfacePermit {
    /// The interface.
    pub uuid: Uuid,
    /// Its name, where the rules know one.
    pub name: Option<Shown>,
    /// Who may call it.
    pub from: End,
    /// Of whom.
    pub to: End,
    /// Rows that ask for it.
    pub cites: BTreeSet<Shown>,
}

/// All that is to be let through, before it is put together.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Permits {
    atoms: BTreeMap<Atom, (End, BTreeSet<Shown>)>,
    /// RPC interfaces, in order.
    pub interfaces: Vec<InterfacePermit>,
    /// Where it comes from, a line each.
    pub origin: Vec<String>,
    /// What is not in it, and why.
    pub left_out: Vec<String>,
}

/// One port or range to certain servers: who may use it stands beside it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Atom {
    to: End,
    transport: Option<Transport>,
    ports: Option<[u16; 2]>,
    kind: PortKind,
}

impl Permits {
    fn add(&mut self, from: End, atom: Atom, cite: &Shown) {
        let (all, cites) = self.atoms.entry(atom).or_insert_with(|| (from.clone(), BTreeSet::new()));
        all.join(from);
        cites.insert(cite.clone());
    }

    /// What the rows of the active profiles ask for between the hosts of the site file.
    pub fn of_rows(catalogue: &Catalogue) -> Self {
        let mut permits = Self::default();
        let mut missing: BTreeMap<String, u64> = BTreeMap::new();
        for row in catalogue.rows().iter().filter(|row| row.judges()) {
            let ends = [&row.from, &row.to].map(|roles| end_of(catalogue, roles));
            let [Some(from), Some(to)] = ends else {
                let none = [&row.from, &row.to].into_iter().filter(|roles| end_of(catalogue, roles).is_none());
                for roles in none {
                    let names: Vec<&str> = roles.iter().map(|role| catalogue.role_name(*role)).collect();
                    *missing.entry(names.join(" or ")).or_default() += 1;
                }
                continue;
            };
            permits.add_row(catalogue, row, from, to);
        }
        let words = |(roles, rows): (String, u64)| format!("{rows} rows: the site file names no {roles}");
        permits.left_out = missing.into_iter().map(words).collect();
        let profiles: Vec<&str> = catalogue.profiles().map(|profile| profile.id.as_str()).collect();
        permits.origin = vec![format!("From the rows of {}", profiles.join(", "))];
        permits
    }

    fn add_row(&mut self, catalogue: &Catalogue, row: &Row, from: End, to: End) {
        let cite = Shown::name(&row.id);
        let mut ways = vec![(from.clone(), to.clone())];
        if row.bidirectional || row.between {
            ways.push((to, from));
        }
        for (from, to) in ways {
            let ports: Vec<Option<Ports>> =
                if row.between { vec![None] } else { row.ports.iter().copied().map(Some).collect() };
            for ports in ports {
                let atom = Atom {
                    to: to.clone(),
                    transport: ports.map(|ports| ports.transport),
                    ports: ports.filter(|ports| ports.transport.has_ports()).map(|ports| [ports.low, ports.high]),
                    kind: kind_of(catalogue, row),
                };
                self.add(from.clone(), atom, &cite);
            }
            for uuid in &row.interfaces {
                let name = catalogue.interface(*uuid).map(|interface| Shown::name(&interface.name));
                self.add_interface(*uuid, name, from.clone(), to.clone(), [cite.clone()].into());
            }
        }
    }

    fn add_interface(&mut self, uuid: Uuid, name: Option<Shown>, from: End, to: End, cites: BTreeSet<Shown>) {
        let known = self.interfaces.iter_mut().find(|known| known.uuid == uuid && known.to == to);
        if let Some(known) = known {
            known.from.join(from);
            known.cites.extend(cites);
        } else {
            self.interfaces.push(InterfacePermit { uuid, name, from, to, cites });
        }
    }

    /// What hosts were seen to use or to try in a report, and rows expect. A port that nobody used is not in it.
    pub fn of_report(report: &SavedReport, catalogue: &Catalogue) -> Self {
        let mut permits = Self::default();
        for row in &report.readiness {
            let (Party::One(client), Party::One(server)) = (row.client, row.server) else { continue };
            let known = catalogue.rows().iter().find(|known| known.id == row.row.as_str());
            let kind = known.map_or(PortKind::Fixed, |known| kind_of(catalogue, known));
            for part in &row.transports {
                let ports = part.ports.iter().map(|port| Some([*port, *port]));
                let none = (!part.transport.has_ports()).then_some(None);
                for ports in ports.chain(none) {
                    let to = End::host(server.ip());
                    let atom = Atom { to, transport: Some(part.transport), ports, kind };
                    permits.add(End::host(client.ip()), atom, &row.row);
                }
                if part.ports_cut > 0 {
                    permits.left_out.push(format!(
                        "{} flows of {} from {client} to {server}: too many ports to list",
                        part.ports_cut, row.row
                    ));
                }
            }
        }
        permits.settle_kinds();
        for range in &report.ranges {
            let Party::One(server) = range.server else { continue };
            for interface in &range.interfaces {
                let Some(uuid) = interface.uuid.as_ref().and_then(|uuid| Uuid::parse(uuid.as_str())) else { continue };
                let name = catalogue.interface(uuid).map(|known| Shown::name(&known.name));
                for caller in &interface.callers {
                    let Party::One(caller) = caller else { continue };
                    let (from, to) = (End::host(caller.ip()), End::host(server.ip()));
                    permits.add_interface(uuid, name.clone(), from, to, BTreeSet::new());
                }
            }
        }
        if report.readiness_cut > 0 {
            permits.left_out.push(format!("{} pairs that the report did not list", report.readiness_cut));
        }
        let inputs: Vec<&str> = report.run.inputs.iter().map(|input| input.path.as_str()).collect();
        permits.origin = vec![
            format!("From what {} shows", inputs.join(", ")),
            "What nobody used or tried while that was captured is not in it".to_owned(),
        ];
        permits
    }

    /// A port may be one of the mapper's or of a range by one row, and a fixed one by another: then it is fixed, unless
    /// it is the mapper's.
    fn settle_kinds(&mut self) {
        let mut settled: BTreeMap<(End, Over), PortKind> = BTreeMap::new();
        let rank = |kind: PortKind| match kind {
            PortKind::Mapper => 0,
            PortKind::Fixed => 1,
            PortKind::Dynamic => 2,
        };
        for atom in self.atoms.keys() {
            let place = (atom.to.clone(), (atom.transport, atom.ports));
            let kind = settled.entry(place).or_insert(atom.kind);
            if rank(atom.kind) < rank(*kind) {
                *kind = atom.kind;
            }
        }
        for (atom, (from, cites)) in std::mem::take(&mut self.atoms) {
            let place = (atom.to.clone(), (atom.transport, atom.ports));
            let kind = settled.get(&place).copied().unwrap_or(atom.kind);
            for cite in &cites {
                self.add(from.clone(), Atom { kind, ..atom.clone() }, cite);
            }
        }
    }

    /// Whether nothing is to be let through.
    pub fn is_empty(&self) -> bool {
        self.atoms.is_empty()
    }

    /// The permits, as few as say exactly the same. `kinds_apart`: ports of different kinds are not put together.
    pub fn grouped(&self, kinds_apart: bool) -> Vec<Permit> {
        // Who may use a port of a server stands beside it already. Servers with the same port for the same hosts …
        type Cited = (End, BTreeSet<Shown>);
        let mut by_use: BTreeMap<(End, Over, PortKind), Cited> = BTreeMap::new();
        for (atom, (from, cites)) in &self.atoms {
            let key = (from.clone(), (atom.transport, atom.ports), atom.kind);
            let (to, all) = by_use.entry(key).or_insert_with(|| (atom.to.clone(), BTreeSet::new()));
            to.join(atom.to.clone());
            all.extend(cites.iter().cloned());
        }
        // … and ports with the same hosts on both sides.
        let mut by_ends: BTreeMap<(End, End, Option<Transport>, Option<PortKind>), Permit> = BTreeMap::new();
        for ((from, (transport, ports), kind), (to, cites)) in by_use {
            let key = (to.clone(), from.clone(), transport, kinds_apart.then_some(kind));
            let permit = by_ends.entry(key).or_insert_with(|| Permit {
                from,
                to,
                transport,
                ports: Vec::new(),
                kind,
                cites: Vec::new(),
            });
            permit.kind = kind;
            permit.ports.extend(ports);
            permit.cites.push((ports, cites));
        }
        let mut permits: Vec<Permit> = by_ends.into_values().collect();
        for permit in &mut permits {
            permit.ports = apart(std::mem::take(&mut permit.ports));
            permit.cites = with_equal_cites_joined(std::mem::take(&mut permit.cites));
        }
        permits
    }
}

/// Which kind of ports a row has.
fn kind_of(catalogue: &Catalogue, row: &Row) -> PortKind {
    let mapper = row.service.is_some_and(|service| catalogue.service(service).mapper);
    match (mapper, row.dynamic) {
        (true, _) => PortKind::Mapper,
        (false, true) => PortKind::Dynamic,
        (false, false) => PortKind::Fixed,
    }
}

/// The hosts of the site file with one of these roles; `None` if it names none.
fn end_of(catalogue: &Catalogue, roles: &[RoleId]) -> Option<End> {
    if roles.contains(&RoleId::ANY) {
        return Some(End::Any);
    }
    let nets: BTreeSet<IpNet> = roles.iter().flat_map(|role| catalogue.site_hosts(*role)).collect();
    (!nets.is_empty()).then_some(End::These(nets))
}

/// The ranges in order, those that touch joined.
fn apart(mut ranges: Vec<[u16; 2]>) -> Vec<[u16; 2]> {
    ranges.sort_unstable();
    let mut all: Vec<[u16; 2]> = Vec::new();
    for [low, high] in ranges {
        match all.last_mut() {
            Some([_, last]) if u32::from(low) <= u32::from(*last) + 1 => *last = high.max(*last),
            _ => all.push([low, high]),
        }
    }
    all
}

/// Neighbouring ports that the same rows ask for are told once.
fn with_equal_cites_joined(
    mut cites: Vec<(Option<[u16; 2]>, BTreeSet<Shown>)>,
) -> Vec<(Option<[u16; 2]>, BTreeSet<Shown>)> {
    cites.sort();
    let mut all: Vec<(Option<[u16; 2]>, BTreeSet<Shown>)> = Vec::new();
    for (ports, rows) in cites {
        match (all.last_mut(), ports) {
            (Some((Some([_, last]), known)), Some([low, high]))
                if *known == rows && u32::from(low) <= u32::from(*last) + 1 =>
            {
                *last = high.max(*last);
            }
            _ => all.push((ports, rows)),
        }
    }
    all
}
