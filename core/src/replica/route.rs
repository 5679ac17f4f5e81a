//! Messages and rows of one chain: who may say what, and which epochs are adopted (R1, D13d, D23).

use super::overtake::Chunk;
use super::role::Role;
use super::vote::VoteRequest;
use super::{Chain, StepContext, same_member};
use crate::count::Count;
use crate::id::{Member, NodeId, Replica, Run};
use crate::message::{Body, ChainMessage, Confirm, ReplicaMessage, RowState};

impl Chain {
    /// A message of this chain and creation of it arrived from a founding store.
    pub(crate) fn on_message(
        &mut self,
        from: Run,
        message: &ChainMessage,
        cx: &mut StepContext<'_>,
    ) {
        if self.fault.is_some() {
            return;
        }
        if message.to != self.me.replica {
            return cx.count(Count::WrongReplica);
        }
        let sender = Member {
            node: from.node,
            store: from.store,
            replica: message.from,
        };
        let is_member = self.member(from.node) == Some(&sender);
        let traits = message.content.traits();
        if let ReplicaMessage::VoteRequest {
            round,
            purpose,
            asked,
            last_epoch,
            tail,
            attempt,
        } = message.content
        {
            let request = VoteRequest {
                round,
                purpose,
                asked,
                last_epoch,
                tail,
                attempt,
            };
            return self.on_vote_request(from, message.from, request, cx);
        }
        if is_member && self.is_repair(&message.content) {
            return self.on_repair_part(from.node, &message.content, cx);
        }
        if message.epoch.n > self.epoch.n && (is_member || traits.is_of_leader) {
            if let ReplicaMessage::VoteReply { granted: false, .. } = message.content {
                self.ask_again(message.epoch, cx);
            } else {
                self.adopt(message.epoch, cx);
            }
        }
        if message.epoch.n < self.epoch.n && !traits.is_epochless {
            cx.count(Count::OlderEpoch);
            if traits.is_answered_when_outdated {
                self.send_to_member(&sender, ReplicaMessage::Outdated, cx);
            }
            return;
        }
        self.on_content(from, message, cx);
    }

    fn on_content(&mut self, from: Run, message: &ChainMessage, cx: &mut StepContext<'_>) {
        let replica = message.from;
        let sender = Member {
            node: from.node,
            store: from.store,
            replica,
        };
        match &message.content {
            // Requests for votes were taken before; an `Outdated` did all it can by its epoch.
            ReplicaMessage::VoteRequest { .. } | ReplicaMessage::Outdated => {}
            &ReplicaMessage::VoteReply {
                round,
                asked,
                granted,
                attempt,
            } => {
                self.on_vote_reply(from, replica, (round, asked, granted, attempt), cx);
            }
            &ReplicaMessage::Pull {
                since,
                durable,
                attempt,
                number,
            } => {
                let heard = (from.incarnation, number);
                self.on_pull(from, replica, since, durable, attempt, heard, cx);
            }
            ReplicaMessage::Chunk { .. }
            | ReplicaMessage::Conflict { .. }
            | ReplicaMessage::InstallSnapshot { .. }
            | ReplicaMessage::Regressed { .. }
            | ReplicaMessage::TransferNow { .. } => self.on_leader_content(from, message, cx),
            &ReplicaMessage::Fetch {
                from: first,
                end,
                attempt,
            } => {
                self.on_fetch(&sender, first, end, attempt, cx);
            }
            ReplicaMessage::Fetched {
                attempt,
                since,
                entries,
            } => {
                if attempt.incarnation != cx.me.incarnation {
                    cx.count(Count::StaleAnswer);
                } else if self.log.unknown() > 0 {
                    self.on_fetched(*since, entries, cx);
                } else if self.member(from.node) == Some(&sender) {
                    self.on_help(from.node, *attempt, (*since, entries), cx);
                }
            }
            &ReplicaMessage::CatchUp { since, attempt } => {
                self.on_catch_up(&sender, since, attempt, cx);
            }
            &ReplicaMessage::SnapshotRequest {
                attempt,
                checkpoint,
                offset,
            } => self.on_snapshot_request(&sender, attempt, (checkpoint, offset), cx),
        }
    }

