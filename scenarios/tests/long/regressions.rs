//! Every plan that once found a mistake holds.

#![allow(
    clippy::disallowed_methods,
    reason = "around runs, not inside: threads share the plans"
)]

use meshos_scenarios::scenes;
use meshos_sim::any::disappointment;
use meshos_sim::plan::Plan;
use meshos_sim::run::run;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

#[test]
fn every_regression_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
    let files = std::fs::read_dir(folder).expect("the folder is there");
    let files = files.map(|file| file.expect("the folder is readable").path());
    let files: Vec<PathBuf> = files.collect();
    assert!(!files.is_empty(), "there are regressions");
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            holds(file);
        }
    };
    let jobs = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(work);
        }
    });
}

fn holds(path: &Path) {
    let text = std::fs::read_to_string(path).expect("a regression is a text");
    let plan = Plan::read(&scenes::plain(), path, &text);
    let plan = plan.unwrap_or_else(|error| panic!("{error}"));
    let scene = scenes::named(&plan.scenario).expect("a scenario of that name");
    let report = run(&scene, &plan);
    let wrong = disappointment(&plan.expect, report.finding.as_ref());
    assert_eq!(wrong, None, "{}", path.display());
    assert!(text.starts_with("# "), "{} says what broke", path.display());
}
