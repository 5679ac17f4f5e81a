//! The crate keeps what it is for, and what it draws is the node's.

use foca_members::dice::Dice;
use foca_members::scenario::Members;
use meshos_sim::prelude::*;
use rand::Rng;

#[test]
fn the_gone_are_removed_and_the_others_known() {
    assert_holds(&Members::default(), 0..300);
}

#[test]
fn nobody_is_removed_before_the_suspicion_has_lasted() {
    let bound = Some(Duration::from_millis(1_400));
    let (_, report) = first_violation(&Members { bound }, 0..20).expect("it is too early");
    let finding = report.finding.expect("a violation");
    assert_eq!(finding.property, "gone-is-removed");
}

#[test]
fn dice_are_a_function_of_their_seed() {
    let rolls = |seed| {
        let mut dice = Dice::new(seed);
        [(); 4].map(|()| dice.next_u64())
    };
    assert_eq!(rolls(7), rolls(7));
    assert_ne!(rolls(7), rolls(8));
}
