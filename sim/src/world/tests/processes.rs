//! Crashes, restarts, pauses, clocks and disks, as machines meet them.

use super::*;
use crate::disk::DiskError;
use crate::violation::Violation;

fn booted(run: u64, store: u64, bytes: usize) -> Report {
    Report::Booted { run, store, bytes }
}

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

/// Sweeps the crash over every file operation of one batch.
#[test]
fn a_crash_at_every_persist_point() {
    let mut found = Vec::new();
    for op in 1..=6 {
        let mut world = quiet_world(1);
        let fault = Fault::CrashAtPersist {
            node: A,
            op,
            unsynced: Unsynced::Lost,
            restart_after_ms: Some(40),
        };
        world.schedule_fault(ms(0), fault);
        world.schedule_op(ms(10), A, 1);
        let log = run(&mut world, ms(300));
        let crashed = op <= 5;
        assert_eq!(
            log.crashes.len(),
            usize::from(crashed),
            "a batch has 5 operations"
        );
        if crashed {
            let again = log.reports.last().expect("it booted again");
            assert_eq!(
                again.0,
                log.crashes[0].after(core::time::Duration::from_millis(40))
            );
            let Report::Booted { bytes, .. } = again.2 else {
                panic!("the batch of a crashed run was answered: {again:?}");
            };
            found.push(bytes);
        }
    }
    // The name of the file is durable from the fourth operation on, be it performed or not.
    assert_eq!(found[..3], [0, 0, 0]);
    assert_eq!(found[4], 8);
}

#[test]
fn batches_behind_the_one_in_service_are_never_begun() {
    for seed in 0..50 {
        let mut world = world(seed, vec![Habits::default()]);
        for number in 1..=3 {
            world.schedule_op(ms(10), A, number);
        }
        world.schedule_fault(Instant::from_micros(10_050), CRASH);
        run(&mut world, ms(20));
        // The fastest disk takes 100 us for the first batch.
        assert!(world.view().performed(A) <= 5);
        assert_eq!(world.view().batches(A), 0);
    }
}

#[test]
fn batches_are_answered_in_order_and_by_their_own_run_only() {
    let mut world = quiet_world(1);
    for number in 1..=3 {
        world.schedule_op(ms(10), A, number);
    }
    world.schedule_fault(ms(30), CRASH);
    world.schedule_op(ms(20), A, 4);
    let slow = Fault::DiskLatency {
        node: A,
        us_min: 50_000,
        us_max: 50_000,
    };
    world.schedule_fault(ms(19), slow);
    world.schedule_fault(ms(31), RESTART);
    let log = run(&mut world, ms(500));
    let mut stored = log.of(A);
    stored.retain(|report| matches!(report, Report::Stored(..)));
    let expected: Vec<_> = (1..=3).map(|token| Report::Stored(token, Ok(()))).collect();
    assert_eq!(stored, expected);
}

#[test]
fn a_full_disk_lets_no_file_grow_and_says_so() {
    let mut world = quiet_world(1);
    world.schedule_fault(ms(5), Fault::DiskFull { node: A, on: true });
    world.schedule_op(ms(10), A, 1);
    world.schedule_fault(ms(50), Fault::DiskFull { node: A, on: false });
    world.schedule_op(ms(60), A, 2);
    let log = run(&mut world, ms(40));
    let full = Err(DiskError::Full { at: 0 });
    assert!(log.of(A).contains(&Report::Stored(1, full)));
    assert_eq!(world.disk(A).size(), 0);
    let log = run(&mut world, ms(100));
    assert!(log.of(A).contains(&Report::Stored(2, Ok(()))));
}

