//! Candidates: a query that binds nobody, then a binding round, which ends with a leader or in
//! vain. Whose turn it is and for how long is argued in `docs/decisions/quorum.md`.

use super::role::{Role, Signal};
use super::vote::VoteRequest;
use super::{Chain, Lead, StepContext, same_member};
use crate::count::Count;
use crate::deadline::Timer;
use crate::id::{Attempt, Epoch, Member, NodeId, Replica, Run};
use crate::message::{Purpose, ReplicaMessage, Round};
use crate::time::Wall;
use alloc::collections::BTreeSet;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// One attempt to be elected.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub(super) struct Campaign {
    round: Round,
    purpose: Purpose,
    asked: Epoch,
    attempt: Attempt,
    votes: BTreeSet<NodeId>,
    refusals: BTreeSet<NodeId>,
    /// Whether it stands beside the ordinary attempts.
    is_early: bool,
    /// Whether the requests of this round left.
    asked_all: bool,
    /// Whether a refusal may make it ask once more, in the refuser's next epoch. Candidates that
    /// did so without end would each time break off the binding round of the other.
    may_repeat: bool,
}

impl Chain {
    pub(super) fn may_campaign(&self, cx: &StepContext<'_>) -> bool {
        self.role == Role::Replica
            && self.fault.is_none()
            && self.epoch.n < u64::MAX
            && !cx.leaving
            && !self.is_resetting()
            && self.log.unknown() == 0
            && self.voter(self.me.node) == Some(&self.me)
            && self.agreed_time(cx).is_some()
    }

    /// Asks every voter whether it would vote for this replica in the next epoch.
    pub(super) fn campaign(&mut self, purpose: Purpose, cx: &mut StepContext<'_>) {
        cx.deadlines.disarm(self.index, Timer::Election);
        self.seek(purpose, false, cx);
    }

    /// The same beside the ordinary attempts: their timer runs on.
    pub(super) fn campaign_early(&mut self, cx: &mut StepContext<'_>) {
        self.seek(Purpose::Silence, true, cx);
    }

    fn seek(&mut self, purpose: Purpose, is_early: bool, cx: &mut StepContext<'_>) {
        self.set_role(Role::Candidate, Signal::MissedHeartbeats, cx);
        self.stop_asking();
        let asked = Epoch {
            n: self.epoch.n.saturating_add(1),
            node: self.me.node,
        };
        self.open_round(Round::Pre, (purpose, is_early), asked, cx);
        self.count_votes(cx);
    }

    /// Adopts the epoch of a refusal, and asks again in the next one.
    pub(super) fn ask_again(&mut self, epoch: Epoch, cx: &mut StepContext<'_>) {
        let repeats = self
            .campaign
            .as_ref()
            .filter(|campaign| campaign.round == Round::Pre && campaign.may_repeat);
        let purpose = repeats.map(|campaign| campaign.purpose);
        self.adopt(epoch, cx);
        if let Some(purpose) = purpose
            && self.may_campaign(cx)
        {
            self.campaign(purpose, cx);
            if let Some(campaign) = &mut self.campaign {
                campaign.may_repeat = false;
            }
        }
    }

    /// Whether this replica seeks leadership because the leader asked it to.
    pub(super) fn is_sought_by_transfer(&self) -> bool {
        let campaign = self.campaign.as_ref();
        campaign.is_some_and(|campaign| campaign.purpose == Purpose::Transfer)
    }

    pub(super) fn is_early(&self) -> bool {
        self.campaign
            .as_ref()
            .is_some_and(|campaign| campaign.is_early)
    }

    fn open_round(
        &mut self,
        round: Round,
        (purpose, is_early): (Purpose, bool),
        asked: Epoch,
        cx: &mut StepContext<'_>,
    ) {
        let attempt = cx.attempt();
        let votes = BTreeSet::from([self.me.node]);
        let campaign = Campaign {
            round,
            purpose,
            asked,
            attempt,
            votes,
            refusals: BTreeSet::new(),
            is_early,
            asked_all: false,
            may_repeat: true,
        };
        self.campaign = Some(campaign);
        cx.deadlines.disarm(self.index, Timer::Round);
        self.ask_votes(cx);
    }

