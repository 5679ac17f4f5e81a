//! TCP between the nodes of a cluster.
//!
//! Each node dials every other one twice, for control and then for bulk, and sends on the connections
//! that it opened; it receives on those that its peers opened. Messages may be lost: what cannot be
//! sent at once is dropped and counted, and the core repeats what matters. A connection starts with
//! a [`hello`] in which both ends say who they are and judge each other; nothing is encrypted or
//! authenticated. After it the receiving end counts back the bytes that it took, so that the
//! sending end knows what is still under way ([`window`]).

mod accept;
mod dial;
mod frames;
mod hello;
mod introduction;
mod links;
mod window;

pub use accept::{Acceptor, listen};
pub use dial::{Backoff, TcpTransport};
pub use hello::HelloError;
pub use introduction::Introduction;
pub use links::{LinkStatus, Links};

use meshos_core::id::NodeId;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What this node knows of its peers, and how it talks to them.
#[derive(Clone, Debug)]
pub struct Network {
    /// Who this node is, and what it knows of the stores of others.
    pub introduction: Arc<Introduction>,
    /// Where every other node listens, as `host:port`.
    pub addresses: Arc<BTreeMap<NodeId, String>>,
    /// What is known of the links to them.
    pub links: Links,
    /// Largest encoded message.
    pub message_bytes_max: u32,
    /// Most messages that wait for one connection; more are lost.
    pub queue_messages_max: usize,
    /// Pause before a new attempt to connect.
    pub backoff: Backoff,
    /// Time after which an attempt to connect is helped by another one beside it: the system
    /// repeats its own ever more rarely, which would make a healed link wait.
    pub dial_stagger: Duration,
    /// Longest time for connecting and for the hello, each, of the first attempt.
    pub hello_timeout: Duration,
    /// Longest time in which nothing of what is under way may arrive before a connection is given
    /// up. One that is slow is not one that is dead.
    pub stall_timeout: Duration,
}

/// After so many attempts without an answer the next one is as patient as they get.
const UNANSWERED_MAX: u32 = 2;

impl Network {
    /// How long an attempt waits for connecting and for the hello, each, and after what time it is
    /// helped by another one, when those before it had no answer.
    ///
    /// Where all attempts with their answers are more than a slow link carries, its queue makes each
    /// answer come too late, and nobody would ever be reached. So the later ones wait for longer,
    /// and fewer of them are under way: ten at a time at first, three in the end.
    fn patience(&self, unanswered: u32) -> (Duration, Duration) {
        let level = unanswered.min(UNANSWERED_MAX);
        (
            self.hello_timeout * 2_u32.pow(level),
            self.dial_stagger * 4_u32.pow(level),
        )
    }
}
