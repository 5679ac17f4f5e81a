//! The harness from outside, as `cargo test` and nextest drive it.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "writes plans for a process that it starts"
)]

use meshos_sim::machines::rally::Rally;
use meshos_sim::plan::{Expect, Plan};
use meshos_sim::scenario::Scenario;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A package directory with these plans.
fn package(name: &str, plans: &[(&str, &str)]) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).expect("writable");
    if !plans.is_empty() {
        fs::create_dir(directory.join("plans")).expect("writable");
    }
    for (file, text) in plans {
        fs::write(directory.join("plans").join(file), text).expect("writable");
    }
    directory
}

/// Runs the tests in `directory`; whether they passed, and what was told.
fn tests(directory: &Path, words: &str) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_sim-tryout-harness"))
        .current_dir(directory)
        .args(words.split_whitespace())
        .output()
        .expect("it starts");
    let told = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8(told).expect("text"),
    )
}

fn plan(seed: u64, violates: Option<&str>) -> String {
    let mut plan: Plan<_, _> = Scenario::plan(&Rally, seed);
    plan.expect = Expect {
        violates: violates.map(str::to_owned),
        ..Expect::default()
    };
    plan.to_text()
}

#[test]
fn scenarios_and_plans_are_listed_and_run_one_by_one() {
    let plans = [
        ("holds.toml", plan(3, None)),
        ("never-broke.toml", plan(3, Some("nobody-crashes"))),
        (
            "foreign.toml",
            plan(3, None).replace("\"ping-pong\"", "\"polka\""),
        ),
        ("torn.toml", "nodes = ".to_owned()),
        ("notes.txt", "no plan".to_owned()),
    ];
    let plans = plans.each_ref().map(|(file, text)| (*file, text.as_str()));
    let directory = package("harness-many", &plans);

    // What nextest asks for.
    let (_, listed) = tests(&directory, "--list --format terse");
    let names: Vec<&str> = listed.lines().collect();
    let expected = [
        "scenario::ping-pong: test",
        "scenario::breaks: test",
        "plan::foreign: test",
        "plan::holds: test",
        "plan::never-broke: test",
        "plan::torn: test",
    ];
    for name in expected {
        assert!(names.contains(&name), "{name}\n{listed}");
    }
    assert_eq!(names.len(), expected.len(), "{listed}");

    for name in ["scenario::ping-pong", "plan::holds"] {
        let (passed, told) = tests(&directory, &format!("{name} --exact --nocapture"));
        assert!(passed && told.contains("1 passed"), "{told}");
    }
    let failing = [
        ("scenario::breaks", "again: assert_holds(&scenario, ["),
        (
            "plan::never-broke",
            "expected a violation of nobody-crashes, found that all holds",
        ),
        (
            "plan::foreign",
            "found the scenario 'polka', expected one of these: ping-pong, breaks",
        ),
        ("plan::torn", "torn.toml: TOML parse error at line 1"),
    ];
    for (name, problem) in failing {
        let (passed, told) = tests(&directory, &format!("{name} --exact --nocapture"));
        assert!(!passed && told.contains(problem), "{problem}\n{told}");
    }
    // The plan of the failure is where `assert_holds` leaves it.
    let failures = fs::read_dir(directory.join("failures")).expect("written");
    assert_eq!(failures.count(), 1);
}

#[test]
fn a_directory_without_plans_is_a_test_that_fails() {
    for (name, plans, problem) in [
        (
            "harness-missing",
            vec![],
            "plans: No such file or directory",
        ),
        (
            "harness-empty",
            vec![("readme.txt", "")],
            "plans: found no plan, expected files *.toml",
        ),
    ] {
        let directory = package(name, &plans);
        let (passed, told) = tests(&directory, "plans::plans --exact");
        assert!(!passed && told.contains(problem), "{told}");
    }
}
