//! What is committed: counted by the leader, learned by the others up to what they verified
//! (R7, D13a).

use super::role::Role;
use super::stall::Stall;
use super::{Chain, StepContext};
use crate::action::Note;
use crate::config::VOTERS_MAX;
use crate::count::Count;
use crate::id::Seq;

impl Chain {
    /// Commits at the M-th durable match of an entry of the present epoch. The leader counts
    /// itself by what is durable, like everybody else.
    pub(super) fn advance_commit(&mut self, cx: &mut StepContext<'_>) {
        if self.role != Role::Leader {
            return;
        }
        let membership = self.log.membership();
        let Some(lead) = &self.lead else { return };
        let mut ends = [Seq::ZERO; VOTERS_MAX];
        assert!(
            membership.voters.len() <= VOTERS_MAX,
            "a chain has at most 16 voters"
        );
        for (end, voter) in ends.iter_mut().zip(&membership.voters) {
            *end = if voter.node == self.me.node {
                self.log.durable().end
            } else {
                lead.followers
                    .get(&voter.node)
                    .map_or(Seq::ZERO, |follower| follower.acked)
            };
        }
        ends.sort_unstable_by(|a, b| b.cmp(a));
        let end = ends[membership.majority() - 1];
        if end > self.commit
            && self
                .log
                .epoch_before(end)
                .is_some_and(|e| e.n == self.epoch.n)
        {
            self.raise_commit(end, cx);
        }
        self.answer_appends(cx);
    }

    /// Takes the leader's word for what is committed, as far as our prefix is verified.
    pub(super) fn learn_commit(&mut self, named: Seq, cx: &mut StepContext<'_>) {
        if named > self.verified && named > self.commit {
            cx.count(Count::CommitAboveVerified);
        }
        let end = named.min(self.verified);
        if end > self.commit {
            self.raise_commit(end, cx);
        }
    }

    pub(super) fn raise_commit(&mut self, end: Seq, cx: &mut StepContext<'_>) {
        assert!(
            end > self.commit && end <= self.log.end(),
            "commit rises inside the log"
        );
        self.commit = end;
        self.stall = Stall::default();
        self.watch_followers(cx.now);
        cx.note(self.id, Note::Commit { end });
    }
}
