//! Reads: stale ones from the committed prefix at hand, linearizable ones after a round of
//! confirms by a majority that was asked after the read arrived (D16). No lease.

use super::append::Origin;
use super::role::Role;
use super::{Chain, StepContext, same_member};
use crate::client::Answer;
use crate::count::Count;
use crate::id::{Attempt, AttemptNumber, Member, Run, Seq, Ticket};
use crate::message::{Confirm, Forwarded};
use crate::time::Instant;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What a client of this node wants to read.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Range {
    pub(super) from: Seq,
    pub(super) bytes_max: u32,
}

/// A read that waits for confirms.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Read {
    pub(super) origin: Origin,
    /// What to answer with here; a forwarder reads for itself.
    pub(super) range: Option<Range>,
    pub(super) deadline: Instant,
}

/// Reads that share one round of confirms.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub(super) struct Round {
    /// The round; `None` until it is asked.
    number: Option<AttemptNumber>,
    /// The commit noted when it was asked.
    commit: Seq,
    pub(super) reads: Vec<Read>,
}

impl Chain {
    /// Answers from the committed prefix that this replica knows.
    pub(super) fn read_stale(&mut self, ticket: Ticket, range: Range, cx: &mut StepContext<'_>) {
        let floor = self.log.floor();
        let from = range.from.max(floor);
        let bytes_max = range.bytes_max.min(cx.config.limits().read_bytes_max);
        let entries = self.log.read(from, self.commit, u64::from(bytes_max));
        let answer = if entries.is_empty() && from < self.commit {
            Answer::Corrupt { seq: from }
        } else {
            Answer::Entries {
                floor,
                commit: self.commit,
                entries,
            }
        };
        cx.reply(ticket, answer);
    }

    /// Takes a linearizable read; it joins the next round.
    pub(super) fn on_read(
        &mut self,
        origin: Origin,
        range: Option<Range>,
        cx: &mut StepContext<'_>,
    ) {
        let limit = cx.config.limits().requests_max as usize;
        let hint = self.leader_hint(cx);
        let Some(lead) = &self.lead else {
            return self.answer(origin, Forwarded::NotLeader { hint }, cx);
        };
        if lead
            .reads
            .iter()
            .map(|round| round.reads.len())
            .sum::<usize>()
            >= limit
        {
            let busy = Forwarded::Rejected(crate::client::Reason::Busy);
            return self.answer(origin, busy, cx);
        }
        let deadline = self.request_deadline(cx);
        let read = Read {
            origin,
            range,
            deadline,
        };
        self.take_read(read, cx);
    }

    /// A read joins the round that was not asked yet.
    pub(super) fn take_read(&mut self, read: Read, cx: &mut StepContext<'_>) {
        let Some(lead) = &mut self.lead else {
            return self.end_read(read, cx);
        };
        match lead.reads.back_mut() {
            Some(round) if round.number.is_none() => round.reads.push(read),
            Some(_) | None => {
                let round = Round {
                    number: None,
                    commit: Seq::ZERO,
                    reads: alloc::vec![read],
                };
                lead.reads.push_back(round);
            }
        }
    }

    /// Asks for the round that is not asked yet, and answers those that a majority confirmed.
    pub(super) fn answer_reads(&mut self, cx: &mut StepContext<'_>) {
        self.answer_forwarded_reads(cx);
        if self.role != Role::Leader {
            return;
        }
        // A leader holds all that was committed before its epoch, but of what it knows that only
        // once its commit reaches its own first entry.
        let Some(lead) = &mut self.lead else { return };
        if self.commit < lead.first {
            return;
        }
        if let Some(round) = lead.reads.back_mut().filter(|round| round.number.is_none()) {
            let number = cx.attempts.advance();
            round.number = Some(number);
            round.commit = self.commit;
            lead.round = Some(number);
            lead.round_is_new = true;
        }
        let confirmed = self.confirmed_round();
        let Some(lead) = &mut self.lead else { return };
        let mut due = Vec::new();
        while let Some(round) = lead.reads.front() {
            if round
                .number
                .is_none_or(|number| confirmed.is_some_and(|c| number > c))
            {
                break;
            }
            due.extend(lead.reads.pop_front());
        }
        for round in due {
            for read in round.reads {
                self.finish_read(read, round.commit, cx);
            }
        }
    }

    /// The newest round that a majority confirmed; `None` when this replica is one by itself.
    fn confirmed_round(&self) -> Option<AttemptNumber> {
        let membership = self.log.membership();
        let lead = self.lead.as_ref()?;
        let mut rounds: Vec<AttemptNumber> = membership
            .voters
            .iter()
            .filter_map(|voter| lead.followers.get(&voter.node))
            .map(|follower| follower.confirmed)
            .collect();
        rounds.sort_unstable_by(|a, b| b.cmp(a));
        let others = membership.majority() - 1;
        if others == 0 {
            None
        } else {
            Some(rounds[others - 1])
        }
    }

    fn finish_read(&mut self, read: Read, commit: Seq, cx: &mut StepContext<'_>) {
        match (read.origin, read.range) {
            (Origin::Here(ticket), Some(range)) => self.read_stale(ticket, range, cx),
            (origin, _) => self.answer(origin, Forwarded::ReadIndex { commit }, cx),
        }
    }

    /// The confirms that this chain asks of `peer`, the newest round only: one answer to it
    /// confirms every earlier one.
    pub(crate) fn poll_confirm(&self, peer: &Member, cx: &StepContext<'_>) -> Option<Confirm> {
        let lead = self.lead.as_ref()?;
        let number = lead.round?;
        let is_open = lead.reads.iter().any(|round| round.number.is_some());
        let follower = lead.followers.get(&peer.node)?;
        if !is_open || follower.confirmed >= number || self.voter(peer.node).is_none() {
            return None;
        }
        Some(Confirm {
            chain: self.id,
            generation: self.generation,
            leader: self.me.replica,
            voter: follower.member.replica,
            epoch: self.epoch,
            attempt: Attempt {
                incarnation: cx.me.incarnation,
                number,
            },
        })
    }

    /// Whether a round began since this was last asked.
    pub(crate) fn take_new_round(&mut self) -> bool {
        self.lead
            .as_mut()
            .is_some_and(|lead| core::mem::take(&mut lead.round_is_new))
    }

    /// A voter confirmed that it follows.
    pub(crate) fn on_confirmed(&mut self, from: Run, confirm: &Confirm, cx: &mut StepContext<'_>) {
        let is_mine = confirm.attempt.incarnation == cx.me.incarnation
            && confirm.epoch.n == self.epoch.n
            && confirm.leader == self.me.replica;
        let Some(lead) = self.lead.as_mut().filter(|_| is_mine) else {
            return cx.count(Count::StaleAnswer);
        };
        let Some(follower) = lead.followers.get_mut(&from.node) else {
            return;
        };
        if !same_member(&follower.member, from, confirm.voter) {
            return cx.count(Count::WrongReplica);
        }
        follower.confirmed = follower.confirmed.max(confirm.attempt.number);
    }

    /// The other voters.
    pub(crate) fn other_voters(&self) -> impl Iterator<Item = &Member> {
        let me = self.me.node;
        self.log
            .membership()
            .voters
            .iter()
            .filter(move |voter| voter.node != me)
    }
}
