//! Conversations of many protocols side by side, one frame at a time.

use crate::capture::synthetic::Dice;
use crate::capture::synthetic::LEAST_BYTES;
use crate::capture::synthetic::frame::ACK;
use crate::capture::synthetic::frame::Ends;
use crate::capture::synthetic::frame::FIN;
use crate::capture::synthetic::frame::PSH;
use crate::capture::synthetic::frame::RST;
use crate::capture::synthetic::frame::SYN;
use crate::capture::synthetic::frame::Segment;
use crate::capture::synthetic::frame::write;
use crate::capture::synthetic::message::Language;
use crate::capture::synthetic::message::Phrases;

/// A service of the mix: port, datagrams or not, share, language. Shares need not add up to anything.
const SERVICES: &[(Ports, bool, u32, Option<Language>)] = &[
    (Ports::One(445), false, 220, Some(Language::Smb)),
    (Ports::One(389), false, 150, Some(Language::Ldap)),
    (Ports::One(389), true, 50, Some(Language::Ldap)),
    (Ports::One(88), false, 80, Some(Language::KerberosStream)),
    (Ports::One(88), true, 40, Some(Language::Kerberos)),
    (Ports::One(53), true, 120, Some(Language::Dns)),
    (Ports::One(53), false, 10, Some(Language::DnsStream)),
    (Ports::One(135), false, 60, Some(Language::Rpc)),
    (Ports::Dynamic, false, 100, Some(Language::Rpc)),
    (Ports::One(3268), false, 50, Some(Language::Ldap)),
    (Ports::One(636), false, 30, Some(Language::Tls)),
    (Ports::One(443), false, 40, Some(Language::Tls)),
    (Ports::One(5985), false, 30, Some(Language::Http)),
    (Ports::One(3389), false, 10, None),
    (Ports::One(139), false, 10, Some(Language::Smb)),
    (Ports::One(137), true, 10, None),
    (Ports::One(123), true, 10, Some(Language::Ntp)),
    (Ports::One(464), false, 10, Some(Language::KerberosStream)),
    (Ports::One(25), false, 10, None),
    (Ports::One(9389), false, 10, None),
    (Ports::Any, false, 20, None),
    (Ports::Any, true, 10, None),
];

#[derive(Clone, Copy)]
enum Ports {
    One(u16),
    /// One of 400 that a Windows server gives to RPC services.
    Dynamic,
    /// Any above the well-known.
    Any,
}

const SERVERS: u32 = 40;
const CLIENTS: u32 = 5_000;

/// Frames of a conversation that nobody answers, or that is refused, before another takes its place.
const ATTEMPTS: u32 = 6;

/// The longest payload of a mix: what an Ethernet frame holds.
const SEGMENT_BYTES: usize = 1_460;

/// How a conversation goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Answered,
    Silent,
    Refused,
}

struct Talk {
    ends: Ends,
    language: Option<Language>,
    fate: Fate,
    /// Frames so far, and when it ends.
    sent: u32,
    length: u32,
    /// The next sequence numbers of client and server.
    next: [u32; 2],
}

/// Many conversations.
pub(super) struct Mix {
    /// Frames of all sizes, and conversations that end; else 64 bytes each, and they go on for ever.
    sizes: bool,
    talks: Vec<Talk>,
    at: usize,
    /// Frames that the current conversation still has before another comes in between.
    burst: u32,
    phrases: Phrases,
    filler: Vec<u8>,
}

impl Mix {
    pub(super) fn new(sizes: bool, flows: u32, dice: &mut Dice) -> Self {
        let filler = (0..4 * SEGMENT_BYTES).map(|_| dice.roll().to_le_bytes()[0]).collect();
        let talks = (0..flows.max(1)).map(|_| talk(sizes, dice)).collect();
        Self { sizes, talks, at: 0, burst: 0, phrases: Phrases::new(), filler }
    }

    /// Makes the next frame.
    pub(super) fn next(&mut self, dice: &mut Dice, frame: &mut Vec<u8>) {
        let flows = u32::try_from(self.talks.len()).unwrap_or(u32::MAX);
        if !self.sizes {
            self.at = dice.below(flows) as usize;
        } else if self.burst == 0 {
            // Some conversations are much busier than others.
            let busy = if dice.percent(40) { flows / 50 + 1 } else { flows };
            self.at = dice.below(busy.min(flows)) as usize;
            self.burst = 1 + dice.below(6);
        }
        self.burst = self.burst.saturating_sub(1);
        let Some(talk) = self.talks.get_mut(self.at) else { return };
        let over = if talk.fate == Fate::Answered { talk.sent >= talk.length } else { talk.sent >= ATTEMPTS };
        if self.sizes && over {
            *talk = self::talk(true, dice);
            self.burst = 0;
        }
        talk.speak(self.sizes, &self.phrases, &self.filler, dice, frame);
    }
}

