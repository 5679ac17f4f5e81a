//! The smallest driver there is: some nodes, a fixed latency, a store that never fails.

use super::start_seeded;
use meshos_core::action::{Action, Actions};
use meshos_core::client::{Answer, Ask, ClientRequest};
use meshos_core::config::Config;
use meshos_core::event::{Event, Input};
use meshos_core::id::{ChainId, Ticket};
use meshos_core::node::Node;
use meshos_core::replica::Chain;
use meshos_core::replica::role::Role;
use meshos_core::time::{Instant, Wall};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

pub(crate) const MS: u64 = 1_000_000;

pub(crate) struct Cluster {
    now: Instant,
    pub(crate) nodes: Vec<Node>,
    queue: BTreeMap<(Instant, u64), (usize, Input)>,
    posted: u64,
    /// Nodes that no message leaves or reaches.
    pub(crate) cut_off: BTreeSet<usize>,
    /// Nodes whose process is gone.
    pub(crate) dead: BTreeSet<usize>,
    pub(crate) latency: u64,
    /// When each node's disk is done with everything it was given, where it performs one order at
    /// a time.
    pub(crate) disks: Option<Vec<Instant>>,
    answers: BTreeMap<Ticket, Answer>,
    tickets: u64,
    /// Every replica that a step touched, by node and place.
    pub(crate) touched: BTreeSet<(usize, usize)>,
}

impl Cluster {
    /// The nodes of `config`, just started.
    pub(crate) fn new(config: &Arc<Config>) -> Self {
        Self::seeded(config, 0)
    }

    /// The same with other draws.
    pub(crate) fn seeded(config: &Arc<Config>, seed: u8) -> Self {
        let nodes = config.nodes().len() as u64;
        Self {
            now: Instant::ZERO,
            nodes: (1..=nodes)
                .map(|node| start_seeded(node, config, seed))
                .collect(),
            queue: BTreeMap::new(),
            posted: 0,
            cut_off: BTreeSet::new(),
            dead: BTreeSet::new(),
            latency: 5 * MS,
            disks: None,
            answers: BTreeMap::new(),
            tickets: 0,
            touched: BTreeSet::new(),
        }
    }

    fn post(&mut self, after: u64, node: usize, input: Input) {
        self.posted += 1;
        let at = self.now.after(Duration::from_nanos(after));
        self.queue.insert((at, self.posted), (node, input));
    }

    pub(crate) fn run(&mut self, span: Duration) {
        let end = self.now.after(span);
        loop {
            let timer = (0..self.nodes.len())
                .filter(|node| !self.dead.contains(node))
                .filter_map(|node| Some((self.nodes[node].poll_timeout()?, node)))
                .min();
            let event = self.queue.first_key_value().map(|(&(at, _), _)| at);
            let next = [timer.map(|(at, _)| at), event].into_iter().flatten().min();
            let Some(at) = next.filter(|&at| at <= end) else {
                break;
            };
            self.now = self.now.max(at);
            let (node, input) = match (event, timer) {
                (Some(event), _) if event == at => self.queue.pop_first().unwrap().1,
                (_, Some((_, node))) => (node, Input::Wake),
                (_, None) => unreachable!("one of the two is next"),
            };
            self.step(node, input);
        }
        self.now = end;
    }

    pub(crate) fn step(&mut self, node: usize, input: Input) {
        if self.dead.contains(&node) {
            return;
        }
        let mut out = Actions::new();
        let wall = Wall::from_ms(self.now.as_nanos() / MS);
        self.nodes[node].step(self.now, Event { wall, input }, &mut out);
        let touched = self.nodes[node].touched().map(|place| (node, place));
        self.touched.extend(touched);
        let from = self.nodes[node].me().node;
        for action in out.drain() {
            match action {
                Action::Send { to, message } => {
                    let to = to.get() as usize - 1;
                    if !self.cut_off.contains(&node) && !self.cut_off.contains(&to) {
                        self.post(self.latency, to, Input::Peer { from, message });
                    }
                }
                Action::Store { op, .. } => {
                    let after = self.stored_after(node);
                    self.post(after, node, Input::Done { op, result: Ok(()) });
                }
                Action::Reply { ticket, answer } => {
                    self.answers.insert(ticket, answer);
                }
                Action::Note { .. } => {}
            }
        }
    }

    /// How long an order takes that the disk of `node` is given now.
    fn stored_after(&mut self, node: usize) -> u64 {
        let Some(disks) = &mut self.disks else {
            return MS;
        };
        let done = disks[node].max(self.now).after(Duration::from_millis(1));
        disks[node] = done;
        done.since(self.now).as_nanos() as u64
    }

    pub(crate) fn ask(&mut self, node: usize, ask: Ask) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket::new(self.tickets);
        let request = ClientRequest {
            chain: ChainId::of("c"),
            ask,
        };
        self.step(node, Input::Client { ticket, request });
        ticket
    }

    /// The leader of chain "c".
    pub(crate) fn leader(&self) -> usize {
        let chain = ChainId::of("c");
        let role = |node: &usize| self.nodes[*node].chain(chain).map(Chain::role);
        let leads = |node: &usize| role(node) == Some(Role::Leader);
        let live = |node: &usize| !self.cut_off.contains(node);
        let leaders: Vec<usize> = (0..self.nodes.len()).filter(live).filter(leads).collect();
        assert_eq!(leaders.len(), 1, "one leader");
        leaders[0]
    }

    pub(crate) fn answer(&self, ticket: Ticket) -> &Answer {
        self.answered(ticket).expect("answered")
    }

    pub(crate) fn answered(&self, ticket: Ticket) -> Option<&Answer> {
        self.answers.get(&ticket)
    }

    /// The process of a node dies, and each other one learns of it after its own number of
    /// milliseconds, as its connection breaks.
    pub(crate) fn kill(&mut self, node: usize, learn_ms: impl Fn(usize) -> u64) {
        self.dead.insert(node);
        let me = self.nodes[node].me();
        for other in (0..self.nodes.len()).filter(|&other| other != node) {
            let after = learn_ms(other) * MS;
            self.post(after, other, Input::LinkDown { peer: me.node });
            let (node, incarnation) = (me.node, me.incarnation);
            self.post(after, other, Input::PeerGone { node, incarnation });
        }
    }
}
