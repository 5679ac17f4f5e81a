//! Nothing fails: what clients alone can do to a cluster.

use super::parts::{LEADER_FAULTS, connect, strike, target_fault};
use super::scene::Scene;
use super::shapes::{members, unlike};
use crate::cfg::{ChainCfg, ClientCfg, FaultKind, NodeCfg, Plan, Target, TargetedFault};
use meshos_core::bandwidth::Class;
use meshos_core::config::Retention;
use meshos_sim::machine::NodeIndex;
use meshos_sim::swarm::Draw;

pub(super) const SCENES: &[Scene] = &[
    Scene {
        name: "steady-state",
        about: "a calm cluster elects once, serves every client and falls silent",
        marks: &[],
        fill: |plan, _| {
            plan.cfg.quiet = true;
            plan.liveness_ms = 15_000;
        },
    },
    Scene {
        name: "sizes",
        about: "payloads of 0 bytes, one below the limit, the limit and one above it",
        marks: &[],
        fill: sizes,
    },
    Scene {
        name: "client-retries",
        about: "clients pipeline, lose patience, repeat themselves and meet changing leaders",
        marks: &[
            "request repeated",
            "request that a leader could not answer in time",
        ],
        fill: client_retries,
    },
    Scene {
        name: "bandwidth-starvation",
        about: "a budget far below the traffic, with chains of every class",
        marks: &["chunk held back by the bandwidth budget"],
        fill: bandwidth_starvation,
    },
    Scene {
        name: "unlike-nodes",
        about: "every node has heartbeats, spans and bounds of its own, and leaders come and go",
        marks: &[],
        fill: unlike_nodes,
    },
    Scene {
        name: "other-limits",
        about: "a minority takes larger entries than the others, who refuse it, and is asked to",
        marks: &["node with other limits refused"],
        fill: other_limits,
    },
    Scene {
        name: "few-members",
        about: "clusters of one node to five, and chains that only some of the nodes hold",
        marks: &[],
        fill: few_members,
    },
    Scene {
        name: "many-chains",
        about: "dozens of chains share heartbeats whose rows do not fit one message",
        marks: &[],
        fill: many_chains,
    },
];

fn sizes(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("sizes");
    let limit = *draw.of("limit").pick(&[1, 64, 1_000, 4_096]);
    let limits = &mut plan.cfg.limits;
    limits.entry_bytes_max = limit;
    limits.message_bytes_max = limit + 1_024 + draw.of("message").below(5_000) as u32;
    limits.segment_bytes_max = draw.of("segment").within(4_096..=20_000) as u32;
    limits.batch_bytes_max = draw.of("batch").within(1..=10_000) as u32;
    let group = |bytes| ClientCfg {
        bytes: (bytes, bytes),
        count: 6,
        start_ms: 2_000,
        ..ClientCfg::default()
    };
    plan.cfg.clients = [0, limit - 1, limit, limit + 1].map(group).to_vec();
    if draw.of("crash").chance(500_000) {
        target_fault(
            plan,
            draw.of("at").within(4_000..=8_000),
            Target::Leader,
            FaultKind::Crash,
            500,
        );
    }
}

fn client_retries(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("retries");
    // Half of them are shorter than a leader that is cut off takes to know that it is.
    let request_ms_max = *draw.of("longest").pick(&[800, 5_000]);
    plan.cfg.timing.request_ms = draw.of("request").within(200..=request_ms_max);
    plan.cfg.limits.client_window = 64;
    if draw.of("few").chance(300_000) {
        plan.cfg.limits.clients_max = 2;
        // A client that the table evicted never learns what became of its last requests.
        plan.cfg.clients[0].sessions = 4;
    }
    plan.cfg.limits.requests_max = *draw.of("busy").pick(&[1, 4, 4_096]);
    let client = &mut plan.cfg.clients[0];
    client.sessions = client.sessions.max(2);
    client.interval_ms = 150;
    client.pipeline = draw.of("pipeline").within(1..=24) as u32;
    client.patience_ms = draw.of("patience").within(30..=800);
    client.pause_ms = draw.of("pause").within(20..=400);
    client.repeat_ppm = 500_000;
    client.anonymous_ppm = *draw.of("anonymous").pick(&[50_000, 400_000]);
    client.sticky_ppm = 200_000;
    // Copies of a forwarded request arrive late, some of them after the leadership ended.
    let weather = &mut plan.weather;
    weather.duplicate_ppm = *draw.of("duplicate").pick(&[0, 300_000]);
    weather.reorder_ppm = *draw.of("reorder").pick(&[0, 300_000]);
    for number in 0..draw.of("changes").within(1..=3) {
        let draw = draw.of("change").nth(number);
        let kinds = [FaultKind::Transfer, FaultKind::Crash, FaultKind::Isolate];
        let (at, span) = (3_000..=8_500, 200..=3_000);
        strike(plan, draw, Target::Leader, &kinds, at, span);
    }
}

