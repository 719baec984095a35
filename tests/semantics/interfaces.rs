//! For which RPC interface a flow is, and what follows: tables 1d and 2c.

use crate::craft::host::Host;
use crate::craft::play::epm;
use crate::craft::play::rpc_call;
use crate::craft::rpc;
use crate::craft::rpc::Interface;
use crate::craft::scene::Scene;
use crate::craft::tcp::End;
use crate::craft::tcp::Tcp;
use crate::craft::tcp::connect;
use crate::script::C;
use crate::script::Conn;
use crate::script::S;
use crate::script::SITE;
use crate::script::World;
use crate::script::conn;
use crate::script::heard;
use crate::spoken::OWN;
use crate::spoken::host;
use crate::spoken::joined_late;
use crate::spoken::judged;
use crate::spoken::other_client;
use crate::spoken::talk;

/// A port of the dynamic range.
const PORT: u16 = 49_670;

const DRSUAPI: &str = "e3514235-4b06-11d1-ab04-00c04fc2dcd2";
const SVCCTL: &str = "367abb81-9844-35f1-ad32-98f038001003";

fn c() -> Conn {
    conn(C, OWN, S, PORT)
}

/// The server's mapper tells a client that an interface is at that port.
fn told(scene: &mut Scene, client: &Host, interface: Interface, port: u16) {
    epm(scene, client, &host(S), interface, &rpc::ept_map_found(interface, &host(S), port));
}

/// The port that a document names for something else: a server whose range is wide may give it out all the same.
const NAMED: u16 = 50_636;

#[test]
fn an_interface_counts_for_more_than_the_name_of_its_port() {
    let c = conn(C, OWN, S, NAMED);
    let world = world(|scene| {
        told(scene, &host(C), rpc::DRS_BIND.interface, NAMED);
        let call = rpc::DRS_BIND;
        let asks = [rpc::bind(call.interface), call.request()].concat();
        talk(scene, NAMED, &asks, &[rpc::bind_ack(NAMED), call.answer()].concat());
    });
    world.of(c).standing("expected_rpc").row("modern-windows/rpc-directory").finding("-").rpc('A', &[DRSUAPI]);
    let dropped = self::world(|scene| {
        told(scene, &host(C), rpc::DRS_BIND.interface, NAMED);
        unanswered(scene, NAMED);
    });
    dropped.of(c).standing("expected_rpc").finding("rpc_blocked").rpc('B', &[DRSUAPI]);
    // Twin: nobody gave it out.
    let twin = self::world(|scene| unanswered(scene, NAMED));
    twin.of(c).finding("attempt").no_rpc();
}

/// A connection of [`C`] to a port that works, with nothing but a bind and a call.
fn binds(scene: &mut Scene, call: rpc::Call) {
    talk(
        scene,
        PORT,
        &[rpc::bind(call.interface), call.request()].concat(),
        &[rpc::bind_ack(PORT), call.answer()].concat(),
    );
}

/// Nobody answers [`C`] at that port.
fn unanswered(scene: &mut Scene, port: u16) {
    let tcp = Tcp::from_port(scene, &host(C), OWN, &host(S), port);
    for wait_ms in [1_000, 2_000, 4_000] {
        tcp.syn(scene);
        scene.wait_ms(wait_ms);
    }
    scene.wait_ms(15_000);
}

/// The port answers [`C`] with a RST.
fn refused(scene: &mut Scene, port: u16) {
    let tcp = Tcp::from_port(scene, &host(C), OWN, &host(S), port);
    tcp.syn(scene);
    tcp.refuse(scene, &host(S));
}

fn world(play: impl FnOnce(&mut Scene)) -> World {
    let mut scene = Scene::new();
    play(&mut scene);
    judged(&scene.ethernet())
}

#[test]
fn an_interface_that_a_row_allows_is_expected() {
    let world = world(|scene| binds(scene, rpc::DRS_BIND));
    world.of(c()).standing("expected_rpc").row("modern-windows/rpc-directory").finding("-").rpc('A', &[DRSUAPI]);
}

#[test]
fn an_interface_that_rows_allow_to_other_roles_is_unexpected() {
    let mut scene = Scene::new();
    binds(&mut scene, rpc::OPEN_SC_MANAGER);
    let frames = scene.ethernet();
    let world = judged(&frames);
    world.of(c()).standing("unexpected: rpc_interface").finding("unexpected").rpc('A', &[SVCCTL]);
    // Twin: the same from a host that manages others.
    let managed = SITE.replace("client = [", "management-station = [");
    heard(&frames, &managed).of(c()).standing("expected_rpc").row("modern-windows/rpc-management").finding("-");
    // Twin: of hosts without a role nothing is said.
    let unknown = "[hosts]\nclient = [\"10.9.0.0/24\"]\n";
    heard(&frames, unknown).of(c()).standing("not_judged: role_unknown").finding("-");
}

