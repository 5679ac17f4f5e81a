//! Entries for members that ask for them, whoever leads: to repair theirs, or to catch up
//! without the leader; and checkpoints. They wait for their turns like chunks.

use super::lead::Stream;
use super::ship::{admit, bytes_max, cost};
use super::snapshot::{SnapshotSend, part_max};
use super::{Chain, Entries, StepContext};
use crate::chain::entry::LogPosition;
use crate::count::Count;
use crate::id::{Attempt, Member, NodeId, Seq};
use crate::message::ReplicaMessage;
use crate::time::Instant;
use crate::turns::{Place, Turn};
use alloc::collections::BTreeMap;
use serde::{Deserialize, Serialize};

/// What members asked for and did not get yet; the newest question of each.
#[derive(Clone, Debug, Default, Hash, Serialize, Deserialize)]
pub(super) struct Serving {
    asked: BTreeMap<NodeId, Errand>,
    pub(super) snapshots: BTreeMap<NodeId, SnapshotSend>,
    /// The place of each member that ever wanted bulk among those that do.
    pub(super) places: BTreeMap<NodeId, Place>,
}

#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
enum Errand {
    /// The last intact entries of a range, in one message.
    Repair {
        from: Seq,
        end: Seq,
        attempt: Attempt,
        is_sent: bool,
        /// Whether the member asked once more since.
        is_missing: bool,
    },
    /// Committed entries up to a position, a few messages ahead of what is durable there.
    CatchUp { stream: Stream, until: Seq },
}

impl Errand {
    fn attempt(&self) -> Attempt {
        match self {
            Self::Repair { attempt, .. } => *attempt,
            Self::CatchUp { stream, .. } => stream.attempt,
        }
    }

    /// Nothing that was under way arrives any more.
    fn lose(&mut self) {
        match self {
            Self::Repair {
                is_sent,
                is_missing,
                ..
            } => *is_missing = *is_sent,
            Self::CatchUp { stream, .. } => stream.lose(),
        }
    }

    /// Sends again what should have come by now; until then, when to look again.
    fn send_missing(&mut self, node: NodeId, cx: &mut StepContext<'_>) -> Option<Instant> {
        match self {
            Self::Repair {
                attempt,
                is_sent,
                is_missing,
                ..
            } => {
                if let Err(wait) = cx.take_missing(node, *attempt, is_missing) {
                    return wait;
                }
                cx.count(Count::SentAgain);
                cx.windows.send_again(node, *attempt);
                *is_sent = false;
                None
            }
            Self::CatchUp { stream, .. } => stream.send_missing(node, cx),
        }
    }
}

impl Serving {
    /// How much a member has of the checkpoint that it is sent.
    pub(super) fn snapshot_held(&self, node: NodeId) -> u32 {
        self.snapshots.get(&node).map_or(0, SnapshotSend::held)
    }

    /// Whether nothing was asked for, and nobody waits for a turn.
    pub(super) fn is_quiet(&self) -> bool {
        self.asked.is_empty()
            && self.snapshots.is_empty()
            && !self.places.values().any(Place::is_waiting)
    }

    /// Takes a new question in the place of the one before, what was sent for which no longer
    /// counts.
    fn ask(&mut self, asker: NodeId, errand: Errand, cx: &mut StepContext<'_>) {
        self.drop_errand(asker, cx);
        self.asked.insert(asker, errand);
    }

    /// A member says what is durable there. Who asks for help no more does not acknowledge what still
    /// comes of it, which may serve it even so; and what is under way keeps the room of all chains.
    pub(super) fn hear_row(&mut self, asker: NodeId, durable: Seq, cx: &mut StepContext<'_>) {
        if let Some(Errand::CatchUp { stream, .. }) = self.asked.get_mut(&asker) {
            stream.pass(asker, durable, cx);
        }
    }

    /// A member that follows us as its leader wants no help any more, and never says what came of it:
    /// what is under way would keep the room of what it is owed now.
    pub(super) fn end_help(&mut self, asker: NodeId, cx: &mut StepContext<'_>) {
        if let Some(Errand::CatchUp { .. }) = self.asked.get(&asker) {
            self.drop_errand(asker, cx);
        }
    }

    fn drop_errand(&mut self, asker: NodeId, cx: &mut StepContext<'_>) {
        if let Some(old) = self.asked.remove(&asker) {
            cx.windows.forget(asker, old.attempt());
        }
    }
}

