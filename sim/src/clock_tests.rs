use super::*;
use crate::draw::{Draws, Site};

const WALL: u64 = 1_700_000_000_000;

fn ms(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn clock() -> Clock {
    Clock::new(ms(5_000), WALL, 0)
}

#[test]
fn a_clock_starts_at_its_origin_with_a_true_wall() {
    let now = clock().now(ms(10));
    assert_eq!(now.instant, ms(5_010));
    assert_eq!(now.wall_ms, WALL + 10);
}

#[test]
fn drift_moves_both_clocks_and_the_time_of_deadlines() {
    let mut clock = clock();
    clock.set_rate(ms(1_000), 100_000);
    let now = clock.now(ms(2_000));
    assert_eq!(now.instant, ms(7_100));
    assert_eq!(now.wall_ms, WALL + 2_100);
    // 2,200 own milliseconds after the change are 2,000 true ones.
    assert_eq!(clock.noticed(ms(8_200), ms(2_000)), Some(ms(3_000)));
    clock.set_rate(ms(2_000), 0);
    assert_eq!(clock.own(ms(3_000)), ms(8_100));
}

#[test]
fn a_stopped_clock_reaches_no_deadline() {
    let mut clock = clock();
    clock.set_stopped(ms(1_000), true);
    assert_eq!(clock.own(ms(9_000)), ms(6_000));
    assert_eq!(clock.noticed(ms(6_001), ms(9_000)), None);
    assert_eq!(clock.noticed(ms(6_000), ms(9_000)), Some(ms(9_000)));
    clock.set_stopped(ms(9_000), false);
    assert_eq!(clock.own(ms(9_500)), ms(6_500));
    assert_eq!(clock.now(ms(9_500)).wall_ms, WALL + 1_500);
}

#[test]
fn the_wall_steps_both_ways_and_the_monotonic_clock_does_not() {
    let mut clock = clock();
    clock.step_wall(-3_600_000);
    assert_eq!(clock.now(ms(10)).wall_ms, WALL - 3_600_000 + 10);
    clock.step_wall(i64::MIN);
    assert_eq!(clock.now(ms(10)).wall_ms, 0);
    let true_ns = i128::from(WALL) * 1_000_000 + 20_000_000;
    clock.set_wall(ms(20), true_ns, 500);
    let now = clock.now(ms(30));
    assert_eq!(now.wall_ms, WALL + 530);
    assert_eq!(now.instant, ms(5_030));
}

#[test]
fn a_jump_moves_both_clocks_forwards() {
    let mut clock = clock();
    clock.jump(ms(10), Duration::from_secs(60));
    let now = clock.now(ms(20));
    assert_eq!(now.instant, ms(65_020));
    assert_eq!(now.wall_ms, WALL + 60_020);
    clock.jump(ms(20), Duration::MAX);
    assert_eq!(clock.own(ms(30)), Instant::MAX);
}

#[test]
fn a_clock_recovers_to_its_own_drift() {
    let mut clock = Clock::new(ms(5_000), WALL, 400_000);
    assert_eq!(clock.own(ms(100)), ms(5_140));
    clock.set_rate(ms(100), -500_000);
    assert_eq!(clock.own(ms(200)), ms(5_190));
    clock.recover(ms(200), false);
    assert_eq!(clock.own(ms(300)), ms(5_330));
    assert_eq!(clock.noticed(ms(5_470), ms(300)), Some(ms(400)));
}

#[test]
fn a_late_wake_up_is_late_by_what_it_says() {
    let mut clock = clock();
    clock.set_late(Duration::from_millis(70));
    assert_eq!(clock.noticed(ms(5_100), ms(0)), Some(ms(170)));
    clock.recover(ms(0), true);
    assert_eq!(clock.noticed(ms(5_100), ms(0)), Some(ms(100)));
}

/// Whatever happens to a clock, it does not go back, and when a deadline is noticed it is past.
#[test]
fn clocks_never_go_back_and_deadlines_are_never_early() {
    for seed in 0..200 {
        let draw = Draws::new(seed);
        let mut clock = clock();
        let mut at = 0;
        let mut last = clock.own(Instant::ZERO);
        for step in 0..100 {
            at += draw.below(Site::Latency, 0, step, 1_000_000_007);
            let now = Instant::from_nanos(at);
            assert!(clock.own(now) >= last);
            let bits = draw.bits(Site::Loss, 0, step);
            match bits % 5 {
                0 => clock.set_rate(now, (bits >> 32) as i32),
                1 => clock.set_stopped(now, bits & 8 != 0),
                2 => clock.jump(now, Duration::from_nanos(bits >> 34)),
                3 => clock.recover(now, false),
                _ => {}
            }
            assert!(clock.own(now) >= last, "a change moved the clock back");
            last = clock.own(now);
            let deadline = Instant::from_nanos(last.as_nanos() + (bits >> 35));
            if let Some(noticed) = clock.noticed(deadline, now) {
                assert!(noticed >= now);
                assert!(clock.own(noticed) >= deadline);
            }
        }
    }
}
