//! What the documents say of a flow: table 1d.

use portolan::model::transport::Transport;

use crate::script::C;
use crate::script::C2;
use crate::script::Conn;
use crate::script::From;
use crate::script::S;
use crate::script::Script;
use crate::script::World;
use crate::script::conn;

const S2: &str = "10.0.0.11";
const STRANGER: &str = "203.0.113.5";
const UNKNOWN: &str = "192.0.2.9";

fn works(script: Script, c: Conn) -> World {
    script.handshake(0.0, c).send(0.01, c, 0, 10, 0).reply(0.02, c, 0, 10, 10).judge()
}

fn fails(script: Script, c: Conn) -> World {
    script.syn(0.0, c).syn(1.0, c).syn(3.0, c).judge()
}

#[test]
fn a_row_for_these_roles_and_port_is_expected() {
    let c = conn(C, 50_000, S, 88);
    works(Script::new(), c).of(c).standing("expected").row("modern-windows/kerberos").finding("-");
    fails(Script::new(), c).of(c).standing("expected").finding("blocked");
}

#[test]
fn only_a_range_is_expected_range() {
    let c = conn(C, 50_000, S, 49_700);
    works(Script::new(), c).of(c).standing("expected_range").row("modern-windows/rpc-dynamic").finding("range_only");
    fails(Script::new(), c).of(c).standing("expected_range").finding("blocked");
}

#[test]
fn a_known_port_between_other_roles_is_unexpected() {
    let c = conn(C, 50_000, C2, 445);
    works(Script::new(), c).of(c).standing("unexpected: role_pair").finding("unexpected");
    fails(Script::new(), c).of(c).standing("unexpected: role_pair").finding("attempt");
}

#[test]
fn the_other_way_round_is_unexpected() {
    let c = conn(S, 50_000, C, 389);
    works(Script::new(), c).of(c).standing("unexpected: direction").finding("unexpected");
    let twin = conn(C, 50_000, S, 389);
    works(Script::new(), twin).of(twin).standing("expected").finding("-");
    let between_controllers = conn(S, 50_000, S2, 389);
    works(Script::new(), between_controllers).of(between_controllers).standing("expected").finding("-");
}

#[test]
fn no_row_to_a_server_is_unexpected() {
    let c = conn(C, 50_000, S, 999);
    works(Script::new(), c).of(c).standing("unexpected: no_row").finding("unexpected");
    fails(Script::new(), c).of(c).standing("unexpected: no_row").finding("attempt");
    let telnet = conn(C, 50_000, S, 23);
    works(Script::new(), telnet).of(telnet).finding("unexpected");
}

#[test]
fn no_row_from_a_domain_controller_is_unexpected() {
    let c = conn(S, 50_000, STRANGER, 999);
    works(Script::new(), c).of(c).standing("unexpected: no_row").finding("unexpected");
    let twin = conn(C, 50_000, STRANGER, 999);
    works(Script::new(), twin).of(twin).standing("uncatalogued").finding("-");
}

#[test]
fn a_domain_controller_may_ask_an_unknown_host_inside_for_what_a_row_allows() {
    // For updates: a row allows it to a host of a role that this one may have.
    for port in [8530, 1688, 135] {
        let c = conn(S, 50_000, "10.0.0.40", port);
        works(Script::new(), c).of(c).standing("not_judged: role_unknown").finding("-");
        let outside = conn(S, 50_000, STRANGER, port);
        works(Script::new(), outside).of(outside).standing("unexpected: no_row").finding("unexpected");
    }
}

#[test]
fn a_client_that_browses_is_no_finding() {
    for port in [80, 443] {
        let c = conn(C, 50_000, STRANGER, port);
        works(Script::new(), c).of(c).finding("-");
        fails(Script::new(), c).of(c).finding("-");
    }
    let quic = conn(C, 50_000, STRANGER, 443);
    Script::new().ask(0.0, quic, 1_200).ask(1.0, quic, 1_200).judge().of(quic).finding("-");
}

#[test]
fn without_a_role_nothing_is_judged() {
    let c = conn(UNKNOWN, 50_000, STRANGER, 445);
    works(Script::new(), c).of(c).standing("not_judged: role_unknown").finding("-");
    fails(Script::new(), c).of(c).standing("not_judged: role_unknown").finding("-");
    let to_unknown = conn(C, 50_000, STRANGER, 389);
    fails(Script::new(), to_unknown).of(to_unknown).finding("-");
}

#[test]
fn strict_calls_everything_without_a_row_unexpected() {
    let c = conn(UNKNOWN, 50_000, STRANGER, 999);
    works(Script::new(), c).of(c).standing("uncatalogued").finding("-");
    works(Script::new().strict(), c).of(c).standing("unexpected: no_row").finding("unexpected");
    let row = conn(C, 50_000, S, 88);
    works(Script::new().strict(), row).of(row).standing("expected").finding("-");
}

