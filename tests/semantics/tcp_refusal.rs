//! Attempts that somebody refuses: T6 to T10.

use portolan::model::transport::Transport;

use crate::script::C;
use crate::script::C2;
use crate::script::C6;
use crate::script::Conn;
use crate::script::From;
use crate::script::ROUTER;
use crate::script::ROUTER6;
use crate::script::S;
use crate::script::S6;
use crate::script::Script;
use crate::script::conn;

fn kerberos() -> Conn {
    conn(C, 50_000, S, 88)
}

/// Two connections tell what the server's packets look like.
fn known(client: &str, server: &str) -> Script {
    Script::new().talks(-5.0, client, server, 445).talks(-4.0, client, server, 389)
}

#[test]
fn t6_a_reset_like_the_servers_own_is_the_hosts() {
    for (client, server) in [(C, S), (C6, S6)] {
        let c = conn(client, 50_000, server, 88);
        let world = known(client, server).syn(0.0, c).refuse(0.001, c).judge();
        world.of(c).verdict("refused", "confirmed", "rst_host", "host").shows(&[1, 2]).finding("blocked");
    }
}

#[test]
fn t6_holds_where_sequence_numbers_wrap() {
    let c = kerberos().isn(u32::MAX, 0);
    let world = known(C, S).syn(0.0, c).refuse(0.001, c).judge();
    world.of(c).verdict("refused", "confirmed", "rst_host", "host").shows(&[1, 2]);
    assert_eq!(world.counters.bad_replies, 0);
}

#[test]
fn t7_a_reset_with_another_time_to_live_is_a_middleboxs() {
    for (client, server) in [(C, S), (C6, S6)] {
        let c = conn(client, 50_000, server, 88);
        let world = known(client, server).syn(0.0, c).refuse(0.001, c).ttl(61).judge();
        world.of(c).verdict("rejected", "probable", "rst_middlebox", "middlebox").shows(&[1, 2]).finding("blocked");
    }
}

#[test]
fn t7_a_reset_that_copies_the_syn_is_a_middleboxs() {
    let c = kerberos();
    let world = Script::new().syn(0.0, c).ip_id(777).refuse(0.001, c).ip_id(777).window(64_240).judge();
    world.of(c).verdict("rejected", "probable", "rst_middlebox", "middlebox").shows(&[1, 2]);
}

#[test]
fn t7_a_reset_faster_than_the_server_can_be_is_a_middleboxs() {
    let c = kerberos();
    let slow = conn(C, 50_001, S, 445);
    let script = |after: f64| {
        Script::new()
            .syn(0.0, c)
            .refuse(after, c)
            .window(64_240)
            .syn(1.0, slow)
            .syn_ack(1.02, slow)
            .ack(1.021, slow)
            .judge()
    };
    script(0.001).of(c).verdict("rejected", "probable", "rst_middlebox", "middlebox");
    script(0.02).of(c).verdict("refused", "possible", "rst_unknown_origin", "unknown");
}

#[test]
fn t7_twins_one_sign_alone_says_nothing() {
    let c = kerberos();
    let same_id = Script::new().syn(0.0, c).ip_id(777).refuse(0.001, c).ip_id(777).judge();
    same_id.of(c).verdict("refused", "possible", "rst_unknown_origin", "unknown");
    let same_window = Script::new().syn(0.0, c).refuse(0.001, c).window(64_240).judge();
    same_window.of(c).verdict("refused", "possible", "rst_unknown_origin", "unknown");
    // IPv6 has no IP-ID, and many stacks send 0: that both have none is no sign.
    let none = conn(C6, 50_000, S6, 88);
    let world = Script::new().syn(0.0, none).refuse(0.001, none).window(64_240).judge();
    world.of(none).verdict("refused", "possible", "rst_unknown_origin", "unknown");
}

#[test]
fn t8_a_reset_without_anything_to_compare_has_an_unknown_origin() {
    let c = kerberos();
    let world = Script::new().syn(0.0, c).refuse(0.001, c).judge();
    world.of(c).verdict("refused", "possible", "rst_unknown_origin", "unknown").shows(&[1, 2]).finding("blocked");
}

#[test]
fn t8_one_connection_is_no_baseline_and_mixed_values_are_none() {
    let c = kerberos();
    let one = Script::new().talks(-5.0, C, S, 445).syn(0.0, c).refuse(0.001, c).ttl(61).judge();
    one.of(c).verdict("refused", "possible", "rst_unknown_origin", "unknown");
    let mixed = |client: &str| {
        let other_path = conn(client, 49_000, S, 445);
        let script = known(C, S).syn(-3.0, other_path).syn_ack(-2.999, other_path).ttl(120).ack(-2.998, other_path);
        script.syn(0.0, c).refuse(0.001, c).ttl(61).judge()
    };
    mixed(C).of(c).verdict("refused", "possible", "rst_unknown_origin", "unknown");
    // What another client hears came another way, and changes nothing of what this one should hear.
    mixed(C2).of(c).verdict("rejected", "probable", "rst_middlebox", "middlebox");
}

#[test]
fn t7_the_way_to_another_client_says_nothing_against_a_reset() {
    // The server's packets come to the other client with another time to live than the RST has to this one.
    let c = kerberos();
    let script = || known(C2, S).syn(0.0, c).refuse(0.001, c);
    script().ttl(61).judge().of(c).verdict("refused", "possible", "rst_unknown_origin", "unknown");
    script().judge().of(c).verdict("refused", "confirmed", "rst_host", "host");
}

