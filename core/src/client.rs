//! What a client may ask of a chain, at any node, and how each attempt ends (D15, D16).

use crate::chain::entry::{Entry, Request};
use crate::chain::payload::Payload;
use crate::id::{ChainId, ClientId, Epoch, NodeId, Seq};
use alloc::sync::Arc;
use serde::{Deserialize, Serialize};

/// When an append is acknowledged.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Level {
    /// Durable on the leader, and nothing more.
    Local,
    /// Committed: it survives the loss of any minority.
    Committed,
}

/// How fresh a read is.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Consistency {
    /// The committed prefix that this replica knows.
    Stale,
    /// Everything that was acknowledged as `Committed` before the read began.
    Linearizable,
}

/// One request of a client.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Ask {
    /// Open a client; answered by [`Answer::Acked`], whose position is the client's id.
    OpenClient,
    /// Append a payload.
    Append {
        /// When to acknowledge.
        level: Level,
        /// Names the request so that repeating it appends once; without one every copy appends.
        request: Option<Request>,
        /// The bytes.
        payload: Payload,
    },
    /// Read entries from `from` on, in chunks.
    Read {
        /// How fresh.
        consistency: Consistency,
        /// First position wanted; the answer starts at the floor when that is higher.
        from: Seq,
        /// Stop after this many bytes of payload; one entry is given in any case.
        bytes_max: u32,
    },
    /// Hand leadership over: to this voter, or to the one most caught up.
    Transfer {
        /// The voter that shall lead.
        to: Option<NodeId>,
    },
}

/// A request for one chain.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ClientRequest {
    /// The chain.
    pub chain: ChainId,
    /// The request.
    pub ask: Ask,
}

/// Why a request was refused; nothing was appended.
#[derive(
    Copy,
    Clone,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    thiserror::Error,
)]
pub enum Reason {
    /// No such chain on this node.
    #[error("this node holds no such chain, and its config lists none")]
    UnknownChain,
    /// The payload is larger than `entry_bytes_max`.
    #[error("the payload is larger than limits.entry_bytes_max")]
    TooLarge,
    /// The request number is below the client's window.
    #[error("the request number is below the client's window, limits.client_window")]
    TooOld,
    /// The client was never opened, or is no longer remembered.
    #[error("the client is not known, or one too many for limits.clients_max; open a new one")]
    UnknownClient,
    /// Request numbers start at 1.
    #[error("request numbers start at 1")]
    BadNumber,
    /// Too many requests are waiting.
    #[error(
        "too many requests are waiting, by limits.requests_max, limits.uncommitted_max or \
         limits.forwards_max"
    )]
    Busy,
    /// The leader is handing over, and not to the node named if one was.
    #[error("leadership is being handed over")]
    Transferring,
    /// The store is full.
    #[error("the store is full")]
    StoreFull,
    /// This replica has stopped, for a reason that its status names.
    #[error("this replica has stopped; the status of its node says why")]
    Stopped,
    /// The node named is no voter, or not caught up.
    #[error("the node named is not a live, caught-up voter")]
    NoSuchTarget,
}

/// The end of one attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Answer {
    /// The entry is in the log at the level asked for.
    Acked {
        /// Its position.
        seq: Seq,
        /// Its epoch.
        epoch: Epoch,
    },
    /// This attempt appended nothing; try the node named, if one is.
    NotLeader {
        /// Who seems to lead.
        hint: Option<NodeId>,
    },
    /// This attempt appended nothing, for this reason.
    Rejected(Reason),
    /// It may or may not have taken effect. Repeat it with the same request number.
    Unknown,
    /// What was read.
    Entries {
        /// The first position still retained.
        floor: Seq,
        /// The end of the committed prefix that this answer reflects.
        commit: Seq,
        /// Contiguous entries from max(`from`, `floor`) on.
        entries: Arc<[Arc<Entry>]>,
    },
    /// The entry at this position is damaged here and could not be repaired yet.
    Corrupt {
        /// The position.
        seq: Seq,
    },
    /// Leadership was handed over, or is being sought by the target.
    Transferred,
    /// This node is no member of the chain, and never will be: ask one of those that are. This
    /// attempt appended nothing.
    NotMember {
        /// The members, in ascending order.
        members: Arc<[NodeId]>,
    },
}

impl Answer {
    /// The client id that an acknowledged [`Ask::OpenClient`] created.
    pub fn client(&self) -> Option<ClientId> {
        if let Self::Acked { seq, .. } = self {
            Some(ClientId(*seq))
        } else {
            None
        }
    }
}
