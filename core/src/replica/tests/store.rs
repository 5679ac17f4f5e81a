//! What is ordered from the store, and what its answers mean.

use super::bench::{Start, behind, chunk, entry, follows, log, note, payload, replied};
use crate::action::{Action, Note, StopReason};
use crate::chain::entry::{Entry, EntryKind};
use crate::chain::order::{Order, StoreError};
use crate::client::{Answer, Ask, Level, Reason};
use crate::count::Count;
use crate::deadline::Timer;
use crate::id::Seq;
use crate::replica::role::{Role, Signal};
use alloc::sync::Arc;
use core::time::Duration;

fn append() -> Ask {
    Ask::Append {
        level: Level::Committed,
        request: None,
        payload: payload("x"),
    }
}

#[test]
fn entries_gather_while_a_batch_is_under_way() {
    let mut bench = Start::of(1, &[]).settled().elected();
    for ticket in 1..=3 {
        assert_eq!(bench.ask(ticket, append()), []);
    }
    let said = bench.done(Ok(()));
    let gathered = bench.chain.log().read(Seq::new(1), Seq::new(4), u64::MAX);
    assert_eq!(said, [bench.ordered(Order::Append(gathered))]);
}

#[test]
fn a_batch_that_finds_no_space_is_written_again_after_a_while() {
    let mut bench = Start::of(1, &[1]).settled().following(2, 2);
    let entries = log(&[1, 2]);
    let said = bench.hear(2, 2, chunk(&bench, 1, &entries, 0));
    let batch = Order::Append(entries[1..].into());
    assert_eq!(said, [bench.ordered(batch.clone())]);
    assert_eq!(bench.done(Err(StoreError::Full)), []);
    assert_eq!(bench.chain.log().durable(), behind(&entries[0]));
    let due = bench.deadlines.armed(bench.chain.index, Timer::Retry);
    assert_eq!(due, Some(bench.now.after(Duration::from_millis(500))));
    bench.deadlines.disarm(bench.chain.index, Timer::Retry);
    assert_eq!(bench.settle(), [bench.ordered(batch)]);
    bench.done(Ok(()));
    assert_eq!(bench.chain.log().durable(), behind(&entries[1]));
    assert_eq!(bench.count(Count::StoreFull), 1);
}

#[test]
fn where_a_batch_finds_no_space_its_first_entry_may_and_batches_grow_again() {
    let mut bench = Start::of(1, &[1]).settled().following(2, 2);
    let mut entries = log(&[1]);
    for _ in 0..7 {
        let tip = behind(entries.last().expect("there is a first one"));
        let large = Entry {
            payload: payload(&"x".repeat(3_000)),
            ..entry(tip, 2, EntryKind::Data(None))
        };
        entries.push(Arc::new(large.linked(tip.hash)));
    }
    let size = |said: &[Action]| {
        let Some(Action::Store { order, .. }) = said.last() else {
            panic!("an order: {said:?}");
        };
        let Order::Append(batch) = order else {
            panic!("a batch: {order:?}");
        };
        batch.len()
    };
    assert_eq!(size(&bench.hear(2, 2, chunk(&bench, 1, &entries, 0))), 7);
    bench.done(Err(StoreError::Full));
    bench.deadlines.disarm(bench.chain.index, Timer::Retry);
    assert_eq!(size(&bench.settle()), 1);
    assert_eq!(size(&bench.done(Ok(()))), 1, "4096 bytes have room for one");
    assert_eq!(size(&bench.done(Ok(()))), 2);
    assert_eq!(size(&bench.done(Ok(()))), 3);
}

#[test]
fn a_leader_without_space_takes_no_appends_until_it_has_some() {
    let mut bench = Start::of(1, &[]).settled().elected();
    bench.done(Err(StoreError::Full));
    let refused = replied(1, Answer::Rejected(Reason::StoreFull));
    assert_eq!(bench.ask(1, append()), [refused]);
    bench.deadlines.disarm(bench.chain.index, Timer::Retry);
    bench.settle();
    bench.done(Ok(()));
    let said = bench.ask(2, append());
    assert_eq!(said.len(), 1, "the batch is ordered: {said:?}");
}

#[test]
fn a_failed_sync_ends_the_replica_and_its_leadership() {
    let mut bench = Start::of(1, &[]).settled().elected();
    bench.ask(1, append());
    let said = bench.done(Err(StoreError::Broken));
    assert_eq!(
        said,
        [
            replied(1, Answer::Unknown),
            bench.noted(Role::Idle, Signal::ChannelClose),
            note(Note::Stopped(StopReason::StoreBroken))
        ]
    );
    assert_eq!(bench.chain.log().durable().end, Seq::ZERO);
    let stopped = replied(2, Answer::Rejected(Reason::Stopped));
    assert_eq!(bench.ask(2, append()), [stopped]);
    assert_eq!(bench.row(2, follows(9)), []);
}

