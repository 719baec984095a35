//! Captures that left something out: filters, mirrors of one way, several ways, protection by `IPsec`. What they do not show
//! was not blocked.

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

/// Attempts that nobody repeats: three clients, two servers, every five seconds.
fn single_syns(count: u16) -> Script {
    (0..count).fold(Script::new(), |script, n| {
        let client = [C, C2, "10.0.3.9"][usize::from(n % 3)];
        let server = [S, "10.0.0.11"][usize::from(n % 2)];
        script.syn(
            f64::from(n) * 5.0 - 100.0,
            conn(client, 50_000 + n, server, [88, 389, 445, 3268, 5985][usize::from(n / 6)]),
        )
    })
}

#[test]
fn where_nothing_but_syns_was_captured_one_syn_is_no_block() {
    let world = single_syns(6).judge();
    assert!(world.flows.iter().all(|said| said.reason == "reverse_invisible" && said.finding == "-"));
}

#[test]
fn twins_a_few_a_scan_an_answer_or_repeats() {
    let last = conn("10.0.3.9", 50_002, S, 88);
    single_syns(5).judge().of(last).is("dropped", "syn_single");
    // One answer shows that answers are captured.
    let answered = single_syns(9).talks(-99.0, C, S, 445).judge();
    answered.of(last).is("dropped", "syn_single");
    // Who is not answered repeats.
    let c = conn(C, 51_000, S, 636);
    let repeats = |n: u16| {
        (0..n).fold(single_syns(6), |script, n| {
            let c = conn(C, 51_000 + n, S, 636);
            script.syn(-70.0, c).syn(-69.0, c).syn(-67.0, c)
        })
    };
    repeats(1).judge().of(last).is("dropped", "syn_single");
    // Three tries were heard by nobody, whatever else is missing.
    let alone = |script: Script| script.syn(-70.0, c).syn(-69.0, c).syn(-67.0, c).judge();
    alone(single_syns(30)).of(c).verdict("dropped", "probable", "syn_repeated_oneway", "unknown").finding("blocked");
    // A client that asks hundreds within seconds scans.
    let scan = |script: Script| {
        let ask = |script: Script, n: u16| script.syn(-50.0 + f64::from(n) / 100.0, conn(C, 52_000 + n, S, 1_000 + n));
        (0..120).fold(script, ask)
    };
    scan(Script::new()).judge().of(conn(C, 52_003, S, 1_003)).is("dropped", "syn_single");
    // It changes nothing for the others, and neither does one host that is dead or refuses unseen.
    scan(single_syns(12)).judge().of(last).is("unknown", "reverse_invisible");
    let dead = |gap: f64| {
        let ask = |script: Script, n: u16| {
            let (c, at) = (conn(C, 51_000 + n, S, 636), f64::from(n) * 5.0 - 99.0);
            script.syn(at, c).syn(at + gap, c).syn(at + 2.0 * gap, c)
        };
        (0..8).fold(single_syns(12), ask).judge()
    };
    dead(1.0).of(last).is("unknown", "reverse_invisible");
    dead(0.5).of(last).is("unknown", "reverse_invisible");
    // A router that speaks of one of them is seen.
    let told = single_syns(12).icmp(-99.9, ROUTER, conn(C, 50_000, S, 88), Transport::Tcp, 3, 13).judge();
    told.of(last).is("dropped", "syn_single");
}

#[test]
fn a_reset_that_ends_a_connection_of_which_only_the_syn_is_there_refuses_nothing() {
    let c = conn(C, 50_000, S, 445);
    let world = Script::new().syn(0.0, c).rst(0.3, c, From::Server, 500, 200).talks(-9.0, C, S, 445).judge();
    world.of(c).is("unknown", "bad_reply").finding("-");
    // A client that tries again does not heed it.
    let thrice = Script::new().syn(0.0, c).syn(1.0, c).syn(3.0, c).rst(3.3, c, From::Server, 500, 200);
    thrice.talks(-9.0, C, S, 445).judge().of(c).verdict("dropped", "possible", "syn_unanswered", "unknown");
    let twin = Script::new().syn(0.0, c).refuse(0.3, c).talks(-9.0, C, S, 445).judge();
    twin.of(c).is("refused", "rst_unknown_origin");
}

