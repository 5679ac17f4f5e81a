//! What scenarios saw, and what they have to see, as tables and documents tell it.

use super::console::{Console, Look, grouped, seconds};
use super::{Program, duty};
use crate::any::AnyScenario;
use crate::marks::Mark;
use crate::sweep::tally::{Duties, Tally};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the scenarios of a sweep saw, or of a part of one.
pub(super) struct Account<'a> {
    pub(super) program: &'a Program,
    pub(super) scenarios: &'a [Arc<dyn AnyScenario>],
    /// One for each scenario.
    pub(super) tallies: Vec<Tally>,
    /// Whether every seed that was asked for ran here.
    is_whole: bool,
    /// How many seeds the sweep has.
    seeds: u64,
}

/// A sweep of fewer seeds only reports the marks that it did not see.
const FULL: u64 = 100;

impl<'a> Account<'a> {
    pub(super) const fn new(
        program: &'a Program,
        scenarios: &'a [Arc<dyn AnyScenario>],
        tallies: Vec<Tally>,
        is_whole: bool,
        seeds: u64,
    ) -> Self {
        Self {
            program,
            scenarios,
            tallies,
            is_whole,
            seeds,
        }
    }

    /// Whether it has to have seen everything that is required.
    pub(super) const fn is_full(&self) -> bool {
        self.is_whole && self.scenarios.len() == self.program.scenarios.len() && self.seeds >= FULL
    }

    /// For each scenario, the required marks of its own that it never saw.
    pub(super) fn missing_of(&self, index: usize) -> Vec<&'static str> {
        let tally = &self.tallies[index];
        unseen(&self.scenarios[index].marks(), |mark| {
            tally.marks.contains_key(mark)
        })
    }

    /// The required marks of the whole program that no scenario saw.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        let seen = |mark: &str| {
            self.tallies
                .iter()
                .any(|tally| tally.marks.contains_key(mark))
        };
        unseen(&self.program.marks, seen)
    }

    fn missing_all(&self) -> impl Iterator<Item = (Option<&str>, &'static str)> {
        let own = self.tallies.iter().enumerate();
        let own = own.flat_map(|(index, tally)| {
            let missing = self.missing_of(index).into_iter();
            missing.map(move |mark| (Some(&*tally.scenario), mark))
        });
        own.chain(self.missing().into_iter().map(|mark| (None, mark)))
    }

    /// How often obligations were armed and met in all scenarios.
    pub(super) fn duties(&self) -> Duties {
        duty::total(&self.tallies)
    }

    /// Whether it lacks something that it has to have seen.
    pub(super) fn is_wanting(&self) -> bool {
        let missing = self.missing_all().next().is_some();
        self.is_full() && (missing || !duty::idle(&self.duties()).is_empty())
    }

    /// Prints all but violations: the table of scenarios, and what they did not see.
    pub(super) fn print(&self, console: &mut Console) {
        let rows: Vec<_> = self.tallies.iter().map(row).collect();
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
        for tally in &self.tallies {
            for (reason, count) in &tally.not_checked {
                let text = format!("{}: not checked in {count} seeds: {reason}", tally.scenario);
                console.painted(Look::Warning, text);
            }
        }
        self.print_marks(console);
        self.print_obligations(console);
    }

    fn print_marks(&self, console: &mut Console) {
        if !self.is_full() {
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
        duty::print(console, &self.tallies, self.is_full());
        let duties = self.duties();
        let idle = duty::idle(&duties);
        if self.is_full() {
            for (property, why) in idle {
                console.painted(Look::Bad, format!("obligation {why}: {property}"));
            }
            return;
        }
        let unseen = [
            ("required states not reached", self.missing_all().count()),
            ("obligations never armed or never met", idle.len()),
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

    /// The document about all scenarios, with what is told of each beside its sums.
    pub(super) fn json(&self, verdict: &str, tell: impl Fn(usize, &mut Value)) -> Value {
        let tallies = self.tallies.iter().enumerate();
        let tallies = tallies.map(|(index, tally)| {
            let mut value = self.tally_json(index, tally);
            tell(index, &mut value);
            value
        });
        let duties = self.duties();
        let idle = duty::idle(&duties).into_iter();
        json!({
            "format": 1,
            "command": "run",
            "program": self.program.name,
            "build": self.program.build,
            "verdict": verdict,
            "full": self.is_full(),
            "scenarios": tallies.collect::<Vec<_>>(),
            "marks_missing": self.missing(),
            "obligations": duties,
            "obligations_idle": idle.map(|(property, _)| property).collect::<Vec<_>>(),
        })
    }

    fn tally_json(&self, index: usize, tally: &Tally) -> Value {
        json!({
            "scenario": tally.scenario,
            "seeds": tally.seeds,
            "failed": tally.failed(),
            "steps": tally.steps,
            "simulated_ms": tally.simulated.as_millis() as u64,
            "converged_ms_max": tally.converged_max.map(|span| span.as_millis() as u64),
            "faults": tally.faults,
            "faults_inert": tally.faults_inert,
            "digest": format!("{:016x}", tally.digests.value()),
            "marks": tally.marks,
            "marks_missing": self.missing_of(index),
            "obligations": tally.obligations,
            "not_checked": tally.not_checked,
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
    let failed = match tally.failed() {
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
        (Look::Strong, tally.scenario.to_string()),
        (seeds, grouped(tally.seeds)),
        failed,
        (Look::Plain, grouped(tally.steps)),
        (Look::Plain, seconds(tally.simulated, 0)),
        (Look::Plain, converged),
        (Look::Plain, inert),
        (Look::Dim, format!("{:016x}", tally.digests.value())),
    ]
}
