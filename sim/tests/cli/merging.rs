//! Results of shards as one.

use super::Tryout;
use super::spreading::{read, result, run_and_kill};
use std::fs;

/// Shards of one sweep, each with its result in a directory.
fn shards(tryout: &Tryout, words: &str, count: u64) -> Vec<String> {
    let shard = |number| {
        let directory = format!("part-{number}");
        let shard = format!("{words} --shard {number}/{count} --out {directory}");
        let output = tryout.run(&shard);
        assert!(output.status.code().is_some_and(|code| code < 2), "{shard}");
        directory
    };
    (1..=count).map(shard).collect()
}

#[test]
fn seven_shards_in_any_order_with_one_killed_are_the_whole_byte_for_byte() {
    let tryout = Tryout::new("merged");
    let words = "run waits breaks undecided ping-pong --seeds 0..700";
    tryout.expect(1, &format!("{words} --out whole"));
    let whole = read(&tryout, "whole/result.json");
    let order = [4, 7, 1, 6, 3, 2];
    for number in order {
        let output = tryout.run(&format!("{words} --shard {number}/7 --out part-{number}"));
        assert!(output.status.code().is_some_and(|code| code < 2));
    }
    run_and_kill(&tryout, &format!("{words} --shard 5/7"), "part-5");
    let merged = "merge part-6 part-5 part-1 part-2 part-7 part-3 part-4 --out merged";
    let (out, _) = tryout.expect(1, merged);
    assert!(out.contains("missing: seeds "), "{out}");
    tryout.expect(1, "run --resume part-5");
    let reports = "--json=merged.json --junit junit.xml";
    let (_, out) = tryout.expect(1, &format!("{merged} {reports}"));
    assert!(
        out.contains("2,800 runs (seeds 0..700) of 7 results"),
        "{out}"
    );
    assert!(out.contains("breaks, seed 3: few-ticks"), "{out}");
    assert!(out.contains("140 found it; 3 is the smallest"), "{out}");
    assert!(
        out.contains("not checked in 140 seeds: linearizable"),
        "{out}"
    );
    assert_eq!(read(&tryout, "merged/result.json"), whole);
    assert_eq!(read(&tryout, "merged.json"), whole);
    assert!(read(&tryout, "junit.xml").contains("tests=\"4\" failures=\"1\""));
    tryout.expect(0, "replay merged/breaks-3-few-ticks.toml");
    // What is named twice, or was put together before, adds nothing.
    tryout.expect(1, "merge part-1 merged part-1 whole part-2 --out again");
    assert_eq!(read(&tryout, "again/result.json"), whole);
    tryout.expect(1, "merge part-3 --out again");
    assert_eq!(
        read(&tryout, "again/result.json"),
        read(&tryout, "part-3/result.json")
    );
}

#[test]
fn marks_and_obligations_are_asked_of_the_whole() {
    let tryout = Tryout::new("merged-full");
    let run = |words: &str| {
        let output = tryout.command(words).env("TRYOUT", "unmarked").output();
        let output = output.expect("it starts");
        let told = String::from_utf8(output.stdout).expect("text");
        (output.status.code(), told)
    };
    for number in 1..=2 {
        let (code, told) = run(&format!("run --shard {number}/2 --out part-{number}"));
        assert_eq!(code, Some(0), "{told}");
    }
    assert_eq!(run("run --out whole").0, Some(1));
    let (code, told) = run("merge part-1 --out half");
    assert_eq!(code, Some(3), "{told}");
    let (code, told) = run("merge part-2 part-1 --junit junit.xml --out merged");
    assert_eq!(code, Some(1), "{told}");
    let never = "unmarked: never reached: a state that is never reached";
    assert!(told.contains(never), "{told}");
    assert!(read(&tryout, "junit.xml").contains("never: a state that no scenario reaches"));
    assert_eq!(
        read(&tryout, "merged/result.json"),
        read(&tryout, "whole/result.json")
    );
    assert_eq!(result(&tryout, "half")["verdict"], "incomplete");
}

