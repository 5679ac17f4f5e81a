//! A command line whose scenarios misbehave on purpose, each in one way that its name says.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "around runs, or misbehaving on purpose"
)]

mod misfit;

use meshos_sim::cli::{Measure, Program, Recordings, Replayed, Workload, main as run};
use meshos_sim::machines::rally::Rally;
use meshos_sim::marks::Mark;
use meshos_sim::scenario::Scenario as _;
use misfit::{Defect, Misfit};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// Recordings are directories with a file `steps`.
struct Counted;

impl Recordings for Counted {
    fn replay(&self, directory: &Path) -> Result<Replayed, String> {
        let file = directory.join("steps");
        let text = std::fs::read_to_string(&file)
            .map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(match text.trim().parse() {
            Ok(steps) => Replayed::Identical {
                steps,
                notes: vec!["a torn end".to_owned()],
            },
            Err(_) => Replayed::Diverged {
                steps: 3,
                difference: format!("- 1\n+ {text}"),
            },
        })
    }
}

fn main() -> ExitCode {
    let measure = |steps| Measure {
        steps,
        simulated: Duration::from_secs(9),
        seeds: 1,
    };
    let workload = Workload::new("nothing", "does nothing", move || measure(2_000));
    let mut program = Program::new("sim-tryout", "1.2.3")
        .build("1.2.3+tryout")
        .explorable(Rally);
    // Without the others a sweep of all scenarios is one that holds.
    let wanted = std::env::var("TRYOUT").unwrap_or_default();
    for misfit in Defect::ALL.map(Misfit) {
        if wanted == "all" || wanted == misfit.name() {
            let can_be_explored = matches!(misfit.0, Defect::Breaks | Defect::Panics);
            program = match can_be_explored {
                true => program.explorable(misfit),
                false => program.scenario(misfit),
            };
        }
    }
    if wanted == "unmarked" {
        program = program.marks([Mark::required("a state that no scenario reaches")]);
    }
    run(program
        .workload(workload.yardstick("idle", 1, move || measure(1_000)))
        .recordings(Counted))
}
