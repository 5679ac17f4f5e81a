//! *transfer-needed*: a leader whose commit moves does not hand over as one without progress.

use meshos_core::id::NodeId;
use meshos_sim::time::Instant;
use meshos_sim::violation::Violation;
use std::time::Duration;

/// Id of the property.
pub const ID: &str = "transfer-needed";

/// What one leader did lately.
#[derive(Copy, Clone, Debug, Default)]
pub struct Leading {
    /// When its commit moved last.
    moved: Option<Instant>,
    /// The epoch in which it told whom to take over last.
    told: Option<(u64, NodeId)>,
}

impl Leading {
    /// Its commit moves.
    pub fn commit(&mut self, at: Instant) {
        self.moved = Some(at);
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
