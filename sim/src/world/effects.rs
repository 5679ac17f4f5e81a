//! What the faults of a run did: a fault that changed nothing is worth telling, because whoever
//! wrote it meant something.

use crate::fault::Fault;
use crate::time::Instant;
use core::fmt;

/// Faults without effect that are listed at most; later ones are counted only.
const LISTED_MAX: usize = 1_000;

/// What a fault did when it was applied.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing is other than before.
    None,
    /// Something is.
    Now,
    /// It lies in wait for something that may never come.
    ToCome,
}

impl Effect {
    pub(super) const fn of(changed: bool) -> Self {
        if changed { Self::Now } else { Self::None }
    }
}

/// A fault, and when it was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// True time.
    pub at: Instant,
    /// The fault.
    pub fault: Fault,
}

impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}: {:?}", self.fault.kind(), self.at, self.fault)
    }
}

/// All faults of a run so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Effects {
    applied: u64,
    inert: u64,
    listed: Vec<Applied>,
    /// Those that lie in wait.
    awaiting: Vec<Applied>,
}

impl Effects {
    pub(super) fn count(&mut self, at: Instant, fault: &Fault, effect: Effect) {
        self.applied += 1;
        let applied = || Applied {
            at,
            fault: fault.clone(),
        };
        match effect {
            Effect::Now => {}
            Effect::None => self.tell(applied()),
            Effect::ToCome => {
                self.awaiting.push(applied());
                if self.awaiting.len() > LISTED_MAX {
                    let oldest = self.awaiting.remove(0);
                    self.tell(oldest);
                }
            }
        }
    }

    fn tell(&mut self, applied: Applied) {
        self.inert += 1;
        if self.listed.len() < LISTED_MAX {
            self.listed.push(applied);
        }
    }

    /// What the newest fault that `is_it` knows lay in wait for has come.
    pub(super) fn came(&mut self, is_it: impl Fn(&Fault) -> bool) {
        let place = self.awaiting.iter().rposition(|known| is_it(&known.fault));
        if let Some(place) = place {
            self.awaiting.remove(place);
        }
    }

    pub(super) const fn applied(&self) -> u64 {
        self.applied
    }

    /// How many had no effect, and the first of them by time; `came` says of one that lies in
    /// wait that its time came unnoticed.
    pub(super) fn inert(&self, came: impl Fn(&Fault) -> bool) -> (u64, Vec<Applied>) {
        let waiting = self.awaiting.iter().filter(|known| !came(&known.fault));
        let mut listed = self.listed.clone();
        listed.extend(waiting.cloned());
        let unlisted = self.inert - self.listed.len() as u64;
        let count = listed.len() as u64 + unlisted;
        listed.sort_by_key(|known| known.at);
        listed.truncate(LISTED_MAX);
        (count, listed)
    }
}
