//! What a leader keeps for a member that starts anew from a checkpoint (D18).
//!
//! A checkpoint takes its time on the way, and retention goes on meanwhile: the entries behind the
//! one that was sent would be gone when it is there, and the next one would take as long. So from
//! when a checkpoint is sent the floor waits for the member, as long as it comes nearer and there
//! is room.

use super::log::ENTRY_OVERHEAD;
use super::{Chain, StepContext};
use crate::id::{NodeId, Seq};
use crate::time::Instant;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// The floor waits for a member.
#[derive(Copy, Clone, Debug, Hash, Serialize, Deserialize)]
pub(super) struct Hold {
    /// What may be retained meanwhile, with what its entries cost besides their payloads.
    bytes_max: u64,
    /// What is there of the checkpoint and durable behind it.
    progress: (u32, Seq),
    /// When that last changed.
    moved: Instant,
}

impl Chain {
    /// A checkpoint of so many bytes is sent to a member: what follows it is kept from now on.
    pub(super) fn hold_for(&mut self, node: NodeId, checkpoint: u32, cx: &StepContext<'_>) {
        let kept = self.retained_cost();
        let follower = self
            .lead
            .as_mut()
            .and_then(|lead| lead.followers.get_mut(&node));
        if let Some(follower) = follower {
            follower.hold.get_or_insert(Hold {
                bytes_max: kept + kept / 2 + 2 * u64::from(checkpoint) + SPARE,
                progress: (0, follower.acked),
                moved: cx.now,
            });
        }
    }

    /// Whether the floor waits for somebody.
    pub(super) fn is_held(&self) -> bool {
        let lead = self.lead.as_ref();
        lead.is_some_and(|lead| lead.followers.values().any(|one| one.hold.is_some()))
    }

    /// How far the floor may rise: to the positions of the members that it waits for, in steps of
    /// a quarter of what is retained, for each step writes a checkpoint.
    pub(super) fn held_at(&mut self, cx: &StepContext<'_>) -> Option<Seq> {
        if !self.is_held() {
            return None;
        }
        let (floor, end, kept) = (self.log.floor(), self.log.end(), self.retained_cost());
        let is_full = self.writer.is_full() || self.is_full_anywhere(cx);
        let (serving, lead) = (&self.serving, self.lead.as_mut()?);
        let mut lowest = None;
        for (node, follower) in &mut lead.followers {
            let Some(mut hold) = follower.hold.take() else {
                continue;
            };
            let acked = follower.acked;
            let progress = (serving.snapshot_held(*node), acked);
            if progress != hold.progress {
                (hold.progress, hold.moved) = (progress, cx.now);
            }
            // Once it is in the younger half retention does not reach it any more.
            let is_near = acked >= floor && end.distance(acked) * 2 <= end.distance(floor);
            let is_stuck = cx.now.since(hold.moved) > PATIENCE;
            if is_near || is_stuck || is_full || kept > hold.bytes_max {
                continue;
            }
            follower.hold = Some(hold);
            let at = acked.max(floor);
            lowest = Some(lowest.map_or(at, |lowest: Seq| lowest.min(at)));
        }
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