#[test]
fn dce_rpc_of_unknown_interface_is_only_in_the_range() {
    let call = rpc::DRS_BIND;
    let frames = joined_late(OWN, PORT, &call.request(), &call.answer());
    judged(&frames).of(c()).standing("expected_range").finding("range_only").rpc('F', &[]).app("dcerpc");
}

#[test]
fn a_number_in_the_range_alone_tells_nothing() {
    let world = world(|scene| talk(scene, PORT, b"\x01\x02\x03\x04hello", b"\x01\x02\x03\x04there"));
    world.of(c()).standing("expected_range").finding("range_only").no_rpc();
    let failed = self::world(|scene| unanswered(scene, PORT));
    failed.of(c()).standing("expected_range").finding("blocked").no_rpc();
}

#[test]
fn blocked_after_the_mapper_told_this_client_has_a_name() {
    for play in [unanswered, refused] {
        let world = world(|scene| {
            told(scene, &host(C), rpc::DRSUAPI, PORT);
            play(scene, PORT);
        });
        world.of(c()).finding("rpc_blocked").rpc('B', &[DRSUAPI]);
    }
    // Twin: it works.
    let world = world(|scene| {
        told(scene, &host(C), rpc::DRSUAPI, PORT);
        binds(scene, rpc::DRS_BIND);
    });
    world.of(c()).finding("-").rpc('A', &[DRSUAPI]);
    // Twin: another port than the one told.
    let other = conn(C, OWN, S, PORT + 1);
    let world = self::world(|scene| {
        told(scene, &host(C), rpc::DRSUAPI, PORT);
        unanswered(scene, PORT + 1);
    });
    world.of(other).finding("blocked").no_rpc();
}

#[test]
fn what_the_mapper_said_to_others_or_long_ago_is_probable() {
    let to_another = world(|scene| {
        told(scene, &other_client(), rpc::DRSUAPI, PORT);
        unanswered(scene, PORT);
    });
    to_another.of(c()).finding("rpc_blocked").rpc('C', &[DRSUAPI]);
    let long_ago = world(|scene| {
        told(scene, &host(C), rpc::DRSUAPI, PORT);
        scene.wait_ms(61_000);
        unanswered(scene, PORT);
    });
    long_ago.of(c()).finding("rpc_blocked").rpc('C', &[DRSUAPI]);
    let by_a_bind = world(|scene| {
        rpc_call(scene, &other_client(), &host(S), PORT, rpc::DRS_BIND);
        unanswered(scene, PORT);
    });
    by_a_bind.of(c()).finding("rpc_blocked").rpc('C', &[DRSUAPI]);
}

#[test]
fn a_port_that_dcom_named_belongs_to_an_object() {
    let resolves = |scene: &mut Scene, client: &Host| {
        let bind = (rpc::bind(rpc::OBJECT_EXPORTER), rpc::bind_ack(135));
        let resolved = rpc::oxid_resolved(&host(S), PORT);
        connect(scene, client, &host(S), 135, &[(&bind.0, &bind.1), (&rpc::resolve_oxid(), &resolved)]);
    };
    let world = world(|scene| {
        resolves(scene, &host(C));
        unanswered(scene, PORT);
    });
    world.of(c()).finding("rpc_blocked").rpc('D', &[]);
    // Twin: named to another client.
    let another = self::world(|scene| {
        resolves(scene, &other_client());
        unanswered(scene, PORT);
    });
    another.of(c()).finding("blocked").rpc('E', &[]);
}

#[test]
fn of_several_interfaces_none_is_named() {
    let world = world(|scene| {
        told(scene, &other_client(), rpc::DRSUAPI, PORT);
        told(scene, &other_client(), rpc::SVCCTL, PORT);
        unanswered(scene, PORT);
    });
    world.of(c()).finding("blocked").rpc('E', &[SVCCTL, DRSUAPI]);
    // Twin: what this client was told last is what it wants.
    let asked = self::world(|scene| {
        told(scene, &other_client(), rpc::SVCCTL, PORT);
        told(scene, &host(C), rpc::DRSUAPI, PORT);
        unanswered(scene, PORT);
    });
    asked.of(c()).finding("rpc_blocked").rpc('B', &[DRSUAPI]);
}

