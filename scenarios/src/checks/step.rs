//! One step of one node: what changed in its replicas, and what each property says to that.

use super::replica_state::ReplicaState;
use super::track::{ChainTrack, ReplicaTrack};
use super::{
    Checks, amnesia, bounded, commit_stable, config_safe, disk_use, durable_tail, gap_free,
    instance, leader_complete, log_matching, no_disruption, recover, role_table,
};
use crate::model::{Host, Output, node_index};
use meshos_core::action::Note;
use meshos_core::chain::entry::LogPosition;
use meshos_core::chain::order::Slot;
use meshos_core::config::Config;
use meshos_core::id::{Run, Seq};
use meshos_core::replica::Chain;
use meshos_core::replica::log::Log;
use meshos_core::replica::role::Role;
use meshos_sim::hook::{Cause, Step};
use meshos_sim::machine::Effect;
use meshos_sim::violation::Violation;
use meshos_sim::world::View;
use std::sync::Arc;

impl Checks {
    #[inline]
    pub(super) fn stepped(&mut self, step: &Step<'_, Host>) -> Result<(), Violation> {
        let Some(node) = step.machine.node() else {
            return Ok(());
        };
        let at = step.node.at();
        if self.nodes[at].run != Some(node.me()) {
            self.started(step, node)?;
        }
        if let Some(arrived) = self.arriving.take() {
            self.took_in(step.view.at(), node, arrived);
        }
        if !step.effects.is_empty() {
            self.check_notes(step)?;
        }
        for place in node.touched() {
            let chain = &node.chains()[place];
            if !self.nodes[at].replicas[place].replica_state.is_of(chain) {
                self.changed(step, place, chain)?;
            }
        }
        self.nodes[at].look_around(node, step.now.instant)?;
        if !step.effects.is_empty() {
            self.check_effects(step, node)?;
        }
        if !self.turned.is_empty() {
            self.check_told(step, node)?;
        }
        if let Cause::Link { peer } = step.cause {
            self.check_greeting(step, peer)?;
        }
        match self.nodes[at].noticed.take() {
            Some(violation) => Err(violation),
            None => Ok(()),
        }
    }

    /// Roles and stops as the node reports them, each on its own.
    fn check_notes(&mut self, step: &Step<'_, Host>) -> Result<(), Violation> {
        for effect in step.effects {
            let Effect::Output(Output::Note { chain, note }) = effect else {
                continue;
            };
            let Some(place) = self.place(&self.nodes[step.node.at()], *chain) else {
                continue;
            };
            let track = &mut self.nodes[step.node.at()];
            let replica = &mut track.replicas[place];
            match note {
                Note::Role { role, signal, .. } => {
                    role_table::observe(&mut replica.role, *role, *signal)?;
                }
                Note::Commit { .. } => {}
                Note::Stopped(fault) => {
                    self.chains[replica.chain].causes.stopped = true;
                    log_matching::stopped(*fault)?;
                    durable_tail::stopped(*fault, track.harm)?;
                    recover::stopped(*fault, track.harm)?;
                }
            }
        }
        Ok(())
    }

    /// A replica is not what it was after the node's last step.
    fn changed(
        &mut self,
        step: &Step<'_, Host>,
        place: usize,
        chain: &Chain,
    ) -> Result<(), Violation> {
        let after = ReplicaState::of(chain);
        let track = &mut self.nodes[step.node.at()];
        let run = track.run.expect("a step starts a run");
        let replica = &mut track.replicas[place];
        let state = &mut self.chains[replica.chain];
        let before = core::mem::replace(&mut replica.replica_state, after);
        role_table::reported(replica.role, after.role)?;
        if (before.role, before.epoch.n) != (after.role, after.epoch.n) && after.fault.is_none() {
            self.turned.push(place);
        }
        replica.promises.observe(&before, &after)?;
        if after.voted != before.voted || after.epoch.n != before.epoch.n {
            let in_message = matches!(step.cause, Cause::Message { .. });
            if in_message && self.consents_to_silence && after.voted.is_some() {
                let now = step.now.instant.as_nanos();
                let candidate = after.voted.unwrap_or(run.node);
                if candidate != run.node
                    && let Some(heard) = heard(
                        (step.view, &track.view_of_peers),
                        replica.chain,
                        run,
                        &before,
                        now,
                    )
                {
                    let suspicion = self.configs[step.node.at()].suspicion().as_nanos() as u64;
                    no_disruption::observe(heard, suspicion, candidate)?;
                }
            }
        }
        changed_log(state, replica, (&before, &after), chain)?;
        if after.commit > before.commit {
            replica.leading.commit(step.view.at());
            committed(state, &self.configs, chain, &after)?;
        }
        commit_stable::kept(&state.truth, &before, &after, &state.durable)?;
        gap_free::observe(&before, &after)?;
        if after.floor.end != before.floor.end {
            leader_complete::is_committed_prefix(&state.truth, &after)?;
            if let Some(voter) = replica.voter {
                state.floors[voter] = after.floor.end.get();
                state.prune();
            }
        }
        let led_before = before.role == Role::Leader && before.epoch.n == after.epoch.n;
        let leads_now = after.role == Role::Leader && after.fault.is_none();
        if !leads_now || !led_before {
            replica.waiting.ended();
        }
        if leads_now {
            let now = step.now.instant;
            replica.waiting.changed(after.commit, after.tip.end, now);
        }
        if after.role == Role::Leader {
            if !led_before {
                leads(state, replica, run, &after)?;
            }
            let at = step.view.at();
            if !led_before || after.durable.end > before.durable.end {
                replica.leading.store(at);
            }
            // It hands over after twice that, by its own clock.
            let least = self.configs[step.node.at()].heartbeat() * 12;
            let stood = replica.leading.stored().map(|since| at.since(since));
            state.causes.transfer |=
                after.durable.end < after.commit && stood.is_some_and(|stood| stood >= least);
            let waiting = after.tip.end.distance(after.commit);
            state.causes.uncommitted = state.causes.uncommitted.max(waiting);
            let limits = self.configs[step.node.at()].limits();
            bounded::observe(bounded::Measure::Uncommitted, waiting, limits)?;
        }
        Ok(())
    }
}

