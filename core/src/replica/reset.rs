//! A start from the leader's checkpoint, where its log no longer reaches back (D17). Its parts wait
//! for the bandwidth budget, and what is lost of them alone is sent again.

use super::ship::bytes_max;
use super::{Chain, Cx};
use crate::chain::checkpoint;
use crate::chain::entry::{EntryHash, Tip};
use crate::chain::order::{Checkpoint, Slot};
use crate::chain::payload::leading;
use crate::count::Count;
use crate::id::{Attempt, Member, NodeId, Seq};
use crate::message::Talk;
use crate::time::Instant;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::hash::{Hash, Hasher};
use serde::{Deserialize, Serialize};

/// A checkpoint of which some parts arrived.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub(super) struct Incoming {
    floor: Tip,
    checkpoint: EntryHash,
    length: u32,
    parts: BTreeMap<u32, Vec<u8>>,
    received: u32,
    /// What was asked for last: the rest from where, under which request.
    asked: Option<(Attempt, u32)>,
}

impl Incoming {
    /// End of what is there without a gap.
    fn end(&self) -> u32 {
        let mut end = 0;
        for (&offset, part) in &self.parts {
            if offset != end {
                break;
            }
            end += part.len() as u32;
        }
        end
    }

    /// The position that it starts from.
    pub(super) fn floor(&self) -> Seq {
        self.floor.end
    }

    /// Whether a part came before one that is missing.
    pub(super) fn has_gap(&self) -> bool {
        self.end() < self.received
    }

    /// Asks again for what is missing, under the present request.
    pub(super) fn ask_again(&mut self) {
        self.asked = None;
    }
}

/// A checkpoint on its way to a member: the first part unasked, the rest when it is asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Parcel {
    pub(super) attempt: Attempt,
    floor: Tip,
    checkpoint: EntryHash,
    bytes: Bytes,
    /// Up to where it is there.
    held: u32,
    next: u32,
    end: u32,
    /// Whether the member misses something of it.
    is_missing: bool,
}

impl Hash for Parcel {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The hash of the bytes stands for them.
        (self.attempt, self.floor, self.checkpoint).hash(state);
        (self.held, self.next, self.end, self.is_missing).hash(state);
    }
}

