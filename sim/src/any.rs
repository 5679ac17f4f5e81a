//! Scenarios of different machines behind one type.
//!
//! A command line holds scenarios whose machines, operations and configurations differ. What it
//! needs of them is a handful of whole operations on seeds and texts, so that is what is erased;
//! inside a run everything stays generic.

use crate::marks::Mark;
use crate::plan::{Expect, FileError, Plan};
use crate::report::{Finding, Report};
use crate::run::{run_seed, run_watched};
use crate::scenario::{PlanOf, Scenario};
use crate::watch::Watch;
use std::path::Path;

/// A scenario whose types are hidden; every [`Scenario`] is one.
pub trait AnyScenario: Send + Sync {
    /// The name, as on the command line.
    fn name(&self) -> &str;

    /// One line on what it tests.
    fn about(&self) -> &str;

    /// Marks that a full sweep of this scenario must see.
    fn marks(&self) -> Vec<Mark>;

    /// Generates the plan of `seed` and runs it.
    fn run_seed(&self, seed: u64, watch: &Watch) -> Report;

    /// Runs a plan from its text; `file` is named in errors.
    ///
    /// # Errors
    /// The text is not a plan of this scenario.
    fn run_text(
        &self,
        file: &Path,
        text: &str,
        watch: &Watch,
    ) -> Result<(Report, Expect), FileError>;

    /// Reads a plan from its text without running it.
    ///
    /// # Errors
    /// The text is not a plan of this scenario.
    fn check_text(&self, file: &Path, text: &str) -> Result<Expect, FileError>;

    /// The plan of `seed` as text, with what is expected of it.
    fn text(&self, seed: u64, expect: Expect) -> String;
}

impl<S: Scenario> AnyScenario for S {
    fn name(&self) -> &str {
        Scenario::name(self)
    }

    fn about(&self) -> &str {
        Scenario::about(self)
    }

    fn marks(&self) -> Vec<Mark> {
        Scenario::marks(self)
    }

    fn run_seed(&self, seed: u64, watch: &Watch) -> Report {
        run_seed(self, seed, watch)
    }

    fn run_text(
        &self,
        file: &Path,
        text: &str,
        watch: &Watch,
    ) -> Result<(Report, Expect), FileError> {
        let plan: PlanOf<S> = Plan::read(self, file, text)?;
        let report = run_watched(self, &plan, watch);
        Ok((report, plan.expect))
    }

    fn check_text(&self, file: &Path, text: &str) -> Result<Expect, FileError> {
        Plan::read(self, file, text).map(|plan: PlanOf<S>| plan.expect)
    }

    fn text(&self, seed: u64, expect: Expect) -> String {
        let mut plan = self.plan(seed);
        plan.expect = expect;
        plan.to_text()
    }
}

/// What a run was expected to find and did not, in words; `None` when it went as expected.
pub fn disappointment(expect: &Expect, finding: Option<&Finding>) -> Option<String> {
    match (&expect.violates, finding) {
        (None, None) => None,
        (None, Some(finding)) => Some(format!("expected that all holds, found {finding}")),
        (Some(property), None) => Some(format!(
            "expected a violation of {property}, found that all holds"
        )),
        (Some(property), Some(finding)) => (*property != finding.property)
            .then(|| format!("expected a violation of {property}, found {finding}")),
    }
}