#[test]
fn missing_stripes_are_listed() {
    let tryout = Tryout::new("merged-missing");
    let parts = shards(&tryout, "run ping-pong undecided --seeds 10..20", 3);
    let (out, _) = tryout.expect(3, &format!("merge {} {}", parts[0], parts[2]));
    let told = "missing: seeds 11, 14, 17 of ping-pong, undecided\n";
    assert!(out.contains(told), "{out}");
    assert!(out.contains("14 runs (seeds 10..20) of 2 results"), "{out}");
    assert!(out.contains("incomplete: stripes are missing"), "{out}");
    let document = tryout.json(3, "merge part-3");
    let missing = &document["scenarios"][1]["missing"];
    assert_eq!(
        missing,
        &serde_json::json!(["10..12", "13..15", "16..18", "19"])
    );
    assert_eq!(document["shard"], "3/3");
    tryout.expect(0, "merge part-3 part-2 part-1");
}

#[test]
fn two_digests_of_a_seed_are_a_violation_in_any_order() {
    let tryout = Tryout::new("merged-clash");
    shards(&tryout, "run ping-pong --seeds 0..4", 2);
    fs::create_dir(tryout.path("other")).expect("writable");
    let good = read(&tryout, "part-1/result.json");
    // Another machine ran seed 2 with another digest.
    let (before, after) = good
        .split_once("{\"2\":\"")
        .expect("a digest for each seed");
    let (start, row) = before
        .rsplit_once("{\"sum\":\"")
        .expect("the digest of its stripe");
    let bad = format!(
        "{start}{{\"sum\":\"7{}{{\"2\":\"7{}",
        &row[1..],
        &after[1..]
    );
    assert_ne!(bad, good);
    fs::write(tryout.path("other/result.json"), bad).expect("writable");
    let mut documents = Vec::new();
    for order in ["part-1 other part-2", "part-2 other part-1 other"] {
        let words = format!("merge {order} --out none --json");
        let (document, err) = tryout.expect(1, &words);
        assert!(err.contains("ping-pong, seed 2: replay"), "{err}");
        assert!(err.contains("in other/result.json"), "{err}");
        assert!(err.contains("in part-1/result.json"), "{err}");
        assert!(document.contains("\"contradictions\""), "{document}");
        documents.push(document.replace(", other/result.json", ""));
    }
    assert_eq!(documents[0], documents[1]);
    assert!(
        !tryout.path("none/result.json").exists(),
        "it would be half a result"
    );
}

#[test]
fn results_of_something_else_are_refused_by_name() {
    let tryout = Tryout::new("merged-refused");
    shards(&tryout, "run ping-pong --seeds 0..4", 2);
    let good = read(&tryout, "part-1/result.json");
    tryout.expect(0, "run ping-pong --seeds 0..5 --out seeds");
    tryout.expect(0, "run undecided --seeds 0..4 --out scenarios");
    fs::create_dir(tryout.path("build")).expect("writable");
    let other = good.replace("1.2.3+tryout", "1.2.4");
    fs::write(tryout.path("build/result.json"), other).expect("writable");
    let cases = [
        (
            "merge part-1 part-2 seeds",
            "seeds/result.json: seeds: found 0..5, expected 0..4, as in part-1/result.json",
        ),
        (
            "merge part-1 scenarios",
            "scenarios/result.json: scenarios: found undecided, expected ping-pong, as in part-1",
        ),
        (
            "merge part-1 build",
            "build/result.json: build: found 1.2.4, expected 1.2.3+tryout, as in part-1",
        ),
        (
            "merge build",
            "build/result.json: build: found 1.2.4, expected 1.2.3+tryout\n",
        ),
        ("merge part-1 nothing", "nothing/result.json: No such file"),
        ("merge", "<DIR>..."),
    ];
    for (words, part) in cases {
        let (_, err) = tryout.expect(2, words);
        assert!(err.contains(part), "{words}\n{err}");
    }
}
