//! One end of what is told: address, name, roles.

use std::net::IpAddr;

use crate::report::Report;
use crate::report::format::html::brief;
use crate::report::names::Party;

/// Characters of a name beside an address; the list of hosts has all of them.
const NAME_CHARS: usize = 60;

/// Characters of a host's roles beside an address.
const ROLES_CHARS: usize = 60;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Who {
    pub(super) address: String,
    /// Empty where it is not known.
    pub(super) name: String,
    /// Empty where there are none.
    pub(super) roles: String,
    /// For sorting: hosts by address, many last.
    pub(super) key: String,
}

impl Who {
    pub(super) fn of(party: Party, report: &Report<'_>) -> Self {
        match party {
            Party::One(addr) => {
                let names = report.findings.names();
                let name = names.host_name(addr);
                let key = match addr.ip() {
                    IpAddr::V4(v4) => format!("4{:08x}", u32::from(v4)),
                    IpAddr::V6(v6) => format!("6{:032x}", u128::from(v6)),
                };
                Self {
                    address: addr.to_string(),
                    name: name.map(|name| brief(name.as_str(), NAME_CHARS)).unwrap_or_default(),
                    roles: brief(&names.role_names(addr).replace(',', ", "), ROLES_CHARS),
                    key,
                }
            }
            Party::Many => Self {
                address: "*".to_owned(),
                name: "many hosts".to_owned(),
                roles: String::new(),
                key: "~".to_owned(),
            },
        }
    }

    /// `10.0.0.10 (dc1.corp.example)`
    pub(super) fn words(&self) -> String {
        if self.name.is_empty() { self.address.clone() } else { format!("{} ({})", self.address, self.name) }
    }
}
