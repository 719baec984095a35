//! Copies of one packet: a span port that mirrors both ways, a capture before and after a router.
//!
//! A copy is not a retransmission: the same IP-ID, sequence numbers, flags, length and checksum come again within
//! [`WINDOW_NS`], or [`WINDOW_NUMBERED_NS`] where an IP-ID tells packets apart. A small table of recent packets is
//! enough, since copies arrive within milliseconds.

#![expect(clippy::inline_always, reason = "they look at a packet that is in registers only")]

use prefetch_index::prefetch_index;

use crate::decode::packet::Layer;
use crate::decode::packet::Packet;

/// How far apart two copies may be: 5 ms (SEMANTICS section 1, guards). Retransmission timers start at 200 ms.
pub const WINDOW_NS: u64 = 5_000_000;

/// How far apart two copies may be that have an IP-ID: 50 ms. A system that sends a packet again numbers it anew.
pub const WINDOW_NUMBERED_NS: u64 = 50_000_000;

const PLACES_BITS: u32 = 10;
const PLACES: usize = 1 << PLACES_BITS;

/// The recent packets of one table, by signature. Fixed memory: 16 KiB.
#[derive(Debug)]
pub struct Recent {
    places: Box<[Place; PLACES]>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    signature: u64,
    ts: u64,
}

/// Where packets like one are remembered, known before the packet is made.
///
/// It has no seed, so that every run of the same capture forgets the same packets.
#[derive(Clone, Copy, Debug, Default)]
pub struct CopyPlace(u16);

impl CopyPlace {
    /// Of a packet's key, mixed without a seed, its numbers ([`Packet::numbers`]).
    #[inline(always)]
    pub fn of(mix: u64, numbers: u64) -> Self {
        Self(((mix ^ numbers).wrapping_mul(0xd6e8_feb8_6659_fd93) >> (64 - PLACES_BITS)) as u16)
    }
}

impl Default for Recent {
    fn default() -> Self {
        Self { places: Box::new([Place::default(); PLACES]) }
    }
}

impl Recent {
    /// Asks for the cache line where such packets are remembered.
    #[inline]
    pub fn prefetch(&self, copy_place: CopyPlace) {
        prefetch_index(self.places.as_slice(), copy_place.0.into());
    }

    /// Whether a packet is a copy of one seen just before. Remembers it if not. `hash` is the seeded one of its key: nobody
    /// can aim at what it is compared with.
    #[inline(always)]
    pub fn is_copy(&mut self, packet: &Packet, copy_place: CopyPlace, hash: u64) -> bool {
        let place = &mut self.places[usize::from(copy_place.0) % PLACES];
        let signature = signature(packet, hash) | 1;
        let window = if packet.ip_id == 0 { WINDOW_NS } else { WINDOW_NUMBERED_NS };
        if place.signature == signature && packet.ts.0.abs_diff(place.ts) <= window {
            return true;
        }
        *place = Place { signature, ts: packet.ts.0 };
        false
    }
}

/// Everything that a copy shares with its original: not the MAC addresses, VLAN or TTL.
#[inline(always)]
fn signature(packet: &Packet, hash: u64) -> u64 {
    let (a, b) = match packet.layer {
        Layer::Tcp(tcp) => (
            (u64::from(tcp.seq) << 32) | u64::from(tcp.ack),
            (u64::from(tcp.flags) << 32) | (u64::from(tcp.window) << 16) | u64::from(tcp.checksum),
        ),
        Layer::Udp { checksum } => (1 << 40, u64::from(checksum)),
        Layer::IcmpError(error) => {
            (2 << 40, (u64::from(error.kind) << 8) | u64::from(error.code) | (error.sender.halves()[1] << 16))
        }
        Layer::EchoRequest => (3 << 40, 0),
        Layer::EchoReply => (4 << 40, 0),
        Layer::Fragment => (5 << 40, u64::from(packet.payload_at)),
        Layer::Other => (6 << 40, 0),
    };
    let c = (u64::from(packet.ip_len) << 17) | (u64::from(packet.ip_id) << 1) | packet.from.index() as u64;
    // A multiply of each word with its own odd constant, folded: a window or flags must not make up for an IP-ID, since
    // where checksums are left to hardware nothing else tells such packets apart.
    let folded = (a ^ hash).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
        ^ b.wrapping_mul(0xc2b2_ae3d_27d4_eb4f)
        ^ c.wrapping_mul(0x1656_67b1_9e37_79f9).rotate_left(41);
    folded ^ (folded >> 29)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::packet::Tcp;
    use crate::model::time::Timestamp;

    /// As hardware leaves them to itself: one checksum for all segments of a length.
    #[test]
    fn a_window_does_not_make_up_for_an_ip_id() {
        let segment = |window: u16, ip_id: u16| {
            let tcp = Tcp { seq: 7, ack: 9, flags: 0x10, window, checksum: 0xbeef };
            signature(&Packet { ip_id, ip_len: 40, layer: Layer::Tcp(tcp), ..Packet::NONE }, 5)
        };
        let all = || (0..16).flat_map(|bit| [(1 << bit, 0x64), (0, 0x64 ^ (1 << bit)), (1 << bit, 0x65)]);
        let distinct: std::collections::HashSet<u64> = all().map(|(window, ip_id)| segment(window, ip_id)).collect();
        assert_eq!(distinct.len(), all().collect::<std::collections::HashSet<_>>().len());
    }

    /// Of one who only receives, over IPv6: nothing but the acknowledgement tells its segments apart.
    #[test]
    fn copies_that_come_after_the_next_packet_are_told() {
        let segment = |ack: u32, ts: u64| {
            let tcp = Tcp { seq: 7, ack, flags: 0x10, window: 1, checksum: 0 };
            Packet { ts: Timestamp(ts), ip_len: 60, layer: Layer::Tcp(tcp), ..Packet::NONE }
        };
        let mut recent = Recent::default();
        let mut is_copy = |ack: u32, ts: u64| {
            let packet = segment(ack, ts);
            recent.is_copy(&packet, CopyPlace::of(3, packet.numbers()), 5)
        };
        for (ack, ts) in [(1_000, 1), (2_448, 2), (3_896, 3)] {
            assert!(!is_copy(ack, ts), "{ack}");
        }
        for (ack, ts) in [(1_000, 11), (2_448, 12), (3_896, 13)] {
            assert!(is_copy(ack, ts), "{ack}");
        }
    }
}
