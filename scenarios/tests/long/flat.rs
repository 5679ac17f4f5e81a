//! What may not grow: the cost of idle chains, and the memory of a run over simulated time.

use meshos_core::message::Body;
use meshos_scenarios::cfg::ClientCfg;
use meshos_scenarios::model::Host;
use meshos_scenarios::scenes::{hook, plain};
use meshos_scenarios::workloads::{busy, idle};
use meshos_sim::hook::{Hook, Schedule, Step};
use meshos_sim::machine::{Effect, NodeIndex};
use meshos_sim::scenario::Scenario;
use meshos_sim::time::Instant;
use meshos_sim::violation::Violation;
use meshos_sim::world::{Setup, World};
use std::time::Duration;

/// Counts messages and the rows in them.
#[derive(Default)]
struct Counter {
    messages: u64,
    rows: u64,
}

impl Hook<Host> for Counter {
    fn on_step(&mut self, step: &Step<'_, Host>, _: &mut Schedule<Host>) -> Result<(), Violation> {
        for effect in step.effects {
            if let Effect::Send { message, .. } = effect {
                self.messages += 1;
                if let Body::Heartbeat(heartbeat) = &message.message.body {
                    self.rows += heartbeat.rows.len() as u64;
                }
            }
        }
        Ok(())
    }
}

#[test]
fn a_thousand_idle_chains_cost_as_much_as_one() {
    let cost = |chains| {
        let mut world = idle(chains);
        let (before, mut counter) = (world.steps(), Counter::default());
        let end = world.now().after(Duration::from_secs(60));
        world.run_until(end, &mut counter).expect("nobody checks");
        (world.steps() - before, counter)
    };
    let ((one_steps, one), (steps, many)) = (cost(1), cost(1_000));
    assert!(
        steps * 10 <= one_steps * 12,
        "{steps} steps beside {one_steps}"
    );
    let (messages, one_messages) = (many.messages, one.messages);
    assert!(
        messages * 10 <= one_messages * 12,
        "{messages} messages beside {one_messages}"
    );
    assert_eq!(many.rows, 0, "an idle chain adds no bytes to a heartbeat");
}

#[test]
fn memory_is_flat_over_half_a_day() {
    let mut plan = busy(3, 3, 12 * 3_600);
    plan.cfg.clients = vec![ClientCfg {
        interval_ms: 10_000,
        count: u64::MAX >> 1,
        ..ClientCfg::default()
    }];
    // A log goes from the disk in whole segments.
    plan.cfg.limits.segment_bytes_max = 65_536;
    let scene = plain();
    let configs = (0..3).map(|node| scene.config(&plan, NodeIndex(node)));
    let mut world = World::new(Setup::new(3, configs.collect()));
    let mut hook = hook(&plan);
    let mut at = |hours: u64| {
        let ran = world.run_until(Instant::from_secs(hours * 3_600), &mut hook);
        ran.expect("all properties hold");
        let footprint = world.footprint();
        let capacity = footprint.events_capacity + footprint.stored_capacity + footprint.tables;
        (
            capacity as u64,
            footprint.disk_bytes,
            hook.1.0.footprint() as u64,
        )
    };
    let (early, late) = (at(2), at(12));
    assert!(
        late.0 <= early.0 * 3 / 2,
        "tables of the world: {early:?}, {late:?}"
    );
    assert!(
        late.1 <= early.1 * 3 / 2 + 10_000,
        "disks: {early:?}, {late:?}"
    );
    assert!(
        late.2 <= early.2 * 3 / 2 + 1_000,
        "checks: {early:?}, {late:?}"
    );
}
