//! MeshOS in the simulator: the model of a host, the scenarios and the checks.

pub mod cfg;
pub mod checks;
mod clients;
pub mod explored;
pub mod flips;
pub mod history;
mod invalid_plans;
mod marks;
pub mod model;
pub mod recordings;
pub mod scenes;
mod targeted;
pub mod workloads;

use explored::OneChain;
use meshos_sim::cli::Program;
use meshos_sim::machines::rally::Rally;

/// Everything that `meshos-dst` knows.
pub fn program() -> Program {
    let version = concat!(env!("CARGO_PKG_VERSION"), env!("BUILD_COMMIT"));
    let program = Program::new("meshos-dst", version)
        .build(env!("CARGO_PKG_VERSION"))
        .marks(marks::all());
    let program = program
        .recordings(recordings::NodeRecordings)
        .regressions("scenarios/regressions");
    let program = workloads::all()
        .into_iter()
        .fold(program, Program::workload);
    let scenes = scenes::all().into_iter();
    let program = scenes.fold(program, Program::scenario);
    program.explorable(Rally).explorable(OneChain)
}
