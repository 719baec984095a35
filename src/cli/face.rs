//! How `watch` shows itself: a screen or lines for people, events for programs, or the report alone.
//!
//! Events are schema `portolan/event/1`, one JSON object a line; each line is written at once, whole.

use std::env;
use std::io;
use std::io::IsTerminal;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use serde::Serialize;

use crate::cli::exit::Stop;
use crate::cli::tui::Screen;
use crate::cli::tui::Want;
use crate::report::format::Format;
use crate::report::format::by_name;
use crate::report::ledger::Change;
use crate::report::ledger::Item;
use crate::report::ledger::State;
use crate::report::moment::Moment;
use crate::report::sanitise::Shown;
use crate::report::status::Snapshot;
use crate::report::status::Status;

/// The schema of events.
pub const EVENT_SCHEMA: &str = "portolan/event/1";

/// What the person asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wish {
    /// Nothing.
    GoOn,
    /// The report files, now.
    Report,
    /// To end.
    End,
}

/// Who is spoken to.
#[derive(Debug)]
enum To {
    /// A person, on a screen; then the report.
    Screen { screen: Screen, color: bool },
    /// A person, in lines; then the report.
    Person { color: bool },
    /// A program, in events.
    Program,
    /// Whoever reads the report at the end.
    Reader(&'static Format),
}

/// What is shown, and where.
#[derive(Debug)]
pub struct Face {
    to: To,
    /// Nobody reads any more.
    left: bool,
}

/// One line of events.
#[derive(Serialize)]
struct Line<'a, T: Serialize> {
    schema: &'static str,
    event: &'static str,
    at: Moment,
    #[serde(flatten)]
    what: &'a T,
}

#[derive(Serialize)]
struct Started<'a> {
    version: &'static str,
    interfaces: &'a [String],
    pid: u32,
}

#[derive(Serialize)]
struct Link<'a> {
    interface: &'a str,
    state: &'static str,
    fault: Option<Shown>,
}

#[derive(Serialize)]
struct Note<'a> {
    ok: bool,
    message: &'a str,
}

#[derive(Serialize)]
struct Changed<'a> {
    change: Change,
    #[serde(flatten)]
    item: &'a Item,
}

/// Whether a person sits there who chose nothing else, with a terminal that can show a screen.
pub fn wants_screen(format: Option<&'static Format>) -> bool {
    let able = env::var_os("TERM").is_some_and(|name| !name.is_empty() && name != "dumb");
    format.is_none() && able && io::stdin().is_terminal() && io::stdout().is_terminal()
}

impl Face {
    /// The face for a format, or for a terminal or none where the person chose nothing. `can_save`: there are files for
    /// the report; `back` is set when a screen was left.
    ///
    /// # Errors
    /// [`Stop`] if the terminal cannot be used.
    pub fn choose(
        format: Option<&'static Format>,
        color: bool,
        can_save: bool,
        back: &Arc<AtomicBool>,
    ) -> Result<Self, Stop> {
        let to = match format {
            None if wants_screen(format) => {
                To::Screen { screen: Screen::open(color, can_save, Arc::clone(back))?, color }
            }
            None if io::stdout().is_terminal() => To::Person { color },
            None => To::Program,
            Some(format) if format.name == "ndjson" => To::Program,
            Some(format) if format.name == "text" => To::Person { color },
            Some(format) => To::Reader(format),
        };
        Ok(Self { to, left: false })
    }

    /// Leaves the screen, if there is one; the rest is told in lines.
    pub fn leave(&mut self) {
        if let To::Screen { screen, color } = &self.to {
            screen.leave();
            self.to = To::Person { color: *color };
        }
    }

    /// Whether standard error would be written over a screen.
    pub fn is_screen(&self) -> bool {
        matches!(self.to, To::Screen { .. })
    }

