//! Which bytes may flip: sealed ones, and never all copies of one committed entry.
//!
//! A chain can repair any copy but the last, and no crash may meet a flip in a batch that is not
//! sealed yet, where damage cannot be told from a torn write.
//!
//! Striped flips hit every node and are within that budget all the same. The position of an entry
//! decides on which node its copy may flip, and it is one node for the whole run, whatever is cut,
//! repaired or appended again there. A committed entry is on the disks of a majority of voters,
//! which are at least two unless the chain has one voter only; such a chain is left alone. So one
//! copy of it stays whole, for no plan that flips bits wipes stores.
//!
//! Of votes, checkpoints and identities a store keeps two copies, and one of them may flip: it is
//! always the same one, so no two flips meet, whatever is written anew between them.

use crate::cfg::{Cfg, Flips};
use crate::model::Host;
use meshos_core::chain::checkpoint;
use meshos_core::chain::store::{Layout, Named, Part, SealedRange};
use meshos_core::chain::vote::Place;
use meshos_core::id::{ChainId, Gen, Seq};
use meshos_sim::disk::Disk;
use meshos_sim::hook::{Flippable, Hook};
use meshos_sim::machine::NodeIndex;
use meshos_sim::world::View;
use std::sync::Arc;

/// Chooses the bytes for a run.
#[derive(Clone, Debug)]
pub struct Flipping {
    flips: Flips,
    nodes: u64,
    seed: u64,
    /// Whose small records were hit.
    victims: Vec<NodeIndex>,
}

impl Flipping {
    /// The choice of a plan.
    pub fn new(cfg: &Cfg, seed: u64, nodes: u16) -> Self {
        Self {
            flips: cfg.flips,
            nodes: u64::from(nodes),
            seed,
            victims: Vec::new(),
        }
    }

    /// One place of each small record, the same one in the whole run, and the repairs.
    fn records(&self, node: NodeIndex, disk: &Disk) -> Vec<Flippable> {
        let turn = match (self.seed ^ u64::from(node.0)) & 1 {
            0 => Place::A,
            _ => Place::B,
        };
        let is_mine = |name: &str| match Named::of(name) {
            Some(Named::Identity(place) | Named::Peers(place)) => place == turn,
            Some(Named::Chain { part, .. }) => match part {
                Part::Vote(place) | Part::Checkpoint(place) => place == turn,
                Part::Repairs => true,
                Part::Segment(_) | Part::Draft => false,
            },
            None => false,
        };
        let mine = disk.files().filter(|(name, _)| is_mine(name));
        let whole = |(file, bytes): (&Arc<str>, &[u8])| {
            let synced = disk.synced(file);
            let end = match Named::of(file) {
                // Behind its record a flip would harm nothing.
                Some(Named::Chain {
                    part: Part::Checkpoint(_),
                    ..
                }) => synced.min(checkpoint::record_bytes(bytes)),
                Some(Named::Chain { .. } | Named::Identity(_) | Named::Peers(_)) | None => synced,
            };
            let file = file.clone();
            let bytes = 0..end;
            Flippable { file, bytes }
        };
        mine.map(whole).collect()
    }

    /// The sealed records of every entry whose turn this node is.
    fn ranges(&self, node: NodeIndex, host: &Host) -> Option<Vec<SealedRange>> {
        let (layout, running) = (host.layout()?, host.node()?);
        let mut ranges = Vec::new();
        // A replica that stopped may have failed to write what its layout counts as sealed.
        let healthy = running.chains().iter().filter(|chain| {
            let voters = &chain.log().membership().voters;
            chain.fault().is_none() && voters.len() > 1
        });
        for chain in healthy {
            let (id, generation, log) = (chain.id(), chain.generation(), chain.log());
            let seqs = (log.floor().get()..log.end().get()).map(Seq::new);
            let turn =
                |seq: &Seq| seq.get().wrapping_add(self.seed) % self.nodes == u64::from(node.0);
            let mine = seqs.filter(turn);
            ranges.extend(mine.filter_map(|seq| sealed(layout, id, generation, seq)));
        }
        Some(ranges)
    }
}

fn sealed(layout: &Layout, chain: ChainId, generation: Gen, seq: Seq) -> Option<SealedRange> {
    let (range, is_sealed) = layout.locate(chain, generation, seq)?;
    is_sealed.then_some(range)
}

impl Hook<Host> for Flipping {
    fn flippable(
        &mut self,
        view: View<'_, Host>,
        node: NodeIndex,
        disk: &Disk,
    ) -> Option<Vec<Flippable>> {
        match self.flips {
            // The checks know which nodes were harmed, and so which are left.
            Flips::Minority => return None,
            Flips::Striped => {}
            Flips::Records => {
                let known = self.victims.contains(&node);
                if !known && self.victims.len() as u64 >= (self.nodes - 1) / 2 {
                    return Some(Vec::new());
                }
                if !known {
                    self.victims.push(node);
                }
                return Some(self.records(node, disk));
            }
        }
        // What a batch under way will seal is not sealed yet.
        let host = view.node(node).filter(|_| view.batches(node) == 0);
        let ranges = host
            .and_then(|host| self.ranges(node, host))
            .unwrap_or_default();
        let flippable = |sealed: SealedRange| Flippable {
            file: sealed.file,
            bytes: sealed.range,
        };
        Some(ranges.into_iter().map(flippable).collect())
    }
}