/// A batch appends eight bytes to a log, syncs it, and writes eight bytes to another file.
#[test]
fn a_batch_is_performed_until_it_is_out_of_room() {
    for (bytes, at_sync, at, log, spare) in [
        (5, false, Some(0), 5, None),
        (8, false, Some(2), 8, Some(0)),
        (5, true, Some(1), 8, None),
        (100, true, None, 8, Some(8)),
    ] {
        let mut world = quiet_world(1);
        let room = |bytes| Fault::DiskRoom {
            node: A,
            bytes,
            at_sync,
        };
        world.schedule_fault(ms(5), room(Some(bytes)));
        world.schedule_op(ms(10), A, 1);
        world.schedule_fault(ms(50), room(None));
        world.schedule_op(ms(60), A, 2);
        let heard = run(&mut world, ms(40)).of(A);
        let result = at.map_or(Ok(()), |at| Err(DiskError::Full { at }));
        assert!(heard.contains(&Report::Stored(1, result)), "{heard:?}");
        let length = |file| world.disk(A).read(file).map(<[u8]>::len);
        assert_eq!(length("log"), Some(log));
        if spare != Some(8) {
            assert_eq!(length("spare"), spare);
        }
        let heard = run(&mut world, ms(100)).of(A);
        assert!(heard.contains(&Report::Stored(2, Ok(()))));
    }
}

#[test]
fn a_failed_sync_is_reported_once() {
    let mut world = quiet_world(1);
    world.schedule_fault(ms(5), Fault::DiskSyncError { node: A });
    world.schedule_op(ms(10), A, 1);
    world.schedule_op(ms(20), A, 2);
    let log = run(&mut world, ms(100)).of(A);
    assert!(log.contains(&Report::Stored(1, Err(DiskError::Failed))));
    assert!(log.contains(&Report::Stored(2, Ok(()))));
    // Of the first batch, what came after the failed sync was not performed.
    assert_eq!(world.view().performed(A), 2 + 5);
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
fn recovery_ends_every_fault() {
    let mut world = world(7, talking(3));
    storm(&mut world, 10);
    run(&mut world, Instant::from_secs(10));
    world
        .apply(
            &Fault::Recover {
                nodes: Vec::new(),
                keep: Vec::new(),
            },
            &mut (),
        )
        .expect("nothing is checked");
    run(&mut world, Instant::from_secs(30));
    let log = run(&mut world, Instant::from_secs(31));
    for (node, peer) in [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)] {
        let (node, peer) = (NodeIndex(node), NodeIndex(peer));
        assert!(world.view().is_connected(node, peer));
        let heard = |(_, of, report): &(Instant, NodeIndex, Report)| {
            *of == node && matches!(report, Report::Heard(from, _) if *from == peer)
        };
        let count = log.reports.iter().filter(|report| heard(report)).count();
        assert!(
            (18..=22).contains(&count),
            "{node} heard {peer} {count} times"
        );
    }
}

#[test]
fn recovery_of_some_nodes_leaves_the_others_alone() {
    let mut world = quiet_world(3);
    let c = NodeIndex(2);
    world.schedule_fault(
        ms(1),
        Fault::Partition {
            groups: vec![vec![A], vec![B], vec![c]],
        },
    );
    world.schedule_fault(ms(2), CRASH);
    world.schedule_fault(
        ms(3),
        Fault::Crash {
            node: c,
            unsynced: Unsynced::Lost,
        },
    );
    world.schedule_fault(
        ms(4),
        Fault::Recover {
            nodes: vec![A, B],
            keep: Vec::new(),
        },
    );
    run(&mut world, ms(5));
    assert!(world.is_up(A) && world.is_up(B) && !world.is_up(c));
    assert!(world.view().is_connected(A, B));
    assert!(!world.view().is_connected(B, c));
}

