//! Scans and floods: many failures that are one thing.

use crate::script::C;
use crate::script::C2;
use crate::script::S;
use crate::script::Script;
use crate::script::conn;

fn ports(script: Script, count: u16, apart: f64) -> Script {
    (0..count).fold(script, |script, n| {
        let c = conn(C, 50_000 + n, S, 100 + n);
        let at = f64::from(n) * apart;
        script.syn(at, c).refuse(at + 0.001, c)
    })
}

fn targets(script: Script, count: u16) -> Script {
    (0..count).fold(script, |script, n| {
        let c = conn(C, 50_000 + n, &format!("10.0.7.{n}"), 445);
        script.syn(f64::from(n), c)
    })
}

#[test]
fn twenty_five_ports_of_one_target_are_a_scan() {
    let world = ports(Script::new(), 25, 1.0).judge();
    let [scan] = &world.collapses[..] else { panic!("{:?}", world.collapses) };
    assert_eq!((scan.kind.name(), scan.flows, scan.ports, scan.targets, scan.sources), ("scan", 25, 25, 1, 1));
    assert_eq!(scan.client.unwrap().to_string(), C);
    assert_eq!(scan.outcome.name(), "refused");
    assert!(scan.frames.iter().count() > 0);
    assert!(world.flows.iter().all(|said| said.collapse == Some(0) && said.finding == "-"));
}

#[test]
fn twin_twenty_four_are_not() {
    let world = ports(Script::new(), 24, 1.0).judge();
    assert!(world.collapses.is_empty());
    assert!(world.flows.iter().all(|said| said.collapse.is_none()));
    assert!(world.flows.iter().any(|said| said.finding != "-"));
}

#[test]
fn twin_twenty_five_in_more_than_a_minute_are_not() {
    assert!(ports(Script::new(), 25, 2.6).judge().collapses.is_empty());
    assert_eq!(ports(Script::new(), 25, 2.4).judge().collapses.len(), 1);
}

#[test]
fn twin_the_same_port_over_and_over_is_not() {
    let world = (0..60u16)
        .fold(Script::new(), |script, n| {
            let c = conn(C, 50_000 + n, S, 389);
            script.syn(f64::from(n) / 2.0, c).refuse(f64::from(n) / 2.0 + 0.001, c)
        })
        .judge();
    assert!(world.collapses.is_empty());
    assert_eq!(world.count("blocked"), 60);
}

#[test]
fn twenty_five_targets_on_one_port_are_a_scan() {
    let world = targets(Script::new(), 25).judge();
    let [scan] = &world.collapses[..] else { panic!("{:?}", world.collapses) };
    assert_eq!((scan.kind.name(), scan.flows, scan.ports, scan.targets), ("scan", 25, 1, 25));
    assert_eq!(scan.port, Some(445));
    assert!(targets(Script::new(), 24).judge().collapses.is_empty());
}

/// One attempt at another port of another server each, so many, `apart` seconds from each other.
fn anything(count: u16, apart: f64) -> Script {
    (0..count).fold(Script::new(), |script, n| {
        let c = conn(C, 20_000 + n, &format!("10.0.{}.{}", 8 + n / 200, n % 200), 1_000 + n);
        script.syn(f64::from(n) * apart, c)
    })
}

#[test]
fn a_thousand_ports_of_whatever_targets_are_a_scan() {
    let world = anything(1_000, 0.05).judge();
    let [scan] = &world.collapses[..] else { panic!("{:?}", world.collapses) };
    assert_eq!(
        (scan.kind.name(), scan.flows, scan.ports, scan.targets, scan.sources),
        ("scan", 1_000, 1_000, 1_000, 1)
    );
    assert_eq!((scan.client.unwrap().to_string().as_str(), scan.server, scan.port), (C, None, None));
}

#[test]
fn twin_fewer_or_slower_are_not() {
    assert!(anything(999, 0.05).judge().collapses.is_empty());
    assert!(anything(1_000, 0.07).judge().collapses.is_empty());
    // 1,000 fail and 300 work.
    let busy = (0..300u16).fold(anything(1_000, 0.05), |script, n| {
        script.handshake(20.0 + f64::from(n) / 100.0, conn(C, 30_000 + n, S, 200 + n))
    });
    assert!(busy.judge().collapses.is_empty());
}

#[test]
fn twin_a_busy_client_with_some_failures_is_no_scanner() {
    // 25 fail, 7 work: 78 % is less than 80 %.
    let working = |count: u16| {
        (0..count).fold(ports(Script::new(), 25, 1.0), |script, n| {
            script.handshake(30.0 + f64::from(n), conn(C, 51_000 + n, S, 200 + n))
        })
    };
    assert!(working(7).judge().collapses.is_empty());
    assert_eq!(working(6).judge().collapses.len(), 1);
}

