//! Bulk to the members, turn by turn: chunks to the followers, within the window of each and the
//! bandwidth budget.

use super::lead::Follower;
use super::log::ENTRY_OVERHEAD;
use super::{Chain, Entries, StepContext};
use crate::bandwidth::Class;
use crate::chain::entry::{Entry, LogPosition};
use crate::count::Count;
use crate::deadline::Timer;
use crate::id::{NodeId, Seq};
use crate::message::ReplicaMessage;
use crate::turns::{Pass, Turn};
use alloc::sync::Arc;

impl Chain {
    /// Says which members want bulk of this chain. As long as nobody waits, each is served at once.
    pub(super) fn want_turns(&mut self, cx: &mut StepContext<'_>) {
        if self.is_quiet() {
            return;
        }
        let membership = self.log.membership().clone();
        let mut shared = Shared::default();
        for member in membership.voters.iter().chain(&membership.learners) {
            if let Some(at) = self.send_missing(member.node, cx) {
                cx.deadlines.arm_by(self.index, Timer::Budget, at);
            }
            let wants = self.fault.is_none() && self.has_bulk_for(member.node, cx);
            if wants && cx.turns.is_empty() {
                let turn = self.take_turn(member.node, &mut shared, cx);
                let who = (self.class, member.node);
                cx.turns.note(&mut Pass::default(), who, turn);
            } else {
                self.want_turn(member.node, wants, cx);
            }
        }
    }

    /// Whether nobody wants bulk of this chain, or waits for its turn.
    fn is_quiet(&self) -> bool {
        let end = self.log.end();
        let is_quiet = |follower: &Follower| {
            let stream = follower.stream.as_ref();
            stream.is_none_or(|stream| stream.is_quiet(end))
        };
        self.serving.is_quiet()
            && self
                .lead
                .as_ref()
                .is_none_or(|lead| lead.followers.values().all(is_quiet))
    }

    fn want_turn(&mut self, node: NodeId, wants: bool, cx: &mut StepContext<'_>) {
        let who = (self.class, node, self.index);
        if let Some(place) = self.serving.places.get_mut(&node) {
            cx.turns.want(wants, place, who);
        } else if wants {
            let place = self.serving.places.entry(node).or_default();
            cx.turns.want(wants, place, who);
        }
    }

    /// What leaves while the link is down would be lost, and count as under way.
    fn has_bulk_for(&self, node: NodeId, cx: &StepContext<'_>) -> bool {
        if !cx.liveness.is_reachable(node) {
            return false;
        }
        let lead = self.lead.as_ref();
        let follower = lead.and_then(|lead| lead.followers.get(&node));
        let stream = follower.and_then(|follower| follower.stream.as_ref());
        let is_behind =
            stream.is_some_and(|stream| stream.next < self.log.end() && stream.is_open(node, cx));
        is_behind || self.has_errand(node, cx)
    }

    /// Sends one message of bulk to a member, if window and budget admit it.
    pub(crate) fn take_turn(
        &mut self,
        node: NodeId,
        shared: &mut Shared,
        cx: &mut StepContext<'_>,
    ) -> Turn {
        let mut turn = self.send_snapshot_part(node, cx);
        if turn == Turn::Nothing {
            turn = self.send_errand(node, cx);
        }
        if turn == Turn::Nothing {
            turn = self.send_chunk(node, shared, cx);
        }
        match turn {
            Turn::Sent => {
                let who = (self.class, node, self.index);
                cx.turns
                    .end(self.serving.places.entry(node).or_default(), who);
                let wants = self.has_bulk_for(node, cx);
                self.want_turn(node, wants, cx);
            }
            Turn::Nothing => self.want_turn(node, false, cx),
            Turn::NoRoom => {
                self.want_turn(node, true, cx);
                if let Some(at) = cx.windows.expiry(node) {
                    cx.deadlines
                        .arm_by(self.index, Timer::Budget, at.max(cx.now));
                }
            }
            Turn::Later(at) => {
                self.want_turn(node, true, cx);
                cx.count(Count::BudgetWait);
                cx.deadlines.arm_by(self.index, Timer::Budget, at);
            }
        }
        turn
    }

