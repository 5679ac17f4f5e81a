//! A start from the leader's checkpoint, where its log no longer reaches back. Its parts wait
//! for the bandwidth budget, and what is lost of them alone is sent again.

use super::ship::bytes_max;
use super::{Chain, StepContext};
use crate::chain::checkpoint;
use crate::chain::entry::{EntryHash, LogPosition};
use crate::chain::order::{Checkpoint, Slot};
use crate::chain::payload::leading;
use crate::count::Count;
use crate::id::{Attempt, Member, NodeId, Seq};
use crate::message::ReplicaMessage;
use crate::time::Instant;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::hash::{Hash, Hasher};
use serde::{Deserialize, Serialize};

/// A checkpoint of which some parts arrived.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub(super) struct SnapshotReceive {
    floor: LogPosition,
    checkpoint: EntryHash,
    length: u32,
    /// What came, by where it begins; no byte of it twice.
    parts: BTreeMap<u32, Vec<u8>>,
    received: u32,
    /// What was asked for last: the rest from where, under which request.
    asked: Option<(Attempt, u32)>,
}

impl SnapshotReceive {
    /// End of what is there without a gap.
    pub(super) fn end(&self) -> u32 {
        let mut end = 0;
        for (&offset, part) in &self.parts {
            if offset != end {
                break;
            }
            end += part.len() as u32;
        }
        end
    }

    /// Takes what is new of a part. What is sent again is cut in other places, for the window is
    /// another one by then.
    fn insert(&mut self, offset: u32, part: &[u8]) {
        let (mut at, end) = (offset, offset + part.len() as u32);
        while at < end {
            let before = self.parts.range(..=at).next_back();
            let here = before.map_or(0, |(&from, part)| from + part.len() as u32);
            if here > at {
                at = here;
                continue;
            }
            let behind = self.parts.range(at..).next();
            let until = behind.map_or(end, |(&from, _)| from.min(end));
            let new = &part[(at - offset) as usize..(until - offset) as usize];
            self.parts.insert(at, new.to_vec());
            self.received += until - at;
            at = until;
        }
    }

    /// The position that it starts from.
    pub(super) fn floor(&self) -> Seq {
        self.floor.end
    }

    /// Whether a part came before one that is missing.
    pub(super) fn has_gap(&self) -> bool {
        self.end() < self.received
    }

    /// Whether the rest was asked for.
    pub(super) fn is_asked(&self) -> bool {
        self.asked.is_some()
    }

    /// Asks again for what is missing, under the present request.
    pub(super) fn ask_again(&mut self) {
        self.asked = None;
    }
}

/// A checkpoint on its way to a member: the first part unasked, the rest when it is asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SnapshotSend {
    pub(super) attempt: Attempt,
    /// What the member wanted to follow when it was begun.
    since: Seq,
    floor: LogPosition,
    checkpoint: EntryHash,
    bytes: Bytes,
    /// Up to where it is there.
    held: u32,
    next: u32,
    end: u32,
    /// Whether the member misses something of it.
    is_missing: bool,
}

impl Hash for SnapshotSend {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The hash of the bytes stands for them.
        (self.attempt, self.since, self.floor, self.checkpoint).hash(state);
        (self.held, self.next, self.end, self.is_missing).hash(state);
    }
}

impl SnapshotSend {
    fn of(checkpoint: &Checkpoint, attempt: Attempt, since: Seq) -> Self {
        let bytes = postcard::to_allocvec(checkpoint).expect("a checkpoint is plain data");
        assert!(
            u32::try_from(bytes.len()).is_ok(),
            "the request table is bounded"
        );
        Self {
            attempt,
            since,
            floor: checkpoint.floor,
            checkpoint: EntryHash(leading(&blake3::hash(&bytes))),
            bytes: bytes.into(),
            held: 0,
            next: 0,
            end: 0,
            is_missing: false,
        }
    }

    fn length(&self) -> u32 {
        self.bytes.len() as u32
    }

    /// Whether a member that wants to follow `since` got past it meanwhile. One that has been there
    /// from the start has a tail of its own, in the place of which it is sent this.
    fn is_passed(&self, since: Seq) -> bool {
        self.floor.end <= since && self.since != since
    }

    /// Up to where it is there.
    pub(super) fn held(&self) -> u32 {
        self.held
    }

