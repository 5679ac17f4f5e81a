//! What a machine is to the engine.
//!
//! A machine is a value that is stepped with a time and one input and appends its effects. It
//! never waits, owns no clock, socket, file or entropy. The engine offers it three services:
//! messages, byte files and clocks. Whatever else it orders goes out as [`Effect::Output`], to
//! the host model and the checks of the scenario.

pub use crate::node::NodeIndex;

use crate::connection::Notice;
use crate::disk::{Disk, DiskError, FileOp};
use crate::time::{Instant, Now};
use core::fmt::Debug;
use std::sync::Arc;

/// Something that one node sends to another.
///
/// At most 64 bytes; payloads belong behind a shared pointer.
pub trait Message {
    /// How many lanes messages are spread over: connections between the same nodes that do not
    /// wait for each other.
    const LANES: u8 = 1;

    /// The lane that the message takes, below [`Self::LANES`].
    fn lane(&self) -> u8 {
        0
    }

    /// A hash of the whole content, independent of platform and process.
    fn fingerprint(&self) -> u64;

    /// A small number that message filters of a plan can name.
    fn kind(&self) -> u16 {
        0
    }

    /// Bytes on the wire, for links with a bandwidth.
    fn size(&self) -> u32 {
        0
    }

    /// What the receiver reads when nothing happened to the message on the way: with a codec, what
    /// decoding makes of what encoding made. Asked for in runs whose plan says `codec`.
    ///
    /// # Panics
    /// When it cannot be read: then no message of its kind ever arrives.
    #[must_use]
    fn decoded(self) -> Self
    where
        Self: Sized,
    {
        self
    }

    /// What the receiver reads when bytes of the message were damaged on the way, as `bits` say;
    /// `None` when it cannot be read, as with a checksum.
    fn corrupt(&self, bits: u64) -> Option<Self>
    where
        Self: Sized,
    {
        let _ = bits;
        None
    }
}

/// A deterministic state machine under test.
pub trait Machine: Sized {
    /// What a node is started with; the same at every boot.
    type Config;
    /// What nodes send to each other.
    type Message: Clone + Debug + Message;
    /// What a workload asks of a node.
    type Op: Clone + Debug;
    /// What a node orders or reports beyond messages and files.
    type Output: Debug;

    /// A machine from its configuration and from what its disk holds.
    fn boot(config: &Self::Config, boot: Boot<'_>, out: &mut Outbox<Self>) -> Self;

    /// Advances to `now`, handles `input` and appends the consequences to `out`.
    fn step(&mut self, now: Now, input: Input<Self>, out: &mut Outbox<Self>);

    /// When to step with [`Input::Wake`] if nothing else happens first, in the node's own clock.
    ///
    /// Asked after every step, so it has to be cheap.
    fn poll_timeout(&self) -> Option<Instant>;

    /// Hash of the whole state; asked for when the digest of a run is taken.
    fn state_hash(&self) -> u64;

    /// What the machine tells of its state to a person, in one line or several.
    ///
    /// What stands before the first comma of each line is its *role*, such as `leader` or
    /// `orders: leader`. Traces tell each change of it, and diagrams show it over time. Asked for
    /// after every step of a run that is traced, and of no other.
    fn describe(&self) -> Option<String> {
        None
    }

    /// What the node says of itself to `to` when a connection is made.
    fn hello(&self, to: NodeIndex) -> Arc<[u8]> {
        let _ = to;
        Arc::new([])
    }

    /// Judges what the node at the other end of a new connection says of itself.
    ///
    /// # Errors
    /// Why this node will not talk to it.
    fn judge(&self, peer: NodeIndex, hello: &[u8]) -> Result<(), Arc<str>> {
        let _ = (peer, hello);
        Ok(())
    }

    /// Whether a message that arrived can be read; one that cannot is dropped, as something that
    /// was damaged is, and breaks the connection that it came on.
    #[inline]
    fn can_read(&self, _message: &Self::Message) -> bool {
        true
    }

    /// Hash of an output, for the digest of the run.
    #[inline]
    fn output_fingerprint(_output: &Self::Output) -> u64 {
        0
    }

    /// Hash of an operation, for the digest of the run.
    #[inline]
    fn op_fingerprint(_op: &Self::Op) -> u64 {
        0
    }
}

/// What a machine finds when it boots.
#[derive(Copy, Clone, Debug)]
pub struct Boot<'a> {
    /// Who it is.
    pub node: NodeIndex,
    /// How many nodes the cluster has.
    pub nodes: u16,
    /// Entropy: a different number at every boot of every node.
    pub seed: u64,
    /// Boots of this store so far, from 1.
    pub run: u64,
    /// Which store this is, from 1; changes when the disk is wiped.
    pub store: u64,
    /// The files as the last crash left them.
    pub disk: &'a Disk,
    /// What the clocks show.
    pub now: Now,
}

