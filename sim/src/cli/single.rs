//! `digest` and `plan`, and what all commands of one run share.

use super::args::{Asked, Digest, PlanArgs};
use super::console::{Console, Look, write_file};
use super::present::{finding_json, print_finding};
use super::{Program, Stop};
use crate::any::{AnyScenario, plan_text};
use crate::plan::{Expect, scenario_of};
use crate::report::{Finding, NodeState, Report};
use crate::sweep::guard::{Guarded, guard};
use crate::sweep::stuck_finding;
use crate::time::Instant;
use crate::trace::Line;
use crate::watch::Watch;
use crate::world::Applied;
use serde_json::{Value, json};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub(super) fn digest(program: &Program, console: &mut Console, args: &Digest) -> Result<(), Stop> {
    let scenario = Arc::clone(program.find(&args.scenario)?);
    let seed = args.seed;
    let watch = watcher(args.asked, 0);
    let outcome = attempt(args.patience.stuck_after.0, watch, move |watch| {
        scenario.run_seed(seed, watch)
    });
    let digest = outcome.digest.map(|digest| format!("{digest:016x}"));
    if let Some(digest) = &digest {
        console.line(digest);
    }
    console.json(&json!({
        "format": 1,
        "command": "digest",
        "scenario": args.scenario,
        "seed": seed,
        "digest": digest,
        "violation": outcome.finding.as_ref().map(finding_json),
    }));
    outcome.judge(console)
}

pub(super) fn plan(program: &Program, console: &mut Console, args: &PlanArgs) -> Result<(), Stop> {
    let scenario = program.find(&args.scenario)?;
    let plan = scenario.table(args.seed).map_err(|why| {
        let problem = format!("{} seed {}: {why}", args.scenario, args.seed);
        Stop::Unusable(problem)
    })?;
    let text = plan_text(plan.clone(), &Expect::default());
    match &args.out {
        Some(file) => write_file(file, &text)?,
        None if console.wants_json() => {}
        None => console.line(text.trim_end()),
    }
    console.json(&json!({
        "format": 1,
        "command": "plan",
        "scenario": args.scenario,
        "seed": args.seed,
        "plan": plan,
    }));
    Ok(())
}

/// Where a plan comes from.
pub(super) enum Source {
    /// From a seed.
    Seed(Arc<dyn AnyScenario>, u64),
    /// From a file with this text.
    File(Arc<dyn AnyScenario>, PathBuf, String),
}

/// The plan that `what` names: a scenario and a seed, or a file.
pub(super) fn source(program: &Program, what: &str, seed: Option<u64>) -> Result<Source, Stop> {
    match (program.find(what), seed) {
        (Ok(scenario), Some(seed)) => Ok(Source::Seed(Arc::clone(scenario), seed)),
        (Ok(_), None) => Err(Stop::Unusable(format!("scenario {what} needs --seed N"))),
        (Err(unknown), _) if !looks_like_a_file(what) => Err(unknown),
        (Err(_), seed) => {
            let file = PathBuf::from(what);
            if file.is_dir() {
                let problem = "expected one plan file; `replay` takes directories";
                return Err(Stop::Unusable(format!("{what}: {problem}")));
            }
            if seed.is_some() && file.exists() {
                let problem = "a plan has its own seed: leave out --seed";
                return Err(Stop::Unusable(format!("{what}: {problem}")));
            }
            let (scenario, text) = load(program, &file)?;
            Ok(Source::File(scenario, file, text))
        }
    }
}

/// Whether a word that is no scenario means a plan, though there may be no such file.
fn looks_like_a_file(word: &str) -> bool {
    word.contains('/') || word.ends_with(".toml") || Path::new(word).exists()
}

