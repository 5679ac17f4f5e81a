//! Requests of clients of this node that another one has to answer: forwarded to the leader, and
//! ended or asked again when that leader cannot answer any more.
//!
//! A request is meant for one leadership. When its epoch is over here, or nothing reaches its
//! leader, waiting for the answer is of no use: whoever wants to append asks again under the same
//! number, and a read, which changes nothing, is asked again from here.

use super::append::Origin;
use super::lead::Judged;
use super::read::{Range, Read};
use super::{Chain, StepContext};
use crate::client::{Answer, Ask, Consistency, Reason};
use crate::count::Count;
use crate::deadline::Timer;
use crate::id::{Attempt, AttemptNumber, NodeId, Seq, Ticket};
use crate::message::{Body, Forward, ForwardAsk, Forwarded};
use crate::time::Instant;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Requests of clients here that another node has to answer first.
#[derive(Clone, Debug, Default, Hash, Serialize, Deserialize)]
pub(super) struct Forwards {
    tries: BTreeMap<AttemptNumber, Try>,
    /// Reads that wait for a leader to ask.
    parked: Vec<Parked>,
    /// Reads that know how far they have to reach, but are not there yet.
    reads: Vec<Reach>,
    /// The last leadership of this run: its epoch, and what it judged.
    pub(super) former: Option<(u64, BTreeMap<NodeId, Judged>)>,
}

impl Forwards {
    /// Keeps what an ended leadership judged: a copy of a try may still come.
    pub(super) fn end_leadership(&mut self, n: u64, judged: BTreeMap<NodeId, Judged>) {
        self.former = Some((n, judged));
    }

    fn is_full(&self, requests_max: u32) -> bool {
        self.tries.len() + self.parked.len() + self.reads.len() >= requests_max as usize
    }

    /// The earliest deadline.
    fn due(&self) -> Option<Instant> {
        let tries = self.tries.values().map(|request| request.deadline);
        let parked = self.parked.iter().map(|parked| parked.deadline);
        let reads = self.reads.iter().map(|reach| reach.deadline);
        tries.chain(parked).chain(reads).min()
    }

    /// Takes what is due by `now`.
    fn take_late(&mut self, now: Instant) -> Vec<Ticket> {
        let mut late = Vec::new();
        let mut keeps = |ticket: Ticket, deadline: Instant| {
            if deadline <= now {
                late.push(ticket);
            }
            deadline > now
        };
        self.tries.retain(|_, one| keeps(one.ticket, one.deadline));
        self.parked.retain(|one| keeps(one.ticket, one.deadline));
        self.reads.retain(|one| keeps(one.ticket, one.deadline));
        late
    }
}

/// A request on its way to a leader.
#[derive(Copy, Clone, Debug, Hash, Serialize, Deserialize)]
struct Try {
    ticket: Ticket,
    deadline: Instant,
    to: NodeId,
    /// Number of the epoch that it is meant for.
    n: u64,
    what: What,
}

/// What a forwarded request wants.
#[derive(Copy, Clone, Debug, Hash, Serialize, Deserialize)]
enum What {
    Append,
    Read(Range),
    Transfer(Option<NodeId>),
}

/// A read that may be asked of the leader of an epoch whose number is not below `n`.
#[derive(Copy, Clone, Debug, Hash, Serialize, Deserialize)]
struct Parked {
    ticket: Ticket,
    range: Range,
    deadline: Instant,
    n: u64,
}

#[derive(Copy, Clone, Debug, Hash, Serialize, Deserialize)]
struct Reach {
    ticket: Ticket,
    range: Range,
    commit: Seq,
    deadline: Instant,
}

