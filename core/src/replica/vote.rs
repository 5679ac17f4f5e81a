//! Votes: by one predicate for queries and binding requests, and who is waited for
//! (`docs/decisions/quorum.md`).
//!
//! A vote counts from when its record is issued and leaves when it is durable, so a voter is
//! never in two majorities of one epoch; the predicate compares durable logs, so whoever wins
//! holds everything committed before. Upholds *vote-once*, *leader-complete*, *no-disruption*.

use super::role::Role;
use super::{Chain, StepContext};
use crate::chain::order::Vote;
use crate::count::Count;
use crate::deadline::Timer;
use crate::id::{Attempt, Epoch, Member, NodeId, Replica, Run, Seq};
use crate::message::{Purpose, ReplicaMessage, Round};
use serde::{Deserialize, Serialize};

/// A granted vote that leaves when its record is durable.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub(super) struct OwedVote {
    candidate: Member,
    attempt: Attempt,
}

/// What a candidate asks for.
pub(super) struct VoteRequest {
    pub(super) round: Round,
    pub(super) purpose: Purpose,
    pub(super) asked: Epoch,
    pub(super) last_epoch: Epoch,
    pub(super) tail: Seq,
    pub(super) attempt: Attempt,
}

impl Chain {
    /// Sends the vote that waited for its record to be durable.
    pub(super) fn send_vote(&mut self, cx: &mut StepContext<'_>) {
        if let Some(owed) = self.owed.take() {
            let reply = ReplicaMessage::VoteReply {
                round: Round::Real,
                asked: self.epoch,
                granted: true,
                attempt: owed.attempt,
            };
            self.send_to_member(&owed.candidate, reply, cx);
        }
    }

    pub(super) fn on_vote_request(
        &mut self,
        from: Run,
        replica: Replica,
        request: VoteRequest,
        cx: &mut StepContext<'_>,
    ) {
        let candidate = Member {
            node: from.node,
            store: from.store,
            replica,
        };
        if request.purpose == Purpose::Transfer {
            self.see_transfer(from.node, cx);
        }
        let granted = match request.round {
            Round::Pre => {
                let is_held =
                    request.purpose == Purpose::Silence && self.is_held_by_candidate(from.node, cx);
                let granted = !is_held && self.would_vote(from.node, &request, cx);
                if granted {
                    // What the own query leaves behind is held back, too.
                    self.give_way(from.node, &request, cx);
                    self.hold_back(cx);
                }
                granted
            }
            Round::Real => {
                if self.is_held_by_leader(&request, cx) {
                    false
                } else {
                    if request.asked.n > self.epoch.n {
                        self.adopt(request.asked, cx);
                    }
                    if self.would_vote(from.node, &request, cx) {
                        self.grant(candidate, request.attempt, cx);
                        return;
                    }
                    false
                }
            }
        };
        let VoteRequest {
            round,
            asked,
            attempt,
            ..
        } = request;
        self.send_to_member(
            &candidate,
            ReplicaMessage::VoteReply {
                round,
                asked,
                granted,
                attempt,
            },
            cx,
        );
    }

    /// The one predicate of both rounds: the vote of that epoch is free or given to this candidate
    /// already, its durable log is at least as complete as the own one, and no leader lives here.
    fn would_vote(&self, candidate: NodeId, request: &VoteRequest, cx: &StepContext<'_>) -> bool {
        let free = request.asked.n > self.epoch.n
            || (request.asked.n == self.epoch.n
                && self.voted.is_none_or(|voted| voted == candidate)
                && self.leader.is_none_or(|leader| leader == candidate));
        let mine = self.log.durable();
        let complete = (request.last_epoch.n, request.tail) >= (mine.epoch.n, mine.end);
        free && complete && !self.is_held_by_leader(request, cx)
    }

    /// A query was granted: its candidate gets the time to win, whatever the own attempt is for.
    fn hold_back(&mut self, cx: &mut StepContext<'_>) {
        let later = cx.now.after(cx.config.heartbeat() / 4);
        for timer in [Timer::Early, Timer::Election] {
            if let Some(at) = cx.deadlines.armed(self.index, timer) {
                cx.deadlines.arm(self.index, timer, at.max(later));
            }
        }
    }

    fn is_held_by_leader(&self, request: &VoteRequest, cx: &StepContext<'_>) -> bool {
        request.purpose == Purpose::Silence && self.has_live_leader(cx)
    }

    /// The candidate of the present epoch has the time of a round for its own vote, and of one for
    /// the others'. Its disk may hang, so nobody waits for longer.
    pub(super) fn hold_for_candidate(&mut self, cx: &StepContext<'_>) {
        self.held_until = cx.now.after(self.binding_round(cx) * 2);
    }

    /// Whether the candidate of the present epoch still seeks its votes, and is not `asker`. A
    /// query in the next epoch would depose it as it wins, and where votes take longer on disks
    /// than delays do, so would each one after that.
    pub(super) fn is_held_by_candidate(&self, asker: NodeId, cx: &StepContext<'_>) -> bool {
        let candidate = self.voted.unwrap_or(self.epoch.node);
        if self.is_led() || candidate == asker {
            return false;
        }
        if candidate == self.me.node {
            return self.is_bound();
        }
        let row = cx.liveness.row(candidate, self.id, self.generation);
        let seeks = row
            .and_then(|row| row.state)
            .is_some_and(|row| row.role == Role::Candidate && row.epoch.n == self.epoch.n);
        seeks && cx.now < self.held_until && !cx.liveness.is_suspected(candidate)
    }

    /// Whether this replica may seek leadership of its own accord: nobody leads, or is about to.
    pub(super) fn may_seek(&self, cx: &StepContext<'_>) -> bool {
        self.may_campaign(cx)
            && !self.has_live_leader(cx)
            && !self.is_held_by_candidate(self.me.node, cx)
    }

    fn grant(&mut self, candidate: Member, attempt: Attempt, cx: &mut StepContext<'_>) {
        if self.writer.is_appending() {
            cx.count(Count::VoteDuringWrite);
        }
        self.voted = Some(candidate.node);
        self.owed = Some(OwedVote { candidate, attempt });
        self.hold_for_candidate(cx);
        // A voter gives its candidate the time to win before it seeks election itself; a query in
        // the next epoch that is under way would depose it as it wins.
        self.on_round_due(cx);
        let at = cx.now.after(cx.election_delay());
        cx.deadlines.arm(self.index, Timer::Election, at);
    }

    /// The promise as its record says it.
    pub(super) fn vote_record(&self) -> Vote {
        Vote {
            epoch: self.epoch,
            granted: self.voted,
        }
    }
}
