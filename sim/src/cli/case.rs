//! A violation that a sweep found, with what one needs to look into it.

use super::Program;
use super::args::RunArgs;
use super::console::{Console, Look, write_file};
use super::present::{TAIL, finding_json, print_finding, print_trace};
use super::shrink::{Attempts, smaller, told, warn_if_bare};
use crate::any::{AnyScenario, plan_name, plan_text};
use crate::plan::Expect;
use crate::report::{Finding, PLAN, REPLAY, Report, STUCK};
use crate::shrink::{Bounds, Size};
use crate::sweep::bucket::Bucket;
use crate::trace::Line;
use crate::watch::Watch;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use toml::Table;

/// A violation with everything one needs to look into it.
pub(super) struct Case {
    pub(super) scenario: String,
    pub(super) seed: u64,
    /// What the seed found.
    pub(super) finding: Finding,
    pub(super) count: u64,
    /// Where its plan is, or why it could not be written.
    pub(super) plan: Result<PathBuf, String>,
    /// How the plan became smaller than the seed's, if it did.
    shrunk: Option<Smaller>,
    pub(super) reproduce: String,
    /// The command that shows the whole trace, where that is another one.
    pub(super) whole: Option<String>,
    pub(super) trace: Vec<Line>,
}

/// A plan that became smaller.
struct Smaller {
    before: Size,
    after: Size,
    /// What the smaller one finds.
    finding: Finding,
    /// How far the search came.
    how: String,
}

/// Runs the seed of a violation again for its trace, and writes a plan of it: a smaller one if
/// `bounds` leave the time. A plan that cannot be written takes nothing from what was found: the
/// seed is enough to go on.
pub(super) fn case(
    program: &Program,
    scenario: &Arc<dyn AnyScenario>,
    bucket: &Bucket,
    args: &RunArgs,
    bounds: Option<&Bounds>,
) -> Case {
    let Bucket {
        seed,
        finding,
        count,
    } = bucket;
    let trial = Attempts {
        scenario: Arc::clone(scenario),
        stuck_after: args.patience.stuck_after.0,
        twice: finding.property == REPLAY,
    };
    let watch = Watch {
        trace_lines: TAIL,
        backtrace: args.backtrace,
        ..Watch::default()
    };
    let name = plan_name(scenario.name(), *seed, &finding.property);
    let file = args.directory().join(name);
    let write = |plan: &Table, report: &Report| {
        let digest = (finding.property != STUCK).then_some(report.digest);
        let expect = expecting(program, finding, digest);
        write_file(&file, &plan_text(plan.clone(), &expect)).map(|()| file.clone())
    };
    let plan = scenario.table(*seed);
    let mut report = trial.seed(*seed, watch.clone());
    // The plan as it was found comes first: what follows takes its time and may be interrupted.
    let mut written = match &plan {
        Ok(plan) => write(plan, &report),
        Err(why) => Err(why.clone()),
    };
    let mut shrunk = None;
    if let (Ok(plan), Ok(_), Some(bounds)) = (plan, &written, bounds) {
        let (before, started) = (Size::of(&plan), Instant::now());
        let begun = (plan, report.clone());
        let found = smaller(&trial, begun, false, bounds, &mut |_| {});
        if let Some(found) = found {
            let again = trial.run(&found.plan, watch).unwrap_or_default();
            // A run that depends on more than its plan may do something else each time.
            let same = |one: &&Finding| one.property == finding.property;
            if let Some(finding) = again.finding.as_ref().filter(same).cloned() {
                written = write(&found.plan, &again);
                report = again;
                shrunk = Some(Smaller {
                    before,
                    after: Size::of(&found.plan),
                    finding,
                    how: told(&found, started.elapsed()),
                });
            }
        }
    }
    let stack = report.finding.and_then(|finding| finding.backtrace);
    let finding = Finding {
        backtrace: stack,
        ..finding.clone()
    };
    let (reproduce, whole) = commands(program, scenario.name(), *seed, &finding, &written);
    Case {
        scenario: scenario.name().to_owned(),
        seed: *seed,
        finding,
        count: *count,
        plan: written,
        shrunk,
        reproduce,
        whole,
        trace: report.trace,
    }
}

