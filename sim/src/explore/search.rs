//! The search itself: breadth first, so the first violation is as near as any.

use super::bench::{Bench, State};
use super::budgets::Budgets;
use super::seen::Seen;
use super::{Counterexample, End, Explorable, Outcome, Progress};
use crate::plan::{Choice, Expect};
use crate::quiet;
use crate::report::{Finding, REPLAY};
use crate::run::run;
use crate::scenario::PlanOf;
use crate::session::{finding, panicked};
use crate::time::Instant;
use crate::world::steering::STEP;
use std::collections::VecDeque;

/// Whoever watches; it may end the search, with a reason.
pub type Watcher<'a> = &'a mut dyn FnMut(&Progress) -> Option<End>;

/// Searches everything that may happen from the plan of a scenario on.
///
/// `watcher` is called now and then.
pub fn explore<S: Explorable>(scenario: &S, budgets: Budgets, watcher: Watcher<'_>) -> Outcome {
    let plan = scenario.begin();
    let mut found = Found::default();
    let mut search = Search {
        budgets,
        seen: Seen::new(),
        links: Vec::new(),
        frontier: VecDeque::new(),
        reached: 0,
        depth: 0,
        acting: None,
    };
    let ended = quiet::catch(|| search.go(scenario, &plan, watcher));
    let end = match ended {
        Ok(Ok(end)) => end,
        Ok(Err(violation)) => {
            found.finding = Some(finding(violation, Instant::ZERO));
            End::Violated
        }
        Err(panic) => {
            found.finding = Some(panicked(panic, Instant::ZERO));
            End::Violated
        }
    };
    let counterexample = found
        .finding
        .map(|finding| shown(scenario, plan, search.path(), finding));
    Outcome {
        states: search.seen.len() as u64,
        reached: search.reached,
        depth: search.depth,
        end,
        counterexample,
    }
}

#[derive(Default)]
struct Found {
    finding: Option<Finding>,
}

/// Makes a plan of what was found, and runs it.
fn shown<S: Explorable>(
    scenario: &S,
    mut plan: PlanOf<S>,
    choices: Vec<Choice>,
    found: Finding,
) -> Counterexample {
    plan.choices = choices;
    plan.safety_ms = plan.choices.len() as u64 * (STEP.as_millis() as u64);
    let end = plan.safety();
    plan.ops.iter_mut().for_each(|op| op.at = op.at.min(end));
    plan.liveness_ms = 0;
    let report = run(scenario, &plan);
    let finding = match report.finding {
        Some(finding) if finding.property == found.property => finding,
        other => {
            let other = other.map_or_else(|| "nothing".to_owned(), |other| other.to_string());
            let message = format!(
                "the search found {found}, its plan finds {other}: two states that differ have \
                 one fingerprint"
            );
            Finding::new(REPLAY, message)
        }
    };
    plan.expect = Expect {
        violates: Some(finding.property.clone()),
        digest: Some(format!("{:016x}", report.digest)),
        build: None,
    };
    Counterexample {
        choices: plan.choices.clone(),
        plan: plan.to_brief_table(),
        finding,
    }
}

struct Search {
    budgets: Budgets,
    seen: Seen,
    /// How each state was reached first: from which, by which choice.
    links: Vec<(u32, Choice)>,
    frontier: VecDeque<(u32, State)>,
    reached: u64,
    depth: u32,
    /// What happens at the moment.
    acting: Option<(u32, Choice)>,
}

/// States between two looks at what the search may still use.
const LOOK_EVERY: u32 = 4_096;

impl Search {
    fn go<S: Explorable>(
        &mut self,
        scenario: &S,
        plan: &PlanOf<S>,
        watcher: Watcher<'_>,
    ) -> Result<End, crate::violation::Violation> {
        let (mut bench, first, key) = Bench::new(scenario, plan, self.budgets)?;
        self.seen.number(key);
        self.links.push((
            0,
            Choice::Restart {
                node: crate::node::NodeIndex(0),
            },
        ));
        self.frontier.push_back((0, first));
        self.reached = 1;
        let mut choices = Vec::new();
        // The first state of the next level.
        let mut next_level = 1;
        let mut looked = 0;
        while let Some((number, state)) = self.frontier.pop_front() {
            if number == next_level {
                self.depth += 1;
                next_level = self.seen.len() as u32;
            }
            if Some(self.depth) == self.budgets.depth {
                return Ok(End::Depth);
            }
            looked += 1;
            if looked == LOOK_EVERY {
                looked = 0;
                let bytes = self.bytes() + bench.bytes();
                let progress = Progress {
                    states: self.seen.len() as u64,
                    reached: self.reached,
                    depth: self.depth,
                    waiting: self.frontier.len() as u64,
                    bytes,
                };
                if let Some(end) = watcher(&progress) {
                    return Ok(end);
                }
                if self.budgets.memory.is_some_and(|memory| bytes > memory) {
                    return Ok(End::Memory);
                }
            }
            bench.choices(&state, &mut choices);
            for choice in &choices {
                self.acting = Some((number, choice.0));
                let (state, key) = bench.after(&state, *choice, self.depth + 1)?;
                self.reached += 1;
                let (reached, is_new) = self.seen.number(key);
                if is_new {
                    self.links.push((number, choice.0));
                    self.frontier.push_back((reached, state));
                }
            }
            self.acting = None;
            let states = self.seen.len() as u64;
            if self
                .budgets
                .states
                .is_some_and(|most| states >= most.into())
            {
                return Ok(End::States);
            }
        }
        Ok(End::Exhausted)
    }

    /// How many bytes it holds itself.
    fn bytes(&self) -> u64 {
        let seen = self.seen.len() * (16 + 8 + size_of::<(u32, Choice)>());
        let each = size_of::<(u32, State)>() + 64;
        (seen + self.frontier.len() * each) as u64
    }

    /// What led to what happens at the moment.
    fn path(&self) -> Vec<Choice> {
        let Some((mut number, last)) = self.acting else {
            return Vec::new();
        };
        let mut path = vec![last];
        while number != 0 {
            let (before, choice) = self.links[number as usize];
            path.push(choice);
            number = before;
        }
        path.reverse();
        path
    }
}
