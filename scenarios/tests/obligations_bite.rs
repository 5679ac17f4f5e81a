//! Every obligation is able to fail: each one is given a history in which its condition holds and
//! its consequence never comes true, and one in which the condition breaks in time.

use meshos_core::chain::entry::LogPosition;
use meshos_core::client::{Answer, Reason};
use meshos_core::config::Retention;
use meshos_core::id::{Incarnation, NodeId, Seq};
use meshos_scenarios::checks::obligations::commits_go_on::{self, Asking, CommitsGoOn};
use meshos_scenarios::checks::obligations::fails_over::{self, Died, FailsOver};
use meshos_scenarios::checks::obligations::fair_share::{self, FairShare, Share};
use meshos_scenarios::checks::obligations::gives_way::{self, GivesWay};
use meshos_scenarios::checks::obligations::leader_again_now::{self, LeaderAgain};
use meshos_scenarios::checks::obligations::level::{self, Bulk, Level, Speed};
use meshos_scenarios::checks::obligations::mends::{self, Damage, Mends};
use meshos_scenarios::checks::obligations::one_checkpoint::{self, OneCheckpoint, Sent};
use meshos_scenarios::checks::obligations::pinned_leads::{self, PinnedLeads};
use meshos_scenarios::checks::obligations::reads_answer::{self, Read, ReadsAnswer};
use meshos_scenarios::checks::obligations::retains::{self, Ages, Kept, Retains};
use meshos_scenarios::checks::obligations::steps_down::{self, StepsDown};
use meshos_scenarios::checks::obligations::transfer_ends::{self, TransferEnds, Wish, Word};
use meshos_scenarios::checks::obligations::{Facts, Majority, allowed};
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

fn bites(judgement: Result<(), Violation>, property: &str) {
    let violation = judgement.expect_err("the check has to see it");
    assert_eq!(violation.property, property, "{}", violation.detail);
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
        tip: LogPosition::default(),
    };
    transfers.say(transfer, word(500));
    assert_eq!(transfers.told(0).count(), 0, "it is on its way");
    transfers.hear(transfer, at(1_000));
    // The word is repeated with every heartbeat: the first one counts.
    transfers.say(transfer, word(4_000));
    transfers.hear(transfer, at(4_000));
    assert_eq!(transfers.hold(transfer, facts(5_000)), Ok(()));
    bites(transfers.hold(transfer, facts(5_250)), transfer_ends::ID);
    transfers.end(transfer);
    assert_eq!(transfers.told(0).count(), 0);
    transfers.say(transfer, word(9_000));
    transfers.hear(transfer, at(9_000));
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
fn a_later_run_of_a_target_owes_what_it_heard_itself() {
    let mut transfers = TransferEnds::default();
    let (transfer, other) = ((0, 3, NodeIndex(2)), (1, 3, NodeIndex(1)));
    for transfer in [transfer, other] {
        let word = Word {
            at: at(500),
            from: NodeIndex(0),
            tip: LogPosition::default(),
        };
        transfers.say(transfer, word);
        transfers.hear(transfer, at(1_000));
        assert_eq!(transfers.hold(transfer, facts(1_250)), Ok(()));
    }
    transfers.forget(NodeIndex(2), |_| false);
    assert_eq!(transfers.told(0).count(), 0);
    assert_eq!(transfers.hold(transfer, facts(60_000)), Ok(()));
    bites(transfers.hold(other, facts(60_000)), transfer_ends::ID);
    // The leader repeats the word, and the later run hears it.
    transfers.hear(transfer, at(2_000));
    assert_eq!(transfers.hold(transfer, facts(6_000)), Ok(()));
    bites(transfers.hold(transfer, facts(6_250)), transfer_ends::ID);
    transfers.forget(NodeIndex(2), |_| true);
    transfers.hear(transfer, at(7_000));
    assert_eq!(transfers.told(0).count(), 0, "it led before it ended");
}

/// The run that ends where a leader dies.
const RUN: Incarnation = Incarnation::new(4);

