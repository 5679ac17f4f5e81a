//! Pulls, chunks, conflicts, resets and repairs at a follower.

use super::bench::{Bench, Start, attempt, behind, chunk, entry, leads, log, note, row_of};
use crate::action::{Action, Note, StopReason};
use crate::chain::entry::{EntryKind, Membership};
use crate::chain::order::{Checkpoint, Order, StoreError};
use crate::count::Count;
use crate::deadline::Timer;
use crate::id::{Member, NodeId, PullNumber, Replica, Seq, StoreId};
use crate::message::{Body, ReplicaMessage};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// The leader's checkpoint in one part.
fn reset(bench: &Bench, checkpoint: &Checkpoint) -> ReplicaMessage {
    let encoded = postcard::to_allocvec(checkpoint).unwrap();
    ReplicaMessage::InstallSnapshot {
        attempt: bench.attempt(),
        floor: checkpoint.floor,
        checkpoint: crate::chain::checkpoint::digest(&encoded),
        length: encoded.len() as u32,
        offset: 0,
        part: encoded.into(),
    }
}

/// A checkpoint with this log below its floor.
fn checkpoint(bench: &Bench, epochs: &[u64]) -> Checkpoint {
    Checkpoint {
        floor: behind(log(epochs).last().unwrap()),
        ..(**bench.chain.log().checkpoint()).clone()
    }
}

fn member(node: u64, store: u128) -> Member {
    Member {
        node: NodeId::new(node),
        store: StoreId::new(store),
        replica: Replica::new(1),
    }
}

/// Members that no chain of the genesis can have.
fn impossible() -> Vec<Membership> {
    let of = |voters: &[Member]| Membership {
        voters: voters.to_vec(),
        learners: Vec::new(),
    };
    let mut twice = of(&[member(1, 1), member(2, 2)]);
    twice.learners.push(member(2, 2));
    [
        of(&[]),
        of(&[member(1, 1), member(99, 99)]),
        of(&[member(1, 1), member(2, 99)]),
        twice,
    ]
    .into()
}

#[test]
fn members_from_outside_of_the_genesis_are_not_taken_from_a_chunk() {
    for membership in impossible() {
        let mut bench = Start::of(1, &[1]).settled().following(2, 2);
        let mut entries = log(&[1]);
        let config = EntryKind::Config(Arc::new(membership));
        entries.push(Arc::new(entry(behind(&entries[0]), 2, config)));
        assert_eq!(bench.hear(2, 2, chunk(&bench, 1, &entries, 0)), []);
        assert_eq!(bench.count(Count::ChunkUnsound), 1);
        assert_eq!(bench.chain.log().end(), Seq::new(1));
    }
}

#[test]
fn members_from_outside_of_the_genesis_are_not_taken_from_a_checkpoint() {
    for membership in impossible() {
        let mut bench = Start::of(1, &[1]).settled().following(2, 2);
        let mut checkpoint = checkpoint(&bench, &[1, 2, 2]);
        checkpoint.membership = Arc::new(membership);
        assert_eq!(bench.hear(2, 2, reset(&bench, &checkpoint)), []);
        assert_eq!(bench.count(Count::ResetIgnored), 1);
        assert!(!bench.chain.is_resetting());
    }
}

#[test]
fn a_checkpoint_is_installed_before_anything_else_is_said_of_the_log() {
    let mut bench = Start::of(1, &[1]).settled().following(2, 2);
    let checkpoint = checkpoint(&bench, &[1, 2, 2]);
    let said = bench.hear(2, 2, reset(&bench, &checkpoint));
    let order = Order::Reset(Arc::new(checkpoint.clone()));
    assert_eq!(said, [bench.ordered(order)]);
    assert_eq!(row_of(&bench).durable, None);
    assert_eq!(bench.chain.log().end(), Seq::new(1));
    let said = bench.done(Ok(()));
    let pull = ReplicaMessage::Pull {
        since: checkpoint.floor,
        durable: Some(Seq::new(3)),
        attempt: bench.attempt(),
        number: PullNumber::new(2),
    };
    let floor = Seq::new(3);
    assert_eq!(
        said,
        [note(Note::Commit { end: floor }), bench.said(2, pull)]
    );
    let chain = &bench.chain;
    assert_eq!(
        [chain.log().floor(), chain.log().end(), chain.verified()],
        [floor; 3]
    );
}

