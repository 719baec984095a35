//! The one-way gate: where the way back is not captured, silence says little.

use crate::script::C;
use crate::script::C2;
use crate::script::C6;
use crate::script::Conn;
use crate::script::From;
use crate::script::S;
use crate::script::S6;
use crate::script::Script;
use crate::script::conn;

/// The client talks to the server and hears it; the capture sees the client only. More than a minute before all else.
fn half(client: &str, server: &str) -> Script {
    let c = conn(client, 49_000, server, 445);
    Script::new()
        .syn(-70.0, c)
        .ack(-69.9, c)
        .send(-69.8, c, 0, 100, 0)
        .send(-69.7, c, 100, 100, 500)
        .send(-69.6, c, 200, 100, 900)
}

/// Enough whole conversations of others that the capture as a whole is not one-sided.
fn others(script: Script) -> Script {
    (0..5u8).fold(script, |script, n| script.talks(-90.0 + f64::from(n), C2, "10.0.0.11", 445))
}

fn kerberos() -> Conn {
    conn(C, 50_000, S, 88)
}

#[test]
fn one_syn_into_an_invisible_way_is_unknown() {
    for (client, server) in [(C, S), (C6, S6)] {
        let c = conn(client, 50_000, server, 88);
        let world = others(half(client, server).syn(0.0, c)).judge();
        assert!(!world.asymmetric);
        world.of(c).is("unknown", "reverse_invisible").shows(&[6]).finding("-");
    }
}

#[test]
fn three_syns_into_an_invisible_way_are_probably_dropped() {
    let c = kerberos();
    let world = others(half(C, S).syn(0.0, c).syn(1.0, c).syn(3.0, c)).judge();
    world.of(c).verdict("dropped", "probable", "syn_repeated_oneway", "unknown").shows(&[6, 8]).finding("blocked");
}

#[test]
fn the_clients_ack_into_an_invisible_way_is_one_way() {
    let c = kerberos();
    let world = others(half(C, S).syn(0.0, c).ack(0.1, c)).judge();
    world.of(c).verdict("one_way", "confirmed", "oneway_c2s", "-").finding("-");
}

#[test]
fn twins_one_packet_back_lifts_the_gate() {
    let c = kerberos();
    let dns = conn(C, 53_000, S, 53);
    let back = |script: Script| others(script).answer(20.0, dns, 90).judge();
    back(half(C, S).syn(0.0, c)).of(c).verdict("dropped", "possible", "syn_single", "unknown");
    let three = back(half(C, S).syn(0.0, c).syn(1.0, c).syn(3.0, c));
    three.of(c).verdict("dropped", "confirmed", "syn_unanswered", "unknown");
}

#[test]
fn a_packet_to_another_client_does_not_lift_the_gate_of_this_pair() {
    let c = kerberos();
    let dns = conn(C2, 53_000, S, 53);
    let world = others(half(C, S).syn(0.0, c)).ask(19.9, dns, 40).answer(20.0, dns, 90).judge();
    world.of(c).is("unknown", "reverse_invisible");
}

#[test]
fn a_server_never_heard_by_its_client_is_invisible_to_others_too() {
    // The gate is per host pair and per server.
    let c = conn(C2, 50_000, S, 88);
    let world = others(half(C, S).syn(0.0, c)).judge();
    world.of(c).is("unknown", "reverse_invisible").finding("-");
}

#[test]
fn silence_over_udp_is_unknown() {
    let dns = conn(C, 53_000, S, 53);
    let world = others(half(C, S).ask(0.0, dns, 40).ask(1.0, dns, 40)).judge();
    world.of(dns).is("unknown", "reverse_invisible").finding("-");
    let twin = others(Script::new().ask(0.0, dns, 40).ask(1.0, dns, 40)).judge();
    twin.of(dns).verdict("unanswered", "probable", "udp_unanswered", "unknown");
}

