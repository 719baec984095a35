//! Which services two hosts speak that let rows allow others beside them.

use std::collections::HashMap;

use foldhash::quality::RandomState;

use crate::catalogue::service::ServiceId;
use crate::classify::hosts::HostId;

type Map<K, V> = HashMap<K, V, RandomState>;

/// Services that rows name as companions of others, and between which hosts they were seen.
#[derive(Debug, Default)]
pub(crate) struct Companions {
    /// Two hosts, lower number first: which set of services they were seen speaking.
    pairs: Map<(HostId, HostId), CompanionsId>,
    ids: Map<Vec<ServiceId>, CompanionsId>,
    /// The sets, the empty one left out.
    sets: Vec<Vec<ServiceId>>,
}

/// A set of services that two hosts speak; 0 is the empty one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct CompanionsId(u32);

impl Companions {
    /// Notes that two hosts speak a service.
    pub(crate) fn add(&mut self, one: HostId, other: HostId, service: ServiceId) {
        let before = self.between(one, other);
        let mut set = self.set(before).to_vec();
        let Err(at) = set.binary_search(&service) else { return };
        set.insert(at, service);
        let id = if let Some(id) = self.ids.get(&set) {
            *id
        } else {
            self.sets.push(set.clone());
            let id = CompanionsId(u32::try_from(self.sets.len()).unwrap_or(0));
            self.ids.insert(set, id);
            id
        };
        self.pairs.insert((one.min(other), one.max(other)), id);
    }

    /// Which of these services two hosts were seen speaking.
    pub(crate) fn between(&self, one: HostId, other: HostId) -> CompanionsId {
        if self.pairs.is_empty() {
            return CompanionsId::default();
        }
        self.pairs.get(&(one.min(other), one.max(other))).copied().unwrap_or_default()
    }

    /// The services of such a set.
    pub(crate) fn set(&self, id: CompanionsId) -> &[ServiceId] {
        (id.0 as usize).checked_sub(1).and_then(|at| self.sets.get(at)).map_or(&[], Vec::as_slice)
    }
}
