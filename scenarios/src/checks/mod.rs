//! The properties of replicated chains, checked after every step of every node.
//!
//! One file per property holds a pure judgement over small plain values; the files of this
//! folder that are no property collect those values. The checks see ground truth: every node's
//! state, every disk, every message that leaves and every answer; they influence nothing. A step
//! costs as much as it touches, whatever number of chains there is (*touched*).

pub mod ack_kept;
pub mod amnesia;
mod answers;
pub mod bounded;
pub mod commit_stable;
pub mod config_safe;
pub mod conserved;
mod crash;
pub mod disk_use;
pub mod durable_tail;
pub mod gap_free;
mod incoming;
pub mod instance;
pub mod leader_complete;
pub mod linearizable;
pub mod liveness;
pub mod log_matching;
pub mod no_disruption;
pub mod obligations;
pub mod one_leader_per_epoch;
mod outgoing;
pub mod payload_blind;
pub mod promise_order;
pub mod rate_limits;
pub mod recover;
pub mod refusals;
pub mod replica_state;
pub mod role_table;
mod roomy;
pub mod sent_once;
pub mod stale_prefix;
pub mod stall_shown;
mod step;
pub mod table_folds;
pub mod told_at_once;
pub mod touched;
mod track;
pub mod transfer_needed;
pub mod truth;
pub mod vote_once;

use crate::history::{Asked, History, Invocation};
use crate::model::{Ask, Host, node_id};
use bounded::Measure;
use meshos_core::chain::clients::ClientLimits;
use meshos_core::config::Config;
use meshos_core::count::Count;
use meshos_core::hello::Terms;
use meshos_core::id::Seq;
use meshos_core::replica::Chain;
use meshos_core::replica::role::Role;
use meshos_sim::check::Outcome;
use meshos_sim::disk::Disk;
use meshos_sim::fault::Fault;
use meshos_sim::hook::{Flippable, Flips, Hook, Schedule, Step};
use meshos_sim::machine::{Input, NodeIndex};
use meshos_sim::scenario::{Blocked, NotChecked};
use meshos_sim::time::{Instant, Now};
use meshos_sim::violation::Violation;
use meshos_sim::world::View;
use obligations::Obligations;
use sent_once::SentOnce;
use std::collections::BTreeMap;
use std::sync::Arc;
use track::{ChainTrack, NodeTrack};
use transfer_needed::Left;

/// All checks of one run.
#[derive(Clone, Debug)]
pub struct Checks {
    /// What each node is started with.
    configs: Vec<Arc<Config>>,
    /// The lowest of their bounds that refusals name.
    lowest: refusals::Lowest,
    nodes: Vec<NodeTrack>,
    chains: Vec<ChainTrack>,
    history: History,
    obligations: Obligations,
    sent: SentOnce,
    /// Bulk that a node is about to take in.
    arriving: Option<(sent_once::Way, sent_once::Bulk)>,
    /// The replicas that turned in this step, by place.
    turned: Vec<usize>,
    /// Whether the last request for a vote that came in names silence as its reason.
    consents_to_silence: bool,
    /// When a node last took in an operation.
    asked: Instant,
    /// When anything but an empty heartbeat last left a node.
    stirred: Instant,
    /// Whether the cluster has to fall silent before it counts as converged.
    quiet: bool,
    /// Whether messages follow a hello.
    says_hello: bool,
    /// Counts looks.
    turn: usize,
}

impl Checks {
    /// The checks of a run of `nodes` nodes that are all started with `config`.
    pub fn new(config: &Arc<Config>, nodes: u16) -> Self {
        Self::of_each(vec![config.clone(); usize::from(nodes)])
    }

