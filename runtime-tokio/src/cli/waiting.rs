//! How long a command waits for an answer, and that it says so.

use super::output::{Output, complain};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How long a command is silent before it says what it waits for.
const SILENT_MAX: Duration = Duration::from_secs(1);

/// How long a node may take to appear where nobody listens: long enough for a restart that is under
/// way, short enough for an endpoint that is wrong.
const NOBODY_PATIENCE: Duration = Duration::from_secs(5);

/// Longest time for one request, with all its attempts.
#[derive(Copy, Clone, Debug)]
pub(super) struct Patience {
    /// While some node listens.
    pub(super) longest: Duration,
    /// While none does.
    nobody: Duration,
}

impl Patience {
    /// What the arguments say in seconds, or `usual`, which is less where nobody listens.
    pub(super) fn new(said: Option<u64>, usual: u64) -> Self {
        let longest = Duration::from_secs(said.unwrap_or(usual));
        let nobody = match said {
            Some(_) => longest,
            None => longest.min(NOBODY_PATIENCE),
        };
        Self { longest, nobody }
    }

    /// How long to wait, by whether some node listened.
    pub(super) fn of(&self, is_heard: bool) -> Duration {
        if is_heard { self.longest } else { self.nobody }
    }
}

/// Says once what a command waits for; clones share it.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    is_told: Rc<Cell<bool>>,
}

impl Waiting {
    /// Says it to people, not to programs that read JSON.
    pub(super) fn new(output: &Output) -> Self {
        Self {
            is_told: Rc::new(Cell::new(output.is_for_programs())),
        }
    }

    /// Waits for `attempt` at a request that began at `since`; `what` was in the way of the last one.
    pub(super) async fn during<T>(
        &self,
        attempt: impl Future<Output = T>,
        since: Instant,
        what: &str,
    ) -> T {
        let mut attempt = std::pin::pin!(attempt);
        tokio::select! {
            biased;
            () = sleep_until(since + SILENT_MAX), if !self.is_told.get() => {}
            done = &mut attempt => return done,
        }
        if !self.is_told.replace(true) {
            complain(&format!("waiting: {what}"));
        }
        attempt.await
    }
}
