//! *gap-free*: retained sequences are contiguous, unknown entries keep their place, and retention
//! never passes commit.

use super::replica_state::ReplicaState;
use meshos_core::id::Seq;
use meshos_sim::violation::Violation;

/// Id of the property.
pub const ID: &str = "gap-free";

/// A replica changed within one run.
///
/// # Errors
/// Its floor went back or passed what is committed, or its ends are out of order.
pub fn observe(before: &ReplicaState, after: &ReplicaState) -> Result<(), Violation> {
    if after.floor.end < before.floor.end {
        let (was, is) = (before.floor.end, after.floor.end);
        return broken(format!("the floor went back from {was} to {is}"));
    }
    ordered(after)
}

/// The ends of a replica's log are in order.
///
/// # Errors
/// They are not.
pub fn ordered(replica: &ReplicaState) -> Result<(), Violation> {
    let ReplicaState {
        floor,
        commit,
        durable,
        tip,
        ..
    } = *replica;
    if floor.end > commit {
        let text = format!("the floor {} is above commit {commit}", floor.end);
        return broken(text);
    }
    if commit > tip.end || durable.end > tip.end || durable.end < floor.end {
        return broken(format!(
            "floor {}, durable {}, commit {commit} and end {} are out of order",
            floor.end, durable.end, tip.end
        ));
    }
    Ok(())
}

/// The slots of a log from its floor on: positions where entries are, `None` where unknown.
///
/// # Errors
/// A position holds an entry of another one, or the slots do not reach the end.
pub fn contiguous(
    floor: Seq,
    end: Seq,
    slots: impl Iterator<Item = Option<Seq>>,
) -> Result<(), Violation> {
    let mut next = floor;
    for slot in slots {
        if slot.is_some_and(|seq| seq != next) {
            return broken(format!("position {next} holds entry {slot:?}"));
        }
        next = next.next();
    }
    if next != end {
        return broken(format!("the entries end at {next}, the log at {end}"));
    }
    Ok(())
}

#[cold]
#[track_caller]
fn broken(text: String) -> Result<(), Violation> {
    Err(Violation::new(ID, text))
}
