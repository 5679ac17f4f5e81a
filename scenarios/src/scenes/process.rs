//! Processes stop, pause and come back, in time or far behind.

use super::parts::{connect, crash, leave_out, ms, node, target_fault};
use super::scene::Scene;
use crate::cfg::{FaultKind, Plan, Target};
use meshos_core::config::Retention;
use meshos_sim::fault::{Fault, Unsynced};
use meshos_sim::machine::NodeIndex;
use meshos_sim::swarm::Draw;

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
];

fn leader_crash(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("leader-crash");
    plan.cfg.clients[0].interval_ms = draw.of("interval").within(20..=200);
    plan.disk_us.1 = *draw.of("disk").pick(&[2_000, 20_000, 100_000]);
    // Its host resets what the process held, so that its peers know at once.
    if draw.of("resets").chance(600_000) {
        connect(plan, draw.of("connections"));
    }
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
            *draw
                .of("kind")
                .pick(&[FaultKind::Crash, FaultKind::Crash, FaultKind::CrashTwice]),
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
        // The first file operations of the next boot are those of its recovery: first what the
        // store is, then vote, checkpoint and log of each chain.
        let most = *draw.of("scale").pick(&[10, 25]);
        let fault = Fault::CrashAtPersist {
            node,
            op: draw.of("op").within(1..=most),
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
