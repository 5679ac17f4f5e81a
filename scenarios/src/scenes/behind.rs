//! Nodes come back far behind: beyond what is retained, or further than their leader can help.

use super::parts::{away, crash, ms, node, strike};
use super::scene::Scene;
use crate::cfg::{ClientCfg, FaultKind, Plan, Target};
use crate::model::{Ask, Op};
use meshos_core::config::Retention;
use meshos_sim::fault::{Fault, Unsynced};
use meshos_sim::machine::NodeIndex;
use meshos_sim::swarm::Draw;
use meshos_sim::weather::{LinkWeather, Weather};

pub(super) const SCENES: &[Scene] = &[
    Scene {
        name: "behind-retention",
        about: "nodes come back far behind what is still retained",
        marks: &[
            "prefix dropped by retention",
            "checkpoint continued behind the parts that came",
        ],
        fill: behind_retention,
    },
    Scene {
        name: "checkpoint-in-parts",
        about: "a checkpoint of many messages reaches a node that is behind, and parts are lost",
        marks: &[],
        fill: |plan, draw| behind(plan, draw, 1_000_000),
    },
    Scene {
        name: "far-behind",
        about: "nodes come back far behind a leader with little bandwidth, and others help",
        marks: &["entries of another member than the leader appended"],
        fill: far_behind,
    },
    Scene {
        name: "slow-checkpoint",
        about: "a checkpoint that takes seconds crosses a slow link to a node that was away",
        marks: &[],
        fill: slow_checkpoint,
    },
];

/// Little is kept. Where nothing is, a log goes on from its checkpoint alone.
fn scarce(draw: Draw) -> Retention {
    let keep = draw.of("keep").within(0..=8);
    let all = Retention::default();
    match draw.of("kind").below(4) {
        0 | 1 => Retention {
            entries_max: Some(keep),
            ..all
        },
        2 => Retention {
            bytes_max: Some(keep * 60),
            ..all
        },
        _ => Retention {
            age_max_ms: Some(keep * 20),
            ..all
        },
    }
}

fn behind_retention(plan: &mut Plan, draw: Draw) {
    behind(plan, draw, 400_000);
}

/// `parts_ppm` of a million plans have a checkpoint that takes several messages.
fn behind(plan: &mut Plan, draw: Draw, parts_ppm: u32) {
    let draw = draw.of("behind");
    plan.cfg.chains[0].retention = scarce(draw);
    plan.cfg.limits.segment_bytes_max = 4_096;
    let client = &mut plan.cfg.clients[0];
    (client.interval_ms, client.count, client.start_ms) = (80, 30, 1_500);
    (client.repeat_ppm, client.repeat_ms_max, client.reads_ppm) = (700_000, 6_000, 100_000);
    if draw.of("parts").chance(parts_ppm) {
        in_parts(plan, draw);
    }
    // The weather doubles messages of a reset, and the disk is slow enough to crash in one.
    plan.weather.duplicate_ppm = *draw.of("duplicate").pick(&[0, 200_000]);
    plan.disk_us.1 = *draw.of("disk").pick(&[2_000, 60_000]);
    let victim = node(draw.of("victim"), plan.nodes);
    let at = draw.of("at").within(500..=4_500);
    let back = at + draw.of("down").within(1_000..=3_500);
    away(plan, draw.of("how"), victim, (at, back));
    if draw.of("again").chance(500_000) {
        let again = back + draw.of("again-at").within(1..=400);
        crash(plan, victim, (again, again + 200), Unsynced::Drawn);
    }
    if draw.of("persist").chance(300_000) {
        let fault = Fault::CrashAtPersist {
            node: victim,
            op: draw.of("op").within(8..=40),
            unsynced: Unsynced::Drawn,
            restart_after_ms: Some(100),
        };
        plan.fault(ms(back), fault);
    }
    if draw.of("everybody").chance(200_000) {
        let at = draw.of("everybody-at").within(4_000..=8_500);
        let down = draw.of("everybody-down").within(1..=1_000);
        for node in (0..plan.nodes).map(NodeIndex) {
            crash(plan, node, (at, at + down), Unsynced::Drawn);
        }
    }
    // Whoever was reset leads next, and meets requests that it never saw.
    for number in 0..2 {
        let at = (back + 800 + number * 700).min(9_500);
        let ask = Ask::Transfer { to: Some(victim) };
        for node in 0..plan.nodes {
            let ticket = 1 + number * 100 + u64::from(node);
            plan.op(
                ms(at),
                node,
                Op {
                    chain: 0,
                    ticket,
                    ask: ask.clone(),
                },
            );
        }
    }
}

