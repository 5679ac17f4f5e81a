//! A sweep that ended, as tables and files tell it.

use super::case::Case;
use super::console::{Console, Look, grouped, per_second, seconds};
use super::{Program, Stop, duty};
use crate::any::AnyScenario;
use crate::marks::Mark;
use crate::sweep::{End, Options, Outcome, Tally};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A sweep that ended, as tables and files tell it.
pub(super) struct Sweep<'a> {
    pub(super) program: &'a Program,
    pub(super) scenarios: &'a [Arc<dyn AnyScenario>],
    pub(super) options: Options,
    pub(super) outcome: Outcome,
    pub(super) cases: Vec<Case>,
    pub(super) full: bool,
    /// Whether plans of violations were to be made smaller.
    pub(super) shrinks: bool,
}

impl Sweep<'_> {
    /// For each scenario, the required marks of its own that it never saw.
    pub(super) fn missing_of(&self, index: usize) -> Vec<&'static str> {
        let tally = &self.outcome.scenarios[index];
        unseen(&self.scenarios[index].marks(), |mark| {
            tally.marks.contains_key(mark)
        })
    }

    /// The required marks of the whole program that no scenario saw.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        let tallies = &self.outcome.scenarios;
        let seen = |mark: &str| tallies.iter().any(|tally| tally.marks.contains_key(mark));
        unseen(&self.program.marks, seen)
    }

    fn missing_all(&self) -> impl Iterator<Item = (Option<&str>, &'static str)> {
        let own = self
            .outcome
            .scenarios
            .iter()
            .enumerate()
            .flat_map(|(index, tally)| {
                let missing = self.missing_of(index).into_iter();
                missing.map(move |mark| (Some(&*tally.scenario), mark))
            });
        own.chain(self.missing().into_iter().map(|mark| (None, mark)))
    }

    /// Properties with a monitor whose obligations were never armed, or never met.
    pub(super) fn idle(&self) -> Vec<(&'static str, &'static str)> {
        duty::idle(&duty::total(&self.outcome))
    }

    fn seeds(&self) -> String {
        let Options { stripes, shard, .. } = &self.options;
        match shard.is_whole() {
            true => format!("seeds {}", stripes.seeds()),
            false => format!("shard {shard} of seeds {}", stripes.seeds()),
        }
    }

    fn unseeded(&self) -> bool {
        self.outcome.scenarios.iter().any(|tally| tally.seeds == 0)
    }

    pub(super) fn judge(&self) -> Result<(), Stop> {
        let missing = self.missing_all().next().is_some() || !self.idle().is_empty();
        if !self.cases.is_empty() || self.full && missing {
            return Err(Stop::Violated);
        }
        match self.outcome.end {
            End::Complete => Ok(()),
            End::Budget if !self.unseeded() => Ok(()),
            End::Budget | End::Interrupted | End::Failures | End::Stuck => Err(Stop::Incomplete),
        }
    }

    pub(super) fn print(&self, console: &mut Console) {
        for case in &self.cases {
            case.print(console);
        }
        let late = self.cases.iter().filter(|case| case.is_as_found()).count();
        if late > 0 && self.shrinks {
            let text = format!(
                "{late} of {} plans are as they were found: the time for smaller ones was spent, \
                 or there are none; see `shrink`",
                self.cases.len()
            );
            console.painted(Look::Dim, text);
        }
        if !self.cases.is_empty() {
            console.line("");
        }
        let rows: Vec<_> = self.outcome.scenarios.iter().map(row).collect();
        let head = [
            "scenario",
            "seeds",
            "failed",
            "steps",
            "simulated",
            "converged",
            "no effect",
            "digest",
        ];
        console.table(&head, &rows);
        for tally in &self.outcome.scenarios {
            for (reason, count) in &tally.not_checked {
                let text = format!("{}: not checked in {count} seeds: {reason}", tally.scenario);
                console.painted(Look::Warning, text);
            }
        }
        self.print_marks(console);
        self.print_obligations(console);
        for lost in &self.outcome.lost {
            let text = format!(
                "in flight when an earlier sweep was killed: {} seed {} \
                 (again: {} run {} --seeds {}..={})",
                lost.scenario,
                lost.seed,
                self.program.called(),
                lost.scenario,
                lost.seed,
                lost.seed
            );
            console.painted(Look::Warning, text);
        }
        self.print_sum(console);
    }

    fn print_marks(&self, console: &mut Console) {
        if !self.full {
            return;
        }
        for (scenario, mark) in self.missing_all() {
            let of = scenario.map_or_else(String::new, |scenario| format!("{scenario}: "));
            console.painted(Look::Bad, format!("{of}never reached: {mark}"));
        }
        let scenarios = self.scenarios.iter().flat_map(|scenario| scenario.marks());
        let dormant: BTreeMap<_, _> = scenarios
            .chain(self.program.marks.iter().copied())
            .filter_map(|mark| Some((mark.name, mark.dormant?)))
            .collect();
        for (mark, why) in dormant {
            console.painted(Look::Dim, format!("dormant: {mark} ({why})"));
        }
    }

    fn print_obligations(&self, console: &mut Console) {
        duty::print(console, &self.outcome, self.full);
        if self.full {
            for (property, why) in self.idle() {
                console.painted(Look::Bad, format!("obligation {why}: {property}"));
            }
            return;
        }
        let unseen = [
            ("required states not reached", self.missing_all().count()),
            ("obligations never armed or never met", self.idle().len()),
        ];
        let unseen = unseen.iter().filter(|(_, count)| *count > 0);
        let unseen: Vec<_> = unseen
            .map(|(what, count)| format!("{what}: {count}"))
            .collect();
        if !unseen.is_empty() {
            let text = format!("{}; that fails only a full sweep", unseen.join(", "));
            console.painted(Look::Dim, text);
        }
    }

    fn print_sum(&self, console: &mut Console) {
        let outcome = &self.outcome;
        let sum = |of: fn(&Tally) -> u64| outcome.scenarios.iter().map(of).sum::<u64>();
        let (runs, steps) = (sum(|tally| tally.seeds), sum(|tally| tally.steps));
        let text = format!(
            "{} runs ({}), {} steps in {}, {} steps/s",
            grouped(runs),
            self.seeds(),
            grouped(steps),
            seconds(outcome.elapsed, 1),
            grouped(per_second(steps, outcome.elapsed)),
        );
        console.line(text);
        let (look, text) = match (self.judge(), outcome.end) {
            (Ok(()), End::Budget) => (Look::Good, "all held, as far as the budget went"),
            (Ok(()), _) => (Look::Good, "all held"),
            (Err(Stop::Incomplete), End::Interrupted) => (Look::Warning, "interrupted"),
            (Err(Stop::Incomplete), _) => (Look::Warning, "incomplete: a scenario had no seed"),
            (Err(_), End::Stuck) => (Look::Bad, "violated; ended at the run that is stuck"),
            (Err(_), _) => (Look::Bad, "violated"),
        };
        console.painted(look, text);
    }

    pub(super) fn json(&self) -> Value {
        let tallies = self.outcome.scenarios.iter().enumerate();
        let tallies: Vec<_> = tallies
            .map(|(index, tally)| self.tally_json(index, tally))
            .collect();
        let lost = self.outcome.lost.iter();
        let lost = lost.map(|lost| json!({ "scenario": lost.scenario, "seed": lost.seed }));
        json!({
            "format": 1,
            "command": "run",
            "program": self.program.name,
            "build": self.program.build,
            "seeds": self.options.stripes.seeds().to_string(),
            "shard": (!self.options.shard.is_whole()).then(|| self.options.shard.to_string()),
            "end": end_word(self.outcome.end),
            "verdict": match self.judge() {
                Ok(()) => "held",
                Err(Stop::Violated | Stop::Unusable(_)) => "violated",
                Err(Stop::Incomplete) => "incomplete",
            },
            "full": self.full,
            "scenarios": tallies,
            "marks_missing": self.missing(),
            "obligations": duty::json(&duty::total(&self.outcome)),
            "obligations_idle": self.idle().iter().map(|(property, _)| property).collect::<Vec<_>>(),
            "lost": lost.collect::<Vec<_>>(),
            "timing": {
                "elapsed_ms": self.outcome.elapsed.as_millis() as u64,
                "jobs": self.options.jobs,
            },
        })
    }

    fn tally_json(&self, index: usize, tally: &Tally) -> Value {
        let cases = self
            .cases
            .iter()
            .filter(|case| case.scenario == tally.scenario);
        let hex = |(seed, digest): (&u64, &u64)| (seed.to_string(), format!("{digest:016x}"));
        let digests = tally.digests.list();
        let digests: Option<BTreeMap<_, _>> = digests.map(|list| list.iter().map(hex).collect());
        json!({
            "scenario": tally.scenario,
            "seeds": tally.seeds,
            "failed": tally.failed,
            "steps": tally.steps,
            "simulated_ms": tally.simulated.as_millis() as u64,
            "converged_ms_max": tally.converged_max.map(|span| span.as_millis() as u64),
            "faults": tally.faults,
            "faults_inert": tally.faults_inert,
            "digest": format!("{:016x}", tally.digests.value()),
            "digests": digests,
            "marks": tally.marks,
            "marks_missing": self.missing_of(index),
            "obligations": duty::json(&tally.obligations),
            "not_checked": tally.not_checked,
            "violations": cases.map(Case::json).collect::<Vec<_>>(),
        })
    }
}

