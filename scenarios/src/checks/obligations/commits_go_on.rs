//! *commits-go-on*: while M voters work pairwise and a client asks each of them, something is
//! committed within ten seconds.
//!
//! Heartbeats that pass prove nothing: a leader whose chunks are lost, or whose disk hangs, keeps
//! its followers quiet for ever unless somebody asks for progress.

use super::ground::Majority;
use super::{Facts, allowed, names};
use meshos_sim::check::obligation::Monitor;
use meshos_sim::time::Instant;
use meshos_sim::violation::Violation;
use std::time::Duration;

/// Id of the property.
pub const ID: &str = "commits-go-on";

/// A voter that was not asked for that long is not being asked.
const ASKED: Duration = Duration::from_secs(3);

/// Which chains owe a commit.
#[derive(Clone, Debug)]
pub struct CommitsGoOn {
    owed: Monitor<usize>,
    /// When something was committed last.
    progress: Vec<Instant>,
}

/// Since when a voter is asked to append, time and again.
#[derive(Copy, Clone, Debug, Default)]
pub struct Asking {
    since: Instant,
    last: Option<Instant>,
}

impl Asking {
    /// A client asks it.
    pub fn ask(&mut self, at: Instant) {
        if self.since(at).is_none() {
            self.since = at;
        }
        self.last = Some(at);
    }

    /// It refused for a reason that lies in the request: that one asks for nothing.
    pub fn refuse(&mut self) {
        self.last = None;
    }

    /// Since when it is asked, if it is.
    pub fn since(&self, at: Instant) -> Option<Instant> {
        let last = self.last?;
        (at.since(last) <= ASKED).then_some(self.since)
    }
}

impl CommitsGoOn {
    /// Nothing is asked of `chains` chains yet.
    pub fn new(chains: usize) -> Self {
        Self {
            owed: Monitor::new(ID),
            progress: vec![Instant::ZERO; chains],
        }
    }

    /// Something was committed, or acknowledged to a client.
    pub fn commit(&mut self, chain: usize, at: Instant) {
        self.progress[chain] = at;
        self.owed.meet(&chain);
    }

    /// A fault hit who led, or was about to.
    pub fn restart(&mut self, chain: usize, at: Instant) {
        self.progress[chain] = at;
    }

    /// `majority` works and is being asked. `crossing` is how long bytes may take that have to
    /// cross first.
    ///
    /// # Errors
    /// That has been so for too long.
    pub fn asked(
        &mut self,
        chain: usize,
        majority: Option<&Majority>,
        crossing: impl FnOnce() -> Duration,
        facts: Facts<'_>,
    ) -> Result<(), Violation> {
        let Some(majority) = majority else {
            self.owed.release(&chain);
            return Ok(());
        };
        let since = self.progress[chain].max(majority.since);
        let mut bound = allowed(facts);
        if facts.at.since(since) > bound {
            bound += crossing();
        }
        self.owed.hold(chain, since, bound);
        let tell = || {
            format!(
                "{} work pairwise, a majority of chain {:?}, each of them is asked to append, \
                 and nothing is committed",
                names(&majority.members),
                facts.chain
            )
        };
        self.owed.judge(&chain, facts.at, tell)
    }
}
