//! Every check is able to fail: each one is given a history that breaks its property.

mod common;

use common::{Draw, Retrier, config, workload, world};
use meshos_core::action::Fault;
use meshos_core::chain::entry::{Entry, EntryHash, Kind, LogPosition, Membership, Request};
use meshos_core::chain::order::Vote;
use meshos_core::chain::payload::Payload;
use meshos_core::chain::record;
use meshos_core::chain::recover::Damage;
use meshos_core::config::Limits;
use meshos_core::id::{
    ClientId, Epoch, Gen, Incarnation, NodeId, RequestNumber, Run, Seq, StoreId,
};
use meshos_core::message::RowState;
use meshos_core::replica::role::{Role, Signal};
use meshos_core::time::Wall;
use meshos_scenarios::checks::ack_kept::Ledger;
use meshos_scenarios::checks::amnesia::{Counts, Votes};
use meshos_scenarios::checks::bounded::Measure;
use meshos_scenarios::checks::durable_tail::Found;
use meshos_scenarios::checks::leader_complete::Commits;
use meshos_scenarios::checks::linearizable::Order;
use meshos_scenarios::checks::liveness::Member;
use meshos_scenarios::checks::no_disruption::Heard;
use meshos_scenarios::checks::one_leader_per_epoch::Leaders;
use meshos_scenarios::checks::payload_blind::Shape;
use meshos_scenarios::checks::promise_order::Said;
use meshos_scenarios::checks::rate_limits::Budget;
use meshos_scenarios::checks::recover::{Harm, Seen};
use meshos_scenarios::checks::replica_state::ReplicaState;
use meshos_scenarios::checks::stale_prefix::{Shown, Shows};
use meshos_scenarios::checks::truth::Truth;
use meshos_scenarios::checks::vote_once::Promises;
use meshos_scenarios::checks::*;
use meshos_scenarios::history::{Asked, Attempt, History, Key};
use meshos_sim::check::Outcome;
use meshos_sim::machine::NodeIndex;
use meshos_sim::time::Instant;
use meshos_sim::violation::Violation;
use meshos_sim::weather::Weather;
use std::sync::Arc;
use std::time::Duration;

const ONE: NodeId = NodeId::new(1);
const TWO: NodeId = NodeId::new(2);

fn bites<T: std::fmt::Debug>(judgement: Result<T, Violation>, property: &str) {
    let violation = judgement.expect_err("the check has to see it");
    assert_eq!(violation.property, property, "{}", violation.detail);
}

#[test]
fn refusals() {
    use meshos_core::client::Reason;
    use meshos_scenarios::checks::refusals::{
        Causes, ID, Lowest, not_member, observe, unknown_chain,
    };
    let lowest = Lowest::of([Limits::default()].iter());
    let asked = |number, bytes| Asked::Append {
        key: Some(Key::Request { client: 3, number }),
        tag: 1,
        bytes,
        local: false,
    };
    let read = Asked::Read {
        from: Seq::ZERO,
        freshness: meshos_scenarios::model::Freshness::Linearizable,
        bytes_max: 1,
    };
    let calm = Causes::default();
    let every = Causes {
        asked: 1 << 40,
        uncommitted: 1 << 40,
        transfer: true,
        stopped: true,
        full: true,
    };
    let large = lowest.entry_bytes_max + 1;
    let window = u64::from(lowest.window);
    for (reason, wrong, right) in [
        (Reason::TooLarge, asked(1, large - 1), asked(1, large)),
        (Reason::BadNumber, asked(1, 0), asked(0, 0)),
        (Reason::UnknownClient, read, asked(1, 0)),
        (Reason::NoSuchTarget, asked(1, 0), Asked::Transfer),
    ] {
        bites(observe(reason, &wrong, window, every, lowest), ID);
        assert_eq!(observe(reason, &right, window, every, lowest), Ok(()));
    }
    let one = asked(1, 10);
    bites(observe(Reason::TooOld, &one, window - 1, every, lowest), ID);
    assert_eq!(observe(Reason::TooOld, &one, window, every, lowest), Ok(()));
    for reason in [
        Reason::Busy,
        Reason::Transferring,
        Reason::StoreFull,
        Reason::Stopped,
    ] {
        bites(observe(reason, &one, 0, calm, lowest), ID);
        assert_eq!(observe(reason, &one, 0, every, lowest), Ok(()));
    }
    // A backlog of entries makes nobody refuse a read.
    let backlog = Causes { asked: 1, ..every };
    bites(observe(Reason::Busy, &read, 0, backlog, lowest), ID);
    bites(unknown_chain(&one, true), ID);
    assert_eq!(unknown_chain(&one, false), Ok(()));
    let listed = [1, 2, 3].map(NodeId::new);
    bites(not_member(&one, NodeId::new(3), &listed, &listed), ID);
    bites(not_member(&one, NodeId::new(4), &listed[..2], &listed), ID);
    assert_eq!(not_member(&one, NodeId::new(4), &listed, &listed), Ok(()));
}

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
    assert!(rows.contains("checkers_bite.rs:"), "{rows}");
}

