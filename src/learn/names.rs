//! What hosts are called, by themselves and by others, and which of them are domain controllers.
//!
//! Every store is bounded and keeps its smallest keys, and of each key the earliest sight. So the result depends on what
//! was seen, never on who saw it first. This file must never know bytes of any protocol, nor what a role may do.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::model::addr::Addr;
use crate::model::addr::Endpoint;
use crate::model::addr::FlowKey;
use crate::model::addr::Side;
use crate::model::app::AppProto;
use crate::model::ids::FrameId;
use crate::model::time::Timestamp;
use crate::model::transport::Transport;

/// How many hosts have names.
pub const HOSTS_MAX: usize = 65_536;
/// How many names one host has: a domain controller has a dozen, and all names of all hosts stay in memory.
pub const NAMES_PER_HOST_MAX: usize = 16;
/// How many places of services are remembered from DNS.
pub const SERVICES_MAX: usize = 4096;
/// How many flows have errors of their application noted.
pub const FLOWS_WITH_ERRORS_MAX: usize = 65_536;
/// How many different errors of one flow are noted.
pub const ERRORS_PER_FLOW_MAX: usize = 8;

/// What a name is the name of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// The host, in DNS. Lower case.
    Host,
    /// The host, in `NetBIOS`. Upper case.
    NetbiosHost,
    /// The domain it is a member or the controller of, in DNS. Lower case.
    Domain,
    /// That domain, in `NetBIOS`. Upper case.
    NetbiosDomain,
    /// The Kerberos realm it gives tickets for. As written.
    Realm,
}

impl Kind {
    /// The lower-case name used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::NetbiosHost => "netbios-host",
            Self::Domain => "domain",
            Self::NetbiosDomain => "netbios-domain",
            Self::Realm => "realm",
        }
    }
}

/// Who gave the name. In the order of trust: a controller's own answer first, what others say of a host last.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Source {
    /// A domain controller's answer to a ping.
    Netlogon,
    /// The root entry of an LDAP server.
    Ldap,
    /// A server's NTLM challenge, or a client's answer to one.
    Ntlm,
    /// A KDC's answer.
    Kerberos,
    /// A registration, an answer or a datagram of `NetBIOS`.
    Netbios,
    /// A client's request for an address.
    Dhcp,
    /// The name under which a client called its server in TLS.
    Tls,
    /// An answer of DNS.
    Dns,
}

impl Source {
    /// The lower-case name used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Netlogon => "netlogon",
            Self::Ldap => "ldap",
            Self::Ntlm => "ntlm",
            Self::Kerberos => "kerberos",
            Self::Netbios => "netbios",
            Self::Dhcp => "dhcp",
            Self::Tls => "tls",
            Self::Dns => "dns",
        }
    }
}

/// Where something was seen first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Seen {
    /// When.
    pub at: Timestamp,
    /// In which frame.
    pub frame: FrameId,
}

/// A name of a host.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Name {
    /// Who says so.
    pub source: Source,
    /// What it names.
    pub kind: Kind,
    /// The name, as on the wire: not yet safe to print.
    pub text: Arc<str>,
    /// Where it was seen first.
    pub seen: Seen,
}

/// Why a host is taken for a domain controller.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Proof {
    /// It answered a ping of Netlogon.
    Netlogon,
    /// Its LDAP root entry says that it is one.
    RootEntry,
    /// It has the `NetBIOS` group name of domain controllers.
    NetbiosGroup,
    /// DNS says that controllers are at a name, and that the name is at its address.
    DnsService,
    /// It took the interface of the directory's replication (MS-DRSR section 1.9).
    Replication,
}

impl Proof {
    /// The lower-case name used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Netlogon => "netlogon",
            Self::RootEntry => "ldap_root",
            Self::NetbiosGroup => "netbios_group",
            Self::DnsService => "dns_srv",
            Self::Replication => "drsuapi",
        }
    }

    /// The same in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Netlogon => "answered the ping of Netlogon",
            Self::RootEntry => "says so in its LDAP root entry",
            Self::NetbiosGroup => "has the NetBIOS group name of controllers",
            Self::DnsService => "is named as one by DNS",
            Self::Replication => "took calls for the directory's replication (drsuapi)",
        }
    }
}

