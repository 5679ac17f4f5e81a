//! *durable-tail*: a tail that left a store in an epoch survives a crash at that instant.
//!
//! What leaves is never above what the replica believes durable, and at a crash recovery finds at
//! least that: the same entry at the end of it, or a checkpoint that replaced it.

use super::recover::Harm;
use super::replica_state::ReplicaState;
use meshos_core::action::StopReason;
use meshos_core::chain::entry::LogPosition;
use meshos_core::id::Seq;
use meshos_sim::violation::Violation;

/// Id of the property.
pub const ID: &str = "durable-tail";

/// A log as recovery finds it on a disk.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The floor.
    pub floor: LogPosition,
    /// The end.
    pub tip: LogPosition,
    /// The log at the end of what had been durable; `None` where that cannot be told, because
    /// the entry before it is unknown.
    pub at_durable: Option<LogPosition>,
}

/// A tail leaves the replica, as an advertisement or an acknowledgement.
///
/// # Errors
/// It is above what is durable.
#[inline]
pub fn leaving(tail: Seq, replica: &ReplicaState) -> Result<(), Violation> {
    if tail <= replica.durable.end {
        return Ok(());
    }
    let durable = replica.durable.end;
    broken(format!("the tail {tail} leaves, and {durable} is durable"))
}

/// What a crash left of a replica that was last seen as `before`.
///
/// # Errors
/// Something is gone that had been durable.
pub fn survived(before: &ReplicaState, found: &Found) -> Result<(), Violation> {
    let durable = before.durable;
    // A reset takes the place of a log that ends before its floor, or differs below it.
    if before.resetting && found.tip == found.floor && found.floor.end > before.floor.end {
        return Ok(());
    }
    if found.tip.end < durable.end || found.floor.end < before.floor.end {
        return broken(format!(
            "floor {} and tail {} were durable, and a crash left {} and {}",
            before.floor.end, durable.end, found.floor.end, found.tip.end
        ));
    }
    if found.at_durable.is_some_and(|at| at.hash != durable.hash) {
        return broken(format!(
            "the log that was durable up to {} is another one after a crash",
            durable.end
        ));
    }
    Ok(())
}

/// A replica stopped because its durable tail went back behind an acknowledgement.
///
/// # Errors
/// It did, and its disk had lost nothing.
pub fn stopped(fault: StopReason, harm: Harm) -> Result<(), Violation> {
    match fault {
        StopReason::StoreRegressed if !harm.lost => {
            broken("a leader found the durable tail below what was acknowledged".to_owned())
        }
        StopReason::StoreRegressed
        | StopReason::StoreBroken
        | StopReason::ReplicaLost
        | StopReason::Contradicted
        | StopReason::NotMember => Ok(()),
    }
}

#[cold]
#[track_caller]
fn broken(text: String) -> Result<(), Violation> {
    Err(Violation::new(ID, text))
}
