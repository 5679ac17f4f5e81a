//! *sent-once*: entries and parts of checkpoints that were neither lost nor late are not sent a third
//! time.
//!
//! They are what fills links, so whoever sends them again has to have a reason. A sender knows its
//! links by what they did lately and may be wrong once, so each position may go out once more than
//! needed. A candidate takes nothing of what it is sent, so that counts as lost. Only where a sender goes back is looked at, for it sends again all that follows there.

use meshos_core::id::Seq;
use meshos_sim::machine::NodeIndex;
use meshos_sim::time::Instant;
use meshos_sim::violation::Violation;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

/// Id of the property.
pub const ID: &str = "sent-once";

/// What a message carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bulk {
    /// Of which kind it is.
    pub kind: Kind,
    /// Positions of entries, or bytes of a checkpoint.
    pub range: Range<u64>,
}

/// Kinds of bulk.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Entries that a leader has to a follower.
    Entries,
    /// Entries that a member asked anybody for.
    Help,
    /// A part of the checkpoint at this floor.
    Checkpoint(Seq),
}

/// Who sends to whom, and in which chain.
pub type Way = (NodeIndex, NodeIndex, usize);

/// When a message leaves, and over what.
#[derive(Copy, Clone, Debug)]
pub struct Leaves {
    /// True time.
    pub at: Instant,
    /// When it is there at the latest, as the link is now.
    pub due: Instant,
    /// Since when nothing that the two send each other is lost or much later than others; `None`
    /// when it may be.
    pub calm: Option<Instant>,
    /// The number of the sender's epoch, and the runs of both: another one knows nothing of what
    /// was sent before.
    pub life: (u64, u64, u64),
}

/// A message that left.
#[derive(Clone, Debug)]
struct Copied {
    bulk: Bulk,
    leaves: Leaves,
}

/// What was sent one way lately, and what arrived there.
#[derive(Clone, Debug, Default)]
struct Past {
    copies: VecDeque<Copied>,
    arrived: VecDeque<(Bulk, Instant)>,
}

impl Past {
    /// Whether a message took too long, or has until `now`.
    fn is_late(&self, copy: &Copied, now: Instant) -> bool {
        let is_first = |(bulk, at): &&(Bulk, Instant)| *bulk == copy.bulk && *at >= copy.leaves.at;
        let arrived = self.arrived.iter().find(is_first);
        arrived.map_or(now, |(_, at)| *at) > copy.leaves.due
    }
}

/// What was sent lately.
#[derive(Clone, Debug, Default)]
pub struct SentOnce {
    ways: BTreeMap<Way, Past>,
}

impl SentOnce {
    /// Bulk leaves.
    ///
    /// # Errors
    /// It begins with what was sent twice before, while nothing was lost or late.
    pub fn send(&mut self, way: Way, bulk: Bulk, leaves: Leaves) -> Result<(), Violation> {
        let past = self.ways.entry(way).or_default();
        let copies = &mut past.copies;
        let Some(calm) = leaves.calm else {
            copies.clear();
            return Ok(());
        };
        if copies
            .back()
            .is_some_and(|copy| copy.leaves.life != leaves.life)
        {
            copies.clear();
        }
        while copies.front().is_some_and(|copy| copy.leaves.at < calm) {
            copies.pop_front();
        }
        let result = match goes_on(copies, &bulk) {
            true => Ok(()),
            false => goes_back(past, way, &bulk, leaves.at),
        };
        keep(&mut past.copies, Copied { bulk, leaves });
        result
    }

    /// Bulk arrives.
    pub fn arrive(&mut self, way: Way, bulk: Bulk, at: Instant) {
        if let Some(past) = self.ways.get_mut(&way) {
            keep(&mut past.arrived, (bulk, at));
        }
    }

    /// Bulk arrives at a node that does not take it: that copy does not count.
    pub fn decline(&mut self, way: Way, bulk: &Bulk) {
        if let Some(past) = self.ways.get_mut(&way)
            && let Some(copy) = past.copies.iter().rposition(|copy| copy.bulk == *bulk)
        {
            past.copies.remove(copy);
        }
    }
}

/// Keeps the newest.
fn keep<T>(all: &mut VecDeque<T>, one: T) {
    if all.len() >= KEPT_MAX {
        all.pop_front();
    }
    all.push_back(one);
}

/// Whether bulk follows what left last of its kind, if anything did.
fn goes_on(copies: &VecDeque<Copied>, bulk: &Bulk) -> bool {
    let last = copies.iter().rev().find(|copy| copy.bulk.kind == bulk.kind);
    last.is_none_or(|last| last.bulk.range.end == bulk.range.start)
}

/// Bulk does not follow what left last.
fn goes_back(past: &Past, way: Way, bulk: &Bulk, now: Instant) -> Result<(), Violation> {
    let is_same =
        |copy: &&Copied| copy.bulk.kind == bulk.kind && copy.bulk.range.contains(&bulk.range.start);
    let before = || past.copies.iter().filter(is_same);
    let Some(first) = before().next() else {
        return Ok(());
    };
    let count = before().count();
    if count < COPIES_MAX || before().any(|copy| past.is_late(copy, now)) {
        return Ok(());
    }
    let text = format!(
        "{} sends {} of {:?} from {} on for the {}. time, the first one left at {}, and nothing was \
         lost or late",
        way.0,
        way.1,
        bulk.kind,
        bulk.range.start,
        count + 1,
        first.leaves.at
    );
    Err(Violation::new(ID, text))
}

/// How often the same may leave.
const COPIES_MAX: usize = 2;
/// Messages of one way that are looked back at.
const KEPT_MAX: usize = 256;
