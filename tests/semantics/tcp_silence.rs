//! SYNs that nobody answers: T1 to T5, T11.

use portolan::model::transport::Transport;

use crate::script::C;
use crate::script::C2;
use crate::script::C6;
use crate::script::Conn;
use crate::script::ROUTER;
use crate::script::ROUTER6;
use crate::script::S;
use crate::script::S6;
use crate::script::Script;
use crate::script::conn;

fn kerberos() -> Conn {
    conn(C, 50_000, S, 88)
}

fn three_syns(c: Conn) -> Script {
    Script::new().syn(0.0, c).syn(1.0, c).syn(3.0, c)
}

#[test]
fn t1_three_syns_to_a_live_server_are_dropped() {
    let c = kerberos();
    let world = three_syns(c).talks(-5.0, C, S, 445).judge();
    world.of(c).verdict("dropped", "confirmed", "syn_unanswered", "unknown").shows(&[1, 3]).finding("blocked");
}

#[test]
fn t1_holds_for_ipv6_and_where_sequence_numbers_wrap() {
    for c in [conn(C6, 50_000, S6, 88), conn(C6, 50_000, S6, 88).isn(u32::MAX, u32::MAX)] {
        let world = three_syns(c).talks(-5.0, C6, S6, 445).judge();
        world.of(c).verdict("dropped", "confirmed", "syn_unanswered", "unknown").shows(&[1, 3]).finding("blocked");
    }
}

#[test]
fn t1_twin_the_third_syn_is_answered() {
    let c = kerberos();
    let world = three_syns(c).talks(-5.0, C, S, 445).syn_ack(3.001, c).ack(3.002, c).judge();
    world.of(c).verdict("open", "confirmed", "handshake", "-").shows(&[3, 4, 5]).finding("-");
}

#[test]
fn t1_is_enough_if_the_server_was_heard_by_anyone() {
    let c = kerberos();
    let dns = conn(C2, 53_000, S, 53);
    let world = three_syns(c).ask(4.0, dns, 40).answer(4.01, dns, 90).judge();
    world.of(c).verdict("dropped", "confirmed", "syn_unanswered", "unknown");
}

#[test]
fn t2_one_repeat_is_probable() {
    let c = kerberos();
    let world = Script::new().talks(-5.0, C, S, 445).syn(0.0, c).syn(1.0, c).judge();
    world.of(c).verdict("dropped", "probable", "syn_unanswered", "unknown").shows(&[1, 2]).finding("blocked");
}

#[test]
fn t2_a_host_never_heard_is_silent() {
    let c = kerberos();
    // A packet of the client first, so that the series is not cut by the beginning of the capture.
    let world = three_syns(c).talks(-5.0, C, "10.0.0.11", 445).judge();
    world.of(c).verdict("dropped", "probable", "host_silent", "unknown").shows(&[1, 3]).finding("blocked");
}

#[test]
fn t2_twin_the_second_syn_is_answered() {
    let c = kerberos();
    let world = Script::new().talks(-5.0, C, S, 445).syn(0.0, c).syn(1.0, c).syn_ack(1.1, c).ack(1.2, c).judge();
    world.of(c).verdict("open", "confirmed", "handshake", "-");
}

#[test]
fn t3_one_syn_is_possible() {
    let c = kerberos();
    let world = Script::new().talks(-5.0, C, S, 445).syn(0.0, c).judge();
    world.of(c).verdict("dropped", "possible", "syn_single", "unknown").shows(&[1]).finding("blocked");
}

#[test]
fn t3_twin_the_answer_comes() {
    let c = kerberos();
    let world = Script::new().talks(-5.0, C, S, 445).handshake(0.0, c).judge();
    world.of(c).verdict("open", "confirmed", "handshake", "-").finding("-");
}

#[test]
fn t4_the_capture_ends_before_three_seconds() {
    let c = kerberos();
    let world = Script::new().talks(-5.0, C, S, 445).syn(0.0, c).until(2.9).judge();
    world.of(c).is("unknown", "edge_end").shows(&[1]).finding("-");
    let twin = Script::new().talks(-5.0, C, S, 445).syn(0.0, c).until(3.1).judge();
    twin.of(c).verdict("dropped", "possible", "syn_single", "unknown");
}

