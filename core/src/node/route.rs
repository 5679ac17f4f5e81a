//! Messages and client requests: checked against the genesis, then given to their owner (D23).

use super::Node;
use crate::action::{Action, Actions};
use crate::client::{Answer, ClientRequest, Reason};
use crate::count::Count;
use crate::deadline::ChainIndex;
use crate::id::{Attempt, ChainId, Gen, Incarnation, NodeId, Run, Ticket};
use crate::message::{Body, Confirm, Forwarded, Heartbeat, Message, Row};
use crate::replica::Chain;
use crate::time::Wall;
use alloc::sync::Arc;
use alloc::vec::Vec;

impl Node {
    pub(super) fn on_client(
        &mut self,
        ticket: Ticket,
        request: ClientRequest,
        wall: Wall,
        out: &mut Actions,
    ) {
        match self.index_of(request.chain) {
            Some(index) => {
                self.with(index, wall, out, |chain, cx| {
                    chain.on_client(ticket, request.ask, cx)
                });
            }
            None => {
                let answer = self.answer_without(request.chain);
                out.push(Action::Reply { ticket, answer });
            }
        }
    }

    /// What is said to whoever asks for a chain that is not held here.
    fn answer_without(&self, chain: ChainId) -> Answer {
        let members = self.config.chain(chain).map(|draft| &draft.members);
        match members.filter(|members| !members.contains(&self.me.node)) {
            Some(members) => Answer::NotMember {
                members: members.as_slice().into(),
            },
            None => Answer::Rejected(Reason::UnknownChain),
        }
    }

    pub(super) fn on_peer(
        &mut self,
        from: NodeId,
        message: &Message,
        wall: Wall,
        out: &mut Actions,
    ) {
        if let Err(count) = self.may_enter(from, message) {
            return self.counters.add(count);
        }
        let run = message.from;
        match &message.body {
            Body::Heartbeat(heartbeat) => self.on_heartbeat(run, heartbeat, wall, out),
            Body::Chain(content) => {
                if let Some(index) = self.held(content.chain, content.generation) {
                    self.with(index, wall, out, |chain, cx| {
                        chain.on_message(run, content, cx)
                    });
                }
            }
            Body::Confirm(confirms) => self.on_confirm(run, confirms, wall, out),
            Body::Confirmed(confirms) => {
                for confirm in confirms {
                    let Some(index) = self.held(confirm.chain, confirm.generation) else {
                        continue;
                    };
                    self.with(index, wall, out, |chain, cx| {
                        chain.on_confirmed(run, confirm, cx)
                    });
                }
            }
            Body::Forward(forward) => {
                if let Some(index) = self.held(forward.chain, forward.generation) {
                    let forward = forward.clone();
                    self.with(index, wall, out, |chain, cx| {
                        chain.on_forward(run, forward, cx)
                    });
                }
            }
            &Body::Forwarded { attempt, answer } => self.on_forwarded(attempt, answer, wall, out),
        }
    }

    /// Only founding stores are heard, and only by the store they mean.
    fn may_enter(&self, from: NodeId, message: &Message) -> Result<(), Count> {
        if message.cluster != self.config.cluster() {
            return Err(Count::WrongCluster);
        }
        if message.to != self.me.store {
            return Err(Count::WrongStore);
        }
        let is_known = self.config.store_of(from) == Some(message.from.store);
        if from != message.from.node || from == self.me.node || !is_known {
            return Err(Count::UnknownSender);
        }
        Ok(())
    }

    fn held(&mut self, chain: ChainId, generation: Gen) -> Option<ChainIndex> {
        let index = self.index_of(chain);
        let index = index.filter(|at| self.chains[at.0 as usize].generation() == generation);
        if index.is_none() {
            self.counters.add(Count::UnknownChain);
        }
        index
    }

    fn on_heartbeat(&mut self, run: Run, heartbeat: &Heartbeat, wall: Wall, out: &mut Actions) {
        let heard = self
            .liveness
            .on_heartbeat(run.node, run.incarnation, heartbeat, self.now);
        let Some(heard) = heard else {
            self.counters.add(Count::StaleHeartbeat);
            let rows = self
                .liveness
                .on_overtaken(run.node, run.incarnation, heartbeat);
            return self.on_rows(run, &rows, wall, out);
        };
        if heard.restarted {
            self.windows.clear(run.node);
            // Whatever the run before it led has no leader any more.
            self.on_leader_gone(run.node, wall, out);
        }
        if heard.recovered {
            tracing::info!(peer = %run.node, "peer is heard again");
        }
        if heard.restarted || heard.recovered {
            self.touch_led_by(run.node);
        }
        self.on_rows(run, &heartbeat.rows, wall, out);
    }

