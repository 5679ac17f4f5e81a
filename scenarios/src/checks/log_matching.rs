//! *log-matching*: equal (seq, epoch) on two nodes means equal payload, equal predecessor and
//! equal chain hash; epochs never go down inside a log, and the first retained entry links to
//! the checkpoint.
//!
//! Every entry is compared when it enters a log, with everything that was ever seen at its
//! position. The hashes of an entry and of its payload are computed again once per distinct entry,
//! from the bytes and without the core, so that "equal hash" is worth something.

use super::truth::{Line, Truth};
use meshos_core::action::StopReason;
use meshos_core::chain::entry::{Entry, EntryHash, EntryKind, LogPosition};
use meshos_sim::violation::Violation;
use std::sync::Arc;

/// Id of the property.
pub const ID: &str = "log-matching";

/// An entry entered a log directly behind `previous`.
///
/// # Errors
/// It is not what stands there elsewhere, or does not link to what is before it here.
#[inline]
pub fn observe(
    truth: &mut Truth,
    entry: &Arc<Entry>,
    previous: LogPosition,
) -> Result<(), Violation> {
    if truth.is_known(entry, previous.hash) && entry.seq == previous.end {
        return Ok(());
    }
    compare(truth, entry, previous)
}

#[inline(never)]
fn compare(truth: &mut Truth, entry: &Arc<Entry>, previous: LogPosition) -> Result<(), Violation> {
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
    if let Some(bytes) = entry.payload.bytes()
        && (entry.payload.hash().0 != leading(&blake3::hash(bytes))
            || entry.payload.length() as usize != bytes.len())
    {
        return broken(format!(
            "the payload of entry {seq} is not what its hash says"
        ));
    }
    if entry.hash.0 != link(entry, previous.hash) {
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

/// The hash that links an entry behind one of hash `previous`, by the store format and not by what
/// the core makes of it.
pub fn link(entry: &Entry, previous: EntryHash) -> u128 {
    let mut bytes = Vec::with_capacity(256);
    for number in [previous.0, entry.store.get(), entry.payload.hash().0] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    let (code, extra) = match &entry.kind {
        EntryKind::Empty => (0, None),
        EntryKind::OpenClient => (1, None),
        EntryKind::Data(None) => (2, None),
        EntryKind::Data(Some(request)) => (3, Some([request.client.0.get(), request.number.get()])),
        EntryKind::Config(_) => (4, None),
    };
    for number in [
        entry.generation.get(),
        entry.seq.get(),
        entry.epoch.n,
        entry.epoch.node.get(),
        entry.incarnation.get(),
        entry.stamp.as_ms(),
    ] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.push(code);
    bytes.extend_from_slice(&entry.payload.length().to_le_bytes());
    for number in extra.into_iter().flatten() {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    if let EntryKind::Config(membership) = &entry.kind {
        for group in [&membership.voters, &membership.learners] {
            bytes.extend_from_slice(&(group.len() as u64).to_le_bytes());
            for member in group {
                bytes.extend_from_slice(&member.node.get().to_le_bytes());
                bytes.extend_from_slice(&member.store.get().to_le_bytes());
                bytes.extend_from_slice(&member.replica.get().to_le_bytes());
            }
        }
    }
    leading(&blake3::hash(&bytes))
}

/// The first half of a digest.
fn leading(hash: &blake3::Hash) -> u128 {
    let mut first = [0; 16];
    first.copy_from_slice(&hash.as_bytes()[..16]);
    u128::from_le_bytes(first)
}

/// A replica stopped because a leader's entries contradict its own.
///
/// # Errors
/// It did: no fault within the budget leads there.
pub fn stopped(fault: StopReason) -> Result<(), Violation> {
    match fault {
        StopReason::Contradicted => {
            broken("a leader contradicts what is committed or verified here")
        }
        StopReason::StoreBroken
        | StopReason::ReplicaLost
        | StopReason::StoreRegressed
        | StopReason::NotMember => Ok(()),
    }
}

#[cold]
#[track_caller]
fn broken(text: impl Into<String>) -> Result<(), Violation> {
    Err(Violation::new(ID, text))
}
