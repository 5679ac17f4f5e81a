//! What is dropped and when, and what time the entries bear.

use super::bench::{
    Bench, Start, attempt, behind, chunk, entry, extend, follows, leads, log, payload, row_of,
};
use crate::action::Action;
use crate::chain::checkpoint;
use crate::chain::entry::{EntryKind, Request};
use crate::chain::order::{Order, StoreError};
use crate::chain::payload::Payload;
use crate::client::{Ask, Level};
use crate::config::Retention;
use crate::count::Count;
use crate::deadline::Timer;
use crate::id::{AttemptNumber, ClientId, RequestNumber, Seq};
use crate::message::{ReplicaMessage, RowState};
use crate::time::Wall;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

const HOUR: u64 = 3_600_000;

/// The leader of three, whose followers 2 and 3 were just heard, with one entry of its own.
fn leading(retention: Retention) -> Bench {
    let mut start = Start::of(1, &[]);
    start.retention = retention;
    let mut bench = start.build();
    bench.wall = Wall::from_ms(24 * HOUR);
    bench.wall_there = bench.wall;
    hear_both(&mut bench);
    bench.leading()
}

fn hear_both(bench: &mut Bench) {
    let n = bench.chain.epoch().n;
    for peer in [2, 3] {
        bench.row(peer, follows(n));
    }
}

fn by_age(age_max_ms: u64) -> Retention {
    Retention {
        age_max_ms: Some(age_max_ms),
        ..Retention::default()
    }
}

fn by_count(entries_max: u64) -> Retention {
    Retention {
        entries_max: Some(entries_max),
        ..Retention::default()
    }
}

/// Time passes on every clock, and everybody is heard again.
fn pass(bench: &mut Bench, ms: u64) {
    let span = Duration::from_millis(ms);
    bench.pass(span);
    bench.wall = bench.wall.after(span);
    bench.wall_there = bench.wall_there.after(span);
    hear_both(bench);
}

fn append() -> Ask {
    Ask::Append {
        level: Level::Committed,
        request: None,
        payload: payload("x"),
    }
}

/// Appends that are durable here.
fn append_durably(bench: &mut Bench, count: u64) {
    for ticket in 0..count {
        bench.ask(ticket, append());
        bench.done(Ok(()));
    }
}

/// Follower 2 acknowledges everything.
fn commit(bench: &mut Bench, number: u64) -> Vec<Action> {
    let end = bench.chain.log().end().get();
    let pull = bench.pull(end, end, number);
    bench.hear(2, bench.chain.epoch().n, pull)
}

fn floor_of(order: Option<&Action>) -> Option<u64> {
    match order {
        Some(Action::Store {
            order: Order::Retain(checkpoint),
            ..
        }) => Some(checkpoint.floor.end.get()),
        _ => None,
    }
}

fn stamp_of_last(bench: &Bench) -> Wall {
    bench.chain.log().stamp()
}

#[test]
fn stamps_follow_the_majority_and_never_go_down() {
    let mut bench = leading(Retention::default());
    let noon = bench.wall;
    append_durably(&mut bench, 1);
    assert_eq!(stamp_of_last(&bench), noon);
    bench.wall = noon.after(Duration::from_millis(2 * HOUR));
    append_durably(&mut bench, 1);
    assert_eq!(stamp_of_last(&bench), noon, "one clock leaps");
    bench.wall_there = noon.after(Duration::from_millis(HOUR));
    bench.row(2, follows(bench.chain.epoch().n));
    append_durably(&mut bench, 1);
    assert_eq!(stamp_of_last(&bench), bench.wall_there, "two clocks do");
    bench.wall = noon;
    bench.wall_there = noon;
    hear_both(&mut bench);
    append_durably(&mut bench, 1);
    assert_eq!(
        stamp_of_last(&bench),
        noon.after(Duration::from_millis(HOUR))
    );
}

#[test]
fn without_a_majority_of_fresh_clocks_time_stands_still() {
    let mut bench = leading(Retention::default());
    let noon = bench.wall;
    bench.pass(Duration::from_millis(10_000));
    bench.wall = noon.after(Duration::from_millis(10_000));
    append_durably(&mut bench, 1);
    assert_eq!(stamp_of_last(&bench), bench.wall, "aged by the own clock");
    bench.pass(Duration::from_millis(1));
    bench.wall = noon.after(Duration::from_millis(HOUR));
    append_durably(&mut bench, 1);
    assert_eq!(
        stamp_of_last(&bench),
        noon.after(Duration::from_millis(10_000))
    );
}

