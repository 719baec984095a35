//! A full table, and any packets at all: nothing is lost, nothing panics.

use std::collections::BTreeSet;

use portolan::classify::judge::Judge;
use portolan::classify::judged::CaptureFacts;
use portolan::classify::judged::Options;
use portolan::classify::verdict::FindingKind;
use portolan::classify::verdict::Outcome;
use portolan::decode::packet::IcmpError;
use portolan::decode::packet::Layer;
use portolan::decode::packet::Packet;
use portolan::decode::packet::Tcp;
use portolan::flow::limits::Limits;
use portolan::flow::record::Mark;
use portolan::flow::table::Stored;
use portolan::flow::table::Table;
use portolan::learn::knowledge::Knowledge;
use portolan::model::addr::Addr;
use portolan::model::addr::FlowKey;
use portolan::model::ids::FrameId;
use portolan::model::time::Timestamp;
use portolan::model::transport::Transport;

use crate::script::C;
use crate::script::S;
use crate::script::Script;
use crate::script::World;
use crate::script::addr;
use crate::script::conn;
use crate::script::feed;
use crate::script::with_catalogue;

/// Packets and payload bytes of everything that the table kept or folded.
fn totals(table: &Table) -> (u64, u64, u64) {
    let mut sum = (0, 0, 0);
    for flow in table.flows().map(Stored::flow) {
        sum.0 += 1;
        sum.1 += flow.packets.iter().sum::<u64>();
        sum.2 += flow.payload.iter().sum::<u64>();
    }
    for (_, fold) in table.folds().iter() {
        sum.0 += fold.flows;
        sum.1 += fold.packets.iter().sum::<u64>();
        sum.2 += fold.payload.iter().sum::<u64>();
    }
    sum
}

fn hundred(room: usize) -> World {
    (0..100u16)
        .fold(Script::new().room(room), |script, n| {
            let c = conn(&format!("10.0.3.{}", n % 20 + 1), 50_000 + n, S, 389);
            let at = f64::from(n);
            match n % 3 {
                0 => script.handshake(at, c).send(at + 0.01, c, 0, 100, 0).reply(at + 0.02, c, 0, 50, 100),
                1 => script.syn(at, c).refuse(at + 0.001, c),
                _ => script.syn(at, c),
            }
        })
        .judge()
}

#[test]
fn a_full_table_folds_what_it_gives_up() {
    let world = hundred(8);
    // 34 conversations of 5 packets, 33 refusals of 2, 33 lone SYNs.
    assert_eq!(totals(&world.table), (100, 34 * 5 + 33 * 2 + 33, 34 * 150));
    assert_eq!((world.counters.flows, world.counters.flows_evicted), (100, 92));
    assert_eq!(world.flows.len(), 8);
    let folds: Vec<_> = world.table.folds().iter().map(|(_, fold)| *fold).collect();
    let kept = |test: fn(&crate::script::Said) -> bool| world.flows.iter().filter(|said| test(said)).count() as u64;
    let refused: u64 = folds.iter().map(|fold| fold.refused).sum();
    assert_eq!(refused + kept(|said| said.outcome == "refused"), 33);
    let unanswered: u64 = folds.iter().map(|fold| fold.flows - fold.answered - fold.refused).sum();
    assert_eq!(unanswered + kept(|said| said.outcome == "dropped" || said.outcome == "unknown"), 33);
    let answered: u64 = folds.iter().map(|fold| fold.answered).sum();
    assert_eq!(answered + kept(|said| said.outcome == "open"), 34);
}

#[test]
fn twin_with_room_nothing_is_given_up() {
    let world = hundred(100);
    assert_eq!((world.counters.flows, world.counters.flows_evicted), (100, 0));
    assert_eq!(world.table.folds().iter().count(), 0);
    assert_eq!(world.flows.len(), 100);
}

#[test]
fn what_tells_least_is_given_up_first() {
    let live = conn(C, 49_000, S, 389);
    let script = Script::new().room(8).handshake(0.0, live).send(0.1, live, 0, 5, 0).reply(0.2, live, 0, 5, 5);
    let world = (0..50u16).fold(script, |script, n| script.syn(1.0 + f64::from(n), conn(C, 50_000 + n, S, 88))).judge();
    world.of(live).is("open", "handshake");
}

#[test]
fn an_icmp_error_of_a_flow_given_up_does_not_pass_to_its_heir() {
    let script = (0..40u16).fold(Script::new().room(8), |script, n| {
        let c = conn(C, 50_000 + n, S, 88);
        let at = f64::from(n);
        script.syn(at, c).icmp(at + 0.01, crate::script::ROUTER, c, Transport::Tcp, 3, 13)
    });
    let world =
        (0..40u16).fold(script, |script, n| script.handshake(100.0 + f64::from(n), conn(C, 51_000 + n, S, 88))).judge();
    for said in &world.flows {
        let fresh = said.ends.orig.port >= 51_000;
        assert_eq!(said.outcome, if fresh { "open" } else { "rejected" });
        if fresh {
            said.no_note("soft_error");
        }
    }
}

