//! How long a candidate seeks votes, and who waits for it meanwhile.

use super::bench::{Bench, Start, attempt, follows, leads, led};
use crate::deadline::Timer;
use crate::id::{Epoch, Seq};
use crate::message::{Purpose, ReplicaMessage, Round, RowState};
use crate::replica::role::Role;
use core::time::Duration;

/// The row of a candidate that is bound to epoch `n`.
fn seeks(node: u64, n: u64) -> RowState {
    RowState {
        role: Role::Candidate,
        ..leads(node, n, 0)
    }
}

fn query(asked: Epoch) -> ReplicaMessage {
    ReplicaMessage::VoteRequest {
        round: Round::Pre,
        purpose: Purpose::Silence,
        asked,
        last_epoch: led(1, 1),
        tail: Seq::new(1),
        attempt: attempt(77),
    }
}

fn answer(asked: Epoch, granted: bool) -> ReplicaMessage {
    ReplicaMessage::VoteReply {
        round: Round::Pre,
        asked,
        granted,
        attempt: attempt(77),
    }
}

/// Node 1 seeks leadership of the epoch after `n`, and node 2 grants its query.
fn bind(bench: &mut Bench, n: u64) {
    bench.act(|chain, cx| chain.campaign(Purpose::Silence, cx));
    let granted = ReplicaMessage::VoteReply {
        round: Round::Pre,
        asked: led(n + 1, 1),
        granted: true,
        attempt: bench.attempt(),
    };
    bench.hear(2, n, granted);
    assert_eq!(bench.chain.epoch(), led(n + 1, 1));
}

fn round_due(bench: &Bench) -> Duration {
    let due = bench.deadlines.armed(bench.chain.index, Timer::Round);
    due.expect("a round is open").since(bench.now)
}

#[test]
fn others_have_as_long_to_store_their_votes_as_the_candidate_had() {
    let mut bench = Start::of(1, &[1]).settled();
    // Nobody was seen to lead the epoch that it started in.
    let span = bench.config.heartbeat() * 4;
    bind(&mut bench, 1);
    assert_eq!(round_due(&bench), span);
    bench.pass(span / 2);
    assert_eq!(bench.done(Ok(())).len(), 2);
    assert_eq!(round_due(&bench), span);
}

#[test]
fn a_candidate_whose_own_vote_takes_too_long_gives_up_until_it_is_stored() {
    let mut bench = Start::of(1, &[1]).settled();
    bench.row(2, follows(1));
    bind(&mut bench, 1);
    bench.act(|chain, cx| chain.on_round_due(cx));
    assert_eq!(bench.chain.role(), Role::Replica);
    bench.act(|chain, cx| chain.on_election_due(false, cx));
    assert_eq!(
        bench.chain.role(),
        Role::Replica,
        "its promise is not stored"
    );
    bench.done(Ok(()));
    bench.act(|chain, cx| chain.on_election_due(false, cx));
    assert_eq!(bench.chain.role(), Role::Candidate);
}

#[test]
fn each_epoch_in_vain_doubles_the_time_of_a_binding_round() {
    let mut bench = Start::of(1, &[1]).settled();
    let heartbeat = bench.config.heartbeat();
    bench.row(2, follows(1));
    for (n, beats) in (1..).zip([4, 8, 16, 32, 32]) {
        bind(&mut bench, n);
        assert_eq!(round_due(&bench), heartbeat * beats);
        bench.done(Ok(()));
        bench.act(|chain, cx| chain.on_round_due(cx));
    }
    let mut bench = bench.following(3, 7);
    bench.act(|chain, _| chain.enter(led(8, 2), None));
    bench.done(Ok(()));
    bind(&mut bench, 8);
    assert_eq!(round_due(&bench), heartbeat * 4, "somebody led meanwhile");
}

#[test]
fn while_a_candidate_seeks_its_votes_no_query_for_the_next_epoch_is_made_or_granted() {
    let mut bench = Start::of(1, &[1]).settled();
    let asked = led(3, 3);
    bench.row(2, seeks(2, 2));
    bench.done(Ok(()));
    let said = bench.hear(3, 1, query(asked));
    assert_eq!(said, [bench.said(3, answer(asked, false))]);
    bench.act(|chain, cx| chain.on_election_due(false, cx));
    assert_eq!(bench.chain.role(), Role::Replica);
    // Its own next one is granted, and so is everybody's when it has given up.
    let own = led(3, 2);
    let said = bench.hear(2, 2, query(own));
    assert_eq!(said, [bench.said(2, answer(own, true))]);
    bench.row(2, follows(2));
    let said = bench.hear(3, 2, query(asked));
    assert_eq!(said, [bench.said(3, answer(asked, true))]);
    bench.act(|chain, cx| chain.on_election_due(false, cx));
    assert_eq!(bench.chain.role(), Role::Candidate);
}

#[test]
fn a_candidate_that_is_gone_holds_nobody_off() {
    let mut bench = Start::of(1, &[1]).settled();
    let asked = led(3, 3);
    bench.row(2, seeks(2, 2));
    let gone = (crate::id::NodeId::new(2), crate::id::Incarnation::new(1));
    assert!(bench.liveness.on_gone(gone.0, gone.1));
    let said = bench.hear(3, 2, query(asked));
    assert!(
        said.contains(&bench.said(3, answer(asked, true))),
        "{said:?}"
    );
}

#[test]
fn a_bound_candidate_grants_no_query_while_its_round_is_open() {
    let mut bench = Start::of(1, &[1]).settled();
    let asked = led(3, 3);
    bind(&mut bench, 1);
    let said = bench.hear(3, 2, query(asked));
    assert_eq!(said, [bench.said(3, answer(asked, false))]);
    bench.done(Ok(()));
    bench.act(|chain, cx| chain.on_round_due(cx));
    let said = bench.hear(3, 2, query(asked));
    assert_eq!(said, [bench.said(3, answer(asked, true))]);
}

#[test]
fn a_binding_round_that_so_many_refuse_that_it_cannot_succeed_ends_at_once() {
    let mut bench = Start::of(1, &[1]).settled();
    bind(&mut bench, 1);
    bench.done(Ok(()));
    let refused = ReplicaMessage::VoteReply {
        round: Round::Real,
        asked: led(2, 1),
        granted: false,
        attempt: bench.attempt(),
    };
    bench.row(2, follows(2));
    bench.row(3, follows(2));
    bench.hear(2, 2, refused.clone());
    assert_eq!(bench.chain.role(), Role::Candidate);
    bench.hear(3, 2, refused);
    assert_eq!(bench.chain.role(), Role::Replica);
}

#[test]
fn a_sole_voter_waits_for_nobody() {
    let due = |voters: u64| {
        let start = Start {
            voters,
            ..Start::of(1, &[1])
        };
        let bench = start.settled();
        let due = bench.deadlines.armed(bench.chain.index, Timer::Election);
        due.expect("it has no leader").since(bench.now)
    };
    assert_eq!(due(1), Duration::ZERO);
    assert!(due(3) >= Duration::from_secs(2));
}
