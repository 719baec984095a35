//! How the clocks of the two captures differ, and which packet of the one is which of the other.
//!
//! A packet on its way takes time: server's clock minus client's is the difference of the clocks plus that time for what
//! goes to the server, and minus it for what comes back. The middle of both medians is the difference (RFC 5905 section
//! 8); a median is not moved by a few packets that were mistaken for others or waited in a queue.

use std::collections::BTreeMap;

use crate::classify::vantage::align::Alignment;
use crate::flow::record::FIN;
use crate::flow::record::RST;
use crate::flow::record::SYN;
use crate::flow::trace::Print;
use crate::flow::trace::Trace;
use crate::flow::trace::Traces;
use crate::flow::trace::Way;
use crate::model::addr::Side;
use crate::model::time::Timestamp;

/// Packets that are measured, each way.
const SAMPLES_MAX: usize = 1 << 16;

/// How the clocks differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Clock {
    /// Server's clock minus client's, nanoseconds; `None` if no packet was seen on both sides.
    pub offset_ns: Option<i64>,
    /// How far single packets lie from their median, 99 of 100 of them, nanoseconds.
    pub spread_ns: u64,
    /// How long a packet takes from one point to the other, nanoseconds; `None` if only one way was measured.
    pub transit_ns: Option<u64>,
    /// Packets measured: to the server, and to the client.
    pub matched: [u64; 2],
}

impl Clock {
    /// Measures what is aligned.
    pub fn of(client: &Traces, server: &Traces, alignment: &Alignment) -> Self {
        let mut ways = [Vec::new(), Vec::new()];
        for (place, pair) in alignment.pairs() {
            let (Some(here), Some(there)) = (client.all().get(place), server.all().get(pair.server)) else { continue };
            for side in [Side::Low, Side::High] {
                let way = usize::from(side != here.began);
                let Some(samples) = ways.get_mut(way).filter(|samples| samples.len() < SAMPLES_MAX) else { continue };
                let crossed = Crossed::of(here, there, side, pair.flipped, here.began == side);
                samples.extend(crossed.sure.iter().map(|(here, there)| apart(*here, *there)));
            }
        }
        let matched = [0, 1].map(|way| ways.get(way).map_or(0, |samples| samples.len() as u64));
        let [forward, back] = ways.map(median);
        let offset_ns = match (forward.map(|way| way.0), back.map(|way| way.0)) {
            (Some(forward), Some(back)) => Some(i64::midpoint(forward, back)),
            (one, other) => one.or(other),
        };
        let spread_ns = forward.map_or(0, |way| way.1).max(back.map_or(0, |way| way.1));
        let transit_ns = forward.zip(back).map(|(forward, back)| (forward.0.saturating_sub(back.0) / 2).unsigned_abs());
        Self { offset_ns, spread_ns, transit_ns, matched }
    }

    /// Whether anything was measured.
    pub fn is_set(&self) -> bool {
        self.offset_ns.is_some()
    }

    /// The client's time by the server's clock.
    pub fn to_server(&self, at: Timestamp) -> Option<Timestamp> {
        self.offset_ns.map(|offset| Timestamp(at.0.saturating_add_signed(offset)))
    }

    /// The server's time by the client's clock.
    pub fn to_client(&self, at: Timestamp) -> Option<Timestamp> {
        self.offset_ns.map(|offset| Timestamp(at.0.saturating_add_signed(offset.saturating_neg())))
    }

    /// How far two moments are apart once the clocks are set, nanoseconds.
    pub(crate) fn apart(&self, client: Timestamp, server: Timestamp) -> Option<i128> {
        let offset = i128::from(self.offset_ns?);
        Some(i128::from(server.0) - i128::from(client.0) - offset)
    }
}

fn apart(client: Timestamp, server: Timestamp) -> i64 {
    i64::try_from(i128::from(server.0) - i128::from(client.0)).unwrap_or(i64::MAX)
}