fn epoch(n: u64) -> Epoch {
    Epoch { n, node: ONE }
}

fn entry(
    previous: LogPosition,
    n: u64,
    payload: &'static str,
    request: Option<(u64, u64)>,
) -> Arc<Entry> {
    let request = request.map(|(client, number)| Request {
        client: ClientId(Seq::new(client)),
        number: RequestNumber::new(number),
    });
    let entry = Entry {
        generation: Gen::default(),
        seq: previous.end,
        epoch: epoch(n),
        store: StoreId::new(1),
        incarnation: Incarnation::new(1),
        stamp: Wall::from_ms(0),
        kind: Kind::Data(request),
        payload: Payload::new(payload.as_bytes().to_vec().into()),
        hash: EntryHash::default(),
    };
    Arc::new(entry.linked(previous.hash))
}

fn tip(entry: &Entry) -> LogPosition {
    LogPosition {
        end: entry.seq.next(),
        epoch: entry.epoch,
        hash: entry.hash,
    }
}

/// A log of `count` entries of epoch `n` behind `from`, seen by `truth`.
fn grow(truth: &mut Truth, from: LogPosition, n: u64, count: usize) -> Vec<LogPosition> {
    let mut tips = vec![from];
    for _ in 0..count {
        let previous = tips[tips.len() - 1];
        let next = entry(previous, n, "payload!", None);
        log_matching::observe(truth, &next, previous).expect("it is sound");
        tips.push(tip(&next));
    }
    tips
}

fn leader(n: u64, at: LogPosition) -> ReplicaState {
    ReplicaState {
        epoch: epoch(n),
        role: Role::Leader,
        tip: at,
        durable: at,
        ..ReplicaState::default()
    }
}

/// A truth with five entries of epoch 1, the first three of which are committed.
fn truth() -> (Truth, Vec<LogPosition>) {
    let mut truth = Truth::new(LogPosition::default());
    let tips = grow(&mut truth, LogPosition::default(), 1, 5);
    let all = [tips[5]; 3];
    let fresh = commit_stable::observe(&mut truth, &leader(1, tips[5]), tips[3], &all);
    assert_eq!(fresh.expect("it is committed"), 0..3);
    (truth, tips)
}

#[test]
fn one_leader_per_epoch_bites() {
    let run = |node, incarnation| Run {
        node,
        store: StoreId::new(1),
        incarnation: Incarnation::new(incarnation),
    };
    let at = |n, node| Epoch { n, node };
    let mut leaders = Leaders::default();
    leaders.observe(at(1, ONE), run(ONE, 1)).expect("the first");
    leaders.observe(at(1, ONE), run(ONE, 1)).expect("the same");
    leaders.observe(at(2, TWO), run(TWO, 1)).expect("the next");
    let id = one_leader_per_epoch::ID;
    bites(leaders.observe(at(1, TWO), run(TWO, 1)), id);
    bites(leaders.observe(at(1, ONE), run(ONE, 2)), id);
    bites(leaders.observe(at(3, ONE), run(TWO, 1)), id);
}

