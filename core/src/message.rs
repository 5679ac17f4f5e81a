//! What nodes say to each other.
//!
//! Every message names both stores, and every message of a chain names its creation and both
//! memberships, so nothing sent by or to an earlier life of a store counts (D1, D23). The types
//! are the wire format: `wire` encodes them as they stand. What follows for a message from its kind
//! alone is said in [`traits`].

mod traits;

pub use traits::Lane;

use crate::chain::entry::{Entry, EntryHash, LogPosition, Request};
use crate::chain::payload::Payload;
use crate::client::{Level, Reason};
use crate::id::{
    Attempt, ChainId, ClusterId, Epoch, Gen, HeartbeatNumber, Incarnation, NodeId, PullNumber,
    Replica, Run, Seq, StoreId,
};
use crate::replica::role::Role;
use crate::time::Wall;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// One message from one run of a node to a store.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Message {
    /// The cluster both belong to.
    pub cluster: ClusterId,
    /// Who says it.
    pub from: Run,
    /// The store it is meant for.
    pub to: StoreId,
    /// What it says.
    pub body: Body,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Body {
    /// I live, this I heard of you, this changed.
    Heartbeat(Heartbeat),
    /// Something about one chain.
    Chain(ChainMessage),
    /// Do you still follow me, in these chains (D16)?
    Confirm(Vec<Confirm>),
    /// I do, in these.
    Confirmed(Vec<Confirm>),
    /// A client asks through me.
    Forward(Forward),
    /// The client's answer.
    Forwarded {
        /// The try that it ends.
        attempt: Attempt,
        /// How it ended.
        answer: Forwarded,
    },
}

impl Body {
    /// The entries that it carries to a log.
    pub fn entries(&self) -> Option<&Arc<[Arc<Entry>]>> {
        let Self::Chain(ChainMessage { content, .. }) = self else {
            return None;
        };
        if let ReplicaMessage::Chunk { entries, .. } | ReplicaMessage::Fetched { entries, .. } =
            content
        {
            return Some(entries);
        }
        None
    }
}

/// Liveness of a peer and one page of its changed rows (D21).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Counts the sender's heartbeats to this peer.
    pub number: HeartbeatNumber,
    /// The newest heartbeat heard from the addressee.
    pub echo: Option<(Incarnation, HeartbeatNumber)>,
    /// The addressee's rows are known up to this version of this incarnation of it.
    pub acknowledged: Option<(Incarnation, u64)>,
    /// The sender's wall clock.
    pub wall: Wall,
    /// The page holds every row whose version is above this one ..
    pub after: u64,
    /// .. and not above this one.
    pub upto: u64,
    /// The rows, oldest change first.
    pub rows: Vec<Row>,
}

/// What one replica says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Row {
    /// The chain.
    pub chain: ChainId,
    /// Which creation of it.
    pub generation: Gen,
    /// The speaking membership.
    pub replica: Replica,
    /// Its state; `None` when the replica is gone.
    pub state: Option<RowState>,
}

/// The state of one replica, as its peers need it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RowState {
    /// Its present epoch.
    pub epoch: Epoch,
    /// Its role.
    pub role: Role,
    /// Distance to the leader of that epoch; 0 on the leader itself.
    pub distance: Option<u8>,
    /// End of what is durable; `None` while a reset is in flight (D13g).
    pub durable: Option<Seq>,
    /// End of what is committed.
    pub commit: Seq,
    /// The first position that it retains; on a leader the one that it has decided to retain.
    pub floor: Seq,
    /// Whether its store had no space at the last try.
    pub is_full: bool,
}

/// Something about one chain, between two members.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChainMessage {
    /// The chain.
    pub chain: ChainId,
    /// Which creation of it.
    pub generation: Gen,
    /// The sender's membership.
    pub from: Replica,
    /// The addressee's membership.
    pub to: Replica,
    /// The sender's present epoch.
    pub epoch: Epoch,
    /// What is said.
    pub content: ReplicaMessage,
}

/// Whether a round of votes is a query or binds.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Round {
    /// Would you vote for me? Binds nobody.
    Pre,
    /// Vote for me.
    Real,
}

/// Why an election is sought.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Purpose {
    /// No leader is heard.
    Silence,
    /// The leader asked for it; its being alive is no objection (D20).
    Transfer,
}