/// Evidence that a host is a domain controller.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Controller {
    /// The host.
    pub addr: Addr,
    /// Why.
    pub proof: Proof,
    /// The frames that prove it: one, or for DNS the service's and the address's.
    pub seen: Vec<Seen>,
}

/// A place where DNS says that a service is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Service {
    /// The service, as `_ldap._tcp.dc._msdcs.lab.test`.
    pub owner: String,
    /// The host that offers it.
    pub target: String,
    /// At which port.
    pub port: u16,
}

/// An error that an application told its peer. The network did its part.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct AppError {
    /// Whose error.
    pub proto: AppProto,
    /// Its number in that protocol.
    pub code: u16,
    /// Where it was seen first.
    pub seen: Seen,
}

/// The errors that applications told their peers, by flow.
#[derive(Clone, Debug, Default)]
pub struct AppErrors(BTreeMap<Pair, Vec<AppError>>);

impl AppErrors {
    /// The errors told on flows with this key, in order of protocol and code. A key may have had several flows: the
    /// moment tells which of them.
    pub fn of(&self, key: &FlowKey) -> &[AppError] {
        self.0.get(&pair(key)).map_or(&[], Vec::as_slice)
    }
}

/// Trust first: where a host has too many names, those of DNS go.
type Key = (Source, Kind, Arc<str>);

/// Two endpoints in order, and what carries them.
type Pair = (Endpoint, Endpoint, Transport);

/// The errors of a flow: whose, which number.
type Errors = Smallest<(AppProto, u16), Seen>;

/// All names of all hosts. Shared by the workers; one lock for each store, held for one insertion.
#[derive(Debug)]
pub struct Names {
    hosts: Mutex<Smallest<Addr, Smallest<Key, Seen>>>,
    controllers: Mutex<Smallest<(Addr, Proof), Seen>>,
    services: Mutex<Smallest<Service, Seen>>,
    errors: Mutex<Smallest<Pair, Errors>>,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            hosts: Mutex::new(Smallest::new(HOSTS_MAX)),
            controllers: Mutex::new(Smallest::new(HOSTS_MAX)),
            services: Mutex::new(Smallest::new(SERVICES_MAX)),
            errors: Mutex::new(Smallest::new(FLOWS_WITH_ERRORS_MAX)),
        }
    }
}

impl Names {
    /// Remembers that `addr` has the name `text`.
    pub fn name(&self, addr: Addr, kind: Kind, source: Source, text: &str, seen: Seen) {
        let text = match kind {
            Kind::Host | Kind::Domain => text.trim_end_matches('.').to_ascii_lowercase(),
            Kind::NetbiosHost | Kind::NetbiosDomain => text.to_ascii_uppercase(),
            Kind::Realm => text.to_owned(),
        };
        if text.is_empty() || is_no_host(addr) {
            return;
        }
        if let Some(names) = lock(&self.hosts).place(addr, || Smallest::new(NAMES_PER_HOST_MAX)) {
            names.earliest((source, kind, text.into()), seen);
        }
    }

    /// Remembers that `addr` is a domain controller.
    pub fn controller(&self, addr: Addr, proof: Proof, seen: Seen) {
        if !is_no_host(addr) {
            lock(&self.controllers).earliest((addr, proof), seen);
        }
    }

    /// Remembers where DNS says that a service is.
    pub fn service(&self, service: Service, seen: Seen) {
        lock(&self.services).earliest(service, seen);
    }

    /// Remembers that one end of a flow told the other of an error.
    pub fn error(&self, key: &FlowKey, proto: AppProto, code: u16, seen: Seen) {
        if let Some(errors) = lock(&self.errors).place(pair(key), || Smallest::new(ERRORS_PER_FLOW_MAX)) {
            errors.earliest((proto, code), seen);
        }
    }

    /// Forgets the errors told until a time on flows with a key: those flows are kept no more.
    pub fn forget(&self, key: &FlowKey, until: Timestamp) {
        let mut errors = lock(&self.errors);
        let pair = pair(key);
        if let Some(told) = errors.map.get_mut(&pair) {
            told.map.retain(|_, seen| seen.at > until);
            if told.map.is_empty() {
                errors.map.remove(&pair);
            }
        }
    }

    /// The names of a host, in the order of trust, kind and text.
    pub fn of(&self, addr: Addr) -> Vec<Name> {
        lock(&self.hosts).map.get(&addr).map(in_order).unwrap_or_default()
    }

