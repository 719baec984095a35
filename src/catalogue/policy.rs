//! Rows: who may speak to whom over which service, and the tables that judge a flow by them.
//!
//! Hands on which rows speak of a flow. It must never know what came of the flow.

use std::collections::HashMap;

use crate::catalogue::role::RoleId;
use crate::catalogue::role::RoleSet;
use crate::catalogue::service::PortIndex;
use crate::catalogue::service::Ports;
use crate::catalogue::service::ServiceId;
use crate::model::transport::Transport;
use crate::model::uuid::Uuid;

/// A row's place in [`Catalogue::rows`](crate::catalogue::Catalogue::rows).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct RowId(pub u32);

/// One row of a document: a service that hosts of one role use on hosts of another.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the rule file, independent of the others")]
pub struct Row {
    /// `<profile>/<id>`.
    pub id: String,
    /// The profile it belongs to.
    pub profile: String,
    /// Roles of the host that begins the flow: one of these. As written.
    pub from: Vec<RoleId>,
    /// Roles of the host that answers: one of these. As written.
    pub to: Vec<RoleId>,
    /// The service; none only where everything is allowed `between` the two.
    pub service: Option<ServiceId>,
    /// The ports that this document gives.
    pub ports: Vec<Ports>,
    /// The RPC interfaces it allows. Such a row says nothing of a port, only of an interface that was learned for it.
    pub interfaces: Vec<Uuid>,
    /// What for.
    pub purpose: String,
    /// Where the document says so.
    pub document: String,
    /// What the document prints where it errs, or a caveat.
    pub note: Option<String>,
    /// The facts of the documents that this row carries.
    pub seed: Vec<String>,
    /// The other direction is expected too.
    pub bidirectional: bool,
    /// Expected only beside a flow of one of these services between the same two hosts. Empty: expected by itself.
    pub related: Vec<ServiceId>,
    /// Printed in the document, and never used to judge.
    pub listed_only: bool,
    /// Every transport and port between the two is expected, in both directions.
    pub between: bool,
    /// Whether its range proves nothing (its service's [`dynamic`](crate::catalogue::service::Service::dynamic)).
    pub dynamic: bool,
    /// Whether its profile is active.
    pub active: bool,
}

impl Row {
    /// Whether the row is used to judge.
    pub fn judges(&self) -> bool {
        self.active && !self.listed_only
    }

    /// Whether these ports are but a range that proves nothing.
    pub fn is_range(&self, ports: Ports) -> bool {
        self.dynamic && ports.width() > 0 && ports.transport.has_ports()
    }
}

/// Which rows speak of a flow. Every list is in the order of the rows.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Judgement {
    /// Rows whose roles fit and which name the port.
    pub exact: Vec<RowId>,
    /// Rows whose roles fit, and of which only a dynamic range covers the port. Empty where a row is exact.
    pub range: Vec<RowId>,
    /// Rows whose roles fit and which cover the port, as companion of another flow only: see [`Row::related`].
    pub related: Vec<RowId>,
    /// Rows that name the port and fit with the roles swapped, and not as they are.
    pub reverse: Vec<RowId>,
    /// Rows that name the port, for other roles in either direction.
    pub other_roles: Vec<RowId>,
    /// Rows that allow everything between these roles.
    pub between: Vec<RowId>,
    /// Whether a row names the port, whatever its roles; companions and ranges do not count.
    pub known_port: bool,
}

/// Which rows speak of an RPC interface between two hosts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct InterfaceJudgement {
    /// Rows that allow it for these roles.
    pub allowed: Vec<RowId>,
    /// Whether any row speaks of it: then it is meant for certain roles only.
    pub governed: bool,
}

/// The rows that judge, by port.
#[derive(Debug, Default)]
pub(crate) struct Policy {
    ends: Vec<Ends>,
    exact: PortIndex,
    range: PortIndex,
    between: Vec<u32>,
    interfaces: HashMap<Uuid, Vec<u32>>,
}

