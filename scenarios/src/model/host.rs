//! One node with its store on a simulated disk: the driver of the core, without a decision.
//!
//! A boot recovers the store from what the disk holds, or formats an empty one, performs the
//! repairs, and only then starts the node. After that every action is performed in order and
//! every operation answered once.

mod fold;

use super::describe::describe;
use super::files::{file_op, open};
use super::links::Links;
use super::{Op, Wire, node_id, node_index};
use meshos_core::action::{Action, Actions, Note};
use meshos_core::chain::order::StoreError;
use meshos_core::chain::recover::{Damage, Recovered};
use meshos_core::chain::store::{self, FileOp, Layout};
use meshos_core::client::{Answer, ClientRequest};
use meshos_core::config::Config;
use meshos_core::event::{Boot, Event, Input, Seed};
use meshos_core::hash::stable_hash;
use meshos_core::hello::Greeter;
use meshos_core::id::{ChainId, Gen, OpId, OpNumber, Ticket};
use meshos_core::node::Node;
use meshos_core::time::{Instant, Wall};
use meshos_sim::connection::Notice;
use meshos_sim::disk::DiskError;
use meshos_sim::machine::{self, Machine, NodeIndex, Outbox};
use meshos_sim::time::Now;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What every node of a run is started with.
pub type HostConfig = Arc<Config>;

/// What a node reports beyond messages and files.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// A request ended.
    Answer {
        /// The request.
        ticket: u64,
        /// How it ended.
        answer: Answer,
    },
    /// The node is not serving yet; the request did nothing.
    Refused {
        /// The request.
        ticket: u64,
    },
    /// The core tells what happened to a chain.
    Note {
        /// The chain.
        chain: ChainId,
        /// What happened.
        note: Note,
    },
}

/// A node and its store.
#[derive(Clone, Debug)]
pub struct Host {
    config: HostConfig,
    me: NodeIndex,
    seed: Seed,
    damage: Arc<[Damage]>,
    /// None when the store is beyond opening.
    links: Option<Links>,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    /// The repairs that recovery asked for are under way, or wait for space.
    Repairing {
        boot: Boot,
        layout: Layout,
        repairs: Vec<FileOp>,
        retry: Option<Instant>,
    },
    /// The node runs.
    Running(Box<Running>),
    /// The store cannot be opened, or failed before the node ran.
    Broken,
}

#[derive(Clone, Debug)]
struct Running {
    node: Node,
    layout: Layout,
    orders: BTreeMap<u64, Ordered>,
    /// Empty between steps: only its memory is kept.
    actions: Actions,
}

/// An order that the disk has not answered.
#[derive(Copy, Clone, Debug)]
struct Ordered {
    chain: ChainId,
    generation: Gen,
    /// Whether there was no space for it, so that what was performed of it is taken back.
    reverting: bool,
}

const BOOT: u64 = 0;
/// The batches that write down what is known of peers; nothing waits for them.
const PEERS: u64 = u64::MAX;

impl Host {
    /// The node, if it runs.
    pub fn node(&self) -> Option<&Node> {
        match &self.state {
            State::Running(running) => Some(&running.node),
            State::Repairing { .. } | State::Broken => None,
        }
    }

    /// Whether its core was told last that a peer can be reached; `None` if nothing was said yet.
    pub fn told_up(&self, peer: NodeIndex) -> Option<bool> {
        self.links.as_ref()?.told(peer)
    }

    /// Where the files of its chains are, if it runs.
    pub fn layout(&self) -> Option<&Layout> {
        match &self.state {
            State::Running(running) => Some(&running.layout),
            State::Repairing { .. } | State::Broken => None,
        }
    }

    /// What its boot found that was not as it had been written.
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    /// The limits of a store under `config`.
    pub fn store_limits(config: &Config) -> store::StoreLimits {
        store::StoreLimits {
            segment_bytes_max: config.limits().segment_bytes_max.into(),
        }
    }

    fn start(&mut self, boot: Boot, layout: Layout, now: Now, out: &mut Outbox<Self>) {
        let id = node_id(self.me);
        match Node::new(id, self.config.clone(), boot, self.seed, instant(now)) {
            Ok(node) => {
                let orders = BTreeMap::new();
                self.state = State::Running(Box::new(Running {
                    node,
                    layout,
                    orders,
                    actions: Actions::new(),
                }));
                self.feed(now, Input::Wake, out);
            }
            Err(_) => self.state = State::Broken,
        }
    }

