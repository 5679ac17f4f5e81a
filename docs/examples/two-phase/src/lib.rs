//! Two-phase commit: node 0 asks all others whether they can commit, and tells them what became of
//! it. It does so for several transactions at once.
//!
//! The protocol is in this file and knows of no simulator: [`Party::hear`] and [`Party::expire`]
//! are all there is. `machine` makes it a machine of the simulator, and the bench beside makes the
//! same functions an actor of stateright.

pub mod machine;
pub mod scenario;

use serde::{Deserialize, Serialize};

/// What is wrong with the protocol.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Care {
    /// Nothing.
    Whole,
    /// The coordinator commits when one vote is still missing.
    MissesOneVote,
    /// A participant that has promised to commit gives up waiting.
    GivesUp,
    /// The coordinator's deadline overturns what is decided.
    Overturns,
}

/// What parties say to each other; the number is that of the transaction.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Word {
    Prepare(u8),
    Yes(u8),
    No(u8),
    Commit(u8),
    Abort(u8),
}

/// What a participant knows of a transaction.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    Idle,
    /// It has promised to commit.
    Prepared,
    /// It aborts, and nobody has told it to.
    Refused,
    Committed,
    Aborted,
}

/// What the coordinator knows of a transaction: who said yes and who said no, a bit each.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Poll {
    yes: u8,
    no: u8,
    /// Whether it commits, once that is decided.
    decided: Option<bool>,
}

/// One node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Party {
    Coordinator {
        care: Care,
        parties: u8,
        polls: Vec<Poll>,
        /// Whether its deadline is still to come.
        waits: bool,
    },
    Participant {
        care: Care,
        parts: Vec<Part>,
        waits: bool,
    },
}

impl Party {
    /// Node `node` of `nodes`, which begins with `transactions`; `say` sends a word to a node.
    pub fn begin(
        care: Care,
        (node, nodes): (u8, u8),
        transactions: u8,
        mut say: impl FnMut(u8, Word),
    ) -> Self {
        let count = usize::from(transactions);
        if node > 0 {
            return Self::Participant {
                care,
                parts: vec![Part::Idle; count],
                waits: true,
            };
        }
        for number in 0..transactions {
            (1..nodes).for_each(|to| say(to, Word::Prepare(number)));
        }
        let poll = Poll {
            yes: 0,
            no: 0,
            decided: None,
        };
        Self::Coordinator {
            care,
            parties: nodes - 1,
            polls: vec![poll; count],
            waits: true,
        }
    }

    /// Whether its deadline is still to come; each has one, of the same length.
    pub fn waits(&self) -> bool {
        match self {
            Self::Coordinator { waits, .. } | Self::Participant { waits, .. } => *waits,
        }
    }

    /// A word arrives.
    pub fn hear(&mut self, from: u8, word: Word, mut say: impl FnMut(u8, Word)) {
        match self {
            Self::Coordinator {
                care,
                parties,
                polls,
                ..
            } => {
                let (number, votes_yes) = match word {
                    Word::Yes(number) => (number, true),
                    Word::No(number) => (number, false),
                    Word::Prepare(_) | Word::Commit(_) | Word::Abort(_) => return,
                };
                let poll = &mut polls[usize::from(number)];
                let votes = if votes_yes {
                    &mut poll.yes
                } else {
                    &mut poll.no
                };
                *votes |= 1 << from;
                let needed = match care {
                    Care::MissesOneVote => *parties - 1,
                    Care::Whole | Care::GivesUp | Care::Overturns => *parties,
                };
                let commits = poll.yes.count_ones() >= u32::from(needed);
                if poll.decided.is_none() && (commits || poll.no > 0) {
                    poll.decided = Some(commits && poll.no == 0);
                    tell(number, commits && poll.no == 0, *parties, &mut say);
                }
            }
            Self::Participant { parts, .. } => {
                let (Word::Prepare(number)
                | Word::Yes(number)
                | Word::No(number)
                | Word::Commit(number)
                | Word::Abort(number)) = word;
                let part = &mut parts[usize::from(number)];
                match (word, *part) {
                    (Word::Prepare(_), Part::Idle) => {
                        *part = Part::Prepared;
                        say(from, Word::Yes(number));
                    }
                    (Word::Prepare(_), _) => say(from, Word::No(number)),
                    (Word::Commit(_), _) => *part = Part::Committed,
                    (Word::Abort(_), _) => *part = Part::Aborted,
                    (Word::Yes(_) | Word::No(_), _) => {}
                }
            }
        }
    }

    /// Its deadline is reached.
    pub fn expire(&mut self, mut say: impl FnMut(u8, Word)) {
        match self {
            Self::Coordinator {
                care,
                parties,
                polls,
                waits,
            } => {
                *waits = false;
                for (number, poll) in (0..).zip(polls) {
                    if poll.decided.is_none() || *care == Care::Overturns {
                        poll.decided = Some(false);
                        tell(number, false, *parties, &mut say);
                    }
                }
            }
            Self::Participant { care, parts, waits } => {
                *waits = false;
                for part in parts {
                    let gives_up = *part == Part::Prepared && *care == Care::GivesUp;
                    if *part == Part::Idle || gives_up {
                        *part = Part::Refused;
                    }
                }
            }
        }
    }

    /// What it has done about a transaction, if it is done with it: whether it committed.
    pub fn outcome(&self, number: usize) -> Option<bool> {
        match self {
            Self::Coordinator { .. } => None,
            Self::Participant { parts, .. } => match parts[number] {
                Part::Idle | Part::Prepared => None,
                Part::Refused | Part::Aborted => Some(false),
                Part::Committed => Some(true),
            },
        }
    }

    /// How many transactions there are.
    pub fn transactions(&self) -> usize {
        match self {
            Self::Coordinator { polls, .. } => polls.len(),
            Self::Participant { parts, .. } => parts.len(),
        }
    }
}

fn tell(number: u8, commits: bool, parties: u8, say: &mut impl FnMut(u8, Word)) {
    for to in 1..=parties {
        let word = if commits { Word::Commit } else { Word::Abort };
        say(to, word(number));
    }
}

/// The first transaction that one party committed and another one aborted.
pub fn split<'a>(parties: impl Iterator<Item = &'a Party> + Clone) -> Option<usize> {
    let transactions = parties.clone().map(Party::transactions).max()?;
    (0..transactions).find(|number| {
        let has = |outcome| {
            let mut outcomes = parties.clone().map(|party| party.outcome(*number));
            outcomes.any(|found| found == Some(outcome))
        };
        has(true) && has(false)
    })
}
