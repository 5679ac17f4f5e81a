//! Disks as machines meet them: batches, room, syncs that fail, crashes in the middle.

use super::*;
use crate::disk::DiskError;

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
