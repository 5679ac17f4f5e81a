//! What has to hold in every run of one chain, in as little state as it can be judged from: who led
//! which epoch, who voted, what is committed, and what was acknowledged.

use crate::checks::{ack_kept, commit_stable, leader_complete, one_leader_per_epoch, vote_once};
use crate::model::{Host, Output, node_id};
use meshos_core::chain::entry::LogPosition;
use meshos_core::chain::order::Vote;
use meshos_core::client::Answer;
use meshos_core::id::{NodeId, Run};
use meshos_core::message::{Body, ReplicaMessage, Round};
use meshos_core::replica::Chain;
use meshos_core::replica::role::Role;
use meshos_sim::hook::{Hook, Schedule, Step};
use meshos_sim::machine::{Effect, NodeIndex};
use meshos_sim::violation::Violation;
use meshos_sim::world::View;
use std::collections::BTreeMap;

/// The checks of one run.
#[derive(Clone, Debug, Hash)]
pub struct Ground {
    /// By the number of the epoch.
    leaders: BTreeMap<u64, Run>,
    /// The last vote of each node that left: the epoch's number and the candidate.
    cast: Vec<Option<(u64, NodeId)>>,
    /// The end of what each node had made durable when it was last seen.
    durable: Vec<LogPosition>,
    /// The committed prefix: where each entry of it ends.
    committed: Vec<LogPosition>,
}

impl Ground {
    pub(super) fn new(nodes: u16) -> Self {
        let nodes = usize::from(nodes);
        Self {
            leaders: BTreeMap::new(),
            cast: vec![None; nodes],
            durable: vec![LogPosition::default(); nodes],
            committed: Vec::new(),
        }
    }

    fn judge(&mut self, step: &Step<'_, Host>, me: Run, chain: &Chain) -> Result<(), Violation> {
        let at = step.node.at();
        if chain.role() == Role::Leader {
            self.lead(me, chain)?;
        }
        self.durable[at] = chain.log().durable();
        self.keep_word(at, chain)?;
        self.commit(step.view, chain)
    }

    /// Nobody else leads the epoch, and the leader has everything that is committed.
    fn lead(&mut self, me: Run, chain: &Chain) -> Result<(), Violation> {
        let n = chain.epoch().n;
        let first = *self.leaders.entry(n).or_insert(me);
        if first != me {
            let text = format!("epoch {n} is led by {me:?} and was led by {first:?}");
            return Err(Violation::new(one_leader_per_epoch::ID, text));
        }
        let is_latest = self.leaders.keys().all(|other| *other <= n);
        let Some(last) = self.committed.last().filter(|_| is_latest) else {
            return Ok(());
        };
        let mine = chain.log().position_at(last.end);
        match mine.is_some_and(|mine| mine.hash == last.hash) || last.end <= chain.log().floor() {
            true => Ok(()),
            false => {
                let end = last.end;
                let text = format!("the leader of epoch {n} lacks what is committed up to {end}");
                Err(Violation::new(leader_complete::ID, text))
            }
        }
    }

    /// A vote that left is remembered.
    fn keep_word(&self, at: usize, chain: &Chain) -> Result<(), Violation> {
        let promises = vote_once::Promises {
            cast: self.cast[at],
            acknowledged: None,
        };
        promises.recovered(Vote::default(), chain.promised())
    }

    /// What a node calls committed is what all others do, and a majority has it on disk.
    fn commit(&mut self, view: View<'_, Host>, chain: &Chain) -> Result<(), Violation> {
        let log = chain.log();
        let broken = |text: String| Err(Violation::new(commit_stable::ID, text));
        let known = self.committed.iter().rev();
        let mut known = known.filter(|known| known.end <= chain.commit());
        if let Some(last) = known.next()
            && let Some(mine) = log.position_at(last.end)
            && mine.hash != last.hash
        {
            let end = last.end;
            return broken(format!("what ends at {end} is not what is committed there"));
        }
        let end = self.committed.last().map(|last| last.end);
        if end.is_some_and(|end| end >= chain.commit()) {
            return Ok(());
        }
        let Some(tip) = log.position_at(chain.commit()) else {
            return Ok(());
        };
        let holds = |node: &NodeIndex| {
            let durable = self.durable[node.at()];
            let host = view.node(*node).and_then(Host::node);
            let log = host.and_then(|node| node.chain(chain.id())).map(Chain::log);
            let there = log.and_then(|log| log.position_at(tip.end));
            durable.end >= tip.end && there.is_none_or(|there| there.hash == tip.hash)
        };
        let holders = view.nodes().filter(holds).count();
        if tip.end.get() > 0 && holders <= view.nodes().len() / 2 {
            let text = format!("committed up to {} with {holders} durable copies", tip.end);
            return broken(text);
        }
        let first = end.map_or(1, |end| end.get() + 1);
        let ends = first..=tip.end.get();
        let ends = ends.filter_map(|end| log.position_at(meshos_core::id::Seq::new(end)));
        self.committed.extend(ends);
        Ok(())
    }

    /// Of two votes that leave in one epoch both are for the same.
    fn vote(&mut self, step: &Step<'_, Host>) -> Result<(), Violation> {
        let at = step.node.at();
        for effect in step.effects {
            let Effect::Send { to, message } = effect else {
                continue;
            };
            let Body::Chain(said) = &message.message.body else {
                continue;
            };
            let cast = if let ReplicaMessage::VoteRequest {
                round: Round::Real,
                asked,
                ..
            } = &said.content
            {
                Some((asked.n, node_id(step.node)))
            } else if let ReplicaMessage::VoteReply {
                round: Round::Real,
                asked,
                granted: true,
                ..
            } = &said.content
            {
                Some((asked.n, node_id(*to)))
            } else {
                None
            };
            let Some((n, candidate)) = cast else {
                continue;
            };
            let mut promises = vote_once::Promises {
                cast: self.cast[at],
                acknowledged: None,
            };
            promises.cast(n, candidate)?;
            self.cast[at] = promises.cast;
        }
        Ok(())
    }
}

impl Hook<Host> for Ground {
    fn on_step(&mut self, step: &Step<'_, Host>, _: &mut Schedule<Host>) -> Result<(), Violation> {
        let Some(node) = step.machine.node() else {
            return Ok(());
        };
        for chain in node.chains() {
            self.judge(step, node.me(), chain)
                .map_err(|violation| violation.at_node(step.node))?;
        }
        self.vote(step)
            .map_err(|violation| violation.at_node(step.node))
    }

    fn on_output(
        &mut self,
        _: View<'_, Host>,
        node: NodeIndex,
        output: &Output,
        _: &mut Schedule<Host>,
    ) -> Result<(), Violation> {
        let Output::Answer {
            answer: Answer::Acked { seq, .. },
            ..
        } = output
        else {
            return Ok(());
        };
        match self.committed.iter().any(|known| known.end > *seq) {
            true => Ok(()),
            false => {
                let text = format!("entry {seq} is acknowledged, and not committed");
                Err(Violation::new(ack_kept::ID, text).at_node(node))
            }
        }
    }
}
