//! Which flow the later fragments of a datagram belong to: a bounded memory of first fragments.
//!
//! Knows no bytes; it joins no payload together.

use std::hash::BuildHasher;
use std::time::Duration;

use foldhash::fast::RandomState;

use crate::model::addr::Addr;
use crate::model::addr::FlowKey;
use crate::model::addr::Side;
use crate::model::time::Timestamp;

/// Datagrams remembered at once. Entries leave in the order they came, so what is forgotten never depends on the seed.
const DATAGRAMS_MAX: usize = 4096;
/// How long the pieces of a datagram may be apart, as in Linux (`ipfrag_time`).
const TIMEOUT: Duration = Duration::from_secs(30);
const NONE: u16 = u16::MAX;

const _: () = assert!(DATAGRAMS_MAX < NONE as usize && DATAGRAMS_MAX.is_power_of_two());

/// What the pieces of one datagram have in common (RFC 791 section 3.2, RFC 8200 section 4.5).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Datagram {
    pub(super) src: Addr,
    pub(super) dst: Addr,
    pub(super) id: u32,
    pub(super) protocol: u8,
}

struct Entry {
    datagram: Datagram,
    flow: (FlowKey, Side),
    ts: Timestamp,
    /// The next entry of the same chain, or `NONE`.
    next: u16,
}

/// First fragments of the last half minute: a ring of entries, and chains through it by hash.
pub(super) struct FirstFragments {
    seed: RandomState,
    heads: Box<[u16]>,
    entries: Vec<Entry>,
    oldest: usize,
}

impl FirstFragments {
    /// Allocates once; neither insertion nor look-up does.
    pub(super) fn new() -> Self {
        Self {
            seed: RandomState::default(),
            heads: vec![NONE; DATAGRAMS_MAX].into_boxed_slice(),
            entries: Vec::with_capacity(DATAGRAMS_MAX),
            oldest: 0,
        }
    }

    /// Remembers the flow of a datagram. True if one that was still in time had to be forgotten for it.
    pub(super) fn insert(&mut self, datagram: Datagram, flow: (FlowKey, Side), ts: Timestamp) -> bool {
        if let Some(entry) = self.place_of(&datagram).and_then(|place| self.entries.get_mut(usize::from(place))) {
            entry.flow = flow;
            entry.ts = ts;
            return false;
        }
        let place = if self.entries.len() < DATAGRAMS_MAX { self.entries.len() } else { self.oldest };
        let evicted = self.unlink(place).is_some_and(|then| ts.since(then) <= TIMEOUT);
        let chain = self.chain_of(&datagram);
        let Ok(number) = u16::try_from(place) else { return evicted };
        let next = self.heads.get_mut(chain).map_or(NONE, |head| std::mem::replace(head, number));
        let entry = Entry { datagram, flow, ts, next };
        match self.entries.get_mut(place) {
            Some(old) => {
                *old = entry;
                self.oldest = (place + 1) % DATAGRAMS_MAX;
            }
            None => self.entries.push(entry),
        }
        evicted
    }

    /// The flow of a datagram whose first fragment came less than half a minute before `ts`.
    pub(super) fn flow_of(&self, datagram: &Datagram, ts: Timestamp) -> Option<(FlowKey, Side)> {
        let entry = self.entries.get(usize::from(self.place_of(datagram)?))?;
        (ts.since(entry.ts) <= TIMEOUT).then_some(entry.flow)
    }

    #[expect(clippy::cast_possible_truncation, reason = "only the low bits choose a chain")]
    fn chain_of(&self, datagram: &Datagram) -> usize {
        self.seed.hash_one(datagram) as usize % DATAGRAMS_MAX
    }

    fn place_of(&self, datagram: &Datagram) -> Option<u16> {
        let mut place = self.heads.get(self.chain_of(datagram)).copied()?;
        while let Some(entry) = self.entries.get(usize::from(place)) {
            if entry.datagram == *datagram {
                return Some(place);
            }
            place = entry.next;
        }
        None
    }

    /// Takes the entry at `place`, if there is one, out of its chain; its time.
    fn unlink(&mut self, place: usize) -> Option<Timestamp> {
        let old = self.entries.get(place)?;
        let (ts, after, chain) = (old.ts, old.next, self.chain_of(&old.datagram));
        let head = self.heads.get_mut(chain)?;
        let mut before = usize::from(*head);
        if before == place {
            *head = after;
            return Some(ts);
        }
        while let Some(entry) = self.entries.get_mut(before) {
            before = usize::from(entry.next);
            if before == place {
                entry.next = after;
                break;
            }
        }
        Some(ts)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop here")]

    use super::*;
    use crate::model::transport::Transport;

    fn datagram(id: u32) -> Datagram {
        Datagram { src: Addr::v4([10, 0, 0, 1]), dst: Addr::v4([10, 0, 0, 2]), id, protocol: 17 }
    }

    fn flow(port: u16) -> (FlowKey, Side) {
        FlowKey::of(Addr::v4([10, 0, 0, 1]), port, Addr::v4([10, 0, 0, 2]), 88, Transport::Udp)
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp(seconds * 1_000_000_000)
    }

    #[test]
    fn follows_for_thirty_seconds() {
        let mut table = FirstFragments::new();
        assert!(!table.insert(datagram(7), flow(1), at(100)));
        assert_eq!(table.flow_of(&datagram(7), at(130)), Some(flow(1)));
        assert_eq!(table.flow_of(&datagram(7), at(131)), None);
        assert_eq!(table.flow_of(&datagram(8), at(100)), None);
        assert_eq!(table.flow_of(&Datagram { protocol: 6, ..datagram(7) }, at(100)), None);
    }

    #[test]
    fn a_reused_number_means_the_newer_flow() {
        let mut table = FirstFragments::new();
        table.insert(datagram(7), flow(1), at(100));
        table.insert(datagram(7), flow(2), at(200));
        assert_eq!(table.flow_of(&datagram(7), at(201)), Some(flow(2)));
    }

    #[test]
    fn the_oldest_leave_first_and_nothing_grows() {
        let mut table = FirstFragments::new();
        let capacity = table.entries.capacity();
        let many = u32::try_from(DATAGRAMS_MAX).unwrap() * 3;
        let evicted = (0..many).filter(|&id| table.insert(datagram(id), flow(1), at(100))).count();
        assert_eq!(evicted, DATAGRAMS_MAX * 2);
        assert_eq!(table.entries.capacity(), capacity);
        let kept: Vec<u32> = (0..many).filter(|&id| table.flow_of(&datagram(id), at(100)).is_some()).collect();
        let newest: Vec<u32> = (many / 3 * 2..many).collect();
        assert_eq!(kept, newest);
    }

    #[test]
    fn forgetting_what_is_stale_is_no_eviction() {
        let mut table = FirstFragments::new();
        for id in 0..u32::try_from(DATAGRAMS_MAX).unwrap() {
            table.insert(datagram(id), flow(1), at(100));
        }
        assert!(!table.insert(datagram(1_000_000), flow(1), at(131)));
    }
}