/// The verdict that a plan has, by its run.
pub(super) fn expecting(program: &Program, finding: &Finding, digest: Option<u64>) -> Expect {
    Expect {
        violates: Some(finding.property.clone()),
        digest: digest.map(|digest| format!("{digest:016x}")),
        build: digest.map(|_| program.build.clone()),
    }
}

/// The command that shows the finding again, and the one that shows all of its run.
fn commands(
    program: &Program,
    scenario: &str,
    seed: u64,
    finding: &Finding,
    plan: &Result<PathBuf, String>,
) -> (String, Option<String>) {
    let called = program.called();
    let again = match finding.property == REPLAY {
        true => " --twice",
        false => "",
    };
    let typed = |words: String| format!("{called} {words}{again}");
    match plan {
        // A plan that cannot be run shows when it is made.
        _ if finding.property == PLAN => (
            typed(format!("run {scenario} --seeds {seed}..={seed}")),
            None,
        ),
        Ok(plan) => {
            let plan = plan.display();
            let whole = typed(format!("trace {plan}"));
            (typed(format!("replay {plan}")), Some(whole))
        }
        Err(_) => (typed(format!("trace {scenario} --seed {seed}")), None),
    }
}

impl Case {
    /// A violation that a result tells of, with its plan or the reason why there is none.
    pub(super) fn told(
        program: &Program,
        scenario: &str,
        bucket: &Bucket,
        plan: Result<PathBuf, String>,
    ) -> Self {
        let (seed, finding) = (bucket.seed, bucket.finding.clone());
        let (reproduce, whole) = commands(program, scenario, seed, &finding, &plan);
        Self {
            scenario: scenario.to_owned(),
            seed,
            finding,
            count: bucket.count,
            plan,
            shrunk: None,
            reproduce,
            whole,
            trace: Vec::new(),
        }
    }

    pub(super) fn print(&self, console: &mut Console) {
        let label = console.paint(Look::Bad, "violation");
        let Self {
            scenario,
            seed,
            count,
            ..
        } = self;
        let smaller = self.shrunk.as_ref();
        // What is told is what the plan shows that is left behind.
        let finding = smaller.map_or(&self.finding, |smaller| &smaller.finding);
        console.line("");
        console.line(format!(
            "{label}  {scenario}, seed {seed}: {}",
            finding.property
        ));
        print_finding(console, finding);
        if *count > 1 {
            console.line(format!(
                "  seeds    {count} found it; {seed} is the smallest"
            ));
        }
        if let Some(Smaller {
            before, after, how, ..
        }) = smaller
        {
            console.line(format!(
                "  shrunk   {} faults to {}, {} operations to {}, {} nodes to {}; {how}",
                before.faults, after.faults, before.ops, after.ops, before.nodes, after.nodes
            ));
            warn_if_bare(console, after, finding);
        }
        print_trace(console, &self.trace, finding);
        if let Err(problem) = &self.plan {
            console.painted(Look::Warning, format!("  no plan  {problem}"));
        }
        console.line(format!(
            "  again    {}",
            console.paint(Look::Strong, &self.reproduce)
        ));
        if let Some(whole) = &self.whole {
            console.line(format!(
                "  all of it  {}",
                console.paint(Look::Strong, whole)
            ));
        }
    }

    /// Whether there was time to look for a smaller plan, or none can be.
    pub(super) fn is_as_found(&self) -> bool {
        self.shrunk.is_none() && self.plan.is_ok()
    }

    pub(super) fn json(&self) -> Value {
        let mut value = finding_json(&self.finding);
        value["scenario"] = json!(self.scenario);
        value["seed"] = json!(self.seed);
        value["count"] = json!(self.count);
        let plan = self.plan.as_ref().ok();
        value["plan"] = json!(plan.map(|plan| plan.display().to_string()));
        let sizes = |smaller: &Smaller| json!({ "before": smaller.before, "after": smaller.after });
        value["shrunk"] = json!(self.shrunk.as_ref().map(sizes));
        value["reproduce"] = json!(self.reproduce);
        value["trace"] = json!(self.trace);
        value
    }
}