    /// First byte not sent yet.
    pub(super) fn next(&self) -> u32 {
        self.next
    }

    /// Whether a part of it may be sent.
    pub(super) fn is_due(&self, node: NodeId, cx: &StepContext<'_>) -> bool {
        let max = cx.config.limits().chunks_in_flight_max as usize;
        self.next < self.end && cx.windows.is_open(node, self.attempt, max)
    }

    /// The member says again what it has.
    fn hear_again(&mut self, node: NodeId, cx: &mut StepContext<'_>) {
        self.is_missing = true;
        if self.send_missing(node, cx).is_some() {
            cx.count(Count::StillUnderWay);
        }
    }

    /// Nothing that was under way arrives any more.
    pub(super) fn lose(&mut self) {
        self.is_missing = self.next > self.held;
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
        cx.count(Count::SentAgain);
        cx.windows.send_again(node, self.attempt);
        self.next = self.held;
        None
    }

    /// How long its next part of at most `step` bytes is.
    pub(super) fn due(&self, step: u32) -> u32 {
        self.end.saturating_sub(self.next).min(step)
    }

    /// Its next part.
    pub(super) fn take(&mut self, length: u32) -> ReplicaMessage {
        let (offset, end) = (self.next, self.next + length);
        self.next = end;
        ReplicaMessage::InstallSnapshot {
            attempt: self.attempt,
            floor: self.floor,
            checkpoint: self.checkpoint,
            length: self.length(),
            offset,
            part: self.bytes.slice(offset as usize..end as usize),
        }
    }
}

impl Chain {
    /// Sends the first part of the checkpoint at the floor to a member that wants what is behind
    /// `since`. One that was begun for the same request goes on, unless the member got past it
    /// meanwhile by late chunks: then it would bring nothing.
    pub(super) fn send_snapshot(
        &mut self,
        to: &Member,
        attempt: Attempt,
        since: Seq,
        cx: &mut StepContext<'_>,
    ) {
        let present = self.log.checkpoint().floor;
        let begun = self.serving.snapshots.get_mut(&to.node);
        if let Some(snapshot) = begun.filter(|begun| begun.attempt == attempt)
            && (snapshot.floor == present || !snapshot.is_passed(since))
        {
            return snapshot.hear_again(to.node, cx);
        }
        let present = SnapshotSend::of(self.log.checkpoint(), attempt, since);
        self.begin_snapshot(to.node, present, cx);
    }

    /// Puts the first part of a checkpoint in the place of the one that a member is sent.
    fn begin_snapshot(
        &mut self,
        node: NodeId,
        mut snapshot: SnapshotSend,
        cx: &mut StepContext<'_>,
    ) {
        snapshot.end = part_max(node, cx).min(snapshot.length());
        self.hold_for(node, cx);
        if let Some(before) = self.serving.snapshots.insert(node, snapshot) {
            cx.windows.forget(node, before.attempt);
        }
    }

    /// A member holds the part of our checkpoint before `offset`. If retention dropped that
    /// checkpoint, the pull that a member repeats with its question gets it the present one.
    pub(super) fn on_snapshot_request(
        &mut self,
        asker: &Member,
        attempt: Attempt,
        (checkpoint, offset): (EntryHash, u32),
        cx: &mut StepContext<'_>,
    ) {
        let node = asker.node;
        let kept = self.serving.snapshots.get_mut(&node);
        let lead = self.lead.as_ref();
        let follower = lead.and_then(|lead| lead.followers.get(&node));
        let stream = follower.and_then(|follower| follower.stream.as_ref());
        let is_over = match &kept {
            Some(kept) => kept.attempt > attempt,
            None => stream.is_some_and(|stream| stream.attempt >= attempt),
        };
        if is_over {
            // It has all of that checkpoint by now, or wants it no more.
            return cx.count(Count::StaleAnswer);
        }
        if kept.is_none_or(|kept| kept.checkpoint != checkpoint) {
            let present = SnapshotSend::of(self.log.checkpoint(), attempt, Seq::ZERO);
            if present.checkpoint != checkpoint {
                return cx.count(Count::StaleAnswer);
            }
            self.begin_snapshot(node, present, cx);
        }
        let kept = self.serving.snapshots.get_mut(&node);
        let Some(snapshot) = kept.filter(|kept| offset <= kept.length()) else {
            return cx.count(Count::StaleAnswer);
        };
        cx.windows
            .acknowledge(node, attempt, (u64::from(offset), false), cx.now);
        if snapshot.attempt != attempt {
            cx.windows.forget(node, snapshot.attempt);
            (snapshot.attempt, snapshot.held, snapshot.next) = (attempt, offset, offset);
            snapshot.is_missing = false;
        } else if offset > snapshot.held {
            snapshot.held = offset;
            snapshot.next = snapshot.next.max(offset);
            snapshot.is_missing = false;
        } else if offset == snapshot.held && snapshot.end == snapshot.length() {
            snapshot.hear_again(node, cx);
        }
        snapshot.end = snapshot.length();
        self.hold_for(node, cx);
    }

