//! For how long a follower has lacked what is committed, for whoever operates the node.
//!
//! It decides nothing: who may lead and what may be dropped follow from positions alone.

use super::Chain;
use crate::id::Seq;
use crate::time::Instant;
use serde::{Deserialize, Serialize};

/// What was committed when a follower was last seen to begin to lack it.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub(super) struct Behind {
    /// End of what it lacked then.
    end: Seq,
    since: Instant,
}

impl Behind {
    /// Of a follower of which nothing is known yet.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            end: Seq::ZERO,
            since: now,
        }
    }

    /// The follower has what is before `acked`, and what is before `commit` is committed.
    pub(super) fn look(&mut self, acked: Seq, commit: Seq, now: Instant) {
        if acked >= self.end {
            self.end = commit;
            self.since = now;
        }
    }

    /// Since when it has lacked something that is committed at least; `None` if it lacks nothing.
    pub(super) fn since(&self, acked: Seq, commit: Seq) -> Option<Instant> {
        (acked < commit).then_some(self.since)
    }
}

impl Chain {
    /// Looks at all followers after the commit rose.
    pub(super) fn watch_followers(&mut self, now: Instant) {
        let commit = self.commit;
        for follower in self
            .lead
            .iter_mut()
            .flat_map(|lead| lead.followers.values_mut())
        {
            follower.behind.look(follower.acked, commit, now);
        }
    }
}
