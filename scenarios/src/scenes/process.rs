//! Processes stop, pause and come back, in time or far behind.

use super::{Plan, Scene, crash, leave_out, ms, node, target_fault};
use crate::cfg::{FaultKind, Target};
use crate::model::{Ask, Op};
use meshos_core::config::Retention;
use meshos_sim::fault::{Fault, Unsynced};
use meshos_sim::machine::NodeIndex;
use meshos_sim::swarm::Draw;
use meshos_sim::weather::Weather;

pub(super) const SCENES: &[Scene] = &[
    Scene {
        name: "leader-crash",
        about: "the leader crashes while it has appends under way, again and again",
        marks: &["leader crash with an uncommitted suffix"],
        fill: leader_crash,
    },
    Scene {
        name: "paused-leader",
        about: "the leader stops running without noticing, and goes on",
        marks: &[
            "suspicion armed again after a pause",
            "two leaders of different epochs alive",
        ],
        fill: paused_leader,
    },
    Scene {
        name: "overloaded-node",
        about: "nodes get little done at a time, so all that comes in is worked on late",
        marks: &[],
        fill: overloaded_node,
    },
    Scene {
        name: "crash-at-persist",
        about: "nodes crash at drawn file operations, from the very first one on",
        marks: &[
            "crash between write and sync",
            "torn record repaired on reopen",
        ],
        fill: crash_at_persist,
    },
    Scene {
        name: "crash-while-booting",
        about: "nodes crash at file operations of their own recovery, several times in a row",
        marks: &[],
        fill: crash_while_booting,
    },
    Scene {
        name: "wiped-voter",
        about: "voters lose their stores and the leader dies beside them",
        marks: &["wiped voter while the leader dies"],
        fill: wiped_voter,
    },
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
];

fn leader_crash(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("leader-crash");
    plan.cfg.clients[0].interval_ms = draw.of("interval").within(20..=200);
    plan.disk_us.1 = *draw.of("disk").pick(&[2_000, 20_000, 100_000]);
    let mut at = draw.of("first").within(2_500..=4_500);
    for number in 0..draw.of("count").within(1..=3) {
        let draw = draw.nth(number);
        if draw.of("cut-off").chance(400_000) {
            // A leader that is cut off first takes appends that nobody else will ever see.
            target_fault(
                plan,
                at.saturating_sub(draw.of("before").within(20..=800)),
                Target::Leader,
                FaultKind::Isolate,
                1_000,
            );
        }
        target_fault(
            plan,
            at,
            Target::Leader,
            FaultKind::Crash,
            draw.of("down").within(10..=4_000),
        );
        at += draw.of("between").within(500..=4_000);
        if at >= plan.safety_ms {
            break;
        }
    }
}

fn paused_leader(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("pause");
    let mut at = draw.of("first").within(2_500..=4_500);
    for number in 0..draw.of("count").within(1..=3) {
        let draw = draw.nth(number);
        let target = *draw
            .of("target")
            .pick(&[Target::Leader, Target::Leader, Target::Follower]);
        let span = draw.of("for").within(100..=5_000);
        target_fault(plan, at, target, FaultKind::Pause, span);
        at += draw.of("between").within(500..=4_000);
        if at >= plan.safety_ms {
            break;
        }
    }
}

/// A process without a share of the processor: it stands still for most of the time and then works
/// off messages, completions, requests and deadlines in one go, each of them as late as the other.
fn overloaded_node(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("overload");
    plan.cfg.clients[0].interval_ms = draw.of("interval").within(50..=300);
    let order = draw.of("order").shuffled((0..plan.nodes).map(NodeIndex));
    let count = draw.of("count").within(1..=u64::from(plan.nodes)) as usize;
    for (number, &node) in order[..count].iter().enumerate() {
        let draw = draw.of("node").nth(number as u64);
        let mut at = draw.of("from").within(0..=5_000);
        let end = at + draw.of("for").within(1_000..=9_000);
        let stands = draw.of("stands").within(20..=900);
        for turn in 0.. {
            let draw = draw.nth(turn);
            let back = at + draw.of("stands").within(stands / 2..=stands);
            if back >= end.min(plan.safety_ms) {
                break;
            }
            plan.fault(ms(at), Fault::Pause { node });
            plan.fault(ms(back), Fault::Resume { node });
            at = back + draw.of("runs").within(1..=stands / 4);
        }
    }
}

