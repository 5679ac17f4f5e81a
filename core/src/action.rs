//! Everything that a node can order.

use crate::chain::order::Order;
use crate::client::Answer;
use crate::id::{ChainId, Epoch, Gen, NodeId, OpId, Seq, Ticket};
use crate::message::Message;
use crate::replica::role::{Role, Signal};
use alloc::sync::Arc;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// One order to the driver. It performs them in the order in which they were appended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Action {
    /// Send a message; it may be lost.
    Send {
        /// The addressee.
        to: NodeId,
        /// What to say.
        message: Arc<Message>,
    },
    /// Perform an operation on a chain's store, and answer `op` once when it is durable.
    Store {
        /// Names the operation in [`crate::event::Input::Done`].
        op: OpId,
        /// The chain.
        chain: ChainId,
        /// Which creation of it.
        generation: Gen,
        /// The end of what is committed and durable there, to be taken down with the operation
        /// if that writes a batch or a vote. Nothing waits for it.
        commit: Seq,
        /// How many bytes the file of a checkpoint may have once that is stored, for
        /// [`crate::chain::store::Layout::reserve`].
        checkpoint_bytes: u64,
        /// The operation.
        order: Order,
    },
    /// Answer a client request.
    Reply {
        /// The request.
        ticket: Ticket,
        /// How it ended.
        answer: Answer,
    },
    /// Tell whoever watches; nothing depends on it.
    Note {
        /// The chain.
        chain: ChainId,
        /// What happened.
        note: Note,
    },
}

/// What a node tells whoever watches it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Note {
    /// The role changed.
    Role {
        /// The new role.
        role: Role,
        /// What permitted it.
        signal: Signal,
        /// In which epoch.
        epoch: Epoch,
    },
    /// More of the log is committed.
    Commit {
        /// End of the committed prefix.
        end: Seq,
    },
    /// This replica stopped for good: its store failed, or its durable tail went back.
    Stopped(StopReason),
}

/// Why a replica does not take part.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum StopReason {
    /// A write or a sync failed (R14).
    #[error("a write or sync failed")]
    StoreBroken,
    /// Neither place of the vote record is readable, or neither of the checkpoint
    /// (`docs/decisions/quorum.md` on the vote record, `docs/decisions/store-format.md` on both).
    #[error(
        "its vote record or its checkpoint is lost in both places; the replica counts as wiped"
    )]
    ReplicaLost,
    /// A leader found the durable tail below what was acknowledged, or recovery found the log to
    /// end below what was stored as committed: what had been durable is lost.
    #[error(
        "the store went back behind what it had acknowledged: if it is an older image, put the \
         newest one back; if not, it is lost, and the other members go on without it"
    )]
    StoreRegressed,
    /// A leader's entries contradict what is committed or verified here.
    #[error("a leader contradicts what is committed here")]
    Contradicted,
    /// The chain's config does not name this store.
    #[error("the chain does not list this store")]
    NotMember,
}

/// The buffer into which a step appends its actions; the driver drains it before the next step.
#[derive(Clone, Debug, Default)]
pub struct Actions {
    list: Vec<Action>,
}

impl Actions {
    /// An empty buffer.
    pub const fn new() -> Self {
        Self { list: Vec::new() }
    }

    /// Takes all actions, oldest first.
    pub fn drain(&mut self) -> alloc::vec::Drain<'_, Action> {
        self.list.drain(..)
    }

    /// The actions, oldest first.
    pub fn as_slice(&self) -> &[Action] {
        &self.list
    }

    /// Whether every action was drained.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many actions wait.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn push(&mut self, action: Action) {
        self.list.push(action);
    }
}

impl Extend<Action> for Actions {
    /// Appends actions, as a step does; for scripts that stand in for a node.
    fn extend<I: IntoIterator<Item = Action>>(&mut self, actions: I) {
        self.list.extend(actions);
    }
}
