//! Unknown entries of a follower: what proves them, what replaces them, and who is asked for them.

use super::bench::{Bench, Start, behind, chunk, entry, log};
use super::follower::conflict;
use crate::action::Action;
use crate::chain::entry::EntryKind;
use crate::chain::order::{Order, StoreError};
use crate::count::Count;
use crate::deadline::Timer;
use crate::id::Seq;
use crate::message::{Body, ReplicaMessage};
use alloc::sync::Arc;
use alloc::vec::Vec;

#[test]
fn an_unknown_entry_that_the_leaders_log_proves_is_repaired() {
    let entries = log(&[1, 1, 1, 1]);
    let mut bench = Start::of(1, &[1, 1, 1]).unknown(&[1]).settled();
    bench = bench.following(2, 2);
    conflict(&mut bench, 3, 0);
    let said = bench.hear(2, 2, chunk(&bench, 1, &entries, 0));
    let order = Order::Repair(entries[1..2].into());
    assert_eq!(said.last(), Some(&bench.ordered(order)));
    assert_eq!(bench.chain.log().unknown(), 0);
    assert_eq!(bench.chain.log().tip(), behind(&entries[3]));
    let said = bench.done(Ok(()));
    assert_eq!(said, [bench.ordered(Order::Append(entries[3..].into()))]);
}

#[test]
fn where_a_repair_finds_no_space_entries_behind_it_may() {
    let entries = log(&[1, 1, 1, 1]);
    let mut bench = Start::of(1, &[1, 1, 1]).unknown(&[1]).settled();
    bench = bench.following(2, 2);
    conflict(&mut bench, 3, 0);
    bench.hear(2, 2, chunk(&bench, 1, &entries, 0));
    let repair = Order::Repair(entries[1..2].into());
    let append = Order::Append(entries[3..].into());
    // Each has its turn, until one of them fits.
    for order in [&append, &repair, &append] {
        assert_eq!(bench.done(Err(StoreError::Full)), []);
        bench.deadlines.disarm(bench.chain.index, Timer::Retry);
        assert_eq!(bench.settle(), [bench.ordered(order.clone())]);
    }
    assert_eq!(bench.done(Ok(())).last(), Some(&bench.ordered(repair)));
    assert_eq!(bench.chain.log().durable(), behind(&entries[3]));
}

#[test]
fn an_unknown_last_entry_that_the_leaders_log_contradicts_is_cut() {
    let entries = log(&[1, 2]);
    let mut bench = Start::of(1, &[1, 1]).unknown(&[1]).settled();
    bench = bench.following(2, 2);
    conflict(&mut bench, 2, 0);
    let said = bench.hear(2, 2, chunk(&bench, 1, &entries, 0));
    assert_eq!(bench.chain.log().durable(), behind(&entries[0]));
    assert_eq!(bench.chain.log().tip(), behind(&entries[1]));
    assert_eq!(said, [bench.ordered(Order::Cut(Seq::new(1)))]);
    let said = bench.done(Ok(()));
    assert_eq!(said, [bench.ordered(Order::Append(entries[1..].into()))]);
}

#[test]
fn unknown_entries_are_kept_up_to_where_the_leaders_log_parts() {
    let entries = log(&[1, 1, 1, 2]);
    let mut bench = Start::of(1, &[1, 1, 1, 1]).unknown(&[2, 3]).settled();
    bench = bench.following(2, 2);
    conflict(&mut bench, 4, 1);
    let said = bench.hear(2, 2, chunk(&bench, 2, &entries, 0));
    assert_eq!(bench.chain.log().durable(), behind(&entries[2]));
    // The store cuts behind an entry that it knows again.
    let order = Order::Repair(entries[2..3].into());
    assert_eq!(
        said,
        [bench.said(2, bench.pull_after(4, 3)), bench.ordered(order)]
    );
    let said = bench.done(Ok(()));
    assert_eq!(said, [bench.ordered(Order::Cut(Seq::new(3)))]);
    let said = bench.done(Ok(()));
    assert_eq!(said, [bench.ordered(Order::Append(entries[3..].into()))]);
}

