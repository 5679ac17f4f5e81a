//! A sweep that ended, as tables and files tell it.

use super::Stop;
use super::account::Account;
use super::case::Case;
use super::console::{Console, Look, grouped, per_second, seconds};
use crate::sweep::{End, Options, Outcome};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A sweep that ended, as tables and files tell it.
pub(super) struct Sweep<'a> {
    pub(super) account: Account<'a>,
    pub(super) options: Options,
    pub(super) outcome: Outcome,
    pub(super) cases: Vec<Case>,
    /// Whether plans of violations were to be made smaller.
    pub(super) shrinks: bool,
    /// How many stripes a result that was resumed had.
    pub(super) resumed: Option<u64>,
}

impl Sweep<'_> {
    fn seeds(&self) -> String {
        let (seeds, shard) = (self.outcome.rows.stripes().seeds(), self.options.shard);
        match shard.is_whole() {
            true => format!("seeds {seeds}"),
            false => format!("shard {shard} of seeds {seeds}"),
        }
    }

    fn unseeded(&self) -> bool {
        self.account.tallies.iter().any(|tally| tally.seeds == 0)
    }

    pub(super) fn judge(&self) -> Result<(), Stop> {
        if !self.cases.is_empty() || self.account.is_wanting() {
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
        self.account.print(console);
        for lost in &self.outcome.lost {
            let text = format!(
                "in flight when an earlier sweep was killed: {} seed {} \
                 (again: {} run {} --seeds {}..={})",
                lost.scenario,
                lost.seed,
                self.account.program.called(),
                lost.scenario,
                lost.seed,
                lost.seed
            );
            console.painted(Look::Warning, text);
        }
        self.print_sum(console);
    }

    fn print_sum(&self, console: &mut Console) {
        let outcome = &self.outcome;
        let further = match self.resumed {
            None | Some(0) => "",
            Some(_) => "further ",
        };
        let text = format!(
            "{} {further}runs ({}), {} steps in {}, {} steps/s",
            grouped(outcome.ran.runs),
            self.seeds(),
            grouped(outcome.ran.steps),
            seconds(outcome.elapsed, 1),
            grouped(per_second(outcome.ran.steps, outcome.elapsed)),
        );
        console.line(text);
        match self.resumed {
            None => {}
            Some(0) => console.painted(Look::Dim, "there was nothing to resume"),
            Some(resumed) => {
                let complete = outcome.rows.complete().count() as u64;
                let (resumed, complete) = (grouped(resumed), grouped(complete));
                console.line(format!(
                    "resumed: {resumed} stripes were there, {complete} are complete now"
                ));
            }
        }
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
        let verdict = match self.judge() {
            Ok(()) => "held",
            Err(Stop::Violated | Stop::Unusable(_)) => "violated",
            Err(Stop::Incomplete) => "incomplete",
        };
        let mut value = self.account.json(verdict, |index, value| {
            let tally = &self.account.tallies[index];
            let cases = self.cases.iter();
            let cases = cases.filter(|case| *case.scenario == *tally.scenario);
            let hex = |(seed, digest): (&u64, &u64)| (seed.to_string(), format!("{digest:016x}"));
            let digests = tally.digests.list();
            let digests = digests.map(|list| list.iter().map(hex).collect::<BTreeMap<_, _>>());
            value["digests"] = json!(digests);
            value["violations"] = cases.map(Case::json).collect();
        });
        let (options, outcome) = (&self.options, &self.outcome);
        let lost = outcome.lost.iter();
        let lost = lost.map(|lost| json!({ "scenario": lost.scenario, "seed": lost.seed }));
        value["seeds"] = json!(outcome.rows.stripes().seeds().to_string());
        value["shard"] = json!((!options.shard.is_whole()).then(|| options.shard.to_string()));
        value["end"] = json!(end_word(outcome.end));
        value["lost"] = lost.collect();
        value["timing"] = json!({
            "elapsed_ms": outcome.elapsed.as_millis() as u64,
            "jobs": options.jobs,
        });
        value
    }
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