#[test]
fn an_exception_of_the_site_is_not_judged() {
    let site = |until: &str| {
        format!(
            "[hosts]\ndomain-controller = [\"10.0.0.10\"]\nclient = [\"10.0.3.0/24\"]\n\
             [[exception]]\nfrom = \"10.0.3.7\"\nto = \"10.0.0.10\"\nports = [\"tcp/999\"]\nreason = \"old\"\n{until}"
        )
    };
    let c = conn(C, 50_000, S, 999);
    let said = works(Script::new().site(&site("")), c);
    said.of(c).standing("not_judged: site_exception").finding("-");
    works(Script::new().site(&site("until = \"2001-01-01\"")), c).of(c).standing("unexpected: no_row");
    let other_port = conn(C, 50_000, S, 998);
    works(Script::new().site(&site("")), other_port).of(other_port).standing("unexpected: no_row");
    let other_host = conn(C2, 50_000, S, 999);
    works(Script::new().site(&site("")), other_host).of(other_host).standing("unexpected: no_row");
}

#[test]
fn rows_of_the_site_allow_and_are_blocked_like_any() {
    let site = "[hosts]\ndomain-controller = [\"10.0.0.10\"]\nclient = [\"10.0.3.0/24\"]\n\
                [[row]]\nid = \"backup\"\nfrom = \"client\"\nto = \"domain-controller\"\nports = [\"tcp/999\"]\n\
                purpose = \"backup agent\"\ndocument = \"change 4711\"\n";
    let c = conn(C, 50_000, S, 999);
    works(Script::new().site(site), c).of(c).standing("expected").row("site/backup").finding("-");
    fails(Script::new().site(site), c).of(c).standing("expected").finding("blocked");
}

#[test]
fn exchange_and_domain_controllers_may_do_anything_between_them() {
    let site = "[hosts]\ndomain-controller = [\"10.0.0.10\"]\nexchange-server = [\"10.0.5.1\", \"10.0.5.2\"]\n";
    for c in [
        conn("10.0.5.1", 50_000, S, 999),
        conn(S, 50_000, "10.0.5.1", 999),
        conn("10.0.5.1", 50_000, "10.0.5.2", 7_777),
    ] {
        works(Script::new().site(site), c).of(c).standing("expected").finding("-");
    }
    let twin = conn("10.0.5.1", 50_000, STRANGER, 999);
    assert_eq!(works(Script::new().site(site), twin).of(twin).finding, "-");
}

#[test]
fn what_merely_looks_like_exchange_may_not_do_everything() {
    let mail = "10.0.5.1";
    let looks =
        |script: Script| [25, 443, 135].into_iter().fold(script, |script, port| script.talks(-9.0, C, mail, port));
    for c in [conn(mail, 50_000, S, 999), conn(S, 50_000, mail, 999)] {
        works(looks(Script::new()), c).of(c).standing("not_judged: role_unknown").finding("-");
        fails(looks(Script::new()), c).of(c).standing("not_judged: role_unknown").finding("-");
    }
    let c = conn(mail, 50_000, S, 389);
    works(looks(Script::new()), c).of(c).standing("expected").finding("-");
}

#[test]
fn a_controller_may_ask_servers_outside_for_names_over_tcp() {
    let c = conn(S, 50_000, STRANGER, 53);
    fails(Script::new(), c).of(c).standing("not_judged: role_unknown").finding("-");
    works(Script::new(), c).of(c).standing("expected").finding("-");
}

/// A domain controller and a client as they show themselves.
fn domain() -> Script {
    Script::new().no_site().talks(-9.0, C, S, 88).talks(-8.0, C, S, 389).talks(-7.0, C, S, 445).talks(-6.0, C2, S, 88)
}

#[test]
fn roles_are_inferred_from_what_hosts_do() {
    let c = conn(C, 50_000, S, 636);
    let world = works(domain(), c);
    assert_eq!(world.roles(S), ["domain-controller"]);
    assert_eq!(world.roles(C), ["client"]);
    assert!(world.of(c).standing("expected").inferred);
    let lateral = conn(C, 50_000, C2, 445);
    works(domain(), lateral).of(lateral).standing("unexpected: role_pair").finding("unexpected");
}

#[test]
fn twin_without_inference_nothing_is_known() {
    let lateral = conn(C, 50_000, C2, 445);
    let world = works(domain().no_infer(), lateral);
    assert!(world.hosts.is_empty());
    world.of(lateral).standing("not_judged: role_unknown").finding("-");
}

#[test]
fn twin_kerberos_alone_makes_no_domain_controller() {
    let c = conn(C, 50_000, S, 636);
    let script = Script::new().no_site().talks(-9.0, C, S, 88).talks(-7.0, C, S, 445);
    let world = works(script, c);
    assert!(world.roles(S).is_empty() && world.roles(C).is_empty());
}