#[test]
fn an_idle_chain_drops_what_is_past_its_age_and_tells_the_others() {
    let mut bench = leading(by_age(8_000));
    append_durably(&mut bench, 2);
    commit(&mut bench, 1);
    assert_eq!(bench.chain.commit(), Seq::new(3));
    let due = bench.deadlines.armed(bench.chain.index, Timer::Age);
    assert_eq!(due, Some(bench.now.after(Duration::from_secs(2))), "a step");
    for _ in 0..4 {
        pass(&mut bench, 2_000);
        bench.deadlines.disarm(bench.chain.index, Timer::Age);
        assert_eq!(floor_of(bench.settle().last()), None, "not a step past it");
    }
    pass(&mut bench, 2_000);
    bench.deadlines.disarm(bench.chain.index, Timer::Age);
    assert_eq!(floor_of(bench.settle().last()), Some(3));
    bench.done(Ok(()));
    assert_eq!(bench.chain.log().floor(), Seq::new(3));
    assert_eq!(row_of(&bench).floor, Seq::new(3));
    assert_eq!(bench.deadlines.armed(bench.chain.index, Timer::Age), None);
    // Stamps go on from the checkpoint.
    assert!(stamp_of_last(&bench) > Wall::default());
}

#[test]
fn one_leap_of_the_leaders_clock_drops_nothing() {
    let mut bench = leading(by_age(HOUR));
    append_durably(&mut bench, 2);
    commit(&mut bench, 1);
    bench.wall = bench.wall.after(Duration::from_millis(2 * HOUR));
    bench.deadlines.disarm(bench.chain.index, Timer::Age);
    bench.settle();
    append_durably(&mut bench, 1);
    commit(&mut bench, 2);
    assert_eq!(row_of(&bench).floor, Seq::ZERO);
    assert_eq!(bench.chain.log().floor(), Seq::ZERO);
}

#[test]
fn a_full_store_drops_what_is_past_its_age_before_it_appends() {
    let mut bench = leading(by_age(8_000));
    append_durably(&mut bench, 2);
    commit(&mut bench, 1);
    bench.ask(9, append());
    bench.done(Err(StoreError::Full));
    pass(&mut bench, 8_001);
    bench.deadlines.disarm(bench.chain.index, Timer::Retry);
    assert_eq!(
        floor_of(bench.settle().last()),
        Some(3),
        "no step is waited for"
    );
    // Not even the checkpoint finds room, so what is committed is stored with the vote, which needs
    // none, and the entry is tried again, and so on.
    bench.done(Err(StoreError::Full));
    bench.deadlines.disarm(bench.chain.index, Timer::Retry);
    let vote = Order::Vote(bench.chain.promised());
    let said = bench.settle();
    assert_eq!(said.last(), Some(&bench.ordered(vote)));
    assert_eq!(floor_of(bench.done(Ok(())).last()), None);
    for expected in [Some(3), None] {
        bench.done(Err(StoreError::Full));
        bench.deadlines.disarm(bench.chain.index, Timer::Retry);
        let said = bench.settle();
        assert_eq!(floor_of(said.last()), expected, "{said:?}");
    }
    bench.done(Ok(()));
    assert_eq!(bench.count(Count::Retained), 0);
    bench.done(Ok(()));
    assert_eq!(bench.count(Count::Retained), 1);
}

#[test]
fn a_checkpoint_that_finds_no_space_leaves_it_to_entries() {
    let mut bench = leading(by_count(8));
    append_durably(&mut bench, 12);
    let retained = commit(&mut bench, 1);
    assert_eq!(floor_of(retained.last()), Some(7), "{retained:?}");
    bench.done(Err(StoreError::Full));
    // Appends are taken and written, and the checkpoint is tried again after a while only.
    for ticket in 20..23 {
        let said = bench.ask(ticket, append());
        assert!(
            matches!(said.last(), Some(Action::Store { .. })),
            "{said:?}"
        );
        assert_eq!(floor_of(said.last()), None, "{said:?}");
        bench.done(Ok(()));
    }
    bench.deadlines.disarm(bench.chain.index, Timer::Retry);
    assert!(floor_of(bench.settle().last()).is_some());
    bench.done(Ok(()));
    assert_eq!(bench.count(Count::Retained), 1);
}

