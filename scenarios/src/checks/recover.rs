//! *recover*: after a crash at any byte a chain's files are a prefix that holds every record
//! reported durable; after flips every sealed record is present or *unknown*, never absent,
//! never wrong. A store breaks only where its disk did.

use meshos_core::action::StopReason;
use meshos_core::chain::entry::EntryHash;
use meshos_core::chain::recover::{Damage, Files, recover};
use meshos_core::chain::store::{Named, Part, StoreLimits};
use meshos_core::id::{RunNonce, Seq};
use meshos_sim::violation::Violation;

/// Id of the property.
pub const ID: &str = "recover";

/// What was done to a disk since its store was formatted.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Harm {
    /// Bits were flipped.
    pub flipped: bool,
    /// The same since its node booted, and found what had been flipped before.
    pub flipped_since_boot: bool,
    /// A sync failed.
    pub unsynced: bool,
    /// The plan named bytes to flip: of all copies, if it likes.
    pub aimed: bool,
    /// A part of the disk cannot be read.
    pub unreadable: bool,
    /// Something that had been synced is gone without a trace: a write never reached the medium
    /// or reached another place, or an older image of the disk came back.
    pub lost: bool,
    /// Among that the count of its boots: a run has the number of an earlier one, which peers
    /// refuse at the hello.
    pub recounted: bool,
}

/// What a boot calls damaged in the log of a store.
///
/// # Errors
/// Nobody did any harm to the disk: a crash leaves torn ends, and nothing that is damaged.
pub fn whole(damage: &[Damage], harm: Harm) -> Result<(), Violation> {
    let is_log = |damage: &&Damage| {
        matches!(
            Named::of(&damage.file),
            Some(Named::Chain {
                part: Part::Segment(_),
                ..
            })
        )
    };
    match damage.iter().find(is_log) {
        Some(damage) if harm == Harm::default() => {
            let text = format!("a boot finds damage where nobody did any: {damage}");
            Err(Violation::new(ID, text))
        }
        Some(_) | None => Ok(()),
    }
}

/// What a boot found `before` in files that stand in two places, and what is there `now`, before
/// the first step.
///
/// # Errors
/// Damage is still there, although the disk does what it is told: the next bad bit, in the other
/// place, would cost what both hold.
pub fn mended(before: &[Damage], now: &[Damage], harm: Harm) -> Result<(), Violation> {
    // A first write that a crash tore is there to be written again, and holds nothing yet.
    let is_torn = !(harm.flipped || harm.aimed || harm.unreadable);
    if harm.unsynced || harm.lost || is_torn {
        return Ok(());
    }
    let is_left = |damage: &&Damage| in_two_places(damage) && before.contains(damage);
    match now.iter().find(is_left) {
        Some(damage) => broken(format!("a boot leaves damage that it found: {damage}")),
        None => Ok(()),
    }
}

/// How many operations a loss of power could still take when a boot is done.
///
/// # Errors
/// There are some, and the disk does what it is told: an earlier process was killed before it
/// synced them, and this one goes on as if they were durable.
pub fn durable(unsynced: usize, harm: Harm) -> Result<(), Violation> {
    if unsynced == 0 || harm != Harm::default() {
        return Ok(());
    }
    broken(format!(
        "a boot goes on from files of which {unsynced} changes are not durable"
    ))
}

/// What a boot would find damaged in these files.
pub fn again(files: &Files) -> Vec<Damage> {
    let recovered = recover(files, &StoreLimits::default(), RunNonce::new(0));
    recovered.map_or(Vec::new(), |recovered| recovered.damage)
}

/// Whether a file is one of two that hold the same.
pub fn in_two_places(damage: &Damage) -> bool {
    match Named::of(&damage.file) {
        Some(Named::Identity(_) | Named::Peers(_)) => true,
        Some(Named::Chain { part, .. }) => matches!(part, Part::Vote(_) | Part::Checkpoint(_)),
        None => false,
    }
}

/// One recovered position that had been durable: what was there, and what is found.
///
/// # Errors
/// It is wrong, or it is lost without any harm done to the disk since it was read or repaired.
pub fn slot(
    seq: Seq,
    was: Option<EntryHash>,
    found: Option<EntryHash>,
    harm: Harm,
) -> Result<(), Violation> {
    match (was, found) {
        (Some(was), Some(found)) if was != found => {
            broken(format!("entry {seq} is another one after a crash"))
        }
        (Some(_), None) if !harm.flipped_since_boot => broken(format!(
            "entry {seq} is unknown after a crash, and no bit had flipped in that run"
        )),
        (Some(_) | None, Some(_) | None) => Ok(()),
    }
}

/// One recovered position above what had been durable.
///
/// # Errors
/// Nobody ever held such an entry.
pub fn beyond(seq: Seq, was_seen: Seen) -> Result<(), Violation> {
    match was_seen {
        Seen::Somewhere => Ok(()),
        Seen::Nowhere => broken(format!("entry {seq} was found that nobody ever wrote")),
    }
}

/// Whether an entry was ever held by a replica.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It was, or it is too old to tell.
    Somewhere,
    /// It was not.
    Nowhere,
}

/// A store did not open, or a replica on it takes no part.
///
/// # Errors
/// Its disk was not harmed that way.
pub fn stopped(fault: StopReason, harm: Harm) -> Result<(), Violation> {
    match fault {
        StopReason::StoreBroken if !harm.unsynced => {
            broken("the store failed, and no sync had failed".to_owned())
        }
        // A record whose sync failed is whole in one place only, where a bit may flip.
        StopReason::ReplicaLost
            if !(harm.aimed || harm.lost || (harm.unsynced && harm.flipped)) =>
        {
            broken("vote or checkpoint are lost, and one copy was not touched".to_owned())
        }
        StopReason::StoreRegressed if !harm.lost => broken(
            "the log ends below what was stored as committed, and no write was lost".to_owned(),
        ),
        StopReason::StoreBroken
        | StopReason::ReplicaLost
        | StopReason::StoreRegressed
        | StopReason::Contradicted
        | StopReason::NotMember => Ok(()),
    }
}

/// Recovery refuses the files.
///
/// # Errors
/// Always: the store had been in use.
pub fn refused(why: &str) -> Result<(), Violation> {
    broken(format!("the store does not open any more: {why}"))
}

#[cold]
#[track_caller]
fn broken(text: String) -> Result<(), Violation> {
    Err(Violation::new(ID, text))
}
