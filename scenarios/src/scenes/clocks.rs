//! Clocks stop, jump, drift and step; everything else is sound.

use super::parts::{ms, node, strike, target_fault};
use super::scene::Scene;
use crate::cfg::{FaultKind, Plan, Target};
use meshos_core::config::Retention;
use meshos_sim::fault::Fault;
use meshos_sim::machine::NodeIndex;
use meshos_sim::storm::Family;
use meshos_sim::swarm::Draw;

pub(super) const SCENES: &[Scene] = &[
    Scene {
        name: "clocks",
        about: "clocks stop, jump, drift and step, and deadlines are noticed late",
        marks: &["clock stepped back while leading"],
        fill: clocks,
    },
    Scene {
        name: "drifting-clocks",
        about: "clocks run at 0.7 to 1.4 of the true rate for ever, and processes and links fail",
        marks: &[],
        fill: drifting_clocks,
    },
    Scene {
        name: "clock-leaps",
        about: "a minority of the clocks leaps past the age bound and comes back, or falls behind",
        marks: &["clock leapt past the age bound while leading"],
        fill: clock_leaps,
    },
    Scene {
        name: "expiry",
        about: "entries behind which nothing is appended go by their age, whatever fails",
        marks: &["entries dropped by age"],
        fill: expiry,
    },
];

fn clock_leaps(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("leaps");
    let age = *draw.of("age").pick(&[20_000, 60_000, 3_600_000]);
    plan.cfg.chains[0].retention.age_max_ms = Some(age);
    plan.cfg.clients[0].start_ms = 1_500;
    let order = draw.of("order").shuffled((0..plan.nodes).map(NodeIndex));
    let minority = &order[..usize::from((plan.nodes - 1) / 2)];
    for number in 0..draw.of("count").within(1..=4) {
        let draw = draw.nth(number);
        let node = *draw.of("node").pick(minority);
        let (at, span) = (
            draw.of("at").within(2_500..=9_000),
            draw.of("for").within(50..=5_000),
        );
        let by = draw.of("by").within(age + 1..=age * 3) as i64;
        let by = if draw.of("back").chance(200_000) {
            -by
        } else {
            by
        };
        plan.fault(ms(at), Fault::ClockStep { node, ms: by });
        if draw.of("returns").chance(700_000) {
            let end = (at + span).min(plan.safety_ms);
            plan.fault(ms(end), Fault::ClockStep { node, ms: -by });
        }
    }
    if draw.of("crash").chance(400_000) {
        let at = draw.of("crash-at").within(3_000..=8_000);
        let span = draw.of("crash-for").within(100..=3_000);
        target_fault(plan, at, Target::Leader, FaultKind::Crash, span);
    }
}

fn expiry(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("expiry");
    let age = *draw.of("age").pick(&[300, 1_000, 3_000]);
    plan.cfg.chains[0].retention.age_max_ms = Some(age);
    let client = &mut plan.cfg.clients[0];
    (client.start_ms, client.interval_ms) = (1_000, draw.of("interval").within(20..=150));
    for number in 0..draw.of("count").within(0..=2) {
        let draw = draw.nth(number);
        let kinds = [FaultKind::Crash, FaultKind::Isolate, FaultKind::Transfer];
        let target = *draw.of("target").pick(&[Target::Leader, Target::Follower]);
        strike(plan, draw, target, &kinds, 2_500..=9_000, 100..=3_000);
    }
    plan.weather.loss_ppm = *draw.of("loss").pick(&[0, 0, 50_000]);
    plan.cfg.quiet = true;
    plan.liveness_ms = 20_000;
}

/// No fault ends the drift, so the cluster has to converge and to fall silent in spite of it.
fn drifting_clocks(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("drift");
    // The ends of the range are where periods and suspicions of two nodes differ most.
    let rate = |node| {
        let draw = draw.of("rate").nth(node);
        match draw.of("kind").below(4) {
            0 => -300_000,
            1 => 400_000,
            _ => draw.of("ppm").within(0..=700_000) as i32 - 300_000,
        }
    };
    plan.clock_ppm = (0..u64::from(plan.nodes)).map(rate).collect();
    plan.storm(&[Family::NETWORK, Family::PROCESS].concat());
    plan.cfg.quiet = true;
    plan.liveness_ms = 30_000;
}

fn clocks(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("clocks");
    plan.cfg.chains[0].retention = Retention {
        age_max_ms: *draw.of("age").pick(&[None, Some(1_000), Some(60_000)]),
        ..Retention::default()
    };
    for node in 0..plan.nodes {
        let draw = draw.of("rate").nth(u64::from(node));
        if draw.of("on").chance(500_000) {
            let ppm = draw.of("ppm").within(0..=700_000) as i32 - 300_000;
            plan.fault(
                ms(0),
                Fault::ClockRate {
                    node: NodeIndex(node),
                    ppm,
                },
            );
        }
    }
    for number in 0..draw.of("count").within(1..=6) {
        let draw = draw.nth(number);
        let node = node(draw.of("node"), plan.nodes);
        let at = draw.of("at").below(9_500);
        let end = (at + draw.of("for").within(100..=6_000)).min(plan.safety_ms);
        mishap(plan, draw, node, (at, end));
    }
    if draw.of("back").chance(500_000) {
        let by = draw.of("back-by").within(1..=10_000_000);
        target_fault(
            plan,
            draw.of("back-at").within(3_000..=9_000),
            Target::Leader,
            FaultKind::ClockBack,
            by,
        );
    }
    if draw.of("stop").chance(300_000) {
        let at = draw.of("stop-at").within(3_000..=7_000);
        target_fault(
            plan,
            at,
            Target::Leader,
            FaultKind::ClockStop,
            draw.of("stop-for").within(500..=3_000),
        );
    }
}

/// Something that befalls the clocks of a node, between two times if it ends.
fn mishap(plan: &mut Plan, draw: Draw, node: NodeIndex, (at, end): (u64, u64)) {
    match draw.of("kind").below(5) {
        0 => {
            plan.fault(ms(at), Fault::ClockStop { node });
            plan.fault(ms(end), Fault::ClockStart { node });
        }
        1 => {
            let ms_forward = draw.of("jump").within(1..=100_000);
            plan.fault(
                ms(at),
                Fault::ClockJump {
                    node,
                    ms: ms_forward,
                },
            );
        }
        2 => {
            let by = draw.of("step").within(0..=7_200_000) as i64 - 3_600_000;
            plan.fault(ms(at), Fault::ClockStep { node, ms: by });
        }
        3 => {
            let by_ms = draw.of("late").within(1..=4_000);
            plan.fault(ms(at), Fault::LateWake { node, by_ms });
            plan.fault(ms(end), Fault::LateWake { node, by_ms: 0 });
        }
        _ => {
            let ppm = draw.of("wild").within(0..=9_900_000) as i32 - 900_000;
            plan.fault(ms(at), Fault::ClockRate { node, ppm });
        }
    }
}
