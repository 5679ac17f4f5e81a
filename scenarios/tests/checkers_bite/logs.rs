//! Checks of logs, commits and what disks keep of them.

use super::*;
use meshos_core::action::StopReason;
use meshos_core::chain::clients::{ClientLimits, Clients};
use meshos_core::chain::entry::{Entry, EntryHash, EntryKind, LogPosition};
use meshos_core::chain::payload::Payload;
use meshos_core::chain::record;
use meshos_core::chain::recover::Damage;
use meshos_core::config::Limits;
use meshos_core::id::Seq;
use meshos_core::replica::role::Role;
use meshos_scenarios::checks::bounded::Measure;
use meshos_scenarios::checks::durable_tail::Found;
use meshos_scenarios::checks::recover::{Harm, Seen};
use meshos_scenarios::checks::replica_state::ReplicaState;
use meshos_scenarios::checks::stall_shown::Waiting;
use meshos_scenarios::checks::transfer_needed::{Leading, Left};
use meshos_scenarios::checks::truth::Truth;
use meshos_scenarios::checks::vote_once::Promises;
use meshos_scenarios::checks::*;
use meshos_sim::time::Instant;
use std::sync::Arc;
use std::time::Duration;

/// A payload hash that says nothing of the bytes is seen.
#[test]
fn log_matching_computes_hashes_again() {
    let mut truth = Truth::new(LogPosition::default());
    let good = entry(LogPosition::default(), 1, "bytes", None);
    assert_eq!(
        log_matching::link(&good, EntryHash::default()),
        good.hash.0,
        "the format of the check is that of the core"
    );
    let mut forged = (*good).clone();
    forged.hash = EntryHash(7);
    bites(
        log_matching::observe(&mut truth, &Arc::new(forged), LogPosition::default()),
        log_matching::ID,
    );
}

/// Defects of one property are told apart by the lines of the check that find them.
#[test]
fn two_defects_of_one_property_have_two_sites() {
    let replica_state = |n, voted| ReplicaState {
        epoch: epoch(n),
        voted,
        ..ReplicaState::default()
    };
    let site = |before: ReplicaState, after: ReplicaState| {
        let found = Promises::default().observe(&before, &after);
        found.expect_err("the check has to see it").place()
    };
    let epoch_back = site(replica_state(5, None), replica_state(4, None));
    let vote_changed = site(replica_state(5, Some(ONE)), replica_state(5, Some(TWO)));
    assert_ne!(epoch_back, vote_changed);
    assert!(epoch_back.contains("vote_once.rs:"), "{epoch_back}");
    assert!(vote_changed.contains("vote_once.rs:"), "{vote_changed}");
    let over = |what| bounded::observe(what, u64::MAX, &Limits::default());
    let rows = over(Measure::Rows).expect_err("too many").place();
    assert!(rows.contains("checkers_bite/logs.rs:"), "{rows}");
}

#[test]
fn log_matching_bites() {
    let id = log_matching::ID;
    let (mut truth, tips) = truth();
    let other = entry(tips[2], 1, "another!", None);
    bites(log_matching::observe(&mut truth, &other, tips[2]), id);
    let twin = entry(tips[2], 1, "payload!", None);
    let forged = Arc::new(Entry {
        payload: Payload::empty(),
        ..(*twin).clone()
    });
    bites(log_matching::observe(&mut truth, &forged, tips[2]), id);
    let moved = LogPosition {
        hash: tips[0].hash,
        ..tips[2]
    };
    bites(log_matching::observe(&mut truth, &twin, moved), id);
    let lower = entry(tips[5], 0, "payload!", None);
    bites(log_matching::observe(&mut truth, &lower, tips[5]), id);
    bites(log_matching::observe(&mut truth, &lower, tips[4]), id);
    let unlinked = Arc::new(Entry {
        hash: EntryHash(7),
        ..(*entry(tips[5], 2, "payload!", None)).clone()
    });
    bites(log_matching::observe(&mut truth, &unlinked, tips[5]), id);
    bites(log_matching::stopped(StopReason::Contradicted), id);
}

