//! Votes granted and refused, adoption, and the loss of the quorum.

use super::bench::{Start, attempt, follows, leads, led, note, replied};
use crate::action::Note;
use crate::chain::order::{Order, StoreError, Vote};
use crate::client::{Answer, Ask};
use crate::count::Count;
use crate::deadline::Timer;
use crate::id::{Epoch, NodeId, Seq};
use crate::message::{Purpose, ReplicaMessage, Round};
use crate::replica::role::{Role, Signal};
use core::time::Duration;

fn request(round: Round, asked: Epoch, last: u64, tail: u64) -> ReplicaMessage {
    ReplicaMessage::VoteRequest {
        round,
        purpose: Purpose::Silence,
        asked,
        last_epoch: led(last, 1),
        tail: Seq::new(tail),
        attempt: attempt(77),
    }
}

fn reply(round: Round, asked: Epoch, granted: bool) -> ReplicaMessage {
    ReplicaMessage::VoteReply {
        round,
        asked,
        granted,
        attempt: attempt(77),
    }
}

fn record(epoch: Epoch, granted: Option<u64>) -> Order {
    let granted = granted.map(NodeId::new);
    Order::Vote(Vote { epoch, granted })
}

#[test]
fn a_query_is_answered_and_binds_nobody() {
    let mut bench = Start::of(1, &[1]).settled();
    let asked = led(5, 2);
    let said = bench.hear(2, 4, request(Round::Pre, asked, 1, 1));
    assert_eq!(said, [bench.said(2, reply(Round::Pre, asked, true))]);
    assert_eq!(bench.chain.epoch().n, 1);
    assert_eq!(bench.chain.voted(), None);
}

#[test]
fn a_vote_leaves_when_its_record_is_durable() {
    let mut bench = Start::of(1, &[1]).settled();
    let asked = led(2, 2);
    let said = bench.hear(2, 2, request(Round::Real, asked, 1, 1));
    assert_eq!(said, [bench.ordered(record(asked, Some(2)))]);
    assert_eq!(bench.chain.promised().epoch.n, 1);
    let said = bench.done(Ok(()));
    assert_eq!(said, [bench.said(2, reply(Round::Real, asked, true))]);
}

#[test]
fn a_vote_that_a_higher_epoch_overtook_never_leaves() {
    let mut bench = Start::of(1, &[1]).settled();
    bench.hear(2, 2, request(Round::Real, led(2, 2), 1, 1));
    assert_eq!(bench.row(3, follows(3)), []);
    let said = bench.done(Ok(()));
    assert_eq!(said, [bench.ordered(record(led(3, 0), None))]);
    assert_eq!(bench.done(Ok(())), []);
}

#[test]
fn the_second_candidate_of_an_epoch_is_refused() {
    let mut bench = Start::of(1, &[1]).settled();
    bench.hear(2, 2, request(Round::Real, led(2, 2), 1, 1));
    bench.done(Ok(()));
    let asked = led(2, 3);
    let said = bench.hear(3, 2, request(Round::Real, asked, 1, 1));
    assert_eq!(said, [bench.said(3, reply(Round::Real, asked, false))]);
    assert_eq!(bench.chain.voted(), Some(NodeId::new(2)));
}

#[test]
fn a_candidate_whose_log_is_shorter_or_older_is_refused_in_both_rounds() {
    for (last, tail) in [(2, 1), (1, 9)] {
        let mut bench = Start::of(1, &[1, 2]).settled();
        let asked = led(3, 2);
        let said = bench.hear(2, 3, request(Round::Pre, asked, last, tail));
        assert_eq!(said, [bench.said(2, reply(Round::Pre, asked, false))]);
        assert_eq!(bench.chain.epoch().n, 2);
        // A binding request moves the epoch all the same, and the record of that is due.
        let said = bench.hear(2, 3, request(Round::Real, asked, last, tail));
        let refused = bench.said(2, reply(Round::Real, asked, false));
        assert_eq!(said, [refused, bench.ordered(record(asked, None))]);
        assert_eq!(bench.chain.voted(), None);
    }
}

