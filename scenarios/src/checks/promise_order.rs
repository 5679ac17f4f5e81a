//! *promise-order*: no acknowledgement, vote or confirm of an epoch leaves a node whose issued
//! epoch is greater, and no grant or binding vote request leaves before its record is durable.

use super::replica_state::ReplicaState;
use meshos_core::id::NodeId;
use meshos_sim::violation::Violation;

/// Id of the property.
pub const ID: &str = "promise-order";

/// Something that leaves a node and binds it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// A pull, which acknowledges.
    Acknowledged,
    /// A confirm to a leader.
    Confirmed,
    /// A vote for this candidate: granted, or asked for by the candidate itself.
    Voted(NodeId),
}

/// `said` leaves in the epoch with number `n`; `present` is the replica after the step.
///
/// # Errors
/// The replica is promised to another epoch, or the promise is not durable.
#[inline]
pub fn observe(said: Said, n: u64, present: &ReplicaState) -> Result<(), Violation> {
    let durable = present.promised;
    let is_durable = durable.epoch.n == n
        && match said {
            Said::Acknowledged | Said::Confirmed => true,
            Said::Voted(candidate) => durable.granted == Some(candidate),
        };
    if present.epoch.n == n && is_durable {
        return Ok(());
    }
    broken(said, n, present)
}

#[cold]
#[track_caller]
fn broken(said: Said, n: u64, present: &ReplicaState) -> Result<(), Violation> {
    let ReplicaState {
        epoch, promised, ..
    } = present;
    let text = format!(
        "{said:?} of epoch {n} leaves in epoch {epoch}, while epoch {} for {:?} is durable",
        promised.epoch, promised.granted
    );
    Err(Violation::new(ID, text))
}