/// A checkpoint takes several messages, of which some are lost, and more than a moment.
fn in_parts(plan: &mut Plan, draw: Draw) {
    let limits = &mut plan.cfg.limits;
    (limits.entry_bytes_max, limits.message_bytes_max) = (1, 1_025);
    limits.bandwidth_bytes_per_s = *draw.of("budget").pick(&[100_000, 1_000_000]);
    let client = &mut plan.cfg.clients[0];
    (client.sessions, client.interval_ms, client.count) = (24, 200, 20);
    client.bytes = (0, 1);
    let weather = Weather {
        loss_ppm: *draw.of("loss").pick(&[100_000, 200_000]),
        ..plan.weather
    };
    let (from, to, weather) = (None, None, Some(weather));
    plan.fault(ms(0), Fault::Weather { from, to, weather });
    plan.liveness_ms = 30_000;
}

/// Many requests are remembered, so checkpoints are large, and messages of the usual size take longer
/// than heartbeats on a link of one kilobyte a second to fifty.
fn slow_checkpoint(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("slow-checkpoint");
    let victim = node(draw.of("victim"), plan.nodes);
    let others = (0..plan.nodes)
        .map(NodeIndex)
        .filter(|node| *node != victim);
    let bytes_per_ms = *draw.of("bytes").pick(&[1, 4, 10, 15, 50]);
    let weather = Weather {
        bytes_per_ms,
        ..Weather::latency_us(1_000, 2_000)
    };
    plan.matrix = vec![LinkWeather {
        from: others.collect(),
        to: vec![victim],
        weather,
    }];
    plan.cfg.chains[0].retention.entries_max = Some(40);
    plan.cfg.limits.lag_max = *draw.of("lag").pick(&[16, 1_024]);
    let client = &mut plan.cfg.clients[0];
    let sessions = *draw.of("sessions").pick(&[30, 100, 300]);
    client.sessions = sessions.min(100 * bytes_per_ms);
    (client.count, client.interval_ms, client.start_ms) = (5, 300, 2_500);
    (client.bytes, client.reads_ppm) = ((0, 8), 0);
    plan.cfg.clients.push(ClientCfg {
        start_ms: 4_000,
        interval_ms: 500,
        count: 40,
        bytes: (0, 8),
        ..ClientCfg::default()
    });
    let back = draw.of("back").within(6_000..=9_000);
    away(plan, draw.of("how"), victim, (2_000, back));
    if draw.of("leader").chance(500_000) {
        // Whoever leads next may need the one that is behind.
        let kinds = [FaultKind::Crash, FaultKind::Isolate];
        let at = back - 1_500..=back + 500;
        strike(
            plan,
            draw.of("strike"),
            Target::Leader,
            &kinds,
            at,
            500..=3_000,
        );
    }
    plan.liveness_ms = 120_000;
}

fn far_behind(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("far-behind");
    let limits = &mut plan.cfg.limits;
    limits.lag_max = draw.of("lag").within(1..=8) as u32;
    limits.bandwidth_bytes_per_s = draw.of("budget").within(8_000..=60_000);
    limits.entry_bytes_max = 1_000;
    limits.message_bytes_max = draw.of("message").within(2_024..=8_000) as u32;
    limits.chunks_in_flight_max = *draw.of("chunks").pick(&[1, 2, 8]);
    plan.cfg.chains[0].retention = Retention {
        entries_max: *draw.of("keep").pick(&[None, None, Some(40)]),
        ..Retention::default()
    };
    let client = &mut plan.cfg.clients[0];
    (client.interval_ms, client.count, client.start_ms) = (60, 40, 1_500);
    (client.bytes, client.reads_ppm, client.pipeline) = ((100, 1_000), 50_000, 8);
    plan.weather.loss_ppm = *draw.of("loss").pick(&[0, 0, 50_000]);
    plan.weather.duplicate_ppm = *draw.of("duplicate").pick(&[0, 200_000]);
    plan.disk_us.1 = *draw.of("disk").pick(&[2_000, 60_000]);
    let victim = node(draw.of("victim"), plan.nodes);
    let at = draw.of("at").within(500..=3_000);
    let back = at + draw.of("down").within(2_000..=5_000);
    away(plan, draw.of("how"), victim, (at, back));
    // Whoever helps, or leads, may go meanwhile.
    for (name, target) in [("leader", Target::Leader), ("follower", Target::Follower)] {
        let draw = draw.of(name);
        if draw.of("on").chance(300_000) {
            let kinds = [FaultKind::Crash, FaultKind::Isolate];
            let at = back + 1..=back + 1_500;
            strike(plan, draw, target, &kinds, at, 100..=3_000);
        }
    }
    plan.liveness_ms = 30_000;
}
