//! Established, and then silence: T21.

use portolan::flow::record::ACK;
use portolan::model::transport::Transport;

use crate::script::C;
use crate::script::C6;
use crate::script::Conn;
use crate::script::From;
use crate::script::ROUTER;
use crate::script::ROUTER6;
use crate::script::S;
use crate::script::S6;
use crate::script::Script;
use crate::script::conn;

fn smb() -> Conn {
    conn(C, 50_000, S, 445)
}

/// The handshake, then the same bytes four times.
fn repeats(c: Conn) -> Script {
    Script::new()
        .handshake(0.0, c)
        .send(0.01, c, 0, 1_400, 0)
        .send(0.3, c, 0, 1_400, 0)
        .send(0.9, c, 0, 1_400, 0)
        .send(2.1, c, 0, 1_400, 0)
}

#[test]
fn t21_data_repeated_into_silence_is_stalled() {
    for c in [smb(), smb().isn(u32::MAX - 700, 5), conn(C6, 50_000, S6, 445)] {
        let world = repeats(c).judge();
        world
            .of(c)
            .verdict("stalled", "probable", "no_ack_after_setup", "unknown")
            .shows(&[1, 2, 7])
            .finding("blocked");
    }
}

#[test]
fn t21_an_error_that_says_too_big_makes_it_sure() {
    for (client, server, router, kind, code) in [(C, S, ROUTER, 3, 4), (C6, S6, ROUTER6, 2, 0)] {
        let c = conn(client, 50_000, server, 445);
        let world = repeats(c).icmp(2.2, router, c, Transport::Tcp, kind, code).quoting(1_001).judge();
        world.of(c).verdict("stalled", "confirmed", "no_ack_after_setup", "unknown").note("mtu").finding("blocked");
    }
}

#[test]
fn t21_repeats_up_to_the_last_frame_are_stalled_if_they_took_long() {
    // The later repeats prove that the earlier ones were not answered.
    let c = smb();
    let script = || repeats(c).send(4.5, c, 0, 1_400, 0);
    script().until(4.5).judge().of(c).verdict("stalled", "probable", "no_ack_after_setup", "unknown");
    repeats(c).until(2.1).judge().of(c).not_blocked();
}

#[test]
fn t21_also_in_the_middle_of_a_conversation() {
    let c = smb();
    let world = Script::new()
        .handshake(0.0, c)
        .send(0.01, c, 0, 100, 0)
        .reply(0.02, c, 0, 100, 100)
        .send(5.0, c, 100, 100, 100)
        .send(5.3, c, 100, 100, 100)
        .send(5.9, c, 100, 100, 100)
        .send(7.1, c, 100, 100, 100)
        .rst(9.5, c, From::Client, 200, 100)
        .judge();
    world.of(c).verdict("stalled", "probable", "no_ack_after_setup", "unknown").shows(&[1, 2, 5]);
}

#[test]
fn t21_twin_the_server_answers_late() {
    let c = smb();
    let world = repeats(c).reply(4.5, c, 0, 60, 1_400).judge();
    world.of(c).verdict("open", "confirmed", "handshake", "-").finding("-");
    let only_ack = repeats(c).reply(4.5, c, 0, 0, 1_400).judge();
    only_ack.of(c).not_blocked();
}

#[test]
fn t21_twin_two_repeats_are_too_few() {
    let c = smb();
    let world = Script::new()
        .handshake(0.0, c)
        .send(0.01, c, 0, 1_400, 0)
        .send(0.3, c, 0, 1_400, 0)
        .send(0.9, c, 0, 1_400, 0)
        .judge();
    world.of(c).not_blocked();
    assert_eq!(world.of(c).flow.retransmits.iter().sum::<u16>(), 2);
}

#[test]
fn t21_twin_keep_alives_are_no_repeats() {
    let c = smb();
    let talk = Script::new().handshake(0.0, c).send(0.1, c, 0, 500, 0).reply(0.2, c, 0, 500, 500);
    let one_byte = (1u8..=10).fold(talk, |script, n| script.send(f64::from(n) * 30.0, c, 499, 1, 500));
    let world = one_byte.judge();
    world.of(c).verdict("open", "confirmed", "handshake", "-");
    assert_eq!(world.of(c).flow.retransmits, [0, 0]);
    let talk = Script::new().handshake(0.0, c).send(0.1, c, 0, 500, 0).reply(0.2, c, 0, 500, 500);
    let empty = (1u8..=10).fold(talk, |script, n| script.send(f64::from(n) * 30.0, c, 499, 0, 500));
    let world = empty.judge();
    world.of(c).verdict("open", "confirmed", "handshake", "-");
    assert_eq!(world.of(c).flow.retransmits, [0, 0]);
}

#[test]
fn t21_twin_copies_are_no_repeats() {
    let c = smb();
    let world = Script::new()
        .handshake(0.0, c)
        .send(0.01, c, 0, 1_400, 0)
        .copy(0.011)
        .copy(0.012)
        .copy(0.013)
        .copy(0.014)
        .judge();
    world.of(c).not_blocked();
    assert_eq!(world.of(c).flow.retransmits, [0, 0]);
    assert_eq!(world.counters.duplicates, 4);
}

