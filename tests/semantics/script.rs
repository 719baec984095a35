//! A small language for captures: who sends what, when, and what is said of it.
//!
//! Times are seconds. Frames are numbered from 1 in the order of the script; conversations of the background
//! ([`Script::talks`]) do not count. Sequence numbers are relative: byte 0 is the first one after the SYN.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::hash::BuildHasherDefault;
use std::hash::DefaultHasher;
use std::io::Write;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use portolan::capture;
use portolan::capture::source::Source;
use portolan::catalogue::Catalogue;
use portolan::catalogue::LoadOptions;
use portolan::catalogue::load;
use portolan::classify::judge::Judge;
use portolan::classify::judged::CaptureFacts;
use portolan::classify::judged::Collapse;
use portolan::classify::judged::Host;
use portolan::classify::judged::Judged;
use portolan::classify::judged::Options;
use portolan::classify::verdict::Standing;
use portolan::decode::packet::IcmpError;
use portolan::decode::packet::Layer;
use portolan::decode::packet::Packet;
use portolan::decode::packet::Tcp;
use portolan::flow::duplicate::Likeness;
use portolan::flow::limits::Counters;
use portolan::flow::limits::Limits;
use portolan::flow::record::Flow;
use portolan::flow::table::Table;
use portolan::learn::knowledge::Answered;
use portolan::learn::knowledge::Knowledge;
use portolan::learn::knowledge::Listener;
use portolan::model::addr::Addr;
use portolan::model::addr::Endpoint;
use portolan::model::addr::FiveTuple;
use portolan::model::addr::FlowKey;
use portolan::model::app::AppProto;
use portolan::model::ids::FrameId;
use portolan::model::time::Timestamp;
use portolan::model::transport::Transport;
use portolan::pipeline::run::Settings;
use portolan::pipeline::run::run;

use crate::craft::pcap::Pcap;
use crate::craft::scene::Frame;

/// A client by the site file.
pub(crate) const C: &str = "10.0.3.7";
/// Another one.
pub(crate) const C2: &str = "10.0.3.8";
/// A domain controller by the site file.
pub(crate) const S: &str = "10.0.0.10";
/// A router of which the site file says nothing.
pub(crate) const ROUTER: &str = "10.0.9.1";
/// The same client, IPv6.
pub(crate) const C6: &str = "fd00:3::7";
/// The same domain controller, IPv6.
pub(crate) const S6: &str = "fd00::10";
/// The same router, IPv6.
pub(crate) const ROUTER6: &str = "fd00:9::1";

/// The site file of a script that says nothing else.
pub(crate) const SITE: &str = r#"
[hosts]
domain-controller = ["10.0.0.10", "10.0.0.11", "fd00::10"]
client = ["10.0.3.0/24", "fd00:3::/64"]
"#;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const PSH: u8 = 8;
const ACK: u8 = 16;

/// Frames of background conversations have higher numbers than those of any script.
const BACKGROUND: u64 = 1_000_000;
/// A whole second, so that a script may place packets around the border of one.
const BEGIN_S: f64 = 1_700_000_000.0;

/// The address written like that.
pub(crate) fn addr(text: &str) -> Addr {
    Addr::from(text.parse::<IpAddr>().unwrap())
}

/// The time `seconds` after the beginning.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "scripts last hours, not centuries")]
pub(crate) fn time(seconds: f64) -> Timestamp {
    Timestamp((BEGIN_S as u64) * 1_000_000_000 + ((seconds + 10_000.0) * 1_000_000.0).round() as u64 * 1000)
}

/// Both ends of a connection and where their sequence numbers begin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conn {
    client: Endpoint,
    server: Endpoint,
    isn: [u32; 2],
}

/// A connection from a client's port to a server's.
pub(crate) fn conn(client: &str, client_port: u16, server: &str, server_port: u16) -> Conn {
    Conn {
        client: Endpoint { addr: addr(client), port: client_port },
        server: Endpoint { addr: addr(server), port: server_port },
        isn: [1_000, 9_000],
    }
}

impl Conn {
    /// The same ends with other initial sequence numbers, client's first.
    pub(crate) fn isn(self, client: u32, server: u32) -> Self {
        Self { isn: [client, server], ..self }
    }

