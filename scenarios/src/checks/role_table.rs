//! *role-table*: only legal role transitions, each with a legal signal; the role in an outgoing
//! message is the role when it left.

use meshos_core::id::{Epoch, Seq};
use meshos_core::message::RowState;
use meshos_core::replica::role::{Role, Signal};
use meshos_sim::violation::Violation;

/// Id of the property.
pub const ID: &str = "role-table";

/// A replica reports that its role became `to` under `signal`.
///
/// # Errors
/// The table of the specification has no such line.
#[track_caller]
pub fn observe(role: &mut Role, to: Role, signal: Signal) -> Result<(), Violation> {
    let from = *role;
    *role = to;
    if TABLE.contains(&(from, to, signal)) {
        return Ok(());
    }
    let text = format!("{from:?} became {to:?} under {signal:?}");
    Err(Violation::new(ID, text))
}

/// After a step a replica has the role that it reported last.
///
/// # Errors
/// It changed without a report.
#[inline]
#[track_caller]
pub fn reported(role: Role, is: Role) -> Result<(), Violation> {
    if role == is {
        return Ok(());
    }
    let text = format!("the role is {is:?}, and was last reported as {role:?}");
    Err(Violation::new(ID, text))
}

/// A row leaves in a heartbeat.
///
/// # Errors
/// It says more than the replica is.
#[inline]
pub fn row(row: &RowState, role: Role, epoch: Epoch, ends: (Seq, Seq)) -> Result<(), Violation> {
    let (durable, commit) = ends;
    let said_durable = row.durable.is_none_or(|said| said <= durable);
    let said_ends = said_durable && row.commit <= commit && row.floor <= commit;
    if row.role == role && row.epoch == epoch && said_ends {
        return Ok(());
    }
    let text = format!(
        "{row:?} leaves a {role:?} of epoch {epoch}, durable to {durable}, committed to {commit}"
    );
    Err(Violation::new(ID, text))
}

/// The legal transitions; anything may close.
const TABLE: [(Role, Role, Signal); 13] = {
    use Role::{Candidate, Idle, Leader, Replica};
    [
        (Idle, Replica, Signal::CapabilitySelected),
        (Replica, Candidate, Signal::MissedHeartbeats),
        (Candidate, Leader, Signal::ElectionWon),
        (Candidate, Replica, Signal::ElectionLost),
        (Leader, Replica, Signal::PeerLeaderObserved),
        (Leader, Idle, Signal::GracefulRelinquish),
        (Leader, Idle, Signal::LeaderDiskPressureWithdraw),
        (Replica, Idle, Signal::DiskPressureWithdraw),
        (Candidate, Idle, Signal::CandidateDiskPressureWithdraw),
        (Idle, Idle, Signal::ChannelClose),
        (Replica, Idle, Signal::ChannelClose),
        (Candidate, Idle, Signal::ChannelClose),
        (Leader, Idle, Signal::ChannelClose),
    ]
};
