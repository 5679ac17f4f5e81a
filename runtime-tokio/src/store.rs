//! Performs the orders of all chains on one directory, and syncs once per file and group.
//!
//! Orders that wait together are performed together: appends of one chain that follow each other
//! become one batch with one sync, and each order is answered when everything it did is durable.
//! The orders of one chain keep their order; chains share no file. What was performed of an
//! order that finds no space is taken back, and the order counts as not given. After any other failure the chain is stopped for good: what a
//! failed sync left on the disk is not known, so every later order of that chain is answered
//! [`StoreError::Broken`] and not tried (upholds *recover*).

use crate::inbox::Sender;
use crate::ports::{Store, Work};
use futures::channel::oneshot;
use meshos_core::chain::entry::Entry;
use meshos_core::chain::order::{Order, StoreError};
use meshos_core::chain::store::{FileName, FileOp, Layout};
use meshos_core::id::{ChainId, Gen, OpId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, Weak, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

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

type ChainKey = (ChainId, Gen);

/// The store of one node.
#[derive(Debug)]
pub struct StoreExecutor<F> {
    files: F,
    layout: Layout,
    broken: BTreeSet<ChainKey>,
}

/// What one order ended with.
pub type Outcome = (OpId, Result<(), StoreError>);

impl<F: Files> StoreExecutor<F> {
    /// A store that goes on where recovery, with all its repairs performed, left `files`.
    pub fn new(files: F, layout: Layout) -> Self {
        Self {
            files,
            layout,
            broken: BTreeSet::new(),
        }
    }

    /// Performs `works`, those of each chain in order, and answers each of them once.
    pub fn commit(&mut self, works: impl IntoIterator<Item = Work>) -> Vec<Outcome> {
        let mut chains: BTreeMap<ChainKey, VecDeque<Work>> = BTreeMap::new();
        for work in works {
            let key = (work.chain, work.generation);
            chains.entry(key).or_default().push_back(work);
        }
        let mut outcomes = Vec::new();
        for (key, mut queue) in chains {
            while !queue.is_empty() {
                self.commit_run(key, &mut queue, &mut outcomes);
            }
        }
        outcomes
    }

    /// Performs operations that no order asks for and nobody waits for, as far as they succeed.
    pub fn keep(&mut self, ops: &[FileOp]) {
        if let Err(error) = ops.iter().try_for_each(|op| perform(&mut self.files, op)) {
            tracing::warn!(%error, "what was learned of peers could not be written");
        }
    }

    /// Gives the files back.
    pub fn into_files(self) -> F {
        self.files
    }

    /// Performs what can be performed at once: one order, or appends that follow each other.
    fn commit_run(
        &mut self,
        key: ChainKey,
        queue: &mut VecDeque<Work>,
        outcomes: &mut Vec<Outcome>,
    ) {
        let (chain, generation) = key;
        let first = queue.pop_front().expect("the caller checked");
        if self.broken.contains(&key) {
            outcomes.push((first.op, Err(StoreError::Broken)));
            return;
        }
        if !self.layout.fits(chain, generation, &first.order) {
            // It was ordered before the node knew that an append in front of it found no space.
            outcomes.push((first.op, Err(StoreError::Full)));
            return;
        }
        self.layout.know_commit(chain, generation, first.commit);
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
        outcomes.extend(answered.into_iter().map(|op| (op, result)));
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

/// Most orders in one group: a bound on how long the first of them waits.
const GROUP_MAX: usize = 512;

/// The store on a thread of its own, because syncs block.
#[derive(Debug)]
pub struct StoreThread {
    queue: Arc<mpsc::Sender<Job>>,
}

#[derive(Debug)]
enum Job {
    Order(Work),
    Keep(Vec<FileOp>),
}

/// Writes what nobody waits for beside the orders of the node; it does not keep the thread alive.
#[derive(Clone, Debug)]
pub struct Keeper {
    queue: Weak<mpsc::Sender<Job>>,
}

impl Keeper {
    /// Has operations performed some time, unless the store is closed first.
    pub fn keep(&self, ops: Vec<FileOp>) {
        if let Some(queue) = self.queue.upgrade() {
            let _ = queue.send(Job::Keep(ops));
        }
    }
}

/// The thread, for whoever waits for its end.
#[derive(Debug)]
pub struct Running<F> {
    /// The thread; it returns the store.
    pub thread: JoinHandle<StoreExecutor<F>>,
    /// Is cancelled when the thread ends, by a panic too.
    pub ended: oneshot::Receiver<Infallible>,
}

/// Shows since when a store is busy with one group of orders: a disk that hangs answers nothing.
#[derive(Clone, Debug, Default)]
pub struct Gauge {
    since: Arc<Mutex<Option<Instant>>>,
}

impl Gauge {
    /// How long the store has been busy with the same group of orders; zero when it is idle.
    pub fn busy(&self) -> Duration {
        self.since().map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn set(&self, since: Option<Instant>) {
        *self.since() = since;
    }

    fn since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.since.lock().expect("no holder of the gauge panics")
    }
}

impl StoreThread {
    /// Starts the thread, which `gauge` shows at work; it ends when the [`StoreThread`] is dropped and everything is done.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start<F>(
        mut store: StoreExecutor<F>,
        inbox: Sender,
        gauge: Gauge,
    ) -> io::Result<(Self, Running<F>)>
    where
        F: Files + Send + 'static,
    {
        let (queue, jobs) = mpsc::channel::<Job>();
        let (alive, ended) = oneshot::channel();
        let builder = std::thread::Builder::new().name("store".to_owned());
        let thread = builder.spawn(move || {
            let _alive = alive;
            while let Ok(first) = jobs.recv() {
                let waiting = jobs.try_iter().take(GROUP_MAX - 1);
                let (mut group, mut kept) = (Vec::new(), Vec::new());
                for job in std::iter::once(first).chain(waiting) {
                    match job {
                        Job::Order(work) => group.push(work),
                        Job::Keep(ops) => kept.extend(ops),
                    }
                }
                gauge.set(Some(Instant::now()));
                let outcomes = store.commit(group);
                gauge.set(None);
                for (op, result) in outcomes {
                    inbox.complete(op, result);
                }
                store.keep(&kept);
            }
            store
        })?;
        let queue = Arc::new(queue);
        Ok((Self { queue }, Running { thread, ended }))
    }

    /// Writes beside the orders.
    pub fn keeper(&self) -> Keeper {
        Keeper {
            queue: Arc::downgrade(&self.queue),
        }
    }
}

impl Store for StoreThread {
    fn submit(&mut self, work: Work) {
        // The thread ends before its queue only by a panic, which whoever joins it reports.
        let _ = self.queue.send(Job::Order(work));
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
