//! The careful server holds; the planted bug is found, and its plan finds it again.

use lock_service::{Care, scenario::Locks};
use meshos_sim::explore::{Budgets, End, Explorable as _, explore};
use meshos_sim::prelude::*;

#[test]
fn the_careful_server_holds() {
    assert_holds(
        &Locks {
            care: Care::WritesFirst,
        },
        0..300,
    );
}

#[test]
fn the_planted_bug_is_found_and_its_plan_finds_it_again() {
    let locks = Locks {
        care: Care::AnswersEarly,
    };
    let (seed, report) = first_violation(&locks, 0..300).expect("the bug is found");
    let finding = report.finding.expect("a violation");
    assert_eq!(finding.property, "one-holder");
    let text = locks.plan(seed).to_text();
    let plan = Plan::parse("found.toml".as_ref(), &text).expect("a plan");
    let again = run(&locks, &plan).finding.expect("the same violation");
    assert_eq!(again, finding);
}

#[test]
fn no_run_of_three_nodes_breaks_the_careful_server() {
    let locks = Locks {
        care: Care::WritesFirst,
    };
    // With a crash as well, `explore locks` takes a few seconds of an optimized build.
    let budgets = Budgets {
        crashes: 0,
        timeouts: Some(1),
        ..locks.budgets()
    };
    let outcome = explore(&locks, budgets, &mut |_| None);
    assert_eq!(outcome.end, End::Exhausted, "{outcome:?}");
}

#[test]
fn the_search_finds_what_seeds_find() {
    for care in [Care::AnswersEarly, Care::FreesLaterClaims] {
        let locks = Locks { care };
        let outcome = explore(&locks, locks.budgets(), &mut |_| None);
        let found = outcome.counterexample.expect("found");
        let (_, report) = first_violation(&locks, 0..2_000).expect("a seed finds it");
        assert_eq!(found.finding.property, "one-holder");
        assert_eq!(report.finding.expect("found").property, "one-holder");
        assert!(found.choices.len() <= 20, "{care:?}: {:?}", found.choices);
    }
}