    /// The checks of a run in which each node is started with its own of `configs`, all of one
    /// cluster.
    ///
    /// # Panics
    /// When there is none.
    pub fn of_each(configs: Vec<Arc<Config>>) -> Self {
        let nodes = configs.len() as u16;
        let chains: Vec<ChainTrack> = configs[0]
            .chains()
            .iter()
            .map(|draft| ChainTrack::new(&configs[0], draft))
            .collect();
        let track =
            |node: NodeIndex| NodeTrack::new(node_id(node), &configs[node.at()], &chains, nodes);
        Self {
            nodes: (0..nodes).map(NodeIndex).map(track).collect(),
            obligations: Obligations::new(&configs, &chains),
            lowest: refusals::Lowest::of(configs.iter().map(|config| config.limits())),
            configs,
            chains,
            history: History::default(),
            sent: SentOnce::default(),
            arriving: None,
            turned: Vec::new(),
            consents_to_silence: false,
            asked: Instant::ZERO,
            stirred: Instant::ZERO,
            quiet: false,
            says_hello: false,
            turn: 0,
        }
    }

    /// Whether most nodes refuse `node` for its config.
    fn is_refused(&self, node: NodeIndex) -> bool {
        is_refused(&self.configs, node)
    }

    /// What a node is started with.
    fn config(&self, node: NodeIndex) -> &Config {
        &self.configs[node.at()]
    }

    /// Also demands *quiesce* of a converged cluster: for plans whose clients end.
    #[must_use]
    pub fn demand_quiet(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// Also demands that no node hears another whose store was set back since: for plans in which a
    /// hello comes before everything else.
    #[must_use]
    pub fn demand_hello(mut self) -> Self {
        self.says_hello = true;
        self
    }

    /// The checks that need the whole history.
    ///
    /// # Errors
    /// The first property that did not hold.
    pub fn finish(
        &mut self,
        view: View<'_, Host>,
        not_checked: &mut NotChecked,
    ) -> Result<(), Violation> {
        for node in view.nodes() {
            let Some(node) = view.node(node).and_then(Host::node) else {
                continue;
            };
            conserved::completions(node.counters().of(Count::UnknownOperation))?;
        }
        for chain in &self.chains {
            match chain.order.finish(&chain.ledger) {
                Outcome::Holds => {}
                Outcome::Violated(found) => {
                    let violation = Violation::new(linearizable::ID, found.text);
                    return Err(violation.happened(Instant::from_nanos(found.at)));
                }
                Outcome::NotChecked(why) => not_checked.push(linearizable::ID, why),
            }
        }
        Ok(())
    }

    /// Whether the nodes of `core` do all that is promised once the faults are over.
    ///
    /// # Errors
    /// The first obligation that is not met.
    pub fn converged(&self, view: View<'_, Host>, core: &[NodeIndex]) -> Result<(), Blocked> {
        liveness::converged(self, view, core)
    }

    /// How many values the checks hold: flat over a long run.
    pub fn footprint(&self) -> usize {
        let kept = self.chains.iter().map(|chain| chain.truth.len());
        kept.sum::<usize>() + self.history.open().count()
    }

    /// How many entries were committed in all chains.
    pub fn entries(&self) -> u64 {
        let ends = self.chains.iter().map(|chain| chain.truth.committed().end);
        ends.map(|end| end.get()).sum()
    }

    fn on_op(&mut self, view: View<'_, Host>, node: NodeIndex, op: &crate::model::Op) {
        self.asked = view.at();
        // A node that does not run yet refuses in this very step and takes nothing in.
        let runs = view.node(node).is_some_and(|host| host.node().is_some());
        if runs && op.ask == (Ask::HandOver {}) {
            self.obligations.on_leave(node);
            self.for_causes(|causes| causes.transfer = true);
        }
        let (true, Some(asked)) = (runs, Asked::of(&op.ask)) else {
            return;
        };
        let Some(chain) = self.chains.get_mut(usize::from(op.chain)) else {
            return;
        };
        chain.causes.asked += 1;
        if asked == Asked::Transfer {
            chain.causes.transfer = true;
            // Leadership goes where somebody wants it.
            chain.left = Left::default();
        }
        let attempt = Invocation {
            node,
            chain: op.chain,
            asked,
            invoked: view.at(),
            horizon: chain.order.horizon(),
        };
        if let Some(key) = asked.key() {
            let invoked = view.at().as_nanos();
            chain.ledger.begin(key, invoked, attempt.horizon);
        }
        let (asked, when) = ((usize::from(op.chain), &*chain), (node, view));
        self.obligations.on_ask(asked, when, (op.ticket, &op.ask));
        let waiting = self.history.begin(op.ticket, attempt);
        self.nodes[node.at()].noticed = conserved::begun(op.ticket, waiting).err();
    }
}

impl Checks {
    /// Something happens that a refusal in any chain may name.
    fn for_causes(&mut self, change: impl Fn(&mut refusals::Causes)) {
        self.chains
            .iter_mut()
            .for_each(|chain| change(&mut chain.causes));
    }
}

/// Whether most of the nodes with these configs refuse `node` for its own.
fn is_refused(configs: &[Arc<Config>], node: NodeIndex) -> bool {
    let terms = Terms::of(&configs[node.at()]);
    let fitting = configs.iter().map(|config| terms.fit(&Terms::of(config)));
    fitting.filter(Result::is_ok).count() <= configs.len() / 2
}

impl Hook<Host> for Checks {
    #[inline]
    fn on_input(&mut self, view: View<'_, Host>, node: NodeIndex, now: Now, input: &Input<Host>) {
        match input {
            Input::Link(notice) => self.on_notice(view, node, notice),
            Input::Wake | Input::Disk { .. } => {}
            Input::Message { from, message } => {
                self.on_message(node, *from, (view, now), &message.message);
            }
            Input::Op(op) => self.on_op(view, node, op),
        }
    }