#[test]
fn vote_once_bites() {
    let id = vote_once::ID;
    let mut promises = Promises::default();
    promises.cast(3, ONE).expect("the first");
    promises.cast(3, ONE).expect("the same again");
    bites(promises.cast(3, TWO), id);
    bites(promises.cast(2, ONE), id);
    let vote = |n, granted| Vote {
        epoch: epoch(n),
        granted,
    };
    let recovered = |before, found| promises.recovered(before, found);
    recovered(vote(3, Some(ONE)), vote(3, Some(ONE))).expect("it is there");
    recovered(vote(3, Some(ONE)), vote(4, None)).expect("a later one");
    bites(recovered(vote(3, Some(ONE)), vote(2, None)), id);
    bites(recovered(vote(3, Some(ONE)), vote(3, Some(TWO))), id);
    bites(recovered(vote(0, None), vote(2, None)), id);
    let replica_state = |n, voted| ReplicaState {
        epoch: epoch(n),
        voted,
        ..ReplicaState::default()
    };
    let changed = |before: ReplicaState, after: ReplicaState| promises.observe(&before, &after);
    changed(replica_state(1, None), replica_state(1, Some(ONE))).expect("a first vote");
    bites(changed(replica_state(2, None), replica_state(1, None)), id);
    bites(
        changed(replica_state(2, Some(ONE)), replica_state(2, Some(TWO))),
        id,
    );
    let promised = |n, granted| ReplicaState {
        promised: vote(n, granted),
        ..replica_state(5, None)
    };
    bites(changed(promised(5, Some(ONE)), promised(4, None)), id);
    bites(changed(promised(5, Some(ONE)), promised(5, None)), id);
}

#[test]
fn vote_once_bites_on_a_log_that_ends_below_what_it_acknowledged() {
    let mut promises = Promises::default();
    promises.acknowledge(1, Seq::new(4));
    let (_, tips) = truth();
    let at = |end: usize, truncations, n| ReplicaState {
        truncations,
        epoch: epoch(n),
        tip: tips[end],
        ..ReplicaState::default()
    };
    let id = vote_once::ID;
    let cut = |after| promises.observe(&at(5, 0, 1), &after);
    cut(at(4, 1, 1)).expect("that much was not acknowledged");
    cut(at(3, 1, 2)).expect("another epoch");
    bites(cut(at(3, 1, 1)), id);
    bites(cut(at(4, 0, 1)), id);
}

#[test]
fn promise_order_bites() {
    let id = promise_order::ID;
    let present = |n, durable, granted| ReplicaState {
        epoch: epoch(n),
        promised: Vote {
            epoch: epoch(durable),
            granted,
        },
        ..ReplicaState::default()
    };
    let says =
        |said, n, replica_state: ReplicaState| promise_order::observe(said, n, &replica_state);
    says(Said::Acknowledged, 2, present(2, 2, None)).expect("durable and present");
    says(Said::Voted(ONE), 2, present(2, 2, Some(ONE))).expect("durable and present");
    bites(says(Said::Acknowledged, 2, present(3, 2, None)), id);
    bites(says(Said::Confirmed, 2, present(2, 1, None)), id);
    bites(says(Said::Voted(ONE), 2, present(2, 2, None)), id);
    bites(says(Said::Voted(ONE), 2, present(2, 2, Some(TWO))), id);
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
    bites(log_matching::stopped(Fault::Contradicted), id);
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
    let kept = |before, after| commit_stable::kept(&truth, &before, &after);
    kept(at(tips[5], 0, 0), at(tips[3], 1, 0)).expect("nothing committed is gone");
    bites(kept(at(tips[5], 0, 0), at(tips[2], 1, 0)), id);
    bites(kept(at(tips[5], 0, 0), at(fork[4], 1, 0)), id);
    bites(kept(at(tips[5], 0, 2), at(tips[5], 0, 1)), id);
}

#[test]
fn leader_complete_bites() {
    let id = leader_complete::ID;
    let (mut truth, tips) = truth();
    let fork = grow(&mut truth, tips[2], 2, 4);
    let mut commits = Commits::default();
    commits.record(1, Seq::new(3));
    commits
        .observe(&truth, &leader(2, tips[3]))
        .expect("it holds all");
    bites(commits.observe(&truth, &leader(2, tips[2])), id);
    bites(commits.observe(&truth, &leader(2, fork[4])), id);
    let damaged = ReplicaState {
        unknown: 1,
        ..leader(2, tips[5])
    };
    bites(commits.observe(&truth, &damaged), id);
    for floor in [tips[4], fork[1]] {
        let replica_state = ReplicaState {
            floor,
            ..leader(2, floor)
        };
        bites(
            leader_complete::is_committed_prefix(&truth, &replica_state),
            id,
        );
    }
}

/// A ledger in which request 1 of client 9 was asked once.
fn ledger() -> (Ledger, Key) {
    let key = Key::Request {
        client: 9,
        number: 1,
    };
    let mut ledger = Ledger::default();
    ledger.begin(key, 0, Seq::ZERO);
    (ledger, key)
}

