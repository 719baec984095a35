//! Half an hour of replay: the recordings of a clean and of a broken domain again and again, with other client ports each
//! time, so that flows come and expire all the while. What has come to its size by the second minute must keep it.

use std::fs;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use crate::adds_up;
use crate::common;
use crate::net::Net;
use crate::number;
use crate::open_folder;
use crate::watching::Watching;

/// Played one after the other.
const PLAYED: [&str; 6] = ["clean", "drop", "reject", "dynrpc", "unexpected", "winrm"];

/// So many times as fast as they were recorded.
const SPEED: u64 = 2;

/// What takes longer than this on a link was put together by hardware, and no link takes it back.
const FRAME_MAX: usize = 1514;

/// Flows are kept, and looked for, so long that by then as many leave as come.
const SETTLED: Duration = Duration::from_secs(120);

/// How long it takes, where nobody says otherwise in `PORTOLAN_SOAK`.
const MINUTES: u64 = 31;

/// The frames of a recording, each so many milliseconds after the one before.
fn recorded(name: &str) -> Vec<(u64, Vec<u8>)> {
    let mut file = pcap::Capture::from_file(common::root().join(format!("pcaps/lab/{name}.pcap"))).unwrap();
    let (mut frames, mut before) = (Vec::new(), None);
    while let Ok(packet) = file.next_packet() {
        let part = |value: i64| u64::try_from(value).unwrap();
        let at = (part(packet.header.ts.tv_sec) * 1000 + part(packet.header.ts.tv_usec) / 1000) / SPEED;
        let pause = before.map_or(0, |before| at.saturating_sub(before));
        if packet.data.len() <= FRAME_MAX {
            frames.push((pause, packet.data.to_vec()));
            before = Some(at);
        }
    }
    frames
}

/// A frame with other client ports, if it is IPv4 without options, and TCP or UDP.
fn moved(mut frame: Vec<u8>, round: u32) -> Vec<u8> {
    let plain = frame.len() >= 38 && frame[12..15] == [8, 0, 0x45] && matches!(frame[23], 6 | 17);
    // No fragment.
    if plain && matches!(frame[20..22], [0 | 0x40, 0]) {
        for place in [34, 36] {
            let port = u16::from_be_bytes([frame[place], frame[place + 1]]);
            // Servers of the lab have their dynamic ports among those of its clients.
            if (32_768..49_152).contains(&port) || (49_210..61_000).contains(&port) {
                let other = 32_768 + (u32::from(port) * 7 + round * 1009) % 16_000;
                frame[place..place + 2].copy_from_slice(&u16::try_from(other).unwrap().to_be_bytes());
            }
        }
    }
    frame
}

/// One look at the program.
struct Look {
    at: Duration,
    kib: u64,
    descriptors: usize,
}

#[test]
#[ignore = "takes half an hour, or as many minutes as PORTOLAN_SOAK says, of which two must pass before it counts"]
fn half_an_hour_of_replay_keeps_memory_flat() {
    let Some(net) = Net::new() else { return };
    let minutes = std::env::var("PORTOLAN_SOAK").map_or(MINUTES, |text| text.parse().unwrap());
    let folder = open_folder();
    let report = folder.path().join("report.json");
    let watching = Watching::begin(&net, &["-o", report.to_str().unwrap(), "--keep", "60s", "--metrics", "9480"]);
    let (began, over) = (Instant::now(), AtomicBool::new(false));
    let looks = thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let mut looks = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let (kib, descriptors) = watching.resident();
                looks.push(Look { at: began.elapsed(), kib, descriptors });
                thread::sleep(Duration::from_secs(5));
            }
            looks
        });
        let recordings: Vec<_> = PLAYED.iter().map(|name| recorded(name)).collect();
        for (round, frames) in (0..).zip(recordings.iter().cycle()) {
            if began.elapsed() >= Duration::from_secs(60 * minutes) {
                break;
            }
            let frames: Vec<_> = frames.iter().map(|(pause, frame)| (*pause, moved(frame.clone(), round))).collect();
            net.send(&frames, 1);
        }
        over.store(true, Ordering::Relaxed);
        looking.join().unwrap()
    });
    let ended = watching.interrupt();
    ended.frames().for_each(adds_up);
    for look in looks.iter().step_by(12) {
        eprintln!("{:>5} s: {} KiB, {} descriptors", look.at.as_secs(), look.kib, look.descriptors);
    }
    let range = |from: Duration| {
        let kib = || looks.iter().filter(|look| look.at >= from).map(|look| look.kib);
        (kib().min().unwrap(), kib().max().unwrap())
    };
    for minute in [1, 2] {
        let (least, most) = range(Duration::from_secs(60 * minute));
        eprintln!("from minute {minute} on: {least} to {most} KiB, {} in 1000", (most - least) * 1000 / least);
    }
    let last = ended.last();
    eprintln!("{} frames: {last}", number(&last["frames"], "arrived"));
    assert!(number(last, "flows_expired") > number(last, "flows_active"), "few flows expired: {last}");
    // A look may meet a file that is just written: what is open in all looks of a minute stays open.
    let open: Vec<usize> =
        looks.chunks(12).filter_map(|minute| minute.iter().map(|look| look.descriptors).min()).collect();
    assert!(open.iter().all(|count| *count <= open[0]), "descriptors grew: {open:?}");
    let (least, most) = range(SETTLED);
    assert!(most <= least + least / 50, "{least} to {most} KiB");
    assert!(fs::exists(report).unwrap());
}
