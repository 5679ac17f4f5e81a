use super::{Bucket, Budget, Class, MILLION};
use crate::time::Instant;
use alloc::vec::Vec;
use core::time::Duration;
use proptest::prelude::*;

const RATE: u64 = 1000;

fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

fn of(rate: u64, share: u32, now: Instant) -> Bucket {
    let budget = Budget {
        rate_bytes_per_s: rate,
        background_ppm: share,
        patience: Duration::from_secs(1),
        background_patience: Duration::from_secs(60),
    };
    Bucket::new(budget, now)
}

fn bucket() -> Bucket {
    of(RATE, 300_000, at(0))
}

fn patience(class: Class) -> Duration {
    bucket().patience[class as usize]
}

fn take(bucket: &mut Bucket, class: Class, bytes: u64, ms: u64) -> Result<(), Instant> {
    bucket.admit(class, bytes, at(ms))
}

#[test]
fn foreground_may_empty_a_bucket_that_starts_full() {
    let mut bucket = bucket();
    assert_eq!(take(&mut bucket, Class::Foreground, 1000, 0), Ok(()));
    assert_eq!(take(&mut bucket, Class::Foreground, 1, 0), Err(at(1)));
    assert_eq!(take(&mut bucket, Class::Foreground, 500, 1), Err(at(500)));
    assert_eq!(take(&mut bucket, Class::Foreground, 500, 499), Err(at(500)));
    assert_eq!(take(&mut bucket, Class::Foreground, 500, 500), Ok(()));
}

#[test]
fn background_uses_only_its_share() {
    let mut bucket = bucket();
    assert_eq!(take(&mut bucket, Class::Background, 300, 0), Ok(()));
    assert_eq!(take(&mut bucket, Class::Background, 1, 0), Err(at(1)));
    assert_eq!(take(&mut bucket, Class::Foreground, 700, 0), Ok(()));
}

#[test]
fn realtime_overdraws_by_half_the_bucket_and_no_more() {
    let mut bucket = bucket();
    assert_eq!(take(&mut bucket, Class::Foreground, 1000, 0), Ok(()));
    assert_eq!(take(&mut bucket, Class::Realtime, 500, 0), Ok(()));
    assert_eq!(take(&mut bucket, Class::Realtime, 1, 0), Err(at(1)));
    assert_eq!(take(&mut bucket, Class::Foreground, 1, 0), Err(at(501)));
}

#[test]
fn larger_than_the_bucket_passes_when_full_and_is_paid_for() {
    for class in [Class::Foreground, Class::Background] {
        let mut bucket = bucket();
        assert_eq!(take(&mut bucket, Class::Foreground, 1, 0), Ok(()));
        assert_eq!(take(&mut bucket, class, 5000, 0), Err(at(1)));
        assert_eq!(take(&mut bucket, class, 5000, 1), Ok(()));
        assert_eq!(take(&mut bucket, Class::Foreground, 1, 1), Err(at(4002)));
    }
}

#[test]
fn a_class_that_is_never_left_anything_has_its_turn() {
    let mut bucket = of(RATE, 0, at(0));
    let mut ms = 0;
    assert_eq!(take(&mut bucket, Class::Foreground, 950, 0), Ok(()));
    // Foreground takes all there is, and background asks for what it will never be left.
    loop {
        let _ = take(&mut bucket, Class::Foreground, 50, ms);
        if take(&mut bucket, Class::Background, 10, ms).is_ok() {
            break;
        }
        ms += 50;
        assert!(ms < 70_000, "it has had no turn");
    }
    assert_eq!(
        at(ms),
        at(0).after(patience(Class::Background)),
        "not held to its share"
    );
    assert!(bucket.waiting[Class::Background as usize].is_none());
}

#[test]
fn who_ceases_to_ask_blocks_nobody() {
    let mut bucket = bucket();
    assert_eq!(take(&mut bucket, Class::Foreground, 1000, 0), Ok(()));
    assert_eq!(take(&mut bucket, Class::Foreground, 2000, 0), Err(at(1000)));
    assert_eq!(
        take(&mut bucket, Class::Realtime, 10, 1500),
        Err(at(1501)),
        "its turn"
    );
    assert_eq!(
        take(&mut bucket, Class::Realtime, 10, 2001),
        Ok(()),
        "it did not come"
    );
}

