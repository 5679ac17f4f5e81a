//! Performs the orders of chains in one directory, and syncs once per file and run of appends.
//!
//! Appends of one chain that wait together and follow each other are a *run*: one batch with one
//! sync. Any other order is a run by itself. Chains have turns, one run each, and what a run did is
//! answered as soon as it is durable: no chain waits for the syncs of all that another one has
//! waiting. The orders of one chain keep their order; chains share no file. What was performed of an
//! order that finds no space is taken back, and the order counts as not given. After any other
//! failure the chain is stopped for good: what a failed sync left on the disk is not known, so every
//! later order of that chain is answered [`StoreError::Broken`] and not tried (upholds *recover*).

use crate::ports::Work;
use meshos_core::chain::entry::Entry;
use meshos_core::chain::order::{Order, StoreError};
use meshos_core::chain::store::{FileName, FileOp, Layout};
use meshos_core::id::{ChainId, Gen, OpId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// Files in one directory, by flat names.
pub trait Files {
    /// Adds bytes at the end; creates the file when there is none.
    ///
    /// # Errors
    /// When the system refuses; what was written is then unknown.
    fn append(&mut self, file: &FileName, bytes: &[u8]) -> io::Result<()>;

    /// Writes bytes at an offset; creates the file when there is none.
    ///
    /// # Errors
    /// When the system refuses; what was written is then unknown.
    fn write(&mut self, file: &FileName, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts the file to a length.
    ///
    /// # Errors
    /// When the system refuses.
    fn truncate(&mut self, file: &FileName, length: u64) -> io::Result<()>;

    /// Makes the contents of the file durable.
    ///
    /// # Errors
    /// When the system refuses; what is durable is then unknown.
    fn sync(&mut self, file: &FileName) -> io::Result<()>;

    /// Gives the file another name, replacing what had it.
    ///
    /// # Errors
    /// When the system refuses.
    fn rename(&mut self, from: &FileName, to: &FileName) -> io::Result<()>;

    /// Removes the file; one that is not there is removed already.
    ///
    /// # Errors
    /// When the system refuses.
    fn remove(&mut self, file: &FileName) -> io::Result<()>;

    /// Makes creation, renaming and removal of files durable.
    ///
    /// # Errors
    /// When the system refuses; what is durable is then unknown.
    fn sync_dir(&mut self) -> io::Result<()>;
}

/// A directory that several hands may hold, as long as each keeps to files of its own.
pub trait SharedFiles: Files + Sized {
    /// Another hand, which has to hear itself of a failure to sync the directory that may have
    /// lost what it did: that another one heard of it tells nobody.
    ///
    /// # Errors
    /// When the system has no room for it.
    fn another(&self) -> io::Result<Self>;
}

/// Performs one operation at once.
///
/// # Errors
/// When the operation fails.
pub fn perform(files: &mut impl Files, op: &FileOp) -> io::Result<()> {
    match op {
        FileOp::Append { file, bytes } => files.append(file, bytes),
        FileOp::Write {
            file,
            offset,
            bytes,
        } => files.write(file, *offset, bytes),
        FileOp::Truncate { file, length } => files.truncate(file, *length),
        FileOp::Sync { file } => files.sync(file),
        FileOp::Rename { from, to } => files.rename(from, to),
        FileOp::Remove { file } => files.remove(file),
        FileOp::SyncDir => files.sync_dir(),
    }
}

/// Names a chain among all that ever had its name.
pub(crate) type ChainKey = (ChainId, Gen);

/// The store of one node, or of some of its chains.
#[derive(Debug)]
pub struct StoreExecutor<F> {
    files: F,
    layout: Layout,
    broken: BTreeSet<ChainKey>,
    waiting: BTreeMap<ChainKey, VecDeque<Work>>,
    /// The chains with orders that wait, each once; the first one is next.
    turns: VecDeque<ChainKey>,
}

/// What one order ended with.
pub type Outcome = (OpId, Result<(), StoreError>);

impl<F: SharedFiles> StoreExecutor<F> {
    /// Divides the chains of a store that was given no order yet among as many as asked for, and
    /// gives back one more hand on the files. None of them holds a file open from before: what is
    /// removed by another hand would keep its room on the disk.
    ///
    /// # Errors
    /// When the system has no room for so many hands.
    pub fn divide(self, parts: NonZeroUsize) -> io::Result<(Vec<Self>, F)> {
        let Self { files, layout, .. } = self;
        let layouts = layout.divide(parts).into_iter();
        let stores = layouts.map(|layout| Ok(Self::new(files.another()?, layout)));
        let stores = stores.collect::<io::Result<_>>()?;
        Ok((stores, files.another()?))
    }
}

impl<F: Files> StoreExecutor<F> {
    /// A store that goes on where recovery, with all its repairs performed, left `files`.
    pub fn new(files: F, layout: Layout) -> Self {
        Self {
            files,
            layout,
            broken: BTreeSet::new(),
            waiting: BTreeMap::new(),
            turns: VecDeque::new(),
        }
    }

    /// The chains that it holds, in ascending order.
    pub fn chains(&self) -> impl Iterator<Item = (ChainId, Gen)> + '_ {
        self.layout.chains()
    }

    /// Puts an order behind those of its chain.
    pub fn push(&mut self, work: Work) {
        let key = (work.chain, work.generation);
        let queue = self.waiting.entry(key).or_default();
        if queue.is_empty() {
            self.turns.push_back(key);
        }
        queue.push_back(work);
    }

    /// Performs the next run of the chain whose turn it is, and answers each of its orders once; no
    /// answer when nothing waits.
    pub fn commit_next(&mut self) -> Vec<Outcome> {
        let Some(key) = self.turns.pop_front() else {
            return Vec::new();
        };
        let mut queue = self.waiting.remove(&key).unwrap_or_default();
        let outcomes = self.commit_run(key, &mut queue);
        if !queue.is_empty() {
            self.turns.push_back(key);
            self.waiting.insert(key, queue);
        }
        outcomes
    }

    /// Gives the files back.
    pub fn into_files(self) -> F {
        self.files
    }

    /// Performs what can be performed at once: one order, or appends that follow each other.
    fn commit_run(&mut self, key: ChainKey, queue: &mut VecDeque<Work>) -> Vec<Outcome> {
        let (chain, generation) = key;
        let Some(first) = queue.pop_front() else {
            return Vec::new();
        };
        if self.broken.contains(&key) {
            return vec![(first.op, Err(StoreError::Broken))];
        }
        if !self.layout.fits(chain, generation, &first.order) {
            // It was ordered before the node knew that an append in front of it found no space.
            return vec![(first.op, Err(StoreError::Full))];
        }
        self.layout.know_commit(chain, generation, first.commit);
        self.layout
            .reserve(chain, generation, first.checkpoint_bytes);
        let mut answered = vec![first.op];
        let ops = match first.order {
            Order::Append(entries) => {
                let batches = take_appends(entries, queue, &mut answered);
                self.layout.perform_appends(chain, generation, &batches)
            }
            order @ (Order::Vote(_)
            | Order::Cut(_)
            | Order::Retain(_)
            | Order::Reset(_)
            | Order::Repair(_)) => self.layout.perform(chain, generation, &order),
        };
        let result = self.perform_all(key, &ops);
        answered.into_iter().map(|op| (op, result)).collect()
    }

    fn perform_all(&mut self, key: ChainKey, ops: &[FileOp]) -> Result<(), StoreError> {
        let (chain, generation) = key;
        for (index, op) in ops.iter().enumerate() {
            let Err(error) = perform(&mut self.files, op) else {
                continue;
            };
            let undo = match is_full(&error) {
                true => self.layout.revert(chain, generation, index),
                false => None,
            };
            if let Some(undo) = undo
                && undo.iter().all(|op| perform(&mut self.files, op).is_ok())
            {
                tracing::warn!(%chain, %error, "no space left on the store");
                return Err(StoreError::Full);
            }
            tracing::error!(%chain, %error, "the store failed, the replica stops");
            self.broken.insert(key);
            return Err(StoreError::Broken);
        }
        Ok(())
    }
}

/// Takes the appends at the front of `queue` that continue `first`, up to one batch's size. An
/// empty append is there to seal what is in front of it, so it never shares a batch.
fn take_appends(
    first: Arc<[Arc<Entry>]>,
    queue: &mut VecDeque<Work>,
    answered: &mut Vec<OpId>,
) -> Vec<Arc<[Arc<Entry>]>> {
    let Some(last) = first.last() else {
        return vec![first];
    };
    let mut end = last.seq.next();
    let mut bytes = payload_bytes(&first);
    let mut batches = vec![first];
    while let Some(Work {
        op,
        order: Order::Append(entries),
        ..
    }) = queue.front()
    {
        bytes += payload_bytes(entries);
        let (Some(next), Some(last)) = (entries.first(), entries.last()) else {
            break;
        };
        if bytes > BATCH_BYTES_MAX || next.seq != end {
            break;
        }
        end = last.seq.next();
        batches.push(Arc::clone(entries));
        answered.push(*op);
        queue.pop_front();
    }
    batches
}

fn payload_bytes(entries: &[Arc<Entry>]) -> u64 {
    let payloads = entries.iter().map(|e| u64::from(e.payload.length()));
    payloads.sum()
}

/// Whether an operation failed for lack of space, a limit on the size of files included.
pub fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

/// Largest sum of payloads that shares one sync.
const BATCH_BYTES_MAX: u64 = 8 << 20;

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
