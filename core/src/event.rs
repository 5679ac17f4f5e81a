//! Everything that can happen to a node.

use crate::chain::order::{Image, StoreError, Vote};
use crate::chain::payload::leading;
use crate::chain::store::Founding;
use crate::client::ClientRequest;
use crate::config::Config;
use crate::id::{Incarnation, NodeId, OpId, Replica, RunNonce, Seq, StoreId, Ticket};
use crate::message::Message;
use crate::time::Wall;
use alloc::sync::Arc;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// One thing that happened, and what the local wall clock showed.
///
/// Any event may lead a node to author an entry, which carries a stamp; so all of them bring
/// the wall time along.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Event {
    /// The local wall clock.
    pub wall: Wall,
    /// What happened.
    pub input: Input,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Input {
    /// The time that `poll_timeout` named has come, or the driver woke for another reason.
    Wake,
    /// A message arrived from the peer at the other end of an authenticated connection.
    Peer {
        /// Who sent it, as the transport knows it.
        from: NodeId,
        /// What it says.
        message: Arc<Message>,
    },
    /// The store finished an order.
    Done {
        /// Which one.
        op: OpId,
        /// Durable, or why not.
        result: Result<(), StoreError>,
    },
    /// A client asks something.
    Client {
        /// The driver's name for the request; the reply carries it.
        ticket: Ticket,
        /// What is asked.
        request: ClientRequest,
    },
    /// Hand over every leadership and take no new one; the process is about to stop.
    HandOver,
    /// The process of a peer is gone: its connections broke, and dialling it again was refused at
    /// once. Said once per loss. It is a hint: a false one costs at most a query for votes.
    PeerGone {
        /// The peer.
        node: NodeId,
        /// The run of it that is gone; of no meaning here unless it is the newest one heard.
        incarnation: Incarnation,
    },
    /// What is sent to a peer can reach it from now on.
    LinkUp {
        /// The peer.
        peer: NodeId,
    },
    /// What is sent to a peer is lost from now on, and what was on its way to it may be. A peer
    /// whose link was never spoken of counts as reachable.
    LinkDown {
        /// The peer.
        peer: NodeId,
    },
    /// A peer told that the store is an older image of itself, or was formatted anew: what it
    /// promised is forgotten, and nothing of it may count.
    Disowned,
}

/// What a node finds when it starts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Boot {
    /// The store, formatted once.
    pub store: StoreId,
    /// Which boot of the store this is, already durable.
    pub incarnation: Incarnation,
    /// The chains that recovery found, in ascending order.
    pub images: Vec<Image>,
}

impl Boot {
    /// What the first run of a founding node finds on a store that was just formatted; `None`
    /// when the config does not name the node.
    pub fn founding(config: &Config, node: NodeId) -> Option<Self> {
        let image = |founding: Founding| Image {
            chain: founding.chain,
            generation: founding.generation,
            replica: Replica::new(1),
            vote: Some(Vote::default()),
            tip: founding.checkpoint.floor,
            checkpoint: founding.checkpoint,
            slots: Vec::new(),
            commit: Seq::ZERO,
        };
        Some(Self {
            store: config.store_of(node)?,
            incarnation: Incarnation::new(1),
            images: config.foundings(node).into_iter().map(image).collect(),
        })
    }
}

/// What the driver's entropy gives a run; the only entropy there is.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Seed(pub [u8; 32]);

impl Seed {
    /// What tells the run of this seed from others.
    pub fn run(&self) -> RunNonce {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"meshos run 1");
        hasher.update(&self.0);
        RunNonce::new(leading(&hasher.finalize()) as u64)
    }
}
