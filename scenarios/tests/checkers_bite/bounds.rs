//! Checks of bounds, of convergence and of whole runs.

use super::*;
use crate::common::{Numbers, Retrier, config, workload, world};
use meshos_core::chain::entry::Membership;
use meshos_core::config::Limits;
use meshos_core::id::{Gen, Seq};
use meshos_core::replica::role::Role;
use meshos_scenarios::checks::bounded::Measure;
use meshos_scenarios::checks::liveness::Member;
use meshos_scenarios::checks::payload_blind::Shape;
use meshos_scenarios::checks::rate_limits::Budget;
use meshos_scenarios::checks::replica_state::ReplicaState;
use meshos_scenarios::checks::sent_once::{Bulk, Kind, Leaves, SentOnce};
use meshos_scenarios::checks::*;
use meshos_scenarios::history::{Asked, History, Invocation};
use meshos_sim::machine::NodeIndex;
use meshos_sim::time::Instant;
use meshos_sim::weather::Weather;
use std::sync::Arc;
use std::time::Duration;

#[test]
fn config_safe_and_instance_bite() {
    let founding = Arc::new(Membership::default());
    let other = Arc::new(Membership {
        voters: config(3, None)
            .founding(&config(3, None).chains()[0])
            .membership
            .voters
            .clone(),
        learners: Vec::new(),
    });
    config_safe::observe(&founding, &Arc::new(Membership::default())).expect("equal");
    bites(config_safe::observe(&founding, &other), config_safe::ID);
    bites(instance::observe(Gen::new(1), Gen::new(2)), instance::ID);
}

#[test]
fn bounded_bites() {
    let limits = Limits::default();
    let all = [
        (Measure::MessageBytes, limits.message_bytes_max),
        (Measure::Rows, limits.rows_max),
        (Measure::Clients, limits.clients_max),
        (Measure::Uncommitted, limits.uncommitted_max + 1_024),
        (Measure::EntryBytes, limits.entry_bytes_max),
        (Measure::ReadBytes, limits.read_bytes_max),
        (Measure::Requests, limits.requests_max),
        (Measure::ControlBytes, 0),
        (Measure::SegmentBytes, limits.segment_bytes_max + 4_096),
    ];
    for (what, limit) in all {
        let found = u64::from(limit);
        bounded::observe(what, found, &limits).expect("the limit itself is allowed");
        bites(bounded::observe(what, found + 1, &limits), bounded::ID);
    }
}

#[test]
fn disk_use_bites() {
    let most = [
        disk_use::of_records(100, 50_000),
        disk_use::of_records(0, 0),
    ];
    let allowed = 2 * (50_000 + 100 * 256) + 2 * (65_536 + 4_096);
    disk_use::observe(allowed, most).expect("the limit itself is allowed");
    bites(disk_use::observe(allowed + 1, most), disk_use::ID);
}

#[test]
fn sent_once_bites() {
    let way = (NodeIndex(0), NodeIndex(1), 0);
    let bulk = |range| Bulk {
        kind: Kind::Entries,
        range,
    };
    let leaves = |ms: u64, n| {
        let at = Instant::from_nanos(ms * 1_000_000);
        Leaves {
            at,
            due: at.after(Duration::from_millis(10)),
            calm: Some(Instant::ZERO),
            life: (n, 1, 1),
        }
    };
    let mut sent = SentOnce::default();
    let mut send = |range, ms| sent.send(way, bulk(range), leaves(ms, 1));
    send(4..6, 0).expect("the first copy");
    send(6..7, 1).expect("what follows it");
    send(4..5, 5).expect("the sender may be wrong once");
    send(5..7, 5).expect("and goes on from there");
    bites(send(4..7, 9), sent_once::ID);
    // Where a copy is late, the epoch is another one, or something may be lost, there is a reason.
    let mut late = SentOnce::default();
    for ms in [0, 5, 11] {
        late.send(way, bulk(4..6), leaves(ms, 1)).expect("late");
    }
    late.send(way, bulk(4..6), leaves(12, 2))
        .expect("another epoch");
    late.arrive(way, bulk(4..6), Instant::from_nanos(13_000_000));
    let rough = Leaves {
        calm: None,
        ..leaves(14, 2)
    };
    late.send(way, bulk(4..6), rough).expect("perhaps lost");
    late.send(way, bulk(4..6), leaves(15, 2))
        .expect("the first one since");
    late.send(way, bulk(4..6), leaves(16, 2))
        .expect("the second one");
    late.decline(way, &bulk(4..6));
    late.send(way, bulk(4..6), leaves(17, 2))
        .expect("what was declined is wanted again");
}

