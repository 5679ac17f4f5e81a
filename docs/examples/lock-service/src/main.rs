//! The command line of the example: `cargo run -- run`.

use lock_service::{Care, scenario::Locks};
use meshos_sim::cli::{Program, main as run};
use std::process::ExitCode;

fn main() -> ExitCode {
    let program = Program::new("lock-service", env!("CARGO_PKG_VERSION"));
    let program = program.scenario(Locks {
        care: Care::WritesFirst,
    });
    run(program.scenario(Locks {
        care: Care::AnswersEarly,
    }))
}
