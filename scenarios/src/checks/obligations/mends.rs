//! *mends*: a replica gets an unknown entry back, or a checkpoint in its place, while another
//! member has what proves it.

use super::{Facts, names};
use meshos_sim::check::obligation::Monitor;
use meshos_sim::machine::NodeIndex;
use meshos_sim::time::Instant;
use meshos_sim::violation::Violation;
use std::collections::BTreeMap;
use std::time::Duration;

/// Id of the property.
pub const ID: &str = "mends";

/// A damaged replica: the chain, and the node.
pub type Damaged = (usize, NodeIndex);

/// What one lacks, and who could give some of it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Since when the helper could.
    pub since: Instant,
    /// A member that holds the end of an unknown run, or has a checkpoint behind it.
    pub helper: NodeIndex,
    /// How many entries are unknown.
    pub unknown: u64,
}

/// Which replicas are damaged and could be mended.
#[derive(Clone, Debug)]
pub struct Mends {
    owed: Monitor<Damaged>,
    damaged: BTreeMap<Damaged, Damage>,
}

impl Default for Mends {
    fn default() -> Self {
        Self {
            owed: Monitor::new(ID),
            damaged: BTreeMap::new(),
        }
    }
}

impl Mends {
    /// The damage of a replica that could be mended at the last look.
    pub fn damage(&self, replica: Damaged) -> Option<Damage> {
        self.damaged.get(&replica).copied()
    }

    /// Some of its unknown entries are known now, or needless.
    pub fn mend(&mut self, replica: Damaged) {
        self.damaged.remove(&replica);
        self.owed.meet(&replica);
    }

    /// Nobody can help it, or nothing is unknown that was.
    pub fn release(&mut self, replica: Damaged) {
        self.damaged.remove(&replica);
        self.owed.release(&replica);
    }

    /// Its helper could mend it; what it gives takes `crossing`, and so many questions may be
    /// `asked` before, with the longest wait for each: one of each peer for each run.
    ///
    /// # Errors
    /// It has been able to for too long.
    pub fn hold(
        &mut self,
        replica: Damaged,
        damage: Damage,
        (crossing, asked): (Duration, u32),
        facts: Facts<'_>,
    ) -> Result<(), Violation> {
        self.damaged.insert(replica, damage);
        let bound =
            ((facts.heartbeat * 8).saturating_mul(asked.saturating_add(1)) + crossing) * facts.pace;
        self.owed.hold(replica, damage.since, bound);
        let tell = || {
            format!(
                "{} lacks {} entries of chain {:?}, and {} has what mends one of them",
                names(&[replica.1]),
                damage.unknown,
                facts.chain,
                names(&[damage.helper])
            )
        };
        self.owed.judge(&replica, facts.at, tell)
    }
}
