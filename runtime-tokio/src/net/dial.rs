//! The sending half: one connection to each peer, dialled again whenever it breaks.

use super::hello::{HelloError, introduce};
use super::{Network, codec};
use crate::ports::Transport;
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use meshos_core::id::NodeId;
use meshos_core::message::Message;
use meshos_core::wire;
use rustix::net::sockopt::set_tcp_user_timeout;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::codec::{Framed, LengthDelimitedCodec};

/// Pauses between attempts: the first, doubled each time, up to the last.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Before the second attempt.
    pub first: Duration,
    /// The longest.
    pub last: Duration,
}

impl Backoff {
    /// The pause after `failures` failures in a row, the first of which is number 0.
    pub fn pause(&self, failures: u32) -> Duration {
        let factor = 1_u32.checked_shl(failures).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.last)
    }
}

/// Sends to every peer of one node.
#[derive(Debug)]
pub struct TcpTransport {
    links: BTreeMap<NodeId, Link>,
    lost: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Link {
    queue: mpsc::Sender<Arc<Message>>,
    /// Without a connection nothing is queued: it would be out of date when one is there.
    connected: Arc<AtomicBool>,
}

impl TcpTransport {
    /// Starts to dial every peer of `network`, in tasks that end with the transport.
    pub fn start(network: &Network, tasks: &mut JoinSet<()>) -> Self {
        let mut links = BTreeMap::new();
        for &to in network.peers.keys() {
            let (queue, waiting) = mpsc::channel(network.queue_messages_max);
            let connected = Arc::new(AtomicBool::new(false));
            let dialler = Dialler {
                network: network.clone(),
                to,
                waiting,
                connected: Arc::clone(&connected),
            };
            tasks.spawn(dialler.run());
            links.insert(to, Link { queue, connected });
        }
        Self {
            links,
            lost: Arc::default(),
        }
    }

    /// Counts the messages that were not sent.
    pub fn lost(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.lost)
    }
}

impl Transport for TcpTransport {
    fn send(&mut self, to: NodeId, message: Arc<Message>) {
        let sent = match self.links.get(&to) {
            Some(link) => {
                link.connected.load(Ordering::Acquire) && link.queue.try_send(message).is_ok()
            }
            None => false,
        };
        if !sent {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

type Wire = Framed<TcpStream, LengthDelimitedCodec>;

struct Dialler {
    network: Network,
    to: NodeId,
    waiting: mpsc::Receiver<Arc<Message>>,
    connected: Arc<AtomicBool>,
}

impl Dialler {
    async fn run(mut self) {
        let mut failures = 0;
        while !self.waiting.is_closed() {
            match self.connect().await {
                Ok(wire) => {
                    failures = 0;
                    tracing::info!(peer = %self.to, "connected");
                    self.connected.store(true, Ordering::Release);
                    let ended = self.serve(wire).await;
                    self.connected.store(false, Ordering::Release);
                    while self.waiting.try_recv().is_ok() {}
                    match ended {
                        Ok(()) => return,
                        Err(error) => tracing::info!(peer = %self.to, %error, "disconnected"),
                    }
                }
                // It is there, and will not have this node: one of the two configs is wrong.
                Err(error @ HelloError::Refused(_)) => {
                    tracing::warn!(peer = %self.to, %error, "cannot connect");
                }
                Err(error) => tracing::debug!(peer = %self.to, %error, "cannot connect"),
            }
            let pause = self.network.backoff.pause(failures);
            failures = failures.saturating_add(1);
            tokio::select! {
                () = sleep(pause) => {}
                // Nothing is queued without a connection, so this is the end of the transport.
                _ = self.waiting.recv() => {}
            }
        }
    }

    async fn connect(&self) -> Result<Wire, HelloError> {
        let peer = self.network.peers.get(&self.to);
        let address = &peer.ok_or(HelloError::UnknownNode(self.to))?.address;
        let within = self.network.hello_timeout;
        let stream = timeout(within, TcpStream::connect(address)).await;
        let stream = stream.map_err(|_| HelloError::Timeout)??;
        stream.set_nodelay(true)?;
        // Without it a peer that lost its power holds what is sent to it for minutes after it is
        // back: the system asks ever more rarely whether it is there.
        let unanswered = self.network.write_timeout.as_millis();
        let unanswered = u32::try_from(unanswered).unwrap_or(u32::MAX);
        set_tcp_user_timeout(&stream, unanswered).map_err(io::Error::from)?;
        let mut wire = Framed::new(stream, codec(&self.network));
        let introduced = timeout(within, introduce(&mut wire, &self.network, self.to)).await;
        introduced.map_err(|_| HelloError::Timeout)??;
        Ok(wire)
    }

    /// Sends until the connection breaks, or without an error until the transport is gone.
    async fn serve(&mut self, mut wire: Wire) -> io::Result<()> {
        loop {
            let message = tokio::select! {
                message = self.waiting.recv() => message,
                // The other end never speaks here, so whatever comes is the end.
                _ = wire.next() => return Err(io::ErrorKind::ConnectionReset.into()),
            };
            let Some(message) = message else {
                return Ok(());
            };
            let limit = self.network.write_timeout;
            write_waiting(&mut wire, &mut self.waiting, &message, limit).await?;
        }
    }
}

/// Writes a message and what waits behind it, then flushes once. Each has its own `limit`: a slow
/// connection is not one that is dead.
async fn write_waiting(
    wire: &mut Wire,
    waiting: &mut mpsc::Receiver<Arc<Message>>,
    first: &Message,
    limit: Duration,
) -> io::Result<()> {
    const IN_A_ROW_MAX: u32 = 64;
    within(limit, wire.feed(Bytes::from(wire::encode(first)))).await?;
    for _ in 0..IN_A_ROW_MAX {
        let Ok(message) = waiting.try_recv() else {
            break;
        };
        within(limit, wire.feed(Bytes::from(wire::encode(&message)))).await?;
    }
    within(limit, SinkExt::<Bytes>::flush(wire)).await
}

async fn within(limit: Duration, write: impl Future<Output = io::Result<()>>) -> io::Result<()> {
    let written = timeout(limit, write).await;
    written.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}
