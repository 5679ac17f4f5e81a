//! A founding node of a small cluster, as tests of the core start it.

#![allow(dead_code, reason = "each test uses a part")]

pub(crate) mod cluster;

use meshos_core::config::{ChainDraft, Config, Draft, Founder, Limits, Retention, Timing};
use meshos_core::event::{Boot, Seed};
use meshos_core::id::{DeploymentId, NodeId, StoreId};
use meshos_core::node::Node;
use meshos_core::time::Instant;
use std::sync::Arc;

/// A cluster of nodes 1.. with one chain "c" of all of them.
pub(crate) fn config(nodes: u64, retention: Retention) -> Arc<Config> {
    config_of(nodes, vec![chain("c", nodes, retention)])
}

/// A chain of nodes 1..=`nodes`.
pub(crate) fn chain(name: &str, nodes: u64, retention: Retention) -> ChainDraft {
    ChainDraft {
        name: name.into(),
        members: (1..=nodes).map(NodeId::new).collect(),
        leader_pinned: None,
        retention,
        class: Default::default(),
    }
}

/// A cluster of nodes 1.. with these chains.
pub(crate) fn config_of(nodes: u64, chains: Vec<ChainDraft>) -> Arc<Config> {
    let founder = |node| Founder {
        node: NodeId::new(node),
        store: StoreId::new(node.into()),
    };
    let draft = Draft {
        deployment: DeploymentId::new(1),
        nodes: (1..=nodes).map(founder).collect(),
        chains,
        timing: Timing::default(),
        limits: Limits::default(),
    };
    Arc::new(Config::try_from(draft).unwrap())
}

/// The first run of a node on a freshly formatted store.
pub(crate) fn start(node: u64, config: &Arc<Config>) -> Node {
    start_seeded(node, config, 0)
}

/// The same with other draws.
pub(crate) fn start_seeded(node: u64, config: &Arc<Config>, seed: u8) -> Node {
    let mut bytes = [node as u8; 32];
    bytes[31] ^= seed;
    let id = NodeId::new(node);
    let boot = Boot::founding(config, id).expect("the config names the node");
    Node::new(id, config.clone(), boot, Seed(bytes), Instant::ZERO).unwrap()
}
