//! Messages that leave a node, judged against the node after the step.

use super::amnesia::{self, Counts};
use super::bounded::{self, Measure};
use super::obligations::ground::arrives_within;
use super::obligations::look_damaged;
use super::obligations::one_checkpoint::Sent;
use super::promise_order::{self, Said};
use super::sent_once::{Bulk, Kind, Leaves};
use super::told_at_once::{self, Standing};
use super::track::{ChainTrack, NodeTrack, ReplicaTrack};
use super::transfer_needed::{self, MISSED};
use super::{Checks, durable_tail, instance, no_disruption, role_table, step};
use crate::model::{Host, Output, node_id, node_index, wire_size};
use meshos_core::chain::entry::{Entry, LogPosition};
use meshos_core::id::{ChainId, NodeId, Seq};
use meshos_core::message::{
    Body, ChainMessage, Confirm, Heartbeat, Lane, Message, ReplicaMessage, Round,
};
use meshos_core::node::Node;
use meshos_core::replica::role::Role;
use meshos_core::wire;
use meshos_sim::hook::{Cause, Step};
use meshos_sim::machine::{Effect, NodeIndex};
use meshos_sim::violation::Violation;
use std::sync::Arc;
use std::time::Duration;

impl Checks {
    pub(super) fn check_effects(
        &mut self,
        step: &Step<'_, Host>,
        node: &Node,
    ) -> Result<(), Violation> {
        for effect in step.effects {
            match effect {
                Effect::Send { to, message } => {
                    let to = node_id(*to);
                    self.check_message(step, node, to, &message.message)?;
                }
                Effect::Broadcast { .. } | Effect::Disk { .. } => self.stirred = step.view.at(),
                Effect::Output(Output::Answer { ticket, answer }) => {
                    self.check_answer(step, *ticket, answer)?;
                }
                Effect::Output(Output::Refused { .. } | Output::Note { .. }) | Effect::Exit => {}
            }
        }
        Ok(())
    }

    #[inline]
    fn check_message(
        &mut self,
        step: &Step<'_, Host>,
        node: &Node,
        to: NodeId,
        message: &Message,
    ) -> Result<(), Violation> {
        if let Body::Heartbeat(beat) = &message.body
            && beat.rows.is_empty()
        {
            return Ok(());
        }
        let limits = self.config(step.node).limits();
        // What is estimated to be small is far from any limit, and need not be measured.
        if wire_size(message) > limits.message_bytes_max / 4 {
            let bytes = wire::encoded_length(message) as u64;
            bounded::observe(Measure::MessageBytes, bytes, limits)?;
        }
        match &message.body {
            Body::Heartbeat(beat) => {
                // To a peer that is gone the same rows go out again and again.
                if self.listens(to) {
                    self.stirred = step.view.at();
                }
                self.check_rows(step, node, beat)
            }
            Body::Chain(chain) => {
                // What nobody can repair is asked for again and again, once per heartbeat.
                if !matches!(chain.content, ReplicaMessage::Fetch { .. }) {
                    self.stirred = step.view.at();
                }
                self.check_content(step, to, (message.lane(), chain))
            }
            Body::Confirmed(confirms) => {
                self.stirred = step.view.at();
                self.check_confirmed(step, confirms)
            }
            Body::Confirm(_) | Body::Forward(_) | Body::Forwarded { .. } => {
                self.stirred = step.view.at();
                Ok(())
            }
        }
    }

    /// Whether a peer runs on the store that messages to it name.
    fn listens(&self, peer: NodeId) -> bool {
        let track = &self.nodes[node_index(peer).at()];
        track.run.is_some() && !track.wiped
    }

    fn check_rows(
        &mut self,
        step: &Step<'_, Host>,
        node: &Node,
        beat: &Heartbeat,
    ) -> Result<(), Violation> {
        let limits = self.config(step.node).limits();
        bounded::observe(Measure::Rows, beat.rows.len() as u64, limits)?;
        for row in &beat.rows {
            let Some(place) = self.place(&self.nodes[step.node.at()], row.chain) else {
                continue;
            };
            let replica = &self.nodes[step.node.at()].replicas[place];
            instance::observe(self.chains[replica.chain].generation, row.generation)?;
            let Some(state) = &row.state else { continue };
            if replica.voter.is_none() {
                amnesia::stranger(node.me().node, Counts::Yes)?;
            }
            let replica_state = &replica.replica_state;
            let ends = (replica_state.durable.end, replica_state.commit);
            role_table::row(state, replica_state.role, replica_state.epoch, ends)?;
            if let Some(durable) = state.durable {
                durable_tail::leaving(durable, replica_state)?;
            }
        }
        Ok(())
    }

