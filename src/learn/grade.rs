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
use crate::learn::pipe_flow::PipeFlow;
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
use crate::proto::dcerpc::MANAGEMENT;

/// How long before a connection the endpoint mapper's answer explains it for certain. Windows connects at once.
const FRESH: Duration = Duration::from_secs(60);

/// How sure it is which interface a flow is for. The order is from sure to unsure.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Grade {
    /// The server accepted the interface on this flow.
    A,
    /// The endpoint mapper told this client the port for the interface, at most a minute before.
    B,
    /// It told another client, or earlier; or another flow was bound there; and it is the only interface known there.
    /// Or the client offered the interface on this flow, and no answer was seen.
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
    /// The server gave the port out, to this client or to anybody: no offer of the client's and no list alone.
    pub handed_out: bool,
}

impl Guess {
    /// The same for what was offered, if it is for all of that.
    fn narrowed_to(self, offer: &Self) -> Option<Self> {
        let all = offer.interfaces.iter().all(|interface| self.interfaces.contains(interface));
        all.then(|| Self { interfaces: offer.interfaces.clone(), ..self })
    }
}

/// All that RPC sessions learned, sorted.
#[derive(Debug, Default)]
pub struct Endpoints {
    ports: BTreeMap<(Addr, Over, u16), Vec<Learned>>,
    flows: BTreeMap<FlowId, RpcFlow>,
    pipes: BTreeMap<FlowId, PipeFlow>,
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
                    ((*entry.key(), over, port), known.statements.clone())
                })
                .collect();
            close_intervals(&mut ports);
            all.ports.extend(ports);
        }
        all.flows = book.flows.iter().map(|entry| (*entry.key(), entry.value().clone())).collect();
        all.pipes = book.pipes.iter().map(|entry| (*entry.key(), entry.value().clone())).collect();
        all.unregistered = book.unregistered.iter().map(|entry| (*entry.key(), *entry.value())).collect();
        all.unregistered.sort_unstable_by_key(|(question, _)| *question);
        for (place, count) in all.counts.iter_mut().zip(&book.counts) {
            *place = count.load(Ordering::Relaxed);
        }
        all
    }

    /// Whether nothing was learned.
    pub fn is_empty(&self) -> bool {
        self.ports.is_empty() && self.flows.is_empty()
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

    /// What a flow of SMB showed in its pipes.
    pub fn pipes_of(&self, flow: FlowId) -> Option<&PipeFlow> {
        self.pipes.get(&flow)
    }

    /// Every flow of SMB that showed something, in order of their first frames.
    pub fn pipe_flows(&self) -> impl Iterator<Item = (FlowId, &PipeFlow)> {
        self.pipes.iter().map(|(&id, flow)| (id, flow))
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
        let learned = self.candidates(attempt);
        let own = || learned.iter().copied().filter(|known| known.own);
        let mapped = |known: &&Learned| known.source == Source::EptMap;
        let told = || told_lately(own().filter(mapped), attempt);
        if let Some(guess) = shown.and_then(bound) {
            let handed_out = told().is_some() || activated(own(), attempt).is_some_and(|guess| !guess.retro);
            return Some(Guess { handed_out, ..guess });
        }
        if let Some(offer) = shown.and_then(offered) {
            // What it was told for shows where it knows the port from, if it then offers that.
            let known = told().or_else(|| told_before(own().filter(mapped), attempt));
            return Some(known.and_then(|told| told.narrowed_to(&offer)).unwrap_or(offer));
        }
        told()
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
        handed_out: false,
    })
}

/// Grade C or E: the client offered to speak it, and the answer was not seen.
fn offered(flow: &RpcFlow) -> Option<Guess> {
    let (at, interfaces) = flow.offered.as_ref()?;
    Some(Guess {
        grade: if interfaces.len() == 1 { Grade::C } else { Grade::E },
        interfaces: interfaces.iter().copied().collect(),
        learned: at.frame,
        retro: false,
        superseded: false,
        handed_out: false,
    })
}

/// Grade F.
fn spoken(flow: &RpcFlow) -> Guess {
    Guess {
        grade: Grade::F,
        interfaces: Vec::new(),
        learned: flow.first.frame,
        retro: false,
        superseded: false,
        handed_out: false,
    }
}

