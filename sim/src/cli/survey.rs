//! How far a search through states is, on standard error.

use super::console::{grouped, per_second, seconds};
use crate::explore::Progress;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::time::Duration;

const HEARTBEAT: Duration = Duration::from_secs(10);

/// Shows progress until it is dropped.
pub(super) enum Survey {
    /// Of what was reached so far, the part whose next states are known, too.
    Bar(ProgressBar),
    Lines {
        next: Duration,
    },
}

impl Survey {
    pub(super) fn new(color: bool) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines { next: HEARTBEAT };
        }
        let bar = ProgressBar::new(1);
        let template = match color {
            true => "  {bar:40.green/dim} {msg}",
            false => "  {bar:40} {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━━╌"));
        }
        Self::Bar(bar)
    }

    pub(super) fn show(&mut self, progress: &Progress, bytes: u64, elapsed: Duration) {
        let message = || {
            format!(
                "{} states, {} waiting, {} choices deep, {}/s, {} MiB",
                grouped(progress.states),
                grouped(progress.waiting),
                progress.depth,
                grouped(per_second(progress.states, elapsed)),
                grouped(bytes >> 20)
            )
        };
        match self {
            Self::Bar(bar) => {
                bar.set_length(progress.states);
                bar.set_position(progress.states - progress.waiting);
                bar.set_message(message());
            }
            Self::Lines { next } if elapsed >= *next => {
                *next = elapsed + HEARTBEAT;
                let _ = writeln!(std::io::stderr(), "{}: {}", seconds(elapsed, 0), message());
            }
            Self::Lines { .. } => {}
        }
    }
}

impl Drop for Survey {
    fn drop(&mut self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}
