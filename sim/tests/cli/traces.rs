//! Traces: what is shown of one run, and in which form.

use super::Tryout;
use serde_json::Value;

/// A run with crashes, losses and partitions.
const RUN: &str = "trace ping-pong --seed 4";

fn lines(tryout: &Tryout, words: &str) -> Vec<Value> {
    let trace = tryout.json(0, &format!("{RUN} {words}"));
    trace["lines"].as_array().expect("lines").clone()
}

#[test]
fn traces_are_filtered_by_node_kind_text_and_time() {
    let tryout = Tryout::new("filters");
    let all = lines(&tryout, "");
    let kept = |words: &str, wanted: &dyn Fn(&Value) -> bool| {
        let wanted: Vec<_> = all.iter().filter(|line| wanted(line)).cloned().collect();
        assert!(!wanted.is_empty() && wanted.len() < all.len(), "{words}");
        assert_eq!(lines(&tryout, words), wanted, "{words}");
    };
    let at = |line: &Value| line["at"].as_u64().expect("a time");
    let text = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
    kept("--kind send,lost", &|line| {
        ["send", "lost"].contains(&&*text(line, "event"))
    });
    kept("--match Pong(1)", &|line| {
        text(line, "message").contains("Pong(1)")
    });
    kept("--from 1.5s --until 2000ms", &|line| {
        (1_500_000_000..=2_000_000_000).contains(&at(line))
    });
    let reaches = |line: &Value, node: u64| match line["nodes"].as_array() {
        Some(nodes) => nodes.is_empty() || nodes.contains(&node.into()),
        None => line["node"] == node,
    };
    kept("--node n1", &|line| reaches(line, 1));
    kept("--node 0 --node n1 --kind boot", &|line| {
        line["event"] == "boot"
    });
    kept("--node 1 --kind fault", &|line| {
        line["event"] == "fault" && reaches(line, 1)
    });
    assert_eq!(lines(&tryout, "--last 3"), all[all.len() - 3..]);
    let sends = lines(&tryout, "--kind send");
    assert_eq!(
        lines(&tryout, "--kind send --last 2"),
        sends[sends.len() - 2..]
    );
    // As text they are the same lines.
    let (out, _) = tryout.expect(0, &format!("{RUN} --kind send --last 2"));
    assert_eq!(out.lines().count(), 2);
    assert!(out.lines().all(|line| line.contains(" -> n")), "{out}");
}

#[test]
fn a_page_shows_a_run_and_opens_at_what_was_found() {
    let tryout = Tryout::new("page");
    let (out, _) = tryout.expect(1, "trace breaks --seed 3 --html run.html");
    assert!(out.contains("run.html: "), "{out}");
    assert!(out.contains("violation  few-ticks"), "{out}");
    assert!(!out.contains("wake"), "{out}");
    let page = std::fs::read_to_string(tryout.path("run.html")).expect("written");
    let (_, rest) = page.split_once("id=\"data\">").expect("the data");
    let (json, _) = rest.split_once("</script>").expect("its end");
    let data: Value = serde_json::from_str(json).expect("JSON");
    assert_eq!(data["title"], "breaks, seed 3");
    assert_eq!((&data["format"], &data["nodes"]), (&1.into(), &2.into()));
    let marks = data["marks"].as_array().expect("lines");
    let found = data["finding"]["line"].as_u64().expect("a line") as usize;
    assert_eq!(marks[found]["node"], 1);
    assert_eq!(found, marks.len() - 1, "the run ended there");
    // The same lines as text.
    let trace = tryout.json(1, "trace breaks --seed 3");
    assert_eq!(trace["lines"].as_array().map(Vec::len), Some(marks.len()));
    // Filters choose what is drawn.
    tryout.expect(0, &format!("{RUN} --kind boot --html boots.html"));
    let boots = std::fs::read_to_string(tryout.path("boots.html")).expect("written");
    assert!(boots.contains("boot run 1") && !boots.contains("Ping("));
}

#[test]
fn a_trace_for_other_viewers_is_one_document() {
    let tryout = Tryout::new("perfetto");
    let (out, err) = tryout.expect(1, "trace breaks --seed 3 --format perfetto");
    assert!(err.contains("violation  few-ticks"), "{err}");
    let document: Value = serde_json::from_str(&out).expect("nothing but JSON");
    let events = document["traceEvents"].as_array().expect("events");
    let found = events.iter().find(|event| event["cat"] == "violation");
    assert_eq!(found.expect("it is there")["tid"], 2);
    tryout.expect(
        0,
        &format!("{RUN} --kind send --format perfetto --json=sends.json"),
    );
    let text = std::fs::read_to_string(tryout.path("sends.json")).expect("written");
    let document: Value = serde_json::from_str(&text).expect("JSON");
    let events = document["traceEvents"].as_array().expect("events");
    let slices = events.iter().filter(|event| event["ph"] == "X");
    assert_eq!(slices.count(), lines(&tryout, "--kind send").len());
}

#[test]
fn a_replay_until_some_time_shows_every_node_then() {
    let tryout = Tryout::new("until");
    tryout.expect(1, "run breaks --seeds 3..4");
    let replay = "replay failures/breaks-3-few-ticks.toml";
    let (out, _) = tryout.expect(0, &format!("{replay} --until 55ms"));
    for part in [
        "not judged  failures/breaks-3-few-ticks.toml: nothing broke until 0.055000s",
        "  nodes    n0   fresh, 6 ticks\n                run 1\n",
        "at 0.055000s of simulated time",
    ] {
        assert!(out.contains(part), "{part}\n{out}");
    }
    // What breaks before is told, and judged.
    let (out, _) = tryout.expect(0, &format!("{replay} --until 400ms"));
    assert!(
        out.contains("violates few-ticks") && out.contains("  nodes    n0   busy, "),
        "{out}"
    );
    let plan = tryout.path("failures/breaks-3-few-ticks.toml");
    let text = std::fs::read_to_string(&plan).expect("written");
    std::fs::write(&plan, text.replace("violates", "#")).expect("writable");
    tryout.expect(1, &format!("{replay} --until 400ms"));
    // A node that is down and a machine that tells nothing.
    tryout.expect(1, "run panics --seeds 3..4");
    let panics = tryout.path("failures/panics-3-panic.toml");
    let text = std::fs::read_to_string(&panics).expect("written");
    let crash = "[[faults]]\nat_ms = 20\nkind = \"crash\"\nnode = 0\n";
    std::fs::write(&panics, format!("{text}\n{crash}")).expect("writable");
    let (out, _) = tryout.expect(0, "replay failures/panics-3-panic.toml --until 30ms");
    assert!(
        out.contains("n0   down\n") && out.contains("n1   no description ("),
        "{out}"
    );
    let nodes = tryout.json(0, "replay failures/panics-3-panic.toml --until 30ms");
    let nodes = &nodes["replays"][0]["nodes"];
    assert_eq!(
        (&nodes[0]["standing"], &nodes[1]["standing"]),
        (&"down".into(), &"up".into())
    );
}

#[test]
fn a_trace_tells_when_a_role_changes_and_a_page_shows_it() {
    let tryout = Tryout::new("roles");
    let (out, _) = tryout.expect(0, "trace breaks --seed 1 --kind role --node 0");
    assert!(out.contains("role fresh, 0 ticks; run 1\n"), "{out}");
    assert!(out.contains("role busy, 10 ticks; run 1\n"), "{out}");
    assert_eq!(out.lines().count(), 2, "{out}");
}
