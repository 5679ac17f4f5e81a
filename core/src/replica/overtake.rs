//! What overtook what it follows: chunks that came too early, and how long such gaps last. A chunk is
//! taken behind an equal predecessor only (`docs/decisions/quorum.md`).
//!
//! Messages travel on their own ways, so one that is missing may be lost or only late. What came
//! too early waits for it, for it would have to be sent again otherwise; and it counts as lost
//! after twice the time that the longest of the gaps lasted that closed by themselves.

use super::{Chain, Entries, StepContext};
use crate::chain::entry::LogPosition;
use crate::count::Count;
use crate::id::{Attempt, Seq};
use crate::time::Instant;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::ops::Range;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// Entries of the leader with what it said with them.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub(super) struct Chunk {
    pub(super) attempt: Attempt,
    pub(super) since: LogPosition,
    pub(super) entries: Entries,
    /// The commit and the floor of the leader.
    pub(super) told: (Seq, Seq),
}

impl Chunk {
    /// The position behind its last entry.
    pub(super) fn end(&self) -> Seq {
        let count = self.entries.len() as u64;
        Seq::new(self.since.end.get().saturating_add(count))
    }

    /// What is behind `floor`, where retention passed its first entries meanwhile. Whether the rest
    /// follows that position the entries themselves prove.
    fn behind(self, floor: LogPosition) -> Self {
        if self.since.end >= floor.end || floor.end >= self.end() {
            return self;
        }
        let passed = floor.end.distance(self.since.end) as usize;
        Self {
            since: floor,
            entries: self.entries[passed..].into(),
            ..self
        }
    }
}

/// Messages with entries that came too early, by the position that they follow, each with the end of
/// its entries.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub(super) struct Early<T>(BTreeMap<Seq, (Seq, T)>);

impl<T> Default for Early<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> Early<T> {
    /// Keeps a message with the entries of a range until what it follows comes; no more of them than
    /// may be under way, and those that are wanted first: an earlier request may have left some that
    /// lie far behind.
    pub(super) fn keep(&mut self, range: Range<Seq>, message: T, count_max: u32) {
        let is_longer = |kept: &(Seq, T)| kept.0 < range.end;
        if self.0.get(&range.start).is_none_or(is_longer) {
            self.0.insert(range.start, (range.end, message));
        }
        while self.0.len() > count_max as usize {
            match self.needless() {
                Some(since) => self.0.remove(&since),
                None => self.0.pop_last().map(|(_, message)| message),
            };
        }
    }

    /// A message whose entries the ones before and behind it have, too: answers to two requests cut
    /// the same entries in other places.
    fn needless(&self) -> Option<Seq> {
        let ranges = || self.0.iter().map(|(&since, &(end, _))| (since, end));
        let next = ranges().skip(2).map(|(since, _)| Some(since)).chain([None]);
        let mut neighbours = ranges().zip(ranges().skip(1)).zip(next);
        neighbours.find_map(|((before, (since, end)), next)| {
            let wanted = next.map_or(end, |next| next.min(end));
            (before.1 >= wanted).then_some(since)
        })
    }

    /// The first one that follows something before `end`.
    pub(super) fn next(&mut self, end: Seq) -> Option<T> {
        let first = self.0.first_entry()?;
        (*first.key() <= end).then(|| first.remove().1)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Leaves the payload bytes out of the entries that `of` finds in each message.
    pub(super) fn redact(&mut self, of: impl Fn(&mut T) -> &mut Entries) {
        for (_, message) in self.0.values_mut() {
            let entries = of(message);
            let redacted = entries.iter().map(|entry| Arc::new(entry.redacted()));
            *entries = redacted.collect();
        }
    }
}

/// Chunks that came too early, and the gap before them.
#[derive(Clone, Debug, Default, Hash, Serialize, Deserialize)]
pub(super) struct Overtaken {
    early: Early<Chunk>,
    gap: Option<Gap>,
    /// How long the longest gap lasted that closed by itself.
    lasted: Duration,
}

#[derive(Copy, Clone, Debug, Hash, Serialize, Deserialize)]
struct Gap {
    /// The position that is missing, and what of a checkpoint is there.
    at: (Seq, u32),
    since: Instant,
    /// The request whose answer is missing.
    attempt: Option<Attempt>,
}

impl Overtaken {
    /// Keeps a chunk until what it follows comes.
    pub(super) fn keep(&mut self, chunk: Chunk, count_max: u32) {
        self.early
            .keep(chunk.since.end..chunk.end(), chunk, count_max);
    }