impl Chain {
    /// Sends a request on to the leader.
    pub(super) fn forward(&mut self, ticket: Ticket, ask: Ask, cx: &mut StepContext<'_>) {
        let (what, ask) = match ask {
            Ask::OpenClient => (What::Append, ForwardAsk::OpenClient),
            Ask::Append { payload, .. }
                if payload.length() > cx.config.limits().entry_bytes_max =>
            {
                return cx.reply(ticket, Answer::Rejected(Reason::TooLarge));
            }
            Ask::Append {
                level,
                request,
                payload,
            } => {
                let ask = ForwardAsk::Append {
                    level,
                    request,
                    payload,
                };
                (What::Append, ask)
            }
            Ask::Read {
                consistency,
                from,
                bytes_max,
            } => {
                let range = Range { from, bytes_max };
                match consistency {
                    Consistency::Stale => return self.read_stale(ticket, range, cx),
                    Consistency::Linearizable => (What::Read(range), ForwardAsk::ReadIndex),
                }
            }
            Ask::Transfer { to } => (What::Transfer(to), ForwardAsk::Transfer { to }),
        };
        // Nothing of this attempt left, so nothing of it is appended.
        let Some(leader) = self.leader_to_ask(cx) else {
            let hint = self.leader_hint(cx);
            return cx.reply(ticket, Answer::NotLeader { hint });
        };
        if self.forwards.is_full(cx.config.limits().requests_max) {
            return cx.reply(ticket, Answer::Rejected(Reason::Busy));
        }
        let deadline = self.request_deadline(cx);
        self.send_try(leader, ticket, (deadline, what), ask, cx);
    }

    /// The leader of the present epoch, if what is sent to it can be answered. Whoever named it,
    /// a chunk or a row: a request says which leadership it is meant for, so asking is safe.
    fn leader_to_ask(&self, cx: &StepContext<'_>) -> Option<NodeId> {
        // What it sends of this chain may overtake heartbeats that a connection holds back.
        let is_heard = cx.now.since(self.leader_seen) < cx.config.suspicion();
        self.leader.filter(|&leader| {
            leader != self.me.node
                && (is_heard || !cx.liveness.is_suspected(leader))
                && cx.liveness.is_reachable(leader)
        })
    }

    fn send_try(
        &mut self,
        to: NodeId,
        ticket: Ticket,
        (deadline, what): (Instant, What),
        ask: ForwardAsk,
        cx: &mut StepContext<'_>,
    ) {
        let attempt = cx.attempt();
        let request = Try {
            ticket,
            deadline,
            to,
            n: self.epoch.n,
            what,
        };
        self.forwards.tries.insert(attempt.number, request);
        let forward = Forward {
            chain: self.id,
            generation: self.generation,
            epoch: self.epoch,
            attempt,
            ask,
        };
        cx.send(to, Body::Forward(forward));
    }

    /// The leader's answer to a forwarded request.
    pub(crate) fn on_forwarded(
        &mut self,
        attempt: Attempt,
        outcome: Forwarded,
        cx: &mut StepContext<'_>,
    ) {
        let Some(request) = self.forwards.tries.remove(&attempt.number) else {
            return;
        };
        let Try {
            ticket,
            deadline,
            n,
            what,
            ..
        } = request;
        match (outcome, what) {
            (Forwarded::ReadIndex { commit }, What::Read(range)) => {
                self.forwards.reads.push(Reach {
                    ticket,
                    range,
                    commit,
                    deadline,
                });
            }
            (Forwarded::Unknown, What::Read(range)) => {
                let n = n.saturating_add(1);
                self.park(ticket, range, deadline, n);
            }
            (outcome, _) => self.answer(Origin::Here(ticket), outcome, cx),
        }
    }

    /// Keeps a read until a leader of an epoch from the `n`-th on can be asked.
    fn park(&mut self, ticket: Ticket, range: Range, deadline: Instant, n: u64) {
        self.forwards.parked.push(Parked {
            ticket,
            range,
            deadline,
            n,
        });
    }

