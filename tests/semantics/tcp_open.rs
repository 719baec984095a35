//! Connections that work, or half of which was seen: T12 to T20, T22 to T26.

use crate::script::C;
use crate::script::C6;
use crate::script::Conn;
use crate::script::From;
use crate::script::S;
use crate::script::S6;
use crate::script::Script;
use crate::script::conn;

const ACK: u8 = 16;
const RST: u8 = 4;
const FIN: u8 = 1;

fn ldap() -> Conn {
    conn(C, 50_000, S, 389)
}

#[test]
fn t12_a_handshake_is_open() {
    let wraps = ldap().isn(u32::MAX - 1, u32::MAX - 10);
    for (c, client) in [(ldap(), C), (conn(C6, 50_000, S6, 389), C6), (wraps, C)] {
        let world = Script::new()
            .handshake(0.0, c)
            .send(0.01, c, 0, 100, 0)
            .reply(0.02, c, 0, 3000, 100)
            .send(0.03, c, 100, 10, 3000)
            .fin(0.04, c, From::Client, 110, 3000)
            .judge();
        let said = world.of(c);
        said.verdict("open", "confirmed", "handshake", "-").shows(&[1, 2]).finding("-").dir("syn", client);
        assert_eq!(said.flow.retransmits, [0, 0]);
        assert_eq!(world.counters.acked_unseen, 0);
    }
}

#[test]
fn t12_twin_the_last_ack_does_not_fit() {
    let c = ldap();
    let world = Script::new().syn(0.0, c).syn_ack(0.001, c).ack(0.002, c).acks(8_000).judge();
    assert_eq!(world.of(c).flow.handshake_us, 0, "the handshake is not complete");
    assert_ne!(world.of(c).confidence, "confirmed");
}

#[test]
fn t13_the_client_repeats_its_syn_after_the_answer() {
    let c = ldap();
    let script =
        || Script::new().syn(0.0, c).syn_ack(0.001, c).syn(1.0, c).syn_ack(1.001, c).syn(3.0, c).syn_ack(3.001, c);
    let world = script().judge();
    world.of(c).verdict("reply_lost", "confirmed", "synack_unheard", "unknown").shows(&[2, 5]).finding("blocked");
    let twin = script().ack(3.2, c).judge();
    twin.of(c).verdict("open", "confirmed", "handshake", "-").finding("-");
}

#[test]
fn t14_the_server_repeats_its_answer() {
    let c = ldap();
    let script = || Script::new().syn(0.0, c).syn_ack(0.001, c).syn_ack(1.0, c).syn_ack(3.0, c);
    let world = script().judge();
    world.of(c).verdict("reply_lost", "possible", "synack_unacked", "unknown").shows(&[1, 2]).finding("blocked");
    let twin = script().ack(3.1, c).judge();
    twin.of(c).verdict("open", "confirmed", "handshake", "-");
    let cut = script().until(3.5).judge();
    cut.of(c).is("unknown", "edge_end").finding("-");
}

#[test]
fn t15_the_client_hangs_up_on_the_answer() {
    let c = ldap();
    let world = Script::new().syn(0.0, c).syn_ack(0.001, c).tcp(0.002, c, From::Client, RST, 1, 0, 0).judge();
    world.of(c).is("open", "half_open_probe").shows(&[1, 3]).note("probe").finding("-");
    let twin = Script::new().handshake(0.0, c).send(0.01, c, 0, 9, 0).reply(0.02, c, 0, 9, 9).judge();
    twin.of(c).verdict("open", "confirmed", "handshake", "-").no_note("probe");
    // Somebody on the way hung up in the client's name: it goes on asking.
    let forged = Script::new().syn(0.0, c).syn_ack(0.001, c).tcp(0.002, c, From::Client, RST, 1, 0, 0);
    let forged = forged.syn(1.0, c).syn_ack(1.001, c).tcp(1.002, c, From::Client, RST, 1, 0, 0).syn(3.0, c);
    forged.judge().of(c).verdict("reply_lost", "confirmed", "synack_unheard", "unknown").finding("blocked");
}

