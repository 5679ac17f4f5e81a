//! Obligations of chains: what has to come true while faults last.
//!
//! One file per property holds what is owed and since when, over small plain values. This file
//! and those that are no property collect those values, from ground truth only: links,
//! processes, disks, clocks and the true state of replicas, never what a node believes of
//! another one. Everything is looked at a few times a second and whenever a fault was applied.

pub mod commits_go_on;
pub mod fails_over;
pub mod fair_share;
pub mod gives_way;
pub(super) mod ground;
pub mod leader_again_now;
pub mod level;
mod look;
mod look_anew;
mod look_bulk;
pub(super) mod look_damaged;
mod look_lost;
mod look_reads;
pub mod mends;
mod missing;
mod nearing;
pub mod one_checkpoint;
pub mod pinned_leads;
pub mod reads_answer;
pub mod retains;
pub mod steps_down;
pub mod transfer_ends;

pub use ground::Majority;

use super::is_refused;
use super::track::ChainTrack;
use crate::model::{Ask, Freshness, Host, node_id, node_index};
use commits_go_on::{Asking, CommitsGoOn};
use fails_over::FailsOver;
use fair_share::FairShare;
use gives_way::GivesWay;
use ground::{Ground, arrives_within};
use leader_again_now::LeaderAgain;
use level::Level;
use mends::Mends;
use meshos_core::bandwidth::Class;
use meshos_core::chain::entry::LogPosition;
use meshos_core::client::{Answer, Reason};
use meshos_core::config::{ChainDraft, Config, Limits, Retention, Timing};
use meshos_core::id::{NodeId, Seq};
use meshos_core::replica::Chain;
use meshos_core::replica::role::Role;
use meshos_core::wire;
use meshos_sim::fault::Fault;
use meshos_sim::machine::NodeIndex;
use meshos_sim::time::Instant;
use meshos_sim::violation::Violation;
use meshos_sim::world::View;
use nearing::Nearing;
use one_checkpoint::OneCheckpoint;
use pinned_leads::PinnedLeads;
use reads_answer::ReadsAnswer;
use retains::{Ages, Retains};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use steps_down::StepsDown;
use transfer_ends::{Transfer, TransferEnds, Wish, Word};

/// What a bound depends on.
#[derive(Copy, Clone, Debug)]
pub struct Facts<'a> {
    /// True time.
    pub at: Instant,
    /// Name of the chain.
    pub chain: &'a str,
    /// Time between two heartbeats.
    pub heartbeat: Duration,
    /// How many times longer everything may take because clocks drift.
    pub pace: u32,
    /// Voters that can hear but not be followed.
    pub strangers: u32,
}

/// How long a chain may take to find a leader, or to commit: ten seconds with default heartbeats,
/// and as much again for each voter that can hear but not be followed.
pub fn allowed(facts: Facts<'_>) -> Duration {
    let ten = Duration::from_secs(10).max(facts.heartbeat * 20);
    ten * facts.pace * (1 + facts.strangers)
}

fn names(nodes: &[NodeIndex]) -> String {
    let names: Vec<_> = nodes.iter().map(ToString::to_string).collect();
    names.join(", ")
}

/// What is known of one chain.
#[derive(Clone, Debug)]
struct Duty {
    name: String,
    voters: Vec<NodeIndex>,
    majority: usize,
    pinned: Option<NodeIndex>,
    /// Since when each voter has an undamaged replica of its founding store.
    sound: Vec<Option<Instant>>,
    asking: Vec<Asking>,
    /// The number of the epoch in which each voter follows a leader, and since when.
    following: Vec<Option<(u64, Instant)>>,
    /// The committed prefix at the last looks, oldest first.
    committed: VecDeque<LogPosition>,
    /// The furthest end of a log at these looks.
    ends: VecDeque<Seq>,
    /// Where the log of the leader ended at the last look, with the number of its epoch.
    leader_end: Option<(u64, Seq)>,
    class: Class,
    retention: Retention,
    /// The floor of each voter at the last look.
    floors: Vec<Seq>,
    /// How far each voter has come.
    nearing: Vec<Nearing>,
    ages: Ages,
}

