//! The search counts what stateright counts, and finds what seeds find.

mod common;

use common::stateright;
use meshos_sim::explore::{Budgets, End, explore};
use meshos_sim::prelude::*;
use two_phase::{Care, scenario::TwoPhase};

fn searched(care: Care, transactions: u8) -> meshos_sim::explore::Outcome {
    let scenario = TwoPhase {
        care,
        nodes: 3,
        transactions,
    };
    explore(&scenario, Budgets::default(), &mut |_| None)
}

#[test]
fn both_count_the_same_states_and_all_holds() {
    for transactions in 1..=2 {
        let outcome = searched(Care::Whole, transactions);
        assert_eq!(outcome.end, End::Exhausted);
        let (states, holds) = stateright(Care::Whole, 3, transactions);
        assert!(holds);
        assert_eq!(outcome.states, states as u64, "{transactions} transactions");
    }
}

#[test]
fn planted_mistakes_are_found_shortly_and_seeds_find_the_same() {
    for care in [Care::MissesOneVote, Care::GivesUp, Care::Overturns] {
        let found = searched(care, 2).counterexample.expect("found");
        assert_eq!(found.finding.property, "all-or-nothing");
        assert!(found.choices.len() <= 10, "{care:?}: {:?}", found.choices);
        let scenario = TwoPhase {
            care,
            nodes: 3,
            transactions: 2,
        };
        let (_, report) = first_violation(&scenario, 0..2_000).expect("a seed finds it");
        let swept = report.finding.expect("a violation");
        assert_eq!(swept.property, found.finding.property);
        assert!(!stateright(care, 3, 1).1, "{care:?}");
    }
}
