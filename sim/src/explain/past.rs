//! What led to a line of a trace.
//!
//! A machine is a function of its inputs, so what a node does is caused by what it has taken in,
//! in order, and by nothing else: the earlier effects of a node are no causes, unless they come
//! back. This gives each line its direct causes:
//!
//! * an effect: the input of the step that ordered it;
//! * a message that arrived, was refused or lost: its sending, by its number;
//! * the answer of a disk: the batch that it answers; a node's disk answers in order;
//! * an input: what was the last to happen to its node before, and the last operation, crash,
//!   boot or fault there, however long ago.
//!
//! What happens to a node includes messages to it that are lost and faults that name it, or that
//! name none: what did not arrive is a cause as well. A deadline after which a node did nothing
//! visible is passed over; where it did, its first effect stands for it.

use crate::node::NodeIndex;
use crate::trace::{Event, Line};
use std::collections::{BTreeMap, VecDeque};

/// The direct causes of every line of a trace, by its index.
pub(crate) struct Past {
    causes: Vec<[Option<usize>; 3]>,
    /// The line that the step of a line begins with.
    step: Vec<usize>,
}

/// What is known of a node at one point of the trace.
#[derive(Clone, Default)]
struct Life {
    /// The last thing that happened to it.
    last: Option<usize>,
    /// The last operation, crash, boot or fault.
    turn: Option<usize>,
    /// The input of its present step.
    step: Option<usize>,
    /// The deadline that its present step began with, while that has left nothing to see.
    unseen: Option<usize>,
    /// Batches that its disk has not answered.
    batches: VecDeque<usize>,
}

impl Past {
    pub(crate) fn new(lines: &[Line]) -> Self {
        let nodes = lines.iter().filter_map(|line| line.node);
        let nodes = nodes.max().map_or(0, |node| node.at() + 1);
        let mut walk = Walk {
            lives: vec![Life::default(); nodes],
            sent: BTreeMap::new(),
            past: Self {
                causes: vec![[None; 3]; lines.len()],
                step: (0..lines.len()).collect(),
            },
        };
        for (index, line) in lines.iter().enumerate() {
            walk.take(index, line);
        }
        walk.past
    }

    /// The causes of a line: what belongs to the same message, batch or step, then what was the
    /// last to happen to its node, then its last turn.
    pub(crate) fn causes(&self, index: usize) -> [Option<usize>; 3] {
        self.causes[index]
    }

    /// The input of the step that a line belongs to.
    pub(crate) fn step(&self, index: usize) -> usize {
        self.step[index]
    }
}

struct Walk {
    lives: Vec<Life>,
    /// The sending of each message.
    sent: BTreeMap<u64, usize>,
    past: Past,
}

impl Walk {
    fn take(&mut self, index: usize, line: &Line) {
        let sending = line.number.and_then(|number| self.sent.get(&number));
        let sending = sending.copied();
        match (&line.event, line.node) {
            (Event::Fault { fault }, _) => {
                let nodes: Vec<_> = fault.nodes().collect();
                self.fault(index, &nodes);
            }
            (_, None) => {}
            (Event::Lost { to, .. }, Some(_)) => {
                self.past.causes[index][0] = sending;
                self.happens(*to, index);
            }
            (Event::Boot { .. } | Event::Crash {} | Event::Op { .. }, Some(node)) => {
                self.input(node, index, None);
                let life = &mut self.lives[node.at()];
                life.turn = Some(index);
                if !matches!(line.event, Event::Op { .. }) {
                    life.batches.clear();
                }
            }
            (Event::Stored { .. }, Some(node)) => {
                let batch = self.lives[node.at()].batches.pop_front();
                self.input(node, index, batch);
            }
            (Event::Receive { .. } | Event::Refused { .. }, Some(node)) => {
                self.input(node, index, sending);
            }
            (Event::Link { .. }, Some(node)) => self.input(node, index, None),
            (Event::Wake {}, Some(node)) => self.wake(node, index),
            (Event::Send { .. }, Some(node)) => {
                self.sent.extend(line.number.map(|number| (number, index)));
                self.effect(node, index);
            }
            (Event::Persist { .. }, Some(node)) => {
                self.effect(node, index);
                self.lives[node.at()].batches.push_back(index);
            }
            (
                Event::Output { .. }
                | Event::Exit {}
                | Event::Role { .. }
                | Event::Log { .. }
                | Event::Note { .. },
                Some(node),
            ) => self.effect(node, index),
            (Event::State { .. }, Some(node)) => {
                self.past.step[index] = self.lives[node.at()].step.unwrap_or(index);
            }
        }
    }

    /// Something happens to a node that is no step of it.
    fn happens(&mut self, node: NodeIndex, index: usize) {
        if let Some(life) = self.lives.get_mut(node.at()) {
            life.last = Some(index);
        }
    }

    fn fault(&mut self, index: usize, nodes: &[NodeIndex]) {
        let all = self.lives.len() as u16;
        let named = (0..all).map(NodeIndex);
        for node in named.filter(|node| nodes.is_empty() || nodes.contains(node)) {
            let life = &mut self.lives[node.at()];
            (life.last, life.turn) = (Some(index), Some(index));
        }
    }

    fn input(&mut self, node: NodeIndex, index: usize, origin: Option<usize>) {
        let life = &mut self.lives[node.at()];
        self.past.causes[index] = [origin, life.last, life.turn];
        (life.unseen, life.step, life.last) = (None, Some(index), Some(index));
    }

    /// A deadline stands in nobody's past until its step leaves something to see.
    fn wake(&mut self, node: NodeIndex, index: usize) {
        let life = &mut self.lives[node.at()];
        self.past.causes[index] = [None, life.last, life.turn];
        (life.unseen, life.step) = (Some(index), Some(index));
    }

    fn effect(&mut self, node: NodeIndex, index: usize) {
        let life = &mut self.lives[node.at()];
        if life.unseen.take().is_some() {
            life.last = Some(index);
        }
        self.past.causes[index][0] = life.step;
        self.past.step[index] = life.step.unwrap_or(index);
    }
}
