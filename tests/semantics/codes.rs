//! Every code of table 1c, as the only answer to a SYN.

use portolan::model::transport::Transport;

use crate::script::C;
use crate::script::C6;
use crate::script::ROUTER;
use crate::script::ROUTER6;
use crate::script::S;
use crate::script::S6;
use crate::script::Script;
use crate::script::World;
use crate::script::conn;

const REJECT_V4: [(u8, u8); 12] =
    [(3, 0), (3, 6), (3, 11), (3, 1), (3, 7), (3, 12), (3, 9), (3, 10), (3, 13), (3, 14), (3, 15), (11, 0)];
const REJECT_V6: [(u8, u8); 7] = [(1, 0), (1, 3), (1, 1), (1, 2), (1, 5), (1, 6), (3, 0)];
const INFO_V4: [(u8, u8); 9] = [(3, 5), (3, 8), (11, 1), (12, 0), (12, 1), (4, 0), (5, 0), (5, 1), (3, 4)];
const INFO_V6: [(u8, u8); 8] = [(4, 0), (1, 7), (1, 8), (3, 1), (4, 2), (137, 0), (2, 0), (2, 1)];

fn told(v6: bool, sender: Option<&str>, kind: u8, code: u8) -> World {
    let (client, server, router) = if v6 { (C6, S6, ROUTER6) } else { (C, S, ROUTER) };
    let c = conn(client, 50_000, server, 389);
    Script::new().syn(0.0, c).icmp(0.01, sender.unwrap_or(router), c, Transport::Tcp, kind, code).judge()
}

#[test]
fn codes_that_reject() {
    for (v6, router, codes) in [(false, ROUTER, &REJECT_V4[..]), (true, ROUTER6, &REJECT_V6[..])] {
        for (kind, code) in codes {
            let world = told(v6, None, *kind, *code);
            let reason = format!("icmp_{kind}_{code}");
            world.flows[0].verdict("rejected", "confirmed", &reason, router).shows(&[1, 2]).finding("blocked");
        }
    }
}

#[test]
fn closed_ports_and_protocols_are_refused_by_the_target_only() {
    for (v6, kind, code) in [(false, 3, 2), (false, 3, 3), (true, 4, 1), (true, 1, 4)] {
        let (server, router) = if v6 { (S6, ROUTER6) } else { (S, ROUTER) };
        let reason = format!("icmp_{kind}_{code}");
        told(v6, Some(server), kind, code).flows[0].verdict("refused", "confirmed", &reason, "host").shows(&[1, 2]);
        told(v6, Some(router), kind, code).flows[0].verdict("rejected", "confirmed", &reason, router).shows(&[1, 2]);
    }
}

#[test]
fn codes_that_inform_change_nothing() {
    for (v6, codes) in [(false, &INFO_V4[..]), (true, &INFO_V6[..])] {
        for (kind, code) in codes {
            let world = told(v6, None, *kind, *code);
            world.flows[0].verdict("dropped", "possible", "syn_single", "unknown");
        }
    }
}

#[test]
fn too_big_is_a_note_and_never_a_block() {
    for (v6, kind, code) in [(false, 3, 4), (true, 2, 0)] {
        let (client, server, router) = if v6 { (C6, S6, ROUTER6) } else { (C, S, ROUTER) };
        let c = conn(client, 50_000, server, 389);
        let world = Script::new()
            .handshake(0.0, c)
            .send(0.01, c, 0, 1_400, 0)
            .icmp(0.02, router, c, Transport::Tcp, kind, code)
            .quoting(1_001)
            .send(0.03, c, 0, 1_200, 0)
            .reply(0.04, c, 0, 20, 1_400)
            .judge();
        world.of(c).verdict("open", "confirmed", "handshake", "-").note("mtu").finding("-");
    }
    told(false, None, 3, 13).flows[0].no_note("mtu");
}

#[test]
fn time_exceeded_counts_only_where_the_attempt_fails() {
    let c = conn(C, 50_000, S, 389);
    let world = Script::new()
        .syn(0.0, c)
        .icmp(0.01, ROUTER, c, Transport::Tcp, 11, 0)
        .syn(1.0, c)
        .syn_ack(1.01, c)
        .ack(1.02, c)
        .judge();
    world.of(c).verdict("open", "confirmed", "handshake", "-").note("soft_error");
}

#[test]
fn of_several_errors_the_first_is_named() {
    let c = conn(C, 50_000, S, 389);
    let world = Script::new()
        .syn(0.0, c)
        .icmp(0.01, ROUTER, c, Transport::Tcp, 3, 13)
        .syn(1.0, c)
        .icmp(1.01, S, c, Transport::Tcp, 3, 3)
        .judge();
    world.of(c).verdict("rejected", "confirmed", "icmp_3_13", ROUTER).shows(&[1, 2]);
}
