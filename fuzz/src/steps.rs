//! Event lists over three nodes from bytes: what a peer, a store, a client or a clock can do.
//!
//! Messages are real ones, real ones with a field changed, or forged ones whose entries are
//! properly linked; all of them pass through the codec, as on a connection.

use bytes::Bytes;
use meshos_core::action::{Action, Actions};
use meshos_core::chain::entry::{Entry, EntryHash, Kind, Membership, Request, Tip};
use meshos_core::chain::order::{Checkpoint, StoreError};
use meshos_core::chain::payload::Payload;
use meshos_core::client::{Ask, ClientRequest, Consistency, Level};
use meshos_core::config::{ChainDraft, Config, Draft, Founder, Limits, Retention, Timing};
use meshos_core::event::{Boot, Event, Input, Seed};
use meshos_core::id::{
    Attempt, ChainId, ClientId, Epoch, Gen, Incarnation, Member, NodeId, Number, OpId, Replica,
    RequestNumber, Run, Seq, StoreId, Ticket,
};
use meshos_core::message::{
    Body, ChainMessage, Confirm, Forward, ForwardAsk, Forwarded, Heartbeat, Message, Purpose,
    Round, Row, RowState, Talk,
};
use meshos_core::node::Node;
use meshos_core::replica::role::Role;
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

/// The bytes that are left; zeros behind their end.
struct Source<'a>(&'a [u8]);

