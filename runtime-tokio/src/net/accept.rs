//! The receiving half: takes connections from peers and feeds what they send to the inbox.

use super::hello::{Caller, HelloError, receive};
use super::{Network, frames};
use crate::inbox::Sender;
use bytes::BytesMut;
use meshos_core::id::NodeId;
use meshos_core::message::Lane;
use meshos_core::wire;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};

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
    caller: Caller,
    stream: TcpStream,
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
    ///
    /// # Panics
    /// When one of its tasks does: a node that no longer hears a peer must not go on as if it did.
    pub async fn run(self) {
        let mut strangers: JoinSet<Option<Arrived>> = JoinSet::new();
        let mut readers: JoinSet<()> = JoinSet::new();
        // Dropping the sender ends the reader: a peer that comes anew replaces its old
        // connection, which may be dead without anybody having noticed.
        let mut known: BTreeMap<(NodeId, Lane), oneshot::Sender<()>> = BTreeMap::new();
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
                    if let Some(arrived) = finished(greeted).flatten() {
                        let (keep, replaced) = oneshot::channel();
                        let Caller { node, lane } = arrived.caller;
                        known.insert((node, lane), keep);
                        self.network.links.heard(node);
                        let bytes_max = self.network.message_bytes_max;
                        readers.spawn(read(arrived, bytes_max, self.inbox.clone(), replaced));
                    }
                }
                Some(read) = readers.join_next(), if !readers.is_empty() => {
                    finished(read);
                }
            }
        }
    }
}

/// What a task ended with; its panic is ours.
fn finished<T>(joined: Result<T, JoinError>) -> Option<T> {
    match joined {
        Ok(value) => Some(value),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => None,
    }
}

async fn greet(mut stream: TcpStream, network: Network) -> Option<Arrived> {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "connection broke before a hello");
        return None;
    }
    let received = receive(&mut stream, &network.introduction);
    let (node, error) = match timeout(network.hello_timeout, received).await {
        Ok(Ok(caller)) => return Some(Arrived { caller, stream }),
        Ok(Err(failed)) => failed,
        Err(_) => (None, HelloError::Timeout),
    };
    match (node, error.refusal()) {
        (Some(node), Some(reason)) if network.addresses.contains_key(&node) => {
            network.links.refuse(node, reason);
        }
        (_, Some(reason)) => tracing::warn!("{reason}"),
        // Of two attempts that help each other one is dropped without a word.
        (_, None) => tracing::debug!(%error, "connection without a hello"),
    }
    None
}

async fn read(
    arrived: Arrived,
    message_bytes_max: u32,
    inbox: Sender,
    replaced: oneshot::Receiver<()>,
) {
    let Arrived { caller, stream } = arrived;
    let from = caller.node;
    tokio::select! {
        ended = take(stream, from, message_bytes_max, inbox) => {
            if let Err(error) = ended {
                tracing::info!(peer = %from, lane = ?caller.lane, %error, "connection from peer broke");
            }
        }
        _ = replaced => {}
    }
}

/// Takes messages until the connection or the inbox ends, and counts back the bytes.
async fn take(
    mut stream: TcpStream,
    from: NodeId,
    message_bytes_max: u32,
    inbox: Sender,
) -> io::Result<()> {
    let frame_bytes_max = message_bytes_max as usize + wire::HEAD;
    let (mut source, mut counts) = stream.split();
    let mut buffer = BytesMut::with_capacity(READ_BYTES);
    let (mut taken, mut counted): (u64, u64) = (0, 0);
    let mut due = Instant::now();
    loop {
        buffer.reserve(READ_BYTES);
        let read = tokio::select! {
            read = source.read_buf(&mut buffer) => read?,
            () = sleep_until(due), if taken > counted => {
                counted = taken;
                counts.write_u64(counted).await?;
                continue;
            }
        };
        if read == 0 {
            return Ok(());
        }
        if taken == counted {
            due = Instant::now() + COUNT_DELAY;
        }
        taken += read as u64;
        while let Some(frame) = frames::take(&mut buffer, frame_bytes_max)? {
            let message = wire::decode(&frame, message_bytes_max)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            if inbox
                .peer(from, Arc::new(message), frame.len())
                .await
                .is_err()
            {
                return Ok(());
            }
        }
        if taken - counted >= COUNT_BYTES {
            counted = taken;
            counts.write_u64(counted).await?;
        }
    }
}

/// Bytes that are counted back at once; half of the smallest window.
const COUNT_BYTES: u64 = 4 << 10;

/// Time after which fewer are counted back, far below the time for which a sender waits.
const COUNT_DELAY: Duration = Duration::from_millis(100);

/// Room for what one read may find.
const READ_BYTES: usize = 64 << 10;
