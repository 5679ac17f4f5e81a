//! What a leader knows: how far each follower is, who waits for what, and whether it still has
//! its quorum (D12, D13c, D13g).

use super::append::Waiting;
use super::behind::Behind;
use super::hold::Holds;
use super::read::Round;
use super::role::{Role, Signal};
use super::stall::Progress;
use super::transfer::Transfer;
use super::{Chain, StepContext, same_member};
use crate::chain::entry::LogPosition;
use crate::count::Count;
use crate::deadline::Timer;
use crate::id::{
    Attempt, AttemptNumber, Incarnation, Member, NodeId, OpNumber, PullNumber, Replica, Run, Seq,
};
use crate::message::ReplicaMessage;
use crate::time::Instant;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The state of one leadership.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub(crate) struct Lead {
    pub(super) since: Instant,
    /// Position of the empty entry that began it (R5).
    pub(super) first: Seq,
    /// The retention floor decided so far; never lowered (D18).
    pub(super) floor: Seq,
    pub(super) followers: BTreeMap<NodeId, Follower>,
    /// Who waits for a commit.
    pub(super) waiting: BTreeMap<Seq, Vec<Waiting>>,
    /// Who waits for durability here.
    pub(super) waiting_local: BTreeMap<Seq, Vec<Waiting>>,
    pub(super) waiting_count: u32,
    /// Tries of forwarders that were already judged in this epoch (D15).
    pub(super) judged: BTreeMap<NodeId, Judged>,
    pub(super) reads: VecDeque<Round>,
    /// The newest confirmation round asked for.
    pub(super) round: Option<AttemptNumber>,
    /// Whether that round was not sent yet.
    pub(super) round_is_new: bool,
    pub(super) transfer: Option<Transfer>,
    /// Targets that this leader chose and that did not take over.
    pub(super) failed_targets: BTreeSet<NodeId>,
    /// Who told this replica to take over, if leadership came so.
    pub(super) given_by: Option<NodeId>,
    /// What commit waits for, while it does.
    pub(super) progress: Option<Progress>,
    /// What was committed, and since when entries have waited for more, a hand-over in vain or not.
    pub(super) commit_stands: Option<(Seq, Instant)>,
    /// Since when the store here has no space.
    pub(super) full_since: Option<Instant>,
    /// The order that is under way at the store here, and since when it was seen to be.
    pub(super) writing: Option<(OpNumber, Instant)>,
    /// Members that start anew, for which the floor waits.
    pub(super) holds: Holds,
    /// Whether a quorum was counted by echoes alone, when the leadership itself was too old to
    /// stand for one.
    has_quorum: bool,
}

/// The tries of the newest run of a forwarder; those of its earlier ones all count as judged.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub(super) struct Judged {
    pub(super) incarnation: Incarnation,
    /// Every number up to here counts as judged.
    pub(super) low: AttemptNumber,
    pub(super) seen: BTreeSet<AttemptNumber>,
}

impl Judged {
    pub(super) fn new(incarnation: Incarnation) -> Self {
        Self {
            incarnation,
            low: AttemptNumber::new(0),
            seen: BTreeSet::new(),
        }
    }

    pub(super) fn holds(&self, attempt: Attempt) -> bool {
        attempt.incarnation < self.incarnation
            || (attempt.incarnation == self.incarnation
                && (attempt.number <= self.low || self.seen.contains(&attempt.number)))
    }
}

/// What the leader knows of one follower.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub(super) struct Follower {
    pub(super) member: Member,
    /// End of the prefix that is equal to ours and durable there.
    pub(super) acked: Seq,
    /// For how long it has lacked what is committed.
    pub(super) behind: Behind,
    /// The newest pull that was heard.
    pub(super) heard: (Incarnation, PullNumber),
    pub(super) stream: Option<Stream>,
    /// The newest confirmation round that it answered.
    pub(super) confirmed: AttemptNumber,
}

/// Entries on their way to one member.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub(super) struct Stream {
    pub(super) attempt: Attempt,
    /// First position not sent yet.
    pub(super) next: Seq,
    /// Up to where they are there, and durable there, as was last said.
    heard: (Seq, Seq),
    /// Whether it was said again, so that something is missing there.
    is_missing: bool,
    /// Commit and floor that the last chunk carried.
    pub(super) told: Option<(Seq, Seq)>,
}

