//! Where everything is in the files of a store, and what each order does to them.
//!
//! A batch is written in one piece and synced before the order counts as done; its head repeats
//! the end of everything before it, which is durable by then, so what recovery finds *sealed*
//! was durable once. A cut starts a new segment whose header names an end below what was
//! written: that replaces everything behind it in one step, then the bytes go. So no byte from
//! before a cut or from an earlier boot can ever be taken for a part of the log.
//!
//! The layout changes when an order is planned, not when it is done. A host performs the orders
//! of a chain one after the other; after one that found no space it calls
//! [`Layout::revert`] and performs what that plans, after one that failed otherwise the chain has
//! stopped for good.

mod chain;
mod checkpoint;
mod shrink;
mod undo;

pub(super) use chain::{ChainLayout, Mark, SegmentFile, Spot};
pub(super) use checkpoint::CheckpointFiles;

use super::entry::{Entry, LogPosition};
use super::order::Order;
use super::store::{FileName, FileOp, Identity, StoreLimits};
use crate::id::{ChainId, Gen, Seq};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::num::NonZeroUsize;
use core::ops::Range;

/// A part of a file whose loss recovery notices: everything in it is either read back as it was
/// written or reported as unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedRange {
    /// The file.
    pub file: FileName,
    /// The bytes.
    pub range: Range<u64>,
}

/// The files of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    pub(super) identity: Identity,
    pub(super) limits: StoreLimits,
    pub(super) chains: BTreeMap<(ChainId, Gen), ChainLayout>,
}

