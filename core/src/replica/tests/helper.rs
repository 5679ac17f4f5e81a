//! Catching up from another member than the leader, on both sides.

use super::bench::{Bench, Start, attempt, behind, chunk, entry, follows, leads, log};
use crate::action::Action;
use crate::chain::entry::{Entry, EntryKind, LogPosition};
use crate::chain::order::Order;
use crate::count::Count;
use crate::deadline::Timer;
use crate::id::{Attempt, NodeId, PullNumber, Seq};
use crate::message::{Purpose, ReplicaMessage, RowState};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

/// A follower with one entry that hears of six committed ones from leader 2 and from member 3,
/// and may lack two.
fn lagging() -> Bench {
    let mut start = Start::of(1, &[1]);
    start.limits.lag_max = 2;
    let mut bench = start.settled().following(2, 2);
    let commit = Seq::new(6);
    let knows = |row: RowState| RowState {
        commit,
        durable: Some(commit),
        ..row
    };
    bench.row(2, knows(leads(2, 2, 0)));
    bench.row(3, knows(follows(2)));
    bench
}

/// The same, after the leader was silent for a while.
fn helped() -> Bench {
    let mut bench = lagging();
    let said = bench.act(|chain, cx| chain.on_pull_due(cx));
    assert_eq!(said, [bench.said(3, catch_up(&bench))]);
    bench
}

fn catch_up(bench: &Bench) -> ReplicaMessage {
    ReplicaMessage::CatchUp {
        since: bench.chain.log().durable(),
        attempt: bench.attempt(),
    }
}

fn fetched(bench: &Bench, since: LogPosition, entries: &[Arc<Entry>]) -> ReplicaMessage {
    ReplicaMessage::Fetched {
        attempt: bench.attempt(),
        since,
        entries: entries.into(),
    }
}

fn pull(bench: &Bench, number: u64) -> ReplicaMessage {
    pull_of(bench, bench.attempt(), number)
}

fn pull_of(bench: &Bench, attempt: Attempt, number: u64) -> ReplicaMessage {
    ReplicaMessage::Pull {
        since: bench.chain.log().tip(),
        durable: Some(bench.chain.log().durable().end),
        attempt,
        number: PullNumber::new(number),
    }
}

#[test]
fn a_follower_far_behind_catches_up_from_another_member_and_asks_the_leader_for_the_rest() {
    let entries = log(&[1; 6]);
    let mut bench = helped();
    let content = fetched(&bench, behind(&entries[0]), &entries[1..3]);
    let said = bench.hear(3, 2, content);
    assert_eq!(said, [bench.ordered(Order::Append(entries[1..3].into()))]);
    assert_eq!(bench.count(Count::Helped), 2);
    // What became durable makes room for more.
    assert_eq!(bench.done(Ok(())), [bench.said(3, catch_up(&bench))]);
    let content = fetched(&bench, behind(&entries[2]), &entries[3..5]);
    let said = bench.hear(3, 2, content);
    assert_eq!(said[0], bench.said(2, pull(&bench, 2)));
    let chain = &bench.chain;
    assert_eq!([chain.verified(), chain.commit()], [Seq::ZERO; 2]);
    // The leader compares the end, and sends only what follows it.
    bench.hear(2, 2, chunk(&bench, 5, &entries, 6));
    assert_eq!(
        [bench.chain.verified(), bench.chain.commit()],
        [Seq::new(6); 2]
    );
    assert_eq!(bench.count(Count::Cut), 0);
}

#[test]
fn only_what_extends_the_log_is_taken_from_another_member() {
    let other = log(&[1, 2, 2]);
    let fork = log(&[2, 2]);
    let later = log(&[1, 3, 3]);
    let forged = Arc::new(entry(behind(&other[1]), 2, EntryKind::Empty));
    let unlinked = [
        other[1].clone(),
        Arc::new(entry(behind(&forged), 2, EntryKind::Empty)),
    ];
    for (since, entries) in [
        // Behind a predecessor that is not ours.
        (behind(&other[1]), &other[2..]),
        (behind(&fork[0]), &fork[1..]),
        // Of a higher epoch than ours.
        (behind(&other[0]), &later[1..]),
        // Not linked.
        (behind(&other[0]), &unlinked[..]),
    ] {
        let mut bench = helped();
        let content = fetched(&bench, since, entries);
        let said: Vec<Action> = bench.hear(3, 2, content);
        assert_eq!(bench.chain.log().end(), Seq::new(1), "{said:?}");
        assert_eq!(bench.count(Count::Helped), 0);
    }
}

#[test]
fn another_member_never_makes_a_follower_cut() {
    let (ours, theirs) = (log(&[1, 1, 1]), log(&[1, 2, 2, 2]));
    let mut bench = helped();
    let content = fetched(&bench, behind(&ours[0]), &ours[1..]);
    bench.hear(3, 2, content);
    let content = fetched(&bench, behind(&ours[0]), &theirs[1..]);
    let said = bench.hear(3, 2, content);
    assert_eq!(bench.chain.log().tip(), behind(&ours[2]));
    assert_eq!(bench.count(Count::Cut), 0);
    // Who of the two is right only the leader can tell.
    assert_eq!(said, [bench.said(2, pull(&bench, 2))]);
}