#[test]
fn nobody_is_voted_for_while_a_leader_lives_unless_it_asked_for_that() {
    let mut bench = Start::of(1, &[1]).settled().following(2, 2);
    let asked = led(3, 3);
    for round in [Round::Pre, Round::Real] {
        let said = bench.hear(3, 2, request(round, asked, 2, 9));
        assert_eq!(said, [bench.said(3, reply(round, asked, false))]);
        assert_eq!(bench.chain.epoch().n, 2);
    }
    let mut transfer = request(Round::Real, asked, 2, 9);
    if let ReplicaMessage::VoteRequest { purpose, .. } = &mut transfer {
        *purpose = Purpose::Transfer;
    }
    let said = bench.hear(3, 3, transfer);
    assert_eq!(said, [bench.ordered(record(asked, Some(3)))]);
}

#[test]
fn a_log_that_is_not_durable_does_not_hold_a_candidate_off() {
    let mut bench = Start::of(1, &[1]).settled().following(2, 2);
    let entries = super::bench::log(&[1, 2]);
    bench.hear(2, 2, super::bench::chunk(&bench, 1, &entries, 0));
    bench.row(2, follows(2));
    let asked = led(3, 3);
    let said = bench.hear(3, 3, request(Round::Pre, asked, 1, 1));
    assert_eq!(said, [bench.said(3, reply(Round::Pre, asked, true))]);
}

#[test]
fn a_candidate_asks_for_votes_only_with_its_own_on_disk() {
    let mut bench = Start::of(1, &[1]).settled();
    let said = bench.act(|chain, cx| chain.campaign(Purpose::Silence, cx));
    let asked = led(2, 1);
    let ask = |round, number| ReplicaMessage::VoteRequest {
        round,
        purpose: Purpose::Silence,
        asked,
        last_epoch: led(1, 1),
        tail: Seq::new(1),
        attempt: attempt(number),
    };
    let sought = bench.noted(Role::Candidate, Signal::MissedHeartbeats);
    let (two, three) = (ask(Round::Pre, 1), ask(Round::Pre, 1));
    assert_eq!(said, [sought, bench.said(2, two), bench.said(3, three)]);
    let granted = ReplicaMessage::VoteReply {
        round: Round::Pre,
        asked,
        granted: true,
        attempt: attempt(1),
    };
    let said = bench.hear(2, 1, granted);
    assert_eq!(said, [bench.ordered(record(asked, Some(1)))]);
    let said = bench.done(Ok(()));
    let (two, three) = (ask(Round::Real, 2), ask(Round::Real, 2));
    assert_eq!(said, [bench.said(2, two), bench.said(3, three)]);
}

#[test]
fn of_two_overlapping_queries_one_gives_way() {
    let gives_way = |me: u64, from: u64, last: u64, tail: u64| {
        let mut bench = Start::of(me, &[1]).settled();
        bench.act(|chain, cx| chain.campaign(Purpose::Silence, cx));
        let asked = led(2, from);
        let said = bench.hear(from, 1, request(Round::Pre, asked, last, tail));
        let granted = bench.said(from, reply(Round::Pre, asked, true));
        assert!(said.contains(&granted), "{said:?}");
        let timer = |timer| bench.deadlines.armed(bench.chain.index, timer);
        let ended = bench.chain.role() == Role::Replica;
        assert_eq!(timer(Timer::Round).is_none(), ended);
        assert_eq!(timer(Timer::Election).is_some(), ended);
        ended
    };
    assert!(gives_way(1, 3, 1, 1), "the other has the higher id");
    assert!(!gives_way(3, 1, 1, 1), "its own id is the higher one");
    assert!(gives_way(3, 1, 1, 2), "the other has the longer log");
}

