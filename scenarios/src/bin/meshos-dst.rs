//! The `meshos-dst` command.

use meshos_sim::bench::w1;
use meshos_sim::cli::{Program, main as run};
use meshos_sim::machines::rally::Rally;
use std::process::ExitCode;

fn main() -> ExitCode {
    let program = Program::new("meshos-dst", env!("CARGO_PKG_VERSION"));
    let program = w1::workloads().into_iter().fold(program, Program::workload);
    run(program.scenario(Rally))
}