    fn feed(&mut self, now: Now, input: Input, out: &mut Outbox<Self>) {
        let State::Running(running) = &mut self.state else {
            return;
        };
        let mut actions = core::mem::take(&mut running.actions);
        let wall = Wall::from_ms(now.wall_ms);
        running
            .node
            .step(instant(now), Event { wall, input }, &mut actions);
        for action in actions.drain() {
            running.perform(action, out);
        }
        running.actions = actions;
    }

    fn on_notice(&mut self, notice: &Notice, now: Now, out: &mut Outbox<Self>) {
        let is_running = self.node().is_some();
        let Some(links) = self.links.as_mut() else {
            return;
        };
        if let Some(ops) = links.disowned(notice, self.me) {
            keep(ops, out);
            return self.feed(now, Input::Disowned, out);
        }
        let (inputs, ops) = links.on_notice(notice, is_running);
        keep(ops, out);
        for input in inputs {
            self.feed(now, input, out);
        }
    }

    fn on_boot_disk(&mut self, result: Result<(), DiskError>, now: Now, out: &mut Outbox<Self>) {
        let State::Repairing { retry, .. } = &mut self.state else {
            return;
        };
        match result {
            Ok(()) => {
                let State::Repairing { boot, layout, .. } =
                    std::mem::replace(&mut self.state, State::Broken)
                else {
                    return;
                };
                self.start(boot, layout, now, out);
            }
            // Repairs may be performed again from the first, whatever was performed of them.
            Err(DiskError::Full { .. }) => *retry = Some(instant(now).after(RETRY)),
            Err(DiskError::Failed) => self.state = State::Broken,
        }
    }
}

/// Writes down what was learned of peers, if anything was.
fn keep(ops: Vec<FileOp>, out: &mut Outbox<Host>) {
    if !ops.is_empty() {
        out.disk(PEERS, ops.into_iter().map(file_op).collect());
    }
}

const RETRY: Duration = Duration::from_millis(500);

impl Running {
    fn perform(&mut self, action: Action, out: &mut Outbox<Host>) {
        match action {
            Action::Send { to, message } => out.send(node_index(to), Wire::new(message)),
            Action::Store {
                op,
                chain,
                generation,
                commit,
                checkpoint_bytes,
                order,
            } => {
                assert!(
                    self.layout.fits(chain, generation, &order),
                    "an order follows the one before it"
                );
                self.layout.know_commit(chain, generation, commit);
                self.layout.reserve(chain, generation, checkpoint_bytes);
                let ops = self.layout.perform(chain, generation, &order);
                let ordered = Ordered {
                    chain,
                    generation,
                    reverting: false,
                };
                self.orders.insert(op.number.get(), ordered);
                out.disk(op.number.get(), ops.into_iter().map(file_op).collect());
            }
            Action::Reply { ticket, answer } => {
                out.output(Output::Answer {
                    ticket: ticket.get(),
                    answer,
                });
            }
            Action::Note { chain, note } => out.output(Output::Note { chain, note }),
        }
    }

    fn on_disk(
        &mut self,
        token: u64,
        result: Result<(), DiskError>,
        out: &mut Outbox<Host>,
    ) -> Option<Input> {
        let Ordered {
            chain,
            generation,
            reverting,
        } = self.orders.remove(&token)?;
        let result = match result {
            Ok(()) if reverting => Err(StoreError::Full),
            Ok(()) => Ok(()),
            Err(DiskError::Full { at }) if !reverting => {
                if let Some(undo) = self.layout.revert(chain, generation, at as usize) {
                    let ordered = Ordered {
                        chain,
                        generation,
                        reverting: true,
                    };
                    self.orders.insert(token, ordered);
                    out.disk(token, undo.into_iter().map(file_op).collect());
                    return None;
                }
                Err(StoreError::Broken)
            }
            Err(DiskError::Full { .. } | DiskError::Failed) => {
                // No further order follows, so the last one seals nothing.
                let _ = self.layout.revert(chain, generation, 0);
                Err(StoreError::Broken)
            }
        };
        let incarnation = self.node.me().incarnation;
        Some(Input::Done {
            op: OpId {
                incarnation,
                number: OpNumber::new(token),
            },
            result,
        })
    }
}

impl Machine for Host {
    type Config = HostConfig;
    type Message = Wire;
    type Op = Op;
    type Output = Output;

