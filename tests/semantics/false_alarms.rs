//! Captures of connections that work, or of which nothing can be known, that look like a block: none may be called one.

use portolan::model::transport::Transport;

use crate::script::C;
use crate::script::C2;
use crate::script::Conn;
use crate::script::From;
use crate::script::ROUTER;
use crate::script::S;
use crate::script::Script;
use crate::script::conn;

const ACK: u8 = 16;
const RST: u8 = 4;

fn smb() -> Conn {
    conn(C, 50_000, S, 445)
}

#[test]
fn a_working_connection_whose_syn_ack_was_not_captured_and_that_ends_with_a_reset() {
    // The RST acknowledges little more than the SYN, because the client sent little. It refuses nothing.
    let c = smb();
    let world = Script::new()
        .syn(0.0, c)
        .ack(0.002, c)
        .send(0.003, c, 0, 200, 0)
        .reply(0.01, c, 0, 500, 200)
        .rst(0.02, c, From::Server, 500, 200)
        .judge();
    world.of(c).not_blocked();
}

#[test]
fn the_same_where_no_data_of_the_server_was_captured_either() {
    // The client acknowledges the SYN-ACK before the RST comes: it was accepted first.
    let c = smb();
    let world = Script::new().syn(0.0, c).ack(0.002, c).send(0.003, c, 0, 200, 0).rst(5.0, c, From::Server, 0, 200);
    world.judge().of(c).not_blocked();
}

#[test]
fn a_soft_error_and_then_the_clients_acknowledgement() {
    // Only the client's side is captured. Its ACK proves that the SYN-ACK arrived after the error.
    let c = smb();
    let world = Script::new()
        .syn(0.0, c)
        .icmp(0.01, ROUTER, c, Transport::Tcp, 3, 1)
        .syn(1.0, c)
        .ack(1.02, c)
        .send(1.03, c, 0, 100, 0)
        .send(1.2, c, 100, 100, 800)
        .judge();
    world.of(c).not_blocked();
}

#[test]
fn a_soft_error_and_then_data_both_ways() {
    let c = smb();
    let world = Script::new()
        .syn(0.0, c)
        .icmp(0.01, ROUTER, c, Transport::Tcp, 3, 1)
        .syn(1.0, c)
        .ack(1.02, c)
        .send(1.03, c, 0, 100, 0)
        .reply(1.2, c, 0, 300, 100)
        .judge();
    world.of(c).not_blocked();
}

#[test]
fn a_forged_reset_and_then_the_clients_acknowledgement() {
    let c = smb();
    let world = Script::new()
        .syn(0.0, c)
        .refuse(0.001, c)
        .ttl(61)
        .ack(0.02, c)
        .send(0.03, c, 0, 100, 0)
        .send(0.2, c, 100, 100, 800)
        .judge();
    world.of(c).not_blocked();
}

#[test]
fn a_forged_reset_and_then_the_answer() {
    let c = smb();
    let world = Script::new()
        .syn(0.0, c)
        .refuse(0.001, c)
        .ttl(61)
        .syn_ack(0.01, c)
        .ack(0.02, c)
        .send(0.03, c, 0, 100, 0)
        .reply(0.2, c, 0, 100, 100)
        .judge();
    world.of(c).not_blocked();
}

#[test]
fn a_syn_at_the_very_end_after_an_error_about_another_attempt() {
    // T11 speaks of repeats that stay unanswered. This one has had no time yet.
    let told = conn(C, 50_001, S, 445);
    let c = smb();
    let world =
        Script::new().syn(0.0, told).icmp(0.01, ROUTER, told, Transport::Tcp, 3, 1).syn(8.0, c).until(8.01).judge();
    world.of(c).not_blocked();
}