#[test]
fn a_log_makes_way_for_a_checkpoint_that_finds_no_space() {
    let start = Start {
        stored_commit: 2,
        ..Start::of(1, &[1, 1, 1, 1])
    };
    let mut bench = start.settled().following(2, 2);
    let checkpoint = checkpoint(&bench, &[1, 1, 2, 2, 2, 2]);
    bench.hear(2, 2, reset(&bench, &checkpoint));
    bench.done(Err(StoreError::Full));
    assert_eq!(bench.count(Count::MadeWay), 1);
    assert!(bench.chain.is_resetting());
    assert_eq!(bench.chain.log().end(), Seq::new(2));
    // The tail goes first. If that was not enough, what is committed goes behind a checkpoint of its
    // own; and again if a segment may hold nothing but what was dropped.
    bench.deadlines.disarm(bench.chain.index, Timer::Retry);
    let own = Arc::new(bench.chain.log().checkpoint_at(Seq::new(2)).unwrap());
    let said = bench.settle();
    assert_eq!(said, [bench.ordered(Order::Cut(Seq::new(2)))]);
    let reset = Order::Reset(Arc::new(checkpoint.clone()));
    let retain = Order::Retain(own);
    for _ in 0..2 {
        let said = bench.done(Ok(()));
        assert_eq!(said.last(), Some(&bench.ordered(reset.clone())));
        bench.done(Err(StoreError::Full));
        bench.deadlines.disarm(bench.chain.index, Timer::Retry);
        let said = bench.settle();
        let is_retained = bench.chain.log().floor() == Seq::new(2);
        let next = if is_retained { &reset } else { &retain };
        assert_eq!(said, [bench.ordered(next.clone())]);
    }
    bench.done(Ok(()));
    assert_eq!(bench.chain.log().floor(), checkpoint.floor.end);
}

#[test]
fn a_log_that_may_be_of_the_majority_makes_no_way() {
    // The entry before the floor is unknown, and what differs from the leader's begins behind it.
    let start = Start {
        stored_commit: 2,
        ..Start::of(1, &[1, 1, 1, 1, 1, 1])
    };
    let mut bench = start.unknown(&[3]).settled().following(2, 2);
    bench.chain.follow.shared = Seq::new(4);
    let checkpoint = checkpoint(&bench, &[1, 1, 1, 1]);
    bench.chain.follow.reset = Some(Arc::new(checkpoint));
    bench.settle();
    bench.done(Err(StoreError::Full));
    // A cut is made behind an entry that is known.
    assert_eq!(bench.chain.log().end(), Seq::new(5));
}

#[test]
fn a_checkpoint_that_waited_is_dropped_once_the_log_got_there() {
    let mut bench = Start::of(1, &[1, 1, 1, 1]).settled().following(2, 2);
    let checkpoint = checkpoint(&bench, &[1, 1, 1]);
    bench.chain.follow.reset = Some(Arc::new(checkpoint));
    assert_eq!(bench.settle(), []);
    assert!(!bench.chain.is_resetting());
    assert_eq!(bench.count(Count::ResetIgnored), 1);
}

#[test]
fn a_checkpoint_below_what_was_verified_is_refused_while_it_could_be_overtaken() {
    let mut bench = Start::of(1, &[1, 1, 1]).unknown(&[1]).settled();
    bench = bench.following(2, 2);
    let entries = log(&[1, 1, 1]);
    bench.hear(2, 2, chunk(&bench, 3, &entries, 0));
    assert_eq!(bench.chain.verified(), Seq::new(3));
    let checkpoint = checkpoint(&bench, &[1, 1]);
    let said: Vec<Action> = bench.hear(2, 2, reset(&bench, &checkpoint));
    assert_eq!(said, []);
    assert_eq!(bench.count(Count::ResetIgnored), 1);
    assert!(!bench.chain.is_resetting());
}

#[test]
fn a_log_that_shares_nothing_with_the_leaders_is_compared_from_its_floor_on() {
    let mut bench = Start::of(1, &[1]).settled().following(2, 2);
    let floor = bench.chain.log().checkpoint().floor;
    let founding = (**bench.chain.log().checkpoint()).clone();
    let said = bench.hear(2, 2, reset(&bench, &founding));
    let pull = ReplicaMessage::Pull {
        since: floor,
        durable: Some(Seq::new(1)),
        attempt: bench.attempt(),
        number: PullNumber::new(2),
    };
    assert_eq!(said, [bench.said(2, pull)]);
}

