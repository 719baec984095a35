//! Which conversation of the client's side is which of the server's.
//!
//! The same addresses and ports, and the same numbers: an initial sequence number, or packets that are alike. Where an
//! address translator stands between, only the numbers: an initial sequence number or a payload that is the only one of
//! its kind on both sides, at the same time. What could be two things is neither.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::collections::VecDeque;
use std::hash::Hash;

use foldhash::quality::RandomState;

use crate::classify::vantage::clock::Clock;
use crate::flow::record::ACK;
use crate::flow::record::RST;
use crate::flow::record::SYN;
use crate::flow::trace::Print;
use crate::flow::trace::Trace;
use crate::flow::trace::Traces;
use crate::flow::trace::Way;
use crate::model::addr::FlowKey;
use crate::model::addr::Side;

/// How far apart, clocks set aside, the first packets of a translated conversation may be: a way through a network.
pub(super) const TRANSIT_MAX_NS: u64 = 2_000_000_000;

/// The least payload that tells one datagram from all others: an identifier of 16 bits alone does not.
const TELLING_BYTES: u32 = 12;

/// How many conversations with the same ends are looked at packet by packet.
const CANDIDATES_MAX: usize = 32;

/// Which conversation is which.
#[derive(Debug, Default)]
pub struct Alignment {
    pairs: BTreeMap<usize, Pair>,
    taken: BTreeSet<usize>,
    unclear: BTreeSet<usize>,
}

/// A conversation seen on both sides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pair {
    /// Its place at the server's side.
    pub server: usize,
    /// Whether the low end is the high end there.
    pub flipped: bool,
    /// How it was recognised.
    pub by: By,
}

/// How a conversation was recognised.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum By {
    /// By addresses and ports, and by the initial sequence number or by packets that are alike.
    Tuple,
    /// By addresses and ports and by payload; something between rewrites sequence numbers.
    TuplePayload,
    /// By the initial sequence number: its addresses or ports are rewritten.
    Isn,
    /// By the initial sequence number and payload, or the responder's number too.
    IsnAndMore,
    /// By payload alone (UDP).
    Payload,
}

impl By {
    /// The name used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tuple => "tuple",
            Self::TuplePayload => "tuple_payload",
            Self::Isn => "isn",
            Self::IsnAndMore => "isn_payload",
            Self::Payload => "payload",
        }
    }

    /// Whether addresses or ports are rewritten on the way.
    pub fn is_translated(self) -> bool {
        matches!(self, Self::Isn | Self::IsnAndMore | Self::Payload)
    }
}

impl Alignment {
    /// What became of the conversation at that place of the client's side.
    pub fn pair(&self, client: usize) -> Option<Pair> {
        self.pairs.get(&client).copied()
    }

    /// All conversations seen on both sides, by their place at the client's side.
    pub fn pairs(&self) -> impl Iterator<Item = (usize, Pair)> + '_ {
        self.pairs.iter().map(|(client, pair)| (*client, *pair))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Whether a conversation of the server's side was recognised.
    pub fn is_taken(&self, server: usize) -> bool {
        self.taken.contains(&server)
    }

    /// Whether several conversations of the server's side could be this one.
    pub fn is_unclear(&self, client: usize) -> bool {
        self.unclear.contains(&client)
    }

    fn put(&mut self, client: usize, pair: Pair) {
        self.taken.insert(pair.server);
        self.pairs.insert(client, pair);
    }
}

