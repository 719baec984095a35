//! The scenes of `pcaps/blocked` that take more than a line.

use etherparse::IcmpEchoHeader;
use etherparse::Icmpv4Type;

use crate::craft::host::CLIENT;
use crate::craft::host::CLIENT_V6;
use crate::craft::host::CLIENT2;
use crate::craft::host::CLIENT2_V6;
use crate::craft::host::DC1;
use crate::craft::host::DC1_V6;
use crate::craft::host::GATEWAY;
use crate::craft::host::GATEWAY_V6;
use crate::craft::host::Host;
use crate::craft::host::LINUX;
use crate::craft::payload;
use crate::craft::play;
use crate::craft::play::at_work;
use crate::craft::play::ending;
use crate::craft::rpc;
use crate::craft::scene::Scene;
use crate::craft::tcp;
use crate::craft::tcp::ACK;
use crate::craft::tcp::End;
use crate::craft::tcp::FIN;
use crate::craft::tcp::PSH;
use crate::craft::tcp::RST;
use crate::craft::tcp::Tcp;

/// The background of `at_work` over IPv6.
fn at_work_ipv6(scene: &mut Scene) {
    for act in [play::kerberos, play::ldap, play::smb] {
        act(scene, &CLIENT2_V6, &DC1_V6);
        scene.wait_ms(5);
    }
    play::ldap(scene, &CLIENT_V6, &DC1_V6);
    scene.at_ms(100);
}

fn ending_ipv6(scene: &mut Scene) {
    scene.wait_ms(15_000);
    play::ntp(scene, &CLIENT2_V6, &DC1_V6);
}

pub(crate) fn dropped_ipv6(scene: &mut Scene) {
    at_work_ipv6(scene);
    tcp::dropped(scene, &CLIENT_V6, &DC1_V6, 88, &[0, 1000, 3000]);
    ending_ipv6(scene);
}

pub(crate) fn rejected_ipv6(scene: &mut Scene) {
    at_work_ipv6(scene);
    tcp::rejected(scene, (&CLIENT_V6, &DC1_V6), 445, &GATEWAY_V6, (1, 1));
    ending_ipv6(scene);
}

pub(crate) fn series_cut_at_start(scene: &mut Scene) {
    tcp::dropped(scene, &CLIENT, &DC1, 88, &[0, 6000]);
    scene.at_ms(10);
    play::kerberos(scene, &CLIENT2, &DC1);
    play::smb(scene, &CLIENT2, &DC1);
    play::ldap(scene, &CLIENT, &DC1);
    scene.at_ms(6000);
    ending(scene);
}

pub(crate) fn syn_lost_once(scene: &mut Scene) {
    at_work(scene);
    let mut lost = Tcp::new(scene, &CLIENT, &DC1, 389);
    lost.syn(scene);
    scene.wait_ms(1000);
    lost.open(scene);
    lost.exchange(scene, &payload::ldap_search(1), &payload::ldap_found(1));
    lost.close(scene);
    ending(scene);
}

pub(crate) fn reset_by_middlebox(scene: &mut Scene) {
    at_work(scene);
    let attempt = Tcp::new(scene, &CLIENT, &DC1, 5985);
    attempt.syn(scene);
    // Faster than any answer of the server itself, which takes 250 us.
    scene.sooner_us(230);
    attempt.refuse(scene, &DC1.forged());
    ending(scene);
}

pub(crate) fn rst_with_wrong_ack(scene: &mut Scene) {
    at_work(scene);
    let attempt = Tcp::new(scene, &CLIENT, &DC1, 88);
    attempt.syn(scene);
    let mut stranger = attempt.clone();
    stranger.client_seq = stranger.client_seq.wrapping_add(1_000_000);
    stranger.refuse(scene, &DC1);
    scene.at_ms(1100);
    attempt.syn(scene);
    scene.at_ms(3100);
    attempt.syn(scene);
    ending(scene);
}

pub(crate) fn soft_error(scene: &mut Scene) {
    at_work(scene);
    let mut attempt = Tcp::new(scene, &CLIENT, &DC1, 389);
    attempt.syn(scene);
    scene.icmp_reject(&GATEWAY, &CLIENT, 3, 1);
    scene.at_ms(1100);
    attempt.open(scene);
    attempt.exchange(scene, &payload::ldap_search(1), &payload::ldap_found(1));
    attempt.close(scene);
    ending(scene);
}

pub(crate) fn icmp_rate_limited(scene: &mut Scene) {
    at_work(scene);
    tcp::rejected(scene, (&CLIENT, &DC1), 445, &GATEWAY, (3, 13));
    scene.at_ms(5100);
    tcp::dropped(scene, &CLIENT, &DC1, 445, &[0, 1000, 3000]);
    ending(scene);
}

