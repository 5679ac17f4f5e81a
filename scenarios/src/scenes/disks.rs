//! Disks are slow, full, fail their syncs, or return other bits than were written.

use super::parts::{
    LEADER_FAULTS, connect, crash, ms, node, queue_windows, reboot_at_end, strike, target_fault,
};
use super::scene::Scene;
use crate::cfg::{FaultKind, Flips, Plan, Target};
use crate::model::{Ask, Op};
use meshos_core::config::Retention;
use meshos_sim::fault::{Fault, Keep, Unsynced};
use meshos_sim::machine::NodeIndex;
use meshos_sim::swarm::Draw;

pub(super) const SCENES: &[Scene] = &[
    Scene {
        name: "slow-disk",
        about: "disks take up to a second for a batch, so that writes and epochs overlap",
        marks: &["vote granted while a log write was in flight"],
        fill: slow_disk,
    },
    Scene {
        name: "cut-off-writer",
        about: "a leader cut off with a slow disk hears of its successor before its writes end",
        marks: &["write overtaken by a cut"],
        fill: cut_off_writer,
    },
    Scene {
        name: "full-disk",
        about: "disks have no room for a while",
        marks: &["store full"],
        fill: full_disk,
    },
    Scene {
        name: "expired-on-full-disks",
        about: "appends fill disks to the last byte, and what expires makes room again",
        marks: &["store full"],
        fill: expired_on_full_disks,
    },
    Scene {
        name: "cut-off-on-a-full-disk",
        about: "a leader cut off fills its disk, and the checkpoint that replaces its log has grown",
        marks: &["log dropped before the checkpoint that replaces it"],
        fill: cut_off_on_a_full_disk,
    },
    Scene {
        name: "busy-disk",
        about: "disks always have entries to write, and a bound that they pass all the time",
        marks: &["retention before entries that wait"],
        fill: busy_disk,
    },
    Scene {
        name: "failing-disk",
        about: "syncs fail, and the replica stops until it reboots",
        marks: &[],
        fill: failing_disk,
    },
    Scene {
        name: "lost-writes",
        about: "one disk loses synced writes or puts them elsewhere: repaired, or refused by name",
        marks: &[],
        fill: lost_writes,
    },
    Scene {
        name: "older-image",
        about: "one store comes back as an older image or formatted anew: refused at every boot",
        marks: &[
            "older image of a store refused",
            "store formatted anew refused",
        ],
        fill: older_image,
    },
    Scene {
        name: "unreadable-files",
        about: "one disk cannot read a file at boot: the node stays out until it can",
        marks: &[],
        fill: unreadable_files,
    },
    Scene {
        name: "corrupt-bytes",
        about: "bits of sealed records flip; peers repair what a reboot finds damaged",
        marks: &["corrupt entry repaired from a peer"],
        fill: corrupt_bytes,
    },
    Scene {
        name: "corrupt-behind",
        about: "a node with damaged entries comes back when the others have dropped them",
        marks: &["checkpoint met entries that are unknown"],
        fill: corrupt_behind,
    },
];

fn slow_disk(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("slow");
    plan.cfg.clients[0].interval_ms = draw.of("interval").within(50..=300);
    for node in 0..plan.nodes {
        let draw = draw.of("node").nth(u64::from(node));
        if draw.of("on").chance(700_000) {
            let us_max = *draw.of("most").pick(&[20_000, 100_000, 400_000, 1_000_000]);
            let us_min = us_max / 20;
            let at = draw.of("at").below(6_000);
            plan.fault(
                ms(at),
                Fault::DiskLatency {
                    node: NodeIndex(node),
                    us_min,
                    us_max,
                },
            );
        }
    }
    for number in 0..draw.of("faults").within(0..=3) {
        let draw = draw.of("fault").nth(number);
        let (at, span) = (2_500..=9_000, 100..=3_000);
        strike(plan, draw, Target::Leader, &LEADER_FAULTS, at, span);
    }
}

