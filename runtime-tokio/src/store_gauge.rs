//! Shows since when a store is busy with one run of orders: a disk that hangs answers nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Since when each thread of a store is busy with the run that it is at.
#[derive(Clone, Debug, Default)]
pub struct Gauge {
    since: Arc<Mutex<BTreeMap<usize, Instant>>>,
}

impl Gauge {
    /// How long some thread has been busy with the same run of orders; zero when all are idle.
    pub fn busy(&self) -> Duration {
        let first = self.since().values().min().copied();
        first.map_or(Duration::ZERO, |since| since.elapsed())
    }

    pub(crate) fn begin(&self, thread: usize) {
        self.since().insert(thread, Instant::now());
    }

    pub(crate) fn end(&self, thread: usize) {
        self.since().remove(&thread);
    }

    fn since(&self) -> MutexGuard<'_, BTreeMap<usize, Instant>> {
        self.since.lock().expect("no holder of the gauge panics")
    }
}
