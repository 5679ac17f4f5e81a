//! Retention: the leader decides the floor, everybody drops below its own commit (D18).
//!
//! The floor rises in steps of a quarter of the bound, so that checkpoints are written seldom:
//! count and bytes sink to three quarters of their bound once it is passed, and what is past its
//! age goes when the oldest of it is past it by a quarter. Ages are told by what a majority of
//! the voters' wall clocks agrees on, so one clock that leaps drops nothing.

use super::{Chain, StepContext};
use crate::chain::order::{Checkpoint, Slot};
use crate::count::Count;
use crate::deadline::Timer;
use crate::id::Seq;
use crate::time::{Sample, Wall, estimate};
use alloc::sync::Arc;
use core::time::Duration;

impl Chain {
    /// The time of this chain: what the clocks of its voters agree on, but never before its last
    /// stamp, and that stamp while too few of them are heard.
    fn chain_time(&self, cx: &StepContext<'_>) -> Wall {
        self.agreed_time(cx).unwrap_or_else(|| self.log.stamp())
    }

    /// What the clocks of the voters agree on, but never before the last stamp. `None` while too
    /// few of them are heard: whoever cannot tell the time neither leads nor appends, for a stamp
    /// of long ago would have its entry dropped at once.
    pub(super) fn agreed_time(&self, cx: &StepContext<'_>) -> Option<Wall> {
        let voters = &self.log.membership().voters;
        let own = Sample {
            wall: cx.wall,
            heard: cx.now,
        };
        let samples = voters.iter().filter_map(|voter| {
            if voter.node == self.me.node {
                return Some(own);
            }
            cx.liveness.clock(voter.node)
        });
        // With slow heartbeats nobody is heard more often than that.
        let age_max = SAMPLE_AGE_MAX.max(cx.config.suspicion());
        let agreed = estimate(voters.len(), samples, cx.now, age_max)?;
        Some(agreed.max(self.log.stamp()))
    }

    /// Decides anew what is dropped, once what was decided before is dropped here.
    pub(super) fn raise_floor(&mut self, cx: &mut StepContext<'_>) {
        if self
            .lead
            .as_ref()
            .is_some_and(|lead| lead.floor <= self.log.floor())
        {
            self.decide_floor(cx);
            self.await_age(cx);
        }
    }

    /// Raises the floor as far as the policy asks and commit allows.
    fn decide_floor(&mut self, cx: &mut StepContext<'_>) {
        let (by_room, by_age) = (
            self.floor_by_count().max(self.floor_by_size()),
            self.floor_by_age(cx),
        );
        let wanted = by_room.max(by_age).min(self.commit);
        let held = self.held_at(wanted, cx);
        let Some(lead) = &self.lead else { return };
        if held.is_some_and(|held| held <= lead.floor) {
            return;
        }
        if by_age > by_room.max(lead.floor) {
            cx.count(Count::Expired);
        }
        let floor = held.map_or(wanted, |held| wanted.min(held));
        if let Some(lead) = &mut self.lead {
            lead.floor = lead.floor.max(floor);
        }
    }

    fn floor_by_count(&self) -> Seq {
        let Some(max) = self.retention.entries_max else {
            return Seq::ZERO;
        };
        if self.commit.distance(self.log.floor()) <= max {
            return Seq::ZERO;
        }
        Seq::new(self.commit.get().saturating_sub(max - max / 4))
    }

    fn floor_by_size(&self) -> Seq {
        let Some(max) = self.retention.bytes_max else {
            return Seq::ZERO;
        };
        if self.log.bytes() <= max {
            return Seq::ZERO;
        }
        let mut bytes = self.log.bytes();
        let mut floor = self.log.floor();
        while bytes > max - max / 4 && floor < self.commit {
            let Some(entry) = self.log.entry(floor) else {
                break;
            };
            bytes -= u64::from(entry.payload.length());
            floor = floor.next();
        }
        floor
    }

    fn floor_by_age(&self, cx: &StepContext<'_>) -> Seq {
        let Some(max) = self.retention.age_max_ms else {
            return Seq::ZERO;
        };
        // While a deadline stands nothing is due, but a full store waits for no step.
        if cx.deadlines.armed(self.index, Timer::Age).is_some() && !self.writer.is_full() {
            return Seq::ZERO;
        }
        let Some(oldest) = self.oldest() else {
            return Seq::ZERO;
        };
        let now = self.chain_time(cx);
        if now < self.age_due(oldest, max, cx) {
            return Seq::ZERO;
        }
        let mut floor = self.log.floor();
        while floor < self.commit
            && self
                .log
                .entry(floor)
                .is_some_and(|entry| now.since(entry.stamp) > Duration::from_millis(max))
        {
            floor = floor.next();
        }
        floor
    }

