//! *transfer-needed*: a leader whose commit moves does not hand over as one without progress, and
//! none hands back to a node that handed over because it stops.

use meshos_core::id::NodeId;
use meshos_sim::time::Instant;
use meshos_sim::violation::Violation;
use std::collections::BTreeMap;
use std::time::Duration;

/// Id of the property.
pub const ID: &str = "transfer-needed";

/// What one leader did lately.
#[derive(Copy, Clone, Debug, Default)]
pub struct Leading {
    /// When its commit moved last.
    moved: Option<Instant>,
    /// Since when its store has stored nothing of what it leads.
    stored: Option<Instant>,
    /// The epoch in which it told whom to take over last.
    told: Option<(u64, NodeId)>,
}

impl Leading {
    /// Its commit moves.
    pub fn commit(&mut self, at: Instant) {
        self.moved = Some(at);
    }

    /// It begins to lead, or its store has stored more.
    pub fn store(&mut self, at: Instant) {
        self.stored = Some(at);
    }

    /// Since when its store has stored nothing, if it leads.
    pub fn stored(&self) -> Option<Instant> {
        self.stored
    }

    /// In epoch `n` it tells `target` to take over, for want of progress; the word is repeated.
    ///
    /// # Errors
    /// Its commit moved within `window`, a quarter of the time that it has to wait.
    pub fn hand_over(
        &mut self,
        (n, target): (u64, NodeId),
        at: Instant,
        window: Duration,
    ) -> Result<(), Violation> {
        if self.told.replace((n, target)) == Some((n, target)) {
            return Ok(());
        }
        match self.moved.filter(|moved| at.since(*moved) < window) {
            Some(moved) => {
                let text = format!(
                    "a leader in epoch {n} hands over to node {target} as if nothing were \
                     committed, and its commit moved at {moved}"
                );
                Err(Violation::new(ID, text))
            }
            None => Ok(()),
        }
    }
}

/// A leader in epoch `n` tells `target` to take over, which has not run for long.
///
/// # Errors
/// Always: nobody waits for a target that is gone.
pub fn gone(n: u64, target: NodeId) -> Result<(), Violation> {
    let text = format!(
        "a leader in epoch {n} goes on to hand over to node {target}, which has been gone for \
         {MISSED} heartbeats"
    );
    Err(Violation::new(ID, text))
}

/// For how many heartbeats a target may be silent: three until it is suspected, one until its leader
/// looks, and as late as clocks and deadlines may be.
pub const MISSED: u128 = 6;

#[derive(Copy, Clone, Debug)]
struct Leaver {
    node: NodeId,
    /// Number of the epoch that it led.
    n: u64,
    at: Instant,
}

/// What of a cluster matters where leadership is handed over.
#[derive(Copy, Clone, Debug)]
pub struct Facts {
    /// When.
    pub at: Instant,
    /// The pause between two transfers to a pinned voter, after which it may get it back.
    pub pause: Duration,
    /// Whether the leader is about to stop.
    pub leader_stops: bool,
    /// Whether the target is.
    pub target_stops: bool,
    /// Whether there is another target.
    pub has_other: bool,
}

/// Who handed a chain over because its node is about to stop.
#[derive(Clone, Debug, Default)]
pub struct Left {
    /// By whom it told to take over.
    by_target: BTreeMap<NodeId, Leaver>,
}

impl Left {
    /// In epoch `n` its leader `from` tells `target` to take over.
    ///
    /// # Errors
    /// That is who told `from` to take over less than a pause ago, it is about to stop, and there
    /// is another target.
    pub fn tell(
        &mut self,
        n: u64,
        (from, target): (NodeId, NodeId),
        facts: Facts,
    ) -> Result<(), Violation> {
        let is_back = self.by_target.get(&from).is_some_and(|leaver| {
            leaver.n < n && leaver.node == target && facts.at.since(leaver.at) < facts.pause
        });
        if is_back && facts.target_stops && facts.has_other {
            let text = format!(
                "node {from}, leader of epoch {n}, hands back to node {target}, which handed over \
                 to it because it is about to stop"
            );
            return Err(Violation::new(ID, text));
        }
        if facts.leader_stops {
            let (node, at) = (from, facts.at);
            self.by_target.insert(target, Leaver { node, n, at });
        }
        Ok(())
    }
}