    /// Sends the next chunk that a follower lacks.
    fn send_chunk(&mut self, node: NodeId, shared: &mut Shared, cx: &mut StepContext<'_>) -> Turn {
        let Some(lead) = &mut self.lead else {
            return Turn::Nothing;
        };
        let (commit, floor) = (self.commit, lead.floor);
        let Some(follower) = lead.followers.get_mut(&node) else {
            return Turn::Nothing;
        };
        let member = follower.member;
        let Some(stream) = &mut follower.stream else {
            return Turn::Nothing;
        };
        if stream.next >= self.log.end() || !stream.is_open(node, cx) {
            return Turn::Nothing;
        }
        let Some(since) = self.log.position_at(stream.next) else {
            // Retention passed the position: the follower asks anew and gets a checkpoint.
            cx.windows.forget(node, stream.attempt);
            follower.stream = None;
            return Turn::Nothing;
        };
        let bytes_max = bytes_max(node, cx);
        if !cx.windows.has_room(node, bytes_max, cx.now) {
            return Turn::NoRoom;
        }
        let (entries, bytes) = match &shared.0 {
            Some((behind, entries, bytes)) if *behind == since && *bytes <= bytes_max => {
                (entries.clone(), *bytes)
            }
            Some(_) | None => {
                let entries = self.log.read(since.end, self.log.end(), bytes_max);
                let bytes = cost(&entries);
                shared.0 = Some((since, entries.clone(), bytes));
                (entries, bytes)
            }
        };
        if let Err(turn) = admit(self.class, node, bytes, cx) {
            return turn;
        }
        let end = Seq::new(since.end.get() + entries.len() as u64);
        stream.sent(node, (end, bytes), cx);
        stream.told = Some((commit, floor));
        let content = ReplicaMessage::Chunk {
            attempt: stream.attempt,
            since,
            entries,
            commit,
            floor,
        };
        self.send_to_member(&member, content, cx);
        Turn::Sent
    }

    /// Tells the followers that have everything what is committed now. Whoever has something on
    /// its way learns it with what follows that, or once it acknowledged it: over a slow link such
    /// messages would take the place of entries.
    pub(super) fn tell_commit(&mut self, cx: &mut StepContext<'_>) {
        let Some(lead) = &mut self.lead else { return };
        let told = (self.commit, lead.floor);
        let (commit, floor) = told;
        let mut due = alloc::vec::Vec::new();
        for (&node, follower) in &mut lead.followers {
            let Some(stream) = &mut follower.stream else {
                continue;
            };
            if stream.next < self.log.end() || stream.told == Some(told) {
                continue;
            }
            if cx.windows.is_overdue(node, stream.attempt, cx.now) {
                stream.told = Some(told);
                due.push((follower.member, stream.attempt));
            }
        }
        let (since, entries) = (self.log.tip(), Entries::from([]));
        for (member, attempt) in due {
            let content = ReplicaMessage::Chunk {
                attempt,
                since,
                entries: entries.clone(),
                commit,
                floor,
            };
            self.send_to_member(&member, content, cx);
        }
    }
}

/// The entries that were sent last within one step, behind which position, and what they cost: the
/// next follower mostly lacks the same.
#[derive(Debug, Default)]
pub(crate) struct Shared(Option<(LogPosition, Entries, u64)>);

/// How large the entries of one message to a member may be, but for a single one.
pub(super) fn bytes_max(node: NodeId, cx: &StepContext<'_>) -> u64 {
    let half = u64::from(cx.config.limits().message_bytes_max / 2);
    cx.windows.message_bytes(node).min(half)
}

/// Whether window and budget admit so many bytes to a member.
pub(super) fn admit(
    class: Class,
    node: NodeId,
    bytes: u64,
    cx: &mut StepContext<'_>,
) -> Result<(), Turn> {
    if !cx.windows.has_room(node, bytes, cx.now) {
        return Err(Turn::NoRoom);
    }
    cx.bucket.admit(class, bytes, cx.now).map_err(Turn::Later)
}

/// What entries cost of the budget.
pub(super) fn cost(entries: &Entries) -> u64 {
    let cost = |entry: &Arc<Entry>| u64::from(entry.payload.length()) + ENTRY_OVERHEAD;
    entries.iter().map(cost).sum()
}
