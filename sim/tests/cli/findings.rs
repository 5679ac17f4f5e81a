//! Findings: what is told of a run that breaks a property, panics or never ends.

use super::Tryout;
use serde_json::Value;
use std::fs;

#[test]
fn a_violation_is_told_with_all_that_is_needed_and_its_plan_replays() {
    let tryout = Tryout::new("breaks");
    let (out, _) = tryout.expect(1, "run breaks --seeds 10");
    for part in [
        "breaks, seed 3: few-ticks",
        "when     0.",
        "on n1",
        "where    sim/tests/tryout/misfit.rs:",
        "what     more than 20",
        "2 found it; 3 is the smallest",
        "wake",
        "sim-tryout replay failures/breaks-3-few-ticks.toml",
        "sim-tryout trace failures/breaks-3-few-ticks.toml",
    ] {
        assert!(out.contains(part), "{part}\n{out}");
    }
    tryout.expect(1, "trace failures/breaks-3-few-ticks.toml");
    let (out, _) = tryout.expect(0, "replay failures/breaks-3-few-ticks.toml --strict");
    assert!(
        out.contains("as expected") && out.contains("violates few-ticks"),
        "{out}"
    );
    // What cannot be read is named, and what comes with it is judged all the same.
    fs::write(tryout.path("failures/an-image.toml"), [0xff, 0xfe]).expect("writable");
    let (out, err) = tryout.expect(2, "replay failures");
    assert!(out.contains("violates few-ticks"), "{out}");
    assert!(err.contains("failures/an-image.toml: "), "{err}");
    assert!(err.contains("expected a plan"), "{err}");
    // The same plan with another expectation is a replay that fails.
    let plan = tryout.path("failures/breaks-3-few-ticks.toml");
    let text = fs::read_to_string(&plan).expect("written");
    assert!(text.contains("op = { hurry = { ticks = 2 } }"), "{text}");
    fs::write(&plan, text.replace("violates", "#")).expect("writable");
    let (out, _) = tryout.expect(1, "replay failures/breaks-3-few-ticks.toml");
    assert!(
        out.contains("expected that all holds, found few-ticks at 0."),
        "{out}"
    );
}

#[test]
fn a_violation_whose_plan_cannot_be_written_is_told_all_the_same() {
    let tryout = Tryout::new("unwritten");
    let plan = "failures/breaks-3-few-ticks.toml";
    fs::create_dir_all(tryout.path(plan)).expect("writable");
    let (out, _) = tryout.expect(1, "run breaks --seeds 10");
    for part in [
        "breaks, seed 3: few-ticks",
        "no plan  failures/breaks-3-few-ticks.toml: Is a directory",
        "/sim-tryout trace breaks --seed 3",
    ] {
        assert!(out.contains(part), "{part}\n{out}");
    }
    assert!(!out.contains("all of it"), "{out}");
    let run = tryout.json(1, "run breaks --seeds 10");
    let violation = &run["scenarios"][0]["violations"][0];
    assert_eq!(
        (&violation["seed"], &violation["plan"]),
        (&3.into(), &Value::Null)
    );
}

#[test]
fn a_panic_is_a_violation_with_its_seed_and_site() {
    let tryout = Tryout::new("panics");
    let (out, err) = tryout.expect(1, "run panics --seeds 3,4");
    assert!(out.contains("panics, seed 3: panic"), "{out}");
    assert!(out.contains("tests/tryout/misfit.rs:"), "{out}");
    assert!(out.contains("the tick 20 is one too many"), "{out}");
    assert!(!err.contains("panicked at"), "{err}");
    tryout.expect(0, "replay failures/panics-3-panic.toml");
}

#[test]
fn a_step_that_does_not_return_is_reported_with_its_seed() {
    let tryout = Tryout::new("loops");
    let sweep = tryout.json(
        1,
        "run loops ping-pong --seeds 100 --stuck-after 500ms --out found",
    );
    assert_eq!(sweep["end"], "stuck");
    let violation = &sweep["scenarios"][1]["violations"][0];
    assert_eq!(violation["seed"], 3);
    assert_eq!(violation["property"], "step-returns");
    let trace = violation["trace"].as_array().expect("lines");
    assert_eq!(
        trace.last().expect("a line")["event"],
        "wake",
        "the input that is worked on"
    );
    let (out, _) = tryout.expect(
        0,
        "replay found/loops-3-step-returns.toml --stuck-after 500ms",
    );
    assert!(out.contains("violates step-returns"), "{out}");
    tryout.expect(1, "digest loops --seed 3 --stuck-after 500ms");
}

#[test]
fn budgets_of_steps_and_liveness_are_violations() {
    let tryout = Tryout::new("budgets");
    let (out, _) = tryout.expect(1, "run spins --seeds 3..=3");
    assert!(out.contains("spins, seed 3: instant-budget"), "{out}");
    let (out, _) = tryout.expect(1, "run blocks --seeds 3..=3");
    assert!(out.contains("blocks, seed 3: tick-again"), "{out}");
    assert!(out.contains("node 1 waits for a tick that is due"), "{out}");
    assert!(out.contains("500 ms after the faults ended"), "{out}");
}