fn cut_off_writer(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("writer");
    plan.safety_ms = 8_000;
    plan.cfg.timing.heartbeat_ms = 200;
    let client = &mut plan.cfg.clients[0];
    client.interval_ms = draw.of("interval").within(30..=120);
    (client.start_ms, client.count) = (1_000, 30);
    // The batch under way outlasts the leadership, so what gathered behind it is written only in
    // the epoch of the successor, whose log lacks it.
    let at = draw.of("at").within(1_200..=2_000);
    let batch = draw.of("batch").within(1_600..=2_400);
    target_fault(plan, at, Target::Leader, FaultKind::SlowDisk, batch);
    let at = at + draw.of("before").within(20..=400);
    let away = draw.of("away").within(1_000..=2_000);
    target_fault(plan, at, Target::Leader, FaultKind::Isolate, away);
}

fn full_disk(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("full");
    plan.cfg.clients[0].interval_ms = draw.of("interval").within(50..=300);
    plan.cfg.chains[0].retention = Retention {
        entries_max: *draw.of("keep").pick(&[None, Some(5)]),
        age_max_ms: *draw.of("age").pick(&[None, Some(1_000)]),
        ..Retention::default()
    };
    for number in 0..draw.of("count").within(1..=4) {
        let draw = draw.nth(number);
        let node = node(draw.of("node"), plan.nodes);
        let at = draw.of("at").below(9_000);
        let end = at + draw.of("for").within(50..=5_000);
        let (room, at_sync) = (draw.of("room"), draw.of("sync").chance(150_000));
        if room.of("none").chance(400_000) {
            plan.fault(ms(at), Fault::DiskFull { node, on: true });
            if end < plan.safety_ms {
                plan.fault(ms(end), Fault::DiskFull { node, on: false });
            }
        } else {
            let left = |bytes| Fault::DiskRoom {
                node,
                bytes,
                at_sync,
            };
            // From less than a head of a batch to some dozen entries.
            let bytes = room.of("bytes").below(1 << room.of("scale").within(4..=13));
            plan.fault(ms(at), left(Some(bytes)));
            if end < plan.safety_ms {
                plan.fault(ms(end), left(None));
            }
            if at_sync {
                // A replica whose sync failed comes back with a boot only.
                reboot_at_end(plan, node);
            }
        }
        if draw.of("crash").chance(300_000) {
            let at = at + draw.of("crash-at").below(1_000);
            crash(
                plan,
                node,
                (at.min(9_900), (at + 300).min(9_950)),
                Unsynced::Drawn,
            );
        }
    }
}

fn expired_on_full_disks(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("expired");
    queue_windows(plan);
    plan.cfg.chains[0].retention.age_max_ms = Some(draw.of("age").within(1_000..=4_000));
    let client = &mut plan.cfg.clients[0];
    client.start_ms = 2_000;
    client.interval_ms = draw.of("interval").within(20..=80);
    client.count = u64::MAX >> 1;
    client.sessions = draw.of("sessions").within(1..=12) as u32;
    client.pipeline = 4;
    client.sticky_ppm = *draw.of("sticky").pick(&[900_000, 1_000_000]);
    client.bytes = (0, *draw.of("entry").pick(&[50, 400, 1_000]));
    for number in 0..plan.nodes {
        let draw = draw.of("node").nth(u64::from(number));
        if draw.of("on").chance(800_000) {
            let fault = Fault::DiskRoom {
                node: NodeIndex(number),
                bytes: Some(draw.of("bytes").within(16_000..=80_000)),
                at_sync: false,
            };
            plan.fault(ms(draw.of("at").within(1_900..=3_000)), fault);
        }
        if draw.of("crash").chance(150_000) {
            let at = draw.of("crash-at").within(3_000..=14_000);
            let back = at + draw.of("down").within(100..=1_000);
            crash(plan, NodeIndex(number), (at, back), Unsynced::Drawn);
        }
    }
    plan.safety_ms = 18_000;
    if draw.of("stays").chance(500_000) {
        plan.keep.push(Keep::Room);
    }
}

