//! What Raft promises, as its paper says it, and one more that the crate's own structure says.

use crate::{Brief, Peer, Told};
use meshos_sim::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// What was seen in a run.
#[derive(Debug, Default)]
pub struct Promises {
    leaders: BTreeMap<u64, NodeIndex>,
    /// What an entry holds and the term before it, by index and term.
    entries: BTreeMap<(u64, u64), (Option<u64>, u64)>,
    /// With the term of the first node that applied it: it was committed in that one at the latest.
    applied: Vec<(Brief, u64)>,
    pub acknowledged: BTreeSet<u64>,
    crashed: bool,
}

impl Promises {
    /// Election safety: no term has two leaders. Leader completeness: whoever leads has every
    /// entry that was committed in an earlier term.
    fn lead(&mut self, node: NodeIndex, peer: &Peer, term: u64) -> Result<(), Violation> {
        let leader = *self.leaders.entry(term).or_insert(node);
        if leader != node {
            let detail = format!("{leader} and {node} lead in term {term}");
            return Err(Violation::new("election-safety", detail).at_node(node));
        }
        let lacks = |(entry, committed): &&(Brief, u64)| {
            *committed < term && peer.log().term_at(entry.index) != Some(entry.term)
        };
        if let Some((lost, _)) = self.applied.iter().find(lacks) {
            let detail = format!("the leader of term {term} lacks {lost:?}");
            return Err(Violation::new("leader-completeness", detail).at_node(node));
        }
        Ok(())
    }

    /// Log matching: entries of one index and term are equal, and so is all before them.
    fn write(&mut self, node: NodeIndex, entry: Brief, after: u64) -> Result<(), Violation> {
        let (at, content) = ((entry.index, entry.term), (entry.value, after));
        let known = *self.entries.entry(at).or_insert(content);
        if known != content {
            let detail = format!("{at:?} is {known:?} and {content:?}");
            return Err(Violation::new("log-matching", detail).at_node(node));
        }
        Ok(())
    }

    /// State machine agreement: nodes apply the same entry at an index, and leave none out.
    fn apply(&mut self, node: NodeIndex, entry: Brief, term: u64) -> Result<(), Violation> {
        let place = entry.index as usize - 1;
        if place == self.applied.len() {
            self.applied.push((entry, term));
        }
        match self.applied.get(place) {
            Some((known, _)) if *known == entry => Ok(()),
            known => {
                let detail = format!("applied {entry:?} where {known:?} is known");
                Err(Violation::new("state-machine-agreement", detail).at_node(node))
            }
        }
    }
}

impl Hook<Peer> for Promises {
    fn on_step(&mut self, step: &Step<'_, Peer>, _: &mut Schedule<Peer>) -> Result<(), Violation> {
        let Some(term) = step.machine.leads() else {
            return Ok(());
        };
        if !self.leaders.contains_key(&term) || self.leaders[&term] != step.node {
            self.lead(step.node, step.machine, term)?;
            if self.crashed {
                reached!("a leader after a crash");
            }
        }
        match step.machine.goes_back() {
            Some((follower, next, matched)) => {
                let detail = format!("next_idx {next} of {follower} <= matched {matched}");
                Err(Violation::new("next-above-matched", detail).at_node(step.node))
            }
            None => Ok(()),
        }
    }

    fn on_output(
        &mut self,
        view: View<'_, Peer>,
        node: NodeIndex,
        told: &Told,
        _: &mut Schedule<Peer>,
    ) -> Result<(), Violation> {
        match told {
            Told::Wrote { entry, after } => self.write(node, *entry, *after),
            Told::Applied(entry) => self.apply(node, *entry, view.node(node).map_or(0, Peer::term)),
            Told::Acknowledged(value) => {
                reached!("a value acknowledged");
                self.acknowledged.insert(*value);
                Ok(())
            }
        }
    }

    fn on_crash(
        &mut self,
        _: View<'_, Peer>,
        _: NodeIndex,
        _: &Peer,
        _: &mut Schedule<Peer>,
    ) -> Result<(), Violation> {
        self.crashed = true;
        Ok(())
    }
}
