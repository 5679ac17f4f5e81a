//! How long a command waits for an answer, and that it says so.

use super::output::{Output, complain};
use std::cell::RefCell;
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

/// How long a command is silent after that, until it waits for something else.
const SAME_MIN: Duration = Duration::from_secs(5);

/// Says what a command waits for, and later what else if it is something else; clones share it.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    /// What was said last, and when; `None` to programs, which are told nothing.
    told: Option<Rc<RefCell<Told>>>,
}

#[derive(Debug, Default)]
struct Told {
    what: String,
    at: Option<Instant>,
}

impl Waiting {
    /// Says it to people, not to programs that read JSON.
    pub(super) fn new(output: &Output) -> Self {
        let told = (!output.is_for_programs()).then(Rc::default);
        Self { told }
    }

    /// When to say `what`, if it was not said last.
    fn due(&self, since: Instant, what: &str) -> Option<Instant> {
        let told = self.told.as_ref()?.borrow();
        match told.at {
            Some(_) if told.what == what => None,
            Some(at) => Some(at + SAME_MIN),
            None => Some(since + SILENT_MAX),
        }
    }

    /// Says it unless a clone did meanwhile.
    fn tell(&self, what: &str) {
        let Some(mut told) = self.told.as_ref().map(|told| told.borrow_mut()) else {
            return;
        };
        let now = Instant::now();
        if told.at.is_some_and(|at| now < at + SAME_MIN) {
            return;
        }
        told.at = Some(now);
        if told.what != what {
            what.clone_into(&mut told.what);
            complain(&format!("waiting: {what}"));
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
        let Some(due) = self.due(since, what) else {
            return attempt.await;
        };
        tokio::select! {
            biased;
            () = sleep_until(due) => {}
            done = &mut attempt => return done,
        }
        self.tell(what);
        attempt.await
    }
}