#[test]
fn fails_over() {
    let mut chains = FailsOver::default();
    let died = |leader| Died {
        leader: NodeIndex(leader),
        n: 3,
    };
    chains.tell((0, NodeIndex(0)), died(2), at(900));
    chains.die(0, (died(2), RUN), at(1_000));
    chains.tell((0, NodeIndex(0)), died(2), at(1_010));
    chains.tell((0, NodeIndex(1)), died(2), at(1_010));
    assert_eq!(chains.heirs(0), None, "one made its attempt before");
    let mut chains = FailsOver::default();
    chains.die(0, (died(2), RUN), at(1_000));
    chains.tell((0, NodeIndex(0)), died(2), at(1_010));
    chains.tell((0, NodeIndex(1)), died(1), at(1_020));
    assert_eq!(chains.heirs(0), None, "they were told of different leaders");
    let mut chains = FailsOver::default();
    chains.die(0, (died(2), RUN), at(1_000));
    chains.tell((0, NodeIndex(0)), died(2), at(1_010));
    chains.tell((0, NodeIndex(1)), died(2), at(1_020));
    let heirs = chains.heirs(0).expect("both were told");
    assert_eq!(
        (heirs.since, heirs.apart),
        (at(1_020), Duration::from_millis(10))
    );
    // Seven quarters of a heartbeat, four trips between the two, and one with who is back.
    let trips = (Duration::from_millis(10), Duration::from_millis(30));
    assert_eq!(chains.hold(0, heirs, trips, facts(1_965)), Ok(()));
    bites(chains.hold(0, heirs, trips, facts(1_966)), fails_over::ID);
    chains.led(0);
    assert_eq!(chains.heirs(0), None);
}

#[test]
fn a_leader_is_back_when_a_voter_hears_a_later_run_of_it() {
    let mut chains = FailsOver::default();
    let died = Died {
        leader: NodeIndex(2),
        n: 3,
    };
    chains.die(0, (died, RUN), at(1_000));
    chains.tell((0, NodeIndex(0)), died, at(1_010));
    chains.tell((0, NodeIndex(1)), died, at(1_010));
    let back = |chains: &FailsOver| chains.heirs(0).expect("both were told").back;
    let next = Incarnation::new(RUN.get() + 1);
    // What it said before it died may arrive later, others are no news of it, and who does not
    // vote in the chain is not asked.
    assert!(!chains.hear((NodeIndex(2), RUN), at(1_020), |_| true));
    assert!(!chains.hear((NodeIndex(1), next), at(1_020), |_| true));
    assert!(!chains.hear((NodeIndex(2), next), at(1_020), |chain| chain != 0));
    assert_eq!(back(&chains), None);
    assert!(chains.hear((NodeIndex(2), next), at(1_030), |chain| chain == 0));
    assert!(!chains.hear((NodeIndex(2), next), at(1_040), |_| true));
    assert_eq!(back(&chains), Some(at(1_030)), "the first time counts");
    chains.die(0, (died, next), at(1_050));
    chains.tell((0, NodeIndex(0)), Died { n: 4, ..died }, at(1_060));
    chains.tell((0, NodeIndex(1)), Died { n: 4, ..died }, at(1_060));
    assert_eq!(chains.heirs(0), None, "another death");
}

#[test]
fn one_checkpoint() {
    let mut members = OneCheckpoint::default();
    let stream = (0, NodeIndex(2));
    let sent = |floor| Sent {
        leader: NodeIndex(0),
        n: 3,
        floor: Seq::new(floor),
        begins: true,
    };
    assert_eq!(members.send(stream, sent(10), at(1_000), true), Ok(()));
    assert_eq!(members.send(stream, sent(10), at(2_000), true), Ok(()));
    assert_eq!(members.sent(stream), Some((sent(10), at(1_000))));
    members.leads(stream, at(2_500));
    assert_eq!(members.sent(stream), Some((sent(10), at(2_500))));
    bites(
        members.send(stream, sent(20), at(3_000), true),
        one_checkpoint::ID,
    );
    let next = Sent {
        leader: NodeIndex(1),
        n: 4,
        ..sent(20)
    };
    bites(
        members.send(stream, next, at(3_000), true),
        one_checkpoint::ID,
    );
    let late = members.send(stream, sent(20), at(61_000), true);
    assert_eq!(late, Ok(()), "it is not waited for any longer");
    members.near(stream);
    assert_eq!(members.send(stream, sent(30), at(62_000), true), Ok(()));
    members.release(stream);
    assert_eq!(members.send(stream, sent(40), at(63_000), false), Ok(()));
    assert_eq!(
        members.sent(stream),
        None,
        "not everybody works with the leader"
    );
}

#[test]
fn steps_down() {
    let mut leaders = StepsDown::default();
    let (leadership, late) = ((0, 3, NodeIndex(2)), Duration::from_secs(1));
    assert_eq!(
        leaders.hold(leadership, (at(1_000), late), facts(5_000)),
        Ok(())
    );
    assert_eq!(leaders.cut_off(0).collect::<Vec<_>>(), [leadership]);
    // Who was heard again in between may go on.
    assert_eq!(
        leaders.hold(leadership, (at(2_000), late), facts(6_000)),
        Ok(())
    );
    bites(
        leaders.hold(leadership, (at(2_000), late), facts(6_001)),
        steps_down::ID,
    );
    leaders.end(leadership);
    assert_eq!(leaders.cut_off(0).count(), 0);
}

