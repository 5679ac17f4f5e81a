//! Unique states per second on one thread: this search, and stateright beside it, in one run.
//!
//! `cargo bench` takes two transactions and two participants, and the best of twenty rounds of
//! each, in turns.

#[path = "../tests/common/mod.rs"]
mod common;

use common::stateright;
use meshos_sim::explore::{Budgets, End, explore};
use std::time::{Duration, Instant};
use two_phase::{Care, scenario::TwoPhase};

const ROUNDS: u32 = 20;

fn main() {
    let (care, nodes, transactions) = (Care::Whole, 3, 2);
    let mut best = [Duration::MAX; 2];
    let mut states = [0; 2];
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let scenario = TwoPhase {
            care,
            nodes,
            transactions,
        };
        let outcome = explore(&scenario, Budgets::default(), &mut |_| None);
        best[0] = best[0].min(begun.elapsed());
        assert_eq!(outcome.end, End::Exhausted);
        states[0] = outcome.states;
        let begun = Instant::now();
        let (found, holds) = stateright(care, nodes as u8, transactions);
        best[1] = best[1].min(begun.elapsed());
        assert!(holds);
        states[1] = found as u64;
    }
    assert_eq!(states[0], states[1], "both search the same states");
    let rate = |at: usize| (states[at] as u128 * 1_000_000 / best[at].as_micros()) as u64;
    println!("{} unique states, one thread, best of {ROUNDS}", states[0]);
    println!("meshos-sim   {:>9} states/s", rate(0));
    println!("stateright   {:>9} states/s", rate(1));
    println!("ratio        {:>9} permille", rate(0) * 1_000 / rate(1));
}
