//! *instance*: no entry, epoch or vote of one creation of a chain influences another.

use meshos_core::id::Gen;
use meshos_sim::violation::Violation;

/// Id of the property.
pub const ID: &str = "instance";

/// Something of creation `found` is about to count in creation `own`.
///
/// # Errors
/// The two differ.
#[inline]
pub fn observe(own: Gen, found: Gen) -> Result<(), Violation> {
    if own == found {
        return Ok(());
    }
    let text = format!("something of creation {found} counts in creation {own}");
    Err(Violation::new(ID, text))
}