/// What fills the disk nobody else has, and what it has to make room for is larger: the others take
/// the requests of many more clients meanwhile. Its disk stays as small as it is.
fn cut_off_on_a_full_disk(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("cut-off-full");
    plan.cfg.chains[0].retention.entries_max = Some(draw.of("keep").within(20..=60));
    let victim = node(draw.of("victim"), plan.nodes);
    plan.cfg.chains[0].pinned = Some(victim);
    let client = &mut plan.cfg.clients[0];
    (client.start_ms, client.interval_ms, client.count) = (1_000, 100, 20);
    let mut many = client.clone();
    (many.start_ms, many.interval_ms, many.count) = (6_500, 1_000, 8);
    many.sessions = draw.of("sessions").within(150..=300) as u32;
    (many.reads_ppm, many.bytes) = (0, (0, 20));
    plan.cfg.clients.push(many);
    let cut = draw.of("at").within(4_000..=4_900);
    let room = Fault::DiskRoom {
        node: victim,
        bytes: Some(draw.of("room").within(70_000..=130_000)),
        at_sync: false,
    };
    plan.fault(ms(cut - 1), room);
    let others = (0..plan.nodes)
        .map(NodeIndex)
        .filter(|node| *node != victim);
    let groups = vec![vec![victim], others.collect()];
    plan.fault(ms(cut), Fault::Partition { groups });
    let bytes = draw.of("bytes").within(2_000..=9_000) as u32;
    for number in 0..40 {
        let ask = Ask::Append {
            client: None,
            number: 0,
            tag: 1 + number,
            bytes,
            local: true,
        };
        let op = Op {
            chain: 0,
            ticket: 1 + number,
            ask,
        };
        plan.op(ms(cut + 10 + number), victim.0, op);
    }
    plan.safety_ms = 18_000;
    plan.fault(ms(draw.of("heal").within(15_000..=17_000)), Fault::Heal {});
    if draw.of("crash").chance(500_000) {
        let at = draw.of("crash-at").within(10_000..=17_500);
        crash(plan, victim, (at, at + 300), Unsynced::Drawn);
    }
    plan.keep.push(Keep::Room);
}

fn busy_disk(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("busy");
    let us = draw.of("batch").within(10_000..=50_000);
    plan.disk_us = (us / 2, us);
    let retention = &mut plan.cfg.chains[0].retention;
    match draw.of("bound").below(3) {
        0 => retention.entries_max = Some(draw.of("entries").within(5..=50)),
        1 => retention.bytes_max = Some(draw.of("bytes").within(100..=2_000)),
        _ => retention.age_max_ms = Some(draw.of("age").within(100..=1_000)),
    }
    let client = &mut plan.cfg.clients[0];
    (client.sessions, client.pipeline, client.count) = (8, 32, u64::MAX >> 1);
    (client.interval_ms, client.sticky_ppm) = (draw.of("interval").within(20..=60), 1_000_000);
    client.bytes = (0, 50);
    plan.safety_ms = 6_000;
    if draw.of("fault").chance(500_000) {
        let kind =
            *draw
                .of("what")
                .pick(&[FaultKind::Crash, FaultKind::Isolate, FaultKind::SlowDisk]);
        let at = draw.of("at").within(2_500..=5_000);
        target_fault(
            plan,
            at,
            Target::Leader,
            kind,
            draw.of("for").within(100..=2_000),
        );
    }
}

fn failing_disk(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("failing");
    plan.cfg.clients[0].interval_ms = draw.of("interval").within(50..=300);
    for number in 0..draw.of("count").within(1..=4) {
        let draw = draw.nth(number);
        let node = node(draw.of("node"), plan.nodes);
        let at = draw.of("at").below(9_000);
        plan.fault(ms(at), Fault::DiskSyncError { node });
        if draw.of("reboot").chance(600_000) {
            let at = at + draw.of("reboot-at").within(50..=3_000);
            crash(
                plan,
                node,
                (at.min(9_900), (at + 200).min(9_950)),
                Unsynced::Drawn,
            );
        }
        reboot_at_end(plan, node);
    }
}

