//! `meshosd chain verify` and `dump`: a store as its files say, without a node.

use super::Failure;
use super::output::{Output, Tone};
use crate::directory::read_files;
use clap::Args;
use meshos_core::chain::order::{Image, Slot};
use meshos_core::chain::recover::{Recovered, recover};
use meshos_core::chain::store::Limits;
use meshos_core::id::{ChainId, Seq};
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// The store directories
    #[arg(required = true, value_name = "DIR")]
    directories: Vec<PathBuf>,
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

fn read(path: &Path) -> Result<Recovered, Failure> {
    let unusable = |error: &dyn std::fmt::Display| {
        let path = path.display();
        Failure::Unusable(format!("{path}: {error}"))
    };
    let files = read_files(path).map_err(|error| unusable(&error))?;
    recover(&files, &Limits::default()).map_err(|error| unusable(&error))
}

fn unknown(image: &Image) -> usize {
    let slots = image.slots.iter();
    slots.filter(|slot| matches!(slot, Slot::Unknown)).count()
}

pub(super) fn verify(args: &VerifyArgs, output: &Output) -> Result<(), Failure> {
    let mut lost = 0;
    for path in &args.directories {
        let recovered = read(path)?;
        let identity = &recovered.identity;
        let (node, store) = (identity.node, identity.store.get());
        for damage in &recovered.damage {
            output.line(&output.paint(Tone::Faint, &damage.to_string()));
        }
        for image in &recovered.boot.images {
            let unknown = unknown(image);
            let is_lost = image.vote.is_none();
            lost += unknown + usize::from(is_lost);
            output.json(&json!({
                "directory": path.display().to_string(),
                "node": node.get(),
                "store": format!("{store:032x}"),
                "chain": image.chain.to_string(),
                "generation": image.generation.get(),
                "floor": image.checkpoint.floor.end.get(),
                "end": image.tip.end.get(),
                "hash": format!("{:032x}", image.tip.hash.0),
                "unknown": unknown,
                "lost": is_lost,
                "clean": unknown == 0 && !is_lost,
            }));
            let verdict = if is_lost {
                output.paint(Tone::Bad, "lost")
            } else if unknown > 0 {
                output.paint(Tone::Bad, &format!("{unknown} entries damaged"))
            } else {
                output.paint(Tone::Good, "clean")
            };
            let (chain, generation) = (image.chain, image.generation);
            let (floor, end) = (image.checkpoint.floor.end, image.tip.end);
            output.line(&format!(
                "{}: node {node} chain {chain}-{generation} entries {floor}..{end}: {verdict}",
                path.display(),
            ));
        }
    }
    if lost == 0 {
        return Ok(());
    }
    Err(Failure::failed("not everything that was stored is intact"))
}

pub(super) fn dump(args: &DumpArgs, output: &Output) -> Result<(), Failure> {
    let recovered = read(&args.directory)?;
    let wanted = args.chain.as_deref().map(ChainId::of);
    let images = recovered.boot.images.iter();
    let mut images = images
        .filter(|image| wanted.is_none_or(|wanted| image.chain == wanted))
        .peekable();
    if images.peek().is_none() {
        return Err(Failure::unusable("the store holds no such chain"));
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
