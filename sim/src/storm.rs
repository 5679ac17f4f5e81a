//! Faults for a seed: the swarm turned into a list.
//!
//! Each family of faults that a seed switches on contributes a few episodes, and each episode
//! ends what it began within the safety phase. Draws are keyed by family and episode, so a family
//! that a generator adds leaves the episodes of all the others where they were.

use crate::fault::{Fault, Unsynced, Weather};
use crate::machine::NodeIndex;
use crate::plan::{FaultAt, Plan};
use crate::swarm::{Draw, Swarm};
use crate::time::Instant;

/// Faults that a swarm switches on and off together.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Nodes crash and restart; what they had not synced meets a drawn fate.
    Crash,
    /// Nodes crash in the middle of a write and restart.
    CrashAtPersist,
    /// Nodes stop running for a while without noticing.
    Pause,
    /// The cluster falls into two halves.
    Partition,
    /// One direction of one link is lost.
    Cut,
    /// Messages of one direction wait and then arrive at once.
    Clog,
    /// Messages are lost, duplicated, reordered and slow.
    Weather,
    /// Wall clocks step, clocks drift and leap.
    Clock,
    /// Clocks stand still.
    ClockStop,
    /// Deadlines are noticed late.
    LateWake,
    /// Disks are slow.
    SlowDisk,
    /// Disks are full for a while.
    FullDisk,
    /// Syncs fail.
    SyncError,
    /// A crashed node loses its disk.
    Wipe,
    /// Bits of synced bytes flip.
    Flip,
}

impl Family {
    /// What a network does.
    pub const NETWORK: &[Self] = &[Self::Partition, Self::Cut, Self::Clog, Self::Weather];
    /// What happens to processes that trust their disks.
    pub const PROCESS: &[Self] = &[Self::Crash, Self::CrashAtPersist, Self::Pause];
    /// What clocks do.
    pub const CLOCK: &[Self] = &[Self::Clock, Self::ClockStop, Self::LateWake];
    /// What disks do, short of losing what they promised to keep.
    pub const DISK: &[Self] = &[Self::SlowDisk, Self::FullDisk, Self::SyncError];

    const fn name(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::CrashAtPersist => "crash-at-persist",
            Self::Pause => "pause",
            Self::Partition => "partition",
            Self::Cut => "cut",
            Self::Clog => "clog",
            Self::Weather => "weather",
            Self::Clock => "clock",
            Self::ClockStop => "clock-stop",
            Self::LateWake => "late-wake",
            Self::SlowDisk => "slow-disk",
            Self::FullDisk => "full-disk",
            Self::SyncError => "sync-error",
            Self::Wipe => "wipe",
            Self::Flip => "flip",
        }
    }

    /// Adds one episode between two times.
    fn episode(
        self,
        draw: Draw,
        (nodes, touched): (u16, &[NodeIndex]),
        (start, end): (Instant, Instant),
        out: &mut Faults,
    ) {
        let node = *draw.of("node").pick(touched);
        let peer = other(draw.of("peer"), node, nodes);
        let unsynced = Unsynced::Drawn;
        match self {
            Self::Crash => {
                out.add(start, Fault::Crash { node, unsynced });
                out.add(end, Fault::Restart { node });
            }
            Self::CrashAtPersist => {
                let op = draw.of("op").within(1..=40);
                let restart_after_ms = Some(draw.of("down").within(10..=2_000));
                out.add(
                    start,
                    Fault::CrashAtPersist {
                        node,
                        op,
                        unsynced,
                        restart_after_ms,
                    },
                );
            }
            Self::Pause => {
                out.add(start, Fault::Pause { node });
                out.add(end, Fault::Resume { node });
            }
            Self::Partition => {
                out.add(
                    start,
                    Fault::Partition {
                        groups: halves(draw, nodes, touched),
                    },
                );
                out.add(
                    end,
                    Fault::Partition {
                        groups: vec![(0..nodes).map(NodeIndex).collect()],
                    },
                );
            }
            Self::Cut => {
                out.add(
                    start,
                    Fault::Cut {
                        from: node,
                        to: peer,
                    },
                );
                out.add(
                    end,
                    Fault::Mend {
                        from: node,
                        to: peer,
                    },
                );
            }
            Self::Clog => {
                out.add(
                    start,
                    Fault::Clog {
                        from: node,
                        to: peer,
                    },
                );
                out.add(
                    end,
                    Fault::Unclog {
                        from: node,
                        to: peer,
                    },
                );
            }
            Self::Weather => {
                let of = |&node: &NodeIndex| [(Some(node), None), (None, Some(node))];
                let links: Vec<_> = match touched.len() == usize::from(nodes) {
                    true => vec![(None, None)],
                    false => touched.iter().flat_map(of).collect(),
                };
                for (at, weather) in [(start, Some(weather(draw))), (end, None)] {
                    for &(from, to) in &links {
                        out.add(at, Fault::Weather { from, to, weather });
                    }
                }
            }
            Self::Clock => out.add(start, clock(draw, node)),
            Self::ClockStop => {
                out.add(start, Fault::ClockStop { node });
                out.add(end, Fault::ClockStart { node });
            }
            Self::LateWake => {
                let by_ms = draw.of("late").within(1..=3_000);
                out.add(start, Fault::LateWake { node, by_ms });
                out.add(end, Fault::LateWake { node, by_ms: 0 });
            }
            Self::SlowDisk => {
                let us_max = draw.of("slow").within(5_000..=800_000);
                out.add(
                    start,
                    Fault::DiskLatency {
                        node,
                        us_min: us_max / 10,
                        us_max,
                    },
                );
                out.add(
                    end,
                    Fault::DiskLatency {
                        node,
                        us_min: 100,
                        us_max: 2_000,
                    },
                );
            }
            Self::FullDisk => {
                let room = draw.of("room");
                if room.of("none").chance(500_000) {
                    out.add(start, Fault::DiskFull { node, on: true });
                    out.add(end, Fault::DiskFull { node, on: false });
                } else {
                    // A lack that only a sync finds is a failed sync, which is another family.
                    let some = |bytes| Fault::DiskRoom {
                        node,
                        bytes,
                        at_sync: false,
                    };
                    out.add(start, some(Some(room.of("bytes").below(4_096))));
                    out.add(end, some(None));
                }
            }
            Self::SyncError => out.add(start, Fault::DiskSyncError { node }),
            Self::Wipe => {
                out.add(start, Fault::Crash { node, unsynced });
                out.add(start, Fault::Wipe { node });
                out.add(end, Fault::Restart { node });
            }
            Self::Flip => {
                let bits = draw.of("bits").within(1..=3) as u32;
                out.add(start, Fault::Flip { node, bits });
            }
        }
    }
}

