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

use ipnet::IpNet;

use crate::catalogue::check::Checked;
use crate::catalogue::check::Profile;
use crate::catalogue::check::check;
use crate::catalogue::check_site::Site;
use crate::catalogue::fault::Faults;
use crate::catalogue::fault::RuleFaults;
use crate::catalogue::interface::Interface;
use crate::catalogue::load::Loaded;
use crate::catalogue::load::Written;
use crate::catalogue::load::collect;
use crate::catalogue::load::merge;
use crate::catalogue::policy::InterfaceJudgement;
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
use crate::model::uuid::Uuid;

/// What to load beside the embedded rules.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadOptions<'a> {
    /// Folders of rule files, or single files, each laid over what comes before: same ids replace.
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

/// Makes a catalogue of texts alone, without the embedded rules: each layer is one rule file over those before it. Only
/// where the bytes come from differs from [`load`].
///
/// # Errors
/// Everything that is wrong with them, at once.
pub fn load_texts(layers: &[&[u8]], site: Option<&[u8]>, profiles: &[String]) -> Result<Catalogue, RuleFaults> {
    let mut faults = Faults::default();
    let layers = (1..).zip(layers).map(|(n, text)| vec![Loaded::new(format!("layer{n}.toml"), text.to_vec())]);
    let site = site.map(|text| Loaded::new("site.toml".to_owned(), text.to_vec()));
    let written = merge(layers.collect(), site, &mut faults);
    compile(&written, profiles, faults)
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

    /// Whether the site file speaks of this very address, and not only of a prefix around it.
    pub fn site_knows(&self, ip: IpAddr) -> bool {
        self.site.hosts.has(ip) || self.site.names.contains_key(&ip)
    }

    /// The addresses and prefixes that the site file gives a role, implied ones included, in order.
    pub fn site_hosts(&self, role: RoleId) -> Vec<IpNet> {
        let holds = |(_, roles): &(IpNet, &RoleSet)| self.closure(**roles).contains(role);
        let mut nets: Vec<IpNet> = self.site.hosts.iter().filter(holds).map(|(net, _)| net).collect();
        nets.sort_unstable();
        nets
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
    pub fn interface(&self, uuid: Uuid) -> Option<&Interface> {
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

    /// Which rows of active profiles speak of an RPC interface that a host of one set of roles uses on one of another.
    pub fn judge_interface(&self, from: RoleSet, to: RoleSet, interface: Uuid) -> InterfaceJudgement {
        let any = RoleSet::of(RoleId::ANY);
        self.policy.judge_interface(self.closure(from).union(any), self.closure(to).union(any), interface)
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

    /// Every exception of the site file.
    pub fn exceptions(&self) -> &[Exception] {
        &self.site.exceptions
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
    let stands_alone = |row: &&Row| !row.listed_only && row.related.is_empty() && row.interfaces.is_empty();
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
        if by_row && service.ports.contains(&ports) {
            return None;
        }
        let rank = names.binary_search(&service.id.as_str()).unwrap_or_else(|at| at);
        Some((Claim { width: ports.width(), by_row, secondary: !service.primary, rank, service: id }, ports))
    };
    let mut all: Vec<(Claim, Ports)> = of_services.chain(of_rows).filter_map(claim).collect();
    all.sort_unstable();
    all.dedup();
    all.into_iter().unzip()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop here")]

    use super::*;
    use crate::catalogue::role::RoleBasis;

    const RULES: &str = r#"
[profile]
id = "p"
title = "P"
document = "The document"
[[role]]
id = "dc"
title = "Domain controller"
implies = ["dns"]
[[role.answers]]
all = ["kerberos"]
any = ["smb", "dns-tcp"]
[[role]]
id = "dns"
title = "Name server"
[[role]]
id = "client"
title = "Client"
[role.asks]
of = "dc"
any = ["kerberos"]
[[service]]
id = "kerberos"
title = "Kerberos"
ports = ["tcp/88", "udp/88"]
udp = "request-reply"
timeout_s = 5
tcp_twin = true
[[service]]
id = "rpc"
title = "RPC"
ports = ["tcp/1024-65535"]
proof = "epm"
[[service]]
id = "rpc-new"
title = "RPC of today"
ports = ["tcp/49152-65535"]
proof = "epm"
[[service]]
id = "rdp"
title = "Remote desktop"
ports = ["tcp/3389"]
[[service]]
id = "smb"
title = "SMB"
ports = ["tcp/445"]
[[service]]
id = "dns-tcp"
title = "DNS"
ports = ["tcp/53"]
[[service]]
id = "ftp"
title = "FTP"
ports = ["tcp/21"]
[[service]]
id = "ftp-data"
title = "FTP data"
ports = ["tcp/1025-5000"]
[[service]]
id = "ping"
title = "Ping"
ports = ["icmp"]
[[interface]]
uuid = "e3514235-4b06-11d1-ab04-00c04fc2dcd2"
version = "4.0"
name = "drsuapi"
title = "Directory replication"
source = "MS-DRSR 1.9"
[[row]]
id = "kerberos"
from = "client"
to = "dc"
service = "kerberos"
purpose = "logon"
document = "row 1"
seed = ["1"]
[[row]]
id = "rpc"
from = "client"
to = "dc"
service = "rpc"
purpose = "calls"
document = "row 2"
[[row]]
id = "rpc-new"
from = "dc"
to = "dc"
service = "rpc-new"
bidirectional = true
purpose = "calls"
document = "row 3"
[[row]]
id = "rdp"
from = "any"
to = "client"
service = "rdp"
purpose = "help"
document = "row 4"
[[row]]
id = "dns"
from = "any"
to = "dns"
service = "dns-tcp"
purpose = "names"
document = "row 5"
[[row]]
id = "ftp"
from = "client"
to = "dc"
service = "ftp"
purpose = "files"
document = "row 6"
[[row]]
id = "ftp-data"
from = "client"
to = "dc"
service = "ftp-data"
related = ["ftp"]
purpose = "files"
document = "row 6"
[[row]]
id = "ping"
from = "any"
to = "dc"
service = "ping"
purpose = "alive"
document = "row 7"
[[row]]
id = "dc-dc"
from = "dc"
to = ["dc", "dns"]
between = true
purpose = "no restriction"
document = "row 8"
[[row]]
id = "example"
from = "client"
to = "dc"
service = "smb"
listed_only = true
purpose = "an example"
document = "row 9"
"#;

    const SITE: &str = r#"
[hosts]
dc = ["10.0.0.10"]
client = ["10.0.5.0/24"]
dns = ["10.0.5.53"]
[names]
"10.0.0.10" = "dc1"
[judge]
infer = false
scanners = ["10.0.9.0/30"]
[[row]]
id = "backup"
from = "client"
to = "dc"
ports = ["tcp/10000"]
purpose = "backup agent"
document = "change 1"
[[exception]]
from = "10.0.5.7"
to = "dc"
ports = ["tcp/23"]
reason = "old device"
until = 1970-01-02
"#;

    fn texts(layers: &[&str], site: Option<&str>, profiles: &[&str]) -> Result<Catalogue, RuleFaults> {
        let layers: Vec<_> = layers.iter().map(|text| text.as_bytes()).collect();
        let profiles: Vec<_> = profiles.iter().map(|&id| id.to_owned()).collect();
        load_texts(&layers, site.map(str::as_bytes), &profiles)
    }

    /// Row names of one list of a judgement.
    fn ids<'c>(catalogue: &'c Catalogue, rows: &[RowId]) -> Vec<&'c str> {
        rows.iter().map(|&row| catalogue.row(row).id.as_str()).collect()
    }

    fn judged(catalogue: &Catalogue, from: &str, to: &str, transport: Transport, port: u16) -> Judgement {
        let set = |role: &str| catalogue.role_by_id(role).map(RoleSet::of).unwrap_or_default();
        catalogue.judge(set(from), set(to), transport, port)
    }

    #[test]
    fn threads_may_share_it() {
        fn shared<T: Send + Sync>(value: T) -> T {
            value
        }
        assert!(shared(texts(&[], None, &[]).unwrap()).rows().is_empty());
    }

    #[test]
    fn rows_are_judged_by_roles_and_port() {
        let c = texts(&[RULES], None, &[]).unwrap();
        assert!(c.warnings().is_empty(), "{}", c.warnings());
        let judge = |from, to, port| judged(&c, from, to, Transport::Tcp, port);
        assert_eq!(ids(&c, &judge("client", "dc", 88).exact), ["p/kerberos"]);
        assert_eq!(ids(&c, &judge("dc", "client", 88).reverse), ["p/kerberos"]);
        assert_eq!(ids(&c, &judge("client", "client", 88).other_roles), ["p/kerberos"]);
        assert_eq!(ids(&c, &judge("", "", 88).other_roles), ["p/kerberos"], "an unknown host is no client");
        assert_eq!(ids(&c, &judge("", "dc", 53).exact), ["p/dns"], "a domain controller is a name server");
        assert_eq!(ids(&c, &judge("", "client", 53).other_roles), ["p/dns"]);
        assert_eq!(judge("client", "dc", 445), Judgement::default(), "a row that is only listed says nothing");
        assert_eq!(judge("client", "dc", 80), Judgement::default());
    }

    #[test]
    fn a_range_is_weaker_than_a_port() {
        let c = texts(&[RULES], None, &[]).unwrap();
        let high = judged(&c, "client", "dc", Transport::Tcp, 50000);
        assert_eq!((ids(&c, &high.range), high.exact, high.known_port), (vec!["p/rpc"], vec![], false));
        let rdp = judged(&c, "client", "dc", Transport::Tcp, 3389);
        assert_eq!((ids(&c, &rdp.range), ids(&c, &rdp.reverse)), (vec!["p/rpc"], vec!["p/rdp"]));
        assert!(rdp.known_port, "the caller hears that the port is another's, and need not be content with the range");
        let data = judged(&c, "client", "dc", Transport::Tcp, 1026);
        assert_eq!((ids(&c, &data.related), data.known_port), (vec!["p/ftp-data"], false));
        let back = judged(&c, "dc", "client", Transport::Tcp, 50000);
        assert!(back.range.is_empty() && back.reverse.is_empty(), "a range the other way round says nothing");
    }

    #[test]
    fn between_allows_everything_both_ways() {
        let c = texts(&[RULES], None, &[]).unwrap();
        assert_eq!(ids(&c, &judged(&c, "dc", "dns", Transport::Udp, 9).between), ["p/dc-dc"]);
        assert_eq!(ids(&c, &judged(&c, "dns", "dc", Transport::Udp, 9).between), ["p/dc-dc"]);
        assert!(judged(&c, "dns", "client", Transport::Udp, 9).between.is_empty());
    }

    #[test]
    fn a_transport_without_ports_is_judged_without() {
        let c = texts(&[RULES], None, &[]).unwrap();
        for port in [0, 8, 65535] {
            assert_eq!(ids(&c, &judged(&c, "", "dc", Transport::Icmp, port).exact), ["p/ping"]);
            assert_eq!(c.service_at(Transport::Icmp, port), c.service_by_id("ping"));
        }
    }

    #[test]
    fn a_port_is_named_by_its_narrowest_service() {
        let c = texts(&[RULES], None, &[]).unwrap();
        let name = |port| c.service_at(Transport::Tcp, port).map(|id| c.service(id).id.as_str());
        assert_eq!(name(3389), Some("rdp"));
        assert_eq!(name(50000), Some("rpc-new"));
        assert_eq!(name(1026), Some("rpc"), "a companion names no port");
        assert_eq!(name(80), None);
        assert!(c.service(c.service_at(Transport::Tcp, 50000).unwrap()).dynamic);
        assert_eq!(c.service_at(Transport::Udp, 3389), None);
    }

    #[test]
    fn the_site_file_names_hosts_and_adds_rows() {
        let c = texts(&[RULES], Some(SITE), &[]).unwrap();
        let roles = |ip: &str| {
            let set = c.site_roles(ip.parse().unwrap());
            set.iter().map(|role| c.role_name(role)).collect::<Vec<_>>()
        };
        assert_eq!(roles("10.0.0.10"), ["dc"]);
        assert_eq!(roles("10.0.5.53"), ["dns", "client"], "a host has its own roles and those of its network");
        assert_eq!(c.site_name("10.0.0.10".parse().unwrap()), Some("dc1"));
        assert!(c.is_scanner("10.0.9.3".parse().unwrap()) && !c.is_scanner("10.0.9.4".parse().unwrap()));
        assert_eq!(c.settings(), SiteSettings { infer: Some(false), strict: None });
        assert_eq!(ids(&c, &judged(&c, "client", "dc", Transport::Tcp, 10000).exact), ["site/backup"]);
        let service = c.service(c.service_at(Transport::Tcp, 10000).unwrap());
        assert_eq!((service.id.as_str(), service.title.as_str()), ("backup", "backup agent"));
    }

    #[test]
    fn an_exception_holds_for_its_hosts_port_and_time() {
        let c = texts(&[RULES], Some(SITE), &[]).unwrap();
        let dc = RoleSet::of(c.role_by_id("dc").unwrap());
        let at = |from: &str, to: RoleSet, port, at| {
            let (from, target) = (from.parse().unwrap(), "192.0.2.1".parse().unwrap());
            c.exception(from, target, RoleSet::EMPTY, to, Transport::Tcp, port, Timestamp(at)).is_some()
        };
        let end = 2 * 86_400_000_000_000;
        assert!(at("10.0.5.7", dc, 23, end - 1));
        assert!(!at("10.0.5.7", dc, 23, end));
        assert!(!at("10.0.5.7", dc, 22, 0));
        assert!(!at("10.0.5.8", dc, 23, 0));
        assert!(!at("10.0.5.7", RoleSet::EMPTY, 23, 0));
    }

    #[test]
    fn only_active_profiles_judge() {
        let active = |c: Catalogue| c.profiles().map(|profile| profile.id.clone()).collect::<Vec<_>>();
        let chosen = "[judge]\nprofiles = []\n";
        assert_eq!(active(texts(&[RULES], Some(SITE), &[]).unwrap()), ["p", "site"]);
        assert_eq!(active(texts(&[RULES], Some(SITE), &["p"]).unwrap()), ["p"]);
        assert_eq!(active(texts(&[RULES], Some(chosen), &[]).unwrap()), ["site"]);
        assert_eq!(active(texts(&[RULES], Some(chosen), &["p"]).unwrap()), ["p"], "the option goes before the file");
        let c = texts(&[RULES], Some(SITE), &["site"]).unwrap();
        assert_eq!(judged(&c, "client", "dc", Transport::Tcp, 88), Judgement::default());
        let faults = texts(&[RULES], None, &["pp"]).unwrap_err().to_string();
        assert!(faults.contains("unknown profile `pp`") && faults.contains("did you mean `p`?"), "{faults}");
    }

    #[test]
    fn a_later_layer_replaces_by_id() {
        let over = r#"
[profile]
id = "p"
title = "P, ours"
document = "Ours"
[[service]]
id = "rdp"
title = "RDP"
ports = ["tcp/3390"]
[[row]]
id = "kerberos"
from = "any"
to = "any"
service = "kerberos"
purpose = "ours"
document = "ours"
"#;
        let c = texts(&[RULES, over], None, &[]).unwrap();
        assert_eq!(c.rows().len(), texts(&[RULES], None, &[]).unwrap().rows().len());
        assert_eq!(ids(&c, &judged(&c, "", "", Transport::Tcp, 88).exact), ["p/kerberos"]);
        assert_eq!(c.service_at(Transport::Tcp, 3390), c.service_by_id("rdp"));
        assert_eq!(c.profiles().next().unwrap().title, "P, ours");
    }

    #[test]
    fn inference_and_interfaces_are_resolved() {
        let c = texts(&[RULES], None, &[]).unwrap();
        let service = |id| c.service_by_id(id).unwrap();
        let (all, any) = (vec![service("kerberos")], vec![service("smb"), service("dns-tcp")]);
        let dc = c.role_by_id("dc").unwrap();
        assert_eq!(c.inference()[0], RoleInference { role: dc, basis: RoleBasis::Answers { all: all.clone(), any } });
        assert_eq!(c.inference()[1].basis, RoleBasis::Asks { of: dc, any: all });
        let uuid = c.interfaces()[0].uuid;
        assert_eq!(c.interface(uuid).unwrap().name, "drsuapi");
        assert_eq!(c.interface(Uuid([0; 16])), None);
    }

    /// Each fault: what the text holds, what it is replaced with, what is said.
    #[test]
    fn every_fault_is_found_where_it_is() {
        for (from, to, message) in [
            ("title = \"Kerberos\"", "tilte = \"Kerberos\"", "layer1.toml:24:1\n"),
            ("title = \"Kerberos\"", "tilte = \"Kerberos\"", "did you mean `title`?"),
            ("title = \"Kerberos\"", "", "`title` is missing"),
            ("title = \"Kerberos\"", "title = 3", "`title` must be a string, and is a whole number"),
            ("to = \"client\"", "to = \"clinet\"", "did you mean `client`?"),
            ("service = \"rdp\"", "service = \"rpd\"", "did you mean `rdp`?"),
            ("service = \"rdp\"", "", "`service` is missing"),
            ("related = [\"ftp\"]", "related = [\"fpt\"]", "unknown service `fpt`"),
            ("of = \"dc\"", "of = \"dd\"", "unknown role `dd`"),
            ("all = [\"kerberos\"]", "all = [\"kerberus\"]", "did you mean `kerberos`?"),
            ("all = [\"kerberos\"]\nany = [\"smb\", \"dns-tcp\"]", "", "every host would answer this"),
            ("id = \"dns\"\nfrom", "id = \"rdp\"\nfrom", "the row `p/rdp` is declared twice"),
            ("id = \"smb\"", "id = \"rdp\"", "the service `rdp` is declared twice"),
            ("id = \"smb\"", "id = \"S M B\"", "`S M B` is no good name"),
            ("\"tcp/445\"", "\"tcp/65536\"", "`65536` is no port"),
            ("\"tcp/445\"", "\"tcp/0\"", "`0` is no port"),
            ("\"tcp/445\"", "\"tpc/445\"", "`tpc` is no transport"),
            ("\"tcp/1025-5000\"", "\"tcp/5000-1025\"", "write `tcp/1025-5000`"),
            ("\"tcp/445\"", "", "`ports` is empty"),
            ("purpose = \"logon\"", "", "`purpose` is missing"),
            ("document = \"row 1\"", "document = \" \"", "`document` is empty"),
            (
                "title = \"Name server\"",
                "title = \"N\"\nimplies = \"dc\"",
                "the role `dns` implies itself by way of `dc`",
            ),
            ("id = \"client\"\ntitle", "id = \"any\"\ntitle", "the role `any` is built in"),
            ("proof = \"epm\"", "proof = \"guess\"", "unknown proof `guess`"),
            ("timeout_s = 5", "timeout_s = 0", "`timeout_s` must be from 1 to 300"),
            ("\"request-reply\"", "\"request-replay\"", "did you mean `request-reply`?"),
            ("00c04fc2dcd2", "00c04fc2", "is no UUID"),
            ("version = \"4.0\"", "version = \"4\"", "`4` is no version"),
            ("[profile]\nid = \"p\"", "[profile]\nid = \"site\"", "the profile `site` is that of the site file"),
            ("[profile]\nid = \"p\"\ntitle = \"P\"\ndocument = \"The document\"", "", "this file declares none"),
            ("[[role]]\nid = \"dns\"", "[[role]\nid = \"dns\"", "unclosed array table"),
        ] {
            assert!(RULES.contains(from), "{from}");
            let faults = texts(&[&RULES.replacen(from, to, 1)], None, &[]).unwrap_err().to_string();
            assert!(faults.contains(message), "{to}: {faults}");
        }
    }

    #[test]
    fn every_fault_of_a_site_file_is_found() {
        for (from, to, message) in [
            ("dc = [\"10.0.0.10\"]", "dd = [\"10.0.0.10\"]", "unknown role `dd`"),
            ("dc = [\"10.0.0.10\"]", "any = [\"10.0.0.10\"]", "`any` needs no hosts"),
            ("[\"10.0.0.10\"]", "[\"10.0.0.256\"]", "neither an address nor a prefix"),
            ("10.0.5.0/24", "10.0.5.0/33", "neither an address nor a prefix"),
            ("10.0.5.0/24", "10.0.5.1/24", "`10.0.5.1/24` has host bits set"),
            ("\"10.0.0.10\" = \"dc1\"", "dc1 = \"10.0.0.10\"", "`dc1` is no address"),
            ("infer = false", "infer = 0", "`infer` must be true or false"),
            ("infer = false", "profiles = [\"pq\"]", "unknown profile `pq`"),
            ("until = 1970-01-02", "until = \"1970-02-30\"", "`1970-02-30` is no date"),
            ("from = \"10.0.5.7\"", "from = \"clientt\"", "did you mean `client`?"),
            ("ports = [\"tcp/10000\"]\n", "", "neither `service` nor `ports` is given"),
            ("reason = \"old device\"", "", "`reason` is missing"),
        ] {
            assert!(SITE.contains(from), "{from}");
            let faults = texts(&[RULES], Some(&SITE.replacen(from, to, 1)), &[]).unwrap_err().to_string();
            assert!(faults.contains(message), "{to}: {faults}");
        }
    }

    #[test]
    fn all_faults_come_at_once_and_in_order() {
        let rules = RULES.replace("tcp/445", "tcp/0").replace("to = \"client\"", "too = \"clinet\"");
        let site = SITE.replace("10.0.0.10\"]", "x\"]");
        let faults = texts(&[&rules], Some(&site), &[]).unwrap_err();
        let places: Vec<_> = faults.faults().iter().map(|f| (f.file().unwrap(), f.line_column().unwrap().0)).collect();
        assert_eq!(places.len(), 4, "{faults}");
        assert!(places.is_sorted());
    }

    #[test]
    fn an_id_declared_twice_hides_no_other_fault() {
        let again = "[[row]]\nid = \"backup\"\nfrom = \"clientt\"\nto = \"dd\"\nservice = \"rpd\"\nports = [\"tcp/0\"]\n\
                     purpose = \"x\"\ndocument = \"x\"\n";
        let site = format!("{SITE}{again}");
        let faults = texts(&[RULES], Some(&site), &[]).unwrap_err();
        let lines: Vec<_> = faults.faults().iter().map(|fault| fault.line_column().unwrap().0).collect();
        assert_eq!(lines, [25, 26, 27, 28, 29], "{faults}");
        let hint = faults.faults()[0].hint().unwrap();
        assert_eq!(hint, "it was declared before in site.toml, line 12; choose another id");
        let nameless = site.replacen("[[row]]\nid = \"backup\"\nfrom = \"clientt\"", "[[row]]\nfrom = \"clientt\"", 1);
        let faults = texts(&[RULES], Some(&nameless), &[]).unwrap_err();
        assert_eq!(faults.faults().len(), 5, "{faults}");
        let services = format!("{RULES}[[service]]\nid = \"rdp\"\ntitle = \"R\"\nports = [\"tcp/0\"]\n");
        let faults = texts(&[&services], None, &[]).unwrap_err();
        assert_eq!(faults.faults().len(), 2, "{faults}");
    }

    #[test]
    fn of_broken_syntax_only_the_first_fault_is_told() {
        let broken = SITE.replacen("[\"10.0.0.10\"]", "[\"10.0.0.10\"", 1);
        let faults = texts(&[RULES], Some(&broken), &[]).unwrap_err();
        assert_eq!(faults.faults().len(), 1, "{faults}");
        let other = RULES.replacen("tcp/445", "tcp/0", 1);
        let faults = texts(&[&other], Some(&broken), &[]).unwrap_err();
        assert_eq!(faults.faults().len(), 2, "another file is checked all the same: {faults}");
    }

    #[test]
    fn what_is_probably_not_meant_is_a_warning() {
        let idle = RULES.replace("service = \"rdp\"", "service = \"ftp\"");
        let c = texts(&[&idle], None, &[]).unwrap();
        assert!(c.warnings().to_string().contains("no row and no role names the service `rdp`"));
        let wide = RULES.replace("related = [\"ftp\"]", "ports = [\"tcp/1024-65535\"]");
        let c = texts(&[&wide], None, &[]).unwrap();
        assert!(c.warnings().to_string().contains("tcp/1024-65535 would excuse nearly everything"));
    }

    #[test]
    fn more_roles_than_a_set_holds_are_refused() {
        use std::fmt::Write as _;
        let mut text = String::new();
        for role in 0..128 {
            writeln!(text, "[[role]]\nid = \"r{role}\"\ntitle = \"r\"").unwrap();
        }
        assert!(texts(&[&text], None, &[]).unwrap_err().to_string().contains("more than 127 roles"));
        let one_less = text.replacen("[[role]]\nid = \"r0\"\ntitle = \"r\"", "", 1);
        assert_eq!(texts(&[&one_less], None, &[]).unwrap().roles().len(), 128);
    }

    #[test]
    fn no_bytes_make_it_fall() {
        let (rules, site) = (RULES.as_bytes(), SITE.as_bytes());
        let look = |rules: &[u8], site: &[u8]| {
            if let Err(faults) = load_texts(&[rules], Some(site), &[]) {
                assert!(!faults.to_string().is_empty());
            }
        };
        for length in 0..rules.len() {
            look(&rules[..length], b"");
        }
        for length in 0..site.len() {
            look(rules, &site[..length]);
        }
        for (at, flip) in (0..rules.len()).flat_map(|at| [1u8, 4, 0x20, 0x80, 0xff].map(|flip| (at, flip))) {
            let mut bent = rules.to_vec();
            bent[at] ^= flip;
            look(&bent, b"");
        }
        let nested = [b"a = ".as_slice(), &[b'['; 5000]].concat();
        for odd in
            [nested.as_slice(), &[b'['; 5000], b"\xff\xfe[\0", b"a.b.c.d = 1", b"[[row]]\n[row]\n", b"\xef\xbb\xbf"]
        {
            look(odd, odd);
        }
    }
}
