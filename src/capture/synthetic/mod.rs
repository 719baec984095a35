//! Traffic made up for measuring: the same bytes for the same [`Recipe`], as a pcap file in memory.
//!
//! It writes frames and hands them on as if they had been captured. It must never be used but to measure and to test:
//! what it makes looks like a Windows network and is none.

mod ad;
mod frame;
mod message;
mod mix;

use crate::capture::synthetic::ad::Logons;
use crate::capture::synthetic::frame::Ends;
use crate::capture::synthetic::frame::SYN;
use crate::capture::synthetic::frame::Segment;
use crate::capture::synthetic::frame::write;
use crate::capture::synthetic::mix::Mix;

/// Which traffic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Workload {
    /// IPv4 frames of 64 bytes, each of a conversation picked by chance: the hardest for memory.
    Min64,
    /// Frames of all sizes in short bursts, with first messages of each protocol; 3 % IPv6, 5 % with a VLAN tag.
    Imix,
    /// Each frame a SYN to another address and port: the hardest for a flow table.
    Scan,
    /// Logons of Windows clients: DNS, CLDAP, Kerberos, LDAP, SMB, endpoint mapper, DCE/RPC, TLS, HTTP, time.
    Ad,
}

impl Workload {
    /// Every workload.
    pub const ALL: [Self; 4] = [Self::Min64, Self::Imix, Self::Scan, Self::Ad];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Min64 => "min64",
            Self::Imix => "imix",
            Self::Scan => "scan",
            Self::Ad => "ad",
        }
    }

    /// Time between two frames, in microseconds.
    fn pause_us(self) -> u64 {
        match self {
            Self::Min64 | Self::Scan => 10,
            Self::Imix => 50,
            // Slow enough that a repeated SYN is one, and that silence can be told from the end of the capture.
            Self::Ad => 1_000,
        }
    }
}

/// What to make.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Recipe {
    /// Which traffic.
    pub workload: Workload,
    /// How many frames.
    pub frames: u64,
    /// Conversations under way at the same time; [`Workload::Scan`] has one for each frame.
    pub flows: u32,
    /// Another number gives other traffic of the same kind.
    pub seed: u64,
}

/// The first second of all traffic: 2023-11-14T22:13:20Z.
const BEGIN_SECONDS: u64 = 1_700_000_000;

const SNAPLEN_BYTES: u32 = 65_535;

/// A pcap file with Ethernet frames and microseconds; `None` if it would be larger than `bytes_max`.
pub fn image(recipe: &Recipe, bytes_max: u64) -> Option<Vec<u8>> {
    let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
    let mut image = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, SNAPLEN_BYTES, 1] {
        image.extend(word.to_le_bytes());
    }
    let mut dice = Dice(recipe.seed);
    let mut traffic = Traffic::new(recipe, &mut dice);
    let mut frame = Vec::with_capacity(2048);
    for number in 0..recipe.frames {
        traffic.next(number, &mut dice, &mut frame);
        let us = number * recipe.workload.pause_us();
        let length = u32::try_from(frame.len()).unwrap_or(SNAPLEN_BYTES);
        let seconds = u32::try_from(BEGIN_SECONDS + us / 1_000_000).unwrap_or(u32::MAX);
        let micros = u32::try_from(us % 1_000_000).unwrap_or_default();
        if image.len() + 16 + frame.len() > bytes_max {
            return None;
        }
        for word in [seconds, micros, length, length] {
            image.extend(word.to_le_bytes());
        }
        image.extend(&frame);
    }
    Some(image)
}

/// What makes the next frame.
enum Traffic {
    Mix(Mix),
    Scan,
    Ad(Logons),
}

impl Traffic {
    fn new(recipe: &Recipe, dice: &mut Dice) -> Self {
        match recipe.workload {
            Workload::Min64 => Self::Mix(Mix::new(false, recipe.flows, dice)),
            Workload::Imix => Self::Mix(Mix::new(true, recipe.flows, dice)),
            Workload::Scan => Self::Scan,
            Workload::Ad => Self::Ad(Logons::new(recipe.flows, dice)),
        }
    }

    fn next(&mut self, number: u64, dice: &mut Dice, frame: &mut Vec<u8>) {
        match self {
            Self::Mix(mix) => mix.next(dice, frame),
            Self::Scan => probe(number, frame),
            Self::Ad(logons) => logons.next(dice, frame),
        }
    }
}

/// A SYN of a scan by 64 hosts. An odd factor never gives the same place twice within 2^32 frames.
fn probe(number: u64, frame: &mut Vec<u8>) {
    let [a, b, c, d, ..] = number.wrapping_mul(0x9e37_79b1).to_le_bytes();
    let place = u32::from_le_bytes([a, b, c, d]);
    let [low, high, ..] = number.to_le_bytes();
    let ends = Ends {
        hosts: [0x0a02_0000 + u32::from(low & 63), 0x0a00_0000 + (place & 0x3_ffff)],
        ports: [40_000 + (u16::from_le_bytes([low, high]) & 0xfff), u16::try_from(1 + (place >> 18)).unwrap_or(1)],
        ..Ends::default()
    };
    write(&ends, &Segment { flags: SYN, numbers: [place, 0], ..Segment::default() }, LEAST_BYTES, frame);
}

/// The shortest frame of 64-byte traffic.
const LEAST_BYTES: usize = 64;

