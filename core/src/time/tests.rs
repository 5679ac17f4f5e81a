use super::{Instant, Sample, Wall, estimate};
use alloc::vec::Vec;
use core::time::Duration;
use proptest::prelude::*;

const END: Instant = Instant::from_nanos(u64::MAX);

#[test]
fn instants_saturate_at_both_ends() {
    let nanos = Instant::from_nanos;
    assert_eq!(nanos(5).after(Duration::from_nanos(7)), nanos(12));
    assert_eq!(END.after(Duration::from_nanos(1)), END);
    assert_eq!(nanos(1).after(Duration::MAX), END);
    assert_eq!(Instant::ZERO.after(Duration::from_nanos(u64::MAX)), END);
    assert_eq!(
        nanos(1).after(Duration::new(18_446_744_073, 709_551_615)),
        END
    );
    assert_eq!(
        nanos(0).after(Duration::new(18_446_744_073, 709_551_614)),
        nanos(u64::MAX - 1)
    );
}

#[test]
fn what_is_not_later_is_no_time_later() {
    let nanos = Instant::from_nanos;
    assert_eq!(nanos(12).since(nanos(5)), Duration::from_nanos(7));
    assert_eq!(nanos(5).since(nanos(5)), Duration::ZERO);
    assert_eq!(nanos(5).since(nanos(12)), Duration::ZERO);
    assert_eq!(END.since(Instant::ZERO), Duration::from_nanos(u64::MAX));
}

#[test]
fn raw_values_come_back() {
    assert_eq!(Instant::from_nanos(77).as_nanos(), 77);
    assert_eq!(Wall::from_ms(77).as_ms(), 77);
    assert_eq!(Instant::default(), Instant::ZERO);
}

const TEN: Duration = Duration::from_secs(10);

/// The estimate of `voters` at 20 s from (what a clock showed in ms, how long ago in s).
fn agreed(voters: usize, samples: &[(u64, u64)]) -> Option<u64> {
    let now = Instant::from_nanos(20_000_000_000);
    let samples = samples.iter().map(|&(wall, ago)| Sample {
        wall: Wall::from_ms(wall),
        heard: Instant::from_nanos((20 - ago) * 1_000_000_000),
    });
    estimate(voters, samples, now, TEN).map(Wall::as_ms)
}

#[test]
fn the_estimate_is_what_a_majority_has_reached() {
    type Row<'a> = (usize, &'a [(u64, u64)], Option<u64>);
    let table: [Row<'_>; 15] = [
        (1, &[(5, 0)], Some(5)),
        (1, &[], None),
        (3, &[(7, 0)], None),
        (3, &[(7, 0), (9, 0)], Some(7)),
        (3, &[(9, 0), (7, 0)], Some(7)),
        (3, &[(7, 0), (9, 0), (8, 0)], Some(8)),
        (3, &[(7, 0), (900, 0), (8, 0)], Some(8)),
        (3, &[(0, 0), (9, 0), (8, 0)], Some(8)),
        (4, &[(7, 0), (9, 0)], None),
        (4, &[(7, 0), (9, 0), (8, 0)], Some(8)),
        (4, &[(6, 0), (7, 0), (9, 0), (8, 0)], Some(8)),
        (5, &[(6, 0), (7, 0), (9, 0), (8, 0)], Some(7)),
        (5, &[(1, 0), (2, 0), (3, 0), (4, 0), (5, 0)], Some(3)),
        (3, &[(7, 10), (9_000, 1), (8, 0)], Some(10_000)),
        (3, &[(7, 11), (9_000, 1)], None),
    ];
    for (voters, samples, expected) in table {
        assert_eq!(agreed(voters, samples), expected, "{voters}: {samples:?}");
    }
}

proptest! {
    #[test]
    fn no_minority_moves_the_estimate(
        walls in prop::collection::vec(0..1_000_u64, 1..=16),
        wrong in prop::collection::vec(0..1_000_000_u64, 8),
        heard in 1..=16_usize,
    ) {
        let voters = walls.len();
        let (minority, heard) = ((voters - 1) / 2, heard.min(voters));
        let mut shown: Vec<(u64, u64)> = walls.iter().map(|&wall| (wall, 0)).collect();
        for (shown, &wrong) in shown[..minority].iter_mut().zip(&wrong) {
            shown.0 = wrong;
        }
        // Those with a wrong clock are the first, so they are always among who is heard.
        let estimate = agreed(voters, &shown[..heard]);
        prop_assert_eq!(estimate.is_some(), heard > voters / 2);
        let right = &walls[minority..];
        if let Some(estimate) = estimate {
            let latest = right[..heard - minority].iter().max();
            prop_assert!(latest.is_some_and(|&latest| estimate <= latest));
            if heard == voters {
                prop_assert!(right.iter().min().is_some_and(|&least| estimate >= least));
            }
            shown[..heard].reverse();
            prop_assert_eq!(agreed(voters, &shown[..heard]), Some(estimate));
        }
    }
}
