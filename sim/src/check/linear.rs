//! Exact linearizability of a log whose append returns its position.
//!
//! Positions decide the order of the appends, and the end that a read saw decides its place among
//! them, so nothing has to be searched: the history is linearizable exactly when the one
//! candidate order agrees with real time and every read saw what stands in front of it. The cost
//! is that of sorting. Appends without an answer are included exactly: one that a read saw has
//! its position from there; one that nobody saw may have happened at the end or not at all, or,
//! where positions are dense, fills a hole that nothing else fills.
//!
//! Values have to be distinct (a client and its request number); with two equal values the
//! candidate order is not unique and the outcome is "not checked".

mod told;

use super::{Contradiction, Outcome};
use std::collections::BTreeMap;
use std::fmt::Debug;
use told::violated;

/// How the log under test numbers its entries.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Positions {
    /// Every position from `first` on belongs to an append of the history.
    Dense {
        /// Position of the first entry.
        first: u64,
    },
    /// Positions grow; those in between belong to entries that no client appended.
    Sparse,
}

/// What the client that appended was told.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The entry stands at `position`; the answer arrived at `returned`.
    Done {
        /// Moment of the answer.
        returned: u64,
        /// Where the entry stands.
        position: u64,
    },
    /// No answer, or one that leaves the outcome open.
    Unknown,
    /// The entry was certainly not appended.
    Refused,
}

/// One append. Moments are nanoseconds of true time; equal moments are concurrent.
#[derive(Clone, Debug)]
pub struct Append<V> {
    /// Moment at which the client sent it.
    pub invoked: u64,
    /// What was appended; distinct from every other value of the history.
    pub value: V,
    /// What the client was told.
    pub answer: Answer,
}

/// One read of the entries from `from` up to, and without, `end`.
#[derive(Clone, Debug)]
pub struct Read<V> {
    /// Moment at which the client sent it.
    pub invoked: u64,
    /// Moment of the answer.
    pub returned: u64,
    /// Who asked, in words.
    pub by: String,
    /// First position that the answer covers.
    pub from: u64,
    /// Where the log ended for this read.
    pub end: u64,
    /// The entries of clients in that range, in ascending order.
    pub entries: Vec<(u64, V)>,
}

/// Everything that clients of one log did and saw.
#[derive(Clone, Debug)]
pub struct History<V> {
    /// How the log numbers its entries.
    pub positions: Positions,
    /// All appends, in any order.
    pub appends: Vec<Append<V>>,
    /// All completed reads that claim to be linearizable, in any order.
    pub reads: Vec<Read<V>>,
}

impl<V: Ord + Debug> History<V> {
    /// A history without operations.
    pub const fn new(positions: Positions) -> Self {
        Self {
            positions,
            appends: Vec::new(),
            reads: Vec::new(),
        }
    }

    /// Decides whether the history is linearizable.
    pub fn check(&self) -> Outcome {
        match self.decide() {
            Ok(()) => Outcome::Holds,
            Err(outcome) => outcome,
        }
    }

    fn decide(&self) -> Result<(), Outcome> {
        let log = self.place()?;
        for read in &self.reads {
            self.complete(read, &log)?;
        }
        let order = self.order(&log);
        self.in_real_time(&order)?;
        match self.positions {
            Positions::Dense { first } => self.fill_holes(first, &log, &order),
            Positions::Sparse => Ok(()),
        }
    }

    /// Gives every append that is known to have happened its position.
    fn place(&self) -> Result<BTreeMap<u64, usize>, Outcome> {
        let mut by_value: BTreeMap<&V, usize> = BTreeMap::new();
        let mut log = Log::default();
        for (index, append) in self.appends.iter().enumerate() {
            let value = &append.value;
            if by_value.insert(value, index).is_some() {
                return Err(Outcome::NotChecked(format!("{value:?} was appended twice")));
            }
            if let Answer::Done { position, .. } = append.answer {
                self.put(&mut log, position, index, None)?;
            }
        }
        for (number, read) in self.reads.iter().enumerate() {
            for (position, value) in &read.entries {
                let shown = || format!("a {} shows {value:?} at {position}", told::read(read));
                let Some(index) = by_value.get(value).copied() else {
                    let text = format!("{}, which was never appended", shown());
                    return violated(read.returned, text);
                };
                let append = &self.appends[index];
                if append.answer == Answer::Refused {
                    let text = format!("{}, the {}", shown(), told::append(append));
                    return violated(read.returned, text);
                }
                self.put(&mut log, *position, index, Some(number))?;
            }
        }
        if let Positions::Dense { first } = self.positions
            && let Some((position, index)) = log.by_position.range(..first).next()
        {
            let append = &self.appends[*index];
            let text = format!(
                "the {} stands at {position}, before the first position, {first}",
                told::append(append)
            );
            return violated(told::ended(append), text);
        }
        Ok(log.by_position)
    }

    /// Puts an append where its answer, or a read, says that it stands.
    fn put(
        &self,
        log: &mut Log,
        position: u64,
        index: usize,
        source: Option<usize>,
    ) -> Result<(), Outcome> {
        let at = self.known_at(index, source);
        let there = *log.by_position.entry(position).or_insert(index);
        let (known, known_by) = *log.by_append.entry(index).or_insert((position, source));
        let append = || told::append(&self.appends[index]);
        if there != index {
            let (_, there_by) = log.by_append[&there];
            let other = told::append(&self.appends[there]);
            let (one, two) = (self.told_by(there_by), self.told_by(source));
            let text = format!(
                "position {position} holds the {other}, by {one}, and the {}, by {two}",
                append()
            );
            return violated(at.max(self.known_at(there, there_by)), text);
        }
        if known != position {
            let (one, two) = (self.told_by(known_by), self.told_by(source));
            let text = format!(
                "the {} stands at {known}, by {one}, and at {position}, by {two}",
                append()
            );
            return violated(at.max(self.known_at(index, known_by)), text);
        }
        Ok(())
    }