    /// Every host that has a name, and its names, in order.
    pub fn all(&self) -> Vec<(Addr, Vec<Name>)> {
        lock(&self.hosts).map.iter().map(|(addr, names)| (*addr, in_order(names))).collect()
    }

    /// Every host that proved to be a domain controller, in order of address and proof.
    pub fn controllers(&self) -> Vec<Controller> {
        let mut all: Vec<_> = lock(&self.controllers)
            .map
            .iter()
            .map(|((addr, proof), seen)| Controller { addr: *addr, proof: *proof, seen: vec![*seen] })
            .collect();
        all.extend(self.controllers_in_dns());
        all.sort_unstable();
        all
    }

    /// Where DNS says that services are, in order.
    pub fn services(&self) -> Vec<(Service, Seen)> {
        lock(&self.services).map.iter().map(|(service, seen)| (service.clone(), *seen)).collect()
    }

    /// The errors told on flows.
    pub fn errors(&self) -> AppErrors {
        let told = |(pair, errors): (&Pair, &Errors)| {
            let all = errors.map.iter();
            (*pair, all.map(|((proto, code), seen)| AppError { proto: *proto, code: *code, seen: *seen }).collect())
        };
        AppErrors(lock(&self.errors).map.iter().map(told).collect())
    }

    /// Whether anything was left out because a store was full.
    pub fn is_full(&self) -> bool {
        let hosts = lock(&self.hosts);
        let errors = lock(&self.errors);
        hosts.full
            || hosts.map.values().any(|names| names.full)
            || lock(&self.controllers).full
            || lock(&self.services).full
            || errors.full
            || errors.map.values().any(|errors| errors.full)
    }

    /// Hosts at whose names DNS places the services that only domain controllers register (MS-ADTS section 6.3.2.3):
    /// all that have `_msdcs` in their name.
    fn controllers_in_dns(&self) -> Vec<Controller> {
        let mut targets: BTreeMap<String, Seen> = BTreeMap::new();
        for (service, seen) in self.services() {
            if service.owner.split('.').any(|label| label == "_msdcs") {
                let first = targets.entry(service.target).or_insert(seen);
                *first = seen.min(*first);
            }
        }
        let mut found = Vec::new();
        for (addr, names) in &lock(&self.hosts).map {
            let proofs =
                names.map.iter().filter(|((source, kind, _), _)| (*kind, *source) == (Kind::Host, Source::Dns));
            let best = proofs.filter_map(|((_, _, text), seen)| Some((*targets.get(&**text)?, *seen))).min();
            if let Some((service, address)) = best {
                let seen = BTreeSet::from([service, address]).into_iter().collect();
                found.push(Controller { addr: *addr, proof: Proof::DnsService, seen });
            }
        }
        found
    }
}

/// Addresses that name nobody: none at all, and groups.
fn is_no_host(addr: Addr) -> bool {
    addr.is_multicast_or_broadcast() || addr.ip().is_unspecified()
}

fn pair(key: &FlowKey) -> Pair {
    (key.end(Side::Low), key.end(Side::High), key.transport)
}

fn in_order(names: &Smallest<Key, Seen>) -> Vec<Name> {
    let name = |((source, kind, text), seen): (&Key, &Seen)| Name {
        source: *source,
        kind: *kind,
        text: Arc::clone(text),
        seen: *seen,
    };
    names.map.iter().map(name).collect()
}