#[test]
fn an_error_about_the_servers_answer_says_nothing_of_the_server() {
    // Somebody asked in the name of a host that does not exist. A router says so to the server.
    let forged = conn("10.0.3.99", 50_001, S, 445);
    let c = smb();
    let world = Script::new()
        .talks(-5.0, C, S, 445)
        .syn(0.0, forged)
        .syn_ack(0.001, forged)
        .icmp_about(0.5, ROUTER, forged, From::Server, Transport::Tcp, 3, 1)
        .syn(5.0, c)
        .syn(6.0, c)
        .syn(8.0, c)
        .judge();
    assert_eq!(world.counters.icmp_unmatched, 0);
    // Dropped it is; but nobody rejected it.
    world.of(c).verdict("dropped", "confirmed", "syn_unanswered", "unknown");
}

#[test]
fn an_error_that_turned_out_soft_is_not_inherited() {
    let soft = conn(C, 50_001, S, 445);
    let c = smb();
    let world = Script::new()
        .syn(0.0, soft)
        .icmp(0.01, ROUTER, soft, Transport::Tcp, 3, 1)
        .syn(1.0, soft)
        .syn_ack(1.001, soft)
        .ack(1.002, soft)
        .syn(5.0, c)
        .syn(6.0, c)
        .syn(8.0, c)
        .judge();
    world.of(c).is("dropped", "syn_unanswered");
}

#[test]
fn a_syn_that_crossed_its_answer_at_the_end_of_the_capture() {
    let c = smb();
    let world = Script::new().syn(0.0, c).syn_ack(0.9, c).syn(1.0, c).until(1.2).judge();
    world.of(c).not_blocked();
}

#[test]
fn fast_repeats_at_the_end_of_the_capture() {
    // Three lost segments are repeated at once; the answer would come a few milliseconds later.
    let c = smb();
    let world = Script::new()
        .handshake(0.0, c)
        .send(0.01, c, 0, 1_400, 0)
        .send(0.011, c, 1_400, 1_400, 0)
        .send(0.012, c, 2_800, 1_400, 0)
        .send(0.013, c, 4_200, 1_400, 0)
        .reply(0.02, c, 0, 0, 1_400)
        .send(0.021, c, 1_400, 1_400, 0)
        .send(0.022, c, 2_800, 1_400, 0)
        .send(0.023, c, 4_200, 1_400, 0)
        .until(0.03)
        .judge();
    world.of(c).not_blocked();
}

#[test]
fn repeats_of_a_client_that_hears_what_was_not_captured() {
    // From here on the server's packets are missing, but the client acknowledges more and more of them.
    let c = smb();
    let world = Script::new()
        .handshake(0.0, c)
        .send(0.1, c, 0, 100, 0)
        .reply(0.2, c, 0, 100, 100)
        .send(1.0, c, 100, 100, 100)
        .send(1.3, c, 100, 100, 600)
        .send(2.0, c, 200, 100, 1_000)
        .send(2.3, c, 200, 100, 1_600)
        .send(3.0, c, 300, 100, 2_000)
        .send(3.3, c, 300, 100, 2_600)
        .judge();
    world.of(c).not_blocked();
}

#[test]
fn segments_out_of_order_are_no_repeats() {
    let c = smb();
    let world = Script::new()
        .handshake(0.0, c)
        .send(0.013, c, 4_200, 1_400, 0)
        .send(0.014, c, 0, 1_400, 0)
        .send(0.015, c, 1_400, 1_400, 0)
        .send(0.016, c, 2_800, 1_400, 0)
        .until(0.02)
        .judge();
    world.of(c).not_blocked();
}

#[test]
fn an_acknowledgement_of_zero_is_one() {
    // The server's initial number was the highest there is, so the ACK that completes the handshake is 0.
    let c = smb().isn(1_000, u32::MAX);
    let world = Script::new().syn(0.0, c).ack(0.01, c).judge();
    world.of(c).verdict("one_way", "confirmed", "oneway_c2s", "-");
}

#[test]
fn traceroute_over_tcp_is_no_loop() {
    // Each probe has a time to live that cannot reach the server; the last one does.
    let probe = |port: u16| conn(C, port, S, 445);
    let script = (1..=5u8).fold(Script::new(), |script, hop| {
        let c = probe(50_000 + u16::from(hop));
        let router = format!("10.9.9.{hop}");
        script.syn(f64::from(hop), c).ttl(hop).icmp(f64::from(hop) + 0.01, &router, c, Transport::Tcp, 11, 0)
    });
    let last = probe(50_006);
    let world = script.syn(6.0, last).ttl(6).syn_ack(6.01, last).tcp(6.02, last, From::Client, RST, 1, 0, 0).judge();
    world.of(last).is("open", "half_open_probe");
    for hop in 1..=5u16 {
        world.of(probe(50_000 + hop)).finding("-");
    }
}