/// Grade B: answers to this client within the last minute, the latest first.
fn told_lately<'a>(mapped: impl Iterator<Item = &'a Learned>, attempt: &Attempt) -> Option<Guess> {
    let mut told: Vec<(Moment, InterfaceId)> = mapped
        .filter(|known| in_force(known, attempt.began))
        .filter_map(|known| {
            let before = known.told_to(attempt.client).take_while(|moment| moment.ts <= attempt.began);
            let moment = before.last().filter(|moment| attempt.began.since(moment.ts) <= FRESH)?;
            Some((moment, known.interface?))
        })
        .collect();
    told.sort_unstable_by(|one, other| other.0.cmp(&one.0).then(one.1.cmp(&other.1)));
    let learned = told.first()?.0.frame;
    let interfaces = told.into_iter().map(|(_, interface)| interface).collect();
    Some(Guess { grade: Grade::B, interfaces, learned, retro: false, superseded: false, handed_out: true })
}

/// Grade C: this client was told earlier, for one interface only.
fn told_before<'a>(mapped: impl Iterator<Item = &'a Learned>, attempt: &Attempt) -> Option<Guess> {
    let told: Vec<&Learned> = mapped
        .filter(|known| in_force(known, attempt.began))
        .filter(|known| known.told_to(attempt.client).next().is_some_and(|first| first.ts <= attempt.began))
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
        (guess.grade, guess.handed_out) = (Grade::E, false);
    }
    Some(guess)
}