#[test]
fn extreme_numbers_saturate() {
    let end = Instant::from_nanos(u64::MAX);
    let mut bucket = of(u64::MAX, u32::MAX, at(0));
    assert_eq!(bucket.background_ppm, MILLION);
    assert!(bucket.admit(Class::Foreground, u64::MAX, at(0)).is_ok());
    assert!(bucket.admit(Class::Realtime, u64::MAX, end).is_ok());
    let mut bucket = of(0, 0, at(0));
    assert!(bucket.admit(Class::Foreground, u64::MAX, at(0)).is_ok());
    assert_eq!(bucket.admit(Class::Foreground, 1, at(0)), Err(end));
    let mut bucket = of(u64::MAX, 0, end);
    assert!(
        bucket.admit(Class::Foreground, u64::MAX, at(0)).is_ok(),
        "time may seem to go back"
    );
}

fn class() -> impl Strategy<Value = Class> {
    prop_oneof![
        Just(Class::Foreground),
        Just(Class::Background),
        Just(Class::Realtime)
    ]
}

proptest! {
    /// *rate-limits*: what was granted fits into every window.
    #[test]
    fn never_exceeds_the_rate_in_any_window(
        rate in 1_u64..5000,
        share in 0_u32..=MILLION,
        requests in prop::collection::vec((class(), 0_u64..4000, 0_u64..700), 1..120),
    ) {
        let mut bucket = of(rate, share, at(0));
        let mut sent: Vec<(u64, u64)> = Vec::new();
        let mut ms = 0;
        let mut largest = 0;
        for (class, bytes, pause) in requests {
            ms += pause;
            largest = largest.max(bytes);
            match bucket.admit(class, bytes, at(ms)) {
                Ok(()) => sent.push((ms, bytes)),
                Err(retry) => prop_assert!(retry > at(ms)),
            }
        }
        let burst = (rate * 3).div_ceil(2).max(largest);
        for (first, (from, _)) in sent.iter().enumerate() {
            let mut total = 0;
            for (to, bytes) in &sent[first..] {
                total += bytes;
                let allowed = burst + (rate * (to - from)).div_ceil(1000);
                prop_assert!(total <= allowed, "{total} > {allowed} in {from}..={to} ms");
            }
        }
    }

    /// *fair*: whoever asks again when told to passes within its patience and a few refills.
    #[test]
    fn no_class_starves(
        share in 0_u32..=MILLION,
        sizes in prop::array::uniform3(1_u64..3000),
        late in prop::array::uniform3(0_u64..300),
    ) {
        let classes = [Class::Foreground, Class::Background, Class::Realtime];
        let mut bucket = of(RATE, share, at(0));
        let mut next = [at(0); 3];
        let mut last = [at(0); 3];
        // A refill ends the largest debt, and three lines may have to be waited for.
        let refills = Duration::from_millis(3 * (3000 + 1000 + 300));
        while let Some(now) = next.iter().copied().min().filter(|now| *now < at(200_000)) {
            for (index, class) in classes.into_iter().enumerate() {
                if next[index] > now {
                    continue;
                }
                match bucket.admit(class, sizes[index], now) {
                    Ok(()) => {
                        last[index] = now;
                        next[index] = now.after(Duration::from_millis(1));
                    }
                    Err(retry) => next[index] = retry.after(Duration::from_millis(late[index])),
                }
                let waited = now.since(last[index]);
                prop_assert!(waited <= patience(class) + refills, "{class:?} waits {waited:?}");
            }
        }
    }

    /// Asking again exactly when told to passes at once if nobody else asks.
    #[test]
    fn the_answer_names_the_right_instant(
        share in 0_u32..=MILLION,
        first in 1_u64..3000,
        class in class(),
        bytes in 1_u64..3000,
    ) {
        let mut bucket = of(RATE, share, at(0));
        prop_assert!(bucket.admit(Class::Foreground, first, at(0)).is_ok());
        if let Err(retry) = bucket.admit(class, bytes, at(0)) {
            let mut early = bucket.clone();
            prop_assert!(bucket.admit(class, bytes, retry).is_ok());
            let before = Instant::from_nanos(retry.as_nanos() - 1);
            prop_assert!(retry <= at(1) || early.admit(class, bytes, before).is_err());
        }
    }
}