#[test]
fn where_nothing_goes_on_after_the_answers_a_late_one_is_not_lost() {
    let slow = |n: u16| {
        (0..n).fold(Script::new(), |script, n| {
            let c = conn(C, 50_000 + n, S, 389);
            let at = f64::from(n) * 20.0 - 100.0;
            script.syn(at, c).syn_ack(at + 0.001, c).syn(at + 1.0, c).syn_ack(at + 1.001, c)
        })
    };
    let c = conn(C, 50_000, S, 389);
    slow(3).judge().of(c).is("unknown", "reverse_invisible").finding("-");
    slow(2).judge().of(c).verdict("reply_lost", "possible", "synack_unheard", "unknown");
    // An answer that is not repeated is none of this.
    let once = conn(C, 51_000, S, 445);
    slow(3).syn(-50.0, once).syn_ack(-49.9, once).judge().of(once).is("open", "half_open");
    slow(3).talks(-9.0, C2, S, 445).judge().of(c).is("reply_lost", "synack_unheard");
    let again = slow(3).syn(-97.0, c).syn_ack(-96.999, c);
    again.judge().of(c).is("reply_lost", "synack_unheard");
    // A server that repeats it by itself heard nothing.
    slow(3).syn_ack(-98.0, c).judge().of(c).is("reply_lost", "synack_unheard");
    let unheard = slow(3).syn(-50.0, once).syn_ack(-49.9, once).syn_ack(-48.9, once).judge();
    unheard.of(once).is("reply_lost", "synack_unacked");
}

#[test]
fn where_only_questions_were_captured_silence_over_udp_is_unknown() {
    let polls = |n: u16| {
        (0..n).fold(Script::new(), |script, n| {
            let c = conn(["10.0.3.7", "10.0.3.8", "10.0.3.9"][usize::from(n)], 40_000, S, 53);
            script.ask(-30.0, c, 40).ask(-20.0, c, 40).ask(-10.0, c, 40)
        })
    };
    let c = conn(C, 40_000, S, 53);
    polls(3).judge().of(c).is("unknown", "reverse_invisible").finding("-");
    // Who asks again a second later got no answer, and three servers of one client may be blocked.
    let again = conn(C, 42_000, S, 53);
    polls(3).ask(-30.0, again, 40).ask(-29.0, again, 40).judge().of(again).is("unanswered", "udp_unanswered");
    // Who goes on asking from one port, as forwarders do, asks something new.
    let forwarder = |script: Script| (0..30).fold(script, |script, n| script.ask(f64::from(n) - 40.0, again, 40));
    forwarder(polls(3)).judge().of(again).is("unknown", "reverse_invisible");
    // However few they are: nothing shows that an answer would be captured.
    polls(1).judge().of(c).is("unknown", "reverse_invisible");
    // A datagram that came back, and TCP that came back to this client, show that such things are captured.
    let other = conn(C2, 41_000, "10.0.0.11", 123);
    let datagram = || polls(3).ask(-9.0, other, 48).answer(-8.9, other, 48);
    datagram().judge().of(c).is("unknown", "reverse_invisible");
    datagram().talks(-9.0, C, "10.0.0.11", 445).judge().of(c).is("unanswered", "udp_unanswered");
    polls(3).talks(-9.0, C, "10.0.0.11", 445).judge().of(c).is("unknown", "reverse_invisible");
}

#[test]
fn questions_whose_answers_came_to_or_from_another_address_are_not_unanswered() {
    let asks = |script: Script, c| (0..3).fold(script, |script, n| script.ask(f64::from(n) - 30.0, c, 40));
    let known = || Script::new().talks(-40.0, C, S, 445).talks(-40.0, C2, "10.0.0.11", 445);
    let c = conn(C, 40_000, S, 53);
    asks(known(), c).judge().of(c).is("unanswered", "udp_unanswered");
    // The mirror shows questions before an address translator and answers after it.
    let translated = conn("10.0.9.1", 51_374, S, 53);
    asks(known(), c).answer(-29.9, translated, 80).judge().of(c).is("unknown", "reverse_invisible").finding("-");
    // A server with several addresses answers from another.
    let other = conn(C, 40_000, "10.0.0.11", 53);
    asks(known(), c).answer(-29.9, other, 80).judge().of(c).is("unknown", "reverse_invisible").finding("-");
    // Twin: one answer whose question came before the capture, and others with theirs.
    let met = conn(C2, 41_000, S, 53);
    let twin = asks(known(), c).answer(-49.9, translated, 80).ask(-20.0, met, 40).answer(-19.9, met, 80).judge();
    twin.of(c).is("unanswered", "udp_unanswered");
}

