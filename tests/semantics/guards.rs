//! Copies, and what the capture itself lost.

use portolan::model::transport::Transport;

use crate::script::C;
use crate::script::C2;
use crate::script::C6;
use crate::script::Conn;
use crate::script::From;
use crate::script::ROUTER;
use crate::script::S;
use crate::script::S6;
use crate::script::Script;
use crate::script::conn;

fn kerberos() -> Conn {
    conn(C, 50_000, S, 88)
}

#[test]
fn a_copy_of_a_syn_is_no_repeat() {
    for (client, server) in [(C, S), (C6, S6)] {
        let c = conn(client, 50_000, server, 88);
        let world = Script::new().talks(-5.0, client, server, 445).syn(0.0, c).copy(0.004).judge();
        let said = world.of(c);
        said.verdict("dropped", "possible", "syn_single", "unknown").note("duplicated");
        assert_eq!(said.flow.syns.iter().sum::<u16>(), 1);
        assert_eq!(world.counters.duplicates, 1);
    }
}

#[test]
fn what_a_system_repeats_has_another_number_and_what_another_sensor_saw_has_the_same() {
    let c = kerberos();
    let script = || Script::new().talks(-5.0, C, S, 445).syn(0.0, c);
    for (world, tries, copies) in [(script().syn(0.2, c).judge(), 2, 0), (script().copy(0.6).judge(), 1, 1)] {
        let said = world.of(c);
        assert_eq!((said.flow.syns.iter().sum::<u16>(), world.counters.duplicates), (tries, copies));
        said.is("dropped", if tries == 2 { "syn_unanswered" } else { "syn_single" });
    }
}

#[test]
fn a_syn_that_comes_again_at_once_is_no_second_try() {
    // No system repeats a SYN within a tenth of a second: a renumbered copy, or a capture joined of two.
    let c = kerberos();
    let world = Script::new().talks(-5.0, C, S, 445).syn(0.0, c).syn(0.007, c).syn(0.09, c).judge();
    assert_eq!(world.of(c).flow.syns.iter().sum::<u16>(), 1);
    world.of(c).is("dropped", "syn_single");
}

#[test]
fn two_questions_at_once_are_one_try() {
    let c = conn(C, 53_000, S, 53);
    let world = Script::new().ask(0.0, c, 40).ask(0.0001, c, 40).judge();
    world.of(c).is("unknown", "udp_single").finding("-");
}

#[test]
fn what_another_place_saw_later_says_nothing() {
    // The second capture was made elsewhere: the first ends a tenth of a second after the SYN.
    let c = kerberos();
    let elsewhere = conn(C2, 49_000, "10.0.9.9", 389);
    let world = Script::new().syn(9.9, c).input(1).syn(0.0, elsewhere).syn_ack(3_600.0, elsewhere);
    let ended = world.ends(&[10.0, 3_600.0]).judge();
    ended.of(c).not_blocked();
}

#[test]
fn copies_of_everything_change_no_verdict() {
    let c = kerberos();
    let world = Script::new()
        .syn(0.0, c)
        .copy(0.001)
        .syn_ack(0.002, c)
        .copy(0.003)
        .ack(0.004, c)
        .copy(0.005)
        .send(0.01, c, 0, 100, 0)
        .copy(0.011)
        .reply(0.02, c, 0, 100, 100)
        .copy(0.021)
        .judge();
    let said = world.of(c);
    said.verdict("open", "confirmed", "handshake", "-").note("duplicated");
    assert_eq!((said.flow.packets.iter().sum::<u64>(), world.counters.duplicates), (5, 5));
    assert_eq!(said.flow.payload.iter().sum::<u64>(), 200);
    assert_eq!(said.flow.retransmits, [0, 0]);
}

#[test]
fn a_copy_is_no_anomaly_of_the_time_to_live() {
    // Every packet is captured before and behind a router. The refusal is the server's own.
    let c = kerberos();
    let seen = |port: u16, at: f64, script: Script| {
        let d = conn(C, port, S, 445);
        script
            .syn(at, d)
            .copy(at + 0.0005)
            .syn_ack(at + 0.001, d)
            .copy(at + 0.0015)
            .ack(at + 0.002, d)
            .copy(at + 0.0025)
    };
    let script = seen(49_002, -3.0, seen(49_001, -4.0, Script::new()));
    let world = script.syn(0.0, c).copy(0.0005).refuse(0.001, c).copy(0.0015).judge();
    assert_eq!(world.of(c).outcome, "refused", "{:?}", world.of(c));
}

