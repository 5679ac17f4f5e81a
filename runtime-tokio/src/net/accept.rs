//! The receiving half: takes connections from peers and feeds what they send to the inbox.

use super::hello::{HelloError, receive};
use super::{Network, codec};
use crate::inbox::Sender;
use futures::StreamExt;
use meshos_core::id::NodeId;
use meshos_core::wire;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::codec::{Framed, LengthDelimitedCodec};

/// Most connections that have not said yet who they are.
const STRANGERS_MAX: usize = 64;

/// Takes connections on one listener.
#[derive(Debug)]
pub struct Acceptor {
    network: Network,
    listener: TcpListener,
    inbox: Sender,
}

/// Listens on `address`.
///
/// # Errors
/// When the address cannot be had.
pub async fn listen(address: &str, network: Network, inbox: Sender) -> io::Result<Acceptor> {
    Ok(Acceptor {
        network,
        listener: TcpListener::bind(address).await?,
        inbox,
    })
}

struct Arrived {
    from: NodeId,
    wire: Framed<TcpStream, LengthDelimitedCodec>,
}

impl Acceptor {
    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn local_addr(&self) -> io::Result<std::net::SocketAddr> {
        self.listener.local_addr()
    }

    /// Runs for ever.
    pub async fn run(self) {
        let mut strangers: JoinSet<Option<Arrived>> = JoinSet::new();
        let mut readers: JoinSet<()> = JoinSet::new();
        // Dropping the sender ends the reader: a peer that comes anew replaces its old
        // connection, which may be dead without anybody having noticed.
        let mut known: BTreeMap<NodeId, oneshot::Sender<()>> = BTreeMap::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if strangers.len() < STRANGERS_MAX => {
                    match accepted {
                        Ok((stream, _)) => {
                            strangers.spawn(greet(stream, self.network.clone()));
                        }
                        Err(error) => {
                            tracing::warn!(%error, "cannot accept a connection");
                            sleep(Duration::from_millis(100)).await;
                        }
                    }
                }
                Some(greeted) = strangers.join_next(), if !strangers.is_empty() => {
                    if let Ok(Some(arrived)) = greeted {
                        let (keep, replaced) = oneshot::channel();
                        known.insert(arrived.from, keep);
                        let bytes_max = self.network.message_bytes_max;
                        readers.spawn(read(arrived, bytes_max, self.inbox.clone(), replaced));
                    }
                }
                Some(_) = readers.join_next(), if !readers.is_empty() => {}
            }
        }
    }
}

async fn greet(stream: TcpStream, network: Network) -> Option<Arrived> {
    let result = async {
        stream.set_nodelay(true)?;
        let mut wire = Framed::new(stream, codec(&network));
        let received = timeout(network.hello_timeout, receive(&mut wire, &network)).await;
        let from = received.map_err(|_| HelloError::Timeout)??;
        Ok::<_, HelloError>(Arrived { from, wire })
    };
    match result.await {
        Ok(arrived) => Some(arrived),
        Err(error) => {
            tracing::warn!(%error, "refused a connection");
            None
        }
    }
}

async fn read(
    mut arrived: Arrived,
    message_bytes_max: u32,
    inbox: Sender,
    replaced: oneshot::Receiver<()>,
) {
    let from = arrived.from;
    let reading = async {
        while let Some(frame) = arrived.wire.next().await {
            let frame = match frame {
                Ok(frame) => frame,
                Err(error) => {
                    tracing::info!(peer = %from, %error, "connection from peer broke");
                    return;
                }
            };
            let message = match wire::decode(&frame, message_bytes_max) {
                Ok(message) => Arc::new(message),
                Err(error) => {
                    tracing::warn!(peer = %from, %error, "undecodable message, connection dropped");
                    return;
                }
            };
            if inbox.peer(from, message, frame.len()).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = reading => {}
        _ = replaced => {}
    }
}
