//! `meshosd config`

use super::output::{Output, Tone};
use super::{Failure, KEEPS_ALL, listed};
use crate::boot::random;
use crate::config::{Settings, agree};
use clap::{Args, Subcommand};
use meshos_core::config::Retention;
use meshos_core::id::ChainId;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Says whether config files can be used, for which cluster, and whether those given together are
    /// of one cluster
    Check(Files),
    /// Shows a config file with all defaults filled in
    Show(Files),
    /// Draws a new store id
    NewStoreId,
    /// Makes the config files of a new cluster, with ids that nothing else has
    NewCluster(NewCluster),
}

#[derive(Debug, Args)]
pub(super) struct NewCluster {
    /// Where each node is reached, as host:port
    #[arg(value_name = "ADDRESS", default_value = "127.0.0.1:7100")]
    addresses: Vec<String>,
    /// Writes node-1.toml, node-2.toml, .. into DIR, which is made; the file of a single node is printed without it
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
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
        ConfigCommand::NewCluster(wanted) => new_cluster(&wanted, output),
        ConfigCommand::NewStoreId => {
            let id = new_id()?;
            output.json(&json!({ "store": id }));
            output.line(&id);
            Ok(())
        }
    }
}

fn new_id() -> Result<String, Failure> {
    let bytes = random::<16>().map_err(Failure::failed)?;
    Ok(format!("{:032x}", u128::from_le_bytes(bytes).max(1)))
}

fn new_cluster(wanted: &NewCluster, output: &Output) -> Result<(), Failure> {
    let deployment = new_id()?;
    let mut stores = Vec::new();
    let mut cluster = format!("[cluster]\ndeployment = \"{deployment}\"\n");
    for (id, address) in (1..).zip(&wanted.addresses) {
        let store = new_id()?;
        write!(
            cluster,
            "\n[[cluster.nodes]]\nid = {id}\nstore = \"{store}\"\naddress = \"{address}\"\n"
        )
        .expect("text can always grow");
        stores.push(store);
    }
    cluster.push_str("\n[[chains]]\nname = \"orders\"\n");
    let many = stores.len() > 1;
    let mut files = Vec::new();
    let mut first = None;
    for (id, store) in (1_u64..).zip(&stores) {
        let behind = if many {
            format!("-{id}")
        } else {
            String::new()
        };
        let text = format!(
            "[node]\nid = {id}\ncontrol = \"node{behind}.sock\"\n\n\
             [store]\npath = \"store{behind}\"\nid = \"{store}\"\n\n\
             [recording]\npath = \"recording{behind}\"\n\n{cluster}"
        );
        let path = PathBuf::from(format!("node-{id}.toml"));
        let settings = Settings::parse(&path, &text).map_err(Failure::unusable)?;
        first.get_or_insert(settings);
        files.push((path, text));
    }
    let settings = first.ok_or_else(|| Failure::unusable("a cluster has at least one node"))?;
    let chains = chains_json(&settings);
    output.json(&json!({ "deployment": deployment, "stores": stores, "chains": chains }));
    let Some(directory) = &wanted.out else {
        let [(_, text)] = &files[..] else {
            let what = "the files of several nodes need a directory, --out DIR";
            return Err(Failure::unusable(what));
        };
        output.line(text.trim_end());
        return Ok(());
    };
    let made = std::fs::create_dir_all(directory);
    made.map_err(|e| Failure::unusable(format!("{}: {e}", directory.display())))?;
    for (name, text) in files {
        let path = directory.join(name);
        let written = File::create_new(&path).and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|e| {
            let is_there = e.kind() == ErrorKind::AlreadyExists;
            let hint = if is_there {
                "; name another directory, or remove it"
            } else {
                ""
            };
            Failure::unusable(format!("{}: {e}{hint}", path.display()))
        })?;
        output.line(&path.display().to_string());
    }
    chain_table(&settings, output);
    Ok(())
}

fn check(files: &Files, output: &Output) -> Result<(), Failure> {
    let mut mistakes = Vec::new();
    let mut good = Vec::new();
    for path in &files.files {
        match Settings::read(path) {
            Ok(settings) => {
                let identity = &settings.identity;
                let cluster = format!("{:032x}", identity.cluster.get());
                let (file, node) = (path.display(), identity.node.get());
                output.json(&json!({
                    "file": file.to_string(), "ok": true, "node": node, "cluster": cluster,
                    "chains": chains_json(&settings),
                }));
                let ok = output.paint(Tone::Good, "ok");
                output.line(&format!("{ok} {file}: node {node} of cluster {cluster}"));
                chain_table(&settings, output);
                good.push((path.clone(), settings));
            }
            Err(error) => {
                output.json(&json!({
                    "file": path.display().to_string(), "ok": false, "error": error.to_string(),
                }));
                mistakes.push(error.to_string());
            }
        }
    }
    if let Err(error) = agree(&good) {
        output.json(&json!({ "ok": false, "error": error.to_string() }));
        mistakes.push(error.to_string());
    }
    if mistakes.is_empty() {
        return Ok(());
    }
    Err(Failure::Unusable(mistakes.join("\nmeshosd: ")))
}

/// Who holds each chain, in the order of the file.
fn members(settings: &Settings) -> impl Iterator<Item = (&str, &[u64])> {
    let chains = settings.file.chains.iter();
    chains.map(|chain| (&*chain.name, chain.members.as_deref().unwrap_or_default()))
}

fn chains_json(settings: &Settings) -> Vec<Value> {
    let chains = settings.file.chains.iter().map(|chain| {
        json!({
            "chain": chain.name, "id": ChainId::of(&chain.name).to_string(),
            "members": chain.members, "retention": chain.retention,
        })
    });
    chains.collect()
}

/// The chains that no bound is set for.
fn keeping_all(settings: &Settings) -> impl Iterator<Item = &str> {
    let chains = settings.file.chains.iter();
    let unbounded = chains.filter(|chain| chain.retention == Retention::default());
    unbounded.map(|chain| &*chain.name)
}

/// Says who holds each chain, and which nodes hold none.
fn chain_table(settings: &Settings, output: &Output) {
    for (name, members) in members(settings) {
        output.line(&format!("   chain {name}: members {}", listed(members)));
    }
    for chain in keeping_all(settings) {
        output.line(&format!("   chain {chain}: {KEEPS_ALL}; see retention"));
    }
    let holds = |node: &u64| members(settings).any(|(_, members)| members.contains(node));
    let nodes = settings.file.cluster.nodes.iter().map(|entry| entry.id);
    let idle: Vec<u64> = nodes.filter(|node| !holds(node)).collect();
    if !idle.is_empty() {
        let text = format!("   no chain is held by: {}", listed(&idle));
        output.line(&output.paint(Tone::Bad, &text));
    }
}

fn show(files: &Files, output: &Output) -> Result<(), Failure> {
    for file in &files.files {
        let settings = Settings::read(file).map_err(Failure::unusable)?;
        let shown = toml::to_string(&settings.file).map_err(Failure::failed)?;
        let value = serde_json::to_value(&settings.file).map_err(Failure::failed)?;
        output.json(&value);
        output.line(shown.trim_end());
        for chain in keeping_all(&settings) {
            output.line(&format!(
                "# retention of chain {chain}: none, it {KEEPS_ALL}"
            ));
        }
        for chain in &settings.file.chains {
            let id = ChainId::of(&chain.name);
            output.line(&format!("# id of chain {} in its store: {id}", chain.name));
        }
    }
    Ok(())
}
