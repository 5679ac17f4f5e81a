//! What a node says of itself to whoever operates it: a projection that decides nothing.

use super::Node;
use crate::id::{Incarnation, NodeId, StoreId};
use crate::replica::{Chain, ChainStatus, millis};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// A node, as an operator sees it. Spans of time end when the status was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// The node.
    pub node: NodeId,
    /// Its store.
    pub store: StoreId,
    /// Which boot of the store it runs.
    pub incarnation: Incarnation,
    /// Its chains, in ascending order of their ids.
    pub chains: Vec<ChainStatus>,
    /// The nodes that it shares chains with, in ascending order.
    pub peers: Vec<PeerStatus>,
}

/// A peer, as the node hears it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// The peer.
    pub node: NodeId,
    /// Whether it seems lost.
    pub is_suspected: bool,
    /// Milliseconds since it was last heard; `None` if it was not in this run.
    pub silent_ms: Option<u64>,
}

impl Node {
    /// What the node says of its replica `chain`.
    pub fn chain_status(&self, chain: &Chain) -> ChainStatus {
        chain.status(&self.liveness, self.now)
    }

    /// What the node says of itself. Costs as much as it has chains, so it is for whoever asks.
    pub fn status(&self) -> NodeStatus {
        let peers = self.liveness.peers().map(|peer| {
            let heard = self.liveness.last_heard(peer);
            PeerStatus {
                node: peer,
                is_suspected: self.liveness.is_suspected(peer),
                silent_ms: heard.map(|at| millis(self.now.since(at))),
            }
        });
        let chains = self.chains.iter().map(|chain| self.chain_status(chain));
        NodeStatus {
            node: self.me.node,
            store: self.me.store,
            incarnation: self.me.incarnation,
            chains: chains.collect(),
            peers: peers.collect(),
        }
    }
}
