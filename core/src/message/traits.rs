//! What follows for a message from its kind alone: which connection carries it, and what its epoch
//! means to whoever hears it.
//!
//! Runtime and simulator ask [`Message::lane`] and need to know nothing else of the protocol.

use super::{Body, ChainMessage, Forward, ForwardAsk, Message, ReplicaMessage, Round};
use crate::id::Attempt;

/// Which of the two connections to a peer carries a message.
///
/// Order is kept within a lane and not between the two, so that heartbeats, votes, confirms and
/// acknowledgements never queue behind entries on a slow link.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Small messages that somebody waits for.
    Control,
    /// Whatever carries entries, payloads or parts of a checkpoint.
    Bulk,
}

impl Message {
    /// Which connection carries it.
    pub fn lane(&self) -> Lane {
        self.body.lane()
    }
}

impl Body {
    /// Which connection carries it.
    pub fn lane(&self) -> Lane {
        match self {
            Self::Chain(ChainMessage { content, .. }) => content.traits().lane,
            Self::Forward(Forward {
                ask: ForwardAsk::Append { .. },
                ..
            }) => Lane::Bulk,
            Self::Heartbeat(_)
            | Self::Confirm(_)
            | Self::Confirmed(_)
            | Self::Forward(_)
            | Self::Forwarded { .. } => Lane::Control,
        }
    }
}

/// What follows from the kind of what is said between two members.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Traits {
    pub(crate) lane: Lane,
    /// Only a leader says it, so its epoch is adopted whatever config the receiver holds.
    pub(crate) is_of_leader: bool,
    /// It means the same in every epoch: what it brings is judged by its hash link, or by the epoch
    /// that was asked for, of which a query leaves its voter behind.
    pub(crate) is_epochless: bool,
    /// Its sender is told our epoch when its own is older.
    pub(crate) is_answered_when_outdated: bool,
}

impl ReplicaMessage {
    /// The question that it is or answers; `None` where it stands for itself.
    pub fn attempt(&self) -> Option<Attempt> {
        match self {
            Self::VoteRequest { attempt, .. }
            | Self::VoteReply { attempt, .. }
            | Self::Pull { attempt, .. }
            | Self::Chunk { attempt, .. }
            | Self::Conflict { attempt, .. }
            | Self::InstallSnapshot { attempt, .. }
            | Self::SnapshotRequest { attempt, .. }
            | Self::CatchUp { attempt, .. }
            | Self::Fetch { attempt, .. }
            | Self::Fetched { attempt, .. } => Some(*attempt),
            Self::Outdated | Self::TransferNow { .. } | Self::Regressed { .. } => None,
        }
    }

    /// What follows from its kind.
    pub(crate) const fn traits(&self) -> Traits {
        const ORDINARY: Traits = Traits {
            lane: Lane::Control,
            is_of_leader: false,
            is_epochless: false,
            is_answered_when_outdated: false,
        };
        match self {
            // One without entries goes the way of those that it follows, or it would overtake them
            // and look as if they were lost.
            Self::Chunk { .. } => Traits {
                lane: Lane::Bulk,
                is_of_leader: true,
                is_answered_when_outdated: true,
                ..ORDINARY
            },
            Self::InstallSnapshot { .. } => Traits {
                lane: Lane::Bulk,
                ..ORDINARY
            },
            Self::Fetched { .. } => Traits {
                lane: Lane::Bulk,
                is_epochless: true,
                ..ORDINARY
            },
            Self::Fetch { .. } | Self::CatchUp { .. } | Self::SnapshotRequest { .. } => Traits {
                is_epochless: true,
                ..ORDINARY
            },
            Self::VoteReply { round, granted, .. } => Traits {
                is_epochless: matches!(round, Round::Pre) && *granted,
                ..ORDINARY
            },
            Self::Pull { .. } => Traits {
                is_answered_when_outdated: true,
                ..ORDINARY
            },
            Self::VoteRequest { .. }
            | Self::Conflict { .. }
            | Self::Outdated
            | Self::Regressed { .. }
            | Self::TransferNow { .. } => ORDINARY,
        }
    }
}
