//! Pulls at the leader, what it ships, what it commits, confirms, and transfers.

use super::bench::{
    Bench, Start, attempt, behind, entry, extend, follows, leads, led, log, note, payload, replied,
    run,
};
use crate::action::{Action, Note};
use crate::chain::entry::{EntryKind, LogPosition};
use crate::chain::order::StoreError;
use crate::client::{Answer, Ask, Consistency, Level, Reason};
use crate::count::Count;
use crate::deadline::Timer;
use crate::id::{Member, NodeId, PullNumber, Replica, Seq, StoreId};
use crate::message::{Body, Confirm, Forward, ForwardAsk, Forwarded, ReplicaMessage};
use crate::replica::role::{Role, Signal};
use alloc::vec::Vec;
use core::time::Duration;

pub(super) fn chunk(bench: &Bench, from: u64, end: u64) -> ReplicaMessage {
    let chain = &bench.chain;
    let entries = (from..end).map(|seq| chain.log().entry(Seq::new(seq)).unwrap().clone());
    ReplicaMessage::Chunk {
        attempt: attempt(9),
        since: chain.log().position_at(Seq::new(from)).unwrap(),
        entries: entries.collect(),
        commit: chain.commit(),
        floor: Seq::ZERO,
    }
}

fn append(level: Level) -> Ask {
    Ask::Append {
        level,
        request: None,
        payload: payload("x"),
    }
}

#[test]
fn a_leader_begins_with_an_empty_entry() {
    let bench = Start::of(1, &[1]).settled().elected();
    let log = bench.chain.log();
    let first = log.entry(Seq::new(1)).unwrap();
    assert_eq!((&first.kind, first.epoch), (&EntryKind::Empty, led(2, 1)));
    assert_eq!(log.durable().end, Seq::new(1));
}

#[test]
fn a_pull_with_an_equal_predecessor_opens_a_stream() {
    let mut bench = Start::of(1, &[1]).settled().leading();
    let pull = bench.pull(1, 1, 1);
    let said = bench.hear(2, 2, pull);
    assert_eq!(said, [bench.said(2, chunk(&bench, 1, 2))]);
    // Nothing of its own epoch is acknowledged yet.
    assert_eq!(bench.chain.commit(), Seq::ZERO);
}

#[test]
fn an_entry_of_the_present_epoch_commits_at_the_majoritys_durable_match() {
    let mut bench = Start::of(1, &[1]).settled().elected();
    let pull = bench.pull(1, 1, 1);
    bench.hear(2, 2, pull);
    let pull = bench.pull(2, 2, 2);
    assert_eq!(
        bench.hear(2, 2, pull),
        [],
        "the leader's own is not durable"
    );
    let said = bench.done(Ok(()));
    let end = Seq::new(2);
    assert_eq!(
        said,
        [
            note(Note::Commit { end }),
            bench.said(2, chunk(&bench, 2, 2))
        ]
    );
}

#[test]
fn what_is_wanted_is_not_taken_for_what_is_durable() {
    let mut bench = Start::of(1, &[1]).settled().leading();
    let pull = bench.pull(2, 1, 1);
    assert_eq!(bench.hear(2, 2, pull), [bench.said(2, chunk(&bench, 2, 2))]);
    assert_eq!(bench.chain.commit(), Seq::ZERO);
    // A pull that is not newer says nothing.
    let pull = bench.pull(2, 2, 1);
    assert_eq!(bench.hear(2, 2, pull), []);
    assert_eq!(bench.count(Count::StaleAnswer), 1);
    assert_eq!(bench.chain.commit(), Seq::ZERO);
}

