//! The sending half: a connection for each lane to each peer, dialled again whenever it breaks.

use super::hello::{HelloError, introduce};
use super::window::Window;
use super::{Network, frames};
use crate::inbox::Sender;
use crate::ports::Transport;
use crate::tasks::Tasks;
use bytes::{Buf, BytesMut};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use meshos_core::id::{Incarnation, NodeId};
use meshos_core::message::{Lane, Message};
use meshos_core::wire;
use rustix::net::sockopt::{set_tcp_thin_linear_timeouts, set_tcp_user_timeout};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::time::{sleep, sleep_until, timeout};

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
    lanes: BTreeMap<(NodeId, Lane), Queue>,
    lost: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Queue {
    messages: mpsc::Sender<Arc<Message>>,
    /// Without a connection nothing is queued: it would be out of date when one is there.
    connected: Arc<AtomicBool>,
}

impl TcpTransport {
    /// Starts to dial every peer of `network`, and to tell `inbox` of the links, in `tasks`.
    pub fn start(network: &Network, inbox: &Sender, tasks: &mut Tasks) -> Self {
        let mut lanes = BTreeMap::new();
        for &to in network.addresses.keys() {
            let report = network.links.clone().report(to, inbox.clone());
            tasks.spawn("report of a link", report);
            for lane in [Lane::Control, Lane::Bulk] {
                let (messages, waiting) = mpsc::channel(network.queue_messages_max);
                let connected = Arc::new(AtomicBool::new(false));
                let dialler = Dialler {
                    network: network.clone(),
                    to,
                    lane,
                    waiting,
                    connected: Arc::clone(&connected),
                    lost_run: None,
                };
                tasks.spawn("connection to a peer", dialler.run());
                let queue = Queue {
                    messages,
                    connected,
                };
                lanes.insert((to, lane), queue);
            }
        }
        Self {
            lanes,
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
        let sent = match self.lanes.get(&(to, message.lane())) {
            Some(queue) => {
                queue.connected.load(Ordering::Acquire) && queue.messages.try_send(message).is_ok()
            }
            None => false,
        };
        if !sent {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

struct Dialler {
    network: Network,
    to: NodeId,
    lane: Lane,
    waiting: mpsc::Receiver<Arc<Message>>,
    connected: Arc<AtomicBool>,
    /// The run whose connection broke just now: if nobody listens there any more, it is gone.
    lost_run: Option<Incarnation>,
}

impl Dialler {
    async fn run(mut self) {
        let mut failures = 0;
        let mut unanswered = 0;
        while !self.waiting.is_closed() {
            if self.lane == Lane::Bulk && !self.until_control().await {
                return;
            }
            match self.connect(unanswered).await {
                Ok((stream, incarnation)) => {
                    let begun = Instant::now();
                    self.announce(true);
                    let ended = self.serve(stream).await;
                    self.announce(false);
                    while self.waiting.try_recv().is_ok() {}
                    let Err(error) = ended else { return };
                    tracing::debug!(peer = %self.to, lane = ?self.lane, %error, "disconnected");
                    self.lost_run = Some(incarnation);
                    if begun.elapsed() > self.network.hello_timeout {
                        unanswered = 0;
                    }
                    // One that is taken and closed again at once is no better than none.
                    if begun.elapsed() > self.network.backoff.last {
                        failures = 0;
                        continue;
                    }
                }
                Err(error) => {
                    let is_answered = !matches!(error, HelloError::Timeout);
                    unanswered = if is_answered {
                        0
                    } else {
                        unanswered.saturating_add(1)
                    };
                    self.complain(&error);
                }
            }
            self.rest(self.network.backoff.pause(failures)).await;
            failures = failures.saturating_add(1);
        }
    }

    fn announce(&self, is_connected: bool) {
        self.connected.store(is_connected, Ordering::Release);
        self.network.links.set(self.to, self.lane, is_connected);
    }

    fn complain(&mut self, error: &HelloError) {
        let is_refusal = error.refusal().is_some();
        let links = &self.network.links;
        links.fail(self.to, error.to_string(), is_refusal);
        tracing::debug!(peer = %self.to, lane = ?self.lane, %error, "cannot connect");
        match error {
            HelloError::Unreached(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                if let Some(incarnation) = self.lost_run.take() {
                    self.network.links.gone(self.to, incarnation);
                }
            }
            // Whether a host that does not answer lost its process or its cable is not known.
            HelloError::Timeout => self.lost_run = None,
            // A process that is dying may still have taken the connection.
            HelloError::Unreached(_)
            | HelloError::Io(_)
            | HelloError::Unreadable(_)
            | HelloError::Garbled
            | HelloError::OtherNode { .. }
            | HelloError::Refused(_)
            | HelloError::RefusedByPeer(_) => {}
        }
    }

    /// Waits before the next attempt, but not longer than a moment once the peer was heard.
    async fn rest(&mut self, pause: Duration) {
        let first = self.network.backoff.first.min(pause);
        let hurried = async {
            tokio::join!(self.network.links.hurried(self.to), sleep(first));
        };
        tokio::select! {
            () = sleep(pause) => {}
            () = hurried => {}
            // Nothing is queued without a connection, so this is the end of the transport.
            _ = self.waiting.recv() => {}
        }
    }

    /// Waits for the connection for control: who cannot have one needs no other, and a slow link
    /// carries half the attempts. False at the end of the transport.
    async fn until_control(&mut self) -> bool {
        tokio::select! {
            () = self.network.links.has_control(self.to) => true,
            _ = self.waiting.recv() => false,
        }
    }

    /// `unanswered` attempts before this one ended without an answer.
    async fn connect(&self, unanswered: u32) -> Result<(TcpStream, Incarnation), HelloError> {
        let network = &self.network;
        let (within, stagger) = network.patience(unanswered);
        let mut stream = match timeout(within, self.reach(stagger)).await {
            Ok(reached) => reached.map_err(HelloError::Unreached)?,
            Err(_) => return Err(HelloError::Timeout),
        };
        stream.set_nodelay(true)?;
        let introduced = introduce(&mut stream, &network.introduction, self.to, self.lane);
        let incarnation = match timeout(within, introduced).await {
            Ok(incarnation) => incarnation?,
            Err(_) => return Err(HelloError::Timeout),
        };
        let stalled = network.stall_timeout.as_millis();
        let stalled = u32::try_from(stalled).unwrap_or(u32::MAX);
        set_tcp_user_timeout(&stream, stalled).map_err(io::Error::from)?;
        // A link that was cut and healed is used again soon.
        set_tcp_thin_linear_timeouts(&stream, true).map_err(io::Error::from)?;
        Ok((stream, incarnation))
    }

    /// The first of several attempts that finds somebody.
    async fn reach(&self, stagger: Duration) -> io::Result<TcpStream> {
        let address = self.network.addresses.get(&self.to);
        let address = address.ok_or(io::ErrorKind::AddrNotAvailable)?;
        let mut attempts = FuturesUnordered::new();
        loop {
            attempts.push(TcpStream::connect(address));
            tokio::select! {
                Some(reached) = attempts.next() => return reached,
                () = sleep(stagger) => {}
                () = self.network.links.hurried(self.to) => {}
            }
        }
    }

    /// Sends until the connection breaks, or without an error until the transport is gone.
    async fn serve(&mut self, mut stream: TcpStream) -> io::Result<()> {
        let (mut counts, mut sink) = stream.split();
        let mut sending = Sending {
            window: Window::new(Instant::now()),
            buffer: BytesMut::new(),
            count: Count::default(),
            stall_timeout: self.network.stall_timeout,
        };
        loop {
            while sending.buffer.len() < BUFFER_MIN
                && let Ok(message) = self.waiting.try_recv()
            {
                frames::put(&mut sending.buffer, &wire::encode(&message));
            }
            let is_empty = sending.buffer.is_empty();
            tokio::select! {
                moved = sending.turn(&mut counts, &mut sink) => moved?,
                message = self.waiting.recv(), if is_empty => match message {
                    Some(message) => frames::put(&mut sending.buffer, &wire::encode(&message)),
                    None => return Ok(()),
                },
            }
        }
    }
}

/// Messages are encoded while less than this waits to be written.
const BUFFER_MIN: usize = 64 << 10;

/// One connection that bytes are sent on.
struct Sending {
    window: Window,
    buffer: BytesMut,
    count: Count,
    stall_timeout: Duration,
}

impl Sending {
    /// Waits until something moves: bytes leave, or the other end says that it took some.
    async fn turn(
        &mut self,
        counts: &mut ReadHalf<'_>,
        sink: &mut WriteHalf<'_>,
    ) -> io::Result<()> {
        let room = usize::try_from(self.window.room()).unwrap_or(usize::MAX);
        let may_send = room.min(self.buffer.len());
        let stalled = self.window.stalled_since();
        let given_up = stalled.map(|since| since + self.stall_timeout);
        tokio::select! {
            readable = counts.readable() => {
                readable?;
                self.hear(counts)
            }
            writable = sink.writable(), if may_send > 0 => {
                writable?;
                match sink.try_write(&self.buffer[..may_send]) {
                    Ok(written) => {
                        self.buffer.advance(written);
                        self.window.on_sent(Instant::now(), written as u64);
                        Ok(())
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
                    Err(error) => Err(error),
                }
            }
            () = sleep_until(given_up.unwrap_or_else(Instant::now).into()), if given_up.is_some() => {
                Err(io::ErrorKind::TimedOut.into())
            }
        }
    }

    fn hear(&mut self, counts: &mut ReadHalf<'_>) -> io::Result<()> {
        let mut bytes = [0; 512];
        match counts.try_read(&mut bytes) {
            Ok(0) => Err(io::ErrorKind::ConnectionReset.into()),
            Ok(read) => {
                for &byte in &bytes[..read] {
                    if let Some(taken) = self.count.push(byte)
                        && !self.window.on_taken(Instant::now(), taken)
                    {
                        return Err(io::ErrorKind::InvalidData.into());
                    }
                }
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// A count of eight bytes, big endian, that comes in pieces.
#[derive(Debug, Default)]
struct Count {
    bytes: [u8; 8],
    length: usize,
}

impl Count {
    fn push(&mut self, byte: u8) -> Option<u64> {
        self.bytes[self.length] = byte;
        self.length += 1;
        if self.length < self.bytes.len() {
            return None;
        }
        self.length = 0;
        Some(u64::from_be_bytes(self.bytes))
    }
}