#[test]
fn keep_alives_of_an_idle_tunnel_need_no_reply() {
    // RFC 3948 sections 2.3 and 4: one octet 0xff, which the receiver throws away.
    let c = conn(C, 4_500, S, 4_500);
    let world = (0..6u8).fold(Script::new(), |script, n| script.ask(f64::from(n) * 20.0, c, 1).lead(0xff)).judge();
    world.of(c).not_blocked();
}

#[test]
fn queries_of_ntps_control_mode_may_be_ignored() {
    // U3 speaks of mode 3. Servers leave mode 6 and 7 unanswered by rule (RFC 9327, amplification).
    let c = conn(C, 50_123, S, 123);
    for mode in [0x16, 0x17] {
        let world = Script::new().ask(0.0, c, 12).lead(mode).ask(5.0, c, 12).lead(mode).judge();
        world.of(c).not_blocked();
    }
}

#[test]
fn a_question_that_this_client_gets_answered_otherwise_is_not_surely_blocked() {
    // U3 is sure "if the same server answers other clients": an answer to this one shows the way open.
    let unlucky = conn(C, 53_000, S, 53);
    let lucky = conn(C, 53_001, S, 53);
    let world =
        Script::new().ask(0.0, unlucky, 40).ask(1.0, unlucky, 40).ask(1.5, lucky, 40).answer(1.51, lucky, 90).judge();
    assert_ne!(world.of(unlucky).confidence, "confirmed", "{:?}", world.of(unlucky));
}

#[test]
fn fragments_of_one_request_are_one_request() {
    let c = conn(C, 53_000, S, 88);
    let world = Script::new().ask(0.0, c, 1_472).fragment(0.0001, c, Transport::Udp, 900).judge();
    world.of(c).is("unknown", "udp_single").finding("-");
    let echo = conn(C, 7, S, 7);
    let large = Script::new().talks(-5.0, C, S, 389).ping(0.0, echo);
    let world =
        large.fragment(0.0001, echo, Transport::Icmp, 1_480).fragment(0.0002, echo, Transport::Icmp, 100).judge();
    world.of(echo).not_blocked();
}

#[test]
fn a_resolver_that_answers_this_client_all_the_time_blocks_nothing() {
    // One name that nobody can resolve: the server gives up silently. No filter tells names apart.
    let unlucky = conn(C, 53_000, S, 53);
    let script = (0..20u16).fold(Script::new().ask(5.1, unlucky, 40).ask(6.1, unlucky, 40), |script, n| {
        let lucky = conn(C, 54_000 + n, S, 53);
        script.ask(f64::from(n), lucky, 40).answer(f64::from(n) + 0.01, lucky, 90)
    });
    script.judge().of(unlucky).finding("-");
}

#[test]
fn echo_requests_at_the_end_of_the_capture() {
    let echo = conn(C, 7, S, 7);
    let world =
        Script::new().talks(-5.0, C, S, 389).ping(0.0, echo).ping(0.01, echo).ping(0.02, echo).until(0.03).judge();
    world.of(echo).not_blocked();
}

#[test]
fn ports_used_again_before_the_first_attempt_had_time() {
    let c = smb();
    let again = c.isn(900_000, 9_000);
    let world =
        Script::new().syn(0.0, c).handshake(0.1, again).send(0.2, again, 0, 5, 0).reply(0.3, again, 0, 5, 5).judge();
    let all = world.all(c);
    all[0].not_blocked();
    all[1].is("open", "handshake");
}

