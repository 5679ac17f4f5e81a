//! Sweeps: their seeds, marks, digests and reports, and how they end.

use super::Tryout;
use serde_json::Value;
use std::fs;
use std::process::{Command, Stdio};

#[test]
fn a_sweep_that_holds_exits_0_and_leaves_nothing() {
    let tryout = Tryout::new("holds");
    let output = tryout
        .command("run")
        .env_remove("TRYOUT")
        .output()
        .expect("it starts");
    let out = String::from_utf8(output.stdout).expect("text");
    assert_eq!(output.status.code(), Some(0), "{out}");
    assert!(
        out.contains("100 runs (seeds 0..100)") && out.contains("all held"),
        "{out}"
    );
    assert!(!out.contains('\x1b'), "no colour outside a terminal: {out}");
    assert_eq!(
        fs::read_dir(&tryout.directory).expect("readable").count(),
        0
    );
}

#[test]
fn marks_fail_full_sweeps_only_and_undecided_checks_are_told() {
    let tryout = Tryout::new("marks");
    let small = tryout.json(0, "run unmarked --seeds 5");
    assert_eq!(
        small["scenarios"][0]["marks_missing"][0],
        "a state that is never reached"
    );
    assert_eq!(small["full"], false);
    let (out, _) = tryout.expect(0, "run unmarked undecided --seeds 5");
    let told = "required states not reached: 1; that fails only a full sweep";
    assert!(out.contains(told), "{out}");
    assert!(!out.contains("dormant"), "{out}");
    assert!(
        out.contains("undecided: not checked in 1 seeds: linearizable: the search"),
        "{out}"
    );
}

#[test]
fn a_full_sweep_that_never_saw_a_mark_fails() {
    let tryout = Tryout::new("full");
    let words = "run --json=run.json --junit junit.xml";
    let output = tryout
        .command(words)
        .env("TRYOUT", "unmarked")
        .output()
        .expect("it starts");
    let err = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(
        err.contains("unmarked: never reached: a state that is never reached"),
        "{err}"
    );
    assert!(!err.contains("a state that cannot be: never"), "{err}");
    let dormant = "dormant: a state that cannot be (it needs three nodes)";
    assert!(err.contains(dormant), "{err}");
    let text = fs::read_to_string(tryout.path("run.json")).expect("written");
    let run: Value = serde_json::from_str(&text).expect("one document");
    assert_eq!(
        (&run["full"], &run["verdict"]),
        (&true.into(), &"violated".into())
    );
    let junit = fs::read_to_string(tryout.path("junit.xml")).expect("written");
    for part in [
        "failures=\"2\"",
        "<testcase classname=\"sim-tryout\" name=\"unmarked\" time=\"",
        "\">\n    <failure type=\"reached\"",
        "<testcase classname=\"sim-tryout\" name=\"all scenarios\">\n    <failure type=\"reached\" \
         message=\"never: a state that no scenario reaches\"/>",
    ] {
        assert!(junit.contains(part), "{part}\n{junit}");
    }
}

#[test]
fn counted_seeds_begin_where_they_are_told() {
    let tryout = Tryout::new("base");
    let run = tryout.json(0, "run ping-pong --seeds 3 --seed-base 40");
    assert_eq!(run["seeds"], "40..43");
    let commit = tryout.command("run ping-pong --seeds 3 --seed-base commit --json");
    let seeds = |mut command: Command, id: &str| {
        let output = command
            .env("MESHOS_COMMIT", id)
            .output()
            .expect("it starts");
        let run: Value = serde_json::from_slice(&output.stdout).expect("one document");
        run["seeds"].as_str().expect("seeds").to_owned()
    };
    let first = seeds(commit, "abc");
    let again = tryout.command("run ping-pong --seeds 3 --seed-base commit --json");
    assert_eq!(seeds(again, "abc"), first);
    let other = tryout.command("run ping-pong --seeds 3 --seed-base commit --json");
    assert_ne!(seeds(other, "abd"), first);
    tryout.expect(0, "run ping-pong --seeds 3 --seed-base random");
}

#[test]
fn digests_are_equal_alone_in_a_sweep_and_with_any_number_of_jobs() {
    let tryout = Tryout::new("digests");
    let one = tryout.json(0, "run ping-pong --seeds 300 --jobs 1");
    let two = tryout.json(0, "run ping-pong --seeds 300 --jobs 2");
    assert_eq!(one["scenarios"], two["scenarios"]);
    let (alone, _) = tryout.expect(0, "digest ping-pong --seed 7");
    assert_eq!(one["scenarios"][0]["digests"]["7"], alone.trim());
    let (again, _) = tryout.expect(0, "digest ping-pong --seed 7");
    assert_eq!(alone, again);
    let trace = tryout.json(0, "trace ping-pong --seed 7");
    assert_eq!(trace["digest"], alone.trim());
    // Many seeds have one digest, and none that each of them needs memory for.
    let one = tryout.json(0, "run ping-pong --seeds 1001 --jobs 1");
    let two = tryout.json(0, "run ping-pong --seeds 1001 --jobs 3");
    assert_eq!(one["scenarios"], two["scenarios"]);
    assert_eq!(one["scenarios"][0]["digests"], Value::Null);
    // A tracing run is the same run; what was built with other options runs the same, too.
    assert_eq!(alone.trim(), "44ac8e827d2fd2cc");
}