/// What happens to a machine.
#[derive(Debug)]
pub enum Input<M: Machine> {
    /// The deadline of [`Machine::poll_timeout`] is reached, perhaps late.
    Wake,
    /// A message arrived.
    Message {
        /// Its sender.
        from: NodeIndex,
        /// Its content.
        message: M::Message,
    },
    /// Something happened to a connection; only in runs that have connections.
    Link(Notice),
    /// The workload asks for something.
    Op(M::Op),
    /// A batch of file operations ended.
    Disk {
        /// The number that the machine gave to the batch.
        token: u64,
        /// Whether all of it was performed.
        result: Result<(), DiskError>,
    },
}

impl<M: Machine> Clone for Input<M> {
    fn clone(&self) -> Self {
        match self {
            Self::Wake => Self::Wake,
            Self::Message { from, message } => Self::Message {
                from: *from,
                message: message.clone(),
            },
            Self::Link(notice) => Self::Link(notice.clone()),
            Self::Op(op) => Self::Op(op.clone()),
            Self::Disk { token, result } => Self::Disk {
                token: *token,
                result: *result,
            },
        }
    }
}

/// What a machine wants done, in the order of the outbox.
#[derive(Debug)]
pub enum Effect<M: Machine> {
    /// Send a message to one node.
    Send {
        /// The receiver.
        to: NodeIndex,
        /// The content.
        message: M::Message,
    },
    /// Send a message to every other node.
    Broadcast {
        /// The content.
        message: M::Message,
    },
    /// Perform file operations, in order and after all earlier batches; one
    /// [`Input::Disk`] answers the whole batch.
    Disk {
        /// Comes back with the answer.
        token: u64,
        /// The operations.
        ops: Vec<FileOp>,
    },
    /// Anything else; the hook of the run receives it.
    Output(M::Output),
    /// End the process, when the other effects of the step are performed. Its host goes on: what
    /// was written and not synced is there at the next boot, which is up to the plan.
    Exit,
}

impl<M: Machine> Clone for Effect<M>
where
    M::Output: Clone,
{
    fn clone(&self) -> Self {
        match self {
            Self::Send { to, message } => Self::Send {
                to: *to,
                message: message.clone(),
            },
            Self::Broadcast { message } => Self::Broadcast {
                message: message.clone(),
            },
            Self::Disk { token, ops } => Self::Disk {
                token: *token,
                ops: ops.clone(),
            },
            Self::Output(output) => Self::Output(output.clone()),
            Self::Exit => Self::Exit,
        }
    }
}

/// Collects the effects of one step.
#[derive(Debug)]
pub struct Outbox<M: Machine> {
    pub(crate) effects: Vec<Effect<M>>,
}

impl<M: Machine> Default for Outbox<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: Machine> Outbox<M> {
    /// An empty outbox.
    pub const fn new() -> Self {
        Self {
            effects: Vec::new(),
        }
    }

    /// Appends an effect.
    #[inline]
    pub fn push(&mut self, effect: Effect<M>) {
        self.effects.push(effect);
    }

    /// Sends `message` to `to`.
    #[inline]
    pub fn send(&mut self, to: NodeIndex, message: M::Message) {
        self.push(Effect::Send { to, message });
    }

    /// Sends `message` to every other node.
    #[inline]
    pub fn broadcast(&mut self, message: M::Message) {
        self.push(Effect::Broadcast { message });
    }

    /// Hands `ops` to the disk.
    #[inline]
    pub fn disk(&mut self, token: u64, ops: Vec<FileOp>) {
        self.push(Effect::Disk { token, ops });
    }

    /// Hands `output` to the hook of the run.
    #[inline]
    pub fn output(&mut self, output: M::Output) {
        self.push(Effect::Output(output));
    }

    /// Ends the process, when the other effects of the step are performed.
    pub fn exit(&mut self) {
        self.push(Effect::Exit);
    }

    /// Takes everything out; for tests that step a machine by hand.
    pub fn drain(&mut self) -> impl Iterator<Item = Effect<M>> {
        self.effects.drain(..)
    }

    /// What was appended so far.
    #[inline]
    pub fn effects(&self) -> &[Effect<M>] {
        &self.effects
    }
}
