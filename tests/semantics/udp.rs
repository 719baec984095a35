//! Datagrams and echo: U1 to U10, I1.

use portolan::model::app::AppProto;
use portolan::model::transport::Transport;

use crate::samples::samples;
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
use crate::spoken::OWN;
use crate::spoken::datagrams;
use crate::spoken::judged;

fn dns() -> Conn {
    conn(C, 53_000, S, 53)
}

fn twice(c: Conn) -> Script {
    Script::new().ask(0.0, c, 40).ask(1.0, c, 40)
}

#[test]
fn u1_a_reply_is_open() {
    for c in [dns(), conn(C6, 53_000, S6, 53)] {
        let world = Script::new().ask(0.0, c, 40).answer(0.01, c, 90).judge();
        world.of(c).verdict("open", "confirmed", "udp_reply", "-").shows(&[1, 2]).finding("-");
    }
    assert_eq!(twice(dns()).judge().of(dns()).outcome, "unanswered");
}

#[test]
fn u2_a_reply_from_another_port_is_related() {
    let site = "[hosts]\nremote-installation-server = [\"10.0.0.10\"]\n";
    let asked = conn(C, 53_000, S, 69);
    let data = conn(C, 53_000, S, 49_500);
    let requests = || Script::new().site(site).ask(0.0, asked, 40).ask(1.0, asked, 40);
    let world = requests().answer(1.01, data, 516).ask(1.02, data, 4).judge();
    world.of(asked).is("open", "related").note("related").shows(&[1, 2]).standing("expected").finding("-");
    world.of(data).is("open", "udp_reply");
    // Another client port is another transfer.
    let twin = requests().answer(1.01, conn(C, 53_001, S, 49_500), 516).judge();
    twin.of(asked).verdict("unanswered", "probable", "udp_unanswered", "unknown").finding("blocked");
    // DNS replies come from port 53 or not at all.
    let twin = twice(dns()).answer(1.01, data, 90).judge();
    assert_eq!(twin.of(dns()).outcome, "unanswered");
}

#[test]
fn u2_the_reply_from_another_port_is_no_surprise_either() {
    // Table 1d: related connections stand as their parent does.
    let site = "[hosts]\nremote-installation-server = [\"10.0.0.10\"]\nclient = [\"10.0.3.0/24\"]\n";
    let asked = conn(C, 53_000, S, 69);
    let data = conn(C, 53_000, S, 2_999);
    let world = Script::new().site(site).ask(0.0, asked, 40).answer(0.01, data, 516).ask(0.02, data, 4).judge();
    world.of(asked).standing("expected").finding("-");
    world.of(data).finding("-");
}

#[test]
fn u3_two_requests_without_a_reply_are_unanswered() {
    for (port, wait) in
        [(53, 5.0), (88, 5.0), (464, 5.0), (389, 3.0), (123, 8.0), (161, 10.0), (500, 10.0), (137, 10.0)]
    {
        let c = conn(C, 53_000, S, port);
        let requests = |until: f64| Script::new().ask(0.0, c, 40).lead(0x1b).ask(1.0, c, 40).until(until).judge();
        let world = requests(1.0 + wait + 0.1);
        world.of(c).verdict("unanswered", "probable", "udp_unanswered", "unknown").shows(&[1, 2]);
        requests(1.0 + wait - 0.1).of(c).is("unknown", "edge_end").finding("-");
    }
    twice(dns()).judge().of(dns()).finding("blocked");
}

#[test]
fn u3_is_sure_if_the_server_answers_others() {
    let other = conn(C2, 53_000, S, 53);
    let world = twice(dns()).ask(2.0, other, 40).answer(2.01, other, 90).judge();
    world.of(dns()).verdict("unanswered", "confirmed", "udp_unanswered", "unknown").finding("blocked");
    let another_port = conn(C2, 53_000, S, 389);
    let twin = twice(dns()).ask(2.0, another_port, 40).answer(2.01, another_port, 90).judge();
    twin.of(dns()).verdict("unanswered", "probable", "udp_unanswered", "unknown");
}

#[test]
fn u3_twins_one_request_or_no_rule_of_reply() {
    let world = Script::new().ask(0.0, dns(), 40).judge();
    world.of(dns()).is("unknown", "udp_single").finding("-");
    let unknown_port = conn(C, 53_000, S, 999);
    twice(unknown_port).judge().of(unknown_port).is("unknown", "no_reply_known").finding("-");
}