#[test]
fn gives_way() {
    let mut leaders = GivesWay::default();
    let leadership = (0, 3, NodeIndex(2));
    let crossing = Duration::from_secs(1);
    let mut hold = |since, now| leaders.hold(leadership, (at(since), crossing), facts(now));
    // 33 heartbeats of half a second, ten seconds, and what has to cross.
    assert_eq!(hold(500, 1_000), Ok(()));
    assert_eq!(hold(500, 28_500), Ok(()));
    // Who could take over was itself in trouble meanwhile.
    assert_eq!(hold(2_000, 29_500), Ok(()));
    bites(hold(2_000, 29_501), gives_way::ID);
    assert_eq!(leaders.hung(0).collect::<Vec<_>>(), [leadership]);
    leaders.end(leadership);
    assert_eq!(leaders.hung(0).count(), 0);
}

#[test]
fn mends() {
    let mut replicas = Mends::default();
    let (replica, waits) = ((0, NodeIndex(2)), (Duration::from_secs(1), 2));
    let damage = Damage {
        since: at(1_000),
        helper: NodeIndex(1),
        unknown: 3,
    };
    // Eight heartbeats for each of two peers and for the helper, and what the entries take.
    let mut hold = |damage, now| replicas.hold(replica, damage, waits, facts(now));
    assert_eq!(hold(damage, 14_000), Ok(()));
    bites(hold(damage, 14_001), mends::ID);
    replicas.mend(replica);
    assert_eq!(replicas.damage(replica), None);
    let damage = Damage {
        since: at(20_000),
        unknown: 1,
        ..damage
    };
    assert_eq!(replicas.hold(replica, damage, waits, facts(33_000)), Ok(()));
    assert_eq!(replicas.damage(replica), Some(damage));
    replicas.release(replica);
    assert_eq!(replicas.hold(replica, damage, waits, facts(33_000)), Ok(()));
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

fn bulk(bytes: u64) -> Bulk {
    Bulk {
        bytes,
        budget: 2 * bytes,
        messages: 4,
    }
}

/// 80 bytes in a millisecond over the link, and 1,000 from the leader.
const SLOW: Speed = Speed {
    link_per_ms: Some(80),
    budget_per_ms: 1_000,
    trip: Duration::from_millis(5),
};

#[test]
fn level() {
    let mut members = Level::default();
    let laggard = (0, 1, NodeIndex(2));
    let first = members.begin(laggard, at(1_000), bulk(80_000));
    // 80,000 bytes take 1,000 ms over the link, 160 ms of the budget and 20 ms of trips.
    assert_eq!(level::crossing(first, SLOW), Duration::from_millis(3_540));
    assert_eq!(members.hold(laggard, first, SLOW, facts(14_500)), Ok(()));
    let grown = members.grow(laggard, first, bulk(8_000));
    assert_eq!(grown.since, at(1_000));
    assert_eq!(members.hold(laggard, grown, SLOW, facts(14_740)), Ok(()));
    bites(members.hold(laggard, grown, SLOW, facts(14_750)), level::ID);
    members.level(laggard);
    assert_eq!(members.load(laggard), None);
}

#[test]
fn a_load_that_the_link_carries_does_not_put_off_for_ever_when_a_member_is_level() {
    let (mut members, laggard) = (Level::default(), (0, 1, NodeIndex(2)));
    let speed = Speed {
        trip: Duration::ZERO,
        budget_per_ms: 1_000_000,
        ..SLOW
    };
    let half = Bulk {
        bytes: 250 * 40,
        ..Bulk::default()
    };
    let mut load = members.begin(laggard, at(0), bulk(80_000));
    let mut ends = |looks: core::ops::Range<u64>| {
        looks.map(|look| 250 * look).find(|&now| {
            load = members.grow(laggard, load, half);
            members.hold(laggard, load, speed, facts(now)).is_err()
        })
    };
    assert_eq!(ends(1..208), None);
    assert_eq!(ends(208..1_000), Some(52_250));
}

#[test]
fn a_member_that_lost_its_leader_owes_nothing() {
    let mut members = Level::default();
    let laggard = (0, 1, NodeIndex(2));
    let first = members.begin(laggard, at(1_000), bulk(80_000));
    assert_eq!(members.hold(laggard, first, SLOW, facts(1_000)), Ok(()));
    members.release(laggard);
    let again = members.begin(laggard, at(60_000), bulk(80_000));
    assert_eq!(members.hold(laggard, again, SLOW, facts(70_000)), Ok(()));
}

#[test]
fn fair_share() {
    let mut streams = FairShare::default();
    let stream = (NodeIndex(0), 0, NodeIndex(2));
    let share = Share {
        streams: 3,
        patience: Duration::ZERO,
        turn_bytes: 1_000,
        bytes_per_s: 2_000,
        pages: 1,
    };
    // Three turns take 1.5 s; twice that, and ten heartbeats.
    assert_eq!(
        fair_share::bound(share, Duration::from_millis(500)),
        Duration::from_secs(8)
    );
    let patience = Duration::from_secs(1);
    let beside_others = Share { patience, ..share };
    assert_eq!(
        fair_share::bound(beside_others, Duration::from_millis(500)),
        Duration::from_secs(14)
    );
    assert_eq!(streams.hold(stream, share, facts(1_000)), Ok(()));
    streams.serve(0, NodeIndex(1));
    assert_eq!(streams.hold(stream, share, facts(9_000)), Ok(()));
    let starved = streams.hold(stream, share, facts(9_250));
    bites(starved, fair_share::ID);
    streams.serve(0, NodeIndex(2));
    assert_eq!(streams.hold(stream, share, facts(9_250)), Ok(()));
}

#[test]
fn retains() {
    let mut replicas = Retains::default();
    let replica = (0, NodeIndex(1));
    assert_eq!(replicas.hold(replica, "too much", facts(1_000)), Ok(()));
    assert_eq!(replicas.hold(replica, "too much", facts(11_000)), Ok(()));
    bites(
        replicas.hold(replica, "too much", facts(11_250)),
        retains::ID,
    );
    replicas.keeps(0, NodeIndex(1));
    assert_eq!(replicas.hold(replica, "too much", facts(12_000)), Ok(()));
}

#[test]
fn every_bound_of_retention_is_seen() {
    let bounds = Retention {
        entries_max: Some(100),
        bytes_max: Some(1_000),
        age_max_ms: Some(10_000),
    };
    let kept = Kept {
        entries: 158,
        bytes: 1_500,
        age_ms: Some(17_000),
        recent: 0,
        recent_bytes: 0,
    };
    assert_eq!(retains::excess(bounds, kept), None);
    let more = [
        Kept {
            entries: 159,
            ..kept
        },
        Kept {
            bytes: 1_501,
            ..kept
        },
        Kept {
            age_ms: Some(17_001),
            ..kept
        },
    ];
    for kept in more {
        assert!(retains::excess(bounds, kept).is_some(), "{kept:?}");
        assert_eq!(retains::excess(Retention::default(), kept), None);
    }
}

#[test]
fn nothing_young_is_dropped_for_its_age() {
    let mut ages = Ages::default();
    ages.look(3, at(1_000));
    ages.look(5, at(2_000));
    ages.look(9, at(3_000));
    assert_eq!(
        ages.age_max(2, at(60_000)),
        None,
        "it may have been there for ever"
    );
    assert_eq!(ages.age_max(4, at(60_000)), Some(Duration::from_secs(59)));
    assert_eq!(ages.age_max(9, at(60_000)), None, "nobody has it");
    let replicas = Retains::default();
    let dropped = |age_ms| {
        let age = Duration::from_millis(age_ms);
        replicas.dropped((NodeIndex(0), 4), age, 3_600_000, "main")
    };
    assert_eq!(dropped(3_500_000), Ok(()));
    bites(dropped(1_000), retains::ID);
}

#[test]
fn reads_answer() {
    let read = Read {
        chain: 0,
        node: NodeIndex(1),
        at: at(1_000),
        since: at(0),
        leader: (NodeIndex(0), 2),
    };
    let mut reads = ReadsAnswer::default();
    reads.ask(7, read, 1);
    assert_eq!(reads.judge(0, at(6_000)), Ok(()));
    bites(reads.judge(0, at(6_250)), reads_answer::ID);
    reads.release(7);
    assert_eq!(reads.judge(0, at(60_000)), Ok(()));
    for answer in [
        Answer::Unknown,
        Answer::NotLeader { hint: None },
        Answer::Rejected(Reason::Transferring),
    ] {
        let mut reads = ReadsAnswer::default();
        reads.ask(7, read, 1);
        bites(reads.answered(7, &answer, facts(2_000)), reads_answer::ID);
    }
    reads.ask(7, read, 1);
    let busy = Answer::Rejected(Reason::Busy);
    assert_eq!(reads.answered(7, &busy, facts(2_000)), Ok(()));
}
