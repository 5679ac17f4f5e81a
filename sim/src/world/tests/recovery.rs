//! What ends faults, and faults that have no effect.

use super::*;

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
        Fault::DiskRoom {
            node: A,
            bytes: Some(11),
            at_sync: false,
        },
        Fault::DiskFull { node: A, on: true },
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
    let all = [
        Keep::Weather,
        Keep::Cuts,
        Keep::Disks,
        Keep::Room,
        Keep::Clocks,
    ];
    world.schedule_fault(ms(2), recover(&all));
    run(&mut world, ms(3));
    let view = world.view();
    assert!(!view.is_connected(A, B) && view.is_connected(B, A) && view.is_connected(A, c));
    assert_eq!(view.link(A, c).weather, slow);
    assert_eq!(view.medium(A).us_max, 9);
    assert_eq!(view.medium(A).room, Some(11));
    assert!(!view.medium(A).is_full);
    assert_eq!(view.clock(A).rate_ppm(), 90_000);
    assert!(!view.clock(B).is_stopped());
    world.schedule_fault(ms(4), recover(&[]));
    run(&mut world, ms(5));
    let view = world.view();
    assert!(view.is_connected(A, B));
    assert_ne!(view.link(A, c).weather, slow);
    assert_ne!(view.medium(A).us_max, 9);
    assert_eq!(view.medium(A).room, None);
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
