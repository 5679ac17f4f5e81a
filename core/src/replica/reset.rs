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
        let &Talk::Reset {
            attempt,
            floor,
            checkpoint,
            length,
            offset,
            ref part,
        } = talk
        else {
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
        if self.follow.stream != Some(attempt)
            || self.is_resetting()
            || !is_news
            || length > CHECKPOINT_BYTES_MAX
            || u64::from(offset) + part.len() as u64 > u64::from(length)
        {
            return cx.count(Count::ResetIgnored);
        }
        let same = |incoming: &Incoming| {
            (incoming.floor, incoming.checkpoint, incoming.length) == (floor, checkpoint, length)
        };
        if !self.follow.incoming.as_ref().is_some_and(same) {
            let parts = BTreeMap::new();
            self.follow.incoming = Some(Incoming {
                floor,
                checkpoint,
                length,
                parts,
                received: 0,
            });
        }
        let Some(incoming) = &mut self.follow.incoming else {
            return;
        };
        if !part.is_empty() && !incoming.parts.contains_key(&offset) {
            incoming.parts.insert(offset, part.to_vec());
            incoming.received = incoming.received.saturating_add(part.len() as u32);
        }
        if incoming.received >= incoming.length {
            self.take_checkpoint(cx);
        }
    }

    fn take_checkpoint(&mut self, cx: &mut Cx<'_>) {
        let Some(incoming) = self.follow.incoming.take() else {
            return;
        };
        let bytes: Vec<u8> = incoming.parts.into_values().flatten().collect();
        if EntryHash(leading(&blake3::hash(&bytes))) != incoming.checkpoint {
            return cx.count(Count::ResetIgnored);
        }
        match postcard::from_bytes::<Checkpoint>(&bytes) {
            Ok(checkpoint)
                if checkpoint.floor == incoming.floor
                    && cx.config.admits(&checkpoint.membership) =>
            {
                self.follow.reset = Some(Arc::new(checkpoint));
            }
            Ok(_) | Err(_) => cx.count(Count::ResetIgnored),
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