impl Stream {
    /// A stream from `next` on to a member that holds durably what is before `durable`.
    pub(super) fn new(attempt: Attempt, next: Seq, durable: Seq) -> Self {
        Self {
            attempt,
            next,
            heard: (next, durable),
            is_missing: false,
            told: None,
        }
    }

    /// Up to where entries are there, durable or not.
    pub(super) fn held(&self) -> Seq {
        self.heard.0
    }

    /// Whether another message may be under way.
    pub(super) fn is_open(&self, node: NodeId, cx: &StepContext<'_>) -> bool {
        let max = cx.config.limits().chunks_in_flight_max as usize;
        cx.windows.is_open(node, self.attempt, max)
    }

    /// The member has what is before `since`, and durably what is before `durable`. If that is no
    /// news it misses something. `is_late` when it may have said so before, `is_full` when its store
    /// had no space: then it was not the link that took the time.
    pub(super) fn hear(
        &mut self,
        node: NodeId,
        (since, durable): (Seq, Seq),
        (is_late, is_full): (bool, bool),
        cx: &mut StepContext<'_>,
    ) {
        let end = (durable.get(), is_late || is_full);
        cx.windows.acknowledge(node, self.attempt, end, cx.now);
        if since > durable {
            let end = since.get();
            cx.windows.arrived(node, self.attempt, end, cx.now);
        }
        self.next = self.next.max(since);
        let heard = (since.max(self.heard.0), durable.max(self.heard.1));
        let before = core::mem::replace(&mut self.heard, heard);
        // What became durable meanwhile tells nothing of what is behind it, nor does what was said
        // in vain before.
        let is_stuck = heard.0 < self.next && (heard.0 == before.0 || is_late);
        self.is_missing = heard == before || is_stuck;
        if self.send_missing(node, cx).is_some() {
            cx.count(Count::StillUnderWay);
        }
    }

    /// The member has said elsewhere what is durable there: what is under way up to there arrived, or
    /// is of no use.
    pub(super) fn pass(&mut self, node: NodeId, durable: Seq, cx: &mut StepContext<'_>) {
        if durable > self.heard.1 {
            cx.windows
                .acknowledge(node, self.attempt, (durable.get(), true), cx.now);
            self.heard = (self.heard.0.max(durable), durable);
            self.next = self.next.max(durable);
        }
    }

    /// The member asks anew from `since` on.
    pub(super) fn end(self, node: NodeId, since: Seq, cx: &mut StepContext<'_>) {
        if since < self.next {
            cx.windows.lose(node, self.attempt);
        } else {
            cx.windows.forget(node, self.attempt);
        }
    }

    /// Whether it has nothing to send, as far as a log ends at `end`.
    pub(super) fn is_quiet(&self, end: Seq) -> bool {
        !self.is_missing && self.next >= end
    }

    /// Nothing that was under way arrives any more.
    pub(super) fn lose(&mut self) {
        self.is_missing = self.next > self.heard.0;
    }

    /// Whether nothing is heard any more of a member that was sent something: all of it should have
    /// arrived long ago.
    pub(super) fn is_abandoned(&self, node: NodeId, cx: &StepContext<'_>) -> bool {
        let due = cx.windows.overdue_at(node, self.attempt);
        self.next > self.heard.1 && due.is_none()
    }

    /// Sends again what the member misses; until it is due, when to look again.
    pub(super) fn send_missing(
        &mut self,
        node: NodeId,
        cx: &mut StepContext<'_>,
    ) -> Option<Instant> {
        if let Err(wait) = cx.take_missing(node, self.attempt, &mut self.is_missing) {
            return wait;
        }
        if self.heard.0 < self.next {
            cx.count(Count::SentAgain);
            cx.windows.send_again(node, self.attempt);
            self.next = self.heard.0;
        }
        // Where no entry is missing, what is committed may be.
        self.told = None;
        None
    }

    /// Entries up to `end` left.
    pub(super) fn sent(
        &mut self,
        node: NodeId,
        (end, bytes): (Seq, u64),
        cx: &mut StepContext<'_>,
    ) {
        assert!(
            self.is_open(node, cx),
            "messages under way to one member are bounded"
        );
        cx.windows
            .sent(node, self.attempt, (end.get(), bytes), cx.now);
        self.next = end;
    }
}

