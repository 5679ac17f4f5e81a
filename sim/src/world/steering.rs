//! Steps that somebody chooses: the world does one thing and waits to be told the next.
//!
//! Clocks stand still, each until a deadline of its node is chosen, to which it leaps. True time
//! only counts steps.

use super::host::{Host, NEVER};
use super::{Letter, World};
use crate::fault::Unsynced;
use crate::hook::{Cause, Hook};
use crate::machine::{Input, Machine, Message};
use crate::node::NodeIndex;
use crate::queue::{Entry, EventClass, Tie};
use crate::violation::Violation;
use core::hash::{Hash, Hasher};
use core::time::Duration;

/// Something that a step left for later.
pub(crate) enum Posted<M: Machine> {
    /// A message on its way.
    Mail(Entry),
    /// An operation that the hook asked for.
    Op(NodeIndex, M::Op),
}

/// What a node could do next.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) is_up: bool,
    /// Operations of the batch in service, if there is one.
    pub(crate) batch: Option<u16>,
    pub(crate) deadline: Deadline,
}

/// The deadline of a node.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Deadline {
    None,
    /// It is reached already.
    Due,
    ToCome,
}

/// How much true time a step takes.
pub(crate) const STEP: Duration = Duration::from_millis(1);

impl<M: Machine> World<M> {
    /// Boots all nodes, with clocks that stand still.
    pub(crate) fn begin_steered<H: Hook<M>>(&mut self, hook: &mut H) -> Result<(), Violation> {
        while self.queue.next_at() != NEVER {
            self.queue.pop();
        }
        for host in &mut self.hosts {
            host.clock.set_stopped(self.now, true);
        }
        for node in (0..self.nodes()).map(NodeIndex) {
            let booted = self.boot(node, hook).map(drop);
            booted.map_err(|violation| self.located(violation))?;
        }
        Ok(())
    }

    /// Begins the `number`-th step.
    pub(crate) fn begin_step(&mut self, number: u32) {
        self.now = crate::time::Instant::ZERO.after(STEP * number);
        self.steps += 1;
    }

    /// The next thing that was left for later; messages of one way in the order of sending.
    ///
    /// Alarms and faults that the hook asks for are about time, of which there is none here.
    pub(crate) fn next_posted(&mut self) -> Option<Posted<M>> {
        loop {
            if self.queue.next_at() == NEVER {
                return None;
            }
            let entry = self.queue.pop()?;
            if entry.tie.is_message() {
                return Some(Posted::Mail(entry));
            }
            match entry.tie.class() {
                EventClass::Op => {
                    let (node, op) = self.ops.take(entry.handle);
                    return Some(Posted::Op(node, op));
                }
                EventClass::Alarm => drop(self.alarms.take(entry.handle)),
                EventClass::Fault => drop(self.faults.take(entry.handle)),
                // Batches wait on their disks, and there are no connections.
                EventClass::Boot | EventClass::Disk | EventClass::Message | EventClass::Link => {}
            }
        }
    }

    /// Takes a message off its way.
    pub(crate) fn take_mail(&mut self, entry: Entry) -> M::Message {
        self.take_letter(entry.handle)
    }

    /// The fingerprint of a message on its way.
    pub(crate) fn mail_fingerprint(&mut self, entry: Entry) -> u64 {
        self.letters.get_mut(entry.handle).message.fingerprint()
    }

    /// Puts a message on its way again.
    pub(crate) fn put_mail(
        &mut self,
        from: NodeIndex,
        to: NodeIndex,
        message: M::Message,
    ) -> Entry {
        let handle = self.letters.insert(Letter { message, copies: 1 });
        Entry {
            at: 0,
            tie: Tie::message(0, from, to, false),
            handle,
        }
    }

    /// Loses a message.
    pub(crate) fn lose_mail(&mut self, entry: Entry) {
        self.record_lost(entry.tie.sender(), entry.tie.receiver(), entry.handle);
        drop(self.take_letter(entry.handle));
    }

    /// Lets a message arrive, and one like it later if it does so `again`.
    pub(crate) fn steer_mail<H: Hook<M>>(
        &mut self,
        entry: Entry,
        again: bool,
        hook: &mut H,
    ) -> Result<(), Violation> {
        if again {
            self.letters.get_mut(entry.handle).copies += 1;
        }
        let at = self.now.as_nanos();
        let stepped = self.deliver(Entry { at, ..entry }, hook);
        stepped.map_err(|violation| self.located(violation))
    }

