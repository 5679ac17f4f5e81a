//! *pinned-leads*: the pinned voter of a chain leads within the pause between two transfers and
//! ten seconds more, while it lives, is level and works with M voters.

use super::{Facts, allowed, names};
use meshos_sim::check::obligation::Monitor;
use meshos_sim::machine::NodeIndex;
use meshos_sim::time::Instant;
use meshos_sim::violation::Violation;
use std::time::Duration;

/// Id of the property.
pub const ID: &str = "pinned-leads";

/// Which chains owe leadership to their pinned voter.
#[derive(Clone, Debug)]
pub struct PinnedLeads {
    owed: Monitor<usize>,
    since: Vec<Option<Instant>>,
    pause: Duration,
}

impl PinnedLeads {
    /// Transfers to a pinned voter are `pause` apart.
    pub fn new(chains: usize, pause: Duration) -> Self {
        Self {
            owed: Monitor::new(ID),
            since: vec![None; chains],
            pause,
        }
    }

    /// The pinned voter leads.
    pub fn leads(&mut self, chain: usize) {
        self.since[chain] = None;
        self.owed.meet(&chain);
    }

    /// The pinned voter cannot be asked to lead.
    pub fn release(&mut self, chain: usize) {
        self.since[chain] = None;
        self.owed.release(&chain);
    }

    /// The pinned voter could lead and does not.
    ///
    /// # Errors
    /// That has been so for too long.
    pub fn hold(
        &mut self,
        chain: usize,
        pinned: NodeIndex,
        facts: Facts<'_>,
    ) -> Result<(), Violation> {
        let since = *self.since[chain].get_or_insert(facts.at);
        let bound = self.pause * facts.pace + allowed(facts);
        self.owed.hold(chain, since, bound);
        let tell = || {
            format!(
                "{}, pinned to lead chain {:?}, is level and works with a majority, and does \
                 not lead",
                names(&[pinned]),
                facts.chain
            )
        };
        self.owed.judge(&chain, facts.at, tell)
    }
}
