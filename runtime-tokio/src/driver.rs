//! Feeds one node and performs what it orders; the whole adapter between core and world.
//!
//! The driver waits for the next input or the node's own deadline, records it, steps, and
//! performs every action in order before it steps again. It answers each `OpId` exactly once,
//! through the store's completion. It takes no decision about the cluster, knows no message and
//! no chain, and needs nothing but futures: the ports may be tokio's or a script's.

use crate::inbox::{Receiver, Taken};
use crate::machine::Machine;
use crate::ports::{Clock, Journal, Requests, Store, Transport, Work};
use futures::future::{Either, select};
use meshos_core::action::{Action, Actions};
use meshos_core::event::{Event, Input};
use meshos_core::id::OpId;
use meshos_core::time::Instant;
use std::collections::BTreeSet;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

/// Steps without a pause after which the driver lets other tasks of its thread run.
const STEPS_IN_A_ROW_MAX: u32 = 64;

/// One node with its ports.
#[derive(Debug)]
pub struct Driver<N, C, T, S, D, J> {
    node: N,
    inbox: Receiver,
    clock: C,
    transport: T,
    store: S,
    requests: D,
    journal: J,
    actions: Actions,
    in_flight: BTreeSet<OpId>,
    now: Instant,
    steps: u64,
}

impl<N, C, T, S, D, J> Driver<N, C, T, S, D, J>
where
    N: Machine,
    C: Clock,
    T: Transport,
    S: Store,
    D: Requests<N>,
    J: Journal<N>,
{
    /// A driver of a node that was created at `now`.
    #[allow(clippy::too_many_arguments)]
    pub fn new(
        node: N,
        now: Instant,
        inbox: Receiver,
        clock: C,
        transport: T,
        store: S,
        requests: D,
        journal: J,
    ) -> Self {
        Self {
            node,
            inbox,
            clock,
            transport,
            store,
            requests,
            journal,
            actions: Actions::new(),
            in_flight: BTreeSet::new(),
            now,
            steps: 0,
        }
    }

    /// Runs until the inbox is closed and everything that was ordered is done; returns the node.
    ///
    /// # Panics
    /// If the store answers an operation twice, or one that was never ordered.
    pub async fn run(mut self) -> N {
        // The first step speaks: a node that was just created has emitted nothing yet.
        self.feed(Input::Wake);
        while let Some(input) = self.wait().await {
            self.feed(input);
            if self.steps.is_multiple_of(u64::from(STEPS_IN_A_ROW_MAX)) {
                pause().await;
            }
        }
        self.journal.finish(&self.node);
        self.node
    }

    /// The next input; `None` when the inbox is closed and nothing is in flight.
    async fn wait(&mut self) -> Option<Input> {
        loop {
            let deadline = self.node.poll_timeout();
            let idle = self.in_flight.is_empty();
            let (inbox, requests, node) = (&mut self.inbox, &mut self.requests, &self.node);
            let taken = poll_fn(|cx| {
                loop {
                    return match inbox.poll_next(cx) {
                        Poll::Ready(Taken::Input(input)) => Poll::Ready(Some(input)),
                        Poll::Ready(Taken::Look) => {
                            requests.show(node);
                            continue;
                        }
                        Poll::Ready(Taken::Closed) if idle => Poll::Ready(None),
                        Poll::Ready(Taken::Closed) | Poll::Pending => Poll::Pending,
                    };
                }
            });
            let Some(deadline) = deadline else {
                return taken.await;
            };
            // An input that waits is fed rather than a `Wake`: its step fires what is due too.
            let sleep = pin!(self.clock.sleep_until(deadline));
            match select(pin!(taken), sleep).await {
                Either::Left((input, _)) => return input,
                Either::Right(((), _)) => {
                    if self.clock.now() >= deadline {
                        return Some(Input::Wake);
                    }
                }
            }
        }
    }

    fn feed(&mut self, input: Input) {
        if let Input::Done { op, .. } = &input {
            assert!(
                self.in_flight.remove(op),
                "the store answers each operation exactly once: {op:?}"
            );
        }
        self.now = self.now.max(self.clock.now());
        let event = Event {
            wall: self.clock.wall(),
            input,
        };
        assert!(self.actions.is_empty(), "actions are drained before a step");
        self.journal.event(&self.node, self.now, &event);
        self.node.step(self.now, event, &mut self.actions);
        self.steps += 1;
        self.journal.stepped(&self.node, self.actions.as_slice());
        for action in self.actions.drain() {
            match action {
                Action::Send { to, message } => self.transport.send(to, message),
                Action::Store {
                    op,
                    chain,
                    generation,
                    commit,
                    checkpoint_bytes,
                    order,
                } => {
                    let is_new = self.in_flight.insert(op);
                    assert!(is_new, "each operation is ordered once: {op:?}");
                    self.store.submit(Work {
                        op,
                        chain,
                        generation,
                        commit,
                        checkpoint_bytes,
                        order,
                    });
                }
                Action::Reply { ticket, answer } => self.requests.reply(ticket, answer),
                Action::Note { chain, note } => self.requests.note(chain, note),
            }
        }
    }
}

/// Lets other tasks of this thread run once.
async fn pause() {
    let mut paused = false;
    poll_fn(|cx| {
        if paused {
            return Poll::Ready(());
        }
        paused = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
#[path = "driver_tests.rs"]
mod tests;
