//! The command line from outside: words, files and exit status.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "looks at files that the command wrote"
)]

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A directory of one test, with the program to run in it.
struct Tryout {
    directory: PathBuf,
}

impl Tryout {
    fn new(name: &str) -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).expect("writable");
        Self { directory }
    }

    /// The program with all scenarios, good and bad.
    fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sim-tryout"));
        command
            .current_dir(&self.directory)
            .args(words.split_whitespace());
        command.env("TRYOUT", "all").env_remove("NO_COLOR");
        command
    }

    fn run(&self, words: &str) -> Output {
        self.command(words).output().expect("it starts")
    }

    /// Runs a command and insists on its exit status.
    fn expect(&self, status: i32, words: &str) -> (String, String) {
        let output = self.run(words);
        let out = String::from_utf8(output.stdout).expect("text");
        let err = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(status), "{words}\n{out}\n{err}");
        (out, err)
    }

    fn json(&self, status: i32, words: &str) -> Value {
        let (out, _) = self.expect(status, &format!("{words} --json"));
        serde_json::from_str(&out).expect("one document")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

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
    ] {
        assert!(out.contains(part), "{part}\n{out}");
    }
    let (out, _) = tryout.expect(0, "replay failures/breaks-3-few-ticks.toml --strict");
    assert!(
        out.contains("as expected") && out.contains("violates few-ticks"),
        "{out}"
    );
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
        "again    sim-tryout trace breaks --seed 3",
    ] {
        assert!(out.contains(part), "{part}\n{out}");
    }
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
    assert!(
        out.contains(&format!("again    sim-tryout {again}")),
        "{out}"
    );
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
    assert!(
        out.contains("unmarked: not reached: a state that is never reached"),
        "{out}"
    );
    assert!(
        out.contains("dormant: a state that cannot be (it needs three nodes)"),
        "{out}"
    );
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
    let text = fs::read_to_string(tryout.path("run.json")).expect("written");
    let run: Value = serde_json::from_str(&text).expect("one document");
    assert_eq!(
        (&run["full"], &run["verdict"]),
        (&true.into(), &"violated".into())
    );
    let junit = fs::read_to_string(tryout.path("junit.xml")).expect("written");
    for part in [
        "failures=\"2\"",
        "<testcase name=\"unmarked\">\n    <failure type=\"reached\"",
        "<testcase name=\"all scenarios\">\n    <failure type=\"reached\" \
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
    // A tracing run is the same run; what was built with other options runs the same, too.
    assert_eq!(alone.trim(), "44ac8e827d2fd2cc");
}

#[test]
fn unusable_arguments_and_files_exit_2() {
    let tryout = Tryout::new("unusable");
    fs::write(
        tryout.path("broken.toml"),
        "format = 1\nscenario = \"ping-pong\"\nsede = 1\n",
    )
    .expect("writable");
    fs::write(
        tryout.path("stranger.toml"),
        "format = 1\nscenario = \"other\"\n",
    )
    .expect("writable");
    fs::create_dir(tryout.path("empty")).expect("writable");
    let cases = [
        (
            "run no-such-scenario",
            "no scenario matches `no-such-scenario`",
        ),
        ("run --seeds 9..9", "`9..9` holds no seed"),
        (
            "run --seeds 1..5 --seed-base 4",
            "--seed-base moves a count of seeds",
        ),
        (
            "run --seed-base sometimes",
            "expected a number of 63 bits, `commit` or `random`",
        ),
        ("run --jobs 0", "0 is not in 1..=65535"),
        ("run --budget 5", "expected a time such as 500ms"),
        ("run --mutant x", "unexpected argument '--mutant'"),
        ("digest ping-pong", "--seed <N>"),
        (
            "digest other --seed 1",
            "found scenario `other`, expected one of: ping-pong",
        ),
        ("trace ping-pong", "needs --seed N"),
        ("trace nothing.toml", "found scenario `nothing.toml`"),
        ("replay nothing.toml", "nothing.toml: No such file"),
        (
            "replay stranger.toml",
            "stranger.toml: found scenario `other`, expected one of",
        ),
        (
            "replay broken.toml",
            "broken.toml:3: sede: found unknown field `sede`, expected one of",
        ),
        ("replay empty", "empty/steps: No such file"),
        (
            "bench other",
            "no workload matches; there are: w1-5, w1-50, nothing",
        ),
        ("shrink ping-pong", "unrecognized subcommand 'shrink'"),
        (
            "run ping-pong --seeds 1 --json=empty",
            "empty: Is a directory",
        ),
    ];
    for (words, part) in cases {
        let (_, err) = tryout.expect(2, words);
        assert!(err.contains(part), "{words}\n{err}");
    }
}

#[test]
fn recordings_are_compared_by_the_program() {
    let tryout = Tryout::new("recordings");
    for (name, steps) in [("same", "12"), ("other", "twelve")] {
        fs::create_dir(tryout.path(name)).expect("writable");
        fs::write(tryout.path(name).join("steps"), steps).expect("writable");
    }
    let (out, _) = tryout.expect(0, "replay same");
    assert!(out.contains("identical  same: 12 steps"), "{out}");
    let replays = tryout.json(1, "replay same other");
    assert_eq!(replays["replays"][1]["difference"], "- 1\n+ twelve");
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
    let words = "run breaks ping-pong --seeds 5 --junit reports/junit.xml --json=reports/run.json";
    let (out, err) = tryout.expect(1, words);
    assert!(
        out.is_empty() && err.contains("few-ticks"),
        "tables go to standard error"
    );
    let junit = fs::read_to_string(tryout.path("reports/junit.xml")).expect("written");
    assert!(junit.contains("tests=\"2\" failures=\"1\""), "{junit}");
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

#[test]
fn results_that_cannot_be_written_are_a_failure_and_a_reader_that_left_is_none() {
    let tryout = Tryout::new("full-output");
    for words in ["list", "list --json", "digest ping-pong --seed 1"] {
        let full = fs::File::create("/dev/full").expect("Linux has it");
        let mut command = tryout.command(words);
        let output = command.stdout(full).output().expect("it starts");
        assert_eq!(output.status.code(), Some(2), "{words}");
        let told = String::from_utf8(output.stderr).expect("text");
        assert!(told.contains("the result cannot be written"), "{told}");
    }
    let mut command = tryout.command("list");
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
    drop(child.stdout.take());
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn colour_follows_the_word_and_the_environment() {
    let tryout = Tryout::new("colour");
    let (out, _) = tryout.expect(0, "list --color always");
    assert!(out.contains('\x1b'), "{out}");
    let (out, _) = tryout.expect(0, "list --color never");
    assert!(!out.contains('\x1b'), "{out}");
    let quiet = tryout
        .command("list --color auto")
        .env("NO_COLOR", "1")
        .output();
    assert!(!quiet.expect("it starts").stdout.contains(&0x1b));
}