    /// The stamp of the first entry that is retained and may be dropped.
    fn oldest(&self) -> Option<Wall> {
        let floor = self.log.floor();
        let entry = self.log.entry(floor).filter(|_| floor < self.commit);
        entry.map(|entry| entry.stamp)
    }

    /// When an entry of that stamp is to be dropped: past its age by one step, or at once when the
    /// store has no room.
    fn age_due(&self, stamp: Wall, max: u64, cx: &StepContext<'_>) -> Wall {
        let step = if self.writer.is_full() {
            Duration::from_millis(1)
        } else {
            age_step(max, cx)
        };
        stamp.after(Duration::from_millis(max)).after(step)
    }

    /// Looks at the age of the oldest entry when it is due, however idle the chain is; and once
    /// with every step, for the clocks of a majority may be set anew.
    fn await_age(&self, cx: &mut StepContext<'_>) {
        let Some(max) = self.retention.age_max_ms else {
            return;
        };
        let is_decided = self.lead.as_ref().map(|lead| lead.floor) > Some(self.log.floor());
        if is_decided || cx.deadlines.armed(self.index, Timer::Age).is_some() {
            return;
        }
        let Some(oldest) = self.oldest() else { return };
        let step = age_step(max, cx);
        let wait = self.age_due(oldest, max, cx).since(self.chain_time(cx));
        // What is due already waits for a member.
        let least = if self.is_held() {
            cx.config.heartbeat() / 4
        } else {
            Duration::from_millis(1)
        };
        let wait = wait.clamp(least, step);
        cx.deadlines.arm(self.index, Timer::Age, cx.now.after(wait));
    }

    /// Whether so much more is kept than the policy says that dropping it goes before appends:
    /// under load there may always be some.
    pub(super) fn is_far_past_bound(&self) -> bool {
        let far =
            |kept: u64, max: Option<u64>| max.is_some_and(|max| kept > max.saturating_add(max / 2));
        // By the stamps alone: where appends do not end, the last one is of now.
        let span = |oldest: Wall| self.log.stamp().since(oldest).as_millis() as u64;
        far(
            self.commit.distance(self.log.floor()),
            self.retention.entries_max,
        ) || far(self.log.bytes(), self.retention.bytes_max)
            || far(self.oldest().map_or(0, span), self.retention.age_max_ms)
    }

    /// The checkpoint that has to become durable before the prefix goes.
    pub(super) fn due_checkpoint(&mut self, cx: &mut StepContext<'_>) -> Option<Arc<Checkpoint>> {
        if let Some(checkpoint) = self.repairing_checkpoint(cx) {
            return Some(checkpoint);
        }
        let floor = self.log.floor();
        if self.due_floor() <= floor {
            // What was dropped may have shared a segment with entries that are cut by now.
            let is_littered = self.writer.is_littered() && self.log.end() == floor;
            let present = self.log.checkpoint();
            return is_littered.then(|| present.clone());
        }
        // It may have waited, and more be due by now.
        self.decide_floor(cx);
        self.log.checkpoint_at(self.due_floor()).map(Arc::new)
    }

    /// There is no space for a checkpoint that replaces this log, which may be what takes it all. A
    /// majority without this replica has all below that floor, so of what is here nothing counts
    /// any more: what is not committed is cut, and the rest goes behind a checkpoint of its own,
    /// for which there is room (`docs/decisions/retention.md`). Where it is unknown whether this
    /// replica is one of that majority, all stays that may be the leader's.
    pub(super) fn make_way(&mut self, floor: Seq, cx: &mut StepContext<'_>) {
        self.follow.floor = self.follow.floor.max(floor);
        let mut end = self.commit.max(self.verified).max(self.log.floor());
        let last = floor.before().and_then(|last| self.log.slot(last));
        if last == Some(&Slot::Unknown) && floor <= self.follow.shared {
            end = end.max(self.follow.shared);
        }
        while end < self.log.end() && self.log.position_at(end).is_none() {
            end = end.next();
        }
        if end < self.log.end() {
            cx.count(Count::MadeWay);
            self.log.cut(end);
            self.writer.cut(end);
            self.follow.next = self.follow.next.min(end);
        }
    }

    fn due_floor(&self) -> Seq {
        let decided = self
            .lead
            .as_ref()
            .map_or(self.follow.floor, |lead| lead.floor);
        decided.min(self.commit).min(self.log.durable().end)
    }
}

/// How long what is past its age may wait for more of it: a quarter of the bound, but not less
/// than a quarter of a heartbeat.
fn age_step(max_ms: u64, cx: &StepContext<'_>) -> Duration {
    Duration::from_millis(max_ms / 4).max(cx.config.heartbeat() / 4)
}

/// How long ago a clock may have been read to still tell the time.
const SAMPLE_AGE_MAX: Duration = Duration::from_secs(10);
