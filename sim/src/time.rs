//! Two notions of time.
//!
//! [`Instant`] is used twice, and the context says which: *true time* of the run, which only the
//! world and its checks see, and a node's own monotonic clock, which is all a machine sees. The
//! two are related by [`crate::clock::Clock`]. Wall-clock milliseconds are a plain number that
//! may step in both directions.

use core::fmt;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// Nanoseconds since an origin: the start of the run, or the origin of a node's clock.
#[derive(
    Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Instant(u64);

impl Instant {
    /// The origin.
    pub const ZERO: Self = Self(0);
    /// Later than anything that happens.
    pub const MAX: Self = Self(u64::MAX);

    /// The instant `nanos` nanoseconds after the origin.
    #[inline]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The instant `micros` microseconds after the origin, at most the largest there is.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros.saturating_mul(1_000))
    }

    /// The instant `millis` milliseconds after the origin, at most the largest there is.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// The instant `seconds` seconds after the origin, at most the largest there is.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds since the origin.
    #[inline]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// This instant moved by `span`, at most the largest instant there is.
    #[inline]
    pub const fn after(self, span: Duration) -> Self {
        let nanos = span.as_nanos();
        if nanos > u64::MAX as u128 {
            Self::MAX
        } else {
            Self(self.0.saturating_add(nanos as u64))
        }
    }

    /// How much later this instant is than `earlier`; zero when it is not later.
    #[inline]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 / 1_000_000_000;
        let micros = self.0 % 1_000_000_000 / 1_000;
        write!(f, "{seconds}.{micros:06}s")
    }
}

/// What a node's clocks show at the moment of a step.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Now {
    /// The node's own monotonic clock; it counts the time the node was paused, too.
    pub instant: Instant,
    /// The node's wall clock, in milliseconds since the Unix epoch.
    pub wall_ms: u64,
}