/// Collects faults.
#[derive(Default)]
struct Faults(Vec<FaultAt>);

impl Faults {
    fn add(&mut self, at: Instant, fault: Fault) {
        self.0.push(FaultAt { at, fault });
    }
}

impl<Op, Cfg> Plan<Op, Cfg> {
    /// Adds the faults that this plan's seed draws of `families`, in the order of their times.
    ///
    /// Half of the families are off in most seeds, and all of them in some; see [`Swarm`].
    pub fn storm(&mut self, families: &[Family]) -> &mut Self {
        let all: Vec<_> = (0..self.nodes).map(NodeIndex).collect();
        self.storm_at(families, &all)
    }

    /// The same, but only `nodes` are touched: they crash, their clocks and disks fail, they are
    /// cut off from others, and weather is on the links from and to them.
    ///
    /// # Panics
    /// When one of `nodes` does not exist.
    pub fn storm_at(&mut self, families: &[Family], nodes: &[NodeIndex]) -> &mut Self {
        assert!(
            nodes.iter().all(|node| node.0 < self.nodes),
            "a storm touches nodes that exist"
        );
        let swarm = Swarm::new(self.seed);
        let mut faults = Faults::default();
        // A network has nothing to lose with one node, and a swarm of episodes needs time.
        let on = |family: &&Family| swarm.on(family.name()) && self.safety_ms >= 100;
        for family in families.iter().filter(on).filter(|_| !nodes.is_empty()) {
            let draw = swarm.draw(family.name());
            for index in 0..draw.of("episodes").within(1..=4) {
                let draw = draw.of("episode").nth(index);
                let span = span(draw, self.safety_ms);
                family.episode(draw, (self.nodes, nodes), span, &mut faults);
            }
        }
        self.faults.append(&mut faults.0);
        // Stable: of one instant, the order above stays.
        self.faults.sort_by_key(|fault| fault.at);
        self
    }
}

/// A start and an end within the safety phase; short spans are as likely as long ones.
fn span(draw: Draw, safety_ms: u64) -> (Instant, Instant) {
    let safety_us = safety_ms * 1_000;
    let start = draw.of("start").below(safety_us * 9 / 10);
    let most = (safety_us - start).min(safety_us / 2).max(2);
    let scale = draw.of("scale").below(u64::from(most.ilog2()) + 1);
    let length = draw.of("length").within(1..=(most >> scale).max(1));
    (
        Instant::from_micros(start),
        Instant::from_micros(start + length),
    )
}

fn other(draw: Draw, node: NodeIndex, nodes: u16) -> NodeIndex {
    match nodes {
        0 | 1 => node,
        _ => {
            let step = 1 + draw.below(u64::from(nodes) - 1) as u16;
            NodeIndex(((u32::from(node.0) + u32::from(step)) % u32::from(nodes)) as u16)
        }
    }
}

