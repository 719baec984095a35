//! Checks what was written and resolves every name: words become numbers, and all that is wrong is said at once.
//!
//! It must never know where the texts came from.

use std::collections::HashMap;
use std::time::Duration;

use crate::catalogue::check_site::Site;
use crate::catalogue::check_site::check_site;
use crate::catalogue::fault::Faults;
use crate::catalogue::fault::did_you_mean;
use crate::catalogue::file::InterfaceEntry;
use crate::catalogue::file::RoleEntry;
use crate::catalogue::file::RowEntry;
use crate::catalogue::file::ServiceEntry;
use crate::catalogue::interface::Interface;
use crate::catalogue::interface::parse_version;
use crate::catalogue::load::OwnedRow;
use crate::catalogue::load::SITE_PROFILE;
use crate::catalogue::load::Written;
use crate::catalogue::policy::Row;
use crate::catalogue::reader::Word;
use crate::catalogue::role::PROOFS;
use crate::catalogue::role::ROLES_MAX;
use crate::catalogue::role::Role;
use crate::catalogue::role::RoleBasis;
use crate::catalogue::role::RoleId;
use crate::catalogue::role::RoleInference;
use crate::catalogue::role::RoleSet;
use crate::catalogue::role::closures;
use crate::catalogue::service::Ports;
use crate::catalogue::service::Service;
use crate::catalogue::service::ServiceId;
use crate::catalogue::service::UdpHabit;
use crate::model::app::AppProto;
use crate::model::app::ProtoSet;
use crate::model::uuid::Uuid;

/// The role that every host has; it is not declared.
const ANY: &str = "any";
/// Names may be so long.
const ID_BYTES_MAX: usize = 64;
/// More ports than this in one range want a proof, or say next to nothing.
const PLAIN_RANGE_MAX: u16 = 4096;
/// How long to wait for a reply where the service does not say (SEMANTICS, row U3).
const TIMEOUT_S: i64 = 10;
/// Nobody waits longer for a reply.
const TIMEOUT_S_MAX: i64 = 300;
/// The only proof there is: the endpoint mapper, or a bind to the interface.
const PROOF: &str = "epm";

/// A group of rows that one document gives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Profile {
    /// The name used in rules, options and reports.
    pub id: String,
    /// The name for people.
    pub title: String,
    /// The document.
    pub document: String,
    /// Whether its rows judge.
    pub active: bool,
}

/// Everything with its names resolved.
#[derive(Default)]
pub(crate) struct Checked {
    pub(crate) roles: Vec<Role>,
    pub(crate) inference: Vec<RoleInference>,
    pub(crate) services: Vec<Service>,
    pub(crate) interfaces: Vec<Interface>,
    pub(crate) profiles: Vec<Profile>,
    pub(crate) rows: Vec<Row>,
    pub(crate) site: Site,
}

/// Resolves names, and notes those that cannot be.
pub(crate) struct Names<'f> {
    pub(crate) faults: &'f mut Faults,
    roles: HashMap<String, RoleId>,
    services: HashMap<String, ServiceId>,
    used: Vec<bool>,
}

/// Checks all that was written. `profiles` are those asked for; none means the choice of the site file, or else all.
pub(crate) fn check(written: &Written, profiles: &[String], faults: &mut Faults) -> Checked {
    let mut names = Names { faults, roles: HashMap::new(), services: HashMap::new(), used: Vec::new() };
    let mut checked = Checked::default();
    names.declare_roles(&written.roles);
    names.declare_services(&written.services);
    checked.roles = names.roles(&written.roles);
    checked.services = written.services.iter().map(|entry| names.service(entry)).collect();
    checked.interfaces = written.interfaces.iter().filter_map(|entry| names.interface(entry)).collect();
    checked.interfaces.sort_by_key(|interface| (interface.uuid, interface.version));
    checked.profiles = names.profiles(written, profiles);
    for owned in &written.rows {
        let active = checked.profiles.iter().any(|profile| profile.active && profile.id == owned.profile);
        let row = names.row(owned, active, &mut checked.services, &checked.interfaces);
        checked.rows.push(row);
    }
    checked.inference = written.roles.iter().flat_map(|entry| names.inference(entry)).collect();
    if let Some(site) = &written.site {
        checked.site = check_site(site, &mut names);
    }
    names.unused(&written.services);
    checked
}