/// What is said between two members of a chain.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ReplicaMessage {
    /// Asks for a vote.
    VoteRequest {
        /// Query or binding.
        round: Round,
        /// Why.
        purpose: Purpose,
        /// The epoch asked for.
        asked: Epoch,
        /// Epoch of the candidate's last durable entry.
        last_epoch: Epoch,
        /// End of the candidate's durable log.
        tail: Seq,
        /// The round.
        attempt: Attempt,
    },
    /// Answers a vote request; a refusal carries the refuser's epoch in the header.
    VoteReply {
        /// Query or binding.
        round: Round,
        /// The epoch that was asked for.
        asked: Epoch,
        /// The answer.
        granted: bool,
        /// The round it answers.
        attempt: Attempt,
    },
    /// Asks for entries and acknowledges what is durable (D13c).
    Pull {
        /// First position wanted, with epoch and hash before it.
        since: LogPosition,
        /// End of the durable log; `None` while a reset is in flight.
        durable: Option<Seq>,
        /// The stream of chunks that it opens, or acknowledges when the leader knows it.
        attempt: Attempt,
        /// Counts the sender's pulls, so that a late one is not taken for a regression (D13g).
        number: PullNumber,
    },
    /// Entries behind an equal predecessor; none to ship only commit and floor.
    Chunk {
        /// The request it answers.
        attempt: Attempt,
        /// First position of `entries`, with epoch and hash before it.
        since: LogPosition,
        /// The entries.
        entries: Arc<[Arc<Entry>]>,
        /// End of what the leader knows committed.
        commit: Seq,
        /// The retention floor that the leader decided (D18).
        floor: Seq,
    },
    /// The predecessor named in a pull differs from the leader's (D13c).
    Conflict {
        /// The request it answers.
        attempt: Attempt,
        /// The position of the pull that failed, with what the follower had before it: it may have
        /// something else there when this arrives.
        failed: LogPosition,
        /// The leader's last entry that may still be shared.
        hint: Seq,
        /// Its epoch.
        hint_epoch: Epoch,
        /// Whether the leader has another entry there, or none; false where the one before is damaged
        /// in its log, so that it cannot tell.
        differs: bool,
    },
    /// A part of the checkpoint to start anew from (D17).
    InstallSnapshot {
        /// The request it answers.
        attempt: Attempt,
        /// The floor, with epoch and hash before it.
        floor: LogPosition,
        /// Hash of the whole encoded checkpoint.
        checkpoint: EntryHash,
        /// Length of the whole encoded checkpoint.
        length: u32,
        /// Where this part goes.
        offset: u32,
        /// The part.
        part: Bytes,
    },
    /// Your epoch is older than mine, which the header names (R1).
    Outdated,
    /// Your durable tail went back behind what you acknowledged (D13g).
    Regressed {
        /// What was acknowledged.
        acknowledged: Seq,
    },
    /// Seek election now, in a higher epoch than the header's; said again with every heartbeat
    /// until one begins.
    TransferNow {
        /// The voters that led without being able to commit since the commit last moved, in
        /// ascending order.
        tried: Vec<NodeId>,
        /// How long the next of them tries, in milliseconds; 0 for the usual time.
        pause_ms: u32,
    },
    /// Asks any member for entries in the place of damaged ones (D13f).
    Fetch {
        /// First position wanted.
        from: Seq,
        /// End of the positions wanted.
        end: Seq,
        /// The request.
        attempt: Attempt,
    },
    /// Entries that this member holds intact; none if it cannot help.
    Fetched {
        /// The request it answers.
        attempt: Attempt,
        /// First position, with epoch and hash before it.
        since: LogPosition,
        /// The entries.
        entries: Arc<[Arc<Entry>]>,
    },
    /// Asks any member for the committed entries that follow the asker's log, which come as
    /// `Fetched`; said again under the same request, acknowledges those before `since` (D20).
    CatchUp {
        /// Where they start, with epoch and hash before it.
        since: LogPosition,
        /// The request.
        attempt: Attempt,
    },
    /// Asks for the rest of a checkpoint of which the first part came.
    SnapshotRequest {
        /// The request that brought it.
        attempt: Attempt,
        /// Hash of the whole encoded checkpoint.
        checkpoint: EntryHash,
        /// Where the rest starts.
        offset: u32,
    },
}

/// One chain of a shared confirmation round (D16).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Confirm {
    /// The chain.
    pub chain: ChainId,
    /// Which creation of it.
    pub generation: Gen,
    /// The asking leader's membership.
    pub leader: Replica,
    /// The answering voter's membership.
    pub voter: Replica,
    /// The leader's epoch.
    pub epoch: Epoch,
    /// The round.
    pub attempt: Attempt,
}

/// A client's request on its way to the leader (D15).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Forward {
    /// The chain.
    pub chain: ChainId,
    /// Which creation of it.
    pub generation: Gen,
    /// The leadership it is meant for: only that store, leading in exactly that epoch, acts.
    pub epoch: Epoch,
    /// The try.
    pub attempt: Attempt,
    /// What is asked.
    pub ask: ForwardAsk,
}

/// What a forwarder asks the leader for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ForwardAsk {
    /// Append an entry that opens a client.
    OpenClient,
    /// Append a payload.
    Append {
        /// When to acknowledge.
        level: Level,
        /// The client's request.
        request: Option<Request>,
        /// The bytes.
        payload: Payload,
    },
    /// Name a position that every earlier acknowledged append is below (D16).
    ReadIndex,
    /// Hand leadership over.
    Transfer {
        /// The voter that shall lead.
        to: Option<NodeId>,
    },
}

/// How a forwarded request ended at the leader.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Forwarded {
    /// See [`crate::client::Answer::Acked`].
    Acked {
        /// Position of the entry.
        seq: Seq,
        /// Epoch of the entry.
        epoch: Epoch,
    },
    /// This try appended nothing and never will.
    NotLeader {
        /// Who seems to lead.
        hint: Option<NodeId>,
    },
    /// This try appended nothing and never will, for this reason.
    Rejected(Reason),
    /// It may or may not take effect.
    Unknown,
    /// The position asked for with [`ForwardAsk::ReadIndex`].
    ReadIndex {
        /// End of the prefix that the read has to reflect.
        commit: Seq,
    },
    /// Leadership is being handed over.
    Transferred,
}
