//! The careful server holds; the planted bug is found, and its plan finds it again.

use lock_service::{Care, scenario::Locks};
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
