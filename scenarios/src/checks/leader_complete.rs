//! *leader-complete*: a new leader holds, above its checkpoint, every entry committed by leaders
//! of lower epochs, none of them unknown; and its checkpoint is a committed prefix.

use super::replica_state::ReplicaState;
use super::truth::Truth;
use meshos_core::id::Seq;
use meshos_sim::violation::Violation;
use std::collections::VecDeque;

/// Id of the property.
pub const ID: &str = "leader-complete";

/// Committing epochs that are remembered.
const EPOCHS_MAX: usize = 1_024;

/// How far each epoch's leader had committed.
#[derive(Clone, Debug, Default)]
pub struct Commits {
    ends: VecDeque<(u64, Seq)>,
}

impl Commits {
    /// The leader of epoch `n` committed up to `end`.
    pub fn record(&mut self, n: u64, end: Seq) {
        match self.ends.back_mut() {
            Some((last, high)) if *last == n => *high = end.max(*high),
            Some(_) | None => {
                if self.ends.len() == EPOCHS_MAX {
                    self.ends.pop_front();
                }
                self.ends.push_back((n, end));
            }
        }
    }

    /// How far leaders of epochs below `n` had committed.
    pub fn below(&self, n: u64) -> Seq {
        let lower = self.ends.iter().filter(|(epoch, _)| *epoch < n);
        lower.map(|(_, end)| *end).max().unwrap_or(Seq::ZERO)
    }

    /// `leader` begins to lead.
    ///
    /// # Errors
    /// It lacks something committed before, or starts from what is no committed prefix.
    pub fn observe(&self, truth: &Truth, leader: &ReplicaState) -> Result<(), Violation> {
        is_committed_prefix(truth, leader)?;
        let n = leader.epoch.n;
        if leader.unknown > 0 {
            let text = format!("epoch {n} is led with {} unknown entries", leader.unknown);
            return Err(Violation::new(ID, text));
        }
        let end = self.below(n);
        if end <= leader.floor.end {
            return Ok(());
        }
        let held = match truth.committed_tip(end) {
            Some(committed) => truth.holds(leader.tip, committed),
            None => None,
        };
        if held == Some(false) {
            let text = format!(
                "the leader of epoch {n}, whose log ends at {}, lacks entries that are \
                 committed up to {end}",
                leader.tip.end
            );
            return Err(Violation::new(ID, text));
        }
        Ok(())
    }
}

/// A replica starts its log from a checkpoint.
///
/// # Errors
/// The checkpoint is no committed prefix.
pub fn is_committed_prefix(truth: &Truth, replica: &ReplicaState) -> Result<(), Violation> {
    let floor = replica.floor;
    let known = truth.committed_tip(floor.end);
    let is_above = floor.end > truth.committed().end;
    if is_above || known.is_some_and(|known| known.hash != floor.hash) {
        let text = format!(
            "the checkpoint at {} is no committed prefix; committed is up to {}",
            floor.end,
            truth.committed().end
        );
        return Err(Violation::new(ID, text));
    }
    Ok(())
}
