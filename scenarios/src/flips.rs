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

use crate::cfg::{Cfg, Flips};
use crate::model::Host;
use meshos_core::chain::store::{Layout, SealedRange};
use meshos_core::id::{ChainId, Gen, Seq};
use meshos_sim::disk::Disk;
use meshos_sim::hook::{Flippable, Hook};
use meshos_sim::machine::NodeIndex;
use meshos_sim::world::View;

/// Chooses the bytes for a run.
#[derive(Copy, Clone, Debug)]
pub struct Flipping {
    flips: Flips,
    nodes: u64,
    seed: u64,
}

impl Flipping {
    /// The choice of a plan.
    pub fn new(cfg: &Cfg, seed: u64, nodes: u16) -> Self {
        Self {
            flips: cfg.flips,
            nodes: u64::from(nodes),
            seed,
        }
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
        _: &Disk,
    ) -> Option<Vec<Flippable>> {
        match self.flips {
            // The checks know which nodes were harmed, and so which are left.
            Flips::Minority => return None,
            Flips::Striped => {}
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
