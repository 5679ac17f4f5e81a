//! Unknown entries: asked of any member, and taken only if the hash link proves them (D13f, R13).

use super::follow::admits;
use super::patience::Patience;
use super::snapshot::SnapshotReceive;
use super::{Chain, Entries, StepContext};
use crate::chain::entry::{Entry, LogPosition};
use crate::chain::order::{Checkpoint, Slot};
use crate::count::Count;
use crate::deadline::Timer;
use crate::id::{Attempt, NodeId, Seq};
use crate::message::ReplicaMessage;
use alloc::sync::Arc;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What was asked for in the place of unknown entries.
#[derive(Clone, Debug, Default, Hash, Serialize, Deserialize)]
pub(super) struct Repair {
    asked: Option<Attempt>,
    /// Who was asked last.
    turn: Option<NodeId>,
    /// Where the run begins, or began, that everybody is asked for.
    run: Seq,
    /// How long to wait: everybody is asked for every run before a wait becomes longer.
    patience: Patience,
    receiving: Option<SnapshotReceive>,
    /// A peer's checkpoint that makes the unknown entries below its floor needless.
    checkpoint: Option<Arc<Checkpoint>>,
}

impl Chain {
    /// Asks the next member in turn for a run of unknown entries, a heartbeat after the one before
    /// as long as some were not asked. Then it is the next run's turn: nobody may have this one,
    /// and what others have may prove it, or a checkpoint in its place.
    pub(super) fn ask_repair(&mut self, cx: &mut StepContext<'_>) {
        // A checkpoint that comes from a leader takes the place of all entries; one whose leader is
        // gone, or whose parts were not taken, may never be whole.
        if self.log.unknown() == 0 || (self.follow.is_receiving() && self.has_live_leader(cx)) {
            return cx.deadlines.disarm(self.index, Timer::Repair);
        }
        if cx.deadlines.armed(self.index, Timer::Repair).is_some() {
            return;
        }
        self.await_repair(cx);
        let Some(next) = self.next_live_peer(self.repair.turn, cx) else {
            return;
        };
        let attempt = cx.attempt();
        self.repair.asked = Some(attempt);
        // The circle begins behind this node.
        let place = |node: NodeId| (node <= self.me.node, node);
        let last = self.repair.turn.replace(next);
        let is_round = last.is_some_and(|last| place(next) <= place(last));
        if is_round {
            self.repair.run = self.unknown_end(self.repair.run);
        }
        let behind = self.log.first_unknown(self.repair.run);
        if is_round && behind.is_none() {
            self.repair.patience.ask_again();
        }
        let Some(first) = behind.or_else(|| self.log.first_unknown(self.log.floor())) else {
            return;
        };
        self.repair.run = first;
        let end = self.unknown_end(first);
        let content = ReplicaMessage::Fetch {
            from: first,
            end,
            attempt,
        };
        self.send_to_node(next, content, cx);
    }

    fn await_repair(&mut self, cx: &mut StepContext<'_>) {
        let heartbeat = cx.config.heartbeat();
        self.repair.patience.begin(cx.now);
        let first = match self.repair.receiving {
            Some(_) => heartbeat.max(self.repair.patience.took() * 2),
            None => heartbeat,
        };
        let at = cx.now.after(self.repair.patience.wait(first, heartbeat));
        cx.deadlines.arm(self.index, Timer::Repair, at);
    }

    /// The live peer behind `last` in the circle of nodes; behind this node to begin with. So
    /// everybody has a turn, whatever else the node asks and whoever comes and goes meanwhile.
    fn next_live_peer(&self, last: Option<NodeId>, cx: &StepContext<'_>) -> Option<NodeId> {
        let last = last.unwrap_or(self.me.node);
        let nodes = self.peers().into_iter().map(|member| member.node);
        let live = nodes.filter(|&node| !cx.liveness.is_suspected(node));
        live.min_by_key(|&node| (node <= last, node))
    }

    /// The end of the run of unknown entries that starts at `first`.
    pub(super) fn unknown_end(&self, first: Seq) -> Seq {
        let mut end = first;
        while end < self.log.end() && self.log.slot(end) == Some(&Slot::Unknown) {
            end = end.next();
        }
        end
    }

