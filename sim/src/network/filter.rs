//! Message kinds that are lost on some links, and which of them met a message.

use super::{FILTERED, Network};
use crate::node::NodeIndex;

/// A message kind that is lost on some links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filter {
    pub(super) message: u16,
    pub(super) from: Option<NodeIndex>,
    pub(super) to: Option<NodeIndex>,
}

impl Filter {
    pub(super) fn names(&self, from: NodeIndex, to: NodeIndex) -> bool {
        self.from.is_none_or(|node| node == from) && self.to.is_none_or(|node| node == to)
    }
}

impl Network {
    pub(crate) fn filter(
        &mut self,
        message: u16,
        from: Option<NodeIndex>,
        to: Option<NodeIndex>,
    ) -> bool {
        let filter = Filter { message, from, to };
        if self.filters.contains(&filter) {
            return false;
        }
        for (from, to) in self.pairs() {
            if filter.names(from, to) {
                self.flag(from, to, FILTERED, true);
            }
        }
        self.filters.push(filter);
        true
    }

    /// Whether messages of a kind are lost.
    pub(crate) fn is_filtered(&mut self, kind: u16, from: NodeIndex, to: NodeIndex) -> bool {
        let link = self.links[from.at() * self.nodes + to.at()];
        let hit = |filter: &&Filter| filter.message == kind && filter.names(from, to);
        if link.flags & FILTERED == 0 {
            return false;
        }
        let mut hits = self.filters.iter().filter(hit).peekable();
        let is_filtered = hits.peek().is_some();
        for filter in hits {
            if !self.met.contains(filter) {
                self.met.push(filter.clone());
            }
        }
        is_filtered
    }

    /// Whether this filter has lost a message since it was last forgotten.
    pub(crate) fn is_met(
        &self,
        message: u16,
        from: Option<NodeIndex>,
        to: Option<NodeIndex>,
    ) -> bool {
        self.met.contains(&Filter { message, from, to })
    }

    /// Forgets that this filter has lost a message; tells whether it had.
    pub(crate) fn forget_met(
        &mut self,
        message: u16,
        from: Option<NodeIndex>,
        to: Option<NodeIndex>,
    ) -> bool {
        let filter = Filter { message, from, to };
        let place = self.met.iter().position(|met| *met == filter);
        place.map(|place| self.met.swap_remove(place)).is_some()
    }
}