    /// How long a binding round lasts, which waits for disks: two heartbeats, twice as long for each
    /// epoch in vain.
    pub(super) fn binding_round(&self, cx: &StepContext<'_>) -> Duration {
        cx.config.heartbeat() * (2 << self.doublings)
    }

    /// Sends the requests of the present round, the binding ones once the own vote is durable.
    /// The round ends that long after: a disk that takes longer would otherwise end every one
    /// before anybody is asked.
    fn ask_votes(&mut self, cx: &mut StepContext<'_>) {
        let settled = self.is_settled();
        let Some(campaign) = &mut self.campaign else {
            return;
        };
        if campaign.asked_all || (campaign.round == Round::Real && !settled) {
            return;
        }
        campaign.asked_all = true;
        let span = match campaign.round {
            Round::Pre => cx.config.heartbeat() * 2,
            Round::Real => self.binding_round(cx),
        };
        let end = cx.now.after(span);
        cx.deadlines.arm(self.index, Timer::Round, end);
        self.ask_silent(cx);
    }

    /// Asks every voter that has not answered.
    fn ask_silent(&self, cx: &mut StepContext<'_>) {
        let Some(campaign) = &self.campaign else {
            return;
        };
        let durable = self.log.durable();
        let content = ReplicaMessage::VoteRequest {
            round: campaign.round,
            purpose: campaign.purpose,
            asked: campaign.asked,
            last_epoch: durable.epoch,
            tail: durable.end,
            attempt: campaign.attempt,
        };
        let membership = self.log.membership().clone();
        let has_answered = |node| campaign.votes.contains(node) || campaign.refusals.contains(node);
        for voter in &membership.voters {
            if !has_answered(&voter.node) {
                self.send_to_member(voter, content.clone(), cx);
            }
        }
    }

    /// Once per heartbeat: a binding round, which may be long, goes on while it can succeed, and asks
    /// again whoever has not answered, for a request or a vote may be lost.
    pub(crate) fn look_after_round(&mut self, cx: &mut StepContext<'_>) {
        let Some(campaign) = self.campaign.as_ref().filter(|_| self.is_bound()) else {
            return;
        };
        let asked_all = campaign.asked_all;
        if !self.may_succeed(cx) {
            return self.on_round_due(cx);
        }
        if asked_all {
            self.ask_silent(cx);
        }
    }

    /// Whether so many voters have voted, or may still, that the round can succeed. Nobody answers
    /// for a process that is gone.
    fn may_succeed(&self, cx: &StepContext<'_>) -> bool {
        let Some(campaign) = &self.campaign else {
            return false;
        };
        let may_grant = |voter: &&Member| {
            let is_open = !campaign.refusals.contains(&voter.node);
            campaign.votes.contains(&voter.node) || is_open && !cx.liveness.is_suspected(voter.node)
        };
        let membership = self.log.membership();
        membership.voters.iter().filter(may_grant).count() >= membership.majority()
    }

    /// Lets leave what waited for the promise to be durable.
    pub(super) fn keep_promises(&mut self, cx: &mut StepContext<'_>) {
        if !self.is_settled() {
            return;
        }
        self.send_vote(cx);
        self.ask_votes(cx);
        self.count_votes(cx);
    }

    /// Ends the own query in favour of one that it would vote for: of two with equal logs, that of
    /// the higher id. Two that went on would each keep its vote from the other.
    pub(super) fn give_way(
        &mut self,
        candidate: NodeId,
        request: &VoteRequest,
        cx: &mut StepContext<'_>,
    ) {
        let is_query = |campaign: &&mut Campaign| {
            campaign.round == Round::Pre && campaign.purpose == Purpose::Silence
        };
        let Some(campaign) = self.campaign.as_mut().filter(is_query) else {
            return;
        };
        let mine = self.log.durable();
        let is_equal = (request.last_epoch.n, request.tail) == (mine.epoch.n, mine.end);
        if is_equal && candidate < self.me.node {
            // It may have begun to bind itself, and asking again would depose it as it wins.
            campaign.may_repeat = false;
            return;
        }
        cx.count(Count::QueryGaveWay);
        if campaign.is_early {
            return self.on_early_refused(cx);
        }
        self.on_round_due(cx);
    }