#[test]
fn an_early_query_that_gave_way_is_repeated_when_the_other_had_its_time() {
    let mut bench = Start::of(1, &[1]).settled();
    let heartbeat = bench.config.heartbeat();
    bench.act(|chain, cx| chain.on_leader_gone(cx));
    bench.act(|chain, cx| chain.campaign_early(cx));
    bench.hear(3, 1, request(Round::Pre, led(2, 3), 1, 1));
    assert_eq!(bench.chain.role(), Role::Replica);
    let again = bench.deadlines.armed(bench.chain.index, Timer::Early);
    assert!(again.is_some_and(|at| at >= bench.now.after(heartbeat / 4)));
}

#[test]
fn a_candidate_that_votes_for_another_ends_its_own_query() {
    let mut bench = Start::of(1, &[1]).settled();
    let (other, mine) = (led(2, 3), led(3, 1));
    bench.act(|chain, _| chain.enter(other, None));
    bench.act(|chain, cx| chain.campaign(Purpose::Silence, cx));
    bench.hear(3, 1, request(Round::Real, other, 1, 1));
    assert_eq!(bench.chain.role(), Role::Replica);
    let armed = |timer| bench.deadlines.armed(bench.chain.index, timer);
    assert!(armed(Timer::Round).is_none() && armed(Timer::Election).is_some());
    let mut granted = reply(Round::Pre, mine, true);
    if let ReplicaMessage::VoteReply { attempt: of, .. } = &mut granted {
        *of = attempt(1);
    }
    let late = bench.hear(2, 2, granted);
    assert!(late.is_empty(), "{late:?}");
    assert_eq!(bench.chain.epoch(), other);
}

#[test]
fn a_binding_round_and_a_transfer_give_no_way() {
    let mut bench = Start::of(1, &[1]).settled();
    bench.act(|chain, cx| chain.campaign(Purpose::Transfer, cx));
    bench.hear(3, 1, request(Round::Pre, led(2, 3), 1, 1));
    assert_eq!(bench.chain.role(), Role::Candidate);
    let mut granted = reply(Round::Pre, led(2, 1), true);
    if let ReplicaMessage::VoteReply { attempt: of, .. } = &mut granted {
        *of = attempt(1);
    }
    bench.hear(2, 1, granted);
    bench.hear(3, 2, request(Round::Pre, led(3, 3), 1, 1));
    assert_eq!(bench.chain.role(), Role::Candidate);
    assert_eq!(bench.chain.epoch().n, 2);
}

#[test]
fn a_refusal_of_a_higher_epoch_is_asked_again_in_the_next_one() {
    let mut bench = Start::of(1, &[1]).settled();
    bench.row(2, follows(1));
    bench.act(|chain, cx| chain.campaign(Purpose::Silence, cx));
    let refusal = ReplicaMessage::VoteReply {
        round: Round::Pre,
        asked: led(2, 1),
        granted: false,
        attempt: attempt(1),
    };
    bench.hear(2, 6, refusal);
    assert_eq!(bench.chain.epoch().n, 6);
    assert_eq!(bench.chain.role(), Role::Candidate);
}

#[test]
fn a_voter_that_is_epochs_behind_may_still_answer_a_query() {
    let mut bench = Start::of(1, &[1]).settled();
    bench.row(3, follows(5));
    bench.done(Ok(()));
    bench.act(|chain, cx| chain.campaign(Purpose::Silence, cx));
    let (asked, attempt) = (led(6, 1), bench.attempt());
    let reply = |round, granted| ReplicaMessage::VoteReply {
        round,
        asked,
        granted,
        attempt,
    };
    // Nothing else that it says in an older epoch counts.
    for (round, granted) in [(Round::Pre, false), (Round::Real, true)] {
        assert_eq!(bench.hear(2, 1, reply(round, granted)), []);
    }
    assert_eq!(bench.count(Count::OlderEpoch), 2);
    let said = bench.hear(2, 1, reply(Round::Pre, true));
    assert_eq!(said, [bench.ordered(record(asked, Some(1)))]);
}