    /// A read shows every entry of its range that is known to stand there, and nothing else.
    fn complete(&self, read: &Read<V>, log: &BTreeMap<u64, usize>) -> Result<(), Outcome> {
        let range = read.from..read.end.max(read.from);
        let mut shown = read.entries.iter().map(|(position, _)| *position);
        let mut expected = log.range(range.clone());
        let wrong =
            |what: String| violated(read.returned, format!("a {} {what}", told::read(read)));
        loop {
            match (shown.next(), expected.next()) {
                (None, None) => break,
                (Some(position), Some((known, _))) if position == *known => {}
                (Some(position), _) if !range.contains(&position) => {
                    return wrong(format!("shows position {position}"));
                }
                (_, Some((position, index))) => {
                    let append = told::append(&self.appends[*index]);
                    return wrong(format!("lacks the {append} at {position}"));
                }
                (Some(position), None) => {
                    return wrong(format!("shows {position} twice"));
                }
            }
        }
        if let Positions::Dense { first } = self.positions {
            let wanted = range.end.saturating_sub(range.start.max(first));
            if wanted != read.entries.len() as u64 {
                let shown = read.entries.len();
                return wrong(format!("shows {shown} entries"));
            }
        }
        Ok(())
    }

    /// The only order that positions allow; reads of one end stand in the order of their calls.
    fn order(&self, log: &BTreeMap<u64, usize>) -> Vec<Placed> {
        let appends = log.iter().map(|(position, index)| {
            let append = &self.appends[*index];
            let returned = match append.answer {
                Answer::Done { returned, .. } => returned,
                Answer::Unknown | Answer::Refused => u64::MAX,
            };
            Placed {
                at: *position,
                is_append: true,
                invoked: append.invoked,
                returned,
                index: *index,
            }
        });
        let reads = self.reads.iter().enumerate().map(|(index, read)| Placed {
            at: read.end,
            is_append: false,
            invoked: read.invoked,
            returned: read.returned,
            index,
        });
        let mut order: Vec<Placed> = appends.chain(reads).collect();
        order.sort_unstable();
        order
    }

    /// Nothing stands behind an operation that was invoked after it had returned.
    fn in_real_time(&self, order: &[Placed]) -> Result<(), Outcome> {
        let mut latest: Option<&Placed> = None;
        for item in order {
            if let Some(before) = latest.filter(|before| before.invoked > item.returned) {
                let text = format!(
                    "the {} stands behind the {}, which was invoked after it had returned",
                    self.told(item),
                    self.told(before),
                );
                return violated(before.known(), text);
            }
            if latest.is_none_or(|before| before.invoked < item.invoked) {
                latest = Some(item);
            }
        }
        Ok(())
    }

    /// Every hole between dense positions is filled by an append that nobody saw and that was
    /// invoked early enough for everything behind the hole.
    fn fill_holes(
        &self,
        first: u64,
        log: &BTreeMap<u64, usize>,
        order: &[Placed],
    ) -> Result<(), Outcome> {
        let placed: std::collections::BTreeSet<usize> = log.values().copied().collect();
        let unseen = self.appends.iter().enumerate();
        let unseen = unseen
            .filter(|(index, append)| append.answer == Answer::Unknown && !placed.contains(index));
        let mut unseen: Vec<u64> = unseen.map(|(_, append)| append.invoked).collect();
        unseen.sort_unstable();
        let mut unseen = unseen.into_iter();
        // The earliest return at or behind each place of the order.
        let mut behind = vec![u64::MAX; order.len() + 1];
        for (index, item) in order.iter().enumerate().rev() {
            behind[index] = behind[index + 1].min(item.returned);
        }
        let mut next = first;
        for (index, item) in order.iter().enumerate() {
            // Holes are filled from the front, whose deadlines are the tightest, with the appends
            // that were invoked first: what fits a tight deadline fits every later one.
            for hole in next..item.at {
                if unseen.next().is_none_or(|invoked| invoked > behind[index]) {
                    let text = format!(
                        "nothing can stand at {hole}, before the {}: no append that nobody saw was \
                         invoked in time",
                        self.told(item)
                    );
                    return violated(item.known(), text);
                }
            }
            next = next.max(item.at + u64::from(item.is_append));
        }
        Ok(())
    }
}

/// An operation at its place. The derived order is that of the log: a read that ends at a
/// position comes before the append of that position.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Placed {
    at: u64,
    is_append: bool,
    invoked: u64,
    returned: u64,
    /// Which of the appends, or of the reads, it is.
    index: usize,
}

impl Placed {
    /// When it ended, or began if it has no answer.
    const fn known(&self) -> u64 {
        match self.returned {
            u64::MAX => self.invoked,
            returned => returned,
        }
    }
}

/// Positions and entries, one to one.
#[derive(Default)]
struct Log {
    by_position: BTreeMap<u64, usize>,
    /// With each position the read that told it first, unless it was the answer.
    by_append: BTreeMap<usize, (u64, Option<usize>)>,
}

#[cfg(test)]
mod tests;
