//! What somebody outside sees of a run: that it makes progress, and what it does.

use crate::hook::Hook;
use crate::machine::{Input, Machine};
use crate::node::NodeIndex;
use crate::time::Now;
use crate::trace::{Event, Line};
use crate::world::View;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What somebody outside sees of a run; it changes nothing in it.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    /// Counts while the run makes progress.
    pub pulse: Option<Arc<Pulse>>,
    /// Holds the last inputs, also of a step that never returns.
    pub tail: Option<Arc<Tail>>,
    /// How many trace lines the report keeps; zero records none.
    pub trace_lines: usize,
    /// Whether the trace has the hash of a machine's state after each of its steps.
    pub trace_states: bool,
    /// Steps after which the run ends, if its plan allows more.
    pub steps_max: Option<u64>,
    /// Whether a plan that holds is run once more and has to do the same things.
    pub twice: bool,
    /// Whether a panic brings its stack along.
    pub backtrace: bool,
}

/// A counter that moves as long as a run does.
#[derive(Debug, Default)]
pub struct Pulse(AtomicU64);

impl Pulse {
    /// How often it moved.
    pub fn beats(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The last inputs that machines were given.
#[derive(Debug)]
pub struct Tail {
    lines: Mutex<VecDeque<Line>>,
    lines_max: usize,
}

impl Tail {
    /// Keeps up to `lines_max` lines.
    pub const fn new(lines_max: usize) -> Self {
        Self {
            lines: Mutex::new(VecDeque::new()),
            lines_max,
        }
    }

    /// The lines, oldest first.
    pub fn lines(&self) -> Vec<Line> {
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
    }

    fn push(&self, line: Line) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push_back(line);
        if lines.len() > self.lines_max {
            lines.pop_front();
        }
    }
}

/// Shows inputs to a watcher before the machine sees them.
pub(crate) struct Tap(pub(crate) Option<Arc<Tail>>);

impl<M: Machine> Hook<M> for Tap {
    fn on_input(&mut self, view: View<'_, M>, node: NodeIndex, _: Now, input: &Input<M>) {
        let Some(tail) = &self.0 else { return };
        let event = Event::of_input(input);
        tail.push(Line {
            at: view.at(),
            node: Some(node),
            event,
        });
    }
}
