//! Entries of the leader meet our log: the one place that cuts.

use super::{Chain, Entries, StepContext};
use crate::action::StopReason;
use crate::chain::entry::Entry;
use crate::chain::order::Slot;
use crate::count::Count;
use crate::id::Seq;
use alloc::sync::Arc;

impl Chain {
    /// Takes sound entries: skips equal ones, repairs unknown ones, cuts at the first different
    /// one, appends the rest. Returns how many it took; `None` when that would contradict what is
    /// committed or verified.
    pub(super) fn merge(&mut self, entries: &Entries, cx: &mut StepContext<'_>) -> Option<usize> {
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
    fn cut(&mut self, end: Seq, cx: &mut StepContext<'_>) -> Option<()> {
        if end < self.commit || end < self.verified {
            self.contradicted(cx);
            return None;
        }
        cx.count(Count::Cut);
        let (chain, leader) = (cx.config.name_of(self.id), self.epoch.node);
        tracing::info!(chain, %leader, from = %end, end = %self.log.end(), "entries cut");
        self.log.cut(end);
        self.writer.cut(end);
        Some(())
    }

    /// The leader's log differs from what is committed or verified here.
    pub(super) fn contradicted(&mut self, cx: &mut StepContext<'_>) {
        cx.count(Count::Contradicted);
        self.stop(StopReason::Contradicted, cx);
    }

    /// Compares the leader's entries with a run of unknown ones, of which only the end can be
    /// told by its hash. In between, equal epochs mean equal entries (log-matching): that tells
    /// where the logs part when the whole run is of one epoch.
    fn compare_unknown(&self, entries: &[Arc<Entry>]) -> Compared {
        let (first, end) = (entries[0].seq, self.unknown_end(entries[0].seq));
        let count = end.distance(first) as usize;
        let highest = match self.log.entry(end) {
            Some(next) => next.epoch.n,
            None => self.log.tip().epoch.n,
        };
        if entries[0].epoch.n > highest {
            return Compared::DiffersAfter(0);
        }
        let Some(run) = entries.get(..count) else {
            return Compared::Open;
        };
        if self.is_followed(&run[count - 1]) {
            return Compared::Equal(count);
        }
        if count == 1 {
            return Compared::DiffersAfter(0);
        }
        let lowest = self.log.epoch_before(first).map(|epoch| epoch.n);
        let parts = run.iter().position(|entry| entry.epoch.n != highest);
        match parts {
            Some(at) if lowest == Some(highest) => Compared::DiffersAfter(at),
            Some(_) | None => Compared::Open,
        }
    }
}

/// What a comparison with unknown entries tells.
enum Compared {
    /// So many entries are the ones that were lost.
    Equal(usize),
    /// So many are, and the next one is not.
    DiffersAfter(usize),
    /// It tells nothing.
    Open,
}
