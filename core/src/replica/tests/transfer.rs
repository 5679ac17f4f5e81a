//! Campaigns that the leader asked for, and leaders that cannot commit.

use super::bench::{Bench, Start, follows, leads, led, payload, replied};
use crate::action::Action;
use crate::chain::order::StoreError;
use crate::client::{Answer, Ask, Level};
use crate::count::Count;
use crate::deadline::Timer;
use crate::id::NodeId;
use crate::message::{Body, Purpose, ReplicaMessage, Round, RowState};
use crate::replica::role::Role;
use alloc::vec::Vec;
use core::time::Duration;

fn now(tried: &[u64], pause_ms: u32) -> ReplicaMessage {
    let tried = tried.iter().copied().map(NodeId::new).collect();
    ReplicaMessage::TransferNow { tried, pause_ms }
}

fn asks_votes(said: &[Action]) -> bool {
    said.iter().any(|action| {
        if let Action::Send { message, .. } = action
            && let Body::Chain(message) = &message.body
        {
            matches!(message.content, ReplicaMessage::VoteRequest { .. })
        } else {
            false
        }
    })
}

#[test]
fn signs_of_the_leader_that_asked_for_it_do_not_end_a_campaign() {
    let mut bench = Start::of(1, &[1]).settled().following(2, 2);
    assert!(asks_votes(&bench.hear(2, 2, now(&[], 0))));
    assert_eq!(bench.row(2, leads(2, 2, 1)), []);
    assert_eq!(bench.chain.role(), Role::Candidate);
    assert_eq!(bench.hear(2, 2, now(&[], 0)), [], "a round is open");
    let asked = led(3, 1);
    let (attempt, granted, round) = (bench.attempt(), true, Round::Pre);
    let granted = ReplicaMessage::VoteReply {
        round,
        asked,
        granted,
        attempt,
    };
    bench.hear(3, 2, granted);
    assert_eq!(bench.chain.epoch(), asked);
}

#[test]
fn signs_of_a_leader_end_a_campaign_that_it_did_not_ask_for() {
    let mut bench = Start::of(1, &[1]).settled().following(2, 2);
    bench.act(|chain, cx| chain.campaign(Purpose::Silence, cx));
    bench.row(2, leads(2, 2, 1));
    assert_eq!(bench.chain.role(), Role::Replica);
}

#[test]
fn a_target_that_was_not_elected_tries_again_when_it_is_told_again() {
    let mut bench = Start::of(1, &[1]).settled().following(2, 2);
    bench.hear(2, 2, now(&[], 0));
    bench.pass(Duration::from_secs(1));
    bench.act(|chain, cx| chain.on_round_due(cx));
    assert_eq!(bench.chain.role(), Role::Replica);
    assert!(asks_votes(&bench.hear(2, 2, now(&[], 0))));
}

/// Heartbeats go both ways for that long, and nothing else does.
fn echo(bench: &mut Bench, heartbeats: u32) -> Vec<Action> {
    let mut said = Vec::new();
    for _ in 0..heartbeats {
        bench.pass(Duration::from_millis(500));
        said.extend(bench.row(2, follows(1)));
        said.extend(bench.row(3, follows(1)));
        if let Some(at) = bench.deadlines.armed(bench.chain.index, Timer::Transfer)
            && at <= bench.now
        {
            bench.deadlines.disarm(bench.chain.index, Timer::Transfer);
            said.extend(bench.act(|chain, cx| chain.on_transfer_due(cx)));
        }
        said.extend(bench.act(|chain, cx| chain.consider_transfer(cx)));
    }
    said
}

/// The voters that were told to take over, with what they were told.
fn targets(said: &[Action]) -> Vec<(u64, Vec<u64>, u32)> {
    let target = |action: &Action| {
        let Action::Send { to, message } = action else {
            return None;
        };
        let Body::Chain(message) = &message.body else {
            return None;
        };
        let ReplicaMessage::TransferNow { tried, pause_ms } = &message.content else {
            return None;
        };
        let tried = tried.iter().map(|node| node.get()).collect();
        Some((to.get(), tried, *pause_ms))
    };
    let mut all: Vec<_> = said.iter().filter_map(target).collect();
    all.dedup();
    all
}

