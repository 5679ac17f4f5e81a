//! One entry of a chain, equal on every replica that holds it.

use super::payload::{Payload, leading};
use crate::id::{ClientId, Epoch, Gen, Incarnation, Member, RequestNumber, Seq, StoreId};
use crate::time::Wall;
use alloc::sync::Arc;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Hash over an entry and, through its predecessor's hash, over everything before it.
#[derive(
    Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct EntryHash(#[serde(with = "super::payload::sixteen")] pub u128);

/// What an entry is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EntryKind {
    /// The first entry of a leadership (R5).
    Empty,
    /// Opens a client; its position is the client's id (D15).
    OpenClient,
    /// A client's payload; the request is absent for appends that may be repeated at will.
    Data(Option<Request>),
    /// The members of the chain from here on (D19).
    Config(Arc<Membership>),
}

/// A client's request as the request table knows it (D15).
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Request {
    /// Who asked.
    pub client: ClientId,
    /// Its own count, from 1.
    pub number: RequestNumber,
}

/// Voters and learners of a chain, each in ascending order (D19).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Membership {
    /// Members whose votes and acknowledgements count.
    pub voters: Vec<Member>,
    /// Members that follow and count for nothing.
    pub learners: Vec<Member>,
}

impl Membership {
    /// How many voters make a majority.
    pub fn majority(&self) -> usize {
        self.voters.len() / 2 + 1
    }
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// Which creation of the chain it belongs to.
    pub generation: Gen,
    /// Its position.
    pub seq: Seq,
    /// The leadership that wrote it; names the author's node.
    pub epoch: Epoch,
    /// The author's store.
    pub store: StoreId,
    /// The author's run.
    pub incarnation: Incarnation,
    /// The time of the append, as a majority of the voters' clocks told it; it never goes down
    /// inside a log.
    pub stamp: Wall,
    /// What it is for.
    pub kind: EntryKind,
    /// The client's bytes; empty for every kind but `Data`.
    pub payload: Payload,
    /// Hash over all of the above and the hash of the entry before.
    pub hash: EntryHash,
}

impl Entry {
    /// Fills in the hash that links this entry behind `previous`.
    #[must_use]
    pub fn linked(mut self, previous: EntryHash) -> Self {
        self.hash = self.link(previous);
        self
    }

    /// Whether this entry is the intact successor of an entry with hash `previous`.
    pub fn follows(&self, previous: EntryHash) -> bool {
        self.hash == self.link(previous)
    }

    /// The same entry without its payload bytes.
    #[must_use]
    pub fn redacted(&self) -> Self {
        Self {
            payload: self.payload.redacted(),
            kind: self.kind.clone(),
            ..*self
        }
    }

    fn link(&self, previous: EntryHash) -> EntryHash {
        let mut hasher = blake3::Hasher::new();
        let mut head = [0; 16 * 3 + 8 * 6 + 1];
        let (words, kind) = head.split_at_mut(16 * 3 + 8 * 6);
        let (kind_code, extra) = match &self.kind {
            EntryKind::Empty => (0, None),
            EntryKind::OpenClient => (1, None),
            EntryKind::Data(None) => (2, None),
            EntryKind::Data(Some(request)) => {
                (3, Some([request.client.0.get(), request.number.get()]))
            }
            EntryKind::Config(_) => (4, None),
        };
        words[..16].copy_from_slice(&previous.0.to_le_bytes());
        words[16..32].copy_from_slice(&self.store.get().to_le_bytes());
        words[32..48].copy_from_slice(&self.payload.hash().0.to_le_bytes());
        let numbers = [
            self.generation.get(),
            self.seq.get(),
            self.epoch.n,
            self.epoch.node.get(),
            self.incarnation.get(),
            self.stamp.as_ms(),
        ];
        for (place, number) in words[48..].chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        kind[0] = kind_code;
        hasher.update(&head);
        hasher.update(&self.payload.length().to_le_bytes());
        if let Some([client, number]) = extra {
            hasher.update(&client.to_le_bytes());
            hasher.update(&number.to_le_bytes());
        }
        if let EntryKind::Config(membership) = &self.kind {
            for group in [&membership.voters, &membership.learners] {
                hasher.update(&(group.len() as u64).to_le_bytes());
                for member in group {
                    hasher.update(&member.node.get().to_le_bytes());
                    hasher.update(&member.store.get().to_le_bytes());
                    hasher.update(&member.replica.get().to_le_bytes());
                }
            }
        }
        EntryHash(leading(&hasher.finalize()))
    }
}

/// The end of a log or of a part of it: where the next entry goes and what it links to.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LogPosition {
    /// Position of the next entry.
    pub end: Seq,
    /// Epoch of the entry before `end`; the checkpoint's when there is none.
    pub epoch: Epoch,
    /// Hash of the entry before `end`; the checkpoint's when there is none.
    pub hash: EntryHash,
}