#[test]
fn commit_stable_bites() {
    let id = commit_stable::ID;
    let (mut truth, tips) = truth();
    let fork = grow(&mut truth, tips[2], 2, 4);
    let claim = |replica_state: ReplicaState, at, held: [LogPosition; 3]| {
        commit_stable::observe(&mut truth.clone(), &replica_state, at, &held).map(|_| ())
    };
    let all = [tips[5]; 3];
    claim(leader(1, tips[5]), tips[5], all).expect("held by all");
    // Another entry where one is committed, and a log that leaves the committed prefix.
    bites(claim(leader(2, fork[4]), fork[1], [fork[4]; 3]), id);
    bites(claim(leader(2, fork[4]), fork[4], [fork[4]; 3]), id);
    // An entry of an older epoch, counted.
    bites(claim(leader(2, tips[5]), tips[5], all), id);
    // The first to say so is no leader.
    let follower = ReplicaState {
        role: Role::Replica,
        ..leader(1, tips[5])
    };
    bites(claim(follower, tips[4], all), id);
    // Only the leader holds it durably; the others hold less or something else.
    bites(
        claim(leader(1, tips[5]), tips[5], [tips[5], tips[4], fork[4]]),
        id,
    );
}

#[test]
fn commit_stable_bites_on_what_is_dropped() {
    let id = commit_stable::ID;
    let (mut truth, tips) = truth();
    let fork = grow(&mut truth, tips[2], 2, 4);
    let at = |tip, truncations, commit| ReplicaState {
        tip,
        truncations,
        commit: Seq::new(commit),
        ..ReplicaState::default()
    };
    let kept = |before, after| commit_stable::kept(&truth, &before, &after, &[tips[5]; 3]);
    kept(at(tips[5], 0, 0), at(tips[3], 1, 0)).expect("nothing committed is gone");
    bites(kept(at(tips[5], 0, 0), at(tips[2], 1, 0)), id);
    bites(kept(at(tips[5], 0, 0), at(fork[4], 1, 0)), id);
    bites(kept(at(tips[5], 0, 2), at(tips[5], 0, 1)), id);
    // A log that is to be replaced may lose what the others store.
    let replaced = ReplicaState {
        resetting: true,
        ..at(tips[2], 1, 0)
    };
    let left = |others| {
        let held = [tips[2], others, others];
        commit_stable::kept(&truth, &at(tips[5], 0, 0), &replaced, &held)
    };
    left(tips[5]).expect("a majority has it");
    bites(left(tips[2]), id);
}

#[test]
fn commit_stable_bites_on_what_a_restart_forgets() {
    let id = commit_stable::ID;
    let seq = Seq::new;
    commit_stable::survived(seq(3), seq(4)).expect("a crash may leave more");
    bites(commit_stable::survived(seq(3), seq(2)), id);
    commit_stable::restarted(seq(3), seq(9), seq(3)).expect("it is known again");
    commit_stable::restarted(seq(3), seq(2), seq(2)).expect("an unknown entry bounds it");
    bites(commit_stable::restarted(seq(3), seq(9), seq(2)), id);
}

#[test]
fn durable_tail_bites() {
    let id = durable_tail::ID;
    let (_, tips) = truth();
    let before = ReplicaState {
        durable: tips[4],
        tip: tips[5],
        ..ReplicaState::default()
    };
    durable_tail::leaving(Seq::new(4), &before).expect("durable");
    bites(durable_tail::leaving(Seq::new(5), &before), id);
    let found = |floor, tip, at_durable| Found {
        floor,
        tip,
        at_durable,
    };
    let survives = |found| durable_tail::survived(&before, &found);
    survives(found(tips[0], tips[5], Some(tips[4]))).expect("it is all there");
    bites(survives(found(tips[0], tips[3], None)), id);
    bites(survives(found(tips[0], tips[5], Some(tips[3]))), id);
    let harmed = |lost| Harm {
        lost,
        ..Harm::default()
    };
    let stopped = |lost| durable_tail::stopped(StopReason::StoreRegressed, harmed(lost));
    stopped(true).expect("a write was lost, and it is named");
    bites(stopped(false), id);
}

