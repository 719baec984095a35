//! What one RPC connection showed: which interfaces it was bound to, what was refused, which calls failed.
//!
//! This file must never know whether an interface is allowed, nor where bytes come from.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use crate::model::addr::FlowKey;
use crate::model::addr::Side;
use crate::model::ids::FrameId;
use crate::model::time::Timestamp;
use crate::model::uuid::InterfaceId;

/// Interfaces kept for one flow, accepted and refused ones each.
pub const INTERFACES_MAX: usize = 64;
/// Operations kept for one interface of one flow.
pub const OPNUMS_MAX: usize = 32;
/// Kinds of faults kept for one flow.
pub const FAULTS_MAX: usize = 8;

/// When and in which frame something was seen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord, Default)]
pub struct Moment {
    /// Packet time.
    pub ts: Timestamp,
    /// The frame that completed it.
    pub frame: FrameId,
}

/// One flow: five-tuples are used again, so the frame it began with belongs to its name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FlowId {
    /// Its two ends.
    pub key: FlowKey,
    /// Its first frame.
    pub first_frame: FrameId,
}

impl Ord for FlowId {
    fn cmp(&self, other: &Self) -> Ordering {
        let ends = |id: &Self| (id.key.end(Side::Low), id.key.end(Side::High), id.key.transport);
        // The frame alone tells nearly all apart.
        self.first_frame.cmp(&other.first_frame).then_with(|| ends(self).cmp(&ends(other)))
    }
}

impl PartialOrd for FlowId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// An interface that the server accepted on a flow.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bound {
    /// The interface.
    pub interface: InterfaceId,
    /// When it was accepted.
    pub at: Moment,
    /// Operations that were called on it, in order; the first [`OPNUMS_MAX`] different ones.
    pub opnums: Vec<u16>,
}

impl Bound {
    /// Adds operations; how many did not fit.
    fn add(&mut self, opnums: &[u16]) -> u64 {
        let mut over = 0;
        for opnum in opnums {
            let Err(place) = self.opnums.binary_search(opnum) else { continue };
            if self.opnums.len() < OPNUMS_MAX {
                self.opnums.insert(place, *opnum);
            } else {
                over += 1;
            }
        }
        over
    }
}

/// An interface that the server did not accept on a flow under any transfer syntax.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rejected {
    /// The interface.
    pub interface: InterfaceId,
    /// When.
    pub at: Moment,
    /// The result: 1 the user's rejection, 2 the provider's (C706 section 12.6.3.1).
    pub result: u16,
    /// The provider's reason: 1 interface not there, 2 no transfer syntax in common, 3 a limit.
    pub reason: u16,
}

/// A status that calls failed with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The status: 5 access denied, 0x1c010003 interface unknown, and others (C706 appendix E, MS-ERREF).
    pub status: u32,
    /// The interface of the call, where known.
    pub interface: Option<InterfaceId>,
    /// When first.
    pub at: Moment,
}

/// How a client authenticated when it bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub struct Protection {
    /// 1 none, 2 connect, 3 call, 4 packet, 5 integrity, 6 privacy (MS-RPCE section 2.2.1.1.8). The highest seen.
    pub level: u8,
    /// The mechanism: 9 SPNEGO, 10 NTLM, 16 Kerberos, 68 Netlogon.
    pub mechanism: u8,
}

/// What one flow showed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RpcFlow {
    /// The first PDU.
    pub first: Moment,
    /// The end that asks, by the kinds of PDUs it sends.
    pub client: Option<Side>,
    /// It began with the greeting of RPC over HTTP version 1.
    pub http: bool,
    /// What was accepted, in the order it was; the first [`INTERFACES_MAX`].
    pub bound: Vec<Bound>,
    /// What the client offered last without an answer, and when: the flow broke off, or only one direction was captured.
    pub offered: Option<(Moment, BTreeSet<InterfaceId>)>,
    /// What was not; the first [`INTERFACES_MAX`].
    pub rejected: Vec<Rejected>,
    /// The whole bind was refused: reason, and when (C706 section 12.6.3.1, `p_reject_reason_t`).
    pub refused: Option<(u16, Moment)>,
    /// Different failures; the first [`FAULTS_MAX`].
    pub faults: Vec<Fault>,
    /// How the client authenticated.
    pub protection: Option<Protection>,
    /// The port that the server gave as its own, where it is not the one that the client connected to.
    pub port_translated: Option<u16>,
    /// The first question to the endpoint mapper that cannot be read, because it is encrypted.
    pub mapper_sealed: Option<Moment>,
    /// The first activation or object resolution whose answer cannot be read, because it is encrypted.
    pub dcom_sealed: Option<Moment>,
}

impl RpcFlow {
    /// Adds what another conversation in a pipe of the same name showed, or what the same one has shown by now. How many
    /// facts did not fit.
    pub(super) fn merge(&mut self, other: &Self) -> u64 {
        let mut over = 0;
        if self.first == Moment::default() || other.first < self.first {
            self.first = other.first;
        }
        self.client = self.client.or(other.client);
        for more in &other.bound {
            if let Some(bound) = self.bound.iter_mut().find(|bound| bound.interface == more.interface) {
                over += bound.add(&more.opnums);
            } else if self.bound.len() < INTERFACES_MAX {
                self.bound.push(more.clone());
            } else {
                over += 1;
            }
        }
        for more in &other.rejected {
            if self.rejected.iter().any(|rejected| rejected.interface == more.interface) {
                continue;
            }
            if self.rejected.len() < INTERFACES_MAX {
                self.rejected.push(*more);
            } else {
                over += 1;
            }
        }
        for more in &other.faults {
            if self.faults.iter().any(|fault| (fault.status, fault.interface) == (more.status, more.interface)) {
                continue;
            }
            if self.faults.len() < FAULTS_MAX {
                self.faults.push(*more);
            } else {
                over += 1;
            }
        }
        self.offered.clone_from(&other.offered);
        self.refused = self.refused.or(other.refused);
        self.protection = self.protection.max(other.protection);
        self.mapper_sealed = self.mapper_sealed.or(other.mapper_sealed);
        self.dcom_sealed = self.dcom_sealed.or(other.dcom_sealed);
        over
    }

    /// The entry of an accepted interface.
    pub fn bound_to(&self, interface: InterfaceId) -> Option<&Bound> {
        self.bound.iter().find(|bound| bound.interface == interface)
    }
}