#[test]
fn an_answer_that_came_too_late_explains_what_came_before() {
    let world = world(|scene| {
        unanswered(scene, PORT);
        told(scene, &host(C), rpc::DRSUAPI, PORT);
    });
    world.of(c()).finding("rpc_blocked").rpc('C', &[DRSUAPI]);
}

#[test]
fn the_mapper_itself_blocked_is_its_own_finding() {
    let mapper = conn(C, OWN, S, 135);
    for play in [unanswered, refused] {
        world(|scene| play(scene, 135)).of(mapper).standing("expected").finding("epm_blocked");
    }
    let client = host(C);
    let works = world(|scene| told(scene, &client, rpc::DRSUAPI, PORT));
    assert_eq!(works.count("epm_blocked") + works.count("rpc_blocked"), 0);
    // It says nothing of the range.
    let both = world(|scene| {
        unanswered(scene, 135);
        unanswered(scene, PORT);
    });
    both.of(mapper).finding("epm_blocked");
    both.of(c()).finding("blocked").no_rpc();
}

#[test]
fn an_interface_that_does_not_run_is_not_blocked() {
    let world = world(|scene| epm(scene, &host(C), &host(S), rpc::SVCCTL, &rpc::ept_map_unknown()));
    assert_eq!(world.unregistered, [SVCCTL]);
    assert!(world.flows.iter().all(|said| said.finding == "-"));
    let twin = self::world(|scene| told(scene, &host(C), rpc::SVCCTL, PORT));
    assert!(twin.unregistered.is_empty());
}

#[test]
fn what_somebody_bound_at_the_mapper_is_no_port_that_was_handed_out() {
    let bound = |scene: &mut Scene| {
        let bind = (rpc::bind(rpc::OBJECT_EXPORTER), rpc::bind_ack(135));
        connect(scene, &other_client(), &host(S), 135, &[(&bind.0, &bind.1)]);
        unanswered(scene, 135);
    };
    world(bound).of(conn(C, OWN, S, 135)).finding("epm_blocked");
}

#[test]
fn an_offer_that_nobody_answers_hands_no_port_out() {
    let stalls = |scene: &mut Scene| {
        let mut tcp = Tcp::from_port(scene, &host(C), OWN, &host(S), PORT);
        tcp.open(scene);
        for wait_ms in [300, 600, 1_200, 2_400, 4_800, 9_600] {
            let mut again = tcp.clone();
            again.say(scene, End::Client, &rpc::bind(rpc::DRSUAPI));
            scene.wait_ms(wait_ms);
        }
    };
    let finding = |told_before: bool| {
        let world = world(|scene| {
            if told_before {
                told(scene, &host(C), rpc::DRSUAPI, PORT);
            }
            stalls(scene);
        });
        world.of(c()).rpc(if told_before { 'B' } else { 'C' }, &[DRSUAPI]).finding
    };
    assert_eq!((finding(false), finding(true)), ("blocked", "rpc_blocked"));
}

#[test]
fn a_port_that_was_left_since_is_for_nothing_any_more() {
    let left = |scene: &mut Scene| {
        told(scene, &host(C), rpc::DRSUAPI, PORT);
        scene.wait_ms(100_000);
        told(scene, &other_client(), rpc::DRSUAPI, PORT + 30);
        scene.wait_ms(1_000);
        refused(scene, PORT);
    };
    world(left).of(c()).rpc('E', &[DRSUAPI]).standing("expected_range").finding("blocked");
}

#[test]
fn an_answer_that_was_not_captured_does_not_hide_those_after_it() {
    let bind = (rpc::bind(rpc::EPM), rpc::bind_ack(135));
    let first = (rpc::ept_map(rpc::DRSUAPI), rpc::ept_map_found(rpc::DRSUAPI, &host(S), PORT + 1));
    let second = (rpc::ept_map(rpc::SVCCTL), rpc::ept_map_found(rpc::SVCCTL, &host(S), PORT));
    let mut scene = Scene::new();
    let all: Vec<(&[u8], &[u8])> =
        [&bind, &first, &second].map(|(asked, said)| (asked.as_slice(), said.as_slice())).into();
    connect(&mut scene, &host(C), &host(S), 135, &all);
    unanswered(&mut scene, PORT);
    let whole = scene.ethernet();
    judged(&whole).of(c()).finding("rpc_blocked").rpc('B', &[SVCCTL]);
    for lost in [&bind.1, &first.0, &first.1] {
        let rest: Vec<_> = whole.iter().filter(|frame| !frame.bytes.ends_with(lost)).cloned().collect();
        assert_eq!(rest.len() + 1, whole.len());
        judged(&rest).of(c()).finding("rpc_blocked").rpc('B', &[SVCCTL]);
    }
}
