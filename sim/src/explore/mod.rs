//! Everything that may happen, instead of what a seed draws: a search through the states of a
//! small cluster.
//!
//! A state is what the next steps of all nodes depend on; what happens next is any message that
//! arrives, any deadline that is reached, any answer of a disk, any operation, and within budgets
//! any crash and loss. Two states with one fingerprint are one. `docs/SEARCH.md` argues for what is
//! left out, time above all.

mod any;
mod bench;
mod budgets;
mod fingerprint;
mod search;
mod seen;
pub(crate) mod steered;

pub use any::AnyExplorable;
pub use budgets::Budgets;
pub use fingerprint::Fingerprint;
pub use search::{Watcher, explore};

use crate::machine::Machine;
use crate::plan::Choice;
use crate::report::Finding;
use crate::scenario::{PlanOf, Scenario};
use crate::time::Now;
use toml::Table;

/// A scenario whose states can be searched.
///
/// Its hook acts on the run by operations only: alarms do not come, for there is no time.
pub trait Explorable: Scenario<Machine: Clone, Hook: Clone> {
    /// The plan that is searched: nodes, operations and `cfg`. It has no faults.
    fn begin(&self) -> PlanOf<Self>;

    /// How far the search goes if nobody says otherwise.
    fn budgets(&self) -> Budgets {
        Budgets::default()
    }

    /// Takes in everything that the future of a machine depends on. What it leaves out is lost on
    /// the search; what it takes in without need makes two states out of one.
    ///
    /// A machine that only ever compares its times with `now` gives the differences, so that the
    /// same situation at another time is the same state.
    fn fold_machine(&self, machine: &Self::Machine, now: Now, into: &mut Fingerprint) {
        into.word(now.instant.as_nanos());
        into.word(machine.state_hash());
    }

    /// Takes in what the verdicts of the hook depend on, and what it will ask for.
    fn fold_hook(&self, hook: &Self::Hook, into: &mut Fingerprint);
}

/// How far a search is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// States that were told apart.
    pub states: u64,
    /// States that were reached, each time counted.
    pub reached: u64,
    /// Choices of the longest run so far.
    pub depth: u32,
    /// States whose next ones are not known yet.
    pub waiting: u64,
    /// Bytes of memory, roughly.
    pub bytes: u64,
}

/// What a search came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// States that were told apart.
    pub states: u64,
    /// States that were reached, each time counted.
    pub reached: u64,
    /// Choices of the longest run.
    pub depth: u32,
    /// Why it ended.
    pub end: End,
    /// The shortest run that breaks a property.
    pub counterexample: Option<Counterexample>,
}

/// Why a search ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Every state within the budgets was looked at.
    Exhausted,
    /// A property broke.
    Violated,
    /// Every run of as many choices as allowed was looked at; there are longer ones.
    Depth,
    /// There are more states than allowed.
    States,
    /// The states need more memory than allowed.
    Memory,
    /// Whoever watched ended it.
    Interrupted,
}

/// A run that breaks a property.
#[derive(Clone, Debug)]
pub struct Counterexample {
    /// What happens, one thing after the other.
    pub choices: Vec<Choice>,
    /// A plan of it, as a table.
    pub plan: Table,
    /// What it breaks.
    pub finding: Finding,
}

#[cfg(test)]
mod tests;
