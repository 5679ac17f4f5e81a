//! The first of many candidates that still breaks the property, on all cores.
//!
//! Candidates are tried at the same time, but it is their order that decides: of those that do, the
//! first one is taken, however many threads there are.

use super::edit::Edit;
use super::goal::Goal;
use crate::report::Report;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use toml::Table;

/// Runs plans of one scenario.
pub(crate) trait Trial: Sync {
    /// Runs a plan for at most so many steps; `None` if it is no plan of the scenario.
    fn run(&self, plan: &Table, steps_max: Option<u64>) -> Option<Report>;

    /// Plans that the scenario itself holds for simpler, the simplest first.
    fn simpler(&self, plan: &Table) -> Vec<Table>;
}

/// What bounds the search.
#[derive(Debug)]
pub(crate) struct Bounds {
    /// Threads, at least one.
    pub jobs: usize,
    /// When no further plan is tried.
    pub deadline: Option<Instant>,
    /// Somebody asked to stop.
    pub stop: Arc<AtomicBool>,
    /// Plans that ran.
    pub runs: AtomicU64,
}

impl Bounds {
    pub(crate) fn new(jobs: usize, deadline: Option<Instant>, stop: Arc<AtomicBool>) -> Self {
        Self {
            jobs,
            deadline,
            stop,
            runs: AtomicU64::new(0),
        }
    }

    /// Whether no further plan is to be tried.
    pub(crate) fn is_spent(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
            || self
                .deadline
                .is_some_and(|deadline| Instant::now() >= deadline)
    }
}

/// A candidate that was taken.
pub(super) struct Winner {
    /// Its place among the candidates.
    pub(super) index: usize,
    pub(super) plan: Table,
    pub(super) report: Report,
}

/// Finds the first of `candidates`, each some edits of `plan`, whose run meets `goal`.
pub(super) fn first(
    trial: &dyn Trial,
    goal: &Goal,
    bounds: &Bounds,
    plan: &Table,
    steps_max: Option<u64>,
    candidates: &[Vec<Edit>],
) -> Option<Winner> {
    let next = AtomicUsize::new(0);
    let best: Mutex<Option<Winner>> = Mutex::new(None);
    let lock = || best.lock().unwrap_or_else(PoisonError::into_inner);
    let work = || {
        while !bounds.is_spent() {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let is_late = lock().as_ref().is_some_and(|winner| winner.index < index);
            let (Some(edits), false) = (candidates.get(index), is_late) else {
                return;
            };
            let Some(plan) = Edit::all(edits, plan) else {
                continue;
            };
            let Some(report) = trial.run(&plan, steps_max) else {
                continue;
            };
            bounds.runs.fetch_add(1, Ordering::Relaxed);
            if goal.is_met(&report) {
                let mut best = lock();
                if best.as_ref().is_none_or(|winner| index < winner.index) {
                    *best = Some(Winner {
                        index,
                        plan,
                        report,
                    });
                }
            }
        }
    };
    match bounds.jobs.min(candidates.len()) {
        0 => {}
        1 => work(),
        jobs => std::thread::scope(|scope| {
            for _ in 0..jobs {
                scope.spawn(work);
            }
        }),
    }
    // When the budget ends, an earlier candidate may still have been unknown.
    best.into_inner().unwrap_or_else(PoisonError::into_inner)
}
