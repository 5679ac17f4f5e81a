//! The hot path: one input to one machine, and what follows from it.

use super::host::{NEVER, Parked};
use super::{Letter, Planned, View, World};
use crate::draw::{Site, mix};
use crate::hook::{Cause, Hook, Step, Wish};
use crate::machine::{Boot, Effect, Input, Machine, Message, NodeIndex};
use crate::network::Route;
use crate::queue::{Entry, Tie};
use crate::time::Instant;
use crate::trace::{self, Event};
use crate::violation::Violation;

/// What the digest takes in beside the content of an effect.
const SENT: u64 = 1 << 32;
const BROADCAST: u64 = 2 << 32;
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
        self.record(Some(to), || Event::Refused {
            what: format!("{message:?} from {}", tie.sender()),
        });
    }

    #[inline(always)]
    pub(super) fn take_letter(&mut self, handle: u32) -> M::Message {
        let letter = self.letters.get_mut(handle);
        if letter.copies > 1 {
            letter.copies -= 1;
            letter.message.clone()
        } else {
            self.letters.take(handle).message
        }
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
        machine.step(now, input, &mut self.out);
        self.after_step(node, now, cause, hook)
    }

    #[inline(always)]
    fn after_step<H: Hook<M>>(
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
            hook.on_step(&step, &mut self.schedule)?;
        }
        if self.trace.is_some() {
            self.record_state(node);
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
            }
        }
        self.out = out;
        Ok(())
    }

    #[inline]
    fn send(&mut self, from: NodeIndex, to: NodeIndex, message: M::Message) {
        assert!(
            to.at() < self.hosts.len(),
            "{from} sends to {to}, which is not a node"
        );
        self.digest
            .fold(SENT | u64::from(to.0), message.fingerprint());
        let what = (message.kind(), message.size());
        let message = if self.codec {
            message.decoded()
        } else {
            message
        };
        let handle = self.letters.insert(Letter { message, copies: 1 });
        let copies = self.post(from, to, what, handle);
        self.set_copies(handle, copies);
    }

    /// Sends one message to all others; its content is stored once.
    #[inline]
    fn broadcast(&mut self, from: NodeIndex, message: M::Message) {
        self.digest.fold(BROADCAST, message.fingerprint());
        let what = (message.kind(), message.size());
        let message = if self.codec {
            message.decoded()
        } else {
            message
        };
        let handle = self.letters.insert(Letter { message, copies: 0 });
        let mut copies = 0;
        for to in 0..self.hosts.len() as u16 {
            if to != from.0 {
                copies += self.post(from, NodeIndex(to), what, handle);
            }
        }
        self.set_copies(handle, copies);
    }

    #[inline]
    fn set_copies(&mut self, handle: u32, copies: u32) {
        if copies == 0 {
            self.letters.take(handle);
        } else {
            self.letters.get_mut(handle).copies = copies;
        }
    }

    /// Puts a message on its link and returns how often it will arrive.
    #[inline(always)]
    fn post(&mut self, from: NodeIndex, to: NodeIndex, what: (u16, u32), handle: u32) -> u32 {
        let now = self.now.as_nanos();
        match self.network.route(&self.draw, now, (from, to), what) {
            Route::Once(at, tie) => {
                self.queue.push(Entry { at, tie, handle });
                1
            }
            Route::Twice(arrivals) => {
                for (at, tie) in arrivals {
                    self.queue.push(Entry { at, tie, handle });
                }
                2
            }
            Route::Damaged(at, tie, bits) => {
                self.post_damaged(at, tie, bits, handle);
                0
            }
            Route::Held(tie) => {
                self.held.push((tie, handle));
                1
            }
            Route::Streamed(counter) => self.post_stream((from, to), what, counter, handle),
            Route::Lost => {
                self.record_lost(from, to, handle);
                0
            }
        }
    }

    /// Lets what a receiver makes of damaged bytes arrive, if it can make anything of them.
    #[cold]
    fn post_damaged(&mut self, at: u64, tie: Tie, bits: u64, handle: u32) {
        let message = self.letters.get_mut(handle).message.corrupt(bits);
        match message {
            Some(message) => {
                let handle = self.letters.insert(Letter { message, copies: 1 });
                self.queue.push(Entry { at, tie, handle });
            }
            None => self.record_lost(tie.sender(), tie.receiver(), handle),
        }
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

    #[cold]
    fn record_unreadable(&mut self, from: NodeIndex, to: NodeIndex, message: &M::Message) {
        self.record(Some(to), || Event::Refused {
            what: format!("unreadable {message:?} from {from}"),
        });
    }

    /// Schedules what the hook asked for.
    #[inline]
    pub(super) fn grant(&mut self) {
        if !self.schedule.wishes.is_empty() {
            self.grant_all();
        }
    }

    #[cold]
    fn grant_all(&mut self) {
        let mut wishes = core::mem::take(&mut self.schedule.wishes);
        for wish in wishes.drain(..) {
            match wish {
                Wish::Op(at, node, op) => self.schedule_op(at, node, op),
                Wish::Alarm(at, tag) => self.schedule_alarm(at, tag),
                Wish::Fault(at, fault) => self.schedule_fault(at, fault),
                Wish::Crash(at, node, unsynced, restart_at) => {
                    let planned = Planned::Crash {
                        node,
                        unsynced,
                        restart_at,
                    };
                    self.plan(at, planned);
                }
                Wish::Note(node, text) => self.record(node, || Event::Note { text }),
            }
        }
        self.schedule.wishes = wishes;
    }

    /// Boots a node that is down; tells whether it was.
    pub(super) fn boot<H: Hook<M>>(
        &mut self,
        node: NodeIndex,
        hook: &mut H,
    ) -> Result<bool, Violation> {
        let nodes = self.nodes();
        self.acting = Some(node);
        let host = &mut self.hosts[node.at()];
        if host.machine.is_some() {
            return Ok(false);
        }
        host.drive.restart_due = None;
        host.drive.run += 1;
        host.drive.boots += 1;
        let (run, store) = (host.drive.run, host.drive.store);
        self.digest.fold(run, store);
        let now = host.clock.now(self.now);
        let lane = u64::from(node.0) << 32 | mix(store) >> 32;
        let boot = Boot {
            node,
            nodes,
            seed: self.draw.bits(Site::Boot, lane, run),
            run,
            store,
            disk: &host.drive.disk,
            now,
        };
        let machine = M::boot(&self.configs[node.at()], boot, &mut self.out);
        host.machine = Some(machine);
        host.deadline = NEVER;
        self.record(Some(node), || Event::Boot { run, store });
        self.boot_streams(node);
        let view = View::new(self.now, &self.hosts, &self.network);
        hook.on_boot(view, node, &mut self.schedule)?;
        self.after_step(node, now, Cause::Boot, hook)?;
        Ok(true)
    }

    /// Adds a line to the trace, if there is one.
    #[inline]
    pub(super) fn record(&mut self, node: Option<NodeIndex>, event: impl FnOnce() -> Event) {
        if let Some(trace) = &mut self.trace {
            trace.push(self.now, node, event());
        }
    }

    #[cold]
    fn record_state(&mut self, node: NodeIndex) {
        if let Some(trace) = self.trace.as_mut().filter(|trace| trace.has_states()) {
            let machine = self.hosts[node.at()].machine.as_ref();
            let hash = machine.map_or(0, M::state_hash);
            trace.push(self.now, Some(node), Event::State { hash });
        }
    }

    #[cold]
    pub(super) fn record_lost(&mut self, from: NodeIndex, to: NodeIndex, handle: u32) {
        if let Some(trace) = &mut self.trace {
            let message = format!("{:?}", self.letters.get_mut(handle).message);
            trace.push(self.now, Some(from), Event::Lost { to, message });
        }
    }

    #[cold]
    fn record_input(&mut self, node: NodeIndex, input: &Input<M>) {
        self.record(Some(node), || match input {
            Input::Wake => Event::Wake {},
            Input::Message { from, message } => Event::Receive {
                from: *from,
                message: format!("{message:?}"),
            },
            Input::Link(link) => Event::Link {
                link: link.to_string(),
            },
            Input::Op(op) => Event::Op {
                op: format!("{op:?}"),
            },
            Input::Disk { token, result } => trace::stored(*token, *result),
        });
    }

    #[cold]
    fn record_effect(&mut self, node: NodeIndex, effect: &Effect<M>) {
        self.record(Some(node), || match effect {
            Effect::Send { to, message } => Event::Send {
                to: Some(*to),
                message: format!("{message:?}"),
            },
            Effect::Broadcast { message } => Event::Send {
                to: None,
                message: format!("{message:?}"),
            },
            Effect::Disk { token, ops } => trace::persist(*token, ops),
            Effect::Output(output) => Event::Output {
                output: format!("{output:?}"),
            },
        });
    }
}
