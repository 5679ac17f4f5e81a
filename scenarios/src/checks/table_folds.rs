//! *table-folds*: the request table of a replica is the fold of its checkpoint and its log, whatever
//! was cut, repaired, dropped or replaced since.

use meshos_core::chain::clients::{ClientLimits, Clients};
use meshos_core::chain::entry::Entry;
use meshos_sim::violation::Violation;

/// Id of the property.
pub const ID: &str = "table-folds";

/// `entries` are folded into the table of the checkpoint below them.
///
/// # Errors
/// `table` says something else.
pub fn observe<'a>(
    mut checkpoint: Clients,
    entries: impl Iterator<Item = &'a Entry>,
    table: &Clients,
    limits: ClientLimits,
) -> Result<(), Violation> {
    for entry in entries {
        checkpoint.apply(entry, limits);
    }
    if checkpoint == *table {
        return Ok(());
    }
    let text = format!("a log folds to {checkpoint:?}, and its table is {table:?}");
    Err(Violation::new(ID, text))
}
