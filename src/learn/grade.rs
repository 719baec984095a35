//! Which interface a flow is for, and how sure that is: the reading side of what RPC sessions learned.
//!
//! Made once when all flows are done; nothing here changes afterwards. This file must never know whether an interface is
//! allowed.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::learn::endpoints::Asked;
use crate::learn::endpoints::COUNTS;
use crate::learn::endpoints::Count;
use crate::learn::endpoints::Learned;
use crate::learn::endpoints::Over;
use crate::learn::endpoints::RpcBook;
use crate::learn::endpoints::Source;
use crate::learn::endpoints::Unregistered;
use crate::learn::rpc_flow::FlowId;
use crate::learn::rpc_flow::Moment;
use crate::learn::rpc_flow::RpcFlow;
use crate::learn::supersede::close_intervals;
use crate::model::addr::Addr;
use crate::model::addr::Endpoint;
use crate::model::ids::FrameId;
use crate::model::time::Timestamp;
use crate::model::transport::Transport;
use crate::model::uuid::InterfaceId;

/// How long before a connection the endpoint mapper's answer explains it for certain. Windows connects at once.
const FRESH: Duration = Duration::from_secs(60);

/// How sure it is which interface a flow is for. The order is from sure to unsure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum Grade {
    /// The server accepted the interface on this flow.
    A,
    /// The endpoint mapper told this client the port for the interface, at most a minute before.
    B,
    /// It told another client, or earlier; or another flow was bound there; and it is the only interface known there.
    C,
    /// A DCOM reply told this client the port.
    D,
    /// Several interfaces are known on the port, or only another address or client was told.
    E,
    /// DCE/RPC, of unknown interface.
    F,
}

impl Grade {
    /// The letter.
    pub fn letter(self) -> char {
        match self {
            Self::A => 'A',
            Self::B => 'B',
            Self::C => 'C',
            Self::D => 'D',
            Self::E => 'E',
            Self::F => 'F',
        }
    }
}

/// A flow whose interface is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// The flow.
    pub flow: FlowId,
    /// What it was made to.
    pub server: Endpoint,
    /// Who made it.
    pub client: Addr,
    /// Its first packet's time: the SYN's where there is one.
    pub began: Timestamp,
}

/// Which interface a flow is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Guess {
    /// How sure that is.
    pub grade: Grade,
    /// The interface, or all that it may be. With grade B the one asked for last comes first, else they are in order.
    /// Empty where only DCOM named the port, and with grade F.
    pub interfaces: Vec<InterfaceId>,
    /// The frame that tells so.
    pub learned: FrameId,
    /// It was learned only after the flow began.
    pub retro: bool,
    /// When the flow began, the server had already moved what was on this port.
    pub superseded: bool,
}

/// All that RPC sessions learned, sorted.
#[derive(Debug, Default)]
pub struct Endpoints {
    ports: BTreeMap<(Addr, Over, u16), Vec<Learned>>,
    flows: BTreeMap<FlowId, RpcFlow>,
    unregistered: Vec<(Unregistered, Asked)>,
    counts: [u64; COUNTS],
    cut: Cut,
}

/// How much did not fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cut {
    /// Servers of which not all ports are known.
    pub servers: u64,
    /// Ports of which not all interfaces, clients or times are known.
    pub ports: u64,
}

impl Endpoints {
    /// What the book holds now.
    pub(super) fn of(book: &RpcBook) -> Self {
        let mut all = Self::default();
        for entry in &book.servers {
            let server = entry.value();
            all.cut.servers += u64::from(server.cut);
            let mut ports: Vec<_> = server
                .ports
                .iter()
                .map(|(&(over, port), known)| {
                    all.cut.ports += u64::from(known.cut);
                    ((*entry.key(), over, port), known.statements.values().cloned().collect::<Vec<_>>())
                })
                .collect();
            close_intervals(&mut ports);
            all.ports.extend(ports);
        }
        all.flows = book.flows.iter().map(|entry| (*entry.key(), entry.value().clone())).collect();
        all.unregistered = book.unregistered.iter().map(|entry| (*entry.key(), *entry.value())).collect();
        all.unregistered.sort_unstable_by_key(|(question, _)| *question);
        for (place, count) in all.counts.iter_mut().zip(&book.counts) {
            *place = count.load(Ordering::Relaxed);
        }
        all
    }

