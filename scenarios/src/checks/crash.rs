//! Boots, crashes and harm: what a disk holds against what had left its node.

use super::durable_tail::{self, Found};
use super::recover::{self, Seen};
use super::replica_state::ReplicaState;
use super::step::feed;
use super::track::{ChainTrack, ReplicaTrack};
use super::{Checks, commit_stable, gap_free, leader_complete};
use crate::model::{Host, files_of};
use meshos_core::action::StopReason;
use meshos_core::chain::order::{Image, Slot};
use meshos_core::chain::recover::{RecoverError, recover as read};
use meshos_core::id::{RunNonce, Seq};
use meshos_core::node::Node;
use meshos_core::replica::log::Log;
use meshos_core::replica::role::Role;
use meshos_sim::fault::Fault;
use meshos_sim::hook::Step;
use meshos_sim::machine::NodeIndex;
use meshos_sim::violation::Violation;
use meshos_sim::world::View;

impl Checks {
    /// A node booted; it does not run before its store is repaired.
    pub(super) fn booted(
        &mut self,
        view: View<'_, Host>,
        node: NodeIndex,
    ) -> Result<(), Violation> {
        let track = &mut self.nodes[node.at()];
        track.run = None;
        track.harm.flipped_since_boot = false;
        let store = view.store(node);
        if track.store != store {
            track.store = store;
            track.format(&self.chains);
            self.for_causes(|causes| causes.stopped = true);
        }
        Ok(())
    }

    /// A run made its first step.
    pub(super) fn started(&mut self, step: &Step<'_, Host>, node: &Node) -> Result<(), Violation> {
        let run = node.me();
        let track = &mut self.nodes[step.node.at()];
        if !track.follows(run.incarnation) {
            if !track.harm.lost {
                let text = format!("incarnation {} follows a later one", run.incarnation);
                return Err(Violation::new(super::amnesia::ID, text));
            }
            track.harm.recounted = true;
            track.set_back = (track.set_back.0 + 1, run.incarnation);
        }
        let harm = track.harm;
        let found = step.machine.damage();
        recover::whole(found, harm)?;
        recover::durable(step.view.disk(step.node).unsynced(), harm)?;
        if found.iter().any(recover::in_two_places) {
            let files = files_of(step.view.disk(step.node));
            let again = recover::again(&files);
            recover::mended(found, &again, harm)?;
        }
        let is_first = track.last.is_none();
        track.run = Some(run);
        track.last = Some(run);
        track.view_of_peers.restart();
        track.told_up.fill(None);
        let rate = self.configs[step.node.at()].limits().bandwidth_bytes_per_s;
        track.budget = super::rate_limits::Budget::new(rate, step.now.instant.as_nanos());
        for (place, chain) in node.chains().iter().enumerate() {
            let replica = &mut track.replicas[place];
            let state = &mut self.chains[replica.chain];
            let fault = chain.fault();
            replica.waiting.ended();
            let never_followed =
                matches!(fault, Some(StopReason::ReplicaLost | StopReason::NotMember));
            replica.role = if never_followed {
                Role::Idle
            } else {
                Role::Replica
            };
            if let Some(fault) = fault {
                state.causes.stopped = true;
                recover::stopped(fault, track.harm)?;
            }
            let listed =
                chain.me().store == run.store && state.founding.voters.contains(&chain.me());
            replica.voter = state.voter(run.node).filter(|_| listed);
            let log = chain.log();
            let known = log.first_unknown(log.floor()).unwrap_or(log.end());
            let stored = if harm.lost {
                Seq::ZERO
            } else {
                replica.replica_state.stored
            };
            replica.shown.restart(stored.min(known));
            // A disk that lost what had been synced is judged by what becomes of its replica: it
            // is refused by name, or caught up again.
            if !is_first && fault.is_none() && !harm.lost {
                commit_stable::restarted(stored, known, chain.commit())?;
                replica
                    .promises
                    .recovered(replica.replica_state.promised, chain.promised())?;
                durable_tail::survived(
                    &replica.replica_state,
                    &found_in(log, &replica.replica_state),
                )?;
            }
            begin(state, replica, (ReplicaState::of(chain), log), harm)?;
        }
        Ok(())
    }

    /// A node died; the disk is what the next boot will find.
    pub(super) fn crashed(
        &mut self,
        view: View<'_, Host>,
        node: NodeIndex,
        died: &Host,
    ) -> Result<(), Violation> {
        for attempt in self.history.lose(node) {
            if let Some(key) = attempt.asked.key() {
                self.chains[usize::from(attempt.chain)]
                    .ledger
                    .leave_open(key);
            }
        }
        let track = &mut self.nodes[node.at()];
        track.run = None;
        if track.last.is_none() {
            return Ok(());
        }
        let limits = Host::store_limits(&self.configs[node.at()]);
        let recovered = match read(&files_of(view.disk(node)), &limits, RunNonce::default()) {
            Ok(recovered) => recovered,
            Err(RecoverError::Unformatted | RecoverError::Identity { .. }) if track.harm.lost => {
                return Ok(());
            }
            Err(why @ (RecoverError::Unformatted | RecoverError::Identity { .. })) => {
                return recover::refused(&why.to_string());
            }
        };
        for replica in &mut track.replicas {
            let state = &self.chains[replica.chain];
            let mut images = recovered.boot.images.iter();
            let Some(image) = images.find(|image| image.chain == state.id) else {
                return recover::refused("a chain is gone");
            };
            let log = died.node().and_then(|node| node.chain(state.id));
            let log = log.map(|chain| chain.log());
            survived(state, replica, image, log, track.harm)?;
        }
        Ok(())
    }

