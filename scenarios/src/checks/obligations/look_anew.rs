//! What is looked at while members start anew from a checkpoint.

use super::look::Scene;
use super::one_checkpoint::{Sent, Stream};
use super::{Known, Obligations};
use crate::checks::track::ChainTrack;
use crate::model::{Host, node_index};
use meshos_core::id::{NodeId, Seq};
use meshos_core::replica::Chain;
use meshos_core::replica::role::Role;
use meshos_sim::machine::NodeIndex;
use meshos_sim::time::Instant;
use meshos_sim::violation::Violation;
use meshos_sim::world::View;
use std::time::Duration;

/// What a leader keeps for a member in any case, with the heads of the entries.
const KEPT_BYTES: u64 = 1 << 20;
/// When a store that was full is tried again at the latest, and its node has said so.
const RETRIED: Duration = Duration::from_secs(3);
/// More than what an entry costs in a message besides its payload.
const HEAD: u64 = 256;

impl Obligations {
    /// A checkpoint of `chain`, or a part of one, leaves its leader for a member.
    pub(in crate::checks) fn on_checkpoint(
        &mut self,
        (chain, member): (usize, NodeId),
        sent: Sent,
        at: Instant,
    ) -> Result<(), Violation> {
        let stream = (chain, node_index(member));
        let duty = &mut self.known.duties[chain];
        if let Some(voter) = duty.voters.iter().position(|node| *node == stream.1) {
            duty.nearing[voter].is_sent(sent.floor, at);
        }
        let before = self.checkpoints.sent(stream);
        let before = before.filter(|(before, _)| before.leader != sent.leader);
        let carries = self.known.ground.carries(sent.leader, stream.1);
        let since = carries.map(|since| since.after(self.known.heartbeat * 2));
        let is_known = before.is_none_or(|(_, led)| since.is_some_and(|since| since <= led));
        let is_calm = is_known && self.known.is_calm(stream, sent.leader, at);
        self.checkpoints.send(stream, sent, at, is_calm)
    }

    /// A member says what it has, perhaps enough for retention not to reach it any more.
    pub(in crate::checks) fn on_pull(
        &mut self,
        view: View<'_, Host>,
        (chain, track): (usize, &ChainTrack),
        (member, has): (NodeIndex, Seq),
    ) {
        let Some((sent, _)) = self.checkpoints.sent((chain, member)) else {
            return;
        };
        let leader = view.node(sent.leader).and_then(Host::node);
        if let Some(replica) = leader.and_then(|node| node.chain(track.id))
            && is_near(replica, has)
        {
            self.checkpoints.near((chain, member));
        }
    }

    pub(super) fn look_at_checkpoints(&mut self, scene: &Scene<'_>) {
        for (stream, sent) in self.checkpoints.served(scene.place).collect::<Vec<_>>() {
            let replica = |node: NodeIndex| scene.replica(&self.known, node);
            let is_calm = self.known.is_calm(stream, sent.leader, scene.at());
            let Some(leader) = replica(sent.leader).filter(|_| is_calm) else {
                self.checkpoints.release(stream);
                continue;
            };
            if leader.role() == Role::Leader && leader.epoch().n == sent.n {
                self.checkpoints.leads(stream, scene.at());
            }
            let log = leader.log();
            let kept = log.bytes() + log.end().distance(log.floor()) * HEAD;
            let has = replica(stream.1).map_or(Seq::ZERO, |chain| chain.log().end());
            if is_near(leader, has) {
                self.checkpoints.near(stream);
            } else if kept > KEPT_BYTES {
                self.checkpoints.release(stream);
            }
        }
    }
}

/// Whether a member that has so much has the younger half of what its leader keeps.
fn is_near(leader: &Chain, has: Seq) -> bool {
    let (floor, end) = (leader.log().floor(), leader.log().end());
    has >= floor && end.distance(has) * 2 <= end.distance(floor)
}

impl Known {
    /// Whether all voters of a chain are sound and work with its leader, those that are not served
    /// for so long that it knows: one that is not heard, or was full, would end the wait. What is
    /// sent to the one that is served arrives at last, however slowly.
    fn is_calm(&self, (chain, member): Stream, leader: NodeIndex, at: Instant) -> bool {
        let duty = &self.duties[chain];
        let is_calm = |voter: &NodeIndex| {
            let fit = self.ground.fit(*voter);
            let works = match *voter == member {
                true => self.ground.carries(leader, *voter),
                false => {
                    let works = self.ground.works(leader, *voter);
                    works.filter(|since| since.after(self.heartbeat * 2) <= at)
                }
            };
            works.is_some() && fit.is_some_and(|since| since.after(RETRIED) <= at)
        };
        duty.sound.iter().all(Option::is_some) && duty.voters.iter().all(is_calm)
    }
}
