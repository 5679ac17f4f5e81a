//! Handing leadership over: on request, to a pinned leader, before a stop, from a store that is
//! full, and from a leader that cannot commit.
//!
//! A transfer is said to have happened only when the target's claim is seen: the word to it may
//! be lost, its requests may be, and another may win meanwhile.

use super::append::Origin;
use super::stall::Stall;
use super::{Chain, Lead, StepContext};
use crate::client::Reason;
use crate::count::Count;
use crate::deadline::Timer;
use crate::id::{NodeId, Seq};
use crate::message::{Forwarded, Purpose, ReplicaMessage};
use alloc::vec::Vec;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// A transfer under way: no appends are taken until it ends.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub(super) struct Transfer {
    target: NodeId,
    cause: Cause,
    /// Whether the target was told to seek election.
    told: bool,
    /// The commit when it began.
    commit: Seq,
    waiting: Vec<Origin>,
}

/// Why leadership is handed over.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Cause {
    /// A client, an operator or a pin names the target.
    Named,
    /// The leader chose it.
    Chosen,
    /// The leader cannot commit, so nobody can be level with it.
    Stalled,
}

/// Who waits for the end of a transfer whose leader does not lead any more.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub(super) struct Handed {
    target: NodeId,
    waiting: Vec<Origin>,
}

impl Chain {
    /// A client or operator wants another leader.
    pub(super) fn on_transfer(
        &mut self,
        origin: Origin,
        to: Option<NodeId>,
        cx: &mut StepContext<'_>,
    ) {
        if self.lead.is_none() {
            let hint = self.leader_hint(cx);
            return self.answer(origin, Forwarded::NotLeader { hint }, cx);
        }
        if to == Some(self.me.node) {
            return self.answer(origin, Forwarded::Transferred, cx);
        }
        let Some(target) = self.transfer_target(to, cx) else {
            return self.answer(origin, Forwarded::Rejected(Reason::NoSuchTarget), cx);
        };
        let cause = if to.is_some() {
            Cause::Named
        } else {
            Cause::Chosen
        };
        let transfer = self.begin_transfer(target, cause, cx);
        let transfer = transfer.expect("only a leader hands over");
        // Who wants another target than the one under way would get that one's outcome.
        let refusal = if to.is_some_and(|to| to != transfer.target) {
            Reason::Transferring
        } else if transfer.waiting.len() >= cx.config.limits().requests_max as usize {
            Reason::Busy
        } else {
            return transfer.waiting.push(origin);
        };
        self.answer(origin, Forwarded::Rejected(refusal), cx);
    }

    /// The voter asked for, or the live one that is furthest; never one that is suspected. One
    /// whose store is full comes after all others, and before those one that was chosen in this
    /// leadership and did not take over. Of those that are level, who gave this leadership away,
    /// perhaps because it stops, comes last.
    fn transfer_target(&self, to: Option<NodeId>, cx: &StepContext<'_>) -> Option<NodeId> {
        let lead = self.lead.as_ref()?;
        let live = lead.followers.values().filter(|follower| {
            self.voter(follower.member.node).is_some()
                && follower.stream.is_some()
                && !cx.liveness.is_suspected(follower.member.node)
        });
        match to {
            Some(to) => live
                .map(|follower| follower.member.node)
                .find(|&node| node == to),
            None => live
                .max_by_key(|follower| {
                    let node = follower.member.node;
                    let failed = lead.failed_targets.contains(&node);
                    let level = follower.acked >= self.commit;
                    let given = level && lead.given_by == Some(node);
                    let takes = !self.is_full_at(node, cx);
                    (takes, !failed, level, !given, follower.acked)
                })
                .map(|follower| follower.member.node),
        }
    }

    /// Whether a peer says that its store has no space: it could not take what is appended.
    pub(super) fn is_full_at(&self, node: NodeId, cx: &StepContext<'_>) -> bool {
        let row = cx.liveness.row(node, self.id, self.generation);
        row.and_then(|row| row.state).is_some_and(|row| row.is_full)
    }

