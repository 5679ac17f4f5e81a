//! A finding as people and programs read it.

use super::console::{Console, Look};
use crate::explain::window;
use crate::report::{Finding, NodeState, STUCK, Standing};
use crate::time::Instant;
use crate::trace::Line;
use serde_json::{Value, json};

/// Lines of the trace that a violation shows.
pub(super) const TAIL: usize = 30;

/// Prints where and when a property broke.
pub(super) fn print_finding(console: &mut Console, finding: &Finding) {
    if finding.property != STUCK {
        let node = finding
            .node
            .map_or_else(String::new, |node| format!(", on {node}"));
        console.line(format!("  when     {} of simulated time{node}", finding.at));
    }
    if !finding.site.is_empty() {
        console.line(format!("  where    {}", finding.site));
    }
    console.line(format!("  what     {}", finding.message));
    if let Some(input) = &finding.input {
        console.line(format!("  input    {input}"));
    }
    let stack = finding.backtrace.as_deref().unwrap_or_default();
    for (index, line) in stack.lines().enumerate() {
        let label = if index == 0 { "stack" } else { "" };
        console.line(format!("  {label:<8} {line}"));
    }
}

/// Prints the lines that led to a finding, and marks its own; dots stand for lines in between that
/// are left out.
pub(super) fn print_trace(console: &mut Console, trace: &[Line], finding: &Finding) {
    let found = window::place(trace, finding);
    let mut next = trace.first().map_or(0, |line| line.place);
    for (index, line) in trace.iter().enumerate() {
        let label = if index == 0 { "trace" } else { "" };
        let (mark, look) = match (found == Some(index), line.place == next) {
            (true, _) => (">", Look::Strong),
            (false, true) => ("", Look::Dim),
            (false, false) => (":", Look::Dim),
        };
        let text = console.paint(look, line);
        console.line(format!("  {label:<7}{mark:<2}{text}"));
        next = line.place + 1;
    }
}

/// Prints what every node is like.
pub(super) fn print_nodes(console: &mut Console, at: Instant, nodes: &[NodeState]) {
    for (index, state) in nodes.iter().enumerate() {
        let label = if index == 0 { "nodes" } else { "" };
        let told = match (state.standing, &state.told) {
            (Standing::Down, _) => "down".to_owned(),
            (_, None) => "no description (its machine has no `describe`)".to_owned(),
            (_, Some(told)) => told.replace('\n', &format!("\n{:16}", "")),
        };
        let paused = match state.standing {
            Standing::Paused => "paused; ",
            Standing::Up | Standing::Down => "",
        };
        let node = state.node.to_string();
        console.line(format!("  {label:<8} {node:<4} {paused}{told}"));
    }
    if !nodes.is_empty() {
        console.line(format!("           at {at} of simulated time"));
    }
}

/// What a node is like, for programs.
pub(super) fn node_json(state: &NodeState) -> Value {
    let standing = match state.standing {
        Standing::Up => "up",
        Standing::Paused => "paused",
        Standing::Down => "down",
    };
    json!({ "node": state.node.0, "standing": standing, "describes": state.told })
}

/// A finding for programs.
pub(super) fn finding_json(finding: &Finding) -> Value {
    json!({
        "property": finding.property,
        "site": finding.site,
        "node": finding.node.map(|node| node.0),
        "at_ns": finding.at.as_nanos(),
        "message": finding.message,
        "input": finding.input,
        "backtrace": finding.backtrace,
    })
}
