//! A MeshOS node as a machine of the simulator, and what a workload may ask of it.

mod describe;
mod files;
mod host;
mod links;
mod op;
mod wire;
mod words;

pub use files::files_of;
pub use host::{Host, HostConfig, Output};
pub use op::{Ask, Freshness, Op, payload};
pub use wire::{Wire, size as wire_size};

use meshos_core::id::{NodeId, StoreId};
use meshos_sim::machine::NodeIndex;

/// The id of the node at a place of the cluster; ids start at 1.
pub fn node_id(node: NodeIndex) -> NodeId {
    NodeId::new(u64::from(node.0) + 1)
}

/// The place of a node in the cluster.
pub fn node_index(node: NodeId) -> NodeIndex {
    NodeIndex((node.get() - 1) as u16)
}

/// The id of the `number`-th store of a node; a wipe begins the next one.
pub fn store_id(node: NodeIndex, number: u64) -> StoreId {
    StoreId::new((u128::from(number) << 64) | (u128::from(node.0) + 1))
}
