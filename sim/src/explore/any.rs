//! Scenarios of different machines behind one type, for those whose states can be searched.

use super::{Budgets, Explorable, Outcome, Watcher, explore};

/// A scenario that can be searched and whose types are hidden; every [`Explorable`] is one.
pub trait AnyExplorable: Send + Sync {
    /// The name, as on the command line.
    fn name(&self) -> &str;

    /// How far the search goes if nobody says otherwise.
    fn budgets(&self) -> Budgets;

    /// How many nodes and operations it begins with.
    fn size(&self) -> (u16, usize);

    /// Searches everything that may happen.
    fn explore(&self, budgets: Budgets, watcher: Watcher<'_>) -> Outcome;
}

impl<S: Explorable> AnyExplorable for S {
    fn name(&self) -> &str {
        crate::scenario::Scenario::name(self)
    }

    fn budgets(&self) -> Budgets {
        Explorable::budgets(self)
    }

    fn size(&self) -> (u16, usize) {
        let plan = self.begin();
        (plan.nodes, plan.ops.len())
    }

    fn explore(&self, budgets: Budgets, watcher: Watcher<'_>) -> Outcome {
        explore(self, budgets, watcher)
    }
}
