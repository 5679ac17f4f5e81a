//! Everything that waits to be fed to the node, in bounded lanes.
//!
//! Completions, commands and peer messages take turns, so none of them waits behind a burst of
//! another; observations and logs get one turn in [`OBSERVATION_TURN`] while anything else waits
//! (D63). Each lane has its own limit and its own way to be full: completions are bounded by the
//! operations in flight, a command is refused, a peer waits, and observations lose the oldest
//! one and count it.

use futures::task::AtomicWaker;
use meshos_core::chain::order::StoreError;
use meshos_core::event::Input;
use meshos_core::id::{NodeId, OpId};
use meshos_core::message::Message;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

/// While other lanes have work, an observation is taken after this many other inputs.
pub const OBSERVATION_TURN: u32 = 32;

/// How much each lane holds.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Most completions waiting; more of them means that the store answers what nobody ordered.
    pub completions_max: usize,
    /// Most client requests and other commands waiting.
    pub commands_max: usize,
    /// Most peer messages waiting.
    pub peer_messages_max: usize,
    /// Most bytes of peer messages waiting; a single larger one passes when the lane is empty.
    pub peer_bytes_max: usize,
    /// Most observations and logs waiting.
    pub observations_max: usize,
}

impl Default for Capacity {
    fn default() -> Self {
        Self {
            completions_max: 65_536,
            commands_max: 4_096,
            peer_messages_max: 4_096,
            peer_bytes_max: 64 << 20,
            observations_max: 1_024,
        }
    }
}

/// Why an input was not taken.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The lane is full.
    #[error("too many requests are waiting")]
    Full,
    /// The node is stopping.
    #[error("the node is stopping")]
    Closed,
}

/// The end that feeds; every source holds a clone.
#[derive(Clone, Debug)]
pub struct Sender {
    shared: Arc<Shared>,
}

/// The end that the driver takes from.
#[derive(Debug)]
pub struct Receiver {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    lanes: Mutex<Lanes>,
    driver: AtomicWaker,
}

#[derive(Debug)]
struct Lanes {
    limits: Capacity,
    completions: VecDeque<Input>,
    commands: VecDeque<Input>,
    peers: VecDeque<(Input, usize)>,
    peer_bytes: usize,
    peers_waiting: Vec<Waker>,
    observations: VecDeque<Input>,
    observations_lost: u64,
    /// Whether somebody wants to look at the node.
    look: bool,
    /// Which of the first three lanes is asked first next time.
    turn: u8,
    since_observation: u32,
    closed: bool,
}

/// An empty inbox.
pub fn inbox(limits: Capacity) -> (Sender, Receiver) {
    let shared = Arc::new(Shared {
        lanes: Mutex::new(Lanes {
            limits,
            completions: VecDeque::new(),
            commands: VecDeque::new(),
            peers: VecDeque::new(),
            peer_bytes: 0,
            peers_waiting: Vec::new(),
            observations: VecDeque::new(),
            observations_lost: 0,
            look: false,
            turn: 0,
            since_observation: 0,
            closed: false,
        }),
        driver: AtomicWaker::new(),
    });
    let sender = Sender {
        shared: Arc::clone(&shared),
    };
    (sender, Receiver { shared })
}

impl Sender {
    /// Reports that the store finished `op`.
    ///
    /// # Panics
    /// If more completions wait than operations can be in flight.
    pub fn complete(&self, op: OpId, result: Result<(), StoreError>) {
        let mut lanes = self.shared.lock();
        assert!(
            lanes.completions.len() < lanes.limits.completions_max,
            "the store answers more operations than were ordered"
        );
        lanes.completions.push_back(Input::Done { op, result });
        drop(lanes);
        self.shared.driver.wake();
    }

    /// Queues a command, or refuses it at once.
    pub fn command(&self, input: Input) -> Result<(), Refused> {
        let mut lanes = self.shared.lock();
        if lanes.closed {
            return Err(Refused::Closed);
        }
        if lanes.commands.len() >= lanes.limits.commands_max {
            return Err(Refused::Full);
        }
        lanes.commands.push_back(input);
        drop(lanes);
        self.shared.driver.wake();
        Ok(())
    }

    /// Queues a peer's message of `size` bytes as soon as there is room, so that a peer which
    /// sends faster than the node steps is slowed down by its own connection.
    pub async fn peer(
        &self,
        from: NodeId,
        message: Arc<Message>,
        size: usize,
    ) -> Result<(), Refused> {
        let mut input = Some(Input::Peer { from, message });
        poll_fn(|cx| self.poll_peer(&mut input, size, cx)).await
    }