    /// A read that a leadership which ended did not answer.
    pub(super) fn end_read(&mut self, read: Read, cx: &mut StepContext<'_>) {
        match (read.origin, read.range) {
            (Origin::Here(ticket), Some(range)) => {
                self.park(ticket, range, read.deadline, self.epoch.n.saturating_add(1));
            }
            (origin, _) => self.answer(origin, Forwarded::Unknown, cx),
        }
    }

    /// Whether anything waits here for another node.
    pub(crate) fn is_asking(&self) -> bool {
        !self.forwards.tries.is_empty() || !self.forwards.parked.is_empty()
    }

    /// Whether a try of that number waits here.
    pub(crate) fn awaits(&self, number: AttemptNumber) -> bool {
        self.forwards.tries.contains_key(&number)
    }

    /// Ends what the leader that it was sent to cannot answer any more, and asks again what may
    /// be asked again.
    pub(super) fn look_after_forwards(&mut self, cx: &mut StepContext<'_>) {
        if !self.is_asking() {
            return;
        }
        for (number, request) in core::mem::take(&mut self.forwards.tries) {
            let is_over = request.n < self.epoch.n;
            let is_lost = !cx.liveness.is_reachable(request.to);
            let is_kept = match request.what {
                What::Append => !is_over && !is_lost,
                What::Read(range) if is_over || is_lost => {
                    self.park(request.ticket, range, request.deadline, self.epoch.n);
                    continue;
                }
                What::Read(_) => true,
                What::Transfer(to) if is_over && to.is_some() && to == self.leader => {
                    cx.reply(request.ticket, Answer::Transferred);
                    continue;
                }
                What::Transfer(Some(_)) => !is_lost && (!is_over || self.leader.is_none()),
                What::Transfer(None) => !is_lost,
            };
            if is_kept {
                self.forwards.tries.insert(number, request);
            } else {
                cx.count(Count::ForwardEnded);
                cx.reply(request.ticket, Answer::Unknown);
            }
        }
        self.ask_parked(cx);
    }

    /// Asks the parked reads again, of the leader that there is by now.
    fn ask_parked(&mut self, cx: &mut StepContext<'_>) {
        let leader = self.leader_to_ask(cx);
        if self.forwards.parked.is_empty() || (leader.is_none() && self.lead.is_none()) {
            return;
        }
        for parked in core::mem::take(&mut self.forwards.parked) {
            if parked.n > self.epoch.n {
                self.forwards.parked.push(parked);
                continue;
            }
            cx.count(Count::ReadAskedAgain);
            let Parked {
                ticket,
                range,
                deadline,
                ..
            } = parked;
            match leader {
                Some(leader) => {
                    let what = What::Read(range);
                    self.send_try(leader, ticket, (deadline, what), ForwardAsk::ReadIndex, cx);
                }
                None => {
                    let (origin, range) = (Origin::Here(ticket), Some(range));
                    self.take_read(
                        Read {
                            origin,
                            range,
                            deadline,
                        },
                        cx,
                    );
                }
            }
        }
    }

    /// Answers the reads whose position is committed here by now.
    pub(super) fn answer_forwarded_reads(&mut self, cx: &mut StepContext<'_>) {
        if self.forwards.reads.is_empty() {
            return;
        }
        let commit = self.commit;
        let (due, rest): (Vec<Reach>, Vec<Reach>) = core::mem::take(&mut self.forwards.reads)
            .into_iter()
            .partition(|reach| reach.commit <= commit);
        self.forwards.reads = rest;
        for reach in due {
            self.read_stale(reach.ticket, reach.range, cx);
        }
    }

    /// The oldest waiting request ran out of time.
    pub(crate) fn on_requests_due(&mut self, cx: &mut StepContext<'_>) {
        for ticket in self.forwards.take_late(cx.now) {
            cx.reply(ticket, Answer::Unknown);
        }
        let forwarded = self.forwards.due();
        let next = forwarded
            .into_iter()
            .chain(self.end_late_requests(cx))
            .min();
        if let Some(at) = next {
            cx.deadlines.arm(self.index, Timer::Requests, at);
        }
    }
}
