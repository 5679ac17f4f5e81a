//! The ground truth of one chain instance: every entry that any replica ever held, and which of
//! them are committed.
//!
//! It is a ring of positions. A position holds the different entries that were seen there, each
//! with the hash it links to; so the log behind any tip can be walked back. What lies below the
//! floors of all replicas is dropped, which keeps a long run flat. It decides nothing by itself:
//! *log-matching*, *commit-stable* and *leader-complete* are judged on top of it.

use meshos_core::chain::entry::{Entry, EntryHash, LogPosition};
use meshos_core::id::Seq;
use std::collections::VecDeque;
use std::sync::Arc;

/// An entry and what it links to.
#[derive(Clone, Debug)]
pub struct Line {
    /// The entry.
    pub entry: Arc<Entry>,
    /// Hash of the entry before it, in the log where it was first seen.
    pub previous: EntryHash,
}

impl Line {
    /// The end of a log that ends with this entry.
    pub fn tip(&self) -> LogPosition {
        LogPosition {
            end: self.entry.seq.next(),
            epoch: self.entry.epoch,
            hash: self.entry.hash,
        }
    }
}

/// One position.
#[derive(Clone, Debug, Default)]
struct Place {
    first: Option<Line>,
    others: Vec<Line>,
    /// The hash of the committed one.
    committed: Option<EntryHash>,
}

impl Place {
    fn lines(&self) -> impl Iterator<Item = &Line> {
        self.first.iter().chain(&self.others)
    }

    fn line(&self, hash: EntryHash) -> Option<&Line> {
        self.lines().find(|line| line.entry.hash == hash)
    }
}

/// Every entry of a chain instance that still matters.
#[derive(Clone, Debug)]
pub struct Truth {
    /// The committed prefix up to the first position that is kept.
    base: LogPosition,
    places: VecDeque<Place>,
    /// The end of the committed prefix.
    committed: LogPosition,
    /// Above here every position was only ever held by one entry.
    forked_below: u64,
}

/// What was found at a position.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Walk {
    /// The log passes through this tip.
    LogPosition(LogPosition),
    /// The position was dropped, or the log behind it was never seen.
    Lost,
}

impl Truth {
    /// A chain that begins at `founding`.
    pub fn new(founding: LogPosition) -> Self {
        Self {
            base: founding,
            places: VecDeque::new(),
            committed: founding,
            forked_below: 0,
        }
    }

    /// The first position that is kept.
    pub fn base(&self) -> Seq {
        self.base.end
    }

    /// The end of the committed prefix.
    pub fn committed(&self) -> LogPosition {
        self.committed
    }