impl Source<'_> {
    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        first
    }

    fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end.max(1)
    }

    /// A number that is near another one, small, or huge.
    fn near(&mut self, other: u64) -> u64 {
        match self.byte() {
            0..=99 => other,
            100..=139 => other.saturating_add(1),
            140..=179 => other.saturating_sub(1),
            180..=199 => u64::from(self.byte()),
            200..=214 => other.saturating_add(u64::from(self.byte())),
            215..=229 => other.saturating_sub(u64::from(self.byte())),
            230..=239 => u64::MAX,
            240..=245 => u64::MAX - 1,
            246..=255 => 0,
        }
    }

    fn seq(&mut self, other: Seq) -> Seq {
        Seq::new(self.near(other.get()))
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
            245..=250 => {
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

    /// A real message with something else in it.
    fn mutate(&mut self, source: &mut Source<'_>) {
        if self.queue.is_empty() {
            return;
        }
        let (from, to, message) = self.queue[source.below(self.queue.len())].clone();
        let mut message = (*message).clone();
        match &mut message.body {
            Body::Chain(chain) => {
                if source.byte() < 100 {
                    chain.epoch = near_epoch(source, chain.epoch);
                }
                mutate_talk(source, &mut chain.talk);
            }
            Body::Heartbeat(heartbeat) => {
                heartbeat.number = Number::new(source.near(heartbeat.number.get()));
                heartbeat.upto = source.near(heartbeat.upto);
                heartbeat.after = source.near(heartbeat.after);
                for row in &mut heartbeat.rows {
                    if let Some(state) = &mut row.state {
                        state.epoch = near_epoch(source, state.epoch);
                        state.commit = source.seq(state.commit);
                    }
                }
            }
            Body::Confirm(confirms) | Body::Confirmed(confirms) => {
                for confirm in confirms {
                    confirm.epoch = near_epoch(source, confirm.epoch);
                    confirm.attempt.number = Number::new(source.near(confirm.attempt.number.get()));
                }
            }
            Body::Forward(forward) => {
                forward.epoch = near_epoch(source, forward.epoch);
                forward.attempt.number = Number::new(source.near(forward.attempt.number.get()));
            }
            Body::Forwarded { attempt, .. } => {
                attempt.number = Number::new(source.near(attempt.number.get()));
            }
        }
        message.from.incarnation = Incarnation::new(source.near(1));
        self.hear(from, to, &message);
    }

    /// A message that nobody sent, as wrong as its sender likes.
    fn forge(&mut self, source: &mut Source<'_>) {
        let to = source.below(3);
        let from = (to + 1 + source.below(2)) % 3;
        let chain = chain_of(source);
        let body = self.body(source, to, from, chain);
        let message = Message {
            cluster: self.config.cluster(),
            from: run_of(from),
            to: run_of(to).store,
            body,
        };
        self.hear(from, to, &message);
    }

    fn body(&self, source: &mut Source<'_>, to: usize, from: usize, chain: ChainId) -> Body {
        let present = self.nodes[to].chain(chain);
        let epoch = present.map_or(Epoch::default(), |chain| chain.epoch());
        let node = if source.byte() < 200 {
            NodeId::new(from as u64 + 1)
        } else {
            NodeId::new(source.near(1))
        };
        let epoch = Epoch {
            n: source.near(epoch.n),
            node,
        };
        let generation = Gen::default();
        match source.below(12) {
            0 | 1 => Body::Heartbeat(self.heartbeat(source, chain, epoch)),
            2 => Body::Confirm(vec![confirm(source, chain, epoch)]),
            3 => Body::Confirmed(vec![confirm(source, chain, epoch)]),
            4 => Body::Forward(Forward {
                chain,
                generation,
                epoch,
                attempt: any_attempt(source),
                ask: match source.below(5) {
                    0 => ForwardAsk::OpenClient,
                    1 => ForwardAsk::ReadIndex,
                    2 => ForwardAsk::Transfer { to: target(source) },
                    _ => ForwardAsk::Append {
                        level: level(source),
                        request: request(source),
                        payload: payload(source),
                    },
                },
            }),
            5 => Body::Forwarded {
                attempt: any_attempt(source),
                answer: match source.below(4) {
                    0 => Forwarded::Unknown,
                    1 => Forwarded::Acked {
                        seq: source.seq(Seq::ZERO),
                        epoch,
                    },
                    2 => Forwarded::NotLeader {
                        hint: target(source),
                    },
                    _ => Forwarded::ReadIndex {
                        commit: source.seq(Seq::ZERO),
                    },
                },
            },
            _ => Body::Chain(ChainMessage {
                chain,
                generation,
                from: Replica::new(1),
                to: Replica::new(1),
                epoch,
                talk: self.talk(source, to, chain, epoch),
            }),
        }
    }

    fn heartbeat(&self, source: &mut Source<'_>, chain: ChainId, epoch: Epoch) -> Heartbeat {
        let after = source.near(0);
        let state = RowState {
            epoch,
            role: [Role::Leader, Role::Leader, Role::Replica, Role::Candidate][source.below(4)],
            distance: Some(0),
            durable: (source.byte() < 200).then(|| source.seq(Seq::ZERO)),
            commit: source.seq(Seq::ZERO),
        };
        let row = Row {
            chain,
            generation: Gen::default(),
            replica: Replica::new(1),
            state: (source.byte() < 240).then_some(state),
        };
        Heartbeat {
            number: Number::new(source.near(1000)),
            echo: Some((Incarnation::new(1), Number::new(source.near(1)))),
            acknowledged: Some((Incarnation::new(1), source.near(1))),
            wall: Wall::from_ms(source.near(0)),
            after,
            upto: source.near(after).max(after),
            rows: vec![row],
        }
    }

    fn talk(&self, source: &mut Source<'_>, to: usize, chain: ChainId, epoch: Epoch) -> Talk {
        let held = self.nodes[to].chain(chain);
        let end = held.map_or(Seq::ZERO, |chain| chain.log().end());
        let at = source.seq(end);
        let tip = held.and_then(|chain| chain.log().tip_at(at));
        let since = tip.unwrap_or(Tip {
            end: at,
            epoch,
            hash: EntryHash(1),
        });
        let attempt = self.live_attempt(source, to, chain);
        match source.below(15) {
            0 => Talk::VoteRequest {
                round: if source.byte() < 128 {
                    Round::Pre
                } else {
                    Round::Real
                },
                purpose: if source.byte() < 128 {
                    Purpose::Silence
                } else {
                    Purpose::Transfer
                },
                asked: near_epoch(source, epoch),
                last_epoch: near_epoch(source, since.epoch),
                tail: source.seq(end),
                attempt,
            },
            1 => Talk::VoteReply {
                round: if source.byte() < 128 {
                    Round::Pre
                } else {
                    Round::Real
                },
                asked: near_epoch(source, epoch),
                granted: source.byte() < 200,
                attempt,
            },
            2 => Talk::Pull {
                since,
                durable: (source.byte() < 200).then(|| source.seq(end)),
                attempt,
                number: Number::new(source.near(100)),
            },
            3..=6 => Talk::Chunk {
                attempt,
                since,
                entries: entries(source, since, epoch),
                commit: source.seq(end),
                floor: source.seq(Seq::ZERO),
            },
            7 => Talk::Conflict {
                attempt,
                failed: source.seq(end),
                hint: source.seq(end),
                hint_epoch: near_epoch(source, epoch),
            },
            8 | 9 => self.reset(source, since, attempt),
            10 => Talk::Outdated,
            11 => Talk::Regressed {
                acknowledged: source.seq(end),
            },
            12 => Talk::TransferNow,
            13 => Talk::Fetch {
                from: source.seq(end),
                end: source.seq(end),
                attempt,
            },
            _ => Talk::Fetched {
                attempt,
                since,
                entries: entries(source, since, epoch),
            },
        }
    }

    /// A checkpoint at a floor that may be linked to anything.
    fn reset(&self, source: &mut Source<'_>, since: Tip, attempt: Attempt) -> Talk {
        let mut checkpoint = self.config.founding(&self.config.chains()[0]);
        if source.byte() > 128 {
            checkpoint.membership = membership(source);
        }
        checkpoint.floor = Tip {
            end: source.seq(since.end),
            ..since
        };
        let encoded = checkpoint_bytes(&checkpoint);
        let hash = meshos_core::chain::checkpoint::digest(&encoded);
        let length = encoded.len() as u32;
        let length = if source.byte() > 230 {
            u32::MAX
        } else {
            length
        };
        Talk::Reset {
            attempt,
            floor: checkpoint.floor,
            checkpoint: hash,
            length,
            offset: source.near(0).min(u64::from(u32::MAX)) as u32,
            part: encoded.into(),
        }
    }

    /// The stream or round that the node has open, if it still is on its way to somebody.
    fn live_attempt(&self, source: &mut Source<'_>, node: usize, chain: ChainId) -> Attempt {
        let asked = self.queue.iter().rev().filter(|(from, ..)| *from == node);
        let found = asked.filter_map(|(_, _, message)| match &message.body {
            Body::Chain(message) if message.chain == chain => match &message.talk {
                Talk::Pull { attempt, .. }
                | Talk::VoteRequest { attempt, .. }
                | Talk::Fetch { attempt, .. } => Some(*attempt),
                _ => None,
            },
            _ => None,
        });
        match found.take(4).nth(source.below(2)) {
            Some(attempt) if source.byte() < 230 => attempt,
            _ => any_attempt(source),
        }
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

fn mutate_talk(source: &mut Source<'_>, talk: &mut Talk) {
    match talk {
        Talk::VoteRequest { asked, tail, .. } => {
            *asked = near_epoch(source, *asked);
            *tail = source.seq(*tail);
        }
        Talk::VoteReply { granted, .. } => *granted = !*granted,
        Talk::Pull {
            since,
            durable,
            number,
            ..
        } => {
            since.end = source.seq(since.end);
            *durable = durable.map(|end| source.seq(end));
            *number = Number::new(source.near(number.get()));
        }
        Talk::Chunk {
            since,
            entries: list,
            commit,
            ..
        } => {
            *commit = source.seq(*commit);
            if source.byte() < 128 {
                let epoch = near_epoch(source, since.epoch);
                *list = entries(source, *since, epoch);
            }
        }
        Talk::Conflict { failed, hint, .. } => {
            *failed = source.seq(*failed);
            *hint = source.seq(*hint);
        }
        Talk::Reset { floor, offset, .. } => {
            floor.end = source.seq(floor.end);
            *offset = source.near(u64::from(*offset)) as u32;
        }
        Talk::Regressed { acknowledged } => *acknowledged = source.seq(*acknowledged),
        Talk::Fetch { from, end, .. } => {
            *from = source.seq(*from);
            *end = source.seq(*end);
        }
        Talk::Fetched { since, .. } => since.end = source.seq(since.end),
        Talk::Outdated | Talk::TransferNow => {}
    }
}

/// Linked entries behind `tip` of epochs that do not go down.
fn entries(source: &mut Source<'_>, mut tip: Tip, epoch: Epoch) -> Arc<[Arc<Entry>]> {
    let mut list = Vec::new();
    for _ in 0..source.below(5) {
        let n = source.near(tip.epoch.n).max(tip.epoch.n).min(epoch.n);
        let kind = match source.below(8) {
            0 => Kind::Empty,
            1 => Kind::OpenClient,
            2 => Kind::Config(membership(source)),
            _ => Kind::Data(request(source)),
        };
        let payload = match kind {
            Kind::Data(_) => payload(source),
            Kind::Empty | Kind::OpenClient | Kind::Config(_) => Payload::empty(),
        };
        let entry = Entry {
            generation: Gen::default(),
            seq: tip.end,
            epoch: Epoch { n, ..epoch },
            store: StoreId::new(1),
            incarnation: Incarnation::new(1),
            stamp: Wall::from_ms(source.near(0)),
            kind,
            payload,
            hash: EntryHash::default(),
        };
        let entry = entry.linked(tip.hash);
        let Some(end) = tip.end.get().checked_add(1) else {
            break;
        };
        tip = Tip {
            end: Seq::new(end),
            epoch: entry.epoch,
            hash: entry.hash,
        };
        list.push(Arc::new(entry));
    }
    list.into()
}

fn membership(source: &mut Source<'_>) -> Arc<Membership> {
    let mut group = |count| {
        let member = |node: usize| Member {
            node: NodeId::new(node as u64),
            store: StoreId::new(node as u128),
            replica: Replica::new(1),
        };
        let mut members: Vec<Member> = (0..count).map(|_| member(source.below(5))).collect();
        members.sort();
        members.dedup();
        members
    };
    let (voters, learners) = (group(4), group(1));
    Arc::new(Membership { voters, learners })
}

fn confirm(source: &mut Source<'_>, chain: ChainId, epoch: Epoch) -> Confirm {
    Confirm {
        chain,
        generation: Gen::default(),
        leader: Replica::new(1),
        voter: Replica::new(1),
        epoch,
        attempt: any_attempt(source),
    }
}

fn any_attempt(source: &mut Source<'_>) -> Attempt {
    Attempt {
        incarnation: Incarnation::new(source.near(1)),
        number: Number::new(source.near(4).max(1)),
    }
}

fn near_epoch(source: &mut Source<'_>, epoch: Epoch) -> Epoch {
    Epoch {
        n: source.near(epoch.n),
        node: NodeId::new(source.near(epoch.node.get())),
    }
}

fn level(source: &mut Source<'_>) -> Level {
    if source.byte() < 64 {
        Level::Local
    } else {
        Level::Committed
    }
}

fn request(source: &mut Source<'_>) -> Option<Request> {
    (source.byte() < 128).then(|| Request {
        client: ClientId(source.seq(Seq::new(1))),
        number: RequestNumber::new(source.near(1)),
    })
}

fn payload(source: &mut Source<'_>) -> Payload {
    Payload::new(Bytes::from(vec![source.byte(); source.below(80)]))
}

fn target(source: &mut Source<'_>) -> Option<NodeId> {
    (source.byte() < 128).then(|| NodeId::new(source.near(2)))
}

fn chain_of(source: &mut Source<'_>) -> ChainId {
    match source.byte() {
        0..=219 => ChainId::of(SHARED),
        220..=249 => ChainId::of(ALONE),
        250..=255 => ChainId::of("unknown"),
    }
}

fn checkpoint_bytes(checkpoint: &Checkpoint) -> Vec<u8> {
    postcard::to_allocvec(checkpoint).expect("a checkpoint is plain data")
}

fn run_of(node: usize) -> Run {
    let number = node as u64 + 1;
    Run {
        node: NodeId::new(number),
        store: StoreId::new(number.into()),
        incarnation: Incarnation::new(1),
    }
}

/// Three nodes with limits small enough to be met.
fn config() -> Arc<Config> {
    let founder = |node| Founder {
        node: NodeId::new(node),
        store: StoreId::new(node.into()),
    };
    let chain = |name: &str, members: &[u64], pinned: Option<u64>| ChainDraft {
        name: name.into(),
        members: members.iter().copied().map(NodeId::new).collect(),
        leader_pinned: pinned.map(NodeId::new),
        retention: Retention {
            entries_max: Some(6),
            bytes_max: Some(400),
            age_max_ms: Some(100_000),
        },
        class: Default::default(),
    };
    let limits = Limits {
        entry_bytes_max: 64,
        message_bytes_max: 2048,
        chunks_in_flight_max: 2,
        requests_max: 4,
        uncommitted_max: 16,
        clients_max: 2,
        client_window: 2,
        forwards_max: 2,
        rows_max: 1,
        batch_bytes_max: 256,
        bandwidth_bytes_per_s: 4096,
        ..Limits::default()
    };
    let draft = Draft {
        nodes: (1..=3).map(founder).collect(),
        chains: vec![chain(SHARED, &[1, 2, 3], Some(2)), chain(ALONE, &[1], None)],
        timing: Timing::default(),
        limits,
    };
    Arc::new(Config::try_from(draft).expect("the config is valid"))
}

fn start(node: u64, config: &Arc<Config>) -> Node {
    let id = NodeId::new(node);
    let boot = Boot::founding(config, id).expect("the config names the node");
    let seed = Seed([node as u8; 32]);
    let node = Node::new(id, config.clone(), boot, seed, Instant::ZERO);
    node.expect("the config names the node and its chains")
}
