//! The follower's side of replication: pulls, chunks and conflicts.

use super::helper::Help;
use super::overtake::{Chunk, Overtaken};
use super::patience::Patience;
use super::role::Role;
use super::snapshot::SnapshotReceive;
use super::{Chain, Entries, StepContext};
use crate::action::StopReason;
use crate::chain::entry::{self, Entry, LogPosition};
use crate::chain::order::Checkpoint;
use crate::count::Count;
use crate::deadline::Timer;
use crate::id::{Attempt, Epoch, NodeId, PullNumber, Seq};
use crate::message::{ReplicaMessage, RowState};
use alloc::sync::Arc;
use serde::{Deserialize, Serialize};

/// Where a follower is in pulling from its leader.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub(super) struct Follow {
    /// First position wanted: everything below was compared, or is still assumed equal.
    pub(super) next: Seq,
    /// No entry of ours from here on is the leader's.
    pub(super) shared: Seq,
    /// The stream of chunks that is open. What answers an older one counts, too, if it fits; a
    /// conflict or a checkpoint does not.
    pub(super) stream: Option<Attempt>,
    /// What the last pull acknowledged.
    reported: Option<Seq>,
    /// Whether it was said again because a chunk brought nothing.
    is_repeated: bool,
    /// End of the furthest chunk of the stream that was seen, taken or not.
    pub(super) seen: Seq,
    pub(super) overtaken: Overtaken,
    number: PullNumber,
    pub(super) patience: Patience,
    /// The retention floor that the leader shipped.
    pub(super) floor: Seq,
    pub(super) help: Help,
    pub(super) receiving: Option<SnapshotReceive>,
    /// A complete checkpoint that waits to be installed.
    pub(super) reset: Option<Arc<Checkpoint>>,
}

impl Follow {
    pub(super) fn new(end: Seq) -> Self {
        Self {
            next: end,
            shared: end,
            stream: None,
            reported: None,
            is_repeated: false,
            seen: end,
            overtaken: Overtaken::default(),
            number: PullNumber::new(0),
            patience: Patience::default(),
            floor: Seq::ZERO,
            help: Help::default(),
            receiving: None,
            reset: None,
        }
    }

    /// Whether parts of a checkpoint come on the present stream.
    pub(super) fn is_receiving(&self) -> bool {
        let receiving = self.receiving.as_ref();
        receiving.is_some_and(SnapshotReceive::is_asked)
    }

    fn has_gap(&self) -> bool {
        let receiving = self.receiving.as_ref();
        self.is_receiving() && receiving.is_some_and(SnapshotReceive::has_gap)
    }

    /// Forgets the stream: nothing of an older epoch or leader is waited for. What came of a
    /// checkpoint is kept, for the next leader may have the same one.
    pub(super) fn restart(&mut self, end: Seq) {
        self.next = end;
        self.shared = end;
        self.stream = None;
        self.reported = None;
        self.is_repeated = false;
        self.patience = Patience::default();
        self.seen = end;
        self.overtaken.clear();
        self.help = Help::default();
        if let Some(receiving) = &mut self.receiving {
            receiving.ask_again();
        }
    }
}

impl Chain {
    /// Opens the stream to the leader, or acknowledges what became durable.
    pub(super) fn pull(&mut self, cx: &mut StepContext<'_>) {
        let Some(leader) = self.leader else { return };
        if self.role != Role::Replica || !self.is_settled() || self.is_resetting() {
            return;
        }
        // The entry before the position has to be named, so where it is unknown the comparison
        // starts before it; nobody may be left who could repair it first.
        let lowest = self.commit.max(self.log.floor());
        // Retention may have passed the position: what is committed needs no comparison.
        self.follow.next = self.follow.next.max(lowest);
        while self.follow.next > lowest && self.log.position_at(self.follow.next).is_none() {
            let next = self.follow.next.before();
            self.follow.next = next.expect("it is above the lowest position");
        }
        let durable = self.log.durable().end;
        let is_told = self.follow.reported == Some(durable.min(self.follow.next));
        if self.follow.stream.is_some() && is_told && !self.follow.help.is_under_way() {
            return;
        }
        if self.is_helped(leader, cx) {
            return;
        }
        let acknowledged = durable.min(self.follow.next);
        let Some(since) = self.log.position_at(self.follow.next) else {
            return;
        };
        let attempt = self.follow.stream.unwrap_or_else(|| {
            // Of a new stream nothing was seen yet, so nothing of it is missing.
            self.follow.seen = self.follow.next;
            cx.attempt()
        });
        self.follow.stream = Some(attempt);
        self.follow.reported = Some(acknowledged);
        let number = self.follow.number.advance();
        let content = ReplicaMessage::Pull {
            since,
            durable: Some(durable),
            attempt,
            number,
        };
        self.send_to_node(leader, content, cx);
        self.expect_progress(cx);
    }

