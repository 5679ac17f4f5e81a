//! Crashes, restarts, pauses and clocks, as machines meet them.

use super::*;

#[test]
fn a_crash_forgets_memory_and_keeps_what_was_synced() {
    let mut world = quiet_world(1);
    world.schedule_op(ms(10), A, 1);
    world.schedule_fault(ms(100), CRASH);
    world.schedule_op(ms(150), A, 2);
    world.schedule_fault(ms(200), RESTART);
    let log = run(&mut world, ms(150));
    assert!(!world.is_up(A));
    assert!(world.node(A).is_none());
    assert_eq!(world.disk(A).read("log").map(<[u8]>::len), Some(8));
    assert_eq!(log.refused, 1);
    let log = run(&mut world, ms(300));
    assert_eq!(log.of(A), [booted(2, 1, 8)]);
}

#[test]
fn a_node_that_ends_itself_is_down_behind_its_last_step() {
    let mut world = quiet_world(2);
    world.schedule_op(ms(10), A, busy::LAST);
    world.schedule_op(ms(50), A, 1);
    world.schedule_fault(ms(100), RESTART);
    let log = run(&mut world, ms(99));
    assert!(!world.is_up(A));
    assert_eq!(log.crashes, [ms(10)]);
    let asked = [Report::Asked(busy::LAST), Report::Asked(0)];
    assert_eq!(log.of(A), [&[booted(1, 1, 0)], &asked[..]].concat());
    assert_eq!(log.of(B)[1], Report::Heard(A, busy::LAST));
    assert_eq!(log.refused, 1);
    // Its host goes on: what its process had written is there.
    assert_eq!(run(&mut world, ms(100)).of(A), [booted(2, 1, 8)]);
}

#[test]
fn an_absent_node_joins_when_it_is_restarted_or_the_faults_end() {
    let joins = |fault| {
        let mut setup = Setup::new(7, vec![Habits::default(); 2]);
        setup.absent = vec![A];
        let mut world = World::new(setup);
        world.schedule_op(ms(10), B, 3);
        world.schedule_fault(ms(100), fault);
        let log = run(&mut world, ms(99));
        assert_eq!(log.of(A), []);
        assert!(!world.is_up(A) && world.is_up(B));
        run(&mut world, ms(200)).of(A)
    };
    let recover = Fault::Recover {
        nodes: Vec::new(),
        keep: Vec::new(),
    };
    assert_eq!(joins(RESTART), [booted(1, 1, 0)]);
    assert_eq!(joins(recover), [booted(1, 1, 0)]);
}

#[test]
fn a_wiped_store_is_another_store() {
    let mut world = quiet_world(1);
    world.schedule_op(ms(10), A, 1);
    // A wipe of a node that is up has no effect.
    world.schedule_fault(ms(90), Fault::Wipe { node: A });
    world.schedule_fault(ms(100), CRASH);
    world.schedule_fault(ms(110), RESTART);
    world.schedule_fault(ms(120), CRASH);
    world.schedule_fault(ms(130), Fault::Wipe { node: A });
    world.schedule_fault(ms(140), RESTART);
    let log = run(&mut world, ms(300));
    let mut boots = log.of(A);
    boots.retain(|report| matches!(report, Report::Booted { .. }));
    assert_eq!(boots, [booted(1, 1, 0), booted(2, 1, 8), booted(1, 2, 0)]);
}

#[test]
fn a_paused_node_hears_everything_when_it_goes_on() {
    let mut world = quiet_world(2);
    world.schedule_fault(ms(5), Fault::Pause { node: B });
    world.schedule_op(ms(10), A, 5);
    world.schedule_op(ms(20), B, 6);
    world.schedule_fault(ms(100), Fault::Resume { node: B });
    let log = run(&mut world, ms(99));
    assert_eq!(log.of(B), [booted(1, 1, 0)]);
    assert_eq!(world.footprint().waiting, 2);
    let log = run(&mut world, ms(100));
    assert_eq!(log.of(B), [Report::Heard(A, 5), Report::Asked(6)]);
}