fn unseen(marks: &[Mark], seen: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let required = marks.iter().filter(|mark| mark.dormant.is_none());
    required
        .map(|mark| mark.name)
        .filter(|name| !seen(name))
        .collect()
}

fn row(tally: &Tally) -> Vec<(Look, String)> {
    let failed = match tally.failed {
        0 => (Look::Good, "0".to_owned()),
        failed => (Look::Bad, grouped(failed)),
    };
    let seeds = if tally.seeds == 0 {
        Look::Warning
    } else {
        Look::Plain
    };
    let converged = tally
        .converged_max
        .map_or_else(|| "-".to_owned(), |span| seconds(span, 1));
    let inert = match tally.faults {
        0 => "-".to_owned(),
        faults => format!("{} of {}", grouped(tally.faults_inert), grouped(faults)),
    };
    vec![
        (Look::Strong, tally.scenario.clone()),
        (seeds, grouped(tally.seeds)),
        failed,
        (Look::Plain, grouped(tally.steps)),
        (Look::Plain, seconds(tally.simulated, 0)),
        (Look::Plain, converged),
        (Look::Plain, inert),
        (Look::Dim, format!("{:016x}", tally.digests.value())),
    ]
}

const fn end_word(end: End) -> &'static str {
    match end {
        End::Complete => "complete",
        End::Budget => "budget",
        End::Failures => "failures",
        End::Interrupted => "interrupted",
        End::Stuck => "stuck",
    }
}
