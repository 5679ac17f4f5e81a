//! The network fails; processes, disks and clocks do not.

use super::parts::{crash, ms, node, target_fault};
use super::scene::Scene;
use super::shapes;
use crate::cfg::{FaultKind, Plan, Target};
use meshos_core::config::Retention;
use meshos_sim::fault::{Fault, Unsynced};
use meshos_sim::machine::NodeIndex;
use meshos_sim::swarm::Draw;
use meshos_sim::weather::{LinkWeather, Weather};

pub(super) const SCENES: &[Scene] = &[
    Scene {
        name: "partition-heal",
        about: "the cluster falls apart, several times, and comes together",
        marks: &[],
        fill: partition_heal,
    },
    Scene {
        name: "one-way-partition",
        about: "some links carry messages in one direction only",
        marks: &[],
        fill: one_way_partition,
    },
    Scene {
        name: "bridge",
        about: "two halves hear each other through one node only",
        marks: &[],
        fill: bridge,
    },
    Scene {
        name: "flapping-link",
        about: "a link goes and comes faster than anybody can make sense of it",
        marks: &[],
        fill: flapping_link,
    },
    Scene {
        name: "lossy-network",
        about: "messages are lost, doubled, delayed and overtaken",
        marks: &[],
        fill: lossy_network,
    },
    Scene {
        name: "zones",
        about: "two zones with a long and even way between them, and bytes that are damaged on it",
        marks: &[],
        fill: zones,
    },
    Scene {
        name: "slow-link",
        about: "a node that was away catches up over a link that stays slow",
        marks: &["bulk that may be on its way not sent again"],
        fill: slow_link,
    },
    Scene {
        name: "late-answers",
        about: "a leader that comes back is told twice, and late, how far to go back",
        marks: &["duplicate conflict after an acknowledgement"],
        fill: late_answers,
    },
    Scene {
        name: "half-deaf-leader",
        about: "a leader that is heard but hears nobody has to step down",
        marks: &["half-deaf leader stepping down"],
        fill: half_deaf_leader,
    },
    Scene {
        name: "lagging-leader",
        about: "a leader is read from while it does not know yet that another one was elected",
        marks: &["confirm asked for by a replaced leader"],
        fill: lagging_leader,
    },
];

fn partition_heal(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("partition");
    let mut at = draw.of("first").within(1_000..=5_000);
    for number in 0..4 {
        let draw = draw.nth(number);
        if at >= plan.safety_ms {
            break;
        }
        match draw.of("kind").below(3) {
            0 => {
                let order = draw.of("order").shuffled((0..plan.nodes).map(NodeIndex));
                let size = draw.of("size").within(1..=u64::from(plan.nodes) - 1) as usize;
                let (one, other) = order.split_at(size);
                let groups = vec![one.to_vec(), other.to_vec()];
                plan.fault(ms(at), Fault::Partition { groups });
            }
            1 => target_fault(plan, at, Target::Leader, FaultKind::Isolate, 20_000),
            _ => {
                let groups = (0..plan.nodes).map(|node| vec![NodeIndex(node)]).collect();
                plan.fault(ms(at), Fault::Partition { groups });
            }
        }
        at += draw.of("for").within(300..=5_000);
        if at < plan.safety_ms && draw.of("heal").chance(700_000) {
            plan.fault(ms(at), Fault::Heal {});
            at += draw.of("between").within(100..=3_000);
        }
    }
}

fn one_way_partition(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("one-way");
    for number in 0..draw.of("count").within(1..=4) {
        let draw = draw.nth(number);
        let from = node(draw.of("from"), plan.nodes);
        let step = draw.of("to").within(1..=u64::from(plan.nodes) - 1) as u16;
        let to = NodeIndex((from.0 + step) % plan.nodes);
        let at = draw.of("at").below(8_000);
        plan.fault(ms(at), Fault::Cut { from, to });
        let end = at + draw.of("for").within(500..=8_000);
        if end < plan.safety_ms {
            plan.fault(ms(end), Fault::Mend { from, to });
        }
    }
}

