//! A leader that cannot commit although its quorum echoes, or whose own store hangs.
//!
//! Heartbeats are small and cross paths that lose what is large, and a follower with a full disk
//! echoes them. So a leader that has uncommitted work looks with every heartbeat whether what
//! commit waits for moves, and hands leadership on when it did not for too long. Whom it hands
//! it to goes by turns, and who had a turn is told on: a chain that nobody can serve is not
//! handed around without a pause.

use super::transfer::Cause;
use super::{Chain, Lead, StepContext};
use crate::count::Count;
use crate::id::{Member, NodeId, Seq};
use crate::time::Instant;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// Who led without committing anything since the commit last moved, and how long the next one
/// tries.
#[derive(Clone, Debug, Default, Hash, Serialize, Deserialize)]
pub(super) struct Stall {
    tried: BTreeSet<NodeId>,
    /// `None` until every voter had a turn.
    pause: Option<Duration>,
}

impl Stall {
    /// What a leader told its target.
    pub(super) fn told(tried: &[NodeId], pause_ms: u32) -> Self {
        let pause = Duration::from_millis(u64::from(pause_ms)).min(PAUSE_MAX);
        Self {
            tried: tried.iter().copied().collect(),
            pause: (!pause.is_zero()).then_some(pause),
        }
    }

    pub(super) fn tried(&self) -> Vec<NodeId> {
        self.tried.iter().copied().collect()
    }

    pub(super) fn pause_ms(&self) -> u32 {
        self.pause.map_or(0, |pause| pause.as_millis() as u32)
    }
}

/// What commit waited for when this leader last looked.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub(super) struct Progress {
    /// When some of it last moved.
    since: Instant,
    commit: Seq,
    /// The match of each voter, in the order of the config, and how much it has of a checkpoint.
    matches: Vec<(Seq, u32)>,
}

impl Chain {
    /// Position of the empty entry of this leadership.
    pub(super) fn first_of_lead(&self) -> Seq {
        self.lead.as_ref().map_or(Seq::ZERO, |lead| lead.first)
    }

    /// Notes whether what commit waits for moved since the last look.
    pub(super) fn watch_commit(&mut self, cx: &mut StepContext<'_>) {
        let Some(lead) = &self.lead else { return };
        let (commit, is_full) = (self.commit, self.writer.is_full());
        let under_way = self.writer.under_way();
        let progress = if commit == self.log.end() {
            None
        } else {
            let matches = self.matches(lead);
            // Only those that are not past the commit can raise it.
            let bar = commit.max(lead.first);
            let moves = |last: &Progress| {
                let mut pairs = last.matches.iter().zip(&matches);
                last.commit < commit || pairs.any(|(last, now)| last.0 <= bar && now > last)
            };
            let since = match &lead.progress {
                Some(last) if !moves(last) => last.since,
                Some(_) | None => cx.now,
            };
            Some(Progress {
                since,
                commit,
                matches,
            })
        };
        if let Some(lead) = &mut self.lead {
            let same = lead.commit_stands.filter(|(at, _)| *at == commit);
            lead.commit_stands = progress.is_some().then(|| same.unwrap_or((commit, cx.now)));
            lead.progress = progress;
            let same = lead.writing.filter(|(order, _)| Some(*order) == under_way);
            lead.writing = same.or(under_way.map(|order| (order, cx.now)));
            lead.full_since = if is_full {
                lead.full_since.or(Some(cx.now))
            } else {
                None
            };
        }
    }

    fn matches(&self, lead: &Lead) -> Vec<(Seq, u32)> {
        let voters = &self.log.membership().voters;
        let of = |node: NodeId| match lead.followers.get(&node) {
            Some(follower) => (follower.acked, self.serving.snapshot_held(node)),
            None => (self.log.durable().end, 0),
        };
        voters.iter().map(|voter| of(voter.node)).collect()
    }

