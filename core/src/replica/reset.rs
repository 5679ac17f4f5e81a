//! A start from the leader's checkpoint, where its log no longer reaches back (D17).

use super::{Chain, Cx};
use crate::chain::entry::{EntryHash, Tip};
use crate::chain::order::Checkpoint;
use crate::chain::payload::leading;
use crate::count::Count;
use crate::id::{Attempt, Member};
use crate::message::Talk;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Largest encoded checkpoint that is taken from a peer.
const CHECKPOINT_BYTES_MAX: u32 = 256 << 20;

/// A checkpoint of which some parts arrived.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub(super) struct Incoming {
    floor: Tip,
    checkpoint: EntryHash,
    length: u32,
    parts: BTreeMap<u32, Vec<u8>>,
    received: u32,
}

impl Chain {
    /// Sends the checkpoint at the floor, in parts that fit a message.
    pub(super) fn send_reset(&self, to: &Member, attempt: Attempt, cx: &mut Cx<'_>) {
        let checkpoint = self.log.checkpoint();
        let bytes = postcard::to_allocvec(&**checkpoint).expect("a checkpoint is plain data");
        let bytes = Bytes::from(bytes);
        let hash = EntryHash(leading(&blake3::hash(&bytes)));
        let length = u32::try_from(bytes.len()).expect("the request table is bounded");
        let step = cx.config.limits().message_bytes_max / 2;
        let mut offset = 0;
        while offset < length {
            let end = length.min(offset.saturating_add(step));
            let talk = Talk::Reset {
                attempt,
                floor: checkpoint.floor,
                checkpoint: hash,
                length,
                offset,
                part: bytes.slice(offset as usize..end as usize),
            };
            self.say(to, talk, cx);
            offset = end;
        }
    }

    /// One part of the leader's checkpoint arrived.
    pub(super) fn on_reset_part(&mut self, talk: &Talk, cx: &mut Cx<'_>) {
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
            return;
        }
        if self.follow.stream != Some(attempt) || self.is_resetting() || !is_news {
            return cx.count(Count::ResetIgnored);
        }
        if let Some(checkpoint) = gather(&mut self.follow.incoming, talk, cx) {
            self.follow.reset = Some(checkpoint);
        }
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
pub(super) fn gather(
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
    if length > CHECKPOINT_BYTES_MAX || u64::from(offset) + part.len() as u64 > u64::from(length) {
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