fn bridge(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("bridge");
    let order = draw.of("order").shuffled((0..plan.nodes).map(NodeIndex));
    let middle = (order.len() - 1) / 2;
    let (left, right) = (&order[..middle], &order[middle + 1..]);
    let at = draw.of("at").below(7_000);
    let end = at + draw.of("for").within(2_000..=9_000);
    for (&one, &other) in left
        .iter()
        .flat_map(|one| right.iter().map(move |other| (one, other)))
    {
        for (from, to) in [(one, other), (other, one)] {
            plan.fault(ms(at), Fault::Cut { from, to });
            if end < plan.safety_ms {
                plan.fault(ms(end), Fault::Mend { from, to });
            }
        }
    }
}

fn flapping_link(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("flap");
    let from = node(draw.of("from"), plan.nodes);
    let step = draw.of("to").within(1..=u64::from(plan.nodes) - 1) as u16;
    let to = NodeIndex((from.0 + step) % plan.nodes);
    let both = draw.of("both").chance(700_000);
    let longest = *draw.of("longest").pick(&[100, 600, 2_000]);
    let mut at = draw.of("first").below(3_000);
    for number in 0..40 {
        if at >= plan.safety_ms {
            break;
        }
        let is_cut = number % 2 == 0;
        for (from, to) in [(from, to), (to, from)]
            .into_iter()
            .take(1 + usize::from(both))
        {
            let fault = match is_cut {
                true => Fault::Cut { from, to },
                false => Fault::Mend { from, to },
            };
            plan.fault(ms(at), fault);
        }
        at += draw.of("for").nth(number).within(20..=longest);
    }
}

fn lossy_network(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("lossy");
    let part = |name: &str, most: u64| draw.of(name).below(most) as u32;
    let latency_us_min = draw.of("latency").within(100..=10_000);
    let weather = Weather {
        latency_us_min,
        latency_us_max: latency_us_min + draw.of("jitter").below(80_000),
        loss_ppm: part("loss", 300_000),
        duplicate_ppm: part("duplicate", 300_000),
        reorder_ppm: part("reorder", 300_000),
        corrupt_ppm: part("corrupt", 50_000),
        bytes_per_ms: *draw.of("bytes").pick(&[0, 0, 20, 200]),
        message_bytes_max: 0,
    };
    let weather = Some(weather);
    plan.fault(
        ms(0),
        Fault::Weather {
            from: None,
            to: None,
            weather,
        },
    );
    if draw.of("crash").chance(500_000) {
        let at = draw.of("at").within(3_500..=8_000);
        target_fault(
            plan,
            at,
            Target::Leader,
            FaultKind::Crash,
            draw.of("down").within(100..=3_000),
        );
    }
}

fn zones(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("zones");
    shapes::zones(plan, draw);
    for links in &mut plan.matrix {
        links.weather.corrupt_ppm = *draw.of("corrupt").pick(&[0, 2_000, 50_000]);
    }
    plan.weather = *draw.of("near").pick(&[
        Weather::latency_us(200, 200),
        Weather::latency_us(1_000, 1_000),
        Weather::default(),
    ]);
    let number = draw.of("count").within(0..=2);
    let mut at = draw.of("first").within(2_000..=5_000);
    for number in 0..number {
        let draw = draw.nth(number);
        let (target, kind) = *draw.of("what").pick(&[
            (Target::Leader, FaultKind::Crash),
            (Target::Leader, FaultKind::Isolate),
            (Target::Follower, FaultKind::Crash),
            (Target::Leader, FaultKind::Transfer),
        ]);
        let length = draw.of("for").within(500..=4_000);
        target_fault(plan, at, target, kind, length);
        at = (at + length + 1_000).min(plan.safety_ms - 1);
    }
}

fn late_answers(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("late");
    plan.safety_ms = 7_000;
    plan.cfg.timing.heartbeat_ms = 200;
    // What it is told is a position, or a checkpoint where little is retained. The second copy
    // finds a replica that has acknowledged appends of its new leader since.
    plan.cfg.chains[0].retention = Retention {
        entries_max: *draw.of("keep").pick(&[None, None, Some(4), Some(12)]),
        ..Retention::default()
    };
    let client = &mut plan.cfg.clients[0];
    client.interval_ms = draw.of("interval").within(40..=120);
    (client.start_ms, client.count, client.reads_ppm) = (1_000, 60, 100_000);
    let weather = Some(Weather {
        latency_us_max: *draw.of("latency").pick(&[30_000, 60_000, 100_000]),
        duplicate_ppm: 500_000,
        reorder_ppm: 500_000,
        ..Weather::default()
    });
    plan.fault(
        ms(draw.of("from").within(1_000..=2_000)),
        Fault::Weather {
            from: None,
            to: None,
            weather,
        },
    );
    let mut at = draw.of("first").within(1_500..=2_500);
    for number in 0..2 {
        let draw = draw.nth(number);
        let away = draw.of("away").within(800..=1_800);
        target_fault(plan, at, Target::Leader, FaultKind::Isolate, away);
        at += away + draw.of("between").within(200..=1_000);
    }
}

