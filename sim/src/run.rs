//! One run: a plan in, a report out.
//!
//! Nothing but the plan and the code decides what is reported. No clock, no file and no other
//! thread is looked at; a watcher may count steps and look at the last inputs from outside.

pub use crate::hold::assert_holds;
use crate::quiet::{self};
use crate::report::{Finding, REPLAY, Report};
use crate::scenario::{PlanOf, Scenario};
use crate::session::{panicked, run_once};
use crate::time::Instant;
pub use crate::twice::is_run_twice;
use crate::twice::run_again;
use crate::watch::Watch;

/// Runs a plan.
pub fn run<S: Scenario>(scenario: &S, plan: &PlanOf<S>) -> Report {
    run_watched(scenario, plan, &Watch::default())
}

/// Runs a plan for a watcher.
pub fn run_watched<S: Scenario>(scenario: &S, plan: &PlanOf<S>, watch: &Watch) -> Report {
    let mut report = run_once(scenario, plan, watch);
    if watch.twice && report.holds() {
        run_again(scenario, plan, watch, &mut report);
    }
    report
}

/// Generates the plan of `seed` and runs it; a generator that panics is a finding, too.
pub fn run_seed<S: Scenario>(scenario: &S, seed: u64, watch: &Watch) -> Report {
    quiet::want_backtraces(watch.backtrace);
    let generated = quiet::catch(|| {
        let plan = scenario.plan(seed);
        let is_fixed = !watch.twice || scenario.plan(seed) == plan;
        (plan, is_fixed)
    });
    let finding = match generated {
        Ok((plan, true)) => return run_watched(scenario, &plan, watch),
        Ok((_, false)) => Finding::new(REPLAY, "the same seed gave two plans"),
        Err(panic) => panicked(panic, Instant::ZERO),
    };
    Report {
        finding: Some(finding),
        ..Report::default()
    }
}

/// The first of `seeds` that breaks a property, with its trace.
pub fn first_violation<S: Scenario>(
    scenario: &S,
    seeds: impl IntoIterator<Item = u64>,
) -> Option<(u64, Report)> {
    let watch = |seed, trace_lines| Watch {
        twice: is_run_twice(seed),
        trace_lines,
        ..Watch::default()
    };
    let broken = |seed: &u64| !run_seed(scenario, *seed, &watch(*seed, 0)).holds();
    let seed = seeds.into_iter().find(broken)?;
    let watch = watch(seed, 30);
    Some((seed, run_seed(scenario, seed, &watch)))
}
