//! *refusals*: the reason of a refusal is true.
//!
//! Whoever refused may be another node than the one that answers, and may have done so a while
//! ago. So each reason is held against what made it possible at any time of the run so far: a
//! reason that nothing in the whole run could have caused is false.

use crate::history::{Asked, Key};
use meshos_core::client::Reason;
use meshos_core::config::Limits;
use meshos_core::id::NodeId;
use meshos_sim::violation::Violation;

/// Id of the property.
pub const ID: &str = "refusals";

/// What happened so far that a refusal may name.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Causes {
    /// Requests that nodes took in for the chain.
    pub asked: u64,
    /// The most entries that a leader had above its commit.
    pub uncommitted: u64,
    /// Whether anybody was asked to hand leadership over, the chain has a pinned leader, or a
    /// leader that cannot commit has handed over, or the store of one hung while others committed.
    pub transfer: bool,
    /// Whether a replica of the chain stopped or lost its store.
    pub stopped: bool,
    /// Whether a disk had no room.
    pub full: bool,
}

/// The lowest of the bounds that any node refuses by.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Lowest {
    /// Largest payload of one entry.
    pub entry_bytes_max: u32,
    /// Requests that wait.
    pub requests_max: u32,
    /// Entries above the committed prefix.
    pub uncommitted_max: u32,
    /// Request numbers remembered per client.
    pub window: u32,
}

impl Lowest {
    /// Of the limits of all nodes.
    pub fn of<'a>(all: impl Iterator<Item = &'a Limits>) -> Self {
        let mut lowest = Self {
            entry_bytes_max: u32::MAX,
            requests_max: u32::MAX,
            uncommitted_max: u32::MAX,
            window: u32::MAX,
        };
        for limits in all {
            lowest.entry_bytes_max = lowest.entry_bytes_max.min(limits.entry_bytes_max);
            lowest.requests_max = lowest.requests_max.min(limits.requests_max);
            lowest.uncommitted_max = lowest.uncommitted_max.min(limits.uncommitted_max);
            lowest.window = lowest.window.min(limits.client_window);
        }
        lowest
    }
}

/// A request is refused; `above` is how many higher numbers of its client were asked for.
///
/// # Errors
/// Nothing in the run can be the reason.
pub fn observe(
    reason: Reason,
    asked: &Asked,
    above: u64,
    causes: Causes,
    lowest: Lowest,
) -> Result<(), Violation> {
    let is_transfer = matches!(asked, Asked::Transfer);
    let is_append = matches!(asked, Asked::Append { .. } | Asked::Open);
    let number = match asked {
        Asked::Append {
            key: Some(Key::Request { number, .. }),
            ..
        } => Some(*number),
        Asked::Append { .. } | Asked::Open | Asked::Read { .. } | Asked::Transfer => None,
    };
    let bytes = match asked {
        Asked::Append { bytes, .. } => *bytes,
        Asked::Open | Asked::Read { .. } | Asked::Transfer => 0,
    };
    match reason {
        Reason::TooLarge if bytes <= lowest.entry_bytes_max => {
            broken(asked, "is refused as too large")
        }
        Reason::BadNumber if number != Some(0) => broken(asked, "is refused for its number"),
        Reason::TooOld if number.is_none() || above < u64::from(lowest.window) => {
            broken(asked, "is refused as too old")
        }
        Reason::UnknownClient if number.is_none() => {
            broken(asked, "is refused for its client, and has none")
        }
        Reason::Busy
            if causes.asked <= u64::from(lowest.requests_max)
                && (!is_append || causes.uncommitted < u64::from(lowest.uncommitted_max)) =>
        {
            broken(asked, "is refused by a node that cannot be busy")
        }
        // A leader whose store has no room hands over, too.
        Reason::Transferring if !causes.transfer && !causes.full => {
            broken(asked, "is refused for a transfer that nobody wanted")
        }
        Reason::StoreFull if !causes.full || !is_append => {
            broken(asked, "is refused for a store that was never full")
        }
        Reason::Stopped if !causes.stopped => {
            broken(asked, "is refused by a replica that never stopped")
        }
        Reason::NoSuchTarget if !is_transfer => {
            broken(asked, "is refused for its target, and has none")
        }
        Reason::TooLarge
        | Reason::BadNumber
        | Reason::TooOld
        | Reason::UnknownClient
        | Reason::Busy
        | Reason::Transferring
        | Reason::StoreFull
        | Reason::Stopped
        | Reason::NoSuchTarget
        | Reason::UnknownChain => Ok(()),
    }
}

/// A node refuses because it holds no such chain.
///
/// # Errors
/// It is a member.
pub fn unknown_chain(asked: &Asked, is_member: bool) -> Result<(), Violation> {
    match is_member {
        true => broken(asked, "is refused for a chain that is here"),
        false => Ok(()),
    }
}

/// A node says that it is no member, and who the members are.
///
/// # Errors
/// It is one, or the genesis lists others.
pub fn not_member(
    asked: &Asked,
    me: NodeId,
    said: &[NodeId],
    listed: &[NodeId],
) -> Result<(), Violation> {
    match said == listed && !said.contains(&me) {
        true => Ok(()),
        false => broken(asked, "is sent to members that are not those of the chain"),
    }
}

#[cold]
#[track_caller]
fn broken(asked: &Asked, text: &str) -> Result<(), Violation> {
    Err(Violation::new(ID, format!("{asked:?} {text}")))
}