impl Parcel {
    fn of(checkpoint: &Checkpoint, attempt: Attempt) -> Self {
        let bytes = postcard::to_allocvec(checkpoint).expect("a checkpoint is plain data");
        assert!(
            u32::try_from(bytes.len()).is_ok(),
            "the request table is bounded"
        );
        Self {
            attempt,
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

    /// First byte not sent yet.
    pub(super) fn next(&self) -> u32 {
        self.next
    }

    /// Whether a part of it may be sent.
    pub(super) fn is_due(&self, node: NodeId, cx: &Cx<'_>) -> bool {
        let max = cx.config.limits().chunks_in_flight_max as usize;
        self.next < self.end && cx.windows.is_open(node, self.attempt, max)
    }

    /// The member says again what it has.
    fn hear_again(&mut self, node: NodeId, cx: &mut Cx<'_>) {
        self.is_missing = true;
        if self.send_missing(node, cx).is_some() {
            cx.count(Count::StillUnderWay);
        }
    }

    /// Nothing that was under way arrives any more.
    pub(super) fn lose(&mut self) {
        self.is_missing = self.next > self.held;
    }

    /// Sends again what the member misses: what should have come by now, and not what may still be
    /// on its way. Until then, when to look again; the member need not ask once more.
    pub(super) fn send_missing(&mut self, node: NodeId, cx: &mut Cx<'_>) -> Option<Instant> {
        if !self.is_missing {
            return None;
        }
        let due = cx.windows.overdue_at(node, self.attempt);
        if due.is_some_and(|at| at > cx.now) {
            return due;
        }
        cx.count(Count::SentAgain);
        cx.windows.send_again(node, self.attempt);
        self.next = self.held;
        self.is_missing = false;
        None
    }

    /// How long its next part of at most `step` bytes is.
    pub(super) fn due(&self, step: u32) -> u32 {
        self.end.saturating_sub(self.next).min(step)
    }

    /// Its next part.
    pub(super) fn take(&mut self, length: u32) -> Talk {
        let (offset, end) = (self.next, self.next + length);
        self.next = end;
        Talk::Reset {
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
    pub(super) fn send_reset(
        &mut self,
        to: &Member,
        attempt: Attempt,
        since: Seq,
        cx: &mut Cx<'_>,
    ) {
        let present = self.log.checkpoint().floor;
        if let Some(parcel) = self.serving.parcels.get_mut(&to.node) {
            let is_of_use = parcel.floor == present || parcel.floor.end > since;
            if parcel.attempt == attempt && is_of_use {
                return parcel.hear_again(to.node, cx);
            }
            cx.windows.forget(to.node, parcel.attempt);
        }
        // Entries on their way to it are of no use before it, and would take the place of parts.
        let lead = self.lead.as_mut();
        let follower = lead.and_then(|lead| lead.followers.get_mut(&to.node));
        if let Some(stream) = follower.and_then(|follower| follower.stream.take()) {
            cx.windows.forget(to.node, stream.attempt);
        }
        let mut parcel = Parcel::of(self.log.checkpoint(), attempt);
        parcel.end = part_max(to.node, cx).min(parcel.length());
        self.serving.parcels.insert(to.node, parcel);
    }

    /// A member holds the part of our checkpoint before `offset`. If retention dropped that
    /// checkpoint it asks anew after a while.
    pub(super) fn on_parts(
        &mut self,
        asker: &Member,
        attempt: Attempt,
        (checkpoint, offset): (EntryHash, u32),
        cx: &mut Cx<'_>,
    ) {
        let node = asker.node;
        let kept = self.serving.parcels.remove(&node);
        if let Some(parcel) = &kept
            && parcel.attempt > attempt
        {
            self.serving
                .parcels
                .extend(kept.map(|parcel| (node, parcel)));
            return cx.count(Count::StaleAnswer);
        }
        let kept = kept.filter(|parcel| {
            let is_same = parcel.checkpoint == checkpoint;
            if !is_same || parcel.attempt != attempt {
                cx.windows.forget(node, parcel.attempt);
            }
            is_same
        });
        let present = || Parcel::of(self.log.checkpoint(), attempt);
        let mut parcel = kept.unwrap_or_else(present);
        if parcel.checkpoint != checkpoint || offset > parcel.length() {
            return cx.count(Count::StaleAnswer);
        }
        cx.windows
            .acknowledge(node, attempt, (u64::from(offset), false), cx.now);
        if parcel.attempt != attempt {
            (parcel.attempt, parcel.held, parcel.next) = (attempt, offset, offset);
            parcel.is_missing = false;
        } else if offset > parcel.held {
            parcel.held = offset;
            parcel.next = parcel.next.max(offset);
            parcel.is_missing = false;
        } else if offset == parcel.held && parcel.end == parcel.length() {
            parcel.hear_again(node, cx);
        }
        parcel.end = parcel.length();
        self.serving.parcels.insert(node, parcel);
    }

    /// Says up to where a checkpoint is here, which asks for the rest, once per request and end.
    fn ask_parts(&self, from: NodeId, incoming: &mut Incoming, attempt: Attempt, cx: &mut Cx<'_>) {
        let offset = incoming.end();
        let before = incoming.asked.replace((attempt, offset));
        if before == Some((attempt, offset)) {
            return;
        }
        if before.is_some_and(|(before, _)| before != attempt) {
            cx.count(Count::ResetContinued);
        }
        let checkpoint = incoming.checkpoint;
        let talk = Talk::Parts {
            attempt,
            checkpoint,
            offset,
        };
        self.say_to(from, talk, cx);
    }

    /// Repeats what is missing of the leader's checkpoint.
    pub(super) fn ask_parts_again(&mut self, cx: &mut Cx<'_>) {
        let asked = self.leader.zip(self.follow.stream);
        if let Some((leader, attempt)) = asked
            && let Some(mut incoming) = self.follow.incoming.take()
        {
            if incoming.end() > 0 {
                cx.count(Count::ResetContinued);
            }
            incoming.ask_again();
            self.ask_parts(leader, &mut incoming, attempt, cx);
            self.follow.incoming = Some(incoming);
        }
    }

    /// Takes one part of a checkpoint that `from` sends, and asks for the rest.
    pub(super) fn take_part(
        &self,
        from: NodeId,
        incoming: &mut Option<Incoming>,
        talk: &Talk,
        cx: &mut Cx<'_>,
    ) -> Option<Arc<Checkpoint>> {
        let whole = gather(incoming, talk, cx);
        if let (Talk::Reset { attempt, .. }, Some(incoming)) = (talk, incoming) {
            self.ask_parts(from, incoming, *attempt, cx);
        }
        whole
    }

    /// One part of the leader's checkpoint arrived.
    pub(super) fn on_reset_part(&mut self, from: NodeId, talk: &Talk, cx: &mut Cx<'_>) {
        let &Talk::Reset { attempt, floor, .. } = talk else {
            return;
        };
        let is_equal = self.log.tip_at(floor.end) == Some(floor);
        // What was compared with this leader it cannot have dropped without our knowing a commit
        // behind it.
        let is_news = floor.end > self.commit.max(self.verified) && !is_equal;
        let next = floor.end.max(self.commit).max(self.verified);
        if is_equal && self.follow.stream == Some(attempt) && self.follow.next != next {
            // Our log holds the checkpoint's position, so nothing below it needs comparing, and
            // nothing behind what failed is shared: the comparison goes on from there.
            self.follow.next = next;
            self.follow.stream = None;
            self.follow.incoming = None;
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
        let mut incoming = self.follow.incoming.take();
        self.follow.reset = self.take_part(from, &mut incoming, talk, cx);
        self.follow.incoming = incoming;
        self.follow.patience.answered(cx.now);
        self.expect_progress(cx);
    }

    /// Whether the entry before the floor is unknown here and may be the leader's, and so may
    /// those that follow it.
    fn may_hold(&self, floor: Tip) -> bool {
        let last = floor.end.before().and_then(|last| self.log.slot(last));
        let next = self.unknown_end(floor.end);
        let highest = self.log.entry(next).map(|entry| entry.epoch);
        let highest = highest.unwrap_or(self.log.tip().epoch);
        last == Some(&Slot::Unknown)
            && floor.end < self.follow.shared.min(self.log.end())
            && floor.epoch.n <= highest.n
    }

    /// The checkpoint is durable and the old log is gone from the store.
    pub(super) fn on_reset_durable(&mut self, checkpoint: Arc<Checkpoint>, cx: &mut Cx<'_>) {
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
    incoming: &mut Option<Incoming>,
    talk: &Talk,
    cx: &mut Cx<'_>,
) -> Option<Arc<Checkpoint>> {
    let &Talk::Reset {
        floor,
        checkpoint,
        length,
        offset,
        ref part,
        ..
    } = talk
    else {
        return None;
    };
    if length > checkpoint::BYTES_MAX || u64::from(offset) + part.len() as u64 > u64::from(length) {
        cx.count(Count::ResetIgnored);
        return None;
    }
    let same = |incoming: &Incoming| {
        (incoming.floor, incoming.checkpoint, incoming.length) == (floor, checkpoint, length)
    };
    if !incoming.as_ref().is_some_and(same) {
        let parts = BTreeMap::new();
        *incoming = Some(Incoming {
            floor,
            checkpoint,
            length,
            parts,
            received: 0,
            asked: None,
        });
    }
    let whole = incoming.as_mut()?;
    if !part.is_empty() && !whole.parts.contains_key(&offset) {
        whole.parts.insert(offset, part.to_vec());
        whole.received = whole.received.saturating_add(part.len() as u32);
    }
    if whole.received < whole.length {
        return None;
    }
    let whole = incoming.take()?;
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
pub(super) fn part_max(node: NodeId, cx: &Cx<'_>) -> u32 {
    u32::try_from(bytes_max(node, cx)).unwrap_or(u32::MAX)
}