pub(crate) fn icmp_foreign_quote(scene: &mut Scene) {
    at_work(scene);
    let mut elsewhere = Scene::new();
    Tcp::from_port(&mut elsewhere, &CLIENT, 61_000, &DC1, 445).syn(&mut elsewhere);
    let quote = elsewhere.shots.first().map(|shot| shot.ip.clone()).unwrap_or_default();
    scene.icmp_about(&GATEWAY, &CLIENT, (3, 13), &quote);
    ending(scene);
}

pub(crate) fn reply_lost(scene: &mut Scene) {
    at_work(scene);
    let attempt = Tcp::new(scene, &CLIENT, &DC1, 88);
    for ms in [100, 1100, 3100] {
        scene.at_ms(ms);
        attempt.syn(scene);
        attempt.syn_ack(scene);
    }
    ending(scene);
}

pub(crate) fn syn_ack_never_acked(scene: &mut Scene) {
    at_work(scene);
    let attempt = Tcp::new(scene, &CLIENT, &DC1, 88);
    attempt.syn(scene);
    for ms in [101, 1101, 3101] {
        scene.at_ms(ms);
        attempt.syn_ack(scene);
    }
    ending(scene);
}

pub(crate) fn half_open_probe(scene: &mut Scene) {
    at_work(scene);
    let mut probe = Tcp::new(scene, &CLIENT, &DC1, 445);
    probe.syn(scene);
    probe.syn_ack(scene);
    probe.established();
    // A half-open scanner's kernel knows nothing of the connection: a RST without ACK.
    probe.segment(scene, End::Client, RST, &[]);
    ending(scene);
}

pub(crate) fn stalled(scene: &mut Scene) {
    at_work(scene);
    let mut stuck = Tcp::new(scene, &CLIENT, &DC1, 389);
    stuck.open(scene);
    for ms in [110, 410, 1010, 2210, 4610, 9410] {
        scene.at_ms(ms);
        stuck.segment(scene, End::Client, PSH | ACK, &payload::ldap_search(1));
    }
    scene.at_ms(19_010);
    stuck.reset(scene, End::Client);
    ending(scene);
}

pub(crate) fn stalled_mtu(scene: &mut Scene) {
    at_work(scene);
    let mut stuck = Tcp::new(scene, &CLIENT, &DC1, 389);
    stuck.open(scene);
    stuck.exchange(scene, &payload::ldap_search(1), &payload::ldap_found(1));
    let large = payload::ldap_large_search(2, 1380);
    for ms in [110, 410, 1010, 2210, 4610] {
        scene.at_ms(ms);
        stuck.segment(scene, End::Client, PSH | ACK, &large);
        scene.icmp_reject(&GATEWAY, &CLIENT, 3, 4);
    }
    scene.at_ms(10_000);
    stuck.reset(scene, End::Client);
    ending(scene);
}

pub(crate) fn reset_after_data(scene: &mut Scene, speaker: &Host) {
    at_work(scene);
    let mut cut = Tcp::new(scene, &CLIENT, &DC1, 445);
    cut.open(scene);
    cut.say(scene, End::Client, &payload::smb_negotiate());
    cut.server.0 = *speaker;
    cut.reset(scene, End::Server);
    ending(scene);
}

pub(crate) fn late_rst(scene: &mut Scene) {
    at_work(scene);
    let mut hasty = Tcp::new(scene, &CLIENT, &DC1, 389);
    hasty.open(scene);
    hasty.exchange(scene, &payload::ldap_search(1), &payload::ldap_found(1));
    hasty.reset(scene, End::Client);
    ending(scene);
}

pub(crate) fn refused_then_open(scene: &mut Scene) {
    at_work(scene);
    let mut patient = Tcp::new(scene, &CLIENT, &DC1, 5985);
    patient.syn(scene);
    patient.refuse(scene, &DC1);
    scene.wait_ms(500);
    patient.open(scene);
    patient.exchange(scene, payload::WSMAN, payload::WSMAN_401);
    patient.close(scene);
    ending(scene);
}

pub(crate) fn port_reuse(scene: &mut Scene) {
    at_work(scene);
    for _ in 0..2 {
        let mut again = Tcp::from_port(scene, &CLIENT, 50_200, &DC1, 389);
        again.open(scene);
        again.exchange(scene, &payload::ldap_search(1), &payload::ldap_found(1));
        again.close(scene);
        scene.wait_ms(2000);
    }
    let last = Tcp::from_port(scene, &CLIENT, 50_200, &DC1, 389);
    let begin = scene.now_ns;
    for ms in [0, 1000, 3000] {
        scene.now_ns = begin + ms * 1_000_000;
        last.syn(scene);
    }
    ending(scene);
}

