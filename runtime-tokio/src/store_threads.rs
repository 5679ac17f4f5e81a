//! The store on threads of its own, because syncs block.
//!
//! The chains are dealt out to the threads once for all: the orders of a chain keep their order and
//! share syncs, and those of chains on different threads are synced beside each other. Threads
//! share no file and hold no lock while they sync. On one thread chains have turns, and each run of
//! orders is answered when it is durable: see [`crate::store`]. What nobody waits for is written by
//! one thread more, so that no order waits behind it.

use crate::inbox::Sender;
use crate::ports::{Store, Work};
use crate::store::{ChainKey, SharedFiles, StoreExecutor, perform};
use crate::store_gauge::Gauge;
use futures::channel::oneshot;
use meshos_core::chain::store::FileOp;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, Weak, mpsc};
use std::thread::{Builder, JoinHandle};

/// Most threads that perform orders. File systems write the syncs that wait together with one entry
/// of their journal, and disks take several commands at once: as many threads as this get about ten
/// times the syncs of one from a solid-state disk, and twice as many threads hardly more. Where a
/// disk takes one sync at a time they wait for each other, as they would on one thread.
const THREADS_MAX: usize = 16;

/// The threads of the store of one node; they end when this is dropped and everything is done.
#[derive(Debug)]
pub struct StoreThreads {
    queues: Vec<mpsc::Sender<Work>>,
    /// Which of the threads a chain is on.
    places: BTreeMap<ChainKey, usize>,
    kept: Arc<mpsc::Sender<Vec<FileOp>>>,
}

/// The threads, for whoever waits for their end.
#[derive(Debug)]
pub struct Running<F> {
    /// Each returns its hand on the files.
    pub threads: Vec<JoinHandle<F>>,
    /// Is cancelled when the first of the threads ends, by a panic too.
    pub ended: oneshot::Receiver<Infallible>,
}

/// Writes what nobody waits for beside the orders of the node; it does not keep the threads alive.
#[derive(Clone, Debug)]
pub struct Keeper {
    queue: Weak<mpsc::Sender<Vec<FileOp>>>,
}

impl Keeper {
    /// Has operations performed some time, unless the store is closed first.
    pub fn keep(&self, ops: Vec<FileOp>) {
        if let Some(queue) = self.queue.upgrade() {
            let _ = queue.send(ops);
        }
    }
}

/// Held by each thread; the first one that is dropped tells.
#[derive(Clone)]
struct Alive(Arc<Mutex<Option<oneshot::Sender<Infallible>>>>);

impl Drop for Alive {
    fn drop(&mut self) {
        if let Ok(mut alive) = self.0.lock() {
            alive.take();
        }
    }
}

impl StoreThreads {
    /// Starts the threads, which `gauge` shows at work.
    ///
    /// # Errors
    /// When there is no thread to be had, or no room for its hand on the files.
    pub fn start<F>(
        store: StoreExecutor<F>,
        inbox: &Sender,
        gauge: &Gauge,
    ) -> io::Result<(Self, Running<F>)>
    where
        F: SharedFiles + Send + 'static,
    {
        let count = store.chains().count().clamp(1, THREADS_MAX);
        let count = NonZeroUsize::new(count).expect("there is one at least");
        let (stores, spare) = store.divide(count)?;
        let (alive, ended) = oneshot::channel();
        let alive = Arc::new(Mutex::new(Some(alive)));
        let (mut threads, mut queues) = (Vec::new(), Vec::new());
        let mut places = BTreeMap::new();
        for (place, store) in stores.into_iter().enumerate() {
            places.extend(store.chains().map(|chain| (chain, place)));
            let (queue, orders) = mpsc::channel();
            let (inbox, gauge) = (inbox.clone(), gauge.clone());
            let alive = Alive(Arc::clone(&alive));
            let builder = Builder::new().name(format!("store-{place}"));
            threads.push(builder.spawn(move || {
                let _alive = alive;
                serve(store, &orders, &inbox, &gauge, place)
            })?);
            queues.push(queue);
        }
        let (kept, ops) = mpsc::channel();
        let alive = Alive(alive);
        let builder = Builder::new().name("store-peers".to_owned());
        threads.push(builder.spawn(move || {
            let _alive = alive;
            keep(spare, &ops)
        })?);
        let threads = Running { threads, ended };
        let kept = Arc::new(kept);
        Ok((
            Self {
                queues,
                places,
                kept,
            },
            threads,
        ))
    }

    /// Writes beside the orders.
    pub fn keeper(&self) -> Keeper {
        Keeper {
            queue: Arc::downgrade(&self.kept),
        }
    }
}

impl Store for StoreThreads {
    fn submit(&mut self, work: Work) {
        let place = self.places.get(&(work.chain, work.generation));
        // The order of a chain that is not here is for any thread to refuse.
        let queue = &self.queues[place.copied().unwrap_or_default()];
        // A thread ends before its queue only by a panic, which whoever joins it reports.
        let _ = queue.send(work);
    }
}

/// Performs orders until no more can come.
fn serve<F: SharedFiles>(
    mut store: StoreExecutor<F>,
    orders: &mpsc::Receiver<Work>,
    inbox: &Sender,
    gauge: &Gauge,
    thread: usize,
) -> F {
    while let Ok(first) = orders.recv() {
        store.push(first);
        loop {
            // What came meanwhile may be part of the next run.
            orders.try_iter().for_each(|work| store.push(work));
            gauge.begin(thread);
            let outcomes = store.commit_next();
            gauge.end(thread);
            if outcomes.is_empty() {
                break;
            }
            for (op, result) in outcomes {
                inbox.complete(op, result);
            }
        }
    }
    store.into_files()
}

/// Performs operations that no order asks for, as far as they succeed, until no more can come.
fn keep<F: SharedFiles>(mut files: F, kept: &mpsc::Receiver<Vec<FileOp>>) -> F {
    for ops in kept {
        if let Err(error) = ops.iter().try_for_each(|op| perform(&mut files, op)) {
            tracing::warn!(%error, "what was learned of peers could not be written");
        }
    }
    files
}

#[cfg(test)]
#[path = "store_threads_tests.rs"]
mod tests;
