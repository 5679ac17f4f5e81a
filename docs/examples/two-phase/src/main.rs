//! The command line of the example: `cargo run --release -- explore two-phase`.

use meshos_sim::cli::{Program, main as run};
use std::process::ExitCode;
use two_phase::{Care, scenario::TwoPhase};

fn main() -> ExitCode {
    let program = Program::new("two-phase", env!("CARGO_PKG_VERSION"));
    let cares = [
        Care::Whole,
        Care::MissesOneVote,
        Care::GivesUp,
        Care::Overturns,
    ];
    run(cares.into_iter().fold(program, |program, care| {
        program.explorable(TwoPhase {
            care,
            nodes: 3,
            transactions: 2,
        })
    }))
}
