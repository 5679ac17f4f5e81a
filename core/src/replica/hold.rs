//! What a leader keeps for a member that starts anew from a checkpoint: the floor waits for it
//! (`docs/decisions/retention.md`).
//!
//! A checkpoint takes its time on the way, and retention goes on meanwhile: the entries behind the
//! one that was sent would be gone when it is there, and the next one would take as long. So from
//! when a checkpoint is sent the floor waits for the member, as long as it comes nearer and there
//! is room.

use super::log::ENTRY_OVERHEAD;
use super::{Chain, StepContext};
use crate::id::{NodeId, Seq};
use crate::time::Instant;
use alloc::collections::BTreeMap;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// The floor waits for a member.
#[derive(Copy, Clone, Debug, Hash, Serialize, Deserialize)]
pub(super) struct Hold {
    /// What is there of the checkpoint and durable behind it.
    progress: (u32, Seq),
    /// When that last changed.
    moved: Instant,
}

/// For whom the floor waits, and for how long.
#[derive(Clone, Debug, Default, Hash, Serialize, Deserialize)]
pub(super) struct Holds {
    members: BTreeMap<NodeId, Hold>,
    /// What may be retained meanwhile, with what its entries cost besides their payloads: one bound
    /// for all of them, or each would raise that of the next.
    bytes_max: u64,
    /// The floor at which each member was waited for last. It is waited for again once the floor
    /// rose, or those that come and go would keep it down for ever.
    floors: BTreeMap<NodeId, Seq>,
}

impl Chain {
    /// A checkpoint of so many bytes is sent to a member: what follows it is kept from now on.
    pub(super) fn hold_for(&mut self, node: NodeId, checkpoint: u32, cx: &StepContext<'_>) {
        let (floor, kept) = (self.log.floor(), self.retained_cost());
        let Some(lead) = &mut self.lead else { return };
        let Some(follower) = lead.followers.get(&node) else {
            return;
        };
        let holds = &mut lead.holds;
        let is_again = holds.floors.get(&node).is_some_and(|last| floor <= *last);
        if is_again || holds.members.contains_key(&node) {
            return;
        }
        if holds.members.is_empty() {
            holds.bytes_max = kept + kept / 2 + 2 * u64::from(checkpoint) + SPARE;
        }
        holds.floors.insert(node, floor);
        holds.members.insert(
            node,
            Hold {
                progress: (0, follower.acked),
                moved: cx.now,
            },
        );
    }

    /// Whether the floor waits for somebody.
    pub(super) fn is_held(&self) -> bool {
        let lead = self.lead.as_ref();
        lead.is_some_and(|lead| !lead.holds.members.is_empty())
    }

    /// How far the floor may rise, which retention wants at `wanted`: to the positions of the
    /// members that it waits for, in steps of a quarter of what is retained, for each step writes
    /// a checkpoint.
    pub(super) fn held_at(&mut self, wanted: Seq, cx: &StepContext<'_>) -> Option<Seq> {
        if !self.is_held() {
            return None;
        }
        let (floor, end, kept) = (self.log.floor(), self.log.end(), self.retained_cost());
        let has_room = self.has_room(cx);
        let (serving, lead) = (&self.serving, self.lead.as_mut()?);
        let (holds, followers) = (&mut lead.holds, &lead.followers);
        if !has_room || kept > holds.bytes_max {
            holds.members.clear();
        }
        let mut lowest = None;
        holds.members.retain(|node, hold| {
            let acked = followers.get(node).map_or(Seq::ZERO, |one| one.acked);
            let progress = (serving.snapshot_held(*node), acked);
            if progress != hold.progress {
                (hold.progress, hold.moved) = (progress, cx.now);
            }
            // In the younger half, and not passed by what is dropped once the floor waits no more,
            // it is not reached by retention again.
            let is_near =
                acked >= floor.max(wanted) && end.distance(acked) * 2 <= end.distance(floor);
            let is_stuck = cx.now.since(hold.moved) > PATIENCE;
            if is_near || is_stuck {
                return false;
            }
            let at = acked.max(floor);
            lowest = Some(lowest.map_or(at, |lowest: Seq| lowest.min(at)));
            true
        });
        let step = end.distance(floor) / 4;
        lowest.map(|at| if at.distance(floor) < step { floor } else { at })
    }

    /// What the retained entries cost in messages.
    fn retained_cost(&self) -> u64 {
        self.log.bytes() + self.log.end().distance(self.log.floor()) * ENTRY_OVERHEAD
    }
}

/// What may be retained for a member in any case: what is appended until its first answer.
const SPARE: u64 = 1 << 20;
/// How long the floor waits for a member that comes no nearer.
const PATIENCE: Duration = Duration::from_secs(60);