#[test]
fn a_write_that_a_cut_overtook_counts_as_far_as_it_was_kept() {
    let mut bench = Start::of(1, &[1]).settled().following(2, 2);
    let old = log(&[1, 1, 1, 1]);
    let new = log(&[1, 1, 1, 3]);
    bench.hear(2, 2, chunk(&bench, 1, &old[..2], 0));
    bench.hear(2, 2, chunk(&bench, 2, &old, 0));
    bench.row(3, leads(3, 3, 0));
    bench.done(Ok(()));
    // With the promise durable it pulls, and writes what was gathered before.
    let said = bench.done(Ok(()));
    assert_eq!(said[1], bench.ordered(Order::Append(old[2..].into())));
    bench.hear(
        3,
        3,
        ReplicaMessage::Conflict {
            attempt: bench.attempt(),
            failed: bench
                .chain
                .log()
                .position_at(Seq::new(4))
                .expect("it is known"),
            hint: Seq::new(2),
            hint_epoch: new[2].epoch,
            differs: true,
        },
    );
    bench.hear(3, 3, chunk(&bench, 3, &new, 0));
    assert_eq!(bench.chain.log().durable().end, Seq::new(2));
    let said = bench.done(Ok(()));
    assert_eq!(bench.chain.log().durable(), behind(&new[2]));
    assert_eq!(said.last(), Some(&bench.ordered(Order::Cut(Seq::new(3)))));
    let said = bench.done(Ok(()));
    assert_eq!(said, [bench.ordered(Order::Append(new[3..].into()))]);
    assert_eq!(bench.count(Count::WriteOvertaken), 1);
}

#[test]
fn a_peers_checkpoint_commits_the_prefix_that_it_replaces() {
    let mut bench = Start::of(1, &[1, 1, 1]).unknown(&[0]).settled();
    // A floor that is no position of this log proves nothing.
    let other = checkpoint(&bench, &[1, 2]);
    assert_eq!(bench.hear(3, 1, reset(&bench, &other)), []);
    assert_eq!(bench.chain.commit(), Seq::ZERO);
    let shared = checkpoint(&bench, &[1, 1]);
    let said = bench.hear(3, 1, reset(&bench, &shared));
    assert_eq!(bench.chain.commit(), Seq::new(2));
    let kept = bench.ordered(Order::Retain(Arc::new(shared)));
    assert_eq!(said, [note(Note::Commit { end: Seq::new(2) }), kept]);
}

/// The leader says that what a pull from `failed` named is not its own, but its entry `hint`
/// of epoch 1 may be shared.
pub(super) fn conflict(bench: &mut Bench, failed: u64, hint: u64) {
    let said = bench.hear(
        bench.chain.leader().unwrap().get(),
        bench.chain.epoch().n,
        ReplicaMessage::Conflict {
            attempt: bench.attempt(),
            failed: bench
                .chain
                .log()
                .position_at(Seq::new(failed))
                .expect("it is known"),
            hint: Seq::new(hint),
            hint_epoch: super::bench::epoch(1),
            differs: true,
        },
    );
    assert_eq!(bench.chain.verified(), Seq::ZERO);
    assert_eq!(said.len(), 1, "it pulls from further back: {said:?}");
}

#[test]
fn a_position_behind_an_unknown_entry_cannot_be_named_so_the_comparison_starts_before_it() {
    let mut bench = Start::of(1, &[1, 1, 1, 1]).unknown(&[1]).settled();
    bench = bench.following(2, 2);
    let conflict = ReplicaMessage::Conflict {
        attempt: bench.chain.follow.stream.expect("it pulls"),
        failed: bench
            .chain
            .log()
            .position_at(Seq::new(4))
            .expect("it is known"),
        hint: Seq::new(1),
        hint_epoch: super::bench::epoch(1),
        differs: true,
    };
    let said = bench.hear(2, 2, conflict);
    let pulled = |action: &Action| {
        let Action::Send { message, .. } = action else {
            return None;
        };
        let Body::Chain(message) = &message.body else {
            return None;
        };
        let ReplicaMessage::Pull { since, .. } = message.content else {
            return None;
        };
        Some(since)
    };
    let first = behind(&log(&[1])[0]);
    assert_eq!(said.iter().find_map(pulled), Some(first));
    // The leader's entries from there on prove the unknown one.
    let content = chunk(&bench, 1, &log(&[1, 1, 1, 1, 1]), 0);
    bench.hear(2, 2, content);
    assert_eq!(bench.chain.log().unknown(), 0);
    assert_eq!(bench.chain.verified(), Seq::new(5));
}

