//! Requests of clients: judged here when this replica leads, forwarded to the leader otherwise
//! (D15).
//!
//! A try is judged at most once by one leadership, so a copy of it that the network made never
//! appends after a refusal. Whoever waits too long, here or at the leader, is told `Unknown`.

use super::append::Origin;
use super::lead::Judged;
use super::read::Range;
use super::{Chain, Cx};
use crate::client::{Answer, Ask, Reason};
use crate::count::Count;
use crate::deadline::Kind;
use crate::id::{Attempt, NodeId, Number, Run, Seq, Ticket};
use crate::message::{Body, Forward, ForwardAsk, Forwarded};
use crate::time::Instant;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// Requests of clients here that another node has to answer first.
#[derive(Clone, Debug, Default, Hash, Serialize, Deserialize)]
pub(super) struct Forwards {
    tries: BTreeMap<Number, Try>,
    /// Reads that know how far they have to reach, but are not there yet.
    reads: Vec<Reach>,
    /// The last leadership of this run: its epoch, and what it judged.
    former: Option<(u64, BTreeMap<NodeId, Judged>)>,
}

impl Forwards {
    /// Keeps what an ended leadership judged: a copy of a try may still come.
    pub(super) fn end_leadership(&mut self, n: u64, judged: BTreeMap<NodeId, Judged>) {
        self.former = Some((n, judged));
    }
}

#[derive(Copy, Clone, Debug, Hash, Serialize, Deserialize)]
struct Try {
    ticket: Ticket,
    range: Option<Range>,
    deadline: Instant,
}

#[derive(Copy, Clone, Debug, Hash, Serialize, Deserialize)]
struct Reach {
    ticket: Ticket,
    range: Range,
    commit: Seq,
    deadline: Instant,
}

impl Chain {
    /// A client of this node asks.
    pub(crate) fn on_client(&mut self, ticket: Ticket, ask: Ask, cx: &mut Cx<'_>) {
        if self.fault.is_some() {
            return cx.reply(ticket, Answer::Rejected(Reason::Stopped));
        }
        let origin = Origin::Here(ticket);
        if self.lead.is_none() {
            return self.forward(ticket, ask, cx);
        }
        match ask {
            Ask::OpenClient => self.on_open(origin, cx),
            Ask::Append {
                level,
                request,
                payload,
            } => {
                self.on_append(origin, level, request, payload, cx);
            }
            Ask::Read {
                consistency,
                from,
                bytes_max,
            } => {
                let range = Range { from, bytes_max };
                match consistency {
                    crate::client::Consistency::Stale => self.read_stale(ticket, range, cx),
                    crate::client::Consistency::Linearizable => {
                        self.on_read(origin, Some(range), cx);
                    }
                }
            }
            Ask::Transfer { to } => self.on_transfer(origin, to, cx),
        }
    }

    fn forward(&mut self, ticket: Ticket, ask: Ask, cx: &mut Cx<'_>) {
        let mut range = None;
        let ask = match ask {
            Ask::OpenClient => ForwardAsk::OpenClient,
            Ask::Append { payload, .. }
                if payload.length() > cx.config.limits().entry_bytes_max =>
            {
                return cx.reply(ticket, Answer::Rejected(Reason::TooLarge));
            }
            Ask::Append {
                level,
                request,
                payload,
            } => ForwardAsk::Append {
                level,
                request,
                payload,
            },
            Ask::Read {
                consistency,
                from,
                bytes_max,
            } => {
                let wanted = Range { from, bytes_max };
                match consistency {
                    crate::client::Consistency::Stale => {
                        return self.read_stale(ticket, wanted, cx);
                    }
                    crate::client::Consistency::Linearizable => range = Some(wanted),
                }
                ForwardAsk::ReadIndex
            }
            Ask::Transfer { to } => ForwardAsk::Transfer { to },
        };
        let Some(leader) = self.leader_hint(cx) else {
            return cx.reply(ticket, Answer::NotLeader { hint: None });
        };
        let waiting = self.forwards.tries.len() + self.forwards.reads.len();
        if waiting >= cx.config.limits().requests_max as usize {
            return cx.reply(ticket, Answer::Rejected(Reason::Busy));
        }
        let attempt = cx.attempt();
        let deadline = self.request_deadline(cx);
        self.forwards.tries.insert(
            attempt.number,
            Try {
                ticket,
                range,
                deadline,
            },
        );
        let (chain, generation, epoch) = (self.id, self.generation, self.epoch);
        cx.send(
            leader,
            Body::Forward(Forward {
                chain,
                generation,
                epoch,
                attempt,
                ask,
            }),
        );
    }