#[test]
fn a_predecessor_that_differs_is_answered_with_what_may_be_shared() {
    let mut bench = Start::of(1, &[1, 3]).settled().leading();
    let other = extend(behind(&log(&[1])[0]), &[2, 2]);
    let since = behind(&other[1]);
    let pull = |since: LogPosition, number| ReplicaMessage::Pull {
        since,
        durable: Some(since.end),
        attempt: attempt(9),
        number: PullNumber::new(number),
    };
    let said = bench.hear(2, 4, pull(since, 1));
    let conflict = ReplicaMessage::Conflict {
        attempt: attempt(9),
        failed: since,
        hint: Seq::ZERO,
        hint_epoch: led(1, 1),
        differs: true,
    };
    assert_eq!(said, [bench.said(2, conflict)]);
    assert_eq!(bench.chain.commit(), Seq::ZERO);
}

#[test]
fn a_log_that_shares_nothing_is_answered_with_the_checkpoint() {
    let mut bench = Start::of(1, &[2]).settled().leading();
    let floor = bench.chain.log().checkpoint().floor;
    let since = behind(&entry(floor, 1, EntryKind::Empty));
    let pull = ReplicaMessage::Pull {
        since,
        durable: Some(since.end),
        attempt: attempt(9),
        number: PullNumber::new(1),
    };
    let said = bench.hear(2, 3, pull);
    let encoded = postcard::to_allocvec(&**bench.chain.log().checkpoint()).unwrap();
    let reset = ReplicaMessage::InstallSnapshot {
        attempt: attempt(9),
        floor,
        checkpoint: crate::chain::checkpoint::digest(&encoded),
        length: encoded.len() as u32,
        offset: 0,
        part: encoded.into(),
    };
    assert_eq!(said, [bench.said(2, reset)]);
}

#[test]
fn a_durable_tail_below_what_was_acknowledged_is_refused() {
    let mut bench = Start::of(1, &[1]).settled().leading();
    let pull = bench.pull(1, 1, 1);
    bench.hear(2, 2, pull);
    let pull = bench.pull(1, 0, 2);
    let said = bench.hear(2, 2, pull);
    let acknowledged = Seq::new(1);
    assert_eq!(
        said,
        [bench.said(2, ReplicaMessage::Regressed { acknowledged })]
    );
    assert_eq!(bench.count(Count::StoreRegressed), 1);
}

#[test]
fn appends_are_answered_at_their_level() {
    let mut bench = Start::of(1, &[]).settled().leading();
    let pull = bench.pull(1, 1, 1);
    bench.hear(2, 1, pull);
    assert_eq!(bench.ask(1, append(Level::Local)).len(), 2);
    bench.ask(2, append(Level::Committed));
    let said = bench.done(Ok(()));
    let epoch = led(1, 1);
    let seq = Seq::new(1);
    assert!(said.contains(&replied(1, Answer::Acked { seq, epoch })));
    bench.done(Ok(()));
    let pull = bench.pull(3, 3, 2);
    let said = bench.hear(2, 1, pull);
    let (end, seq) = (Seq::new(3), Seq::new(2));
    assert_eq!(
        said,
        [
            note(Note::Commit { end }),
            replied(2, Answer::Acked { seq, epoch }),
            bench.said(2, chunk(&bench, 3, 3))
        ]
    );
}

#[test]
fn an_append_that_waits_when_a_leadership_ends_is_not_known_and_a_read_is_asked_again() {
    let mut bench = Start::of(1, &[]).settled().leading();
    bench.ask(1, append(Level::Committed));
    bench.ask(
        2,
        Ask::Read {
            consistency: Consistency::Linearizable,
            from: Seq::ZERO,
            bytes_max: 9,
        },
    );
    let said = bench.row(3, follows(2));
    let lost = bench.noted(Role::Replica, Signal::PeerLeaderObserved);
    assert_eq!(said, [replied(1, Answer::Unknown), lost]);
    bench.done(Ok(()));
    let said = bench.row(3, leads(3, 2, 0));
    let forward = Forward {
        chain: bench.chain.id(),
        generation: bench.chain.generation(),
        epoch: led(2, 3),
        attempt: bench.attempt(),
        ask: ForwardAsk::ReadIndex,
    };
    let asked = bench.sent(3, Body::Forward(forward));
    assert!(said.contains(&asked), "{said:?}");
}