#[test]
fn a_capture_of_one_side_says_so_and_judges_no_single_syn() {
    let script = |one_way: u16| {
        let script = (0..one_way).fold(Script::new(), |script, n| {
            let c = conn(C, 49_000 + n, "10.0.0.11", 445);
            let at = f64::from(n) - 50.0;
            script.syn(at, c).ack(at + 0.1, c).send(at + 0.2, c, 0, 100, 700)
        });
        let whole = (0..10u8).fold(script, |script, n| script.talks(-80.0 + f64::from(n), C2, "10.0.0.12", 445));
        whole.syn(0.0, kerberos()).judge()
    };
    // 5 of 15 is more than 30 %, 4 of 14 is not.
    let world = script(5);
    assert!(world.asymmetric);
    world.of(kerberos()).is("unknown", "reverse_invisible").finding("-");
    let twin = script(4);
    assert!(!twin.asymmetric);
    twin.of(kerberos()).is("dropped", "syn_single");
}

#[test]
fn in_a_capture_of_one_side_a_way_back_that_was_seen_is_visible() {
    let script = (0..8u16).fold(Script::new(), |script, n| {
        let c = conn(C, 49_000 + n, "10.0.0.11", 445);
        script.syn(-50.0 + f64::from(n), c).ack(-49.9 + f64::from(n), c)
    });
    let c = kerberos();
    let dns = conn(C, 53_000, S, 53);
    let world = script.answer(-1.0, dns, 90).syn(0.0, c).judge();
    assert!(world.asymmetric);
    world.of(c).verdict("dropped", "possible", "syn_single", "unknown");
}

#[test]
fn servers_only_is_one_way_too() {
    // Only the servers' side: the capture is one-sided, and nothing in it is blocked.
    let script = (0..8u16).fold(Script::new(), |script, n| {
        let c = conn(C, 49_000 + n, S, 445);
        let at = f64::from(n);
        script.syn_ack(at, c).reply(at + 0.1, c, 0, 100, 50).reply(at + 0.2, c, 100, 100, 90).fin(
            at + 0.3,
            c,
            From::Server,
            200,
            90,
        )
    });
    let world = script.judge();
    assert!(world.asymmetric);
    assert!(world.flows.iter().all(|said| said.outcome == "one_way" && said.finding == "-"));
}

#[test]
fn a_tap_that_dies_shows_nothing_of_what_comes_back_later() {
    let (c, ntp) = (kerberos(), conn(C, 123, S, 123));
    let alive = Script::new().talks(-90.0, C, S, 445);
    let dead = (0..3u16).fold(alive, |script, n| {
        let c = conn(C, 49_000 + n, S, 445);
        script.syn(f64::from(n), c).ack(0.1 + f64::from(n), c)
    });
    let world = dead.syn(2.0, c).ask(1.0, ntp, 48).lead(0x1b).ask(2.0, ntp, 48).lead(0x1b).judge();
    world.of(c).is("unknown", "reverse_invisible").finding("-");
    world.of(ntp).is("unknown", "reverse_invisible").finding("-");
}

#[test]
fn in_a_capture_of_one_side_only_datagrams_prove_that_datagrams_are_seen() {
    let one_way = || {
        (0..8u16).fold(Script::new(), |script, n| {
            let c = conn(C2, 49_000 + n, "10.0.0.11", 445);
            script.syn(-50.0 + f64::from(n), c).ack(-49.9 + f64::from(n), c)
        })
    };
    let (dns, other) = (conn(C, 53_000, S, 53), conn(C, 53_001, S, 123));
    let asked = |script: Script| script.talks(9.0, C, S, 445).ask(0.0, dns, 40).ask(1.0, dns, 40).judge();
    let world = asked(one_way());
    assert!(world.asymmetric);
    world.of(dns).is("unknown", "reverse_invisible").finding("-");
    let seen = one_way().ask(8.0, other, 48).lead(0x1b).answer(8.1, other, 48);
    asked(seen).of(dns).is("unanswered", "udp_unanswered");
}

#[test]
fn the_server_that_repeats_its_answer_is_not_heard_in_a_capture_of_one_side_either() {
    let c = kerberos();
    let one_way = (0..8u16).fold(Script::new(), |script, n| {
        let c = conn(C2, 49_000 + n, "10.0.0.11", 445);
        script.syn(50.0 + f64::from(n), c).ack(50.1 + f64::from(n), c)
    });
    let world = one_way.syn(0.0, c).syn_ack(0.01, c).syn_ack(1.0, c).syn_ack(3.0, c).judge();
    assert!(world.asymmetric);
    world.of(c).is("reply_lost", "synack_unacked");
}