fn half_deaf_leader(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("deaf");
    let at = draw.of("at").within(2_500..=6_000);
    target_fault(
        plan,
        at,
        Target::Leader,
        FaultKind::Deafen,
        draw.of("for").within(1_000..=6_000),
    );
    if draw.of("mute").chance(300_000) {
        let at = at + draw.of("later").within(500..=4_000);
        target_fault(plan, at, Target::Leader, FaultKind::Mute, 2_000);
    }
}

fn lagging_leader(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("lagging");
    let client = &mut plan.cfg.clients[0];
    client.sessions = 2;
    client.start_ms = 2_000;
    client.interval_ms = draw.of("interval").within(40..=120);
    client.count = 80;
    client.reads_ppm = 700_000;
    client.linearizable_ppm = 1_000_000;
    client.sticky_ppm = *draw.of("sticky").pick(&[0, 300_000]);
    (client.pipeline, client.patience_ms) = (16, 400);
    let mut at = draw.of("first").within(3_000..=4_500);
    for number in 0..draw.of("count").within(1..=3) {
        let draw = draw.nth(number);
        // The followers agree on another leader while their older answers are still on the way:
        // at its own wish, or because its clock stands still and it falls silent.
        let (lag, kind, later) = match draw.of("stop").chance(300_000) {
            false => (draw.of("lag").within(600..=1_800), FaultKind::Transfer, 300),
            true => (
                draw.of("lag").within(5_000..=9_000),
                FaultKind::ClockStop,
                1,
            ),
        };
        let later = draw.of("later").below(later);
        if at + later >= plan.safety_ms {
            break;
        }
        target_fault(plan, at, Target::Leader, FaultKind::Lag, lag);
        target_fault(plan, at + later, Target::Leader, kind, lag);
        at += lag + draw.of("between").within(500..=2_000);
    }
}

fn slow_link(plan: &mut Plan, draw: Draw) {
    let draw = draw.of("slow-link");
    let behind = node(draw.of("behind"), plan.nodes);
    let others = (0..plan.nodes)
        .map(NodeIndex)
        .filter(|node| *node != behind);
    let bytes_per_ms = *draw.of("bytes").pick(&[20, 80, 400]);
    plan.matrix = vec![LinkWeather {
        from: others.collect(),
        to: vec![behind],
        weather: Weather {
            bytes_per_ms,
            loss_ppm: *draw.of("loss").pick(&[0, 0, 20_000]),
            ..Weather::latency_us(1_000, *draw.of("latency").pick(&[1_000, 20_000]))
        },
    }];
    plan.cfg.chains[0].retention = Retention {
        entries_max: *draw.of("keep").pick(&[None, None, Some(8)]),
        ..Retention::default()
    };
    plan.cfg.limits.lag_max = *draw.of("lag").pick(&[4, 1_024]);
    let client = &mut plan.cfg.clients[0];
    client.bytes = (100, *draw.of("entry").pick(&[2_000, 60_000]));
    client.count = draw.of("count").within(10..=30);
    (client.interval_ms, client.start_ms) = (60, 1_500);
    if let Some(connections) = &mut plan.connections {
        // A queue that cannot hold two entries loses every second one without a word, and no
        // driver has such a queue.
        let two = u64::from(2 * client.bytes.1);
        connections.queue_bytes_max = connections.queue_bytes_max.max(two);
    }
    let at = draw.of("at").within(500..=3_000);
    let back = at + draw.of("down").within(2_000..=5_000);
    crash(plan, behind, (at, back), Unsynced::Kept);
    // Three times what the slowest link needs for the most bytes, and a little more.
    plan.liveness_ms = 300_000;
}
