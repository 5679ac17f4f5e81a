//! Catching up from another member than the leader, to spare the leader (D20).
//!
//! A follower that lags far behind asks a member that knows more committed for what follows its
//! own log. What comes only extends the log: nothing is cut, verified, committed or acknowledged
//! to the leader by it. Once the lag is short the leader is asked from the end of the log on; it
//! compares that end and resends nothing that is there.

use super::overtake::Early;
use super::patience::Patience;
use super::role::Role;
use super::{Chain, Entries, StepContext};
use crate::chain::entry::LogPosition;
use crate::chain::order::Slot;
use crate::count::Count;
use crate::deadline::Timer;
use crate::id::{Attempt, NodeId, Seq};
use crate::message::ReplicaMessage;
use serde::{Deserialize, Serialize};

/// Who helps this follower to catch up.
#[derive(Clone, Debug, Default, Hash, Serialize, Deserialize)]
pub(super) struct Help {
    asked: Option<Asked>,
    /// Whom was asked last in vain.
    failed: Option<NodeId>,
    /// Whether that was since the leader was last asked in vain: one is enough.
    is_leaders_turn: bool,
    /// What overtook what it follows, as in the stream of a leader.
    early: Early<(LogPosition, Entries)>,
}

#[derive(Copy, Clone, Debug, Hash, Serialize, Deserialize)]
struct Asked {
    node: NodeId,
    attempt: Attempt,
    /// The durable end that it was told.
    reported: Seq,
    /// End of the furthest entries that came, taken or not.
    seen: Seq,
    patience: Patience,
}

impl Help {
    pub(super) fn is_under_way(&self) -> bool {
        self.asked.is_some()
    }

    /// Leaves the payload bytes out.
    pub(super) fn redact(&mut self) {
        self.early.redact(|(_, entries)| entries);
    }

    /// The leader did not answer either: everybody is worth another try.
    pub(super) fn try_everybody(&mut self) {
        self.is_leaders_turn = false;
    }
}

impl Chain {
    /// Whether another member serves this follower for now, so that the leader is not asked.
    pub(super) fn is_helped(&mut self, leader: NodeId, cx: &mut StepContext<'_>) -> bool {
        let lag = u64::from(cx.config.limits().lag_max);
        let end = self.log.end();
        let knows_more = |node: NodeId| {
            let row = cx.liveness.row(node, self.id, self.generation);
            let state = row.and_then(|row| row.state);
            state.is_some_and(|row| row.commit > end && row.commit.distance(end) > lag)
        };
        let is_far_behind = knows_more(leader) && self.log.unknown() == 0;
        match self.follow.help.asked {
            Some(asked) if is_far_behind && !cx.liveness.is_suspected(asked.node) => {
                self.acknowledge_help(asked, cx);
                true
            }
            Some(_) => {
                self.end_help();
                false
            }
            // After a conflict the end of the log is not the leader's, so nobody's that helps. A
            // checkpoint on its way brings what no helper has.
            None if is_far_behind
                && !self.follow.is_receiving()
                && self.follow.next == end
                && !self.follow.help.is_leaders_turn =>
            {
                let last = self.follow.help.failed.unwrap_or(self.me.node);
                let nodes = self.peers().into_iter().map(|member| member.node);
                let helper = nodes
                    .filter(|&node| {
                        node != leader && knows_more(node) && !cx.liveness.is_suspected(node)
                    })
                    .min_by_key(|&node| (node <= last, node));
                if let Some(helper) = helper {
                    self.ask_help(helper, cx);
                }
                helper.is_some()
            }
            None => false,
        }
    }

    fn ask_help(&mut self, node: NodeId, cx: &mut StepContext<'_>) {
        let attempt = cx.attempt();
        self.follow.help.asked = Some(Asked {
            node,
            attempt,
            reported: self.log.durable().end,
            seen: self.log.end(),
            patience: Patience::default(),
        });
        let since = self.log.tip();
        self.send_to_node(node, ReplicaMessage::CatchUp { since, attempt }, cx);
        self.expect_help(cx);
    }

    /// What became durable makes room for more.
    fn acknowledge_help(&mut self, asked: Asked, cx: &mut StepContext<'_>) {
        let since = self.log.durable();
        if since.end <= asked.reported {
            return;
        }
        if let Some(asked) = &mut self.follow.help.asked {
            asked.reported = since.end;
        }
        let attempt = asked.attempt;
        self.send_to_node(asked.node, ReplicaMessage::CatchUp { since, attempt }, cx);
    }