fn bandwidth_starvation(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("bandwidth");
    let limits = &mut plan.cfg.limits;
    limits.bandwidth_bytes_per_s = draw.of("budget").within(8_000..=30_000);
    limits.entry_bytes_max = 2_000;
    limits.message_bytes_max = 4_096;
    plan.cfg.timing.patience_ms = *draw.of("patience").pick(&[300, 1_000]);
    plan.cfg.timing.background_patience_ms = draw.of("background").within(500..=4_000);
    let main = plan.cfg.chains[0].clone();
    for (name, class) in [("rest", Class::Background), ("now", Class::Realtime)] {
        let mut chain = main.clone();
        (chain.name, chain.class) = (name.to_owned(), class);
        plan.cfg.chains.push(chain);
    }
    for chain in 0..3_u16 {
        plan.cfg.chains[usize::from(chain)].retention = Retention {
            entries_max: *draw.of("keep").pick(&[None, Some(40)]),
            ..Retention::default()
        };
    }
    let group = |chain| ClientCfg {
        chain,
        bytes: (500, 2_000),
        count: draw.of("count").within(4..=12),
        interval_ms: 300,
        patience_ms: 3_000,
        ..ClientCfg::default()
    };
    plan.cfg.clients = (0..3).map(group).collect();
    // One class may want more than there is all the time: the others get their turns all the same.
    if let Some(greedy) = plan
        .cfg
        .clients
        .get_mut(draw.of("greedy").below(6) as usize)
    {
        (greedy.interval_ms, greedy.count) = (40, u64::MAX >> 1);
        for client in &mut plan.cfg.clients {
            client.count = client.count.max(40);
        }
        plan.safety_ms = 20_000;
    }
    plan.liveness_ms = 30_000;
}

/// A chain has one voter or at least three, so a cluster of two nodes has chains of one.
fn few_members(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("few");
    plan.nodes = *draw.of("nodes").pick(&[1, 2, 2, 3, 4, 5]);
    plan.cfg.clients.clear();
    plan.cfg.chains.clear();
    for chain in 0..draw.of("chains").within(1..=3) as u16 {
        let draw = draw.of("chain").nth(u64::from(chain));
        let (members, pinned) = (members(plan.nodes, draw), draw.of("pin"));
        plan.cfg.chains.push(ChainCfg {
            name: format!("chain-{chain}"),
            pinned: pinned
                .of("on")
                .chance(200_000)
                .then(|| *pinned.pick(&members)),
            retention: Retention {
                entries_max: *draw.of("keep").pick(&[None, Some(5)]),
                ..Retention::default()
            },
            members,
            ..ChainCfg::default()
        });
        plan.cfg.clients.push(ClientCfg {
            chain,
            count: 12,
            interval_ms: 200,
            start_ms: 2_000,
            ..ClientCfg::default()
        });
    }
    for number in 0..draw.of("faults").within(0..=3) {
        let draw = draw.of("fault").nth(number);
        let kinds = &[
            FaultKind::Crash,
            FaultKind::CrashAtPersist,
            FaultKind::Pause,
            FaultKind::Isolate,
        ];
        let at_ms = draw.of("at").within(2_500..=9_000);
        plan.cfg.targeted.push(TargetedFault {
            at_ms,
            chain: draw.of("chain").below(plan.cfg.chains.len() as u64) as u16,
            at: Target::Leader,
            kind: *draw.of("kind").pick(kinds),
            for_ms: draw.of("for").within(100..=3_000),
        });
    }
}

fn unlike_nodes(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("unlike");
    unlike(plan, draw);
    for number in 0..draw.of("faults").within(0..=2) {
        let draw = draw.of("fault").nth(number);
        let (at, span) = (3_000..=8_500, 200..=3_000);
        strike(plan, draw, Target::Leader, &LEADER_FAULTS, at, span);
    }
}

/// What the larger bounds let in, no other node would take: its leader would never commit again.
fn other_limits(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("limits");
    connect(plan, draw.of("connections"));
    let (entry, message) = *draw.of("most").pick(&[(1_000, 2_024), (4_000, 8_000)]);
    let limits = &mut plan.cfg.limits;
    (limits.entry_bytes_max, limits.message_bytes_max) = (entry, message);
    let order = draw.of("order").shuffled((0..plan.nodes).map(NodeIndex));
    let count = draw.of("count").within(1..=u64::from(plan.nodes - 1) / 2) as usize;
    for &node in &order[..count] {
        let mut own = NodeCfg {
            node,
            ..NodeCfg::default()
        };
        let entry = u64::from(entry) * 4;
        let sizes = [
            ("entry_bytes_max", entry),
            ("message_bytes_max", entry * 2 + 1_024),
        ];
        own.limits = sizes.map(|(key, most)| (key.to_owned(), most)).into();
        plan.cfg.nodes.push(own);
    }
    plan.cfg.chains[0].pinned = draw.of("pinned").chance(300_000).then_some(order[0]);
    let client = &mut plan.cfg.clients[0];
    client.bytes = (0, entry * 2);
    if draw.of("fault").chance(500_000) {
        let kind = *draw
            .of("kind")
            .pick(&[FaultKind::Crash, FaultKind::Isolate]);
        let span = draw.of("for").within(200..=3_000);
        target_fault(
            plan,
            draw.of("at").within(3_000..=8_000),
            Target::Leader,
            kind,
            span,
        );
    }
}

fn many_chains(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("chains");
    let limits = &mut plan.cfg.limits;
    limits.entry_bytes_max = 64;
    limits.message_bytes_max = limits.entry_bytes_max + 1_024;
    plan.cfg.idle_chains = draw.of("idle").within(45..=60) as u32;
    let count = 4;
    let named = |chain| ChainCfg {
        name: format!("chain-{chain}"),
        ..ChainCfg::default()
    };
    plan.cfg.chains = (0..count).map(named).collect();
    let group = |chain| ClientCfg {
        chain,
        bytes: (0, 64),
        count: 4,
        interval_ms: 1_000,
        start_ms: 3_000,
        reads_ppm: 500_000,
        linearizable_ppm: 1_000_000,
        ..ClientCfg::default()
    };
    plan.cfg.clients = (0..count).map(group).collect();
    if draw.of("fault").chance(500_000) {
        let at = draw.of("at").within(4_000..=7_000);
        let span = draw.of("for").within(600..=2_500);
        target_fault(plan, at, Target::Leader, FaultKind::Crash, span);
    }
}