    /// Whether a majority of the voters, this one included, is heard and has space.
    pub(super) fn has_room(&self, cx: &StepContext<'_>) -> bool {
        let takes = |node: NodeId| !cx.liveness.is_suspected(node) && !self.is_full_at(node, cx);
        let others = self.other_voters().filter(|voter| takes(voter.node));
        !self.writer.is_full() && others.count() + 1 >= self.log.membership().majority()
    }

    /// Begins a transfer unless one is under way; gives the one that then is.
    pub(super) fn begin_transfer(
        &mut self,
        target: NodeId,
        cause: Cause,
        cx: &mut StepContext<'_>,
    ) -> Option<&mut Transfer> {
        let commit = self.commit;
        let lead = self.lead.as_mut()?;
        if lead.transfer.is_none() {
            cx.deadlines
                .arm(self.index, Timer::Transfer, cx.now.after(patience(cx)));
        }
        Some(lead.transfer.get_or_insert(Transfer {
            target,
            cause,
            told: false,
            commit,
            waiting: Vec::new(),
        }))
    }

    /// Tells the target to seek election once it holds everything, from when on it has one
    /// election delay for that. A transfer whose reason is over ends.
    pub(super) fn hand_over_if_ready(&mut self, cx: &mut StepContext<'_>) {
        let end = self.log.end();
        let commit = self.commit;
        let Some(lead) = &mut self.lead else { return };
        let Some(transfer) = &mut lead.transfer else {
            return;
        };
        if transfer.cause == Cause::Stalled && commit > transfer.commit {
            // It can commit after all.
            cx.deadlines.disarm(self.index, Timer::Transfer);
            return self.on_transfer_due(cx);
        }
        if transfer.told {
            return;
        }
        let follower = lead.followers.get(&transfer.target);
        let is_level = follower.is_some_and(|follower| follower.acked == end);
        if is_level || transfer.cause == Cause::Stalled {
            transfer.told = true;
            cx.deadlines
                .arm(self.index, Timer::Transfer, cx.now.after(patience(cx)));
            self.tell_target(cx);
        }
    }

    fn tell_target(&self, cx: &mut StepContext<'_>) {
        let transfer = self.lead.as_ref().and_then(|lead| lead.transfer.as_ref());
        if let Some(transfer) = transfer {
            let content = ReplicaMessage::TransferNow {
                tried: self.stall.tried(),
                pause_ms: self.stall.pause_ms(),
            };
            self.send_to_node(transfer.target, content, cx);
        }
    }

    /// The leader asks this replica to take over.
    pub(super) fn on_transfer_now(
        &mut self,
        tried: &[NodeId],
        pause_ms: u32,
        cx: &mut StepContext<'_>,
    ) {
        self.stall = Stall::told(tried, pause_ms);
        if self.pinned.is_some_and(|pinned| tried.contains(&pinned)) {
            self.pin_tried = Some(cx.now);
        }
        self.given_by = self.leader;
        self.see_transfer(self.me.node, cx);
        if self.may_campaign(cx) {
            self.campaign(Purpose::Transfer, cx);
        }
    }

    /// The leader told `target` to take over. The pinned voter gets its turn now, or had it and
    /// gave it away: because it stops, because it cannot commit, or as somebody wished.
    pub(super) fn see_transfer(&mut self, target: NodeId, cx: &StepContext<'_>) {
        let takes_part = |pinned: NodeId| pinned == target || self.leader == Some(pinned);
        if self.pinned.is_some_and(takes_part) {
            self.pin_tried = Some(cx.now);
        }
    }

    /// No higher epoch came in time, or the target is gone: this leader takes appends again. Or a
    /// higher one came, and who leads it did not show itself.
    pub(crate) fn on_transfer_due(&mut self, cx: &mut StepContext<'_>) {
        if let Some(handed) = self.handed.take() {
            self.answer_all(handed.waiting, Forwarded::Unknown, cx);
        }
        let Some(lead) = &mut self.lead else { return };
        let Some(transfer) = lead.transfer.take() else {
            return;
        };
        if transfer.cause == Cause::Chosen {
            lead.failed_targets.insert(transfer.target);
        }
        lead.progress = None;
        self.answer_all(transfer.waiting, Forwarded::Unknown, cx);
    }

