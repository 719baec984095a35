//! A link of its own for each test: a network namespace with two ends of a veth pair, and frames sent from one to the other.
//!
//! Nobody else sends there, so every frame that arrives was sent by the test, and the kernel's own counters are the truth.

use std::fs;
use std::process::Command;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::common::Segment;
use crate::common::frame_of;

/// The end that frames are sent into.
pub(crate) const SENDER: &str = "tx0";

/// The end that is watched.
pub(crate) const WATCHED: &str = "rx0";

/// A network namespace, removed when it is dropped.
pub(crate) struct Net {
    pub(crate) name: String,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

impl Net {
    /// A fresh one, or a printed notice that the test skips.
    pub(crate) fn new() -> Option<Self> {
        let root = Command::new("id").arg("-u").output().is_ok_and(|said| said.stdout.starts_with(b"0\n"));
        if !root {
            eprintln!("skipped: only root can make network namespaces");
            return None;
        }
        let name = format!("portolan-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let Ok(made) = Command::new("ip").args(["netns", "add", &name]).output() else {
            eprintln!("skipped: there is no ip (iproute2)");
            return None;
        };
        if !made.status.success() {
            eprintln!("skipped: no network namespace can be made: {}", String::from_utf8_lossy(&made.stderr));
            return None;
        }
        let net = Self { name };
        // Nobody but the test speaks on this link.
        for which in ["all", "default"] {
            net.exec(&["sysctl", "-qw", &format!("net.ipv6.conf.{which}.disable_ipv6=1")]);
        }
        net.plug();
        Some(net)
    }

    /// Makes the pair of interfaces.
    pub(crate) fn plug(&self) {
        self.exec(&["ip", "link", "add", "name", SENDER, "type", "veth", "peer", "name", WATCHED]);
        for end in [SENDER, WATCHED] {
            self.exec(&["ip", "link", "set", end, "up", "arp", "off"]);
        }
        self.exec(&["ip", "link", "set", "lo", "up"]);
    }

    /// Makes an interface of another kind in the place of the watched end, or says that there can be none.
    pub(crate) fn plug_another_kind(&self) -> bool {
        let tunnel = ["tuntap", "add", WATCHED, "mode", "tun"];
        let made = self.command("ip").args(tunnel).status().is_ok_and(|status| status.success());
        if !made {
            eprintln!("skipped in part: no tunnel can be made");
        }
        made
    }

    /// A command inside the namespace.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Runs a command inside to its end; what it printed.
    pub(crate) fn exec(&self, words: &[&str]) -> String {
        let (program, rest) = words.split_first().unwrap();
        let output = self.command(program).args(rest).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// How many frames the kernel delivered to the watched end.
    pub(crate) fn arrived(&self) -> u64 {
        let path = format!("/sys/class/net/{WATCHED}/statistics/rx_packets");
        self.exec(&["cat", &path]).trim().parse().unwrap()
    }

    /// Sends frames, each so many milliseconds after the one before, all of it so many times, from a process of its own
    /// inside the namespace. Returns when all are sent.
    pub(crate) fn send(&self, frames: &[(u64, Vec<u8>)], times: u32) {
        self.send_into(SENDER, frames, times);
    }

    /// The same into another interface.
    pub(crate) fn send_into(&self, interface: &str, frames: &[(u64, Vec<u8>)], times: u32) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("frames");
        let mut text = Vec::new();
        for (pause_ms, frame) in frames {
            text.extend_from_slice(&u32::try_from(*pause_ms).unwrap().to_be_bytes());
            text.extend_from_slice(&u32::try_from(frame.len()).unwrap().to_be_bytes());
            text.extend_from_slice(frame);
        }
        fs::write(&path, text).unwrap();
        let me = std::env::current_exe().unwrap();
        let sent = self
            .command(me.to_str().unwrap())
            .args(["--exact", "sender", "--ignored", "--test-threads=1"])
            .env("PORTOLAN_TEST_FRAMES", &path)
            .env("PORTOLAN_TEST_SENDER", interface)
            .env("PORTOLAN_TEST_TIMES", times.to_string())
            .output()
            .unwrap();
        assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stdout));
    }

    /// Sends segments, each at its time.
    pub(crate) fn play(&self, segments: &[Segment<'_>]) {
        let mut now = 0;
        let mut timed = |(number, segment): (u16, &Segment<'_>)| {
            let pause = segment.at_ms - now;
            now = segment.at_ms;
            (pause, frame_of(segment, number))
        };
        let frames: Vec<_> = (1..).zip(segments).map(&mut timed).collect();
        self.send(&frames, 1);
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        Command::new("ip").args(["netns", "del", &self.name]).output().ok();
    }
}

/// What the sending process does: every frame of a file, so many times.
pub(crate) fn send_from_environment() {
    let path = std::env::var("PORTOLAN_TEST_FRAMES").unwrap();
    let times: u32 = std::env::var("PORTOLAN_TEST_TIMES").unwrap().parse().unwrap();
    let bytes = fs::read(path).unwrap();
    let mut frames = Vec::new();
    let mut rest = bytes.as_slice();
    while let Some((head, more)) = rest.split_first_chunk::<4>() {
        let (length, more) = more.split_first_chunk::<4>().unwrap();
        let (frame, more) = more.split_at(u32::from_be_bytes(*length) as usize);
        frames.push((Duration::from_millis(u32::from_be_bytes(*head).into()), frame));
        rest = more;
    }
    let sender = std::env::var("PORTOLAN_TEST_SENDER").unwrap();
    let mut device = pcap::Capture::from_device(sender.as_str()).unwrap().open().unwrap();
    for _ in 0..times {
        for (pause, frame) in &frames {
            if !pause.is_zero() {
                std::thread::sleep(*pause);
            }
            // A full queue of the device is no loss: the frame was not sent.
            while device.sendpacket(*frame).is_err() {
                std::thread::yield_now();
            }
        }
    }
}
