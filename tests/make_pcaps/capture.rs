//! `pcaps/capture`: what span ports, snaplens and patience do to a capture.

use crate::craft::encap;
use crate::craft::host::CLIENT;
use crate::craft::host::CLIENT2;
use crate::craft::host::DC1;
use crate::craft::payload;
use crate::craft::pcap::Pcap;
use crate::craft::play;
use crate::craft::play::at_work;
use crate::craft::play::ending;
use crate::craft::scene::Frame;
use crate::craft::scene::START_NS;
use crate::craft::scene::Scene;
use crate::craft::scene::Shot;
use crate::craft::tcp;
use crate::craft::tcp::ACK;
use crate::craft::tcp::End;
use crate::craft::tcp::Tcp;
use crate::shelf::Capture;
use crate::shelf::Folder;

/// How much later the second copy of a packet comes.
const COPY_NS: u64 = 40_000;

pub(crate) const FOLDER: Folder = Folder {
    name: "capture",
    about: "The same healthy or blocked traffic, captured badly. The faults of the capture must never become findings.",
    captures: &[
        Capture::scene(
            "oneway_to_server.pcap",
            "a logon and a refused connection, only the client's packets",
            "the logon's flows one_way or unknown, the single SYN to 5985 unknown `reverse_invisible`; `asymmetric`; no finding",
            |scene| {
                logon_and_refusal(scene);
                scene.shots.retain(|shot| shot.src_mac == CLIENT.mac);
            },
        ),
        Capture::scene(
            "oneway_to_server_dropped.pcap",
            "the client's packets only: a connection that lives, and three SYNs to 88",
            "tcp/389 one_way; tcp/88 dropped, probable, `syn_repeated_oneway`",
            |scene| {
                play::ldap(scene, &CLIENT, &DC1);
                tcp::dropped(scene, &CLIENT, &DC1, 88, &[0, 1000, 3000]);
                scene.wait_ms(15_000);
                play::ldap(scene, &CLIENT, &DC1);
                scene.shots.retain(|shot| shot.src_mac == CLIENT.mac);
            },
        ),
        Capture::scene(
            "oneway_to_client.pcap",
            "a logon and a refused connection, only the server's packets",
            "flows one_way, `oneway_s2c`; `asymmetric`; no finding",
            |scene| {
                logon_and_refusal(scene);
                scene.shots.retain(|shot| shot.src_mac != CLIENT.mac);
            },
        ),
        Capture::scene(
            "duplicated.pcap",
            "a logon, every packet twice within 40 us: before and after the router (TTL one lower, other MACs)",
            "as ad/logon.pcap, 61 duplicates",
            |scene| {
                play::logon(scene, &CLIENT, &DC1);
                duplicate(scene);
            },
        ),
        Capture::scene(
            "duplicated_single_syn.pcap",
            "one SYN without answer, every packet twice as above",
            "blocked: tcp/88 dropped, possible, `syn_single`: the copy is no retransmission",
            |scene| {
                at_work(scene);
                tcp::dropped(scene, &CLIENT, &DC1, 88, &[0]);
                ending(scene);
                duplicate(scene);
            },
        ),
        Capture::scene(
            "duplicated_refused.pcap",
            "a refusal by the host itself, every packet twice as above",
            "blocked: tcp/5985 refused, `rst_host`: the copy's TTL is no sign of a middlebox",
            |scene| {
                at_work(scene);
                tcp::refused(scene, &CLIENT, &DC1, 5985, &DC1);
                ending(scene);
                duplicate(scene);
            },
        ),
        Capture::bytes(
            "duplicated_vlan.pcap",
            "a logon, every packet twice: bare and with the tag of VLAN 10, TTL the same",
            "as ad/logon.pcap, 61 duplicates",
            || {
                let frames = logon().frames(|shot| vec![encap::ethernet(shot), encap::vlan(shot)]);
                Pcap::ETHERNET.file(&frames)
            },
        ),
        Capture::scene(
            "mid_stream.pcap",
            "an LDAP connection that was there before the capture: request, answer, end",
            "tcp/389 open, `mid_stream`",
            |scene| mid_stream(scene, |_| true),
        ),
        Capture::scene(
            "mid_stream_to_server.pcap",
            "the client's packets of it only",
            "tcp/389 one_way, `mid_oneway`",
            |scene| mid_stream(scene, |shot| shot.src_mac == CLIENT.mac),
        ),
        Capture::bytes(
            "snaplen_96.pcap",
            "a logon cut to 96 bytes a packet",
            "as ad/logon.pcap, but tcp/49668 is `range_only`: what the mapper said of it is cut off",
            || cut_to(96),
        ),
        Capture::bytes(
            "snaplen_60.pcap",
            "a logon cut to 60 bytes a packet: hardly more than headers",
            "the same: headers are enough for all else",
            || cut_to(60),
        ),
        Capture::bytes(
            "unsorted.pcap",
            "a logon whose file holds each two frames in the wrong order; times are right",
            "all open as in ad/logon.pcap",
            || Pcap::ETHERNET.file(&swapped(logon().ethernet())),
        ),
        Capture::scene(
            "segments_reordered.pcap",
            "a large LDAP request in three segments that arrive last first",
            "tcp/389 open, `handshake`",
            segments_reordered,
        ),
        Capture::scene(
            "lost_frames.pcap",
            "an LDAP connection in which the capture missed the server's answer: the client acknowledges what nobody saw",
            "tcp/389 open; capture loss noted, verdicts capped",
            lost_frames,
        ),
        Capture::scene(
            "offload.pcap",
            "a segment of 4355 bytes and checksums left to the network card, as a capture on the host itself shows them",
            "tcp/389 open; wrong checksums accepted",
            offload,
        ),
        Capture::bytes(
            "split_1.pcap",
            "one session over three files: the handshake, and the first SYN to 88",
            SPLIT,
            || split(0, 200),
        ),
        Capture::bytes("split_2.pcap", "its request and answer, and the second SYN", SPLIT, || split(200, 2000)),
        Capture::bytes("split_3.pcap", "its end, the third SYN, silence", SPLIT, || split(2000, u64::MAX)),
    ],
};