    fn is(&self, ends: &FiveTuple) -> bool {
        (ends.orig == self.client && ends.resp == self.server) || (ends.orig == self.server && ends.resp == self.client)
    }
}

/// Who sends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    Client,
    Server,
}

/// A capture in the making.
pub(crate) struct Script {
    packets: Vec<Packet>,
    own: u64,
    behind: u64,
    ip_id: u16,
    input: u16,
    until: Option<f64>,
    heard: Option<f64>,
    running: bool,
    lost: f64,
    gaps: Vec<(Timestamp, Timestamp)>,
    ends: Vec<Timestamp>,
    site: Option<String>,
    options: Options,
    limits: Limits,
}

impl Script {
    /// Nothing yet; the site file names [`C`] a client and [`S`] a domain controller.
    pub(crate) fn new() -> Self {
        Self {
            packets: Vec::new(),
            own: 0,
            behind: 0,
            ip_id: 100,
            input: 0,
            until: None,
            heard: None,
            running: false,
            lost: 0.0,
            gaps: Vec::new(),
            ends: Vec::new(),
            site: Some(SITE.to_owned()),
            options: Options { infer: true, strict: false },
            limits: Limits::default(),
        }
    }

    /// The capture goes on until then; without this, for a minute after the last packet.
    pub(crate) fn until(self, seconds: f64) -> Self {
        Self { until: Some(seconds), ..self }
    }

    /// The capture was seen until then, and still goes on.
    pub(crate) fn running(self, seconds: f64) -> Self {
        Self { until: Some(seconds), running: true, ..self }
    }

    /// The last frame, of whomever, came then.
    pub(crate) fn heard(self, seconds: f64) -> Self {
        Self { heard: Some(seconds), ..self }
    }

    /// The share of packets that the capture is known to have lost.
    pub(crate) fn lost(self, share: f64) -> Self {
        Self { lost: share, ..self }
    }

    /// Nobody watched between these two times: one file ends, another begins.
    pub(crate) fn gap(mut self, from: f64, to: f64) -> Self {
        self.gaps.push((time(from), time(to)));
        self
    }

    /// When each input ends.
    pub(crate) fn ends(mut self, seconds: &[f64]) -> Self {
        self.ends = seconds.iter().map(|at| time(*at)).collect();
        self
    }

    /// Another site file.
    pub(crate) fn site(self, text: &str) -> Self {
        Self { site: Some(text.to_owned()), ..self }
    }

    /// No site file.
    pub(crate) fn no_site(self) -> Self {
        Self { site: None, ..self }
    }

    /// As with `--strict`.
    pub(crate) fn strict(self) -> Self {
        Self { options: Options { strict: true, ..self.options }, ..self }
    }

    /// As with `--no-infer`.
    pub(crate) fn no_infer(self) -> Self {
        Self { options: Options { infer: false, ..self.options }, ..self }
    }

    /// A table with room for so many flows.
    pub(crate) fn room(self, flows_max: usize) -> Self {
        Self { limits: Limits { flows_max, ..self.limits }, ..self }
    }

    /// What follows comes from this input (file), whose frames are numbered from 1 again.
    pub(crate) fn input(self, input: u16) -> Self {
        Self { input, own: 0, ..self }
    }

    // ---- Packets ----

    fn push(
        mut self,
        seconds: f64,
        from: Endpoint,
        to: Endpoint,
        transport: Transport,
        layer: Layer,
        len: u32,
    ) -> Self {
        self.own += 1;
        self.ip_id += 1;
        let (key, side) = FlowKey::of(from.addr, from.port, to.addr, to.port, transport);
        self.packets.push(Packet {
            frame: FrameId::new(self.input, self.own),
            ts: time(seconds),
            key,
            from: side,
            ttl: 128,
            ip_id: if from.addr.is_v4() { self.ip_id } else { 0 },
            ip_len: len + 40,
            payload_len: len,
            payload_at: 54,
            payload_captured: len,
            lead: u8::from(len > 0),
            layer,
            link_group: false,
            tunnels: 0,
        });
        self
    }