#[test]
fn t16_the_clients_ack_proves_the_answer() {
    let wraps = ldap().isn(u32::MAX, 0xffff_ff00);
    for c in [ldap(), conn(C6, 50_000, S6, 389), wraps] {
        let world = Script::new().syn(0.0, c).ack(0.01, c).send(0.02, c, 0, 100, 0).judge();
        world.of(c).verdict("one_way", "confirmed", "oneway_c2s", "-").shows(&[1, 3]).finding("-");
    }
    let c = ldap();
    let twin = Script::new().talks(-5.0, C, S, 445).syn(0.0, c).syn(1.0, c).syn(3.0, c).judge();
    twin.of(c).is("dropped", "syn_unanswered");
}

#[test]
fn t17_only_the_server_was_captured() {
    let c = ldap();
    let world = Script::new().syn_ack(0.0, c).reply(0.1, c, 0, 100, 50).judge();
    world.of(c).verdict("one_way", "probable", "oneway_s2c", "-").shows(&[1, 2]).dir("synack", C).finding("-");
    let twin = Script::new().syn_ack(0.0, c).syn_ack(1.0, c).judge();
    twin.of(c).is("unknown", "oneway_s2c").shows(&[1]).finding("-");
}

#[test]
fn t17_answers_to_many_who_never_asked_are_no_finding() {
    let script = (1u16..=40).fold(Script::new(), |script, n| {
        let c = conn(&format!("10.0.3.{n}"), 50_000 + n, S, 389);
        script.syn_ack(f64::from(n) / 100.0, c).syn_ack(1.0 + f64::from(n) / 100.0, c)
    });
    let world = script.judge();
    assert_eq!(world.flows.len(), 40);
    assert!(world.flows.iter().all(|said| said.outcome == "unknown" && said.finding == "-"));
    assert!(world.collapses.is_empty());
}

#[test]
fn t18_data_both_ways_is_open_without_a_handshake() {
    let c = ldap();
    let world = Script::new().send(0.0, c, 5_000, 100, 700).reply(0.01, c, 700, 200, 5_100).judge();
    world.of(c).verdict("open", "confirmed", "mid_stream", "-").note("mid_stream").shows(&[1, 2]).finding("-");
    let twin = Script::new().handshake(0.0, c).send(0.1, c, 0, 100, 0).reply(0.2, c, 0, 200, 100).judge();
    twin.of(c).verdict("open", "confirmed", "handshake", "-").no_note("mid_stream");
}

#[test]
fn t19_one_direction_whose_acknowledgements_advance() {
    let c = ldap();
    let world = Script::new().send(0.0, c, 5_000, 100, 700).send(0.1, c, 5_100, 100, 1_700).judge();
    world.of(c).verdict("one_way", "probable", "mid_oneway", "-").shows(&[1, 2]).finding("-");
    let twin = Script::new().send(0.0, c, 5_000, 100, 700).send(0.1, c, 5_100, 100, 700).judge();
    assert_eq!(twin.of(c).outcome, "unknown");
}

#[test]
fn t19_advance_is_seen_across_the_wrap() {
    let c = ldap().isn(1_000, 0xffff_fff0);
    let world = Script::new().send(0.0, c, 5_000, 100, 0).send(0.1, c, 5_100, 100, 100).judge();
    world.of(c).verdict("one_way", "probable", "mid_oneway", "-");
}

#[test]
fn t20_a_lone_reset_or_fin_is_no_flow_to_judge() {
    let c = ldap();
    for flags in [RST, RST | ACK, FIN | ACK] {
        let world = Script::new().tcp(0.0, c, From::Server, flags, 100, 100, 0).judge();
        world.of(c).is("unknown", "stray").shows(&[1]).finding("-");
    }
    let twin =
        Script::new().send(0.0, c, 9, 100, 7).reply(0.1, c, 7, 10, 109).rst(0.2, c, From::Server, 17, 109).judge();
    twin.of(c).verdict("open", "confirmed", "mid_stream", "-");
}

