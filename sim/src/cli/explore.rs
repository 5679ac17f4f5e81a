//! `explore`: everything that may happen to a small cluster, within budgets.

use super::args::{Allowed, Explore};
use super::console::{Console, Look, grouped, per_second, seconds, write_file};
use super::memory;
use super::present::{TAIL, finding_json, print_finding, print_trace};
use super::survey::Survey;
use super::{Program, Stop, interrupt};
use crate::any::plan_name;
use crate::explore::{Budgets, Counterexample, End, Outcome};
use crate::plan::written;
use crate::watch::Watch;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

pub(super) fn explore(
    program: &Program,
    console: &mut Console,
    args: &Explore,
) -> Result<(), Stop> {
    let scenario = program.find_explorable(&args.scenario)?;
    let budgets = budgets(scenario.budgets(), args);
    let raised = interrupt::flag();
    let started = Instant::now();
    let mut survey = Survey::new(!console.paint(Look::Good, "").is_empty());
    let mut high_water = 0;
    let outcome = scenario.explore(budgets, &mut |progress| {
        // What the process holds is what counts; where nobody says that, the search's own guess.
        let bytes = memory::resident().unwrap_or(progress.bytes);
        high_water = bytes.max(high_water);
        survey.show(progress, bytes, started.elapsed());
        let has_room = budgets.memory.is_none_or(|memory| bytes <= memory);
        match (raised.load(Ordering::Relaxed), has_room) {
            (true, _) => Some(End::Interrupted),
            (false, false) => Some(End::Memory),
            (false, true) => None,
        }
    });
    let elapsed = started.elapsed();
    drop(survey);
    print_outcome(console, scenario.size(), (&outcome, &budgets), elapsed);
    let file = match &outcome.counterexample {
        Some(found) => Some(print_found(program, console, args, found)?),
        None => None,
    };
    console.json(&json!({
        "format": 1,
        "command": "explore",
        "scenario": args.scenario,
        "states": outcome.states,
        "reached": outcome.reached,
        "depth": outcome.depth,
        "end": word(outcome.end),
        "budgets": budgets_json(&budgets),
        "violation": outcome.counterexample.as_ref().map(|found| finding_json(&found.finding)),
        "choices": outcome.counterexample.as_ref().map(|found| &found.choices),
        "plan": file.as_ref().map(|file| file.display().to_string()),
        "timing": {
            "elapsed_ms": elapsed.as_millis() as u64,
            "states_per_s": per_second(outcome.states, elapsed),
            "memory_bytes": high_water,
        },
    }));
    match outcome.end {
        End::Exhausted | End::Depth => Ok(()),
        End::Violated => Err(Stop::Violated),
        End::States | End::Memory | End::Interrupted => Err(Stop::Incomplete),
    }
}

/// The budgets of the scenario, but for what the command line says.
fn budgets(own: Budgets, args: &Explore) -> Budgets {
    let bound = |said: Option<Allowed>, own| match said {
        Some(Allowed::Any) => None,
        Some(Allowed::AtMost(most)) => Some(most),
        None => own,
    };
    Budgets {
        depth: args.depth.or(own.depth),
        states: args.states.or(own.states),
        memory: Some(args.memory.map_or_else(memory::share, |memory| memory.0)),
        crashes: args.crashes.unwrap_or(own.crashes),
        timeouts: bound(args.timeouts, own.timeouts),
        early: bound(args.early, own.early),
        losses: args.losses.unwrap_or(own.losses),
        duplicates: args.duplicates.unwrap_or(own.duplicates),
    }
}

fn print_outcome(
    console: &mut Console,
    (nodes, ops): (u16, usize),
    (outcome, budgets): (&Outcome, &Budgets),
    elapsed: Duration,
) {
    let rate = grouped(per_second(outcome.states, elapsed));
    let (states, reached) = (grouped(outcome.states), grouped(outcome.reached));
    console.line(format!("  begins   {nodes} nodes, {ops} operations"));
    console.line(format!(
        "  states   {states} unique of {reached} reached, {rate}/s in {}",
        seconds(elapsed, 1)
    ));
    console.line(format!("  deepest  {} choices", outcome.depth));
    console.line(format!("  budgets  {}", told(budgets)));
    let (look, end) = match outcome.end {
        End::Exhausted => (
            Look::Good,
            "exhausted: all holds within the budgets".to_owned(),
        ),
        End::Depth => {
            let depth = outcome.depth;
            let text =
                format!("all holds in every run of up to {depth} choices; there are longer ones");
            (Look::Good, text)
        }
        End::Violated => (Look::Bad, "violated".to_owned()),
        End::States => (
            Look::Warning,
            "incomplete: the budget of states is spent".to_owned(),
        ),
        End::Memory => (
            Look::Warning,
            "incomplete: the budget of memory is spent".to_owned(),
        ),
        End::Interrupted => (Look::Warning, "incomplete: interrupted".to_owned()),
    };
    console.painted(look, format!("  end      {end}"));
}

fn told(budgets: &Budgets) -> String {
    let Budgets {
        depth,
        states,
        memory,
        crashes,
        timeouts,
        early,
        losses,
        duplicates,
    } = budgets;
    let bound = |most: Option<u8>| most.map_or_else(|| "any".to_owned(), |most| most.to_string());
    let mut text = format!(
        "{crashes} crashes, {} deadlines ({} of them early), {losses} losses, {duplicates} duplicates",
        bound(*timeouts),
        bound(*early)
    );
    if let Some(depth) = depth {
        text += &format!(", {depth} choices");
    }
    if let Some(states) = states {
        text += &format!(", {} states", grouped((*states).into()));
    }
    if let Some(memory) = memory {
        text += &format!(", {} MiB", grouped(memory >> 20));
    }
    text
}

/// Prints a counterexample and writes its plan.
fn print_found(
    program: &Program,
    console: &mut Console,
    args: &Explore,
    found: &Counterexample,
) -> Result<PathBuf, Stop> {
    let finding = &found.finding;
    console.painted(Look::Bad, format!("violation  {}", finding.property));
    print_finding(console, finding);
    let watch = Watch {
        trace_lines: TAIL,
        ..Watch::default()
    };
    let report = program.find(&args.scenario)?.run_table(&found.plan, &watch);
    if let Some(report) = report {
        print_trace(console, &report.trace, finding);
    }
    let name = plan_name(&args.scenario, 0, &finding.property).replace("-0-", "-explored-");
    let file = args.out.join(name);
    write_file(&file, &written(&found.plan))?;
    console.line(format!(
        "  plan     {} ({} choices)",
        file.display(),
        found.choices.len()
    ));
    console.line(format!(
        "  again    {} replay {}",
        program.called(),
        file.display()
    ));
    Ok(file)
}

const fn word(end: End) -> &'static str {
    match end {
        End::Exhausted => "exhausted",
        End::Violated => "violated",
        End::Depth => "depth",
        End::States => "states",
        End::Memory => "memory",
        End::Interrupted => "interrupted",
    }
}

fn budgets_json(budgets: &Budgets) -> Value {
    let Budgets {
        depth,
        states,
        memory,
        crashes,
        timeouts,
        early,
        losses,
        duplicates,
    } = budgets;
    json!({
        "depth": depth,
        "states": states,
        "memory_bytes": memory,
        "crashes": crashes,
        "timeouts": timeouts,
        "early": early,
        "losses": losses,
        "duplicates": duplicates,
    })
}
