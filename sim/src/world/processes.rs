//! Processes boot, crash, pause and go on.

use super::host::{NEVER, Parked, Trap};
use super::{Planned, View, World};
use crate::draw::{Site, mix};
use crate::fault::{Fault, Unsynced};
use crate::hook::{Cause, Hook};
use crate::machine::{Boot, Input, Machine};
use crate::node::NodeIndex;
use crate::time::Instant;
use crate::trace::Event;
use crate::violation::Violation;

impl<M: Machine> World<M> {
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
        let (run, store, boots) = (host.drive.run, host.drive.store, host.drive.boots);
        self.digest.fold(run, store);
        let now = host.clock.now(self.now);
        let lane = u64::from(node.0) << 32 | mix(store) >> 32;
        let boot = Boot {
            node,
            nodes,
            // A store that is formatted anew counts its runs from 1 again; entropy never repeats.
            seed: self.draw.bits(Site::Boot, lane, boots.into()),
            run,
            store,
            disk: &host.drive.disk,
            now,
        };
        #[cfg(feature = "tracing")]
        let machine = crate::logs::within((node, self.now), self.trace.is_some(), || {
            M::boot(&self.configs[node.at()], boot, &mut self.out)
        });
        #[cfg(not(feature = "tracing"))]
        let machine = M::boot(&self.configs[node.at()], boot, &mut self.out);
        host.machine = Some(machine);
        host.deadline = NEVER;
        self.record(Some(node), || Event::Boot { run, store });
        #[cfg(feature = "tracing")]
        self.record_said(node);
        self.boot_streams(node);
        let view = View::new(self.now, &self.hosts, &self.network);
        hook.on_boot(view, node, &mut self.schedule)?;
        self.after_step(node, now, Cause::Boot, hook)?;
        Ok(true)
    }

    /// Crashes a node that is up; tells whether it was.
    pub(super) fn crash<H: Hook<M>>(
        &mut self,
        node: NodeIndex,
        unsynced: Unsynced,
        hook: &mut H,
    ) -> Result<bool, Violation> {
        let host = &mut self.hosts[node.at()];
        let Some(died) = host.machine.take() else {
            return Ok(false);
        };
        self.acting = None;
        host.paused = false;
        host.deadline = NEVER;
        // A trap belongs to the run that it was set in.
        host.drive.trap = None;
        self.silence(node);
        self.discard_parked(node);
        self.abandon_batches(node);
        let drive = &mut self.hosts[node.at()].drive;
        let crashes = u64::from(drive.boots);
        let fate = drive
            .disk
            .crash(unsynced, &self.draw, u64::from(node.0), crashes);
        // What was not synced survives only where the system does.
        self.crash_streams(node, fate == Unsynced::Kept);
        self.record(Some(node), || Event::Crash {});
        self.record_role(node);
        let view = View::new(self.now, &self.hosts, &self.network);
        hook.on_crash(view, node, &died, &mut self.schedule)?;
        self.grant();
        Ok(true)
    }

    /// Lets the `op`-th file operation of a node from now on crash it.
    pub(super) fn set_trap(
        &mut self,
        node: NodeIndex,
        op: u64,
        unsynced: Unsynced,
        restart_after_ms: Option<u64>,
    ) {
        let drive = &mut self.hosts[node.at()].drive;
        drive.trap = Some(Trap {
            op: drive.performed.saturating_add(op.saturating_sub(1)),
            unsynced,
            restart_after_ms,
        });
    }

    /// Crashes a node and restarts it at `restart_at`, unless another crash or boot comes between.
    pub(super) fn crash_for_a_while<H: Hook<M>>(
        &mut self,
        node: NodeIndex,
        unsynced: Unsynced,
        restart_at: Instant,
        hook: &mut H,
    ) -> Result<(), Violation> {
        self.apply_counted(&Fault::Crash { node, unsynced }, hook)?;
        self.restart_at(restart_at, node);
        Ok(())
    }

    /// Lets the crash that just happened end at `at`.
    pub(super) fn restart_at(&mut self, at: Instant, node: NodeIndex) {
        let crash = self.numbered;
        self.hosts[node.at()].drive.restart_due = Some(crash);
        self.plan(at, Planned::RestartOf { node, crash });
    }

    /// The end of a crash is reached; it is void if another crash or boot came between.
    pub(super) fn restart_of<H: Hook<M>>(
        &mut self,
        node: NodeIndex,
        crash: u64,
        hook: &mut H,
    ) -> Result<(), Violation> {
        match self.hosts[node.at()].drive.restart_due == Some(crash) {
            true => self.apply(&Fault::Restart { node }, hook),
            false => Ok(()),
        }
    }

    pub(super) fn pause(&mut self, node: NodeIndex) -> bool {
        let host = &mut self.hosts[node.at()];
        let runs = host.machine.is_some() && !host.paused;
        if runs {
            host.paused = true;
            self.silence(node);
            self.reassess(Some(node));
        }
        runs
    }

    pub(super) fn resume<H: Hook<M>>(
        &mut self,
        node: NodeIndex,
        hook: &mut H,
    ) -> Result<bool, Violation> {
        let host = &mut self.hosts[node.at()];
        if !host.paused {
            return Ok(false);
        }
        host.paused = false;
        self.reset_timer(node);
        self.reassess(Some(node));
        self.unpark(node, hook)?;
        Ok(true)
    }

    pub(super) fn wipe(&mut self, node: NodeIndex) -> bool {
        let host = &mut self.hosts[node.at()];
        let is_down = host.machine.is_none();
        if is_down {
            host.drive.disk = crate::disk::Disk::default();
            host.drive.store += 1;
            host.drive.run = 0;
        }
        is_down
    }

    /// Gives a node that goes on everything that waited for it.
    fn unpark<H: Hook<M>>(&mut self, node: NodeIndex, hook: &mut H) -> Result<(), Violation> {
        let parked = core::mem::take(&mut self.hosts[node.at()].drive.parked);
        for waited in parked {
            let (input, cause) = match waited {
                Parked::Message(tie, handle) => {
                    let from = tie.sender();
                    let message = self.take_letter(handle);
                    if self.refuses(from, node, &message) {
                        continue;
                    }
                    (Input::Message { from, message }, Cause::Message { from })
                }
                Parked::Link(link) => {
                    let peer = link.peer;
                    (Input::Link(link), Cause::Link { peer })
                }
                Parked::Op(handle) => (Input::Op(self.ops.take(handle).1), Cause::Op),
                Parked::Disk(token, result) => {
                    (Input::Disk { token, result }, Cause::Disk { token, result })
                }
            };
            self.steps += 1;
            self.step_rare(node, input, cause, hook)?;
        }
        Ok(())
    }

    /// Forgets what waited for a node that crashes while it is paused.
    fn discard_parked(&mut self, node: NodeIndex) {
        for waited in core::mem::take(&mut self.hosts[node.at()].drive.parked) {
            match waited {
                Parked::Message(tie, handle) => {
                    let message = self.take_letter(handle);
                    self.record_in_hand(node, || Event::Refused {
                        what: format!("{message:?} from {}", tie.sender()),
                    });
                }
                Parked::Op(handle) => drop(self.ops.take(handle)),
                Parked::Disk(..) | Parked::Link(_) => {}
            }
        }
    }

    /// When a paused or crashed node would be asked again: never before it is resumed.
    fn silence(&mut self, node: NodeIndex) {
        self.timers.set(node, Instant::MAX.as_nanos());
    }
}