fn crash_at_persist(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("persist");
    plan.cfg.limits.segment_bytes_max = 4_096;
    plan.cfg.clients[0].interval_ms = draw.of("interval").within(50..=200);
    plan.cfg.chains[0].retention = Retention {
        entries_max: *draw.of("keep").pick(&[None, Some(4), Some(12)]),
        ..Retention::default()
    };
    let styles = [
        Unsynced::Lost,
        Unsynced::Kept,
        Unsynced::Reordered,
        Unsynced::Torn,
    ];
    for number in 0..draw.of("count").within(1..=5) {
        let draw = draw.nth(number);
        // Half of the crashes count from the boot on, so that formatting and recovery are hit.
        let at = match draw.of("early").chance(300_000) {
            true => 0,
            false => draw.of("at").within(1..=9_000),
        };
        let most = *draw.of("scale").pick(&[4, 30, 120]);
        let fault = Fault::CrashAtPersist {
            node: node(draw.of("node"), plan.nodes),
            op: draw.of("op").within(1..=most),
            unsynced: *draw.of("style").pick(&styles),
            restart_after_ms: Some(draw.of("down").within(1..=2_000)),
        };
        plan.fault(ms(at), fault);
    }
    if draw.of("leader").chance(500_000) {
        let at = draw.of("leader-at").within(3_000..=8_000);
        target_fault(plan, at, Target::Leader, FaultKind::CrashAtPersist, 300);
    }
    if draw.of("twice").chance(400_000) {
        crash_twice(plan, draw.of("both"));
    }
}

fn crash_while_booting(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("booting");
    plan.cfg.limits.segment_bytes_max = 4_096;
    plan.cfg.clients[0].interval_ms = draw.of("interval").within(50..=200);
    plan.cfg.chains[0].retention = Retention {
        entries_max: *draw.of("keep").pick(&[None, Some(4), Some(12)]),
        ..Retention::default()
    };
    let mut at = draw.of("first").within(1_500..=3_500);
    for number in 0..draw.of("count").within(1..=6) {
        let draw = draw.nth(number);
        let node = node(draw.of("node"), plan.nodes);
        let unsynced = Unsynced::Drawn;
        plan.fault(ms(at), Fault::Crash { node, unsynced });
        // The first file operations of the next boot are those of its recovery.
        let fault = Fault::CrashAtPersist {
            node,
            op: draw.of("op").within(1..=10),
            unsynced,
            restart_after_ms: Some(draw.of("down").within(1..=800)),
        };
        plan.fault(ms(at + 1), fault);
        plan.fault(ms(at + 50), Fault::Restart { node });
        at += draw.of("between").within(100..=2_000);
        if at + 50 >= plan.safety_ms {
            break;
        }
    }
}

/// While the others elect, the process of a voter dies at one of the file operations of its vote
/// and leaves what it wrote unsynced; a later crash takes whatever the boot between them did not
/// sync.
fn crash_twice(plan: &mut Plan, draw: Draw) {
    let at = draw.of("at").within(2_500..=4_500);
    target_fault(plan, at, Target::Leader, FaultKind::Crash, 4_000);
    let node = node(draw.of("node"), plan.nodes);
    let fault = Fault::CrashAtPersist {
        node,
        op: draw.of("op").within(1..=8),
        unsynced: Unsynced::Kept,
        restart_after_ms: Some(draw.of("down").within(1..=100)),
    };
    plan.fault(ms(at + 100), fault);
    let again = at + draw.of("again").within(2_000..=5_000);
    crash(plan, node, (again, again + 100), Unsynced::Lost);
}