#[test]
fn a_leader_that_hears_of_a_higher_epoch_stops_leading_at_once() {
    let mut bench = Start::of(1, &[]).settled().leading();
    let said = bench.row(3, follows(2));
    let lost = bench.noted(Role::Replica, Signal::PeerLeaderObserved);
    assert_eq!(said, [lost, bench.ordered(record(led(2, 0), None))]);
    assert_eq!(bench.chain.leader(), None);
}

#[test]
fn a_leader_without_echoes_steps_down() {
    let mut bench = Start::of(1, &[]).settled().leading();
    bench.pass(Duration::from_millis(1_499));
    assert_eq!(bench.act(|chain, cx| chain.check_quorum(cx)), []);
    let is_watched = bench.chain.is_watched(false);
    assert!(is_watched, "its age stood for the echoes");
    bench.pass(Duration::from_millis(1));
    let said = bench.act(|chain, cx| chain.check_quorum(cx));
    assert_eq!(
        said,
        [bench.noted(Role::Replica, Signal::PeerLeaderObserved)]
    );
    assert_eq!(bench.count(Count::QuorumLost), 1);
    assert_eq!(bench.chain.epoch().n, 1);
}

#[test]
fn a_message_of_an_older_epoch_changes_nothing_and_is_answered() {
    let mut bench = Start::of(1, &[4]).settled();
    let entries = super::bench::log(&[4, 4]);
    let said = bench.hear(2, 3, super::bench::chunk(&bench, 1, &entries, 1));
    assert_eq!(said, [bench.said(2, ReplicaMessage::Outdated)]);
    assert_eq!(bench.chain.log().end(), Seq::new(1));
    assert_eq!(
        bench.row(2, leads(2, 3, 1)),
        [bench.said(2, ReplicaMessage::Outdated)]
    );
    assert_eq!(bench.chain.leader(), None);
}

#[test]
fn a_full_store_holds_a_vote_back_and_a_broken_one_ends_the_replica() {
    let mut bench = Start::of(1, &[1]).settled();
    let asked = led(2, 2);
    bench.hear(2, 2, request(Round::Real, asked, 1, 1));
    assert_eq!(bench.done(Err(StoreError::Full)), []);
    bench.pass(Duration::from_millis(500));
    bench.deadlines.disarm(bench.chain.index, Timer::Retry);
    let said = bench.settle();
    assert_eq!(said, [bench.ordered(record(asked, Some(2)))]);
    let said = bench.done(Err(StoreError::Broken));
    let fault = crate::action::StopReason::StoreBroken;
    let idle = bench.noted(Role::Idle, Signal::ChannelClose);
    assert_eq!(said, [idle, note(Note::Stopped(fault))]);
    assert_eq!(bench.hear(3, 9, request(Round::Real, led(9, 3), 9, 9)), []);
}

#[test]
fn the_last_epoch_there_is_is_never_sought() {
    let mut bench = Start::of(1, &[1]).settled();
    bench.row(2, follows(u64::MAX));
    bench.done(Ok(()));
    let said = bench.act(|chain, cx| chain.on_election_due(false, cx));
    assert_eq!(said, []);
    assert_eq!(bench.chain.role(), Role::Replica);
}

#[test]
fn nobody_leads_or_appends_without_knowing_what_time_it_is() {
    let mut bench = Start::of(1, &[1]).settled();
    bench.act(|chain, cx| chain.on_election_due(false, cx));
    assert_eq!(bench.chain.role(), Role::Replica, "nobody was heard");
    let mut bench = Start::of(1, &[1]).settled().leading();
    // The clock leaps, and nothing that it knows of the others' clocks is worth anything.
    bench.pass(Duration::from_secs(3_600));
    let said = bench.ask(1, Ask::OpenClient);
    assert_eq!(said, [replied(1, Answer::NotLeader { hint: None })]);
    let end = bench.chain.log().end();
    bench.row(2, follows(2));
    bench.ask(2, Ask::OpenClient);
    assert!(bench.chain.log().end() > end);
}