#[test]
fn recovery_leaves_what_it_is_told_to_keep() {
    let mut world = quiet_world(3);
    let c = NodeIndex(2);
    let slow = Weather::latency_us(70_000, 70_000);
    for fault in [
        Fault::Cut { from: A, to: B },
        Fault::Partition {
            groups: vec![vec![c]],
        },
        Fault::Weather {
            from: Some(A),
            to: None,
            weather: Some(slow),
        },
        Fault::DiskLatency {
            node: A,
            us_min: 7,
            us_max: 9,
        },
        Fault::ClockRate {
            node: A,
            ppm: 90_000,
        },
        Fault::ClockStop { node: B },
    ] {
        world.schedule_fault(ms(1), fault);
    }
    let recover = |keep: &[Keep]| Fault::Recover {
        nodes: Vec::new(),
        keep: keep.to_vec(),
    };
    let all = [Keep::Weather, Keep::Cuts, Keep::Disks, Keep::Clocks];
    world.schedule_fault(ms(2), recover(&all));
    run(&mut world, ms(3));
    let view = world.view();
    assert!(!view.is_connected(A, B) && view.is_connected(B, A) && view.is_connected(A, c));
    assert_eq!(view.link(A, c).weather, slow);
    assert_eq!(view.medium(A).us_max, 9);
    assert_eq!(view.clock(A).rate_ppm(), 90_000);
    assert!(!view.clock(B).is_stopped());
    world.schedule_fault(ms(4), recover(&[]));
    run(&mut world, ms(5));
    let view = world.view();
    assert!(view.is_connected(A, B));
    assert_ne!(view.link(A, c).weather, slow);
    assert_ne!(view.medium(A).us_max, 9);
    assert_eq!(view.clock(A).rate_ppm(), 0);
}

#[test]
fn faults_that_do_not_apply_have_no_effect() {
    let mut world = quiet_world(1);
    let nobody = NodeIndex(9);
    for fault in [
        RESTART,
        Fault::Resume { node: A },
        Fault::Crash {
            node: nobody,
            unsynced: Unsynced::Drawn,
        },
        Fault::Cut {
            from: A,
            to: nobody,
        },
        Fault::Flip { node: A, bits: 5 },
        Fault::FlipAt {
            node: A,
            file: "none".to_owned(),
            offset: 0,
            bit: 0,
        },
    ] {
        world.schedule_fault(ms(10), fault);
    }
    let log = run(&mut world, ms(20));
    assert_eq!(log.of(A), [booted(1, 1, 0)]);
    assert_eq!((world.faults_applied(), world.faults_inert().0), (6, 6));
}

