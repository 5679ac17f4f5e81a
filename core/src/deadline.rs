//! The timers of one node: a table keyed by what each is for; only the earliest shows.
//!
//! Two classes. `Expiry` ends an authority or a promise of our own and fires before the event of
//! the same step. `Suspicion` means that something was not heard; it fires after the event, so
//! that what just arrived counts, and one that comes much later than its deadline is armed anew
//! once instead of believed: a node that was not listening has no evidence.

use crate::hash::SummedMap;
use crate::time::Instant;
use alloc::collections::BTreeSet;
use core::hash::{Hash, Hasher};
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// Position of a chain in the node's table.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct ChainIndex(pub(crate) u32);

/// What a timer is for.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Timer {
    /// The oldest waiting client request runs out of time.
    Requests,
    /// A transfer of leadership did not lead to a higher epoch.
    Transfer,
    /// No live leader was seen for one election delay (R2).
    Election,
    /// The process of the leader is gone, and an election need not wait for its silence.
    Early,
    /// A round of votes was not won.
    Round,
    /// What was asked of the leader did not come.
    Pull,
    /// Unknown entries are asked for again.
    Repair,
    /// A batch has been the last one for a while and is to be sealed (D13f).
    Seal,
    /// The bandwidth budget admits the next chunk (D22).
    Budget,
    /// A store that was full may have space again.
    Retry,
    /// The oldest entry may be past the age that retention allows.
    Age,
}

impl Timer {
    /// Whether the timer fires before the event of its step.
    fn is_expiry(self) -> bool {
        match self {
            Self::Requests | Self::Transfer => true,
            Self::Election
            | Self::Early
            | Self::Round
            | Self::Pull
            | Self::Repair
            | Self::Seal
            | Self::Budget
            | Self::Retry
            | Self::Age => false,
        }
    }
}

/// Which class is asked for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum TimerClass {
    Expiry,
    Suspicion,
}

type Key = (ChainIndex, Timer);

/// Every armed timer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Deadlines {
    by_key: SummedMap<Key, Instant>,
    expiries: Queue,
    suspicions: Queue,
}

/// The armed timers of one class in the order in which they fire.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Queue {
    armed: BTreeSet<(Instant, ChainIndex, Timer)>,
    /// When the first one fires: every step asks for it, few change it.
    first: Option<Instant>,
}

impl Queue {
    fn insert(&mut self, at: Instant, (chain, kind): Key) {
        self.armed.insert((at, chain, kind));
        if self.first.is_none_or(|first| at < first) {
            self.first = Some(at);
        }
    }

    fn remove(&mut self, at: Instant, (chain, kind): Key) {
        self.armed.remove(&(at, chain, kind));
        if self.first == Some(at) {
            self.find_first();
        }
    }

    fn pop_due(&mut self, now: Instant) -> Option<(Instant, ChainIndex, Timer)> {
        if self.first? > now {
            return None;
        }
        let popped = self.armed.pop_first();
        self.find_first();
        popped
    }

    fn find_first(&mut self) {
        self.first = self.armed.first().map(|&(at, ..)| at);
    }
}

impl Hash for Deadlines {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The ordered sets hold the same timers.
        self.by_key.hash(state);
    }
}

impl Deadlines {
    /// Arms a timer, in the place of one with the same key.
    pub(crate) fn arm(&mut self, chain: ChainIndex, kind: Timer, at: Instant) {
        if let Some(old) = self.by_key.insert((chain, kind), at) {
            if old == at {
                return;
            }
            self.class_mut(kind).remove(old, (chain, kind));
        }
        self.class_mut(kind).insert(at, (chain, kind));
    }

    /// Arms a timer for `at` or earlier, never later than it already is.
    pub(crate) fn arm_by(&mut self, chain: ChainIndex, kind: Timer, at: Instant) {
        if self.armed(chain, kind).is_none_or(|old| at < old) {
            self.arm(chain, kind, at);
        }
    }

    /// Disarms a timer.
    pub(crate) fn disarm(&mut self, chain: ChainIndex, kind: Timer) {
        if let Some(old) = self.by_key.remove(&(chain, kind)) {
            self.class_mut(kind).remove(old, (chain, kind));
        }
    }

    /// When a timer fires, if it is armed.
    pub(crate) fn armed(&self, chain: ChainIndex, kind: Timer) -> Option<Instant> {
        self.by_key.get(&(chain, kind)).copied()
    }

    /// The earliest timer.
    pub(crate) fn earliest(&self) -> Option<Instant> {
        let firsts = [self.expiries.first, self.suspicions.first];
        firsts.into_iter().flatten().min()
    }

    /// Takes the earliest timer of `class` that is due, with how late it is.
    pub(crate) fn pop(
        &mut self,
        class: TimerClass,
        now: Instant,
    ) -> Option<(ChainIndex, Timer, Duration)> {
        let queue = match class {
            TimerClass::Expiry => &mut self.expiries,
            TimerClass::Suspicion => &mut self.suspicions,
        };
        let (at, chain, kind) = queue.pop_due(now)?;
        self.by_key.remove(&(chain, kind));
        Some((chain, kind, now.since(at)))
    }

    fn class_mut(&mut self, kind: Timer) -> &mut Queue {
        if kind.is_expiry() {
            &mut self.expiries
        } else {
            &mut self.suspicions
        }
    }
}
