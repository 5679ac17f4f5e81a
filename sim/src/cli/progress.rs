//! How far a sweep or a search for a smaller plan is, on standard error: a bar on a terminal, a line now and then elsewhere.

use super::console::{grouped, per_second, seconds};
use crate::shrink;
use crate::sweep::Progress;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

const HEARTBEAT: Duration = Duration::from_secs(10);

/// Shows progress until it is dropped.
pub(super) enum Meter {
    Bar(ProgressBar),
    Lines { next: Duration },
}

impl Meter {
    pub(super) fn new(color: bool) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines { next: HEARTBEAT };
        }
        let bar = ProgressBar::new(1);
        let template = match color {
            true => "  {bar:40.green/dim} {pos}/{len} runs  {msg}  {eta} left",
            false => "  {bar:40} {pos}/{len} runs  {msg}  {eta} left",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━━╌"));
        }
        Self::Bar(bar)
    }

    pub(super) fn show(&mut self, progress: &Progress) {
        match self {
            Self::Bar(bar) => {
                bar.set_length(progress.runs_all);
                bar.set_position(progress.runs);
                bar.set_message(message(progress));
            }
            Self::Lines { next } => {
                if progress.elapsed >= *next {
                    *next = progress.elapsed + HEARTBEAT;
                    let (runs, all) = (grouped(progress.runs), grouped(progress.runs_all));
                    let (message, elapsed) = (message(progress), seconds(progress.elapsed, 0));
                    let _ = writeln!(
                        std::io::stderr(),
                        "{elapsed}: {runs} of {all} runs, {message}"
                    );
                }
            }
        }
    }
}

/// Shows how small a plan has become, until it is dropped.
pub(super) enum Gauge {
    Bar(ProgressBar),
    Lines { started: Instant, next: Duration },
}

impl Gauge {
    pub(super) fn new(color: bool) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines {
                started: Instant::now(),
                next: HEARTBEAT,
            };
        }
        let bar = ProgressBar::new_spinner();
        let template = match color {
            true => "  {spinner:.green} {msg}",
            false => "  {spinner} {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self::Bar(bar)
    }

    pub(super) fn show(&mut self, progress: &shrink::Progress) {
        let shrink::Progress { pass, runs, size } = progress;
        let message = || {
            format!(
                "{} faults, {} operations, {} nodes; {pass}, {} plans tried",
                size.faults,
                size.ops,
                size.nodes,
                grouped(*runs)
            )
        };
        match self {
            Self::Bar(bar) => {
                bar.tick();
                bar.set_message(message());
            }
            Self::Lines { started, next } if started.elapsed() >= *next => {
                *next = started.elapsed() + HEARTBEAT;
                let elapsed = seconds(started.elapsed(), 0);
                let _ = writeln!(std::io::stderr(), "{elapsed}: {}", message());
            }
            Self::Lines { .. } => {}
        }
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn message(progress: &Progress) -> String {
    let rate = grouped(per_second(progress.steps, progress.elapsed));
    match progress.failed {
        0 => format!("{rate} steps/s"),
        failed => format!("{rate} steps/s, {} failed", grouped(failed)),
    }
}
