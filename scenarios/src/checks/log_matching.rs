//! *log-matching*: equal (seq, epoch) on two nodes means equal payload, equal predecessor and
//! equal chain hash; epochs never go down inside a log, and the first retained entry links to
//! the checkpoint.
//!
//! Every entry is compared when it enters a log, with everything that was ever seen at its
//! position. The hash itself is computed again once per distinct entry, so that "equal hash" is
//! worth something.

use super::truth::{Line, Truth};
use meshos_core::action::Fault;
use meshos_core::chain::entry::{Entry, Tip};
use meshos_sim::violation::Violation;
use std::sync::Arc;

/// Id of the property.
pub const ID: &str = "log-matching";

/// An entry entered a log directly behind `previous`.
///
/// # Errors
/// It is not what stands there elsewhere, or does not link to what is before it here.
#[inline]
pub fn observe(truth: &mut Truth, entry: &Arc<Entry>, previous: Tip) -> Result<(), Violation> {
    if truth.is_known(entry, previous.hash) && entry.seq == previous.end {
        return Ok(());
    }
    compare(truth, entry, previous)
}

#[inline(never)]
fn compare(truth: &mut Truth, entry: &Arc<Entry>, previous: Tip) -> Result<(), Violation> {
    let seq = entry.seq;
    if seq != previous.end {
        return broken(format!("entry {seq} stands at position {}", previous.end));
    }
    if entry.epoch.n < previous.epoch.n {
        let (own, before) = (entry.epoch, previous.epoch);
        return broken(format!(
            "entry {seq} of epoch {own} follows one of epoch {before}"
        ));
    }
    if let Some(known) = truth.of_epoch(seq, entry.epoch.n) {
        if known.entry.hash != entry.hash {
            let (own, other) = (entry.epoch, known.entry.epoch);
            return broken(format!(
                "two entries {seq} of epochs {own} and {other} differ in their hash"
            ));
        }
        if *known.entry != **entry {
            return broken(format!("two entries {seq} of epoch {} differ", entry.epoch));
        }
        if known.previous != previous.hash {
            return broken(format!(
                "entry {seq} of epoch {} stands behind different entries",
                entry.epoch
            ));
        }
        return Ok(());
    }
    if seq < truth.base() {
        return Ok(());
    }
    if !entry.follows(previous.hash) {
        return broken(format!(
            "entry {seq} of epoch {} does not link to the entry before it",
            entry.epoch
        ));
    }
    truth.keep(Line {
        entry: entry.clone(),
        previous: previous.hash,
    });
    Ok(())
}

/// A replica stopped because a leader's entries contradict its own.
///
/// # Errors
/// It did: no fault within the budget leads there.
pub fn stopped(fault: Fault) -> Result<(), Violation> {
    match fault {
        Fault::Contradicted => broken("a leader contradicts what is committed or verified here"),
        Fault::StoreBroken | Fault::VoteLost | Fault::StoreRegressed | Fault::NotMember => Ok(()),
    }
}

#[cold]
#[track_caller]
fn broken(text: impl Into<String>) -> Result<(), Violation> {
    Err(Violation::new(ID, text))
}
