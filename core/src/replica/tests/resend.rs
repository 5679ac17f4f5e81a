//! What a leader sends again, and when.

use super::bench::{Bench, Start, attempt, payload};
use super::leader::chunk;
use crate::action::Action;
use crate::client::{Ask, Level};
use crate::count::Count;
use crate::deadline::Timer;
use crate::id::{NodeId, Seq};
use crate::message::{Body, ReplicaMessage};
use alloc::vec::Vec;

/// A leader that sent its only entry to follower 2, in answer to pull 1.
fn shipped() -> Bench {
    let mut bench = Start::of(1, &[1]).settled().leading();
    let pull = bench.pull(1, 1, 1);
    let said = bench.hear(2, 2, pull);
    assert_eq!(said, [bench.said(2, chunk(&bench, 1, 2))]);
    bench
}

fn is_sent(action: &Action) -> bool {
    matches!(action, Action::Send { .. })
}

fn is_reset(action: &Action) -> bool {
    match action {
        Action::Send { message, .. } => match &message.body {
            Body::Chain(said) => matches!(said.content, ReplicaMessage::InstallSnapshot { .. }),
            Body::Heartbeat(_)
            | Body::Confirm(_)
            | Body::Confirmed(_)
            | Body::Forward(_)
            | Body::Forwarded { .. } => false,
        },
        Action::Store { .. } | Action::Reply { .. } | Action::Note { .. } => false,
    }
}

/// What the leader does when its timer for bulk fires.
fn at_budget(bench: &mut Bench) -> Vec<Action> {
    let due = bench.deadlines.armed(bench.chain.index, Timer::Budget);
    let wait = due.expect("it will look again").since(bench.now);
    bench.pass(wait);
    bench.deadlines.disarm(bench.chain.index, Timer::Budget);
    bench.settle()
}

#[test]
fn what_is_missing_is_sent_again_without_another_question() {
    let mut bench = shipped();
    let pull = bench.pull(1, 1, 2);
    assert_eq!(bench.hear(2, 2, pull), []);
    assert_eq!(bench.count(Count::StillUnderWay), 1);
    let said = at_budget(&mut bench);
    assert_eq!(said, [bench.said(2, chunk(&bench, 1, 2))]);
    assert_eq!(bench.count(Count::SentAgain), 1);
}

#[test]
fn an_acknowledgement_that_was_lost_before_is_no_sign_that_nothing_else_was() {
    let mut bench = Start::of(1, &[1, 1]).settled().leading();
    let pull = bench.pull(1, 1, 1);
    bench.hear(2, 2, pull);
    bench.pass(bench.config.heartbeat() * 8);
    // Pulls 2 to 4 are lost, and with them the news that entry 1 arrived; so is entry 2.
    let pull = bench.pull(2, 2, 5);
    let said = bench.hear(2, 2, pull);
    assert!(
        said.contains(&bench.said(2, chunk(&bench, 2, 3))),
        "{said:?}"
    );
}

#[test]
fn nothing_leaves_while_the_link_is_down_and_what_was_lost_leaves_when_it_is_up() {
    let mut bench = shipped();
    let follower = NodeId::new(2);
    bench.liveness.set_link(follower, false);
    bench.windows.clear(follower);
    let append = Ask::Append {
        level: Level::Committed,
        request: None,
        payload: payload("x"),
    };
    let said = bench.ask(1, append);
    assert!(!said.iter().any(is_sent), "{said:?}");
    bench.liveness.set_link(follower, true);
    let said = bench.act(|chain, _| chain.serve_anew(follower));
    let sent: Vec<&Action> = said.iter().filter(|action| is_sent(action)).collect();
    assert_eq!(sent, [&bench.said(2, chunk(&bench, 1, 3))]);
}

#[test]
fn a_checkpoint_does_not_wait_for_chunks_that_it_replaces() {
    let mut bench = shipped();
    // The floor passed the follower: its position is not in the log any more.
    let mut said = Vec::new();
    for number in [2, 3] {
        let mut pull = bench.pull(1, 1, number);
        let ReplicaMessage::Pull { since, .. } = &mut pull else {
            unreachable!("it is a pull");
        };
        since.end = Seq::ZERO;
        said = bench.hear(2, 2, pull);
        // What takes it past the floor may still arrive the first time.
        assert_eq!(said.is_empty(), number == 2, "{said:?}");
        bench.pass(bench.config.heartbeat() * 60);
    }
    assert!(is_reset(&said[0]), "{said:?}");
    let follower = NodeId::new(2);
    let is_open = |max| bench.windows.is_open(follower, attempt(9), max);
    assert!(is_open(2) && !is_open(1), "the part of the checkpoint");
}