    /// Takes what only a leader says, from whoever leads the present epoch.
    fn on_leader_content(&mut self, from: Run, message: &ChainMessage, cx: &mut StepContext<'_>) {
        // Whoever was asked for a repair sends checkpoints, too, so only an answer to what the
        // leader was asked shows a leader.
        if let ReplicaMessage::InstallSnapshot { attempt, .. } = &message.content
            && !self.is_live(*attempt)
        {
            return cx.count(Count::ResetIgnored);
        }
        if !self.hears_leader(from, message, cx) {
            return;
        }
        match &message.content {
            ReplicaMessage::Chunk {
                attempt,
                since,
                entries,
                commit,
                floor,
            } => {
                let chunk = Chunk {
                    attempt: *attempt,
                    since: *since,
                    entries: entries.clone(),
                    told: (*commit, *floor),
                };
                self.on_chunk(chunk, cx);
            }
            &ReplicaMessage::Conflict {
                attempt,
                failed,
                hint,
                hint_epoch,
                differs,
            } => self.on_conflict(attempt, failed, (hint, hint_epoch, differs), cx),
            part @ ReplicaMessage::InstallSnapshot { .. } => {
                self.on_snapshot_part(from.node, part, cx);
            }
            &ReplicaMessage::Regressed { acknowledged } => self.on_regressed(acknowledged, cx),
            ReplicaMessage::TransferNow { tried, pause_ms } => {
                self.on_transfer_now(tried, *pause_ms, cx);
            }
            ReplicaMessage::VoteRequest { .. }
            | ReplicaMessage::VoteReply { .. }
            | ReplicaMessage::Pull { .. }
            | ReplicaMessage::Outdated
            | ReplicaMessage::Fetch { .. }
            | ReplicaMessage::Fetched { .. }
            | ReplicaMessage::CatchUp { .. }
            | ReplicaMessage::SnapshotRequest { .. } => {}
        }
    }

    /// Whether a message that only a leader sends comes from the leader of the present epoch.
    fn hears_leader(
        &mut self,
        from: Run,
        message: &ChainMessage,
        cx: &mut StepContext<'_>,
    ) -> bool {
        if message.epoch.n != self.epoch.n || message.epoch.node != from.node {
            return false;
        }
        self.follow_leader(from.node, cx);
        if self.fault.is_some() || self.role != Role::Replica {
            return false;
        }
        self.leader_seen = cx.now;
        true
    }

    /// A peer's row of this chain arrived; `run` is the peer's present one.
    pub(crate) fn on_row(
        &mut self,
        run: Run,
        replica: Replica,
        row: RowState,
        cx: &mut StepContext<'_>,
    ) {
        if self.fault.is_some() {
            return;
        }
        if !self
            .member(run.node)
            .is_some_and(|member| same_member(member, run, replica))
        {
            return cx.count(Count::WrongReplica);
        }
        if let Some(durable) = row.durable {
            self.serving.hear_row(run.node, durable, cx);
        }
        if row.epoch.n > self.epoch.n {
            self.adopt(row.epoch, cx);
        }
        if row.role != Role::Leader {
            return;
        }
        if row.epoch.n < self.epoch.n {
            cx.count(Count::OlderEpoch);
            let sender = Member {
                node: run.node,
                store: run.store,
                replica,
            };
            return self.send_to_member(&sender, ReplicaMessage::Outdated, cx);
        }
        if row.epoch.node != run.node {
            return;
        }
        self.follow_leader(run.node, cx);
        if self.fault.is_none() && self.role == Role::Replica {
            self.learn_commit(row.commit, cx);
            self.follow.floor = self.follow.floor.max(row.floor);
            self.watch_progress(row, cx);
        }
    }

    /// A leader asks whether it is still followed (D16).
    pub(crate) fn on_confirm(
        &mut self,
        from: Run,
        confirm: &Confirm,
        cx: &mut StepContext<'_>,
    ) -> bool {
        if self.fault.is_some() || confirm.voter != self.me.replica {
            return false;
        }
        let leader = Member {
            node: from.node,
            store: from.store,
            replica: confirm.leader,
        };
        if confirm.epoch.n < self.epoch.n {
            cx.count(Count::OlderEpoch);
            self.send_to_member(&leader, ReplicaMessage::Outdated, cx);
            return false;
        }
        if confirm.epoch.n > self.epoch.n {
            self.adopt(confirm.epoch, cx);
        }
        if confirm.epoch.node != from.node {
            return false;
        }
        self.follow_leader(from.node, cx);
        // Only the durable promise to this very epoch proves that no later one has a majority.
        self.fault.is_none() && self.leader == Some(from.node) && self.is_settled()
    }

    /// Says something to one member.
    pub(crate) fn send_to_member(
        &self,
        to: &Member,
        content: ReplicaMessage,
        cx: &mut StepContext<'_>,
    ) {
        let message = ChainMessage {
            chain: self.id,
            generation: self.generation,
            from: self.me.replica,
            to: to.replica,
            epoch: self.epoch,
            content,
        };
        cx.send(to.node, Body::Chain(message));
    }

    /// Says something to a node, if it is a member.
    pub(crate) fn send_to_node(
        &self,
        to: NodeId,
        content: ReplicaMessage,
        cx: &mut StepContext<'_>,
    ) {
        if let Some(&member) = self.member(to) {
            self.send_to_member(&member, content, cx);
        }
    }
}
