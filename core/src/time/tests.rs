use super::{Instant, Wall};
use core::time::Duration;

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