impl Chain {
    /// A member asks for entries: it gets the last ones that are intact here and fit a message,
    /// for their successor proves them there.
    pub(super) fn on_fetch(
        &mut self,
        asker: &Member,
        from: Seq,
        end: Seq,
        attempt: Attempt,
        cx: &mut StepContext<'_>,
    ) {
        if end <= self.log.floor() {
            if self.may_hold_floor(asker.node, cx) {
                self.send_snapshot(asker, attempt, from, cx);
            }
            return;
        }
        if let Some(Errand::Repair {
            from: first,
            end: last,
            attempt: before,
            is_sent: true,
            is_missing,
        }) = self.serving.asked.get_mut(&asker.node)
            && (*first, *last) == (from, end)
            && !cx.windows.is_overdue(asker.node, *before, cx.now)
        {
            // The asker does not mind which of its questions is answered.
            *is_missing = true;
            return cx.count(Count::StillUnderWay);
        }
        let errand = Errand::Repair {
            from,
            end,
            attempt,
            is_sent: false,
            is_missing: false,
        };
        self.serving.ask(asker.node, errand, cx);
    }

    /// Whether the floor may be a position of a peer's log, as far as the peer said: to any other
    /// one the checkpoint proves nothing, and it would be sent again with every question.
    fn may_hold_floor(&self, peer: NodeId, cx: &StepContext<'_>) -> bool {
        let row = cx.liveness.row(peer, self.id, self.generation);
        let said = row.and_then(|row| row.state);
        said.is_none_or(|said| said.durable >= Some(self.log.floor()))
    }

    /// A member that lags asks for what follows its log, or acknowledges what came. Only
    /// committed entries are given: no leader will ever ask it to cut those.
    pub(super) fn on_catch_up(
        &mut self,
        asker: &Member,
        since: LogPosition,
        attempt: Attempt,
        cx: &mut StepContext<'_>,
    ) {
        let commit = self.commit;
        match self.serving.asked.get_mut(&asker.node) {
            Some(Errand::CatchUp { stream, until }) if stream.attempt == attempt => {
                stream.hear(asker.node, (since.end, since.end), (false, false), cx);
                *until = commit;
            }
            Some(Errand::CatchUp { stream, .. }) if stream.attempt > attempt => {
                cx.count(Count::StaleAnswer);
            }
            Some(_) | None => {
                if let Some(Errand::CatchUp { stream, .. }) = self.serving.asked.remove(&asker.node)
                {
                    stream.end(asker.node, since.end, cx);
                }
                let stream = Stream::new(attempt, since.end, since.end);
                let errand = Errand::CatchUp {
                    stream,
                    until: commit,
                };
                self.serving.ask(asker.node, errand, cx);
                if since.end >= commit || self.log.position_at(since.end) != Some(since) {
                    self.decline(asker, since, attempt, cx);
                }
            }
        }
    }

    /// Nothing here follows the asker's log.
    fn decline(
        &mut self,
        asker: &Member,
        since: LogPosition,
        attempt: Attempt,
        cx: &mut StepContext<'_>,
    ) {
        self.serving.drop_errand(asker.node, cx);
        let entries = Entries::from([]);
        let content = ReplicaMessage::Fetched {
            attempt,
            since,
            entries,
        };
        self.send_to_member(asker, content, cx);
    }

    /// Sends a member again what it asked for and what should have come by now; until then, when
    /// to look again.
    pub(super) fn send_missing(
        &mut self,
        node: NodeId,
        cx: &mut StepContext<'_>,
    ) -> Option<Instant> {
        let lead = self.lead.as_mut();
        let follower = lead.and_then(|lead| lead.followers.get_mut(&node));
        let stream = follower.and_then(|follower| follower.stream.as_mut());
        let dues = [
            stream.and_then(|stream| stream.send_missing(node, cx)),
            self.serving
                .snapshots
                .get_mut(&node)
                .and_then(|snapshot| snapshot.send_missing(node, cx)),
            self.serving
                .asked
                .get_mut(&node)
                .and_then(|errand| errand.send_missing(node, cx)),
        ];
        dues.into_iter().flatten().min()
    }

    /// The way to a member is there anew: what was under way is lost, and what it lacks is sent
    /// without its asking.
    pub(crate) fn serve_anew(&mut self, node: NodeId) {
        let lead = self.lead.as_mut();
        let follower = lead.and_then(|lead| lead.followers.get_mut(&node));
        if let Some(stream) = follower.and_then(|follower| follower.stream.as_mut()) {
            stream.lose();
        }
        if let Some(snapshot) = self.serving.snapshots.get_mut(&node) {
            snapshot.lose();
        }
        if let Some(errand) = self.serving.asked.get_mut(&node) {
            errand.lose();
        }
    }