    /// Any TCP segment. `at` and `heard` count from the initial numbers: 0 is the SYN itself.
    #[expect(clippy::cast_possible_truncation, reason = "any 16 bits do for a checksum")]
    #[expect(clippy::too_many_arguments, reason = "each is a field of the packet")]
    pub(crate) fn tcp(self, seconds: f64, c: Conn, from: From, flags: u8, at: u32, heard: u32, len: u32) -> Self {
        let (src, dst, mine, other) = match from {
            From::Client => (c.client, c.server, c.isn[0], c.isn[1]),
            From::Server => (c.server, c.client, c.isn[1], c.isn[0]),
        };
        let seq = mine.wrapping_add(at);
        let ack = if flags & ACK == 0 { 0 } else { other.wrapping_add(heard) };
        let window = if flags & RST == 0 { 64_240 } else { 0 };
        let checksum = (seq ^ ack.rotate_left(7) ^ u32::from(flags) ^ len) as u16;
        let layer = Layer::Tcp(Tcp { seq, ack, flags, window, checksum });
        self.push(seconds, src, dst, Transport::Tcp, layer, len)
    }

    pub(crate) fn syn(self, seconds: f64, c: Conn) -> Self {
        self.tcp(seconds, c, From::Client, SYN, 0, 0, 0)
    }

    pub(crate) fn syn_ack(self, seconds: f64, c: Conn) -> Self {
        self.tcp(seconds, c, From::Server, SYN | ACK, 0, 1, 0)
    }

    /// The client's ACK that completes the handshake.
    pub(crate) fn ack(self, seconds: f64, c: Conn) -> Self {
        self.tcp(seconds, c, From::Client, ACK, 1, 1, 0)
    }

    /// SYN, SYN-ACK and ACK, a millisecond apart.
    pub(crate) fn handshake(self, seconds: f64, c: Conn) -> Self {
        self.syn(seconds, c).syn_ack(seconds + 0.001, c).ack(seconds + 0.002, c)
    }

    /// Bytes of the client from byte `at` on, which acknowledge `heard` bytes of the server.
    pub(crate) fn send(self, seconds: f64, c: Conn, at: u32, len: u32, heard: u32) -> Self {
        self.tcp(seconds, c, From::Client, PSH | ACK, at + 1, heard + 1, len)
    }

    /// Bytes of the server, likewise.
    pub(crate) fn reply(self, seconds: f64, c: Conn, at: u32, len: u32, heard: u32) -> Self {
        self.tcp(seconds, c, From::Server, PSH | ACK, at + 1, heard + 1, len)
    }

    /// The end of what one side sends.
    pub(crate) fn fin(self, seconds: f64, c: Conn, from: From, at: u32, heard: u32) -> Self {
        self.tcp(seconds, c, from, FIN | ACK, at + 1, heard + 1, 0)
    }

    /// The RST that answers a SYN.
    pub(crate) fn refuse(self, seconds: f64, c: Conn) -> Self {
        let unnumbered = 0u32.wrapping_sub(c.isn[1]);
        self.tcp(seconds, c, From::Server, RST | ACK, unnumbered, 1, 0)
    }

    /// A RST within a connection.
    pub(crate) fn rst(self, seconds: f64, c: Conn, from: From, at: u32, heard: u32) -> Self {
        self.tcp(seconds, c, from, RST | ACK, at + 1, heard + 1, 0)
    }

    /// An ICMP error about the client's packet; for TCP it quotes the SYN.
    pub(crate) fn icmp(self, seconds: f64, sender: &str, c: Conn, transport: Transport, kind: u8, code: u8) -> Self {
        self.icmp_about(seconds, sender, c, From::Client, transport, kind, code)
    }

    /// An ICMP error about a packet of either side; for TCP it quotes its initial number.
    #[expect(clippy::too_many_arguments, reason = "each is a field of the packet")]
    pub(crate) fn icmp_about(
        self,
        seconds: f64,
        sender: &str,
        c: Conn,
        about: From,
        transport: Transport,
        kind: u8,
        code: u8,
    ) -> Self {
        let sender = addr(sender);
        let (src, dst, isn) = match about {
            From::Client => (c.client, c.server, c.isn[0]),
            From::Server => (c.server, c.client, c.isn[1]),
        };
        let quoted_seq = (transport == Transport::Tcp).then_some(isn);
        let error = IcmpError { sender, v6: !sender.is_v4(), kind, code, quoted_seq };
        self.push(seconds, src, dst, transport, Layer::IcmpError(error), 0)
    }