#[test]
fn whoever_waits_too_long_at_a_leader_is_told_that_nothing_is_known() {
    let mut bench = Start::of(1, &[]).settled().leading();
    let read = Ask::Read {
        consistency: Consistency::Linearizable,
        from: Seq::ZERO,
        bytes_max: 9,
    };
    let span = Duration::from_secs(5);
    let due = |bench: &Bench| bench.deadlines.armed(bench.chain.index, Timer::Requests);
    bench.ask(1, append(Level::Committed));
    let first = bench.now.after(span);
    bench.pass(span / 2);
    bench.ask(2, append(Level::Local));
    bench.ask(3, read);
    let forward = ForwardAsk::Append {
        level: Level::Committed,
        request: None,
        payload: payload("x"),
    };
    bench.forward(2, led(1, 1), 4, forward);
    assert_eq!(due(&bench), Some(first));
    bench.pass(span / 2);
    bench.deadlines.disarm(bench.chain.index, Timer::Requests);
    let said = bench.act(|chain, cx| chain.on_requests_due(cx));
    assert_eq!(said, [replied(1, Answer::Unknown)]);
    assert_eq!(due(&bench), Some(first.after(span / 2)));
    bench.pass(span / 2);
    bench.deadlines.disarm(bench.chain.index, Timer::Requests);
    let said = bench.act(|chain, cx| chain.on_requests_due(cx));
    let forwarded = bench.answered(2, 4, Forwarded::Unknown);
    let late = [replied(2, Answer::Unknown), replied(3, Answer::Unknown)];
    assert_eq!(said, [&[forwarded], &late[..]].concat());
    assert_eq!((due(&bench), bench.count(Count::RequestLate)), (None, 4));
    // Nobody is answered a second time once it commits.
    bench.done(Ok(()));
    bench.done(Ok(()));
    let pull = bench.pull(4, 4, 1);
    let end = Seq::new(4);
    let told = bench.hear(2, 1, pull);
    assert_eq!(told[..1], [note(Note::Commit { end })]);
    assert_eq!(told[1..], [bench.said(2, chunk(&bench, 4, 4))]);
}

#[test]
fn a_read_waits_for_a_majority_that_was_asked_after_it() {
    let mut bench = Start::of(1, &[1]).settled().leading();
    let read = linearizable();
    // Whether the entry of the epoch before is committed this leader does not know.
    assert_eq!(bench.ask(1, read.clone()), []);
    assert_eq!(asked(&mut bench), None);
    let pull = bench.pull(2, 2, 1);
    bench.hear(2, 2, pull);
    let first = asked(&mut bench).expect("the round is asked");
    bench.ask(2, read);
    let second = asked(&mut bench).expect("a later read is asked for anew");
    assert!(first.attempt.number < second.attempt.number);
    let said = bench.act(|chain, cx| chain.on_confirmed(run(2), &first, cx));
    let entry = |seq| bench.chain.log().entry(Seq::new(seq)).unwrap().clone();
    let answer = Answer::Entries {
        floor: Seq::ZERO,
        commit: Seq::new(2),
        entries: [entry(0), entry(1)].into(),
    };
    assert_eq!(said, [replied(1, answer.clone())]);
    let said = bench.act(|chain, cx| chain.on_confirmed(run(3), &second, cx));
    assert_eq!(said, [replied(2, answer)]);
}

#[test]
fn a_leader_that_knows_all_before_its_epoch_to_be_committed_reads_before_it_writes() {
    let mut start = Start::of(1, &[1]);
    start.stored_commit = 1;
    let mut bench = start.settled().elected();
    bench.done(Err(StoreError::Full));
    bench.ask(1, linearizable());
    let confirm = asked(&mut bench).expect("the round is asked");
    let said = bench.act(|chain, cx| chain.on_confirmed(run(2), &confirm, cx));
    let entries = [bench.chain.log().entry(Seq::ZERO).unwrap().clone()];
    let answer = Answer::Entries {
        floor: Seq::ZERO,
        commit: Seq::new(1),
        entries: entries.into(),
    };
    assert_eq!(said, [replied(1, answer)]);
}

