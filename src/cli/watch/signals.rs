//! The signals that a watch obeys.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::SIGHUP;
use signal_hook::consts::SIGINT;
use signal_hook::consts::SIGTERM;
use signal_hook::consts::SIGUSR1;

use crate::cli::exit::Stop;

/// What they ask for.
pub(super) struct Signals {
    pub(super) stop: Arc<AtomicBool>,
    /// Whether one more signal may end the program at once.
    pub(super) quit: Arc<AtomicBool>,
    pub(super) report: Arc<AtomicBool>,
    pub(super) reload: Arc<AtomicBool>,
}

impl Signals {
    /// `screen`: a terminal must be given back first, and whoever does that sets `quit`.
    pub(super) fn listen(screen: bool) -> Result<Self, Stop> {
        let signals =
            Self { stop: Arc::default(), quit: Arc::default(), report: Arc::default(), reload: Arc::default() };
        let listen = || {
            for (signal, code) in [(SIGINT, 130), (SIGTERM, 143)] {
                // The first one ends the watch and prints the report; a second one quits at once.
                signal_hook::flag::register_conditional_shutdown(signal, code, Arc::clone(&signals.quit))?;
                signal_hook::flag::register(signal, Arc::clone(&signals.stop))?;
                if !screen {
                    signal_hook::flag::register(signal, Arc::clone(&signals.quit))?;
                }
            }
            signal_hook::flag::register(SIGUSR1, Arc::clone(&signals.report))?;
            signal_hook::flag::register(SIGHUP, Arc::clone(&signals.reload))
        };
        listen().map_err(|error| Stop::io(format!("cannot listen for signals: {error}")))?;
        Ok(signals)
    }
}
