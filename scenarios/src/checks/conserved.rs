//! *conserved*: every ticket is answered at most once, and exactly once by a node that lives on;
//! every operation on a store is answered once.

use crate::history::Invocation;
use meshos_sim::violation::Violation;

/// Id of the property.
pub const ID: &str = "conserved";

/// A node answers `ticket`; `waiting` is the attempt that waits for it there.
///
/// # Errors
/// None does: it was answered before, or never asked of this run.
pub fn answered(ticket: u64, waiting: Option<Invocation>) -> Result<Invocation, Violation> {
    waiting.ok_or_else(|| {
        let text = format!("ticket {ticket} is answered though nobody waits for it");
        Violation::new(ID, text)
    })
}

/// A node takes in `ticket` while another attempt waits under it.
///
/// # Errors
/// The workload used a ticket twice at once.
pub fn begun(ticket: u64, waiting: Option<Invocation>) -> Result<(), Violation> {
    match waiting {
        None => Ok(()),
        Some(attempt) => {
            let text = format!("ticket {ticket} is asked again while {attempt:?} waits");
            Err(Violation::new(ID, text))
        }
    }
}

/// A node counted `completions` of operations that it never ordered.
///
/// # Errors
/// There were some.
pub fn completions(completions: u64) -> Result<(), Violation> {
    if completions == 0 {
        return Ok(());
    }
    let text = format!("{completions} completions belong to no operation");
    Err(Violation::new(ID, text))
}

/// Nanoseconds that a request may wait at a node that lives on, given the time-out of requests:
/// the answer of a forwarder comes with it, and nothing waits for two.
pub const fn patience(request_ms: u64) -> u64 {
    (2 * request_ms + 2_000) * 1_000_000
}

/// Whether an attempt has waited too long at a node that lives on.
pub const fn is_overdue(waited: u64, request_ms: u64) -> bool {
    waited > patience(request_ms)
}