#[test]
fn a_chunk_that_brings_nothing_is_answered_with_what_is_durable() {
    let entries = log(&[1]);
    let mut bench = Start::of(1, &[1]).settled().following(2, 2);
    assert_eq!(bench.hear(2, 2, chunk(&bench, 1, &entries, 1)).len(), 1);
    let said = bench.hear(2, 2, chunk(&bench, 1, &entries, 1));
    let pull = ReplicaMessage::Pull {
        since: behind(&entries[0]),
        durable: Some(Seq::new(1)),
        attempt: bench.attempt(),
        number: PullNumber::new(2),
    };
    assert_eq!(said, [bench.said(2, pull)]);
}

#[test]
fn a_chunk_behind_an_equal_predecessor_is_taken_whatever_it_answers() {
    let entries = log(&[1, 1, 1, 1]);
    let mut bench = Start::of(1, &[1]).settled().following(2, 2);
    let late = |bench: &Bench, from: usize, end: usize| {
        let mut late = chunk(bench, from, &entries[..end], 0);
        let ReplicaMessage::Chunk { attempt: asked, .. } = &mut late else {
            unreachable!("it is a chunk");
        };
        *asked = attempt(77);
        late
    };
    let content = late(&bench, 1, 3);
    bench.hear(2, 2, content);
    assert_eq!(bench.chain.log().end(), Seq::new(3));
    assert_eq!(bench.chain.verified(), Seq::new(3));
    assert_eq!(bench.count(Count::ChunkLate), 1);
    // One that does not fit shows nothing: what it follows may be on its way.
    let mut bench = Start::of(1, &[1]).settled().following(2, 2);
    let content = late(&bench, 2, 4);
    let due = bench.deadlines.armed(bench.chain.index, Timer::Pull);
    assert_eq!(bench.hear(2, 2, content), []);
    assert_eq!(bench.count(Count::StaleAnswer), 1);
    assert_eq!(bench.deadlines.armed(bench.chain.index, Timer::Pull), due);
    // Nor does anything count while a checkpoint is installed.
    let mut bench = Start::of(1, &[1]).settled().following(2, 2);
    let checkpoint = checkpoint(&bench, &[1, 1]);
    bench.hear(2, 2, reset(&bench, &checkpoint));
    assert!(bench.chain.is_resetting());
    let content = late(&bench, 1, 3);
    bench.hear(2, 2, content);
    assert_eq!(bench.chain.log().end(), Seq::new(1));
}

#[test]
fn a_checkpoint_does_not_replace_unknown_entries_that_may_be_committed() {
    let entries = log(&[1, 1, 1, 1, 1]);
    let mut bench = Start::of(1, &[1, 1, 1, 1, 1]).unknown(&[2, 3]).settled();
    bench = bench.following(2, 2);
    // Ours and the leader's are the same before 4, so 3 may be committed by our copy of it.
    conflict(&mut bench, 5, 3);
    let below = checkpoint(&bench, &[1, 1, 1]);
    assert_eq!(bench.hear(2, 2, reset(&bench, &below)), []);
    assert_eq!(bench.count(Count::ResetIgnored), 1);
    assert!(!bench.chain.is_resetting());
    // Once it is repaired, the comparison goes on behind it.
    let fetched = ReplicaMessage::Fetched {
        attempt: bench.attempt(),
        since: behind(&entries[2]),
        entries: entries[3..4].into(),
    };
    bench.hear(3, 2, fetched);
    let attempt = bench.chain.follow.stream.unwrap();
    let mut again = reset(&bench, &below);
    let ReplicaMessage::InstallSnapshot { attempt: named, .. } = &mut again else {
        unreachable!("it is a part of a checkpoint");
    };
    *named = attempt;
    let said = bench.hear(2, 2, again);
    let pull = |action: &Action| {
        let Action::Send { message, .. } = action else {
            return None;
        };
        let Body::Chain(message) = &message.body else {
            return None;
        };
        let ReplicaMessage::Pull { since, .. } = message.content else {
            return None;
        };
        Some(since)
    };
    let since: Vec<_> = said.iter().filter_map(pull).collect();
    assert_eq!(since, [behind(&entries[3])]);
}

