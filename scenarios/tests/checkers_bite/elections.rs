//! Checks of votes, promises and leaders.

use super::*;
use meshos_core::chain::order::Vote;
use meshos_core::id::{Epoch, Incarnation, Run, Seq, StoreId};
use meshos_core::message::RowState;
use meshos_core::replica::role::{Role, Signal};
use meshos_scenarios::checks::amnesia::{Counts, Votes};
use meshos_scenarios::checks::leader_complete::Commits;
use meshos_scenarios::checks::no_disruption::Heard;
use meshos_scenarios::checks::one_leader_per_epoch::Leaders;
use meshos_scenarios::checks::promise_order::Said;
use meshos_scenarios::checks::replica_state::ReplicaState;
use meshos_scenarios::checks::vote_once::Promises;
use meshos_scenarios::checks::*;

#[test]
fn one_leader_per_epoch_bites() {
    let run = |node, incarnation| Run {
        node,
        store: StoreId::new(1),
        incarnation: Incarnation::new(incarnation),
    };
    let at = |n, node| Epoch { n, node };
    let mut leaders = Leaders::default();
    leaders.observe(at(1, ONE), run(ONE, 1)).expect("the first");
    leaders.observe(at(1, ONE), run(ONE, 1)).expect("the same");
    leaders.observe(at(2, TWO), run(TWO, 1)).expect("the next");
    let id = one_leader_per_epoch::ID;
    bites(leaders.observe(at(1, TWO), run(TWO, 1)), id);
    bites(leaders.observe(at(1, ONE), run(ONE, 2)), id);
    bites(leaders.observe(at(3, ONE), run(TWO, 1)), id);
}

#[test]
fn vote_once_bites() {
    let id = vote_once::ID;
    let mut promises = Promises::default();
    promises.cast(3, ONE).expect("the first");
    promises.cast(3, ONE).expect("the same again");
    bites(promises.cast(3, TWO), id);
    bites(promises.cast(2, ONE), id);
    let vote = |n, granted| Vote {
        epoch: epoch(n),
        granted,
    };
    let recovered = |before, found| promises.recovered(before, found);
    recovered(vote(3, Some(ONE)), vote(3, Some(ONE))).expect("it is there");
    recovered(vote(3, Some(ONE)), vote(4, None)).expect("a later one");
    bites(recovered(vote(3, Some(ONE)), vote(2, None)), id);
    bites(recovered(vote(3, Some(ONE)), vote(3, Some(TWO))), id);
    bites(recovered(vote(0, None), vote(2, None)), id);
    let replica_state = |n, voted| ReplicaState {
        epoch: epoch(n),
        voted,
        ..ReplicaState::default()
    };
    let changed = |before: ReplicaState, after: ReplicaState| promises.observe(&before, &after);
    changed(replica_state(1, None), replica_state(1, Some(ONE))).expect("a first vote");
    bites(changed(replica_state(2, None), replica_state(1, None)), id);
    bites(
        changed(replica_state(2, Some(ONE)), replica_state(2, Some(TWO))),
        id,
    );
    let promised = |n, granted| ReplicaState {
        promised: vote(n, granted),
        ..replica_state(5, None)
    };
    bites(changed(promised(5, Some(ONE)), promised(4, None)), id);
    bites(changed(promised(5, Some(ONE)), promised(5, None)), id);
}

#[test]
fn vote_once_bites_on_a_log_that_ends_below_what_it_acknowledged() {
    let mut promises = Promises::default();
    promises.acknowledge(1, Seq::new(4));
    let (_, tips) = truth();
    let at = |end: usize, truncations, n| ReplicaState {
        truncations,
        epoch: epoch(n),
        tip: tips[end],
        ..ReplicaState::default()
    };
    let id = vote_once::ID;
    let cut = |after| promises.observe(&at(5, 0, 1), &after);
    cut(at(4, 1, 1)).expect("that much was not acknowledged");
    cut(at(3, 1, 2)).expect("another epoch");
    bites(cut(at(3, 1, 1)), id);
    bites(cut(at(4, 0, 1)), id);
}

