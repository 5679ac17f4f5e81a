//! Sweeps in parts.

use super::Tryout;
use serde_json::{Map, Value};

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
