//! Logons of Windows clients: each a chain of conversations with a controller and a server, many side by side.

use std::collections::VecDeque;

use crate::capture::synthetic::Dice;
use crate::capture::synthetic::frame::ACK;
use crate::capture::synthetic::frame::Ends;
use crate::capture::synthetic::frame::FIN;
use crate::capture::synthetic::frame::PSH;
use crate::capture::synthetic::frame::SYN;
use crate::capture::synthetic::frame::Segment;
use crate::capture::synthetic::frame::write;
use crate::capture::synthetic::message::Language;
use crate::capture::synthetic::message::MAPPER;
use crate::capture::synthetic::message::Phrases;
use crate::capture::synthetic::message::REPLICATION;
use crate::capture::synthetic::message::map_request;
use crate::capture::synthetic::message::map_response;
use crate::capture::synthetic::message::rpc_bind;
use crate::capture::synthetic::message::rpc_bind_ack;
use crate::capture::synthetic::message::rpc_request;
use crate::capture::synthetic::message::rpc_response;

const CONTROLLERS: u32 = 4;
const SERVERS: u32 = 16;

/// Conversations of one logon.
const CHAIN: u32 = 9;

/// The longest payload of one segment.
const SEGMENT_BYTES: usize = 1_460;

/// SYNs of a client that nobody answers, as Windows repeats them.
const ATTEMPTS: usize = 3;

/// Many logons under way.
pub(super) struct Logons {
    under_way: Vec<Logon>,
    /// How many have begun: each client is another host, until numbers run out.
    begun: u32,
    phrases: Phrases,
}

/// One client, with the conversations that it still has before it.
#[derive(Default)]
struct Logon {
    ahead: VecDeque<Talk>,
    now: Talk,
}

/// A conversation with what is still to be said.
#[derive(Default)]
struct Talk {
    ends: Ends,
    next: [u32; 2],
    ahead: VecDeque<Act>,
}

struct Act {
    from_server: bool,
    flags: u8,
    payload: Vec<u8>,
}

/// A message, and who says it.
type Said = (bool, Vec<u8>);

impl Logons {
    pub(super) fn new(flows: u32, dice: &mut Dice) -> Self {
        let mut logons = Self { under_way: Vec::new(), begun: 0, phrases: Phrases::new() };
        for _ in 0..(flows / CHAIN).max(1) {
            let logon = logons.begin(dice);
            logons.under_way.push(logon);
        }
        logons
    }

    /// Makes the next frame: of any logon, which are far from each other in their chains before long.
    pub(super) fn next(&mut self, dice: &mut Dice, frame: &mut Vec<u8>) {
        let at = dice.below(u32::try_from(self.under_way.len()).unwrap_or(u32::MAX)) as usize;
        if self.under_way.get(at).is_some_and(Logon::is_over) {
            let logon = self.begin(dice);
            if let Some(place) = self.under_way.get_mut(at) {
                *place = logon;
            }
        }
        if let Some(logon) = self.under_way.get_mut(at) {
            logon.speak(dice, frame);
        }
    }

    fn begin(&mut self, dice: &mut Dice) -> Logon {
        let client = 0x0a01_0000 + self.begun % 60_000;
        let first_port = 49_152 + u16::try_from(self.begun / 60_000 * CHAIN % 16_000).unwrap_or_default();
        self.begun += 1;
        let controller = 0x0a00_000a + dice.below(CONTROLLERS);
        let server = 0x0a00_0064 + dice.below(SERVERS);
        let mut logon = Logon::default();
        for (number, plan) in (0..).zip(self.chain(controller, server, dice)) {
            let ends = Ends {
                hosts: [client, plan.host],
                ports: [first_port + number, plan.port],
                datagrams: plan.datagrams,
                ..Ends::default()
            };
            let ahead = if plan.datagrams { datagrams(plan.said) } else { connection(plan.said) };
            logon.ahead.push_back(Talk { ends, next: [dice.word(), dice.word()], ahead });
        }
        logon.now = logon.ahead.pop_front().unwrap_or_default();
        logon
    }