#[test]
fn ack_kept_bites() {
    let id = ack_kept::ID;
    let numbered = entry(LogPosition::default(), 1, "payload!", Some((9, 1)));
    let again = entry(tip(&numbered), 1, "payload!", Some((9, 1)));
    let (mut twice, _) = ledger();
    twice.commit(&numbered).expect("it was asked");
    bites(twice.commit(&again), id);
    let (mut refused, key) = ledger();
    refused.refuse(key).expect("it is not committed");
    bites(refused.commit(&numbered), id);
    let (mut late, key) = ledger();
    late.commit(&numbered).expect("it was asked");
    bites(late.refuse(key), id);
    bites(Ledger::default().commit(&numbered), id);

    let mut truth = Truth::new(LogPosition::default());
    log_matching::observe(&mut truth, &numbered, LogPosition::default()).expect("it is sound");
    let asked = |number, tag| Asked::Append {
        key: Some(Key::Request { client: 9, number }),
        tag,
        bytes: 8,
        local: false,
    };
    let tag = u64::from_le_bytes(*b"payload!");
    let place = (Seq::ZERO, epoch(1));
    let (mut ledger, _) = ledger();
    bites(ledger.acked(&truth, &asked(1, tag), place, 1), id);
    let held = [tip(&numbered); 3];
    commit_stable::observe(&mut truth, &leader(1, held[0]), held[0], &held).expect("committed");
    ledger
        .acked(&truth, &asked(1, tag), place, 1)
        .expect("it stands there");
    bites(ledger.acked(&truth, &asked(2, tag), place, 1), id);
    bites(ledger.acked(&truth, &asked(1, 5), place, 1), id);
    bites(
        ledger.acked(&truth, &asked(1, tag), (Seq::ZERO, epoch(2)), 1),
        id,
    );
    bites(ledger.acked(&truth, &Asked::Open, place, 1), id);
}

#[test]
fn linearizable_bites() {
    let id = linearizable::ID;
    let mut order = Order::default();
    order.appended(Seq::new(4), Seq::ZERO).expect("the first");
    let now = order.horizon();
    bites(order.clone().appended(Seq::new(3), now), id);
    bites(order.clone().committed(Seq::new(4), now), id);
    bites(order.clone().read(Seq::new(4), now), id);
    order.read(Seq::new(9), now).expect("it reflects more");
    bites(order.clone().read(Seq::new(8), order.horizon()), id);
    // The judgement at the end sees a read that lacks what was acknowledged before it.
    let numbered = entry(LogPosition::default(), 1, "payload!", Some((9, 1)));
    let mut truth = Truth::new(LogPosition::default());
    log_matching::observe(&mut truth, &numbered, LogPosition::default()).expect("it is sound");
    let held = [tip(&numbered); 1];
    commit_stable::observe(&mut truth, &leader(1, held[0]), held[0], &held).expect("committed");
    let (mut ledger, key) = ledger();
    let asked = Asked::Append {
        key: Some(key),
        tag: u64::from_le_bytes(*b"payload!"),
        bytes: 8,
        local: false,
    };
    let acked = ledger.acked(&truth, &asked, (Seq::ZERO, epoch(1)), 10);
    acked.expect("it stands there");
    let mut order = Order::default();
    order.keep((20, 30), Seq::ZERO, Seq::ZERO, &[]);
    assert!(matches!(order.finish(&ledger), Outcome::Violated(_)));
}

