//! The three nodes and their config.

use super::{ALONE, SHARED};
use meshos_core::config::{ChainDraft, Config, Draft, Founder, Limits, Retention, Timing};
use meshos_core::event::{Boot, Seed};
use meshos_core::id::{DeploymentId, Incarnation, NodeId, Run, StoreId};
use meshos_core::node::Node;
use meshos_core::time::Instant;
use std::sync::Arc;

pub(super) fn run_of(node: usize) -> Run {
    let number = node as u64 + 1;
    Run {
        node: NodeId::new(number),
        store: StoreId::new(number.into()),
        incarnation: Incarnation::new(1),
    }
}

/// Three nodes with limits small enough to be met.
pub(super) fn config() -> Arc<Config> {
    let founder = |node| Founder {
        node: NodeId::new(node),
        store: StoreId::new(node.into()),
    };
    let chain = |name: &str, members: &[u64], pinned: Option<u64>| ChainDraft {
        name: name.into(),
        members: members.iter().copied().map(NodeId::new).collect(),
        leader_pinned: pinned.map(NodeId::new),
        retention: Retention {
            entries_max: Some(6),
            bytes_max: Some(400),
            age_max_ms: Some(100_000),
        },
        class: Default::default(),
    };
    let limits = Limits {
        entry_bytes_max: 64,
        message_bytes_max: 2048,
        chunks_in_flight_max: 2,
        lag_max: 2,
        requests_max: 4,
        uncommitted_max: 16,
        clients_max: 2,
        client_window: 2,
        forwards_max: 2,
        rows_max: 1,
        batch_bytes_max: 256,
        bandwidth_bytes_per_s: 4096,
        ..Limits::default()
    };
    let draft = Draft {
        deployment: DeploymentId::new(1),
        nodes: (1..=3).map(founder).collect(),
        chains: vec![chain(SHARED, &[1, 2, 3], Some(2)), chain(ALONE, &[1], None)],
        timing: Timing::default(),
        limits,
    };
    Arc::new(Config::try_from(draft).expect("the config is valid"))
}

pub(super) fn start(node: u64, config: &Arc<Config>) -> Node {
    let id = NodeId::new(node);
    let boot = Boot::founding(config, id).expect("the config names the node");
    let seed = Seed([node as u8; 32]);
    let node = Node::new(id, config.clone(), boot, seed, Instant::ZERO);
    node.expect("the config names the node and its chains")
}