#[test]
fn rate_limits_bites() {
    let id = rate_limits::ID;
    let mut budget = Budget::new(1_000, 0);
    budget
        .observe(1_500, 0)
        .expect("the bucket is full at the start");
    bites(budget.observe(1, 0), id);
    let mut budget = Budget::new(1_000, 0);
    budget
        .observe(9_000, 0)
        .expect("one that finds it full may overdraw it");
    bites(budget.observe(100, 7_000_000_000), id);
    let mut budget = Budget::new(1_000, 0);
    budget
        .observe(1_500, 0)
        .expect("the bucket is full at the start");
    budget
        .observe(500, 500_000_000)
        .expect("it was filled again");
    bites(budget.observe(501, 1_000_000_000), id);
}

#[test]
fn conserved_bites() {
    let id = conserved::ID;
    let attempt = Invocation {
        node: NodeIndex(0),
        chain: 0,
        asked: Asked::Open,
        invoked: Instant::ZERO,
        horizon: Seq::ZERO,
    };
    let mut history = History::default();
    assert!(history.begin(7, attempt).is_none(), "nobody has it");
    bites(conserved::begun(7, history.begin(7, attempt)), id);
    bites(conserved::answered(7, history.end(7, NodeIndex(1))), id);
    conserved::answered(7, history.end(7, NodeIndex(0))).expect("it waits");
    bites(conserved::answered(7, history.end(7, NodeIndex(0))), id);
    bites(conserved::completions(1), id);
    assert!(conserved::is_overdue(13_000_000_000, 5_000));
    assert!(!conserved::is_overdue(11_000_000_000, 5_000));
}

#[test]
fn liveness_bites() {
    let member = |node, role, leader| Member {
        node,
        role,
        n: 2,
        leader: Some(leader),
        ends: (1, 5, 5, 5),
        floor: 1,
        unknown: None,
    };
    let leader = member(ONE, Role::Leader, ONE);
    let follower = member(TWO, Role::Replica, ONE);
    liveness::settled("c", &[leader, follower]).expect("all is well");
    let blocks = |members: &[Member], property| {
        let blocked = liveness::settled("c", members).expect_err("it is not settled");
        assert_eq!(blocked.property, property, "{}", blocked.obligation);
    };
    let again = liveness::LEADER_AGAIN;
    blocks(&[follower], again);
    blocks(&[leader, member(TWO, Role::Leader, TWO)], again);
    blocks(&[leader, member(TWO, Role::Replica, TWO)], again);
    blocks(&[leader, Member { n: 1, ..follower }], again);
    for ends in [(2, 5, 5, 5), (1, 4, 4, 4), (1, 5, 4, 5), (1, 5, 5, 4)] {
        blocks(&[leader, Member { ends, ..follower }], liveness::CAUGHT_UP);
    }
    let damaged = |unknown| Member {
        unknown: Some(unknown),
        floor: 0,
        ..follower
    };
    blocks(&[leader, damaged(1)], liveness::CAUGHT_UP);
    liveness::settled("c", &[leader, damaged(0)]).expect("nobody else holds it any more");
    let (long, short) = (Duration::from_secs(60), Duration::from_millis(100));
    liveness::silent(long, long).expect("it is silent");
    for (idle, quiet) in [(short, long), (long, short)] {
        let blocked = liveness::silent(idle, quiet).expect_err("it is not silent");
        assert_eq!(blocked.property, liveness::QUIESCE);
    }
}

#[test]
fn touched_bites() {
    let config = config(3, None);
    let mut world = world(&config, 1, Weather::default());
    world
        .run_until(Instant::from_secs(10), &mut ())
        .expect("nobody checks");
    let host = world.node(NodeIndex(0)).expect("it is up");
    let replica = &host.node().expect("it runs").chains()[0];
    let seen = ReplicaState::of(replica);
    touched::observe(&seen, replica).expect("it is as it was");
    let other = ReplicaState {
        verified: seen.verified.next(),
        ..seen
    };
    bites(touched::observe(&other, replica), touched::ID);
}

#[test]
fn runs_that_differ_in_payload_bytes_take_the_same_steps() {
    let shape = |salt: u64, every_us| {
        let config = config(3, Some(30));
        let mut world = world(&config, 5, Weather::default());
        workload(&mut world, &mut Numbers(9), 8_000, every_us, salt);
        let mut hook = (Shape::default(), (Checks::new(&config, 3), Retrier::new(5)));
        let ended = world.run_until(Instant::from_millis(9_000), &mut hook);
        ended.expect("nothing breaks");
        hook.0
    };
    let one = shape(0, 20_000);
    payload_blind::twins(&one, &shape(1 << 40, 20_000)).expect("payloads are not looked at");
    bites(
        payload_blind::twins(&one, &shape(0, 21_000)),
        payload_blind::ID,
    );
}