fn talk(sizes: bool, dice: &mut Dice) -> Talk {
    let mut pick = dice.below(SERVICES.iter().map(|(_, _, share, _)| share).sum());
    let service = SERVICES.iter().find(|(_, _, share, _)| {
        let here = pick < *share;
        pick = pick.saturating_sub(*share);
        here
    });
    let (ports, datagrams, _, language) = service.copied().unwrap_or((Ports::Any, false, 0, None));
    let port = match ports {
        Ports::One(port) => port,
        Ports::Dynamic => 49_152 + dice.port_below(400),
        Ports::Any => 1_024 + dice.port_below(40_000),
    };
    let ends = Ends {
        hosts: [0x0a01_0000 + dice.below(CLIENTS), 0x0a00_0001 + dice.below(SERVERS)],
        ports: [1_024 + dice.port_below(64_000), port],
        datagrams,
        v6: sizes && dice.percent(3),
        tagged: sizes && dice.percent(5),
    };
    let fate = match dice.below(100) {
        0 | 1 => Fate::Silent,
        2 if !datagrams => Fate::Refused,
        _ => Fate::Answered,
    };
    let length = if sizes { 8 + dice.below(100) } else { u32::MAX };
    Talk { ends, language, fate, sent: 0, length, next: [dice.word(), dice.word()] }
}

impl Talk {
    fn speak(&mut self, sizes: bool, phrases: &Phrases, filler: &[u8], dice: &mut Dice, frame: &mut Vec<u8>) {
        let (from_server, flags, length) = if self.ends.datagrams {
            let from_server = self.fate == Fate::Answered && self.sent % 2 == 1;
            (from_server, 0, if sizes { self.datagram_len(from_server, phrases, dice) } else { 22 })
        } else {
            let (from_server, flags, length) = self.segment(sizes, phrases, dice);
            (from_server, flags, if sizes { length } else { length.min(10) })
        };
        let phrase = self.phrase(from_server, phrases);
        let first = self.sent <= 4 || self.ends.datagrams || !sizes;
        let mut payload = [0; SEGMENT_BYTES];
        let length = length.min(SEGMENT_BYTES);
        let from = dice.below(u32::try_from(SEGMENT_BYTES).unwrap_or_default()) as usize;
        for (place, byte) in payload.iter_mut().take(length).zip(filler.iter().skip(from)) {
            *place = *byte;
        }
        if first {
            for (place, byte) in payload.iter_mut().take(length).zip(phrase) {
                *place = *byte;
            }
        }
        let payload = payload.get(..length).unwrap_or_default();
        let (own, other) = if from_server { (1, 0) } else { (0, 1) };
        let number = |end: usize| self.next.get(end).copied().unwrap_or_default();
        let acknowledged = if flags & ACK == 0 { 0 } else { number(other) };
        let ident = dice.port_below(u16::MAX);
        let segment = Segment { from_server, flags, numbers: [number(own), acknowledged], ident, payload };
        write(&self.ends, &segment, if sizes { 60 } else { LEAST_BYTES }, frame);
        if self.fate == Fate::Answered
            && let Some(next) = self.next.get_mut(own)
        {
            let consumed = u32::try_from(length).unwrap_or_default() + u32::from(flags & (SYN | FIN) != 0);
            *next = next.wrapping_add(consumed);
        }
        self.sent += 1;
        if !sizes && self.sent == u32::MAX {
            self.sent = 10;
        }
    }

    fn phrase<'a>(&self, from_server: bool, phrases: &'a Phrases) -> &'a [u8] {
        self.language.map(|language| phrases.of(language, from_server)).unwrap_or_default()
    }

    fn datagram_len(&self, from_server: bool, phrases: &Phrases, dice: &mut Dice) -> usize {
        let known = self.phrase(from_server, phrases).len();
        if known > 0 { known } else { 60 + dice.below(200) as usize }
    }

    /// Sender, flags and payload length of the next segment.
    fn segment(&self, sizes: bool, phrases: &Phrases, dice: &mut Dice) -> (bool, u8, usize) {
        match (self.fate, self.sent) {
            (Fate::Refused, sent) if sent % 2 == 1 => return (true, RST | ACK, 0),
            (Fate::Refused | Fate::Silent, _) | (_, 0) => return (false, SYN, 0),
            (_, 1) => return (true, SYN | ACK, 0),
            (_, 2) => return (false, ACK, 0),
            (_, sent) if sizes && sent + 2 == self.length => return (false, FIN | ACK, 0),
            (_, sent) if sizes && sent + 1 == self.length => return (true, FIN | ACK, 0),
            (_, 3 | 4) => {}
            _ if !sizes => return (dice.percent(50), PSH | ACK, 10),
            _ => {
                return match dice.below(100) {
                    0..38 => (dice.percent(50), ACK, 0),
                    38..60 => (dice.percent(50), PSH | ACK, 20 + dice.below(300) as usize),
                    60..72 => (dice.percent(50), PSH | ACK, 516),
                    _ => (true, PSH | ACK, SEGMENT_BYTES),
                };
            }
        }
        let from_server = self.sent == 4;
        let known = self.phrase(from_server, phrases).len();
        (from_server, PSH | ACK, if known > 0 { known } else { 40 })
    }
}
