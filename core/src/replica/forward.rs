//! Requests of clients here and of forwarders, judged when this replica leads.
//!
//! A try is judged at most once by one leadership, so a copy of it that the network made never
//! appends after a refusal. Whoever waits too long, here or at the leader, is told `Unknown`.

use super::append::Origin;
use super::lead::Judged;
use super::read::Range;
use super::{Chain, StepContext};
use crate::client::{Answer, Ask, Reason};
use crate::count::Count;
use crate::deadline::Timer;
use crate::id::{Attempt, Run, Ticket};
use crate::message::{Forward, ForwardAsk, Forwarded};
use crate::time::Instant;
use core::time::Duration;

impl Chain {
    /// A client of this node asks.
    pub(crate) fn on_client(&mut self, ticket: Ticket, ask: Ask, cx: &mut StepContext<'_>) {
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

    /// Another node forwards a request of its client.
    pub(crate) fn on_forward(&mut self, from: Run, forward: Forward, cx: &mut StepContext<'_>) {
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
    fn judge_once(&mut self, from: Run, attempt: Attempt, cx: &StepContext<'_>) -> bool {
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

    /// When a request that begins to wait now is answered `Unknown` at the latest.
    pub(super) fn request_deadline(&self, cx: &mut StepContext<'_>) -> Instant {
        let span = Duration::from_millis(cx.config.timing().request_ms);
        let deadline = cx.now.after(span);
        cx.deadlines.arm_by(self.index, Timer::Requests, deadline);
        deadline
    }
}
