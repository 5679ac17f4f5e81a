use super::*;
use crate::report::Finding;
use std::sync::{Arc, Mutex};

/// Plays runs: a plan breaks a property where `breaks` says so.
struct Played<F> {
    breaks: F,
    ran: Mutex<Vec<Table>>,
}

impl<F: Fn(&Table) -> Option<Finding> + Sync> Trial for Played<F> {
    fn run(&self, plan: &Table, _: Option<u64>) -> Option<Report> {
        self.ran.lock().expect("no panic").push(plan.clone());
        Some(Report {
            finding: (self.breaks)(plan),
            ..Report::default()
        })
    }

    fn simpler(&self, _: &Table) -> Vec<Table> {
        Vec::new()
    }
}

fn plan(ops: u64, faults: u64) -> Table {
    let mut text = "seed = 9\nnodes = 5\nsafety_ms = 10000\nliveness_ms = 5000\n\
        weather = { loss_ppm = 7 }\ncfg = { deep = { bound = 77, other = 5 }, on = true }\nops = [\n"
        .to_owned();
    for at in 0..ops {
        text += &format!(
            "{{ at_ms = {}, node = {}, op = {{ bytes = 64 }} }},\n",
            at * 31,
            at % 5
        );
    }
    text += "]\nfaults = [\n";
    for at in 0..faults {
        text += &format!(
            "{{ at_us = {}, kind = \"pause\", node = {} }},\n",
            at * 98_765,
            at % 5
        );
    }
    (text + "]\n").parse().expect("it is TOML")
}

fn items(plan: &Table, list: &str) -> Vec<Table> {
    let items = plan.get(list).and_then(|list| list.as_array());
    let items = items.into_iter().flatten();
    items.filter_map(|item| item.as_table().cloned()).collect()
}

fn broken(property: &str) -> Option<Finding> {
    Some(Finding::new(property, "it broke"))
}

fn shrunk(jobs: usize, start: Table, breaks: impl Fn(&Table) -> Option<Finding> + Sync) -> Shrunk {
    let trial = Played {
        breaks,
        ran: Mutex::default(),
    };
    let report = trial.run(&start, None).expect("it runs");
    let goal = Goal::new(report.finding.as_ref().expect("it breaks"), false).expect("it has runs");
    let bounds = Bounds::new(jobs, None, Arc::default());
    shrink(&trial, &goal, &bounds, start, report, &mut |_| {})
}

/// Breaks where one node is paused twice around an operation there.
fn paused_around_an_operation(plan: &Table) -> Option<Finding> {
    let node = |item: &Table| item.get("node").and_then(Value::as_integer);
    let (ops, faults) = (items(plan, "ops"), items(plan, "faults"));
    let nodes = number_of(plan);
    let is_broken = (0..nodes).any(|wanted| {
        let of = |items: &[Table]| {
            items
                .iter()
                .filter(|item| node(item) == Some(wanted))
                .count()
        };
        of(&ops) > 0 && of(&faults) > 1
    });
    is_broken.then(|| broken("paused")).flatten()
}

fn number_of(plan: &Table) -> i64 {
    plan.get("nodes").and_then(Value::as_integer).unwrap_or(0)
}

#[test]
fn what_does_not_matter_goes() {
    let shrunk = shrunk(2, plan(300, 50), paused_around_an_operation);
    assert!(shrunk.is_done);
    let size = Size::of(&shrunk.plan);
    assert_eq!((size.ops, size.faults, size.nodes, size.cfg), (1, 2, 1, 0));
    assert!(!shrunk.plan.contains_key("weather"), "{}", shrunk.plan);
    assert!(shrunk.runs < 600, "{} plans were tried", shrunk.runs);
    let at = |item: &Table| item.get("at_ms").and_then(Value::as_integer);
    let times = items(&shrunk.plan, "faults");
    assert!(
        times
            .iter()
            .all(|fault| at(fault).is_some_and(|ms| ms % 1_000 == 0)),
        "{times:?}"
    );
}

