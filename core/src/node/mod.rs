//! One node: the only mutator of everything this crate decides.
//!
//! A step fires what expired, takes in the event, fires what is suspected, and settles the
//! chains that were touched. Actions come out in the order in which they have to be performed.

mod chains;
mod route;
mod status;
mod timers;

pub use status::{NodeStatus, PeerStatus};

use crate::action::{Actions, StopReason};
use crate::bandwidth::Bucket;
use crate::chain::order::{Image, Slot};
use crate::config::{ChainDraft, Config};
use crate::count::{Count, Counters};
use crate::deadline::{ChainIndex, Deadlines};
use crate::event::{Boot, Event, Input, Seed};
use crate::hash::{StateHash, stable_hash};
use crate::id::{AttemptNumber, ChainId, NodeId, OpId, OpNumber, Run, Seq};
use crate::liveness::{Liveness, Timing};
use crate::replica::role::Role;
use crate::replica::{Chain, StepContext};
use crate::rng::Rng;
use crate::time::{Instant, Wall};
use crate::turns::Turns;
use crate::window::Windows;
use crate::wire;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use chains::Chains;
use core::hash::{Hash, Hasher};
use serde::{Deserialize, Serialize};

/// A node and all of its chains, as a value.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub struct Node {
    me: Run,
    config: Arc<Config>,
    now: Instant,
    rng: Rng,
    deadlines: Deadlines,
    liveness: Liveness,
    counters: Counters,
    bucket: Bucket,
    turns: Turns,
    windows: Windows,
    /// Orders to the store so far.
    operations: OpNumber,
    /// Questions to peers so far.
    attempts: AttemptNumber,
    chains: Chains,
    /// Which chain each order under way belongs to.
    under_way: BTreeMap<OpNumber, ChainIndex>,
    /// Chains that something happened to in this step, in the order in which it did.
    touched: Touched,
    /// Chains whose leadership is looked after with every heartbeat; no other one has to be.
    watched: BTreeSet<ChainIndex>,
    /// Chains that wait for answers to what they forwarded; no other one does.
    asking: BTreeSet<ChainIndex>,
    /// Chains whose row changed since the last heartbeat.
    stale: Vec<ChainIndex>,
    /// How many chains seek leadership.
    candidates: u32,
    leaving: bool,
}

/// A set of chains in the order of insertion, which starts anew with every step.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Touched {
    list: Vec<ChainIndex>,
    /// Which chains the list holds, by index.
    holds: Vec<bool>,
    /// The list of the last step, which decides nothing.
    #[serde(skip)]
    last: Vec<ChainIndex>,
}

impl Hash for Touched {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.list.hash(state);
    }
}

impl Touched {
    fn new(chains: usize) -> Self {
        Self {
            list: Vec::new(),
            holds: alloc::vec![false; chains],
            last: Vec::new(),
        }
    }

    fn insert(&mut self, index: ChainIndex) {
        let holds = &mut self.holds[index.0 as usize];
        if !*holds {
            *holds = true;
            self.list.push(index);
        }
    }

    fn end_step(&mut self) {
        for index in &self.list {
            self.holds[index.0 as usize] = false;
        }
        core::mem::swap(&mut self.list, &mut self.last);
        self.list.clear();
    }
}

/// Why a node does not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The genesis does not name this node.
    #[error("node {0} is not among the nodes of the config")]
    UnknownNode(NodeId),
    /// The store holds a chain that the config does not name.
    #[error("the store holds chain {0}, which the config does not name")]
    UnknownChain(ChainId),
    /// The store holds an entry that a lowered limit does not admit: a message need not have
    /// room for it.
    #[error(
        "chain {chain:?} holds an entry of {found} bytes at position {seq}, above \
         limits.entry_bytes_max, which is {limit}"
    )]
    EntryAboveLimit {
        /// The chain's name.
        chain: String,
        /// Where the first such entry is.
        seq: Seq,
        /// Length of its payload.
        found: u32,
        /// The limit.
        limit: u32,
    },
}