const SPLIT: &str = "given together: tcp/389 open, `handshake`; tcp/88 dropped, confirmed, three tries";

fn logon() -> Scene {
    let mut scene = Scene::new();
    play::logon(&mut scene, &CLIENT, &DC1);
    scene
}

fn logon_and_refusal(scene: &mut Scene) {
    play::logon(scene, &CLIENT, &DC1);
    tcp::refused(scene, &CLIENT, &DC1, 5985, &DC1);
    scene.wait_ms(15_000);
    play::ntp(scene, &CLIENT, &DC1);
}

/// Adds of every packet the copy that a second span port beyond the router sees.
fn duplicate(scene: &mut Scene) {
    let copies: Vec<Shot> = scene.shots.iter().map(beyond_the_router).collect();
    scene.shots.extend(copies);
}

fn beyond_the_router(shot: &Shot) -> Shot {
    let mut ip = shot.ip.clone();
    if let [_, _, _, _, _, _, _, _, ttl, _, sum_high, sum_low, ..] = ip.as_mut_slice() {
        *ttl -= 1;
        // One less in the high byte of the TTL's word is one more in the checksum (RFC 1624).
        let sum = u16::from_be_bytes([*sum_high, *sum_low]);
        let (sum, carry) = sum.overflowing_add(0x0100);
        [*sum_high, *sum_low] = (sum + u16::from(carry)).to_be_bytes();
    }
    let other = [0x00, 0x00, 0x5e, 0x00, 0x53, 0xee];
    Shot { at_ns: shot.at_ns + COPY_NS, src_mac: other, dst_mac: [0x00, 0x00, 0x5e, 0x00, 0x53, 0xef], ip }
}

