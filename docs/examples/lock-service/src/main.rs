//! The command line of the example: `cargo run -- run`.

use lock_service::{Care, scenario::Locks};
use meshos_sim::cli::{Program, main as run};
use std::process::ExitCode;

fn main() -> ExitCode {
    let program = Program::new("lock-service", env!("CARGO_PKG_VERSION"));
    let cares = [
        Care::WritesFirst,
        Care::AnswersEarly,
        Care::FreesLaterClaims,
    ];
    run(cares
        .into_iter()
        .fold(program, |program, care| program.explorable(Locks { care })))
}
