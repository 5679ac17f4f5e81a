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
pub(crate) mod seeds;
pub(crate) mod stripes;
mod worker;

use crate::any::AnyScenario;
use crate::check::obligation::Tallies;
use crate::report::{Finding, STUCK};
use bucket::Buckets;
use digests::Digests;
use flight::{Flight, Lost};
use seeds::Seeds;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use stripes::{Deal, Shard, Stripes};
use worker::{Crew, Done};

/// How to sweep.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// The seeds that every scenario runs, here or elsewhere.
    pub stripes: Stripes,
    /// Which of them run here.
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
    /// Sweeps `seeds` on all cores, without bounds and without a file of the seeds in flight.
    pub(crate) fn new(seeds: Seeds) -> Self {
        let jobs = std::thread::available_parallelism().map_or(1, usize::from);
        let stuck_after = Duration::from_secs(60);
        Self {
            stripes: Stripes::new(seeds),
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
    /// One for each scenario, in the order given.
    pub scenarios: Vec<Tally>,
    /// Why it ended.
    pub end: End,
    /// Real time it took.
    pub elapsed: Duration,
    /// Seeds that an earlier sweep was running when it was killed.
    pub lost: Vec<Lost>,
}

/// The sum over the seeds of one scenario.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// The scenario's name.
    pub scenario: String,
    /// Seeds that ran.
    pub seeds: u64,
    /// Seeds in which a property broke.
    pub failed: u64,
    /// Steps of all seeds.
    pub steps: u64,
    /// Simulated time of all seeds.
    pub simulated: Duration,
    /// The longest time that a seed took to converge.
    pub converged_max: Option<Duration>,
    /// Violations by property and site.
    pub buckets: Buckets,
    /// For each mark, the number of seeds that hit it.
    pub marks: BTreeMap<&'static str, u64>,
    /// Faults that were applied in all seeds.
    pub faults: u64,
    /// How many of them changed nothing.
    pub faults_inert: u64,
    /// For each property with a monitor, how often its obligations were armed and met.
    pub obligations: Tallies,
    /// For each reason, the number of seeds with a check that could not decide.
    pub not_checked: BTreeMap<String, u64>,
    /// The digests of all seeds that ran to their end.
    pub digests: Digests,
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

/// Runs every seed of every scenario and calls `observe` a few times a second.
///
/// `stop` ends the sweep early: seeds in flight are finished, no other is started.
///
/// # Errors
/// The file of the seeds in flight cannot be read or written.
pub(crate) fn sweep(
    scenarios: &[Arc<dyn AnyScenario>],
    options: &Options,
    stop: &Arc<AtomicBool>,
    observe: &mut dyn FnMut(&Progress),
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
    let nothing = |_, _| false;
    let stripes = options.stripes.clone();
    let deal = Deal::new(stripes, options.shard, scenarios.len(), nothing);
    let runs_all = deal.runs();
    let (crew, results) = Crew::start(scenarios, options, deal, slots);
    let mut merge = Merge {
        scenarios: scenarios
            .iter()
            .map(|scenario| Tally::new(scenario.name(), options.stripes.seeds().count()))
            .collect(),
        progress: Progress {
            runs: 0,
            runs_all,
            failed: 0,
            steps: 0,
            elapsed: Duration::ZERO,
        },
    };
    let end = merge.collect(&crew, &results, options, stop, started, observe)?;
    // The file goes only now, when every seed in it has ended or has been reported.
    drop(flight);
    Ok(Outcome {
        scenarios: merge.scenarios,
        end,
        elapsed: started.elapsed(),
        lost,
    })
}

struct Merge {
    scenarios: Vec<Tally>,
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
        observe: &mut dyn FnMut(&Progress),
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
                observe(&self.progress);
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
                    self.scenarios[stuck.scenario].fail(stuck.seed, finding);
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
        observe(&self.progress);
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
        self.scenarios[done.item.scenario].add(done);
    }
}

/// The violation that a step is which does not return.
pub(crate) fn stuck_finding(stuck_after: Duration) -> Finding {
    let waited = stuck_after.as_millis();
    Finding::new(STUCK, format!("no step ended for {waited} ms of real time"))
}

impl Tally {
    fn new(scenario: &str, seeds: u64) -> Self {
        Self {
            scenario: scenario.to_owned(),
            digests: Digests::new(seeds),
            ..Self::default()
        }
    }

    fn add(&mut self, done: Done) {
        let Done { item, report } = done;
        let seed = item.seed;
        self.steps += report.steps;
        self.simulated += report.simulated;
        self.faults += report.faults;
        self.faults_inert += report.faults_inert;
        self.converged_max = self.converged_max.max(report.converged_after);
        for mark in report.marks.into_keys() {
            *self.marks.entry(mark).or_default() += 1;
        }
        for (property, tally) in report.obligations {
            self.obligations.entry(property).or_default().add(tally);
        }
        for reason in report.not_checked {
            *self.not_checked.entry(reason).or_default() += 1;
        }
        self.digests.add(seed, report.digest);
        match report.finding {
            Some(finding) => self.fail(seed, finding),
            None => self.seeds += 1,
        }
    }

    fn fail(&mut self, seed: u64, finding: Finding) {
        self.seeds += 1;
        self.failed += 1;
        self.buckets.add(seed, finding);
    }
}