    /// Another node forwards a request of its client.
    pub(crate) fn on_forward(&mut self, from: Run, forward: Forward, cx: &mut Cx<'_>) {
        let Forward {
            epoch,
            attempt,
            ask,
            ..
        } = forward;
        let origin = Origin::Peer { run: from, attempt };
        if self.fault.is_some() {
            return self.answer(origin, Forwarded::Unknown, cx);
        }
        if self.lead.is_none() || epoch.n != self.epoch.n {
            let hint = self.leader_hint(cx);
            let outcome = if self.never_appended(epoch.n, from, attempt) {
                Forwarded::NotLeader { hint }
            } else {
                Forwarded::Unknown
            };
            return self.answer(origin, outcome, cx);
        }
        if let ForwardAsk::ReadIndex = ask {
            return self.on_read(origin, None, cx);
        }
        if attempt.incarnation != from.incarnation || !self.judge_once(from, attempt, cx) {
            return cx.count(Count::ForwardRepeated);
        }
        match ask {
            ForwardAsk::OpenClient => self.on_open(origin, cx),
            ForwardAsk::Append {
                level,
                request,
                payload,
            } => {
                self.on_append(origin, level, request, payload, cx);
            }
            ForwardAsk::Transfer { to } => self.on_transfer(origin, to, cx),
            ForwardAsk::ReadIndex => {}
        }
    }

    /// Whether no copy of this try was appended in epoch `n`, nor will be. Another copy may have
    /// come while this replica led that epoch, and an earlier run of it remembers nothing.
    fn never_appended(&self, n: u64, from: Run, attempt: Attempt) -> bool {
        match &self.forwards.former {
            Some((led, judged)) if *led == n => !judged
                .get(&from.node)
                .is_some_and(|judged| judged.holds(attempt)),
            Some(_) | None => n == self.epoch.n && self.voted != Some(self.me.node),
        }
    }

    /// Whether this try was not judged before in this leadership. The oldest numbers are
    /// forgotten by counting everything up to them as judged.
    fn judge_once(&mut self, from: Run, attempt: Attempt, cx: &Cx<'_>) -> bool {
        let Some(lead) = &mut self.lead else {
            return false;
        };
        let judged = lead
            .judged
            .entry(from.node)
            .or_insert_with(|| Judged::new(attempt.incarnation));
        if judged.holds(attempt) {
            return false;
        }
        if judged.incarnation < attempt.incarnation {
            *judged = Judged::new(attempt.incarnation);
        }
        judged.seen.insert(attempt.number);
        if judged.seen.len() > cx.config.limits().forwards_max as usize
            && let Some(low) = judged.seen.pop_first()
        {
            judged.low = low;
        }
        true
    }

    /// The leader's answer to a forwarded request.
    pub(crate) fn on_forwarded(&mut self, attempt: Attempt, outcome: Forwarded, cx: &mut Cx<'_>) {
        let Some(request) = self.forwards.tries.remove(&attempt.number) else {
            return;
        };
        let Try {
            ticket,
            range,
            deadline,
        } = request;
        match (outcome, range) {
            (Forwarded::ReadIndex { commit }, Some(range)) => {
                self.forwards.reads.push(Reach {
                    ticket,
                    range,
                    commit,
                    deadline,
                });
            }
            (outcome, _) => self.answer(Origin::Here(ticket), outcome, cx),
        }
    }

    /// Whether any try waits here.
    pub(crate) fn is_asking(&self) -> bool {
        !self.forwards.tries.is_empty()
    }

    /// Whether a try of that number waits here.
    pub(crate) fn awaits(&self, number: Number) -> bool {
        self.forwards.tries.contains_key(&number)
    }

    /// Answers the reads whose position is committed here by now.
    pub(super) fn answer_forwarded_reads(&mut self, cx: &mut Cx<'_>) {
        if self.forwards.reads.is_empty() {
            return;
        }
        let commit = self.commit;
        let (due, rest) = core::mem::take(&mut self.forwards.reads)
            .into_iter()
            .partition(|reach| reach.commit <= commit);
        self.forwards.reads = rest;
        let due: Vec<Reach> = due;
        for reach in due {
            self.read_stale(reach.ticket, reach.range, cx);
        }
    }

    /// When a request that begins to wait now is answered `Unknown` at the latest.
    pub(super) fn request_deadline(&self, cx: &mut Cx<'_>) -> Instant {
        let span = Duration::from_millis(cx.config.timing().request_ms);
        let deadline = cx.now.after(span);
        cx.deadlines.arm_by(self.index, Kind::Requests, deadline);
        deadline
    }

    /// The oldest waiting request ran out of time.
    pub(crate) fn on_requests_due(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now;
        let mut late = Vec::new();
        self.forwards.tries.retain(|_, request| {
            if request.deadline <= now {
                late.push(request.ticket);
            }
            request.deadline > now
        });
        self.forwards.reads.retain(|reach| {
            if reach.deadline <= now {
                late.push(reach.ticket);
            }
            reach.deadline > now
        });
        for ticket in late {
            cx.reply(ticket, Answer::Unknown);
        }
        let tries = self.forwards.tries.values().map(|request| request.deadline);
        let reads = self.forwards.reads.iter().map(|reach| reach.deadline);
        let forwarded = tries.chain(reads).min();
        let next = forwarded
            .into_iter()
            .chain(self.end_late_requests(cx))
            .min();
        if let Some(at) = next {
            cx.deadlines.arm(self.index, Kind::Requests, at);
        }
    }
}