#[test]
fn faults_without_effect_are_named_with_their_time() {
    let mut world = quiet_world(2);
    let trap = |op| Fault::CrashAtPersist {
        node: A,
        op,
        unsynced: Unsynced::Lost,
        restart_after_ms: None,
    };
    let filter = |message| Fault::Filter {
        message,
        from: None,
        to: None,
    };
    let cut = Fault::Cut { from: A, to: B };
    let faults = [
        (1, cut.clone()),
        (2, cut),
        (3, Fault::Mend { from: B, to: A }),
        (4, Fault::Mend { from: A, to: B }),
        (5, filter(99)),
        (6, filter(1)),
        (7, Fault::DiskSyncError { node: B }),
        (8, trap(1_000)),
        (9, trap(3)),
        (50, Fault::Wipe { node: B }),
        (51, Fault::ClockStart { node: B }),
        (52, Fault::DiskFull { node: B, on: false }),
        (100, CRASH),
    ];
    for (at, fault) in faults {
        world.schedule_fault(ms(at), fault);
    }
    world.schedule_op(ms(20), A, 1);
    world.schedule_op(ms(20), B, 1);
    run(&mut world, ms(200));
    let (count, inert) = world.faults_inert();
    let times: Vec<_> = inert.iter().map(|applied| applied.at).collect();
    assert_eq!(times, [2, 3, 5, 8, 50, 51, 52, 100].map(ms));
    assert_eq!((world.faults_applied(), count), (13, 8));
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

/// Crashes a node twice for a while, from the very beginning on.
struct Crashes;

impl Hook<Busy> for Crashes {
    fn on_boot(
        &mut self,
        view: View<'_, Busy>,
        node: NodeIndex,
        later: &mut Schedule<Busy>,
    ) -> Result<(), Violation> {
        if view.run(node) == 1 {
            later.crash(ms(10), node, Unsynced::Lost, ms(100));
            later.crash(ms(50), node, Unsynced::Lost, ms(300));
        }
        Ok(())
    }
}

#[test]
fn the_last_crash_of_a_hook_decides_when_it_ends() {
    let mut world = quiet_world(1);
    for (until, is_up) in [(5, true), (20, false), (200, false), (400, true)] {
        assert!(world.run_until(ms(until), &mut Crashes).is_ok());
        assert_eq!(world.is_up(A), is_up, "{until}");
    }
}

/// Lets only the first four bytes of the log flip.
struct FirstBytes;

impl Hook<Busy> for FirstBytes {
    fn flippable(
        &mut self,
        _: View<'_, Busy>,
        _: NodeIndex,
        _: &crate::disk::Disk,
    ) -> crate::hook::Flips {
        Some(vec![crate::hook::Flippable {
            file: "log".into(),
            bytes: 0..4,
        }])
    }
}

#[test]
fn bits_flip_where_the_hook_allows() {
    let mut world = quiet_world(1);
    world.schedule_op(ms(10), A, 1);
    run(&mut world, ms(50));
    let before = world.disk(A).clone();
    let fault = Fault::Flip { node: A, bits: 40 };
    world
        .apply(&fault, &mut FirstBytes)
        .expect("nothing is checked");
    let (old, new) = (before.read("log"), world.disk(A).read("log"));
    let (old, new) = (old.expect("written"), new.expect("written"));
    assert_ne!(old[..4], new[..4]);
    assert_eq!(old[4..], new[4..]);
    assert_eq!(before.read("spare"), world.disk(A).read("spare"));
}

/// Fails at a given time.
struct Fails;

impl Hook<Busy> for Fails {
    fn on_alarm(
        &mut self,
        _: View<'_, Busy>,
        tag: u64,
        later: &mut Schedule<Busy>,
    ) -> Result<(), Violation> {
        if tag == 2 {
            return Err(Violation::new("tag", "two").at_node(B));
        }
        later.alarm(ms(70), tag + 1);
        later.op(ms(60), A, 9);
        later.fault(ms(65), CRASH);
        Ok(())
    }
}

#[test]
fn hooks_schedule_and_fail_with_the_time() {
    let mut world = quiet_world(2);
    world.schedule_alarm(ms(40), 1);
    let violation = world.run_until(ms(100), &mut ((), Fails));
    let violation = violation.expect_err("the second alarm fails");
    assert_eq!(violation.to_string(), "tag at 0.070000s on n1: two");
    assert!(!world.is_up(A));
    assert_eq!(world.now(), ms(70));
}

#[test]
fn a_completion_of_an_earlier_run_completes_nothing() {
    let mut world = quiet_world(1);
    let slow = Fault::DiskLatency {
        node: A,
        us_min: 100_000,
        us_max: 100_000,
    };
    world.schedule_fault(ms(1), slow);
    world.schedule_op(ms(10), A, 1);
    world.schedule_fault(ms(30), CRASH);
    world.schedule_fault(ms(40), RESTART);
    world.schedule_op(ms(50), A, 2);
    let log = run(&mut world, ms(500));
    let stored = log.reports.last().map(|(at, _, report)| (*at, report));
    assert_eq!(stored, Some((ms(150), &Report::Stored(2, Ok(())))));
}

#[test]
fn a_trap_performs_nothing_of_the_batches_behind() {
    for seed in 0..20 {
        let mut world = world(seed, vec![Habits::default()]);
        let fault = Fault::CrashAtPersist {
            node: A,
            op: 2,
            unsynced: Unsynced::Kept,
            restart_after_ms: None,
        };
        world.schedule_fault(ms(0), fault);
        world.schedule_op(ms(10), A, 1);
        world.schedule_op(ms(10), A, 2);
        run(&mut world, ms(100));
        assert!(!world.is_up(A));
        assert_eq!(world.view().performed(A), 2);
        assert_eq!(world.disk(A).read("log").map(<[u8]>::len), Some(8));
    }
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