#[test]
fn a_challenge_on_ports_still_in_time_wait() {
    // RFC 9293 section 3.10.7.4: the old end answers with an ACK, the client resets it and tries again.
    let c = smb();
    let fresh = c.isn(900_000, 700_000);
    let world = Script::new()
        .handshake(0.0, c)
        .send(0.1, c, 0, 5, 0)
        .fin(0.2, c, From::Client, 5, 0)
        .fin(0.3, c, From::Server, 0, 6)
        .syn(1.0, fresh)
        .tcp(1.001, c, From::Server, ACK, 2, 7, 0)
        .tcp(1.002, c, From::Client, RST, 7, 0, 0)
        .handshake(2.0, fresh)
        .send(2.1, fresh, 0, 5, 0)
        .reply(2.2, fresh, 0, 5, 5)
        .judge();
    for said in world.all(c) {
        said.not_blocked();
    }
}

#[test]
fn a_simultaneous_open_works() {
    let c = conn(C, 50_000, S, 445);
    let back = |script: Script, at: f64, flags: u8, heard: u32| script.tcp(at, c, From::Server, flags, 0, heard, 0);
    let crossed = back(Script::new().syn(0.0, c), 0.001, 2, 0).tcp(0.002, c, From::Client, 18, 0, 1, 0);
    let world = back(crossed, 0.003, 18, 1).send(0.01, c, 0, 5, 0).reply(0.02, c, 0, 5, 5).judge();
    world.of(c).not_blocked();
}

#[test]
fn fast_open_works() {
    // RFC 7413: the SYN carries data, and the SYN-ACK acknowledges it.
    let c = smb();
    let world = Script::new()
        .tcp(0.0, c, From::Client, 2, 0, 0, 100)
        .tcp(0.001, c, From::Server, 18, 0, 101, 0)
        .tcp(0.002, c, From::Client, ACK, 101, 1, 0)
        .reply(0.01, c, 0, 50, 100)
        .judge();
    world.of(c).not_blocked();
}

#[test]
fn a_forged_syn_inside_a_connection_blocks_nothing() {
    let c = smb();
    let forged = c.isn(3_000_000_000, 0);
    let world = Script::new()
        .handshake(0.0, c)
        .send(0.1, c, 0, 5, 0)
        .reply(0.2, c, 0, 5, 5)
        .syn(0.3, forged)
        .tcp(0.301, c, From::Server, ACK, 6, 6, 0)
        .send(0.4, c, 5, 5, 5)
        .reply(0.5, c, 5, 5, 10)
        .judge();
    for said in world.all(c) {
        said.not_blocked();
    }
}

#[test]
fn two_files_with_a_gap_between_them_end_twice() {
    // The first file ends a tenth of a second after the SYN; the second was made an hour later.
    let c = smb();
    let other = conn(C2, 49_000, S, 389);
    let script = |at: f64| {
        Script::new()
            .talks(-5.0, C2, S, 445)
            .syn(at, c)
            .talks(9.99, C2, S, 445)
            .gap(10.0, 3_600.0)
            .input(1)
            .handshake(3_600.0, other)
            .judge()
    };
    script(9.9).of(c).is("unknown", "edge_end").finding("-");
    script(6.9).of(c).is("dropped", "syn_single");
}

#[test]
fn window_probes_are_no_repeats() {
    // The server's window is closed and it says so each time (RFC 9293 section 3.8.6.1).
    let c = smb();
    let talk = Script::new().handshake(0.0, c).send(0.1, c, 0, 1_400, 0).reply(0.2, c, 0, 0, 1_400).window(0);
    let world = (1..=8u8)
        .fold(talk, |script, n| {
            let at = f64::from(n) * 5.0;
            script.send(at, c, 1_400, 1, 0).reply(at + 0.001, c, 0, 0, 1_400).window(0)
        })
        .judge();
    world.of(c).not_blocked();
}

#[test]
fn a_connection_caught_in_the_middle_with_repeats_is_not_stalled() {
    let c = smb();
    let world = Script::new()
        .send(0.0, c, 100, 100, 100)
        .send(0.3, c, 100, 100, 100)
        .send(0.9, c, 100, 100, 100)
        .send(2.1, c, 100, 100, 100)
        .send(4.5, c, 100, 100, 100)
        .judge();
    world.of(c).not_blocked();
}

