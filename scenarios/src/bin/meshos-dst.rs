//! The `meshos-dst` command: the simulator of MeshOS.

use std::process::ExitCode;

fn main() -> ExitCode {
    meshos_sim::cli::main(meshos_scenarios::program())
}