#[test]
fn t4_the_wait_grows_with_the_gap_between_syns() {
    let c = kerberos();
    // The gap is 4 s, so silence counts after 6 s: at 10 s.
    let script = |until: f64| Script::new().talks(-5.0, C, S, 445).syn(0.0, c).syn(4.0, c).until(until).judge();
    script(9.9).of(c).is("unknown", "edge_end").finding("-");
    script(10.1).of(c).verdict("dropped", "probable", "syn_unanswered", "unknown").shows(&[1, 2]);
}

#[test]
fn t4_a_whole_series_at_the_end_is_one_step_less_sure() {
    // The last repeat itself proves that the tries before it were not answered in all that time.
    let c = kerberos();
    let script = |until: f64| three_syns(c).syn(7.0, c).talks(-5.0, C, S, 445).until(until).judge();
    script(7.1).of(c).verdict("dropped", "probable", "syn_unanswered", "unknown").shows(&[1, 4]);
    script(13.1).of(c).verdict("dropped", "confirmed", "syn_unanswered", "unknown");
}

#[test]
fn t5_a_series_that_may_have_begun_before_the_capture_is_less_sure() {
    let c = kerberos();
    let tail = |script: Script| script.syn(0.0, c).syn(4.0, c).syn(12.0, c).talks(30.0, C, S, 445);
    let world = tail(Script::new()).judge();
    world.of(c).verdict("dropped", "probable", "edge_start", "unknown").shows(&[1, 3]);
    let two = Script::new().syn(0.0, c).syn(4.0, c).talks(30.0, C, S, 445).judge();
    two.of(c).verdict("dropped", "possible", "edge_start", "unknown");
    // As of two captures appended to each other, one silence lies within the other.
    let silences = Script::new().talks(-200.0, C, S, 445).gap(-100.0, 0.0).gap(-90.0, -60.0);
    tail(silences).judge().of(c).verdict("dropped", "probable", "edge_start", "unknown");
    let twin = tail(Script::new().talks(-5.0, C, S, 445)).judge();
    twin.of(c).verdict("dropped", "confirmed", "syn_unanswered", "unknown");
}

#[test]
fn t5_twin_a_whole_series_at_the_beginning_is_sure() {
    // The gap to the next SYN is one second: this is where the series begins, whatever the later gaps are.
    let c = kerberos();
    let world = three_syns(c).syn(7.0, c).talks(30.0, C, S, 445).judge();
    world.of(c).verdict("dropped", "confirmed", "syn_unanswered", "unknown").shows(&[1, 4]);
}

#[test]
fn t11_an_error_shortly_before_still_speaks() {
    for (client, server, router, kind, code) in [(C, S, ROUTER, 3, 13), (C6, S6, ROUTER6, 1, 1)] {
        let told = conn(client, 50_000, server, 88);
        let untold = conn(client, 50_001, server, 88);
        let world = Script::new()
            .talks(-5.0, client, server, 445)
            .syn(0.0, told)
            .icmp(0.01, router, told, Transport::Tcp, kind, code)
            .syn(5.0, untold)
            .syn(6.0, untold)
            .syn(8.0, untold)
            .judge();
        world.of(untold).verdict("rejected", "probable", "icmp_inherited", router).shows(&[2, 3, 5]).finding("blocked");
    }
}

#[test]
fn t11_twins_too_long_ago_or_another_port() {
    let told = conn(C, 50_000, S, 88);
    let script = |untold: Conn, at: f64| {
        Script::new()
            .talks(-5.0, C, S, 445)
            .syn(0.0, told)
            .icmp(0.01, ROUTER, told, Transport::Tcp, 3, 13)
            .syn(at, untold)
            .syn(at + 1.0, untold)
            .syn(at + 3.0, untold)
            .judge()
    };
    let late = conn(C, 50_001, S, 88);
    script(late, 10.1).of(late).verdict("dropped", "confirmed", "syn_unanswered", "unknown");
    let elsewhere = conn(C, 50_001, S, 389);
    script(elsewhere, 5.0).of(elsewhere).verdict("dropped", "confirmed", "syn_unanswered", "unknown");
}
