//! The follower's side of replication: pulls, chunks and the one place that cuts (D13a, D13c).

use super::helper::Help;
use super::reset::Incoming;
use super::role::Role;
use super::{Chain, Cx, Entries};
use crate::action::Fault;
use crate::chain::entry::{self, Entry, Tip};
use crate::chain::order::{Checkpoint, Slot};
use crate::count::Count;
use crate::deadline::Kind;
use crate::id::{Attempt, Epoch, Number, Seq};
use crate::message::{RowState, Talk};
use alloc::sync::Arc;
use serde::{Deserialize, Serialize};

/// Where a follower is in pulling from its leader.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub(super) struct Follow {
    /// First position wanted: everything below was compared, or is still assumed equal.
    pub(super) next: Seq,
    /// No entry of ours from here on is the leader's.
    pub(super) shared: Seq,
    /// The stream of chunks that is open; the only one whose answers count.
    pub(super) stream: Option<Attempt>,
    /// What the last pull acknowledged.
    reported: Option<Seq>,
    /// End of the furthest chunk of the stream that was seen, taken or not.
    pub(super) seen: Seq,
    number: Number,
    /// How often it asked anew without an answer in between: each time it waits twice as long,
    /// or over a slow link every answer would come too late.
    pub(super) unanswered: u32,
    /// The retention floor that the leader shipped.
    pub(super) floor: Seq,
    pub(super) help: Help,
    pub(super) incoming: Option<Incoming>,
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
            seen: end,
            number: Number::new(0),
            unanswered: 0,
            floor: Seq::ZERO,
            help: Help::default(),
            incoming: None,
            reset: None,
        }
    }

    /// Forgets the stream: nothing of an older epoch or leader is waited for.
    pub(super) fn restart(&mut self, end: Seq) {
        self.next = end;
        self.shared = end;
        self.stream = None;
        self.reported = None;
        self.unanswered = 0;
        self.seen = end;
        self.help = Help::default();
        self.incoming = None;
    }
}

