//! The threads of a sweep.

use super::Options;
use super::flight::Slot;
use super::stripes::{Deal, Item};
use crate::any::AnyScenario;
use crate::report::Report;
use crate::run::is_run_twice;
use crate::watch::{Pulse, Watch};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One run that ended.
pub(super) struct Done {
    pub(super) item: Item,
    pub(super) report: Report,
    /// Real time that it took.
    pub(super) took: Duration,
}

/// All workers, as the collecting thread sees them.
pub(super) struct Crew {
    shared: Arc<Shared>,
    watched: Vec<Mutex<Seen>>,
}

struct Shared {
    scenarios: Vec<Arc<dyn AnyScenario>>,
    deal: Deal,
    next: AtomicU64,
    stop: AtomicBool,
    deadline: Option<Instant>,
    desks: Vec<Desk>,
}

/// What one worker is doing.
#[derive(Default)]
struct Desk {
    current: Mutex<Option<Item>>,
    pulse: Arc<Pulse>,
}

/// When a worker last made progress.
struct Seen {
    item: Option<Item>,
    beats: u64,
    since: Instant,
}

impl Crew {
    /// Starts the workers; the channel closes when the last of them has ended.
    pub(super) fn start(
        scenarios: &[Arc<dyn AnyScenario>],
        options: &Options,
        deal: Deal,
        slots: Vec<Option<Slot>>,
    ) -> (Self, Receiver<io::Result<Vec<Done>>>) {
        let shared = Arc::new(Shared {
            scenarios: scenarios.to_vec(),
            deal,
            next: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            deadline: options
                .budget
                .and_then(|budget| Instant::now().checked_add(budget)),
            desks: slots.iter().map(|_| Desk::default()).collect(),
        });
        let (sender, receiver) = channel();
        let watched = slots.iter().map(|_| {
            Mutex::new(Seen {
                item: None,
                beats: 0,
                since: Instant::now(),
            })
        });
        let watched = watched.collect();
        for (desk, slot) in slots.into_iter().enumerate() {
            let (shared, sender) = (Arc::clone(&shared), sender.clone());
            std::thread::spawn(move || {
                let mut worker = Worker {
                    shared: &shared,
                    desk,
                    slot,
                    sender,
                    batch: Vec::new(),
                };
                if let Err(error) = worker.work() {
                    let _ = worker.sender.send(Err(error));
                }
            });
        }
        (Self { shared, watched }, receiver)
    }

    /// True while there are runs that nobody has taken.
    pub(super) fn has_work(&self) -> bool {
        self.shared.next.load(Ordering::Relaxed) < self.shared.deal.runs()
    }

    /// Lets the workers end after the run they are in.
    pub(super) fn stop(&self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }

    /// The runs that have made no step for `limit`.
    pub(super) fn find_stuck(&self, limit: Duration) -> Vec<Item> {
        let desks = self.shared.desks.iter().zip(&self.watched);
        let stuck = desks.filter_map(|(desk, seen)| {
            let item = *lock(&desk.current);
            let beats = desk.pulse.beats();
            let mut seen = lock(seen);
            if item.is_none() || seen.item != item || seen.beats != beats {
                *seen = Seen {
                    item,
                    beats,
                    since: Instant::now(),
                };
            }
            item.filter(|_| seen.since.elapsed() >= limit)
        });
        stuck.collect()
    }
}

impl Shared {
    fn take(&self) -> Option<Item> {
        let late = self
            .deadline
            .is_some_and(|deadline| Instant::now() >= deadline);
        match late || self.stop.load(Ordering::Relaxed) {
            true => None,
            false => self.deal.item(self.next.fetch_add(1, Ordering::Relaxed)),
        }
    }
}

struct Worker<'a> {
    shared: &'a Shared,
    desk: usize,
    slot: Option<Slot>,
    sender: Sender<io::Result<Vec<Done>>>,
    batch: Vec<Done>,
}

impl Worker<'_> {
    fn work(&mut self) -> io::Result<()> {
        let mut sent = Instant::now();
        while let Some(item) = self.shared.take() {
            let started = Instant::now();
            let report = self.run(item)?;
            let took = started.elapsed();
            let urgent = report.finding.is_some();
            self.batch.push(Done { item, report, took });
            // One message for many short runs keeps the collecting thread off the cores.
            if urgent || sent.elapsed() >= Duration::from_millis(50) {
                sent = Instant::now();
                self.send();
            }
        }
        self.send();
        match &mut self.slot {
            Some(slot) => slot.leave(),
            None => Ok(()),
        }
    }

    fn send(&mut self) {
        // Nobody listens any more once a stuck run was reported.
        let _ = self.sender.send(Ok(std::mem::take(&mut self.batch)));
    }

    fn run(&mut self, item: Item) -> io::Result<Report> {
        let scenario = &self.shared.scenarios[item.scenario];
        let desk = &self.shared.desks[self.desk];
        if let Some(slot) = &mut self.slot {
            slot.enter(scenario.name(), item.seed)?;
        }
        *lock(&desk.current) = Some(item);
        let watch = Watch {
            pulse: Some(Arc::clone(&desk.pulse)),
            twice: is_run_twice(item.seed) || item.seed == self.shared.deal.first_seed(),
            ..Watch::default()
        };
        let report = scenario.run_seed(item.seed, &watch);
        *lock(&desk.current) = None;
        Ok(report)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
