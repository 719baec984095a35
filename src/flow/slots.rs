//! From a hash to the numbers of entries that may have it: four bytes a slot, open addressing.
//!
//! A slot holds eight bits of the hash, how far it lies from where the search for it begins, and a number, so that sixteen
//! of them lie in a cache line, a scan of millions of flows costs little, and taking one out moves those behind it without a
//! look at their entries. It must never know what an entry is.

use prefetch_index::prefetch_index;

/// The numbers of entries by the low half of their hashes, their tags.
#[derive(Debug)]
pub(crate) struct Slots {
    /// The top eight bits of the tag, the distance, the number; 0 = empty.
    slots: Vec<u32>,
    used: usize,
}

const NUMBER_BITS: u32 = 21;
const NUMBER: u32 = (1 << NUMBER_BITS) - 1;
/// Where the bits of the tag begin.
const TAG_BITS: u32 = 24;
const TAG: u32 = !((1 << TAG_BITS) - 1);
/// The distance of a slot that lies so far away, or farther, as few do.
const FAR: u32 = (1 << (TAG_BITS - NUMBER_BITS)) - 1;

impl Default for Slots {
    fn default() -> Self {
        Self { slots: vec![0; 1 << 10], used: 0 }
    }
}

/// What stands in the slot of a number that lies so far from its home.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "FAR at most")]
fn slot_of(tag: u32, distance: usize, number: u32) -> u32 {
    tag & TAG | (distance.min(FAR as usize) as u32) << NUMBER_BITS | number
}

impl Slots {
    /// The largest number that a slot can hold.
    pub(crate) const NUMBER_MAX: usize = NUMBER as usize;

    /// Asks for the cache line where the search for a tag begins.
    #[inline]
    pub(crate) fn prefetch(&self, tag: u32) {
        prefetch_index(&self.slots, self.home(tag));
    }

    /// The first number whose entry may have this tag and is the one wanted.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "asked twice for each packet")]
    pub(crate) fn find(&self, tag: u32, wanted: impl Fn(u32) -> bool) -> Option<u32> {
        let mask = self.slots.len() - 1;
        let mut at = self.home(tag);
        loop {
            let slot = *self.slots.get(at)?;
            if slot == 0 {
                return None;
            }
            if (slot ^ tag) >> TAG_BITS == 0 && wanted(slot & NUMBER) {
                return Some(slot & NUMBER);
            }
            at = (at + 1) & mask;
        }
    }

    /// Whether it must [`rebuild`](Self::rebuild) before the next number comes in.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        // Up to five eighths, so that a search ends within a line.
        (self.used + 1) * 8 > self.slots.len() * 5
    }

    /// Takes in a number whose entry has this tag.
    pub(crate) fn insert(&mut self, tag: u32, number: u32) {
        let mask = self.slots.len() - 1;
        let home = self.home(tag);
        for distance in 0..=mask {
            let Some(slot) = self.slots.get_mut((home + distance) & mask) else { return };
            if *slot == 0 {
                *slot = slot_of(tag, distance, number);
                self.used += 1;
                return;
            }
        }
    }

    /// Makes twice the room for all numbers, given with their tags.
    #[cold]
    pub(crate) fn rebuild(&mut self, all: impl Iterator<Item = (u32, u32)>) {
        *self = Self { slots: vec![0; self.slots.len() * 2], used: 0 };
        for (tag, number) in all {
            self.insert(tag, number);
        }
    }

    /// Lets the slot of `old` lead to `fresh`, which has the same tag; false if there is none.
    pub(crate) fn replace(&mut self, tag: u32, old: u32, fresh: u32) -> bool {
        let Some(slot) = self.place_of(tag, old).and_then(|at| self.slots.get_mut(at)) else { return false };
        *slot = *slot & !NUMBER | fresh;
        true
    }

    /// Takes the slot of a number out, if it has one, and closes the gap (Knuth 6.4, algorithm R). `tag_of` gives the
    /// tags of others: it is asked for few, those that lie far from home.
    pub(crate) fn remove(&mut self, tag: u32, number: u32, tag_of: impl Fn(u32) -> u32) {
        let mask = self.slots.len() - 1;
        let Some(mut gap) = self.place_of(tag, number) else { return };
        let mut at = gap;
        loop {
            at = (at + 1) & mask;
            let Some(slot) = self.slots.get(at).copied().filter(|slot| *slot != 0) else { break };
            let distance = match slot >> NUMBER_BITS & FAR {
                FAR => at.wrapping_sub(self.home(tag_of(slot & NUMBER))) & mask,
                near => near as usize,
            };
            let back = at.wrapping_sub(gap) & mask;
            // It may move to the gap unless its search begins behind that.
            if back <= distance {
                if let Some(place) = self.slots.get_mut(gap) {
                    *place = slot_of(slot, distance - back, slot & NUMBER);
                }
                gap = at;
            }
        }
        if let Some(place) = self.slots.get_mut(gap) {
            *place = 0;
        }
        self.used -= 1;
    }

    fn place_of(&self, tag: u32, number: u32) -> Option<usize> {
        let mask = self.slots.len() - 1;
        let mut at = self.home(tag);
        loop {
            let slot = self.slots.get(at).copied().filter(|slot| *slot != 0)?;
            if slot & NUMBER == number {
                return Some(at);
            }
            at = (at + 1) & mask;
        }
    }

    #[inline]
    fn home(&self, tag: u32) -> usize {
        tag as usize & (self.slots.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tags of few homes, so that runs are long and wrap around.
    fn tag(number: u32) -> u32 {
        let mixed = number.wrapping_mul(0x9e37_79b1);
        (mixed & TAG) | 0x3f0 | (mixed & 0xf)
    }

    #[test]
    fn what_was_taken_in_is_found_until_it_is_taken_out() {
        let mut slots = Slots::default();
        for number in 1..=600 {
            slots.insert(tag(number), number);
        }
        for number in (1..=600).filter(|number| number % 3 == 0) {
            slots.remove(tag(number), number, tag);
        }
        // The distance that stands in each is the one it has.
        for (at, slot) in slots.slots.iter().enumerate().filter(|(_, slot)| **slot != 0) {
            let far = at.wrapping_sub(slots.home(tag(slot & NUMBER))) & (slots.slots.len() - 1);
            assert_eq!(*slot, slot_of(tag(slot & NUMBER), far, slot & NUMBER));
        }
        assert!(slots.replace(tag(7), 7, 777) && !slots.replace(tag(9), 9, 999));
        for number in (1..=600).filter(|number| *number != 7) {
            let found = slots.find(tag(number), |candidate| candidate == number).is_some();
            assert_eq!(found, number % 3 != 0, "{number}");
        }
        assert!(slots.find(tag(7), |candidate| candidate == 777).is_some());
        assert_eq!(slots.used, 400);
    }

    #[test]
    fn it_says_when_it_is_full_and_keeps_all_when_it_grows() {
        let mut slots = Slots::default();
        let mut number = 0;
        while !slots.is_full() {
            number += 1;
            slots.insert(tag(number), number);
        }
        slots.rebuild((1..=number).map(|number| (tag(number), number)));
        assert!(!slots.is_full() && slots.slots.len() == 1 << 11);
        assert!((1..=number).all(|number| slots.find(tag(number), |candidate| candidate == number).is_some()));
    }
}
