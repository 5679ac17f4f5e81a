//! The one order to the store that is under way, and which one is due next (D13b, D13f, D18).
//!
//! There is at most one, so completions come in the order of issue, entries gather into one
//! batch while it runs, and the next order is built from the state at its end: the promise
//! first, then repairs, a cut, a checkpoint, entries, retention, the seal. Retention comes right
//! behind the promise when the store is full or far more is kept than the policy says.

use super::{Chain, Entries, StepContext};
use crate::action::StopReason;
use crate::chain::entry::Entry;
use crate::chain::order::{Checkpoint, Order, StoreError, Vote};
use crate::count::Count;
use crate::deadline::Timer;
use crate::id::{OpNumber, Seq};
use alloc::sync::Arc;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// From this many bytes on a batch grows again after the store was full.
const BATCH_BYTES_LEAST: u64 = 4_096;

/// The store side of one chain.
#[derive(Clone, Debug, Default, Hash, Serialize, Deserialize)]
pub(super) struct Writer {
    under_way: Option<(OpNumber, Write)>,
    /// A cut that the store has not performed yet; nothing is appended before.
    cut: Option<Seq>,
    repairs: Vec<Arc<Entry>>,
    /// Whether entries were written since the last seal.
    unsealed: bool,
    seal_due: bool,
    space: Space,
    /// Most bytes of entries in one order since the store last had no space for some, until it
    /// takes full batches again: one entry may fit where all that wait do not.
    batch_bytes: Option<u64>,
    /// Whether the last checkpoint that was to raise the floor found no space.
    checkpoint_failed: bool,
    /// Whether the last checkpoint took all bytes of dropped entries with it: what is cut after it
    /// may leave some of them behind.
    is_tidy: bool,
    /// What the order under way stores as committed, if it is one that does.
    storing: Seq,
    /// What is stored as committed.
    stored: Seq,
}

/// Whether the store had space for anything but a checkpoint at the last try. Where one thing does
/// not fit, another may, for a checkpoint may be the largest of all that is written, and a repaired
/// entry larger than those that wait: so they are tried in turn, what frees space first.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Space {
    #[default]
    Enough,
    /// No, and none for a cut either, so a checkpoint is tried next.
    NoneToCut,
    /// No, and none for a checkpoint either, so something else is tried next.
    NoneToRetain,
    /// No, and none for repairs either, so what does not wait for them is tried next.
    NoneToRepair,
    /// No; a cut or a checkpoint may free some.
    None,
}

#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
enum Write {
    Vote(Vote),
    Append {
        truncations: u64,
        end: Seq,
        is_seal: bool,
    },
    Cut(Seq),
    Retain(Arc<Checkpoint>),
    Reset(Arc<Checkpoint>),
    Repair(Entries),
}

impl Writer {
    /// A store after recovery: its last batch may still be unsealed.
    pub(super) fn new(is_empty: bool, stored: Seq) -> Self {
        Self {
            unsealed: !is_empty,
            stored,
            ..Self::default()
        }
    }

    /// The log was cut in memory; the store has to follow before it is written again.
    pub(super) fn cut(&mut self, end: Seq) {
        self.cut = Some(self.cut.map_or(end, |cut| cut.min(end)));
        self.repairs.retain(|entry| entry.seq < end);
    }

    pub(super) fn repair(&mut self, entries: &[Arc<Entry>]) {
        self.repairs.extend_from_slice(entries);
    }

    /// The old log is gone with everything that was still to be done to it.
    pub(super) fn forget_log(&mut self) {
        self.cut = None;
        self.repairs.clear();
        self.unsealed = false;
        self.seal_due = false;
        self.checkpoint_failed = false;
        self.is_tidy = true;
    }

    /// Leaves the payload bytes out.
    pub(super) fn redact(&mut self) {
        for entry in &mut self.repairs {
            *entry = Arc::new(entry.redacted());
        }
        if let Some((_, Write::Repair(entries))) = &mut self.under_way {
            *entries = entries
                .iter()
                .map(|entry| Arc::new(entry.redacted()))
                .collect();
        }
    }

