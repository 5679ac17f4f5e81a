//! Stories of a few lines: what a cluster goes through, written down as a plan.

use meshos_scenarios::cfg::Plan;
use meshos_scenarios::cfg::{ClientCfg, FaultKind, Target, TargetedFault};
use meshos_scenarios::checks::obligations::fails_over;
use meshos_scenarios::scenes::{blank, hook, plain};
use meshos_sim::connection::Connections;
use meshos_sim::fault::{Fault, Unsynced};
use meshos_sim::machine::NodeIndex;
use meshos_sim::report::Report;
use meshos_sim::run::{assert_holds, run};
use meshos_sim::time::Instant;

/// Three nodes and a client that appends ten times.
fn story() -> Plan {
    let mut plan = blank(1, 3);
    plan.cfg.clients = vec![ClientCfg {
        count: 10,
        reads_ppm: 0,
        ..ClientCfg::default()
    }];
    plan
}

fn target_fault(plan: &mut Plan, at_ms: u64, kind: FaultKind, for_ms: u64) {
    plan.cfg.targeted.push(TargetedFault {
        at_ms,
        chain: 0,
        at: Target::Leader,
        kind,
        for_ms,
    });
}

#[track_caller]
fn holds(plan: &Plan) -> Report {
    let report = run(&plain(), plan);
    assert_eq!(report.finding, None);
    report
}

#[test]
fn a_calm_cluster_serves_its_client() {
    holds(&story());
}

#[test]
fn a_crashed_leader_is_replaced_and_comes_back() {
    let mut plan = story();
    target_fault(&mut plan, 4_000, FaultKind::Crash, 3_000);
    holds(&plan);
}

/// A leader that is back is no reason to ask for less, whether or not it has opened its store by
/// the look at its boot, and the others are connected to it: they have to elect one at once.
#[test]
fn a_leader_that_is_back_at_once_is_followed_by_another_one_at_once() {
    let mut plan = story();
    plan.disk_us = (1_000, 2_000);
    target_fault(&mut plan, 4_000, FaultKind::Crash, 5);
    for connections in [None, Some(Connections::default())] {
        plan.connections = connections;
        let tally = holds(&plan).obligations[fails_over::ID];
        assert_eq!((tally.armed, tally.met), (1, 1), "{connections:?}");
    }
}

#[test]
fn a_leader_that_hears_nobody_steps_down() {
    let mut plan = story();
    target_fault(&mut plan, 4_000, FaultKind::Deafen, 4_000);
    let report = holds(&plan);
    assert!(report.marks.contains_key("half-deaf leader stepping down"));
}

#[test]
fn disks_that_take_most_of_a_round_of_votes_hold_no_election_off() {
    let mut plan = story();
    plan.disk_us = (600_000, 700_000);
    plan.cfg.clients[0].patience_ms = 4_000;
    holds(&plan);
}

#[test]
fn all_nodes_crash_at_once_with_everything_unsynced_lost() {
    let mut plan = story();
    for node in (0..3).map(NodeIndex) {
        let unsynced = Unsynced::Lost;
        plan.fault(Instant::from_millis(4_500), Fault::Crash { node, unsynced });
        plan.fault(Instant::from_millis(5_000), Fault::Restart { node });
    }
    holds(&plan);
}

#[test]
fn a_wiped_voter_is_not_counted() {
    let mut plan = story();
    let (node, unsynced) = (NodeIndex(2), Unsynced::Lost);
    plan.fault(Instant::from_millis(4_000), Fault::Crash { node, unsynced });
    plan.fault(Instant::from_millis(4_000), Fault::Wipe { node });
    plan.fault(Instant::from_millis(4_500), Fault::Restart { node });
    target_fault(&mut plan, 6_000, FaultKind::Crash, 1_000);
    plan.core = vec![NodeIndex(0), NodeIndex(1)];
    holds(&plan);
}

#[test]
fn without_a_majority_nothing_is_promised() {
    let mut plan = story();
    plan.core = vec![NodeIndex(0)];
    plan.cfg.requests_end = false;
    // The one node that is left leads nothing; the checks ask nothing of it either.
    holds(&plan);
}

#[test]
fn every_scenario_holds_for_a_few_seeds() {
    for scene in meshos_scenarios::scenes::all() {
        assert_holds(&scene, 0..12);
    }
}

#[test]
fn a_hook_is_fresh_for_each_run() {
    let plan = story();
    let (one, other) = (hook(&plan), hook(&plan));
    assert_eq!(format!("{one:?}"), format!("{other:?}"));
}

#[test]
fn clocks_that_drift_for_ever_are_borne_within_the_bound_and_missed_beyond_it() {
    let drifting = |clock_ppm: [i32; 3]| {
        let mut plan = story();
        plan.cfg.quiet = true;
        plan.clock_ppm = clock_ppm.to_vec();
        plan.liveness_ms = 30_000;
        plan
    };
    holds(&drifting([-300_000, 400_000, 400_000]));
    holds(&drifting([-300_000, -300_000, 400_000]));
    // This node hears its peers less often than it takes to suspect them.
    let beyond = drifting([400_000, -900_000, -900_000]);
    let finding = run(&plain(), &beyond).finding;
    assert!(finding.is_some_and(|finding| finding.at > beyond.safety()));
}