/// `SplitMix64` (Steele, Lea, Flood 2014): the same packets in every run.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        let at = self.next() % all.len() as u64;
        all[usize::try_from(at).unwrap()]
    }

    fn once_in(&mut self, times: u64) -> bool {
        self.next().is_multiple_of(times)
    }

    #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
    fn small(&mut self) -> u32 {
        self.next() as u32
    }
}

const FOUR: [&str; 5] = [C, S, "10.0.0.11", "10.0.3.8", "224.0.0.251"];
const SIX: [&str; 4] = [crate::script::C6, crate::script::S6, "fd00:3::8", "ff02::fb"];
const PORTS: [u16; 12] = [53, 88, 123, 389, 445, 69, 49_700, 50_000, 50_001, 50_002, 0, 65_535];
const FLAGS: [u8; 14] = [2, 2, 2, 18, 18, 16, 16, 24, 24, 17, 20, 4, 0, 255];
const SEQS: [u32; 8] = [1_000, 1_001, 1_101, u32::MAX, 0, 1, 0x8000_0000, 0x7fff_ffff];

#[expect(clippy::cast_possible_truncation, reason = "any bits will do")]
fn layer(dice: &mut Dice, sender: Addr) -> (Transport, Layer) {
    match dice.next() % 12 {
        0..7 => {
            let flags = if dice.once_in(20) { dice.small() as u8 } else { dice.of(&FLAGS) };
            let seq = if dice.once_in(10) { dice.small() } else { dice.of(&SEQS) };
            let ack = if flags & 16 == 0 { 0 } else { dice.of(&SEQS).wrapping_add(u32::from(dice.once_in(2))) };
            let tcp = Tcp { seq, ack, flags, window: dice.small() as u16, checksum: dice.of(&[1, 2, 3]) };
            (Transport::Tcp, Layer::Tcp(tcp))
        }
        7 | 8 => (Transport::Udp, Layer::Udp { checksum: dice.of(&[0, 7, 9]) }),
        9 => {
            let quoted_seq = (!dice.once_in(3)).then(|| dice.of(&SEQS));
            let (kind, code) = (dice.of(&[3, 11, 1, 2, 4, 12, 5]), dice.small() as u8 % 16);
            let transport = dice.of(&[Transport::Tcp, Transport::Udp, Transport::Icmp]);
            (transport, Layer::IcmpError(IcmpError { sender, v6: !sender.is_v4(), kind, code, quoted_seq }))
        }
        10 => (Transport::Icmp, dice.of(&[Layer::EchoRequest, Layer::EchoReply])),
        _ => (dice.of(&[Transport::Udp, Transport::Gre, Transport::Sctp]), dice.of(&[Layer::Fragment, Layer::Other])),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "any bits will do")]
fn packet(dice: &mut Dice, number: u64, at: &mut u64) -> Packet {
    let hosts: &[&str] = if dice.once_in(4) { &SIX } else { &FOUR };
    let (src, dst) = (addr(dice.of(hosts)), addr(dice.of(hosts)));
    let (src_port, dst_port) = (dice.of(&PORTS), dice.of(&PORTS));
    let sender = addr(dice.of(hosts));
    let (transport, layer) = layer(dice, sender);
    let (src_port, dst_port) = if transport.has_ports() { (src_port, dst_port) } else { (0, 0) };
    let (key, from) = FlowKey::of(src, src_port, dst, dst_port, transport);
    *at += match dice.next() % 1_000 {
        0 => 400_000_000_000,
        1..20 => 4_000_000_000,
        _ => dice.next() % 50_000_000,
    };
    // Captures do run backwards.
    let ts = if dice.once_in(50) { at.saturating_sub(dice.next() % 5_000_000_000) } else { *at };
    // The longest that decoding can give: a record that claims 4 GiB, less the smallest headers.
    let payload_len = if dice.once_in(3) { dice.of(&[0, 1, 100, 1_460, 65_000, u32::MAX - 28]) } else { 0 };
    Packet {
        frame: FrameId::new(0, number),
        ts: Timestamp(ts),
        key,
        from,
        ttl: dice.of(&[0, 1, 61, 64, 128, 255]),
        ip_id: dice.of(&[0, 1, 2, 3]),
        ip_len: dice.small() % 70_000,
        payload_len,
        payload_at: 54,
        payload_captured: payload_len.min(200),
        lead: dice.small() as u8,
        layer,
        link_group: dice.once_in(40),
        tunnels: 0,
    }
}

