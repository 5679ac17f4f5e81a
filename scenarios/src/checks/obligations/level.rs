//! *level*: a member that works with the leader, which does not change, has the leader's log
//! within ten seconds, three times what the bytes take that it lacked, and one and a half times
//! what those take that were appended since.
//!
//! What is appended counts for less than what it lacked, or a load of a third of what the link
//! carries would put off the end for ever.

use super::{Facts, allowed, names};
use meshos_sim::check::obligation::Monitor;
use meshos_sim::machine::NodeIndex;
use meshos_sim::time::Instant;
use meshos_sim::violation::Violation;
use std::collections::BTreeMap;
use std::time::Duration;

/// Id of the property.
pub const ID: &str = "level";

/// A member of a chain that is behind its leader: the chain, the epoch number, the member.
pub type Laggard = (usize, u64, NodeIndex);

/// Who is behind.
#[derive(Clone, Debug)]
pub struct Level {
    owed: Monitor<Laggard>,
    loads: BTreeMap<Laggard, Load>,
}

/// What has to cross before a member is level.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// Since when the member is behind under this leader.
    pub since: Instant,
    /// What it lacked then.
    pub lacked: Bulk,
    /// What was appended since.
    pub appended: Bulk,
}

/// Bytes that have to cross.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Bulk {
    /// Bytes over the member's own link.
    pub bytes: u64,
    /// Bytes that leave the leader for everybody, this member included.
    pub budget: u64,
    /// Messages, each of which may have to be stored before the next one leaves.
    pub messages: u64,
}

/// How fast it can cross.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Speed {
    /// Bytes that the member's link carries in a millisecond; `None` is no limit.
    pub link_per_ms: Option<u64>,
    /// Bytes that the leader may send in a millisecond.
    pub budget_per_ms: u64,
    /// The longest time for a message, its sync and its acknowledgement.
    pub trip: Duration,
}

impl Default for Level {
    fn default() -> Self {
        Self {
            owed: Monitor::new(ID),
            loads: BTreeMap::new(),
        }
    }
}

/// Three times what a member lacked takes, and one and a half times what was appended since.
pub fn crossing(load: Load, speed: Speed) -> Duration {
    3 * takes(load.lacked, speed) + 3 * takes(load.appended, speed) / 2
}

/// How long `bulk` takes once.
pub(super) fn takes(bulk: Bulk, speed: Speed) -> Duration {
    let link = speed
        .link_per_ms
        .map_or(0, |per_ms| bulk.bytes / per_ms.max(1));
    let budget = bulk.budget / speed.budget_per_ms.max(1);
    let messages = u32::try_from(bulk.messages).unwrap_or(u32::MAX);
    let trips = speed.trip.saturating_mul(messages);
    Duration::from_millis(link.saturating_add(budget)).saturating_add(trips)
}

impl Level {
    /// Members of `chain` that are behind.
    pub fn laggards(&self, chain: usize) -> impl Iterator<Item = Laggard> {
        let all = self.loads.keys();
        all.copied().filter(move |(of, ..)| *of == chain)
    }

    /// What had to cross so far for a member that is behind.
    pub fn load(&self, laggard: Laggard) -> Option<Load> {
        self.loads.get(&laggard).copied()
    }

    /// A member begins to be behind, and lacks so much.
    pub fn begin(&mut self, laggard: Laggard, since: Instant, lacked: Bulk) -> Load {
        let appended = Bulk::default();
        *self.loads.entry(laggard).or_insert(Load {
            since,
            lacked,
            appended,
        })
    }

    /// So much was appended while the member was behind since `load`.
    pub fn grow(&mut self, laggard: Laggard, load: Load, more: Bulk) -> Load {
        let appended = Bulk {
            bytes: load.appended.bytes + more.bytes,
            budget: load.appended.budget + more.budget,
            messages: load.appended.messages + more.messages,
        };
        let load = Load { appended, ..load };
        self.loads.insert(laggard, load);
        load
    }

    /// The member has what its leader has.
    pub fn level(&mut self, laggard: Laggard) {
        self.loads.remove(&laggard);
        self.owed.meet(&laggard);
    }

    /// The member, its leader or the way between them fails.
    pub fn release(&mut self, laggard: Laggard) {
        self.loads.remove(&laggard);
        self.owed.release(&laggard);
    }

    /// The member is behind, and `load` had to cross since it is.
    ///
    /// # Errors
    /// It has been for too long.
    pub fn hold(
        &mut self,
        laggard: Laggard,
        load: Load,
        speed: Speed,
        facts: Facts<'_>,
    ) -> Result<(), Violation> {
        let bound = allowed(facts) + crossing(load, speed) * facts.pace;
        self.owed.hold(laggard, load.since, bound);
        let tell = || {
            let (_, n, member) = laggard;
            format!(
                "{} hears the leader of epoch {n} of chain {:?} and is heard by it, lacked {} \
                 bytes, {} were appended since, and it is not level",
                names(&[member]),
                facts.chain,
                load.lacked.bytes,
                load.appended.bytes
            )
        };
        self.owed.judge(&laggard, facts.at, tell)
    }
}
