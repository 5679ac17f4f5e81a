//! Lines of a trace that somebody asked for.

use crate::node::NodeIndex;
use crate::time::Instant;
use crate::trace::{Event, Line};

/// What lines have to be like; what is empty asks for nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// On one of these nodes, or a fault of one of them.
    pub nodes: Vec<NodeIndex>,
    /// Of one of these kinds.
    pub kinds: Vec<String>,
    /// With this text in it.
    pub text: Option<String>,
    /// At this time or later.
    pub from: Option<Instant>,
    /// At this time or before.
    pub until: Option<Instant>,
    /// So many of them, the last ones.
    pub last: Option<usize>,
}

impl Filter {
    /// The lines that are as they should be.
    pub(crate) fn of(&self, mut lines: Vec<Line>) -> Vec<Line> {
        lines.retain(|line| self.wants(line));
        let spare = self.last.map_or(0, |last| lines.len().saturating_sub(last));
        lines.drain(..spare);
        lines
    }

    fn wants(&self, line: &Line) -> bool {
        let has = |text: &String| line.event.to_string().contains(text.as_str());
        self.from.is_none_or(|from| from <= line.at)
            && self.until.is_none_or(|until| line.at <= until)
            && (self.kinds.is_empty() || self.kinds.iter().any(|kind| kind == line.event.kind()))
            && (self.nodes.is_empty() || self.nodes.iter().any(|node| is_of(line, *node)))
            && self.text.as_ref().is_none_or(has)
    }
}

/// Whether a line is about what a node did, or about a fault that reaches it.
fn is_of(line: &Line, node: NodeIndex) -> bool {
    let Event::Fault { fault } = &line.event else {
        return line.node == Some(node);
    };
    let mut nodes = fault.nodes().peekable();
    nodes.peek().is_none() || nodes.any(|named| named == node)
}
