//! One deadline per node, outside the event queue.
//!
//! A node that moves its deadline overwrites one number; nothing is cancelled and nothing stale
//! waits in the queue. The least deadline is cached per block of nodes and over all of them. Of
//! equal deadlines the one of the lower node is first.

use crate::machine::NodeIndex;

const BLOCK: usize = 16;
/// No deadline.
const NEVER: u64 = u64::MAX;

/// The deadlines of all nodes, in true time.
#[derive(Clone, Debug)]
pub(crate) struct Timers {
    /// A whole number of blocks.
    at: Vec<u64>,
    /// The least of each block.
    least: Vec<u64>,
    first_at: u64,
    first: u32,
}

impl Timers {
    pub(crate) fn new(nodes: usize) -> Self {
        let blocks = nodes.div_ceil(BLOCK).max(1);
        Self {
            at: vec![NEVER; blocks * BLOCK],
            least: vec![NEVER; blocks],
            first_at: NEVER,
            first: 0,
        }
    }

    /// The least deadline; `u64::MAX` when there is none.
    #[inline]
    pub(crate) const fn first_at(&self) -> u64 {
        self.first_at
    }

    /// The node of the least deadline.
    #[inline]
    pub(crate) const fn first(&self) -> NodeIndex {
        NodeIndex(self.first as u16)
    }

    /// Sets the deadline of a node; `u64::MAX` for none.
    #[inline]
    pub(crate) fn set(&mut self, node: NodeIndex, at: u64) {
        let place = node.at();
        self.at[place] = at;
        let block = place / BLOCK;
        let start = block * BLOCK;
        let (least, _) = least_of(&self.at[start..start + BLOCK]);
        self.least[block] = least;
        let (first_at, block) = if self.least.len() == 1 {
            (least, 0)
        } else {
            least_of(&self.least)
        };
        self.first_at = first_at;
        let start = block * BLOCK;
        // Of equal deadlines the lowest place counts, whatever was set last.
        let offset = self.at[start..start + BLOCK]
            .iter()
            .position(|at| *at == first_at);
        self.first = (start + offset.unwrap_or(0)) as u32;
    }
}

/// The least number and the first place that holds it.
#[inline]
fn least_of(numbers: &[u64]) -> (u64, usize) {
    let mut least = NEVER;
    let mut place = 0;
    for (index, number) in numbers.iter().enumerate() {
        if *number < least {
            least = *number;
            place = index;
        }
    }
    (least, place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::{Draw, Site};

    #[test]
    fn the_first_deadline_is_the_least_of_the_lowest_node() {
        for nodes in [1, 5, 16, 17, 50, 300] {
            let draw = Draw::new(nodes);
            let mut timers = Timers::new(nodes as usize);
            let mut plain = vec![NEVER; nodes as usize];
            for step in 0..5_000 {
                let node = draw.below(Site::Latency, 0, step, nodes);
                let at = match draw.below(Site::Loss, 0, step, 20) {
                    0 => NEVER,
                    small => small,
                };
                timers.set(NodeIndex(node as u16), at);
                plain[node as usize] = at;
                let (least, place) = least_of(&plain);
                assert_eq!(timers.first_at(), least);
                if least != NEVER {
                    assert_eq!(timers.first().at(), place);
                }
            }
        }
    }
}
