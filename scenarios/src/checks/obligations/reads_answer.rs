//! *reads-answer*: a linearizable read at a level node that works with a leader of M voters, which
//! knows all before its epoch to be committed, is answered with the value within five seconds,
//! whether or not disks have room. `Unknown` is no answer.

use super::{Facts, names};
use meshos_core::client::{Answer, Reason};
use meshos_sim::check::obligation::Monitor;
use meshos_sim::machine::NodeIndex;
use meshos_sim::time::Instant;
use meshos_sim::violation::Violation;
use std::collections::BTreeMap;
use std::time::Duration;

/// Id of the property.
pub const ID: &str = "reads-answer";

/// How long a read may take.
const BOUND: Duration = Duration::from_secs(5);

/// A read that has to be answered.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The chain.
    pub chain: usize,
    /// The node that is asked.
    pub node: NodeIndex,
    /// When it was.
    pub at: Instant,
    /// Since when its condition holds, which is a while before it was asked.
    pub since: Instant,
    /// The leader at that time, and the number of its epoch.
    pub leader: (NodeIndex, u64),
}

/// Reads under way, by ticket.
#[derive(Clone, Debug)]
pub struct ReadsAnswer {
    owed: Monitor<u64>,
    reads: BTreeMap<u64, Read>,
}

impl Default for ReadsAnswer {
    fn default() -> Self {
        Self {
            owed: Monitor::new(ID),
            reads: BTreeMap::new(),
        }
    }
}

impl ReadsAnswer {
    /// A read is asked whose condition holds.
    pub fn ask(&mut self, ticket: u64, read: Read, pace: u32) {
        self.reads.insert(ticket, read);
        self.owed.hold(ticket, read.at, BOUND * pace);
    }

    /// Reads of `chain` that have to be answered.
    pub fn asked(&self, chain: usize) -> impl Iterator<Item = (u64, Read)> {
        let all = self.reads.iter().map(|(ticket, read)| (*ticket, *read));
        all.filter(move |(_, read)| read.chain == chain)
    }

    /// Something broke that the read needs.
    pub fn release(&mut self, ticket: u64) {
        self.reads.remove(&ticket);
        self.owed.release(&ticket);
    }

    /// The read of that ticket, if it has to be answered.
    pub fn read(&self, ticket: u64) -> Option<Read> {
        self.reads.get(&ticket).copied()
    }

    /// It is answered while its condition holds.
    ///
    /// # Errors
    /// The answer is none.
    pub fn answered(
        &mut self,
        ticket: u64,
        answer: &Answer,
        facts: Facts<'_>,
    ) -> Result<(), Violation> {
        let Some(read) = self.reads.remove(&ticket) else {
            return Ok(());
        };
        match answer {
            Answer::Entries { .. } | Answer::Corrupt { .. } => {
                self.owed.meet(&ticket);
                Ok(())
            }
            // Refused at a limit, which `bounded` judges.
            Answer::Rejected(Reason::Busy) => {
                self.owed.release(&ticket);
                Ok(())
            }
            Answer::Acked { .. }
            | Answer::NotLeader { .. }
            | Answer::NotMember { .. }
            | Answer::Rejected(_)
            | Answer::Unknown
            | Answer::Transferred => {
                self.owed.release(&ticket);
                let text = format!(
                    "{} answers a linearizable read of chain {:?} with {answer:?} after {} ms, \
                     though it is level and works with the leader, {}, which works with a \
                     majority and knows all before its epoch to be committed",
                    names(&[read.node]),
                    facts.chain,
                    facts.at.since(read.at).as_millis(),
                    names(&[read.leader.0])
                );
                self.owed.forbid(text)
            }
        }
    }

    /// Looks for reads of `chain` that were not answered in time.
    ///
    /// # Errors
    /// The first one.
    pub fn judge(&self, chain: usize, at: Instant) -> Result<(), Violation> {
        for (ticket, read) in self.asked(chain) {
            let tell = || {
                format!(
                    "{} is level, works with the leader, {}, and does not answer a linearizable \
                     read",
                    names(&[read.node]),
                    names(&[read.leader.0])
                )
            };
            self.owed.judge(&ticket, at, tell)?;
        }
        Ok(())
    }
}