    /// The conversations of one logon, in order.
    fn chain(&self, controller: u32, server: u32, dice: &mut Dice) -> Vec<Plan> {
        let dynamic = 49_664 + dice.port_below(8);
        let speak = |language: Language| -> Vec<Said> {
            [false, true].map(|from_server| (from_server, self.phrases.of(language, from_server).to_vec())).into()
        };
        // What a server sends after it has introduced itself: a share's files, a directory's entries.
        let mut with_bulk = |language: Language, most: u32| {
            let mut said = speak(language);
            said.push((true, vec![0x5a; SEGMENT_BYTES * dice.below(most) as usize + 200]));
            said
        };
        let mapped = vec![
            (false, rpc_bind(MAPPER, 3)),
            (true, rpc_bind_ack()),
            (false, map_request(REPLICATION, 4)),
            (true, map_response(REPLICATION, 4, dynamic, controller)),
        ];
        let called = vec![
            (false, rpc_bind(REPLICATION, 4)),
            (true, rpc_bind_ack()),
            (false, rpc_request(0, &[9; 24])),
            (true, rpc_response(&[7; 28])),
        ];
        let (ldap, smb) = (with_bulk(Language::Ldap, 12), with_bulk(Language::Smb, 60));
        let (tls, http) = (with_bulk(Language::Tls, 12), with_bulk(Language::Http, 4));
        let plan = |host, port, datagrams, said| Plan { host, port, datagrams, said };
        let web = if dice.percent(50) { plan(server, 443, false, tls) } else { plan(server, 5985, false, http) };
        let mut chain = vec![
            plan(controller, 53, true, speak(Language::Dns)),
            plan(controller, 389, true, speak(Language::Ldap)),
            plan(controller, 123, true, speak(Language::Ntp)),
            plan(controller, 88, false, speak(Language::KerberosStream)),
            plan(controller, 389, false, ldap),
            plan(controller, 135, false, mapped),
            plan(controller, dynamic, false, called),
            plan(server, 445, false, smb),
            web,
        ];
        // A firewall in between: the whole conversation is nothing but SYNs.
        if dice.percent(4)
            && let Some(blocked) = chain.get_mut(3 + dice.below(6) as usize)
        {
            blocked.said.clear();
        }
        chain
    }
}

/// A conversation to come.
struct Plan {
    host: u32,
    port: u16,
    datagrams: bool,
    said: Vec<Said>,
}

/// Each message is one datagram.
fn datagrams(said: Vec<Said>) -> VecDeque<Act> {
    said.into_iter().map(|(from_server, payload)| Act { from_server, flags: 0, payload }).collect()
}

/// A connection: handshake, messages in segments, every second one acknowledged, and the end. Where nothing is to be
/// said nobody answers.
fn connection(said: Vec<Said>) -> VecDeque<Act> {
    let bare = |from_server: bool, flags: u8| Act { from_server, flags, payload: Vec::new() };
    if said.is_empty() {
        return (0..ATTEMPTS).map(|_| bare(false, SYN)).collect();
    }
    let mut acts = VecDeque::from([bare(false, SYN), bare(true, SYN | ACK), bare(false, ACK)]);
    for (from_server, message) in said {
        for (number, piece) in message.chunks(SEGMENT_BYTES).enumerate() {
            acts.push_back(Act { from_server, flags: PSH | ACK, payload: piece.to_vec() });
            if number % 2 == 1 {
                acts.push_back(bare(!from_server, ACK));
            }
        }
    }
    acts.extend([bare(false, FIN | ACK), bare(true, FIN | ACK), bare(false, ACK)]);
    acts
}

impl Logon {
    fn is_over(&self) -> bool {
        self.ahead.is_empty() && self.now.ahead.is_empty()
    }

    fn speak(&mut self, dice: &mut Dice, frame: &mut Vec<u8>) {
        if self.now.ahead.is_empty()
            && let Some(next) = self.ahead.pop_front()
        {
            self.now = next;
        }
        let Talk { ends, next, ahead } = &mut self.now;
        let Some(Act { from_server, flags, payload }) = ahead.pop_front() else { return };
        let [client, server] = *next;
        let [own, other] = if from_server { [server, client] } else { [client, server] };
        let acknowledged = if flags & ACK == 0 { 0 } else { other };
        let ident = dice.port_below(u16::MAX);
        let segment = Segment { from_server, flags, numbers: [own, acknowledged], ident, payload: &payload };
        write(ends, &segment, 60, frame);
        // A repeated SYN has the number of the first.
        let repeats = flags == SYN && ahead.front().is_some_and(|act| act.flags == SYN);
        let consumed = u32::try_from(payload.len()).unwrap_or_default() + u32::from(flags & (SYN | FIN) != 0);
        if !repeats && let Some(number) = next.get_mut(usize::from(from_server)) {
            *number = number.wrapping_add(consumed);
        }
    }
}
