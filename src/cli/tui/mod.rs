//! The screen of `watch` on a terminal.
//!
//! A thread of its own draws and reads keys, so that a key is answered at once however long a judgement takes, and a
//! terminal that stands still holds up nothing. The judging thread leaves a [`Board`] where the screen finds it, the
//! newest only. The terminal is given back whatever ends the program, except a kill.

mod board;
mod draw;
mod order;
mod state;

use std::collections::VecDeque;
use std::io;
use std::io::Stdout;
use std::os::fd::AsFd;
use std::panic;
use std::process;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::TryLockError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use nix::poll::PollFd;
use nix::poll::PollFlags;
use nix::poll::PollTimeout;
use nix::poll::poll;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Hide;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event;
use ratatui::crossterm::event::Event;
use ratatui::crossterm::event::KeyEventKind;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal;
use ratatui::crossterm::terminal::EnterAlternateScreen;
use ratatui::crossterm::terminal::LeaveAlternateScreen;

use crate::cli::exit::Stop;
use crate::cli::tui::board::Board;
use crate::cli::tui::board::Wanted;
use crate::cli::tui::state::Ask;
use crate::cli::tui::state::Mode;
use crate::cli::tui::state::State;
use crate::report::status::Snapshot;

/// How soon something new is drawn where no key is pressed.
const LOOK: Duration = Duration::from_millis(50);

/// A terminal that stands still is waited for so long when the watch ends.
const LEAVE: Duration = Duration::from_secs(2);

/// What is being drawn is waited for so long before the terminal is given back, in milliseconds.
const GIVE_BACK_WAIT: u32 = 100;

/// The name of the thread that draws.
const THREAD: &str = "screen";

/// Words that wait to be shown; the oldest go first.
const WORDS_MAX: usize = 100;

/// The exit code of who was interrupted twice (128 and SIGINT).
const INTERRUPTED: i32 = 130;

/// What the person wants of the watch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Want {
    /// Nothing.
    Nothing,
    /// The report files, now.
    Report,
    /// To end.
    End,
}

/// What both threads reach.
#[derive(Debug)]
struct Shared {
    /// The newest, until it is drawn.
    board: Mutex<Option<Board>>,
    /// What was said since; with whether it went well, if it answers the person.
    words: Mutex<VecDeque<(String, Option<bool>)>>,
    wanted: Mutex<Wanted>,
    leave: AtomicBool,
    glass: Glass,
}

/// The terminal while it shows the screen.
#[derive(Debug)]
struct Glass {
    /// Held while something is drawn.
    drawing: Mutex<()>,
    /// Set when the terminal is as it was: nothing is drawn any more, and a signal may end the program at once.
    back: Arc<AtomicBool>,
}

/// The screen, as the judging thread sees it.
#[derive(Debug)]
pub(super) struct Screen {
    shared: Arc<Shared>,
    asks: Receiver<Ask>,
}

