//! Roles: what kind of host it is, and sets of them.
//!
//! Hands on small sets that are cheap to compare. It must never know which host has which role.

use crate::catalogue::service::ServiceId;

/// So many roles can exist, the built-in one among them.
pub const ROLES_MAX: usize = 128;

/// A role's place in [`Catalogue::roles`](crate::catalogue::Catalogue::roles); less than [`ROLES_MAX`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct RoleId(pub u8);

impl RoleId {
    /// The built-in role `any`, which every host has, a host without a known role too.
    pub const ANY: Self = Self(0);
}

/// A set of roles.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct RoleSet(pub u128);

impl RoleSet {
    /// The set without a role.
    pub const EMPTY: Self = Self(0);

    /// The set of every role that there may be.
    pub const ALL: Self = Self(u128::MAX);

    /// The set of one role.
    pub fn of(role: RoleId) -> Self {
        Self(1u128.checked_shl(u32::from(role.0)).unwrap_or(0))
    }

    /// Whether the role is in the set.
    pub fn contains(self, role: RoleId) -> bool {
        self.meets(Self::of(role))
    }

    /// Puts the role into the set.
    pub fn insert(&mut self, role: RoleId) {
        self.0 |= Self::of(role).0;
    }

    /// The roles of either set.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the two sets have a role in common.
    pub fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether no role is in the set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The roles of the set in order.
    pub fn iter(self) -> impl Iterator<Item = RoleId> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let role = u8::try_from(left.trailing_zeros()).ok().filter(|_| left != 0)?;
            left &= left - 1;
            Some(RoleId(role))
        })
    }
}

impl FromIterator<RoleId> for RoleSet {
    fn from_iter<I: IntoIterator<Item = RoleId>>(roles: I) -> Self {
        let mut set = Self::EMPTY;
        for role in roles {
            set.insert(role);
        }
        set
    }
}

/// A kind of host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Role {
    /// The name used in rules and reports.
    pub id: String,
    /// The name for people.
    pub title: String,
    /// The roles that a host of this role has as well, those implied by these among them, and the role itself.
    pub closure: RoleSet,
}

/// How a role is recognised in traffic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoleInference {
    /// The role.
    pub role: RoleId,
    /// What has to be seen of the host.
    pub basis: RoleBasis,
}

/// What has to be seen of a host before it is given a role.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RoleBasis {
    /// It answered these services as responder of an open flow.
    Answers {
        /// Each of these.
        all: Vec<ServiceId>,
        /// One of these, unless the list is empty.
        any: Vec<ServiceId>,
    },
    /// Payload proved it, in one of these ways.
    Proved {
        /// Names of proofs, of [`PROOFS`].
        by: Vec<String>,
    },
    /// It asked one of these services of a host of that role, and has no role by what it answers.
    Asks {
        /// The role of the host that was asked.
        of: RoleId,
        /// One of these.
        any: Vec<ServiceId>,
    },
}

/// The ways in which payload proves that a host is a domain controller: it answers the ping of Netlogon, its LDAP root
/// entry says so, it has the `NetBIOS` group name of controllers, DNS names it as one, it takes calls for the directory's
/// replication.
pub const PROOFS: [&str; 5] = ["netlogon", "ldap_root", "netbios_group", "dns_srv", "drsuapi"];

/// Every role with those it implies, directly or not. `direct` holds, per role, the ones it names.
pub(crate) fn closures(direct: &[RoleSet]) -> Vec<RoleSet> {
    let own = (0..ROLES_MAX).filter_map(|role| u8::try_from(role).ok()).map(|role| RoleSet::of(RoleId(role)));
    let mut closed: Vec<RoleSet> = direct.iter().zip(own).map(|(set, own)| set.union(own)).collect();
    loop {
        let wider: Vec<RoleSet> = closed.iter().map(|&set| close(&closed, set)).collect();
        if wider == closed {
            return closed;
        }
        closed = wider;
    }
}

/// The set with what each of its roles brings along.
pub(crate) fn close(closed: &[RoleSet], set: RoleSet) -> RoleSet {
    set.iter().filter_map(|role| closed.get(usize::from(role.0))).fold(set, |all, &more| all.union(more))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_lists_what_was_put_in() {
        let set: RoleSet = [RoleId(127), RoleId(0), RoleId(63), RoleId(64)].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [RoleId(0), RoleId(63), RoleId(64), RoleId(127)]);
        assert!(set.contains(RoleId(64)) && !set.contains(RoleId(65)));
        assert_eq!(RoleSet::EMPTY.iter().count(), 0);
    }

    #[test]
    fn closures_follow_chains_and_end_in_circles() {
        let of = |role| RoleSet::of(RoleId(role));
        let chain = closures(&[RoleSet::EMPTY, of(2), of(3), RoleSet::EMPTY]);
        assert_eq!(chain[1], of(1).union(of(2)).union(of(3)));
        assert_eq!(chain[3], of(3));
        let circle = closures(&[of(1), of(2), of(0)]);
        assert_eq!(circle[0], RoleSet(0b111));
    }
}
