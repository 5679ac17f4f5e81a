//! The hot path: one input to one machine, and what follows from it.

use super::host::{NEVER, Parked};
use super::{View, World};
use crate::fault::Unsynced;
use crate::hook::{Cause, Hook, Step};
use crate::machine::{Effect, Input, Machine};
use crate::node::NodeIndex;
use crate::queue::{Entry, Tie};
use crate::time::Instant;
use crate::trace::Event;
use crate::violation::Violation;

/// What the digest takes in beside the content of an effect.
const PERSISTED: u64 = 3 << 32;
const PUT_OUT: u64 = 4 << 32;
const WOKEN: u64 = 7 << 61;

/// Messages that wait for a paused node at most; later ones are lost.
const PARKED_MAX: usize = 65_536;

impl<M: Machine> World<M> {
    /// Lets the node with the least deadline step.
    #[inline(always)]
    pub(super) fn wake<H: Hook<M>>(&mut self, hook: &mut H) -> Result<(), Violation> {
        let node = self.timers.first();
        self.digest
            .fold(self.now.as_nanos(), WOKEN | u64::from(node.0));
        self.step(node, Input::Wake, Cause::Wake, hook)
    }

    /// Lets a message arrive.
    #[inline(always)]
    pub(super) fn deliver<H: Hook<M>>(
        &mut self,
        entry: Entry,
        hook: &mut H,
    ) -> Result<(), Violation> {
        let (from, to) = (entry.tie.sender(), entry.tie.receiver());
        self.digest.fold(entry.at, entry.tie.0);
        let host = &self.hosts[to.at()];
        if host.machine.is_none() || host.paused {
            self.miss(entry.tie, entry.handle);
            return Ok(());
        }
        let message = self.take_letter(entry.handle);
        if self.refuses(from, to, &message) {
            return Ok(());
        }
        self.step(
            to,
            Input::Message { from, message },
            Cause::Message { from },
            hook,
        )
    }

    /// A message arrives at a node that does not run.
    #[cold]
    fn miss(&mut self, tie: Tie, handle: u32) {
        let to = tie.receiver();
        let host = &mut self.hosts[to.at()];
        if host.machine.is_some() && host.drive.parked.len() < PARKED_MAX {
            host.drive.parked.push_back(Parked::Message(tie, handle));
            return;
        }
        let message = self.take_letter(handle);
        self.record_in_hand(to, || Event::Refused {
            what: format!("{message:?} from {}", tie.sender()),
        });
    }

    pub(super) fn on_op<H: Hook<M>>(&mut self, handle: u32, hook: &mut H) -> Result<(), Violation> {
        let (node, op) = self.ops.get_mut(handle);
        let node = *node;
        let fingerprint = M::op_fingerprint(op);
        self.digest.fold(u64::from(node.0), fingerprint);
        let host = &mut self.hosts[node.at()];
        if host.machine.is_some() {
            if host.paused {
                host.drive.parked.push_back(Parked::Op(handle));
                return Ok(());
            }
            let (_, op) = self.ops.take(handle);
            return self.step_rare(node, Input::Op(op), Cause::Op, hook);
        }
        let (_, op) = self.ops.take(handle);
        self.record(Some(node), || Event::Refused {
            what: format!("op {op:?}"),
        });
        let view = View::new(self.now, &self.hosts, &self.network);
        hook.on_refused(view, node, &op, &mut self.schedule)?;
        self.grant();
        Ok(())
    }

    /// The same as `step`, for inputs that are too rare to have a copy of it each.
    #[inline(never)]
    pub(super) fn step_rare<H: Hook<M>>(
        &mut self,
        node: NodeIndex,
        input: Input<M>,
        cause: Cause,
        hook: &mut H,
    ) -> Result<(), Violation> {
        self.step(node, input, cause, hook)
    }

