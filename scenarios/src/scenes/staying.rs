//! Faults that stay: what keeps a cluster slow or incomplete for good, and may not keep it from
//! having a leader and from bringing everybody level whom the leader reaches.
//!
//! What stays is bounded so that convergence can be demanded: everybody is heard within a
//! heartbeat, a majority of each chain works pairwise, and what is behind fits through the
//! slowest link several times within the time to converge.

use super::parts::{LEADER_FAULTS, connect, ms, node, numbered, strike};
use super::scene::Scene;
use crate::cfg::{Plan, Target};
use meshos_sim::fault::{Fault, Keep};
use meshos_sim::machine::NodeIndex;
use meshos_sim::swarm::Draw;
use meshos_sim::weather::Weather;

pub(super) const SCENES: &[Scene] = &[
    Scene {
        name: "staying-faults",
        about: "weather, cuts, slow disks, their room and drift outlast the safety phase",
        marks: &[],
        fill: staying_faults,
    },
    Scene {
        name: "incomplete-network",
        about: "two nodes never hear each other, and everybody works with all others",
        marks: &[],
        fill: incomplete_network,
    },
    Scene {
        name: "slow-member",
        about: "one node is behind a link of some ten kilobytes a second, for good",
        marks: &[],
        fill: slow_member,
    },
    Scene {
        name: "slow-votes",
        about: "all disks take heartbeats for each write, for good, and leaders die",
        marks: &[],
        fill: slow_votes,
    },
    Scene {
        name: "crowded-disks",
        about: "a dozen chains queue at disks that do one write after the other, and leaders die",
        marks: &[],
        fill: crowded_disks,
    },
];

fn staying_faults(plan: &mut Plan, draw: Draw) {
    stay(plan, draw.of("stay"), &ALL);
}

fn incomplete_network(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("incomplete");
    if draw.of("connections").chance(500_000) {
        connect(plan, draw.of("connections"));
    }
    stay(plan, draw.of("stay"), &[Keep::Cuts]);
    // From the beginning, or as the last of the faults.
    if draw.of("early").chance(700_000) {
        for fault in &mut plan.faults {
            fault.at = ms(draw.of("at").below(plan.safety_ms));
        }
    }
}

fn slow_member(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("slow");
    connect(plan, draw.of("connections"));
    let node = node(draw.of("node"), plan.nodes);
    let weather = Some(Weather {
        bytes_per_ms: draw.of("bytes").within(30..=100) as u32,
        ..Weather::latency_us(10_000, *draw.of("latency").pick(&[10_000, 20_000]))
    });
    for (from, to) in [(Some(node), None), (None, Some(node))] {
        plan.fault(
            ms(draw.of("at").below(4_000)),
            Fault::Weather { from, to, weather },
        );
    }
    plan.keep = vec![Keep::Weather];
    let client = &mut plan.cfg.clients[0];
    client.bytes = (0, draw.of("entry").within(100..=300) as u32);
    plan.liveness_ms += 20_000;
}

/// Votes wait for disks, here for longer than anybody waits for a leader. The chain works before,
/// so it has a leader that dies.
fn slow_votes(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("slow-votes");
    let heartbeat_ms = *draw.of("heartbeat").pick(&[100, 200, 500]);
    plan.cfg.timing.heartbeat_ms = heartbeat_ms;
    let most = 1_000 * heartbeat_ms * draw.of("most").within(1..=8);
    let least = *draw.of("least").pick(&[1, 2, 10]);
    let begin = ms(draw.of("begin").within(3_000..=6_000));
    for node in (0..plan.nodes).map(NodeIndex) {
        // Most disks are alike; some are a few times as fast as the slowest.
        let share = *draw.of("share").nth(u64::from(node.0)).pick(&[1, 1, 1, 4]);
        let us_max = most / share;
        let us_min = us_max / least;
        let fault = Fault::DiskLatency {
            node,
            us_min,
            us_max,
        };
        plan.fault(begin, fault);
    }
    strike_on_slow_disks(plan, draw, most);
}

