//! States that last: of nodes, and of what is between them.

use crate::fault::{Fault, Keep};
use crate::node::NodeIndex;
use crate::trace::{Event, Line};
use serde::Serialize;
use std::collections::BTreeMap;

/// Something that lasts.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Span {
    pub kind: Lasting,
    /// The node; what is between nodes has none.
    pub node: Option<u16>,
    pub text: String,
    /// The line that it begins with.
    pub from: usize,
    /// The line that it ends with, if it ends.
    pub until: Option<usize>,
}

/// What lasts.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Lasting {
    Role,
    Down,
    Paused,
    ClockStopped,
    Partition,
    Cut,
    Clog,
    Filter,
}

/// What tells a state from others: its kind, its nodes, and of a filter what it filters.
type Key = (Lasting, Vec<NodeIndex>, Option<String>);

#[derive(Default)]
struct Walk {
    spans: Vec<Span>,
    open: BTreeMap<Key, usize>,
}

/// All states that last in a trace.
pub(crate) fn spans(nodes: u16, lines: &[Line]) -> Vec<Span> {
    let mut walk = Walk::default();
    for (index, line) in lines.iter().enumerate() {
        if let Event::Fault { fault } = &line.event {
            walk.fault(index, fault, nodes);
        }
        let Some(node) = line.node else { continue };
        if let Event::Role { role, .. } = &line.event {
            walk.end(index, Lasting::Role, node);
            walk.begin(index, Lasting::Role, node, role);
        }
        match line.event.kind() {
            "boot" => walk.end(index, Lasting::Down, node),
            "crash" => {
                walk.end(index, Lasting::Role, node);
                walk.end(index, Lasting::Paused, node);
                walk.begin(index, Lasting::Down, node, "down");
            }
            _ => {}
        }
    }
    walk.spans
}

impl Walk {
    fn fault(&mut self, index: usize, fault: &Fault, nodes: u16) {
        let named: Vec<NodeIndex> = fault.nodes().collect();
        if let Fault::Recover { keep, .. } = fault {
            let all = (0..nodes).map(NodeIndex);
            for node in all.filter(|node| named.is_empty() || named.contains(node)) {
                self.end(index, Lasting::Paused, node);
                self.end(index, Lasting::ClockStopped, node);
            }
            self.heal(index, keep.contains(&Keep::Cuts));
            return;
        }
        let own = *named.first().unwrap_or(&NodeIndex(0));
        match fault.kind() {
            "pause" => self.begin(index, Lasting::Paused, own, "paused"),
            "resume" => self.end(index, Lasting::Paused, own),
            "clock_stop" => self.begin(index, Lasting::ClockStopped, own, "clock stands"),
            "clock_start" => self.end(index, Lasting::ClockStopped, own),
            "partition" => {
                self.end_kind(index, Lasting::Partition);
                self.begin_link(index, Lasting::Partition, named, fault);
            }
            "cut" => self.begin_link(index, Lasting::Cut, named, fault),
            "mend" => self.end_of(index, &(Lasting::Cut, named, None)),
            "clog" => self.begin_link(index, Lasting::Clog, named, fault),
            "unclog" => self.end_of(index, &(Lasting::Clog, named, None)),
            "filter" => self.begin_link(index, Lasting::Filter, named, fault),
            "heal" => self.heal(index, false),
            _ => {}
        }
    }

    fn heal(&mut self, index: usize, keeps_cuts: bool) {
        for kind in [Lasting::Partition, Lasting::Clog, Lasting::Filter] {
            self.end_kind(index, kind);
        }
        if !keeps_cuts {
            self.end_kind(index, Lasting::Cut);
        }
    }

    /// Begins something that happens to a node.
    fn begin(&mut self, index: usize, kind: Lasting, node: NodeIndex, text: &str) {
        self.begin_as(index, (kind, vec![node], None), Some(node.0), text);
    }

    /// Begins something that happens between nodes.
    fn begin_link(&mut self, index: usize, kind: Lasting, nodes: Vec<NodeIndex>, fault: &Fault) {
        let text = format!("{fault:?}");
        let filter = (kind == Lasting::Filter).then(|| text.clone());
        self.begin_as(index, (kind, nodes, filter), None, &text);
    }

    /// Begins something, unless it lasts already.
    fn begin_as(&mut self, index: usize, key: Key, node: Option<u16>, text: &str) {
        if self.open.contains_key(&key) {
            return;
        }
        self.spans.push(Span {
            kind: key.0,
            node,
            text: text.to_owned(),
            from: index,
            until: None,
        });
        self.open.insert(key, self.spans.len() - 1);
    }

    fn end(&mut self, index: usize, kind: Lasting, node: NodeIndex) {
        self.end_of(index, &(kind, vec![node], None));
    }

    fn end_of(&mut self, index: usize, key: &Key) {
        if let Some(span) = self.open.remove(key) {
            self.spans[span].until = Some(index);
        }
    }

    fn end_kind(&mut self, index: usize, kind: Lasting) {
        let spans = &mut self.spans;
        self.open.retain(|key, span| {
            let ends = key.0 == kind;
            if ends {
                spans[*span].until = Some(index);
            }
            !ends
        });
    }
}
