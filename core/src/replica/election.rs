//! Candidates: a query round, then a binding round (R2–R5).

use super::role::{Role, Signal};
use super::vote::VoteRequest;
use super::{Chain, Lead, StepContext, same_member};
use crate::count::Count;
use crate::deadline::Timer;
use crate::id::{Attempt, Epoch, Member, NodeId, Replica, Run};
use crate::message::{Purpose, ReplicaMessage, Round};
use crate::time::Wall;
use alloc::collections::BTreeSet;
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
        self.time_round(round, cx);
        self.ask_votes(cx);
    }

    /// The present round ends after two heartbeats; a binding one, which waits for disks, after
    /// twice that for each epoch before it that was in vain.
    fn time_round(&self, round: Round, cx: &mut StepContext<'_>) {
        let doubled = match round {
            Round::Pre => 0,
            Round::Real => self.epochs_in_vain.min(DOUBLED_MAX),
        };
        let end = cx.now.after(cx.config.heartbeat() * (2 << doubled));
        cx.deadlines.arm(self.index, Timer::Round, end);
    }

    /// Sends the requests of the present round, the binding ones once the own vote is durable; from
    /// then on the voters' disks have as long as the own one had.
    fn ask_votes(&mut self, cx: &mut StepContext<'_>) {
        let settled = self.is_settled();
        let Some(campaign) = &mut self.campaign else {
            return;
        };
        if campaign.asked_all || (campaign.round == Round::Real && !settled) {
            return;
        }
        campaign.asked_all = true;
        let durable = self.log.durable();
        let content = ReplicaMessage::VoteRequest {
            round: campaign.round,
            purpose: campaign.purpose,
            asked: campaign.asked,
            last_epoch: durable.epoch,
            tail: durable.end,
            attempt: campaign.attempt,
        };
        let round = campaign.round;
        self.time_round(round, cx);
        let voters = self.log.membership().clone();
        for voter in voters
            .voters
            .iter()
            .filter(|voter| voter.node != self.me.node)
        {
            self.send_to_member(voter, content.clone(), cx);
        }
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
        let (is_early, refusals) = (campaign.is_early, &campaign.refusals);
        let is_silence = campaign.purpose == Purpose::Silence;
        // Nobody answers for a process that is gone.
        let may_grant = |voter: &&Member| {
            voter.node == self.me.node
                || !(refusals.contains(&voter.node) || cx.liveness.is_suspected(voter.node))
        };
        let membership = self.log.membership();
        let left = membership.voters.iter().filter(may_grant).count();
        if left >= membership.majority() {
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
        // Whoever gave leadership away, perhaps because it stops, is the last to give it back to.
        lead.failed_targets
            .extend(self.given_by.filter(|_| is_given));
        self.lead = Some(lead);
        self.append_empty(stamp, cx);
    }
}

/// How often the time of a binding round is doubled at most: 32 heartbeats.
const DOUBLED_MAX: u32 = 4;