/// Two groups, none of them empty where there are two nodes; the first one is of `touched` only.
fn halves(draw: Draw, nodes: u16, touched: &[NodeIndex]) -> Vec<Vec<NodeIndex>> {
    let order = draw.of("order").shuffled(touched.iter().copied());
    let most = touched.len().min(usize::from(nodes).max(2) - 1);
    let first = draw.of("half").within(1..=most as u64) as usize;
    let one = order[..first].to_vec();
    let two = (0..nodes).map(NodeIndex).filter(|node| !one.contains(node));
    let two = two.collect();
    let mut groups = vec![one, two];
    groups.iter_mut().for_each(|group| group.sort_unstable());
    groups
}

fn weather(draw: Draw) -> Weather {
    let part = |name: &str, most: u64| match draw.of(name).of("on").chance(600_000) {
        true => draw.of(name).below(most) as u32,
        false => 0,
    };
    let latency_us_min = draw.of("latency").within(100..=20_000);
    Weather {
        latency_us_min,
        latency_us_max: latency_us_min + draw.of("jitter").below(100_000),
        loss_ppm: part("loss", 300_000),
        duplicate_ppm: part("duplicate", 200_000),
        reorder_ppm: part("reorder", 300_000),
        corrupt_ppm: part("corrupt", 30_000),
        bytes_per_ms: 0,
    }
}

fn clock(draw: Draw, node: NodeIndex) -> Fault {
    let signed = |most: u64| draw.of("by").within(0..=2 * most) as i64 - most as i64;
    match draw.of("kind").below(4) {
        0 => Fault::ClockOffset {
            node,
            ms: signed(3_600_000),
        },
        1 => Fault::ClockStep {
            node,
            ms: signed(60_000),
        },
        2 => Fault::ClockJump {
            node,
            ms: draw.of("by").within(1..=30_000),
        },
        _ => Fault::ClockRate {
            node,
            ppm: signed(300_000) as i32,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Nothing;

    const ALL: [&[Family]; 5] = [
        Family::NETWORK,
        Family::PROCESS,
        Family::CLOCK,
        Family::DISK,
        &[Family::Wipe, Family::Flip],
    ];

    fn storm(seed: u64, nodes: u16) -> Vec<FaultAt> {
        let mut plan: Plan<(), Nothing> = Plan::new("any", seed, nodes, Nothing {});
        plan.storm(&ALL.concat());
        plan.faults
    }

    #[test]
    fn every_fault_is_within_the_safety_phase_and_names_nodes_that_exist() {
        for seed in 0..300 {
            for fault in storm(seed, 1 + (seed % 5) as u16) {
                assert!(fault.at <= Instant::from_secs(10), "{fault:?}");
                let mut nodes = fault.fault.nodes();
                assert!(nodes.all(|node| u64::from(node.0) <= seed % 5), "{fault:?}");
            }
        }
    }

    #[test]
    fn a_storm_leaves_the_nodes_alone_that_it_may_not_touch() {
        let touched = [NodeIndex(1), NodeIndex(3)];
        let mut kinds = std::collections::BTreeSet::new();
        for seed in 0..100 {
            let mut plan: Plan<(), Nothing> = Plan::new("any", seed, 5, Nothing {});
            plan.storm_at(&ALL.concat(), &touched);
            for FaultAt { fault, .. } in plan.faults {
                kinds.insert(fault.kind());
                let harmed: Vec<_> = if let Fault::Partition { groups } = &fault {
                    if groups.len() == 1 {
                        continue;
                    }
                    groups[0].clone()
                } else {
                    // The other end of a cut or a clog is any node.
                    fault.nodes().take(1).collect()
                };
                assert!(!harmed.is_empty(), "{fault:?}");
                assert!(
                    harmed.iter().all(|node| touched.contains(node)),
                    "{fault:?}"
                );
            }
        }
        assert!(kinds.len() >= 22, "{kinds:?}");
    }

    #[test]
    fn every_kind_of_fault_occurs() {
        let faults: Vec<_> = (0..100).flat_map(|seed| storm(seed, 3)).collect();
        let kinds: std::collections::BTreeSet<_> =
            faults.iter().map(|fault| fault.fault.kind()).collect();
        assert!(kinds.len() >= 22, "{kinds:?}");
        assert!((0..100).any(|seed| storm(seed, 3).is_empty()));
    }

    #[test]
    fn another_family_leaves_the_others_alone() {
        let with = |families: &[Family]| {
            let mut plan: Plan<(), Nothing> = Plan::new("any", 12, 3, Nothing {});
            plan.storm(families);
            plan.faults
        };
        for seed_family in [Family::Crash, Family::Weather, Family::Clock] {
            let alone = with(&[seed_family]);
            let together = with(&[Family::Pause, seed_family, Family::Partition]);
            assert!(alone.iter().all(|fault| together.contains(fault)));
        }
    }
}
