//! A run as a trace of Chrome, which Perfetto and other viewers open.
//!
//! The run is a process and each node a thread of it, one more stands for the cluster. A line is
//! a slice at its time. Slices that last are batches, from order to answer, and what lasts:
//! roles, pauses, nodes that are down, and what is between nodes. A message is a flow from the slice of its sending to that
//! of its arrival. Times are microseconds with nanoseconds as decimals, so nothing is rounded.

use super::diagram::{Diagram, Fate};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What a line takes at most, to be seen, in nanoseconds.
const LINE_TAKES: u64 = 1_000;

/// The document of a diagram.
pub(crate) fn perfetto(diagram: &Diagram<'_>) -> Value {
    let mut events = names(diagram);
    for (mark, takes) in diagram.marks.iter().zip(spans_of_lines(diagram)) {
        events.push(json!({
            "ph": "X", "pid": 0, "tid": thread(mark.node), "ts": micros(mark.at),
            "dur": micros(takes), "cat": mark.kind, "name": mark.text,
            "args": { "message": mark.number },
        }));
    }
    events.extend(flows(diagram));
    events.extend(lasting(diagram));
    let found = diagram.finding.as_ref().map(|found| {
        json!({
            "ph": "i", "s": "g", "pid": 0, "tid": thread(found.node), "ts": micros(found.at),
            "cat": "violation", "name": format!("{}: {}", found.property, found.message),
        })
    });
    events.extend(found);
    json!({ "displayTimeUnit": "ns", "traceEvents": events })
}

/// How long the slice of each line is: it ends before the next one of its thread begins, for
/// slices of a thread lie inside each other or apart. Lines of one instant lie inside each other.
fn spans_of_lines(diagram: &Diagram<'_>) -> Vec<u64> {
    // By thread: the time of the line behind, and of the first one that is later than that.
    let mut behind: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
    let mut spans = Vec::with_capacity(diagram.marks.len());
    for mark in diagram.marks.iter().rev() {
        let (at, later) = behind
            .entry(thread(mark.node))
            .or_insert((u64::MAX, u64::MAX));
        if *at != mark.at {
            (*at, *later) = (mark.at, *at);
        }
        spans.push(LINE_TAKES.min(*later - mark.at));
    }
    spans.reverse();
    spans
}

/// The names of the process and its threads, in the order of the nodes.
fn names(diagram: &Diagram<'_>) -> Vec<Value> {
    let name = |tid: u32, name: String| json!({ "ph": "M", "pid": 0, "tid": tid, "name": "thread_name", "args": { "name": name } });
    let order = |tid: u32| json!({ "ph": "M", "pid": 0, "tid": tid, "name": "thread_sort_index", "args": { "sort_index": tid } });
    let process =
        json!({ "ph": "M", "pid": 0, "name": "process_name", "args": { "name": diagram.title } });
    let mut names = vec![process, name(0, "cluster".to_owned()), order(0)];
    for node in 0..diagram.nodes {
        let tid = thread(Some(node));
        names.extend([name(tid, format!("n{node}")), order(tid)]);
    }
    names
}

/// Each copy of a message that arrived, as a flow of its own.
fn flows(diagram: &Diagram<'_>) -> Vec<Value> {
    let mut flows = Vec::new();
    for (id, arrow) in diagram.arrows.iter().enumerate() {
        let (Some(sent), Some(ended)) = (arrow.sent, arrow.ended) else {
            continue;
        };
        if arrow.fate == Fate::Lost {
            continue;
        }
        let end = |phase: &str, line: usize| {
            let mark = &diagram.marks[line];
            json!({
                "ph": phase, "bp": "e", "id": id, "pid": 0, "tid": thread(mark.node),
                "ts": micros(mark.at), "cat": "message", "name": "message",
            })
        };
        flows.extend([end("s", sent), end("f", ended)]);
    }
    flows
}

/// Batches and states, as slices that overlap: each has a track of its kind and number.
fn lasting(diagram: &Diagram<'_>) -> Vec<Value> {
    let end = diagram.marks.last().map_or(0, |mark| mark.at);
    let at = |line: usize| diagram.marks[line].at;
    let mut events = Vec::new();
    let mut add = |cat: &str, name: &str, node: Option<u16>, from: u64, until: u64| {
        let id = events.len();
        let event = |phase: &str, ts: u64| {
            json!({
                "ph": phase, "id": id, "pid": 0, "tid": thread(node), "ts": micros(ts),
                "cat": cat, "name": name,
            })
        };
        events.push([event("b", from), event("e", until)]);
    };
    for batch in &diagram.batches {
        let until = batch.answered.map_or(end, at);
        let name = format!("n{} disk", batch.node);
        add("disk", &name, Some(batch.node), at(batch.ordered), until);
    }
    for span in &diagram.spans {
        let until = span.until.map_or(end, at);
        let name = match span.node {
            Some(node) => format!("n{node} {}", span.text),
            None => span.text.clone(),
        };
        add("state", &name, span.node, at(span.from), until);
    }
    events.into_iter().flatten().collect()
}

/// The thread of a node; the cluster has the first one.
fn thread(node: Option<u16>) -> u32 {
    node.map_or(0, |node| u32::from(node) + 1)
}

/// Nanoseconds as a number of microseconds with three decimals.
fn micros(nanos: u64) -> Value {
    let text = format!("{}.{:03}", nanos / 1_000, nanos % 1_000);
    serde_json::from_str(&text).unwrap_or_default()
}

#[cfg(test)]
mod tests;
