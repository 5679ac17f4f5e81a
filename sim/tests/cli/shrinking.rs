//! Plans written, made smaller, and kept.

use super::Tryout;
use std::fs;

/// The lines of a plan in which something happens.
fn events(text: &str) -> Vec<&str> {
    text.lines()
        .filter(|line| line.starts_with("  { at_"))
        .collect()
}

#[test]
fn a_crowded_plan_shrinks_to_what_breaks_it() {
    let tryout = Tryout::new("crowds");
    let read = |name: &str| fs::read_to_string(tryout.path(name)).expect("written");
    tryout.expect(1, "run crowds --seeds 23..=23 --no-shrink");
    let found = "failures/crowds-23-hurried-again";
    assert!(events(&read(&format!("{found}.toml"))).len() > 200);
    let (out, _) = tryout.expect(0, &format!("shrink {found}.toml"));
    assert!(out.contains("no change makes it smaller"), "{out}");
    let small = read(&format!("{found}-small.toml"));
    assert_eq!(events(&small).len(), 3, "{small}");
    for part in ["nodes = 2\n", "\"crash\"", "\"restart\"", "hurry"] {
        assert!(small.contains(part), "{part}\n{small}");
    }
    tryout.expect(0, &format!("replay {found}-small.toml --strict"));
    // Neither where the plan came from nor the number of threads matters.
    for jobs in ["1", "4"] {
        tryout.expect(
            0,
            &format!("shrink crowds --seed 23 --jobs {jobs} --out again.toml"),
        );
        assert_eq!(read("again.toml"), small);
    }
    // A sweep leaves the smaller plan behind.
    let (out, _) = tryout.expect(1, "run crowds --seeds 23..=23 --out swept");
    assert!(
        out.contains(" 201 operations to 1, 5 nodes to 2; "),
        "{out}"
    );
    assert_eq!(read("swept/crowds-23-hurried-again.toml"), small);
}

#[test]
fn a_search_that_is_cut_short_says_so_and_keeps_what_it_has() {
    let tryout = Tryout::new("cut-short");
    let shrunk = tryout.json(0, "shrink crowds --seed 23 --budget 1ms --out early.toml");
    assert_eq!(shrunk["done"], false);
    tryout.expect(0, "replay early.toml --strict");
    let (out, _) = tryout.expect(1, "run crowds breaks --seeds 23..=23 --shrink-for 1ms");
    assert!(
        out.contains("plans are as they were found") || out.contains("ended early"),
        "{out}"
    );
    tryout.expect(0, "replay failures --strict");
}

#[test]
fn a_cluster_that_does_not_converge_keeps_the_time_that_it_has() {
    let tryout = Tryout::new("blocked");
    let shrunk = tryout.json(0, "shrink blocks --seed 3 --out small.toml");
    assert_eq!(shrunk["violation"]["property"], "tick-again");
    let small = fs::read_to_string(tryout.path("small.toml")).expect("written");
    assert!(small.contains("liveness_ms = 500\n"), "{small}");
    assert!(events(&small).is_empty(), "{small}");
}

#[test]
fn a_failure_becomes_a_regression_with_what_broke() {
    let tryout = Tryout::new("accepted");
    tryout.expect(1, "run breaks --seeds 3..=3");
    let failure = "failures/breaks-3-few-ticks.toml";
    let accept = |words: &[&str]| {
        let mut command = tryout.command(&format!("accept {failure} --into kept"));
        command.args(words).output().expect("it starts")
    };
    let refused = accept(&["--broke", " "]);
    assert_eq!(refused.status.code(), Some(2));
    let out = accept(&["--broke", "A machine ticked too often."]);
    let told = String::from_utf8(out.stdout).expect("text");
    assert_eq!(out.status.code(), Some(0), "{told}");
    assert!(
        told.contains("kept/a-machine-ticked-too-often.toml"),
        "{told}"
    );
    assert!(
        told.contains("red    until this is mended: few-ticks"),
        "{told}"
    );
    assert!(!tryout.path(failure).exists(), "it moved");
    let kept = tryout.path("kept/a-machine-ticked-too-often.toml");
    let text = fs::read_to_string(&kept).expect("written");
    assert!(
        text.starts_with("# A machine ticked too often.\nformat = 1\n"),
        "{text}"
    );
    assert!(!text.contains("violates"), "{text}");
    tryout.expect(1, "replay kept");
    // A second one does not take its place, and stays where it is.
    tryout.expect(1, "run breaks --seeds 3..=3");
    let again = accept(&["--broke", "A machine ticked too often."]);
    let told = String::from_utf8(again.stderr).expect("text");
    assert_eq!(again.status.code(), Some(2));
    assert!(
        told.contains("there is such a regression; see --name"),
        "{told}"
    );
    assert!(tryout.path(failure).exists(), "it did not move");
}

#[test]
fn the_plan_of_a_seed_runs_like_the_seed() {
    let tryout = Tryout::new("plan");
    let (text, _) = tryout.expect(0, "plan crowds --seed 23");
    assert_eq!(events(&text).len(), 236, "{text}");
    tryout.expect(0, "plan crowds --seed 23 --out seed.toml");
    let of_plan = tryout.json(1, "trace seed.toml");
    let of_seed = tryout.json(1, "trace crowds --seed 23");
    assert_eq!(of_plan["digest"], of_seed["digest"]);
}