#[test]
fn a_firewall_that_renumbers_captured_on_both_sides() {
    // Same ports, other sequence numbers: every packet is seen twice, and no copy looks like its original.
    let inside = smb();
    let outside = inside.isn(3_000_000_000, 2_000_000_000);
    let world = Script::new()
        .syn(0.0, inside)
        .syn(0.0003, outside)
        .ttl(127)
        .syn_ack(0.001, outside)
        .syn_ack(0.0013, inside)
        .ttl(127)
        .ack(0.002, inside)
        .ack(0.0023, outside)
        .send(0.01, inside, 0, 100, 0)
        .send(0.0103, outside, 0, 100, 0)
        .reply(0.02, outside, 0, 300, 100)
        .reply(0.0203, inside, 0, 300, 100)
        .fin(0.1, inside, From::Client, 100, 300)
        .fin(0.1003, outside, From::Client, 100, 300)
        .judge();
    for said in world.all(inside) {
        said.not_blocked();
    }
}

#[test]
fn what_expires_for_a_traceroute_is_told_of_nobody_else() {
    let probe = conn(C, 50_000, S, 636);
    let real = conn(C, 50_001, S, 636);
    let expired = Script::new().syn(0.0, probe).ttl(3).icmp(0.01, ROUTER, probe, Transport::Tcp, 11, 0);
    let world = expired.talks(1.0, C, S, 445).syn(2.0, real).syn(3.0, real).syn(5.0, real).judge();
    world.of(probe).is("unknown", "icmp_11_0").finding("-");
    world.of(real).verdict("dropped", "confirmed", "syn_unanswered", "unknown");
    // Where no router says so, a probe is no try either, not even if its host says that the port is closed.
    let world = Script::new().talks(-1.0, C, S, 445).syn(0.0, probe).ttl(3).syn(1.0, probe).ttl(3).judge();
    world.of(probe).is("unknown", "traceroute").finding("-");
    let probe = conn(C, 50_000, S, 33_440);
    let world = Script::new().ask(0.0, probe, 32).ttl(6).icmp(0.01, S, probe, Transport::Udp, 3, 3).judge();
    world.of(probe).is("unknown", "icmp_3_3").finding("-");
}

#[test]
fn a_ping_and_a_traceroute_of_the_same_identifier_are_one_flow() {
    // Windows gives all echo requests the identifier 1.
    let c = conn(C, 1, S, 1);
    let pings = || Script::new().talks(-5.0, C, S, 445).ping(0.0, c).ping(1.0, c).ping(2.0, c);
    let world = pings().ping(3.0, c).ttl(1).icmp(3.01, ROUTER, c, Transport::Icmp, 11, 0).judge();
    world.of(c).not_blocked();
    // What a router says of a whole ping later is heard all the same.
    let first = Script::new().ping(0.0, c).ttl(64).ping(1.0, c).ttl(1).icmp(1.01, ROUTER, c, Transport::Icmp, 11, 0);
    let world = first.ping(2.0, c).ttl(64).icmp(2.01, ROUTER, c, Transport::Icmp, 3, 13).judge();
    world.of(c).is("rejected", "icmp_3_13");
}

#[test]
fn of_many_that_are_asked_one_may_refuse() {
    let c = conn(C, 5_355, "224.0.0.252", 5_355);
    let world = Script::new().ask(0.0, c, 30).icmp(0.01, C2, c, Transport::Udp, 3, 3).judge();
    world.of(c).is("unknown", "one_way_protocol").finding("-");
    // A broadcast that the link layer did not show; a host of that address that speaks is no broadcast.
    let c = conn(C, 137, "10.0.0.255", 137);
    let asked = || Script::new().ask(0.0, c, 50).ask(1.0, c, 50).ask(2.0, c, 50);
    asked().judge().of(c).is("unknown", "one_way_protocol").finding("-");
    asked().talks(-1.0, C2, "10.0.0.255", 445).judge().of(c).verdict(
        "unanswered",
        "probable",
        "udp_unanswered",
        "unknown",
    );
}

