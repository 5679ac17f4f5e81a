//! The crate as it is published breaks one property, with it mended all hold, and a planted
//! mistake is found.

use meshos_sim::prelude::*;
use raft_rs::{Care, scenario::Group};

fn found(care: Care, seeds: u64) -> (u64, String) {
    let group = Group { care };
    let (seed, report) = first_violation(&group, 0..seeds).expect("a violation");
    let finding = report.finding.expect("a violation");
    let again = run(&group, &group.plan(seed)).finding;
    assert_eq!(again.as_ref(), Some(&finding), "a plan finds it again");
    (seed, finding.property)
}

#[test]
fn the_published_crate_takes_back_what_a_follower_acknowledged() {
    assert_eq!(found(Care::Published, 100).1, "next-above-matched");
}

#[test]
fn with_late_rejections_undone_everything_holds() {
    assert_holds(&Group { care: Care::Mended }, 0..200);
}

#[test]
fn a_vote_that_leaves_before_it_is_on_disk_elects_two_leaders() {
    assert_eq!(found(Care::ForgottenVote, 2_000).1, "election-safety");
}
