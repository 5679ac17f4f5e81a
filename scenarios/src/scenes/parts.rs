//! Parts of plans: what several scenarios put together.

use crate::cfg::{ChainCfg, FaultKind, Plan, Target, TargetedFault};
use meshos_sim::connection::Connections;
use meshos_sim::fault::{Fault, Unsynced};
use meshos_sim::machine::NodeIndex;
use meshos_sim::swarm::Draw;
use meshos_sim::time::Instant;
use std::ops::RangeInclusive;

/// Lets messages travel in connections.
pub(super) fn connect(plan: &mut Plan, draw: Draw) {
    let connections = Connections {
        stall_ms_max: *draw.of("stall").pick(&[3_000, 3_000, 1_000]),
        queue_bytes_max: *draw.of("queue").pick(&[8 << 20, 8 << 20, 20_000]),
        ..Connections::default()
    };
    // Whoever dialled in vain until the faults ended dials anew after that.
    if plan.connections.is_none() {
        plan.liveness_ms += connections.answer_ms_max + connections.pause_ms_last;
    }
    plan.connections = Some(connections);
}

/// Queues of connections hold what a leader sends at once to a member of which it knows nothing, of
/// all its chains. One that does not loses most of it without a word, so a member that lacks a
/// megabyte takes minutes; no driver has such a queue.
pub(super) fn queue_windows(plan: &mut Plan) {
    if let Some(connections) = &mut plan.connections {
        connections.queue_bytes_max = connections.queue_bytes_max.max(1 << 20);
    }
}

pub(super) fn ms(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

pub(super) fn node(draw: Draw, nodes: u16) -> NodeIndex {
    NodeIndex(draw.below(u64::from(nodes)) as u16)
}

pub(super) fn target_fault(plan: &mut Plan, at_ms: u64, at: Target, kind: FaultKind, for_ms: u64) {
    let chain = 0;
    plan.cfg.targeted.push(TargetedFault {
        at_ms,
        chain,
        at,
        kind,
        for_ms,
    });
}

/// A crash with a drawn fate of what was not synced, and a restart.
pub(super) fn crash(plan: &mut Plan, node: NodeIndex, (from, to): (u64, u64), unsynced: Unsynced) {
    plan.fault(ms(from), Fault::Crash { node, unsynced });
    plan.fault(ms(to), Fault::Restart { node });
}

/// Crashes a node as the last thing of the safety phase, so that the liveness phase boots it: a
/// replica that stopped because its disk failed comes back only so.
pub(super) fn reboot_at_end(plan: &mut Plan, node: NodeIndex) {
    let end = plan.safety();
    plan.fault(
        end,
        Fault::Crash {
            node,
            unsynced: Unsynced::Drawn,
        },
    );
}

/// Leaves nodes that lost their stores out of the liveness phase.
pub(super) fn leave_out(plan: &mut Plan, wiped: &[NodeIndex]) {
    let kept = (0..plan.nodes)
        .map(NodeIndex)
        .filter(|node| !wiped.contains(node));
    plan.core = kept.collect();
}

/// What ends a leadership, one way or another.
pub(super) const LEADER_FAULTS: [FaultKind; 4] = [
    FaultKind::Crash,
    FaultKind::Isolate,
    FaultKind::Transfer,
    FaultKind::Pause,
];

/// A drawn one of `kinds` at a drawn time, at whoever `target` is then.
pub(super) fn strike(
    plan: &mut Plan,
    draw: Draw,
    target: Target,
    kinds: &[FaultKind],
    at_ms: RangeInclusive<u64>,
    for_ms: RangeInclusive<u64>,
) {
    let kind = *draw.of("fault").pick(kinds);
    let (at_ms, for_ms) = (draw.of("at").within(at_ms), draw.of("for").within(for_ms));
    target_fault(plan, at_ms, target, kind, for_ms);
}

/// A node is away for a while: cut off from all others, or crashed.
pub(super) fn away(plan: &mut Plan, draw: Draw, node: NodeIndex, (from, to): (u64, u64)) {
    if draw.below(3) > 0 {
        return crash(plan, node, (from, to), Unsynced::Drawn);
    }
    let nodes = (0..plan.nodes).map(NodeIndex);
    let others = nodes.filter(|other| *other != node).collect();
    let groups = vec![others, vec![node]];
    plan.fault(ms(from), Fault::Partition { groups });
    plan.fault(ms(to), Fault::Heal {});
}

/// A chain of all nodes, one of several.
pub(super) fn numbered(chain: u16) -> ChainCfg {
    ChainCfg {
        name: format!("chain-{chain}"),
        ..ChainCfg::default()
    }
}
