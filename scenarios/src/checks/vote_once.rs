//! *vote-once*: a replica votes at most once per epoch in its durable history; its durable epoch
//! and floor never decrease, across crashes too; its next sequence decreases only by a cut or a
//! reset, never below what it acknowledged to the leader of its present epoch.
//!
//! Votes are taken from the messages that left, not from what the replica remembers of them.

use super::replica_state::ReplicaState;
use meshos_core::chain::order::Vote;
use meshos_core::id::{NodeId, Seq};
use meshos_sim::violation::Violation;

/// Id of the property.
pub const ID: &str = "vote-once";

/// What a replica promised to others, for as long as its store lives.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Promises {
    /// The last vote that left: the epoch's number and the candidate.
    pub cast: Option<(u64, NodeId)>,
    /// The highest prefix acknowledged to a leader that had compared it, and in which epoch.
    pub acknowledged: Option<(u64, Seq)>,
}

impl Promises {
    /// A vote left.
    ///
    /// # Errors
    /// Another one left before, for the same epoch or a higher one.
    pub fn cast(&mut self, n: u64, candidate: NodeId) -> Result<(), Violation> {
        match self.cast {
            Some((last, _)) if n < last => {
                broken(format!("a vote for epoch {n} leaves after one for {last}"))
            }
            Some((last, other)) if n == last && candidate != other => broken(format!(
                "votes for nodes {other} and {candidate} left in epoch {n}"
            )),
            Some(_) | None => {
                self.cast = Some((n, candidate));
                Ok(())
            }
        }
    }

    /// The replica acknowledged a prefix that it had compared with the leader of epoch `n`.
    #[inline]
    pub fn acknowledge(&mut self, n: u64, end: Seq) {
        match &mut self.acknowledged {
            Some((last, high)) if *last == n => *high = (*high).max(end),
            Some(_) | None => self.acknowledged = Some((n, end)),
        }
    }

    /// What recovery found of the vote record.
    ///
    /// # Errors
    /// It is older than what had been durable, or than a vote that had left.
    pub fn recovered(&self, before: Vote, found: Vote) -> Result<(), Violation> {
        let of = |vote: Vote| (vote.epoch.n, vote.granted);
        let ((n, granted), (found_n, found_granted)) = (of(before), of(found));
        if found_n < n || (found_n == n && granted.is_some() && granted != found_granted) {
            return broken(format!(
                "the durable promise was epoch {n} for {granted:?}, and a crash left epoch \
                 {found_n} for {found_granted:?}"
            ));
        }
        if let Some((cast_n, candidate)) = self.cast
            && (found_n < cast_n || (found_n == cast_n && found_granted != Some(candidate)))
        {
            return broken(format!(
                "the vote of epoch {cast_n} for node {candidate} had left, and a crash left \
                 epoch {found_n} for {found_granted:?}"
            ));
        }
        Ok(())
    }

    /// A replica changed within one run.
    ///
    /// # Errors
    /// A promise went back or changed, or its log became shorter than it may.
    pub fn observe(&self, before: &ReplicaState, after: &ReplicaState) -> Result<(), Violation> {
        if after.epoch.n < before.epoch.n {
            let (was, is) = (before.epoch, after.epoch);
            return broken(format!("the epoch went back from {was} to {is}"));
        }
        let revoked = before.voted.is_some() && after.voted != before.voted;
        if after.epoch.n == before.epoch.n && revoked {
            let (was, is) = (before.voted, after.voted);
            return broken(format!(
                "in epoch {} the vote went from {was:?} to {is:?}",
                after.epoch.n
            ));
        }
        self.durable(before.promised, after.promised)?;
        if after.tip.end < before.tip.end {
            self.shortened(before, after)?;
        }
        Ok(())
    }

    fn durable(&self, before: Vote, after: Vote) -> Result<(), Violation> {
        let revoked = before.granted.is_some() && after.granted != before.granted;
        if after.epoch.n < before.epoch.n || (after.epoch.n == before.epoch.n && revoked) {
            return broken(format!(
                "the durable promise went from {before:?} to {after:?}"
            ));
        }
        Ok(())
    }

    fn shortened(&self, before: &ReplicaState, after: &ReplicaState) -> Result<(), Violation> {
        let (was, is) = (before.tip.end, after.tip.end);
        if after.truncations == before.truncations {
            return broken(format!("the log ends at {is} after {was} without a cut"));
        }
        // What was acknowledged to the leader of a checkpoint that replaces all is below its floor, and
        // *commit-stable* asks that a majority stores it.
        let is_reset =
            after.resetting || after.floor.end == is && after.floor.end > before.floor.end;
        if let Some((n, acknowledged)) = self.acknowledged
            && n == after.epoch.n
            && is < acknowledged
            && !is_reset
        {
            return broken(format!(
                "the log was cut to {is}, and {acknowledged} was acknowledged in epoch {n}"
            ));
        }
        Ok(())
    }
}

#[cold]
#[track_caller]
fn broken(text: String) -> Result<(), Violation> {
    Err(Violation::new(ID, text))
}