pub(crate) fn stray_segments(scene: &mut Scene) {
    at_work(scene);
    let one = Tcp::new(scene, &CLIENT, &DC1, 445);
    one.segment(scene, End::Client, RST, &[]);
    scene.wait_ms(10);
    let other = Tcp::new(scene, &CLIENT, &DC1, 445);
    other.segment(scene, End::Client, FIN | ACK, &[]);
    ending(scene);
}

pub(crate) fn dns_unanswered(scene: &mut Scene) {
    at_work(scene);
    play::dns(scene, &CLIENT2, &DC1);
    let query = payload::dns_query(9, "dc1.corp.example", 1);
    scene.udp_silent(&CLIENT, &DC1, 53, &query, &[0, 1000, 2000, 4000]);
    ending(scene);
}

pub(crate) fn kerberos_fallback(scene: &mut Scene) {
    at_work(scene);
    scene.udp_silent(&CLIENT, &DC1, 88, &payload::kerberos_as_req(), &[0, 1000]);
    scene.wait_ms(1000);
    play::kerberos(scene, &CLIENT, &DC1);
    ending(scene);
}

pub(crate) fn udp_rejected(scene: &mut Scene, by: &Host, (kind, code): (u8, u8)) {
    at_work(scene);
    scene.udp_silent(&CLIENT, &DC1, 123, &payload::ntp_client(), &[0]);
    scene.icmp_reject(by, &CLIENT, kind, code);
    scene.wait_ms(15_000);
    play::ldap(scene, &CLIENT2, &DC1);
}

pub(crate) fn syslog(scene: &mut Scene) {
    at_work(scene);
    let line = b"<134>1 2026-01-05T09:00:00Z client1 agent - - - started";
    scene.udp_silent(&CLIENT, &LINUX, 514, line, &[0, 2000, 4000]);
    ending(scene);
}

pub(crate) fn tftp(scene: &mut Scene) {
    at_work(scene);
    let (own, other) = (scene.port(), 57_001);
    scene.send_udp((&CLIENT, own), (&LINUX, 69), b"\0\x01boot.cfg\0octet\0");
    scene.send_udp((&LINUX, other), (&CLIENT, own), b"\0\x03\0\x01default=1\n");
    scene.send_udp((&CLIENT, own), (&LINUX, other), b"\0\x04\0\x01");
    ending(scene);
}

pub(crate) fn echo_unanswered(scene: &mut Scene) {
    at_work(scene);
    for seq in 1..=4 {
        scene.at_ms(100 + u64::from(seq) * 1000);
        scene.send_icmp4(&CLIENT, &DC1, Icmpv4Type::EchoRequest(IcmpEchoHeader { id: 1, seq }), &[0x61; 32]);
    }
    ending(scene);
}

pub(crate) fn rpc_dynamic_dropped(scene: &mut Scene) {
    at_work(scene);
    let found = rpc::ept_map_found(rpc::DRSUAPI, &DC1, play::RPC_PORT);
    play::epm(scene, &CLIENT, &DC1, rpc::DRSUAPI, &found);
    tcp::dropped(scene, &CLIENT, &DC1, play::RPC_PORT, &[0, 1000, 3000]);
    ending(scene);
}

pub(crate) fn rpc_told_in_pipe_dropped(scene: &mut Scene) {
    at_work(scene);
    let found = rpc::ept_map_found(rpc::DRSUAPI, &DC1, play::RPC_PORT);
    play::epm_in_pipe(scene, &CLIENT, &DC1, rpc::DRSUAPI, &found);
    tcp::dropped(scene, &CLIENT, &DC1, play::RPC_PORT, &[0, 1000, 3000]);
    ending(scene);
}

pub(crate) fn rpc_dynamic_refused(scene: &mut Scene) {
    at_work(scene);
    let found = rpc::ept_map_found(rpc::DRSUAPI, &DC1, play::RPC_PORT);
    play::epm(scene, &CLIENT, &DC1, rpc::DRSUAPI, &found);
    tcp::refused(scene, &CLIENT, &DC1, play::RPC_PORT, &DC1);
    ending(scene);
}

pub(crate) fn rpc_not_registered(scene: &mut Scene) {
    at_work(scene);
    play::epm(scene, &CLIENT, &DC1, rpc::DRSUAPI, &rpc::ept_map_unknown());
    ending(scene);
}