    /// Asks anew after a heartbeat without progress, as long as there is something to wait for;
    /// much sooner when something overtook what is missing.
    pub(super) fn expect_progress(&mut self, cx: &mut StepContext<'_>) {
        let heartbeat = cx.config.heartbeat();
        self.follow.patience.begin(cx.now);
        if self.follow.next < self.follow.seen || self.follow.has_gap() {
            let first = self.follow.overtaken.patience(heartbeat);
            let span = self.follow.patience.wait(first, heartbeat);
            let receiving = self.follow.receiving.as_ref();
            let at = (self.follow.next, receiving.map_or(0, SnapshotReceive::end));
            let stream = self.follow.stream;
            let since = self.follow.overtaken.open(at, stream, cx.now);
            let at = since.after(span).max(cx.now);
            if self.follow.patience.is_tried() {
                // What was asked for in vain before is not put off by what shows that it lacks.
                cx.deadlines.arm_by(self.index, Timer::Pull, at);
            } else {
                cx.deadlines.arm(self.index, Timer::Pull, at);
            }
        } else {
            let span = self.follow.patience.wait(heartbeat, heartbeat);
            cx.deadlines
                .arm(self.index, Timer::Pull, cx.now.after(span));
        }
    }

    /// What was asked of the leader did not come.
    pub(crate) fn on_pull_due(&mut self, cx: &mut StepContext<'_>) {
        let Some(leader) = self.leader else { return };
        if self.role != Role::Replica {
            return;
        }
        self.follow.is_repeated = false;
        if self.follow.help.is_under_way() {
            return self.on_help_due(cx);
        }
        self.follow.help.try_everybody();
        let row = cx
            .liveness
            .row(leader, self.id, self.generation)
            .and_then(|row| row.state);
        let is_behind = row.is_none_or(|row| self.is_behind(&row));
        let is_level = self.follow.next == self.log.end()
            && row.is_some_and(|row| row.durable.is_none_or(|end| end <= self.log.end()));
        if self.follow.next < self.follow.seen {
            // A chunk is lost: a new stream starts before it.
            self.ask_anew();
        } else if self.follow.is_receiving() {
            // Either of the two may have been lost, and the leader knows the request by both. It
            // may also have begun another checkpoint, whose first part was lost.
            self.follow.reported = None;
            self.follow.patience.ask_again();
            self.follow.overtaken.ask_again(cx.now);
            self.request_snapshot_again(cx);
        } else if !is_level || is_behind || self.commit < self.log.end() {
            // The leader judges whether what is missing may still be on its way.
            self.follow.reported = None;
            self.follow.patience.ask_again();
        } else {
            // Nothing is missing, and nothing else would ask again: the next sign of something
            // new has to.
            self.follow.patience.end();
        }
    }

    fn ask_anew(&mut self) {
        self.follow.stream = None;
        self.follow.patience.ask_again();
    }

    /// Whether this follower waits for something of the leader `peer`.
    pub(crate) fn awaits_bulk_of(&self, peer: NodeId) -> bool {
        self.leader == Some(peer) && self.role == Role::Replica && self.follow.patience.is_waiting()
    }

    /// Repeats the request to the leader with the next settling.
    pub(crate) fn pull_again(&mut self) {
        self.follow.reported = None;
    }

    /// What comes may not be taken for a while, so whoever leads or helps after it is asked again:
    /// the leader judges what it still has on its way.
    pub(super) fn stop_asking(&mut self) {
        self.follow.reported = None;
        if self.follow.help.is_under_way() {
            self.end_help();
        }
    }

    fn is_behind(&self, leader: &RowState) -> bool {
        leader.commit > self.commit || leader.durable.is_some_and(|end| end > self.log.end())
    }

    /// The leader's row shows that something did not arrive.
    pub(super) fn watch_progress(&mut self, row: RowState, cx: &mut StepContext<'_>) {
        let is_asked = self.follow.patience.is_tried() || self.follow.help.is_under_way();
        if self.is_behind(&row) && !is_asked {
            let at = cx.now.after(cx.config.heartbeat() / 4);
            cx.deadlines.arm_by(self.index, Timer::Pull, at);
        }
    }

    pub(super) fn is_live(&self, attempt: Attempt) -> bool {
        self.follow.stream == Some(attempt)
    }

