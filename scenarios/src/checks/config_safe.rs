//! *config-safe*: any two configs effective at the same time have intersecting majorities.
//!
//! The members of a chain are founded and never change here, so the check is that they do not.

use meshos_core::chain::entry::Membership;
use meshos_sim::violation::Violation;
use std::sync::Arc;

/// Id of the property.
pub const ID: &str = "config-safe";

/// The members in force at a replica after a change.
///
/// # Errors
/// They are not the founding ones.
#[inline]
pub fn observe(founding: &Arc<Membership>, present: &Arc<Membership>) -> Result<(), Violation> {
    if Arc::ptr_eq(founding, present) || founding == present {
        return Ok(());
    }
    let text = format!("the members are {present:?}, founded were {founding:?}");
    Err(Violation::new(ID, text))
}
