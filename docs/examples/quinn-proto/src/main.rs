//! The command line of the example: `cargo run -- run`.

use meshos_sim::cli::{Program, main as run};
use quinn_pairs::scenario::Parcels;
use std::process::ExitCode;

fn main() -> ExitCode {
    run(Program::new("quinn-pairs", env!("CARGO_PKG_VERSION")).scenario(Parcels))
}