    /// Whether a member is served anything.
    pub(crate) fn serves(&self, node: NodeId) -> bool {
        let lead = self.lead.as_ref();
        let follower = lead.and_then(|lead| lead.followers.get(&node));
        follower.is_some_and(|follower| follower.stream.is_some())
            || self.serving.snapshots.contains_key(&node)
            || self.serving.asked.contains_key(&node)
    }

    /// Whether a member asked for something that may be sent now.
    pub(super) fn has_errand(&self, node: NodeId, cx: &StepContext<'_>) -> bool {
        let snapshot = self.serving.snapshots.get(&node);
        let errand = self.serving.asked.get(&node);
        snapshot.is_some_and(|snapshot| snapshot.is_due(node, cx))
            || errand.is_some_and(|errand| match errand {
                Errand::Repair { is_sent, .. } => !is_sent,
                Errand::CatchUp { stream, until } => {
                    stream.next < *until && stream.is_open(node, cx)
                }
            })
    }

    /// Sends one message of entries that a member asked for.
    pub(super) fn send_errand(&mut self, node: NodeId, cx: &mut StepContext<'_>) -> Turn {
        if !self.has_errand(node, cx) {
            return Turn::Nothing;
        }
        let bytes_max = bytes_max(node, cx);
        let (Some(&asker), Some(errand)) = (self.member(node), self.serving.asked.get(&node))
        else {
            return Turn::Nothing;
        };
        if let Errand::CatchUp { stream, .. } = errand
            && stream.is_abandoned(node, cx)
        {
            // Whoever does not say what arrived asks somebody else by now.
            self.serving.drop_errand(node, cx);
            return Turn::Nothing;
        }
        if !cx.windows.has_room(node, bytes_max, cx.now) {
            return Turn::NoRoom;
        }
        let (attempt, since, entries) = match errand {
            &Errand::Repair {
                from, end, attempt, ..
            } => {
                let entries = self.log.read_back(from, end, bytes_max);
                let since = entries
                    .first()
                    .and_then(|first| self.log.position_at(first.seq));
                (attempt, since, entries)
            }
            Errand::CatchUp { stream, until } => {
                let next = stream.next;
                let entries = match self.log.position_at(next) {
                    Some(_) => self.log.read(next, *until, bytes_max),
                    None => Entries::from([]),
                };
                (stream.attempt, self.log.position_at(next), entries)
            }
        };
        let Some(since) = since.filter(|_| !entries.is_empty()) else {
            // Retention passed it, or it is not intact here: another member may hold it.
            self.serving.drop_errand(node, cx);
            return Turn::Nothing;
        };
        let bytes = cost(&entries);
        if let Err(turn) = admit(self.class, node, bytes, cx) {
            return turn;
        }
        let end = Seq::new(since.end.get() + entries.len() as u64);
        match self.serving.asked.get_mut(&node) {
            Some(Errand::CatchUp { stream, .. }) => stream.sent(node, (end, bytes), cx),
            Some(Errand::Repair { is_sent, .. }) => {
                *is_sent = true;
                cx.windows.sent(node, attempt, (end.get(), bytes), cx.now);
            }
            None => {}
        }
        let content = ReplicaMessage::Fetched {
            attempt,
            since,
            entries,
        };
        self.send_to_member(&asker, content, cx);
        Turn::Sent
    }

    /// Sends one part of a checkpoint.
    pub(super) fn send_snapshot_part(&mut self, node: NodeId, cx: &mut StepContext<'_>) -> Turn {
        let step = part_max(node, cx);
        let snapshot = self.serving.snapshots.get(&node);
        let Some(snapshot) = snapshot.filter(|snapshot| snapshot.is_due(node, cx)) else {
            return Turn::Nothing;
        };
        let bytes = u64::from(snapshot.due(step));
        if let Err(turn) = admit(self.class, node, bytes, cx) {
            return turn;
        }
        let Some(snapshot) = self.serving.snapshots.get_mut(&node) else {
            return Turn::Nothing;
        };
        let part = snapshot.take(bytes as u32);
        let flight = (u64::from(snapshot.next()), bytes);
        cx.windows.sent(node, snapshot.attempt, flight, cx.now);
        self.send_to_node(node, part, cx);
        Turn::Sent
    }
}
