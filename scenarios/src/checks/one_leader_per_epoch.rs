//! *one-leader-per-epoch*: in the whole history of a chain instance an epoch (n, node) is led by
//! its own node only, in one incarnation of it only, and there is at most one node per n.

use meshos_core::id::{Epoch, NodeId, Run};
use meshos_sim::violation::Violation;
use std::collections::VecDeque;

/// Id of the property.
pub const ID: &str = "one-leader-per-epoch";

/// Leaderships that are remembered.
const LEADERS_MAX: usize = 4_096;

/// Who led which epoch of one chain instance.
#[derive(Clone, Debug, Default)]
pub struct Leaders {
    recent: VecDeque<(u64, Run)>,
}

impl Leaders {
    /// The number of the latest epoch that anybody led; zero before there is one.
    pub fn last(&self) -> u64 {
        self.recent.iter().map(|(n, _)| *n).max().unwrap_or(0)
    }

    /// Whether `node` led an epoch of a number above `n`.
    pub fn has_led(&self, n: u64, node: NodeId) -> bool {
        let led = |(later, run): &(u64, Run)| *later > n && run.node == node;
        self.recent.iter().any(led)
    }

    /// `run` leads `epoch`.
    ///
    /// # Errors
    /// The epoch is another node's, or another run led it.
    pub fn observe(&mut self, epoch: Epoch, run: Run) -> Result<(), Violation> {
        if epoch.node != run.node {
            let text = format!("node {} leads epoch {epoch}, which is another's", run.node);
            return Err(Violation::new(ID, text));
        }
        match self.recent.iter().rev().find(|(n, _)| *n == epoch.n) {
            Some((_, first)) if *first == run => Ok(()),
            Some((_, first)) => {
                let text = format!(
                    "epoch {} is led by node {} (incarnation {}) and was led by node {} \
                     (incarnation {})",
                    epoch.n, run.node, run.incarnation, first.node, first.incarnation
                );
                Err(Violation::new(ID, text))
            }
            None => {
                if self.recent.len() == LEADERS_MAX {
                    self.recent.pop_front();
                }
                self.recent.push_back((epoch.n, run));
                Ok(())
            }
        }
    }
}