    fn boot(config: &HostConfig, boot: machine::Boot<'_>, out: &mut Outbox<Self>) -> Self {
        let mut seed = [0; 32];
        for (at, part) in seed.chunks_exact_mut(8).enumerate() {
            part.copy_from_slice(&(boot.seed ^ at as u64).to_le_bytes());
        }
        let seed = Seed(seed);
        let (damage, links, state) =
            match open(config, &boot, &Self::store_limits(config), seed.run()) {
                Some((formatted, recovered)) => {
                    let Recovered {
                        identity,
                        format,
                        boots,
                        peers,
                        boot,
                        layout,
                        repairs: found,
                        damage,
                        ..
                    } = recovered;
                    let greeter = Greeter::new(config.clone(), &identity, format, boots);
                    let links = Links::new(greeter, identity, peers);
                    let mut repairs = formatted;
                    repairs.extend(found);
                    out.disk(BOOT, repairs.iter().cloned().map(file_op).collect());
                    let state = State::Repairing {
                        boot,
                        layout,
                        repairs,
                        retry: None,
                    };
                    (damage, Some(links), state)
                }
                None => (Vec::new(), None, State::Broken),
            };
        Self {
            config: config.clone(),
            me: boot.node,
            seed,
            damage: damage.into(),
            links,
            state,
        }
    }

    fn step(&mut self, now: Now, input: machine::Input<Self>, out: &mut Outbox<Self>) {
        let input = match input {
            machine::Input::Wake => match &mut self.state {
                State::Repairing { repairs, retry, .. } => {
                    *retry = None;
                    return out.disk(BOOT, repairs.iter().cloned().map(file_op).collect());
                }
                State::Running(_) | State::Broken => Input::Wake,
            },
            machine::Input::Message { from, message } => {
                let ops = self.links.as_mut().map(|links| links.on_message(from));
                keep(ops.unwrap_or_default(), out);
                Input::Peer {
                    from: node_id(from),
                    message: message.message,
                }
            }
            machine::Input::Link(notice) => return self.on_notice(&notice, now, out),
            machine::Input::Op(op) => {
                if self.node().is_none() {
                    return out.output(Output::Refused { ticket: op.ticket });
                }
                match op.ask.request() {
                    Some(ask) => {
                        let name = self.config.chains().get(usize::from(op.chain));
                        let chain = ChainId::of(name.map_or("", |chain| &chain.name));
                        let request = ClientRequest { chain, ask };
                        Input::Client {
                            ticket: Ticket::new(op.ticket),
                            request,
                        }
                    }
                    None => Input::HandOver,
                }
            }
            machine::Input::Disk {
                token: BOOT,
                result,
            } => {
                return self.on_boot_disk(result, now, out);
            }
            machine::Input::Disk { token, result } => {
                let State::Running(running) = &mut self.state else {
                    return;
                };
                let Some(input) = running.on_disk(token, result, out) else {
                    return;
                };
                input
            }
        };
        self.feed(now, input, out);
    }

    fn poll_timeout(&self) -> Option<meshos_sim::time::Instant> {
        let at = match &self.state {
            State::Repairing { retry, .. } => *retry,
            State::Running(running) => running.node.poll_timeout(),
            State::Broken => None,
        };
        at.map(|at| meshos_sim::time::Instant::from_nanos(at.as_nanos()))
    }

    fn state_hash(&self) -> u64 {
        self.node().map_or(0, |node| node.state_hash().0)
    }

    fn describe(&self) -> Option<String> {
        let idle = match self.state {
            State::Repairing { .. } => "repairing",
            State::Running(_) => "",
            State::Broken => "broken",
        };
        Some(describe(self, idle))
    }

    fn hello(&self, to: NodeIndex) -> Arc<[u8]> {
        // A node listens and dials once its store is open; until then its word is none.
        let links = self.links.as_ref().filter(|_| self.node().is_some());
        links.map_or_else(|| Arc::new([]) as Arc<[u8]>, |links| links.hello(to))
    }

    fn judge(&self, peer: NodeIndex, hello: &[u8]) -> Result<(), Arc<str>> {
        match self.links.as_ref().filter(|_| self.node().is_some()) {
            Some(links) => links.judge(peer, hello),
            None => Err(Arc::from("its store is not open yet")),
        }
    }

    fn can_read(&self, message: &Wire) -> bool {
        message.fits(self.config.limits().message_bytes_max)
    }

    fn output_fingerprint(output: &Output) -> u64 {
        stable_hash(output).0
    }

    fn op_fingerprint(op: &Op) -> u64 {
        stable_hash(op).0
    }
}

fn instant(now: Now) -> Instant {
    Instant::from_nanos(now.instant.as_nanos())
}
