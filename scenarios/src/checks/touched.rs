//! *touched*: a step changes no replica but those that the node names after it.
//!
//! The other checks compare the named replicas only, so a step costs as much as it touches. The
//! node's word alone does not do: with every step one replica more is compared, in turn, so that
//! a node of n chains is compared whole within n steps, and a node of one chain with every step.

use super::replica_state::ReplicaState;
use meshos_core::replica::Chain;
use meshos_sim::violation::Violation;

/// Id of the property.
pub const ID: &str = "touched";

/// A replica is looked at that was last seen as `seen`, after every step that named it.
///
/// # Errors
/// It is another one.
#[inline]
pub fn observe(seen: &ReplicaState, replica: &Chain) -> Result<(), Violation> {
    if seen.is_of(replica) {
        return Ok(());
    }
    broken(seen, replica)
}

#[cold]
#[track_caller]
fn broken(seen: &ReplicaState, replica: &Chain) -> Result<(), Violation> {
    let text = format!(
        "chain {} changed in a step that did not name it, from {seen:?} to {:?}",
        replica.id(),
        ReplicaState::of(replica)
    );
    Err(Violation::new(ID, text))
}