#[test]
fn stale_prefix_bites() {
    let id = stale_prefix::ID;
    let mut truth = Truth::new(LogPosition::default());
    let first = entry(LogPosition::default(), 1, "payload!", None);
    log_matching::observe(&mut truth, &first, LogPosition::default()).expect("it is sound");
    let tips = [tip(&first)];
    commit_stable::observe(&mut truth, &leader(1, tips[0]), tips[0], &tips).expect("committed");
    let other = entry(LogPosition::default(), 2, "another!", None);
    let show = |shown: &mut Shown, floor, commit, entries: &[Arc<Entry>]| {
        let (floor, commit) = (Seq::new(floor), Seq::new(commit));
        let shows = Shows {
            from: Seq::ZERO,
            floor,
            commit,
            entries,
        };
        shown.observe(&truth, shows)
    };
    let fresh = Shown::default;
    show(&mut fresh(), 0, 1, std::slice::from_ref(&first)).expect("it is committed");
    bites(show(&mut fresh(), 0, 1, &[other]), id);
    bites(show(&mut fresh(), 0, 2, &[]), id);
    bites(show(&mut fresh(), 0, 0, std::slice::from_ref(&first)), id);
    bites(show(&mut fresh(), 1, 1, &[first]), id);
    let mut seen = Shown::default();
    show(&mut seen, 1, 1, &[]).expect("a raised floor");
    bites(show(&mut seen, 0, 1, &[]), id);
    bites(show(&mut seen, 1, 0, &[]), id);
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
    let stopped = |lost| durable_tail::stopped(Fault::StoreRegressed, harmed(lost));
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
        fault: record::Fault::Body { expected: "a head" },
    };
    let segment = [damage("000000000000000a-0.segment-00000001")];
    bites(recover::whole(&segment, Harm::default()), id);
    recover::whole(&segment, flipped).expect("a flip did it");
    let place = [damage("identity.a")];
    recover::whole(&place, Harm::default()).expect("one of two places may be torn");
    recover::stopped(Fault::ReplicaLost, aimed).expect("both places may be hit");
    bites(recover::stopped(Fault::ReplicaLost, flipped), id);
    bites(recover::stopped(Fault::StoreRegressed, flipped), id);
    recover::slot(seq, hash(1), None, flipped).expect("a flip may hide it");
    bites(recover::slot(seq, hash(1), hash(2), flipped), id);
    bites(recover::slot(seq, hash(1), None, Harm::default()), id);
    bites(recover::beyond(seq, Seen::Nowhere), id);
    bites(recover::stopped(Fault::StoreBroken, Harm::default()), id);
    bites(recover::stopped(Fault::ReplicaLost, Harm::default()), id);
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
fn amnesia_and_no_disruption_bite() {
    let mut votes = Votes::default();
    bites(votes.ask(4, ONE, 0, 3), no_disruption::ID);
    votes.would_vote(4, ONE, 2);
    votes.ask(4, ONE, 0, 3).expect("two of three would");
    votes.vote(4, TWO, 2);
    bites(votes.lead(4, ONE, 0, 3), amnesia::ID);
    votes.vote(5, ONE, 1);
    votes.lead(5, ONE, 0, 3).expect("two of three did");
    bites(amnesia::stranger(ONE, Counts::Yes), amnesia::ID);
    let heard = |claimed, silence| Heard {
        leader: TWO,
        n: 3,
        claimed,
        silence,
    };
    let consents = |heard| no_disruption::observe(heard, 1_500, ONE);
    consents(heard(Some(3), 1_500)).expect("silent for long");
    consents(heard(Some(2), 10)).expect("it claims another epoch");
    bites(consents(heard(Some(3), 10)), no_disruption::ID);
}

#[test]
fn role_table_bites() {
    let id = role_table::ID;
    let change = |from, to, signal| role_table::observe(&mut { from }, to, signal);
    change(Role::Replica, Role::Candidate, Signal::MissedHeartbeats).expect("legal");
    bites(change(Role::Replica, Role::Leader, Signal::ElectionWon), id);
    bites(
        change(Role::Leader, Role::Replica, Signal::ElectionLost),
        id,
    );
    bites(role_table::reported(Role::Leader, Role::Replica), id);
    let row = |role| RowState {
        epoch: epoch(1),
        role,
        distance: None,
        durable: Some(Seq::new(3)),
        commit: Seq::new(2),
        floor: Seq::ZERO,
        is_full: false,
    };
    let says = |row: RowState, n, durable, commit| {
        let ends = (Seq::new(durable), Seq::new(commit));
        role_table::row(&row, Role::Replica, epoch(n), ends)
    };
    says(row(Role::Replica), 1, 3, 2).expect("it is so");
    bites(says(row(Role::Leader), 1, 3, 2), id);
    bites(says(row(Role::Replica), 2, 3, 2), id);
    bites(says(row(Role::Replica), 1, 2, 2), id);
    bites(says(row(Role::Replica), 1, 3, 1), id);
    let floor = Seq::new(3);
    bites(
        says(
            RowState {
                floor,
                ..row(Role::Replica)
            },
            1,
            3,
            2,
        ),
        id,
    );
}

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
    ];
    for (what, limit) in all {
        let found = u64::from(limit);
        bounded::observe(what, found, &limits).expect("the limit itself is allowed");
        bites(bounded::observe(what, found + 1, &limits), bounded::ID);
    }
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
    let attempt = Attempt {
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
        workload(&mut world, &mut Draw(9), 8_000, every_us, salt);
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