#[test]
fn refused_attempts_make_no_domain_controller() {
    let script = [88, 389, 445].into_iter().fold(Script::new().no_site(), |script, port| {
        let c = conn(C, 50_000 + port, S, port);
        script.syn(f64::from(port), c).refuse(f64::from(port) + 0.001, c)
    });
    assert!(script.judge().hosts.is_empty());
}

#[test]
fn resets_of_connections_that_nobody_knows_make_no_domain_controller() {
    let late = |payload: u32| {
        [88, 389, 445].into_iter().fold(Script::new().no_site(), |script, port| {
            let (c, at) = (conn(C, 50_000 + port, S, port), f64::from(port));
            script.fin(at, c, From::Client, 90, 70).reply(at + 0.001, c, 70, payload, 91).rst(
                at + 0.002,
                c,
                From::Server,
                70,
                0,
            )
        })
    };
    let nothing = [88, 389, 445].into_iter().fold(Script::new().no_site(), |script, port| {
        let (c, at) = (conn(C, 50_000 + port, S, port), f64::from(port));
        script.fin(at, c, From::Client, 90, 70).rst(at + 0.001, c, From::Server, 70, 0)
    });
    assert!(nothing.judge().hosts.is_empty());
    // Twin: it says something before it ends them.
    assert_eq!(late(10).judge().roles(S), ["domain-controller"]);
}

#[test]
fn a_global_catalog_is_no_port_alone() {
    let of = |ports: &[u16]| {
        let talk = |script: Script, port: &u16| script.talks(-9.0 + f64::from(*port) / 1e5, C, S, *port);
        ports.iter().fold(Script::new().no_site(), talk).judge()
    };
    assert_eq!(of(&[3268, 135]).roles(S), ["domain-controller"]);
    for ports in [&[3268][..], &[64_327], &[445], &[67]] {
        assert!(of(ports).roles(S).is_empty(), "{ports:?}");
    }
}

#[test]
fn answers_that_nobody_asked_for_make_no_domain_controller() {
    // Whoever wants to pass for one would send a few SYN-ACKs. A role needs an open flow (T17 is none).
    let script = [88, 389, 445].into_iter().fold(Script::new().no_site(), |script, port| {
        script.syn_ack(f64::from(port), conn(C2, 50_000 + port, C, port))
    });
    assert!(script.judge().roles(C).is_empty());
}

#[test]
fn what_the_site_says_of_a_host_is_all_of_it() {
    let site = "[hosts]\nclient = [\"10.0.0.10\"]\n";
    let world = domain().site(site).judge();
    assert_eq!(world.roles(S), ["client"]);
}

#[test]
fn a_companion_is_expected_beside_its_parent_only() {
    let site = "[hosts]\nftp-server = [\"10.0.5.5\"]\nclient = [\"10.0.3.0/24\"]\n";
    let passive = conn(C, 50_000, "10.0.5.5", 6_500);
    let beside = Script::new().site(site).talks(-5.0, C, "10.0.5.5", 21);
    works(beside, passive).of(passive).standing("expected").finding("-");
    let alone = works(Script::new().site(site), passive);
    assert_ne!(alone.of(passive).finding, "-", "{:?}", alone.of(passive));
    // Who is refused there does not speak it.
    let control = conn(C, 50_001, "10.0.5.5", 21);
    let refused = works(Script::new().site(site).syn(-5.0, control).refuse(-4.999, control), passive);
    assert_eq!(refused.of(passive).finding, alone.of(passive).finding);
}

#[test]
fn a_flow_whose_direction_is_a_guess_is_not_accused() {
    // Caught in the middle: the lower port is the client's, so it looks as if the server had called.
    let c = conn(C, 999, S, 1_023);
    let world = Script::new().send(0.0, c, 10, 10, 10).reply(0.1, c, 10, 10, 20).judge();
    world.of(c).dir("lower_port", S).finding("-");
    let twin = Script::new().handshake(0.0, c).judge();
    twin.of(c).dir("syn", C).standing("unexpected: no_row").finding("unexpected");
}

#[test]
fn a_blocked_attempt_has_its_standing_like_any_other() {
    let c = conn(C, 50_000, S, 88);
    let refused = Script::new().syn(0.0, c).refuse(0.001, c).judge();
    refused.of(c).standing("expected").finding("blocked");
    let reset = Script::new().handshake(0.0, c).send(0.1, c, 0, 5, 0).rst(0.2, c, From::Server, 0, 5).judge();
    reset.of(c).standing("expected").finding("-");
}

#[test]
fn transports_without_ports_are_open_both_ways_and_else_unknown() {
    let c = conn(C, 0, S, 0);
    for transport in [Transport::Gre, Transport::Esp, Transport::Ah, Transport::Sctp] {
        let both = Script::new().other(0.0, c, From::Client, transport).other(0.1, c, From::Server, transport).judge();
        both.of(c).is("open", "both_ways");
        let one = Script::new().other(0.0, c, From::Client, transport).other(1.0, c, From::Client, transport).judge();
        one.of(c).is("unknown", "no_reply_known").finding("-");
    }
}
