//! What a replica says of itself to whoever operates it: a projection that decides nothing.

use super::Chain;
use super::role::Role;
use crate::action::StopReason;
use crate::id::{ChainId, Epoch, NodeId, Seq};
use crate::liveness::Liveness;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// One chain on one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainStatus {
    /// The chain.
    pub chain: ChainId,
    /// The role of the replica.
    pub role: Role,
    /// Its epoch.
    pub epoch: Epoch,
    /// Who leads, as far as the replica knows.
    pub leader: Option<NodeId>,
    /// The first position that is retained.
    pub floor: Seq,
    /// End of the committed prefix that the replica knows.
    pub commit: Seq,
    /// End of the log.
    pub end: Seq,
    /// Entries that the leader called committed and that are not known to be here; `None`
    /// without a leader that was heard.
    pub lag: Option<u64>,
    /// Entries that are damaged and not repaired yet.
    pub unknown: u64,
    /// What a leader knows of the other members, in ascending order.
    pub followers: Vec<FollowerStatus>,
    /// Whether the store had no room for the last order.
    pub is_store_full: bool,
    /// Why the replica takes no part, if it does not.
    pub fault: Option<StopReason>,
}

/// A follower, as its leader knows it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowerStatus {
    /// The node.
    pub node: NodeId,
    /// Entries of the leader's log that are not known to be durable there.
    pub lag: u64,
}

impl Chain {
    pub(crate) fn status(&self, liveness: &Liveness) -> ChainStatus {
        let log = &self.log;
        let followers = self.lead.iter().flat_map(|lead| lead.followers.values());
        let followers = followers.map(|follower| FollowerStatus {
            node: follower.member.node,
            lag: log.end().distance(follower.acked),
        });
        let named = self
            .leader
            .and_then(|leader| liveness.row(leader, self.id, self.generation))
            .and_then(|row| row.state)
            .map(|state| state.commit.distance(self.commit));
        let lag = match self.role {
            Role::Leader => Some(0),
            Role::Idle | Role::Replica | Role::Candidate => named,
        };
        ChainStatus {
            chain: self.id,
            role: self.role,
            epoch: self.epoch,
            leader: self.leader,
            floor: log.floor(),
            commit: self.commit,
            end: log.end(),
            lag,
            unknown: log.unknown(),
            followers: followers.collect(),
            is_store_full: self.writer.is_full(),
            fault: self.fault,
        }
    }
}
