//! A TCP conversation with its sequence numbers, from either end's words.
//!
//! Hands on segments to a scene. Must never know what the payload means.

use etherparse::TcpHeader;
use etherparse::TcpOptionElement;

use crate::craft::host::Host;
use crate::craft::scene::Scene;

/// FIN bit.
pub(crate) const FIN: u8 = 1;
/// SYN bit.
pub(crate) const SYN: u8 = 2;
/// RST bit.
pub(crate) const RST: u8 = 4;
/// PSH bit.
pub(crate) const PSH: u8 = 8;
/// ACK bit.
pub(crate) const ACK: u8 = 16;

/// What a Windows host offers in its SYN, before scaling applies.
const SYN_WINDOW: u16 = 64_240;
/// What it offers later, scaled by 256.
const WINDOW: u16 = 255;

/// Which end speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The one that began.
    Client,
    /// The one that listens.
    Server,
}

/// The state of one conversation.
#[derive(Clone, Debug)]
pub(crate) struct Tcp {
    /// Who began, with port.
    pub(crate) client: (Host, u16),
    /// Who listens, with port.
    pub(crate) server: (Host, u16),
    /// The client's next sequence number.
    pub(crate) client_seq: u32,
    /// The server's next sequence number.
    pub(crate) server_seq: u32,
}

impl Tcp {
    /// A conversation not begun yet, from a fresh port.
    pub(crate) fn new(scene: &mut Scene, client: &Host, server: &Host, port: u16) -> Self {
        let own = scene.port();
        Self::from_port(scene, client, own, server, port)
    }

    /// A conversation not begun yet, from a port given.
    pub(crate) fn from_port(scene: &mut Scene, client: &Host, own: u16, server: &Host, port: u16) -> Self {
        let (client_seq, server_seq) = (scene.isn(), scene.isn());
        Self { client: (*client, own), server: (*server, port), client_seq, server_seq }
    }

    /// Sends one segment with the current numbers; they do not advance.
    pub(crate) fn segment(&self, scene: &mut Scene, end: End, flags: u8, payload: &[u8]) {
        let (from, to, seq, ack) = match end {
            End::Client => (self.client, self.server, self.client_seq, self.server_seq),
            End::Server => (self.server, self.client, self.server_seq, self.client_seq),
        };
        let window = match flags {
            reset if reset & RST != 0 => 0,
            opening if opening & SYN != 0 => SYN_WINDOW,
            _ => WINDOW,
        };
        let mut header = TcpHeader::new(from.1, to.1, seq, window);
        header.fin = flags & FIN != 0;
        header.syn = flags & SYN != 0;
        header.rst = flags & RST != 0;
        header.psh = flags & PSH != 0;
        header.ack = flags & ACK != 0;
        if header.ack {
            header.acknowledgment_number = ack;
        }
        if header.syn {
            header.set_options(&SYN_OPTIONS).unwrap();
        }
        scene.send_tcp(&from.0, &to.0, header, payload);
    }

    fn advance(&mut self, end: End, by: usize) {
        let seq = match end {
            End::Client => &mut self.client_seq,
            End::Server => &mut self.server_seq,
        };
        *seq = seq.wrapping_add(u32::try_from(by).unwrap());
    }

    /// A SYN; sending it again is a retransmission until `heard` or `open` moves on.
    pub(crate) fn syn(&self, scene: &mut Scene) {
        self.segment(scene, End::Client, SYN, &[]);
    }

    /// The SYN-ACK that fits; sending it again is a retransmission.
    pub(crate) fn syn_ack(&self, scene: &mut Scene) {
        let mut heard = self.clone();
        heard.advance(End::Client, 1);
        heard.segment(scene, End::Server, SYN | ACK, &[]);
    }

    /// The whole handshake.
    pub(crate) fn open(&mut self, scene: &mut Scene) {
        self.syn(scene);
        self.syn_ack(scene);
        self.established();
        self.segment(scene, End::Client, ACK, &[]);
    }

    /// Moves both numbers past the SYNs without sending anything.
    pub(crate) fn established(&mut self) {
        self.advance(End::Client, 1);
        self.advance(End::Server, 1);
    }

    /// Data, not yet acknowledged.
    pub(crate) fn say(&mut self, scene: &mut Scene, end: End, payload: &[u8]) {
        self.segment(scene, end, PSH | ACK, payload);
        self.advance(end, payload.len());
    }

    /// A bare acknowledgement.
    pub(crate) fn ack(&self, scene: &mut Scene, end: End) {
        self.segment(scene, end, ACK, &[]);
    }

    /// A request, its answer, and the acknowledgement of the answer.
    pub(crate) fn exchange(&mut self, scene: &mut Scene, request: &[u8], answer: &[u8]) {
        self.say(scene, End::Client, request);
        self.say(scene, End::Server, answer);
        self.ack(scene, End::Client);
    }

    /// An orderly end, begun by the client.
    pub(crate) fn close(&mut self, scene: &mut Scene) {
        for end in [End::Client, End::Server] {
            self.segment(scene, end, FIN | ACK, &[]);
            self.advance(end, 1);
        }
        self.ack(scene, End::Client);
    }

    /// A reset with fitting numbers from the end given.
    pub(crate) fn reset(&self, scene: &mut Scene, end: End) {
        self.segment(scene, end, RST | ACK, &[]);
    }

    /// The reset that answers a SYN (RFC 9293 section 3.10.7.1: sequence number 0), sent by `speaker` in the name of the server.
    pub(crate) fn refuse(&self, scene: &mut Scene, speaker: &Host) {
        let mut heard = self.clone();
        heard.server.0 = *speaker;
        heard.server_seq = 0;
        heard.advance(End::Client, 1);
        heard.reset(scene, End::Server);
    }
}

const SYN_OPTIONS: [TcpOptionElement; 6] = [
    TcpOptionElement::MaximumSegmentSize(1460),
    TcpOptionElement::Noop,
    TcpOptionElement::WindowScale(8),
    TcpOptionElement::Noop,
    TcpOptionElement::Noop,
    TcpOptionElement::SelectiveAcknowledgementPermitted,
];

/// A connection that works: handshake, the exchanges, orderly end.
pub(crate) fn connect(scene: &mut Scene, client: &Host, server: &Host, port: u16, exchanges: &[(&[u8], &[u8])]) {
    let mut tcp = Tcp::new(scene, client, server, port);
    tcp.open(scene);
    for (request, answer) in exchanges {
        tcp.exchange(scene, request, answer);
    }
    tcp.close(scene);
}

/// A connection attempt that the speaker refuses with a reset.
pub(crate) fn refused(scene: &mut Scene, client: &Host, server: &Host, port: u16, speaker: &Host) {
    let tcp = Tcp::new(scene, client, server, port);
    tcp.syn(scene);
    tcp.refuse(scene, speaker);
}

/// A connection attempt that nobody answers: SYNs at the times given (milliseconds from now).
pub(crate) fn dropped(scene: &mut Scene, client: &Host, server: &Host, port: u16, at_ms: &[u64]) {
    let tcp = Tcp::new(scene, client, server, port);
    let begin = scene.now_ns;
    for ms in at_ms {
        scene.now_ns = begin + ms * 1_000_000;
        tcp.syn(scene);
    }
}

/// A connection attempt that somebody answers with an ICMP error.
pub(crate) fn rejected(scene: &mut Scene, (client, server): (&Host, &Host), port: u16, by: &Host, code: (u8, u8)) {
    let tcp = Tcp::new(scene, client, server, port);
    tcp.syn(scene);
    scene.icmp_reject(by, client, code.0, code.1);
}
