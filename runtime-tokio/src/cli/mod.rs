//! The command line of `meshosd`.
//!
//! Exit status: 0 done, 1 the store is damaged, a request was not fulfilled, or a status shows that
//! something is not well, 2 the arguments or a file were unusable.

mod append;
mod config;
mod offline;
mod output;
mod read;
mod run;
mod session;
mod status;
mod waiting;

use clap::{Args, Parser, Subcommand};
use meshos_core::id::Seq;
use output::{Color, Output};
use std::path::PathBuf;
use std::process::ExitCode;

/// Why a command ends with another status than 0.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Status 1.
    #[error("{0}")]
    Failed(String),
    /// Status 2.
    #[error("{0}")]
    Unusable(String),
}

impl Failure {
    fn failed(error: impl ToString) -> Self {
        Self::Failed(error.to_string())
    }

    fn unusable(error: impl ToString) -> Self {
        Self::Unusable(error.to_string())
    }

    /// The same, and what came about in spite of it.
    fn but(self, what: &str) -> Self {
        let told = |why: String| format!("{why}; {what}");
        match self {
            Self::Failed(why) => Self::Failed(told(why)),
            Self::Unusable(why) => Self::Unusable(told(why)),
        }
    }
}

/// Runs one node of a MeshOS cluster, and talks to nodes that run.
#[derive(Debug, Parser)]
#[command(name = "meshosd", version = VERSION, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    shown: Shown,
}

/// The version, and the commit where it was known when this was built.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), env!("BUILD_COMMIT"));

#[derive(Debug, Args)]
struct Shown {
    /// Writes the result as JSON to FILE, or to standard output
    #[arg(long, global = true, num_args = 0..=1, require_equals = true, default_missing_value = "-")]
    #[arg(value_name = "FILE")]
    json: Option<String>,
    /// Colours the output
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    color: Color,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a node until SIGTERM; then hands over what it leads and exits
    Run(run::RunArgs),
    /// Checks and shows config files
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Shows what nodes say of themselves, their chains and their peers
    Status(status::StatusArgs),
    /// Appends to chains, reads and checks them
    #[command(subcommand)]
    Chain(ChainCommand),
}

#[derive(Debug, Subcommand)]
enum ChainCommand {
    /// Appends one payload, or many from concurrent clients
    Append(append::AppendArgs),
    /// Shows entries
    Read(read::ReadArgs),
    /// Shows the last entries, and new ones as they come
    Tail(read::TailArgs),
    /// Checks the chains in a store directory of a node that does not run, or in a copy
    Verify(offline::VerifyArgs),
    /// Shows everything in a store directory of a node that does not run, or in a copy
    Dump(offline::DumpArgs),
}

/// Which node to talk to.
#[derive(Debug, Args)]
struct Target {
    /// The config file of a node on this machine, for its control socket
    #[arg(
        long,
        env = "MESHOSD_CONFIG",
        default_value = "node.toml",
        value_name = "FILE"
    )]
    config: PathBuf,
    /// A control socket, instead of a config file; may be repeated
    #[arg(long, value_name = "SOCKET")]
    endpoint: Vec<PathBuf>,
}

impl Target {
    /// The control sockets, at least one.
    fn endpoints(&self) -> Result<Vec<PathBuf>, Failure> {
        if !self.endpoint.is_empty() {
            return Ok(self.endpoint.clone());
        }
        let settings = crate::config::Settings::read(&self.config).map_err(Failure::unusable)?;
        Ok(vec![settings.file.node.control])
    }
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let output = match Output::new(cli.shown.json.as_deref(), cli.shown.color) {
        Ok(output) => output,
        Err(error) => {
            output::complain(&error.to_string());
            return ExitCode::from(2);
        }
    };
    let done = dispatch(cli.command, &output);
    // What a command found before it failed is shown, too.
    let shown = output.finish();
    match done.and(shown) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::complain(&failure.to_string());
            ExitCode::from(match failure {
                Failure::Failed(_) => 1,
                Failure::Unusable(_) => 2,
            })
        }
    }
}

fn dispatch(command: Command, output: &Output) -> Result<(), Failure> {
    match command {
        Command::Run(args) => run::run(args),
        Command::Config(command) => config::config(command, output),
        Command::Status(args) => asynchronously(status::status(args, output)),
        Command::Chain(command) => match command {
            ChainCommand::Append(args) => asynchronously(append::append(args, output)),
            ChainCommand::Read(args) => asynchronously(read::read(args, output)),
            ChainCommand::Tail(args) => asynchronously(read::tail(args, output)),
            ChainCommand::Verify(args) => offline::verify(&args, output),
            ChainCommand::Dump(args) => offline::dump(&args, output),
        },
    }
}

/// What is not said otherwise of a chain of which everything is kept.
const KEEPS_ALL: &str = "keeps everything, in memory";

/// How much is committed, for people: positions begin at 0, so `end` entries are, whether they are
/// retained or not.
fn committed(end: Seq) -> String {
    format!("{end} committed")
}

/// How many entries of a store are damaged, for people.
fn damaged(count: u64) -> String {
    match count {
        1 => "1 entry is damaged".to_owned(),
        _ => format!("{count} entries are damaged"),
    }
}

/// Numbers of nodes for people.
fn listed(nodes: &[u64]) -> String {
    let nodes: Vec<String> = nodes.iter().map(ToString::to_string).collect();
    nodes.join(", ")
}

fn asynchronously(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::failed)?;
    runtime.block_on(command)
}
