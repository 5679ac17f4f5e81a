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

use super::Outcome;
use std::collections::BTreeMap;
use std::fmt::Debug;

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

/// One append. Moments are in any unit that orders all of the run; equal moments are concurrent.
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
        in_real_time(&order)?;
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
                log.put(position, index, value)?;
            }
        }
        for read in &self.reads {
            for (position, value) in &read.entries {
                let Some(index) = by_value.get(value).copied() else {
                    return violated(format!("{value:?} at {position} was never appended"));
                };
                if self.appends[index].answer == Answer::Refused {
                    return violated(format!("{value:?} at {position} had been refused"));
                }
                log.put(*position, index, value)?;
            }
        }
        if let Positions::Dense { first } = self.positions
            && let Some((position, _)) = log.by_position.range(..first).next()
        {
            return violated(format!("position {position} is before the first, {first}"));
        }
        Ok(log.by_position)
    }

    /// A read shows every entry of its range that is known to stand there, and nothing else.
    fn complete(&self, read: &Read<V>, log: &BTreeMap<u64, usize>) -> Result<(), Outcome> {
        let range = read.from..read.end.max(read.from);
        let mut shown = read.entries.iter().map(|(position, _)| *position);
        let mut expected = log.range(range.clone());
        loop {
            match (shown.next(), expected.next()) {
                (None, None) => break,
                (Some(position), Some((known, _))) if position == *known => {}
                (Some(position), _) if !range.contains(&position) => {
                    return violated(format!("a read of {range:?} shows position {position}"));
                }
                (_, Some((position, index))) => {
                    let value = &self.appends[*index].value;
                    return violated(format!("a read of {range:?} lacks {value:?} at {position}"));
                }
                (Some(position), None) => {
                    return violated(format!("a read of {range:?} shows {position} twice"));
                }
            }
        }
        if let Positions::Dense { first } = self.positions {
            let wanted = range.end.saturating_sub(range.start.max(first));
            if wanted != read.entries.len() as u64 {
                let shown = read.entries.len();
                return violated(format!("a read of {range:?} shows {shown} entries"));
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
            }
        });
        let reads = self.reads.iter().map(|read| Placed {
            at: read.end,
            is_append: false,
            invoked: read.invoked,
            returned: read.returned,
        });
        let mut order: Vec<Placed> = appends.chain(reads).collect();
        order.sort_unstable();
        order
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
                    return violated(format!("nothing can stand at {hole}"));
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
}

/// Nothing stands behind an operation that was invoked after it had returned.
fn in_real_time(order: &[Placed]) -> Result<(), Outcome> {
    let mut latest: Option<&Placed> = None;
    for item in order {
        if let Some(before) = latest.filter(|before| before.invoked > item.returned) {
            return violated(format!(
                "{} returned at {}, yet it stands behind {}, invoked at {}",
                item.describe(),
                item.returned,
                before.describe(),
                before.invoked,
            ));
        }
        if latest.is_none_or(|before| before.invoked < item.invoked) {
            latest = Some(item);
        }
    }
    Ok(())
}

impl Placed {
    fn describe(&self) -> String {
        match self.is_append {
            true => format!("the append at {}", self.at),
            false => format!("a read that ended at {}", self.at),
        }
    }
}

/// Positions and entries, one to one.
#[derive(Default)]
struct Log {
    by_position: BTreeMap<u64, usize>,
    by_append: BTreeMap<usize, u64>,
}

impl Log {
    fn put(&mut self, position: u64, index: usize, value: &impl Debug) -> Result<(), Outcome> {
        let there = *self.by_position.entry(position).or_insert(index);
        let known = *self.by_append.entry(index).or_insert(position);
        if there != index {
            return violated(format!(
                "position {position} holds {value:?} and another entry"
            ));
        }
        if known != position {
            return violated(format!("{value:?} stands at {known} and at {position}"));
        }
        Ok(())
    }
}

fn violated<T>(text: String) -> Result<T, Outcome> {
    Err(Outcome::Violated(text))
}

#[cfg(test)]
mod tests;
