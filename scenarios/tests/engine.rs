//! What the engine owes to whoever writes a plan for MeshOS.

use meshos_scenarios::cfg::Plan;
use meshos_scenarios::scenes;
use meshos_sim::machine::NodeIndex;
use meshos_sim::report::Report;
use meshos_sim::run::run_watched;
use meshos_sim::scenario::Scenario as _;
use meshos_sim::trace::Event;
use meshos_sim::watch::Watch;
use std::path::Path;

fn traced(name: &str) -> Report {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("regressions")
        .join(name);
    let text = std::fs::read_to_string(&file).expect("it is there");
    let plan: Plan = Plan::read(&scenes::plain(), &file, &text).expect("a plan");
    let watch = Watch {
        trace_lines: usize::MAX,
        ..Watch::default()
    };
    run_watched(&scenes::plain(), &plan, &watch)
}

/// When the last node of three booted.
fn boots(report: &Report) -> Vec<u64> {
    let of_last =
        |event: &Event, node| matches!(event, Event::Boot { .. }) && node == Some(NodeIndex(2));
    let lines = report.trace.iter();
    let boots = lines.filter(|line| of_last(&line.event, line.node));
    boots.map(|line| line.at.as_nanos() / 1_000_000).collect()
}

#[test]
fn nodes_tell_role_epoch_and_log_of_each_chain() {
    let plan = scenes::plain().plan(1);
    let watch = Watch {
        until: Some(plan.safety()),
        ..Watch::default()
    };
    let report = run_watched(&scenes::plain(), &plan, &watch);
    assert_eq!(report.finding, None);
    let told: Vec<_> = report.nodes_then.iter().map(|state| &state.told).collect();
    let told: Vec<_> = told.into_iter().flatten().collect();
    assert_eq!(told.len(), usize::from(plan.nodes));
    let chains = plan.cfg.chains.len();
    assert!(
        told.iter().all(|told| told.lines().count() == chains),
        "{told:?}"
    );
    let leads = |told: &&&String| told.contains(": leader, epoch ") && !told.contains("led by n");
    assert_eq!(told.iter().filter(leads).count(), 1, "{told:?}");
    let follows =
        |told: &&&String| told.contains(": follower, epoch ") && told.contains("led by n");
    assert_eq!(
        told.iter().filter(follows).count(),
        told.len() - 1,
        "{told:?}"
    );
}

#[test]
fn a_restart_revives_nobody_that_another_fault_crashed() {
    let report = traced("stale-restart.toml");
    assert_eq!(report.finding, None);
    assert_eq!(boots(&report), [0, 4_500]);
}

#[test]
fn a_restart_revives_nobody_outside_of_the_core() {
    let report = traced("stale-restart-in-liveness.toml");
    assert_eq!(report.finding, None);
    assert_eq!(boots(&report), [0]);
    assert!(
        report.simulated.as_millis() > 10_300,
        "{:?}",
        report.simulated
    );
}

#[test]
fn faults_without_effect_are_named() {
    let report = traced("faults-without-effect.toml");
    let mut kinds: Vec<_> = report
        .inert
        .iter()
        .map(|applied| applied.fault.kind())
        .collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["filter", "flip_at", "mend", "resume", "wipe"]);
    assert_eq!((report.faults, report.faults_inert), (5, 5));
}
