//! The first frame each way: who talks to whom.

use super::Network;
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use meshos_core::id::{ClusterId, NodeId, StoreId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::codec::{Framed, LengthDelimitedCodec};

/// Raised when what follows the hello changes its meaning.
const PROTOCOL: u16 = 1;

/// What the dialling end says first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Version of the protocol.
    pub protocol: u16,
    /// The cluster that the sender belongs to.
    pub cluster: ClusterId,
    /// The sender.
    pub node: NodeId,
    /// Its store.
    pub store: StoreId,
    /// The node that it wants to reach.
    pub to_node: NodeId,
    /// The store that it expects there.
    pub to_store: StoreId,
}

/// What the accepting end answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Welcome {
    /// Messages may follow.
    Welcome,
    /// The connection is of no use, for this reason.
    Refused(String),
}

/// Why two nodes do not talk.
#[derive(Debug, thiserror::Error)]
pub enum HelloError {
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    /// The other end closed the connection without a word.
    #[error("the other end closed the connection")]
    Closed,
    /// The other end took too long.
    #[error("the other end did not answer in time")]
    Timeout,
    /// The first frame was no hello.
    #[error("the first frame is not a hello: {0}")]
    Garbled(#[from] postcard::Error),
    /// The other end speaks another version.
    #[error("protocol version {found}, expected {PROTOCOL}")]
    Protocol {
        /// What it speaks.
        found: u16,
    },
    /// The other end is of another cluster.
    #[error("cluster {found:032x}, expected {expected:032x}")]
    Cluster {
        /// Its cluster.
        found: u128,
        /// Ours.
        expected: u128,
    },
    /// The other end wanted to reach somebody else.
    #[error("meant for node {node} on store {store:032x}, which is not here")]
    NotHere {
        /// The node it wanted.
        node: NodeId,
        /// The store it wanted.
        store: u128,
    },
    /// The config names no such node.
    #[error("node {0} is not in the config")]
    UnknownNode(NodeId),
    /// The config names another store for that node.
    #[error("node {node} on store {found:032x}, expected store {expected:032x}")]
    Store {
        /// The node.
        node: NodeId,
        /// The store it runs on.
        found: u128,
        /// The store that the config names.
        expected: u128,
    },
    /// The other end refused us.
    #[error("refused by the other end: {0}")]
    Refused(String),
}

type Wire<S> = Framed<S, LengthDelimitedCodec>;

/// Introduces `network` to the node `to` on a connection that was just dialled.
pub(super) async fn introduce<S>(
    wire: &mut Wire<S>,
    network: &Network,
    to: NodeId,
) -> Result<(), HelloError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let expected = network.peers.get(&to).ok_or(HelloError::UnknownNode(to))?;
    let hello = Hello {
        protocol: PROTOCOL,
        cluster: network.cluster,
        node: network.node,
        store: network.store,
        to_node: to,
        to_store: expected.store,
    };
    say(wire, &hello).await?;
    match hear(wire).await? {
        Welcome::Welcome => Ok(()),
        Welcome::Refused(reason) => Err(HelloError::Refused(reason)),
    }
}

/// Learns who dialled, and tells that node whether it may go on.
pub(super) async fn receive<S>(wire: &mut Wire<S>, network: &Network) -> Result<NodeId, HelloError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let hello: Hello = hear(wire).await?;
    let judged = judge(&hello, network);
    let welcome = match &judged {
        Ok(_) => Welcome::Welcome,
        Err(error) => Welcome::Refused(error.to_string()),
    };
    say(wire, &welcome).await?;
    judged
}

fn judge(hello: &Hello, network: &Network) -> Result<NodeId, HelloError> {
    if hello.protocol != PROTOCOL {
        let found = hello.protocol;
        return Err(HelloError::Protocol { found });
    }
    if hello.cluster != network.cluster {
        return Err(HelloError::Cluster {
            found: hello.cluster.get(),
            expected: network.cluster.get(),
        });
    }
    if (hello.to_node, hello.to_store) != (network.node, network.store) {
        return Err(HelloError::NotHere {
            node: hello.to_node,
            store: hello.to_store.get(),
        });
    }
    let peer = network.peers.get(&hello.node);
    let expected = peer.ok_or(HelloError::UnknownNode(hello.node))?.store;
    if hello.store != expected {
        return Err(HelloError::Store {
            node: hello.node,
            found: hello.store.get(),
            expected: expected.get(),
        });
    }
    Ok(hello.node)
}

async fn say<S, T>(wire: &mut Wire<S>, value: &T) -> Result<(), HelloError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: Serialize,
{
    let bytes = postcard::to_allocvec(value)?;
    wire.send(Bytes::from(bytes)).await?;
    Ok(())
}

async fn hear<S, T>(wire: &mut Wire<S>) -> Result<T, HelloError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: DeserializeOwned,
{
    let frame = wire.next().await.ok_or(HelloError::Closed)??;
    Ok(postcard::from_bytes(&frame)?)
}
