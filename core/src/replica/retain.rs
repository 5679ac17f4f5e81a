//! Retention: the leader decides the floor, everybody drops below its own commit (D18).

use super::{Chain, Cx};
use crate::chain::order::Checkpoint;
use crate::id::Seq;
use alloc::sync::Arc;

impl Chain {
    /// Raises the floor as far as the policy asks and commit allows. It rises in steps of a
    /// quarter of the bound, so that checkpoints are written seldom.
    pub(super) fn raise_floor(&mut self, cx: &mut Cx<'_>) {
        let Some(lead) = &self.lead else { return };
        let floor = self
            .floor_by_count()
            .max(self.floor_by_size())
            .max(self.floor_by_age(cx));
        let floor = floor.min(self.commit).max(lead.floor);
        if let Some(lead) = &mut self.lead {
            lead.floor = floor;
        }
    }

    fn floor_by_count(&self) -> Seq {
        let Some(max) = self.retention.entries_max else {
            return Seq::ZERO;
        };
        if self.commit.distance(self.log.floor()) <= max {
            return Seq::ZERO;
        }
        Seq::new(self.commit.get().saturating_sub(max - max / 4))
    }

    fn floor_by_size(&self) -> Seq {
        let Some(max) = self.retention.bytes_max else {
            return Seq::ZERO;
        };
        if self.log.bytes() <= max {
            return Seq::ZERO;
        }
        let mut bytes = self.log.bytes();
        let mut floor = self.log.floor();
        while bytes > max - max / 4 && floor < self.commit {
            let Some(entry) = self.log.entry(floor) else {
                break;
            };
            bytes -= u64::from(entry.payload.length());
            floor = floor.next();
        }
        floor
    }

    fn floor_by_age(&self, cx: &Cx<'_>) -> Seq {
        let Some(max) = self.retention.age_max_ms else {
            return Seq::ZERO;
        };
        let oldest = cx.wall.as_ms().saturating_sub(max);
        let mut floor = self.log.floor();
        while floor < self.commit
            && self
                .log
                .entry(floor)
                .is_some_and(|entry| entry.stamp.as_ms() < oldest)
        {
            floor = floor.next();
        }
        floor
    }

    /// The checkpoint that has to become durable before the prefix goes.
    pub(super) fn due_checkpoint(&mut self) -> Option<Arc<Checkpoint>> {
        if let Some(checkpoint) = self.repairing_checkpoint() {
            return Some(checkpoint);
        }
        let decided = self
            .lead
            .as_ref()
            .map_or(self.follow.floor, |lead| lead.floor);
        let floor = decided.min(self.commit).min(self.log.durable().end);
        if floor <= self.log.floor() {
            return None;
        }
        self.log.checkpoint_at(floor).map(Arc::new)
    }
}
