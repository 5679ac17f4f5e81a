//! The daemon: runs one node, and talks to nodes that run.

use std::process::ExitCode;

fn main() -> ExitCode {
    meshos_runtime_tokio::cli::main()
}
