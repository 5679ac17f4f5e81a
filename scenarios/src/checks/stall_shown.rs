//! *stall-shown*: a leader that cannot commit says so in its status, and for how long.

use meshos_core::id::Seq;
use meshos_sim::time::Instant;
use meshos_sim::violation::Violation;
use std::time::Duration;

/// Id of the property.
pub const ID: &str = "stall-shown";

/// What one leader has not committed, all by its own clock.
#[derive(Copy, Clone, Debug, Default)]
pub struct Waiting {
    /// What is committed, and since when entries have waited for more.
    since: Option<(Seq, Instant)>,
    /// When it last looked around: whoever sleeps sees nothing.
    looked: Option<Instant>,
}

impl Waiting {
    /// Its log ends at `end`, and what is before `commit` is committed.
    pub fn changed(&mut self, commit: Seq, end: Seq, now: Instant) {
        let same = self.since.filter(|(at, _)| *at == commit);
        if same.is_none() {
            self.looked = Some(now);
        }
        self.since = (commit < end).then(|| same.unwrap_or((commit, now)));
    }

    /// It does not lead, or leads anew.
    pub fn ended(&mut self) {
        *self = Self::default();
    }

    /// For how long entries have waited, if it looked at least every other `heartbeat`.
    pub fn for_how_long(&mut self, now: Instant, heartbeat: Duration) -> Option<Duration> {
        let (_, since) = self.since.as_mut()?;
        let looked = self.looked.replace(now).unwrap_or(now);
        if now.since(looked) > heartbeat * 2 {
            *since = now;
        }
        Some(now.since(*since))
    }
}

/// Entries of a leader have waited for `waited`, and its status shows `shown`.
///
/// # Errors
/// It shows nothing, or much less.
pub fn observe(
    waited: Duration,
    heartbeat: Duration,
    shown: impl FnOnce() -> Option<u64>,
) -> Result<(), Violation> {
    let least = waited.saturating_sub(heartbeat * LOOKS).as_millis();
    if least == 0 {
        return Ok(());
    }
    let shown = shown().map(u128::from);
    if shown.is_some_and(|shown| shown >= least) {
        return Ok(());
    }
    let text = format!(
        "entries of a leader have waited for {} ms, and its status shows {shown:?}",
        waited.as_millis()
    );
    Err(Violation::new(ID, text))
}

/// Heartbeats after which a leader has looked.
const LOOKS: u32 = 4;