impl Lead {
    pub(super) fn new(peers: &[Member], first: Seq, floor: Seq, now: Instant) -> Self {
        let follower = |&member: &Member| {
            let heard = (Incarnation::new(0), PullNumber::new(0));
            let confirmed = AttemptNumber::new(0);
            (
                member.node,
                Follower {
                    member,
                    acked: Seq::ZERO,
                    behind: Behind::new(now),
                    heard,
                    stream: None,
                    confirmed,
                },
            )
        };
        Self {
            since: now,
            first,
            floor,
            followers: peers.iter().map(follower).collect(),
            waiting: BTreeMap::new(),
            waiting_local: BTreeMap::new(),
            waiting_count: 0,
            judged: BTreeMap::new(),
            reads: VecDeque::new(),
            round: None,
            round_is_new: false,
            transfer: None,
            failed_targets: BTreeSet::new(),
            given_by: None,
            progress: None,
            commit_stands: None,
            full_since: None,
            writing: None,
            holds: Holds::default(),
            has_quorum: false,
        }
    }
}

impl Chain {
    /// A follower asks for entries, and acknowledges what is durable there (D13c).
    #[allow(clippy::too_many_arguments, reason = "the fields of one message")]
    pub(super) fn on_pull(
        &mut self,
        from: Run,
        replica: Replica,
        since: LogPosition,
        durable: Option<Seq>,
        attempt: Attempt,
        heard: (Incarnation, PullNumber),
        cx: &mut StepContext<'_>,
    ) {
        let is_full = self.is_full_at(from.node, cx);
        let Some(lead) = &mut self.lead else { return };
        let Some(follower) = lead.followers.get_mut(&from.node) else {
            return;
        };
        if !same_member(&follower.member, from, replica) {
            return cx.count(Count::WrongReplica);
        }
        if heard <= follower.heard {
            return cx.count(Count::StaleAnswer);
        }
        let mut next = follower.heard;
        next.1.advance();
        let is_late = heard != next;
        follower.heard = heard;
        let member = follower.member;
        self.serving.end_help(from.node, cx);
        // What our checkpoint covers needs no copy there, and who has to replace its log may have
        // dropped it.
        let is_owed = follower.acked > self.log.floor();
        if is_owed && durable.is_some_and(|durable| durable < follower.acked) {
            cx.count(Count::StoreRegressed);
            let acknowledged = follower.acked;
            return self.send_to_member(&member, ReplicaMessage::Regressed { acknowledged }, cx);
        }
        if self.log.position_at(since.end) != Some(since) {
            return self.refuse_pull(&member, since, attempt, cx);
        }
        if let Some(durable) = durable {
            follower.acked = follower.acked.max(since.end.min(durable));
            follower.behind.look(follower.acked, self.commit, cx.now);
        }
        // Its position is in our log, so it needs no checkpoint: what was sent of one answers the
        // same request, and would hide what is acknowledged behind it. What it asked for since, to
        // repair what is below, goes on.
        let begun = self.serving.snapshots.get(&from.node);
        if let Some(begun) = begun
            .map(|begun| begun.attempt)
            .filter(|begun| *begun <= attempt)
        {
            self.serving.snapshots.remove(&from.node);
            cx.windows.forget(from.node, begun);
        }
        match &mut follower.stream {
            Some(stream) if stream.attempt == attempt => {
                stream.hear(
                    from.node,
                    (since.end, follower.acked),
                    (is_late, is_full),
                    cx,
                );
            }
            other => {
                let stream = Stream::new(attempt, since.end, follower.acked);
                if let Some(old) = other.replace(stream) {
                    old.end(from.node, since.end, cx);
                }
            }
        }
    }

    /// The predecessor named differs from ours: where to look next, or a start from a checkpoint.
    fn refuse_pull(
        &mut self,
        to: &Member,
        since: LogPosition,
        attempt: Attempt,
        cx: &mut StepContext<'_>,
    ) {
        match self.conflict_hint(since) {
            Some((hint, hint_epoch)) => {
                let content = ReplicaMessage::Conflict {
                    attempt,
                    failed: since,
                    hint,
                    hint_epoch,
                    differs: since.end > self.log.end()
                        || self.log.position_at(since.end).is_some(),
                };
                self.send_to_member(to, content, cx);
            }
            None if self.is_bridged(to.node, attempt, cx) => cx.count(Count::StillUnderWay),
            None => {
                self.end_stream(to.node, cx);
                self.send_snapshot(to, attempt, since.end, cx);
            }
        }
    }

