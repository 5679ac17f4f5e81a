use super::*;
use crate::node::NodeIndex;
use crate::report::Finding;
use crate::time::Instant;
use crate::trace::{Event, Line};

const A: Option<NodeIndex> = Some(NodeIndex(0));
const B: Option<NodeIndex> = Some(NodeIndex(1));

fn line(nanos: u64, node: Option<NodeIndex>, number: Option<u64>, event: Event) -> Line {
    Line {
        place: 0,
        at: Instant::from_nanos(nanos),
        node,
        number,
        event,
    }
}

/// Node 0 sends two messages, of which one is lost, and stores something.
fn document() -> Value {
    let message = || "hello".to_owned();
    let (to, ops) = (NodeIndex(1), Vec::new());
    let error = None;
    let send = || Event::Send {
        to: Some(to),
        message: message(),
    };
    let lost = Event::Lost {
        to,
        message: message(),
    };
    let receive = Event::Receive {
        from: NodeIndex(0),
        message: message(),
    };
    let lines = [
        line(1_000, A, Some(1), send()),
        line(1_000, A, Some(2), send()),
        line(1_000, A, Some(2), lost),
        line(1_500, A, None, Event::Persist { token: 1, ops }),
        line(2_345, B, Some(1), receive),
        line(4_000, A, None, Event::Stored { token: 1, error }),
        line(5_000, B, None, Event::Crash {}),
        line(9_000, A, None, Event::Wake {}),
    ];
    let finding = Finding {
        node: B,
        at: Instant::from_nanos(5_000),
        ..Finding::new("p", "broken")
    };
    perfetto(&Diagram::new("t", 2, Some(&finding), &lines))
}

/// The events of one phase: thread, microseconds, name.
fn events(document: &Value, phase: &str) -> Vec<(u64, f64, String)> {
    let all = document["traceEvents"].as_array().expect("a list");
    let wanted = all.iter().filter(|event| event["ph"] == phase);
    let told = wanted.map(|event| {
        let name = event["name"].as_str().expect("a name").to_owned();
        let ts = event["ts"].as_f64().unwrap_or_default();
        (event["tid"].as_u64().unwrap_or_default(), ts, name)
    });
    told.collect()
}

fn entry(tid: u64, ts: f64, name: &str) -> (u64, f64, String) {
    (tid, ts, name.to_owned())
}

#[test]
fn nodes_are_threads_and_lines_slices() {
    let document = document();
    let slices = events(&document, "X");
    assert_eq!(slices.len(), 8);
    assert_eq!(slices[0], entry(1, 1.0, "-> n1 hello"));
    assert_eq!(slices[4], entry(2, 2.345, "<- n0 hello"));
    let names = document["traceEvents"].as_array().expect("a list").iter();
    let names = names.filter(|event| event["name"] == "thread_name");
    let names: Vec<_> = names
        .map(|event| (event["tid"].clone(), event["args"]["name"].clone()))
        .collect();
    let expected = [(0, "cluster"), (1, "n0"), (2, "n1")];
    assert_eq!(names, expected.map(|(tid, name)| (tid.into(), name.into())));
}

#[test]
fn slices_of_a_thread_never_overlap_in_part() {
    let document = document();
    let all = document["traceEvents"].as_array().expect("a list");
    let slices = all.iter().filter(|event| event["ph"] == "X");
    let takes: Vec<_> = slices.map(|event| event["dur"].as_f64()).collect();
    // Half a microsecond behind the first three of node 0 comes the fourth.
    let expected = [0.5, 0.5, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0].map(Some);
    assert_eq!(takes, expected);
}

#[test]
fn messages_that_arrive_are_flows() {
    let document = document();
    assert_eq!(events(&document, "s"), [entry(1, 1.0, "message")]);
    assert_eq!(events(&document, "f"), [entry(2, 2.345, "message")]);
}

#[test]
fn what_lasts_begins_and_ends_and_the_finding_is_there() {
    let document = document();
    let begins = [entry(1, 1.5, "n0 disk"), entry(2, 5.0, "n1 down")];
    let ends = [entry(1, 4.0, "n0 disk"), entry(2, 9.0, "n1 down")];
    assert_eq!(events(&document, "b"), begins);
    assert_eq!(events(&document, "e"), ends);
    assert_eq!(events(&document, "i"), [entry(2, 5.0, "p: broken")]);
}
