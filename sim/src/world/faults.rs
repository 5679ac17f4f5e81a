//! What each fault does to the world.

use super::effects::Effect;
use super::host::{Loss, Room};
use super::{View, World};
use crate::draw::{Site, mix, scale};
use crate::fault::{Fault, Keep};
use crate::hook::{Flippable, Hook};
use crate::machine::Machine;
use crate::node::NodeIndex;
use crate::queue::Entry;
use crate::trace::Event;
use crate::violation::Violation;
use core::time::Duration;

impl<M: Machine> World<M> {
    /// Applies a fault now.
    ///
    /// # Errors
    /// A property that did not hold, found by the hook.
    pub fn apply<H: Hook<M>>(&mut self, fault: &Fault, hook: &mut H) -> Result<(), Violation> {
        self.apply_telling(fault, hook).map(|_| ())
    }

    /// Applies a fault of the plan or of the hook, and counts what it did.
    pub(super) fn apply_counted<H: Hook<M>>(
        &mut self,
        fault: &Fault,
        hook: &mut H,
    ) -> Result<(), Violation> {
        let effect = self.apply_telling(fault, hook)?;
        if let (Effect::ToCome, Fault::Filter { message, from, to }) = (effect, fault)
            && self.network.forget_met(*message, *from, *to)
        {
            self.effects.came(|known| known == fault);
        }
        self.effects.count(self.now, fault, effect);
        Ok(())
    }

    fn apply_telling<H: Hook<M>>(
        &mut self,
        fault: &Fault,
        hook: &mut H,
    ) -> Result<Effect, Violation> {
        self.record(None, || Event::Fault {
            fault: fault.clone(),
        });
        let effect = match fault.nodes().all(|node| node.at() < self.hosts.len()) {
            true => self.apply_known(fault, hook)?,
            false => Effect::None,
        };
        let view = View::new(self.now, &self.hosts, &self.network);
        hook.on_fault(view, fault, &mut self.schedule)?;
        self.grant();
        Ok(effect)
    }