    /// Whether this replica is bound to the present epoch as its candidate, and seeks votes.
    pub(super) fn is_bound(&self) -> bool {
        let campaign = self.campaign.as_ref();
        campaign.is_some_and(|campaign| campaign.round == Round::Real)
    }

    pub(super) fn on_vote_reply(
        &mut self,
        from: Run,
        replica: Replica,
        reply: (Round, Epoch, bool, Attempt),
        cx: &mut StepContext<'_>,
    ) {
        let (round, asked, granted, attempt) = reply;
        let is_voter = self
            .voter(from.node)
            .is_some_and(|voter| same_member(voter, from, replica));
        let Some(campaign) = &mut self.campaign else {
            return cx.count(Count::StaleAnswer);
        };
        if campaign.attempt != attempt || campaign.round != round || campaign.asked.n != asked.n {
            return cx.count(Count::StaleAnswer);
        }
        if !is_voter {
            return;
        }
        if granted {
            campaign.votes.insert(from.node);
            return self.count_votes(cx);
        }
        campaign.refusals.insert(from.node);
        let (is_early, is_silence) = (campaign.is_early, campaign.purpose == Purpose::Silence);
        if self.may_succeed(cx) {
            return;
        }
        if is_early {
            self.on_early_refused(cx);
        } else if is_silence {
            // It would only keep others from seeking leadership.
            self.on_round_due(cx);
        }
    }

    fn count_votes(&mut self, cx: &mut StepContext<'_>) {
        let Some(campaign) = &self.campaign else {
            return;
        };
        let membership = self.log.membership();
        let is_vote = |member: &&Member| campaign.votes.contains(&member.node);
        if membership.voters.iter().filter(is_vote).count() < membership.majority() {
            return;
        }
        match campaign.round {
            Round::Pre => {
                let asked = campaign.asked;
                let traits = (campaign.purpose, campaign.is_early);
                self.enter(asked, Some(self.me.node));
                self.open_round(Round::Real, traits, asked, cx);
            }
            Round::Real => {
                if let Some(stamp) = self.agreed_time(cx).filter(|_| self.is_settled()) {
                    self.lead(stamp, cx);
                }
            }
        }
    }

    /// The round ends without a majority, by its time or before.
    pub(crate) fn on_round_due(&mut self, cx: &mut StepContext<'_>) {
        if self.role != Role::Candidate {
            return;
        }
        cx.deadlines.disarm(self.index, Timer::Round);
        self.campaign = None;
        self.set_role(Role::Replica, Signal::ElectionLost, cx);
        // A query leaves the leader in place, but what it sent meanwhile may not have been taken,
        // and nothing would show that it is missing.
        self.stop_asking();
        if cx.deadlines.armed(self.index, Timer::Election).is_none() {
            let at = cx.now.after(cx.election_delay());
            cx.deadlines.arm(self.index, Timer::Election, at);
        }
    }

    fn lead(&mut self, stamp: Wall, cx: &mut StepContext<'_>) {
        let is_given = self.is_sought_by_transfer();
        self.campaign = None;
        self.led = self.epoch.n;
        cx.deadlines.disarm(self.index, Timer::Round);
        self.set_role(Role::Leader, Signal::ElectionWon, cx);
        self.end_handed(self.me.node, cx);
        self.leader = Some(self.me.node);
        self.epoch.node = self.me.node;
        let mut lead = Lead::new(&self.peers(), self.log.end(), self.log.floor(), cx.now);
        lead.given_by = self.given_by.filter(|_| is_given);
        self.lead = Some(lead);
        self.hold_for_laggards(cx);
        self.append_empty(stamp, cx);
    }
}
