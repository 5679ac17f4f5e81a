//! A violation as people and programs read it.

use super::Program;
use super::args::RunArgs;
use super::console::{Console, Look, write_file};
use crate::any::AnyScenario;
use crate::plan::Expect;
use crate::report::{Finding, PLAN, REPLAY, STUCK};
use crate::sweep::guard::{Guarded, guard};
use crate::trace::Line;
use crate::watch::Watch;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;

/// Lines of the trace that a violation shows.
pub(super) const TAIL: usize = 30;

/// A violation with everything one needs to look into it.
pub(super) struct Case {
    pub(super) scenario: String,
    pub(super) seed: u64,
    pub(super) finding: Finding,
    pub(super) count: u64,
    /// Where its plan is, or why it could not be written.
    pub(super) plan: Result<PathBuf, String>,
    pub(super) reproduce: String,
    /// The command that shows the whole trace, where that is another one.
    pub(super) whole: Option<String>,
    pub(super) trace: Vec<Line>,
}

/// Runs the seed of a violation again for its trace and writes its plan into `directory`. A plan
/// that cannot be written takes nothing from what was found: the seed is enough to go on.
pub(super) fn case(
    program: &Program,
    scenario: &Arc<dyn AnyScenario>,
    (seed, finding, count): (u64, &Finding, u64),
    args: &RunArgs,
) -> Case {
    let again = Arc::clone(scenario);
    let twice = finding.property == REPLAY;
    let watch = Watch {
        trace_lines: TAIL,
        twice,
        backtrace: args.backtrace,
        ..Watch::default()
    };
    let job = move |watch: &Watch| again.run_seed(seed, watch);
    let (directory, stuck_after) = (&args.out, args.patience.stuck_after.0);
    let (trace, digest, stack) = match guard(watch, stuck_after, job) {
        Guarded::Returned(report) => {
            let stack = report.finding.and_then(|finding| finding.backtrace);
            (report.trace, Some(report.digest), stack)
        }
        Guarded::Stuck(trace) => (trace, None, None),
    };
    let finding = Finding {
        backtrace: stack,
        ..finding.clone()
    };
    let name = format!("{}-{seed}-{}.toml", scenario.name(), finding.property);
    let plan = directory.join(name.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "-"));
    let expect = Expect {
        violates: Some(finding.property.clone()),
        digest: digest.map(|digest| format!("{digest:016x}")),
        build: digest.map(|_| program.build.clone()),
    };
    let plan = write_file(&plan, &scenario.text(seed, expect)).map(|()| plan);
    let called = program.called();
    let again = if twice { " --twice" } else { "" };
    let (reproduce, whole) = match &plan {
        // A plan that cannot be run shows when it is made.
        _ if finding.property == PLAN => {
            let reproduce = format!("run {} --seeds {seed}..={seed}", scenario.name());
            (reproduce, None)
        }
        Ok(plan) => {
            let plan = plan.display();
            (format!("replay {plan}"), Some(format!("trace {plan}")))
        }
        Err(_) => (format!("trace {} --seed {seed}", scenario.name()), None),
    };
    let typed = |words: String| format!("{called} {words}{again}");
    Case {
        scenario: scenario.name().to_owned(),
        seed,
        finding,
        count,
        reproduce: typed(reproduce),
        whole: whole.map(typed),
        plan,
        trace,
    }
}

impl Case {
    pub(super) fn print(&self, console: &mut Console) {
        let label = console.paint(Look::Bad, "violation");
        let Self {
            scenario,
            seed,
            finding,
            count,
            ..
        } = self;
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
        print_trace(console, &self.trace);
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

    pub(super) fn json(&self) -> Value {
        let mut value = finding_json(&self.finding);
        value["scenario"] = json!(self.scenario);
        value["seed"] = json!(self.seed);
        value["count"] = json!(self.count);
        let plan = self.plan.as_ref().ok();
        value["plan"] = json!(plan.map(|plan| plan.display().to_string()));
        value["reproduce"] = json!(self.reproduce);
        value["trace"] = json!(self.trace);
        value
    }
}

/// Prints where and when a property broke.
pub(super) fn print_finding(console: &mut Console, finding: &Finding) {
    if finding.property != STUCK {
        let node = finding
            .node
            .map_or_else(String::new, |node| format!(", on {node}"));
        console.line(format!("  when     {} of simulated time{node}", finding.at));
    }
    if !finding.site.is_empty() {
        console.line(format!("  where    {}", finding.site));
    }
    console.line(format!("  what     {}", finding.message));
    if let Some(input) = &finding.input {
        console.line(format!("  input    {input}"));
    }
    let stack = finding.backtrace.as_deref().unwrap_or_default();
    for (index, line) in stack.lines().enumerate() {
        let label = if index == 0 { "stack" } else { "" };
        console.line(format!("  {label:<8} {line}"));
    }
}

/// Prints the end of a trace.
pub(super) fn print_trace(console: &mut Console, trace: &[Line]) {
    for (index, line) in trace.iter().enumerate() {
        let label = if index == 0 {
            "  trace    "
        } else {
            "           "
        };
        let text = console.paint(Look::Dim, line);
        console.line(format!("{label}{text}"));
    }
}

/// A finding for programs.
pub(super) fn finding_json(finding: &Finding) -> Value {
    json!({
        "property": finding.property,
        "site": finding.site,
        "node": finding.node.map(|node| node.0),
        "at_ns": finding.at.as_nanos(),
        "message": finding.message,
        "input": finding.input,
        "backtrace": finding.backtrace,
    })
}