#[test]
fn what_was_too_big_was_not_filtered() {
    let c = conn(C, 50_000, S, 88);
    let sent = |script: Script, at: f64| script.ask(at, c, 1_400).icmp(at + 0.01, ROUTER, c, Transport::Udp, 3, 4);
    let world = sent(sent(Script::new(), 0.0), 1.0).judge();
    world.of(c).not_blocked();
    let c = conn(C, 1, S, 1);
    let sent = |script: Script, at: f64| script.ping(at, c).icmp(at + 0.01, ROUTER, c, Transport::Icmp, 3, 4);
    let script = sent(sent(sent(Script::new().talks(-5.0, C, S, 445), 0.0), 1.0), 2.0);
    script.judge().of(c).not_blocked();
}

#[test]
fn a_turn_to_tcp_counts_without_its_handshake() {
    let udp = conn(C, 50_000, S, 88);
    let tcp = conn(C, 50_001, S, 88);
    let asked = || Script::new().ask(0.0, udp, 200).ask(1.0, udp, 200);
    let world = asked().send(1.5, tcp, 0, 200, 0).reply(1.6, tcp, 0, 900, 200).judge();
    world.of(udp).is("open", "udp_fallback");
    // One that began before the question is no turn: whoever asks a directory is connected to it for hours.
    let before = Script::new().handshake(-9.0, tcp).ask(0.0, udp, 200).ask(1.0, udp, 200);
    let before = before.send(1.5, tcp, 0, 200, 0).reply(1.6, tcp, 0, 900, 200).judge();
    before.of(udp).is("unanswered", "udp_unanswered");
    let refused = asked().syn(1.5, tcp).refuse(1.6, tcp).judge();
    refused.of(udp).is("unanswered", "udp_unanswered");
}

#[test]
fn a_server_that_answered_a_moment_before_can_be_reached() {
    let (quick, slow) = (conn(C, 50_000, S, 53), conn(C, 50_001, S, 53));
    let asked = |before: f64| {
        let script = Script::new().ask(-before, quick, 40).answer(0.01 - before, quick, 90);
        script.ask(0.0, slow, 40).ask(1.0, slow, 40).judge()
    };
    asked(0.02).of(slow).is("unknown", "answered_otherwise").finding("-");
    asked(60.0).of(slow).is("unanswered", "udp_unanswered");
}

#[test]
fn two_sensors_that_saw_one_question_saw_no_repeat() {
    let c = conn(C, 50_000, S, 53);
    let world = Script::new().talks(-5.0, C, S, 445).ask(0.0, c, 40).copy(0.45).judge();
    world.of(c).is("unknown", "udp_single").finding("-");
}

#[test]
fn a_host_that_talks_with_a_small_time_to_live_sends_no_probes() {
    let (works, c) = (conn(C, 50_000, S, 445), conn(C, 50_001, S, 389));
    let talks = || {
        let script = Script::new().syn(-9.0, works).ttl(32).syn_ack(-8.9, works).ack(-8.8, works).ttl(32);
        script.send(-8.7, works, 0, 100, 0).ttl(32).reply(-8.6, works, 0, 100, 100)
    };
    let world = talks().syn(0.0, c).ttl(32).syn(1.0, c).ttl(32).syn(3.0, c).ttl(32).judge();
    world.of(c).verdict("dropped", "confirmed", "syn_unanswered", "unknown");
    let world = talks().syn(0.0, c).ttl(32).icmp(0.01, ROUTER, c, Transport::Tcp, 3, 13).judge();
    world.of(c).verdict("rejected", "confirmed", "icmp_3_13", ROUTER);
    talks().syn(0.0, c).ttl(32).judge().of(c).is("dropped", "syn_single");
    // A traceroute's last datagram is answered: that is no connection.
    let (near, far) = (conn(C, 50_002, S, 53), conn(C, 50_003, S, 53));
    let traced = Script::new().ask(-1.0, near, 40).ttl(2).icmp(-0.9, ROUTER, near, Transport::Udp, 11, 0);
    traced.ask(0.0, far, 40).ttl(6).answer(0.1, far, 90).judge().of(near).is("unknown", "icmp_11_0");
    // Over TCP a traceroute meets a RST in the end.
    let probe = Script::new().syn(0.0, c).ttl(10).refuse(0.01, c).judge();
    probe.of(c).is("unknown", "traceroute").finding("-");
}

