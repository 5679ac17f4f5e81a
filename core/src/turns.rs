//! Whose turn it is to send bulk.
//!
//! Every follower of every chain that wants entries or parts of a checkpoint waits in one place,
//! and of those that may be served, the one that was served longest ago is next. So nobody starves
//! within a class, whichever chain or follower happens to be looked at first; between the classes
//! the bandwidth budget decides. Who waits for a full window holds up nobody but those who wait
//! for the same peer. It upholds *fair*.

use crate::bandwidth::Class;
use crate::deadline::ChainIndex;
use crate::id::NodeId;
use crate::time::Instant;
use alloc::collections::{BTreeMap, BTreeSet};
use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// Who wants to send bulk.
#[derive(Clone, Debug, Default, Hash, Serialize, Deserialize)]
pub(crate) struct Turns {
    /// By class and peer, the one served longest ago first.
    waiting: BTreeMap<(Class, NodeId), BTreeSet<(u64, ChainIndex)>>,
    /// Turns so far.
    served: u64,
    /// When the budget has to be asked again for a class, by its discriminant.
    retry: [Option<Instant>; 3],
}

/// What one follower of a chain has to do with turns.
#[derive(Copy, Clone, Debug, Default, Hash, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The number of its last turn.
    served: u64,
    waits: bool,
}

impl Place {
    /// Whether it waits for its turn.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waits
    }
}

/// How a turn ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// One message left.
    Sent,
    /// There was nothing to send.
    Nothing,
    /// The window of the peer is full.
    NoRoom,
    /// The budget admits it then.
    Later(Instant),
}

/// One round of turns: who cannot be served in it.
#[derive(Debug, Default)]
pub(crate) struct Pass {
    full: BTreeSet<(Class, NodeId)>,
}

impl Turns {
    /// Whether nobody wants to send.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Says whether a follower of a chain wants to be served.
    pub(crate) fn want(
        &mut self,
        wants: bool,
        place: &mut Place,
        (class, peer, chain): (Class, NodeId, ChainIndex),
    ) {
        if wants == place.waits {
            return;
        }
        place.waits = wants;
        let queue = self.waiting.entry((class, peer)).or_default();
        if wants {
            queue.insert((place.served, chain));
        } else {
            queue.remove(&(place.served, chain));
        }
        if queue.is_empty() {
            self.waiting.remove(&(class, peer));
        }
    }

    /// Gives a follower that was served its number; it has to say again what it wants.
    pub(crate) fn end(&mut self, place: &mut Place, who: (Class, NodeId, ChainIndex)) {
        self.want(false, place, who);
        self.served += 1;
        place.served = self.served;
    }

    /// Who is next.
    pub(crate) fn next(&self, pass: &Pass, now: Instant) -> Option<(Class, NodeId, ChainIndex)> {
        let may = |class: Class| self.retry[class as usize].is_none_or(|at| at <= now);
        let queues = self.waiting.iter();
        let open = queues.filter(|(who, _)| may(who.0) && !pass.full.contains(who));
        let first = open.filter_map(|(&(class, peer), queue)| {
            let &(served, chain) = queue.first()?;
            Some((rank(class), served, chain, peer, class))
        });
        let (.., chain, peer, class) = first.min()?;
        Some((class, peer, chain))
    }

    /// Notes how a turn ended, for the rest of the round.
    pub(crate) fn note(&mut self, pass: &mut Pass, (class, peer): (Class, NodeId), turn: Turn) {
        self.retry[class as usize] = None;
        match turn {
            Turn::Sent | Turn::Nothing => {}
            Turn::NoRoom => {
                pass.full.insert((class, peer));
            }
            Turn::Later(at) => self.retry[class as usize] = Some(at),
        }
    }
}

/// Realtime goes first, background last.
const fn rank(class: Class) -> u8 {
    match class {
        Class::Realtime => 0,
        Class::Foreground => 1,
        Class::Background => 2,
    }
}