#[test]
fn who_does_not_help_is_left_for_the_leader() {
    let entries = log(&[1; 6]);
    for answers in [true, false] {
        let mut bench = helped();
        let due = bench.now.after(Duration::from_secs(1));
        let armed = |bench: &Bench| bench.deadlines.armed(bench.chain.index, Timer::Pull);
        assert_eq!(armed(&bench), Some(due));
        let said = if answers {
            let content = fetched(&bench, behind(&entries[0]), &[]);
            bench.hear(3, 2, content)
        } else {
            let said = bench.act(|chain, cx| chain.on_pull_due(cx));
            assert_eq!(
                said,
                [bench.said(3, catch_up(&bench))],
                "it is reminded once"
            );
            assert_eq!(armed(&bench), Some(bench.now.after(Duration::from_secs(2))));
            bench.act(|chain, cx| chain.on_pull_due(cx))
        };
        // What the leader has on its way for the question before is still wanted.
        let again = pull_of(&bench, attempt(1), 2);
        assert_eq!(said, [bench.said(2, again)]);
        let late = fetched(&bench, behind(&entries[0]), &entries[1..]);
        // A leader that is silent, too, is no better.
        let said = bench.act(|chain, cx| chain.on_pull_due(cx));
        assert_eq!(said, [bench.said(3, catch_up(&bench))]);
        // Its answer may still come, whatever was asked since.
        bench.hear(3, 2, late);
        assert_eq!(bench.chain.log().end(), Seq::new(6));
    }
}

#[test]
fn a_helper_of_which_something_was_lost_is_asked_again() {
    let entries = log(&[1; 6]);
    let mut bench = helped();
    let content = fetched(&bench, behind(&entries[0]), &entries[1..2]);
    bench.hear(3, 2, content);
    bench.done(Ok(()));
    let late = fetched(&bench, behind(&entries[1]), &entries[2..3]);
    let content = fetched(&bench, behind(&entries[2]), &entries[3..4]);
    assert_eq!(bench.hear(3, 2, content), []);
    assert_eq!(bench.count(Count::ChunkGap), 1);
    let due = bench.deadlines.armed(bench.chain.index, Timer::Pull);
    assert!(due < Some(bench.now.after(Duration::from_millis(20))));
    let said = bench.act(|chain, cx| chain.on_pull_due(cx));
    assert_eq!(said, [bench.said(3, catch_up(&bench))]);
    // Nor is what was only late waited for a second time, and what overtook it is not lost.
    bench.hear(3, 2, late);
    assert_eq!(bench.chain.log().tip(), behind(&entries[3]));
    assert_eq!(bench.count(Count::ChunkEarly), 1);
}

#[test]
fn help_that_comes_in_a_new_epoch_is_taken_like_any_other() {
    let entries = log(&[1; 6]);
    let mut bench = helped();
    let content = fetched(&bench, behind(&entries[0]), &entries[1..3]);
    bench.row(3, follows(3));
    assert_eq!(bench.hear(3, 3, content), []);
    assert_eq!(bench.chain.log().end(), Seq::new(3));
    assert_eq!(bench.chain.verified(), Seq::ZERO);
}

#[test]
fn members_give_what_they_know_committed_in_parts() {
    let entries = log(&[1; 7]);
    let mut start = Start::of(1, &[1; 6]);
    // Three entries per message, and one message on its way.
    (start.limits.entry_bytes_max, start.limits.message_bytes_max) = (1, 1_025);
    start.limits.chunks_in_flight_max = 1;
    let mut bench = start.settled().following(2, 2);
    bench.hear(2, 2, chunk(&bench, 6, &entries, 5));
    assert_eq!(bench.chain.commit(), Seq::new(5));
    let floor = bench.chain.log().checkpoint().floor;
    let ask = |since| ReplicaMessage::CatchUp {
        since,
        attempt: attempt(9),
    };
    let give = |since, entries: &[Arc<Entry>]| ReplicaMessage::Fetched {
        attempt: attempt(9),
        since,
        entries: entries.into(),
    };
    let said = bench.hear(3, 1, ask(floor));
    assert_eq!(said, [bench.said(3, give(floor, &entries[..3]))]);
    assert_eq!(bench.hear(3, 1, ask(floor)), []);
    let tip = behind(&entries[2]);
    let said = bench.hear(3, 1, ask(tip));
    assert_eq!(said, [bench.said(3, give(tip, &entries[3..5]))]);
    assert_eq!(bench.hear(3, 1, ask(behind(&entries[4]))), []);
    // Another question; what is not known committed is not given.
    let (since, attempt) = (behind(&entries[3]), attempt(10));
    let said = bench.hear(3, 1, ReplicaMessage::CatchUp { since, attempt });
    let last = ReplicaMessage::Fetched {
        attempt,
        since,
        entries: entries[4..5].into(),
    };
    assert_eq!(said, [bench.said(3, last)]);
}