    /// Replicas turned in this step.
    #[cold]
    pub(super) fn check_told(
        &mut self,
        step: &Step<'_, Host>,
        node: &Node,
    ) -> Result<(), Violation> {
        let limits = self.config(step.node).limits();
        let rows_max = wire::items_max(limits.message_bytes_max).min(limits.rows_max as usize);
        let turned = core::mem::take(&mut self.turned);
        // Where rows do not fit one message some of them wait for the next one.
        let fits = node.chains().len() <= rows_max;
        for place in turned.into_iter().filter(|_| fits) {
            let replica = &self.nodes[step.node.at()].replicas[place];
            if replica.voter.is_none() {
                continue;
            }
            let (state, now) = (&self.chains[replica.chain], &replica.replica_state);
            for voter in &state.founding.voters {
                let to = node_index(voter.node);
                if to != step.node {
                    let now = (now.role, now.epoch.n);
                    told_at_once::observe(now, voter.node, told(step, to, state.id))?;
                }
            }
        }
        Ok(())
    }

    /// Something happened to a connection with `peer`.
    pub(super) fn check_greeting(
        &mut self,
        step: &Step<'_, Host>,
        peer: NodeIndex,
    ) -> Result<(), Violation> {
        let told = step.machine.told_up(peer);
        let before = core::mem::replace(&mut self.nodes[step.node.at()].told_up[peer.at()], told);
        let (me, voter) = (node_id(step.node), node_id(peer));
        let shares = |chain: &ChainTrack| chain.voter(me).and(chain.voter(voter)).is_some();
        let is_anew = (before, told) == (Some(false), Some(true));
        if !is_anew || !self.chains.iter().any(shares) {
            return Ok(());
        }
        let is_greeting = |effect: &Effect<Host>| {
            matches!(effect, Effect::Send { to, message }
                if *to == peer && matches!(message.message.body, Body::Heartbeat(_)))
        };
        told_at_once::greeting(voter, step.effects.iter().any(is_greeting))
    }

    fn check_confirmed(
        &mut self,
        step: &Step<'_, Host>,
        confirms: &[Confirm],
    ) -> Result<(), Violation> {
        for confirm in confirms {
            let track = &self.nodes[step.node.at()];
            let Some(place) = self.place(track, confirm.chain) else {
                continue;
            };
            let replica = &track.replicas[place];
            if replica.voter.is_none() {
                amnesia::stranger(track.id, Counts::Yes)?;
            }
            promise_order::observe(Said::Confirmed, confirm.epoch.n, &replica.replica_state)?;
        }
        Ok(())
    }

    fn check_content(
        &mut self,
        step: &Step<'_, Host>,
        to: NodeId,
        (lane, message): (Lane, &ChainMessage),
    ) -> Result<(), Violation> {
        let track = &self.nodes[step.node.at()];
        let me = track.id;
        let Some(place) = self.place(track, message.chain) else {
            return Ok(());
        };
        let chain = track.replicas[place].chain;
        instance::observe(self.chains[chain].generation, message.generation)?;
        let voter = track.replicas[place].voter;
        let Some(voter) = voter else {
            return amnesia::stranger(me, counts(&message.content));
        };
        let n = message.epoch.n;
        self.check_bulk(step, node_index(to), (chain, message))?;
        match &message.content {
            ReplicaMessage::Pull { since, durable, .. } => {
                if let Some(has) = durable {
                    let (track, member) = (&self.chains[chain], (step.node, *has));
                    self.obligations.on_pull(step.view, (chain, track), member);
                }
                let replica = &mut self.nodes[step.node.at()].replicas[place];
                check_pull(replica, n, since.end, *durable)
            }
            ReplicaMessage::Chunk { entries, .. } | ReplicaMessage::Fetched { entries, .. } => {
                if !entries.is_empty() {
                    self.obligations.on_served(chain, to);
                }
                self.spend(step, lane, bytes_of(entries))
            }
            ReplicaMessage::InstallSnapshot {
                part,
                floor,
                offset,
                ..
            } => {
                let state = &self.nodes[step.node.at()].replicas[place].replica_state;
                let is_last = state.floor == *floor && step.view.batches(step.node) == 0;
                if state.role == Role::Leader && state.epoch.n == n {
                    let sent = Sent {
                        leader: step.node,
                        n,
                        floor: floor.end,
                        begins: *offset == 0 && is_last,
                    };
                    self.obligations
                        .on_checkpoint((chain, to), sent, step.view.at())?;
                }
                self.obligations.on_served(chain, to);
                self.spend(step, lane, part.len() as u64)
            }
            ReplicaMessage::VoteRequest {
                round: Round::Real,
                asked,
                tail,
                ..
            } => self.check_ask(step, (place, voter), asked.n, *tail),
            ReplicaMessage::VoteReply {
                round,
                asked,
                granted: true,
                ..
            } => self.check_grant(step, (place, voter), *round, (asked.n, to)),
            ReplicaMessage::VoteRequest { .. }
            | ReplicaMessage::VoteReply { .. }
            | ReplicaMessage::Conflict { .. }
            | ReplicaMessage::Outdated
            | ReplicaMessage::Regressed { .. }
            | ReplicaMessage::Fetch { .. }
            | ReplicaMessage::CatchUp { .. }
            | ReplicaMessage::SnapshotRequest { .. } => Ok(()),
            ReplicaMessage::TransferNow { .. }
                if self
                    .obligations
                    .missed(step.view, step.node, node_index(to))
                    >= MISSED =>
            {
                transfer_needed::gone(n, to)
            }
            // A leader that cannot commit names those that could not either, and hands over
            // without waiting for a target to be level.
            ReplicaMessage::TransferNow { tried, .. } if !tried.is_empty() => {
                self.chains[chain].causes.transfer = true;
                let at = step.view.at();
                let window = self.config(step.node).suspicion();
                let leading = &mut self.nodes[step.node.at()].replicas[place].leading;
                leading.hand_over((n, to), at, window)
            }
            ReplicaMessage::TransferNow { .. } => {
                let tip = self.nodes[step.node.at()].replicas[place].replica_state.tip;
                let at = step.view.at();
                self.obligations.on_told((chain, n), (me, to), tip, at);
                let pair = (step.node, node_index(to));
                let facts = transfer_needed::Facts {
                    at,
                    pause: Duration::from_millis(self.config(step.node).timing().pin_ms),
                    leader_stops: self.obligations.stops(pair.0),
                    target_stops: self.obligations.stops(pair.1),
                    has_other: self.obligations.has_target(at, chain, pair),
                };
                self.chains[chain].left.tell(n, (me, to), facts)
            }
        }
    }

