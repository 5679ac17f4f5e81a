//! *amnesia*: nothing sent by one replica (node, store, replica number) is counted as another; a
//! wiped or dropped replica counts nowhere.
//!
//! Every vote of a founding replica is tallied when it leaves. A leadership, a binding round or a
//! commit that needs more than these votes and copies counted somebody else.

use super::no_disruption;
use meshos_core::id::NodeId;
use meshos_sim::violation::Violation;
use std::collections::VecDeque;

/// Id of the property.
pub const ID: &str = "amnesia";

/// Rounds of votes that are remembered.
const ROUNDS_MAX: usize = 128;

/// Votes for one candidate in one epoch; voters are bits, in the order of the membership.
#[derive(Copy, Clone, Debug, Default)]
struct Tally {
    n: u64,
    candidate: NodeId,
    queried: u32,
    bound: u32,
}

/// The votes that left founding replicas of one chain instance.
#[derive(Clone, Debug, Default)]
pub struct Votes {
    rounds: VecDeque<Tally>,
}

impl Votes {
    fn round(&mut self, n: u64, candidate: NodeId) -> &mut Tally {
        let same = |tally: &Tally| tally.n == n && tally.candidate == candidate;
        let at = match self.rounds.iter().rposition(same) {
            Some(at) => at,
            None => {
                if self.rounds.len() == ROUNDS_MAX {
                    self.rounds.pop_front();
                }
                self.rounds.push_back(Tally {
                    n,
                    candidate,
                    ..Tally::default()
                });
                self.rounds.len() - 1
            }
        };
        &mut self.rounds[at]
    }

    /// A voter would vote for `candidate` in the epoch with number `n`.
    pub fn would_vote(&mut self, n: u64, candidate: NodeId, voter: usize) {
        self.round(n, candidate).queried |= 1 << voter;
    }

    /// A voter votes for `candidate`.
    pub fn vote(&mut self, n: u64, candidate: NodeId, voter: usize) {
        self.round(n, candidate).bound |= 1 << voter;
    }

    /// `candidate` binds itself in the epoch with number `n`.
    ///
    /// # Errors
    /// Fewer than a majority of the founding voters had said that they would vote for it.
    pub fn ask(
        &mut self,
        n: u64,
        candidate: NodeId,
        voter: usize,
        voters: usize,
    ) -> Result<(), Violation> {
        let would = (self.round(n, candidate).queried | 1 << voter).count_ones() as usize;
        if would < voters / 2 + 1 {
            let text = format!(
                "node {candidate} opens epoch {n} though only {would} of {voters} voters would \
                 vote for it"
            );
            return Err(Violation::new(no_disruption::ID, text));
        }
        Ok(())
    }

    /// `leader` begins to lead the epoch with number `n`.
    ///
    /// # Errors
    /// Fewer than a majority of the founding voters voted for it.
    pub fn lead(
        &mut self,
        n: u64,
        leader: NodeId,
        voter: usize,
        voters: usize,
    ) -> Result<(), Violation> {
        let votes = (self.round(n, leader).bound | 1 << voter).count_ones() as usize;
        if votes < voters / 2 + 1 {
            let text = format!(
                "node {leader} leads epoch {n} with the votes of {votes} of {voters} members"
            );
            return Err(Violation::new(ID, text));
        }
        Ok(())
    }
}

/// A store that is no member of the chain, or was told that it is an older one, speaks about it.
///
/// # Errors
/// Always, unless it says nothing that could count.
pub fn stranger(node: NodeId, counts: Counts) -> Result<(), Violation> {
    match counts {
        Counts::No => Ok(()),
        Counts::Yes => {
            let text = format!(
                "node {node} speaks for a chain whose members do not list its store as it is"
            );
            Err(Violation::new(ID, text))
        }
    }
}

/// `node` hears `peer`, whose store was set back to an older image since it was heard first.
///
/// # Errors
/// Always: what the store promised in between is forgotten.
pub fn set_back(node: NodeId, peer: NodeId) -> Result<(), Violation> {
    let text = format!("node {node} hears node {peer}, whose store was set back meanwhile");
    Err(Violation::new(ID, text))
}

/// Whether a message could be counted for somebody.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Counts {
    /// It is an acknowledgement, a vote, a confirm, a row or entries.
    Yes,
    /// It is none of these.
    No,
}
