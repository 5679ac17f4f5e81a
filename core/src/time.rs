//! The two notions of time that reach the core, both as arguments (D2).
//!
//! [`Instant`] is monotonic and local to one run of one node; it never crosses a wire or a
//! restart. [`Wall`] is what an operator's clock shows; it is recorded, never compared with an
//! `Instant`, and no safety property of a Quorum chain depends on it. What several wall clocks show
//! gives one time that no minority of them moves ([`estimate()`]).

use core::time::Duration;
use serde::{Deserialize, Serialize};

mod estimate;
#[cfg(test)]
mod tests;

pub use estimate::{Sample, estimate};

/// Nanoseconds of a monotonic clock since an origin that the driver chooses.
#[derive(
    Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Instant(u64);

impl Instant {
    /// The driver's origin.
    pub const ZERO: Self = Self(0);

    /// The instant `nanos` nanoseconds after the origin.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the origin.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// This instant moved by `span`, at most the largest instant there is.
    pub const fn after(self, span: Duration) -> Self {
        let nanos = span.as_nanos();
        let nanos = if nanos > u64::MAX as u128 {
            u64::MAX
        } else {
            nanos as u64
        };
        Self(self.0.saturating_add(nanos))
    }

    /// How much later this instant is than `earlier`; zero when it is not later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Milliseconds since the Unix epoch, as the local wall clock shows them.
#[derive(
    Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Wall(u64);

impl Wall {
    /// The wall time `ms` milliseconds after the Unix epoch.
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_ms(self) -> u64 {
        self.0
    }

    /// This time moved by the whole milliseconds of `span`, at most the last time there is.
    pub const fn after(self, span: Duration) -> Self {
        let ms = span.as_millis();
        let ms = if ms > u64::MAX as u128 {
            u64::MAX
        } else {
            ms as u64
        };
        Self(self.0.saturating_add(ms))
    }

    /// How much later this time is than `earlier`; zero when it is not later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}