    /// A datagram of the client.
    pub(crate) fn ask(self, seconds: f64, c: Conn, len: u32) -> Self {
        let layer = Layer::Udp { checksum: self.ip_id };
        self.push(seconds, c.client, c.server, Transport::Udp, layer, len)
    }

    /// A datagram of the server.
    pub(crate) fn answer(self, seconds: f64, c: Conn, len: u32) -> Self {
        let layer = Layer::Udp { checksum: self.ip_id };
        self.push(seconds, c.server, c.client, Transport::Udp, layer, len)
    }

    /// A later fragment of the client's datagram.
    pub(crate) fn fragment(self, seconds: f64, c: Conn, transport: Transport, len: u32) -> Self {
        self.push(seconds, c.client, c.server, transport, Layer::Fragment, len)
    }

    /// An echo request; ports of `c` are the identifier.
    pub(crate) fn ping(self, seconds: f64, c: Conn) -> Self {
        self.push(seconds, c.client, c.server, Transport::Icmp, Layer::EchoRequest, 32)
    }

    /// An echo reply.
    pub(crate) fn pong(self, seconds: f64, c: Conn) -> Self {
        self.push(seconds, c.server, c.client, Transport::Icmp, Layer::EchoReply, 32)
    }

    /// A packet of a transport without ports.
    pub(crate) fn other(self, seconds: f64, c: Conn, from: From, transport: Transport) -> Self {
        let (src, dst) = if from == From::Client { (c.client, c.server) } else { (c.server, c.client) };
        self.push(seconds, src, dst, transport, Layer::Other, 100)
    }

    /// A whole connection in the background: it works, and takes ten milliseconds.
    pub(crate) fn talks(mut self, seconds: f64, client: &str, server: &str, port: u16) -> Self {
        let own = self.own;
        self.behind += 100;
        let client_port = 40_000 + u16::try_from(self.behind / 100).unwrap();
        self.own = BACKGROUND + self.behind;
        let c = conn(client, client_port, server, port);
        let mut script = self
            .handshake(seconds, c)
            .send(seconds + 0.003, c, 0, 80, 0)
            .reply(seconds + 0.004, c, 0, 120, 80)
            .fin(seconds + 0.005, c, From::Client, 80, 120)
            .fin(seconds + 0.006, c, From::Server, 120, 81)
            .tcp(seconds + 0.007, c, From::Client, ACK, 82, 122, 0);
        script.own = own;
        script
    }

    // ---- Changes to the last packet ----

    fn change(mut self, change: impl FnOnce(&mut Packet)) -> Self {
        change(self.packets.last_mut().unwrap());
        self
    }

    pub(crate) fn ttl(self, ttl: u8) -> Self {
        self.change(|packet| packet.ttl = ttl)
    }

    pub(crate) fn ip_id(self, ip_id: u16) -> Self {
        self.change(|packet| packet.ip_id = ip_id)
    }

    pub(crate) fn lead(self, lead: u8) -> Self {
        self.change(|packet| packet.lead = lead)
    }

    pub(crate) fn broadcast(self) -> Self {
        self.change(|packet| packet.link_group = true)
    }

    pub(crate) fn window(self, window: u16) -> Self {
        self.change(|packet| {
            if let Layer::Tcp(tcp) = &mut packet.layer {
                tcp.window = window;
            }
        })
    }

    /// The acknowledgement, absolute.
    pub(crate) fn acks(self, ack: u32) -> Self {
        self.change(|packet| {
            if let Layer::Tcp(tcp) = &mut packet.layer {
                tcp.ack = ack;
            }
        })
    }

    /// The sequence number that the ICMP error quotes, absolute.
    pub(crate) fn quoting(self, seq: u32) -> Self {
        self.change(|packet| {
            if let Layer::IcmpError(error) = &mut packet.layer {
                error.quoted_seq = Some(seq);
            }
        })
    }

    /// The last packet once more, as a span port delivers it from behind a router.
    pub(crate) fn copy(mut self, seconds: f64) -> Self {
        let packet = *self.packets.last().unwrap();
        self.own += 1;
        self.packets.push(Packet {
            frame: FrameId::new(self.input, self.own),
            ts: time(seconds),
            ttl: packet.ttl - 1,
            ..packet
        });
        self
    }

