//! Appends at the leader: what is taken, what is refused, and when it is answered (D15).

use super::role::Role;
use super::{Chain, Lead, StepContext};
use crate::chain::clients::Lookup;
use crate::chain::entry::{Entry, EntryHash, EntryKind, Request};
use crate::chain::payload::Payload;
use crate::client::{Answer, Level, Reason};
use crate::count::Count;
use crate::id::{Attempt, Epoch, Run, Seq, Ticket};
use crate::message::{Body, Forwarded};
use crate::time::{Instant, Wall};
use alloc::sync::Arc;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Who asked, and so who is answered.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Origin {
    /// A client of this node.
    Here(Ticket),
    /// A client of another node, through it.
    Peer {
        /// The forwarding run.
        run: Run,
        /// Its try.
        attempt: Attempt,
    },
}

/// A request whose entry is in the log, but not at its level yet.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Waiting {
    pub(super) origin: Origin,
    pub(super) level: Level,
    pub(super) epoch: Epoch,
    pub(super) deadline: Instant,
}

impl Chain {
    /// Begins a leadership: commits nothing older until this entry commits (R5).
    pub(super) fn append_empty(&mut self, stamp: Wall, cx: &StepContext<'_>) {
        self.append_entry(EntryKind::Empty, Payload::empty(), stamp, cx);
    }

    fn append_entry(
        &mut self,
        kind: EntryKind,
        payload: Payload,
        stamp: Wall,
        cx: &StepContext<'_>,
    ) -> Seq {
        let tip = self.log.tip();
        let entry = Entry {
            generation: self.generation,
            seq: tip.end,
            epoch: self.epoch,
            store: cx.me.store,
            incarnation: cx.me.incarnation,
            stamp,
            kind,
            payload,
            hash: EntryHash::default(),
        };
        self.log.append(Arc::new(entry.linked(tip.hash)));
        tip.end
    }

    /// Opens a client.
    pub(super) fn on_open(&mut self, origin: Origin, cx: &mut StepContext<'_>) {
        match self.may_append(&Payload::empty(), cx) {
            Err(outcome) => self.answer(origin, outcome, cx),
            Ok(stamp) => {
                let seq = self.append_entry(EntryKind::OpenClient, Payload::empty(), stamp, cx);
                self.wait(seq, (origin, Level::Committed, self.epoch), cx);
            }
        }
    }

    /// Appends a payload, or finds the entry that an earlier copy of the request left.
    pub(super) fn on_append(
        &mut self,
        origin: Origin,
        level: Level,
        request: Option<Request>,
        payload: Payload,
        cx: &mut StepContext<'_>,
    ) {
        let stamp = match self.may_append(&payload, cx) {
            Ok(stamp) => stamp,
            Err(outcome) => return self.answer(origin, outcome, cx),
        };
        if let Some(request) = request {
            if request.number.get() == 0 {
                return self.answer(origin, Forwarded::Rejected(Reason::BadNumber), cx);
            }
            let refusal = match self.log.clients().lookup(request) {
                Lookup::New => None,
                Lookup::Known { seq, epoch } => {
                    return self.on_repeat(seq, (origin, level, epoch), cx);
                }
                Lookup::TooOld => Some(Reason::TooOld),
                Lookup::UnknownClient => Some(Reason::UnknownClient),
            };
            if let Some(reason) = refusal {
                return self.answer(origin, Forwarded::Rejected(reason), cx);
            }
        }
        let seq = self.append_entry(EntryKind::Data(request), payload, stamp, cx);
        self.wait(seq, (origin, level, self.epoch), cx);
    }

    fn on_repeat(
        &mut self,
        seq: Seq,
        (origin, level, epoch): (Origin, Level, Epoch),
        cx: &mut StepContext<'_>,
    ) {
        cx.count(Count::RequestRepeated);
        if seq >= self.commit {
            cx.count(Count::RequestRepeatedUncommitted);
            if epoch.n < self.epoch.n {
                cx.count(Count::RequestRepeatedInherited);
            }
            return self.wait(seq, (origin, level, epoch), cx);
        }
        if seq < self.log.floor() {
            cx.count(Count::RequestRepeatedRetained);
        }
        self.answer(origin, Forwarded::Acked { seq, epoch }, cx);
    }

    /// The stamp of what is appended now.
    fn may_append(&self, payload: &Payload, cx: &StepContext<'_>) -> Result<Wall, Forwarded> {
        let Some(lead) = &self.lead else {
            return Err(Forwarded::NotLeader {
                hint: self.leader_hint(cx),
            });
        };
        let limits = cx.config.limits();
        let reason = if payload.length() > limits.entry_bytes_max {
            Reason::TooLarge
        } else if lead.transfer.is_some() {
            Reason::Transferring
        } else if self.writer.is_full() {
            Reason::StoreFull
        } else if lead.waiting_count >= limits.requests_max
            || self.log.end().distance(self.commit) >= u64::from(limits.uncommitted_max)
        {
            Reason::Busy
        } else {
            // Without a majority's clocks there is no quorum either, though nobody noticed yet.
            let hint = None;
            return self.agreed_time(cx).ok_or(Forwarded::NotLeader { hint });
        };
        Err(Forwarded::Rejected(reason))
    }