/// As before, but it is the votes of other chains that a vote waits for.
fn crowded_disks(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("crowded-disks");
    let heartbeat_ms = *draw.of("heartbeat").pick(&[100, 200, 500]);
    plan.cfg.timing.heartbeat_ms = heartbeat_ms;
    let count = draw.of("chains").within(8..=16) as u16;
    plan.cfg.chains = (0..count).map(numbered).collect();
    // For one write of each chain.
    let most = 1_000 * heartbeat_ms * draw.of("most").within(1..=8);
    let us_max = most / u64::from(count);
    let us_min = us_max / *draw.of("least").pick(&[1, 2, 10]);
    let begin = ms(draw.of("begin").within(3_000..=6_000));
    for node in (0..plan.nodes).map(NodeIndex) {
        let fault = Fault::DiskLatency {
            node,
            us_min,
            us_max,
        };
        plan.fault(begin, fault);
    }
    strike_on_slow_disks(plan, draw, most);
}

/// Leaders die on disks that stay slow, where a write takes `most` microseconds at most with all that
/// it waits for.
fn strike_on_slow_disks(plan: &mut Plan, draw: Draw, most: u64) {
    for number in 0..draw.of("count").within(1..=3) {
        let draw = draw.of("fault").nth(number);
        let (at, span) = (6_000..=9_900, 100..=8_000);
        strike(plan, draw, Target::Leader, &LEADER_FAULTS, at, span);
    }
    plan.keep = vec![Keep::Disks];
    let client = &mut plan.cfg.clients[0];
    client.patience_ms = client.patience_ms.max(most / 200);
    plan.liveness_ms += 150 * plan.cfg.timing.heartbeat_ms + most / 1_000 * 30;
}

/// Everything that can stay.
pub(super) const ALL: [Keep; 5] = [
    Keep::Weather,
    Keep::Cuts,
    Keep::Disks,
    Keep::Clocks,
    Keep::Room,
];

/// Lets a drawn part of `kinds` begin as the last of the faults, and stay.
pub(super) fn stay(plan: &mut Plan, draw: Draw, kinds: &[Keep]) {
    let end = plan.safety();
    let core = plan.core();
    let node = *draw.of("node").pick(&core);
    let part = |name: &str, most: u64| match draw.of(name).of("on").chance(500_000) {
        true => draw.of(name).below(most) as u32,
        false => 0,
    };
    for &kind in kinds {
        if kinds.len() > 1 && draw.of("kind").nth(kind as u64).chance(500_000) {
            continue;
        }
        match kind {
            Keep::Weather => {
                let latency_us_min = draw.of("latency").within(100..=20_000);
                let weather = Some(Weather {
                    latency_us_min,
                    latency_us_max: latency_us_min + draw.of("jitter").below(20_000),
                    loss_ppm: part("loss", 20_000),
                    duplicate_ppm: part("duplicate", 50_000),
                    reorder_ppm: part("reorder", 50_000),
                    corrupt_ppm: part("corrupt", 1_000),
                    bytes_per_ms: *draw.of("bytes").pick(&[0, 0, 200, 1_000]),
                    message_bytes_max: 0,
                });
                let from = draw.of("all").chance(500_000).then_some(node);
                plan.fault(
                    end,
                    Fault::Weather {
                        from,
                        to: None,
                        weather,
                    },
                );
            }
            Keep::Cuts => {
                let majority = usize::from(plan.nodes) / 2 + 1;
                // Without one of the two, a majority still works pairwise.
                if core.len() > majority {
                    let order = draw.of("pair").shuffled(core.iter().copied());
                    cut(plan, order[0], order[1]);
                }
            }
            Keep::Disks => {
                let us_max = draw.of("disk").within(2_000..=60_000);
                let us_min = us_max / 4;
                plan.fault(
                    end,
                    Fault::DiskLatency {
                        node,
                        us_min,
                        us_max,
                    },
                );
            }
            Keep::Clocks => {
                let ppm = draw.of("clock").below(200_000) as i32 - 100_000;
                plan.fault(end, Fault::ClockRate { node, ppm });
            }
            Keep::Room => {
                let fault = Fault::DiskRoom {
                    node,
                    bytes: Some(draw.of("room").below(100_000)),
                    at_sync: false,
                };
                plan.fault(end, fault);
            }
        }
        plan.keep.push(kind);
    }
    // Faults that are aimed end up to some seconds later, and what is slow takes its time.
    plan.liveness_ms += 20_000;
}

fn cut(plan: &mut Plan, one: NodeIndex, two: NodeIndex) {
    let end = plan.safety();
    for (from, to) in [(one, two), (two, one)] {
        plan.fault(end, Fault::Cut { from, to });
    }
}
