//! Many seeds over all cores.
//!
//! Workers take (scenario, seed) pairs from one counter, scenario by scenario, so that a sweep
//! cut short has run about equally many seeds of each. What they find is merged by seed and not
//! by arrival: a sweep that ran to its end has one outcome, whatever the number of workers. Here,
//! and only here, real time passes: for the budget, and to report a machine whose step does not
//! return.

pub(crate) mod bucket;
mod digests;
pub(crate) mod flight;
pub(crate) mod guard;
pub(crate) mod rows;
pub(crate) mod seeds;
pub(crate) mod stripes;
pub(crate) mod tally;
mod worker;

use crate::any::AnyScenario;
use crate::report::{Finding, STUCK};
use flight::{Flight, Lost};
use rows::Rows;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use stripes::{Deal, Shard};
use tally::Tally;
use worker::{Crew, Done};

/// How to sweep.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Which of the stripes run here.
    pub shard: Shard,
    /// Number of worker threads, at least one.
    pub jobs: usize,
    /// Real time after which no further seed is started.
    pub budget: Option<Duration>,
    /// Number of violations after which no further seed is started.
    pub fail_max: Option<u64>,
    /// Where the file of the seeds in flight lives; `None` keeps none.
    pub directory: Option<PathBuf>,
    /// Real time without a step after which a run counts as stuck.
    pub stuck_after: Duration,
}

impl Options {
    /// Sweeps all stripes on all cores, without bounds and without a file of the seeds in flight.
    pub(crate) fn new() -> Self {
        let jobs = std::thread::available_parallelism().map_or(1, usize::from);
        let stuck_after = Duration::from_secs(60);
        Self {
            shard: Shard::WHOLE,
            jobs,
            budget: None,
            fail_max: None,
            directory: None,
            stuck_after,
        }
    }
}

/// Why a sweep ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Every seed ran.
    Complete,
    /// The budget of real time was spent.
    Budget,
    /// Enough violations were found.
    Failures,
    /// Somebody asked it to stop.
    Interrupted,
    /// A step did not return; its thread is lost.
    Stuck,
}

/// What a sweep found.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// What it knows of each scenario and stripe.
    pub rows: Rows,
    /// For each scenario, real time that its runs took on all threads together.
    pub took: Vec<Duration>,
    /// How far it came beyond what it began with.
    pub ran: Progress,
    /// Why it ended.
    pub end: End,
    /// Real time it took.
    pub elapsed: Duration,
    /// Seeds that an earlier sweep was running when it was killed.
    pub lost: Vec<Lost>,
}

/// How far a sweep is.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Progress {
    /// Runs that ended.
    pub runs: u64,
    /// Runs there are.
    pub runs_all: u64,
    /// Runs in which a property broke.
    pub failed: u64,
    /// Steps made so far.
    pub steps: u64,
    /// Real time since the start.
    pub elapsed: Duration,
}

/// Runs what `rows` lacks of the seeds of every scenario and calls `observe` a few times a second.
///
/// `stop` ends the sweep early: seeds in flight are finished, no other is started.
///
/// # Errors
/// The file of the seeds in flight cannot be read or written.
pub(crate) fn sweep(
    scenarios: &[Arc<dyn AnyScenario>],
    options: &Options,
    rows: Rows,
    stop: &Arc<AtomicBool>,
    observe: &mut dyn FnMut(&Progress, &Rows),
) -> io::Result<Outcome> {
    assert!(options.jobs > 0, "a sweep needs a worker");
    let started = Instant::now();
    let (lost, flight, slots) = match &options.directory {
        Some(directory) => {
            let lost = flight::collect_lost(directory)?;
            let (flight, slots) = Flight::open(directory, options.jobs)?;
            (lost, Some(flight), slots.into_iter().map(Some).collect())
        }
        None => (
            Vec::new(),
            None,
            (0..options.jobs).map(|_| None).collect::<Vec<_>>(),
        ),
    };
    let is_done = |scenario, stripe| rows.is_done(scenario, stripe);
    let deal = Deal::new(
        rows.stripes().clone(),
        options.shard,
        scenarios.len(),
        is_done,
    );
    let runs_all = deal.runs();
    let (crew, results) = Crew::start(scenarios, options, deal, slots);
    let failed = rows.kept().iter().map(Tally::failed).sum();
    let mut merge = Merge {
        rows,
        took: vec![Duration::ZERO; scenarios.len()],
        progress: Progress {
            runs: 0,
            runs_all,
            failed,
            steps: 0,
            elapsed: Duration::ZERO,
        },
    };
    let end = merge.collect(&crew, &results, options, stop, started, observe)?;
    // The file goes only now, when every seed in it has ended or has been reported.
    drop(flight);
    Ok(Outcome {
        rows: merge.rows,
        took: merge.took,
        ran: merge.progress,
        end,
        elapsed: started.elapsed(),
        lost,
    })
}