#[test]
fn an_incomplete_sweep_exits_3() {
    let tryout = Tryout::new("incomplete");
    // The one worker is still busy with the first scenario when the budget is spent.
    let (out, _) = tryout.expect(
        3,
        "run dawdles unmarked --seeds 0..900000 --budget 1ms --jobs 1",
    );
    assert!(out.contains("incomplete: a scenario had no seed"), "{out}");
    let (out, _) = tryout.expect(0, "run dawdles --seeds 0..900000 --budget 300ms");
    assert!(out.contains("all held, as far as the budget went"), "{out}");
    let (out, _) = tryout.expect(1, "run breaks --seeds 0..90000000 --max-fail 3 --jobs 1");
    assert!(out.contains("violated"), "{out}");
}

#[test]
fn a_killed_sweep_names_its_seeds_in_the_next_one() {
    let tryout = Tryout::new("killed");
    let words = "run loops --seeds 3..=3 --stuck-after 20s";
    let mut sweep = tryout
        .command(words)
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    let in_flight = || -> Option<String> {
        let file = fs::read_dir(tryout.path("failures")).ok()?.next()?.ok()?;
        fs::read_to_string(file.path())
            .ok()
            .filter(|text| text.contains("3 loops"))
    };
    // The file is there before the run; nothing else tells when the run has begun.
    while in_flight().is_none() {
        assert!(
            sweep.try_wait().expect("its child").is_none(),
            "the sweep is running"
        );
        std::thread::yield_now();
    }
    sweep.kill().expect("its child");
    sweep.wait().expect("its child");
    let (out, _) = tryout.expect(0, "run ping-pong --seeds 5");
    let told = "in flight when an earlier sweep was killed: loops seed 3";
    assert!(out.contains(told), "{out}");
    assert!(out.contains("run loops --seeds 3..=3"), "{out}");
    let (out, _) = tryout.expect(0, "run ping-pong --seeds 5");
    assert!(!out.contains(told), "{out}");
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_the_sweep_with_3() {
    let tryout = Tryout::new("interrupted");
    let words = "run dawdles --seeds 0..900000 --json=result.json";
    let mut sweep = tryout
        .command(words)
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    while fs::read_dir(tryout.path("failures")).map_or(true, |mut files| files.next().is_none()) {
        assert!(
            sweep.try_wait().expect("its child").is_none(),
            "the sweep is running"
        );
        std::thread::yield_now();
    }
    let kill = Command::new("kill")
        .args(["-INT", &sweep.id().to_string()])
        .status();
    assert!(kill.expect("it starts").success());
    assert_eq!(sweep.wait().expect("its child").code(), Some(3));
    let text = fs::read_to_string(tryout.path("result.json")).expect("written");
    let result: Value = serde_json::from_str(&text).expect("one document");
    assert_eq!(result["end"], "interrupted");
    assert_eq!(result["verdict"], "incomplete");
}

#[test]
fn reports_for_other_programs() {
    let tryout = Tryout::new("reports");
    let words = "run breaks dawdles --seeds 20 --junit reports/junit.xml --json=reports/run.json";
    let (out, err) = tryout.expect(1, words);
    assert!(
        out.is_empty() && err.contains("few-ticks"),
        "tables go to standard error"
    );
    let junit = fs::read_to_string(tryout.path("reports/junit.xml")).expect("written");
    assert!(junit.contains("tests=\"2\" failures=\"1\""), "{junit}");
    // Twenty seeds that dawdle take their time.
    let time = |scenario: &str| {
        let case = junit.split_once(&format!("name=\"{scenario}\" time=\""));
        let (time, _) = case?.1.split_once('"')?;
        let (seconds, ms) = time.split_once('.')?;
        format!("{seconds}{ms}").parse::<u64>().ok()
    };
    assert!(time("dawdles").is_some_and(|ms| ms >= 5), "{junit}");
    assert!(time("breaks").is_some(), "{junit}");
    assert!(
        junit.contains("<failure type=\"few-ticks\" message=\"seed 3: few-ticks at"),
        "{junit}"
    );
    let text = fs::read_to_string(tryout.path("reports/run.json")).expect("written");
    let run: Value = serde_json::from_str(&text).expect("one document");
    assert_eq!(
        run["scenarios"][1]["violations"][0]["plan"],
        "failures/breaks-3-few-ticks.toml"
    );
    let list = tryout.json(0, "list");
    assert_eq!(list["scenarios"][0]["scenario"], "ping-pong");
    let bench = tryout.json(0, "bench nothing --rounds 1");
    assert_eq!(bench["workloads"][0]["steps"], 2000);
    let files = tryout.json(0, "generate made");
    for file in files["files"].as_array().expect("files") {
        let path = tryout.path(file.as_str().expect("a path"));
        assert!(
            fs::metadata(&path).expect("written").len() > 100,
            "{}",
            path.display()
        );
    }
    assert!(tryout.path("made/man/sim-tryout-run.1").exists());
}
