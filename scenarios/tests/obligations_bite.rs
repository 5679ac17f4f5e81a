//! Every obligation is able to fail: each one is given a history in which its condition holds and
//! its consequence never comes true, and one in which the condition breaks in time.

use meshos_core::chain::entry::Tip;
use meshos_core::id::NodeId;
use meshos_scenarios::checks::obligations::commits_go_on::{self, Asking, CommitsGoOn};
use meshos_scenarios::checks::obligations::leader_again_now::{self, LeaderAgain};
use meshos_scenarios::checks::obligations::pinned_leads::{self, PinnedLeads};
use meshos_scenarios::checks::obligations::transfer_ends::{self, TransferEnds, Wish, Word};
use meshos_scenarios::checks::obligations::{Facts, Majority, PENDING, allowed};
use meshos_sim::machine::NodeIndex;
use meshos_sim::time::Instant;
use meshos_sim::violation::Violation;
use std::time::Duration;

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

fn facts(ms: u64) -> Facts<'static> {
    Facts {
        at: at(ms),
        chain: "main",
        heartbeat: Duration::from_millis(500),
        pace: 1,
        strangers: 0,
    }
}

fn majority(since_ms: u64) -> Majority {
    Majority {
        since: at(since_ms),
        members: vec![NodeIndex(1), NodeIndex(2)],
    }
}

/// A pending obligation counts what it would report.
fn bites(judgement: Result<(), Violation>, property: &str) {
    match judgement {
        Ok(()) => assert!(PENDING.contains(&property), "the check has to see it"),
        Err(violation) => assert_eq!(violation.property, property, "{}", violation.detail),
    }
}

#[test]
fn leader_again_now() {
    let mut chains = LeaderAgain::new(1);
    let majority = majority(2_000);
    assert_eq!(chains.leaderless(0, Some(&majority), facts(3_000)), Ok(()));
    assert_eq!(chains.leaderless(0, Some(&majority), facts(13_000)), Ok(()));
    // Somebody led meanwhile, who then was hit by a fault.
    chains.led(0);
    assert_eq!(chains.leaderless(0, Some(&majority), facts(14_000)), Ok(()));
    chains.restart(0, at(20_000));
    assert_eq!(chains.leaderless(0, Some(&majority), facts(30_000)), Ok(()));
    let late = chains.leaderless(0, Some(&majority), facts(30_250));
    bites(late, leader_again_now::ID);
}

#[test]
fn no_leader_is_owed_by_voters_that_do_not_work() {
    let mut chains = LeaderAgain::new(1);
    assert_eq!(chains.leaderless(0, None, facts(60_000)), Ok(()));
    let majority = majority(60_000);
    assert_eq!(chains.leaderless(0, Some(&majority), facts(69_000)), Ok(()));
}

#[test]
fn commits_go_on() {
    let mut chains = CommitsGoOn::new(1);
    chains.commit(0, at(1_000));
    let majority = majority(2_000);
    let mut asked = |ms, crossing| {
        let crossing = || Duration::from_millis(crossing);
        chains.asked(0, Some(&majority), crossing, facts(ms))
    };
    assert_eq!(asked(12_000, 0), Ok(()));
    assert_eq!(asked(12_250, 3_000), Ok(()), "bytes have to cross first");
    bites(asked(15_250, 3_000), commits_go_on::ID);
}

#[test]
fn only_who_is_asked_time_and_again_is_asked() {
    let mut asking = Asking::default();
    assert_eq!(asking.since(at(0)), None);
    asking.ask(at(1_000));
    asking.ask(at(3_500));
    assert_eq!(asking.since(at(6_000)), Some(at(1_000)));
    assert_eq!(asking.since(at(7_000)), None, "the client has gone");
    asking.ask(at(8_000));
    assert_eq!(asking.since(at(8_000)), Some(at(8_000)));
    asking.refuse();
    assert_eq!(
        asking.since(at(8_000)),
        None,
        "what cannot be appended is no wish"
    );
}

#[test]
fn transfer_ends() {
    let mut transfers = TransferEnds::default();
    let transfer = (0, 3, NodeIndex(2));
    let word = |ms| Word {
        at: at(ms),
        from: NodeIndex(0),
        tip: Tip::default(),
    };
    transfers.tell(transfer, word(1_000));
    // The word is repeated with every heartbeat: the first one counts.
    transfers.tell(transfer, word(4_000));
    assert_eq!(transfers.hold(transfer, facts(5_000)), Ok(()));
    bites(transfers.hold(transfer, facts(5_250)), transfer_ends::ID);
    transfers.end(transfer);
    assert_eq!(transfers.told(0).count(), 0);
    transfers.tell(transfer, word(9_000));
    assert_eq!(transfers.hold(transfer, facts(12_000)), Ok(()));
    transfers.release(transfer);
    assert_eq!(transfers.hold(transfer, facts(60_000)), Ok(()));
}

#[test]
fn transferred_is_said_only_of_who_led() {
    let mut transfers = TransferEnds::default();
    let wish = Wish {
        chain: 0,
        to: Some(NodeId::new(2)),
        n: 3,
    };
    transfers.wish(7, wish);
    let wish = transfers.answered(7).expect("it was asked for");
    assert_eq!(transfers.transferred(wish, true), Ok(()));
    bites(transfers.transferred(wish, false), transfer_ends::ID);
}

#[test]
fn pinned_leads() {
    let mut chains = PinnedLeads::new(1, Duration::from_secs(8));
    let pinned = NodeIndex(2);
    assert_eq!(chains.hold(0, pinned, facts(1_000)), Ok(()));
    assert_eq!(chains.hold(0, pinned, facts(19_000)), Ok(()));
    chains.release(0);
    assert_eq!(chains.hold(0, pinned, facts(20_000)), Ok(()));
    assert_eq!(chains.hold(0, pinned, facts(38_000)), Ok(()));
    bites(chains.hold(0, pinned, facts(38_250)), pinned_leads::ID);
}

#[test]
fn bounds_grow_with_drift_with_long_heartbeats_and_with_who_cannot_be_followed() {
    let ten = Duration::from_secs(10);
    assert_eq!(allowed(facts(0)), ten);
    let drifting = Facts {
        pace: 3,
        ..facts(0)
    };
    assert_eq!(allowed(drifting), 3 * ten);
    let deaf = Facts {
        strangers: 2,
        ..facts(0)
    };
    assert_eq!(allowed(deaf), 3 * ten);
    let slow = Facts {
        heartbeat: Duration::from_secs(1),
        ..facts(0)
    };
    assert_eq!(allowed(slow), 2 * ten);
}
