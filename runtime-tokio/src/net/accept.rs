//! The receiving half: takes connections from peers and feeds what they send to the inbox.

use super::hello::{Caller, HelloError, receive};
use super::{Network, frames};
use crate::inbox::Sender;
use crate::rarely::Rarely;
use bytes::BytesMut;
use meshos_core::id::NodeId;
use meshos_core::message::Lane;
use meshos_core::wire;
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Most connections that have not said yet who they are. One more, and the oldest is given up of
/// the host that most of them come from: a peer says its hello at once, and whoever keeps silent
/// must not keep it out.
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
        let mut strangers = Strangers::default();
        let (failed, refused) = (Rarely::default(), Arc::<Rarely>::default());
        let mut readers: JoinSet<()> = JoinSet::new();
        // Dropping the sender ends the reader: a peer that comes anew replaces its old
        // connection, which may be dead without anybody having noticed.
        let mut known: BTreeMap<(NodeId, Lane), oneshot::Sender<()>> = BTreeMap::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => {
                    match accepted {
                        Ok((stream, from)) => {
                            let refused = Arc::clone(&refused);
                            let greeting = greet(stream, self.network.clone(), refused);
                            strangers.greet(from.ip(), greeting);
                        }
                        Err(error) => {
                            if let Some(unsaid) = failed.may() {
                                tracing::warn!(%error, unsaid, "cannot accept a connection");
                            }
                            sleep(Duration::from_millis(100)).await;
                        }
                    }
                }
                Some(greeted) = strangers.next(), if !strangers.is_empty() => {
                    if let Some(arrived) = greeted {
                        let (keep, replaced) = oneshot::channel();
                        let Caller { node, lane } = arrived.caller;
                        known.insert((node, lane), keep);
                        self.network.links.heard(node);
                        let network = self.network.clone();
                        readers.spawn(read(arrived, network, self.inbox.clone(), replaced));
                    }
                }
                Some(read) = readers.join_next(), if !readers.is_empty() => {
                    finished(read);
                }
            }
        }
    }
}

/// Connections that have not said yet who they are.
#[derive(Default)]
struct Strangers {
    greetings: JoinSet<(u64, Option<Arrived>)>,
    /// Where each comes from and how to end it, the oldest first.
    waiting: BTreeMap<u64, (IpAddr, AbortHandle)>,
    last: u64,
}

impl Strangers {
    fn greet<F>(&mut self, from: IpAddr, greeting: F)
    where
        F: Future<Output = Option<Arrived>> + Send + 'static,
    {
        if self.waiting.len() >= STRANGERS_MAX
            && let Some((_, given_up)) = self.oldest().and_then(|at| self.waiting.remove(&at))
        {
            given_up.abort();
        }
        self.last += 1;
        let number = self.last;
        let greeting = async move { (number, greeting.await) };
        let handle = self.greetings.spawn(greeting);
        self.waiting.insert(number, (from, handle));
    }

    /// The oldest of the host that most come from.
    fn oldest(&self) -> Option<u64> {
        let mut counts: BTreeMap<IpAddr, usize> = BTreeMap::new();
        for (from, _) in self.waiting.values() {
            *counts.entry(*from).or_default() += 1;
        }
        let most = counts.values().max()?;
        let mut waiting = self.waiting.iter();
        let found = waiting.find(|(_, (from, _))| counts.get(from) == Some(most));
        found.map(|(number, _)| *number)
    }

    fn is_empty(&self) -> bool {
        self.greetings.is_empty()
    }

    /// The next one that was greeted; `None` inside when nobody came of it.
    async fn next(&mut self) -> Option<Option<Arrived>> {
        let greeted = finished(self.greetings.join_next().await?);
        Some(greeted.and_then(|(number, arrived)| {
            self.waiting.remove(&number);
            arrived
        }))
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

async fn greet(mut stream: TcpStream, network: Network, refused: Arc<Rarely>) -> Option<Arrived> {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "connection broke before a hello");
        return None;
    }
    let received = receive(&mut stream, &network.introduction);
    // As long as the most patient caller would wait for the answer.
    let (within, _) = network.patience(u32::MAX);
    let (node, error) = match timeout(within, received).await {
        Ok(Ok(caller)) => return Some(Arrived { caller, stream }),
        Ok(Err(failed)) => failed,
        Err(_) => (None, HelloError::Timeout),
    };
    match (node, error.refusal()) {
        (Some(node), Some(reason)) if network.addresses.contains_key(&node) => {
            network.links.turn_away(node, reason);
        }
        // Whoever is no peer may call as often as it likes.
        (_, Some(reason)) => {
            if let Some(unsaid) = refused.may() {
                tracing::warn!(unsaid, "{reason}");
            }
        }
        // Of two attempts that help each other one is dropped without a word.
        (_, None) => tracing::debug!(%error, "connection without a hello"),
    }
    None
}

async fn read(arrived: Arrived, network: Network, inbox: Sender, replaced: oneshot::Receiver<()>) {
    let Arrived { caller, stream } = arrived;
    let from = caller.node;
    tokio::select! {
        ended = take(stream, from, network.message_bytes_max, inbox) => {
            if let Err(error) = ended {
                tracing::info!(peer = %from, lane = ?caller.lane, %error, "connection from peer broke");
            }
        }
        _ = replaced => {}
    }
    network.links.left(from);
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
