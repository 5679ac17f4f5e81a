//! The states that a sweep has to reach, or it proves nothing.
//!
//! A node counts its own rare turns; what no single node knows is seen here from outside. The
//! hook observes and never finds fault.

mod counts;
mod list;

pub(crate) use list::all;

use crate::model::{Host, Output};
use counts::reach;
use meshos_core::action::Note;
use meshos_core::chain::order::Slot;
use meshos_core::chain::store::{Named, Part};
use meshos_core::count::{Count, Counters};
use meshos_core::id::{ChainId, Epoch, Seq};
use meshos_core::message::{Body, ReplicaMessage};
use meshos_core::node::Node;
use meshos_core::replica::Chain;
use meshos_core::replica::role::Role;
use meshos_sim::connection::{News, Notice};
use meshos_sim::disk::FileOp;
use meshos_sim::fault::Fault;
use meshos_sim::hook::{Cause, Hook, Schedule, Step};
use meshos_sim::machine::{Effect, Input, NodeIndex};
use meshos_sim::reached;
use meshos_sim::time::Now;
use meshos_sim::violation::Violation;
use meshos_sim::world::View;
use std::collections::VecDeque;

/// Watches a run for the marks.
#[derive(Clone, Debug)]
pub struct Marks {
    nodes: Vec<Seen>,
    /// First uncommitted entries of leaders that crashed.
    suffixes: Vec<Suffix>,
    commits: Vec<(ChainId, Seq)>,
}

/// What is remembered of one node.
#[derive(Clone, Debug, Default)]
struct Seen {
    counters: Counters,
    /// File operations that its disk had performed when it last answered.
    performed: u64,
    /// For each batch under way, the places of its first write and of the sync behind it.
    batches: VecDeque<Option<(u64, u64)>>,
    /// The message under way is one of these.
    heard: Option<Heard>,
    /// Whether the present run made a step.
    is_started: bool,
    was_reset: bool,
    is_wiped: bool,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Heard {
    Conflict,
    Reset,
    Confirm,
}

#[derive(Clone, Debug)]
struct Suffix {
    chain: ChainId,
    seq: Seq,
    epoch: Epoch,
    /// Whether it outlives the crash on the leader's own disk.
    is_durable: bool,
}

/// What a run that is about to begin found on its disk.
fn started(host: &Host, node: &Node) {
    for damage in host.damage() {
        match Named::of(&damage.file) {
            Some(Named::Identity(_) | Named::Peers(_)) => {
                reached!("one copy of a small record damaged");
            }
            Some(Named::Chain { part, .. }) => match part {
                Part::Vote(_) | Part::Checkpoint(_) => {
                    reached!("one copy of a small record damaged");
                }
                Part::Segment(_) | Part::Repairs | Part::Draft => {}
            },
            None => {}
        }
        reached!("torn record repaired on reopen");
    }
    if node
        .chains()
        .iter()
        .any(|chain| chain.commit() > chain.log().floor())
    {
        reached!("commit known again after a restart");
    }
}

/// A node hears that it or a peer is refused.
fn refused(notice: &Notice) {
    let News::Unfit { reason, .. } = &notice.news else {
        return;
    };
    if reason.contains("StoreRegressed") {
        reached!("older image of a store refused");
    }
    if reason.contains("FormattedAnew") {
        reached!("store formatted anew refused");
    }
    if reason.contains("OtherLimit") {
        reached!("node with other limits refused");
    }
}

impl Marks {
    /// A watcher of `nodes` nodes.
    pub fn new(nodes: u16) -> Self {
        Self {
            nodes: vec![Seen::default(); usize::from(nodes)],
            suffixes: Vec::new(),
            commits: Vec::new(),
        }
    }

    fn committed(&mut self, chain: ChainId) -> &mut Seq {
        let at = match self.commits.iter().position(|(id, _)| *id == chain) {
            Some(at) => at,
            None => {
                self.commits.push((chain, Seq::ZERO));
                self.commits.len() - 1
            }
        };
        &mut self.commits[at].1
    }

    /// The commit of one node passed `end`: decides the suffixes below it.
    fn on_commit(&mut self, view: View<'_, Host>, node: NodeIndex, chain: ChainId, end: Seq) {
        let known = self.committed(chain);
        *known = end.max(*known);
        if self.suffixes.is_empty() {
            return;
        }
        let Some(log) = chain_of(view, node, chain).map(Chain::log) else {
            return;
        };
        self.suffixes.retain(|suffix| {
            if suffix.chain != chain || suffix.seq >= end {
                return true;
            }
            match log.entry(suffix.seq) {
                Some(entry) if entry.epoch == suffix.epoch => {
                    reached!("uncommitted suffix of a crashed leader later committed");
                }
                Some(_) if suffix.is_durable => {
                    reached!("uncommitted suffix of a crashed leader later truncated");
                }
                Some(_) | None => {}
            }
            false
        });
    }