    // ---- The judgement ----

    pub(crate) fn judge(mut self) -> World {
        self.packets.sort_by_key(|packet| packet.ts);
        let labels = number(&mut self.packets);
        let mut table = Table::new(self.limits);
        let knowledge = Knowledge::new();
        for packet in &self.packets {
            feed(&mut table, &knowledge, packet);
        }
        let first = self.packets.first().unwrap();
        let last = self.packets.last().unwrap().ts;
        let facts = CaptureFacts {
            first: first.ts,
            last: self.until.map_or(Timestamp(last.0 + 60_000_000_000), time),
            heard: self.heard.map(time),
            first_frame: first.frame,
            lost_share: self.lost,
            ends: self.ends,
            gaps: self.gaps,
            steps: Vec::new(),
            running: self.running,
        };
        assert!(facts.last >= last, "the script goes on after the end of its capture");
        let mut world = with_catalogue(self.site.as_deref(), |catalogue| {
            World::new(vec![table], facts, &knowledge, catalogue, self.options)
        });
        for frame in world.flows.iter_mut().flat_map(|said| &mut said.frames) {
            *frame = labels[frame];
        }
        world
    }
}

/// What is said of a capture of these frames: read, decoded, listened to and judged as the program does.
pub(crate) fn heard(frames: &[Frame], site: &str) -> World {
    let mut file = tempfile::Builder::new().suffix(".pcap").tempfile().unwrap();
    file.write_all(&Pcap::ETHERNET.file(frames)).unwrap();
    let mut source = Source::open(&[file.path().to_path_buf()], capture::source::Options::default()).unwrap();
    let settings = Settings { threads: 2, flows_max: 1 << 16 };
    let knowledge = Knowledge::new();
    let captured = run(&mut source, settings, &knowledge, &AtomicBool::new(false), &mut |_| ()).unwrap();
    let last = Timestamp(frames.last().unwrap().at_ns + 60_000_000_000);
    let facts = CaptureFacts {
        first: Timestamp(frames.first().unwrap().at_ns),
        last,
        first_frame: captured.first_frame,
        heard: None,
        lost_share: 0.0,
        ends: vec![last],
        gaps: captured.gaps,
        steps: captured.steps,
        running: false,
    };
    let options = Options { infer: true, strict: false };
    with_catalogue(Some(site), |catalogue| World::new(captured.tables, facts, &knowledge, catalogue, options))
}

/// Numbers the frames of each input in the order of time, as captures do, and says what the script called them.
fn number(packets: &mut [Packet]) -> HashMap<FrameId, FrameId> {
    let mut next: HashMap<u16, u64> = HashMap::new();
    let mut labels = HashMap::new();
    for packet in packets {
        let number = next.entry(packet.frame.input()).or_default();
        *number += 1;
        let frame = FrameId::new(packet.frame.input(), *number);
        labels.insert(frame, packet.frame);
        packet.frame = frame;
    }
    labels
}

/// Counts one packet, and tells what it tells, as a worker does.
pub(crate) fn feed(table: &mut Table, knowledge: &Knowledge, packet: &Packet) {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(packet.key);
    let event = table.update(packet, Likeness::of(packet.words(), hash, hash), (hash >> 32) as u32);
    if !event.answered {
        return;
    }
    let index = event.flow;
    let flow = table.flow(index).unwrap().flow();
    let answerer = flow.key.end(flow.began.other());
    let port = if flow.key.transport.has_ports() { answerer.port } else { 0 };
    let listener = Listener { addr: answerer.addr, transport: flow.key.transport, port };
    knowledge.answered(listener, Answered::once(packet.ts, packet.frame));
}

/// Loading the rules takes longer than judging a script: the two usual catalogues are made once.
pub(crate) fn with_catalogue<T>(site: Option<&str>, use_it: impl FnOnce(&Catalogue) -> T) -> T {
    static USUAL: OnceLock<Catalogue> = OnceLock::new();
    static BARE: OnceLock<Catalogue> = OnceLock::new();
    match site {
        None => use_it(BARE.get_or_init(|| load(&LoadOptions::default()).unwrap())),
        Some(SITE) => use_it(USUAL.get_or_init(|| with_site(SITE))),
        Some(text) => use_it(&with_site(text)),
    }
}

