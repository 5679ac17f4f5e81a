//! What a chain orders from its store, and what the store gives back at boot.

use super::clients::Clients;
use super::entry::{Entry, LogPosition, Membership};
use crate::id::{ChainId, Epoch, Gen, NodeId, Replica, Seq};
use crate::time::Wall;
use alloc::sync::Arc;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The durable promise of a replica: its epoch and whom it voted for in it, nothing else (D13e).
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Vote {
    /// The highest epoch this replica has promised itself to.
    pub epoch: Epoch,
    /// The candidate that got this replica's vote in that epoch.
    pub granted: Option<NodeId>,
}

/// Everything that the entries below the floor had decided (D18).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The floor, with the epoch and hash of the entry before it.
    pub floor: LogPosition,
    /// The members in force at the floor.
    pub membership: Arc<Membership>,
    /// Position of the config entry that named them; zero for the founding one.
    pub membership_seq: Seq,
    /// The request table at the floor (D15).
    pub clients: Clients,
    /// The stamp of the entry before the floor, so that stamps go on from it when no entry is left.
    pub stamp: Wall,
}

/// One operation on one chain's store. The store performs the operations of one chain in the
/// order issued, and answers each one when it is durable.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Order {
    /// Replace the vote record, in both places.
    Vote(Vote),
    /// Append these contiguous entries as one batch that seals its predecessor (D13f);
    /// an empty batch only seals.
    Append(Arc<[Arc<Entry>]>),
    /// Drop every entry from this position on.
    Cut(Seq),
    /// Make this checkpoint durable, then drop what lies below its floor.
    Retain(Arc<Checkpoint>),
    /// Make this checkpoint durable, then drop the whole log; the next entry goes to its floor.
    Reset(Arc<Checkpoint>),
    /// Put these entries in the place of unknown ones.
    Repair(Arc<[Arc<Entry>]>),
}

/// Why the store could not make an operation durable.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum StoreError {
    /// There is no space; nothing of the operation is in the log.
    #[error("no space left on the store")]
    Full,
    /// A write or sync failed; what reached the disk is not known (R14).
    #[error("a write or sync failed")]
    Broken,
}

/// One position of a recovered log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Slot {
    /// The entry is intact and linked.
    Known(Arc<Entry>),
    /// Something was here and is damaged: it keeps its place until a peer repairs it (D13f).
    Unknown,
}

/// One chain as recovery found it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Image {
    /// The chain.
    pub chain: ChainId,
    /// Which creation of it.
    pub generation: Gen,
    /// Which membership of this store.
    pub replica: Replica,
    /// The vote record; `None` when no place of it is readable: the replica counts as wiped.
    pub vote: Option<Vote>,
    /// The newest checkpoint.
    pub checkpoint: Checkpoint,
    /// The log from the checkpoint's floor on.
    pub slots: Vec<Slot>,
    /// The end of the log with its epoch and hash, which are known also when the last slots
    /// are not.
    pub tip: LogPosition,
    /// The end of what was stored as committed. It is never above the end of a log of which
    /// nothing is lost.
    pub commit: Seq,
}