/// What conditions are made of.
#[derive(Clone, Debug)]
struct Known {
    heartbeat: Duration,
    bandwidth: u64,
    /// The longest that any node lets a class wait for others.
    patience: Duration,
    /// The same for background traffic.
    background_patience: Duration,
    entry_bytes_max: u32,
    /// Smallest and largest bound of a message.
    message_bytes: (u32, u32),
    /// Messages that the rows of all chains take.
    pages: u32,
    /// Whether a request waits long enough for a read to be answered in time.
    reads_in_time: bool,
    /// True wall time when the run began.
    wall_ms: u64,
    /// Nodes that most others refuse for their config.
    refused: Vec<bool>,
    /// Nodes whose wall clock was ever off.
    skewed: Vec<bool>,
    /// Followers of busy chains that each node leads, and the classes of those chains.
    streams: Vec<u64>,
    classes: Vec<[bool; 3]>,
    ground: Ground,
    duties: Vec<Duty>,
}

impl Duty {
    fn new(draft: &ChainDraft, chain: &ChainTrack) -> Self {
        let voters = chain.founding.voters.iter();
        let voters: Vec<_> = voters.map(|member| node_index(member.node)).collect();
        Self {
            name: draft.name.clone(),
            majority: chain.founding.majority(),
            pinned: draft.leader_pinned.map(node_index),
            sound: vec![None; voters.len()],
            asking: vec![Asking::default(); voters.len()],
            following: vec![None; voters.len()],
            committed: VecDeque::new(),
            ends: VecDeque::new(),
            leader_end: None,
            class: draft.class,
            retention: draft.retention,
            floors: vec![Seq::ZERO; voters.len()],
            nearing: vec![Nearing::default(); voters.len()],
            ages: Ages::default(),
            voters,
        }
    }
}

impl Known {
    fn new(configs: &[Arc<Config>], chains: &[ChainTrack]) -> Self {
        let drafts = configs[0].chains().iter().zip(chains);
        let duties: Vec<_> = drafts
            .map(|(draft, chain)| Duty::new(draft, chain))
            .collect();
        // The shortest heartbeat judges what is in time for everybody, the longest sets the pace.
        let heartbeats = || configs.iter().map(|config| config.heartbeat());
        let shortest = heartbeats().min().unwrap_or_default();
        let heartbeat = heartbeats().max().unwrap_or_default();
        let limits = || configs.iter().map(|config| config.limits());
        let bandwidth = limits().map(|limits| limits.bandwidth_bytes_per_s).min();
        let entry = limits().map(|limits| limits.entry_bytes_max).min();
        let messages = || limits().map(|limits| limits.message_bytes_max);
        let rows = |limits: &Limits| {
            let fit = wire::items_max(limits.message_bytes_max);
            fit.min(limits.rows_max as usize)
        };
        let rows = limits().map(rows).min();
        let requests = configs.iter().map(|config| config.timing().request_ms);
        let request = Duration::from_millis(requests.min().unwrap_or_default());
        Self {
            heartbeat,
            bandwidth: bandwidth.unwrap_or_default(),
            patience: longest(configs, |timing| timing.patience_ms),
            background_patience: longest(configs, |timing| timing.background_patience_ms),
            entry_bytes_max: entry.unwrap_or_default(),
            message_bytes: (
                messages().min().unwrap_or_default(),
                messages().max().unwrap_or_default(),
            ),
            pages: duties.len().div_ceil(rows.unwrap_or(1).max(1)) as u32,
            reads_in_time: request >= heartbeat * 8,
            wall_ms: 0,
            refused: (0..configs.len() as u16)
                .map(|node| is_refused(configs, NodeIndex(node)))
                .collect(),
            skewed: vec![false; configs.len()],
            streams: vec![0; configs.len()],
            classes: vec![[false; 3]; configs.len()],
            ground: Ground::new(configs.len() as u16, shortest),
            duties,
        }
    }
}

/// All obligations of a run.
#[derive(Clone, Debug)]
pub(super) struct Obligations {
    known: Known,
    leader_again: LeaderAgain,
    fails_over: FailsOver,
    steps_down: StepsDown,
    gives_way: GivesWay,
    commits: CommitsGoOn,
    transfers: TransferEnds,
    pinned: PinnedLeads,
    level: Level,
    shares: FairShare,
    retains: Retains,
    checkpoints: OneCheckpoint,
    mends: Mends,
    reads: ReadsAnswer,
}

/// The longest of the spans that `of` finds in the configs.
fn longest(configs: &[Arc<Config>], of: impl Fn(&Timing) -> u64) -> Duration {
    let spans = configs.iter().map(|config| of(config.timing()));
    Duration::from_millis(spans.max().unwrap_or_default())
}

