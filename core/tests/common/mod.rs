//! A founding node of a small cluster, as tests of the core start it.

use meshos_core::chain::order::{Checkpoint, Image, Vote};
use meshos_core::config::{ChainDraft, Config, Draft, Founder, Limits, Retention, Timing};
use meshos_core::event::{Boot, Seed};
use meshos_core::id::{ChainId, Gen, Incarnation, NodeId, Replica, StoreId};
use meshos_core::node::Node;
use meshos_core::time::Instant;
use std::sync::Arc;

/// A cluster of nodes 1.. with one chain "c" of all of them.
pub(crate) fn config(nodes: u64, retention: Retention) -> Arc<Config> {
    let founder = |node| Founder {
        node: NodeId::new(node),
        store: StoreId::new(node.into()),
    };
    let chain = ChainDraft {
        name: "c".into(),
        members: (1..=nodes).map(NodeId::new).collect(),
        leader_pinned: None,
        retention,
        class: Default::default(),
    };
    let draft = Draft {
        nodes: (1..=nodes).map(founder).collect(),
        chains: vec![chain],
        timing: Timing::default(),
        limits: Limits::default(),
    };
    Arc::new(Config::try_from(draft).unwrap())
}

/// The first run of a node on a freshly formatted store.
pub(crate) fn start(node: u64, config: &Arc<Config>) -> Node {
    let image = |(chain, generation, checkpoint): (ChainId, Gen, Checkpoint)| Image {
        chain,
        generation,
        replica: Replica::new(1),
        vote: Some(Vote::default()),
        tip: checkpoint.floor,
        checkpoint,
        slots: Vec::new(),
    };
    let id = NodeId::new(node);
    let boot = Boot {
        store: StoreId::new(node.into()),
        incarnation: Incarnation::new(1),
        images: config.foundings(id).into_iter().map(image).collect(),
    };
    Node::new(
        id,
        config.clone(),
        boot,
        Seed([node as u8; 32]),
        Instant::ZERO,
    )
    .unwrap()
}
