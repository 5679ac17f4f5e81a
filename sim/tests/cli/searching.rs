//! `explore`: what it prints, how it ends, and the plan of what it finds.

use super::Tryout;
use std::fs;

#[test]
fn what_holds_within_the_budgets_is_told() {
    let tryout = Tryout::new("explore-holds");
    let (out, _) = tryout.expect(0, "explore ping-pong --depth 10");
    for part in [
        "begins   2 nodes, 0 operations",
        "unique of",
        "deepest  10 choices",
        "budgets  1 crashes, 3 deadlines",
        "all holds in every run of up to 10 choices",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
    let words = "explore ping-pong --depth 10 --crashes 0 --timeouts any --losses 1 --memory 1G";
    let json = tryout.json(0, words);
    assert_eq!(json["end"], "depth");
    assert_eq!(json["budgets"]["crashes"], 0);
    assert!(json["budgets"]["timeouts"].is_null());
    assert_eq!(json["budgets"]["losses"], 1);
    assert_eq!(json["budgets"]["memory_bytes"], 1 << 30);
    assert!(json["violation"].is_null());
    assert!(json["states"].as_u64() > Some(100), "{json}");
}

#[test]
fn a_search_that_ends_early_is_incomplete() {
    let tryout = Tryout::new("explore-budgets");
    let json = tryout.json(3, "explore ping-pong --states 50");
    assert_eq!(json["end"], "states");
    let json = tryout.json(3, "explore ping-pong --depth 60 --memory 1M");
    assert_eq!(json["end"], "memory");
}

#[test]
fn a_counterexample_is_a_plan_that_replays() {
    let tryout = Tryout::new("explore-finds");
    for (scenario, property) in [("breaks", "few-ticks"), ("panics", "panic")] {
        let (out, _) = tryout.expect(1, &format!("explore {scenario} --out found"));
        assert!(out.contains(&format!("violation  {property}")), "{out}");
        let file = format!("found/{scenario}-explored-{property}.toml");
        let text = fs::read_to_string(tryout.directory.join(&file)).expect("a plan");
        assert!(text.contains("choices = ["), "{text}");
        let (out, _) = tryout.expect(0, &format!("replay {file} --strict"));
        assert!(out.contains(&format!("violates {property}")), "{out}");
        let (out, _) = tryout.expect(1, &format!("trace {file} --last 3"));
        assert!(out.contains(property), "{out}");
        tryout.expect(0, &format!("replay {file} --until 3ms"));
    }
}

#[test]
fn what_cannot_be_searched_is_refused() {
    let tryout = Tryout::new("explore-refuses");
    for (words, problem) in [
        ("explore ping", "no scenario is called `ping`"),
        (
            "explore loops",
            "scenario loops cannot be explored; these can: ping-pong",
        ),
        (
            "explore ping-pong --memory 4",
            "expected memory such as 512M or 4G",
        ),
        (
            "explore ping-pong --timeouts many",
            "expected a number up to 255, or `any`",
        ),
    ] {
        let (_, err) = tryout.expect(2, words);
        assert!(err.contains(problem), "{words}: {err}");
    }
}