fn corrupt_bytes(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("corrupt");
    plan.cfg.chains[0].retention = Retention {
        entries_max: *draw.of("keep").pick(&[None, None, Some(10)]),
        ..Retention::default()
    };
    plan.cfg.flips = *draw
        .of("flips")
        .pick(&[Flips::Minority, Flips::Striped, Flips::Records]);
    plan.cfg.clients[0].interval_ms = draw.of("interval").within(50..=200);
    plan.cfg.clients[0].start_ms = 1_500;
    let order = draw.of("order").shuffled((0..plan.nodes).map(NodeIndex));
    let most = usize::from((plan.nodes - 1) / 2);
    plan.cfg.limits.segment_bytes_max = *draw.of("segment").pick(&[4_096, 1 << 20]);
    // Where little is whole, a run of unknown entries comes back in many messages.
    let is_wide = plan.cfg.flips == Flips::Minority && draw.of("wide").chance(500_000);
    if is_wide {
        let limits = &mut plan.cfg.limits;
        limits.entry_bytes_max = 256;
        limits.message_bytes_max = limits.entry_bytes_max + 1_024;
    }
    if draw.of("alone").chance(250_000) {
        return damaged_alone(plan, draw.of("meet"), &order);
    }
    for number in 0..draw.of("count").within(1..=4) {
        let draw = draw.nth(number);
        // Damage shows when a node reads its files, so every flip is followed by a reboot.
        let node = match plan.cfg.flips {
            Flips::Minority | Flips::Records => *draw.of("victim").pick(&order[..most]),
            Flips::Striped => node(draw.of("node"), plan.nodes),
        };
        let at = draw.of("at").within(3_500..=9_000);
        let bits = match is_wide {
            true => *draw.of("bits").pick(&[8, 100, 1_000]),
            false => *draw.of("bits").pick(&[1, 1, 2, 8]),
        };
        plan.fault(ms(at), Fault::Flip { node, bits });
        let boot = at + draw.of("boot").within(1..=700);
        crash(
            plan,
            node,
            (boot, boot + draw.of("down").within(1..=200)),
            Unsynced::Drawn,
        );
        let again = boot + draw.of("again").within(400..=1_500);
        if is_wide && again + 100 < plan.safety_ms {
            // What was repaired is read once more.
            crash(plan, node, (again, again + 100), Unsynced::Drawn);
        }
    }
}

/// While the damaged node is away, retention passes what it holds: it meets a checkpoint with
/// entries that it does not know, or asks for entries behind one that it does not know.
fn corrupt_behind(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("corrupt-behind");
    plan.cfg.chains[0].retention.entries_max = Some(draw.of("keep").within(2..=12));
    plan.cfg.flips = *draw.of("flips").pick(&[Flips::Minority, Flips::Striped]);
    plan.cfg.limits.segment_bytes_max = 4_096;
    let client = &mut plan.cfg.clients[0];
    (client.interval_ms, client.count, client.start_ms) = (60, 80, 1_500);
    (client.reads_ppm, client.bytes) = (50_000, (0, 60));
    plan.disk_us.1 = *draw.of("disk").pick(&[2_000, 60_000]);
    plan.weather.duplicate_ppm = *draw.of("duplicate").pick(&[0, 200_000]);
    let victim = node(draw.of("victim"), plan.nodes);
    let mut at = draw.of("first").within(2_000..=4_000);
    for number in 0..draw.of("count").within(1..=4) {
        let draw = draw.nth(number);
        let bits = *draw.of("bits").pick(&[1, 2, 8]);
        let back = at + draw.of("down").within(50..=2_000);
        if back >= plan.safety_ms {
            break;
        }
        plan.fault(ms(at), Fault::Flip { node: victim, bits });
        crash(plan, victim, (at + 1, back), Unsynced::Drawn);
        at = back + draw.of("between").within(100..=1_500);
    }
    if draw.of("leader").chance(300_000) {
        let at = draw.of("leader-at").within(3_000..=8_000);
        target_fault(plan, at, Target::Leader, FaultKind::Isolate, 1_500);
    }
}

/// A damaged node meets only nodes that fell behind: none that could repair it, and none whose
/// log is as good.
fn damaged_alone(plan: &mut Plan, draw: Draw, order: &[NodeIndex]) {
    let (victim, others) = (order[0], &order[1..]);
    let (behind, whole) = others.split_at(others.len() / 2);
    let groups = vec![behind.to_vec()];
    plan.fault(
        ms(draw.of("apart").within(500..=4_000)),
        Fault::Partition { groups },
    );
    let at = draw.of("at").within(5_000..=6_500);
    let bits = *draw.of("bits").pick(&[1, 8]);
    plan.fault(ms(at), Fault::Flip { node: victim, bits });
    crash(plan, victim, (at + 1, at + 50), Unsynced::Drawn);
    let back = at + draw.of("down").within(100..=3_400);
    for &node in whole {
        crash(plan, node, (at + 1, back), Unsynced::Drawn);
    }
    plan.fault(ms(at + 10), Fault::Heal {});
}