    /// Looks after two heartbeats whether more came; much sooner when later entries overtook
    /// some that are missing.
    fn expect_help(&mut self, cx: &mut StepContext<'_>) {
        let heartbeat = cx.config.heartbeat();
        let end = self.log.end();
        let Some(asked) = &mut self.follow.help.asked else {
            return;
        };
        asked.patience.begin(cx.now);
        if asked.seen > end {
            let at = cx.now.after(heartbeat / 32);
            cx.deadlines.arm_by(self.index, Timer::Pull, at);
        } else {
            let span = asked.patience.wait(heartbeat * 2, heartbeat);
            cx.deadlines
                .arm(self.index, Timer::Pull, cx.now.after(span));
        }
    }

    /// The leader is asked on from what may be its own. If nothing came, what it has on its way
    /// for an earlier question is still wanted: under a new one it would send that again, and over
    /// a slow link never in time.
    pub(super) fn end_help(&mut self) {
        self.follow.help.asked = None;
        self.follow.help.early.clear();
        self.pull_again();
        let next = self.follow.shared.min(self.log.end());
        if next != self.follow.next {
            self.follow.stream = None;
            self.follow.next = next;
            self.follow.seen = next;
        }
    }

    fn give_up_help(&mut self) {
        if let Some(asked) = self.follow.help.asked {
            self.follow.help.failed = Some(asked.node);
            self.follow.help.is_leaders_turn = true;
        }
        self.end_help();
    }

    /// A helper had its time: it is asked anew where something was lost on the way, reminded once,
    /// and left when nothing came even so.
    pub(super) fn on_help_due(&mut self, cx: &mut StepContext<'_>) {
        let (since, Some(asked)) = (self.log.tip(), &mut self.follow.help.asked) else {
            return;
        };
        if asked.seen > since.end {
            let node = asked.node;
            self.ask_help(node, cx);
        } else if asked.patience.is_tried() {
            self.give_up_help();
        } else {
            asked.patience.ask_again();
            let (node, attempt) = (asked.node, asked.attempt);
            self.send_to_node(node, ReplicaMessage::CatchUp { since, attempt }, cx);
            self.expect_help(cx);
        }
    }

    /// Entries of a member, behind a predecessor that has to be ours. They may only extend the log,
    /// so it does not matter for which question they come, nor whether their sender was given up.
    pub(super) fn on_help(
        &mut self,
        from: NodeId,
        attempt: Attempt,
        (since, entries): (LogPosition, &Entries),
        cx: &mut StepContext<'_>,
    ) {
        if self.role != Role::Replica || self.is_resetting() {
            return cx.count(Count::StaleAnswer);
        }
        let mut asked = self.follow.help.asked.as_mut();
        let asked = asked.as_mut().filter(|asked| asked.node == from);
        let is_helper = asked.is_some();
        let Some(last) = entries.last() else {
            if asked.is_some_and(|asked| asked.attempt == attempt) {
                self.give_up_help();
            }
            return;
        };
        if let Some(asked) = asked {
            asked.seen = asked.seen.max(last.seq.next());
            asked.patience.answered(cx.now);
        }
        if self.log.position_at(since.end) != Some(since) {
            cx.count(Count::ChunkGap);
            if is_helper && since.end > self.log.end() {
                let count_max = cx.config.limits().chunks_in_flight_max;
                let early = (since, entries.clone());
                let range = since.end..last.seq.next();
                self.follow.help.early.keep(range, early, count_max);
            }
            return self.expect_help(cx);
        }
        match self.extend(since, entries, cx) {
            None => {
                cx.count(Count::ChunkUnsound);
                if is_helper {
                    return self.give_up_help();
                }
            }
            Some(0) => {}
            Some(_) => {
                self.extend_early(cx);
                // What follows something here is committed, so everything here is.
                self.follow.shared = self.log.end();
                if !self.follow.help.is_under_way() {
                    // It came late: the leader goes on from what is here. Under another request it
                    // would send again what it has on its way.
                    self.follow.next = self.log.end();
                    self.pull_again();
                }
            }
        }
        self.expect_help(cx);
    }

    /// What came too early may follow now.
    fn extend_early(&mut self, cx: &mut StepContext<'_>) {
        while let Some((since, entries)) = self.follow.help.early.next(self.log.end()) {
            if self.log.position_at(since.end) == Some(since) {
                cx.count(Count::ChunkEarly);
                self.extend(since, &entries, cx);
            }
        }
    }

    /// Appends those of sound entries that are not here yet, and tells how many; `None` if they are
    /// not sound, or others than those that are.
    fn extend(
        &mut self,
        since: LogPosition,
        entries: &Entries,
        cx: &mut StepContext<'_>,
    ) -> Option<usize> {
        let mut count = 0;
        if !self.is_sound(since, entries, cx) {
            return None;
        }
        for entry in entries.iter() {
            match self.log.slot(entry.seq) {
                Some(Slot::Known(own)) if own.hash == entry.hash => {}
                Some(Slot::Known(_) | Slot::Unknown) => return None,
                None => {
                    cx.count(Count::Helped);
                    self.log.append(entry.clone());
                    count += 1;
                }
            }
        }
        Some(count)
    }
}