/// The part of a row that judging reads.
#[derive(Debug)]
struct Ends {
    from: RoleSet,
    to: RoleSet,
    bidirectional: bool,
    companion: bool,
}

impl Ends {
    fn fit(&self, from: RoleSet, to: RoleSet) -> bool {
        self.from.meets(from) && self.to.meets(to)
    }
}

impl Policy {
    /// The tables for these rows.
    pub(crate) fn new(rows: &[Row]) -> Self {
        let numbered = || (0u32..).zip(rows).filter(|(_, row)| row.judges());
        let ports = |want_range: bool| {
            let of_ports = numbered().filter(|(_, row)| !row.between && row.interfaces.is_empty());
            of_ports.flat_map(move |(number, row)| {
                let kept = row.ports.iter().filter(move |&&ports| row.is_range(ports) == want_range);
                kept.map(move |&ports| (ports, number))
            })
        };
        let mut interfaces: HashMap<Uuid, Vec<u32>> = HashMap::new();
        for (number, row) in numbered() {
            for interface in &row.interfaces {
                interfaces.entry(*interface).or_default().push(number);
            }
        }
        Self {
            ends: rows
                .iter()
                .map(|row| Ends {
                    from: row.from.iter().copied().collect(),
                    to: row.to.iter().copied().collect(),
                    bidirectional: row.bidirectional,
                    companion: !row.related.is_empty(),
                })
                .collect(),
            exact: PortIndex::new(ports(false)),
            range: PortIndex::new(ports(true)),
            between: numbered().filter(|(_, row)| row.between).map(|(number, _)| number).collect(),
            interfaces,
        }
    }

    /// Which rows speak of an RPC interface; the role sets are closed and hold `any`.
    pub(crate) fn judge_interface(&self, from: RoleSet, to: RoleSet, interface: Uuid) -> InterfaceJudgement {
        let rows = self.interfaces.get(&interface).map(Vec::as_slice).unwrap_or_default();
        let fits = |number: &u32| {
            let row = usize::try_from(*number).ok().and_then(|at| self.ends.get(at));
            row.is_some_and(|row| row.fit(from, to) || (row.bidirectional && row.fit(to, from)))
        };
        let allowed = rows.iter().copied().filter(fits).map(RowId).collect();
        InterfaceJudgement { allowed, governed: !rows.is_empty() }
    }

    /// Which rows speak of a flow; the role sets are closed and hold `any`.
    pub(crate) fn judge(&self, from: RoleSet, to: RoleSet, transport: Transport, port: u16) -> Judgement {
        let mut judgement = Judgement::default();
        let ends = |number: u32| usize::try_from(number).ok().and_then(|at| self.ends.get(at));
        self.exact.at(transport, port, |number| {
            let Some(row) = ends(number) else { return };
            let fits = row.fit(from, to);
            let swapped = row.fit(to, from);
            let list = match (fits || (swapped && row.bidirectional), row.companion) {
                (true, true) => &mut judgement.related,
                (true, false) => &mut judgement.exact,
                (false, true) => return,
                (false, false) if swapped => &mut judgement.reverse,
                (false, false) => &mut judgement.other_roles,
            };
            list.push(RowId(number));
            judgement.known_port |= !row.companion;
        });
        self.range.at(transport, port, |number| {
            let Some(row) = ends(number) else { return };
            if row.fit(from, to) || (row.bidirectional && row.fit(to, from)) {
                let list = if row.companion { &mut judgement.related } else { &mut judgement.range };
                list.push(RowId(number));
            }
        });
        if !judgement.exact.is_empty() {
            judgement.range.clear();
        }
        for list in [
            &mut judgement.exact,
            &mut judgement.range,
            &mut judgement.related,
            &mut judgement.reverse,
            &mut judgement.other_roles,
        ] {
            list.sort_unstable();
            list.dedup();
        }
        let allows_all = |&&number: &&u32| ends(number).is_some_and(|row| row.fit(from, to) || row.fit(to, from));
        judgement.between = self.between.iter().filter(allows_all).map(|&number| RowId(number)).collect();
        judgement
    }
}