    /// Entries of some member: they fill the end of an unknown run if what follows it names the
    /// last of them, for each names the one before.
    pub(super) fn on_fetched(
        &mut self,
        since: LogPosition,
        entries: &Entries,
        cx: &mut StepContext<'_>,
    ) {
        let Some(first) = self.log.first_unknown(since.end) else {
            return;
        };
        let end = self.unknown_end(first);
        if since.end != first {
            return cx.count(Count::StaleAnswer);
        }
        let run = entries.get(..end.distance(first) as usize);
        match run.filter(|run| self.is_linked_to_next(since, run, cx)) {
            Some(run) => {
                self.repair.patience.answered(cx.now);
                self.mend(run.to_vec(), cx);
                // There may be more to ask for.
                cx.deadlines.disarm(self.index, Timer::Repair);
            }
            None => cx.count(Count::ChunkUnsound),
        }
    }

    fn is_linked_to_next(
        &self,
        since: LogPosition,
        run: &[Arc<Entry>],
        cx: &StepContext<'_>,
    ) -> bool {
        let mut tip = since;
        for entry in run {
            if entry.seq != tip.end
                || entry.generation != self.generation
                || !admits(entry, cx)
                || !entry.follows(tip.hash)
            {
                return false;
            }
            tip = LogPosition {
                end: entry.seq.next(),
                epoch: entry.epoch,
                hash: entry.hash,
            };
        }
        run.last().is_some_and(|last| self.is_followed(last))
    }

    /// Whether what stands behind an entry here names that very entry.
    pub(super) fn is_followed(&self, entry: &Entry) -> bool {
        let end = entry.seq.next();
        match self.log.entry(end) {
            Some(next) => next.follows(entry.hash),
            None => end == self.log.end() && self.log.tip().hash == entry.hash,
        }
    }

    /// Whether this part of a checkpoint answers our question for unknown entries.
    pub(super) fn is_repair(&self, content: &ReplicaMessage) -> bool {
        matches!(content, ReplicaMessage::InstallSnapshot { attempt, .. } if self.repair.asked == Some(*attempt))
    }

    /// A member retains none of the unknown entries any more: its checkpoint takes their place,
    /// provided that our log holds the floor's position.
    pub(super) fn on_repair_part(
        &mut self,
        from: NodeId,
        content: &ReplicaMessage,
        cx: &mut StepContext<'_>,
    ) {
        let mut receiving = self.repair.receiving.take();
        if let Some(checkpoint) = self.take_part(from, &mut receiving, content, cx) {
            self.repair.checkpoint = Some(checkpoint);
        }
        self.repair.receiving = receiving;
        // Nobody else is asked while parts come.
        self.repair.patience.answered(cx.now);
        self.await_repair(cx);
    }

    /// A peer's checkpoint that may take the place of our prefix now. A floor is at or below the
    /// commit of its member, so where our log holds the floor's position its prefix is committed:
    /// nobody else might be left who could say so.
    pub(super) fn repairing_checkpoint(
        &mut self,
        cx: &mut StepContext<'_>,
    ) -> Option<Arc<Checkpoint>> {
        let floor = self.repair.checkpoint.as_ref()?.floor;
        let first = self.log.first_unknown(self.log.floor())?;
        // The entry before the floor may itself be unknown; then the one behind it names it.
        let is_ours = match self.log.position_at(floor.end) {
            Some(tip) => tip == floor,
            None => self
                .log
                .entry(floor.end)
                .is_some_and(|next| next.follows(floor.hash)),
        };
        if first >= floor.end || !is_ours || floor.end > self.log.durable().end {
            return None;
        }
        if floor.end > self.commit {
            self.raise_commit(floor.end, cx);
        }
        self.repair.checkpoint.take()
    }

    /// Puts proven entries in the place of unknown ones, here and in the store.
    pub(super) fn mend(&mut self, entries: Vec<Arc<Entry>>, cx: &mut StepContext<'_>) {
        for entry in &entries {
            cx.count(Count::Repaired);
            self.log.repair(entry.clone());
        }
        self.writer.repair(&entries);
    }
}
