//! What a leader keeps for a member that starts anew from a checkpoint: the floor waits for it
//! (`docs/decisions/retention.md`).
//!
//! A checkpoint takes its time on the way, and retention goes on meanwhile: the entries behind the
//! one that was sent would be gone when it is there, and the next one would take as long. So from
//! when a checkpoint is sent the floor waits for the member, as long as it comes nearer and there
//! is room; and from the first moment of a leadership for those that the leader before may have
//! waited for.

use super::log::{ENTRY_OVERHEAD, Log};
use super::{Chain, StepContext};
use crate::id::{NodeId, Seq};
use crate::time::Instant;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// The floor waits for a member.
#[derive(Copy, Clone, Debug, Hash, Serialize, Deserialize)]
pub(super) struct Hold {
    /// The most that was durable there, and was there of the checkpoint meanwhile.
    best: (Seq, u32),
    /// When it got that far.
    since: Instant,
}

/// For whom the floor waits, and for how long.
#[derive(Clone, Debug, Default, Hash, Serialize, Deserialize)]
pub(super) struct Holds {
    members: BTreeMap<NodeId, Hold>,
    /// The floor at which each member was waited for last. It is waited for again once the floor
    /// rose, or those that come and go would keep it down for ever.
    floors: BTreeMap<NodeId, Seq>,
}

impl Chain {
    /// A checkpoint is sent to a member: what follows it is kept from now on.
    pub(super) fn hold_for(&mut self, node: NodeId, cx: &StepContext<'_>) {
        let floor = self.log.floor();
        let Some(lead) = &mut self.lead else { return };
        let Some(follower) = lead.followers.get(&node) else {
            return;
        };
        let holds = &mut lead.holds;
        let is_again = holds.floors.get(&node).is_some_and(|last| floor <= *last);
        if is_again || holds.members.contains_key(&node) {
            return;
        }
        holds.floors.insert(node, floor);
        holds.members.insert(
            node,
            Hold {
                best: (follower.acked, 0),
                since: cx.now,
            },
        );
    }

    /// This replica leads from now on. Whoever says that it is below the younger half of the log may
    /// have been waited for until now, and will ask for what it lacks of a checkpoint or behind it.
    pub(super) fn hold_for_laggards(&mut self, cx: &StepContext<'_>) {
        for member in self.peers() {
            let row = cx.liveness.row(member.node, self.id, self.generation);
            let said = row.and_then(|row| row.state).map(|said| said.commit);
            if said.is_some_and(|commit| !is_in_younger_half(&self.log, commit))
                && !cx.liveness.is_suspected(member.node)
            {
                self.hold_for(member.node, cx);
            }
        }
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
        let has_room = self.has_room(cx) && self.retained_cost() <= self.cost_max(wanted);
        let lead = self.lead.as_ref()?;
        let waiting = lead.holds.members.keys().copied();
        let full: Vec<_> = waiting.filter(|node| self.is_full_at(*node, cx)).collect();
        let (log, serving, lead) = (&self.log, &self.serving, self.lead.as_mut()?);
        let (holds, followers) = (&mut lead.holds, &lead.followers);
        if !has_room {
            holds.members.clear();
        }
        let mut lowest = None;
        holds.members.retain(|node, hold| {
            let acked = followers.get(node).map_or(Seq::ZERO, |one| one.acked);
            // Less than before is no progress: who begins anew may do so again and again.
            let now = (acked, serving.snapshot_held(*node));
            if now > hold.best {
                (hold.best, hold.since) = (now, cx.now);
            }
            // It is not passed by what is dropped once the floor waits no more.
            let is_near = acked >= wanted && is_in_younger_half(log, acked);
            let is_stuck = cx.now.since(hold.since) > PATIENCE;
            // A full store may wait for the room that the next checkpoint makes.
            if is_near || is_stuck || full.contains(node) {
                return false;
            }
            let at = acked.max(log.floor());
            lowest = Some(lowest.map_or(at, |lowest: Seq| lowest.min(at)));
            true
        });
        let (floor, end) = (log.floor(), log.end());
        let step = end.distance(floor) / 4;
        lowest.map(|at| if at.distance(floor) < step { floor } else { at })
    }

    /// What the retained entries may cost while the floor waits, which retention wants at `wanted`:
    /// one bound for all members, or each would raise that of the next, and the same one for the
    /// next leader.
    fn cost_max(&self, wanted: Seq) -> u64 {
        let (floor, end) = (self.log.floor(), self.log.end());
        // As far as the entries that it would leave are as large as the others.
        let left = u128::from(end.distance(floor.max(wanted)));
        let all = u128::from(end.distance(floor).max(1));
        let cost = u128::from(self.retained_cost()) * left / all;
        let cost = u64::try_from(cost).unwrap_or(u64::MAX);
        let twice = cost.saturating_add(self.log.checkpoint_bytes());
        twice.saturating_mul(2).saturating_add(SPARE)
    }

    /// What the retained entries cost in messages.
    fn retained_cost(&self) -> u64 {
        self.log.bytes() + self.log.end().distance(self.log.floor()) * ENTRY_OVERHEAD
    }
}

/// Whether retention does not reach a member soon that has so much.
fn is_in_younger_half(log: &Log, held: Seq) -> bool {
    let (floor, end) = (log.floor(), log.end());
    held >= floor && end.distance(held) * 2 <= end.distance(floor)
}

/// What may be retained for a member in any case: what is appended until its first answer.
const SPARE: u64 = 1 << 20;
/// How long the floor waits for a member that comes no nearer.
const PATIENCE: Duration = Duration::from_secs(60);
