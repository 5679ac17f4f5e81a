//! Sweeps in parts.

use super::Tryout;
use serde_json::{Map, Value};
use std::fs;
use std::process::Stdio;

fn digests(run: &Value) -> Map<String, Value> {
    let digests = run["scenarios"][0]["digests"].as_object();
    digests.expect("a small sweep").clone()
}

#[test]
fn shards_together_run_what_one_sweep_runs() {
    let tryout = Tryout::new("shards");
    let whole = digests(&tryout.json(0, "run ping-pong --seeds 5..105"));
    let mut together = Map::new();
    for number in 1..=3 {
        let run = tryout.json(
            0,
            &format!("run ping-pong --seeds 5..105 --shard {number}/3"),
        );
        assert_eq!(run["shard"], format!("{number}/3"));
        assert_eq!(
            (&run["seeds"], &run["full"]),
            (&"5..105".into(), &false.into())
        );
        let part = digests(&run);
        assert!((33..=34).contains(&part.len()), "{}", part.len());
        together.extend(part);
    }
    assert_eq!(together, whole);
    let (out, _) = tryout.expect(0, "run ping-pong --seeds 2 --shard 3/3");
    assert!(out.contains("0 runs (shard 3/3 of seeds 0..2)"), "{out}");
}

#[test]
fn the_surroundings_say_which_shard_is_meant() {
    let tryout = Tryout::new("auto");
    let run = |variables: &[(&str, &str)]| {
        let mut command = tryout.command("run ping-pong --seeds 9 --shard auto --json");
        for name in [
            "JOB_COMPLETION_INDEX",
            "SLURM_ARRAY_TASK_ID",
            "CI_NODE_INDEX",
        ] {
            command.env_remove(name);
        }
        command
            .envs(variables.iter().copied())
            .output()
            .expect("it starts")
    };
    let output = run(&[("JOB_COMPLETION_INDEX", "1"), ("SHARDS", "4")]);
    let found: Value = serde_json::from_slice(&output.stdout).expect("one document");
    assert_eq!(found["shard"], "2/4");
    let output = run(&[]);
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).expect("text");
    let part =
        "error: --shard auto: found none of JOB_COMPLETION_INDEX (a Kubernetes Indexed Job), ";
    assert!(told.starts_with(part), "{told}");
    let (_, err) = tryout.expect(2, "run ping-pong --shard 4/3");
    assert!(
        err.contains("found `4/3`, expected K/N with K from 1 to N, or `auto`"),
        "{err}"
    );
}

pub(super) fn read(tryout: &Tryout, name: &str) -> String {
    fs::read_to_string(tryout.path(name)).expect("written")
}

pub(super) fn result(tryout: &Tryout, directory: &str) -> Value {
    let text = read(tryout, &format!("{directory}/result.json"));
    serde_json::from_str(&text).expect("a document, whenever it is looked at")
}

/// Starts a sweep of a scenario that waits, and kills it when it has kept some stripes.
pub(super) fn run_and_kill(tryout: &Tryout, words: &str, directory: &str) {
    let mut command = tryout.command(&format!("{words} --jobs 1 --out {directory}"));
    command.env("TRYOUT_HOLD", "1").stdout(Stdio::null());
    let mut sweep = command.spawn().expect("it starts");
    let file = tryout.path(directory).join("result.json");
    let kept = || {
        let document = file.exists().then(|| result(tryout, directory));
        document.is_some_and(|document| document["stripes"][0].is_object())
    };
    while !kept() {
        assert!(
            sweep.try_wait().expect("its child").is_none(),
            "it is running"
        );
        std::thread::yield_now();
    }
    sweep.kill().expect("its child");
    sweep.wait().expect("its child");
    let document = result(tryout, directory);
    assert_eq!(document["complete"], false);
    let waited_in_vain = document.to_string().contains("step-returns");
    assert!(!waited_in_vain, "it was kept while the sweep ran");
}