    /// A fault of the plan was applied.
    pub(super) fn harmed(&mut self, fault: &Fault) {
        if let Fault::Flip { node, .. } | Fault::FlipAt { node, .. } = fault {
            let harm = &mut self.nodes[node.at()].harm;
            harm.flipped = true;
            harm.flipped_since_boot = true;
            harm.aimed |= matches!(fault, Fault::FlipAt { .. });
        }
        if let Fault::DiskLoseWrite { node, .. }
        | Fault::DiskRestore { node }
        | Fault::Reformat { node } = fault
        {
            self.nodes[node.at()].harm.lost = true;
        }
        if let Fault::DiskReadError { node, .. } = fault {
            self.nodes[node.at()].harm.unreadable = true;
        }
        if matches!(fault, Fault::DiskFull { .. } | Fault::DiskRoom { .. }) {
            self.for_causes(|causes| causes.full = true);
        }
        if let Fault::DiskSyncError { node }
        | Fault::DiskRoom {
            node,
            at_sync: true,
            bytes: Some(_),
        } = fault
        {
            self.nodes[node.at()].harm.unsynced = true;
        }
    }
}

/// What a recovered image still holds of a replica.
fn survived(
    state: &ChainTrack,
    replica: &ReplicaTrack,
    image: &Image,
    log: Option<&Log>,
    harm: recover::Harm,
) -> Result<(), Violation> {
    let before = &replica.replica_state;
    if matches!(
        before.fault,
        Some(StopReason::ReplicaLost | StopReason::NotMember)
    ) {
        return Ok(());
    }
    let Some(vote) = image.vote else {
        return recover::stopped(StopReason::ReplicaLost, harm);
    };
    if harm.lost {
        return Ok(());
    }
    replica.promises.recovered(before.promised, vote)?;
    let floor = image.checkpoint.floor;
    let found = Found {
        floor,
        tip: image.tip,
        at_durable: tip_in(image, before.durable.end),
    };
    durable_tail::survived(before, &found)?;
    commit_stable::survived(before.stored, image.commit.max(floor.end))?;
    let present = ReplicaState {
        floor,
        ..ReplicaState::default()
    };
    leader_complete::is_committed_prefix(&state.truth, &present)?;
    let entry = |slot: &Slot| match slot {
        Slot::Known(entry) => Some(entry.seq),
        Slot::Unknown => None,
    };
    gap_free::contiguous(floor.end, image.tip.end, image.slots.iter().map(entry))?;
    slots(state, before, image, log, harm)
}

fn slots(
    state: &ChainTrack,
    before: &ReplicaState,
    image: &Image,
    log: Option<&Log>,
    harm: recover::Harm,
) -> Result<(), Violation> {
    let mut seq = image.checkpoint.floor.end;
    for slot in &image.slots {
        let found = match slot {
            Slot::Known(entry) => Some(entry.hash),
            Slot::Unknown => None,
        };
        if seq < before.durable.end {
            // What is known of a run that died while it repaired its store is what it found, and
            // what it had not written yet; or never could, where its store failed.
            let is_broken = before.fault == Some(StopReason::StoreBroken);
            let is_unwritten = before.repairing || is_broken && harm.flipped;
            if let Some(log) = log.filter(|_| found.is_some() || !is_unwritten) {
                let was = log.entry(seq).map(|entry| entry.hash);
                recover::slot(seq, was, found, harm)?;
            }
        } else if let Some(hash) = found {
            let is_old = seq < state.truth.base();
            let seen = if is_old || state.truth.line(seq, hash).is_some() {
                Seen::Somewhere
            } else {
                Seen::Nowhere
            };
            recover::beyond(seq, seen)?;
        }
        seq = seq.next();
    }
    Ok(())
}

fn tip_in(image: &Image, end: Seq) -> Option<meshos_core::chain::entry::LogPosition> {
    if end == image.tip.end {
        return Some(image.tip);
    }
    let floor = image.checkpoint.floor;
    if end == floor.end {
        return Some(floor);
    }
    let at = end.before()?.get().checked_sub(floor.end.get())?;
    match image.slots.get(usize::try_from(at).ok()?)? {
        Slot::Known(entry) => Some(meshos_core::chain::entry::LogPosition {
            end,
            epoch: entry.epoch,
            hash: entry.hash,
        }),
        Slot::Unknown => None,
    }
}

fn found_in(log: &Log, before: &ReplicaState) -> Found {
    Found {
        floor: log.checkpoint().floor,
        tip: log.durable(),
        at_durable: log.position_at(before.durable.end),
    }
}

/// Takes in the log that a run starts with.
fn begin(
    state: &mut ChainTrack,
    replica: &mut ReplicaTrack,
    (replica_state, log): (ReplicaState, &Log),
    harm: recover::Harm,
) -> Result<(), Violation> {
    replica.replica_state = replica_state;
    if replica_state.fault == Some(StopReason::ReplicaLost) {
        // Of its checkpoint nothing may be left either.
        return Ok(());
    }
    feed(state, log, log.floor())?;
    gap_free::ordered(&replica_state)?;
    leader_complete::is_committed_prefix(&state.truth, &replica_state)?;
    super::config_safe::observe(&state.founding, log.membership())?;
    if let Some(voter) = replica.voter {
        // A store that lost what it held counts with that, as a wiped one does: others built on it.
        if !harm.lost || replica_state.durable.end > state.durable[voter].end {
            state.durable[voter] = replica_state.durable;
        }
        state.floors[voter] = replica_state.floor.end.get();
    }
    Ok(())
}