/// Feeds so many packets; then everything must add up and every verdict must agree with its flow. The outcomes that
/// occurred.
fn throw(seed: u64, packets: u64, flows_max: usize) -> BTreeSet<&'static str> {
    let mut outcomes = BTreeSet::new();
    let mut dice = Dice(seed);
    let mut table = Table::new(Limits { flows_max, folds_max: 32 });
    let knowledge = Knowledge::new();
    let mut at = 1_700_000_000_000_000_000;
    let (mut counted, mut payload) = (0, 0);
    for number in 1..=packets {
        let packet = packet(&mut dice, number, &mut at);
        let before = table.counters.duplicates;
        feed(&mut table, &knowledge, &packet);
        let copy = table.counters.duplicates > before;
        if !copy && !matches!(packet.layer, Layer::IcmpError(_)) {
            counted += 1;
            payload += u64::from(packet.payload_len);
        }
    }
    let (flows, kept, bytes) = totals(&table);
    assert_eq!((table.counters.packets, kept, bytes), (packets, counted, payload));
    assert_eq!(table.counters.flows, flows);
    assert_eq!(table.counters.flows, table.flows().count() as u64 + table.counters.flows_evicted);
    let first_frame = FrameId::new(0, 1);
    let facts = CaptureFacts {
        first: Timestamp(0),
        last: Timestamp(at),
        heard: None,
        first_frame,
        lost_share: 0.001,
        gaps: Vec::new(),
        steps: Vec::new(),
        ends: Vec::new(),
        running: false,
    };
    for strict in [false, true] {
        let options = Options { infer: !strict, strict };
        let tables = [table];
        with_catalogue(None, |catalogue| {
            let judge = Judge::new(&tables, facts.clone(), &knowledge, catalogue, options);
            assert_eq!(judge.flows().count(), tables[0].flows().count());
            for judged in judge.flows() {
                agrees(&judged, packets);
                outcomes.insert(judged.verdict.outcome.name());
            }
            assert!(judge.hosts().iter().all(|host| !host.roles.is_empty()));
            assert!((0.0..=1.0).contains(&judge.one_way_share()));
        });
        [table] = tables;
    }
    outcomes
}

fn agrees(judged: &portolan::classify::judged::Judged<'_>, packets: u64) {
    let flow = &judged.flow;
    let (me, server) = (judged.orig.index(), judged.orig.other().index());
    let outcome = judged.verdict.outcome;
    assert!(judged.verdict.frames.iter().count() > 0, "{judged:#?}");
    assert!(judged.verdict.frames.iter().all(|frame| (1..=packets).contains(&frame.number())), "{judged:#?}");
    assert_eq!(judged.verdict.by.is_some(), outcome.is_failure() || outcome == Outcome::Reset, "{judged:#?}");
    match outcome {
        // The server may have sent a RST or a SYN-ACK whose numbers do not fit; nothing that the client could accept.
        Outcome::Dropped => {
            assert!(flow.syns[me] > 0 && flow.synacks[server] == 0, "{judged:#?}");
            assert!(!flow.acked(judged.orig) && !flow.acked(judged.orig.other()), "{judged:#?}");
        }
        Outcome::Unanswered => assert!(flow.packets[server] == 0 && flow.packets[me] > 1, "{judged:#?}"),
        Outcome::ReplyLost => assert!(!flow.marks.has(Mark::Established) && flow.synacks[server] > 0, "{judged:#?}"),
        Outcome::Stalled => {
            let repeats = flow.retransmits[me].max(flow.retransmits[server]).max(flow.synacks[server]);
            assert!(repeats >= 3 && flow.payload[me] > 0, "{judged:#?}");
        }
        Outcome::Refused | Outcome::Rejected => assert!(flow.synacks[server] == 0, "{judged:#?}"),
        _ => assert!(!outcome.is_failure()),
    }
    if judged.finding == Some(FindingKind::Blocked) {
        assert!(outcome.is_failure() && !judged.standing.rows().is_empty() && judged.collapse.is_none(), "{judged:#?}");
    }
}

#[test]
fn any_packets_add_up() {
    let outcomes = throw(1, 200_000, 1 << 20);
    // A throw that reaches few verdicts would prove little.
    for name in ["open", "one_way", "dropped", "refused", "rejected", "reply_lost", "reset", "unknown"] {
        assert!(outcomes.contains(name), "{name} is not among {outcomes:?}");
    }
}

#[test]
fn any_packets_add_up_in_a_table_that_is_always_full() {
    throw(2, 60_000, 8);
    throw(3, 60_000, 1);
    throw(4, 60_000, 100);
}
