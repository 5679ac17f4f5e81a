//! The lines of a run that explain its finding.
//!
//! The last lines of a run explain little: a property breaks on one node, and what the others did
//! at that time has mostly nothing to do with it, while its cause lies in a message that was sent
//! long before. So the window is the finding's *past*: from its line it goes back along
//! [causes](super::past), the nearest first, until it is full. What belongs to one message, batch
//! or step is nearer than what happened to a node before; so a chain of messages is followed over
//! many nodes before the routine of one of them fills the window. If the past is shorter than the
//! window, the lines just before the finding fill it. What comes after the finding causes
//! nothing of it and is left out.
//!
//! A finding that names no node could be the fault of any, so it has the past of each node's last
//! line.

use super::past::Past;
use crate::report::Finding;
use crate::time::Instant;
use crate::trace::{Line, Trace};
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

/// How many lines before a finding are looked at for what led to it.
pub(crate) const LOOK_BACK: usize = 20_000;

/// How far a line is from its first cause, and from the two others.
const STEPS: [u32; 3] = [1, 3, 4];

/// The lines of a trace that a report keeps: at most `lines_max`, all of them where they are no
/// more than that.
pub(crate) fn kept(trace: &Trace, finding: Option<&Finding>, lines_max: usize) -> Vec<Line> {
    let lines = trace.lines();
    let Some(finding) = finding.filter(|_| lines.len() > lines_max) else {
        let spare = lines.len().saturating_sub(lines_max);
        return lines.skip(spare).cloned().collect();
    };
    selected(lines.cloned().collect(), finding, lines_max)
}

/// The lines of a trace that led to a finding.
pub(crate) fn selected(lines: Vec<Line>, finding: &Finding, lines_max: usize) -> Vec<Line> {
    let chosen = indices(&lines, finding, lines_max);
    let pairs = lines.into_iter().enumerate();
    let kept = pairs.filter(|(index, _)| chosen.contains(index));
    kept.map(|(_, line)| line).collect()
}

/// Whether the trace of a run has forgotten what came before a finding.
pub(crate) fn is_gone(trace: &Trace, at: Instant) -> bool {
    trace.dropped() > 0 && trace.lines().next().is_some_and(|first| first.at > at)
}

/// The line at which a finding was made: the last one of its node until then, if it names one.
pub(crate) fn place(lines: &[Line], finding: &Finding) -> Option<usize> {
    let end = lines.partition_point(|line| line.at <= finding.at);
    let before = &lines[..end];
    let own = finding
        .node
        .and_then(|node| before.iter().rposition(|line| line.node == Some(node)));
    own.or_else(|| end.checked_sub(1))
}

/// The places of the lines of a trace that led to a finding.
pub(crate) fn indices(lines: &[Line], finding: &Finding, lines_max: usize) -> BTreeSet<usize> {
    if lines.len() <= lines_max {
        return (0..lines.len()).collect();
    }
    let Some(place) = place(lines, finding) else {
        return (0..lines_max).collect();
    };
    let past = Past::new(lines);
    let mut chosen = BTreeSet::new();
    let mut near = BinaryHeap::new();
    match finding.node {
        // The whole step is part of what was found.
        Some(node) => {
            let step = past.step(place);
            let own = (step..=place).filter(|index| lines[*index].node == Some(node));
            near.extend(own.rev().map(|index| (Reverse(0), index)));
        }
        None => near.extend(last_of_each(&lines[..=place]).map(|index| (Reverse(0), index))),
    }
    while let Some((Reverse(distance), index)) = near.pop() {
        if chosen.len() == lines_max {
            break;
        }
        if !chosen.insert(index) {
            continue;
        }
        for (cause, step) in past.causes(index).into_iter().zip(STEPS) {
            near.extend(cause.map(|cause| (Reverse(distance + step), cause)));
        }
    }
    let rest = (0..=place).rev();
    let spare = lines_max - chosen.len();
    let fill: Vec<usize> = rest
        .filter(|index| !chosen.contains(index))
        .take(spare)
        .collect();
    chosen.extend(fill);
    chosen
}

/// The last line of each node.
fn last_of_each(lines: &[Line]) -> impl Iterator<Item = usize> {
    let mut seen = BTreeSet::new();
    let all = lines.iter().enumerate().rev();
    all.filter(move |(_, line)| seen.insert(line.node))
        .map(|(index, _)| index)
}

#[cfg(test)]
mod tests;