    fn on_role(view: View<'_, Host>, node: NodeIndex, chain: ChainId, epoch: Epoch) {
        let mut others = view.nodes().filter(|other| *other != node);
        let leads = |other| {
            chain_of(view, other, chain)
                .is_some_and(|chain| chain.role() == Role::Leader && chain.epoch().n != epoch.n)
        };
        if others.any(leads) {
            reached!("two leaders of different epochs alive");
        }
    }

    fn on_counters(&mut self, node: NodeIndex, machine: &Host) {
        let Some(running) = machine.node() else {
            return;
        };
        let seen = &mut self.nodes[usize::from(node.0)];
        let (now, before) = (running.counters(), &seen.counters);
        if now == before {
            return;
        }
        let rose = |count| now.of(count) > before.of(count);
        let acknowledged = || {
            running
                .chains()
                .iter()
                .any(|chain| chain.verified() > Seq::ZERO)
        };
        for &count in Count::ALL {
            if rose(count) {
                reach(count);
            }
        }
        if rose(Count::ConflictIgnored) && seen.heard == Some(Heard::Conflict) && acknowledged() {
            reached!("duplicate conflict after an acknowledgement");
        }
        if rose(Count::ResetIgnored) && seen.heard == Some(Heard::Reset) && acknowledged() {
            reached!("duplicate reset after an acknowledgement");
        }
        if rose(Count::OlderEpoch) && seen.heard == Some(Heard::Confirm) {
            reached!("confirm asked for by a replaced leader");
        }
        if rose(Count::RequestRepeatedRetained) && seen.was_reset {
            reached!("retry after retention and reset");
        }
        seen.was_reset |= rose(Count::ResetInstalled);
        seen.counters = now.clone();
    }
}

/// Whether a node leads a chain of which nothing is kept for longer than `ms`.
fn leads_within(host: &Host, ms: i64) -> bool {
    let Some(node) = host.node() else {
        return false;
    };
    node.config().chains().iter().any(|draft| {
        let age = draft.retention.age_max_ms;
        let chain = node.chain(ChainId::of(&draft.name));
        chain.is_some_and(|chain| chain.role() == Role::Leader)
            && age.is_some_and(|age| i128::from(ms) > i128::from(age))
    })
}

fn chain_of(view: View<'_, Host>, node: NodeIndex, chain: ChainId) -> Option<&Chain> {
    view.node(node)?.node()?.chain(chain)
}

/// Places of the first write of a batch and of the first sync behind it.
fn write_and_sync(ops: &[FileOp]) -> Option<(u64, u64)> {
    let writes = |op: &FileOp| matches!(op, FileOp::Append { .. } | FileOp::Write { .. });
    let write = ops.iter().position(writes)?;
    let sync = ops[write..]
        .iter()
        .position(|op| matches!(op, FileOp::Sync { .. }))?;
    Some((write as u64, (write + sync) as u64))
}

impl Hook<Host> for Marks {
    fn on_input(&mut self, view: View<'_, Host>, node: NodeIndex, _: Now, input: &Input<Host>) {
        if let Input::Message { message, .. } = input
            && let Body::Chain(chain) = &message.message.body
            && matches!(chain.content, ReplicaMessage::InstallSnapshot { .. })
            && chain_of(view, node, chain.chain).is_some_and(|chain| chain.log().unknown() > 0)
        {
            reached!("checkpoint met entries that are unknown");
        }
        let heard = match input {
            Input::Message { message, .. } => match &message.message.body {
                Body::Chain(chain) => match chain.content {
                    ReplicaMessage::Conflict { .. } => Some(Heard::Conflict),
                    ReplicaMessage::InstallSnapshot { .. } => Some(Heard::Reset),
                    ReplicaMessage::VoteRequest { .. }
                    | ReplicaMessage::VoteReply { .. }
                    | ReplicaMessage::Pull { .. }
                    | ReplicaMessage::Chunk { .. }
                    | ReplicaMessage::Outdated
                    | ReplicaMessage::Regressed { .. }
                    | ReplicaMessage::TransferNow { .. }
                    | ReplicaMessage::Fetch { .. }
                    | ReplicaMessage::Fetched { .. }
                    | ReplicaMessage::CatchUp { .. }
                    | ReplicaMessage::SnapshotRequest { .. } => None,
                },
                Body::Confirm(_) => Some(Heard::Confirm),
                Body::Heartbeat(_)
                | Body::Confirmed(_)
                | Body::Forward(_)
                | Body::Forwarded { .. } => None,
            },
            Input::Link(notice) => {
                refused(notice);
                None
            }
            Input::Wake | Input::Op(_) | Input::Disk { .. } => None,
        };
        self.nodes[usize::from(node.0)].heard = heard;
    }