    #[inline]
    fn on_step(&mut self, step: &Step<'_, Host>, _: &mut Schedule<Host>) -> Result<(), Violation> {
        self.stepped(step)
            .map_err(|violation| violation.at_node(step.node))
    }

    fn on_boot(
        &mut self,
        view: View<'_, Host>,
        node: NodeIndex,
        later: &mut Schedule<Host>,
    ) -> Result<(), Violation> {
        // The boot of the first node is the first thing that happens in a run.
        if node == NodeIndex(0) && view.at() == Instant::ZERO && view.run(node) == 1 {
            self.obligations.begun(view);
            later.alarm(view.at().after(obligations::LOOK), obligations::NAMESPACE);
        }
        self.obligations.booted(view, node);
        self.booted(view, node)
            .map_err(|violation| violation.at_node(node))
    }

    fn on_alarm(
        &mut self,
        view: View<'_, Host>,
        tag: u64,
        later: &mut Schedule<Host>,
    ) -> Result<(), Violation> {
        if tag != obligations::NAMESPACE {
            return Ok(());
        }
        later.alarm(view.at().after(obligations::LOOK), tag);
        self.obligations.look(view, &self.chains)?;
        self.look_at_segments(view)?;
        self.look_at_requests(view)?;
        self.look_at_tables(view)
    }

    fn on_crash(
        &mut self,
        view: View<'_, Host>,
        node: NodeIndex,
        died: &Host,
        _: &mut Schedule<Host>,
    ) -> Result<(), Violation> {
        self.obligations.crashed((node, died), view, &self.chains);
        self.crashed(view, node, died)
            .map_err(|violation| violation.at_node(node))
    }

    fn on_fault(
        &mut self,
        view: View<'_, Host>,
        fault: &Fault,
        _: &mut Schedule<Host>,
    ) -> Result<(), Violation> {
        self.obligations.disturbed(view, &self.chains, fault);
        self.harmed(fault);
        Ok(())
    }

    fn flippable(&mut self, view: View<'_, Host>, node: NodeIndex, _: &Disk) -> Flips {
        Some(self.sealed(view, node))
    }
}

impl Checks {
    fn look_at_segments(&self, view: View<'_, Host>) -> Result<(), Violation> {
        for node in view.nodes() {
            let limits = self.config(node).limits();
            let mut all = 0;
            for (name, bytes) in view.disk(node).files() {
                let part = name.rsplit_once('.').map(|(_, part)| part);
                if part.is_some_and(|part| part.starts_with("segment-")) {
                    let length = bytes.len() as u64;
                    all += length;
                    bounded::observe(Measure::SegmentBytes, length, limits)
                        .map_err(|violation| violation.at_node(node))?;
                }
            }
            let replicas = self.nodes[node.at()].replicas.iter();
            disk_use::observe(all, replicas.map(|replica| replica.retained_most))
                .map_err(|violation| violation.at_node(node))?;
        }
        Ok(())
    }

