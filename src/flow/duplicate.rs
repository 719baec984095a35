//! Copies of one packet: a span port that mirrors both ways, a capture before and after a router.
//!
//! A copy is not a retransmission: the same IP-ID, sequence numbers, flags, length and checksum come again within
//! [`WINDOW_NS`], or [`WINDOW_NUMBERED_NS`] where an IP-ID tells packets apart. A small table of recent packets is
//! enough, since copies arrive within milliseconds.

use prefetch_index::prefetch_index;

use crate::decode::packet::Layer;
use crate::decode::packet::Packet;

/// How far apart two copies may be: 5 ms (SEMANTICS section 1, guards). Retransmission timers start at 200 ms.
pub const WINDOW_NS: u64 = 5_000_000;

/// How far apart two copies may be that have an IP-ID: 50 ms. A system that sends a packet again numbers it anew.
pub const WINDOW_NUMBERED_NS: u64 = 50_000_000;

const PLACES: usize = 1 << 10;

/// The recent packets of one table, by signature. Fixed memory: 16 KiB.
#[derive(Debug)]
pub struct Recent {
    places: Vec<Place>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    signature: u64,
    ts: u64,
}

impl Default for Recent {
    fn default() -> Self {
        Self { places: vec![Place::default(); PLACES] }
    }
}

impl Recent {
    /// Asks for the cache line of a signature's place.
    #[inline]
    pub fn prefetch(&self, signature: u64) {
        prefetch_index(&self.places, place_of(signature));
    }

    /// Whether a packet of this signature is a copy of one seen just before. Remembers it if not.
    ///
    /// Its place comes from the signature, which has no seed, so that every run of the same capture forgets the same
    /// packets; equality rests on the seeded `hash` of its key too, which nobody can aim at.
    #[inline]
    pub fn is_copy(&mut self, packet: &Packet, signature: u64, hash: u64) -> bool {
        let Some(place) = self.places.get_mut(place_of(signature)) else { return false };
        let signature = (signature ^ hash) | 1;
        let window = if packet.ip_id == 0 { WINDOW_NS } else { WINDOW_NUMBERED_NS };
        if place.signature == signature && packet.ts.0.abs_diff(place.ts) <= window {
            return true;
        }
        *place = Place { signature, ts: packet.ts.0 };
        false
    }
}

#[inline]
fn place_of(signature: u64) -> usize {
    (signature >> 32) as usize & (PLACES - 1)
}

/// Everything that a copy shares with its original: not the MAC addresses, VLAN or TTL. `mix` stands for its key and
/// has no seed.
#[inline]
pub fn signature(packet: &Packet, mix: u64) -> u64 {
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
    let c = (u64::from(packet.ip_id) << 32) | (u64::from(packet.ip_len) << 1) | packet.from.index() as u64;
    // A multiply of two words with their own odd constants, folded: no collision that matters within 5 ms of one flow.
    let folded = (a ^ mix).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
        ^ (b ^ c.rotate_left(19)).wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
    folded ^ (folded >> 29)
}
