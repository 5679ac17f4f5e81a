//! Workload W1 in the engine, with digest, fault model and a check after every step.

use super::workload::{Measure, Workload};
use super::yardstick::bare_w1;
use crate::fault::Fault;
use crate::hook::{Hook, Schedule, Step};
use crate::machine::Machine;
use crate::machines::heartbeat::Heart;
use crate::node::NodeIndex;
use crate::queue::QueueKind;
use crate::time::Instant;
use crate::violation::Violation;
use crate::world::{Setup, World};
use core::{hint::black_box, time::Duration};

/// The two sizes that the engine is judged by.
pub(crate) fn workloads() -> Vec<Workload> {
    let of = |name, about, (nodes, seconds), floor_permille| {
        Workload::new(name, about, move || engine(nodes, seconds)).yardstick(
            "bare loop",
            floor_permille,
            move || bare(nodes, seconds),
        )
    };
    vec![
        of("w1-5", "heartbeats between 5 nodes", (5, 600), 500),
        of("w1-50", "heartbeats between 50 nodes", (50, 60), 400),
    ]
}

/// W1 in the engine: `nodes` nodes for `seconds` simulated seconds.
fn engine(nodes: u16, seconds: u64) -> Measure {
    repeated(nodes, seconds, |seed| {
        let world = run(seed, nodes, seconds, QueueKind::Auto);
        black_box(world.digest());
        world.steps()
    })
}

/// The same work in the bare loop.
fn bare(nodes: u16, seconds: u64) -> Measure {
    repeated(nodes, seconds, |seed| {
        let done = bare_w1(seed, nodes, seconds);
        black_box(done.misses);
        done.events
    })
}

/// Several runs, so that one measurement takes long enough to be one.
fn repeated(nodes: u16, seconds: u64, run: impl Fn(u64) -> u64) -> Measure {
    let runs = if nodes < 10 { 40 } else { 8 };
    Measure {
        steps: (0..runs).map(|seed| run(black_box(seed))).sum(),
        simulated: Duration::from_secs(seconds * runs),
        seeds: runs,
    }
}

/// Runs W1 to its end.
///
/// # Panics
/// When a node's clock goes back, which is what the check looks for.
pub(crate) fn run(seed: u64, nodes: u16, seconds: u64, queue: QueueKind) -> World<Heart> {
    let mut setup = Setup::new(seed, vec![(); usize::from(nodes)]);
    setup.queue = queue;
    let mut world = World::new(setup);
    world.schedule_fault(Instant::from_secs(1), Fault::Heal {});
    let mut check = ClockForwards {
        last: vec![Instant::ZERO; usize::from(nodes)],
    };
    let ran = world.run_until(Instant::from_secs(seconds), &mut check);
    if let Err(violation) = ran {
        panic!("{violation}");
    }
    world
}

/// The check: what a node's monotonic clock shows never goes back.
#[derive(Debug)]
struct ClockForwards {
    last: Vec<Instant>,
}

impl<M: Machine> Hook<M> for ClockForwards {
    #[inline]
    fn on_step(&mut self, step: &Step<'_, M>, _: &mut Schedule<M>) -> Result<(), Violation> {
        let last = &mut self.last[step.node.at()];
        if step.now.instant < *last {
            return Err(went_back(step.node));
        }
        *last = step.now.instant;
        Ok(())
    }
}

#[cold]
fn went_back(node: NodeIndex) -> Violation {
    Violation::new("clock-forwards", "a monotonic clock went back").at_node(node)
}