/// One that knows twelve entries to be committed, and gives three of them in a message, two messages at
/// a time.
fn knowing_twelve() -> (Vec<Arc<Entry>>, Bench) {
    let entries = log(&[1; 12]);
    let mut start = Start::of(1, &[1; 12]);
    (start.limits.entry_bytes_max, start.limits.message_bytes_max) = (1, 1_025);
    start.limits.chunks_in_flight_max = 2;
    let mut bench = start.settled().following(2, 2);
    bench.hear(2, 2, chunk(&bench, 12, &entries, 12));
    (entries, bench)
}

#[test]
fn whoever_does_not_say_what_arrived_gets_no_more() {
    let (entries, mut bench) = knowing_twelve();
    let ask = |entry: usize| ReplicaMessage::CatchUp {
        since: behind(&entries[entry]),
        attempt: attempt(9),
    };
    assert_eq!(bench.hear(3, 2, ask(0)).len(), 2);
    bench.pass(bench.config.heartbeat() * 60);
    // Something else for that member finds that nothing is under way any more.
    bench.windows.has_room(NodeId::new(3), u64::MAX, bench.now);
    assert_eq!(bench.settle(), []);
    assert_eq!(bench.hear(3, 2, ask(2)).len(), 2, "until it asks again");
}

#[test]
fn what_a_member_stored_for_whatever_reason_is_under_way_to_it_no_more() {
    let (entries, mut bench) = knowing_twelve();
    let (since, attempt) = (bench.chain.log().checkpoint().floor, attempt(9));
    let said = bench.hear(3, 2, ReplicaMessage::CatchUp { since, attempt });
    assert_eq!(said.len(), 2, "three entries each");
    let row = |durable| RowState {
        durable: Some(Seq::new(durable)),
        ..follows(2)
    };
    assert_eq!(bench.row(3, row(2)).len(), 0);
    assert_eq!(bench.row(3, row(3)).len(), 1);
    // What it has by now is left out.
    let said = bench.row(3, row(10));
    let last = ReplicaMessage::Fetched {
        attempt,
        since: behind(&entries[9]),
        entries: entries[10..].into(),
    };
    assert_eq!(said, [bench.said(3, last)]);
}

#[test]
fn members_decline_what_they_cannot_give() {
    let (ours, other) = (log(&[1, 1]), log(&[2]));
    for since in [behind(&ours[1]), behind(&other[0])] {
        let mut bench = Start::of(1, &[1, 1]).settled().following(2, 2);
        bench.hear(2, 2, chunk(&bench, 2, &ours, 2));
        let attempt = attempt(9);
        let said = bench.hear(3, 2, ReplicaMessage::CatchUp { since, attempt });
        let entries = [].into();
        let declined = ReplicaMessage::Fetched {
            attempt,
            since,
            entries,
        };
        assert_eq!(said, [bench.said(3, declined)]);
    }
}

#[test]
fn members_help_within_their_budget() {
    let entries = log(&[1; 3]);
    let mut start = Start::of(1, &[1; 2]);
    start.limits.bandwidth_bytes_per_s = 100;
    let mut bench = start.settled().following(2, 2);
    bench.hear(2, 2, chunk(&bench, 2, &entries, 3));
    let since = bench.chain.log().checkpoint().floor;
    let ask = |number| ReplicaMessage::CatchUp {
        since,
        attempt: attempt(number),
    };
    assert_eq!(bench.hear(3, 2, ask(9)).len(), 1);
    assert_eq!(bench.hear(3, 2, ask(10)), []);
    assert_eq!(bench.count(Count::BudgetWait), 1);
    let at = bench.deadlines.armed(bench.chain.index, Timer::Budget);
    let at = at.expect("it is tried again");
    bench.pass(at.since(bench.now));
    assert_eq!(bench.settle().len(), 1);
}

#[test]
fn whoever_sought_election_in_between_asks_anew() {
    let mut bench = helped();
    bench.act(|chain, cx| chain.campaign(Purpose::Silence, cx));
    // What was waited for falls due while nobody is followed.
    assert_eq!(bench.act(|chain, cx| chain.on_pull_due(cx)), []);
    let said = bench.act(|chain, cx| chain.on_round_due(cx));
    assert_eq!(said.last(), Some(&bench.said(3, catch_up(&bench))));
}

#[test]
fn of_a_run_that_is_damaged_here_too_what_follows_a_known_entry_is_given() {
    let entries = log(&[1, 1, 1, 1]);
    let mut bench = Start::of(2, &[1, 1, 1, 1]).unknown(&[1]).settled();
    let asked = ReplicaMessage::Fetch {
        from: Seq::ZERO,
        end: Seq::new(4),
        attempt: attempt(7),
    };
    let given = ReplicaMessage::Fetched {
        attempt: attempt(7),
        since: behind(&entries[2]),
        entries: entries[3..].into(),
    };
    assert_eq!(bench.hear(1, 1, asked), [bench.said(1, given)]);
}