fn linearizable() -> Ask {
    Ask::Read {
        consistency: Consistency::Linearizable,
        from: Seq::ZERO,
        bytes_max: 1 << 10,
    }
}

fn asked(bench: &mut Bench) -> Option<Confirm> {
    let member = Member {
        node: NodeId::new(2),
        store: StoreId::new(2),
        replica: Replica::new(1),
    };
    let mut asked = None;
    bench.act(|chain, cx| asked = chain.poll_confirm(&member, cx));
    asked
}

#[test]
fn a_confirm_is_given_only_with_the_promise_on_disk() {
    let mut bench = Start::of(1, &[1]).settled();
    let confirm = Confirm {
        chain: bench.chain.id(),
        generation: bench.chain.generation(),
        leader: Replica::new(1),
        voter: Replica::new(1),
        epoch: led(2, 2),
        attempt: attempt(5),
    };
    let mut given = true;
    bench.act(|chain, cx| given = chain.on_confirm(run(2), &confirm, cx));
    assert!(!given, "the epoch is adopted, but not durable");
    bench.done(Ok(()));
    bench.act(|chain, cx| given = chain.on_confirm(run(2), &confirm, cx));
    assert!(given);
    bench.row(3, follows(3));
    let said = bench.act(|chain, cx| given = chain.on_confirm(run(2), &confirm, cx));
    assert!(!given);
    assert_eq!(said, [bench.said(2, ReplicaMessage::Outdated)]);
}

#[test]
fn what_may_still_be_on_its_way_is_not_sent_again() {
    let mut bench = Start::of(1, &[1]).settled().leading();
    let ask = |bench: &Bench, number| bench.pull(1, 1, number);
    let pull = ask(&bench, 1);
    let first = [bench.said(2, chunk(&bench, 1, 2))];
    assert_eq!(bench.hear(2, 2, pull), first);
    // The follower asks again, and nobody knows yet how long its link takes.
    let pull = ask(&bench, 2);
    assert_eq!(bench.hear(2, 2, pull), []);
    assert_eq!(bench.count(Count::StillUnderWay), 1);
    bench.pass(bench.config.heartbeat());
    let pull = ask(&bench, 3);
    assert_eq!(bench.hear(2, 2, pull), first);
    assert_eq!(bench.count(Count::SentAgain), 1);
    // A new question means that something is lost.
    let mut pull = ask(&bench, 4);
    let ReplicaMessage::Pull { attempt: asked, .. } = &mut pull else {
        unreachable!("it is a pull");
    };
    *asked = attempt(10);
    assert_eq!(bench.hear(2, 2, pull).len(), 1);
}

#[test]
fn a_full_window_holds_up_its_follower_only() {
    let mut start = Start::of(1, &[1]);
    start.limits.entry_bytes_max = 200_000;
    let mut bench = start.settled().leading();
    for follower in [2, 3] {
        let pull = bench.pull(2, 2, 1);
        bench.hear(follower, 2, pull);
    }
    let entry = |bench: &mut Bench, ticket| {
        let append = Ask::Append {
            level: Level::Committed,
            request: None,
            payload: payload(&"x".repeat(200_000)),
        };
        let said = bench.ask(ticket, append);
        let to = |action: &Action| match action {
            Action::Send { to, .. } => Some(to.get()),
            Action::Store { .. } | Action::Reply { .. } | Action::Note { .. } => None,
        };
        said.iter().filter_map(to).collect::<Vec<u64>>()
    };
    assert_eq!(entry(&mut bench, 1), [2, 3]);
    assert_eq!(
        entry(&mut bench, 2),
        [],
        "one message may always be under way"
    );
    // Once one of the two has the first entry it gets the second one.
    let pull = bench.pull(3, 3, 2);
    let said = bench.hear(3, 2, pull);
    assert!(
        said.contains(&bench.said(3, chunk(&bench, 3, 4))),
        "{said:?}"
    );
    assert_eq!(
        entry(&mut bench, 3),
        [3],
        "a window grows when it goes well"
    );
}

