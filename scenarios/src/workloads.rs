//! What `bench` measures of the whole: nodes with their stores, clients and checks.

use crate::cfg::ClientCfg;
use crate::cfg::Plan;
use crate::model::Host;
use crate::scenes;
use meshos_core::config::Retention;
use meshos_sim::cli::{Measure, Workload};
use meshos_sim::machine::NodeIndex;
use meshos_sim::run::run;
use meshos_sim::scenario::Scenario;
use meshos_sim::world::{Setup, World};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

/// Every workload.
pub fn all() -> Vec<Workload> {
    vec![
        Workload::new("node-5", "5 nodes, one busy chain, all checks", || {
            let measures = (0..4).map(|seed| measured(&busy(seed, 5, 60)));
            measures.fold(Measure::default(), sum)
        }),
        Workload::new(
            "seeds-3",
            "swarm seeds of 3 nodes and 10 s with faults and checks",
            || {
                let measures = (0..200).map(|seed| measured(&storm(seed)));
                measures.fold(Measure::default(), sum)
            },
        ),
        Workload::new(
            "idle-1000",
            "5 nodes with 1,000 idle chains, without checks",
            || idle_measured(1_000),
        )
        .yardstick("1 idle chain", 0, || idle_measured(1)),
        Workload::new(
            "idle-10000",
            "5 nodes with 10,000 idle chains, without checks",
            || idle_measured(10_000),
        )
        .yardstick("1 idle chain", 0, || idle_measured(1)),
    ]
}

/// Some clients that append and read without a pause, on a chain that keeps little.
pub fn busy(seed: u64, nodes: u16, seconds: u64) -> Plan {
    let mut plan = scenes::blank(seed, nodes);
    plan.safety_ms = seconds * 1_000;
    plan.cfg.chains[0].retention = Retention {
        entries_max: Some(200),
        ..Retention::default()
    };
    plan.cfg.clients = vec![ClientCfg {
        sessions: 4,
        interval_ms: 20,
        count: u64::MAX >> 1,
        bytes: (64, 64),
        ..ClientCfg::default()
    }];
    plan
}

/// A swarm seed on three nodes.
pub fn storm(seed: u64) -> Plan {
    let swarm = scenes::named("swarm").expect("there is a swarm");
    // Every second seed has three nodes; the next one that has them stands for this one.
    let plans = (0..64).map(|next| swarm.plan(seed * 64 + next));
    let mut three = plans.filter(|plan| plan.nodes == 3);
    three.next().expect("one of 64 seeds has three nodes")
}

/// A cluster of five nodes whose chains nobody uses, after its elections.
pub fn idle(chains: u32) -> World<Host> {
    let mut plan = scenes::blank(1, 5);
    plan.cfg.idle_chains = chains - 1;
    let scene = scenes::plain();
    let configs = (0..5).map(|node| scene.config(&plan, NodeIndex(node)));
    let mut world = World::new(Setup::new(1, configs.collect()));
    let settled = meshos_sim::time::Instant::from_secs(30);
    let ran = world.run_until(settled, &mut ());
    assert!(ran.is_ok(), "nobody checks: {ran:?}");
    world
}

fn idle_measured(chains: u32) -> Measure {
    thread_local! {
        static WORLDS: RefCell<BTreeMap<u32, World<Host>>> = const { RefCell::new(BTreeMap::new()) };
    }
    // Elections are no part of what is measured, so each round goes on where the last one ended.
    WORLDS.with_borrow_mut(|worlds| {
        let world = worlds.entry(chains).or_insert_with(|| idle(chains));
        let before = world.steps();
        let simulated = Duration::from_secs(600);
        let ran = world.run_until(world.now().after(simulated), &mut ());
        assert!(ran.is_ok(), "nobody checks: {ran:?}");
        Measure {
            steps: world.steps() - before,
            simulated,
            seeds: 1,
        }
    })
}

fn measured(plan: &Plan) -> Measure {
    let scene = scenes::named(&plan.scenario).expect("plans name their scenario");
    let report = run(&scene, plan);
    assert!(report.holds(), "{:?}", report.finding);
    Measure {
        steps: report.steps,
        simulated: report.simulated,
        seeds: 1,
    }
}

fn sum(one: Measure, other: Measure) -> Measure {
    Measure {
        steps: one.steps + other.steps,
        simulated: one.simulated + other.simulated,
        seeds: one.seeds + other.seeds,
    }
}