impl Chain {
    /// Opens the stream to the leader, or acknowledges what became durable.
    pub(super) fn pull(&mut self, cx: &mut Cx<'_>) {
        let Some(leader) = self.leader else { return };
        if self.role != Role::Replica || !self.is_settled() || self.is_resetting() {
            return;
        }
        // The entry before the position has to be named, so where it is unknown the comparison
        // starts before it; nobody may be left who could repair it first.
        let lowest = self.commit.max(self.log.floor());
        while self.follow.next > lowest && self.log.tip_at(self.follow.next).is_none() {
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
        let Some(since) = self.log.tip_at(self.follow.next) else {
            return;
        };
        let attempt = *self.follow.stream.get_or_insert_with(|| cx.attempt());
        self.follow.reported = Some(acknowledged);
        let number = self.follow.number.advance();
        let talk = Talk::Pull {
            since,
            durable: Some(durable),
            attempt,
            number,
        };
        self.say_to(leader, talk, cx);
        self.expect_progress(cx);
    }

    /// Asks anew after a heartbeat without progress, as long as there is something to wait for;
    /// much sooner when a later chunk overtook one that is missing.
    pub(super) fn expect_progress(&mut self, cx: &mut Cx<'_>) {
        let heartbeat = cx.config.heartbeat();
        if self.follow.next < self.follow.seen {
            cx.deadlines
                .arm_by(self.index, Kind::Pull, cx.now.after(heartbeat / 32));
        } else {
            let span = heartbeat * (1 << self.follow.unanswered.min(UNANSWERED_MAX));
            cx.deadlines.arm(self.index, Kind::Pull, cx.now.after(span));
        }
    }

    /// What was asked of the leader did not come.
    pub(crate) fn on_pull_due(&mut self, cx: &mut Cx<'_>) {
        let Some(leader) = self.leader else { return };
        if self.role != Role::Replica {
            return;
        }
        if self.follow.help.is_under_way() {
            return self.on_help_due(cx);
        }
        self.follow.help.try_everybody();
        let row = cx
            .liveness
            .row(leader, self.id, self.generation)
            .and_then(|row| row.state);
        let is_behind = row.is_none_or(|row| self.is_behind(&row));
        let is_missing = self.follow.next < self.follow.seen.max(self.log.end());
        if is_behind || is_missing || self.commit < self.log.end() {
            self.follow.stream = None;
            self.follow.seen = self.follow.next;
            self.follow.unanswered = self.follow.unanswered.saturating_add(1);
        } else {
            // Nothing is missing, and nothing else would ask again: the next sign of something
            // new has to.
            self.follow.unanswered = 0;
        }
    }

    /// What comes is not taken for a while, so whoever leads or helps after it is asked anew.
    pub(super) fn stop_asking(&mut self) {
        self.follow.stream = None;
        if self.follow.help.is_under_way() {
            self.end_help();
        }
    }

    fn is_behind(&self, leader: &RowState) -> bool {
        leader.commit > self.commit || leader.durable.is_some_and(|end| end > self.log.end())
    }

    /// The leader's row shows that something did not arrive.
    pub(super) fn watch_progress(&mut self, row: RowState, cx: &mut Cx<'_>) {
        let is_asked = self.follow.unanswered > 0 || self.follow.help.is_under_way();
        if self.is_behind(&row) && !is_asked {
            let at = cx.now.after(cx.config.heartbeat() / 4);
            cx.deadlines.arm_by(self.index, Kind::Pull, at);
        }
    }

    pub(super) fn is_live(&self, attempt: Attempt) -> bool {
        self.follow.stream == Some(attempt)
    }

    /// Entries of the leader, behind a predecessor that has to be ours.
    pub(super) fn on_chunk(
        &mut self,
        attempt: Attempt,
        since: Tip,
        entries: &Entries,
        (commit, floor): (Seq, Seq),
        cx: &mut Cx<'_>,
    ) {
        if !self.is_live(attempt) || self.is_resetting() {
            return cx.count(Count::StaleAnswer);
        }
        let end = Seq::new(since.end.get().saturating_add(entries.len() as u64));
        self.follow.seen = self.follow.seen.max(end);
        if self.log.tip_at(since.end) != Some(since) {
            cx.count(Count::ChunkGap);
            return self.expect_progress(cx);
        }
        if !self.is_sound(since, entries, cx) {
            return cx.count(Count::ChunkUnsound);
        }
        let Some(taken) = self.merge(entries, cx) else {
            return;
        };
        let end = Seq::new(since.end.get() + taken as u64);
        if taken < entries.len() {
            // Before the unknown entries are repaired asking again brings nothing.
            self.follow.seen = end;
        }
        if entries.is_empty() && commit <= self.commit && floor <= self.follow.floor {
            // It brings nothing, so the leader wants to hear again what it did not hear.
            self.follow.reported = None;
        }
        self.follow.next = self.follow.next.max(end).min(self.log.end());
        self.follow.shared = self.follow.shared.max(self.follow.next);
        self.verified = self.verified.max(end);
        self.follow.floor = self.follow.floor.max(floor);
        self.follow.incoming = None;
        self.follow.unanswered = 0;
        self.learn_commit(commit, cx);
        self.expect_progress(cx);
    }

    /// Whether the entries are contiguous, linked, and of epochs that may stand here.
    pub(super) fn is_sound(&self, since: Tip, entries: &Entries, cx: &Cx<'_>) -> bool {
        let mut tip = since;
        for entry in entries.iter() {
            let is_next = entry.seq == tip.end && entry.generation == self.generation;
            let is_epoch = entry.epoch.n >= tip.epoch.n && entry.epoch.n <= self.epoch.n;
            if !is_next || !is_epoch || !admits(entry, cx) || !self.is_linked(entry, tip) {
                return false;
            }
            tip = Tip {
                end: entry.seq.next(),
                epoch: entry.epoch,
                hash: entry.hash,
            };
        }
        true
    }

    fn is_linked(&self, entry: &Entry, tip: Tip) -> bool {
        // An entry that is already here with this hash was checked when it came.
        let here = self.log.entry(entry.seq);
        here.is_some_and(|own| own.hash == entry.hash) || entry.follows(tip.hash)
    }

    /// Takes sound entries: skips equal ones, repairs unknown ones, cuts at the first different
    /// one, appends the rest. Returns how many it took; `None` when that would contradict what is
    /// committed or verified.
    fn merge(&mut self, entries: &Entries, cx: &mut Cx<'_>) -> Option<usize> {
        let mut at = 0;
        while let Some(entry) = entries.get(at) {
            match self.log.slot(entry.seq) {
                Some(Slot::Known(own)) if own.hash == entry.hash => at += 1,
                Some(Slot::Known(_)) => self.cut(entry.seq, cx)?,
                Some(Slot::Unknown) => match self.compare_unknown(&entries[at..]) {
                    Compared::Equal(count) => {
                        self.mend(entries[at..at + count].to_vec(), cx);
                        at += count;
                    }
                    Compared::DiffersAfter(count) => {
                        self.mend(entries[at..at + count].to_vec(), cx);
                        at += count;
                        self.cut(entries[at].seq, cx)?;
                    }
                    Compared::Open => {
                        cx.count(Count::ChunkUnsound);
                        return Some(at);
                    }
                },
                None => {
                    self.log.append(entry.clone());
                    at += 1;
                }
            }
        }
        Some(at)
    }

    /// Drops what differs from the leader's log.
    fn cut(&mut self, end: Seq, cx: &mut Cx<'_>) -> Option<()> {
        if end < self.commit || end < self.verified {
            cx.count(Count::Contradicted);
            self.stop(Fault::Contradicted, cx);
            return None;
        }
        cx.count(Count::Cut);
        let (chain, leader) = (cx.config.name_of(self.id), self.epoch.node);
        tracing::info!(chain, %leader, from = %end, end = %self.log.end(), "entries cut");
        self.log.cut(end);
        self.writer.cut(end);
        Some(())
    }

    /// Compares the leader's entries with a run of unknown ones, of which only the end can be
    /// told by its hash. In between, equal epochs mean equal entries (log-matching): that tells
    /// where the logs part when the whole run is of one epoch.
    fn compare_unknown(&self, entries: &[Arc<Entry>]) -> Compared {
        let (first, end) = (entries[0].seq, self.unknown_end(entries[0].seq));
        let count = end.distance(first) as usize;
        let Some(run) = entries.get(..count) else {
            return Compared::Open;
        };
        if self.is_followed(&run[count - 1]) {
            return Compared::Equal(count);
        }
        let lowest = self.log.epoch_before(first).map(|epoch| epoch.n);
        let highest = match self.log.entry(end) {
            Some(next) => next.epoch.n,
            None => self.log.tip().epoch.n,
        };
        if count == 1 || run[0].epoch.n > highest {
            return Compared::DiffersAfter(0);
        }
        let parts = run.iter().position(|entry| entry.epoch.n != highest);
        match parts {
            Some(at) if lowest == Some(highest) => Compared::DiffersAfter(at),
            Some(_) | None => Compared::Open,
        }
    }

    /// The predecessor that a pull named differs from the leader's: looks further back, and
    /// changes nothing else.
    pub(super) fn on_conflict(
        &mut self,
        attempt: Attempt,
        failed: Seq,
        hint: Seq,
        hint_epoch: Epoch,
        cx: &mut Cx<'_>,
    ) {
        let is_asked = self.is_live(attempt) && failed == self.follow.next;
        if !is_asked || hint >= failed || self.is_resetting() {
            return cx.count(Count::ConflictIgnored);
        }
        let lowest = self.commit.max(self.log.floor());
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
    pub(super) fn on_regressed(&mut self, acknowledged: Seq, cx: &mut Cx<'_>) {
        if !self.is_resetting() && self.log.durable().end < acknowledged {
            self.stop(Fault::StoreRegressed, cx);
        }
    }
}

/// How often the wait for an answer is doubled.
const UNANSWERED_MAX: u32 = 2;

/// What a comparison with unknown entries tells.
enum Compared {
    /// So many entries are the ones that were lost.
    Equal(usize),
    /// So many are, and the next one is not.
    DiffersAfter(usize),
    /// It tells nothing.
    Open,
}

/// Whether the members that an entry may name are stores of this genesis.
pub(super) fn admits(entry: &Entry, cx: &Cx<'_>) -> bool {
    match &entry.kind {
        entry::Kind::Config(membership) => cx.config.admits(membership),
        entry::Kind::Empty | entry::Kind::OpenClient | entry::Kind::Data(_) => true,
    }
}
