//! The whole command line, for any set of scenarios.
//!
//! A binary registers its scenarios in a [`Program`] and calls [`main`]. Exit status: 0 all held,
//! 1 a property was violated or a replay diverged, 2 the arguments or a file were unusable, 3 the
//! sweep is incomplete.

mod accept;
mod account;
mod args;
mod bench;
mod case;
mod console;
mod duty;
mod explore;
mod generate;
mod interrupt;
mod junit;
mod list;
mod memory;
mod merge;
mod moment;
mod names;
mod present;
mod progress;
mod replay;
mod result;
mod run;
mod shard;
mod shrink;
mod single;
mod survey;
mod sweep;
mod trace;

pub use crate::bench::workload::{Measure, Workload};
pub use replay::{Recordings, Replayed};

use crate::any::AnyScenario;
use crate::explore::{AnyExplorable, Explorable};
use crate::marks::Mark;
use args::{Line, Verb};
use clap::{CommandFactory, FromArgMatches};
use console::{Console, Look};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// Everything that a command line knows.
pub struct Program {
    name: &'static str,
    version: &'static str,
    build: String,
    scenarios: Vec<Arc<dyn AnyScenario>>,
    explorables: Vec<Arc<dyn AnyExplorable>>,
    marks: Vec<Mark>,
    workloads: Vec<Workload>,
    recordings: Option<Arc<dyn Recordings>>,
    regressions: PathBuf,
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self
            .scenarios
            .iter()
            .map(|scenario| scenario.name())
            .collect();
        f.debug_struct("Program")
            .field("name", &self.name)
            .field("scenarios", &names)
            .finish()
    }
}

impl Program {
    /// A program called `name`, without scenarios; `bench` knows the engine's own workloads.
    pub fn new(name: &'static str, version: &'static str) -> Self {
        Self {
            name,
            version,
            build: version.to_owned(),
            scenarios: Vec::new(),
            explorables: Vec::new(),
            marks: Vec::new(),
            workloads: crate::bench::w1::workloads(),
            recordings: None,
            regressions: PathBuf::from("regressions"),
        }
    }

    /// Names the build more exactly than by its version; plans carry it beside a digest.
    #[must_use]
    pub fn build(mut self, build: impl Into<String>) -> Self {
        self.build = build.into();
        self
    }

    /// Adds a scenario.
    ///
    /// # Panics
    /// When another one has the same name.
    #[must_use]
    pub fn scenario(self, scenario: impl AnyScenario + 'static) -> Self {
        self.shared_scenario(Arc::new(scenario))
    }

    /// Adds a scenario that is shared already.
    ///
    /// # Panics
    /// When another one has the same name.
    #[must_use]
    pub fn shared_scenario(mut self, scenario: Arc<dyn AnyScenario>) -> Self {
        let twin = self
            .scenarios
            .iter()
            .find(|other| other.name() == scenario.name());
        assert!(
            twin.is_none(),
            "two scenarios are called {}",
            scenario.name()
        );
        self.scenarios.push(scenario);
        self
    }

    /// Adds a scenario that `explore` takes, too.
    ///
    /// # Panics
    /// When another one has the same name.
    #[must_use]
    pub fn explorable(mut self, scenario: impl Explorable) -> Self {
        let scenario = Arc::new(scenario);
        self.explorables.push(scenario.clone());
        self.shared_scenario(scenario)
    }

    /// Adds marks that a full sweep must see in any scenario.
    #[must_use]
    pub fn marks(mut self, marks: impl IntoIterator<Item = Mark>) -> Self {
        self.marks.extend(marks);
        self
    }

    /// Adds a workload for `bench`.
    #[must_use]
    pub fn workload(mut self, workload: Workload) -> Self {
        self.workloads.push(workload);
        self
    }

    /// Lets `replay` accept directories of recordings.
    #[must_use]
    pub fn recordings(mut self, recordings: impl Recordings + 'static) -> Self {
        self.recordings = Some(Arc::new(recordings));
        self
    }

    /// Says where `accept` puts plans, seen from where the program is called; `regressions` if
    /// nothing is said.
    #[must_use]
    pub fn regressions(mut self, directory: impl Into<PathBuf>) -> Self {
        self.regressions = directory.into();
        self
    }