fn mid_stream(scene: &mut Scene, seen: impl Fn(&Shot) -> bool) {
    let mut old = Tcp::new(scene, &CLIENT, &DC1, 389);
    old.established();
    for id in 7..10 {
        old.exchange(scene, &payload::ldap_search(id), &payload::ldap_found(id));
        scene.wait_ms(300);
    }
    old.close(scene);
    scene.shots.retain(seen);
}

fn cut_to(snaplen: u32) -> Vec<u8> {
    let length = usize::try_from(snaplen).unwrap();
    let frames: Vec<Frame> = logon().ethernet().into_iter().map(|frame| frame.cut(length)).collect();
    Pcap { snaplen, ..Pcap::ETHERNET }.file(&frames)
}

fn swapped(mut frames: Vec<Frame>) -> Vec<Frame> {
    for pair in frames.chunks_exact_mut(2) {
        pair.reverse();
    }
    frames
}

fn segments_reordered(scene: &mut Scene) {
    let request = payload::ldap_large_search(1, 3000);
    let mut late = Tcp::new(scene, &CLIENT, &DC1, 389);
    late.open(scene);
    let begin = scene.now_ns;
    for (nth, piece) in (0..).zip(request.chunks(1200)) {
        scene.now_ns = begin + (2 - nth) * 100_000;
        late.say(scene, End::Client, piece);
    }
    scene.now_ns = begin + 500_000;
    late.say(scene, End::Server, &payload::ldap_found(1));
    late.ack(scene, End::Client);
    late.close(scene);
}

fn lost_frames(scene: &mut Scene) {
    at_work(scene);
    let mut holed = Tcp::new(scene, &CLIENT, &DC1, 389);
    holed.open(scene);
    for id in 1..4 {
        holed.say(scene, End::Client, &payload::ldap_search(id));
        holed.say(scene, End::Server, &payload::ldap_found(id));
        if id == 2 {
            // What the capture missed.
            scene.shots.pop();
        }
        holed.ack(scene, End::Client);
    }
    holed.close(scene);
    play::smb(scene, &CLIENT2, &DC1);
}

fn offload(scene: &mut Scene) {
    let mut host = Tcp::new(scene, &CLIENT, &DC1, 389);
    host.open(scene);
    host.say(scene, End::Client, &payload::ldap_large_search(1, 4300));
    host.segment(scene, End::Server, ACK, &[]);
    host.say(scene, End::Server, &payload::ldap_found(1));
    host.ack(scene, End::Client);
    host.close(scene);
    for shot in scene.shots.iter_mut().filter(|shot| shot.src_mac == CLIENT.mac) {
        // The card would have put the checksum here; the kernel left the sum of the pseudo header.
        shot.ip.splice(36..38, [0x15, 0x5a]);
    }
}

/// The part of a session between two times, milliseconds after its start.
fn split(from_ms: u64, until_ms: u64) -> Vec<u8> {
    let mut scene = Scene::new();
    at_work(&mut scene);
    let mut long = Tcp::new(&mut scene, &CLIENT, &DC1, 389);
    long.open(&mut scene);
    let attempt = Tcp::new(&mut scene, &CLIENT, &DC1, 88);
    attempt.syn(&mut scene);
    scene.at_ms(1000);
    long.exchange(&mut scene, &payload::ldap_search(1), &payload::ldap_found(1));
    attempt.syn(&mut scene);
    scene.at_ms(3000);
    long.close(&mut scene);
    attempt.syn(&mut scene);
    ending(&mut scene);
    let start = START_NS / 1_000_000;
    scene.shots.retain(|shot| (from_ms..until_ms).contains(&(shot.at_ns / 1_000_000 - start)));
    Pcap::ETHERNET.file(&scene.ethernet())
}
