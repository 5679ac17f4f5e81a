//! Which messages wait for what they overtook.

use crate::id::Seq;
use crate::replica::overtake::Early;
use alloc::vec::Vec;

/// Keeps messages with the entries of these ranges, up to three, and tells which are taken from the
/// beginning on.
fn taken(ranges: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut early = Early::default();
    for &(since, end) in ranges {
        early.keep(Seq::new(since)..Seq::new(end), (since, end), 3);
    }
    core::iter::from_fn(|| early.next(Seq::new(u64::MAX))).collect()
}

#[test]
fn those_that_are_wanted_first_stay() {
    assert_eq!(
        taken(&[(9, 12), (3, 6), (6, 9), (1, 3)]),
        [(1, 3), (3, 6), (6, 9)]
    );
}

#[test]
fn those_whose_entries_others_have_make_room() {
    // Answers to one request begin at 1 and 4, to another one at 2 and 5.
    assert_eq!(
        taken(&[(1, 4), (2, 5), (4, 7), (5, 8)]),
        [(1, 4), (4, 7), (5, 8)]
    );
    assert_eq!(
        taken(&[(1, 9), (2, 5), (9, 11), (11, 13)]),
        [(1, 9), (9, 11), (11, 13)]
    );
}

#[test]
fn of_two_that_follow_the_same_the_longer_one_stays() {
    assert_eq!(taken(&[(1, 4), (1, 3)]), [(1, 4)]);
    assert_eq!(taken(&[(1, 3), (1, 4)]), [(1, 4)]);
}
