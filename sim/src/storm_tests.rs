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
