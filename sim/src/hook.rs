//! What a run calls: checks, host models and client models.
//!
//! A hook is generic, so calls that a hook leaves empty cost nothing. Hooks compose as tuples:
//! the first one that finds a violation ends the run. A hook sees everything but changes the run
//! only through its [`Schedule`].

use crate::disk::{Disk, DiskError};
use crate::fault::{Fault, Unsynced};
use crate::machine::{Effect, Input, Machine};
use crate::node::NodeIndex;
use crate::time::{Instant, Now};
use crate::violation::Violation;
use crate::world::host::View;
use std::ops::Range;
use std::sync::Arc;

/// What a step was caused by, without its content.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A deadline.
    Wake,
    /// A message.
    Message {
        /// Its sender.
        from: NodeIndex,
    },
    /// Something happened to a connection.
    Link {
        /// The node at its other end.
        peer: NodeIndex,
    },
    /// An operation of the workload.
    Op,
    /// The answer of the disk to a batch.
    Disk {
        /// The number of the batch.
        token: u64,
        /// Whether all of it was performed.
        result: Result<(), DiskError>,
    },
    /// A boot.
    Boot,
}

/// A step that has just been made; its effects are not performed yet.
#[derive(Debug)]
pub struct Step<'a, M: Machine> {
    /// The whole run.
    pub view: View<'a, M>,
    /// Who stepped.
    pub node: NodeIndex,
    /// The machine after the step.
    pub machine: &'a M,
    /// What its clocks showed.
    pub now: Now,
    /// Why it stepped.
    pub cause: Cause,
    /// What it wants done.
    pub effects: &'a [Effect<M>],
}

/// A part of a file whose bits may flip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flippable {
    /// The file.
    pub file: Arc<str>,
    /// The bytes.
    pub bytes: Range<u64>,
}

/// Observes a run and plays the part of its surroundings.
pub trait Hook<M: Machine> {
    /// Called before a machine steps, with the whole input.
    #[inline]
    fn on_input(&mut self, _view: View<'_, M>, _node: NodeIndex, _now: Now, _input: &Input<M>) {}

    /// Called after a step and before its effects are performed.
    ///
    /// # Errors
    /// A property that does not hold.
    #[inline]
    fn on_step(&mut self, _step: &Step<'_, M>, _: &mut Schedule<M>) -> Result<(), Violation> {
        Ok(())
    }

    /// Called for each output, in order.
    ///
    /// # Errors
    /// A property that does not hold.
    #[inline]
    fn on_output(
        &mut self,
        _view: View<'_, M>,
        _node: NodeIndex,
        _output: &M::Output,
        _schedule: &mut Schedule<M>,
    ) -> Result<(), Violation> {
        Ok(())
    }

    /// Called at the time of [`Schedule::alarm`].
    ///
    /// # Errors
    /// A property that does not hold.
    fn on_alarm(
        &mut self,
        _view: View<'_, M>,
        _tag: u64,
        _schedule: &mut Schedule<M>,
    ) -> Result<(), Violation> {
        Ok(())
    }

    /// Called when a node has booted; its effects are then performed.
    ///
    /// # Errors
    /// A property that does not hold.
    fn on_boot(
        &mut self,
        _view: View<'_, M>,
        _node: NodeIndex,
        _schedule: &mut Schedule<M>,
    ) -> Result<(), Violation> {
        Ok(())
    }

    /// Called when a node has crashed, with the machine as it died; the disk in the view is the
    /// one that the next boot will find.
    ///
    /// # Errors
    /// A property that does not hold.
    fn on_crash(
        &mut self,
        _view: View<'_, M>,
        _node: NodeIndex,
        _died: &M,
        _schedule: &mut Schedule<M>,
    ) -> Result<(), Violation> {
        Ok(())
    }

    /// Called when a fault has been applied, whether it had an effect or not.
    ///
    /// # Errors
    /// A property that does not hold.
    fn on_fault(
        &mut self,
        _view: View<'_, M>,
        _fault: &Fault,
        _schedule: &mut Schedule<M>,
    ) -> Result<(), Violation> {
        Ok(())
    }

    /// Called when an operation finds its node down; the operation is gone.
    ///
    /// # Errors
    /// A property that does not hold.
    fn on_refused(
        &mut self,
        _view: View<'_, M>,
        _node: NodeIndex,
        _op: &M::Op,
        _schedule: &mut Schedule<M>,
    ) -> Result<(), Violation> {
        Ok(())
    }

    /// Names the bytes of a disk that [`Fault::Flip`] may hit; `None` for all synced bytes.
    fn flippable(&mut self, _view: View<'_, M>, _node: NodeIndex, _disk: &Disk) -> Flips {
        None
    }
}

/// Parts of files, or `None` for all that is synced.
pub type Flips = Option<Vec<Flippable>>;

/// What a hook wants to happen later.
#[derive(Debug)]
pub struct Schedule<M: Machine> {
    pub(crate) wishes: Vec<Wish<M>>,
    pub(crate) traced: bool,
}

/// One thing that a hook wants.
#[derive(Debug)]
pub(crate) enum Wish<M: Machine> {
    Op(Instant, NodeIndex, M::Op),
    Alarm(Instant, u64),
    Fault(Instant, Fault),
    Crash(Instant, NodeIndex, Unsynced, Instant),
    Note(Option<NodeIndex>, String),
}

impl<M: Machine> Schedule<M> {
    pub(crate) const fn new() -> Self {
        Self {
            wishes: Vec::new(),
            traced: false,
        }
    }