    /// Takes a chunk whose predecessor is here.
    pub(super) fn take_chunk(&mut self, chunk: Chunk, cx: &mut StepContext<'_>) {
        let is_live = self.is_live(chunk.attempt);
        let Chunk {
            attempt,
            since,
            ref entries,
            told: (commit, floor),
        } = chunk;
        if !self.is_sound(since, entries, cx) {
            return cx.count(Count::ChunkUnsound);
        }
        let Some(taken) = self.merge(entries, cx) else {
            return;
        };
        if !is_live {
            cx.count(Count::ChunkLate);
        }
        let end = Seq::new(since.end.get() + taken as u64);
        self.follow.seen = if taken < entries.len() {
            // Before the unknown entries are repaired asking again brings nothing.
            end
        } else {
            self.follow.seen.max(end)
        };
        let is_news = !entries.is_empty() || commit > self.commit || floor > self.follow.floor;
        if !is_news && !self.follow.is_repeated {
            // The leader wants to hear again what it did not hear; once, for it says again what it
            // may think unheard in turn.
            self.follow.reported = None;
        }
        self.follow.is_repeated = !is_news;
        if end > self.follow.next {
            let next = self.follow.next;
            self.follow.overtaken.close(next, attempt, cx.now);
        }
        self.follow.next = self.follow.next.max(end).min(self.log.end());
        self.follow.shared = self.follow.shared.max(self.follow.next);
        self.verified = self.verified.max(end);
        self.follow.floor = self.follow.floor.max(floor);
        self.follow
            .receiving
            .take_if(|receiving| receiving.floor() <= end);
        if !entries.is_empty() {
            self.follow.patience.answered(cx.now);
        }
        self.learn_commit(commit, cx);
        // A leader that says the same again and again must not put off the next question.
        if is_news || cx.deadlines.armed(self.index, Timer::Pull).is_none() {
            self.expect_progress(cx);
        }
    }

    /// Whether the entries are contiguous, linked, and of epochs that may stand here.
    pub(super) fn is_sound(
        &self,
        since: LogPosition,
        entries: &Entries,
        cx: &StepContext<'_>,
    ) -> bool {
        let mut tip = since;
        for entry in entries.iter() {
            let is_next = entry.seq == tip.end && entry.generation == self.generation;
            let is_epoch = entry.epoch.n >= tip.epoch.n && entry.epoch.n <= self.epoch.n;
            if !is_next || !is_epoch || !admits(entry, cx) || !self.is_linked(entry, tip) {
                return false;
            }
            tip = LogPosition {
                end: entry.seq.next(),
                epoch: entry.epoch,
                hash: entry.hash,
            };
        }
        true
    }

    fn is_linked(&self, entry: &Entry, tip: LogPosition) -> bool {
        // An entry that is already here with this hash was checked when it came.
        let here = self.log.entry(entry.seq);
        here.is_some_and(|own| own.hash == entry.hash) || entry.follows(tip.hash)
    }

    /// The predecessor that a pull named differs from the leader's: looks further back, and
    /// changes nothing else.
    pub(super) fn on_conflict(
        &mut self,
        attempt: Attempt,
        failed: LogPosition,
        (hint, hint_epoch, differs): (Seq, Epoch, bool),
        cx: &mut StepContext<'_>,
    ) {
        let is_asked = self.is_live(attempt) && failed.end == self.follow.next;
        let is_here = self.log.position_at(failed.end) == Some(failed);
        let failed = failed.end;
        if !is_asked || !is_here || hint >= failed || self.is_resetting() {
            return cx.count(Count::ConflictIgnored);
        }
        let lowest = self.commit.max(self.log.floor());
        if differs && failed <= self.commit {
            // Whoever leads has all that is committed, so one of the two forgot what it said.
            return self.contradicted(cx);
        }
        let mut next = hint.next();
        while next > lowest
            && self
                .log
                .epoch_before(next)
                .is_some_and(|e| e.n > hint_epoch.n)
        {
            next = next.before().expect("it is above the lowest position");
        }
        let next = next.max(lowest);
        if next >= failed {
            return cx.count(Count::ConflictIgnored);
        }
        self.follow.next = next;
        self.follow.shared = next;
        self.follow.stream = None;
    }

    /// The leader found our durable tail below what we acknowledged (D13g).
    pub(super) fn on_regressed(&mut self, acknowledged: Seq, cx: &mut StepContext<'_>) {
        if !self.is_resetting() && self.log.durable().end < acknowledged {
            self.stop(StopReason::StoreRegressed, cx);
        }
    }
}

/// Whether the members that an entry may name are stores of this genesis.
pub(super) fn admits(entry: &Entry, cx: &StepContext<'_>) -> bool {
    match &entry.kind {
        entry::EntryKind::Config(membership) => cx.config.admits(membership),
        entry::EntryKind::Empty | entry::EntryKind::OpenClient | entry::EntryKind::Data(_) => true,
    }
}
