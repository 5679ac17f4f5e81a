//! What every look asks of replicas with unknown entries.

use super::level::{self, Load};
use super::look::{self, Scene};
use super::mends::Damage;
use super::missing::{checkpoint_bytes, cost};
use super::{Known, Obligations};
use crate::model::Host;
use meshos_core::bandwidth::Class;
use meshos_core::chain::entry::Entry;
use meshos_core::chain::order::Slot;
use meshos_core::id::Seq;
use meshos_core::message::{ChainMessage, ReplicaMessage};
use meshos_core::replica::Chain;
use meshos_core::replica::log::Log;
use meshos_sim::machine::NodeIndex;
use meshos_sim::time::Instant;
use meshos_sim::violation::Violation;
use meshos_sim::world::View;
use std::time::Duration;

impl Obligations {
    pub(super) fn look_at_damage(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        let voters = self.known.duties[scene.place].voters.len();
        for voter in 0..voters {
            let node = self.known.duties[scene.place].voters[voter];
            let replica = (scene.place, node);
            let before = self.mends.damage(replica);
            let unknown = self.known.unknown(scene, voter);
            match (before, unknown) {
                (Some(before), Some(unknown)) if unknown < before.unknown => {
                    self.mends.mend(replica);
                }
                (Some(before), unknown) if unknown != Some(before.unknown) => {
                    self.mends.release(replica);
                }
                _ => {}
            }
            let Some(unknown) = unknown.filter(|unknown| *unknown > 0) else {
                continue;
            };
            let before = self.mends.damage(replica);
            let helper = before.map(|before| before.helper);
            let Some((helper, since)) = self.known.helper(scene, voter, helper) else {
                self.mends.release(replica);
                continue;
            };
            let since = match before {
                Some(before) if before.helper == helper => before.since.max(since),
                _ => scene.at(),
            };
            let damage = Damage {
                since,
                helper,
                unknown,
            };
            let facts = self.known.facts(scene, &[helper, node]);
            let runs = scene.replicas[voter].map_or(0, |chain| runs(chain.log()).count());
            let asked = u32::try_from(runs * (voters - 1)).unwrap_or(u32::MAX);
            let waits = (self.known.mending(scene, helper, node), asked);
            self.mends.hold(replica, damage, waits, facts)?;
        }
        Ok(())
    }
}

impl Known {
    /// How many entries are unknown to a replica that may ask for them.
    fn unknown(&self, scene: &Scene<'_>, voter: usize) -> Option<u64> {
        let node = self.duties[scene.place].voters[voter];
        let asks = |chain: &&Chain| chain.fault().is_none() && !chain.is_resetting();
        let chain = scene.replicas[voter].filter(asks)?;
        look::is_founding(scene.view, &self.refused, node).then(|| chain.log().unknown())
    }

    /// A member that can mend a replica, `last` if it still can, and since when the way between
    /// them carries what it gives.
    fn helper(
        &self,
        scene: &Scene<'_>,
        voter: usize,
        last: Option<NodeIndex>,
    ) -> Option<(NodeIndex, Instant)> {
        let duty = &self.duties[scene.place];
        let damaged = scene.replicas[voter]?.log();
        let can = |other: usize| {
            let (node, helper) = (duty.voters[other], scene.replicas[other]?);
            let since = self.ground.carries(duty.voters[voter], node)?;
            // Background traffic has only what the other classes leave over.
            let is_last = duty.class == Class::Background && self.class_count(node) > 1;
            let may = other != voter
                && !is_last
                && helper.fault().is_none()
                && !helper.is_resetting()
                && look::is_founding(scene.view, &self.refused, node)
                && can_mend(helper.log(), damaged);
            may.then_some((node, since))
        };
        let helpers = (0..duty.voters.len()).filter_map(can);
        helpers.min_by_key(|(node, _)| Some(*node) != last)
    }

    /// How long what a helper gives takes at most: a checkpoint, or the entries that it retains.
    fn mending(&self, scene: &Scene<'_>, helper: NodeIndex, node: NodeIndex) -> Duration {
        let bytes = scene.replica(self, helper).map_or(0, |chain| {
            checkpoint_bytes(chain) + cost(chain, chain.log().floor())
        });
        let load = Load {
            since: scene.at(),
            lacked: self.bulk(helper, bytes),
            appended: level::Bulk::default(),
        };
        level::crossing(load, self.speed(scene, (helper, node)))
    }
}

/// Whether entries that a member is given are others than those that are unknown to it. Neither side
/// can know that before: the asker has no hash of what it lacks, and their giver may have cut them
/// when it is asked again.
pub(in crate::checks) fn is_other_entry(
    view: View<'_, Host>,
    asker: NodeIndex,
    message: &ChainMessage,
) -> bool {
    let ReplicaMessage::Fetched { entries, .. } = &message.content else {
        return false;
    };
    let chain = view.node(asker).and_then(Host::node);
    let log = chain
        .and_then(|node| node.chain(message.chain))
        .map(Chain::log);
    let is_other = |log: &Log, entry: &Entry| {
        let end = entry.seq.next();
        let is_run_end =
            log.slot(entry.seq) == Some(&Slot::Unknown) && log.slot(end) != Some(&Slot::Unknown);
        is_run_end && !is_named(log, end, entry)
    };
    log.is_some_and(|log| entries.iter().any(|entry| is_other(log, entry)))
}

/// Whether what follows a run that ends there names this entry.
fn is_named(damaged: &Log, end: Seq, entry: &Entry) -> bool {
    match damaged.entry(end) {
        Some(next) => next.follows(entry.hash),
        None => end == damaged.end() && damaged.tip().hash == entry.hash,
    }
}

/// The ends of the runs of unknown entries.
fn runs(log: &Log) -> impl Iterator<Item = Seq> {
    let mut from = log.floor();
    core::iter::from_fn(move || {
        let mut end = log.first_unknown(from)?;
        while log.slot(end) == Some(&Slot::Unknown) {
            end = end.next();
        }
        from = end;
        Some(end)
    })
}

/// Whether `helper` holds what proves itself in the place of some unknown entry of `damaged`.
fn can_mend(helper: &Log, damaged: &Log) -> bool {
    runs(damaged)
        .any(|end| gives_last(helper, damaged, end) || gives_checkpoint(helper, damaged, end))
}

/// Whether it holds the last entry of a run and knows what is before: what follows the run here
/// names that entry.
fn gives_last(helper: &Log, damaged: &Log, end: Seq) -> bool {
    let Some(last) = end.before().filter(|last| *last >= helper.floor()) else {
        return false;
    };
    let Some(entry) = helper.entry(last) else {
        return false;
    };
    is_named(damaged, end, entry) && helper.position_at(last).is_some()
}

/// Whether a run lies below its floor, which is a position of the damaged log.
fn gives_checkpoint(helper: &Log, damaged: &Log, end: Seq) -> bool {
    let floor = helper.checkpoint().floor;
    let is_shared = || match damaged.position_at(floor.end) {
        Some(tip) => tip == floor,
        None => damaged
            .entry(floor.end)
            .is_some_and(|next| next.follows(floor.hash)),
    };
    end <= floor.end && floor.end <= damaged.durable().end && is_shared()
}