#[test]
fn a_checkpoint_from_where_the_logs_part_replaces_unknown_entries() {
    let mut bench = Start::of(1, &[1, 1, 1, 1, 1]).unknown(&[2, 3]).settled();
    bench = bench.following(2, 2);
    conflict(&mut bench, 5, 3);
    let behind = checkpoint(&bench, &[1, 1, 1, 1]);
    bench.hear(2, 2, reset(&bench, &behind));
    assert!(bench.chain.is_resetting());
}

#[test]
fn a_checkpoint_of_a_higher_epoch_replaces_unknown_entries() {
    let mut bench = Start::of(1, &[1, 1, 1]).unknown(&[0, 1]).settled();
    bench = bench.following(2, 2);
    let other = checkpoint(&bench, &[2]);
    bench.hear(2, 2, reset(&bench, &other));
    assert!(bench.chain.is_resetting());
}

#[test]
fn a_late_checkpoint_for_a_repair_shows_no_leader() {
    let mut bench = Start::of(1, &[1, 1, 1]).unknown(&[1]).settled();
    let asked = bench.attempt();
    bench = bench.following(2, 2);
    bench.deadlines.disarm(bench.chain.index, Timer::Repair);
    bench.settle();
    let mut late = reset(&bench, &checkpoint(&bench, &[1, 1]));
    let ReplicaMessage::InstallSnapshot { attempt, .. } = &mut late else {
        unreachable!("it is a part of a checkpoint");
    };
    assert_ne!(*attempt, asked);
    *attempt = asked;
    // A candidate that was not elected in the present epoch names itself in it.
    assert_eq!(bench.hear(3, 2, late), []);
    assert_eq!(bench.count(Count::ResetIgnored), 1);
    assert_eq!(bench.chain.fault(), None);
    assert_eq!(bench.chain.leader(), Some(NodeId::new(2)));
}

/// Whoever leads has all that is committed, so one that lacks the end of it, or has another entry
/// there, forgot what it said. One whose own entry is damaged there cannot tell.
#[test]
fn a_leader_that_lacks_what_is_committed_here_contradicts_it() {
    for differs in [false, true] {
        let mut start = Start::of(1, &[1, 1, 1]);
        start.stored_commit = 3;
        let mut bench = start.settled().following(2, 2);
        assert_eq!(bench.chain.commit(), Seq::new(3));
        let content = ReplicaMessage::Conflict {
            attempt: bench.attempt(),
            failed: bench
                .chain
                .log()
                .position_at(Seq::new(3))
                .expect("it is known"),
            hint: Seq::new(1),
            hint_epoch: super::bench::epoch(1),
            differs,
        };
        bench.hear(2, 2, content);
        let stopped = differs.then_some(StopReason::Contradicted);
        assert_eq!(bench.chain.fault(), stopped);
        assert_eq!(bench.chain.commit(), Seq::new(3));
    }
}

#[test]
fn a_chunk_that_overtook_another_one_waits_for_it() {
    let entries = log(&[1, 1, 1, 1, 1, 1, 1]);
    let mut bench = Start::of(1, &[1]).settled().following(2, 2);
    let heartbeat = bench.config.heartbeat();
    let due = |bench: &Bench| bench.deadlines.armed(bench.chain.index, Timer::Pull);
    let stream = bench.attempt();
    assert_eq!(bench.hear(2, 2, chunk(&bench, 3, &entries[..4], 0)), []);
    assert_eq!(bench.hear(2, 2, chunk(&bench, 2, &entries[..3], 0)), []);
    assert_eq!(bench.chain.log().end(), Seq::new(1));
    assert_eq!(due(&bench), Some(bench.now.after(heartbeat / 32)));
    let late = bench.now.after(heartbeat / 10);
    bench.now = late;
    bench.hear(2, 2, chunk(&bench, 1, &entries[..2], 0));
    assert_eq!(bench.chain.verified(), Seq::new(4));
    assert_eq!(bench.count(Count::ChunkEarly), 2);
    assert_eq!(bench.attempt(), stream, "nothing is asked for again");
    // The next gap may last twice as long as the one that closed by itself.
    bench.hear(2, 2, chunk(&bench, 5, &entries[..6], 0));
    assert_eq!(due(&bench), Some(late.after(heartbeat / 5)));
}
