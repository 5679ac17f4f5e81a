//! `meshosd run`

use super::Failure;
use crate::boot::Formatting;
use crate::config::Settings;
use crate::daemon;
use crate::run_error::RunError;
use clap::Args;
use std::io::{self, Write};
use std::path::PathBuf;
use tracing_subscriber::EnvFilter;

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The config file
    #[arg(
        long,
        env = "MESHOSD_CONFIG",
        default_value = "node.toml",
        value_name = "FILE"
    )]
    config: PathBuf,
    /// Formats the empty store directory first, for the store id that the config names; for the
    /// very first start of a node only
    #[arg(long)]
    format: bool,
    /// What to log, as in `info` or `meshos_core=debug,info`
    #[arg(
        long,
        env = "MESHOSD_LOG",
        default_value = "info",
        value_name = "FILTER"
    )]
    log: String,
}

/// Standard error, as far as it takes what is written: a log that is full, or that nobody reads any
/// more, is no reason to stop.
struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = io::stderr().write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = io::stderr().flush();
        Ok(())
    }
}

pub(super) fn run(args: RunArgs) -> Result<(), Failure> {
    let settings = Settings::read(&args.config).map_err(Failure::unusable)?;
    let filter = EnvFilter::try_new(&args.log);
    let filter = filter.map_err(|e| Failure::unusable(format!("--log {}: {e}", args.log)))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Log)
        .log_internal_errors(false)
        .with_ansi(false)
        .init();
    let formatting = if args.format {
        Formatting::Format
    } else {
        Formatting::Refuse
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Failure::failed)?;
    let ended = runtime.block_on(daemon::run(settings, formatting));
    // What still blocks a thread, such as a name that is being looked up, is not waited for.
    runtime.shutdown_background();
    ended.map_err(|error| match error {
        RunError::Store(_) | RunError::Start(_) => Failure::unusable(error),
        RunError::Listen { .. } | RunError::Control { .. } | RunError::Recording(_) => {
            Failure::unusable(error)
        }
        RunError::System { .. } | RunError::Ended(_) | RunError::CutShort => Failure::failed(error),
    })
}
