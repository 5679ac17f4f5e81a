//! Leadership is handed over, on request, by pins, and by leaders that cannot commit or store.

use super::parts::{connect, ms, node, numbered, queue_windows, target_fault};
use super::scene::Scene;
use crate::cfg::{ClientCfg, FaultKind, Plan, Target};
use crate::model::{Ask, Op};
use meshos_sim::fault::Fault;
use meshos_sim::swarm::Draw;
use meshos_sim::weather::Weather;

pub(super) const SCENES: &[Scene] = &[
    Scene {
        name: "transfer-and-pin",
        about: "leadership is handed over on request, before a stop, and to a pinned node",
        marks: &["leadership handed over on request"],
        fill: transfer_and_pin,
    },
    Scene {
        name: "transfer-storm",
        about: "leadership is asked for from all sides while words, votes and nodes are lost",
        marks: &["another node than the target of a transfer elected"],
        fill: transfer_storm,
    },
    Scene {
        name: "stalled-leader",
        about: "a leader hears everybody and commits nothing: its entries are lost or its disk is full",
        marks: &["leader without progress handed over"],
        fill: stalled_leader,
    },
    Scene {
        name: "hung-leader",
        about: "the disk of a leader hangs while the others store and commit without it",
        marks: &["leader with a hung store hands over"],
        fill: hung_leader,
    },
    Scene {
        name: "large-lost",
        about: "what one node sends is lost where it is large, and it leads many chains",
        marks: &[],
        fill: large_lost,
    },
];

fn transfer_and_pin(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("transfer");
    if draw.of("pin").chance(600_000) {
        plan.cfg.chains[0].pinned = Some(node(draw.of("pinned"), plan.nodes));
        plan.cfg.timing.pin_ms = draw.of("pause").within(1_000..=10_000);
    }
    for number in 0..draw.of("count").within(1..=4) {
        let draw = draw.nth(number);
        let at = draw.of("at").within(2_500..=9_000);
        match draw.of("kind").below(4) {
            0 => target_fault(
                plan,
                at,
                Target::Leader,
                FaultKind::ShutDown,
                draw.of("down").within(1_500..=4_000),
            ),
            1 => {
                let to = Some(node(draw.of("to"), plan.nodes));
                let from = node(draw.of("from"), plan.nodes).0;
                let op = Op {
                    chain: 0,
                    ticket: 1 + number,
                    ask: Ask::Transfer { to },
                };
                plan.op(ms(at), from, op);
            }
            _ => target_fault(plan, at, Target::Leader, FaultKind::Transfer, 0),
        }
    }
    if draw.of("crash").chance(300_000) {
        target_fault(
            plan,
            draw.of("crash-at").within(4_000..=9_000),
            Target::Leader,
            FaultKind::Crash,
            1_000,
        );
    }
}

/// Kinds of messages that a transfer needs: the word to the target, requests for votes, answers.
const TRANSFER_KINDS: [u16; 3] = [10, 11, 18];

fn transfer_storm(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("storm");
    plan.cfg.clients[0].interval_ms = draw.of("interval").within(50..=300);
    plan.disk_us.1 = *draw.of("disk").pick(&[2_000, 60_000]);
    if draw.of("pin").chance(500_000) {
        plan.cfg.chains[0].pinned = Some(node(draw.of("pinned"), plan.nodes));
        plan.cfg.timing.pin_ms = draw.of("pause").within(1_000..=6_000);
    }
    for number in 0..draw.of("count").within(4..=16) {
        let draw = draw.of("ask").nth(number);
        let at = draw.of("at").within(2_500..=9_500);
        let to = match draw.of("named").chance(700_000) {
            true => Some(node(draw.of("to"), plan.nodes)),
            false => None,
        };
        let op = Op {
            chain: 0,
            ticket: 1 + number,
            ask: Ask::Transfer { to },
        };
        plan.op(ms(at), node(draw.of("from"), plan.nodes).0, op);
    }
    for number in 0..draw.of("losses").within(0..=3) {
        let draw = draw.of("lose").nth(number);
        let at = draw.of("at").within(2_500..=9_000);
        let fault = Fault::Filter {
            message: *draw.of("kind").pick(&TRANSFER_KINDS),
            from: Some(node(draw.of("from"), plan.nodes)),
            to: None,
        };
        plan.fault(ms(at), fault);
        let end = at + draw.of("for").within(100..=4_000);
        plan.fault(ms(end.min(plan.safety_ms)), Fault::Heal {});
    }
    for number in 0..draw.of("faults").within(1..=4) {
        let draw = draw.of("fault").nth(number);
        let at = draw.of("at").within(2_500..=9_000);
        let kinds = [
            FaultKind::Isolate,
            FaultKind::Pause,
            FaultKind::Crash,
            FaultKind::Deafen,
            FaultKind::Mute,
        ];
        let target = *draw.of("target").pick(&[Target::Leader, Target::Follower]);
        let span = draw.of("for").within(100..=3_000);
        target_fault(plan, at, target, *draw.of("kind").pick(&kinds), span);
    }
}

