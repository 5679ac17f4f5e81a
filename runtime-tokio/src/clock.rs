//! The clocks of this machine.

use crate::ports::Clock;
use meshos_core::time::{Instant, Wall};
use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Longest wait before the clock is read again: tokio's timer stands still while the machine
/// sleeps, the monotonic clock of the node does not.
const NAP: Duration = Duration::from_secs(1);

/// `CLOCK_BOOTTIME`, which counts suspended time (D2), and the wall clock.
#[derive(Copy, Clone, Debug)]
pub struct SystemClock {
    origin_nanos: u64,
}

impl SystemClock {
    /// A clock whose origin is the present.
    pub fn start() -> Self {
        Self {
            origin_nanos: boottime_nanos(),
        }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::from_nanos(boottime_nanos().saturating_sub(self.origin_nanos))
    }

    fn wall(&self) -> Wall {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Wall::from_ms(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
    }

    fn sleep_until(&self, at: Instant) -> impl Future<Output = ()> + Send {
        let span = at.since(self.now()).min(NAP);
        tokio::time::sleep(span)
    }
}

fn boottime_nanos() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}