/// The median, and how far 99 of 100 lie from it.
fn median(mut samples: Vec<i64>) -> Option<(i64, u64)> {
    samples.sort_unstable();
    let middle = *samples.get(samples.len() / 2)?;
    let mut far: Vec<u64> = samples.iter().map(|sample| sample.abs_diff(middle)).collect();
    far.sort_unstable();
    let most = far.get((far.len() * 99 / 100).min(far.len() - 1)).copied().unwrap_or(0);
    Some((middle, most))
}

/// The packets of one way, on both sides.
#[derive(Debug, Default)]
pub(crate) struct Crossed {
    /// Times at the client's and the server's side of packets of which it is sure that they are one.
    pub(crate) sure: Vec<(Timestamp, Timestamp)>,
    /// Packets that left and did not arrive.
    pub(crate) lost: Vec<Print>,
    /// Packets that arrived and had not left: cut anew on the way, or not captured where they left.
    pub(crate) appeared: u64,
}

/// What a packet keeps on its way, numbers counted from the beginning of each end where that is known.
type Same = (u32, u32, u32, u8, u64);

impl Crossed {
    /// What the end `side` of the client's side sent. `to_server`: this goes to the server's side.
    pub(crate) fn of(here: &Trace, there: &Trace, side: Side, flipped: bool, to_server: bool) -> Self {
        let side_there = if flipped { side.other() } else { side };
        let (Some(a), Some(b)) = (here.way(side), there.way(side_there)) else { return Self::default() };
        let bases = |mine: Option<u32>, other: Option<u32>| match (mine, other) {
            (Some(mine), Some(other)) => (mine, other),
            _ => (0, 0),
        };
        let (seq_here, seq_there) = bases(here.isn(side), there.isn(side_there));
        let (ack_here, ack_there) = bases(here.isn(side.other()), there.isn(side_there.other()));
        let tcp = here.is_tcp();
        let mut groups: BTreeMap<Same, [Vec<Print>; 2]> = BTreeMap::new();
        gather(&mut groups, 0, a, |print| same(print, seq_here, ack_here, tcp));
        gather(&mut groups, 1, b, |print| same(print, seq_there, ack_there, tcp));
        let mut crossed = Self::default();
        for [here, there] in groups.into_values() {
            crossed.take(here, there, to_server);
        }
        crossed.lost.sort_unstable_by_key(|print| print.ts);
        crossed
    }

    /// Packets that nothing but time and an IP-ID tell apart.
    fn take(&mut self, mut here: Vec<Print>, mut there: Vec<Print>, to_server: bool) {
        if here.len() == there.len() {
            self.sure.extend(here.iter().zip(&there).map(|(a, b)| (a.ts, b.ts)));
            return;
        }
        // The IP-ID tells which of several arrived, where nothing rewrites it.
        here.retain(|print| {
            let same = |other: &Print| other.ip_id == print.ip_id && print.ip_id != 0;
            let Some(at) = there.iter().position(same) else { return true };
            self.sure.push((print.ts, there.remove(at).ts));
            false
        });
        let (left, arrived) = if to_server { (here, there) } else { (there, here) };
        self.appeared += arrived.len().saturating_sub(left.len()) as u64;
        self.lost.extend(left.into_iter().skip(arrived.len()));
    }
}

fn gather(groups: &mut BTreeMap<Same, [Vec<Print>; 2]>, at: usize, way: &Way, same: impl Fn(&Print) -> Same) {
    for print in &way.prints {
        if let Some(list) = groups.entry(same(print)).or_default().get_mut(at) {
            list.push(*print);
        }
    }
}

fn same(print: &Print, seq: u32, ack: u32, tcp: bool) -> Same {
    if !tcp {
        return (0, 0, print.len, 0, print.digest);
    }
    // A SYN or RST without ACK acknowledges nothing: its number is 0 on both sides.
    let acked = if print.ack == 0 { 0 } else { print.ack.wrapping_sub(ack) };
    (print.seq.wrapping_sub(seq), acked, print.len, print.flags & (SYN | FIN | RST), 0)
}
