//! `meshosd config`

use super::Failure;
use super::output::{Output, Tone};
use crate::config::Settings;
use crate::daemon;
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Says whether config files can be used, and for which cluster
    Check(Files),
    /// Shows a config file with all defaults filled in
    Show(Files),
    /// Draws a new store id
    NewStoreId,
}

#[derive(Debug, Args)]
pub(super) struct Files {
    /// The config files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub(super) fn config(command: ConfigCommand, output: &Output) -> Result<(), Failure> {
    match command {
        ConfigCommand::Check(files) => check(&files, output),
        ConfigCommand::Show(files) => show(&files, output),
        ConfigCommand::NewStoreId => {
            let bytes = daemon::random::<16>().map_err(Failure::failed)?;
            let id = format!("{:032x}", u128::from_le_bytes(bytes).max(1));
            output.json(&json!({ "store": id }));
            output.line(&id);
            Ok(())
        }
    }
}

fn check(files: &Files, output: &Output) -> Result<(), Failure> {
    let mut mistakes = Vec::new();
    for file in &files.files {
        match Settings::read(file) {
            Ok(settings) => {
                let identity = &settings.identity;
                let cluster = format!("{:032x}", identity.cluster.get());
                let (file, node) = (file.display(), identity.node.get());
                output.json(&json!({
                    "file": file.to_string(), "ok": true, "node": node, "cluster": cluster,
                }));
                let ok = output.paint(Tone::Good, "ok");
                output.line(&format!("{ok} {file}: node {node} of cluster {cluster}"));
            }
            Err(error) => {
                output.json(&json!({
                    "file": file.display().to_string(), "ok": false, "error": error.to_string(),
                }));
                mistakes.push(error.to_string());
            }
        }
    }
    if mistakes.is_empty() {
        return Ok(());
    }
    Err(Failure::Unusable(mistakes.join("\nmeshosd: ")))
}

fn show(files: &Files, output: &Output) -> Result<(), Failure> {
    for file in &files.files {
        let settings = Settings::read(file).map_err(Failure::unusable)?;
        let shown = toml::to_string(&settings.file).map_err(Failure::failed)?;
        let value = serde_json::to_value(&settings.file).map_err(Failure::failed)?;
        output.json(&value);
        output.line(shown.trim_end());
    }
    Ok(())
}