    /// The leadership ended, by the transfer or otherwise: who leads next decides the answer.
    pub(super) fn end_transfer(&mut self, lead: &mut Lead, cx: &mut StepContext<'_>) {
        match lead.transfer.take() {
            Some(transfer) if transfer.told => {
                self.handed = Some(Handed {
                    target: transfer.target,
                    waiting: transfer.waiting,
                });
            }
            transfer => {
                cx.deadlines.disarm(self.index, Timer::Transfer);
                let waiting = transfer.map_or(Vec::new(), |transfer| transfer.waiting);
                self.answer_all(waiting, Forwarded::Unknown, cx);
            }
        }
    }

    /// A leader of a higher epoch than the one that was handed over showed itself.
    pub(super) fn end_handed(&mut self, leader: NodeId, cx: &mut StepContext<'_>) {
        let Some(handed) = self.handed.take() else {
            return;
        };
        cx.deadlines.disarm(self.index, Timer::Transfer);
        let outcome = if handed.target == leader {
            cx.count(Count::Transferred);
            Forwarded::Transferred
        } else {
            cx.count(Count::TransferFailed);
            Forwarded::Unknown
        };
        self.answer_all(handed.waiting, outcome, cx);
    }

    fn answer_all(&mut self, waiting: Vec<Origin>, outcome: Forwarded, cx: &mut StepContext<'_>) {
        for origin in waiting {
            self.answer(origin, outcome, cx);
        }
    }

    /// Once per heartbeat: hands over to a pinned leader that can take it, or to anybody when
    /// this node is about to stop, its store is full or hangs, or it cannot commit.
    pub(crate) fn consider_transfer(&mut self, cx: &mut StepContext<'_>) {
        self.watch_commit(cx);
        let Some(lead) = &self.lead else { return };
        if let Some(transfer) = lead.transfer.as_ref() {
            let (target, told) = (transfer.target, transfer.told);
            if cx.liveness.is_suspected(target) {
                cx.deadlines.disarm(self.index, Timer::Transfer);
                return self.on_transfer_due(cx);
            }
            if told {
                // The word may be lost; a target that heeds it already does not begin anew.
                return self.tell_target(cx);
            }
            return self.nudge(target);
        }
        if self.hands_over_stalled(cx) || self.commit <= self.first_of_lead() {
            return;
        }
        let is_hung = self.is_hung(cx);
        if cx.leaving || is_hung || self.is_out_of_space(cx) {
            if is_hung {
                cx.count(Count::HungLeader);
            }
            // Where every store is full a new leader takes no more than this one does.
            let may_lead = |&target: &NodeId| cx.leaving || !self.is_full_at(target, cx);
            if let Some(target) = self.transfer_target(None, cx).filter(may_lead) {
                self.begin_transfer(target, Cause::Chosen, cx);
            }
            return;
        }
        self.consider_pin(cx);
    }

    fn consider_pin(&mut self, cx: &mut StepContext<'_>) {
        let Some(pinned) = self.pinned.filter(|&pinned| pinned != self.me.node) else {
            return;
        };
        let Some(lead) = &self.lead else { return };
        let pause = Duration::from_millis(cx.config.timing().pin_ms);
        let is_early = self.pin_tried.is_some_and(|at| cx.now.since(at) < pause);
        let is_level = lead
            .followers
            .get(&pinned)
            .is_some_and(|f| f.acked >= self.commit);
        let is_full = self.is_full_at(pinned, cx);
        if is_early || is_full || self.transfer_target(Some(pinned), cx).is_none() {
            return;
        }
        if !is_level {
            return self.nudge(pinned);
        }
        self.begin_transfer(pinned, Cause::Named, cx);
        self.pin_tried = Some(cx.now);
    }

    /// Its last acknowledgement may be lost, and an idle follower does not repeat it by itself.
    fn nudge(&mut self, follower: NodeId) {
        let follower = self
            .lead
            .as_mut()
            .and_then(|lead| lead.followers.get_mut(&follower));
        if let Some(stream) = follower.and_then(|follower| follower.stream.as_mut()) {
            stream.told = None;
        }
    }
}

/// How long a target has to become level, and then to be elected.
fn patience(cx: &StepContext<'_>) -> Duration {
    cx.config.heartbeat() * 8
}
