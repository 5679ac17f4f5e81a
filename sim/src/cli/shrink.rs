//! `shrink`: a smaller plan with the same finding.

use super::args::Shrink;
use super::case::expecting;
use super::console::{Console, Look, grouped, seconds, write_file};
use super::present::{finding_json, print_finding};
use super::progress::Gauge;
use super::single::{Source, source};
use super::{Program, Stop, interrupt};
use crate::any::{AnyScenario, plan_name, plan_text};
use crate::report::{Finding, Found, REPLAY, Report};
use crate::shrink::{Bounds, Goal, Progress, Shrunk, Size, Trial};
use crate::sweep::guard::{Guarded, guard};
use crate::sweep::stuck_finding;
use crate::watch::Watch;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use toml::Table;

/// Runs plans of a scenario on threads that may never return.
pub(super) struct Attempts {
    pub(super) scenario: Arc<dyn AnyScenario>,
    pub(super) stuck_after: Duration,
    /// Whether each plan is run twice, as what differs between two runs is looked for.
    pub(super) twice: bool,
}

impl Attempts {
    /// Runs a plan for a watcher.
    pub(super) fn run(&self, plan: &Table, watch: Watch) -> Option<Report> {
        let (scenario, plan) = (Arc::clone(&self.scenario), plan.clone());
        self.guarded(watch, move |watch| scenario.run_table(&plan, watch))
    }

    /// Runs a seed for a watcher.
    pub(super) fn seed(&self, seed: u64, watch: Watch) -> Report {
        let scenario = Arc::clone(&self.scenario);
        let report = self.guarded(watch, move |watch| Some(scenario.run_seed(seed, watch)));
        report.unwrap_or_default()
    }

    fn guarded(
        &self,
        watch: Watch,
        job: impl FnOnce(&Watch) -> Option<Report> + Send + 'static,
    ) -> Option<Report> {
        let watch = Watch {
            twice: self.twice,
            ..watch
        };
        match guard(watch, self.stuck_after, job) {
            Guarded::Returned(report) => report,
            Guarded::Stuck(trace) => Some(Report {
                finding: Some(stuck_finding(self.stuck_after)),
                trace,
                ..Report::default()
            }),
        }
    }
}

impl Trial for Attempts {
    fn run(&self, plan: &Table, steps_max: Option<u64>) -> Option<Report> {
        let watch = Watch {
            steps_max,
            ..Watch::default()
        };
        Attempts::run(self, plan, watch)
    }

    fn simpler(&self, plan: &Table) -> Vec<Table> {
        self.scenario.simpler(plan)
    }
}

/// Makes a plan smaller that reported a finding; `None` where there is nothing to begin with.
pub(super) fn smaller(
    trial: &Attempts,
    (plan, report): (Table, Report),
    any_site: bool,
    bounds: &Bounds,
    observe: &mut dyn FnMut(&Progress),
) -> Option<Shrunk> {
    let goal = Goal::new(report.finding.as_ref()?, any_site)?;
    Some(crate::shrink::shrink(
        trial, &goal, bounds, plan, report, observe,
    ))
}

pub(super) fn jobs(asked: Option<u16>) -> usize {
    let all = || std::thread::available_parallelism().map_or(1, usize::from);
    asked.map_or_else(all, usize::from)
}

