//! How long a candidate seeks votes, and who waits for it meanwhile.

use super::bench::{Bench, Start, attempt, follows, leads, led};
use crate::deadline::Timer;
use crate::id::{Epoch, Incarnation, NodeId, Seq};
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

/// Node 1, bound to epoch 2 and in touch with both others.
fn bound() -> Bench {
    let mut bench = Start::of(1, &[1]).settled();
    bench.row(2, follows(1));
    bench.row(3, follows(1));
    bind(&mut bench, 1);
    bench
}

/// The answer of a peer to the binding request of the open round.
fn binding(bench: &Bench, granted: bool) -> ReplicaMessage {
    ReplicaMessage::VoteReply {
        round: Round::Real,
        asked: bench.chain.epoch(),
        granted,
        attempt: bench.attempt(),
    }
}

/// The process of a peer is gone.
fn gone(bench: &mut Bench, node: u64) {
    let is_news = bench
        .liveness
        .on_gone(NodeId::new(node), Incarnation::new(1));
    assert!(is_news, "it was heard");
}

/// In how long the open round ends.
fn round_due(bench: &Bench) -> Option<Duration> {
    let due = bench.deadlines.armed(bench.chain.index, Timer::Round);
    due.map(|at| at.since(bench.now))
}

#[test]
fn a_round_lasts_as_long_as_others_have_to_answer_it() {
    let mut bench = Start::of(1, &[1]).settled();
    let span = bench.config.heartbeat() * 2;
    bench.act(|chain, cx| chain.campaign(Purpose::Silence, cx));
    assert_eq!(round_due(&bench), Some(span));
    bench.act(|chain, cx| chain.on_round_due(cx));
    bench.row(2, follows(1));
    bind(&mut bench, 1);
    // Its own vote takes a disk longer than a round.
    assert_eq!(round_due(&bench), None);
    bench.pass(span * 3);
    assert_eq!(bench.done(Ok(())).len(), 2);
    assert_eq!(round_due(&bench), Some(span));
    bench.act(|chain, cx| chain.on_round_due(cx));
    assert_eq!(bench.chain.role(), Role::Replica);
}

#[test]
fn nobody_seeks_leadership_whose_promise_is_not_stored() {
    let mut bench = Start::of(1, &[1]).settled();
    bench.row(2, follows(2));
    bench.act(|chain, cx| chain.on_election_due(false, cx));
    assert_eq!(bench.chain.role(), Role::Replica);
    bench.done(Ok(()));
    bench.act(|chain, cx| chain.on_election_due(false, cx));
    assert_eq!(bench.chain.role(), Role::Candidate);
}

#[test]
fn a_binding_round_takes_twice_as_long_for_each_epoch_in_vain_and_half_for_each_other_one() {
    let mut bench = Start::of(1, &[1]).settled();
    let heartbeat = bench.config.heartbeat();
    bench.row(2, follows(1));
    for (n, beats) in (1..).zip([2, 4, 8, 16, 16]) {
        bind(&mut bench, n);
        bench.done(Ok(()));
        assert_eq!(round_due(&bench), Some(heartbeat * beats), "epoch {n}");
        bench.act(|chain, cx| chain.on_round_due(cx));
    }
    let mut bench = bench.following(3, 7);
    bench.row(3, follows(7));
    for (n, beats) in (7..).zip([8, 16]) {
        bind(&mut bench, n);
        bench.done(Ok(()));
        assert_eq!(round_due(&bench), Some(heartbeat * beats), "epoch {n}");
        bench.act(|chain, cx| chain.on_round_due(cx));
    }
}

#[test]
fn a_bound_candidate_asks_again_whoever_has_not_answered() {
    let mut bench = bound();
    assert_eq!(bench.act(|chain, cx| chain.look_after_round(cx)), []);
    let asked = bench.done(Ok(()));
    assert_eq!(asked.len(), 2);
    let again = bench.act(|chain, cx| chain.look_after_round(cx));
    assert_eq!(again, asked);
    bench.hear(2, 2, binding(&bench, false));
    let again = bench.act(|chain, cx| chain.look_after_round(cx));
    assert_eq!(again, asked[1..]);
}

#[test]
fn a_bound_candidate_that_hears_too_few_gives_up() {
    for has_asked in [false, true] {
        let mut bench = bound();
        if has_asked {
            bench.done(Ok(()));
        }
        let mut left = |node| {
            gone(&mut bench, node);
            bench.act(|chain, cx| chain.look_after_round(cx));
            bench.chain.role()
        };
        assert_eq!(left(2), Role::Candidate, "the third one may vote");
        assert_eq!(left(3), Role::Replica);
    }
}

#[test]
fn a_candidate_whose_disk_hangs_is_waited_for_as_long_as_two_rounds_last() {
    let mut bench = Start::of(1, &[1]).settled();
    let (asked, rounds) = (led(3, 3), bench.config.heartbeat() * 4);
    bench.row(2, seeks(2, 2));
    bench.done(Ok(()));
    let waits = |bench: &mut Bench| {
        bench.row(2, seeks(2, 2));
        bench.hear(3, 2, query(asked)) == [bench.said(3, answer(asked, false))]
    };
    bench.pass(rounds - Duration::from_millis(1));
    assert!(waits(&mut bench));
    // Whoever votes for it has seen that its disk works.
    let real = ReplicaMessage::VoteRequest {
        round: Round::Real,
        purpose: Purpose::Silence,
        asked: led(2, 2),
        last_epoch: led(1, 1),
        tail: Seq::new(1),
        attempt: attempt(78),
    };
    bench.hear(2, 2, real);
    bench.pass(rounds - Duration::from_millis(1));
    assert!(waits(&mut bench));
    bench.pass(Duration::from_millis(1));
    assert!(!waits(&mut bench));
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
    gone(&mut bench, 2);
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
    let refused = binding(&bench, false);
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