impl Node {
    /// A node from what survived its last run. Emits nothing: the first step speaks.
    ///
    /// # Errors
    /// If `config` does not name `id`, or does not name a chain that `boot` holds, or does not
    /// admit the size of an entry of it.
    pub fn new(
        id: NodeId,
        config: Arc<Config>,
        boot: Boot,
        seed: Seed,
        now: Instant,
    ) -> Result<Self, StartError> {
        if config.store_of(id).is_none() {
            return Err(StartError::UnknownNode(id));
        }
        let me = Run {
            node: id,
            store: boot.store,
            incarnation: boot.incarnation,
        };
        let mut chains = Vec::with_capacity(boot.images.len());
        for image in boot.images {
            let draft = config.chain(image.chain);
            let draft = draft.ok_or(StartError::UnknownChain(image.chain))?;
            admits_sizes(draft, &image, config.limits().entry_bytes_max)?;
            let index = ChainIndex(chains.len() as u32);
            chains.push(Chain::new(index, draft, image, me, &config, now));
        }
        let peers: BTreeSet<NodeId> = chains
            .iter()
            .flat_map(Chain::peers)
            .map(|member| member.node)
            .collect();
        let limits = *config.limits();
        let rows_max = wire::items_max(limits.message_bytes_max);
        let rows_per_page_max = limits.rows_max.min(rows_max as u32);
        let timing = Timing {
            heartbeat: config.heartbeat(),
            misses: 3,
            rows_per_page_max,
        };
        let mut touched = Touched::new(chains.len());
        chains.iter().for_each(|chain| touched.insert(chain.index));
        Ok(Self {
            me,
            now,
            rng: Rng::new(seed),
            deadlines: Deadlines::default(),
            liveness: Liveness::new(me.incarnation, peers, timing, now),
            counters: Counters::default(),
            bucket: Bucket::new(config.budget(), now),
            turns: Turns::default(),
            windows: Windows::new(config.heartbeat()),
            operations: OpNumber::new(0),
            attempts: AttemptNumber::new(0),
            chains: Chains::new(chains),
            under_way: BTreeMap::new(),
            touched,
            watched: BTreeSet::new(),
            asking: BTreeSet::new(),
            stale: Vec::new(),
            candidates: 0,
            leaving: false,
            config,
        })
    }

    /// Advances to `now`, fires what is due, applies `event`, settles, and appends the
    /// consequences to `out` in the order in which they must be performed.
    ///
    /// # Panics
    /// If `out` was not drained since the last step, or if `now` is before the last step's.
    pub fn step(&mut self, now: Instant, event: Event, out: &mut Actions) {
        assert!(
            out.is_empty(),
            "the driver drains every action before the next step"
        );
        assert!(now >= self.now, "the driver's clock does not run backwards");
        self.now = now;
        let wall = event.wall;
        self.fire_expiries(wall, out);
        match event.input {
            Input::Wake => {}
            Input::Peer { from, message } => self.on_peer(from, &message, wall, out),
            Input::Done { op, result } => match self.finish(op) {
                Some(index) => self.with(index, wall, out, |chain, cx| {
                    chain.on_done(op.number, result, cx);
                }),
                None => self.counters.add(Count::UnknownOperation),
            },
            Input::Client { ticket, request } => self.on_client(ticket, request, wall, out),
            Input::HandOver => {
                self.leaving = true;
                self.each_led(wall, out, Chain::consider_transfer);
            }
            Input::PeerGone { node, incarnation } => {
                self.on_peer_gone(node, incarnation, wall, out)
            }
            Input::LinkUp { peer } => self.on_link_up(peer, wall, out),
            Input::LinkDown { peer } => self.on_link_down(peer),
            Input::Disowned => {
                for index in (0..self.chains.len() as u32).map(ChainIndex) {
                    self.with(index, wall, out, |chain, cx| {
                        chain.stop(StopReason::StoreRegressed, cx);
                    });
                }
            }
        }
        self.fire_suspicions(wall, out);
        self.settle(wall, out);
        let next = self.poll_timeout();
        assert!(
            next.is_none_or(|at| at >= now),
            "a step leaves no deadline in the past"
        );
    }