struct Merge {
    rows: Rows,
    took: Vec<Duration>,
    progress: Progress,
}

impl Merge {
    fn collect(
        &mut self,
        crew: &Crew,
        results: &Receiver<io::Result<Vec<Done>>>,
        options: &Options,
        stop: &AtomicBool,
        started: Instant,
        observe: &mut dyn FnMut(&Progress, &Rows),
    ) -> io::Result<End> {
        let mut end = End::Complete;
        let mut observed = started;
        loop {
            match results.recv_timeout(Duration::from_millis(100)) {
                Ok(batch) => batch?.into_iter().for_each(|done| self.add(done)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.progress.elapsed = started.elapsed();
            if observed.elapsed() >= Duration::from_millis(100) {
                observed = Instant::now();
                observe(&self.progress, &self.rows);
            }
            if end == End::Complete && crew.has_work() {
                end = self.reason_to_stop(options, stop);
                if end != End::Complete {
                    crew.stop();
                }
            }
            if !crew.find_stuck(options.stuck_after).is_empty() {
                crew.stop();
                // Their threads never end, and neither would the wait for the channel to close.
                self.drain(results)?;
                for stuck in crew.find_stuck(options.stuck_after) {
                    let finding = stuck_finding(options.stuck_after);
                    self.rows.fail(stuck, finding);
                }
                end = End::Stuck;
                break;
            }
        }
        if end == End::Complete && crew.has_work() {
            // The workers saw the end of the budget first.
            self.progress.elapsed = started.elapsed();
            end = self.reason_to_stop(options, stop);
        }
        observe(&self.progress, &self.rows);
        Ok(end)
    }

    fn reason_to_stop(&self, options: &Options, stop: &AtomicBool) -> End {
        if stop.load(Ordering::Relaxed) {
            End::Interrupted
        } else if options
            .fail_max
            .is_some_and(|max| self.progress.failed >= max)
        {
            End::Failures
        } else if options
            .budget
            .is_some_and(|budget| self.progress.elapsed >= budget)
        {
            End::Budget
        } else {
            End::Complete
        }
    }

    /// Takes what the other workers still report, for a moment.
    fn drain(&mut self, results: &Receiver<io::Result<Vec<Done>>>) -> io::Result<()> {
        let until = Instant::now() + Duration::from_secs(2);
        while let Ok(batch) = results.recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            batch?.into_iter().for_each(|done| self.add(done));
        }
        Ok(())
    }

    fn add(&mut self, done: Done) {
        self.progress.runs += 1;
        self.progress.steps += done.report.steps;
        self.progress.failed += u64::from(done.report.finding.is_some());
        self.took[done.item.scenario] += done.took;
        self.rows.add(done.item, done.report);
    }
}

/// The violation that a step is which does not return.
pub(crate) fn stuck_finding(stuck_after: Duration) -> Finding {
    let waited = stuck_after.as_millis();
    Finding::new(STUCK, format!("no step ended for {waited} ms of real time"))
}
