//! A test target like a user's: a scenario that holds, one that breaks, and plans from a directory.

#![allow(
    dead_code,
    clippy::disallowed_methods,
    reason = "around runs; other programs use the rest of the misfits"
)]

mod misfit;

use meshos_sim::harness::Harness;
use meshos_sim::machines::rally::Rally;
use misfit::{Defect, Misfit};
use std::process::ExitCode;

fn main() -> ExitCode {
    Harness::new()
        .scenario(Rally, 0..20)
        .scenario(Misfit(Defect::Breaks), 0..20)
        .plans("plans")
        .main()
}