    /// Everything learned about one port, in order of source and interface.
    pub fn at(&self, server: Addr, over: Over, port: u16) -> &[Learned] {
        self.ports.get(&(server, over, port)).map_or(&[], Vec::as_slice)
    }

    /// Every port of every server, in order.
    pub fn ports(&self) -> impl Iterator<Item = (Addr, Over, u16, &[Learned])> {
        self.ports.iter().map(|(&(server, over, port), learned)| (server, over, port, learned.as_slice()))
    }

    /// What a flow showed, if it spoke DCE/RPC.
    pub fn flow(&self, flow: FlowId) -> Option<&RpcFlow> {
        self.flows.get(&flow)
    }

    /// Every flow that spoke DCE/RPC, in order of their first frames.
    pub fn flows(&self) -> impl Iterator<Item = (FlowId, &RpcFlow)> {
        self.flows.iter().map(|(&id, flow)| (id, flow))
    }

    /// Every question for an interface that the server has not, in order.
    pub fn unregistered(&self) -> &[(Unregistered, Asked)] {
        &self.unregistered
    }

    /// One of the counts.
    pub fn count(&self, count: Count) -> u64 {
        self.counts.get(count as usize).copied().unwrap_or_default()
    }

    /// How much did not fit.
    pub fn cut(&self) -> Cut {
        self.cut
    }

    /// Which interface a flow is for. `None` if nothing but its port could tell.
    pub fn grade(&self, attempt: &Attempt) -> Option<Guess> {
        let shown = self.flow(attempt.flow);
        if let Some(guess) = shown.and_then(bound) {
            return Some(guess);
        }
        let learned = self.candidates(attempt);
        let own = || learned.iter().copied().filter(|known| known.own);
        let mapped = |known: &&Learned| known.source == Source::EptMap;
        told_lately(own().filter(mapped), attempt)
            .or_else(|| told_before(own().filter(mapped), attempt))
            .or_else(|| named(own().filter(|known| known.source != Source::Oxid), attempt))
            .or_else(|| activated(own(), attempt))
            .map(|guess| if guess.grade == Grade::E { activated(own(), attempt).unwrap_or(guess) } else { guess })
            .or_else(|| possible(&learned, attempt))
            .or_else(|| shown.map(spoken))
    }

    /// What is known of the port, by either way that TCP reaches it.
    fn candidates(&self, attempt: &Attempt) -> Vec<&Learned> {
        let Endpoint { addr, port } = attempt.server;
        match attempt.flow.key.transport {
            Transport::Tcp => self.at(addr, Over::Tcp, port).iter().chain(self.at(addr, Over::Http, port)).collect(),
            Transport::Udp => self.at(addr, Over::Udp, port).iter().collect(),
            _ => Vec::new(),
        }
    }
}

/// Grade A.
fn bound(flow: &RpcFlow) -> Option<Guess> {
    let first = flow.bound.first()?;
    Some(Guess {
        grade: Grade::A,
        interfaces: flow.bound.iter().map(|bound| bound.interface).collect(),
        learned: first.at.frame,
        retro: false,
        superseded: false,
    })
}

/// Grade F.
fn spoken(flow: &RpcFlow) -> Guess {
    Guess { grade: Grade::F, interfaces: Vec::new(), learned: flow.first.frame, retro: false, superseded: false }
}