#[test]
fn twin_two_clients_are_no_scanner() {
    let world = (0..30u16)
        .fold(Script::new(), |script, n| {
            let c = conn(if n % 2 == 0 { C } else { C2 }, 50_000 + n, S, 100 + n);
            script.syn(f64::from(n), c).refuse(f64::from(n) + 0.001, c)
        })
        .judge();
    assert!(world.collapses.is_empty());
}

#[test]
fn a_scanner_of_the_site_may_scan() {
    let site = "[hosts]\ndomain-controller = [\"10.0.0.10\"]\n[judge]\nscanners = [\"10.0.3.7\"]\n";
    let world = ports(Script::new().site(site), 25, 1.0).judge();
    assert!(world.collapses.is_empty());
    assert_eq!(world.count("attempt"), 0);
    let twin = ports(Script::new().site(&site.replace("3.7", "3.99")), 25, 1.0).judge();
    assert_eq!(twin.collapses.len(), 1);
}

/// Half-open connections of many sources, so many, within `span` seconds from `at` on.
fn flood(script: Script, count: u16, at: f64, span: f64) -> Script {
    (0..count).fold(script, |script, n| {
        let source = format!("198.51.{}.{}", n / 200, n % 200 + 1);
        let c = conn(&source, 1_024 + n, S, 389);
        script.syn(at + span * f64::from(n) / f64::from(count), c)
    })
}

#[test]
fn two_hundred_half_open_within_a_second_are_a_flood() {
    let world = flood(Script::new(), 200, 0.0, 0.9).judge();
    let [flood] = &world.collapses[..] else { panic!("{:?}", world.collapses) };
    assert_eq!((flood.kind.name(), flood.flows, flood.sources, flood.port), ("flood", 200, 200, Some(389)));
    assert_eq!(flood.server.unwrap().to_string(), S);
    assert_eq!(world.count("blocked") + world.count("attempt"), 0);
}

/// Queries of so many sources, each as often, without a reply.
fn queries(sources: u16, times: u16) -> Script {
    (0..sources * times).fold(Script::new(), |script, n| {
        let source = format!("198.51.{}.{}", n % sources / 200, n % sources % 200 + 1);
        let c = conn(&source, 1_024 + n, S, 53);
        script.ask(0.9 * f64::from(n) / f64::from(sources * times), c, 40)
    })
}

#[test]
fn two_hundred_unanswered_queries_of_as_many_sources_are_a_flood() {
    let world = queries(200, 1).judge();
    let [flood] = &world.collapses[..] else { panic!("{:?}", world.collapses) };
    assert_eq!((flood.kind.name(), flood.flows, flood.sources, flood.port), ("flood", 200, 200, Some(53)));
    assert_eq!(world.count("blocked") + world.count("attempt"), 0);
}

#[test]
fn twin_some_clients_that_ask_a_dead_server_again_are_not() {
    assert!(queries(80, 3).judge().collapses.iter().all(|collapse| collapse.kind.name() != "flood"));
}

#[test]
fn twin_one_hundred_and_ninety_nine_are_not() {
    assert!(flood(Script::new(), 199, 0.0, 0.9).judge().collapses.is_empty());
}

#[test]
fn twin_two_hundred_in_three_seconds_are_not() {
    assert!(flood(Script::new(), 200, 0.0, 2.9).judge().collapses.is_empty());
}

#[test]
fn twin_where_most_are_completed_it_is_no_flood() {
    let busy = (0..300u16).fold(flood(Script::new(), 200, 0.0, 0.9), |script, n| {
        script.handshake(f64::from(n) / 400.0, conn(C, 20_000 + n, S, 389))
    });
    assert!(busy.judge().collapses.is_empty());
}

#[test]
fn a_flood_does_not_care_where_the_second_begins() {
    let world = flood(Script::new(), 200, 0.55, 0.9).judge();
    assert_eq!(world.collapses.len(), 1);
}

#[test]
fn what_worked_an_hour_before_does_not_hide_a_flood() {
    let before = (0..100u16)
        .fold(Script::new(), |script, n| script.handshake(-3_600.0 + f64::from(n), conn(C, 20_000 + n, S, 389)));
    let world = flood(before, 300, 0.0, 0.9).judge();
    assert_eq!(world.collapses.len(), 1);
    assert_eq!(world.count("blocked"), 0);
}

#[test]
fn a_flood_at_the_end_of_the_capture_is_one_too() {
    let world = flood(Script::new(), 250, 0.0, 0.9).until(1.0).judge();
    assert_eq!(world.collapses.len(), 1);
}
