//! Faults for a seed: the swarm turned into a list.
//!
//! Each family of faults that a seed switches on contributes a few episodes, and each episode
//! ends what it began within the safety phase. Draws are keyed by family and episode, so a family
//! that a generator adds leaves the episodes of all the others where they were.

use crate::fault::{Fault, Unsynced};
use crate::node::NodeIndex;
use crate::plan::{FaultAt, Plan};
use crate::swarm::{Draw, Swarm};
use crate::time::Instant;
use crate::weather::Weather;

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
    /// What happens to processes that keep nothing on a disk, where a crash in the middle of a write
    /// never comes.
    pub const DISKLESS: &[Self] = &[Self::Crash, Self::Pause];
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

    /// What an episode of this family begins with, and what ends it.
    fn episode(self, draw: Draw, nodes: u16, touched: &[NodeIndex]) -> (Vec<Fault>, Vec<Fault>) {
        let node = *draw.of("node").pick(touched);
        let (from, to) = (node, other(draw.of("peer"), node, nodes));
        let unsynced = Unsynced::Drawn;
        let span = |begin, end| (vec![begin], vec![end]);
        match self {
            Self::Crash => span(Fault::Crash { node, unsynced }, Fault::Restart { node }),
            Self::CrashAtPersist => (vec![crash_at_persist(draw, node)], Vec::new()),
            Self::Pause => span(Fault::Pause { node }, Fault::Resume { node }),
            Self::Partition => {
                let parted = |groups| Fault::Partition { groups };
                let whole = (0..nodes).map(NodeIndex).collect();
                span(parted(halves(draw, nodes, touched)), parted(vec![whole]))
            }
            Self::Cut => span(Fault::Cut { from, to }, Fault::Mend { from, to }),
            Self::Clog => span(Fault::Clog { from, to }, Fault::Unclog { from, to }),
            Self::Weather => {
                let weather = Some(weather(draw));
                let links = links(nodes, touched);
                let all = |weather| {
                    let fault = move |&(from, to): &_| Fault::Weather { from, to, weather };
                    links.iter().map(fault).collect()
                };
                (all(weather), all(None))
            }
            Self::Clock => (vec![clock(draw, node)], Vec::new()),
            Self::ClockStop => span(Fault::ClockStop { node }, Fault::ClockStart { node }),
            Self::LateWake => {
                let late = |by_ms| Fault::LateWake { node, by_ms };
                span(late(draw.of("late").within(1..=3_000)), late(0))
            }
            Self::SlowDisk => {
                let slow = |us_min, us_max| Fault::DiskLatency {
                    node,
                    us_min,
                    us_max,
                };
                let us_max = draw.of("slow").within(5_000..=800_000);
                span(slow(us_max / 10, us_max), slow(100, 2_000))
            }
            Self::FullDisk => full_disk(draw.of("room"), node),
            Self::SyncError => (vec![Fault::DiskSyncError { node }], Vec::new()),
            Self::Wipe => {
                let crash = Fault::Crash { node, unsynced };
                let begin = vec![crash, Fault::Wipe { node }];
                (begin, vec![Fault::Restart { node }])
            }
            Self::Flip => {
                let bits = draw.of("bits").within(1..=3) as u32;
                (vec![Fault::Flip { node, bits }], Vec::new())
            }
        }
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
        // A network has nothing to lose with one node, and a swarm of episodes needs time.
        let on = |family: &&Family| swarm.on(family.name()) && self.safety_ms >= 100;
        for family in families.iter().filter(on).filter(|_| !nodes.is_empty()) {
            let draw = swarm.draw(family.name());
            for index in 0..draw.of("episodes").within(1..=4) {
                let draw = draw.of("episode").nth(index);
                let (start, end) = span(draw, self.safety_ms);
                let (begins, ends) = family.episode(draw, self.nodes, nodes);
                let at = |at| move |fault| FaultAt { at, fault };
                self.faults.extend(begins.into_iter().map(at(start)));
                self.faults.extend(ends.into_iter().map(at(end)));
            }
        }
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

fn crash_at_persist(draw: Draw, node: NodeIndex) -> Fault {
    Fault::CrashAtPersist {
        node,
        op: draw.of("op").within(1..=40),
        unsynced: Unsynced::Drawn,
        restart_after_ms: Some(draw.of("down").within(10..=2_000)),
    }
}

/// No room at all, or little; a lack that only a sync finds is a failed sync, which is another
/// family.
fn full_disk(draw: Draw, node: NodeIndex) -> (Vec<Fault>, Vec<Fault>) {
    if draw.of("none").chance(500_000) {
        let full = |on| vec![Fault::DiskFull { node, on }];
        return (full(true), full(false));
    }
    let room = |bytes| {
        vec![Fault::DiskRoom {
            node,
            bytes,
            at_sync: false,
        }]
    };
    (room(Some(draw.of("bytes").below(4_096))), room(None))
}

/// The senders and receivers whose weather changes so that only `touched` nodes notice.
fn links(nodes: u16, touched: &[NodeIndex]) -> Vec<(Option<NodeIndex>, Option<NodeIndex>)> {
    match touched.len() == usize::from(nodes) {
        true => vec![(None, None)],
        false => {
            let of = |&node: &NodeIndex| [(Some(node), None), (None, Some(node))];
            touched.iter().flat_map(of).collect()
        }
    }
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
        message_bytes_max: 0,
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
#[path = "storm_tests.rs"]
mod tests;
