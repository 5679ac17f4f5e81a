//! The same plan gives the same run, whatever else differs.

use super::*;
use crate::queue::QueueKind;
use crate::trace::Trace;

fn stormy(nodes: usize, queue: QueueKind) -> World<Busy> {
    let mut setup: Setup<Busy> = Setup::new(7, talking(nodes));
    setup.queue = queue;
    setup.origin_ms_max = 100_000;
    let mut world = World::new(setup);
    storm(&mut world, 20);
    world
}

fn digest(mut world: World<Busy>) -> (u64, u64) {
    run(&mut world, Instant::from_secs(20));
    (world.digest(), world.steps())
}

/// The number is the same in debug and release and in every process; it changes when the
/// meaning of plans changes, and never otherwise.
#[test]
fn the_digest_of_a_storm_is_pinned() {
    assert_eq!(digest(stormy(5, QueueKind::Auto)), PINNED);
    assert_eq!(digest(stormy(5, QueueKind::Auto)), PINNED);
}

const PINNED: (u64, u64) = (2_991_683_165_900_484_256, 5_831);

#[test]
fn queues_agree() {
    for nodes in [2, 5, 20] {
        let heap = digest(stormy(nodes, QueueKind::Heap));
        assert_eq!(heap, digest(stormy(nodes, QueueKind::Wheel)));
        assert!(heap.1 > 1_000);
    }
}

#[test]
fn seeds_differ() {
    let mut other = World::new(Setup::new(8, talking(5)));
    storm(&mut other, 20);
    assert_ne!(digest(other), digest(stormy(5, QueueKind::Auto)));
}

#[test]
fn a_snapshot_goes_on_as_the_original() {
    let expected = digest(stormy(5, QueueKind::Wheel));
    let mut world = stormy(5, QueueKind::Wheel);
    for at in (0..20).map(Instant::from_secs) {
        run(&mut world, at);
        let snapshot = world.clone();
        assert_eq!(digest(snapshot), expected);
    }
}

#[test]
fn single_steps_and_traces_change_nothing() {
    let expected = digest(stormy(5, QueueKind::Auto));
    let mut world = stormy(5, QueueKind::Auto);
    world.record_in(Trace::new(100));
    let end = Instant::from_secs(20);
    while let Some(at) = world.next_at().filter(|at| *at <= end) {
        assert_eq!(world.run_next(at, &mut ()), Ok(true));
        assert_eq!(world.now(), at);
    }
    assert_eq!(world.run_next(end, &mut ()), Ok(false));
    assert_eq!((world.digest(), world.steps()), expected);
    let trace = world.trace().expect("it is on");
    assert_eq!(trace.lines().len(), 100);
    assert!(trace.dropped() > 1_000);
}

/// The messages on links that a fault does not touch keep their latencies.
#[test]
fn a_fault_that_is_removed_reshuffles_nothing() {
    let heard = |fault: Option<Fault>| {
        let mut world = world(3, talking(4));
        if let Some(fault) = fault {
            world.schedule_fault(ms(500), fault);
        }
        let mut log = run(&mut world, Instant::from_secs(2));
        log.reports
            .retain(|(_, node, report)| *node != B && !matches!(report, Report::Heard(B, _)));
        log.reports
    };
    let all = heard(None);
    assert!(all.len() > 100);
    let crash = Fault::Crash {
        node: B,
        unsynced: Unsynced::Torn,
    };
    assert_eq!(heard(Some(crash)), all);
}

#[test]
fn the_digest_sees_messages_outputs_and_writes() {
    let digest = |op: u64| {
        let mut world = quiet_world(2);
        world.schedule_op(ms(10), A, op);
        run(&mut world, ms(5));
        let before = world.digest();
        run(&mut world, ms(1_000));
        (before, world.digest())
    };
    assert_eq!(digest(1).0, digest(2).0);
    assert_ne!(digest(1).1, digest(2).1);
}
