//! What a node tells of its state: one line for each chain.

use super::{Host, node_index};
use meshos_core::id::ChainId;
use meshos_core::node::Node;
use meshos_core::replica::Chain;
use meshos_core::replica::role::Role;
use std::fmt::Write as _;

/// A line for each chain of a node that runs; its role comes first.
pub(super) fn describe(host: &Host, idle: &str) -> String {
    let Some(node) = host.node() else {
        return idle.to_owned();
    };
    let chains = node.config().chains().iter();
    let lines: Vec<String> = chains.filter_map(|draft| line(node, &draft.name)).collect();
    lines.join("\n")
}

fn line(node: &Node, name: &str) -> Option<String> {
    let chain = node.chain(ChainId::of(name))?;
    let role = match chain.fault() {
        Some(fault) => format!("stopped ({fault})"),
        None => role(chain.role()).to_owned(),
    };
    let log = chain.log();
    let (floor, end) = (log.floor(), log.tip().end);
    let mut line = format!("{name}: {role}, epoch {}", chain.epoch().n);
    // Writing to a text cannot fail.
    let _ = write!(line, ", commit {}", chain.commit());
    let _ = write!(
        line,
        ", entries {floor} to {end}, durable {}",
        log.durable().end
    );
    if let Some(leader) = followed(chain) {
        let _ = write!(line, ", led by {leader}");
    }
    Some(line)
}

/// Whom a replica follows, as the simulator calls it.
fn followed(chain: &Chain) -> Option<meshos_sim::machine::NodeIndex> {
    let leader = chain.leader().filter(|_| chain.role() != Role::Leader);
    leader.map(node_index)
}

const fn role(role: Role) -> &'static str {
    match role {
        Role::Idle => "idle",
        Role::Replica => "follower",
        Role::Candidate => "candidate",
        Role::Leader => "leader",
    }
}
