//! A start from the leader's checkpoint, where its log no longer reaches back (D17). Its parts wait
//! for the bandwidth budget, and what is lost of them alone is sent again.

use super::{Chain, Cx};
use crate::chain::checkpoint;
use crate::chain::entry::{EntryHash, Tip};
use crate::chain::order::{Checkpoint, Slot};
use crate::chain::payload::leading;
use crate::count::Count;
use crate::id::{Attempt, Member, NodeId};
use crate::message::Talk;
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
    /// The request under which the rest was asked for.
    asked: Option<Attempt>,
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
}

/// A checkpoint on its way to a member: the first part unasked, the rest when it is asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Parcel {
    pub(super) attempt: Attempt,
    floor: Tip,
    checkpoint: EntryHash,
    bytes: Bytes,
    next: u32,
    end: u32,
}

impl Hash for Parcel {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The hash of the bytes stands for them.
        (self.attempt, self.floor, self.checkpoint).hash(state);
        (self.next, self.end).hash(state);
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
            next: 0,
            end: 0,
        }
    }

    fn length(&self) -> u32 {
        self.bytes.len() as u32
    }

    /// Whether all of it left.
    pub(super) fn is_sent(&self) -> bool {
        self.next == self.length()
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
    /// Sends the first part of the checkpoint at the floor.
    pub(super) fn send_reset(&mut self, to: &Member, attempt: Attempt, cx: &Cx<'_>) {
        let mut parcel = Parcel::of(self.log.checkpoint(), attempt);
        parcel.end = part_max(cx).min(parcel.length());
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
        let kept = self.serving.parcels.get(&asker.node);
        let kept = kept.filter(|parcel| parcel.checkpoint == checkpoint);
        let present = || Parcel::of(self.log.checkpoint(), attempt);
        let parcel = kept.cloned().unwrap_or_else(present);
        if parcel.checkpoint != checkpoint || offset > parcel.length() {
            return cx.count(Count::StaleAnswer);
        }
        let end = parcel.length();
        let rest = Parcel {
            attempt,
            next: offset,
            end,
            ..parcel
        };
        self.serving.parcels.insert(asker.node, rest);
    }

    /// Asks once per request for what is missing of a checkpoint.
    fn ask_parts(&self, from: NodeId, incoming: &mut Incoming, attempt: Attempt, cx: &mut Cx<'_>) {
        if incoming.asked == Some(attempt) {
            return;
        }
        incoming.asked = Some(attempt);
        let offset = incoming.end();
        if offset > part_max(cx) {
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
        let next = floor.end.max(self.commit);
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
        self.follow.unanswered = 0;
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

/// The longest part of a checkpoint in one message.
pub(super) fn part_max(cx: &Cx<'_>) -> u32 {
    cx.config.limits().message_bytes_max / 2
}