    /// The format of the report that follows on standard output at the end.
    pub fn report_format(&self) -> Option<&'static Format> {
        match self.to {
            _ if self.left => None,
            To::Screen { .. } | To::Person { .. } => by_name("text"),
            To::Program => None,
            To::Reader(format) => Some(format),
        }
    }

    /// Says that watching began.
    ///
    /// # Errors
    /// [`Stop`] if nothing can be written, as for all the others.
    pub fn start(&mut self, at: Moment, interfaces: &[String]) -> Result<(), Stop> {
        let started = Started { version: env!("CARGO_PKG_VERSION"), interfaces, pid: std::process::id() };
        self.say(at, "start", &started, || format!("watching {}", interfaces.join(", ")))
    }

    /// Lets some time pass; what the person wants meanwhile.
    pub fn attend(&mut self, at_most: Duration) -> Wish {
        if self.left {
            return Wish::End;
        }
        if let To::Screen { screen, .. } = &self.to {
            return match screen.attend(at_most) {
                Want::Nothing => Wish::GoOn,
                Want::Report => Wish::Report,
                Want::End => Wish::End,
            };
        }
        thread::sleep(at_most);
        Wish::GoOn
    }

    /// Shows everything as it is now.
    pub fn show(&self, snapshot: &Snapshot<'_>) {
        if let To::Screen { screen, .. } = &self.to {
            screen.show(snapshot);
        }
    }

    /// Tells what happened to findings.
    ///
    /// # Errors
    /// See [`Face::start`].
    pub fn tell(&mut self, at: Moment, changes: &[(Change, Item)]) -> Result<(), Stop> {
        for (change, item) in changes {
            let changed = Changed { change: *change, item };
            self.say(at, "finding", &changed, || told(*change, item))?;
        }
        Ok(())
    }

    /// Tells how it goes.
    ///
    /// # Errors
    /// See [`Face::start`].
    pub fn status(&mut self, status: &Status) -> Result<(), Stop> {
        self.say(status.at, "status", status, || status.line())
    }

    /// Tells what became of an interface.
    ///
    /// # Errors
    /// See [`Face::start`].
    pub fn link(&mut self, at: Moment, name: &str, state: &'static str, fault: Option<&str>) -> Result<(), Stop> {
        let link = Link { interface: name, state, fault: fault.map(Shown::text) };
        self.say(at, "link", &link, || format!("{name} is {state}"))
    }

    /// Tells how an order of the person went: `reload`, `report` or `rotate`.
    ///
    /// # Errors
    /// See [`Face::start`].
    pub fn note(&mut self, at: Moment, event: &'static str, ok: bool, message: &str) -> Result<(), Stop> {
        if let To::Screen { screen, .. } = &self.to {
            // A fault is told over several lines, with its place in the file.
            screen.say(format!("{} {}", at.clock(false), message.replace('\n', " / ")), Some(ok));
            return Ok(());
        }
        self.say(at, event, &Note { ok, message }, || message.to_owned())
    }

    /// Says that watching ended.
    ///
    /// # Errors
    /// See [`Face::start`].
    pub fn end(&mut self, status: &Status) -> Result<(), Stop> {
        self.say(status.at, "end", status, || format!("end: {}", status.line()))
    }

    /// A line to whom it is for.
    fn say<T: Serialize>(
        &mut self,
        at: Moment,
        event: &'static str,
        what: &T,
        words: impl FnOnce() -> String,
    ) -> Result<(), Stop> {
        let mut line = match &self.to {
            _ if self.left => return Ok(()),
            To::Reader(_) => return Ok(()),
            // A screen always shows how it goes.
            To::Screen { .. } if event == "status" => return Ok(()),
            To::Screen { screen, .. } => {
                screen.say(format!("{} {}", at.clock(false), words()), None);
                return Ok(());
            }
            To::Program => {
                let line = Line { schema: EVENT_SCHEMA, event, at, what };
                serde_json::to_vec(&line).map_err(Stop::io)?
            }
            To::Person { color } => {
                let words = words();
                let (on, off) = if *color && event == "finding" { ("\u{1b}[1m", "\u{1b}[0m") } else { ("", "") };
                format!("{} {on}{words}{off}", at.clock(false)).into_bytes()
            }
        };
        line.push(b'\n');
        let mut out = io::stdout().lock();
        let written = out.write_all(&line).and_then(|()| out.flush()).map_err(|error| Stop::stdout(&error));
        match written {
            Err(stop) if stop.is_quiet() => {
                self.left = true;
                Ok(())
            }
            other => other,
        }
    }
}

/// A change of a finding in one line.
fn told(change: Change, item: &Item) -> String {
    let finding = &item.finding;
    let port = finding.port.map(|port| format!("/{port}")).unwrap_or_default();
    let what = format!(
        "#{} {} -> {} {}, {}{port}",
        item.id,
        finding.client,
        finding.server,
        finding.service.as_str(),
        finding.transport
    );
    let how = format!("{}, {} ({})", finding.outcome, finding.confidence, finding.reason);
    let kind = finding.kind.name().replace('_', " ").to_uppercase();
    match (change, item.state) {
        (Change::New, State::Open) => format!("{kind} {what}: {how}"),
        (Change::Again, _) => format!("{kind} AGAIN {what}: {how}"),
        (Change::Updated, _) => {
            format!("{kind} {what}: {how}, {} attempts in {} flows", finding.attempts, finding.flows)
        }
        _ => format!("{what}: {}", item.life(false)),
    }
}