fn wiped_voter(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("wipe");
    // The others have to be a majority of all voters.
    let most = (plan.nodes - 1) / 2;
    let order = draw.of("order").shuffled((0..plan.nodes).map(NodeIndex));
    let count = draw.of("count").within(1..=u64::from(most)) as usize;
    let wiped = &order[..count];
    for (number, &node) in wiped.iter().enumerate() {
        let draw = draw.of("voter").nth(number as u64);
        let at = draw.of("at").within(500..=7_000);
        let end = at + draw.of("down").within(1..=1_500);
        plan.fault(
            ms(at),
            Fault::Crash {
                node,
                unsynced: Unsynced::Drawn,
            },
        );
        plan.fault(ms(at), Fault::Wipe { node });
        plan.fault(ms(end), Fault::Restart { node });
    }
    for number in 0..draw.of("leaders").within(1..=2) {
        let draw = draw.of("leader").nth(number);
        let at = draw.of("at").within(3_000..=9_000);
        target_fault(
            plan,
            at,
            Target::Leader,
            FaultKind::Crash,
            draw.of("down").within(100..=4_000),
        );
    }
    leave_out(plan, wiped);
}

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
    let limits = &mut plan.cfg.limits;
    limits.segment_bytes_max = 4_096;
    let client = &mut plan.cfg.clients[0];
    (client.interval_ms, client.count, client.start_ms) = (80, 30, 1_500);
    (client.repeat_ppm, client.repeat_ms_max, client.reads_ppm) = (700_000, 6_000, 100_000);
    if draw.of("parts").chance(parts_ppm) {
        // A checkpoint takes several messages, of which some are lost, and more than a moment.
        (limits.entry_bytes_max, limits.message_bytes_max) = (1, 1_025);
        limits.bandwidth_bytes_per_s = *draw.of("budget").pick(&[100_000, 1_000_000]);
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
    // The weather doubles messages of a reset, and the disk is slow enough to crash in one.
    plan.weather.duplicate_ppm = *draw.of("duplicate").pick(&[0, 200_000]);
    plan.disk_us.1 = *draw.of("disk").pick(&[2_000, 60_000]);
    let victim = node(draw.of("victim"), plan.nodes);
    let at = draw.of("at").within(500..=4_500);
    let back = at + draw.of("down").within(1_000..=3_500);
    match draw.of("how").below(3) {
        0 => {
            let others = (0..plan.nodes)
                .map(NodeIndex)
                .filter(|node| *node != victim);
            let groups = vec![others.collect(), vec![victim]];
            plan.fault(ms(at), Fault::Partition { groups });
            plan.fault(ms(back), Fault::Heal {});
        }
        _ => crash(plan, victim, (at, back), Unsynced::Drawn),
    }
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
    match draw.of("how").below(3) {
        0 => {
            let others = (0..plan.nodes)
                .map(NodeIndex)
                .filter(|node| *node != victim);
            let groups = vec![others.collect(), vec![victim]];
            plan.fault(ms(at), Fault::Partition { groups });
            plan.fault(ms(back), Fault::Heal {});
        }
        _ => crash(plan, victim, (at, back), Unsynced::Drawn),
    }
    // Whoever helps, or leads, may go meanwhile.
    for (name, target) in [("leader", Target::Leader), ("follower", Target::Follower)] {
        let draw = draw.of(name);
        if draw.of("on").chance(300_000) {
            let at = back + draw.of("at").within(1..=1_500);
            let kind = *draw
                .of("fault")
                .pick(&[FaultKind::Crash, FaultKind::Isolate]);
            target_fault(plan, at, target, kind, draw.of("for").within(100..=3_000));
        }
    }
    plan.liveness_ms = 30_000;
}
