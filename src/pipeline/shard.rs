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
    let [a, b] = key.low.halves();
    let [c, d] = key.high.halves();
    let ports = (u64::from(key.low_port) << 32) | (u64::from(key.high_port) << 8) | key.transport as u64;
    let mixed = (a ^ c.rotate_left(17)).wrapping_add(b ^ d.rotate_left(31)).wrapping_add(ports.rotate_left(7));
    mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The shard of a key, by its mix. Whoever crafts keys for one shard fills one table sooner, and finds no collision
/// inside it.
#[inline]
pub(crate) fn shard_of(mix: u64) -> usize {
    (mix >> 60) as usize
}

/// Hashes keys with a seed that no capture knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyHash(RandomState);

impl KeyHash {
    /// The hash of a key.
    #[inline]
    pub(crate) fn of(&self, key: &FlowKey) -> u64 {
        let mut hasher = self.0.build_hasher();
        let [a, b] = key.low.halves();
        let [c, d] = key.high.halves();
        if key.low.is_v4() && key.high.is_v4() {
            // All that tells two of these apart are the lower halves' lower halves.
            hasher.write_u64((b << 32) | (d & 0xffff_ffff));
        } else {
            hasher.write_u64(a);
            hasher.write_u64(b);
            hasher.write_u64(c);
            hasher.write_u64(d);
        }
        let ports = (u64::from(key.low_port) << 32) | (u64::from(key.high_port) << 8) | key.transport as u64;
        hasher.write_u64(ports);
        hasher.finish()
    }
}
