//! TCP between the nodes of a cluster.
//!
//! Each node dials every other one and sends on the connection that it opened; it receives on
//! those that its peers opened. Messages may be lost: what cannot be sent at once is dropped and
//! counted, and the core repeats what matters. A connection starts with a [`hello`] in which both
//! ends name cluster, node and store; nothing is encrypted or authenticated.

mod accept;
mod dial;
mod hello;

pub use accept::{Acceptor, listen};
pub use dial::{Backoff, TcpTransport};
pub use hello::{Hello, HelloError, Welcome};

use meshos_core::id::{ClusterId, NodeId, StoreId};
use meshos_core::wire;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::codec::LengthDelimitedCodec;

/// One other node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The store it runs on.
    pub store: StoreId,
    /// Where it listens, as `host:port`.
    pub address: String,
}

/// What this node knows of the cluster, and how it talks.
#[derive(Clone, Debug)]
pub struct Network {
    /// The cluster.
    pub cluster: ClusterId,
    /// This node.
    pub node: NodeId,
    /// Its store.
    pub store: StoreId,
    /// The other nodes.
    pub peers: Arc<BTreeMap<NodeId, Peer>>,
    /// Largest encoded message.
    pub message_bytes_max: u32,
    /// Most messages that wait for one connection; more are lost.
    pub queue_messages_max: usize,
    /// Pause before a new attempt to connect.
    pub backoff: Backoff,
    /// Longest time for connecting and for the hello, each.
    pub hello_timeout: Duration,
    /// Longest time that a connection may take over one message, or leave bytes unacknowledged,
    /// before it is given up.
    pub write_timeout: Duration,
}

fn codec(network: &Network) -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder()
        .max_frame_length(network.message_bytes_max as usize + wire::HEAD)
        .new_codec()
}