pub(super) fn shrink(program: &Program, console: &mut Console, args: &Shrink) -> Result<(), Stop> {
    let what = match args.seed {
        Some(seed) => format!("{} seed {seed}", args.what),
        None => args.what.clone(),
    };
    let (scenario, plan, file) = match source(program, &args.what, args.seed)? {
        Source::Seed(scenario, seed) => {
            let plan = scenario.table(seed);
            let plan = plan.map_err(|why| Stop::Unusable(format!("{what}: {why}")))?;
            (scenario, plan, None)
        }
        Source::File(scenario, file, text) => {
            let plan = scenario.read_table(&file, &text)?;
            (scenario, plan, Some(file))
        }
    };
    let mut trial = Attempts {
        scenario,
        stuck_after: args.patience.stuck_after.0,
        twice: false,
    };
    let mut first = trial.run(&plan, Watch::default());
    if first.as_ref().is_some_and(Report::holds) {
        trial.twice = true;
        first = trial.run(&plan, Watch::default());
    }
    let begun = first.and_then(|report| Some((report.finding.clone()?, report)));
    let Some((finding, first)) = begun else {
        let problem = "breaks no property: there is nothing to shrink";
        return Err(Stop::Unusable(format!("{what} {problem}")));
    };
    trial.twice = finding.property == REPLAY;
    let (before, steps) = (Size::of(&plan), first.steps);
    let deadline = args
        .budget
        .and_then(|budget| Instant::now().checked_add(budget.0));
    let bounds = Bounds::new(jobs(args.jobs), deadline, interrupt::flag());
    let mut gauge = Gauge::new(!console.paint(Look::Good, "").is_empty());
    let started = Instant::now();
    let seed = args.seed;
    let shrunk = smaller(
        &trial,
        (plan, first),
        args.any_site,
        &bounds,
        &mut |progress| {
            gauge.show(progress);
        },
    );
    drop(gauge);
    let Some(shrunk) = shrunk else {
        let problem = format!(
            "violates {}: its plan cannot be made smaller",
            finding.property
        );
        return Err(Stop::Unusable(format!("{what} {problem}")));
    };
    let small = shrunk.report.finding.clone().unwrap_or(finding);
    let out = args.out.clone().unwrap_or_else(|| match (&file, seed) {
        (Some(file), _) => beside(file),
        (None, seed) => {
            let name = plan_name(
                trial.scenario.name(),
                seed.unwrap_or_default(),
                &small.property,
            );
            Path::new("failures").join(name)
        }
    });
    let expect = expecting(program, &small, Some(shrunk.report.digest));
    write_file(&out, &plan_text(shrunk.plan.clone(), &expect))?;
    let again = format!("{} replay {}", program.called(), out.display());
    let after = Size::of(&shrunk.plan);
    console.line(format!(
        "{}  {}: {}",
        console.paint(Look::Good, "shrunk"),
        trial.scenario.name(),
        small.property
    ));
    print_sizes(console, (before, steps), (after, shrunk.report.steps));
    print_finding(console, &small);
    warn_if_bare(console, &after, &small);
    console.line(format!("  tried    {}", told(&shrunk, started.elapsed())));
    console.line(format!(
        "  again    {}",
        console.paint(Look::Strong, &again)
    ));
    console.json(&json!({
        "format": 1,
        "command": "shrink",
        "scenario": trial.scenario.name(),
        "plan": out.display().to_string(),
        "reproduce": again,
        "violation": finding_json(&small),
        "before": before,
        "after": after,
        "plans": shrunk.runs,
        "done": shrunk.is_done,
        "digest": format!("{:016x}", shrunk.report.digest),
        "timing": { "elapsed_ms": started.elapsed().as_millis() as u64 },
    }));
    Ok(())
}

/// Says what a plan means in which nothing happens and that breaks a property of the end.
pub(super) fn warn_if_bare(console: &mut Console, plan: &Size, finding: &Finding) {
    if plan.faults == 0 && plan.ops == 0 && finding.found != Found::Running {
        let text = "  bare     no operation and no fault is needed: see that what the check demands \
                    follows from the plan";
        console.painted(Look::Warning, text);
    }
}

/// How far the search came, in words.
pub(super) fn told(shrunk: &Shrunk, elapsed: Duration) -> String {
    let how = match shrunk.is_done {
        true => "no change makes it smaller",
        false => "ended early, it may become smaller still",
    };
    let (runs, elapsed) = (grouped(shrunk.runs), seconds(elapsed, 1));
    format!("{runs} plans in {elapsed}; {how}")
}

/// The name of a smaller plan in the directory of `file`.
fn beside(file: &Path) -> PathBuf {
    let stem = file
        .file_stem()
        .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    file.with_file_name(format!("{stem}-small.toml"))
}

fn print_sizes(
    console: &mut Console,
    (before, steps): (Size, u64),
    (after, steps_after): (Size, u64),
) {
    let ms = |ms| seconds(Duration::from_millis(ms), 1);
    let number = |number: usize| grouped(number as u64);
    let rows = [
        ("faults", number(before.faults), number(after.faults)),
        ("operations", number(before.ops), number(after.ops)),
        ("nodes", grouped(before.nodes), grouped(after.nodes)),
        ("values in cfg", number(before.cfg), number(after.cfg)),
        ("simulated", ms(before.ms), ms(after.ms)),
        ("steps", grouped(steps), grouped(steps_after)),
    ];
    let row = |(what, before, after): &(&str, String, String)| {
        let what = format!("  {what}");
        vec![
            (Look::Plain, what),
            (Look::Dim, before.clone()),
            (Look::Plain, "->".to_owned()),
            (Look::Strong, after.clone()),
        ]
    };
    let rows: Vec<_> = rows.iter().map(row).collect();
    console.table(&["", "before", "", "after"], &rows);
}
