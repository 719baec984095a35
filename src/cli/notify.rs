//! A word to the service manager (systemd, `sd_notify(3)`): that watching began, that it still goes on, that it ends.

use std::env;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;
use std::time::Instant;

/// The way to the service manager, if there is one.
#[derive(Debug)]
pub struct Manager {
    socket: Option<UnixDatagram>,
    /// How often it wants to hear that all is well.
    every: Option<Duration>,
    told: Instant,
}

impl Manager {
    /// As the environment says.
    pub fn find() -> Self {
        let every = env::var("WATCHDOG_USEC").ok().and_then(|text| text.parse().ok()).map(Duration::from_micros);
        // Half of it, as the manual asks.
        Self { socket: connect(), every: every.map(|every| every / 2), told: Instant::now() }
    }

    /// Watching began.
    pub fn ready(&self) {
        self.say("READY=1");
    }

    /// Watching ends; the report may take a while.
    pub fn stopping(&self) {
        self.say("STOPPING=1");
    }

    /// All is well, if the manager wants to know by now.
    pub fn alive(&mut self) {
        if self.every.is_some_and(|every| self.told.elapsed() >= every) {
            self.say("WATCHDOG=1");
            self.told = Instant::now();
        }
    }

    fn say(&self, word: &str) {
        if let Some(socket) = &self.socket {
            // A manager that went away changes nothing of the watch.
            socket.send(word.as_bytes()).ok();
        }
    }
}

fn connect() -> Option<UnixDatagram> {
    let path = env::var("NOTIFY_SOCKET").ok()?;
    let socket = UnixDatagram::unbound().ok()?;
    match path.strip_prefix('@') {
        Some(name) => socket.connect_addr(&SocketAddr::from_abstract_name(name).ok()?).ok()?,
        None => socket.connect(&path).ok()?,
    }
    socket.set_nonblocking(true).ok()?;
    Some(socket)
}
