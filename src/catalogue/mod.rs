//! What the documents say: `rules/` and the site file, checked and compiled into tables that judge.
//!
//! Rules go four steps: as written (`file`), collected in layers (`load`), checked with all faults at once (`check`),
//! compiled. The room must never know packets, flows or threads, nor that a network exists.
//!
//! ```
//! use portolan::catalogue::LoadOptions;
//! use portolan::catalogue::load;
//! use portolan::catalogue::role::RoleId;
//!
//! let catalogue = load(&LoadOptions::default())?;
//! assert_eq!(catalogue.role_by_id("any"), Some(RoleId::ANY));
//! # Ok::<(), portolan::catalogue::fault::RuleFaults>(())
//! ```

pub mod check;
mod check_site;
pub mod fault;
mod file;
pub mod interface;
mod load;
pub mod policy;
mod reader;
pub mod role;
pub mod service;
pub mod site;

use std::collections::HashMap;
use std::collections::HashSet;
use std::net::IpAddr;
use std::path::Path;
use std::path::PathBuf;

use crate::catalogue::check::Checked;
use crate::catalogue::check::Profile;
use crate::catalogue::check::check;
use crate::catalogue::check_site::Site;
use crate::catalogue::fault::Faults;
use crate::catalogue::fault::RuleFaults;
use crate::catalogue::interface::Interface;
use crate::catalogue::load::Written;
use crate::catalogue::load::collect;
use crate::catalogue::policy::Judgement;
use crate::catalogue::policy::Policy;
use crate::catalogue::policy::Row;
use crate::catalogue::policy::RowId;
use crate::catalogue::role::Role;
use crate::catalogue::role::RoleId;
use crate::catalogue::role::RoleInference;
use crate::catalogue::role::RoleSet;
use crate::catalogue::service::PortIndex;
use crate::catalogue::service::Ports;
use crate::catalogue::service::Service;
use crate::catalogue::service::ServiceId;
use crate::catalogue::site::Exception;
use crate::catalogue::site::SiteSettings;
use crate::model::time::Timestamp;
use crate::model::transport::Transport;

/// What to load beside the embedded rules.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadOptions<'a> {
    /// Folders of rule files, each laid over what comes before: same ids replace.
    pub overlays: &'a [PathBuf],
    /// The site file.
    pub site: Option<&'a Path>,
    /// Judge by these profiles only, `site` being that of the site file's rows. Empty: by those that the site file
    /// chooses and its own, or by all.
    pub profiles: &'a [String],
}

/// Everything the documents and the administrator say. Never changes once made.
#[derive(Debug)]
pub struct Catalogue {
    roles: Vec<Role>,
    role_ids: HashMap<String, RoleId>,
    inference: Vec<RoleInference>,
    services: Vec<Service>,
    service_ids: HashMap<String, ServiceId>,
    ports: PortIndex,
    claims: Vec<Claim>,
    interfaces: Vec<Interface>,
    profiles: Vec<Profile>,
    rows: Vec<Row>,
    policy: Policy,
    site: Site,
    warnings: RuleFaults,
}

/// What a service says of a range of ports; the least claim names the port.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Claim {
    width: u16,
    by_row: bool,
    secondary: bool,
    /// The place of the service among all by name, so that the order of files does not matter.
    rank: usize,
    service: ServiceId,
}

/// Loads the embedded rules and what the options name.
///
/// # Errors
/// Everything that is wrong with them, at once.
pub fn load(options: &LoadOptions<'_>) -> Result<Catalogue, RuleFaults> {
    let mut faults = Faults::default();
    let written = collect(options, &mut faults);
    compile(&written, options.profiles, faults)
}

fn compile(written: &Written, profiles: &[String], mut faults: Faults) -> Result<Catalogue, RuleFaults> {
    let checked = check(written, profiles, &mut faults);
    let failed = faults.has_errors();
    let faults = faults.into_rule_faults(&written.sources);
    if failed { Err(faults) } else { Ok(Catalogue::new(checked, faults)) }
}

impl Catalogue {
    fn new(checked: Checked, warnings: RuleFaults) -> Self {
        let Checked { roles, inference, services, interfaces, profiles, rows, site } = checked;
        let (claims, claimed) = claims(&services, &rows);
        Self {
            role_ids: (0..).zip(&roles).map(|(id, role)| (role.id.clone(), RoleId(id))).collect(),
            service_ids: (0..).zip(&services).map(|(id, service)| (service.id.clone(), ServiceId(id))).collect(),
            ports: PortIndex::new((0..).zip(claimed).map(|(number, ports)| (ports, number))),
            policy: Policy::new(&rows),
            roles,
            inference,
            services,
            claims,
            interfaces,
            profiles,
            rows,
            site,
            warnings,
        }
    }

    /// Faults that do not hinder.
    pub fn warnings(&self) -> &RuleFaults {
        &self.warnings
    }

    /// Every row, those of profiles that are not active among them.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The row of that number, which must come from this catalogue.
    pub fn row(&self, id: RowId) -> &Row {
        &self.rows[id.0 as usize]
    }

    /// Every service.
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// The service of that number, which must come from this catalogue.
    pub fn service(&self, id: ServiceId) -> &Service {
        &self.services[usize::from(id.0)]
    }

    /// The service of that name.
    pub fn service_by_id(&self, id: &str) -> Option<ServiceId> {
        self.service_ids.get(id).copied()
    }