#[test]
fn the_result_does_not_depend_on_the_number_of_threads() {
    let alone = shrunk(1, plan(40, 9), paused_around_an_operation);
    let together = shrunk(4, plan(40, 9), paused_around_an_operation);
    assert_eq!(alone.plan.to_string(), together.plan.to_string());
}

#[test]
fn another_property_is_no_smaller_plan() {
    let shrunk = shrunk(2, plan(20, 4), |plan| match items(plan, "faults").len() {
        4.. => broken("wanted"),
        _ => broken("other"),
    });
    assert_eq!(Size::of(&shrunk.plan).faults, 4);
    assert_eq!(Size::of(&shrunk.plan).ops, 0);
}

#[test]
fn numbers_come_down_and_defaults_are_left_out() {
    let shrunk = shrunk(1, plan(1, 1), |plan| {
        let deep = plan.get("cfg")?.get("deep")?;
        (deep.get("bound")?.as_integer()? > 40).then(|| broken("wanted"))?
    });
    let cfg = shrunk.plan.get("cfg").expect("it matters").to_string();
    assert_eq!(cfg, "{ deep = { bound = 70 } }");
}

#[test]
fn another_seed_may_keep_what_was_a_coincidence() {
    let seed = |plan: &Table| plan.get("seed").and_then(Value::as_integer);
    let shrunk = shrunk(1, plan(6, 0), |plan| {
        let ops = items(plan, "ops").len();
        let is_broken = match seed(plan) {
            Some(9) => ops == 6,
            Some(2) => ops > 0,
            _ => false,
        };
        is_broken.then(|| broken("wanted")).flatten()
    });
    assert_eq!(Size::of(&shrunk.plan).ops, 1);
    assert_eq!(seed(&shrunk.plan), Some(2));
}

#[test]
fn a_cluster_that_does_not_converge_keeps_its_time_and_its_nodes() {
    let shrunk = shrunk(1, plan(5, 5), |_| {
        Some(Finding {
            found: crate::report::Found::Converging,
            ..Finding::new("level", "it waits")
        })
    });
    let kept = |key: &str| shrunk.plan.get(key).and_then(Value::as_integer);
    assert_eq!((kept("liveness_ms"), kept("nodes")), (Some(5_000), Some(5)));
    assert_eq!(Size::of(&shrunk.plan).faults, 0);
}

#[test]
fn a_budget_that_is_spent_says_so() {
    let start = plan(300, 50);
    let trial = Played {
        breaks: paused_around_an_operation,
        ran: Mutex::default(),
    };
    let report = trial.run(&start, None).expect("it runs");
    let goal = Goal::new(report.finding.as_ref().expect("it breaks"), false).expect("it has runs");
    let bounds = Bounds::new(1, None, Arc::default());
    let mut left = 5;
    let shrunk = shrink(&trial, &goal, &bounds, start, report, &mut |_| {
        left -= 1;
        bounds.stop.store(left <= 0, Ordering::Relaxed);
    });
    assert!(!shrunk.is_done);
    assert!(
        paused_around_an_operation(&shrunk.plan).is_some(),
        "what was kept still breaks it"
    );
}

#[test]
fn what_is_found_in_the_liveness_phase_keeps_its_length() {
    let found_at = |seconds: u64| {
        shrunk(1, plan(5, 5), move |_| {
            Some(Finding {
                at: crate::time::Instant::from_millis(seconds * 1_000),
                ..Finding::new("level", "it waited too long")
            })
        })
    };
    let length = |shrunk: &Shrunk, key: &str| shrunk.plan.get(key).and_then(Value::as_integer);
    let late = found_at(12);
    assert_eq!(length(&late, "liveness_ms"), Some(5_000));
    let early = found_at(3);
    assert_eq!(length(&early, "liveness_ms"), Some(0));
    assert_eq!(length(&early, "safety_ms"), Some(3_000));
}