/// Recognises conversations, and sets the clocks.
pub fn align(client: &Traces, server: &Traces) -> (Alignment, Clock) {
    let mut alignment = Alignment::default();
    same_ends(client, server, &mut alignment);
    let clock = Clock::of(client, server, &alignment);
    let mut found = translated(client, server, &mut alignment);
    let clock = if clock.is_set() {
        clock
    } else {
        // One datagram may have the bytes of another by chance: what says the same always says it everywhere.
        if let [(_, Pair { by: By::Payload, .. })] = found.as_slice() {
            found.clear();
        }
        let mut guess = Alignment::default();
        for (place, pair) in &found {
            guess.put(*place, *pair);
        }
        Clock::of(client, server, &guess)
    };
    found.retain(|(place, pair)| {
        let firsts = client.all().get(*place).zip(server.all().get(pair.server)).and_then(|(here, there)| {
            let here = here.way(here.began)?.prints.first()?.ts;
            Some((here, there.way(there.began)?.prints.first()?.ts))
        });
        firsts
            .and_then(|(here, there)| clock.apart(here, there))
            .is_some_and(|apart| apart.unsigned_abs() <= TRANSIT_MAX_NS.into())
    });
    let all_known = !alignment.is_empty();
    for (place, pair) in found {
        alignment.put(place, pair);
    }
    let clock = if all_known { clock } else { Clock::of(client, server, &alignment) };
    (alignment, clock)
}

/// Conversations with the same addresses and ports.
fn same_ends(client: &Traces, server: &Traces, alignment: &mut Alignment) {
    same_numbers(client, server, alignment);
    let mut free: HashMap<FlowKey, VecDeque<usize>, RandomState> = HashMap::default();
    for (place, trace) in server.all().iter().enumerate().filter(|(place, _)| !alignment.taken.contains(place)) {
        free.entry(trace.key).or_default().push_back(place);
    }
    let tests: [(By, Test); 2] = [(By::Tuple, alike), (By::TuplePayload, same_bytes)];
    for (by, test) in tests {
        for (place, trace) in client.all().iter().enumerate() {
            if alignment.pair(place).is_some() {
                continue;
            }
            let Some(others) = free.get_mut(&trace.key) else { continue };
            let is_it = |other: &usize| server.all().get(*other).is_some_and(|other| test(trace, other));
            if let Some(other) =
                others.iter().take(CANDIDATES_MAX).position(is_it).and_then(|number| others.remove(number))
            {
                alignment.put(place, Pair { server: other, flipped: false, by });
            }
        }
    }
}

/// Whether two conversations with the same ends are one.
type Test = fn(&Trace, &Trace) -> bool;

/// Conversations with the same addresses and ports of which one end began with the same number on both sides.
fn same_numbers(client: &Traces, server: &Traces, alignment: &mut Alignment) {
    // The earliest last, since it is taken first.
    let mut free: HashMap<(FlowKey, Side, u32), Vec<usize>, RandomState> = HashMap::default();
    for (place, trace) in server.all().iter().enumerate().rev() {
        for side in [Side::Low, Side::High] {
            if let Some(isn) = trace.isn(side) {
                free.entry((trace.key, side, isn)).or_default().push(place);
            }
        }
    }
    for (place, trace) in client.all().iter().enumerate() {
        let mut earliest = |side| {
            let others = free.get_mut(&(trace.key, side, trace.isn(side)?))?;
            std::iter::from_fn(|| others.pop()).find(|other| !alignment.taken.contains(other))
        };
        if let Some(other) = earliest(trace.began).or_else(|| earliest(trace.began.other())) {
            alignment.put(place, Pair { server: other, flipped: false, by: By::Tuple });
        }
    }
}

/// Whether a packet of the one is in the other, where at most one of them shows the beginning.
fn alike(a: &Trace, b: &Trace) -> bool {
    let begun = a.is_tcp() && a.isn(a.began).is_some() && b.isn(a.began).is_some();
    let shares = |side| a.way(side).zip(b.way(side)).is_some_and(|(a, b)| shares_a_packet(a, b));
    !begun && (shares(Side::Low) || shares(Side::High))
}

fn shares_a_packet(a: &Way, b: &Way) -> bool {
    let same = |one: &Print, other: &Print| {
        let bytes = one.digest == other.digest && one.digest != 0;
        let number = one.ip_id == other.ip_id && one.ip_id != 0;
        (one.seq, one.ack, one.len, one.flags) == (other.seq, other.ack, other.len, other.flags) && (bytes || number)
    };
    a.prints.iter().any(|one| b.prints.iter().any(|other| same(one, other)))
}