    fn poll_peer(
        &self,
        input: &mut Option<Input>,
        size: usize,
        cx: &Context<'_>,
    ) -> Poll<Result<(), Refused>> {
        let mut lanes = self.shared.lock();
        if lanes.closed {
            return Poll::Ready(Err(Refused::Closed));
        }
        if !lanes.may_take_peer(size) {
            lanes.peers_waiting.push(cx.waker().clone());
            return Poll::Pending;
        }
        let input = input.take().expect("a finished future is not polled again");
        lanes.peers.push_back((input, size));
        lanes.peer_bytes += size;
        drop(lanes);
        self.shared.driver.wake();
        Poll::Ready(Ok(()))
    }

    /// Queues an observation; when the lane is full the oldest one is lost and counted, and its
    /// source has to send its state anew.
    pub fn observe(&self, input: Input) {
        let mut lanes = self.shared.lock();
        if lanes.closed || lanes.limits.observations_max == 0 {
            lanes.observations_lost += 1;
            return;
        }
        if lanes.observations.len() >= lanes.limits.observations_max {
            lanes.observations.pop_front();
            lanes.observations_lost += 1;
        }
        lanes.observations.push_back(input);
        drop(lanes);
        self.shared.driver.wake();
    }

    /// Asks the driver to show the node as it is between two steps; several such wishes that
    /// wait together are one.
    pub fn look(&self) {
        self.shared.lock().look = true;
        self.shared.driver.wake();
    }

    /// How many observations were lost so far.
    pub fn observations_lost(&self) -> u64 {
        self.shared.lock().observations_lost
    }

    /// Takes nothing more but completions; the driver ends when everything ordered is done.
    pub fn close(&self) {
        let mut lanes = self.shared.lock();
        lanes.closed = true;
        lanes.commands.clear();
        lanes.peers.clear();
        lanes.peer_bytes = 0;
        lanes.observations.clear();
        let waiting = std::mem::take(&mut lanes.peers_waiting);
        drop(lanes);
        for waker in waiting {
            waker.wake();
        }
        self.shared.driver.wake();
    }
}

/// What the driver finds in the inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The next input.
    Input(Input),
    /// Somebody wants to look at the node; it is no input and changes nothing.
    Look,
    /// Nothing waits, and nothing but completions will come.
    Closed,
}

impl Receiver {
    /// The next input, when there is one.
    pub fn poll_next(&mut self, cx: &Context<'_>) -> Poll<Taken> {
        self.shared.driver.register(cx.waker());
        let mut lanes = self.shared.lock();
        if std::mem::take(&mut lanes.look) {
            return Poll::Ready(Taken::Look);
        }
        match lanes.take() {
            Some(input) => {
                let waiting = std::mem::take(&mut lanes.peers_waiting);
                drop(lanes);
                for waker in waiting {
                    waker.wake();
                }
                Poll::Ready(Taken::Input(input))
            }
            None if lanes.closed => Poll::Ready(Taken::Closed),
            None => Poll::Pending,
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().expect("no holder of the lanes panics")
    }
}

impl Lanes {
    fn may_take_peer(&self, size: usize) -> bool {
        self.peers.is_empty()
            || (self.peers.len() < self.limits.peer_messages_max
                && self.peer_bytes.saturating_add(size) <= self.limits.peer_bytes_max)
    }

    fn take(&mut self) -> Option<Input> {
        if self.since_observation >= OBSERVATION_TURN
            && let Some(input) = self.observations.pop_front()
        {
            self.since_observation = 0;
            return Some(input);
        }
        for _ in 0..3 {
            let lane = self.turn;
            self.turn = (self.turn + 1) % 3;
            let input = match lane {
                0 => self.completions.pop_front(),
                1 => self.commands.pop_front(),
                _ => self.take_peer(),
            };
            if let Some(input) = input {
                self.since_observation = self.since_observation.saturating_add(1);
                return Some(input);
            }
        }
        self.since_observation = 0;
        self.observations.pop_front()
    }

    fn take_peer(&mut self) -> Option<Input> {
        let (input, size) = self.peers.pop_front()?;
        self.peer_bytes -= size;
        Some(input)
    }
}

#[cfg(test)]
#[path = "inbox_tests.rs"]
mod tests;
