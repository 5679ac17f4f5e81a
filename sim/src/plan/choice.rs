//! What happens next, where a plan says so itself instead of leaving it to times and draws.

use crate::fault::Unsynced;
use crate::node::NodeIndex;
use core::fmt;
use serde::{Deserialize, Serialize};

/// One thing that happens next. One that does not apply has no effect.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Choice {
    /// A node is given the next operation that waits for it.
    Op {
        /// The node.
        node: NodeIndex,
    },
    /// A message arrives; at a node that is down it is lost.
    Deliver {
        /// The sender.
        from: NodeIndex,
        /// The receiver.
        to: NodeIndex,
        /// Which of those on this way, in the order in which they were sent.
        #[serde(default, skip_serializing_if = "is_zero")]
        nth: u16,
        /// Whether it arrives once more.
        #[serde(default, skip_serializing_if = "is_false")]
        again: bool,
    },
    /// A message is lost.
    Lose {
        /// The sender.
        from: NodeIndex,
        /// The receiver.
        to: NodeIndex,
        /// Which of those on this way, in the order in which they were sent.
        #[serde(default, skip_serializing_if = "is_zero")]
        nth: u16,
    },
    /// The disk of a node performs the batch that is next, and answers it.
    Store {
        /// The node.
        node: NodeIndex,
    },
    /// The clocks of a node reach its deadline.
    Expire {
        /// The node.
        node: NodeIndex,
    },
    /// A node crashes.
    Crash {
        /// The node.
        node: NodeIndex,
        /// What becomes of what was not synced.
        unsynced: Unsynced,
        /// How many operations of the batch in service are performed before.
        #[serde(default, skip_serializing_if = "is_zero")]
        performed: u16,
    },
    /// A node that is down boots.
    Restart {
        /// The node.
        node: NodeIndex,
    },
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form that serde calls"
)]
const fn is_zero(number: &u16) -> bool {
    *number == 0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form that serde calls"
)]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

impl Choice {
    /// The node that acts.
    pub const fn node(&self) -> NodeIndex {
        match *self {
            Self::Op { node }
            | Self::Store { node }
            | Self::Expire { node }
            | Self::Crash { node, .. }
            | Self::Restart { node } => node,
            Self::Deliver { to, .. } | Self::Lose { to, .. } => to,
        }
    }

    /// Every node that it names.
    pub fn nodes(&self) -> impl Iterator<Item = NodeIndex> {
        let from = match *self {
            Self::Deliver { from, .. } | Self::Lose { from, .. } => Some(from),
            Self::Op { .. }
            | Self::Store { .. }
            | Self::Expire { .. }
            | Self::Crash { .. }
            | Self::Restart { .. } => None,
        };
        from.into_iter().chain([self.node()])
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Op { node } => write!(f, "{node} is asked"),
            Self::Deliver {
                from,
                to,
                nth,
                again,
            } => {
                let again = if *again { ", and will again" } else { "" };
                write!(f, "message {nth} from {from} arrives at {to}{again}")
            }
            Self::Lose { from, to, nth } => write!(f, "message {nth} from {from} to {to} is lost"),
            Self::Store { node } => write!(f, "the disk of {node} answers"),
            Self::Expire { node } => write!(f, "the deadline of {node} is reached"),
            Self::Crash { node, .. } => write!(f, "{node} crashes"),
            Self::Restart { node } => write!(f, "{node} boots"),
        }
    }
}