    pub(super) fn is_resetting(&self) -> bool {
        matches!(self.under_way, Some((_, Write::Reset(_))))
    }

    /// Whether repaired entries are not in the store yet.
    pub(super) fn is_repairing(&self) -> bool {
        let is_repair = |(_, write): &(OpNumber, Write)| matches!(write, Write::Repair(_));
        !self.repairs.is_empty() || self.under_way.as_ref().is_some_and(is_repair)
    }

    /// The order under way.
    pub(super) fn under_way(&self) -> Option<OpNumber> {
        self.under_way.as_ref().map(|(number, _)| *number)
    }

    pub(super) fn is_appending(&self) -> bool {
        matches!(self.under_way, Some((_, Write::Append { .. })))
    }

    pub(super) fn stored(&self) -> Seq {
        self.stored
    }

    pub(super) fn is_full(&self) -> bool {
        self.space != Space::Enough
    }

    /// Whether anything, a checkpoint included, found no space at its last try.
    pub(super) fn lacks_space(&self) -> bool {
        self.is_full() || self.checkpoint_failed
    }

    /// Most bytes of entries in the next order; one entry may be larger.
    fn batch_bytes_max(&self, cx: &StepContext<'_>) -> u64 {
        let most = u64::from(cx.config.limits().batch_bytes_max);
        self.batch_bytes.map_or(most, |bytes| bytes.min(most))
    }

    /// Entries fitted: the next order may have twice as many bytes of them.
    fn widen_batch(&mut self, cx: &StepContext<'_>) {
        let most = u64::from(cx.config.limits().batch_bytes_max);
        let twice = |bytes: u64| (bytes * 2).max(BATCH_BYTES_LEAST);
        self.batch_bytes = self.batch_bytes.map(twice).filter(|bytes| *bytes < most);
    }

    /// Whether bytes of dropped entries may take the space that something else found none of.
    pub(super) fn is_littered(&self) -> bool {
        self.is_full() && !self.is_tidy && self.cut.is_none()
    }

    /// Whether a cut waits for the repair of the entry before it: it is made behind an entry that
    /// the store knows.
    fn cut_needs_repair(&self) -> bool {
        let before = self.cut.and_then(Seq::before);
        before.is_some_and(|before| self.repairs.iter().any(|entry| entry.seq == before))
    }

    /// The repairs that one order takes.
    fn take_repairs(&mut self, bytes_max: u64) -> Entries {
        let mut bytes = 0;
        let fits = |entry: &&Arc<Entry>| {
            bytes += u64::from(entry.payload.length());
            bytes <= bytes_max
        };
        let count = self.repairs.iter().take_while(fits).count().max(1);
        self.repairs.drain(..count).collect()
    }
}

impl Chain {
    /// Orders the next operation, if none is under way.
    pub(super) fn write(&mut self, cx: &mut StepContext<'_>) {
        let waits = cx.deadlines.armed(self.index, Timer::Retry).is_some();
        if self.writer.under_way.is_some() || waits && self.writer.is_full() {
            return;
        }
        let Some((write, order)) = self.next_write(!waits, cx) else {
            return self.await_seal(cx);
        };
        // Only what is durable here is stored as committed: the rest may be entries that a cut,
        // or a crash, takes from this store, whatever the others hold.
        let commit = self.commit.min(self.log.durable().end);
        self.writer.storing = match &write {
            Write::Vote(_) | Write::Append { .. } => commit,
            Write::Cut(_) | Write::Retain(_) | Write::Reset(_) | Write::Repair(_) => Seq::ZERO,
        };
        let said = (order, commit, self.log.checkpoint_bytes());
        let number = cx.store(self.index, self.id, self.generation, said);
        self.writer.under_way = Some((number, write));
    }