/// One disk, of a node that is a minority by itself, and nobody else fails: what it loses others
/// hold. Its node reads its files again only when all are level: before, what it lost may have
/// been what made an entry committed, and no refusal could save that.
fn lost_writes(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("lost");
    let client = &mut plan.cfg.clients[0];
    (client.start_ms, client.count) = (1_500, draw.of("entries").within(5..=20));
    client.interval_ms = draw.of("interval").within(50..=200);
    plan.cfg.limits.segment_bytes_max = *draw.of("segment").pick(&[4_096, 1 << 20]);
    let node = node(draw.of("victim"), plan.nodes);
    for number in 0..draw.of("count").within(1..=3) {
        let draw = draw.nth(number);
        let elsewhere = draw.of("elsewhere").chance(400_000);
        let at = ms(draw.of("at").within(1_800..=6_500));
        plan.fault(at, Fault::DiskLoseWrite { node, elsewhere });
    }
    let boot = draw.of("boot").within(9_000..=9_800);
    let back = boot + draw.of("down").within(1..=150);
    crash(plan, node, (boot, back), Unsynced::Drawn);
}

fn unreadable_files(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("unreadable");
    plan.cfg.clients[0].interval_ms = draw.of("interval").within(50..=200);
    let node = node(draw.of("victim"), plan.nodes);
    let chain = meshos_core::id::ChainId::of(&plan.cfg.chains[0].name);
    let file = match draw.of("file").below(4) {
        0 => "identity.a".to_owned(),
        3 => "peers.a".to_owned(),
        1 => format!("{chain}-0.checkpoint.a"),
        _ => format!("{chain}-0.segment-00000001"),
    };
    let (offset, bytes) = (draw.of("offset").below(200), 64);
    let at = draw.of("at").within(3_000..=7_000);
    let fault = Fault::DiskReadError {
        node,
        file,
        offset,
        bytes,
    };
    plan.fault(ms(at), fault);
    crash(plan, node, (at + 1, at + 100), Unsynced::Drawn);
    reboot_at_end(plan, node);
}

/// Everybody hears a run of the victim that its image does not know. It boots until its count is
/// past what they heard, and leaders die meanwhile: a vote or copy of it would be counted.
fn older_image(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("image");
    connect(plan, draw.of("connections"));
    let client = &mut plan.cfg.clients[0];
    (client.start_ms, client.interval_ms) = (500, draw.of("interval").within(50..=200));
    let node = node(draw.of("victim"), plan.nodes);
    let image = draw.of("image").within(300..=2_500);
    plan.fault(ms(image), Fault::DiskSnapshot { node });
    let mut at = image;
    for number in 0..draw.of("newer").within(1..=3) {
        let draw = draw.of("newer").nth(number);
        at += draw.of("after").within(100..=500);
        let back = at + draw.of("down").within(1..=100);
        crash(plan, node, (at, back), Unsynced::Drawn);
        at = back + 200;
    }
    at += draw.of("heard").within(500..=1_500);
    let fault = match draw.of("anew").chance(200_000) {
        true => Fault::Reformat { node },
        false => Fault::DiskRestore { node },
    };
    let mut back = at + draw.of("down").within(2..=200);
    crash(plan, node, (at, back), Unsynced::Drawn);
    plan.fault(ms(at + 1), fault);
    for number in 0..draw.of("again").within(0..=5) {
        let draw = draw.of("again").nth(number);
        let at = back + draw.of("after").within(50..=300);
        back = at + draw.of("down").within(1..=50);
        crash(plan, node, (at, back), Unsynced::Drawn);
    }
    for number in 0..draw.of("leaders").within(0..=2) {
        let draw = draw.of("leaders").nth(number);
        let at = draw
            .of("at")
            .within(at + 500..=plan.safety_ms.max(at + 600) - 50);
        let kind = *draw
            .of("kind")
            .pick(&[FaultKind::Crash, FaultKind::Isolate]);
        let away = draw.of("for").within(100..=2_000);
        target_fault(plan, at, Target::Leader, kind, away);
    }
}
