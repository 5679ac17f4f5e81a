//! What a replica says of itself to whoever operates it: a projection that decides nothing.

use super::Chain;
use super::role::Role;
use crate::action::StopReason;
use crate::id::{ChainId, Epoch, NodeId, Seq};
use crate::liveness::Liveness;
use crate::message::Row;
use crate::time::Instant;
use alloc::vec::Vec;
use core::time::Duration;
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
    /// Milliseconds that the commit of a leader has not moved while entries waited for it, as of its
    /// last heartbeat.
    pub stalled_ms: Option<u64>,
    /// Who led before and handed over because the commit did not move, since it last did; empty of a
    /// replica that does not lead.
    pub stalled_before: Vec<NodeId>,
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
    /// Entries of the leader's log that are not known to be durable there; `None` until it has said
    /// in this epoch what it has.
    pub lag: Option<u64>,
    /// Milliseconds that it has lacked something committed; `None` if it lacks nothing of it.
    pub behind_ms: Option<u64>,
    /// What it says of its replica.
    pub said: Said,
}

/// What a follower says of its replica in its present run.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Said {
    /// Nothing.
    Nothing,
    /// That it takes no part any more.
    Stopped,
    /// That its store has no space.
    Full,
    /// That it takes part.
    TakesPart,
}

impl Chain {
    pub(crate) fn status(&self, liveness: &Liveness, now: Instant) -> ChainStatus {
        let log = &self.log;
        let followers = self.lead.iter().flat_map(|lead| lead.followers.values());
        let followers = followers.map(|follower| {
            let is_known = follower.stream.is_some() || follower.acked > Seq::ZERO;
            let behind = follower.behind.since(follower.acked, self.commit);
            FollowerStatus {
                node: follower.member.node,
                lag: is_known.then(|| log.end().distance(follower.acked)),
                behind_ms: behind.map(|at| millis(now.since(at))),
                said: self.said(follower.member.node, liveness),
            }
        });
        let waiting = self.lead.as_ref().and_then(|lead| lead.commit_stands);
        let waiting = waiting.filter(|(at, _)| *at == self.commit);
        let stalled_before = self.lead.iter().flat_map(|_| self.stall.tried());
        let stalled_before = stalled_before.filter(|node| *node != self.me.node);
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
            stalled_ms: waiting.map(|(_, since)| millis(now.since(since))),
            stalled_before: stalled_before.collect(),
            followers: followers.collect(),
            is_store_full: self.writer.lacks_space(),
            fault: self.fault,
        }
    }

    fn said(&self, node: NodeId, liveness: &Liveness) -> Said {
        match liveness.said(node, self.id, self.generation) {
            None => Said::Nothing,
            Some(Row { state: None, .. }) => Said::Stopped,
            Some(Row {
                state: Some(state), ..
            }) if state.is_full => Said::Full,
            Some(Row { state: Some(_), .. }) => Said::TakesPart,
        }
    }
}

/// A span in whole milliseconds.
pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
