//! What the driver needs from the world, one trait per need.
//!
//! Every port but the clock takes an order and returns at once; what comes back arrives through
//! the [`inbox`](crate::inbox). No port decides anything about the cluster.

use crate::machine::Machine;
use meshos_core::action::{Action, Note};
use meshos_core::chain::order::Order;
use meshos_core::client::Answer;
use meshos_core::event::Event;
use meshos_core::id::{ChainId, Gen, NodeId, OpId, Seq, Ticket};
use meshos_core::message::Message;
use meshos_core::time::{Instant, Wall};
use std::sync::Arc;

/// The time.
pub trait Clock {
    /// The monotonic clock of this machine, counting suspended time (D2).
    fn now(&self) -> Instant;

    /// The wall clock.
    fn wall(&self) -> Wall;

    /// Waits until `at`, or less long: the driver looks at the clock again.
    fn sleep_until(&self, at: Instant) -> impl Future<Output = ()> + Send;
}

/// The way to the peers.
pub trait Transport {
    /// Sends a message or loses it; never waits.
    fn send(&mut self, to: NodeId, message: Arc<Message>);
}

/// One ordered operation on one chain's store.
#[derive(Clone, Debug)]
pub struct Work {
    /// Names the operation in its completion.
    pub op: OpId,
    /// The chain.
    pub chain: ChainId,
    /// Which creation of it.
    pub generation: Gen,
    /// What the store takes down as committed with it.
    pub commit: Seq,
    /// Room for how large a checkpoint the store takes with it.
    pub checkpoint_bytes: u64,
    /// The operation.
    pub order: Order,
}

/// The disk.
pub trait Store {
    /// Queues an operation behind all earlier ones of its chain; its one completion arrives in the inbox.
    fn submit(&mut self, work: Work);
}

/// Whoever asked, and whoever watches.
pub trait Requests<N> {
    /// Answers a client request; an answer that nobody waits for is dropped.
    fn reply(&mut self, ticket: Ticket, answer: Answer);

    /// Shows what happened.
    fn note(&mut self, chain: ChainId, note: Note);

    /// Shows the node to whoever wanted to look at it.
    fn show(&mut self, node: &N);
}

/// What keeps the run for replay (D65).
pub trait Journal<N: Machine> {
    /// Takes down an event before it is fed, so that one which stops the node is on record too.
    fn event(&mut self, node: &N, now: Instant, event: &Event);

    /// Takes down what the event led to.
    fn stepped(&mut self, node: &N, actions: &[Action]);

    /// Ends the recording of a run that stopped in order.
    fn finish(&mut self, node: &N);
}

/// Keeps nothing.
#[derive(Copy, Clone, Debug, Default)]
pub struct NoJournal;

impl<N: Machine> Journal<N> for NoJournal {
    fn event(&mut self, _: &N, _: Instant, _: &Event) {}

    fn stepped(&mut self, _: &N, _: &[Action]) {}

    fn finish(&mut self, _: &N) {}
}