#[test]
fn leadership_is_handed_to_a_voter_that_holds_everything() {
    let mut bench = Start::of(1, &[]).settled().leading();
    let pull = bench.pull(1, 0, 1);
    bench.hear(2, 1, pull);
    let to = Some(NodeId::new(2));
    assert_eq!(bench.ask(1, Ask::Transfer { to }), []);
    let refused = replied(2, Answer::Rejected(Reason::Transferring));
    assert_eq!(bench.ask(2, append(Level::Committed)), [refused]);
    let pull = bench.pull(1, 1, 2);
    let said = bench.hear(2, 1, pull);
    let end = Seq::new(1);
    assert_eq!(
        said,
        [
            note(Note::Commit { end }),
            bench.said(2, chunk(&bench, 1, 1)),
            bench.said(
                2,
                ReplicaMessage::TransferNow {
                    tried: Vec::new(),
                    pause_ms: 0
                }
            )
        ]
    );
    let said = bench.act(|chain, cx| chain.on_transfer_due(cx));
    assert_eq!(said, [replied(1, Answer::Unknown)]);
    let said = bench.ask(3, append(Level::Committed));
    assert_eq!(said.len(), 2, "it takes appends again: {said:?}");
}

#[test]
fn requests_to_hand_over_are_bounded() {
    let mut start = Start::of(1, &[]);
    start.limits.requests_max = 2;
    let mut bench = start.settled().leading();
    let pull = bench.pull(1, 0, 1);
    bench.hear(2, 1, pull);
    let to = Some(NodeId::new(2));
    for ticket in 1..=2 {
        assert_eq!(bench.ask(ticket, Ask::Transfer { to }), []);
    }
    let busy = replied(3, Answer::Rejected(Reason::Busy));
    assert_eq!(bench.ask(3, Ask::Transfer { to }), [busy]);
}

#[test]
fn another_target_than_the_one_under_way_is_refused() {
    let mut bench = Start::of(1, &[]).settled().leading();
    let pull = bench.pull(1, 0, 1);
    bench.hear(2, 1, pull);
    let pull = bench.pull(1, 1, 1);
    bench.hear(3, 1, pull);
    let to = |node| Ask::Transfer {
        to: Some(NodeId::new(node)),
    };
    assert_eq!(bench.ask(1, to(2)), []);
    let refused = replied(2, Answer::Rejected(Reason::Transferring));
    assert_eq!(bench.ask(2, to(3)), [refused]);
    // Who wants the same one, or anybody, waits for it, too.
    assert_eq!(bench.ask(3, to(2)), []);
    assert_eq!(bench.ask(4, Ask::Transfer { to: None }), []);
    let said = bench.act(|chain, cx| chain.on_transfer_due(cx));
    assert_eq!(
        said,
        [1, 3, 4].map(|ticket| replied(ticket, Answer::Unknown))
    );
}

#[test]
fn nobody_who_cannot_take_over_is_asked_to() {
    let mut bench = Start::of(1, &[]).settled().leading();
    let to = Some(NodeId::new(3));
    let refused = replied(1, Answer::Rejected(Reason::NoSuchTarget));
    assert_eq!(bench.ask(1, Ask::Transfer { to }), [refused]);
    assert!(
        bench
            .deadlines
            .armed(bench.chain.index, Timer::Transfer)
            .is_none()
    );
}

#[test]
fn a_target_whose_acknowledgement_was_lost_is_asked_for_it_again() {
    let mut bench = Start::of(1, &[]).settled().leading();
    let pull = bench.pull(1, 0, 1);
    bench.hear(2, 1, pull);
    let to = Some(NodeId::new(2));
    bench.ask(1, Ask::Transfer { to });
    let said = bench.act(|chain, cx| chain.consider_transfer(cx));
    assert_eq!(said, [bench.said(2, chunk(&bench, 1, 1))]);
}
