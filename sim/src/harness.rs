//! Scenarios and kept plans as tests of their own, under `cargo test` and nextest.
//!
//! A test target with `harness = false` whose `main` is [`Harness::main`] understands the options
//! of the built-in test runner: each scenario is the test `scenario::NAME`, each plan of a
//! directory the test `plan::FILE`, so that they are listed, filtered, timed and run apart.
//!
//! ```toml
//! [[test]]
//! name = "scenarios"
//! harness = false
//! ```
//!
//! ```no_run
//! // tests/scenarios.rs
//! use meshos_sim::harness::Harness;
//! use meshos_sim::machines::rally::Rally;
//!
//! fn main() -> std::process::ExitCode {
//!     Harness::new().scenario(Rally, 0..1000).plans("tests/plans").main()
//! }
//! ```

use crate::any::{AnyScenario, disappointment};
use crate::hold;
use crate::watch::Watch;
use libtest_mimic::{Arguments, Failed, Trial, run};
use std::fmt;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use toml::Table;

/// What is tested, put together before `main` runs it.
#[derive(Default)]
pub struct Harness {
    scenarios: Vec<(Arc<dyn AnyScenario>, Range<u64>)>,
    plans: Vec<PathBuf>,
}

impl fmt::Debug for Harness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = self.scenarios.iter();
        let named = named.map(|(scenario, seeds)| (scenario.name(), seeds));
        f.debug_struct("Harness")
            .field("scenarios", &named.collect::<Vec<_>>())
            .field("plans", &self.plans)
            .finish()
    }
}

impl Harness {
    /// Tests nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Also asks that `scenario` holds under `seeds`, as
    /// [`assert_holds`](crate::run::assert_holds) does.
    #[must_use]
    pub fn scenario(mut self, scenario: impl AnyScenario + 'static, seeds: Range<u64>) -> Self {
        self.scenarios.push((Arc::new(scenario), seeds));
        self
    }

    /// Also asks that each plan (`*.toml`) in `directory`, seen from where the tests run (the
    /// directory of their package), finds what it expects. Each names one of the scenarios.
    #[must_use]
    pub fn plans(mut self, directory: impl Into<PathBuf>) -> Self {
        self.plans.push(directory.into());
        self
    }

    /// Does what the arguments of the process say: lists the tests, or runs them. A directory of
    /// plans that cannot be read or that has none is a test that fails, never one that is missing.
    pub fn main(self) -> ExitCode {
        let arguments = Arguments::from_args();
        run(&arguments, self.trials()).exit_code()
    }

    fn trials(self) -> Vec<Trial> {
        let known: Arc<[Arc<dyn AnyScenario>]> =
            self.scenarios.iter().map(|(one, _)| one.clone()).collect();
        let mut trials = Vec::new();
        for (scenario, seeds) in self.scenarios {
            let name = format!("scenario::{}", scenario.name());
            trials.push(Trial::test(name, move || {
                hold::holds(&*scenario, seeds).map_err(Failed::from)
            }));
        }
        for directory in &self.plans {
            match plans_in(directory) {
                Ok(files) => trials.extend(files.into_iter().map(|file| {
                    let known = known.clone();
                    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
                    Trial::test(format!("plan::{stem}"), move || replay(&known, &file))
                })),
                Err(problem) => {
                    let name = format!("plans::{}", directory.display());
                    trials.push(Trial::test(name, move || Err(problem.into())));
                }
            }
        }
        trials
    }
}

/// The plans of a directory, in the order of their names.
fn plans_in(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let told = |problem: &dyn fmt::Display| format!("{}: {problem}", directory.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(|error| told(&error))? {
        let file = entry.map_err(|error| told(&error))?.path();
        if file
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            files.push(file);
        }
    }
    files.sort();
    match files.is_empty() {
        true => Err(told(&"found no plan, expected files *.toml")),
        false => Ok(files),
    }
}

/// Runs the plan in `file` and compares it with what it expects.
fn replay(known: &[Arc<dyn AnyScenario>], file: &Path) -> Result<(), Failed> {
    let told = |problem: &dyn fmt::Display| format!("{}: {problem}", file.display());
    let text = fs::read_to_string(file).map_err(|error| told(&error))?;
    let table: Table = text.parse().map_err(|error| told(&error))?;
    let named = table.get("scenario").and_then(|name| name.as_str());
    let named = named.ok_or_else(|| told(&"found no key 'scenario', expected its name"))?;
    let scenario = known.iter().find(|one| one.name() == named);
    let scenario = scenario.ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(|one| one.name()).collect();
        let names = names.join(", ");
        told(&format!(
            "found the scenario '{named}', expected one of these: {names}"
        ))
    })?;
    let (report, expect) = scenario
        .run_text(file, &text, &Watch::default())
        .map_err(|error| error.to_string())?;
    match disappointment(&expect, report.finding.as_ref()) {
        Some(wrong) => Err(told(&wrong).into()),
        None => Ok(()),
    }
}