    /// How many positions are kept.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    fn place(&self, seq: Seq) -> Option<&Place> {
        let at = seq.get().checked_sub(self.base.end.get())?;
        self.places.get(usize::try_from(at).ok()?)
    }

    /// The entry at `seq` with this hash, if one was seen.
    pub fn line(&self, seq: Seq, hash: EntryHash) -> Option<&Line> {
        self.place(seq)?.line(hash)
    }

    /// An entry at `seq` of epoch number `n`, if one was seen.
    pub fn of_epoch(&self, seq: Seq, n: u64) -> Option<&Line> {
        self.place(seq)?
            .lines()
            .find(|line| line.entry.epoch.n == n)
    }

    /// Whether the first entry seen at `seq` is this very one, behind the same predecessor.
    #[inline]
    pub fn is_known(&self, entry: &Arc<Entry>, previous: EntryHash) -> bool {
        let Some(place) = self.place(entry.seq) else {
            return false;
        };
        let same = |line: &Line| Arc::ptr_eq(&line.entry, entry) && line.previous == previous;
        place.first.as_ref().is_some_and(same)
    }

    /// Keeps an entry that was not seen before; one below the base is ignored.
    pub fn keep(&mut self, line: Line) {
        let Some(at) = line.entry.seq.get().checked_sub(self.base.end.get()) else {
            return;
        };
        let at = at as usize;
        if self.places.len() <= at {
            self.places.resize(at + 1, Place::default());
        }
        let seq = line.entry.seq;
        let place = &mut self.places[at];
        if place.first.is_none() {
            place.first = Some(line);
        } else {
            place.others.push(line);
            self.forked_below = self.forked_below.max(seq.get() + 1);
        }
    }

    /// Where the log that ends with `tip` is at `end`, which is not behind it.
    pub fn walk(&self, tip: LogPosition, end: Seq) -> Walk {
        let mut tip = tip;
        while tip.end > end {
            let Some(seq) = tip.end.before() else {
                return Walk::Lost;
            };
            let Some(line) = self.line(seq, tip.hash) else {
                return Walk::Lost;
            };
            let Some(before) = seq.before() else {
                let founding = LogPosition {
                    end: seq,
                    hash: line.previous,
                    ..LogPosition::default()
                };
                return Walk::LogPosition(founding);
            };
            let epoch = self.line(before, line.previous);
            let epoch = epoch.map(|line| line.entry.epoch).unwrap_or_default();
            tip = LogPosition {
                end: seq,
                epoch,
                hash: line.previous,
            };
        }
        Walk::LogPosition(tip)
    }

    /// Whether a log that ends with `tip` holds everything up to `prefix`; `None` when that can
    /// no longer be told.
    #[inline]
    pub fn holds(&self, tip: LogPosition, prefix: LogPosition) -> Option<bool> {
        if tip.end < prefix.end {
            return Some(false);
        }
        if tip.end == prefix.end {
            return Some(tip.hash == prefix.hash);
        }
        let is_straight = prefix.end.get() > self.forked_below
            && prefix.end > self.base.end
            && tip.end.get() <= self.base.end.get() + self.places.len() as u64;
        if is_straight {
            return Some(true);
        }
        match self.walk(tip, prefix.end) {
            Walk::LogPosition(found) => Some(found.hash == prefix.hash),
            Walk::Lost => None,
        }
    }

    /// The committed entry at `seq`.
    pub fn committed_at(&self, seq: Seq) -> Option<&Line> {
        let place = self.place(seq)?;
        place.line(place.committed?)
    }

    /// The end of the committed prefix that ends at `end`; `None` when it is not committed or
    /// was dropped.
    pub fn committed_tip(&self, end: Seq) -> Option<LogPosition> {
        if end == self.committed.end {
            return Some(self.committed);
        }
        if end == self.base.end {
            return Some(self.base);
        }
        self.committed_at(end.before()?).map(Line::tip)
    }

    /// How far a log that ends with `tip` agrees with the committed prefix.
    pub fn agreed(&self, tip: LogPosition) -> Seq {
        let top = tip.end.min(self.committed.end);
        let Walk::LogPosition(mut at) = self.walk(tip, top) else {
            return self.base.end.min(tip.end);
        };
        while at.end > self.base.end {
            if self
                .committed_tip(at.end)
                .is_some_and(|own| own.hash == at.hash)
            {
                return at.end;
            }
            let Some(before) = at.end.before() else { break };
            let Walk::LogPosition(next) = self.walk(at, before) else {
                break;
            };
            at = next;
        }
        self.base.end.min(tip.end)
    }

    /// Takes everything up to `tip` as committed, and returns the entries that were not yet, in
    /// order; `None` when that log does not continue the committed prefix.
    pub fn commit(&mut self, tip: LogPosition) -> Option<std::ops::Range<u64>> {
        let from = self.committed.end;
        let mut at = tip;
        while at.end > from {
            let seq = at.end.before()?;
            let index = (seq.get() - self.base.end.get()) as usize;
            let place = self.places.get_mut(index)?;
            let previous = place.line(at.hash)?.previous;
            place.committed = Some(at.hash);
            at = LogPosition {
                end: seq,
                hash: previous,
                ..at
            };
        }
        if at.hash != self.committed.hash {
            return None;
        }
        self.committed = tip;
        Some(from.get()..tip.end.get())
    }

    /// Drops the committed positions below `floor`.
    pub fn prune(&mut self, floor: Seq) {
        while self.base.end < floor.min(self.committed.end) {
            let Some(tip) = self.committed_tip(self.base.end.next()) else {
                return;
            };
            self.places.pop_front();
            self.base = tip;
        }
    }
}
