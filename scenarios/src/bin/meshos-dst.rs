//! The `meshos-dst` command: the simulator of MeshOS.

use mimalloc::MiMalloc;
use std::process::ExitCode;

/// Runs allocate much and for a short time, on all cores at once.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    meshos_sim::cli::main(meshos_scenarios::program())
}