    /// Hands leadership to whose turn it is, if nothing that commit waits for moved for too long;
    /// whether it did.
    pub(super) fn hands_over_stalled(&mut self, cx: &mut StepContext<'_>) -> bool {
        let Some(progress) = self.lead.as_ref().and_then(|lead| lead.progress.as_ref()) else {
            return false;
        };
        let base = cx.config.suspicion() * 4;
        let pause = self.stall.pause.unwrap_or(base).max(base);
        let waited = cx.now.since(progress.since);
        if waited < pause || waited < self.transmission(cx) || waited < self.storage(cx) {
            return false;
        }
        let Some(target) = self.next_in_turn(cx) else {
            // Everybody had a turn, so each gets another, after twice as long.
            self.stall.tried.clear();
            self.stall.pause = Some((pause * 2).min(PAUSE_MAX));
            return false;
        };
        cx.count(Count::StalledLeader);
        self.stall.tried.extend([self.me.node, target]);
        self.begin_transfer(target, Cause::Stalled, cx);
        true
    }

    /// Twice the time that what is under way to some voter needs, as its link was last seen.
    fn transmission(&self, cx: &StepContext<'_>) -> Duration {
        let needs = self
            .other_voters()
            .map(|voter| cx.windows.needs(voter.node));
        (needs.max().unwrap_or_default() * 2).min(PAUSE_MAX)
    }

    /// The time that disks have where they are all that commit waits for, because a majority holds
    /// the next entry: on slow ones a write takes heartbeats, and a seal may be under way before it.
    fn storage(&self, cx: &StepContext<'_>) -> Duration {
        let Some(lead) = &self.lead else {
            return Duration::ZERO;
        };
        let bar = self.commit.max(lead.first);
        let holds = |voter: &&Member| {
            let stream = lead
                .followers
                .get(&voter.node)
                .and_then(|one| one.stream.as_ref());
            stream.is_some_and(|stream| stream.held() > bar) && !self.is_full_at(voter.node, cx)
        };
        let others = self.other_voters().filter(holds).count();
        if others + 1 < self.log.membership().majority() {
            return Duration::ZERO;
        }
        cx.config.heartbeat() * STORAGE_BEATS
    }

    /// The next voter behind this one, in the cyclic order of ids, that is heard, has space, could
    /// be elected, and had no turn. Without space it could not even begin to lead, and nobody would
    /// answer reads.
    fn next_in_turn(&self, cx: &StepContext<'_>) -> Option<NodeId> {
        let may_lead = |node: &NodeId| {
            !self.stall.tried.contains(node)
                && !cx.liveness.is_suspected(*node)
                && !self.is_full_at(*node, cx)
                && self.could_win(*node, cx)
        };
        let others: BTreeSet<NodeId> = self.other_voters().map(|voter| voter.node).collect();
        let behind = others.range(self.me.node..);
        behind
            .chain(others.range(..self.me.node))
            .copied()
            .find(may_lead)
    }

    /// Whether the logs of a majority, as far as they are known and heard of, are no longer than that
    /// voter's: the others refuse it their votes.
    fn could_win(&self, node: NodeId, cx: &StepContext<'_>) -> bool {
        let held = |voter: NodeId| {
            let followers = self.lead.as_ref().map(|lead| &lead.followers);
            let follower = followers.and_then(|followers| followers.get(&voter));
            follower.map_or(Seq::ZERO, |follower| follower.acked)
        };
        let end = held(node);
        let grants =
            |voter: &&Member| !cx.liveness.is_suspected(voter.node) && held(voter.node) <= end;
        let own = usize::from(self.log.durable().end <= end);
        self.other_voters().filter(grants).count() + own >= self.log.membership().majority()
    }

    /// Whether the store here had no space for a while and everything is committed: somebody else
    /// may be able to take appends.
    pub(super) fn is_out_of_space(&self, cx: &StepContext<'_>) -> bool {
        let full_since = self.lead.as_ref().and_then(|lead| lead.full_since);
        full_since.is_some_and(|at| cx.now.since(at) >= cx.config.suspicion())
            && self.commit == self.log.end()
    }

    /// Whether the store here ends nothing while others commit without it: what retention waits for
    /// here everybody keeps, and this node in memory, too.
    pub(super) fn is_hung(&self, cx: &StepContext<'_>) -> bool {
        let writing = self.lead.as_ref().and_then(|lead| lead.writing);
        writing.is_some_and(|(_, at)| cx.now.since(at) >= cx.config.heartbeat() * STORAGE_BEATS)
            && self.log.durable().end < self.commit
    }
}

/// The longest pause between two attempts of leaders that cannot commit.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// How many heartbeats disks have to store what a majority holds, and the leader's to end an order
/// while others commit: it hands over in the end, for they may hang.
const STORAGE_BEATS: u32 = 24;
