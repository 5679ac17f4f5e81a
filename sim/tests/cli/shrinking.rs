//! Smaller plans.

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
