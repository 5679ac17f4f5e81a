//! Many seeds inside a plain test, on all cores.
//!
//! Threads take seeds in their order, and the first seed that breaks a property is told, whichever
//! thread was faster. Its plan is made smaller and left in a file: a colleague reads that, not the seed.

use crate::any::{AnyScenario, plan_name, plan_text};
use crate::plan::Expect;
use crate::report::{Finding, REPLAY, Report};
use crate::run::is_run_twice;
use crate::scenario::Scenario;
use crate::shrink::{Bounds, Goal, Shrunk, Size, Trial, shrink};
use crate::watch::Watch;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};
use toml::Table;

/// Runs `seeds` inside a plain `#[test]`, on all cores, a share of them twice; see [`is_run_twice`].
///
/// # Panics
/// When a property breaks; the message has the seed, the property, the time and the end of the
/// trace, and names a file with a smaller plan of it, in `failures` in the current directory, which
/// under `cargo test` is that of the package.
#[track_caller]
pub fn assert_holds<S: Scenario>(scenario: &S, seeds: impl IntoIterator<Item = u64>) {
    if let Err(told) = holds(scenario, seeds) {
        panic!("{told}");
    }
}

/// Whether `seeds` hold; otherwise what a test tells of the first that does not.
pub(crate) fn holds<S: AnyScenario + ?Sized>(
    scenario: &S,
    seeds: impl IntoIterator<Item = u64>,
) -> Result<(), String> {
    let jobs = thread::available_parallelism().map_or(1, usize::from);
    hold(scenario, seeds, jobs, Path::new("failures"))
}

/// The same with so many threads, and `directory` for the plan.
fn hold<S: AnyScenario + ?Sized>(
    scenario: &S,
    seeds: impl IntoIterator<Item = u64>,
    jobs: usize,
    directory: &Path,
) -> Result<(), String> {
    let Some(seed) = first_broken(scenario, seeds, jobs) else {
        return Ok(());
    };
    let report = scenario.run_seed(seed, &watch(seed, TRACE_LINES));
    let name = scenario.name();
    let Some(finding) = &report.finding else {
        return Err(format!(
            "{name}, seed {seed}: it broke a property and, run again, did not: it depends on more \
             than its plan"
        ));
    };
    let trace: Vec<String> = report.trace.iter().map(ToString::to_string).collect();
    let trace = trace.join("\n");
    let file = directory.join(plan_name(name, seed, &finding.property));
    let plan = match written(scenario, seed, finding, &report, jobs, &file) {
        Ok(how) => format!("{how}: replay {}", file.display()),
        Err(problem) => format!("its plan is in no file: {problem}"),
    };
    Err(format!(
        "{name}, seed {seed}: {finding}\n{trace}\nagain: assert_holds(&scenario, [{seed}]); all of \
         it, with the feature `cli`: trace {name} --seed {seed}\n{plan}"
    ))
}

fn watch(seed: u64, trace_lines: usize) -> Watch {
    Watch {
        twice: is_run_twice(seed),
        trace_lines,
        ..Watch::default()
    }
}

/// The first of `seeds` that breaks a property.
fn first_broken<S: AnyScenario + ?Sized>(
    scenario: &S,
    seeds: impl IntoIterator<Item = u64>,
    jobs: usize,
) -> Option<u64> {
    let mut seeds = seeds.into_iter();
    loop {
        // Whoever gives seeds without end wants the first violation.
        let batch: Vec<u64> = seeds.by_ref().take(jobs * BATCH).collect();
        if batch.is_empty() {
            return None;
        }
        let (next, first) = (AtomicUsize::new(0), AtomicUsize::new(usize::MAX));
        let work = || loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let is_late = first.load(Ordering::Relaxed) < place;
            let (Some(seed), false) = (batch.get(place), is_late) else {
                return;
            };
            if !scenario.run_seed(*seed, &watch(*seed, 0)).holds() {
                first.fetch_min(place, Ordering::Relaxed);
            }
        };
        match jobs.min(batch.len()) {
            1 => work(),
            jobs => thread::scope(|scope| {
                for _ in 0..jobs {
                    scope.spawn(work);
                }
            }),
        }
        if let Some(seed) = batch.get(first.into_inner()) {
            return Some(*seed);
        }
    }
}

/// Writes a plan with the same finding, and says how small it became.
fn written<S: AnyScenario + ?Sized>(
    scenario: &S,
    seed: u64,
    finding: &Finding,
    report: &Report,
    jobs: usize,
    file: &Path,
) -> Result<String, String> {
    let plan = scenario.table(seed)?;
    let before = Size::of(&plan);
    let (small, digest, how) = match Goal::new(finding, false) {
        None => (plan, report.digest, "as the seed gives it".to_owned()),
        Some(goal) => {
            let small = smaller(scenario, &goal, plan, report, jobs);
            let after = Size::of(&small.plan);
            let end = match small.is_done {
                true => "",
                false => ", and it may become smaller still",
            };
            let how = format!(
                "{} faults and {} operations shrunk to {} and {}{end}",
                before.faults, before.ops, after.faults, after.ops
            );
            (small.plan, small.report.digest, how)
        }
    };
    let expect = Expect {
        violates: Some(finding.property.clone()),
        digest: Some(format!("{digest:016x}")),
        ..Expect::default()
    };
    let text = plan_text(small, &expect);
    let put = || {
        file.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(file, text)
    };
    put().map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(format!("its plan, {how}"))
}