impl Screen {
    /// Takes the terminal. `can_save`: there are files for the report; `back` is set when the terminal was given back.
    ///
    /// # Errors
    /// [`Stop`] if the terminal cannot be used so.
    pub(super) fn open(color: bool, can_save: bool, back: Arc<AtomicBool>) -> Result<Self, Stop> {
        let failed = |error: io::Error| Stop::io(format!("cannot use the terminal: {error}; --format text needs less"));
        let glass = Glass { drawing: Mutex::default(), back };
        let shared = Arc::new(Shared {
            board: Mutex::default(),
            words: Mutex::default(),
            wanted: Mutex::default(),
            leave: AtomicBool::new(false),
            glass,
        });
        give_back_on_panic(&shared);
        let (answer, asks) = mpsc::channel();
        let screen = Self { shared: Arc::clone(&shared), asks };
        terminal::enable_raw_mode().map_err(failed)?;
        execute!(io::stdout(), EnterAlternateScreen, Hide).map_err(failed)?;
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout())).map_err(failed)?;
        let own = Own { terminal, state: State::new(can_save), shared, answer, color };
        let named = thread::Builder::new().name(THREAD.to_owned());
        named.spawn(move || own.run()).map_err(failed)?;
        Ok(screen)
    }

    /// Lets some time pass, or less if the person wants something.
    pub(super) fn attend(&self, at_most: Duration) -> Want {
        match self.asks.recv_timeout(at_most) {
            Ok(Ask::Report) => Want::Report,
            Ok(Ask::End) | Err(RecvTimeoutError::Disconnected) => Want::End,
            Err(RecvTimeoutError::Timeout) => Want::Nothing,
        }
    }

    /// Leaves what is known now to be drawn.
    pub(super) fn show(&self, snapshot: &Snapshot<'_>) {
        let wanted = lock(&self.shared.wanted).clone();
        let board = Board::of(snapshot, &wanted);
        *lock(&self.shared.board) = Some(board);
    }

    /// Leaves a word to be shown; `answer`: it tells the person how an order went.
    pub(super) fn say(&self, words: String, answer: Option<bool>) {
        let mut waiting = lock(&self.shared.words);
        if waiting.len() >= WORDS_MAX {
            waiting.pop_front();
        }
        waiting.push_back((words, answer));
    }

    /// Gives the terminal back.
    pub(super) fn leave(&self) {
        self.shared.leave.store(true, Ordering::Relaxed);
        // The thread drops its end of the channel when it is done.
        while self.asks.recv_timeout(LEAVE).is_ok() {}
        self.shared.glass.give_back();
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Glass {
    /// Makes the terminal what it was, once. Waits a little for what another thread is drawing, but not for a terminal
    /// that stands still.
    fn give_back(&self) {
        let own = thread::current().name() == Some(THREAD);
        let held = (0..if own { 0 } else { GIVE_BACK_WAIT }).find_map(|_| match self.drawing.try_lock() {
            Ok(held) => Some(held),
            Err(TryLockError::Poisoned(held)) => Some(held.into_inner()),
            Err(TryLockError::WouldBlock) => {
                thread::sleep(Duration::from_millis(1));
                None
            }
        });
        if self.back.swap(true, Ordering::Relaxed) {
            return;
        }
        // Nobody is left to be told if this fails. Where the other thread hangs in a write, a second one would, too.
        if own || held.is_some() {
            execute!(io::stdout(), LeaveAlternateScreen, Show).ok();
        }
        terminal::disable_raw_mode().ok();
    }
}

/// A thread that dies must speak on a terminal that is readable.
fn give_back_on_panic(shared: &Arc<Shared>) {
    let (shared, before) = (Arc::clone(shared), panic::take_hook());
    panic::set_hook(Box::new(move |info| {
        shared.glass.give_back();
        before(info);
    }));
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The screen, as its own thread sees it.
struct Own {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    state: State,
    shared: Arc<Shared>,
    answer: Sender<Ask>,
    color: bool,
}

impl Own {
    fn run(mut self) {
        if self.go_on().is_err() {
            // There is no terminal any more: nobody watches.
            self.answer.send(Ask::End).ok();
        }
    }

    fn go_on(&mut self) -> io::Result<()> {
        let mut fresh = true;
        while !self.shared.leave.load(Ordering::Relaxed) {
            fresh |= self.take();
            if fresh && !self.draw()? {
                return Ok(());
            }
            fresh = self.listen()?;
        }
        Ok(())
    }

    /// Takes what was left for it; whether there was something.
    fn take(&mut self) -> bool {
        let board = lock(&self.shared.board).take();
        let words = std::mem::take(&mut *lock(&self.shared.words));
        let fresh = board.is_some() || !words.is_empty();
        for (words, answer) in words {
            self.state.hear(words, answer);
        }
        if let Some(board) = board {
            self.state.take(board);
        }
        fresh
    }

    /// Draws what changed; `false` if the terminal was given back.
    fn draw(&mut self) -> io::Result<bool> {
        let _drawing = lock(&self.shared.glass.drawing);
        if self.shared.glass.back.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let (state, color) = (&mut self.state, self.color);
        self.terminal.draw(|frame| draw::draw(state, color, frame.area(), frame.buffer_mut()))?;
        Ok(true)
    }

    /// Waits a moment for a key, and obeys it; whether there was one.
    ///
    /// # Errors
    /// There is no terminal any more.
    fn listen(&mut self) -> io::Result<bool> {
        wait_for_keys()?;
        let mut heard = false;
        while event::poll(Duration::ZERO)? {
            heard = true;
            let Event::Key(key) = event::read()? else { continue };
            if key.kind == KeyEventKind::Release {
                continue;
            }
            let ending = self.state.mode == Mode::Ending;
            let ask = self.state.key(key);
            if ending && ask == Some(Ask::End) {
                self.shared.glass.give_back();
                process::exit(INTERRUPTED);
            }
            if let Some(ask) = ask {
                self.answer.send(ask).ok();
            }
        }
        let mut wanted = lock(&self.shared.wanted);
        if heard {
            *wanted = self.state.wanted();
        }
        Ok(heard)
    }
}

/// Waits a moment for something to read. The library that reads keys would turn in a circle where the terminal hung up.
fn wait_for_keys() -> io::Result<()> {
    let keys = io::stdin();
    let mut waiting = [PollFd::new(keys.as_fd(), PollFlags::POLLIN)];
    // A signal is no reason to end; that the window has another size is one, for instance.
    poll(&mut waiting, PollTimeout::try_from(LOOK).unwrap_or(PollTimeout::ZERO)).ok();
    let gone = |events: PollFlags| events.intersects(PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL);
    if waiting.iter().any(|one| one.revents().is_some_and(gone)) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test may stop, and says why it skips")]

    use std::env;
    use std::process::Command;
    use std::time::Instant;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(120);

    /// What another test starts in a terminal; alone it does nothing.
    #[test]
    #[ignore = "started by another test"]
    #[expect(clippy::panic, reason = "that is what is tested")]
    fn a_thread_dies_under_the_screen() {
        if env::var_os("PORTOLAN_TEST_DIES").is_none() {
            return;
        }
        let back = Arc::new(AtomicBool::new(false));
        let screen = Screen::open(true, false, Arc::clone(&back)).unwrap();
        thread::sleep(4 * LOOK);
        assert!(thread::spawn(|| panic!("as it was wanted")).join().is_err());
        assert!(back.load(Ordering::Relaxed));
        // Nothing is cleaned up any more.
        std::mem::forget(screen);
        process::exit(7);
    }

    #[test]
    fn a_panic_speaks_on_a_terminal_that_was_given_back() {
        let server = format!("portolan-dies-{}", process::id());
        let tmux = |words: &[&str]| {
            let said = Command::new("tmux").args(["-L", &server]).args(words).output();
            said.map(|said| String::from_utf8_lossy(&said.stdout).into_owned())
        };
        let me = env::current_exe().unwrap();
        let test = "cli::tui::tests::a_thread_dies_under_the_screen";
        let run = format!("PORTOLAN_TEST_DIES=1 {} --exact {test} --ignored --nocapture", me.display());
        let line = format!("stty -g > $0; {run}; echo code $?; stty -g | cmp - $0 && echo as before; sleep 1000");
        let settings = tempfile::NamedTempFile::new().unwrap();
        let shell = ["sh", "-c", &line, settings.path().to_str().unwrap()];
        let begun = [&["-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24"][..], &shell].concat();
        if tmux(&begun).is_err() {
            eprintln!("skipped: there is no tmux");
            return;
        }
        let began = Instant::now();
        let screen = loop {
            let screen = tmux(&["capture-pane", "-p", "-S", "-"]).unwrap();
            if screen.contains("as before") || began.elapsed() > PATIENCE {
                break screen;
            }
            thread::sleep(LOOK);
        };
        let state = tmux(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"]).unwrap();
        tmux(&["kill-server"]).unwrap();
        assert!(screen.contains("as it was wanted") && screen.contains("code 7"), "{screen}");
        assert!(screen.contains("as before"), "{screen}");
        assert_eq!(state.trim(), "0 1");
    }
}