    /// Bulk is not sent again for nothing.
    fn check_bulk(
        &mut self,
        step: &Step<'_, Host>,
        to: NodeIndex,
        (chain, message): (usize, &ChainMessage),
    ) -> Result<(), Violation> {
        let Some(bulk) = bulk_of(&message.content) else {
            return Ok(());
        };
        let (view, from) = (step.view, step.node);
        let is_other = || look_damaged::is_other_entry(view, to, message);
        if bulk.kind == Kind::Help && is_other() {
            return Ok(());
        }
        let leaves = Leaves {
            at: view.at(),
            due: view.at().after(arrives_within(view, from, to)),
            calm: self.obligations.calm(view, (from, to)),
            life: (message.epoch.n, view.run(from), view.run(to)),
        };
        self.sent.send((from, to, chain), bulk, leaves)
    }

    /// That much of entries or of a checkpoint leaves the node.
    fn spend(&mut self, step: &Step<'_, Host>, lane: Lane, bytes: u64) -> Result<(), Violation> {
        if lane == Lane::Control {
            let limits = self.config(step.node).limits();
            bounded::observe(Measure::ControlBytes, bytes, limits)?;
        }
        let now = step.now.instant.as_nanos();
        self.nodes[step.node.at()].budget.observe(bytes, now)
    }

    /// A candidate asks for binding votes, which is its own vote.
    fn check_ask(
        &mut self,
        step: &Step<'_, Host>,
        (place, voter): (usize, usize),
        n: u64,
        tail: Seq,
    ) -> Result<(), Violation> {
        let track = &mut self.nodes[step.node.at()];
        let replica = &mut track.replicas[place];
        let state = &mut self.chains[replica.chain];
        promise_order::observe(Said::Voted(track.id), n, &replica.replica_state)?;
        durable_tail::leaving(tail, &replica.replica_state)?;
        replica.promises.cast(n, track.id)?;
        let voters = state.founding.voters.len();
        state.votes.ask(n, track.id, voter, voters)?;
        state.votes.vote(n, track.id, voter);
        Ok(())
    }

    /// A voter says yes to the candidate `to`.
    fn check_grant(
        &mut self,
        step: &Step<'_, Host>,
        (place, voter): (usize, usize),
        round: Round,
        (n, to): (u64, NodeId),
    ) -> Result<(), Violation> {
        let track = &mut self.nodes[step.node.at()];
        let replica = &mut track.replicas[place];
        let state = &mut self.chains[replica.chain];
        match round {
            Round::Pre => {
                let in_message = matches!(step.cause, Cause::Message { .. });
                let now = step.now.instant.as_nanos();
                let run = track.run.expect("a step starts a run");
                if in_message
                    && self.consents_to_silence
                    && let Some(heard) = step::heard(
                        (step.view, &track.view_of_peers),
                        replica.chain,
                        run,
                        &replica.replica_state,
                        now,
                    )
                {
                    let suspicion = self.configs[step.node.at()].suspicion().as_nanos() as u64;
                    no_disruption::observe(heard, suspicion, to)?;
                }
                state.votes.would_vote(n, to, voter);
            }
            Round::Real => {
                promise_order::observe(Said::Voted(to), n, &replica.replica_state)?;
                replica.promises.cast(n, to)?;
                state.votes.vote(n, to, voter);
            }
        }
        Ok(())
    }

