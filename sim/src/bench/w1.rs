//! Workload W1 in the engine, with digest, fault model and a check after every step.

use super::yardstick::bare_w1;
use super::{Work, Workload};
use crate::fault::Fault;
use crate::hook::{Hook, Schedule, Step};
use crate::machine::{Machine, NodeIndex};
use crate::machines::heartbeat::Heart;
use crate::queue::QueueKind;
use crate::time::Instant;
use crate::violation::Violation;
use crate::world::{Setup, World};
use core::hint::black_box;

/// The two sizes that the engine is judged by.
pub fn workloads() -> Vec<Workload> {
    vec![workload(5, 600), workload(50, 60)]
}

/// `nodes` nodes for `seconds` simulated seconds, beside the bare loop.
pub fn workload(nodes: u16, seconds: u64) -> Workload {
    let work = move |events| Work {
        events,
        simulated_ms: seconds * 1_000,
        seeds: 1,
    };
    Workload {
        name: format!("W1, {nodes} nodes"),
        run: Box::new(move || {
            let world = run(black_box(7), nodes, seconds, QueueKind::Auto);
            black_box(world.digest());
            work(world.steps())
        }),
        yardstick: Some(Box::new(move || {
            let done = bare_w1(black_box(7), nodes, seconds);
            black_box(done.misses);
            work(done.events)
        })),
    }
}

/// Runs W1 to its end.
///
/// # Panics
/// When a node's clock goes back, which is what the check looks for.
pub fn run(seed: u64, nodes: u16, seconds: u64, queue: QueueKind) -> World<Heart> {
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