#[test]
fn a_reset_that_does_not_acknowledge_the_syn_is_counted_and_ignored() {
    let c = kerberos();
    for wrong in [0, 1000, 999, 500_000] {
        let world = known(C, S).syn(0.0, c).refuse(0.001, c).acks(wrong).judge();
        assert_eq!(world.counters.bad_replies, 1, "acknowledges {wrong}");
        assert_ne!(world.of(c).outcome, "refused", "acknowledges {wrong}");
        assert_ne!(world.of(c).outcome, "rejected", "acknowledges {wrong}");
    }
}

#[test]
fn a_reset_that_was_ignored_closes_nothing() {
    let c = kerberos();
    let world = known(C, S).syn(0.0, c).refuse(0.001, c).acks(5).syn_ack(0.002, c).ack(0.003, c).judge();
    world.of(c).verdict("open", "confirmed", "handshake", "-").no_note("no_payload").finding("-");
}

#[test]
fn a_syn_ack_that_does_not_acknowledge_the_syn_is_counted_and_ignored() {
    let c = kerberos();
    let world = known(C, S).syn(0.0, c).syn_ack(0.001, c).acks(77).judge();
    assert_eq!(world.counters.bad_replies, 1);
    assert_ne!(world.of(c).outcome, "open");
    let twin = known(C, S).syn(0.0, c).syn_ack(0.001, c).judge();
    assert_eq!(twin.counters.bad_replies, 0);
    assert_eq!(twin.of(c).outcome, "open");
}

#[test]
fn t9_an_error_of_a_router_rejects() {
    for (client, server, router, kind, code, reason) in
        [(C, S, ROUTER, 3, 13, "icmp_3_13"), (C6, S6, ROUTER6, 1, 1, "icmp_1_1")]
    {
        let c = conn(client, 50_000, server, 88);
        let world = Script::new().syn(0.0, c).icmp(0.01, router, c, Transport::Tcp, kind, code).judge();
        world.of(c).verdict("rejected", "confirmed", reason, router).shows(&[1, 2]).finding("blocked");
        assert_eq!(world.counters.icmp_unmatched, 0);
    }
}

#[test]
fn t9_port_unreachable_of_the_target_refuses() {
    for (client, server, router, kind, code, reason) in
        [(C, S, ROUTER, 3, 3, "icmp_3_3"), (C6, S6, ROUTER6, 1, 4, "icmp_1_4")]
    {
        let c = conn(client, 50_000, server, 88);
        let told_by =
            |sender: &str| Script::new().syn(0.0, c).icmp(0.01, sender, c, Transport::Tcp, kind, code).judge();
        told_by(server).of(c).verdict("refused", "confirmed", reason, "host").shows(&[1, 2]);
        told_by(router).of(c).verdict("rejected", "confirmed", reason, router).shows(&[1, 2]);
    }
}

#[test]
fn t9_twin_a_quote_that_fits_no_attempt_is_counted_and_ignored() {
    let c = kerberos().isn(3_000_000_000, 9_000);
    let far = Script::new().syn(0.0, c).icmp(0.01, ROUTER, c, Transport::Tcp, 3, 13).quoting(7).judge();
    assert_eq!(far.counters.icmp_unmatched, 1);
    far.of(c).verdict("dropped", "possible", "syn_single", "unknown");
    let other_flow = conn(C, 50_001, S, 88);
    let other = Script::new().syn(0.0, c).icmp(0.01, ROUTER, other_flow, Transport::Tcp, 3, 13).judge();
    assert_eq!(other.counters.icmp_unmatched, 1);
    other.of(c).is("dropped", "syn_single");
}

#[test]
fn t9_twin_a_quote_beside_the_syn_fits_no_attempt() {
    // Nothing but the SYN was sent, so an error can quote nothing else. A guess must not hit one time in four.
    let c = kerberos();
    for beside in [999, 1_001, 5_000, 1_000_000] {
        let world = Script::new().syn(0.0, c).icmp(0.01, ROUTER, c, Transport::Tcp, 3, 13).quoting(beside).judge();
        assert_eq!(world.counters.icmp_unmatched, 1, "quotes {beside}");
        world.of(c).is("dropped", "syn_single");
    }
}

#[test]
fn t10_an_error_before_the_answer_is_soft() {
    let c = kerberos();
    let world = Script::new()
        .syn(0.0, c)
        .icmp(0.01, ROUTER, c, Transport::Tcp, 3, 1)
        .syn(1.0, c)
        .syn_ack(1.01, c)
        .ack(1.02, c)
        .send(1.03, c, 0, 50, 0)
        .reply(1.04, c, 0, 50, 50)
        .judge();
    world.of(c).verdict("open", "confirmed", "handshake", "-").note("soft_error").finding("-");
    let twin = Script::new().syn(0.0, c).icmp(0.01, ROUTER, c, Transport::Tcp, 3, 1).syn(1.0, c).judge();
    twin.of(c).verdict("rejected", "confirmed", "icmp_3_1", ROUTER).no_note("soft_error");
}

#[test]
fn t10_an_error_within_a_connection_is_soft() {
    let c = kerberos();
    let world = Script::new()
        .handshake(0.0, c)
        .send(0.01, c, 0, 50, 0)
        .icmp(0.02, ROUTER, c, Transport::Tcp, 3, 1)
        .quoting(1_001)
        .reply(0.3, c, 0, 50, 50)
        .fin(0.4, c, From::Client, 50, 50)
        .judge();
    world.of(c).verdict("open", "confirmed", "handshake", "-").note("soft_error");
}