    /// Says up to where a checkpoint is here, which asks for the rest, once per request and end.
    fn request_snapshot(
        &self,
        from: NodeId,
        receiving: &mut SnapshotReceive,
        attempt: Attempt,
        cx: &mut StepContext<'_>,
    ) {
        let offset = receiving.end();
        let before = receiving.asked.replace((attempt, offset));
        if before == Some((attempt, offset)) {
            return;
        }
        if before.is_some_and(|(before, _)| before != attempt) {
            cx.count(Count::ResetContinued);
        }
        let checkpoint = receiving.checkpoint;
        let content = ReplicaMessage::SnapshotRequest {
            attempt,
            checkpoint,
            offset,
        };
        self.send_to_node(from, content, cx);
    }

    /// Repeats what is missing of the leader's checkpoint.
    pub(super) fn request_snapshot_again(&mut self, cx: &mut StepContext<'_>) {
        let asked = self.leader.zip(self.follow.stream);
        if let Some((leader, attempt)) = asked
            && let Some(mut receiving) = self.follow.receiving.take()
        {
            if receiving.end() > 0 {
                cx.count(Count::ResetContinued);
            }
            receiving.ask_again();
            self.request_snapshot(leader, &mut receiving, attempt, cx);
            self.follow.receiving = Some(receiving);
        }
    }

    /// Takes one part of a checkpoint that `from` sends, and asks for the rest.
    pub(super) fn take_part(
        &self,
        from: NodeId,
        receiving: &mut Option<SnapshotReceive>,
        content: &ReplicaMessage,
        cx: &mut StepContext<'_>,
    ) -> Option<Arc<Checkpoint>> {
        let whole = gather(receiving, content, cx);
        if let (ReplicaMessage::InstallSnapshot { attempt, .. }, Some(receiving)) =
            (content, receiving)
        {
            self.request_snapshot(from, receiving, *attempt, cx);
        }
        whole
    }

    /// One part of the leader's checkpoint arrived.
    pub(super) fn on_snapshot_part(
        &mut self,
        from: NodeId,
        content: &ReplicaMessage,
        cx: &mut StepContext<'_>,
    ) {
        let &ReplicaMessage::InstallSnapshot { attempt, floor, .. } = content else {
            return;
        };
        let is_equal = self.log.position_at(floor.end) == Some(floor);
        let is_news = self.is_news(floor);
        let next = floor.end.max(self.commit).max(self.verified);
        if is_equal && self.follow.stream == Some(attempt) && self.follow.next != next {
            // Our log holds the checkpoint's position, so nothing below it needs comparing, and
            // nothing behind what failed is shared: the comparison goes on from there.
            self.follow.next = next;
            self.follow.stream = None;
            self.follow.receiving = None;
            return;
        }
        if self.follow.stream != Some(attempt) || self.is_resetting() || !is_news {
            return cx.count(Count::ResetIgnored);
        }
        if self.may_hold(floor) {
            // Ours may be committed from the floor on: whoever holds it repairs it first.
            self.follow.next = self.follow.shared;
            return cx.count(Count::ResetIgnored);
        }
        let held = self.follow.receiving.as_ref();
        if held.is_some_and(|held| held.is_asked() && floor.end < held.floor()) {
            // A leader's floor only rises: it is late of what this leader sent before.
            return cx.count(Count::ResetIgnored);
        }
        let mut receiving = self.follow.receiving.take();
        self.follow.reset = self.take_part(from, &mut receiving, content, cx);
        self.follow.receiving = receiving;
        if self.follow.receiving.is_none() && self.follow.reset.is_none() {
            // All of it came and is not sound: a new stream asks for what was seen and not taken.
            self.follow.seen = self.follow.seen.max(floor.end);
        } else {
            self.follow.patience.answered(cx.now);
        }
        self.expect_progress(cx);
    }

