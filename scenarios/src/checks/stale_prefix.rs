//! *stale-prefix*: a read returns a prefix of the committed history; the floors that a client
//! sees at one node never go back, and neither does the end within one run, nor by a restart behind
//! what the store has taken down as committed.

use super::truth::Truth;
use meshos_core::chain::entry::Entry;
use meshos_core::id::Seq;
use meshos_sim::violation::Violation;
use std::sync::Arc;

/// Id of the property.
pub const ID: &str = "stale-prefix";

/// What the clients of one replica have seen of it.
#[derive(Copy, Clone, Debug, Default)]
pub struct Shown {
    floor: Seq,
    commit: Seq,
}

/// An answer to a read from `from` on.
#[derive(Copy, Clone, Debug)]
pub struct Shows<'a> {
    /// The first position that was asked for.
    pub from: Seq,
    /// The floor that the answer names.
    pub floor: Seq,
    /// The end of the prefix that it reflects.
    pub commit: Seq,
    /// The entries.
    pub entries: &'a [Arc<Entry>],
}

impl Shown {
    /// A new run of the replica may know less than the one before, but not less than its store.
    pub fn restart(&mut self, stored: Seq) {
        self.commit = self.commit.min(stored);
    }

    /// The replica answers a read.
    ///
    /// # Errors
    /// The answer is no part of the committed history, or goes back behind an earlier one.
    pub fn observe(&mut self, truth: &Truth, shows: Shows<'_>) -> Result<(), Violation> {
        let Shows {
            from,
            floor,
            commit,
            entries,
        } = shows;
        if floor < self.floor {
            return broken(format!(
                "the floor shown went back from {} to {floor}",
                self.floor
            ));
        }
        if commit < self.commit {
            return broken(format!(
                "the end shown went back from {} to {commit}",
                self.commit
            ));
        }
        (self.floor, self.commit) = (floor, commit);
        let end = truth.committed().end;
        if commit > end {
            return broken(format!("shown as committed up to {commit}, and {end} is"));
        }
        let mut next = from.max(floor);
        for entry in entries {
            if entry.seq != next || next >= commit {
                return broken(format!(
                    "entry {} is shown at {next} of {commit}",
                    entry.seq
                ));
            }
            let committed = truth.committed_at(next);
            if committed.is_some_and(|line| line.entry.hash != entry.hash) {
                return broken(format!(
                    "the entry shown at {next} is not the committed one"
                ));
            }
            next = next.next();
        }
        Ok(())
    }
}

#[cold]
#[track_caller]
fn broken(text: String) -> Result<(), Violation> {
    Err(Violation::new(ID, text))
}