    fn on_step(&mut self, step: &Step<'_, Host>, _: &mut Schedule<Host>) -> Result<(), Violation> {
        self.on_counters(step.node, step.machine);
        let seen = &mut self.nodes[usize::from(step.node.0)];
        if let Cause::Disk { token, .. } = step.cause {
            seen.performed = step.view.performed(step.node);
            if token != 0 {
                seen.batches.pop_front();
            }
            if let Some(node) = step.machine.node().filter(|_| !seen.is_started) {
                seen.is_started = true;
                started(step.machine, node);
            }
        }
        for effect in step.effects {
            if let Effect::Send { message, .. } = effect
                && let Body::Chain(chain) = &message.message.body
                && let ReplicaMessage::Pull { since, .. } = &chain.content
                && let Some(before) = since.end.before()
                && let Some(chain) = chain_of(step.view, step.node, chain.chain)
                && matches!(chain.log().slot(before), Some(Slot::Unknown))
            {
                reached!("pulled from behind an entry that is unknown");
            }
            if let Effect::Disk { token, ops } = effect
                && *token != 0
            {
                seen.batches.push_back(write_and_sync(ops));
            }
        }
        Ok(())
    }

    fn on_output(
        &mut self,
        view: View<'_, Host>,
        node: NodeIndex,
        output: &Output,
        _: &mut Schedule<Host>,
    ) -> Result<(), Violation> {
        if let Output::Note { chain, note } = output {
            match note {
                Note::Role {
                    role: Role::Leader,
                    epoch,
                    ..
                } => {
                    Self::on_role(view, node, *chain, *epoch);
                }
                Note::Commit { end } => self.on_commit(view, node, *chain, *end),
                Note::Role { .. } | Note::Stopped(_) => {}
            }
        }
        Ok(())
    }

    fn on_boot(
        &mut self,
        view: View<'_, Host>,
        node: NodeIndex,
        _: &mut Schedule<Host>,
    ) -> Result<(), Violation> {
        let seen = &mut self.nodes[usize::from(node.0)];
        let is_wiped = view.store(node) > 1;
        *seen = Seen {
            performed: view.performed(node),
            was_reset: seen.was_reset && seen.is_wiped == is_wiped,
            is_wiped,
            ..Seen::default()
        };
        Ok(())
    }

    fn on_crash(
        &mut self,
        view: View<'_, Host>,
        node: NodeIndex,
        died: &Host,
        _: &mut Schedule<Host>,
    ) -> Result<(), Violation> {
        let seen = &self.nodes[usize::from(node.0)];
        let performed = view.performed(node) - seen.performed;
        if let Some(Some((write, sync))) = seen.batches.front()
            && (*write + 1..=*sync).contains(&performed)
        {
            reached!("crash between write and sync");
        }
        let Some(running) = died.node() else {
            return Ok(());
        };
        for chain in running.chains() {
            let committed = chain.commit().max(*self.committed(chain.id()));
            let log = chain.log();
            if chain.role() == Role::Leader {
                if view
                    .nodes()
                    .any(|node| view.is_up(node) && view.store(node) > 1)
                {
                    reached!("wiped voter while the leader dies");
                }
                if let Some(entry) = log.entry(committed) {
                    reached!("leader crash with an uncommitted suffix");
                    self.suffixes.push(Suffix {
                        chain: chain.id(),
                        seq: committed,
                        epoch: entry.epoch,
                        is_durable: committed < log.durable().end,
                    });
                }
            } else if chain.is_resetting() {
                reached!("crash during a reset");
            } else if chain.verified() > Seq::ZERO && committed.distance(log.end()) >= BEHIND {
                reached!("crash during catch-up");
            }
        }
        Ok(())
    }

    fn on_fault(
        &mut self,
        view: View<'_, Host>,
        fault: &Fault,
        _: &mut Schedule<Host>,
    ) -> Result<(), Violation> {
        let &Fault::ClockStep { node, ms } = fault else {
            return Ok(());
        };
        let leads = |host: &Host| {
            let chains = host.node().map(|node| node.chains());
            chains
                .into_iter()
                .flatten()
                .any(|chain| chain.role() == Role::Leader)
        };
        if ms < 0 && view.node(node).is_some_and(leads) {
            reached!("clock stepped back while leading");
        }
        if view.node(node).is_some_and(|host| leads_within(host, ms)) {
            reached!("clock leapt past the age bound while leading");
        }
        Ok(())
    }
}

/// So many committed entries behind counts as catching up.
const BEHIND: u64 = 3;
