//! Batches of file operations: service in order, completion, and crashes in the middle.

use super::World;
use super::host::{Batch, Drive, Loss, Parked, Trap};
use crate::digest::digest_bytes;
use crate::disk::{DiskError, FileOp};
use crate::draw::{Draws, Site, scale};
use crate::fault::Fault;
use crate::hook::{Cause, Hook};
use crate::machine::{Input, Machine};
use crate::node::NodeIndex;
use crate::queue::{EventClass, Tie};
use crate::violation::Violation;
use core::time::Duration;

/// How a batch ended.
enum Served {
    Answered(Result<(), DiskError>),
    /// The node crashes at one of its operations.
    Trapped(Trap),
}

impl<M: Machine> World<M> {
    /// Hands a batch to the disk of a node.
    pub(super) fn enqueue(&mut self, node: NodeIndex, token: u64, ops: Vec<FileOp>) {
        for op in &ops {
            self.fold_op(op);
        }
        let drive = &mut self.hosts[node.at()].drive;
        drive.batches.push_back(Batch { token, ops });
        if drive.batches.len() == 1 {
            self.serve(node);
        }
    }

    fn fold_op(&mut self, op: &FileOp) {
        let (kind, name, number) = match op {
            FileOp::Append { file, bytes } => (1, file, digest_bytes(bytes)),
            FileOp::Write {
                file,
                offset,
                bytes,
            } => (2, file, digest_bytes(bytes) ^ offset.rotate_left(32)),
            FileOp::Truncate { file, length } => (3, file, *length),
            FileOp::Sync { file } => (4, file, 0),
            FileOp::Rename { from, to } => (5, from, digest_bytes(to.as_bytes())),
            FileOp::Remove { file } => (6, file, 0),
            FileOp::SyncDir => return self.digest.fold(7, 0),
        };
        self.digest.fold(kind, number);
        self.digest.fold_bytes(name.as_bytes());
    }

    /// Begins to serve the first batch of a node.
    fn serve(&mut self, node: NodeIndex) {
        let drive = &mut self.hosts[node.at()].drive;
        let (min, max) = drive.us;
        let span = max.saturating_sub(min).saturating_mul(1_000) + 1;
        let bits = self.draw.bits(Site::Disk, u64::from(node.0), drive.served);
        drive.served += 1;
        let takes = min.saturating_mul(1_000).saturating_add(scale(bits, span));
        let at = self.now.after(Duration::from_nanos(takes));
        drive.done = at;
        // A completion from before a crash is recognised by the boot that it belongs to; the
        // boot is in the tie, because an old and a new completion may meet at one instant.
        let number = u64::from(drive.boots) << 16 | u64::from(node.0);
        self.push(at, Tie::numbered(EventClass::Disk, number), 0);
    }

    /// The batch in service is done.
    pub(super) fn on_disk<H: Hook<M>>(
        &mut self,
        number: u64,
        hook: &mut H,
    ) -> Result<(), Violation> {
        let node = NodeIndex(number as u16);
        let host = &mut self.hosts[node.at()];
        if u64::from(host.drive.boots) != number >> 16 || host.machine.is_none() {
            return Ok(());
        }
        let Some(batch) = host.drive.batches.pop_front() else {
            return Ok(());
        };
        let result = match self.perform_batch(node, &batch.ops) {
            Served::Answered(result) => result,
            Served::Trapped(trap) => return self.spring(node, trap, hook),
        };
        self.digest.fold(
            batch.token,
            match result {
                Ok(()) => 0,
                Err(DiskError::Full { at }) => 1 | u64::from(at) << 8,
                Err(DiskError::Failed) => 2,
            },
        );
        let host = &mut self.hosts[node.at()];
        if !host.drive.batches.is_empty() {
            self.serve(node);
        }
        self.answer(node, batch.token, result, hook)
    }

    fn answer<H: Hook<M>>(
        &mut self,
        node: NodeIndex,
        token: u64,
        result: Result<(), DiskError>,
        hook: &mut H,
    ) -> Result<(), Violation> {
        let host = &mut self.hosts[node.at()];
        if host.paused {
            host.drive.parked.push_back(Parked::Disk(token, result));
            return Ok(());
        }
        self.step_rare(
            node,
            Input::Disk { token, result },
            Cause::Disk { token, result },
            hook,
        )
    }