    /// Whether a checkpoint at `floor` is of use to this log. What was compared with this leader it
    /// cannot have dropped without our knowing a commit behind it.
    fn is_news(&self, floor: LogPosition) -> bool {
        floor.end > self.commit.max(self.verified) && self.log.position_at(floor.end) != Some(floor)
    }

    /// The checkpoint that replaces this log now; none if the log got there while it waited, by a
    /// repair or a checkpoint for one.
    pub(super) fn due_reset(&mut self, cx: &mut StepContext<'_>) -> Option<Arc<Checkpoint>> {
        let checkpoint = self.follow.reset.take()?;
        if self.is_news(checkpoint.floor) {
            return Some(checkpoint);
        }
        cx.count(Count::ResetIgnored);
        self.follow.stream = None;
        self.expect_progress(cx);
        None
    }

    /// Whether the entry before the floor is unknown here and may be the leader's, and so may
    /// those that follow it.
    fn may_hold(&self, floor: LogPosition) -> bool {
        let last = floor.end.before().and_then(|last| self.log.slot(last));
        let next = self.unknown_end(floor.end);
        let highest = self.log.entry(next).map(|entry| entry.epoch);
        let highest = highest.unwrap_or(self.log.tip().epoch);
        last == Some(&Slot::Unknown)
            && floor.end < self.follow.shared.min(self.log.end())
            && floor.epoch.n <= highest.n
    }

    /// The checkpoint is durable and the old log is gone from the store.
    pub(super) fn on_reset_durable(
        &mut self,
        checkpoint: Arc<Checkpoint>,
        cx: &mut StepContext<'_>,
    ) {
        cx.count(Count::ResetInstalled);
        let floor = checkpoint.floor.end;
        self.log.reset(checkpoint);
        self.writer.forget_log();
        self.follow.restart(floor);
        // Whatever epoch asked for it, a checkpoint is a committed prefix.
        self.raise_commit(floor, cx);
        self.verified = floor;
    }
}

/// Takes one part of a checkpoint; gives the checkpoint once all of it is there and sound.
fn gather(
    receiving: &mut Option<SnapshotReceive>,
    content: &ReplicaMessage,
    cx: &mut StepContext<'_>,
) -> Option<Arc<Checkpoint>> {
    let &ReplicaMessage::InstallSnapshot {
        floor,
        checkpoint,
        length,
        offset,
        ref part,
        ..
    } = content
    else {
        return None;
    };
    if length > checkpoint::BYTES_MAX || u64::from(offset) + part.len() as u64 > u64::from(length) {
        cx.count(Count::ResetIgnored);
        return None;
    }
    let same = |receiving: &SnapshotReceive| {
        (receiving.floor, receiving.checkpoint, receiving.length) == (floor, checkpoint, length)
    };
    if !receiving.as_ref().is_some_and(same) {
        let parts = BTreeMap::new();
        *receiving = Some(SnapshotReceive {
            floor,
            checkpoint,
            length,
            parts,
            received: 0,
            asked: None,
        });
    }
    let whole = receiving.as_mut()?;
    whole.insert(offset, part);
    if whole.received < whole.length {
        return None;
    }
    let whole = receiving.take()?;
    let bytes: Vec<u8> = whole.parts.into_values().flatten().collect();
    let is_intact = EntryHash(leading(&blake3::hash(&bytes))) == whole.checkpoint;
    let decoded = postcard::from_bytes::<Checkpoint>(&bytes)
        .ok()
        .filter(|checkpoint| {
            is_intact && checkpoint.floor == floor && cx.config.admits(&checkpoint.membership)
        });
    if decoded.is_none() {
        cx.count(Count::ResetIgnored);
    }
    decoded.map(Arc::new)
}

/// The longest part of a checkpoint in one message to a member.
pub(super) fn part_max(node: NodeId, cx: &StepContext<'_>) -> u32 {
    u32::try_from(bytes_max(node, cx)).unwrap_or(u32::MAX)
}