#[test]
fn recover_bites() {
    let id = recover::ID;
    let (seq, hash) = (Seq::ZERO, |hash| Some(EntryHash(hash)));
    let flipped = Harm {
        flipped: true,
        ..Harm::default()
    };
    let aimed = Harm {
        aimed: true,
        ..flipped
    };
    let damage = |file: &str| Damage {
        file: file.into(),
        offset: 0,
        length: 8,
        fault: record::Unreadable::Body { expected: "a head" },
    };
    let segment = [damage("000000000000000a-0.segment-00000001")];
    bites(recover::whole(&segment, Harm::default()), id);
    recover::whole(&segment, flipped).expect("a flip did it");
    let place = [damage("identity.a")];
    recover::whole(&place, Harm::default()).expect("one of two places may be torn");
    bites(recover::mended(&place, &place, flipped), id);
    recover::mended(&place, &[], flipped).expect("it was written anew");
    recover::mended(&segment, &segment, flipped).expect("peers repair it");
    bites(recover::durable(1, Harm::default()), id);
    recover::durable(0, Harm::default()).expect("all of it is synced");
    recover::durable(1, flipped).expect("what does not read may come back");
    recover::stopped(StopReason::ReplicaLost, aimed).expect("both places may be hit");
    bites(recover::stopped(StopReason::ReplicaLost, flipped), id);
    bites(recover::stopped(StopReason::StoreRegressed, flipped), id);
    let hidden = Harm {
        flipped_since_boot: true,
        ..flipped
    };
    recover::slot(seq, hash(1), None, hidden).expect("a flip may hide it");
    bites(recover::slot(seq, hash(1), None, flipped), id);
    bites(recover::slot(seq, hash(1), hash(2), flipped), id);
    bites(recover::slot(seq, hash(1), None, Harm::default()), id);
    bites(recover::beyond(seq, Seen::Nowhere), id);
    bites(
        recover::stopped(StopReason::StoreBroken, Harm::default()),
        id,
    );
    bites(
        recover::stopped(StopReason::ReplicaLost, Harm::default()),
        id,
    );
    bites(recover::refused("no identity"), id);
}

#[test]
fn gap_free_bites() {
    let id = gap_free::ID;
    let (_, tips) = truth();
    let at = |floor: usize, commit: u64| ReplicaState {
        floor: tips[floor],
        durable: tips[5],
        tip: tips[5],
        commit: Seq::new(commit),
        ..ReplicaState::default()
    };
    gap_free::observe(&at(1, 3), &at(2, 3)).expect("the floor may rise");
    bites(gap_free::observe(&at(2, 3), &at(1, 3)), id);
    bites(gap_free::observe(&at(2, 3), &at(4, 3)), id);
    bites(gap_free::ordered(&at(0, 6)), id);
    let hole = [Some(Seq::ZERO), Some(Seq::new(2))];
    bites(
        gap_free::contiguous(Seq::ZERO, Seq::new(2), hole.into_iter()),
        id,
    );
    bites(
        gap_free::contiguous(Seq::ZERO, Seq::new(3), [None].into_iter()),
        id,
    );
}

#[test]
fn table_folds_bites() {
    let limits = ClientLimits {
        clients_max: 8,
        window: 4,
    };
    let opened = Entry {
        kind: EntryKind::OpenClient,
        ..(*entry(LogPosition::default(), 1, "", None)).clone()
    };
    let entries = || std::iter::once(&opened);
    let mut table = Clients::default();
    bites(
        table_folds::observe(Clients::default(), entries(), &table, limits),
        table_folds::ID,
    );
    table.apply(&opened, limits);
    table_folds::observe(Clients::default(), entries(), &table, limits).expect("it is folded");
}

