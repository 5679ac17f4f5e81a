//! What this replica says of itself to its peers.

use super::role::Role;
use super::{Chain, StepContext};
use crate::id::{Epoch, NodeId};
use crate::message::RowState;
use alloc::vec::Vec;

impl Chain {
    pub(super) fn row(&self) -> Option<RowState> {
        if self.fault.is_some() {
            return None;
        }
        let durable = if self.is_resetting() {
            None
        } else {
            Some(self.log.durable().end)
        };
        Some(RowState {
            epoch: self.epoch,
            role: self.role,
            distance: if self.role == Role::Leader {
                Some(0)
            } else {
                None
            },
            durable,
            commit: self.commit,
            floor: self
                .lead
                .as_ref()
                .map_or(self.log.floor(), |lead| lead.floor),
            is_full: self.writer.is_full(),
        })
    }

    /// Tells the peers at once what they have to know at once; the rest waits for the heartbeat.
    pub(super) fn publish(&mut self, cx: &mut StepContext<'_>) {
        let row = self.row();
        let told = self.published.as_ref().map(urgent_part);
        // What an earlier row said is durable may not be said again once it is not.
        let went_back =
            row.and_then(|row| row.durable) < self.published.and_then(|row| row.durable);
        if went_back || row.as_ref().map(urgent_part) != told {
            self.publish_row(cx);
        } else if row != self.published && !self.is_stale {
            self.is_stale = true;
            cx.stale.push(self.index);
        }
    }

    /// Tells the peers the row as it is now.
    pub(crate) fn publish_row(&mut self, cx: &mut StepContext<'_>) {
        self.is_stale = false;
        self.published = self.row();
        let audience: Vec<NodeId> = self.peers().iter().map(|member| member.node).collect();
        let row = self.published;
        cx.liveness
            .publish(self.id, self.generation, self.me.replica, row, &audience);
    }
}

fn urgent_part(row: &RowState) -> (Role, Epoch, Option<u8>) {
    (row.role, row.epoch, row.distance)
}