/// Numbers by chance, the same for the same seed: the generator `SplitMix64` (Steele, Lea, Flood 2014).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`; 0 if there is none.
    fn below(&mut self, limit: u32) -> u32 {
        u32::try_from(((self.roll() >> 32) * u64::from(limit)) >> 32).unwrap_or_default()
    }

    /// A number below `limit`, for ports.
    fn port_below(&mut self, limit: u16) -> u16 {
        u16::try_from(self.below(u32::from(limit))).unwrap_or_default()
    }

    fn word(&mut self) -> u32 {
        self.below(u32::MAX)
    }

    /// True this often in a hundred.
    fn percent(&mut self, share: u32) -> bool {
        self.below(100) < share
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop here")]

    use std::collections::BTreeSet;
    use std::sync::Arc;

    use crate::capture::batch::FrameBatch;
    use crate::capture::source::Options;
    use crate::capture::source::Source;
    use crate::capture::synthetic::Recipe;
    use crate::capture::synthetic::Workload;
    use crate::capture::synthetic::image;

    const RECIPE: Recipe = Recipe { workload: Workload::Min64, frames: 20_000, flows: 500, seed: 7 };

    fn frames(recipe: &Recipe) -> Vec<Vec<u8>> {
        let bytes = Arc::new(image(recipe, u64::MAX).unwrap());
        let mut source = Source::from_bytes("made", bytes, Options::default()).unwrap();
        let mut batch = FrameBatch::default();
        let mut frames = Vec::new();
        while source.next_batch(&mut batch).unwrap() {
            frames.extend(batch.frames.iter().map(|frame| batch.bytes(frame).to_vec()));
        }
        assert_eq!(source.facts()[0].damage, None);
        frames
    }

    #[test]
    fn the_same_recipe_gives_the_same_bytes_and_another_seed_others() {
        for workload in Workload::ALL {
            let recipe = Recipe { workload, frames: 2_000, ..RECIPE };
            let one = image(&recipe, u64::MAX).unwrap();
            assert!(one == image(&recipe, u64::MAX).unwrap(), "{workload:?}");
            let other = image(&Recipe { seed: 8, ..recipe }, u64::MAX).unwrap();
            // A scan goes through all places in turn, whatever the seed.
            assert_eq!(one == other, workload == Workload::Scan, "{workload:?}");
        }
    }

    #[test]
    fn every_frame_asked_for_is_there() {
        for workload in Workload::ALL {
            assert_eq!(frames(&Recipe { workload, ..RECIPE }).len(), 20_000, "{workload:?}");
        }
    }

    #[test]
    fn sizes_are_those_of_the_workload() {
        for workload in [Workload::Min64, Workload::Scan] {
            assert!(frames(&Recipe { workload, ..RECIPE }).iter().all(|frame| frame.len() == 64), "{workload:?}");
        }
        for workload in [Workload::Imix, Workload::Ad] {
            let sizes: BTreeSet<usize> = frames(&Recipe { workload, ..RECIPE }).iter().map(Vec::len).collect();
            let (least, most) = (*sizes.first().unwrap(), *sizes.last().unwrap());
            assert!(least >= 60 && most > 1_500 && most <= 1_538 && sizes.len() > 20, "{workload:?}: {sizes:?}");
        }
    }

    #[test]
    fn a_scan_never_goes_to_a_place_twice() {
        let places: BTreeSet<Vec<u8>> =
            frames(&Recipe { workload: Workload::Scan, ..RECIPE }).iter().map(|frame| frame[26..38].to_vec()).collect();
        assert_eq!(places.len(), 20_000);
    }

    #[test]
    fn checksums_are_right() {
        let sum = |bytes: &[u8], with: u32| {
            let sum: u32 =
                bytes.chunks(2).map(|two| u32::from(two[0]) << 8 | u32::from(*two.get(1).unwrap_or(&0))).sum();
            let folded = (sum + with) % 0xffff;
            assert_eq!(folded, 0, "{bytes:?}");
        };
        let mut sixes = 0;
        for frame in frames(&Recipe { workload: Workload::Imix, frames: 5_000, ..RECIPE }) {
            let ip = if frame[12..14] == [0x81, 0] { &frame[18..] } else { &frame[14..] };
            if ip[0] == 0x45 {
                let length = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
                sum(&ip[..20], 0);
                sum(&ip[12..length], u32::from(ip[9]) + u32::try_from(length - 20).unwrap());
            } else {
                let length = u16::from_be_bytes([ip[4], ip[5]]);
                sum(&ip[8..40 + usize::from(length)], u32::from(ip[6]) + u32::from(length));
                sixes += 1;
            }
        }
        assert!(sixes > 20);
    }

    #[test]
    fn what_is_too_large_is_not_made() {
        let bytes = 24 + 80 * RECIPE.frames;
        assert_eq!(image(&RECIPE, bytes).unwrap().len() as u64, bytes);
        assert!(image(&RECIPE, bytes - 1).is_none());
    }

    #[test]
    fn recipes_of_nothing_are_no_trouble() {
        for workload in Workload::ALL {
            assert_eq!(image(&Recipe { workload, frames: 0, ..RECIPE }, u64::MAX).unwrap().len(), 24);
            assert_eq!(frames(&Recipe { workload, frames: 10, flows: 0, seed: 0 }).len(), 10);
        }
    }
}
