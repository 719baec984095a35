//! Copies of one packet: a span port that mirrors both ways, a capture before and after a router.
//!
//! A copy is not a retransmission: the same IP-ID, sequence numbers, flags, length and checksum come again within
//! [`WINDOW_NS`], or [`WINDOW_NUMBERED_NS`] where an IP-ID tells packets apart. A small table of recent packets is
//! enough, since copies arrive within milliseconds.

#![expect(clippy::inline_always, reason = "they look at a packet that is in registers only")]

use prefetch_index::prefetch_index;

use crate::decode::packet::Words;

/// How far apart two copies may be: 5 ms (SEMANTICS section 1, guards). Retransmission timers start at 200 ms.
pub const WINDOW_NS: u64 = 5_000_000;

/// How far apart two copies may be that have an IP-ID: 0.9 s, as of two sensors whose clocks differ. A system that sends a
/// packet again numbers it anew, and those few that do not repeat a SYN or a question after a second at the earliest.
pub const WINDOW_NUMBERED_NS: u64 = 900_000_000;

const PLACES_BITS: u32 = 10;
const PLACES: usize = 1 << PLACES_BITS;

/// The recent packets of one table, by their likenesses. Fixed memory: 16 KiB.
#[derive(Debug)]
pub struct Recent {
    places: Box<[Place; PLACES]>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    likeness: Likeness,
    ts: u64,
}

/// Nothing was seen at the end of time.
const NOBODY: Place = Place { likeness: Likeness(0), ts: u64::MAX };

/// What a packet shares with its copies, in one number: the place where packets like it are remembered, whether an IP-ID
/// tells them apart, and a signature in all bits above.
///
/// The place has no seed, so that every run of the same capture forgets the same packets; the signature has one, so that
/// nobody can aim at it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Likeness(u64);

/// Set in the likeness of a packet that has an IP-ID.
const NUMBERED: u64 = 1 << PLACES_BITS;

/// The bits above that.
const SIGNATURE: u64 = u64::MAX << (PLACES_BITS + 1);

/// Where [`Words::lengths`] has it.
const IP_ID: u64 = 0xffff << 1;

impl Likeness {
    /// Of a packet of these words; `mix` is its key without a seed, `hash` the seeded one.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the product is taken apart")]
    pub fn of(words: Words, mix: u64, hash: u64) -> Self {
        let Words { numbers, rest, lengths } = words;
        // Over IPv6 there is no IP-ID, and who only receives always has the same sequence number.
        let place = mix ^ numbers ^ numbers.rotate_left(48) ^ lengths.rotate_left(31);
        let place = place.wrapping_mul(0xd6e8_feb8_6659_fd93) >> (64 - PLACES_BITS);
        let numbered = if lengths & IP_ID == 0 { 0 } else { NUMBERED };
        // Numbers and rest multiplied with each other and folded, the seed among them; lengths by themselves: a window or
        // flags must not make up for an IP-ID, since where checksums are left to hardware nothing else tells such packets
        // apart.
        let product = u128::from(numbers ^ hash) * u128::from(rest ^ 0xc2b2_ae3d_27d4_eb4f);
        let folded = product as u64 ^ (product >> 64) as u64 ^ lengths.wrapping_mul(0x1656_67b1_9e37_79f9);
        Self(folded & SIGNATURE | numbered | place)
    }

    /// Its place among the remembered packets.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the lowest bits")]
    fn place(self) -> usize {
        self.0 as usize % PLACES
    }
}

impl Default for Recent {
    fn default() -> Self {
        Self { places: Box::new([NOBODY; PLACES]) }
    }
}

impl Recent {
    /// Asks for the cache line where such packets are remembered.
    #[inline]
    pub fn prefetch(&self, likeness: Likeness) {
        prefetch_index(self.places.as_slice(), likeness.place());
    }

    /// Whether a packet of this likeness and time (ns) is a copy of one seen just before. Remembers it if not.
    #[inline(always)]
    pub fn is_copy(&mut self, likeness: Likeness, ts: u64) -> bool {
        let place = &mut self.places[likeness.place()];
        if place.likeness == likeness {
            let window = if likeness.0 & NUMBERED == 0 { WINDOW_NS } else { WINDOW_NUMBERED_NS };
            if ts.abs_diff(place.ts) <= window {
                return true;
            }
        }
        *place = Place { likeness, ts };
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::packet::Layer;
    use crate::decode::packet::Packet;
    use crate::decode::packet::Tcp;

    /// As hardware leaves them to itself: one checksum for all segments of a length.
    #[test]
    fn a_window_does_not_make_up_for_an_ip_id() {
        let segment = |window: u16, ip_id: u16| {
            let tcp = Tcp { seq: 7, ack: 9, flags: 0x10, window, checksum: 0xbeef };
            Likeness::of(Packet { ip_id, ip_len: 40, layer: Layer::Tcp(tcp), ..Packet::NONE }.words(), 3, 5).0
                >> PLACES_BITS
        };
        let all = || (0..16).flat_map(|bit| [(1 << bit, 0x64), (0, 0x64 ^ (1 << bit)), (1 << bit, 0x65)]);
        let distinct: std::collections::HashSet<u64> = all().map(|(window, ip_id)| segment(window, ip_id)).collect();
        assert_eq!(distinct.len(), all().collect::<std::collections::HashSet<_>>().len());
    }

    /// Of one who only receives, over IPv6: nothing but the acknowledgement tells its segments apart.
    #[test]
    fn copies_that_come_after_the_next_packet_are_told() {
        let segment = |ack: u32| {
            let tcp = Tcp { seq: 7, ack, flags: 0x10, window: 1, checksum: 0 };
            Packet { ip_len: 60, layer: Layer::Tcp(tcp), ..Packet::NONE }
        };
        let mut recent = Recent::default();
        let mut is_copy = |ack: u32, ts: u64| recent.is_copy(Likeness::of(segment(ack).words(), 3, 5), ts);
        for (ack, ts) in [(1_000, 1), (2_448, 2), (3_896, 3)] {
            assert!(!is_copy(ack, ts), "{ack}");
        }
        for (ack, ts) in [(1_000, 11), (2_448, 12), (3_896, 13)] {
            assert!(is_copy(ack, ts), "{ack}");
        }
    }
}