#[test]
fn a_leader_whose_entries_reach_nobody_hands_on_in_turns_and_then_rests() {
    let mut bench = Start::of(1, &[]).settled().leading();
    let said = echo(&mut bench, 12);
    assert_eq!(targets(&said), [], "four suspicion windows are not over");
    let said = echo(&mut bench, 28);
    let turns = [(2, alloc::vec![1, 2], 0), (3, alloc::vec![1, 2, 3], 0)];
    assert_eq!(targets(&said), turns);
    assert_eq!(bench.count(Count::StalledLeader), 2);
    let said = echo(&mut bench, 23);
    assert_eq!(targets(&said), [], "everybody had a turn");
    let said = echo(&mut bench, 4);
    assert_eq!(targets(&said), [(2, alloc::vec![1, 2], 12_000)]);
}

/// A client appends, and the entry is durable here.
fn append(bench: &mut Bench) {
    let (level, request, payload) = (Level::Committed, None, payload("x"));
    bench.ask(
        1,
        Ask::Append {
            level,
            request,
            payload,
        },
    );
    bench.done(Ok(()));
}

#[test]
fn whose_log_is_too_short_to_be_elected_has_no_turn() {
    let mut bench = Start::of(1, &[]).settled().leading();
    for _ in 0..3 {
        append(&mut bench);
    }
    let pull = bench.pull(2, 2, 1);
    bench.hear(3, 1, pull);
    let turns: Vec<_> = targets(&echo(&mut bench, 60))
        .into_iter()
        .map(|(to, ..)| to)
        .collect();
    assert!(
        turns.len() > 1 && turns.iter().all(|to| *to == 3),
        "{turns:?}"
    );
}

#[test]
fn a_leader_whose_follower_takes_entries_leads_on() {
    let mut bench = Start::of(1, &[]).settled().leading();
    for _ in 0..40 {
        append(&mut bench);
    }
    for end in 1..=40 {
        let pull = bench.pull(end, end, end);
        bench.hear(2, 1, pull);
        assert_eq!(targets(&echo(&mut bench, 11)), []);
    }
    assert_eq!(bench.count(Count::StalledLeader), 0);
}

#[test]
fn who_leads_next_knows_who_led_in_vain() {
    let mut bench = Start::of(2, &[1]).settled().following(1, 2);
    bench.hear(1, 2, now(&[1, 2], 12_000));
    assert_eq!(bench.chain.stall.tried().len(), 2);
    assert_eq!(bench.chain.stall.pause_ms(), 12_000);
}

#[test]
fn who_follows_a_pinned_leader_that_hands_over_does_not_hand_back_at_once() {
    let told = |pinned: u64, tried: &[u64]| {
        let mut bench = Start::of(2, &[1]).settled().following(1, 2);
        bench.chain.pinned = Some(NodeId::new(pinned));
        bench.hear(1, 2, now(tried, 0));
        bench.chain.pin_tried.is_some()
    };
    assert!(told(1, &[]), "the pinned leader gave its turn away");
    assert!(told(3, &[3, 1, 2]), "it had its turn before");
    assert!(told(2, &[]), "it gets its turn now");
    assert!(!told(3, &[]), "it had no part in it");
}

#[test]
fn a_voter_that_sees_a_pinned_leader_hand_over_does_not_hand_back_at_once_either() {
    let seen = |pinned: u64, purpose: Purpose| {
        let mut bench = Start::of(2, &[1]).settled().following(1, 2);
        bench.chain.pinned = Some(NodeId::new(pinned));
        let request = ReplicaMessage::VoteRequest {
            round: Round::Pre,
            purpose,
            asked: led(3, 3),
            last_epoch: led(1, 1),
            tail: crate::id::Seq::new(1),
            attempt: super::bench::attempt(5),
        };
        bench.hear(3, 2, request);
        bench.chain.pin_tried.is_some()
    };
    assert!(seen(1, Purpose::Transfer), "the leader is the pinned one");
    assert!(seen(3, Purpose::Transfer), "the candidate is");
    assert!(!seen(2, Purpose::Transfer), "it had no part in it");
    assert!(!seen(3, Purpose::Silence), "nobody hands over");
}