#[test]
fn promise_order_bites() {
    let id = promise_order::ID;
    let present = |n, durable, granted| ReplicaState {
        epoch: epoch(n),
        promised: Vote {
            epoch: epoch(durable),
            granted,
        },
        ..ReplicaState::default()
    };
    let says =
        |said, n, replica_state: ReplicaState| promise_order::observe(said, n, &replica_state);
    says(Said::Acknowledged, 2, present(2, 2, None)).expect("durable and present");
    says(Said::Voted(ONE), 2, present(2, 2, Some(ONE))).expect("durable and present");
    bites(says(Said::Acknowledged, 2, present(3, 2, None)), id);
    bites(says(Said::Confirmed, 2, present(2, 1, None)), id);
    bites(says(Said::Voted(ONE), 2, present(2, 2, None)), id);
    bites(says(Said::Voted(ONE), 2, present(2, 2, Some(TWO))), id);
}

#[test]
fn leader_complete_bites() {
    let id = leader_complete::ID;
    let (mut truth, tips) = truth();
    let fork = grow(&mut truth, tips[2], 2, 4);
    let mut commits = Commits::default();
    commits.record(1, Seq::new(3));
    commits
        .observe(&truth, &leader(2, tips[3]))
        .expect("it holds all");
    bites(commits.observe(&truth, &leader(2, tips[2])), id);
    bites(commits.observe(&truth, &leader(2, fork[4])), id);
    let damaged = ReplicaState {
        unknown: 1,
        ..leader(2, tips[5])
    };
    bites(commits.observe(&truth, &damaged), id);
    for floor in [tips[4], fork[1]] {
        let replica_state = ReplicaState {
            floor,
            ..leader(2, floor)
        };
        bites(
            leader_complete::is_committed_prefix(&truth, &replica_state),
            id,
        );
    }
}

#[test]
fn amnesia_and_no_disruption_bite() {
    let mut votes = Votes::default();
    bites(votes.ask(4, ONE, 0, 3), no_disruption::ID);
    votes.would_vote(4, ONE, 2);
    votes.ask(4, ONE, 0, 3).expect("two of three would");
    votes.vote(4, TWO, 2);
    bites(votes.lead(4, ONE, 0, 3), amnesia::ID);
    votes.vote(5, ONE, 1);
    votes.lead(5, ONE, 0, 3).expect("two of three did");
    bites(amnesia::stranger(ONE, Counts::Yes), amnesia::ID);
    let heard = |claimed, silence| Heard {
        leader: TWO,
        n: 3,
        claimed,
        silence,
    };
    let consents = |heard| no_disruption::observe(heard, 1_500, ONE);
    consents(heard(Some(3), 1_500)).expect("silent for long");
    consents(heard(Some(2), 10)).expect("it claims another epoch");
    bites(consents(heard(Some(3), 10)), no_disruption::ID);
}

#[test]
fn role_table_bites() {
    let id = role_table::ID;
    let change = |from, to, signal| role_table::observe(&mut { from }, to, signal);
    change(Role::Replica, Role::Candidate, Signal::MissedHeartbeats).expect("legal");
    bites(change(Role::Replica, Role::Leader, Signal::ElectionWon), id);
    bites(
        change(Role::Leader, Role::Replica, Signal::ElectionLost),
        id,
    );
    bites(role_table::reported(Role::Leader, Role::Replica), id);
    let row = |role| RowState {
        epoch: epoch(1),
        role,
        distance: None,
        durable: Some(Seq::new(3)),
        commit: Seq::new(2),
        floor: Seq::ZERO,
        is_full: false,
    };
    let says = |row: RowState, n, durable, commit| {
        let ends = (Seq::new(durable), Seq::new(commit));
        role_table::row(&row, Role::Replica, epoch(n), ends)
    };
    says(row(Role::Replica), 1, 3, 2).expect("it is so");
    bites(says(row(Role::Leader), 1, 3, 2), id);
    bites(says(row(Role::Replica), 2, 3, 2), id);
    bites(says(row(Role::Replica), 1, 2, 2), id);
    bites(says(row(Role::Replica), 1, 3, 1), id);
    let floor = Seq::new(3);
    bites(
        says(
            RowState {
                floor,
                ..row(Role::Replica)
            },
            1,
            3,
            2,
        ),
        id,
    );
}