#[test]
fn u4_what_then_works_over_tcp_is_a_fallback() {
    for port in [53, 88, 464, 389] {
        let c = conn(C, 53_000, S, port);
        let script = |at: f64| twice(c).handshake(at, conn(C, 54_000, S, port)).judge();
        script(10.9).of(conn(C, 54_000, S, port)).is("open", "handshake");
        let world = script(10.9);
        let udp = world.flows.iter().find(|said| said.ends.transport == Transport::Udp).unwrap();
        udp.is("open", "udp_fallback").note("udp_fallback").finding("-");
        let twin = script(11.1);
        let udp = twin.flows.iter().find(|said| said.ends.transport == Transport::Udp).unwrap();
        udp.is("unanswered", "udp_unanswered").no_note("udp_fallback");
    }
}

#[test]
fn u4_twins_tcp_that_fails_or_is_anothers_is_no_fallback() {
    let refused = conn(C, 54_000, S, 53);
    let world = twice(dns()).syn(2.0, refused).refuse(2.001, refused).judge();
    world.of(dns()).is("unanswered", "udp_unanswered");
    let anothers = conn(C2, 54_000, S, 53);
    let world = twice(dns()).handshake(2.0, anothers).judge();
    assert_eq!(world.of(dns()).outcome, "unanswered");
    // SNMP has no twin over TCP.
    let snmp = conn(C, 53_000, S, 161);
    let world = twice(snmp).handshake(2.0, conn(C, 54_000, S, 161)).judge();
    assert_eq!(world.flows[0].outcome, "unanswered");
}

#[test]
fn u5_what_is_never_answered_is_not_judged() {
    for port in [162, 138, 1900] {
        let c = conn(C, 53_000, S, port);
        let world = twice(c).ask(2.0, c, 40).judge();
        let said = world.of(c);
        said.is("unknown", "one_way_protocol").standing("not_judged: one_way_protocol").finding("-");
    }
}

#[test]
fn u5_what_goes_to_many_is_not_judged() {
    for (client, group) in [(C, "224.0.0.252"), (C, "255.255.255.255"), (C6, "ff02::1:3")] {
        let c = conn(client, 53_000, group, 53);
        let world = twice(c).judge();
        world.of(c).is("unknown", "one_way_protocol").standing("not_judged: one_way_protocol").finding("-");
    }
    // The link says that it is a broadcast, the address does not.
    let subnet = conn(C, 137, "10.0.0.255", 137);
    let world = Script::new().ask(0.0, subnet, 50).broadcast().ask(1.0, subnet, 50).broadcast().judge();
    world.of(subnet).is("unknown", "one_way_protocol").note("group").finding("-");
    let twin = Script::new().ask(0.0, conn(C, 137, S, 137), 50).ask(1.0, conn(C, 137, S, 137), 50).judge();
    assert_eq!(twin.of(conn(C, 137, S, 137)).outcome, "unanswered");
}

#[test]
fn u6_port_unreachable_of_the_target_refuses() {
    for (client, server, kind, code) in [(C, S, 3, 3), (C6, S6, 1, 4)] {
        let c = conn(client, 53_000, server, 53);
        let world = Script::new().ask(0.0, c, 40).icmp(0.01, server, c, Transport::Udp, kind, code).judge();
        world.of(c).verdict("refused", "confirmed", "icmp_closed", "host").shows(&[1, 2]).finding("blocked");
    }
    let c = dns();
    let twin = Script::new().ask(0.0, c, 40).icmp(0.01, S, c, Transport::Udp, 3, 3).answer(0.5, c, 90).judge();
    twin.of(c).is("open", "udp_reply").note("soft_error").finding("-");
}

#[test]
fn u7_an_error_of_another_address_rejects() {
    for (client, server, router, kind, code, reason) in [
        (C, S, ROUTER, 3, 3, "icmp_3_3"),
        (C, S, ROUTER, 3, 13, "icmp_3_13"),
        (C6, S6, ROUTER6, 1, 4, "icmp_1_4"),
        (C6, S6, ROUTER6, 1, 0, "icmp_1_0"),
    ] {
        let c = conn(client, 53_000, server, 53);
        let world = Script::new().ask(0.0, c, 40).icmp(0.01, router, c, Transport::Udp, kind, code).judge();
        world.of(c).verdict("rejected", "confirmed", reason, router).shows(&[1, 2]).finding("blocked");
    }
    let c = dns();
    let twin = Script::new().ask(0.0, c, 40).icmp(0.01, ROUTER, conn(C, 53_001, S, 53), Transport::Udp, 3, 13).judge();
    twin.of(c).is("unknown", "udp_single");
    assert_eq!(twin.counters.icmp_unmatched, 1);
}