    /// The first one that follows something before `end`.
    pub(super) fn next(&mut self, end: Seq) -> Option<Chunk> {
        self.early.next(end)
    }

    /// Nothing of an older epoch or leader is waited for.
    pub(super) fn clear(&mut self) {
        self.early.clear();
        self.gap = None;
    }

    /// Something is missing at a position; since when it is.
    pub(super) fn open(
        &mut self,
        at: (Seq, u32),
        attempt: Option<Attempt>,
        now: Instant,
    ) -> Instant {
        let gap = self
            .gap
            .filter(|gap| (gap.at, gap.attempt) == (at, attempt));
        let since = now;
        self.gap
            .insert(gap.unwrap_or(Gap { at, since, attempt }))
            .since
    }

    /// What is missing was asked for again under the same request: how long it takes from now on
    /// tells nothing of what overtook it.
    pub(super) fn ask_again(&mut self, now: Instant) {
        if let Some(gap) = &mut self.gap {
            gap.since = now;
        }
    }

    /// An answer to `attempt` brought what follows `at`. If that was missing, and was not asked for
    /// again since, or comes although it was, it was only late.
    pub(super) fn close(&mut self, at: Seq, attempt: Attempt, now: Instant) {
        if let Some(gap) = self.gap.take_if(|gap| gap.at.0 == at)
            && gap.attempt == Some(attempt)
        {
            self.lasted = self.lasted.max(now.since(gap.since));
        }
    }

    /// How long a gap may last until what is missing counts as lost.
    pub(super) fn patience(&self, heartbeat: Duration) -> Duration {
        (self.lasted * 2).clamp(heartbeat / 32, heartbeat)
    }

    /// Leaves the payload bytes out.
    pub(super) fn redact(&mut self) {
        self.early.redact(|chunk| &mut chunk.entries);
    }
}

impl Chain {
    /// Entries of the leader, behind a predecessor that has to be ours. Which request they answer
    /// does not matter: in its epoch a leader only appends, so however late they come they are what
    /// it would send now.
    pub(super) fn on_chunk(&mut self, chunk: Chunk, cx: &mut StepContext<'_>) {
        if self.is_resetting() {
            return cx.count(Count::StaleAnswer);
        }
        let chunk = chunk.behind(self.log.checkpoint().floor);
        let (is_live, is_ours) = (self.is_live(chunk.attempt), self.is_ours(chunk.since));
        let end = chunk.end();
        if !is_ours && chunk.since.end > self.follow.next && !chunk.entries.is_empty() {
            let count_max = cx.config.limits().chunks_in_flight_max;
            self.follow.overtaken.keep(chunk.clone(), count_max);
        }
        if !is_live && (!is_ours || chunk.entries.is_empty()) {
            return cx.count(Count::StaleAnswer);
        }
        if !is_ours {
            cx.count(Count::ChunkGap);
            self.follow.seen = self.follow.seen.max(end);
            return self.expect_progress(cx);
        }
        self.take_chunk(chunk, cx);
        while self.fault.is_none()
            && let Some(chunk) = self.follow.overtaken.next(self.follow.next)
        {
            if chunk.end() > self.follow.next && self.is_ours(chunk.since) {
                cx.count(Count::ChunkEarly);
                self.take_chunk(chunk, cx);
            }
        }
    }

    fn is_ours(&self, since: LogPosition) -> bool {
        self.log.position_at(since.end) == Some(since)
    }
}