    /// What to type to call it again: the path by which it was called, for it may be nowhere else.
    fn called(&self) -> String {
        let first = std::env::args_os().next().map(PathBuf::from);
        let Some(path) = first.filter(|path| path.components().count() > 1) else {
            return self.name.to_owned();
        };
        let here = std::env::current_dir().unwrap_or_default();
        let short = path.strip_prefix(here).unwrap_or(&path);
        short.display().to_string()
    }

    fn find(&self, name: &str) -> Result<&Arc<dyn AnyScenario>, Stop> {
        let found = self
            .scenarios
            .iter()
            .find(|scenario| scenario.name() == name);
        found.ok_or_else(|| {
            let names = self.scenarios.iter().map(|scenario| scenario.name());
            names::unknown(&format!("no scenario is called `{name}`"), name, names)
        })
    }
}

impl Program {
    fn find_explorable(&self, name: &str) -> Result<&Arc<dyn AnyExplorable>, Stop> {
        self.find(name)?;
        let mut known = self.explorables.iter();
        let found = known.find(|scenario| scenario.name() == name);
        found.ok_or_else(|| {
            let names: Vec<_> = self.explorables.iter().map(|known| known.name()).collect();
            let names = match names.is_empty() {
                true => "none can".to_owned(),
                false => format!("these can: {}", names.join(", ")),
            };
            Stop::Unusable(format!("scenario {name} cannot be explored; {names}"))
        })
    }
}

/// Why a command ended other than with "all held".
#[derive(Debug)]
enum Stop {
    /// A property was violated or a replay diverged; it has been told.
    Violated,
    /// Arguments or a file were unusable, for this reason.
    Unusable(String),
    /// Not everything ran; it has been told.
    Incomplete,
}

impl From<crate::plan::FileError> for Stop {
    fn from(error: crate::plan::FileError) -> Self {
        Self::Unusable(error.to_string())
    }
}

impl From<String> for Stop {
    fn from(problem: String) -> Self {
        Self::Unusable(problem)
    }
}

/// Runs the command that the process was started with.
pub fn main(program: Program) -> ExitCode {
    ExitCode::from(run_from(program, std::env::args_os()))
}

fn run_from(program: Program, words: impl IntoIterator<Item = OsString>) -> u8 {
    let words: Vec<OsString> = words.into_iter().collect();
    let line = match parse(&program, &words) {
        Ok(line) => line,
        Err(error) => {
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(2);
        }
    };
    let mut console = Console::new(line.document(), line.color);
    let outcome = match line.verb {
        Verb::List => list::list(&program, &mut console),
        Verb::Run(args) => run::run(&program, &mut console, &args),
        Verb::Merge(args) => merge::merge(&program, &mut console, &args),
        Verb::Replay(args) => replay::replay(&program, &mut console, &args),
        Verb::Digest(args) => single::digest(&program, &mut console, &args),
        Verb::Trace(args) => trace::trace(&program, &mut console, &args),
        Verb::Shrink(args) => shrink::shrink(&program, &mut console, &args),
        Verb::Explore(args) => explore::explore(&program, &mut console, &args),
        Verb::Plan(args) => single::plan(&program, &mut console, &args),
        Verb::Accept(args) => accept::accept(&program, &mut console, &args),
        Verb::Bench(args) => bench::bench(&program, &mut console, &args),
        Verb::Generate(args) => generate::generate(&program, &mut console, &args),
    };
    let label = console.paint(Look::Bad, "error:");
    let complain = |problem: &str| {
        use std::io::Write as _;
        // Without standard error there is nobody to tell.
        let _ = writeln!(std::io::stderr(), "{label} {problem}");
    };
    let status = match outcome {
        Ok(()) => 0,
        Err(Stop::Violated) => 1,
        Err(Stop::Incomplete) => 3,
        Err(Stop::Unusable(problem)) => {
            complain(&problem);
            2
        }
    };
    let Err(problem) = console.finish() else {
        return status;
    };
    complain(&problem);
    // A violation outweighs what could not be said of it.
    if status == 1 { 1 } else { 2 }
}

fn parse(program: &Program, words: &[OsString]) -> Result<Line, clap::Error> {
    let matches = command(program).try_get_matches_from(words)?;
    Line::from_arg_matches(&matches)
}

fn command(program: &Program) -> clap::Command {
    Line::command()
        .name(program.name)
        .bin_name(program.name)
        .version(program.version)
}