    fn wait(
        &mut self,
        seq: Seq,
        (origin, level, epoch): (Origin, Level, Epoch),
        cx: &mut StepContext<'_>,
    ) {
        let deadline = self.request_deadline(cx);
        let lead = self.lead.as_mut().expect("only a leader takes appends");
        let list = match level {
            Level::Committed => &mut lead.waiting,
            Level::Local => &mut lead.waiting_local,
        };
        let waiting = Waiting {
            origin,
            level,
            epoch,
            deadline,
        };
        list.entry(seq).or_default().push(waiting);
        lead.waiting_count += 1;
    }

    /// Answers every append that reached its level.
    pub(super) fn answer_appends(&mut self, cx: &mut StepContext<'_>) {
        let (commit, durable) = (self.commit, self.log.durable().end);
        let Some(lead) = &mut self.lead else { return };
        let mut due = Vec::new();
        for (waiting, end) in [
            (&mut lead.waiting, commit),
            (&mut lead.waiting_local, commit.max(durable)),
        ] {
            while let Some(first) = waiting.first_entry().filter(|first| *first.key() < end) {
                let (seq, list) = first.remove_entry();
                due.extend(list.into_iter().map(|waiting| (seq, waiting)));
            }
        }
        lead.waiting_count -= due.len() as u32;
        for (seq, waiting) in due {
            let outcome = Forwarded::Acked {
                seq,
                epoch: waiting.epoch,
            };
            self.answer(waiting.origin, outcome, cx);
        }
    }

    /// Ends what waited here for longer than a request may; when the oldest of the rest has.
    pub(super) fn end_late_requests(&mut self, cx: &mut StepContext<'_>) -> Option<Instant> {
        let lead = self.lead.as_mut()?;
        let (now, mut late, mut next) = (cx.now, Vec::new(), None);
        let mut keeps = |origin: Origin, deadline: Instant| {
            if deadline <= now {
                late.push(origin);
                return false;
            }
            next = Some(next.map_or(deadline, |next: Instant| next.min(deadline)));
            true
        };
        for waiting in [&mut lead.waiting, &mut lead.waiting_local] {
            waiting.retain(|_, list| {
                list.retain(|waiting| keeps(waiting.origin, waiting.deadline));
                !list.is_empty()
            });
        }
        lead.reads.retain_mut(|round| {
            round.reads.retain(|read| keeps(read.origin, read.deadline));
            !round.reads.is_empty()
        });
        let lists = lead.waiting.values().chain(lead.waiting_local.values());
        lead.waiting_count = lists.map(|list| list.len() as u32).sum();
        for origin in late {
            cx.count(Count::RequestLate);
            self.answer(origin, Forwarded::Unknown, cx);
        }
        next
    }

    pub(super) fn answer_all_unknown(&mut self, lead: Lead, cx: &mut StepContext<'_>) {
        for waiting in lead
            .waiting
            .into_values()
            .chain(lead.waiting_local.into_values())
            .flatten()
        {
            self.answer(waiting.origin, Forwarded::Unknown, cx);
        }
        for round in lead.reads {
            for read in round.reads {
                self.end_read(read, cx);
            }
        }
    }

    /// Ends one attempt.
    pub(super) fn answer(&mut self, origin: Origin, outcome: Forwarded, cx: &mut StepContext<'_>) {
        match origin {
            Origin::Peer { run, attempt } => {
                cx.send(
                    run.node,
                    Body::Forwarded {
                        attempt,
                        answer: outcome,
                    },
                );
            }
            Origin::Here(ticket) => {
                let answer = match outcome {
                    Forwarded::Acked { seq, epoch } => Answer::Acked { seq, epoch },
                    Forwarded::NotLeader { hint } => Answer::NotLeader { hint },
                    Forwarded::Rejected(reason) => Answer::Rejected(reason),
                    Forwarded::Transferred => Answer::Transferred,
                    Forwarded::Unknown | Forwarded::ReadIndex { .. } => Answer::Unknown,
                };
                cx.reply(ticket, answer);
            }
        }
    }

    /// Who seems to lead.
    pub(super) fn leader_hint(&self, cx: &StepContext<'_>) -> Option<crate::id::NodeId> {
        let live = self.role != Role::Leader && self.has_live_leader(cx);
        if live { self.leader } else { None }
    }
}