    /// Whether what takes a member past the floor, which rose behind its back, is under way and may
    /// still arrive: then it needs no checkpoint.
    fn is_bridged(&self, node: NodeId, attempt: Attempt, cx: &StepContext<'_>) -> bool {
        let lead = self.lead.as_ref();
        let follower = lead.and_then(|lead| lead.followers.get(&node));
        let stream = follower.and_then(|follower| follower.stream.as_ref());
        stream.is_some_and(|stream| {
            let due = cx.windows.overdue_at(node, attempt);
            stream.attempt == attempt
                && stream.next >= self.log.floor()
                && due.is_some_and(|due| due > cx.now)
        })
    }

    /// Entries on their way to a member are of no use before the checkpoint that it is sent, and
    /// would take the place of its parts.
    pub(super) fn end_stream(&mut self, node: NodeId, cx: &mut StepContext<'_>) {
        let lead = self.lead.as_mut();
        let follower = lead.and_then(|lead| lead.followers.get_mut(&node));
        if let Some(stream) = follower.and_then(|follower| follower.stream.take()) {
            cx.windows.forget(node, stream.attempt);
        }
    }

    /// Our largest entry below the failed predecessor whose epoch is not above its; `None` when
    /// it would lie below the first retained entry.
    fn conflict_hint(&self, since: LogPosition) -> Option<(Seq, crate::id::Epoch)> {
        let mut end = since.end.before()?.min(self.log.end());
        while end > self.log.floor() {
            let epoch = self.log.epoch_before(end)?;
            let seq = end.before()?;
            if epoch.n <= since.epoch.n {
                return Some((seq, epoch));
            }
            end = seq;
        }
        // The entry below the floor is known by the checkpoint alone: enough for a hint, unless
        // the position that failed is not above it.
        let floor = self.log.checkpoint().floor;
        let seq = floor.end.before()?;
        (end == floor.end && floor.end < since.end && floor.epoch.n <= since.epoch.n)
            .then_some((seq, floor.epoch))
    }

    /// Checks that a quorum still answers; a leader without one stops claiming at once (D12).
    pub(crate) fn check_quorum(&mut self, cx: &mut StepContext<'_>) {
        let Some(lead) = &mut self.lead else { return };
        let window = cx.config.suspicion();
        let has_contact = |member: &&Member| {
            let echoed = cx
                .liveness
                .last_echo(member.node)
                .map_or(lead.since, |at| at.max(lead.since));
            member.node == self.me.node || cx.now.since(echoed) < window
        };
        let membership = self.log.membership();
        if membership.voters.iter().filter(has_contact).count() >= membership.majority() {
            lead.has_quorum = cx.now.since(lead.since) >= window;
            return;
        }
        cx.count(Count::QuorumLost);
        self.leader_seen = cx.now;
        self.abandon_leadership(cx);
        self.set_role(Role::Replica, Signal::PeerLeaderObserved, cx);
    }

    /// Whether this replica leads, or is bound to seek votes, and has to look after that with the next
    /// heartbeat, although nothing happens until then.
    pub(crate) fn is_watched(&self, leaving: bool) -> bool {
        let Some(lead) = &self.lead else {
            return self.is_bound();
        };
        let is_wanted_elsewhere = self.pinned.is_some_and(|pinned| pinned != self.me.node);
        !lead.has_quorum
            || !lead.reads.is_empty()
            || lead.transfer.is_some()
            || self.commit < self.log.end()
            || self.log.durable().end < self.commit
            || self.writer.is_full()
            || self.is_held()
            || is_wanted_elsewhere
            || leaving
    }

    /// Ends a leadership: whoever waits is told that the outcome is not known.
    pub(super) fn abandon_leadership(&mut self, cx: &mut StepContext<'_>) {
        let Some(mut lead) = self.lead.take() else {
            return;
        };
        self.forwards
            .end_leadership(self.epoch.n, core::mem::take(&mut lead.judged));
        self.leader = None;
        self.verified = Seq::ZERO;
        self.follow.restart(self.log.end());
        cx.deadlines.disarm(self.index, Timer::Age);
        self.end_transfer(&mut lead, cx);
        self.answer_all_unknown(lead, cx);
    }
}
