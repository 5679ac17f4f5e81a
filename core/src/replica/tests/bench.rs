//! One chain of three nodes and everything that a step lends to it.

use crate::action::{Action, Actions, Note};
use crate::bandwidth::Bucket;
use crate::chain::entry::{Entry, EntryHash, EntryKind, LogPosition};
use crate::chain::order::{Image, Order, Slot, StoreError, Vote};
use crate::chain::payload::Payload;
use crate::client::{Answer, Ask};
use crate::config::{ChainDraft, Config, Draft, Founder, Limits, Retention, Timing};
use crate::count::{Count, Counters};
use crate::deadline::{ChainIndex, Deadlines};
use crate::event::Seed;
use crate::id::{
    Attempt, AttemptNumber, ChainId, DeploymentId, Epoch, Gen, HeartbeatNumber, Incarnation,
    NodeId, OpId, OpNumber, PullNumber, Replica, Run, Seq, StoreId, Ticket,
};
use crate::liveness::{self, Liveness};
use crate::message::{
    Body, ChainMessage, Forward, ForwardAsk, Forwarded, Heartbeat, Message, Purpose,
    ReplicaMessage, Round, Row, RowState,
};
use crate::replica::role::{Role, Signal};
use crate::replica::{Chain, Shared, StepContext};
use crate::rng::Rng;
use crate::time::{Instant, Wall};
use crate::turns::{Pass, Turns};
use crate::window::Windows;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::time::Duration;

/// One chain "c" of nodes 1 to 3, as one of them holds it.
pub(super) struct Bench {
    pub(super) chain: Chain,
    pub(super) config: Arc<Config>,
    pub(super) now: Instant,
    pub(super) deadlines: Deadlines,
    pub(super) leaving: bool,
    /// What the own clock shows.
    pub(super) wall: Wall,
    /// What the clock of a peer shows with its next heartbeat.
    pub(super) wall_there: Wall,
    me: Run,
    rng: Rng,
    pub(super) liveness: Liveness,
    counters: Counters,
    bucket: Bucket,
    turns: Turns,
    pub(super) windows: Windows,
    operations: OpNumber,
    pub(super) attempts: AttemptNumber,
    under_way: BTreeMap<OpNumber, ChainIndex>,
    stale: Vec<ChainIndex>,
    candidates: u32,
    heard: u64,
    out: Actions,
}

/// What a bench starts from.
pub(super) struct Start {
    pub(super) me: u64,
    pub(super) voters: u64,
    pub(super) limits: Limits,
    pub(super) log: Vec<Arc<Entry>>,
    pub(super) unknown: Vec<u64>,
    pub(super) vote: Option<Vote>,
    pub(super) retention: Retention,
    pub(super) stored_commit: u64,
}

impl Start {
    /// Node `me` of three with entries of these epochs on its disk, promised to the last one.
    pub(super) fn of(me: u64, epochs: &[u64]) -> Self {
        let vote = Vote {
            epoch: epoch(epochs.last().copied().unwrap_or(0)),
            granted: None,
        };
        Self {
            me,
            voters: 3,
            limits: Limits::default(),
            log: log(epochs),
            unknown: Vec::new(),
            vote: Some(vote),
            retention: Retention::default(),
            stored_commit: 0,
        }
    }

    /// The same with these positions unknown.
    pub(super) fn unknown(mut self, unknown: &[u64]) -> Self {
        self.unknown = unknown.to_vec();
        self
    }

    pub(super) fn build(self) -> Bench {
        let config = config(self.voters, self.limits);
        let founding = config.founding(&config.chains()[0]);
        let mut tip = founding.floor;
        for entry in &self.log {
            tip = behind(entry);
        }
        let slot = |entry: &Arc<Entry>| {
            if self.unknown.contains(&entry.seq.get()) {
                Slot::Unknown
            } else {
                Slot::Known(entry.clone())
            }
        };
        let image = Image {
            chain: ChainId::of("c"),
            generation: Gen::default(),
            replica: Replica::new(1),
            vote: self.vote,
            checkpoint: founding,
            slots: self.log.iter().map(slot).collect(),
            tip,
            commit: Seq::new(self.stored_commit),
        };
        let now = Instant::from_nanos(1_000_000_000);
        let me = run(self.me);
        let draft = ChainDraft {
            retention: self.retention,
            ..config.chains()[0].clone()
        };
        let chain = Chain::new(ChainIndex(0), &draft, image, me, &config, now);
        let timing = liveness::Timing {
            heartbeat: config.heartbeat(),
            misses: 3,
            rows_per_page_max: 256,
        };
        let peers = (1..=self.voters).filter(|&node| node != self.me);
        let peers = peers.map(NodeId::new);
        Bench {
            chain,
            now,
            me,
            rng: Rng::new(Seed([7; 32])),
            deadlines: Deadlines::default(),
            liveness: Liveness::new(me.incarnation, peers, timing, now),
            counters: Counters::default(),
            bucket: Bucket::new(config.budget(), now),
            turns: Turns::default(),
            windows: Windows::new(config.heartbeat()),
            operations: OpNumber::new(0),
            attempts: AttemptNumber::new(0),
            under_way: BTreeMap::new(),
            stale: Vec::new(),
            candidates: 0,
            leaving: false,
            wall: Wall::from_ms(7),
            wall_there: Wall::default(),
            heard: 0,
            out: Actions::new(),
            config,
        }
    }