fn smaller<S: AnyScenario + ?Sized>(
    scenario: &S,
    goal: &Goal,
    plan: Table,
    report: &Report,
    jobs: usize,
) -> Shrunk {
    let trial = Direct {
        scenario,
        twice: goal.is_of(REPLAY),
    };
    let deadline = Instant::now().checked_add(SHRINK_MAX);
    let bounds = Bounds::new(jobs, deadline, Arc::new(AtomicBool::new(false)));
    shrink(&trial, goal, &bounds, plan, report.clone(), &mut |_| {})
}

/// Runs plans where it is called.
struct Direct<'a, S: ?Sized> {
    scenario: &'a S,
    twice: bool,
}

impl<S: AnyScenario + ?Sized> Trial for Direct<'_, S> {
    fn run(&self, plan: &Table, steps_max: Option<u64>) -> Option<Report> {
        let watch = Watch {
            steps_max,
            twice: self.twice,
            ..Watch::default()
        };
        self.scenario.run_table(plan, &watch)
    }

    fn simpler(&self, plan: &Table) -> Vec<Table> {
        self.scenario.simpler(plan)
    }
}

/// Lines of the trace that a failure shows.
const TRACE_LINES: usize = 30;
/// Seeds for each thread before it is looked whether one was found.
const BATCH: usize = 16;
/// Real time for making a plan smaller.
const SHRINK_MAX: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;
    use crate::machines::ping_pong::Player;
    use crate::machines::rally::{Rally, Score};
    use crate::node::NodeIndex;
    use crate::plan::Nothing;
    use crate::scenario::{NotChecked, PlanOf};
    use crate::violation::Violation;
    use crate::world::World;
    use std::env;

    /// A rally in which nobody may crash, in some seeds.
    struct Fragile(fn(u64) -> bool);

    impl Scenario for Fragile {
        type Machine = Player;
        type Cfg = Nothing;
        type Hook = Score;

        fn name(&self) -> &str {
            "fragile"
        }

        fn about(&self) -> &str {
            "nobody crashes"
        }

        fn plan(&self, seed: u64) -> PlanOf<Self> {
            let mut plan = Scenario::plan(&Rally, seed);
            plan.scenario = "fragile".to_owned();
            plan
        }

        fn config(&self, _: &PlanOf<Self>, _: NodeIndex) {}

        fn hook(&self, _: &PlanOf<Self>) -> Score {
            Score::default()
        }

        fn finish(
            &self,
            plan: &PlanOf<Self>,
            _: &World<Player>,
            _: &mut Score,
            _: &mut NotChecked,
        ) -> Result<(), Violation> {
            let is_crash = |fault: &Fault| matches!(fault, Fault::Crash { .. });
            let crashes = plan.faults.iter().any(|timed| is_crash(&timed.fault));
            match crashes && self.0(plan.seed) {
                true => Err(Violation::new("nobody-crashes", "somebody did")),
                false => Ok(()),
            }
        }
    }

    fn crashing(jobs: usize) -> Vec<u64> {
        let alone = |seed: &u64| first_broken(&Fragile(|_| true), [*seed], jobs).is_some();
        (0..200).filter(alone).collect()
    }

    #[test]
    fn the_first_seed_is_told_however_many_threads_there_are() {
        let crashing = crashing(1);
        assert!(crashing.len() > 20, "{crashing:?}");
        for jobs in [1, 4] {
            let all = Fragile(|_| true);
            assert_eq!(first_broken(&all, 0..200, jobs), crashing.first().copied());
            let backwards = crashing.iter().rev().copied();
            assert_eq!(
                first_broken(&all, backwards, jobs),
                crashing.last().copied()
            );
            // Where all seeds fail, the first is seldom the last to end.
            for first in 0..crashing.len() {
                let from = crashing[first..].iter().copied();
                assert_eq!(first_broken(&all, from, jobs), Some(crashing[first]));
            }
            let late = Fragile(|seed| seed >= 150);
            let expected = crashing.iter().find(|seed| **seed >= 150);
            assert_eq!(first_broken(&late, 0.., jobs), expected.copied());
            assert_eq!(first_broken(&Fragile(|_| false), 0..200, jobs), None);
        }
    }

    #[test]
    fn a_failure_leaves_a_small_plan_and_says_how_to_run_it() {
        let directory = env::temp_dir().join(format!("hold-{}", std::process::id()));
        let scenario = Fragile(|_| true);
        let seed = first_broken(&scenario, 0..200, 2).expect("one crashes");
        let told = hold(&scenario, 0..200, 2, &directory).expect_err("one crashes");
        let file = directory.join(format!("fragile-{seed}-nobody-crashes.toml"));
        for part in [
            format!("fragile, seed {seed}: nobody-crashes at "),
            format!("\nagain: assert_holds(&scenario, [{seed}]); "),
            format!("0 operations shrunk to 1 and 0: replay {}", file.display()),
        ] {
            assert!(told.contains(&part), "{part}\n{told}");
        }
        let text = fs::read_to_string(&file).expect("written");
        let (report, expect) = scenario
            .run_text(&file, &text, &Watch::default())
            .expect("a plan");
        let property = report.finding.map(|finding| finding.property);
        assert_eq!(property, expect.violates);
        let digest = format!("{:016x}", report.digest);
        assert_eq!(Some(digest), expect.digest);
        // What is in the way hides no violation.
        let told = hold(&scenario, 0..200, 2, &file).expect_err("one crashes");
        assert!(told.contains("nobody-crashes at "), "{told}");
        assert!(told.contains("its plan is in no file: "), "{told}");
        fs::remove_dir_all(directory).expect("removable");
    }
}