/// A worker that stopped while it held the lock left a whole entry or none.
fn lock<T>(store: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A map that keeps its `max` smallest keys. Which they are does not depend on the order in which they came: a key
/// that was ever turned away has `max` smaller ones, and they are never turned away for a greater one.
#[derive(Debug)]
struct Smallest<K, V> {
    map: BTreeMap<K, V>,
    max: usize,
    full: bool,
}

impl<K: Ord, V> Smallest<K, V> {
    fn new(max: usize) -> Self {
        Self { map: BTreeMap::new(), max, full: false }
    }

    /// The place of a key, if it is among the smallest.
    fn place(&mut self, key: K, new: impl FnOnce() -> V) -> Option<&mut V> {
        if self.map.len() >= self.max && !self.map.contains_key(&key) {
            self.full = true;
            if self.map.last_key_value().is_none_or(|(last, _)| *last < key) {
                return None;
            }
            self.map.pop_last();
        }
        Some(self.map.entry(key).or_insert_with(new))
    }
}

impl<K: Ord> Smallest<K, Seen> {
    /// Remembers the earliest sight of a key.
    fn earliest(&mut self, key: K, seen: Seen) {
        if let Some(first) = self.place(key, || seen) {
            *first = seen.min(*first);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: [u8; 4] = [10, 0, 0, 10];

    fn seen(frame: u64) -> Seen {
        Seen { at: Timestamp(frame), frame: FrameId::new(0, frame) }
    }

    #[test]
    fn the_order_of_arrival_does_not_matter() {
        let addr = Addr::v4(HOST);
        let count = NAMES_PER_HOST_MAX + 40;
        let tell = |order: &mut dyn Iterator<Item = usize>| {
            let names = Names::default();
            for number in order {
                let text = format!("host{:03}.lab.test", number % count);
                names.name(addr, Kind::Host, Source::Dns, &text, seen(1 + number as u64));
                names.name(addr, Kind::Host, Source::Ntlm, "dc1.lab.test", seen(2000 - number as u64));
            }
            (names.all(), names.is_full())
        };
        let all = tell(&mut (0..3 * count));
        assert_eq!(all, tell(&mut (0..3 * count).rev()));
        assert_eq!(all, tell(&mut (0..3 * count).map(|number| number * 11 % (3 * count))));
        let [(_, names)] = &all.0[..] else { unreachable!("one host has names") };
        assert_eq!(names.len(), NAMES_PER_HOST_MAX);
        assert_eq!(names[0].source, Source::Ntlm, "those of DNS go first");
        assert_eq!(&*names[1].text, "host000.lab.test");
        assert_eq!(names[1].seen, seen(1));
        assert!(all.1);
    }

    #[test]
    fn a_controller_in_dns_needs_service_and_address() {
        let names = Names::default();
        let addr = Addr::v4(HOST);
        let service = |owner: &str| Service { owner: owner.to_owned(), target: "dc1.lab.test".to_owned(), port: 389 };
        names.name(addr, Kind::Host, Source::Dns, "DC1.lab.test", seen(9));
        names.service(service("_ldap._tcp.lab.test"), seen(3));
        assert_eq!(names.controllers(), [], "any LDAP server is offered so");
        names.service(service("_ldap._tcp.dc._msdcs.lab.test"), seen(5));
        let expected = Controller { addr, proof: Proof::DnsService, seen: vec![seen(5), seen(9)] };
        assert_eq!(names.controllers(), [expected]);
    }

    #[test]
    fn a_controller_in_dns_whose_address_was_told_by_others_is_none() {
        let names = Names::default();
        names.name(Addr::v4(HOST), Kind::Host, Source::Ntlm, "dc1.lab.test", seen(9));
        let owner = "_ldap._tcp.dc._msdcs.lab.test".to_owned();
        names.service(Service { owner, target: "dc1.lab.test".to_owned(), port: 389 }, seen(5));
        assert_eq!(names.controllers(), []);
    }

    #[test]
    fn groups_and_nobody_have_no_names() {
        let names = Names::default();
        for addr in [[0; 4], [224, 0, 0, 251], [255; 4]] {
            names.name(Addr::v4(addr), Kind::Host, Source::Dns, "a.test", seen(1));
            names.controller(Addr::v4(addr), Proof::Netlogon, seen(1));
        }
        assert_eq!((names.all(), names.controllers()), (vec![], vec![]));
    }

    #[test]
    fn errors_belong_to_a_flow_in_either_direction() {
        let names = Names::default();
        let (there, _) = FlowKey::of(Addr::v4(HOST), 88, Addr::v4([10, 0, 0, 1]), 50000, Transport::Udp);
        let (back, _) = FlowKey::of(Addr::v4([10, 0, 0, 1]), 50000, Addr::v4(HOST), 88, Transport::Udp);
        let (other, _) = FlowKey::of(Addr::v4([10, 0, 0, 1]), 50000, Addr::v4(HOST), 88, Transport::Tcp);
        names.error(&there, AppProto::Kerberos, 25, seen(7));
        names.error(&there, AppProto::Kerberos, 25, seen(4));
        let errors = names.errors();
        assert_eq!(errors.of(&back), [AppError { proto: AppProto::Kerberos, code: 25, seen: seen(4) }]);
        assert_eq!(errors.of(&other), []);
    }
}