    /// The order that is due next; `may_retain` unless a checkpoint just found no space.
    fn next_write(&mut self, may_retain: bool, cx: &mut StepContext<'_>) -> Option<(Write, Order)> {
        if !self.is_settled() {
            let vote = self.vote_record();
            return Some((Write::Vote(vote), Order::Vote(vote)));
        }
        if self.writer.space == Space::None
            && !self.writer.cut_needs_repair()
            && let Some(end) = self.writer.cut.take()
        {
            return Some((Write::Cut(end), Order::Cut(end)));
        }
        let is_pressing = match self.writer.space {
            Space::Enough => self.is_far_past_bound(),
            Space::None | Space::NoneToCut => true,
            Space::NoneToRetain | Space::NoneToRepair => false,
        };
        if may_retain
            && is_pressing
            && let Some(order) = self.next_retention(cx)
        {
            if self.log.durable().end < self.log.end() {
                cx.count(Count::RetainedFirst);
            }
            return Some(order);
        }
        let commit = self.commit.min(self.log.durable().end);
        if self.writer.is_full() && self.writer.stored < commit {
            // The next batch would take it along, and finds no room; a vote record needs none.
            // After a restart nothing may be dropped that is not known to be committed.
            return Some((Write::Vote(self.promised), Order::Vote(self.promised)));
        }
        let bytes_max = self.writer.batch_bytes_max(cx);
        let is_skipped =
            self.writer.space == Space::NoneToRepair && !self.writer.cut_needs_repair();
        if !self.writer.repairs.is_empty() && !is_skipped {
            let entries = self.writer.take_repairs(bytes_max);
            return Some((Write::Repair(entries.clone()), Order::Repair(entries)));
        }
        if let Some(end) = self.writer.cut.take() {
            return Some((Write::Cut(end), Order::Cut(end)));
        }
        if let Some(checkpoint) = self.due_reset(cx) {
            return Some((Write::Reset(checkpoint.clone()), Order::Reset(checkpoint)));
        }
        let truncations = self.log.truncations();
        let durable = self.log.durable().end;
        if durable < self.log.end() {
            let entries = self.log.read(durable, self.log.end(), bytes_max);
            let end = Seq::new(durable.get() + entries.len() as u64);
            self.writer.seal_due = false;
            let write = Write::Append {
                truncations,
                end,
                is_seal: false,
            };
            return Some((write, Order::Append(entries)));
        }
        if may_retain && let Some(order) = self.next_retention(cx) {
            return Some(order);
        }
        if core::mem::take(&mut self.writer.seal_due) && self.writer.unsealed {
            let write = Write::Append {
                truncations,
                end: durable,
                is_seal: true,
            };
            return Some((write, Order::Append(Entries::from([]))));
        }
        None
    }

    fn next_retention(&mut self, cx: &mut StepContext<'_>) -> Option<(Write, Order)> {
        let checkpoint = self.due_checkpoint(cx)?;
        Some((Write::Retain(checkpoint.clone()), Order::Retain(checkpoint)))
    }

    /// An order ended.
    pub(crate) fn on_done(
        &mut self,
        number: OpNumber,
        result: Result<(), StoreError>,
        cx: &mut StepContext<'_>,
    ) {
        let Some((_, write)) = self
            .writer
            .under_way
            .take_if(|(under_way, _)| *under_way == number)
        else {
            return cx.count(Count::UnknownOperation);
        };
        if self.fault.is_some() {
            return;
        }
        match result {
            Ok(()) => {
                // A vote record is overwritten, which needs none.
                if !matches!(write, Write::Vote(_)) {
                    self.writer.space = Space::Enough;
                }
                if let Write::Append { .. } | Write::Repair(_) = write {
                    self.writer.widen_batch(cx);
                }
                self.writer.stored = self.writer.stored.max(self.writer.storing);
                self.on_durable(write, cx);
            }
            Err(StoreError::Full) => self.on_full(write, cx),
            // What reached the disk is not known, so nothing of this replica counts (R14).
            Err(StoreError::Broken) => self.stop(StopReason::StoreBroken, cx),
        }
    }