/// Grade B: answers to this client within the last minute, the latest first.
fn told_lately<'a>(mapped: impl Iterator<Item = &'a Learned>, attempt: &Attempt) -> Option<Guess> {
    let mut told: Vec<(Moment, InterfaceId)> = mapped
        .filter(|known| in_force(known, attempt.began))
        .filter_map(|known| {
            let lately = |moment: &&Moment| moment.ts <= attempt.began && attempt.began.since(moment.ts) <= FRESH;
            let moment = *known.clients.get(&attempt.client)?.iter().rev().find(lately)?;
            Some((moment, known.interface?))
        })
        .collect();
    told.sort_unstable_by(|one, other| other.0.cmp(&one.0).then(one.1.cmp(&other.1)));
    let learned = told.first()?.0.frame;
    let interfaces = told.into_iter().map(|(_, interface)| interface).collect();
    Some(Guess { grade: Grade::B, interfaces, learned, retro: false, superseded: false })
}

/// Grade C: this client was told earlier, for one interface only.
fn told_before<'a>(mapped: impl Iterator<Item = &'a Learned>, attempt: &Attempt) -> Option<Guess> {
    let told: Vec<&Learned> = mapped
        .filter(|known| in_force(known, attempt.began))
        .filter(|known| {
            let moments = known.clients.get(&attempt.client);
            moments.and_then(BTreeSet::first).is_some_and(|first| first.ts <= attempt.began)
        })
        .collect();
    let guess = list(&told, attempt, Grade::C)?;
    (guess.interfaces.len() == 1).then_some(guess)
}

/// Grade C or E: what is known of the port, from whomever. What was known before the flow comes before what came later.
fn named<'a>(known: impl Iterator<Item = &'a Learned>, attempt: &Attempt) -> Option<Guess> {
    let (before, after): (Vec<&Learned>, Vec<&Learned>) = known.partition(|known| known.first.ts <= attempt.began);
    let before: Vec<_> = before.into_iter().filter(|known| in_force(known, attempt.began)).collect();
    let after: Vec<_> = after.into_iter().filter(|known| in_force(known, attempt.began)).collect();
    let mut guess = list(&before, attempt, Grade::C).or_else(|| list(&after, attempt, Grade::C))?;
    if guess.interfaces.len() > 1 {
        guess.grade = Grade::E;
    }
    Some(guess)
}

/// Grade D: DCOM named the port to this client. The interfaces are those that were bound there.
fn activated<'a>(known: impl Iterator<Item = &'a Learned> + Clone, attempt: &Attempt) -> Option<Guess> {
    let of_process = known.clone().find(|known| known.source == Source::Oxid && in_force(known, attempt.began))?;
    let told = of_process.clients.get(&attempt.client)?;
    let before = told.iter().rev().find(|moment| moment.ts <= attempt.began);
    let moment = before.or(told.first())?;
    let seen: BTreeSet<InterfaceId> =
        known.filter(|known| known.source == Source::Bind).filter_map(|known| known.interface).collect();
    Some(Guess {
        grade: Grade::D,
        interfaces: seen.into_iter().collect(),
        learned: moment.frame,
        retro: before.is_none(),
        superseded: false,
    })
}

/// Grade E: all that is left, such as what was said of another address, or what has moved since.
fn possible(learned: &[&Learned], attempt: &Attempt) -> Option<Guess> {
    let (current, moved): (Vec<&Learned>, Vec<&Learned>) =
        learned.iter().partition(|known| in_force(known, attempt.began));
    list(&current, attempt, Grade::E).or_else(|| {
        let guess = list(&moved, attempt, Grade::E)?;
        Some(Guess { superseded: true, ..guess })
    })
}

/// All interfaces of these, learned by the earliest.
fn list(known: &[&Learned], attempt: &Attempt, grade: Grade) -> Option<Guess> {
    let first = known.iter().map(|known| known.first).min()?;
    let interfaces: BTreeSet<InterfaceId> = known.iter().filter_map(|known| known.interface).collect();
    Some(Guess {
        grade,
        interfaces: interfaces.into_iter().collect(),
        learned: first.frame,
        retro: first.ts > attempt.began,
        superseded: false,
    })
}

/// Whether the interface was on the port at a time, as far as moves show.
fn in_force(known: &Learned, at: Timestamp) -> bool {
    known.superseded.is_none_or(|moved| at < moved.ts) && known.elsewhere_until.is_none_or(|until| until.ts <= at)
}