    /// Gives one input to a machine that runs, and performs what it orders.
    #[inline(always)]
    fn step<H: Hook<M>>(
        &mut self,
        node: NodeIndex,
        input: Input<M>,
        cause: Cause,
        hook: &mut H,
    ) -> Result<(), Violation> {
        let now = self.hosts[node.at()].clock.now(self.now);
        if self.trace.is_some() {
            self.record_input(node, &input);
        }
        let view = View::new(self.now, &self.hosts, &self.network);
        hook.on_input(view, node, now, &input);
        self.acting = Some(node);
        let Some(machine) = self.hosts[node.at()].machine.as_mut() else {
            return Ok(());
        };
        #[cfg(feature = "tracing")]
        crate::logs::within((node, self.now), self.trace.is_some(), || {
            machine.step(now, input, &mut self.out);
        });
        #[cfg(not(feature = "tracing"))]
        machine.step(now, input, &mut self.out);
        #[cfg(feature = "tracing")]
        self.record_said(node);
        self.after_step(node, now, cause, hook)
    }

    #[inline(always)]
    pub(super) fn after_step<H: Hook<M>>(
        &mut self,
        node: NodeIndex,
        now: crate::time::Now,
        cause: Cause,
        hook: &mut H,
    ) -> Result<(), Violation> {
        let view = View::new(self.now, &self.hosts, &self.network);
        if let Some(machine) = view.node(node) {
            let step = Step {
                view,
                node,
                machine,
                now,
                cause,
                effects: self.out.effects(),
            };
            let found = hook.on_step(&step, &mut self.schedule);
            if self.trace.is_some() {
                self.record_state(node);
            }
            if let Err(violation) = found {
                self.record_unperformed(node);
                return Err(violation);
            }
        }
        self.set_timer(node);
        if !self.out.effects.is_empty() {
            self.perform(node, hook)?;
        }
        self.grant();
        Ok(())
    }

    /// Takes over the deadline of a machine, if it moved.
    #[inline(always)]
    fn set_timer(&mut self, node: NodeIndex) {
        let host = &mut self.hosts[node.at()];
        let deadline = host.machine.as_ref().and_then(M::poll_timeout);
        let deadline = deadline.map_or(NEVER, Instant::as_nanos);
        if deadline != host.deadline {
            host.deadline = deadline;
            let at = match deadline {
                NEVER => None,
                _ => host.clock.noticed(Instant::from_nanos(deadline), self.now),
            };
            self.timers.set(node, at.map_or(NEVER, Instant::as_nanos));
        }
    }

    /// Sets the timer again, after the clock changed or the node began or ceased to run.
    pub(super) fn reset_timer(&mut self, node: NodeIndex) {
        let host = &mut self.hosts[node.at()];
        host.deadline = NEVER;
        self.timers.set(node, NEVER);
        if host.machine.is_some() && !host.paused {
            self.set_timer(node);
        }
    }

    /// Performs the effects of a step in order.
    #[inline(never)]
    fn perform<H: Hook<M>>(&mut self, node: NodeIndex, hook: &mut H) -> Result<(), Violation> {
        let mut out = core::mem::take(&mut self.out);
        let mut exits = false;
        for effect in out.effects.drain(..) {
            if self.trace.is_some() {
                self.record_effect(node, &effect);
            }
            match effect {
                Effect::Send { to, message } => self.send(node, to, message),
                Effect::Broadcast { message } => self.broadcast(node, message),
                Effect::Disk { token, ops } => {
                    self.digest.fold(PERSISTED | ops.len() as u64, token);
                    self.enqueue(node, token, ops);
                }
                Effect::Output(output) => {
                    self.digest.fold(PUT_OUT, M::output_fingerprint(&output));
                    let view = View::new(self.now, &self.hosts, &self.network);
                    hook.on_output(view, node, &output, &mut self.schedule)?;
                }
                Effect::Exit => exits = true,
            }
        }
        self.out = out;
        if exits {
            self.crash(node, Unsynced::Kept, hook)?;
        }
        Ok(())
    }

    /// Whether a message is of no use to its receiver.
    #[inline(always)]
    pub(super) fn refuses(&mut self, from: NodeIndex, to: NodeIndex, message: &M::Message) -> bool {
        let machine = self.hosts[to.at()].machine.as_ref();
        let refuses = machine.is_some_and(|machine| !machine.can_read(message));
        if refuses {
            self.record_unreadable(from, to, message);
        }
        refuses
    }
}
