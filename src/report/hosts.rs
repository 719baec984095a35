//! The hosts of a report: their names, their roles, and why they have them.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::classify::judged::HostRole;
use crate::model::addr::Addr;
use crate::report::names::FrameName;
use crate::report::names::Names;
use crate::report::names::Party;
use crate::report::pairs::Pairs;
use crate::report::sanitise::Shown;

/// A host of which something is known.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct HostRow {
    /// Its address.
    pub address: Party,
    /// Its names.
    pub names: Vec<Shown>,
    /// Its roles.
    pub roles: Vec<RoleRow>,
}

/// A role of a host.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct RoleRow {
    /// The role.
    pub role: String,
    /// `site` or `inferred`.
    pub basis: &'static str,
    /// Why, in words.
    pub because: Shown,
    /// Frames that show it.
    pub frames: Vec<FrameName>,
}

/// Every host that has a role, or a name and a flow.
pub(crate) fn rows(pairs: &Pairs, names: &Names<'_>) -> Vec<HostRow> {
    let named = pairs.hosts().iter().filter(|addr| names.has_site_name(**addr) || names.has_heard_name(**addr));
    let without_role = named.map(|addr| (*addr, &[][..]));
    let all: BTreeMap<Addr, &[HostRole]> = without_role.chain(names.hosts_with_roles()).collect();
    let rows = all.into_iter().map(|(addr, roles)| row(addr, roles, names));
    rows.filter(|row| !row.names.is_empty() || !row.roles.is_empty()).collect()
}

fn row(addr: Addr, roles: &[HostRole], names: &Names<'_>) -> HostRow {
    let roles = roles.iter().map(|role| RoleRow {
        role: names.role_name(role).to_owned(),
        basis: if role.by_site { "site" } else { "inferred" },
        because: Shown::text(&role.because),
        frames: role.frames.iter().map(|&frame| names.frame(frame)).collect(),
    });
    let mut called: Vec<Shown> = names.site_name(addr).into_iter().collect();
    for name in names.heard(addr) {
        if !called.contains(name) {
            called.push(name.clone());
        }
    }
    HostRow { address: Party::One(addr), names: called, roles: roles.collect() }
}
