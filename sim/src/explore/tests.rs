//! One lock, two clients: what a seed finds by chance, the search finds for certain.

mod lock;

use super::{Budgets, End, Explorable, Outcome, explore};
use crate::plan::{Choice, Plan};
use crate::run::{first_violation, run};
use crate::scenario::{PlanOf, Scenario};
use lock::{Defect, Lock};

fn searched(defect: Option<Defect>, budgets: Budgets) -> Outcome {
    explore(&Lock(defect), budgets, &mut |_| None)
}

fn budgets() -> Budgets {
    Lock(None).budgets()
}

#[test]
fn the_sound_lock_is_exhausted() {
    let outcome = searched(None, budgets());
    assert_eq!(outcome.end, End::Exhausted, "{outcome:?}");
    assert!(outcome.counterexample.is_none());
    assert!(outcome.states > 500, "{outcome:?}");
    assert!(outcome.reached > outcome.states);
}

#[test]
fn search_and_sweep_find_the_same_planted_violations() {
    for defect in Defect::ALL {
        let lock = Lock(Some(defect));
        let swept = first_violation(&lock, 0..2_000).expect("a seed finds it");
        let swept = swept.1.finding.expect("a violation");
        let outcome = searched(Some(defect), budgets());
        let found = outcome.counterexample.expect("the search finds it");
        assert_eq!(found.finding.property, swept.property, "{defect:?}");
        assert_eq!(found.finding.site, swept.site, "{defect:?}");
        assert!(found.choices.len() <= 12, "{defect:?}: {:?}", found.choices);
    }
}

#[test]
fn a_counterexample_is_a_plan_that_shows_it_again() {
    let lock = Lock(Some(Defect::AnswersEarly));
    let found = searched(lock.0, budgets()).counterexample.expect("found");
    let plan: PlanOf<Lock> = Plan::of_table(&found.plan).expect("a plan");
    let text = plan.to_text();
    let read = Plan::read(&lock, "found.toml".as_ref(), &text).expect("a plan");
    assert_eq!(read, plan);
    assert_eq!(read.choices, found.choices);
    let report = run(&lock, &read);
    assert_eq!(report.finding.as_ref(), Some(&found.finding));
    assert_eq!(
        Some(format!("{:016x}", report.digest)),
        read.expect.digest,
        "{text}"
    );
    // Nothing of it is left over.
    let mut shorter = read.clone();
    shorter.choices.pop();
    assert!(run(&lock, &shorter).holds());
}

#[test]
fn budgets_end_a_search() {
    let end = |budgets| searched(None, budgets).end;
    let all = budgets();
    let depth = Some(3);
    assert_eq!(end(Budgets { depth, ..all }), End::Depth);
    let states = Some(100);
    assert_eq!(end(Budgets { states, ..all }), End::States);
    let more = Budgets {
        timeouts: Some(9),
        ..all
    };
    let memory = Some(1);
    assert_eq!(end(Budgets { memory, ..more }), End::Memory);
    let stopped = explore(&Lock(None), more, &mut |_| Some(End::Interrupted));
    assert_eq!(stopped.end, End::Interrupted);
}

#[test]
fn what_no_budget_allows_does_not_happen() {
    let none = Budgets {
        crashes: 0,
        ..budgets()
    };
    let outcome = searched(Some(Defect::AnswersEarly), none);
    assert_eq!(outcome.end, End::Exhausted, "only a crash shows it");
    assert!(outcome.depth > 5);
}

#[test]
fn a_choice_that_does_not_apply_has_no_effect() {
    let lock = Lock(None);
    let mut plan = lock.begin();
    let node = crate::node::NodeIndex(1);
    plan.liveness_ms = 0;
    plan.choices = vec![
        Choice::Restart { node },
        Choice::Store { node },
        Choice::Lose {
            from: node,
            to: crate::node::NodeIndex(0),
            nth: 7,
        },
    ];
    assert!(run(&lock, &plan).holds());
    plan.liveness_ms = 5;
    let refused = run(&lock, &plan).finding.expect("refused");
    assert_eq!(refused.site, "liveness_ms");
    assert_eq!(lock.name(), plan.scenario);
}