#[test]
fn the_last_batch_is_sealed_once_and_not_again() {
    let mut bench = Start::of(1, &[1]).settled();
    let due = bench.deadlines.armed(bench.chain.index, Timer::Seal);
    assert_eq!(due, Some(bench.now.after(Duration::from_secs(1))));
    bench.deadlines.disarm(bench.chain.index, Timer::Seal);
    let said = bench.act(|chain, _| chain.on_seal_due());
    assert_eq!(said, [bench.ordered(Order::Append([].into()))]);
    assert_eq!(bench.done(Ok(())), []);
    assert_eq!(bench.deadlines.armed(bench.chain.index, Timer::Seal), None);
}

#[test]
fn a_completion_that_nobody_waits_for_is_counted() {
    let mut bench = Start::of(1, &[1]).settled();
    assert_eq!(bench.done(Ok(())), []);
    assert_eq!(bench.count(Count::UnknownOperation), 1);
}

#[test]
fn repairs_that_a_cut_overtook_are_not_written_again() {
    let mut bench = Start::of(1, &[1, 1, 1]).unknown(&[2]).settled();
    let lost = log(&[1, 1, 1]);
    let fetched = crate::message::ReplicaMessage::Fetched {
        attempt: bench.attempt(),
        since: behind(&lost[1]),
        entries: lost[2..].into(),
    };
    let said = bench.hear(3, 1, fetched);
    assert_eq!(said, [bench.ordered(Order::Repair(lost[2..].into()))]);
    bench.row(2, super::bench::leads(2, 2, 0));
    // The cut comes while the repair is under way, which then finds no space.
    bench.act(|chain, _| {
        chain.log.cut(Seq::new(2));
        chain.writer.cut(Seq::new(2));
    });
    bench.done(Err(StoreError::Full));
    bench.deadlines.disarm(bench.chain.index, Timer::Retry);
    bench.settle();
    let said = bench.done(Ok(()));
    let cut = bench.ordered(Order::Cut(Seq::new(2)));
    assert_eq!(said.last(), Some(&cut));
}

/// A replica that starts alone, on a store that took down this end as committed.
fn restarted(stored_commit: u64, unknown: &[u64]) -> crate::replica::Chain {
    let start = Start {
        stored_commit,
        ..Start::of(1, &[1, 1, 1]).unknown(unknown)
    };
    start.build().chain
}

#[test]
fn what_was_stored_as_committed_counts_again() {
    for stored in 0..=3 {
        let chain = restarted(stored, &[]);
        assert_eq!(chain.fault(), None);
        assert_eq!(chain.commit(), Seq::new(stored));
        assert_eq!(chain.stored_commit(), Seq::new(stored));
    }
    assert_eq!(restarted(3, &[1]).commit(), Seq::new(1));
}

#[test]
fn a_log_that_ends_below_what_was_stored_as_committed_takes_no_part() {
    let chain = restarted(4, &[]);
    assert_eq!(chain.fault(), Some(StopReason::StoreRegressed));
    assert_eq!(chain.role(), Role::Idle);
}

#[test]
fn only_what_is_durable_here_is_stored_as_committed() {
    let mut bench = Start::of(1, &[1]).settled().following(2, 2);
    let entries = log(&[1, 2, 2]);
    // The leader says that more is committed than is written here.
    let said = bench.hear(2, 2, chunk(&bench, 1, &entries[..2], 2));
    assert_eq!(bench.chain.commit(), Seq::new(2));
    let Some(Action::Store { commit, .. }) = said.last() else {
        panic!("a batch is ordered: {said:?}");
    };
    assert_eq!(*commit, Seq::new(1));
    bench.done(Ok(()));
    assert_eq!(bench.chain.stored_commit(), Seq::new(1));
}

#[test]
fn what_is_committed_is_stored_with_the_vote_while_there_is_no_space() {
    let mut bench = Start::of(1, &[1]).settled().following(2, 2);
    let entries = log(&[1, 2, 2]);
    bench.hear(2, 2, chunk(&bench, 1, &entries[..2], 0));
    bench.done(Ok(()));
    // What follows finds no space, and what is stored turns out to be committed.
    bench.hear(2, 2, chunk(&bench, 2, &entries, 2));
    bench.done(Err(StoreError::Full));
    bench.deadlines.disarm(bench.chain.index, Timer::Retry);
    let said = bench.settle();
    let vote = Order::Vote(bench.chain.promised());
    assert_eq!(said.last(), Some(&bench.ordered(vote)));
    let said = bench.done(Ok(()));
    assert_eq!(bench.chain.stored_commit(), Seq::new(2));
    // It is once enough, and proves no space.
    let append = bench.ordered(Order::Append(entries[2..].into()));
    assert_eq!(said.last(), Some(&append));
    assert!(bench.chain.writer.is_full());
}