    fn perform_batch(&mut self, node: NodeIndex, ops: &[FileOp]) -> Served {
        let drive = &mut self.hosts[node.at()].drive;
        let lane = u64::from(node.0);
        let is_sync_error =
            |fault: &Fault| matches!(fault, Fault::DiskSyncError { node: of } if *of == node);
        let is_lost_write =
            |fault: &Fault| matches!(fault, Fault::DiskLoseWrite { node: of, .. } if *of == node);
        for (at, op) in ops.iter().enumerate() {
            let number = drive.performed;
            drive.performed += 1;
            if let Some(trap) = drive.trap.take_if(|trap| trap.op <= number) {
                if self.draw.bits(Site::Prefix, lane, number) & 1 == 1 {
                    drive.perform_op(op, &self.draw, lane);
                }
                return Served::Trapped(trap);
            }
            if let Some(error) = drive.fail_sync(op, at, &self.draw, (lane, number)) {
                if error == DiskError::Failed {
                    self.effects.came(is_sync_error);
                }
                return Served::Answered(Err(error));
            }
            let (waits, fits) = (
                drive.loses.is_some(),
                drive.perform_op(op, &self.draw, lane),
            );
            if waits && drive.loses.is_none() {
                self.effects.came(is_lost_write);
            }
            if !fits {
                let at = at as u32;
                return Served::Answered(Err(DiskError::Full { at }));
            }
        }
        Served::Answered(Ok(()))
    }

    /// Crashes a node at a file operation.
    fn spring<H: Hook<M>>(
        &mut self,
        node: NodeIndex,
        trap: Trap,
        hook: &mut H,
    ) -> Result<(), Violation> {
        self.effects
            .came(|fault| matches!(fault, Fault::CrashAtPersist { node: of, .. } if *of == node));
        if let Some(after) = trap.restart_after_ms {
            self.restart_at(self.now.after(Duration::from_millis(after)), node);
        }
        // Batches behind this one were not begun.
        self.hosts[node.at()].drive.batches.clear();
        self.crash(node, trap.unsynced, hook).map(|_| ())
    }

    /// Performs a drawn part of the batch in service and forgets the rest; the node crashes.
    pub(super) fn abandon_batches(&mut self, node: NodeIndex) {
        let drive = &mut self.hosts[node.at()].drive;
        let Some(batch) = drive.batches.pop_front() else {
            return;
        };
        drive.batches.clear();
        let bits = self
            .draw
            .bits(Site::Prefix, u64::from(node.0) | 1 << 16, drive.served);
        let count = scale(bits, batch.ops.len() as u64 + 1) as usize;
        for op in &batch.ops[..count] {
            drive.performed += 1;
            if !drive.perform_op(op, &self.draw, u64::from(node.0)) {
                break;
            }
        }
    }
}

impl Drive {
    /// Performs one operation as far as there is room for it; whether there was enough.
    pub(super) fn perform_op(&mut self, op: &FileOp, draw: &Draws, lane: u64) -> bool {
        let room = match self.room {
            _ if self.full => 0,
            Some(room) if !room.at_sync => room.capacity.saturating_sub(self.disk.used()),
            Some(_) | None => u64::MAX,
        };
        let Some(loss) = self.loses.filter(|_| op.is_write()) else {
            return self.disk.perform_within(room, op);
        };
        self.loses = None;
        let bits = draw.bits(Site::Misdirect, lane, self.lost);
        self.lost += 1;
        let fits = self.disk.perform_within(room, &self.disk.unwritten(op));
        match loss {
            Loss::Nowhere => {}
            Loss::Elsewhere => self.disk.misdirect(op, bits),
        }
        fits
    }

    /// Lets a sync fail, if it is its turn.
    fn fail_sync(
        &mut self,
        op: &FileOp,
        at: usize,
        draw: &Draws,
        (lane, number): (u64, u64),
    ) -> Option<DiskError> {
        match op {
            FileOp::Sync { file } if self.sync_fails || self.has_no_room_for(file) => {
                let error = match core::mem::take(&mut self.sync_fails) {
                    true => DiskError::Failed,
                    false => DiskError::Full { at: at as u32 },
                };
                self.disk.fail_sync(file, draw, lane, number);
                Some(error)
            }
            FileOp::SyncDir if core::mem::take(&mut self.sync_fails) => {
                self.disk.fail_sync_dir(draw, lane, number);
                Some(DiskError::Failed)
            }
            FileOp::Sync { .. } | FileOp::SyncDir => None,
            FileOp::Append { .. } | FileOp::Write { .. } | FileOp::Truncate { .. } => None,
            FileOp::Rename { .. } | FileOp::Remove { .. } => None,
        }
    }

    /// Whether a sync is the first to find that the bytes of a file do not fit.
    fn has_no_room_for(&self, file: &str) -> bool {
        self.room.is_some_and(|room| {
            room.at_sync && self.disk.has_grown(file) && self.disk.used() > room.capacity
        })
    }
}
