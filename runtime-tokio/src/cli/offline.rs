//! `meshosd chain verify` and `dump`: a store as its files say, without a node.

use super::output::{Output, Tone};
use super::{Failure, committed, damaged};
use crate::config::Settings;
use crate::directory::{DirectoryError, read_idle};
use clap::Args;
use meshos_core::chain::order::Slot;
use meshos_core::chain::read::{self, Verified, VerifiedChain};
use meshos_core::chain::recover::{Damage, Files, recover};
use meshos_core::chain::store::{Named, StoreLimits};
use meshos_core::id::{ChainId, RunNonce, Seq};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// The store directories
    #[arg(required = true, value_name = "DIR")]
    directories: Vec<PathBuf>,
    /// A config file of the cluster, for the names of its chains
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// The names of chains, as far as they are known.
type Names = BTreeMap<ChainId, String>;

fn names(config: Option<&Path>) -> Result<Names, Failure> {
    let Some(path) = config else {
        return Ok(Names::new());
    };
    let settings = Settings::read(path).map_err(Failure::unusable)?;
    let chains = settings.file.chains.into_iter();
    let named = chains.map(|chain| (ChainId::of(&chain.name), chain.name));
    Ok(named.collect())
}

#[derive(Debug, Args)]
pub(super) struct DumpArgs {
    /// The store directory
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Only this chain
    #[arg(long, value_name = "NAME")]
    chain: Option<String>,
}

fn read(path: &Path) -> Result<Files, Failure> {
    read_idle(path).map_err(|error| match error {
        DirectoryError::Io { .. } => Failure::unusable(error),
        DirectoryError::InUse(_) => Failure::unusable(format!(
            "{error}, which writes to it: stop the node first, or look at a copy"
        )),
    })
}

fn unusable(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::Unusable(format!("{}: {error}", path.display()))
}

pub(super) fn verify(args: &VerifyArgs, output: &Output) -> Result<(), Failure> {
    let mut is_clean = true;
    let names = names(args.config.as_deref())?;
    for path in &args.directories {
        let verified = read::verify(&read(path)?, &StoreLimits::default());
        let verified = verified.map_err(|error| unusable(path, &error))?;
        is_clean &= verified.is_clean();
        for damage in &verified.damage {
            let of = of_chain(damage, &names);
            let line = format!("{}: damaged: {of}{damage}", path.display());
            output.line(&output.paint(Tone::Bad, &line));
        }
        for mended in &verified.mended {
            let (path, of) = (path.display(), of_chain(mended, &names));
            let line = format!("{path}: damaged, and nothing is missing for it: {of}{mended}");
            output.line(&output.paint(Tone::Faint, &line));
        }
        for torn in &verified.torn {
            let (path, of) = (path.display(), of_chain(torn, &names));
            let line = format!("{path}: torn, as a crash leaves it: {of}{torn}");
            output.line(&output.paint(Tone::Faint, &line));
        }
        output.json(&verified_json(path, &verified, &names));
        for chain in &verified.chains {
            output.line(&chain_line(path, &verified, (chain, &names), output));
        }
    }
    if is_clean {
        return Ok(());
    }
    Err(Failure::failed("not everything that was stored is intact"))
}

fn verified_json(path: &Path, verified: &Verified, names: &Names) -> Value {
    let damages = |damages: &[Damage]| -> Vec<Value> {
        let damages = damages.iter().map(|damage| {
            json!({
                "file": &*damage.file,
                "offset": damage.offset,
                "length": damage.length,
                "fault": damage.fault.to_string(),
            })
        });
        damages.collect()
    };
    let chains = verified.chains.iter().map(|chain| {
        json!({
            "chain": chain.chain.to_string(),
            "name": names.get(&chain.chain),
            "generation": chain.generation.get(),
            "floor": chain.floor.end.get(),
            "end": chain.tip.end.get(),
            "hash": format!("{:032x}", chain.tip.hash.0),
            "commit": chain.commit.get(),
            "unknown": unknown(chain),
            "lost": chain.vote.is_none(),
            "lost_entries": chain.lost(),
        })
    });
    json!({
        "directory": path.display().to_string(),
        "node": verified.identity.node.get(),
        "store": format!("{:032x}", verified.identity.store.get()),
        "incarnation": verified.incarnation.get(),
        "clean": verified.is_clean(),
        "damage": damages(&verified.damage),
        "mended": damages(&verified.mended),
        "torn": damages(&verified.torn),
        "chains": chains.collect::<Vec<_>>(),
    })
}