#[test]
fn a_bound_passed_by_half_goes_before_appends() {
    let mut bench = leading(by_count(8));
    append_durably(&mut bench, 8);
    bench.ask(20, append());
    // Nine are committed while one is written: more than the bound, but entries go first.
    commit(&mut bench, 1);
    bench.ask(21, append());
    let said = bench.done(Ok(()));
    assert_eq!(floor_of(said.last()), None, "{said:?}");
    assert_eq!(row_of(&bench).floor, Seq::new(3));
    for ticket in 22..24 {
        bench.ask(ticket, append());
        commit(&mut bench, ticket);
        bench.done(Ok(()));
    }
    bench.ask(30, append());
    commit(&mut bench, 30);
    let said = bench.done(Ok(()));
    let kept = bench.chain.commit().get() - floor_of(said.last()).expect("it goes first");
    assert_eq!(kept, 6, "what became due meanwhile goes with it");
}

#[test]
fn a_follower_learns_the_floor_from_the_row_when_the_chunk_was_lost() {
    let mut bench = Start::of(1, &[1, 1]).settled().following(2, 2);
    let entries = extend(behind(&log(&[1, 1])[1]), &[2]);
    let entries: Vec<_> = log(&[1, 1]).into_iter().chain(entries).collect();
    bench.hear(2, 2, chunk(&bench, 2, &entries, 3));
    bench.done(Ok(()));
    let row = RowState {
        floor: Seq::new(9),
        ..leads(2, 2, 3)
    };
    let said = bench.row(2, row);
    assert_eq!(
        floor_of(said.last()),
        Some(3),
        "but not above its own commit"
    );
}

/// Follower 3 has nothing that is retained and asks for what there is, with that question.
fn pull_from_zero(bench: &mut Bench, number: u64, question: u64) {
    let mut pull = bench.pull(3, 0, number);
    if let ReplicaMessage::Pull { since, attempt, .. } = &mut pull {
        (since.end, attempt.number) = (Seq::ZERO, AttemptNumber::new(question));
    }
    bench.hear(3, 1, pull);
}

/// A leader that keeps eight entries and dropped some, which sent follower 3 its checkpoint.
fn waited_for() -> Bench {
    let mut bench = leading(by_count(8));
    append_durably(&mut bench, 8);
    commit(&mut bench, 1);
    bench.done(Ok(()));
    assert_eq!(bench.chain.log().floor(), Seq::new(3));
    pull_from_zero(&mut bench, 1, 9);
    bench
}

/// So many entries are appended and committed; the floor that is written then, if one is.
fn floor_after(bench: &mut Bench, entries: u64, number: u64) -> Option<u64> {
    append_durably(bench, entries);
    let floor = floor_of(commit(bench, number).last());
    if floor.is_some() {
        bench.done(Ok(()));
    }
    floor
}

#[test]
fn the_floor_waits_for_a_member_that_was_sent_a_checkpoint() {
    let mut bench = waited_for();
    assert_eq!(floor_after(&mut bench, 20, 2), None);
    let pull = bench.pull(7, 7, 2);
    bench.hear(3, 1, pull);
    assert_eq!(floor_after(&mut bench, 1, 3), None, "not for so little");
    let pull = bench.pull(13, 13, 3);
    assert_eq!(floor_of(bench.hear(3, 1, pull).last()), Some(13));
    bench.done(Ok(()));
    let pull = bench.pull(26, 26, 4);
    assert_eq!(floor_of(bench.hear(3, 1, pull).last()), Some(24));
    bench.done(Ok(()));
    assert_eq!(floor_after(&mut bench, 8, 4), Some(32), "it is level");
}

/// What was kept for it is dropped at once when the floor waits no more.
#[test]
fn the_floor_does_not_pass_a_member_that_is_near() {
    let mut bench = waited_for();
    assert_eq!(floor_after(&mut bench, 20, 2), None);
    let pull = bench.pull(20, 20, 2);
    assert_eq!(floor_of(bench.hear(3, 1, pull).last()), Some(20));
    assert!(bench.chain.is_held());
}

#[test]
fn the_floor_waits_for_nobody_who_comes_no_nearer() {
    let mut bench = waited_for();
    assert_eq!(floor_after(&mut bench, 20, 2), None);
    pass(&mut bench, 60_001);
    assert_eq!(row_of(&bench).floor, Seq::new(23));
}

#[test]
fn the_floor_waits_for_nobody_while_no_majority_has_space() {
    let mut bench = waited_for();
    assert_eq!(floor_after(&mut bench, 20, 2), None);
    let full = RowState {
        is_full: true,
        ..follows(1)
    };
    assert_eq!(floor_of(bench.row(2, full).last()), None, "two have space");
    assert_eq!(floor_of(bench.row(3, full).last()), Some(23));
}

