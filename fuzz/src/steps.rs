//! Event lists over three nodes from bytes: what a peer, a store, a client or a clock can do.
//!
//! Messages are real ones, real ones with a field changed, or forged ones whose entries are
//! properly linked; all of them pass through the codec, as on a connection.

mod cluster;
mod forge;
mod source;

use cluster::{config, run_of, start};
use source::{Source, chain_of, level, payload, request, target};

use meshos_core::action::{Action, Actions};
use meshos_core::chain::order::StoreError;
use meshos_core::client::{Ask, ClientRequest, Consistency};
use meshos_core::config::Config;
use meshos_core::event::{Event, Input};
use meshos_core::id::{Incarnation, OpId, Run, Seq, Ticket};
use meshos_core::message::Message;
use meshos_core::node::Node;
use meshos_core::time::{Instant, Wall};
use meshos_core::wire::{decode, encode};
use std::sync::Arc;

/// The chain that all three nodes hold.
const SHARED: &str = "shared";
/// The chain that only the first node holds.
const ALONE: &str = "alone";
/// No step may order more than this; it is far above what windows and pages allow.
const ACTIONS_MAX: usize = 4096;
const STEPS_MAX: usize = 200;
const QUEUE_MAX: usize = 48;

/// Feeds the nodes what the bytes say.
///
/// # Panics
/// If a node does, if a step orders without bound, or if a node does not survive being written
/// down.
pub fn run(bytes: &[u8]) {
    let mut source = Source(bytes);
    let mut world = World::new();
    for _ in 0..STEPS_MAX {
        if source.0.is_empty() {
            break;
        }
        world.turn(&mut source);
    }
    for node in 0..world.nodes.len() {
        world.write_down(node);
    }
}

struct World {
    config: Arc<Config>,
    nodes: Vec<Node>,
    now: Instant,
    /// Messages on their way, with the sender and the addressee.
    queue: Vec<(usize, usize, Arc<Message>)>,
    orders: Vec<(usize, OpId)>,
    tickets: u64,
}

impl World {
    fn new() -> Self {
        let config = config();
        Self {
            nodes: (1..=3).map(|node| start(node, &config)).collect(),
            config,
            now: Instant::ZERO,
            queue: Vec::new(),
            orders: Vec::new(),
            tickets: 0,
        }
    }

    fn turn(&mut self, source: &mut Source<'_>) {
        match source.byte() {
            0..=39 => self.wake(source),
            40..=109 => self.deliver(source),
            110..=159 => self.finish(source),
            160..=184 => self.ask(source),
            185..=209 => self.mutate(source),
            210..=244 => self.forge(source),
            245..=246 => self.lose(source),
            247..=250 => {
                let node = source.below(3);
                self.write_down(node);
            }
            251..=252 => self.step(source.below(3), Input::HandOver),
            253..=254 => {
                // Everything that is on its way arrives, everything ordered is done.
                for _ in 0..4 {
                    self.flush();
                }
            }
            255 => {
                self.now = Instant::from_nanos(source.near(u64::MAX).max(self.now.as_nanos()));
                self.step(source.below(3), Input::Wake);
            }
        }
    }

    /// Time passes up to a timer of some node, or well beyond it.
    fn wake(&mut self, source: &mut Source<'_>) {
        let node = source.below(3);
        let late = [0, 0, 0, 1_000_000, 400_000_000, 5_000_000_000][source.below(6)];
        if let Some(at) = self.nodes[node].poll_timeout() {
            let at = at.after(core::time::Duration::from_nanos(late));
            self.now = self.now.max(at);
        }
        self.step(node, Input::Wake);
    }

    /// A driver finds a link up or down, or a peer's process gone, the present or another run.
    fn lose(&mut self, source: &mut Source<'_>) {
        let (node, other) = (source.below(3), source.below(3));
        let Run {
            node: peer,
            incarnation,
            ..
        } = self.nodes[other].me();
        let input = match source.below(4) {
            0 => Input::LinkUp { peer },
            1 => Input::LinkDown { peer },
            2 => Input::PeerGone {
                node: peer,
                incarnation,
            },
            _ => Input::PeerGone {
                node: peer,
                incarnation: Incarnation::new(incarnation.get() + 1),
            },
        };
        self.step(node, input);
    }

    fn deliver(&mut self, source: &mut Source<'_>) {
        if self.queue.is_empty() {
            return;
        }
        let at = source.below(self.queue.len());
        let twice = source.byte() > 240;
        let (from, to, message) = if twice {
            self.queue[at].clone()
        } else {
            self.queue.remove(at)
        };
        self.hear(from, to, &message);
    }

    fn finish(&mut self, source: &mut Source<'_>) {
        if self.orders.is_empty() {
            return;
        }
        let at = source.below(self.orders.len());
        let (node, op) = self.orders.remove(at);
        let result = match source.byte() {
            0..=219 => Ok(()),
            220..=249 => Err(StoreError::Full),
            250..=255 => Err(StoreError::Broken),
        };
        self.step(node, Input::Done { op, result });
    }

    fn flush(&mut self) {
        for (from, to, message) in core::mem::take(&mut self.queue) {
            self.hear(from, to, &message);
        }
        for (node, op) in core::mem::take(&mut self.orders) {
            self.step(node, Input::Done { op, result: Ok(()) });
        }
    }

    fn ask(&mut self, source: &mut Source<'_>) {
        let node = source.below(3);
        let chain = chain_of(source);
        let ask = match source.below(6) {
            0 => Ask::OpenClient,
            1 | 2 => Ask::Append {
                level: level(source),
                request: request(source),
                payload: payload(source),
            },
            3 | 4 => Ask::Read {
                consistency: if source.byte() < 128 {
                    Consistency::Stale
                } else {
                    Consistency::Linearizable
                },
                from: source.seq(Seq::ZERO),
                bytes_max: u32::from(source.byte()),
            },
            _ => Ask::Transfer { to: target(source) },
        };
        self.tickets += 1;
        let ticket = Ticket::new(self.tickets);
        let request = ClientRequest { chain, ask };
        self.step(node, Input::Client { ticket, request });
    }

    fn hear(&mut self, from: usize, to: usize, message: &Message) {
        let limit = self.config.limits().message_bytes_max;
        let Ok(message) = decode(&encode(message), limit) else {
            return;
        };
        let input = Input::Peer {
            from: run_of(from).node,
            message: Arc::new(message),
        };
        self.step(to, input);
    }

    fn step(&mut self, node: usize, input: Input) {
        let mut out = Actions::new();
        let wall = Wall::from_ms(self.now.as_nanos() / 1_000_000);
        self.nodes[node].step(self.now, Event { wall, input }, &mut out);
        assert!(out.len() <= ACTIONS_MAX, "a step orders within bounds");
        for action in out.drain() {
            match action {
                Action::Send { to, message } => {
                    if self.queue.len() == QUEUE_MAX {
                        self.queue.remove(0);
                    }
                    let to = to.get() as usize - 1;
                    self.queue.push((node, to, message));
                }
                Action::Store { op, .. } => self.orders.push((node, op)),
                Action::Reply { .. } | Action::Note { .. } => {}
            }
        }
    }

    /// The node goes on as what its own bytes say.
    fn write_down(&mut self, node: usize) {
        let bytes = postcard::to_allocvec(&self.nodes[node]).expect("a node is plain data");
        let again: Node = postcard::from_bytes(&bytes).expect("a node reads what it wrote");
        assert_eq!(
            again.state_hash(),
            self.nodes[node].state_hash(),
            "a node is what it wrote"
        );
        self.nodes[node] = again;
    }
}