#[test]
fn a_loop_lets_other_packets_than_pings_expire_at_any_time_to_live() {
    let c = smb();
    let looped = Script::new().syn(0.0, c).ttl(120).ip_id(0).syn(1.0, c).ttl(116).ip_id(0);
    let world = looped.icmp(1.1, ROUTER, c, Transport::Tcp, 11, 0).judge();
    world.of(c).verdict("rejected", "confirmed", "icmp_11_0", ROUTER);
}

#[test]
fn an_address_that_the_site_file_names_is_no_broadcast() {
    let c = conn(C, 50_000, "10.0.0.255", 53);
    let asked = || Script::new().ask(0.0, c, 40).ask(1.0, c, 40).ask(3.0, c, 40);
    asked().judge().of(c).verdict("unknown", "possible", "one_way_protocol", "-");
    let within = asked().site("[hosts]\ndomain-controller = [\"10.0.0.0/24\"]\nclient = [\"10.0.3.0/24\"]\n").judge();
    within.of(c).is("unknown", "one_way_protocol");
    let named = asked().site("[hosts]\ndomain-controller = [\"10.0.0.255\"]\nclient = [\"10.0.3.0/24\"]\n").judge();
    named.of(c).is("unanswered", "udp_unanswered");
    // A router that forbids it knows of no broadcast.
    asked().icmp(3.1, ROUTER, c, Transport::Udp, 3, 13).judge().of(c).is("rejected", "icmp_3_13");
}

#[test]
fn a_syn_ack_that_two_sensors_saw_is_not_repeated() {
    // Without an IP-ID, and so late that it is no copy by its bytes.
    let c = smb();
    let script =
        |again: f64| Script::new().talks(-9.0, C, S, 445).syn(0.0, c).syn_ack(0.01, c).syn_ack(again, c).judge();
    script(0.018).of(c).is("open", "half_open");
    script(1.01).of(c).is("reply_lost", "synack_unacked");
}

#[test]
fn of_two_copies_of_a_reset_the_other_comes_first() {
    // Both sides of a router are mirrored; the reset's copy of the far side was lost.
    let talk = |script: Script, n: u16| {
        let (c, at) = (conn(C, 49_000 + n, S, 445), f64::from(n) - 20.0);
        let script = script.syn(at, c).syn_ack(at + 0.001, c).ttl(128).copy(at + 0.0011).ack(at + 0.002, c);
        script.reply(at + 0.003, c, 0, 100, 0).ttl(128).copy(at + 0.0031).send(at + 0.004, c, 0, 10, 100)
    };
    let talks = || (0..4).fold(Script::new(), talk);
    let c = conn(C, 50_000, S, 3268);
    let reset = |ttl: u8| talks().syn(0.0, c).refuse(0.001, c).ttl(ttl).judge();
    reset(127).of(c).verdict("refused", "possible", "rst_unknown_origin", "unknown");
    reset(64).of(c).verdict("rejected", "probable", "rst_middlebox", "middlebox");
}

#[test]
fn a_reset_captured_a_moment_before_its_syn_refuses_it() {
    let c = smb();
    let early = |ms: f64| Script::new().talks(-9.0, C, S, 445).refuse(-ms / 1000.0, c).syn(0.0, c).judge();
    for ms in [1.2, 49.0] {
        let world = early(ms);
        assert_eq!(world.flows.iter().filter(|said| said.flow.key == world.of(c).flow.key).count(), 1);
        world.of(c).is("refused", "rst_unknown_origin").finding("blocked");
    }
    // Too early, or of another connection.
    let c2 = c.isn(7, 9);
    let other = Script::new().talks(-9.0, C, S, 445).refuse(-0.001, c2).syn(0.0, c).judge();
    for world in [early(60.0), other] {
        assert!(world.flows.iter().all(|said| said.outcome != "refused"));
    }
}