/// Between two looks.
pub(super) const LOOK: Duration = Duration::from_millis(250);
/// Looks over which a replica may trail the committed prefix and still count as level: a second.
const TRAIL: usize = 4;
pub(super) const NAMESPACE: u64 = 0x0b << 56;

impl Obligations {
    pub(super) fn new(configs: &[Arc<Config>], chains: &[ChainTrack]) -> Self {
        let known = Known::new(configs, chains);
        let count = known.duties.len();
        let pin = longest(configs, |timing| timing.pin_ms);
        Self {
            leader_again: LeaderAgain::new(count),
            fails_over: FailsOver::default(),
            steps_down: StepsDown::default(),
            gives_way: GivesWay::default(),
            commits: CommitsGoOn::new(count),
            transfers: TransferEnds::default(),
            pinned: PinnedLeads::new(count, pin),
            level: Level::default(),
            shares: FairShare::default(),
            retains: Retains::default(),
            checkpoints: OneCheckpoint::default(),
            mends: Mends::default(),
            reads: ReadsAnswer::default(),
            known,
        }
    }

    /// The run begins: clocks show true time.
    pub(super) fn begun(&mut self, view: View<'_, Host>) {
        self.known.wall_ms = view.clocks(NodeIndex(0)).wall_ms;
    }

    /// A fault was applied.
    pub(super) fn disturbed(&mut self, view: View<'_, Host>, chains: &[ChainTrack], fault: &Fault) {
        if let Fault::ClockJump { node, .. } = fault
            && node.at() < view.nodes().len()
        {
            self.known.ground.leapt(*node);
        }
        self.known.look_at_walls(view);
        let broken = self.known.ground.look(view);
        for node in broken {
            let host = view.node(node);
            self.unseated(view.at(), chains, host);
        }
    }

    /// A node crashed.
    pub(super) fn crashed(
        &mut self,
        (node, died): (NodeIndex, &Host),
        view: View<'_, Host>,
        chains: &[ChainTrack],
    ) {
        self.known.ground.look(view);
        self.note_death(node, died, chains, view.at());
        let had_led =
            |(chain, n, target): &Transfer| chains[*chain].leaders.has_led(*n, node_id(*target));
        self.transfers.forget(node, had_led);
        self.unseated(view.at(), chains, Some(died));
    }

    /// Something broke at a node. Where it leads or seeks to, the votes that it was given are
    /// spent, and the others begin anew.
    fn unseated(&mut self, at: Instant, chains: &[ChainTrack], host: Option<&Host>) {
        let Some(node) = host.and_then(Host::node) else {
            return;
        };
        for (place, track) in chains.iter().enumerate() {
            let role = node.chain(track.id).map(Chain::role);
            if matches!(role, Some(Role::Leader | Role::Candidate)) {
                self.leader_again.restart(place, at);
                self.commits.restart(place, at);
            }
        }
    }

    pub(super) fn booted(&mut self, view: View<'_, Host>, node: NodeIndex) {
        self.known.ground.booted(node);
        self.known.ground.look(view);
    }