    fn apply_known<H: Hook<M>>(
        &mut self,
        fault: &Fault,
        hook: &mut H,
    ) -> Result<Effect, Violation> {
        let changed = match fault {
            Fault::Crash { node, unsynced } => {
                // The last crash decides whether the node comes back by itself.
                let drive = &mut self.hosts[node.at()].drive;
                let kept_down = drive.restart_due.take().is_some();
                self.crash(*node, *unsynced, hook)? || kept_down
            }
            Fault::Restart { node } => self.boot(*node, hook)?,
            Fault::Resume { node } => self.resume(*node, hook)?,
            Fault::Recover { nodes, keep } => {
                self.recover(nodes, keep, hook)?;
                true
            }
            Fault::Flip { node, bits } => self.flip(*node, *bits, hook),
            Fault::FlipAt {
                node,
                file,
                offset,
                bit,
            } => self.hosts[node.at()].drive.disk.flip(file, *offset, *bit),
            Fault::CrashAtPersist {
                node,
                op,
                unsynced,
                restart_after_ms,
            } => {
                self.set_trap(*node, *op, *unsynced, *restart_after_ms);
                return Ok(Effect::ToCome);
            }
            Fault::Pause { node } => self.pause(*node),
            Fault::Wipe { node } => self.wipe(*node),
            Fault::Partition { .. }
            | Fault::Cut { .. }
            | Fault::Mend { .. }
            | Fault::Clog { .. }
            | Fault::Unclog { .. }
            | Fault::Filter { .. }
            | Fault::Heal {}
            | Fault::Weather { .. } => {
                let changed = self.apply_network(fault);
                if changed && matches!(fault, Fault::Filter { .. }) {
                    return Ok(Effect::ToCome);
                }
                changed
            }
            Fault::ClockOffset { .. }
            | Fault::ClockStep { .. }
            | Fault::ClockJump { .. }
            | Fault::ClockRate { .. }
            | Fault::ClockStop { .. }
            | Fault::ClockStart { .. }
            | Fault::LateWake { .. } => self.apply_clock(fault),
            Fault::DiskLatency { .. }
            | Fault::DiskFull { .. }
            | Fault::DiskRoom { .. }
            | Fault::DiskSyncError { .. }
            | Fault::DiskLoseWrite { .. }
            | Fault::DiskSnapshot { .. }
            | Fault::DiskRestore { .. }
            | Fault::DiskReadError { .. }
            | Fault::Reformat { .. } => return Ok(self.apply_disk(fault)),
        };
        Ok(Effect::of(changed))
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the caller matched every fault and chose those of one kind"
    )]
    fn apply_network(&mut self, fault: &Fault) -> bool {
        let changed = match fault {
            Fault::Partition { groups } => self.network.part(groups),
            Fault::Cut { from, to } => self.network.set_cut(*from, *to, true),
            Fault::Mend { from, to } => self.network.set_cut(*from, *to, false),
            Fault::Clog { from, to } => self.network.set_clog(*from, *to, true),
            Fault::Unclog { from, to } => self.network.set_clog(*from, *to, false),
            Fault::Filter { message, from, to } => self.network.filter(*message, *from, *to),
            Fault::Heal {} => self.network.heal(false, |_, _| true),
            Fault::Weather { from, to, weather } => {
                let named = |wanted: Option<NodeIndex>, node| wanted.is_none_or(|w| w == node);
                let (wanted_from, wanted_to) = (*from, *to);
                self.network.set_weather(*weather, |from, to| {
                    named(wanted_from, from) && named(wanted_to, to)
                })
            }
            _ => false,
        };
        self.release();
        changed
    }

    /// Lets go what waited on links that are clogged no longer.
    fn release(&mut self) {
        let network = &self.network;
        let (waiting, free): (Vec<_>, Vec<_>) = core::mem::take(&mut self.held)
            .into_iter()
            .partition(|(tie, _)| network.is_clogged(tie.sender(), tie.receiver()));
        self.held = waiting;
        for (tie, handle) in free {
            let now = self.now.as_nanos();
            let at = self.network.release(&self.draw, now, tie);
            self.queue.push(Entry { at, tie, handle });
        }
        self.reassess(None);
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the caller matched every fault and chose those of one kind"
    )]
    fn apply_clock(&mut self, fault: &Fault) -> bool {
        let now = self.now;
        let true_ns = i128::from(self.wall_ms) * 1_000_000 + i128::from(now.as_nanos());
        let Some(node) = fault.nodes().next() else {
            return false;
        };
        let clock = &mut self.hosts[node.at()].clock;
        let before = clock.course(now);
        match fault {
            Fault::ClockOffset { ms, .. } => clock.set_wall(now, true_ns, *ms),
            Fault::ClockStep { ms, .. } => clock.step_wall(*ms),
            Fault::ClockJump { ms, .. } => clock.jump(now, Duration::from_millis(*ms)),
            Fault::ClockRate { ppm, .. } => clock.set_rate(now, *ppm),
            Fault::ClockStop { .. } => clock.set_stopped(now, true),
            Fault::ClockStart { .. } => clock.set_stopped(now, false),
            Fault::LateWake { by_ms, .. } => clock.set_late(Duration::from_millis(*by_ms)),
            _ => {}
        }
        let changed = clock.course(now) != before;
        self.reset_timer(node);
        changed
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the caller matched every fault and chose those of one kind"
    )]
    fn apply_disk(&mut self, fault: &Fault) -> Effect {
        let Some(node) = fault.nodes().next() else {
            return Effect::None;
        };
        let host = &mut self.hosts[node.at()];
        let (is_down, drive) = (host.machine.is_none(), &mut host.drive);
        Effect::of(match fault {
            Fault::DiskLatency { us_min, us_max, .. } => {
                let us = (*us_min, *us_max);
                core::mem::replace(&mut drive.us, us) != us
            }
            Fault::DiskFull { on, .. } => core::mem::replace(&mut drive.full, *on) != *on,
            Fault::DiskRoom { bytes, at_sync, .. } => {
                let used = drive.disk.used();
                let room = bytes.map(|bytes| Room {
                    capacity: used.saturating_add(bytes),
                    at_sync: *at_sync,
                });
                core::mem::replace(&mut drive.room, room) != room
            }
            Fault::DiskSyncError { .. } => {
                drive.sync_fails = true;
                return Effect::ToCome;
            }
            Fault::DiskLoseWrite { elsewhere, .. } => {
                drive.loses = Some(match elsewhere {
                    true => Loss::Elsewhere,
                    false => Loss::Nowhere,
                });
                return Effect::ToCome;
            }
            Fault::DiskSnapshot { .. } => {
                drive.image = Some(drive.disk.durable());
                true
            }
            Fault::DiskRestore { .. } if is_down => match &drive.image {
                Some(image) => {
                    drive.disk = image.clone();
                    true
                }
                None => false,
            },
            Fault::DiskReadError {
                file,
                offset,
                bytes,
                ..
            } => {
                let range = *offset..offset.saturating_add(*bytes);
                drive.disk.damage(file, range)
            }
            Fault::Reformat { .. } if is_down => {
                drive.disk = crate::disk::Disk::default();
                drive.run = 0;
                true
            }
            _ => false,
        })
    }

    /// Flips bits in the ranges that the hook allows, or in all synced bytes.
    fn flip<H: Hook<M>>(&mut self, node: NodeIndex, bits: u32, hook: &mut H) -> bool {
        let view = View::new(self.now, &self.hosts, &self.network);
        let disk = view.disk(node);
        let ranges = hook.flippable(view, node, disk).unwrap_or_else(|| {
            let whole = |(file, _): (&std::sync::Arc<str>, _)| Flippable {
                file: file.clone(),
                bytes: 0..disk.synced(file),
            };
            disk.files().map(whole).collect()
        });
        let size = |range: &Flippable| range.bytes.end.saturating_sub(range.bytes.start);
        let total: u64 = ranges.iter().map(size).sum();
        if total == 0 {
            return false;
        }
        let mut any = false;
        for _ in 0..bits {
            let flipped = &mut self.hosts[node.at()].drive.flipped;
            let drawn = self.draw.bits(Site::Flip, u64::from(node.0), *flipped);
            *flipped += 1;
            let mut place = scale(drawn, total);
            for range in &ranges {
                if place < size(range) {
                    let offset = range.bytes.start + place;
                    let disk = &mut self.hosts[node.at()].drive.disk;
                    any |= disk.flip(&range.file, offset, mix(drawn) as u8 & 7);
                    break;
                }
                place -= size(range);
            }
        }
        any
    }

    /// Ends every fault of `nodes`, or of all when empty, and of the links between them, but for
    /// what is kept.
    fn recover<H: Hook<M>>(
        &mut self,
        nodes: &[NodeIndex],
        keep: &[Keep],
        hook: &mut H,
    ) -> Result<(), Violation> {
        let keeps = |what| keep.contains(&what);
        let chosen = |node: NodeIndex| nodes.is_empty() || nodes.contains(&node);
        let between = |from, to| chosen(from) && chosen(to);
        self.network.heal(keeps(Keep::Cuts), between);
        if !keeps(Keep::Weather) {
            self.network.set_weather(None, between);
        }
        self.release();
        let (now, us) = (self.now, self.disk_us);
        for node in (0..self.nodes())
            .map(NodeIndex)
            .filter(|node| chosen(*node))
        {
            let host = &mut self.hosts[node.at()];
            host.clock.recover(now, keeps(Keep::Clocks));
            if !keeps(Keep::Disks) {
                host.drive.us = us;
            }
            host.drive.full = false;
            if !keeps(Keep::Room) {
                host.drive.room = None;
            }
            host.drive.sync_fails = false;
            host.drive.loses = None;
            host.drive.disk.mend();
            host.drive.trap = None;
            self.resume(node, hook)?;
            self.boot(node, hook)?;
            self.reset_timer(node);
        }
        Ok(())
    }
}
