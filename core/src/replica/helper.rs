//! Catching up from another member than the leader, to spare the leader (D20).
//!
//! A follower that lags far behind asks a member that knows more committed for what follows its
//! own log. What comes only extends the log: nothing is cut, verified, committed or acknowledged
//! to the leader by it. Once the lag is short the leader is asked from the end of the log on; it
//! compares that end and resends nothing that is there.

use super::role::Role;
use super::{Chain, Cx, Entries};
use crate::chain::entry::Tip;
use crate::chain::order::Slot;
use crate::count::Count;
use crate::deadline::Kind;
use crate::id::{Attempt, NodeId, Seq};
use crate::message::Talk;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Who helps this follower to catch up.
#[derive(Clone, Debug, Default, Hash, Serialize, Deserialize)]
pub(super) struct Help {
    asked: Option<Asked>,
    /// Who did not help since the leader was last asked in vain.
    tried: Vec<NodeId>,
}

#[derive(Copy, Clone, Debug, Hash, Serialize, Deserialize)]
struct Asked {
    node: NodeId,
    attempt: Attempt,
    /// The durable end that it was told.
    reported: Seq,
    /// The end of the log when it was asked.
    from: Seq,
    /// End of the furthest entries that came, taken or not.
    seen: Seq,
}

impl Help {
    pub(super) fn is_under_way(&self) -> bool {
        self.asked.is_some()
    }

    /// The leader did not answer either: everybody is worth another try.
    pub(super) fn try_everybody(&mut self) {
        self.tried.clear();
    }
}

impl Chain {
    /// Whether another member serves this follower for now, so that the leader is not asked.
    pub(super) fn is_helped(&mut self, leader: NodeId, cx: &mut Cx<'_>) -> bool {
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
            // After a conflict the end of the log is not the leader's, so nobody's that helps.
            None if is_far_behind && self.follow.next == end => {
                let me = self.me.node;
                let nodes = self.peers().into_iter().map(|member| member.node);
                let helper = nodes
                    .filter(|&node| {
                        node != leader
                            && knows_more(node)
                            && !cx.liveness.is_suspected(node)
                            && !self.follow.help.tried.contains(&node)
                    })
                    .min_by_key(|&node| (node <= me, node));
                if let Some(helper) = helper {
                    self.ask_help(helper, cx);
                }
                helper.is_some()
            }
            None => false,
        }
    }

    fn ask_help(&mut self, node: NodeId, cx: &mut Cx<'_>) {
        let attempt = cx.attempt();
        self.follow.help.asked = Some(Asked {
            node,
            attempt,
            reported: self.log.durable().end,
            from: self.log.end(),
            seen: self.log.end(),
        });
        let since = self.log.tip();
        self.say_to(node, Talk::CatchUp { since, attempt }, cx);
        self.expect_help(cx);
    }

    /// What became durable makes room for more.
    fn acknowledge_help(&mut self, asked: Asked, cx: &mut Cx<'_>) {
        let since = self.log.durable();
        if since.end <= asked.reported {
            return;
        }
        if let Some(asked) = &mut self.follow.help.asked {
            asked.reported = since.end;
        }
        let attempt = asked.attempt;
        self.say_to(asked.node, Talk::CatchUp { since, attempt }, cx);
    }

    /// Looks after two heartbeats whether more came; much sooner when later entries overtook
    /// some that are missing.
    fn expect_help(&mut self, cx: &mut Cx<'_>) {
        let heartbeat = cx.config.heartbeat();
        let asked = self.follow.help.asked;
        if asked.is_some_and(|asked| asked.seen > self.log.end()) {
            let at = cx.now.after(heartbeat / 32);
            cx.deadlines.arm_by(self.index, Kind::Pull, at);
        } else {
            let at = cx.now.after(heartbeat * 2);
            cx.deadlines.arm(self.index, Kind::Pull, at);
        }
    }

    /// The leader is asked from the end of the log on, which may not be its own.
    pub(super) fn end_help(&mut self) {
        self.follow.help.asked = None;
        self.follow.stream = None;
        self.follow.next = self.log.end();
        self.follow.seen = self.log.end();
    }

    fn give_up_help(&mut self) {
        if let Some(asked) = self.follow.help.asked {
            self.follow.help.tried.push(asked.node);
        }
        self.end_help();
    }

    /// A helper had its time: it is asked anew where something was lost on the way, and left
    /// when nothing came.
    pub(super) fn on_help_due(&mut self, cx: &mut Cx<'_>) {
        match self.follow.help.asked {
            Some(asked) if self.log.end().max(asked.seen) > asked.from => {
                self.ask_help(asked.node, cx);
            }
            Some(_) | None => self.give_up_help(),
        }
    }

    /// Whether these are entries of the helper, or that it has none for the question. What it
    /// was asked before brings entries, too, that may be the ones that are missing.
    pub(super) fn is_help(&self, from: NodeId, attempt: Attempt, entries: &Entries) -> bool {
        let asked = self.follow.help.asked.filter(|asked| asked.node == from);
        asked.is_some_and(|asked| asked.attempt == attempt || !entries.is_empty())
    }

    /// Entries of a helper, behind a predecessor that has to be ours. They may only extend the
    /// log.
    pub(super) fn on_help(&mut self, since: Tip, entries: &Entries, cx: &mut Cx<'_>) {
        if self.role != Role::Replica || self.is_resetting() {
            return cx.count(Count::StaleAnswer);
        }
        let Some(last) = entries.last() else {
            return self.give_up_help();
        };
        if let Some(asked) = &mut self.follow.help.asked {
            asked.seen = asked.seen.max(last.seq.next());
        }
        if self.log.tip_at(since.end) != Some(since) {
            cx.count(Count::ChunkGap);
            return self.expect_help(cx);
        }
        if !self.is_sound(since, entries, cx) {
            cx.count(Count::ChunkUnsound);
            return self.give_up_help();
        }
        for entry in entries.iter() {
            match self.log.slot(entry.seq) {
                Some(Slot::Known(own)) if own.hash == entry.hash => {}
                Some(Slot::Known(_) | Slot::Unknown) => return self.give_up_help(),
                None => {
                    cx.count(Count::Helped);
                    self.log.append(entry.clone());
                }
            }
        }
        self.expect_help(cx);
    }
}