    fn on_durable(&mut self, write: Write, cx: &mut StepContext<'_>) {
        match write {
            Write::Vote(vote) => self.promised = vote,
            Write::Append {
                truncations,
                end,
                is_seal,
            } => {
                if truncations != self.log.truncations() {
                    cx.count(Count::WriteOvertaken);
                    // What the cut leaves of the batch is in the store, and is not written again.
                    let kept = self.writer.cut.map_or(Seq::ZERO, |cut| cut.min(end));
                    self.log.raise_durable(kept);
                } else if is_seal {
                    self.writer.unsealed = false;
                } else {
                    self.writer.unsealed = true;
                    self.log.raise_durable(end);
                    cx.deadlines.disarm(self.index, Timer::Seal);
                }
            }
            Write::Cut(_) => {
                self.writer.unsealed = true;
                self.writer.is_tidy = false;
            }
            Write::Repair(_) => {}
            Write::Retain(checkpoint) => {
                cx.count(Count::Retained);
                self.writer.is_tidy = true;
                self.writer.checkpoint_failed = false;
                self.log.retain(checkpoint);
                let floor = self.log.floor();
                if self.log.durable().end == floor {
                    self.writer.unsealed = false;
                    self.writer.seal_due = false;
                }
                self.writer.repairs.retain(|entry| entry.seq >= floor);
            }
            Write::Reset(checkpoint) => self.on_reset_durable(checkpoint, cx),
        }
    }

    /// Nothing of the order is in the log: it is issued again after a while.
    fn on_full(&mut self, write: Write, cx: &mut StepContext<'_>) {
        cx.count(Count::StoreFull);
        self.writer.space = match (&write, self.writer.space) {
            (Write::Retain(_), Space::Enough) => Space::Enough,
            (Write::Retain(_), _) => Space::NoneToRetain,
            (Write::Cut(_), _) => Space::NoneToCut,
            // What the cut waits for does not fit: a checkpoint may make room for it.
            (Write::Repair(_), _) if self.writer.cut.is_some() => Space::None,
            (Write::Repair(_), _) => Space::NoneToRepair,
            (Write::Vote(_) | Write::Append { .. } | Write::Reset(_), _) => Space::None,
        };
        match write {
            Write::Vote(_) => {}
            Write::Append { .. } => self.writer.batch_bytes = Some(0),
            Write::Retain(_) => self.writer.checkpoint_failed = true,
            Write::Cut(end) => self.writer.cut(end),
            Write::Reset(checkpoint) => {
                self.make_way(checkpoint.floor.end, cx);
                self.follow.reset = Some(checkpoint);
            }
            Write::Repair(entries) => {
                self.writer.batch_bytes = Some(0);
                let kept = |entry: &&Arc<Entry>| self.log.entry(entry.seq) == Some(*entry);
                let kept: Vec<_> = entries.iter().filter(kept).cloned().collect();
                self.writer.repairs.extend(kept);
            }
        }
        cx.deadlines.arm(
            self.index,
            Timer::Retry,
            cx.now.after(cx.config.heartbeat()),
        );
    }

    /// A batch that nothing follows for a while is sealed by an empty one (D13f).
    fn await_seal(&mut self, cx: &mut StepContext<'_>) {
        if self.writer.unsealed && cx.deadlines.armed(self.index, Timer::Seal).is_none() {
            let span = core::time::Duration::from_millis(cx.config.timing().seal_ms);
            cx.deadlines
                .arm(self.index, Timer::Seal, cx.now.after(span));
        }
    }

    /// The last batch has been idle for a while.
    pub(crate) fn on_seal_due(&mut self) {
        self.writer.seal_due = true;
    }
}