#[test]
fn a_run_that_depends_on_more_than_its_plan_is_found() {
    let tryout = Tryout::new("flickers");
    let (out, _) = tryout.expect(1, "run flickers --seeds 3..6");
    assert!(out.contains("flickers, seed 3: replay"), "{out}");
    // The states differ from the twentieth step on, and no event does.
    assert!(out.contains("events were equal, then came `"), "{out}");
    assert!(out.contains("n1   state "), "{out}");
    let again = "replay failures/flickers-3-replay.toml --twice";
    assert!(out.contains(&format!("/sim-tryout {again}\n")), "{out}");
    let (out, _) = tryout.expect(0, again);
    assert!(out.contains("violates replay"), "{out}");
    assert!(out.contains("n1   state "), "{out}");
    tryout.expect(1, "digest flickers --seed 3 --twice");
    tryout.expect(1, "trace flickers --seed 3 --twice");
    tryout.expect(0, "digest flickers --seed 3");
    // Not only the first seed of a sweep is run twice.
    let sweep = tryout.json(1, "run flickers --seeds 0..16");
    assert_eq!(sweep["scenarios"][0]["failed"], 3);
}

#[test]
fn a_panic_tells_node_and_input_and_when_asked_its_stack() {
    let tryout = Tryout::new("panic-input");
    let run = tryout.json(1, "run panics --seeds 3..4");
    let violation = &run["scenarios"][0]["violations"][0];
    assert_eq!(
        (&violation["node"], &violation["input"]),
        (&1.into(), &"wake".into())
    );
    assert_eq!(violation["backtrace"], Value::Null);
    let (out, _) = tryout.expect(1, "run panics --seeds 3..4 --backtrace");
    assert!(
        out.contains("on n1") && out.contains("input    wake"),
        "{out}"
    );
    assert!(out.contains("stack    ") && out.contains("misfit"), "{out}");
    let (out, _) = tryout.expect(0, "replay failures/panics-3-panic.toml --backtrace");
    assert!(out.contains("stack    "), "{out}");
}

#[test]
fn faults_without_effect_are_counted_and_named() {
    let tryout = Tryout::new("inert");
    tryout.expect(1, "run breaks --seeds 3..4");
    let path = tryout.path("failures/breaks-3-few-ticks.toml");
    let text = fs::read_to_string(&path).expect("written");
    let fault = "[[faults]]\nat_ms = 1\nkind = \"resume\"\nnode = 1\n";
    fs::write(&path, format!("{text}\n{fault}")).expect("writable");
    let (out, _) = tryout.expect(0, "replay failures/breaks-3-few-ticks.toml");
    assert!(out.contains("no effect  resume at 0.001"), "{out}");
    let replay = tryout.json(0, "replay failures/breaks-3-few-ticks.toml");
    assert_eq!(replay["replays"][0]["faults_inert"], 1);
    let sweep = tryout.json(0, "run ping-pong --seeds 20");
    let tally = &sweep["scenarios"][0];
    assert!(
        tally["faults"].as_u64() > tally["faults_inert"].as_u64(),
        "{tally}"
    );
}

/// The trace that is printed with a violation: the line that is marked, and all of them.
fn printed(out: &str) -> (&str, Vec<&str>) {
    let from = out.find("  trace  ").expect("a trace");
    let rest = out[from..].lines();
    let lines: Vec<_> = rest
        .take_while(|line| line.contains("s  n") || line.contains("s  -"))
        .collect();
    let marked = |line: &&&str| line.contains("> ");
    let found = lines.iter().find(marked).expect("the line is marked");
    (found, lines)
}

#[test]
fn the_printed_trace_ends_at_the_finding_though_the_run_went_on() {
    let tryout = Tryout::new("regrets");
    let (out, _) = tryout.expect(1, "run regrets --seeds 3..4 --no-shrink");
    assert!(
        out.contains("when     0.145000s of simulated time, on n1"),
        "{out}"
    );
    let (found, lines) = printed(&out);
    assert!(found.ends_with(" 0.145000s  n1   wake"), "{out}");
    assert_eq!(lines.last(), Some(&found), "{out}");
    assert_eq!(lines.len(), 30, "{out}");
    // A trace that fits is not run again for, and says the same.
    let plan = tryout.path("failures/regrets-3-in-order.toml");
    let text = fs::read_to_string(&plan).expect("written");
    fs::write(
        &plan,
        text.replace("safety_ms = 200000", "safety_ms = 1000"),
    )
    .expect("writable");
    let (again, _) = tryout.expect(0, "replay failures/regrets-3-in-order.toml");
    assert_eq!(printed(&again).1, lines);
}

#[test]
fn a_node_that_does_not_converge_is_the_one_whose_trace_is_shown() {
    let tryout = Tryout::new("blocked-node");
    let (out, _) = tryout.expect(1, "run blocks --seeds 3..4 --no-shrink");
    assert!(
        out.contains("when     1.500000s of simulated time, on n1"),
        "{out}"
    );
    assert!(printed(&out).0.contains("  n1   "), "{out}");
}
