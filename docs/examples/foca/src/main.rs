//! The command line of the example: `cargo run -- run`.

use foca_members::scenario::Members;
use meshos_sim::cli::{Program, main as run};
use std::process::ExitCode;

fn main() -> ExitCode {
    run(Program::new("foca-members", env!("CARGO_PKG_VERSION")).scenario(Members::default()))
}
