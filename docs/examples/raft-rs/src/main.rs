//! The command line of the example: `cargo run -- run mended`.

use meshos_sim::cli::{Program, main as run};
use raft_rs::{Care, scenario::Group};
use std::process::ExitCode;

fn main() -> ExitCode {
    let program = Program::new("raft-rs", env!("CARGO_PKG_VERSION"));
    let all = [Care::Published, Care::Mended, Care::ForgottenVote];
    let with = |program: Program, care| program.scenario(Group { care });
    run(all.into_iter().fold(program, with))
}