#[test]
fn u8_an_answer_is_an_answer_whatever_it_says() {
    // A truncated DNS answer (TC) or a Kerberos error is a reply: the network works.
    let c = conn(C, 53_000, S, 88);
    let world = Script::new().ask(0.0, c, 220).answer(0.01, c, 110).lead(0x7e).judge();
    world.of(c).is("open", "udp_reply").finding("-");
    // With its payload the error has a note: the network works, the client was told no.
    let says = |proto: AppProto, title: &str| {
        let sample = samples().into_iter().find(|sample| sample.proto == proto && sample.title == title);
        sample.unwrap().bytes
    };
    let asks = says(AppProto::Kerberos, "AS-REQ (lab)");
    let told_no = says(AppProto::Kerberos, "KRB-ERROR: preauthentication required (lab)");
    let world = judged(&datagrams(OWN, 88, &asks, &told_no));
    world.of(conn(C, OWN, S, 88)).is("open", "udp_reply").finding("-").note("app_error");
    let query = says(AppProto::Dns, "query (lab)");
    let no_such_name = says(AppProto::Dns, "no such name");
    judged(&datagrams(OWN, 53, &query, &no_such_name))
        .of(conn(C, OWN, S, 53))
        .is("open", "udp_reply")
        .note("app_error");
    // Twin: an answer without error.
    let answer = says(AppProto::Dns, "answer (lab)");
    judged(&datagrams(OWN, 53, &query, &answer)).of(conn(C, OWN, S, 53)).is("open", "udp_reply").no_note("app_error");
}

#[test]
fn u9_only_the_server_was_captured() {
    let c = dns();
    let world = Script::new().answer(0.0, c, 90).answer(1.0, c, 90).judge();
    world.of(c).is("one_way", "oneway_s2c").shows(&[1, 2]).dir("catalogue_port", C).finding("-");
}

#[test]
fn u10_ntp_direction_is_told_by_its_mode() {
    let c = conn(C, 123, S, 123);
    // Version 4: client 0x23, server 0x24. The reply was captured first.
    let world = Script::new().answer(0.0, c, 48).lead(0x24).ask(1.0, c, 48).lead(0x23).judge();
    world.of(c).is("open", "udp_reply").dir("ntp_mode", C).standing("expected");
    let only_reply = Script::new().answer(0.0, c, 48).lead(0x24).answer(64.0, c, 48).lead(0x24).judge();
    only_reply.of(c).is("one_way", "oneway_s2c").dir("ntp_mode", C).finding("-");
    let only_request =
        Script::new().talks(-9.0, C, S, 445).ask(-5.0, conn(C2, 9, S, 53), 40).answer(-4.9, conn(C2, 9, S, 53), 80);
    let only_request = only_request.ask(0.0, c, 48).lead(0x1b).ask(64.0, c, 48).lead(0x1b).judge();
    only_request.of(c).is("unanswered", "udp_unanswered").dir("ntp_mode", C).finding("blocked");
    // Symmetric peers: who spoke first.
    let peers = Script::new().answer(0.0, c, 48).lead(0x21).ask(1.0, c, 48).lead(0x22).judge();
    peers.of(c).is("open", "udp_reply").dir("first_packet", S);
}

#[test]
fn i1_echo_into_silence_is_possible_where_the_pair_works() {
    let echo = conn(C, 7, S, 7);
    let pings = || Script::new().ping(0.0, echo).ping(1.0, echo).ping(2.0, echo);
    let world = pings().talks(-5.0, C, S, 389).judge();
    world.of(echo).verdict("unanswered", "possible", "echo_unanswered", "unknown").shows(&[1, 3]);
    pings().judge().of(echo).is("unknown", "no_reply_known").finding("-");
    let two = Script::new().ping(0.0, echo).ping(1.0, echo).talks(-5.0, C, S, 389).judge();
    two.of(echo).is("unknown", "no_reply_known").finding("-");
    let answered = pings().pong(2.01, echo).talks(-5.0, C, S, 389).judge();
    answered.of(echo).is("open", "both_ways").finding("-");
}

#[test]
fn silence_of_five_minutes_splits_a_conversation() {
    let c = dns();
    let script = |pause: f64| {
        Script::new().ask(0.0, c, 40).answer(0.01, c, 90).ask(0.01 + pause, c, 40).ask(1.0 + pause, c, 40).judge()
    };
    let one = script(299.0);
    one.of(c).is("open", "udp_reply");
    let two = script(301.0);
    let all = two.all(c);
    assert_eq!(all.len(), 2);
    all[0].is("open", "udp_reply");
    assert_eq!((all[0].flow.packets.iter().sum::<u64>(), all[1].flow.packets.iter().sum::<u64>()), (2, 2));
}
