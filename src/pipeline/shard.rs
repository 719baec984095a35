//! Which table a flow lives in, and the seeded hash by which the table finds it.
//!
//! There are always [`SHARDS`] tables, whatever the number of workers: what a full table gives up, and so every
//! total, is then the same for any number of threads.

use std::hash::BuildHasher;
use std::hash::Hasher;

use foldhash::fast::RandomState;

use crate::model::addr::FlowKey;

/// Tables in all, and so the most workers that can have work.
pub(crate) const SHARDS: usize = 16;

/// All bits of a key, mixed without a seed: what depends on it is the same in every run.
#[inline]
pub(crate) fn mix_of(key: &FlowKey) -> u64 {
    if let Some(words) = key.v4_words() {
        return mix_of_v4(words);
    }
    let [a, b] = key.low.halves();
    let [c, d] = key.high.halves();
    (a ^ c.rotate_left(17)).wrapping_add(b ^ d.rotate_left(31)).wrapping_add(rest(key).rotate_left(7)).wrapping_mul(ODD)
}

/// The same of [`FlowKey::v4_words`].
#[inline]
pub(crate) fn mix_of_v4([addrs, rest]: [u64; 2]) -> u64 {
    (addrs ^ rest.rotate_left(31)).wrapping_mul(ODD)
}

/// Bits without a pattern: the golden ratio's.
const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

/// What addresses do not say of a key.
#[inline]
fn rest(key: &FlowKey) -> u64 {
    (u64::from(key.low_port) << 32) | (u64::from(key.high_port) << 8) | key.transport as u64
}

/// The shard of a key, by its mix. Whoever crafts keys for one shard fills one table sooner, and finds no collision
/// inside it.
#[inline]
pub(crate) fn shard_of(mix: u64) -> u8 {
    (mix >> 60) as u8
}

/// Hashes keys with a seed that no capture knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyHash(RandomState);

impl KeyHash {
    /// The hash of a key.
    #[inline]
    pub(crate) fn of(&self, key: &FlowKey) -> u64 {
        if let Some(words) = key.v4_words() {
            return self.of_v4(words);
        }
        let [[a, b], [c, d]] = [key.low.halves(), key.high.halves()];
        self.of_words([a, b, c, d, rest(key)])
    }

    /// The same of [`FlowKey::v4_words`].
    #[inline]
    pub(crate) fn of_v4(&self, words: [u64; 2]) -> u64 {
        self.of_words(words)
    }

    #[inline]
    fn of_words<const N: usize>(&self, words: [u64; N]) -> u64 {
        let mut hasher = self.0.build_hasher();
        for word in words {
            hasher.write_u64(word);
        }
        hasher.finish()
    }
}
