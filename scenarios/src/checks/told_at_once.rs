//! *told-at-once*: whoever changes its role or its epoch says so to every other voter in the same
//! step, and does not wait for the next heartbeat: elections and claims would take that long. So does
//! whoever has a way to a peer anew, for that one may have missed several.

use meshos_core::id::NodeId;
use meshos_core::replica::role::Role;
use meshos_sim::violation::Violation;

/// Id of the property.
pub const ID: &str = "told-at-once";

/// A role in the epoch of a number.
pub type Standing = (Role, u64);

/// A replica has turned to `now`, and `told` is what leaves for a voter in that step.
///
/// # Errors
/// It is nothing, or something else.
pub fn observe(now: Standing, voter: NodeId, told: Option<Standing>) -> Result<(), Violation> {
    if told == Some(now) {
        return Ok(());
    }
    let (role, n) = now;
    let text = format!("a replica turns {role:?} in epoch {n} and tells node {voter} {told:?}");
    Err(Violation::new(ID, text))
}

/// The way to `peer` is there anew, and `is_greeted` is whether a heartbeat leaves for it in that step.
///
/// # Errors
/// None does.
pub fn greeting(peer: NodeId, is_greeted: bool) -> Result<(), Violation> {
    match is_greeted {
        true => Ok(()),
        false => {
            let text = format!("node {peer} can be reached again, and is sent no heartbeat");
            Err(Violation::new(ID, text))
        }
    }
}