#[test]
fn a_burst_that_is_repeated_at_once_is_no_stall() {
    // Three segments sent again within a millisecond, whose acknowledgement the capture lost; then nobody speaks.
    let c = smb();
    let sent = Script::new().handshake(0.0, c).send(0.01, c, 0, 1_400, 0).send(0.011, c, 1_400, 1_400, 0);
    let sent = sent.send(0.012, c, 2_800, 1_400, 0).reply(0.02, c, 0, 10, 0);
    let again = sent.send(0.03, c, 0, 1_400, 10).send(0.0301, c, 1_400, 1_400, 10).send(0.0302, c, 2_800, 1_400, 10);
    again.judge().of(c).is("open", "handshake");
}

#[test]
fn t21_twin_new_data_shows_that_the_client_is_heard() {
    // The way back is not captured any more. An upload that goes on, with a segment sent again now and then.
    let c = smb();
    let upload = |script: Script| {
        (0..4u32).fold(script, |script, n| {
            let (at, data) = (0.1 + f64::from(n), n * 40_000);
            let sent = script.send(at, c, data, 20_000, 100).send(at + 0.01, c, data + 20_000, 20_000, 100);
            sent.send(at + 0.5, c, data, 20_000, 100)
        })
    };
    let begin = || Script::new().handshake(0.0, c).reply(0.01, c, 0, 100, 0);
    upload(begin()).judge().of(c).is("open", "handshake").finding("-");
    // What was sent last is what nobody acknowledges.
    let repeats = (0..3u8).fold(upload(begin()), |script, n| script.send(5.0 + f64::from(n), c, 140_000, 20_000, 100));
    repeats.judge().of(c).is("stalled", "no_ack_after_setup");
    // Little may be sent without.
    let little = (0..4u32).fold(begin(), |script, n| {
        let at = 0.1 + f64::from(n);
        script.send(at, c, n * 100, 100, 100).send(at + 0.5, c, 0, 100, 100)
    });
    little.judge().of(c).is("stalled", "no_ack_after_setup");
}

#[test]
fn t21b_a_server_that_repeats_its_syn_ack_heard_nothing_since() {
    // Only SYNs pass: a filter that sees one direction holds everything else for out of state.
    let c = smb();
    let asked = || {
        let sent = Script::new().handshake(0.0, c).send(0.01, c, 0, 200, 0).send(0.3, c, 0, 200, 0);
        sent.syn_ack(1.0, c).ack(1.001, c).send(1.2, c, 0, 200, 0).syn_ack(3.0, c).ack(3.001, c)
    };
    let world = asked().send(3.2, c, 0, 200, 0).until(9.0).judge();
    world.of(c).verdict("stalled", "probable", "synack_unacked", "unknown").finding("blocked");
    // Twin: at last it hears, and acknowledges.
    asked().tcp(4.0, c, From::Server, ACK, 1, 201, 0).until(9.0).judge().of(c).is("open", "handshake");
    // Twin: a server that waits for data before it accepts (TCP_DEFER_ACCEPT), and a client that sends none.
    let silent = Script::new().handshake(0.0, c).syn_ack(1.0, c).ack(1.001, c).syn_ack(3.0, c).ack(3.001, c);
    silent.until(9.0).judge().of(c).not_blocked();
}

#[test]
fn t21c_answers_that_are_never_acknowledged_do_not_arrive() {
    let c = smb();
    let answers = |times: &[f64]| {
        let asked = Script::new().handshake(0.0, c).send(0.01, c, 0, 200, 0);
        times.iter().fold(asked, |script, at| script.reply(*at, c, 0, 1_400, 200))
    };
    let vain = || answers(&[0.02, 0.3, 0.9, 2.1, 4.5]);
    vain().judge().of(c).verdict("stalled", "probable", "answer_unacked", "unknown").finding("blocked");
    // The client asks again, for it has not even heard that it was heard.
    let both = vain().send(5.0, c, 0, 200, 0).reply(5.1, c, 0, 1_400, 200).judge();
    both.of(c).verdict("stalled", "probable", "answer_unacked", "unknown");
    // Twins: it acknowledges in the end; it was soon over; the client had gone.
    vain().tcp(6.0, c, From::Client, ACK, 201, 1_401, 0).judge().of(c).is("open", "handshake");
    answers(&[0.02, 0.1, 0.2, 0.3]).judge().of(c).not_blocked();
    let gone = Script::new().handshake(0.0, c).send(0.01, c, 0, 200, 0).rst(0.015, c, From::Client, 200, 0);
    let gone = [0.02, 0.3, 0.9, 2.1, 4.5].iter().fold(gone, |script, at| script.reply(*at, c, 0, 1_400, 200));
    gone.judge().of(c).not_blocked();
}

#[test]
fn t21d_an_error_after_the_servers_last_word_names_who_forbids_it() {
    let c = smb();
    let told = repeats(c).icmp(2.2, ROUTER, c, Transport::Tcp, 3, 13).quoting(1_001).judge();
    told.of(c).verdict("rejected", "confirmed", "icmp_3_13", ROUTER).finding("blocked");
}
