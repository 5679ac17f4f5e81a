//! *retains*: the bounds of count, bytes and age are met in steps, idle or busy, while a majority is
//! sound and level with a leader that has committed its tail and hears it, and the others have come
//! no nearer for long; and nothing is dropped for its age that is younger.

use super::{Facts, allowed, names};
use meshos_core::config::Retention;
use meshos_sim::check::obligation::Monitor;
use meshos_sim::machine::NodeIndex;
use meshos_sim::time::Instant;
use meshos_sim::violation::Violation;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Id of the property.
pub const ID: &str = "retains";

/// Entries above a bound that do not count: what comes while a checkpoint is written.
const SPARE: u64 = 8;
/// Looks that ages are told from; what is older counts as old enough.
const LOOKS_MAX: usize = 4_096;

/// What a replica retains.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Committed entries.
    pub entries: u64,
    /// Bytes of payload.
    pub bytes: u64,
    /// Age of the oldest committed entry by its stamp, where the voters' wall clocks are true.
    pub age_ms: Option<u64>,
    /// Entries that were committed within the last second, or are not stored yet.
    pub recent: u64,
    /// Bytes of those.
    pub recent_bytes: u64,
}

/// Which bounds a replica is past by more than a step, in words; `None` when none.
pub fn excess(retention: Retention, kept: Kept) -> Option<String> {
    let past = |bound: u64, kept: u64, spare: u64| kept > bound + bound / 2 + spare;
    if let Some(bound) = retention.entries_max
        && past(bound, kept.entries, kept.recent + SPARE)
    {
        return Some(format!("{} entries of at most {bound}", kept.entries));
    }
    if let Some(bound) = retention.bytes_max
        && past(bound, kept.bytes, kept.recent_bytes)
    {
        return Some(format!("{} bytes of at most {bound}", kept.bytes));
    }
    if let Some(bound) = retention.age_max_ms
        && let Some(age) = kept.age_ms
        && past(bound, age, 2_000)
    {
        return Some(format!("an entry of {age} ms of at most {bound}"));
    }
    None
}

/// Where the log of a chain ended, look by look.
#[derive(Clone, Debug, Default)]
pub struct Ages {
    looks: VecDeque<(u64, Instant)>,
}

impl Ages {
    /// No log reaches further than `end`.
    pub fn look(&mut self, end: u64, at: Instant) {
        if self.looks.back().is_some_and(|(last, _)| *last >= end) {
            return;
        }
        if self.looks.len() == LOOKS_MAX {
            self.looks.pop_front();
        }
        self.looks.push_back((end, at));
    }

    /// At most how old the entry at `seq` is; `None` when that can no longer be told.
    pub fn age_max(&self, seq: u64, at: Instant) -> Option<Duration> {
        // The first look that saw the entry: it did not exist at the one before.
        let seen = self.looks.iter().position(|(end, _)| *end > seq)?;
        let before = self.looks.get(seen.checked_sub(1)?)?;
        Some(at.since(before.1))
    }
}

/// Whether an entry of at most that age is too young to be dropped for it.
pub fn is_too_young(age: Duration, age_max_ms: u64) -> bool {
    let bound = Duration::from_millis(age_max_ms);
    // Stamps are estimates, and clocks drift meanwhile.
    age + Duration::from_secs(10) + bound / 20 < bound
}

/// Who retains too much.
#[derive(Clone, Debug)]
pub struct Retains {
    owed: Monitor<(usize, NodeIndex)>,
    since: BTreeMap<(usize, NodeIndex), Instant>,
}

impl Default for Retains {
    fn default() -> Self {
        Self {
            owed: Monitor::new(ID),
            since: BTreeMap::new(),
        }
    }
}

impl Retains {
    /// A replica keeps to its bounds.
    pub fn keeps(&mut self, chain: usize, node: NodeIndex) {
        self.since.remove(&(chain, node));
        self.owed.meet(&(chain, node));
    }

    /// A replica cannot be asked to.
    pub fn release(&mut self, chain: usize, node: NodeIndex) {
        self.since.remove(&(chain, node));
        self.owed.release(&(chain, node));
    }

    /// A replica could keep to its bounds and is past one of them.
    ///
    /// # Errors
    /// It has been for too long.
    pub fn hold(
        &mut self,
        (chain, node): (usize, NodeIndex),
        excess: &str,
        facts: Facts<'_>,
    ) -> Result<(), Violation> {
        let since = *self.since.entry((chain, node)).or_insert(facts.at);
        self.owed.hold((chain, node), since, allowed(facts));
        let tell = || {
            format!(
                "{} is level with the leader of chain {:?}, which has nobody to wait for, and \
                 retains {excess}",
                names(&[node]),
                facts.chain
            )
        };
        self.owed.judge(&(chain, node), facts.at, tell)
    }

    /// A replica dropped an entry that only its age could condemn.
    ///
    /// # Errors
    /// It was too young.
    pub fn dropped(
        &self,
        (node, seq): (NodeIndex, u64),
        age: Duration,
        age_max_ms: u64,
        chain: &str,
    ) -> Result<(), Violation> {
        if !is_too_young(age, age_max_ms) {
            return Ok(());
        }
        let text = format!(
            "{} dropped entry {seq} of chain {chain:?}, {} ms old at most, for an age of \
             {age_max_ms} ms, though the clocks of a majority never left the true time",
            names(&[node]),
            age.as_millis()
        );
        self.owed.forbid(text)
    }
}