/// Reads the plan in `file` and finds its scenario.
pub(super) fn load(program: &Program, file: &Path) -> Result<(Arc<dyn AnyScenario>, String), Stop> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        let hint = if error.kind() == ErrorKind::InvalidData {
            ": expected a plan; of a recording name the directory, not a file of it"
        } else {
            ""
        };
        Stop::Unusable(format!("{}: {error}{hint}", file.display()))
    })?;
    let name = scenario_of(file, &text)?;
    let scenario = program.find(&name).map_err(|stop| match stop {
        Stop::Unusable(problem) => Stop::Unusable(format!("{}: {problem}", file.display())),
        other @ (Stop::Violated | Stop::Incomplete) => other,
    })?;
    let scenario = Arc::clone(scenario);
    scenario.check_text(file, &text)?;
    Ok((scenario, text))
}

/// What a single run came to.
#[derive(Default)]
pub(super) struct Ended {
    /// Missing when the run got stuck.
    pub(super) digest: Option<u64>,
    pub(super) finding: Option<Finding>,
    pub(super) not_checked: Vec<String>,
    pub(super) faults: u64,
    pub(super) faults_inert: u64,
    pub(super) inert: Vec<Applied>,
    pub(super) trace: Vec<Line>,
    /// Zero when the run got stuck.
    pub(super) nodes: u16,
    /// When the run ended, in simulated time.
    pub(super) end: Instant,
    /// Every node then, if the end was asked for.
    pub(super) nodes_then: Vec<NodeState>,
}

impl Ended {
    /// Tells what was found, if anything was.
    pub(super) fn judge(&self, console: &mut Console) -> Result<(), Stop> {
        let Some(finding) = &self.finding else {
            return Ok(());
        };
        let text = format!("violation  {}", finding.property);
        console.painted(Look::Bad, text);
        print_finding(console, finding);
        Err(Stop::Violated)
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "digest": self.digest.map(|digest| format!("{digest:016x}")),
            "violation": self.finding.as_ref().map(finding_json),
            "not_checked": self.not_checked,
            "faults": self.faults,
            "faults_inert": self.faults_inert,
            "inert": self.inert.iter().map(inert_json).collect::<Vec<_>>(),
        })
    }
}

impl From<Report> for Ended {
    fn from(report: Report) -> Self {
        let Report {
            digest,
            finding,
            trace,
            not_checked,
            faults,
            faults_inert,
            inert,
            nodes,
            simulated,
            nodes_then,
            ..
        } = report;
        Self {
            digest: Some(digest),
            finding,
            not_checked,
            faults,
            faults_inert,
            inert,
            trace,
            nodes,
            end: Instant::ZERO.after(simulated),
            nodes_then,
        }
    }
}

fn inert_json(applied: &Applied) -> Value {
    json!({ "at_ns": applied.at.as_nanos(), "fault": applied.fault })
}

/// A watcher that keeps the last `lines` lines of the trace.
pub(super) fn watcher(asked: Asked, lines: usize) -> Watch {
    Watch {
        trace_lines: lines,
        twice: asked.twice,
        backtrace: asked.backtrace,
        ..Watch::default()
    }
}

pub(super) fn attempt(
    stuck_after: Duration,
    watch: Watch,
    run: impl FnOnce(&Watch) -> Report + Send + 'static,
) -> Ended {
    match guard(watch, stuck_after, run) {
        Guarded::Returned(report) => report.into(),
        Guarded::Stuck(trace) => stuck(trace, stuck_after),
    }
}

/// Like [`attempt`], for a run that may find its plan unusable.
pub(super) fn attempt_file<E: Send + 'static>(
    stuck_after: Duration,
    watch: Watch,
    run: impl FnOnce(&Watch) -> Result<Report, E> + Send + 'static,
) -> Result<Ended, E> {
    match guard(watch, stuck_after, run) {
        Guarded::Returned(report) => report.map(Ended::from),
        Guarded::Stuck(trace) => Ok(stuck(trace, stuck_after)),
    }
}

fn stuck(trace: Vec<Line>, stuck_after: Duration) -> Ended {
    let finding = Some(stuck_finding(stuck_after));
    Ended {
        finding,
        trace,
        ..Ended::default()
    }
}
