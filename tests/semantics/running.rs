//! While a capture runs: what the next packets may change is pending, and what they can no more is judged as in a file.

use portolan::model::transport::Transport;

use crate::script::C;
use crate::script::Conn;
use crate::script::ROUTER;
use crate::script::S;
use crate::script::Script;
use crate::script::conn;

fn kerberos() -> Conn {
    conn(C, 50_000, S, 88)
}

fn three_syns() -> Script {
    let c = kerberos();
    Script::new().talks(-5.0, C, S, 445).syn(0.0, c).syn(1.0, c).syn(3.0, c)
}

fn is_pending(script: Script) {
    script.judge().of(kerberos()).verdict("pending", "possible", "edge_end", "-").finding("-");
}

#[test]
fn running_three_syns_wait_for_the_answer_to_the_last() {
    is_pending(three_syns().running(5.9));
    let world = three_syns().running(6.0).judge();
    world.of(kerberos()).verdict("dropped", "confirmed", "syn_unanswered", "unknown").finding("blocked");
}

#[test]
fn running_twin_a_file_that_ends_there_is_judged() {
    let world = three_syns().until(5.9).judge();
    world.of(kerberos()).verdict("dropped", "probable", "syn_unanswered", "unknown").finding("blocked");
}

#[test]
fn running_one_syn_is_too_early() {
    let c = kerberos();
    is_pending(Script::new().talks(-5.0, C, S, 445).syn(0.0, c).running(2.9));
    let world = Script::new().talks(-5.0, C, S, 445).syn(0.0, c).running(3.0).judge();
    world.of(c).verdict("dropped", "possible", "syn_single", "unknown");
}

#[test]
fn running_one_syn_after_which_nothing_came_waits_for_the_mirror() {
    let c = kerberos();
    let tried = || Script::new().talks(-5.0, C, S, 445).syn(0.0, c);
    is_pending(tried().heard(2.9).running(20.0));
    let world = tried().heard(3.0).running(3.0).judge();
    world.of(c).verdict("dropped", "possible", "syn_single", "unknown");
    // At the end nothing comes any more, as in a file that ends there.
    let world = tried().heard(2.9).until(20.0).judge();
    world.of(c).verdict("unknown", "possible", "edge_end", "-").finding("-");
}

#[test]
fn running_twin_repeated_syns_show_that_the_mirror_goes_on() {
    let world = three_syns().heard(3.0).running(6.0).judge();
    world.of(kerberos()).verdict("dropped", "confirmed", "syn_unanswered", "unknown").finding("blocked");
}

#[test]
fn running_a_refusal_waits_for_a_second_try() {
    let c = kerberos();
    let refused = || Script::new().talks(-5.0, C, S, 445).syn(0.0, c).refuse(0.001, c);
    is_pending(refused().running(2.0));
    refused().running(3.1).judge().of(c).finding("blocked");
}

#[test]
fn running_an_icmp_error_waits_for_the_host_itself() {
    let c = kerberos();
    let rejected = || Script::new().talks(-5.0, C, S, 445).syn(0.0, c).icmp(0.01, ROUTER, c, Transport::Tcp, 3, 13);
    is_pending(rejected().running(3.0));
    rejected().running(3.1).judge().of(c).verdict("rejected", "confirmed", "icmp_3_13", ROUTER).finding("blocked");
}

#[test]
fn running_an_unanswered_request_waits_for_tcp() {
    let c = kerberos();
    let asked = || Script::new().talks(-5.0, C, S, 445).ask(0.0, c, 200).ask(2.0, c, 200);
    asked().running(11.9).judge().of(c).verdict("pending", "possible", "edge_end", "-").finding("-");
    asked().running(12.0).judge().of(c).verdict("unanswered", "probable", "udp_unanswered", "unknown");
}

#[test]
fn running_what_works_is_told_at_once() {
    let c = kerberos();
    Script::new().handshake(0.0, c).running(0.1).judge().of(c).verdict("open", "confirmed", "handshake", "-");
}

#[test]
fn running_nobody_waits_behind_a_gap() {
    let c = kerberos();
    // After the gap the capture goes on, and of this flow nothing more can come.
    let world = Script::new().syn(0.0, c).gap(1.0, 60.0).running(61.0).judge();
    world.of(c).verdict("unknown", "possible", "edge_end", "-");
}
