//! A run as a space-time diagram: what stands where, without a word on how it is drawn.
//!
//! Everything that takes two lines of a trace is put together here: messages from their sending
//! to their arrival, batches from the order to the answer, and states that last.

mod spans;

use super::past::Past;
use super::window;
use crate::report::Finding;
use crate::trace::{Event, Line};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use spans::Span;

/// A run, ready to be drawn; lines are named by their index.
#[derive(Debug, Serialize)]
pub(crate) struct Diagram<'a> {
    pub format: u32,
    pub title: &'a str,
    pub nodes: u16,
    pub finding: Option<Found<'a>>,
    pub marks: Vec<Mark>,
    pub arrows: Vec<Arrow>,
    pub batches: Vec<Batch>,
    pub spans: Vec<Span>,
}

/// What was found.
#[derive(Debug, Serialize)]
pub(crate) struct Found<'a> {
    pub property: &'a str,
    pub site: &'a str,
    pub node: Option<u16>,
    pub at: u64,
    pub message: &'a str,
    /// The line at which it was found.
    pub line: Option<usize>,
    /// The lines that led to it, as many as a violation shows.
    pub past: BTreeSet<usize>,
}

/// One line of the trace.
#[derive(Debug, Serialize)]
pub(crate) struct Mark {
    /// Nanoseconds of true time.
    pub at: u64,
    pub node: Option<u16>,
    pub kind: &'static str,
    pub text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// The lines that caused it, as far as the trace has them.
    pub causes: Vec<usize>,
    /// The line of the input that its step began with, if that is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
}

/// A copy of a message on its way.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Arrow {
    pub number: u64,
    pub from: u16,
    pub to: u16,
    /// The line of the sending, if it is there.
    pub sent: Option<usize>,
    /// The line of what became of it.
    pub ended: Option<usize>,
    pub fate: Fate,
}

/// What became of a copy of a message.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fate {
    Received,
    Refused,
    Lost,
    /// Nothing that the trace knows of.
    Open,
}

/// File operations that are answered together.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Batch {
    pub node: u16,
    pub ordered: usize,
    /// The line of the answer; a crash takes it away.
    pub answered: Option<usize>,
}

impl<'a> Diagram<'a> {
    /// Draws some lines of a run, oldest first.
    pub(crate) fn new(
        title: &'a str,
        nodes: u16,
        finding: Option<&'a Finding>,
        lines: &[Line],
    ) -> Self {
        let past = Past::new(lines);
        let mark = |(index, line): (usize, &Line)| Mark {
            at: line.at.as_nanos(),
            node: line.node.map(|node| node.0),
            kind: line.event.kind(),
            text: line.event.to_string(),
            number: line.number,
            causes: past.causes(index).into_iter().flatten().collect(),
            step: Some(past.step(index)).filter(|step| *step != index),
        };
        Self {
            format: 1,
            title,
            nodes,
            finding: finding.map(|finding| Found::new(finding, lines)),
            marks: lines.iter().enumerate().map(mark).collect(),
            arrows: arrows(nodes, lines),
            batches: batches(lines),
            spans: spans::spans(nodes, lines),
        }
    }
}

impl<'a> Found<'a> {
    fn new(finding: &'a Finding, lines: &[Line]) -> Self {
        Self {
            property: &finding.property,
            site: &finding.site,
            node: finding.node.map(|node| node.0),
            at: finding.at.as_nanos(),
            message: &finding.message,
            line: window::place(lines, finding),
            past: window::indices(lines, finding, PAST_MAX),
        }
    }
}

/// Lines of the past of a finding that are drawn as such.
const PAST_MAX: usize = 30;

/// A message that was sent: the line, by whom and to whom, unless to all.
#[derive(Copy, Clone)]
struct Sending {
    line: usize,
    from: u16,
    to: Option<u16>,
}

fn arrows(nodes: u16, lines: &[Line]) -> Vec<Arrow> {
    let mut sent: BTreeMap<u64, Sending> = BTreeMap::new();
    let mut known: BTreeSet<(u64, u16)> = BTreeSet::new();
    let mut arrows = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let (Some(number), Some(node)) = (line.number, line.node) else {
            continue;
        };
        let node = node.0;
        let sending = sent.get(&number).copied();
        let sender = sending.map(|sending| sending.from);
        let ended = match &line.event {
            Event::Send { to, .. } => {
                let (from, to) = (node, to.map(|to| to.0));
                let line = index;
                sent.insert(number, Sending { line, from, to });
                None
            }
            Event::Receive { from, .. } => Some((Some(from.0), node, Fate::Received)),
            Event::Refused { .. } => Some((sender, node, Fate::Refused)),
            Event::Lost { to, .. } => Some((Some(node), to.0, Fate::Lost)),
            Event::Boot { .. }
            | Event::Crash {}
            | Event::Wake {}
            | Event::Op { .. }
            | Event::Link { .. }
            | Event::Stored { .. }
            | Event::Persist { .. }
            | Event::Output { .. }
            | Event::Fault { .. }
            | Event::State { .. }
            | Event::Role { .. }
            | Event::Exit {}
            | Event::Log { .. }
            | Event::Note { .. } => None,
        };
        if let Some((Some(from), to, fate)) = ended {
            known.insert((number, to));
            arrows.push(Arrow {
                number,
                from,
                to,
                sent: sending.map(|sending| sending.line),
                ended: Some(index),
                fate,
            });
        }
    }
    for (number, Sending { line, from, to }) in sent {
        let receivers = (0..nodes).filter(|node| to.map_or(*node != from, |to| to == *node));
        let open = receivers.filter(|node| !known.contains(&(number, *node)));
        arrows.extend(open.map(|to| Arrow {
            number,
            from,
            to,
            sent: Some(line),
            ended: None,
            fate: Fate::Open,
        }));
    }
    arrows
}

/// A disk serves its batches one after the other, and forgets them when its node crashes.
fn batches(lines: &[Line]) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    let mut open: BTreeMap<u16, VecDeque<usize>> = BTreeMap::new();
    for (index, line) in lines.iter().enumerate() {
        let Some(node) = line.node.map(|node| node.0) else {
            continue;
        };
        let open = open.entry(node).or_default();
        match line.event.kind() {
            "persist" => {
                open.push_back(batches.len());
                batches.push(Batch {
                    node,
                    ordered: index,
                    answered: None,
                });
            }
            "stored" => {
                if let Some(batch) = open.pop_front() {
                    batches[batch].answered = Some(index);
                }
            }
            "crash" => open.clear(),
            _ => {}
        }
    }
    batches
}

#[cfg(test)]
mod tests;