fn stalled_leader(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("stall");
    // A batch that a slow disk began while the faults lasted takes its time.
    (plan.safety_ms, plan.liveness_ms) = (30_000, 40_000);
    // Suspicion windows are short, so that several leaders in turn have the time to be stuck.
    plan.cfg.timing.heartbeat_ms = *draw.of("heartbeat").pick(&[100, 200, 500]);
    let client = &mut plan.cfg.clients[0];
    client.interval_ms = draw.of("interval").within(50..=300);
    client.count = 100;
    let kinds = [
        FaultKind::LoseEntries,
        FaultKind::LoseEntries,
        FaultKind::FullDisk,
        FaultKind::SlowDisk,
    ];
    let mut at = draw.of("first").within(3_000..=6_000);
    for number in 0..draw.of("count").within(1..=3) {
        let draw = draw.nth(number);
        let kind = *draw.of("kind").pick(&kinds);
        target_fault(
            plan,
            at,
            Target::Leader,
            kind,
            draw.of("for").within(2_000..=20_000),
        );
        at += draw.of("between").within(1_000..=9_000);
    }
    if draw.of("crash").chance(300_000) {
        let at = draw.of("crash-at").within(5_000..=25_000);
        target_fault(plan, at, Target::Leader, FaultKind::Crash, 1_000);
    }
    if draw.of("heal").chance(300_000) {
        plan.fault(
            ms(draw.of("heal-at").within(8_000..=25_000)),
            Fault::Heal {},
        );
    }
}

fn hung_leader(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("hung");
    // What the disk began while it hung takes as long.
    (plan.safety_ms, plan.liveness_ms) = (60_000, 80_000);
    plan.cfg.timing.heartbeat_ms = *draw.of("heartbeat").pick(&[100, 200, 500]);
    plan.cfg.chains[0].retention.entries_max = Some(draw.of("kept").within(20..=100));
    let client = &mut plan.cfg.clients[0];
    client.interval_ms = draw.of("interval").within(30..=200);
    client.count = 1_000;
    let mut at = draw.of("first").within(3_000..=8_000);
    for number in 0..draw.of("count").within(1..=2) {
        let draw = draw.nth(number);
        let target = match draw.of("who").chance(800_000) {
            true => Target::Leader,
            false => Target::Follower,
        };
        target_fault(plan, at, target, FaultKind::SlowDisk, 60_000);
        at += draw.of("between").within(10_000..=25_000);
    }
}

/// One entry may pass where two do not, and a heartbeat with the rows of few chains.
fn large_lost(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("large-lost");
    connect(plan, draw.of("connections"));
    queue_windows(plan);
    let count = draw.of("chains").within(2..=8) as u16;
    plan.cfg.chains = (0..count).map(numbered).collect();
    let client = ClientCfg {
        interval_ms: draw.of("interval").within(100..=500),
        count: 1_000,
        bytes: (0, *draw.of("entry").pick(&[50, 200, 1_000])),
        ..plan.cfg.clients[0].clone()
    };
    let clients = (0..count).map(|chain| ClientCfg {
        chain,
        ..client.clone()
    });
    plan.cfg.clients = clients.collect();
    // It leads most of them.
    let loses = node(draw.of("node"), plan.nodes);
    for chain in 0..count {
        let draw = draw.of("lead").nth(chain.into());
        if draw.chance(800_000) {
            let op = Op {
                chain,
                ticket: 1 + u64::from(chain),
                ask: Ask::Transfer { to: Some(loses) },
            };
            plan.op(ms(3_000), node(draw.of("from"), plan.nodes).0, op);
        }
    }
    let weather = Some(Weather {
        message_bytes_max: *draw.of("largest").pick(&[250, 400, 400, 600, 1_200]),
        ..plan.weather
    });
    let fault = Fault::Weather {
        from: Some(loses),
        to: None,
        weather,
    };
    plan.fault(ms(draw.of("begin").within(4_000..=8_000)), fault);
    plan.safety_ms = 40_000;
}
