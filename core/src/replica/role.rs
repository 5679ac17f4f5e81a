//! The role of a replica and the one table of its legal changes (D12, *role-table*).
//!
//! Nothing outside this file changes a role.

use serde::{Deserialize, Serialize};

/// What a replica is to its chain.
#[derive(
    Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum Role {
    /// Takes no part.
    #[default]
    Idle,
    /// Follows.
    Replica,
    /// Seeks votes.
    Candidate,
    /// Leads.
    Leader,
}

/// What permits a change of role.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Signal {
    /// This store was chosen to hold the chain.
    CapabilitySelected,
    /// No leader was heard for too long, or the leader asked this replica to take over.
    MissedHeartbeats,
    /// A majority voted for this candidate.
    ElectionWon,
    /// The round ended without a majority, or a higher epoch was adopted.
    ElectionLost,
    /// A leader adopted a higher epoch, or lost contact to its quorum.
    PeerLeaderObserved,
    /// The leader leaves on its own account.
    GracefulRelinquish,
    /// A leader's store is full.
    LeaderDiskPressureWithdraw,
    /// A replica's store is full.
    DiskPressureWithdraw,
    /// A candidate's store is full.
    CandidateDiskPressureWithdraw,
    /// The chain is closed on this node.
    ChannelClose,
}

/// Why a change of role was refused; the role is unchanged.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransitionError {
    /// No signal permits this change.
    #[error("no signal permits {from:?} to become {to:?}")]
    InvalidPair {
        /// The role.
        from: Role,
        /// The role asked for.
        to: Role,
    },
    /// The change is legal, but under another signal.
    #[error("{signal:?} does not permit {from:?} to become {to:?}")]
    SignalMismatch {
        /// The role.
        from: Role,
        /// The role asked for.
        to: Role,
        /// The signal given.
        signal: Signal,
    },
}

impl Role {
    /// The role after `signal`.
    pub fn change(&mut self, to: Self, signal: Signal) -> Result<(), TransitionError> {
        let from = *self;
        if permits(from, to, signal) {
            *self = to;
            return Ok(());
        }
        let legal = to == Self::Idle || SIGNALS.iter().any(|&other| permits(from, to, other));
        Err(if legal {
            TransitionError::SignalMismatch { from, to, signal }
        } else {
            TransitionError::InvalidPair { from, to }
        })
    }
}

fn permits(from: Role, to: Role, signal: Signal) -> bool {
    use Role::{Candidate, Idle, Leader, Replica};
    match signal {
        Signal::CapabilitySelected => from == Idle && to == Replica,
        Signal::MissedHeartbeats => from == Replica && to == Candidate,
        Signal::ElectionWon => from == Candidate && to == Leader,
        Signal::ElectionLost => from == Candidate && to == Replica,
        Signal::PeerLeaderObserved => from == Leader && to == Replica,
        Signal::GracefulRelinquish | Signal::LeaderDiskPressureWithdraw => {
            from == Leader && to == Idle
        }
        Signal::DiskPressureWithdraw => from == Replica && to == Idle,
        Signal::CandidateDiskPressureWithdraw => from == Candidate && to == Idle,
        Signal::ChannelClose => to == Idle,
    }
}

/// Every signal, in the order of the table.
pub const SIGNALS: [Signal; 10] = [
    Signal::CapabilitySelected,
    Signal::MissedHeartbeats,
    Signal::ElectionWon,
    Signal::ElectionLost,
    Signal::PeerLeaderObserved,
    Signal::GracefulRelinquish,
    Signal::LeaderDiskPressureWithdraw,
    Signal::DiskPressureWithdraw,
    Signal::CandidateDiskPressureWithdraw,
    Signal::ChannelClose,
];
