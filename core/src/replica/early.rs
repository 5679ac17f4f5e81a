//! One early attempt to be elected, when the process of the leader is known to be gone.
//!
//! It stands beside the ordinary election timer, which it does not move, and asks for votes by
//! the same predicate, so it adds no way to be elected. The voters that notice the same loss draw
//! apart, and whoever has just granted a query holds its own attempts back: two that overlap would
//! each keep the other from a majority.

use super::role::Role;
use super::{Chain, StepContext};
use crate::count::Count;
use crate::deadline::Timer;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// The early attempt at one epoch's end.
#[derive(Copy, Clone, Debug, Hash, Serialize, Deserialize)]
pub(super) struct Early {
    /// Number of the epoch whose leader is gone.
    n: u64,
    /// Whether the one repetition after a refusal is still open.
    may_repeat: bool,
}

impl Chain {
    /// The process of the leader is gone.
    pub(crate) fn on_leader_gone(&mut self, cx: &mut StepContext<'_>) {
        let had = self.early.is_some_and(|early| early.n >= self.epoch.n);
        if had || self.role != Role::Replica {
            return;
        }
        self.early = Some(Early {
            n: self.epoch.n,
            may_repeat: true,
        });
        let heartbeat = cx.config.heartbeat();
        let delay = cx.rng.span(Duration::ZERO, heartbeat);
        cx.deadlines
            .arm(self.index, Timer::Early, cx.now.after(delay));
    }

    /// The early attempt is due, unless the election it is meant for went on without it.
    pub(crate) fn on_early_due(&mut self, cx: &mut StepContext<'_>) {
        let Some(early) = self.early else { return };
        if !cx.admits_candidate() {
            let at = cx.now.after(cx.candidate_pause());
            return cx.deadlines.arm(self.index, Timer::Early, at);
        }
        let others = self.voted.filter(|&voted| voted != self.me.node);
        let is_given = early.n < self.epoch.n && others.is_some();
        if !is_given && self.may_seek(cx) {
            cx.count(Count::EarlyElection);
            self.campaign_early(cx);
        }
    }

    /// An early attempt is refused by so many that it cannot succeed: others may not have noticed
    /// yet, or two of them overlap, so it is made once more.
    pub(super) fn on_early_refused(&mut self, cx: &mut StepContext<'_>) {
        self.on_round_due(cx);
        let Some(early) = self.early.as_mut().filter(|early| early.may_repeat) else {
            return;
        };
        early.may_repeat = false;
        let heartbeat = cx.config.heartbeat();
        let delay = cx.rng.span(heartbeat / 8, heartbeat * 3 / 8);
        cx.deadlines
            .arm(self.index, Timer::Early, cx.now.after(delay));
    }
}