#[test]
fn t22_the_first_data_is_answered_by_a_reset() {
    let c = ldap();
    let script = |ttl: u8| {
        Script::new()
            .talks(-5.0, C, S, 445)
            .talks(-4.0, C, S, 445)
            .handshake(0.0, c)
            .send(0.01, c, 0, 100, 0)
            .rst(0.02, c, From::Server, 0, 100)
            .ttl(ttl)
            .judge()
    };
    let host = script(128);
    host.of(c).verdict("reset", "confirmed", "rst_after_data", "host").shows(&[1, 2, 4, 5]).finding("-");
    script(61).of(c).verdict("reset", "probable", "rst_after_data", "middlebox").shows(&[4, 5]);
    let unknown = Script::new().handshake(0.0, c).send(0.01, c, 0, 100, 0).rst(0.02, c, From::Server, 0, 100).judge();
    unknown.of(c).verdict("reset", "probable", "rst_after_data", "unknown");
}

#[test]
fn t23_opened_and_closed_without_payload() {
    let c = ldap();
    let script = Script::new().handshake(0.0, c);
    let world = script.fin(0.1, c, From::Client, 0, 0).fin(0.2, c, From::Server, 0, 1).judge();
    world.of(c).is("open", "connect_only").note("no_payload").shows(&[1, 2]).finding("-");
    let by_reset = Script::new().handshake(0.0, c).rst(0.1, c, From::Client, 0, 0).judge();
    by_reset.of(c).is("open", "connect_only").note("no_payload");
    let twin = Script::new().handshake(0.0, c).judge();
    twin.of(c).verdict("open", "confirmed", "handshake", "-").no_note("no_payload");
}

#[test]
fn t24_a_reset_at_the_end_of_a_conversation() {
    let c = ldap();
    let talk = || Script::new().handshake(0.0, c).send(0.1, c, 0, 50, 0).reply(0.2, c, 0, 60, 50);
    let world = talk().rst(0.3, c, From::Server, 60, 50).judge();
    world.of(c).is("open", "late_rst").shows(&[1, 2]).finding("-");
    let after_fin = Script::new()
        .handshake(0.0, c)
        .send(0.1, c, 0, 50, 0)
        .fin(0.2, c, From::Client, 50, 0)
        .rst(0.3, c, From::Server, 0, 51)
        .judge();
    after_fin.of(c).is("open", "late_rst");
    talk().judge().of(c).is("open", "handshake");
}

#[test]
fn t25_refused_and_then_accepted_is_one_flow() {
    let c = ldap();
    let again = c.isn(70_000, 9_500);
    let world = Script::new()
        .syn(0.0, c)
        .refuse(0.001, c)
        .handshake(0.5, again)
        .send(0.6, again, 0, 50, 0)
        .reply(0.7, again, 0, 50, 50)
        .judge();
    let said = world.of(c);
    said.is("open", "retried").note("retried").finding("-");
    assert_eq!(said.flow.syns.iter().sum::<u16>(), 2);
}

#[test]
fn t25_the_repeat_may_have_the_same_number() {
    let c = ldap();
    let world =
        Script::new().syn(0.0, c).refuse(0.001, c).handshake(0.5, c).send(0.6, c, 0, 5, 0).reply(0.7, c, 0, 5, 5);
    world.judge().of(c).is("open", "retried").note("retried").finding("-");
}