#[test]
fn told_at_once_bites() {
    let (now, voter) = ((Role::Leader, 3), NodeId::new(2));
    told_at_once::observe(now, voter, Some(now)).expect("it is said");
    bites(told_at_once::observe(now, voter, None), told_at_once::ID);
    let before = Some((Role::Candidate, 3));
    bites(told_at_once::observe(now, voter, before), told_at_once::ID);
    told_at_once::greeting(voter, true).expect("a heartbeat leaves");
    bites(told_at_once::greeting(voter, false), told_at_once::ID);
}

#[test]
fn stall_shown_bites() {
    let (at, beat) = (Instant::from_millis, Duration::from_millis(500));
    let mut waiting = Waiting::default();
    waiting.changed(Seq::new(3), Seq::new(4), at(1_000));
    for ms in (1_000..=4_000).step_by(500) {
        waiting.for_how_long(at(ms), beat);
    }
    let waited = waiting.for_how_long(at(4_500), beat).expect("it waits");
    assert_eq!(waited.as_millis(), 3_500);
    stall_shown::observe(waited, beat, || Some(1_500)).expect("it looks with heartbeats");
    bites(stall_shown::observe(waited, beat, || None), stall_shown::ID);
    bites(
        stall_shown::observe(waited, beat, || Some(1_400)),
        stall_shown::ID,
    );
    let slept = waiting.for_how_long(at(60_000), beat);
    assert_eq!(slept, Some(Duration::ZERO), "it did not look meanwhile");
    waiting.changed(Seq::new(4), Seq::new(5), at(60_500));
    let slept = waiting.for_how_long(at(90_000), beat);
    assert_eq!(slept, Some(Duration::ZERO), "nor before its first look");
    waiting.changed(Seq::new(5), Seq::new(5), at(90_500));
    assert_eq!(waiting.for_how_long(at(91_000), beat), None);
}

#[test]
fn transfer_needed_bites() {
    let (at, window) = (Instant::from_millis, Duration::from_millis(1_500));
    let mut leading = Leading::default();
    leading
        .hand_over((3, ONE), at(1_000), window)
        .expect("nothing was committed");
    leading.commit(at(1_500));
    leading
        .hand_over((3, ONE), at(2_000), window)
        .expect("the word is repeated");
    bites(
        leading.hand_over((3, TWO), at(2_999), window),
        transfer_needed::ID,
    );
    leading
        .hand_over((4, TWO), at(3_000), window)
        .expect("that was long ago");
}

#[test]
fn transfer_needed_bites_where_leadership_goes_back_to_who_stops() {
    let tell = |left: &mut Left, (n, at_ms), pair, stops: bool, has_other: bool| {
        let facts = transfer_needed::Facts {
            at: Instant::from_millis(at_ms),
            pause: Duration::from_secs(2),
            leader_stops: stops,
            target_stops: stops,
            has_other,
        };
        left.tell(n, pair, facts)
    };
    let mut left = Left::default();
    tell(&mut left, (3, 0), (ONE, TWO), true, true).expect("it stops");
    tell(&mut left, (4, 1_000), (TWO, ONE), true, false).expect("nobody else is there");
    tell(&mut left, (4, 2_000), (TWO, ONE), true, true).expect("a pause has passed");
    tell(&mut left, (4, 1_999), (TWO, ONE), false, true).expect("it runs anew");
    bites(
        tell(&mut left, (4, 1_999), (TWO, ONE), true, true),
        transfer_needed::ID,
    );
    let mut left = Left::default();
    tell(&mut left, (3, 0), (ONE, TWO), false, true).expect("it does not stop");
    tell(&mut left, (4, 1_000), (TWO, ONE), true, true).expect("it did not then");
    bites(transfer_needed::gone(3, ONE), transfer_needed::ID);
}