/// Whether both carry the same bytes at the same distance from their beginnings, though these have other numbers.
fn same_bytes(a: &Trace, b: &Trace) -> bool {
    let side = a.began;
    let (Some(base), Some(other_base), Some(way), Some(other)) = (a.isn(side), b.isn(side), a.way(side), b.way(side))
    else {
        return false;
    };
    let place = |print: &Print, base: u32| (print.seq.wrapping_sub(base), print.len, print.digest);
    let telling = |print: &&Print| print.len >= TELLING_BYTES && print.digest != 0;
    let known: BTreeSet<_> = other.prints.iter().filter(telling).map(|print| place(print, other_base)).collect();
    way.prints.iter().filter(telling).any(|print| known.contains(&place(print, base)))
}

/// What a translator leaves as it is: of TCP the initial sequence number, of UDP the first datagram's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Mark {
    Isn(u32),
    Bytes(u32, u64),
}

fn mark(trace: &Trace) -> Option<Mark> {
    let first = trace.way(trace.began)?.prints.first()?;
    if trace.is_tcp() {
        return (first.flags & (SYN | ACK | RST) == SYN).then_some(Mark::Isn(first.seq));
    }
    (first.len >= TELLING_BYTES && first.digest != 0).then_some(Mark::Bytes(first.len, first.digest))
}

/// Conversations whose addresses or ports differ, where the mark is the only one of its kind on both sides.
fn translated(client: &Traces, server: &Traces, alignment: &mut Alignment) -> Vec<(usize, Pair)> {
    let here = marks(client.all(), |place| alignment.pair(place).is_some());
    let there = marks(server.all(), |place| alignment.taken.contains(&place));
    let mut found = Vec::new();
    for (mark, places) in &here {
        match (places.as_slice(), there.get(mark).map(Vec::as_slice)) {
            (_, None) => {}
            ([place], Some([other])) => {
                let traces = client.all().get(*place).zip(server.all().get(*other));
                if let Some((by, flipped)) = traces.and_then(|(a, b)| agree(a, b)) {
                    found.push((*place, Pair { server: *other, flipped, by }));
                }
            }
            (places, Some(_)) => alignment.unclear.extend(places),
        }
    }
    found.sort_unstable_by_key(|(place, _)| *place);
    found
}

fn marks(all: &[Trace], done: impl Fn(usize) -> bool) -> HashMap<Mark, Vec<usize>, RandomState> {
    let mut marks: HashMap<Mark, Vec<usize>, RandomState> = HashMap::default();
    for (place, trace) in all.iter().enumerate() {
        if let Some(mark) = mark(trace).filter(|_| !done(place)) {
            marks.entry(mark).or_default().push(place);
        }
    }
    marks
}

/// What else the two have in common; `None` if something contradicts.
fn agree(a: &Trace, b: &Trace) -> Option<(By, bool)> {
    let flipped = a.began != b.began;
    if a.key.transport != b.key.transport {
        return None;
    }
    if !a.is_tcp() {
        return Some((By::Payload, flipped));
    }
    let answers = (a.isn(a.began.other()), b.isn(b.began.other()));
    if let (Some(one), Some(other)) = answers
        && one != other
    {
        return None;
    }
    let answered = answers.0.is_some() && answers.1.is_some();
    let bytes = a.way(a.began).zip(b.way(b.began)).is_some_and(|(one, other)| {
        let telling = |print: &&Print| print.len >= TELLING_BYTES && print.digest != 0;
        let mut all = one.prints.iter().filter(telling);
        all.any(|print| other.prints.iter().any(|other| (other.seq, other.digest) == (print.seq, print.digest)))
    });
    Some((if answered || bytes { By::IsnAndMore } else { By::Isn }, flipped))
}
