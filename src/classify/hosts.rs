//! Hosts by number: an address is looked up once, and what is known of its host stands in plain lists from then on.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::num::NonZeroU32;

use foldhash::quality::RandomState;
use prefetch_index::prefetch_index;

use crate::model::addr::Addr;

/// A host's place in [`Hosts`], from 1, so that "no host" needs no room of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct HostId(NonZeroU32);

impl HostId {
    fn at(place: usize) -> Self {
        Self(u32::try_from(place + 1).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MAX))
    }

    /// The number.
    #[inline]
    pub(crate) fn number(self) -> u32 {
        self.0.get()
    }

    /// The place in a list with an item for each host.
    #[inline]
    pub fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// Every host that was met, numbered in the order of their first mention. At most 2^32.
#[derive(Debug, Default)]
pub struct Hosts {
    v4: V4,
    v6: HashMap<Addr, HostId, RandomState>,
    addrs: Vec<Addr>,
}

impl Hosts {
    /// The number of a host, a new one if it has none.
    #[inline]
    pub fn number(&mut self, addr: Addr) -> HostId {
        let next = HostId::at(self.addrs.len());
        let number = match addr.as_v4_bits() {
            Some(bits) => self.v4.number(bits, next),
            None => *self.v6.entry(addr).or_insert(next),
        };
        if number == next {
            self.addrs.push(addr);
        }
        number
    }

    /// Asks memory for what tells the number of a host.
    #[inline]
    pub(crate) fn prefetch(&self, addr: Addr) {
        if let Some(bits) = addr.as_v4_bits() {
            prefetch_index(&self.v4.slots, self.v4.first_slot(bits));
        }
    }

    /// The number of a host, if it has one.
    pub fn find(&self, addr: Addr) -> Option<HostId> {
        match addr.as_v4_bits() {
            Some(bits) => self.v4.find(bits),
            None => self.v6.get(&addr).copied(),
        }
    }

    /// The address of a host; that of nobody if the number is not of this list.
    #[inline]
    pub fn addr(&self, host: HostId) -> Addr {
        self.addrs.get(host.index()).copied().unwrap_or(Addr::UNSPECIFIED)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.addrs.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.addrs.is_empty()
    }

    /// All, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (HostId, Addr)> + '_ {
        (0..).map(HostId::at).zip(self.addrs.iter().copied())
    }
}

/// The numbers of IPv4 addresses: a scan names millions of them, so that a place must be small, and known before it is
/// looked at. Each lies in its slot, or in the next one after it that was free.
#[derive(Debug, Default)]
struct V4 {
    /// None, or a power of two; a quarter of them is free.
    slots: Vec<(u32, Option<HostId>)>,
    len: usize,
    hash: RandomState,
}

/// Slots of the first addresses.
const SLOTS_MIN: usize = 1 << 8;

impl V4 {
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "masked to the size")]
    fn first_slot(&self, bits: u32) -> usize {
        self.hash.hash_one(bits) as usize & self.slots.len().wrapping_sub(1)
    }

    /// Where an address lies, or would.
    #[inline]
    fn slot(&self, bits: u32) -> usize {
        let mut at = self.first_slot(bits);
        while let Some((known, Some(_))) = self.slots.get(at)
            && *known != bits
        {
            at = (at + 1) & (self.slots.len() - 1);
        }
        at
    }

    fn find(&self, bits: u32) -> Option<HostId> {
        self.slots.get(self.slot(bits)).and_then(|(_, number)| *number)
    }

    /// The number of an address, which is `next` if it has none yet.
    #[inline]
    fn number(&mut self, bits: u32, next: HostId) -> HostId {
        if self.len >= self.slots.len() / 4 * 3 {
            self.grow();
        }
        let at = self.slot(bits);
        let Some((place, number)) = self.slots.get_mut(at) else { return next };
        if number.is_none() {
            self.len += 1;
            *place = bits;
        }
        *number.get_or_insert(next)
    }

    #[cold]
    fn grow(&mut self) {
        let slots = vec![(0, None); (2 * self.slots.len()).max(SLOTS_MIN)];
        for (bits, number) in std::mem::replace(&mut self.slots, slots) {
            let at = self.slot(bits);
            if let Some(place) = self.slots.get_mut(at).filter(|_| number.is_some()) {
                *place = (bits, number);
            }
        }
    }
}

/// Some of all hosts. Every flow asks, so that it is no set of numbers.
#[derive(Debug, Default)]
pub(crate) struct Marked(Vec<bool>);

impl Marked {
    /// Adds one.
    pub(crate) fn add(&mut self, host: HostId) {
        if self.0.len() <= host.index() {
            self.0.resize(host.index() + 1, false);
        }
        if let Some(place) = self.0.get_mut(host.index()) {
            *place = true;
        }
    }

    /// Whether it is one of them.
    #[inline]
    pub(crate) fn has(&self, host: HostId) -> bool {
        self.0.get(host.index()).is_some_and(|marked| *marked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_keeps_its_number() {
        let mut hosts = Hosts::default();
        let [one, two] = [1, 2].map(|last| Addr::v4([10, 0, 0, last]));
        let numbers = [one, two, one].map(|addr| hosts.number(addr));
        assert_eq!(numbers, [HostId::at(0), HostId::at(1), HostId::at(0)]);
        assert_eq!((hosts.find(two), hosts.addr(numbers[1])), (Some(numbers[1]), two));
        assert_eq!(hosts.find(Addr::v4([10, 0, 0, 3])), None);
        assert_eq!(hosts.iter().collect::<Vec<_>>(), [(numbers[0], one), (numbers[1], two)]);
    }

    #[test]
    fn many_hosts_keep_their_numbers() {
        let mut hosts = Hosts::default();
        let addrs =
            || (0..1000_u32).map(|bits| Addr::v4_bits(bits << 16)).chain([Addr::v6([1; 16]), Addr::v6([2; 16])]);
        let numbers: Vec<HostId> = addrs().map(|addr| hosts.number(addr)).collect();
        assert_eq!(hosts.len(), 1002);
        for (addr, number) in addrs().zip(numbers) {
            assert_eq!((hosts.number(addr), hosts.find(addr), hosts.addr(number)), (number, Some(number), addr));
        }
        assert_eq!(hosts.find(Addr::v4_bits(1)), None);
    }
}
