//! Flips stay within the budget: never all copies of one committed entry.

use meshos_core::id::Seq;
use meshos_scenarios::cfg::Plan;
use meshos_scenarios::cfg::{Cfg, ChainCfg, ClientCfg, Flips};
use meshos_scenarios::flips::Flipping;
use meshos_scenarios::model::Host;
use meshos_scenarios::scenes::{self, plain};
use meshos_sim::fault::Fault;
use meshos_sim::hook::Hook;
use meshos_sim::machine::NodeIndex;
use meshos_sim::run::run;
use meshos_sim::scenario::Scenario;
use meshos_sim::time::Instant;
use meshos_sim::world::{Setup, World};
use std::collections::BTreeMap;

fn plan(seed: u64) -> Plan {
    let mut plan = scenes::blank(seed, 3);
    plan.cfg.flips = Flips::Striped;
    plan.cfg.clients.push(ClientCfg {
        start_ms: 3_000,
        interval_ms: 50,
        count: 60,
        ..ClientCfg::default()
    });
    plan
}

/// The nodes on which the copy of each entry may flip.
fn striped(plan: &Plan, world: &World<Host>) -> BTreeMap<u64, Vec<NodeIndex>> {
    let mut flipping = Flipping::new(&plan.cfg, plan.seed, plan.nodes);
    let mut places: BTreeMap<u64, Vec<NodeIndex>> = BTreeMap::new();
    let view = world.view();
    for node in view.nodes() {
        let ranges = flipping.flippable(view, node, view.disk(node));
        let ranges = ranges.expect("stripes name their bytes");
        let host = view.node(node).expect("it is up");
        let (layout, running) = (
            host.layout().expect("it runs"),
            host.node().expect("it runs"),
        );
        for chain in running.chains() {
            let log = chain.log();
            for seq in log.floor().get()..log.end().get() {
                let located = layout.locate(chain.id(), chain.generation(), Seq::new(seq));
                let (copy, _) = located.expect("what is retained is on disk");
                let flips = |range: &&meshos_sim::hook::Flippable| {
                    range.file == copy.file
                        && range.bytes.start < copy.range.end
                        && copy.range.start < range.bytes.end
                };
                if ranges.iter().any(|range| flips(&range)) {
                    places.entry(seq).or_default().push(node);
                }
            }
        }
    }
    places
}

#[test]
fn striped_flips_hit_one_copy_of_an_entry() {
    for seed in 0..5 {
        let plan = plan(seed);
        let configs = (0..3).map(|node| plain().config(&plan, NodeIndex(node)));
        let mut world = World::new(Setup::new(seed, configs.collect()));
        let mut hook = scenes::hook(&plan);
        let ran = world.run_until(Instant::from_secs(9), &mut hook);
        assert!(ran.is_ok(), "{ran:?}");
        let places = striped(&plan, &world);
        assert!(places.len() > 20, "{places:?}");
        for (seq, nodes) in &places {
            assert_eq!(nodes.len(), 1, "entry {seq} flips on {nodes:?}");
        }
        let hit = |node: &NodeIndex| places.values().flatten().any(|other| other == node);
        assert!((0..3).all(|node| hit(&NodeIndex(node))), "{places:?}");
    }
}

#[test]
fn the_only_copy_of_an_entry_does_not_flip() {
    let node = NodeIndex(0);
    let mut plan = plan(3);
    plan.cfg = Cfg {
        chains: vec![ChainCfg {
            members: vec![node],
            ..ChainCfg::default()
        }],
        ..plan.cfg
    };
    for at in (4_000..9_000).step_by(500) {
        plan.fault(Instant::from_millis(at), Fault::Flip { node, bits: 3 });
    }
    let unsynced = meshos_sim::fault::Unsynced::Lost;
    plan.fault(Instant::from_millis(9_500), Fault::Crash { node, unsynced });
    assert_eq!(run(&plain(), &plan).finding, None);
}
