//! What a node remembers of the stores of its peers, so that one which comes back older, or
//! formatted anew, is known for it at its first word, also by a node that restarted meanwhile.
//!
//! What it holds of the node itself is what a peer said of its store, where that is none of its own
//! runs: the store is an older image then, and its node does not start on it again.
//!
//! It is kept in two places like an identity, and written lazily: nothing waits for it.
//!
//! ```text
//! Peers  counter u64, then for each peer in ascending order:
//!        node u64, format nonce u64, incarnation u64, run nonce u64
//! ```

use super::fields::{Fields, Put};
use super::files::{Damage, Files};
use super::identity::Identity;
use super::record::{self, RecordKind, Salt};
use super::store::{FileOp, overwrite, peers_name};
use super::vote::{self, Counted, Place};
use crate::id::{FormatNonce, Incarnation, NodeId, RunNonce};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What is remembered of one peer's store.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Remembered {
    /// How it was formatted at first contact.
    pub format: FormatNonce,
    /// The newest boot of it that was heard.
    pub incarnation: Incarnation,
    /// Which run that was.
    pub run: RunNonce,
}

/// What is remembered of all peers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PeerMemory {
    counter: u64,
    peers: BTreeMap<NodeId, Remembered>,
}

impl PeerMemory {
    /// Whether no peer was ever heard.
    pub fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// What is remembered of the store of `node`; `None` before the first contact.
    pub fn of(&self, node: NodeId) -> Option<&Remembered> {
        self.peers.get(&node)
    }

    /// Remembers what `node` said of its store when it was accepted; whether that is news, to be
    /// written. A word of an earlier run that is late changes nothing.
    pub fn learn(&mut self, node: NodeId, said: Remembered) -> bool {
        let is_late = |known: &Remembered| {
            known.format == said.format && known.incarnation > said.incarnation
        };
        if self.of(node).is_some_and(is_late) {
            return false;
        }
        self.peers.insert(node, said) != Some(said)
    }

    /// The operations that make it durable, one place after the other.
    pub fn write(&mut self, identity: &Identity) -> Vec<FileOp> {
        self.counter += 1;
        let mut ops = Vec::new();
        for place in [Place::A, Place::B] {
            let file = peers_name(place);
            let bytes = self.record(Salt::of_store(identity, &file));
            overwrite(&mut ops, file, bytes);
        }
        ops.push(FileOp::SyncDir);
        ops
    }

    fn record(&self, salt: Salt) -> Vec<u8> {
        let mut out = Vec::new();
        record::write(&mut out, salt, 0, RecordKind::Peers, |out| {
            out.put_u64(self.counter);
            for (node, remembered) in &self.peers {
                out.put_u64(node.get());
                out.put_u64(remembered.format.get());
                out.put_u64(remembered.incarnation.get());
                out.put_u64(remembered.run.get());
            }
        });
        out
    }
}

/// Reads what the files of the store of `identity` remember. A damaged place is reported; if both
/// are, the peers are met anew.
pub(super) fn read(files: &Files, identity: &Identity, damage: &mut Vec<Damage>) -> PeerMemory {
    let mut read = |place| {
        let file = peers_name(place);
        let bytes = files.get(&file)?;
        let salt = Salt::of_store(identity, &file);
        let read = vote::read(bytes, salt, RecordKind::Peers, "a memory of peers", take);
        if let Err(fault) = read {
            damage.push(Damage {
                file,
                offset: 0,
                length: bytes.len() as u64,
                fault,
            });
        }
        read.ok()
    };
    let (a, b) = (read(Place::A).ok_or(()), read(Place::B).ok_or(()));
    match vote::newest(&a, &b) {
        Some((_, Counted { counter, value })) => PeerMemory {
            counter,
            peers: value,
        },
        None => PeerMemory::default(),
    }
}

fn take(fields: &mut Fields<'_>) -> Option<Counted<BTreeMap<NodeId, Remembered>>> {
    let counter = fields.u64()?;
    let mut peers = BTreeMap::new();
    let mut last = None;
    while !fields.0.is_empty() {
        let node = NodeId::new(fields.u64()?);
        let remembered = Remembered {
            format: FormatNonce::new(fields.u64()?),
            incarnation: Incarnation::new(fields.u64()?),
            run: RunNonce::new(fields.u64()?),
        };
        if last.replace(node) >= Some(node) {
            return None;
        }
        peers.insert(node, remembered);
    }
    let value = peers;
    Some(Counted { counter, value })
}
