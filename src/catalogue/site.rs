//! What the administrator says of the site: who is who, and what is accepted although no document allows it.
//!
//! It must never know what the documents say.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::catalogue::role::RoleId;
use crate::catalogue::role::RoleSet;
use crate::catalogue::service::Ports;
use crate::model::time::Timestamp;

/// Choices of the site file; an option of the command line goes before them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SiteSettings {
    /// Whether roles may be inferred from traffic.
    pub infer: Option<bool>,
    /// Whether a flow without any row is unexpected even where no end has a role.
    pub strict: Option<bool>,
}

/// A flow that is accepted although no row allows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exception {
    /// Who may begin it: one of these.
    pub from: Vec<ExceptionEnd>,
    /// Who may answer it: one of these.
    pub to: Vec<ExceptionEnd>,
    /// On which ports; every port and transport where the list is empty.
    pub ports: Vec<Ports>,
    /// Why, in the administrator's words.
    pub reason: String,
    /// The last day, as written.
    pub until: Option<String>,
    /// From when on it is accepted no more: the end, in UTC, of the last day.
    pub ends: Option<Timestamp>,
}

/// One end of an exception.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExceptionEnd {
    /// Hosts by address; a single address is a prefix of full length.
    Prefix(IpNet),
    /// Hosts by role; `any` for every host.
    Role(RoleId),
}

impl ExceptionEnd {
    /// Whether the host is meant; `roles` is closed.
    pub(crate) fn means(self, ip: IpAddr, roles: RoleSet) -> bool {
        match self {
            Self::Prefix(prefix) => prefix.contains(&ip),
            Self::Role(role) => role == RoleId::ANY || roles.contains(role),
        }
    }
}

/// Values by prefix. A look-up gives those of every prefix around the address, and takes one step for each length of
/// prefix that occurs.
#[derive(Debug)]
pub(crate) struct PrefixMap<V> {
    values: HashMap<IpNet, V>,
    lengths: BTreeSet<u8>,
}

impl<V> Default for PrefixMap<V> {
    fn default() -> Self {
        Self { values: HashMap::new(), lengths: BTreeSet::new() }
    }
}

impl<V: Default> PrefixMap<V> {
    /// The value of exactly this prefix, to change.
    pub(crate) fn entry(&mut self, prefix: IpNet) -> &mut V {
        self.lengths.insert(prefix.prefix_len());
        self.values.entry(prefix.trunc()).or_default()
    }

    /// Every prefix with its value, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (IpNet, &V)> {
        self.values.iter().map(|(prefix, value)| (*prefix, value))
    }

    /// Whether the address has a value of its own, beside those of prefixes around it.
    pub(crate) fn has(&self, ip: IpAddr) -> bool {
        self.values.contains_key(&IpNet::from(ip))
    }

    /// The values of every prefix that holds the address.
    pub(crate) fn around(&self, ip: IpAddr) -> impl Iterator<Item = &V> {
        self.lengths.iter().filter_map(move |&length| self.values.get(&IpNet::new(ip, length).ok()?.trunc()))
    }
}

/// Reads an address or a prefix.
///
/// # Errors
/// A pair: what is wrong, and what to write instead.
pub(crate) fn parse_prefix(text: &str) -> Result<IpNet, (String, Option<String>)> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(ip));
    }
    let form = "write it as `10.0.0.10`, `10.0.5.0/24` or `fd00::/64`";
    let Ok(prefix) = text.parse::<IpNet>() else {
        return Err((format!("`{text}` is neither an address nor a prefix"), Some(form.to_owned())));
    };
    if prefix != prefix.trunc() {
        let (host, net) = (prefix.addr(), prefix.trunc());
        return Err((
            format!("`{text}` has host bits set"),
            Some(format!("write `{host}` for the host or `{net}` for the prefix")),
        ));
    }
    Ok(prefix)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop here")]

    use super::*;

    #[test]
    fn an_address_has_what_all_prefixes_around_it_have() {
        let mut map: PrefixMap<RoleSet> = PrefixMap::default();
        for (prefix, role) in
            [("10.0.0.0/8", 1), ("10.0.5.0/24", 2), ("10.0.5.20", 3), ("fd00::/64", 4), ("0.0.0.0/0", 5)]
        {
            map.entry(parse_prefix(prefix).unwrap()).insert(RoleId(role));
        }
        let of = |ip: &str| {
            let set = map.around(ip.parse().unwrap()).fold(RoleSet::EMPTY, |all, &set| all.union(set));
            set.iter().map(|role| role.0).collect::<Vec<_>>()
        };
        assert_eq!(of("10.0.5.20"), [1, 2, 3, 5]);
        assert_eq!(of("10.0.5.21"), [1, 2, 5]);
        assert_eq!(of("192.0.2.1"), [5]);
        assert_eq!(of("fd00::1"), [4]);
        assert_eq!(of("::ffff:10.0.5.20"), Vec::<u8>::new(), "a mapped address is not the IPv4 address");
    }

    #[test]
    fn bad_addresses_are_refused() {
        assert!(parse_prefix("10.0.0.300").is_err());
        assert!(parse_prefix("10.0.0.0/33").is_err());
        assert_eq!(
            parse_prefix("10.0.5.3/24").unwrap_err().1.unwrap(),
            "write `10.0.5.3` for the host or `10.0.5.0/24` for the prefix"
        );
    }
}
