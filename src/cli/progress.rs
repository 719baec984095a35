//! The progress bar on standard error, for inputs that take longer than a moment.

use std::cell::Cell;
use std::time::Duration;
use std::time::Instant;

use indicatif::ProgressBar;
use indicatif::ProgressStyle;

use crate::capture::facts::Progress;

/// Nothing is drawn before this: most captures are read by then.
const PATIENCE: Duration = Duration::from_secs(1);

/// Time between two drawings.
const REFRESH: Duration = Duration::from_millis(200);

/// A bar, or nothing where nobody looks.
pub(crate) struct Bar {
    drawing: Option<ProgressBar>,
    began: Instant,
    drawn: Cell<Option<Instant>>,
}

impl Bar {
    /// A bar that is drawn if `wanted`.
    pub(crate) fn new(wanted: bool) -> Self {
        let drawing = wanted.then(ProgressBar::hidden);
        Self { drawing, began: Instant::now(), drawn: Cell::new(None) }
    }

    /// Draws how far reading is, at most five times a second.
    pub(crate) fn show(&self, progress: &Progress) {
        let Some(bar) = &self.drawing else { return };
        let now = Instant::now();
        let due = match self.drawn.get() {
            None => now.duration_since(self.began) >= PATIENCE,
            Some(drawn) => now.duration_since(drawn) >= REFRESH,
        };
        if !due {
            return;
        }
        if self.drawn.replace(Some(now)).is_none() {
            bar.set_draw_target(indicatif::ProgressDrawTarget::stderr());
            let template = if progress.bytes_total.is_some() {
                "{bar:30} {percent:>3}%  {msg}  {bytes_per_sec}, {eta} left"
            } else {
                "{spinner} {bytes}  {msg}  {bytes_per_sec}"
            };
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
        }
        if let Some(total) = progress.bytes_total {
            bar.set_length(total);
        }
        bar.set_position(progress.bytes_read);
        let seconds = now.duration_since(self.began).as_secs().max(1);
        bar.set_message(format!("{} frames, {} a second", progress.frames, progress.frames / seconds));
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.drawing {
            bar.finish_and_clear();
        }
    }
}