#[test]
fn a_paused_node_wakes_late_by_its_own_clock() {
    let mut world = world(7, ticking());
    world.schedule_fault(ms(75), Fault::Pause { node: A });
    world.schedule_fault(ms(500), Fault::Resume { node: A });
    run(&mut world, ms(560));
    let woken: Vec<_> = world
        .node(A)
        .expect("up")
        .woken
        .iter()
        .map(|now| now.instant)
        .collect();
    assert_eq!(woken, [ms(50), ms(500), ms(550)]);
}

#[test]
fn clock_faults_move_wake_ups() {
    let woken = |fault: Fault| {
        let mut world = world(7, ticking());
        world.schedule_fault(ms(75), fault);
        let mut times = Vec::new();
        while world
            .run_next(ms(260), &mut ())
            .expect("nothing is checked")
        {
            let count = world.node(A).map_or(0, |machine| machine.woken.len());
            if count > times.len() {
                times.push(world.now().as_nanos() / 1_000_000);
            }
        }
        times
    };
    assert_eq!(woken(Fault::Heal {}), [50, 100, 150, 200, 250]);
    assert_eq!(woken(Fault::ClockStop { node: A }), [50]);
    assert_eq!(
        woken(Fault::ClockJump { node: A, ms: 10 }),
        [50, 90, 140, 190, 240]
    );
    assert_eq!(
        woken(Fault::LateWake { node: A, by_ms: 20 }),
        [50, 120, 190, 260]
    );
    let fast = Fault::ClockRate {
        node: A,
        ppm: 1_000_000,
    };
    assert_eq!(woken(fast), [50, 87, 112, 137, 162, 187, 212, 237]);
    assert_eq!(
        woken(Fault::ClockStep { node: A, ms: -9 }),
        [50, 100, 150, 200, 250]
    );
}

#[test]
fn a_restart_belongs_to_the_crash_that_caused_it() {
    let trapped = |faults: &[(u64, Fault)]| {
        let mut world = quiet_world(1);
        let trap = Fault::CrashAtPersist {
            node: A,
            op: 1,
            unsynced: Unsynced::Lost,
            restart_after_ms: Some(1_000),
        };
        world.schedule_fault(ms(10), trap);
        world.schedule_op(ms(20), A, 1);
        for (at, fault) in faults {
            world.schedule_fault(ms(*at), fault.clone());
        }
        let log = run(&mut world, ms(3_000));
        assert!(!log.crashes.is_empty());
        (world.is_up(A), world.view().run(A))
    };
    assert_eq!(trapped(&[]), (true, 2));
    // Somebody else's crash lasts, whether the node came back in between or not.
    assert_eq!(trapped(&[(500, RESTART), (600, CRASH)]), (false, 2));
    assert_eq!(trapped(&[(600, CRASH)]), (false, 1));
    assert_eq!(
        trapped(&[(500, RESTART), (600, CRASH), (700, RESTART)]),
        (true, 3)
    );
}

#[test]
fn what_waited_for_a_paused_node_is_gone_when_it_crashes() {
    let mut world = quiet_world(2);
    world.schedule_fault(ms(5), Fault::Pause { node: A });
    world.schedule_op(ms(10), B, 5);
    world.schedule_op(ms(20), A, 6);
    world.schedule_fault(ms(50), CRASH);
    world.schedule_fault(ms(60), RESTART);
    world.schedule_fault(ms(70), Fault::Pause { node: A });
    world.schedule_fault(ms(80), Fault::Resume { node: A });
    let log = run(&mut world, ms(100));
    assert_eq!(log.of(A), [booted(1, 1, 0), booted(2, 1, 0)]);
    let footprint = world.footprint();
    assert_eq!((footprint.stored, footprint.waiting), (0, 0));
}