    /// Builds and lets the first step pass.
    pub(super) fn settled(self) -> Bench {
        let mut bench = self.build();
        bench.act(|_, _| {});
        bench
    }
}

impl Bench {
    /// Calls one handler and settles the chain, as a step does.
    pub(super) fn act(
        &mut self,
        act: impl FnOnce(&mut Chain, &mut StepContext<'_>),
    ) -> Vec<Action> {
        let mut cx = StepContext {
            now: self.now,
            wall: self.wall,
            me: self.me,
            config: &self.config,
            rng: &mut self.rng,
            deadlines: &mut self.deadlines,
            liveness: &mut self.liveness,
            counters: &mut self.counters,
            bucket: &mut self.bucket,
            turns: &mut self.turns,
            windows: &mut self.windows,
            operations: &mut self.operations,
            attempts: &mut self.attempts,
            under_way: &mut self.under_way,
            stale: &mut self.stale,
            candidates: &mut self.candidates,
            leaving: self.leaving,
            out: &mut self.out,
        };
        act(&mut self.chain, &mut cx);
        self.chain.settle_first(&mut cx);
        let (mut pass, mut shared) = (Pass::default(), Shared::default());
        while let Some((class, peer, _)) = cx.turns.next(&pass, cx.now) {
            let turn = self.chain.take_turn(peer, &mut shared, &mut cx);
            cx.turns.note(&mut pass, (class, peer), turn);
        }
        self.chain.settle_rest(&mut cx);
        self.out.drain().collect()
    }

    /// Settles without anything having happened.
    pub(super) fn settle(&mut self) -> Vec<Action> {
        self.act(|_, _| {})
    }

    /// A message of a peer in its epoch `n`, which names the peer as its node.
    pub(super) fn hear(&mut self, from: u64, n: u64, content: ReplicaMessage) -> Vec<Action> {
        let message = ChainMessage {
            chain: ChainId::of("c"),
            generation: Gen::default(),
            from: Replica::new(1),
            to: Replica::new(1),
            epoch: led(n, from),
            content,
        };
        self.act(|chain, cx| chain.on_message(run(from), &message, cx))
    }

    /// A heartbeat of a peer with its row of the chain.
    pub(super) fn row(&mut self, from: u64, row: RowState) -> Vec<Action> {
        let rows = alloc::vec![Row {
            chain: ChainId::of("c"),
            generation: Gen::default(),
            replica: Replica::new(1),
            state: Some(row),
        }];
        self.heartbeat(from, rows);
        self.act(|chain, cx| chain.on_row(run(from), Replica::new(1), row, cx))
    }

    /// A heartbeat of a peer whose replica of the chain stopped.
    pub(super) fn gone(&mut self, from: u64) {
        let rows = alloc::vec![Row {
            chain: ChainId::of("c"),
            generation: Gen::default(),
            replica: Replica::new(1),
            state: None,
        }];
        self.heartbeat(from, rows);
    }

    /// A heartbeat of a peer, which shows what its clocks say.
    fn heartbeat(&mut self, from: u64, rows: Vec<Row>) {
        self.heard += 1;
        let number = HeartbeatNumber::new(self.heard);
        let heartbeat = Heartbeat {
            number,
            echo: Some((self.me.incarnation, number)),
            acknowledged: None,
            wall: self.wall_there,
            after: 0,
            upto: 0,
            rows,
        };
        let (peer, incarnation) = (NodeId::new(from), Incarnation::new(1));
        let heard = self
            .liveness
            .on_heartbeat(peer, incarnation, &heartbeat, self.now);
        assert!(heard.is_some(), "every heartbeat here is newer");
    }

    /// The newest order ends.
    pub(super) fn done(&mut self, result: Result<(), StoreError>) -> Vec<Action> {
        let number = self.operations;
        self.under_way.remove(&number);
        self.act(|chain, cx| chain.on_done(number, result, cx))
    }

    /// A client of this node asks.
    pub(super) fn ask(&mut self, ticket: u64, ask: Ask) -> Vec<Action> {
        self.act(|chain, cx| chain.on_client(Ticket::new(ticket), ask, cx))
    }

    /// A client of a peer asks, as try `number`, for what `epoch` leads.
    pub(super) fn forward(
        &mut self,
        from: u64,
        epoch: Epoch,
        number: u64,
        ask: ForwardAsk,
    ) -> Vec<Action> {
        let forward = Forward {
            chain: ChainId::of("c"),
            generation: Gen::default(),
            epoch,
            attempt: attempt(number),
            ask,
        };
        self.act(|chain, cx| chain.on_forward(run(from), forward, cx))
    }

    pub(super) fn count(&self, count: Count) -> u64 {
        self.counters.of(count)
    }

    pub(super) fn pass(&mut self, span: Duration) {
        self.now = self.now.after(span);
    }

    /// What this node says to a peer in its present epoch.
    pub(super) fn said(&self, to: u64, content: ReplicaMessage) -> Action {
        let message = ChainMessage {
            chain: ChainId::of("c"),
            generation: Gen::default(),
            from: Replica::new(1),
            to: Replica::new(1),
            epoch: self.chain.epoch(),
            content,
        };
        self.sent(to, Body::Chain(message))
    }

    pub(super) fn sent(&self, to: u64, body: Body) -> Action {
        let message = Message {
            cluster: self.config.cluster(),
            from: self.me,
            to: StoreId::new(to.into()),
            body,
        };
        Action::Send {
            to: NodeId::new(to),
            message: Arc::new(message),
        }
    }

    pub(super) fn answered(&self, to: u64, number: u64, answer: Forwarded) -> Action {
        let attempt = attempt(number);
        self.sent(to, Body::Forwarded { attempt, answer })
    }

    /// The newest order.
    pub(super) fn ordered(&self, order: Order) -> Action {
        let op = OpId {
            incarnation: Incarnation::new(1),
            number: self.operations,
        };
        let chain = ChainId::of("c");
        let generation = Gen::default();
        let commit = self.chain.commit().min(self.chain.log().durable().end);
        let checkpoint_bytes = self.chain.log().checkpoint_bytes();
        Action::Store {
            op,
            chain,
            generation,
            commit,
            checkpoint_bytes,
            order,
        }
    }

    pub(super) fn noted(&self, role: Role, signal: Signal) -> Action {
        let epoch = self.chain.epoch();
        note(Note::Role {
            role,
            signal,
            epoch,
        })
    }

    /// The question asked last.
    pub(super) fn attempt(&self) -> Attempt {
        attempt(self.attempts.get())
    }

    /// Makes this node the leader of epoch `n`, its empty entry still on its way to the disk.
    pub(super) fn elected(mut self) -> Self {
        let voter = if self.me.node.get() == 2 { 1 } else { 2 };
        self.heartbeat(voter, Vec::new());
        self.act(|chain, cx| chain.campaign(Purpose::Silence, cx));
        for round in [Round::Pre, Round::Real] {
            let asked = led(
                self.chain.epoch().n + u64::from(round == Round::Pre),
                self.me.node.get(),
            );
            if round == Round::Real {
                self.done(Ok(()));
            }
            let n = self.chain.epoch().n;
            let (attempt, granted) = (self.attempt(), true);
            self.hear(
                voter,
                n,
                ReplicaMessage::VoteReply {
                    round,
                    asked,
                    granted,
                    attempt,
                },
            );
        }
        assert_eq!(self.chain.role(), Role::Leader);
        self
    }

    /// A leader whose empty entry is durable.
    pub(super) fn leading(self) -> Self {
        let mut bench = self.elected();
        bench.done(Ok(()));
        bench
    }

    /// Makes this node follow `leader` in epoch `n`, its promise durable.
    pub(super) fn following(mut self, leader: u64, n: u64) -> Self {
        self.row(leader, leads(leader, n, 0));
        self.done(Ok(()));
        assert_eq!(self.chain.leader(), Some(NodeId::new(leader)));
        self
    }

    /// The pull of this follower that wants `next` and has `durable`, its third.
    pub(super) fn pull_after(&self, next: u64, durable: u64) -> ReplicaMessage {
        ReplicaMessage::Pull {
            since: self.chain.log().position_at(Seq::new(next)).unwrap(),
            durable: Some(Seq::new(durable)),
            attempt: self.attempt(),
            number: PullNumber::new(3),
        }
    }

    /// A pull of a follower, its `number`-th, whose log ends like ours at `end`.
    pub(super) fn pull(&self, end: u64, durable: u64, number: u64) -> ReplicaMessage {
        ReplicaMessage::Pull {
            since: self.chain.log().position_at(Seq::new(end)).unwrap(),
            durable: Some(Seq::new(durable)),
            attempt: attempt(9),
            number: PullNumber::new(number),
        }
    }
}

/// The row of a leader.
pub(super) fn leads(leader: u64, n: u64, commit: u64) -> RowState {
    RowState {
        epoch: led(n, leader),
        role: Role::Leader,
        distance: Some(0),
        durable: Some(Seq::new(commit)),
        commit: Seq::new(commit),
        floor: Seq::ZERO,
        is_full: false,
    }
}

/// The row of a follower.
pub(super) fn follows(n: u64) -> RowState {
    RowState {
        role: Role::Replica,
        distance: None,
        ..leads(0, n, 0)
    }
}

/// The row that a bench publishes.
pub(super) fn row_of(bench: &Bench) -> RowState {
    bench.chain.row().expect("the replica takes part")
}

pub(super) fn note(note: Note) -> Action {
    let chain = ChainId::of("c");
    Action::Note { chain, note }
}

pub(super) fn replied(ticket: u64, answer: Answer) -> Action {
    let ticket = Ticket::new(ticket);
    Action::Reply { ticket, answer }
}

/// The epoch `n` of node 1.
pub(super) fn epoch(n: u64) -> Epoch {
    led(n, u64::from(n > 0))
}

pub(super) fn led(n: u64, node: u64) -> Epoch {
    Epoch {
        n,
        node: NodeId::new(node),
    }
}

pub(super) fn run(node: u64) -> Run {
    Run {
        node: NodeId::new(node),
        store: StoreId::new(node.into()),
        incarnation: Incarnation::new(1),
    }
}

pub(super) fn attempt(number: u64) -> Attempt {
    Attempt {
        incarnation: Incarnation::new(1),
        number: AttemptNumber::new(number),
    }
}

pub(super) fn behind(entry: &Entry) -> LogPosition {
    LogPosition {
        end: entry.seq.next(),
        epoch: entry.epoch,
        hash: entry.hash,
    }
}

pub(super) fn payload(text: &str) -> Payload {
    Payload::new(Bytes::from(String::from(text)))
}

/// Entries of these epochs from the founding checkpoint on; equal epochs make equal entries.
pub(super) fn log(epochs: &[u64]) -> Vec<Arc<Entry>> {
    let config = config(3, Limits::default());
    let floor = config.founding(&config.chains()[0]).floor;
    extend(floor, epochs)
}

/// Entries of these epochs behind `tip`.
pub(super) fn extend(mut tip: LogPosition, epochs: &[u64]) -> Vec<Arc<Entry>> {
    let mut entries = Vec::new();
    for &n in epochs {
        let entry = Arc::new(entry(tip, n, EntryKind::Data(None)));
        tip = behind(&entry);
        entries.push(entry);
    }
    entries
}

/// An entry of epoch `n` behind `tip`.
pub(super) fn entry(tip: LogPosition, n: u64, kind: EntryKind) -> Entry {
    let entry = Entry {
        generation: Gen::default(),
        seq: tip.end,
        epoch: epoch(n),
        store: StoreId::new(1),
        incarnation: Incarnation::new(1),
        stamp: Wall::from_ms(7),
        kind,
        payload: Payload::empty(),
        hash: EntryHash::default(),
    };
    entry.linked(tip.hash)
}

/// A chunk of all of `entries` but the first `from`.
pub(super) fn chunk(
    bench: &Bench,
    from: usize,
    entries: &[Arc<Entry>],
    commit: u64,
) -> ReplicaMessage {
    let since = match from.checked_sub(1) {
        Some(last) => behind(&entries[last]),
        None => bench.chain.log().checkpoint().floor,
    };
    ReplicaMessage::Chunk {
        attempt: bench.attempt(),
        since,
        entries: entries[from..].into(),
        commit: Seq::new(commit),
        floor: Seq::ZERO,
    }
}

fn config(voters: u64, limits: Limits) -> Arc<Config> {
    let founder = |node| Founder {
        node: NodeId::new(node),
        store: StoreId::new(node.into()),
    };
    let chain = ChainDraft {
        name: "c".into(),
        members: (1..=voters).map(NodeId::new).collect(),
        leader_pinned: None,
        retention: Default::default(),
        class: Default::default(),
    };
    let draft = Draft {
        deployment: DeploymentId::new(1),
        nodes: (1..=3).map(founder).collect(),
        chains: alloc::vec![chain],
        timing: Timing::default(),
        limits,
    };
    Arc::new(Config::try_from(draft).expect("the config is valid"))
}