fn with_site(text: &str) -> Catalogue {
    let mut file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let options = LoadOptions { site: Some(file.path()), ..LoadOptions::default() };
    load(&options).unwrap_or_else(|faults| panic!("{faults}"))
}

/// What is said of a capture.
pub(crate) struct World {
    pub(crate) flows: Vec<Said>,
    pub(crate) collapses: Vec<Collapse>,
    pub(crate) asymmetric: bool,
    pub(crate) hosts: Vec<(Host, Vec<String>)>,
    pub(crate) counters: Counters,
    pub(crate) table: Table,
    /// Interfaces that an endpoint mapper was asked for in vain.
    pub(crate) unregistered: Vec<String>,
}

/// What is said of a flow, in words.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) ends: FiveTuple,
    pub(crate) outcome: &'static str,
    pub(crate) confidence: &'static str,
    pub(crate) reason: String,
    by: String,
    frames: Vec<FrameId>,
    standing: String,
    rows: Vec<String>,
    pub(crate) finding: &'static str,
    pub(crate) collapse: Option<usize>,
    dir: &'static str,
    notes: Vec<&'static str>,
    pub(crate) inferred: bool,
    pub(crate) flow: Flow,
    app: &'static str,
    /// The grade, and the UUIDs of the interfaces.
    rpc: Option<(char, Vec<String>)>,
}

impl World {
    fn new(
        mut tables: Vec<Table>,
        facts: CaptureFacts,
        knowledge: &Knowledge,
        catalogue: &Catalogue,
        options: Options,
    ) -> Self {
        let judge = Judge::new(&tables, facts, knowledge, catalogue, options);
        let flows = judge.flows().map(|judged| Said::of(&judged, catalogue)).collect();
        let collapses = judge.collapses().to_vec();
        let asymmetric = judge.asymmetric();
        let named = |host: Host| {
            let names = host.roles.iter().map(|role| catalogue.role_name(role.role).to_owned()).collect();
            (host, names)
        };
        let hosts = judge.hosts().into_iter().map(named).collect();
        let vain = judge.endpoints().unregistered().iter();
        let unregistered = vain.map(|(question, _)| question.interface.uuid.to_string()).collect();
        let table = tables.swap_remove(0);
        Self { flows, collapses, asymmetric, hosts, counters: table.counters, table, unregistered }
    }

    /// The one flow between these ends.
    #[track_caller]
    pub(crate) fn of(&self, c: Conn) -> &Said {
        match self.all(c).as_slice() {
            [said] => said,
            all => panic!("{} flows instead of one: {all:#?}", all.len()),
        }
    }

    /// Every flow between these ends, in the order they began.
    pub(crate) fn all(&self, c: Conn) -> Vec<&Said> {
        self.flows.iter().filter(|said| c.is(&said.ends)).collect()
    }

    /// How many flows have this finding.
    pub(crate) fn count(&self, finding: &str) -> usize {
        self.flows.iter().filter(|said| said.finding == finding).count()
    }

    /// The roles of a host.
    pub(crate) fn roles(&self, host: &str) -> Vec<&str> {
        let found = self.hosts.iter().find(|(known, _)| known.addr == addr(host));
        found.map(|(_, names)| names.iter().map(String::as_str).collect()).unwrap_or_default()
    }
}

impl Said {
    fn of(judged: &Judged<'_>, catalogue: &Catalogue) -> Self {
        let standing = match &judged.standing {
            Standing::Unexpected(why) => format!("unexpected: {}", why.name()),
            Standing::NotJudged(why) => format!("not_judged: {}", why.name()),
            other => other.name().to_owned(),
        };
        Self {
            ends: judged.ends(),
            outcome: judged.verdict.outcome.name(),
            confidence: judged.verdict.confidence.name(),
            reason: judged.verdict.reason.to_string(),
            by: judged.verdict.by.map_or_else(|| "-".to_owned(), |by| by.to_string()),
            frames: judged.verdict.frames.iter().collect(),
            standing,
            rows: judged.standing.rows().iter().map(|row| catalogue.row(*row).id.clone()).collect(),
            finding: judged.finding.map_or("-", |finding| finding.name()),
            collapse: judged.collapse,
            dir: judged.dir_basis.name(),
            notes: judged.notes.clone(),
            inferred: judged.roles_inferred,
            flow: judged.flow.clone(),
            app: judged.app.map_or("-", AppProto::name),
            rpc: judged
                .rpc
                .as_ref()
                .map(|guess| (guess.grade.letter(), guess.interfaces.iter().map(|id| id.uuid.to_string()).collect())),
        }
    }