    /// Gives an operation to a node.
    pub(crate) fn steer_op<H: Hook<M>>(
        &mut self,
        node: NodeIndex,
        op: M::Op,
        hook: &mut H,
    ) -> Result<(), Violation> {
        let handle = self.ops.insert((node, op));
        let stepped = self.on_op(handle, hook);
        stepped.map_err(|violation| self.located(violation))
    }

    /// Lets the disk of a node perform its batch in service.
    pub(crate) fn steer_disk<H: Hook<M>>(
        &mut self,
        node: NodeIndex,
        hook: &mut H,
    ) -> Result<(), Violation> {
        let boots = self.hosts[node.at()].drive.boots;
        let stepped = self.on_disk(u64::from(boots) << 16 | u64::from(node.0), hook);
        stepped.map_err(|violation| self.located(violation))
    }

    /// Lets the clocks of a node leap to its deadline.
    pub(crate) fn steer_deadline<H: Hook<M>>(
        &mut self,
        node: NodeIndex,
        hook: &mut H,
    ) -> Result<(), Violation> {
        let host = &mut self.hosts[node.at()];
        if host.machine.is_none() || host.deadline == NEVER {
            return Ok(());
        }
        let own = host.clock.own(self.now).as_nanos();
        let wait = Duration::from_nanos(host.deadline.saturating_sub(own));
        host.clock.jump(self.now, wait);
        let stepped = self.step_rare(node, Input::Wake, Cause::Wake, hook);
        stepped.map_err(|violation| self.located(violation))
    }

    /// Crashes a node after so many operations of its batch in service.
    pub(crate) fn steer_crash<H: Hook<M>>(
        &mut self,
        node: NodeIndex,
        unsynced: Unsynced,
        performed: u16,
        hook: &mut H,
    ) -> Result<(), Violation> {
        let drive = &mut self.hosts[node.at()].drive;
        let batch = drive.batches.pop_front();
        drive.batches.clear();
        let ops = batch.iter().flat_map(|batch| &batch.ops);
        for op in ops.take(performed.into()) {
            drive.performed += 1;
            drive.perform_op(op, &self.draw, u64::from(node.0));
        }
        let crashed = self.crash(node, unsynced, hook).map(drop);
        crashed.map_err(|violation| self.located(violation))
    }

    /// Boots a node that is down.
    pub(crate) fn steer_boot<H: Hook<M>>(
        &mut self,
        node: NodeIndex,
        hook: &mut H,
    ) -> Result<(), Violation> {
        let booted = self.boot(node, hook).map(drop);
        booted.map_err(|violation| self.located(violation))
    }

    /// What a node could do next.
    pub(crate) fn standing(&self, node: NodeIndex) -> Standing {
        let host = &self.hosts[node.at()];
        let own = host.clock.own(self.now).as_nanos();
        Standing {
            is_up: host.machine.is_some(),
            batch: host
                .drive
                .batches
                .front()
                .map(|batch| batch.ops.len() as u16),
            deadline: match host.deadline {
                NEVER => Deadline::None,
                at if at <= own => Deadline::Due,
                _ => Deadline::ToCome,
            },
        }
    }

    /// Puts another node, with its disk, into the place of a node.
    pub(crate) fn replace_host(&mut self, node: NodeIndex, host: Host<M>) -> Host<M> {
        core::mem::replace(&mut self.hosts[node.at()], host)
    }

    /// Copies a node with its disk.
    pub(crate) fn copy_host(&self, node: NodeIndex) -> Host<M>
    where
        M: Clone,
    {
        self.hosts[node.at()].clone()
    }

    /// Lets ways count their messages anew.
    pub(crate) fn forget_counts(&mut self) {
        self.network.forget_counts();
    }

    /// Takes in what the future of a node depends on: `machine` takes in the machine, with what its
    /// clocks show. A disk that nobody will read any more is no part of it.
    pub(crate) fn fold_host<P: Hasher>(
        &self,
        node: NodeIndex,
        is_read_again: bool,
        into: &mut P,
        machine: impl FnOnce(&M, crate::time::Now, &mut P),
    ) {
        let host = &self.hosts[node.at()];
        let drive = &host.drive;
        let now = host.clock.now(self.now);
        into.write_u8(u8::from(host.machine.is_some()));
        if let Some(running) = &host.machine {
            let wait = host.deadline.saturating_sub(now.instant.as_nanos());
            into.write_u64(if host.deadline == NEVER { NEVER } else { wait });
            machine(running, now, into);
        }
        for batch in &drive.batches {
            into.write_u64(batch.token);
            batch.ops.hash(into);
        }
        // Hooks see which run of its node it is.
        into.write_u32(drive.boots);
        if is_read_again {
            drive.disk.hash(into);
        }
    }
}
