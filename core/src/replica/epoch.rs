//! The present epoch: adopted upwards only, and with it everything of the old one ends (D13b,
//! D13d).

use super::role::{Role, Signal};
use super::{Chain, StepContext};
use crate::count::Count;
use crate::deadline::Timer;
use crate::id::{Epoch, NodeId, Seq};

impl Chain {
    /// Promises this replica to a higher epoch; the record is issued by the next write.
    pub(crate) fn adopt(&mut self, epoch: Epoch, cx: &mut StepContext<'_>) {
        assert!(epoch.n > self.epoch.n, "epochs only rise");
        if self.role == Role::Leader {
            self.leader_seen = cx.now;
        } else if let Some(heard) = self
            .leader
            .and_then(|leader| cx.liveness.last_heard(leader))
        {
            self.leader_seen = self.leader_seen.max(heard);
        }
        match self.role {
            Role::Leader => {
                self.abandon_leadership(cx);
                self.enter(epoch, None);
                self.set_role(Role::Replica, Signal::PeerLeaderObserved, cx);
            }
            Role::Candidate => {
                cx.deadlines.disarm(self.index, Timer::Round);
                self.enter(epoch, None);
                self.set_role(Role::Replica, Signal::ElectionLost, cx);
                // Drawn again after every attempt: two candidates that come back at once would
                // overtake each other for ever.
                let at = cx.now.after(cx.election_delay());
                cx.deadlines.arm(self.index, Timer::Election, at);
            }
            Role::Replica | Role::Idle => self.enter(epoch, None),
        }
        self.hold_for_candidate(cx);
    }

    /// Makes `epoch` the present one; nothing of the one before is counted or said any more.
    pub(crate) fn enter(&mut self, epoch: Epoch, voted: Option<NodeId>) {
        self.doublings = if self.is_led() {
            self.doublings.saturating_sub(1)
        } else {
            DOUBLINGS_MAX.min(self.doublings + 1)
        };
        self.epoch = epoch;
        self.voted = voted;
        self.leader = None;
        self.verified = Seq::ZERO;
        self.owed = None;
        self.campaign = None;
        self.serving.snapshots.clear();
        self.follow.restart(self.log.end());
    }

    /// Believes that `node` leads the present epoch, because it says so there.
    pub(crate) fn follow_leader(&mut self, node: NodeId, cx: &mut StepContext<'_>) {
        if self.leader == Some(node) {
            // A leader that asked for a transfer lives on until it is over.
            return if self.is_sought_by_transfer() {
            } else {
                self.end_campaign(cx);
            };
        }
        // One vote per replica and epoch, and two majorities share a voter: a second leader of
        // one epoch is not a race but a broken peer.
        if self.leader.is_some() || self.role == Role::Leader {
            return self.contradicted(cx);
        }
        self.leader = Some(node);
        self.led = self.epoch.n;
        self.epoch.node = node;
        self.follow.restart(self.log.end());
        self.end_campaign(cx);
        self.end_handed(node, cx);
    }

    /// A leader of the present epoch lives: there is nothing to seek.
    fn end_campaign(&mut self, cx: &mut StepContext<'_>) {
        if self.role == Role::Candidate {
            cx.deadlines.disarm(self.index, Timer::Round);
            self.campaign = None;
            self.set_role(Role::Replica, Signal::ElectionLost, cx);
        }
    }

    /// Whether somebody was seen to lead the present epoch.
    pub(super) fn is_led(&self) -> bool {
        self.led == self.epoch.n
    }

    /// Whether a live leader of the present epoch shows itself here (D21).
    pub(crate) fn has_live_leader(&self, cx: &StepContext<'_>) -> bool {
        if self.role == Role::Leader {
            return true;
        }
        let Some(leader) = self.leader else {
            return false;
        };
        if cx.liveness.is_suspected(leader) {
            return false;
        }
        let row = cx.liveness.row(leader, self.id, self.generation);
        row.and_then(|row| row.state)
            .is_some_and(|row| row.role == Role::Leader && row.epoch.n == self.epoch.n)
    }

    /// Keeps the election timer in step with whether a live leader is heard.
    pub(crate) fn watch_leader(&mut self, cx: &mut StepContext<'_>) {
        if self.role != Role::Replica {
            if !self.is_early() {
                cx.deadlines.disarm(self.index, Timer::Election);
            }
            return;
        }
        if self.has_live_leader(cx) {
            cx.deadlines.disarm(self.index, Timer::Election);
            self.election_rearmed = false;
        } else if cx.deadlines.armed(self.index, Timer::Election).is_none() {
            let heard = self
                .leader
                .and_then(|leader| cx.liveness.last_heard(leader));
            let seen = heard.map_or(self.leader_seen, |heard| heard.max(self.leader_seen));
            let at = if self.other_voters().next().is_some() {
                seen.after(cx.election_delay()).max(cx.now)
            } else {
                // Nobody else could lead.
                cx.now
            };
            cx.deadlines.arm(self.index, Timer::Election, at);
        }
    }

    /// No live leader was seen for one delay; a wake-up much later than that proves nothing the
    /// first time.
    pub(crate) fn on_election_due(&mut self, late: bool, cx: &mut StepContext<'_>) {
        if late && !self.election_rearmed {
            self.election_rearmed = true;
            cx.count(Count::SuspicionRearmed);
            let at = cx.now.after(cx.election_delay());
            cx.deadlines.arm(self.index, Timer::Election, at);
            return;
        }
        self.election_rearmed = false;
        if !cx.admits_candidate() {
            let at = cx.now.after(cx.candidate_pause());
            return cx.deadlines.arm(self.index, Timer::Election, at);
        }
        if self.is_held_by_candidate(self.me.node, cx) {
            // Its round may end at any time.
            let heartbeat = cx.config.heartbeat();
            let at = cx.now.after(cx.rng.span(heartbeat, heartbeat * 3));
            return cx.deadlines.arm(self.index, Timer::Election, at);
        }
        // Whoever's promise waits for the disk would only add one more to it.
        if self.may_seek(cx) && self.is_settled() {
            self.campaign(crate::message::Purpose::Silence, cx);
        }
        if self.role == Role::Replica {
            let at = cx.now.after(cx.election_delay());
            cx.deadlines.arm(self.index, Timer::Election, at);
        }
    }
}

/// How often the time of a binding round is doubled at most: sixteen heartbeats.
const DOUBLINGS_MAX: u32 = 3;
