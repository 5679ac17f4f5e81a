//! Scenarios of different machines behind one type.
//!
//! A command line holds scenarios whose machines, operations and configurations differ. What it
//! needs of them is a handful of whole operations on seeds and texts, so that is what is erased;
//! inside a run everything stays generic.

use crate::marks::Mark;
use crate::plan::{Expect, FileError, Plan, written};
use crate::quiet;
use crate::report::{Finding, Report};
use crate::run::{run_seed, run_watched};
use crate::scenario::{PlanOf, Scenario};
use crate::watch::Watch;
use std::path::Path;
use toml::Table;

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

    /// The plan of `seed` as a table, without what is so by default.
    ///
    /// # Errors
    /// Why there is none: its generator panics, or TOML cannot say what it draws.
    fn table(&self, seed: u64) -> Result<Table, String>;

    /// Reads a plan from its text, as a table without what is so by default.
    ///
    /// # Errors
    /// The text is not a plan of this scenario.
    fn read_table(&self, file: &Path, text: &str) -> Result<Table, FileError>;

    /// Runs a plan from a table; `None` if it is no plan of this scenario.
    fn run_table(&self, table: &Table, watch: &Watch) -> Option<Report>;

    /// The plans that the scenario holds for simpler than the one in a table.
    fn simpler(&self, table: &Table) -> Vec<Table>;
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

    fn table(&self, seed: u64) -> Result<Table, String> {
        let plan = quiet::catch(|| self.plan(seed)).map_err(|panic| {
            let (site, message) = (panic.site, panic.message);
            format!("its generator panics at {site}: {message}")
        })?;
        match Table::try_from(&plan) {
            Ok(_) => Ok(plan.to_brief_table()),
            Err(error) => Err(format!(
                "its plan can be neither written nor shrunk, for its `Op` or `Cfg` has a value that \
                 TOML cannot say ({}); give `Op` variants or fields that are strings, numbers, \
                 lists or tables",
                error.to_string().trim_end()
            )),
        }
    }

    fn read_table(&self, file: &Path, text: &str) -> Result<Table, FileError> {
        let plan: PlanOf<S> = Plan::read(self, file, text)?;
        Ok(plan.to_brief_table())
    }

    fn run_table(&self, table: &Table, watch: &Watch) -> Option<Report> {
        let plan: PlanOf<S> = Plan::of_table(table)?;
        self.check(&plan).ok()?;
        Some(run_watched(self, &plan, watch))
    }

    fn simpler(&self, table: &Table) -> Vec<Table> {
        let plan: Option<PlanOf<S>> = Plan::of_table(table);
        let simpler = plan.map_or_else(Vec::new, |plan| Scenario::simpler(self, &plan));
        simpler.iter().map(Plan::to_brief_table).collect()
    }
}

/// The name of the file for the plan of a violation.
pub(crate) fn plan_name(scenario: &str, seed: u64, property: &str) -> String {
    let name = format!("{scenario}-{seed}-{property}.toml");
    name.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "-")
}

/// The text of a plan in a table, with what is expected of it.
pub(crate) fn plan_text(mut plan: Table, expect: &Expect) -> String {
    let expect = Table::try_from(expect).unwrap_or_default();
    plan.insert("expect".to_owned(), expect.into());
    written(&plan)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machines::ping_pong::Player;
    use crate::node::NodeIndex;

    /// Its plans say a value that TOML has no word for, or there are none.
    struct Unsayable(bool);

    impl Scenario for Unsayable {
        type Machine = Player;
        type Cfg = Option<()>;
        type Hook = ();

        fn name(&self) -> &str {
            "unsayable"
        }

        fn about(&self) -> &str {
            "a plan that cannot be written"
        }

        fn plan(&self, seed: u64) -> PlanOf<Self> {
            assert!(self.0, "no plan for {seed}");
            PlanOf::<Self>::new("unsayable", seed, 2, Some(()))
        }

        fn config(&self, _: &PlanOf<Self>, _: NodeIndex) {}

        fn hook(&self, _: &PlanOf<Self>) {}
    }

    #[test]
    fn why_there_is_no_plan_is_told() {
        let told = AnyScenario::table(&Unsayable(true), 7).unwrap_err();
        assert!(
            told.contains("that TOML cannot say (unsupported unit"),
            "{told}"
        );
        let told = AnyScenario::table(&Unsayable(false), 7).unwrap_err();
        assert!(told.contains("any.rs"), "{told}");
        assert!(told.ends_with(": no plan for 7"), "{told}");
    }
}