    /// The best name for a port: that of the narrowest range over it, then of a service that claims it before one that
    /// only has it from a row, then of a primary service, then of the first by name. It may be a dynamic service, and
    /// then says little. A service whose rows are all companions of others or only listed names no port. `port` does
    /// not matter where the transport has none.
    pub fn service_at(&self, transport: Transport, port: u16) -> Option<ServiceId> {
        let mut best: Option<Claim> = None;
        self.ports.at(transport, port, |number| {
            let claim = usize::try_from(number).ok().and_then(|at| self.claims.get(at)).copied();
            best = best.into_iter().chain(claim).min();
        });
        best.map(|claim| claim.service)
    }

    /// Every role, the built-in `any` first.
    pub fn roles(&self) -> &[Role] {
        &self.roles
    }

    /// The name of the role of that number, which must come from this catalogue.
    pub fn role_name(&self, id: RoleId) -> &str {
        &self.roles[usize::from(id.0)].id
    }

    /// The role of that name.
    pub fn role_by_id(&self, id: &str) -> Option<RoleId> {
        self.role_ids.get(id).copied()
    }

    /// The roles with all that they imply.
    #[must_use]
    pub fn closure(&self, roles: RoleSet) -> RoleSet {
        let known = roles.iter().filter_map(|role| self.roles.get(usize::from(role.0)));
        known.fold(roles, |all, role| all.union(role.closure))
    }

    /// The roles that the site file gives the host: those of its address and of every prefix around it, for what is
    /// said of a network holds for each of its hosts. Not closed.
    pub fn site_roles(&self, ip: IpAddr) -> RoleSet {
        self.site.hosts.around(ip).fold(RoleSet::EMPTY, |all, &roles| all.union(roles))
    }

    /// The name that the site file gives the host.
    pub fn site_name(&self, ip: IpAddr) -> Option<&str> {
        self.site.names.get(&ip).map(String::as_str)
    }

    /// How roles are recognised in traffic, in the order of the roles.
    pub fn inference(&self) -> &[RoleInference] {
        &self.inference
    }

    /// Every RPC interface, in the order of UUID and version.
    pub fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    /// The RPC interface of that UUID (most significant byte first), the lowest of its versions.
    pub fn interface(&self, uuid: [u8; 16]) -> Option<&Interface> {
        let at = self.interfaces.partition_point(|interface| interface.uuid < uuid);
        self.interfaces.get(at).filter(|interface| interface.uuid == uuid)
    }

    /// Which rows of active profiles speak of a flow from a host of these roles to one of those.
    ///
    /// The sets may be closed or not, and empty for a host of which nothing is known: rows for `any` fit it still.
    /// `port` does not matter where the transport has none.
    pub fn judge(&self, from: RoleSet, to: RoleSet, transport: Transport, port: u16) -> Judgement {
        let any = RoleSet::of(RoleId::ANY);
        self.policy.judge(self.closure(from).union(any), self.closure(to).union(any), transport, port)
    }

    /// The first exception of the site file for such a flow, at that packet time.
    #[expect(clippy::too_many_arguments, reason = "a flow and its two hosts, each by address and by roles")]
    pub fn exception(
        &self,
        from_ip: IpAddr,
        to_ip: IpAddr,
        from: RoleSet,
        to: RoleSet,
        transport: Transport,
        port: u16,
        at: Timestamp,
    ) -> Option<&Exception> {
        let (from, to) = (self.closure(from), self.closure(to));
        self.site.exceptions.iter().find(|exception| {
            exception.ends.is_none_or(|ends| at < ends)
                && (exception.ports.is_empty() || exception.ports.iter().any(|ports| ports.cover(transport, port)))
                && exception.from.iter().any(|end| end.means(from_ip, from))
                && exception.to.iter().any(|end| end.means(to_ip, to))
        })
    }

    /// Whether the site file says that this host may scan.
    pub fn is_scanner(&self, ip: IpAddr) -> bool {
        self.site.scanners.around(ip).next().is_some()
    }

    /// What the site file chooses.
    pub fn settings(&self) -> SiteSettings {
        self.site.settings
    }

    /// The profiles whose rows judge.
    pub fn profiles(&self) -> impl Iterator<Item = &Profile> {
        self.profiles.iter().filter(|profile| profile.active)
    }
}

/// What services and rows say of ports, and which ports. A range of a dynamic service's row is no more than the
/// service itself says.
fn claims(services: &[Service], rows: &[Row]) -> (Vec<Claim>, Vec<Ports>) {
    let stands_alone = |row: &&Row| !row.listed_only && row.related.is_empty();
    let rowed: HashSet<ServiceId> = rows.iter().filter_map(|row| row.service).collect();
    let alone: HashSet<ServiceId> = rows.iter().filter(stands_alone).filter_map(|row| row.service).collect();
    let mut names: Vec<&str> = services.iter().map(|service| service.id.as_str()).collect();
    names.sort_unstable();
    let of_services = (0..)
        .zip(services)
        .flat_map(|(id, service)| service.ports.iter().map(move |&ports| (ServiceId(id), ports, false)));
    let of_rows = rows.iter().filter(stands_alone).filter(|row| !row.between).flat_map(|row| {
        let named = row.ports.iter().filter(|&&ports| !row.is_range(ports));
        named.filter_map(|&ports| Some((row.service?, ports, true)))
    });
    let claim = |(id, ports, by_row): (ServiceId, Ports, bool)| {
        let service = services.get(usize::from(id.0)).filter(|_| alone.contains(&id) || !rowed.contains(&id))?;
        let rank = names.binary_search(&service.id.as_str()).unwrap_or_else(|at| at);
        Some((Claim { width: ports.width(), by_row, secondary: !service.primary, rank, service: id }, ports))
    };
    of_services.chain(of_rows).filter_map(claim).unzip()
}
