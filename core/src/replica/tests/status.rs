//! What a leader says of itself and of its followers to whoever operates it.

use super::bench::{Bench, Start, follows, payload};
use crate::client::{Ask, Level};
use crate::id::NodeId;
use crate::message::RowState;
use crate::replica::{ChainStatus, FollowerStatus, Said};
use core::time::Duration;

fn status(bench: &Bench) -> ChainStatus {
    bench.chain.status(&bench.liveness, bench.now)
}

fn of(bench: &Bench, node: u64) -> FollowerStatus {
    let found = status(bench).followers.into_iter();
    let mut found = found.filter(|follower| follower.node == NodeId::new(node));
    found.next().expect("the leader has this follower")
}

fn append(bench: &mut Bench) {
    let ask = Ask::Append {
        level: Level::Committed,
        request: None,
        payload: payload("x"),
    };
    bench.ask(1, ask);
    bench.done(Ok(()));
}

/// Heartbeats at which the leader looks, after each of which both followers were heard.
fn look(bench: &mut Bench, heartbeats: u32) {
    for _ in 0..heartbeats {
        bench.pass(Duration::from_millis(500));
        bench.row(2, follows(1));
        bench.row(3, follows(1));
        bench.act(|chain, cx| chain.consider_transfer(cx));
    }
}

/// A leader whose empty entry both followers have.
fn level() -> Bench {
    let mut bench = Start::of(1, &[]).settled().leading();
    for follower in [2, 3] {
        let pull = bench.pull(1, 1, 1);
        bench.hear(follower, 1, pull);
    }
    bench
}

#[test]
fn a_leader_whose_followers_store_nothing_says_since_when() {
    let mut bench = level();
    look(&mut bench, 2);
    assert_eq!(status(&bench).stalled_ms, None, "nothing waits");
    append(&mut bench);
    look(&mut bench, 5);
    assert_eq!(status(&bench).stalled_ms, Some(2_000));
    let pull = bench.pull(2, 2, 2);
    bench.hear(2, 1, pull);
    assert_eq!(status(&bench).stalled_ms, None);
}

#[test]
fn a_leader_says_who_had_a_turn_to_commit_in_vain() {
    let mut bench = level();
    append(&mut bench);
    assert_eq!(status(&bench).stalled_before, []);
    look(&mut bench, 13);
    assert_eq!(status(&bench).stalled_before, [NodeId::new(2)]);
    let pull = bench.pull(2, 2, 2);
    bench.hear(2, 1, pull);
    assert_eq!(status(&bench).stalled_before, []);
}

#[test]
fn a_follower_that_lacks_what_is_committed_has_done_so_since_it_first_did() {
    let mut bench = level();
    assert_eq!(of(&bench, 3).behind_ms, None);
    for number in 2..=4 {
        append(&mut bench);
        let pull = bench.pull(number, number, number);
        bench.hear(2, 1, pull);
        bench.pass(Duration::from_secs(1));
    }
    assert_eq!(of(&bench, 2).behind_ms, None);
    assert_eq!(of(&bench, 3).behind_ms, Some(3_000));
    // What it lacks now was committed two seconds later.
    let pull = bench.pull(2, 2, 2);
    bench.hear(3, 1, pull);
    bench.pass(Duration::from_secs(1));
    assert_eq!(of(&bench, 3).behind_ms, Some(1_000));
    let pull = bench.pull(4, 4, 3);
    bench.hear(3, 1, pull);
    assert_eq!(of(&bench, 3).behind_ms, None);
}

#[test]
fn a_leader_repeats_what_its_followers_say_of_their_replicas() {
    let mut bench = level();
    assert_eq!(of(&bench, 3).said, Said::Nothing);
    bench.row(3, follows(1));
    assert_eq!(of(&bench, 3).said, Said::TakesPart);
    let is_full = true;
    bench.row(
        3,
        RowState {
            is_full,
            ..follows(1)
        },
    );
    assert_eq!(of(&bench, 3).said, Said::Full);
    bench.gone(3);
    assert_eq!(of(&bench, 3).said, Said::Stopped);
    assert_eq!(of(&bench, 2).said, Said::Nothing);
}