    /// Which replica of a node belongs to `chain`.
    #[inline]
    pub(super) fn place(&self, track: &NodeTrack, chain: ChainId) -> Option<usize> {
        let replicas = &track.replicas;
        if let [only] = &replicas[..] {
            return (self.chains[only.chain].id == chain).then_some(0);
        }
        replicas
            .binary_search_by_key(&chain, |replica| self.chains[replica.chain].id)
            .ok()
    }
}

/// A replica acknowledges what it stored, as far as it is the leader's.
fn check_pull(
    replica: &mut ReplicaTrack,
    n: u64,
    since: Seq,
    durable: Option<Seq>,
) -> Result<(), Violation> {
    promise_order::observe(Said::Acknowledged, n, &replica.replica_state)?;
    let Some(durable) = durable else {
        return Ok(());
    };
    durable_tail::leaving(durable, &replica.replica_state)?;
    if since <= replica.replica_state.verified {
        replica.promises.acknowledge(n, since.min(durable));
    }
    Ok(())
}

/// About what an entry costs in a message besides its payload.
const ENTRY_OVERHEAD: u64 = 160;

fn bytes_of(entries: &[Arc<Entry>]) -> u64 {
    let bytes = entries
        .iter()
        .map(|entry| u64::from(entry.payload.length()) + ENTRY_OVERHEAD);
    bytes.sum()
}

/// Whether somebody could count this for its sender.
fn counts(content: &ReplicaMessage) -> Counts {
    match content {
        ReplicaMessage::VoteRequest { .. }
        | ReplicaMessage::Pull { .. }
        | ReplicaMessage::Chunk { .. }
        | ReplicaMessage::Conflict { .. }
        | ReplicaMessage::InstallSnapshot { .. }
        | ReplicaMessage::Regressed { .. }
        | ReplicaMessage::TransferNow { .. }
        | ReplicaMessage::Fetched { .. }
        | ReplicaMessage::VoteReply { granted: true, .. } => Counts::Yes,
        ReplicaMessage::VoteReply { granted: false, .. }
        | ReplicaMessage::Outdated
        | ReplicaMessage::Fetch { .. }
        | ReplicaMessage::CatchUp { .. }
        | ReplicaMessage::SnapshotRequest { .. } => Counts::No,
    }
}

/// What a message carries of entries or of a checkpoint.
pub(super) fn bulk_of(content: &ReplicaMessage) -> Option<Bulk> {
    let entries = |kind, since: &LogPosition, count: usize| {
        let start = since.end.get();
        let range = start..start + count as u64;
        (count > 0).then_some(Bulk { kind, range })
    };
    match content {
        ReplicaMessage::Chunk {
            since, entries: of, ..
        } => entries(Kind::Entries, since, of.len()),
        ReplicaMessage::Fetched {
            since, entries: of, ..
        } => entries(Kind::Help, since, of.len()),
        ReplicaMessage::InstallSnapshot {
            floor,
            offset,
            part,
            ..
        } => {
            let start = u64::from(*offset);
            let range = start..start + part.len() as u64;
            let kind = Kind::Checkpoint(floor.end);
            Some(Bulk { kind, range })
        }
        ReplicaMessage::VoteRequest { .. }
        | ReplicaMessage::VoteReply { .. }
        | ReplicaMessage::Pull { .. }
        | ReplicaMessage::Conflict { .. }
        | ReplicaMessage::Outdated
        | ReplicaMessage::Regressed { .. }
        | ReplicaMessage::TransferNow { .. }
        | ReplicaMessage::Fetch { .. }
        | ReplicaMessage::CatchUp { .. }
        | ReplicaMessage::SnapshotRequest { .. } => None,
    }
}

/// The last role in an epoch that a step tells a node of a chain.
fn told(step: &Step<'_, Host>, to: NodeIndex, chain: ChainId) -> Option<Standing> {
    let beat = |effect: &Effect<Host>| {
        if let Effect::Send { to: at, message } = effect
            && *at == to
            && let Body::Heartbeat(beat) = &message.message.body
        {
            let row = beat.rows.iter().find(|row| row.chain == chain)?;
            row.state.map(|state| (state.role, state.epoch.n))
        } else {
            None
        }
    };
    step.effects.iter().rev().find_map(beat)
}