    /// A node takes in a request.
    pub(super) fn on_ask(
        &mut self,
        (chain, state): (usize, &ChainTrack),
        (node, view): (NodeIndex, View<'_, Host>),
        (ticket, ask): (u64, &Ask),
    ) {
        let at = view.at();
        match ask {
            Ask::Open {} => self.asks(chain, node, at),
            Ask::Append { bytes, .. } if *bytes <= self.known.entry_bytes_max => {
                self.asks(chain, node, at);
            }
            Ask::Transfer { to } => {
                let wish = Wish {
                    chain,
                    to: to.map(node_id),
                    n: view
                        .node(node)
                        .and_then(Host::node)
                        .and_then(|running| running.chain(state.id))
                        .map_or(0, |replica| replica.epoch().n),
                };
                self.transfers.wish(ticket, wish);
            }
            Ask::Read {
                freshness: Freshness::Linearizable,
                ..
            } => self.on_read(view, (chain, state), (node, ticket)),
            Ask::Append { .. } | Ask::Read { .. } | Ask::HandOver {} => {}
        }
    }

    /// A node is told to hand over what it leads, and to stop.
    pub(super) fn on_leave(&mut self, node: NodeIndex) {
        self.known.ground.leaves(node);
    }

    fn asks(&mut self, chain: usize, node: NodeIndex, at: Instant) {
        let duty = &mut self.known.duties[chain];
        if let Some(voter) = duty.voters.iter().position(|voter| *voter == node) {
            duty.asking[voter].ask(at);
        }
    }

    /// Whether a node was told to hand over what it leads, and to stop.
    pub(super) fn stops(&self, node: NodeIndex) -> bool {
        self.known.ground.is_leaving(node)
    }

    /// Whether a voter of a chain, other than these, has worked with `leader` for two heartbeats.
    pub(super) fn has_target(
        &self,
        at: Instant,
        chain: usize,
        (leader, but): (NodeIndex, NodeIndex),
    ) -> bool {
        let voters = &self.known.duties[chain].voters;
        let works = |voter: &NodeIndex| {
            let since = self.known.ground.works(leader, *voter);
            since.is_some_and(|since| at.since(since) >= self.known.heartbeat * 2)
        };
        let mut others = voters.iter().filter(|voter| ![leader, but].contains(voter));
        others.any(works)
    }

    /// For how many heartbeats a leader, which runs as it should, could have missed a node: since
    /// what that one had said before it went has arrived.
    pub(super) fn missed(&self, view: View<'_, Host>, leader: NodeIndex, node: NodeIndex) -> u128 {
        let ground = &self.known.ground;
        let since = ground.awake(leader).zip(ground.absent(node));
        let Some((awake, absent)) = since else {
            return 0;
        };
        let heartbeat = self.known.heartbeat * ground.pace(view, &[leader]);
        let silent = absent.after(arrives_within(view, node, leader));
        view.at().since(awake.max(silent)).as_nanos() / heartbeat.as_nanos()
    }

    /// A leader tells `target` to take over what it has up to `tip`.
    pub(super) fn on_told(
        &mut self,
        (chain, n): (usize, u64),
        (from, target): (NodeId, NodeId),
        tip: LogPosition,
        at: Instant,
    ) {
        let transfer = (chain, n, node_index(target));
        let from = node_index(from);
        self.transfers.say(transfer, Word { at, from, tip });
    }

    /// The word that a leader told in epoch `n` arrives at `target`.
    pub(super) fn on_heard(&mut self, (chain, n): (usize, u64), target: NodeIndex, at: Instant) {
        self.transfers.hear((chain, n, target), at);
    }

    /// Entries or a part of a checkpoint leave for a follower.
    pub(super) fn on_served(&mut self, chain: usize, follower: NodeId) {
        self.shares.serve(chain, node_index(follower));
    }

    /// Since when two nodes answer each other as soon as anybody may expect.
    pub(super) fn calm(
        &self,
        view: View<'_, Host>,
        pair: (NodeIndex, NodeIndex),
    ) -> Option<Instant> {
        self.known.ground.calm(view, pair)
    }

    /// A request ends.
    pub(super) fn on_answer(
        &mut self,
        (chain, state): (usize, &ChainTrack),
        (node, view): (NodeIndex, View<'_, Host>),
        (ticket, answer): (u64, &Answer),
    ) -> Result<(), Violation> {
        self.on_read_end(view, (chain, state), (ticket, answer))?;
        if let Some(wish) = self.transfers.answered(ticket) {
            if *answer == Answer::Transferred {
                let led = match wish.to {
                    // Who leads already when it is wanted need not be elected once more.
                    Some(node) => state.leaders.has_led(wish.n.saturating_sub(1), node),
                    None => state.leaders.last() > wish.n,
                };
                return self.transfers.transferred(wish, led);
            }
            return Ok(());
        }
        match answer {
            Answer::Acked { .. } => self.commits.commit(chain, view.at()),
            Answer::Rejected(
                Reason::TooLarge | Reason::TooOld | Reason::BadNumber | Reason::UnknownClient,
            ) => {
                let duty = &mut self.known.duties[chain];
                if let Some(voter) = duty.voters.iter().position(|voter| *voter == node) {
                    duty.asking[voter].refuse();
                }
            }
            Answer::Rejected(_)
            | Answer::NotLeader { .. }
            | Answer::NotMember { .. }
            | Answer::Unknown
            | Answer::Entries { .. }
            | Answer::Corrupt { .. }
            | Answer::Transferred => {}
        }
        Ok(())
    }
}
