//! What is asked of linearizable reads.

use super::look::Scene;
use super::reads_answer::Read;
use super::{Known, Obligations};
use crate::checks::track::ChainTrack;
use crate::model::{Host, node_id};
use meshos_core::client::Answer;
use meshos_core::replica::Chain;
use meshos_sim::machine::NodeIndex;
use meshos_sim::time::Instant;
use meshos_sim::violation::Violation;
use meshos_sim::world::View;
use std::time::Duration;

impl Obligations {
    /// A node is asked for a linearizable read.
    pub(super) fn on_read(
        &mut self,
        view: View<'_, Host>,
        (chain, state): (usize, &ChainTrack),
        (node, ticket): (NodeIndex, u64),
    ) {
        let scene = self.known.scene(view, chain, state);
        let at = view.at();
        // A node whose way to the leader has just come back learns that with the next heartbeats.
        let known = Duration::from_nanos(at.as_nanos()).saturating_sub(self.known.heartbeat * 2);
        let since = Instant::ZERO.after(known);
        if let Some(leader) = self.known.may_read(&scene, node, since) {
            let pace = self.known.ground.pace(view, &[node, leader.0]);
            let read = Read {
                chain,
                node,
                at,
                since,
                leader,
            };
            self.reads.ask(ticket, read, pace);
        }
    }

    pub(super) fn look_at_reads(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        for (ticket, read) in self.reads.asked(scene.place).collect::<Vec<_>>() {
            if self.known.may_read(scene, read.node, read.since) != Some(read.leader) {
                self.reads.release(ticket);
            }
        }
        self.reads.judge(scene.place, scene.at())
    }

    /// A read is answered.
    pub(super) fn on_read_end(
        &mut self,
        view: View<'_, Host>,
        (chain, state): (usize, &ChainTrack),
        (ticket, answer): (u64, &Answer),
    ) -> Result<(), Violation> {
        let Some(read) = self.reads.read(ticket) else {
            return Ok(());
        };
        let scene = self.known.scene(view, chain, state);
        let is_value = matches!(answer, Answer::Entries { .. });
        if !is_value && self.known.may_read(&scene, read.node, read.since) != Some(read.leader) {
            self.reads.release(ticket);
            return Ok(());
        }
        let facts = self.known.facts(&scene, &[read.node, read.leader.0]);
        self.reads.answered(ticket, answer, facts)
    }
}

impl Known {
    /// The leader, with the number of its epoch, from which `node` can learn what a linearizable
    /// read has to show, if nothing that it takes broke after `since`.
    fn may_read(
        &self,
        scene: &Scene<'_>,
        node: NodeIndex,
        since: Instant,
    ) -> Option<(NodeIndex, u64)> {
        let duty = &self.duties[scene.place];
        let voter = duty.voters.iter().position(|voter| *voter == node)?;
        let (leader, chain) = scene.leader()?;
        let (lead, n) = (duty.voters[leader], chain.epoch().n);
        let holds = |from: Option<Instant>| from.is_some_and(|from| from <= since);
        let reaches = |other: usize| {
            holds(duty.sound[other]) && holds(self.ground.hears(lead, duty.voters[other]))
        };
        let follows = |other: usize| {
            scene.replicas[other].is_some_and(|chain: &Chain| {
                chain.epoch().n == n && chain.leader() == Some(node_id(lead))
            })
        };
        let voters = 0..duty.voters.len();
        let contacts = voters.filter(|other| reaches(*other) && follows(*other));
        let is_level = duty
            .committed
            .front()
            .is_some_and(|tip| scene.is_level(voter, *tip));
        // What is before its own entries the leader has to know to be committed, and entries of
        // its own are committed by itself. Neither takes room on a disk.
        let next = chain.log().entry(chain.commit());
        let knows_all = next.is_none_or(|next| next.epoch.n == n);
        let may = self.reads_in_time
            && is_level
            && reaches(voter)
            && follows(voter)
            && duty.following[voter].is_some_and(|(_, from)| from <= since)
            && knows_all
            && contacts.count() >= duty.majority;
        may.then_some((lead, n))
    }
}
