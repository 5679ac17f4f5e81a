//! Says the same thing in the log only now and then, whoever provokes it and however often.

use std::sync::Mutex;
use tokio::time::{Duration, Instant};

/// Something that is said no more than once in a while.
#[derive(Debug, Default)]
pub(crate) struct Rarely {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When it was said last.
    said: Option<Instant>,
    /// How often it was not, since.
    kept: u64,
}

impl Rarely {
    /// Whether it may be said now; with that, how often it was not since it last was.
    pub(crate) fn may(&self) -> Option<u64> {
        let now = Instant::now();
        let mut state = self.state.lock().expect("no holder of the state panics");
        if state.said.is_some_and(|at| now - at < PAUSE) {
            state.kept += 1;
            return None;
        }
        state.said = Some(now);
        Some(std::mem::take(&mut state.kept))
    }
}

/// Time between two times that something is said.
const PAUSE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_happens_all_the_time_is_said_once_in_a_while_with_how_often() {
        let rarely = Rarely::default();
        assert_eq!(rarely.may(), Some(0));
        for _ in 0..1_000 {
            assert_eq!(rarely.may(), None);
        }
        tokio::time::advance(PAUSE).await;
        assert_eq!(rarely.may(), Some(1_000));
        assert_eq!(rarely.may(), None);
    }
}
