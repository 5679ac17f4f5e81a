//! Runs that do not end, and runs that must not grow.

use super::*;
use crate::trace::Trace;
use crate::violation::{INSTANT_BUDGET, STEP_BUDGET};

#[test]
fn a_run_has_a_step_budget() {
    let mut setup: Setup<Busy> = Setup::new(7, ticking());
    setup.steps_max = 100;
    let mut world = World::new(setup);
    let violation = world.run_until(Instant::from_secs(60), &mut ());
    let violation = violation.expect_err("the budget is spent");
    assert_eq!(violation.property, STEP_BUDGET);
    assert_eq!(violation.at, ms(5_000));
    assert_eq!(world.steps(), 101);
}

#[test]
fn a_machine_that_never_moves_its_deadline_is_caught_at_its_instant() {
    let stuck = Habits {
        stuck: true,
        ..Habits::default()
    };
    let mut setup: Setup<Busy> = Setup::new(7, vec![Habits::default(), stuck]);
    setup.instant_steps_max = 1_000;
    let mut world = World::new(setup);
    let violation = world.run_until(Instant::from_secs(60), &mut ());
    let violation = violation.expect_err("it never goes on");
    assert_eq!(violation.property, INSTANT_BUDGET);
    assert_eq!(violation.node, Some(B));
    assert_eq!(violation.at, ms(50));
}

/// Disks apart, which hold what the machines write, nothing grows with time.
#[test]
fn memory_is_flat_over_a_day() {
    let habits = Habits {
        talks: true,
        slow: true,
        ..Habits::default()
    };
    let mut world = world(7, vec![habits; 3]);
    world.schedule_fault(
        ms(0),
        Fault::Weather {
            from: None,
            to: None,
            weather: Some(Weather {
                loss_ppm: 10_000,
                duplicate_ppm: 10_000,
                reorder_ppm: 10_000,
                ..Weather::default()
            }),
        },
    );
    world.record_in(Trace::new(50));
    let mut after = Vec::new();
    for hour in [1, 2, 12, 24] {
        world
            .run_until(Instant::from_secs(hour * 3_600), &mut ())
            .expect("nothing is checked");
        after.push(world.footprint());
    }
    assert!(world.steps() > 24 * 3_600 * 10);
    for footprint in &after {
        // Extremes of the draws go on to be found, but slower and slower.
        assert!(footprint.events_capacity <= 256, "{after:?}");
        assert!(footprint.stored_capacity <= 128, "{after:?}");
        assert!(footprint.waiting <= 16, "{after:?}");
        assert!(footprint.tables <= 2, "{after:?}");
        assert!(footprint.disk_bytes <= 4_096, "{after:?}");
        assert!(footprint.disk_unsynced <= 16, "{after:?}");
    }
}

#[test]
fn an_hour_of_every_fault_leaves_nothing_behind() {
    let mut world = world(7, talking(3));
    storm(&mut world, 600);
    let start = world.footprint().stored;
    run(&mut world, Instant::from_secs(600));
    let end = Fault::Recover {
        nodes: Vec::new(),
        keep: Vec::new(),
    };
    world.apply(&end, &mut ()).expect("nothing is checked");
    run(&mut world, Instant::from_secs(700));
    let footprint = world.footprint();
    assert!(start > 10_000);
    assert!(footprint.stored < 64, "{footprint:?}");
    assert!(footprint.waiting < 16, "{footprint:?}");
    assert!(footprint.tables <= 64, "{footprint:?}");
    assert!((0..3).all(|node| world.is_up(NodeIndex(node))));
}