#[test]
fn a_sweep_that_was_killed_goes_on_and_ends_as_one_that_was_not() {
    let tryout = Tryout::new("resumed");
    let words = "run waits breaks undecided --seeds 0..700";
    tryout.expect(1, &format!("{words} --out whole"));
    run_and_kill(&tryout, words, "killed");
    // What is left open is as it was asked for the first time.
    let (out, _) = tryout.expect(1, "run --resume killed");
    assert!(out.contains(" stripes were there"), "{out}");
    assert!(out.contains("breaks, seed 3: few-ticks"), "{out}");
    assert_eq!(
        read(&tryout, "killed/result.json"),
        read(&tryout, "whole/result.json")
    );
    let plan = "breaks-3-few-ticks.toml";
    assert_eq!(
        read(&tryout, &format!("killed/{plan}")),
        read(&tryout, &format!("whole/{plan}"))
    );
    let whole = result(&tryout, "whole");
    assert_eq!(
        (&whole["complete"], &whole["verdict"]),
        (&true.into(), &"violated".into())
    );
    assert_eq!(whole["stripes"].as_array().map(Vec::len), Some(2_100));
    let names: Vec<_> = fs::read_dir(tryout.path("whole"))
        .expect("a directory")
        .collect();
    assert_eq!(names.len(), 2, "the result and the plan: {names:?}");
    // Nothing is left to do.
    let (out, _) = tryout.expect(1, &format!("{words} --resume killed"));
    assert!(
        out.contains("resumed: 2,100 stripes were there, 2,100 are complete now"),
        "{out}"
    );
    assert!(out.contains("\n0 further runs ("), "{out}");
    assert_eq!(
        read(&tryout, "killed/result.json"),
        read(&tryout, "whole/result.json")
    );
}

#[test]
fn what_is_resumed_is_what_was_begun() {
    let tryout = Tryout::new("refused");
    tryout.expect(0, "run ping-pong --seeds 0..20 --shard 2/3 --out part");
    let cases = [
        (
            "run --resume part --seeds 21",
            "seeds: found 0..20, expected 0..21",
        ),
        (
            "run undecided --resume part",
            "scenarios: found ping-pong, expected undecided",
        ),
        (
            "run --resume part --shard 1/3",
            "shard: found 2/3, expected 1/3",
        ),
    ];
    for (words, part) in cases {
        let (_, err) = tryout.expect(2, words);
        assert!(
            err.contains(&format!("error: part/result.json: {part}")),
            "{words}\n{err}"
        );
    }
    let good = read(&tryout, "part/result.json");
    let edits = [
        (
            "1.2.3+tryout",
            "1.2.4",
            "build: found 1.2.4, expected 1.2.3+tryout",
        ),
        (
            "\"format\": 1",
            "\"format\": 2",
            "format: found 2, expected 1",
        ),
        (
            "\"seeds\":1,",
            "\"seeds\":2,",
            "stripe 1 of ping-pong: found 2 seeds, expected 1",
        ),
        (
            "{\"stripe\":1,",
            "{\"stripe\":20,",
            "stripe 20 of ping-pong was not asked for",
        ),
        (
            "\"sum\":\"",
            "\"sum\":\"x",
            "expected the result of a sweep: found `x",
        ),
        ("]\n}", "", "expected the result of a sweep: EOF"),
    ];
    for (from, to, part) in edits {
        let bad = good.replace(from, to);
        assert_ne!(bad, good, "{from}");
        fs::write(tryout.path("part/result.json"), bad).expect("writable");
        let (_, err) = tryout.expect(2, "run --resume part");
        assert!(
            err.contains(&format!("error: part/result.json: {part}")),
            "{part}\n{err}"
        );
    }
    let (out, _) = tryout.expect(0, "run ping-pong --seeds 5 --resume new");
    assert!(out.contains("there was nothing to resume"), "{out}");
    assert_eq!(result(&tryout, "new")["complete"], true);
    fs::write(tryout.path("file"), "").expect("writable");
    let (_, err) = tryout.expect(2, "run ping-pong --seeds 5 --out file/part");
    assert!(
        err.contains("error: file/part/result.json: Not a directory"),
        "{err}"
    );
}

#[test]
fn what_an_unfinished_stripe_found_is_kept() {
    let tryout = Tryout::new("unfinished");
    // Stripes of two seeds, of which one never ends.
    let words = "run loops --seeds 2000 --jobs 1 --stuck-after 400ms";
    tryout.expect(1, &format!("{words} --out stuck"));
    let document = result(&tryout, "stuck");
    assert_eq!(document["verdict"], "violated");
    let missing = document["scenarios"][0]["missing"][0].as_str();
    assert!(
        missing.is_some_and(|missing| missing.ends_with("..2000")),
        "{missing:?}"
    );
    let unfinished = &document["unfinished"][0];
    assert_eq!(unfinished["stripe"], 1);
    assert_eq!(unfinished["violations"][0]["property"], "step-returns");
    // It is told of the whole, whatever becomes of the stripe.
    let (out, _) = tryout.expect(1, "merge stuck");
    assert!(out.contains("loops, seed 3: step-returns"), "{out}");
    let (out, _) = tryout.expect(1, "run --resume stuck --budget 1ms --stuck-after 400ms");
    assert!(out.contains("loops, seed 3: step-returns"), "{out}");
}