/// What a replica could know of a live leader before a step.
pub(super) fn heard(
    (view, peer): (View<'_, Host>, &super::incoming::PeerView),
    chain: usize,
    me: Run,
    before: &ReplicaState,
    now: u64,
) -> Option<no_disruption::Heard> {
    if before.role == Role::Leader {
        return Some(no_disruption::Heard {
            leader: me.node,
            n: before.epoch.n,
            claimed: Some(before.epoch.n),
            silence: 0,
        });
    }
    let leader = before.leader.filter(|leader| *leader != me.node)?;
    // A driver tells its node that a process is gone, whose last words then show no live leader.
    let present = view.node(node_index(leader))?.node()?.me();
    let is_wiped = view.store(node_index(leader)) != FOUNDING;
    if is_wiped || present.incarnation != peer.incarnation(leader) {
        return None;
    }
    Some(peer.heard(chain, leader, before.epoch.n, now))
}

/// The number of the store that a node was founded with.
const FOUNDING: u64 = 1;

/// Entries came, were cut, or became durable.
fn changed_log(
    state: &mut ChainTrack,
    replica: &mut ReplicaTrack,
    (before, after): (&ReplicaState, &ReplicaState),
    chain: &Chain,
) -> Result<(), Violation> {
    let log = chain.log();
    let entries = after.tip.end.distance(after.floor.end);
    let records = disk_use::of_records(entries, log.bytes());
    replica.retained_most = replica.retained_most.max(records);
    if after.unknown != before.unknown {
        feed(state, log, after.floor.end)?;
    } else if after.truncations != before.truncations {
        // A cut is never below what was committed here.
        let from = before.commit.min(after.tip.end).max(after.floor.end);
        feed(state, log, from)?;
    } else if after.tip.end > before.tip.end {
        feed(state, log, before.tip.end.max(after.floor.end))?;
    }
    if after.truncations != before.truncations || after.tip.end != before.tip.end {
        config_safe::observe(&state.founding, log.membership())?;
    }
    if let Some(voter) = replica.voter {
        state.durable[voter] = after.durable;
    }
    Ok(())
}

/// Compares the entries of a log from `from` on with everything ever seen.
pub(super) fn feed(state: &mut ChainTrack, log: &Log, from: Seq) -> Result<(), Violation> {
    let mut previous = log.position_at(from);
    let mut seq = from;
    while seq < log.end() {
        previous = match log.slot(seq) {
            Some(Slot::Known(entry)) => {
                instance::observe(state.generation, entry.generation)?;
                if let Some(previous) = previous {
                    log_matching::observe(&mut state.truth, entry, previous)?;
                }
                gap_free::contiguous(seq, seq.next(), core::iter::once(Some(entry.seq)))?;
                Some(LogPosition {
                    end: seq.next(),
                    epoch: entry.epoch,
                    hash: entry.hash,
                })
            }
            Some(Slot::Unknown) => None,
            None => return gap_free::contiguous(seq, log.end(), core::iter::empty()),
        };
        seq = seq.next();
    }
    Ok(())
}

/// A replica raised its commit.
fn committed(
    state: &mut ChainTrack,
    configs: &[Arc<Config>],
    chain: &Chain,
    after: &ReplicaState,
) -> Result<(), Violation> {
    let Some(tip) = chain.log().position_at(after.commit) else {
        // The entry before it is unknown here: there is nothing to compare.
        return Ok(());
    };
    let fresh = commit_stable::observe(&mut state.truth, after, tip, &state.durable)?;
    if fresh.is_empty() {
        return Ok(());
    }
    state.commits.record(after.epoch.n, after.commit);
    for seq in fresh {
        let Some(line) = state.truth.committed_at(Seq::new(seq)) else {
            continue;
        };
        let length = u64::from(line.entry.payload.length());
        // Its author let it in.
        let author = node_index(line.entry.epoch.node).at();
        let limits = configs[author].limits();
        bounded::observe(bounded::Measure::EntryBytes, length, limits)?;
        if let Some(request) = state.ledger.commit(&line.entry)? {
            state.order.committed(line.entry.seq, request.horizon)?;
        }
    }
    let clients = chain.log().clients().len() as u64;
    bounded::observe(bounded::Measure::Clients, clients, configs[0].limits())
}

/// A replica begins to lead.
fn leads(
    state: &mut ChainTrack,
    replica: &ReplicaTrack,
    run: Run,
    after: &ReplicaState,
) -> Result<(), Violation> {
    state.leaders.observe(after.epoch, run)?;
    state.commits.observe(&state.truth, after)?;
    let voters = state.founding.voters.len();
    match replica.voter {
        Some(voter) => state.votes.lead(after.epoch.n, run.node, voter, voters),
        None => amnesia::stranger(run.node, amnesia::Counts::Yes),
    }
}
