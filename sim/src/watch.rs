//! What somebody outside sees of a run: that it makes progress, and what it does.

use crate::hook::Hook;
use crate::machine::{Input, Machine};
use crate::node::NodeIndex;
use crate::time::{Instant, Now};
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
    /// How many trace lines the report keeps: those that led to its finding, or the last ones
    /// where it has none. Zero records none.
    pub trace_lines: usize,
    /// When the run ends, without the checks of its end, if its plan does not end it before.
    pub until: Option<Instant>,
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
    /// The lines, and how many there were before the first one.
    lines: Mutex<(VecDeque<Line>, u64)>,
    lines_max: usize,
}

impl Tail {
    /// Keeps up to `lines_max` lines.
    pub const fn new(lines_max: usize) -> Self {
        Self {
            lines: Mutex::new((VecDeque::new(), 0)),
            lines_max,
        }
    }

    /// The lines, oldest first.
    pub fn lines(&self) -> Vec<Line> {
        let lines = self.lines.lock();
        let lines = lines.unwrap_or_else(PoisonError::into_inner);
        lines.0.iter().cloned().collect()
    }

    fn push(&self, at: Instant, node: NodeIndex, event: Event) {
        let lines = self.lines.lock();
        let mut lines = lines.unwrap_or_else(PoisonError::into_inner);
        let (lines, dropped) = &mut *lines;
        lines.push_back(Line {
            place: *dropped + lines.len() as u64,
            at,
            node: Some(node),
            number: None,
            event,
        });
        if lines.len() > self.lines_max {
            lines.pop_front();
            *dropped += 1;
        }
    }
}

/// Shows inputs to a watcher before the machine sees them.
pub(crate) struct Tap(pub(crate) Option<Arc<Tail>>);

impl<M: Machine> Hook<M> for Tap {
    fn on_input(&mut self, view: View<'_, M>, node: NodeIndex, _: Now, input: &Input<M>) {
        let Some(tail) = &self.0 else { return };
        let event = Event::of_input(input);
        tail.push(view.at(), node, event);
    }
}
