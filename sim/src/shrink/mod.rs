//! Smaller plans that break the same property.
//!
//! A failure is found by a plan of hundreds of operations and faults, of which a handful matter.
//! Here, one change after the other is tried and kept where the run still finds the same: the end
//! cut off, faults and operations left out (by halves, then fewer, then one by one), nodes, and
//! every value on its way to its default or to a rounder number. What is kept decides what is tried
//! next, so the result depends on the plan alone, unless the budget ends it.
//!
//! What was found by a cluster that did not converge is a special case: less time to converge, or a
//! bound that nobody could keep to, would break the same property in a sound machine. So there only
//! changes are tried that make it easier to converge.

mod edit;
mod goal;
mod passes;
mod race;
mod size;

pub(crate) use goal::Goal;
pub(crate) use race::{Bounds, Trial};
pub(crate) use size::Size;

use crate::report::Report;
use edit::{Edit, key};
use passes::Pass;
use std::sync::atomic::Ordering;
use toml::{Table, Value};

/// A plan that got smaller.
#[derive(Clone, Debug)]
pub(crate) struct Shrunk {
    /// The plan.
    pub plan: Table,
    /// What its run found.
    pub report: Report,
    /// Plans that were tried.
    #[cfg_attr(
        not(feature = "cli"),
        expect(dead_code, reason = "a test does not say how many")
    )]
    pub runs: u64,
    /// Whether nothing was left to try.
    pub is_done: bool,
}

/// How far it is.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(feature = "cli"),
    expect(dead_code, reason = "a test shows no progress")
)]
pub(crate) struct Progress {
    /// What is being tried.
    pub pass: &'static str,
    /// Plans that were tried.
    pub runs: u64,
    /// The smallest plan so far.
    pub size: Size,
}

/// Makes `plan`, whose run reported `report` and so met `goal`, smaller.
pub(crate) fn shrink(
    trial: &dyn Trial,
    goal: &Goal,
    bounds: &Bounds,
    plan: Table,
    report: Report,
    observe: &mut dyn FnMut(&Progress),
) -> Shrunk {
    let mut search = Search {
        trial,
        goal,
        bounds,
        plan,
        report,
        pass: Pass::ALL[0],
        seeds: 0,
        observe,
    };
    let is_done = search.until_nothing_helps();
    Shrunk {
        runs: bounds.runs.load(Ordering::Relaxed),
        plan: search.plan,
        report: search.report,
        is_done,
    }
}

struct Search<'a> {
    trial: &'a dyn Trial,
    goal: &'a Goal,
    bounds: &'a Bounds,
    /// The smallest plan so far.
    plan: Table,
    /// What it found.
    report: Report,
    pass: Pass,
    /// With how many other seeds a candidate is tried that does not break the property.
    seeds: i64,
    observe: &'a mut dyn FnMut(&Progress),
}

impl Search<'_> {
    /// Whether it came to its end before the budget did.
    fn until_nothing_helps(&mut self) -> bool {
        loop {
            let before = self.plan.clone();
            for pass in Pass::ALL {
                self.pass = pass;
                self.run(pass);
                if self.bounds.is_spent() {
                    return false;
                }
            }
            if self.plan != before {
                continue;
            }
            // What a change takes away often moves all that comes later by a little, and the
            // finding is gone with its coincidence. Other seeds are other coincidences.
            if self.seeds > 0 {
                return true;
            }
            self.seeds = SEEDS;
        }
    }

    /// Takes the first of the changes that keeps the finding, and says which one that was.
    fn take_first(&mut self, edits: Vec<Edit>) -> Option<usize> {
        let seeds = self.seeds;
        let candidates: Vec<Vec<Edit>> = edits
            .into_iter()
            .flat_map(|edit| {
                let own = vec![edit.clone()];
                let other =
                    move |seed| vec![edit.clone(), Edit::Put(key("seed"), Value::Integer(seed))];
                std::iter::once(own).chain((0..seeds).map(other))
            })
            .collect();
        // A smaller plan that takes far longer is none.
        let steps_max = (!self.goal.is_budget()).then(|| self.report.steps * 2 + STEPS_FREE);
        let (trial, goal, bounds) = (self.trial, self.goal, self.bounds);
        let winner = race::first(trial, goal, bounds, &self.plan, steps_max, &candidates);
        let index = winner.map(|winner| {
            (self.plan, self.report) = (winner.plan, winner.report);
            winner.index / (1 + seeds as usize)
        });
        (self.observe)(&Progress {
            pass: self.pass.name(),
            runs: self.bounds.runs.load(Ordering::Relaxed),
            size: Size::of(&self.plan),
        });
        index
    }
}

/// Other seeds that are tried with a change.
const SEEDS: i64 = 6;
/// Steps that a candidate may make beyond twice those of the smallest plan.
const STEPS_FREE: u64 = 10_000;

#[cfg(test)]
mod tests;