    /// What its payload is (`-` where nobody knows).
    #[track_caller]
    pub(crate) fn app(&self, app: &str) -> &Self {
        assert_eq!(self.app, app, "{self:#?}");
        self
    }

    /// How sure it is that it is for this RPC interface, among others.
    #[track_caller]
    pub(crate) fn rpc(&self, grade: char, uuids: &[&str]) -> &Self {
        let (known, interfaces) = self.rpc.as_ref().unwrap_or_else(|| panic!("no RPC: {self:#?}"));
        assert_eq!(*known, grade, "{self:#?}");
        let mut interfaces: Vec<&str> = interfaces.iter().map(String::as_str).collect();
        interfaces.sort_unstable();
        assert_eq!(interfaces, uuids, "{self:#?}");
        self
    }

    /// Nothing tells of an interface.
    #[track_caller]
    pub(crate) fn no_rpc(&self) -> &Self {
        assert_eq!(self.rpc, None, "{self:#?}");
        self
    }

    /// Outcome, confidence, reason, by whom (`-` where nothing failed).
    #[track_caller]
    pub(crate) fn verdict(&self, outcome: &str, confidence: &str, reason: &str, by: &str) -> &Self {
        let got = (self.outcome, self.confidence, self.reason.as_str(), self.by.as_str());
        assert_eq!(got, (outcome, confidence, reason, by), "{self:#?}");
        self
    }

    /// Outcome and reason, where the table gives no confidence.
    #[track_caller]
    pub(crate) fn is(&self, outcome: &str, reason: &str) -> &Self {
        assert_eq!((self.outcome, self.reason.as_str()), (outcome, reason), "{self:#?}");
        self
    }

    /// Frames of the script that the verdict must name.
    #[track_caller]
    pub(crate) fn shows(&self, frames: &[u64]) -> &Self {
        for number in frames {
            let frame = FrameId::new(0, *number);
            assert!(self.frames.contains(&frame), "frame {number} is missing: {:?}", self.frames);
        }
        self
    }

    #[track_caller]
    pub(crate) fn standing(&self, standing: &str) -> &Self {
        assert_eq!(self.standing, standing, "{self:#?}");
        self
    }

    /// One of the rows that allow it.
    #[track_caller]
    pub(crate) fn row(&self, id: &str) -> &Self {
        assert!(self.rows.iter().any(|row| row == id), "{id} is not among {:?}", self.rows);
        self
    }

    #[track_caller]
    pub(crate) fn finding(&self, finding: &str) -> &Self {
        assert_eq!(self.finding, finding, "{self:#?}");
        self
    }

    /// Whatever else is said of it, it is not called blocked, and not a failure either.
    #[track_caller]
    pub(crate) fn not_blocked(&self) -> &Self {
        let failures = ["dropped", "refused", "rejected", "reply_lost", "stalled", "unanswered"];
        assert!(!failures.contains(&self.outcome), "{} by {}: {self:#?}", self.outcome, self.reason);
        assert_ne!(self.finding, "blocked", "{self:#?}");
        self
    }

    #[track_caller]
    pub(crate) fn dir(&self, basis: &str, client: &str) -> &Self {
        assert_eq!((self.dir, self.ends.orig.addr), (basis, addr(client)), "{self:#?}");
        self
    }

    #[track_caller]
    pub(crate) fn note(&self, note: &str) -> &Self {
        assert!(self.notes.contains(&note), "no {note}: {:?}", self.notes);
        self
    }

    #[track_caller]
    pub(crate) fn no_note(&self, note: &str) -> &Self {
        assert!(!self.notes.contains(&note), "{note}: {:?}", self.notes);
        self
    }
}