#[test]
fn syns_in_clear_to_a_host_that_speaks_ipsec_are_not_blocked() {
    for (client, server) in [(C, S), (C6, S6)] {
        let (c, esp) = (conn(client, 50_000, server, 445), conn(client, 0, server, 0));
        let tries = |script: Script| script.syn(0.0, c).syn(1.0, c).syn(3.0, c);
        let clear = || Script::new().talks(-20.0, C2, server, 445);
        let protect = |script: Script, from: f64| {
            script.other(from, esp, From::Client, Transport::Esp).other(from + 0.1, esp, From::Server, Transport::Esp)
        };
        tries(protect(clear(), 3.4)).judge().of(c).verdict("unknown", "possible", "inside_ipsec", "-").finding("-");
        protect(clear(), 0.4).syn(0.0, c).judge().of(c).is("unknown", "inside_ipsec");
        // Long over, begun much later, all the time, one way only.
        tries(protect(clear(), -40.0)).judge().of(c).is("dropped", "syn_unanswered");
        tries(protect(clear(), 40.0)).judge().of(c).is("dropped", "syn_unanswered");
        tries(protect(protect(clear(), -9.0), 2.0)).judge().of(c).is("dropped", "syn_unanswered");
        tries(clear().other(1.0, esp, From::Client, Transport::Esp)).judge().of(c).is("dropped", "syn_unanswered");
    }
}

/// A client that repeats its SYN like that.
fn repeated(script: Script, c: Conn, gaps: [f64; 2]) -> Script {
    script.syn(0.0, c).syn(gaps[0], c).syn(gaps[0] + gaps[1], c)
}

#[test]
fn a_client_that_repeats_each_half_second_may_be_refused_where_nobody_sees_it() {
    let c = conn(C, 50_000, S, 3268);
    let half = |script: Script| {
        let way = conn(C, 49_000, S, 445);
        script.syn(-9.0, way).ack(-8.9, way).send(-8.8, way, 0, 100, 0).send(-8.7, way, 100, 100, 500)
    };
    let others = |script: Script| (0..9).fold(script, |script, n| script.talks(-90.0 + f64::from(n), C2, S, 445));
    let unseen = |gaps| repeated(half(others(Script::new())), c, gaps).judge();
    unseen([0.5, 0.5]).of(c).is("unknown", "reverse_invisible").finding("-");
    unseen([1.0, 2.0]).of(c).is("dropped", "syn_repeated_oneway");
    let seen = |gaps| repeated(others(Script::new()), c, gaps).judge();
    seen([0.5, 0.5]).of(c).verdict("dropped", "possible", "syn_unanswered", "unknown");
    seen([0.4, 0.8]).of(c).verdict("dropped", "confirmed", "syn_unanswered", "unknown");
    seen([1.0, 1.0]).of(c).verdict("dropped", "confirmed", "syn_unanswered", "unknown");
}

#[test]
fn where_a_pair_has_several_ways_one_that_is_seen_shows_nothing_of_another() {
    let c = conn(C, 50_000, S, 88);
    let way = conn(C, 49_000, S, 445);
    let ways = |at: f64| {
        let script = Script::new().syn(at, way).ack(at + 0.1, way).send(at + 0.2, way, 0, 100, 0);
        let others = (0..9).fold(script, |script, n| script.talks(-200.0 + f64::from(n), C2, S, 445));
        others.talks(9.0, C, S, 445)
    };
    ways(-9.0).syn(0.0, c).judge().of(c).is("unknown", "reverse_invisible");
    let three = ways(-9.0).syn(0.0, c).syn(1.0, c).syn(3.0, c).judge();
    three.of(c).verdict("dropped", "probable", "syn_repeated_oneway", "unknown");
    // A minute after, or before, what comes back may be believed.
    ways(-70.0).syn(0.0, c).judge().of(c).is("dropped", "syn_single");
    ways(70.0).talks(71.0, C, S, 445).syn(0.0, c).judge().of(c).is("dropped", "syn_single");
}

#[test]
fn echo_on_one_of_several_ways_is_no_block() {
    let (ping, way) = (conn(C, 7, S, 0), conn(C, 49_000, S, 445));
    let pings = |script: Script| script.ping(0.0, ping).ping(1.0, ping).ping(2.0, ping).talks(3.0, C, S, 445);
    pings(Script::new()).judge().of(ping).is("unanswered", "echo_unanswered");
    let ways = pings(Script::new()).syn(-9.0, way).ack(-8.9, way).send(-8.8, way, 0, 100, 0);
    let world = (0..9).fold(ways, |script, n| script.talks(-90.0 + f64::from(n), C2, S, 445)).judge();
    world.of(ping).is("unknown", "no_reply_known").finding("-");
}

#[test]
fn a_host_that_does_not_answer_itself_is_not_filtered() {
    let c = conn(C, 137, C, 137);
    let world = Script::new().talks(-9.0, C, S, 445).talks(-8.0, C2, C, 445).ask(0.0, c, 68).ask(1.5, c, 68).judge();
    world.of(c).is("unknown", "no_reply_known").finding("-");
}