    /// When to step with [`Input::Wake`] if nothing else happens first.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.chains.is_empty() {
            return None;
        }
        let due = [
            Some(self.liveness.heartbeat_due()),
            self.liveness.suspicion_due(),
            self.deadlines.earliest(),
        ];
        due.into_iter().flatten().min()
    }

    /// Digest of everything that can influence a future action.
    pub fn state_hash(&self) -> StateHash {
        stable_hash(self)
    }

    /// This run.
    pub fn me(&self) -> Run {
        self.me
    }

    /// The config that the node was started with.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// The chains, in ascending order of their ids.
    pub fn chains(&self) -> &[Chain] {
        &self.chains
    }

    /// The places in [`Self::chains`] of those that the last step may have changed. The others it
    /// did not change: a chain is lent out to be changed in one place, which notes it.
    pub fn touched(&self) -> impl Iterator<Item = usize> {
        self.touched.last.iter().map(|index| index.0 as usize)
    }

    /// A chain by its id.
    pub fn chain(&self, id: ChainId) -> Option<&Chain> {
        self.index_of(id)
            .map(|index| &self.chains[index.0 as usize])
    }

    /// What was counted so far in this run.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Whether `peer` seems lost.
    pub fn is_suspected(&self, peer: NodeId) -> bool {
        self.liveness.is_suspected(peer)
    }

    /// Whether what is sent to `peer` can reach it, as far as the driver said; an unknown peer
    /// cannot be reached.
    pub fn is_reachable(&self, peer: NodeId) -> bool {
        self.liveness.is_reachable(peer)
    }

    /// Whether this node leads no chain, so that it may stop without anybody missing it.
    pub fn leads_nothing(&self) -> bool {
        self.chains.iter().all(|chain| chain.role() != Role::Leader)
    }

    /// Why replicas here take no part, if any.
    pub fn faults(&self) -> impl Iterator<Item = (ChainId, StopReason)> {
        self.chains
            .iter()
            .filter_map(|chain| Some((chain.id(), chain.fault()?)))
    }

    /// The same node without any payload bytes, for a recording.
    #[must_use]
    pub fn redacted(&self) -> Self {
        let mut node = self.clone();
        node.chains.lend_all().for_each(Chain::redact);
        node
    }

    fn index_of(&self, id: ChainId) -> Option<ChainIndex> {
        let at = self.chains.binary_search_by_key(&id, Chain::id).ok()?;
        Some(ChainIndex(at as u32))
    }

    /// The chain whose order ended, unless the order is of an earlier run or ended before.
    fn finish(&mut self, op: OpId) -> Option<ChainIndex> {
        if op.incarnation != self.me.incarnation {
            return None;
        }
        self.under_way.remove(&op.number)
    }

    /// Lends everything else to one chain, which is then settled at the end of the step.
    fn with<T>(
        &mut self,
        index: ChainIndex,
        wall: Wall,
        out: &mut Actions,
        act: impl FnOnce(&mut Chain, &mut StepContext<'_>) -> T,
    ) -> T {
        self.touched.insert(index);
        let mut cx = StepContext {
            now: self.now,
            wall,
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
            out,
        };
        act(self.chains.lend(index.0 as usize), &mut cx)
    }

    /// Does something to every chain that is led here: for what happens seldom.
    fn each_led(
        &mut self,
        wall: Wall,
        out: &mut Actions,
        act: impl Fn(&mut Chain, &mut StepContext<'_>),
    ) {
        for at in 0..self.chains.len() {
            if self.chains[at].role() == Role::Leader {
                self.with(ChainIndex(at as u32), wall, out, &act);
            }
        }
    }
}

/// Whether every entry of a chain is within the limit that the config sets now.
fn admits_sizes(draft: &ChainDraft, image: &Image, limit: u32) -> Result<(), StartError> {
    let entries = image.slots.iter().filter_map(|slot| match slot {
        Slot::Known(entry) => Some(entry),
        Slot::Unknown => None,
    });
    let mut large = entries.filter(|entry| entry.payload.length() > limit);
    let Some(entry) = large.next() else {
        return Ok(());
    };
    Err(StartError::EntryAboveLimit {
        chain: draft.name.clone(),
        seq: entry.seq,
        found: entry.payload.length(),
        limit,
    })
}
