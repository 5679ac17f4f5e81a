//! What the checks keep per node, per chain and per replica.

use super::ack_kept::Ledger;
use super::amnesia::Votes;
use super::incoming::PeerView;
use super::leader_complete::Commits;
use super::linearizable::Order;
use super::one_leader_per_epoch::Leaders;
use super::rate_limits::Budget;
use super::recover::Harm;
use super::refusals::Causes;
use super::replica_state::ReplicaState;
use super::stale_prefix::Shown;
use super::stall_shown::{self, Waiting};
use super::touched;
use super::transfer_needed::{Leading, Left};
use super::truth::Truth;
use super::vote_once::Promises;
use meshos_core::chain::entry::{LogPosition, Membership};
use meshos_core::config::{ChainDraft, Config};
use meshos_core::id::{ChainId, Gen, Incarnation, NodeId, Run};
use meshos_core::node::Node;
use meshos_core::replica::role::Role;
use meshos_sim::time::Instant;
use meshos_sim::violation::Violation;
use std::sync::Arc;

/// One chain instance.
#[derive(Clone, Debug)]
pub(super) struct ChainTrack {
    pub(super) id: ChainId,
    pub(super) generation: Gen,
    pub(super) founding: Arc<Membership>,
    /// Where its log begins.
    pub(super) root: LogPosition,
    pub(super) truth: Truth,
    pub(super) leaders: Leaders,
    pub(super) commits: Commits,
    pub(super) votes: Votes,
    pub(super) ledger: Ledger,
    pub(super) order: Order,
    /// What each founding replica made durable, in the order of the members.
    pub(super) durable: Vec<LogPosition>,
    /// The floor of each of them.
    pub(super) floors: Vec<u64>,
    /// What a refusal may name.
    pub(super) causes: Causes,
    pub(super) left: Left,
}

impl ChainTrack {
    pub(super) fn new(config: &Config, draft: &ChainDraft) -> Self {
        let founding = config.founding(draft);
        let voters = founding.membership.voters.len();
        Self {
            id: ChainId::of(&draft.name),
            truth: Truth::new(founding.floor),
            leaders: Leaders::default(),
            commits: Commits::default(),
            votes: Votes::default(),
            ledger: Ledger::default(),
            order: Order::default(),
            durable: vec![founding.floor; voters],
            floors: vec![0; voters],
            causes: Causes {
                transfer: draft.leader_pinned.is_some(),
                ..Causes::default()
            },
            left: Left::default(),
            root: founding.floor,
            generation: Gen::default(),
            founding: founding.membership,
        }
    }

    /// The place of a node among the founding members.
    pub(super) fn voter(&self, node: NodeId) -> Option<usize> {
        let voters = &self.founding.voters;
        voters.iter().position(|member| member.node == node)
    }

    /// Drops what every replica has dropped. One that stays behind holds back only so much.
    pub(super) fn prune(&mut self) {
        let lowest = self.floors.iter().min().copied().unwrap_or(0);
        let highest = self.floors.iter().max().copied().unwrap_or(0);
        let floor = lowest.max(highest.saturating_sub(BEHIND_MAX));
        self.truth.prune(meshos_core::id::Seq::new(floor));
    }
}

/// Positions that are kept for a replica that is behind the others' floor.
const BEHIND_MAX: u64 = 65_536;

/// One replica, as long as its store lives.
#[derive(Clone, Debug)]
pub(super) struct ReplicaTrack {
    /// Its chain, by place.
    pub(super) chain: usize,
    /// Its place among the founding members, if its store is one.
    pub(super) voter: Option<usize>,
    pub(super) replica_state: ReplicaState,
    /// The role that it reported last.
    pub(super) role: Role,
    pub(super) promises: Promises,
    pub(super) shown: Shown,
    pub(super) leading: Leading,
    /// Bytes of its records when it retained most.
    pub(super) retained_most: u64,
    pub(super) waiting: Waiting,
}

/// One node.
#[derive(Clone, Debug)]
pub(super) struct NodeTrack {
    pub(super) id: NodeId,
    /// The run that is under way.
    pub(super) run: Option<Run>,
    /// The last run of the present store.
    pub(super) last: Option<Run>,
    /// Number of the present store.
    pub(super) store: u64,
    pub(super) replicas: Vec<ReplicaTrack>,
    pub(super) harm: Harm,
    /// Whether its founding store is gone.
    pub(super) wiped: bool,
    pub(super) budget: Budget,
    pub(super) view_of_peers: PeerView,
    /// How often its store came back with fewer boots than it had counted, and the first that it
    /// counted again then.
    pub(super) set_back: (u32, Incarnation),
    /// Which peers can be reached, as far as its core was told; by index.
    pub(super) told_up: Vec<Option<bool>>,
    /// What broke when something came in: the next step reports it.
    pub(super) noticed: Option<Violation>,
    /// The replica that is looked at next although no step names it.
    turn: usize,
}

impl NodeTrack {
    pub(super) fn new(id: NodeId, config: &Config, chains: &[ChainTrack], nodes: u16) -> Self {
        let mut track = Self {
            id,
            run: None,
            last: None,
            store: 1,
            replicas: Vec::new(),
            harm: Harm::default(),
            wiped: false,
            budget: Budget::new(config.limits().bandwidth_bytes_per_s, 0),
            view_of_peers: PeerView::new(nodes, chains.len()),
            set_back: Default::default(),
            told_up: vec![None; usize::from(nodes)],
            noticed: None,
            turn: 0,
        };
        track.format(chains);
        track
    }

    /// Begins with an empty store.
    pub(super) fn format(&mut self, chains: &[ChainTrack]) {
        let held = chains.iter().enumerate();
        let held = held.filter_map(|(at, chain)| Some((at, chain.voter(self.id)?)));
        let is_founding = self.store == 1;
        self.wiped = !is_founding;
        self.harm = Harm::default();
        self.last = None;
        self.replicas = held
            .map(|(chain, voter)| ReplicaTrack {
                chain,
                voter: is_founding.then_some(voter),
                replica_state: ReplicaState {
                    floor: chains[chain].root,
                    tip: chains[chain].root,
                    durable: chains[chain].root,
                    ..ReplicaState::default()
                },
                role: Role::Idle,
                promises: Promises::default(),
                shown: Shown::default(),
                leading: Leading::default(),
                retained_most: 0,
                waiting: Waiting::default(),
            })
            .collect();
    }

    /// Looks at one replica more than those that the step named, each in its turn.
    #[inline]
    pub(super) fn look_around(&mut self, node: &Node, now: Instant) -> Result<(), Violation> {
        let place = core::mem::take(&mut self.turn);
        if place + 1 < self.replicas.len() {
            self.turn = place + 1;
        }
        let Some(chain) = node.chains().get(place) else {
            return Ok(());
        };
        let replica = &mut self.replicas[place];
        let heartbeat = node.config().heartbeat();
        if let Some(waited) = replica.waiting.for_how_long(now, heartbeat) {
            stall_shown::observe(waited, heartbeat, || node.chain_status(chain).stalled_ms)?;
        }
        touched::observe(&replica.replica_state, chain)
    }

    /// Whether a later run of the same store follows the last one.
    pub(super) fn follows(&self, incarnation: Incarnation) -> bool {
        self.last.is_none_or(|last| incarnation > last.incarnation)
    }
}
