//! How long to wait for bulk before asking again.

use crate::time::Instant;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// A wait for something that may be large and may come over a slow link: each time that it is in
/// vain it is twice as long, up to the greater of eight heartbeats and twice the time that the last
/// piece took.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Patience {
    /// How often it was in vain since something came.
    tried: u32,
    /// Since when the next piece is waited for.
    since: Option<Instant>,
    /// How long the last piece took.
    took: Duration,
}

impl Patience {
    /// Something is waited for, unless it already is.
    pub(super) fn begin(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// A piece came, and the next one is waited for.
    pub(super) fn answered(&mut self, now: Instant) {
        if let Some(since) = self.since.replace(now) {
            self.took = now.since(since);
        }
        self.tried = 0;
    }

    /// It was waited in vain.
    pub(super) fn ask_again(&mut self) {
        self.tried = self.tried.saturating_add(1);
    }

    /// Nothing is waited for.
    pub(super) fn end(&mut self) {
        self.tried = 0;
        self.since = None;
    }

    /// Whether something is waited for.
    pub(super) fn is_waiting(&self) -> bool {
        self.since.is_some()
    }

    /// Whether it was waited in vain since something came.
    pub(super) fn is_tried(&self) -> bool {
        self.tried > 0
    }

    /// How long the last piece took.
    pub(super) fn took(&self) -> Duration {
        self.took
    }

    /// How long to wait now, where the first wait is `first`.
    pub(super) fn wait(&self, first: Duration, heartbeat: Duration) -> Duration {
        let longest = (heartbeat * 8).max(self.took.saturating_mul(2));
        let doubled = first.saturating_mul(1 << self.tried.min(TRIED_MAX));
        doubled.min(longest)
    }
}

/// Doublings that may matter: no wait is a million times its first one.
const TRIED_MAX: u32 = 20;
