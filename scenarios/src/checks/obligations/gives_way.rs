//! *gives-way*: a leader whose disk hangs while others commit without it hands leadership on.
//!
//! Commits that go on prove nothing of the leader's own store: what retention waits for there is
//! kept by everybody, and by the leader in memory.

use super::steps_down::Leadership;
use super::{Facts, allowed, names};
use meshos_sim::check::obligation::Monitor;
use meshos_sim::time::Instant;
use meshos_sim::violation::Violation;
use std::collections::BTreeMap;
use std::time::Duration;

/// Id of the property.
pub const ID: &str = "gives-way";

/// Which leaderships have to be handed on.
#[derive(Clone, Debug)]
pub struct GivesWay {
    owed: Monitor<Leadership>,
    /// Since when the disk hangs under each.
    hung: BTreeMap<Leadership, Instant>,
}

impl Default for GivesWay {
    fn default() -> Self {
        Self {
            owed: Monitor::new(ID),
            hung: BTreeMap::new(),
        }
    }
}

impl GivesWay {
    /// The leaderships of `chain` that have to be handed on.
    pub fn hung(&self, chain: usize) -> impl Iterator<Item = Leadership> {
        let all = self.hung.keys().copied();
        all.filter(move |(of, ..)| *of == chain)
    }

    /// It ended.
    pub fn end(&mut self, leadership: Leadership) {
        self.hung.remove(&leadership);
        self.owed.meet(&leadership);
    }

    /// Nothing is asked of it.
    pub fn release(&mut self, leadership: Leadership) {
        self.hung.remove(&leadership);
        self.owed.release(&leadership);
    }

    /// Its disk hangs, and a majority without it, which works since `since`, has committed more than
    /// is stored there. What has to cross before one of them is level takes `crossing`.
    ///
    /// # Errors
    /// It still leads.
    pub fn hold(
        &mut self,
        leadership: Leadership,
        (since, crossing): (Instant, Duration),
        facts: Facts<'_>,
    ) -> Result<(), Violation> {
        let hung = *self.hung.entry(leadership).or_insert(facts.at);
        let bound = facts.heartbeat * WAIT_BEATS * facts.pace + allowed(facts) + crossing;
        self.owed.hold(leadership, hung.max(since), bound);
        let tell = || {
            let (_, n, leader) = leadership;
            format!(
                "{} leads chain {:?} in epoch {n}, its disk hangs, and others commit without it",
                names(&[leader]),
                facts.chain
            )
        };
        self.owed.judge(&leadership, facts.at, tell)
    }
}

/// Heartbeats for which a leader waits for its own store, one to notice, and eight for a target to
/// become level.
const WAIT_BEATS: u32 = 33;