#[test]
fn a_copy_of_an_icmp_error_counts_once() {
    let c = kerberos();
    let world = Script::new().syn(0.0, c).icmp(0.01, ROUTER, c, Transport::Tcp, 3, 13).copy(0.011).judge();
    assert_eq!((world.counters.duplicates, world.counters.icmp_unmatched), (1, 0));
    world.of(c).verdict("rejected", "confirmed", "icmp_3_13", ROUTER);
}

#[test]
fn loss_takes_certainty_from_silence() {
    let c = kerberos();
    let script =
        |lost: f64| Script::new().talks(-5.0, C, S, 445).syn(0.0, c).syn(1.0, c).syn(3.0, c).lost(lost).judge();
    script(0.0).of(c).verdict("dropped", "confirmed", "syn_unanswered", "unknown");
    script(0.001).of(c).verdict("dropped", "probable", "syn_unanswered", "unknown");
    script(0.01).of(c).verdict("dropped", "probable", "syn_unanswered", "unknown");
    script(0.011).of(c).verdict("dropped", "possible", "syn_unanswered", "unknown");
}

#[test]
fn loss_takes_certainty_from_a_refusal() {
    let c = kerberos();
    let script = |lost: f64| {
        let known = Script::new().talks(-5.0, C, S, 445).talks(-4.0, C, S, 445);
        known.syn(0.0, c).refuse(0.001, c).lost(lost).judge()
    };
    script(0.001).of(c).verdict("refused", "probable", "rst_host", "host");
    script(0.02).of(c).verdict("refused", "possible", "rst_host", "host");
}

#[test]
fn loss_takes_certainty_from_an_icmp_error() {
    // The SYN-ACK that would make the error soft may be what was lost.
    let c = kerberos();
    let script = |lost: f64| Script::new().syn(0.0, c).icmp(0.01, ROUTER, c, Transport::Tcp, 3, 13).lost(lost).judge();
    script(0.001).of(c).verdict("rejected", "probable", "icmp_3_13", ROUTER);
    script(0.02).of(c).verdict("rejected", "possible", "icmp_3_13", ROUTER);
}

#[test]
fn loss_changes_nothing_that_works() {
    let c = kerberos();
    let world = Script::new().handshake(0.0, c).lost(0.05).judge();
    world.of(c).verdict("open", "confirmed", "handshake", "-");
}

#[test]
fn an_acknowledgement_of_what_was_never_seen_is_counted() {
    let c = kerberos();
    let world = Script::new().handshake(0.0, c).send(0.1, c, 0, 50, 0).send(0.3, c, 50, 50, 5_000).judge();
    assert_eq!(world.counters.acked_unseen, 1);
    let twin = Script::new().handshake(0.0, c).reply(0.1, c, 0, 5_000, 0).send(0.3, c, 0, 50, 5_000).judge();
    assert_eq!(twin.counters.acked_unseen, 0);
}

#[test]
fn pings_of_one_ip_id_are_not_one() {
    let c = conn(C, 1, S, 1);
    let script = Script::new().talks(-5.0, C, S, 445);
    let world = script.ping(0.0, c).ip_id(7).ping(1.0, c).ip_id(7).ping(2.0, c).ip_id(7).judge();
    assert_eq!(world.counters.duplicates, 0);
    world.of(c).is("unanswered", "echo_unanswered");
}

#[test]
fn a_challenge_to_a_syn_tells_of_no_hole() {
    // RFC 5961 section 4.2: the server still holds an older connection, and acknowledges what that one sent.
    let (c, other) = (kerberos(), conn(C, 50_001, S, 389));
    let challenged = Script::new().syn(0.0, c).ttl(64).tcp(0.01, c, From::Server, 16, 900, 40_000, 0);
    let world = challenged.syn(1.0, other).syn(2.0, other).syn(4.0, other).judge();
    assert_eq!(world.counters.acked_unseen, 0);
    world.of(c).is("unknown", "bad_reply");
    world.of(other).verdict("dropped", "confirmed", "syn_unanswered", "unknown");
}