impl Layout {
    /// Whose store it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The chains, in ascending order.
    pub fn chains(&self) -> impl Iterator<Item = (ChainId, Gen)> + '_ {
        self.chains.keys().copied()
    }

    /// Deals the chains out, in ascending order and by turns, to `parts` layouts that share no file,
    /// so that their orders may be performed beside each other.
    pub fn divide(self, parts: NonZeroUsize) -> Vec<Self> {
        let empty = Self {
            chains: BTreeMap::new(),
            ..self
        };
        let mut divided = vec![empty; parts.get()];
        for (turn, (key, layout)) in self.chains.into_iter().enumerate() {
            divided[turn % parts].chains.insert(key, layout);
        }
        divided
    }

    /// The end of the log as far as it was planned; `None` for a chain that is not here.
    pub fn tip(&self, chain: ChainId, generation: Gen) -> Option<LogPosition> {
        self.chains.get(&(chain, generation)).map(|chain| chain.tip)
    }

    /// Takes down what is committed, to be stored with the next batch or vote of the chain. It
    /// costs no write of its own, so a crash may take it; what a store knew once it keeps.
    ///
    /// # Panics
    /// If the chain is not here, or has not written that far.
    pub fn know_commit(&mut self, chain: ChainId, generation: Gen, commit: Seq) {
        let layout = self.chain_mut(chain, generation);
        assert!(
            commit <= layout.tip.end,
            "what is stored as committed is stored"
        );
        layout.commit = layout.commit.max(commit);
    }

    /// Takes down how many bytes the file of a checkpoint may have once the next batch is stored.
    /// The batch takes room for it first, so that retention finds some on a full disk.
    ///
    /// # Panics
    /// If the chain is not here.
    pub fn reserve(&mut self, chain: ChainId, generation: Gen, checkpoint_bytes: u64) {
        let layout = self.chain_mut(chain, generation);
        layout.checkpoints.want(checkpoint_bytes);
    }

    /// Plans one order: the operations to perform, in order, the last of which make it durable.
    ///
    /// # Panics
    /// If the chain is not here, or the order does not fit the log: see [`Layout::fits`].
    pub fn perform(&mut self, chain: ChainId, generation: Gen, order: &Order) -> Vec<FileOp> {
        let (identity, limits) = (self.identity, self.limits);
        let layout = self.chain_mut(chain, generation);
        match order {
            Order::Append(entries) => {
                layout.append(&identity, &limits, core::slice::from_ref(entries))
            }
            Order::Vote(vote) => layout.vote(&identity, *vote),
            Order::Cut(end) => layout.cut(&identity, *end),
            Order::Retain(checkpoint) => layout.retain(&identity, checkpoint),
            Order::Reset(checkpoint) => layout.reset(&identity, checkpoint),
            Order::Repair(entries) => layout.repair(&identity, entries),
        }
    }

    /// Plans several appends of one chain as one batch with one sync. They succeed or fail
    /// together. This is the only way to let appends share a sync: a batch head may only be
    /// written when everything before it is durable.
    ///
    /// # Panics
    /// As [`Layout::perform`].
    pub fn perform_appends(
        &mut self,
        chain: ChainId,
        generation: Gen,
        batches: &[Arc<[Arc<Entry>]>],
    ) -> Vec<FileOp> {
        let (identity, limits) = (self.identity, self.limits);
        let layout = self.chain_mut(chain, generation);
        layout.append(&identity, &limits, batches)
    }

    /// Whether an order fits the log as it stands. An append does not when an earlier one found
    /// no space: then it has to be answered in the same way, not performed.
    pub fn fits(&self, chain: ChainId, generation: Gen, order: &Order) -> bool {
        let Some(layout) = self.chains.get(&(chain, generation)) else {
            return false;
        };
        match order {
            Order::Append(entries) => match entries.first() {
                Some(first) => first.seq == layout.tip.end,
                None => true,
            },
            Order::Repair(entries) => entries.iter().all(|entry| layout.holds(entry.seq)),
            Order::Retain(checkpoint) => checkpoint.floor.end <= layout.tip.end,
            Order::Cut(end) => *end >= layout.floor.end,
            Order::Vote(_) | Order::Reset(_) => true,
        }
    }

    /// Forgets the last order of a chain, whose operation `at` (from 0) found no space, and plans
    /// what removes everything that was performed of it. The order counts as not given once that
    /// is performed. `None` when it cannot be taken back: nobody knows what a failed sync left,
    /// so the store of this chain is broken.
    pub fn revert(&mut self, chain: ChainId, generation: Gen, at: usize) -> Option<Vec<FileOp>> {
        self.chain_mut(chain, generation).revert(at)
    }

    /// What of a chain's segments is sealed: all but the last batch.
    pub fn sealed(&self, chain: ChainId, generation: Gen) -> Vec<SealedRange> {
        let Some(layout) = self.chains.get(&(chain, generation)) else {
            return Vec::new();
        };
        let Some(last) = layout.batches.back() else {
            return Vec::new();
        };
        let sealed = layout
            .segments
            .range(..=last.segment)
            .map(|(number, file)| {
                let end = if *number == last.segment {
                    last.offset
                } else {
                    file.length
                };
                SealedRange {
                    file: file.name.clone(),
                    range: 0..end,
                }
            });
        sealed.filter(|sealed| !sealed.range.is_empty()).collect()
    }

    /// Where the record of one entry is, and whether it is sealed; `None` for an unknown entry.
    pub fn locate(&self, chain: ChainId, generation: Gen, seq: Seq) -> Option<(SealedRange, bool)> {
        let layout = self.chains.get(&(chain, generation))?;
        let index = seq.get().checked_sub(layout.floor.end.get())?;
        let mark = layout.marks.get(usize::try_from(index).ok()?)?;
        let file = layout.segments.get(&mark.spot.segment)?;
        let is_sealed = layout.batches.back().is_some_and(|last| mark.spot < *last);
        let start = mark.spot.offset;
        let range = start..start + mark.length;
        let file = file.name.clone();
        (mark.length > 0).then_some((SealedRange { file, range }, is_sealed))
    }

    fn chain_mut(&mut self, chain: ChainId, generation: Gen) -> &mut ChainLayout {
        let layout = self.chains.get_mut(&(chain, generation));
        layout.expect("orders are given for chains that the store holds")
    }
}