#[test]
fn a_known_entry_behind_a_repaired_one_may_be_cut() {
    let entries = log(&[1, 1, 1, 2]);
    let mut bench = Start::of(1, &[1, 1, 1, 1]).unknown(&[1]).settled();
    bench = bench.following(2, 2);
    conflict(&mut bench, 4, 0);
    bench.hear(2, 2, chunk(&bench, 1, &entries, 0));
    assert_eq!(bench.chain.log().tip(), behind(&entries[3]));
    assert_eq!(bench.chain.log().unknown(), 0);
    assert_eq!(bench.done(Ok(())), [bench.ordered(Order::Cut(Seq::new(3)))]);
}

#[test]
fn unknown_entries_of_several_epochs_wait_for_who_holds_them() {
    let entries = log(&[1, 1, 3]);
    let mut bench = Start::of(1, &[1, 2, 2]).unknown(&[1, 2]).settled();
    bench = bench.following(2, 4);
    conflict(&mut bench, 3, 0);
    let said = bench.hear(2, 4, chunk(&bench, 1, &entries, 0));
    assert_eq!(said, []);
    assert_eq!(bench.chain.log().unknown(), 2);
    assert_eq!(bench.chain.verified(), Seq::new(1));
    assert_eq!(bench.count(Count::ChunkUnsound), 1);
}

#[test]
fn a_run_of_unknown_entries_is_repaired_from_its_end_in_parts() {
    let entries = log(&[1, 1, 1, 1]);
    let mut bench = Start::of(1, &[1, 1, 1, 1]).unknown(&[1, 2]).build();
    let said = bench.settle();
    let fetch = |bench: &Bench, end| ReplicaMessage::Fetch {
        from: Seq::new(1),
        end: Seq::new(end),
        attempt: bench.attempt(),
    };
    assert_eq!(said, [bench.said(2, fetch(&bench, 3))]);
    let fetched = |bench: &Bench, at: usize| ReplicaMessage::Fetched {
        attempt: bench.attempt(),
        since: behind(&entries[at - 1]),
        entries: entries[at..at + 1].into(),
    };
    // Without its successor nothing tells that it is the one.
    assert_eq!(bench.hear(2, 1, fetched(&bench, 1)), []);
    assert_eq!(bench.count(Count::ChunkUnsound), 1);
    // Nor is one believed that its successor does not name.
    let other = Arc::new(entry(behind(&entries[1]), 1, EntryKind::Empty));
    let forged = ReplicaMessage::Fetched {
        attempt: bench.attempt(),
        since: behind(&entries[1]),
        entries: [other].into(),
    };
    assert_eq!(bench.hear(2, 1, forged), []);
    assert_eq!(bench.count(Count::ChunkUnsound), 2);
    let said = bench.hear(2, 1, fetched(&bench, 2));
    assert_eq!(
        said,
        [
            bench.said(3, fetch(&bench, 2)),
            bench.ordered(Order::Repair(entries[2..3].into()))
        ]
    );
    bench.hear(3, 1, fetched(&bench, 1));
    assert_eq!(bench.chain.log().unknown(), 0);
}

#[test]
fn every_live_peer_is_asked_in_turn_for_unknown_entries() {
    let mut bench = Start::of(2, &[1, 1]).unknown(&[0]).build();
    let mut asked = Vec::new();
    for _ in 0..4 {
        let said = bench.settle();
        asked.extend([1, 3].into_iter().filter(|&peer| {
            let content = ReplicaMessage::Fetch {
                from: Seq::ZERO,
                end: Seq::new(1),
                attempt: bench.attempt(),
            };
            said == [bench.said(peer, content)]
        }));
        // Another chain of the node asks as often.
        bench.attempts.advance();
        bench.deadlines.disarm(bench.chain.index, Timer::Repair);
    }
    assert_eq!(asked, [3, 1, 3, 1]);
}

#[test]
fn the_next_run_of_unknown_entries_is_asked_for_when_everybody_was_asked_in_vain() {
    let mut bench = Start::of(2, &[1, 1, 1, 1]).unknown(&[0, 2]).build();
    let mut asked = Vec::new();
    for _ in 0..6 {
        for action in bench.settle() {
            if let Action::Send { message, .. } = action
                && let Body::Chain(message) = &message.body
                && let ReplicaMessage::Fetch { from, end, .. } = message.content
            {
                asked.push((from.get(), end.get()));
            }
        }
        bench.deadlines.disarm(bench.chain.index, Timer::Repair);
    }
    let (first, next) = ((0, 1), (2, 3));
    assert_eq!(asked, [first, first, next, next, first, first]);
}
