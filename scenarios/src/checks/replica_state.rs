//! What the checks remember of a replica from one step to the next.

use meshos_core::action::StopReason;
use meshos_core::chain::entry::LogPosition;
use meshos_core::chain::order::Vote;
use meshos_core::id::{Epoch, NodeId, Seq};
use meshos_core::replica::Chain;
use meshos_core::replica::role::Role;

/// The state of one replica after a step, as far as any check compares it.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplicaState {
    /// The present epoch.
    pub epoch: Epoch,
    /// Whom it votes for in it.
    pub voted: Option<NodeId>,
    /// The durable promise, as the replica believes.
    pub promised: Vote,
    /// The role.
    pub role: Role,
    /// The leader it follows.
    pub leader: Option<NodeId>,
    /// Why it takes no part.
    pub fault: Option<StopReason>,
    /// Whether a checkpoint replaces its log.
    pub resetting: bool,
    /// Whether repaired entries are not in its store yet.
    pub repairing: bool,
    /// Cuts and resets so far in this run.
    pub truncations: u64,
    /// Unknown entries.
    pub unknown: u64,
    /// The checkpoint's end.
    pub floor: LogPosition,
    /// What it compared with its leader.
    pub verified: Seq,
    /// What it believes committed.
    pub commit: Seq,
    /// The end of its log.
    pub tip: LogPosition,
    /// The end of what it believes durable.
    pub durable: LogPosition,
    /// What it believes stored as committed.
    pub stored: Seq,
}

impl ReplicaState {
    /// A replica as it is now.
    pub fn of(chain: &Chain) -> Self {
        let log = chain.log();
        Self {
            epoch: chain.epoch(),
            voted: chain.voted(),
            promised: chain.promised(),
            role: chain.role(),
            leader: chain.leader(),
            fault: chain.fault(),
            resetting: chain.is_resetting(),
            repairing: chain.is_repairing(),
            truncations: log.truncations(),
            unknown: log.unknown(),
            floor: log.checkpoint().floor,
            verified: chain.verified(),
            commit: chain.commit(),
            tip: log.tip(),
            durable: log.durable(),
            stored: chain.stored_commit(),
        }
    }

    /// Whether the replica is still as it was; what a step changes most often comes first.
    #[inline]
    pub fn is_of(&self, chain: &Chain) -> bool {
        let log = chain.log();
        self.commit == chain.commit()
            && self.durable.end == log.durable().end
            && self.stored == chain.stored_commit()
            && self.tip.hash == log.tip().hash
            && self.verified == chain.verified()
            && self.truncations == log.truncations()
            && self.epoch == chain.epoch()
            && self.role == chain.role()
            && self.leader == chain.leader()
            && self.voted == chain.voted()
            && self.promised == chain.promised()
            && self.fault == chain.fault()
            && self.floor.end == log.floor()
            && self.unknown == log.unknown()
            && self.resetting == chain.is_resetting()
    }
}
