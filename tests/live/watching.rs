//! The program while it watches: its events as they come, signals to it, what it left behind.

use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::thread;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;

use crate::common::PROGRAM;
use crate::net::Net;
use crate::net::WATCHED;

/// Nobody waits longer; a test that gets so far failed.
const PATIENCE: Duration = Duration::from_secs(120);

/// A watch under way.
pub(crate) struct Watching {
    child: Child,
    events: Arc<Mutex<Vec<Value>>>,
    reading: Option<JoinHandle<()>>,
}

/// What it left behind.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) events: Vec<Value>,
    pub(crate) stderr: String,
}

impl Watching {
    /// Watches the end of a link that frames come to, with these options.
    pub(crate) fn begin(net: &Net, options: &[&str]) -> Self {
        Self::begin_as(net.command(PROGRAM), options, Stdio::piped())
    }

    /// The same of a command that begins the program, with a standard error of its own.
    pub(crate) fn begin_as(mut command: Command, options: &[&str], stderr: Stdio) -> Self {
        let mut child = command
            .args(["watch", "-i", WATCHED, "--format", "ndjson", "--status-every", "1s"])
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .unwrap();
        let events: Arc<Mutex<Vec<Value>>> = Arc::default();
        let (kept, out) = (Arc::clone(&events), BufReader::new(child.stdout.take().unwrap()));
        let reading = thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                kept.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        });
        let watching = Self { child, events, reading: Some(reading) };
        watching.wait_for("the start", |event| event["event"] == "status");
        watching
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How much of memory it has, KiB, and how many descriptors.
    pub(crate) fn resident(&self) -> (u64, usize) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kib = line.split_whitespace().next().unwrap().parse().unwrap();
        (kib, fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count())
    }

    /// How many events came.
    pub(crate) fn count(&self) -> usize {
        self.events.lock().unwrap().len()
    }

    /// The first event that is wanted, when it comes.
    pub(crate) fn wait_for(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.wait_after(0, what, wanted)
    }

    /// The same of the events after the first so many.
    pub(crate) fn wait_after(&self, known: usize, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            if let Some(event) = self.events.lock().unwrap().iter().skip(known).find(|event| wanted(event)) {
                return event.clone();
            }
            assert!(began.elapsed() < PATIENCE, "{what} did not come: {:#?}", self.events.lock().unwrap());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: &str) {
        let done = Command::new("kill").args([&format!("-{signal}"), &self.pid().to_string()]).status().unwrap();
        assert!(done.success());
    }

    /// Ends it as a person would.
    pub(crate) fn interrupt(self) -> Ended {
        self.signal("INT");
        self.end()
    }

    /// Waits until it ends.
    pub(crate) fn end(mut self) -> Ended {
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(began.elapsed() < PATIENCE, "it does not end");
            thread::sleep(Duration::from_millis(20));
        };
        self.reading.take().unwrap().join().unwrap();
        let mut stderr = String::new();
        if let Some(said) = &mut self.child.stderr {
            std::io::Read::read_to_string(said, &mut stderr).unwrap();
        }
        let events = std::mem::take(&mut *self.events.lock().unwrap());
        Ended { code: status.code(), events, stderr }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        // A test that failed leaves nobody behind.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Ended {
    /// The last event.
    pub(crate) fn last(&self) -> &Value {
        self.events.last().unwrap()
    }

    /// Every count of frames that was told, in order.
    pub(crate) fn frames(&self) -> impl Iterator<Item = &Value> {
        self.events.iter().filter_map(|event| event.get("frames").filter(|frames| frames.is_object()))
    }

    /// The findings' events.
    pub(crate) fn findings(&self) -> impl Iterator<Item = &Value> {
        self.events.iter().filter(|event| event["event"] == "finding")
    }
}
