//! What a step lends to the machine of one chain.

use crate::action::{Action, Actions, Note};
use crate::bandwidth::Bucket;
use crate::chain::order::Order;
use crate::client::Answer;
use crate::config::Config;
use crate::count::{Count, Counters};
use crate::deadline::{ChainIndex, Deadlines};
use crate::id::{Attempt, AttemptNumber, ChainId, Gen, NodeId, OpId, OpNumber, Run, Seq, Ticket};
use crate::liveness::Liveness;
use crate::message::{Body, Message};
use crate::rng::Rng;
use crate::time::{Instant, Wall};
use crate::turns::Turns;
use crate::window::Windows;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

/// Clock, config, randomness, timers and output, for the length of one call.
pub(crate) struct StepContext<'a> {
    pub(crate) now: Instant,
    pub(crate) wall: Wall,
    pub(crate) me: Run,
    pub(crate) config: &'a Config,
    pub(crate) rng: &'a mut Rng,
    pub(crate) deadlines: &'a mut Deadlines,
    pub(crate) liveness: &'a mut Liveness,
    pub(crate) counters: &'a mut Counters,
    pub(crate) bucket: &'a mut Bucket,
    pub(crate) turns: &'a mut Turns,
    pub(crate) windows: &'a mut Windows,
    pub(crate) operations: &'a mut OpNumber,
    pub(crate) attempts: &'a mut AttemptNumber,
    pub(crate) under_way: &'a mut BTreeMap<OpNumber, ChainIndex>,
    /// Chains whose row changed since the last heartbeat.
    pub(crate) stale: &'a mut Vec<ChainIndex>,
    /// How many chains seek leadership here.
    pub(crate) candidates: &'a mut u32,
    /// Whether this node is about to stop and seeks no leadership.
    pub(crate) leaving: bool,
    pub(crate) out: &'a mut Actions,
}

impl StepContext<'_> {
    pub(crate) fn count(&mut self, count: Count) {
        self.counters.add(count);
    }

    pub(crate) fn send(&mut self, to: NodeId, body: Body) {
        let store = self
            .config
            .store_of(to)
            .expect("members are founding nodes");
        let message = Message {
            cluster: self.config.cluster(),
            from: self.me,
            to: store,
            body,
        };
        self.out.push(Action::Send {
            to,
            message: Arc::new(message),
        });
    }

    pub(crate) fn reply(&mut self, ticket: Ticket, answer: Answer) {
        self.out.push(Action::Reply { ticket, answer });
    }

    pub(crate) fn note(&mut self, chain: ChainId, note: Note) {
        self.out.push(Action::Note { chain, note });
    }

    pub(crate) fn store(
        &mut self,
        index: ChainIndex,
        chain: ChainId,
        generation: Gen,
        (order, commit, checkpoint_bytes): (Order, Seq, u64),
    ) -> OpNumber {
        let number = self.operations.advance();
        self.under_way.insert(number, index);
        let op = OpId {
            incarnation: self.me.incarnation,
            number,
        };
        self.out.push(Action::Store {
            op,
            chain,
            generation,
            commit,
            checkpoint_bytes,
            order,
        });
        number
    }

    pub(crate) fn attempt(&mut self) -> Attempt {
        Attempt {
            incarnation: self.me.incarnation,
            number: self.attempts.advance(),
        }
    }

    /// Whether one more chain may seek leadership now. Each one makes a majority write its vote,
    /// and with too many at once no round of votes ends in time on any disk.
    pub(crate) fn admits_candidate(&self) -> bool {
        *self.candidates < CANDIDATES_MAX
    }

    /// A pause before the next look whether one more chain may seek leadership.
    pub(crate) fn candidate_pause(&mut self) -> Duration {
        let heartbeat = self.config.heartbeat();
        self.rng.span(heartbeat / 8, heartbeat / 4)
    }

    /// Takes the word that `node` misses something of what answers `attempt`, once that should have
    /// come by now and is to be sent again. Otherwise when to look again, if at all: what may still
    /// be on its way is not sent twice, and the member need not ask once more.
    pub(crate) fn take_missing(
        &mut self,
        node: NodeId,
        attempt: Attempt,
        is_missing: &mut bool,
    ) -> Result<(), Option<Instant>> {
        if !*is_missing {
            return Err(None);
        }
        let due = self.windows.overdue_at(node, attempt);
        if due.is_some_and(|at| at > self.now) {
            return Err(due);
        }
        *is_missing = false;
        Ok(())
    }

    /// One delay before an election: 4 to 7 heartbeats. Longer ones would leave too little of
    /// the four seconds in which a chain is to go on without its leader.
    pub(crate) fn election_delay(&mut self) -> Duration {
        let heartbeat = self.config.heartbeat();
        self.rng.span(heartbeat * 4, heartbeat * 7)
    }
}

/// So many chains of one node may seek leadership at the same time.
const CANDIDATES_MAX: u32 = 16;
