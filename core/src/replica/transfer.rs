//! Handing leadership over: on request, to a pinned leader, and before a stop (D20, R18).

use super::append::Origin;
use super::{Chain, Cx, Lead};
use crate::client::Reason;
use crate::count::Count;
use crate::deadline::Kind;
use crate::id::NodeId;
use crate::message::{Forwarded, Talk};
use alloc::vec::Vec;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// A transfer under way: no appends are taken until it ends.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub(super) struct Transfer {
    target: NodeId,
    /// Whether the target was told to seek election.
    told: bool,
    waiting: Vec<Origin>,
}

impl Chain {
    /// A client or operator wants another leader.
    pub(super) fn on_transfer(&mut self, origin: Origin, to: Option<NodeId>, cx: &mut Cx<'_>) {
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
        let transfer = self.begin_transfer(target, cx);
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

    /// The voter asked for, or the live one that is furthest; never one that is suspected.
    fn transfer_target(&self, to: Option<NodeId>, cx: &Cx<'_>) -> Option<NodeId> {
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
                .max_by_key(|follower| follower.acked)
                .map(|follower| follower.member.node),
        }
    }

    /// Begins a transfer unless one is under way; gives the one that then is.
    fn begin_transfer(&mut self, target: NodeId, cx: &mut Cx<'_>) -> Option<&mut Transfer> {
        let lead = self.lead.as_mut()?;
        if lead.transfer.is_none() {
            let end = cx.now.after(cx.config.heartbeat() * 8);
            cx.deadlines.arm(self.index, Kind::Transfer, end);
        }
        Some(lead.transfer.get_or_insert(Transfer {
            target,
            told: false,
            waiting: Vec::new(),
        }))
    }

    /// Tells the target to seek election once it holds everything.
    pub(super) fn hand_over_if_ready(&mut self, cx: &mut Cx<'_>) {
        let end = self.log.end();
        let Some(lead) = &mut self.lead else { return };
        let Some(transfer) = &mut lead.transfer else {
            return;
        };
        let is_level = lead
            .followers
            .get(&transfer.target)
            .is_some_and(|f| f.acked == end);
        if is_level && !transfer.told {
            transfer.told = true;
            let target = transfer.target;
            self.say_to(target, Talk::TransferNow, cx);
        }
    }

    /// No higher epoch came within one election delay: this leader takes appends again.
    pub(crate) fn on_transfer_due(&mut self, cx: &mut Cx<'_>) {
        let transfer = self.lead.as_mut().and_then(|lead| lead.transfer.take());
        for origin in transfer.into_iter().flat_map(|transfer| transfer.waiting) {
            self.answer(origin, Forwarded::Unknown, cx);
        }
    }

    /// The leadership ended, by the transfer or otherwise.
    pub(super) fn end_transfer(&mut self, lead: &Lead, cx: &mut Cx<'_>) {
        cx.deadlines.disarm(self.index, Kind::Transfer);
        let Some(transfer) = &lead.transfer else {
            return;
        };
        let outcome = if transfer.told {
            cx.count(Count::Transferred);
            Forwarded::Transferred
        } else {
            Forwarded::Unknown
        };
        for &origin in &transfer.waiting {
            self.answer(origin, outcome, cx);
        }
    }

    /// Once per heartbeat: hands over to a pinned leader that can take it, or to anybody when
    /// this node is about to stop.
    pub(crate) fn consider_transfer(&mut self, cx: &mut Cx<'_>) {
        let Some(lead) = &self.lead else { return };
        if let Some(transfer) = lead.transfer.as_ref() {
            if !transfer.told {
                let target = transfer.target;
                self.nudge(target);
            }
            return;
        }
        if self.commit <= lead.first {
            return;
        }
        if cx.leaving {
            if let Some(target) = self.transfer_target(None, cx) {
                self.begin_transfer(target, cx);
            }
            return;
        }
        let Some(pinned) = self.pinned.filter(|&pinned| pinned != self.me.node) else {
            return;
        };
        let pause = Duration::from_millis(cx.config.timing().pin_ms);
        let is_early = lead.pinned_at.is_some_and(|at| cx.now.since(at) < pause);
        let is_level = lead
            .followers
            .get(&pinned)
            .is_some_and(|f| f.acked >= self.commit);
        if is_early || self.transfer_target(Some(pinned), cx).is_none() {
            return;
        }
        if !is_level {
            return self.nudge(pinned);
        }
        self.begin_transfer(pinned, cx);
        if let Some(lead) = &mut self.lead {
            lead.pinned_at = Some(cx.now);
        }
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