fn unknown(chain: &VerifiedChain) -> u64 {
    let ranges = chain.unknown.iter();
    ranges.map(|range| range.end.distance(range.start)).sum()
}

fn chain_line(
    path: &Path,
    verified: &Verified,
    (chain, names): (&VerifiedChain, &Names),
    output: &Output,
) -> String {
    let (floor, end, commit) = (chain.floor.end, chain.tip.end, chain.commit);
    let (lost, unknown) = (chain.lost(), unknown(chain));
    let bad = |text: &str| output.paint(Tone::Bad, text);
    let verdict = if chain.vote.is_none() {
        bad("its vote record is lost")
    } else if lost > 0 {
        bad(&format!(
            "its end is lost, {lost} entries that were committed"
        ))
    } else if unknown > 0 {
        bad(&damaged(unknown))
    } else if has_torn_end(verified, chain) {
        output.paint(Tone::Good, "clean, up to a torn end")
    } else {
        output.paint(Tone::Good, "clean")
    };
    let (path, node) = (path.display(), verified.identity.node);
    let (id, generation) = (chain.chain, chain.generation);
    let name = match names.get(&id) {
        Some(name) => name.clone(),
        None => format!("{id}-{generation}"),
    };
    let committed = committed(commit);
    format!("{path}: node {node}, {name}: entries {floor}..{end}, at least {committed}: {verdict}")
}

/// The name of the chain that a file with damage is of, as far as it is known.
fn of_chain(damage: &Damage, names: &Names) -> String {
    let name = match Named::of(&damage.file) {
        Some(Named::Chain { chain, .. }) => names.get(&chain),
        Some(Named::Identity(_) | Named::Peers(_)) | None => None,
    };
    name.map_or(String::new(), |name| format!("{name}: "))
}

fn has_torn_end(verified: &Verified, chain: &VerifiedChain) -> bool {
    verified
        .torn
        .iter()
        .any(|torn| match Named::of(&torn.file) {
            Some(Named::Chain {
                chain: id,
                generation,
                ..
            }) => (id, generation) == (chain.chain, chain.generation),
            Some(Named::Identity(_) | Named::Peers(_)) | None => false,
        })
}

pub(super) fn dump(args: &DumpArgs, output: &Output) -> Result<(), Failure> {
    let recovered = recover(
        &read(&args.directory)?,
        &StoreLimits::default(),
        RunNonce::default(),
    );
    let recovered = recovered.map_err(|error| unusable(&args.directory, &error))?;
    let wanted = args.chain.as_deref().map(ChainId::of);
    let images = recovered.boot.images.iter();
    let mut images = images
        .filter(|image| wanted.is_none_or(|wanted| image.chain == wanted))
        .peekable();
    if images.peek().is_none() {
        let held = recovered.boot.images.iter();
        let held: Vec<String> = held.map(|image| image.chain.to_string()).collect();
        let wanted = match (&args.chain, wanted) {
            (Some(name), Some(id)) => format!("chain {name:?}, which is {id}"),
            (None, _) | (_, None) => "chain".to_owned(),
        };
        let held = held.join(", ");
        return Err(Failure::Unusable(format!(
            "the store holds no {wanted}; it holds: {held}"
        )));
    }
    for image in images {
        let floor = image.checkpoint.floor;
        let header = format!(
            "chain {}-{} from {} in {}",
            image.chain, image.generation, floor.end, floor.epoch
        );
        output.line(&output.paint(Tone::Faint, &header));
        output.json(&json!({
            "chain": image.chain.to_string(),
            "generation": image.generation.get(),
            "floor": floor.end.get(),
            "end": image.tip.end.get(),
            "vote": image.vote.map(|vote| json!({
                "epoch": { "n": vote.epoch.n, "node": vote.epoch.node.get() },
                "granted": vote.granted.map(|node| node.get()),
            })),
        }));
        for (offset, slot) in image.slots.iter().enumerate() {
            match slot {
                Slot::Known(entry) => output.entry(entry),
                Slot::Unknown => {
                    let seq = Seq::new(floor.end.get() + offset as u64);
                    output.json(&json!({ "seq": seq.get(), "kind": "unknown" }));
                    output.line(&output.paint(Tone::Bad, &format!("{seq} damaged")));
                }
            }
        }
    }
    Ok(())
}