#[test]
fn a_leader_whose_target_is_gone_takes_appends_again() {
    let mut bench = Start::of(1, &[]).settled().leading();
    for peer in [2, 3] {
        let pull = bench.pull(1, 1, 1);
        bench.hear(peer, 1, pull);
        bench.row(peer, follows(1));
    }
    let to = Some(NodeId::new(2));
    assert_eq!(targets(&bench.ask(1, Ask::Transfer { to })).len(), 1);
    assert!(
        bench
            .chain
            .lead
            .as_ref()
            .is_some_and(|lead| lead.transfer.is_some())
    );
    let gone = (NodeId::new(2), crate::id::Incarnation::new(1));
    assert!(bench.liveness.on_gone(gone.0, gone.1));
    let said = bench.act(|chain, cx| chain.consider_transfer(cx));
    assert_eq!(said, [replied(1, Answer::Unknown)]);
    assert!(
        bench
            .chain
            .lead
            .as_ref()
            .is_some_and(|lead| lead.transfer.is_none())
    );
}

/// A row of a follower that says whether its store is full.
fn full_row(is_full: bool) -> RowState {
    RowState {
        is_full,
        ..follows(1)
    }
}

/// The voters that are told to take over while both followers say so whether they are full.
fn told_beside(
    bench: &mut Bench,
    is_full: [bool; 2],
    heartbeats: u32,
) -> Vec<(u64, Vec<u64>, u32)> {
    let mut said = Vec::new();
    for _ in 0..heartbeats {
        bench.pass(Duration::from_millis(500));
        bench.row(2, full_row(is_full[0]));
        bench.row(3, full_row(is_full[1]));
        said.extend(bench.act(|chain, cx| chain.consider_transfer(cx)));
    }
    targets(&said)
}

#[test]
fn a_full_leader_hands_over_to_nobody_who_is_full_as_well() {
    let mut bench = Start::of(1, &[]).settled().leading();
    for peer in [2, 3] {
        let pull = bench.pull(1, 1, 1);
        bench.hear(peer, 1, pull);
    }
    bench.act(|chain, _| chain.on_seal_due());
    bench.done(Err(StoreError::Full));
    assert_eq!(told_beside(&mut bench, [true, true], 8), []);
    assert_eq!(
        told_beside(&mut bench, [true, false], 1),
        [(3, Vec::new(), 0)]
    );
}

/// It could not commit there either, and whoever cannot write its first entry answers no reads.
#[test]
fn a_stalled_leader_hands_over_to_nobody_who_is_full() {
    let mut bench = Start::of(1, &[]).settled().leading();
    assert_eq!(told_beside(&mut bench, [true, true], 60), []);
    let turns = told_beside(&mut bench, [true, false], 60);
    assert!(
        !turns.is_empty() && turns.iter().all(|(to, ..)| *to == 3),
        "{turns:?}"
    );
}

#[test]
fn leadership_goes_back_to_whoever_gave_it_away_only_when_nobody_else_is_level() {
    let chosen = |end: u64| {
        let mut bench = Start::of(1, &[1]).settled().following(3, 2);
        bench.row(2, follows(2));
        bench.hear(3, 2, now(&[], 0));
        for (round, n) in [(Round::Pre, 2), (Round::Real, 3)] {
            let granted = ReplicaMessage::VoteReply {
                round,
                asked: led(3, 1),
                granted: true,
                attempt: bench.attempt(),
            };
            bench.hear(3, n, granted);
            bench.done(Ok(()));
        }
        assert_eq!(bench.chain.role(), Role::Leader);
        for (peer, end) in [(3, 2), (2, end)] {
            let pull = bench.pull(end, end, 1);
            bench.hear(peer, 3, pull);
        }
        bench.leaving = true;
        let said = bench.act(|chain, cx| chain.consider_transfer(cx));
        targets(&said)
            .into_iter()
            .map(|(to, ..)| to)
            .collect::<Vec<_>>()
    };
    assert_eq!(chosen(2), [2]);
    assert_eq!(chosen(1), [3]);
}

#[test]
fn a_leader_gives_disks_time_to_store_what_a_majority_holds() {
    let stalls_after = |held: u64| {
        let mut bench = Start::of(1, &[]).settled().elected();
        let pull = bench.pull(held, 0, 1);
        bench.hear(2, 1, pull);
        (1..)
            .find(|_| !targets(&echo(&mut bench, 1)).is_empty())
            .expect("the disks may hang")
    };
    assert_eq!(stalls_after(0), 13, "nobody has its first entry");
    assert_eq!(stalls_after(1), 25);
}