    /// Gives `op` to `node` at true time `at`, or now if that is past.
    pub fn op(&mut self, at: Instant, node: NodeIndex, op: M::Op) {
        self.wishes.push(Wish::Op(at, node, op));
    }

    /// Calls [`Hook::on_alarm`] at true time `at`, or now if that is past.
    pub fn alarm(&mut self, at: Instant, tag: u64) {
        self.wishes.push(Wish::Alarm(at, tag));
    }

    /// Applies `fault` at true time `at`, or now if that is past.
    pub fn fault(&mut self, at: Instant, fault: Fault) {
        self.wishes.push(Wish::Fault(at, fault));
    }

    /// Crashes `node` at true time `at`, or now if that is past, and restarts it at `restart_at`.
    ///
    /// The restart belongs to this crash: another crash or boot of the node in between voids it,
    /// as the end of the faults does.
    pub fn crash(&mut self, at: Instant, node: NodeIndex, unsynced: Unsynced, restart_at: Instant) {
        self.wishes
            .push(Wish::Crash(at, node, unsynced, restart_at));
    }

    /// Adds a line to the trace, if there is one.
    pub fn note(&mut self, node: Option<NodeIndex>, text: impl FnOnce() -> String) {
        if self.traced {
            self.wishes.push(Wish::Note(node, text()));
        }
    }
}

/// No checks at all.
impl<M: Machine> Hook<M> for () {}

macro_rules! each {
    ($self:ident, $($call:tt)*) => {{
        $self.0.$($call)*?;
        $self.1.$($call)*
    }};
}

/// Both hooks, the first one first. Bits flip where both allow it to be decided: the first hook
/// that names bytes names them for both.
impl<M: Machine, A: Hook<M>, B: Hook<M>> Hook<M> for (A, B) {
    #[inline]
    fn on_input(&mut self, view: View<'_, M>, node: NodeIndex, now: Now, input: &Input<M>) {
        self.0.on_input(view, node, now, input);
        self.1.on_input(view, node, now, input);
    }

    #[inline]
    fn on_step(&mut self, step: &Step<'_, M>, later: &mut Schedule<M>) -> Result<(), Violation> {
        each!(self, on_step(step, later))
    }

    #[inline]
    fn on_output(
        &mut self,
        view: View<'_, M>,
        node: NodeIndex,
        output: &M::Output,
        later: &mut Schedule<M>,
    ) -> Result<(), Violation> {
        each!(self, on_output(view, node, output, later))
    }

    fn on_alarm(
        &mut self,
        view: View<'_, M>,
        tag: u64,
        later: &mut Schedule<M>,
    ) -> Result<(), Violation> {
        each!(self, on_alarm(view, tag, later))
    }

    fn on_boot(
        &mut self,
        view: View<'_, M>,
        node: NodeIndex,
        later: &mut Schedule<M>,
    ) -> Result<(), Violation> {
        each!(self, on_boot(view, node, later))
    }

    fn on_crash(
        &mut self,
        view: View<'_, M>,
        node: NodeIndex,
        died: &M,
        later: &mut Schedule<M>,
    ) -> Result<(), Violation> {
        each!(self, on_crash(view, node, died, later))
    }

    fn on_fault(
        &mut self,
        view: View<'_, M>,
        fault: &Fault,
        later: &mut Schedule<M>,
    ) -> Result<(), Violation> {
        each!(self, on_fault(view, fault, later))
    }

    fn on_refused(
        &mut self,
        view: View<'_, M>,
        node: NodeIndex,
        op: &M::Op,
        later: &mut Schedule<M>,
    ) -> Result<(), Violation> {
        each!(self, on_refused(view, node, op, later))
    }

    fn flippable(&mut self, view: View<'_, M>, node: NodeIndex, disk: &Disk) -> Flips {
        let first = self.0.flippable(view, node, disk);
        first.or_else(|| self.1.flippable(view, node, disk))
    }
}
