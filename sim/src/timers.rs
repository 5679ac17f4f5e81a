//! One deadline per node, outside the event queue.
//!
//! A node that moves its deadline overwrites one number; nothing is cancelled and nothing stale
//! waits in the queue. Deadlines lie in groups of eight, the least of each group in groups of
//! the next level, up to a single group. Of equal deadlines the one of the lower node is first.

use crate::node::NodeIndex;

const WIDTH: usize = 8;
/// No deadline.
const NEVER: u64 = u64::MAX;

type Group = [u64; WIDTH];

/// The deadlines of all nodes, in true time.
#[derive(Clone, Debug)]
pub(crate) struct Timers {
    /// Level by level, the deadlines themselves first.
    groups: Vec<Group>,
    /// Where each level but the first starts.
    levels: Vec<usize>,
    first_at: u64,
}

impl Timers {
    pub(crate) fn new(nodes: usize) -> Self {
        let mut size = nodes.div_ceil(WIDTH).max(1);
        let mut total = size;
        let mut levels = Vec::new();
        while size > 1 {
            levels.push(total);
            size = size.div_ceil(WIDTH);
            total += size;
        }
        Self {
            groups: vec![[NEVER; WIDTH]; total],
            levels,
            first_at: NEVER,
        }
    }

    /// The least deadline; `u64::MAX` when there is none.
    #[inline]
    pub(crate) const fn first_at(&self) -> u64 {
        self.first_at
    }

    /// The node of the least deadline.
    #[inline(always)]
    pub(crate) fn first(&self) -> NodeIndex {
        let mut place = 0;
        for level in self.levels.iter().rev() {
            place = place * WIDTH + position(&self.groups[level + place], self.first_at);
        }
        place = place * WIDTH + position(&self.groups[place], self.first_at);
        NodeIndex(place as u16)
    }

    /// Sets the deadline of a node; `u64::MAX` for none.
    #[inline(always)]
    pub(crate) fn set(&mut self, node: NodeIndex, at: u64) {
        let mut place = node.at();
        let mut least = replace(&mut self.groups[place / WIDTH], place % WIDTH, at);
        for level in &self.levels {
            place /= WIDTH;
            least = replace(
                &mut self.groups[level + place / WIDTH],
                place % WIDTH,
                least,
            );
        }
        self.first_at = least;
    }
}

/// Sets one number of a group and returns the least of the group.
#[inline(always)]
fn replace(group: &mut Group, place: usize, number: u64) -> u64 {
    group[place] = number;
    let [a, b, c, d, e, f, g, h] = *group;
    a.min(b).min(c.min(d)).min(e.min(f).min(g.min(h)))
}

/// The first place of a group that holds `number`, which one does.
#[inline(always)]
fn position(group: &Group, number: u64) -> usize {
    let mut mask = 1u32 << (WIDTH - 1);
    for (place, other) in group.iter().enumerate() {
        mask |= u32::from(*other == number) << place;
    }
    mask.trailing_zeros() as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::{Draws, Site};

    #[test]
    fn the_first_deadline_is_the_least_of_the_lowest_node() {
        for nodes in [1, 5, 8, 9, 64, 65, 600] {
            let draw = Draws::new(nodes);
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
                let least = plain.iter().copied().min().expect("there are nodes");
                assert_eq!(timers.first_at(), least);
                if least != NEVER {
                    let place = plain.iter().position(|at| *at == least);
                    assert_eq!(Some(timers.first().at()), place);
                }
            }
        }
    }
}
