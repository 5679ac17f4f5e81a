//! The clocks of one node, as a function of true time.
//!
//! The monotonic clock never goes back; it may start anywhere, drift, stop and leap forwards.
//! The wall clock is the monotonic clock plus an offset that may change in both directions.
//! Arithmetic saturates: no fault can make a clock panic.

use crate::time::{Instant, Now};
use core::time::Duration;

const MILLION: i64 = 1_000_000;

/// Both clocks of a node.
#[derive(Clone, Debug)]
pub struct Clock {
    /// Own time minus true time while `steady`; wrapping.
    shift: u64,
    /// Whether the clock runs at the true rate.
    steady: bool,
    stopped: bool,
    rate_ppm: i32,
    /// The rate of the clock when nothing is wrong with it.
    drift_ppm: i32,
    /// True and own time at the last change of an unsteady clock.
    anchor_true: u64,
    anchor_own: u64,
    /// Wall time minus own time, in nanoseconds.
    wall_shift: i64,
    late: u64,
}

impl Clock {
    /// A clock that shows `origin` when the run starts, with a true wall clock, and runs
    /// `drift_ppm` parts of a million fast.
    pub(crate) fn new(origin: Instant, wall_ms: u64, drift_ppm: i32) -> Self {
        let own = origin.as_nanos();
        let mut clock = Self {
            shift: 0,
            steady: false,
            stopped: false,
            rate_ppm: drift_ppm,
            drift_ppm,
            anchor_true: 0,
            anchor_own: own,
            wall_shift: saturated(i128::from(wall_ms) * 1_000_000 - i128::from(own)),
            late: 0,
        };
        clock.resteady();
        clock
    }

    /// The monotonic clock at a true time.
    #[inline]
    pub fn own(&self, at: Instant) -> Instant {
        if self.steady {
            Instant::from_nanos(at.as_nanos().wrapping_add(self.shift))
        } else {
            self.own_unsteady(at)
        }
    }

    #[cold]
    fn own_unsteady(&self, at: Instant) -> Instant {
        if self.stopped {
            return Instant::from_nanos(self.anchor_own);
        }
        let elapsed = u128::from(at.as_nanos().saturating_sub(self.anchor_true));
        let own = elapsed * u128::from(self.speed()) / MILLION as u128;
        let own = u64::try_from(own).unwrap_or(u64::MAX);
        Instant::from_nanos(self.anchor_own.saturating_add(own))
    }

    /// What it shows at a true time, and how it goes on: equal for two clocks that nobody can tell
    /// apart from then on.
    pub(crate) fn course(&self, at: Instant) -> (Now, bool, i32, u64) {
        (self.now(at), self.stopped, self.rate_ppm, self.late)
    }

    /// Both clocks at a true time.
    #[inline]
    pub fn now(&self, at: Instant) -> Now {
        let instant = self.own(at);
        Now {
            instant,
            wall_ms: self.wall_ms(instant),
        }
    }

    #[inline]
    fn wall_ms(&self, own: Instant) -> u64 {
        // A clock before 1970 shows 1970.
        own.as_nanos().saturating_add_signed(self.wall_shift) / 1_000_000
    }

    /// The first true time, not before `now`, at which a deadline of the own clock is noticed;
    /// `None` while the clock stands still before it.
    #[inline]
    pub(crate) fn noticed(&self, deadline: Instant, now: Instant) -> Option<Instant> {
        if self.steady && self.late == 0 {
            let own = now.as_nanos().wrapping_add(self.shift);
            let wait = deadline.as_nanos().saturating_sub(own);
            return Some(Instant::from_nanos(now.as_nanos().saturating_add(wait)));
        }
        self.noticed_unsteady(deadline, now)
    }

    #[cold]
    fn noticed_unsteady(&self, deadline: Instant, now: Instant) -> Option<Instant> {
        let late = Duration::from_nanos(self.late);
        let own = self.own(now);
        if deadline <= own {
            // It is noticed late only if it was not reached before; a node that is late in
            // looking at a deadline that has passed already is as late again.
            return Some(now.after(late));
        }
        if self.stopped {
            return None;
        }
        let wait = deadline.as_nanos() - own.as_nanos();
        // Rounded up, and one more for the part of a nanosecond that `own` dropped.
        let wait = (u128::from(wait) * MILLION as u128).div_ceil(u128::from(self.speed()));
        let wait = u64::try_from(wait).unwrap_or(u64::MAX);
        Some(Instant::from_nanos(now.as_nanos().saturating_add(wait)).after(late))
    }

    /// Parts of a million by which both clocks run faster than true time; negative when slower.
    pub const fn rate_ppm(&self) -> i32 {
        self.rate_ppm
    }

    /// Whether both clocks stand still.
    pub const fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// How much too late deadlines are noticed.
    pub const fn late(&self) -> Duration {
        Duration::from_nanos(self.late)
    }

    fn speed(&self) -> u64 {
        u64::try_from(MILLION + i64::from(self.rate_ppm))
            .unwrap_or(1)
            .max(1)
    }

    /// Makes `at` the anchor of what changes next.
    fn settle(&mut self, at: Instant) {
        self.anchor_own = self.own(at).as_nanos();
        self.anchor_true = at.as_nanos();
    }

    fn resteady(&mut self) {
        // Near the end of what a clock can show, sums have to saturate.
        let roomy = self.anchor_own < u64::MAX / 2;
        self.steady = roomy && !self.stopped && self.rate_ppm == 0;
        if self.steady {
            self.shift = self.anchor_own.wrapping_sub(self.anchor_true);
        }
    }

    /// Lets both clocks run `ppm` parts of a million fast.
    pub(crate) fn set_rate(&mut self, at: Instant, ppm: i32) {
        self.settle(at);
        self.rate_ppm = ppm.max(1 - MILLION as i32);
        self.resteady();
    }

    /// Stops both clocks or lets them go on.
    pub(crate) fn set_stopped(&mut self, at: Instant, stopped: bool) {
        self.settle(at);
        self.stopped = stopped;
        self.resteady();
    }

    /// Moves both clocks forwards.
    pub(crate) fn jump(&mut self, at: Instant, by: Duration) {
        self.settle(at);
        self.anchor_own = Instant::from_nanos(self.anchor_own).after(by).as_nanos();
        self.resteady();
    }

    /// Moves the wall clock.
    pub(crate) fn step_wall(&mut self, ms: i64) {
        self.wall_shift = self.wall_shift.saturating_add(ms.saturating_mul(1_000_000));
    }

    /// Makes the wall clock show the true wall time plus `ms`.
    pub(crate) fn set_wall(&mut self, at: Instant, true_ns: i128, ms: i64) {
        let own = i128::from(self.own(at).as_nanos());
        self.wall_shift = saturated(true_ns + i128::from(ms) * 1_000_000 - own);
    }

    /// Lets deadlines be noticed `by` too late.
    pub(crate) fn set_late(&mut self, by: Duration) {
        self.late = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
    }

    /// Ends other drift than its own, unless that is kept, stop and late wake-ups; what the clocks
    /// show stays.
    pub(crate) fn recover(&mut self, at: Instant, keeps_rate: bool) {
        self.settle(at);
        if !keeps_rate {
            self.rate_ppm = self.drift_ppm;
        }
        self.stopped = false;
        self.late = 0;
        self.resteady();
    }
}

/// Nanoseconds, at most some 292 years in both directions.
fn saturated(nanos: i128) -> i64 {
    i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
#[path = "clock_tests.rs"]
mod tests;