    /// What a node that does not lead has not answered yet waits for the leader.
    fn look_at_requests(&self, view: View<'_, Host>) -> Result<(), Violation> {
        let mut counts = BTreeMap::new();
        // Transfers are few, and wait beside them.
        let open = self.history.open();
        let counted = open.filter(|(_, attempt)| attempt.asked != Asked::Transfer);
        for (_, attempt) in counted {
            *counts.entry((attempt.node, attempt.chain)).or_insert(0) += 1;
        }
        for ((node, chain), count) in counts {
            let Some(running) = view.node(node).and_then(Host::node) else {
                continue;
            };
            let id = self.chains[usize::from(chain)].id;
            let role = running.chain(id).map(Chain::role);
            if role.is_some_and(|role| role != Role::Leader) {
                let limits = self.config(node).limits();
                bounded::observe(Measure::Requests, count, limits)
                    .map_err(|violation| violation.at_node(node))?;
            }
        }
        Ok(())
    }

    /// Folds one log anew, that of another node or chain at each look.
    fn look_at_tables(&mut self, view: View<'_, Host>) -> Result<(), Violation> {
        let nodes = view.nodes().len();
        let (round, node) = (self.turn / nodes, NodeIndex((self.turn % nodes) as u16));
        self.turn = self.turn.wrapping_add(1);
        let Some(running) = view.node(node).and_then(Host::node) else {
            return Ok(());
        };
        let chains = running.chains();
        let Some(chain) = chains.get(round % chains.len().max(1)) else {
            return Ok(());
        };
        let limits = self.config(node).limits();
        let limits = ClientLimits {
            clients_max: limits.clients_max,
            window: limits.client_window,
        };
        let log = chain.log();
        // One with unknown entries has gaps in its table, and does not lead.
        if log.unknown() > 0 {
            return Ok(());
        }
        let positions = (log.floor().get()..log.end().get()).map(Seq::new);
        let entries = positions
            .filter_map(|seq| log.entry(seq))
            .map(AsRef::as_ref);
        let clients = log.checkpoint().clients.clone();
        table_folds::observe(clients, entries, log.clients(), limits)
            .map_err(|violation| violation.at_node(node))
    }

    /// The sealed bytes of a node, as long as the other copies of what they hold are whole.
    fn sealed(&self, view: View<'_, Host>, node: NodeIndex) -> Vec<Flippable> {
        // The layout runs ahead of a disk that has something to do.
        let Some(host) = view.node(node).filter(|_| view.batches(node) == 0) else {
            return Vec::new();
        };
        let (Some(running), Some(layout)) = (host.node(), host.layout()) else {
            return Vec::new();
        };
        let mut parts = Vec::new();
        // A replica that stopped may have failed to write what its layout counts as sealed.
        let healthy = running
            .chains()
            .iter()
            .filter(|chain| chain.fault().is_none());
        for chain in healthy {
            let Some(track) = self.chains.iter().find(|track| track.id == chain.id()) else {
                continue;
            };
            let voters = track.founding.voters.len();
            let harmed = self.nodes.iter().enumerate().filter(|(at, other)| {
                let is_voter = track.voter(other.id).is_some();
                is_voter && *at != node.at() && (other.harm.flipped || other.wiped)
            });
            if harmed.count() + 1 > voters - track.founding.majority() {
                continue;
            }
            let sealed = layout.sealed(chain.id(), chain.generation()).into_iter();
            parts.extend(sealed.map(|sealed| Flippable {
                file: sealed.file,
                bytes: sealed.range,
            }));
        }
        parts
    }
}
