//! *leader-again-now*: while M voters work pairwise, there is a leader that some majority follows
//! within ten seconds, whatever faults last elsewhere.

use super::ground::Majority;
use super::{Facts, allowed, names};
use meshos_sim::check::obligation::Monitor;
use meshos_sim::time::Instant;
use meshos_sim::violation::Violation;

/// Id of the property.
pub const ID: &str = "leader-again-now";

/// Which chains owe a leader.
#[derive(Clone, Debug)]
pub struct LeaderAgain {
    owed: Monitor<usize>,
    /// Since when nobody leads each chain.
    leaderless: Vec<Option<Instant>>,
}

impl LeaderAgain {
    /// None of `chains` chains has a leader yet.
    pub fn new(chains: usize) -> Self {
        Self {
            owed: Monitor::new(ID),
            leaderless: vec![None; chains],
        }
    }

    /// A majority follows the leader of `chain`.
    pub fn led(&mut self, chain: usize) {
        self.leaderless[chain] = None;
        self.owed.meet(&chain);
    }

    /// A fault hit who led, or was about to.
    pub fn restart(&mut self, chain: usize, at: Instant) {
        if let Some(since) = &mut self.leaderless[chain] {
            *since = at;
        }
    }

    /// Nobody leads `chain`, of which `majority` works.
    ///
    /// # Errors
    /// That has been so for too long.
    pub fn leaderless(
        &mut self,
        chain: usize,
        majority: Option<&Majority>,
        facts: Facts<'_>,
    ) -> Result<(), Violation> {
        let since = *self.leaderless[chain].get_or_insert(facts.at);
        let Some(majority) = majority else {
            self.owed.release(&chain);
            return Ok(());
        };
        let since = since.max(majority.since);
        self.owed.hold(chain, since, allowed(facts));
        let tell = || {
            format!(
                "{} work pairwise, a majority of chain {:?}, and no leader is followed by one",
                names(&majority.members),
                facts.chain
            )
        };
        self.owed.judge(&chain, facts.at, tell)
    }
}