#[test]
fn the_floor_waits_only_as_long_as_there_is_room() {
    let mut bench = waited_for();
    for ticket in 0..40 {
        let append = Ask::Append {
            level: Level::Committed,
            request: None,
            payload: Payload::new(alloc::vec![0; 64 << 10].into()),
        };
        bench.ask(ticket, append);
        bench.done(Ok(()));
    }
    assert_eq!(floor_of(commit(&mut bench, 2).last()), Some(43));
}

/// A full store may wait for the room that the next checkpoint makes.
#[test]
fn the_floor_waits_for_nobody_whose_store_is_full() {
    let mut bench = waited_for();
    assert_eq!(floor_after(&mut bench, 20, 2), None);
    let full = RowState {
        is_full: true,
        ..follows(1)
    };
    assert_eq!(floor_of(bench.row(3, full).last()), Some(23));
}

/// A member that restarts again and again must not keep the floor down for ever.
#[test]
fn who_begins_anew_comes_no_nearer() {
    let mut bench = waited_for();
    let encoded = postcard::to_allocvec(&**bench.chain.log().checkpoint()).expect("plain data");
    let some = ReplicaMessage::SnapshotRequest {
        attempt: attempt(9),
        checkpoint: checkpoint::digest(&encoded),
        offset: 5,
    };
    bench.hear(3, 1, some);
    assert_eq!(floor_after(&mut bench, 20, 2), None);
    pass(&mut bench, 30_000);
    pull_from_zero(&mut bench, 2, 50);
    pass(&mut bench, 30_001);
    assert_eq!(row_of(&bench).floor, Seq::new(23));
}

/// What the leader before kept for a member must not be dropped before that can ask again.
#[test]
fn the_floor_of_the_next_leader_waits_for_who_is_in_the_older_half() {
    let waits = |commit| {
        let mut bench = Start::of(1, &[1; 20]).build();
        bench.wall = Wall::from_ms(24 * HOUR);
        bench.wall_there = bench.wall;
        let row = RowState {
            commit: Seq::new(commit),
            ..follows(1)
        };
        bench.row(3, row);
        bench.leading().chain.is_held()
    };
    assert!(waits(0));
    assert!(!waits(15), "retention does not reach it soon");
}

/// Two members that come and go must not keep the floor down by turns.
#[test]
fn the_floor_waits_for_a_member_again_only_once_it_rose() {
    let mut bench = waited_for();
    assert!(bench.chain.is_held());
    assert_eq!(floor_after(&mut bench, 1, 2), None);
    pass(&mut bench, 60_001);
    assert_eq!(
        floor_after(&mut bench, 1, 3),
        None,
        "there is nothing to drop"
    );
    assert!(!bench.chain.is_held(), "it came no nearer");
    pull_from_zero(&mut bench, 2, 9);
    assert!(!bench.chain.is_held(), "the floor is where it was");
}

/// A table that loses its oldest client is larger at positions before that.
#[test]
fn a_checkpoint_anywhere_in_a_log_is_as_long_at_most_as_its_store_is_told() {
    let mut start = Start::of(1, &[]);
    start.limits.clients_max = 1;
    start.limits.client_window = 400;
    let mut tip = behind(&log(&[1])[0]);
    start.log = log(&[1]);
    let request = |number| {
        EntryKind::Data(Some(Request {
            client: ClientId(Seq::new(1)),
            number: RequestNumber::new(number),
        }))
    };
    let requests = (1..600).map(request);
    let opens = || core::iter::once(EntryKind::OpenClient);
    for kind in opens().chain(requests).chain(opens()) {
        let entry = Arc::new(entry(tip, 1, kind));
        tip = behind(&entry);
        start.log.push(entry);
    }
    let bench = start.build();
    let log = bench.chain.log();
    let length = |floor| {
        let checkpoint = log.checkpoint_at(Seq::new(floor)).expect("all is known");
        checkpoint::encode(&checkpoint).len() as u64
    };
    let lengths: Vec<_> = (log.floor().get()..=log.end().get()).map(length).collect();
    let longest = lengths.iter().max().expect("there are positions");
    assert!(lengths.last() < Some(&(longest / 2)), "a client left");
    assert!(*longest <= log.checkpoint_bytes(), "{longest}");
}