/// Grade D: DCOM named the port to this client. The interfaces are those that were bound there.
fn activated<'a>(known: impl Iterator<Item = &'a Learned> + Clone, attempt: &Attempt) -> Option<Guess> {
    let of_process = known.clone().find(|known| known.source == Source::Oxid && in_force(known, attempt.began))?;
    let before = of_process.told_to(attempt.client).take_while(|moment| moment.ts <= attempt.began).last();
    let moment = before.or_else(|| of_process.told_to(attempt.client).next())?;
    let seen: BTreeSet<InterfaceId> =
        known.filter(|known| known.source == Source::Bind).filter_map(|known| known.interface).collect();
    Some(Guess {
        grade: Grade::D,
        interfaces: seen.into_iter().collect(),
        learned: moment.frame,
        retro: before.is_none(),
        superseded: false,
        handed_out: true,
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
    let mut interfaces: BTreeSet<InterfaceId> = known.iter().filter_map(|known| known.interface).collect();
    let named = !interfaces.is_empty();
    // Lists name it with each port; it says nothing about what the port is for.
    interfaces.retain(|interface| interface.uuid != MANAGEMENT);
    (!named || !interfaces.is_empty()).then(|| Guess {
        grade,
        interfaces: interfaces.into_iter().collect(),
        learned: first.frame,
        retro: first.ts > attempt.began,
        superseded: false,
        handed_out: grade == Grade::C,
    })
}

/// Whether the interface was on the port at a time, as far as moves show.
fn in_force(known: &Learned, at: Timestamp) -> bool {
    known.superseded.is_none_or(|moved| at < moved.ts) && known.elsewhere_until.is_none_or(|until| until.ts <= at)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop here")]

    use super::*;
    use crate::learn::endpoints::Statement;
    use crate::learn::rpc_flow::Bound;
    use crate::model::addr::FlowKey;
    use crate::proto::craft::DRSUAPI;
    use crate::proto::craft::EPM;
    use crate::proto::craft::RESOLVER;
    use crate::proto::craft::SVCCTL;

    const SERVER: [u8; 4] = [10, 0, 0, 10];
    const CLIENT: [u8; 4] = [10, 0, 0, 50];
    const OTHER: [u8; 4] = [10, 0, 0, 60];
    const PORT: u16 = 49_668;

    fn moment(second: u64) -> Moment {
        Moment { ts: Timestamp(second * 1_000_000_000), frame: FrameId::new(0, second) }
    }

    /// A statement of one second, which is also its frame.
    fn said(source: Source, interface: InterfaceId, client: [u8; 4], port: u16, second: u64) -> Statement<'static> {
        Statement {
            server: Addr::v4(SERVER),
            over: Over::Tcp,
            port,
            interface: (source != Source::Oxid).then_some(interface),
            source,
            client: Addr::v4(client),
            at: moment(second),
            own: true,
            pipe: None,
        }
    }

    fn endpoints(statements: &[Statement]) -> Endpoints {
        let book = RpcBook::default();
        for statement in statements {
            book.learn(statement);
        }
        Endpoints::of(&book)
    }

    fn attempt(port: u16, second: u64) -> Attempt {
        let (key, _) = FlowKey::of(Addr::v4(CLIENT), 50_000, Addr::v4(SERVER), port, Transport::Tcp);
        Attempt {
            flow: FlowId { key, first_frame: FrameId::new(0, second) },
            server: Endpoint { addr: Addr::v4(SERVER), port },
            client: Addr::v4(CLIENT),
            began: moment(second).ts,
        }
    }

    /// Grade, interfaces, frame, retro, superseded of a flow to [`PORT`].
    type Told = (Grade, Vec<InterfaceId>, u64, bool, bool);

    fn grade(statements: &[Statement], second: u64) -> Option<Told> {
        told(endpoints(statements).grade(&attempt(PORT, second)))
    }

    fn told(guess: Option<Guess>) -> Option<Told> {
        guess.map(|guess| (guess.grade, guess.interfaces, guess.learned.number(), guess.retro, guess.superseded))
    }

    #[test]
    fn b_whoever_was_told_is_known_however_many_there_are() {
        let clients: Vec<[u8; 4]> = (0..1000_u16).map(u16::to_be_bytes).map(|[high, low]| [10, 9, high, low]).collect();
        let said: Vec<_> = clients
            .iter()
            .flat_map(|client| [DRSUAPI, SVCCTL].map(|interface| said(Source::EptMap, interface, *client, PORT, 100)))
            .collect();
        let endpoints = endpoints(&said);
        for client in clients {
            let guess = endpoints.grade(&Attempt { client: Addr::v4(client), ..attempt(PORT, 110) });
            assert_eq!(guess.map(|guess| guess.grade), Some(Grade::B), "{client:?}");
        }
    }

    #[test]
    fn a_the_flow_itself_was_bound() {
        let book = RpcBook::default();
        book.learn(&said(Source::EptMap, SVCCTL, CLIENT, PORT, 99));
        let bound = |interface| Bound { interface, at: moment(101), opnums: Vec::new() };
        let flow = RpcFlow { first: moment(100), bound: vec![bound(DRSUAPI), bound(EPM)], ..RpcFlow::default() };
        book.showed(attempt(PORT, 100).flow, &flow);
        let endpoints = Endpoints::of(&book);
        let wanted = (Grade::A, vec![DRSUAPI, EPM], 101, false, false);
        assert_eq!(told(endpoints.grade(&attempt(PORT, 100))), Some(wanted));
        assert_eq!(endpoints.grade(&attempt(PORT, 101)).unwrap().grade, Grade::B, "another flow of the same ends");
    }

    #[test]
    fn b_this_client_was_told_within_the_minute_before() {
        let asked = said(Source::EptMap, DRSUAPI, CLIENT, PORT, 100);
        let known = Some((Grade::B, vec![DRSUAPI], 100, false, false));
        assert_eq!(grade(&[asked], 100), known);
        assert_eq!(grade(&[asked], 160), known);
        // Twin: a second later, to another client, by a list, before it was told.
        let probable = |retro| Some((Grade::C, vec![DRSUAPI], 100, retro, false));
        assert_eq!(grade(&[asked], 161), probable(false));
        assert_eq!(grade(&[said(Source::EptMap, DRSUAPI, OTHER, PORT, 100)], 101), probable(false));
        assert_eq!(grade(&[said(Source::EptLookup, DRSUAPI, CLIENT, PORT, 100)], 101), probable(false));
        assert_eq!(grade(&[asked], 99), probable(true));
        // Twin: another port.
        assert_eq!(endpoints(&[asked]).grade(&attempt(PORT + 1, 100)), None);
    }

    #[test]
    fn b_beats_what_else_is_known_of_the_port_and_puts_the_latest_first() {
        let all = [
            said(Source::EptMap, DRSUAPI, CLIENT, PORT, 100),
            said(Source::EptMap, SVCCTL, CLIENT, PORT, 120),
            said(Source::EptMap, EPM, OTHER, PORT, 121),
        ];
        assert_eq!(grade(&all, 130), Some((Grade::B, vec![SVCCTL, DRSUAPI], 120, false, false)));
    }

    #[test]
    fn c_another_flow_was_bound_and_nothing_else_is_there() {
        let bound = said(Source::Bind, DRSUAPI, OTHER, PORT, 100);
        assert_eq!(grade(&[bound], 150), Some((Grade::C, vec![DRSUAPI], 100, false, false)));
        let two = [bound, said(Source::EptLookup, SVCCTL, OTHER, PORT, 101)];
        assert_eq!(grade(&two, 150), Some((Grade::E, vec![SVCCTL, DRSUAPI], 100, false, false)));
        // What this client itself once asked for tells more than what else is there.
        let three = [two[0], two[1], said(Source::EptMap, SVCCTL, CLIENT, PORT, 40)];
        assert_eq!(grade(&three, 150), Some((Grade::C, vec![SVCCTL], 40, false, false)));
    }

    #[test]
    fn d_dcom_named_the_port_to_this_client() {
        let named = said(Source::Oxid, RESOLVER, CLIENT, PORT, 100);
        assert_eq!(grade(&[named], 101), Some((Grade::D, vec![], 100, false, false)));
        assert_eq!(grade(&[named], 99), Some((Grade::D, vec![], 100, true, false)));
        let with_binds =
            [named, said(Source::Bind, RESOLVER, OTHER, PORT, 90), said(Source::Bind, SVCCTL, OTHER, PORT, 91)];
        assert_eq!(grade(&with_binds, 101), Some((Grade::D, vec![SVCCTL, RESOLVER], 100, false, false)));
        // Twin: to another client.
        let other = said(Source::Oxid, RESOLVER, OTHER, PORT, 100);
        assert_eq!(grade(&[other], 101), Some((Grade::E, vec![], 100, false, false)));
    }

    #[test]
    fn e_another_address_was_named() {
        let foreign = Statement { own: false, ..said(Source::EptMap, DRSUAPI, CLIENT, PORT, 100) };
        assert_eq!(grade(&[foreign], 101), Some((Grade::E, vec![DRSUAPI], 100, false, false)));
        let own = said(Source::EptMap, DRSUAPI, OTHER, PORT, 90);
        assert_eq!(grade(&[foreign, own], 101).unwrap().0, Grade::B, "once said of the own address is enough");
    }

    #[test]
    fn an_offer_without_answer_beats_what_others_were_told() {
        let book = RpcBook::default();
        book.learn(&said(Source::EptMap, SVCCTL, CLIENT, PORT, 99));
        let offered = Some((moment(101), BTreeSet::from([DRSUAPI])));
        book.showed(attempt(PORT, 100).flow, &RpcFlow { first: moment(101), offered, ..RpcFlow::default() });
        let wanted = (Grade::C, vec![DRSUAPI], 101, false, false);
        assert_eq!(told(Endpoints::of(&book).grade(&attempt(PORT, 100))), Some(wanted));
        // Twin: it offers what it was told the port for.
        book.learn(&said(Source::EptMap, DRSUAPI, CLIENT, PORT, 98));
        let guess = Endpoints::of(&book).grade(&attempt(PORT, 100)).unwrap();
        assert!(guess.handed_out);
        assert_eq!(told(Some(guess)), Some((Grade::B, vec![DRSUAPI], 99, false, false)));
    }

    #[test]
    fn the_management_interface_does_not_make_a_port_ambiguous() {
        let management = InterfaceId { uuid: MANAGEMENT, major: 1, minor: 0 };
        let listed =
            [said(Source::EptLookup, DRSUAPI, OTHER, PORT, 100), said(Source::EptLookup, management, OTHER, PORT, 100)];
        assert_eq!(grade(&listed, 101), Some((Grade::C, vec![DRSUAPI], 100, false, false)));
        assert_eq!(grade(&listed[1..], 101), None);
    }

    #[test]
    fn answers_of_one_search_and_lists_move_nothing() {
        let elsewhere = |source, ms: u64| {
            let at = Moment { ts: Timestamp(ms * 1_000_000), frame: FrameId::new(0, ms) };
            Statement { at, ..said(source, DRSUAPI, CLIENT, PORT + 1, 1) }
        };
        let at_port = said(Source::EptMap, DRSUAPI, CLIENT, PORT, 100);
        let still = Some((Grade::B, vec![DRSUAPI], 100, false, false));
        assert_eq!(grade(&[at_port, elsewhere(Source::EptMap, 100_500)], 110), still);
        assert_eq!(grade(&[at_port, elsewhere(Source::EptLookup, 105_000)], 110), still);
        // Twin: told anew, some time after.
        let moved = grade(&[at_port, elsewhere(Source::EptMap, 101_500)], 110);
        assert_eq!(moved, Some((Grade::E, vec![DRSUAPI], 100, false, true)));
        // Twin: told at once, and again and again.
        let again = [at_port, elsewhere(Source::EptMap, 100_500), elsewhere(Source::EptMap, 108_000)];
        assert_eq!(grade(&again, 110), moved);
    }

    #[test]
    fn f_speaks_dce_rpc_and_nothing_else_is_known() {
        let book = RpcBook::default();
        book.showed(attempt(PORT, 100).flow, &RpcFlow { first: moment(105), ..RpcFlow::default() });
        let endpoints = Endpoints::of(&book);
        assert_eq!(told(endpoints.grade(&attempt(PORT, 100))), Some((Grade::F, vec![], 105, false, false)));
        assert_eq!(endpoints.grade(&attempt(PORT, 101)), None);
    }

    #[test]
    fn rpc_over_http_is_looked_for_on_tcp_and_datagrams_are_not() {
        let http = Statement { over: Over::Http, ..said(Source::EptMap, DRSUAPI, CLIENT, PORT, 100) };
        assert_eq!(grade(&[http], 101).unwrap().0, Grade::B);
        let udp = Statement { over: Over::Udp, ..http };
        assert_eq!(grade(&[udp], 101), None);
    }

    #[test]
    fn a_newer_answer_closes_the_old_port_from_then_on() {
        let moved = [
            said(Source::EptMap, DRSUAPI, OTHER, PORT, 100),
            said(Source::Bind, DRSUAPI, OTHER, PORT, 150),
            said(Source::EptMap, DRSUAPI, OTHER, PORT + 1, 200),
        ];
        assert_eq!(grade(&moved, 199), Some((Grade::C, vec![DRSUAPI], 100, false, false)));
        assert_eq!(grade(&moved, 200), Some((Grade::E, vec![DRSUAPI], 100, false, true)));
        // The new port was not the interface's before it left the old one.
        let endpoints = endpoints(&moved);
        let at_new = |second| told(endpoints.grade(&attempt(PORT + 1, second))).unwrap();
        assert_eq!(at_new(149), (Grade::E, vec![DRSUAPI], 200, true, true));
        assert_eq!(at_new(160), (Grade::C, vec![DRSUAPI], 200, true, false));
        // Twin: both ports in one answer, or the old one seen again.
        let both = [moved[0], said(Source::EptMap, DRSUAPI, OTHER, PORT + 1, 100)];
        assert_eq!(grade(&both, 300).unwrap().0, Grade::C);
        let again = [moved[0], moved[2], said(Source::EptMap, DRSUAPI, OTHER, PORT, 250)];
        assert_eq!(grade(&again, 300).unwrap().0, Grade::C);
    }

    #[test]
    fn three_interfaces_that_move_close_everything() {
        let mut all = vec![said(Source::Bind, RESOLVER, OTHER, PORT, 50)];
        for (nth, interface) in [DRSUAPI, SVCCTL, EPM].into_iter().enumerate() {
            let (nth, second) = (u16::try_from(nth).unwrap(), u64::try_from(nth).unwrap());
            all.push(said(Source::EptMap, interface, OTHER, 50_000 + nth, 100 + second));
            all.push(said(Source::EptMap, interface, OTHER, 51_000 + nth, 200 + second));
        }
        assert_eq!(grade(&all, 199), Some((Grade::C, vec![RESOLVER], 50, false, false)));
        assert_eq!(grade(&all, 200), Some((Grade::E, vec![RESOLVER], 50, false, true)));
        // Twins: seen again afterwards; only two moved.
        let again = [all.as_slice(), &[said(Source::Bind, RESOLVER, OTHER, PORT, 210)]].concat();
        assert_eq!(grade(&again, 220).unwrap().0, Grade::C);
        assert_eq!(grade(&all[..5], 200).unwrap().0, Grade::C);
    }
}