    fn on_rows(&mut self, run: Run, rows: &[Row], wall: Wall, out: &mut Actions) {
        for row in rows {
            let Some(index) = self.held(row.chain, row.generation) else {
                continue;
            };
            let state = row.state;
            self.with(index, wall, out, |chain, cx| {
                if let Some(state) = state {
                    chain.on_row(run, row.replica, state, cx);
                }
            });
        }
    }

    /// The process of a peer is gone, which is as good as its silence.
    pub(super) fn on_peer_gone(
        &mut self,
        node: NodeId,
        incarnation: Incarnation,
        wall: Wall,
        out: &mut Actions,
    ) {
        if !self.liveness.on_gone(node, incarnation) {
            return self.counters.add(Count::PeerGoneIgnored);
        }
        self.counters.add(Count::PeerGone);
        self.on_leader_gone(node, wall, out);
    }

    /// The run of a peer has ended that led the chains in which it is followed.
    fn on_leader_gone(&mut self, node: NodeId, wall: Wall, out: &mut Actions) {
        for at in 0..self.chains.len() {
            if self.chains[at].leader() == Some(node) {
                self.with(ChainIndex(at as u32), wall, out, Chain::on_leader_gone);
            }
        }
    }

    /// What is sent to a peer reaches it again. What was under way when the link broke is lost, so
    /// whoever waits for it asks again now that it can.
    pub(super) fn on_link_up(&mut self, peer: NodeId, wall: Wall, out: &mut Actions) {
        self.set_link(peer, true);
        for at in 0..self.chains.len() {
            let chain = &self.chains[at];
            let (awaits, serves) = (chain.awaits_bulk_of(peer), chain.serves(peer));
            if awaits || serves {
                self.with(ChainIndex(at as u32), wall, out, |chain, _| {
                    chain.serve_anew(peer);
                    if awaits {
                        chain.pull_again();
                    }
                });
            }
        }
    }

    /// What is sent to a peer does not reach it any more, and nothing that was is under way.
    pub(super) fn on_link_down(&mut self, peer: NodeId) {
        self.set_link(peer, false);
        self.windows.clear(peer);
    }

    /// Chains that wait for answers of the peer have to be looked at again.
    fn set_link(&mut self, peer: NodeId, is_up: bool) {
        self.liveness.set_link(peer, is_up);
        for &index in &self.asking {
            self.touched.insert(index);
        }
    }

    /// Whether those chains still have a live leader has to be looked at again.
    pub(super) fn touch_led_by(&mut self, node: NodeId) {
        for chain in self
            .chains
            .iter()
            .filter(|chain| chain.leader() == Some(node))
        {
            self.touched.insert(chain.index);
        }
    }

    fn on_confirm(&mut self, run: Run, confirms: &[Confirm], wall: Wall, out: &mut Actions) {
        let mut confirmed = Vec::new();
        for confirm in confirms {
            let Some(index) = self.held(confirm.chain, confirm.generation) else {
                continue;
            };
            if self.with(index, wall, out, |chain, cx| {
                chain.on_confirm(run, confirm, cx)
            }) {
                confirmed.push(*confirm);
            }
        }
        if !confirmed.is_empty() {
            self.send(run.node, Body::Confirmed(confirmed), out);
        }
    }

    fn on_forwarded(&mut self, attempt: Attempt, answer: Forwarded, wall: Wall, out: &mut Actions) {
        let is_mine = attempt.incarnation == self.me.incarnation;
        let awaits =
            |at: &&ChainIndex| is_mine && self.chains[at.0 as usize].awaits(attempt.number);
        match self.asking.iter().find(awaits).copied() {
            Some(index) => self.with(index, wall, out, |chain, cx| {
                chain.on_forwarded(attempt, answer, cx);
            }),
            None => self.counters.add(Count::StaleAnswer),
        }
    }

    pub(super) fn send(&mut self, to: NodeId, body: Body, out: &mut Actions) {
        let store = self
            .config
            .store_of(to)
            .expect("only founding nodes are written to");
        let message = Message {
            cluster: self.config.cluster(),
            from: self.me,
            to: store,
            body,
        };
        out.push(Action::Send {
            to,
            message: Arc::new(message),
        });
    }
}