#[test]
fn t25_refused_every_time_is_one_refusal() {
    let c = ldap();
    let (second, third) = (c.isn(70_000, 0), c.isn(150_000, 0));
    let world = Script::new()
        .talks(-5.0, C, S, 445)
        .talks(-4.0, C, S, 445)
        .syn(0.0, c)
        .refuse(0.001, c)
        .syn(0.5, second)
        .refuse(0.501, second)
        .syn(1.0, third)
        .refuse(1.001, third)
        .judge();
    world.of(c).verdict("refused", "confirmed", "rst_host", "host").shows(&[1, 6]).finding("blocked");
    assert_eq!(world.counters.bad_replies, 0);
}

#[test]
fn t25_twin_later_it_is_another_flow() {
    let c = ldap();
    let again = c.isn(70_000, 9_500);
    let world = Script::new().syn(0.0, c).refuse(0.001, c).handshake(3.1, again).send(3.2, again, 0, 5, 0).judge();
    let all = world.all(c);
    assert_eq!(all.len(), 2);
    all[0].is("refused", "rst_unknown_origin").note("ports_reused");
    all[1].verdict("open", "confirmed", "handshake", "-").no_note("retried");
}

#[test]
fn t26_a_new_number_on_used_ports_is_a_new_flow() {
    let c = ldap();
    let again = c.isn(500_000, 800_000);
    let world = Script::new()
        .handshake(0.0, c)
        .send(0.1, c, 0, 50, 0)
        .reply(0.2, c, 0, 60, 50)
        .fin(0.3, c, From::Client, 50, 60)
        .fin(0.4, c, From::Server, 60, 51)
        .handshake(5.0, again)
        .send(5.1, again, 0, 70, 0)
        .reply(5.2, again, 0, 80, 70)
        .judge();
    let all = world.all(c);
    assert_eq!(all.len(), 2);
    all[0].verdict("open", "confirmed", "handshake", "-").shows(&[1, 2]);
    all[1].verdict("open", "confirmed", "handshake", "-").shows(&[8, 9]);
    assert_eq!(all[0].flow.payload.iter().sum::<u64>(), 110);
    assert_eq!(all[1].flow.payload.iter().sum::<u64>(), 150);
}

#[test]
fn t26_ports_used_three_times_give_three_flows_with_their_own_ends() {
    let c = ldap();
    let (second, third) = (c.isn(500_000, 0), c.isn(900_000, 30));
    let world = Script::new()
        .talks(-5.0, C, S, 445)
        .handshake(0.0, c)
        .rst(0.1, c, From::Client, 0, 0)
        .syn(10.0, second)
        .syn(11.0, second)
        .syn(13.0, second)
        .handshake(60.0, third)
        .send(60.1, third, 0, 5, 0)
        .reply(60.2, third, 0, 5, 5)
        .judge();
    let all = world.all(c);
    assert_eq!(all.len(), 3);
    all[0].is("open", "connect_only");
    all[1].verdict("dropped", "confirmed", "syn_unanswered", "unknown").shows(&[5, 7]);
    all[2].verdict("open", "confirmed", "handshake", "-");
}

#[test]
fn t26_twin_a_syn_that_comes_after_its_answer_is_the_same_flow() {
    for c in [ldap(), ldap().isn(u32::MAX, u32::MAX)] {
        let world = Script::new().syn_ack(0.0, c).syn(0.0001, c).ack(0.001, c).send(0.01, c, 0, 5, 0).judge();
        world.of(c).verdict("open", "confirmed", "handshake", "-").shows(&[1, 2]).dir("syn", C);
    }
}

#[test]
fn t26_twin_an_ack_that_overtakes_the_answer_is_the_same_flow() {
    let c = ldap();
    let world =
        Script::new().syn(0.0, c).ack(0.001, c).syn_ack(0.0011, c).send(0.01, c, 0, 5, 0).reply(0.02, c, 0, 5, 5);
    world.judge().of(c).is("open", "handshake").finding("-");
}

#[test]
fn one_answer_and_nothing_more_is_not_called_blocked() {
    let c = ldap();
    let world = Script::new().syn(0.0, c).syn_ack(0.001, c).judge();
    world.of(c).not_blocked();
}