impl Names<'_> {
    fn id(&mut self, word: &Word) {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
        if !word.is_blank() && (word.text.len() > ID_BYTES_MAX || !word.text.chars().all(plain)) {
            let hint = format!("use at most {ID_BYTES_MAX} lower-case letters, digits, `-`, `_` and `.`");
            self.faults.error(word.at, format!("`{}` is no good name", word.text), Some(hint));
        }
    }

    fn declare_roles(&mut self, entries: &[RoleEntry]) {
        self.roles.insert(ANY.to_owned(), RoleId::ANY);
        for (number, entry) in (1..).zip(entries) {
            self.id(&entry.id);
            if entry.id.text == ANY {
                self.faults.error(entry.id.at, "the role `any` is built in", Some("remove it".to_owned()));
                continue;
            }
            match u8::try_from(number).ok().filter(|&number| usize::from(number) < ROLES_MAX) {
                Some(number) => drop(self.roles.entry(entry.id.text.clone()).or_insert(RoleId(number))),
                None => self.faults.error(entry.id.at, format!("more than {} roles", ROLES_MAX - 1), None),
            }
        }
    }

    fn declare_services(&mut self, entries: &[ServiceEntry]) {
        for (number, entry) in (0..).zip(entries) {
            self.id(&entry.id);
            match u16::try_from(number) {
                Ok(number) => drop(self.services.entry(entry.id.text.clone()).or_insert(ServiceId(number))),
                Err(_) => self.faults.error(entry.id.at, "more services than can be numbered", None),
            }
        }
        self.used = vec![false; entries.len()];
    }

    fn unknown(&mut self, kind: &str, word: &Word, hint: Option<String>) {
        if !self.faults.is_broken() {
            self.faults.error(word.at, format!("unknown {kind} `{}`", word.text), hint);
        }
    }

    /// The role of that name.
    pub(crate) fn role(&mut self, word: &Word) -> Option<RoleId> {
        let role = self.roles.get(&word.text).copied();
        if role.is_none() {
            let mut all: Vec<&str> = self.roles.keys().map(String::as_str).collect();
            all.sort_unstable();
            let hint = did_you_mean(&word.text, all.iter().copied());
            let hint = hint.unwrap_or_else(|| format!("write one of {}", all.join(", ")));
            self.unknown("role", word, Some(hint));
        }
        role
    }

    /// The role of that name, if there is one: no fault if not.
    pub(crate) fn known_role(&self, name: &str) -> Option<RoleId> {
        self.roles.get(name).copied()
    }

    fn service_id(&mut self, word: &Word) -> Option<ServiceId> {
        let service = self.services.get(&word.text).copied();
        if let Some(service) = service {
            if let Some(used) = self.used.get_mut(usize::from(service.0)) {
                *used = true;
            }
        } else {
            let hint = did_you_mean(&word.text, self.services.keys().map(String::as_str));
            self.unknown("service", word, hint);
        }
        service
    }

    /// The ports that the words name.
    pub(crate) fn ports(&mut self, words: &[Word]) -> Vec<Ports> {
        let mut all = Vec::new();
        for word in words {
            match Ports::parse(&word.text) {
                Ok(ports) => all.push(ports),
                Err((message, hint)) => self.faults.error(word.at, message, hint),
            }
        }
        all
    }

    fn roles(&mut self, entries: &[RoleEntry]) -> Vec<Role> {
        let mut direct = vec![RoleSet::EMPTY];
        for entry in entries.iter().take(ROLES_MAX - 1) {
            direct.push(entry.implies.iter().filter_map(|word| self.role(word)).collect());
        }
        let closed = closures(&direct);
        for entry in entries {
            let Some(own) = self.known_role(&entry.id.text) else { continue };
            for word in &entry.implies {
                let Some(implied) = self.known_role(&word.text) else { continue };
                if closed.get(usize::from(implied.0)).is_some_and(|closure| closure.contains(own)) {
                    let message = format!("the role `{}` implies itself by way of `{}`", entry.id.text, word.text);
                    self.faults.error(
                        word.at,
                        message,
                        Some("roles must not imply one another in a circle".to_owned()),
                    );
                }
            }
        }
        let any = ("any", "Any host");
        let named = entries.iter().map(|entry| (entry.id.text.as_str(), entry.title.text.as_str()));
        let roles = std::iter::once(any).chain(named).zip(closed);
        roles.map(|((id, title), closure)| Role { id: id.to_owned(), title: title.to_owned(), closure }).collect()
    }

    fn inference(&mut self, entry: &RoleEntry) -> Vec<RoleInference> {
        let mut found = Vec::new();
        let Some(role) = self.known_role(&entry.id.text) else { return found };
        for answers in &entry.answers {
            let all: Vec<_> = answers.all.iter().filter_map(|word| self.service_id(word)).collect();
            let any: Vec<_> = answers.any.iter().filter_map(|word| self.service_id(word)).collect();
            if answers.all.is_empty() && answers.any.is_empty() {
                let hint = "name services in `all`, in `any`, or in both";
                self.faults.error(answers.at, "every host would answer this", Some(hint.to_owned()));
            }
            found.push(RoleInference { role, basis: RoleBasis::Answers { all, any } });
        }
        let mut by = Vec::new();
        for word in &entry.proofs {
            if PROOFS.contains(&word.text.as_str()) {
                by.push(word.text.clone());
            } else {
                let hint =
                    did_you_mean(&word.text, PROOFS).unwrap_or_else(|| format!("there are {}", PROOFS.join(", ")));
                self.faults.error(word.at, format!("unknown proof `{}`", word.text), Some(hint));
            }
        }
        if !by.is_empty() {
            found.push(RoleInference { role, basis: RoleBasis::Proved { by } });
        }
        if let Some(asks) = &entry.asks {
            let any: Vec<_> = asks.any.iter().filter_map(|word| self.service_id(word)).collect();
            if let Some(of) = self.role(&asks.of) {
                found.push(RoleInference { role, basis: RoleBasis::Asks { of, any } });
            }
        }
        found
    }

    fn service(&mut self, entry: &ServiceEntry) -> Service {
        let dynamic = entry.proof.is_some();
        if let Some(proof) = entry.proof.as_ref().filter(|proof| proof.text != PROOF) {
            self.faults.error(
                proof.at,
                format!("unknown proof `{}`", proof.text),
                Some(format!("the proof there is: `{PROOF}`")),
            );
        }
        let ports = self.ports(&entry.ports);
        let seconds = match entry.timeout_s {
            Some((seconds, _)) if (1..=TIMEOUT_S_MAX).contains(&seconds) => seconds,
            Some((_, at)) => {
                self.faults.error(at, format!("`timeout_s` must be from 1 to {TIMEOUT_S_MAX}"), None);
                TIMEOUT_S
            }
            None => TIMEOUT_S,
        };
        let udp = match entry.udp.as_ref().map(|udp| (udp, udp.text.as_str())) {
            Some((_, "request-reply")) => {
                Some(UdpHabit::RequestReply { timeout: Duration::from_secs(seconds.unsigned_abs()) })
            }
            Some((_, "one-way")) => Some(UdpHabit::OneWay),
            Some((word, text)) => {
                let hint = did_you_mean(text, ["request-reply", "one-way"])
                    .unwrap_or_else(|| "write `request-reply` or `one-way`".to_owned());
                self.faults.error(word.at, format!("unknown habit `{text}`"), Some(hint));
                None
            }
            None => None,
        };
        Service {
            id: entry.id.text.clone(),
            title: entry.title.text.clone(),
            ports,
            dynamic,
            speaks: self.speaks(&entry.speaks),
            udp,
            tcp_twin: entry.tcp_twin,
            replies_elsewhere: entry.replies_elsewhere,
            primary: entry.primary,
            exclusive: entry.exclusive,
            mapper: entry.mapper,
        }
    }

    fn speaks(&mut self, names: &[Word]) -> ProtoSet {
        let mut set = ProtoSet::default();
        for name in names {
            if let Some(proto) = AppProto::by_name(&name.text) {
                set.insert(proto);
            } else {
                let hint = did_you_mean(&name.text, AppProto::ALL.into_iter().map(AppProto::name));
                self.faults.error(name.at, format!("no protocol `{}` can be recognised", name.text), hint);
            }
        }
        set
    }

    fn interface(&mut self, entry: &InterfaceEntry) -> Option<Interface> {
        let uuid = Uuid::parse(&entry.uuid.text);
        if uuid.is_none() && !entry.uuid.is_blank() {
            let hint = "write it as `e3514235-4b06-11d1-ab04-00c04fc2dcd2`";
            self.faults.error(entry.uuid.at, format!("`{}` is no UUID", entry.uuid.text), Some(hint.to_owned()));
        }
        let version = entry.version.as_ref().and_then(|word| {
            let version = parse_version(&word.text);
            if version.is_none() {
                self.faults.error(
                    word.at,
                    format!("`{}` is no version", word.text),
                    Some("write it as `4.0`".to_owned()),
                );
            }
            version
        });
        Some(Interface {
            uuid: uuid?,
            version,
            name: entry.name.text.clone(),
            title: entry.title.text.clone(),
            source: entry.source.text.clone(),
        })
    }

    fn profiles(&mut self, written: &Written, asked: &[String]) -> Vec<Profile> {
        let known = || written.profiles.iter().map(|profile| profile.id.text.as_str());
        for name in asked {
            if !known().any(|known| known == name) && !self.faults.is_broken() {
                let hint = did_you_mean(name, known())
                    .unwrap_or_else(|| format!("the profiles are {}", known().collect::<Vec<_>>().join(", ")));
                self.faults.placeless(format!("unknown profile `{name}`"), Some(hint));
            }
        }
        let of_site = written.site.as_ref().and_then(|site| site.profiles.as_deref());
        for word in of_site.unwrap_or_default() {
            if !known().any(|known| known == word.text) {
                let hint = did_you_mean(&word.text, known());
                self.unknown("profile", word, hint);
            }
        }
        let mut profiles = Vec::new();
        for entry in &written.profiles {
            let id = entry.id.text.as_str();
            self.id(&entry.id);
            let active = match of_site {
                _ if !asked.is_empty() => asked.iter().any(|asked| asked == id),
                Some(chosen) => id == SITE_PROFILE || chosen.iter().any(|word| word.text == id),
                None => true,
            };
            let (title, document) = (entry.title.text.clone(), entry.document.text.clone());
            profiles.push(Profile { id: id.to_owned(), title, document, active });
        }
        profiles
    }

    /// The interfaces of these names; every UUID that has one of them.
    fn interfaces(&mut self, names: &[Word], known: &[Interface]) -> Vec<Uuid> {
        let mut all: Vec<Uuid> = Vec::new();
        for name in names {
            let mut found = known.iter().filter(|interface| interface.name == name.text).peekable();
            if found.peek().is_none() {
                let hint = did_you_mean(&name.text, known.iter().map(|interface| interface.name.as_str()));
                self.unknown("interface", name, hint);
            }
            for interface in found {
                if !all.contains(&interface.uuid) {
                    all.push(interface.uuid);
                }
            }
        }
        all
    }

    fn row(&mut self, owned: &OwnedRow, active: bool, services: &mut Vec<Service>, interfaces: &[Interface]) -> Row {
        let entry = &owned.row;
        self.id(&entry.id);
        let own_ports = entry.ports.as_deref().map(|words| self.ports(words));
        let service = match &entry.service {
            Some(word) => self.service_id(word),
            None if entry.between => None,
            None => self.row_as_service(owned, own_ports.clone(), services),
        };
        let of_service = service.and_then(|service| services.get(usize::from(service.0)));
        let dynamic = of_service.is_some_and(|service| service.dynamic);
        let ports = own_ports.or_else(|| of_service.map(|service| service.ports.clone())).unwrap_or_default();
        let excused = dynamic || entry.listed_only || !entry.related.is_empty();
        for ports in ports.iter().filter(|ports| ports.transport.has_ports() && ports.width() >= PLAIN_RANGE_MAX) {
            if !excused {
                let at = entry.service.as_ref().map_or(entry.at, |word| word.at);
                let hint = format!("a range so wide proves nothing; name a service that has proof = \"{PROOF}\"");
                self.faults.warn(at, format!("{ports} would excuse nearly everything"), Some(hint));
            }
        }
        Row {
            id: format!("{}/{}", owned.profile, entry.id.text),
            profile: owned.profile.clone(),
            from: entry.from.iter().filter_map(|word| self.role(word)).collect(),
            to: entry.to.iter().filter_map(|word| self.role(word)).collect(),
            service,
            ports,
            interfaces: self.interfaces(&entry.interfaces, interfaces),
            purpose: entry.purpose.text.clone(),
            document: entry.document.text.clone(),
            note: entry.note.as_ref().map(|note| note.text.clone()),
            seed: entry.seed.iter().map(|word| word.text.clone()).collect(),
            bidirectional: entry.bidirectional,
            related: entry.related.iter().filter_map(|word| self.service_id(word)).collect(),
            listed_only: entry.listed_only,
            between: entry.between,
            dynamic,
            active,
        }
    }

    /// A row of the site file may come without a service: then it is one, by its own name.
    fn row_as_service(
        &mut self,
        owned: &OwnedRow,
        ports: Option<Vec<Ports>>,
        services: &mut Vec<Service>,
    ) -> Option<ServiceId> {
        let RowEntry { at, id, purpose, .. } = &owned.row;
        if owned.profile != SITE_PROFILE {
            self.faults.error(*at, "`service` is missing", Some("add service = \"...\"".to_owned()));
            return None;
        }
        if let Some(&known) = self.services.get(&id.text) {
            return Some(known);
        }
        let Some(ports) = ports else {
            self.faults.error(
                *at,
                "neither `service` nor `ports` is given",
                Some("add ports = [\"tcp/...\"]".to_owned()),
            );
            return None;
        };
        let Ok(number) = u16::try_from(services.len()) else {
            self.faults.error(*at, "more services than can be numbered", None);
            return None;
        };
        services.push(Service {
            id: id.text.clone(),
            title: purpose.text.clone(),
            ports,
            dynamic: false,
            speaks: ProtoSet::default(),
            udp: None,
            tcp_twin: false,
            replies_elsewhere: false,
            primary: false,
            exclusive: false,
            mapper: false,
        });
        self.services.insert(id.text.clone(), ServiceId(number));
        Some(ServiceId(number))
    }

    fn unused(&mut self, entries: &[ServiceEntry]) {
        if self.faults.is_broken() {
            return;
        }
        for (number, entry) in (0..).zip(entries) {
            // A second declaration of an id, and one without any, have a fault of their own.
            let used = self.services.get(&entry.id.text).is_none_or(|&ServiceId(first)| first != number)
                || self.used.get(usize::from(number)).is_some_and(|&used| used);
            if !used && !entry.id.is_blank() {
                self.faults.warn(
                    entry.id.at,
                    format!("no row and no role names the service `{}`", entry.id.text),
                    None,
                );
            }
        }
    }
}
